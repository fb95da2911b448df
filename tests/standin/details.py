"""Tells what the local eyes saw in Rekognition's words; it judges nothing but how well a face can be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from smileaccess.model import Box, Face, Pose
from tests.standin.pictures import SEARCHED_FROM

_POINTS = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")
"""In the order of model.Face.landmarks: Rekognition's left is the viewer's, the model's right is the person's."""

_UNKNOWN = 50.0
"""The confidence of what the local networks cannot tell: as good as a guess."""


def bounding_box(box: Box) -> dict[str, float]:
    """Return a BoundingBox."""
    return {"Width": box.width, "Height": box.height, "Left": box.left, "Top": box.top}


def confidence(face: Face) -> float:
    """Return how sure it is that this is a face, 0..100."""
    return _percent(100 * face.score)


def face_detail(face: Face, attributes: Iterable[str] | None) -> dict[str, Any]:
    """Return a FaceDetail with Rekognition's defaults and those attributes that were asked for by name, or ALL."""
    asked = set(_ATTRIBUTES) if "ALL" in (attributes or ()) else set(attributes or ()) - {"DEFAULT"}
    detail = {
        "BoundingBox": bounding_box(face.box),
        "Landmarks": [{"Type": name, "X": x, "Y": y} for name, (x, y) in zip(_POINTS, face.landmarks, strict=True)],
        "Pose": _pose(face),
        "Quality": {"Brightness": face.quality.brightness, "Sharpness": face.quality.sharpness},
        "Confidence": confidence(face),
    }
    for name in sorted(asked):
        member, tell = _ATTRIBUTES[name]
        detail[member] = tell(face)
    return detail


def _pose(face: Face) -> dict[str, float]:
    pose = face.pose or Pose(0.0, 0.0, 0.0)
    return {"Roll": pose.roll, "Yaw": pose.yaw, "Pitch": pose.pitch}


def _yes_or_no(percent: float | None) -> dict[str, Any]:
    """Say whether something holds, and how sure that is: never less than 50."""
    likely = 0.0 if percent is None else _percent(percent)
    return {"Value": likely >= 50, "Confidence": max(likely, 100 - likely)}


def _emotions(face: Face) -> list[dict[str, Any]]:
    ordered = sorted(face.emotions.items(), key=lambda one: -one[1])
    return [{"Type": emotion.value.upper(), "Confidence": _percent(value)} for emotion, value in ordered]


def _eye_direction(face: Face) -> dict[str, float]:
    pose = _pose(face)
    return {"Yaw": pose["Yaw"], "Pitch": pose["Pitch"], "Confidence": _UNKNOWN}


def _guess(_: Face) -> dict[str, Any]:
    return {"Value": False, "Confidence": _UNKNOWN}


def _percent(value: float) -> float:
    return min(100.0, max(0.0, float(value)))


_ATTRIBUTES: dict[str, tuple[str, Callable[[Face], Any]]] = {
    "AGE_RANGE": ("AgeRange", lambda _: {"Low": 18, "High": 99}),
    "BEARD": ("Beard", _guess),
    "EMOTIONS": ("Emotions", _emotions),
    "EYEGLASSES": ("Eyeglasses", _guess),
    "EYES_OPEN": ("EyesOpen", lambda face: _yes_or_no(face.eyes_open)),
    "EYE_DIRECTION": ("EyeDirection", _eye_direction),
    "FACE_OCCLUDED": ("FaceOccluded", lambda face: _yes_or_no(100 - 100 * face.quality.presence)),
    "GENDER": ("Gender", lambda _: {"Value": "Female", "Confidence": _UNKNOWN}),
    "MOUTH_OPEN": ("MouthOpen", lambda face: _yes_or_no(face.mouth_open)),
    "MUSTACHE": ("Mustache", _guess),
    "SMILE": ("Smile", lambda face: _yes_or_no(face.smile)),
    "SUNGLASSES": ("Sunglasses", _guess),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """The least that a face must reach to be used; degrees are the most that it may be turned."""

    brightness: float
    sharpness: float
    confidence: float
    presence: float
    yaw: float
    pitch: float


BARS = {
    "NONE": Bar(0, 0, 0, 0, 180, 180),
    "LOW": Bar(10, 10, 65, 0.3, 60, 50),
    "AUTO": Bar(15, 20, 70, 0.5, 50, 40),
    "MEDIUM": Bar(20, 30, 75, 0.7, 40, 30),
    "HIGH": Bar(30, 50, 85, 0.9, 25, 20),
}
"""The stand-in's own numbers, by QualityFilter: Amazon publishes none."""


def shortcomings(face: Face, quality_filter: str) -> list[str]:
    """Return why a face is not used, in the words of UnindexedFace.Reasons; empty where it is good enough."""
    bar, pose, quality = BARS[quality_filter], face.pose or Pose(0.0, 0.0, 0.0), face.quality
    found = {
        "EXTREME_POSE": abs(pose.yaw) > bar.yaw or abs(pose.pitch) > bar.pitch,
        "LOW_BRIGHTNESS": quality.brightness < bar.brightness,
        "LOW_SHARPNESS": quality.sharpness < bar.sharpness,
        "LOW_CONFIDENCE": confidence(face) < bar.confidence,
        "SMALL_BOUNDING_BOX": quality.size_px < SEARCHED_FROM,
        "LOW_FACE_QUALITY": quality.presence < bar.presence,
    }
    return [reason for reason, holds in found.items() if holds]
