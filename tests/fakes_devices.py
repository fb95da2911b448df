"""Hand-written stand-ins for what has a wire: clock, camera, panel, capture, terminal."""

from __future__ import annotations

import os
import pty
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from threading import Condition, Event, Thread
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from smileaccess.errors import CameraError, CameraTimedOut, CameraUnavailable, PanelUnavailable
from smileaccess.model import DoorInput, Frame, Signal

if TYPE_CHECKING:
    from smileaccess.model import Pixels

PATIENCE_S = 10.0
"""How long a test waits for another thread before it fails."""


class FakeClock:
    """A clock that stands still until told; with `tick_s` each look at it takes that long."""

    def __init__(self, monotonic: float = 1000.0, *, tick_s: float = 0.0, synchronized: bool = True) -> None:
        self.time = monotonic
        self.tick_s = tick_s
        self.is_synchronized = synchronized
        self.epoch = datetime(2030, 1, 1, tzinfo=UTC) - timedelta(seconds=monotonic)

    def advance(self, by_s: float) -> None:
        self.time += by_s

    def monotonic(self) -> float:
        self.time += self.tick_s
        return self.time

    def now(self) -> datetime:
        return self.epoch + timedelta(seconds=self.time)

    def synchronized(self) -> bool:
        return self.is_synchronized


class FakeCamera:
    """A camera that gives the frames of a list, one a read, and fails when `error` is set; it never waits."""

    def __init__(self, frames: Sequence[Frame] = ()) -> None:
        self.frames = list(frames)
        self.error: CameraError | None = None
        self.running = False
        self.starts = self.prepared = 0

    def start(self) -> None:
        if self.error is not None:
            raise self.error
        self.starts += 1
        self.running = True

    def read(self, after: int, timeout_s: float) -> Frame:
        if not self.running:
            raise CameraUnavailable("fake camera: not running")
        if self.error is not None:
            raise self.error
        for frame in self.frames:
            if frame.sequence > after:
                return frame
        raise CameraTimedOut(f"fake camera: no frame after {after} within {timeout_s} s")

    def prepare(self) -> None:
        self.prepared += 1

    def trouble(self) -> str:
        return "" if self.error is None else str(self.error)

    def close(self) -> None:
        self.running = False


class FakePanel:
    """A panel that puts down what it is told; `error` is raised by every use of the strike."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.log: list[tuple[str, float]] = []
        self.signals: list[Signal] = []
        self.error: PanelUnavailable | None = None
        self.until = float("-inf")
        self.on_input: Callable[[DoorInput], None] | None = None

    def secure(self) -> None:
        self.de_energize()

    def start(self, on_input: Callable[[DoorInput], None]) -> None:
        if self.error is not None:
            raise self.error
        self.on_input = on_input
        self.until = float("-inf")

    def press(self, door_input: DoorInput) -> None:
        assert self.on_input is not None
        self.on_input(door_input)

    def energize(self, for_s: float) -> None:
        if self.error is not None or self.on_input is None:
            raise self.error or PanelUnavailable("fake panel: not open")
        self.log.append(("energize", for_s))
        self.until = self.clock.monotonic() + for_s

    def de_energize(self) -> None:
        if self.error is not None:
            raise self.error
        self.log.append(("de_energize", 0.0))
        self.until = float("-inf")

    def signal(self, signal: Signal) -> None:
        self.signals.append(signal)

    def close(self) -> None:
        self.until = float("-inf")
        self.on_input = None

    @property
    def energized(self) -> bool:
        return self.clock.monotonic() < self.until


class FakeSupervisor:
    """A supervisor that puts down what it hears, and wants a sign of life each `beat_s`."""

    def __init__(self, beat_s: float | None = None) -> None:
        self.beat_s = beat_s
        self.heard: list[str] = []
        self.told: list[str] = []

    def ready(self) -> None:
        self.heard.append("ready")

    def alive(self) -> None:
        self.heard.append("alive")

    def status(self, text: str) -> None:
        if text not in self.told[-1:]:
            self.told.append(text)

    def reloading(self) -> None:
        self.heard.append("reloading")

    def stopping(self) -> None:
        self.heard.append("stopping")


class FakeCapture:
    """What OpenCV gives for a camera: `pictures`, then forever what `then` does (by default: no picture)."""

    def __init__(self, pictures: int, then: Callable[[], tuple[bool, Any]] = lambda: (False, None)) -> None:
        self.pictures = pictures
        self.then = then
        self.reads = 0
        self.released = Event()
        self.changed = Condition()

    def read(self) -> tuple[bool, Any]:
        with self.changed:
            self.reads += 1
            self.changed.notify_all()
        if self.reads <= self.pictures:
            return True, picture(self.reads)
        return self.then()

    def release(self) -> None:
        self.released.set()

    def await_reads(self, number: int) -> None:
        """Wait until this many reads have begun; all but the last one are then done with."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.reads >= number, PATIENCE_S)


class FakeOpener:
    """Opens the captures of a list in turn, raising those that are errors; the last one again and again."""

    def __init__(self, *captures: FakeCapture | Exception) -> None:
        self.captures = captures
        self.opened: list[str] = []

    def __call__(self, device: str, size: tuple[int, int]) -> FakeCapture:  # noqa: ARG002 -- asked of a real device
        capture = self.captures[min(len(self.opened), len(self.captures) - 1)]
        self.opened.append(device)
        if isinstance(capture, Exception):
            raise capture
        return capture


class PseudoTerminal:
    """A terminal of 80 by 24 whose keys a test presses and whose screen it reads."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        self.screen = os.fdopen(os.dup(self.slave), "w", encoding="utf-8")
        self._seen = bytearray()
        self._changed = Condition()
        self._reader = Thread(target=self._drain, daemon=True)
        self._reader.start()

    def console(self) -> Console:
        return Console(file=self.screen, width=80, height=24, force_terminal=True, _environ={"TERM": "xterm-256color"})

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def await_text(self, text: str) -> str:
        """Wait until `text` was written to the screen; return all that was."""
        with self._changed:
            assert self._changed.wait_for(lambda: text.encode() in self._seen, PATIENCE_S), bytes(self._seen[-2000:])
            return self._seen.decode("utf-8", "replace")

    def hang_up(self) -> None:
        """Close the terminal's own end of the line, as a window does that is closed."""
        self.screen.close()
        os.close(self.slave)
        self._reader.join(PATIENCE_S)
        os.close(self.master)

    def _drain(self) -> None:
        while True:
            try:
                chunk = os.read(self.master, 65536)
            except OSError:
                return
            with self._changed:
                self._seen += chunk
                self._changed.notify_all()


def picture(shade: int, size: tuple[int, int] = (640, 480)) -> Pixels:
    """Return a picture of one shade of gray, counted from 0 again after 255."""
    return np.full((size[1], size[0], 3), shade % 256, np.uint8)
