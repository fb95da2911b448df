"""Reads a picture file as a camera would have given it; never decodes what its header already condemns.

Pillow reads the header, tells a truncated file, turns by EXIF and knows the colors; OpenCV alone would allocate
whatever a header claims and take half a file for a whole one.
"""

from __future__ import annotations

import stat
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from smileaccess.errors import PictureError

if TYPE_CHECKING:
    from smileaccess.model import Pixels

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
MOST_PIXELS = 50_000_000
MOST_BYTES = 50_000_000

LONGEST_SIDE = 1920
"""A larger picture is scaled down to this many pixels a side: a face in it stays far larger than the networks need."""

_ORIENTATION = 0x0112
"""The EXIF tag that says how the camera was held."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by the orientation that EXIF 2.32 (4.6.4 A) numbers."""

Image.MAX_IMAGE_PIXELS = None  # our own limit is lower, and refuses by the header as well

_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, struct.error)
"""What Pillow's parsers raise when they meet bytes that nobody wrote on purpose."""


def load_picture(path: Path | str) -> Pixels:
    """Return a picture file as (height, width, 3) uint8 BGR, upright, at most LONGEST_SIDE a side; any thread.

    Grey, palette, 16-bit and CMYK pictures become BGR, transparency becomes white; a picture whose EXIF cannot be
    read is taken as it lies. PictureError, naming the file,
    the problem and the fix, for what is missing, no file, unreadable, empty, too large (MOST_BYTES, MOST_PIXELS: by
    its header, before anything is decoded), truncated, or of another format than FORMATS.
    """
    path = Path(path)
    _check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes and odd EXIF; the sizes are ours to refuse
            with Image.open(path, formats=FORMATS) as image:
                _check_size(path, image)
                image.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
                return _pixels(image)
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise PictureError(f"{path}: not a picture that can be read: use JPEG, PNG, WebP or BMP") from error
    except _DAMAGED as error:
        raise PictureError(f"{path}: truncated or damaged ({error}): copy or take the picture again") from error


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PictureError(f"{path}: no such file: check the name") from error
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or error
        raise PictureError(f"{path}: cannot be opened ({why}): check the name and who may read it") from error
    if stat.S_ISDIR(status.st_mode):
        raise PictureError(f"{path}: a folder: name the picture files in it")
    if not stat.S_ISREG(status.st_mode):
        raise PictureError(f"{path}: not a file: name a picture file")
    size = status.st_size
    if size == 0:
        raise PictureError(f"{path}: empty: copy or take the picture again")
    if size > MOST_BYTES:
        raise PictureError(f"{path}: {size / 1e6:.0f} MB: must be at most {MOST_BYTES // 10**6} MB: scale it down")


def _check_size(path: Path, image: Image.Image) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        most = MOST_PIXELS // 10**6
        raise PictureError(f"{path}: {width} x {height} pixels: must be at most {most} megapixels: scale it down")


def _pixels(image: Image.Image) -> Pixels:
    upright = _turned(image)
    upright = _eight_bits(upright) if upright.mode.startswith("I") else upright  # I and I;16: 16-bit grey
    if upright.has_transparency_data:
        upright = _on_white(upright.convert("RGBA"))
    color = upright.convert("RGB")
    color.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(color, np.uint8)[:, :, ::-1])


def _turned(image: Image.Image) -> Image.Image:
    """Return the picture as the camera was held; the pixels are read first, so that only EXIF is forgiven."""
    image.load()
    try:
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except _DAMAGED:
        return image
    return image if turn is None else image.transpose(turn)


def _eight_bits(image: Image.Image) -> Image.Image:
    wide = np.asarray(image).astype(np.float64)
    return Image.fromarray((wide.clip(0, 65535) / 257).round().astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white
