"""One attempt's evidence: which frames are asked about, what the answers prove, and when enough is known."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smileaccess.ballot import Standard
from smileaccess.examining import Ask, Examining, ExaminingRules
from smileaccess.gates import Limits
from smileaccess.liveness import LivenessRules, Stage
from smileaccess.model import (
    Box,
    Candidate,
    Emotion,
    Evidence,
    Face,
    Gesture,
    LivenessMode,
    Outcome,
    Pose,
    Purpose,
    Reason,
    Sight,
    Signal,
)
from smileaccess.policy import Rules, decide
from tests.builders import ANN, BOB, NOON, PLACE, make_examination, make_face, make_member, make_quality, make_sight

LIVENESS = LivenessRules(
    smile_at=50.0, neutral_below=30.0, cue_after_s=(0.4, 1.6), earliest_s=0.2, answer_s=4.0, patience_s=3.0
)
STANDARD = Standard("fake", threshold=99.0, agreeing=2, searches=4, expressions=2)
RULES = ExaminingRules(
    limits=Limits(),
    liveness=LIVENESS,
    standards=(STANDARD,),
    margin=0.1,
    same_face=79.2,
    max_calls=6,
    grace_s=1.0,
    patience_s=3.0,
)
NEUTRAL, SMILING = 5.0, 80.0
ELSEWHERE = Box(0.0, 0.0, 0.2, 0.2)
KNOWN = Candidate(ANN, 99.5)
"""Ann, recognized beyond doubt."""

NOBODY: Mapping[str, Gesture] = {}
ANN_TURNS = {ANN: Gesture.TURN}
ANN_OPENS = {ANN: Gesture.OPEN_MOUTH}
"""The members who do not smile, and what they do instead."""

CALM_FACE = make_face(NEUTRAL)
SHOWN: dict[Gesture, Face] = {
    Gesture.SMILE: make_face(SMILING),
    Gesture.TURN: make_face(NEUTRAL, pose=Pose(-26.0, 0.0, 0.0)),
    Gesture.OPEN_MOUTH: make_face(NEUTRAL, gap=55.0),
}
"""A face that shows each gesture, and nothing else."""

DARK = make_sight(brightness=1.0)
SMALL = make_sight(make_face(quality=make_quality(size_px=20)))


def in_mode(mode: LivenessMode) -> ExaminingRules:
    return replace(RULES, liveness=replace(LIVENESS, mode=mode))


class Session:
    """An attempt opened at 0 s that sees ten frames a second; its first cue comes 1 s after the neutral face."""

    def __init__(self, rules: ExaminingRules = RULES, gestures: Mapping[str, Gesture] = NOBODY) -> None:
        self.examining = Examining(rules, 0.0, (0.5,) * 4, gestures)
        self.now = 0.0
        self.sequence = 0
        self.asked: list[Ask] = []
        self.pending: Ask | None = None

    def show(self, smile: float | None = NEUTRAL, *, track: int = 1) -> Purpose | None:
        """Show one frame of a good face; return what is asked about it."""
        return self.see(make_sight(make_face(smile, track=track)))

    def see(self, sight: Sight) -> Purpose | None:
        """Show one frame, a tenth of a second after the one before."""
        self.now += 0.1
        self.sequence += 1
        self.examining.advance(self.now)
        frame = replace(sight.frame, sequence=self.sequence, captured_at=self.now)
        return self._took(self.examining.observe(replace(sight, frame=frame), self.now))

    def answer(
        self, *candidates: Candidate, smile: float | None = 85.0, box: Box = PLACE, searched: bool = True
    ) -> Purpose | None:
        """Answer the question that is open; return the next one."""
        assert self.pending is not None
        examination = make_examination(
            *candidates,
            purpose=self.pending.purpose,
            searched=searched,
            sequence=self.pending.frame.sequence,
            box=box,
            smile=smile,
            emotion=Emotion.HAPPY,
        )
        self.pending = None
        return self._took(self.examining.examined(examination, self.now))

    def shown_until(self, reached: Callable[[], bool], smile: float = NEUTRAL) -> None:
        """Show frames until something is reached, within 5 s."""
        for _ in range(50):
            if reached():
                return
            self.show(smile)
        pytest.fail("not reached within 5 s")

    def identified(self) -> Session:
        """Bring the attempt to where Ann is known."""
        for _ in range(2):
            assert self.show() is Purpose.IDENTITY
            self.answer(KNOWN)
        return self

    def smiled(self) -> Session:
        """Bring the attempt to its first question about a smiling face."""
        self.shown_until(lambda: self.examining.signal is Signal.SMILE_NOW)
        for _ in range(3):
            self.show()
        self.shown_until(lambda: self.examining.challenge.stage is Stage.PASSED, SMILING)
        return self

    @property
    def evidence(self) -> Evidence:
        return self.examining.evidence()

    @property
    def complete(self) -> bool:
        return self.examining.complete

    def _took(self, ask: Ask | None) -> Purpose | None:
        if ask is None:
            return None
        assert self.pending is None
        self.asked.append(ask)
        self.pending = ask
        return ask.purpose


def test_a_member_who_smiles_on_cue() -> None:
    """Two neutral frames name Ann, one smiling frame is hers: that is all, and it is enough."""
    session = Session().identified().smiled()

    assert not session.complete
    assert session.answer(Candidate(ANN, 92.0)) is None
    assert session.complete
    assert session.evidence == Evidence(
        identified=KNOWN,
        recognizer="fake",
        live=True,
        gesture=Gesture.SMILE,
        smile=85.0,
        emotions={Emotion.HAPPY: 90.0},
    )
    assert Counter(ask.purpose for ask in session.asked) == {Purpose.IDENTITY: 2, Purpose.EXPRESSION: 1}


@pytest.mark.parametrize("mode", [LivenessMode.NEUTRAL_THEN_SMILE, LivenessMode.FOLLOW_THE_LIGHT])
def test_a_smile_without_a_mouth_that_moves_is_a_tilted_picture(mode: LivenessMode) -> None:
    """However much of a smile is measured: beside the calm face the mouth stayed where it was."""
    session = Session(replace(RULES, liveness=replace(RULES.liveness, mode=mode))).identified()
    calm = make_face(NEUTRAL)
    while not session.complete and session.now < 20:
        session.see(make_sight(replace(make_face(SMILING), mesh=calm.mesh)))

    assert not session.evidence.live
    assert session.evidence.liveness in {Reason.NO_SMILE, Reason.NO_EXPRESSION_CHANGE}
    assert all(ask.purpose is Purpose.IDENTITY for ask in session.asked)


def test_where_no_calm_face_is_asked_for_the_mouth_need_not_have_moved() -> None:
    """One smiling frame is all that mode = "smile" looks at."""
    session = Session(replace(RULES, liveness=replace(RULES.liveness, mode=LivenessMode.SMILE)))
    session.shown_until(lambda: session.examining.challenge.over, SMILING)

    assert session.examining.challenge.stage is Stage.PASSED


def test_the_question_is_about_the_frame_and_face_that_were_seen() -> None:
    """A question carries the very frame and face it is about."""
    session = Session()
    session.show()

    assert session.asked[0].frame.sequence == 1
    assert session.asked[0].face.box == PLACE


def test_one_question_at_a_time() -> None:
    """While an answer is out, no other question is asked."""
    session = Session()

    assert [session.show() for _ in range(5)] == [Purpose.IDENTITY, None, None, None, None]


def test_nothing_is_asked_once_the_member_is_known() -> None:
    """A known face is not searched again."""
    session = Session().identified()

    assert [session.show() for _ in range(3)] == [None, None, None]


def test_a_smiling_face_is_searched_after_the_grace_only() -> None:
    """Who never shows a neutral face is searched all the same, after a while."""
    session = Session()
    asked = [session.show(SMILING) for _ in range(14)]

    assert asked[:10] == [None] * 10
    assert asked.count(Purpose.IDENTITY) == 1
    assert session.asked[0].frame.captured_at == pytest.approx(1.1, abs=0.11)


def test_a_face_whose_smile_was_not_measured_is_searched_after_the_grace() -> None:
    """It proves no sign of life, but it can be recognized."""
    session = Session()
    asked = [session.show(None) for _ in range(14)]

    assert (asked[:10], asked.count(Purpose.IDENTITY)) == ([None] * 10, 1)
    assert session.examining.challenge.since is None


def test_frames_that_are_hindered_are_not_asked_about() -> None:
    """A dark or distant face costs no question."""
    session = Session()

    assert [session.see(DARK), session.see(SMALL), session.see(make_sight())] == [None, None, None]


def test_one_vote_is_not_enough() -> None:
    """One frame names nobody yet."""
    session = Session()
    session.show()
    session.answer(KNOWN)

    assert (session.examining.identified, session.evidence.unrecognized) == (None, False)


def test_two_agreeing_frames_name_the_member_with_the_best_similarity() -> None:
    """Enough frames agree, and the best of them goes on record."""
    session = Session()
    for similarity in (99.7, 99.1):
        session.show()
        session.answer(Candidate(ANN, similarity))

    assert session.evidence.identified == Candidate(ANN, 99.7)


def test_a_recognizer_may_need_one_frame_only() -> None:
    """How many frames must agree is the recognizer's."""
    session = Session(replace(RULES, standards=(Standard("fake", agreeing=1),)))
    session.show()
    session.answer(KNOWN)

    assert session.evidence.identified == KNOWN


