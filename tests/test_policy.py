"""Who may come in: a grant and a deny for every rule, the precedence of every pair, and the progressive lock-out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smileaccess.model import (
    FAULTS,
    PRESENTATION,
    REAL_DENIALS,
    Candidate,
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
from smileaccess.policy import (
    EmotionRule,
    LockOut,
    LockOutRules,
    Rules,
    decide,
    lock_out_length_s,
    next_lock_out,
    on_schedule,
    prevailing,
)
from smileaccess.schedules import Schedule
from tests.builders import ANN, BOB, GRANTED, NOON, make_evidence, make_member

RULES = Rules(
    LivenessMode.NEUTRAL_THEN_SMILE, smile_at=50.0, thresholds={"embedded": 99.0}, emotions=EmotionRule.RECORD
)
HOUR = timedelta(hours=1)
SATURDAYS, SUNDAYS = (Schedule.parse(f"{day} 08:00-18:00", "UTC") for day in ("sat", "sun"))
"""NOON is a Saturday's."""

NAN = float("nan")


@dataclass(frozen=True)
class Case:
    """What differs from an attempt that is granted."""

    evidence: dict[str, Any] = field(default_factory=dict)
    member: dict[str, Any] = field(default_factory=dict)
    rules: dict[str, Any] = field(default_factory=dict)
    trusted: bool | None = None

    def decided(self) -> Decision:
        member = replace(make_member(), **self.member)
        trusted = True if self.trusted is None else self.trusted
        return decide(make_evidence(**self.evidence), member, NOON, trusted, replace(RULES, **self.rules))

    def merged(self, other: Case) -> Case | None:
        """Return both together, or None where they contradict each other."""
        pairs = (
            (self.evidence, other.evidence),
            (self.member, other.member),
            (self.rules, other.rules),
            ({"trusted": self.trusted}, {"trusted": other.trusted}),
        )
        if any(
            one[key] != two[key] and None not in (one[key], two[key]) for one, two in pairs for key in one.keys() & two
        ):
            return None
        trusted = self.trusted if other.trusted is None else other.trusted
        return Case(self.evidence | other.evidence, self.member | other.member, self.rules | other.rules, trusted)


CASES: dict[Reason, Case] = {
    **{
        fault: Case({"fault": fault})
        for fault in (
            Reason.INTERNAL_ERROR,
            Reason.CAMERA_UNAVAILABLE,
            Reason.RECOGNIZER_UNAVAILABLE,
            Reason.RECORDS_UNAVAILABLE,
            Reason.SPENDING_CAP,
            Reason.OPERATOR_LOCKED,
        )
    },
    Reason.LOCKED_OUT: Case({"locked_out": True}),
    **{
        hindrance: Case({"hindrance": hindrance})
        for hindrance in (
            Reason.NO_FACE,
            Reason.TOO_DARK,
            Reason.TOO_FAR,
            Reason.TOO_BLURRED,
            Reason.FACE_OCCLUDED,
            Reason.MULTIPLE_FACES,
        )
    },
    Reason.TRACK_LOST: Case({"track_lost": True}),
    Reason.NOT_RECOGNIZED: Case({"unrecognized": True}),
    Reason.AMBIGUOUS_MATCH: Case({"ambiguous": True}),
    Reason.MEMBERS_STALE: Case({"members_stale": True}),
    Reason.MEMBER_DISABLED: Case(member={"status": MemberStatus.DISABLED}),
    Reason.MEMBER_EXPIRED: Case(member={"valid_until": NOON - HOUR}, trusted=True),
    Reason.DOOR_NOT_ALLOWED: Case(member={"doors": ("yard",)}),
    Reason.OUTSIDE_SCHEDULE: Case(member={"schedule": SUNDAYS}, trusted=True),
    Reason.CLOCK_UNTRUSTED: Case(member={"valid_until": NOON + HOUR}, trusted=False),
    Reason.NO_EXPRESSION_CHANGE: Case({"liveness": Reason.NO_EXPRESSION_CHANGE}),
    Reason.NO_SMILE: Case({"smile": 49.9}),
    Reason.EMOTION_MISMATCH: Case({"emotions": {Emotion.SAD: 90.0}}, rules={"emotions": EmotionRule.REQUIRE}),
    Reason.TIMEOUT: Case({"identified": None}),
}
"""For each reason that policy can produce, what makes it hold and nothing else."""


