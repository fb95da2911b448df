"""The challenge: each stage's way on, each way to fail, and what can never pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smileaccess.liveness import (
    SEQUENCES,
    Challenge,
    LivenessRules,
    Stage,
    Word,
    advance,
    beats_for,
    begin,
    follows_by_luck,
    from_now_on,
    most_beats,
    needs_s,
    next_deadline,
    observe,
    replay_passes,
    verdict,
    words,
)
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
FOLLOW = replace(RULES, mode=LivenessMode.FOLLOW_THE_LIGHT, beat_s=0.8, false_accept=0.05)
WORDS = words(6)
"""What FOLLOW may ask for."""
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
    """Between neutral and smiling nothing is proven either way; the smile must stand out of it, though."""
    assert observe(holding(), RULES, BETWEEN, 0.9) == replace(holding(), rest=BETWEEN)


def test_a_cue_keeps_its_delay_where_the_frames_are_old() -> None:
    """Frames of before the member was known: the cue comes as long after now as it would have after them."""
    moved = from_now_on(holding(), 0.9)
    assert (holding().cue_at, moved.cue_at) == (pytest.approx(1.1), pytest.approx(1.9))
    assert from_now_on(holding(), 0.05) == holding()
    assert from_now_on(cued(), 9.0) == cued()


@pytest.mark.parametrize(("smile", "stage"), [(64.9, Stage.CUED), (65.0, Stage.PASSED)])
@pytest.mark.parametrize("before", [[(0.0, NEUTRAL), (0.1, NEUTRAL), (0.9, 35.0)], [(0.0, NEUTRAL), (0.1, NEUTRAL)]])
def test_a_smile_stands_out_of_what_was_shown_before(
    before: list[tuple[float, float]], smile: float, stage: Stage
) -> None:
    """What trembles about the marks has not smiled: before the cue, and until somebody can have reacted to it."""
    early = (1.2, 35.0 if len(before) == 2 else NEUTRAL)
    challenge = play(RULES, [*before, (1.1, NEUTRAL), early, (1.9, smile), (2.0, smile)])

    assert challenge.stage is stage


def test_a_new_calm_face_forgets_what_was_shown_before() -> None:
    """A smile counts from the calm face that its own cue came after."""
    trembling = play(RULES, [(0.0, 29.0), (0.1, 29.0), (0.5, 49.0), (0.7, SMILING)])
    rested = play(RULES, [(0.0, 29.0), (0.1, 31.0), (0.2, NEUTRAL), (0.3, NEUTRAL)])

    assert (trembling.stage, trembling.rest) == (Stage.WATCHING, None)
    assert (rested.stage, rested.rest) == (Stage.HOLDING, NEUTRAL)


def test_the_widest_smile_always_answers() -> None:
    """However little somebody rested, what is asked for can be shown."""
    strict = replace(RULES, smile_at=90.0, rise=60.0)
    challenge = play(strict, [(0.0, 29.0), (0.1, 29.0), (0.9, 89.0), (1.1, 29.0), (1.9, 95.0), (2.0, 95.0)])

    assert challenge.stage is Stage.PASSED


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


class Person:
    """A living face: it turns toward what is asked for `reaction` after the cue, and takes `onset_s` all the way.

    The measured smile follows the face's movement, or runs ahead of it where `sudden` is more than 1.
    """

    def __init__(
        self, reaction: Callable[[], float], *, onset_s: float = 0.5, offset_s: float = 0.5, least: float, most: float
    ) -> None:
        self.reaction, self.onset_s, self.offset_s, self.least, self.most = reaction, onset_s, offset_s, least, most
        self.share, self.now = 0.0, 0.0
        self.asked, self.turns = False, list[tuple[float, bool]]()
        self.sudden = 1.0

    def hear(self, asked: bool | None, now: float) -> None:
        """See the light at this moment; an amber one that asks for nothing lets the face come to rest."""
        if bool(asked) is not self.asked:
            self.asked = bool(asked)
            self.turns.append((now + self.reaction(), self.asked))

    def smile(self, at: float) -> float:
        """Return the smile at this moment, which is not before the last one."""
        while self.now < at:
            self.now = min(at, self.now + 0.01)
            wants = next((asked for due, asked in reversed(self.turns) if due <= self.now), False)
            self.share += 0.01 / self.onset_s if wants else -0.01 / self.offset_s
            self.share = min(1.0, max(0.0, self.share))
        eased = 1 - (1 - self.share * self.share * (3 - 2 * self.share)) ** self.sudden
        return self.least + (self.most - self.least) * eased


def follow(
    rules: LivenessRules,
    smile: Callable[[float], float],
    luck: Iterable[float],
    *,
    frame_s: Callable[[], float] = lambda: 0.1,
    hear: Callable[[bool | None, float], None] = lambda _asked, _now: None,
) -> Challenge:
    """Play an attempt of 30 s at most, moving time in steps of 10 ms as the daemon's own loop would."""
    challenge, next_frame = begin(rules, tuple(luck)), 0.0
    for step in range(3000):
        now = step / 100
        challenge = advance(challenge, rules, now)
        hear(challenge.asked, now)
        if now >= next_frame:
            challenge = observe(challenge, rules, smile(now), now)
            next_frame = now + frame_s()
        if challenge.over:
            return challenge
    pytest.fail("30 s and no end")


