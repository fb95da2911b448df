"""Looks at pictures with the project's own networks, one at a time, and remembers the last few; it never stores one."""

from __future__ import annotations

import hashlib
import io
import struct
import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from smileaccess.model import Box, Face, Frame, Quality
from smileaccess.vision.eyes import LocalEyes
from tests.standin.errors import AwsError

if TYPE_CHECKING:
    from smileaccess.model import Pixels, Vector

MOST_BYTES = 5_242_880
LEAST_SIDE = 80
DETECTED_FROM = 40.0
"""A face whose shorter side is less, in pixels, is not found."""

SEARCHED_FROM = 50.0
"""A face whose shorter side is less, in pixels, is neither indexed nor searched for."""

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    struct.error,
    Image.DecompressionBombError,
)
"""What Pillow raises at bytes that are no whole picture."""

_REMEMBERED = 16


@dataclass(eq=False)
class Picture:
    """A picture that was looked at: its faces, largest first, and their embeddings as far as they were asked for."""

    digest: str
    frame: Frame
    faces: tuple[Face, ...]
    vectors: dict[int, Vector] = field(default_factory=dict)


class Looking:
    """Real eyes behind a lock, for any thread; the constructor runs every network once, which takes a second."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._eyes = LocalEyes()
        self._seen: OrderedDict[str, Picture] = OrderedDict()
        self._warm_up()

    def look(self, data: bytes) -> Picture:
        """Return what is in a JPEG or PNG; AwsError as Rekognition refuses what is none, or of another size."""
        digest = hashlib.sha256(data).hexdigest()
        with self._lock:
            if digest not in self._seen:
                self._seen[digest] = self._look(digest, _decoded(data))
            self._seen.move_to_end(digest)
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
            return self._seen[digest]

    def embed(self, picture: Picture, rank: int) -> Vector:
        """Return the embedding, of length 1, of one of the picture's faces."""
        with self._lock:
            if rank not in picture.vectors:
                picture.vectors[rank] = self._eyes.embed(picture.frame, picture.faces[rank])
            return picture.vectors[rank]

    def _look(self, digest: str, pixels: Pixels) -> Picture:
        frame = Frame(pixels, 1, 0.0)
        faces = [face if face.pose else self._closer(pixels, face) for face in self._faces(frame)]
        return Picture(digest, frame, tuple(face for face in faces if face.quality.size_px >= DETECTED_FROM))

    def _faces(self, frame: Frame) -> tuple[Face, ...]:
        self._eyes.reset()
        return self._eyes.look(frame).faces

    def _closer(self, pixels: Pixels, face: Face) -> Face:
        """Measure a face that the eyes only found, being neither of the two largest, in a picture of its own."""
        height, width = pixels.shape[:2]
        x, y, reach = face.box.center[0] * width, face.box.center[1] * height, face.box.height * height
        left, top = max(0, round(x - reach)), max(0, round(y - reach))
        cut = np.ascontiguousarray(pixels[top : round(y + reach), left : round(x + reach)])
        place = _inside(face.box, (width, height), (left, top), cut)
        found = [one for one in self._faces(Frame(cut, 1, 0.0)) if one.pose and one.box.overlap(place) > 0.3]
        return replace(found[0], box=face.box, landmarks=face.landmarks, score=face.score) if found else face

    def _warm_up(self) -> None:
        pixels = np.full((120, 120, 3), 128, np.uint8)
        points = ((0.35, 0.4), (0.65, 0.4), (0.5, 0.6), (0.4, 0.75), (0.6, 0.75))
        self._eyes.look(Frame(pixels, 1, 0.0))
        face = Face(Box(0.2, 0.2, 0.6, 0.6), 0.9, 1, points, Quality(50.0, 50.0, 72.0, 1.0))
        self._eyes.embed(Frame(pixels, 1, 0.0), face)


@cache
def looking() -> Looking:
    """Return the process's only eyes: several stand-ins share them."""
    return Looking()


def _inside(box: Box, size: tuple[int, int], corner: tuple[int, int], cut: Pixels) -> Box:
    high, wide = cut.shape[:2]
    left, top = (box.left * size[0] - corner[0]) / wide, (box.top * size[1] - corner[1]) / high
    return Box(left, top, box.width * size[0] / wide, box.height * size[1] / high)


def _decoded(data: bytes) -> Pixels:
    if len(data) > MOST_BYTES:
        raise AwsError("ImageTooLargeException", f"Image size is too large: {len(data)}, the limit is {MOST_BYTES}")
    if not data.startswith(_MAGIC):
        raise AwsError("InvalidImageFormatException", "Request has invalid image format")
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except _DAMAGED as error:
        raise AwsError("InvalidImageFormatException", "Request has invalid image format") from error
    if min(upright.size) < LEAST_SIDE:
        raise AwsError("InvalidParameterException", f"Minimum image height and width is {LEAST_SIDE} pixels")
    return np.ascontiguousarray(np.asarray(upright, np.uint8)[:, :, ::-1])
