"""The conversation of `smileaccess doctor --commission`: asks item by item, and keeps and checks the sealed result."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smileaccess.cli.common import App, caller, emit, local, plain, say
from smileaccess.doctor import commission
from smileaccess.doctor.commission import Answer, Answered, Commissioning, Help, Item
from smileaccess.errors import SmileAccessError

if TYPE_CHECKING:
    from smileaccess.doctor.findings import Finding
    from smileaccess.records.spool import Spool

UNIT = "smileaccess.service"
WHY = "commissioning"

_KEYS = {"y": Answer.YES, "n": Answer.NO, "s": Answer.SKIPPED}


@dataclass(frozen=True, slots=True)
class Hands:
    """What the program does when it is told to: unlocks and kills the door, looks through its camera."""

    kill: Callable[[App], str]
    look: Callable[[App], list[Finding]]


def kill_door(app: App, main_process: Callable[[], int] | None = None) -> str:
    """Unlock the door and end its daemon with all its children by SIGKILL; return what was done.

    `main_process` says which process the daemon is, else systemd. The guard goes first: a daemon that outlives it for a
    moment has nothing to drive the strike with.
    """
    from smileaccess.control import ControlClient  # noqa: PLC0415

    main = (main_process or _main_process)()
    with ControlClient(Path(app.settings().control.socket)) as client:
        client.unlock(WHY)
    processes = [*_children(main), main]
    for process in processes:
        os.kill(process, signal.SIGKILL)
    return f"unlocked, and killed {len(processes)} processes ({', '.join(map(str, processes))})"


def look_through_camera(app: App) -> list[Finding]:
    """Return what the doctor finds at the camera."""
    from smileaccess import doctor  # noqa: PLC0415
    from smileaccess.doctor.findings import findings_of  # noqa: PLC0415
    from smileaccess.doctor.site import Site  # noqa: PLC0415

    with closing(Site(settings=app.settings(), path=app.path, cloud=False)) as site:
        return [finding for check in doctor.CHECKS if check.name == "camera" for finding in findings_of(check, site)]


HANDS = Hands(kill_door, look_through_camera)


def run(app: App, by: str, output: Path | None, *, as_json: bool, hands: Hands = HANDS) -> int:
    """Go through the checklist and keep the result; return the exit code."""
    from smileaccess.clock import SystemClock  # noqa: PLC0415
    from smileaccess.keys import KeyKind  # noqa: PLC0415

    settings, clock = app.settings(), SystemClock()
    commission.need_strike(settings)
    keys = app.keys(KeyKind.CHAIN)
    with app.spool(keys) as spool:
        items, began = commission.items_of(settings.pins()), clock.now()
        _tell(f'Commissioning of the door "{settings.door.name}": {len(items)} items. Ctrl-C ends it without a result.')
        by = by or _ask("Who goes through it? (for the result, not for the record)")
        conversation = Conversation(app, spool, clock.now, hands)
        answers = [conversation.answer(item, number, len(items)) for number, item in enumerate(items, 1)]
        done = Commissioning(
            settings.door.name, by, caller(), began, clock.now(), answers,
            commission.lines_of(settings), str(spool.head()),
        )  # fmt: skip
        sealed = done.sealed(keys.chain)
        path = output or _place(settings.records.database, done)
        _keep(path, sealed)
        spool.add_event(done.event(sealed))
    if as_json:
        emit(sealed)
    else:
        say()
        say(f"{done.sum}")
        say(f"{path}: the sealed result, and an event on record")
    return 0 if done.passed else 1


def verify(app: App, file: Path, *, as_json: bool) -> int:
    """Check a result's seal, and say what it holds; return the exit code."""
    from smileaccess.keys import KeyKind  # noqa: PLC0415

    settings, keys = app.settings(), app.keys(KeyKind.CHAIN)
    told = commission.verified(file, keys.chain, settings.door.name)
    with app.spool(keys) as spool:
        on_record = any(event.detail.get("seal") == told["seal"] for event in commission.on_record(spool))
    differing = commission.changed(told["gpio"], settings)
    fine = told["passed"] and on_record and not differing
    if as_json:
        emit({"ok": fine, "on_record": on_record, "changed": differing, "result": told})
        return 0 if fine else 1
    for each in told["items"]:
        more = "; ".join(part for part in (each["proof"], each["note"]) if part)
        say(f"{each['answer']:<8} {each['item']}{f': {more}' if more else ''}")
    when = local(datetime.fromisoformat(told["ended_at"]))
    say()
    say(f"the seal fits: door {told['door']}, by {told['by']} ({told['user']}), {when}")
    if not on_record:
        say("but it is not on this door's record: another record, or an older copy of it")
    if differing:
        say(f"but [gpio] has changed since: {', '.join(differing)}: commission the door again")
    say("commissioned" if fine else "not commissioned")
    return 0 if fine else 1


