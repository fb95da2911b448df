"""Doors that deliver while their server is killed and answers are lost: everything arrives, once, in whole chains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.central import Central, prepared
from tests.mariadb import MariaDB, free_port, running
from tests.outage import Door, Life, Plan, Verdict, judge, live, run, some_door

PLAN = Plan(doors=4, attempts=120, kills=3, lost=0.25)


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDB]:
    """Return a server of this file's own, since it is killed."""
    with running() as made:
        yield made


def test_all_attempts_arrive_once_however_often_the_server_dies(server: MariaDB, tmp_path: Path) -> None:
    central = prepared(server)
    found = run(PLAN, server, central, tmp_path, say=lambda _: None)
    assert found.faults == []
    assert (found.written, found.arrived, found.chains, found.kills) == (480, 480, 4, 3)
    assert found.lost_answers > 0
    assert found.failures >= found.lost_answers


# The verdict itself can be otherwise


@pytest.fixture
def delivered(server: MariaDB, tmp_path: Path) -> tuple[Central, Door, Life]:
    """Return a door that has delivered five attempts, and what it did."""
    central = prepared(server)
    door = some_door(0, replace(PLAN, attempts=5), central, tmp_path, server.address)
    return central, door, live(door)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("DELETE FROM attempts WHERE seq = 4", "door00: 1 attempts missing, 0 that it never wrote"),
        ("DELETE FROM attempts WHERE seq = 4", "holds it no more"),
        ("UPDATE attempts SET door = 'elsewhere' WHERE seq = 4", "elsewhere: no door of ours"),
        ("UPDATE attempts SET smile = 1 WHERE seq = 4", "link 4"),
        ("UPDATE attempts SET id = REVERSE(id) WHERE seq = 4", "1 that it never wrote"),
        ("SELECT 1", ""),
    ],
)
def test_the_verdict_names_what_is_wrong(
    server: MariaDB, delivered: tuple[Central, Door, Life], harm: str, told: str
) -> None:
    central, door, life = delivered
    server.run(harm, database=central.database)
    verdict = Verdict()
    judge([door], [life], server, central, verdict)
    assert bool(verdict.faults) is bool(told)
    assert told in " ".join(verdict.faults)


def test_the_verdict_tells_of_rows_that_were_set_aside(server: MariaDB, tmp_path: Path) -> None:
    central = prepared(server)
    server.run("ALTER TABLE attempts MODIFY liveness VARCHAR(4) NULL", database=central.database)
    door = some_door(0, replace(PLAN, attempts=2), central, tmp_path, server.address)
    verdict = Verdict()
    judge([door], [live(door)], server, central, verdict)
    assert "2 rows set aside" in " ".join(verdict.faults)


def test_the_verdict_tells_of_an_attempt_that_nobody_wrote(
    server: MariaDB, delivered: tuple[Central, Door, Life]
) -> None:
    central, door, life = delivered
    life.ids.pop()
    verdict = Verdict()
    judge([door], [life], server, central, verdict)
    assert verdict.faults == ["door00: 0 attempts missing, 1 that it never wrote"]


def test_the_verdict_tells_of_a_door_that_was_alarmed(server: MariaDB, delivered: tuple[Central, Door, Life]) -> None:
    """A record that seems put back although nobody did so is a fault of the delivery."""
    central, door, life = delivered
    life.alarms.append("record_put_back: an older copy")
    verdict = Verdict()
    judge([door], [life], server, central, verdict)
    assert verdict.faults == ["door00: record_put_back: an older copy"]


def test_a_delivery_that_cannot_end_says_what_stands_in_its_way(server: MariaDB, tmp_path: Path) -> None:
    central = prepared(server)
    door = some_door(0, replace(PLAN, attempts=2, longest_s=1.0), central, tmp_path, f"127.0.0.1:{free_port()}")
    with pytest.raises(AssertionError, match=r"door00: not delivered within 1.0 s.*cannot be reached|refused"):
        live(door)
