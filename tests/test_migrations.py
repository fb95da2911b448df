"""The steps of the central database on a real server: taken once, again after any failure, and by two at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from smileaccess.errors import RecordsBusy, RecordsFailed, RecordsUnavailable
from smileaccess.records.mysql.link import Address, Link, Login
from smileaccess.records.mysql.migrations import TRIES, Standing, Step, check, migrate, standing, steps
from tests.central import Central, empty, enroller, prepared, reader
from tests.mariadb import MariaDB

ALL = len(steps())


@pytest.fixture
def bare(mariadb: MariaDB) -> Central:
    return empty(mariadb)


@pytest.fixture
def link(bare: Central) -> Iterator[Link]:
    with closing(bare.link()) as made:
        yield made


def shape(link: Link) -> list[tuple[Any, ...]]:
    """Return every column, index and view of a database."""
    asked = (
        "SELECT table_name, column_name, column_type, is_nullable, collation_name, column_default "
        "FROM information_schema.columns WHERE table_schema = %s ORDER BY table_name, ordinal_position",
        "SELECT table_name, index_name, seq_in_index, column_name, non_unique "
        "FROM information_schema.statistics WHERE table_schema = %s ORDER BY 1, 2, 3",
        "SELECT table_name, REPLACE(view_definition, table_schema, ''), check_option "
        "FROM information_schema.views WHERE table_schema = %s ORDER BY 1",
    )
    return [tuple(row.values()) for sql in asked for row in link.all(sql, link.database)]


@pytest.fixture(scope="module")
def wanted(mariadb: MariaDB) -> list[tuple[Any, ...]]:
    """The shape of a database that was migrated without a failure."""
    with closing(prepared(mariadb).link()) as link:
        return shape(link)


# The steps themselves


def test_every_step_is_one_statement_with_an_engine_and_a_collation_and_makes_one_thing() -> None:
    for step in steps():
        assert ";" not in step.sql, step
        made, body = step.sql.split("\n", 1)
        if made.startswith("CREATE TABLE "):
            assert made == f"CREATE TABLE {step.name} ("
            assert body.endswith(") ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"), step
            assert "PRIMARY KEY (" in body, step  # which a cluster needs
        else:
            assert made == f"CREATE OR REPLACE VIEW {step.name} AS"


def test_the_checksum_is_of_the_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "0001_things.sql"
    file.write_text("-- One.\nCREATE TABLE things (id INT);\n")
    first = steps(tmp_path)[0]
    file.write_text("-- Two.\nCREATE TABLE things (id INT);\n")
    second = steps(tmp_path)[0]

    assert first.sql == second.sql == "CREATE TABLE things (id INT)"
    assert first.checksum != second.checksum


@pytest.mark.parametrize("names", [[], ["0002_b.sql"], ["0001_a.sql", "0003_c.sql"], ["0001_a.sql", "2_b.sql"]])
def test_a_package_that_is_not_whole_is_refused(names: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_text("CREATE TABLE a (id INT);\n")

    with pytest.raises(RecordsFailed, match=r"steps are not numbered|a step's file is named"):
        steps(tmp_path)


# In order


def test_an_empty_database_takes_all_steps_in_their_order_and_once(link: Link) -> None:
    told: list[Step] = []

    assert standing(link) == Standing(0, ALL, ())
    assert migrate(link, told.append) == ALL
    assert told == list(steps())
    assert standing(link) == Standing(ALL, ALL, ())
    check(link)
    assert migrate(link, told.append) == 0
    assert len(told) == ALL
    noted = link.all("SELECT number, name, checksum, finished_at >= began_at AS done FROM migrations ORDER BY number")
    assert [tuple(row.values()) for row in noted] == [(each.number, each.name, each.checksum, 1) for each in steps()]


def test_an_older_database_takes_what_is_missing_and_keeps_its_rows(link: Link, wanted: list[tuple[Any, ...]]) -> None:
    assert migrate(link, known=steps()[:5]) == 5
    link.change("INSERT INTO doors (name, registered_at) VALUES ('front', UTC_TIMESTAMP(6))")

    with pytest.raises(RecordsFailed, match=f"older than this program: it has taken 5 of {ALL}.*database migrate"):
        check(link)
    assert migrate(link) == ALL - 5
    assert shape(link) == wanted
    assert link.one("SELECT name FROM doors") == "front"


@pytest.mark.parametrize(
    "who", [reader, enroller, lambda central: central.door("front")], ids=["reader", "enroller", "door"]
)
def test_every_account_may_check_and_none_may_migrate(who: Callable[[Central], Link], mariadb: MariaDB) -> None:
    central = prepared(mariadb)
    with closing(who(central)) as link, closing(central.link()) as admin:
        check(link)
        assert standing(link) == Standing(ALL, ALL, ())
        admin.change("UPDATE migrations SET finished_at = NULL WHERE number = %s", ALL)
        with pytest.raises((RecordsFailed, RecordsUnavailable), match="denied"):
            migrate(link)


# Failures in the middle


Point = Callable[[str, tuple[Any, ...]], bool]
"""Says of a statement and its values whether this is where it happens."""


class Dying(Link):
    """A connection that is cut off at one change: before the server hears of it, or before we hear of its answer."""

    dies_at: Point
    heard = False

    def change(self, sql: str, *values: Any) -> int:
        dies = self.dies_at(sql, values)
        if self.heard or not dies:
            with contextlib.suppress(*[RecordsFailed] if dies else []):
                changed = super().change(sql, *values)
        if dies:
            raise RecordsUnavailable("cut off")
        return changed


def points(step: Step) -> tuple[Point, Point, Point]:
    """Return the changes that a step consists of: its claim, its statement, its end."""
    return (
        lambda sql, values: sql.startswith("INSERT INTO migrations") and values[0] == step.number,
        lambda sql, _: sql == step.sql,
        lambda sql, values: sql.startswith("UPDATE migrations") and values[-1] == step.number,
    )


def dying(central: Central, dies_at: Point, *, heard: bool) -> Dying:
    link = Dying([Address.parse(central.server.address)], Login("root", "", central.database))
    link.dies_at, link.heard = dies_at, heard
    return link


def test_a_migration_that_is_cut_off_at_every_change_is_gone_on_with(
    bare: Central, wanted: list[tuple[Any, ...]]
) -> None:
    """Six times a step: before and after its claim, before and after its statement, before and after its end."""
    for step in steps():
        for point in points(step):
            for heard in (False, True):
                with (
                    closing(dying(bare, point, heard=heard)) as link,
                    pytest.raises(RecordsUnavailable, match="cut off"),
                ):
                    migrate(link, patience_s=0)

    with closing(bare.link()) as link:
        assert migrate(link, patience_s=0) == 0
        assert shape(link) == wanted
        check(link)


def test_a_migration_that_is_cut_off_at_its_very_beginning_is_begun_again(
    bare: Central, wanted: list[tuple[Any, ...]]
) -> None:
    for heard in (False, True):
        with (
            closing(dying(bare, lambda sql, _: "CREATE TABLE migrations" in sql, heard=heard)) as link,
            pytest.raises(RecordsUnavailable),
        ):
            migrate(link)
    with closing(bare.link()) as link:
        assert standing(link) == Standing(0, ALL, ())
        assert migrate(link) == ALL
        assert shape(link) == wanted


def test_who_is_told_of_steps_may_end_it(link: Link, wanted: list[tuple[Any, ...]]) -> None:
    def stop(step: Step) -> None:
        if step.number == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrate(link, stop)

    assert standing(link) == Standing(3, ALL, ())
    assert migrate(link) == ALL - 3
    assert shape(link) == wanted


def test_a_step_that_is_not_noted_as_finished_is_taken_again_and_told_until_then(link: Link) -> None:
    migrate(link, patience_s=0)
    link.change("UPDATE migrations SET finished_at = NULL WHERE number IN (4, 9)")

    assert standing(link) == Standing(ALL - 2, ALL, (4, 9))
    with pytest.raises(RecordsFailed, match=f"has taken {ALL - 2} of {ALL}"):
        check(link)
    told: list[Step] = []
    assert migrate(link, told.append, patience_s=0) == 2
    assert [step.number for step in told] == [4, 9]
    check(link)


def test_the_last_step_alone_unfinished_is_not_up_to_date(link: Link) -> None:
    migrate(link)
    link.change("UPDATE migrations SET finished_at = NULL WHERE number = %s", ALL)

    with pytest.raises(RecordsFailed, match="database migrate"):
        check(link)


ALTERS = {
    "0001_things.sql": "CREATE TABLE things (id INT NOT NULL, old INT NULL, PRIMARY KEY (id)) ENGINE=InnoDB",
    "0002_weight.sql": "ALTER TABLE things ADD COLUMN weight INT NULL",
    "0003_by_weight.sql": "CREATE INDEX things_by_weight ON things (weight)",
    "0004_no_old.sql": "ALTER TABLE things DROP COLUMN old",
    "0005_no_index.sql": "ALTER TABLE things DROP INDEX things_by_weight",
}


def test_steps_that_alter_a_table_may_be_cut_off_after_they_are_done(bare: Central, tmp_path: Path) -> None:
    for name, sql in ALTERS.items():
        (tmp_path / name).write_text(f"-- A step.\n{sql};\n")
    known = steps(tmp_path)
    for step in known:
        with closing(dying(bare, points(step)[1], heard=True)) as link, pytest.raises(RecordsUnavailable):
            migrate(link, known=known)

    with closing(bare.link()) as link:
        assert migrate(link, known=known) == 1
        assert [row["Field"] for row in link.all("SHOW COLUMNS FROM things")] == ["id", "weight"]


def test_a_statement_that_fails_for_another_reason_stays_unfinished_and_is_told(link: Link, tmp_path: Path) -> None:
    file = tmp_path / "0001_things.sql"
    file.write_text("CREATE TABLE things (id INT NOT NULL, PRIMARY KEY (nothing));\n")
    known = steps(tmp_path)

    with pytest.raises(RecordsFailed, match="nothing"):
        migrate(link, known=known)
    assert standing(link, known) == Standing(0, 1, (1,))


# Two at once


def test_two_machines_at_once_both_end_well(mariadb: MariaDB, wanted: list[tuple[Any, ...]]) -> None:
    for _ in range(3):
        central = empty(mariadb)
        begin = threading.Barrier(2)
        taken: list[int] = []

        def work(central: Central = central, begin: threading.Barrier = begin, taken: list[int] = taken) -> None:
            with closing(central.link()) as link:
                begin.wait(30)
                taken.append(migrate(link))

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        with closing(central.link()) as link:
            assert len(taken) == 2
            assert sum(taken) >= ALL
            assert shape(link) == wanted
            check(link)


@pytest.mark.parametrize("number", [1, 4, 9, ALL])
def test_another_machine_that_overtakes_at_a_step_does_no_harm(
    number: int, bare: Central, wanted: list[tuple[Any, ...]]
) -> None:
    """The slower one has looked, finds its claim there, its table made, and the step finished."""

    def overtaken(step: Step) -> None:
        if step.number == number:
            with closing(bare.link()) as other:
                assert migrate(other) == ALL - number + 1

    with closing(bare.link()) as link:
        assert migrate(link, overtaken) == number - steps()[number - 1].sql.startswith("CREATE OR REPLACE VIEW")
        assert shape(link) == wanted
        check(link)


class Yielding(Link):
    """A connection whose changes must give way to others so often before they are made."""

    gives_way = 0
    _waits = 0

    def change(self, sql: str, *values: Any) -> int:
        if self._waits < self.gives_way:
            self._waits += 1
            raise RecordsBusy("deadlock")
        self._waits = 0
        return super().change(sql, *values)


@pytest.mark.parametrize("gives_way", [2, 10])
def test_a_change_that_gives_way_is_tried_again_a_few_times(gives_way: int, bare: Central) -> None:
    with closing(Yielding([Address.parse(bare.server.address)], Login("root", "", bare.database))) as link:
        link.gives_way = gives_way
        if gives_way < TRIES:
            assert migrate(link) == ALL
            check(link)
        else:
            with pytest.raises(RecordsBusy):
                migrate(link)


# What is refused, before anything is changed


def refused(link: Link, match: str) -> None:
    """See that a migration is refused and changes nothing."""
    before = shape(link)
    with pytest.raises(RecordsFailed, match=match):
        migrate(link)
    assert shape(link) == before


@pytest.mark.parametrize(
    "sql", ["CREATE TABLE doors (id INT)", "CREATE VIEW own_members AS SELECT 1 AS one", "CREATE TABLE faces (x INT)"]
)
def test_a_table_of_our_name_that_we_did_not_make_is_refused(sql: str, link: Link) -> None:
    link.change(sql)

    refused(link, r"holds what is not ours under our names \((doors|own_members|faces)\): .*name one of its own")
    assert standing(link) == Standing(0, ALL, ())


def test_tables_of_other_names_stay_as_they_are(link: Link) -> None:
    link.change("CREATE TABLE visitors (id INT)")
    link.change("INSERT INTO visitors VALUES (1)")

    assert migrate(link) == ALL
    assert link.one("SELECT id FROM visitors") == 1


def test_a_stranger_that_stands_in_the_way_of_a_later_step_is_refused_too(link: Link) -> None:
    migrate(link, known=steps()[:3])
    link.change("CREATE TABLE attempts (id INT)")

    refused(link, r"not ours under our names \(attempts\)")


def test_notes_of_another_program_are_refused(link: Link) -> None:
    link.change("CREATE TABLE migrations (id INT, migration VARCHAR(255), batch INT)")

    refused(link, "its table migrations is another program's")
    with pytest.raises(RecordsFailed, match="another program's"):
        check(link)


def test_a_newer_database_is_refused(link: Link) -> None:
    migrate(link)
    link.change("INSERT INTO migrations VALUES (%s, 'more', 'x', UTC_TIMESTAMP(6), NULL)", ALL + 1)

    refused(link, f"newer than this program: it is at step {ALL + 1}, of which {ALL} are known here: upgrade")
    for ask in (check, standing):
        with pytest.raises(RecordsFailed, match="newer"):
            ask(link)


@pytest.mark.parametrize("column", ["checksum", "name"])
def test_a_step_that_was_another_is_refused(column: str, link: Link) -> None:
    migrate(link, known=steps()[:6])
    link.change(f"UPDATE migrations SET {column} = 'other' WHERE number = 2")

    refused(link, r"step 2 \((members|other)\) differs from this program's \(members\)")
    with pytest.raises(RecordsFailed, match="differs"):
        check(link)


@pytest.mark.parametrize("gone", [1, 3])
def test_a_gap_is_refused(gone: int, link: Link) -> None:
    migrate(link)
    link.change("DELETE FROM migrations WHERE number = %s", gone)

    refused(link, "notes of some steps.*are gone|not ours")
    with pytest.raises(RecordsFailed, match=f"notes of some steps before {ALL} are gone"):
        check(link)


def test_a_database_that_was_never_initialized_is_told_with_the_fix(link: Link) -> None:
    with pytest.raises(RecordsFailed, match=r"holds none of smileaccess's tables.*database init.*grants.sql"):
        check(link)


# A view is made by one machine at a time: two nodes of a cluster that make the same one wait for each other for ever


def test_a_view_that_another_machine_makes_is_left_to_it(mariadb: MariaDB) -> None:
    """What another has just begun is waited for, and not taken a second time."""
    central = prepared(mariadb)
    last = steps()[-1]
    begun = "UPDATE migrations SET finished_at = NULL, began_at = UTC_TIMESTAMP(6) WHERE number = %s"
    done = "UPDATE migrations SET finished_at = UTC_TIMESTAMP(6) WHERE number = %s"
    mariadb.run(begun, last.number, database=central.database)
    with closing(central.link()) as link:
        taken = migrate(link, lambda step: mariadb.run(done, step.number, database=central.database) and None)
        assert (last.sql.startswith("CREATE OR REPLACE VIEW"), taken) == (True, 0)
        assert standing(link).unfinished == ()


def test_a_view_that_was_given_up_is_taken_over(mariadb: MariaDB) -> None:
    central = prepared(mariadb)
    last = steps()[-1]
    given_up = "UPDATE migrations SET finished_at = NULL, began_at = began_at - INTERVAL 60 SECOND WHERE number = %s"
    mariadb.run(given_up, last.number, database=central.database)
    with closing(central.link()) as link:
        assert migrate(link) == 1
        assert standing(link).unfinished == ()
