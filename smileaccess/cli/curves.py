"""The plots of an evaluation, as files of their own or within a page; what they show stands in words beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from smileaccess import drawing
from smileaccess.cli import paper
from smileaccess.cli.plots import along_nines, legend
from smileaccess.drawing import IN_PAGE, LIGHT, Color
from smileaccess.reporting import nines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from smileaccess.evaluation.captures import Species
    from smileaccess.evaluation.identification import Measured
    from smileaccess.evaluation.measuring import Rate, Row
    from smileaccess.evaluation.smiles import Smiles

Draw = Callable[["Figure", Mapping[Color, str]], None]
"""What puts a plot on an empty figure, in these colors."""

KINDS = (".svg", ".png", ".html")
"""Of files, by their names' ends."""

SIZE = (9.0, 4.0)
"""Inches of a plot with two parts."""

_LEAST = 0.3
"""Of one error among all trials: where the scale of a rate begins that may be none."""

_BAND = 0.18
"""How dense the band of an interval is."""


def file(kind: str, title: str, told: str, draw: Draw, body: str) -> bytes:
    """Return the file of an evaluation: `kind` is one of KINDS, `body` the markup of a page's tables.

    Unavailable where matplotlib is missing.
    """
    if kind == ".html":
        plot = drawing.svg("curves", SIZE, told, lambda figure: draw(figure, IN_PAGE))
        return paper.document(title, paper.section(title, told, plot, body)).encode("utf-8")
    return drawing.alone(kind.removeprefix("."), SIZE, told, lambda figure: draw(figure, LIGHT))


def identification(measured: Measured) -> Draw:
    """Return how FPIR and FNIR by threshold are drawn, and one against the other."""

    def draw(figure: Figure, colors: Mapping[Color, str]) -> None:
        by_threshold, tradeoff = figure.subplots(1, 2, width_ratios=[1.5, 1])
        _by_threshold(by_threshold, measured, colors)
        _tradeoff(tradeoff, measured, colors)

    return draw


def _by_threshold(axes: Axes, measured: Measured, colors: Mapping[Color, str]) -> None:
    rows = measured.rows
    places = [nines(row.threshold) for row in rows]
    least = _floor(rows)
    _rate(axes, places, [row.fpir for row in rows], least, colors[Color.DENIED], "FPIR: a stranger is named")
    _rate(axes, places, [row.fnir for row in rows], least, colors[Color.GRANTED], "FNIR: a member is not found")
    now = measured.present.threshold
    axes.axvline(nines(now), color=colors[Color.INK], linestyle="--", linewidth=1.2, label=f"threshold {now:g}")
    if measured.wished is not None:
        wished = measured.wished.threshold
        axes.axvline(nines(wished), color=colors[Color.OTHER], linestyle=":", linewidth=1.6, label=f"wished {wished:g}")
    along_nines(axes, places[0], places[-1])
    axes.set_xlabel("threshold, similarity 0 to 100 (each further nine is as wide)")
    axes.set_ylabel("share of searches, with 95 % interval")
    _in_percent(axes, "y", least)
    legend(axes, columns=2)


def _tradeoff(axes: Axes, measured: Measured, colors: Mapping[Color, str]) -> None:
    rows = measured.rows
    least = _floor(rows)
    axes.plot(
        [max(row.fpir.share, least) for row in rows],
        [max(row.fnir.share, least) for row in rows],
        color=colors[Color.INK],
        linewidth=1.4,
    )
    marked = [(measured.present, "o", Color.INK), (measured.wished, "D", Color.OTHER)]
    for row, marker, color in marked:
        if row is not None:
            at = [max(row.fpir.share, least)], [max(row.fnir.share, least)]
            axes.plot(*at, marker, color=colors[color], label=f"at {row.threshold:g}", clip_on=False, zorder=3)
    _in_percent(axes, "x", least)
    _in_percent(axes, "y", least)
    axes.set_xlabel("FPIR (the scale ends below one error)")
    axes.set_ylabel("FNIR")
    legend(axes, columns=2)


