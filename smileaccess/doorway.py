"""The door contact's story as a pure function: who was let in and came, who did not, what was forced or left open.

It moves no strike and hears no line: (state, event, now) -> (state, remarks, next deadline). What an opening means
depends on what the strike was energized for at that moment, which it is told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

GRACE_S = 1.0
"""Seconds after the relock in which an opening still belongs to what the strike was energized for: the contact is
debounced, a strike lets go slowly, and a door that falls shut springs back once."""

FOUND_S = 2.0
"""Seconds after the start in which a contact that reads open was open before: the panel reports it at once."""

ENTRIES = frozenset({"granted", "operator"})
"""What somebody is let in by, and therefore expected to open the door."""


@dataclass(frozen=True, slots=True)
class DoorwayRules:
    """Whether there is a contact, how long the door may stay open (seconds), and what else is drawn from it.

    `forced` says whether an opening without a cause is an alarm: it takes an input that tells of whoever goes out.
    `relock_on_close` locks as soon as who was let through has closed the door.
    """

    contact: bool = False
    held_open_s: float = 30.0
    forced: bool = False
    relock_on_close: bool = True


@dataclass(frozen=True, slots=True)
class Passage:
    """What the strike was energized for, and until when an opening belongs to it (monotonic seconds).

    `attempt` is the id of the attempt that was granted. Once it is `used`, nobody is waited for any more; `opened` says
    that the door was opened for it, and did not stand open before; `shared`, that somebody else goes out meanwhile.
    """

    cause: str
    attempt: str | None
    until: float
    used: bool = False
    opened: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Doorway:
    """The state; times are monotonic seconds.

    `opened_at` is set while the door is open, `too_long_at` while that is not yet too long, `alarmed` once it is.
    `forced` stays until the door is closed, `held` while the door is held unlocked. Until `settles_at` the first
    report of an open door tells how it was found.
    """

    settles_at: float
    opened_at: float | None = None
    too_long_at: float | None = None
    alarmed: bool = False
    forced: bool = False
    held: bool = False
    passage: Passage | None = None

    @classmethod
    def at(cls, now: float) -> Doorway:
        """Return the state at the start: closed, until the contact says otherwise."""
        return cls(settles_at=now + FOUND_S)

    @property
    def in_alarm(self) -> bool:
        """Whether somebody has to go and close it."""
        return self.alarmed or self.forced


@dataclass(frozen=True, slots=True)
class Freed:
    """The strike was energized for `for_s` seconds."""

    cause: str
    for_s: float
    attempt: str | None = None


@dataclass(frozen=True, slots=True)
class Relocked:
    """The strike was de-energized."""


@dataclass(frozen=True, slots=True)
class HoldBegan:
    """The door is held unlocked from now on."""


@dataclass(frozen=True, slots=True)
class HoldStopped:
    """It is not any more."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The contact says that the door was opened."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The contact says that the door was closed."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing happened but time."""


DoorwayEvent = Freed | Relocked | HoldBegan | HoldStopped | Opened | Closed | TimePassed


@dataclass(frozen=True, slots=True)
class Entered:
    """Who was let in has opened the door; `stood_open` says that it was open already, so that nobody can tell."""

    cause: str
    attempt: str | None
    stood_open: bool = False


@dataclass(frozen=True, slots=True)
class NotEntered:
    """Who was let in has not opened the door."""

    cause: str
    attempt: str | None


@dataclass(frozen=True, slots=True)
class ForcedOpen:
    """The door was opened, and nothing had unlocked it."""


@dataclass(frozen=True, slots=True)
class HeldOpen:
    """The door has been open for too long."""

    for_s: float


@dataclass(frozen=True, slots=True)
class HeldOpenOver:
    """The door that was open for too long is closed."""

    for_s: float


@dataclass(frozen=True, slots=True)
class RelockNow:
    """Who was let through has closed the door: nothing is gained by a strike that stays energized."""


Remark = Entered | NotEntered | ForcedOpen | HeldOpen | HeldOpenOver | RelockNow


def step(
    doorway: Doorway, event: DoorwayEvent, now: float, rules: DoorwayRules
) -> tuple[Doorway, tuple[Remark, ...], float | None]:
    """Return the state after `event` at `now`, what is to be told of it in that order, and when to come back.

    Time is dealt with first. Without a contact nothing is ever told: nobody knows.
    """
    if not rules.contact:
        return doorway, (), None
    doorway, remarks = _pass_time(doorway, now)
    doorway, more = _react(doorway, event, now, rules)
    return doorway, (*remarks, *more), next_deadline(doorway)


