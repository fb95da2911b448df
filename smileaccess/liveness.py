"""A sequence of observed smiles, and where the challenge stands: pure; it draws no luck and reads no clock itself.

What is observed is how much of the asked gesture a face shows, 0..100; for most people that is a smile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise, product

from smileaccess.model import LivenessMode, Reason

Word = tuple[bool, ...]
"""What follow-the-light asks for, beat by beat: True for a smile, False for a calm face."""

SEQUENCES = 2
"""How often a person may try to follow the light before the attempt is denied."""

SHORTEST_S, LONGEST_S = 2.0, 5.0
"""How long the cues of one sequence may take, in seconds."""

FROM_S, BEYOND_S = 0.95, 0.4
"""Which frames tell what a beat was answered with: from 0.95 s after its cue to 0.4 s after its end, in seconds.

A person reacts to a light in 0.25 to 0.6 s and takes 0.3 to 0.7 s to smile or to be calm again, so that a face has gone
most of its way 0.4 to 1.1 s after a cue: by then nearly all have arrived, and the quickest have not left yet.
"""

SMILING = 2 / 3
"""From which share of the face's own range on it smiles in a beat. A slight smile already measures much, so that half
way up comes soon and half way down late; two thirds come about as late up as down."""

SAMPLES = 7
"""At how many moments of that time the smile is read, between the frames by linear interpolation."""

LATE_S = 1.0
"""How much later than it was captured a frame may come in, at the most, in seconds; then judged without it."""

MOST = 95.0
"""The greatest smile that is ever asked for: the widest smiles of photographs measure 95 to 98."""

READY_S = 1.0
"""What a person is given to come to rest before a sequence, in seconds, where the settings reckon an attempt's time."""


class Stage(StrEnum):
    """Where the challenge stands."""

    WATCHING = "watching"
    HOLDING = "holding"
    CUED = "cued"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class LivenessRules:
    """How the challenge goes.

    Smiles are 0..100: 50 and 30 are the marks of the embedded smile score (docs/recognition.md). The cue comes
    between `cue_after_s[0]` and `[1]` after the neutral face was seen; an answer counts from `earliest_s` after it
    (a person needs about 0.2 s to react to a light at all) to `answer_s`; `patience_s` bounds the wait for a neutral
    face. An answer stands out by `rise` from all that the face showed before: what trembles about the marks, as a face
    does on a print that is bent by hand, has not smiled. Follow-the-light asks for beats of `beat_s`, as many as bring
    the chance of a recording to `false_accept`; its first beat comes `cue_after_s[0]` after the neutral face.
    """

    mode: LivenessMode = LivenessMode.NEUTRAL_THEN_SMILE
    smile_at: float = 50.0
    neutral_below: float = 30.0
    rise: float = 30.0
    neutral_frames: int = 2
    smile_frames: int = 2
    cue_after_s: tuple[float, float] = (0.4, 1.6)
    earliest_s: float = 0.2
    answer_s: float = 4.0
    patience_s: float = 3.0
    beat_s: float = 0.8
    false_accept: float = 0.05


@dataclass(frozen=True, slots=True)
class Challenge:
    """One attempt's challenge; times are monotonic seconds.

    `luck` are the draws, each 0..1, that are left for later cues; `run` counts the frames in a row that count toward
    the stage's end; `since` is when the stage began, None before the first frame; `rest` is the most that the face
    showed since it was calm, as long as it could not have answered. Of follow-the-light: the `word`
    that is asked for, when each of its `beats` began and the last one ended as far as they have, the frames `seen`
    meanwhile as (captured at, smile), and for each sequence that was `missed` why.
    """

    stage: Stage
    luck: tuple[float, ...]
    since: float | None = None
    run: int = 0
    rest: float | None = None
    cue_at: float | None = None
    failure: Reason | None = None
    word: Word = ()
    beats: tuple[float, ...] = ()
    seen: tuple[tuple[float, float], ...] = ()
    missed: tuple[Reason, ...] = ()

    @property
    def asked(self) -> bool | None:
        """What is asked for at this moment: True a smile, False a calm face, None nothing."""
        if self.stage is not Stage.CUED:
            return None
        if not self.word:
            return True
        return self.word[len(self.beats) - 1] if len(self.beats) <= len(self.word) else None

    @property
    def over(self) -> bool:
        """Whether the challenge has been passed or failed."""
        return self.stage in {Stage.PASSED, Stage.FAILED}


