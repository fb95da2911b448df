"""Makes the values that tests need, each good in every respect that the test does not name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from smileaccess.model import (
    Attempt,
    Box,
    Candidate,
    Decision,
    DoorEvent,
    Emotion,
    Evidence,
    Examination,
    Face,
    Frame,
    Gesture,
    Member,
    MemberStatus,
    Outcome,
    Pose,
    Purpose,
    Quality,
    Reason,
    Sight,
    Trigger,
)

if TYPE_CHECKING:
    from smileaccess.model import Vector

NOON = datetime(2031, 5, 17, 12, 0, tzinfo=UTC)
"""A moment to start from."""

ANN = "m_ann"
BOB = "m_bob"
PLACE = Box(0.35, 0.25, 0.3, 0.4)
"""Where a made face is."""

STRAIGHT = Pose(0.0, 0.0, 0.0)

GRANTED = Decision(Outcome.GRANTED, None, ANN)
DENIED = Decision(Outcome.DENIED, Reason.NO_SMILE, ANN)


def make_frame(sequence: int = 1, at: float = 0.0) -> Frame:
    return Frame(np.zeros((480, 640, 3), np.uint8), sequence, at)


def make_quality(**changes: float) -> Quality:
    return replace(Quality(brightness=60.0, sharpness=60.0, size_px=160.0, presence=0.95), **changes)


def make_face(
    smile: float | None = 5.0,
    *,
    track: int = 1,
    box: Box = PLACE,
    quality: Quality | None = None,
    pose: Pose | None = STRAIGHT,
    eyes_open: float | None = 90.0,
    gap: float | None = 5.0,
) -> Face:
    """Return a face; `gap` is open between its lips, in hundredths of the nose's length, None without a mesh."""
    landmarks = ((0.45, 0.4), (0.55, 0.4), (0.5, 0.45), (0.46, 0.52), (0.54, 0.52))
    mesh = None if gap is None else make_mesh(box, smile or 0.0, gap)
    return Face(box, 0.95, track, landmarks, quality or make_quality(), pose, smile, eyes_open, 0.0, mesh=mesh)


_SPREAD = np.random.default_rng(0).uniform(0.0, 1.0, (478, 2))


def make_mesh(box: Box, smile: float, gap: float) -> Vector:
    """Return a mesh that fills a box: lips `gap` apart, in hundredths of the nose, their corners up by `smile`.

    What is not eyes, nose, chin or mouth lies anywhere, at the same places each time.
    """
    raised = 0.12 * smile / 100
    places = {
        **{33: (0.25, 0.4), 263: (0.75, 0.4), 168: (0.5, 0.4), 2: (0.5, 0.65), 152: (0.5, 1.0)},
        **{0: (0.5, 0.74), 13: (0.5, 0.75), 14: (0.5, 0.75 + 0.25 * gap / 100), 17: (0.5, 0.8 + 0.25 * gap / 100)},
        **{61: (0.35, 0.77 - raised), 291: (0.65, 0.77 - raised)},
    }
    mesh = _SPREAD.copy()
    for point, place in places.items():
        mesh[point] = place
    return (mesh * (box.width, box.height) + (box.left, box.top)).astype(np.float32)


def make_sight(*faces: Face, sequence: int = 1, at: float = 0.0, brightness: float = 50.0) -> Sight:
    return Sight(make_frame(sequence, at), faces, brightness)


def make_examination(
    *candidates: Candidate,
    purpose: Purpose = Purpose.IDENTITY,
    searched: bool = True,
    sequence: int = 1,
    track: int = 1,
    box: Box = PLACE,
    smile: float | None = 5.0,
    emotion: Emotion = Emotion.CALM,
    recognizer: str = "fake",
    calls: int = 1,
    hindrance: Reason | None = None,
) -> Examination:
    found = candidates if searched and hindrance is None else None
    shown = {emotion: 90.0}
    return Examination(
        recognizer, f"{recognizer}-1", purpose, sequence, track, box, found, smile, shown, 12.0, calls, hindrance
    )


def make_member(
    member_id: str = ANN,
    *,
    status: MemberStatus = MemberStatus.ACTIVE,
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
    **changes: object,
) -> Member:
    member = Member(member_id, 1, "Ann Example", status, NOON, None, valid_from, valid_until)
    return replace(member, **changes)  # type: ignore[arg-type]


def make_evidence(**changes: object) -> Evidence:
    """Return the evidence of an attempt that is granted under the default rules."""
    good = Evidence(
        identified=Candidate(ANN, 99.5),
        recognizer="embedded",
        live=True,
        gesture=Gesture.SMILE,
        smile=80.0,
        emotions={Emotion.HAPPY: 90.0},
    )
    return replace(good, **changes)  # type: ignore[arg-type]


def make_attempt(attempt_id: str = "0197-a", **changes: object) -> Attempt:
    return replace(Attempt(attempt_id, "front", Trigger.BUTTON, NOON), **changes)  # type: ignore[arg-type]


def make_event(event_id: str = "0197-e", kind: str = "unlock") -> DoorEvent:
    return DoorEvent(event_id, "front", NOON, kind, "operator", "the parcel service is here")
