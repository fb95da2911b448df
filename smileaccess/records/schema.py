"""Makes, opens and upgrades SQLite files that hold a door's record; it never changes a file that is not ours.

Every exception of SQLite leaves here, and leaves the spool, as one of ours.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from smileaccess.durable import put_in_place
from smileaccess.errors import RecordsError, RecordsFailed, RecordsUnavailable

APPLICATION_ID = 0x536D4163
"""`SmAc` in the file's header, where SQLite keeps whose file it is."""

BUSY_S = 2.0
"""How long to wait for another process's transaction: ours take milliseconds."""

_WAL_LIMIT_BYTES = 4 << 20
_MODE = 0o640

_UNAVAILABLE = {
    sqlite3.SQLITE_AUTH: "may not be read: look at its owner and mode",
    sqlite3.SQLITE_BUSY: "held by another process for too long: try again",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: look at its owner and mode, and its directory's",
    sqlite3.SQLITE_FULL: "the disk is full: make room, or prune with `smileaccess attempts prune`",
    sqlite3.SQLITE_IOERR: "the disk gave an error: look at the kernel's log",
    sqlite3.SQLITE_LOCKED: "held by another user of it: try again",
    sqlite3.SQLITE_NOMEM: "out of memory",
    sqlite3.SQLITE_PERM: "may not be read: look at its owner and mode",
    sqlite3.SQLITE_READONLY: "may not be written: look at its owner and mode, and whether the disk is read-only",
}
_FAILED = {
    sqlite3.SQLITE_CONSTRAINT: "refused a row",
    sqlite3.SQLITE_CORRUPT: "damaged: keep a copy, then restore a backup or move it away to begin a new record",
    sqlite3.SQLITE_NOTADB: "no SQLite database: give the path of the record, or move this file away",
}

TABLES = """
CREATE TABLE chain (
    door TEXT PRIMARY KEY,
    key_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    hash TEXT NOT NULL,
    checkpoint_sequence INTEGER NOT NULL,
    checkpoint_hash TEXT NOT NULL,
    pruned_before TEXT,
    floors TEXT NOT NULL,
    mac TEXT NOT NULL
) STRICT;
CREATE TABLE attempts (
    id TEXT PRIMARY KEY,
    door TEXT NOT NULL,
    opened_by TEXT NOT NULL,
    opened_at TEXT NOT NULL,
    open_seq INTEGER NOT NULL,
    open_hash TEXT NOT NULL,
    closed_at TEXT,
    outcome TEXT,
    reason TEXT,
    member_id TEXT,
    similarity REAL,
    smile REAL,
    emotion TEXT,
    liveness TEXT,
    recognizer TEXT,
    model TEXT,
    calls INTEGER,
    stages_ms TEXT,
    detail TEXT,
    seq INTEGER,
    hash TEXT
) STRICT;
CREATE UNIQUE INDEX attempts_by_open_seq ON attempts (open_seq);
CREATE UNIQUE INDEX attempts_by_seq ON attempts (seq);
CREATE INDEX attempts_by_time ON attempts (opened_at, id);
CREATE INDEX attempts_by_closing ON attempts (closed_at);
CREATE INDEX attempts_by_member ON attempts (member_id, opened_at, id);
CREATE INDEX attempts_by_reason ON attempts (reason, opened_at, id);
CREATE TABLE door_events (
    id TEXT PRIMARY KEY,
    door TEXT NOT NULL,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    detail TEXT NOT NULL,
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX door_events_by_seq ON door_events (seq);
CREATE INDEX door_events_by_time ON door_events (at, id);
CREATE TABLE members (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    document BLOB NOT NULL,
    signature BLOB NOT NULL
) STRICT;
CREATE TABLE templates (
    id TEXT PRIMARY KEY,
    member_id TEXT NOT NULL REFERENCES members (id),
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX templates_by_member ON templates (member_id);
CREATE TABLE member_floors (
    member_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT;
"""
"""The tables of version 1, which stay as they are: what came later is a step."""

STEPS: tuple[tuple[str, ...], ...] = (
    (
        "ALTER TABLE attempts ADD COLUMN cost REAL",
        "CREATE TABLE bills (day TEXT, payer TEXT, calls INTEGER NOT NULL, micros INTEGER NOT NULL, "
        "PRIMARY KEY (day, payer)) STRICT",
    ),
    (
        "CREATE TABLE forwarding (through INTEGER NOT NULL) STRICT",
        "INSERT INTO forwarding VALUES (0)",
        "CREATE TABLE set_aside (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, row_id TEXT NOT NULL, "
        "error TEXT NOT NULL, at TEXT NOT NULL) STRICT",
        "CREATE TABLE following (synced_at TEXT NOT NULL, mac TEXT NOT NULL) STRICT",
    ),
)
"""What leads from each version to the next, from version 1 on: new files and old ones go the same way."""

VERSION = 1 + len(STEPS)
"""The version of the tables, in the header's user_version."""


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise RecordsUnavailable or RecordsFailed, naming the file and the fix, for SQLite's exceptions."""
    try:
        yield
    except sqlite3.ProgrammingError as error:
        raise RecordsUnavailable(f"records: {path}: closed, or used by two threads at once ({error})") from error
    except sqlite3.Error as error:
        raise _ours(path, error) from error


