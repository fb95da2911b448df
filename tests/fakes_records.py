"""The Records and Members ports in memory, for tests of what stands on them; they never touch a disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from smileaccess.errors import ChainBroken, RecordsFailed, RecordsUnavailable
from smileaccess.model import (
    Attempt,
    Bill,
    ChainHead,
    DoorEvent,
    KnownDoor,
    Outcome,
    Payer,
    Reason,
    SignedMember,
    uuid7,
)
from smileaccess.records import rows

EMPTY = ChainHead(0, hashlib.sha256(b"").hexdigest())


@dataclass
class FakeRecords:
    """A record in memory: `fail(n)` makes the next n writes and reads raise RecordsUnavailable.

    `rows` holds attempts by id and `put_down` every event, both in the order of writing; `heads` every link; `spent`
    the billed calls and their price by day and payer.
    """

    door: str = "test"
    now: datetime = datetime(2026, 11, 22, 13, tzinfo=UTC)
    rows: dict[str, Attempt] = field(default_factory=dict)
    put_down: list[DoorEvent] = field(default_factory=list)
    spent: dict[tuple[date, Payer], Bill] = field(default_factory=dict)
    heads: list[ChainHead] = field(default_factory=lambda: [EMPTY])
    closed: bool = False
    failing: int = 0
    owners: dict[int, str] = field(default_factory=dict)

    def fail(self, calls: int = 1) -> None:
        self.failing = calls

    def open_attempt(self, attempt: Attempt) -> ChainHead:
        self._check(attempt.door)
        if attempt.id in self.rows:
            raise RecordsFailed(f"attempt {attempt.id}: is there already")
        self.rows[attempt.id] = Attempt(attempt.id, attempt.door, attempt.trigger, attempt.opened_at)
        return self._link(attempt.id, repr(attempt))

    def close_attempt(self, attempt: Attempt) -> ChainHead:
        self._check(attempt.door)
        opened = self.rows.get(attempt.id)
        if opened is None or opened.closed_at is not None:
            raise RecordsFailed(f"attempt {attempt.id}: not open")
        if (opened.trigger, opened.opened_at) != (attempt.trigger, attempt.opened_at):
            raise RecordsFailed(f"attempt {attempt.id}: began otherwise")
        if attempt.closed_at is None or attempt.outcome is None:
            raise RecordsFailed(f"attempt {attempt.id}: not decided")
        if (attempt.outcome is Outcome.DENIED) != (attempt.reason is not None):
            raise RecordsFailed(f"attempt {attempt.id}: {attempt.outcome} with reason {attempt.reason}")
        if attempt.cost is not None and attempt.cost < 0:
            raise RecordsFailed(f"attempt {attempt.id}: cost {attempt.cost}")
        self.rows[attempt.id] = attempt
        return self._link(attempt.id, repr(attempt))

    def add_event(self, event: DoorEvent) -> ChainHead:
        self._check(event.door)
        self.put_down.append(event)
        return self._link(event.id, repr(event))

    def add_bill(self, bill: Bill) -> None:
        self._check(self.door)
        if bill.calls < 0 or bill.micros < 0:
            raise RecordsFailed(f"bill of {bill.day}: negative")
        key = (bill.day, bill.payer)
        before = self.spent.get(key, Bill(*key, 0, 0))
        self.spent[key] = Bill(*key, before.calls + bill.calls, before.micros + bill.micros)

    def close_open_attempts(self, door: str, closed_at: datetime) -> list[Attempt]:
        self._check(self.door)
        left = [row for row in self.rows.values() if row.closed_at is None and row.door == door]
        found = [
            replace(
                row,
                closed_at=closed_at,
                outcome=Outcome.DENIED,
                reason=Reason.INTERNAL_ERROR,
                detail={"cause": "left open"},
            )
            for row in left
        ]
        for attempt in found:
            self.close_attempt(attempt)
        return found

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
        self._check(self.door)
        fitting = [
            row
            for row in sorted(self.rows.values(), key=lambda row: (row.opened_at, row.id), reverse=True)
            if (since is None or row.opened_at >= since)
            and (until is None or row.opened_at < until)
            and (outcome is None or row.outcome == outcome)
            and (reason is None or row.reason == reason)
            and (member_id is None or row.member_id == member_id)
        ]
        return iter(fitting[:limit])

    def attempt(self, attempt_id: str) -> Attempt:
        self._check(self.door)
        found = [row for row in self.rows.values() if attempt_id and row.id.startswith(attempt_id.lower())]
        if len(found) != 1:
            raise RecordsFailed(f"attempt {attempt_id!r}: {'more than one' if found else 'none'}")
        return found[0]

    def events(self, *, since: datetime | None = None, limit: int | None = None) -> Iterator[DoorEvent]:
        self._check(self.door)
        newest_first = sorted(self.put_down, key=lambda event: (event.at, event.id), reverse=True)
        return iter([event for event in newest_first if since is None or event.at >= since][:limit])

    def mentions(self, member_id: str) -> tuple[int, int]:
        found = sum(rows.mentions(attempt, member_id) for attempt in self.attempts())
        return found, sum(event.detail.get("member") == member_id for event in self.events())

    def bills(self, since: date) -> list[Bill]:
        self._check(self.door)
        return [bill for _, bill in sorted(self.spent.items()) if bill.day >= since]

    def newest(self) -> datetime | None:
        self._check(self.door)
        times = [event.at for event in self.put_down]
        times += [time for row in self.rows.values() for time in (row.opened_at, row.closed_at) if time]
        return max(times, default=None)

    def head(self) -> ChainHead:
        self._check(self.door)
        return self.heads[-1]

    def verify(self, head: ChainHead | None = None) -> int:
        self._check(self.door)
        if head is not None and head.sequence < self.heads[0].sequence:
            raise RecordsFailed("pruned")
        if head is not None and head not in self.heads:
            raise ChainBroken(f"record: does not hold {head}", head.sequence)
        return len(self.heads) - 1

    def prune(self, before: datetime, who: str, why: str) -> int:
        self._check(self.door)
        cut = 0
        for place, head in enumerate(self.heads[1:-1], start=1):
            if not self._old(head, before):
                break
            last = {row: number for number, row in self.owners.items()}
            through = {self.owners[each.sequence] for each in self.heads[1 : place + 1]}
            cut = place if all(last[row] <= head.sequence for row in through) else cut
        gone = {self.owners[head.sequence] for head in self.heads[1 : cut + 1]}
        self.heads = self.heads[cut:]
        self.rows = {key: row for key, row in self.rows.items() if key not in gone}
        self.put_down = [event for event in self.put_down if event.id not in gone]
        if gone:
            self.add_event(DoorEvent(uuid7(), self.door, self.now, "records_pruned", who, why))
        return len(gone)

    def close(self) -> None:
        self.closed = True

    def _old(self, head: ChainHead, before: datetime) -> bool:
        owner = self.owners[head.sequence]
        row = self.rows.get(owner)
        if row is not None:
            return row.closed_at is not None and row.closed_at < before and row.opened_at < before
        return next(event.at for event in self.put_down if event.id == owner) < before

    def _check(self, door: str) -> None:
        if self.closed:
            raise RecordsUnavailable("records: closed")
        if self.failing:
            self.failing -= 1
            raise RecordsUnavailable("records: told to fail")
        if door != self.door:
            raise RecordsFailed(f"records: of door {self.door}, not {door}")

    def _link(self, owner: str, content: str) -> ChainHead:
        last = self.heads[-1]
        digest = hashlib.sha256(f"{last.hash} {content}".encode("utf-8", "surrogatepass")).hexdigest()
        self.heads.append(ChainHead(last.sequence + 1, digest))
        self.owners[last.sequence + 1] = owner
        return self.heads[-1]


@dataclass
class FakeMembers:
    """A members' list in memory, which puts its events on `records`."""

    records: FakeRecords = field(default_factory=FakeRecords)
    stored: dict[str, SignedMember] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    changes: int = 0
    read_elsewhere: bool = False

    def revision(self) -> int:
        return self.changes

    def signed_members(self) -> list[SignedMember]:
        return list(self.stored.values())

    def put_member(self, member: SignedMember, event: DoorEvent) -> None:
        newest = max(self.seen.get(member.id, 0), getattr(self.stored.get(member.id), "version", 0))
        if member.version <= newest:
            raise RecordsFailed(f"member {member.id}: version {member.version} is not newer than {newest}")
        self.records.add_event(event)
        self.stored[member.id] = member
        self.seen[member.id] = member.version
        self.changes += 1

    def erase(self) -> bool:
        return not self.read_elsewhere

    def floors(self) -> dict[str, int]:
        return dict(self.seen)


@dataclass
class FakeConfirmations:
    """Doors by name, and what each has taken over: versions of a member, each with its time."""

    known: dict[str, KnownDoor] = field(default_factory=dict)
    taken: dict[tuple[str, str], dict[int, datetime]] = field(default_factory=dict)
    failing: bool = False

    def confirm(self, door: str, versions: Mapping[str, int], now: datetime) -> None:
        self._check()
        for member_id, version in versions.items():
            self.taken.setdefault((door, member_id), {}).setdefault(version, now)

    def doors(self) -> list[KnownDoor]:
        self._check()
        return [self.known[name] for name in sorted(self.known)]

    def confirmed(self, member_id: str, version: int) -> dict[str, datetime]:
        self._check()
        times = {
            door: [at for held, at in versions.items() if held >= version]
            for (door, member), versions in self.taken.items()
            if member == member_id
        }
        return {door: min(found) for door, found in times.items() if found}

    def _check(self) -> None:
        if self.failing:
            raise RecordsUnavailable("records: told to fail")
