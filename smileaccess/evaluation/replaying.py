"""What became of an attempt on record under other rules: pure; the door's own ballot, evidence and policy decide again.

A record holds what was asked and answered, not what every frame showed. So what is not on record is taken for the best
and for the worst that it may have been; where both come to the same, that is what the other rules would have decided,
and else it cannot be told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from smileaccess.ballot import Ballot
from smileaccess.examining import Examining, ExaminingRules
from smileaccess.liveness import Challenge, Stage
from smileaccess.model import (
    PRESENTATION,
    Attempt,
    Box,
    Candidate,
    Decision,
    Emotion,
    Evidence,
    Examination,
    LivenessMode,
    Member,
    MemberStatus,
    Outcome,
    Purpose,
    Reason,
)
from smileaccess.policy import EmotionRule, Rules, decide

SETTLED = frozenset(Reason) - {
    Reason.NOT_RECOGNIZED,
    Reason.AMBIGUOUS_MATCH,
    Reason.NO_EXPRESSION_CHANGE,
    Reason.NO_SMILE,
    Reason.EMOTION_MISMATCH,
    Reason.TIMEOUT,
}
"""Denials that no threshold, mode or rule on expressions has to do with: they stay what they are."""

_AFTERWARDS = (PRESENTATION - {Reason.TIMEOUT}) | {
    *(Reason.TRACK_LOST, Reason.RECOGNIZER_UNAVAILABLE, Reason.SPENDING_CAP),
}
"""Denials that may have come after the member was known; where no sign of life is asked for the door was open then."""

_EARLY = {Reason.NOT_RECOGNIZED, Reason.AMBIGUOUS_MATCH}
"""Denials that end an attempt before its challenge is over."""

_BOX = Box(0, 0, 1, 1)
_THEN = datetime(2000, 1, 1, tzinfo=UTC)


class Verdict(StrEnum):
    """What the other rules would have made of an attempt."""

    SAME = "the same"
    NOW_DENIED = "would be denied"
    NOW_GRANTED = "would be granted"
    UNTOLD = "cannot be told"


@dataclass(frozen=True, slots=True)
class Ruling:
    """The rules that an attempt is decided by."""

    examining: ExaminingRules
    policy: Rules

    @property
    def hours(self) -> tuple[object, ...]:
        """When whom is let in: what of the rules goes by the calendar."""
        return self.policy.groups, self.policy.holidays


@dataclass(frozen=True, slots=True)
class Replay:
    """What would have become of an attempt: a denial's `reason`; `why` it cannot be told, or what else is to say."""

    attempt: Attempt
    verdict: Verdict
    reason: Reason | None = None
    why: str = ""


def replay(attempt: Attempt, member: Member | None, present: Ruling, other: Ruling) -> Replay:
    """Return what `other` rules would have made of an attempt that has ended.

    `member` is the signed member whom `named` tells, as the list has it now, None for nobody. `present` are the rules
    in force, which are taken for those at the time.
    """
    others_hours = present.hours != other.hours
    unasked = other.policy.liveness is LivenessMode.OFF
    if attempt.reason in _AFTERWARDS and unasked and _identified(attempt, other):
        return Replay(attempt, Verdict.UNTOLD, why="the member was known before that, and nothing more is asked for")
    if attempt.reason in SETTLED and not (others_hours and attempt.reason is Reason.OUTSIDE_SCHEDULE):
        return Replay(attempt, Verdict.SAME, attempt.reason)
    try:
        answers = _answers(attempt, other.examining)
        best, worst, missing = _range(attempt, answers, present, other)
    except LookupError as error:
        return Replay(attempt, Verdict.UNTOLD, why=str(error))
    hoped, feared = (
        _decided(attempt, evidence, _as_then(attempt, evidence, member, others_hours), other.policy)
        for evidence in (best, worst)
    )
    if hoped.outcome is not feared.outcome:
        return Replay(attempt, Verdict.UNTOLD, why=missing)
    if feared.outcome is attempt.outcome:
        return Replay(attempt, Verdict.SAME, feared.reason)
    verdict = Verdict.NOW_GRANTED if feared.outcome is Outcome.GRANTED else Verdict.NOW_DENIED
    return Replay(attempt, verdict, feared.reason, _remark(answers, other.examining))


