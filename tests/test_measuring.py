"""Counting errors: against plain loops over the same numbers, and against what the literature says of the intervals."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest

from smileaccess.evaluation.measuring import (
    Search,
    by_person,
    rank_1,
    roc,
    rows,
    threshold_for,
    too_alike,
    wilson,
)
from smileaccess.model import Candidate


def search(person: str, *similarities: float, finds: str = "", mated: bool = False, split: int = 0) -> Search:
    """Return a search whose best candidate is `finds`, else somebody of another name than the person's."""
    names = [finds or "other", "second", "third"]
    found = tuple(Candidate(*pair) for pair in zip(names, similarities, strict=False))
    return Search(split, person, f"{person}-{split}.jpg", mated, found)


def many(seed: int = 3) -> list[Search]:
    """Return searches of 30 people enrolled and 40 strangers, some of them errors at any threshold."""
    chance = random.Random(seed)
    made = []
    for number in range(70):
        person, mated = f"p{number:02}", number < 30
        for split in range(chance.randint(1, 6)):
            best = chance.choice([99.0, chance.uniform(90, 100)]) if mated else chance.uniform(40, 99.3)
            right = mated and chance.random() < 0.9
            made.append(search(person, best, best - 5, finds=person if right else "", mated=mated, split=split))
    return made


class TestRates:
    @pytest.mark.parametrize("threshold", [0.0, 90.0, 97.25, 99.0, 99.001, 100.0])
    def test_the_rates_are_those_that_a_plain_count_gives(self, threshold: float) -> None:
        """FPIR: strangers named at or above the threshold; FNIR: enrolled people not named first at or above it."""
        found = many()
        (row,) = rows(found, [threshold], seed=1)
        named = missed = strangers = members = 0
        for each in found:
            first, similarity = each.candidates[0].member_id, each.candidates[0].similarity
            if each.mated:
                members += 1
                missed += not (first == each.person and similarity >= threshold)
            else:
                strangers += 1
                named += similarity >= threshold
        assert (row.fpir.count, row.fpir.trials) == (named, strangers)
        assert (row.fnir.count, row.fnir.trials) == (missed, members)

    def test_a_similarity_at_the_threshold_counts_as_reaching_it(self) -> None:
        """As in the ballot: not below is enough."""
        found = [search("a", 99.0, finds="a", mated=True), search("b", 99.0)]
        (row,) = rows(found, [99.0], seed=1)
        assert (row.fnir.count, row.fpir.count) == (0, 1)

    def test_nobody_found_is_a_miss_of_a_member_and_right_of_a_stranger(self) -> None:
        """An empty list of candidates names nobody, whatever the threshold."""
        (row,) = rows([search("a", mated=True), search("b")], [0.0], seed=1)
        assert (row.fnir.count, row.fpir.count) == (1, 0)

    def test_rank_1_asks_for_no_threshold(self) -> None:
        """The right one first counts however unlike; another one first does not."""
        found = [search("a", 12.0, finds="a", mated=True), search("b", 99.9, mated=True), search("c", 99.0)]
        assert (rank_1(found, seed=1).count, rank_1(found, seed=1).trials) == (1, 2)

    def test_rows_stand_in_order_and_once(self) -> None:
        assert [row.threshold for row in rows(many(), [99, 90, 99.0, 95], seed=1)] == [90, 95, 99]

    def test_a_higher_threshold_names_fewer_strangers_and_misses_more_members(self) -> None:
        found = rows(many(), np.linspace(40, 100, 50).tolist(), seed=1)
        named, missed = [row.fpir.count for row in found], [row.fnir.count for row in found]
        assert (named, missed) == (sorted(named, reverse=True), sorted(missed))


class TestThreshold:
    @pytest.mark.parametrize("wished", [0.5, 0.1, 0.02, 0.001])
    def test_it_keeps_the_wish_and_a_thousandth_less_would_not(self, wished: float) -> None:
        found = many()
        mark = threshold_for(found, wished)
        assert mark is not None
        at, below = rows(found, [mark - 0.001, mark], seed=1)[::-1]
        assert at.fpir.share <= wished < below.fpir.share

    def test_none_keeps_it_where_a_stranger_is_as_alike_as_can_be(self) -> None:
        assert threshold_for([search("a", 100.0)], 0.5) is None

    def test_any_does_where_all_may_be_named(self) -> None:
        assert threshold_for([search("a", 100.0)], 1.0) == 0.0

    def test_it_is_0_where_nobody_is_like_anybody(self) -> None:
        assert threshold_for([search("a")], 0.1) == 0.0


