"""`smileaccess tune`: what other settings would have made of the attempts on record; it changes neither of them."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from smileaccess.cli.common import (
    App,
    console,
    counted,
    emit,
    json_option,
    local,
    moment_option,
    number,
    pass_app,
    row,
    say,
    table,
)
from smileaccess.cli.report import read_with_progress
from smileaccess.cli.sources import Source, signed_members, source_options
from smileaccess.model import Emotion, LivenessMode
from smileaccess.policy import EmotionRule

if TYPE_CHECKING:
    from smileaccess.evaluation.replaying import Replay, Ruling, Verdict
    from smileaccess.model import Attempt, Member
    from smileaccess.settings import Settings

MARK = click.FloatRange(90, 100)
"""Of a threshold, as the settings take it."""

_CHANGES: Mapping[str, tuple[str, str]] = {
    "threshold": ("recognition", "threshold"),
    "rekognition_threshold": ("rekognition", "threshold"),
    "margin": ("recognition", "margin"),
    "mode": ("liveness", "mode"),
    "smile_at": ("liveness", "smile_at"),
    "emotions": ("rules", "emotions"),
    "required": ("rules", "required_emotions"),
    "forbidden": ("rules", "forbidden_emotions"),
    "holidays": ("rules", "holidays"),
    "time_zone": ("rules", "time_zone"),
}
"""Which setting each option stands for; those of `groups` are sections of their own."""


def _group(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Read NAME=SCHEDULE, once for each group."""
    found: dict[str, str] = {}
    for each in given:
        name, equals, schedule = each.partition("=")
        if not equals:
            raise click.BadParameter(f"{each!r}: must be NAME=SCHEDULE, such as 'office=mon-fri 07:00-18:00'")
        found[name.strip()] = schedule.strip()
    return found


