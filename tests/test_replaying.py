"""Attempts decided again by other rules: against the door itself on the same frames, and by each rule both ways."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from smileaccess import settings as configuration
from smileaccess.cameras.reel import StillsCamera
from smileaccess.clock import VirtualClock
from smileaccess.evaluation.replaying import SETTLED, Replay, Ruling, Verdict, named, replay
from smileaccess.model import (
    Attempt,
    Candidate,
    Emotion,
    Examination,
    Face,
    Frame,
    Health,
    LivenessMode,
    Member,
    MemberStatus,
    Outcome,
    Question,
    Reason,
    Sight,
)
from smileaccess.rehearsal import play
from smileaccess.schedules import Schedule
from tests.builders import make_face
from tests.fakes_vision import person
from tests.house import attempt

THEN = datetime(2026, 3, 1, tzinfo=UTC)
ADA = Member("m_ada", 1, "Ada", MemberStatus.ACTIVE, THEN, None)
BOB = Member("m_bob", 1, "Bob", MemberStatus.ACTIVE, THEN, None)


def ruling(text: str = "") -> Ruling:
    """Return the rules that settings stand for."""
    made = configuration.parse(text)
    return Ruling(made.examining_rules(), made.policy_rules())


PRESENT = ruling()


def recorded(
    *searches: Mapping[str, float],
    reason: Reason | None = None,
    smiling: Mapping[str, float] | None = None,
    **told: Any,
) -> Attempt:
    """Return an attempt whose frames were searched with these candidates, and its smile with `smiling`."""
    challenge = told.pop("challenge", "passed" if reason is None else "failed")
    smile, emotions = told.pop("smile", 88.0), told.pop("emotions", {"happy": 90.0})
    examinations = [answer("identity", found, 5.0, {"calm": 80.0}) for found in searches]
    if smiling is not None:
        examinations.append(answer("expression", smiling, smile, emotions))
    detail = {"frames": {"clear": 30}, "challenge": challenge, "examinations": examinations}
    return attempt(reason, **{"detail": detail, "smile": smile, **told})


def answer(purpose: str, found: Mapping[str, float], smile: float, emotions: Mapping[str, float]) -> dict[str, Any]:
    candidates = [{"member": who, "similarity": value} for who, value in found.items()]
    return {
        "purpose": purpose,
        "recognizer": "embedded",
        "hindrance": None,
        "frame": 7,
        "candidates": candidates,
        "smile": smile,
        "emotions": dict(emotions),
        "ms": 20.0,
    }


def granted(similarity: float = 99.4, **told: Any) -> Attempt:
    found = {"m_ada": similarity}
    return recorded(found, found, smiling=found, **told)


def replayed(record: Attempt, text: str, members: Sequence[Member] = (ADA, BOB)) -> Replay:
    other = ruling(text)
    who = named(record, other)
    return replay(record, next((each for each in members if each.id == who), None), PRESENT, other)


def test_the_same_rules_change_nothing() -> None:
    """Granted stays granted, each denial stays denied."""
    assert replayed(granted(), "").verdict is Verdict.SAME
    for reason in Reason:
        found = replayed(recorded({"m_ada": 50.0}, {"m_ada": 50.0}, reason=reason), "")
        assert (found.verdict, reason) == (Verdict.SAME, reason)


class TestThreshold:
    def test_who_reaches_the_higher_one_stays_granted(self) -> None:
        assert replayed(granted(99.4), "[recognition]\nthreshold = 99.4").verdict is Verdict.SAME

    def test_who_does_not_would_be_denied(self) -> None:
        """It is said that more frames would have been searched."""
        found = replayed(granted(99.4), "[recognition]\nthreshold = 99.5")
        assert (found.verdict, found.reason) == (Verdict.NOW_DENIED, Reason.NOT_RECOGNIZED)
        assert found.why == "in 2 frames; up to 2 more would have been searched"

    def test_one_frame_of_two_does_not_tell(self) -> None:
        record = recorded({"m_ada": 99.6}, {"m_ada": 99.2}, smiling={"m_ada": 99.4})
        found = replayed(record, "[recognition]\nthreshold = 99.5")
        assert (found.verdict, found.why) == (Verdict.UNTOLD, "more frames would have been searched")

    def test_one_frame_of_four_does(self) -> None:
        frames = [{"m_ada": 99.6}, *([{"m_ada": 99.2}] * 3)]
        found = replayed(recorded(*frames, smiling={"m_ada": 99.4}), "[recognition]\nthreshold = 99.5")
        assert (found.verdict, found.reason) == (Verdict.NOW_DENIED, Reason.NOT_RECOGNIZED)

    def test_who_was_not_recognized_and_would_be_may_yet_not_smile(self) -> None:
        """The attempt ended before the smile: what the person would have done is not on record."""
        frames = [{"m_ada": 98.0}] * 4
        record = recorded(*frames, reason=Reason.NOT_RECOGNIZED, member_id=None, challenge="holding")
        found = replayed(record, "[recognition]\nthreshold = 97.5")
        assert (found.verdict, found.why) == (Verdict.UNTOLD, "the attempt ended before the smile")

    def test_where_no_smile_is_asked_for_that_is_no_question(self) -> None:
        frames = [{"m_ada": 98.0}] * 4
        told: dict[str, Any] = {"reason": Reason.NOT_RECOGNIZED, "member_id": None, "liveness": "off"}
        text = '[recognition]\nthreshold = 97.5\n[liveness]\nmode = "off"'
        assert replayed(recorded(*frames, **told), text).verdict is Verdict.NOW_GRANTED

    def test_a_challenge_that_failed_denies_whoever_it_was(self) -> None:
        frames = [{"m_ada": 98.0}] * 4
        record = recorded(*frames, reason=Reason.NOT_RECOGNIZED, member_id=None, challenge="failed")
        assert replayed(record, "[recognition]\nthreshold = 97.5").verdict is Verdict.SAME

    @pytest.mark.parametrize(
        ("status", "verdict"), [(MemberStatus.ACTIVE, Verdict.NOW_GRANTED), (MemberStatus.DISABLED, Verdict.SAME)]
    )
    def test_whoever_is_recognized_now_is_judged_as_the_member_is_now(
        self, status: MemberStatus, verdict: Verdict
    ) -> None:
        told: dict[str, Any] = {"reason": Reason.NOT_RECOGNIZED, "member_id": None, "liveness": "off"}
        text = '[recognition]\nthreshold = 97.5\n[liveness]\nmode = "off"'
        record = recorded(*[{"m_ada": 98.0}] * 4, **told)
        assert replayed(record, text, [replace(ADA, status=status)]).verdict is verdict

    def test_who_was_let_in_then_is_not_refused_for_being_disabled_now(self) -> None:
        members = [replace(ADA, status=MemberStatus.DISABLED)]
        assert replayed(granted(), "[recognition]\nthreshold = 99.2", members).verdict is Verdict.SAME

    def test_nor_is_who_only_failed_to_smile_then(self) -> None:
        """Whatever speaks against a member goes before the smile: nothing did."""
        record = recorded({"m_ada": 99.4}, {"m_ada": 99.4}, reason=Reason.NO_SMILE)
        members = [replace(ADA, status=MemberStatus.DISABLED)]
        assert replayed(record, '[liveness]\nmode = "off"', members).verdict is Verdict.NOW_GRANTED

    def test_who_was_forgotten_then_is_not_let_in_for_having_been_found(self) -> None:
        """The record names the member whom the frames found; that it was nobody's is why it was denied."""
        found = {"m_ada": 99.4}
        record = recorded(found, found, smiling=found, reason=Reason.NOT_RECOGNIZED, challenge="passed")
        assert replayed(record, "", [replace(ADA, status=MemberStatus.FORGOTTEN)]).verdict is Verdict.SAME

    def test_a_member_whom_nobody_signed_any_more_is_nobody(self) -> None:
        told: dict[str, Any] = {"reason": Reason.NOT_RECOGNIZED, "member_id": None, "liveness": "off"}
        text = '[recognition]\nthreshold = 97.5\n[liveness]\nmode = "off"'
        assert replayed(recorded(*[{"m_ada": 98.0}] * 4, **told), text, []).verdict is Verdict.SAME

    def test_frames_that_would_not_have_been_searched_do_not_count(self) -> None:
        """At the lower threshold the first two frames are enough; the third, which names another, is not asked for."""
        frames = [{"m_ada": 98.0}, {"m_ada": 98.0}, {"m_bob": 98.5}, {"m_bob": 98.5}]
        told: dict[str, Any] = {"reason": Reason.NOT_RECOGNIZED, "member_id": None, "liveness": "off"}
        text = '[recognition]\nthreshold = 97.5\n[liveness]\nmode = "off"'
        assert named(recorded(*frames, **told), ruling(text)) == "m_ada"
        assert replayed(recorded(*frames, **told), text).verdict is Verdict.NOW_GRANTED


