"""`database`, `door register | revoke | list` and `members publish`, on a real server and on a door's own record."""

from __future__ import annotations

import gzip
import json
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from smileaccess import wiring
from smileaccess.delivery import Refused
from smileaccess.errors import ShutOut
from smileaccess.keys import ALL_KEYS
from smileaccess.membership import sign
from smileaccess.model import Reason
from smileaccess.records.mysql.archive import Archive
from smileaccess.records.mysql.link import Link
from smileaccess.settings import load
from tests.builders import make_event, make_member
from tests.house import THEN, House, Result, attempt
from tests.mariadb import MariaDB


class Fleet:
    """A door's installation whose settings name a central database, and the server's root to administer it."""

    def __init__(self, server: MariaDB, folder: Path) -> None:
        self.server = server
        self.database = f"cli_{folder.name}"[:60].replace("-", "_")
        self.house = House(folder)
        self.join("root")

    def join(self, user: str, password_file: Path | None = None) -> None:
        """Let the settings name the server, and whom to be there."""
        local = self.house.config.read_text().split("[mysql]")[0]
        told = f'user = "{user}"\n' + (f'password_file = "{password_file}"\n' if password_file else "")
        self.house.config.write_text(
            f'{local}[mysql]\naddresses = ["{self.server.address}"]\ndatabase = "{self.database}"\n{told}'
        )

    def run(self, *arguments: str | Path) -> Result:
        return self.house.run(*arguments)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.server.run(sql, *values, database=self.database)

    def register(self, name: str = "front", account: str = "") -> Path:
        """Register a door, and return the file of its password."""
        secret = self.house.folder / f"{name}.pw"
        named = account or f"{self.database[-20:]}_{name}"
        done = self.run("door", "register", name, "--account", named, "--secret", secret)
        assert (done.code, done.err) == (0, "")
        return secret

    def as_door(self, name: str = "front") -> None:
        """Register the door of the settings and let them name its account."""
        self.join(f"{self.database[-20:]}_{name}", self.register(name))

    def deliver(self) -> list[Refused]:
        """Deliver all that waits, as the running door would."""
        settings = load(self.house.config)
        with (
            closing(wiring.open_spool(settings, wiring.load_keys(settings, ALL_KEYS))) as spool,
            closing(wiring.open_link(settings)) as link,
        ):
            outbox = spool.outbox()
            batch = outbox.waiting(100)
            refused = Archive(link, "front", outbox.record).deliver(batch, THEN)
            outbox.delivered(batch[-1].sequence, tuple(refused), THEN)
        return refused

    def link(self) -> Link:
        return wiring.open_link(load(self.house.config))


