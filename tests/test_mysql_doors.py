"""What each account may do at a real central database and what not, and how a door is let in and shut out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from smileaccess.errors import RecordsError, RecordsFailed, RowRefused, ShutOut
from smileaccess.model import ChainHead
from smileaccess.records.mysql import doors
from smileaccess.records.mysql.doors import Door, admit, grants, register, revoke
from smileaccess.records.mysql.link import Link
from tests.central import REGISTERED_AT, Central, account_of, enroller, prepared, reader
from tests.mariadb import MariaDB

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HASH = "a" * 64

# A row of each table that a door adds to, and how to make another by hand
ROWS = {
    "attempts": (
        "id, door, record, opened_by, opened_at, open_seq, open_hash, closed_at, outcome, calls, stages_ms, detail, "
        "seq, hash",
        f"'{{id}}', '{{door}}', 'r', 'button', '2026-11-22 10:00:00', {{n}}, '{HASH}', '2026-11-22 10:00:03', "
        f"'granted', 1, '{{{{}}}}', '{{{{}}}}', {{n}} + 1, '{HASH}'",
    ),
    "door_events": (
        "id, door, record, at, kind, who, why, detail, seq, hash",
        f"'{{id}}', '{{door}}', 'r', '2026-11-22 10:00:00', 'rex', '', '', '{{{{}}}}', {{n}}, '{HASH}'",
    ),
    "chain_heads": ("door, record, sequence, hash, at", f"'{{door}}', 'r', {{n}}, '{HASH}', '2026-11-22 10:00:00'"),
    "confirmations": ("member_id, version, door, at", "'m_1', {n}, '{door}', '2026-11-22 10:00:00'"),
    "contacts": ("door, at, program", "'{door}', '2026-11-22 10:00:00' + INTERVAL {n} SECOND, '1.0'"),
}
MEMBER = (
    "INSERT INTO members (id, version, name, status, created_at, document, signature, changed_at) "
    "VALUES ('m_1', 1, 'Ada', 'active', '2026-11-22', '{}', 's', '2026-11-22')"
)
FACE = "INSERT INTO faces (id, member_id, model, added_at, sealed) VALUES ('t_1', 'm_1', 'sface', '2026-11-22', 'x')"


@dataclass
class House:
    """A central database with two doors and a member, and everybody's connections."""

    central: Central
    links: list[Link] = field(default_factory=list)
    people: dict[str, Link] = field(default_factory=dict)
    made: int = 0

    def __post_init__(self) -> None:
        self.admin = self.keep(self.central.link())
        self.front = self.keep(self.central.door("front"))
        self.back = self.keep(self.central.door("back"))
        self.admin.change(MEMBER)
        self.admin.change(FACE)

    def keep(self, link: Link) -> Link:
        self.links.append(link)
        return link

    def of(self, kind: str) -> Link:
        """Return a connection of the only reader's or enroller's."""
        if kind not in self.people:
            self.people[kind] = self.keep({"reader": reader, "enroller": enroller}[kind](self.central))
        return self.people[kind]

    def insert(self, link: Link, table: str, door: str, *, own: bool = True, verb: str = "INSERT INTO") -> int:
        """Insert one more row of a door."""
        self.made += 2
        names, values = ROWS[table]
        row = values.format(id=f"{self.made:036}", door=door, n=self.made)
        return link.change(f"{verb} {'own_' if own else ''}{table} ({names}) VALUES ({row})")

    def count(self, table: str, door: str) -> int:
        return int(self.admin.one(f"SELECT COUNT(*) FROM {table} WHERE door = %s", door))


def housed(mariadb: MariaDB) -> Iterator[House]:
    made = House(prepared(mariadb))
    yield made
    for link in made.links:
        link.close()


house = pytest.fixture(housed)
shared = pytest.fixture(scope="module")(housed)  # for what nobody may change


def denied(ask: Callable[[], object]) -> None:
    """See that the server itself forbids it: 1044, 1142, 1143, 1227 or 1410."""
    with pytest.raises(RecordsError) as caught:
        ask()
    assert caught.value.code in (1044, 1142, 1143, 1227, 1410), caught.value


