"""The panel on GPIO: gpiozero's own devices on its mock pins, with a guard that is put down or a real process."""

from __future__ import annotations

import os
import signal
import threading
from queue import Empty, Queue

import pytest
from gpiozero.pins.mock import MockFactory, MockPin, MockPWMPin

from smileaccess.errors import PanelUnavailable
from smileaccess.model import DoorInput, Signal
from smileaccess.panels.gpio import FACTORIES, GpioPanel, make_factory
from smileaccess.panels.guarding import Guard
from smileaccess.panels.soft_strike import SoftStrike
from smileaccess.pins import Pins
from tests.fakes_devices import PATIENCE_S, FakeClock
from tests.lgpio_standin import Lines

PINS = Pins(
    strike=17, entry=5, approach=6, rex=13, contact=19, tamper=26, green=22, amber=23, red=24, buzzer=25
)  # fmt: skip
PRESSED = {"entry": DoorInput.ENTRY, "approach": DoorInput.APPROACH, "rex": DoorInput.REX}


class FakeGuard:
    """A guard whose strike is judged by the clock; `error` is raised by every use of it."""

    def __init__(self, clock):
        self.strike = SoftStrike(clock)
        self.running = False
        self.error = None
        self.starts = 0
        self.on_lost = self.on_back = None

    @property
    def energized(self):
        return self.strike.energized

    def start(self, on_lost, on_back):
        self._fail()
        self.on_lost, self.on_back = on_lost, on_back
        self.starts += 1
        self.running = True

    def energize(self, for_s):
        self._fail()
        self.strike.energize(for_s)

    def de_energize(self):
        self._fail()
        self.strike.de_energize()

    def close(self):
        self.strike.de_energize()
        self.running = False

    def _fail(self):
        if self.error is not None:
            raise self.error


class WiredPin(MockPin):
    """A mock pin whose wire, where it leads somewhere, wins over the pull."""

    wire = None

    def _set_pull(self, value):
        super()._set_pull(value)
        if self.wire is not None:
            self.lead(self.wire)

    def lead(self, high):
        """Lead the wire to 3.3 V or to ground."""
        self.wire = high
        (self.drive_high if high else self.drive_low)()


class Board:
    """A panel on mock pins, and hands that press, open and look; the door is closed, and so is the box."""

    def __init__(self, pins=PINS, *, clock=None, factory=None, guard=None, closed=("contact", "tamper")):
        self.pins = pins
        self.clock = clock or FakeClock()
        self.factory = factory or MockFactory(pin_class=WiredPin)
        self.guard = guard or FakeGuard(self.clock)
        self.panel = GpioPanel(pins, self.clock, factory=self.factory, guard=self.guard)
        self.heard = Queue()
        for part in closed:
            if part in pins.connected():
                self.drive(part, False)

    def start(self):
        self.panel.start(self.heard.put)
        return self

    def pin(self, part):
        return self.factory.pin(getattr(self.pins, part))

    def drive(self, part, active):
        """Let the wire to an input be as somebody makes it."""
        self.pin(part).lead(active is (self.pins.active(part) == "high"))

    def press(self, part):
        """Press and release as a person does."""
        self.drive(part, True)
        self.clock.advance(0.2)
        self.drive(part, False)
        self.clock.advance(0.2)

    def hear(self):
        return self.heard.get(timeout=PATIENCE_S)

    def await_lit(self, *parts):
        """Wait until these lamps are lit and no others."""
        lamps = [part for part in ("green", "amber", "red", "blue") if part in self.pins.connected()]
        await_true(lambda: {part for part in lamps if self.pin(part).state} == set(parts))


def await_true(holds):
    """Wait for another thread, without burning a core."""
    waited = threading.Event()
    for _ in range(int(PATIENCE_S / 0.005)):
        if holds():
            return
        waited.wait(0.005)
    raise AssertionError("it did not come to be")


@pytest.fixture
def board():
    made = Board()
    yield made
    made.panel.close()


