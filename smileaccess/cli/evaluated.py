"""Shows what an evaluation measured: in words, as tables, as JSON and as CSV; it measures nothing."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smileaccess.cli import paper
from smileaccess.cli.common import console, counted, row, say, table
from smileaccess.cli.curves import rate_told, row_cells
from smileaccess.cli.exporting import harmless
from smileaccess.evaluation.captures import ANSWERABLE
from smileaccess.evaluation.identification import TABLE
from smileaccess.model import LivenessMode
from smileaccess.recognizers.similarity import recommended_threshold

if TYPE_CHECKING:
    from smileaccess.evaluation.captures import Species
    from smileaccess.evaluation.identification import Measured, Sorted
    from smileaccess.evaluation.measuring import Rate, Row, Search
    from smileaccess.evaluation.smiles import Scored, Smiles

LOWEST_SETTING = 90.0
"""What `[recognition] threshold` takes at the least."""

CANDIDATES = 3
"""Of a search, in its line of CSV."""


def rate_to_plain(rate: Rate) -> dict[str, Any]:
    """Return a rate for JSON; the share is null without trials."""
    share = rate.share if rate.trials else None
    return {"count": rate.count, "trials": rate.trials, "share": share, "low": rate.low, "high": rate.high}


# Identification


def print_identification(measured: Measured, pictures: Sorted, fpir: float) -> None:
    """Print what was measured, for people."""
    plan = measured.plan
    say(f"pictures   {pictures_told(pictures)}")
    say(
        f"gallery    {counted(measured.gallery, 'member')} with {counted(plan.enrolled, 'picture')} each, divided anew "
        f"{counted(plan.splits, 'time')}; seed {plan.seed}"
    )
    say(
        f"searches   {measured.rank_1.trials:,} for members, {measured.present.fpir.trials:,} for "
        f"{measured.strangers:,} strangers"
    )
    say(f"rank 1     {rate_told(measured.rank_1)}")
    say()
    made = table("threshold", "FPIR (95 % interval)", "FNIR (95 % interval)", "", right=("threshold",))
    for each in _shown_rows(measured):
        row(made, *row_cells(each), _remark(each, measured, fpir))
    console().print(made)
    say()
    for line in _advice(measured, fpir):
        say(line)


def _shown_rows(measured: Measured) -> list[Row]:
    marks = {*TABLE, measured.present.threshold, *([measured.wished.threshold] if measured.wished else [])}
    return [each for each in measured.rows if each.threshold in marks]


def _remark(shown: Row, measured: Measured, fpir: float) -> str:
    remarks = ["in the settings"] if shown is measured.present else []
    return ", ".join(remarks + ([f"for FPIR {fpir:g}"] if shown is measured.wished else []))


def _advice(measured: Measured, fpir: float) -> list[str]:
    lines = []
    wished = measured.wished
    if wished is None:
        lines.append(f"No threshold keeps FPIR to {fpir:g}: somebody unknown is as like a member as can be.")
    else:
        least = max(wished.threshold, LOWEST_SETTING)
        beyond = "" if least == wished.threshold else f"; [recognition] threshold takes {LOWEST_SETTING:g} at the least"
        lines.append(f"For FPIR {fpir:g} at this gallery the threshold is {wished.threshold:g}{beyond}.")
        if wished.fpir.high > fpir:
            lines.append(
                f"These pictures do not prove that: with {measured.strangers:,} strangers FPIR may be as high as "
                f"{wished.fpir.high:.3g}. Without an error it takes about {3 / fpir:,.0f} people."
                if fpir
                else "No number of pictures proves that strangers are never named."
            )
    if measured.ambiguous:
        lines.append(
            f"At {measured.present.threshold:g} the door would take {measured.ambiguous:,} of the searches for "
            "ambiguous ([recognition] margin) and deny."
        )
    mark = recommended_threshold(measured.gallery)
    lines.append(f"The mark for {counted(measured.gallery, 'member')}, measured elsewhere, is {mark:.1f}.")
    return lines


def pictures_told(pictures: Sorted) -> str:
    """Return in words how many pictures could be used, and why the others could not."""
    usable = sum(map(len, pictures.people.values()))
    parts = [
        f"{usable:,} usable of {len(pictures.people):,} people",
        f"{pictures.refused_at_door.total():,} refused at the door{_why(pictures.refused_at_door)}",
        f"{pictures.refused_at_enrollment.total():,} at enrollment{_why(pictures.refused_at_enrollment)}",
    ]
    return ", ".join(parts + ([f"{len(pictures.unreadable):,} not readable"] if pictures.unreadable else []))


def _why(reasons: Counter[str]) -> str:
    return f" ({', '.join(f'{count:,} {name}' for name, count in reasons.most_common())})" if reasons else ""


def identification_told(measured: Measured, pictures: Sorted) -> str:
    """Return in words what the plot shows."""
    now = measured.present
    return (
        f"Open-set identification with {counted(measured.gallery, 'member')} of {len(pictures.people):,} people, "
        f"{counted(measured.plan.enrolled, 'picture')} each: share of strangers named (FPIR) and of members not found "
        f"(FNIR) by threshold. At {now.threshold:g}: FPIR {rate_told(now.fpir)}, FNIR {rate_told(now.fnir)}."
    )


def identification_tables(measured: Measured) -> str:
    """Return the numbers as markup."""
    return paper.table(("threshold", "FPIR", "FNIR"), [row_cells(each) for each in measured.rows])


def identification_to_plain(measured: Measured, pictures: Sorted, fpir: float) -> dict[str, Any]:
    """Return what was measured for JSON."""
    plan = measured.plan
    return {
        "people": len(pictures.people),
        "usable": sum(map(len, pictures.people.values())),
        "refused_at_door": dict(pictures.refused_at_door),
        "refused_at_enrollment": dict(pictures.refused_at_enrollment),
        "unreadable": list(pictures.unreadable),
        "enrolled": plan.enrolled,
        "gallery": measured.gallery,
        "splits": plan.splits,
        "seed": plan.seed,
        "strangers": measured.strangers,
        "rank_1": rate_to_plain(measured.rank_1),
        "rows": [_row_to_plain(each) for each in measured.rows],
        "present": _row_to_plain(measured.present),
        "ambiguous": measured.ambiguous,
        "wished_fpir": fpir,
        "wished": None if measured.wished is None else _row_to_plain(measured.wished),
        "mark": recommended_threshold(measured.gallery),
    }


def _row_to_plain(shown: Row) -> dict[str, Any]:
    return {
        "threshold": shown.threshold,
        "fpir": rate_to_plain(shown.fpir),
        "fnir": rate_to_plain(shown.fnir),
        "rank_1": 1 - shown.fnir.share,
    }


def searches_as_csv(searches: Sequence[Search], directory: Path) -> str:
    """Return every search as a line of CSV: which picture of whom, whether enrolled, and the candidates."""
    file = io.StringIO()
    writer = csv.writer(file)
    shown = [name for rank in range(1, CANDIDATES + 1) for name in (f"candidate_{rank}", f"similarity_{rank}")]
    writer.writerow(["split", "person", "picture", "enrolled", *shown])
    for each in searches:
        found = [cell for one in each.candidates for cell in (harmless(one.member_id), repr(one.similarity))]
        picture = str(Path(each.picture).relative_to(directory))
        cells = [each.split, harmless(each.person), harmless(picture), int(each.mated), *found]
        writer.writerow(cells + [""] * (4 + len(shown) - len(cells)))
    return file.getvalue()


# Smiles


def print_smiles(measured: Smiles, scored: Mapping[str, Scored]) -> None:
    """Print what was measured, for people."""
    for name, kind in scored.items():
        unreadable = f", {len(kind.unreadable):,} not readable" if kind.unreadable else ""
        refused = f"{kind.refused.total():,} refused{_why(kind.refused)}"
        say(f"{name:<9}  {len(kind.scores):,} usable pictures, {refused}{unreadable}")
    interval = measured.roc.interval
    told = "the two do not overlap" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"
    say(f"area       {measured.roc.auc:.3f} ({told})")
    say()
    made = table("at", "what", "share (95 % interval)", right=("at",))
    mark, rest = f"{measured.smile_at:g}", f"{measured.neutral_below:g}"
    row(made, mark, "smile_at: judged rightly", rate_told(measured.accuracy))
    row(made, mark, "smiles missed", rate_told(measured.missed))
    row(made, mark, "neutral taken for a smile", rate_told(measured.passing))
    row(made, rest, "neutral_below: neutral faces that are not neutral enough to be cued", rate_told(measured.unrested))
    row(made, f"{measured.best_at:g}", "the most judged rightly", rate_told(measured.best))
    console().print(made)


def smiles_told(measured: Smiles) -> str:
    """Return in words what the plot shows."""
    return (
        f"Smile of {len(measured.smiling):,} smiling and {len(measured.neutral):,} neutral pictures; the area under "
        f"the curve is {measured.roc.auc:.3f}. At {measured.smile_at:g}, {rate_told(measured.accuracy)} are judged "
        "rightly."
    )


def smiles_tables(measured: Smiles) -> str:
    """Return the numbers as markup."""
    points = [(f"{mark:.1f}", f"{other:.4f}", f"{sought:.4f}") for mark, other, sought in measured.roc.points[1:]]
    return paper.table(("threshold", "neutral taken for a smile", "smiles found"), points)


def smiles_to_plain(measured: Smiles, scored: Mapping[str, Scored], seed: int) -> dict[str, Any]:
    """Return what was measured for JSON."""
    interval = measured.roc.interval
    return {
        **{
            name: {"usable": len(kind.scores), "refused": dict(kind.refused), "unreadable": list(kind.unreadable)}
            for name, kind in scored.items()
        },
        "seed": seed,
        "auc": {"area": measured.roc.auc, "low": interval and interval[0], "high": interval and interval[1]},
        "smile_at": measured.smile_at,
        "neutral_below": measured.neutral_below,
        "accuracy": rate_to_plain(measured.accuracy),
        "missed": rate_to_plain(measured.missed),
        "passing": rate_to_plain(measured.passing),
        "unrested": rate_to_plain(measured.unrested),
        "best": {"smile_at": measured.best_at, **rate_to_plain(measured.best)},
        "roc": [
            {"threshold": mark, "passing": other, "found": sought} for mark, other, sought in measured.roc.points[1:]
        ],
    }


# Liveness


def print_liveness(species: Sequence[Species], mode: LivenessMode, seed: int) -> None:
    """Print what was measured, for people."""
    say(f"mode {mode.value}; seed {seed}")
    say()
    made = table(
        "captures", "of", "rate", "share (95 % interval)", "no answer", "denied for", right=("of", "no answer")
    )
    for kind in species:
        name = "BPCER" if kind.genuine else "APCER"
        why = ", ".join(f"{reason} {count}" for reason, count in kind.reasons.most_common())
        row(made, kind.name, str(kind.rate.trials), name, rate_told(kind.rate), str(kind.unanswered), why or "-")
    console().print(made)
    say()
    for line in _liveness_notes(species, mode):
        say(line)


def _liveness_notes(species: Sequence[Species], mode: LivenessMode) -> list[str]:
    lines = []
    worst = _worst(species)
    if worst is not None:
        lines.append(f"The worst kind of attack is {worst.name}: APCER {rate_told(worst.rate)}.")
    if mode not in ANSWERABLE:
        lines.append(
            f"What {mode.value} asks for is in no recording: a genuine capture is a replay here, so that BPCER says "
            "nothing about people at the door."
        )
    asked = [each for kind in species if kind.genuine for each in kind.judged if not each.error]
    untold = sum(not each.cue_told for each in asked)
    if mode is LivenessMode.NEUTRAL_THEN_SMILE and untold:
        lines.append(
            f"Genuine captures without NAME.cue, which says when the person was asked to smile: {untold} of "
            f"{len(asked)}. They answer the door's cue by chance."
        )
    return lines


def _worst(species: Sequence[Species]) -> Species | None:
    attacks = [kind for kind in species if not kind.genuine and kind.rate.trials]
    return max(attacks, key=lambda kind: kind.rate.share, default=None)


def liveness_told(species: Sequence[Species], mode: LivenessMode) -> str:
    """Return in words what the plot shows."""
    told = "; ".join(f"{kind.name}: {rate_told(kind.rate)}" for kind in species)
    return f"Share of captures judged wrongly in the mode {mode.value}. {told}."


def liveness_tables(species: Sequence[Species]) -> str:
    """Return the numbers as markup."""
    rows = [(kind.name, str(kind.rate.trials), rate_told(kind.rate), str(kind.unanswered)) for kind in species]
    return paper.table(("captures", "of", "judged wrongly", "no answer"), rows)


def liveness_to_plain(species: Sequence[Species], mode: LivenessMode, seed: int) -> dict[str, Any]:
    """Return what was measured for JSON."""
    worst = _worst(species)
    return {
        "mode": mode.value,
        "seed": seed,
        "genuine": next((_species_to_plain(kind) for kind in species if kind.genuine), None),
        "attacks": {kind.name: _species_to_plain(kind) for kind in species if not kind.genuine},
        "worst": worst and worst.name,
        "notes": _liveness_notes(species, mode),
    }


def _species_to_plain(kind: Species) -> dict[str, Any]:
    return {
        "bpcer" if kind.genuine else "apcer": rate_to_plain(kind.rate),
        "unanswered": kind.unanswered,
        "reasons": dict(kind.reasons),
        "captures": [
            {
                "capture": each.path,
                "granted": None if each.error else each.granted,
                "reason": each.reason and each.reason.value,
                "error": each.error,
            }
            for each in kind.judged
        ],
    }
