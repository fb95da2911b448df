"""The embedded recognizer's search, on embeddings made by hand and on real photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from structlog.testing import capture_logs

from smileaccess.errors import KeysError, RecognizerFailed, RecognizerTimedOut
from smileaccess.recognizers.embedded import SHOWN, EmbeddedRecognizer, mean_embedding
from smileaccess.vision.eyes import LocalEyes
from tests.fakes_vision import FakeVision, Painted, asked, framed, member, opened, painting, person, scene

if TYPE_CHECKING:
    from smileaccess.model import Candidate, Member, Template, Vector


def unit(*values: float) -> Vector:
    vector = np.zeros(128, np.float32)
    vector[: len(values)] = values
    return vector / np.linalg.norm(vector)


def found(recognizer: EmbeddedRecognizer, vision: FakeVision, who: int) -> tuple[Candidate, ...]:
    frame = framed(painting(Painted(who)))
    examination = recognizer.examine(asked(frame, vision.look(frame).faces[0]))
    assert examination.candidates is not None
    return examination.candidates


def test_the_mean_of_embeddings_is_of_length_one() -> None:
    mean = mean_embedding([unit(1, 0), unit(0, 1)])
    assert mean.dtype == np.float32
    assert mean[:2].tolist() == pytest.approx([2**-0.5, 2**-0.5])


@pytest.mark.parametrize(
    "embeddings",
    [[unit(1), -unit(1)], [np.full(128, np.nan, np.float32)], [unit(1), np.ones(64, np.float32)], []],
    ids=["opposite", "not finite", "unequal", "none"],
)
def test_what_has_no_mean_is_refused(embeddings: list[Vector]) -> None:
    with pytest.raises(RecognizerFailed):
        mean_embedding(embeddings)


def test_the_mean_of_all_templates_is_compared() -> None:
    vision = FakeVision()
    recognizer = EmbeddedRecognizer(vision, opened)
    recognizer.use([member("ann", [person(1), person(2)])])
    (candidate,) = found(recognizer, vision, 1)
    cosine = float(mean_embedding([person(1), person(2)]) @ person(1))
    assert cosine < 0.9
    assert candidate.similarity == pytest.approx(99 + (cosine - 0.5) * 2, abs=1e-3)


def test_the_best_three_are_shown() -> None:
    vision = FakeVision()
    recognizer = EmbeddedRecognizer(vision, opened)
    recognizer.use([member(f"m{who}", [person(who)]) for who in range(1, 30)])
    candidates = found(recognizer, vision, 17)
    assert len(candidates) == SHOWN == 3
    cosines = {f"m{who}": float(person(who) @ person(17)) for who in range(1, 30)}
    assert [one.member_id for one in candidates] == sorted(cosines, key=lambda id_: -cosines[id_])[:3]


def test_a_member_without_templates_is_not_searched_for() -> None:
    vision = FakeVision()
    recognizer = EmbeddedRecognizer(vision, opened)
    recognizer.use([member("ann", []), member("bob", [person(2)])])
    assert [one.member_id for one in found(recognizer, vision, 1)] == ["bob"]


class Locked:
    """Opens every template but those whose ids it was told."""

    def __init__(self, *ids: str) -> None:
        self.ids = set(ids)

    def __call__(self, one: Member, template: Template) -> Vector:
        if template.id in self.ids:
            raise KeysError(f"template {template.id} of member {one.id}: sealed with another key")
        return opened(one, template)


def test_a_template_that_cannot_be_opened_is_left_out_and_told_once() -> None:
    """Neither the door nor the next enrollment stops for it; the log names ids, and no person."""
    vision = FakeVision()
    recognizer = EmbeddedRecognizer(vision, Locked("bob-0"))
    with capture_logs() as logged:
        for _ in range(2):
            recognizer.use([member("ann", [person(1)]), member("bob", [person(2)]), member("cid", [person(3)])])
        recognizer.use([])
        recognizer.use([member("ann", [person(1)]), member("bob", [person(2)])])
    assert {one.member_id for one in found(recognizer, vision, 2)} == {"ann"}
    (line,) = logged
    assert (line["log_level"], line["member_id"], line["template_id"]) == ("error", "bob", "bob-0")
    assert line.keys() == {"log_level", "event", "kind", "member_id", "template_id", "error"}


def test_a_members_other_templates_are_used_all_the_same() -> None:
    vision = FakeVision()
    bob = member("bob", [person(1), person(2)])
    recognizer = EmbeddedRecognizer(vision, Locked(bob.templates[0].id))
    recognizer.use([bob])
    (candidate,) = found(recognizer, vision, 2)
    assert candidate.similarity == pytest.approx(100.0)


def test_members_of_unequal_templates_are_refused() -> None:
    recognizer = EmbeddedRecognizer(FakeVision(), opened)
    with pytest.raises(RecognizerFailed):
        recognizer.use([member("ann", [person(1)]), member("bob", [np.ones(64, np.float32)])])


def test_a_probe_of_another_length_is_refused() -> None:
    vision = FakeVision()
    recognizer = EmbeddedRecognizer(vision, opened)
    recognizer.use([member("ann", [np.ones(64, np.float32)])])
    with pytest.raises(RecognizerFailed, match="enroll again"):
        found(recognizer, vision, 1)


def test_an_answer_that_comes_late_is_none() -> None:
    times = iter([10.0, 12.5])
    vision = FakeVision()
    recognizer = EmbeddedRecognizer(vision, opened, monotonic=lambda: next(times))
    frame = framed(painting(Painted(1)))
    with pytest.raises(RecognizerTimedOut, match=r"2\.50 s"):
        recognizer.examine(asked(frame, vision.look(frame).faces[0], timeout_s=2.0))


def test_a_member_enrolled_speaking_is_found_neutral_and_smiling(eyes: LocalEyes) -> None:
    def embedded(name: str) -> Vector:
        eyes.reset()
        frame = framed(scene(name))
        return eyes.embed(frame, eyes.look(frame).faces[0])

    recognizer = EmbeddedRecognizer(eyes, opened)
    recognizer.use([member("ann", [embedded("obama-speaking")], model=eyes.model)])
    similarities = {}
    for name in ("obama-neutral", "obama-smiling", "biden-neutral", "collins-smiling"):
        frame = framed(scene(name))
        face = eyes.look(frame).faces[0]
        (candidate,) = recognizer.examine(asked(frame, face, timeout_s=30.0)).candidates or ()
        similarities[name] = candidate.similarity
    assert min(similarities["obama-neutral"], similarities["obama-smiling"]) > 99.2
    assert max(similarities["biden-neutral"], similarities["collins-smiling"]) < 75