def compatible_pairs() -> Iterable[tuple[Reason, Reason, Case]]:
    for one, other in itertools.combinations(CASES, 2):
        both = CASES[one].merged(CASES[other])
        if both is not None:
            yield one, other, both


def test_the_good_attempt_is_granted() -> None:
    """A known member who showed a sign of life and smiled is let in."""
    assert Case().decided() == GRANTED


def test_every_reason_has_its_case() -> None:
    """No reason is left out of the table."""
    assert set(CASES) == set(Reason)


@pytest.mark.parametrize("reason", CASES, ids=str)
def test_each_reason_alone_denies(reason: Reason) -> None:
    """What makes a reason hold denies with that reason."""
    decision = CASES[reason].decided()

    assert (decision.outcome, decision.reason) == (Outcome.DENIED, reason)


@pytest.mark.parametrize(("one", "other", "both"), [*compatible_pairs()], ids=lambda value: str(value)[:24])
def test_of_two_reasons_the_earlier_goes_on_record(one: Reason, other: Reason, both: Case) -> None:
    """Where two reasons hold, the attempt's is the one that comes first in the design's list."""
    expected = min(one, other, key=[*Reason].index)

    assert both.decided().reason is expected


def test_nearly_every_pair_can_hold_together() -> None:
    """Only two faults, two hindrances, or what needs another clock exclude each other."""
    apart = {frozenset(pair) for pair in itertools.combinations(CASES, 2)}
    apart -= {frozenset((one, other)) for one, other, _ in compatible_pairs()}
    faults = {reason for reason, case in CASES.items() if "fault" in case.evidence}
    hindrances = {reason for reason, case in CASES.items() if "hindrance" in case.evidence}
    expected = {frozenset(pair) for group in (faults, hindrances) for pair in itertools.combinations(group, 2)}

    clocks = {frozenset((timed, Reason.CLOCK_UNTRUSTED)) for timed in (Reason.MEMBER_EXPIRED, Reason.OUTSIDE_SCHEDULE)}
    assert apart == expected | clocks


@pytest.mark.parametrize("one", Reason, ids=str)
def test_prevailing_over_every_pair(one: Reason) -> None:
    """Of any two reasons, in either order, the earlier one prevails."""
    order = [*Reason]
    found = [(prevailing([one, other]), prevailing([other, one])) for other in order]

    assert found == [(min(one, other, key=order.index),) * 2 for other in order]


@pytest.mark.parametrize(
    ("similarity", "reason"),
    [(99.0, None), (100.0, None), (98.999, Reason.NOT_RECOGNIZED), (NAN, Reason.NOT_RECOGNIZED)],
)
def test_the_threshold(similarity: float, reason: Reason | None) -> None:
    """From the threshold on a member is recognized; below it, or with no number, nobody is."""
    assert Case({"identified": Candidate(ANN, similarity)}).decided().reason is reason


@pytest.mark.parametrize(
    ("least", "similarity", "reason"),
    [
        (None, 99.0, None),
        (99.5, 99.5, None),
        (99.5, 99.499, Reason.NOT_RECOGNIZED),
        (99.5, NAN, Reason.NOT_RECOGNIZED),
        (90.0, 99.0, None),
        (90.0, 98.999, Reason.NOT_RECOGNIZED),
    ],
)
def test_the_members_own_threshold(least: float | None, similarity: float, reason: Reason | None) -> None:
    """A member's own threshold asks for more than the door's, never for less."""
    case = Case({"identified": Candidate(ANN, similarity)}, member={"least_similarity": least})
    assert case.decided().reason is reason


@pytest.mark.parametrize(
    ("doors", "door", "reason"),
    [
        (None, "front", None),
        (("front",), "front", None),
        (("front", "yard"), "yard", None),
        (("yard",), "front", Reason.DOOR_NOT_ALLOWED),
        ((), "front", Reason.DOOR_NOT_ALLOWED),
        (("front",), "", Reason.DOOR_NOT_ALLOWED),
    ],
)
def test_the_members_doors(doors: tuple[str, ...] | None, door: str, reason: Reason | None) -> None:
    """A member comes in at the doors named, and at every one where none is."""
    assert Case(member={"doors": doors}, rules={"door": door}).decided().reason is reason


