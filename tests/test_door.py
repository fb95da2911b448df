"""The door as a function: every phase with every event, and random sequences against what must always hold."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smileaccess.door import (
    Abandon,
    Announce,
    Begin,
    Command,
    Decided,
    DeEnergize,
    Door,
    DoorEvent,
    DoorRules,
    Energize,
    Expire,
    Hold,
    HoldEnded,
    HoldOver,
    HoldRecorded,
    Lapse,
    LockOrdered,
    LockReleased,
    NotRecorded,
    Pause,
    Phase,
    Record,
    Recorded,
    Requested,
    Rest,
    RexPressed,
    Shut,
    Stopped,
    TimePassed,
    UnlockRecorded,
    next_deadline,
    step,
)
from smileaccess.model import Decision, Outcome, Reason, Trigger
from tests.builders import ANN, DENIED, GRANTED

RULES = DoorRules(unlock_s=5.0, attempt_s=10.0, cool_down_s=1.0)
NOW, LATE = 100.0, 120.0
TIMED_OUT = Decision(Outcome.DENIED, Reason.TIMEOUT, ANN)

HOLD = Hold(700.0, "hold")

IDLE = Door()
EXAMINING = Door(Phase.EXAMINING, "a", deadline=110.0)
GRANTING = Door(Phase.RECORDING, "a", deadline=110.0, decision=GRANTED)
DENYING = Door(Phase.RECORDING, "a", deadline=110.9, decision=DENIED)
COOLING = Door(Phase.COOLING, rested_at=101.0)
STOPPED = Door(Phase.STOPPED)
STATES = {
    "idle": IDLE,
    "examining": EXAMINING,
    "granting": GRANTING,
    "denying": DENYING,
    "cooling": COOLING,
    "stopped": STOPPED,
}
EVENTS: dict[str, DoorEvent] = {
    "request": Requested("b", Trigger.BUTTON),
    "grant": Decided("a", GRANTED),
    "deny": Decided("a", DENIED),
    "stale decision": Decided("z", GRANTED),
    "recorded": Recorded("a"),
    "stale recorded": Recorded("z"),
    "not recorded": NotRecorded("a"),
    "stale not recorded": NotRecorded("z"),
    "rex": RexPressed(),
    "unlock": UnlockRecorded(expires=1000.0),
    "expired unlock": UnlockRecorded(expires=NOW),
    "hold": HoldRecorded(HOLD, expires=1000.0),
    "expired hold": HoldRecorded(HOLD, expires=NOW),
    "hold that is over": HoldRecorded(Hold(NOW, "hold"), expires=1000.0),
    "hold ended": HoldEnded("told"),
    "lock": LockOrdered(),
    "lock released": LockReleased(),
    "shut": Shut(),
    "time": TimePassed(),
    "stop": Stopped(),
}
Row = tuple[Door, tuple[Command, ...]]


def stays(door: Door, *commands: Command) -> dict[str, Row]:
    """Return the row of a state in which no event but those named after it changes anything."""
    return dict.fromkeys(EVENTS, (door, commands))


def opens(door: Door, now: float, *before: Command) -> dict[str, Row]:
    """Return what REX and an unlock do in every state of a door that lives."""
    opened = replace(door, relock_at=now + 5.0)
    held = replace(door, relock_at=now + 10.0, hold=HOLD, renew_at=now + 10.5)
    return {
        "rex": (replace(opened, rex_until=now + 5.0), (*before, Energize(5.0, "rex"))),
        "unlock": (opened, (*before, Energize(5.0, "operator"))),
        "hold": (held, (*before, Energize(10.0, "hold"))),
        "lock": (replace(door, locked=True), before),
    }


def begun(now: float) -> Door:
    return Door(Phase.EXAMINING, "b", deadline=now + 10.0)


def cooled(now: float) -> Door:
    return Door(Phase.COOLING, rested_at=now + 1.0)


BEGIN = Begin("b", Trigger.BUTTON)
LAPSED_GRANT, LAPSED_DENIAL = Lapse("a", GRANTED), Lapse("a", DENIED)

IN_TIME: dict[str, dict[str, Row]] = {
    "idle": stays(IDLE)
    | opens(IDLE, NOW)
    | {
        "request": (begun(NOW), (BEGIN,)),
        "stop": (STOPPED, (DeEnergize(),)),
    },
    "examining": stays(EXAMINING)
    | opens(EXAMINING, NOW)
    | {
        "grant": (GRANTING, (Record("a", GRANTED),)),
        "deny": (DENYING, (Record("a", DENIED),)),
        "stop": (STOPPED, (DeEnergize(), Abandon("a"))),
    },
    "granting": stays(GRANTING)
    | opens(GRANTING, NOW)
    | {
        "lock": (replace(cooled(NOW), locked=True), (Lapse("a", GRANTED, Reason.OPERATOR_LOCKED),)),
        "recorded": (
            Door(Phase.COOLING, rested_at=106.0, relock_at=105.0),
            (Energize(5.0, "granted"), Announce("a", GRANTED)),
        ),
        "not recorded": (cooled(NOW), (LAPSED_GRANT,)),
        "stop": (STOPPED, (DeEnergize(), LAPSED_GRANT)),
    },
    "denying": stays(DENYING)
    | opens(DENYING, NOW)
    | {
        "recorded": (cooled(NOW), (Announce("a", DENIED),)),
        "not recorded": (cooled(NOW), (LAPSED_DENIAL,)),
        "stop": (STOPPED, (DeEnergize(), LAPSED_DENIAL)),
    },
    "cooling": stays(COOLING) | opens(COOLING, NOW) | {"stop": (STOPPED, (DeEnergize(),))},
    "stopped": stays(STOPPED),
}
"""What each event does at `NOW`, when nothing is due."""

EXPIRED = replace(EXAMINING, deadline=None)
DUE: dict[str, dict[str, Row]] = {
    "idle": stays(IDLE)
    | opens(IDLE, LATE)
    | {
        "request": (begun(LATE), (BEGIN,)),
        "stop": (STOPPED, (DeEnergize(),)),
    },
    "examining": stays(EXPIRED, Expire("a"))
    | opens(EXPIRED, LATE, Expire("a"))
    | {
        "grant": (
            Door(Phase.RECORDING, "a", deadline=120.9, decision=TIMED_OUT),
            (Expire("a"), Record("a", TIMED_OUT)),
        ),
        "deny": (
            Door(Phase.RECORDING, "a", deadline=120.9, decision=DENIED),
            (Expire("a"), Record("a", DENIED)),
        ),
        "stop": (STOPPED, (Expire("a"), DeEnergize(), Abandon("a"))),
    },
    "granting": stays(cooled(LATE), LAPSED_GRANT)
    | opens(cooled(LATE), LATE, LAPSED_GRANT)
    | {"stop": (STOPPED, (LAPSED_GRANT, DeEnergize()))},
    "denying": stays(cooled(LATE), LAPSED_DENIAL)
    | opens(cooled(LATE), LATE, LAPSED_DENIAL)
    | {"stop": (STOPPED, (LAPSED_DENIAL, DeEnergize()))},
    "cooling": stays(IDLE, Rest())
    | opens(IDLE, LATE, Rest())
    | {
        "request": (begun(LATE), (Rest(), BEGIN)),
        "stop": (STOPPED, (Rest(), DeEnergize())),
    },
    "stopped": stays(STOPPED),
}
"""What each event does at `LATE`, after every deadline: time is dealt with first."""

CELLS = [*itertools.product(STATES, EVENTS)]


def test_the_table_is_whole() -> None:
    """Every phase and every kind of event stands in the table."""
    assert {door.phase for door in STATES.values()} == set(Phase)
    assert {type(event) for event in EVENTS.values()} == set(DoorEvent.__args__)
    assert {(state, event) for table in (IN_TIME, DUE) for state, row in table.items() for event in row} == set(CELLS)


@pytest.mark.parametrize(("state", "event"), CELLS)
def test_an_event_in_time(state: str, event: str) -> None:
    """Each event in each state, nothing being due."""
    door, commands, deadline = step(STATES[state], EVENTS[event], NOW, RULES)

    assert (door, commands) == IN_TIME[state][event]
    assert deadline == next_deadline(door)


@pytest.mark.parametrize(("state", "event"), CELLS)
def test_an_event_when_time_is_up(state: str, event: str) -> None:
    """Each event in each state, every deadline being past."""
    door, commands, deadline = step(STATES[state], EVENTS[event], LATE, RULES)

    assert (door, commands) == DUE[state][event]
    assert deadline == next_deadline(door)


@pytest.mark.parametrize(("state", "event"), [cell for cell in CELLS if cell[0] != "stopped"])
def test_an_event_with_the_strike_energized(state: str, event: str) -> None:
    """The strike's own deadline runs beside everything else; a lock, and a door that was closed, end it."""
    door, commands, _ = step(replace(STATES[state], relock_at=103.0), EVENTS[event], NOW, RULES)
    expected, same = IN_TIME[state][event]
    ends = expected.phase is Phase.STOPPED or event in {"lock", "shut"}
    relock_at = None if ends else expected.relock_at or 103.0
    if event in {"lock", "shut"}:
        same = (DeEnergize(), *same)

    assert (door, commands) == (replace(expected, relock_at=relock_at), same)