def drawn(number: int) -> float:
    """Return the luck that draws FOLLOW's word of this number."""
    return (number + 0.5) / len(WORDS)


def honest(seed: int) -> tuple[Person, Callable[[], float], Random]:
    """Return somebody at random: reaction, speed, range of the smile; 6 to 15 frames a second, one in twenty lost."""
    random = Random(seed)
    person = Person(
        lambda: random.uniform(0.25, 0.6),
        onset_s=random.uniform(0.3, 0.7),
        offset_s=random.uniform(0.3, 0.7),
        least=random.uniform(0, 20),
        most=random.uniform(60, 100),
    )
    frame_s = 1 / random.uniform(6, 15)
    return person, lambda: frame_s * (2 if random.random() < 0.05 else random.uniform(0.8, 1.2)), random


@pytest.mark.parametrize(
    ("beats", "expected"),
    [(2, {(True, False)}), (3, {(False, True, False), (True, False, False), (True, False, True), (True, True, False)})],
)
def test_a_word_holds_a_smile_and_a_calm_face_after_it(beats: int, expected: set[Word]) -> None:
    """What never changes, or turns from calm to a smile once, is never asked for."""
    assert set(words(beats)) == expected


@pytest.mark.parametrize("beats", range(2, 8))
def test_the_words_are_counted(beats: int) -> None:
    """Of all words only those that rise once, or never change, are left out: one more than there are beats."""
    assert len(words(beats)) == len(set(words(beats))) == 2**beats - beats - 1


def followed(rules: LivenessRules, number: int, smile: Callable[[float], float]) -> bool:
    """Play one sequence, that of this number, to a recording; say whether it is followed.

    Every recording begins calm, so that the sequence begins with the frame at 0.5 s.
    """
    count = len(words(beats_for(rules)))
    challenge = begin(rules, ((number + 0.5) / count,))
    for step in range(200):
        now = step / 20
        challenge = advance(challenge, rules, now)
        challenge = observe(challenge, rules, smile(now) if now > 0.3 else NEUTRAL, now)
        if challenge.over or challenge.missed:
            return challenge.stage is Stage.PASSED
    pytest.fail("10 s and no end")


@pytest.mark.parametrize("beats", [3, 4, 5])
def test_the_chance_of_a_recording_is_what_playing_every_answer_counts(beats: int) -> None:
    """Every answer that changes once a beat at the most, played to every word: the best one follows a single word."""
    rules = replace(FOLLOW, false_accept=follows_by_luck(beats))
    count = len(words(beats))
    best = 0
    for answer in product((NEUTRAL, SMILING), repeat=beats):
        smile = recording(answer)
        best = max(best, sum(followed(rules, number, smile) for number in range(count)))

    assert beats_for(rules) == beats
    assert best == 1
    assert replay_passes(rules) == pytest.approx(1 - (1 - best / count) ** SEQUENCES)


