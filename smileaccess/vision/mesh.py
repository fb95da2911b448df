"""Lays a mesh of 478 points over a detected face and reads 52 expressions off it; judges nothing by itself.

The network is MediaPipe's face landmarker; the expressions are those of smileaccess.vision.blendshapes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smileaccess.errors import VisionFailed
from smileaccess.vision import continuity, occlusion, weights
from smileaccess.vision.blendshapes import Blendshapes
from smileaccess.vision.opencv import opencv, tflite_network

if TYPE_CHECKING:
    from smileaccess.model import Pixels, Vector
    from smileaccess.vision.detector import Detection

POINTS = 478
_SIDE = 256
_MARGIN = 1.3


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """A face's mesh.

    `points` is (478, 3) float32: x and y in pixels of the picture, z in the same unit, smaller is nearer the camera;
    `presence` is the belief, 0..1, that a whole and uncovered face is to be seen; `blendshapes` maps each of
    blendshapes.NAMES to 0..1; `view` is the face as smileaccess.vision.continuity compares it, None where it cannot.
    """

    points: Vector
    presence: float
    blendshapes: Mapping[str, float]
    view: Pixels | None


class Mesher:
    """Both networks, loaded at once; one thread at a time. VisionFailed from the constructor and `measure`."""

    def __init__(self) -> None:
        self._cv2 = opencv()
        self._landmarks: Any = tflite_network(weights.path(weights.MESH))
        self._blendshapes = Blendshapes()

    def measure(self, pixels: Pixels, found: Detection) -> Mesh:
        """Return the mesh of one detected face of a (height, width, 3) BGR picture."""
        to_crop = crop_transform(found)
        try:
            crop = self._cv2.warpAffine(pixels, to_crop, (_SIDE, _SIDE))
            points, belief = self._points(crop)
            luma = self._cv2.cvtColor(crop, self._cv2.COLOR_BGR2GRAY)
            view = continuity.view(luma, points)
        except self._cv2.error as error:
            raise VisionFailed(f"vision: the mesh network did not run: {error}") from error
        uncovered = occlusion.presence(found.score, *occlusion.contrasts(luma, points))
        full = _to_picture(points, to_crop)
        return Mesh(full, min(belief, uncovered), self._blendshapes.measure(full), view)

    def _points(self, crop: Pixels) -> tuple[Vector, float]:
        self._landmarks.setInput(self._cv2.dnn.blobFromImage(crop, 1 / 255, (_SIDE, _SIDE), swapRB=True))
        points, presence, _ = self._landmarks.forward(["Identity", "Identity_1", "Identity_2"])
        return points.reshape(POINTS, 3), 1 / (1 + math.exp(-float(presence.reshape(-1)[0])))


def crop_transform(found: Detection) -> Vector:
    """Return the (2, 3) affine transform from the picture to the network's 256-pixel crop.

    The crop is a square around the box's middle, 1.3 times its longer side, upright along the line of the eyes
    (so was the network trained).
    """
    left, top, width, height = found.box
    (right_x, right_y), (left_x, left_y) = found.points[:2].tolist()
    angle = math.atan2(left_y - right_y, left_x - right_x)
    scale = _SIDE / (_MARGIN * max(width, height))
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    x, y, middle = left + width / 2, top + height / 2, _SIDE / 2
    return np.array([[cos, sin, middle - cos * x - sin * y], [-sin, cos, middle + sin * x - cos * y]], np.float32)


def _to_picture(points: Vector, to_crop: Vector) -> Vector:
    scale = math.hypot(to_crop[0, 0], to_crop[0, 1])
    turned = (points[:, :2] - to_crop[:, 2]) @ to_crop[:, :2] / scale**2
    return np.column_stack([turned, points[:, 2] / scale]).astype(np.float32)
