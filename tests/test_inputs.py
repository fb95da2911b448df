"""What a panel's inputs report: debounced, once, and stuck ones found; in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smileaccess.model import DoorInput
from smileaccess.panels.inputs import LOST_S, Inputs, rules
from smileaccess.pins import Pins

PINS = Pins(strike=17, entry=5, approach=6, rex=13, contact=19, tamper=26, debounce_s=0.03)
TRIGGERS = {"entry": DoorInput.ENTRY, "approach": DoorInput.APPROACH, "rex": DoorInput.REX}
STUCK = {
    "entry": (DoorInput.ENTRY_STUCK, DoorInput.ENTRY_FREED, PINS.stuck_s),
    "approach": (DoorInput.APPROACH_STUCK, DoorInput.APPROACH_FREED, PINS.approach_stuck_s),
    "rex": (DoorInput.REX_STUCK, DoorInput.REX_FREED, PINS.stuck_s),
}
STATES = {
    "contact": (DoorInput.DOOR_OPENED, DoorInput.DOOR_CLOSED),
    "tamper": (DoorInput.TAMPERED, DoorInput.TAMPER_CLEARED),
}


class Bench:
    """Inputs on a bench, and all that they have reported."""

    def __init__(self, *active: str) -> None:
        names = rules(PINS)
        self.inputs = Inputs(names, PINS.debounce_s, {name: name in active for name in names}, 0.0)
        self.now = 0.0
        self.reports: list[DoorInput] = []

    def at(self, name: str, active: bool, now: float) -> None:
        self.now = now
        self.reports += self.inputs.level(name, active, now)

    def read(self, name: str, active: bool, now: float) -> None:
        self.now = now
        self.reports += self.inputs.read(name, active, now)

    def wait(self, until: float) -> None:
        """Let time pass as the panel's thread does: to each moment at which something is due, and no other."""
        while (due := self.now + self.inputs.wait_s(self.now)) < until:
            self.now = due
            told = self.inputs.pass_time(due)
            self.reports += told
            assert told or self.inputs.wait_s(due) > 0, "it asks for the same moment for ever"
        self.now = until
        told = self.inputs.pass_time(until)
        assert not told or due == until, "it did not ask to be woken for this"
        self.reports += told

    def taken(self) -> list[DoorInput]:
        taken, self.reports = self.reports, []
        return taken


class TestPresses:
    @pytest.mark.parametrize("name", TRIGGERS)
    def test_a_press_reports_once(self, name):
        """Neither holding it nor letting go reports again."""
        bench = Bench()
        bench.at(name, True, 1.0)
        bench.wait(5.0)
        bench.at(name, False, 5.0)
        bench.wait(9.0)
        assert bench.reports == [TRIGGERS[name]]

    @pytest.mark.parametrize("name", TRIGGERS)
    def test_each_press_reports(self, name):
        bench = Bench()
        for start in (1.0, 2.0, 3.0):
            bench.at(name, True, start)
            bench.wait(start + 0.2)
            bench.at(name, False, start + 0.2)
            bench.wait(start + 0.5)
        assert bench.reports == [TRIGGERS[name]] * 3

    @pytest.mark.parametrize("name", TRIGGERS)
    def test_a_bouncing_contact_is_one_press(self, name):
        """At both ends."""
        bench = Bench()
        for at in (1.0, 1.3):
            for bounce in range(5):
                bench.at(name, at == 1.0, at + bounce * 0.004)
                bench.at(name, at != 1.0, at + bounce * 0.004 + 0.002)
            bench.at(name, at == 1.0, at + 0.02)
            bench.wait(at + 0.25)
        assert bench.reports == [TRIGGERS[name]]

    def test_a_press_is_answered_within_the_debounce_time(self):
        """At the edge's own time and no earlier: feedback within 50 ms needs it soon."""
        bench = Bench()
        bench.at("entry", True, 1.0)
        assert bench.inputs.wait_s(1.0) == pytest.approx(0.03)
        bench.wait(1.0299)
        assert bench.taken() == []
        bench.wait(1.0301)
        assert bench.taken() == [DoorInput.ENTRY]

    def test_a_spike_is_no_press(self):
        bench = Bench()
        bench.at("entry", True, 1.0)
        bench.at("entry", False, 1.029)
        bench.wait(9.0)
        assert bench.reports == []

    def test_the_way_out_reports_at_the_first_edge(self):
        """However short: it must never be missed."""
        bench = Bench()
        bench.at("rex", True, 1.0)
        assert bench.taken() == [DoorInput.REX]
        bench.at("rex", False, 1.0001)
        bench.wait(9.0)
        assert bench.taken() == []
        bench.at("rex", True, 9.0)
        assert bench.taken() == [DoorInput.REX]

    def test_edges_are_judged_by_when_they_were(self):
        """A thread that comes late finds press and release at once, and still knows that it was a press."""
        bench = Bench()
        bench.at("entry", True, 1.0)
        bench.at("entry", False, 1.2)
        bench.wait(3.0)
        assert bench.reports == [DoorInput.ENTRY]

    def test_a_spike_whose_end_is_told_late_is_no_press(self):
        """The line reads at rest while the edge that says so is on its way; that edge says how short it was."""
        bench = Bench()
        bench.at("entry", True, 1.0)
        bench.read("entry", False, 1.05)
        bench.at("entry", False, 1.002)
        bench.wait(3.0)
        assert bench.reports == []

    def test_a_press_whose_end_is_told_late_is_one(self):
        """The edge says that it was long enough, although the line was seen at rest before."""
        bench = Bench()
        bench.at("entry", True, 1.0)
        bench.read("entry", False, 1.06)
        bench.at("entry", False, 1.05)
        bench.wait(3.0)
        assert bench.reports == [DoorInput.ENTRY]

    def test_a_level_that_was_read_stands_for_an_edge_that_was_lost(self):
        """Once no edge has come for a while."""
        bench = Bench()
        bench.read("entry", True, 4.0)
        bench.wait(4.0 + LOST_S)
        assert bench.reports == []
        bench.read("entry", True, 4.0 + LOST_S)
        bench.wait(5.0)
        assert bench.reports == [DoorInput.ENTRY]

    def test_a_level_that_was_read_once_is_no_lost_edge(self):
        """Read otherwise again, there was none."""
        bench = Bench()
        bench.read("entry", True, 4.0)
        bench.read("entry", False, 4.1)
        bench.read("entry", True, 4.0 + LOST_S)
        bench.read("entry", False, 5.0)
        bench.wait(8.0)
        assert bench.reports == []


