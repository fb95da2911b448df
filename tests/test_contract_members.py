"""What every adapter of the Members port promises, over the fake and the spool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smileaccess.errors import RecordsError, RecordsFailed
from smileaccess.model import DoorEvent, SignedMember, uuid7
from smileaccess.ports import Members, Records
from smileaccess.records.spool import Spool
from tests.fakes_records import FakeMembers

DOOR = "test"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass
class Store:
    members: Members
    records: Records


@pytest.fixture(params=["fake", "spool"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "fake":
        fake = FakeMembers()
        yield Store(fake, fake.records)
    else:
        spool = Spool.create(tmp_path / "records.db", DOOR, b"c" * 32)
        yield Store(spool, spool)
        spool.close()


def event(door: str = DOOR) -> DoorEvent:
    return DoorEvent(uuid7(), door, NOON, "member.changed", "root", "test", {"member_id": "m_1"})


def member(version: int = 1, member_id: str = "m_1") -> SignedMember:
    """Not a signed one: the store must not look."""
    sealed = {f"t_{member_id}_{version}_{number}": bytes([number, version]) for number in range(2)}
    return SignedMember(member_id, version, f"document {version}\0".encode(), b"\xff" * 64, sealed)


def test_an_empty_store_holds_nobody(store: Store) -> None:
    assert store.members.signed_members() == []
    assert store.members.floors() == {}


def test_a_member_comes_back_as_stored_and_the_event_is_on_record(store: Store) -> None:
    told = event()
    store.members.put_member(member(), told)
    store.members.put_member(member(5, "m_2"), event())
    assert sorted(store.members.signed_members(), key=lambda each: each.id) == [member(), member(5, "m_2")]
    assert told in list(store.records.events())
    assert store.records.verify() == 2


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
    head, revision = store.records.head(), store.members.revision()
    with pytest.raises(RecordsFailed, match=f"m_1.*version {version}"):
        store.members.put_member(replace(member(version), document=b"other"), event())
    assert store.members.signed_members() == [member(2)]
    assert (store.records.head(), store.members.revision()) == (head, revision)


def test_where_the_event_is_refused_the_member_is_not_written(store: Store) -> None:
    with pytest.raises(RecordsError):
        store.members.put_member(member(), event(door="another"))
    assert store.members.signed_members() == []
    assert store.members.floors() == {}
    assert store.records.head().sequence == 0


def test_the_revision_differs_after_each_change_and_else_stays(store: Store) -> None:
    revisions = [store.members.revision()]
    for version in (1, 2, 3):
        store.members.put_member(member(version), event())
        revisions.append(store.members.revision())
    assert len(set(revisions)) == 4
    store.members.signed_members()
    store.members.floors()
    store.records.add_event(event())
    assert store.members.revision() == revisions[-1]
