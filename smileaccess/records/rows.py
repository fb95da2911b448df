"""Turns attempts, events and bills into columns and back; it never alters what it is given, and knows no database.

The same columns are linked by the chain and kept by every adapter, so that a record can be compared between them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from smileaccess.encoding import canonical, moment, stamp
from smileaccess.errors import RecordsFailed
from smileaccess.model import Attempt, Bill, DoorEvent, Emotion, Outcome, Payer, Reason, Trigger
from smileaccess.records.chain import Value

Columns = dict[str, Value]

OPENING = ("id", "door", "opened_by", "opened_at")
"""Of an attempt: what is known when it opens, covered by its first link."""

CLOSING = (
    "closed_at",
    "outcome",
    "reason",
    "member_id",
    "similarity",
    "smile",
    "emotion",
    "liveness",
    "recognizer",
    "model",
    "calls",
    "stages_ms",
    "detail",
    "cost",
)
"""Of an attempt: what closing adds; its second link covers these (see `covered`), the opening ones and `open_seq`."""

LATER = frozenset({"cost"})
"""Columns that version 1 of the tables did not have."""

EVENT = ("id", "door", "at", "kind", "who", "why", "detail")

FORWARDED: Mapping[str, tuple[str, ...]] = {
    "attempts": (*OPENING, "open_seq", "open_hash", *CLOSING, "seq", "hash"),
    "door_events": (*EVENT, "seq", "hash"),
}
"""What goes to a central database of each table: the id first, the last link's number and hash last."""

ATTEMPT_OPENED, ATTEMPT_CLOSED, DOOR_EVENT = "attempt opened", "attempt closed", "event"
"""What a link stands for."""

_LARGEST_COUNT = 2**31 - 1
_LARGEST_SUM = 2**53
"""Millionths of a currency that JSON and every program hold exactly."""


def covered(columns: Mapping[str, Value]) -> Columns:
    """Return the columns that a link covers: a later one only where it holds something.

    So rows of version 1 verify as they did, and a value put into such a column or taken out of it is found.
    """
    return {name: value for name, value in columns.items() if name not in LATER or value is not None}


def opening(attempt: Attempt) -> Columns:
    """Return the columns of an attempt that opens; RecordsFailed for a time without a zone."""
    return {
        "id": attempt.id,
        "door": attempt.door,
        "opened_by": attempt.trigger.value,
        "opened_at": _stamp(f"attempt {attempt.id}", attempt.opened_at),
    }


def closing(attempt: Attempt) -> Columns:
    """Return the columns that closing an attempt adds.

    RecordsFailed for one that is not decided (no time, no outcome, granted with a reason, denied without), and for
    evidence that is no plain JSON.
    """
    name = f"attempt {attempt.id}"
    if attempt.closed_at is None or attempt.outcome is None:
        raise RecordsFailed(f"{name}: not decided: closed_at and outcome are needed to close it")
    if (attempt.outcome is Outcome.DENIED) != (attempt.reason is not None):
        raise RecordsFailed(f"{name}: {attempt.outcome} with reason {attempt.reason}: a denial has one, a grant none")
    if not 0 <= attempt.calls <= _LARGEST_COUNT:
        raise RecordsFailed(f"{name}: calls = {attempt.calls}: a count")
    if attempt.cost is not None and not attempt.cost >= 0:
        raise RecordsFailed(f"{name}: cost = {attempt.cost}: nothing costs less than nothing")
    return {
        "closed_at": _stamp(name, attempt.closed_at),
        "outcome": attempt.outcome.value,
        "reason": attempt.reason and attempt.reason.value,
        "member_id": attempt.member_id,
        "similarity": _real(attempt.similarity),
        "smile": _real(attempt.smile),
        "emotion": attempt.emotion and attempt.emotion.value,
        "liveness": attempt.liveness,
        "recognizer": attempt.recognizer,
        "model": attempt.model,
        "calls": attempt.calls,
        "stages_ms": _json(name, attempt.stages_ms),
        "detail": _json(name, attempt.detail),
        "cost": _real(attempt.cost),
    }


def event_columns(event: DoorEvent) -> Columns:
    """Return the columns of a door event; RecordsFailed for detail that is no plain JSON."""
    name = f"event {event.id}"
    return {
        "id": event.id,
        "door": event.door,
        "at": _stamp(name, event.at),
        "kind": event.kind,
        "who": event.who,
        "why": event.why,
        "detail": _json(name, event.detail),
    }


