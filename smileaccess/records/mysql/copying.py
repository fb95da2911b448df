"""Writes the central database into one compressed file and puts such a file back; it reads one state of everything.

The file is JSON lines, the same for MySQL and MariaDB: a header, each table's name with its columns, its rows, and at
the end the SHA-256 of all lines before, so that a file that was cut or altered by accident is found before anything is
taken from it. It protects from accidents only.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from smileaccess import __version__
from smileaccess.encoding import stamp
from smileaccess.errors import RecordsFailed, RowRefused
from smileaccess.records.mysql import faults, migrations
from smileaccess.records.mysql.link import Link

FORMAT = "smileaccess-backup-1"

KEYS = {
    "doors": ("name",),
    "members": ("id",),
    "faces": ("member_id", "id"),
    "attempts": ("id",),
    "door_events": ("id",),
    "chain_heads": ("door", "record", "sequence"),
    "confirmations": ("member_id", "version", "door"),
    "contacts": ("door", "at"),
}
"""The tables and their primary keys, by which they are read page by page and a row is known again."""

PAGE_ROWS = 1000

Tell = Callable[[str, int], None]


def write(link: Link, file: IO[bytes], now: datetime, tell: Tell = lambda _table, _rows: None) -> int:
    """Write all tables as they are at one moment, and return how many rows; RecordsUnavailable, RecordsFailed."""
    migrations.check(link)
    count = 0
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
        out = _Out(packed)
        out.line({"format": FORMAT, "steps": migrations.standing(link).taken, "at": stamp(now), "by": __version__})
        with link.snapshot():
            for table, key in KEYS.items():
                rows = 0
                for page in _pages(link, table, key):
                    if not rows:
                        out.line({"table": table, "columns": list(page[0])})
                    for row in page:
                        out.line([_written(value) for value in row.values()])
                    rows += len(page)
                    tell(table, rows)
                count += rows
        out.end(count)
    return count


def read(link: Link, path: Path, tell: Tell = lambda _table, _rows: None) -> tuple[int, int]:
    """Put all rows of a file back, and return how many it holds and how many of them were there already.

    The database must be at the step that the file was written at. Taken again after a failure it goes on: a row that is
    there and the same is passed over. RecordsFailed where another row has its key, or the file is not whole.
    """
    header, rows = check(path)
    migrations.check(link)
    known = migrations.standing(link).known
    if header["steps"] != known:
        raise RecordsFailed(
            f"{path}: written at step {header['steps']}, and this database is at {known}: restore it with the "
            "program that wrote it, then run `smileaccess database migrate`"
        )
    there = 0
    for table, columns, page in _read_pages(path):
        there += _put(link, table, columns, page)
        tell(table, len(page))
    return rows, there


def check(path: Path) -> tuple[dict[str, Any], int]:
    """Read a file through, and return its header and its number of rows; RecordsFailed where it is not whole."""
    digest, rows = hashlib.sha256(), 0
    header: dict[str, Any] | None = None
    last: Any = None
    pending = b""
    for line in _lines(path):
        digest.update(pending)
        pending, last = line, _parsed(path, line)
        if header is None:
            header = last if isinstance(last, dict) else {}
            if header.get("format") != FORMAT:
                raise RecordsFailed(f"{path}: no backup of the central database as this version writes it")
        rows += isinstance(last, list)
    if header is None or not isinstance(last, dict) or last.get("sha256") != digest.hexdigest():
        raise RecordsFailed(f"{path}: cut off or altered: take another backup")
    return header, rows


class _Out:
    """Lines, counted and hashed as they are written."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def line(self, value: Any) -> None:
        raw = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n"
        self._digest.update(raw)
        self._file.write(raw)

    def end(self, rows: int) -> None:
        self.line({"rows": rows, "sha256": self._digest.hexdigest()})


def _pages(link: Link, table: str, key: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Yield a table's rows in the order of its key, each page after the last row of the one before."""
    order = ", ".join(key)
    where, values = "TRUE", list[Any]()
    while True:
        sql = f"SELECT * FROM {table} WHERE {where} ORDER BY {order} LIMIT {PAGE_ROWS}"  # noqa: S608 -- our own names
        page = link.all(sql, *values)
        if page:
            yield page
        if len(page) < PAGE_ROWS:
            return
        where, values = _after(key, page[-1])


def _after(key: Sequence[str], row: dict[str, Any]) -> tuple[str, list[Any]]:
    """Return the condition for what follows a row: (a, b) > (x, y), spelled so that an index serves on every server."""
    first, *others = key
    if not others:
        return f"{first} > %s", [row[first]]
    inner, values = _after(others, row)
    return f"{first} >= %s AND ({first} > %s OR ({inner}))", [row[first], row[first], *values]


def _put(link: Link, table: str, columns: Sequence[str], page: Sequence[Sequence[Any]]) -> int:
    """Insert a page of rows, and return how many of them were there already."""
    marks = ", ".join(["%s"] * len(columns))
    sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 -- our own names
    try:
        with link.transaction():
            link.many(sql, page)
    except RowRefused as error:
        if error.code != faults.DUPLICATE:
            raise
        return sum(not _put_one(link, table, columns, row, sql) for row in page)
    return 0


def _put_one(link: Link, table: str, columns: Sequence[str], row: Sequence[Any], sql: str) -> bool:
    """Insert a row and say whether it had to be; RecordsFailed where another one has its key."""
    key = KEYS[table]
    told = dict(zip(columns, row, strict=True))
    where = " AND ".join(f"{name} = %s" for name in key)
    found = link.all(f"SELECT * FROM {table} WHERE {where}", *(told[name] for name in key))  # noqa: S608 -- our own names
    if not found:
        link.change(sql, *row)
        return True
    if [_written(value) for value in found[0].values()] != [_written(told[name]) for name in found[0]]:
        named = ", ".join(str(told[name]) for name in key)
        raise RecordsFailed(f"{table} {named}: another row is there: restore into a database that is new or its own")
    return False


def _read_pages(path: Path) -> Iterator[tuple[str, list[str], list[list[Any]]]]:
    table, columns, page = "", list[str](), list[list[Any]]()
    for line in _lines(path):
        value = _parsed(path, line)
        if isinstance(value, list):
            page.append([_read_value(each) for each in value])
        if page and (isinstance(value, dict) or len(page) == PAGE_ROWS):
            yield table, columns, page
            page = []
        if isinstance(value, dict) and "table" in value:
            table, columns = value["table"], value["columns"]
            if table not in KEYS or not all(isinstance(name, str) and name.isidentifier() for name in columns):
                raise RecordsFailed(f"{path}: holds a table {table!r}, which this version does not know")


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) as file:
            yield from file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise RecordsFailed(f"{path}: cut off, or no backup: {error}") from error
    except OSError as error:
        raise RecordsFailed(f"{path}: {error.strerror or error}") from error


def _parsed(path: Path, line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise RecordsFailed(f"{path}: altered: {error}: take another backup") from error


def _written(value: Any) -> Any:
    """Return a column's value as JSON holds it."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode("ascii")}
    return value.isoformat(sep=" ", timespec="microseconds") if isinstance(value, datetime) else value


def _read_value(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value