class TestIntervals:
    @pytest.mark.parametrize(
        ("errors", "trials", "expected"),
        # R 4.2: prop.test(x, n, correct = FALSE)$conf.int
        [(10, 100, (0.05522914, 0.1743657)), (0, 10, (0.0, 0.2775328)), (5, 5, (0.5655175, 1.0))],
    )
    def test_wilsons_interval_is_the_one_in_the_books(
        self, errors: int, trials: int, expected: tuple[float, float]
    ) -> None:
        found = wilson(errors, trials)
        assert (found.low, found.high) == pytest.approx(expected, abs=1e-6)

    def test_without_trials_nothing_is_known(self) -> None:
        none = wilson(0, 0)
        assert (none.low, none.high, math.isnan(none.share)) == (0.0, 1.0, True)

    def test_no_error_is_bounded_by_the_rule_of_three_over_persons(self) -> None:
        """100 people with ten trials each and no error: at most about 3 %, not 0.3 %."""
        (rate,) = by_person(np.zeros((1000, 1), bool), [f"p{n % 100}" for n in range(1000)], seed=1)
        assert (rate.count, rate.trials, rate.low) == (0, 1000, 0.0)
        assert rate.high == pytest.approx(3 / 100, rel=0.02)

    def test_errors_alone_are_bounded_the_same_way(self) -> None:
        (rate,) = by_person(np.ones((50, 1), bool), [str(n) for n in range(50)], seed=1)
        assert (rate.low, rate.high) == (pytest.approx(1 - 3 / 50, abs=0.002), 1.0)

    def test_repeating_the_same_trials_makes_no_interval_narrower(self) -> None:
        """The same people tried ten times over are no more people; ten times as many people are."""
        erred = [n % 4 == 0 for n in range(80)]
        once, tenfold, more = (self.width(erred, 80, 1), self.width(erred, 80, 10), self.width(erred * 10, 800, 1))
        assert tenfold == pytest.approx(once, rel=0.15)
        assert more == pytest.approx(once / math.sqrt(10), rel=0.15)

    def width(self, erred: Sequence[bool], people: int, times: int) -> float:
        column = np.array(list(erred) * times)[:, None]
        (rate,) = by_person(column, [str(n % people) for n in range(len(column))], seed=1)
        return rate.high - rate.low

    def test_single_trials_of_many_people_give_the_usual_interval(self) -> None:
        """One trial a person is the independent case, in which Wilson's interval is right."""
        column = np.arange(1000)[:, None] % 10 == 0
        (rate,) = by_person(column, [str(n) for n in range(1000)], seed=1)
        usual = wilson(100, 1000)
        assert (rate.low, rate.high) == pytest.approx((usual.low, usual.high), abs=0.004)

    def test_the_same_seed_gives_the_same_interval(self) -> None:
        assert rows(many(), [95.0], seed=8) == rows(many(), [95.0], seed=8)
        assert rows(many(), [95.0], seed=8) != rows(many(), [95.0], seed=9)


class TestAmbiguity:
    def test_two_that_are_nearly_equally_alike_are_counted(self) -> None:
        """By the door's own ballot: within the margin and both at the threshold."""
        near, apart, below = search("a", 99.5, 99.45), search("b", 99.5, 99.3), search("c", 98.0, 97.99)
        assert too_alike([near, apart, below], 99.0, 0.1) == 1
        assert too_alike([near, apart, below], 97.0, 0.1) == 2


class TestRoc:
    def test_the_area_is_the_chance_that_a_sought_one_scores_higher(self) -> None:
        """Against every pair, a tie counting half."""
        chance = random.Random(5)
        sought = [float(chance.randint(30, 100)) for _ in range(60)]
        others = [float(chance.randint(0, 70)) for _ in range(50)]
        pairs = [(high > low) + (high == low) / 2 for high in sought for low in others]
        found = roc(sought, others, seed=1)
        assert found.auc == pytest.approx(sum(pairs) / len(pairs))
        assert found.interval is not None
        assert found.interval[0] < found.auc < found.interval[1]

    def test_the_curve_goes_from_nothing_to_everything(self) -> None:
        found = roc([80.0, 60.0], [60.0, 10.0], seed=1)
        assert found.points == (
            (math.inf, 0.0, 0.0),
            (80.0, 0.0, 0.5),
            (60.0, 0.5, 1.0),
            (10.0, 1.0, 1.0),
        )

    def test_nothing_is_said_of_an_area_that_is_whole(self) -> None:
        """All samples of a bootstrap would be whole as well, which proves nothing."""
        assert (roc([80.0], [20.0], seed=1).auc, roc([80.0], [20.0], seed=1).interval) == (1.0, None)
