"""Tells a face that changed from a picture cut into another by how unlike two looks at it are; pure, keeps nothing.

It finds a cut, never a forged movement: a morph or a video of a face changes as a face does, and passes here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from smileaccess.vision.opencv import opencv

if TYPE_CHECKING:
    from smileaccess.model import Pixels, Vector

WIDTH, HEIGHT = 48, 68
"""The view's size, in pixels."""

_RIGHT_EYE, _LEFT_EYE = [33, 133], [362, 263]
"""Corners of the eyes in the mesh: they stay where they are when a face smiles or blinks."""

_ACROSS, _ABOVE, _BELOW = 1.8, 0.9, 1.7
"""What a view shows, in distances between the eyes: across, above the line of the eyes and below it (to the chin)."""

_WANDER = 2
"""How far, in pixels of the view, two looks are shifted to find the best fit."""

_FLAT = 1.5
"""A view whose luma deviates by less, of 255, is mostly the sensor's noise."""

LEAST = 0.2
"""The most that two looks at a living face differ, however short the time between them: a blink, a flicker."""

RATE = 0.5
"""What is allowed beyond that for every second between two looks."""

BENT = 0.025
"""The most that the meshes of two looks at a living face are bent against each other, however short the time."""

BENT_RATE = 0.25
"""What is allowed beyond that for every second between two looks."""


def view(crop: Pixels, points: Vector) -> Pixels | None:
    """Return the face as it is compared, (68, 48) luma, upright and of one size; None where it is too flat to tell.

    `crop` is the mesh network's square picture, (256, 256) luma, `points` the mesh in its pixels, (478, 2) or more.
    """
    cv2 = opencv()
    right, left = (points[corners, :2].mean(axis=0) / 2 for corners in (_RIGHT_EYE, _LEFT_EYE))
    across = left - right
    distance = float(across @ across)
    if not distance > 0:
        return None
    cos, sin = across * (WIDTH / _ACROSS / distance)
    turn = np.array([[cos, sin], [-sin, cos]])
    shift = (WIDTH / 2, HEIGHT * _ABOVE / (_ABOVE + _BELOW)) - turn @ ((right + left) / 2)
    half = cv2.resize(crop, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)  # nothing may alias
    seen = cv2.warpAffine(half, np.column_stack([turn, shift]), (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    return cast("Pixels", seen) if float(seen.std()) >= _FLAT else None


def difference(before: Pixels, after: Pixels) -> float:
    """Return how unlike two views are, 0 (alike but for the light's strength) to 2 (the one the other's negative).

    1 - the normalized cross-correlation at the best shift of up to 2 pixels.
    """
    cv2 = opencv()
    inner = before[_WANDER:-_WANDER, _WANDER:-_WANDER]
    return 1 - float(cv2.matchTemplate(after, inner, cv2.TM_CCOEFF_NORMED).max())


def bend(before: Vector, after: Vector) -> float:
    """Return how far two meshes, (478, 3) each, are apart once one is laid over the other as a rigid body in space.

    The mean distance of their points in the picture, in distances between the eyes: what a head's turn, its place and
    its size change is taken out, what an expression or another face changes is left. Infinite for a mesh gone wrong.
    """
    one, other = before - before.mean(axis=0), after - after.mean(axis=0)
    size = float((one * one).sum())
    right, left = (after[corners, :2].mean(axis=0) for corners in (_RIGHT_EYE, _LEFT_EYE))
    distance = float(np.hypot(*(left - right)))
    if not (size > 0 and distance > 0 and np.isfinite(other).all()):
        return float("inf")
    turned, scales, onto = np.linalg.svd(one.T @ other)
    if np.linalg.det(turned @ onto) < 0:  # a face is never its own mirror image
        onto[2], scales[2] = -onto[2], -scales[2]
    laid = one @ (turned @ onto) * (float(scales.sum()) / size)
    return float(np.linalg.norm((laid - other)[:, :2], axis=1).mean()) / distance


def keeps_shape(before: Vector, after: Vector, elapsed_s: float) -> bool:
    """Say whether a face can have bent its mesh from one to the other in the time, by BENT + BENT_RATE x time.

    Measured on the demo's photographs: faces that smile, or open their mouth, within 0.3 s bend by at most 0.025 at 15
    frames a second, 0.032 at 10, 0.045 at 6 and 4 (allowed: 0.042, 0.050, 0.067, 0.088), with strong noise and
    flickering light by 0.010; one photograph cut into another by 0.027 to 0.19, ten pairs in the median by 0.057.
    """
    return bend(before, after) <= BENT + BENT_RATE * elapsed_s


def continues(before: Pixels, after: Pixels, elapsed_s: float) -> bool:
    """Say whether a face can have changed from one view to the other in the time, by LEAST + RATE x time.

    Measured on the demo's photographs, with noise, flicker, hand shake, blinks and heads that turn 70 degrees a second:
    a living face differs by at most 0.09 at 15 frames a second, 0.11 at 7.5, 0.21 at 4, 0.26 at 3 and 0.31 at 2.5
    (allowed: 0.23, 0.27, 0.33, 0.37, 0.40); two photographs of one man cut into each other, whatever the expressions,
    shift, scale and light, by 0.42 to 0.50, and a neutral face cut into its own full smile by 0.44. So a cut may hide
    when the looks are more than 0.4 s apart, and at 15 frames a second one into a smile that is half as wide.
    """
    return difference(before, after) <= LEAST + RATE * elapsed_s
