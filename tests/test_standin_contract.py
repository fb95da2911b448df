"""Every answer of the stand-in, good or bad, is one that botocore's model of Rekognition allows."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from tests.fakes_vision import FACES
from tests.standin import CREDENTIALS, StandIn
from tests.standin.policies import SERVED
from tests.standin.raw import Reply, ask

MODEL = ServiceModel(Loader().load_service_model("rekognition", "service-2"), "rekognition")
PHOTOGRAPHS = sorted(FACES.glob("*.jpg"))
SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (float, int),
    "timestamp": (float, int),
}
COMMON = {
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "SerializationException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationException",
}
"""What AWS answers for every service, named in no service's model."""


def violations(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """Walk a value by its shape and yield whatever the shape forbids, unknown members too."""
    if isinstance(shape, StructureShape):
        yield from structure_violations(shape, value, path)
    elif isinstance(shape, ListShape):
        yield from limit_violations(shape, len(value), path)
        for place, one in enumerate(value):
            yield from violations(shape.member, one, f"{path}[{place}]")
    elif isinstance(shape, MapShape):
        for key, one in value.items():
            yield from violations(shape.value, one, f"{path}.{key}")
    else:
        yield from scalar_violations(shape, value, path)


def structure_violations(shape: StructureShape, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is no structure"
        return
    yield from (f"{path}.{name}: unknown" for name in value.keys() - shape.members.keys())
    yield from (f"{path}.{name}: missing" for name in set(shape.required_members) - value.keys())
    for name in value.keys() & shape.members.keys():
        yield from violations(shape.members[name], value[name], f"{path}.{name}")


def scalar_violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    allowed = SCALARS[shape.type_name]
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        yield f"{path}: {value!r} is no {shape.type_name}"
        return
    rules = shape.metadata
    yield from limit_violations(shape, len(value) if isinstance(value, str) else value, path)
    if "enum" in rules and value not in rules["enum"]:
        yield f"{path}: {value!r} is none of {rules['enum']}"
    if "pattern" in rules and not re.fullmatch(rules["pattern"], value):
        yield f"{path}: {value!r} is not {rules['pattern']}"


def limit_violations(shape: Shape, size: float, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min", size), shape.metadata.get("max", size)
    if not least <= size <= most:
        yield f"{path}: {size} is not {least}..{most}"


def good(operation: str, reply: Reply) -> Any:
    """Return the answer's JSON, having checked all of it."""
    shape = MODEL.operation_model(operation).output_shape
    enveloped(reply)
    assert (reply.status, list(violations(shape, reply.json))) == (200, []), reply.body[:300]
    return reply.json


def bad(operation: str, reply: Reply) -> tuple[int, str]:
    """Return an error's status and code, having checked its form."""
    enveloped(reply)
    body = reply.json
    code = body["__type"]
    known = {shape.name for shape in MODEL.operation_model(operation).error_shapes}
    assert code in known | COMMON
    assert set(body) == ({"__type", "message"} if code in COMMON else {"__type", "Code", "Logref", "Message"})
    assert body.get("Code", code) == code
    assert all(isinstance(one, str) for one in body.values())
    return reply.status, code


def enveloped(reply: Reply) -> None:
    assert reply.headers["content-type"] == "application/x-amz-json-1.1"
    assert str(uuid.UUID(reply.headers["x-amzn-requestid"])) == reply.headers["x-amzn-requestid"]
    assert int(reply.headers["content-length"]) == len(reply.body)


def image(data: bytes) -> dict[str, str]:
    return {"Bytes": base64.b64encode(data).decode()}


PERSON = image(PHOTOGRAPHS[0].read_bytes())


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with StandIn() as service:
        yield service


@pytest.fixture
def service(running: StandIn) -> StandIn:
    running.reset()
    return running


def test_every_operation_answers_as_the_model_says(service: StandIn) -> None:
    """A collection's whole life with all the photographs: every answer is valid against its output shape."""
    walked = []

    def call(operation: str, **asked: Any) -> Any:
        walked.append(operation)
        return good(operation, ask(service, operation, asked))

    call("CreateCollection", CollectionId="house", Tags={"for": "tests"})
    call("CreateCollection", CollectionId="other")
    call("ListCollections")
    call("ListCollections", MaxResults=1)
    ids = []
    for path in PHOTOGRAPHS:
        picture = image(path.read_bytes())
        call("DetectFaces", Image=picture)
        call("DetectFaces", Image=picture, Attributes=["ALL"])
        records = call(
            "IndexFaces", CollectionId="house", Image=picture, ExternalImageId=path.stem, DetectionAttributes=["ALL"]
        )["FaceRecords"]
        call("IndexFaces", CollectionId="other", Image=picture, MaxFaces=1, QualityFilter="HIGH")
        ids += [record["Face"]["FaceId"] for record in records]
        call("SearchFacesByImage", CollectionId="house", Image=picture, FaceMatchThreshold=0)
    call("DescribeCollection", CollectionId="house")
    call("ListFaces", CollectionId="house")
    call("ListFaces", CollectionId="house", MaxResults=2)
    call("DeleteFaces", CollectionId="house", FaceIds=[*ids, str(uuid.uuid4())])
    call("DeleteCollection", CollectionId="house")

    assert len(ids) == len(PHOTOGRAPHS)
    assert set(walked) == set(SERVED)


@pytest.mark.parametrize(
    ("operation", "asked", "expected"),
    [
        ("CreateCollection", {"CollectionId": "house"}, (400, "ResourceAlreadyExistsException")),
        ("CreateCollection", {"CollectionId": "my house"}, (400, "ValidationException")),
        ("CreateCollection", {"CollectionId": ""}, (400, "ValidationException")),
        ("CreateCollection", {"CollectionId": "x" * 256}, (400, "ValidationException")),
        ("CreateCollection", {"CollectionId": 7}, (400, "ValidationException")),
        ("CreateCollection", {}, (400, "ValidationException")),
        ("CreateCollection", b"{", (400, "SerializationException")),
        ("CreateCollection", b"[]", (400, "SerializationException")),
        ("DescribeCollection", {"CollectionId": "none"}, (400, "ResourceNotFoundException")),
        ("DeleteCollection", {"CollectionId": "none"}, (400, "ResourceNotFoundException")),
        ("ListCollections", {"NextToken": "nonsense"}, (400, "InvalidPaginationTokenException")),
        ("ListCollections", {"MaxResults": 4097}, (400, "ValidationException")),
        ("ListFaces", {"CollectionId": "none"}, (400, "ResourceNotFoundException")),
        ("ListFaces", {"CollectionId": "house", "NextToken": "WzEsMl0="}, (400, "InvalidPaginationTokenException")),
        ("ListFaces", {"CollectionId": "house", "UserId": "ada"}, (400, "ResourceNotFoundException")),
        ("ListFaces", {"CollectionId": "house", "MaxResults": True}, (400, "ValidationException")),
        ("DeleteFaces", {"CollectionId": "house", "FaceIds": []}, (400, "ValidationException")),
        ("DeleteFaces", {"CollectionId": "house", "FaceIds": ["no uuid"]}, (400, "ValidationException")),
        (
            "DeleteFaces",
            {"CollectionId": "none", "FaceIds": [str(uuid.UUID(int=1))]},
            (400, "ResourceNotFoundException"),
        ),
        ("IndexFaces", {"CollectionId": "none", "Image": PERSON}, (400, "ResourceNotFoundException")),
        (
            "IndexFaces",
            {"CollectionId": "house", "Image": PERSON, "ExternalImageId": "Ada Lovelace"},
            (400, "ValidationException"),
        ),
        ("IndexFaces", {"CollectionId": "house", "Image": PERSON, "MaxFaces": 0}, (400, "ValidationException")),
        ("SearchFacesByImage", {"CollectionId": "none", "Image": PERSON}, (400, "ResourceNotFoundException")),
        (
            "SearchFacesByImage",
            {"CollectionId": "house", "Image": PERSON, "FaceMatchThreshold": 100.5},
            (400, "ValidationException"),
        ),
        ("SearchFacesByImage", {"CollectionId": "house"}, (400, "ValidationException")),
        ("DetectFaces", {"Image": {}}, (400, "InvalidParameterException")),
        ("DetectFaces", {"Image": {"Bytes": "no base64!"}}, (400, "ValidationException")),
        ("DetectFaces", {"Image": {"Bytes": ""}}, (400, "ValidationException")),
        ("DetectFaces", {"Image": image(b"GIF89a")}, (400, "InvalidImageFormatException")),
        ("DetectFaces", {"Image": {"S3Object": {"Bucket": "faces", "Name": "a"}}}, (400, "InvalidS3ObjectException")),
        ("DetectFaces", {"Image": PERSON, "Attributes": ["SMILES"]}, (400, "ValidationException")),
    ],
)
def test_every_refusal_has_aws_form(
    service: StandIn, operation: str, asked: Mapping[str, Any] | bytes, expected: tuple[int, str]
) -> None:
    """What is refused is refused with the documented error, in the form of the service's errors."""
    ask(service, "CreateCollection", {"CollectionId": "house"})

    assert bad(operation, ask(service, operation, asked)) == expected


@pytest.mark.parametrize("operation", sorted(set(MODEL.operation_names) - set(SERVED)))
def test_the_rest_of_rekognition_is_refused(service: StandIn, operation: str) -> None:
    """Nobody may call an operation that the stand-in does not know, the administrator neither."""
    reply = ask(service, operation, {})

    assert (reply.status, reply.json["__type"]) == (400, "AccessDeniedException")


def test_an_operation_that_nobody_knows(service: StandIn) -> None:
    """What is no operation of Rekognition at all is unknown."""
    reply = ask(service, "OpenDoor", {})

    assert (reply.status, reply.json["__type"]) == (404, "UnknownOperationException")


@pytest.mark.parametrize(
    "code",
    ["ThrottlingException", "ProvisionedThroughputExceededException", "InternalServerError", "AccessDeniedException"],
)
def test_injected_errors_have_the_same_form(service: StandIn, code: str) -> None:
    """An error set by a test looks like the service's own."""
    service.faults.error("DetectFaces", code)
    status = 500 if code == "InternalServerError" else 400

    assert bad("DetectFaces", ask(service, "DetectFaces", {"Image": PERSON})) == (status, code)


def test_what_the_model_does_not_know_is_passed_over(service: StandIn) -> None:
    """As AWS does, an unknown member and a null are taken for absent."""
    good("DetectFaces", ask(service, "DetectFaces", {"Image": PERSON, "Attributes": None, "Mood": "fine"}))


def test_every_problem_is_named_in_aws_words(service: StandIn) -> None:
    """A refusal names each wrong member by its path and rule."""
    asked = {"CollectionId": "my house", "Image": PERSON, "ExternalImageId": "Ada L"}
    message = ask(service, "IndexFaces", asked).json["message"]

    assert message == (
        "2 validation errors detected: Value 'my house' at 'collectionId' failed to satisfy constraint: Member must "
        r"satisfy regular expression pattern: [a-zA-Z0-9_.\-]+; Value 'Ada L' at 'externalImageId' failed to satisfy "
        r"constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.\-:]+"
    )


def test_permission_goes_before_form(service: StandIn) -> None:
    """Who may not call is told so, however wrong the request is."""
    reply = ask(service, "CreateCollection", b"{", key=CREDENTIALS["door"])

    assert bad("CreateCollection", reply) == (400, "AccessDeniedException")


def test_the_validator_tells_right_from_wrong() -> None:
    """The walk finds a wrong type, an unknown member, a value outside its enumeration, range or pattern."""
    shape = MODEL.operation_model("IndexFaces").output_shape
    wrong = {
        "FaceModelVersion": 7,
        "Mood": "fine",
        "UnindexedFaces": [{"Reasons": ["UGLY"]}],
        "FaceRecords": [{"Face": {"Confidence": 101, "FaceId": "x"}}],
    }

    assert sorted(path.partition(":")[0] for path in violations(shape, wrong)) == [
        ".FaceModelVersion",
        ".FaceRecords[0].Face.Confidence",
        ".FaceRecords[0].Face.FaceId",
        ".Mood",
        ".UnindexedFaces[0].Reasons[0]",
    ]
