"""The SQLite spool against crashes, full disks, broken files, other processes and people who write past it."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smileaccess import membership
from smileaccess.errors import (
    ChainBroken,
    RecordsError,
    RecordsFailed,
    RecordsUnavailable,
    SmileAccessError,
)
from smileaccess.keys import public_half
from smileaccess.model import (
    Attempt,
    Bill,
    ChainHead,
    Consent,
    DoorEvent,
    Emotion,
    Member,
    MemberStatus,
    Outcome,
    Payer,
    Reason,
    Template,
    Trigger,
    uuid7,
)
from smileaccess.records import audit, chain, rows, schema, spool
from smileaccess.records.plain import attempt_to_plain, event_to_plain
from smileaccess.records.spool import Spool

DOOR, KEY = "front", b"c" * 32
PRIVATE, FOREIGN = b"e" * 32, b"f" * 32
PUBLIC = public_half(PRIVATE)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TODAY = date(2026, 11, 22)
TIMES = st.datetimes(timezones=st.just(UTC))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


@pytest.fixture
def made(path: Path) -> Iterator[Spool]:
    with contextlib.closing(Spool.create(path, DOOR, KEY, now=lambda: NOON)) as one:
        yield one


def attempt(minute: int = 0) -> Attempt:
    at = NOON + timedelta(minutes=minute)
    return Attempt(uuid7(int(at.timestamp() * 1000)), DOOR, Trigger.BUTTON, at)


def granted(minute: int = 0) -> Attempt:
    return replace(
        attempt(minute),
        closed_at=NOON + timedelta(minutes=minute, seconds=3),
        outcome=Outcome.GRANTED,
        member_id="m_1",
        similarity=99.5,
        smile=80.25,
        emotion=Emotion.HAPPY,
        liveness="neutral-then-smile",
        recognizer="embedded",
        model="sface",
        calls=1,
        cost=0.001,
        stages_ms={"seen": 100.0},
        detail={"frames": [1, 2]},
    )


def denied(minute: int = 0) -> Attempt:
    closed_at = NOON + timedelta(minutes=minute, seconds=8)
    return replace(attempt(minute), closed_at=closed_at, outcome=Outcome.DENIED, reason=Reason.NO_SMILE)


def event(minute: int = 0, kind: str = "rex") -> DoorEvent:
    return DoorEvent(uuid7(), DOOR, NOON + timedelta(minutes=minute), kind, "panel", "why", {"n": 1})


def member(member_id: str = "m_1", version: int = 1) -> Member:
    templates = tuple(Template(f"t_{member_id}_{n}", "sface", bytes([n]) * 64, NOON) for n in (1, 2))
    consent = Consent(NOON, "1")
    return Member(member_id, version, "Ada", MemberStatus.ACTIVE, NOON, consent, templates=templates)


def put(one: Spool, *attempts: Attempt) -> None:
    for each in attempts:
        one.open_attempt(each)
        one.close_attempt(each)


def enroll(one: Spool, *members: Member) -> None:
    for each in members:
        one.put_member(membership.sign(each, PRIVATE), event(kind="member.enrolled"))


def fill(one: Spool) -> None:
    """Put something into every table: closed attempts, an open one, events, members, and a checkpoint behind it."""
    put(one, denied(-90), denied(-80))
    one.add_event(event(-70))
    put(one, granted(0), denied(1))
    one.prune(NOON - timedelta(minutes=60), "root", "old")
    enroll(one, member("m_1"), member("m_2"))
    one.synced(NOON)
    one.open_attempt(attempt(2))
    put(one, denied(3))


def outsider(path: Path, *statements: str) -> None:
    """Write past the spool, as whoever holds the file may."""
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        for statement in statements:
            db.execute(statement)


def reopened(path: Path) -> contextlib.closing[Spool]:
    return contextlib.closing(Spool.open(path, DOOR, KEY, now=lambda: NOON))


# Making and opening


@pytest.mark.usefixtures("made")
def test_a_new_file_is_ours_and_private(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with contextlib.closing(sqlite3.connect(path)) as db:
        pragmas = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        assert pragmas == [schema.APPLICATION_ID, schema.VERSION]
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_commit_is_synced_and_templates_are_overwritten(made: Spool) -> None:
    pragmas = {name: made._db.one(f"PRAGMA {name}") for name in ("synchronous", "foreign_keys", "secure_delete")}
    assert pragmas == {"synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


def test_create_refuses_what_exists_and_leaves_it_alone(path: Path) -> None:
    path.write_bytes(b"precious")
    with pytest.raises(RecordsFailed, match="exists already"):
        Spool.create(path, DOOR, KEY)
    assert path.read_bytes() == b"precious"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_create_in_a_missing_directory_says_so(tmp_path: Path) -> None:
    with pytest.raises(RecordsUnavailable, match="No such file or directory"):
        Spool.create(tmp_path / "missing" / "records.db", DOOR, KEY)


def test_open_makes_a_missing_file_only_where_told(path: Path) -> None:
    with pytest.raises(RecordsUnavailable, match="no such file"):
        Spool.open(path, DOOR, KEY)
    assert not path.exists()
    with contextlib.closing(Spool.open(path, DOOR, KEY, must_exist=False)) as one:
        head = one.add_event(event())
    with contextlib.closing(Spool.open(path, DOOR, KEY, must_exist=False)) as one:
        assert one.head() == head


@pytest.mark.usefixtures("made")
def test_another_door_or_another_key_is_refused(path: Path) -> None:
    with pytest.raises(RecordsFailed, match="of door 'front', not 'back'"):
        Spool.open(path, "back", KEY)
    with pytest.raises(RecordsFailed, match="another chain key"):
        Spool.open(path, DOOR, b"d" * 32)


def test_a_path_with_odd_characters_is_that_path(tmp_path: Path) -> None:
    odd = tmp_path / "a?mode=memory#%20é.db"
    with contextlib.closing(Spool.create(odd, DOOR, KEY)) as one:
        one.add_event(event())
    assert odd.exists()
    with contextlib.closing(Spool.open(odd, DOOR, KEY)) as one:
        assert one.head().sequence == 1


def whole_file(path: Path) -> bytes:
    with contextlib.closing(Spool.create(path, DOOR, KEY)) as one:
        for minute in range(50):
            put(one, denied(minute))
    content = path.read_bytes()
    path.unlink()
    return content


def foreign_database(path: Path) -> bytes:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE chain (door)")
    content = path.read_bytes()
    path.unlink()
    return content


BROKEN = {
    "empty": (lambda _: b"", "empty"),
    "text": (lambda _: b"[door]\nname = 'front'\n", "no SQLite database"),
    "short": (lambda _: b"SQLite", "no SQLite database"),
    "header only": (lambda path: whole_file(path)[:100], "damaged|no SQLite"),
    "one page": (lambda path: whole_file(path)[:4096], "damaged"),
    "truncated": (lambda path: whole_file(path)[:-5000], "damaged"),
    "garbage behind the magic": (lambda _: b"SQLite format 3\0" + b"\xee" * 9000, "no SQLite|another program|damaged"),
    "foreign": (foreign_database, "another program's database"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_refused_and_left_alone(path: Path, kind: str) -> None:
    content, message = BROKEN[kind][0](path), BROKEN[kind][1]
    path.write_bytes(content)
    for must_exist in (True, False):
        with pytest.raises(RecordsFailed, match=message) as caught:
            Spool.open(path, DOOR, KEY, must_exist=must_exist)
        assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_a_huge_foreign_file_is_refused_at_once(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(RecordsFailed, match="no SQLite database"):
        Spool.open(path, DOOR, KEY)


def test_a_newer_file_is_refused_and_an_older_mark_too(made: Spool, path: Path) -> None:
    made.close()
    outsider(path, "PRAGMA user_version = 99")
    with pytest.raises(RecordsFailed, match=r"version 99 is newer.*upgrade"):
        Spool.open(path, DOOR, KEY)
    outsider(path, "PRAGMA user_version = 0")
    with pytest.raises(RecordsFailed, match="damaged"):
        Spool.open(path, DOOR, KEY)


@pytest.mark.parametrize("kind", ["directory", "fifo"])
def test_what_is_no_file_is_refused_at_once(path: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(RecordsError, match=str(path)):
        Spool.open(path, DOOR, KEY)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Drop root's right to read everything, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_an_unreadable_file_is_unavailable(made: Spool, path: Path) -> None:
    made.close()
    path.chmod(0)
    with as_nobody(), pytest.raises(RecordsUnavailable, match="Permission denied: look at its owner and mode"):
        Spool.open(path, DOOR, KEY)


def test_a_file_without_its_head_row_fails(made: Spool, path: Path) -> None:
    outsider(path, "DELETE FROM chain")
    with pytest.raises(RecordsFailed, match="head was removed"):
        made.add_event(event())
    with pytest.raises(ChainBroken, match="head was removed"):
        made.verify()


# Files of an older version

VERSION_1 = """
PRAGMA application_id = 1399669091;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
CREATE TABLE chain (door TEXT PRIMARY KEY, key_id TEXT NOT NULL, created_at TEXT NOT NULL, sequence INTEGER NOT NULL,
    hash TEXT NOT NULL, checkpoint_sequence INTEGER NOT NULL, checkpoint_hash TEXT NOT NULL, pruned_before TEXT,
    floors TEXT NOT NULL, mac TEXT NOT NULL) STRICT;
