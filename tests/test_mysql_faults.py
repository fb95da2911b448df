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
    server.run("CREATE TABLE d (a DATETIME(6))", database=database)
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


def hold(bench: Bench, number: int) -> pymysql.Connection[pymysql.cursors.Cursor]:
    """Return a connection that has a row locked until it is closed."""
    holder = bench.server.connect(bench.database)
    holder.begin()
    holder.cursor().execute("UPDATE t SET b = 'x' WHERE a = %s", (number,))
    return holder


# Of a real server: nothing was done, and the same may be tried again


def test_a_deadlock_costs_one_of_the_two_and_may_be_tried_again(bench: Bench, link: Link) -> None:
    """The server ends the transaction that has changed less; nothing of it stays."""
    waits = "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    holder = hold(bench, 2)
    holder.cursor().executemany("INSERT INTO t VALUES (%s, 'x')", [(number,) for number in range(10, 60)])
    crossing = threading.Thread(target=lambda: holder.cursor().execute("UPDATE t SET b = 'x' WHERE a = 1"))

    def cross() -> None:
        with link.transaction():
            link.change("UPDATE t SET b = 'y' WHERE a = 1")
            if not crossing.ident:
                crossing.start()
                eventually(lambda: bench.run(waits))
            link.change("UPDATE t SET b = 'y' WHERE a = 2")

    error = raised(cross)
    crossing.join(PATIENCE_S)
    holder.rollback()
    holder.close()
    assert (type(error), error.code) == (RecordsBusy, 1213)
    assert bench.run("SELECT b FROM t WHERE a < 10") == [("one",), ("two",)]
    cross()
    assert bench.run("SELECT b FROM t WHERE a < 10") == [("y",), ("y",)]


def test_a_lock_that_is_not_given_in_time_may_be_tried_again(bench: Bench) -> None:
    """Before our own bound ends the wait, so that the connection stays."""
    with closing(bench.link(timeout_s=2.0)) as link:
        number = link.one("SELECT CONNECTION_ID()")
        with closing(hold(bench, 1)):
            error = raised(lambda: link.change("UPDATE t SET b = 'y' WHERE a = 1"))
        assert (type(error), error.code) == (RecordsBusy, 1205)
        link.change("UPDATE t SET b = 'y' WHERE a = 1")
        assert link.one("SELECT CONNECTION_ID()") == number


def test_who_goes_on_in_a_transaction_that_gave_way_is_stopped(bench: Bench) -> None:
    """After a deadlock the server has forgotten what was done before, and would do the rest alone."""
    with closing(bench.link(timeout_s=2.0)) as link, closing(hold(bench, 1)):

        def go_on() -> None:
            with link.transaction():
                link.change("INSERT INTO t VALUES (3, 'a')")
                with suppress(RecordsBusy):
                    link.change("UPDATE t SET b = 'y' WHERE a = 1")
                link.change("INSERT INTO t VALUES (4, 'b')")

        assert "the transaction is over" in str(raised(go_on))
        assert link.one("SELECT COUNT(*) FROM t") == 2


# Of a real server: it is away, or takes nothing now


def test_a_connection_that_was_ended_there_is_replaced(bench: Bench, link: Link) -> None:
    bench.run(f"KILL {link.one('SELECT CONNECTION_ID()')}")
    assert link.one("SELECT COUNT(*) FROM t") == 2
    bench.run(f"KILL {link.one('SELECT CONNECTION_ID()')}")
    error = raised(lambda: link.change("INSERT INTO t VALUES (3, 'a')"))
    assert type(error) is RecordsUnavailable
    assert error.code in {1927, 2006, 2013}
    link.change("INSERT INTO t VALUES (3, 'a')")


