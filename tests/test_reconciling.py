"""The signed list against the collection, both ways: what differs, and what mending it does and never does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smileaccess.errors import CollectionUnavailable, RecordsFailed
from smileaccess.keys import public_half
from smileaccess.membership import forgotten
from smileaccess.model import IndexedFace, Member, MemberStatus
from smileaccess.reconciling import Label, Missing, Orphan, compare, examine, repair
from smileaccess.registry import Registry, disable, forget
from tests.fakes_collection import FakeCollection, Stored
from tests.fakes_devices import FakeClock
from tests.fakes_records import FakeMembers
from tests.fakes_vision import person

NOW = FakeClock().now()
HERE, ELSEWHERE = "people", "others"


def member(name: str, *face_ids: str, collection: str = HERE) -> Member:
    faces = tuple(IndexedFace(each, collection, "7.0", NOW - timedelta(days=1)) for each in face_ids)
    return Member(f"m_{name.lower()}", 1, name, MemberStatus.ACTIVE, NOW, None, faces=faces)


def listed(**faces: str) -> list[tuple[str, str]]:
    return list(faces.items())


class TestCompare:
    def test_both_agree_where_each_signed_face_is_there_and_no_other(self) -> None:
        people = [member("Ada", "a1", "a2"), member("Bob", "b1")]
        found = compare(people, listed(a1="m_ada", a2="m_ada", b1="m_bob"), people, HERE)
        assert (found.agree, found.listed, found.signed) == (True, 3, 3)

    def test_two_empty_sides_agree(self) -> None:
        assert compare([], [], [], HERE).agree

    def test_a_face_that_nobody_has_signed_is_an_orphan_whatever_its_label(self) -> None:
        people = [member("Ada", "a1"), forgotten(member("Bob"))]
        found = compare(people, listed(a1="m_ada", x="m_ada", y="m_bob", z="m_else", w=""), people, HERE)
        assert found.orphans == (
            Orphan("x", "m_ada", Label.MEMBER),
            Orphan("y", "m_bob", Label.FORGOTTEN),
            Orphan("z", "m_else", Label.UNKNOWN),
            Orphan("w", "", Label.UNKNOWN),
        )
        assert not found.agree

    def test_a_signed_face_counts_although_its_label_names_another_member(self) -> None:
        people = [member("Ada", "a1"), member("Bob", "b1")]
        assert compare(people, listed(a1="m_bob", b1="m_bob"), people, HERE).agree

    def test_a_signed_face_that_is_not_there_is_missing(self) -> None:
        people = [member("Ada", "a1", "a2")]
        found = compare(people, listed(a1="m_ada"), people, HERE)
        assert (found.missing, found.without, found.orphans) == ((Missing(people[0], ("a2",)),), (), ())

    def test_members_without_a_face_here_are_told_disabled_ones_too(self) -> None:
        ada, bob = member("Ada", "a1", collection=ELSEWHERE), member("Bob", "b1")
        zoe = replace(member("Zoe"), status=MemberStatus.DISABLED)
        people = [ada, bob, zoe, forgotten(member("Max"))]
        assert compare(people, [], people, HERE).without == (ada, bob, zoe)

    def test_a_face_of_another_collection_is_neither_missing_nor_signed_here(self) -> None:
        people = [member("Ada", "a1", collection=ELSEWHERE)]
        found = compare(people, listed(a1="m_ada"), people, HERE)
        assert (found.missing, found.signed, [each.face_id for each in found.orphans]) == ((), 0, ["a1"])

    def test_a_face_signed_while_listing_is_neither_missing_nor_an_orphan(self) -> None:
        before, after = [member("Ada", "a1")], [member("Ada", "a1", "a2")]
        assert compare(before, listed(a1="m_ada"), after, HERE).agree
        assert compare(before, listed(a1="m_ada", a2="m_ada"), after, HERE).agree

    def test_one_forgotten_while_listing_leaves_orphans_only(self) -> None:
        before, after = [member("Ada", "a1")], [forgotten(member("Ada", "a1"))]
        found = compare(before, listed(a1="m_ada"), after, HERE)
        assert (found.missing, found.without, [each.face_id for each in found.orphans]) == ((), (), ["a1"])

    @given(signed=st.sets(st.sampled_from("abcdef")), there=st.sets(st.sampled_from("abcdef")))
    def test_what_is_on_one_side_only_is_told_and_nothing_else(self, signed: set[str], there: set[str]) -> None:
        people = [member("Ada", *sorted(signed))]
        found = compare(people, [(each, "m_ada") for each in sorted(there)], people, HERE)
        assert {each.face_id for each in found.orphans} == there - signed
        assert {face_id for each in found.missing for face_id in each.face_ids} == signed - there
        assert bool(found.without) == (not signed & there)


@pytest.fixture
def members() -> FakeMembers:
    return FakeMembers()


@pytest.fixture
def desk(members: FakeMembers) -> Registry:
    return Registry(members, b"e" * 32, public_half(b"e" * 32), "test", FakeClock(), "erin")


@pytest.fixture
def collection() -> FakeCollection:
    made = FakeCollection(HERE)
    for face_id, label in listed(a1="m_ada", b1="m_bob", x="m_ada"):
        made.stored[face_id] = Stored(label, person(1), face_id, 0)
    return made


def kinds(members: FakeMembers) -> list[str]:
    return [each.kind for each in members.records.put_down]


@pytest.fixture
def enrolled(desk: Registry) -> Registry:
    """Ada lacks a face, Bob has his, Zoe never had one, and a stranger is labeled as Ada."""
    for each in (member("Ada", "a1", "a2"), member("Bob", "b1"), member("Zoe")):
        desk.put(each, "member_enrolled", "")
    return desk


class TestRepair:
    def test_orphans_go_and_missing_faces_are_unsigned_and_the_rest_stays(
        self, enrolled: Registry, members: FakeMembers, collection: FakeCollection
    ) -> None:
        found = examine(enrolled, HERE, collection.faces())
        mended = repair(enrolled, members.records, collection, found, "monthly")
        assert sorted(collection.stored) == ["a1", "b1"]
        people = {each.name: each for each in enrolled.roster().members}
        assert ([face.id for face in people["Ada"].faces], people["Ada"].version) == (["a1"], 2)
        assert (people["Bob"].version, people["Zoe"].version) == (1, 1)
        assert (mended.removed, mended.resigned, mended.enroll_again) == (1, (people["Ada"],), (people["Zoe"],))

    def test_mended_once_there_is_nothing_left_to_mend(
        self, enrolled: Registry, members: FakeMembers, collection: FakeCollection
    ) -> None:
        repair(enrolled, members.records, collection, examine(enrolled, HERE, collection.faces()))
        again = examine(enrolled, HERE, collection.faces())
        assert (again.orphans, again.missing, [each.name for each in again.without]) == ((), (), ["Zoe"])

    def test_each_change_is_on_record_without_a_name(
        self, enrolled: Registry, members: FakeMembers, collection: FakeCollection
    ) -> None:
        repair(enrolled, members.records, collection, examine(enrolled, HERE, collection.faces()), "monthly")
        *_, resigned, removed = members.records.put_down
        assert (resigned.kind, resigned.who, resigned.why) == ("member_reconciled", "erin", "monthly")
        assert resigned.detail == {"member": "m_ada", "version": 2, "missing_faces": 1}
        assert (removed.kind, removed.detail) == ("collection_reconciled", {"collection": HERE, "removed": 1})
        assert "Ada" not in repr(members.records.put_down)

    def test_what_was_signed_since_is_not_removed(
        self, enrolled: Registry, members: FakeMembers, collection: FakeCollection
    ) -> None:
        found = examine(enrolled, HERE, collection.faces())
        (ada,) = [each for each in enrolled.roster().members if each.name == "Ada"]
        face = IndexedFace("x", HERE, "7.0", NOW)
        enrolled.put(replace(ada, version=2, faces=(*ada.faces, face)), "member_pictures_added", "")
        mended = repair(enrolled, members.records, collection, found)
        assert (mended.removed, sorted(collection.stored)) == (0, ["a1", "b1", "x"])
        assert [[face.id for face in each.faces] for each in mended.resigned] == [["a1", "x"]]

    def test_a_change_made_since_is_kept(
        self, enrolled: Registry, members: FakeMembers, collection: FakeCollection
    ) -> None:
        found = examine(enrolled, HERE, collection.faces())
        disable(enrolled, next(each for each in enrolled.roster().members if each.name == "Ada"))
        (ada,) = repair(enrolled, members.records, collection, found).resigned
        assert (ada.status, ada.version) == (MemberStatus.DISABLED, 3)

    def test_one_forgotten_since_is_not_brought_back(
        self, enrolled: Registry, members: FakeMembers, collection: FakeCollection
    ) -> None:
        found = examine(enrolled, HERE, collection.faces())
        for each in enrolled.roster().members:
            if each.name != "Bob":
                forget(enrolled, each, members.records)
        mended = repair(enrolled, members.records, collection, found)
        assert (mended.resigned, mended.enroll_again) == ((), ())

    def test_one_who_lost_every_face_is_to_be_enrolled_again(
        self, enrolled: Registry, members: FakeMembers, collection: FakeCollection
    ) -> None:
        del collection.stored["b1"]
        mended = repair(enrolled, members.records, collection, examine(enrolled, HERE, collection.faces()))
        assert [(each.name, each.faces) for each in mended.enroll_again] == [("Bob", ()), ("Zoe", ())]

    def test_where_somebody_does_not_verify_nothing_is_touched(
        self, enrolled: Registry, members: FakeMembers, collection: FakeCollection
    ) -> None:
        members.stored["m_bob"] = replace(members.stored["m_bob"], signature=b"")
        found = examine(enrolled, HERE, collection.faces())
        assert (found.unverified, found.agree) == (1, False)
        assert "b1" in [each.face_id for each in found.orphans]
        before = kinds(members)
        with pytest.raises(RecordsFailed, match=r"do not verify.*nothing was changed"):
            repair(enrolled, members.records, collection, found)
        assert (sorted(collection.stored), kinds(members)) == (["a1", "b1", "x"], before)

    def test_a_collection_that_fails_leaves_the_orphans_for_the_next_time(
        self, enrolled: Registry, members: FakeMembers, collection: FakeCollection
    ) -> None:
        found = examine(enrolled, HERE, collection.faces())
        collection.fail("remove")
        with pytest.raises(CollectionUnavailable):
            repair(enrolled, members.records, collection, found)
        assert kinds(members)[-1] == "member_reconciled"
        collection.errors = {}
        assert [each.face_id for each in examine(enrolled, HERE, collection.faces()).orphans] == ["x"]

    def test_where_both_agree_nothing_is_put_on_record(
        self, desk: Registry, members: FakeMembers, collection: FakeCollection
    ) -> None:
        del collection.stored["x"], collection.stored["b1"]
        desk.put(member("Ada", "a1"), "member_enrolled", "")
        found = examine(desk, HERE, collection.faces())
        assert found.agree
        assert repair(desk, members.records, collection, found).removed == 0
        assert kinds(members) == ["member_enrolled"]
