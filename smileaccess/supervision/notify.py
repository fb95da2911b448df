"""Tells systemd how the door stands (sd_notify); where systemd did not start it, there is nobody to tell.

It decides nothing: systemd restarts a door whose `alive` is not called, and no thread here calls it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from queue import Full, Queue

from smileaccess.errors import Unavailable
from smileaccess.supervision.receivers import wait_for_room

BEATS = 3
"""Signs of life within the time after which systemd restarts; sd_watchdog_enabled(3) wants two at least."""

MOST_WAITING = 100
"""What may wait to be told; more would only wait where systemd itself hangs."""


class Notifier:
    """A ports.Supervisor; what is told goes out from a thread of its own, so that a hanging systemd hangs no door."""

    def __init__(
        self, environ: Mapping[str, str] = os.environ, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the environment that systemd sets; Unavailable where it does, and its library is not installed."""
        self._monotonic = monotonic
        self._watchdog_s = _watchdog_s(environ)
        self._alive_at: float | None = None
        self._status = ""
        self._lock = threading.Lock()
        self._words: Queue[str] | None = None
        address = environ.get("NOTIFY_SOCKET")
        if address:
            self._words = Queue(MOST_WAITING)
            sending = (_notify(), address, self._words)
            threading.Thread(target=_send, args=sending, name="notify", daemon=True).start()

    @property
    def beat_s(self) -> float | None:
        """A third of $WATCHDOG_USEC, in seconds, None where systemd waits for no sign of life."""
        return None if self._words is None or self._watchdog_s is None else self._watchdog_s / BEATS

    def ready(self) -> None:
        """Tell that the start, or a reload, is done."""
        self._tell("READY=1")

    def alive(self) -> None:
        """Give a sign of life, unless the last one is less than half a beat old."""
        beat_s = self.beat_s
        if beat_s is None:
            return
        now = self._monotonic()
        if self._alive_at is None or now - self._alive_at >= beat_s / 2:
            self._alive_at = now
            self._tell("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Tell in a line how things stand; the same as before is not told again."""
        line = " ".join(text.split()).encode("utf-8", "backslashreplace").decode()
        with self._lock:
            if line == self._status:
                return
            self._status = line
        self._tell(f"STATUS={line}")

    def reloading(self) -> None:
        """Tell that a reload has begun; `ready` ends it."""
        # The time, on CLOCK_MONOTONIC, is what Type=notify-reload wants (systemd.service(5)).
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Tell that the stop has begun."""
        self._tell("STOPPING=1")

    def _tell(self, words: str) -> None:
        if self._words is not None:
            with contextlib.suppress(Full):  # systemd takes nothing any more: what is lost is an old status
                self._words.put_nowait(words)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """Return the seconds after which systemd restarts this process, None where it waits for none of its signs."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 1e6 or None


def _notify() -> Callable[[str], bool]:
    try:
        from systemd.daemon import notify  # noqa: PLC0415 -- only where systemd started this
    except ImportError as error:
        raise Unavailable(
            "systemd: $NOTIFY_SOCKET is set, and the library to tell systemd anything is not installed: "
            "run `apt install python3-systemd`, or `pip install 'smileaccess[systemd]'`"
        ) from error
    told: Callable[[str], bool] = notify
    return told


def _send(notify: Callable[[str], bool], address: str, words: Queue[str]) -> None:
    while True:
        told = words.get()
        wait_for_room(address)
        with contextlib.suppress(OSError):  # systemd went away: nobody is left to tell
            notify(told)
