"""Says when a camera that was just opened has found its exposure; it only measures, and never waits."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smileaccess.model import Pixels

_STEADY = 3
"""So many frames of nearly the same brightness are a settled exposure."""

_STILL = 2.0
"""Nearly the same, of 255: a scene at rest under a settled exposure moves less, a ramp far more."""

_BLACK = 8.0
"""Of 255: what is darker may be a camera that has not begun to see, so only the time decides."""


class Settling:
    """The first moments of a camera; one thread. Seconds are those of the caller's clock."""

    def __init__(self, settle_s: float) -> None:
        """Take the most seconds, from the first frame on, after which every frame counts."""
        self._settle_s = settle_s
        self._began: float | None = None
        self._means: deque[float] = deque(maxlen=_STEADY)
        self._done = settle_s <= 0

    def counts(self, pixels: Pixels, told: bool | None, now: float) -> bool:
        """Say whether this frame counts; `told` is what the camera itself says of its exposure, None for nothing."""
        if self._done:
            return True
        self._began = now if self._began is None else self._began
        self._done = now - self._began >= self._settle_s or (self._steady(pixels) if told is None else told)
        return self._done

    def _steady(self, pixels: Pixels) -> bool:
        self._means.append(float(pixels[::8, ::8].mean()))
        if len(self._means) < _STEADY or min(self._means) < _BLACK:
            return False
        return max(self._means) - min(self._means) <= _STILL