def _identified(attempt: Attempt, other: Ruling) -> bool:
    """Say whether a member was recognized, and by a recognizer that may open."""
    try:
        ballot = _ballot(_answers(attempt, other.examining), other.examining)
        return ballot.identity[0] is not None and (other.policy.fallback_opens or not ballot.fallback)
    except LookupError:
        return False


def named(attempt: Attempt, other: Ruling) -> str | None:
    """Return the id of the one member whom an attempt's examinations name under other rules, None for nobody."""
    try:
        found = _ballot(_answers(attempt, other.examining), other.examining).named
    except LookupError:
        return None
    return next(iter(found)) if len(found) == 1 else None


def _decided(attempt: Attempt, evidence: Evidence, member: Member | None, rules: Rules) -> Decision:
    """Decide anew, at the attempt's time."""
    if member is not None and evidence.live and rules.liveness is not LivenessMode.OFF:
        evidence = replace(evidence, gesture=member.gesture)
    rules = replace(rules, door=attempt.door)
    return decide(evidence, member, attempt.closed_at or attempt.opened_at, clock_trusted=True, rules=rules)


def _as_then(attempt: Attempt, evidence: Evidence, member: Member | None, others_hours: bool) -> Member | None:
    """Return the member as nothing spoke against them at the time, where nothing did; else as the list has them now.

    By other hours their own schedule, or their groups', speaks anew: both are those of today's list.
    """
    who = evidence.identified
    if who is None or who.member_id != attempt.member_id or not _admitted(attempt):
        return member
    then = Member(who.member_id, 1, "", MemberStatus.ACTIVE, _THEN, None)
    if member is None:
        return then
    then = replace(then, gesture=member.gesture)
    return replace(then, schedule=member.schedule, groups=member.groups) if others_hours else then


def _admitted(attempt: Attempt) -> bool:
    """Say whether nothing spoke against the member at the time: what would have, goes before all that could then."""
    return attempt.reason is None or attempt.reason.precedence > Reason.CLOCK_UNTRUSTED.precedence


def _range(
    attempt: Attempt, answers: list[Examination], present: Ruling, other: Ruling
) -> tuple[Evidence, Evidence, str]:
    """Return the evidence at its best and at its worst, and what is not on record; LookupError."""
    examining = Examining(other.examining, 0.0, ())
    examining.examinations = answers
    examining.challenge = _challenge(attempt, other.policy.liveness)
    best = worst = examining.evidence()
    missing = []
    if told := _too_few(answers, other.examining):
        likely = _likeliest(answers, other.examining)
        best = replace(best, identified=likely, recognizer=answers[0].recognizer, unrecognized=False)
        if attempt.outcome is Outcome.GRANTED:  # had smiled; of the others `_unlived` tells what is known
            best = replace(best, live=True, liveness=None)
        worst = replace(worst, unrecognized=True)
        missing.append(told)
    if told := _unlived(attempt, best, present, other):
        smile = max(best.smile or 0.0, other.policy.smile_at)
        best = replace(best, live=True, liveness=None, smile=smile)
        worst = replace(worst, live=False, liveness=worst.liveness or Reason.NO_SMILE)
        missing.append(told)
    rules = other.policy
    required = rules.emotions is EmotionRule.REQUIRE
    if (required or (rules.emotions is not EmotionRule.OFF and rules.forbidden_emotions)) and not best.emotions:
        wanted = rules.required_emotions if required else frozenset(Emotion) - {Emotion.UNKNOWN}
        best = replace(best, emotions=dict.fromkeys(wanted - rules.forbidden_emotions, 100.0))
        missing.append("no emotions are on record")
    return best, worst, "; ".join(missing)


