"""What may stand in the controller's queue: inputs, requests, changes, and the results of its workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smileaccess.conduct import Conduct
    from smileaccess.errors import RecordsError
    from smileaccess.model import Attempt, ChainHead, DoorEvent, DoorInput, Examination, Member, Sight, Trigger


@dataclass(frozen=True, slots=True)
class Pressed:
    """An input of the panel."""

    input: DoorInput


@dataclass(frozen=True, slots=True)
class Summoned:
    """Somebody asks for an attempt by another way than the panel; `answer` gets its id, or None when busy."""

    trigger: Trigger
    answer: Callable[[str | None], None]


@dataclass(frozen=True, slots=True)
class UnlockAsked:
    """An operator wants the strike energized; `answer` gets why it was not, or an empty text."""

    event: DoorEvent
    expires: float
    answer: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class HoldAsked:
    """The door is to be held unlocked for `for_s` seconds; `answer` gets why it is not, or an empty text.

    `cause` is `hold`, an operator's, or `office_hours`.
    """

    event: DoorEvent
    for_s: float
    cause: str
    expires: float
    answer: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LockAsked:
    """An operator wants nobody let in: it holds at once; `answer` gets why it is not on record, or an empty text."""

    event: DoorEvent
    answer: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ReleaseAsked:
    """An operator takes lock, hold and lock-out back.

    `answer` gets why that was not done, or an empty text, and what of them has ended.
    """

    event: DoorEvent
    expires: float
    answer: Callable[[tuple[str, tuple[str, ...]]], None]


Order = UnlockAsked | HoldAsked | LockAsked | ReleaseAsked
"""What goes on record because it is to be done."""


@dataclass(frozen=True, slots=True)
class StatusAsked:
    """Somebody wants to know how the door stands."""

    answer: Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Noted:
    """Something to be put on record as soon as possible."""

    event: DoorEvent


@dataclass(frozen=True, slots=True)
class MembersChanged:
    """The members' list, verified, as it is from now on."""

    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class ConductChanged:
    """Other rules from now on; an attempt under way ends under those that it began with."""

    conduct: Conduct


@dataclass(frozen=True, slots=True)
class StopAsked:
    """The daemon stops."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The eyes have looked at a frame."""

    attempt: str
    sight: Sight


@dataclass(frozen=True, slots=True)
class Answered:
    """The recognizer has answered."""

    attempt: str
    examination: Examination


@dataclass(frozen=True, slots=True)
class Opened:
    """The attempt's row is open."""

    attempt: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The attempt's row is complete and durable."""

    attempt: Attempt
    head: ChainHead


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order is on record, or could not be put there."""

    asked: Order
    error: RecordsError | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """A worker failed an attempt; `closing` says that its decision was being recorded."""

    attempt: str
    error: Exception
    closing: bool = False


Event = (
    Pressed
    | Summoned
    | Order
    | StatusAsked
    | Noted
    | MembersChanged
    | ConductChanged
    | StopAsked
    | Seen
    | Answered
    | Opened
    | Closed
    | Ordered
    | Broken
)
