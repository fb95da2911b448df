"""A frame with a small and a full view: faces are found in the one and recognized, and sent, in the other."""

from __future__ import annotations

import cv2
import numpy as np

from smileaccess.model import Frame
from smileaccess.recognizers.picture import Encoding, encoded
from smileaccess.vision.eyes import LocalEyes
from tests.builders import make_face, make_quality
from tests.fakes_vision import photograph

FULL, SMALL = (1280, 960), (640, 480)


def scene(face_px: int) -> np.ndarray:
    """Return a full picture in which the face of a photograph has about this many pixels."""
    source = photograph("obama-smiling")
    scale = face_px / 210
    matrix = np.array([[scale, 0, 640 - 490 * scale], [0, scale, 480 - 260 * scale]])
    smooth = source if scale >= 1 else cv2.GaussianBlur(source, (0, 0), 0.4 / scale)
    return cv2.warpAffine(smooth, matrix, FULL, borderMode=cv2.BORDER_REPLICATE)


def size_of(jpeg: bytes) -> tuple[int, int]:
    height, width = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    return width, height


def test_a_face_found_in_the_small_view_is_embedded_from_the_full_one(eyes: LocalEyes) -> None:
    """It is the full picture's own embedding within 0.002 of the cosine; the small view's is not."""
    full = scene(120)
    small = cv2.resize(full, SMALL, interpolation=cv2.INTER_AREA)
    eyes.reset()
    own = eyes.look(Frame(full, 1, 0.0))
    eyes.reset()
    both = eyes.look(Frame(small, 1, 0.0, full))
    eyes.reset()

    wanted = eyes.embed(own.frame, own.faces[0])
    from_both = float(eyes.embed(both.frame, both.faces[0]) @ wanted)
    from_small = float(eyes.embed(Frame(small, 1, 0.0), both.faces[0]) @ wanted)

    assert both.faces[0].quality.size_px < 80
    assert from_both > 0.998
    assert from_small < 0.995


def test_what_is_measured_is_measured_in_the_small_view(eyes: LocalEyes) -> None:
    """The limits of the settings mean its pixels, whatever else the camera gives."""
    full = scene(240)
    small = cv2.resize(full, SMALL, interpolation=cv2.INTER_AREA)
    eyes.reset()
    alone = eyes.look(Frame(small, 1, 0.0)).faces[0]
    eyes.reset()
    both = eyes.look(Frame(small, 1, 0.0, full)).faces[0]
    eyes.reset()

    assert (both.box, both.quality) == (alone.box, alone.quality)


def test_the_full_view_is_sent_with_the_face_in_the_size_wanted() -> None:
    """A face of 60 pixels in the small view has 120 in the full one."""
    frame = Frame(np.full((480, 640, 3), 90, np.uint8), 1, 0.0, np.full((960, 1280, 3), 90, np.uint8))
    face = make_face(quality=make_quality(size_px=60.0))

    assert size_of(encoded(frame, face, Encoding(face_px=120))) == (1280, 960)
    assert size_of(encoded(frame, face, Encoding(face_px=60))) == (640, 480)
