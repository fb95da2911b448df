"""Carries alerts out of the box: a thread of its own, a bounded queue, and a process that sends.

It never delays whoever tells something, never waits for ever, and never writes a channel's address anywhere.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Empty, Full, Queue
from typing import Any

import structlog

from smileaccess.alerting import Alert, Limiter, topic_of
from smileaccess.errors import AlertsUnavailable
from smileaccess.messages import kind_of
from smileaccess.supervision import sender

SENDER = (sys.executable, "-I", sender.__file__)
"""The sender's program; -I keeps the working directory out of what it imports."""

MOST_WAITING = 200
"""Alerts that may wait to be looked at, and texts that may wait for one channel."""

WITHIN_S = 30.0
"""Seconds that a channel may take for a message."""

START_S = 30.0
"""Seconds that the sender may take beside that: Apprise takes several to load on a small board."""

RETRY_S = (10.0, 900.0)
"""Seconds to the first retry of a channel that failed, doubling up to the second number."""

GIVE_UP_S = 86400.0
"""Seconds after which a text that no channel took is dropped: nobody wants yesterday's alarm."""

_LONGEST_BODY = 3500
"""Characters of a message; Telegram, one of the strictest, takes 4096."""

log = structlog.get_logger(__name__)

Send = Callable[[Sequence[Mapping[str, Any]]], list[dict[str, Any]]]
"""What sends messages and says what became of each; AlertsUnavailable where none could be."""


def available() -> bool:
    """Say whether Apprise is installed."""
    return importlib.util.find_spec("apprise") is not None


def send(messages: Sequence[Mapping[str, Any]], within_s: float = WITHIN_S) -> list[dict[str, Any]]:
    """Have messages sent by a process of its own, which is killed where it hangs; AlertsUnavailable."""
    if not available():
        raise AlertsUnavailable("alerts: Apprise is not installed: run `pip install 'smileaccess[alerts]'`")
    request = json.dumps({"within_s": within_s, "messages": [dict(each) for each in messages]})
    try:
        done = subprocess.run(  # noqa: S603 -- our own program; what it gets goes to its standard input
            SENDER, input=request, capture_output=True, text=True, timeout=within_s + START_S, check=False
        )
        told: list[dict[str, Any]] = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        # Neither the error's own text nor what the process wrote is told: an address might stand in it.
        raise AlertsUnavailable(
            f"alerts: the sender failed ({type(error).__name__}): `smileaccess alerts test`"
        ) from None
    return told


@dataclass(slots=True)
class _Channel:
    """One channel: its address, what waits for it, with the moment from which it waits, and when it is tried next."""

    address: str
    waiting: deque[tuple[float, Alert]] = field(default_factory=deque)
    retry_at: float = 0.0
    retry_s: float = RETRY_S[0]
    failing: bool = False


