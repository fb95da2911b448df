"""A sequence of observed smiles, and where the challenge stands: pure; it draws no luck and reads no clock itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from smileaccess.model import LivenessMode, Reason


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
    face.
    """

    mode: LivenessMode = LivenessMode.NEUTRAL_THEN_SMILE
    smile_at: float = 50.0
    neutral_below: float = 30.0
    neutral_frames: int = 2
    smile_frames: int = 2
    cue_after_s: tuple[float, float] = (0.4, 1.6)
    earliest_s: float = 0.2
    answer_s: float = 4.0
    patience_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Challenge:
    """One attempt's challenge; times are monotonic seconds.

    `luck` are the draws, each 0..1, that are left for later cues; `run` counts the frames in a row that count toward
    the stage's end; `since` is when the stage began, None before the first frame.
    """

    stage: Stage
    luck: tuple[float, ...]
    since: float | None = None
    run: int = 0
    cue_at: float | None = None
    failure: Reason | None = None

    @property
    def over(self) -> bool:
        """Whether the challenge has been passed or failed."""
        return self.stage in {Stage.PASSED, Stage.FAILED}


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
        return replace(challenge, stage=Stage.CUED, since=now, run=0)
    if challenge.stage is Stage.WATCHING and now >= challenge.since + rules.patience_s:
        return _fail(challenge, Reason.NO_EXPRESSION_CHANGE)
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
        return _watch_again(challenge, at) if smile >= rules.smile_at else challenge
    return _await_answer(challenge, rules, smile, at)


def next_deadline(challenge: Challenge, rules: LivenessRules) -> float | None:
    """Return when `advance` may next change something, or None."""
    if challenge.over or challenge.since is None:
        return None
    if challenge.stage is Stage.HOLDING:
        return challenge.cue_at
    return challenge.since + (rules.patience_s if challenge.stage is Stage.WATCHING else rules.answer_s)


def verdict(challenge: Challenge) -> Reason | None:
    """Return what an attempt that ends now, its time being up, has failed in; None where nothing can be said yet."""
    if challenge.failure is not None or challenge.over or challenge.since is None:
        return challenge.failure
    return {Stage.WATCHING: Reason.NO_EXPRESSION_CHANGE, Stage.CUED: Reason.NO_SMILE}.get(challenge.stage)


def _watch(challenge: Challenge, rules: LivenessRules, smile: float, at: float) -> Challenge:
    run = challenge.run + 1 if smile < rules.neutral_below else 0
    if run < rules.neutral_frames:
        return replace(challenge, run=run)
    if not challenge.luck:
        return _fail(challenge, Reason.NO_EXPRESSION_CHANGE)
    low, high = rules.cue_after_s
    cue_at = at + low + (high - low) * challenge.luck[0]
    return replace(challenge, stage=Stage.HOLDING, since=at, run=0, cue_at=cue_at, luck=challenge.luck[1:])


def _watch_again(challenge: Challenge, at: float) -> Challenge:
    """A smile that answers no cue proves nothing: a neutral face, and a cue at another moment, are needed again."""
    return replace(challenge, stage=Stage.WATCHING, since=at, run=0, cue_at=None)


def _await_answer(challenge: Challenge, rules: LivenessRules, smile: float, at: float) -> Challenge:
    if not smile >= rules.smile_at:  # what is no number is no smile either
        return replace(challenge, run=0)
    cued_at = challenge.since if challenge.since is not None else at
    if rules.mode is LivenessMode.NEUTRAL_THEN_SMILE and at < cued_at + rules.earliest_s:
        return _watch_again(challenge, at)
    if at > cued_at + rules.answer_s:
        return _fail(challenge, Reason.NO_SMILE)
    run = challenge.run + 1
    if run < rules.smile_frames:
        return replace(challenge, run=run)
    return replace(challenge, stage=Stage.PASSED, run=run)


def _fail(challenge: Challenge, reason: Reason) -> Challenge:
    return replace(challenge, stage=Stage.FAILED, failure=reason)