@pytest.mark.parametrize(
    ("schedule", "groups", "reason"),
    [
        (None, (), None),
        (SATURDAYS, (), None),
        (SUNDAYS, (), Reason.OUTSIDE_SCHEDULE),
        (None, ("saturdays",), None),
        (None, ("sundays",), Reason.OUTSIDE_SCHEDULE),
        (None, ("unknown",), Reason.OUTSIDE_SCHEDULE),
        (SATURDAYS, ("unknown",), None),
        (SUNDAYS, ("sundays", "saturdays"), None),
        (SATURDAYS, ("sundays",), None),
    ],
)
def test_the_members_schedule(schedule: Schedule | None, groups: tuple[str, ...], reason: Reason | None) -> None:
    """The own schedule or a group's lets in; a group that the door does not know opens nothing."""
    known = {"groups": {"saturdays": SATURDAYS, "sundays": SUNDAYS}}
    assert Case(member={"schedule": schedule, "groups": groups}, rules=known).decided().reason is reason


@pytest.mark.parametrize(
    ("text", "holidays", "reason"),
    [
        ("sat 08:00-18:00", frozenset(), None),
        ("sat 08:00-18:00", frozenset({NOON.date()}), Reason.OUTSIDE_SCHEDULE),
        ("sat 08:00-18:00; hol 10:00-13:00", frozenset({NOON.date()}), None),
        ("sat 08:00-18:00; hol 10:00-12:00", frozenset({NOON.date()}), Reason.OUTSIDE_SCHEDULE),
    ],
)
def test_the_doors_holidays(text: str, holidays: frozenset[date], reason: Reason | None) -> None:
    """On a holiday only what a schedule says of holidays lets in."""
    case = Case(member={"schedule": Schedule.parse(text, "UTC")}, rules={"holidays": holidays})
    assert case.decided().reason is reason


def test_holidays_concern_nobody_without_a_schedule() -> None:
    assert Case(rules={"holidays": frozenset({NOON.date()})}).decided() == GRANTED


@pytest.mark.parametrize("limit", [{"schedule": SATURDAYS}, {"groups": ("saturdays",)}])
def test_schedules_need_a_clock_that_can_be_trusted(limit: dict[str, Any]) -> None:
    """Inside or outside: without the time nobody can tell."""
    known = {"groups": {"saturdays": SATURDAYS}}
    assert Case(member=limit, rules=known, trusted=True).decided() == GRANTED
    assert Case(member=limit, rules=known, trusted=False).decided().reason is Reason.CLOCK_UNTRUSTED


@pytest.mark.parametrize("shown", [None, *Gesture])
@pytest.mark.parametrize("wanted", Gesture)
@pytest.mark.parametrize("mode", [mode for mode in LivenessMode if mode is not LivenessMode.OFF])
def test_the_members_gesture(mode: LivenessMode, wanted: Gesture, shown: Gesture | None) -> None:
    """The challenge is passed with the member's own gesture, and with no other."""
    case = Case({"gesture": shown}, member={"gesture": wanted}, rules={"liveness": mode})
    assert case.decided().reason is (None if shown is wanted else Reason.NO_EXPRESSION_CHANGE)


def test_who_shows_another_gesture_need_not_smile() -> None:
    """Neither the smile nor a required emotion is asked of who cannot smile."""
    shown = {"gesture": Gesture.TURN, "smile": 0.0, "emotions": {Emotion.CALM: 90.0}}
    required = {"emotions": EmotionRule.REQUIRE}
    assert Case(shown, member={"gesture": Gesture.TURN}, rules=required).decided() == GRANTED
    assert Case(shown | {"gesture": Gesture.SMILE}, rules=required).decided().reason is Reason.NO_SMILE