@pytest.mark.parametrize(("similarity", "named"), [(99.0, Candidate(ANN, 99.0)), (98.9, None)])
def test_the_threshold(similarity: float, named: Candidate | None) -> None:
    """A candidate below the threshold is no vote."""
    session = Session()
    for _ in range(2):
        session.show()
        session.answer(Candidate(ANN, similarity))

    assert session.evidence.identified == named


def test_a_stranger_is_unrecognized_after_all_searches() -> None:
    """Four searches that name nobody end the attempt."""
    session = Session()
    done = []
    for _ in range(4):
        session.show()
        session.answer(Candidate(ANN, 60.0))
        done.append(session.complete)

    assert done == [False, False, False, True]
    assert session.evidence.unrecognized
    assert session.show() is None


def test_a_search_that_named_nobody_counts_when_time_is_up() -> None:
    """Whoever runs out of time after a search in vain was not recognized."""
    session = Session()
    session.show()
    session.answer()

    assert (session.complete, session.evidence.unrecognized) == (False, True)


def test_an_answer_without_a_search_says_nothing_about_identity() -> None:
    """Where nobody was searched for, nobody was found wanting."""
    session = Session()
    session.show()
    session.answer(searched=False)

    assert not session.evidence.unrecognized


def test_too_few_votes_after_all_searches() -> None:
    """One lucky frame in four does not make a member."""
    session = Session()
    for candidates in ([KNOWN], [], [], []):
        session.show()
        session.answer(*candidates)

    assert (session.complete, session.evidence.unrecognized, session.evidence.identified) == (True, True, None)


