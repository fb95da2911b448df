"""The challenge: each stage's way on, each way to fail, and what can never pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smileaccess.liveness import Challenge, LivenessRules, Stage, advance, begin, next_deadline, observe, verdict
from smileaccess.model import LivenessMode, Reason

RULES = LivenessRules(
    mode=LivenessMode.NEUTRAL_THEN_SMILE,
    smile_at=50.0,
    neutral_below=30.0,
    neutral_frames=2,
    smile_frames=2,
    cue_after_s=(0.4, 1.6),
    earliest_s=0.2,
    answer_s=4.0,
    patience_s=3.0,
)
SMILE_ONLY = replace(RULES, mode=LivenessMode.SMILE)
OFF = replace(RULES, mode=LivenessMode.OFF)
NEUTRAL, BETWEEN, SMILING = 5.0, 40.0, 80.0
HALF = (0.5, 0.5, 0.5)
"""Luck that puts every cue one second after the neutral face."""


def play(rules: LivenessRules, frames: Iterable[tuple[float, float]], luck: tuple[float, ...] = HALF) -> Challenge:
    """Show frames, each (at, smile), as the controller does: time first, then the frame."""
    challenge = begin(rules, luck)
    for at, smile in frames:
        challenge = observe(advance(challenge, rules, at), rules, smile, at)
    return challenge


def holding() -> Challenge:
    """Return a challenge whose neutral face was seen at 0.1 s and whose cue is due at 1.1 s."""
    return play(RULES, [(0.0, NEUTRAL), (0.1, NEUTRAL)])


def cued() -> Challenge:
    """Return a challenge that was cued at 1.2 s."""
    return advance(holding(), RULES, 1.2)


def test_a_challenge_begins_by_watching() -> None:
    """Before the first frame nothing is due and nothing has failed."""
    challenge = begin(RULES, HALF)

    assert challenge == Challenge(Stage.WATCHING, HALF)
    assert advance(challenge, RULES, 1000.0) == challenge
    assert (next_deadline(challenge, RULES), verdict(challenge), challenge.over) == (None, None, False)


def test_the_first_frame_starts_the_patience() -> None:
    """Patience runs from the first clear frame, not from the button."""
    challenge = play(RULES, [(7.0, BETWEEN)])

    assert (challenge.stage, challenge.since, next_deadline(challenge, RULES)) == (Stage.WATCHING, 7.0, 10.0)


def test_two_neutral_frames_hold() -> None:
    """A neutral face in enough frames fixes the cue's moment by one draw of luck."""
    challenge = holding()

    assert (challenge.stage, challenge.since, challenge.luck) == (Stage.HOLDING, 0.1, (0.5, 0.5))
    assert challenge.cue_at == next_deadline(challenge, RULES) == pytest.approx(1.1)


def test_neutral_frames_must_follow_each_other() -> None:
    """A frame that is not neutral begins the run anew."""
    challenge = play(RULES, [(0.0, NEUTRAL), (0.1, BETWEEN), (0.2, NEUTRAL)])

    assert (challenge.stage, challenge.run) == (Stage.WATCHING, 1)


@pytest.mark.parametrize(("smile", "stage"), [(29.9, Stage.HOLDING), (30.0, Stage.WATCHING)])
def test_the_neutral_mark(smile: float, stage: Stage) -> None:
    """Below the mark a face is neutral; at it, it is not."""
    assert play(RULES, [(0.0, smile), (0.1, smile)]).stage is stage


@pytest.mark.parametrize(("luck", "at"), [(0.0, 0.5), (1.0, 1.7)])
def test_luck_spans_the_cues_moment(luck: float, at: float) -> None:
    """The least luck cues as early as the rules allow, the most as late."""
    assert play(RULES, [(0.0, NEUTRAL), (0.1, NEUTRAL)], (luck,)).cue_at == pytest.approx(at)


@pytest.mark.parametrize(("now", "stage"), [(1.09, Stage.HOLDING), (1.2, Stage.CUED)])
def test_the_cue_comes_when_it_is_due(now: float, stage: Stage) -> None:
    """Time alone brings the cue, and not before its moment."""
    assert advance(holding(), RULES, now).stage is stage


def test_the_cue_is_stamped_when_it_is_shown() -> None:
    """The answer's time runs from when the cue was shown, not from when it was due."""
    challenge = cued()

    assert (challenge.since, next_deadline(challenge, RULES)) == (1.2, pytest.approx(5.2))


def test_neutral_then_smile_passes() -> None:
    """A face seen neutral, cued, then smiling in enough frames has passed."""
    frames = [(0.0, NEUTRAL), (0.1, NEUTRAL), (1.2, NEUTRAL), (1.6, SMILING), (1.7, SMILING)]

    assert play(RULES, frames).stage is Stage.PASSED


