"""A frame is sent no larger than the face in question needs, and never too large for the service."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from smileaccess.model import Frame
from smileaccess.recognizers.picture import LARGEST, SMALLEST_SIDE, Encoding, encoded
from tests.builders import make_face, make_quality

TYPES = [(640, 480), (1920, 1080), (4608, 2592)]


def size_of(picture: bytes) -> tuple[int, int]:
    height, width = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    return width, height


def frame(width: int, height: int, *, noise: bool = False) -> Frame:
    random = np.random.default_rng(1)
    pixels = (
        random.integers(0, 256, (height, width, 3), np.uint8) if noise else np.full((height, width, 3), 90, np.uint8)
    )
    return Frame(pixels, 1, 0.0)


@pytest.mark.parametrize(("width", "height"), TYPES)
@pytest.mark.parametrize("face_px", [130.0, 240.0, 600.0])
def test_the_face_gets_the_size_that_is_wanted(width: int, height: int, face_px: float) -> None:
    """However large the camera's frame is; the whole frame stays in the picture."""
    face = make_face(quality=make_quality(size_px=face_px))

    wide, high = size_of(encoded(frame(width, height), face, Encoding(face_px=120)))

    scale = max(120 / face_px, SMALLEST_SIDE / height)
    assert (wide, high) == (round(width * scale), round(height * scale))


def test_a_small_face_is_never_enlarged() -> None:
    """There is nothing more to be seen in it."""
    face = make_face(quality=make_quality(size_px=60))

    assert size_of(encoded(frame(640, 480), face, Encoding(face_px=120))) == (640, 480)


def test_no_side_is_shorter_than_the_service_takes() -> None:
    """A face that fills the frame leaves a small picture, but not too small a one."""
    face = make_face(quality=make_quality(size_px=900))

    assert min(size_of(encoded(frame(1280, 960), face, Encoding(face_px=60)))) == SMALLEST_SIDE


def test_a_picture_that_would_be_too_large_is_made_smaller() -> None:
    """Noise of 12 megapixels is more than the service takes at full size."""
    face = make_face(quality=make_quality(size_px=100))

    picture = encoded(frame(4608, 2592, noise=True), face, Encoding(face_px=120, quality=100))

    assert len(picture) <= LARGEST
    assert size_of(picture)[0] < 4608