def recording(answer: tuple[float, ...]) -> Callable[[float], float]:
    """Return a face that answers each beat of a sequence begun at 0.5 s with these smiles, 0.6 s late."""
    return lambda now: answer[min(max(0, int((now - 1.1) / 0.8)), len(answer) - 1)] if now >= 1.1 else NEUTRAL


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.02, 1.2), st.sampled_from([0.0, 20.0, 45.0, 55.0, 100.0])), max_size=20))
def test_no_recording_follows_two_words(played: list[tuple[float, float]]) -> None:
    """Whatever a face does without seeing the light, of all words it follows one at the most."""

    def smile(now: float) -> float:
        at = 0.5
        for held_s, level in played:
            at += held_s
            if now < at:
                return level
        return NEUTRAL

    rules = replace(FOLLOW, false_accept=follows_by_luck(4))
    assert sum(followed(rules, number, smile) for number in range(len(words(4)))) <= 1


@pytest.mark.parametrize(
    ("beat_s", "beats", "chance"),
    [(0.7, 7, 0.0166), (0.8, 6, 0.0348), (0.9, 5, 0.0754), (1.0, 5, 0.0754), (1.2, 4, 0.1736)],
)
def test_the_least_chance_that_five_seconds_give(beat_s: float, beats: int, chance: float) -> None:
    """Shorter beats leave a recording less luck; these figures stand in docs/liveness.md."""
    rules = replace(FOLLOW, beat_s=beat_s, false_accept=follows_by_luck(most_beats(beat_s)))

    assert (most_beats(beat_s), beats_for(rules)) == (beats, beats)
    assert replay_passes(rules) == pytest.approx(chance, abs=5e-5)


@pytest.mark.parametrize("beats", range(3, 8))
def test_the_chances_stand_in_the_documentation(beats: int) -> None:
    """Nobody has to compute what a setting means."""
    page = (Path(__file__).parent.parent / "docs" / "liveness.md").read_text(encoding="utf-8")

    assert f"\n| {beats} | {len(words(beats))} | {follows_by_luck(beats):.4f} | " in page


@pytest.mark.parametrize(
    ("false_accept", "beats"), [(0.0347, 7), (0.0349, 6), (0.05, 6), (0.0754, 6), (0.0755, 5), (0.5, 3)]
)
def test_the_fewest_beats_that_are_enough(false_accept: float, beats: int) -> None:
    """A sequence is as short as the allowed chance lets it be, and no shorter than two seconds."""
    assert beats_for(replace(FOLLOW, beat_s=0.7, false_accept=false_accept)) == beats


def test_a_chance_that_cannot_be_had_is_told_with_the_one_that_can() -> None:
    """What no five seconds give is an error that names what they do give."""
    with pytest.raises(ValueError, match=r"false_accept = 0.03: must be at least 0.035, .* 6 beats of beat_s = 0.8"):
        beats_for(replace(FOLLOW, false_accept=0.03))


def test_how_long_an_attempt_must_last() -> None:
    """Two sequences, each with a second to come to rest, the hold, its beats and the last answer."""
    assert needs_s(FOLLOW) == pytest.approx(2 * (1.0 + 0.4 + 6 * 0.8 + 0.4))


def test_a_sequence_begins_soon_after_the_calm_face() -> None:
    """The first beat comes at the earliest moment of a cue: the luck goes into what is asked for."""
    challenge = play(FOLLOW, [(0.0, NEUTRAL), (0.1, NEUTRAL)], (drawn(7), 0.5))

    assert (challenge.stage, challenge.cue_at, challenge.word, challenge.luck) == (
        Stage.HOLDING,
        pytest.approx(0.5),
        WORDS[7],
        (0.5,),
    )


def test_luck_spans_the_words() -> None:
    """The least luck draws the first word, the most the last one."""
    frames = [(0.0, NEUTRAL), (0.1, NEUTRAL)]

    assert play(FOLLOW, frames, (0.0,)).word == WORDS[0]
    assert play(FOLLOW, frames, (1.0,)).word == WORDS[-1]


