"""What every adapter of the Confirmations port promises, over the fake and the central database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from smileaccess.model import KnownDoor
from smileaccess.ports import Confirmations
from smileaccess.records.mysql.people import CentralMembers
from tests.fakes_records import FakeConfirmations
from tests.office import NOON, new_center

LATER = NOON + timedelta(minutes=5)


@dataclass(frozen=True)
class Followed:
    """What says who follows, and how a door comes to be known there and confirms."""

    port: Confirmations
    add_door: Callable[[str, datetime | None], object]
    confirm: Callable[[str, Mapping[str, int], datetime], None]


@pytest.fixture(params=["fake", "central"])
def followed(request: pytest.FixtureRequest) -> Iterator[Followed]:
    if request.param == "fake":
        fake = FakeConfirmations()

        def add(name: str, revoked_at: datetime | None) -> None:
            fake.known[name] = KnownDoor(name, None, revoked_at)

        yield Followed(fake, add, fake.confirm)
        return
    center = new_center(request.getfixturevalue("mariadb"))
    with closing(center.link()) as link:
        people = CentralMembers(link)
        yield Followed(people, lambda name, at: center.add_door(name, revoked_at=at), people.confirm)


def test_all_doors_are_known_by_name_the_revoked_too(followed: Followed) -> None:
    assert followed.port.doors() == []
    followed.add_door("side", None)
    followed.add_door("back", NOON)
    assert followed.port.doors() == [KnownDoor("back", None, NOON), KnownDoor("side", None, None)]


def test_a_door_has_taken_over_what_it_confirmed_and_all_before(followed: Followed) -> None:
    followed.confirm("side", {"m_1": 2, "m_2": 1}, NOON)
    followed.confirm("side", {"m_1": 5, "m_2": 1}, LATER)
    followed.confirm("back", {"m_1": 5}, LATER + timedelta(microseconds=1))
    assert followed.port.confirmed("m_1", 1) == {"side": NOON, "back": datetime(2026, 11, 22, 12, 5, 0, 1, UTC)}
    assert followed.port.confirmed("m_1", 3) == {"side": LATER, "back": LATER + timedelta(microseconds=1)}
    assert followed.port.confirmed("m_2", 1) == {"side": NOON}
    assert followed.port.confirmed("m_1", 6) == followed.port.confirmed("m_3", 1) == {}