def test_two_members_are_ambiguous() -> None:
    """Frames that name two members name neither."""
    session = Session()
    for named in (ANN, BOB):
        session.show()
        session.answer(Candidate(named, 99.5))

    assert (session.complete, session.evidence.ambiguous, session.evidence.identified) == (True, True, None)


@pytest.mark.parametrize(
    ("second", "ambiguous"),
    [(99.45, True), (99.41, True), (99.39, False), (98.99, False)],
)
def test_a_near_tie_is_ambiguous(second: float, ambiguous: bool) -> None:
    """A second candidate above the threshold must stand clearly behind the first."""
    session = Session()
    session.show()
    session.answer(Candidate(ANN, 99.5), Candidate(BOB, second))

    assert (session.evidence.ambiguous, session.complete) == (ambiguous, ambiguous)


def test_a_second_candidate_below_the_threshold_is_nobody() -> None:
    """However near it is, it makes no tie."""
    session = Session()
    session.show()
    session.answer(Candidate(ANN, 99.0), Candidate(BOB, 98.95))

    assert not session.evidence.ambiguous


def test_another_track_is_another_person() -> None:
    """When the face followed is replaced by another one, the attempt is over and asks nothing more."""
    session = Session()
    session.show()

    assert session.show(track=2) is None
    assert (session.complete, session.evidence.track_lost) == (True, True)
    session.answer(KNOWN)
    assert session.show() is None


def test_a_short_hindrance_does_not_break_the_track() -> None:
    """A frame that is no use is passed over."""
    session = Session().identified()
    session.see(DARK)
    session.smiled()
    session.answer(KNOWN)

    assert (session.complete, session.evidence.track_lost, session.evidence.live) == (True, False, True)


def test_an_answer_about_a_face_elsewhere_is_not_counted() -> None:
    """A box that does not lie on the face asked about belongs to somebody else."""
    session = Session()
    session.show()
    session.answer(KNOWN, box=ELSEWHERE)

    assert (session.complete, session.evidence.track_lost, session.examining.examinations) == (True, True, [])


def test_boxes_of_two_detectors_may_differ() -> None:
    """A box somewhat larger than ours is still the same face."""
    session = Session()
    session.show()
    session.answer(KNOWN, box=Box(PLACE.left - 0.05, PLACE.top - 0.1, PLACE.width + 0.1, PLACE.height + 0.15))

    assert (session.evidence.track_lost, len(session.examining.examinations)) == (False, 1)


def test_an_answer_that_nobody_asked_for_changes_nothing() -> None:
    """An answer without a question is dropped."""
    session = Session()

    assert session.examining.examined(make_examination(KNOWN), 0.1) is None
    assert (session.examining.examinations, session.evidence) == ([], Evidence())


def test_the_smiling_face_is_asked_about_twice_at_most() -> None:
    """A smiling face that names another member twice was swapped in, and nobody is let in."""
    session = Session().identified().smiled()
    session.answer(Candidate(BOB, 99.5))
    assert not session.complete

    assert session.show(SMILING) is Purpose.EXPRESSION
    session.answer(Candidate(BOB, 99.5))

    assert (session.complete, session.evidence.track_lost, session.evidence.live) == (True, True, False)
    assert session.show(SMILING) is None


def test_a_second_look_at_the_smiling_face_may_mend_it() -> None:
    """One bad answer is not the end."""
    session = Session().identified().smiled()
    session.answer(smile=None)
    session.show(SMILING)
    session.answer(Candidate(ANN, 90.0))

    assert (session.complete, session.evidence.track_lost, session.evidence.live) == (True, False, True)
    assert session.evidence.smile == 85.0


@pytest.mark.parametrize(("similarity", "live"), [(79.2, True), (79.1, False)])
def test_the_mark_of_the_same_face(similarity: float, live: bool) -> None:
    """The smiling face needs to be like the known member, less than to be recognized anew."""
    session = Session().identified().smiled()
    session.answer(Candidate(BOB, 80.0), Candidate(ANN, similarity))

    assert session.evidence.live is live


def test_an_expression_without_a_search_belongs_to_the_track() -> None:
    """A recognizer that only describes the smiling face is bound by box and track."""
    session = Session().identified().smiled()
    session.answer(searched=False)

    assert (session.complete, session.evidence.live) == (True, True)


def test_a_smile_before_the_member_is_known_counts_once_known() -> None:
    """The order of the answers does not matter, only that both belong to one face."""
    session = Session(replace(RULES, standards=(Standard("fake", agreeing=1),)))
    session.show()
    session.smiled()
    assert session.answer(KNOWN) is Purpose.EXPRESSION
    session.answer(Candidate(ANN, 90.0))

    assert (session.complete, session.evidence.live) == (True, True)


