"""Reads seven emotions off a face (mini-Xception); of these only happy, surprised and calm deserve any trust."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smileaccess.errors import VisionFailed
from smileaccess.model import Emotion
from smileaccess.vision import weights
from smileaccess.vision.opencv import onnx_network, opencv

if TYPE_CHECKING:
    from smileaccess.model import Pixels
    from smileaccess.vision.detector import Detection

CLASSES = (
    Emotion.ANGRY,
    Emotion.DISGUSTED,
    Emotion.FEAR,
    Emotion.HAPPY,
    Emotion.SAD,
    Emotion.SURPRISED,
    Emotion.CALM,
)
"""The network's outputs in their order; what it calls neutral is Rekognition's CALM."""

RELIABLE = frozenset({Emotion.HAPPY, Emotion.SURPRISED, Emotion.CALM})
"""The classes that were right in more than half of FER2013's pictures and are seen at a door; the rest are weak."""

_SIDE = 64
_MARGIN = 1.1
"""The crop's side over the longer side of the box; the crop is a square, or a calm face reads as happy."""


class Emotions:
    """The network, loaded at once; one thread at a time. VisionFailed from the constructor and `measure`."""

    def __init__(self) -> None:
        self._cv2 = opencv()
        self._network = onnx_network(weights.path(weights.EMOTIONS))

    def measure(self, pixels: Pixels, found: Detection) -> dict[Emotion, float]:
        """Return percents that add up to 100 for one face of a (height, width, 3) BGR picture."""
        try:
            crop = self._cv2.cvtColor(self._crop(pixels, found), self._cv2.COLOR_BGR2GRAY)
            values = (crop.astype(np.float32) / 255 - 0.5) * 2
            self._network.setInput(values[None, None])
            scores = self._network.forward().reshape(-1)
        except self._cv2.error as error:
            raise VisionFailed(f"vision: the emotion network did not run: {error}") from error
        return {emotion: 100 * float(score) for emotion, score in zip(CLASSES, scores, strict=True)}

    def _crop(self, pixels: Pixels, found: Detection) -> Pixels:
        left, top, width, height = found.box
        side = max(2, round(max(width, height) * _MARGIN))
        x, y = (side - 1) / 2 - (left + width / 2), (side - 1) / 2 - (top + height / 2)
        shift = np.array([[1, 0, x], [0, 1, y]], np.float32)
        edge, area = self._cv2.BORDER_REPLICATE, self._cv2.INTER_AREA
        cut = self._cv2.warpAffine(pixels, shift, (side, side), borderMode=edge)
        crop: Pixels = self._cv2.resize(cut, (_SIDE, _SIDE), interpolation=area)
        return crop
