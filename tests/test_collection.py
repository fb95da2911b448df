"""The collection on Amazon Rekognition: what is asked, what is paid, and every error in our words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader

from smileaccess.errors import (
    CollectionError,
    CollectionFailed,
    CollectionUnavailable,
    FaceNotIndexed,
    SpendingCapReached,
)
from smileaccess.gates import ADVICE, PictureFault
from smileaccess.model import Face, Frame
from smileaccess.recognizers.cloud import Service
from smileaccess.recognizers.collection import PAGE, REMARKS, RekognitionCollection
from smileaccess.vision.eyes import LocalEyes
from tests.builders import PLACE, make_face, make_frame
from tests.fakes_vision import beside, framed, scene
from tests.standin import StandIn

NOON = datetime(2031, 5, 17, 12, tzinfo=UTC)
NOWHERE = "00000000-0000-0000-0000-00000000000"


@dataclass
class Purse:
    """Counts what is paid; refuses from `most` on."""

    paid: list[str] = field(default_factory=list)
    most: int = 1000

    def pay(self, attempt: str) -> None:
        if len(self.paid) >= self.most:
            raise SpendingCapReached("[spending] calls_per_day = 1: reached")
        self.paid.append(attempt)


Make = Callable[..., RekognitionCollection]


@pytest.fixture
def purse() -> Purse:
    return Purse()


@pytest.fixture
def make(service: StandIn, purse: Purse, tmp_path: Path) -> Iterator[Make]:
    made: list[RekognitionCollection] = []
    credentials = service.write_credentials(tmp_path / "credentials")

    def collection(profile: str = "enroller", name: str = "smileaccess", **options: Any) -> RekognitionCollection:
        place = Service(service.region, service.url, str(service.ca_file), str(credentials), profile)
        made.append(RekognitionCollection(place, name, purse, now=lambda: NOON, **{"attempts": 1, **options}))
        return made[-1]

    yield collection
    for each in made:
        each.close()


@pytest.fixture
def collection(make: Make) -> RekognitionCollection:
    made = make()
    made.create()
    return made


def seen(eyes: LocalEyes, pixels: Any, rank: int = 0) -> tuple[Frame, Face]:
    frame = framed(pixels)
    eyes.reset()
    return frame, eyes.look(frame).faces[rank]


@pytest.fixture
def ada(eyes: LocalEyes) -> tuple[Frame, Face]:
    return seen(eyes, scene("obama-neutral", 200))


# Indexing and searching


def test_what_is_asked_for_is_one_face_of_good_quality_and_no_more(
    collection: RekognitionCollection, ada: tuple[Frame, Face]
) -> None:
    asked: dict[str, Mapping[str, Any]] = {}

    def note(params: Mapping[str, Any], model: Any, **_: Any) -> None:
        asked[model.name] = {name: value for name, value in params.items() if name != "Image"}

    collection.describe()
    collection._client.meta.events.register("provide-client-params.rekognition", note)
    collection.index(*ada, "m_ada")
    collection.search(*ada)
    assert asked["IndexFaces"] == {
        "CollectionId": "smileaccess",
        "ExternalImageId": "m_ada",
        "MaxFaces": 1,
        "QualityFilter": "AUTO",
        "DetectionAttributes": ["DEFAULT"],
    }
    assert asked["SearchFacesByImage"] == {"CollectionId": "smileaccess", "FaceMatchThreshold": 80.0, "MaxFaces": 80}


def test_an_indexed_face_is_as_the_service_says_and_of_this_moment(
    collection: RekognitionCollection, ada: tuple[Frame, Face]
) -> None:
    indexed = collection.index(*ada, "m_ada")
    assert (indexed.collection, indexed.model, indexed.added_at) == ("smileaccess", "7.0", NOON)
    assert collection.search(*ada)[0].face_id == indexed.id


def test_the_largest_face_is_not_taken_for_the_smaller_one_that_was_meant(
    collection: RekognitionCollection, eyes: LocalEyes
) -> None:
    frame, second = seen(eyes, beside("obama-neutral", "biden-neutral", 200, 150), 1)
    with pytest.raises(FaceNotIndexed, match="more than one face: one person at a time"):
        collection.index(frame, second, "m_joe")
    assert list(collection.faces()) == []


def test_a_search_with_the_other_face_of_a_picture_finds_nobody(
    collection: RekognitionCollection, eyes: LocalEyes, ada: tuple[Frame, Face]
) -> None:
    collection.index(*ada, "m_ada")
    frame, second = seen(eyes, beside("obama-neutral", "biden-neutral", 200, 150), 1)
    assert collection.search(frame, second) == ()


def test_a_wrong_face_that_cannot_be_removed_is_named_with_what_to_do(
    service: StandIn, collection: RekognitionCollection, eyes: LocalEyes
) -> None:
    frame, second = seen(eyes, beside("obama-neutral", "biden-neutral", 200, 150), 1)
    service.faults.error("DeleteFaces", "InternalServerError")
    with pytest.raises(CollectionFailed, match="members reconcile --repair") as caught:
        collection.index(frame, second, "m_joe")
    ((left, label),) = collection.faces()
    assert (left in str(caught.value), label) == (True, "m_joe")


def test_a_picture_in_which_the_service_sees_nobody_is_told_so(collection: RekognitionCollection) -> None:
    frame, face = make_frame(), make_face(box=PLACE)
    assert collection.search(frame, face) == ()
    with pytest.raises(FaceNotIndexed, match="no face: look straight at the camera"):
        collection.index(frame, face, "m_ada")


@pytest.mark.parametrize(
    ("pixels", "told"),
    [
        (lambda: (scene("obama-neutral", 200) * 0.1).astype("uint8"), "too dark: turn to the light"),
        (lambda: scene("obama-neutral", 56), "face too small: come closer"),
    ],
    ids=["dark", "small"],
)
def test_the_services_reasons_are_told_in_our_words(
    collection: RekognitionCollection, eyes: LocalEyes, pixels: Any, told: str
) -> None:
    frame, face = seen(eyes, pixels())
    with pytest.raises(FaceNotIndexed, match=told):
        collection.index(frame, face, "m_ada")


def test_every_reason_of_the_services_model_has_words() -> None:
    model = Loader().load_service_model("rekognition", "service-2")
    assert set(REMARKS) == set(model["shapes"]["Reason"]["enum"])


@pytest.mark.parametrize(
    ("reason", "fault"),
    [
        ("EXCEEDS_MAX_FACES", PictureFault.SEVERAL_FACES),
        ("EXTREME_POSE", PictureFault.TURNED_AWAY),
        ("LOW_BRIGHTNESS", PictureFault.TOO_DARK),
        ("LOW_SHARPNESS", PictureFault.BLURRED),
        ("SMALL_BOUNDING_BOX", PictureFault.TOO_SMALL),
    ],
)
def test_what_the_local_gates_say_too_is_said_in_the_same_words(reason: str, fault: PictureFault) -> None:
    words = REMARKS[reason]
    assert words == f"{fault.value}: {ADVICE[fault]}"


# Removing and listing


def test_faces_are_removed_in_batches_and_those_that_are_gone_are_no_error(
    service: StandIn, collection: RekognitionCollection, ada: tuple[Frame, Face]
) -> None:
    indexed = collection.index(*ada, "m_ada")
    strangers = [f"{NOWHERE[:-8]}{number:09x}"[:36] for number in range(PAGE)]
    collection.remove([*strangers, indexed.id])
    assert service.count("DeleteFaces") == 2
    assert list(collection.faces()) == []


def test_faces_are_listed_a_page_at_a_time_and_no_sooner_than_needed(
    service: StandIn, collection: RekognitionCollection, ada: tuple[Frame, Face]
) -> None:
    ids = {collection.index(*ada, f"m_{number}").id for number in range(5)}
    collection._client.meta.events.register(
        "provide-client-params.rekognition.ListFaces", lambda params, **_: {**params, "MaxResults": 2}
    )
    listed = collection.faces()
    assert service.count("ListFaces") == 0
    first = [next(listed), next(listed)]
    assert service.count("ListFaces") == 1
    assert {face_id for face_id, _ in [*first, *listed]} == ids
    assert service.count("ListFaces") == 3


# Administration


def test_a_collection_is_made_once_described_listed_and_deleted(make: Make) -> None:
    mine, admin = make("enroller", "house"), make("admin", "house")
    with pytest.raises(CollectionUnavailable, match="not permitted"):  # enroller.json names the collection
        mine.create()
    assert [admin.create(), admin.create()] == [True, False]
    told = admin.describe()
    assert (told.name, told.faces, told.model, told.created_at.tzinfo) == ("house", 0, "7.0", UTC)
    assert told.arn.endswith(":collection/house")
    assert admin.list_ids() == ["house"]
    admin.delete()
    assert admin.list_ids() == []


@pytest.mark.parametrize("ask", ["delete", "list_ids"])
def test_what_the_enroller_may_not_do_is_refused_naming_the_profile(
    collection: RekognitionCollection, ask: str
) -> None:
    with pytest.raises(CollectionUnavailable, match=r"more than config/iam/enroller.json gives: .*--profile"):
        getattr(collection, ask)()


# What it costs


def test_each_try_of_a_billed_call_is_paid_and_nothing_else_is(
    service: StandIn, make: Make, purse: Purse, ada: tuple[Frame, Face]
) -> None:
    collection = make(attempts=3)
    collection.create()
    collection.describe()
    list(collection.faces())
    collection.remove([f"{NOWHERE}1"])
    assert purse.paid == []
    service.faults.error("IndexFaces", "ThrottlingException", times=1)
    collection.index(*ada, "m_ada")
    collection.search(*ada)
    assert purse.paid == ["", "", ""]
    assert service.count("IndexFaces") + service.count("SearchFacesByImage") == 3


def test_what_may_not_be_paid_is_not_sent(
    service: StandIn, collection: RekognitionCollection, purse: Purse, ada: tuple[Frame, Face]
) -> None:
    purse.most = 0
    with pytest.raises(CollectionUnavailable, match=r"\[spending\] calls_per_day"):
        collection.index(*ada, "m_ada")
    assert service.count("IndexFaces") == 0


# Errors


@pytest.mark.parametrize(
    ("code", "kind", "told"),
    [
        ("ThrottlingException", CollectionUnavailable, "throttled.*try again in a minute"),
        ("ProvisionedThroughputExceededException", CollectionUnavailable, "throttled"),
        ("InternalServerError", CollectionUnavailable, "unavailable.*then try again"),
        ("AccessDeniedException", CollectionUnavailable, "not permitted.*policy of config/iam/"),
        (
            "UnrecognizedClientException",
            CollectionUnavailable,
            r"check \[rekognition\] region, credentials",
        ),
        ("RequestExpired", CollectionUnavailable, "set this machine's clock"),
        ("ResourceNotFoundException", CollectionFailed, "smileaccess collection create"),
        ("InvalidImageFormatException", CollectionFailed, "rejected"),
        ("ImageTooLargeException", CollectionFailed, "rejected"),
        ("LimitExceededException", CollectionFailed, "rejected"),
    ],
)
def test_each_error_of_the_service_says_what_to_do(
    service: StandIn,
    collection: RekognitionCollection,
    ada: tuple[Frame, Face],
    code: str,
    kind: type[CollectionError],
    told: str,
) -> None:
    service.faults.error("SearchFacesByImage", code)
    with pytest.raises(kind, match=told):
        collection.search(*ada)


@pytest.mark.parametrize("kind", ["body", "http"])
@pytest.mark.parametrize("ask", ["describe", "faces", "search"])
def test_an_answer_that_is_none_is_unavailable(
    service: StandIn, collection: RekognitionCollection, ada: tuple[Frame, Face], kind: Any, ask: str
) -> None:
    service.faults.garbage("*", kind)
    asked = {"describe": collection.describe, "faces": lambda: list(collection.faces())}
    with pytest.raises(CollectionUnavailable):
        asked.get(ask, lambda: collection.search(*ada))()


@pytest.mark.parametrize("fault", ["hang", "reset", "close"])
def test_an_index_without_an_answer_says_that_a_face_may_be_left(
    service: StandIn, make: Make, ada: tuple[Frame, Face], fault: str
) -> None:
    collection = make(timeout_s=0.5)
    collection.create()
    getattr(service.faults, fault)("IndexFaces", worked=True)
    with pytest.raises(CollectionUnavailable, match="may have been taken in all the same: `smileaccess members rec"):
        collection.index(*ada, "m_ada")
    assert len(list(collection.faces())) == 1


def test_a_place_where_nobody_listens_is_no_matter_of_credentials(tmp_path: Path, service: StandIn) -> None:
    credentials = service.write_credentials(tmp_path / "credentials")
    place = Service(service.region, "https://127.0.0.1:9", "", str(credentials), "enroller")
    with (
        closing(RekognitionCollection(place, "smileaccess", Purse(), now=lambda: NOON, attempts=1)) as nowhere,
        pytest.raises(CollectionUnavailable, match=r"unavailable: .*check the network and \[rekognition\] endpoint"),
    ):
        nowhere.describe()


def test_a_certificate_that_is_not_trusted_is_told(tmp_path: Path, service: StandIn) -> None:
    credentials = service.write_credentials(tmp_path / "credentials")
    place = Service(service.region, service.url, "", str(credentials), "enroller")
    with (
        closing(RekognitionCollection(place, "smileaccess", Purse(), now=lambda: NOON, attempts=1)) as foreign,
        pytest.raises(CollectionUnavailable, match="SSL validation failed"),
    ):
        foreign.describe()


def test_a_profile_that_is_not_there_is_told(make: Make) -> None:
    with pytest.raises(CollectionUnavailable, match=r"\[rekognition\] region, credentials and profile"):
        make("nobody").describe()


def test_answers_of_a_wrong_form_are_malformed_not_unforeseen(make: Make, ada: tuple[Frame, Face]) -> None:
    """Whatever an answer holds, it is read or it is refused."""
    collection = make()
    collection.create()
    answers: list[Mapping[str, Any]] = []
    collection._client.meta.events.register(
        "after-call.rekognition.IndexFaces", lambda parsed, **_: (parsed.clear(), parsed.update(answers[0]))
    )
    box = {"Left": 0.1, "Top": 0.1, "Width": 0.1, "Height": 0.1}
    for answer in (
        {},
        {"FaceRecords": None, "FaceModelVersion": "7.0"},
        {"FaceRecords": [{}], "FaceModelVersion": "7.0"},
        {"FaceRecords": [{"Face": {"FaceId": None, "BoundingBox": box}}], "FaceModelVersion": "7.0"},
        {"FaceRecords": [{"Face": {"FaceId": "x", "BoundingBox": {**box, "Left": "a"}}}], "FaceModelVersion": "7.0"},
        {"FaceRecords": [{"Face": {"FaceId": "x", "BoundingBox": box}}] * 2, "FaceModelVersion": "7.0"},
        {"FaceRecords": [], "FaceModelVersion": "7.0", "UnindexedFaces": [{"Reasons": ["LOW_SHARPNESS"]}]},
    ):
        answers[:] = [answer]
        with pytest.raises(CollectionUnavailable, match="malformed answer"):
            collection.index(*ada, "m_ada")


def test_closing_twice_does_no_harm_and_a_closed_one_opens_again(collection: RekognitionCollection) -> None:
    collection.close()
    collection.close()
    assert collection.describe().faces == 0


def test_nothing_is_connected_to_before_the_first_call(service: StandIn, make: Make) -> None:
    assert (make().name, service.count(), service.connections) == ("smileaccess", 0, 0)