def test_the_light_shows_the_word_beat_by_beat() -> None:
    """Each beat lasts its time, and after the last one nothing is asked for until the answer has been read."""
    shown = list[tuple[bool | None, float]]()

    def hear(asked: bool | None, now: float) -> None:
        if not shown or shown[-1][0] is not asked:
            shown.append((asked, now))

    number = WORDS.index((False, True, True, False, True, False))
    follow(FOLLOW, lambda _now: NEUTRAL, (drawn(number),), hear=hear)

    assert [asked for asked, _ in shown] == [None, False, True, False, True, False, None]
    assert [at for _, at in shown[1:]] == pytest.approx([0.5, 1.3, 2.9, 3.7, 4.5, 5.3], abs=0.05)


@pytest.mark.parametrize("word", WORDS, ids=lambda word: "".join("-+"[smile] for smile in word))
def test_a_person_follows_every_word(word: Word) -> None:
    """Somebody of ordinary speed passes with the first sequence, whichever is drawn."""
    person = Person(lambda: 0.4, least=10, most=80)

    challenge = follow(FOLLOW, person.smile, (drawn(WORDS.index(word)),), hear=person.hear)

    assert (challenge.stage, challenge.missed) == (Stage.PASSED, ())


@pytest.mark.parametrize("sudden", [1.0, 3.0, 6.0])
def test_people_of_all_sorts_follow(sudden: float) -> None:
    """Reacting in 0.25 to 0.6 s, smiling up to 60 to 100 in 0.3 to 0.7 s, 6 to 15 frames a second: 98 in 100."""
    passed = 0
    for seed in range(100):
        person, frame_s, random = honest(seed)
        person.sudden = sudden
        luck = (random.random(), random.random())
        passed += follow(FOLLOW, person.smile, luck, frame_s=frame_s, hear=person.hear).stage is Stage.PASSED

    assert passed >= 98


def test_a_sequence_that_was_missed_may_be_tried_again() -> None:
    """Who missed the first sequence passes with the second one, once calm again."""
    person, heard = Person(lambda: 0.4, least=10, most=80), list[bool | None]()

    def late(asked: bool | None, now: float) -> None:
        heard.append(asked)
        person.hear(asked if now > 6 else None, now)

    challenge = follow(FOLLOW, person.smile, (drawn(3), drawn(5)), hear=late)

    assert (challenge.stage, challenge.missed) == (Stage.PASSED, (Reason.NO_SMILE,))


def test_two_sequences_missed_fail() -> None:
    """There is no third one, whatever luck is left."""
    challenge = follow(FOLLOW, lambda _now: NEUTRAL, [0.5] * 8)

    assert (challenge.stage, challenge.failure, len(challenge.missed)) == (Stage.FAILED, Reason.NO_SMILE, SEQUENCES)


def test_who_smiled_in_either_sequence_is_not_told_to_have_never_smiled() -> None:
    """The reason is no_smile only where no smile was seen at all."""
    held = recording((NEUTRAL, SMILING, SMILING, SMILING, SMILING, SMILING))

    challenge = follow(FOLLOW, lambda now: held(now) if now < 6 else NEUTRAL, (0.5, 0.5))

    assert challenge.missed == (Reason.NO_EXPRESSION_CHANGE, Reason.NO_SMILE)
    assert challenge.failure is Reason.NO_EXPRESSION_CHANGE


def test_one_that_always_alternates_is_told_from_one_that_follows() -> None:
    """A smile that comes and goes with every beat is no answer to another word."""
    answer = (SMILING, NEUTRAL, SMILING, NEUTRAL, SMILING, NEUTRAL)
    expected = {WORDS.index(tuple(level == SMILING for level in answer))}

    assert {number for number in range(len(WORDS)) if followed(FOLLOW, number, recording(answer))} == expected


def test_a_smile_that_is_held_is_not_following() -> None:
    """Who smiles once and keeps smiling has not followed any word."""
    held = recording((NEUTRAL, SMILING, SMILING, SMILING, SMILING, SMILING))

    assert not any(followed(FOLLOW, number, held) for number in range(len(WORDS)))


