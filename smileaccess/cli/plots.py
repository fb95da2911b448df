"""The plots of a report, each from the sums of a tally; what they show stands in words and in a table beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from smileaccess import drawing
from smileaccess.drawing import Color, label
from smileaccess.reporting import (
    BINS_A_DECADE,
    GRAIN_MS,
    HIGHEST,
    LOWEST,
    MILLION,
    Bars,
    Similarities,
    Tally,
    Verdict,
    nines,
    percentile,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 8.0
"""Inches of a plot: with letters of 9 points it reads well on a screen, and on a phone turned sideways."""

SHARES = {"median": 0.5, "90th": 0.9, "99th": 0.99}
"""The percentiles of a latency."""

MOST_DOORS = 30
"""In one plot, those with most attempts: more would be longer than a page."""

_FEWEST_BARS = 12
"""Places for bars along an axis of time, so that the bar of a single attempt is no wall."""

_MARKS = (0, 50, 80, 90, 95, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.98)
"""Similarities that may stand along their axis."""

_APART = 0.06
"""Of the axis' length between two of them, at the least."""

_VERDICTS = {Verdict.GRANTED: Color.GRANTED, Verdict.STRANGER: Color.DENIED, Verdict.OTHERWISE: Color.OTHER}


def times(name: str, told: str, bars: Bars) -> str:
    """Draw the attempts by time, granted below denied."""

    def draw(figure: Figure) -> None:
        axes: Axes = figure.subplots()
        granted = [sums[0] for sums in bars.sums]
        both = [sum(sums) for sums in bars.sums]
        _stairs(axes, bars, granted, Color.GRANTED, label="granted")
        _stairs(axes, bars, both, Color.DENIED, baseline=granted, label="denied")
        axes.set_ylabel(f"attempts per {bars.step.name}")
        _along_time(axes, bars)
        _whole_numbers(axes, "y")
        legend(axes)

    return drawing.svg(name, (WIDTH, 2.8), told, draw)


def costs(name: str, told: str, bars: Bars) -> str:
    """Draw what was spent by time."""

    def draw(figure: Figure) -> None:
        axes: Axes = figure.subplots()
        _stairs(axes, bars, [sums[0] / MILLION for sums in bars.sums], Color.GRANTED)
        axes.set_ylabel(f"cost per {bars.step.name}")
        axes.ticklabel_format(axis="y", style="plain", useOffset=False)
        axes.set_ylim(bottom=0)
        _along_time(axes, bars)

    return drawing.svg(name, (WIDTH, 2.4), told, draw)


def reasons(name: str, told: str, tally: Tally) -> str:
    """Draw the denials by reason: on the left by hour of the day, the more the denser, on the right their sums."""
    counts = tally.reasons

    def draw(figure: Figure) -> None:
        by_hour, sums = figure.subplots(1, 2, sharey=True, width_ratios=[2.4, 1])
        _heat(by_hour, tally)
        sums.barh(range(len(counts)), [count for _, count in counts], height=0.7, color=Color.DENIED)
        for place, (_, count) in enumerate(counts):
            sums.annotate(f"{count:,}", (count, place), (4, 0), textcoords="offset points", va="center")
        sums.set_title("in all")
        sums.set_xlim(0, counts[0][1] * 1.25)
        sums.tick_params(labelbottom=False, bottom=False, left=False)
        sums.spines["bottom"].set_visible(False)
        sums.grid(visible=False)
        by_hour.set_ylim(len(counts) - 0.5, -0.5)

    return drawing.svg(name, (WIDTH, 0.9 + 0.26 * len(counts)), told, draw)


def _heat(axes: Axes, tally: Tally) -> None:
    from matplotlib.patches import Rectangle  # noqa: PLC0415 -- heavy

    places = {reason: place for place, (reason, _) in enumerate(tally.reasons)}
    most = max(tally.hours.values())
    for (reason, hour), count in sorted(tally.hours.items(), key=lambda each: (places[each[0][0]], each[0][1])):
        corner = (hour + 0.04, places[reason] - 0.46)
        dense = round(0.12 + 0.88 * count / most, 2)
        axes.add_patch(Rectangle(corner, 0.92, 0.92, facecolor=Color.DENIED, alpha=dense, linewidth=0))
    axes.set_title(f"by hour of the day (densest: {most:,})")
    axes.set_xlim(0, 24)
    axes.set_xticks(range(0, 25, 3), [f"{hour:02}:00" for hour in range(0, 25, 3)])
    axes.set_yticks(range(len(places)), [reason.value for reason in places])
    axes.tick_params(left=False)
    axes.grid(visible=False)


def similarities(name: str, told: str, found: Similarities) -> str:
    """Draw how alike the best candidates were, of who was granted above who was denied, with the threshold."""

    def draw(figure: Figure) -> None:
        rows = figure.subplots(2, 1, sharex=True)
        for axes, verdicts in zip(rows, ([Verdict.GRANTED], [Verdict.STRANGER, Verdict.OTHERWISE]), strict=True):
            _distribution(axes, found, verdicts)
        rows[0].set_ylabel("granted")
        rows[1].set_ylabel("denied")
        rows[1].set_xlabel("similarity of the best candidate (each further nine is as wide)")
        _along_nines(rows[1], found)

    return drawing.svg(name, (WIDTH, 3.8), told, draw)


