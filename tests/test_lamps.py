"""What is played on lamps and buzzer, and when; in virtual time, with the thread that plays it."""

from __future__ import annotations

from queue import Queue
from threading import Event

import pytest

from smileaccess.errors import PanelUnavailable
from smileaccess.model import Signal
from smileaccess.panels.lamps import Lamps, next_change_s
from smileaccess.signals import LOOKS, Color
from tests.fakes_devices import PATIENCE_S, FakeClock

GREEN, AMBER, RED = (frozenset({color}) for color in Color)
DARK = frozenset()


def shown(look, since_s):
    return {color for color in Color if look.lit(color, since_s)}, look.sounding(since_s)


@pytest.mark.parametrize("signal", Signal)
def test_every_change_is_foreseen(signal):
    """Between the foreseen moments nothing changes, at least until ten seconds have passed."""
    look, since_s = LOOKS[signal], 0.0
    while since_s < 10.0:
        then_s = since_s + min(next_change_s(look, since_s), 10.0)
        within = [since_s + (then_s - since_s) * part / 20 for part in range(1, 20)]
        assert [shown(look, at) for at in within] == [shown(look, within[0])] * 19, since_s
        since_s = then_s + 1e-6


@pytest.mark.parametrize("signal", [signal for signal, look in LOOKS.items() if not look.off_s])
def test_a_steady_light_comes_to_rest(signal):
    """Once the buzzer is done nothing wakes the thread any more."""
    assert next_change_s(LOOKS[signal], 5.0) == float("inf")


def test_a_blink_goes_on_for_ever():
    look = LOOKS[Signal.AWAKE]
    assert next_change_s(look, 1000.1) == pytest.approx(0.1)
    assert next_change_s(look, 1000.5) == pytest.approx(1.5)


class Stage:
    """Lamps whose lights and tones are put down as they change."""

    def __init__(self):
        self.clock = FakeClock()
        self.lights, self.tones = Queue(), Queue()
        self.error = None
        self.failed, self.crashed = Event(), Event()
        self.lamps = Lamps(self.clock, self.paint, self.tones.put, self.crashed.set)

    def paint(self, lit):
        if self.error is not None:
            self.failed.set()
            raise self.error
        self.lights.put(lit)

    def light(self):
        return self.lights.get(timeout=PATIENCE_S)

    def tone(self):
        return self.tones.get(timeout=PATIENCE_S)


@pytest.fixture
def stage():
    made = Stage()
    yield made
    made.lamps.close()


def test_the_first_light_needs_no_time_to_pass(stage):
    """The clock stands still; the person sees at once that the button was heard."""
    stage.lamps.show(Signal.LOOKING)
    assert (stage.light(), stage.tone()) == (AMBER, True)


def test_a_signal_blinks_until_the_next_one(stage):
    stage.lamps.show(Signal.SMILE_NOW)
    seen = [stage.light()]
    for _ in range(4):
        stage.clock.advance(0.15 + 1e-4)
        seen.append(stage.light())
    assert seen == [AMBER, DARK, AMBER, DARK, AMBER]
    stage.lamps.show(Signal.OPEN)
    assert stage.light() == GREEN


def test_a_new_signal_begins_its_own_time(stage):
    """The buzzer of the one before it is cut off."""
    stage.lamps.show(Signal.REFUSED)
    assert (stage.light(), stage.tone()) == (RED, True)
    stage.clock.advance(0.1)
    stage.lamps.show(Signal.LOCKED)
    assert stage.tone() is False


def test_the_buzzer_plays_once(stage):
    stage.lamps.show(Signal.TRY_AGAIN)
    heard = [stage.tone()]
    for step_s in (0.2, 0.1, 0.2):
        stage.clock.advance(step_s + 1e-4)
        heard.append(stage.tone())
    assert heard == [True, False, True, False]
    stage.clock.advance(60.0)
    stage.lamps.close()
    assert stage.tones.empty()


def test_the_end_is_dark_and_still(stage):
    stage.lamps.show(Signal.REFUSED)
    assert (stage.light(), stage.tone()) == (RED, True)
    stage.lamps.close()
    assert (stage.light(), stage.tone()) == (DARK, False)


def test_a_lamp_that_fails_is_tried_again_with_the_next_signal(stage):
    """And nobody but the log hears of it."""
    stage.error = PanelUnavailable("panel: red: gone")
    stage.lamps.show(Signal.LOCKED)
    assert stage.failed.wait(PATIENCE_S)
    stage.error = None
    stage.lamps.show(Signal.OPEN)
    assert stage.light() == GREEN
    assert not stage.crashed.is_set()


def test_an_unforeseen_failure_stops_the_process(stage, capsys):
    stage.error = LookupError("nobody foresaw this")
    stage.lamps.show(Signal.LOCKED)
    assert stage.crashed.wait(PATIENCE_S)
    capsys.readouterr()
