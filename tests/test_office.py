"""Office hours by themselves; with a door around them they are tested in test_controller.py."""

from __future__ import annotations

from datetime import timedelta

from smileaccess.office import OfficeHours
from tests.builders import NOON


def test_office_hours_are_asked_for_once() -> None:
    """Whoever comes in while they are on their way to the record begins no second ones; nor who comes after them."""
    end = NOON + timedelta(hours=1)
    hours = OfficeHours(lambda at: end if at < end else None, None)
    assert [hours.begin(NOON) for _ in range(2)] == [end, None]
    hours.answered()
    assert hours.begin(NOON) == end


def test_office_hours_that_an_operator_ended_rest_until_their_end() -> None:
    """And not for a moment longer, where the next ones begin there."""
    end = NOON + timedelta(hours=1)
    hours = OfficeHours(lambda at: end if at < end else end + timedelta(days=1), None)
    hours.released(NOON)
    assert hours.begin(end - timedelta(seconds=1)) is None
    assert hours.begin(end) == end + timedelta(days=1)
