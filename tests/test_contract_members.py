"""What every adapter of the Members port promises, over the fake, the spool and the central database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smileaccess.errors import RecordsError, RecordsFailed
from smileaccess.membership import document
from smileaccess.model import DoorEvent, Member, MemberStatus, SignedMember, Template, uuid7
from smileaccess.ports import Members, RecordReader
from smileaccess.records.mysql.central import CentralRecords
from smileaccess.records.mysql.people import CentralMembers
from smileaccess.records.spool import Spool
from tests.fakes_records import FakeMembers
from tests.office import new_center

DOOR = "test"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass
class Store:
    members: Members
    records: RecordReader
    refused: DoorEvent
    add_event: Callable[[DoorEvent], object]

    def events(self) -> list[DoorEvent]:
        return list(self.records.events())


@pytest.fixture(params=["fake", "spool", "central"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store, and an event that it will not have: another door's, or one with too long a kind."""
    if request.param == "fake":
        fake = FakeMembers()
        yield Store(fake, fake.records, event(door="another"), fake.records.add_event)
    elif request.param == "spool":
        with closing(Spool.create(tmp_path / "records.db", DOOR, b"c" * 32)) as spool:
            yield Store(spool, spool, event(door="another"), spool.add_event)
    else:
        with closing(new_center(request.getfixturevalue("mariadb")).link()) as link:
            people = CentralMembers(link)
            yield Store(people, CentralRecords(link), replace(event(), kind="k" * 65), people.add_event)


def event(door: str = DOOR) -> DoorEvent:
    return DoorEvent(uuid7(), door, NOON, "member.changed", "root", "test", {"member_id": "m_1"})


def member(version: int = 1, member_id: str = "m_1") -> SignedMember:
    """Not a signed one: the store must not look."""
    sealed = {f"t_{member_id}_{version}_{number}": bytes([number, version]) for number in range(2)}
    templates = tuple(Template(name, "sface", each, NOON) for name, each in sealed.items())
    known = Member(member_id, version, "Ada", MemberStatus.ACTIVE, NOON, None, templates=templates)
    return SignedMember(member_id, version, document(known), b"\xff" * 64, sealed)


def test_an_empty_store_holds_nobody(store: Store) -> None:
    assert store.members.signed_members() == []
    assert store.members.floors() == {}


def test_a_member_comes_back_as_stored_and_the_event_is_on_record(store: Store) -> None:
    told = event()
    store.members.put_member(member(), told)
    store.members.put_member(member(5, "m_2"), event())
    assert sorted(store.members.signed_members(), key=lambda each: each.id) == [member(), member(5, "m_2")]
    assert told in store.events()
    assert len(store.events()) == 2


def test_a_newer_version_replaces_the_older_with_its_templates(store: Store) -> None:
    store.members.put_member(member(1), event())
    store.members.put_member(member(4), event())
    assert store.members.signed_members() == [member(4)]
    assert store.members.floors() == {"m_1": 4}


def test_what_was_replaced_is_erased_where_nobody_reads(store: Store) -> None:
    store.members.put_member(member(1), event())
    store.members.put_member(member(4), event())
    assert store.members.erase()
    assert store.members.signed_members() == [member(4)]


@pytest.mark.parametrize("version", [1, 2])
def test_a_version_that_is_not_newer_is_refused_and_nothing_is_written(store: Store, version: int) -> None:
    store.members.put_member(member(2), event())
    events, revision = store.events(), store.members.revision()
    with pytest.raises(RecordsFailed, match=f"m_1.*version {version}"):
        store.members.put_member(replace(member(version), signature=b"other"), event())
    assert store.members.signed_members() == [member(2)]
    assert (store.events(), store.members.revision()) == (events, revision)


def test_what_is_stored_already_is_refused_as_well(store: Store) -> None:
    store.members.put_member(member(2), event())
    with pytest.raises(RecordsFailed):
        store.members.put_member(member(2), event())
    assert len(store.events()) == 1


def test_where_the_event_is_refused_the_member_is_not_written(store: Store) -> None:
    with pytest.raises(RecordsError):
        store.members.put_member(member(), store.refused)
    assert store.members.signed_members() == []
    assert store.members.floors() == {}
    assert store.events() == []


def test_the_revision_differs_after_each_change_and_else_stays(store: Store) -> None:
    revisions = [store.members.revision()]
    for version in (1, 2, 3):
        store.members.put_member(member(version), event())
        revisions.append(store.members.revision())
    assert len(set(revisions)) == 4
    store.members.signed_members()
    store.members.floors()
    store.events()
    store.add_event(event())
    assert store.members.revision() == revisions[-1]
