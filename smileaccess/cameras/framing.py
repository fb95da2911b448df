"""How a camera's picture becomes the door's: turned upright, cut to the region that matters; pure, on pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from smileaccess.model import Pixels

WHOLE = (0.0, 0.0, 1.0, 1.0)
"""The region that leaves nothing out."""


@dataclass(frozen=True, slots=True)
class Framing:
    """By how many degrees a picture is turned clockwise (0, 90, 180, 270), and what is then kept of it.

    `region` is left, top, width and height as shares of the turned picture.
    """

    rotation: int = 0
    region: tuple[float, float, float, float] = WHOLE

    def apply(self, pixels: Pixels) -> Pixels:
        """Return a (height, width, 3) picture turned and cut, of one pixel at least, in one piece of memory."""
        turned = np.rot90(pixels, -self.rotation // 90)
        height, width = turned.shape[:2]
        left, top, wide, high = self.region
        x, y = min(round(left * width), width - 1), min(round(top * height), height - 1)
        cut = turned[y : max(y + 1, round((top + high) * height)), x : max(x + 1, round((left + wide) * width))]
        return np.ascontiguousarray(cut)
