"""Puts the report on attempts together as one page of HTML; it loads nothing from anywhere, and runs no script.

Whatever comes from the record or the command line is escaped. No member's name and no member's id is handed to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from smileaccess import __version__, drawing
from smileaccess.cli import plots
from smileaccess.cli.common import counted, plain
from smileaccess.model import FAULTS, Reason
from smileaccess.reporting import (
    BINS_A_DECADE,
    MILLION,
    Bars,
    DoorCounts,
    Similarities,
    Tally,
    Verdict,
    similarity_at,
)

FEW_ROWS = 30
"""Of a table that is shown at once: a longer one unfolds."""

MOST_NAMED = 8
"""Doors that are named at the head of the page; with more, how many there are."""

_STAGES = {
    "first_face": "a clear face",
    "neutral": "a calm face",
    "identified": "recognized",
    "cued": "asked to smile",
    "smiled": "smiled",
    "granted": "ended: granted",
    "denied": "ended: denied",
}
"""What a stage is for people; another one is shown by its name."""

_MINUTES = "%Y-%m-%d %H:%M"


@dataclass(frozen=True, slots=True)
class Heading:
    """What the page says of itself: `title` is None for one of its own, `since` and `until` are what was asked for."""

    made_at: datetime
    title: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def page(tally: Tally, heading: Heading) -> str:
    """Return the whole page; Unavailable where matplotlib is missing."""
    title = _text(heading.title or f"Attempts at {_whose(tally)}")
    parts = (
        _times(tally),
        _reasons(tally),
        *(_similarities(name, found) for name, found in sorted(tally.similarities.items())),
        _latencies(tally),
        _costs(tally),
        _doors(tally),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
        f"{_head(tally, heading)}{''.join(parts)}{_foot(tally, heading)}</main>\n</body>\n</html>\n"
    )


def _whose(tally: Tally) -> str:
    if len(tally.doors) == 1:
        return f"the door {next(iter(tally.doors))}"
    return counted(len(tally.doors), "door")


def _head(tally: Tally, heading: Heading) -> str:
    total = tally.total
    if tally.first is None or tally.last is None:
        return f"<p>No attempts on record{_asked(tally, heading)}.</p>\n"
    faults = sum(count for reason, count in tally.reasons if reason in FAULTS)
    rows = {
        "Doors" if len(tally.doors) > 1 else "Door": _named(tally),
        "Attempts": f"{total.ended + total.open:,}" + (f" ({total.open:,} not ended: in no plot)" * (total.open > 0)),
        "Granted": f"{total.granted:,} ({share(total.granted, total.ended)})",
        "Denied": f"{total.denied:,}" + (f", {faults:,} of them by a fault of the system" * (faults > 0)),
        "First and last": f"{_minutes(tally, tally.first)} to {_minutes(tally, tally.last)}",
        "Cost": money(total.micros),
    }
    asked = _asked(tally, heading).strip()
    if asked:
        rows["Asked for"] = asked
    return "<dl>\n" + "".join(f"<div><dt>{name}</dt><dd>{_text(told)}</dd></div>\n" for name, told in rows.items()) + "</dl>\n"


def _named(tally: Tally) -> str:
    return ", ".join(sorted(tally.doors)) if len(tally.doors) <= MOST_NAMED else f"{len(tally.doors):,}"


def _asked(tally: Tally, heading: Heading) -> str:
    since = f" from {_minutes(tally, heading.since)}" if heading.since else ""
    return since + (f" until {_minutes(tally, heading.until)}" if heading.until else "")


def _foot(tally: Tally, heading: Heading) -> str:
    made_at = heading.made_at.astimezone(tally.zone)
    zone = _text(made_at.tzname() or "UTC")
    return (
        "<footer><p>No names and no members' ids stand on this page. "
        f"All times are local ({zone}). Made by smileaccess {__version__} at {made_at:{_MINUTES}}.</p></footer>\n"
    )


# The sections


def _times(tally: Tally) -> str:
    bars = tally.times.bars()
    if bars is None:
        return ""
    both = [sum(sums) for sums in bars.sums]
    most = max(both)
    told = (
        f"Attempts per {bars.step.name} from {bars.starts[0]:{_MINUTES}} to {bars.starts[-1]:{_MINUTES}}, granted and "
        f"denied. The most are {most:,}, from {bars.starts[both.index(most)]:{_MINUTES}} on."
    )
    rows = (
        (f"{start:{_MINUTES}}", f"{granted:,}", f"{denied:,}", share(granted, granted + denied))
        for start, (granted, denied) in zip(bars.starts, bars.sums, strict=False)
        if granted or denied
    )
    table = _table((f"{bars.step.name.capitalize()} from", "granted", "denied", "granted share"), rows)
    return _section(f"Attempts by {bars.step.name}", told, plots.times("times", told, bars), table)


def _reasons(tally: Tally) -> str:
    counts = tally.reasons
    if not counts:
        return ""
    denied = sum(count for _, count in counts)
    reason, most = counts[0]
    told = (
        f"Denials by reason and hour of the day. The most frequent of {counted(len(counts), 'reason')} is "
        f"{reason.value}, {most:,} of {denied:,}."
    )
    hours = [f"{hour:02}" for hour in range(24)]
    rows = (
        (each.value, f"{count:,}", share(count, denied), *(_or_blank(tally.hours[each, hour]) for hour in range(24)))
        for each, count in counts
    )
    table = _table(("Reason", "in all", "share", *hours), rows)
    return _section("Denials by reason", told, plots.reasons("reasons", told, tally), table)


def _or_blank(count: int) -> str:
    return f"{count:,}" if count else ""


def _similarities(name: str, found: Similarities) -> str:
    marked = "no threshold of it is in the settings" if found.threshold is None else _reached(found)
    told = f"Similarity of the best candidate, found by {label_of(name)}, of who was granted and who was denied: {marked}."
    rows = (
        (verdict.value, f"{count:,}", *_extremes(found, verdict), _at_threshold(found, verdict))
        for verdict, count in ((verdict, found.totals[verdict]) for verdict in Verdict)
        if count
    )
    sums = _table(("", "attempts", "lowest", "highest", "at the threshold or above"), rows)
    plot = plots.similarities(f"similarity-{_slug(name)}", told, found)
    title = f"Similarity and threshold: {label_of(name)}"
    return _section(title, told, plot, sums + _bins(found))
