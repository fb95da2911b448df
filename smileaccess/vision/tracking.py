"""Says which face of a frame is the same as one of the frame before; pure, knows no picture and no clock.

A track is unbroken: one face, seen again and again, that never moves as no face does. Whatever is doubtful gets a
new track, because identity, smile and liveness of a track are taken for one person's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count

from smileaccess.model import Box

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
"""The longest time, in seconds, that a movement at SPEED and GROWTH is allowed for."""

SLACK = 0.12
"""What the detector may wander from frame to frame while the face stands still, in sizes of the face."""

GROWTH = 2.0
"""The most that the logarithm of a face's size changes in a second: 0.6 m/s toward a camera 0.3 m away."""

GROWTH_SLACK = 0.15
"""What the detector's box may breathe from frame to frame, as a logarithm."""


@dataclass(frozen=True, slots=True)
class _Track:
    id: int
    box: Box
    points: tuple[tuple[float, float], ...]
    seen_at: float
    missed_at: float | None = None


class Tracker:
    """Gives every face of a sequence of frames its track's id, from 1, never the same for two tracks."""

    def __init__(self) -> None:
        self._ids = count(1)
        self._tracks: list[_Track] = []
        self._last = -math.inf

    def update(self, faces: Sequence[tuple[Box, Points]], at: float) -> list[int]:
        """Return the track of each face of the next frame.

        `faces` are boxes and their landmarks as in model.Face, in fractions of the frame; `at` is the frame's time
        in seconds. Time that does not go forward breaks every track. Of several pairings the one with the most
        overlap counts first, each track and each face once.
        """
        if at <= self._last:
            self.reset()
        self._last = at
        self._tracks = [track for track in self._tracks if _alive(track, at)]
        known = self._pair(faces, at)
        ids = [known[place] if place in known else next(self._ids) for place in range(len(faces))]
        seen = [_Track(id_, box, tuple(points), at) for id_, (box, points) in zip(ids, faces, strict=True)]
        self._tracks = seen + [_missed(track, at) for track in self._tracks if track.id not in ids]
        return ids

    def reset(self) -> None:
        """Forget every track; their ids stay used."""
        self._tracks = []
        self._last = -math.inf

    def _pair(self, faces: Sequence[tuple[Box, Points]], at: float) -> dict[int, int]:
        pairs = [
            (track.box.overlap(box), track.id, place)
            for track in self._tracks
            for place, (box, points) in enumerate(faces)
            if follows(track.box, track.points, box, points, at - track.seen_at)
        ]
        known: dict[int, int] = {}
        for _, id_, place in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
            if place not in known and id_ not in known.values():
                known[place] = id_
        return known


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