def _distribution(axes: Axes, found: Similarities, verdicts: Sequence[Verdict]) -> None:
    low, high = _span(found)
    edges = [place / BINS_A_DECADE for place in range(low, high + 1)]
    below = [0] * (high - low)
    for verdict in verdicts:
        above = [base + found.bins[verdict, low + place] for place, base in enumerate(below)]
        if found.totals[verdict]:
            shown = _VERDICTS[verdict]
            axes.stairs(above, edges, baseline=below, fill=True, color=shown, label=verdict.value, linewidth=0)
        below = above
    if found.threshold is not None:
        told = f"threshold {found.threshold:g}" if Verdict.GRANTED in verdicts else None
        axes.axvline(nines(found.threshold), color=Color.INK, linewidth=1.2, linestyle="--", label=told)
    axes.set_ylim(0, max(*below, 1) * 1.08)
    _whole_numbers(axes, "y")
    legend(axes)


def _span(found: Similarities) -> tuple[int, int]:
    """Return the first bin that is drawn and the end of the last: all that occurred, the threshold, and some air."""
    places = [place for _, place in found.bins]
    if found.threshold is not None:
        places.append(int(nines(found.threshold) * BINS_A_DECADE))
    first, last = min(places) - 2, max(places) + 3
    air = max(0, BINS_A_DECADE - (last - first)) // 2
    lowest, highest = LOWEST * BINS_A_DECADE, HIGHEST * BINS_A_DECADE
    return max(first - air, lowest), min(last + air, highest + 1)


def _along_nines(axes: Axes, found: Similarities) -> None:
    low, high = (place / BINS_A_DECADE for place in _span(found))
    along_nines(axes, low, high)


def along_nines(axes: Axes, low: float, high: float) -> None:
    """Make the x axis one of similarities between two places on the scale of nines."""
    axes.set_xlim(low, high)
    places: dict[float, str] = {}
    for mark in _MARKS:
        place = nines(mark)
        if low <= place <= high and all(abs(place - each) >= _APART * (high - low) for each in places):
            places[place] = f"{mark:g}"
    if high > HIGHEST:
        places[(HIGHEST + high) / 2] = "to 100"
    axes.set_xticks(list(places), list(places.values()))


def latencies(name: str, told: str, stages: Mapping[str, Mapping[int, int]]) -> str:
    """Draw when each stage was reached; `stages` are in the order in which they are shown, by name for people."""

    def draw(figure: Figure) -> None:
        axes: Axes = figure.subplots()
        spans = [[seconds(counts, share) for share in SHARES.values()] for counts in stages.values()]
        for place, span in enumerate(spans):
            axes.hlines(place, span[0], span[-1], color=Color.GRANTED, linewidth=2, alpha=0.5)
        for number, (share, marker) in enumerate(zip(SHARES, "os|", strict=True)):
            values, size = [span[number] for span in spans], (7, 6, 13)[number]
            axes.plot(values, range(len(spans)), marker, color=Color.GRANTED, label=share, markersize=size, mew=2)
        axes.set_xlabel("seconds since the attempt was opened")
        axes.set_xlim(0, max(max(span) for span in spans) * 1.05 or 1)
        axes.set_ylim(len(spans) - 0.5, -0.5)
        axes.set_yticks(range(len(spans)), [label(stage) for stage in stages])
        axes.grid(visible=False, axis="y")
        legend(axes)

    return drawing.svg(name, (WIDTH, 1.1 + 0.32 * len(stages)), told, draw)


def seconds(counts: Mapping[int, int], share: float) -> float:
    """Return a percentile of latencies, counted as a tally counts them, in seconds."""
    return percentile(counts, share) * GRAIN_MS / 1000


def doors(name: str, told: str, counts: Mapping[str, tuple[int, int]]) -> str:
    """Draw the attempts by door, granted and denied beside each other."""

    def draw(figure: Figure) -> None:
        axes: Axes = figure.subplots()
        places = range(len(counts))
        granted = [each[0] for each in counts.values()]
        axes.barh(places, granted, height=0.7, color=Color.GRANTED, label="granted")
        denied = [each[1] for each in counts.values()]
        axes.barh(places, denied, height=0.7, left=granted, color=Color.DENIED, label="denied")
        axes.set_yticks(places, [label(door) for door in counts])
        axes.set_ylim(len(counts) - 0.5, -0.5)
        axes.set_xlabel("attempts")
        axes.tick_params(left=False)
        axes.grid(visible=False, axis="y")
        _whole_numbers(axes, "x")
        legend(axes)

    return drawing.svg(name, (WIDTH, 1.1 + 0.26 * len(counts)), told, draw)


def _stairs(
    axes: Axes,
    bars: Bars,
    values: Sequence[float],
    color: Color,
    *,
    baseline: Sequence[float] = (),
    label: str | None = None,
) -> None:
    edges = _dates().date2num(bars.starts)
    axes.stairs(values, edges, baseline=baseline or 0, fill=True, color=color, label=label, linewidth=0)


def _along_time(axes: Axes, bars: Bars) -> None:
    dates = _dates()
    first, last = dates.date2num(bars.starts[0]), dates.date2num(bars.starts[-1])
    missing = max(0.0, _FEWEST_BARS / len(bars.sums) - 1) / 2 * (last - first)
    axes.set_xlim(first - missing, last + missing)
    locator = dates.AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    axes.margins(y=0.08)


def _dates() -> Any:
    """Return matplotlib's module of dates, which carries no types."""
    from matplotlib import dates  # noqa: PLC0415 -- heavy

    return dates


def _whole_numbers(axes: Axes, which: str) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter  # noqa: PLC0415 -- heavy

    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def legend(axes: Axes, columns: int = 3) -> None:
    """Put the legend above the plot, where it hides nothing."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=columns, borderaxespad=0.2, handlelength=1.4)
