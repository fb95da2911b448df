"""The sums of a report: nothing is lost when bars grow, and a percentile is a value that occurred."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smileaccess.model import Attempt, Outcome, Reason, Trigger
from smileaccess.reporting import (
    BINS_A_DECADE,
    DAY,
    HIGHEST,
    HOUR,
    LOWEST,
    MOST_BARS,
    STEPS,
    Bars,
    DoorCounts,
    Tally,
    Timeline,
    Verdict,
    nines,
    percentile,
    similarity_at,
)
from tests.house import THEN, attempt

SUNDAY = datetime(2026, 3, 1, 12, 30)  # noqa: DTZ001 -- a report's local time
THRESHOLDS = {"embedded": 99.0, "rekognition": 99.5}


def bars_of(*times: datetime) -> Bars:
    timeline = Timeline(1)
    for when in times:
        timeline.add(when, 0)
    found = timeline.bars()
    assert found is not None
    return found


def tally(*attempts: Attempt) -> Tally:
    counted = Tally(THRESHOLDS, UTC)
    counted.add_all(attempts)
    return counted


class TestTimeline:
    def test_nothing_has_no_bars(self) -> None:
        assert Timeline(2).bars() is None

    def test_one_time_is_one_bar(self) -> None:
        bars = bars_of(SUNDAY)
        assert (bars.step, list(bars.sums)) == (HOUR, [(1,)])
        assert list(bars.starts) == [SUNDAY.replace(minute=0), SUNDAY.replace(minute=0) + timedelta(hours=1)]

    def test_hours_without_an_attempt_have_a_bar_of_nothing(self) -> None:
        assert list(bars_of(SUNDAY, SUNDAY + timedelta(hours=3)).sums) == [(1,), (0,), (0,), (1,)]

    def test_series_are_summed_apart(self) -> None:
        timeline = Timeline(2)
        for place, amount in ((0, 2), (1, 5), (0, 1)):
            timeline.add(SUNDAY, place, amount)
        bars = timeline.bars()
        assert bars is not None
        assert list(bars.sums) == [(3, 5)]

    @pytest.mark.parametrize(
        ("hours", "name", "count"),
        [
            (199, "hour", 200),
            (200, "6 hours", 34),
            (199 * 6, "6 hours", 200),
            (200 * 6, "day", 51),
            (199 * 24, "day", 200),
            (200 * 24, "week", 29),
            (199 * 7 * 24, "week", 200),
            (200 * 7 * 24, "month", 46),
            (20 * 8766, "year", 21),
        ],
    )
    def test_bars_grow_with_the_time_that_they_tell_of(self, hours: int, name: str, count: int) -> None:
        """Both sides of each border; a step is left only where it would have more than the most bars."""
        start = datetime(2026, 3, 2)  # noqa: DTZ001 -- a Monday, as the stretches of every step but months begin
        bars = bars_of(start, start + timedelta(hours=hours))
        assert (bars.step.name, len(bars.sums)) == (name, count)

    def test_months_and_weeks_begin_where_people_say(self) -> None:
        steps = {step.name: step for step in STEPS}
        begun = {name: step.start(step.number(SUNDAY)).isoformat()[:13] for name, step in steps.items()}
        assert begun == {
            "hour": "2026-03-01T12",
            "6 hours": "2026-03-01T12",
            "day": "2026-03-01T00",
            "week": "2026-02-23T00",
            "month": "2026-03-01T00",
            "year": "2026-01-01T00",
            "10 years": "2020-01-01T00",
            "100 years": "2000-01-01T00",
        }
        assert [name for name, step in steps.items() if not step.whole_days] == ["hour", "6 hours"]

    @given(st.lists(st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1)), min_size=1))  # noqa: DTZ001
    def test_every_time_is_in_its_bar_and_there_are_not_too_many(self, times: list[datetime]) -> None:
        """In any order, over any span: what a clock without a battery says stands on record as well."""
        bars = bars_of(*times)
        inside = [
            sum(start <= when < end for when in times)
            for start, end in zip(bars.starts[:-1], bars.starts[1:], strict=True)
        ]
        assert [sums[0] for sums in bars.sums] == inside
        assert len(bars.sums) <= MOST_BARS

    def test_a_long_time_is_kept_by_days(self) -> None:
        """Ten years, an attempt an hour, are no more sums than days."""
        timeline = Timeline(1)
        for hour in range(0, 10 * 8766):
            timeline.add(SUNDAY - timedelta(hours=hour), 0)
        assert len(timeline._sums) == 10 * 8766 // 24 + 1
        bars = timeline.bars()
        assert bars is not None
        assert sum(sums[0] for sums in bars.sums) == 10 * 8766


class TestNines:
    @pytest.mark.parametrize(
        ("similarity", "place"), [(0.0, -2), (90.0, -1), (99.0, 0), (99.9, 1), (99.99, 2), (99.999, 2), (100.0, 2)]
    )
    def test_each_nine_is_as_wide(self, similarity: float, place: float) -> None:
        assert nines(similarity) == pytest.approx(place)

    @given(st.floats(0, 99.98))
    def test_back_again(self, similarity: float) -> None:
        assert similarity_at(nines(similarity)) == pytest.approx(similarity, abs=1e-6)

    def test_the_last_bar_goes_to_100(self) -> None:
        assert [similarity_at(HIGHEST), similarity_at(HIGHEST + 1 / BINS_A_DECADE)] == [99.99, 100.0]
        assert similarity_at(LOWEST) == 0.0


class TestPercentile:
    @pytest.mark.parametrize(("share", "value"), [(0.5, 20), (0.51, 30), (0.9, 40), (0.25, 10), (1.0, 40)])
    def test_the_nearest_rank(self, share: float, value: int) -> None:
        assert percentile(Counter([40, 10, 20, 30]), share) == value

    def test_nothing_has_none(self) -> None:
        with pytest.raises(ValueError, match="nothing was counted"):
            percentile(Counter(), 0.5)

    @given(st.lists(st.integers(0, 60_000), min_size=1), st.floats(0.01, 1))
    def test_it_occurred_and_so_many_do_not_exceed_it(self, values: list[int], share: float) -> None:
        found = percentile(Counter(values), share)
        assert found in values
        assert sum(value <= found for value in values) >= share * len(values) - 1e-6
        assert sum(value < found for value in values) < share * len(values) + 1e-6


class TestTally:
    def test_an_empty_record(self) -> None:
        empty = tally()
        assert (empty.first, empty.last, empty.total, empty.reasons) == (None, None, DoorCounts(), [])
        assert (empty.times.bars(), empty.costs.bars(), empty.stages_in_order) == (None, None, [])

    def test_granted_and_denied_by_time(self) -> None:
        bars = tally(attempt(None), attempt(), attempt(None, day=8)).times.bars()
        assert bars is not None
        assert bars.step.name == "hour"
        assert [(place, sums) for place, sums in enumerate(bars.sums) if any(sums)] == [(0, (1, 1)), (192, (1, 0))]

    def test_first_and_last_whatever_the_order(self) -> None:
        counted = tally(attempt(day=1), attempt(day=0), attempt(day=3), attempt(day=2))
        assert (counted.first, counted.last) == (THEN, THEN + timedelta(days=3))

    def test_an_attempt_without_an_end_is_in_no_plot(self) -> None:
        counted = tally(Attempt("0197-a", "front", Trigger.BUTTON, THEN))
        assert counted.total == DoorCounts(open=1)
        assert (counted.times.bars(), counted.stages, counted.similarities) == (None, {}, {})
        assert counted.first == THEN

    def test_reasons_are_counted_by_the_local_hour(self) -> None:
        counted = Tally(THRESHOLDS, timezone(timedelta(hours=13)))
        counted.add_all([attempt(Reason.NO_FACE), attempt(Reason.TIMEOUT), attempt(Reason.TIMEOUT), attempt(None)])
        assert counted.hours == {(Reason.NO_FACE, 1): 1, (Reason.TIMEOUT, 1): 2}
        assert counted.reasons == [(Reason.TIMEOUT, 2), (Reason.NO_FACE, 1)]

    def test_the_system_s_zone_where_none_is_given(self) -> None:
        assert Tally({}).local(THEN) == THEN.astimezone().replace(tzinfo=None)

    def test_reasons_that_are_as_frequent_stand_in_order_of_precedence(self) -> None:
        found = tally(attempt(Reason.TIMEOUT), attempt(Reason.NO_SMILE), attempt(Reason.NO_FACE)).reasons
        assert [reason for reason, _ in found] == [Reason.NO_FACE, Reason.NO_SMILE, Reason.TIMEOUT]

    def test_similarities_by_outcome_and_against_the_threshold(self) -> None:
        """The threshold itself is reached, what is just below is not; other denials are told apart."""
        found = tally(
            attempt(None, similarity=99.0),
            attempt(None, similarity=99.4),
            attempt(Reason.NOT_RECOGNIZED, similarity=98.999),
            attempt(Reason.NOT_RECOGNIZED, similarity=40.0),
            attempt(Reason.NO_SMILE, similarity=99.2),
        ).similarities
        assert list(found) == ["embedded"]
        each = found["embedded"]
        assert each.threshold == 99.0
        assert each.totals == {Verdict.GRANTED: 2, Verdict.STRANGER: 2, Verdict.OTHERWISE: 1}
        assert each.reached == {Verdict.GRANTED: 2, Verdict.STRANGER: 0, Verdict.OTHERWISE: 1}
        assert (each.lowest[Verdict.GRANTED], each.highest[Verdict.STRANGER]) == (99.0, 98.999)
        assert each.bins[Verdict.GRANTED, 0] == 1

    def test_each_recognizer_has_its_threshold_and_an_unknown_one_none(self) -> None:
        """The best candidate's recognizer where the attempt names none; `unknown` where nobody says."""
        asked = [
            {"recognizer": "embedded", "candidates": [{"member": "m_ada", "similarity": 30.0}]},
            {"recognizer": "rekognition", "candidates": [{"member": "m_bob", "similarity": 80.0}]},
            {"recognizer": "embedded", "candidates": None},
        ]
        nobody: dict[str, Any] = {"recognizer": None, "similarity": 80.0}
        found = tally(
            attempt(recognizer="rekognition"),
            attempt(**nobody, detail={"examinations": asked}),
            attempt(**nobody, detail={}),
            attempt(**nobody, detail={"examinations": [{"candidates": [{"member": "m_ada", "similarity": 80.0}]}]}),
        ).similarities
        assert {name: (each.threshold, each.totals.total()) for name, each in found.items()} == {
            "rekognition": (99.5, 2),
            "unknown": (None, 2),
        }

    def test_attempts_without_similarity_are_in_no_distribution(self) -> None:
        assert tally(attempt(similarity=None)).similarities == {}

    def test_stages_in_the_order_of_an_attempt_and_its_end_by_outcome(self) -> None:
        counted = tally(attempt(None, stages_ms={"smiled": 2500.0, "first_face": 314.9, "waved": 1.0}), attempt())
        assert counted.stages_in_order == ["first_face", "identified", "cued", "smiled", "granted", "denied", "waved"]
        assert counted.stages["first_face"] == {31: 2}
        assert (counted.stages["granted"], counted.stages["denied"]) == ({400: 1}, {400: 1})

    def test_a_clock_that_was_set_meanwhile_spoils_no_latency(self) -> None:
        back = attempt(closed_at=THEN - timedelta(hours=1), stages_ms={})
        ahead = attempt(closed_at=THEN + timedelta(days=400), stages_ms={})
        assert tally(back).stages == {}
        assert tally(ahead).stages == {"denied": {60_000: 1}}

    def test_costs_are_summed_exactly_and_by_day(self) -> None:
        """A tenth of a cent has no exact binary fraction: a thousand of them are one whole all the same."""
        counted = tally(*(attempt(calls=1, cost=0.001) for _ in range(1000)), attempt(day=1))
        assert (counted.total.micros, counted.calls) == (1_000_000, 1000)
        bars = counted.costs.bars()
        assert bars is not None
        assert (bars.step, list(bars.sums)) == (DAY, [(1_000_000,)])

    def test_free_calls_are_calls_and_attempts_without_any_cost_nothing(self) -> None:
        free = tally(attempt(calls=2, cost=0.0)).costs.bars()
        assert free is not None
        assert list(free.sums) == [(0,)]
        assert tally(attempt()).costs.bars() is None

    def test_doors_are_counted_apart_and_together(self) -> None:
        counted = tally(
            attempt(None, cost=0.002),
            replace(attempt(), door="back"),
            replace(attempt(), door="back", closed_at=None, outcome=None, reason=None),
        )
        assert counted.doors == {"front": DoorCounts(granted=1, micros=2000), "back": DoorCounts(denied=1, open=1)}
        assert counted.total == DoorCounts(granted=1, denied=1, open=1, micros=2000)
        assert counted.total.ended == 2

    @given(st.permutations([attempt(None), attempt(), attempt(Reason.NO_FACE, day=3), attempt(None, day=300)]))
    def test_the_order_of_attempts_does_not_matter(self, attempts: list[Attempt]) -> None:
        counted, again = tally(*attempts), tally(*sorted(attempts, key=lambda each: each.opened_at))
        assert (counted.hours, counted.stages, counted.doors) == (again.hours, again.stages, again.doors)
        assert counted.times.bars() == again.times.bars()
        assert counted.similarities == again.similarities
        assert counted.total.granted == sum(each.outcome is Outcome.GRANTED for each in attempts)
