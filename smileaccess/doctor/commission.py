"""The checklist before a door is trusted: what to do, what must be seen, and the sealed result; it asks nobody itself.

What the record can prove is looked up there rather than believed. The result is sealed with the door's chain key
(docs/commissioning.md): whoever lacks it can neither make one nor change an answer unseen.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smileaccess import __version__
from smileaccess.encoding import stamp
from smileaccess.errors import ChainBroken, SmileAccessError
from smileaccess.model import FAULTS, DoorEvent, Outcome, Trigger, uuid7
from smileaccess.records.chain import seal

if TYPE_CHECKING:
    from smileaccess.model import Attempt
    from smileaccess.pins import Pins
    from smileaccess.records.spool import Spool
    from smileaccess.settings import Settings

FORMAT = "smileaccess-commissioning-1"
PURPOSE = "commissioning"
"""What the seal is for: a key of its own is derived for each purpose."""

LONGEST_NOTE = 500
LONGEST_FILE = 100_000


class Answer(StrEnum):
    """What was seen, as somebody says."""

    YES = "yes"
    NO = "no"
    SKIPPED = "skipped"


class Help(StrEnum):
    """What the program does for an item when it is told to."""

    KILL = "kill"
    LOOK = "look"


Proof = Callable[["Spool", datetime], str]
"""Looks up since when something is on record; empty where it is not."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item: what to do and what must be seen then.

    `proof` is looked up on record: without it a yes does not count. `asked` is false where the record alone answers.
    `part` is a part of [gpio] without which there is nothing to try.
    """

    name: str
    do: str
    see: str
    proof: Proof | None = None
    asked: bool = True
    part: str = ""
    help: Help | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """An item's answer; `note` is what somebody said, `proof` what the record says."""

    item: str
    answer: Answer
    note: str = ""
    proof: str = ""


def rex_on_record(spool: Spool, since: datetime) -> str:
    """Return the request to exit since a time, empty without one."""
    return next((f"rex at {stamp(event.at)}" for event in spool.events(since=since) if event.kind == "rex"), "")


def pressed_on_record(spool: Spool, since: datetime) -> str:
    """Return the attempt that the entry button opened since a time, empty without one."""
    return _told(each for each in spool.attempts(since=since) if each.trigger is Trigger.BUTTON)


def granted_on_record(spool: Spool, since: datetime) -> str:
    """Return the attempt that was granted since a time, empty without one."""
    return _told(spool.attempts(since=since, outcome=Outcome.GRANTED))


def denied_on_record(spool: Spool, since: datetime) -> str:
    """Return the attempt that was denied to a person since a time, empty without one: a fault denies nobody."""
    denied = spool.attempts(since=since, outcome=Outcome.DENIED)
    return _told(each for each in denied if each.reason not in FAULTS)


def record_verifies(spool: Spool, since: datetime) -> str:  # noqa: ARG001 -- a proof takes a time
    """Check the whole chain and return its head; empty where it is broken."""
    try:
        count = spool.verify()
    except ChainBroken:
        return ""
    return f"{count} links, head {spool.head()}"


ITEMS = (
    Item(
        "locked_at_power_up",
        "Switch the supply of everything off for ten seconds and on again, and watch the strike until the door is "
        "ready. (If this ends the checklist, begin again: it need not be done twice.)",
        "the strike stayed locked all the time",
    ),
    Item(
        "locked_on_reboot",
        "Run `sudo reboot` while somebody watches the strike. (The same: it need not be done twice.)",
        "the strike stayed locked all the time, and the door was ready again without anybody's help",
    ),
    Item(
        "locked_on_kill",
        "While the strike is energized, end the daemon and the strike's guard with SIGKILL, both at once. This program "
        "can unlock the door and do that.",
        "the strike locked at once or within two seconds, and the door was ready again by itself",
        help=Help.KILL,
    ),
    Item(
        "handle_opens_without_power",
        "Close the door, switch off the power of the strike and of the Raspberry Pi, and go out by the inside handle.",
        "the handle alone opened the door",
    ),
    Item(
        "rex_opens",
        "Press the request to exit.",
        "the strike opened at once, and locked again by itself",
        proof=rex_on_record,
        part="rex",
    ),
    Item(
        "entry_button_starts",
        "Press the entry button.",
        "lamps or buzzer answered at once",
        proof=pressed_on_record,
        part="entry",
    ),
    Item(
        "camera_sees",
        "Have a short and a tall person stand where people will stand, by day and with the lamp that is on by night. "
        "This program can look through the camera.",
        "the whole face of either is in the picture, lit from the front",
        help=Help.LOOK,
    ),
    Item(
        "member_is_granted",
        "Have a member come in.",
        "the strike opened after the smile, and locked again by itself",
        proof=granted_on_record,
    ),
    Item(
        "others_are_denied",
        "Have somebody try who is no member, or a member who does not smile.",
        "the strike stayed locked",
        proof=denied_on_record,
    ),
    Item(
        "record_verifies",
        "Nothing: the record is checked now.",
        "every row is as it was written",
        proof=record_verifies,
        asked=False,
    ),
)
"""The checklist, in its order; docs/commissioning.md explains each item."""