def words(beats: int) -> list[Word]:
    """Return what follow-the-light may ask for in so many beats, each as likely as any other.

    All that hold a smile and a calm face after it: what never changes, or changes once, as two pictures swapped do,
    is never asked for.
    """
    return [word for word in product((False, True), repeat=beats) if (True, False) in pairwise(word)]


def follows_by_luck(beats: int) -> float:
    """Return the greatest chance, 0..1, that what does not see the light follows it in one of the attempt's sequences.

    Whatever a face does, its frames are read as one word (`_read`), in a way that does not depend on what was asked
    for. So a recording, the best one that there can be, follows one of the equally likely words; and the second
    sequence is drawn independently of the first.
    """
    return 1 - (1 - 1 / len(words(beats))) ** SEQUENCES


def most_beats(beat_s: float) -> int:
    """Return how many beats fit into the longest sequence."""
    return math.floor(LONGEST_S / beat_s + 1e-9)


def beats_for(rules: LivenessRules) -> int:
    """Return how many beats a sequence has: the fewest with which a recording passes no oftener than is allowed.

    ValueError, which names the least chance that is possible, where the longest sequence is not enough.
    """
    fewest, most = max(2, math.ceil(SHORTEST_S / rules.beat_s - 1e-9)), most_beats(rules.beat_s)
    for beats in range(fewest, most + 1):
        if follows_by_luck(beats) <= rules.false_accept:
            return beats
    raise ValueError(
        f"false_accept = {rules.false_accept:g}: must be at least {math.ceil(follows_by_luck(most) * 1000) / 1000:g}, "
        f"the chance of a recording with {most} beats of beat_s = {rules.beat_s:g} in {LONGEST_S:g} s; shorter beats "
        "bring it down"
    )


def replay_passes(rules: LivenessRules) -> float:
    """Return the chance, 0..1, that a recording passes follow-the-light in an attempt, at the most; exact."""
    return follows_by_luck(beats_for(rules))


def needs_s(rules: LivenessRules) -> float:
    """Return how long an attempt must last for all of follow-the-light's sequences, in seconds."""
    sequence_s = READY_S + rules.cue_after_s[0] + beats_for(rules) * rules.beat_s + BEYOND_S
    return round(SEQUENCES * sequence_s, 3)


def begin(rules: LivenessRules, luck: Sequence[float]) -> Challenge:
    """Return a new challenge; `luck` are independent draws from 0..1, one for each cue that may be needed."""
    stage = Stage.PASSED if rules.mode is LivenessMode.OFF else Stage.WATCHING
    return Challenge(stage, tuple(luck))


def advance(challenge: Challenge, rules: LivenessRules, now: float) -> Challenge:
    """Return the challenge as time alone moves it: a cue that is due, a patience that is at its end.

    The caller shows the cue when the stage turns to CUED, which is stamped `now`.
    """
    if challenge.over or challenge.since is None:
        return challenge
    if challenge.stage is Stage.HOLDING and challenge.cue_at is not None and now >= challenge.cue_at:
        return replace(challenge, stage=Stage.CUED, since=now, run=0, beats=(now,) if challenge.word else ())
    if challenge.stage is Stage.WATCHING and now >= challenge.since + rules.patience_s:
        return _fail(challenge, Reason.NO_EXPRESSION_CHANGE)
    if challenge.stage is Stage.CUED and challenge.word:
        return _go_on(challenge, rules, now)
    if challenge.stage is Stage.CUED and now >= challenge.since + rules.answer_s:
        return _fail(challenge, Reason.NO_SMILE)
    return challenge


def observe(challenge: Challenge, rules: LivenessRules, smile: float, at: float) -> Challenge:
    """Return the challenge after a clear frame of the tracked face, captured `at`, that shows `smile`."""
    if challenge.over:
        return challenge
    if challenge.since is None:
        first = Stage.CUED if rules.mode is LivenessMode.SMILE else Stage.WATCHING
        challenge = replace(challenge, stage=first, since=at)
    if challenge.stage is Stage.WATCHING:
        return _watch(challenge, rules, smile, at)
    if challenge.stage is Stage.HOLDING:
        return _watch_again(challenge, at) if smile >= rules.smile_at else _rested(challenge, smile)
    if challenge.word:
        return _follow(challenge, rules, smile, at)
    return _await_answer(challenge, rules, smile, at)