# A door


@pytest.mark.parametrize("table", ROWS)
def test_a_door_adds_its_own_rows_and_reads_them(table: str, house: House) -> None:
    house.insert(house.front, table, "front")
    house.insert(house.back, table, "back")

    for link, name in ((house.front, "front"), (house.back, "back")):
        assert [row["door"] for row in link.all(f"SELECT door FROM own_{table}")] == [name]


@pytest.mark.parametrize("table", ROWS)
def test_a_door_adds_no_row_of_another_door(table: str, house: House) -> None:
    for verb in ("INSERT INTO", "INSERT IGNORE INTO"):
        with pytest.raises(RowRefused) as caught:
            house.insert(house.front, table, "back", verb=verb)
        assert caught.value.code == 1369  # the view's check
    assert house.count(table, "back") == 0
    assert house.count(table, "front") == 0


@pytest.mark.parametrize("table", ROWS)
def test_a_door_alters_and_deletes_nothing_and_reaches_no_table(table: str, house: House) -> None:
    house.insert(house.front, table, "front")
    key = "door" if table != "confirmations" else "version"

    denied(lambda: house.front.change(f"UPDATE own_{table} SET {key} = {key}"))
    denied(lambda: house.front.change(f"DELETE FROM own_{table}"))
    denied(lambda: house.insert(house.front, table, "front", verb="REPLACE INTO"))
    denied(lambda: house.front.all(f"SELECT * FROM {table}"))
    denied(lambda: house.insert(house.front, table, "front", own=False))
    denied(lambda: house.front.change(f"TRUNCATE TABLE own_{table}"))
    assert house.count(table, "front") == 1


def test_a_door_does_not_change_a_row_by_inserting_it_again(house: House) -> None:
    row = "('front', '2026-11-22 10:00:00', 'changed')"
    house.front.change(f"INSERT INTO own_contacts (door, at, program) VALUES {row}")

    with pytest.raises(RowRefused):
        house.front.change(f"INSERT INTO own_contacts (door, at, program) VALUES {row}")
    denied(
        lambda: house.front.change(
            f"INSERT INTO own_contacts (door, at, program) VALUES {row} ON DUPLICATE KEY UPDATE program = 'x'"
        )
    )


def test_a_door_reads_members_and_faces_and_writes_neither(house: House) -> None:
    assert house.front.one("SELECT document FROM own_members WHERE id = 'm_1'") == b"{}"
    assert house.front.one("SELECT sealed FROM own_faces WHERE id = 't_1'") == b"x"
    for sql in (
        MEMBER.replace("members", "own_members"),
        FACE.replace("faces", "own_faces"),
        "UPDATE own_members SET version = 2",
        "DELETE FROM own_faces",
        "SELECT * FROM members",
        "SELECT * FROM faces",
    ):
        denied(lambda sql=sql: house.front.change(sql))  # type: ignore[misc]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t (id INT)",
        "DROP VIEW own_attempts",
        "ALTER TABLE attempts ADD COLUMN x INT",
        "CREATE OR REPLACE VIEW own_attempts AS SELECT 1 AS one",
        "CREATE USER 'x'@'%%' IDENTIFIED BY 'x'",
        "SELECT * FROM doors",
        "SELECT * FROM doors_now",
        "SELECT * FROM recent_attempts",
        "UPDATE doors SET revoked_at = NULL",
        "UPDATE own_door SET revoked_at = NULL",
        "INSERT INTO own_door (name, registered_at) VALUES ('x', '2026-01-01')",
        "UPDATE migrations SET finished_at = NULL",
        "SELECT * FROM mysql.user",
        "GRANT SELECT ON own_attempts TO CURRENT_USER()",
    ],
)
def test_a_door_defines_nothing_and_sees_no_other_door(sql: str, shared: House) -> None:
    denied(lambda: shared.front.change(sql.replace("%%", "%")))


