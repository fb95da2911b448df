"""One attempt on pictures in virtual time, with the real eyes, the real recognizer and real photographs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from smileaccess import settings as configuration
from smileaccess.demo.scenes import MEMBER_PHOTOGRAPH, Scene
from smileaccess.errors import CameraUnavailable, VisionFailed
from smileaccess.model import Attempt, Frame, Member, MemberStatus, Outcome, Purpose, Reason, Sight, Trigger
from smileaccess.recognizers.embedded import EmbeddedRecognizer
from smileaccess.rehearsal import FPS, Rehearsal, rehearse
from smileaccess.vision.eyes import LocalEyes
from tests.acting import FRAME_S, Actors
from tests.fakes_vision import FakeVision, framed, member, opened, photograph
from tests.portraits import portrait

if TYPE_CHECKING:
    from smileaccess.model import Pixels

Pictures = Sequence[tuple[str, "Pixels"]]


@pytest.fixture(scope="module")
def ann(eyes: LocalEyes) -> Member:
    """Return the member of the scenes, enrolled from the one photograph that no scene shows."""
    eyes.reset()
    frame = framed(photograph(MEMBER_PHOTOGRAPH.stem))
    embedding = eyes.embed(frame, eyes.look(frame).faces[0])
    return member("m_ann", [embedding], model=eyes.model)


class Stage(Actors):
    """Rehearses with the real parts."""

    def __init__(self, eyes: LocalEyes, scenes: dict[int, Scene], ann: Member) -> None:
        super().__init__(scenes)
        self._eyes, self.ann = eyes, ann

    def rehearse(
        self, pictures: Pictures, seconds: float = 2.0, *, mode: str = "neutral-then-smile", members: Any = None
    ) -> Rehearsal:
        members = (self.ann,) if members is None else members
        recognizer = EmbeddedRecognizer(self._eyes, opened)
        recognizer.use(members)
        return rehearse(settings(mode), pictures, seconds, self._eyes, recognizer, members)

    def attempt(self, pictures: Pictures, seconds: float = 2.0, **options: Any) -> Attempt:
        return self.rehearse(pictures, seconds, **options).attempt


@pytest.fixture(scope="module")
def stage(eyes: LocalEyes, scenes: dict[int, Scene], ann: Member) -> Stage:
    return Stage(eyes, scenes, ann)


@cache
def settings(mode: str) -> configuration.Settings:
    """Return the settings of a door that waits for no longer than it must."""
    waits = "cue_after_s = [0.4, 0.6]\nanswer_s = 1.5\npatience_s = 1.5"
    return configuration.parse(f'[door]\nname = "side"\n[liveness]\nmode = "{mode}"\n{waits}')


def ended(attempt: Attempt) -> tuple[Outcome | None, Reason | None]:
    return attempt.outcome, attempt.reason


GRANTED = (Outcome.GRANTED, None)


def denied(reason: Reason) -> tuple[Outcome, Reason]:
    return Outcome.DENIED, reason


def test_a_member_is_granted_without_a_smile_where_none_is_asked_for(stage: Stage) -> None:
    """With liveness off the face alone opens the door, and everything that goes on record is there."""
    attempt = stage.attempt([("calm", stage.frame(1))], mode="off")
    assert ended(attempt) == GRANTED
    assert (attempt.member_id, attempt.door, attempt.trigger) == ("m_ann", "side", Trigger.TRIAL)
    assert (attempt.recognizer, attempt.liveness) == ("embedded", "off")
    assert attempt.similarity is not None
    assert attempt.similarity >= 99.0
    assert attempt.closed_at is not None
    assert attempt.closed_at > attempt.opened_at


@pytest.mark.parametrize(("smiling", "expected"), [(True, GRANTED), (False, denied(Reason.NO_SMILE))])
def test_one_smile_opens_where_that_is_the_rule(
    stage: Stage, smiling: bool, expected: tuple[Outcome, Reason | None]
) -> None:
    """Mode `smile`: the neutral face alone is denied, followed by a smiling one it is granted."""
    pictures = stage.changing(0.5) if smiling else [("calm", stage.frame(1))]
    assert ended(stage.attempt(pictures, FRAME_S, mode="smile")) == expected


def test_neutral_then_a_smile_is_granted_whenever_the_cue_comes(stage: Stage) -> None:
    """The default mode: every cue comes within 0.7 s, so that a smile after 1 s answers it, whatever the luck."""
    attempt = stage.attempt(stage.changing(1.0), FRAME_S)
    assert ended(attempt) == GRANTED
    assert attempt.smile is not None
    assert attempt.smile >= 50.0


def test_a_smile_before_any_cue_is_no_answer(stage: Stage) -> None:
    """Smiling 0.4 s after the first look is earlier than the earliest cue, and then the face no longer changes."""
    attempt = stage.attempt(stage.changing(0.2), FRAME_S)
    assert ended(attempt) == denied(Reason.NO_EXPRESSION_CHANGE)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (20.0, 10.0)], ids=["in place", "shifted"])
def test_two_photographs_swapped_after_the_cue_are_denied(
    eyes: LocalEyes, ann: Member, shift: tuple[float, float]
) -> None:
    """The settings as they come, a calm and a smiling photograph of the member: the cut ends the attempt."""
    calm, smiling = portrait("obama-neutral"), portrait("obama-smiling", shift=shift)
    recognizer = EmbeddedRecognizer(eyes, opened)
    recognizer.use((ann,))
    default = configuration.parse('[door]\nname = "side"')
    attempt = rehearse(default, [("calm", calm), ("smiling", smiling)], 2.5, eyes, recognizer, (ann,)).attempt
    assert (ended(attempt), attempt.member_id) == (denied(Reason.TRACK_LOST), "m_ann")


def test_a_print_of_the_smiling_member_is_denied(stage: Stage) -> None:
    """Always smiling, as a picture held up does: no change of expression, although the face is the member's."""
    attempt = stage.attempt([("print", stage.frame(4))])
    assert ended(attempt) == denied(Reason.NO_EXPRESSION_CHANGE)
    assert attempt.member_id == "m_ann"


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (2, Reason.NO_SMILE),
        (3, Reason.NOT_RECOGNIZED),
        (5, Reason.NO_FACE),
        (6, Reason.MULTIPLE_FACES),
        (7, Reason.TOO_DARK),
    ],
)
def test_a_picture_that_never_changes_is_denied_for_what_it_shows(stage: Stage, number: int, reason: Reason) -> None:
    """Never smiling, a stranger, nobody, two people, a dark doorway: each has its own reason."""
    assert ended(stage.attempt([("still", stage.frame(number))])) == denied(reason)