def _in_percent(axes: Axes, which: str, least: float) -> None:
    """Make an axis one of shares from `least` to all, on a scale of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: PLC0415 -- heavy

    if which == "x":
        axes.set_xscale("log")
        axes.set_xlim(least, 1.3)
    else:
        axes.set_yscale("log")
        axes.set_ylim(least, 1.3)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(numticks=10))
    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g} %"))
    axis.set_minor_formatter(NullFormatter())


def _rate(axes: Axes, places: Sequence[float], rates: Sequence[Rate], least: float, color: str, label: str) -> None:
    axes.plot(places, [max(rate.share, least) for rate in rates], color=color, linewidth=1.6, label=label)
    low, high = [max(rate.low, least) for rate in rates], [max(rate.high, least) for rate in rates]
    axes.fill_between(places, low, high, color=color, alpha=_BAND, linewidth=0)


def _floor(rows: Sequence[Row]) -> float:
    """Return where a scale of rates begins: below the least that can be counted, so that none is told from one."""
    return _LEAST / max(rate.trials for rate in (rows[0].fpir, rows[0].fnir))


def smiles(measured: Smiles) -> Draw:
    """Return how the two kinds of pictures are told apart: the curve, and the scores."""

    def draw(figure: Figure, colors: Mapping[Color, str]) -> None:
        scores, curve = figure.subplots(1, 2, width_ratios=[1.5, 1])
        _scores(scores, measured, colors)
        _roc(curve, measured, colors)

    return draw


def _scores(axes: Axes, measured: Smiles, colors: Mapping[Color, str]) -> None:
    edges = list(range(0, 101, 5))
    kinds = ((measured.neutral, Color.DENIED, "neutral"), (measured.smiling, Color.GRANTED, "smiling"))
    for scores, color, name in kinds:
        axes.hist(scores, bins=edges, color=colors[color], alpha=0.6, label=f"{name} ({len(scores):,})")
    axes.axvline(measured.smile_at, color=colors[Color.INK], linestyle="--", linewidth=1.2, label="smile_at")
    axes.axvline(measured.neutral_below, color=colors[Color.INK], linestyle=":", linewidth=1.2, label="neutral_below")
    axes.set_xlabel("smile, 0 to 100")
    axes.set_ylabel("pictures")
    axes.set_xlim(0, 100)
    legend(axes, columns=2)


def _roc(axes: Axes, measured: Smiles, colors: Mapping[Color, str]) -> None:
    points = measured.roc.points
    told = f"ROC, area {measured.roc.auc:.3f}"
    axes.plot([point[1] for point in points], [point[2] for point in points], color=colors[Color.GRANTED], label=told)
    at = [measured.passing.share], [1 - measured.missed.share]
    axes.plot(*at, "o", color=colors[Color.INK], label=f"at {measured.smile_at:g}", clip_on=False, zorder=3)
    axes.plot([0, 1], [0, 1], color=colors[Color.FAINT], linewidth=1)
    axes.set_xlabel("share of neutral pictures taken for a smile")
    axes.set_ylabel("share of smiles found")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    legend(axes, columns=2)


def liveness(species: Sequence[Species]) -> Draw:
    """Return how the rate of each kind of capture is drawn, with its interval."""

    def draw(figure: Figure, colors: Mapping[Color, str]) -> None:
        axes: Axes = figure.subplots()
        for place, kind in enumerate(species):
            color = colors[Color.GRANTED if kind.genuine else Color.DENIED]
            axes.hlines(place, kind.rate.low, kind.rate.high, color=color, linewidth=2, alpha=0.6)
            axes.plot([kind.rate.share], [place], "o", color=color, clip_on=False, zorder=3)
        names = [f"{drawing.label(kind.name)} ({kind.rate.trials})" for kind in species]
        axes.set_yticks(range(len(species)), names)
        axes.set_ylim(len(species) - 0.5, -0.5)
        axes.set_xlim(0, 1)
        axes.set_xlabel("share judged wrongly, with 95 % interval (BPCER of genuine captures, APCER of attacks)")
        axes.grid(visible=False, axis="y")

    return draw


def row_cells(row: Row) -> tuple[str, str, str]:
    """Return the cells of a threshold's row, for people."""
    return f"{row.threshold:g}", rate_told(row.fpir), rate_told(row.fnir)


def rate_told(rate: Rate) -> str:
    """Return a rate with its interval, for people: in percent, to three digits."""
    return f"{_percent(rate.share)} ({_percent(rate.low)} to {_percent(rate.high)})" if rate.trials else "-"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
