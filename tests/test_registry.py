"""Finding and changing members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from smileaccess import registry
from smileaccess.errors import CollectionFailed, CollectionGone, EnrollmentRefused, MemberNotFound, RecordsUnavailable
from smileaccess.keys import public_half
from smileaccess.membership import forgotten
from smileaccess.model import Consent, Gesture, IndexedFace, Member, MemberStatus, Template
from smileaccess.records.rows import mentions
from smileaccess.registry import FacesLeft, Registry, find
from smileaccess.schedules import Schedule
from tests.fakes_collection import FakeCollection, Stored
from tests.fakes_devices import FakeClock
from tests.fakes_records import FakeMembers
from tests.fakes_vision import person
from tests.house import attempt

NOW = FakeClock().now()


def member(member_id: str, name: str) -> Member:
    template = Template(f"t_{member_id}", "model", b"sealed", NOW)
    return Member(member_id, 1, name, MemberStatus.ACTIVE, NOW, Consent(NOW, "1"), templates=(template,))


HOURS = Schedule.parse("mon-fri 08:00-18:00", "Europe/Vienna")
ADA, ANN = member("m_aa11", "Ada"), member("m_aa22", "Ann")


@pytest.fixture
def desk() -> Registry:
    made = Registry(FakeMembers(), b"e" * 32, public_half(b"e" * 32), "test", FakeClock(), "erin")
    made.put(ADA, "member_enrolled", "")
    return made


def stored(desk: Registry) -> Member:
    (only,) = desk.roster().members
    return only


class TestFind:
    @pytest.mark.parametrize("wanted", ["m_aa11", "m_aa1", "Ada", " Ada "])
    def test_by_id_its_beginning_or_the_name(self, wanted: str) -> None:
        assert find([ADA, ANN], wanted) == ADA

    @pytest.mark.parametrize("wanted", ["m_aa", "", "ada", "Bob", "m_bb"])
    def test_what_fits_several_or_nobody_is_refused(self, wanted: str) -> None:
        with pytest.raises(MemberNotFound):
            find([ADA, ANN], wanted)

    def test_an_ambiguous_one_lists_the_choices(self) -> None:
        with pytest.raises(MemberNotFound, match="m_aa11, m_aa22"):
            find([ADA, ANN], "m_aa")

    def test_a_whole_id_goes_before_a_name_that_looks_like_it(self) -> None:
        assert find([member("m_x", "m_aa11"), ADA], "m_aa11") == ADA

    def test_a_forgotten_one_is_found_by_the_whole_id_only(self) -> None:
        gone = forgotten(ADA)
        assert find([gone, ANN], "m_aa11") == gone
        assert find([gone, ANN], "m_aa") == ANN

    def test_a_name_fits_however_it_was_typed(self) -> None:
        zoe = member("m_zoe", "Zo\u00eb")
        assert find([zoe], "Zoe\u0308") == zoe


class TestChange:
    def test_each_change_is_a_newer_signed_version(self, desk: Registry) -> None:
        changed = registry.rename(desk, ADA, "Ada L.", "married")
        assert stored(desk) == changed == replace(ADA, name="Ada L.", version=2)

    @pytest.mark.parametrize("name", ["Ada", "", "a\nb"])
    def test_a_name_that_cannot_be_kept_changes_nothing(self, desk: Registry, name: str) -> None:
        with pytest.raises(EnrollmentRefused):
            registry.rename(desk, ADA, name)
        assert stored(desk) == ADA

    def test_what_is_so_already_is_refused(self, desk: Registry) -> None:
        with pytest.raises(EnrollmentRefused, match="active already"):
            registry.enable(desk, ADA)
        assert registry.disable(desk, ADA).status is MemberStatus.DISABLED

    def test_a_span_must_hold_at_some_time(self, desk: Registry) -> None:
        with pytest.raises(EnrollmentRefused):
            registry.set_validity(desk, ADA, NOW, NOW - timedelta(days=1))
        assert registry.set_validity(desk, ADA, NOW, NOW + timedelta(days=1)).limited

    @pytest.mark.parametrize(
        ("change", "told", "name", "value"),
        [
            (registry.set_schedule, HOURS, "schedule", HOURS),
            (registry.set_groups, ["b", "a", "b"], "groups", ("a", "b")),
            (registry.set_doors, ["yard", "front"], "doors", ("front", "yard")),
            (registry.set_gesture, Gesture.TURN, "gesture", Gesture.TURN),
            (registry.set_least_similarity, 99, "least_similarity", 99.0),
        ],
    )
    def test_limits_are_signed_and_on_record_and_set_once(
        self, desk: Registry, change: Any, told: Any, name: str, value: Any
    ) -> None:
        changed = change(desk, ADA, told, "asked for it")
        assert stored(desk) == changed == replace(ADA, version=2, **{name: value})
        assert isinstance(desk.members, FakeMembers)
        event = desk.members.records.put_down[-1]
        assert (event.kind.startswith("member_"), event.why) == (True, "asked for it")
        with pytest.raises(EnrollmentRefused, match="so already"):
            change(desk, changed, told)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (registry.set_groups, ["The Bosses"]),
            (registry.set_groups, [""]),
            (registry.set_doors, []),
            (registry.set_doors, [""]),
            (registry.set_least_similarity, 100.5),
            (registry.set_least_similarity, -1),
            (registry.set_least_similarity, float("nan")),
        ],
    )
    def test_limits_that_cannot_be_change_nothing(self, desk: Registry, change: Any, told: Any) -> None:
        with pytest.raises(EnrollmentRefused):
            change(desk, ADA, told)
        assert stored(desk) == ADA

    def test_limits_are_lifted(self, desk: Registry) -> None:
        limited = registry.set_doors(desk, registry.set_schedule(desk, ADA, HOURS), ["front"])
        freed = registry.set_doors(desk, registry.set_schedule(desk, limited, None), None)
        assert freed == replace(ADA, version=5)

    def test_a_forgotten_member_is_changed_no_more(self, desk: Registry) -> None:
        with pytest.raises(MemberNotFound, match="forgotten"):
            registry.enable(desk, forgotten(ADA))

    def test_a_change_that_cannot_be_put_on_record_is_not_made(self, desk: Registry) -> None:
        assert isinstance(desk.members, FakeMembers)
        desk.members.records.fail()
        with pytest.raises(RecordsUnavailable):
            registry.disable(desk, ADA)
        assert stored(desk) == ADA


class TestForget:
    def test_only_the_retired_id_is_left(self, desk: Registry) -> None:
        assert isinstance(desk.members, FakeMembers)
        receipt = registry.forget(desk, ADA, desk.members.records, "asked for it")
        assert stored(desk) == forgotten(ADA)
        assert (receipt.name, receipt.templates, receipt.consent, receipt.events) == ("Ada", 1, ADA.consent, 2)
        assert "Ada" not in repr(desk.members.records.put_down)

    @pytest.mark.parametrize("read_elsewhere", [False, True])
    def test_the_receipt_says_whether_the_old_bytes_are_gone(self, desk: Registry, *, read_elsewhere: bool) -> None:
        assert isinstance(desk.members, FakeMembers)
        desk.members.read_elsewhere = read_elsewhere
        assert registry.forget(desk, ADA, desk.members.records).erased is not read_elsewhere

    def test_a_row_counts_where_the_id_is_the_member_or_a_candidate(self) -> None:
        seen = attempt(member_id=None)
        assert [mentions(seen, "m_ada"), mentions(attempt(), "m_ada"), mentions(seen, "m_bob")] == [True, True, False]

    def test_a_deleted_row_is_retired_under_a_newer_version(self, desk: Registry) -> None:
        assert isinstance(desk.members, FakeMembers)
        desk.members.stored.clear()
        assert len(desk.roster().refused) == 1
        registry.forget(desk, registry.unverified(desk, ADA.id), desk.members.records)
        assert (desk.roster().refused, stored(desk).version) == ((), 2)

    def test_an_id_that_was_never_there_is_refused(self, desk: Registry) -> None:
        with pytest.raises(MemberNotFound):
            registry.unverified(desk, "m_never")


class TestForgetFaces:
    """A forgotten member's faces are nobody's at once, and leave the collection."""

    @pytest.fixture
    def bob(self, desk: Registry) -> Member:
        faces = tuple(IndexedFace(each, where, "7.0", NOW) for each, where in (("b1", "people"), ("b2", "people")))
        made = replace(member("m_bob", "Bob"), faces=faces)
        desk.put(made, "member_enrolled", "")
        return made

    @pytest.fixture
    def collection(self) -> FakeCollection:
        made = FakeCollection()
        made.stored = {each: Stored("m_bob", person(1), each, 0) for each in ("b1", "b2", "other")}
        return made

    @staticmethod
    def forget(desk: Registry, gone: Member, collection: FakeCollection | None = None) -> registry.Receipt:
        assert isinstance(desk.members, FakeMembers)
        return registry.forget(desk, gone, desk.members.records, collection=collection)

    def test_the_signed_faces_are_removed_and_no_other_and_the_receipt_counts_them(
        self, desk: Registry, bob: Member, collection: FakeCollection
    ) -> None:
        receipt = self.forget(desk, bob, collection)
        assert (receipt.faces, receipt.faces_left, list(collection.stored)) == (2, (), ["other"])

    def test_the_tombstone_is_signed_before_a_face_is_removed(self, desk: Registry, bob: Member) -> None:
        seen: list[MemberStatus] = []

        class Watching(FakeCollection):
            def remove(self, face_ids: Sequence[str]) -> None:
                super().remove(face_ids)
                seen.extend(each.status for each in desk.roster().members if each.id == bob.id)

        self.forget(desk, bob, Watching())
        assert seen == [MemberStatus.FORGOTTEN]

    def test_what_cannot_be_removed_is_in_the_receipt_and_means_nobody_all_the_same(
        self, desk: Registry, bob: Member, collection: FakeCollection
    ) -> None:
        collection.errors = {"remove": CollectionFailed("told to fail")}
        receipt = self.forget(desk, bob, collection)
        assert (receipt.faces, receipt.faces_left) == (0, (FacesLeft("people", 2, "told to fail"),))
        assert [each.faces for each in desk.roster().members if each.id == bob.id] == [()]

    def test_a_collection_that_is_gone_took_the_faces_with_it_unless_it_is_looked_for_in_the_wrong_place(
        self, desk: Registry, bob: Member, collection: FakeCollection
    ) -> None:
        collection.errors = {"remove": CollectionGone("no such collection: run create")}
        (left,) = self.forget(desk, bob, collection).faces_left
        assert ("went with it" in left.why, "region" in left.why, "create" in left.why) == (True, True, False)

    def test_without_a_collection_the_receipt_says_where_the_faces_are(self, desk: Registry, bob: Member) -> None:
        (left,) = self.forget(desk, bob).faces_left
        assert (left.collection, left.count, "no collection" in left.why) == ("people", 2, True)

    def test_faces_of_another_collection_stay_and_are_told(
        self, desk: Registry, bob: Member, collection: FakeCollection
    ) -> None:
        newer = replace(bob, version=2, faces=(*bob.faces, IndexedFace("b3", "old", "6.0", NOW)))
        desk.put(newer, "member_pictures_added", "")
        receipt = self.forget(desk, newer, collection)
        assert (receipt.faces, [(each.collection, each.count) for each in receipt.faces_left]) == (2, [("old", 1)])

    def test_a_member_without_faces_asks_nothing(self, desk: Registry, collection: FakeCollection) -> None:
        receipt = self.forget(desk, ADA, collection)
        assert (receipt.faces, receipt.faces_left, collection.log) == (0, (), [])
