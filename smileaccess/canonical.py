"""One attempt as one line: the sentence that people read in the journal, and the fields to filter on."""

from __future__ import annotations

from typing import Any

from smileaccess.model import Attempt, Outcome


def sentence(attempt: Attempt) -> str:
    """Return the attempt as a person would say it, without a name."""
    said = [f"{attempt.outcome.value if attempt.outcome else 'open'}"]
    if attempt.outcome is Outcome.GRANTED:
        said.append(f"to {attempt.member_id}")
    elif attempt.reason is not None:
        said.append(f"({attempt.reason.value})")
    said.append(f"at {attempt.door} by {attempt.trigger.value}")
    measured = [
        f"{name} {value:.1f}"
        for name, value in (("similarity", attempt.similarity), ("smile", attempt.smile))
        if value is not None
    ]
    duration = duration_ms(attempt)
    if duration is not None:
        measured.append(f"{duration / 1000:.1f} s")
    return " ".join(said) + (f": {', '.join(measured)}" if measured else "")


def journal_fields(attempt: Attempt) -> dict[str, Any]:
    """Return the fields of the attempt's journal line that an administrator filters on."""
    fields = {
        "outcome": attempt.outcome and attempt.outcome.value,
        "reason": attempt.reason and attempt.reason.value,
        "member_id": attempt.member_id,
        "similarity": attempt.similarity,
        "duration_ms": duration_ms(attempt),
        "recognizer": attempt.recognizer,
    }
    return {name: value for name, value in fields.items() if value is not None}


def duration_ms(attempt: Attempt) -> float | None:
    """Return how long the attempt took by wall time, None while it is open."""
    if attempt.closed_at is None:
        return None
    return round((attempt.closed_at - attempt.opened_at).total_seconds() * 1000, 1)