def bill_columns(bill: Bill) -> Columns:
    """Return the columns of a bill; RecordsFailed for counts and sums that are negative or beyond any use."""
    try:
        _check_bill(bill)
    except ValueError as error:
        raise RecordsFailed(f"bill of {bill.day}: cannot be put on record: {error}") from error
    return {"day": date.isoformat(bill.day), "payer": bill.payer.value, "calls": bill.calls, "micros": bill.micros}


def bill_of(row: Mapping[str, Any]) -> Bill:
    """Return the bill that a row holds; RecordsFailed for a row that was never written by us."""
    try:
        bill = Bill(date.fromisoformat(row["day"]), Payer(row["payer"]), row["calls"], row["micros"])
        _check_bill(bill)
    except (TypeError, ValueError) as error:
        raise RecordsFailed(f"bill of {row['day']!r}: damaged ({error}): mend or delete that row") from error
    return bill


def attempt_of(row: Mapping[str, Any]) -> Attempt:
    """Return the attempt that a row holds; RecordsFailed for a row that was never written by us."""
    try:
        _check_text(row)
        closed = row["closed_at"] is not None
        return Attempt(
            id=row["id"],
            door=row["door"],
            trigger=Trigger(row["opened_by"]),
            opened_at=moment(row["opened_at"]),
            closed_at=moment(row["closed_at"]) if closed else None,
            outcome=Outcome(row["outcome"]) if closed else None,
            reason=None if row["reason"] is None else Reason(row["reason"]),
            member_id=row["member_id"],
            similarity=row["similarity"],
            smile=row["smile"],
            emotion=None if row["emotion"] is None else Emotion(row["emotion"]),
            liveness=row["liveness"],
            recognizer=row["recognizer"],
            model=row["model"],
            calls=row["calls"] or 0,
            cost=row["cost"],
            stages_ms=json.loads(row["stages_ms"] or "{}"),
            detail=json.loads(row["detail"] or "{}"),
        )
    except (TypeError, ValueError) as error:
        raise _damaged("attempt", row, error) from error


def event_of(row: Mapping[str, Any]) -> DoorEvent:
    """Return the door event that a row holds; RecordsFailed for a row that was never written by us."""
    try:
        _check_text(row)
        detail = json.loads(row["detail"])
        return DoorEvent(
            row["id"], row["door"], moment(row["at"]), row["kind"], row["who"], why=row["why"], detail=detail
        )
    except (TypeError, ValueError) as error:
        raise _damaged("event", row, error) from error


def mentions(attempt: Attempt, member_id: str) -> bool:
    """Say whether an attempt's row holds this id, as its member or as a candidate that was examined."""
    if attempt.member_id == member_id:
        return True
    examined: Sequence[Any] = attempt.detail.get("examinations", ())
    return any(candidate.get("member") == member_id for each in examined for candidate in each.get("candidates") or ())


def _check_bill(bill: Bill) -> None:
    if not 0 <= bill.calls <= _LARGEST_COUNT or not 0 <= bill.micros <= _LARGEST_SUM:
        raise ValueError(f"calls = {bill.calls}, micros = {bill.micros}: a count and a sum")


def _real(value: float | None) -> float | None:
    """SQLite keeps -0.0 as 0: adding 0.0 makes them the same before the hash is taken."""
    return None if value is None else float(value) + 0.0


def _stamp(name: str, when: Any) -> str:
    try:
        return stamp(when)
    except ValueError as error:
        raise RecordsFailed(f"{name}: {error}") from error


def _json(name: str, value: Mapping[str, Any]) -> str:
    try:
        return canonical(dict(value)).decode("utf-8")
    except (TypeError, ValueError) as error:
        raise RecordsFailed(f"{name}: evidence must be plain JSON values: {error}") from error


def _check_text(row: Mapping[str, Any]) -> None:
    """Refuse bytes that are no UTF-8 (they were read as lone surrogates), so that they reach no terminal."""
    "".join(value for value in row.values() if isinstance(value, str)).encode("utf-8")


def _damaged(kind: str, row: Mapping[str, Any], error: Exception) -> RecordsFailed:
    return RecordsFailed(f"{kind} {row['id']!r}: damaged ({error}): run `smileaccess attempts verify`")
