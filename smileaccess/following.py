"""Keeps a door's copy of the members' list equal to the central one; it trusts neither the network nor the database.

What is taken over was signed by the enroller and is no older than what the door has held. A use case: it knows ports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog

from smileaccess.errors import RecordsFailed, SignatureInvalid
from smileaccess.membership import verify
from smileaccess.model import DoorEvent, uuid7

if TYPE_CHECKING:
    from smileaccess.model import SignedMember
    from smileaccess.ports import CentralList, Clock, MembersCopy

FETCHED = 50
"""Members read at once: some hundred kilobytes with their templates."""

NOTED_S = 600.0
"""Seconds between two writes of when both lists were last the same: a memory card is not made for one every second."""

Tell = Callable[[str, str, Mapping[str, Any]], None]

log = structlog.get_logger(__name__)


class Freshness:
    """How old the copy of the members' list is; `synced` on one thread, `stale` on any other."""

    def __init__(self, clock: Clock, max_stale_s: float, synced_at: datetime | None, newest: datetime | None) -> None:
        """Take when the list was last seen to be the central one, and the newest time on record.

        A clock that was set back, by a power cut without a clock chip, makes the list no younger than the record.
        """
        self._clock = clock
        self._max_s = max_stale_s
        now = clock.now() if newest is None else max(clock.now(), newest)
        age_s = 0.0 if synced_at is None else max(0.0, (now - synced_at).total_seconds())
        self._seen: tuple[float, datetime | None] = (clock.monotonic() - age_s, synced_at)

    def synced(self) -> None:
        """The copy was compared with the central list just now."""
        self._seen = (self._clock.monotonic(), self._clock.now())

    def age_s(self) -> float:
        """Return how long ago that was, in seconds, by the clock that says longer."""
        seen, at = self._seen
        age_s = self._clock.monotonic() - seen
        if at is not None and self._clock.synchronized():
            age_s = max(age_s, (self._clock.now() - at).total_seconds())
        return age_s

    def stale(self) -> bool:
        """Say whether the door may go on with the list no longer."""
        return self.age_s() > self._max_s


class Follower:
    """Takes changes of the central list over; one thread."""

    def __init__(
        self, door: str, central: CentralList, copy: MembersCopy, public_key: bytes, clock: Clock, tell: Tell
    ) -> None:
        """Take both lists, whose signature counts, and what puts an alarm on record (kind, why, detail)."""
        self._door = door
        self._central = central
        self._copy = copy
        self._public_key = public_key
        self._clock = clock
        self._tell = tell
        self._revision: int | None = None
        self._noted: float | None = None
        self._alarms: set[tuple[str, str]] = set()

    def look(self) -> bool:
        """Take over what has changed and confirm it; say whether the copy is now the central list; RecordsError.

        A central list without anybody changes nothing, and is not what a door with members was last in step with: it
        was not filled yet, or was lost.
        """
        revision = self._central.revision()
        if revision != self._revision:
            versions = self._central.versions()
            held = {each.id: each.version for each in self._copy.signed_members()}
            if held and not versions:
                self._alarm("", "the central members' list is empty: this door keeps its own")
                return False
            self._take_over(versions, held)
            self._revision = revision
        self._note()
        return True

    def _note(self) -> None:
        """Keep, now and then, that both were the same: a start reckons from there."""
        now = self._clock.monotonic()
        if self._noted is None or now - self._noted >= NOTED_S:
            self._copy.synced(self._clock.now())
            self._noted = now
            self._revision = None  # once in a while both are compared whole, whatever the revision says

    def _take_over(self, versions: Mapping[str, int], held: Mapping[str, int]) -> None:
        wanted = [member_id for member_id, version in versions.items() if held.get(member_id) != version]
        for part in _parts(wanted):
            for signed in self._central.fetch(part):
                self._take(signed)
        for member_id in sorted(held.keys() - versions.keys()):
            log.warning("a member is on the central list no more", kind="member_dropped", member_id=member_id)
            self._copy.drop_member(member_id, self._event("member_dropped", {"member": member_id}))
        self._confirm(versions)

    def _take(self, signed: SignedMember) -> None:
        try:
            verify(signed, self._public_key)
            told = {"member": signed.id, "version": signed.version}
            self._copy.take_member(signed, self._event("member_taken", told))
        except (SignatureInvalid, RecordsFailed) as error:
            self._alarm(signed.id, str(error))
        else:
            log.info("a member was taken over", kind="member_taken", member_id=signed.id, version=signed.version)

    def _confirm(self, versions: Mapping[str, int]) -> None:
        """Say which versions this door holds as the central list does."""
        held = {each.id: each.version for each in self._copy.signed_members()}
        same = {member_id: version for member_id, version in versions.items() if held.get(member_id) == version}
        self._central.confirm(self._door, same, self._clock.now())

    def _alarm(self, member_id: str, why: str) -> None:
        if (member_id, why) in self._alarms:
            return
        self._alarms.add((member_id, why))
        log.error("a member was not taken over", kind="member_refused", member_id=member_id, why=why)
        self._tell("member_refused", why, {"member": member_id} if member_id else {})

    def _event(self, kind: str, detail: Mapping[str, Any]) -> DoorEvent:
        return DoorEvent(uuid7(), self._door, self._clock.now(), kind, "smileaccess", "", detail)


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + FETCHED] for start in range(0, len(ids), FETCHED))
