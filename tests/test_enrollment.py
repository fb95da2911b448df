"""Enrolling people: the logic on painted faces, the way through the real eyes on photographs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from smileaccess.enrollment import enroll, judge
from smileaccess.errors import (
    CollectionUnavailable,
    EnrollmentRefused,
    MemberNotFound,
    RecordsFailed,
    RecordsUnavailable,
)
from smileaccess.gates import EnrollmentLimits, Limits, PictureFault
from smileaccess.intake import PAUSES_S
from smileaccess.keys import public_half
from smileaccess.membership import unseal_template
from smileaccess.model import Consent, Face, Frame, Gesture, Member, MemberStatus, SignedMember, Template
from smileaccess.ports import Members, Recognizer, Vision
from smileaccess.recognizers.embedded import EmbeddedRecognizer
from smileaccess.registry import Registry, disable, forget
from smileaccess.sitting import MOST, Desk, NoGoodPicture, Picture, Request
from smileaccess.vision.eyes import LocalEyes
from tests.fakes_collection import FakeCollection
from tests.fakes_devices import FakeClock
from tests.fakes_records import FakeMembers
from tests.fakes_vision import FakeRecognizer, FakeVision, Painted, beside, painting, person, photograph, scene

if TYPE_CHECKING:
    from smileaccess.model import Pixels, Vector

PRIVATE, TEMPLATES = b"e" * 32, b"t" * 32
CONSENT = Consent(FakeClock().now(), "7")
ADA, BOB = 10, 20


def unseal(member: Member, template: Template) -> Vector:
    return unseal_template(template.sealed, member.id, template.id, template.model, TEMPLATES)


def desk_of(members: Members, vision: Vision, recognizer: Recognizer) -> Desk:
    registry = Registry(members, PRIVATE, public_half(PRIVATE), "test", FakeClock(), "erin")
    return Desk(registry, vision, recognizer, TEMPLATES)


@pytest.fixture
def members() -> FakeMembers:
    return FakeMembers()


class VaryingVision(FakeVision):
    """As photographs do, no two pictures of somebody give quite the same embedding; the place of the face counts."""

    def embed(self, frame: Frame, face: Face) -> Vector:
        vector = super().embed(frame, face) + 0.1 * person(round(1000 + 1000 * face.box.left))
        return np.asarray(vector / np.linalg.norm(vector), np.float32)


@pytest.fixture
def desk(members: FakeMembers) -> Desk:
    vision = VaryingVision()
    return desk_of(members, vision, FakeRecognizer(vision, unseal))


def picture(who: int, x: int = 320, label: str = "") -> Picture:
    return Picture(label or f"{who}-{x}", painting(Painted(who, x)))


def pictures(who: int, count: int = 3, start: int = 300) -> list[Picture]:
    return [picture(who, start + 10 * n) for n in range(count)]


def request(name: str, **changes: object) -> Request:
    return replace(Request(name, CONSENT), **changes)


def stored(desk: Desk) -> list[Member]:
    roster = desk.registry.roster()
    assert roster.refused == ()
    return list(roster.members)


class TestNewMember:
    def test_a_person_is_stored_as_reported_with_signed_and_sealed_templates(self, desk: Desk) -> None:
        report = enroll(desk, pictures(ADA), request(" Zoe\u0308 ", why="new here"))
        assert (report.new, report.member.name, report.member.version) == (True, "Zo\u00eb", 1)
        assert stored(desk) == [report.member]
        assert [each.model for each in report.member.templates] == ["painted-1"] * 3
        assert float(unseal(report.member, report.member.templates[0]) @ person(ADA)) > 0.99
        assert report.member.consent == CONSENT
        assert report.warnings == ()

    def test_the_event_says_who_why_and_whom_but_no_name(self, desk: Desk, members: FakeMembers) -> None:
        report = enroll(desk, pictures(ADA), request("Ada", why="new here"))
        (event,) = members.records.put_down
        assert (event.kind, event.who, event.why) == ("member_enrolled", "erin", "new here")
        assert event.detail["member"] == report.member.id
        assert "Ada" not in repr(event)

    def test_validity_is_kept(self, desk: Desk) -> None:
        end = desk.registry.clock.now() + timedelta(days=1)
        report = enroll(desk, pictures(ADA), request("Ada", valid_until=end))
        assert (report.member.valid_from, report.member.valid_until) == (None, end)

    def test_a_validity_that_ends_before_it_begins_is_refused(self, desk: Desk) -> None:
        now = desk.registry.clock.now()
        with pytest.raises(EnrollmentRefused, match="the end must come after"):
            enroll(desk, pictures(ADA), request("Ada", valid_from=now, valid_until=now))
        assert stored(desk) == []

    @pytest.mark.parametrize("name", ["", "  ", "a\x1b[2Jb", "x" * 201])
    def test_a_name_that_cannot_be_kept_is_refused(self, desk: Desk, name: str) -> None:
        with pytest.raises(EnrollmentRefused):
            enroll(desk, pictures(ADA), request(name))
        assert stored(desk) == []

    @pytest.mark.parametrize("door", ["", "front door", "Haupttür"])
    def test_a_door_that_no_door_can_be_called_is_refused(self, desk: Desk, door: str) -> None:
        with pytest.raises(EnrollmentRefused, match="a door's name is"):
            enroll(desk, pictures(ADA), request("Ada", doors=(door,)))
        assert stored(desk) == []

    def test_few_pictures_are_enough_but_are_warned_of(self, desk: Desk) -> None:
        assert "only 2 pictures" in enroll(desk, pictures(ADA, 2), request("Ada")).warnings[0]

    @pytest.mark.parametrize(
        ("calm_below", "gesture", "warned"),
        [(30.0, None, True), (30.0, Gesture.SMILE, True), (30.0, Gesture.TURN, False), (None, None, False)],
    )
    def test_a_face_that_nobody_saw_at_rest_is_warned_of(
        self, desk: Desk, calm_below: float | None, gesture: Gesture | None, *, warned: bool
    ) -> None:
        """The door would never ask it for a smile; where none is asked for, that is nothing to warn of."""
        smiling = [Picture(f"{x}", painting(Painted(ADA, x, smiling=True))) for x in (300, 310, 320)]
        report = enroll(replace(desk, calm_below=calm_below), smiling, request("Ada", gesture=gesture))
        expected = (
            "no picture shows a calm face: the calmest measures 95, and the door asks for a smile after one below 30"
        )
        assert [expected in each for each in report.warnings] == [True] * warned

    def test_one_calm_picture_is_enough(self, desk: Desk) -> None:
        smiling = Picture("smiling", painting(Painted(ADA, 300, smiling=True)))
        taken = [smiling, *pictures(ADA, start=310)]
        asking = replace(desk, calm_below=30.0)
        assert enroll(asking, taken, request("Ada")).warnings == ()
        more = Picture("more", painting(Painted(ADA, 350, smiling=True)))
        assert enroll(asking, [more], request("Ada")).warnings == (), "what the first ones showed is not kept"


class TestPictures:
    def test_a_bad_picture_is_left_out_with_its_reason_and_the_good_ones_count(self, desk: Desk) -> None:
        nobody = Picture("empty", painting(brightness=120))
        report = enroll(desk, [nobody, *pictures(ADA)], request("Ada"))
        assert [each.passed for each in report.verdicts] == [False, True, True, True]
        assert report.verdicts[0].faults == (PictureFault.NO_FACE,)
        assert len(report.member.templates) == 3

    def test_without_a_good_picture_nothing_is_stored_and_each_verdict_is_told(self, desk: Desk) -> None:
        crowd = Picture("two", painting(Painted(ADA, 200), Painted(BOB, 440)))
        with pytest.raises(NoGoodPicture) as refused:
            enroll(desk, [crowd], request("Ada"))
        assert [each.faults for each in refused.value.verdicts] == [(PictureFault.SEVERAL_FACES,)]
        assert stored(desk) == []

    def test_no_picture_at_all_is_refused(self, desk: Desk) -> None:
        with pytest.raises(NoGoodPicture):
            enroll(desk, [], request("Ada"))

    def test_the_same_picture_counts_once(self, desk: Desk) -> None:
        report = enroll(desk, [picture(ADA), picture(ADA)], request("Ada"))
        assert [each.remark for each in report.verdicts] == ["", "the same picture again"]
        assert len(report.member.templates) == 1

    def test_more_than_enough_pictures_are_not_needed(self, desk: Desk) -> None:
        report = enroll(desk, pictures(ADA, MOST + 2, start=100), request("Ada"))
        assert len(report.member.templates) == MOST
        assert "not needed" in report.verdicts[-1].remark

    def test_one_picture_of_somebody_else_is_put_aside(self, desk: Desk) -> None:
        report = enroll(desk, [*pictures(ADA, 2), picture(BOB)], request("Ada"))
        assert [each.remark for each in report.verdicts] == ["", "", "not the face of the other pictures"]

    @pytest.mark.parametrize("count", [1, 2])
    def test_as_many_pictures_of_two_people_are_refused(self, desk: Desk, count: int) -> None:
        with pytest.raises(NoGoodPicture):
            enroll(desk, [*pictures(ADA, count), *pictures(BOB, count)], request("Ada"))
        assert stored(desk) == []


class TestDuplicates:
    def test_a_face_under_another_name_is_refused_with_that_name_and_the_similarity(self, desk: Desk) -> None:
        first = enroll(desk, pictures(ADA), request("Ada")).member
        with pytest.raises(EnrollmentRefused, match=rf"as Ada \({first.id}\), similarity 99.5"):
            enroll(desk, pictures(ADA, start=200), request("Bob"))
        assert stored(desk) == [first]

    def test_a_disabled_member_is_found_as_well(self, desk: Desk) -> None:
        disable(desk.registry, enroll(desk, pictures(ADA), request("Ada")).member)
        with pytest.raises(EnrollmentRefused, match="enrolled already as Ada"):
            enroll(desk, pictures(ADA, start=200), request("Bob"))

    def test_a_forgotten_member_is_nobody_and_may_come_again(self, desk: Desk, members: FakeMembers) -> None:
        first = enroll(desk, pictures(ADA), request("Ada")).member
        forget(desk.registry, first, members.records)
        assert enroll(desk, pictures(ADA), request("Ada")).member.id != first.id

    def test_allowed_a_duplicate_becomes_a_second_member(self, desk: Desk) -> None:
        enroll(desk, pictures(ADA), request("Ada"))
        report = enroll(desk, pictures(ADA, start=200), request("Bob", allow_duplicate=True))
        assert report.new
        assert sorted(each.name for each in stored(desk)) == ["Ada", "Bob"]

    def test_another_person_is_no_duplicate(self, desk: Desk) -> None:
        enroll(desk, pictures(ADA), request("Ada"))
        assert enroll(desk, pictures(BOB), request("Bob")).new


class TestMorePictures:
    def test_the_same_person_under_the_same_name_gets_more_templates(self, desk: Desk, members: FakeMembers) -> None:
        first = enroll(desk, pictures(ADA, 1), request("Ada")).member
        report = enroll(desk, pictures(ADA, 2, start=200), request("Ada"))
        assert (report.new, report.member.id, report.member.version) == (False, first.id, 2)
        assert report.member.templates[:1] == first.templates
        assert len(report.member.templates) == 3
        assert members.records.put_down[-1].kind == "member_pictures_added"

    def test_a_picture_that_the_member_has_already_is_not_added(self, desk: Desk) -> None:
        first = enroll(desk, pictures(ADA, 1), request("Ada")).member
        with pytest.raises(NoGoodPicture) as caught:
            enroll(desk, pictures(ADA, 1), request("Ada"))
        assert [each.remark for each in caught.value.verdicts] == ["the same picture again"]
        assert stored(desk) == [first]
        report = enroll(desk, pictures(ADA, 2), request("Ada"))
        assert [each.remark for each in report.verdicts] == ["the same picture again", ""]

    def test_another_face_under_a_name_that_is_taken_is_refused(self, desk: Desk) -> None:
        first = enroll(desk, pictures(ADA), request("Ada")).member
        with pytest.raises(EnrollmentRefused, match=f"another face.*--to {first.id}"):
            enroll(desk, pictures(BOB), request("Ada"))
        assert stored(desk) == [first]

    def test_one_picture_of_somebody_else_is_not_added(self, desk: Desk) -> None:
        enroll(desk, pictures(ADA), request("Ada"))
        report = enroll(desk, [picture(ADA, 200), picture(BOB)], request("Ada"))
        assert "not the face of Ada" in report.verdicts[1].remark
        assert len(report.member.templates) == 4

    def test_told_the_id_a_changed_face_is_added(self, desk: Desk) -> None:
        first = enroll(desk, pictures(ADA), request("Ada")).member
        report = enroll(desk, pictures(BOB), request("Ada", to=first.id))
        assert (report.member.id, len(report.member.templates)) == (first.id, 6)

    def test_told_the_id_a_face_of_somebody_else_is_still_refused(self, desk: Desk) -> None:
        ada = enroll(desk, pictures(ADA), request("Ada")).member
        enroll(desk, pictures(BOB), request("Bob"))
        with pytest.raises(EnrollmentRefused, match="enrolled already as Bob"):
            enroll(desk, pictures(BOB, start=200), request("Ada", to=ada.id))

    def test_an_id_with_another_name_is_refused(self, desk: Desk) -> None:
        ada = enroll(desk, pictures(ADA), request("Ada")).member
        with pytest.raises(EnrollmentRefused, match="is called Ada"):
            enroll(desk, pictures(ADA, start=200), request("Bob", to=ada.id))

    def test_an_unknown_id_is_refused(self, desk: Desk) -> None:
        with pytest.raises(MemberNotFound):
            enroll(desk, pictures(ADA), request("Ada", to="m_none"))

    def test_a_forgotten_members_id_is_nobodys(self, desk: Desk, members: FakeMembers) -> None:
        ada = enroll(desk, pictures(ADA), request("Ada")).member
        forget(desk.registry, ada, members.records)
        with pytest.raises(MemberNotFound):
            enroll(desk, pictures(ADA), request("Ada", to=ada.id))

    def test_of_two_namesakes_the_id_must_be_told(self, desk: Desk) -> None:
        enroll(desk, pictures(ADA), request("Ada"))
        enroll(desk, pictures(BOB), request("Ada", allow_duplicate=True))
        with pytest.raises(EnrollmentRefused, match="say which with --to"):
            enroll(desk, pictures(ADA, start=200), request("Ada"))

    def test_a_member_is_given_no_more_than_the_most(self, desk: Desk) -> None:
        first = enroll(desk, pictures(ADA, MOST, start=100), request("Ada")).member
        with pytest.raises(EnrollmentRefused, match="more than"):
            enroll(desk, pictures(ADA, 1, start=400), request("Ada"))
        assert stored(desk) == [first]


@dataclass
class LosesWhatItStores(FakeMembers):
    """A store whose next reading after a put does not show the member."""

    hidden: list[str] = field(default_factory=list)

    def put_member(self, member: SignedMember, event: object) -> None:
        super().put_member(member, event)  # type: ignore[arg-type]
        self.hidden.append(member.id)

    def signed_members(self) -> list[SignedMember]:
        hidden, self.hidden = self.hidden, []
        return [each for each in super().signed_members() if each.id not in hidden]


@dataclass
class StopsOnceStored(FakeMembers):
    """A store whose user presses Ctrl-C at the first reading after a put."""

    stopped: bool = False

    def put_member(self, member: SignedMember, event: object) -> None:
        super().put_member(member, event)  # type: ignore[arg-type]
        self.stopped = True

    def signed_members(self) -> list[SignedMember]:
        if self.stopped:
            raise KeyboardInterrupt
        return super().signed_members()


class TestNothingHalfDone:
    def test_pictures_that_do_not_find_their_person_are_not_stored(self, desk: Desk) -> None:
        strict = replace(desk, threshold=99.9)
        with pytest.raises(NoGoodPicture) as refused:
            enroll(strict, pictures(ADA), request("Ada"))
        assert [each.remark for each in refused.value.verdicts] == ["not found back: similarity 99.5"] * 3
        assert stored(desk) == []

    def test_what_is_not_found_in_the_stored_list_is_taken_back(self) -> None:
        vision, members = FakeVision(), LosesWhatItStores()
        desk = desk_of(members, vision, FakeRecognizer(vision, unseal))
        with pytest.raises(EnrollmentRefused, match="taken back"):
            enroll(desk, pictures(ADA), request("Ada"))
        members.hidden = []
        (left,) = stored(desk)
        assert (left.status, left.templates, left.name) == (MemberStatus.FORGOTTEN, (), "")
        assert [each.kind for each in members.records.put_down] == ["member_enrolled", "member_taken_back"]

    def test_a_record_that_cannot_be_written_stores_nothing(self, desk: Desk, members: FakeMembers) -> None:
        members.records.fail()
        with pytest.raises(RecordsUnavailable):
            enroll(desk, pictures(ADA), request("Ada"))
        assert stored(desk) == []

    def test_a_change_by_somebody_else_meanwhile_is_not_overwritten(self, desk: Desk) -> None:
        first = enroll(desk, pictures(ADA), request("Ada")).member
        disable(desk.registry, first)
        with pytest.raises(RecordsFailed, match="not newer"):
            disable(desk.registry, first)


@pytest.fixture
def collection() -> FakeCollection:
    return FakeCollection()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def cloud(desk: Desk, collection: FakeCollection, waits: list[float]) -> Desk:
    """A desk that enrolls into a collection too, and takes faces that the collection finds too small."""
    limits, enrollment = Limits(face_px=40.0), EnrollmentLimits(face_px=40.0)
    return replace(desk, collection=collection, wait=waits.append, limits=limits, enrollment=enrollment)


def small(who: int, x: int = 320) -> Picture:
    return Picture(f"small {who}-{x}", painting(Painted(who, x, side=50)))


class TestCollection:
    def test_each_picture_that_passed_is_indexed_found_and_signed(
        self, cloud: Desk, collection: FakeCollection, members: FakeMembers, waits: list[float]
    ) -> None:
        report = enroll(cloud, pictures(ADA), request("Ada"))
        (ada,) = stored(cloud)
        assert ada == report.member
        assert [face.id for face in ada.faces] == list(collection.stored)
        assert {face.collection for face in ada.faces} == {"people"}
        assert collection.labels() == [ada.id] * 3
        assert [each.indexed for each in report.verdicts] == list(ada.faces)
        assert [each.cloud_similarity for each in report.verdicts] == [100.0] * 3
        assert (members.records.put_down[-1].detail["faces"], waits, len(ada.templates)) == (3, [], 3)

    def test_nothing_is_asked_of_the_collection_before_the_local_gates_and_comparisons(
        self, cloud: Desk, collection: FakeCollection
    ) -> None:
        with pytest.raises(NoGoodPicture):
            enroll(cloud, [Picture("empty", painting(brightness=120))], request("Ada"))
        with pytest.raises(NoGoodPicture):
            enroll(replace(cloud, threshold=99.9), pictures(ADA), request("Ada"))
        assert collection.log == []

    def test_without_a_collection_nobody_has_faces(self, desk: Desk, members: FakeMembers) -> None:
        assert enroll(desk, pictures(ADA), request("Ada")).member.faces == ()
        assert "faces" not in members.records.put_down[-1].detail

    def test_a_picture_that_is_not_indexed_is_put_aside_and_its_template_with_it(
        self, cloud: Desk, collection: FakeCollection
    ) -> None:
        report = enroll(cloud, [*pictures(ADA), small(ADA, 200)], request("Ada"))
        assert [each.remark for each in report.verdicts] == ["", "", "", "not indexed: face too small: come closer"]
        assert report.verdicts[3].indexed is None
        assert (len(report.member.templates), len(report.member.faces), len(collection.stored)) == (3, 3, 3)

    def test_where_no_picture_is_indexed_nothing_is_stored(self, cloud: Desk, collection: FakeCollection) -> None:
        with pytest.raises(NoGoodPicture) as caught:
            enroll(cloud, [small(ADA, 200), small(ADA, 400)], request("Ada"))
        assert [each.passed for each in caught.value.verdicts] == [False, False]
        assert (stored(cloud), collection.stored) == ([], {})

    def test_more_pictures_of_a_member_add_their_faces(self, cloud: Desk, collection: FakeCollection) -> None:
        first = enroll(cloud, pictures(ADA, 1), request("Ada")).member
        report = enroll(cloud, pictures(ADA, 2, start=200), request("Ada"))
        second = report.member
        assert (second.faces[:1], report.warnings) == (first.faces, ())
        assert (len(second.faces), len(second.templates), collection.labels()) == (3, 3, [first.id] * 3)


class TestCollectionDuplicates:
    @pytest.fixture
    def strange(self, cloud: Desk) -> Desk:
        """Somebody is a member whom the local recognizer does not know: enrolled by another model, perhaps."""
        ada = enroll(cloud, pictures(ADA), request("Ada")).member
        others = tuple(replace(each, model="other") for each in ada.templates)
        cloud.registry.put(replace(ada, version=2, templates=others), "member_renamed", "")
        return cloud

    def test_a_face_that_is_another_members_is_refused_with_the_name_and_the_similarity(
        self, strange: Desk, collection: FakeCollection
    ) -> None:
        before = dict(collection.stored)
        with pytest.raises(EnrollmentRefused, match=r"in collection people already as Ada \(m_\w+\), similarity 100.0"):
            enroll(strange, pictures(ADA), request("Bob"))
        assert ([each.name for each in stored(strange)], collection.stored) == (["Ada"], before)

    def test_below_the_threshold_it_is_nobody_elses(self, strange: Desk) -> None:
        lenient = replace(strange, cloud_threshold=99.9)
        assert enroll(lenient, pictures(ADA, start=200), request("Bob")).new

    def test_allowed_a_duplicate_is_indexed_under_its_own_id(self, strange: Desk, collection: FakeCollection) -> None:
        report = enroll(strange, pictures(ADA), request("Bob", allow_duplicate=True))
        assert collection.labels().count(report.member.id) == 3

    def test_a_face_that_nobody_has_signed_is_only_warned_of(self, cloud: Desk, collection: FakeCollection) -> None:
        frame = Frame(painting(Painted(ADA, 200)), 0, 0.0)
        face = cloud.vision.look(frame).faces[0]
        orphan = collection.index(frame, face, "m_somebody").id
        report = enroll(cloud, pictures(ADA), request("Ada"))
        assert orphan in report.warnings[0]
        assert "members reconcile" in report.warnings[0]
        assert orphan not in {face.id for face in report.member.faces}

    def test_a_forgotten_members_faces_refuse_nobody(
        self, cloud: Desk, collection: FakeCollection, members: FakeMembers
    ) -> None:
        first = enroll(cloud, pictures(ADA), request("Ada")).member
        forget(cloud.registry, first, members.records)
        report = enroll(cloud, pictures(ADA), request("Ada"))
        assert (report.new, len(collection.stored)) == (True, 6)
        assert "nobody has signed" in report.warnings[0]

    def test_faces_in_another_collection_refuse_nobody(self, strange: Desk) -> None:
        moved = replace(strange, collection=FakeCollection("elsewhere"))
        assert {face.collection for face in enroll(moved, pictures(ADA), request("Bob")).member.faces} == {"elsewhere"}


class TestCollectionSearchBack:
    def test_a_face_that_is_not_found_at_once_is_waited_for(
        self, cloud: Desk, collection: FakeCollection, waits: list[float]
    ) -> None:
        collection.late = 6  # two tries of three pictures
        report = enroll(cloud, pictures(ADA), request("Ada"))
        assert (len(report.member.faces), waits) == (3, [0.5, 1.0])

    def test_a_face_that_is_never_found_is_taken_back_after_a_bounded_wait(
        self, cloud: Desk, collection: FakeCollection, waits: list[float]
    ) -> None:
        collection.late = 1000
        with pytest.raises(NoGoodPicture) as caught:
            enroll(cloud, pictures(ADA), request("Ada"))
        assert [each.remark for each in caught.value.verdicts] == ["not found back in people: similarity 0.0"] * 3
        assert (stored(cloud), collection.stored) == ([], {})
        assert waits == list(PAUSES_S)
        assert sum(waits) < 8

    def test_a_similarity_below_the_threshold_is_not_found(self, cloud: Desk, collection: FakeCollection) -> None:
        with pytest.raises(NoGoodPicture):
            enroll(replace(cloud, cloud_threshold=100.1), pictures(ADA), request("Ada"))
        assert collection.stored == {}

    def test_one_picture_that_finds_nothing_goes_and_the_others_stay(
        self, cloud: Desk, collection: FakeCollection
    ) -> None:
        blind = replace(cloud, collection=(seeing := BlindTo(collection, x=500)))
        report = enroll(blind, [*pictures(ADA), picture(ADA, 500)], request("Ada"))
        assert [each.remark for each in report.verdicts] == ["", "", "", "not found back in people: similarity 0.0"]
        assert (len(report.member.templates), len(report.member.faces), len(collection.stored)) == (3, 3, 3)
        assert seeing.blind > 1
        assert [each.indexed is None for each in report.verdicts] == [False, False, False, True]


class BlindTo(FakeCollection):
    """A collection whose searches with faces in one place find nothing."""

    def __init__(self, inner: FakeCollection, x: int) -> None:
        super().__init__(inner.name)
        self.stored, self.x, self.blind = inner.stored, x, 0

    def search(self, frame: Frame, face: Face) -> tuple[object, ...]:  # type: ignore[override]
        if abs(face.box.center[0] * 640 - self.x) < 2:
            self.blind += 1
            return ()
        return super().search(frame, face)


class TestCollectionAgain:
    """Pictures that the member has already, where the collection does not."""

    def test_who_was_enrolled_without_the_collection_gets_faces_from_the_same_pictures(
        self, desk: Desk, cloud: Desk, members: FakeMembers
    ) -> None:
        first = enroll(desk, pictures(ADA), request("Ada")).member
        report = enroll(cloud, pictures(ADA), request("Ada"))
        assert (report.member.id, report.member.templates) == (first.id, first.templates)
        assert len(report.member.faces) == 3
        assert members.records.put_down[-1].detail["pictures"] == 0

    def test_who_is_in_another_collection_gets_faces_here_and_keeps_the_others(self, cloud: Desk) -> None:
        first = enroll(cloud, pictures(ADA), request("Ada")).member
        moved = replace(cloud, collection=FakeCollection("new"))
        member = enroll(moved, pictures(ADA), request("Ada")).member
        assert (member.faces[:3], member.templates) == (first.faces, first.templates)
        assert [face.collection for face in member.faces[3:]] == ["new"] * 3

    def test_a_face_that_was_lost_comes_back_and_those_that_are_there_are_not_new(
        self, cloud: Desk, collection: FakeCollection
    ) -> None:
        ada = enroll(cloud, pictures(ADA), request("Ada")).member
        lost, *left = ada.faces
        collection.remove([lost.id])
        cloud.registry.put(replace(ada, version=2, faces=tuple(left)), "member_reconciled", "")
        report = enroll(cloud, pictures(ADA), request("Ada"))
        assert [each.remark for each in report.verdicts] == ["", "the same picture again", "the same picture again"]
        assert (len(report.member.faces), len(report.member.templates)) == (3, 3)
        assert {face.id for face in report.member.faces} == set(collection.stored)

    def test_a_failure_never_removes_a_face_that_was_signed_before(
        self, cloud: Desk, collection: FakeCollection, members: FakeMembers
    ) -> None:
        ada = enroll(cloud, pictures(ADA), request("Ada")).member
        cloud.registry.put(replace(ada, version=2, templates=()), "member_renamed", "")
        members.records.fail()
        with pytest.raises(RecordsUnavailable):
            enroll(cloud, [*pictures(ADA), picture(ADA, 500)], request("Ada", to=ada.id))
        assert set(collection.stored) == {face.id for face in ada.faces}

    def test_with_all_faces_there_the_same_pictures_are_refused_without_a_call(
        self, cloud: Desk, collection: FakeCollection
    ) -> None:
        enroll(cloud, pictures(ADA), request("Ada"))
        before = list(collection.log)
        with pytest.raises(NoGoodPicture):
            enroll(cloud, pictures(ADA), request("Ada"))
        assert collection.log == before


class TestCollectionUndone:
    @pytest.mark.parametrize("method", ["index", "search"])
    def test_a_collection_that_fails_stores_nothing(self, cloud: Desk, collection: FakeCollection, method: str) -> None:
        collection.fail(method)
        with pytest.raises(CollectionUnavailable):
            enroll(cloud, pictures(ADA), request("Ada"))
        assert (stored(cloud), collection.stored) == ([], {})

    def test_a_failure_half_way_takes_out_what_was_indexed(self, cloud: Desk, collection: FakeCollection) -> None:
        breaking = replace(cloud, collection=FailsAt(collection, "index", 2))
        with pytest.raises(CollectionUnavailable):
            enroll(breaking, pictures(ADA), request("Ada"))
        assert (stored(cloud), collection.stored) == ([], {})

    def test_a_record_that_cannot_be_written_takes_out_what_was_indexed(
        self, cloud: Desk, collection: FakeCollection, members: FakeMembers
    ) -> None:
        members.records.fail()
        with pytest.raises(RecordsUnavailable):
            enroll(cloud, pictures(ADA), request("Ada"))
        assert (stored(cloud), collection.stored) == ([], {})

    def test_what_is_taken_back_from_the_list_leaves_the_collection_too(self, collection: FakeCollection) -> None:
        vision, members = VaryingVision(), LosesWhatItStores()
        desk = replace(desk_of(members, vision, FakeRecognizer(vision, unseal)), collection=collection)
        with pytest.raises(EnrollmentRefused, match="taken back"):
            enroll(desk, pictures(ADA), request("Ada"))
        members.hidden = []
        (left,) = stored(desk)
        assert (left.status, left.faces, collection.stored) == (MemberStatus.FORGOTTEN, (), {})

    def test_faces_that_are_signed_stay_whatever_happens_after(self, collection: FakeCollection) -> None:
        """Once the member is stored, an interruption must not take away what the list vouches for."""
        vision, members = VaryingVision(), StopsOnceStored()
        desk = replace(desk_of(members, vision, FakeRecognizer(vision, unseal)), collection=collection)
        with pytest.raises(KeyboardInterrupt):
            enroll(desk, pictures(ADA), request("Ada"))
        members.stopped = False
        (ada,) = stored(desk)
        assert len(ada.faces) == 3
        assert {face.id for face in ada.faces} == set(collection.stored)

    def test_somebody_who_stops_it_leaves_nothing_behind(self, cloud: Desk, collection: FakeCollection) -> None:
        def stop(_seconds: float) -> None:
            raise KeyboardInterrupt

        collection.late = 1000
        with pytest.raises(KeyboardInterrupt):
            enroll(replace(cloud, wait=stop), pictures(ADA), request("Ada"))
        assert (stored(cloud), collection.stored) == ([], {})

    @pytest.mark.parametrize("cause", ["records", "not found"])
    def test_faces_that_cannot_be_taken_out_are_named_with_what_to_do(
        self, cloud: Desk, collection: FakeCollection, members: FakeMembers, cause: str
    ) -> None:
        collection.fail("remove")
        if cause == "records":
            members.records.fail()
        else:
            collection.late = 1000
        with pytest.raises(EnrollmentRefused, match="members reconcile --repair") as caught:
            enroll(cloud, pictures(ADA), request("Ada"))
        assert len(collection.stored) == 3
        assert all(face_id in str(caught.value) for face_id in collection.stored)
        assert isinstance(caught.value, NoGoodPicture) == (cause == "not found")
        assert stored(cloud) == []


class FailsAt(FakeCollection):
    """A collection of which one method fails once, when it is asked so many times."""

    def __init__(self, inner: FakeCollection, method: str, at: int) -> None:
        super().__init__(inner.name)
        self.stored, self.method, self.left = inner.stored, method, at

    def _begin(self, method: str) -> None:
        super()._begin(method)
        if method == self.method:
            self.left -= 1
            if not self.left:
                raise CollectionUnavailable("told to fail")


# The real way


@pytest.fixture
def real(eyes: LocalEyes) -> Desk:
    return desk_of(FakeMembers(), eyes, EmbeddedRecognizer(eyes, unseal))


def photo(name: str) -> Picture:
    return Picture(name, photograph(name))


class TestPhotographs:
    def test_the_speaking_photograph_enrolls_and_the_others_of_the_man_are_added(self, real: Desk) -> None:
        first = enroll(real, [photo("obama-speaking")], request("Barack Obama"))
        report = enroll(real, [photo("obama-neutral"), photo("obama-smiling")], request("Barack Obama"))
        assert report.member.id == first.member.id
        assert [each.similarity is not None and each.similarity > 99.5 for each in report.verdicts] == [True, True]

    def test_a_duplicate_is_refused_on_another_photograph(self, real: Desk) -> None:
        enroll(real, [photo("obama-speaking")], request("Barack Obama"))
        with pytest.raises(EnrollmentRefused, match="enrolled already as Barack Obama"):
            enroll(real, [photo("obama-smiling")], request("Joe"))

    def test_another_man_is_enrolled_beside(self, real: Desk) -> None:
        enroll(real, [photo("obama-speaking")], request("Barack Obama"))
        assert enroll(real, [photo("biden-neutral")], request("Joe Biden")).new

    def test_a_stranger_among_the_pictures_is_put_aside(self, real: Desk) -> None:
        mixed = [photo("obama-speaking"), photo("obama-neutral"), photo("biden-neutral")]
        report = enroll(real, mixed, request("Barack Obama"))
        assert [each.passed for each in report.verdicts] == [True, True, False]

    @pytest.mark.parametrize(
        ("label", "fault"),
        [
            ("good", None),
            ("nobody", PictureFault.NO_FACE),
            ("two people", PictureFault.SEVERAL_FACES),
            ("small", PictureFault.TOO_SMALL),
            ("dark", PictureFault.TOO_DARK),
            ("black", PictureFault.TOO_DARK),
            ("blurred", PictureFault.BLURRED),
            ("mouth covered", PictureFault.FACE_COVERED),
            ("eyes covered", PictureFault.FACE_COVERED),
            ("turned", PictureFault.TURNED_AWAY),
        ],
    )
    def test_each_fault_is_told(self, real: Desk, label: str, fault: PictureFault | None) -> None:
        verdict, _ = judge(real, Picture(label, SPOILED[label]()))
        assert fault in verdict.faults if fault else verdict.faults == ()


def good() -> Pixels:
    return scene("obama-neutral", 260)


def blurred() -> Pixels:
    return cv2.blur(good(), (17, 17))


def dark() -> Pixels:
    return (good() * 0.12).astype(np.uint8)


def covered(top: float, bottom: float) -> Pixels:
    """Paint a flat band over part of the face, from and to shares of its height (260 pixels, middle at 240)."""
    pixels = good()
    pixels[int(110 + 260 * top) : int(110 + 260 * bottom), 205:435] = (90, 120, 60)
    return pixels


def turned() -> Pixels:
    """Squeeze one half of the face, as a turn of the head does to a picture."""
    pixels = good()
    columns = np.arange(640, dtype=np.float32)
    middle = 320.0
    source = np.where(columns < middle, middle + (columns - middle) * 0.7, middle + (columns - middle) * 4)
    grid = np.tile(source.astype(np.float32), (480, 1))
    rows = np.tile(np.arange(480, dtype=np.float32)[:, None], (1, 640))
    return cv2.remap(pixels, grid, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


SPOILED = {
    "good": good,
    "nobody": lambda: np.full((480, 640, 3), 140, np.uint8),
    "two people": lambda: beside("obama-neutral", "biden-neutral", 220, 200),
    "small": lambda: scene("obama-neutral", 70),
    "dark": dark,
    "black": lambda: np.zeros((480, 640, 3), np.uint8),
    "blurred": blurred,
    "mouth covered": lambda: covered(0.5, 1.1),
    "eyes covered": lambda: covered(0.05, 0.5),
    "turned": turned,
}
