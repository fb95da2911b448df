"""Photographs of one man laid over each other by their landmarks, as somebody holds pictures of him up by hand."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from tests.fakes_vision import HEIGHT, WIDTH, photograph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from smileaccess.model import Pixels

_LANDMARKS = {
    "obama-neutral": ((401, 217), (469, 215), (439, 253), (402, 280), (463, 288)),
    "obama-smiling": ((432, 215), (551, 216), (487, 276), (438, 318), (537, 324)),
    "obama-speaking": ((248, 375), (373, 379), (285, 456), (252, 511), (359, 524)),
}
"""The eyes, the nose's tip and the corners of the mouth, in pixels of the photographs."""


def portrait(
    name: str, *, shift: tuple[float, float] = (0.0, 0.0), scale: float = 1.0, turn: float = 0.0, light: float = 1.0
) -> Pixels:
    """Return a 640 x 480 frame with the face in the middle, its eyes 67 pixels apart, moved by hand from there."""
    by_hand = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), turn, scale)
    by_hand[:, 2] += shift
    seen = cv2.warpAffine(_laid(name), by_hand, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    return cast("Pixels", cv2.convertScaleAbs(seen, alpha=light))


def grainy(pixels: Pixels, random: np.random.Generator, deviation: float = 1.6) -> Pixels:
    """Add a sensor's noise."""
    return np.clip(pixels + random.normal(0, deviation, pixels.shape), 0, 255).astype(np.uint8)


@cache
def _laid(name: str) -> Pixels:
    wanted = np.array(_LANDMARKS["obama-neutral"], np.float64)
    matrix = _similarity(np.array(_LANDMARKS[name], np.float64), wanted - wanted.mean(axis=0) + (WIDTH / 2, HEIGHT / 2))
    shrink = float(np.hypot(*matrix[0, :2]))
    source = photograph(name)
    smooth = source if shrink >= 1 else cv2.GaussianBlur(source, (0, 0), 0.4 / shrink)
    return cast("Pixels", cv2.warpAffine(smooth, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE))


def _similarity(points: NDArray[np.float64], onto: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (2, 3) least-squares turn, scale and shift of points onto others."""
    one, other = points - points.mean(axis=0), onto - onto.mean(axis=0)
    along, across = (one * other).sum(), (one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]).sum()
    turn = np.array([[along, -across], [across, along]]) / (one**2).sum()
    return np.column_stack([turn, onto.mean(axis=0) - turn @ points.mean(axis=0)])
