"""A frame as the service is sent it: a JPEG no larger than the face in question needs; it never keeps one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smileaccess.errors import PictureError

if TYPE_CHECKING:
    from smileaccess.model import Face, Frame

LARGEST = 5_242_880
"""Bytes of a picture that the service takes inline."""

SMALLEST_SIDE = 80
"""Pixels of the shortest side that the service takes."""

_STEPS = ((1.0, 0), (1.0, 15), (0.7, 15), (0.5, 15), (0.5, 30))
"""What is tried where a picture is too large: a share of its size, and by how much the quality is lowered."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How frames are sent: the shorter side of the face's box in pixels, and the JPEG quality.

    The service finds faces from about 40 and recognizes them from 50 pixels (its documentation); `make bench` shows
    what smaller and larger ones cost.
    """

    face_px: int = 120
    quality: int = 90


def encoded(frame: Frame, face: Face, encoding: Encoding) -> bytes:
    """Return the whole frame as a JPEG in which the face has the size wanted, or its own where that is smaller.

    It is made of the view in the most pixels. Boxes are fractions and stay what they are. PictureError where no JPEG of
    the frame is small enough.
    """
    pixels = frame.best
    face_px = face.quality.size_px * pixels.shape[1] / frame.pixels.shape[1]
    scale = min(1.0, encoding.face_px / max(face_px, 1.0))
    scale = min(1.0, max(scale, SMALLEST_SIDE / min(pixels.shape[:2])))
    for share, less in _STEPS:
        picture = _jpeg(pixels, scale * share, encoding.quality - less)
        if len(picture) <= LARGEST:
            return picture
    raise PictureError(f"frame {frame.sequence}: larger than {LARGEST} bytes as any JPEG: lower the camera's size")


def _jpeg(pixels: Any, scale: float, quality: int) -> bytes:
    import cv2  # noqa: PLC0415 -- OpenCV, where a picture is sent

    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    small = pixels if scale >= 1 else cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise PictureError(f"a frame of {width}x{height}: cannot be encoded")
    return bytes(data)