def _unlived(attempt: Attempt, evidence: Evidence, present: Ruling, other: Ruling) -> str:
    """Return what of the sign of life is not on record, empty for nothing."""
    mode, passed = other.policy.liveness, attempt.detail.get("challenge") == Stage.PASSED
    if mode is LivenessMode.OFF:
        return ""
    if attempt.liveness != mode.value:
        return f"what {mode.value} asks for was not asked for"
    if present.policy.smile_at != other.policy.smile_at:
        if not passed:
            return "how much each frame smiled is not on record"
        if evidence.smile is not None and evidence.smile < other.policy.smile_at:
            return f"the smile that counted was {evidence.smile:.0f}, and whether it grew is not on record"
        if other.policy.smile_at > present.policy.smile_at and evidence.recognizer != "embedded":
            return "the smile on record is the service's; what the eyes saw is not"
    if evidence.live or attempt.reason not in _EARLY or attempt.detail.get("challenge") == Stage.FAILED:
        return ""
    return "whose smile it was, was not asked" if passed else "the attempt ended before the smile"


def _challenge(attempt: Attempt, mode: LivenessMode) -> Challenge:
    """Return where the challenge stood at the end."""
    stage = Stage.PASSED if mode is LivenessMode.OFF else Stage(attempt.detail.get("challenge", Stage.WATCHING))
    if stage is not Stage.FAILED:
        return Challenge(stage, (), since=0.0)
    told = attempt.reason if attempt.reason in {Reason.NO_EXPRESSION_CHANGE, Reason.NO_SMILE} else None
    asked = Reason.NO_SMILE if "cued" in attempt.stages_ms else Reason.NO_EXPRESSION_CHANGE
    return Challenge(stage, (), since=0.0, failure=told or asked)


def _answers(attempt: Attempt, rules: ExaminingRules) -> list[Examination]:
    """Return the answers that would have come in: nobody is searched for once enough frames name a member.

    LookupError where a recognizer answered that the rules do not know.
    """
    kept: list[Examination] = []
    for told in attempt.detail.get("examinations", ()):
        answer = _answer(told, attempt.recognizer)
        if answer.purpose is Purpose.EXPRESSION and rules.liveness.mode is LivenessMode.OFF:
            continue  # nobody would have asked
        searched = answer.purpose is Purpose.IDENTITY and answer.candidates is not None
        if not searched or _ballot(kept, rules).identity[0] is None:
            kept.append(answer)
    return kept


def _answer(told: Mapping[str, Any], recognizer: str | None) -> Examination:
    """Read an examination as `examining` put it on record; older rows do not say who answered, nor why nobody did."""
    candidates = told["candidates"]
    return Examination(
        recognizer=told.get("recognizer") or recognizer or "",
        model="",
        purpose=Purpose(told["purpose"]),
        sequence=told["frame"],
        track=0,
        box=_BOX,
        candidates=None if candidates is None else tuple(Candidate(c["member"], c["similarity"]) for c in candidates),
        smile=told["smile"],
        emotions={Emotion(name): value for name, value in told["emotions"].items()},
        duration_ms=told["ms"],
        hindrance=Reason(told["hindrance"]) if told.get("hindrance") else None,
    )


def _ballot(answers: Sequence[Examination], rules: ExaminingRules) -> Ballot:
    return Ballot(rules.standards, rules.margin, answers)


def _left(answers: Sequence[Examination], rules: ExaminingRules) -> int:
    """Return how many more frames would have been searched."""
    ballot = _ballot(answers, rules)
    standard = ballot.next_standard
    return max(0, standard.searches - ballot.answered(Purpose.IDENTITY, standard.name))


def _too_few(answers: Sequence[Examination], rules: ExaminingRules) -> str:
    """Return what there is to say where too few frames name a member, and more would have been searched."""
    ballot = _ballot(answers, rules)
    if ballot.identity[0] is not None or ballot.ambiguous or len(ballot.named) != 1 or not _left(answers, rules):
        return ""
    return "more frames would have been searched"


def _likeliest(answers: Sequence[Examination], rules: ExaminingRules) -> Candidate:
    """Return the one member whom any frame names, at its best."""
    (who,) = _ballot(answers, rules).named
    return max((c for a in answers for c in a.candidates or () if c.member_id == who), key=lambda c: c.similarity)


def _remark(answers: Sequence[Examination], rules: ExaminingRules) -> str:
    """Return what should be known of a denial that the frames searched so far decide."""
    ballot = _ballot(answers, rules)
    if ballot.named or not ballot.searched or not _left(answers, rules):
        return ""
    count = len(ballot.searched)
    frames = "1 frame" if count == 1 else f"{count} frames"
    return f"in {frames}; up to {_left(answers, rules)} more would have been searched"
