"""The stand-in's Rekognition: who may ask, and what it sees, stores and finds in real photographs."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from botocore.exceptions import ClientError

from tests.fakes_vision import BOXES, FACES, beside, photograph, scene
from tests.portraits import portrait
from tests.standin import CREDENTIALS, Credentials, StandIn
from tests.standin.errors import AwsError
from tests.standin.policies import DEFAULT, SERVED, Policies, shipped
from tests.standin.raw import ask, line, post, read

if TYPE_CHECKING:
    from smileaccess.model import Pixels

ALLOWED = {
    "door": {"DetectFaces", "SearchFacesByImage"},
    "enroller": {
        "CreateCollection",
        "DescribeCollection",
        "IndexFaces",
        "ListFaces",
        "DeleteFaces",
        "SearchFacesByImage",
    },
    "admin": set(SERVED),
}
OBAMA, SMILING, SPEAKING, BIDEN = (
    (FACES / f"{name}.jpg").read_bytes()
    for name in ("obama-neutral", "obama-smiling", "obama-speaking", "biden-neutral")
)
DEFAULTS = {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}


def encoded(pixels: Pixels, suffix: str = ".png") -> bytes:
    return bytes(cv2.imencode(suffix, pixels)[1])


def code(call: Callable[..., Any], **asked: Any) -> str:
    """Return the code of the error that a client's call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**asked)
    return str(caught.value.response["Error"]["Code"])


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with StandIn(policies=DEFAULT) as service:
        yield service


@pytest.fixture
def service(running: StandIn) -> StandIn:
    running.reset()
    running.consistency_s = 0.0
    return running


@pytest.fixture(scope="module")
def client(running: StandIn) -> Any:
    return running.client("admin")


@pytest.fixture
def house(service: StandIn, client: Any) -> Any:
    """The administrator's client, with an empty collection called house."""
    assert service.calls == []
    client.create_collection(CollectionId="house")
    return client


def index(client: Any, data: bytes, label: str = "m_1", **options: Any) -> Any:
    return client.index_faces(CollectionId="house", Image={"Bytes": data}, ExternalImageId=label, **options)


def search(client: Any, data: bytes, **options: Any) -> Any:
    return client.search_faces_by_image(CollectionId="house", Image={"Bytes": data}, **options)


def found(client: Any, data: bytes, **options: Any) -> list[str]:
    return [match["Face"]["ExternalImageId"] for match in search(client, data, **options)["FaceMatches"]]


def detect(client: Any, data: bytes, *attributes: str) -> list[dict[str, Any]]:
    asked = {"Attributes": list(attributes)} if attributes else {}
    return list(client.detect_faces(Image={"Bytes": data}, **asked)["FaceDetails"])


# Who may ask.


@pytest.mark.parametrize("operation", SERVED)
@pytest.mark.parametrize("user", ALLOWED)
def test_each_key_may_do_what_its_policy_says(service: StandIn, user: str, operation: str) -> None:
    """What a policy grants passes on to the request's form; what it does not is denied first."""
    reply = ask(service, operation, {"CollectionId": "house"}, key=CREDENTIALS[user])
    denied = reply.status == 400 and reply.json["__type"] == "AccessDeniedException"

    assert denied == (operation not in ALLOWED[user])


def test_a_denial_names_user_operation_and_resource(service: StandIn) -> None:
    """The message is AWS's."""
    reply = ask(service, "CreateCollection", {"CollectionId": "house"}, key=CREDENTIALS["door"])

    assert reply.json["Message"] == (
        "User: arn:aws:iam::123456789012:user/door is not authorized to perform: rekognition:CreateCollection on "
        "resource: arn:aws:rekognition:eu-central-1:123456789012:collection/house because no identity-based policy "
        "allows the rekognition:CreateCollection action"
    )


def allow(action: str, resource: str, effect: str = "Allow") -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource}


ANY = "arn:aws:rekognition:*:*:collection/*"
HOUSE = "arn:aws:rekognition:eu-*:*:collection/house"


