"""The Archive and CentralList ports in memory, with the outages that a network has; they never touch one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from smileaccess.delivery import Outgoing, Refused
from smileaccess.errors import RecordsUnavailable
from smileaccess.model import ChainHead, SignedMember


@dataclass
class FakeArchive:
    """A central record; `before` and `after` run around a commit and may raise, `refuses` gives a cause or nothing."""

    rows: dict[str, Outgoing] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    heads: list[ChainHead] = field(default_factory=list)
    refuses: Callable[[Outgoing], str] = lambda _row: ""
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None
    checks: int = 0
    closes: int = 0

    def check(self, now: datetime) -> None:  # noqa: ARG002 -- the port's
        self.before()
        self.checks += 1

    def head(self) -> ChainHead | None:
        return self.heads[-1] if self.heads else None

    def deliver(self, batch: Sequence[Outgoing], now: datetime) -> list[Refused]:  # noqa: ARG002 -- the port's
        self.before()
        refused = [Refused(row, self.refuses(row)) for row in batch if self.refuses(row)]
        for row in batch:
            if not self.refuses(row) and row.id not in self.rows:
                self.rows[row.id] = row
                self.order.append(row.id)
        self.heads.append(ChainHead(batch[-1].sequence, batch[-1].hash))
        self.after()
        return refused

    def close(self) -> None:
        self.closes += 1


@dataclass
class FakeCentralList:
    """A central members' list; `away` makes every question fail."""

    members: dict[str, SignedMember] = field(default_factory=dict)
    confirmed: dict[tuple[str, str], int] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    changes: int = 0
    away: bool = False

    def put(self, *members: SignedMember) -> None:
        for member in members:
            self.members[member.id] = member
        self.changes += 1

    def delete(self, member_id: str) -> None:
        del self.members[member_id]
        self.changes += 1

    def revision(self) -> int:
        if self.away:
            raise RecordsUnavailable("mysql: away")
        return self.changes

    def versions(self) -> dict[str, int]:
        return {each.id: each.version for each in self.members.values()}

    def fetch(self, ids: Sequence[str]) -> list[SignedMember]:
        self.fetched += ids
        return [self.members[member_id] for member_id in ids if member_id in self.members]

    def confirm(self, door: str, versions: Mapping[str, int], now: datetime) -> None:  # noqa: ARG002 -- the port's
        self.confirmed |= {(door, member_id): version for member_id, version in versions.items()}
