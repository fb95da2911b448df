"""What is taken for a cut from picture to picture and what for a face that changes, measured and by the limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from smileaccess.demo.morph import Portrait, framed, morphed
from smileaccess.demo.scenes import Scene
from smileaccess.model import Frame
from smileaccess.vision.continuity import (
    BENT,
    BENT_RATE,
    HEIGHT,
    LEAST,
    RATE,
    WIDTH,
    bend,
    continues,
    difference,
    keeps_shape,
    view,
)
from smileaccess.vision.eyes import LocalEyes
from tests.fakes_vision import photograph
from tests.portraits import grainy, portrait

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smileaccess.model import Pixels, Vector

CUE_S = 1.0
NEUTRAL, SMILING, SPEAKING = "obama-neutral", "obama-smiling", "obama-speaking"


def tracks(eyes: LocalEyes, pictures: Sequence[Pixels], fps: float) -> list[int]:
    """Return the track of the largest face in each picture, 1 for the first one's."""
    eyes.reset()
    sights = [eyes.look(Frame(pixels, number + 1, number / fps)) for number, pixels in enumerate(pictures)]
    ids = [sight.faces[0].track for sight in sights]
    return [id_ - ids[0] + 1 for id_ in ids]


def texture(seed: int, share: float = 0.0) -> Pixels:
    """Return a view of soft spots, mixed with `share` of another one's."""
    random = np.random.default_rng(seed)
    one, other = (cv2.GaussianBlur(random.normal(0, 1, (HEIGHT, WIDTH)), (0, 0), 4) for _ in range(2))
    mixed = one * (1 - share) + other * share
    return (128 + 40 * mixed / mixed.std()).clip(0, 255).astype(np.uint8)


def mesh(x: float = 128.0, y: float = 100.0, distance: float = 80.0, degrees: float = 0.0) -> Vector:
    """Return a mesh of 478 points of which only the eyes' corners are anywhere: around (x, y), so far apart."""
    points = np.zeros((478, 3), np.float32)
    reach = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]) * distance / 2
    points[[33, 133], :2] = np.array([x, y]) - reach
    points[[263, 362], :2] = np.array([x, y]) + reach
    return points


def drawn(x: float = 128.0, y: float = 100.0, distance: float = 80.0, degrees: float = 0.0) -> Pixels:
    """Return a crop with two eyes and a mouth where such a mesh lies."""
    crop = np.full((256, 256), 150, np.uint8)
    turn = cv2.getRotationMatrix2D((0, 0), -degrees, distance / 80)
    for dx, dy, radius in ((-40, 0, 12), (40, 0, 12), (0, 80, 20)):
        place = turn[:, :2] @ (dx, dy) + (x, y)
        cv2.circle(crop, (round(place[0]), round(place[1])), round(radius * distance / 80), 40, cv2.FILLED)
    return crop


def test_a_view_is_the_same_wherever_and_however_large_the_face_is() -> None:
    """Place, size and roll of the face are taken out."""
    one, other = view(drawn(), mesh()), view(drawn(120, 110, 60, 15), mesh(120, 110, 60, 15))
    assert one is not None
    assert other is not None
    assert one.shape == other.shape == (HEIGHT, WIDTH)
    assert difference(one, other) < 0.03


@pytest.mark.parametrize(("deviation", "told"), [(1.0, False), (3.0, True)])
def test_a_view_too_flat_to_tell_is_none(deviation: float, told: bool) -> None:
    """In the dark there is only noise, which would be a cut in every frame."""
    crop = cv2.resize(texture(1), (256, 256)).astype(np.float64)
    faint = 20 + (crop - crop.mean()) / crop.std() * deviation
    assert (view(faint.round().astype(np.uint8), mesh()) is not None) is told


def head(seed: int = 1) -> Vector:
    """Return a mesh of points all over, the eyes' corners where eyes are."""
    points = 30 * np.random.default_rng(seed).normal(0, 1, (478, 3))
    points[[33, 133]], points[[263, 362]] = (-40, 0, 0), (40, 0, 0)
    return points.astype(np.float32)


