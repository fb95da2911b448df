"""The circuit breaker, by a clock that stands still until told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smileaccess.recognizers.breaker import Breaker, BreakerRules, Condition
from tests.fakes_devices import FakeClock

RULES = BreakerRules(failures=2, first_s=10.0, limit_s=60.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock: FakeClock) -> Breaker:
    return Breaker(clock.monotonic, RULES)


def failed(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.failed("gone")


def test_one_failure_leaves_it_closed(breaker: Breaker) -> None:
    """A single lost answer is no reason to leave the first choice."""
    failed(breaker, 1)
    assert (breaker.open, breaker.allows()) == (False, True)


def test_failures_in_a_row_open_it(breaker: Breaker) -> None:
    """From the second on nobody is asked."""
    failed(breaker, 2)
    assert (breaker.open, breaker.allows()) == (True, False)


def test_an_answer_between_two_failures_keeps_it_closed(breaker: Breaker) -> None:
    """Only failures in a row count."""
    failed(breaker, 1)
    breaker.succeeded()
    failed(breaker, 1)
    assert breaker.allows()


def test_a_trial_is_allowed_once_the_wait_is_over(breaker: Breaker, clock: FakeClock) -> None:
    """Not a moment earlier; what the trial brings settles how it goes on."""
    failed(breaker, 2)
    clock.advance(9.9)
    assert not breaker.allows()
    clock.advance(0.1)
    assert breaker.allows()
    breaker.succeeded()
    assert (breaker.open, breaker.condition) == (False, Condition())


def test_each_failed_trial_doubles_the_wait_up_to_the_limit(breaker: Breaker, clock: FakeClock) -> None:
    """A service that stays away is asked once a minute in the end."""
    failed(breaker, 2)
    waits = []
    for _ in range(5):
        waits.append(breaker.condition.retry_at - clock.time)
        clock.advance(waits[-1])
        breaker.failed("still gone")
    assert waits == [10.0, 20.0, 40.0, 60.0, 60.0]


def test_it_tells_since_when_and_why(breaker: Breaker, clock: FakeClock) -> None:
    """Since the first failure of the row, for the latest cause."""
    breaker.failed("first")
    began = clock.time
    clock.advance(5)
    breaker.failed("second")
    assert (breaker.condition.since, breaker.condition.cause) == (began, "second")


@given(st.lists(st.sampled_from(["failed", "succeeded", "pass"]), max_size=60))
def test_it_never_stays_shut_for_longer_than_the_limit(happened: list[str]) -> None:
    """Whatever comes, a trial is allowed after the limit at the latest, and an answer closes it."""
    clock = FakeClock()
    breaker = Breaker(clock.monotonic, RULES)
    for each in happened:
        if each == "pass":
            clock.advance(7)
        elif each == "failed":
            breaker.failed("gone")
        else:
            breaker.succeeded()
            assert breaker.allows()
    clock.advance(RULES.limit_s)
    assert breaker.allows()