class Conversation:
    """Asks about one item after the other."""

    def __init__(self, app: App, spool: Spool, now: Callable[[], datetime], hands: Hands) -> None:
        self._app = app
        self._spool = spool
        self._now = now
        self._hands = hands

    def answer(self, item: Item, number: int, count: int) -> Answered:
        """Tell what to do, and return what was seen; a yes counts only with what the record must hold."""
        since = self._now()
        _tell()
        _tell(f"{number}/{count} {item.name}")
        _tell(f"  do:  {item.do}")
        _tell(f"  see: {item.see}")
        if not item.asked:
            found = commission.looked_up(item, self._spool, since)
            _tell(f"  {found.proof or 'no: see `smileaccess attempts verify`'}")
            return found
        if item.help is not None:
            self._help(item.help)
        while True:
            answer = _KEYS[_choose("  seen?", "y n s")]
            if answer is not Answer.YES:
                return Answered(item.name, answer, _note("  why? "))
            proof = "" if item.proof is None else item.proof(self._spool, since)
            if item.proof is None or proof:
                if proof:
                    _tell(f"  on record: {proof}")
                return Answered(item.name, answer, _note("  note (Enter for none)"), proof)
            _tell(f"  nothing of it is on record since {local(since)}: do it again, or answer n or s")

    def _help(self, help_: Help) -> None:
        told = "unlock the door and kill daemon and guard now" if help_ is Help.KILL else "look through the camera now"
        while _choose(f"  shall this program {told}?", "y n") == "y":
            try:
                if help_ is Help.KILL:
                    _tell(f"  {self._hands.kill(self._app)}")
                else:
                    for finding in self._hands.look(self._app):
                        _tell(f"  {finding.level}: {finding.found}{f' -> {finding.advice}' if finding.advice else ''}")
            except (SmileAccessError, OSError) as error:  # a round of an hour is not lost for it
                _tell(f"  {error}")


def _main_process() -> int:
    command = ["systemctl", "show", "--property=MainPID", "--value", UNIT]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SmileAccessError(f"systemctl: {error}: kill the processes by hand") from error
    told = shown.stdout.strip()
    if not told.isdecimal() or told == "0":
        raise SmileAccessError(f"{UNIT}: does not run: start it, or kill the processes by hand")
    return int(told)


def _children(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for each in found for child in each.read_text(encoding="ascii").split()]


def _place(database: str, done: Commissioning) -> Path:
    name = f"commissioning-{done.door}-{done.ended_at:%Y%m%dT%H%M%SZ}.json"
    return Path(database).absolute().with_name(name)


def _keep(path: Path, sealed: dict[str, Any]) -> None:
    from smileaccess.durable import write_new  # noqa: PLC0415

    try:
        write_new(path, commission.as_text(sealed), 0o600)
    except FileExistsError as error:
        raise SmileAccessError(f"--output {path}: exists: give another name") from error
    except OSError as error:
        raise SmileAccessError(f"--output {path}: {error.strerror}: give a place that you may write") from error


def _tell(line: str = "") -> None:
    """Say something to whoever is asked: on standard error, since standard output is for the result."""
    click.echo(plain(line), err=True)


def _ask(question: str) -> str:
    answer: str = click.prompt(question, err=True)
    return answer.strip()[: commission.LONGEST_NOTE]


def _choose(question: str, letters: str) -> str:
    answer: str = click.prompt(question, type=click.Choice(letters.split(), case_sensitive=False), err=True)
    return answer.lower()


def _note(question: str) -> str:
    answer: str = click.prompt(question, default="", show_default=False, err=True)
    return answer.strip()[: commission.LONGEST_NOTE]
