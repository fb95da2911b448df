"""What every adapter of the Collection port promises, over the fake and Amazon Rekognition's stand-in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smileaccess.errors import CollectionUnavailable, FaceNotIndexed
from smileaccess.model import Box, Face, Frame
from smileaccess.ports import Collection, Vision
from smileaccess.recognizers.cloud import Service
from smileaccess.recognizers.collection import RekognitionCollection
from smileaccess.vision.eyes import LocalEyes
from tests.fakes_collection import FakeCollection
from tests.fakes_vision import FakeVision, Painted, framed, painting, scene
from tests.standin import StandIn

ADA, BOB = "ada", "bob"
NOON = datetime(2031, 5, 17, 12, tzinfo=UTC)
PHOTOGRAPHS = {ADA: ("obama-neutral", "obama-smiling"), BOB: ("biden-neutral",)}
PAINTED = {ADA: 10, BOB: 20}


class Free:
    """A purse from which anything is paid."""

    def pay(self, attempt: str) -> None:
        """Pay."""


@dataclass
class Subject:
    """A collection, and pictures that it can see: of whom, which one, and how many pixels high the face is."""

    collection: Collection
    vision: Vision
    pixels: Callable[[str, int, int], object]
    hang_up: Callable[[], object]

    def picture(self, who: str, number: int = 0, side: int = 200) -> tuple[Frame, Face]:
        frame = framed(self.pixels(who, number, side))  # type: ignore[arg-type]
        self.vision.reset()
        return frame, self.vision.look(frame).faces[0]


@pytest.fixture
def fake() -> Subject:
    made = FakeCollection()
    return Subject(
        made,
        FakeVision(),
        lambda who, number, side: painting(Painted(PAINTED[who], 320 + 10 * number, side=side)),
        lambda: made.fail("index", "search", "remove", "faces"),
    )


@pytest.fixture
def rekognition(service: StandIn, eyes: LocalEyes, tmp_path: Path) -> Iterator[Subject]:
    credentials = service.write_credentials(tmp_path / "credentials")
    place = Service(service.region, service.url, str(service.ca_file), str(credentials), "enroller")
    made = RekognitionCollection(place, "smileaccess", Free(), now=lambda: NOON, attempts=1)
    made.create()
    yield Subject(
        made,
        eyes,
        lambda who, number, side: scene(PHOTOGRAPHS[who][number], side),
        lambda: service.faults.close("*"),
    )
    made.close()


@pytest.fixture(params=["fake", "rekognition"])
def subject(request: pytest.FixtureRequest) -> Subject:
    made: Subject = request.getfixturevalue(request.param)
    return made


def test_a_face_is_indexed_under_the_members_id(subject: Subject) -> None:
    indexed = subject.collection.index(*subject.picture(ADA), "m_ada")
    assert indexed.collection == subject.collection.name
    assert (bool(indexed.id), bool(indexed.model), indexed.added_at.tzinfo) == (True, True, UTC)
    assert list(subject.collection.faces()) == [(indexed.id, "m_ada")]


def test_another_picture_finds_it_and_another_person_does_not(subject: Subject) -> None:
    indexed = subject.collection.index(*subject.picture(ADA), "m_ada")
    found = subject.collection.search(*subject.picture(ADA, 1))
    assert [match.face_id for match in found] == [indexed.id]
    assert found[0].similarity >= 99
    assert [match for match in subject.collection.search(*subject.picture(BOB)) if match.similarity >= 99] == []


def test_what_is_most_alike_comes_first(subject: Subject) -> None:
    other = subject.collection.index(*subject.picture(ADA, 1), "m_ada")
    same = subject.collection.index(*subject.picture(ADA), "m_ada")
    found = subject.collection.search(*subject.picture(ADA))
    assert [match.face_id for match in found] == [same.id, other.id]


def test_the_same_picture_under_the_same_id_is_one_face(subject: Subject) -> None:
    first = subject.collection.index(*subject.picture(ADA), "m_ada")
    assert subject.collection.index(*subject.picture(ADA), "m_ada").id == first.id
    assert subject.collection.index(*subject.picture(ADA), "m_bob").id != first.id
    assert len(list(subject.collection.faces())) == 2


def test_a_removed_face_is_found_no_more_and_removing_it_again_is_no_error(subject: Subject) -> None:
    first = subject.collection.index(*subject.picture(ADA), "m_ada")
    second = subject.collection.index(*subject.picture(ADA, 1), "m_ada")
    subject.collection.remove([first.id])
    subject.collection.remove([first.id])
    subject.collection.remove([])
    assert list(subject.collection.faces()) == [(second.id, "m_ada")]
    assert [match.face_id for match in subject.collection.search(*subject.picture(ADA))] == [second.id]


def test_a_face_that_is_too_small_is_not_indexed_and_the_reason_is_told(subject: Subject) -> None:
    with pytest.raises(FaceNotIndexed, match="face too small: come closer"):
        subject.collection.index(*subject.picture(ADA, 0, 56), "m_ada")
    assert list(subject.collection.faces()) == []


def test_a_face_at_another_place_is_neither_indexed_nor_searched_for(subject: Subject) -> None:
    subject.collection.index(*subject.picture(ADA, 1), "m_ada")
    frame, face = subject.picture(ADA)
    elsewhere = replace(face, box=Box(0.0, 0.0, 0.1, 0.1))
    with pytest.raises(FaceNotIndexed):
        subject.collection.index(frame, elsewhere, "m_ada")
    assert subject.collection.search(frame, elsewhere) == ()
    assert len(list(subject.collection.faces())) == 1


def test_what_cannot_be_reached_says_so_by_every_method(subject: Subject) -> None:
    frame, face = subject.picture(ADA)
    subject.hang_up()
    for ask in (
        lambda: subject.collection.index(frame, face, "m_ada"),
        lambda: subject.collection.search(frame, face),
        lambda: subject.collection.remove(["00000000-0000-0000-0000-000000000001"]),
        lambda: list(subject.collection.faces()),
    ):
        with pytest.raises(CollectionUnavailable):
            ask()