def test_a_door_sees_its_own_row_only(house: House) -> None:
    assert house.front.all("SELECT name, revoked_at FROM own_door") == [{"name": "front", "revoked_at": None}]
    assert house.back.all("SELECT name, revoked_at FROM own_door") == [{"name": "back", "revoked_at": None}]


def test_an_account_of_no_door_sees_nothing_through_the_views(house: House) -> None:
    house.insert(house.front, "attempts", "front")
    house.admin.change("UPDATE doors SET account = NULL WHERE name = 'front'")

    assert house.front.all("SELECT name FROM own_door") == []
    assert house.front.all("SELECT id FROM own_attempts") == []
    assert house.front.all("SELECT id FROM own_members") == []


# Where people are enrolled, and who looks


def test_the_enroller_keeps_members_and_adds_events_and_reads_the_rest(house: House) -> None:
    link = house.of("enroller")
    house.insert(house.front, "attempts", "front")

    assert link.change("UPDATE members SET version = 2 WHERE id = 'm_1'") == 1
    assert link.change("DELETE FROM faces WHERE member_id = 'm_1'") == 1
    assert link.change(FACE) == 1
    assert link.change("DELETE FROM members") == 1
    assert link.change(MEMBER) == 1
    assert house.insert(link, "door_events", "front", own=False) == 1
    for table in (*ROWS, *VIEWS, "doors", "migrations", "members", "faces"):
        link.all(f"SELECT * FROM {table}")


VIEWS = ("recent_attempts", "denials_today", "attempts_per_hour", "members_now", "doors_now")


@pytest.mark.parametrize(
    "sql",
    [
        *(f"DELETE FROM {table}" for table in (*ROWS, "doors", "migrations")),
        *(f"UPDATE {table} SET door = 'x'" for table in ROWS),
        "UPDATE doors SET revoked_at = NULL",
        "INSERT INTO contacts (door, at, program) VALUES ('front', '2026-01-01', 'x')",
        "ALTER TABLE members ADD COLUMN x INT",
        "DROP TABLE members",
        "TRUNCATE TABLE members",
        "CREATE TABLE t (id INT)",
    ],
)
def test_the_enroller_alters_no_record_no_door_and_no_table(sql: str, shared: House) -> None:
    denied(lambda: shared.of("enroller").change(sql))


def test_a_reader_reads_all_but_templates_and_signed_documents(house: House) -> None:
    link = house.of("reader")
    house.insert(house.front, "attempts", "front")

    for table in (*ROWS, *VIEWS, "doors", "migrations"):
        link.all(f"SELECT * FROM {table}")
    assert link.one("SELECT COUNT(*) FROM recent_attempts") is not None
    assert link.one("SELECT name FROM members WHERE id = 'm_1'") == "Ada"
    assert link.one("SELECT model FROM faces WHERE id = 't_1'") == "sface"
    for sql in (
        "SELECT sealed FROM faces",
        "SELECT * FROM faces",
        "SELECT document FROM members",
        "SELECT signature FROM members",
        "SELECT id FROM members WHERE document = '{}'",
        "SELECT * FROM own_faces",
    ):
        denied(lambda sql=sql: link.all(sql))  # type: ignore[misc]


@pytest.mark.parametrize("table", [*ROWS, "doors", "members", "faces", "migrations"])
def test_a_reader_changes_nothing(table: str, shared: House) -> None:
    link = shared.of("reader")

    denied(lambda: link.change(f"DELETE FROM {table}"))
    if table in ROWS:
        denied(lambda: shared.insert(link, table, "front", own=False))
        denied(lambda: link.change(f"UPDATE {table} SET door = 'x'"))


# Letting in