@pytest.mark.parametrize(
    ("rule", "emotions", "reason"),
    [
        (EmotionRule.RECORD, {Emotion.HAPPY: 90.0}, None),
        (EmotionRule.RECORD, {Emotion.HAPPY: 40.0, Emotion.ANGRY: 60.0}, Reason.EMOTION_MISMATCH),
        (EmotionRule.RECORD, {}, Reason.EMOTION_MISMATCH),
        (EmotionRule.REQUIRE, {Emotion.HAPPY: 90.0}, None),
        (EmotionRule.REQUIRE, {Emotion.ANGRY: 90.0}, Reason.EMOTION_MISMATCH),
    ],
)
@pytest.mark.parametrize("gesture", [Gesture.SMILE, Gesture.OPEN_MOUTH])
def test_forbidden_emotions(
    gesture: Gesture, rule: EmotionRule, emotions: dict[Emotion, float], reason: Reason | None
) -> None:
    """A forbidden emotion never comes in, whatever the gesture, nor does one that was not judged."""
    rules = {
        "emotions": rule,
        "forbidden_emotions": frozenset({Emotion.ANGRY}),
        "required_emotions": frozenset(Emotion),
    }
    case = Case({"emotions": emotions, "gesture": gesture}, member={"gesture": gesture}, rules=rules)
    assert case.decided().reason is reason


def test_a_candidate_unknown_to_the_door_is_nobody() -> None:
    """A candidate without a signed member behind it is not recognized, and no id goes on record."""
    decision = decide(make_evidence(), None, NOON, True, RULES)

    assert decision == Decision(Outcome.DENIED, Reason.NOT_RECOGNIZED, None)


def test_another_member_than_the_candidate_is_nobody() -> None:
    """A member looked up for another id opens nothing."""
    assert decide(make_evidence(), make_member(BOB), NOON, True, RULES).reason is Reason.NOT_RECOGNIZED


def test_a_member_nobody_identified_opens_nothing() -> None:
    """A member alone is no evidence, and is not named."""
    decision = decide(make_evidence(identified=None), make_member(), NOON, True, RULES)

    assert decision == Decision(Outcome.DENIED, Reason.TIMEOUT, None)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (MemberStatus.ACTIVE, None),
        (MemberStatus.DISABLED, Reason.MEMBER_DISABLED),
        (MemberStatus.FORGOTTEN, Reason.NOT_RECOGNIZED),
    ],
)
def test_the_members_status(status: MemberStatus, reason: Reason | None) -> None:
    """An active member comes in, a disabled one is told, a forgotten one is nobody."""
    assert Case(member={"status": status}).decided().reason is reason


@pytest.mark.parametrize(
    ("valid_from", "valid_until", "reason"),
    [
        (None, None, None),
        (NOON, None, None),
        (NOON + timedelta(seconds=1), None, Reason.MEMBER_EXPIRED),
        (None, NOON + timedelta(seconds=1), None),
        (None, NOON, Reason.MEMBER_EXPIRED),
        (NOON - HOUR, NOON + HOUR, None),
    ],
)
def test_the_members_validity(valid_from: datetime | None, valid_until: datetime | None, reason: Reason | None) -> None:
    """A member comes in from the first moment of the validity until just before its end."""
    assert Case(member={"valid_from": valid_from, "valid_until": valid_until}).decided().reason is reason


def test_an_untrusted_clock_concerns_limited_members_only() -> None:
    """Members without limits go on; those with one are denied, expired or not, since nobody can tell."""
    whole = Case(trusted=False).decided()
    limited = [Case(member={"valid_until": NOON + shift}, trusted=False).decided().reason for shift in (-HOUR, HOUR)]

    assert (whole, limited) == (GRANTED, [Reason.CLOCK_UNTRUSTED] * 2)


@pytest.mark.parametrize(
    ("smile", "reason"),
    [(50.0, None), (100.0, None), (49.999, Reason.NO_SMILE), (None, Reason.NO_SMILE), (NAN, Reason.NO_SMILE)],
)
@pytest.mark.parametrize("mode", [LivenessMode.SMILE, LivenessMode.NEUTRAL_THEN_SMILE])
def test_the_smile_of_the_frame_that_counts(mode: LivenessMode, smile: float | None, reason: Reason | None) -> None:
    """From the mark on it is a smile; below it, unmeasured, or with no number, it is none."""
    assert Case({"smile": smile}, rules={"liveness": mode}).decided().reason is reason


def test_no_smile_is_asked_for_with_liveness_off() -> None:
    """With the mode off a face alone is enough."""
    assert Case({"smile": None}, rules={"liveness": LivenessMode.OFF}).decided() == GRANTED


def test_a_challenge_not_passed_denies() -> None:
    """Evidence that is not live, and has not failed either, ran out of time."""
    assert Case({"live": False}).decided().reason is Reason.TIMEOUT


