"""Counts errors and says how sure the counts are: pure; it never sees a picture and scores nothing itself.

The words and the definitions are those of ISO/IEC 19795-1 (FPIR, FNIR) and ISO/IEC 30107-3 (APCER, BPCER).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smileaccess.ballot import Ballot, Standard
from smileaccess.model import Box, Candidate, Examination, Purpose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

Z = 1.959964
"""The normal distribution's 0.975 quantile: 95 % lie within it to either side."""

SURE = 0.95
"""The share of intervals that hold the true rate."""

REPLICATES = 1000
"""Bootstrap samples: the ends of an interval then wander by a few hundredths of its width."""

GRAIN = 1000
"""A recommended threshold is rounded up to a thousandth of similarity: to the digits that go on record."""

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Rate:
    """So many (mostly errors) of so many trials, and the 95 % interval of their share."""

    count: int
    trials: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """The count's share of the trials; not a number without any."""
        return self.count / self.trials if self.trials else math.nan


def wilson(count: int, trials: int) -> Rate:
    """Return the share with Wilson's score interval (1927), for trials that are independent of each other.

    Unlike the normal interval it holds for few trials and shares near 0 as well, and unlike Clopper and Pearson's it
    is not wider than it need be; without an error in n trials it ends at 3.84 / (n + 3.84).
    """
    if not trials:
        return Rate(0, 0, 0.0, 1.0)
    share, room = count / trials, Z * Z / trials
    middle = (share + room / 2) / (1 + room)
    half = Z / (1 + room) * math.sqrt(share * (1 - share) / trials + room / (4 * trials))
    low = 0.0 if not count else max(0.0, middle - half)
    high = 1.0 if count == trials else min(1.0, middle + half)
    return Rate(count, trials, low, high)


@dataclass(frozen=True, slots=True)
class Search:
    """One search for one picture: of whom it is, whether that person was in the gallery, and who was found.

    `candidates` are best first, as the recognizer gave them; the ids are the people's.
    """

    split: int
    person: str
    picture: str
    mated: bool
    candidates: tuple[Candidate, ...]

    @property
    def best(self) -> float:
        """The best candidate's similarity, -1 where there is none."""
        return self.candidates[0].similarity if self.candidates else -1.0

    @property
    def first(self) -> bool:
        """Whether the best candidate is the person."""
        return bool(self.candidates) and self.candidates[0].member_id == self.person


@dataclass(frozen=True, slots=True)
class Row:
    """The rates at one threshold.

    `fpir` is the share of searches for people who are not enrolled that name somebody; `fnir` that of searches for
    enrolled people that do not name them first, at or above the threshold.
    """

    threshold: float
    fpir: Rate
    fnir: Rate


def rows(searches: Sequence[Search], thresholds: Iterable[float], seed: int) -> list[Row]:
    """Return the rates at each threshold, lowest first, with intervals by `by_person`; both kinds of search needed."""
    marks = np.array(sorted(set(thresholds)))
    strangers = [each for each in searches if not each.mated]
    members = [each for each in searches if each.mated]
    named = np.array([each.best for each in strangers])[:, None] >= marks
    missed = np.array([each.best if each.first else -1.0 for each in members])[:, None] < marks
    fpir = by_person(named, [each.person for each in strangers], seed)
    fnir = by_person(missed, [each.person for each in members], seed)
    return [Row(float(mark), *pair) for mark, *pair in zip(marks, fpir, fnir, strict=True)]


def rank_1(searches: Sequence[Search], seed: int) -> Rate:
    """Return the share of searches for enrolled people whose best candidate is the person, however alike."""
    members = [each for each in searches if each.mated]
    first = np.array([[each.first] for each in members])
    return by_person(first, [each.person for each in members], seed)[0]


