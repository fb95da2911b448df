"""Puts an answer on a connection, whole or as a fault has it; it knows the socket and nothing of the service."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol

from tests.standin.service import Answer

_GARBAGE = b"<html><body>Bad gateway</body></html>"
_NO_HTTP = b"\x15\x03\x01 this is no HTTP\r\n\r\n"
_MISSING = 64
"""How many bytes more than there are a truncated body is announced with."""

_GLANCE_S = 0.05
"""How often a hanging answer looks whether its client is still there."""


class Line(Protocol):
    """What is needed of a connection: `write` is unbuffered, `reset` makes its end an RST."""

    def write(self, data: bytes) -> None: ...
    def reset(self) -> None: ...
    def fileno(self) -> int: ...


def send(line: Line, answer: Answer, *, keep: bool, head_only: bool) -> bool:
    """Send an answer when it is due and return whether the connection can be used again.

    `keep` says that the client wants to use it again, and `head_only` that it wants no body. OSError when the
    client has gone.
    """
    answer.released.wait(max(0.0, answer.due - time.monotonic()))
    way = _WAYS[answer.fault.kind] if answer.fault else _whole
    return way(line, answer, keep, head_only)


def _whole(line: Line, answer: Answer, keep: bool, head_only: bool) -> bool:
    line.write(_head(answer, len(answer.body), keep) + (b"" if head_only else answer.body))
    return keep


def _reset(line: Line, _: Answer, _keep: bool, _head_only: bool) -> bool:
    line.reset()
    return False


def _close(_line: Line, _: Answer, _keep: bool, _head_only: bool) -> bool:
    return False


def _hang(line: Line, answer: Answer, _keep: bool, _head_only: bool) -> bool:
    while not answer.released.wait(_GLANCE_S):
        if select.select([line.fileno()], [], [], 0)[0]:  # the client speaks where it should listen: it has left
            break
    return False


def _drip(line: Line, answer: Answer, keep: bool, head_only: bool) -> bool:
    fault = answer.fault
    head = _head(answer, len(answer.body), keep)
    slow = b"" if head_only else answer.body
    if fault is not None and fault.where == "body":
        line.write(head)
    else:
        slow = head + slow
    for byte in slow:
        if answer.released.wait(fault.interval_s if fault else 0.0):
            return False
        line.write(bytes([byte]))
    return keep


def _garbage(line: Line, answer: Answer, keep: bool, _head_only: bool) -> bool:
    kind = answer.fault.where if answer.fault else ""
    if kind == "body":
        line.write(_head(answer, len(_GARBAGE), keep) + _GARBAGE)
        return keep
    if kind == "truncated":
        line.write(_head(answer, len(answer.body) + _MISSING, keep) + answer.body)
    else:
        line.write(_NO_HTTP)
    return False


_WAYS: dict[str, Callable[[Line, Answer, bool, bool], bool]] = {
    "error": _whole,
    "reset": _reset,
    "close": _close,
    "hang": _hang,
    "drip": _drip,
    "garbage": _garbage,
}


def _head(answer: Answer, size: int, keep: bool) -> bytes:
    headers = (*answer.headers, ("Content-Length", str(size)), ("Date", formatdate(usegmt=True)))
    kept = headers if keep else (*headers, ("Connection", "close"))
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", *(f"{name}: {one}" for name, one in kept)]
    return "\r\n".join([*lines, "", ""]).encode("ascii")