def test_the_cue_is_shown_when_it_is_due() -> None:
    """Time alone turns what is shown into the cue, and the stages tell when."""
    examining = Session().identified().examining
    shown = []
    for now in (1.1, 1.3, 1.4):
        examining.advance(now)
        shown.append(examining.signal)

    assert shown == [Signal.LOOKING, Signal.SMILE_NOW, Signal.SMILE_NOW]
    assert examining.stages == {"first_face": 100.0, "neutral": 200.0, "identified": 200.0, "cued": 1300.0}


def test_a_failed_challenge_completes_the_attempt() -> None:
    """Whoever does not smile in time need not be looked at any longer."""
    session = Session().identified()
    for _ in range(60):
        session.show()

    assert (session.complete, session.evidence.liveness, session.evidence.live) == (True, Reason.NO_SMILE, False)


def test_a_still_smile_completes_the_attempt() -> None:
    """A picture that smiles from the first frame on shows no change."""
    session = Session()
    for _ in range(40):
        if session.show(SMILING) is not None:
            session.answer(KNOWN)

    assert (session.complete, session.evidence.liveness) == (True, Reason.NO_EXPRESSION_CHANGE)
    assert session.evidence.identified == KNOWN


def test_an_open_question_is_waited_for() -> None:
    """A failed challenge waits for the answer that is out, so that the record says who it was."""
    session = Session()
    for _ in range(60):
        session.show()
    assert not session.complete
    session.answer()

    assert session.complete


def hindered(*, frames: int, sights: list[Sight]) -> Session:
    session = Session()
    for number in range(frames):
        session.see(sights[number % len(sights)])
    return session


@pytest.mark.parametrize(("frames", "complete"), [(29, False), (31, True)])
def test_a_hindrance_that_lasts_ends_the_attempt(frames: int, complete: bool) -> None:
    """Nothing usable for as long as patience lasts is the attempt's end."""
    session = hindered(frames=frames, sights=[DARK])

    assert (session.complete, session.evidence.hindrance) == (complete, Reason.TOO_DARK)


def test_the_commonest_hindrance_is_told() -> None:
    """Where several took turns, the one seen most is the reason."""
    assert hindered(frames=32, sights=[DARK, SMALL, SMALL]).evidence.hindrance is Reason.TOO_FAR


def test_a_clear_frame_renews_the_patience() -> None:
    """One clear frame among hindered ones, and the attempt goes on."""
    session = hindered(frames=20, sights=[DARK])
    session.show()
    for _ in range(20):
        session.see(DARK)

    assert (session.complete, session.evidence.hindrance) == (False, None)


def test_a_hindrance_after_clear_frames_ends_the_attempt_too() -> None:
    """Who walks away after the first frames is not waited for."""
    session = Session()
    session.show()
    for _ in range(32):
        session.see(make_sight())

    assert (session.complete, session.evidence.hindrance) == (True, Reason.NO_FACE)


def test_no_frame_is_no_hindrance() -> None:
    """Before the first frame nothing can be said, however late it is."""
    examining = Examining(RULES, 0.0, (0.5,))
    examining.advance(60.0)

    assert (examining.complete, examining.evidence()) == (False, Evidence())


def test_with_liveness_off_a_known_face_is_enough() -> None:
    """With the mode off any frame is searched, and no smile is asked for."""
    session = Session(in_mode(LivenessMode.OFF))
    asked = []
    for _ in range(2):
        asked.append(session.show(SMILING))
        session.answer(KNOWN)

    assert asked == [Purpose.IDENTITY, Purpose.IDENTITY]
    assert (session.complete, session.evidence.live, session.evidence.identified) == (True, True, KNOWN)


def test_with_smile_only_no_neutral_face_is_needed() -> None:
    """With the mode smile a smiling face is let in without a cue."""
    session = Session(in_mode(LivenessMode.SMILE))
    session.show(SMILING)
    while not session.complete:
        session.show(SMILING)
        session.answer(KNOWN)

    assert (session.sequence <= 5, session.evidence.live, session.evidence.identified) == (True, True, KNOWN)


def test_with_smile_only_a_face_that_never_smiles_fails() -> None:
    """With the mode smile, and no smile, the answer's time ends it."""
    session = Session(in_mode(LivenessMode.SMILE)).identified()
    for _ in range(42):
        session.show()

    assert (session.complete, session.evidence.liveness) == (True, Reason.NO_SMILE)


def test_a_fault_goes_into_the_evidence() -> None:
    """What the controller knows of a fault is part of what policy judges."""
    assert Session().examining.evidence(Reason.CAMERA_UNAVAILABLE) == Evidence(fault=Reason.CAMERA_UNAVAILABLE)


