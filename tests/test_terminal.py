"""Tests of the kiosk, in a real pseudo-terminal."""

import io
import os
import termios
from dataclasses import replace
from datetime import UTC, datetime
from queue import Queue

import pytest
from rich.console import Console

from smileaccess.errors import PanelUnavailable
from smileaccess.model import Attempt, DoorInput, Outcome, Reason, Signal, Trigger
from smileaccess.panels.kiosk import HEIGHT, SHOWN_ATTEMPTS, WIDTH, KioskView, attempt_line, draw, kiosk_svg
from smileaccess.panels.silent import SilentPanel
from smileaccess.panels.terminal import TerminalPanel
from smileaccess.signals import HINTS, LOOKS
from tests.fakes_devices import PATIENCE_S, FakeClock, PseudoTerminal

GRANTED = Attempt(
    "0190", "front", Trigger.BUTTON, datetime(2030, 1, 1, 8, 30, 5, tzinfo=UTC), outcome=Outcome.GRANTED,
    member_id="m1", similarity=99.64, smile=96.2,
)  # fmt: skip
REFUSED = replace(GRANTED, outcome=Outcome.DENIED, reason=Reason.NO_SMILE, member_id=None, smile=None)
VIEW = KioskView("front door", Signal.LOCKED, 0.0, 0.0)


class Kiosk:
    """A panel on a pseudo-terminal, with what it reports."""

    def __init__(self) -> None:
        self.terminal = PseudoTerminal()
        self.clock = FakeClock()
        self.inputs = Queue()
        self.before = termios.tcgetattr(self.terminal.slave)
        self.panel = TerminalPanel(
            self.clock, self.terminal.console(), self.terminal.slave, door="back door", on_key=self.inputs.put
        )

    def start(self):
        self.panel.start(self.inputs.put)

    def restored(self):
        return termios.tcgetattr(self.terminal.slave) == self.before


@pytest.fixture
def kiosk():
    """Return a kiosk that was not started; it is closed afterward."""
    made = Kiosk()
    yield made
    made.panel.close()
    made.terminal.hang_up()


def heard(kiosk, number):
    return [kiosk.inputs.get(timeout=PATIENCE_S) for _ in range(number)]


def test_keys_are_buttons(kiosk):
    """Small and capital letters press, digits choose a scene, other keys do nothing."""
    kiosk.start()
    kiosk.terminal.type(b" pXz180Q")
    assert heard(kiosk, 6) == [
        DoorInput.ENTRY, DoorInput.APPROACH, DoorInput.REX, "1", "8", DoorInput.QUIT,
    ]  # fmt: skip
    assert kiosk.inputs.empty()


def test_an_arrow_key_is_no_button(kiosk):
    """F1 is sent as ESC O P; its P is no approach, nor are the digits of other keys scenes."""
    kiosk.start()
    kiosk.terminal.type(b"\x1bOP\x1b[A\x1b[15~ ")
    assert heard(kiosk, 1) == [DoorInput.ENTRY]
    assert kiosk.inputs.empty()


def test_the_terminal_is_given_back(kiosk):
    """Between start and close keys come one by one unseen; afterward all is as before, cursor and screen, too."""
    kiosk.start()
    local = termios.tcgetattr(kiosk.terminal.slave)[3]
    assert not local & termios.ICANON
    assert not local & termios.ECHO
    kiosk.panel.close()
    assert kiosk.restored()
    kiosk.terminal.await_text("\x1b[?1049l")
    kiosk.terminal.await_text("\x1b[?25h")


def test_the_threads_end_with_the_panel(kiosk):
    """After close a key goes to nobody."""
    kiosk.start()
    kiosk.panel.close()
    kiosk.terminal.type(b"x\n")
    assert os.read(kiosk.terminal.slave, 10) == b"x\n"
    assert kiosk.inputs.empty()


def screen(file, term="xterm", *, force_terminal=True):
    """Return a console on a file, whatever the tests run on."""
    return Console(file=file, force_terminal=force_terminal, _environ={"TERM": term})