@pytest.mark.parametrize(
    ("statements", "operation", "collection", "granted"),
    [
        ([allow("rekognition:IndexFaces", ANY)], "IndexFaces", "house", True),
        ([allow("rekognition:indexfaces", HOUSE)], "IndexFaces", "house", True),
        ([allow("rekognition:IndexFaces", HOUSE)], "IndexFaces", "other", False),
        ([allow("rekognition:*", "*")], "IndexFaces", "house", True),
        ([allow("rekognition:*", "*"), allow("rekognition:Index*", HOUSE, "Deny")], "IndexFaces", "house", False),
        ([allow("rekognition:*", "*"), allow("rekognition:Index*", HOUSE, "Deny")], "IndexFaces", "other", True),
        ([allow("rekognition:DetectFaces", "*")], "DetectFaces", None, True),
        ([allow("rekognition:DetectFaces", ANY)], "DetectFaces", None, False),
        ([allow("rekognition:*", "*")], "CompareFaces", None, False),
        ([], "DetectFaces", None, False),
    ],
)
def test_policies_are_matched_as_iam_does(
    statements: list[dict[str, Any]], operation: str, collection: str | None, granted: bool
) -> None:
    """Wildcards in action and resource, an explicit deny, and operations that know no collection."""
    policies = Policies({"door": {"Version": "2012-10-17", "Statement": statements}})
    expected = contextlib.nullcontext() if granted else pytest.raises(AwsError, match=r"^AccessDeniedException: User: ")

    with expected:
        policies.check("door", operation, "eu-central-1", collection)


def test_a_policy_that_is_not_understood_is_no_policy() -> None:
    """A condition would be passed over silently: it is refused when loaded."""
    conditional = {**allow("rekognition:*", "*"), "Condition": {"Bool": {"aws:SecureTransport": "true"}}}

    with pytest.raises(ValueError, match="Condition"):
        Policies({"door": {"Statement": conditional}})


def test_the_projects_own_policies_go_before_the_built_in_ones(tmp_path: Path) -> None:
    """A user's file is used where there is one, and the others keep theirs."""
    own = {"Version": "2012-10-17", "Statement": [allow("rekognition:DetectFaces", "*")]}
    (tmp_path / "door.json").write_text(json.dumps(own))

    assert shipped(tmp_path) == {**DEFAULT, "door": own}


@pytest.mark.parametrize("operation", SERVED)
@pytest.mark.parametrize("user", ["door", "enroller"])
def test_the_projects_own_policies_grant_what_is_needed(user: str, operation: str) -> None:
    """The files that ship with the project allow the door and the enroller their work, and nothing more."""
    granted = operation in ALLOWED[user]
    expected = contextlib.nullcontext() if granted else pytest.raises(AwsError, match=r"^AccessDeniedException: User: ")

    with expected:
        Policies(shipped()).check(user, operation, "eu-central-1", "smileaccess")