def test_doors_are_told_with_when_they_were_heard_of_and_where_their_chains_stand(house: House) -> None:
    house.front.change("INSERT INTO own_contacts (door, at, program) VALUES ('front', '2026-11-22 09:00:00', '1.0')")
    house.front.change(
        "INSERT INTO own_chain_heads (door, record, sequence, hash, at) "
        f"VALUES ('front', 'r', 7, '{HASH}', '2026-11-22 09:00:01')"
    )

    assert doors.doors(house.of("reader")) == [
        Door("back", account_of("back", house.central.database), REGISTERED_AT),
        Door(
            "front",
            account_of("front", house.central.database),
            REGISTERED_AT,
            heard_at=datetime(2026, 11, 22, 9, tzinfo=UTC),
            head=ChainHead(7, HASH),
        ),
    ]


@pytest.mark.parametrize("password", ["plain", 'it\'s "quoted" \\ 100%s %', "", "ÄÖ 🔑", "x'; DROP TABLE doors; --"])
def test_any_password_lets_its_door_in(password: str, house: House) -> None:
    account = account_of("side", house.central.database)
    register(house.admin, "side", account, password, NOW)

    assert house.keep(house.central.link(account, password)).one("SELECT name FROM own_door") == "side"
    with pytest.raises(ShutOut):
        house.keep(house.central.link(account, password + "x")).one("SELECT 1")


def test_registering_again_gives_a_new_password_and_keeps_the_row(house: House) -> None:
    account = account_of("front", house.central.database)
    register(house.admin, "front", account, "new", NOW)

    assert house.keep(house.central.link(account, "new")).one("SELECT name FROM own_door") == "front"
    with pytest.raises(ShutOut):
        house.keep(house.central.link(account, "secret of front")).one("SELECT 1")
    assert doors.doors(house.admin)[1].registered_at == REGISTERED_AT


def test_registering_goes_on_where_it_was_cut_off(house: House) -> None:
    account = account_of("side", house.central.database)
    house.admin.change("INSERT INTO doors (name, account, registered_at) VALUES ('side', %s, '2026-11-22')", account)

    register(house.admin, "side", account, "p", NOW)

    assert house.keep(house.central.link(account, "p")).one("SELECT name FROM own_door") == "side"


def test_an_account_of_another_door_is_refused(house: House) -> None:
    account = account_of("front", house.central.database)

    for name in ("side", "back"):
        with pytest.raises(RecordsFailed, match=f"account '{account}' is another door's"):
            register(house.admin, name, account, "p", NOW)

    assert [door.name for door in doors.doors(house.admin)] == ["back", "front"]
    assert house.front.one("SELECT name FROM own_door") == "front"


def test_an_account_that_is_somebody_elses_is_refused_and_keeps_its_password(house: House) -> None:
    link = house.of("reader")
    account = account_of("reader", house.central.database)

    with pytest.raises(RecordsFailed, match="exists and is no door's: choose another"):
        register(house.admin, "side", account, "p", NOW)

    assert [door.name for door in doors.doors(house.admin)] == ["back", "front"]
    link.close()
    assert link.one("SELECT 1") == 1


def test_a_door_that_gets_another_account_loses_the_one_it_had(house: House) -> None:
    account = account_of("other", house.central.database)
    house.front.one("SELECT 1")
    register(house.admin, "front", account, "p", NOW)

    assert house.keep(house.central.link(account, "p")).one("SELECT name FROM own_door") == "front"
    denied(lambda: house.front.all("SELECT name FROM own_door"))  # on the connection that was open
    house.front.close()
    with pytest.raises(ShutOut):
        house.front.one("SELECT 1")


def test_who_may_not_make_accounts_registers_nobody(house: House) -> None:
    link = house.of("enroller")

    with pytest.raises(RecordsError, match="denied"):
        register(link, "side", "side_account", "p", NOW)
    assert [door.name for door in doors.doors(house.admin)] == ["back", "front"]


def test_admitting_an_account_that_is_there_is_refused(house: House) -> None:
    house.of("reader")

    with pytest.raises(RecordsFailed, match="CREATE USER"):
        admit(house.admin, "enroller", account_of("reader", house.central.database), "p")


# Shutting out


