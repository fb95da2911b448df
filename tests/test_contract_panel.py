"""One suite over the fake and every adapter of ports.Panel."""

from queue import Queue

import pytest

from smileaccess.errors import PanelUnavailable
from smileaccess.model import DoorInput, Signal
from smileaccess.panels.silent import SilentPanel
from smileaccess.panels.terminal import TerminalPanel
from tests.fakes_devices import PATIENCE_S, FakeClock, FakePanel, PseudoTerminal
from tests.test_gpio_panel import Board

PRESSES = (DoorInput.ENTRY, DoorInput.APPROACH, DoorInput.REX)
"""What every panel can report."""

KEYS = {DoorInput.ENTRY: b" ", DoorInput.APPROACH: b"p", DoorInput.REX: b"x", DoorInput.QUIT: b"q"}


class Rig:
    """A panel, its clock, and a hand that presses its buttons."""

    def __init__(self, panel, clock, press) -> None:
        self.panel, self.clock, self.press = panel, clock, press
        self.inputs = Queue()

    def start(self):
        self.panel.start(self.inputs.put)


def fake(clock, _terminal):
    panel = FakePanel(clock)
    return Rig(panel, clock, panel.press)


def silent(clock, _terminal):
    panel = SilentPanel(clock)
    return Rig(panel, clock, panel.press)


def on_a_terminal(clock, terminal):
    panel = TerminalPanel(clock, terminal.console(), terminal.slave)
    return Rig(panel, clock, lambda door_input: terminal.type(KEYS[door_input]))


def on_gpio(clock, _terminal):
    board = Board(clock=clock)
    return Rig(board.panel, clock, lambda door_input: board.press(door_input.value))


@pytest.fixture(params=[fake, silent, on_a_terminal, on_gpio])
def rig(request):
    """Return a rig whose panel was not started; all is closed afterward."""
    terminal = PseudoTerminal()
    made = request.param(FakeClock(), terminal)
    yield made
    made.panel.close()
    terminal.hang_up()


def test_a_panel_starts_locked(rig):
    """After start the strike is de-energized."""
    rig.start()
    assert not rig.panel.energized


def test_a_panel_may_be_secured_before_it_starts(rig):
    """It is locked from then on, more than once if need be, and starts as without."""
    rig.panel.secure()
    rig.panel.secure()
    assert not rig.panel.energized
    rig.start()
    rig.panel.energize(5.0)
    assert rig.panel.energized
    rig.panel.close()
    assert not rig.panel.energized


def test_the_strike_is_energized_until_its_bound(rig):
    """Energized at once and just before the bound, not at it."""
    rig.start()
    rig.panel.energize(5.0)
    assert rig.panel.energized
    rig.clock.advance(4.9)
    assert rig.panel.energized
    rig.clock.advance(0.1)
    assert not rig.panel.energized


@pytest.mark.parametrize(("second_s", "after_s", "expected"), [(1.0, 2.0, False), (8.0, 6.0, True)])
def test_a_new_bound_replaces_the_earlier_one(rig, second_s, after_s, expected):
    """A second command shortens as well as lengthens."""
    rig.start()
    rig.panel.energize(5.0)
    rig.panel.energize(second_s)
    rig.clock.advance(after_s)
    assert rig.panel.energized is expected


def test_de_energize_locks_at_once(rig):
    """It needs no time to pass, and may be repeated."""
    rig.start()
    rig.panel.energize(5.0)
    rig.panel.de_energize()
    rig.panel.de_energize()
    assert not rig.panel.energized


def test_close_locks_and_may_be_repeated(rig):
    """A panel that is closed while the strike is energized leaves it locked."""
    rig.start()
    rig.panel.energize(5.0)
    rig.panel.close()
    rig.panel.close()
    assert not rig.panel.energized


def test_a_panel_that_is_not_open_energizes_nothing(rig):
    """Neither before start nor after close."""
    with pytest.raises(PanelUnavailable):
        rig.panel.energize(5.0)
    rig.start()
    rig.panel.close()
    with pytest.raises(PanelUnavailable):
        rig.panel.energize(5.0)
    assert not rig.panel.energized


def test_a_restarted_panel_is_locked(rig):
    """Start after close works, and remembers no earlier bound."""
    rig.start()
    rig.panel.energize(5.0)
    rig.panel.close()
    rig.start()
    assert not rig.panel.energized
    rig.panel.energize(1.0)
    assert rig.panel.energized


@pytest.mark.parametrize("door_input", PRESSES)
def test_every_input_is_reported_once(rig, door_input):
    """What is pressed is what the listener hears, and nothing else."""
    rig.start()
    rig.press(door_input)
    assert rig.inputs.get(timeout=PATIENCE_S) is door_input
    assert rig.inputs.empty()


@pytest.mark.parametrize("signal", Signal)
def test_every_signal_may_be_shown(rig, signal):
    """No signal raises, open or closed, and none touches the strike."""
    rig.panel.signal(signal)
    rig.start()
    rig.panel.energize(5.0)
    rig.panel.signal(signal)
    assert rig.panel.energized
    rig.panel.close()
    rig.panel.signal(signal)