def test_clients_need_nothing_of_this_machine(service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile or a proxy in the environment changes nothing."""
    monkeypatch.setenv("AWS_PROFILE", "ghost")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere")
    with ThreadPoolExecutor(1) as pool:  # a new thread, a new session
        client = pool.submit(service.client, "admin").result()

    assert client.list_collections()["CollectionIds"] == []


# Who asks.


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"key": Credentials("AKIANOBODY0000000000", "x")}, "UnrecognizedClientException"),
        ({"key": Credentials(CREDENTIALS["admin"].access_key_id, "wrong")}, "InvalidSignatureException"),
        ({"over": {"X-Amz-Security-Token": "session"}}, "UnrecognizedClientException"),
        ({"over": {"Authorization": ""}}, "MissingAuthenticationTokenException"),
        ({"over": {"Authorization": "Basic YTpi"}}, "IncompleteSignatureException"),
        ({"over": {"X-Amz-Date": "yesterday"}}, "IncompleteSignatureException"),
        ({"over": {"X-Amz-Target": "RekognitionService.ListFaces"}}, "InvalidSignatureException"),
        ({"over": {"X-Amz-Content-SHA256": hashlib.sha256(b"else").hexdigest()}}, "InvalidSignatureException"),
        ({"signed": {"X-Amz-Content-SHA256": hashlib.sha256(b"else").hexdigest()}}, "InvalidSignatureException"),
        ({"region": "moon-west-1"}, "InvalidSignatureException"),
        ({"signed_for": "s3"}, "InvalidSignatureException"),
    ],
)
def test_a_signature_that_does_not_hold_is_refused(service: StandIn, changes: dict[str, Any], expected: str) -> None:
    """Key, secret, scope, signed headers and body are all verified."""
    reply = ask(service, "ListCollections", {}, **changes)

    assert (reply.status, reply.json["__type"]) == (400, expected)
    assert [call.outcome for call in service.calls] == [expected]


@pytest.mark.parametrize("digest", ["UNSIGNED-PAYLOAD", hashlib.sha256(b"{}").hexdigest()])
def test_a_body_may_be_signed_by_its_digest(service: StandIn, digest: str) -> None:
    """The digest may stand in a header, which is then held against the body, or say that the body is not signed."""
    assert ask(service, "ListCollections", {}, signed={"X-Amz-Content-SHA256": digest}).status == 200


def test_a_body_changed_on_the_way_is_refused(service: StandIn) -> None:
    """The signature covers the body."""
    with line(service) as connection:
        post(connection, "ListCollections", {}, over={"Content-Length": "4"})
        connection.send(b"  ")
        reply = read(connection)

    assert reply.json["__type"] == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("minutes", "message"),
    [(-6, "Signature expired: "), (6, "Signature not yet current: "), (-4, None), (4, None)],
)
def test_the_clock_may_be_five_minutes_off(service: StandIn, minutes: int, message: str | None) -> None:
    """Within five minutes a signature holds, beyond it is refused by its time and not by its key."""
    reply = ask(service, "ListCollections", {}, at=datetime.now(UTC) + timedelta(minutes=minutes))

    assert (reply.status == 200) == (message is None)
    assert reply.json.get("message", "").startswith(message or "")


def test_unsigned_is_told_before_unknown_or_malformed(service: StandIn) -> None:
    """Who it is goes before what is asked."""
    reply = ask(service, "OpenDoor", b"{", over={"Authorization": ""})

    assert reply.json["__type"] == "MissingAuthenticationTokenException"
    assert [(call.operation, call.access_key) for call in service.calls] == [("OpenDoor", None)]


# Collections.


def test_a_collections_life(service: StandIn, house: Any) -> None:
    """Created, described, listed and deleted, in its region alone."""
    described = house.describe_collection(CollectionId="house")

    assert (described["FaceCount"], described["FaceModelVersion"]) == (0, "7.0")
    assert described["CollectionARN"] == "arn:aws:rekognition:eu-central-1:123456789012:collection/house"
    assert house.list_collections()["CollectionIds"] == ["house"]
    assert code(house.create_collection, CollectionId="house") == "ResourceAlreadyExistsException"
    assert service.client("admin", region="eu-west-1").list_collections()["CollectionIds"] == []
    assert house.delete_collection(CollectionId="house")["StatusCode"] == 200
    assert code(house.describe_collection, CollectionId="house") == "ResourceNotFoundException"


def test_collections_are_listed_page_by_page(house: Any) -> None:
    """Every page but the last has a token, and together they are the whole, also with the longest names."""
    names = ["house", *(str(number) * 255 for number in range(4))]
    for name in names[1:]:
        house.create_collection(CollectionId=name)
    pages = house.get_paginator("list_collections").paginate(PaginationConfig={"PageSize": 2})

    assert [page["CollectionIds"] for page in pages] == [names[:2], names[2:4], names[4:]]


def test_faces_are_listed_page_by_page_while_some_are_deleted(house: Any) -> None:
    """A token names the place: a face deleted between two pages makes none be passed over."""
    ids = [index(house, data)["FaceRecords"][0]["Face"]["FaceId"] for data in (OBAMA, SMILING, SPEAKING, BIDEN)]
    first = house.list_faces(CollectionId="house", MaxResults=2)
    house.delete_faces(CollectionId="house", FaceIds=ids[:1])
    second = house.list_faces(CollectionId="house", MaxResults=2, NextToken=first["NextToken"])

    assert [face["FaceId"] for face in first["Faces"] + second["Faces"]] == ids
    assert "NextToken" not in second


def test_faces_are_deleted_and_unknown_ones_told(house: Any) -> None:
    """DeleteFaces says which it deleted and which were not there, and what is deleted is not found again."""
    gone = index(house, OBAMA)["FaceRecords"][0]["Face"]["FaceId"]
    missing = "00000000-0000-0000-0000-000000000000"
    answer = house.delete_faces(CollectionId="house", FaceIds=[gone, missing])

    assert answer["DeletedFaces"] == [gone]
    assert answer["UnsuccessfulFaceDeletions"] == [{"FaceId": missing, "Reasons": ["FACE_NOT_FOUND"]}]
    assert house.describe_collection(CollectionId="house")["FaceCount"] == 0
    assert found(house, OBAMA) == []


def test_faces_are_listed_by_their_ids(house: Any) -> None:
    """FaceIds picks out of the collection."""
    ids = [index(house, data)["FaceRecords"][0]["Face"]["FaceId"] for data in (OBAMA, BIDEN)]

    assert [face["FaceId"] for face in house.list_faces(CollectionId="house", FaceIds=ids[1:])["Faces"]] == ids[1:]


# What is seen.


def test_only_what_was_asked_for_comes_back(service: StandIn) -> None:
    """Beside the defaults, an attribute comes by its name, and ALL brings every one."""
    door = service.client("door")

    assert set(detect(door, SMILING)[0]) == DEFAULTS
    assert set(detect(door, SMILING, "DEFAULT")[0]) == DEFAULTS
    assert set(detect(door, SMILING, "SMILE", "EMOTIONS")[0]) == DEFAULTS | {"Smile", "Emotions"}
    assert set(detect(door, SMILING, "EYES_OPEN", "MOUTH_OPEN", "FACE_OCCLUDED")[0]) == (
        DEFAULTS | {"EyesOpen", "MouthOpen", "FaceOccluded"}
    )
    assert len(detect(door, SMILING, "ALL")[0]) == len(DEFAULTS) + 12


@pytest.mark.parametrize(("data", "smiles", "emotion"), [(SMILING, True, "HAPPY"), (OBAMA, False, "CALM")])
def test_a_smile_is_told_from_none(service: StandIn, client: Any, data: bytes, smiles: bool, emotion: str) -> None:
    """Value says what is likelier and Confidence how sure that is; emotions are sorted, the strongest first."""
    assert service.calls == []
    face = detect(client, data, "SMILE", "EMOTIONS")[0]
    confidences = [one["Confidence"] for one in face["Emotions"]]

    assert face["Smile"]["Value"] is smiles
    assert face["Smile"]["Confidence"] > 75
    assert face["Emotions"][0]["Type"] == emotion
    assert confidences == sorted(confidences, reverse=True)


def test_the_box_lies_on_the_face(service: StandIn, client: Any) -> None:
    """BoundingBox is in fractions of the picture, landmarks inside it, and left is the viewer's left."""
    assert service.calls == []
    face = detect(client, OBAMA)[0]
    height, width = photograph("obama-neutral").shape[:2]
    box, points = face["BoundingBox"], {one["Type"]: one for one in face["Landmarks"]}
    pixels = (box["Left"] * width, box["Top"] * height, box["Width"] * width, box["Height"] * height)

    assert pixels == pytest.approx(BOXES["obama-neutral"], abs=2)
    assert box["Left"] < points["eyeLeft"]["X"] < points["nose"]["X"] < points["eyeRight"]["X"]
    assert points["eyeLeft"]["Y"] < points["nose"]["Y"] < points["mouthLeft"]["Y"] < box["Top"] + box["Height"]


def test_faces_come_largest_first_and_all_are_measured(service: StandIn, client: Any) -> None:
    """Also the third face of a picture has a pose and a smile, which the local eyes measure of two alone."""
    assert service.calls == []
    row = np.concatenate([scene("obama-smiling", 150), scene("biden-neutral", 200), scene("collins-smiling", 90)], 1)
    faces = detect(client, encoded(row), "SMILE")
    heights = [round(face["BoundingBox"]["Height"] * row.shape[0], -1) for face in faces]

    assert heights == sorted(heights, reverse=True)
    assert [face["Smile"]["Value"] for face in faces] == [False, True, True]
    assert faces[2]["Pose"] != {"Roll": 0.0, "Yaw": 0.0, "Pitch": 0.0}


def test_a_picture_turned_by_exif_is_seen_upright(service: StandIn, client: Any) -> None:
    """A photograph lying on its side with a note on how it was held is seen as it was held."""
    assert service.calls == []
    lying = encoded(cv2.rotate(photograph("obama-neutral"), cv2.ROTATE_90_COUNTERCLOCKWISE), ".jpg")
    held = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    upright, turned = detect(client, OBAMA)[0], detect(client, lying[:2] + held + lying[2:])[0]

    assert turned["BoundingBox"] == pytest.approx(upright["BoundingBox"], abs=0.01)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (OBAMA[:2000], "InvalidImageFormatException"),
        (b"\x89PNG\r\n\x1a\n", "InvalidImageFormatException"),
        (b"<svg/>", "InvalidImageFormatException"),
        (encoded(photograph("obama-neutral"), ".bmp")[:5_000_000], "InvalidImageFormatException"),
        (encoded(np.zeros((79, 200, 3), np.uint8)), "InvalidParameterException"),
    ],
)
def test_what_is_no_fit_picture_is_refused(service: StandIn, client: Any, data: bytes, expected: str) -> None:
    """Truncated, of another format, or smaller than 80 pixels a side."""
    assert service.calls == []
    assert code(client.detect_faces, Image={"Bytes": data}) == expected


