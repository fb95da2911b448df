"""One attempt as one line, for people and for filters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from smileaccess.canonical import WAYS, duration_ms, journal_fields, level, sentence
from smileaccess.model import FAULTS, Attempt, Outcome, Reason, Trigger
from tests.builders import ANN, NOON, make_attempt


def ended(**changes: Any) -> Attempt:
    return make_attempt(closed_at=NOON + timedelta(seconds=2.34), recognizer="embedded", **changes)


GRANTED = ended(outcome=Outcome.GRANTED, member_id=ANN, similarity=99.51, smile=84.06)
DENIED = ended(outcome=Outcome.DENIED, reason=Reason.NO_SMILE, member_id=ANN, similarity=99.51)
LOCKED_OUT = ended(outcome=Outcome.DENIED, reason=Reason.LOCKED_OUT, trigger=Trigger.APPROACH)


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        (GRANTED, "granted to m_ann at front by button in 2.3 s (similarity 99.5, smile 84.1)"),
        (DENIED, "denied at front by button in 2.3 s: no smile (m_ann, similarity 99.5)"),
        (LOCKED_OUT, "denied at front on approach in 2.3 s: locked out"),
        (ended(trigger=Trigger.OPERATOR), "open at front by an operator in 2.3 s"),
        (make_attempt(), "open at front by button"),
    ],
    ids=["granted", "denied", "locked out", "by an operator", "open"],
)
def test_sentence(attempt: Attempt, expected: str) -> None:
    """An attempt reads as a person would say it, with whom it was about and what was measured."""
    assert sentence(attempt) == expected


@pytest.mark.parametrize("trigger", Trigger)
def test_every_way_to_an_attempt_can_be_told(trigger: Trigger) -> None:
    """Whatever opened it has its words."""
    assert sentence(make_attempt(trigger=trigger)) == f"open at front {WAYS[trigger]}"


@pytest.mark.parametrize("reason", Reason)
def test_a_fault_is_an_error_and_a_refusal_is_none(reason: Reason) -> None:
    """A log that shows errors only shows what somebody has to mend, and no person who was refused."""
    assert level(ended(outcome=Outcome.DENIED, reason=reason)) == ("error" if reason in FAULTS else "info")


def test_a_grant_is_no_error() -> None:
    """The level of a grant is that of what goes as it should."""
    assert level(GRANTED) == "info"


def test_fields_of_a_grant() -> None:
    """A grant has no reason, and what is not known is left out."""
    assert journal_fields(GRANTED) == {
        "outcome": "granted",
        "member_id": ANN,
        "similarity": 99.51,
        "duration_ms": 2340.0,
        "recognizer": "embedded",
    }


def test_fields_of_a_denial() -> None:
    """A denial says why."""
    fields = journal_fields(DENIED)

    assert (fields["outcome"], fields["reason"]) == ("denied", "no_smile")


def test_fields_are_plain() -> None:
    """The journal gets plain text and numbers, not our enums."""
    assert {type(value) for value in journal_fields(DENIED).values()} == {str, float}


def test_fields_of_an_open_attempt() -> None:
    """Of an attempt that has just begun nothing is known."""
    assert journal_fields(make_attempt()) == {}


def test_duration() -> None:
    """An attempt that is open has none; one that ended has its milliseconds."""
    assert (duration_ms(make_attempt()), duration_ms(GRANTED)) == (None, 2340.0)