def test_the_summary_is_plain_and_nameless() -> None:
    """What goes on record is JSON, tells the path, and holds ids but no pixels."""
    session = Session().identified().smiled()
    session.answer(Candidate(ANN, 92.0004), smile=85.04)
    summary = session.examining.summary()

    assert json.loads(json.dumps(summary)) == summary
    assert {name: summary[name] for name in ("similarity", "recognizer", "model", "calls")} == {
        "similarity": 99.5,
        "recognizer": "fake",
        "model": "fake-1",
        "calls": 3,
    }
    assert summary["detail"]["challenge"] == "passed"
    assert summary["detail"]["frames"] == {"clear": session.sequence}
    assert summary["detail"]["examinations"][-1] == {
        "purpose": "expression",
        "recognizer": "fake",
        "hindrance": None,
        "frame": session.asked[-1].frame.sequence,
        "candidates": [{"member": ANN, "similarity": 92.0}],
        "smile": 85.0,
        "emotions": {"happy": 90.0},
        "ms": 12.0,
    }


def test_the_summary_of_nothing() -> None:
    """An attempt that saw nothing says so."""
    assert Session().examining.summary() == {
        "similarity": None,
        "recognizer": None,
        "model": None,
        "calls": 0,
        "stages_ms": {},
        "detail": {"frames": {}, "challenge": "watching", "examinations": []},
    }


sights = st.one_of(
    st.builds(make_face, st.sampled_from([None, NEUTRAL, NEUTRAL, 40.0, SMILING, SMILING])).map(make_sight),
    st.sampled_from([DARK, SMALL, make_sight(make_face(track=2))]),
)
clear = st.sampled_from([NEUTRAL, SMILING]).map(lambda smile: make_sight(make_face(smile)))
answers = st.lists(
    st.builds(Candidate, st.sampled_from([ANN, ANN, BOB]), st.sampled_from([99.5, 99.45, 90.0, 60.0])), max_size=2
)
moves = st.tuples(st.integers(1, 15), st.integers(0, 8).flatmap(lambda n: sights if n == 0 else clear), answers)


@settings(max_examples=150, deadline=None)
@given(st.lists(moves, max_size=30), st.sampled_from(LivenessMode))
def test_random_attempts(played: list[tuple[int, Sight, list[Candidate]]], mode: LivenessMode) -> None:
    """Questions stay within their number, evidence never contradicts itself, and completeness means a decision."""
    session = Session(in_mode(mode))
    for frames, sight, candidates in played:
        for _ in range(frames):
            session.see(sight)
        if session.pending is not None:
            session.answer(*candidates)
        evidence = session.evidence
        asked = Counter(ask.purpose for ask in session.asked)

        assert asked[Purpose.IDENTITY] <= STANDARD.searches
        assert asked[Purpose.EXPRESSION] <= STANDARD.expressions
        if evidence.identified is not None:
            assert (evidence.ambiguous, evidence.unrecognized) == (False, False)
            assert evidence.identified.similarity >= STANDARD.threshold
        if evidence.live and mode is not LivenessMode.OFF:
            assert session.examining.challenge.stage is Stage.PASSED
            assert evidence.identified is not None
        if session.complete:
            member = make_member(evidence.identified.member_id) if evidence.identified else None
            decision = decide(evidence, member, NOON, True, Rules(mode, thresholds={"fake": 99.0}))
            assert decision.reason is not Reason.TIMEOUT


def test_a_face_is_followed_by_its_track_not_its_place() -> None:
    """A face that moves across the picture on one track is one face."""
    session = Session()
    session.show()
    session.answer(KNOWN)
    moved: Face = make_face(box=ELSEWHERE)

    assert session.see(make_sight(moved)) is Purpose.IDENTITY
    session.answer(KNOWN, box=ELSEWHERE)
    assert session.evidence.identified == KNOWN


@pytest.mark.parametrize("sight", [make_sight(), DARK, SMALL], ids=["gone", "dark", "far"])
def test_a_face_taken_away_after_it_was_recognized_is_lost(sight: Sight) -> None:
    """Whoever takes a picture away that cannot smile was somebody: it counts, and is not told as nobody."""
    session = Session().identified()
    for _ in range(40):
        session.see(sight)

    evidence = session.evidence
    assert (session.complete, evidence.track_lost, evidence.hindrance) == (True, True, None)


def test_another_person_who_comes_along_is_told_as_such() -> None:
    """A second face beside a recognized one is no withdrawal."""
    session = Session().identified()
    for _ in range(40):
        session.see(make_sight(make_face(NEUTRAL), make_face(NEUTRAL, track=2)))

    assert (session.evidence.track_lost, session.evidence.hindrance) == (False, Reason.MULTIPLE_FACES)


def test_a_second_face_makes_no_guess_at_the_light_free() -> None:
    """A recording that sees that it guessed wrong shall not end as somebody's picture: it counts."""
    follow = replace(RULES, liveness=replace(RULES.liveness, mode=LivenessMode.FOLLOW_THE_LIGHT))
    session = Session(follow).identified()
    session.shown_until(lambda: session.examining.challenge.stage is Stage.CUED)
    for _ in range(40):
        session.see(make_sight(make_face(NEUTRAL), make_face(NEUTRAL, track=2)))

    assert session.evidence.track_lost


# A recognizer that bills, and one behind it


CLOUD = Standard("cloud", agreeing=1, searches=2, expressions=2, billed={Purpose.IDENTITY: 2, Purpose.EXPRESSION: 1})
BILLED = replace(RULES, standards=(CLOUD, STANDARD))