@pytest.mark.parametrize(("size", "outcome"), [(5_242_880, "OK"), (5_242_881, "ImageTooLargeException")])
def test_a_picture_may_have_five_megabytes(service: StandIn, client: Any, size: int, outcome: str) -> None:
    """The limit is 5,242,880 bytes: that much is looked at, and a byte more is too large."""
    data = OBAMA + bytes(size - len(OBAMA))
    if outcome == "OK":
        assert len(detect(client, data)) == 1
    else:
        assert code(client.detect_faces, Image={"Bytes": data}) == outcome

    assert [call.outcome for call in service.calls] == [outcome]


def test_a_picture_without_a_face(house: Any) -> None:
    """Detecting and indexing find nothing; searching is refused as a bad parameter."""
    nobody = encoded(np.full((200, 200, 3), 90, np.uint8))
    indexed = index(house, nobody)

    assert detect(house, nobody) == []
    assert (indexed["FaceRecords"], indexed["UnindexedFaces"]) == ([], [])
    with pytest.raises(ClientError, match=r"InvalidParameterException.*There are no faces in the image"):
        search(house, nobody)


@pytest.mark.parametrize(("side", "seen", "used"), [(45, False, False), (60, True, False), (90, True, True)])
def test_small_faces(house: Any, side: int, seen: bool, used: bool) -> None:
    """A face is found from 40 pixels across, and indexed and searched for from 50."""
    small = encoded(scene("obama-neutral", side))
    indexed = index(house, small)

    assert len(detect(house, small)) == seen
    assert len(indexed["FaceRecords"]) == used
    assert [one["Reasons"] for one in indexed["UnindexedFaces"]] == [["SMALL_BOUNDING_BOX"]] * (seen and not used)
    if not used:
        assert code(house.search_faces_by_image, CollectionId="house", Image={"Bytes": small}) == (
            "InvalidParameterException"
        )


