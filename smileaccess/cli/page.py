"""Puts the report on attempts together as one page of HTML; it loads nothing from anywhere, and runs no script.

Whatever comes from the record or the command line is escaped. No member's name and no member's id is handed to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from smileaccess import __version__
from smileaccess.cli import plots
from smileaccess.cli.common import counted, plain
from smileaccess.drawing import DARK, LIGHT, css_variables
from smileaccess.model import FAULTS
from smileaccess.reporting import BINS_A_DECADE, MILLION, DoorCounts, Similarities, Tally, Verdict, similarity_at

FEW_ROWS = 30
"""Of a table that is shown at once: a longer one unfolds."""

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
    title = _text(heading.title or _title(tally))
    found = sorted(tally.similarities.items())
    sections = (
        _times(tally),
        _reasons(tally),
        *(_similarities(place, name, each) for place, (name, each) in enumerate(found)),
        _latencies(tally),
        _costs(tally),
        _doors(tally),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
        f"{_head(tally, heading)}{''.join(sections)}{_foot(tally, heading)}</main>\n</body>\n</html>\n"
    )


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
    told = "".join(f"<div><dt>{name}</dt><dd>{_text(value)}</dd></div>\n" for name, value in rows.items() if value)
    return f"<dl>\n{told}</dl>\n"


def _asked(tally: Tally, heading: Heading) -> str:
    since = f" from {tally.local(heading.since):{_MINUTES}}" if heading.since else ""
    return since + (f" until {tally.local(heading.until):{_MINUTES}}" if heading.until else "")


def _foot(tally: Tally, heading: Heading) -> str:
    made_at = heading.made_at.astimezone(tally.zone)
    return (
        "<footer><p>No names and no members' ids stand on this page. "
        f"Times are local ({_text(made_at.tzname() or 'UTC')}). "
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
    table = _table((step, "granted", "denied", "granted share"), rows)
    return _section(f"Attempts per {step}", told, plots.times("times", told, bars), table)


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
    table = _table(("reason", "in all", "share", *(f"{hour:02}" for hour in hours)), rows)
    return _section("Denials by reason", told, plots.reasons("reasons", told, tally), table)


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
    sums = _table(("outcome", "attempts", "lowest", "highest", "at the threshold or above"), rows)
    plot = plots.similarities(f"similarity-{place}", told, found)
    return _section(f"Similarity and threshold ({name})", told, plot, sums + _bins(found))


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
    return _table(("similarity", *(verdict.value for verdict in Verdict)), rows, unfolded=False)


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
    table = _table(("stage", "attempts", *(f"{name} (s)" for name in plots.SHARES)), rows)
    return _section("Latency by stage", told, plots.latencies("latencies", told, stages), table)


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
    table = _table((bars.step.name, "cost"), [*rows, ("in all", _money(micros))])
    return _section(f"Cost per {bars.step.name}", told, plots.costs("costs", told, bars), table)


def _doors(tally: Tally) -> str:
    if len(tally.doors) < 2:
        return ""
    doors = sorted(tally.doors.items(), key=lambda door: (-door[1].ended, door[0]))
    drawn = {name: (door.granted, door.denied) for name, door in doors[: plots.MOST_DOORS]}
    some = f" Drawn are the {len(drawn)} with most attempts." if len(drawn) < len(doors) else ""
    told = f"Attempts at each of {len(doors):,} doors, granted and denied.{some}"
    table = _table(("door", "attempts", "granted", "denied", "granted share", "cost"), [_door(*door) for door in doors])
    return _section("Attempts by door", told, plots.doors("doors", told, drawn), table)


def _door(name: str, door: DoorCounts) -> Sequence[str]:
    sums = (f"{count:,}" for count in (door.ended + door.open, door.granted, door.denied))
    return (name, *sums, _share(door.granted, door.ended), _money(door.micros))


# The pieces


def _section(title: str, told: str, plot: str, tables: str) -> str:
    return (
        f'<section>\n<h2>{_text(title)}</h2>\n<figure>\n<div class="wide">{plot}</div>\n'
        f"<figcaption>{_text(told)}</figcaption>\n</figure>\n{tables}</section>\n"
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, unfolded: bool = True) -> str:
    """Return a table that unfolds: a short one lies open, unless told not to."""
    head = "".join(f'<th scope="col">{_text(each)}</th>' for each in columns)
    body = "".join(f"<tr>{_cells(row)}</tr>\n" for row in rows)
    shown = " open" if unfolded and len(rows) <= FEW_ROWS else ""
    return (
        f'<details{shown}><summary>The numbers by {_text(columns[0])}</summary>\n<div class="wide"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div></details>\n"
    )


def _cells(row: Iterable[str]) -> str:
    first, *others = row
    return f'<th scope="row">{_text(first)}</th>' + "".join(f"<td>{_text(each)}</td>" for each in others)


def _text(text: str) -> str:
    """Return untrusted text as it may stand in a page."""
    return escape(plain(text))


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _money(micros: int) -> str:
    """Return a sum of the account's currency, which we do not know: to the thousandth, or as far as it goes."""
    whole, _, part = f"{micros / MILLION:,.6f}".partition(".")
    return f"{whole}.{part.rstrip('0').ljust(3, '0')}"


_STYLE = f"""\
:root {{ color-scheme: light dark; --page: #ffffff; --quiet: #595959; {css_variables(LIGHT)} }}
@media screen and (prefers-color-scheme: dark) {{
:root {{ --page: #161616; --quiet: #b0b0b0; {css_variables(DARK)} }}
}}
body {{ margin: 0; background: var(--page); color: var(--ink); font: 16px/1.45 system-ui, sans-serif; }}
main {{ max-width: 60rem; margin: 0 auto; padding: 1rem; }}
h1 {{ font-size: 1.6rem; line-height: 1.2; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.2rem; margin: 2.2rem 0 0.6rem; overflow-wrap: anywhere; }}
dl {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 0.8rem; margin: 0; }}
dt, figcaption, summary, footer {{ color: var(--quiet); font-size: 0.85rem; }}
dd {{ margin: 0; overflow-wrap: anywhere; }}
figure {{ margin: 0 0 0.6rem; }}
figcaption {{ overflow-wrap: anywhere; }}
.wide {{ overflow-x: auto; }}
svg {{ display: block; width: 100%; min-width: 34rem; font-family: system-ui, sans-serif; }}
svg * {{ stroke-linejoin: round; stroke-linecap: butt; }}
summary {{ cursor: pointer; }}
table {{ border-collapse: collapse; font-size: 0.85rem; margin: 0.4rem 0; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 0.2rem 0.6rem; border-bottom: 1px solid var(--faint); text-align: right; white-space: nowrap; }}
th {{ font-weight: 600; }}
th:first-child {{ text-align: left; }}
tbody th {{ font-weight: 400; }}
footer {{ margin-top: 2.5rem; }}
@media print {{
:root {{ color-scheme: light; }}
body {{ font-size: 10pt; }}
main {{ max-width: none; padding: 0; }}
.wide {{ overflow: visible; }}
svg {{ min-width: 0; }}
th, td {{ padding: 0.1rem 0.3rem; font-size: 7.5pt; }}
figure, tr {{ break-inside: avoid; }}
h2 {{ break-after: avoid; }}
}}
"""