@pytest.mark.parametrize(("term", "terminal"), [("dumb", True), ("xterm", False)])
def test_what_cannot_be_drawn_on_is_no_panel(kiosk, term, terminal):
    """A dumb terminal, or a file: unavailable, with the way out, and the keyboard is left as it was."""
    console = screen(io.StringIO(), term, force_terminal=terminal)
    with pytest.raises(PanelUnavailable, match=r'drawn on: .*set \[panel\] kind = "silent"'):
        TerminalPanel(kiosk.clock, console, kiosk.terminal.slave).start(kiosk.inputs.put)
    assert kiosk.restored()


class FullScreen(io.StringIO):
    """A screen that cannot be written to."""

    def write(self, text):
        raise OSError(28, "No space left on device", text)


def test_a_start_that_fails_half_way_gives_the_terminal_back(kiosk):
    """When drawing fails, the error comes out and the keys' mode is restored."""
    panel = TerminalPanel(kiosk.clock, screen(FullScreen()), kiosk.terminal.slave)
    with pytest.raises(OSError, match="No space left"):
        panel.start(kiosk.inputs.put)
    assert kiosk.restored()


def test_what_is_no_terminal_is_no_panel():
    """A pipe as keyboard: unavailable."""
    reading, writing = os.pipe()
    try:
        panel = TerminalPanel(FakeClock(), screen(io.StringIO()), reading)
        with pytest.raises(PanelUnavailable) as caught:
            panel.start(lambda _: None)
        assert str(caught.value) == (
            "panel: no terminal to read keys from (Inappropriate ioctl for device): run this on one, or set [panel] "
            'kind = "silent"'
        )
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("end", [0, 1])
def test_a_terminal_that_goes_away_quits(end):
    """A window that is closed is a person who leaves, whether the kernel tells it as an end or as an error."""
    ends = os.openpty()
    inputs = Queue()
    panel = TerminalPanel(FakeClock(), screen(io.StringIO()), ends[end])
    panel.start(inputs.put)
    os.close(ends[1 - end])
    assert inputs.get(timeout=PATIENCE_S) is DoorInput.QUIT
    panel.close()
    os.close(ends[end])


def test_signal_and_attempts_are_drawn_on_the_screen(kiosk):
    """What the panel is told appears there."""
    kiosk.start()
    kiosk.terminal.await_text("LOCKED")
    kiosk.panel.signal(Signal.SMILE_NOW)
    kiosk.terminal.await_text("SMILE NOW!")
    kiosk.panel.show_attempt(GRANTED, "Ada")
    kiosk.terminal.await_text("Ada")
    kiosk.panel.energize(4.0)
    kiosk.terminal.await_text("OPEN 4.0 s")
    kiosk.panel.show_status("scene 3 of 8")
    kiosk.terminal.await_text("scene 3 of 8")


def test_the_view_follows_clock_and_calls(kiosk):
    """Blinking counts from the signal, the strike counts down, the newest attempt is first and brings its hint."""
    kiosk.panel.signal(Signal.REFUSED)
    kiosk.panel.show_attempt(GRANTED, "Ada")
    kiosk.panel.show_attempt(REFUSED, "nobody")
    kiosk.clock.advance(0.75)
    view = kiosk.panel.view()
    assert (view.door, view.signal, view.since_s, view.open_s) == ("back door", Signal.REFUSED, 0.75, 0.0)
    assert [line.who for line in view.attempts] == ["nobody", "Ada"]
    assert view.hint == HINTS[Reason.NO_SMILE]


def test_a_new_attempt_clears_the_last_hint(kiosk):
    """Once the camera looks again, the old advice is gone; a mere rest keeps it."""
    kiosk.panel.show_attempt(REFUSED, "nobody")
    kiosk.panel.signal(Signal.LOCKED)
    assert kiosk.panel.view().hint == HINTS[Reason.NO_SMILE]
    kiosk.panel.signal(Signal.LOOKING)
    assert kiosk.panel.view().hint == ""


def test_an_attempt_s_line():
    """Time, name, outcome and what was measured, without what was not."""
    line = attempt_line(GRANTED, "Ada")
    assert (line.at, line.who, line.granted, line.why) == ("08:30:05", "Ada", True, "granted")
    assert line.numbers == "99.6 / 96"
    assert attempt_line(REFUSED, "nobody").numbers == "99.6 / -"
    assert attempt_line(replace(REFUSED, similarity=None), "nobody").numbers == ""
    assert attempt_line(REFUSED, "nobody").why == "no_smile"