@pytest.mark.parametrize("liveness", [Reason.NO_EXPRESSION_CHANGE, Reason.NO_SMILE])
def test_the_challenges_failure_is_the_reason(liveness: Reason) -> None:
    """What the challenge failed in goes on record."""
    assert Case({"live": False, "liveness": liveness}).decided().reason is liveness


@pytest.mark.parametrize(
    ("rule", "emotions", "reason"),
    [
        (EmotionRule.OFF, {Emotion.SAD: 90.0}, None),
        (EmotionRule.RECORD, {Emotion.SAD: 90.0}, None),
        (EmotionRule.REQUIRE, {Emotion.SAD: 90.0}, Reason.EMOTION_MISMATCH),
        (EmotionRule.REQUIRE, {}, Reason.EMOTION_MISMATCH),
        (EmotionRule.REQUIRE, {Emotion.SAD: 40.0, Emotion.HAPPY: 60.0}, None),
    ],
)
def test_the_rule_for_emotions(rule: EmotionRule, emotions: dict[Emotion, float], reason: Reason | None) -> None:
    """Emotions decide only where they are required, and then the strongest one does."""
    assert Case({"emotions": emotions}, rules={"emotions": rule}).decided().reason is reason


def test_the_required_emotions_are_the_owners() -> None:
    """Another list makes another judgment."""
    calm = Case({"emotions": {Emotion.CALM: 90.0}}, rules={"emotions": EmotionRule.REQUIRE})
    either = replace(calm, rules=calm.rules | {"required_emotions": frozenset({Emotion.HAPPY, Emotion.CALM})})

    assert (calm.decided().reason, either.decided().reason) == (Reason.EMOTION_MISMATCH, None)


def test_nothing_shown_is_a_timeout() -> None:
    """An attempt that ends with nothing known took too long."""
    assert decide(Evidence(), None, NOON, True, RULES) == Decision(Outcome.DENIED, Reason.TIMEOUT, None)


def test_a_denial_names_the_member_it_concerns() -> None:
    """The record says whom a denial concerned, where that is known."""
    assert Case({"smile": 0.0}).decided() == Decision(Outcome.DENIED, Reason.NO_SMILE, ANN)


