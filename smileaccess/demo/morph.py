"""Changes one face into another along the points of their meshes; it never cuts from picture to picture.

Geometry and texture inside the face move together; the rest of the picture stays the first one's. The method is the
piecewise affine warp over a Delaunay triangulation, blended with a soft edge (G. Wolberg, Image Morphing: A Survey,
The Visual Computer 14, 1998).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from smileaccess.model import Pixels, Vector

_RIM = 0.15  # of the face's width: how far in from its outline the points are free to move all the way
_EDGE = 0.05  # of the face's width: half of the soft edge between the two pictures
_AROUND = 8  # pixels
_SLIVER = 0.02  # square pixels: a triangle smaller than this is left to its neighbors


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A picture, (height, width, 3) uint8 BGR, with the mesh of its one face, (n, 2) float32 in pixels."""

    pixels: Pixels
    mesh: Vector


def framed(portrait: Portrait, size: tuple[int, int], center: tuple[float, float], face_px: float) -> Portrait:
    """Scale and move a portrait so that its face is `face_px` wide and in the middle at `center`.

    The result is `size` (width, height) pixels; where the picture ends before it does, it is mirrored.
    """
    low, high = portrait.mesh.min(axis=0), portrait.mesh.max(axis=0)
    scale = face_px / float(high[0] - low[0])
    shift = np.asarray(center) - scale * (low + high) / 2
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)
    return Portrait(_moved(_softened(portrait.pixels, scale), matrix, size), portrait.mesh * scale + matrix[:, 2])


def morphed(first: Portrait, last: Portrait, steps: int) -> list[Pixels]:
    """Return `steps` + 1 pictures, from `first` to `last`'s expression on first's head; both meshes alike in length.

    The last face is laid over the first by the best affine map between the meshes, and takes on its light. The
    face's outline stays where it is, so that head, hair and ears do.
    """
    face, (left, top) = _cut(first)
    other, _ = _cut(last)
    target = _held_at_the_rim(_laid_over(other.mesh, face.mesh), face.mesh)
    triangles = _triangles(np.asarray((face.mesh + target) / 2, np.float32))
    lit = Portrait(_relit(other, face), other.mesh)
    height, width = face.pixels.shape[:2]
    pictures = [first.pixels]
    for share in _shares(steps):
        picture = first.pixels.copy()
        picture[top : top + height, left : left + width] = _blended(face, lit, target, triangles, share)
        pictures.append(picture)
    return pictures


def _shares(steps: int) -> list[float]:
    """Return how far along each step is: slow, fast, slow, ending at 1."""
    progress = np.linspace(0, 1, steps + 1)[1:]
    return [float(share) for share in progress * progress * (3 - 2 * progress)]


def _cut(portrait: Portrait) -> tuple[Portrait, tuple[int, int]]:
    """Cut the face out with a little around it; return where the cut begins, too."""
    height, width = portrait.pixels.shape[:2]
    left, top = (max(0, int(value) - _AROUND) for value in portrait.mesh.min(axis=0))
    right, bottom = (int(value) + _AROUND for value in portrait.mesh.max(axis=0))
    pixels = portrait.pixels[top : min(bottom, height), left : min(right, width)]
    return Portrait(pixels, portrait.mesh - np.array([left, top], np.float32)), (left, top)


def _blended(first: Portrait, last: Portrait, target: Vector, triangles: NDArray[np.int64], share: float) -> Pixels:
    size = first.pixels.shape[:2]
    shape = first.mesh * (1 - share) + target * share
    labels = _labels(shape, triangles, size)
    from_first = _warped(first.pixels, first.mesh, shape, triangles, labels)
    from_last = _warped(last.pixels, last.mesh, shape, triangles, labels)
    mask = share * _soft_mask(shape, size)
    mixed = from_first + (from_last.astype(np.float32) - from_first) * mask[..., None]
    outside = (labels < 0)[..., None]
    return cast("Pixels", np.where(outside, first.pixels, np.clip(mixed + 0.5, 0, 255).astype(np.uint8)))


def _laid_over(mesh: Vector, onto: Vector) -> Vector:
    """Return `mesh` after the least-squares affine map onto another one."""
    known = np.column_stack([mesh, np.ones(len(mesh), np.float32)])
    return cast("Vector", (known @ np.linalg.lstsq(known, onto, rcond=None)[0]).astype(np.float32))


def _held_at_the_rim(moved: Vector, mesh: Vector) -> Vector:
    """Let the points move the less the nearer they lie to the face's outline, and not at all on it."""
    outline = cv2.convexHull(mesh)
    depths = np.array([cv2.pointPolygonTest(outline, (float(x), float(y)), measureDist=True) for x, y in mesh])
    free = np.clip(depths / (_RIM * np.ptp(mesh[:, 0])), 0, 1)
    return cast("Vector", (mesh + (moved - mesh) * (free * free * (3 - 2 * free))[:, None]).astype(np.float32))


