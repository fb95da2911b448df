"""Puts the report on attempts together as one page of HTML; it loads nothing from anywhere, and runs no script.

Whatever comes from the record or the command line is escaped. No member's name and no member's id is handed to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from smileaccess import __version__
from smileaccess.cli import paper, plots
from smileaccess.cli.common import counted, plain
from smileaccess.model import FAULTS
from smileaccess.reporting import BINS_A_DECADE, MILLION, DoorCounts, Similarities, Tally, Verdict, similarity_at

MOST_NAMED = 8
"""Doors that are named at the head of the page; with more, it says how many there are."""

_STAGES = {
    "first_face": "a clear face",
    "neutral": "a calm face",
    "identified": "recognized",
    "cued": "asked to smile",
    "smiled": "smiled",
    "granted": "end: granted",
    "denied": "end: denied",
}
"""What a stage is for people; another one is shown by its name."""

_MINUTES = "%Y-%m-%d %H:%M"
_DAYS = "%Y-%m-%d"


@dataclass(frozen=True, slots=True)
class Heading:
    """What the page says of itself: `title` is empty for one of its own, `since` and `until` are what was asked for."""

    made_at: datetime
    title: str = ""
    since: datetime | None = None
    until: datetime | None = None


def page(tally: Tally, heading: Heading) -> str:
    """Return the whole page; Unavailable where matplotlib is missing."""
    title = heading.title or _title(tally)
    found = sorted(tally.similarities.items())
    sections = (
        _times(tally),
        _reasons(tally),
        *(_similarities(place, name, each) for place, (name, each) in enumerate(found)),
        _latencies(tally),
        _costs(tally),
        _doors(tally),
    )
    return paper.document(title, f"{_head(tally, heading)}{''.join(sections)}{_foot(tally, heading)}")


def _title(tally: Tally) -> str:
    if not tally.doors:
        return "Attempts"
    one = f"the door {next(iter(tally.doors))}"
    return f"Attempts at {one if len(tally.doors) == 1 else counted(len(tally.doors), 'door')}"


def _head(tally: Tally, heading: Heading) -> str:
    if tally.first is None or tally.last is None:
        return f"<p>There are no attempts{_asked(tally, heading)} on record.</p>\n"
    total = tally.total
    faults = sum(count for reason, count in tally.reasons if reason in FAULTS)
    few = len(tally.doors) <= MOST_NAMED
    rows = {
        "Doors" if len(tally.doors) > 1 else "Door": ", ".join(sorted(tally.doors)) if few else f"{len(tally.doors):,}",
        "First attempt": tally.local(tally.first).strftime(_MINUTES),
        "Last attempt": tally.local(tally.last).strftime(_MINUTES),
        "Asked for": _asked(tally, heading).strip(),
        "Attempts": f"{total.ended + total.open:,}"
        + (f" ({total.open:,} without an end: in no plot)" * bool(total.open)),
        "Granted": f"{total.granted:,} ({_share(total.granted, total.ended)})",
        "Denied": f"{total.denied:,}" + (f" ({faults:,} by a fault of the system)" * bool(faults)),
        "Cost": _money(total.micros) * bool(total.micros),
    }
    return paper.facts(rows)


def _asked(tally: Tally, heading: Heading) -> str:
    since = f" from {tally.local(heading.since):{_MINUTES}}" if heading.since else ""
    return since + (f" until {tally.local(heading.until):{_MINUTES}}" if heading.until else "")


def _foot(tally: Tally, heading: Heading) -> str:
    made_at = heading.made_at.astimezone(tally.zone)
    return (
        "<footer><p>No names and no members' ids stand on this page. "
        f"Times are local ({paper.text(made_at.tzname() or 'UTC')}). "
        f"Made by smileaccess {__version__} at {made_at:{_MINUTES}}.</p></footer>\n"
    )


# The sections


def _times(tally: Tally) -> str:
    bars = tally.times.bars()
    if bars is None:
        return ""
    step, shown = bars.step.name, _DAYS if bars.step.whole_days else _MINUTES
    both = [sum(sums) for sums in bars.sums]
    most = max(both)
    told = (
        f"Attempts per {step}, {bars.starts[0]:{shown}} to {bars.starts[-1]:{shown}}, granted and denied. "
        f"The most are {most:,}, from {bars.starts[both.index(most)]:{shown}} on."
    )
    rows = [
        (f"{start:{shown}}", f"{granted:,}", f"{denied:,}", _share(granted, granted + denied))
        for start, (granted, denied) in zip(bars.starts[:-1], bars.sums, strict=True)
        if granted or denied
    ]
    table = paper.table((step, "granted", "denied", "granted share"), rows)
    return paper.section(f"Attempts per {step}", told, plots.times("times", told, bars), table)


def _reasons(tally: Tally) -> str:
    counts = tally.reasons
    if not counts:
        return ""
    denied = sum(count for _, count in counts)
    told = (
        f"Denials by reason, by hour of the day and in all. "
        f"The most frequent reason is {counts[0][0].value}: {counts[0][1]:,} of {denied:,}."
    )
    hours = range(24)
    rows = [
        (reason.value, f"{count:,}", _share(count, denied), *(f"{tally.hours[reason, hour] or ''}" for hour in hours))
        for reason, count in counts
    ]
    table = paper.table(("reason", "in all", "share", *(f"{hour:02}" for hour in hours)), rows)
    return paper.section("Denials by reason", told, plots.reasons("reasons", told, tally), table)


def _similarities(place: int, name: str, found: Similarities) -> str:
    name = plain(name)
    told = f"Similarity of the best candidate, granted and denied; recognizer: {name}. {_against_threshold(found)}"
    rows = [
        (
            verdict.value,
            f"{found.totals[verdict]:,}",
            _similarity(found.lowest[verdict]),
            _similarity(found.highest[verdict]),
            "-" if found.threshold is None else f"{found.reached[verdict]:,}",
        )
        for verdict in Verdict
        if found.totals[verdict]
    ]
    sums = paper.table(("outcome", "attempts", "lowest", "highest", "at the threshold or above"), rows)
    plot = plots.similarities(f"similarity-{place}", told, found)
    return paper.section(f"Similarity and threshold ({name})", told, plot, sums + _bins(found))


def _against_threshold(found: Similarities) -> str:
    if found.threshold is None:
        return "The settings name no threshold for it."
    denied = sum(found.reached[verdict] for verdict in Verdict if verdict is not Verdict.GRANTED)
    return f"The threshold in the settings is {found.threshold:g}; {denied:,} of those denied reached it."


def _bins(found: Similarities) -> str:
    places = sorted({place for _, place in found.bins})
    rows = [
        (
            f"{_similarity(similarity_at(place / BINS_A_DECADE))} to "
            f"{_similarity(similarity_at((place + 1) / BINS_A_DECADE))}",
            *(f"{found.bins[verdict, place]:,}" for verdict in Verdict),
        )
        for place in places
    ]
    return paper.table(("similarity", *(verdict.value for verdict in Verdict)), rows, unfolded=False)


def _similarity(value: float) -> str:
    return f"{max(value, 0.0):.3f}"


def _latencies(tally: Tally) -> str:
    stages = {_STAGES.get(name, name): tally.stages[name] for name in tally.stages_in_order}
    if not stages:
        return ""
    told = "Seconds from the opening of an attempt to each of its stages: median, 90th and 99th percentile."
    rows = [
        (name, f"{sum(counts.values()):,}", *(f"{plots.seconds(counts, share):.2f}" for share in plots.SHARES.values()))
        for name, counts in stages.items()
    ]
    table = paper.table(("stage", "attempts", *(f"{name} (s)" for name in plots.SHARES)), rows)
    return paper.section("Latency by stage", told, plots.latencies("latencies", told, stages), table)


def _costs(tally: Tally) -> str:
    bars, micros = tally.costs.bars(), tally.total.micros
    if bars is None:
        return ""
    told = (
        f"Cost of the attempts' billed calls per {bars.step.name}, in the account's currency: "
        f"{_money(micros)} in all; billed calls: {tally.calls:,}. Enrolling is not among them."
    )
    rows = [
        (f"{start:{_DAYS}}", _money(spent))
        for start, (spent,) in zip(bars.starts[:-1], bars.sums, strict=True)
        if spent
    ]
    table = paper.table((bars.step.name, "cost"), [*rows, ("in all", _money(micros))])
    return paper.section(f"Cost per {bars.step.name}", told, plots.costs("costs", told, bars), table)


def _doors(tally: Tally) -> str:
    if len(tally.doors) < 2:
        return ""
    doors = sorted(tally.doors.items(), key=lambda door: (-door[1].ended, door[0]))
    drawn = {name: (door.granted, door.denied) for name, door in doors[: plots.MOST_DOORS]}
    some = f" Drawn are the {len(drawn)} with most attempts." if len(drawn) < len(doors) else ""
    told = f"Attempts at each of {len(doors):,} doors, granted and denied.{some}"
    table = paper.table(
        ("door", "attempts", "granted", "denied", "granted share", "cost"), [_door(*door) for door in doors]
    )
    return paper.section("Attempts by door", told, plots.doors("doors", told, drawn), table)


def _door(name: str, door: DoorCounts) -> Sequence[str]:
    sums = (f"{count:,}" for count in (door.ended + door.open, door.granted, door.denied))
    return (name, *sums, _share(door.granted, door.ended), _money(door.micros))


# The pieces


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _money(micros: int) -> str:
    """Return a sum of the account's currency, which we do not know: to the thousandth, or as far as it goes."""
    whole, _, part = f"{micros / MILLION:,.6f}".partition(".")
    return f"{whole}.{part.rstrip('0').ljust(3, '0')}"
