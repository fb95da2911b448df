"""Counts attempts for a report: by time, reason, similarity, stage, cost and door.

It keeps sums only, never an attempt and never a member's id, so that years of attempts fit into a small memory: what
grows is a row of sums a day.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

from smileaccess.model import Attempt, Outcome, Reason

MOST_BARS = 200
"""Of one plot: more are no longer told apart on a page."""

MILLION = 1_000_000
"""Millionths of the account's currency in one unit of it: costs are summed as whole numbers."""

BINS_A_DECADE = 20
"""Bars of similarity for each further nine: narrow enough to see how close to the threshold people come."""

LOWEST, HIGHEST = -2, 2
"""The ends of the scale of nines: 0, and 99.99 with all above, where the digits on record are too few for bars."""

GRAIN_MS = 10
"""Latencies are counted to the hundredth of a second, a fraction of a frame."""

LONGEST_MS = 600_000
"""What took longer counts as ten minutes: no attempt lasts so long, so that a clock was set meanwhile."""

STAGES = ("first_face", "neutral", "identified", "cued", "smiled", "granted", "denied")
"""The stages in the order of an attempt; its end is two, since a denial may have waited for its deadline."""

_MONDAY = datetime(2001, 1, 1)  # noqa: DTZ001 -- local time, as all that is counted


@dataclass(frozen=True, slots=True)
class Step:
    """How long a stretch of local time a bar stands for: so many hours, or so many months."""

    name: str
    hours: int = 0
    months: int = 0

    @property
    def whole_days(self) -> bool:
        """Whether every stretch begins at midnight."""
        return self.hours % 24 == 0

    def number(self, when: datetime) -> int:
        """Return which stretch a local time lies in; they are numbered in order."""
        if self.months:
            return (when.year * 12 + when.month - 1) // self.months
        return (when - _MONDAY) // timedelta(hours=self.hours)

    def start(self, number: int) -> datetime:
        """Return when a stretch begins, as local time without a zone, within the calendar."""
        if self.months:
            year, month = divmod(number * self.months, 12)
            return _MONDAY.replace(year=min(max(year, 1), 9999), month=month + 1)
        return _MONDAY + number * timedelta(hours=self.hours)


HOUR, DAY = Step("hour", hours=1), Step("day", hours=24)
SIX_HOURS = Step("6 hours", hours=6)
STEPS = (
    HOUR,
    SIX_HOURS,
    DAY,
    Step("week", hours=7 * 24),
    Step("month", months=1),
    *(Step(name, months=12 * years) for name, years in (("year", 1), ("10 years", 10), ("100 years", 100))),
)


@dataclass(frozen=True, slots=True)
class Bars:
    """Sums by stretch of time without a gap: `starts` has one more than `sums`, the end of the last."""

    step: Step
    starts: Sequence[datetime]
    sums: Sequence[tuple[int, ...]]


class Timeline:
    """Sums of several series over local time, as bars that grow longer the longer the time is."""

    def __init__(self, series: int, finest: Step = HOUR) -> None:
        self._series = series
        self._finest = finest
        self._sums: dict[int, list[int]] = {}
        self._first = self._last = 0

    def add(self, when: datetime, place: int, amount: int = 1) -> None:
        """Add an amount to a series at a local time without a zone; the order of calls does not matter."""
        number = self._finest.number(when)
        empty = not self._sums
        self._sums.setdefault(number, [0] * self._series)[place] += amount
        self._first = number if empty else min(self._first, number)
        self._last = number if empty else max(self._last, number)
        if self._finest is HOUR and self._last - self._first >= MOST_BARS * SIX_HOURS.hours:
            self._coarsen()

    def _coarsen(self) -> None:
        """Keep days instead of hours, which no plot of so long a time shows."""
        self._sums = self._grouped(DAY)
        self._finest = DAY
        self._first, self._last = min(self._sums), max(self._sums)

    def _grouped(self, step: Step) -> dict[int, list[int]]:
        grouped: dict[int, list[int]] = {}
        for number, sums in self._sums.items():
            kept = grouped.setdefault(step.number(self._finest.start(number)), [0] * self._series)
            kept[:] = [a + b for a, b in zip(kept, sums, strict=True)]
        return grouped

    def bars(self) -> Bars | None:
        """Return the sums by the shortest stretches that are not too many, None where nothing was added."""
        if not self._sums:
            return None
        ends = self._finest.start(self._first), self._finest.start(self._last)
        finer = STEPS.index(self._finest)
        fitting = (step for step in STEPS[finer:] if step.number(ends[1]) - step.number(ends[0]) < MOST_BARS)
        step = next(fitting)
        first, last = step.number(ends[0]), step.number(ends[1])
        grouped = self._grouped(step)
        none = [0] * self._series
        return Bars(
            step,
            [step.start(number) for number in range(first, last + 2)],
            [tuple(grouped.get(number, none)) for number in range(first, last + 1)],
        )