CREATE TABLE attempts (id TEXT PRIMARY KEY, door TEXT NOT NULL, opened_by TEXT NOT NULL, opened_at TEXT NOT NULL,
    open_seq INTEGER NOT NULL, open_hash TEXT NOT NULL, closed_at TEXT, outcome TEXT, reason TEXT, member_id TEXT,
    similarity REAL, smile REAL, emotion TEXT, liveness TEXT, recognizer TEXT, model TEXT, calls INTEGER,
    stages_ms TEXT, detail TEXT, seq INTEGER, hash TEXT) STRICT;
CREATE UNIQUE INDEX attempts_by_open_seq ON attempts (open_seq);
CREATE UNIQUE INDEX attempts_by_seq ON attempts (seq);
CREATE INDEX attempts_by_time ON attempts (opened_at, id);
CREATE INDEX attempts_by_closing ON attempts (closed_at);
CREATE INDEX attempts_by_member ON attempts (member_id, opened_at, id);
CREATE INDEX attempts_by_reason ON attempts (reason, opened_at, id);
CREATE TABLE door_events (id TEXT PRIMARY KEY, door TEXT NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL,
    who TEXT NOT NULL, why TEXT NOT NULL, detail TEXT NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;
CREATE UNIQUE INDEX door_events_by_seq ON door_events (seq);
CREATE INDEX door_events_by_time ON door_events (at, id);
CREATE TABLE members (id TEXT PRIMARY KEY, version INTEGER NOT NULL, document BLOB NOT NULL,
    signature BLOB NOT NULL) STRICT;
CREATE TABLE templates (id TEXT PRIMARY KEY, member_id TEXT NOT NULL REFERENCES members (id),
    sealed BLOB NOT NULL) STRICT;
CREATE INDEX templates_by_member ON templates (member_id);
CREATE TABLE member_floors (member_id TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT;
"""
"""The tables as they were before there was a cost."""

OLD = Attempt(
    "019ab000-0000-7000-8000-000000000001",
    DOOR,
    Trigger.BUTTON,
    NOON,
    closed_at=NOON + timedelta(seconds=3),
    outcome=Outcome.GRANTED,
    member_id="m_1",
    similarity=99.5,
    smile=80.25,
    emotion=Emotion.HAPPY,
    liveness="neutral-then-smile",
    recognizer="embedded",
    model="sface",
    calls=1,
    stages_ms={"seen": 100.0},
    detail={"frames": [1, 2]},
)
OLD_HEAD = ChainHead(2, "8615813d4f47b3f79e6e5975c6593b6b02950adf316ff2fd23db35e5456c2434")
"""What the program of version 1 told after it had put that attempt down under `KEY`."""


@pytest.fixture
def old(path: Path) -> Path:
    """A file as the program of version 1 left it: one attempt, and its two links."""
    opened: dict[str, Any] = {"id": OLD.id, "door": DOOR, "opened_by": "button"}
    opened["opened_at"] = "2026-11-22T12:00:00.000000Z"
    closed = {"closed_at": "2026-11-22T12:00:03.000000Z", "outcome": "granted", "reason": None, "member_id": "m_1"}
    closed |= {"similarity": 99.5, "smile": 80.25, "emotion": "happy", "liveness": "neutral-then-smile"}
    closed |= {"recognizer": "embedded", "model": "sface", "calls": 1}
    closed |= {"stages_ms": '{"seen":100.0}', "detail": '{"frames":[1,2]}'}
    start = chain.genesis(KEY, DOOR)
    first = chain.follow(KEY, start, "attempt opened", opened)
    last = chain.follow(KEY, first, "attempt closed", {**opened, **closed, "open_seq": 1})
    links = {"open_seq": 1, "open_hash": first.hash, "seq": 2, "hash": last.hash}
    floors = chain.seal(KEY, "floors", {})
    state = chain.State(DOOR, chain.key_id(KEY), "then", 2, last.hash, 0, start.hash, None, floors)
    head = (DOOR, state.key_id, "then", 2, last.hash, 0, start.hash, None, floors, state.mac(KEY))
    row = {**opened, **closed, **links}
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.executescript(VERSION_1)
        db.execute(f"INSERT INTO chain VALUES ({', '.join('?' * len(head))})", head)
        db.execute(f"INSERT INTO attempts ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
    return path


def shape(path: Path) -> tuple[int, dict[str, list[tuple[Any, ...]]], set[str]]:
    """Return the file's version, its tables' columns, and its indexes."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        names = dict(db.execute("SELECT name, type FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))
        tables = [name for name, kind in names.items() if kind == "table"]
        columns = {name: db.execute(f"PRAGMA table_info({name})").fetchall() for name in tables}
        return db.execute("PRAGMA user_version").fetchone()[0], columns, names.keys() - columns.keys()