class TestInputs:
    @pytest.mark.parametrize(("part", "report"), PRESSED.items())
    def test_a_press_is_heard_once(self, board, part, report):
        board.start().press(part)
        assert board.hear() is report
        board.press("rex")
        assert board.hear() is DoorInput.REX

    @pytest.mark.parametrize(
        ("part", "reports"),
        [
            ("contact", [DoorInput.DOOR_OPENED, DoorInput.DOOR_CLOSED]),
            ("tamper", [DoorInput.TAMPERED, DoorInput.TAMPER_CLEARED]),
        ],
    )
    def test_a_state_is_heard_as_it_changes(self, part, reports):
        """Wired to ground, and pulled up: a cut wire reads as open, as tampered."""
        board = Board(Pins(strike=17, **{part: 19}), closed=()).start()
        try:
            assert (board.pin(part).pull, board.hear()) == ("up", reports[0])
            for active in (False, True, False):
                board.drive(part, active)
                board.clock.advance(0.1)
            assert [board.hear() for _ in range(3)] == [reports[1], reports[0], reports[1]]
        finally:
            board.panel.close()

    @pytest.mark.parametrize(
        ("pins", "pull"),
        [
            (Pins(strike=17, entry=5, entry_active="low"), "up"),
            (Pins(strike=17, entry=5, entry_active="high"), "down"),
        ],
    )
    def test_a_button_is_pulled_away_from_its_active_level(self, pins, pull):
        board = Board(pins).start()
        try:
            assert board.pin("entry").pull == pull
            board.press("entry")
            assert board.hear() is DoorInput.ENTRY
        finally:
            board.panel.close()

    @pytest.mark.parametrize(("level", "pull"), [("high", "up"), ("low", "down")])
    def test_a_contact_is_pulled_to_open(self, level, pull):
        board = Board(Pins(strike=17, contact=19, contact_open=level), closed=()).start()
        try:
            assert (board.pin("contact").pull, board.hear()) == (pull, DoorInput.DOOR_OPENED)
        finally:
            board.panel.close()

    def test_a_spike_on_the_entry_is_not_heard(self, board):
        """A real press after it is."""
        board.start()
        board.drive("entry", True)
        board.clock.advance(0.01)
        board.drive("entry", False)
        board.clock.advance(1.0)
        board.press("approach")
        assert board.hear() is DoorInput.APPROACH

    def test_a_held_button_is_heard_as_stuck_and_as_freed(self, board):
        board.start()
        board.drive("rex", True)
        assert board.hear() is DoorInput.REX
        board.clock.advance(PINS.stuck_s)
        assert board.hear() is DoorInput.REX_STUCK
        board.drive("rex", False)
        board.clock.advance(1.0)
        assert board.hear() is DoorInput.REX_FREED

    def test_a_button_held_at_the_start_triggers_nothing(self):
        """It is stuck, then freed, then works."""
        board = Board()
        board.drive("entry", True)
        board.start()
        try:
            board.clock.advance(PINS.stuck_s)
            assert board.hear() is DoorInput.ENTRY_STUCK
            board.drive("entry", False)
            board.clock.advance(1.0)
            assert board.hear() is DoorInput.ENTRY_FREED
            board.press("entry")
            assert board.hear() is DoorInput.ENTRY
        finally:
            board.panel.close()

    def test_an_edge_that_was_lost_is_found_by_reading(self, board):
        """The level changes and nobody is called."""
        board.start()
        board.pin("contact")._change_state(True)
        await_true(lambda: board.clock.advance(1.0) or not board.heard.empty())
        assert board.hear() is DoorInput.DOOR_OPENED

    def test_nothing_is_heard_after_the_end(self, board):
        board.start()
        board.panel.close()
        board.press("rex")
        with pytest.raises(Empty):
            board.heard.get_nowait()

    def test_an_input_that_cannot_be_read_leaves_the_others_alone(self, board):
        board.start()

        class Broken(type(board.pin("entry"))):
            def _get_state(self):
                raise OSError("gone")

        board.pin("entry").__class__ = Broken
        board.clock.advance(2.0)
        board.press("rex")
        assert board.hear() is DoorInput.REX

    def test_an_unforeseen_failure_stops_the_process(self, capsys):
        """An input's thread that died would leave the way out deaf while everything else looks alive."""
        crashed = threading.Event()
        clock = FakeClock()
        factory = MockFactory(pin_class=WiredPin)
        panel = GpioPanel(Pins(strike=17, rex=13), clock, factory=factory, guard=FakeGuard(clock), on_crash=crashed.set)

        def unforeseen(_report):
            raise LookupError("nobody foresaw this")

        panel.start(unforeseen)
        factory.pin(PINS.rex).drive_low()
        assert crashed.wait(PATIENCE_S)
        panel.close()
        capsys.readouterr()