def _triangles(points: Vector) -> NDArray[np.int64]:
    """Return the Delaunay triangulation as (n, 3) indices into `points`."""
    left, top = np.floor(points.min(axis=0)).astype(int) - 1
    right, bottom = np.ceil(points.max(axis=0)).astype(int) + 1
    plane = cv2.Subdiv2D((int(left), int(top), int(right - left), int(bottom - top)))
    plane.insert([(float(x), float(y)) for x, y in points])
    corners = np.asarray(plane.getTriangleList()).reshape(-1, 3, 2)
    inside = np.all((corners >= (left, top)) & (corners <= (right, bottom)), axis=(1, 2))
    distances = np.abs(corners[inside][:, :, None, :] - points).sum(axis=3)
    return cast("NDArray[np.int64]", distances.argmin(axis=2))


def _labels(shape: Vector, triangles: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.int32]:
    """Return, a pixel, the number of the triangle that covers it, or -1.

    Triangles that the change has turned over are drawn first, so that their neighbors cover them.
    """
    areas = _areas(shape[triangles])
    labels = np.full(size, -1, np.int32)
    fixed = np.round(shape[triangles] * 16).astype(np.int32)
    for number in np.argsort(areas > 0, kind="stable"):
        if abs(areas[number]) > _SLIVER:
            cv2.fillConvexPoly(labels, fixed[number], int(number), shift=4)
    return labels


def _areas(corners: Vector) -> NDArray[np.float64]:
    """Return twice the signed areas, positive for the orientation that most have."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    areas = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return cast("NDArray[np.float64]", areas * np.sign(np.median(areas)))


def _warped(
    pixels: Pixels, source: Vector, shape: Vector, triangles: NDArray[np.int64], labels: NDArray[np.int32]
) -> Pixels:
    """Fetch every labelled pixel from where its triangle lies in the source; the others are of no use."""
    corners = np.concatenate([shape[triangles], np.ones((len(triangles), 3, 1))], axis=2)
    usable = np.abs(_areas(shape[triangles])) > _SLIVER
    maps = np.zeros((len(triangles), 3, 2))
    maps[usable] = np.linalg.solve(corners[usable], source[triangles][usable])
    rows, columns = np.nonzero(labels >= 0)
    chosen = maps[labels[rows, columns]]
    places = chosen[:, 0] * columns[:, None] + chosen[:, 1] * rows[:, None] + chosen[:, 2]
    columns_of, rows_of = np.zeros(labels.shape, np.float32), np.zeros(labels.shape, np.float32)
    columns_of[rows, columns], rows_of[rows, columns] = places.T
    return cast("Pixels", cv2.remap(pixels, columns_of, rows_of, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _soft_mask(mesh: Vector, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return 1 well inside the face, 0 outside it, with a smooth edge between; (height, width)."""
    mask = np.zeros(size, np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(mesh).astype(np.int32)), 1.0)
    edge = max(1, round(_EDGE * float(np.ptp(mesh[:, 0]))))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * edge + 1, 2 * edge + 1))
    eroded = cv2.erode(mask, kernel, iterations=2, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return cast("NDArray[np.float32]", cv2.GaussianBlur(eroded, (0, 0), edge))


def _relit(portrait: Portrait, model: Portrait) -> Pixels:
    """Give a portrait the mean and the spread of another face's colors (in Lab: lightness apart from hue)."""
    colors, theirs = _lab(portrait.pixels), _lab(model.pixels)
    mean, spread = _statistics(colors, portrait.mesh)
    wanted_mean, wanted_spread = _statistics(theirs, model.mesh)
    relit = (colors - mean) * (wanted_spread / np.maximum(spread, 1e-3)) + wanted_mean
    whole = cv2.cvtColor(np.clip(relit, (0, -127, -127), (100, 127, 127)).astype(np.float32), cv2.COLOR_Lab2BGR)
    return cast("Pixels", np.clip(whole * 255 + 0.5, 0, 255).astype(np.uint8))


def _lab(pixels: Pixels) -> NDArray[np.float32]:
    return cast("NDArray[np.float32]", cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_BGR2Lab))


def _statistics(colors: NDArray[np.float32], mesh: Vector) -> tuple[Any, Any]:
    inside = _soft_mask(mesh, colors.shape[:2]) > 0.5
    return colors[inside].mean(axis=0), colors[inside].std(axis=0)


def _softened(pixels: Pixels, scale: float) -> Pixels:
    """Blur before shrinking, so that nothing aliases."""
    return pixels if scale >= 1 else cast("Pixels", cv2.GaussianBlur(pixels, (0, 0), 0.5 / scale))


def _moved(pixels: Pixels, matrix: Vector, size: tuple[int, int]) -> Pixels:
    return cast(
        "Pixels", cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    )