def from_now_on(challenge: Challenge, now: float) -> Challenge:
    """Return a challenge that old frames were shown to, its cue as long after `now` as it was to come after them.

    Else the cue would come at once where the frames are older than its delay, and not at a moment nobody can know.
    """
    if challenge.stage is not Stage.HOLDING or challenge.since is None or challenge.cue_at is None:
        return challenge
    return replace(challenge, cue_at=challenge.cue_at + max(0.0, now - challenge.since))


def next_deadline(challenge: Challenge, rules: LivenessRules) -> float | None:
    """Return when `advance` may next change something, or None."""
    if challenge.over or challenge.since is None:
        return None
    if challenge.stage is Stage.HOLDING:
        return challenge.cue_at
    if challenge.stage is Stage.CUED and challenge.word:
        return _turns_at(challenge, rules)
    return challenge.since + (rules.patience_s if challenge.stage is Stage.WATCHING else rules.answer_s)


def verdict(challenge: Challenge) -> Reason | None:
    """Return what an attempt that ends now, its time being up, has failed in; None where nothing can be said yet."""
    if challenge.failure is not None or challenge.over or challenge.since is None:
        return challenge.failure
    if challenge.missed:
        return _prevailing(challenge.missed)
    if challenge.word:  # the light was shown: whoever stops following it has guessed
        return Reason.NO_EXPRESSION_CHANGE if challenge.beats else None
    return {Stage.WATCHING: Reason.NO_EXPRESSION_CHANGE, Stage.CUED: Reason.NO_SMILE}.get(challenge.stage)


def answered_from(challenge: Challenge, rules: LivenessRules) -> float:
    """Return what a face must show to have answered, 0..100: `smile_at`, and `rise` more than it showed before."""
    if challenge.rest is None:
        return rules.smile_at
    return max(rules.smile_at, min(MOST, challenge.rest + rules.rise))


def _rested(challenge: Challenge, smile: float) -> Challenge:
    known = challenge.rest is not None and not smile > challenge.rest
    return challenge if known or not math.isfinite(smile) else replace(challenge, rest=smile)


def _watch(challenge: Challenge, rules: LivenessRules, smile: float, at: float) -> Challenge:
    if not smile < rules.neutral_below:
        return replace(challenge, run=0, rest=None)
    challenge = _rested(replace(challenge, run=challenge.run + 1), smile)
    if challenge.run < rules.neutral_frames:
        return challenge
    if not challenge.luck:
        return _fail(challenge, Reason.NO_EXPRESSION_CHANGE)
    (low, high), luck = rules.cue_after_s, challenge.luck[0]
    held = replace(challenge, stage=Stage.HOLDING, since=at, run=0, luck=challenge.luck[1:])
    if rules.mode is LivenessMode.FOLLOW_THE_LIGHT:
        return replace(held, cue_at=at + low, word=_drawn(rules, luck))
    return replace(held, cue_at=at + low + (high - low) * luck)


def _watch_again(challenge: Challenge, at: float) -> Challenge:
    """A smile that answers no cue proves nothing: a neutral face, and a cue at another moment, are needed again."""
    return replace(challenge, stage=Stage.WATCHING, since=at, run=0, rest=None, cue_at=None, word=(), beats=(), seen=())


def _await_answer(challenge: Challenge, rules: LivenessRules, smile: float, at: float) -> Challenge:
    cued_at = challenge.since if challenge.since is not None else at
    if rules.mode is LivenessMode.NEUTRAL_THEN_SMILE and at < cued_at + rules.earliest_s:
        return _watch_again(challenge, at) if smile >= rules.smile_at else _rested(challenge, smile)
    if not smile >= answered_from(challenge, rules):  # what is no number is no smile either
        return replace(challenge, run=0)
    if at > cued_at + rules.answer_s:
        return _fail(challenge, Reason.NO_SMILE)
    run = challenge.run + 1
    if run < rules.smile_frames:
        return replace(challenge, run=run)
    return replace(challenge, stage=Stage.PASSED, run=run)