def turned(points: Vector, yaw: float, scale: float = 1.0) -> Vector:
    sin, cos = np.sin(np.radians(yaw)), np.cos(np.radians(yaw))
    return (scale * points @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]) + (9, 5, 2)).astype(np.float32)


@pytest.mark.parametrize("yaw", [0, 10, 25])
def test_a_head_that_turns_and_comes_nearer_does_not_bend(yaw: float) -> None:
    """Turn, place and size are a rigid body's."""
    assert bend(head(), turned(head(), yaw, 1.3)) < 0.001


def test_a_mirror_image_and_another_head_are_bent() -> None:
    """Neither is the same body turned."""
    assert bend(head(), head() * (-1, 1, 1)) > 0.1
    assert bend(head(), head(2)) > 0.1


def test_the_bend_is_the_points_mean_distance_in_eye_distances() -> None:
    """One point in ten moved by an eye distance is a tenth, less what the fit takes up."""
    moved = head()
    moved[200:248, 1] += 80
    assert 0.08 < bend(head(), moved) < 0.2


@pytest.mark.parametrize("elapsed_s", [1 / 15, 0.1, 0.25])
def test_a_mesh_may_bend_up_to_the_limit_and_no_farther(elapsed_s: float) -> None:
    """What is allowed is BENT, and BENT_RATE for every second."""
    allowed = []
    for share in np.linspace(0, 1.5, 61):
        moved = head()
        moved[200:248, 1] += 80 * share
        allowed.append(keeps_shape(head(), moved, elapsed_s))
        assert allowed[-1] == (bend(head(), moved) <= BENT + BENT_RATE * elapsed_s)
    assert set(allowed) == {True, False}


@pytest.mark.parametrize("wrong", [np.zeros((478, 3), np.float32), np.full((478, 3), np.nan, np.float32)])
def test_a_mesh_gone_wrong_is_no_face(wrong: Vector) -> None:
    """Whatever the network gave, it is an answer and no error."""
    assert bend(head(), wrong) == float("inf")


def test_eyes_in_one_point_have_no_view() -> None:
    """A mesh gone wrong is no error."""
    assert view(drawn(), mesh(distance=0.0)) is None


def test_the_light_makes_no_difference_and_another_picture_makes_all() -> None:
    """A gain of the light is not counted; two unrelated views are about 1 apart, a negative more."""
    one = texture(1)
    assert difference(one, cv2.convertScaleAbs(one, alpha=0.8)) < 0.001
    assert difference(one, np.roll(one, 2, axis=0)) < 0.01
    assert difference(one, texture(2)) > 0.5
    assert difference(one, 255 - one) > 1.0


@pytest.mark.parametrize("elapsed_s", [1 / 15, 0.1, 0.25])
def test_a_change_goes_on_up_to_the_limit_and_no_farther(elapsed_s: float) -> None:
    """What is allowed is LEAST, and RATE for every second."""
    one = texture(1)
    shares = np.linspace(0, 1, 201)
    differences = [difference(one, texture(1, share)) for share in shares]
    allowed = [continues(one, texture(1, share), elapsed_s) for share in shares]
    assert allowed == [apart <= LEAST + RATE * elapsed_s for apart in differences]
    assert set(allowed) == {True, False}


@pytest.mark.parametrize("number", [1, 8])
@pytest.mark.parametrize(("fps", "begin_s"), [(15, 1.3), (7, 1.0), (4, 0.9), (4, 1.0), (3, 0.9)])
def test_a_smile_that_comes_keeps_its_track(
    eyes: LocalEyes, scenes: dict[int, Scene], number: int, fps: int, begin_s: float
) -> None:
    """The scenes' faces change within 0.7 s; as few as three frames a second see it as one face."""
    times = [begin_s + place / fps for place in range(round(1.0 * fps) + 2)]
    pictures = [scenes[number].clip.picture(at, at - CUE_S if at >= CUE_S else None) for at in times]
    assert len(set(tracks(eyes, pictures, fps))) == 1