class Verdict(StrEnum):
    """What became of an attempt with this similarity: granted, a stranger, or denied whoever it was."""

    GRANTED = "granted"
    STRANGER = "denied: not recognized"
    OTHERWISE = "denied for another reason"


@dataclass(slots=True)
class Similarities:
    """How alike the best candidates were that one recognizer found; `threshold` is None where it is not known.

    `bins` counts by verdict and place on the scale of nines; `reached` counts those at or above the threshold.
    """

    threshold: float | None
    bins: Counter[tuple[Verdict, int]] = field(default_factory=Counter)
    totals: Counter[Verdict] = field(default_factory=Counter)
    reached: Counter[Verdict] = field(default_factory=Counter)
    lowest: dict[Verdict, float] = field(default_factory=dict)
    highest: dict[Verdict, float] = field(default_factory=dict)

    def add(self, verdict: Verdict, similarity: float) -> None:
        """Count one attempt by its best similarity, 0..100."""
        self.bins[verdict, math.floor(round(nines(similarity) * BINS_A_DECADE, 6))] += 1
        self.totals[verdict] += 1
        self.reached[verdict] += self.threshold is not None and similarity >= self.threshold
        self.lowest[verdict] = min(similarity, self.lowest.get(verdict, similarity))
        self.highest[verdict] = max(similarity, self.highest.get(verdict, similarity))


def nines(similarity: float) -> float:
    """Return the place of a similarity on a scale of nines: -2 for 0, -1 for 90, 0 for 99, 1 for 99.9, 2 from 99.99 on.

    Thresholds stand at 99 and beyond, where a straight scale from 0 to 100 shows nothing.
    """
    return min(max(-math.log10(max(100.0 - similarity, 1e-9)), LOWEST), HIGHEST)


def similarity_at(place: float) -> float:
    """Return the similarity at a place on the scale of nines, 100 beyond its end."""
    return 100.0 if place > HIGHEST else 100.0 - math.pow(10.0, -place)


@dataclass(slots=True)
class DoorCounts:
    """One door's attempts, and what they cost, in millionths."""

    granted: int = 0
    denied: int = 0
    open: int = 0
    micros: int = 0

    @property
    def ended(self) -> int:
        """How many have an outcome."""
        return self.granted + self.denied


