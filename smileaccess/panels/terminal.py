"""The door as a live kiosk on a terminal; it never leaves the terminal in another state than it found it in."""

from __future__ import annotations

import atexit
import os
import re
import select
import termios
import tty
from collections import deque
from contextlib import suppress
from dataclasses import replace
from threading import Lock, Thread, current_thread
from typing import TYPE_CHECKING, Any

from rich.live import Live

from smileaccess.errors import PanelUnavailable
from smileaccess.model import DoorInput, Signal
from smileaccess.panels.kiosk import SHOWN_ATTEMPTS, AttemptLine, KioskView, attempt_line, draw, hint_for
from smileaccess.panels.soft_strike import SoftStrike

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console, RenderableType

    from smileaccess.model import Attempt
    from smileaccess.ports import Clock

_INPUTS = {" ": DoorInput.ENTRY, "p": DoorInput.APPROACH, "x": DoorInput.REX, "q": DoorInput.QUIT}
_SCENES = frozenset("12345678")
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;]*[@-~]|O.|.)?")  # an arrow or a function key is no button
_REDRAWS_A_SECOND = 10  # the fastest blink, 0.15 s on and off, stays visible
_JOIN_S = 2.0
_INSTEAD = 'run this on one, or set [panel] kind = "silent"'


class TerminalPanel:
    """A panel drawn on a terminal, with its keys as buttons and its strike held in software.

    SPACE is the entry button, P the approach sensor, X the REX, Q leaves; 1 to 8 go to `on_key`. Drawing and keys
    have a thread each; every method may be called from any thread.
    """

    def __init__(
        self,
        clock: Clock,
        console: Console,
        keyboard: int,
        *,
        door: str = "front door",
        on_key: Callable[[str], None] | None = None,
    ) -> None:
        """Take the console to draw on and the file descriptor of the terminal that keys are read from.

        `on_key` is called from the keys' thread with a digit and only enqueues.
        """
        self._clock = clock
        self._console = console
        self._keyboard = keyboard
        self._on_key = on_key
        self._strike = SoftStrike(clock)
        self._lock = Lock()
        self._view = KioskView(door, Signal.LOCKED, 0.0, 0.0, scenes=on_key is not None)
        self._shown_at = clock.monotonic()
        self._attempts: deque[AttemptLine] = deque(maxlen=SHOWN_ATTEMPTS)
        self._on_input: Callable[[DoorInput], None] | None = None
        self._before: list[Any] | None = None
        self._live: Live | None = None
        self._keys: Thread | None = None
        self._wake: int | None = None

    def secure(self) -> None:
        """De-energize the strike."""
        self._strike.de_energize()

    def start(self, on_input: Callable[[DoorInput], None]) -> None:
        """Take the terminal over and draw; PanelUnavailable where it is none."""
        self.close()
        if self._console.is_dumb_terminal or not self._console.is_terminal:
            raise PanelUnavailable(f"panel: no terminal that can be drawn on: {_INSTEAD}")
        self._on_input = on_input
        try:
            self._before = termios.tcgetattr(self._keyboard)
            tty.setcbreak(self._keyboard, termios.TCSANOW)
        except (termios.error, OSError) as error:
            self._before = self._on_input = None
            raise PanelUnavailable(f"panel: no terminal to read keys from ({error.args[-1]}): {_INSTEAD}") from error
        atexit.register(self.close)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def energize(self, for_s: float) -> None:
        """Energize the strike for at most `for_s` seconds from now; PanelUnavailable when the panel is not open."""
        if self._on_input is None:
            raise PanelUnavailable("panel: the strike cannot be energized: the panel is not open; start it first")
        self._strike.energize(for_s)

    def de_energize(self) -> None:
        """De-energize the strike."""
        self._strike.de_energize()

    def signal(self, signal: Signal) -> None:
        """Show a signal until the next one."""
        with self._lock:
            hint = "" if signal in (Signal.LOOKING, Signal.OPEN) else self._view.hint
            self._view = replace(self._view, signal=signal, hint=hint)
            self._shown_at = self._clock.monotonic()

    def show_attempt(self, attempt: Attempt, who: str) -> None:
        """Add a closed attempt to the table, and its hint to the prompt; `who` is the name to show."""
        with self._lock:
            self._attempts.appendleft(attempt_line(attempt, who))
            self._view = replace(self._view, attempts=tuple(self._attempts), hint=hint_for(attempt))

    def show_status(self, words: str) -> None:
        """Show a line of text below the table until the next one."""
        with self._lock:
            self._view = replace(self._view, status=words)

    def close(self) -> None:
        """De-energize the strike, stop both threads and give the terminal back as it was."""
        self._strike.de_energize()
        with self._lock:
            live, keys, wake, before = self._live, self._keys, self._wake, self._before
            self._live = self._keys = self._wake = self._before = self._on_input = None
        try:
            if keys is not None and wake is not None:
                self._end_keys(keys, wake)
            if live is not None:
                live.stop()
        finally:
            if before is not None:
                with suppress(termios.error, OSError):  # the terminal itself may be gone
                    termios.tcsetattr(self._keyboard, termios.TCSADRAIN, before)
            atexit.unregister(self.close)

    @property
    def energized(self) -> bool:
        """Whether the strike is energized now."""
        return self._strike.energized

    @property
    def shown(self) -> Signal:
        """The last signal; LOCKED before any."""
        return self._view.signal

    def view(self) -> KioskView:
        """Return what is drawn at this moment."""
        with self._lock:
            since_s = self._clock.monotonic() - self._shown_at
            return replace(self._view, since_s=since_s, open_s=self._strike.remaining_s)

    def _begin(self) -> None:
        woken, self._wake = os.pipe()
        self._keys = Thread(target=self._read_keys, args=(woken,), name="panel keys", daemon=True)
        self._keys.start()
        live = Live(
            get_renderable=self._drawn,
            console=self._console,
            screen=True,
            refresh_per_second=_REDRAWS_A_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live = live
        live.start(refresh=True)

    def _drawn(self) -> RenderableType:
        return draw(self.view())

    def _read_keys(self, woken: int) -> None:
        try:
            while woken not in select.select([self._keyboard, woken], [], [])[0]:
                typed = self._typed()
                if not typed:
                    self._press(DoorInput.QUIT)
                    return
                for key in _ESCAPES.sub("", typed).lower():
                    self._pressed(key)
        finally:
            os.close(woken)

    def _typed(self) -> str:
        """Read what was typed; empty when the terminal is gone."""
        try:
            return os.read(self._keyboard, 64).decode("utf-8", "replace")
        except OSError:
            return ""

    def _pressed(self, key: str) -> None:
        if key in _INPUTS:
            self._press(_INPUTS[key])
        elif key in _SCENES and self._on_key is not None:
            self._on_key(key)

    def _press(self, door_input: DoorInput) -> None:
        listener = self._on_input
        if listener is not None:
            listener(door_input)

    @staticmethod
    def _end_keys(keys: Thread, wake: int) -> None:
        with suppress(BrokenPipeError):  # the thread has ended by itself
            os.write(wake, b"\0")
        os.close(wake)
        if keys is not current_thread():
            keys.join(_JOIN_S)
