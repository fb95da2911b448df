"""`smileaccess door`: what an operator asks of the running daemon, over its socket."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smileaccess.cli.common import (
    App,
    console,
    counted,
    emit,
    json_option,
    local,
    number,
    pass_app,
    row,
    say,
    seconds_of,
    table,
    why_option,
)
from smileaccess.cli.doors import list_, register, revoke

if TYPE_CHECKING:
    from rich.table import Table

    from smileaccess.control import ControlClient


@click.group(short_help="Ask the running door; let doors into the central database.")
def door() -> None:
    """Ask the running door, over its socket; register and revoke doors at the central database.

    Who may do what is settled by the system groups in [control] of the settings, and every use is put on record
    with who and why.

    \b
    Example:
      smileaccess door status
      smileaccess door unlock --why "delivery, seen at the window"
      smileaccess door lock --why "break-in next door"
      smileaccess door hold --for 30m --why "moving furniture"
      smileaccess door release --why "it is over"
    """


door.add_command(register)
door.add_command(revoke)
door.add_command(list_)


def _client(app: App) -> ControlClient:
    from smileaccess.control import ControlClient  # noqa: PLC0415 -- with the settings and structlog

    return ControlClient(Path(app.settings().control.socket))


@door.command()
@json_option
@why_option
@pass_app
def status(app: App, as_json: bool, why: str) -> None:
    """Show how the door stands.

    \b
    Example:
      smileaccess door status --json
    """
    with _client(app) as client:
        told = client.status(why)
    if as_json:
        emit(told)
        return
    console().print(table_of(told))


def table_of(told: dict[str, Any]) -> Table:
    """Return how the door stands as a table whose labels stay whole and whose values fold."""
    shown = table("part", "state", fold=("state",), least={"part": 14})
    shown.show_header = False
    for name, value in lines(told):
        row(shown, name, value)
    return shown


def lines(told: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a status says, as labels and values for people."""
    last = told["last"]
    found = [
        ("door", told["door"]),
        ("strike", told["strike"]),
        ("busy", "no" if told["phase"] == "idle" else told["phase"]),
        ("locked by", _lock(told["operator_lock"])),
        ("held unlocked", _held(told["held"])),
        *_office_hours(told["office_hours"]),
        ("locked out", f"for {told['locked_out_s']:.0f} s" if told["locked_out_s"] else "no"),
        *_inputs(told),
        ("active members", str(told["members"])),
        ("recognizer", _recognizer(told["recognizer"])),
        ("liveness", told["liveness"]),
        ("running since", local(datetime.fromisoformat(told["started_at"]))),
        ("last attempt", "none since the start" if last is None else _last(last)),
        *_spending(told["spending"]),
        *_central(told["central"]),
    ]
    if told["sensor_rests_s"]:
        found.append(("approach sensor", f"rests for {told['sensor_rests_s']:.0f} s: it fired without a face"))
    return [(name, str(value)) for name, value in found]


def _lock(told: dict[str, Any] | None) -> str:
    return "nobody" if told is None else f"{told['who']}, since {local(datetime.fromisoformat(told['since']))}"


def _held(told: dict[str, Any] | None) -> str:
    if told is None:
        return "no"
    by = {"hold": "by an operator", "office_hours": "for office hours"}[told["cause"]]
    return f"{by}, for another {_ago(told['for_s'])}"


