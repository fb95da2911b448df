"""Tracks: what keeps one, what breaks one, and that nothing else ever happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smileaccess.model import Box
from smileaccess.vision.continuity import HEIGHT, WIDTH
from smileaccess.vision.tracking import GROWTH, GROWTH_SLACK, MOST_S, SLACK, SPEED, STEP_S, Tracker, follows

if TYPE_CHECKING:
    from smileaccess.model import Pixels, Vector

STEP = 0.1
SPOTS = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))


Face = tuple[Box, tuple[tuple[float, float], ...]]


def face(x: float = 0.5, y: float = 0.5, size: float = 0.2) -> Face:
    box = Box(x - size / 2, y - size / 2, size, size)
    return box, tuple((box.left + a * size, box.top + b * size) for a, b in SPOTS)


def test_ids_begin_at_one_and_a_still_face_keeps_its_own() -> None:
    tracker = Tracker()
    assert [tracker.update([face()], n * STEP) for n in range(5)] == [[1]] * 5


def test_two_faces_that_change_places_in_the_list_keep_their_ids() -> None:
    tracker = Tracker()
    assert tracker.update([face(0.3), face(0.7)], 0.0) == [1, 2]
    assert tracker.update([face(0.7), face(0.3)], STEP) == [2, 1]


@pytest.mark.parametrize(("missed_s", "expected"), [(0.39, 1), (0.41, 2)])
def test_a_face_may_be_missed_for_a_short_while(missed_s: float, expected: int) -> None:
    tracker = Tracker()
    tracker.update([face()], 0.0)
    tracker.update([], STEP)
    assert tracker.update([face()], STEP + missed_s) == [expected]


@pytest.mark.parametrize(("apart_s", "expected"), [(STEP_S - 0.01, 1), (STEP_S + 0.01, 2)])
def test_frames_may_be_far_apart_but_not_too_far(apart_s: float, expected: int) -> None:
    tracker = Tracker()
    tracker.update([face()], 0.0)
    assert tracker.update([face()], apart_s) == [expected]


def test_more_than_the_longest_time_allows_no_more_movement() -> None:
    near, far = SLACK + SPEED * MOST_S - 0.4, SLACK + SPEED * MOST_S + 0.1
    before, points = face(0.0, size=1.0)
    spread = tuple((x, y + near) for x, y in points)
    assert follows(before, points, before, spread, elapsed_s=10.0)
    assert not follows(before, points, before, tuple((x, y + far) for x, y in points), elapsed_s=10.0)


@pytest.mark.parametrize(("sizes", "expected"), [(SLACK + SPEED * STEP - 0.02, 1), (SLACK + SPEED * STEP + 0.02, 2)])
def test_a_face_moves_only_so_fast(sizes: float, expected: int) -> None:
    tracker = Tracker()
    tracker.update([face(0.4)], 0.0)
    assert tracker.update([face(0.4 + sizes * 0.2)], STEP) == [expected]


def test_a_face_may_move_farther_in_more_time() -> None:
    moved = face(0.4 + 0.2 * 0.7)
    assert not follows(*face(0.4), *moved, elapsed_s=0.1)
    assert follows(*face(0.4), *moved, elapsed_s=0.2)


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (2.718281828 ** (GROWTH_SLACK + GROWTH * STEP - 0.02), 1),
        (2.718281828 ** (GROWTH_SLACK + GROWTH * STEP + 0.02), 2),
    ],
)
def test_a_face_grows_only_so_fast(factor: float, expected: int) -> None:
    tracker = Tracker()
    tracker.update([face()], 0.0)
    assert tracker.update([face(size=0.2 * factor)], STEP) == [expected]


def test_a_landmark_that_jumps_within_the_box_breaks_the_track() -> None:
    tracker = Tracker()
    box, points = face()
    tracker.update([(box, points)], 0.0)
    nose = (points[2][0] + 0.2 * (SLACK + SPEED * STEP + 0.02), points[2][1])
    assert tracker.update([(box, (*points[:2], nose, *points[3:]))], STEP) == [2]


@pytest.mark.parametrize("at", [1.0, 0.5], ids=["the same time", "an earlier time"])
def test_time_that_does_not_go_forward_breaks_the_track(at: float) -> None:
    tracker = Tracker()
    tracker.update([face()], 1.0)
    assert tracker.update([face()], at) == [2]


def test_after_a_reset_ids_go_on() -> None:
    tracker = Tracker()
    tracker.update([face()], 0.0)
    tracker.reset()
    assert tracker.update([face()], STEP) == [2]


def test_a_box_without_an_extent_follows_nothing() -> None:
    nothing = Box(0.5, 0.5, 0.0, 0.0), ((0.5, 0.5),) * 5
    assert Tracker().update([nothing, nothing], 0.0) == [1, 2]
    assert not follows(*nothing, *nothing, elapsed_s=0.1)


def stripes(share: float = 0.0) -> Pixels:
    """Return a view; `share` of it has turned from upright stripes to level ones."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    waves = np.sin(columns / 3) * (1 - share) + np.sin(rows / 3) * share
    return (128 + 90 * waves / np.abs(waves).max()).astype(np.uint8)


