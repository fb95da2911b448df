"""How far the corners of a mouth rose by themselves: pure; tells a smile from a picture that is bent or tilted.

Seen from below or above, a flat picture of a calm face measures as a smile, and one that is rolled or folded even more:
but then all of the face is bent, and with it the mouth. A face that smiles moves its mouth against the rest of itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from smileaccess.model import Vector

    Points = NDArray[np.float64]

LEAST = 3.0
"""How many times as far as the rest of the face was bent a smile's corners rise at the least.

Measured: 2.8 at the most on prints of calm faces that measure as smiles (flat, rolled by 60 and 130 degrees, folded by
20 to 50, upright, level and aslant, tilted by up to 48 degrees: some 2,000 pairs of views); on faces drawn from
photographs 3.6 and more in 95 of 100 stages of their smiles, half of them 7 and more (docs/recognition.md).
"""

_STILL = 0.01
"""Less than this, in distances between the eyes, even a face that stays as it is seems bent: the mesh trembles."""

_EYES, _CORNERS, _MIDDLE = (33, 263), (61, 291), (0, 17)
"""Points of the mesh: the eyes' outer corners; the mouth's; the lips' edges in the middle."""

_UPRIGHT = (168, 152)
"""The nose's root and the chin: which way is up."""

_MOUTH = 0.55
"""What lies nearer to the mouth than this, in distances between the eyes' outer corners, moves with a smile."""

_CHEEKS = 0.7
"""What lies nearer than this is bent by a wide smile as well."""


def curled(calm: Vector, smiling: Vector, aspect: float) -> float:
    """Return how many times as far the mouth's corners rose as the rest of the face was bent.

    Both meshes are (478, 2) in fractions of a frame that is `aspect` times as wide as high. The corners' rise, against
    the lips' middle, is what goes beyond the quadratic map of the plane that takes the rest of the calm face onto the
    other one. The bend is what of that rest place, size and turn in the picture do not explain. Of a mesh gone wrong 0.
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
    away = np.linalg.norm(placed, axis=1)
    beyond = _beyond_a_bend(placed, after, away >= _MOUTH) / now_apart
    risen = float((beyond[corners].mean(axis=0) - beyond[middle].mean(axis=0)) @ (upward / height))
    return risen / max(_STILL, _bent(placed[away >= _CHEEKS], after[away >= _CHEEKS]) / now_apart)


def _beyond_a_bend(placed: Points, after: Points, rest: NDArray[np.bool_]) -> Points:
    """Return how far each point is from where the quadratic map of the rest takes it."""
    import numpy as np  # noqa: PLC0415

    x, y = placed.T
    terms = np.column_stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    moved: Points = after - terms @ np.linalg.lstsq(terms[rest], after[rest], rcond=None)[0]
    return moved


def _bent(before: Points, after: Points) -> float:
    """Return how far points are, root of the mean square, from where the best turn, scale and shift take them."""
    import numpy as np  # noqa: PLC0415

    one, other = before - before.mean(axis=0), after - after.mean(axis=0)
    turned, scales, onto = np.linalg.svd(one.T @ other)
    size = float((one * one).sum())
    laid = one @ (turned @ onto) * (float(scales.sum()) / size) if size > 0 else one
    return float(np.sqrt(((laid - other) ** 2).sum(axis=1).mean()))
