"""The fixed map between the embedded recognizer's cosine and similarity, and its marks; pure, measures nothing.

A mark of this recognizer says nothing about the same number of another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

_KNOTS = ((0.0, 0.0), (0.50, 99.0), (1.0, 100.0))
"""Cosine and similarity at the map's corners; between them it is straight."""


def similarity(cosine: float) -> float:
    """Return the similarity, 0..100, of a cosine, -1..1; monotonic, and 0 for every cosine up to 0."""
    return _straight(cosine, _KNOTS)


def cosine(similarity: float) -> float:
    """Return the cosine, 0..1, of a similarity, 0..100: the inverse of `similarity` above 0."""
    return _straight(similarity, tuple((high, low) for low, high in _KNOTS))


def _straight(value: float, knots: tuple[tuple[float, float], ...]) -> float:
    for (x0, y0), (x1, y1) in pairwise(knots):
        if value <= x1:
            return y0 + (max(value, x0) - x0) * (y1 - y0) / (x1 - x0)
    return knots[-1][1]


@dataclass(frozen=True, slots=True)
class Mark:
    """A threshold for galleries of up to `people` members (None is any size).

    `fpir` is the measured share of unknown people accepted as somebody in one frame, at a gallery of that size and
    three pictures a member, on Labeled Faces in the Wild; None where it was not measured.
    """

    people: int | None
    cosine: float
    fpir: float | None

    @property
    def similarity(self) -> float:
        """The threshold as it stands in the settings."""
        return similarity(self.cosine)


MARKS = (
    Mark(people=50, cosine=0.50, fpir=0.00023),
    Mark(people=200, cosine=0.55, fpir=0.00039),
    Mark(people=None, cosine=0.60, fpir=None),
)
"""By size of the gallery: 99.0, 99.1 and 99.2. The last is a step as wide as the one before, not a measurement."""


def recommended_threshold(people: int) -> float:
    """Return the similarity that a candidate should reach in a gallery of so many members."""
    return next(mark.similarity for mark in MARKS if mark.people is None or people <= mark.people)
