"""Takes the numbered steps of `sql/migrations` that a central database lacks; it knows no way back.

A server commits each change of a table by itself, so that every step is one such statement, noted before and after.
What was noted as begun and not as done is taken again, where "exists already" means that it was done: a migration may
be cut off anywhere and run from two machines at once, without a lock that a cluster would not know.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from smileaccess.errors import RecordsBusy, RecordsFailed
from smileaccess.records.mysql import faults
from smileaccess.records.mysql.link import Link

SQL = Path(__file__).parents[2] / "_sql"
SHIPPED = SQL / "migrations"
"""The steps as they came with the package."""

DONE_BEFORE = frozenset({1050, 1060, 1061, 1091})
"""What a server says of a step that was taken: a table, column or key is there already, or is gone already."""

TRIES = 10
"""How often a statement is tried at most that another machine's transaction, or a cluster's, is in the way of."""

PATIENCE_S = 30.0
"""Seconds for which a view is left to the machine that has begun to make it, by the server's clock.

Two nodes of a Galera cluster (seen with MariaDB 10.11) that make the same view at once wait for each other for ever."""

LOOK_S = 0.2

Found = TypeVar("Found")

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_VIEW = "CREATE OR REPLACE VIEW"
_MAKES = re.compile(r"^CREATE (?:TABLE|OR REPLACE VIEW) (\w+)")
_NOTED = frozenset({"number", "name", "checksum", "began_at", "finished_at"})
_MAKE_NOTES = (
    "CREATE TABLE migrations "
    "(number INT NOT NULL, name VARCHAR(64) NOT NULL, checksum CHAR(64) NOT NULL, "
    "began_at DATETIME(6) NOT NULL, finished_at DATETIME(6) NULL, PRIMARY KEY (number)) "
    "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
)
_TABLES = "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = %s"
_COLUMNS = "SELECT column_name AS name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"


@dataclass(frozen=True, slots=True)
class Step:
    """One statement, and the SHA-256 of its file in hex."""

    number: int
    name: str
    sql: str = field(repr=False)
    checksum: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Standing:
    """How many steps a database has taken and this program knows, and which were begun and not finished."""

    taken: int
    known: int
    unfinished: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Note:
    """What the database says of a step."""

    name: str
    checksum: str
    finished: bool
    began_at: datetime
    age_s: float


def steps(directory: Path = SHIPPED) -> tuple[Step, ...]:
    """Return the program's steps in order; RecordsFailed where the package is not whole."""
    found = [_step(path) for path in sorted(directory.glob("*.sql"))]
    if not found or [step.number for step in found] != list(range(1, len(found) + 1)):
        raise RecordsFailed(f"{directory}: the steps are not numbered from 1 without a gap: install smileaccess again")
    return tuple(found)


def standing(link: Link, known: tuple[Step, ...] | None = None) -> Standing:
    """Return how far a database is; it reads `migrations` only, which every account may.

    RecordsFailed where it is newer than the program, or holds a step that is not the program's.
    """
    known = steps() if known is None else known
    notes = _notes(link)
    _check_notes(link, notes, known)
    unfinished = tuple(sorted(number for number, note in notes.items() if not note.finished))
    return Standing(len(notes) - len(unfinished), len(known), unfinished)


def check(link: Link, known: tuple[Step, ...] | None = None) -> None:
    """Raise RecordsFailed, with the fix, unless the database has taken just the steps that this program knows."""
    found = standing(link, known)
    if not found.taken and not found.unfinished:
        raise RecordsFailed(
            f"mysql: {link.database}: holds none of smileaccess's tables, or none that this account may read: run "
            "`smileaccess database init` where it is administered, or give the account what sql/grants.sql says"
        )
    if found.taken < found.known:
        raise RecordsFailed(
            f"mysql: {link.database}: is older than this program: it has taken {found.taken} of {found.known} steps: "
            "run `smileaccess database migrate` where it is administered"
        )


def migrate(
    link: Link,
    tell: Callable[[Step], None] = lambda _step: None,
    known: tuple[Step, ...] | None = None,
    *,
    patience_s: float = PATIENCE_S,
) -> int:
    """Take the steps that the database lacks, and return how many were taken here; `tell` hears of each before.

    A view that another machine has begun, or one that was cut off, is left to it for `patience_s` from then on.

    RecordsFailed before anything is changed where the database is newer than the program, or holds tables of our names
    that we did not make; RecordsUnavailable leaves it where it is.
    """
    known = steps() if known is None else known
    _check_foreign(link, known)
    _check_notes(link, _notes(link), known)
    _again(lambda: _unless_done(link, _MAKE_NOTES))
    return sum(_take_unless_finished(link, step, known, tell, patience_s) for step in known)


