"""The pure measures: pose, smile, occlusion, brightness, sharpness, and the networks' tables."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from smileaccess.errors import VisionFailed
from smileaccess.model import Emotion
from smileaccess.vision import blendshapes, occlusion
from smileaccess.vision.detector import Detection
from smileaccess.vision.embedding import Embedder
from smileaccess.vision.mesh import crop_transform
from smileaccess.vision.pose import head_pose
from smileaccess.vision.quality import brightness, quality, sharpness
from smileaccess.vision.smile import eyes_open, mouth_open, smile

if TYPE_CHECKING:
    from smileaccess.model import Vector


def head(yaw: float = 0, pitch: float = 0, roll: float = 0) -> Vector:
    """Return a mesh with four points of a flat face, turned: right, up and clockwise as its viewer sees it."""
    points = np.zeros((478, 3))
    points[[33, 263, 10, 152]] = [(-40, 0, 0), (40, 0, 0), (0, -60, 0), (0, 60, 0)]
    y, p, r = (math.radians(angle) for angle in (yaw, pitch, roll))
    across = [[math.cos(y), 0, -math.sin(y)], [0, 1, 0], [math.sin(y), 0, math.cos(y)]]
    upward = [[1, 0, 0], [0, math.cos(p), math.sin(p)], [0, -math.sin(p), math.cos(p)]]
    clockwise = [[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]]
    return (points @ np.array(upward).T @ np.array(across).T @ np.array(clockwise).T).astype(np.float32)


@pytest.mark.parametrize("angle", [-40, -5, 0, 25])
def test_yaw_and_roll_are_the_heads(angle: float) -> None:
    assert head_pose(head(yaw=angle)).yaw == pytest.approx(angle, abs=1e-3)
    assert head_pose(head(roll=angle)).roll == pytest.approx(angle, abs=1e-3)
    assert head_pose(head(roll=angle)).yaw == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("angle", "expected"), [(0, 6.2), (10, 12.1), (-20, -5.6)])
@pytest.mark.parametrize("roll", [0, 15])
def test_pitch_is_the_fit_of_the_slant(angle: float, expected: float, roll: float) -> None:
    assert head_pose(head(pitch=angle, roll=roll)).pitch == pytest.approx(expected, abs=1e-3)


def test_the_smile_is_the_mean_of_mouth_and_happiness() -> None:
    mouth = {"mouthSmileLeft": 0.5, "mouthSmileRight": 0.3}
    assert smile(mouth, {Emotion.HAPPY: 80.0, Emotion.CALM: 20.0}) == pytest.approx(60)
    assert smile(mouth, {}) == pytest.approx(40)


def test_eyes_and_mouth() -> None:
    assert eyes_open({"eyeBlinkLeft": 0.2, "eyeBlinkRight": 0.4}) == pytest.approx(70)
    assert mouth_open({"jawOpen": 0.25}) == pytest.approx(25)


def test_the_blendshapes_tables_are_whole() -> None:
    assert (len(blendshapes.NAMES), len(set(blendshapes.NAMES))) == (52, 52)
    assert (len(blendshapes.CHOSEN), len(set(blendshapes.CHOSEN)), max(blendshapes.CHOSEN)) == (146, 146, 477)


def test_expressions_do_not_depend_on_where_or_how_large_a_face_is() -> None:
    network = blendshapes.Blendshapes()
    points = np.random.default_rng(0).uniform(0, 100, (478, 3)).astype(np.float32)
    here, there = network.measure(points), network.measure(points * 3 + 50)
    assert list(here) == blendshapes.NAMES
    assert list(here.values()) == pytest.approx(list(there.values()), abs=1e-3)
    assert all(0 <= value <= 1 for value in here.values())


def test_blas_works_with_one_thread() -> None:
    """Several threads of it wait for each other by spinning, and take the door's time where other programs run."""
    with threadpool_limits(limits=2, user_api="blas"):
        blendshapes.Blendshapes()

        pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    assert set(pools) == {1}


def test_broken_weights_are_a_failure() -> None:
    with pytest.raises(VisionFailed, match="cannot be read"):
        blendshapes.Blendshapes(io.BytesIO(b"PK\x03\x04 and no more"))


