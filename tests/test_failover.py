"""Two recognizers as one: who is asked, with how much time, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from smileaccess.errors import (
    RecognizerError,
    RecognizerFailed,
    RecognizerTimedOut,
    RecognizerUnavailable,
    SpendingCapReached,
)
from smileaccess.model import Candidate, Examination, Health, Member, Purpose, Question
from smileaccess.recognizers.breaker import Breaker, BreakerRules
from smileaccess.recognizers.failover import FailoverRecognizer
from tests.builders import ANN, make_examination, make_face, make_frame
from tests.fakes_devices import FakeClock

KEPT_S = 0.5


class One:
    """A recognizer that answers, or fails after `takes_s` seconds."""

    def __init__(self, name: str, clock: FakeClock) -> None:
        self.name = name
        self.clock = clock
        self.error: Callable[[], RecognizerError] | None = None
        self.takes_s = 0.0
        self.calls = 0
        self.asked: list[Question] = []
        self.known: Sequence[Member] = ()
        self.prepared = self.closed = 0

    def prepare(self) -> None:
        self.prepared += 1

    def health(self) -> Health:
        return Health(self.name)

    def use(self, members: Sequence[Member]) -> None:
        self.known = members

    def close(self) -> None:
        self.closed += 1

    def examine(self, question: Question) -> Examination:
        self.asked.append(question)
        self.clock.advance(min(self.takes_s, question.timeout_s))
        if self.error is not None:
            error = self.error()
            error.calls = self.calls
            raise error
        return make_examination(Candidate(ANN, 99.5), recognizer=self.name, calls=self.calls)


class Pair:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.first, self.second = One("rekognition", self.clock), One("embedded", self.clock)
        self.breaker = Breaker(self.clock.monotonic, BreakerRules(failures=2, first_s=10.0, limit_s=60.0))
        self.both = FailoverRecognizer(
            self.first, self.second, self.breaker, self.clock.monotonic, full_s=2.0, kept_s=KEPT_S
        )

    def examine(self, attempt: str = "a1", timeout_s: float = 3.0) -> Examination:
        question = Question(make_frame(), make_face(), Purpose.IDENTITY, attempt, timeout_s, 6)
        return self.both.examine(question)

    def gone(self, kind: type[RecognizerError] = RecognizerUnavailable) -> None:
        self.first.error = lambda: kind("gone")


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_the_first_one_answers_while_it_can(pair: Pair) -> None:
    """The second is not asked, and the first is left enough of the time for the second."""
    assert pair.examine().recognizer == "rekognition"
    assert pair.second.asked == []
    assert pair.first.asked[0].timeout_s == 3.0 - KEPT_S
    assert pair.both.health() == Health("rekognition")


@pytest.mark.parametrize("kind", [RecognizerUnavailable, RecognizerTimedOut, SpendingCapReached])
def test_the_second_one_answers_where_the_first_cannot(pair: Pair, kind: type[RecognizerError]) -> None:
    """Within the same question, and with what is left of its time."""
    pair.gone(kind)
    pair.first.takes_s = 2.0

    assert pair.examine().recognizer == "embedded"
    assert pair.second.asked[0].timeout_s == 1.0


def test_what_the_first_one_refuses_the_second_is_not_asked(pair: Pair) -> None:
    """A picture that the service rejects is no way round it; it has answered, so that it counts as well."""
    pair.gone()
    pair.examine("a1")
    pair.gone(RecognizerFailed)
    with pytest.raises(RecognizerFailed):
        pair.examine("a2")
    assert len(pair.second.asked) == 1
    assert pair.breaker.condition.failures == 0


def test_an_attempt_that_has_moved_stays(pair: Pair) -> None:
    """Its next question goes to the second one at once; another attempt begins with the first again."""
    pair.gone()
    pair.examine("a1")
    pair.first.error = None

    assert pair.examine("a1").recognizer == "embedded"
    assert pair.examine("a2").recognizer == "rekognition"
    assert [question.attempt for question in pair.first.asked] == ["a1", "a2"]


def test_after_two_failed_attempts_the_first_one_is_left_alone(pair: Pair) -> None:
    """No attempt waits for what is gone; the health tells who answers, since when and why."""
    pair.gone()
    began = pair.clock.time
    for attempt in ("a1", "a2", "a3"):
        pair.examine(attempt)

    assert [question.attempt for question in pair.first.asked] == ["a1", "a2"]
    assert pair.both.health() == Health("embedded", began, "gone")


def test_the_first_one_is_tried_again_and_takes_over_when_it_is_well(pair: Pair) -> None:
    """Once the wait is over, by one attempt, at no more than that attempt's own time."""
    pair.gone()
    pair.examine("a1")
    pair.examine("a2")
    pair.clock.advance(10.0)
    pair.first.error = None

    assert pair.examine("a3").recognizer == "rekognition"
    assert pair.both.health() == Health("rekognition")


