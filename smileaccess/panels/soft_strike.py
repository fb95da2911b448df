"""A strike that exists in software only, for panels without hardware; it never outlives its bound.

No timer runs: whether it is energized is judged from the clock each time somebody asks.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smileaccess.ports import Clock


class SoftStrike:
    """The state of a strike, judged by the monotonic clock; any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._until = float("-inf")

    def energize(self, for_s: float) -> None:
        """Energize for `for_s` seconds from now, in place of an earlier bound."""
        with self._lock:
            self._until = self._clock.monotonic() + for_s

    def de_energize(self) -> None:
        """De-energize at once."""
        with self._lock:
            self._until = float("-inf")

    @property
    def remaining_s(self) -> float:
        """Seconds until it is de-energized, 0 when it is."""
        with self._lock:
            return max(0.0, self._until - self._clock.monotonic())

    @property
    def energized(self) -> bool:
        """Whether it is energized now."""
        return self.remaining_s > 0
