"""Who may come in: evidence, member, time and rules make a decision. Pure; whatever is unforeseen denies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from smileaccess.model import (
    REAL_DENIALS,
    Attempt,
    Decision,
    Emotion,
    Evidence,
    Gesture,
    LivenessMode,
    Member,
    MemberStatus,
    Outcome,
    Reason,
)
from smileaccess.schedules import Schedule


class EmotionRule(StrEnum):
    """What is done with emotions: not looked at, put on record, or required for entry."""

    OFF = "off"
    RECORD = "record"
    REQUIRE = "require"


@dataclass(frozen=True, slots=True)
class Rules:
    """The owner's rules; similarities and smiles are 0..100.

    `thresholds` are by recognizer: what another one names opens nothing. `fallback_opens` says whether an attempt in
    which the first choice of recognizer could not answer may be granted. The strongest emotion must be one of those
    required, where they are (of who cannot smile none is), and may never be a forbidden one. `door` is this
    door's name; `groups` are schedules by the groups' names; on `holidays` only the spans for such days hold.
    """

    liveness: LivenessMode = LivenessMode.NEUTRAL_THEN_SMILE
    smile_at: float = 50.0
    thresholds: Mapping[str, float] = field(default_factory=lambda: {"embedded": 99.0})
    fallback_opens: bool = True
    emotions: EmotionRule = EmotionRule.RECORD
    required_emotions: frozenset[Emotion] = frozenset({Emotion.HAPPY})
    forbidden_emotions: frozenset[Emotion] = frozenset()
    door: str = "front"
    groups: Mapping[str, Schedule] = field(default_factory=dict)
    holidays: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class LockOutRules:
    """After `free` real denials in a row the door refuses for `first_s` seconds, twice that after each further one.

    It never refuses for longer than `limit_s`; `reset_s` without a real denial, counted from the end of a lock-out, and
    any grant start the count anew.
    """

    free: int = 3
    first_s: float = 30.0
    limit_s: float = 900.0
    reset_s: float = 900.0


@dataclass(frozen=True, slots=True)
class LockOut:
    """How many real denials came in a row, and when the last of them ended (UTC)."""

    failures: int = 0
    last_at: datetime | None = None

    def remaining_s(self, now: datetime, rules: LockOutRules) -> float:
        """Return for how many seconds from `now` (UTC) the door refuses, 0 for not at all.

        A clock that stands earlier than the last denial (a restart without a clock chip) makes it the whole length,
        so that a power cut does not end a lock-out.
        """
        if self.last_at is None:
            return 0.0
        passed = max(0.0, (now - self.last_at).total_seconds())
        return max(0.0, lock_out_length_s(self.failures, rules) - passed)


def lock_out_length_s(failures: int, rules: LockOutRules) -> float:
    """Return how long the door refuses after the last of so many real denials in a row."""
    if failures <= rules.free:
        return 0.0
    # 2**30 of the shortest lock-out is longer than any limit; the bound keeps the power small.
    return min(rules.first_s * 2.0 ** min(failures - rules.free - 1, 30), rules.limit_s)


def decide(evidence: Evidence, member: Member | None, now: datetime, clock_trusted: bool, rules: Rules) -> Decision:
    """Return the decision on an attempt whose evidence is complete or whose time is up.

    `member` is the signed member behind `evidence.identified`, None where the door knows none; `now` is UTC.
    """
    reasons = [*_reasons(evidence, member, now, clock_trusted, rules)]
    member_id = member.id if member is not None and evidence.identified is not None else None
    if not reasons and evidence.identified is not None and member is not None and evidence.live:
        return Decision(Outcome.GRANTED, None, member_id)
    return Decision(Outcome.DENIED, prevailing(reasons or [Reason.TIMEOUT]), member_id)


def prevailing(reasons: Iterable[Reason]) -> Reason:
    """Return the one reason, of those that hold, that goes on record."""
    return min(reasons, key=lambda reason: reason.precedence)


def next_lock_out(lock_out: LockOut, decision: Decision, at: datetime, rules: LockOutRules) -> LockOut:
    """Return the lock-out after an attempt that ended `at` (UTC); service faults and bad pictures leave it as it is."""
    if decision.outcome is Outcome.GRANTED:
        return LockOut()
    if decision.reason not in REAL_DENIALS:
        return lock_out
    # The quiet time begins when the door would let somebody try again: waiting out a lock-out is no merit.
    quiet_s = lock_out_length_s(lock_out.failures, rules) + rules.reset_s
    quiet = lock_out.last_at is not None and at - lock_out.last_at > timedelta(seconds=quiet_s)
    return LockOut(1 if quiet else lock_out.failures + 1, at)


def replayed_lock_out(newest_first: Iterable[Attempt], rules: LockOutRules) -> LockOut:
    """Return where the lock-out stands after the attempts on record: those since the last grant tell."""
    since_grant: list[tuple[Decision, datetime]] = []
    for attempt in newest_first:
        if attempt.outcome is Outcome.GRANTED:
            break
        if attempt.outcome is not None and attempt.closed_at is not None:
            since_grant.append((Decision(attempt.outcome, attempt.reason), attempt.closed_at))
    lock_out = LockOut()
    for decision, at in reversed(since_grant):
        lock_out = next_lock_out(lock_out, decision, at, rules)
    return lock_out


def _reasons(
    evidence: Evidence, member: Member | None, now: datetime, clock_trusted: bool, rules: Rules
) -> Iterator[Reason]:
    if evidence.fault is not None:
        yield evidence.fault
    if evidence.fallback and not rules.fallback_opens:
        yield Reason.RECOGNIZER_UNAVAILABLE
    if evidence.locked_out:
        yield Reason.LOCKED_OUT
    if evidence.hindrance is not None:
        yield evidence.hindrance
    if evidence.track_lost:
        yield Reason.TRACK_LOST
    yield from _identity_reasons(evidence, member, rules)
    if evidence.members_stale:
        yield Reason.MEMBERS_STALE
    if member is not None:
        yield from _member_reasons(member, now, clock_trusted, rules)
    yield from _expression_reasons(evidence, Gesture.SMILE if member is None else member.gesture, rules)


def _identity_reasons(evidence: Evidence, member: Member | None, rules: Rules) -> Iterator[Reason]:
    if evidence.ambiguous:
        yield Reason.AMBIGUOUS_MATCH
    if evidence.unrecognized:
        yield Reason.NOT_RECOGNIZED
    if evidence.identified is None:
        yield Reason.TIMEOUT
        return
    least = rules.thresholds.get(evidence.recognizer or "", math.inf)
    if member is not None and member.least_similarity is not None:
        least = max(least, member.least_similarity)
    # Asked this way round, a similarity or a smile that is no number denies.
    below = not evidence.identified.similarity >= least
    other = member is None or member.id != evidence.identified.member_id
    if below or other or (member is not None and member.status is MemberStatus.FORGOTTEN):
        yield Reason.NOT_RECOGNIZED


def _member_reasons(member: Member, now: datetime, clock_trusted: bool, rules: Rules) -> Iterator[Reason]:
    if member.status is MemberStatus.DISABLED:
        yield Reason.MEMBER_DISABLED
    if member.doors is not None and rules.door not in member.doors:
        yield Reason.DOOR_NOT_ALLOWED
    if not member.limited:
        return
    if not clock_trusted:
        yield Reason.CLOCK_UNTRUSTED
        return
    early = member.valid_from is not None and now < member.valid_from
    late = member.valid_until is not None and now >= member.valid_until
    if early or late:
        yield Reason.MEMBER_EXPIRED
    if not on_schedule(member, now, rules):
        yield Reason.OUTSIDE_SCHEDULE


def on_schedule(member: Member, now: datetime, rules: Rules) -> bool:
    """Say whether a schedule of the member's own, or of a group's, covers a moment (UTC), or there is none to.

    A group that the door does not know opens nothing.
    """
    if member.schedule is None and not member.groups:
        return True
    hours = [rules.groups[name] for name in member.groups if name in rules.groups]
    if member.schedule is not None:
        hours.append(member.schedule)
    return any(each.covers(now, rules.holidays) for each in hours)


def _expression_reasons(evidence: Evidence, gesture: Gesture, rules: Rules) -> Iterator[Reason]:
    if evidence.liveness is not None:
        yield evidence.liveness
    elif not evidence.live:
        yield Reason.TIMEOUT
    elif rules.liveness is not LivenessMode.OFF and evidence.gesture is not gesture:
        yield Reason.NO_EXPRESSION_CHANGE
    elif rules.liveness is not LivenessMode.OFF and gesture is Gesture.SMILE and not _smiles(evidence, rules):
        yield Reason.NO_SMILE
    if evidence.live and not _feels(evidence, gesture, rules):
        yield Reason.EMOTION_MISMATCH


def _smiles(evidence: Evidence, rules: Rules) -> bool:
    return evidence.smile is not None and evidence.smile >= rules.smile_at


def _feels(evidence: Evidence, gesture: Gesture, rules: Rules) -> bool:
    """Say whether the strongest emotion is one that may come in; where it is to be, one not judged is none."""
    if rules.emotions is EmotionRule.OFF:
        return True
    if evidence.emotion in rules.forbidden_emotions or (rules.forbidden_emotions and evidence.emotion is None):
        return False
    required = rules.emotions is EmotionRule.REQUIRE and gesture is Gesture.SMILE
    return not required or evidence.emotion in rules.required_emotions