class TestStuck:
    @pytest.mark.parametrize("name", STUCK)
    def test_an_input_held_for_its_time_is_stuck_and_then_freed(self, name):
        stuck, freed, after_s = STUCK[name]
        bench = Bench()
        bench.at(name, True, 1.0)
        bench.wait(1.0 + after_s - 0.1)
        assert bench.taken() == [TRIGGERS[name]]
        bench.wait(1.2 + after_s)
        assert bench.taken() == [stuck]
        bench.wait(1000 + after_s)
        assert bench.taken() == []
        bench.at(name, False, 1001 + after_s)
        bench.wait(1002 + after_s)
        assert bench.taken() == [freed]

    @pytest.mark.parametrize("name", STUCK)
    def test_an_input_active_at_the_start_triggers_nothing_and_is_found_stuck(self, name):
        stuck, freed, after_s = STUCK[name]
        bench = Bench(name)
        bench.wait(after_s - 0.1)
        assert bench.taken() == []
        bench.wait(after_s)
        assert bench.taken() == [stuck]
        bench.at(name, False, after_s + 1)
        bench.wait(after_s + 2)
        assert bench.taken() == [freed]
        bench.at(name, True, after_s + 3)
        bench.wait(after_s + 4)
        assert bench.taken() == [TRIGGERS[name]]

    @pytest.mark.parametrize("name", STUCK)
    def test_one_that_is_let_go_in_time_was_not_stuck(self, name):
        """At the start too."""
        bench = Bench(name)
        bench.at(name, False, 1.0)
        bench.wait(2000.0)
        bench.at(name, True, 2000.0)
        bench.wait(2000.0 + STUCK[name][2] - 1)
        bench.at(name, False, bench.now)
        bench.wait(9000.0)
        assert bench.reports == [TRIGGERS[name]]

    def test_its_time_counts_from_the_press_however_late_the_thread_is(self):
        bench = Bench()
        bench.at("entry", True, 1.0)
        assert bench.inputs.pass_time(25.0) == [DoorInput.ENTRY]
        assert bench.inputs.wait_s(25.0) == pytest.approx(1.03 + PINS.stuck_s - 25.0)

    def test_a_flicker_does_not_free_a_stuck_input(self):
        bench = Bench()
        bench.at("rex", True, 1.0)
        bench.at("rex", False, 20.0)
        bench.at("rex", True, 20.01)
        bench.wait(50.0)
        assert bench.reports == [DoorInput.REX, DoorInput.REX_STUCK]


class TestStates:
    @pytest.mark.parametrize("name", STATES)
    def test_a_state_reports_its_changes(self, name):
        bench = Bench()
        bench.at(name, True, 1.0)
        bench.wait(2.0)
        bench.at(name, False, 3.0)
        bench.wait(4.0)
        assert bench.reports == list(STATES[name])

    @pytest.mark.parametrize("name", STATES)
    def test_a_state_is_reported_at_the_start_only_where_it_is_active(self, name):
        begun, calm = Bench(name), Bench()
        for bench in (begun, calm):
            bench.wait(5.0)
        assert (begun.reports, calm.reports) == ([STATES[name][0]], [])

    @pytest.mark.parametrize("name", STATES)
    def test_a_state_is_never_stuck(self, name):
        bench = Bench(name)
        bench.wait(1e6)
        assert bench.reports == [STATES[name][0]]


class TestTogether:
    def test_only_what_is_connected_has_a_rule(self):
        assert list(rules(Pins(strike=17, rex=13))) == ["rex"]
        assert list(rules(PINS)) == ["rex", "entry", "approach", "contact", "tamper"]

    def test_inputs_do_not_disturb_each_other(self):
        bench = Bench()
        bench.at("entry", True, 1.0)
        bench.at("contact", True, 1.01)
        bench.at("approach", True, 1.02)
        bench.wait(2.0)
        assert bench.reports == [DoorInput.ENTRY, DoorInput.DOOR_OPENED, DoorInput.APPROACH]

    def test_nothing_is_due_at_rest(self):
        assert Bench().inputs.wait_s(1.0) == float("inf")

    @given(st.lists(st.tuples(st.booleans(), st.floats(0.0, 60.0)), max_size=40), st.booleans())
    def test_whatever_happens_reports_come_in_pairs(self, steps, active):
        """A stuck input is freed before it is stuck anew, opened alternates with closed, and no report is late."""
        bench = Bench(*(["rex", "contact"] if active else []))
        for level, wait_s in steps:
            for name in ("rex", "contact"):
                bench.at(name, level, bench.now)
            bench.wait(bench.now + wait_s)
        for pair in (STUCK["rex"][:2], STATES["contact"]):
            told = [report for report in bench.reports if report in pair]
            assert told == [pair[index % 2] for index in range(len(told))]
