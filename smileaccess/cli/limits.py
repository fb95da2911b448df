"""`smileaccess members schedule | groups | doors | gesture | similarity`: when, where and how a member may come in."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from smileaccess.cli.common import App, console, emit, json_option, local, pass_app, row, say, table, warn, why_option
from smileaccess.cli.office import office, reading, tell_change
from smileaccess.model import Gesture, MemberStatus
from smileaccess.schedules import DAY_MINUTES, DAYS, HOLIDAY, Schedule, minute_text, together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smileaccess.model import Member
    from smileaccess.settings import Settings

_HOUR = 60
_FULL, _PART, _NONE = "█", "▒", "·"
_AHEAD = 8
"""Holidays that are shown."""


def schedule_of(app: App, text: str, zone: str | None) -> Schedule:
    """Read a schedule that was given on the command line; UsageError for one that is none."""
    zone = zone or app.settings().rules.time_zone
    if not zone:
        raise click.UsageError("name the time zone with --zone, or set it for good: [rules] time_zone")
    try:
        return Schedule.parse(text, zone)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="schedule") from error


@click.command()
@click.argument("member")
@click.argument("text", required=False, metavar="[SCHEDULE]")
@click.option("--zone", metavar="ZONE", help="The time zone it is meant in; default: [rules] time_zone.")
@click.option("--always", is_flag=True, help="Take the member's own schedule away.")
@why_option
@json_option
@pass_app
def schedule(app: App, member: str, text: str | None, zone: str | None, always: bool, why: str, as_json: bool) -> None:
    """Set when in a week MEMBER may come in, or show the week.

    A SCHEDULE holds days and spans of time: "mon-fri 08:00-18:00; sat 09:00-13:00".
    A span may go on over midnight; on holidays ([rules] holidays) only those of
    "hol" count. Whoever has a schedule and groups may come in when either says so.

    \b
    Examples:
      smileaccess members schedule "Ada Lovelace"
      smileaccess members schedule Cleaner "mon-fri 06:00-08:00; hol 06:00-07:00"
      smileaccess members schedule Cleaner --always
    """
    from smileaccess import registry  # noqa: PLC0415

    if text is not None and always:
        raise click.UsageError("give a SCHEDULE or --always")
    if zone is not None and text is None:
        raise click.UsageError("give a SCHEDULE with --zone")
    if text is None and not always:
        _show_week(app, member, as_json=as_json)
        return
    wanted = None if text is None else schedule_of(app, text, zone)
    with office(app) as desk:
        changed = registry.set_schedule(desk.registry, desk.find(member), wanted, why)
    tell_change(changed, "always:" if wanted is None else f"{wanted.text} ({wanted.zone}):", as_json=as_json)


@click.command()
@click.argument("member")
@click.argument("names", nargs=-1, metavar="[GROUP]...")
@click.option("--none", "nobody", is_flag=True, help="Take the member out of all groups.")
@why_option
@json_option
@pass_app
def groups(app: App, member: str, names: tuple[str, ...], nobody: bool, why: str, as_json: bool) -> None:
    """Set the GROUPs whose schedules hold for MEMBER; each door has them in its settings, under [groups].

    Example:    smileaccess members groups "Ada Lovelace" cleaners evening
    """
    from smileaccess import registry  # noqa: PLC0415

    if bool(names) == nobody:
        raise click.UsageError("give GROUP... or --none")
    for name in sorted(set(names) - app.settings().groups.keys()):
        warn(f"group {name}: not in these settings: where a door has no [groups] {name}, it opens nothing")
    with office(app) as desk:
        changed = registry.set_groups(desk.registry, desk.find(member), names, why)
    tell_change(changed, f"groups {', '.join(changed.groups) or 'none'}:", as_json=as_json)


@click.command()
@click.argument("member")
@click.argument("names", nargs=-1, metavar="[DOOR]...")
@click.option("--all", "everywhere", is_flag=True, help="Let the member in at every door.")
@why_option
@json_option
@pass_app
def doors(app: App, member: str, names: tuple[str, ...], everywhere: bool, why: str, as_json: bool) -> None:
    """Set at which DOORs MEMBER may come in, by their names ([door] name).

    Example:    smileaccess members doors Cleaner front yard
    """
    from smileaccess import registry  # noqa: PLC0415

    if bool(names) == everywhere:
        raise click.UsageError("give DOOR... or --all")
    here = app.settings().door.name
    for name in sorted(set(names) - {here}):
        warn(f"door {name}: these settings are those of {here}: see that another one is called so")
    with office(app) as desk:
        changed = registry.set_doors(desk.registry, desk.find(member), None if everywhere else names, why)
    tell_change(changed, f"doors {', '.join(changed.doors or ('all',))}:", as_json=as_json)


@click.command()
@click.argument("member")
@click.argument("gesture", type=click.Choice([each.value for each in Gesture]), metavar="GESTURE")
@why_option
@json_option
@pass_app
def gesture(app: App, member: str, gesture: str, why: str, as_json: bool) -> None:
    """Set what MEMBER shows on the cue: smile, turn (the head) or open-mouth.

    For people who cannot smile. A turned head and an opened mouth stop less of what
    is done with prints than a smile does: docs/liveness.md says what.

    Example:    smileaccess members gesture "Ada Lovelace" turn
    """
    from smileaccess import registry  # noqa: PLC0415

    with office(app) as desk:
        changed = registry.set_gesture(desk.registry, desk.find(member), Gesture(gesture), why)
    tell_change(changed, f"gesture {changed.gesture.value}:", as_json=as_json)


@click.command()
@click.argument("member")
@click.argument("least", required=False, type=click.FloatRange(0, 100), metavar="[SIMILARITY]")
@click.option("--none", "nothing", is_flag=True, help="The door's own threshold only.")
@why_option
@json_option
@pass_app
def similarity(app: App, member: str, least: float | None, nothing: bool, why: str, as_json: bool) -> None:
    """Set the least SIMILARITY (0 to 100) that opens to MEMBER, where that is more than the door's threshold.

    For members who have a twin, or who may open more than others.

    Example:    smileaccess members similarity "Ada Lovelace" 99.6
    """
    from smileaccess import registry  # noqa: PLC0415

    if (least is not None) == nothing:
        raise click.UsageError("give SIMILARITY or --none")
    if least is not None and least <= min(app.settings().thresholds().values()):
        warn(f"similarity {least:g}: the door's own threshold asks for as much already")
    with office(app) as desk:
        changed = registry.set_least_similarity(desk.registry, desk.find(member), least, why)
    told = "the door's own" if changed.least_similarity is None else f"{changed.least_similarity:g}"
    tell_change(changed, f"similarity {told}:", as_json=as_json)


COMMANDS = (schedule, groups, doors, gesture, similarity)


def _show_week(app: App, wanted: str, *, as_json: bool) -> None:
    from smileaccess.policy import on_schedule  # noqa: PLC0415
    from smileaccess.registry import find  # noqa: PLC0415

    settings, now = app.settings(), datetime.now(UTC)
    with reading(app) as roster:
        member = find(roster.members, wanted)
    hours = _hours(member, settings)
    opens = on_schedule(member, now, settings.policy_rules())
    ends = _end(hours, now, settings.holidays())
    if as_json:
        emit(_week_to_plain(member, hours, opens=opens, ends=ends))
        return
    say(f"{member.name} ({member.id}): {_sources(member)}")
    for name in member.groups:
        if name not in settings.groups:
            warn(f"group {name}: not in these settings: it opens nothing here")
    zones = _by_zone(hours)
    for zone, meant in zones.items():
        if len(zones) > 1:
            say(f"In {zone}:")
        _print_week(meant, local_day(now, zone, settings.holidays()))
    until = f" until {local(ends)[:16]}" if opens and ends else ""
    barred = _barred(member, settings.door.name, now)
    open_now = f"within these hours{until}, but {' and '.join(barred)}" if barred else f"may come in{until}"
    say(f"now       {open_now if opens else 'outside the schedule'}")
    coming = sorted(day for day in settings.holidays() if day >= now.date() - timedelta(days=1))
    if coming and (member.schedule or member.groups):
        more = ", ..." if len(coming) > _AHEAD else ""
        say(f"holidays  {', '.join(map(str, coming[:_AHEAD]))}{more}")


def _hours(member: Member, settings: Settings) -> list[Schedule]:
    """Return the schedules of which any lets the member in: always, where there is nothing that says otherwise."""
    groups = settings.policy_rules().groups
    own = [member.schedule] if member.schedule else []
    found = [*own, *(groups[name] for name in member.groups if name in groups)]
    limited = member.schedule is not None or member.groups
    return found if limited else [Schedule.parse("always", "UTC")]


def _barred(member: Member, door: str, now: datetime) -> list[str]:
    """Return what keeps a member out whatever the hours are."""
    early = member.valid_from is not None and now < member.valid_from
    late = member.valid_until is not None and now >= member.valid_until
    told = {
        member.status.value: member.status is not MemberStatus.ACTIVE,
        "not valid now": early or late,
        f"not let in at {door}": member.doors is not None and door not in member.doors,
    }
    return [why for why, holds in told.items() if holds]


def _sources(member: Member) -> str:
    own = f"{member.schedule.text} ({member.schedule.zone})" if member.schedule else ""
    return "; ".join(part for part in (own, *(f"as group {name}" for name in member.groups)) if part) or "always"


def _by_zone(hours: Sequence[Schedule]) -> dict[str, list[Schedule]]:
    """Return the schedules by their time zones: hours of two zones have no week in common."""
    found: dict[str, list[Schedule]] = {}
    for each in hours:
        found.setdefault(each.zone, []).append(each)
    return found or {"UTC": []}


def local_day(now: datetime, zone: str, holidays: frozenset[date]) -> str:
    """Return which day of the week, or of holidays, it is in a time zone."""
    from smileaccess.schedules import zone_named  # noqa: PLC0415

    today = now.astimezone(zone_named(zone)).date()
    return HOLIDAY if today in holidays else DAYS[today.weekday()]


def _end(hours: Sequence[Schedule], now: datetime, holidays: frozenset[date]) -> datetime | None:
    """Return when the last of the schedules that cover a moment ends; None where one has no end, or none covers it."""
    covering = [each for each in hours if each.covers(now, holidays)]
    ends = [each.ends_at(now, holidays) for each in covering]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


def _day(hours: Sequence[Schedule], day: str) -> list[tuple[int, int]]:
    return together([span for each in hours for span in each.on(day)])


def _print_week(hours: Sequence[Schedule], today: str) -> None:
    made = table("", "0     6     12    18    24", "may come in", fold=("may come in",))
    for day in (*DAYS, HOLIDAY):
        spans = _day(hours, day)
        told = ", ".join(f"{minute_text(start)}-{minute_text(end)}" for start, end in spans) or "-"
        row(made, f"{day} *" if day == today else day, bar(spans), told)
    console().print(made)


def bar(spans: Sequence[tuple[int, int]]) -> str:
    """Return a day as a bar, a mark an hour: full, part of it, or nothing."""
    marks = []
    for begin in range(0, DAY_MINUTES, _HOUR):
        held = sum(max(0, min(end, begin + _HOUR) - max(start, begin)) for start, end in spans)
        marks.append(_FULL if held == _HOUR else _PART if held else _NONE)
    return "".join(marks)


def _week_to_plain(member: Member, hours: Sequence[Schedule], *, opens: bool, ends: datetime | None) -> dict[str, Any]:
    from smileaccess.encoding import stamp  # noqa: PLC0415

    return {
        "id": member.id,
        "schedule": member.schedule and {"text": member.schedule.text, "zone": member.schedule.zone},
        "groups": list(member.groups),
        "weeks": {
            zone: {
                day: [[minute_text(start), minute_text(end)] for start, end in _day(meant, day)]
                for day in (*DAYS, HOLIDAY)
            }
            for zone, meant in _by_zone(hours).items()
        },
        "now": opens,
        "until": None if ends is None or not opens else stamp(ends),
    }
