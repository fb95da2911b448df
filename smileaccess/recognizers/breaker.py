"""Says whether a service that failed is worth asking again; it asks nobody and reads no clock but its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """After `failures` in a row nobody asks for `first_s` seconds, then one trial; each failed one doubles the wait.

    The wait is never longer than `limit_s`.
    """

    failures: int = 2
    first_s: float = 10.0
    limit_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Condition:
    """Where the breaker stands: failures in a row, since when (monotonic seconds), why, and when it may be tried."""

    failures: int = 0
    since: float | None = None
    cause: str = ""
    retry_at: float = 0.0


class Breaker:
    """A circuit breaker; any thread."""

    def __init__(self, monotonic: Callable[[], float], rules: BreakerRules | None = None) -> None:
        """Take a clock that never goes back."""
        self._monotonic = monotonic
        self._rules = rules or BreakerRules()
        self._lock = threading.Lock()
        self._condition = Condition()

    @property
    def condition(self) -> Condition:
        """Where it stands now."""
        return self._condition

    @property
    def open(self) -> bool:
        """Whether so much has failed that nobody is asked but for a trial."""
        return self._condition.failures >= self._rules.failures

    def allows(self) -> bool:
        """Say whether to ask: as long as it is closed, and for a trial once the wait is over."""
        return not self.open or self._monotonic() >= self._condition.retry_at

    def succeeded(self) -> None:
        """Take note of an answer: all is well."""
        with self._lock:
            self._condition = Condition()

    def failed(self, cause: str) -> None:
        """Take note of a failure."""
        now = self._monotonic()
        with self._lock:
            before = self._condition
            failures = before.failures + 1
            since = now if before.since is None else before.since
            self._condition = replace(
                before, failures=failures, since=since, cause=cause, retry_at=now + self._wait_s(failures)
            )

    def _wait_s(self, failures: int) -> float:
        beyond = failures - self._rules.failures
        # 2**20 of the shortest wait is longer than any limit; the bound keeps the power small.
        return 0.0 if beyond < 0 else min(self._rules.first_s * 2.0 ** min(beyond, 20), self._rules.limit_s)