class TestMargin:
    def test_a_wider_one_denies_what_is_nearly_a_tie(self) -> None:
        both = {"m_ada": 99.5, "m_bob": 99.3}
        found = replayed(recorded(both, both, smiling=both), "[recognition]\nmargin = 0.3")
        assert (found.verdict, found.reason) == (Verdict.NOW_DENIED, Reason.AMBIGUOUS_MATCH)

    def test_one_that_the_two_keep_changes_nothing(self) -> None:
        both = {"m_ada": 99.5, "m_bob": 99.3}
        assert replayed(recorded(both, both, smiling=both), "[recognition]\nmargin = 0.15").verdict is Verdict.SAME


class TestMode:
    def test_off_grants_whoever_was_recognized_and_did_not_smile(self) -> None:
        record = recorded({"m_ada": 99.4}, {"m_ada": 99.4}, reason=Reason.NO_SMILE)
        assert replayed(record, '[liveness]\nmode = "off"').verdict is Verdict.NOW_GRANTED

    def test_off_grants_no_stranger(self) -> None:
        record = recorded({"m_ada": 44.0}, {"m_ada": 44.0}, reason=Reason.NO_SMILE)
        assert replayed(record, '[liveness]\nmode = "off"').verdict is Verdict.SAME

    @pytest.mark.parametrize("mode", ["smile", "follow-the-light"])
    def test_what_another_mode_would_have_seen_is_not_on_record(self, mode: str) -> None:
        found = replayed(granted(), f'[door]\nattempt_s = 30\n[liveness]\nmode = "{mode}"')
        assert (found.verdict, found.why) == (Verdict.UNTOLD, f"what {mode} asks for was not asked for")

    def test_whoever_was_not_recognized_is_denied_in_every_mode(self) -> None:
        record = recorded({"m_ada": 44.0}, {"m_ada": 44.0}, reason=Reason.NO_EXPRESSION_CHANGE)
        assert replayed(record, '[liveness]\nmode = "smile"').verdict is Verdict.SAME


