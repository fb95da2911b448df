"""How well the smile's score tells smiling pictures from neutral ones, and what the settings' marks make of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smileaccess.errors import SmileAccessError
from smileaccess.evaluation.measuring import Rate, Roc, roc, wilson
from smileaccess.gates import Limits, hindrance

if TYPE_CHECKING:
    from smileaccess.evaluation.looking import Seen


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The smiles of a folder's pictures, and why the others have none: at the door's gates, as a file."""

    scores: tuple[float, ...]
    refused: Counter[str]
    unreadable: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Smiles:
    """What was measured: smiles are 0..100, rates are with Wilson's intervals.

    `missed` is the share of smiling pictures below `smile_at`, `passing` that of neutral ones at or above it;
    `unrested` that of neutral ones not below `neutral_below`, who would not be asked to smile; `best_at` is the
    threshold with the most pictures judged rightly, and `best` how many that are.
    """

    smiling: Sequence[float]
    neutral: Sequence[float]
    smile_at: float
    neutral_below: float
    roc: Roc
    missed: Rate
    passing: Rate
    unrested: Rate
    accuracy: Rate
    best_at: float
    best: Rate


def score(pictures: Sequence[Seen], limits: Limits) -> Scored:
    """Return the smile of the largest face of every picture that the door would use."""
    scores, refused, unreadable = list[float](), Counter[str](), list[str]()
    for seen in pictures:
        if seen.sight is None:
            unreadable.append(seen.error)
            continue
        view = hindrance(seen.sight, limits)
        smile = None if view is not None else seen.sight.faces[0].smile
        if view is not None or smile is None:
            refused[view.value if view is not None else "not measured"] += 1
        else:
            scores.append(smile)
    return Scored(tuple(scores), refused, tuple(unreadable))


def measure(
    smiling: Sequence[float], neutral: Sequence[float], smile_at: float, neutral_below: float, seed: int
) -> Smiles:
    """Return how well the two are told apart; SmileAccessError where there are none of a kind."""
    for name, scores in (("--smiling", smiling), ("--neutral", neutral)):
        if not scores:
            raise SmileAccessError(f"evaluate: {name}: no picture is usable: give pictures of one face each, near by")
    wrong = sum(value < smile_at for value in smiling), sum(value >= smile_at for value in neutral)
    best_at, best = _best(smiling, neutral)
    total = len(smiling) + len(neutral)
    return Smiles(
        smiling,
        neutral,
        smile_at,
        neutral_below,
        roc(smiling, neutral, seed),
        wilson(wrong[0], len(smiling)),
        wilson(wrong[1], len(neutral)),
        wilson(sum(value >= neutral_below for value in neutral), len(neutral)),
        wilson(total - sum(wrong), total),
        best_at,
        wilson(best, total),
    )


def _best(smiling: Sequence[float], neutral: Sequence[float]) -> tuple[float, int]:
    """Return the lowest threshold in whole points that judges the most pictures rightly, and how many."""

    def right(mark: int) -> int:
        return sum(value >= mark for value in smiling) + sum(value < mark for value in neutral)

    best = max(range(101), key=lambda mark: (right(mark), -mark))
    return float(best), right(best)