@pytest.mark.parametrize(("state", "event"), [cell for cell in CELLS if cell[0] != "stopped"])
def test_an_event_with_the_strike_due(state: str, event: str) -> None:
    """A relock that is due comes before everything else."""
    door, commands, _ = step(replace(STATES[state], relock_at=103.0), EVENTS[event], LATE, RULES)
    expected, after = DUE[state][event]

    assert (door, commands) == (expected, (DeEnergize(), *after))


@pytest.mark.parametrize(
    ("event", "now", "expected"),
    [
        (TimePassed(), 109.999, ()),
        (TimePassed(), 110.0, (Expire("a"),)),
        (Decided("a", GRANTED), 109.999, (Record("a", GRANTED),)),
        (Decided("a", GRANTED), 110.0, (Expire("a"), Record("a", TIMED_OUT))),
    ],
)
def test_the_attempts_deadline(event: DoorEvent, now: float, expected: tuple[Command, ...]) -> None:
    """At the deadline itself an attempt is over, and a grant that comes then is none."""
    assert step(EXAMINING, event, now, RULES)[1] == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (109.999, (Energize(5.0, "granted"), Announce("a", GRANTED))),
        (110.0, (LAPSED_GRANT,)),
    ],
)
def test_a_commit_after_the_deadline_grants_nothing(now: float, expected: tuple[Command, ...]) -> None:
    """A grant that becomes durable at the deadline or after it moves no strike."""
    assert step(GRANTING, Recorded("a"), now, RULES)[1] == expected


