"""Reading the central record on a real server: all doors, or one, or by a door's account, and no more than needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from smileaccess.errors import RecordsFailed
from smileaccess.model import Attempt, DoorEvent, Outcome, Trigger, uuid7
from smileaccess.records import rows
from smileaccess.records.mysql.central import PAGE_ROWS, CentralRecords
from smileaccess.records.mysql.link import Link
from tests.mariadb import MariaDB
from tests.office import NOON, PASSWORD, Center, new_center

DOORS = ("back", "front")


@pytest.fixture(scope="module")
def center(mariadb: MariaDB) -> Center:
    """A center with 1,200 attempts and as many events of two doors, by turns, three in every second of the clock."""
    made = new_center(mariadb)
    made.put(*ATTEMPTS)
    made.add_event(*EVENTS)
    return made


def at(number: int) -> Any:
    return NOON + timedelta(seconds=number // 3)


def attempt(number: int) -> Attempt:
    known: dict[str, Any] = {"closed_at": at(number) + timedelta(seconds=4), "member_id": f"m_{number % 7}"}
    detail = {"examinations": [{"candidates": [{"member": f"m_{number % 100:02}"}]}]}
    door = DOORS[number % 2]
    return Attempt(uuid7(number), door, Trigger.BUTTON, at(number), outcome=Outcome.GRANTED, detail=detail, **known)


ATTEMPTS = [attempt(number) for number in range(1200)]
EVENTS = [
    DoorEvent(uuid7(number), DOORS[number % 2], at(number), "rex", "panel", detail={"member": f"m_{number % 5}"})
    for number in range(1200)
]


@pytest.fixture
def link(center: Center) -> Iterator[Link]:
    with closing(center.link()) as made:
        yield made


@pytest.fixture(params=[None, "front", "side"])
def door(request: pytest.FixtureRequest) -> str | None:
    return str(request.param) if request.param else None


def test_all_come_once_newest_first_over_many_pages(link: Link, door: str | None) -> None:
    """Also where many began at the same moment, at the end of a page too."""
    wanted = [each for each in reversed(ATTEMPTS) if door in {None, each.door}]
    records = CentralRecords(link, door)
    assert len(ATTEMPTS) > 2 * PAGE_ROWS
    assert list(records.attempts()) == wanted
    assert list(records.attempts(limit=PAGE_ROWS + 7)) == wanted[: PAGE_ROWS + 7]
    later = [each for each in wanted if each.opened_at >= at(100)]
    assert list(records.attempts(since=at(100), until=at(900))) == [x for x in later if x.opened_at < at(900)]


def test_events_come_so_too(link: Link, door: str | None) -> None:
    wanted = [each for each in reversed(EVENTS) if door in {None, each.door}]
    records = CentralRecords(link, door)
    assert list(records.events()) == wanted
    assert list(records.events(since=at(1000))) == [each for each in wanted if each.at >= at(1000)]
    assert list(records.events(limit=3)) == wanted[:3]


def test_a_listing_is_read_as_it_is_used(link: Link) -> None:
    """A page at a time: other questions may be asked on the same connection in between."""
    records = CentralRecords(link)
    listing = records.attempts()
    first = list(islice(listing, 3))
    assert records.attempt(ATTEMPTS[0].id) == ATTEMPTS[0]
    assert [*first, *listing] == ATTEMPTS[::-1]


def test_an_attempt_of_another_door_is_not_shown(link: Link) -> None:
    wanted = ATTEMPTS[1]
    assert CentralRecords(link, wanted.door).attempt(wanted.id[:-1].upper()) == wanted
    with pytest.raises(RecordsFailed, match="there is none"):
        CentralRecords(link, "side").attempt(wanted.id)


def test_the_newest_is_a_doors_own(link: Link, door: str | None) -> None:
    last = {None: ATTEMPTS[-1], "front": ATTEMPTS[-1], "side": None}[door]
    assert CentralRecords(link, door).newest() == (last.closed_at if last else None)


@pytest.mark.parametrize("stretch", [7, 100, 1200, 10_000])
def test_an_id_is_counted_wherever_it_stands(link: Link, door: str | None, stretch: int) -> None:
    """As the member or as a candidate, each attempt once, whatever the stretches of the count."""
    mine = [each for each in ATTEMPTS if door in {None, each.door}]
    there = [each for each in mine if each.member_id == "m_3" or "m_3" in str(each.detail)]
    events = [each for each in EVENTS if door in {None, each.door} and each.detail["member"] == "m_3"]
    records = CentralRecords(link, door)
    assert records.mentions("m_3", stretch=stretch) == (len([x for x in there if x.member_id == "m_3"]), len(events))
    assert records.mentions("m_42", stretch=stretch)[0] == len([each for each in mine if "m_42" in str(each.detail)])
    assert records.mentions("m_4_", stretch=stretch) == records.mentions('m_3","', stretch=stretch) == (0, 0)


def test_a_doors_account_sees_its_own_door_only(center: Center) -> None:
    """Until it is revoked; then nothing."""
    account = center.add_door("front")
    with closing(center.link(account, PASSWORD)) as link:
        records = CentralRecords(link)
        assert list(records.attempts(limit=2)) == [ATTEMPTS[-1], ATTEMPTS[-3]]
        assert {each.door for each in records.events()} == {"front"}
        assert list(CentralRecords(link, "back").attempts()) == []
        assert records.mentions("m_3")[0] == sum(each.member_id == "m_3" for each in ATTEMPTS if each.door == "front")
        center.run("UPDATE doors SET revoked_at = NOW(6)")
        assert list(records.attempts()) == list(records.events()) == []


READ = "SHOW SESSION STATUS WHERE variable_name IN ('Handler_read_rnd_next', 'Handler_read_next', 'Handler_read_prev')"


@pytest.fixture(scope="module")
def large(mariadb: MariaDB) -> Center:
    """A center with 16 times as many attempts, of which the server has counted what its indexes hold."""
    made = new_center(mariadb)
    made.put(*ATTEMPTS)
    names = [each for each in (*rows.OPENING, *rows.CLOSING, "hash", "open_hash", "record") if each not in NEW]
    for times in range(4):
        made.run(
            f"INSERT INTO attempts ({', '.join(NEW)}, {', '.join(names)}) "
            "SELECT UUID(), DATE_ADD(opened_at, INTERVAL %s SECOND), open_seq - %s, seq - %s, "
            f"{', '.join(names)} FROM attempts",
            *(400 << times, 10_000 << times, 10_000 << times),
        )
    made.run("ANALYZE TABLE attempts")
    return made


NEW = ("id", "opened_at", "open_seq", "seq")


@pytest.mark.parametrize("given", [{}, {"member_id": "m_3"}, {"outcome": "granted"}, {"since": at(600)}], ids=str)
@pytest.mark.parametrize("only", [None, "front"])
@pytest.mark.parametrize("until", [None, at(9600)], ids=["newest", "middle"])
def test_a_page_reads_no_more_rows_than_ten_times_its_own(
    large: Center, given: dict[str, Any], only: str | None, until: datetime | None
) -> None:
    """By the server's own counters, in the middle of the record as well as at its end."""
    with closing(large.link()) as link:
        records = CentralRecords(link, only)
        list(records.attempts(limit=1))
        before = read(link)
        assert len(list(records.attempts(**given, until=until, limit=20))) == 20
        assert read(link) - before <= 10 * 20


def read(link: Link) -> int:
    return sum(int(row["Value"]) for row in link.all(READ))


def test_a_row_that_we_never_wrote_is_refused(mariadb: MariaDB) -> None:
    center = new_center(mariadb)
    center.put(replace(ATTEMPTS[0], id="0" * 36))
    center.run("UPDATE attempts SET outcome = 'opened'")
    with closing(center.link()) as link, pytest.raises(RecordsFailed, match="damaged"):
        list(CentralRecords(link).attempts())
