"""What of a door's record waits for the central database, and how far the delivery has come; it deletes nothing.

Rows leave in the order of their last link's number. What was delivered or set aside lies behind one number, `through`,
which only grows.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from smileaccess.delivery import Backlog, Outgoing, Refused, SetAside
from smileaccess.encoding import moment, stamp
from smileaccess.model import ChainHead
from smileaccess.records.database import Database
from smileaccess.records.rows import FORWARDED

_TIME = {"attempts": "closed_at", "door_events": "at"}
_SEQ = -2
"""The place of a row's number in what is forwarded of both tables, before its hash."""
_RETRIED = 100
"""Rows set aside that are offered again at once."""


def record_id(begun: str) -> str:
    """Return the short name, 16 hex digits, that tells a record of a door from its next (see `Spool.begun`)."""
    return hashlib.sha256(begun.encode("utf-8")).hexdigest()[:16]


class Outbox:
    """The sending side of a spool's database; one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._db = database
        with database.reading() as state:
            self.record = record_id(f"{state.key_id} {state.created_at}")

    @property
    def door(self) -> str:
        """Whose record it is."""
        return self._db.door

    def waiting(self, limit: int) -> list[Outgoing]:
        """Return the next rows to deliver, at most `limit`, in the order of their links."""
        with self._db.snapshot():
            found = [row for table in FORWARDED for row in self._after(table, self._through(), limit)]
        found.sort(key=lambda row: row.sequence)
        return found[:limit]

    def delivered(self, through: int, refused: tuple[Refused, ...], at: datetime) -> None:
        """Put down that all up to link `through` was delivered, but for the rows `refused`."""
        with self._db.writing():
            for each in refused:
                kept = (each.row.sequence, each.row.table, each.row.id, each.error, stamp(at))
                self._db.all("INSERT OR REPLACE INTO set_aside VALUES (?, ?, ?, ?, ?)", *kept)
            self._db.all("UPDATE forwarding SET through = max(through, ?)", through)

    def backlog(self) -> Backlog:
        """Return where the delivery stands."""
        with self._db.snapshot():
            through = self._through()
            counts = [self._db.one(f"SELECT count(*) FROM {table} WHERE seq > ?", through) for table in _TIME]  # noqa: S608 -- ours
            oldest = [
                row[time]
                for table, time in _TIME.items()
                for row in self._db.all(
                    f"SELECT {time} FROM {table} WHERE seq > ? ORDER BY seq LIMIT 1",  # noqa: S608 -- ours
                    through,
                )
            ]
            aside = self._db.all("SELECT seq, kind, row_id, error, at FROM set_aside ORDER BY seq")
        kept = tuple(SetAside(r["seq"], r["kind"], r["row_id"], r["error"], moment(r["at"])) for r in aside)
        return Backlog(through, sum(counts), moment(min(oldest)) if oldest else None, kept)

    def set_aside(self, limit: int = _RETRIED) -> list[Outgoing]:
        """Return rows that were set aside and are still on record, at most `limit`, to be offered once more."""
        with self._db.snapshot():
            kept = self._db.all("SELECT seq, kind FROM set_aside ORDER BY seq LIMIT ?", limit)
            return [row for each in kept for row in self._after(each["kind"], each["seq"] - 1, 1, each["seq"])]

    def taken_back(self, rows: list[Outgoing]) -> None:
        """Forget that these were set aside: the central database has them now."""
        with self._db.writing():
            for row in rows:
                self._db.all("DELETE FROM set_aside WHERE seq = ?", row.sequence)

    def holds(self, head: ChainHead) -> bool:
        """Say whether the record holds this link, as far as it was not pruned."""
        with self._db.reading() as state:
            if head.sequence <= state.checkpoint_sequence:
                return True
            found = [
                row["hash"]
                for table in _TIME
                for row in self._db.all(f"SELECT hash FROM {table} WHERE seq = ?", head.sequence)  # noqa: S608 -- ours
            ]
        return found == [head.hash]

    def close(self) -> None:
        """Close the database; any thread, more than once."""
        self._db.close()

    def _through(self) -> int:
        return int(self._db.one("SELECT through FROM forwarding"))

    def _after(self, table: str, after: int, limit: int, upto: int | None = None) -> list[Outgoing]:
        bound = "" if upto is None else f" AND seq <= {int(upto)}"
        names = FORWARDED[table]
        sql = f"SELECT {', '.join(names)} FROM {table} WHERE seq > ?{bound} ORDER BY seq LIMIT ?"  # noqa: S608 -- ours
        return [Outgoing(row[_SEQ], table, names, row) for row in self._db.tuples(sql, after, limit)]
