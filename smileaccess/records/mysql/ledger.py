"""Reads a door's links as the central database holds them, in their order and page by page; it checks none of them."""

from __future__ import annotations

import heapq
import operator
from collections.abc import Iterator

from smileaccess.records import rows
from smileaccess.records.chain import Link as ChainLink
from smileaccess.records.mysql.archive import as_we_write
from smileaccess.records.mysql.link import Link
from smileaccess.records.mysql.reach import readable

PAGE_ROWS = 1000

_STREAMS: tuple[tuple[str, str, tuple[str, ...], str, str], ...] = (
    (rows.ATTEMPT_OPENED, "attempts", rows.OPENING, "open_seq", "open_hash"),
    (rows.ATTEMPT_CLOSED, "attempts", (*rows.OPENING, *rows.CLOSING, "open_seq"), "seq", "hash"),
    (rows.DOOR_EVENT, "door_events", rows.EVENT, "seq", "hash"),
)


class Ledger:
    """One record of one door as it was delivered; one thread at a time."""

    def __init__(self, link: Link, door: str, record: str) -> None:
        """Take the connection, and which record of which door is meant."""
        self._link = link
        self._door = door
        self._record = record

    def links(self, upto: int) -> Iterator[ChainLink]:
        """Yield the links up to a number, in order; RecordsUnavailable, RecordsFailed."""
        streams = (self._stream(*each, upto) for each in _STREAMS)
        return heapq.merge(*streams, key=operator.attrgetter("sequence"))

    def _stream(
        self, what: str, table: str, covered: tuple[str, ...], number: str, hashed: str, upto: int
    ) -> Iterator[ChainLink]:
        names = ", ".join((*covered, f"{number} AS link_number", f"{hashed} AS link_hash"))
        sql = (
            f"SELECT {names} FROM {readable(self._link, table)} "  # noqa: S608 -- our own names
            f"WHERE door = %s AND record = %s AND {number} > %s AND {number} <= %s ORDER BY {number} LIMIT {PAGE_ROWS}"
        )
        after = 0
        while page := self._link.all(sql, self._door, self._record, after, upto):
            for row in page:
                after, found = row.pop("link_number"), row.pop("link_hash")
                columns = {name: as_we_write(value) for name, value in row.items()}
                yield ChainLink(after, what, row["id"], rows.covered(columns), found)
            if len(page) < PAGE_ROWS:
                return