def _office_hours(told: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return whether it is office hours, where there are any."""
    if told is None:
        return []
    if told["until"] is None:
        return [("office hours", "not now")]
    until = f"until {local(datetime.fromisoformat(told['until']))}"
    if told["ended_by_operator"]:
        return [("office hours", f"ended by an operator, {until}")]
    return [("office hours", until if told["on"] else f"{until}, from the first member in on")]


def _inputs(told: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what the inputs say that the panel has."""
    found = []
    if told["contact"] is not None:
        found.append(("door contact", told["contact"] + (": in alarm, close it" if told["door_alarm"] else "")))
    if told["tamper"] is not None:
        found.append(("tamper loop", "open: go and look" if told["tamper"] else "closed"))
    if told["fire"] is not None:
        found.append(("fire alarm", "ALARM" if told["fire"] else "quiet"))
    return found


def _recognizer(told: dict[str, Any]) -> str:
    if told["fallback_s"] is None:
        return str(told["name"])
    opens = "" if told["fallback_opens"] else " (may not open: [recognition] fallback_opens = false)"
    return f"{told['active']}{opens}, since {told['name']} failed {told['fallback_s']:.0f} s ago: {told['cause']}"


def _central(told: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return how it goes with the central database, where there is one."""
    if told is None:
        return []
    since = _ago(told["for_s"])
    found = [
        ("central database", f"connected for {since}" if told["connected"] else f"away for {since}: {told['cause']}")
    ]
    if told["waiting"] is not None:
        aside = f", {told['set_aside']} refused: see `smileaccess database status`" if told["set_aside"] else ""
        found.append(("to be delivered", f"{counted(told['waiting'], 'row')}{aside}"))
    stale = ": too old, the door opens to nobody" if told["members_stale"] else ""
    found.append(("members' list", f"compared {_ago(told['members_age_s'])} ago{stale}"))
    return found


def _ago(seconds: float) -> str:
    """Return a length of time for people."""
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def _spending(told: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return what billed calls have cost, where any can be made."""
    if told is None:
        return []
    caps = told["caps"]
    found = [
        ("spent today", _spent(told["today"], caps["calls_per_day"], caps["money_per_day"])),
        ("this month", _spent(told["this_month"], caps["calls_per_month"], caps["money_per_month"])),
    ]
    if told["reached"]:
        found.append(("cap reached", f"[spending] {told['reached']}: raise it, or wait"))
    return found


def _spent(spent: dict[str, Any], calls: float, money: float) -> str:
    caps = [f"{calls:.0f} calls"] * bool(calls) + [f"{money:.2f}"] * bool(money)
    most = f" (at most {', '.join(caps)})" if caps else " (no cap)"
    return f"{spent['money']:.3f} for {spent['calls']} billed calls{most}"


def _last(last: dict[str, Any]) -> str:
    told = last["reason"] if "reason" in last else last["outcome"]
    after = f" after {last['duration_ms'] / 1000:.1f} s" if "duration_ms" in last else ""
    similarity = f", similarity {number(last['similarity'])}" if "similarity" in last else ""
    return f"{told}{after}{similarity}; see: smileaccess attempts show {last['id']}"


@door.command()
@json_option
@why_option
@pass_app
def attempt(app: App, as_json: bool, why: str) -> None:
    """Start an attempt, as the entry button does, and print its id.

    \b
    Example:
      smileaccess door attempt --why "button is broken"
    """
    with _client(app) as client:
        attempt_id = client.attempt(why)
    if as_json:
        emit({"attempt": attempt_id})
    else:
        say(f"attempt {attempt_id} began; see it with: smileaccess attempts show {attempt_id}")


reason_option = click.option("--why", required=True, metavar="TEXT", help="Why, for the record (no names, please).")


def _need(why: str) -> None:
    if not why.strip():
        raise click.BadParameter("must say why, for the record", param_hint="--why")


@door.command()
@reason_option
@pass_app
def unlock(app: App, why: str) -> None:
    """Energize the strike once, for the door's usual time.

    \b
    Example:
      smileaccess door unlock --why "delivery, seen at the window"
    """
    _need(why)
    with _client(app) as client:
        client.unlock(why)
    say("unlocked; it locks again by itself, where it is not held (`smileaccess door status`)")


@door.command()
@reason_option
@pass_app
def lock(app: App, why: str) -> None:
    """Let nobody in until `door release`; the way out works.

    A restart does not end it.

    \b
    Example:
      smileaccess door lock --why "break-in next door, police on site"
    """
    _need(why)
    with _client(app) as client:
        client.lock(why)
    say("locked: nobody is let in until `smileaccess door release`; the way out works")


@door.command()
@click.option(
    "--for", "seconds", required=True, metavar="TIME", callback=seconds_of, help="For how long: 90s, 30m, 2h."
)
@reason_option
@pass_app
def hold(app: App, seconds: float, why: str) -> None:
    """Hold the door unlocked for a while; it locks again by itself.

    \b
    Example:
      smileaccess door hold --for 30m --why "moving furniture, somebody at the door"
    """
    _need(why)
    with _client(app) as client:
        client.hold(why, seconds)
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    say(f"held unlocked until {local(until)}, or as long as it was before; `smileaccess door release` ends it earlier")


@door.command()
@json_option
@reason_option
@pass_app
def release(app: App, as_json: bool, why: str) -> None:
    """End an operator's lock, a hold and a lock-out.

    \b
    Example:
      smileaccess door release --why "it was our own guest"
    """
    _need(why)
    with _client(app) as client:
        ended = client.release(why)
    if as_json:
        emit({"ended": ended})
    else:
        say(f"released: {', '.join(ended)}" if ended else "there was nothing to release")