def test_a_statement_that_was_ended_there_leaves_it_open_what_was_done(bench: Bench, link: Link) -> None:
    number = link.one("SELECT CONNECTION_ID()")
    with closing(hold(bench, 1)):
        errors: list[RecordsError] = []
        waiting = threading.Thread(
            target=lambda: errors.append(raised(lambda: link.change("UPDATE t SET b = 'y' WHERE a = 1")))
        )
        waiting.start()
        eventually(lambda: bench.run("SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"))
        bench.run(f"KILL QUERY {number}")
        waiting.join(PATIENCE_S)
    assert [(type(error), error.code) for error in errors] == [(RecordsUnavailable, 1317)]


def test_a_server_that_was_killed_and_started_again(own: MariaDB) -> None:
    bench = made(own)
    with closing(bench.link()) as link:
        assert link.one("SELECT COUNT(*) FROM t") == 2
        own.kill()
        away = raised(lambda: link.one("SELECT COUNT(*) FROM t"))
        assert type(away) is RecordsUnavailable
        assert f"mysql: {own.address}: " in str(away)
        own.start()
        link.change("INSERT INTO t VALUES (3, 'a')")
        assert link.one("SELECT COUNT(*) FROM t") == 3


def test_a_transaction_does_not_outlive_its_server(own: MariaDB) -> None:
    bench = made(own)

    def across() -> None:
        with link.transaction():
            link.change("INSERT INTO t VALUES (3, 'a')")
            own.kill()
            own.start()
            link.change("INSERT INTO t VALUES (4, 'b')")

    with closing(bench.link()) as link:
        assert type(raised(across)) is RecordsUnavailable
        assert link.one("SELECT COUNT(*) FROM t") == 2


def test_a_read_only_server_takes_nothing_and_may_be_read(own: MariaDB) -> None:
    bench = made(own)
    own.run("SET GLOBAL read_only = 1")
    with closing(bench.link()) as link:
        error = raised(lambda: link.change("INSERT INTO t VALUES (3, 'a')"))
        assert (type(error), error.code) == (RecordsUnavailable, 1290)
        assert link.one("SELECT COUNT(*) FROM t") == 2
    addresses, login = [Address.parse(own.address)], Login("side", "pass", bench.database)
    with closing(Link(addresses, login, writes=True)) as link:
        assert "the server is read-only" in str(raised(lambda: link.one("SELECT 1")))
        own.run("SET GLOBAL read_only = 0")
        link.change("INSERT INTO t VALUES (3, 'a')")


def test_too_many_connections_of_an_account(bench: Bench) -> None:
    """A person may raise the limit, and somebody may go: it is no door that is shut out."""
    bench.run("CREATE OR REPLACE USER one IDENTIFIED BY 'pass' WITH MAX_USER_CONNECTIONS 1")
    bench.run(f"GRANT SELECT ON {bench.database}.* TO one")
    with closing(bench.link(user="one")) as first, closing(bench.link(user="one")) as second:
        assert first.one("SELECT 1") == 1
        error = raised(lambda: second.one("SELECT 1"))
        assert type(error) is RecordsUnavailable
        assert error.code in {1203, 1226}
        first.close()
        assert eventually(lambda: got_in(second))


def got_in(link: Link) -> bool:
    with suppress(RecordsUnavailable):
        return link.one("SELECT 1") == 1
    return False


def test_too_many_connections_of_all(own: MariaDB) -> None:
    bench = made(own)
    links = [bench.link() for _ in range(20)]
    own.run("SET GLOBAL max_connections = 10")
    try:
        error = raised(lambda: [link.one("SELECT 1") for link in links])
        assert (type(error), error.code) == (RecordsUnavailable, 1040)
    finally:
        for link in links:
            link.close()
        eventually(lambda: own.run("SET GLOBAL max_connections = 100") == [])


def test_nobody_listens(bench: Bench) -> None:
    link = Link([Address("127.0.0.1", free_port())], Login("side", "pass", bench.database))
    assert type(raised(lambda: link.one("SELECT 1"))) is RecordsUnavailable


# Of a real server: it does not let us in


def test_a_wrong_password(bench: Bench) -> None:
    error = raised(lambda: bench.link(password="wrong").one("SELECT 1"))
    assert (type(error), error.code) == (ShutOut, 1045)
    assert "check [mysql] user" in str(error)
    assert "wrong" not in str(error)


