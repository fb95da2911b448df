"""What a database server's errors mean: each that can be provoked, of a real server, and the rest by the table."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass

import pymysql
import pytest

from smileaccess.errors import (
    RecordsBusy,
    RecordsError,
    RecordsFailed,
    RecordsUnavailable,
    RowRefused,
    ShutOut,
)
from smileaccess.records.mysql import faults
from smileaccess.records.mysql.link import Address, Link, Login
from tests.doors import PATIENCE_S, eventually
from tests.mariadb import MariaDB, free_port, running

AT = "db:3306"


@dataclass
class Bench:
    """A real server with a table, and an account that may do everything to it and nothing to the server."""

    server: MariaDB
    database: str

    def link(self, *, user: str = "side", password: str = "pass", timeout_s: float = PATIENCE_S) -> Link:
        return Link([Address.parse(self.server.address)], Login(user, password, self.database), timeout_s=timeout_s)

    def run(self, sql: str) -> list[tuple[object, ...]]:
        return self.server.run(sql, database=self.database)


def made(server: MariaDB) -> Bench:
    database = server.new_database()
    server.run("CREATE OR REPLACE USER side IDENTIFIED BY 'pass'")
    server.run(f"GRANT ALL ON {database}.* TO side")
    server.run("CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(3) NOT NULL CHECK (b <> 'bad'))", database=database)
    server.run("CREATE VIEW v AS SELECT * FROM t WHERE a < 100 WITH CHECK OPTION", database=database)
    server.run("INSERT INTO t VALUES (1, 'one'), (2, 'two')", database=database)
    return Bench(server, database)


@pytest.fixture
def bench(mariadb: MariaDB) -> Bench:
    return made(mariadb)


@pytest.fixture
def link(bench: Bench) -> Iterator[Link]:
    with closing(bench.link()) as opened:
        yield opened


@pytest.fixture(scope="module")
def own() -> Iterator[MariaDB]:
    """Return a server that these tests may stop, start and set read-only."""
    with running() as server:
        yield server


def raised(call: Callable[[], object]) -> RecordsError:
    with pytest.raises(RecordsError) as caught:
        call()
    return caught.value


# Of a real server: nothing was done, and the same may be tried again


def test_a_deadlock_costs_one_of_the_two_and_may_be_tried_again(bench: Bench, link: Link) -> None:
    """The server ends one transaction whole; nothing of it stays, and nothing more is done in it."""
    with closing(bench.link()) as other, suppress(RecordsBusy), other.transaction():
        other.change("UPDATE t SET b = 'x' WHERE a = 2")

        def cross() -> None:
            with link.transaction():
                link.change("UPDATE t SET b = 'y' WHERE a = 1")
                crossing = threading.Thread(target=lambda: errors.append(ending(other, 1)))
                crossing.start()
                eventually(lambda: bench.run("SELECT 1 FROM information_schema.innodb_lock_waits"))
                link.change("UPDATE t SET b = 'y' WHERE a = 2")
                crossing.join(PATIENCE_S)

        errors: list[RecordsError | None] = []
        with suppress(RecordsBusy):
            cross()
            errors.append(None)
        eventually(lambda: len(errors) == 2 or (len(errors) == 1 and errors[0] is None))
    found = dict(bench.run("SELECT a, b FROM t"))
    assert found in ({1: "y", 2: "y"}, {1: "x", 2: "x"})


def ending(link: Link, number: int) -> RecordsError | None:
    try:
        link.change("UPDATE t SET b = 'x' WHERE a = %s", number)
    except RecordsError as error:
        return error
    return None