def rarely(good: Any, bad: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what lets an attempt pass, so that grants are drawn as well."""
    return st.integers(0, 9).flatmap(lambda draw: bad if draw == 0 else st.just(good))


numbers = st.floats(0, 100) | st.just(NAN)
evidences = st.builds(
    Evidence,
    fault=rarely(None, st.sampled_from(Reason)),
    locked_out=rarely(False, st.booleans()),
    hindrance=rarely(None, st.sampled_from(Reason)),
    track_lost=rarely(False, st.booleans()),
    unrecognized=rarely(False, st.booleans()),
    ambiguous=rarely(False, st.booleans()),
    identified=rarely(Candidate(ANN, 99.0), st.none() | st.builds(Candidate, st.sampled_from([ANN, BOB]), numbers)),
    recognizer=rarely("embedded", st.sampled_from([None, "rekognition", "another"])),
    fallback=rarely(False, st.booleans()),
    liveness=rarely(None, st.sampled_from(Reason)),
    live=rarely(True, st.booleans()),
    gesture=rarely(Gesture.SMILE, st.none() | st.sampled_from(Gesture)),
    smile=rarely(50.0, st.none() | numbers),
    emotions=st.dictionaries(st.sampled_from(Emotion), st.floats(0, 100), max_size=3),
)
moments = st.none() | st.integers(-2, 2).map(lambda hours: NOON + hours * HOUR)
members = st.none() | st.builds(
    make_member,
    rarely(ANN, st.just(BOB)),
    status=rarely(MemberStatus.ACTIVE, st.sampled_from(MemberStatus)),
    valid_from=moments,
    valid_until=moments,
    gesture=rarely(Gesture.SMILE, st.sampled_from(Gesture)),
    schedule=rarely(None, st.sampled_from([SATURDAYS, SUNDAYS])),
    groups=rarely((), st.sampled_from([("saturdays",), ("sundays",), ("unknown", "saturdays"), ("unknown",)])),
    doors=rarely(None, st.sampled_from([("front",), ("yard",), ()])),
    least_similarity=rarely(None, st.sampled_from([98.0, 99.5])),
)
rule_sets = st.builds(
    Rules,
    liveness=st.sampled_from(LivenessMode),
    thresholds=st.sampled_from([{"embedded": 99.0}, {"embedded": 99.0, "rekognition": 99.5}]),
    fallback_opens=st.booleans(),
    emotions=st.sampled_from(EmotionRule),
    required_emotions=st.frozensets(st.sampled_from(Emotion), min_size=1),
    forbidden_emotions=rarely(frozenset(), st.frozensets(st.sampled_from(Emotion))),
    door=st.just("front"),
    groups=st.just({"saturdays": SATURDAYS, "sundays": SUNDAYS}),
    holidays=rarely(frozenset(), st.just(frozenset({NOON.date()}))),
)


def all_is_well(evidence: Evidence, member: Member | None, trusted: bool, rules: Rules) -> bool:
    """Say whether every single thing that a grant needs holds."""
    known, smile = evidence.identified, evidence.smile
    if known is None or member is None:
        return False
    begun = member.valid_from is None or member.valid_from <= NOON
    not_over = member.valid_until is None or member.valid_until > NOON
    asked = rules.liveness is not LivenessMode.OFF
    smiler = member.gesture is Gesture.SMILE
    judged = rules.emotions is not EmotionRule.OFF
    return all(
        (
            evidence.fault is None,
            evidence.locked_out is False,
            evidence.hindrance is None,
            evidence.track_lost is False,
            evidence.unrecognized is False,
            evidence.ambiguous is False,
            known.member_id == member.id,
            evidence.recognizer in rules.thresholds,
            known.similarity >= rules.thresholds.get(evidence.recognizer or "", 0.0),
            known.similarity >= (member.least_similarity or 0.0),
            member.doors is None or rules.door in member.doors,
            on_schedule(member, NOON, rules),
            rules.fallback_opens or not evidence.fallback,
            member.status is MemberStatus.ACTIVE,
            begun,
            not_over,
            trusted or not (member.valid_from or member.valid_until or member.schedule or member.groups),
            evidence.live is True,
            evidence.liveness is None,
            not asked or evidence.gesture is member.gesture,
            not asked or not smiler or (smile is not None and smile >= rules.smile_at),
            rules.emotions is not EmotionRule.REQUIRE or not smiler or evidence.emotion in rules.required_emotions,
            not judged or not rules.forbidden_emotions or evidence.emotion in set(Emotion) - rules.forbidden_emotions,
        )
    )


@settings(max_examples=500, deadline=None)
@given(evidences, members, st.booleans(), rule_sets)
def test_whatever_is_unforeseen_denies(evidence: Evidence, member: Member | None, trusted: bool, rules: Rules) -> None:
    """A grant comes exactly where everything it needs holds; a denial has exactly one reason, a grant none."""
    decision = decide(evidence, member, NOON, trusted, rules)
    granted = decision.outcome is Outcome.GRANTED

    assert granted is all_is_well(evidence, member, trusted, rules)
    assert (decision.reason is None) is granted
    if granted:
        assert decision.member_id == ANN


LOCK_OUT = LockOutRules(free=3, first_s=30.0, limit_s=900.0, reset_s=900.0)
REFUSED = Decision(Outcome.DENIED, Reason.NOT_RECOGNIZED)


def after(failures: int, *, at: datetime = NOON) -> LockOut:
    """Return the lock-out after so many real denials that all ended `at`."""
    lock_out = LockOut()
    for _ in range(failures):
        lock_out = next_lock_out(lock_out, REFUSED, at, LOCK_OUT)
    return lock_out


def test_three_are_free_then_it_doubles_to_the_limit() -> None:
    """Three failures cost nothing, the fourth half a minute, each further one twice that, up to the limit."""
    lengths = [after(failures).remaining_s(NOON, LOCK_OUT) for failures in range(12)]

    assert lengths == [0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900, 900]


def test_the_length_stays_at_the_limit_for_any_number() -> None:
    """A very patient stranger makes no number too large."""
    assert lock_out_length_s(10**9, LOCK_OUT) == 900.0
    assert lock_out_length_s(1, LockOutRules(free=0, first_s=60.0, limit_s=20.0)) == 20.0


@pytest.mark.parametrize(
    ("passed_s", "remaining_s"), [(0, 30), (10, 20), (29.5, 0.5), (30, 0), (31, 0), (-3600, 30), (-1e9, 30)]
)
def test_what_remains(passed_s: float, remaining_s: float) -> None:
    """It runs down with time; a clock behind the last failure makes it the whole length, never more."""
    assert after(4).remaining_s(NOON + timedelta(seconds=passed_s), LOCK_OUT) == pytest.approx(remaining_s)


def test_nothing_remains_of_no_lock_out() -> None:
    """A door without failures refuses nobody."""
    assert LockOut().remaining_s(NOON, LOCK_OUT) == 0.0


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_only_real_denials_count(reason: Reason) -> None:
    """A refusal of who or what somebody is counts; a fault, a bad picture, a lock or the hour never does."""
    before = after(2)
    counted = next_lock_out(before, Decision(Outcome.DENIED, reason), NOON + HOUR / 60, LOCK_OUT)

    assert counted == (LockOut(3, NOON + HOUR / 60) if reason in REAL_DENIALS else before)
    if reason in FAULTS | PRESENTATION | {Reason.LOCKED_OUT}:
        assert counted == before


def test_a_grant_starts_the_count_anew() -> None:
    """Whoever comes in clears the count for everybody."""
    assert next_lock_out(after(5), GRANTED, NOON, LOCK_OUT) == LockOut()


@pytest.mark.parametrize(
    ("before", "quiet_s", "failures"),
    [(2, 900, 3), (2, 901, 1), (5, 60 + 900, 6), (5, 60 + 901, 1), (9, 900 + 900, 10), (9, 900 + 901, 1)],
)
def test_quiet_starts_the_count_anew(before: int, quiet_s: int, failures: int) -> None:
    """Quiet counts from the end of a lock-out: one that was merely waited out shortens nothing."""
    later = NOON + timedelta(seconds=quiet_s)

    assert next_lock_out(after(before), REFUSED, later, LOCK_OUT) == LockOut(failures, later)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([*Reason, None]), st.integers(0, 1200)), max_size=30))
def test_a_lock_out_never_exceeds_the_limit(ended: list[tuple[Reason | None, int]]) -> None:
    """Whatever happens, nobody waits longer than the limit, and a grant ends the waiting."""
    lock_out, now = LockOut(), NOON
    for reason, after_s in ended:
        now += timedelta(seconds=after_s)
        decision = GRANTED if reason is None else Decision(Outcome.DENIED, reason)
        lock_out = next_lock_out(lock_out, decision, now, LOCK_OUT)

        assert 0 <= lock_out.remaining_s(now, LOCK_OUT) <= LOCK_OUT.limit_s
        if reason is None:
            assert lock_out.remaining_s(now, LOCK_OUT) == 0


TWO = replace(RULES, thresholds={"rekognition": 99.0, "embedded": 99.2})


@pytest.mark.parametrize(
    ("recognizer", "similarity", "reason"),
    [
        ("rekognition", 99.0, None),
        ("rekognition", 98.9, Reason.NOT_RECOGNIZED),
        ("embedded", 99.1, Reason.NOT_RECOGNIZED),
        ("embedded", 99.2, None),
        ("another", 100.0, Reason.NOT_RECOGNIZED),
        (None, 100.0, Reason.NOT_RECOGNIZED),
    ],
)
def test_each_recognizer_has_a_threshold_of_its_own(
    recognizer: str | None, similarity: float, reason: Reason | None
) -> None:
    """A mark of one recognizer says nothing about the other's, and one without a mark names nobody."""
    evidence = make_evidence(identified=Candidate(ANN, similarity), recognizer=recognizer)

    assert decide(evidence, make_member(), NOON, True, TWO).reason is reason


@pytest.mark.parametrize(
    ("fallback", "opens", "reason"),
    [
        (False, False, None),
        (True, True, None),
        (True, False, Reason.RECOGNIZER_UNAVAILABLE),
    ],
)
def test_whether_the_fallback_may_open(fallback: bool, opens: bool, reason: Reason | None) -> None:
    """Where it may not, a member whom only the fallback knew is told that the recognizer is gone."""
    rules = replace(RULES, fallback_opens=opens)

    assert decide(make_evidence(fallback=fallback), make_member(), NOON, True, rules).reason is reason