def test_a_black_picture_is_too_dark(stage: Stage) -> None:
    """No light at all is not taken for an empty doorway."""
    black = np.zeros((480, 640, 3), np.uint8)
    assert ended(stage.attempt([("black", black)])) == denied(Reason.TOO_DARK)


def test_a_stranger_who_smiles_on_cue_stays_a_stranger(stage: Stage) -> None:
    """Liveness opens nothing without a name: nobody is enrolled here."""
    attempt = stage.attempt(stage.changing(1.0), FRAME_S, members=())
    assert ended(attempt) == denied(Reason.NOT_RECOGNIZED)
    assert attempt.member_id is None


@pytest.mark.parametrize(
    ("status", "reason"),
    [(MemberStatus.DISABLED, Reason.MEMBER_DISABLED), (MemberStatus.FORGOTTEN, Reason.NOT_RECOGNIZED)],
)
def test_a_member_who_may_not_come_in_is_denied(stage: Stage, status: MemberStatus, reason: Reason) -> None:
    """The rules of the door hold for a rehearsal as well."""
    members = (replace(stage.ann, status=status),)
    assert ended(stage.attempt([("calm", stage.frame(1))], mode="off", members=members)) == denied(reason)


def test_the_looks_tell_what_was_seen_of_which_picture(stage: Stage) -> None:
    """A look a frame, ten a second, labeled by the picture shown then, with what the eyes and the recognizer said."""
    pictures = [("empty", stage.frame(5))] * 4 + stage.changing(0.4)
    rehearsal = stage.rehearse(pictures, FRAME_S, mode="smile")
    assert ended(rehearsal.attempt) == GRANTED
    looks = rehearsal.looks
    assert [look.at_s for look in looks] == pytest.approx([number / FPS for number in range(len(looks))])
    assert [look.label for look in looks] == [label for label, _ in pictures][: len(looks)]
    assert [look.label for look in looks[:9]] == ["empty"] * 4 + ["calm"] * 4 + ["turning"]
    hindered = {(look.label, look.hindrance) for look in looks}
    assert hindered == {("empty", Reason.NO_FACE), ("calm", None), ("turning", None)}
    smiles = {
        label: [one.smile for look in looks if look.label == label for one in look.sight.faces] for label, _ in pictures
    }
    assert smiles["empty"] == []
    assert (max(smiles["calm"]) < 30, max(smiles["turning"]) >= 50) == (True, True)