def test_a_database_that_is_not_there_or_not_ours(bench: Bench) -> None:
    link = Link([Address.parse(bench.server.address)], Login("side", "pass", "elsewhere"))
    error = raised(lambda: link.one("SELECT 1"))
    assert (type(error), error.code) == (ShutOut, 1044)
    assert "smileaccess database init" in str(error)


def test_an_account_that_was_locked(bench: Bench) -> None:
    bench.run("CREATE OR REPLACE USER shut IDENTIFIED BY 'pass' ACCOUNT LOCK")
    error = raised(lambda: bench.link(user="shut").one("SELECT 1"))
    assert (type(error), error.code) == (ShutOut, 4151)
    assert "unlock the account" in str(error)


def test_an_account_whose_password_has_expired(bench: Bench) -> None:
    """Such a one gets in, and may do nothing but change it."""
    bench.run("CREATE OR REPLACE USER old IDENTIFIED BY 'pass' PASSWORD EXPIRE")
    bench.run(f"GRANT ALL ON {bench.database}.* TO old")
    error = raised(lambda: bench.link(user="old").one("SELECT 1"))
    assert (type(error), error.code) in {(ShutOut, 1820), (ShutOut, 1862)}


def test_an_account_without_the_right(bench: Bench) -> None:
    """The right, once given, is had at once."""
    bench.run("CREATE OR REPLACE USER viewer IDENTIFIED BY 'pass'")
    bench.run(f"GRANT SELECT ON {bench.database}.t TO viewer")
    with closing(bench.link(user="viewer")) as link:
        assert link.one("SELECT COUNT(*) FROM t") == 2
        error = raised(lambda: link.change("INSERT INTO t VALUES (3, 'a')"))
        assert (type(error), error.code) == (ShutOut, 1142)
        assert "give the account its rights" in str(error)
        bench.run(f"GRANT INSERT ON {bench.database}.t TO viewer")
        link.change("INSERT INTO t VALUES (3, 'a')")


# Of a real server: what a row holds, and what the tables are


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("INSERT INTO t VALUES (1, 'a')", faults.DUPLICATE),
        ("INSERT INTO t VALUES (3, NULL)", 1048),
        ("INSERT INTO t (a) VALUES (3)", 1364),
        ("INSERT INTO t VALUES (3, 'long')", 1406),
        ("INSERT INTO t VALUES (99999999999, 'a')", 1264),
        ("INSERT INTO t VALUES ('three', 'a')", 1366),
        ("INSERT INTO t VALUES (3, 'bad')", 4025),
        ("INSERT INTO v VALUES (100, 'a')", faults.VIEW_CHECK),
        ("INSERT INTO d VALUES ('no time')", 1292),
    ],
)
def test_a_row_is_refused_for_what_it_holds_and_the_next_is_taken(
    sql: str, code: int, bench: Bench, link: Link
) -> None:
    number = link.one("SELECT CONNECTION_ID()")
    error = raised(lambda: link.change(sql))
    assert (type(error), error.code) == (RowRefused, code)
    link.change("INSERT INTO t VALUES (3, 'a')")
    assert bench.run("SELECT COUNT(*) FROM t") == [(3,)]
    assert link.one("SELECT CONNECTION_ID()") == number


@pytest.mark.parametrize("value", ["\ud800", float("nan"), float("inf")])
def test_what_cannot_be_spelled_is_refused_like_a_row(value: object, link: Link) -> None:
    """It never reached a server, and never will."""
    error = raised(lambda: link.change("INSERT INTO t VALUES (3, %s)", value))
    assert (type(error), error.code) == (RowRefused, 0)
    assert link.one("SELECT COUNT(*) FROM t") == 2


