"""How much of a gesture a face shows, on the smile's scale: pure; it decides nothing and keeps nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from smileaccess.liveness import LivenessRules
from smileaccess.model import Face, Gesture, Pose


@dataclass(frozen=True, slots=True)
class Marks:
    """Where a gesture's own measure counts as calm (below `calm`) and as shown (from `shown` on)."""

    calm: float
    shown: float


MARKS: Mapping[Gesture, Marks] = MappingProxyType(
    {Gesture.TURN: Marks(calm=10.0, shown=20.0), Gesture.OPEN_MOUTH: Marks(calm=15.0, shown=30.0)}
)
"""Of `turn` in degrees of yaw away from where the calm face looked, to either side: the mesh errs by 3.2. Of
`open-mouth` in `Face.mouth_open`: a closed mouth measures 0 to 2, a wide laugh 17, one that speaks 50."""


def shown(gesture: Gesture, face: Face, calm: Pose | None, rules: LivenessRules) -> float | None:
    """Return how much of the gesture a face shows, 0..100, None where that was not measured.

    As with a smile it is calm below `rules.neutral_below`, and shown from `rules.smile_at` on. `calm` is the pose of
    the calm face, None before there was one.
    """
    if gesture is Gesture.SMILE:
        return face.smile
    measure = face.mouth_open if gesture is Gesture.OPEN_MOUTH else _turned(face.pose, calm)
    return None if measure is None else _on_scale(measure, MARKS[gesture], rules)


def _turned(pose: Pose | None, calm: Pose | None) -> float | None:
    if pose is None:
        return None
    return abs(pose.yaw - (pose if calm is None else calm).yaw)


def _on_scale(measure: float, marks: Marks, rules: LivenessRules) -> float:
    share = (measure - marks.calm) / (marks.shown - marks.calm)
    value = rules.neutral_below + share * (rules.smile_at - rules.neutral_below)
    return value if math.isnan(value) else min(100.0, max(0.0, value))
