"""Reads 52 expressions off a face's mesh (MediaPipe's blendshapes, a small MLP-Mixer); judges nothing by itself.

The network is calculated in numpy: OpenCV before 4.12 cannot load it, and it takes a millisecond so too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO
from zipfile import BadZipFile

import numpy as np
from threadpoolctl import threadpool_limits

from smileaccess.errors import VisionFailed
from smileaccess.vision import weights

if TYPE_CHECKING:
    from smileaccess.model import Vector

# fmt: off
CHOSEN = [
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80,
    81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153,
    154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251,
    263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318,
    321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386,
    387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
]
# fmt: on
"""The 146 points of the mesh that the network reads, in its order."""

NAMES = (  # noqa: SIM905 (52 lines for a list)
    "_neutral browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft "
    "cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft eyeLookInRight "
    "eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft "
    "eyeWideRight jawForward jawLeft jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft "
    "mouthFrownRight mouthFunnel mouthLeft mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight "
    "mouthPucker mouthRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft "
    "mouthSmileRight mouthStretchLeft mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft noseSneerRight"
).split()
"""The 52 expressions in the order of the network's output."""

_BLOCKS = 4
_EPSILON = 1e-6


class Blendshapes:
    """The network, loaded at once; VisionFailed from the constructor. `measure` may be called from any thread.

    The process's BLAS works with one thread from then on. These products are small: several threads gain nothing, and
    where other programs want the cores, they spin as they wait for each other, for ten times the processor's time.

    `file` is for whoever rebuilds the weights; by default they are the shipped ones.
    """

    def __init__(self, file: BinaryIO | None = None) -> None:
        threadpool_limits(limits=1, user_api="blas")
        path = file or weights.path(weights.BLENDSHAPES)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                self._arrays = {name: arrays[name].astype(np.float32) for name in arrays.files}
        except (OSError, ValueError, BadZipFile) as error:
            raise VisionFailed(f"vision: {path}: the weights cannot be read ({error}): install again") from error

    def measure(self, points: Vector) -> dict[str, float]:
        """Return NAMES to 0..1 for a mesh, (478, 2) or more columns, x and y in any one unit."""
        chosen = points[CHOSEN, :2].astype(np.float32)
        chosen = chosen - chosen.mean(axis=0)
        chosen = chosen / np.linalg.norm(chosen, axis=1).mean() * 0.5
        tokens = self._dense("features", self._dense("tokens", chosen.T).T)
        mixed = np.concatenate([self._arrays["extra"], tokens])
        for block in range(_BLOCKS):
            mixed = self._block(f"block{block}", mixed)
        values = 1 / (1 + np.exp(-self._dense("output", mixed[:1])[0]))
        return {name: float(value) for name, value in zip(NAMES, values, strict=True)}

    def _block(self, name: str, value: Vector) -> Vector:
        across = self._norm(f"{name}.norm1", value).T
        value = value + self._dense(f"{name}.across2", self._dense(f"{name}.across1", across).clip(0)).T
        along = self._norm(f"{name}.norm2", value)
        return value + self._dense(f"{name}.along2", self._dense(f"{name}.along1", along).clip(0))

    def _norm(self, name: str, value: Vector) -> Vector:
        centered = value - value.mean(axis=1, keepdims=True)
        spread = np.sqrt((centered**2).mean(axis=1, keepdims=True) + np.float32(_EPSILON))
        scaled: Vector = centered / spread * self._arrays[name]
        return scaled

    def _dense(self, name: str, value: Vector) -> Vector:
        product: Vector = value @ self._arrays[f"{name}.weight"].T + self._arrays[f"{name}.bias"]
        return product