def _drawn(rules: LivenessRules, luck: float) -> Word:
    known = words(beats_for(rules))
    return known[min(int(luck * len(known)), len(known) - 1)]


def _shown(challenge: Challenge) -> bool:
    """Say whether the last beat has ended."""
    return len(challenge.beats) > len(challenge.word)


def _go_on(challenge: Challenge, rules: LivenessRules, now: float) -> Challenge:
    """Let the next beat begin, or the last one end; judge without the frames that do not come any more.

    A beat is stamped when it is shown, and the next one comes `beat_s` after that: a door that is late with its cues
    gives people the same time.
    """
    if now < _turns_at(challenge, rules):
        return challenge
    return _judge(challenge, rules, now) if _shown(challenge) else replace(challenge, beats=(*challenge.beats, now))


def _turns_at(challenge: Challenge, rules: LivenessRules) -> float:
    return challenge.beats[-1] + (BEYOND_S + LATE_S if _shown(challenge) else rules.beat_s)


def _follow(challenge: Challenge, rules: LivenessRules, smile: float, at: float) -> Challenge:
    # What is no number was not seen; nor is a frame that comes out of order of any use.
    if not math.isfinite(smile) or (challenge.seen and at <= challenge.seen[-1][0]):
        return challenge
    challenge = replace(challenge, seen=(*challenge.seen, (at, smile)))
    return _judge(challenge, rules, at) if _shown(challenge) and at >= challenge.beats[-1] + BEYOND_S else challenge


def _judge(challenge: Challenge, rules: LivenessRules, now: float) -> Challenge:
    """Compare what was asked for with what was answered; a sequence that was missed may be tried again."""
    missed = _missed(challenge, rules)
    if missed is None:
        return replace(challenge, stage=Stage.PASSED)
    every = (*challenge.missed, missed)
    challenge = replace(challenge, missed=every)
    return _fail(challenge, _prevailing(every)) if len(every) >= SEQUENCES else _watch_again(challenge, now)


def _prevailing(missed: Sequence[Reason]) -> Reason:
    """Return what an attempt has failed in: who smiled in any sequence did smile, but not as the light asked."""
    return Reason.NO_SMILE if set(missed) == {Reason.NO_SMILE} else Reason.NO_EXPRESSION_CHANGE


def _missed(challenge: Challenge, rules: LivenessRules) -> Reason | None:
    """Return in what a sequence was not followed, None where it was."""
    wanted = answered_from(challenge, rules)
    if sum(smile >= wanted for _, smile in challenge.seen) < rules.smile_frames:
        return Reason.NO_SMILE
    levels = [_level(challenge.seen, at, rules.beat_s) for at in challenge.beats[:-1]]
    known = [level for level in levels if level is not None]
    changed = len(known) == len(levels) and max(known) - min(known) >= rules.rise
    return None if changed and _read(known) == challenge.word else Reason.NO_EXPRESSION_CHANGE


def _read(levels: Sequence[float]) -> Word:
    """Return the word that was answered: in which beats the face smiled, by its own range in this sequence.

    Some people smile widely, and some hardly come to rest within a beat.
    """
    least, most = min(levels), max(levels)
    return tuple(level >= least + SMILING * (most - least) for level in levels)


def _level(seen: Sequence[tuple[float, float]], cue_at: float, beat_s: float) -> float | None:
    """Return the mean smile that a beat was answered with, None where less than a frame a beat was seen."""
    first, last = cue_at + FROM_S, cue_at + beat_s + BEYOND_S
    values = [_between(seen, first + (last - first) * n / (SAMPLES - 1), beat_s) for n in range(SAMPLES)]
    known = [value for value in values if value is not None]
    return sum(known) / SAMPLES if len(known) == SAMPLES else None


def _between(seen: Sequence[tuple[float, float]], at: float, apart_s: float) -> float | None:
    for (before, low), (after, high) in pairwise(seen):
        if before <= at <= after and after - before <= apart_s:
            return low + (high - low) * (at - before) / (after - before)
    return None


def _fail(challenge: Challenge, reason: Reason) -> Challenge:
    return replace(challenge, stage=Stage.FAILED, failure=reason)