def test_an_older_file_is_brought_up_to_date_and_verifies_as_before(old: Path) -> None:
    """The links of version 1 stand, and what is new can be written behind them."""
    with reopened(old) as one:
        assert (one.head(), one.verify(OLD_HEAD), list(one.attempts())) == (OLD_HEAD, 2, [OLD])
        costly, bill = granted(5), Bill(TODAY, Payer.DOOR, 1, 1000)
        put(one, costly)
        one.add_bill(bill)
    with reopened(old) as one:
        assert (one.attempt(costly.id), one.bills(TODAY), one.verify(OLD_HEAD)) == (costly, [bill], 4)


def test_an_older_file_ends_up_like_a_new_one(old: Path, tmp_path: Path) -> None:
    Spool.create(tmp_path / "new.db", DOOR, KEY).close()
    assert shape(old)[0] == 1
    Spool.open(old, DOOR, KEY).close()
    assert shape(old) == shape(tmp_path / "new.db")


def test_a_cost_put_into_a_row_of_an_older_file_is_found(old: Path) -> None:
    with reopened(old) as one:
        outsider(old, "UPDATE attempts SET cost = 0.0")
        with pytest.raises(ChainBroken, match=OLD.id):
            one.verify()


def test_an_upgrade_that_fails_half_way_leaves_the_older_file_usable(old: Path) -> None:
    """The second statement of the step fails: the first is undone, and once its cause is gone the file opens."""
    outsider(old, "CREATE TABLE bills (x)")
    before = shape(old)
    for _ in range(2):
        with pytest.raises(RecordsFailed, match="bills"):
            Spool.open(old, DOOR, KEY)
        assert shape(old) == before
    assert before[0] == 1
    outsider(old, "DROP TABLE bills")
    with reopened(old) as one:
        assert (one.verify(OLD_HEAD), list(one.attempts())) == (2, [OLD])


