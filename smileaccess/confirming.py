"""Says which doors have taken a version of a member over; it changes nothing.

A use case: it knows a port and model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from smileaccess.model import KnownDoor

if TYPE_CHECKING:
    from smileaccess.ports import Confirmations


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Which doors have taken a version over, and since when; which have not yet; and which never will.

    `revoked` are shut out and keep what they had. A door that took it over before it was revoked is among `taken`.
    """

    taken: Mapping[str, datetime]
    waiting: tuple[KnownDoor, ...]
    revoked: tuple[KnownDoor, ...]

    @property
    def complete(self) -> bool:
        """Whether no door is waited for."""
        return not self.waiting


def look(confirmations: Confirmations, member_id: str, version: int) -> Confirmed:
    """Return how far a version has come by now; RecordsUnavailable, RecordsFailed."""
    taken = confirmations.confirmed(member_id, version)
    others = [door for door in confirmations.doors() if door.name not in taken]
    return Confirmed(
        dict(sorted(taken.items())),
        tuple(door for door in others if door.revoked_at is None),
        tuple(door for door in others if door.revoked_at is not None),
    )


def await_doors(
    confirmations: Confirmations, member_id: str, version: int, again: Callable[[Confirmed], bool]
) -> Confirmed:
    """Look until all doors have taken a version over or `again`, which waits, says to stop; return the last look."""
    while True:
        found = look(confirmations, member_id, version)
        if found.complete or not again(found):
            return found
