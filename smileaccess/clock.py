"""The machine's clock, and a clock that only moves when told, for rehearsals in virtual time."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

_TIME_ERROR = 5
"""What adjtimex(2) returns while the clock is not synchronized."""

_TIMEX_BYTES = 256
"""Room for `struct timex` (208 bytes on 64-bit Linux) whose `modes`, all zero, only asks."""


class SystemClock:
    """The kernel's clocks; any thread."""

    def monotonic(self) -> float:
        """Return seconds since some fixed moment."""
        return time.monotonic()

    def now(self) -> datetime:
        """Return the wall time in UTC."""
        return datetime.now(UTC)

    def synchronized(self) -> bool:
        """Say whether there is a clock chip, or the kernel's clock was set from the network."""
        if any(Path("/sys/class/rtc").glob("rtc*")):
            return True
        libc = ctypes.CDLL(None, use_errno=True)
        state: int = libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
        return 0 <= state < _TIME_ERROR


class VirtualClock:
    """Time that stands still until `advance`; one thread."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._passed_s = 0.0

    def advance(self, by_s: float) -> None:
        """Let `by_s` seconds pass; they are never negative."""
        self._passed_s += max(0.0, by_s)

    def monotonic(self) -> float:
        """Return the seconds passed."""
        return self._passed_s

    def now(self) -> datetime:
        """Return the wall time in UTC."""
        return self._start + timedelta(seconds=self._passed_s)

    def synchronized(self) -> bool:
        """Say that this clock is what it should be."""
        return True