def detected(left: float, top: float, width: float, height: float, tilt: float = 0.0) -> Detection:
    row = np.zeros(15, np.float32)
    row[:4] = left, top, width, height
    row[4:8] = left + 0.3 * width, top + 0.4 * height, left + 0.7 * width, top + 0.4 * height + tilt
    return Detection(row)


def test_the_mesh_crop_is_the_square_around_the_box() -> None:
    found = detected(100, 50, 80, 100)
    transform = crop_transform(found)
    corners = np.array([[140 - 65, 100 - 65, 1], [140 + 65, 100 + 65, 1]])
    assert (corners @ transform.T).reshape(-1).tolist() == pytest.approx([0, 0, 256, 256], abs=1e-3)


def test_the_mesh_crop_levels_the_eyes() -> None:
    found = detected(100, 50, 80, 100, tilt=20)
    eyes = np.column_stack([found.points[:2], [1, 1]]) @ crop_transform(found).T
    assert eyes[0, 1] == pytest.approx(eyes[1, 1], abs=1e-3)
    assert eyes[0, 0] < eyes[1, 0]


def test_presence_falls_with_each_of_its_signs() -> None:
    whole = occlusion.presence(0.94, 0.5, 0.5)
    assert whole > 0.9
    assert occlusion.presence(0.80, 0.5, 0.5) < 0.5
    assert occlusion.presence(0.94, 0.0, 0.5) < 0.5
    assert occlusion.presence(0.94, 0.5, 0.0) < 0.5


def test_contrast_is_where_something_is_to_be_seen() -> None:
    points = np.full((478, 2), 128.0, np.float32)
    points[[61, 291, 0, 17]] = [(100, 180), (156, 180), (128, 170), (128, 190)]
    points[[33, 133, 159, 145]] = [(80, 100), (110, 100), (95, 95), (95, 105)]
    points[[263, 362, 386, 374]] = [(176, 100), (146, 100), (160, 95), (160, 105)]
    crop = np.full((256, 256), 120, np.uint8)
    crop[176:184, 100:156] = 20
    mouth, eyes = occlusion.contrasts(crop, points)
    assert (mouth, eyes) == (0.5, 0.0)
    crop[98:102, 80:110] = 20
    assert occlusion.contrasts(crop, points)[1] == 0.0
    crop[98:102, 146:176] = 20
    assert occlusion.contrasts(crop, points)[1] > 0.4


def test_points_outside_the_crop_are_no_error() -> None:
    crop = np.random.default_rng(0).integers(0, 255, (256, 256), np.uint8)
    for places in (-50.0, 400.0):
        mouth, eyes = occlusion.contrasts(crop, np.full((478, 2), places, np.float32))
        assert (mouth >= 0, eyes >= 0) == (True, True)


def test_brightness_is_luma() -> None:
    assert brightness(np.full((4, 4, 3), (0, 255, 0), np.uint8)) == pytest.approx(58.7)
    assert brightness(np.full((4, 4, 3), (0, 0, 255), np.uint8)) == pytest.approx(29.9)


def test_a_plain_area_is_not_sharp() -> None:
    assert sharpness(np.full((50, 40, 3), 99, np.uint8)) == 0


def test_light_does_not_change_sharpness_and_blur_does() -> None:
    noise = np.random.default_rng(0).integers(0, 120, (112, 112, 3), np.uint8)
    assert sharpness(noise + 100) == pytest.approx(sharpness(noise), abs=0.5)
    assert sharpness(noise) > 90
    stripes = np.repeat(np.arange(112, dtype=np.uint8)[:, None], 112, axis=1)
    assert sharpness(np.dstack([stripes] * 3)) < 1


def test_a_box_beside_the_picture_has_no_quality() -> None:
    seen = quality(np.full((100, 100, 3), 200, np.uint8), detected(150, 20, 30, 40), 0.5)
    assert (seen.brightness, seen.sharpness, seen.size_px, seen.presence) == (0.0, 0.0, 30.0, 0.5)


def test_an_overhanging_box_is_judged_by_what_is_there() -> None:
    pixels = np.full((100, 100, 3), 0, np.uint8)
    pixels[:, 80:] = 255
    assert quality(pixels, detected(90, 20, 60, 40), 0.5).brightness == pytest.approx(100)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_points_that_are_none_fail(value: float) -> None:
    with pytest.raises(VisionFailed):
        Embedder().embed(np.zeros((20, 20, 3), np.uint8), np.full((5, 2), value, np.float32))
