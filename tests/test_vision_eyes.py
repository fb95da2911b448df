"""What the real networks make of the real photographs, whole and spoiled."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from smileaccess.model import Emotion
from smileaccess.vision.detector import Detector
from smileaccess.vision.eyes import LocalEyes
from tests.fakes_vision import BOXES, framed, photograph, scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smileaccess.model import Face, Pixels

SAME = ("obama-neutral", "obama-smiling", "obama-speaking")


@pytest.fixture(scope="module")
def eyes() -> Iterator[LocalEyes]:
    eyes = LocalEyes()
    yield eyes
    eyes.close()


def look(eyes: LocalEyes, pixels: Pixels) -> Face:
    eyes.reset()
    return eyes.look(framed(pixels)).faces[0]


@pytest.mark.parametrize("name", BOXES)
def test_each_photograph_has_one_face_where_it_is(eyes: LocalEyes, name: str) -> None:
    eyes.reset()
    pixels = photograph(name)
    (face,) = eyes.look(framed(pixels)).faces
    height, width = pixels.shape[:2]
    found = (face.box.left * width, face.box.top * height, face.box.width * width, face.box.height * height)
    assert found == pytest.approx(BOXES[name], abs=12)


def test_one_man_is_near_himself_and_far_from_others(eyes: LocalEyes) -> None:
    embeddings = {}
    for name in BOXES:
        frame = framed(photograph(name))
        embeddings[name] = eyes.embed(frame, eyes.look(frame).faces[0])
    for one, other in combinations(BOXES, 2):
        cosine = float(embeddings[one] @ embeddings[other])
        if one in SAME and other in SAME:
            assert cosine > 0.7, (one, other)
        else:
            assert cosine < 0.3, (one, other)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("obama-smiling", 90, 100),
        ("collins-smiling", 90, 100),
        ("obama-speaking", 30, 50),
        ("obama-neutral", 0, 30),
        ("biden-neutral", 0, 15),
    ],
)
def test_smiles_are_on_the_right_side(eyes: LocalEyes, name: str, low: float, high: float) -> None:
    smile = look(eyes, photograph(name)).smile
    assert smile is not None
    assert low <= smile <= high


def test_the_strongest_emotion_of_a_smile_is_happy(eyes: LocalEyes) -> None:
    emotions = look(eyes, scene("collins-smiling")).emotions
    assert max(emotions, key=lambda emotion: emotions[emotion]) is Emotion.HAPPY
    assert sum(emotions.values()) == pytest.approx(100, abs=0.01)
    assert look(eyes, scene("biden-neutral")).emotions[Emotion.HAPPY] < 20


def test_a_speaking_mouth_is_open_and_a_closed_one_is_not(eyes: LocalEyes) -> None:
    speaking, neutral = (look(eyes, scene(name)).mouth_open for name in ("obama-speaking", "obama-neutral"))
    assert speaking is not None
    assert neutral is not None
    assert (speaking > 30, neutral < 10) == (True, True)


def test_the_mirror_turns_yaw_and_roll_around(eyes: LocalEyes) -> None:
    pixels = scene("biden-neutral")
    pose, mirrored = look(eyes, pixels).pose, look(eyes, pixels[:, ::-1]).pose
    assert pose is not None
    assert mirrored is not None
    assert pose.yaw > 8
    assert (mirrored.yaw, mirrored.roll) == (pytest.approx(-pose.yaw, abs=5), pytest.approx(-pose.roll, abs=3))


@pytest.mark.parametrize("name", ["biden-neutral", "obama-speaking"])
def test_a_nose_to_the_viewers_right_of_the_cheeks_middle_is_a_positive_yaw(eyes: LocalEyes, name: str) -> None:
    face = look(eyes, scene(name))
    assert face.mesh is not None
    assert face.pose is not None
    right_cheek, left_cheek, nose = (float(face.mesh[point, 0]) for point in (234, 454, 1))
    assert np.sign(nose - (right_cheek + left_cheek) / 2) == np.sign(face.pose.yaw)


@pytest.mark.parametrize("turn", [-20, 20])
def test_a_picture_turned_clockwise_is_a_positive_roll(eyes: LocalEyes, turn: int) -> None:
    pixels = scene("collins-smiling")
    upright = look(eyes, pixels).pose
    turned = cv2.warpAffine(pixels, cv2.getRotationMatrix2D((320, 240), -turn, 1), (640, 480))
    pose = look(eyes, turned).pose
    assert upright is not None
    assert pose is not None
    assert pose.roll - upright.roll == pytest.approx(turn, abs=4)


@pytest.mark.parametrize("name", BOXES)
def test_a_covered_mouth_lowers_presence(eyes: LocalEyes, name: str) -> None:
    pixels = scene(name)
    face = look(eyes, pixels)
    center = int(face.box.center[0] * 640), int((face.box.top + 0.8 * face.box.height) * 480)
    axes = int(face.box.width * 640 * 0.55), int(face.box.height * 480 * 0.33)
    covered = cv2.ellipse(pixels.copy(), center, axes, 0, 0, 360, (200, 180, 160), -1)
    assert face.quality.presence > 0.7
    assert look(eyes, covered).quality.presence < 0.5


def test_the_dark_lowers_brightness_and_not_sharpness(eyes: LocalEyes) -> None:
    pixels = scene("obama-smiling")
    day, night = look(eyes, pixels).quality, look(eyes, (pixels * 0.2).astype(np.uint8)).quality
    assert night.brightness == pytest.approx(0.2 * day.brightness, rel=0.1)
    assert night.sharpness == pytest.approx(day.sharpness, abs=8)


@pytest.mark.parametrize("name", BOXES)
@pytest.mark.parametrize("across", [True, False], ids=["sideways", "up and down"])
def test_motion_lowers_sharpness_whichever_way_it_goes(eyes: LocalEyes, name: str, across: bool) -> None:
    kernel = np.full((1, 9) if across else (9, 1), 1 / 9, np.float32)
    sharp = scene(name, 120)
    still, moved = look(eyes, sharp).quality, look(eyes, cv2.filter2D(sharp, -1, kernel)).quality
    assert still.sharpness > 50
    assert moved.sharpness < 35


def test_size_is_in_pixels_of_the_frame(eyes: LocalEyes) -> None:
    assert look(eyes, scene("collins-smiling", 100)).quality.size_px == pytest.approx(80, abs=10)


def test_the_whole_picture_has_a_brightness(eyes: LocalEyes) -> None:
    levels = [eyes.look(framed(np.full((48, 64, 3), level, np.uint8))).brightness for level in (0, 51, 255)]
    assert levels == pytest.approx([0, 20, 100], abs=0.1)


@pytest.mark.parametrize(("side", "once"), [(200, True), (50, False)])
def test_a_face_too_small_in_the_first_search_is_looked_for_again(side: int, once: bool) -> None:
    detector, pixels = Detector(), scene("obama-smiling", side)
    fast = detector.find(cv2.resize(pixels, (320, 240), interpolation=cv2.INTER_AREA))[0].row[:14] * 2
    (found,) = detector.find(pixels)
    assert np.allclose(found.row[:14], fast, atol=1e-2) is once
    assert found.box[3] == pytest.approx(side, rel=0.15)


def test_a_tiny_face_is_found_but_not_measured(eyes: LocalEyes) -> None:
    face = look(eyes, scene("obama-smiling", 24))
    assert (face.smile, face.pose, face.mesh, dict(face.emotions)) == (None, None, None, {})
    assert face.quality.size_px < 20


def test_no_more_than_the_two_largest_are_measured(eyes: LocalEyes) -> None:
    pixels = scene("obama-smiling", 160, 110)
    pixels[:, 220:430] = scene("collins-smiling", 130, 320)[:, 220:430]
    pixels[:, 430:] = scene("biden-neutral", 100, 530)[:, 430:]
    eyes.reset()
    faces = eyes.look(framed(pixels)).faces
    assert [face.smile is not None for face in faces] == [True, True, False]
    assert len({face.track for face in faces}) == 3


def test_without_emotions_the_smile_is_the_mouths(eyes: LocalEyes) -> None:
    plain = LocalEyes(emotions=False)
    pixels = scene("obama-neutral")
    face, judged = look(plain, pixels), look(eyes, pixels)
    plain.close()
    assert dict(face.emotions) == {}
    assert face.smile is not None
    assert judged.smile == pytest.approx((face.smile + judged.emotions[Emotion.HAPPY]) / 2, abs=0.5)


def test_importing_the_eyes_does_not_load_opencv() -> None:
    code = "import sys, smileaccess.vision.eyes; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_opencv_is_quiet_while_the_eyes_open() -> None:
    code = "from smileaccess.vision.eyes import LocalEyes; LocalEyes()"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stderr == b""
