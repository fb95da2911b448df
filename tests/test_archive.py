"""A door's rows in a real central database: once each, compared and never overwritten, and only the door's own."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smileaccess.errors import ChainBroken, RecordsFailed, ShutOut
from smileaccess.model import Attempt
from smileaccess.records.mysql.archive import Archive
from smileaccess.records.mysql.ledger import Ledger
from smileaccess.records.outbox import Outbox
from smileaccess.records.spool import Spool
from tests.central import Central, prepared
from tests.mariadb import MariaDB
from tests.test_spool import DOOR, KEY, NOON, attempt, denied, event, granted, put


@pytest.fixture(scope="module")
def central(mariadb: MariaDB) -> Central:
    return prepared(mariadb)


class Scene:
    """A record, and a connection of its door's account."""

    def __init__(self, central: Central, spool: Spool) -> None:
        self.central = central
        self.spool = spool
        self.outbox: Outbox = spool.outbox()
        self.link = central.door(DOOR)
        self.archive = Archive(self.link, DOOR, self.outbox.record)

    def deliver(self) -> list[tuple[int, str]]:
        """Deliver all that waits, and return what was refused."""
        batch = self.outbox.waiting(1000)
        refused = tuple(self.archive.deliver(batch, NOON))
        self.outbox.delivered(batch[-1].sequence, refused, NOON)
        return [(each.row.sequence, each.error) for each in refused]

    def held(self, table: str, columns: str = "id", order: str = "seq") -> list[Any]:
        admin = self.central.link()
        try:
            return [tuple(row.values()) for row in admin.all(f"SELECT {columns} FROM {table} ORDER BY {order}")]
        finally:
            admin.close()

    def sql(self, statement: str) -> None:
        self.central.server.run(statement, database=self.central.database)

    def compare(self) -> tuple[int, int, int, int]:
        found = self.spool.compare(Ledger(self.link, DOOR, self.outbox.record).links)
        return found.links, found.both, found.only_here, found.only_there


@pytest.fixture
def scene(central: Central, tmp_path: Path) -> Iterator[Scene]:
    for table in ("attempts", "door_events", "chain_heads", "contacts"):
        central.server.run(f"DELETE FROM {table}", database=central.database)
    with contextlib.closing(Spool.create(tmp_path / "door.db", DOOR, KEY, now=lambda: NOON)) as spool:
        made = Scene(central, spool)
        yield made
        made.link.close()


def odd(minute: int, luck: random.Random) -> Attempt:
    """An attempt whose numbers have many digits and whose texts are of many scripts."""
    text = "Zo\u00eb \U0001f642 '; DROP TABLE attempts; -- \\ \" \n\t %s \u0000"
    return replace(
        granted(minute),
        closed_at=NOON + timedelta(minutes=minute, microseconds=luck.randrange(60_000_000)),
        similarity=luck.uniform(0, 100),
        smile=luck.random() * 10 ** luck.randrange(-300, 3),
        cost=luck.random(),
        model=text[:100],
        stages_ms={"seen": luck.uniform(0, 1e7), text: 0.1},
        detail={"text": text, "numbers": [luck.random(), 2**53, -0.0, 1e-310]},
    )


def test_what_arrives_is_what_was_written(scene: Scene) -> None:
    """To the last digit and microsecond: the chain holds over what the server gives back."""
    luck = random.Random(7)
    put(scene.spool, *(odd(minute, luck) for minute in range(50)), denied(60))
    scene.spool.add_event(replace(event(), why="a 'why' \U0001f642", who="r\u00f6\u00f6t"))
    assert scene.deliver() == []
    assert scene.compare() == (103, 103, 0, 0)


def test_rows_and_their_head_arrive_together(scene: Scene) -> None:
    put(scene.spool, granted(0), denied(1))
    scene.deliver()
    assert scene.archive.head() == scene.spool.head()
    assert scene.held("attempts", "door, record, seq") == [
        (DOOR, scene.outbox.record, 2),
        (DOOR, scene.outbox.record, 4),
    ]


def test_nothing_was_delivered_by_a_new_record(scene: Scene) -> None:
    assert scene.archive.head() is None


def test_rows_that_are_there_are_passed_over(scene: Scene) -> None:
    """What a lost answer leaves open: all of a batch, or some of it, is there already."""
    put(scene.spool, denied(0), granted(1))
    batch = scene.outbox.waiting(10)
    assert scene.archive.deliver(batch[:1], NOON) == []
    assert scene.archive.deliver(batch, NOON) == []
    assert scene.archive.deliver(batch, NOON) == []
    assert scene.held("attempts") == [(row.id,) for row in batch]
    assert scene.archive.head() == scene.spool.head()


def test_another_row_with_the_same_id_is_not_overwritten(scene: Scene) -> None:
    put(scene.spool, denied(0), denied(1), denied(2))
    batch = scene.outbox.waiting(10)
    scene.archive.deliver(batch[1:2], NOON)
    scene.sql("UPDATE attempts SET smile = 12.5")
    refused = scene.archive.deliver(batch, NOON)
    assert [(each.row.id, each.error) for each in refused] == [
        (batch[1].id, "another row has this id (different: smile)")
    ]
    assert scene.held("attempts", "id, smile") == [(batch[0].id, None), (batch[1].id, 12.5), (batch[2].id, None)]