def test_the_recognizers_answers_stand_at_the_frames_they_are_about(stage: Stage) -> None:
    """Each examined frame shows its candidates; two of them agree before the door believes it."""
    looks = stage.rehearse([("calm", stage.frame(1))], mode="off").looks
    answers = [(look.sight.frame.sequence, look.examination) for look in looks if look.examination is not None]
    assert len(answers) == 2
    for sequence, answer in answers:
        assert (answer.sequence, answer.purpose) == (sequence, Purpose.IDENTITY)
        assert [candidate.member_id for candidate in answer.candidates or ()] == ["m_ann"]


def test_the_same_pictures_end_the_same_way_again(stage: Stage) -> None:
    """No wall time flows in: frames, times and outcome repeat exactly."""
    runs = [stage.rehearse([("calm", stage.frame(2))], mode="smile") for _ in range(2)]
    first, second = ([(look.at_s, look.sight.brightness, len(look.sight.faces)) for look in run.looks] for run in runs)
    assert first == second
    assert ended(runs[0].attempt) == ended(runs[1].attempt) == denied(Reason.NO_SMILE)
    assert runs[0].attempt.stages_ms == runs[1].attempt.stages_ms


def test_pictures_of_any_size_are_framed_as_the_camera_would(stage: Stage) -> None:
    """A tall photograph is fitted into the frame; the member in it is known."""
    tall = photograph("obama-smiling")[:600, 300:700]
    assert tall.shape == (600, 400, 3)
    rehearsal = stage.rehearse([("tall", tall)], mode="off")
    assert ended(rehearsal.attempt) == GRANTED
    assert {look.sight.frame.pixels.shape for look in rehearsal.looks} == {(480, 640, 3)}


_watched: list[str] = []
_watching = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if writes or event in {
        "sqlite3.connect",
        "socket.connect",
        "socket.bind",
        "os.mkdir",
        "os.rename",
        "subprocess.Popen",
    }:
        _watched.append(f"{event} {arguments}")


def test_nothing_is_written_and_nobody_is_called(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rehearsal opens no file for writing, no database and no connection, and leaves the folder it ran in empty."""
    global _watching  # noqa: PLW0603 -- an audit hook cannot be taken off again
    monkeypatch.chdir(tmp_path)
    sys.addaudithook(_audit)
    _watching = True
    try:
        attempt = stage.attempt(stage.changing(0.5), FRAME_S, mode="smile")
    finally:
        _watching = False
    assert ended(attempt) == GRANTED
    assert _watched == []
    assert list(tmp_path.iterdir()) == []


class BrokenVision(FakeVision):
    """Eyes that fail in every frame."""

    def look(self, frame: Frame) -> Sight:
        raise VisionFailed(f"vision: frame {frame.sequence}: broken")


def test_eyes_that_fail_deny_as_they_would_at_the_door() -> None:
    """A fault in the middle is the attempt's internal_error, never an endless wait."""
    vision = BrokenVision()
    recognizer = EmbeddedRecognizer(vision, opened)
    rehearsal = rehearse(settings("off"), [("any", photograph("obama-neutral"))], 1.0, vision, recognizer, ())
    assert ended(rehearsal.attempt) == denied(Reason.INTERNAL_ERROR)
    assert rehearsal.looks == ()


def test_without_a_picture_there_is_no_rehearsal(stage: Stage) -> None:
    """Nothing to see is said at once."""
    with pytest.raises(CameraUnavailable, match="no picture was given"):
        stage.rehearse([])