def test_a_reached_cap_is_no_failure_of_the_service(pair: Pair) -> None:
    """The owner's limit moves each attempt, and opens no breaker."""
    pair.gone(SpendingCapReached)
    for attempt in ("a1", "a2", "a3"):
        pair.examine(attempt)

    assert (pair.breaker.open, len(pair.first.asked)) == (False, 3)


def test_too_little_time_is_given_to_the_second_one_alone(pair: Pair) -> None:
    """With no more left than what is kept for it, the first one could only waste it."""
    assert pair.examine(timeout_s=KEPT_S).recognizer == "embedded"
    assert pair.first.asked == []


@pytest.mark.parametrize(("timeout_s", "asked"), [(KEPT_S + 0.9, 0), (KEPT_S + 1.0, 1)])
def test_with_less_than_half_of_its_time_the_first_one_is_not_asked(pair: Pair, timeout_s: float, asked: int) -> None:
    """What could only be paid in vain is not tried."""
    pair.examine(timeout_s=timeout_s)
    assert len(pair.first.asked) == asked


@pytest.mark.parametrize(("timeout_s", "failures"), [(KEPT_S + 1.5, 0), (KEPT_S + 1.6, 1)])
def test_a_hurried_silence_is_no_failure(pair: Pair, timeout_s: float, failures: int) -> None:
    """Whoever steps up late does not open the breaker of a service that is well."""
    pair.gone(RecognizerTimedOut)
    pair.examine(timeout_s=timeout_s)
    assert pair.breaker.condition.failures == failures


def test_an_attempt_that_began_on_the_fallback_stays_there(pair: Pair) -> None:
    """Also where the wait of the breaker ends in the middle of it."""
    pair.gone()
    pair.examine("a1")
    pair.examine("a2")
    assert pair.examine("a3").recognizer == "embedded"
    pair.first.error = None
    pair.clock.advance(10.0)

    assert pair.examine("a3").recognizer == "embedded"
    assert pair.examine("a4").recognizer == "rekognition"


def test_calls_made_in_vain_are_counted(pair: Pair) -> None:
    """The answer of the second one carries what the first one's question has cost."""
    pair.gone()
    pair.first.calls = 3

    assert pair.examine().calls == 3


def test_calls_made_in_vain_are_counted_where_neither_answers(pair: Pair) -> None:
    """The error carries them."""
    pair.gone()
    pair.first.calls = 3
    pair.second.error = lambda: RecognizerFailed("no")

    with pytest.raises(RecognizerFailed) as caught:
        pair.examine()
    assert caught.value.calls == 3


def test_both_are_prepared_taught_and_closed(pair: Pair) -> None:
    """What the port says once is said to both."""
    pair.both.prepare()
    pair.both.use(())
    pair.both.close()

    assert [(each.prepared, each.known, each.closed) for each in (pair.first, pair.second)] == [(1, (), 1)] * 2
