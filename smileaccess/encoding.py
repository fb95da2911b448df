"""One way to write a value as bytes and a moment as text, for all that is signed or chained; it never guesses.

What was written can be compared byte for byte: keys are sorted, nothing is rounded, and what JSON cannot hold (NaN,
lone surrogates, objects) is refused.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime


def canonical(value: object) -> bytes:
    """Return `value` (plain JSON values) as UTF-8 JSON with sorted keys and no spaces.

    TypeError or ValueError where JSON or UTF-8 cannot hold it.
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8")


def stamp(when: datetime) -> str:
    """Return an aware time as UTC text of fixed width, with microseconds, so that text sorts as time does.

    ValueError for a time without a zone.
    """
    if when.tzinfo is None:
        raise ValueError(f"{when.isoformat()} has no time zone: give an aware datetime")
    return when.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def moment(text: str) -> datetime:
    """Return the UTC time that `stamp` wrote; ValueError for any other text."""
    when = datetime.fromisoformat(text)
    if when.tzinfo is None or stamp(when) != text:
        raise ValueError(f"{text!r} is not a time as we write it (2026-01-31T12:00:00.000000Z)")
    return when.astimezone(UTC)
