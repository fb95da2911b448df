"""Office hours as the controller keeps them: from the first member in to their end, unless an operator ends them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from smileaccess.encoding import stamp

CAUSE = "office_hours"
"""What the door is held for."""

EndsAt = Callable[[datetime], datetime | None]
"""When the office hours end that cover a moment (UTC), None where there are none then."""


class OfficeHours:
    """One door's, by the schedule in force; the controller's thread."""

    def __init__(self, ends_at: EndsAt | None, released: datetime | None) -> None:
        """Take the schedule, None for a door without office hours, and when an operator last released the door."""
        self.ends_at = ends_at
        self._asked = False
        self._rests_until = None if released is None else self.end(released)

    def end(self, at: datetime) -> datetime | None:
        """Return when the office hours end that cover a moment (UTC), None where there are none then."""
        return None if self.ends_at is None else self.ends_at(at)

    def begin(self, now: datetime) -> datetime | None:
        """Return until when they go that may begin now, None where they may not; the caller then asks for them once."""
        end = self.end(now)
        if self._asked or self._ended(now):
            return None
        self._asked = end is not None
        return end

    def may_hold(self, now: datetime) -> bool:
        """Say whether they still go, and no operator has ended them."""
        return self.end(now) is not None and not self._ended(now)

    def answered(self) -> None:
        """Take in that what was asked for has begun, or has not; the next member may ask anew."""
        self._asked = False

    def released(self, now: datetime) -> None:
        """Take in that an operator ended them: they do not begin anew before the next ones."""
        self._rests_until = self.end(now)

    def status(self, now: datetime, *, on: bool) -> dict[str, Any] | None:
        """Return how they stand, None for a door without any."""
        if self.ends_at is None:
            return None
        end = self.end(now)
        until = None if end is None else stamp(end)
        return {"on": on, "until": until, "ended_by_operator": end is not None and self._ended(now)}

    def _ended(self, now: datetime) -> bool:
        return self._rests_until is not None and now < self._rests_until