def items_of(pins: Pins) -> tuple[Item, ...]:
    """Return the items that concern a door with these lines."""
    connected = pins.connected()
    return tuple(item for item in ITEMS if not item.part or item.part in connected)


def need_strike(settings: Settings) -> None:
    """Refuse a door that has no strike to try."""
    if settings.panel.kind != "gpio":
        raise SmileAccessError(
            f'commissioning: [panel] kind = "{settings.panel.kind}": has no strike to try: wire one and set "gpio"'
        )


def looked_up(item: Item, spool: Spool, since: datetime) -> Answered:
    """Answer an item that the record alone answers."""
    proof = item.proof(spool, since) if item.proof is not None else ""
    return Answered(item.name, Answer.YES if proof else Answer.NO, proof=proof)


@dataclass(frozen=True, slots=True)
class Commissioning:
    """A whole round: which door, who, from when to when, the answers, the lines of [gpio], and the record's head."""

    door: str
    by: str
    user: str
    began_at: datetime
    ended_at: datetime
    answers: Sequence[Answered]
    gpio: Mapping[str, Any]
    head: str

    @property
    def passed(self) -> bool:
        """Whether every item was seen: one that failed or was skipped leaves the door not commissioned."""
        return bool(self.answers) and all(each.answer is Answer.YES for each in self.answers)

    @property
    def sum(self) -> str:
        """What came of it, in a line."""
        if self.passed:
            return f"commissioned: {len(self.answers)} of {len(self.answers)} items seen"
        open_ = ", ".join(f"{each.item} ({each.answer})" for each in self.answers if each.answer is not Answer.YES)
        return f"not commissioned: {open_ or 'no item was answered'}"

    def sealed(self, key: bytes) -> dict[str, Any]:
        """Return it as plain values with its seal."""
        body = {
            "format": FORMAT,
            "version": __version__,
            "door": self.door,
            "by": self.by,
            "user": self.user,
            "began_at": stamp(self.began_at),
            "ended_at": stamp(self.ended_at),
            "passed": self.passed,
            "items": [
                {"item": each.item, "answer": each.answer.value, "note": each.note, "proof": each.proof}
                for each in self.answers
            ],
            "gpio": dict(self.gpio),
            "head": self.head,
        }
        return {**body, "seal": seal(key, PURPOSE, body)}

    def event(self, sealed: Mapping[str, Any]) -> DoorEvent:
        """Return what goes on record: each item with its answer, and the seal; no name."""
        detail = {
            "passed": self.passed,
            "items": {each.item: each.answer.value for each in self.answers},
            "gpio": dict(self.gpio),
            "seal": sealed["seal"],
        }
        return DoorEvent(uuid7(), self.door, self.ended_at, "commissioned", self.user, self.sum, detail)


def as_text(sealed: Mapping[str, Any]) -> str:
    """Return a sealed result as the text of its file: ASCII, so that no terminal acts on it."""
    return json.dumps(sealed, indent=2) + "\n"


def verified(path: Path, key: bytes, door: str) -> dict[str, Any]:
    """Read a result and return it once its seal fits; SmileAccessError where it does not."""
    try:
        with path.open(encoding="ascii") as file:
            told = json.loads(file.read(LONGEST_FILE))
    except OSError as error:
        raise SmileAccessError(
            f"commissioning: {path}: {error.strerror}: name a file of `doctor --commission`"
        ) from error
    except ValueError as error:
        raise SmileAccessError(f"commissioning: {path}: no result of a commissioning: {error}") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise SmileAccessError(f"commissioning: {path}: no result of a commissioning: its format is not {FORMAT}")
    body = {name: value for name, value in told.items() if name != "seal"}
    try:
        fits = hmac.compare_digest(seal(key, PURPOSE, body), str(told.get("seal")))
    except (TypeError, ValueError):  # of a value that was never sealed
        fits = False
    if not fits:
        raise SmileAccessError(
            f"commissioning: {path}: its seal does not fit: it was changed, or sealed with another door's key"
        )
    if told["door"] != door:
        raise SmileAccessError(f"commissioning: {path}: of the door {told['door']}, not of {door}")
    return told


def on_record(spool: Spool) -> Iterator[DoorEvent]:
    """Yield every commissioning on record, newest first."""
    return (event for event in spool.events() if event.kind == "commissioned")


def changed(gpio: Mapping[str, Any], settings: Settings) -> list[str]:
    """Return the names in [gpio] that are no longer as they were commissioned."""
    now = lines_of(settings)
    return sorted(name for name in now.keys() | gpio.keys() if now.get(name) != gpio.get(name))


def lines_of(settings: Settings) -> dict[str, Any]:
    """Return [gpio] as plain values."""
    plain: dict[str, Any] = settings.gpio.model_dump(mode="json")
    return plain


def _told(attempts: Iterator[Attempt]) -> str:
    for each in attempts:
        if each.closed_at is not None:
            return f"attempt {each.id}: {each.outcome}" + (f", {each.reason}" if each.reason else "")
    return ""
