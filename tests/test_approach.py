"""An approach sensor that fires without a face rests, ever longer, until somebody shows a face."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smileaccess.approach import ApproachRules, Rest, next_rest
from smileaccess.model import Outcome, Reason, Trigger

RULES = ApproachRules(first_s=5.0, limit_s=60.0)


def after(rest: Rest, reason: Reason | None, now: float, trigger: Trigger = Trigger.APPROACH) -> Rest:
    outcome = Outcome.GRANTED if reason is None else Outcome.DENIED
    return next_rest(rest, trigger, outcome, reason, now, RULES)


def test_each_empty_attempt_doubles_the_rest_up_to_the_limit() -> None:
    """A tree in the wind is heard once a minute in the end."""
    rest, rests = Rest(), []
    for _ in range(6):
        rest = after(rest, Reason.NO_FACE, 100.0)
        rests.append(rest.until - 100.0)

    assert rests == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]


def test_the_sensor_is_heard_again_when_its_rest_is_over() -> None:
    """Not a moment earlier, and from then on."""
    rest = after(Rest(), Reason.TOO_DARK, 100.0)

    assert [rest.heard(now) for now in (100.0, 104.9, 105.0, 200.0)] == [False, False, True, True]


@pytest.mark.parametrize("reason", [None, Reason.NOT_RECOGNIZED, Reason.TOO_BLURRED, Reason.NO_SMILE])
@pytest.mark.parametrize("trigger", [Trigger.APPROACH, Trigger.BUTTON])
def test_a_face_ends_the_rest(reason: Reason | None, trigger: Trigger) -> None:
    """Whoever comes to be seen, let in or not, makes the sensor worth hearing."""
    rest = after(Rest(4, 500.0), reason, 100.0, trigger)

    assert rest == Rest()


def test_an_empty_attempt_of_the_button_says_nothing_about_the_sensor() -> None:
    """Somebody who presses and walks away neither ends nor begins a rest."""
    assert after(Rest(2, 130.0), Reason.NO_FACE, 100.0, Trigger.BUTTON) == Rest(2, 130.0)


@pytest.mark.parametrize("reason", [Reason.CAMERA_UNAVAILABLE, Reason.INTERNAL_ERROR, Reason.LOCKED_OUT])
def test_an_attempt_that_could_not_see_says_nothing(reason: Reason) -> None:
    """Where nobody looked, nobody knows whether there was a face."""
    assert after(Rest(2, 130.0), reason, 100.0) == Rest(2, 130.0)


@given(st.integers(0, 5000), st.floats(0, 3600), st.floats(0, 86400))
def test_no_rest_is_beyond_its_limit(empty: int, first_s: float, limit_s: float) -> None:
    """However often it fired."""
    rules = ApproachRules(first_s, limit_s)
    rest = next_rest(Rest(empty), Trigger.APPROACH, Outcome.DENIED, Reason.NO_FACE, 0.0, rules)

    assert 0.0 <= rest.until <= limit_s
