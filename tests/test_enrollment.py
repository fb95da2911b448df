"""Enrolling people: the logic on painted faces, the way through the real eyes on photographs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from smileaccess.enrollment import MOST, Desk, NoGoodPicture, Picture, Request, enroll, judge
from smileaccess.errors import EnrollmentRefused, MemberNotFound, RecordsFailed, RecordsUnavailable
from smileaccess.gates import PictureFault
from smileaccess.keys import public_half
from smileaccess.membership import unseal_template
from smileaccess.model import Consent, Face, Frame, Member, MemberStatus, SignedMember, Template
from smileaccess.ports import Members, Recognizer, Vision
from smileaccess.recognizers.embedded import EmbeddedRecognizer
from smileaccess.registry import Registry, disable, forget
from smileaccess.vision.eyes import LocalEyes
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

    def test_few_pictures_are_enough_but_are_warned_of(self, desk: Desk) -> None:
        assert "only 2 pictures" in enroll(desk, pictures(ADA, 2), request("Ada")).warnings[0]


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


# The real way


@pytest.fixture(scope="module")
def eyes() -> Iterator[LocalEyes]:
    made = LocalEyes()
    yield made
    made.close()


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