def test_more_values_than_marks_are_no_fault_of_a_row(link: Link) -> None:
    assert type(raised(lambda: link.change("INSERT INTO t VALUES (3, %s)", "a", "b"))) is RecordsFailed


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT * FROM missing", 1146),
        ("SELECT missing FROM t", 1054),
        ("INSERT INTO t VALUES (3, 'a', 1)", 1136),
    ],
)
def test_tables_that_are_not_ours_want_to_be_migrated(sql: str, code: int, link: Link) -> None:
    error = raised(lambda: link.change(sql))
    assert (type(error), error.code) == (RecordsFailed, code)
    assert "run `smileaccess database migrate`" in str(error)


def test_what_is_no_sql_fails_for_good(link: Link) -> None:
    error = raised(lambda: link.change("SELEKT 1"))
    assert (type(error), error.code) == (RecordsFailed, 1064)
    assert link.one("SELECT 1") == 1


# By the table

AWAY = (2002, 2003, 2006, 2013, 2014, 2055, 1053, 1152, 1158, 1159, 1160, 1161, 1927, 4031, 3032, 1047, 1317, 1180)
FULL = (1040, 1203, 1226, 1021, 1114, 1037, 1038, 1041)
READ_ONLY = (1290, 1792, 1836)
BUSY = (1213, 1205, 1020, 3101)
SHUT_OUT = (1044, 1045, 1049, 1130, 1142, 1143, 1227, 1370, 1698, 3118, 4151, 3955, 4150, 1862, 1820, 1129, 1251, 3159)
NOT_MIGRATED = (1146, 1054, 1136, 1356)
CONTENT = (1048, 1153, 1264, 1265, 1292, 1300, 1364, 1366, 1406, 1411, 3819, 4025, 1369, 1062, 1452)
FAILED = (1064, 1193, 1305, 1105)

EXPECTED = (
    dict.fromkeys((*AWAY, *FULL, *READ_ONLY), RecordsUnavailable)
    | dict.fromkeys(BUSY, RecordsBusy)
    | dict.fromkeys(SHUT_OUT, ShutOut)
    | dict.fromkeys((*NOT_MIGRATED, *FAILED), RecordsFailed)
    | dict.fromkeys(CONTENT, RowRefused)
)


@pytest.mark.parametrize("code", sorted(EXPECTED))
def test_a_number_means_what_it_means(code: int) -> None:
    error = faults.ours(pymysql.OperationalError(code, "in the server's words"), AT)
    assert (type(error), error.code) == (EXPECTED[code], code)
    assert str(error).startswith(f"mysql: {AT}: error {code}: in the server's words")


@pytest.mark.parametrize("code", [*SHUT_OUT, *FULL, *READ_ONLY, *NOT_MIGRATED])
def test_what_needs_a_person_says_what_to_do(code: int) -> None:
    error = faults.ours(pymysql.OperationalError(code, "words"), AT)
    assert str(error) != f"mysql: {AT}: error {code}: words"


def test_no_number_stands_in_two_groups() -> None:
    codes = [code for group in faults.GROUPS.values() for code in group]
    assert sorted(set(codes)) == sorted(codes)


@pytest.mark.parametrize(
    "error",
    [
        pymysql.InterfaceError(0, ""),
        pymysql.InternalError("Packet sequence number wrong - got 7 expected 1"),
        ConnectionResetError(104, "Connection reset by peer"),
        TimeoutError("timed out"),
        IndexError("index out of range"),
    ],
)
def test_what_has_no_number_is_the_connections(error: Exception) -> None:
    found = faults.ours(error, AT)
    assert (type(found), found.code) == (RecordsUnavailable, 0)
    assert str(found) != f"mysql: {AT}: "


@pytest.mark.parametrize(("code", "again"), [(2013, True), (2006, True), (1047, True), (1213, False), (1290, False)])
def test_what_broke_off_may_go_better_over_a_new_connection(code: int, again: bool) -> None:
    assert faults.broken_off(faults.ours(pymysql.OperationalError(code, ""), AT)) == again


def test_what_was_waited_for_in_vain_is_not_waited_for_again() -> None:
    cause = pymysql.OperationalError(2013, "Lost connection")
    cause.__context__ = TimeoutError("timed out")
    error = faults.ours(cause, AT)
    error.__cause__ = cause
    assert not faults.broken_off(error)