def drawn(view, width=WIDTH, height=HEIGHT):
    """Return the lines of the kiosk as plain text."""
    console = Console(file=io.StringIO(), width=width, height=height, record=True, _environ={})
    console.print(draw(view), height=height)
    return console.export_text().splitlines()


@pytest.mark.parametrize("signal", Signal)
def test_every_signal_fits_a_small_terminal(signal):
    """On 80 by 24 the prompt, the strike, seven attempts, status and keys are all there."""
    lines = tuple(replace(attempt_line(GRANTED, "Ada"), who=f"person {number}") for number in range(SHOWN_ATTEMPTS))
    hint = max(HINTS.values(), key=len)
    view = replace(VIEW, signal=signal, attempts=lines, status="a status", hint=hint, scenes=True)
    shown = drawn(view)
    text = "\n".join(shown)
    assert len(shown) == HEIGHT
    assert max(map(len, shown)) <= WIDTH
    for expected in (LOOKS[signal].prompt.upper(), "LOCKED", "person 0", "person 6", "a status", "1-8", "leave"):
        assert expected in text
    assert hint.split()[0] in text
    assert hint.split()[-1] in text


@pytest.mark.parametrize(("width", "height", "measured"), [(80, 24, True), (60, 20, False)])
def test_time_and_who_stay_whole_and_what_was_measured_goes_first(width, height, measured):
    """On 80 columns all of it fits; on 60 the numbers are left out."""
    why = max((reason.value for reason in Reason), key=len)
    line = replace(attempt_line(GRANTED, "Ada Lovelace"), why=why)
    text = "\n".join(drawn(replace(VIEW, attempts=(line,)), width, height))
    assert "08:30:05" in text
    assert "Ada Lovelace" in text
    assert why in text
    assert ("99.6 / 96" in text, "similar / smile" in text) == (measured, measured)


def test_lamps_and_buzzer_show_the_moment():
    """The smile cue's lamp and tone are on at first and off between two blinks."""
    on, off = (drawn(replace(VIEW, signal=Signal.SMILE_NOW, since_s=at)) for at in (0.0, 0.2))
    assert any("● " in line and "amber" in line for line in on)
    assert any("♪" in line for line in on)
    assert not any("● " in line for line in off)


def test_the_open_strike_counts_down():
    """An energized strike shows what is left of its time, and never LOCKED."""
    text = "\n".join(drawn(replace(VIEW, signal=Signal.OPEN, open_s=3.24)))
    assert "OPEN 3.2 s" in text
    assert "LOCKED" not in text


def test_keys_for_scenes_are_offered_only_where_there_are_scenes():
    """With a webcam the digits do nothing and are not named."""
    assert "1-8" not in "\n".join(drawn(VIEW))


def test_a_name_is_never_taken_for_markup():
    """A name in brackets is shown as it is."""
    line = attempt_line(GRANTED, "[red]Eve[/]")
    assert "[red]Eve[/]" in "\n".join(drawn(replace(VIEW, attempts=(line,), hint="[b]x", status="[i]y")))


def test_the_svg_is_the_same_every_time():
    """The picture for the README depends on nothing but the view."""
    view = replace(VIEW, attempts=(attempt_line(GRANTED, "Ada"),))
    svg = kiosk_svg(view)
    assert svg == kiosk_svg(view)
    assert svg.startswith("<svg")
    for expected in ("LOCKED", "Ada", "granted"):
        assert expected in svg
    assert kiosk_svg(replace(view, signal=Signal.FAULT)) != svg


def test_the_silent_panel_remembers_the_last_signal():
    """Nothing is printed; what would be shown can be asked for."""
    panel = SilentPanel(FakeClock())
    assert panel.shown is Signal.LOCKED
    panel.signal(Signal.OPEN)
    assert panel.shown is Signal.OPEN


def test_a_silent_panel_that_is_not_open_takes_no_press():
    """Nobody listens before start."""
    with pytest.raises(PanelUnavailable, match="not open"):
        SilentPanel(FakeClock()).press(DoorInput.ENTRY)