@dataclass(slots=True)
class Tally:
    """What a report shows, counted attempt by attempt.

    `thresholds` are by recognizer; `zone` is the one whose hours and days are counted, the system's for None. `times`
    has granted and denied, `costs` millionths; `hours` counts denials by reason and hour of the day; `stages` counts by
    stage and tens of milliseconds since an attempt was opened. An attempt that has not ended is counted at its door,
    and in no plot.
    """

    thresholds: Mapping[str, float]
    zone: tzinfo | None = None
    first: datetime | None = None
    last: datetime | None = None
    calls: int = 0
    times: Timeline = field(default_factory=lambda: Timeline(2))
    costs: Timeline = field(default_factory=lambda: Timeline(1, DAY))
    hours: Counter[tuple[Reason, int]] = field(default_factory=Counter)
    similarities: dict[str, Similarities] = field(default_factory=dict)
    stages: dict[str, Counter[int]] = field(default_factory=dict)
    doors: dict[str, DoorCounts] = field(default_factory=dict)

    def add(self, attempt: Attempt) -> None:
        """Count one attempt; the order of calls does not matter."""
        self.first = min(attempt.opened_at, self.first or attempt.opened_at)
        self.last = max(attempt.opened_at, self.last or attempt.opened_at)
        door = self.doors.setdefault(attempt.door, DoorCounts())
        if attempt.closed_at is None or attempt.outcome is None:
            door.open += 1
            return
        when = self.local(attempt.opened_at)
        granted = attempt.outcome is Outcome.GRANTED
        self.times.add(when, 0 if granted else 1)
        door.granted += granted
        door.denied += not granted
        if attempt.reason is not None:
            self.hours[attempt.reason, when.hour] += 1
        self._add_cost(attempt, when, door)
        self._add_similarity(attempt)
        self._add_stages(attempt, attempt.closed_at)

    def add_all(self, attempts: Iterable[Attempt]) -> None:
        """Count attempts as they come."""
        for attempt in attempts:
            self.add(attempt)

    def local(self, when: datetime) -> datetime:
        """Return an aware time as the report's local time, without a zone."""
        return when.astimezone(self.zone).replace(tzinfo=None)

    @property
    def total(self) -> DoorCounts:
        """The sums of all doors."""
        each = self.doors.values()
        return DoorCounts(*(sum(getattr(door, name) for door in each) for name in DoorCounts.__slots__))

    @property
    def reasons(self) -> list[tuple[Reason, int]]:
        """Every reason that occurred and how often, the most frequent first."""
        counts: Counter[Reason] = Counter()
        for (reason, _), count in self.hours.items():
            counts[reason] += count
        return sorted(counts.items(), key=lambda each: (-each[1], each[0].precedence))

    @property
    def stages_in_order(self) -> list[str]:
        """Every stage that occurred, in the order of an attempt; unknown ones last."""
        known = {name: place for place, name in enumerate(STAGES)}
        return sorted(self.stages, key=lambda name: (known.get(name, len(known)), name))

    def _add_cost(self, attempt: Attempt, when: datetime, door: DoorCounts) -> None:
        micros = round((attempt.cost or 0.0) * MILLION)
        self.calls += attempt.calls
        door.micros += micros
        if attempt.calls or micros:
            self.costs.add(when, 0, micros)

    def _add_similarity(self, attempt: Attempt) -> None:
        if attempt.similarity is None:
            return
        name = _recognizer(attempt)
        found = self.similarities.setdefault(name, Similarities(self.thresholds.get(name)))
        found.add(_verdict(attempt), attempt.similarity)

    def _add_stages(self, attempt: Attempt, closed_at: datetime) -> None:
        ended_ms = (closed_at - attempt.opened_at) / timedelta(milliseconds=1)
        end = Outcome.GRANTED if attempt.outcome is Outcome.GRANTED else Outcome.DENIED
        for name, at_ms in {**attempt.stages_ms, end.value: ended_ms}.items():
            if at_ms >= 0:  # else the clock was set back meanwhile
                self.stages.setdefault(name, Counter())[round(min(at_ms, LONGEST_MS) / GRAIN_MS)] += 1


def percentile(counts: Mapping[int, int], share: float) -> int:
    """Return the least value that a share, 0..1, of all counted do not exceed (nearest rank); ValueError for none."""
    wanted = math.ceil(share * sum(counts.values()))
    seen = 0
    for value, count in sorted(counts.items()):
        seen += count
        if seen >= wanted:
            return value
    raise ValueError("nothing was counted: there is no percentile of nothing")


def _verdict(attempt: Attempt) -> Verdict:
    if attempt.outcome is Outcome.GRANTED:
        return Verdict.GRANTED
    return Verdict.STRANGER if attempt.reason is Reason.NOT_RECOGNIZED else Verdict.OTHERWISE


def _recognizer(attempt: Attempt) -> str:
    """Return who measured the similarity; where nobody was named, who found the best candidate."""
    if attempt.recognizer is not None:
        return attempt.recognizer
    found = (
        (each["candidates"][0]["similarity"], each.get("recognizer") or "")
        for each in attempt.detail.get("examinations", ())
        if each.get("candidates")
    )
    return max(found, default=(0.0, ""))[1] or "unknown"
