"""Turns a face into the 128 numbers by which it is recognized (SFace); it neither stores nor compares them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from smileaccess.errors import VisionFailed
from smileaccess.vision import weights
from smileaccess.vision.opencv import opencv

if TYPE_CHECKING:
    from smileaccess.model import Pixels, Vector

MODEL = "sface-2021dec-int8bq"
"""The id stored with every template; templates of another id are never compared with this network's."""

LENGTH = 128


class Embedder:
    """The embedding network, loaded at once; one thread at a time. VisionFailed from the constructor and `embed`."""

    def __init__(self) -> None:
        self._cv2 = opencv()
        path = weights.path(weights.EMBEDDING)
        try:
            self._network: Any = self._cv2.FaceRecognizerSF.create(str(path), "")
        except self._cv2.error as error:
            raise VisionFailed(f"vision: {path}: OpenCV cannot load the network: {error}") from error

    def embed(self, pixels: Pixels, points: Vector) -> Vector:
        """Return the embedding, (128,) float32 of length 1, of one face of a (height, width, 3) BGR picture.

        `points` is (5, 2) in pixels, in the order of model.Face.landmarks: by them OpenCV aligns the face to the
        112 x 112 pixels that the network was trained on.
        """
        if points.shape != (5, 2) or not np.isfinite(points).all():
            raise VisionFailed(f"vision: landmarks {points.tolist()}: must be five finite points")
        row = np.zeros((1, 15), np.float32)
        row[0, 4:14] = points.reshape(-1)
        try:
            feature = self._network.feature(self._network.alignCrop(pixels, row)).reshape(-1)
        except self._cv2.error as error:
            raise VisionFailed(f"vision: the embedding network did not run: {error}") from error
        length = float(np.linalg.norm(feature))
        if feature.shape != (LENGTH,) or not np.isfinite(length) or length == 0:
            raise VisionFailed(f"vision: the embedding network gave {feature.shape[0]} numbers of length {length}")
        unit: Vector = (feature / length).astype(np.float32)
        return unit