def choices(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that choose other settings, gathered in its argument `chosen`."""

    @wraps(command)
    def gathered(*args: Any, **options: Any) -> Any:
        told = {name: options.pop(name) for name in (*_CHANGES, "groups")}
        chosen = {name: value for name, value in told.items() if value is not None and value not in ((), {})}
        return command(*args, chosen=chosen, **options)

    decorated: Callable[..., Any] = gathered
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


_EMOTION = click.Choice([each.value for each in Emotion if each is not Emotion.UNKNOWN])

_OPTIONS = (
    click.option("--threshold", type=MARK, help="[recognition] threshold."),
    click.option("--rekognition-threshold", type=MARK, help="[rekognition] threshold."),
    click.option("--margin", type=click.FloatRange(0, 10), help="[recognition] margin."),
    click.option("--mode", type=click.Choice([each.value for each in LivenessMode]), help="[liveness] mode."),
    click.option("--smile-at", type=click.FloatRange(30, 95), help="[liveness] smile_at."),
    click.option("--emotions", type=click.Choice([each.value for each in EmotionRule]), help="[rules] emotions."),
    click.option(
        "--require",
        "required",
        multiple=True,
        type=_EMOTION,
        help="[rules] required_emotions; once for each.",
    ),
    click.option("--forbid", "forbidden", multiple=True, type=_EMOTION, help="[rules] forbidden_emotions; as above."),
    click.option("--holiday", "holidays", multiple=True, metavar="DAY", help="[rules] holidays; once for each."),
    click.option(
        "--group",
        "groups",
        multiple=True,
        metavar="NAME=SCHEDULE",
        callback=_group,
        help="A group's schedule in [groups]; once for each.",
    ),
    click.option("--time-zone", metavar="ZONE", help="[rules] time_zone, which the groups' schedules are in."),
)


@click.command(short_help="What other settings would have made of past attempts.")
@choices
@moment_option("--since", help="From this time on: 2026-01-31, 2026-01-31T18:30, or 2h, 7d ago.")
@moment_option("--until", help="Before this time.")
@source_options
@json_option
@pass_app
def tune(
    app: App,
    since: datetime | None,
    until: datetime | None,
    source: Callable[[App], contextlib.AbstractContextManager[Source]],
    chosen: dict[str, Any],
    as_json: bool,
) -> None:
    """Show which past attempts other settings would have granted or denied.

    Every attempt on record is decided again, with what the recognizer said at
    the time. What the record does not hold is not guessed: such attempts are
    counted as those of which it cannot be told.

    \b
    Examples:
      smileaccess tune --threshold 99.2 --since 30d
      smileaccess tune --mode off
      smileaccess tune --emotions require --require happy --central
      smileaccess tune --group "cleaning=mon-fri 18:00-21:00" --since 90d
    """
    from smileaccess.evaluation.replaying import Verdict  # noqa: PLC0415

    settings = app.settings()
    if not chosen:
        raise click.UsageError("give what to try, such as --threshold 99.2 (see --help)")
    present, other = ruling(settings), ruling(changed(settings, chosen))
    counts: Counter[Verdict] = Counter()
    told: list[Replay] = []
    with source(app) as opened:
        known = {each.id: each for each in signed_members(app, opened)}
        for each in read_with_progress(opened.records.attempts(since=since, until=until)):
            if each.outcome is not None:
                found = replayed(each, known, present, other)
                counts[found.verdict] += 1
                told += [found] if found.verdict is not Verdict.SAME else []
    if as_json:
        emit(_to_plain(settings, chosen, counts, told))
    else:
        _print(settings, chosen, counts, told, {each.id: each.name for each in known.values()})


def ruling(settings: Settings) -> Ruling:
    """Return the rules that attempts are decided by."""
    from smileaccess.evaluation.replaying import Ruling  # noqa: PLC0415

    return Ruling(settings.examining_rules(), settings.policy_rules())


def changed(settings: Settings, chosen: Mapping[str, Any]) -> Settings:
    """Return the settings with what was chosen; SettingsError where they would be refused so."""
    from smileaccess.settings import checked  # noqa: PLC0415 -- pydantic

    sections = settings.model_dump()
    for section, key, value in _settings(chosen):
        sections[section][key] = value
    return checked(sections)


def replayed(attempt: Attempt, known: Mapping[str, Member], present: Ruling, other: Ruling) -> Replay:
    """Return what would have become of an attempt, with the members as they are now."""
    from smileaccess.evaluation.replaying import named, replay  # noqa: PLC0415

    return replay(attempt, known.get(named(attempt, other) or ""), present, other)


def _settings(chosen: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """Return section, name and value of each setting that was chosen."""
    found = [(*_CHANGES[name], value) for name, value in chosen.items() if name in _CHANGES]
    return found + [("groups", name, schedule) for name, schedule in chosen.get("groups", {}).items()]


def _changes(settings: Settings, chosen: Mapping[str, Any]) -> list[str]:
    present = settings.model_dump()
    return [
        f"[{section}] {key} {_shown(present[section].get(key))} -> {_shown(value)}"
        for section, key, value in _settings(chosen)
    ]


def _shown(value: Any) -> str:
    if value in {None, "", ()}:
        return "none"
    if isinstance(value, tuple):
        return ", ".join(str(each) for each in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _print(
    settings: Settings,
    chosen: Mapping[str, Any],
    counts: Counter[Verdict],
    told: Sequence[Replay],
    names: Mapping[str, str],
) -> None:
    from smileaccess.evaluation.replaying import Verdict  # noqa: PLC0415

    say(f"{'; '.join(_changes(settings, chosen))}")
    say(f"{counted(counts.total(), 'attempt')}: {', '.join(f'{counts[each]:,} {each.value}' for each in Verdict)}")
    for verdict in (Verdict.NOW_DENIED, Verdict.NOW_GRANTED):
        listed = [each for each in told if each.verdict is verdict]
        if listed:
            say()
            _print_changed(verdict, listed, names)
    reasons = Counter(each.why for each in told if each.verdict is Verdict.UNTOLD)
    if reasons:
        say()
        say("Cannot be told:")
        for why, count in reasons.most_common():
            say(f"  {count:>7,}  {why}")


def _print_changed(verdict: Verdict, told: Iterable[Replay], names: Mapping[str, str]) -> None:
    from smileaccess.cli.showing import LONG_ID, result  # noqa: PLC0415

    say(f"{verdict.value.capitalize()}:")
    right = ("similar", "smile")
    made = table("when", "door", "member", "was", "similar", "smile", "id", "now", right=right, fold=("now",))
    for each in told:
        attempt = each.attempt
        now = "; ".join(part for part in (each.reason.value if each.reason else "granted", each.why) if part)
        who = names.get(attempt.member_id or "", attempt.member_id or "-")
        measured = number(attempt.similarity, 2), number(attempt.smile, 0)
        row(made, local(attempt.opened_at), attempt.door, who, result(attempt), *measured, attempt.id[:LONG_ID], now)
    console().print(made)


def _to_plain(
    settings: Settings, chosen: Mapping[str, Any], counts: Counter[Verdict], told: Sequence[Replay]
) -> dict[str, Any]:
    from smileaccess.evaluation.replaying import Verdict  # noqa: PLC0415

    fields = {
        Verdict.SAME: "same",
        Verdict.NOW_DENIED: "now_denied",
        Verdict.NOW_GRANTED: "now_granted",
        Verdict.UNTOLD: "untold",
    }
    listed: dict[str, Any] = {
        field: [_replay_to_plain(each) for each in told if each.verdict is verdict]
        for verdict, field in fields.items()
        if verdict is not Verdict.SAME
    }
    return {
        "changes": _changes(settings, chosen),
        "attempts": counts.total(),
        "counts": {field: counts[verdict] for verdict, field in fields.items()},
        **listed,
    }


def _replay_to_plain(told: Replay) -> dict[str, Any]:
    from smileaccess.records.plain import attempt_to_plain  # noqa: PLC0415

    attempt = attempt_to_plain(told.attempt)
    fields = ("id", "door", "opened_at", "outcome", "reason", "member_id", "similarity", "smile", "emotion", "liveness")
    now = {"reason_now": told.reason and told.reason.value, "why": told.why}
    return {**{name: attempt[name] for name in fields}, **now}
