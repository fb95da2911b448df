"""Says which face of a frame is the same as one of the frame before; pure, finds no face itself and reads no clock.

A track is unbroken: one face, seen again and again, that never moves or changes as no face does. Whatever is doubtful
gets a new track, because identity, smile and liveness of a track are taken for one person's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from smileaccess.model import Box
from smileaccess.vision.continuity import continues, keeps_shape

if TYPE_CHECKING:
    from smileaccess.model import Pixels, Vector

Points = Sequence[tuple[float, float]]

GAP_S = 0.4
"""A face that the detector misses, from the first frame without it on, for no longer than this keeps its track (a blink
of the detector, not a change of persons: that takes longer, or shows as a jump)."""

STEP_S = 1.0
"""A face that was last seen longer ago than this has no track any more, however few frames there were in between: on a
small machine under load the eyes may see three frames a second."""

OVERLAP = 0.1
"""The least intersection over union of the two boxes."""

SPEED = 4.0
"""The most that a face moves, in its own sizes a second: about 0.6 m/s for a face 0.15 m wide, a quick turn of the
head of somebody who stands before a door."""

MOST_S = 0.25
"""The longest time, in seconds, that a movement at SPEED and GROWTH is allowed for, and a change of the face that was
out of sight meanwhile: whoever covers the camera while a picture is changed gains nothing."""

SLACK = 0.12
"""What the detector may wander from frame to frame while the face stands still, in sizes of the face."""

GROWTH = 2.0
"""The most that the logarithm of a face's size changes in a second: 0.6 m/s toward a camera 0.3 m away."""

GROWTH_SLACK = 0.15
"""What the detector's box may breathe from frame to frame, as a logarithm."""


@dataclass(frozen=True, slots=True, eq=False)
class _Track:
    """`view` and `mesh` are the last ones there were, taken at `viewed_at` and `meshed_at`."""

    id: int
    box: Box
    points: tuple[tuple[float, float], ...]
    seen_at: float
    missed_at: float | None = None
    view: Pixels | None = None
    viewed_at: float = -math.inf
    mesh: Vector | None = None
    meshed_at: float = -math.inf


class Tracker:
    """Gives every face of a sequence of frames its track's id, from 1, never the same for two tracks."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._tracks: list[_Track] = []
        self._last = -math.inf

    def update(
        self,
        faces: Sequence[tuple[Box, Points]],
        at: float,
        views: Sequence[Pixels | None] | None = None,
        meshes: Sequence[Vector | None] | None = None,
    ) -> list[int]:
        """Return the track of each face of the next frame.

        `faces` are boxes and their landmarks as in model.Face, in fractions of the frame; `at` is the frame's time
        in seconds; `views` and `meshes` are the faces as in smileaccess.vision.continuity, None where there is none.
        Time that does not go forward breaks every track. Of several pairings the one with the most overlap counts
        first, each track and each face once. A track whose face was cut into another is over: it does not come back
        with the picture.
        """
        if at <= self._last:
            self.reset()
        self._last = at
        nothing = [None] * len(faces)
        seen = [
            _Track(0, box, tuple(points), at, None, view, at, mesh, at)
            for (box, points), view, mesh in zip(faces, views or nothing, meshes or nothing, strict=True)
        ]
        alive = [track for track in self._tracks if _alive(track, at)]
        known, cut = _pair(alive, seen)
        here = [_next(known.get(place), face, self._ids) for place, face in enumerate(seen)]
        gone = cut | {track.id for track in known.values()}
        self._tracks = here + [_missed(track, at) for track in alive if track.id not in gone]
        return [track.id for track in here]

    def reset(self) -> None:
        """Forget every track; their ids stay used."""
        self._tracks = []
        self._last = -math.inf


def _pair(tracks: Sequence[_Track], faces: Sequence[_Track]) -> tuple[dict[int, _Track], set[int]]:
    """Return the track of each place among `faces` that has one, and the ids of those that were cut."""
    near = [
        (track.box.overlap(face.box), track, place)
        for track in tracks
        for place, face in enumerate(faces)
        if follows(track.box, track.points, face.box, face.points, face.seen_at - track.seen_at)
    ]
    known: dict[int, _Track] = {}
    cut = set[int]()
    for _, track, place in sorted(near, key=lambda pair: (-pair[0], pair[1].id, pair[2])):
        if not _continued(track, faces[place]):
            cut.add(track.id)
        elif place not in known and track not in known.values():
            known[place] = track
    return known, cut - {track.id for track in known.values()}


def _continued(track: _Track, face: _Track) -> bool:
    return _looks_on(track, face) and _keeps_shape(track, face)


def _looks_on(track: _Track, face: _Track) -> bool:
    if track.view is None or face.view is None:
        return True
    return continues(track.view, face.view, _changed_s(track, track.viewed_at, face))


def _keeps_shape(track: _Track, face: _Track) -> bool:
    if track.mesh is None or face.mesh is None:
        return True
    return keeps_shape(track.mesh, face.mesh, _changed_s(track, track.meshed_at, face))


def _changed_s(track: _Track, looked_at: float, face: _Track) -> float:
    """Return the time, in seconds, that a change since the last look is allowed for."""
    elapsed_s = face.seen_at - looked_at
    in_sight = track.missed_at is None and looked_at == track.seen_at
    return elapsed_s if in_sight else min(elapsed_s, MOST_S)


def _next(track: _Track | None, face: _Track, ids: Iterator[int]) -> _Track:
    """Return the face as its track's latest; a face without a view or a mesh keeps the one that its track had."""
    if track is None:
        return replace(face, id=next(ids))
    if face.view is None:
        face = replace(face, view=track.view, viewed_at=track.viewed_at)
    if face.mesh is None:
        face = replace(face, mesh=track.mesh, meshed_at=track.meshed_at)
    return replace(face, id=track.id)


def _alive(track: _Track, at: float) -> bool:
    missed_s = 0.0 if track.missed_at is None else at - track.missed_at
    return missed_s <= GAP_S and at - track.seen_at <= STEP_S


def _missed(track: _Track, at: float) -> _Track:
    return track if track.missed_at is not None else replace(track, missed_at=at)


def follows(before: Box, points_before: Points, box: Box, points: Points, elapsed_s: float) -> bool:
    """Say whether one face can have gone from one place to the other in the time.

    The boxes overlap, neither middle nor landmarks moved farther than SLACK + SPEED x time (in sizes of the face),
    and the size changed by no more than GROWTH_SLACK + GROWTH x time; a time beyond MOST_S allows no more than that,
    since who stands before a door does not go on moving at the most.
    """
    elapsed_s = min(elapsed_s, MOST_S)
    if min(before.width, before.height, box.width, box.height) <= 0 or before.overlap(box) < OVERLAP:
        return False
    if _growth(before, box) > GROWTH_SLACK + GROWTH * elapsed_s:
        return False
    places = zip((before.center, *points_before), (box.center, *points), strict=True)
    return max(_moved(one, other, before, box) for one, other in places) <= SLACK + SPEED * elapsed_s


def _growth(before: Box, box: Box) -> float:
    return max(abs(math.log(box.width / before.width)), abs(math.log(box.height / before.height)))


def _moved(one: tuple[float, float], other: tuple[float, float], before: Box, box: Box) -> float:
    wide, high = (before.width + box.width) / 2, (before.height + box.height) / 2
    return math.hypot((other[0] - one[0]) / wide, (other[1] - one[1]) / high)
