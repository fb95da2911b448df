"""The door contact's story: each cause with each end of it, alarms and the absence of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smileaccess.doorway import (
    FOUND_S,
    GRACE_S,
    Closed,
    Doorway,
    DoorwayEvent,
    DoorwayRules,
    Entered,
    ForcedOpen,
    Freed,
    HeldOpen,
    HeldOpenOver,
    HoldBegan,
    HoldStopped,
    NotEntered,
    Opened,
    Relocked,
    RelockNow,
    Remark,
    TimePassed,
    next_deadline,
    step,
)

RULES = DoorwayRules(contact=True, held_open_s=30.0, forced=True)
START = 100.0


class Door:
    """A doorway in a time that moves when told; every remark with the second it came at, counted from the start."""

    def __init__(self, rules: DoorwayRules = RULES, *, running_s: float = 60.0) -> None:
        self.rules = rules
        self.now = START
        self.doorway = Doorway.at(START)
        self.told: list[Remark] = []
        self.wait(running_s)

    def wait(self, for_s: float) -> None:
        until = self.now + for_s
        while (deadline := next_deadline(self.doorway)) is not None and deadline <= until:
            self.now = deadline
            self.hear(TimePassed())
        self.now = until

    def hear(self, *events: DoorwayEvent) -> list[Remark]:
        """Take events at this moment; return what they bring."""
        before = len(self.told)
        for event in events:
            self.doorway, remarks, _ = step(self.doorway, event, self.now, self.rules)
            self.told += remarks
        return self.told[before:]


@pytest.mark.parametrize("cause", ["granted", "operator"])
@pytest.mark.parametrize("after_s", [0.0, 4.9, 5.0, 5.0 + GRACE_S - 0.01])
def test_who_was_let_in_and_came(cause: str, after_s: float) -> None:
    """An opening while the strike is energized, or just after it, is theirs, once."""
    door = Door()
    door.hear(Freed(cause, 5.0, "a"))
    door.wait(min(after_s, 5.0))
    if after_s >= 5.0:
        door.hear(Relocked())
    door.wait(after_s - min(after_s, 5.0))
    assert door.hear(Opened()) == [Entered(cause, "a")]
    door.hear(Closed())
    door.wait(60.0)
    assert [remark for remark in door.told if not isinstance(remark, RelockNow)] == [Entered(cause, "a")]


@pytest.mark.parametrize("cause", ["granted", "operator"])
def test_who_was_let_in_and_did_not_come(cause: str) -> None:
    """It is told once, when the opening would not be theirs any more."""
    door = Door()
    door.hear(Freed(cause, 5.0, "a"))
    door.wait(5.0 + GRACE_S - 0.01)
    assert door.told == []
    door.wait(0.02)
    assert door.told == [NotEntered(cause, "a")]
    assert door.hear(Opened()) == [ForcedOpen()]


def test_nobody_is_waited_for_after_a_rex() -> None:
    """Who asks to go out may stay: neither the opening nor its absence is told."""
    door = Door()
    door.hear(Freed("rex", 5.0))
    door.wait(60.0)
    door.hear(Freed("rex", 5.0), Opened())
    assert door.told == []


def test_a_rex_takes_no_entry_away() -> None:
    """Who was let in is still expected when somebody else asks to go out meanwhile."""
    door = Door()
    door.hear(Freed("granted", 5.0, "a"))
    door.wait(3.0)
    door.hear(Freed("rex", 5.0))
    door.wait(4.0)
    assert door.hear(Opened()) == [Entered("granted", "a")]


def test_who_is_still_going_out_locks_nobody_out_who_was_let_in_meanwhile() -> None:
    """REX first, the grant after it: whoever opens and closes the door may be the one who leaves."""
    door = Door()
    door.hear(Freed("rex", 5.0))
    door.wait(2.0)
    assert door.hear(Freed("granted", 5.0, "a"), Opened(), Closed()) == [Entered("granted", "a")]


def test_a_short_rex_takes_no_time_from_who_was_let_in() -> None:
    """Whoever is expected may come as long as before."""
    door = Door()
    door.hear(Freed("granted", 20.0, "a"), Freed("rex", 1.0))
    door.wait(15.0)
    assert door.hear(Opened()) == [Entered("granted", "a")]


def test_of_two_who_are_let_in_the_first_has_not_come() -> None:
    """Each is told of."""
    door = Door()
    door.hear(Freed("operator", 5.0))
    assert door.hear(Freed("granted", 5.0, "a")) == [NotEntered("operator", None)]
    assert door.hear(Opened()) == [Entered("granted", "a")]


def test_a_door_that_stands_open_tells_nobody_apart() -> None:
    """Who is let in at an open door is taken to have come, with a remark of that; closing it does not lock yet."""
    door = Door()
    door.hear(Freed("rex", 5.0), Opened())
    door.wait(10.0)
    assert door.hear(Freed("granted", 5.0, "a")) == [Entered("granted", "a", stood_open=True)]
    assert door.hear(Closed()) == []


# Relock


@pytest.mark.parametrize("cause", ["granted", "operator", "rex"])
def test_the_strike_locks_when_the_door_has_opened_and_closed(cause: str) -> None:
    """Not when it opens, and not before."""
    door = Door()
    door.hear(Freed(cause, 5.0))
    assert RelockNow() not in door.hear(Opened())
    door.wait(1.0)
    assert door.hear(Closed()) == [RelockNow()]


def test_it_does_not_lock_early_where_somebody_goes_out_meanwhile() -> None:
    """Who closed the door may be the one who left: who was let in is still to come."""
    door = Door()
    door.hear(Freed("granted", 5.0, "a"), Freed("rex", 5.0), Opened())
    door.wait(1.0)
    assert door.hear(Closed()) == []


def test_the_strike_keeps_its_time_where_that_is_wanted() -> None:
    """`relock_on_close` off: no remark."""
    door = Door(replace(RULES, relock_on_close=False))
    door.hear(Freed("granted", 5.0), Opened())
    assert door.hear(Closed()) == []


def test_a_door_that_springs_back_once_is_not_forced() -> None:
    """A second opening right after it fell shut belongs to the first one; a later one does not."""
    door = Door()
    door.hear(Freed("granted", 5.0), Opened(), Closed(), Relocked())
    door.wait(GRACE_S / 2)
    assert ForcedOpen() not in door.hear(Opened())
    door.hear(Closed())
    door.wait(GRACE_S + 5.0)
    assert door.hear(Opened()) == [ForcedOpen()]


# Forced


def test_an_opening_without_a_cause_is_forced() -> None:
    """Until it is closed it is an alarm."""
    door = Door()
    assert door.hear(Opened()) == [ForcedOpen()]
    assert door.doorway.in_alarm
    door.hear(Closed())
    assert not door.doorway.in_alarm


def test_no_opening_is_forced_where_nothing_tells_of_who_goes_out() -> None:
    """Without a REX each one who leaves by the handle would be a burglar."""
    door = Door(replace(RULES, forced=False))
    assert door.hear(Opened()) == []
    assert not door.doorway.in_alarm


@pytest.mark.parametrize(("after_s", "told"), [(0.1, []), (FOUND_S + 0.1, [ForcedOpen()])])
def test_a_door_found_open_at_the_start_was_not_forced(after_s: float, told: list[Remark]) -> None:
    """The panel reports it at once; what opens later is opened now."""
    assert Door(running_s=after_s).hear(Opened()) == told


# Open for too long


def test_a_door_that_stays_open_is_an_alarm_once() -> None:
    """It is told when its time is over, and when it is closed, with how long it was."""
    door = Door()
    door.hear(Freed("rex", 5.0), Opened())
    door.wait(29.9)
    assert door.told == []
    door.wait(100.0)
    assert door.told == [HeldOpen(pytest.approx(30.0))]
    assert door.doorway.in_alarm
    assert door.hear(Closed()) == [HeldOpenOver(pytest.approx(129.9))]
    assert not door.doorway.in_alarm


def test_a_door_that_is_closed_in_time_is_no_alarm() -> None:
    """And the time counts anew for the next opening."""
    door = Door()
    for _ in range(2):
        door.hear(Freed("rex", 5.0), Opened())
        door.wait(20.0)
        door.hear(Closed())
        door.wait(20.0)
    assert [remark for remark in door.told if isinstance(remark, HeldOpen)] == []


def test_a_door_found_open_at_the_start_is_an_alarm_in_time() -> None:
    """Nobody forced it, and somebody has to close it."""
    door = Door(running_s=0.1)
    door.hear(Opened())
    door.wait(31.0)
    assert door.told == [HeldOpen(pytest.approx(30.0))]


# Held unlocked


def test_a_held_door_opens_and_stays_open_without_a_word() -> None:
    """It is meant to; and closing it locks nothing."""
    door = Door()
    door.hear(HoldBegan(), Opened())
    door.wait(600.0)
    door.hear(Closed(), Opened(), Closed())
    assert door.told == []


def test_an_entry_at_a_held_door_is_told() -> None:
    """Somebody who rings all the same has come in."""
    door = Door()
    door.hear(HoldBegan(), Freed("granted", 5.0, "a"))
    assert door.hear(Opened()) == [Entered("granted", "a")]
    assert door.hear(Closed()) == []


def test_a_hold_that_ends_brings_no_second_alarm() -> None:
    """A door that was open for too long before it stays one alarm, until it is closed."""
    door = Door()
    door.hear(Freed("granted", 5.0, "a"), Opened())
    door.wait(40.0)
    door.hear(HoldBegan())
    door.wait(10.0)
    door.hear(HoldStopped())
    door.wait(60.0)
    assert len([remark for remark in door.told if isinstance(remark, HeldOpen)]) == 1


def test_after_a_hold_the_time_counts_anew() -> None:
    """A door propped open meanwhile gets its time to be closed; then it is an alarm, and an opening is forced."""
    door = Door()
    door.hear(HoldBegan(), Opened())
    door.wait(600.0)
    door.hear(HoldStopped())
    door.wait(29.9)
    assert door.told == []
    door.wait(0.2)
    assert door.told == [HeldOpen(pytest.approx(630.0))]
    door.hear(Closed())
    assert door.hear(Opened())[-1] == ForcedOpen()


# Without a contact, and at random


def test_without_a_contact_nothing_is_told() -> None:
    """A grant is not taken for one that nobody used."""
    door = Door(DoorwayRules(contact=False, forced=True))
    door.hear(Freed("granted", 5.0), Relocked())
    door.wait(60.0)
    assert door.told == []


EVENTS: list[DoorwayEvent] = [
    *(Freed("granted", 5.0, "a"), Freed("rex", 5.0), Relocked(), HoldBegan(), HoldStopped(), Opened(), Closed()),
    TimePassed(),
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from([0.0, 0.5, 4.0, 31.0])), max_size=40))
def test_random_events(played: list[tuple[DoorwayEvent, float]]) -> None:
    """Each entry expected has one end; a door is forced only where nothing explains it; an alarm ends with the door."""
    door = Door()
    expected = 0
    for event, wait_s in played:
        unlocked = door.doorway.held or door.doorway.passage is not None
        told = door.hear(event)
        expected += event == Freed("granted", 5.0, "a")
        assert ForcedOpen() not in told or not unlocked
        assert RelockNow() not in told or (unlocked and not door.doorway.held)
        assert door.doorway.opened_at is not None or not door.doorway.in_alarm
        door.wait(wait_s)
    door.wait(60.0)
    assert sum(isinstance(remark, Entered | NotEntered) for remark in door.told) == expected
