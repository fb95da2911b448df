"""One attempt as one line: the sentence that people read in the journal, and the fields to filter on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from smileaccess.model import FAULTS, Attempt, Outcome, Trigger

WAYS: Mapping[Trigger, str] = MappingProxyType(
    {
        Trigger.BUTTON: "by button",
        Trigger.APPROACH: "on approach",
        Trigger.PICTURE: "on a picture",
        Trigger.OPERATOR: "by an operator",
        Trigger.TRIAL: "as a trial",
    }
)
"""How an attempt came about, within a sentence."""


def sentence(attempt: Attempt) -> str:
    """Return the attempt as a person would say it, without a name."""
    who = attempt.member_id if attempt.outcome is Outcome.GRANTED else None
    outcome = attempt.outcome.value if attempt.outcome else "open"
    said = [outcome, f"to {who}" if who else "", f"at {attempt.door}", WAYS[attempt.trigger]]
    duration = duration_ms(attempt)
    said.append("" if duration is None else f"in {duration / 1000:.1f} s")
    why = f": {attempt.reason.value.replace('_', ' ')}" if attempt.reason else ""
    known = ", ".join(_known(attempt, but=who))
    return " ".join(word for word in said if word) + why + (f" ({known})" if known else "")


def level(attempt: Attempt) -> str:
    """Return the level of the attempt's log line: "error" where the system was at fault, else "info"."""
    return "error" if attempt.reason in FAULTS else "info"


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


def _known(attempt: Attempt, but: str | None) -> list[str]:
    """Return what was found out: whom it was about, unless that was said, and what was measured."""
    about = [attempt.member_id] if attempt.member_id and attempt.member_id != but else []
    measured = (("similarity", attempt.similarity), ("smile", attempt.smile))
    return about + [f"{name} {value:.1f}" for name, value in measured if value is not None]