# What is stored and found.


def test_a_person_is_found_in_another_photograph(house: Any) -> None:
    """Indexed neutral and found smiling; somebody else is not found."""
    index(house, OBAMA, "m_obama")
    index(house, SPEAKING, "m_obama")
    answer = search(house, SMILING)

    assert {match["Face"]["ExternalImageId"] for match in answer["FaceMatches"]} == {"m_obama"}
    assert len(answer["FaceMatches"]) == 2
    assert all(match["Similarity"] > 99 for match in answer["FaceMatches"])
    assert found(house, BIDEN) == []


def test_matches_are_the_best_first_above_the_threshold(house: Any) -> None:
    """With a threshold of 0 everybody is a match, the likeliest first, and MaxFaces cuts off the rest."""
    index(house, BIDEN, "m_biden")
    index(house, OBAMA, "m_obama")

    assert found(house, SMILING, FaceMatchThreshold=0) == ["m_obama", "m_biden"]
    assert found(house, SMILING, FaceMatchThreshold=0, MaxFaces=1) == ["m_obama"]
    assert found(house, SMILING, FaceMatchThreshold=100) == []


def test_only_the_largest_face_is_searched_for(house: Any) -> None:
    """Of two people the nearer one is searched for, and the answer says by its box which that was."""
    index(house, OBAMA, "m_obama")
    index(house, BIDEN, "m_biden")
    answer = search(house, encoded(beside("biden-neutral", "obama-neutral")))
    box = answer["SearchedFaceBoundingBox"]

    assert [match["Face"]["ExternalImageId"] for match in answer["FaceMatches"]] == ["m_biden"]
    assert box["Left"] + box["Width"] / 2 == pytest.approx(170 / 640, abs=0.02)
    assert 80 < answer["SearchedFaceConfidence"] <= 100