class TestLamps:
    def test_a_signal_lights_its_lamps(self, board):
        board.start().panel.signal(Signal.LOCKED)
        board.await_lit("red")
        board.panel.signal(Signal.OPEN)
        board.await_lit("green")
        board.panel.signal(Signal.FAULT)
        board.await_lit("amber", "red")
        board.panel.close()
        board.await_lit()

    def test_lamps_that_are_active_low_are_driven_the_other_way(self):
        board = Board(Pins(strike=17, green=22, red=24, lamps_active="low")).start()
        try:
            board.panel.signal(Signal.LOCKED)
            board.await_lit("green")
        finally:
            board.panel.close()

    @pytest.mark.parametrize(
        ("shown", "lit"),
        [
            (Signal.LOCKED, ["red"]),
            (Signal.OPEN, ["green"]),
            (Signal.LOOKING, ["green", "red"]),
            (Signal.FAULT, ["blue", "red"]),
        ],
    )
    def test_one_rgb_led_shows_every_color(self, shown, lit):
        """Amber is red and green; amber and red together, a fault, is a color of its own."""
        board = Board(Pins(strike=17, lamps="rgb", green=22, red=24, blue=23)).start()
        try:
            board.panel.signal(shown)
            board.await_lit(*lit)
        finally:
            board.panel.close()

    def test_every_signal_of_an_rgb_led_can_be_shown(self):
        board = Board(Pins(strike=17, lamps="rgb", green=22, red=24)).start()
        try:
            for shown in Signal:
                board.panel.signal(shown)
            board.panel.signal(Signal.OPEN)
            board.await_lit("green")
        finally:
            board.panel.close()

    def test_the_buzzer_sounds_and_is_still_again(self, board):
        board.start()
        board.panel.signal(Signal.OPEN)
        await_true(lambda: board.pin("buzzer").state)
        board.clock.advance(1.0)
        await_true(lambda: not board.pin("buzzer").state)

    def test_a_tonal_buzzer_is_given_a_tone(self):
        pins = Pins(strike=17, buzzer=25, buzzer_kind="tonal")
        board = Board(pins, factory=MockFactory(pin_class=MockPWMPin)).start()
        try:
            board.panel.signal(Signal.OPEN)
            await_true(lambda: board.pin("buzzer").state == 0.5)
            assert board.pin("buzzer").frequency == 2000
            board.clock.advance(1.0)
            await_true(lambda: board.pin("buzzer").state == 0)
        finally:
            board.panel.close()

    def test_a_lamp_that_breaks_disturbs_nothing(self, board):
        """Neither the caller, nor the strike, nor the next signal."""
        board.start()

        class Broken(type(board.pin("red"))):
            def _set_state(self, _value):
                raise OSError("gone")

        board.pin("red").__class__ = Broken
        board.panel.signal(Signal.LOCKED)
        board.panel.energize(5.0)
        board.panel.signal(Signal.OPEN)
        board.await_lit("green")
        board.pin("red").__class__ = Broken.__base__
        assert board.panel.energized