def _take_unless_finished(
    link: Link, step: Step, known: tuple[Step, ...], tell: Callable[[Step], None], patience_s: float
) -> bool:
    """Take a step that is not finished as of now, and say whether it was taken: others may be at it too."""
    pause, told = threading.Event(), False
    while True:
        notes = _notes(link)
        _check_notes(link, notes, known)
        note = notes.get(step.number)
        if note is not None and note.finished:
            return False
        if not told:
            tell(step)
            told = True
        if _again(lambda note=note: _claimed(link, step, note, patience_s)):  # type: ignore[misc]
            break
        pause.wait(LOOK_S)
    _again(lambda: _unless_done(link, step.sql))
    done = "UPDATE migrations SET finished_at = UTC_TIMESTAMP(6) WHERE number = %s AND finished_at IS NULL"
    _again(lambda: link.change(done, step.number))
    return True


def _claimed(link: Link, step: Step, note: _Note | None, patience_s: float) -> bool:
    """Say whether a step is now ours to take: what makes a view is taken by one machine at a time."""
    if note is None:
        return _begun(link, step) or not step.sql.startswith(_VIEW)
    if not step.sql.startswith(_VIEW):
        return True
    if note.age_s < patience_s:
        return False
    sql = (
        "UPDATE migrations SET began_at = UTC_TIMESTAMP(6) WHERE number = %s AND began_at = %s AND finished_at IS NULL"
    )
    return bool(link.change(sql, step.number, note.began_at))


def _begun(link: Link, step: Step) -> bool:
    """Note that a step is begun; not where another machine has just done so."""
    try:
        link.change(
            "INSERT INTO migrations (number, name, checksum, began_at) VALUES (%s, %s, %s, UTC_TIMESTAMP(6))",
            step.number,
            step.name,
            step.checksum,
        )
    except RecordsFailed as error:
        if error.code != faults.DUPLICATE:
            raise
        return False
    return True


def _unless_done(link: Link, sql: str) -> None:
    try:
        link.change(sql)
    except RecordsFailed as error:
        if error.code not in DONE_BEFORE:
            raise


def _again(work: Callable[[], Found]) -> Found:
    """Do something that another transaction may get in the way of."""
    for _ in range(TRIES - 1):
        with contextlib.suppress(RecordsBusy):
            return work()
    return work()


def _notes(link: Link) -> Mapping[int, _Note]:
    """Return what is noted, nothing without our table; RecordsFailed for another program's of that name."""
    columns = _names(link.all(_COLUMNS, link.database, "migrations"))
    if not columns:
        return {}
    if columns != _NOTED:
        raise RecordsFailed(
            f"mysql: {link.database}: its table migrations is another program's: let [mysql] database name one of its "
            "own for smileaccess"
        )
    found = link.all(
        "SELECT number, name, checksum, finished_at, began_at, "
        "TIMESTAMPDIFF(MICROSECOND, began_at, UTC_TIMESTAMP(6)) / 1000000 AS age_s FROM migrations"
    )
    return {
        row["number"]: _Note(
            row["name"], row["checksum"], row["finished_at"] is not None, row["began_at"], float(row["age_s"])
        )
        for row in found
    }


def _check_notes(link: Link, notes: Mapping[int, _Note], known: tuple[Step, ...]) -> None:
    newest = max(notes, default=0)
    if newest > len(known):
        raise RecordsFailed(
            f"mysql: {link.database}: is newer than this program: it is at step {newest}, of which {len(known)} are "
            "known here: upgrade smileaccess"
        )
    if len(notes) != newest:
        raise RecordsFailed(
            f"mysql: {link.database}: the notes of some steps before {newest} are gone from its table migrations: "
            "restore a backup"
        )
    for step in known[:newest]:
        note = notes[step.number]
        if (note.name, note.checksum) != (step.name, step.checksum):
            raise RecordsFailed(
                f"mysql: {link.database}: step {step.number} ({note.name}) differs from this program's ({step.name}): "
                "another program made it, or a file of sql/migrations was changed: install smileaccess again"
            )


def _check_foreign(link: Link, known: tuple[Step, ...]) -> None:
    """Refuse a database that has, under one of our names, what no step that was begun has made.

    The tables are read before the notes: another machine that is at it now has noted a step before it makes a table.
    """
    there = _names(link.all(_TABLES, link.database))
    notes = _notes(link)
    foreign = sorted(there & {_made(step) for step in known if step.number not in notes})
    if foreign:
        raise RecordsFailed(
            f"mysql: {link.database}: holds what is not ours under our names ({', '.join(foreign)}): let [mysql] "
            "database name one of its own for smileaccess"
        )


def _made(step: Step) -> str:
    """Return the table or view that a step makes, nothing for one that changes another's."""
    made = _MAKES.match(step.sql)
    return made[1] if made else ""


def _names(found: Iterable[Mapping[str, str]]) -> set[str]:
    return {row["name"] for row in found}


def _step(path: Path) -> Step:
    raw = path.read_bytes()
    told = _FILE.fullmatch(path.name)
    if told is None:
        raise RecordsFailed(f"{path}: a step's file is named NNNN_name.sql")
    sql = "\n".join(line for line in raw.decode("utf-8").splitlines() if not line.startswith("--"))
    return Step(int(told[1]), told[2], sql.strip().removesuffix(";"), hashlib.sha256(raw).hexdigest())