@pytest.fixture
def fleet(mariadb: MariaDB, tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(mariadb, tmp_path)
    yield made
    mariadb.run(f"DROP DATABASE IF EXISTS {made.database}")


@pytest.fixture
def ready(fleet: Fleet) -> Fleet:
    assert fleet.run("database", "init").code == 0
    return fleet


# Making


def test_init_makes_the_database_and_its_tables_and_may_be_run_again(fleet: Fleet) -> None:
    first = fleet.run("database", "init")
    assert (first.code, "step   1  doors" in first.out) == (0, True)
    again = fleet.run("database", "init")
    assert (again.code, "up to date" in again.out, "doors" in again.out) == (0, True, False)
    assert fleet.run("database", "migrate").out == again.out


def test_migrate_before_init_names_the_fix(fleet: Fleet) -> None:
    told = fleet.run("database", "migrate")
    assert (told.code, "smileaccess database init" in told.err) == (1, True)


def test_a_wrong_password_is_an_error_that_names_the_account_and_not_the_password(fleet: Fleet) -> None:
    wrong = fleet.house.folder / "wrong.pw"
    wrong.write_text("hunter2\n")
    wrong.chmod(0o600)
    told = fleet.run("database", "init", "--user", "nobody", "--password-file", wrong)
    assert (told.code, "nobody" in told.err, "hunter2" in told.err + told.out) == (1, True, False)


def test_init_of_a_door_alone_makes_its_record(tmp_path: Path) -> None:
    house = House(tmp_path)
    told = house.run("database", "init")
    assert (told.code, "the record of front, 0 links" in told.out) == (0, True)
    assert house.run("database", "migrate").code == 0


# How they stand


def test_the_status_of_a_door_alone(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.put(attempt())
    told = house.run("database", "status", "--json")
    assert (told.code, told.json()["central"]) == (0, None)
    assert told.json()["door"]["waiting"] is None
    shown = house.run("database", "status")
    assert ("chain       2 links" in shown.out, "to deliver" in shown.out) == (True, False)


def test_a_record_that_is_full_is_told(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.put(attempt(detail={"text": "x" * 2_000_000}))
    house.config.write_text(house.config.read_text().replace("[records]", "[records]\nlimit_mb = 1"))
    told = house.run("database", "status")
    assert (told.code, "the door opens to nobody" in told.err) == (1, True)


def test_the_status_tells_of_both_and_of_what_waits(ready: Fleet) -> None:
    ready.house.put(attempt(), attempt(Reason.NO_FACE, day=1))
    ready.as_door()
    ready.deliver()
    ready.house.put(attempt(day=2))
    told = ready.run("database", "status", "--json").json()
    assert (told["door"]["waiting"], told["central"]["steps"]) == (1, told["central"]["known_steps"])
    shown = ready.run("database", "status")
    assert ("to deliver  1 row since" in shown.out, ready.server.address in shown.out) == (True, True)


def test_the_status_lists_the_doors_for_who_may_see_them(ready: Fleet) -> None:
    ready.register("front")
    doors = ready.run("database", "status", "--json").json()["central"]["doors"]
    assert [(each["name"], each["revoked_at"]) for each in doors] == [("front", None)]
    ready.join(f"{ready.database[-20:]}_front", ready.house.folder / "front.pw")
    assert ready.run("database", "status", "--json").json()["central"]["doors"] is None


def test_a_refused_row_is_told_with_its_error_and_can_be_sent_again(ready: Fleet) -> None:
    ready.house.put(attempt(liveness="x" * 40), attempt(day=1))
    ready.as_door()
    assert len(ready.deliver()) == 1
    shown = ready.run("database", "status")
    assert (shown.code, "refused     attempts" in shown.out, "liveness" in shown.out) == (1, True, True)
    assert "smileaccess database resend" in shown.err
    refused = ready.run("database", "resend", "--json")
    assert (refused.code, refused.json()) == (1, {"taken": 0, "refused": 1})

    ready.rows("ALTER TABLE attempts MODIFY liveness VARCHAR(64) NULL")
    taken = ready.run("database", "resend")
    assert (taken.code, taken.out) == (0, "1 row taken, 0 still refused\n")
    assert ready.run("database", "status").code == 0
    assert ready.run("attempts", "verify", "--json").json()["central"]["both"] == 4


def test_a_database_that_does_not_answer_hides_nothing_of_the_door(ready: Fleet) -> None:
    ready.house.put(attempt())
    secret = ready.register()
    secret.write_text("another\n")
    ready.join(f"{ready.database[-20:]}_front", secret)
    told = ready.run("database", "status")
    assert (told.code, "to deliver  1 row" in told.out, "password" in told.err) == (1, True, True)


def test_an_office_cannot_verify_a_doors_chain(ready: Fleet) -> None:
    ready.house.config.write_text(ready.house.config.read_text().replace(str(ready.house.database), ""))
    told = ready.run("attempts", "verify")
    assert (told.code, "run it at the door" in told.err) == (1, True)


def test_a_database_without_tables_is_told_with_the_fix(fleet: Fleet) -> None:
    fleet.server.run(f"CREATE DATABASE {fleet.database}")
    told = fleet.run("database", "status")
    assert (told.code, "smileaccess database" in told.err) == (1, True)


# Doors


def test_a_door_is_registered_with_a_password_that_only_the_file_holds(ready: Fleet) -> None:
    secret = ready.register("front")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    ready.join(f"{ready.database[-20:]}_front", secret)
    with closing(ready.link()) as link:
        assert [row["name"] for row in link.all("SELECT name FROM own_door")] == ["front"]


def test_a_secret_is_not_written_over_another(ready: Fleet) -> None:
    secret = ready.house.folder / "front.pw"
    secret.write_text("mine")
    told = ready.run("door", "register", "front", "--secret", secret)
    assert (told.code, secret.read_text()) == (1, "mine")
    assert ready.rows("SELECT COUNT(*) FROM doors") == [(0,)]


def test_where_a_door_cannot_be_registered_no_secret_is_left(ready: Fleet) -> None:
    secret = ready.house.folder / "bad.pw"
    told = ready.run("door", "register", "fr'ont", "--secret", secret)
    assert (told.code, secret.exists()) == (1, False)


def test_a_revoked_door_is_shut_out_and_listed_as_such(ready: Fleet) -> None:
    ready.as_door()
    with closing(ready.link()) as link:
        assert link.one("SELECT COUNT(*) FROM own_members") == 0
    ready.join("root")
    revoked = ready.run("door", "revoke", "front", "--yes", "--why", "stolen")
    assert (revoked.code, "door front: revoked" in revoked.out) == (0, True)
    (listed,) = ready.run("door", "list", "--json").json()
    assert (listed["name"], bool(listed["revoked_at"]), "stolen" in listed["note"]) == ("front", True, True)
    assert "revoked" in ready.run("door", "list").out
    ready.join(f"{ready.database[-20:]}_front", ready.house.folder / "front.pw")
    with closing(ready.link()) as link, pytest.raises(ShutOut):
        link.one("SELECT 1")


def test_revoke_asks_first(ready: Fleet) -> None:
    ready.register("front")
    told = ready.run("door", "revoke", "front")
    assert (told.code, "--yes" in told.err) == (1, True)
    assert ready.rows("SELECT revoked_at FROM doors") == [(None,)]


def test_an_unknown_door_cannot_be_revoked(ready: Fleet) -> None:
    told = ready.run("door", "revoke", "garage", "--yes")
    assert (told.code, "garage" in told.err) == (1, True)


@pytest.mark.parametrize(("kind", "may"), [("enroller", True), ("reader", False)])
def test_accounts_for_desks_are_made_with_their_rights(ready: Fleet, kind: str, may: bool) -> None:
    secret = ready.house.folder / "desk.pw"
    name = f"{kind[:1]}_{ready.database[-20:]}"
    made = ready.run("database", "account", kind, name, "--secret", secret)
    assert (made.code, made.err) == (0, "")
    ready.join(name, secret)
    with closing(ready.link()) as link:
        assert link.one("SELECT COUNT(*) FROM attempts") == 0
        if may:
            assert link.change("DELETE FROM members") == 0
        else:
            with pytest.raises(ShutOut):
                link.change("DELETE FROM members")


# Members that were there first


def test_a_doors_own_members_begin_the_central_list(ready: Fleet) -> None:
    house = ready.house
    settings = load(house.config)
    keys = wiring.load_keys(settings, ALL_KEYS)
    with closing(house.spool()) as spool:
        for member_id in ("m_ann", "m_bob"):
            spool.put_member(
                sign(make_member(member_id), keys.enroller), make_event(f"e-{member_id}", "member_enrolled")
            )
    first = ready.run("members", "publish", "--json")
    assert sorted(first.json()["published"]) == ["m_ann", "m_bob"]
    again = ready.run("members", "publish")
    assert again.out == "0 members published, 2 left as the central list has them\n"
    listed = ready.run("members", "list", "--json").json()["members"]
    assert [each["id"] for each in listed] == ["m_ann", "m_bob"]


@pytest.mark.parametrize(("delivered", "left"), [(False, 3), (True, 1)])
def test_a_person_prunes_nothing_that_was_not_delivered(ready: Fleet, delivered: bool, left: int) -> None:
    """What nobody else has is not deleted because it is old."""
    ready.house.put(attempt(), attempt(day=1), attempt(day=900))
    ready.as_door()
    if delivered:
        ready.deliver()
    told = ready.run("attempts", "prune", "--before", "2027-01-01", "--yes")
    assert told.code == 0
    assert len(ready.run("attempts", "list", "--json").json()) == left


# Copies


def test_a_backup_of_the_middle_comes_back_whole(ready: Fleet, tmp_path: Path) -> None:
    """Every table, every byte: into a new database, and once more into the same, which changes nothing."""
    ready.house.put(attempt(), attempt(None, day=1))
    ready.as_door()
    ready.deliver()
    ready.join("root")
    file = tmp_path / "central.jsonl.gz"
    written = ready.run("database", "backup", file)
    assert (written.code, stat.S_IMODE(file.stat().st_mode)) == (0, 0o600)
    before = {table: ready.rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in TABLES}
    assert len(before["attempts"]) == 2

    again = ready.run("database", "restore", file)
    assert (again.code, "0 restored" in again.out) == (0, True)
    ready.server.run(f"DROP DATABASE {ready.database}")
    ready.run("database", "init")
    restored = ready.run("database", "restore", file)
    assert (restored.code, ", 0 were there already" in restored.out) == (0, True)
    assert {table: ready.rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in TABLES} == before


TABLES = ("doors", "members", "faces", "attempts", "door_events", "chain_heads", "confirmations", "contacts")


def test_a_restore_that_was_cut_off_goes_on(ready: Fleet, tmp_path: Path) -> None:
    ready.house.put(*(attempt(day=day) for day in range(5)))
    ready.as_door()
    ready.deliver()
    ready.join("root")
    ready.run("database", "backup", tmp_path / "b")
    ready.rows("DELETE FROM attempts ORDER BY seq DESC LIMIT 3")
    told = ready.run("database", "restore", tmp_path / "b")
    assert (told.code, "3 restored" in told.out) == (0, True)
    assert len(ready.rows("SELECT id FROM attempts")) == 5


def test_a_restore_overwrites_nothing(ready: Fleet, tmp_path: Path) -> None:
    ready.house.put(attempt())
    ready.as_door()
    ready.deliver()
    ready.join("root")
    ready.run("database", "backup", tmp_path / "b")
    ready.rows("UPDATE attempts SET smile = 1")
    told = ready.run("database", "restore", tmp_path / "b")
    assert (told.code, "another row is there" in told.err) == (1, True)
    assert ready.rows("SELECT smile FROM attempts") == [(1.0,)]


def test_a_backup_overwrites_nothing(ready: Fleet, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    told = ready.run("database", "backup", tmp_path / "b")
    assert (told.code, (tmp_path / "b").read_text()) == (1, "mine")


@pytest.mark.parametrize("harm", ["cut", "altered", "other", "header"])
def test_a_backup_that_is_not_whole_is_refused_before_anything_is_taken(
    ready: Fleet, tmp_path: Path, harm: str
) -> None:
    ready.house.put(attempt())
    ready.as_door()
    ready.deliver()
    ready.join("root")
    file = tmp_path / "b"
    ready.run("database", "backup", file)
    ready.rows("DELETE FROM attempts")
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    if harm == "cut":
        lines.pop()
    elif harm == "altered":
        lines = [line.replace(b"no_smile", b"no_smite") for line in lines]
    elif harm == "header":
        lines[0] = json.dumps({**json.loads(lines[0]), "format": "other"}).encode() + b"\n"
    raw = gzip.compress(b"".join(lines))
    file.write_bytes(b"no backup" if harm == "other" else raw)
    told = ready.run("database", "restore", file)
    assert (told.code, str(file) in told.err) == (1, True)
    assert ready.rows("SELECT COUNT(*) FROM attempts") == [(0,)]


def test_a_backup_of_another_step_is_refused(ready: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "b"
    ready.run("database", "backup", file)
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    header = {**json.loads(lines[0]), "steps": 1}
    import hashlib  # noqa: PLC0415

    lines = [json.dumps(header).encode() + b"\n", *lines[1:-1]]
    end = {"rows": 0, "sha256": hashlib.sha256(b"".join(lines)).hexdigest()}
    file.write_bytes(gzip.compress(b"".join([*lines, json.dumps(end).encode() + b"\n"])))
    told = ready.run("database", "restore", file)
    assert (told.code, "step 1" in told.err) == (1, True)


def test_a_doors_record_comes_back_from_its_backup(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.put(attempt(), attempt(day=1))
    written = house.run("database", "backup", tmp_path / "b.db")
    assert (written.code, "4 links" in written.out) == (0, True)
    there = house.run("database", "restore", tmp_path / "b.db")
    assert (there.code, "exists already" in there.err) == (1, True)
    house.database.unlink()
    back = house.run("database", "restore", tmp_path / "b.db")
    assert (back.code, "4 links verified" in back.out) == (0, True)
    assert len(house.run("attempts", "list", "--json").json()) == 2


def test_a_record_of_another_door_is_not_put_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    one, other = House(tmp_path / "one"), House(tmp_path / "other")
    one.run("database", "backup", tmp_path / "b.db")
    other.database.unlink()
    told = other.run("database", "restore", tmp_path / "b.db")
    assert (told.code, other.database.exists()) == (1, False)
