"""What a report counts: by time, reason, similarity, stage, cost and door, however long the time is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smileaccess.model import Attempt, Outcome, Reason, Trigger, uuid7
from smileaccess.reporting import LONGEST_MS, MOST_BARS, Tally, Timeline, Verdict, nines, percentile, similarity_at

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def attempt(minute: float = 0, reason: Reason | None = None, **changes: Any) -> Attempt:
    opened = NOON + timedelta(minutes=minute)
    made = Attempt(
        uuid7(),
        "front",
        Trigger.BUTTON,
        opened,
        closed_at=opened + timedelta(seconds=2),
        outcome=Outcome.DENIED if reason else Outcome.GRANTED,
        reason=reason,
        similarity=99.5,
        recognizer="embedded",
        calls=2,
        cost=0.002,
        stages_ms={"first_face": 300.0, "identified": 900.0},
    )
    return replace(made, **changes)


def tallied(*attempts: Attempt) -> Tally:
    tally = Tally({"embedded": 99.0}, UTC)
    tally.add_all(attempts)
    return tally


def test_nothing_is_nothing() -> None:
    tally = tallied()
    assert (tally.first, tally.total.ended, tally.times.bars(), tally.reasons) == (None, 0, None, [])


def test_outcomes_are_counted_by_hour_without_a_gap() -> None:
    bars = tallied(attempt(), attempt(1), attempt(125, Reason.NO_SMILE)).times.bars()
    assert bars is not None
    assert (bars.step.name, list(bars.sums)) == ("hour", [(2, 0), (0, 0), (0, 1)])
    assert bars.starts[0] == datetime(2026, 3, 1, 12)  # noqa: DTZ001 -- local, as a report is
    assert len(bars.starts) == len(bars.sums) + 1


@pytest.mark.parametrize(
    ("days", "step"), [(1, "hour"), (30, "6 hours"), (150, "day"), (900, "week"), (4000, "month"), (9000, "year")]
)
def test_bars_grow_longer_with_the_time_and_never_become_too_many(days: int, step: str) -> None:
    timeline = Timeline(1)
    start = datetime(2000, 1, 1)  # noqa: DTZ001 -- local
    for day in range(0, days + 1, max(1, days // 300)):
        timeline.add(start + timedelta(days=day), 0)
    bars = timeline.bars()
    assert bars is not None
    assert (bars.step.name, len(bars.sums) <= MOST_BARS) == (step, True)
    assert sum(sums[0] for sums in bars.sums) == len(range(0, days + 1, max(1, days // 300)))


def test_denials_are_counted_by_reason_and_hour_of_the_day() -> None:
    tally = tallied(attempt(0, Reason.NO_FACE), attempt(1440, Reason.NO_FACE), attempt(60, Reason.NO_SMILE))
    assert dict(tally.hours) == {(Reason.NO_FACE, 12): 2, (Reason.NO_SMILE, 13): 1}
    assert tally.reasons == [(Reason.NO_FACE, 2), (Reason.NO_SMILE, 1)]


def test_similarities_are_held_against_the_threshold_by_what_became_of_them() -> None:
    tally = tallied(
        attempt(similarity=99.9), attempt(0, Reason.NOT_RECOGNIZED, similarity=80.0), attempt(similarity=None)
    )
    found = tally.similarities["embedded"]
    assert dict(found.totals) == {Verdict.GRANTED: 1, Verdict.STRANGER: 1}
    assert (found.reached[Verdict.GRANTED], found.reached[Verdict.STRANGER], found.threshold) == (1, 0, 99.0)


@pytest.mark.parametrize("similarity", [0.0, 50.0, 90.0, 99.0, 99.9, 99.99])
def test_the_scale_of_nines_goes_both_ways(similarity: float) -> None:
    assert similarity_at(nines(similarity)) == pytest.approx(similarity)


def test_the_scale_of_nines_has_an_end() -> None:
    assert nines(100.0) == nines(99.9999) == pytest.approx(3.0)


def test_stages_end_with_the_outcome_and_stand_in_order() -> None:
    tally = tallied(attempt(), attempt(1, Reason.NO_SMILE))
    assert tally.stages_in_order == ["first_face", "identified", "granted", "denied"]
    assert dict(tally.stages["first_face"]) == {30: 2}
    assert dict(tally.stages["granted"]) == {200: 1}


def test_a_clock_that_was_set_makes_no_latency() -> None:
    tally = tallied(attempt(closed_at=NOON - timedelta(hours=1)), attempt(1, closed_at=NOON + timedelta(days=1)))
    assert dict(tally.stages["granted"]) == {LONGEST_MS // 10: 1}


def test_costs_are_whole_millionths_by_day_and_door() -> None:
    tally = tallied(*(attempt(minute, cost=0.1) for minute in range(3)), attempt(5, door="side", cost=None, calls=0))
    assert (tally.total.micros, tally.doors["front"].micros, tally.doors["side"].micros) == (300_000, 300_000, 0)
    assert tally.calls == 6


def test_an_open_attempt_is_counted_at_its_door_only() -> None:
    tally = tallied(attempt(closed_at=None, outcome=None))
    assert (tally.doors["front"].open, tally.total.ended, tally.times.bars()) == (1, 0, None)


def test_a_stranger_is_counted_with_who_found_the_best_candidate() -> None:
    found = [{"candidates": [{"similarity": 70.0}], "recognizer": "rekognition"}, {"candidates": []}]
    tally = tallied(attempt(0, Reason.NOT_RECOGNIZED, recognizer=None, similarity=70.0, detail={"examinations": found}))
    assert list(tally.similarities) == ["rekognition"]


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 2), (0.75, 3), (0.99, 9), (1.0, 9)])
def test_percentiles_are_by_the_nearest_rank(share: float, value: int) -> None:
    assert percentile({1: 1, 2: 1, 3: 1, 9: 1}, share) == value


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile({}, 0.5)
