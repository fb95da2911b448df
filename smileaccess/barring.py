"""What keeps everybody out but who goes out, for longer than an attempt: an operator's lock, and the lock-out.

As the controller holds them, on its thread; what they last for is told in monotonic seconds. Neither moves the strike,
and neither writes the record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from smileaccess.orders import TOLD_S
from smileaccess.policy import LockOut, next_lock_out

if TYPE_CHECKING:
    from datetime import datetime

    from smileaccess.model import Decision
    from smileaccess.orders import Lock
    from smileaccess.policy import LockOutRules


class OperatorLock:
    """An operator's lock: since when, and whose. It stands from its order on, whatever becomes of its record."""

    def __init__(self, standing: Lock | None, now: float) -> None:
        """Take the lock that stands at the start, told of on record just then."""
        self._standing = standing
        self._on_their_way = 0
        self._releases = 0
        self._told_behind = False
        self._told_at = now

    @property
    def stands(self) -> bool:
        """Whether there is one."""
        return self._standing is not None

    @property
    def told(self) -> dict[str, str] | None:
        """The lock in plain values, None for none."""
        return None if self._standing is None else self._standing.told()

    @property
    def next_deadline(self) -> float | None:
        """When it is to be told of on record once more, None for never."""
        return None if self._standing is None else self._told_at + TOLD_S

    def order(self, lock: Lock, now: float) -> None:
        """Let a lock stand whose record is on its way; one that stands already keeps its beginning."""
        self._standing = self._standing or lock
        self._on_their_way += 1
        self._told_at = now

    def arrived(self) -> None:
        """Take in that an order is on record, or will not be."""
        self._on_their_way -= 1

    def told_again(self) -> None:
        """Take in that the record is told of it once more: behind a release that is on its way, as it may be."""
        self._told_behind = self._told_behind or self._releases > 0

    def release_asked(self) -> None:
        """Take in that a release is on its way to the record."""
        self._releases += 1

    def release_arrived(self) -> None:
        """Take in that it is on record, or will not be."""
        self._releases -= 1

    def release(self) -> bool:
        """End it, and say so; one that was ordered after the release stands."""
        if self._on_their_way:
            return False
        self._standing = None
        return True

    def overwritten(self) -> bool:
        """Say, once, whether the record was told of the lock behind the release: a start would find the lock there."""
        told, self._told_behind = self._told_behind, False
        return told

    def due(self, now: float) -> bool:
        """Say whether it is to be told of on record once more; the caller then does."""
        if (at := self.next_deadline) is None or now < at:
            return False
        self._told_at = now
        return True


class Refusals:
    """The refusals in a row, and until when nobody is let in for them."""

    def __init__(self, counted: LockOut, now: float, at: datetime, rules: LockOutRules) -> None:
        """Take what the record says of them at the start: `now` on the monotonic clock, `at` on the wall's."""
        self._counted = counted
        self._until = now + counted.remaining_s(at, rules)

    @property
    def failures(self) -> int:
        """How many count."""
        return self._counted.failures

    def left_s(self, now: float) -> float:
        """Return for how many seconds more nobody is let in, 0 for none."""
        return max(0.0, self._until - now)

    def count(self, decision: Decision, closed_at: datetime, rules: LockOutRules, now: float) -> float:
        """Count how an attempt ended, and return the seconds of the lock-out that it begins, 0 for none."""
        before = self._counted
        self._counted = next_lock_out(before, decision, closed_at, rules)
        if self._counted == before:
            return 0.0
        for_s = self._counted.remaining_s(closed_at, rules)
        self._until = now + for_s
        return for_s

    def release(self, now: float) -> None:
        """Begin the count anew."""
        self._counted, self._until = LockOut(), now
