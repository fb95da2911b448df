"""Takes a door's rows into the central database, each exactly once however often a commit's answer is lost.

It inserts and compares, and never overwrites: a door's account can do no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from smileaccess import __version__
from smileaccess.delivery import Column, Outgoing, Refused
from smileaccess.encoding import stamp
from smileaccess.errors import RowRefused, ShutOut
from smileaccess.model import ChainHead
from smileaccess.records import rows
from smileaccess.records.mysql import faults, migrations
from smileaccess.records.mysql.link import Link

TIMES = frozenset({"opened_at", "closed_at", "at"})
"""Columns that are DATETIME(6) there and text here."""


def spelled(text: Column) -> Column:
    """Return a time as the server takes it: our UTC text without the letters."""
    return str(text)[:-1].replace("T", " ") if text is not None else None


def as_we_write(value: Any) -> Column:
    """Return a column's value as the door's own record spells it."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + "Z"
    result: Column = value
    return result


class Archive:
    """The central record as one door writes it; one thread at a time."""

    def __init__(self, link: Link, door: str, record: str) -> None:
        """Take the connection, whose account is the door's, and which of its records this is."""
        self._link = link
        self._door = door
        self._record = record

    def check(self, now: datetime) -> None:
        """See that the database is ours and lets this door in, and say that it was heard of.

        ShutOut where the door is unknown or was revoked; RecordsFailed for a database of another version.
        """
        migrations.check(self._link)
        found = self._link.all("SELECT name, revoked_at FROM own_door")
        if not any(row["name"] == self._door for row in found):
            others = ", ".join(row["name"] for row in found) or "none"
            raise ShutOut(
                f"mysql: door {self._door!r} is not registered for this account (which has {others}): "
                f"run `smileaccess door register {self._door}` where the database is administered"
            )
        if any(row["revoked_at"] is not None for row in found):
            raise ShutOut(f"mysql: door {self._door!r} was revoked: register it again if that was a mistake")
        self._link.change(
            "INSERT INTO own_contacts (door, at, program) VALUES (%s, %s, %s)",
            self._door,
            spelled(stamp(now)),
            __version__,
        )

    def head(self) -> ChainHead | None:
        """Return where this record's chain stood when it last delivered, None if it never did."""
        found = self._link.all(
            "SELECT sequence, hash FROM own_chain_heads WHERE door = %s AND record = %s ORDER BY sequence DESC LIMIT 1",
            self._door,
            self._record,
        )
        return ChainHead(found[0]["sequence"], found[0]["hash"]) if found else None

    def deliver(self, batch: Sequence[Outgoing], now: datetime) -> list[Refused]:
        """Take all rows of a batch, in order, and return those that are refused for what they hold.

        RecordsUnavailable leaves open whether they were taken: deliver them again.
        """
        try:
            with self._link.transaction():
                for table in rows.FORWARDED:
                    self._insert(table, [row for row in batch if row.table == table])
                self._note_head(batch[-1], now)
        except RowRefused as error:
            self._check_welcome(error)
            return self._one_by_one(batch, now)
        return []

    def close(self) -> None:
        """Let go of the connection; any thread."""
        self._link.close()

    def _insert(self, table: str, batch: Sequence[Outgoing]) -> None:
        if not batch:
            return
        names = ("record", *rows.FORWARDED[table])
        marks = ", ".join(["%s"] * len(names))
        sql = f"INSERT INTO own_{table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 -- our own names
        places = [place for place, name in enumerate(rows.FORWARDED[table]) if name in TIMES]
        self._link.many(sql, [_sent(self._record, row.values, places) for row in batch])

    def _note_head(self, last: Outgoing, now: datetime) -> None:
        self._link.change(
            "INSERT INTO own_chain_heads (door, record, sequence, hash, at) VALUES (%s, %s, %s, %s, %s)",
            self._door,
            self._record,
            last.sequence,
            last.hash,
            spelled(stamp(now)),
        )

    def _one_by_one(self, batch: Sequence[Outgoing], now: datetime) -> list[Refused]:
        """Find what of a batch is there already, and what it is that is refused."""
        held = {table: self._held(table, batch) for table in rows.FORWARDED}
        refused = [each for row in batch if (each := self._settled(row, held[row.table].get(row.id))) is not None]
        if batch[-1] not in [each.row for each in refused]:
            try:
                self._note_head(batch[-1], now)
            except RowRefused as error:
                if error.code != faults.DUPLICATE:  # else an earlier try has noted it
                    raise
        return refused

    def _settled(self, row: Outgoing, held: Mapping[str, Column] | None) -> Refused | None:
        if held is not None:
            differing = sorted(name for name, value in row.columns.items() if held[name] != value)
            return Refused(row, f"another row has this id (different: {', '.join(differing)})") if differing else None
        try:
            self._insert(row.table, [row])
        except RowRefused as error:
            self._check_welcome(error)
            return Refused(row, str(error))
        return None

    def _held(self, table: str, batch: Sequence[Outgoing]) -> dict[str, dict[str, Column]]:
        ids = [row.id for row in batch if row.table == table]
        if not ids:
            return {}
        names, marks = ", ".join(rows.FORWARDED[table]), ", ".join(["%s"] * len(ids))
        found = self._link.all(f"SELECT {names} FROM own_{table} WHERE id IN ({marks})", *ids)  # noqa: S608 -- ours
        return {row["id"]: {name: as_we_write(value) for name, value in row.items()} for row in found}

    def _check_welcome(self, error: RowRefused) -> None:
        """Tell a row that is refused from a door that is: the views refuse all that a revoked door writes."""
        if error.code == faults.VIEW_CHECK:
            raise ShutOut(
                f"mysql: takes nothing of door {self._door!r}: it was revoked or is not registered for this account"
            ) from error


def _sent(record: str, values: Sequence[Column], times: Sequence[int]) -> list[Column]:
    """Return a row as it is sent; `times` are the places of what is spelled otherwise there."""
    sent = [record, *values]
    for place in times:
        sent[place + 1] = spelled(values[place])
    return sent