def test_without_a_limit_every_face_gets_the_label(house: Any) -> None:
    """IndexFaces stores everybody in the picture under one label, unless MaxFaces is 1."""
    both = encoded(beside("obama-neutral", "biden-neutral"))
    alone = index(house, both, "m_alone", MaxFaces=1)
    everybody = index(house, both, "m_both")

    assert [one["Reasons"] for one in alone["UnindexedFaces"]] == [["EXCEEDS_MAX_FACES"]]
    assert [one["Face"]["ExternalImageId"] for one in alone["FaceRecords"]] == ["m_alone"]
    assert [one["Face"]["ExternalImageId"] for one in everybody["FaceRecords"]] == ["m_both", "m_both"]
    assert found(house, BIDEN) == ["m_both"]


def test_the_same_picture_and_label_are_stored_once(house: Any) -> None:
    """Repeating IndexFaces, as a retry does, answers with the same face; another label is another face."""
    first, again, other = (index(house, OBAMA, label) for label in ("m_1", "m_1", "m_2"))

    assert first["FaceRecords"][0]["Face"] == again["FaceRecords"][0]["Face"]
    assert other["FaceRecords"][0]["Face"]["FaceId"] != first["FaceRecords"][0]["Face"]["FaceId"]
    assert house.describe_collection(CollectionId="house")["FaceCount"] == 2


def test_a_face_needs_no_label(house: Any) -> None:
    """Without ExternalImageId there is none in the answer."""
    answer = house.index_faces(CollectionId="house", Image={"Bytes": OBAMA})

    assert "ExternalImageId" not in answer["FaceRecords"][0]["Face"]


@pytest.mark.parametrize(
    ("pixels", "reasons"),
    [
        (portrait("obama-neutral", light=0.2), ["LOW_BRIGHTNESS"]),
        (cv2.GaussianBlur(portrait("obama-neutral"), (0, 0), 9), ["LOW_SHARPNESS"]),
    ],
)
def test_a_face_of_low_quality_is_not_indexed(house: Any, pixels: Pixels, reasons: list[str]) -> None:
    """By default IndexFaces leaves out what is hard to see and says why; with the filter off it takes it."""
    data = encoded(pixels)
    filtered, taken = index(house, data), index(house, data, QualityFilter="NONE")

    assert filtered["FaceRecords"] == []
    assert set(reasons) <= set(filtered["UnindexedFaces"][0]["Reasons"])
    assert len(taken["FaceRecords"]) == 1
    assert found(house, data) == ["m_1"]
    assert code(search_by, house=house, data=data) == "InvalidParameterException"


def search_by(house: Any, data: bytes) -> Any:
    return search(house, data, QualityFilter="HIGH")


def test_a_face_just_indexed_may_be_found_only_later(service: StandIn, house: Any) -> None:
    """Until the collection is consistent a face is listed but not found."""
    service.consistency_s = 3600.0
    index(house, OBAMA)

    assert found(house, OBAMA) == []
    assert len(house.list_faces(CollectionId="house")["Faces"]) == 1

    service.consistency_s = 0.0

    assert found(house, OBAMA) == ["m_1"]


# What is counted.


def test_calls_are_counted_until_reset(service: StandIn, house: Any) -> None:
    """Each call stands there with its operation, key, arrival and outcome; reset forgets them and the collections."""
    code(house.describe_collection, CollectionId="none")
    key = CREDENTIALS["admin"].access_key_id

    assert [(call.operation, call.access_key, call.outcome) for call in service.calls] == [
        ("CreateCollection", key, "OK"),
        ("DescribeCollection", key, "ResourceNotFoundException"),
    ]
    assert service.calls[0].at < service.calls[1].at
    assert (service.count(), service.count("CreateCollection"), service.count("DetectFaces")) == (2, 1, 0)

    service.reset()

    assert (service.calls, service.count(), service.connections) == ([], 0, 0)
    assert house.list_collections()["CollectionIds"] == []
