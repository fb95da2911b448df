"""The door as a pure function: a state, an event and the time make a new state, commands and the next deadline.

It decides when an attempt may begin, when it is over, and when the strike moves; it drives nothing itself. The
strike has its own part of the state: a REX energizes it whatever else is going on, and an operator's hold, or office
hours, energize it anew in turns for as long as they last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from smileaccess.model import Decision, Outcome, Reason, Trigger


class Phase(StrEnum):
    """What the door is doing about attempts."""

    IDLE = "idle"
    EXAMINING = "examining"
    RECORDING = "recording"
    COOLING = "cooling"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class DoorRules:
    """Seconds: how long the strike is energized, an attempt may last, and the door rests after one.

    A door that is held unlocked is energized for `turn_s` at a time, at most what the strike's guard allows, and rests
    for `gap_s` between two turns, so that a timer relay behind it begins anew.
    """

    unlock_s: float = 5.0
    attempt_s: float = 10.0
    cool_down_s: float = 1.0
    turn_s: float = 10.0
    gap_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Hold:
    """Until when the door is held unlocked (monotonic seconds); `cause` is `hold`, an operator's, or `office_hours`."""

    until: float
    cause: str


@dataclass(frozen=True, slots=True)
class Door:
    """The state; times are monotonic seconds.

    `attempt` and `deadline` are set while EXAMINING and RECORDING, `decision` while RECORDING, `rested_at` while
    COOLING, `relock_at` while the strike is energized, `rex_until` while that is for a REX. `hold` is set while the
    door is held unlocked, and `renew_at` where another turn of it follows. While `locked` by an operator it opens to a
    REX only.
    """

    phase: Phase = Phase.IDLE
    attempt: str | None = None
    deadline: float | None = None
    decision: Decision | None = None
    rested_at: float | None = None
    relock_at: float | None = None
    rex_until: float | None = None
    hold: Hold | None = None
    renew_at: float | None = None
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Requested:
    """Somebody wants in; `attempt` is the id that the attempt would have."""

    attempt: str
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class Decided:
    """Policy has judged the attempt."""

    attempt: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Recorded:
    """The attempt's decision is durable."""

    attempt: str


@dataclass(frozen=True, slots=True)
class NotRecorded:
    """The attempt's decision could not be put on record."""

    attempt: str


@dataclass(frozen=True, slots=True)
class RexPressed:
    """Somebody wants out."""


@dataclass(frozen=True, slots=True)
class UnlockRecorded:
    """An operator's unlock is durable; it is stale after `expires` (monotonic seconds)."""

    expires: float


@dataclass(frozen=True, slots=True)
class HoldRecorded:
    """That the door is to be held unlocked is durable; it is stale after `expires` (monotonic seconds)."""

    hold: Hold
    expires: float


@dataclass(frozen=True, slots=True)
class HoldEnded:
    """The door is held unlocked no longer; `why` is for the record."""

    why: str


@dataclass(frozen=True, slots=True)
class LockOrdered:
    """An operator has locked the door: it opens to a REX only."""


@dataclass(frozen=True, slots=True)
class LockReleased:
    """An operator has taken the lock back."""


@dataclass(frozen=True, slots=True)
class Shut:
    """Who was let through has opened the door and closed it again."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing happened but time."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The daemon stops; nothing starts the door again but a new process."""


DoorEvent = (
    Requested
    | Decided
    | Recorded
    | NotRecorded
    | RexPressed
    | UnlockRecorded
    | HoldRecorded
    | HoldEnded
    | LockOrdered
    | LockReleased
    | Shut
    | TimePassed
    | Stopped
)


@dataclass(frozen=True, slots=True)
class Begin:
    """Open the attempt's row, wake the eyes, show that the door is looking."""

    attempt: str
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class Expire:
    """The attempt's time is up: judge it as it stands, now."""

    attempt: str