class TestSmileAt:
    def test_a_smile_that_is_wide_enough_stays_granted(self) -> None:
        assert replayed(granted(smile=88.0), "[liveness]\nsmile_at = 80").verdict is Verdict.SAME

    def test_whether_a_smile_would_have_grown_is_not_on_record(self) -> None:
        found = replayed(granted(smile=55.0), "[liveness]\nsmile_at = 80")
        assert found.verdict is Verdict.UNTOLD
        assert found.why == "the smile that counted was 55, and whether it grew is not on record"

    def test_how_much_somebody_smiled_who_was_denied_is_not_on_record(self) -> None:
        record = recorded({"m_ada": 99.4}, {"m_ada": 99.4}, reason=Reason.NO_SMILE)
        found = replayed(record, "[liveness]\nsmile_at = 40")
        assert (found.verdict, found.why) == (Verdict.UNTOLD, "how much each frame smiled is not on record")


class TestEmotions:
    @pytest.mark.parametrize(("emotion", "verdict"), [("happy", Verdict.SAME), ("surprised", Verdict.NOW_DENIED)])
    def test_a_required_emotion_is_looked_for_in_the_smile_on_record(self, emotion: str, verdict: Verdict) -> None:
        found = replayed(granted(emotions={emotion: 90.0}), '[rules]\nemotions = "require"')
        assert found.verdict is verdict
        assert (found.reason is Reason.EMOTION_MISMATCH) is (verdict is Verdict.NOW_DENIED)

    def test_without_emotions_on_record_it_cannot_be_told(self) -> None:
        found = replayed(granted(emotions={}), '[rules]\nemotions = "require"')
        assert (found.verdict, found.why) == (Verdict.UNTOLD, "no emotions are on record")

    def test_who_was_denied_for_an_emotion_is_granted_where_none_is_required(self) -> None:
        found = {"m_ada": 99.4}
        told: dict[str, Any] = {"emotions": {"surprised": 90.0}, "challenge": "passed"}
        record = recorded(found, found, smiling=found, reason=Reason.EMOTION_MISMATCH, **told)
        assert replayed(record, "").verdict is Verdict.NOW_GRANTED
        assert replayed(record, '[rules]\nemotions = "require"').verdict is Verdict.SAME