# --- held, and locked

HELD = Door(relock_at=110.0, hold=HOLD, renew_at=110.5)
GAPLESS = replace(RULES, gap_s=0.0)


def test_a_held_door_is_energized_in_turns() -> None:
    """Each turn ends by its own deadline; after the gap the next one begins, until the hold is over."""
    door, commands, deadline = step(HELD, TimePassed(), 110.0, RULES)
    assert (door, commands, deadline) == (replace(HELD, relock_at=None), (Pause(),), 110.5)

    door, commands, deadline = step(door, TimePassed(), 110.5, RULES)
    assert (door, commands) == (replace(HELD, relock_at=120.5, renew_at=121.0), (Energize(10.0, "renewed"),))
    assert deadline == 120.5


def test_the_last_turn_ends_with_the_hold() -> None:
    """No turn is longer than what is left of the hold, and then the door is locked."""
    door, commands, _ = step(replace(HELD, relock_at=None, renew_at=696.0), TimePassed(), 696.0, RULES)
    assert (door.relock_at, door.renew_at, commands) == (700.0, None, (Energize(4.0, "renewed"),))

    assert step(door, TimePassed(), 700.0, RULES) == (
        Door(),
        (DeEnergize(), HoldOver("hold", "its time is over")),
        None,
    )


def test_without_a_gap_the_next_turn_comes_before_the_end() -> None:
    """The strike is never let go of, and each turn is still a bounded one."""
    door, commands, _ = step(Door(), HoldRecorded(HOLD, expires=1000.0), NOW, GAPLESS)
    assert (door.relock_at, door.renew_at, commands) == (110.0, 105.0, (Energize(10.0, "hold"),))

    door, commands, _ = step(door, TimePassed(), 105.0, GAPLESS)
    assert (door.relock_at, door.renew_at, commands) == (115.0, 110.0, (Energize(10.0, "renewed"),))


