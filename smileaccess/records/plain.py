"""Gives attempts and events as plain values for JSON and CSV; it never adds what is not on record."""

from __future__ import annotations

from typing import Any

from smileaccess.encoding import stamp
from smileaccess.model import Attempt, DoorEvent


def attempt_to_plain(attempt: Attempt) -> dict[str, Any]:
    """Return an attempt in the order of its columns: times as UTC text, `stages_ms` and `detail` as dicts."""
    return {
        "id": attempt.id,
        "door": attempt.door,
        "trigger": attempt.trigger.value,
        "opened_at": stamp(attempt.opened_at),
        "closed_at": attempt.closed_at and stamp(attempt.closed_at),
        "outcome": attempt.outcome and attempt.outcome.value,
        "reason": attempt.reason and attempt.reason.value,
        "member_id": attempt.member_id,
        "similarity": attempt.similarity,
        "smile": attempt.smile,
        "emotion": attempt.emotion and attempt.emotion.value,
        "liveness": attempt.liveness,
        "recognizer": attempt.recognizer,
        "model": attempt.model,
        "calls": attempt.calls,
        "cost": attempt.cost,
        "stages_ms": dict(attempt.stages_ms),
        "detail": dict(attempt.detail),
    }


def event_to_plain(event: DoorEvent) -> dict[str, Any]:
    """Return a door event in the order of its columns: time as UTC text, `detail` as a dict."""
    return {
        "id": event.id,
        "door": event.door,
        "at": stamp(event.at),
        "kind": event.kind,
        "who": event.who,
        "why": event.why,
        "detail": dict(event.detail),
    }