def test_another_row_with_the_same_link_is_refused(scene: Scene, tmp_path: Path) -> None:
    """A record that was put back to an older copy goes on with numbers that were used."""
    put(scene.spool, denied(0))
    scene.deliver()
    with contextlib.closing(Spool.create(tmp_path / "copy.db", DOOR, KEY)) as copy:
        put(copy, denied(5))
        other = copy.outbox().waiting(1)
    refused = scene.archive.deliver(other, NOON)
    assert [each.row.sequence for each in refused] == [2]
    assert "1062" in refused[0].error
    assert len(scene.held("attempts")) == 1


def test_a_row_too_long_is_set_aside_and_the_rest_arrives(scene: Scene) -> None:
    first, long, last = denied(0), replace(granted(1), liveness="x" * 100), denied(2)
    put(scene.spool, first, long, last)
    refused = scene.deliver()
    assert [sequence for sequence, _ in refused] == [4]
    assert "liveness" in refused[0][1]
    assert scene.held("attempts") == [(first.id,), (last.id,)]
    assert scene.compare() == (6, 4, 2, 0)


def test_what_was_refused_is_taken_once_its_cause_is_mended(scene: Scene) -> None:
    put(scene.spool, replace(granted(1), liveness="x" * 40))
    assert len(scene.deliver()) == 1
    scene.sql("ALTER TABLE attempts MODIFY liveness VARCHAR(64) NULL")
    rows = scene.outbox.set_aside()
    assert scene.archive.deliver(rows, NOON) == []
    scene.outbox.taken_back(rows)
    assert scene.compare() == (2, 2, 0, 0)
    scene.sql("DELETE FROM attempts")
    scene.sql("ALTER TABLE attempts MODIFY liveness VARCHAR(32) NULL")


def test_a_last_row_that_is_refused_notes_no_head(scene: Scene) -> None:
    put(scene.spool, denied(0), replace(granted(1), liveness="x" * 100))
    scene.deliver()
    assert scene.archive.head() is None


# Who is let in


def test_a_registered_door_is_welcome_and_heard_of(scene: Scene) -> None:
    scene.archive.check(NOON)
    assert scene.held("contacts", "door, at", "at")[0] == (DOOR, datetime(2026, 11, 22, 12))  # noqa: DTZ001 -- as the server says


def test_a_door_of_another_name_is_not(scene: Scene) -> None:
    with pytest.raises(ShutOut, match=r"not registered.*door register side"):
        Archive(scene.link, "side", "0" * 16).check(NOON)


def test_a_revoked_door_is_shut_out_with_all_its_rows_kept(scene: Scene) -> None:
    """Its rows are not its fault: they wait, and nothing is set aside."""
    put(scene.spool, denied(0))
    scene.deliver()
    put(scene.spool, denied(1))
    scene.sql("UPDATE doors SET revoked_at = '2026-11-22 12:00:00'")
    with pytest.raises(ShutOut, match="revoked"):
        scene.archive.check(NOON)
    with pytest.raises(ShutOut, match="revoked"):
        scene.deliver()
    assert (scene.outbox.backlog().rows, scene.outbox.backlog().set_aside) == (1, ())
    assert len(scene.held("attempts")) == 1


def test_a_door_that_is_registered_again_goes_on(scene: Scene) -> None:
    put(scene.spool, denied(0))
    scene.sql("UPDATE doors SET revoked_at = '2026-11-22 12:00:00'")
    with contextlib.suppress(ShutOut):
        scene.deliver()
    scene.central.door(DOOR).close()
    scene.archive.check(NOON)
    assert scene.deliver() == []
    assert scene.compare() == (2, 2, 0, 0)


def test_a_database_without_our_tables_is_refused_with_the_fix(mariadb: MariaDB, scene: Scene) -> None:
    bare = Central(mariadb, mariadb.new_database())
    link = bare.link()
    with pytest.raises(RecordsFailed, match="database init"):
        Archive(link, DOOR, scene.outbox.record).check(NOON)
    link.close()


# What was delivered is held to the chain


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE attempts SET outcome = 'granted' WHERE seq = 2",
        "UPDATE attempts SET closed_at = closed_at + INTERVAL 1 SECOND WHERE seq = 2",
        "UPDATE attempts SET smile = smile + 0.0000001 WHERE seq = 4",
        "UPDATE attempts SET detail = '{}' WHERE seq = 4",
        "UPDATE door_events SET who = 'nobody'",
        "DELETE FROM attempts WHERE seq = 2",
        "DELETE FROM door_events",
    ],
)
def test_whoever_writes_past_us_is_found(scene: Scene, harm: str) -> None:
    put(scene.spool, denied(0), granted(1))
    scene.spool.add_event(event(2))
    scene.spool.open_attempt(attempt(3))
    scene.deliver()
    assert scene.compare() == (6, 5, 1, 0)
    scene.sql(harm)
    with pytest.raises(ChainBroken, match=r"link \d"):
        scene.compare()