def test_the_end_of_a_hold_before_its_time_locks() -> None:
    """An operator's release, an untrusted clock: the strike does not wait for the turn's end."""
    told = (HoldOver("hold", "told"), DeEnergize())
    assert step(HELD, HoldEnded("told"), NOW, RULES) == (Door(), told, None)


@pytest.mark.parametrize("event", [HoldEnded("told"), LockOrdered()])
def test_who_goes_out_is_not_locked_in_by_an_order(event: DoorEvent) -> None:
    """What is left of a REX's time is left to it."""
    door, _, _ = step(HELD, RexPressed(), NOW, RULES)
    door, commands, _ = step(door, event, NOW + 1, RULES)

    assert (DeEnergize() in commands, door.relock_at, door.hold) == (False, pytest.approx(110.0), None)


def test_a_lock_ends_a_hold() -> None:
    """The two cannot be at the same time."""
    over = HoldOver("hold", "an operator locked the door")
    assert step(HELD, LockOrdered(), NOW, RULES) == (Door(locked=True), (over, DeEnergize()), None)


@pytest.mark.parametrize("event", ["unlock", "hold"])
def test_a_locked_door_opens_to_no_operator(event: str) -> None:
    """An unlock, or a hold, whose record comes after a lock does nothing."""
    assert step(Door(locked=True), EVENTS[event], NOW, RULES) == (Door(locked=True), (), None)
    assert step(Door(), EVENTS[event], NOW, RULES)[1] != ()


@pytest.mark.parametrize("state", [state for state in STATES if state != "stopped"])
def test_rex_opens_a_locked_door(state: str) -> None:
    """In every phase."""
    door, commands, _ = step(replace(STATES[state], locked=True), RexPressed(), NOW, RULES)
    assert (door.relock_at, commands) == (105.0, (Energize(5.0, "rex"),))


def test_a_grant_at_a_locked_door_is_none() -> None:
    """Whatever judged it: the door itself knows of the lock."""
    locked = Decision(Outcome.DENIED, Reason.OPERATOR_LOCKED, ANN)
    assert step(replace(EXAMINING, locked=True), Decided("a", GRANTED), NOW, RULES)[1] == (Record("a", locked),)


def test_a_released_door_lets_in_again() -> None:
    """The lock is over at once."""
    door, _, _ = step(Door(locked=True), LockReleased(), NOW, RULES)
    assert door == Door()


def test_a_door_that_was_closed_locks_and_rests() -> None:
    """Who was let through is through: the rest begins now."""
    let_in = Door(Phase.COOLING, rested_at=106.0, relock_at=105.0)
    assert step(let_in, Shut(), NOW, RULES)[:2] == (Door(Phase.COOLING, rested_at=101.0), (DeEnergize(),))


def test_a_held_door_stays_unlocked_when_it_is_closed() -> None:
    """Others shall come in after the first one."""
    assert step(HELD, Shut(), NOW, RULES)[:2] == (HELD, ())


def test_a_stop_ends_a_hold() -> None:
    """And says so, for the record."""
    door, commands, _ = step(HELD, Stopped(), NOW, RULES)
    assert (door, commands) == (STOPPED, (DeEnergize(), HoldOver("hold", "the daemon stops")))


ORDERS: list[DoorEvent] = [
    *(RexPressed(), UnlockRecorded(1e9), Shut(), LockOrdered(), LockReleased(), HoldEnded("told")),
    *(HoldRecorded(Hold(until, cause), 1e9) for until in (130.0, 160.0, 400.0) for cause in ("hold", "office_hours")),
    TimePassed(),
]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(ORDERS), st.sampled_from([0.0, 0.3, 2.0, 9.0, 40.0])), max_size=30),
    st.sampled_from([RULES, GAPLESS]),
)
def test_the_strike_is_never_energized_without_a_cause(played: list[tuple[DoorEvent, float]], rules: DoorRules) -> None:
    """Each time it is, an order of that moment or a hold that lasts is the cause, and it ends with that.

    No turn is longer than the guard's cap; a locked door moves for a REX only.
    """
    door, now, until = Door(), NOW, 0.0
    for event, wait_s in played:
        later = now + wait_s
        held = door.hold
        door, commands, deadline = step(door, event, now, rules)
        until = _checked(door, commands, event, now, until, held)
        rounds = 0
        while deadline is not None and deadline <= later:
            now, held, rounds = deadline, door.hold, rounds + 1
            door, commands, deadline = step(door, TimePassed(), now, rules)
            until = _checked(door, commands, TimePassed(), now, until, held)
            assert rounds < 100, "time alone goes round in circles"
        now = later
        assert door.relock_at is None or now < door.relock_at


