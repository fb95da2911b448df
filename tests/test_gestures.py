"""How much of a gesture a face shows: calm below the one mark, shown from the other on, whatever the settings are."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smileaccess.gestures import MARKS, shown
from smileaccess.liveness import LivenessRules
from smileaccess.model import Face, Frame, Gesture, Pose
from smileaccess.vision.eyes import LocalEyes
from tests.builders import PLACE, STRAIGHT, make_face, make_mesh
from tests.fakes_vision import photograph

RULES = LivenessRules(smile_at=50.0, neutral_below=30.0)
STRICT = LivenessRules(smile_at=80.0, neutral_below=10.0)


def turned(yaw: float) -> Face:
    return make_face(pose=Pose(yaw, 0.0, 0.0))


def opened(gap: float) -> Face:
    return make_face(gap=gap)


def test_every_gesture_but_the_smile_has_its_marks() -> None:
    """The smile is measured on its own scale, every other one is brought onto it."""
    assert set(MARKS) == set(Gesture) - {Gesture.SMILE}
    assert all(0 < marks.calm < marks.shown for marks in MARKS.values())


def test_a_smile_is_what_the_eyes_measured() -> None:
    """The smile itself is the scale."""
    assert shown(Gesture.SMILE, make_face(73.0), STRAIGHT, STRICT) == 73.0


@pytest.mark.parametrize("rules", [RULES, STRICT])
@pytest.mark.parametrize(
    ("gesture", "calm", "between", "clear"),
    [
        (Gesture.TURN, turned(9.9), turned(15), turned(20)),
        (Gesture.TURN, turned(-9.9), turned(-15), turned(-20)),
        (Gesture.OPEN_MOUTH, opened(24.9), opened(33), opened(40)),
    ],
)
def test_the_marks_do_not_move_with_those_of_the_smile(
    rules: LivenessRules, gesture: Gesture, calm: Face, between: Face, clear: Face
) -> None:
    """How far a head turns, or a mouth opens, is the same whatever counts as a smile."""
    values = [shown(gesture, face, STRAIGHT, rules) for face in (calm, between, clear)]

    assert values[0] is not None
    assert values[1] is not None
    assert values[2] == pytest.approx(rules.smile_at, abs=0.01)
    assert values[0] < rules.neutral_below < values[1] < rules.smile_at


def test_a_turn_counts_from_where_the_calm_face_looked() -> None:
    """Ten degrees to the left, then fifteen to the right, are twenty-five."""
    far, near = (shown(Gesture.TURN, turned(15), Pose(yaw, 0, 0), RULES) for yaw in (-10.0, 10.0))

    assert far is not None
    assert near is not None
    assert near < RULES.neutral_below < RULES.smile_at < far


def test_without_a_calm_face_nobody_has_turned() -> None:
    """The first face is where it looks."""
    value = shown(Gesture.TURN, turned(40), None, RULES)

    assert value is not None
    assert value < RULES.neutral_below


@pytest.mark.parametrize(
    ("gesture", "face"),
    [
        (Gesture.SMILE, make_face(None)),
        (Gesture.TURN, make_face(pose=None)),
        (Gesture.OPEN_MOUTH, make_face(gap=None)),
    ],
)
def test_what_was_not_measured_is_not_known(gesture: Gesture, face: Face) -> None:
    """A face too small for a mesh shows nothing and is not calm either."""
    assert shown(gesture, face, STRAIGHT, RULES) is None


@pytest.mark.parametrize("gesture", [Gesture.TURN, Gesture.OPEN_MOUTH])
def test_what_is_no_number_stays_none(gesture: Gesture) -> None:
    """It is neither calm nor shown."""
    face = replace(turned(math.nan), mesh=make_mesh(PLACE, 5.0, math.nan))

    assert math.isnan(shown(gesture, face, STRAIGHT, RULES) or 0.0)


@given(st.floats(-90, 90), st.floats(-90, 90), st.floats(0, 100), st.sampled_from(Gesture))
def test_the_scale_is_never_left(yaw: float, calm: float, mouth: float, gesture: Gesture) -> None:
    """However far somebody turns, it is 0 to 100, and the more the farther."""
    less = shown(gesture, replace(turned(yaw), mesh=make_mesh(PLACE, 5.0, mouth)), Pose(calm, 0, 0), RULES)
    away = math.copysign(5, yaw - calm)
    more = shown(gesture, replace(turned(yaw + away), mesh=make_mesh(PLACE, 5.0, mouth + 5)), Pose(calm, 0, 0), RULES)

    assert less is not None
    assert more is not None
    assert 0 <= less <= more <= 100


def held(name: str, about: str, degrees: float) -> Frame:
    """Return a print of a photograph, held before a gray wall and turned about its upright or its level axis."""
    print_ = cv2.resize(photograph(name), (300, 380), interpolation=cv2.INTER_AREA)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    flat = np.array([[0, 0], [300, 0], [300, 380], [0, 380]], np.float32)
    seen = []
    for x, y in flat - (150, 190):
        far = 900 + (x if about == "upright" else y) * sin
        wide, high = (x * cos, y) if about == "upright" else (x, y * cos)
        seen.append((wide * 900 / far + 320, high * 900 / far + 240))
    matrix = cv2.getPerspectiveTransform(flat, np.array(seen, np.float32))
    wall = np.full((480, 640, 3), 130, np.uint8)
    return Frame(cv2.warpPerspective(print_, matrix, (640, 480), dst=wall, borderMode=cv2.BORDER_TRANSPARENT), 1, 0.0)


@pytest.mark.parametrize("name", ["obama-neutral", "obama-speaking"])
@pytest.mark.parametrize("gesture", [Gesture.TURN, Gesture.OPEN_MOUTH])
def test_a_print_turned_by_hand_shows_no_gesture(eyes: LocalEyes, name: str, gesture: Gesture) -> None:
    """However a flat picture is held, it is never both calm and more: it neither turns its head nor opens its mouth."""
    values, calm = [], None
    for about, degrees in (("upright", 0), ("upright", 25), ("upright", 55), ("upright", -55), ("level", 40)):
        eyes.reset()
        (face,) = eyes.look(held(name, about, degrees)).faces
        calm = calm or face.pose
        values.append(shown(gesture, face, calm, RULES) or 0.0)

    assert max(values) < RULES.smile_at or min(values) >= RULES.neutral_below


def test_a_mouth_that_opens_is_told_from_one_that_laughs(eyes: LocalEyes) -> None:
    """Speaking is wide enough; teeth shown in a smile are not."""
    values = {}
    for name in ("obama-neutral", "obama-smiling", "obama-speaking"):
        eyes.reset()
        (face,) = eyes.look(held(name, "upright", 0)).faces
        values[name] = shown(Gesture.OPEN_MOUTH, face, None, RULES)

    assert values["obama-neutral"] < RULES.neutral_below
    assert values["obama-smiling"] < RULES.smile_at <= values["obama-speaking"]
