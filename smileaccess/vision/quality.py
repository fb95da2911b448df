"""Measures how well a face can be seen; it only measures, what is good enough is a setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smileaccess.model import Quality
from smileaccess.vision.opencv import opencv

if TYPE_CHECKING:
    from smileaccess.model import Pixels
    from smileaccess.vision.detector import Detection

_SIDE = 112
"""Sharpness is judged at the size at which the embedding network sees a face: finer detail does not reach it."""

HALF = 0.01
"""The ratio of variances that is a sharpness of 50; see `sharpness` for what that means in pictures."""


def brightness(pixels: Pixels) -> float:
    """Return the mean luma (ITU-R BT.601) of a (height, width, 3) BGR picture, 0 black to 100 white."""
    blue, green, red = opencv().mean(pixels)[:3]
    return float(0.114 * blue + 0.587 * green + 0.299 * red) / 2.55


def sharpness(face: Pixels) -> float:
    """Return the sharpness, 0..100, of a (height, width, 3) BGR picture cut to a face.

    With r = variance of the second difference / variance of the luma, on the face scaled to 112 x 112 pixels and
    along the axis where it is less (motion blurs one axis), it is 100 r / (r + HALF). Dividing by the luma's variance
    keeps a dim or flat light from passing for a blur.
    """
    cv2 = opencv()
    smaller = min(face.shape[:2]) >= _SIDE
    small = cv2.resize(face, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    luma = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)
    spread = float(luma.var())
    if spread == 0:
        return 0.0
    ratio = min(float(np.diff(luma, n=2, axis=axis).var()) for axis in (0, 1)) / spread
    return 100 * ratio / (ratio + HALF)


def quality(pixels: Pixels, found: Detection, presence: float) -> Quality:
    """Return the quality of one face of a (height, width, 3) BGR picture; `presence` is the mesh network's, 0..1."""
    left, top, width, height = found.box
    face = pixels[max(0, round(top)) : max(0, round(top + height)), max(0, round(left)) : max(0, round(left + width))]
    size = min(width, height)
    if face.size == 0:
        return Quality(0.0, 0.0, size, presence)
    return Quality(brightness(face), sharpness(face), size, presence)
