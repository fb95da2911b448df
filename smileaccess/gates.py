"""What hinders the use of a picture, at the door and at enrollment: pure, on what the local eyes measured.

It never looks at a pixel and never says who somebody is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from smileaccess.model import Face, Reason, Sight


@dataclass(frozen=True, slots=True)
class Limits:
    """How well a face must be seen.

    `face_px` is the shorter side of its box; below 40 pixels the miss rate triples (docs/recognition.md).
    `scene_brightness` (of a picture without a face) and `face_brightness` are the least, 0..100; `sharpness` and
    `presence` as in `model.Quality`; `comparable` is the share of the largest face's area from which a second one
    counts as another person before the door.
    """

    face_px: float = 60.0
    scene_brightness: float = 6.0
    face_brightness: float = 15.0
    sharpness: float = 20.0
    presence: float = 0.5
    comparable: float = 0.4


@dataclass(frozen=True, slots=True)
class EnrollmentLimits:
    """What an enrolled picture must keep to beyond the door's limits.

    Angles in degrees to either side (Rekognition's advice is up to 45 for yaw; ours is what the mesh measures
    well); `eyes_open` 0..100.
    """

    face_px: float = 80.0
    yaw: float = 35.0
    pitch: float = 30.0
    eyes_open: float = 40.0


class PictureFault(StrEnum):
    """Why a picture is no use for enrollment."""

    NO_FACE = "no face"
    SEVERAL_FACES = "more than one face"
    TOO_SMALL = "face too small"
    TOO_DARK = "too dark"
    BLURRED = "blurred"
    TURNED_AWAY = "turned away"
    EYES_COVERED = "eyes closed or covered"
    FACE_COVERED = "face covered"


ADVICE = {
    PictureFault.NO_FACE: "look straight at the camera, head and shoulders in the picture",
    PictureFault.SEVERAL_FACES: "one person at a time",
    PictureFault.TOO_SMALL: "come closer, or take a picture with more pixels",
    PictureFault.TOO_DARK: "turn to the light",
    PictureFault.BLURRED: "hold still",
    PictureFault.TURNED_AWAY: "turn toward the camera",
    PictureFault.EYES_COVERED: "open your eyes; take off dark glasses",
    PictureFault.FACE_COVERED: "uncover mouth and nose",
}
"""What to tell the person, a fault."""


def hindrance(sight: Sight, limits: Limits) -> Reason | None:
    """Return what keeps the largest face of a frame from being examined, or None for a clear frame.

    In the dark nobody can say that there is no face, so darkness goes first.
    """
    dark = _short(sight.brightness, limits.scene_brightness)
    if not sight.faces:
        return Reason.TOO_DARK if dark else Reason.NO_FACE
    face = sight.faces[0]
    checks = {
        Reason.TOO_DARK: dark or _short(face.quality.brightness, limits.face_brightness),
        Reason.TOO_FAR: _short(face.quality.size_px, limits.face_px),
        Reason.MULTIPLE_FACES: crowded(sight, limits),
        Reason.FACE_OCCLUDED: _short(face.quality.presence, limits.presence),
        Reason.TOO_BLURRED: _short(face.quality.sharpness, limits.sharpness),
    }
    return next((reason for reason, holds in checks.items() if holds), None)


def crowded(sight: Sight, limits: Limits) -> bool:
    """Say whether a second face is of a size comparable with the largest one's."""
    if len(sight.faces) < 2:
        return False
    first, second = sight.faces[0].box.area, sight.faces[1].box.area
    return second >= limits.comparable * first


def picture_faults(sight: Sight, limits: Limits, enrollment: EnrollmentLimits) -> tuple[PictureFault, ...]:
    """Return all that is wrong with a picture for enrollment; nothing for a good one."""
    if not sight.faces:
        dark = _short(sight.brightness, limits.scene_brightness)
        return (PictureFault.TOO_DARK if dark else PictureFault.NO_FACE,)
    face = sight.faces[0]
    checks = {
        PictureFault.SEVERAL_FACES: crowded(sight, limits),
        PictureFault.TOO_SMALL: _short(face.quality.size_px, enrollment.face_px),
        PictureFault.TOO_DARK: _short(face.quality.brightness, limits.face_brightness),
        PictureFault.BLURRED: _short(face.quality.sharpness, limits.sharpness),
        PictureFault.TURNED_AWAY: _turned(face, enrollment),
        PictureFault.EYES_COVERED: face.eyes_open is not None and _short(face.eyes_open, enrollment.eyes_open),
        PictureFault.FACE_COVERED: _short(face.quality.presence, limits.presence),
    }
    return tuple(fault for fault, holds in checks.items() if holds)


def _turned(face: Face, limits: EnrollmentLimits) -> bool:
    if face.pose is None:
        return False
    return abs(face.pose.yaw) > limits.yaw or abs(face.pose.pitch) > limits.pitch


def _short(measured: float, least: float) -> bool:
    """Say whether a measure falls short; one that is no number does."""
    return not measured >= least
