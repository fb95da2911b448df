"""What hinders the use of a picture: every hindrance and every fault holds where it should, and only there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smileaccess.gates import (
    ADVICE,
    EnrollmentLimits,
    Limits,
    PictureFault,
    crowded,
    hindrance,
    picture_faults,
)
from smileaccess.model import Box, Pose, Reason, Sight
from tests.builders import PLACE, make_face, make_quality, make_sight

LIMITS = Limits(face_px=60.0, scene_brightness=8.0, face_brightness=15.0, sharpness=15.0, presence=0.5, comparable=0.4)
ENROLLMENT = EnrollmentLimits(face_px=80.0, yaw=35.0, pitch=30.0, eyes_open=40.0)


def second_face(share: float) -> Box:
    """Return the place of a face with this share of the first one's area."""
    return Box(0.0, 0.0, PLACE.width * share, PLACE.height)


def measured(**changes: float) -> Sight:
    return make_sight(make_face(quality=make_quality(**changes)))


HINDERED = {
    Reason.NO_FACE: (make_sight(), make_sight(make_face())),
    Reason.TOO_DARK: (measured(brightness=14.9), measured(brightness=15.0)),
    Reason.TOO_FAR: (measured(size_px=59.9), measured(size_px=60.0)),
    Reason.TOO_BLURRED: (measured(sharpness=14.9), measured(sharpness=15.0)),
    Reason.FACE_OCCLUDED: (measured(presence=0.49), measured(presence=0.5)),
    Reason.MULTIPLE_FACES: (
        make_sight(make_face(), make_face(track=2, box=second_face(0.41))),
        make_sight(make_face(), make_face(track=2, box=second_face(0.39))),
    ),
}
"""A frame that is just too bad, and one that is just good enough, a hindrance."""


@pytest.mark.parametrize("reason", HINDERED, ids=str)
def test_hindrance_holds(reason: Reason) -> None:
    """A frame just beyond a limit is hindered by it."""
    assert hindrance(HINDERED[reason][0], LIMITS) is reason


@pytest.mark.parametrize("reason", HINDERED, ids=str)
def test_hindrance_does_not_hold(reason: Reason) -> None:
    """A frame at the limit itself is clear."""
    assert hindrance(HINDERED[reason][1], LIMITS) is None


def test_a_dark_picture_is_dark_before_it_is_empty() -> None:
    """In the dark nobody can say that there is no face."""
    assert hindrance(make_sight(brightness=7.9), LIMITS) is Reason.TOO_DARK
    assert hindrance(make_sight(brightness=8.0), LIMITS) is Reason.NO_FACE


def test_a_dark_scene_hinders_a_face_that_is_seen() -> None:
    """A dark picture is too dark also with a face in it that looks bright enough."""
    assert hindrance(make_sight(make_face(), brightness=7.9), LIMITS) is Reason.TOO_DARK


def test_what_was_not_measured_is_not_clear() -> None:
    """A quality that is no number hinders, whichever it is."""
    nan = float("nan")
    found = [hindrance(measured(**{name: nan}), LIMITS) for name in ("brightness", "size_px", "presence", "sharpness")]

    assert found == [Reason.TOO_DARK, Reason.TOO_FAR, Reason.FACE_OCCLUDED, Reason.TOO_BLURRED]


def test_one_face_is_no_crowd() -> None:
    """Nobody and one person are no crowd."""
    assert [crowded(make_sight(), LIMITS), crowded(make_sight(make_face()), LIMITS)] == [False, False]


def test_the_limits_are_the_owners() -> None:
    """Another limit makes another judgment of the same frame."""
    assert hindrance(measured(size_px=60.0), replace(LIMITS, face_px=61.0)) is Reason.TOO_FAR


FAULTY = {
    PictureFault.NO_FACE: (make_sight(), make_sight(make_face())),
    PictureFault.SEVERAL_FACES: HINDERED[Reason.MULTIPLE_FACES],
    PictureFault.TOO_SMALL: (measured(size_px=79.9), measured(size_px=80.0)),
    PictureFault.TOO_DARK: HINDERED[Reason.TOO_DARK],
    PictureFault.BLURRED: HINDERED[Reason.TOO_BLURRED],
    PictureFault.TURNED_AWAY: (
        make_sight(make_face(pose=Pose(-35.1, 0.0, 0.0))),
        make_sight(make_face(pose=Pose(-35.0, 30.0, 90.0))),
    ),
    PictureFault.EYES_COVERED: (make_sight(make_face(eyes_open=39.9)), make_sight(make_face(eyes_open=40.0))),
    PictureFault.FACE_COVERED: HINDERED[Reason.FACE_OCCLUDED],
}


def test_every_picture_fault_has_its_cases() -> None:
    """The table above leaves no fault out, and each tells the person what to do."""
    assert set(FAULTY) == set(PictureFault) == set(ADVICE)


@pytest.mark.parametrize("fault", FAULTY, ids=str)
def test_picture_fault_holds(fault: PictureFault) -> None:
    """A picture just beyond a limit has that fault alone."""
    assert picture_faults(FAULTY[fault][0], LIMITS, ENROLLMENT) == (fault,)


@pytest.mark.parametrize("fault", FAULTY, ids=str)
def test_picture_fault_does_not_hold(fault: PictureFault) -> None:
    """A picture at the limit itself is good."""
    assert picture_faults(FAULTY[fault][1], LIMITS, ENROLLMENT) == ()


@pytest.mark.parametrize("pose", [Pose(35.1, 0, 0), Pose(-35.1, 0, 0), Pose(0, 30.1, 0), Pose(0, -30.1, 0)])
def test_turned_to_any_side(pose: Pose) -> None:
    """A head turned too far to any side is turned away."""
    assert picture_faults(make_sight(make_face(pose=pose)), LIMITS, ENROLLMENT) == (PictureFault.TURNED_AWAY,)


def test_a_dark_picture_for_enrollment() -> None:
    """A dark picture without a face is called dark, not empty."""
    assert picture_faults(make_sight(brightness=7.9), LIMITS, ENROLLMENT) == (PictureFault.TOO_DARK,)


def test_all_faults_of_a_picture_are_told() -> None:
    """A picture that is bad in several ways says so at once."""
    bad = make_face(quality=make_quality(size_px=50, sharpness=1), eyes_open=0)

    assert picture_faults(make_sight(bad), LIMITS, ENROLLMENT) == (
        PictureFault.TOO_SMALL,
        PictureFault.BLURRED,
        PictureFault.EYES_COVERED,
    )


def test_what_the_mesh_did_not_measure_is_no_fault() -> None:
    """A face without pose and eyes is judged by what is known."""
    assert picture_faults(make_sight(make_face(pose=None, eyes_open=None)), LIMITS, ENROLLMENT) == ()
