"""The Vision port's contract, held by the fake and by the real eyes on real photographs alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from smileaccess.errors import VisionFailed
from smileaccess.vision.eyes import LocalEyes
from tests.fakes_vision import FakeVision, Painted, beside, framed, painting, scene

if TYPE_CHECKING:
    from smileaccess.model import Face, Pixels
    from smileaccess.ports import Vision


@dataclass(frozen=True)
class World:
    """One kind of eyes and the pictures that they understand."""

    vision: Vision
    one: Callable[[int, int], Pixels]
    again: Pixels
    other: Pixels
    both: Pixels
    empty: Pixels


def painted() -> World:
    return World(
        FakeVision(),
        lambda x, side: painting(Painted(1, x=x, side=side)),
        again=painting(Painted(1, smiling=True)),
        other=painting(Painted(2)),
        both=painting(Painted(1, x=170, side=200), Painted(2, x=490)),
        empty=painting(),
    )


def photographed() -> World:
    return World(
        LocalEyes(),
        lambda x, side: scene("obama-neutral", side, x),
        again=scene("obama-smiling"),
        other=scene("collins-smiling"),
        both=beside("obama-neutral", "collins-smiling"),
        empty=np.full((480, 640, 3), 90, np.uint8),
    )


@pytest.fixture(params=[painted, photographed])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = request.param()
    yield world
    world.vision.close()


def only(world: World, pixels: Pixels, sequence: int = 1) -> Face:
    (face,) = world.vision.look(framed(pixels, sequence)).faces
    return face


def test_an_empty_picture_has_no_face(world: World) -> None:
    sight = world.vision.look(framed(world.empty))
    assert sight.faces == ()
    assert 0 <= sight.brightness <= 100


def test_a_sight_holds_its_frame(world: World) -> None:
    frame = framed(world.one(320, 200))
    assert world.vision.look(frame).frame is frame


def test_a_face_is_where_it_is(world: World) -> None:
    face = only(world, world.one(240, 200))
    x, y = face.box.center
    assert (x * 640, y * 480) == (pytest.approx(240, abs=15), pytest.approx(240, abs=15))
    assert face.box.height * 480 == pytest.approx(200, rel=0.15)


def test_landmarks_are_the_persons_right_eye_first(world: World) -> None:
    right_eye, left_eye, nose, right_corner, left_corner = only(world, world.one(320, 200)).landmarks
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_corner[0] < left_corner[0]
    assert right_eye[1] < nose[1] < right_corner[1]


def test_what_is_measured_is_in_its_range(world: World) -> None:
    face = only(world, world.one(320, 200))
    percents = [face.smile, face.eyes_open, face.mouth_open, face.quality.brightness, face.quality.sharpness]
    assert all(value is not None and 0 <= value <= 100 for value in percents)
    assert 0 <= face.quality.presence <= 1
    assert 0 < face.score <= 1
    assert sum(face.emotions.values()) == pytest.approx(100, abs=0.01)
    assert face.mesh is not None
    assert face.mesh.shape == (478, 2)
    assert face.pose is not None


def test_the_largest_face_comes_first(world: World) -> None:
    faces = world.vision.look(framed(world.both)).faces
    assert len(faces) == 2
    assert faces[0].box.area > faces[1].box.area
    assert faces[0].box.center[0] < 0.5


def test_a_face_that_moves_a_little_keeps_its_track(world: World) -> None:
    tracks = [only(world, world.one(300 + 6 * n, 200), n + 1).track for n in range(4)]
    assert tracks == tracks[:1] * 4


def test_a_face_that_jumps_gets_another_track(world: World) -> None:
    before = only(world, world.one(150, 150), 1).track
    assert only(world, world.one(480, 150), 2).track != before


def test_two_faces_have_two_tracks(world: World) -> None:
    one, other = world.vision.look(framed(world.both)).faces
    assert one.track != other.track


def test_reset_ends_the_tracks_and_their_ids_are_not_used_again(world: World) -> None:
    tracks = []
    for sequence in range(1, 4):
        tracks.append(only(world, world.one(320, 200), sequence).track)
        world.vision.reset()
    assert len(set(tracks)) == 3


def test_an_embedding_is_a_unit_vector(world: World) -> None:
    frame = framed(world.one(320, 200))
    embedding = world.vision.embed(frame, world.vision.look(frame).faces[0])
    assert (embedding.shape, embedding.dtype) == ((128,), np.float32)
    assert float(np.linalg.norm(embedding)) == pytest.approx(1, abs=1e-5)


def test_one_person_is_near_and_another_far(world: World) -> None:
    frames = [framed(pixels, n) for n, pixels in enumerate((world.one(320, 200), world.again, world.other), 1)]
    one, again, other = (world.vision.embed(frame, world.vision.look(frame).faces[0]) for frame in frames)
    assert float(one @ again) > 0.7
    assert float(one @ other) < 0.3


def test_embedding_beside_looking_gives_the_same(world: World) -> None:
    frame = framed(world.one(320, 200))
    face = world.vision.look(frame).faces[0]
    alone = world.vision.embed(frame, face)
    beside: list[object] = []
    thread = threading.Thread(target=lambda: beside.extend(world.vision.embed(frame, face) for _ in range(3)))
    thread.start()
    seen = [len(world.vision.look(framed(world.one(320, 200), n)).faces) for n in range(2, 6)]
    thread.join(30)
    assert seen == [1] * 4
    assert len(beside) == 3
    assert all(np.array_equal(alone, one) for one in beside)


def test_a_model_has_a_name(world: World) -> None:
    assert world.vision.model


@pytest.mark.parametrize("pixels", [np.zeros((480, 640), np.uint8), np.zeros((480, 640, 3), np.float32)])
def test_what_is_no_picture_is_refused(world: World, pixels: Pixels) -> None:
    with pytest.raises(VisionFailed):
        world.vision.look(framed(pixels))


def test_closed_eyes_see_nothing_more(world: World) -> None:
    frame = framed(world.one(320, 200))
    face = world.vision.look(frame).faces[0]
    world.vision.close()
    world.vision.close()
    with pytest.raises(VisionFailed):
        world.vision.look(frame)
    with pytest.raises(VisionFailed):
        world.vision.embed(frame, face)