def test_an_upgrade_waits_for_another_writer_no_longer_than_any_write(old: Path) -> None:
    with contextlib.closing(sqlite3.connect(old, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(RecordsUnavailable, match="held by another process"):
            Spool.open(old, DOOR, KEY)
        db.execute("ROLLBACK")
    with reopened(old) as one:
        assert one.verify() == 2


def test_many_who_open_an_older_file_at_once_upgrade_it_once(old: Path, tmp_path: Path) -> None:
    """Whoever comes second finds the work done, whether it is another thread or another process."""
    for number in range(5):
        copy = tmp_path / f"copy{number}.db"
        copy.write_bytes(old.read_bytes())
        start = threading.Barrier(8)

        def visit(copy: Path = copy, start: threading.Barrier = start) -> int:
            start.wait()
            with reopened(copy) as one:
                return one.verify()

        with ThreadPoolExecutor(8) as pool:
            assert [told.result() for told in [pool.submit(visit) for _ in range(8)]] == [2] * 8
    command = [sys.executable, "-c", _VISIT, str(old)]
    visitors = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [each.communicate(timeout=60)[0] for each in visitors] == ["0\n"] * 3
    assert shape(old)[0] == schema.VERSION


def test_an_older_file_that_may_not_be_written_says_what_to_do(old: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        closed = Path(folder) / "records.db"
        closed.write_bytes(old.read_bytes())
        closed.chmod(0o444)
        if os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
        with as_nobody(), pytest.raises(RecordsUnavailable, match=r"older version.*open it once as a user who may"):
            Spool.open(closed, DOOR, KEY)
        assert closed.read_bytes() == old.read_bytes()


# Values


TEXT = st.text(max_size=20)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
FINITE = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**6), 10**6)
CLOSED = st.builds(
    Attempt,
    id=st.uuids().map(str),
    door=st.just(DOOR),
    trigger=st.sampled_from(Trigger),
    opened_at=TIMES,
    closed_at=TIMES,
    outcome=st.just(Outcome.DENIED),
    reason=st.sampled_from(Reason),
    member_id=st.none() | TEXT,
    similarity=FINITE,
    smile=FINITE,
    emotion=st.none() | st.sampled_from(Emotion),
    liveness=st.none() | TEXT,
    recognizer=st.none() | TEXT,
    model=st.none() | TEXT,
    calls=st.integers(0, 2**31 - 1),
    cost=st.none() | st.floats(0, allow_nan=False, allow_infinity=False),
    stages_ms=st.dictionaries(TEXT, st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    detail=st.dictionaries(TEXT, PLAIN, max_size=3),
)
EVENTS = st.builds(
    DoorEvent,
    id=st.uuids().map(str),
    door=st.just(DOOR),
    at=TIMES,
    kind=TEXT,
    who=TEXT,
    why=TEXT,
    detail=st.dictionaries(TEXT, PLAIN, max_size=3),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(closed=CLOSED, told=EVENTS)
def test_any_attempt_and_event_come_back_equal_and_verify(made: Spool, closed: Attempt, told: DoorEvent) -> None:
    closed = replace(closed, id=uuid7())
    told = replace(told, id=uuid7())
    put(made, closed)
    made.add_event(told)
    assert made.attempt(closed.id) == closed
    assert told in list(made.events())
    assert made.verify() == made.head().sequence


@pytest.mark.parametrize(
    "wrong",
    [
        {"detail": {"x": float("nan")}},
        {"detail": {"x": b"picture"}},
        {"detail": {"x": "\ud800"}},
        {"stages_ms": {"x": float("inf")}},
        {"similarity": float("nan")},
        {"member_id": "\udcff"},
        {"calls": -1},
        {"calls": 2**70},
        {"cost": float("nan")},
        {"cost": float("inf")},
        {"cost": -0.001},
        {"closed_at": datetime(2026, 11, 22)},  # noqa: DTZ001
    ],
)
def test_evidence_that_cannot_be_kept_is_refused_whole(made: Spool, wrong: dict[str, object]) -> None:
    one = granted()
    made.open_attempt(one)
    with pytest.raises(RecordsFailed, match=one.id):
        made.close_attempt(replace(one, **wrong))
    assert made.attempt(one.id).closed_at is None
    assert made.close_attempt(one).sequence == 2
    assert made.verify() == 2


def test_a_negative_zero_verifies_although_sqlite_keeps_none(made: Spool) -> None:
    put(made, replace(granted(), similarity=-0.0, smile=-0.0, cost=-0.0))
    assert made.verify() == 2


def test_a_listing_goes_on_over_many_pages(made: Spool, path: Path) -> None:
    """Pairs of attempts of one time each, some on both sides of a page's end."""
    count = spool.PAGE_ROWS * 2 + 3
    outsider(
        path,
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
        "INSERT INTO attempts (id, door, opened_by, opened_at, open_seq, open_hash) SELECT printf('%05d', i), 'front', "
        "'button', printf('2026-11-22T12:00:00.%06dZ', i / 2), i, 'x' FROM n",
    )
    found = [each.id for each in made.attempts()]
    assert found == [f"{number:05}" for number in range(count, 0, -1)]
    assert [each.id for each in made.attempts(limit=count - 1)] == found[:-1]


def test_plain_values_hold_every_field_and_no_objects() -> None:
    whole = granted()
    assert attempt_to_plain(whole) == {
        "id": whole.id,
        "door": DOOR,
        "trigger": "button",
        "opened_at": "2026-11-22T12:00:00.000000Z",
        "closed_at": "2026-11-22T12:00:03.000000Z",
        "outcome": "granted",
        "reason": None,
        "member_id": "m_1",
        "similarity": 99.5,
        "smile": 80.25,
        "emotion": "happy",
        "liveness": "neutral-then-smile",
        "recognizer": "embedded",
        "model": "sface",
        "calls": 1,
        "cost": 0.001,
        "stages_ms": {"seen": 100.0},
        "detail": {"frames": [1, 2]},
    }
    assert attempt_to_plain(attempt())["closed_at"] is None
    told = event()
    expected = ["2026-11-22T12:00:00.000000Z", "rex", "panel", "why", {"n": 1}]
    assert list(event_to_plain(told).values()) == [told.id, DOOR, *expected]


# Whoever writes past us


def columns() -> list[tuple[str, str, str]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(";".join((schema.TABLES, *(statement for step in schema.STEPS for statement in step))))
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        open_tables = {"bills", "forwarding", "set_aside"}  # a brake and a bookmark, not evidence: no link covers them
        covered = [table for table in tables if table not in open_tables]
        return [(table, row[1], row[2]) for table in covered for row in db.execute(f"PRAGMA table_info({table})")]


def altered(column: str, kind: str) -> str:
    return {
        "TEXT": f"substr({column}, 1, length({column}) - 1) || char(unicode(substr({column}, -1)) + 7)",
        "INTEGER": f"{column} + 1000",
        "REAL": f"{column} + 0.001",
        "BLOB": f"CAST(substr({column}, 1, length({column}) - 1) || x'ee' AS BLOB)",
    }[kind]


def found_out(one: Spool) -> bool:
    """Whether verify or the roster notices that something is not as it was written."""
    try:
        one.verify()
        return bool(membership.load_roster(one, PUBLIC).refused)
    except RecordsError:
        return True


def test_what_nobody_touched_is_in_order(made: Spool) -> None:
    fill(made)
    assert not found_out(made)


@pytest.mark.parametrize(("table", "column", "kind"), columns())
@pytest.mark.parametrize("which", ["min", "max"])
def test_an_altered_value_in_any_column_is_found(
    made: Spool, path: Path, table: str, column: str, kind: str, which: str
) -> None:
    fill(made)
    row = f"SELECT {which}(rowid) FROM {table} WHERE {column} IS NOT NULL"
    outsider(path, f"UPDATE {table} SET {column} = coalesce({altered(column, kind)}, 'x') WHERE rowid = ({row})")
    if table in {"members", "templates"}:
        assert found_out(made)
    else:
        with pytest.raises(ChainBroken):
            made.verify()


@pytest.mark.parametrize("column", [*rows.CLOSING, "seq", "hash"])
def test_a_value_set_to_null_is_found(made: Spool, path: Path, column: str) -> None:
    fill(made)
    outsider(path, f"UPDATE attempts SET {column} = NULL WHERE {column} IS NOT NULL")
    with pytest.raises(ChainBroken):
        made.verify()


@pytest.mark.parametrize("column", [column for table, column, _ in columns() if table == "attempts"])
def test_a_value_put_into_an_open_attempt_is_found(made: Spool, path: Path, column: str) -> None:
    fill(made)
    value = "999" if column in {"open_seq", "seq", "calls", "similarity", "smile", "cost"} else "'granted'"
    outsider(path, f"UPDATE attempts SET {column} = {value} WHERE seq IS NULL")
    with pytest.raises(ChainBroken):
        made.verify()


@pytest.mark.parametrize("cost", ["0.0", "0.001"])
def test_a_cost_put_into_a_closed_attempt_that_had_none_is_found(made: Spool, path: Path, cost: str) -> None:
    fill(made)
    outsider(path, f"UPDATE attempts SET cost = {cost} WHERE reason = 'no_smile' AND cost IS NULL")
    with pytest.raises(ChainBroken, match="was altered"):
        made.verify()


OPENED = "INSERT INTO attempts (id, door, opened_by, opened_at, open_seq, open_hash) VALUES ('x', 'front', 'button', "


@pytest.mark.parametrize(
    ("tampering", "message"),
    [
        ("DELETE FROM attempts WHERE opened_at = (SELECT max(opened_at) FROM attempts)", "cut off"),
        ("DELETE FROM attempts WHERE opened_at = '2026-11-22T12:01:00.000000Z'", "missing, before"),
        ("DELETE FROM door_events WHERE kind = 'records_pruned'", "missing, before"),
        ("DELETE FROM attempts", "missing"),
        (OPENED + "'2026-11-22T12:00:00.000000Z', 999, 'x')", r"missing, before attempt opened x"),
        (OPENED + "'2026-11-22T12:00:00.000000Z', 0, 'x')", r"attempt opened x \(link 0\) was inserted"),
        ("INSERT INTO door_events SELECT 'x', door, at, kind, who, why, detail, 7, hash FROM door_events LIMIT 1", "x"),
    ],
)
def test_removed_and_inserted_rows_are_found(made: Spool, path: Path, tampering: str, message: str) -> None:
    fill(made)
    outsider(path, tampering)
    with pytest.raises(ChainBroken, match=message):
        made.verify()


def test_verify_names_the_first_bad_row(made: Spool, path: Path) -> None:
    closed = [denied(minute) for minute in range(4)]
    put(made, *closed)
    outsider(path, f"UPDATE attempts SET reason = 'timeout' WHERE id IN ('{closed[1].id}', '{closed[3].id}')")
    with pytest.raises(ChainBroken, match=f"attempt closed {closed[1].id} .link 4. was altered") as caught:
        made.verify()
    assert caught.value.sequence == 4


def test_two_rows_that_swapped_their_contents_are_found(made: Spool, path: Path) -> None:
    one, other = granted(0), denied(1)
    put(made, one, other)
    outsider(path, f"UPDATE attempts SET id = 'x' WHERE id = '{one.id}'")
    outsider(path, f"UPDATE attempts SET id = '{one.id}' WHERE id = '{other.id}'")
    outsider(path, f"UPDATE attempts SET id = '{other.id}' WHERE id = 'x'")
    with pytest.raises(ChainBroken, match=r"link 1\)"):
        made.verify()


def test_bytes_that_are_no_text_are_found_even_where_they_look_alike(made: Spool, path: Path) -> None:
    made.add_event(replace(event(), why="\ufffd"))
    outsider(path, "UPDATE door_events SET why = CAST(x'ff' AS TEXT)")
    with pytest.raises(ChainBroken, match="never written"):
        made.verify()
    with pytest.raises(RecordsFailed, match="damaged"):
        list(made.events())


def test_an_index_that_hides_a_row_is_found(made: Spool, path: Path) -> None:
    fill(made)
    made.close()
    sql = "UPDATE sqlite_master SET sql = replace(sql, '(opened_at, id)', '(opened_at, id) WHERE calls > 0')"
    outsider(path, "PRAGMA writable_schema = ON", sql + " WHERE name = 'attempts_by_time'")
    with reopened(path) as one, pytest.raises(RecordsFailed, match="the file is damaged"):
        one.verify()


def test_nothing_is_appended_to_an_altered_head(made: Spool, path: Path) -> None:
    fill(made)
    outsider(path, "UPDATE chain SET sequence = sequence - 1")
    for write in (lambda: made.add_event(event()), lambda: made.open_attempt(attempt(9)), made.head):
        with pytest.raises(RecordsFailed, match="altered"):
            write()


def test_an_old_head_put_back_with_its_seal_is_found(made: Spool, path: Path) -> None:
    fill(made)
    outsider(path, "CREATE TABLE kept AS SELECT * FROM chain")
    put(made, denied(5))
    outsider(path, "DELETE FROM chain", "INSERT INTO chain SELECT * FROM kept")
    with pytest.raises(ChainBroken):
        made.verify()
    with pytest.raises(RecordsFailed):
        made.add_event(event())


def test_an_old_copy_of_the_whole_file_shows_against_a_head_from_elsewhere(made: Spool, path: Path) -> None:
    put(made, denied(0))
    made.close()
    content = path.read_bytes()
    with reopened(path) as one:
        before, journaled = one.head(), one.add_event(event())
        assert one.verify(journaled) == 3
    path.write_bytes(content)
    with reopened(path) as one:
        assert one.verify() == 2
        assert one.verify(before) == 2
        with pytest.raises(ChainBroken, match=f"does not hold {journaled}"):
            one.verify(journaled)


def test_any_flipped_byte_of_the_file_is_found_or_matters_to_nobody(made: Spool, path: Path, tmp_path: Path) -> None:
    fill(made)
    expected = everything(made)
    made.close()
    content = path.read_bytes()
    random_places = random.Random(7).sample(range(100, len(content)), 300)
    found = 0
    for place in random_places:
        copy = tmp_path / "copy.db"
        copy.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
        try:
            with reopened(copy) as one:
                one.verify()
                assert everything(one) == expected
        except SmileAccessError:
            found += 1
        for end in ("-wal", "-shm"):
            copy.with_name(copy.name + end).unlink(missing_ok=True)
    assert found > 10


def everything(one: Spool) -> tuple[object, ...]:
    roster = membership.load_roster(one, PUBLIC)
    if roster.refused:
        raise RecordsFailed(str(roster.refused))
    return list(one.attempts()), list(one.events()), roster.members, one.floors(), one.head(), one.newest()


# Members


def refused(one: Spool) -> dict[str, str]:
    return {refusal.member_id: refusal.why for refusal in membership.load_roster(one, PUBLIC).refused}


def test_a_member_row_written_past_the_enroller_is_nobody(made: Spool, path: Path) -> None:
    enroll(made, member("m_1"))
    foreign = membership.sign(replace(member("m_2"), templates=()), FOREIGN)
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        row = (foreign.id, 1, foreign.document, foreign.signature)
        db.execute("INSERT INTO members VALUES (?, ?, ?, ?)", row)
        db.execute("INSERT INTO members VALUES ('m_3', 1, ?, x'')", (foreign.document,))
    roster = membership.load_roster(made, PUBLIC)
    assert roster.members == (member("m_1"),)
    assert {refusal.member_id for refusal in roster.refused} == {"m_2", "m_3"}


def test_a_template_swapped_between_members_refuses_both(made: Spool, path: Path) -> None:
    enroll(made, member("m_1"), member("m_2"), member("m_3"))
    outsider(
        path,
        "UPDATE templates SET member_id = 'x' WHERE id = 't_m_1_1'",
        "UPDATE templates SET member_id = 'm_1' WHERE id = 't_m_2_1'",
        "UPDATE templates SET member_id = 'm_2' WHERE id = 't_m_1_1'",
    )
    assert refused(made).keys() == {"m_1", "m_2"}


@pytest.mark.parametrize("with_floors", [False, True])
def test_an_older_version_put_back_is_refused(made: Spool, path: Path, with_floors: bool) -> None:
    tables = ("members", "templates", *(["member_floors"] if with_floors else []))
    enroll(made, member("m_1"))
    outsider(path, *(f"CREATE TABLE old_{table} AS SELECT * FROM {table}" for table in tables))
    enroll(made, replace(member("m_1", 2), status=MemberStatus.DISABLED))
    for table in tables:
        outsider(path, f"DELETE FROM {table}", f"INSERT INTO {table} SELECT * FROM old_{table}")
    if with_floors:
        with pytest.raises(RecordsFailed, match="versions were altered"):
            membership.load_roster(made, PUBLIC)
        with pytest.raises(RecordsFailed, match="versions were altered"):
            enroll(made, member("m_9"))
    else:
        assert "older than version 2" in refused(made)["m_1"]


def test_a_deleted_member_is_reported_and_cannot_come_back_older(made: Spool, path: Path) -> None:
    enroll(made, member("m_1"), member("m_1", 2))
    outsider(path, "DELETE FROM templates", "DELETE FROM members")
    assert refused(made).keys() == {"m_1"}
    with pytest.raises(RecordsFailed, match="not newer than 2"):
        enroll(made, member("m_1", 2))
    enroll(made, member("m_1", 3))
    assert refused(made) == {}


def test_forgetting_leaves_no_byte_of_a_template_or_name(made: Spool, path: Path) -> None:
    secret = b"sealed template of Ada " * 8
    ada = replace(member("m_1"), name="Ada Lovelace", templates=(Template("t_1", "sface", secret, NOON),))
    enroll(made, ada, member("m_2"))
    assert secret in path.read_bytes()
    enroll(made, membership.forgotten(ada))
    left = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert secret[:16] not in left
    assert b"Lovelace" not in left
    assert [each.status for each in membership.load_roster(made, PUBLIC).members] == ["forgotten", "active"]


def test_while_somebody_reads_what_was_replaced_is_not_said_to_be_gone(made: Spool, path: Path) -> None:
    """A read transaction elsewhere keeps the old bytes in the file; when it has ended they can be erased."""
    secret = b"sealed template of Ada " * 8
    ada = replace(member("m_1"), name="Ada Lovelace", templates=(Template("t_1", "sface", secret, NOON),))
    enroll(made, ada)
    made._db.one("PRAGMA busy_timeout = 0")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM members").fetchone()
        enroll(made, membership.forgotten(ada))
        left = b"".join(each.read_bytes() for each in path.parent.iterdir())
        assert (made.erase(), secret[:16] in left) == (False, True)
        other.execute("ROLLBACK")
        assert made.erase()
    left = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert secret[:16] not in left


def test_the_revision_shows_changes_by_others_and_by_us(made: Spool, path: Path) -> None:
    revisions = [made.revision()]
    with reopened(path) as other:
        enroll(other, member("m_1"))
        revisions.append(made.revision())
        assert other.revision() == made.revision()
    enroll(made, member("m_2"))
    revisions.append(made.revision())
    assert len(set(revisions)) == 3
    assert made.revision() == revisions[-1]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE members SET document = x'00'",
        "UPDATE members SET version = version + 1",
        "UPDATE templates SET sealed = x'00'",
        "UPDATE member_floors SET version = version + 1",
        "DELETE FROM templates",
        "DELETE FROM member_floors",
        "INSERT INTO members SELECT 'm_9', version, document, signature FROM members",
    ],
)
def test_the_revision_shows_what_others_write_past_the_spool(made: Spool, path: Path, statement: str) -> None:
    """Whoever inserts, updates or deletes a row of the list with plain SQL is noticed, whichever table it is."""
    enroll(made, member("m_1"))
    before = made.revision()
    outsider(path, statement)
    assert made.revision() != before


def test_the_revision_stays_while_attempts_come_and_go(made: Spool, path: Path) -> None:
    """A door's own traffic, by this connection or another, is no change of the list."""
    fill(made)
    before = made.revision()
    put(made, denied(10))
    made.prune(NOON + timedelta(minutes=2), "root", "old")
    with reopened(path) as other:
        put(other, granted(11))
        other.add_event(event(12))
    assert made.revision() == before


# Pruning


def test_pruning_leaves_a_checkpoint_and_a_chain_that_goes_on(made: Spool) -> None:
    put(made, *(denied(minute) for minute in range(10)))
    checkpoint = made.head()
    kept = denied(100)
    put(made, kept)
    head = made.head()
    assert made.prune(NOON + timedelta(minutes=50), "root", "old") == 10
    assert list(made.attempts()) == [kept]
    assert (made.verify(head), made.verify(checkpoint)) == (3, 3)
    (told,) = made.events()
    assert told.detail == {"before": "2026-11-22T12:50:00.000000Z", "through": 20, "rows": 10}
    put(made, denied(101))
    assert made.verify() == 5


def test_pruning_goes_in_batches_of_whole_rows(made: Spool) -> None:
    put(made, *(denied(minute) for minute in range(5)))
    left = [made.verify()]
    while audit.prune_batch(made._db, 8, "2026-11-22T12:50:00.000000Z", links=3):
        left.append(made.verify())
    assert [*left, made.verify()] == [10, 8, 6, 4, 2]
    assert not audit.prune_batch(made._db, 8, "2026-11-22T12:50:00.000000Z")


def test_pruning_keeps_attempts_that_overlap_whole(made: Spool) -> None:
    first, second = denied(0), denied(0)
    for one in (first, second):
        made.open_attempt(one)
    for one in (first, replace(second, closed_at=NOON + timedelta(hours=2))):
        made.close_attempt(one)
    made.add_event(event(180))
    assert made.prune(NOON + timedelta(hours=1), "root", "old") == 0
    assert len(list(made.attempts())) == 2


def test_pruning_takes_nothing_that_does_not_verify(made: Spool, path: Path) -> None:
    closed = [denied(minute) for minute in range(4)]
    put(made, *closed)
    outsider(path, f"UPDATE attempts SET reason = 'timeout' WHERE id = '{closed[1].id}'")
    with pytest.raises(ChainBroken, match=closed[1].id):
        made.prune(NOON + timedelta(hours=1), "root", "old")
    assert len(list(made.attempts())) == 4


# Bills


def test_bills_survive_the_program(made: Spool, path: Path) -> None:
    made.add_bill(Bill(TODAY, Payer.DOOR, 2, 2000))
    with reopened(path) as other:
        other.add_bill(Bill(TODAY, Payer.DOOR, 3, 3000))
    made.close()
    with reopened(path) as again:
        assert again.bills(TODAY) == [Bill(TODAY, Payer.DOOR, 5, 5000)]


@pytest.mark.parametrize(
    "wrong", [{"calls": 2**70}, {"micros": 2**70}, {"calls": 0.5}, {"calls": 2**31}, {"micros": float("nan")}]
)
def test_a_bill_that_cannot_be_kept_is_refused_whole(made: Spool, wrong: dict[str, Any]) -> None:
    with pytest.raises(RecordsFailed):
        made.add_bill(replace(Bill(TODAY, Payer.DOOR, 1, 1000), **wrong))
    assert made.bills(TODAY) == []


@pytest.mark.parametrize(
    "values", ["'yesterday', 'door', 1, 1", "'2026-11-22', 'nobody', 1, 1", "'2026-11-22', 'door', -1, 1"]
)
def test_a_bill_that_was_never_written_by_us_is_told(made: Spool, path: Path, values: str) -> None:
    outsider(path, f"INSERT INTO bills VALUES ({values})")
    with pytest.raises(RecordsFailed, match=r"bill of .* damaged .*delete that row"):
        made.bills(TODAY)


# Crashes, full disks, other users

CHILD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from smileaccess.model import *
from smileaccess.records.spool import Spool
spool = Spool.open(Path(sys.argv[1]), "front", b"c" * 32)
for number in range(int(sys.argv[2])):
    at = datetime.now(UTC)
    attempt = Attempt(uuid7(), "front", Trigger.BUTTON, at)
    print(spool.open_attempt(attempt), flush=True)
    closed = Attempt(attempt.id, "front", Trigger.BUTTON, at, at, Outcome.DENIED, Reason.NO_SMILE)
    print(spool.close_attempt(closed), flush=True)
"""


def child(path: Path, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(path), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.usefixtures("made")
def test_kill_9_at_any_moment_leaves_a_record_that_verifies(path: Path) -> None:
    """What was acknowledged is there, and at most one attempt is open, which the next start closes."""
    chance = random.Random(7)
    for _ in range(15):
        writer = child(path, 100_000)
        assert writer.stdout is not None
        with writer.stdout:
            told = [writer.stdout.readline() for _ in range(chance.randint(1, 40))]
            writer.kill()
            told += writer.stdout.readlines()
        assert writer.wait() == -9
        sequence, digest = [line.strip() for line in told if line.endswith("\n")][-1].split(":")
        with reopened(path) as one:
            assert one.verify(ChainHead(int(sequence), digest)) in {int(sequence), int(sequence) + 1}
            left = one.close_open_attempts(DOOR, NOON)
            assert len(left) <= 1
            assert {each.reason for each in left} <= {Reason.INTERNAL_ERROR}
            assert one.verify() == 2 * len(list(one.attempts()))
            assert one.close_open_attempts(DOOR, NOON) == []


def test_two_processes_append_to_one_chain(made: Spool, path: Path) -> None:
    writers = [child(path, 100) for _ in range(2)]
    told = [writer.communicate(timeout=60)[0].split() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    sequences = sorted(int(line.split(":")[0]) for lines in told for line in lines)
    assert sequences == list(range(1, 401))
    assert made.verify(made.head()) == 400
    assert len(list(made.attempts(reason="no_smile"))) == 200


def test_a_full_disk_is_unavailable_and_leaves_nothing_half_written(made: Spool) -> None:
    fill(made)
    made._db.one(f"PRAGMA max_page_count = {made._db.one('PRAGMA page_count')}")
    big = replace(event(), detail={"text": "x" * 100_000})
    before = everything(made)
    with pytest.raises(RecordsUnavailable, match=r"disk is full.*prune"):
        made.add_event(big)
    fat = replace(member("m_1", 2), templates=(Template("t", "sface", b"x" * 100_000, NOON),))
    with pytest.raises(RecordsUnavailable, match="disk is full"):
        enroll(made, fat)
    assert everything(made) == before
    made.verify()
    made._db.one("PRAGMA max_page_count = 100000")
    made.add_event(big)
    made.verify()


def test_a_file_that_another_process_holds_is_unavailable(made: Spool, path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(RecordsUnavailable, match="held by another process"):
            made.add_event(event())
        assert made.verify() == 0
        db.execute("ROLLBACK")
    assert made.add_event(event()).sequence == 1


_VISIT = """
import contextlib, sys
from pathlib import Path
from smileaccess.records.spool import Spool

with contextlib.closing(Spool.open(Path(sys.argv[1]), "front", b"c" * 32)) as one:
    print(len(list(one.events())))
"""


def test_a_visit_by_another_process_takes_nothing_away(made: Spool, path: Path) -> None:
    """What is written after another process has come and gone is kept, also with two connections in one process."""
    made.add_event(event(1))
    with reopened(path) as other:
        other.head()
        visits = []
        for minute in (2, 3):
            told = subprocess.run(
                [sys.executable, "-c", _VISIT, str(path)], capture_output=True, text=True, check=True, timeout=60
            )
            visits.append(int(told.stdout))
            made.add_event(event(minute))
        other.add_event(event(4))
    made.close()
    assert visits == [1, 2]
    with reopened(path) as again:
        assert len(list(again.events())) == 4
        assert again.verify() == 4


def test_another_thread_may_take_over(made: Spool) -> None:
    heads: list[ChainHead] = []
    worker = threading.Thread(target=lambda: heads.append(made.add_event(event())))
    worker.start()
    worker.join()
    assert heads == [made.head()]


def test_a_record_begun_anew_is_not_the_old_one(path: Path) -> None:
    with contextlib.closing(Spool.create(path, DOOR, KEY)) as one:
        head = one.add_event(event())
    path.unlink()
    with contextlib.closing(Spool.create(path, DOOR, KEY)) as one:
        one.add_event(event())
        with pytest.raises(ChainBroken, match=r"not .* as given"):
            one.verify(head)


def test_the_last_event_of_some_kinds_is_the_last_in_the_chain(made: Spool) -> None:
    """An order that came after a clock was set back still counts, and one that is too old does not."""
    for kind, day in (("control_lock", 3), ("start", 2), ("control_release", 1), ("rex", 4)):
        made.add_event(DoorEvent(uuid7(), DOOR, NOON + timedelta(days=day), kind, "ann"))

    def last(*kinds: str, since: datetime | None = None) -> str | None:
        event = made.last_event(kinds, since)
        return None if event is None else event.kind

    assert last("control_lock", "start", "control_release") == "control_release"
    assert last("control_lock", "start") == "start"
    assert last("lock_kept") is None
    assert last("control_release", since=NOON + timedelta(days=1)) == "control_release"
    assert last("control_release", since=NOON + timedelta(days=2)) is None
