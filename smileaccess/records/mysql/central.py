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
        equal = {"member_id": member_id, "reason": reason, "door": self._door, "outcome": outcome}
        bounds = {"opened_at >= %s": _time(since), "opened_at < %s": _time(until)}
        return map(rows.attempt_of, self._newest_first("attempts", _ATTEMPT, "opened_at", equal, bounds, limit))

    def attempt(self, attempt_id: str) -> Attempt:
        """Return one attempt by its id or an unambiguous beginning of it; RecordsFailed if there is none."""
        wanted = attempt_id.strip().lower()
        tests = {"id >= %s": wanted, "id < %s": wanted + _LAST_TEXT, "door = %s": self._door}
        found = self._page("attempts", _ATTEMPT, tests, "id LIMIT 2") if wanted else []
        if not found:
            raise RecordsFailed(f"attempt {attempt_id!r}: there is none: see `smileaccess attempts list`")
        if len(found) > 1:
            raise RecordsFailed(f"attempt {attempt_id!r}: more than one begins so: give more of the id")
        return rows.attempt_of(found[0])

    def events(self, *, since: datetime | None = None, limit: int | None = None) -> Iterator[DoorEvent]:
        """Yield door events, newest first; read in pages, as `attempts` are."""
        bounds = {"at >= %s": _time(since)}
        return map(rows.event_of, self._newest_first("door_events", _EVENT, "at", {"door": self._door}, bounds, limit))

    def newest(self) -> datetime | None:
        """Return the latest time on record, or None for an empty record; of attempts it looks at the last page only."""
        asked = (("attempts", ("opened_at", "closed_at")), ("door_events", ("at",)))
        equal = {"door": self._door}
        pages = [
            list(self._newest_first(table, ", ".join(("id", *times)), times[0], equal, {}, PAGE_ROWS))
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

    def _newest_first(
        self,
        table: str,
        columns: str,
        time: str,
        equal: Mapping[str, str | None],
        bounds: Mapping[str, str | None],
        limit: int | None,
    ) -> Iterator[Mapping[str, Any]]:
        """Yield rows page by page, each page beginning after the last row of the one before.

        The first column of `equal` that has a value leads the index that is used, and so the order. As two bounds,
        and not as an equality, it makes the servers enter that index at the page's time: MariaDB else walks there
        from the newest row. For the same reason a plain bound on the time stands beside the exact one.
        """
        lead, *others = [name for name, value in equal.items() if value is not None] or [""]
        given = {**dict.fromkeys([f"{lead} >= %s", f"{lead} <= %s"] if lead else [], equal.get(lead)), **bounds}
        given |= {f"{name} = %s": equal[name] for name in others}
        order = ", ".join(f"{name} DESC" for name in (lead, time, "id") if name)
        left = limit
        after: tuple[str, ...] = ()
        while left is None or left > 0:
            size = PAGE_ROWS if left is None else min(left, PAGE_ROWS)
            page = self._page(table, columns, given, f"{order} LIMIT {size}", time, after)
            yield from page
            if len(page) < size:
                return
            left = None if left is None else left - size
            at = spelled(page[-1][time])
            given[f"{time} <= %s"], after = str(at), (str(at), page[-1]["id"])

    def _page(
        self,
        table: str,
        columns: str,
        tests: Mapping[str, str | None],
        order: str,
        time: str = "",
        after: tuple[str, ...] = (),
    ) -> list[dict[str, Any]]:
        given = {test: value for test, value in tests.items() if value is not None}
        exact = [f"({time} < %s OR id < %s)"] if after else []
        found = self._link.all(
            f"SELECT {columns} FROM {self._table(table)} "  # noqa: S608 -- our own names
            f"WHERE {' AND '.join([*given, *exact]) or 'TRUE'} ORDER BY {order}",
            *given.values(),
            *after,
        )
        return [{name: as_we_write(value) for name, value in row.items()} for row in found]

    def _table(self, name: str) -> str:
        if name not in self._names:
            self._names[name] = readable(self._link, name)
        return self._names[name]


def _time(when: datetime | None) -> str | None:
    return None if when is None else str(spelled(stamp(when.astimezone(UTC))))
