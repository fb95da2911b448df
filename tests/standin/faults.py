"""What goes wrong on purpose: set by a test at any time and from any thread; it does nothing by itself."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from tests.standin import contract

ALL = "*"

SILENT = frozenset({"reset", "close", "hang"})
"""Kinds by which not one byte is answered."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong; `worked` says that the request is served nevertheless, and only its answer is lost."""

    kind: Literal["error", "reset", "close", "hang", "drip", "garbage"]
    code: str = ""
    status: int | None = None
    interval_s: float = 0.0
    where: str = ""
    worked: bool = False


@dataclass
class _Rule:
    operation: str
    fault: Fault
    left: int | None


class Faults:
    """The faults by operation ("*" is every one); of several for one operation the one that was set first goes first.

    `times` is for how many calls a fault holds; None is until `clear`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []
        self._latencies: dict[str, float] = {}
        self._hold = threading.Event()

    def latency(self, operation: str, seconds: float) -> None:
        """Let every answer to an operation take at least so long from the request's arrival; 0 is as fast as can be."""
        with self._lock:
            self._latencies[_known(operation)] = seconds

    def error(self, operation: str, code: str, times: int | None = None, *, status: int | None = None) -> None:
        """Answer with an error of this code instead of doing the work; ValueError for a status that HTTP lacks."""
        if status is not None:
            HTTPStatus(status)
        self._add(operation, Fault("error", code=code, status=status), times)

    def reset(self, operation: str, times: int | None = None, *, worked: bool = False) -> None:
        """Reset the connection (RST) instead of an answer."""
        self._add(operation, Fault("reset", worked=worked), times)

    def close(self, operation: str, times: int | None = None, *, worked: bool = False) -> None:
        """Close the connection in order, without one byte."""
        self._add(operation, Fault("close", worked=worked), times)

    def hang(self, operation: str, times: int | None = None, *, worked: bool = False) -> None:
        """Answer nothing at all until the client goes away, or `clear`, which closes the connection."""
        self._add(operation, Fault("hang", worked=worked), times)

    def drip(
        self,
        operation: str,
        interval_s: float = 0.2,
        where: Literal["headers", "body"] = "headers",
        times: int | None = None,
    ) -> None:
        """Answer a byte every `interval_s`: from the status line on, or only the body after its headers."""
        if where not in ("headers", "body"):
            raise ValueError(f"drip: where = {where!r}: must be headers or body")
        self._add(operation, Fault("drip", interval_s=interval_s, where=where, worked=True), times)

    def garbage(
        self, operation: str, kind: Literal["body", "truncated", "http"] = "body", times: int | None = None
    ) -> None:
        """Answer with a body that is no JSON, with half of what Content-Length promises, or with what is no HTTP."""
        if kind not in ("body", "truncated", "http"):
            raise ValueError(f"garbage: kind = {kind!r}: must be body, truncated or http")
        self._add(operation, Fault("garbage", where=kind, worked=kind == "truncated"), times)

    def clear(self) -> None:
        """Go back to health, and let go of everything that hangs, drips or waits: its connection is closed."""
        with self._lock:
            self._rules.clear()
            self._latencies.clear()
            self._hold.set()
            self._hold = threading.Event()

    def take(self, operation: str) -> tuple[Fault | None, float, threading.Event]:
        """Return what goes wrong with this call, its latency in seconds, and what is set when it is let go."""
        with self._lock:
            latency = self._latencies.get(operation, self._latencies.get(ALL, 0.0))
            return self._next(operation), latency, self._hold

    def _next(self, operation: str) -> Fault | None:
        for rule in self._rules:
            if rule.operation in (operation, ALL):
                if rule.left is not None:
                    rule.left -= 1
                    if rule.left == 0:
                        self._rules.remove(rule)
                return rule.fault
        return None

    def _add(self, operation: str, fault: Fault, times: int | None) -> None:
        if times is not None and times < 1:
            raise ValueError(f"{fault.kind}: times = {times}: must be at least 1, or None")
        with self._lock:
            self._rules.append(_Rule(_known(operation), fault, times))


def _known(operation: str) -> str:
    if operation != ALL and operation not in contract.model().operation_names:
        raise ValueError(f"fault: {operation}: no operation of Rekognition: use its name, or {ALL}")
    return operation