@dataclass(frozen=True, slots=True)
class Record:
    """Complete the attempt's row."""

    attempt: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Lapse:
    """The decision was not on record in time, or an operator locked the door meanwhile: what was granted stays shut.

    A grant becomes a denial with `reason`.
    """

    attempt: str
    decision: Decision
    reason: Reason = Reason.RECORDS_UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Energize:
    """Energize the strike for at most so many seconds; the cause of another turn of a hold is `renewed`."""

    for_s: float
    cause: str


@dataclass(frozen=True, slots=True)
class Pause:
    """De-energize the strike for a moment, between two turns of a hold."""


@dataclass(frozen=True, slots=True)
class HoldOver:
    """Tell that the door is held unlocked no longer, and why."""

    cause: str
    why: str


@dataclass(frozen=True, slots=True)
class DeEnergize:
    """De-energize the strike."""


@dataclass(frozen=True, slots=True)
class Announce:
    """Show the decision at the door."""

    attempt: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Rest:
    """Show that the door is locked and waits."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """The attempt ends because the daemon stops: record it as denied."""

    attempt: str


Command = Begin | Expire | Record | Lapse | Energize | DeEnergize | Pause | HoldOver | Announce | Rest | Abandon


def step(door: Door, event: DoorEvent, now: float, rules: DoorRules) -> tuple[Door, tuple[Command, ...], float | None]:
    """Return the state after `event` at `now`, what to do about it in that order, and when to come back at the latest.

    Time is dealt with first, so that an event which comes after a deadline finds the door as the deadline left it.
    An event that fits no state (a result of an attempt that is over) changes nothing.
    """
    if isinstance(event, HoldEnded | LockOrdered | Stopped):
        door = replace(door, renew_at=None)  # no turn begins at the moment that the hold ends
    door, commands = _pass_time(door, now, rules)
    door, more = _react(door, event, now, rules)
    return door, (*commands, *more), next_deadline(door)


def next_deadline(door: Door) -> float | None:
    """Return when time alone will next change the door (monotonic seconds), or None."""
    held_until = door.hold.until if door.hold is not None else None
    times = [t for t in (door.deadline, door.rested_at, door.relock_at, door.renew_at, held_until) if t is not None]
    return min(times) if times else None


def _pass_time(door: Door, now: float, rules: DoorRules) -> tuple[Door, tuple[Command, ...]]:
    door, commands = _pass_strike_time(door, now, rules)
    attempt = door.attempt
    if attempt is not None and door.deadline is not None and now >= door.deadline:
        if door.decision is not None:
            commands.append(Lapse(attempt, door.decision))
            door = _cool(door, now + rules.cool_down_s)
        else:
            commands.append(Expire(attempt))
            # The judgment comes back at once as Decided; until then there is nothing to wake up for.
            door = replace(door, deadline=None)
    if door.rested_at is not None and now >= door.rested_at:
        door = replace(door, phase=Phase.IDLE, rested_at=None)
        commands.append(Rest())
    return door, tuple(commands)


def _pass_strike_time(door: Door, now: float, rules: DoorRules) -> tuple[Door, list[Command]]:
    commands: list[Command] = []
    held = door.hold is not None and now < door.hold.until
    if door.relock_at is not None and now >= door.relock_at:
        door = replace(door, relock_at=None, rex_until=None)
        commands.append(Pause() if held else DeEnergize())
    if door.hold is not None and not held:
        commands.append(HoldOver(door.hold.cause, "its time is over"))
        door = replace(door, hold=None, renew_at=None)
    if door.renew_at is not None and now >= door.renew_at:
        door, more = _take_turn(door, now, rules, "renewed")
        commands += more
    return door, commands


def _react(door: Door, event: DoorEvent, now: float, rules: DoorRules) -> tuple[Door, tuple[Command, ...]]:
    nothing: tuple[Door, tuple[Command, ...]] = door, ()
    if door.phase is Phase.STOPPED:
        return nothing
    match event:
        case Requested() if door.phase is Phase.IDLE:
            return _begin(door, event, now, rules)
        case Decided() if (door.phase, door.attempt) == (Phase.EXAMINING, event.attempt):
            return _judge(door, event, now)
        case Recorded() | NotRecorded() if (door.phase, door.attempt) == (Phase.RECORDING, event.attempt):
            return _conclude(door, isinstance(event, Recorded), now, rules)
        case RexPressed():
            door, commands = _energize(door, now, rules, "rex")
            return replace(door, rex_until=door.relock_at), commands
        case UnlockRecorded() if now < event.expires and not door.locked:
            return _energize(door, now, rules, "operator")
        case Stopped():
            return _stop(door)
        case _:
            return _react_to_order(door, event, now, rules)


def _react_to_order(door: Door, event: DoorEvent, now: float, rules: DoorRules) -> tuple[Door, tuple[Command, ...]]:
    match event:
        case HoldRecorded() if now < min(event.expires, event.hold.until) and not door.locked:
            return _begin_hold(door, event.hold, now, rules)
        case HoldEnded() if door.hold is not None:
            return _end_hold(door, now, event.why)
        case LockOrdered():
            return _lock(door, now, rules)
        case LockReleased():
            return replace(door, locked=False), ()
        case Shut() if door.hold is None and door.relock_at is not None:
            return _relock_early(door, now, rules)
        case _:
            return door, ()


def _begin_hold(door: Door, hold: Hold, now: float, rules: DoorRules) -> tuple[Door, tuple[Command, ...]]:
    """Begin a hold, or let the one that stands go on where it lasts longer."""
    standing = door.hold
    if standing is not None and standing.until >= hold.until:
        return _take_turn(door, now, rules, standing.cause)
    over = () if standing is None else (HoldOver(standing.cause, "a longer hold takes its place"),)
    door, commands = _take_turn(replace(door, hold=hold), now, rules, hold.cause)
    return door, (*over, *commands)


def _begin(door: Door, event: Requested, now: float, rules: DoorRules) -> tuple[Door, tuple[Command, ...]]:
    door = replace(door, phase=Phase.EXAMINING, attempt=event.attempt, deadline=now + rules.attempt_s)
    return door, (Begin(event.attempt, event.trigger),)


_ROUNDING_S = 1e-6

COMMIT_S = 0.9
"""How long a denial, also one that came at the deadline itself, may take to become durable: it keeps the attempt's end
within the second that it may come after its deadline."""


def _judge(door: Door, event: Decided, now: float) -> tuple[Door, tuple[Command, ...]]:
    """A denial may be recorded a little after the deadline; a grant that is not durable by then opens nothing."""
    decision, deadline = event.decision, door.deadline
    if door.locked and decision.outcome is Outcome.GRANTED:
        decision = Decision(Outcome.DENIED, Reason.OPERATOR_LOCKED, decision.member_id)
    if deadline is None and decision.outcome is Outcome.GRANTED:
        decision = Decision(Outcome.DENIED, Reason.TIMEOUT, decision.member_id)
    if deadline is None or decision.outcome is not Outcome.GRANTED:
        deadline = (now if deadline is None else deadline) + COMMIT_S
    door = replace(door, phase=Phase.RECORDING, decision=decision, deadline=deadline)
    return door, (Record(event.attempt, decision),)


def _conclude(door: Door, durable: bool, now: float, rules: DoorRules) -> tuple[Door, tuple[Command, ...]]:
    if door.attempt is None or door.decision is None:
        raise AssertionError(f"door: phase {door.phase} without attempt or decision")
    attempt, decision = door.attempt, door.decision
    door = _cool(door, now + rules.cool_down_s)
    if not durable:
        return door, (Lapse(attempt, decision),)
    if decision.outcome is not Outcome.GRANTED:
        return door, (Announce(attempt, decision),)
    door = replace(door, rested_at=now + rules.unlock_s + rules.cool_down_s)
    door, commands = _energize(door, now, rules, "granted")
    return door, (*commands, Announce(attempt, decision))


def _energize(door: Door, now: float, rules: DoorRules, cause: str) -> tuple[Door, tuple[Command, ...]]:
    # What is left of an earlier length is longer only after a reload made the length shorter: the difference of two
    # moments of the same length comes out above it by its rounding, and above the strike's cap.
    left = (door.relock_at or now) - now
    for_s = left if left > rules.unlock_s + _ROUNDING_S else rules.unlock_s
    door = replace(door, relock_at=now + for_s)
    return replace(door, renew_at=_next_turn(door, now, rules)), (Energize(for_s, cause),)


def _take_turn(door: Door, now: float, rules: DoorRules, cause: str) -> tuple[Door, tuple[Command, ...]]:
    """Energize for another turn of the hold, and never for less than what runs already."""
    if door.hold is None:
        raise AssertionError("door: a turn without a hold")
    for_s = max(min(rules.turn_s, door.hold.until - now), (door.relock_at or now) - now)
    door = replace(door, relock_at=now + for_s)
    return replace(door, renew_at=_next_turn(door, now, rules)), (Energize(for_s, cause),)


def _next_turn(door: Door, now: float, rules: DoorRules) -> float | None:
    """Return when the strike is to be energized anew for a hold, None where what runs is the last turn."""
    if door.hold is None or door.relock_at is None or door.relock_at > door.hold.until - _ROUNDING_S:
        return None
    # Without a gap the next turn comes in the middle of this one, so that a busy machine drops none.
    return door.relock_at + rules.gap_s if rules.gap_s else (now + door.relock_at) / 2


def _end_hold(door: Door, now: float, why: str) -> tuple[Door, tuple[Command, ...]]:
    """End a hold before its time, and lock, but for who goes out."""
    over: tuple[Command, ...] = () if door.hold is None else (HoldOver(door.hold.cause, why),)
    door = replace(door, hold=None, renew_at=None)
    if door.relock_at is None:
        return door, over
    if door.rex_until is not None and now < door.rex_until:
        return replace(door, relock_at=door.rex_until), over
    return replace(door, relock_at=None, rex_until=None), (*over, DeEnergize())


def _lock(door: Door, now: float, rules: DoorRules) -> tuple[Door, tuple[Command, ...]]:
    """Shut out everybody but who goes out: also whoever has just been let in, or is about to be."""
    door, commands = _end_hold(replace(door, locked=True), now, "an operator locked the door")
    attempt, decision = door.attempt, door.decision
    if attempt is not None and decision is not None and decision.outcome is Outcome.GRANTED:
        door = _cool(door, now + rules.cool_down_s)
        commands = (*commands, Lapse(attempt, decision, Reason.OPERATOR_LOCKED))
    return door, commands


def _relock_early(door: Door, now: float, rules: DoorRules) -> tuple[Door, tuple[Command, ...]]:
    rested_at = None if door.rested_at is None else min(door.rested_at, now + rules.cool_down_s)
    return replace(door, relock_at=None, rex_until=None, rested_at=rested_at), (DeEnergize(),)


def _stop(door: Door) -> tuple[Door, tuple[Command, ...]]:
    commands: list[Command] = [DeEnergize()]
    if door.hold is not None:
        commands.append(HoldOver(door.hold.cause, "the daemon stops"))
    if door.phase is Phase.EXAMINING and door.attempt is not None:
        commands.append(Abandon(door.attempt))
    if door.attempt is not None and door.decision is not None:
        commands.append(Lapse(door.attempt, door.decision))
    return Door(phase=Phase.STOPPED), tuple(commands)


def _cool(door: Door, until: float) -> Door:
    return replace(door, phase=Phase.COOLING, attempt=None, deadline=None, decision=None, rested_at=until)