def answer(session: Session, *candidates: Candidate, **told: Any) -> Purpose | None:
    """Answer the open question as the first recognizer, or as another one named in `told`."""
    assert session.pending is not None
    ask, session.pending = session.pending, None
    expression = ask.purpose is Purpose.EXPRESSION
    usual = {
        "purpose": ask.purpose,
        "searched": not expression,
        "recognizer": "cloud",
        "calls": 1 if expression else 2,
        "smile": 85.0,
        "sequence": ask.frame.sequence,
    }
    return session._took(session.examining.examined(make_examination(*candidates, **{**usual, **told}), session.now))


def test_one_search_and_one_look_at_the_smile_are_enough() -> None:
    """A recognizer that needs one frame is asked three billed calls' worth in a good attempt."""
    session = Session(BILLED)
    session.show()
    answer(session, KNOWN)
    session.smiled()
    answer(session)

    assert (session.complete, session.evidence.identified, session.evidence.live) == (True, KNOWN, True)
    assert (session.evidence.recognizer, session.evidence.fallback) == ("cloud", False)
    summary = session.examining.summary()
    assert summary["calls"] == 3
    assert [each["candidates"] for each in summary["detail"]["examinations"]] == [
        [{"member": ANN, "similarity": 99.5}],
        None,
    ]


def test_a_question_may_cost_what_is_left() -> None:
    """A search leaves enough for the smile; after it the smile may have all of the rest."""
    session = Session(BILLED)
    session.show()
    assert session.asked[0].calls == 5
    answer(session, KNOWN, calls=4)
    session.smiled()
    assert session.asked[-1].calls == 2


def test_without_a_challenge_nothing_is_left_for_the_smile() -> None:
    """With liveness off a search may cost everything."""
    session = Session(replace(in_mode(LivenessMode.OFF), standards=(CLOUD,)))
    session.show()

    assert session.asked[0].calls == 6


def test_a_stranger_is_searched_as_often_as_allowed() -> None:
    """Two searches that name nobody end the attempt."""
    session = Session(BILLED)
    for _ in range(2):
        session.show()
        answer(session, Candidate(BOB, 90.0))

    assert (session.complete, session.evidence.unrecognized) == (True, True)


def test_what_cannot_be_paid_is_not_asked() -> None:
    """A search that took all that it might is the last one."""
    session = Session(BILLED)
    session.show()
    answer(session, calls=5)

    assert (session.show(), session.complete, session.evidence.unrecognized) == (None, True, True)


@pytest.mark.parametrize("reason", [Reason.NO_FACE, Reason.MULTIPLE_FACES, Reason.AMBIGUOUS_MATCH])
def test_an_answer_that_is_none_says_why(reason: Reason) -> None:
    """A search that could not be bound to the face is asked once more, and then is what the attempt ends with."""
    session = Session(BILLED)
    session.show()
    answer(session, hindrance=reason)
    assert not session.complete
    assert session.show() is Purpose.IDENTITY
    answer(session, hindrance=reason)

    evidence = session.evidence
    assert (session.complete, evidence.identified, evidence.unrecognized) == (True, None, False)
    ambiguous = reason is Reason.AMBIGUOUS_MATCH
    assert (evidence.ambiguous, evidence.hindrance) == (ambiguous, None if ambiguous else reason)
    assert decide(evidence, None, NOON, True, Rules()).reason is reason


def test_an_answer_after_one_that_was_none_counts() -> None:
    """A face that could be told apart in the second frame is whoever it is."""
    session = Session(BILLED)
    session.show()
    answer(session, hindrance=Reason.MULTIPLE_FACES)
    session.show()
    answer(session, KNOWN)

    assert (session.evidence.identified, session.evidence.hindrance) == (KNOWN, None)


def test_a_smile_that_could_not_be_bound_is_no_smile() -> None:
    """The smile of another face does not count; after the second try the attempt says why."""
    session = Session(BILLED)
    session.show()
    answer(session, KNOWN)
    session.smiled()
    answer(session, hindrance=Reason.MULTIPLE_FACES)
    assert not session.evidence.live
    while session.pending is None:
        session.show(SMILING)
    answer(session, hindrance=Reason.MULTIPLE_FACES)

    assert (session.complete, session.evidence.live) == (True, False)
    assert decide(session.evidence, make_member(), NOON, True, Rules(thresholds={"cloud": 99.0})).reason is (
        Reason.MULTIPLE_FACES
    )


def test_the_fallback_is_held_to_its_own_standard() -> None:
    """One frame of the first recognizer is enough, one of the second is not."""
    session = Session(BILLED)
    session.show()
    answer(session, KNOWN, recognizer="fake", calls=2)
    assert session.evidence.identified is None
    session.show()
    answer(session, KNOWN, recognizer="fake", calls=0)

    evidence = session.evidence
    assert (evidence.identified, evidence.recognizer, evidence.fallback) == (KNOWN, "fake", True)
    assert session.examining.summary()["recognizer"] == "fake"


def test_frames_of_two_recognizers_do_not_add_up() -> None:
    """What the first one said below its threshold is no vote for what the second one says once."""
    session = Session(BILLED)
    session.show()
    answer(session, Candidate(ANN, 98.0))
    session.show()
    answer(session, KNOWN, recognizer="fake", calls=0)

    assert session.evidence.identified is None


