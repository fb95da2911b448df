"""The values of what a door delivers to the central record; they do no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

Column = str | int | float | None


class Outgoing(NamedTuple):
    """One finished row of a door's record: its last link's number, its table and its columns, as the chain covers them.

    `table` is "attempts" or "door_events"; `values` stand in the order of `names`, the id first and the last link's
    hash at the end.
    """

    sequence: int
    table: str
    names: tuple[str, ...]
    values: tuple[Column, ...]

    @property
    def columns(self) -> Mapping[str, Column]:
        """The values by name."""
        return dict(zip(self.names, self.values, strict=True))

    @property
    def id(self) -> str:
        """The row's id."""
        return str(self.values[0])

    @property
    def hash(self) -> str:
        """The row's last link, in hex."""
        return str(self.values[-1])


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that the central database will not have, and what it said."""

    row: Outgoing
    error: str


@dataclass(frozen=True, slots=True)
class SetAside:
    """A refused row as it is remembered at the door: it stays in the door's record, and the rest goes on."""

    sequence: int
    table: str
    row_id: str
    error: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """Where the delivery stands.

    All links up to `through` are delivered or set aside; `rows` wait, the oldest since `oldest` (UTC).
    """

    through: int
    rows: int
    oldest: datetime | None
    set_aside: tuple[SetAside, ...]


@dataclass(frozen=True, slots=True)
class Room:
    """How full the door's own record is: bytes in use, the most it may use (0: no limit), and free on the disk."""

    used: int
    limit: int
    free: int
    reserve: int

    @property
    def full(self) -> bool:
        """Whether no attempt may be begun any more."""
        return (0 < self.limit <= self.used) or self.free <= self.reserve

    @property
    def filling(self) -> bool:
        """Whether to tell somebody: four fifths are in use, or the disk has no more than twice the reserve."""
        return (0 < 0.8 * self.limit <= self.used) or self.free <= 2 * self.reserve