def _checked(
    door: Door, commands: tuple[Command, ...], event: DoorEvent, now: float, until: float, held: Hold | None
) -> float:
    """Check what one step does to the strike; return until when it is energized."""
    for command in commands:
        if isinstance(command, Energize):
            assert command.for_s <= 10.0 + 1e-6
            until = now + command.for_s
            if command.cause == "renewed":
                assert held is not None
                assert now < held.until
                # What a REX or an unlock has begun in a hold may outlast it, by its own time.
                assert until <= held.until + 5.0 + 1e-6
            else:
                assert isinstance(event, RexPressed | UnlockRecorded | HoldRecorded)
                assert not door.locked or command.cause == "rex"
        elif isinstance(command, DeEnergize | Pause):
            until = 0.0
    assert (door.relock_at is None) is (until == 0.0)
    assert door.relock_at is None or door.relock_at <= until + 1e-6
    return until


def test_an_expired_attempt_is_asked_about_once() -> None:
    """Until the judgment comes, time asks no second time."""
    assert step(EXPIRED, TimePassed(), LATE, RULES) == (EXPIRED, (), None)


def test_a_denial_at_the_deadline_still_has_time_to_become_durable() -> None:
    """It may end within the second after the deadline, not beyond."""
    door, _, deadline = step(EXAMINING, Decided("a", DENIED), 109.9, RULES)

    assert deadline == pytest.approx(110.9)
    assert step(door, Recorded("a"), 110.8, RULES)[1] == (Announce("a", DENIED),)


def test_a_rex_never_shortens() -> None:
    """A strike energized for longer, by earlier rules, stays so."""
    door, commands, _ = step(Door(relock_at=120.0), RexPressed(), NOW, RULES)

    assert (door.relock_at, commands) == (120.0, (Energize(20.0, "rex"),))


def test_the_next_deadline_is_the_earliest() -> None:
    """The door wants to be woken for whatever comes first, and never for nothing."""
    both = replace(EXAMINING, relock_at=103.0)

    assert [next_deadline(door) for door in (IDLE, EXAMINING, both, COOLING)] == [None, 110.0, 103.0, 101.0]


def test_recording_without_an_attempt_is_a_defect() -> None:
    """A state that cannot be is said so, not guessed about."""
    with pytest.raises(AssertionError, match="without attempt or decision"):
        step(Door(Phase.RECORDING, "a", deadline=110.0), Recorded("a"), NOW, RULES)


# --- random sequences


