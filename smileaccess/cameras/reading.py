"""A camera that runs by itself on threads of its own; a driver that hangs never holds up whoever reads.

One thread opens the camera, takes its frames and lets go of it. Another one looks after the first: it opens the camera
again when it went away, leaves a thread behind that a driver does not let go of, and lets an unused camera sleep.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Condition, Event, Thread
from typing import TYPE_CHECKING, Protocol

from smileaccess.cameras.framing import Framing
from smileaccess.cameras.settling import Settling
from smileaccess.errors import CameraError, CameraTimedOut, CameraUnavailable
from smileaccess.model import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from smileaccess.model import Pixels
    from smileaccess.ports import Clock

RETRY_S = (0.5, 1.0, 2.0, 5.0)
"""Pauses before a camera that went away is opened again; the last one goes on."""

CLOSE_S = 2.0
"""How long `close` waits for a driver that blocks."""

STALL_S = 5.0
"""A camera that gives no sign of life for so long hangs: it is let go of, and opened again."""

FRESH_S = 2.0
"""An older frame is nobody's: who stood there then need not stand there now."""

MOST_LEFT = 3
"""So many threads may hang in a driver before the camera is not opened any more."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One picture as a source gives it, BGR; `full` and `settled` as in model.Frame and Settling.counts."""

    pixels: Pixels
    full: Pixels | None = None
    settled: bool | None = None


class Source(Protocol):
    """A camera that is open; all of it belongs to the thread that opened it."""

    told: str
    """What the camera really gives, in words."""

    def next(self, stop: Event) -> Shot | None:
        """Wait for the next picture, but not for long, nor once `stop` is set; None where there is none yet.

        CameraUnavailable, or any other CameraError, where the camera is gone.
        """
        ...

    def release(self) -> None:
        """Let go of the camera; raises nothing that can be foreseen."""
        ...


@dataclass(frozen=True, slots=True)
class Timing:
    """The seconds of a camera.

    `open_s` bounds the wait of `start` for the first frame; `stall_s` as STALL_S, `retry_s` as RETRY_S, `close_s` as
    CLOSE_S, `fresh_s` as FRESH_S. After `sleep_after_s` without use the camera sleeps, never with 0; `settle_s` is the
    most that the exposure may take before a frame counts.
    """

    open_s: float
    stall_s: float = STALL_S
    retry_s: Sequence[float] = RETRY_S
    close_s: float = CLOSE_S
    fresh_s: float = FRESH_S
    sleep_after_s: float = 0.0
    settle_s: float = 0.0


class _Hand:
    """The thread that has the camera in hand, from its opening to its release, and what the others know of it."""

    def __init__(self, now: float) -> None:
        self.stop = Event()
        self.alive_at = now
        self.opened = self.delivered = self.ended = False
        self.trouble: str | None = None
        self.thread: Thread | None = None


