"""Reads the service's answers and binds them to the face in question; pure, and it trusts no answer's form.

What has not the form of the service's model raises KeyError, TypeError or ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from smileaccess.model import Box, Candidate, Emotion, Reason

_EMOTIONS = {emotion.value.upper(): emotion for emotion in Emotion}


@dataclass(frozen=True, slots=True)
class Detected:
    """One face that DetectFaces tells of; `smile` (0..100) and emotions where they were asked for."""

    box: Box
    smile: float | None
    emotions: Mapping[Emotion, float]


@dataclass(frozen=True, slots=True)
class Match:
    """A face of the collection that looks like the one searched for; `label` is its ExternalImageId."""

    face_id: str
    label: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Searched:
    """What SearchFacesByImage found: with which face it searched, and what looks like it, best first."""

    box: Box
    matches: tuple[Match, ...]
    model: str


def detected_of(answer: Mapping[str, Any]) -> tuple[Detected, ...]:
    """Read an answer of DetectFaces."""
    return tuple(_detected(each) for each in answer["FaceDetails"])


def searched_of(answer: Mapping[str, Any]) -> Searched:
    """Read an answer of SearchFacesByImage."""
    matches = sorted(map(_match, answer["FaceMatches"]), key=lambda match: -match.similarity)
    return Searched(box_of(answer["SearchedFaceBoundingBox"]), tuple(matches), str(answer["FaceModelVersion"]))


def box_of(told: Mapping[str, Any]) -> Box:
    """Read a BoundingBox."""
    left, top, width, height = (_number(told[name]) for name in ("Left", "Top", "Width", "Height"))
    return Box(left, top, width, height)


def bound(place: Box, faces: Iterable[Detected]) -> Detected | None:
    """Return the detected face that is in this place, None where there is none."""
    best = max(faces, key=lambda face: face.box.overlap(place), default=None)
    return best if best is not None and best.box.same_place(place) else None


def hindrance(place: Box, faces: tuple[Detected, ...], searched: Box | None) -> Reason | None:
    """Return why an answer cannot be taken for the face in this place, None where it can.

    `searched` is the box that the search was made with, None where none was made or it met no face.
    """
    face = bound(place, faces)
    if face is None:
        return _unbound(faces, searched)
    if searched is None:
        return None
    owner = bound(searched, faces)
    if owner is not None and owner is not face:
        return Reason.MULTIPLE_FACES
    sure = owner is face and searched.same_place(place)
    return None if sure else Reason.AMBIGUOUS_MATCH


def candidates(matches: Iterable[Match], members: Mapping[str, str]) -> tuple[Candidate, ...]:
    """Return the members behind the matches, each once with the best similarity, best first.

    `members` has the member's id by FaceId, as the enroller signed it; any other face is nobody's, whatever its label.
    """
    best: dict[str, float] = {}
    for match in matches:
        member_id = members.get(match.face_id)
        if member_id is not None:
            best[member_id] = max(match.similarity, best.get(member_id, 0.0))
    return tuple(Candidate(*each) for each in sorted(best.items(), key=lambda each: -each[1]))


def _unbound(faces: tuple[Detected, ...], searched: Box | None) -> Reason:
    if not faces and searched is None:
        return Reason.NO_FACE
    return Reason.MULTIPLE_FACES if len(faces) > 1 else Reason.AMBIGUOUS_MATCH


def _detected(told: Mapping[str, Any]) -> Detected:
    shown = {each["Type"]: _number(each["Confidence"]) for each in told.get("Emotions", ())}
    emotions = {_EMOTIONS[name]: value for name, value in shown.items() if name in _EMOTIONS}  # AWS may add some
    return Detected(box_of(told["BoundingBox"]), _smile(told.get("Smile")), emotions)


def _smile(told: Mapping[str, Any] | None) -> float | None:
    """Return how surely it is a smile: the service tells how sure it is of its yes or no."""
    if told is None:
        return None
    sure = _number(told["Confidence"])
    return sure if told["Value"] is True else 100.0 - sure


def _match(told: Mapping[str, Any]) -> Match:
    face = told["Face"]
    return Match(str(face["FaceId"]), str(face.get("ExternalImageId", "")), _number(told["Similarity"]))


def _number(told: Any) -> float:
    value = float(told)
    if not math.isfinite(value):
        raise ValueError(f"{told!r} is no number")
    return value