def test_a_face_cut_into_another_in_the_same_place_breaks_the_track() -> None:
    """Box and landmarks alone would go on."""
    tracker = Tracker()
    views = [stripes(), stripes(), stripes(1.0), stripes(1.0)]
    assert [tracker.update([face()], n * STEP, [view]) for n, view in enumerate(views)] == [[1], [1], [2], [2]]


def test_a_face_that_changes_bit_by_bit_keeps_its_track() -> None:
    tracker = Tracker()
    views = [stripes(share) for share in np.linspace(0, 1, 21)]
    assert {id_ for n, view in enumerate(views) for id_ in tracker.update([face()], n * STEP, [view])} == {1}


def test_the_first_picture_does_not_get_its_track_back() -> None:
    """A face may be missed for GAP_S, but not for another one in its place."""
    tracker = Tracker()
    views = [stripes(), stripes(1.0), stripes()]
    assert [tracker.update([face()], n * STEP, [view]) for n, view in enumerate(views)] == [[1], [2], [3]]


@pytest.mark.parametrize("unseen", [[], [face()]], ids=["missed", "not measured"])
def test_a_face_without_a_view_goes_on_and_is_compared_with_its_last_one(unseen: list[Face]) -> None:
    for later, expected in ((stripes(), 1), (stripes(1.0), 2)):
        tracker = Tracker()
        tracker.update([face()], 0.0, [stripes()])
        assert tracker.update(unseen, STEP, [None] * len(unseen)) == [1] * len(unseen)
        assert tracker.update([face()], 2 * STEP, [later]) == [expected]


@pytest.mark.parametrize(("elapsed_s", "expected"), [(STEP, 2), (0.9, 1)])
def test_time_out_of_sight_allows_no_more_than_the_longest_time(elapsed_s: float, expected: int) -> None:
    """Much of a change goes on between two frames that are far apart; not where a frame between them missed it."""
    much = stripes(0.6)
    tracker = Tracker()
    tracker.update([face()], 0.0, [stripes()])
    assert tracker.update([face()], elapsed_s, [much]) == [expected]
    tracker = Tracker()
    tracker.update([face()], 0.0, [stripes()])
    tracker.update([], 0.45)
    assert tracker.update([face()], 0.8, [much]) == [2]


def bent(by: float) -> Vector:
    """Return a mesh of which a part is moved by this, in distances between the eyes; the whole of it is turned too."""
    random = np.random.default_rng(1)
    points = random.normal(0, 1, (478, 3))
    points[[33, 133]], points[[263, 362]] = (-0.5, 0, 0), (0.5, 0, 0)
    points[300:350, 1] += by
    angle = by  # a head that turns as well
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    return (40 * points @ turn + 200).astype(np.float32)


@pytest.mark.parametrize(("by", "expected"), [(0.1, 1), (0.6, 2)])
def test_a_mesh_that_bends_as_no_face_does_begins_a_new_track(by: float, expected: int) -> None:
    """Where the pictures are too dim or too alike to tell, the points may tell: little is an expression."""
    tracker = Tracker()
    tracker.update([face()], 0.0, [None], [bent(0.0)])
    assert tracker.update([face()], STEP, [None], [bent(by)]) == [expected]


def test_a_mesh_that_bends_in_steps_keeps_its_track() -> None:
    """The same change in ten steps is a face that changes."""
    tracker = Tracker()
    ids = [tracker.update([face()], n * STEP, None, [bent(0.06 * n)]) for n in range(11)]
    assert ids == [[1]] * 11


def test_a_mesh_missed_for_a_while_is_compared_with_the_last_one() -> None:
    """A frame without a mesh hides no swap."""
    tracker = Tracker()
    tracker.update([face()], 0.0, None, [bent(0.0)])
    tracker.update([face()], STEP, None, [None])
    assert tracker.update([face()], 2 * STEP, None, [bent(0.9)]) == [2]


PLACES = st.tuples(st.floats(0.1, 0.9), st.floats(0.1, 0.9), st.floats(0.05, 0.5))
FRAMES = st.lists(st.tuples(st.floats(0.01, 1.0), st.lists(PLACES, max_size=4)), max_size=12)


@given(FRAMES)
def test_whatever_comes_a_track_is_unbroken_and_no_id_returns(
    frames: list[tuple[float, list[tuple[float, float, float]]]],
) -> None:
    tracker, at = Tracker(), 0.0
    last: dict[int, tuple[float, Face]] = {}
    for elapsed, places in frames:
        at += elapsed
        faces = [face(*place) for place in places]
        ids = tracker.update(faces, at)
        assert len(ids) == len(set(ids)) == len(faces)
        for id_, seen in zip(ids, faces, strict=True):
            if id_ in last:
                before, where = last[id_]
                assert at - before <= STEP_S
                assert follows(*where, *seen, elapsed_s=at - before)
            else:
                assert id_ > max(last, default=0)
            last[id_] = at, seen


@given(st.lists(st.tuples(st.floats(-0.4, 0.4), st.floats(0.02, 0.2)), min_size=1, max_size=30))
def test_a_face_that_moves_as_a_face_does_is_never_lost(steps: list[tuple[float, float]]) -> None:
    tracker, at, x = Tracker(), 0.0, 0.5
    tracker.update([face(x)], at)
    for speed, elapsed in steps:
        at, x = at + elapsed, x + speed * elapsed
        assert tracker.update([face(x)], at) == [1]
