"""Two recognizers as one: the second answers where the first cannot, within the same time; it judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from smileaccess.errors import (
    RecognizerError,
    RecognizerFailed,
    RecognizerTimedOut,
    RecognizerUnavailable,
    SpendingCapReached,
)
from smileaccess.model import Health

if TYPE_CHECKING:
    from smileaccess.model import Examination, Member, Question
    from smileaccess.ports import Recognizer
    from smileaccess.recognizers.breaker import Breaker

USEFUL, WHOLE = 0.5, 0.8
"""Shares of the first recognizer's time: with less than the one left it is not asked, and with less than the other left
its silence is no failure."""

log = structlog.get_logger(__name__)


class FailoverRecognizer:
    """Fulfils ports.Recognizer. What the first one refuses (RecognizerFailed) is no reason to ask the second.

    An attempt that has moved to the second recognizer stays with it. `examine` belongs to one thread.
    """

    def __init__(
        self,
        first: Recognizer,
        second: Recognizer,
        breaker: Breaker,
        monotonic: Callable[[], float],
        *,
        full_s: float,
        kept_s: float,
    ) -> None:
        """Take the first and the second choice, what says whether the first is worth asking, and its clock.

        `full_s` is what the first one takes at the most, `kept_s` what of each question is kept for the second.
        """
        self._full_s = full_s
        self._kept_s = kept_s
        self.name = first.name
        self._first = first
        self._second = second
        self._breaker = breaker
        self._monotonic = monotonic
        self._moved = ""

    def prepare(self) -> None:
        """Let both get ready; any thread."""
        self._first.prepare()
        self._second.prepare()

    def examine(self, question: Question) -> Examination:
        """Ask the first one, and where it cannot answer in good time the second; RecognizerError of the last asked."""
        ends = self._monotonic() + question.timeout_s
        wasted = 0
        if self._worth_asking(question):
            try:
                return self._asked_first(question)
            except (RecognizerUnavailable, RecognizerTimedOut) as error:
                wasted = error.calls
                self._move(question, error)
        self._moved = question.attempt
        try:
            answer = self._second.examine(replace(question, timeout_s=max(0.0, ends - self._monotonic())))
        except RecognizerError as error:
            error.calls += wasted
            raise
        return replace(answer, calls=answer.calls + wasted)

    def health(self) -> Health:
        """Say who would answer now, and since when the first one has not; any thread."""
        if not self._breaker.open:
            return self._first.health()
        condition = self._breaker.condition
        return Health(self._second.name, condition.since, condition.cause)

    def use(self, members: Sequence[Member]) -> None:
        """Let both search among these members; any thread."""
        self._first.use(members)
        self._second.use(members)

    def close(self) -> None:
        """Close both."""
        self._first.close()
        self._second.close()

    def _worth_asking(self, question: Question) -> bool:
        moved = question.attempt == self._moved != ""
        return not moved and self._share(question) >= USEFUL and self._breaker.allows()

    def _share(self, question: Question) -> float:
        """Return how much of its time the first one would have for a question."""
        return (question.timeout_s - self._kept_s) / self._full_s

    def _asked_first(self, question: Question) -> Examination:
        try:
            answer = self._first.examine(replace(question, timeout_s=question.timeout_s - self._kept_s))
        except RecognizerFailed:
            self._breaker.succeeded()  # it has answered, if only to refuse
            raise
        self._breaker.succeeded()
        return answer

    def _move(self, question: Question, error: RecognizerUnavailable | RecognizerTimedOut) -> None:
        hurried = isinstance(error, RecognizerTimedOut) and self._share(question) < WHOLE
        # A cap is the owner's word, no failure of the service.
        if not hurried and not isinstance(error, SpendingCapReached):
            self._breaker.failed(str(error))
        log.warning(
            "the fallback is asked",
            kind="fallback_asked",
            attempt_id=question.attempt,
            recognizer=self._second.name,
            error=str(error),
        )
