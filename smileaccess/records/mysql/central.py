"""Reads the central record of all doors, or of one; it never writes.

An account that may read `attempts` reads all doors', a door's account its own through the views.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from smileaccess.encoding import moment, stamp
from smileaccess.errors import RecordsFailed
from smileaccess.model import Attempt, DoorEvent
from smileaccess.records import rows
from smileaccess.records.mysql.archive import as_we_write, spelled
from smileaccess.records.mysql.link import Link
from smileaccess.records.mysql.questions import newest_first
from smileaccess.records.mysql.reach import readable

PAGE_ROWS = 500
"""Rows read at once by a listing: some megabytes at most, so that any number can be streamed."""

COUNTED_ROWS = 20_000
"""Rows looked through by one statement that reads every detail: a second or so."""

_ATTEMPT = ", ".join((*rows.OPENING, *rows.CLOSING))
_EVENT = ", ".join(rows.EVENT)
_LAST_TEXT = "\U0010ffff"


class CentralRecords:
    """RecordReader on MySQL or MariaDB, for one thread at a time; RecordsUnavailable, RecordsFailed."""

    def __init__(self, link: Link, door: str | None = None) -> None:
        """Take the connection, and the name of the only door that is wanted."""
        self._link = link
        self._door = door
        self._names: dict[str, str] = {}

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

        Read in pages: between two attempts other methods may be used. Only those that have ended are here.
        """
        filters = {"member_id": member_id, "reason": reason, "outcome": outcome, "until": _time(until)}
        found = self._newest_first("attempts", _ATTEMPT, "opened_at", {**filters, "since": _time(since)}, limit)
        return map(rows.attempt_of, found)

    def attempt(self, attempt_id: str) -> Attempt:
        """Return one attempt by its id or an unambiguous beginning of it; RecordsFailed if there is none."""
        wanted = attempt_id.strip().lower()
        found = self._beginning(wanted) if wanted else []
        if not found:
            raise RecordsFailed(f"attempt {attempt_id!r}: there is none: see `smileaccess attempts list`")
        if len(found) > 1:
            raise RecordsFailed(f"attempt {attempt_id!r}: more than one begins so: give more of the id")
        return rows.attempt_of(found[0])

    def events(self, *, since: datetime | None = None, limit: int | None = None) -> Iterator[DoorEvent]:
        """Yield door events, newest first; read in pages, as `attempts` are."""
        return map(rows.event_of, self._newest_first("door_events", _EVENT, "at", {"since": _time(since)}, limit))

    def newest(self) -> datetime | None:
        """Return the latest time on record, or None for an empty record; of attempts it looks at the last page only."""
        asked = (("attempts", ("opened_at", "closed_at")), ("door_events", ("at",)))
        pages = [
            list(self._newest_first(table, ", ".join(("id", *times)), times[0], {}, PAGE_ROWS))
            for table, times in asked
        ]
        found = [row[time] for (_, times), page in zip(asked, pages, strict=True) for row in page for time in times]
        return moment(max(found)) if found else None

    def mentions(self, member_id: str, *, stretch: int = COUNTED_ROWS) -> tuple[int, int]:
        """Return on how many attempts, and on how many events, an id stands, as a candidate too.

        The server looks through all rows for it, a `stretch` at a time.
        """
        noted = f'"member":"{member_id}"'
        test = "(member_id = %s OR LOCATE(%s, detail) > 0)"
        found = self._count("attempts", stretch, test, member_id, noted)
        return found, self._count("door_events", stretch, "LOCATE(%s, detail) > 0", noted)

    def _count(self, table: str, stretch: int, test: str, *values: str) -> int:
        """Count rows that fit, by stretches of the primary key."""
        name, count, after = self._table(table), 0, ""
        if self._door is not None:
            test, values = f"{test} AND door = %s", (*values, self._door)
        while True:
            sql = f"SELECT id FROM {name} WHERE id > %s ORDER BY id LIMIT 1 OFFSET {stretch - 1}"  # noqa: S608
            last = self._link.one(sql, after) or _LAST_TEXT
            sql = f"SELECT COUNT(*) FROM {name} WHERE id > %s AND id <= %s AND {test}"  # noqa: S608 -- our own names
            count += int(self._link.one(sql, after, last, *values))
            if last == _LAST_TEXT:
                return count
            after = last

    def _beginning(self, wanted: str) -> list[dict[str, Any]]:
        """Return at most two attempts whose ids begin so."""
        door, values = ("", ()) if self._door is None else (" AND door = %s", (self._door,))
        found = self._link.all(
            f"SELECT {_ATTEMPT} FROM {self._table('attempts')} "  # noqa: S608 -- our own names
            f"WHERE id >= %s AND id < %s{door} ORDER BY id LIMIT 2",
            wanted,
            wanted + _LAST_TEXT,
            *values,
        )
        return [_spelled(row) for row in found]

    def _newest_first(
        self, table: str, columns: str, time: str, filters: Mapping[str, str | None], limit: int | None
    ) -> Iterator[dict[str, Any]]:
        """Yield rows page by page, each page beginning after the last row of the one before."""
        left, after = limit, None
        while left is None or left > 0:
            size = PAGE_ROWS if left is None else min(left, PAGE_ROWS)
            wanted = {**filters, "door": self._door}
            asked = newest_first(self._table(table), wanted, after, size, time=time, columns=columns)
            page = [_spelled(row) for row in self._link.all(asked.sql, *asked.values)]
            yield from page
            if len(page) < size:
                return
            left = None if left is None else left - size
            after = (str(spelled(page[-1][time])), page[-1]["id"])

    def _table(self, name: str) -> str:
        if name not in self._names:
            self._names[name] = readable(self._link, name)
        return self._names[name]


def _spelled(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as the door's own record spells it."""
    return {name: as_we_write(value) for name, value in row.items()}


def _time(when: datetime | None) -> str | None:
    return None if when is None else str(spelled(stamp(when.astimezone(UTC))))