@pytest.mark.parametrize("spoiled", ["flicker", "noise", "shake"])
def test_flicker_noise_and_a_moving_head_break_nothing(eyes: LocalEyes, scenes: dict[int, Scene], spoiled: str) -> None:
    """A fifth of the light that comes and goes, strong noise, a few pixels from frame to frame: during a smile."""
    random = np.random.default_rng(5)
    pictures = [scenes[1].clip.picture(at, at - CUE_S) for at in np.arange(1.3, 2.2, 0.1)]
    for place, pixels in enumerate(pictures):
        if spoiled == "flicker":
            pictures[place] = cv2.convertScaleAbs(pixels, alpha=0.8 if place % 2 else 1.0)
        elif spoiled == "noise":
            pictures[place] = grainy(pixels, random, 12.0)
        else:
            shift = np.column_stack([np.eye(2), random.uniform(-4, 4, 2)])
            pictures[place] = cv2.warpAffine(pixels, shift, (640, 480), borderMode=cv2.BORDER_REFLECT_101)
    assert len(set(tracks(eyes, pictures, 10))) == 1


def by_hand(random: np.random.Generator, name: str, reach: float) -> Pixels:
    """Return the picture as a hand holds it there, up to `reach` pixels away."""
    shift = tuple(random.uniform(-reach, reach, 2))
    scale, turn, light = random.uniform(0.95, 1.05), random.uniform(-2, 2), random.uniform(0.8, 1.2)
    return grainy(portrait(name, shift=(shift[0], shift[1]), scale=scale, turn=turn, light=light), random)


@pytest.mark.parametrize(("before", "after"), [(NEUTRAL, SMILING), (NEUTRAL, SPEAKING), (SPEAKING, SMILING)])
@pytest.mark.parametrize("seed", range(4))
def test_two_photographs_cut_into_each_other_are_two_tracks(
    eyes: LocalEyes, before: str, after: str, seed: int
) -> None:
    """Held by hand, up to 20 pixels apart, at 15 to 3 frames a second: what follows the cut is another track."""
    random = np.random.default_rng(seed)
    pictures = [by_hand(random, name, 3.0 if seed % 2 else 20.0) for name in (before, after)]
    calm = [grainy(pictures[0], random) for _ in range(2)]
    assert tracks(eyes, [*calm, pictures[1], grainy(pictures[1], random)], (15, 7, 4, 3)[seed]) == [1, 1, 2, 2]


@pytest.mark.parametrize(("share", "expected"), [(1 / 3, 1), (2 / 3, 2)])
def test_a_mouth_that_is_open_all_at_once_is_another_track(eyes: LocalEyes, share: float, expected: int) -> None:
    """Two thirds of the way from a calm face to a speaking one, from one frame to the next: the mesh tells it."""
    calm, speaking = (framed(measured(eyes, name), (640, 480), (320, 240), 158) for name in (NEUTRAL, SPEAKING))
    stages = morphed(calm, speaking, 30)
    assert tracks(eyes, [stages[0], stages[round(30 * share)]], 15)[-1] == expected


def measured(eyes: LocalEyes, name: str) -> Portrait:
    """Return a photograph with its mesh."""
    pixels = photograph(name)
    eyes.reset()
    mesh = eyes.look(Frame(pixels, 1, 0.0)).faces[0].mesh
    assert mesh is not None
    return Portrait(pixels, (mesh * pixels.shape[1::-1]).astype(np.float32))


def test_a_photograph_that_comes_back_is_a_third_track(eyes: LocalEyes) -> None:
    """Back and forth within the time that a face may be missed for."""
    calm, smiling = portrait(NEUTRAL), portrait(SMILING)
    assert tracks(eyes, [calm, smiling, calm], 15) == [1, 2, 3]


@pytest.mark.parametrize("hidden", ["black", "dim"])
def test_a_photograph_swapped_out_of_sight_is_another_track(eyes: LocalEyes, hidden: str) -> None:
    """A third of a second without a face, or with one that is too dim to tell, hides no cut."""
    calm, smiling = portrait(NEUTRAL), portrait(SMILING)
    between = np.zeros_like(calm) if hidden == "black" else cv2.convertScaleAbs(calm, alpha=0.06)
    eyes.reset()
    shown = [calm, *[between] * 5, smiling]
    sights = [eyes.look(Frame(pixels, number + 1, number / 15)) for number, pixels in enumerate(shown)]
    first, last = sights[0].faces[0], sights[-1].faces[0]
    assert last.track != first.track