IN_UTC = '[rules]\ntime_zone = "UTC"\n'


class TestHours:
    """Of a member of the group `day`, who was there at noon of a Monday and in the night after it."""

    NOON, NIGHT = (datetime(2026, 3, 2, hour, tzinfo=UTC) for hour in (12, 23))
    GROUP = replace(ADA, groups=("day",))

    def at(self, when: datetime, **told: Any) -> Attempt:
        return replace(granted(**told), opened_at=when, closed_at=when + timedelta(seconds=4))

    @pytest.mark.parametrize(("when", "verdict"), [(NOON, Verdict.SAME), (NIGHT, Verdict.NOW_DENIED)])
    def test_a_group_with_other_hours_shuts_out_whom_they_do_not_cover(self, when: datetime, verdict: Verdict) -> None:
        found = replayed(self.at(when), IN_UTC + '[groups]\nday = "mon-fri 08:00-18:00"', [self.GROUP])
        assert found.verdict is verdict
        assert found.reason is (None if verdict is Verdict.SAME else Reason.OUTSIDE_SCHEDULE)

    def test_whoever_has_hours_of_their_own_keeps_them(self) -> None:
        own = replace(self.GROUP, schedule=Schedule.parse("mon 22:00-24:00", "UTC"))
        assert (
            replayed(self.at(self.NIGHT), IN_UTC + '[groups]\nday = "mon-fri 08:00-18:00"', [own]).verdict
            is Verdict.SAME
        )

    @pytest.mark.parametrize(("day", "verdict"), [("2026-03-02", Verdict.NOW_DENIED), ("2026-03-03", Verdict.SAME)])
    def test_a_holiday_shuts_out_whoever_comes_by_a_week_s_hours(self, day: str, verdict: Verdict) -> None:
        own = replace(ADA, schedule=Schedule.parse("mon-fri 08:00-18:00", "UTC"))
        assert replayed(self.at(self.NOON), f'[rules]\nholidays = ["{day}"]', [own]).verdict is verdict

    @pytest.mark.parametrize(
        ("hours", "verdict"), [("mon 22:00-24:00", Verdict.NOW_GRANTED), ("tue 22:00-24:00", Verdict.SAME)]
    )
    def test_hours_that_cover_it_let_in_who_was_outside_them(self, hours: str, verdict: Verdict) -> None:
        record = self.at(self.NIGHT, reason=Reason.OUTSIDE_SCHEDULE, challenge="passed")
        assert replayed(record, IN_UTC + f'[groups]\nday = "{hours}"', [self.GROUP]).verdict is verdict

    def test_where_the_hours_stay_nobody_is_judged_by_them_anew(self) -> None:
        """The list of today may hold other ones than that of the time."""
        own = replace(ADA, schedule=Schedule.parse("tue 08:00-09:00", "UTC"))
        assert replayed(self.at(self.NOON), "[recognition]\nthreshold = 99.2", [own]).verdict is Verdict.SAME
        record = self.at(self.NIGHT, reason=Reason.OUTSIDE_SCHEDULE, challenge="passed")
        assert replayed(record, "[recognition]\nthreshold = 99.2").verdict is Verdict.SAME

    def test_disabled_since_then_is_no_matter_of_hours(self) -> None:
        members = [replace(self.GROUP, status=MemberStatus.DISABLED)]
        assert (
            replayed(self.at(self.NOON), IN_UTC + '[groups]\nday = "mon-fri 08:00-18:00"', members).verdict
            is Verdict.SAME
        )