def test_two_recognizers_that_disagree_name_nobody() -> None:
    """Ann by the one and Bob by the other is ambiguous, whoever is surer."""
    strict = replace(BILLED, standards=(replace(CLOUD, agreeing=2), STANDARD))
    session = Session(strict)
    session.show()
    answer(session, KNOWN)
    session.show()
    answer(session, Candidate(BOB, 99.9), recognizer="fake", calls=0)

    assert (session.complete, session.evidence.ambiguous, session.evidence.identified) == (True, True, None)


def test_a_smile_judged_by_the_fallback_makes_it_the_fallbacks_attempt() -> None:
    """Where the first one named the member and was gone at the smile, the policy hears of it."""
    session = Session(BILLED)
    session.show()
    answer(session, KNOWN)
    session.smiled()
    answer(session, Candidate(ANN, 95.0), recognizer="fake", searched=True, calls=0)

    assert (session.evidence.live, session.evidence.fallback, session.evidence.recognizer) == (True, True, "cloud")


def test_a_recognizer_that_was_not_to_be_asked_is_unforeseen() -> None:
    """An answer of nobody's recognizer is an error, never a vote."""
    session = Session(BILLED)
    session.show()
    with pytest.raises(LookupError, match="another"):
        answer(session, KNOWN, recognizer="another")


# --- follow the light

FOLLOW = replace(LIVENESS, mode=LivenessMode.FOLLOW_THE_LIGHT)


def followed(
    session: Session,
    gesture: Gesture = Gesture.SMILE,
    *,
    late: int = 5,
    whose: Candidate = KNOWN,
    again: bool = True,
    faces: tuple[Face, ...] = (),
) -> Session:
    """Show somebody who does what was asked for so many frames ago, until the attempt is complete.

    The gesture is shown as in `faces`, one after the other, where there are any.
    """
    shown: list[Signal] = []
    for _ in range(200):
        session.examining.advance(session.now + 0.1)
        shown.append(session.examining.signal or Signal.LOOKING)
        asked = shown[-late] if len(shown) >= late else Signal.LOOKING
        face = faces[len(shown) % len(faces)] if faces else SHOWN[gesture]
        session.see(make_sight(face if asked is Signal.SMILE_NOW else CALM_FACE))
        while session.pending is not None:
            session.answer(whose if session.pending.purpose is Purpose.IDENTITY or again else Candidate(BOB, 99.9))
        if session.complete:
            return session
    pytest.fail("20 s and no end")


def granted_by(evidence: Evidence, mode: LivenessMode, gesture: Gesture = Gesture.SMILE) -> bool:
    rules = Rules(liveness=mode, thresholds={"fake": 99.0})
    return decide(evidence, replace(make_member(), gesture=gesture), NOON, True, rules).outcome is Outcome.GRANTED


def test_a_member_who_follows_the_light_is_let_in() -> None:
    """The best smile of the sequence is looked at, once, and it is hers; what was asked goes on record."""
    session = followed(Session(replace(RULES, liveness=FOLLOW)))

    assert granted_by(session.evidence, LivenessMode.FOLLOW_THE_LIGHT)
    assert session.evidence.gesture is Gesture.SMILE
    assert [ask.purpose for ask in session.asked] == [Purpose.IDENTITY, Purpose.IDENTITY, Purpose.EXPRESSION]
    assert session.asked[-1].face.smile == SMILING
    detail = session.examining.summary()["detail"]
    assert (detail["challenge"], detail["missed"]) == ("passed", [])
    assert re.fullmatch(r"[+-]{6}", detail["asked"])


def test_who_does_not_follow_the_light_is_refused() -> None:
    """A face that smiles one beat later than asked has followed nothing, twice."""
    session = followed(Session(replace(RULES, liveness=FOLLOW)), late=15)

    assert session.evidence.liveness is Reason.NO_EXPRESSION_CHANGE
    assert not granted_by(session.evidence, LivenessMode.FOLLOW_THE_LIGHT)
    assert len(session.examining.summary()["detail"]["missed"]) == 2
    assert Purpose.EXPRESSION not in {ask.purpose for ask in session.asked}


def test_the_face_that_followed_the_light_must_be_the_members() -> None:
    """Another member's smile in the sequence is a change of persons, after a second look at another frame."""
    session = followed(Session(replace(RULES, liveness=FOLLOW)), again=False)

    expressions = [ask for ask in session.asked if ask.purpose is Purpose.EXPRESSION]
    assert session.evidence.track_lost
    assert len({id(ask.frame) for ask in expressions}) == len(expressions) == 2


def test_a_missed_sequence_leaves_no_smile_to_be_looked_at() -> None:
    """Only a smile of the sequence that was followed may be examined."""
    session = Session(replace(RULES, liveness=FOLLOW)).identified()
    session.shown_until(lambda: session.examining.signal is not Signal.LOOKING)
    while not session.examining.challenge.missed:
        session.see(make_sight(make_face(99.0)))
    missed = session.sequence
    followed(session)

    assert session.evidence.live
    assert session.asked[-1].purpose is Purpose.EXPRESSION
    assert (session.asked[-1].frame.sequence > missed, session.asked[-1].face.smile) == (True, SMILING)


# --- other gestures than a smile


