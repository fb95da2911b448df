"""How far the corners of a mouth rose by themselves: pure; tells a smile from a picture that is tilted or rolled.

Seen from below or above, a flat picture of a calm face measures as a smile, and a rolled one does so even more: the
whole picture is bent, and with it the mouth. A face that smiles moves its mouth against the rest of itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smileaccess.model import Vector

LEAST = 0.065
"""What a smile's corners rise at the least, in distances between the eyes' outer corners.

Measured: on flat and rolled prints of calm faces, tilted by up to 48 degrees either way, they rise by at most 0.031
from upright and by 0.043 from one end to the other; on faces drawn from photographs by 0.11 and more in the full smile,
and by 0.06 to 0.15 once the smile measures 81.
"""

_EYES, _CORNERS, _MIDDLE = (33, 263), (61, 291), (0, 17)
"""Points of the mesh: the eyes' outer corners; the mouth's; the lips' edges in the middle."""

_UPRIGHT = (168, 152)
"""The nose's root and the chin: which way is up."""

_MOUTH = 0.55
"""What lies nearer to the mouth than this, in distances between the eyes' outer corners, moves with a smile."""


def risen(calm: Vector, smiling: Vector, aspect: float) -> float:
    """Return how far the mouth's corners rose against the lips' middle, in distances between the eyes' outer corners.

    Both meshes are (478, 2) in fractions of a frame that is `aspect` times as wide as high. The map that takes the rest
    of the calm face onto the other one, a quadratic map of the plane, is what the whole picture did; only what goes
    beyond it counts. Of a mesh gone wrong 0.
    """
    import numpy as np  # noqa: PLC0415 -- heavy; whoever has a mesh has loaded it

    if not (np.isfinite(calm).all() and np.isfinite(smiling).all()):
        return 0.0
    before, after = (np.asarray(mesh, np.float64)[:, :2] * (aspect, 1.0) for mesh in (calm, smiling))
    apart, now_apart = (float(np.linalg.norm(mesh[_EYES[1]] - mesh[_EYES[0]])) for mesh in (before, after))
    upward = after[_UPRIGHT[0]] - after[_UPRIGHT[1]]
    height = float(np.linalg.norm(upward))
    if not (apart > 0 and now_apart > 0 and height > 0):
        return 0.0
    corners, middle = list(_CORNERS), list(_MIDDLE)
    placed = (before - before[corners + middle].mean(axis=0)) / apart
    x, y = placed.T
    terms = np.column_stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    rest = np.linalg.norm(placed, axis=1) >= _MOUTH
    expected = terms @ np.linalg.lstsq(terms[rest], after[rest], rcond=None)[0]
    beyond = (after - expected) / now_apart
    return float((beyond[corners].mean(axis=0) - beyond[middle].mean(axis=0)) @ (upward / height))