def by_person(errors: NDArray[np.bool_], persons: Sequence[str], seed: int) -> list[Rate]:
    """Return a rate for each column of `errors` (trials, n), whose intervals take persons for what is independent.

    The pictures of one person resemble each other, and repeated splits show the same pictures again; so persons are
    drawn, not trials: the percentile bootstrap (Efron 1979) over persons with all their trials. Where no trial erred
    all samples are alike, and the exact bound for so many persons stands in: 1 - 0.05^(1/n), about 3 / n, the rule of
    three. With an error or two the samples still know too little, so that no interval ends below that bound; nor,
    the other way round, does one begin above what is left of it.
    """
    places = {name: place for place, name in enumerate(dict.fromkeys(persons))}
    owner = np.array([places[name] for name in persons], np.intp)
    sums = np.zeros((len(places), errors.shape[1]))
    np.add.at(sums, owner, errors)
    trials = np.bincount(owner, minlength=len(places)).astype(np.float64)
    low, high = _percentiles(sums, trials, seed)
    counts, bound = errors.sum(axis=0), 1 - (1 - SURE) ** (1 / len(places))
    low = np.where(counts == 0, 0.0, np.minimum(low, 1 - bound))
    high = np.where(counts == len(persons), 1.0, np.maximum(high, bound))
    return [
        Rate(int(count), len(persons), float(begin), float(end))
        for count, begin, end in zip(counts, low, high, strict=True)
    ]


def _percentiles(sums: Numbers, trials: Numbers, seed: int) -> tuple[Numbers, Numbers]:
    chance, count = np.random.default_rng(seed), len(trials)
    shares = []
    for begin in range(0, REPLICATES, _AT_ONCE):
        drawn = chance.multinomial(count, [1 / count] * count, min(_AT_ONCE, REPLICATES - begin)).astype(np.float64)
        shares.append((drawn @ sums) / (drawn @ trials)[:, None])
    low, high = np.percentile(np.concatenate(shares), [50 * (1 - SURE), 100 - 50 * (1 - SURE)], axis=0)
    return low, high


def threshold_for(searches: Sequence[Search], wished: float) -> float | None:
    """Return the lowest threshold, to a thousandth, at which no more than `wished` of the strangers are named.

    None where even 100 names more.
    """
    best = sorted((each.best for each in searches if not each.mated), reverse=True)
    allowed = math.floor(wished * len(best) + 1e-9)
    if allowed >= len(best):
        return 0.0
    mark = max(0, math.floor(best[allowed] * GRAIN) + 1) / GRAIN
    return mark if mark <= 100 else None


def too_alike(searches: Sequence[Search], threshold: float, margin: float) -> int:
    """Return how many searches the door's ballot would call ambiguous: two candidates nearly equally like the face."""
    standard = Standard("embedded", threshold, agreeing=1)
    return sum(Ballot((standard,), margin, (_answer(each),)).ambiguous for each in searches)


def _answer(search: Search) -> Examination:
    box = Box(0, 0, 1, 1)
    return Examination("embedded", "", Purpose.IDENTITY, 0, 0, box, search.candidates, None, {}, 0.0)


@dataclass(frozen=True, slots=True)
class Roc:
    """How well a score tells two kinds of pictures apart.

    `points` are (threshold, share of the others at or above it, share of the sought at or above it), from the highest
    threshold on; `auc` is the area under them: the chance that a sought one scores higher than another. Its interval
    is None where the two do not overlap at all, since nothing then says how far that goes.
    """

    points: tuple[tuple[float, float, float], ...]
    auc: float
    interval: tuple[float, float] | None


def roc(sought: Sequence[float], others: Sequence[float], seed: int) -> Roc:
    """Return the curve of two sets of scores, neither of them empty; the interval is by bootstrap over pictures."""
    high, low = np.sort(np.asarray(sought, np.float64)), np.sort(np.asarray(others, np.float64))
    marks = np.unique(np.concatenate([high, low]))[::-1]
    points = [(math.inf, 0.0, 0.0)]
    points += [(float(mark), _above(low, mark), _above(high, mark)) for mark in marks]
    area = _area(high, low)
    if area in {0.0, 1.0}:
        return Roc(tuple(points), area, None)
    chance = np.random.default_rng(seed)
    drawn = [_area(_again(chance, high), _again(chance, low)) for _ in range(REPLICATES)]
    begin, end = np.percentile(drawn, [50 * (1 - SURE), 100 - 50 * (1 - SURE)])
    return Roc(tuple(points), area, (float(begin), float(end)))


def _again(chance: np.random.Generator, values: Numbers) -> Numbers:
    return np.sort(chance.choice(values, len(values)))


def _above(ordered: Numbers, mark: Any) -> float:
    return float(len(ordered) - np.searchsorted(ordered, mark, "left")) / len(ordered)


def _area(high: Numbers, low: Numbers) -> float:
    """Return the chance that one of `high` is above one of `low`, both in order; a tie counts half (Mann, Whitney)."""
    below = np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")
    return float(below.sum()) / (2 * len(high) * len(low))