@pytest.mark.parametrize("mode", [LivenessMode.SMILE, LivenessMode.NEUTRAL_THEN_SMILE, LivenessMode.FOLLOW_THE_LIGHT])
@pytest.mark.parametrize("shows", Gesture)
@pytest.mark.parametrize("own", Gesture)
def test_a_member_is_let_in_by_the_own_gesture_alone(mode: LivenessMode, own: Gesture, shows: Gesture) -> None:
    """Whatever the mode asks for, the member's gesture takes the smile's place, and no other does."""
    gestures = {ANN: own} if own is not Gesture.SMILE else {BOB: Gesture.TURN}
    session = followed(Session(in_mode(mode), gestures), shows)

    assert (session.evidence.gesture is own, session.evidence.live) == (own is shows, own is shows)


@pytest.mark.parametrize("gestures", [ANN_TURNS, ANN_OPENS])
def test_where_gestures_differ_nothing_is_asked_of_a_face_that_is_not_known(gestures: Mapping[str, Gesture]) -> None:
    """Nobody is asked for a smile before the door knows whose it would be; a stranger is asked for nothing."""
    session = Session(RULES, gestures)
    for _ in range(60):
        session.show()
        while session.pending is not None:
            session.answer()

    assert session.examining.signal is Signal.LOOKING
    assert (session.complete, session.evidence.unrecognized) == (True, True)


def test_what_was_seen_before_the_member_was_known_counts() -> None:
    """The calm face of the last second need not be shown again: the cue comes as if the gesture had been known."""
    session = Session(RULES, ANN_TURNS)
    for _ in range(2):
        session.show()
        session.answer(KNOWN)

    assert session.examining.stages["neutral"] == session.examining.stages["identified"] == 200.0


def test_a_gesture_before_the_cue_begins_anew_also_where_it_was_seen_earlier() -> None:
    """Who turns before the member is known must be calm again before the cue."""
    session = Session(RULES, ANN_TURNS)
    session.show()
    session.answer(KNOWN)
    session.show()
    for _ in range(2):
        session.see(make_sight(SHOWN[Gesture.TURN]))
    session.answer(KNOWN)

    assert session.examining.challenge.stage is Stage.WATCHING


def test_memory_of_earlier_frames_is_short() -> None:
    """What was seen more than a second before the member was known is forgotten."""
    session = Session(RULES, ANN_OPENS)
    for _ in range(3):
        session.show()
    for _ in range(11):
        session.see(make_sight(SHOWN[Gesture.OPEN_MOUTH]))
    while session.pending is not None or session.examining.identified is None:
        if session.pending is None:
            session.see(make_sight(SHOWN[Gesture.OPEN_MOUTH]))
        session.answer(KNOWN)

    assert (session.examining.challenge.stage, session.examining.challenge.luck) == (Stage.WATCHING, (0.5,) * 4)


def test_a_head_turned_from_the_start_is_calm_where_it_looks() -> None:
    """A turn is counted from where the calm face looked, so that somebody beside the camera may come in."""
    session = Session(RULES, ANN_TURNS)
    aside = make_face(NEUTRAL, pose=Pose(15.0, 0.0, 0.0))
    straight = make_face(NEUTRAL, pose=Pose(-6.0, 0.0, 0.0))
    for _ in range(2):
        session.see(make_sight(aside))
        session.answer(KNOWN)
    for face in (aside, straight):
        for _ in range(20):
            session.see(make_sight(face))

    assert session.examining.challenge.stage is Stage.PASSED


def test_a_turned_head_is_recognized_in_the_least_turned_frame() -> None:
    """The frame that is examined is that which shows the most of the face; of smiles it is the widest."""
    turns = tuple(make_face(NEUTRAL, pose=Pose(yaw, 0.0, 0.0)) for yaw in (-24.0, -21.0, -27.0))
    smiles = tuple(make_face(smile) for smile in (70.0, 95.0, 60.0))
    turned = followed(Session(replace(RULES, liveness=FOLLOW), ANN_TURNS), faces=turns).asked[-1]
    smiled = followed(Session(replace(RULES, liveness=FOLLOW)), faces=smiles).asked[-1]

    assert (turned.purpose, turned.face.pose) == (Purpose.EXPRESSION, turns[1].pose)
    assert (smiled.purpose, smiled.face.smile) == (Purpose.EXPRESSION, 95.0)


def test_a_gesture_that_could_not_be_measured_is_not_seen() -> None:
    """A face without a mesh neither turns nor is calm."""
    session = Session(RULES, ANN_TURNS)
    blind = make_face(NEUTRAL, pose=None)
    for _ in range(2):
        session.see(make_sight(blind))
        session.answer(KNOWN)
    for _ in range(20):
        session.see(make_sight(blind))

    assert session.examining.challenge.since is None


def test_a_nod_before_the_cue_raises_no_bar() -> None:
    """What measures as a smile then, the mouth's own or not, begins the challenge anew with another calm face."""
    session = Session().identified()
    session.see(make_sight(replace(make_face(60.0), mesh=make_face(NEUTRAL).mesh)))
    assert session.examining.challenge.stage is Stage.WATCHING
    session.shown_until(lambda: session.examining.signal is Signal.SMILE_NOW)
    for _ in range(4):
        session.show(NEUTRAL)
    for _ in range(3):
        session.show(75.0)
    assert session.examining.challenge.stage is Stage.PASSED
