"""Keeps a door's record and its members' list in one SQLite file; it never forgets what it said was durable.

The attempts and events are linked by a keyed hash (`chain`), so that whoever writes past this class is found by
`verify`; members are opaque signed documents (`smileaccess.membership` checks them).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from smileaccess.delivery import Room
from smileaccess.encoding import moment, stamp
from smileaccess.errors import RecordsFailed, RecordsUnavailable
from smileaccess.model import Attempt, Bill, ChainHead, DoorEvent, Outcome, Reason, SignedMember, uuid7
from smileaccess.records import audit, comparing, memberlist, rows, schema
from smileaccess.records.chain import Link, State
from smileaccess.records.comparing import Comparison
from smileaccess.records.database import Database
from smileaccess.records.outbox import Outbox

PAGE_ROWS = 500
"""Rows read at once by a listing, so that a slow reader holds no old snapshot."""

_LEFT_OPEN = {"cause": "the program ended before the attempt did"}
_LAST_TEXT = "\U0010ffff"


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many bytes the record may use (0: no limit), and how many it leaves free on the disk."""

    bytes: int = 0
    reserve: int = 0


class Spool:
    """Records and Members on SQLite (WAL, synchronous=FULL): what a method returned from survives a power cut.

    One thread at a time may use an instance, not always the same one; any number of processes may use the file,
    each with its own instance. A method that cannot get the file within `schema.BUSY_S` raises RecordsUnavailable.
    """

    def __init__(
        self, database: Database, now: Callable[[], datetime] = _utc_now, limits: Limits | None = None
    ) -> None:
        self._db = database
        self._limits = limits or Limits()
        self._revision: tuple[tuple[int, int], int] | None = None
        self._now = now

    @classmethod
    def create(cls, path: Path, door: str, chain_key: bytes, *, now: Callable[[], datetime] = _utc_now) -> Spool:
        """Make the record of a new door (mode 0640) and open it; RecordsFailed where the file exists.

        `now` dates what the spool itself puts on record (pruning).
        """
        Database.create(path, door, chain_key, stamp(now()))
        return cls(Database(path, door, chain_key), now)

    @classmethod
    def open(
        cls,
        path: Path,
        door: str,
        chain_key: bytes,
        *,
        must_exist: bool = True,
        now: Callable[[], datetime] = _utc_now,
        limits: Limits | None = None,
    ) -> Spool:
        """Open a door's record; without `must_exist` a missing one is made.

        RecordsUnavailable where it is missing, closed to us or busy; RecordsFailed where it is no record of this
        door under this key, is newer than the program, or is damaged.
        """
        if not must_exist and not path.exists():
            with contextlib.suppress(RecordsFailed):  # another process was first
                Database.create(path, door, chain_key, stamp(now()))
        return cls(Database(path, door, chain_key), now, limits)

    def room(self) -> Room:
        """Return how full the record is, and how much room the disk has; RecordsUnavailable."""
        pages = self._db.one("PRAGMA page_count") - self._db.one("PRAGMA freelist_count")
        try:
            disk = os.statvfs(self._db.path.parent)
        except OSError as error:
            raise RecordsUnavailable(f"records: {self._db.path}: {error.strerror}: look at its folder") from error
        used = int(pages * self._db.one("PRAGMA page_size"))
        return Room(used, self._limits.bytes, disk.f_bavail * disk.f_frsize, self._limits.reserve)

    def open_attempt(self, attempt: Attempt) -> ChainHead:
        """Put down that an attempt began, with what is known by then.

        RecordsUnavailable where the record has reached its size, or the disk its reserve: what is under way and what
        else happens can still be put down.
        """
        self._db.check_door(attempt.door)
        if (room := self.room()).full:
            raise RecordsUnavailable(f"records: {self._db.path}: {_fullness(room)}")
        columns = rows.opening(attempt)
        with self._db.writing() as state:
            head = self._db.link(state, rows.ATTEMPT_OPENED, columns)
            self._db.insert("attempts", {**columns, "open_seq": head.sequence, "open_hash": head.hash})
        return head

    def close_attempt(self, attempt: Attempt) -> ChainHead:
        """Complete an open attempt; RecordsFailed if it is not open, or began otherwise than this one says."""
        columns = {**rows.opening(attempt), **rows.closing(attempt)}
        with self._db.writing() as state:
            return self._close(state, columns)

    def add_event(self, event: DoorEvent) -> ChainHead:
        """Put down a door event."""
        with self._db.writing() as state:
            return self._add(state, event)

    def add_bill(self, bill: Bill) -> None:
        """Add billed calls to those of their day and payer, in one statement; RecordsFailed for negative ones."""
        self._db.all(
            "INSERT INTO bills (day, payer, calls, micros) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (day, payer) DO UPDATE SET calls = calls + excluded.calls, micros = micros + excluded.micros",
            *rows.bill_columns(bill).values(),
        )

    def close_open_attempts(self, door: str, closed_at: datetime) -> list[Attempt]:
        """Close what a crash left open as denied with internal_error, all or none, and return those, oldest first."""
        with self._db.writing():
            found = self._db.all("SELECT * FROM attempts WHERE seq IS NULL AND door = ? ORDER BY open_seq", door)
            closed = [_given_up(rows.attempt_of(row), closed_at) for row in found]
            for attempt in closed:
                self._close(self._db.state(), {**rows.opening(attempt), **rows.closing(attempt)})
        return closed

    def attempts(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        outcome: str | None = None,
        reason: str | None = None,
        member_id: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Attempt]:
        """Yield attempts, newest first, that fit every given filter (`since` inclusive, `until` exclusive).

        Read in pages: between two attempts other methods may be used, and what begins meanwhile is not shown.
        """
        tests = {
            "opened_at >= ?": _stamp(since),
            "opened_at < ?": _stamp(until),
            "outcome = ?": outcome,
            "reason = ?": reason,
            "member_id = ?": member_id,
        }
        return map(rows.attempt_of, self._newest_first("attempts", "opened_at", tests, limit))

    def attempt(self, attempt_id: str) -> Attempt:
        """Return one attempt by its id or an unambiguous beginning of it."""
        wanted = attempt_id.strip().lower()
        found = self._db.all("SELECT * FROM attempts WHERE id >= ? AND id < ? LIMIT 2", wanted, wanted + _LAST_TEXT)
        if not found or not wanted:
            raise RecordsFailed(f"attempt {attempt_id!r}: there is none: see `smileaccess attempts list`")
        if len(found) > 1:
            raise RecordsFailed(f"attempt {attempt_id!r}: more than one begins so: give more of the id")
        return rows.attempt_of(found[0])

    def events(self, *, since: datetime | None = None, limit: int | None = None) -> Iterator[DoorEvent]:
        """Yield door events, newest first; read in pages, as `attempts` are."""
        tests = {"at >= ?": _stamp(since)}
        return map(rows.event_of, self._newest_first("door_events", "at", tests, limit))

    def last_event(self, kinds: Sequence[str], since: datetime | None = None) -> DoorEvent | None:
        """Return the last event of these kinds in the order of the chain, whatever its clock said; None for none."""
        marks = ", ".join("?" * len(kinds))
        page = self._db.all(
            f"SELECT * FROM door_events WHERE kind IN ({marks}) AND at >= ? ORDER BY seq DESC LIMIT 1",  # noqa: S608
            *kinds,
            _stamp(since) or "",
        )
        return rows.event_of(page[0]) if page else None

    def bills(self, since: date) -> list[Bill]:
        """Return the billed calls from a day (UTC) on, one bill a day and payer, in order."""
        sql = "SELECT day, payer, calls, micros FROM bills WHERE day >= ? ORDER BY day, payer"
        return [rows.bill_of(row) for row in self._db.all(sql, date.isoformat(since))]

    def newest(self) -> datetime | None:
        """Return the latest time on record, or None for an empty record."""
        latest = self._db.one(
            "SELECT max(newest) FROM (SELECT max(opened_at) AS newest FROM attempts "
            "UNION ALL SELECT max(closed_at) FROM attempts UNION ALL SELECT max(at) FROM door_events)"
        )
        try:
            return None if latest is None else moment(latest)
        except ValueError as error:
            raise RecordsFailed(f"records: newest time damaged ({error}): run `smileaccess attempts verify`") from error

    def mentions(self, member_id: str) -> tuple[int, int]:
        """Return on how many attempts, and on how many events, a member's id stands; reads everything on record."""
        found = sum(rows.mentions(attempt, member_id) for attempt in self.attempts())
        return found, sum(event.detail.get("member") == member_id for event in self.events())

    def head(self) -> ChainHead:
        """Return the chain's head; number 0 with a hash of the door's own for an empty record."""
        with self._db.reading() as state:
            return state.head

    def begun(self) -> str:
        """Return what tells this record from any other one of its door: its key's id, and when it was made."""
        with self._db.reading() as state:
            return f"{state.key_id} {state.created_at}"

    def verify(self, head: ChainHead | None = None) -> int:
        """Check every link, the head, the checkpoint and the floors, and that `head` is contained where one is given.

        Streams through the file in one snapshot; return the number of links. ChainBroken names the first bad row;
        RecordsFailed where `head` is older than the checkpoint, so that nothing can be said about it.
        """
        return audit.verify(self._db, head)

    def copy_to(self, path: Path) -> int:
        """Write the record as it is now into an empty file, durably; return how many links its chain has.

        RecordsUnavailable, RecordsFailed.
        """
        links = self.head().sequence
        self._db.all("VACUUM INTO ?", str(path))
        with path.open("rb") as copy:
            os.fsync(copy.fileno())
        return links

    @classmethod
    def restore(cls, copy: Path, path: Path, door: str, chain_key: bytes) -> None:
        """Put a copy of this door's record in its place, where there is none.

        RecordsFailed where a record is there, or the copy is no record of this door under this key;
        RecordsUnavailable.
        """
        schema.restore(copy, path, lambda found: Database(found, door, chain_key).close())

    def outbox(self) -> Outbox:
        """Return what of this record waits for a central database, on the same connection and thread."""
        return Outbox(self._db)

    def compare(self, there: Callable[[int], Iterator[Link]]) -> Comparison:
        """Check the whole chain over this record and what the central database holds of it; ChainBroken.

        `there` gives its links up to a number, in order.
        """
        return comparing.compare(self._db, there)

    def prune(self, before: datetime, who: str, why: str, *, delivered: bool = False) -> int:
        """Delete whole attempts and events older than `before` from the chain's beginning, leave a checkpoint.

        Stops at the first that is younger or open, and never takes the newest link. The event `records_pruned` goes
        on record first; what is deleted is verified first, and a bad link is ChainBroken and stays. In batches, so
        that other writers come in between. With `delivered` it keeps what a central database does not have yet, or
        has refused. Return how many attempts and events were deleted.
        """
        through, count = audit.prunable(self._db, stamp(before), delivered=delivered)
        if count:
            detail = {"before": stamp(before), "through": through, "rows": count}
            self.add_event(DoorEvent(uuid7(), self._db.door, self._now(), "records_pruned", who, why, detail))
            while audit.prune_batch(self._db, through, stamp(before)):
                pass
        return count

    def revision(self) -> int:
        """Return a number that differs after any change of the members' list by any program; attempts leave it.

        The list is read only after somebody has written to the file at all.
        """
        moved = self._db.moved()
        if self._revision is None or self._revision[0] != moved:
            self._revision = moved, memberlist.fingerprint(self._db)
        return self._revision[1]

    def signed_members(self) -> list[SignedMember]:
        """Return every stored member as stored, in one snapshot: nothing is verified here."""
        return memberlist.stored(self._db)

    def put_member(self, member: SignedMember, event: DoorEvent) -> None:
        """Insert or replace a member and put the event on record, both or neither.

        RecordsFailed unless the version is greater than the stored one's and the floor's. Templates that are
        replaced are overwritten in the file.
        """
        with self._db.writing() as state:
            self._add(memberlist.put(self._db, state, member), event)
        self.erase()

    def take_member(self, member: SignedMember, event: DoorEvent) -> None:
        """Insert or replace a member with what the central list holds, and put the event on record, both or neither.

        RecordsFailed for a version lower than the floor. What is replaced is overwritten in the file.
        """
        with self._db.writing() as state:
            self._add(memberlist.take(self._db, state, member), event)
        self.erase()

    def drop_member(self, member_id: str, event: DoorEvent) -> None:
        """Delete a member that the central list holds no more, its bytes too; its floor stays."""
        with self._db.writing() as state:
            memberlist.drop(self._db, member_id)
            self._add(state, event)
        self.erase()

    def synced(self, at: datetime) -> None:
        """Put down that the copy of the members was found to be the central list at this time."""
        with self._db.writing():
            memberlist.note_synced(self._db, stamp(at))

    def synced_at(self) -> datetime | None:
        """Return when that was last, None for never; RecordsFailed if tampered with."""
        found = memberlist.synced(self._db)
        return None if found is None else moment(found)

    def erase(self) -> bool:
        """Empty the write-ahead log into the file, over what was replaced; say whether nothing of it is left.

        False where another process reads what was there before, or the disk has no room: then it is left until this
        is called again, by the next `put_member` at the latest.
        """
        try:
            return not self._db.one("PRAGMA wal_checkpoint(TRUNCATE)")  # the first column is `busy`
        except RecordsUnavailable:
            return False

    def floors(self) -> dict[str, int]:
        """Return, a member id, the highest version that this database has held; RecordsFailed if tampered with."""
        with self._db.reading() as state:
            return memberlist.floors(self._db, state)

    def close(self) -> None:
        """Close the database; any thread, more than once."""
        self._db.close()

    def _add(self, state: State, event: DoorEvent) -> ChainHead:
        self._db.check_door(event.door)
        columns = rows.event_columns(event)
        head = self._db.link(state, rows.DOOR_EVENT, columns)
        self._db.insert("door_events", {**columns, "seq": head.sequence, "hash": head.hash})
        return head

    def _close(self, state: State, columns: rows.Columns) -> ChainHead:
        opened = self._opened(columns)
        head = self._db.link(state, rows.ATTEMPT_CLOSED, rows.covered({**columns, "open_seq": opened}))
        self._db.all(
            f"UPDATE attempts SET {', '.join(f'{name} = ?' for name in rows.CLOSING)}, seq = ?, hash = ? WHERE id = ?",  # noqa: S608
            *(columns[name] for name in rows.CLOSING),
            head.sequence,
            head.hash,
            columns["id"],
        )
        return head

    def _opened(self, columns: rows.Columns) -> int:
        """Return the opening link's number of an attempt that may be closed."""
        found = self._db.all("SELECT * FROM attempts WHERE id = ?", columns["id"])
        if not found or found[0]["seq"] is not None:
            told = "closed already" if found else "never opened"
            raise RecordsFailed(f"attempt {columns['id']}: {told}: it cannot be closed")
        if any(found[0][name] != columns[name] for name in rows.OPENING):
            raise RecordsFailed(f"attempt {columns['id']}: closed with another door, trigger or opened_at than opened")
        return int(found[0]["open_seq"])

    def _newest_first(
        self, table: str, time: str, tests: Mapping[str, str | None], limit: int | None
    ) -> Iterator[Mapping[str, Any]]:
        """Yield rows page by page, each page beginning after the last row of the one before."""
        given = {test: [value] for test, value in tests.items() if value is not None}
        left = limit
        while left is None or left > 0:
            size = PAGE_ROWS if left is None else min(left, PAGE_ROWS)
            values = [value for some in given.values() for value in some]
            page = self._db.all(
                f"SELECT * FROM {table} WHERE {' AND '.join(given) or 'TRUE'} "  # noqa: S608
                f"ORDER BY {time} DESC, id DESC LIMIT {size}",
                *values,
            )
            yield from page
            if len(page) < size:
                return
            left = None if left is None else left - size
            given[f"({time}, id) < (?, ?)"] = [page[-1][time], page[-1]["id"]]


def _fullness(room: Room) -> str:
    if 0 < room.limit <= room.used:
        used = f"holds {room.used >> 20} MB of at most {room.limit >> 20}"
        return f"{used}: let it deliver, prune with `smileaccess attempts prune`, or raise [records] limit_mb"
    return f"the disk has {room.free >> 20} MB left, of which {room.reserve >> 20} are kept: make room"


def _stamp(when: datetime | None) -> str | None:
    return None if when is None else stamp(when)


def _given_up(attempt: Attempt, closed_at: datetime) -> Attempt:
    return replace(
        attempt, closed_at=closed_at, outcome=Outcome.DENIED, reason=Reason.INTERNAL_ERROR, detail=_LEFT_OPEN
    )
