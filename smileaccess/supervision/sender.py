"""Sends messages through Apprise as a process of its own, which ends when it has: `python -I sender.py`.

JSON comes in on standard input: {"within_s": seconds, "messages": [{"channel": URL, "title": ..., "body": ..., "grave":
...}]}; without a body a channel is only looked at. JSON goes out: for each message {"service": name or null, "sent":
..., "why": ...}. A channel that hangs is given up after `within_s`. Addresses hold secrets: they are never in an
argument, and `why` is for whoever has them anyway.

It stands alone, and apart from the door: Apprise takes a second and 40 MB to load, and a channel may hang in it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
import time
from typing import Any


class _Ear(logging.Handler):
    """Keeps the last warning of each thread: Apprise says why there, and nowhere else."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.said[record.thread or 0] = record.getMessage()


def _deliver(message: dict[str, Any], told: dict[str, Any], ear: _Ear) -> None:
    import apprise  # noqa: PLC0415 -- loaded by `main` already; here it is only named

    plugin = apprise.Apprise.instantiate(message["channel"])
    if plugin is None:
        told["why"] = "no address that Apprise knows"
        return
    told["service"] = str(plugin.service_name)
    if "body" not in message:
        told["why"] = ""
        return
    kind = apprise.NotifyType.FAILURE if message["grave"] else apprise.NotifyType.WARNING
    told["sent"] = bool(plugin.notify(title=message["title"], body=message["body"], notify_type=kind))
    told["why"] = "" if told["sent"] else ear.said.get(threading.get_ident(), "the service did not take it")


def deliver(messages: list[dict[str, Any]], within_s: float) -> list[dict[str, Any]]:
    """Send all at the same time, each on a thread of its own; return what became of each."""
    ear = _Ear()
    logger = logging.getLogger("apprise")
    logger.addHandler(ear)
    logger.propagate = False
    told = [{"service": None, "sent": False, "why": f"no answer within {within_s:g} s"} for _ in messages]
    threads = [
        threading.Thread(target=_deliver, args=(message, result, ear), daemon=True)
        for message, result in zip(messages, told, strict=True)
    ]
    until = time.monotonic() + within_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return [dict(each) for each in told]


def main() -> None:
    """Do what standard input says, write what became of it, and end whatever still hangs."""
    with contextlib.suppress(OSError):  # the unit's filter of system calls lets nobody change a priority
        os.nice(10)
    request = json.load(sys.stdin)
    import apprise  # noqa: F401, PLC0415 -- before the clock of `within_s` runs

    told = deliver(request["messages"], request["within_s"])
    sys.stdout.write(json.dumps(told))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
