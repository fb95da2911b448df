"""The Recognizer port's contract, held by the fake and by the embedded recognizer alike."""

from __future__ import annotations

import pytest

from smileaccess.errors import RecognizerFailed, RecognizerTimedOut, RecognizerUnavailable
from smileaccess.model import Examination, Health, MemberStatus, Purpose
from smileaccess.ports import Recognizer
from smileaccess.recognizers.embedded import EmbeddedRecognizer
from tests.fakes_vision import FakeRecognizer, FakeVision, Painted, asked, framed, member, opened, painting, person


@pytest.fixture
def vision() -> FakeVision:
    return FakeVision()


@pytest.fixture(params=[FakeRecognizer, EmbeddedRecognizer])
def recognizer(request: pytest.FixtureRequest, vision: FakeVision) -> Recognizer:
    return request.param(vision, opened)


def examined(
    recognizer: Recognizer,
    vision: FakeVision,
    face: Painted,
    purpose: Purpose = Purpose.IDENTITY,
    timeout_s: float = 5.0,
) -> Examination:
    frame = framed(painting(face), 7)
    return recognizer.examine(asked(frame, vision.look(frame).faces[0], purpose, timeout_s))


def best(examination: Examination) -> list[str]:
    assert examination.candidates is not None
    return [candidate.member_id for candidate in examination.candidates if candidate.similarity >= 99]


def test_nobody_is_found_before_there_are_members(recognizer: Recognizer, vision: FakeVision) -> None:
    assert examined(recognizer, vision, Painted(1)).candidates == ()


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_member_is_found_and_a_stranger_is_not(recognizer: Recognizer, vision: FakeVision, purpose: Purpose) -> None:
    recognizer.use([member("ann", [person(1)]), member("bob", [person(2)])])
    assert best(examined(recognizer, vision, Painted(2), purpose)) == ["bob"]
    assert best(examined(recognizer, vision, Painted(3), purpose)) == []


def test_a_new_list_replaces_the_old_one(recognizer: Recognizer, vision: FakeVision) -> None:
    recognizer.use([member("ann", [person(1)])])
    recognizer.use([member("bob", [person(2)])])
    assert best(examined(recognizer, vision, Painted(1))) == []
    assert best(examined(recognizer, vision, Painted(2))) == ["bob"]


def test_a_disabled_member_is_found_and_a_forgotten_one_is_not(recognizer: Recognizer, vision: FakeVision) -> None:
    recognizer.use(
        [
            member("ann", [person(1)], status=MemberStatus.DISABLED),
            member("bob", [person(2)], status=MemberStatus.FORGOTTEN),
        ]
    )
    assert best(examined(recognizer, vision, Painted(1))) == ["ann"]
    assert best(examined(recognizer, vision, Painted(2))) == []


def test_templates_of_another_model_are_not_compared(recognizer: Recognizer, vision: FakeVision) -> None:
    recognizer.use([member("ann", [person(1)], model="another")])
    assert best(examined(recognizer, vision, Painted(1))) == []


def test_an_examination_says_what_it_is_about(recognizer: Recognizer, vision: FakeVision) -> None:
    frame = framed(painting(Painted(1, smiling=True)), 7)
    face = vision.look(frame).faces[0]
    examination = recognizer.examine(asked(frame, face, Purpose.EXPRESSION))
    said = (examination.recognizer, examination.model, examination.purpose, examination.sequence, examination.track)
    assert said == (recognizer.name, vision.model, Purpose.EXPRESSION, 7, face.track)
    assert (examination.box, examination.smile, examination.emotions) == (face.box, face.smile, face.emotions)


def test_similarity_is_between_0_and_100_best_first(recognizer: Recognizer, vision: FakeVision) -> None:
    recognizer.use([member(str(who), [person(who)]) for who in range(1, 20)])
    candidates = examined(recognizer, vision, Painted(5)).candidates or ()
    similarities = [candidate.similarity for candidate in candidates]
    assert similarities == sorted(similarities, reverse=True)
    assert all(0 <= value <= 100 for value in similarities)
    assert candidates[0].member_id == "5"


def test_no_time_is_no_answer(recognizer: Recognizer, vision: FakeVision) -> None:
    with pytest.raises(RecognizerTimedOut):
        examined(recognizer, vision, Painted(1), timeout_s=0.0)


def test_failing_eyes_are_a_failed_recognizer(recognizer: Recognizer, vision: FakeVision) -> None:
    frame = framed(painting(Painted(1)))
    face = vision.look(frame).faces[0]
    vision.close()
    with pytest.raises(RecognizerFailed):
        recognizer.examine(asked(frame, face))


def test_a_closed_recognizer_is_unavailable(recognizer: Recognizer, vision: FakeVision) -> None:
    recognizer.close()
    recognizer.close()
    with pytest.raises(RecognizerUnavailable):
        examined(recognizer, vision, Painted(1))


def test_who_answers_is_told_under_the_recognizers_name(recognizer: Recognizer) -> None:
    recognizer.prepare()
    assert recognizer.health() == Health(recognizer.name)
