"""What an operator's lock means beyond the moment: read back from the record at a start.

It gives no order and moves nothing; what the record does not say was not ordered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from smileaccess.encoding import stamp

if TYPE_CHECKING:
    from smileaccess.model import DoorEvent

TELLING = ("control_lock", "lock_kept", "control_release", "start")
"""The kinds of event that tell of a lock; the last one on record counts."""

RELEASING = ("control_release", "release_refused")
"""The kinds of event that tell of a release: one that came on record too late did nothing, and the second says so."""

TOLD_S = 12 * 3600.0
"""Seconds after which a lock that lasts goes on record once more: what is older may have been pruned."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Since when an operator has the door locked (UTC), and who."""

    since: datetime
    who: str

    def told(self) -> dict[str, str]:
        """Return it in plain values, for the record and the status."""
        return {"since": stamp(self.since), "who": self.who}


def standing_lock(last: DoorEvent | None) -> Lock | None:
    """Return the lock that holds after the last event of TELLING."""
    if last is None or last.kind == "control_release":
        return None
    if last.kind == "control_lock":
        return Lock(last.at, last.who)
    if last.kind == "start" and "locked" not in last.detail:
        return None
    told = last.detail.get("locked")
    try:
        return Lock(datetime.fromisoformat(told["since"]), str(told["who"]))  # type: ignore[index]
    # Where it does not say whose the lock is, it holds all the same.
    except (KeyError, TypeError, ValueError):
        return Lock(last.at, last.who)


def counted_from(last: DoorEvent | None, now: datetime) -> datetime | None:
    """Return since when refusals count (UTC), after the last event of RELEASING; None for all of them.

    After a release that was refused the one before it may have been carried out: in doubt all count.
    """
    return last.at if last is not None and last.kind == "control_release" and last.at <= now else None