class ThreadedCamera:
    """Fulfils ports.Camera over a source that is opened, read and released by a thread of its own.

    Only the newest frame is kept, and it is given while it is fresh. A camera that goes away is opened again, with
    growing pauses, until `close`; meanwhile `read` raises CameraUnavailable.
    """

    def __init__(
        self,
        name: str,
        opener: Callable[[], Source],
        clock: Clock,
        timing: Timing,
        framing: Framing | None = None,
        *,
        waits_for_frame: bool = True,
    ) -> None:
        """Take the name for messages and threads, and what opens the source (CameraUnavailable where it cannot).

        `waits_for_frame` says whether `start` waits for a first frame, or only until the source is open.
        """
        self._name = name
        self._opener = opener
        self._clock = clock
        self._timing = timing
        self._framing = framing or Framing()
        self._waits_for_frame = waits_for_frame
        self._changed = Condition()
        self._stop = Event()
        self._stop.set()
        self._keeper: Thread | None = None
        self._hand: _Hand | None = None
        self._left: list[Thread] = []
        self._sequence = self._readers = 0
        self._latest: Frame | None = None
        self._trouble: str | None = None
        self._used_at = 0.0
        self.told = ""
        """What the camera really gives, in words; empty until it was open."""

    def start(self) -> None:
        """Open the camera and wait for its first frame; CameraUnavailable when none came within the bound."""
        self.close()
        self._stop = stop = Event()
        self._trouble = None
        self._used_at = self._clock.monotonic()
        began = self._sequence
        self._keeper = Thread(target=self._keep, args=(stop,), name=f"{self._name} keeper", daemon=True)
        self._keeper.start()
        with self._changed:
            self._changed.wait_for(lambda: self._ready(began) or self._trouble or stop.is_set(), self._timing.open_s)
            if self._ready(began):
                return
            trouble = self._trouble or f"{self._name}: delivered no frame within {self._timing.open_s:g} s"
        self.close()
        raise CameraUnavailable(trouble)

    def read(self, after: int, timeout_s: float) -> Frame:
        """Return the newest frame whose sequence is greater than `after`; see ports.Camera."""
        with self._changed:
            self._use()
            self._readers += 1
            try:
                self._changed.wait_for(lambda: self._newer(after) or self._trouble or self._stop.is_set(), timeout_s)
            finally:
                self._readers -= 1
                self._use()
            if self._stop.is_set():
                raise CameraUnavailable(f"{self._name}: is not running: start it first")
            if frame := self._newer(after):
                return frame
            if self._trouble:
                raise CameraUnavailable(self._trouble)
        raise CameraTimedOut(f"{self._name}: no frame after number {after} within {timeout_s:g} s")

    def prepare(self) -> None:
        """Wake the camera where it sleeps, and keep it awake for a while; any thread, returns at once."""
        with self._changed:
            self._use()

    def trouble(self) -> str:
        """Return why there are no pictures, empty where there are, or where it sleeps; any thread."""
        with self._changed:
            stopped = f"{self._name}: is not running: start it first" if self._stop.is_set() else ""
            return self._trouble or stopped

    def close(self) -> None:
        """Stop the threads and release the camera, waiting at most `CLOSE_S` for a driver that blocks."""
        with self._changed:
            self._stop.set()
            self._latest = None
            hand, self._hand, keeper = self._hand, None, self._keeper
            if hand is not None:
                hand.stop.set()
            self._changed.notify_all()
            self._changed.wait_for(lambda: hand is None or hand.ended, self._timing.close_s)
        for thread in (keeper, hand.thread if hand is not None and hand.ended else None):
            if thread is not None:
                thread.join(self._timing.close_s)

    def _use(self) -> None:
        self._used_at = self._clock.monotonic()
        self._changed.notify_all()

    def _ready(self, began: int) -> bool:
        if self._waits_for_frame:
            return self._sequence > began
        return self._hand is not None and self._hand.opened

    def _newer(self, after: int) -> Frame | None:
        frame = self._latest
        if frame is None or frame.sequence <= after:
            return None
        return frame if self._clock.monotonic() - frame.captured_at <= self._timing.fresh_s else None

    # The keeper

    def _keep(self, stop: Event) -> None:
        failures = 0
        retry_s = self._timing.retry_s
        while not stop.is_set():
            if self._sleeps():
                with self._changed:
                    self._trouble = None
                    self._changed.wait_for(lambda: stop.is_set() or not self._sleeps())
                continue
            if self._hangs(stop):
                stop.wait(retry_s[-1])
                continue
            hand = self._watched(stop)
            failures = 0 if hand.delivered else failures + 1
            if hand.trouble:
                stop.wait(retry_s[min(failures, len(retry_s) - 1)])

    def _sleeps(self) -> bool:
        after_s = self._timing.sleep_after_s
        return bool(after_s) and not self._readers and self._clock.monotonic() - self._used_at >= after_s

    def _hangs(self, stop: Event) -> bool:
        """Say whether too many threads were left behind for one more to be risked."""
        self._left = [thread for thread in self._left if thread.is_alive()]
        if len(self._left) < MOST_LEFT:
            return False
        self._report(
            stop, f"{self._name}: its driver hangs and lets {MOST_LEFT} threads wait: unplug the camera, or restart"
        )
        return True

    def _watched(self, stop: Event) -> _Hand:
        """Have the camera opened, and return when it went away, hangs, may sleep or is to stop."""
        hand = _Hand(self._clock.monotonic())
        hand.thread = Thread(target=self._work, args=(hand,), name=self._name, daemon=True)
        with self._changed:
            if stop.is_set():
                return hand
            self._hand = hand
            hand.thread.start()
            while not (stop.is_set() or hand.ended or self._may_sleep(hand) or self._stalls(hand)):
                self._changed.wait(self._patience_s(hand))
            hand.stop.set()
            grace_s = self._timing.close_s
            if self._stalls(hand) and not (stop.is_set() or self._may_sleep(hand)):
                hand.trouble = f"{self._name}: gave no sign of life for {self._bound_s(hand):g} s; it is opened again"
                grace_s = 0.0
            if not stop.is_set() and hand.trouble:
                self._latest, self._trouble = None, hand.trouble
                self._changed.notify_all()
            if not self._changed.wait_for(lambda: hand.ended, grace_s):
                self._left.append(hand.thread)
        return hand

    def _may_sleep(self, hand: _Hand) -> bool:
        return hand.delivered and self._sleeps()  # who woke it wants a frame, however long the opening takes

    def _stalls(self, hand: _Hand) -> bool:
        return not hand.ended and self._clock.monotonic() - hand.alive_at >= self._bound_s(hand)

    def _bound_s(self, hand: _Hand) -> float:
        """Return for how long no sign of life is none to worry about; opening may take longer than a frame."""
        return self._timing.stall_s if hand.opened else max(self._timing.open_s, self._timing.stall_s)

    def _patience_s(self, hand: _Hand) -> float:
        """Return the seconds after which something may have become due; a sign of life is told at once."""
        now = self._clock.monotonic()
        due = hand.alive_at + self._bound_s(hand)
        if self._timing.sleep_after_s:
            due = min(due, self._used_at + self._timing.sleep_after_s)
        return max(0.05, due - now)

    def _report(self, stop: Event, trouble: str) -> None:
        with self._changed:
            if stop is self._stop:
                self._latest, self._trouble = None, trouble
                self._changed.notify_all()

    # The thread that has the camera

    def _work(self, hand: _Hand) -> None:
        trouble = f"{self._name}: its reader has stopped; it is opened again"
        try:
            self._drain(hand)
        except CameraError as error:
            trouble = str(error)
        finally:
            with self._changed:
                hand.ended = True
                if not hand.stop.is_set():
                    hand.trouble = trouble
                self._changed.notify_all()

    def _drain(self, hand: _Hand) -> None:
        source = self._opener()
        settling = Settling(self._timing.settle_s)
        try:
            self._alive(hand, source)
            while not hand.stop.is_set():
                shot = source.next(hand.stop)
                self._alive(hand, source)
                if shot is not None and settling.counts(shot.pixels, shot.settled, self._clock.monotonic()):
                    self._show(hand, shot)
        finally:
            source.release()

    def _alive(self, hand: _Hand, source: Source) -> None:
        with self._changed:
            hand.alive_at = self._clock.monotonic()
            hand.opened = True
            if not hand.stop.is_set():
                self.told = source.told
                self._trouble = self._trouble if self._waits_for_frame else None
            self._changed.notify_all()

    def _show(self, hand: _Hand, shot: Shot) -> None:
        pixels = self._framing.apply(shot.pixels)
        full = None if shot.full is None else self._framing.apply(shot.full)
        with self._changed:
            if not hand.stop.is_set():
                self._sequence += 1
                self._latest = Frame(pixels, self._sequence, self._clock.monotonic(), full)
                self._trouble = None
                hand.delivered = True
                self._changed.notify_all()