def test_what_no_rule_here_decides_stays_as_it_was() -> None:
    """Faults, bad pictures, locks, and what a member may: denied as before, whatever the threshold."""
    for reason in SETTLED:
        record = recorded({"m_ada": 99.4}, {"m_ada": 99.4}, smiling={"m_ada": 99.4}, reason=reason, challenge="passed")
        assert replayed(record, "[recognition]\nthreshold = 90.0").verdict is Verdict.SAME


@pytest.mark.parametrize("reason", [Reason.TRACK_LOST, Reason.MULTIPLE_FACES, Reason.SPENDING_CAP])
def test_what_came_after_the_member_was_known_may_not_have_come(reason: Reason) -> None:
    """Without a sign of life to wait for the door was open by then; of whom nobody knew yet, it was not."""
    known = recorded({"m_ada": 99.4}, {"m_ada": 99.4}, reason=reason, challenge="cued")
    unknown = recorded({"m_ada": 99.4}, reason=reason, challenge="watching")
    assert replayed(known, '[liveness]\nmode = "off"').verdict is Verdict.UNTOLD
    assert replayed(unknown, '[liveness]\nmode = "off"').verdict is Verdict.SAME


def test_without_a_smile_to_be_looked_at_its_emotion_is_not_known() -> None:
    """What `off` would have searched shows a calm face."""
    found = replayed(granted(), '[liveness]\nmode = "off"\n[rules]\nemotions = "require"')
    assert (found.verdict, found.reason) == (Verdict.NOW_DENIED, Reason.EMOTION_MISMATCH)


def test_a_forbidden_emotion_that_nobody_looked_for_cannot_be_told() -> None:
    record = granted(emotions={})
    for each in record.detail["examinations"]:
        each["emotions"] = {}
    found = replayed(record, '[rules]\nforbidden_emotions = ["angry"]')
    assert (found.verdict, found.why) == (Verdict.UNTOLD, "no emotions are on record")


@pytest.mark.parametrize(("door", "verdict"), [("back", Verdict.NOW_GRANTED), ("front", Verdict.SAME)])
def test_a_member_is_let_in_at_the_door_of_the_attempt(door: str, verdict: Verdict) -> None:
    told: dict[str, Any] = {"reason": Reason.NOT_RECOGNIZED, "member_id": None, "liveness": "off"}
    record = replace(recorded(*[{"m_ada": 98.0}] * 4, **told), door="back")
    members = [replace(ADA, doors=frozenset({door}))]
    assert replayed(record, '[recognition]\nthreshold = 97.5\n[liveness]\nmode = "off"', members).verdict is verdict


def test_the_service_s_smile_is_not_the_eyes() -> None:
    record = granted(smile=99.0)
    for each in record.detail["examinations"]:
        each["recognizer"] = "rekognition"
    present = ruling('[recognition]\nrecognizers = ["rekognition"]\n[rekognition]\nregion = "eu-central-1"')
    strict = '[recognition]\nrecognizers = ["rekognition"]\n[rekognition]\nregion = "eu-central-1"\n'
    other = ruling(strict + "[liveness]\nsmile_at = 80")
    assert replay(replace(record, recognizer="rekognition"), ADA, present, other).verdict is Verdict.UNTOLD


def test_a_recognizer_that_the_settings_do_not_name_cannot_be_replayed() -> None:
    record = granted()
    for each in record.detail["examinations"]:
        each["recognizer"] = "rekognition"
    found = replayed(record, "")
    assert (found.verdict, "rekognition" in found.why) == (Verdict.UNTOLD, True)


def test_rows_of_older_versions_are_read() -> None:
    """They do not say who answered, nor why nobody did."""
    record = granted()
    for each in record.detail["examinations"]:
        del each["recognizer"], each["hindrance"]
    assert replayed(record, "").verdict is Verdict.SAME


