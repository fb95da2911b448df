"""Works the head's turn out of a mesh; pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from smileaccess.model import Pose

if TYPE_CHECKING:
    from smileaccess.model import Vector

_RIGHT_EYE, _LEFT_EYE, _FOREHEAD, _CHIN = 33, 263, 10, 152
"""Points of the mesh: the outer corners of the person's eyes, the top of the face and its lowest point."""

_PITCH_SLOPE, _PITCH_OFFSET = -0.59, 6.2
"""A linear fit of the slant from forehead to chin to the true pitch, by measurement; it leaves 4.0 degrees of error
(yaw 3.2 and roll 1.0 need none)."""


def head_pose(points: Vector) -> Pose:
    """Return the pose, in degrees, of a mesh of (478, 3) points in pixels (z smaller is nearer the camera)."""
    across = points[_LEFT_EYE] - points[_RIGHT_EYE]
    roll = math.atan2(across[1], across[0])
    upright = points[[_FOREHEAD, _CHIN]] @ _unroll(roll)
    down = upright[1] - upright[0]
    yaw = math.atan2(across[2], math.hypot(across[0], across[1]))
    slant = math.degrees(math.atan2(down[2], down[1]))
    return Pose(math.degrees(yaw), _PITCH_SLOPE * slant + _PITCH_OFFSET, math.degrees(roll))


def _unroll(roll: float) -> Vector:
    cos, sin = math.cos(roll), math.sin(roll)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32)
