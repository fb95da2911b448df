"""Real doors on a real central database: members come in, attempts go out, and outages are waited out."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smileaccess.demo.scenes import MEMBER_PHOTOGRAPH
from smileaccess.model import Reason
from tests.central import Central, account_of, prepared
from tests.doors import GRANTED, House, Reel, building, denied, ended, eventually, make_reel
from tests.house import Result, run
from tests.mariadb import MariaDB, running
from tests.proxy import Proxy


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Reel:
    return make_reel(tmp_path_factory.mktemp("reel"))


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., House]]:
    with building(tmp_path_factory.mktemp) as make:
        yield make


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDB]:
    """Return a server of this file's own, since it is killed."""
    with running() as made:
        yield made


@pytest.fixture(scope="module")
def central(server: MariaDB) -> Central:
    return prepared(server)


def joined(house: House, central: Central, *, address: str = "", more: str = "") -> House:
    """Let a house's door into the central database, by the settings."""
    central.door("side").close()
    password = house.folder / "mysql.pw"
    password.write_text("secret of side")
    password.chmod(0o600)
    told = (
        f'[mysql]\naddresses = ["{address or central.server.address}"]\ndatabase = "{central.database}"\n'
        f'user = "{account_of("side", central.database)}"\npassword_file = "{password}"\n'
        f"sync_s = 0.5\ntimeout_s = 5.0\nconnect_s = 2.0\n{more}"
    )
    house.write_settings("smile", more=told)
    return house


class Office:
    """Where people are enrolled: a settings file of its own, the enroller's keys, and no door."""

    def __init__(self, house: House, central: Central) -> None:
        self.config = house.folder / "office.toml"
        self.config.write_text(
            f'[door]\nname = "office"\n[records]\ndatabase = ""\n[keys]\ndirectory = "{house.folder}/keys"\n'
            f'[mysql]\naddresses = ["{central.server.address}"]\ndatabase = "{central.database}"\nuser = "root"\n'
        )

    def run(self, *arguments: Any) -> Result:
        return run("--config", self.config, *arguments)


def delivered(central: Central) -> list[tuple[Any, ...]]:
    return central.server.run("SELECT id, outcome, reason FROM attempts ORDER BY seq", database=central.database)


def cleared(central: Central) -> None:
    for table in ("attempts", "door_events", "chain_heads", "confirmations", "contacts", "members", "faces"):
        central.server.run(f"DELETE FROM {table}", database=central.database)


@pytest.fixture
def door(build: Callable[..., House], reel: Reel, central: Central) -> Iterator[House]:
    """Return a door that is to follow the central list, before it somebody who smiles; it is not started."""
    cleared(central)
    house = joined(build(reel.still_smiling), central)
    yield house
    house.end()


def test_whoever_is_enrolled_in_the_office_is_let_in_at_the_door_and_is_on_record_there(
    door: House, central: Central
) -> None:
    """Members come to a running door within seconds, its attempts go to the middle, and both chains are one."""
    door.start()
    assert ended(door.attempted()) == denied(Reason.NOT_RECOGNIZED)
    office = Office(door, central)
    enrolled = office.run("enroll", "Ann", "--photo", MEMBER_PHOTOGRAPH, "--consent")
    assert (enrolled.code, "enrolled Ann" in enrolled.out) == (0, True)
    eventually(lambda: door.status()["members"] == 1)
    granted = door.attempted()
    assert ended(granted) == GRANTED
    eventually(lambda: len(delivered(central)) == 2)
    assert delivered(central)[1] == (granted.id, "granted", None)
    listed = office.run("attempts", "list", "--json").json()
    assert (listed[0]["id"], listed[0]["door"]) == (granted.id, "side")

    disabled = office.run("members", "disable", "Ann")
    assert disabled.code == 0
    eventually(lambda: door.status()["members"] == 0)
    assert ended(door.attempted()) == denied(Reason.MEMBER_DISABLED)
    assert door.status()["central"]["connected"]

    eventually(lambda: door.status()["central"]["waiting"] == 0)
    verified = door.run("attempts", "verify", "--json")
    told = json.loads(verified.stdout)
    assert (verified.returncode, told["ok"], told["central"]["waiting"]) == (0, True, 0)
    assert told["central"]["both"] == told["links"] > 6

    central.server.run(
        "UPDATE attempts SET outcome = 'denied', reason = 'no_smile' WHERE id = %s",
        granted.id,
        database=central.database,
    )
    broken = door.run("attempts", "verify")
    assert (broken.returncode, granted.id in broken.stderr) == (1, True)