class TestClaims:
    def test_it_claims_everything_but_the_strike(self, board):
        board.start()
        named = {pin.info.name for pin in board.factory.pins.values()}
        assert named == {f"GPIO{line}" for part, line in PINS.connected().items() if part != "strike"}

    def test_a_part_that_is_taken_is_named(self, board):
        """What was claimed before it is free again, and the strike locked."""
        from gpiozero import LED  # noqa: PLC0415

        with LED(PINS.rex, pin_factory=board.factory):
            with pytest.raises(PanelUnavailable, match=f"panel: rex: GPIO {PINS.rex}: .*in use.*: free the line"):
                board.start()
            assert not board.guard.running
        board.start().press("rex")
        assert board.hear() is DoorInput.REX

    def test_a_line_that_the_board_does_not_have_is_named(self):
        board = Board(Pins(strike=17, green=99))
        with pytest.raises(PanelUnavailable, match="panel: green: GPIO 99: "):
            board.start()

    def test_a_strike_that_cannot_be_had_is_an_error_of_the_start(self, board):
        board.guard.error = PanelUnavailable("strike: busy")
        with pytest.raises(PanelUnavailable, match="busy"):
            board.start()
        assert board.pin("red").function == "input"

    def test_secure_holds_the_strike_before_anything_else(self, board):
        """Start goes on with the same guard."""
        board.panel.secure()
        board.panel.secure()
        assert (board.guard.running, board.guard.starts, board.pin("red").function) == (True, 1, "input")
        with pytest.raises(PanelUnavailable, match="not open"):
            board.panel.energize(1.0)
        board.start()
        assert board.guard.starts == 1
        board.panel.energize(1.0)
        assert board.panel.energized

    def test_a_start_locks_anew(self, board):
        """Or fails: whatever happened since it was secured."""
        board.panel.secure()
        board.guard.strike.energize(60.0)
        board.start()
        assert not board.panel.energized
        board.guard.error = PanelUnavailable("strike: lost")
        with pytest.raises(PanelUnavailable, match="lost"):
            board.start()

    def test_a_guard_that_is_lost_and_back_is_heard(self, board):
        board.start()
        board.guard.on_lost()
        board.guard.on_back()
        assert [board.hear(), board.hear()] == [DoorInput.STRIKE_LOST, DoorInput.STRIKE_BACK]

    @pytest.mark.parametrize("name", FACTORIES)
    def test_a_factory_that_cannot_be_had_is_named(self, name, tmp_path, monkeypatch):
        """No GPIO here: no chip, no library, no board."""
        monkeypatch.chdir(tmp_path)
        with pytest.raises(PanelUnavailable, match=name):
            make_factory(name, 9)


class TestRealGuard:
    """The panel with its guard as a real process on lines of files."""

    @pytest.fixture
    def lines(self, tmp_path):
        return Lines(tmp_path)

    @pytest.fixture
    def real(self, lines):
        made = Board(guard=Guard(PINS, command=lines.command))
        yield made
        made.panel.close()

    def test_the_strike_follows_the_panel(self, real, lines):
        real.start()
        assert (lines.level(17), real.panel.energized) == (0, False)
        real.panel.energize(5.0)
        assert (lines.level(17), real.panel.energized) == (1, True)
        real.panel.de_energize()
        assert lines.level(17) == 0
        real.panel.energize(5.0)
        real.panel.close()
        assert (lines.level(17), lines.owned(17)) == (0, False)

    def test_a_dead_guard_is_heard_and_replaced(self, real, lines):
        real.start()
        real.panel.energize(5.0)
        os.kill(real.guard.pid, signal.SIGKILL)
        assert [real.hear(), real.hear()] == [DoorInput.STRIKE_LOST, DoorInput.STRIKE_BACK]
        assert lines.level(17) == 0
        real.panel.energize(5.0)
        assert lines.level(17) == 1