class Alerts:
    """The thread that alerts leave by; `take` may be called from any thread."""

    def __init__(
        self,
        door: str,
        addresses: Sequence[str],
        limiter: Limiter,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        send: Send = send,
        on_crash: Callable[[], None] = lambda: None,
    ) -> None:
        """Take whose alerts these are, where they go, and how often; `start` begins."""
        self._door = door
        self._channels = [_Channel(address) for address in addresses]
        self._limiter = limiter
        self._monotonic = monotonic
        self._send = send
        self._on_crash = on_crash
        self._queue: Queue[Alert | None] = Queue(MOST_WAITING)
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def hear(self, line: Mapping[str, Any]) -> None:
        """Take a line of the log; what is no alert is passed over. Returns at once, and never raises."""
        kind = kind_of(line)
        if topic_of(kind) is not None:
            told = (str(line[name]) for name in ("error", "why", "cause") if line.get(name))
            self.take(Alert(kind, datetime.now(UTC), next(told, "")))

    def take(self, alert: Alert) -> None:
        """Take an alert; one that finds no room is counted."""
        try:
            self._queue.put_nowait(alert)
        except Full:
            self._lost += 1

    def close(self, within_s: float) -> bool:
        """Try once more to send what waits, for `within_s` at the most; say whether the thread has ended."""
        try:
            self._queue.put_nowait(None)
        except Full:
            return False
        self._thread.join(within_s)
        return not self._thread.is_alive()

    @property
    def wait_s(self) -> float | None:
        """How long nothing is to be done unless something happens, None for ever."""
        times = [channel.retry_at for channel in self._channels if channel.waiting]
        if (due := self._limiter.next_deadline) is not None:
            times.append(due)
        return max(0.0, min(times) - self._monotonic()) if times else None

    def _run(self) -> None:
        try:
            while self.turn(self.wait_s):
                pass
        # The thread's root: what nobody foresaw stops the process, and its supervisor starts it again.
        except Exception:
            self._on_crash()
            log.exception("the alerts failed; the daemon stops", kind="crashed")

    def turn(self, wait_s: float | None) -> bool:
        """Handle the next alert, or what time alone brings when none comes within `wait_s`; say whether to go on."""
        try:
            alert = self._queue.get(timeout=wait_s)
        except Empty:
            self._pass_on(self._limiter.due(self._monotonic()))
        else:
            if alert is None:
                self._try_channels(last=True)
                return False
            self._pass_on(self._limiter.take(alert, self._monotonic()))
        if self._queue.empty():  # what comes together is sent together
            self._try_channels()
        return True

    def _pass_on(self, alerts: Sequence[Alert]) -> None:
        now = self._monotonic()
        for channel in self._channels:
            channel.waiting.extend((now, alert) for alert in alerts)
            while channel.waiting and (len(channel.waiting) > MOST_WAITING or now - channel.waiting[0][0] > GIVE_UP_S):
                channel.waiting.popleft()
                self._lost += 1

    def _try_channels(self, *, last: bool = False) -> None:
        """Send what waits, to every channel whose time has come; what fails is tried again later."""
        now = self._monotonic()
        due = [channel for channel in self._channels if channel.waiting and (last or now >= channel.retry_at)]
        if not due:
            return
        try:
            told = self._send([self._message(channel) for channel in due])
        except AlertsUnavailable as error:
            told = [{"sent": False, "service": None}] * len(due)
            log.warning("alerts could not be sent; they are tried again", kind="alert_unsent", error=str(error))
        for channel, result in zip(due, told, strict=True):
            self._conclude(channel, sent=bool(result["sent"]), service=result["service"])

    def _conclude(self, channel: _Channel, *, sent: bool, service: str | None) -> None:
        number = self._channels.index(channel) + 1
        if sent:
            if channel.failing:
                log.info("a channel takes alerts again", kind="alert_channel_back", channel=number, service=service)
            channel.waiting.clear()
            channel.failing, channel.retry_s = False, RETRY_S[0]
            self._lost = 0
            return
        if not channel.failing:
            log.warning(
                "a channel took no alert; it is tried again", kind="alert_unsent", channel=number, service=service
            )
        channel.failing = True
        channel.retry_at = self._monotonic() + channel.retry_s
        channel.retry_s = min(channel.retry_s * 2, RETRY_S[1])

    def _message(self, channel: _Channel) -> dict[str, Any]:
        """Return all that waits for a channel as one message."""
        alerts = [alert for _, alert in channel.waiting]
        grave = [alert for alert in alerts if alert.grave]
        texts = [alert.text() for alert in alerts]
        if self._lost:
            texts.append(f"{self._lost} alerts before these were lost: see the journal.")
        body = "\n\n".join(texts)
        if len(body) > _LONGEST_BODY:
            body = body[:_LONGEST_BODY] + "\n... more stands in the journal."
        title = f"{self._door}: {headline(grave or alerts)}"
        return {"channel": channel.address, "title": title, "body": body, "grave": bool(grave)}


def headline(alerts: Sequence[Alert]) -> str:
    """Return what stands above a message: the first thing, and how many others there are."""
    first = alerts[0].subject
    return first if len(alerts) == 1 else f"{first}, and {len(alerts) - 1} more"