@dataclass
class Watched:
    """A door that is driven as the controller drives it, and everything that came of it."""

    door: Door = field(default_factory=Door)
    now: float = 50.0
    energized_until: float | None = None
    begun: dict[str, float] = field(default_factory=dict)
    recorded: dict[str, list[Decision | None]] = field(default_factory=dict)
    ended: dict[str, list[float]] = field(default_factory=dict)
    stopped: bool = False
    judgment: Decision = DENIED

    def tell(self, event: DoorEvent) -> tuple[Command, ...]:
        before = self.door
        self.door, commands, deadline = step(self.door, event, self.now, RULES)
        assert deadline == next_deadline(self.door)
        if self.stopped:
            assert (self.door, commands) == (before, ())
        for command in commands:
            self._obey(command, event, before)
        self.stopped = self.door.phase is Phase.STOPPED
        assert self.energized_until is None or (not self.stopped and self.now < self.energized_until)
        return commands

    def wait(self, for_s: float) -> None:
        """Let time pass, waking at each deadline."""
        until = self.now + for_s
        while (deadline := next_deadline(self.door)) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.tell(TimePassed())
        self.now = until

    def _obey(self, command: Command, event: DoorEvent, before: Door) -> None:
        match command:
            case Begin():
                assert command.attempt not in self.begun
                self.begun[command.attempt] = self.now
            case Expire():
                self.tell(Decided(command.attempt, self.judgment))
            case Record():
                self.recorded.setdefault(command.attempt, []).append(command.decision)
            case Abandon():
                self.recorded.setdefault(command.attempt, []).append(None)
                self.ended.setdefault(command.attempt, []).append(self.now)
            case Lapse() | Announce():
                assert self.recorded[command.attempt] == [command.decision]
                self.ended.setdefault(command.attempt, []).append(self.now)
            case Energize():
                self._energize(command, event, before)
            case DeEnergize():
                self.energized_until = None
            case Rest():
                assert before.phase is not Phase.IDLE

    def _energize(self, command: Energize, event: DoorEvent, before: Door) -> None:
        assert 0 < command.for_s <= RULES.unlock_s
        match event:
            case Recorded():
                granted = before.decision is not None and before.decision.outcome is Outcome.GRANTED
                assert (command.cause, before.attempt, granted) == ("granted", event.attempt, True)
                assert self.now < self.begun[event.attempt] + RULES.attempt_s
            case UnlockRecorded():
                assert (command.cause, self.now < event.expires) == ("operator", True)
            case _:
                assert (command.cause, event) == ("rex", RexPressed())
        self.energized_until = self.now + command.for_s


actions = st.tuples(
    st.sampled_from(
        ["request", "grant", "deny", "recorded", "not recorded", "stale", "rex", "unlock", "expired unlock", "time"]
    ),
    st.sampled_from([0.0, 0.0, 0.3, 0.9, 1.0, 2.5, 4.9, 9.8, 30.0]),
)


def own(watched: Watched, action: str, serial: int) -> list[DoorEvent]:
    """Return the events of an action, about the attempt under way where it needs one."""
    attempt = watched.door.attempt or "none"
    events: dict[str, list[DoorEvent]] = {
        "request": [Requested(f"n{serial}", Trigger.BUTTON)],
        "grant": [Decided(attempt, GRANTED)],
        "deny": [Decided(attempt, DENIED)],
        "recorded": [Recorded(attempt)],
        "not recorded": [NotRecorded(attempt)],
        "stale": [Decided("gone", GRANTED), Recorded("gone"), NotRecorded("gone")],
        "rex": [RexPressed()],
        "unlock": [UnlockRecorded(watched.now + 3.0)],
        "expired unlock": [UnlockRecorded(watched.now - 0.1)],
        "time": [TimePassed()],
    }
    return events[action]


@settings(max_examples=300, deadline=None)
@example([("request", 2.5), ("request", 2.5), ("rex", 4.9), ("rex", 0.0)], GRANTED, 4)
@given(st.lists(actions, max_size=40), st.sampled_from([GRANTED, DENIED]), st.integers(0, 40))
def test_random_sequences(played: list[tuple[str, float]], judgment: Decision, stop_after: int) -> None:
    """The strike moves only for its three causes and until its relock; each attempt ends once, and in time."""
    watched = Watched(judgment=judgment)
    for serial, (action, after_s) in enumerate(played):
        watched.wait(after_s)
        if serial == stop_after:
            watched.tell(Stopped())
        for event in own(watched, action, serial):
            before, living = watched.door, not watched.stopped
            commands = watched.tell(event)
            if action in {"stale", "expired unlock"}:
                assert (watched.door, commands) == (before, ())
            if action == "rex":
                assert any(isinstance(command, Energize) for command in commands) is living
    watched.wait(30.0)

    assert watched.energized_until is None
    assert {attempt: len(ends) for attempt, ends in watched.ended.items()} == dict.fromkeys(watched.begun, 1)
    assert {attempt: len(rows) for attempt, rows in watched.recorded.items()} == dict.fromkeys(watched.begun, 1)
    late = [a for a, begun_at in watched.begun.items() if watched.ended[a][0] > begun_at + RULES.attempt_s + 1.0]
    assert late == []