def test_a_passed_challenge_stays_passed() -> None:
    """Neither time nor another frame undoes it."""
    passed = observe(observe(cued(), RULES, SMILING, 2.0), RULES, SMILING, 2.1)

    assert advance(observe(passed, RULES, NEUTRAL, 3.0), RULES, 100.0) == passed
    assert (passed.over, verdict(passed), next_deadline(passed, RULES)) == (True, None, None)


def test_smiling_frames_must_follow_each_other() -> None:
    """One frame's flicker is no smile."""
    challenge = cued()
    for at, smile in [(1.6, SMILING), (1.7, BETWEEN), (1.8, SMILING)]:
        challenge = observe(challenge, RULES, smile, at)

    assert (challenge.stage, challenge.run) == (Stage.CUED, 1)


@pytest.mark.parametrize(("smile", "stage"), [(49.9, Stage.CUED), (50.0, Stage.PASSED)])
def test_the_smile_mark(smile: float, stage: Stage) -> None:
    """From the mark on a face smiles; just below it, it does not."""
    assert observe(observe(cued(), RULES, smile, 2.0), RULES, smile, 2.1).stage is stage


def test_a_smile_before_the_cue_begins_anew() -> None:
    """Who smiles before the cue must be seen neutral again, and is cued at another moment."""
    challenge = observe(holding(), RULES, SMILING, 0.9)

    assert (challenge.stage, challenge.since, challenge.cue_at) == (Stage.WATCHING, 0.9, None)
    assert advance(challenge, RULES, 1.2).stage is Stage.WATCHING


def test_a_half_smile_before_the_cue_is_let_pass() -> None:
    """Between neutral and smiling nothing is proven either way."""
    assert observe(holding(), RULES, BETWEEN, 0.9) == holding()


@pytest.mark.parametrize(("at", "stage"), [(1.39, Stage.WATCHING), (1.41, Stage.CUED)])
def test_an_answer_faster_than_a_person_begins_anew(at: float, stage: Stage) -> None:
    """A smile earlier than anybody could react to the cue answers no cue."""
    assert observe(cued(), RULES, SMILING, at).stage is stage


def test_a_frame_from_before_the_cue_is_no_answer() -> None:
    """A smile captured before the cue, and looked at only after it, begins anew."""
    assert observe(cued(), RULES, SMILING, 1.1).stage is Stage.WATCHING


@pytest.mark.parametrize(("now", "failure"), [(5.19, None), (5.2, Reason.NO_SMILE)])
def test_an_answer_that_comes_too_late(now: float, failure: Reason | None) -> None:
    """After the answer's time the challenge has failed for want of a smile."""
    late = observe(advance(cued(), RULES, now), RULES, SMILING, now)

    assert late.failure is failure


@pytest.mark.parametrize("since", [0.0, 0.1, 1 / 3, 1e5 + 0.7])
def test_at_its_deadline_time_moves_the_challenge(since: float) -> None:
    """Whoever comes back at the next deadline itself finds something done, and does not come in vain for ever."""
    watching = play(RULES, [(since, BETWEEN)])
    held = play(RULES, [(since, NEUTRAL), (since, NEUTRAL)])
    asked = advance(held, RULES, since + 2.0)

    for challenge in (watching, held, asked):
        deadline = next_deadline(challenge, RULES)
        assert deadline is not None
        assert advance(challenge, RULES, deadline).stage is not challenge.stage


def test_a_late_frame_fails_without_the_clock() -> None:
    """A frame captured after the answer's time is no answer, also when time was not passed before it."""
    late = observe(observe(cued(), RULES, SMILING, 5.3), RULES, SMILING, 5.4)

    assert (late.stage, late.failure) == (Stage.FAILED, Reason.NO_SMILE)


def test_a_still_smile_fails() -> None:
    """A picture that smiles all the time is never seen neutral."""
    frames = [(i / 10, SMILING) for i in range(40)]

    assert play(RULES, frames).failure is Reason.NO_EXPRESSION_CHANGE


def test_a_still_neutral_face_fails() -> None:
    """A picture that never smiles is cued and does not answer."""
    frames = [(i / 10, NEUTRAL) for i in range(60)]

    assert play(RULES, frames).failure is Reason.NO_SMILE


def test_luck_used_up_fails() -> None:
    """Who smiles before every cue runs out of cues."""
    frames = [(0.0, NEUTRAL), (0.1, NEUTRAL), (0.2, SMILING), (0.3, NEUTRAL), (0.4, NEUTRAL)]

    assert play(RULES, frames, luck=(0.5,)).failure is Reason.NO_EXPRESSION_CHANGE
    assert play(RULES, frames, luck=(0.5, 0.5)).stage is Stage.HOLDING


