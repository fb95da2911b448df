"""Turns the arrays of libcamera's formats into BGR pictures; it goes by what is given, not by what was asked for.

The names are DRM's, which count from the lowest byte of a little-endian word: "RGB888" lies in memory as blue, green,
red, "BGR888" as red, green, blue (picamera2's manual, appendix A).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smileaccess.errors import CameraUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from smileaccess.model import Pixels

_CONVERSIONS = {
    "RGB888": None,
    "BGR888": "COLOR_RGB2BGR",
    "XRGB8888": "COLOR_BGRA2BGR",
    "XBGR8888": "COLOR_RGBA2BGR",
    "YUV420": "COLOR_YUV2BGR_I420",
    "YVU420": "COLOR_YUV2BGR_YV12",
    "NV12": "COLOR_YUV2BGR_NV12",
    "NV21": "COLOR_YUV2BGR_NV21",
    "YUYV": "COLOR_YUV2BGR_YUYV",
    "YVYU": "COLOR_YUV2BGR_YVYU",
    "UYVY": "COLOR_YUV2BGR_UYVY",
    "R8": "COLOR_GRAY2BGR",
    "MJPEG": "COLOR_RGB2BGR",  # picamera2 decodes it with Pillow
}
"""How OpenCV makes BGR of each; None for what is BGR as it lies."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream as the camera says it gives it; `size` is (width, height)."""

    name: str
    format: str
    size: tuple[int, int]

    @classmethod
    def of(cls, name: str, told: Mapping[str, Any]) -> Stream:
        """Make one of a part of `camera_configuration()`; CameraUnavailable for a format that cannot be read."""
        form = str(told["format"])
        if form not in _CONVERSIONS:
            raise CameraUnavailable(
                f"gives its {name} pictures as {form}, which cannot be read (only {', '.join(sorted(_CONVERSIONS))})"
            )
        return cls(name, form, (int(told["size"][0]), int(told["size"][1])))

    def bgr(self, array: Any) -> Pixels:
        """Return a captured array as (height, width, 3) BGR in one piece of memory, without the rows' padding.

        CameraUnavailable where the array is not what the format says.
        """
        import cv2  # noqa: PLC0415 -- heavy, and not needed with another camera

        width, height = self.size
        conversion = _CONVERSIONS[self.format]
        try:
            pixels = array if conversion is None else cv2.cvtColor(array, getattr(cv2, conversion))
        except cv2.error as error:
            raise CameraUnavailable(f"{self} came as an array of {array.shape}: {error}") from error
        if pixels.ndim != 3 or pixels.shape[0] < height or pixels.shape[1] < width or pixels.dtype != np.uint8:
            raise CameraUnavailable(f"{self} came as an array of {array.shape}, {array.dtype}")
        return np.ascontiguousarray(pixels[:height, :width, :3])

    def __str__(self) -> str:
        return f"{self.name} {self.format} {self.size[0]}x{self.size[1]}"