def create(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Make a new database whole or not at all, and durable: tables, then whatever `fill` inserts.

    RecordsFailed where something is at `path` already; RecordsUnavailable where it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with translated(path):
            _build(temporary, fill)
        put_in_place(temporary, path)
    except FileExistsError as error:
        raise RecordsFailed(
            f"records: {path}: exists already: open it, or move it away to begin a new record"
        ) from error
    except OSError as error:
        raise RecordsUnavailable(f"records: {path}: cannot be made: {error.strerror}") from error
    finally:
        _unlink(temporary)


def restore(copy: Path, path: Path, check: Callable[[Path], None]) -> None:
    """Put a copy of a record in its place whole or not at all, after `check` has opened what will stand there.

    RecordsFailed where something is at `path` already or the copy is not ours; RecordsUnavailable.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _MODE)
        with os.fdopen(handle, "wb") as made, copy.open("rb") as found:
            os.fchmod(handle, _MODE)
            shutil.copyfileobj(found, made)
            made.flush()
            os.fsync(handle)
        check(temporary)
        put_in_place(temporary, path)
    except FileExistsError as error:
        raise RecordsFailed(f"records: {path}: exists already: move it away to put a backup in its place") from error
    except OSError as error:
        raise RecordsUnavailable(f"records: {error.filename or path}: {error.strerror}") from error
    finally:
        _unlink(temporary)


def connect(path: Path) -> sqlite3.Connection:
    """Open a database of ours, in autocommit, for one thread at a time (which may be another one each time).

    A file of an older version is brought up to date first. RecordsUnavailable where the file is missing, closed to us,
    or older and not to be written; RecordsFailed where it is not ours, newer than the program or damaged.
    """
    _check_file(path)
    with translated(path):
        connection = _connection(path)
        try:
            _check_ours(connection, path)
            _prepare(connection)
            if _version(connection) < VERSION:
                _upgrade(connection, path)
                _check_ours(connection, path)  # a newer program may have been first
        except BaseException:
            connection.close()
            raise
    return connection


def _unlink(temporary: Path) -> None:
    for end in ("", "-journal", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            temporary.with_name(temporary.name + end).unlink()


def _build(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _MODE)
    os.fchmod(handle, _MODE)
    os.close(handle)
    with contextlib.closing(_connection(path)) as connection:
        connection.executescript(f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; {TABLES}")
        _take_steps(connection, 1)
        fill(connection)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")


def _connection(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    connection.text_factory = _text
    return connection


@contextlib.contextmanager
def plain_text(connection: sqlite3.Connection) -> Iterator[None]:
    """Have SQLite itself read texts, several times as fast, and refuse those that are no UTF-8."""
    connection.text_factory = str
    try:
        yield
    finally:
        connection.text_factory = _text


def _text(raw: bytes) -> str:
    """Keep bytes that are no UTF-8 apart from every text that is, so that the chain sees the difference."""
    return raw.decode("utf-8", "surrogateescape")


def _prepare(connection: sqlite3.Connection) -> None:
    # secure_delete: a forgotten person's templates are overwritten, not only unlinked.
    connection.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;"
        f"PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES};"
    )


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the tables up to date, all or nothing; another process that does the same is waited for."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        _take_steps(connection, _version(connection))  # read again: another process may have been first
        connection.execute("COMMIT")
    except BaseException as error:
        with contextlib.suppress(sqlite3.Error):  # some errors have rolled back already, or nothing had begun
            connection.execute("ROLLBACK")
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY:
            raise RecordsUnavailable(
                f"records: {path}: of an older version, and may not be written: open it once as a user who may, "
                "for instance with `smileaccess attempts verify`"
            ) from error
        raise


def _take_steps(connection: sqlite3.Connection, version: int) -> None:
    """Take all steps from a version on, and put the new one down; inside a transaction only."""
    for number, step in enumerate(STEPS[version - 1 :], version + 1):
        for statement in step:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _check_file(path: Path) -> None:
    """Refuse what is no file of ours by what can be told without opening it.

    Never open it here: closing any descriptor of a file drops all POSIX locks that the process has on it (fcntl(2)),
    also those of SQLite's connections. The next process to close the file would then take itself for the last one,
    and remove the journal that we still write to.
    """
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise RecordsUnavailable(
            f"records: {path}: there is no such file: check the settings' path; a door makes it at its first start"
        ) from error
    except OSError as error:
        raise RecordsUnavailable(f"records: {path}: {error.strerror}: look at its owner and mode") from error
    if not stat.S_ISREG(found.st_mode):
        raise RecordsFailed(f"records: {path}: not a file: give the path of a database")
    if not os.access(path, os.R_OK, effective_ids=True):
        raise RecordsUnavailable(f"records: {path}: Permission denied: look at its owner and mode")
    if not found.st_size:
        raise RecordsFailed(f"records: {path}: empty: restore a backup, or remove it to begin a new record")


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = _version(connection)
    if application != APPLICATION_ID:
        raise RecordsFailed(f"records: {path}: another program's database: give the path of the record")
    if version > VERSION:
        raise RecordsFailed(
            f"records: {path}: version {version} is newer than this program's {VERSION}: upgrade smileaccess"
        )
    if version < 1:
        raise RecordsFailed(f"records: {path}: {_FAILED[sqlite3.SQLITE_CORRUPT]} (it has version {version})")


def _ours(path: Path, error: sqlite3.Error) -> RecordsError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _UNAVAILABLE:
        return RecordsUnavailable(f"records: {path}: {_UNAVAILABLE[code]} ({error})")
    meaning = _FAILED.get(code, _FAILED[sqlite3.SQLITE_CORRUPT])
    return RecordsFailed(f"records: {path}: {meaning} ({error})")
