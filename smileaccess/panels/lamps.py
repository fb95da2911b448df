"""Plays signals on a panel's LEDs and buzzer; a lamp that is broken never disturbs anything else."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import structlog

from smileaccess.errors import PanelError
from smileaccess.signals import LOOKS, Color
from smileaccess.workers import ThreadWorker

if TYPE_CHECKING:
    from smileaccess.model import Signal
    from smileaccess.ports import Clock
    from smileaccess.signals import Look

Paint = Callable[[frozenset[Color]], None]
"""Lights these colors and no other; PanelError."""

Sound = Callable[[bool], None]
"""Lets the buzzer sound, or be still; PanelError."""

CLOSE_S = 2.0

_TINY_S = 1e-6
"""Seconds beyond a change at which it is surely over, for all that floating point may round."""

log = structlog.get_logger(__name__)


def next_change_s(look: Look, since_s: float) -> float:
    """Return in how many seconds lamps or buzzer may change, infinity where they stay as they are."""
    changes = [at for at in _sound_changes_s(look) if at > since_s]
    if look.off_s:
        period_s = look.on_s + look.off_s
        begun_s = since_s - since_s % period_s
        changes += [at for at in (begun_s + look.on_s, begun_s + period_s) if at > since_s]
    return min(changes, default=float("inf")) - since_s


def _sound_changes_s(look: Look) -> list[float]:
    at, changes = 0.0, []
    for on_s, off_s in look.buzzer:
        changes += [at + on_s, at + on_s + off_s]
        at += on_s + off_s
    return changes


class Lamps:
    """The lights and the buzzer, played by a thread of its own; `show` may be called from any."""

    def __init__(self, clock: Clock, paint: Paint, sound: Sound, on_crash: Callable[[], None] = lambda: None) -> None:
        """Start with everything dark and still; `paint` and `sound` are called on the thread only.

        `on_crash` is called when the thread fails in a way that nobody foresaw, and stops the process.
        """
        self._clock = clock
        self._paint = paint
        self._sound = sound
        self._signals: SimpleQueue[tuple[Signal, float] | None] = SimpleQueue()
        self._painted: frozenset[Color] | None = None
        self._sounding: bool | None = None
        self._broken = False
        self._worker = ThreadWorker("panel lamps", on_crash)
        self._worker.submit(self._play)

    def show(self, signal: Signal) -> None:
        """Show a signal from this moment until the next one; returns at once."""
        self._signals.put((signal, self._clock.monotonic()))

    def close(self) -> None:
        """Put out the lights and end the thread."""
        self._signals.put(None)
        if not self._worker.close(CLOSE_S):
            log.warning("the lamps did not end in time", kind="panel_slow", waited_s=CLOSE_S)

    def _play(self) -> None:
        look, shown_at = None, 0.0
        while True:
            wait_s = self._step(look, self._clock.monotonic() - shown_at) if look is not None else None
            try:
                shown = self._signals.get(timeout=wait_s)
            except Empty:
                continue
            if shown is None:
                self._set(frozenset(), sounding=False)
                return
            look, shown_at = LOOKS[shown[0]], shown[1]

    def _step(self, look: Look, since_s: float) -> float | None:
        """Show what is due, and return for how long nothing changes, None for ever."""
        lit = frozenset(color for color in Color if look.lit(color, since_s))
        self._set(lit, sounding=look.sounding(since_s))
        wait_s = next_change_s(look, since_s)
        return None if wait_s == float("inf") else wait_s + _TINY_S

    def _set(self, lit: frozenset[Color], *, sounding: bool) -> None:
        try:
            if lit != self._painted:
                self._paint(lit)
                self._painted = lit
            if sounding is not self._sounding:
                self._sound(sounding)
                self._sounding = sounding
        except PanelError as error:
            if not self._broken:
                log.error(
                    "a lamp or the buzzer cannot be driven; the door goes on without",
                    kind="lamp_failed",
                    error=str(error),
                )
            self._broken = True
