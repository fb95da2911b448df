"""Estimates whether eyes and mouth are all to be seen, from how much they stand out; pure, a hint and no proof."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from smileaccess.model import Pixels, Vector

_MOUTH = [61, 291, 0, 17]
_EYES = ([33, 133, 159, 145], [263, 362, 386, 374])
"""Points of the mesh around the mouth and around each eye."""

_AROUND, _INNER = 4, 0.16

_MOST = 0.5
"""Contrast beyond this says nothing more, and may not make up for a low score."""

_MOUTH_FIT = (56.8, 15.0, -55.1)
_EYES_FIT = (72.0, 14.5, -68.9)
"""Weights of the detector's score and of the contrast, and the bias: logistic fits on the five photographs of
smileaccess/demo/faces in four sizes, three turns and two lights, bare and covered by painting. With each photograph
judged by fits on the others, at 0.5: of the bare faces all pass; masks 100 %, hands over the mouth 88 %, dark glasses
100 % and half faces 93 % are found. The mesh network's own belief stays at 1 for all of these."""


def contrasts(crop: Pixels, points: Vector) -> tuple[float, float]:
    """Return how much the mouth and the fainter eye stand out: their luma's deviation over the face's, 0..0.5.

    `crop` is the mesh network's square picture, (256, 256) luma, `points` the mesh in its pixels, (478, 2) or more.
    """
    edge = round(crop.shape[0] * _INNER)
    whole = float(crop[edge:-edge, edge:-edge].std()) + 1e-3
    mouth, *eyes = (min(_MOST, _deviation(crop, points[chosen, :2]) / whole) for chosen in (_MOUTH, *_EYES))
    return mouth, min(eyes)


def presence(score: float, mouth: float, eyes: float) -> float:
    """Return the belief, 0..1, that neither mouth nor eyes are covered, from the detector's score and the contrasts."""
    return min(_belief(score, mouth, _MOUTH_FIT), _belief(score, eyes, _EYES_FIT))


def _belief(score: float, contrast: float, fit: tuple[float, float, float]) -> float:
    return 1 / (1 + math.exp(-(fit[0] * score + fit[1] * contrast + fit[2])))


def _deviation(crop: Pixels, points: Vector) -> float:
    size = crop.shape[0]
    low = np.clip(points.min(axis=0) - _AROUND, 0, size - 2 * _AROUND).astype(int)
    high = np.maximum(np.clip(points.max(axis=0) + _AROUND, 0, size).astype(int), low + _AROUND)
    return float(crop[low[1] : high[1], low[0] : high[0]].std())