def test_a_failed_challenge_stays_failed() -> None:
    """No later frame mends a failure."""
    failed = advance(cued(), RULES, 6.0)

    assert observe(failed, RULES, SMILING, 6.1) == failed
    assert verdict(failed) is Reason.NO_SMILE


def test_off_asks_for_nothing() -> None:
    """With the mode off the challenge is passed before the first frame."""
    assert begin(OFF, HALF).stage is Stage.PASSED


def test_smile_mode_takes_a_smile_at_once() -> None:
    """With the mode smile nobody is asked to be neutral before."""
    assert play(SMILE_ONLY, [(0.0, SMILING), (0.1, SMILING)]).stage is Stage.PASSED


def test_smile_mode_waits_for_the_smile() -> None:
    """With the mode smile the answer's time runs from the first frame, and then it fails."""
    challenge = play(SMILE_ONLY, [(1.0, NEUTRAL)])

    assert (challenge.stage, next_deadline(challenge, SMILE_ONLY)) == (Stage.CUED, 5.0)
    assert advance(challenge, SMILE_ONLY, 5.1).failure is Reason.NO_SMILE


@pytest.mark.parametrize(
    ("challenge", "expected"),
    [
        (begin(RULES, HALF), None),
        (play(RULES, [(0.0, NEUTRAL)]), Reason.NO_EXPRESSION_CHANGE),
        (holding(), None),
        (cued(), Reason.NO_SMILE),
        (begin(OFF, HALF), None),
    ],
    ids=["unseen", "watching", "holding", "cued", "off"],
)
def test_the_verdict_when_time_is_up(challenge: Challenge, expected: Reason | None) -> None:
    """An attempt that ends now has failed in what it was waiting for."""
    assert verdict(challenge) is expected


def test_a_smile_that_is_no_number_is_nothing() -> None:
    """It is neither neutral nor a smile, and does not pass."""
    nan = float("nan")

    assert play(RULES, [(0.0, nan), (0.1, nan)]).stage is Stage.WATCHING
    assert observe(observe(cued(), RULES, nan, 2.0), RULES, nan, 2.1).stage is Stage.CUED


smiles = st.sampled_from([0.0, NEUTRAL, 29.9, 30.0, BETWEEN, 50.0, SMILING, 100.0, float("nan")])
steps = st.lists(st.tuples(st.floats(0.01, 0.9), st.floats(0.0, 0.5), smiles), max_size=60)


@settings(max_examples=200, deadline=None)
@given(steps, st.lists(st.floats(0.0, 1.0), max_size=8).map(tuple))
def test_only_neutral_then_cue_then_smile_passes(
    played: list[tuple[float, float, float]], luck: tuple[float, ...]
) -> None:
    """PASSED needs a neutral frame before a cue, and only smiling frames of the answer's time after it."""
    rules = RULES
    challenge = begin(rules, luck)
    shown: list[tuple[float, float]] = []
    cues: list[float] = []
    now = 0.0
    for after_s, lag_s, smile in played:
        now += after_s
        before, challenge = challenge.stage, advance(challenge, rules, now)
        if before is Stage.HOLDING and challenge.stage is Stage.CUED:
            cues.append(now)
        if challenge.over:
            break
        shown.append((now - lag_s, smile))
        challenge = observe(challenge, rules, smile, now - lag_s)

    if challenge.stage is Stage.PASSED:
        cue = cues[-1]
        assert any(smile < rules.neutral_below and at < cue for at, smile in shown)
        answer = shown[-rules.smile_frames :]
        assert all(
            smile >= rules.smile_at and cue + rules.earliest_s <= at <= cue + rules.answer_s for at, smile in answer
        )
    assert len(cues) <= len(luck)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.05, 0.2), st.floats(0.0, 29.0)), min_size=10, max_size=40),
    st.floats(0.0, 1.0),
)
def test_a_face_that_changes_on_cue_always_passes(faces: list[tuple[float, float]], luck: float) -> None:
    """Whoever is neutral until the cue, and smiles half a second after it, passes whatever the luck."""
    challenge, now, cue = begin(RULES, (luck,)), 0.0, None
    for after_s, neutral in [*faces, *[(0.1, NEUTRAL)] * 30]:
        now += after_s
        challenge = advance(challenge, RULES, now)
        cue = now if cue is None and challenge.stage is Stage.CUED else cue
        smile = SMILING if cue is not None and now > cue + 0.5 else neutral
        challenge = observe(challenge, RULES, smile, now)

    assert challenge.stage is Stage.PASSED


def test_the_challenge_is_a_value() -> None:
    """Advancing and observing return a new challenge and leave the old one as it was."""
    before = holding()
    kept = replace(before)
    advance(before, RULES, 2.0)
    observe(before, RULES, SMILING, 0.5)

    assert before == kept