def test_a_face_that_moves_too_little_follows_nothing() -> None:
    """The right word in half a smile is missed for want of a smile; in a smile that never ends, of a change."""
    number = WORDS.index((True, False, True, False, True, False))
    halves = ((NEUTRAL, 10, 49, Reason.NO_SMILE), (28.0, 10, 57, Reason.NO_SMILE))
    for before, least, most, reason in (*halves, (NEUTRAL, 51, 80, Reason.NO_EXPRESSION_CHANGE)):
        person = Person(lambda: 0.4, least=least, most=most)
        challenge = follow(
            FOLLOW,
            lambda now, p=person, calm=before: p.smile(now) if now > 0.5 else calm,
            [drawn(number)] * 2,
            hear=person.hear,
        )
        assert challenge.missed[0] is reason


def test_a_sequence_that_is_hardly_seen_is_not_followed() -> None:
    """Less than a frame a beat proves nothing, even if each of them fits."""
    person = Person(lambda: 0.4, least=10, most=80)
    sparse = iter([0.1, 0.1, *[0.9] * 100])

    challenge = follow(FOLLOW, person.smile, (drawn(3), drawn(4)), frame_s=lambda: next(sparse), hear=person.hear)

    assert challenge.failure is Reason.NO_EXPRESSION_CHANGE


def test_a_sequence_is_judged_without_the_frames_that_do_not_come() -> None:
    """A camera that stops does not keep the challenge waiting for longer than a late frame may take."""
    challenge = play(FOLLOW, [(0.0, NEUTRAL), (0.1, NEUTRAL)], (drawn(3), drawn(4)))
    ends = list[float]()
    for _ in range(20):
        deadline = next_deadline(challenge, FOLLOW)
        assert deadline is not None
        ends.append(deadline)
        challenge = advance(challenge, FOLLOW, deadline)
        if challenge.missed:
            break

    assert ends == pytest.approx([0.5, *[0.5 + 0.8 * n for n in range(1, 7)], 0.5 + 4.8 + 1.4])
    assert challenge.stage is Stage.WATCHING


def test_a_door_that_is_late_with_its_cues_gives_the_same_time() -> None:
    """A beat lasts from when it was shown: lateness of a tenth of a second each does not make anybody miss."""
    person = Person(lambda: 0.5, least=10, most=80)
    challenge = begin(FOLLOW, (drawn(20),))
    for step in range(120):
        now = step / 10
        challenge = advance(challenge, FOLLOW, now - 0.099 if now >= 0.099 else 0.0)
        person.hear(challenge.asked, now)
        challenge = observe(challenge, FOLLOW, person.smile(now), now)

    assert (challenge.stage, challenge.missed) == (Stage.PASSED, ())


def test_a_smile_before_the_first_beat_begins_anew() -> None:
    """The sequence begins from a calm face, with another word."""
    challenge = observe(play(FOLLOW, [(0.0, NEUTRAL), (0.1, NEUTRAL)], (0.1, 0.9)), FOLLOW, SMILING, 0.3)

    assert (challenge.stage, challenge.word, challenge.luck) == (Stage.WATCHING, (), (0.9,))


def test_following_is_no_verdict_until_the_light_was_shown() -> None:
    """Time that is up before the first light proves nothing; whoever has seen one has guessed, or missed it."""
    held = play(FOLLOW, [(0.0, NEUTRAL), (0.1, NEUTRAL)], (0.1, 0.9))
    first = advance(held, FOLLOW, 0.5)
    missed = follow_until_missed()

    assert (held.stage, verdict(held)) == (Stage.HOLDING, None)
    assert (first.stage, verdict(first)) == (Stage.CUED, Reason.NO_EXPRESSION_CHANGE)
    assert verdict(missed) is Reason.NO_SMILE


def follow_until_missed() -> Challenge:
    challenge, now = begin(FOLLOW, (0.1, 0.9)), 0.0
    while not challenge.missed:
        challenge = observe(advance(challenge, FOLLOW, now), FOLLOW, NEUTRAL, now)
        now += 0.1
    return challenge


def test_what_is_no_number_is_not_seen() -> None:
    """A smile that could not be measured is a frame that was lost."""
    person = Person(lambda: 0.4, least=10, most=80)
    count = iter(range(10_000))

    def smile(now: float) -> float:
        return person.smile(now) if next(count) % 3 else math.nan

    assert follow(FOLLOW, smile, (drawn(30),), hear=person.hear).missed == ()