def next_deadline(doorway: Doorway) -> float | None:
    """Return when time alone will next bring a remark (monotonic seconds), or None."""
    passage = doorway.passage.until if doorway.passage is not None else None
    return min((t for t in (passage, doorway.too_long_at) if t is not None), default=None)


def _pass_time(doorway: Doorway, now: float) -> tuple[Doorway, tuple[Remark, ...]]:
    remarks: tuple[Remark, ...] = ()
    passage = doorway.passage
    if passage is not None and now >= passage.until:
        doorway, remarks = replace(doorway, passage=None), _missed(passage)
    opened_at, too_long_at = doorway.opened_at, doorway.too_long_at
    if opened_at is not None and too_long_at is not None and now >= too_long_at:
        doorway = replace(doorway, too_long_at=None, alarmed=True)
        remarks = (*remarks, HeldOpen(now - opened_at))
    return doorway, remarks


def _missed(passage: Passage | None) -> tuple[Remark, ...]:
    """Return what there is to tell of a passage that is over."""
    if passage is None or passage.used or passage.cause not in ENTRIES:
        return ()
    return (NotEntered(passage.cause, passage.attempt),)


def _react(
    doorway: Doorway, event: DoorwayEvent, now: float, rules: DoorwayRules
) -> tuple[Doorway, tuple[Remark, ...]]:
    match event:
        case Freed():
            return _free(doorway, event, now)
        case Relocked() if doorway.passage is not None:
            until = min(doorway.passage.until, now + GRACE_S)
            return replace(doorway, passage=replace(doorway.passage, until=until)), ()
        case HoldBegan():
            return replace(doorway, held=True, too_long_at=None), ()
        case HoldStopped() if doorway.held:
            return _stop_hold(doorway, now, rules), ()
        case Opened() if doorway.opened_at is None:
            return _open(doorway, now, rules)
        case Closed() if doorway.opened_at is not None:
            return _close(doorway, doorway.opened_at, now, rules)
        case _:
            return doorway, ()


def _free(doorway: Doorway, event: Freed, now: float) -> tuple[Doorway, tuple[Remark, ...]]:
    until = now + event.for_s + GRACE_S
    before = doorway.passage
    if before is not None and not before.used and before.cause in ENTRIES and event.cause not in ENTRIES:
        # Somebody goes out while another one is expected: whoever opens, the one who was let in may come.
        return replace(doorway, passage=replace(before, until=max(before.until, until), shared=True)), ()
    stands_open = doorway.opened_at is not None
    # Who is still going out may be the one who opens and closes: that locks nobody out who was let in meanwhile.
    leaving = before is not None and before.cause not in ENTRIES and not before.opened
    shared = leaving and not stands_open and event.cause in ENTRIES
    doorway = replace(doorway, passage=Passage(event.cause, event.attempt, until, used=stands_open, shared=shared))
    told = _missed(before)
    if stands_open and event.cause in ENTRIES:
        told = (*told, Entered(event.cause, event.attempt, stood_open=True))
    return doorway, told


def _stop_hold(doorway: Doorway, now: float, rules: DoorwayRules) -> Doorway:
    doorway = replace(doorway, held=False)
    if doorway.opened_at is not None and not doorway.alarmed:
        doorway = replace(doorway, too_long_at=now + rules.held_open_s)
    if doorway.passage is None:
        doorway = replace(doorway, passage=Passage("hold", None, now + GRACE_S, used=True))
    return doorway


def _open(doorway: Doorway, now: float, rules: DoorwayRules) -> tuple[Doorway, tuple[Remark, ...]]:
    passage, found = doorway.passage, now < doorway.settles_at
    doorway = replace(
        doorway,
        opened_at=now,
        too_long_at=None if doorway.held else now + rules.held_open_s,
        settles_at=float("-inf"),
    )
    if passage is not None:
        doorway = replace(doorway, passage=replace(passage, used=True, opened=True))
        told = passage.cause in ENTRIES and not passage.used
        return doorway, (Entered(passage.cause, passage.attempt),) if told else ()
    if doorway.held or found or not rules.forced:
        return doorway, ()
    return replace(doorway, forced=True), (ForcedOpen(),)


def _close(doorway: Doorway, opened_at: float, now: float, rules: DoorwayRules) -> tuple[Doorway, tuple[Remark, ...]]:
    told: tuple[Remark, ...] = (HeldOpenOver(now - opened_at),) if doorway.alarmed else ()
    passage = doorway.passage
    doorway = replace(doorway, opened_at=None, too_long_at=None, alarmed=False, forced=False)
    alone = passage is not None and passage.opened and not passage.shared
    if rules.relock_on_close and passage is not None and alone and not doorway.held:
        doorway = replace(doorway, passage=replace(passage, until=min(passage.until, now + GRACE_S)))
        told = (*told, RelockNow())
    return doorway, told
