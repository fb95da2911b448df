"""The shared values: identifiers, boxes, and the closed sets of outcome and reason."""

from __future__ import annotations

import uuid
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smileaccess.model import FAULTS, PRESENTATION, REAL_DENIALS, Box, ChainHead, Emotion, Evidence, Reason, uuid7
from tests.builders import make_evidence, make_member

IN_ORDER = [
    "internal_error",
    "camera_unavailable",
    "recognizer_unavailable",
    "records_unavailable",
    "spending_cap",
    "operator_locked",
    "locked_out",
    "no_face",
    "too_dark",
    "too_far",
    "too_blurred",
    "face_occluded",
    "multiple_faces",
    "track_lost",
    "not_recognized",
    "ambiguous_match",
    "members_stale",
    "member_disabled",
    "member_expired",
    "door_not_allowed",
    "outside_schedule",
    "clock_untrusted",
    "no_expression_change",
    "no_smile",
    "emotion_mismatch",
    "timeout",
]

boxes = st.builds(
    Box,
    st.floats(-0.5, 1.0),
    st.floats(-0.5, 1.0),
    st.floats(0.01, 1.0),
    st.floats(0.01, 1.0),
)


def test_uuid7_has_version_and_variant() -> None:
    """An identifier is a UUID of version 7 and of the RFC's variant."""
    made = uuid.UUID(uuid7())

    assert (made.version, made.variant) == (7, uuid.RFC_4122)


@given(st.integers(0, 2**48 - 1))
def test_uuid7_begins_with_its_milliseconds(ms: int) -> None:
    """The first 48 bits are the given milliseconds."""
    assert uuid.UUID(uuid7(ms)).int >> 80 == ms


@given(st.integers(0, 2**48 - 2))
def test_uuid7_sorts_by_time(ms: int) -> None:
    """As text, a later millisecond's identifier comes after an earlier one's."""
    assert uuid7(ms) < uuid7(ms + 1)


def test_uuid7_is_random() -> None:
    """Two identifiers of one millisecond differ."""
    assert len({uuid7(1) for _ in range(100)}) == 100


@given(boxes, boxes)
def test_overlap_is_symmetric_and_bounded(one: Box, other: Box) -> None:
    """The overlap lies in 0..1 and does not depend on who is asked."""
    assert 0.0 <= one.overlap(other) <= 1.0 + 1e-9
    assert one.overlap(other) == pytest.approx(other.overlap(one))


@given(boxes)
def test_overlap_with_itself_is_one(box: Box) -> None:
    """A box covers itself wholly."""
    assert box.overlap(box) == pytest.approx(1.0)


@given(boxes, st.floats(1.0, 3.0))
def test_overlap_of_boxes_apart_is_zero(box: Box, gap: float) -> None:
    """Boxes beside each other share nothing, to the right or below."""
    right = Box(box.left + box.width * gap, box.top, box.width, box.height)
    below = Box(box.left, box.top + box.height * gap, box.width, box.height)

    assert [box.overlap(right), box.overlap(below)] == pytest.approx([0.0, 0.0])


def test_overlap_is_intersection_over_union() -> None:
    """Half of each box shared is a third of both together."""
    assert Box(0.0, 0.0, 0.4, 0.2).overlap(Box(0.2, 0.0, 0.4, 0.2)) == pytest.approx(1 / 3)


def test_a_box_turned_inside_out_has_no_area() -> None:
    """Negative sizes count as nothing."""
    inside_out = Box(0.5, 0.5, -0.2, 0.2)

    assert (inside_out.area, inside_out.overlap(Box(0.0, 0.0, 1.0, 1.0))) == (0.0, 0.0)


def test_center() -> None:
    """The middle of a box lies half its size from its corner."""
    assert Box(0.2, 0.4, 0.2, 0.4).center == pytest.approx((0.3, 0.6))


def test_reasons_stand_in_the_order_of_precedence() -> None:
    """The closed set of reasons, and their order, are those of the design."""
    assert [reason.value for reason in Reason] == IN_ORDER
    assert [reason.precedence for reason in Reason] == [*range(len(IN_ORDER))]


def test_no_reason_is_of_two_classes() -> None:
    """A fault is no presentation problem and no real denial, and neither is the other."""
    assert FAULTS & PRESENTATION == FAULTS & REAL_DENIALS == PRESENTATION & REAL_DENIALS == frozenset()


def test_reasons_of_no_class() -> None:
    """What is neither a fault, nor a bad picture, nor counted: the locks, the hour, and an emotion."""
    expected = {Reason.OPERATOR_LOCKED, Reason.LOCKED_OUT, Reason.OUTSIDE_SCHEDULE, Reason.EMOTION_MISMATCH}

    assert set(Reason) - FAULTS - PRESENTATION - REAL_DENIALS == expected


def test_service_faults_are_never_real_denials() -> None:
    """A part that does not answer never counts toward a lock-out."""
    services = {reason for reason in Reason if reason.value.endswith("_unavailable")} | {Reason.INTERNAL_ERROR}

    assert services <= FAULTS
    assert not services & REAL_DENIALS


def test_the_strongest_emotion_counts() -> None:
    """Evidence names its strongest emotion, and none where none was judged."""
    mixed = Evidence(emotions={Emotion.CALM: 20.0, Emotion.HAPPY: 70.0, Emotion.SAD: 10.0})

    assert (mixed.emotion, Evidence().emotion) == (Emotion.HAPPY, None)


def test_values_are_frozen() -> None:
    """Nobody changes a value that somebody else may hold."""
    evidence = make_evidence()

    with pytest.raises(FrozenInstanceError):
        evidence.live = False  # type: ignore[misc]


def test_wall_time_matters_to_members_with_a_limit_only() -> None:
    """A member without limits does not depend on the clock."""
    whole = make_member()
    begins = make_member(valid_from=whole.created_at)
    ends = make_member(valid_until=whole.created_at)

    assert [whole.limited, begins.limited, ends.limited] == [False, True, True]


def test_a_chain_head_as_text() -> None:
    """A head reads as its number and its hash."""
    assert str(ChainHead(7, "ab12")) == "7:ab12"
