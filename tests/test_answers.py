"""What the service says is bound to the face that was asked about, and only signed faces are somebody's."""

from __future__ import annotations

from typing import Any

import pytest

from smileaccess.model import Box, Candidate, Emotion, Reason
from smileaccess.recognizers import answers
from smileaccess.recognizers.answers import Detected, Match

HERE = Box(0.30, 0.30, 0.20, 0.30)
NEARLY = Box(0.32, 0.27, 0.20, 0.30)
BESIDE = Box(0.65, 0.35, 0.15, 0.22)


def face(box: Box) -> Detected:
    return Detected(box, None, {})


def told(box: Box) -> dict[str, float]:
    return {"Left": box.left, "Top": box.top, "Width": box.width, "Height": box.height}


@pytest.mark.parametrize(
    ("faces", "searched", "reason"),
    [
        ([HERE], HERE, None),
        ([NEARLY], NEARLY, None),
        ([BESIDE, NEARLY], HERE, None),
        ([HERE], None, None),
        ([], None, Reason.NO_FACE),
        ([HERE, BESIDE], BESIDE, Reason.MULTIPLE_FACES),
        ([BESIDE, HERE], BESIDE, Reason.MULTIPLE_FACES),
        ([HERE], BESIDE, Reason.AMBIGUOUS_MATCH),
        ([], HERE, Reason.AMBIGUOUS_MATCH),
        ([BESIDE], BESIDE, Reason.AMBIGUOUS_MATCH),
        ([BESIDE], None, Reason.AMBIGUOUS_MATCH),
        ([BESIDE, Box(0.05, 0.05, 0.1, 0.1)], BESIDE, Reason.MULTIPLE_FACES),
    ],
)
def test_the_identity_belongs_to_the_face_that_was_asked_about(
    faces: list[Box], searched: Box | None, reason: Reason | None
) -> None:
    """Searched, detected and tracked face must be one; else the answer is none, and says why."""
    assert answers.hindrance(HERE, tuple(map(face, faces)), searched) is reason


def test_only_signed_faces_are_somebodys() -> None:
    """A label counts for nothing; a member of several faces is named once, by the best."""
    matches = [Match("f9", "m_ann", 99.99), Match("f1", "m_ann", 97.0), Match("f3", "x", 95.0), Match("f2", "", 98.0)]

    found = answers.candidates(matches, {"f1": "m_ann", "f2": "m_ann", "f3": "m_bob"})

    assert found == (Candidate("m_ann", 98.0), Candidate("m_bob", 95.0))


@pytest.mark.parametrize(("value", "sure", "smile"), [(True, 97.0, 97.0), (False, 97.0, 3.0), (True, 50.0, 50.0)])
def test_a_smile_is_how_surely_it_is_one(value: bool, sure: float, smile: float) -> None:
    """The service tells how sure it is of its yes or no."""
    said = {"BoundingBox": told(HERE), "Smile": {"Value": value, "Confidence": sure}}

    assert answers.detected_of({"FaceDetails": [said]})[0].smile == smile


def test_emotions_in_the_services_words() -> None:
    """Every type of the service's is one of ours."""
    said = {
        "BoundingBox": told(HERE),
        "Emotions": [{"Type": emotion.value.upper(), "Confidence": 10.0} for emotion in Emotion],
    }

    assert set(answers.detected_of({"FaceDetails": [said]})[0].emotions) == set(Emotion)


def test_an_emotion_that_nobody_knows_is_left_out() -> None:
    """A type that the service adds later is no reason to refuse every smile."""
    emotions = [{"Type": "BORED", "Confidence": 90.0}, {"Type": "CALM", "Confidence": 10.0}]
    (face,) = answers.detected_of({"FaceDetails": [{"BoundingBox": told(HERE), "Emotions": emotions}]})

    assert face.emotions == {Emotion.CALM: 10.0}


def test_matches_come_best_first() -> None:
    """Whatever order they were told in."""
    found = answers.searched_of(
        {
            "SearchedFaceBoundingBox": told(HERE),
            "FaceModelVersion": "7.0",
            "FaceMatches": [
                {"Similarity": value, "Face": {"FaceId": f"f{value}", "ExternalImageId": "m_ann"}}
                for value in (90.0, 99.5, 95.0)
            ],
        }
    )

    assert [match.similarity for match in found.matches] == [99.5, 95.0, 90.0]
    assert (found.box, found.model) == (HERE, "7.0")


MATCH = {"Similarity": 99.0, "Face": {"FaceId": "f1"}}
SEARCHED = {"SearchedFaceBoundingBox": told(HERE), "FaceModelVersion": "7.0", "FaceMatches": [MATCH]}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"FaceDetails": None},
        {"FaceDetails": [{}]},
        {"FaceDetails": [{"BoundingBox": {**told(HERE), "Left": "left"}}]},
        {"FaceDetails": [{"BoundingBox": {**told(HERE), "Left": float("nan")}}]},
        {"FaceDetails": [{"BoundingBox": told(HERE), "Smile": {"Value": True}}]},
    ],
)
def test_what_is_no_detection_is_refused(answer: dict[str, Any]) -> None:
    """No form that the service's model does not have is read as a face."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        answers.detected_of(answer)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {**SEARCHED, "FaceMatches": None},
        {**SEARCHED, "FaceMatches": [{"Similarity": 99.0}]},
        {**SEARCHED, "FaceMatches": [{**MATCH, "Similarity": float("inf")}]},
        {**SEARCHED, "SearchedFaceBoundingBox": {}},
    ],
)
def test_what_is_no_search_is_refused(answer: dict[str, Any]) -> None:
    """No form that the service's model does not have is read as a match."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        answers.searched_of(answer)
