"""Finds faces and their five points in a picture (YuNet); it knows nothing of who or from when they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smileaccess.errors import VisionFailed
from smileaccess.vision import weights
from smileaccess.vision.opencv import opencv

if TYPE_CHECKING:
    from smileaccess.model import Pixels, Vector

FAST_SIDE = 320
"""The longer side of the picture that every frame is searched at, in pixels: a third of the time of 640."""

FINE_SIDE = 640
"""The longer side of the second search, made only where the first found nothing or something too small."""

SMALL = 32.0
"""A face narrower than this in the first search is looked for again: its points lie too coarsely there."""

SCORE = 0.6
"""The least score of a face. Low, so that a covered face is found and can be told that it is covered."""

_OVERLAP, _MOST = 0.3, 50


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face in pixels of the picture.

    `row` is (15,) float32 as YuNet gives it: left, top, width, height, then x and y of the right eye, left eye,
    nose tip, right and left corner of the mouth (the person's right), then the score.
    """

    row: Vector

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, width and height."""
        left, top, width, height = (float(value) for value in self.row[:4])
        return left, top, width, height

    @property
    def points(self) -> Vector:
        """The five points, (5, 2)."""
        return self.row[4:14].reshape(5, 2)

    @property
    def score(self) -> float:
        """The network's belief, 0..1."""
        return float(self.row[14])


class Detector:
    """The detecting network, loaded at once; one thread at a time. VisionFailed from the constructor and `find`."""

    def __init__(self) -> None:
        self._cv2 = opencv()
        path = weights.path(weights.DETECTOR)
        try:
            self._network: Any = self._cv2.FaceDetectorYN.create(str(path), "", (320, 320), SCORE, _OVERLAP, _MOST)
        except self._cv2.error as error:
            raise VisionFailed(f"vision: {path}: OpenCV cannot load the network: {error}") from error

    def find(self, pixels: Pixels) -> list[Detection]:
        """Return the faces of a (height, width, 3) BGR picture, largest first, in its own pixels."""
        fast, scale = self._search(pixels, FAST_SIDE)
        if max(pixels.shape[:2]) > FAST_SIDE and (not fast or fast[0].row[2] * scale < SMALL):
            fine, _ = self._search(pixels, FINE_SIDE)
            return fine or fast
        return fast

    def _search(self, pixels: Pixels, side: int) -> tuple[list[Detection], float]:
        height, width = pixels.shape[:2]
        scale = min(1.0, side / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        try:
            small = self._cv2.resize(pixels, size, interpolation=self._cv2.INTER_AREA) if scale < 1 else pixels
            self._network.setInputSize(size)
            rows = self._network.detect(small)[1]
        except self._cv2.error as error:
            raise VisionFailed(f"vision: the detector did not run on a {width}x{height} picture: {error}") from error
        if rows is None:
            return [], scale
        rows[:, :14] /= scale
        return sorted((Detection(row) for row in rows), key=lambda found: -found.row[2] * found.row[3]), scale