def test_a_forgotten_member_is_confirmed_by_the_doors(door: House, central: Central) -> None:
    door.start()
    office = Office(door, central)
    office.run("enroll", "Ann", "--photo", MEMBER_PHOTOGRAPH, "--consent")
    eventually(lambda: door.status()["members"] == 1)
    forgotten = office.run("members", "forget", "Ann", "--yes", "--wait", "30", "--json")
    assert forgotten.code == 0
    assert [each["door"] for each in forgotten.json()["doors"]["confirmed"]] == ["side"]
    assert ended(door.attempted()) == denied(Reason.NOT_RECOGNIZED)


def test_a_door_goes_on_without_the_database_and_delivers_when_it_is_back(door: House, central: Central) -> None:
    """The server dies in the middle of a day: the door sees nothing of it, and nothing is lost or doubled."""
    Office(door, central).run("enroll", "Ann", "--photo", MEMBER_PHOTOGRAPH, "--consent")
    door.start()
    eventually(lambda: door.status()["members"] == 1)
    made = [door.attempted().id]
    eventually(lambda: len(delivered(central)) == 1)
    central.server.kill()
    made += [door.attempted().id for _ in range(3)]
    eventually(lambda: not door.status()["central"]["connected"])
    assert door.status()["central"]["waiting"] is not None
    central.server.start()
    eventually(lambda: len(delivered(central)) == 4)
    assert [row[0] for row in delivered(central)] == made
    assert [row[1] for row in delivered(central)] == ["granted"] * 4


def test_a_door_starts_without_the_database(door: House, central: Central) -> None:
    Office(door, central).run("enroll", "Ann", "--photo", MEMBER_PHOTOGRAPH, "--consent")
    door.start()
    eventually(lambda: door.status()["members"] == 1)
    door.end()
    central.server.kill()
    try:
        door.start()
        assert ended(door.attempted()) == GRANTED
    finally:
        central.server.start()


def test_a_list_that_is_too_old_opens_to_nobody_until_the_database_is_back(door: House, central: Central) -> None:
    Office(door, central).run("enroll", "Ann", "--photo", MEMBER_PHOTOGRAPH, "--consent")
    door.start()
    eventually(lambda: door.status()["members"] == 1)
    door.end()
    central.server.kill()
    try:
        with door.spool() as spool:
            spool.synced(datetime.now(UTC) - timedelta(hours=25))
        door.start()
        assert ended(door.attempted()) == denied(Reason.MEMBERS_STALE)
        assert door.status()["central"]["members_stale"]
    finally:
        central.server.start()
    eventually(lambda: not door.status()["central"]["members_stale"])
    assert ended(door.attempted()) == GRANTED


def test_a_lost_answer_doubles_no_attempt(door: House, central: Central) -> None:
    """Every third commit goes through and its answer is lost on the way back."""
    with Proxy(central.server.port) as proxy:
        joined(door, central, address=proxy.address)
        proxy.swallow_commit_answers(0.34, random.Random(4))
        door.start()
        made = [door.attempted().id for _ in range(6)]
        eventually(lambda: len(delivered(central)) == 6)
        assert [row[0] for row in delivered(central)] == made
        eventually(lambda: door.status()["central"]["waiting"] == 0)
        assert door.status()["central"]["set_aside"] == 0