def test_a_revoked_door_is_shut_out_on_its_open_connection_and_at_the_next(house: House) -> None:
    """Its connection is not ended here: somebody else's account of the same name is asked for the views alone."""
    house.insert(house.front, "attempts", "front")
    house.admin.change("UPDATE doors SET revoked_at = '2026-11-22 11:00:00' WHERE name = 'front'")

    for table in ROWS:
        with pytest.raises(RowRefused) as caught:
            house.insert(house.front, table, "front")
        assert caught.value.code == 1369
    for table in (*ROWS, "members", "faces"):
        assert house.front.all(f"SELECT * FROM own_{table}") == []
    assert str(house.front.one("SELECT revoked_at FROM own_door")) == "2026-11-22 11:00:00"
    assert house.back.one("SELECT id FROM own_members") == "m_1"
    house.insert(house.back, "attempts", "back")


def test_revoking_marks_the_row_locks_the_account_and_ends_its_connections(house: House) -> None:
    account = account_of("front", house.central.database)
    number = house.front.one("SELECT CONNECTION_ID()")

    done = revoke(house.admin, "front", NOW, "stolen")

    assert done == [
        "door front: revoked: its account reads and writes nothing any more",
        f"account {account}: locked",
        f"account {account}: connections ended on this server: 1",
    ]
    assert number not in [row["Id"] for row in house.admin.all("SHOW PROCESSLIST") if row["Command"] != "Killed"]
    with pytest.raises(ShutOut):
        house.front.one("SELECT id FROM own_members")
    front = doors.doors(house.admin)[1]
    assert (front.name, front.revoked_at, front.note) == ("front", NOW, "stolen")
    assert house.back.one("SELECT id FROM own_members") == "m_1"


def test_revoking_again_keeps_the_first_time_and_reason(house: House) -> None:
    revoke(house.admin, "front", NOW, "stolen")
    revoke(house.admin, "front", NOW + timedelta(hours=1), "again")

    front = doors.doors(house.admin)[1]
    assert (front.revoked_at, front.note) == (NOW, "stolen")


def test_a_revoked_door_that_is_registered_again_comes_back_with_its_new_password_only(house: House) -> None:
    account = account_of("front", house.central.database)
    house.insert(house.front, "attempts", "front")
    revoke(house.admin, "front", NOW, "lost")

    register(house.admin, "front", account, "new", NOW + timedelta(days=1))

    assert house.keep(house.central.link(account, "new")).one("SELECT COUNT(*) FROM own_attempts") == 1
    with pytest.raises(ShutOut):
        house.front.one("SELECT 1")
    assert doors.doors(house.admin)[1] == Door("front", account, NOW + timedelta(days=1))


def test_what_a_revoked_door_left_connected_does_not_come_back_with_it(house: House) -> None:
    """Its row was marked, and its connection could not be ended then."""
    house.front.one("SELECT 1")
    house.admin.change("UPDATE doors SET revoked_at = '2026-11-22 11:00:00' WHERE name = 'front'")

    register(house.admin, "front", account_of("front", house.central.database), "new", NOW)

    with pytest.raises(ShutOut):
        house.front.one("SELECT id FROM own_members")


def official(house: House, name: str, *rights: str) -> Link:
    """Make an account that may change the table of doors, and has some rights over the whole server."""
    account = account_of(name, house.central.database)
    admit(house.admin, "reader", account, "p")
    house.admin.change(f"GRANT ALL ON `{house.central.database}`.* TO '{account}'@'%' WITH GRANT OPTION")
    for right in rights:
        house.admin.change(f"GRANT {right} ON *.* TO '{account}'@'%'")
    return house.keep(house.central.link(account, "p"))


def test_what_the_admin_may_not_do_is_told_and_the_door_is_shut_out_all_the_same(house: House) -> None:
    house.front.one("SELECT 1")

    done = revoke(official(house, "clerk", "PROCESS"), "front", NOW, "stolen")

    account = account_of("front", house.central.database)
    assert done[0] == "door front: revoked: its account reads and writes nothing any more"
    assert done[1].startswith(f"account {account}: could not be locked")
    assert done[2] == f"account {account}: connections ended on this server: 0"
    assert re.match(f"account {account}: connection [0-9]+ could not be ended", done[3])
    assert len(done) == 4
    assert house.front.all("SELECT id FROM own_members") == []
    with pytest.raises(RowRefused):
        house.insert(house.front, "attempts", "front")