class Script:
    """A made-up person before a made-up door: in each frame a smile, and whom the recognizer finds."""

    name, model = "embedded", "script"

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        base = chance.uniform(98.2, 99.6)
        self._similar = [min(100.0, base + chance.gauss(0, 0.3)) for _ in range(300)]
        self._rival = [value - chance.choice([0.05, 0.3, 3.0]) for value in self._similar]
        self._smiles_from = chance.choice([18, 24, 400])
        self._emotion = chance.choice([Emotion.HAPPY, Emotion.SURPRISED])

    def look(self, frame: Frame) -> Sight:
        smile = 80.0 if frame.sequence >= self._smiles_from else 5.0
        face = replace(make_face(smile=smile), emotions={self._emotion: 90.0})
        return Sight(frame, (face,), 50.0)

    def embed(self, frame: Frame, face: Face) -> Any:  # noqa: ARG002
        return person(1)

    def reset(self) -> None: ...

    def close(self) -> None: ...

    def prepare(self) -> None: ...

    def use(self, members: Sequence[Member]) -> None: ...

    def health(self) -> Health:
        return Health(self.name)

    def examine(self, question: Question) -> Examination:
        at, face = question.frame.sequence, question.face
        found = Candidate("m_ada", self._similar[at]), Candidate("m_bob", self._rival[at])
        return Examination(
            self.name, self.model, question.purpose, at, face.track, face.box, found, face.smile, face.emotions, 0.0
        )

    def at_the_door(self, text: str) -> Attempt:
        """Return how the door itself decides on this person."""
        clock = VirtualClock(THEN + timedelta(days=1))
        still = np.zeros((480, 640, 3), np.uint8)
        camera = StillsCamera([still], clock, clock.advance, fps=10.0)
        made = configuration.parse(text)
        return play(made, camera, clock, self, self, (ADA, BOB), luck=random.Random(1).random).attempt


OTHERS = [
    "[recognition]\nthreshold = 98.5",
    "[recognition]\nthreshold = 99.3",
    "[recognition]\nmargin = 0.4",
    "[recognition]\nmargin = 0.0",
    '[rules]\nemotions = "require"',
]


@pytest.mark.parametrize("text", ["", *OTHERS])
def test_what_is_told_is_what_the_door_decides_on_the_same_frames(text: str) -> None:
    """Seventy made-up people: wherever a verdict is given without a reservation, the door itself decides so."""
    told: list[Verdict] = []
    for seed in range(70):
        script = Script(seed)
        then, now = script.at_the_door(""), script.at_the_door(text)
        found = replayed(then, text)
        if found.verdict is Verdict.UNTOLD or found.why:
            continue
        told.append(found.verdict)
        expected = then.outcome if found.verdict is Verdict.SAME else _other(then.outcome)
        assert (seed, now.outcome) == (seed, expected)
    assert len(told) >= 25
    assert (len(set(told)) > 1) is bool(text and "threshold = 98.5" not in text and "margin = 0.0" not in text)


def _other(outcome: Outcome | None) -> Outcome:
    return Outcome.DENIED if outcome is Outcome.GRANTED else Outcome.GRANTED


def test_the_modes_are_all_thought_of() -> None:
    """A mode that is new must be put among those whose challenge a record tells of, or not."""
    assert set(LivenessMode) == {"off", "smile", "neutral-then-smile", "follow-the-light"}


def test_no_mode_opens_for_a_fallback_that_may_not() -> None:
    """Who was named by it alone is denied whatever is asked for; by one that may open nobody can tell."""
    told = '[recognition]\nrecognizers = ["rekognition", "embedded"]\nfallback_opens = {}\n'
    more = '[rekognition]\nregion = "eu-central-1"\n[liveness]\nmode = "off"'
    found = {"m_ada": 99.4}
    refused = recorded(found, found, reason=Reason.RECOGNIZER_UNAVAILABLE)
    assert replayed(refused, told.format("false") + more).verdict is Verdict.SAME
    assert replayed(refused, told.format("true") + more).verdict is Verdict.UNTOLD


def test_who_ran_out_of_time_for_the_smile_comes_in_where_none_is_asked_for() -> None:
    found = {"m_ada": 99.4}
    late = recorded(found, found, reason=Reason.TIMEOUT, challenge="holding")
    assert replayed(late, '[liveness]\nmode = "off"').verdict is Verdict.NOW_GRANTED