def test_an_admin_who_does_not_see_connections_is_told_so(house: House) -> None:
    house.front.one("SELECT 1")

    done = revoke(official(house, "clerk"), "front", NOW, "stolen")

    assert done[-1].endswith("its connections cannot be seen without the right PROCESS, nor ended")
    assert house.front.all("SELECT id FROM own_members") == []


@pytest.mark.parametrize(
    ("rights", "match"), [(("CREATE USER", "PROCESS"), "could not be ended"), (("CREATE USER",), "cannot be seen")]
)
def test_a_door_does_not_come_back_while_an_old_connection_may_be_there(
    rights: tuple[str, ...], match: str, house: House
) -> None:
    """With another account it may: what was connected with the old one sees nothing."""
    house.front.one("SELECT 1")
    clerk = official(house, "clerk", *rights)
    revoke(clerk, "front", NOW, "stolen")

    with pytest.raises(RecordsFailed, match=f"was not let in again: .*{match}.*or give it another account"):
        register(clerk, "front", account_of("front", house.central.database), "new", NOW)
    assert house.front.all("SELECT id FROM own_members") == []

    account = account_of("other", house.central.database)
    register(clerk, "front", account, "new", NOW)
    assert house.keep(house.central.link(account, "new")).one("SELECT id FROM own_members") == "m_1"
    denied(lambda: house.front.all("SELECT id FROM own_members"))


def test_a_door_without_an_account_is_revoked_too(house: House) -> None:
    house.admin.change("UPDATE doors SET account = NULL WHERE name = 'front'")

    assert len(revoke(house.admin, "front", NOW, "")) == 1
    assert doors.doors(house.admin)[1].revoked_at == NOW


def test_an_unknown_door_cannot_be_revoked(house: House) -> None:
    with pytest.raises(RecordsFailed, match=r"door 'attic': is not registered \(known: back, front\)"):
        revoke(house.admin, "attic", NOW, "")


# The script


@pytest.mark.parametrize("kind", ["door", "enroller", "reader"])
def test_the_statements_grant_single_tables_of_one_database_to_one_account(kind: str) -> None:
    found = grants(kind, "acc", "10.0.%", "base")

    assert found
    for sql in found:
        assert re.fullmatch(r"GRANT [A-Za-z_, ()\s]+ ON `base`\.[a-z_]+ TO 'acc'@'10\.0\.%'", sql), sql


def test_the_statements_of_a_door_never_change_or_define() -> None:
    assert {sql.split(" ON ")[0] for sql in grants("door", "a", "%", "b")} == {"GRANT SELECT", "GRANT SELECT, INSERT"}


@pytest.mark.parametrize(
    ("kind", "account", "host", "database"),
    [
        ("admin", "a", "%", "b"),
        ("account", "a", "%", "b"),
        ("door", "a'b", "%", "b"),
        ("door", "", "%", "b"),
        ("door", "a" * 33, "%", "b"),
        ("door", "a", "'", "b"),
        ("door", "a", "", "b"),
        ("door", "a", "%", "b`c"),
        ("door", "a@b", "%", "b"),
    ],
)
def test_names_that_would_need_quoting_are_refused(kind: str, account: str, host: str, database: str) -> None:
    with pytest.raises(RecordsFailed, match="must"):
        grants(kind, account, host, database)


@pytest.mark.parametrize(("name", "account"), [("", "a"), ("front door", "a"), ("front", "it's"), ("x" * 65, "a")])
def test_a_door_of_an_unfit_name_is_not_registered(name: str, account: str, house: House) -> None:
    with pytest.raises(RecordsFailed, match="must fit"):
        register(house.admin, name, account, "p", NOW)
    assert len(doors.doors(house.admin)) == 2
