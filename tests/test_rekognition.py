"""The recognizer on Amazon Rekognition, over TLS, against the stand-in: real faces, real signatures, real faults."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import pytest
from structlog.testing import capture_logs

from smileaccess.errors import (
    RecognizerError,
    RecognizerFailed,
    RecognizerTimedOut,
    RecognizerUnavailable,
    SpendingCapReached,
)
from smileaccess.model import Examination, IndexedFace, Member, MemberStatus, Purpose, Question, Reason
from smileaccess.recognizers.cloud import Service, harmless
from smileaccess.recognizers.rekognition import RekognitionRecognizer
from smileaccess.vision.eyes import LocalEyes
from tests.doors import eventually
from tests.fakes_devices import PATIENCE_S
from tests.fakes_vision import beside, framed, scene
from tests.standin import StandIn

if TYPE_CHECKING:
    from smileaccess.model import Pixels

COLLECTION = "smileaccess"
THEN = datetime(2026, 1, 1, tzinfo=UTC)
EVERY = ("DetectFaces", "SearchFacesByImage")


class Purse:
    """Pays for every call, or for the first `most` only; counts by attempt."""

    def __init__(self, most: int = 1000) -> None:
        self.paid: list[str] = []
        self.most = most
        self._lock = threading.Lock()

    def pay(self, attempt: str) -> None:
        with self._lock:
            if len(self.paid) >= self.most:
                raise SpendingCapReached("enough")
            self.paid.append(attempt)


class Cloud:
    """The stand-in, with a collection, and what makes recognizers on it."""

    def __init__(self, service: StandIn, folder: Path, eyes: LocalEyes) -> None:
        self.service = service
        self.eyes = eyes
        self.credentials = folder / "credentials"
        self.made: list[RekognitionRecognizer] = []
        self.told: list[tuple[str, str, Any]] = []
        service.write_credentials(self.credentials)

    def place(self, **changes: str) -> Service:
        service = self.service
        return replace(
            Service(service.region, service.url, str(service.ca_file), str(self.credentials), "door"), **changes
        )

    def recognizer(
        self, purse: Purse | None = None, place: Service | None = None, **options: Any
    ) -> RekognitionRecognizer:
        tell = lambda *told: self.told.append(told)  # noqa: E731
        options.setdefault("timeout_s", PATIENCE_S)  # a busy machine is no fault of the service's
        made = RekognitionRecognizer(place or self.place(), COLLECTION, purse or Purse(), tell=tell, **options)
        self.made.append(made)
        return made

    def member(self, member_id: str, *names: str, label: str = "", **changes: Any) -> Member:
        """Index photographs, and return the member as the enroller would sign them."""
        faces = tuple(self.index(name, label or member_id) for name in names)
        return replace(Member(member_id, 1, "Somebody", MemberStatus.ACTIVE, THEN, None, faces=faces), **changes)

    def index(self, name: str, label: str) -> IndexedFace:
        told = self.service.client("admin").index_faces(
            CollectionId=COLLECTION, Image={"Bytes": jpeg(scene(name))}, ExternalImageId=label, MaxFaces=1
        )
        return IndexedFace(told["FaceRecords"][0]["Face"]["FaceId"], COLLECTION, told["FaceModelVersion"], THEN)

    def question(
        self, pixels: Pixels, purpose: Purpose = Purpose.IDENTITY, *, timeout_s: float = PATIENCE_S, calls: int = 6
    ) -> Question:
        """Ask about the largest face of a picture."""
        frame = framed(pixels)
        self.eyes.reset()
        return Question(frame, self.eyes.look(frame).faces[0], purpose, "a1", timeout_s, calls)


def jpeg(pixels: Pixels) -> bytes:
    done, data = cv2.imencode(".jpg", pixels)
    assert done
    return data.tobytes()


@pytest.fixture
def cloud(service: StandIn, eyes: LocalEyes, tmp_path: Path) -> Iterator[Cloud]:
    service.reset()
    service.client("admin").create_collection(CollectionId=COLLECTION)
    made = Cloud(service, tmp_path, eyes)
    yield made
    for recognizer in made.made:
        recognizer.close()


@pytest.fixture
def known(cloud: Cloud) -> RekognitionRecognizer:
    """A recognizer that knows Ann."""
    recognizer = cloud.recognizer()
    recognizer.use([cloud.member("m_ann", "obama-speaking", "obama-smiling")])
    return recognizer


def names(examination: Examination) -> list[str]:
    return [candidate.member_id for candidate in examination.candidates or () if candidate.similarity >= 99]


def counted(cloud: Cloud) -> dict[str, int]:
    return {operation: cloud.service.count(operation) for operation in EVERY}


# What it says


def test_a_member_is_named_by_one_frame(cloud: Cloud, known: RekognitionRecognizer) -> None:
    """Two calls about one neutral frame tell who it is and where the face is."""
    question = cloud.question(scene("obama-neutral"))
    found = known.examine(question)

    assert (names(found), found.hindrance, found.calls) == (["m_ann"], None, 2)
    assert found.box.same_place(question.face.box)
    assert (found.recognizer, found.model) == ("rekognition", "7.0")


def test_a_stranger_is_nobody(cloud: Cloud, known: RekognitionRecognizer) -> None:
    """A face that is not in the collection has no candidate at the threshold."""
    found = known.examine(cloud.question(scene("biden-neutral")))

    assert (names(found), found.hindrance) == ([], None)


def test_what_a_smiling_face_shows(cloud: Cloud) -> None:
    """One call tells smile and emotions of the face in question, and searches for nobody."""
    recognizer = cloud.recognizer(attributes={Purpose.EXPRESSION: ("SMILE", "EMOTIONS")})
    smiling = recognizer.examine(cloud.question(scene("obama-smiling"), Purpose.EXPRESSION))
    calm = recognizer.examine(cloud.question(scene("obama-neutral"), Purpose.EXPRESSION))

    assert (smiling.candidates, smiling.calls) == (None, 1)
    assert (round(smiling.smile or 0, -2), round(calm.smile or 0, -2)) == (100, 0)
    assert max(smiling.emotions, key=lambda emotion: smiling.emotions[emotion]).value == "happy"


def test_only_what_the_policy_uses_is_asked_for(cloud: Cloud) -> None:
    """Without emotions none are told, and a neutral frame is asked about no smile."""
    recognizer = cloud.recognizer()
    shown = recognizer.examine(cloud.question(scene("obama-smiling"), Purpose.EXPRESSION))
    named = recognizer.examine(cloud.question(scene("obama-neutral")))

    assert shown.smile is not None
    assert (shown.emotions, named.smile, named.emotions) == ({}, None, {})


def test_a_face_that_nobody_signed_opens_nothing(cloud: Cloud) -> None:
    """A stranger indexed behind the enroller's back under a member's label is nobody, and the alarm is raised once."""
    recognizer = cloud.recognizer()
    recognizer.use([cloud.member("m_ann", "obama-neutral")])
    smuggled = cloud.index("biden-neutral", "m_ann")
    with capture_logs() as logs:
        found = [recognizer.examine(cloud.question(scene("biden-neutral"))) for _ in range(2)]

    assert [names(each) for each in found] == [[], []]
    assert [line["face"] for line in logs if line["log_level"] == "error"] == [smuggled.id]
    assert [(kind, detail["label"]) for kind, _, detail in cloud.told] == [("face_refused", "m_ann")]


def test_faces_of_another_collection_do_not_count(cloud: Cloud) -> None:
    """A member enrolled into another collection is nobody in this one."""
    member = cloud.member("m_ann", "obama-neutral")
    moved = replace(member, faces=tuple(replace(face, collection="another") for face in member.faces))
    recognizer = cloud.recognizer()
    recognizer.use([moved])

    assert names(recognizer.examine(cloud.question(scene("obama-neutral")))) == []


@pytest.mark.parametrize(("status", "found"), [(MemberStatus.DISABLED, ["m_ann"]), (MemberStatus.FORGOTTEN, [])])
def test_a_disabled_member_is_found_and_a_forgotten_one_is_not(
    cloud: Cloud, status: MemberStatus, found: list[str]
) -> None:
    """So that the policy can say why it denies; of the other nothing may be known."""
    recognizer = cloud.recognizer()
    recognizer.use([cloud.member("m_ann", "obama-neutral", status=status)])

    assert names(recognizer.examine(cloud.question(scene("obama-neutral")))) == found


# Whose it is


def test_a_stranger_who_smiles_beside_a_larger_member(cloud: Cloud, known: RekognitionRecognizer) -> None:
    """The member is named, and the smile that counts is the member's, who does not."""
    pixels = beside("obama-neutral", "collins-smiling", 240, 130)
    named = known.examine(cloud.question(pixels))
    shown = known.examine(cloud.question(pixels, Purpose.EXPRESSION))

    assert names(named) == ["m_ann"]
    assert (shown.smile or 0) < 30


def test_a_member_who_is_smaller_than_the_stranger_is_not_searched(cloud: Cloud, known: RekognitionRecognizer) -> None:
    """The face in question is the stranger's: the smaller member beside lends no identity."""
    found = known.examine(cloud.question(beside("collins-smiling", "obama-neutral", 240, 130)))

    assert names(found) == []


def test_a_search_that_met_another_face_is_none(cloud: Cloud, known: RekognitionRecognizer) -> None:
    """Asked about the smaller face, the service searches with the larger one: it says so, and the answer is refused."""
    question = cloud.question(beside("obama-neutral", "collins-smiling", 240, 130))
    smaller = cloud.eyes.look(question.frame).faces[1]
    found = known.examine(replace(question, face=smaller))

    assert (found.hindrance, found.candidates) == (Reason.MULTIPLE_FACES, None)


def test_no_face_is_told_where_both_calls_agree(cloud: Cloud, known: RekognitionRecognizer) -> None:
    """The search refuses such a picture as it does a bad question; DetectFaces tells which it is."""
    face = cloud.question(scene("obama-neutral")).face
    empty = framed(scene("obama-neutral") * 0 + 90)
    found = known.examine(Question(empty, face, Purpose.IDENTITY, "a1", PATIENCE_S, 6))

    assert (found.hindrance, found.candidates, found.calls) == (Reason.NO_FACE, None, 2)


def test_a_refused_search_of_a_face_is_no_empty_doorway(cloud: Cloud, known: RekognitionRecognizer) -> None:
    """The same error where DetectFaces sees a face is a failure, not nobody."""
    cloud.service.faults.error("SearchFacesByImage", "InvalidParameterException")
    with pytest.raises(RecognizerFailed, match="though DetectFaces sees a face"):
        known.examine(cloud.question(scene("obama-neutral")))


# What it costs


def test_each_call_is_paid_for_before_it_is_made(cloud: Cloud) -> None:
    """By the attempt that it is made for, and no more often than it is made."""
    purse = Purse()
    recognizer = cloud.recognizer(purse)
    recognizer.examine(cloud.question(scene("obama-neutral")))

    assert (purse.paid, counted(cloud)) == (["a1", "a1"], {"DetectFaces": 1, "SearchFacesByImage": 1})


def test_what_may_not_be_paid_is_not_asked(cloud: Cloud) -> None:
    """An empty purse is its own error, and no call is made."""
    recognizer = cloud.recognizer(Purse(most=0))
    with pytest.raises(SpendingCapReached) as caught:
        recognizer.examine(cloud.question(scene("obama-neutral")))

    assert (caught.value.calls, counted(cloud)) == (0, {"DetectFaces": 0, "SearchFacesByImage": 0})


@pytest.mark.parametrize("fault", ["throttled", "reset", "closed", "broken"])
def test_one_try_more_where_that_helps(cloud: Cloud, known: RekognitionRecognizer, fault: str) -> None:
    """A single loss is made up for by one more call, which counts."""
    faults = cloud.service.faults
    {
        "throttled": lambda: faults.error("SearchFacesByImage", "ThrottlingException", times=1),
        "reset": lambda: faults.reset("SearchFacesByImage", times=1),
        "closed": lambda: faults.close("SearchFacesByImage", times=1),
        "broken": lambda: faults.error("SearchFacesByImage", "InternalServerError", times=1),
    }[fault]()
    found = known.examine(cloud.question(scene("obama-neutral")))

    assert (names(found), found.calls) == (["m_ann"], 3)


def test_no_call_beyond_the_number_allowed(cloud: Cloud, known: RekognitionRecognizer) -> None:
    """Where no try more is allowed for, none is made."""
    cloud.service.faults.error("SearchFacesByImage", "ThrottlingException")
    with pytest.raises(RecognizerUnavailable) as caught:
        known.examine(cloud.question(scene("obama-neutral"), calls=2))

    assert caught.value.calls == 2
    assert counted(cloud)["SearchFacesByImage"] == 1


def test_twenty_examinations_on_two_connections(cloud: Cloud, known: RekognitionRecognizer) -> None:
    """They are kept alive; opening them ahead makes no call."""
    before = cloud.service.connections
    neutral, smiling = (
        cloud.question(scene("obama-neutral")),
        cloud.question(scene("obama-smiling"), Purpose.EXPRESSION),
    )
    calls = cloud.service.count()
    for _ in range(20):
        known.prepare()
        known.examine(neutral)
        known.examine(smiling)

    assert cloud.service.connections - before == known.connections == 2
    assert cloud.service.count() - calls == 60


def test_connections_are_opened_without_a_call(cloud: Cloud) -> None:
    """Being ready costs nothing, however often it is asked for."""
    recognizer = cloud.recognizer()
    before = cloud.service.connections
    for _ in range(3):
        recognizer.prepare()
    eventually(lambda: recognizer.connections == 2)
    recognizer.close()

    assert (cloud.service.connections - before, cloud.service.count("DetectFaces")) == (2, 0)


def test_a_sensor_that_fires_does_not_fill_the_queues(cloud: Cloud) -> None:
    """Getting ready again and again while the service says nothing is one try for each connection."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        recognizer = cloud.recognizer(place=cloud.place(endpoint=url))
        for _ in range(100):
            recognizer.prepare()
        recognizer.get_ready()
        silent.setblocking(False)
        guests = []
        with suppress(BlockingIOError):
            while True:
                guests.append(silent.accept()[0])
        for guest in guests:
            guest.close()

    assert len(guests) == 2


# What goes wrong


@pytest.mark.parametrize(
    ("code", "kind", "told"),
    [
        ("ThrottlingException", RecognizerUnavailable, "throttled"),
        ("ProvisionedThroughputExceededException", RecognizerUnavailable, "throttled"),
        ("InternalServerError", RecognizerUnavailable, "unavailable"),
        ("ServiceUnavailable", RecognizerUnavailable, "unavailable"),
        ("AccessDeniedException", RecognizerUnavailable, "config/iam/"),
        ("UnrecognizedClientException", RecognizerUnavailable, "credentials"),
        ("ExpiredTokenException", RecognizerUnavailable, "credentials"),
        ("RequestExpired", RecognizerUnavailable, "clock"),
        ("ResourceNotFoundException", RecognizerUnavailable, "smileaccess collection create"),
        ("ImageTooLargeException", RecognizerFailed, "rejected"),
        ("InvalidImageFormatException", RecognizerFailed, "rejected"),
        ("ValidationException", RecognizerFailed, "rejected"),
        ("SomethingNewException", RecognizerUnavailable, "refused"),
        ("TooManyRequestsException", RecognizerUnavailable, "throttled"),
        ("SubscriptionRequiredException", RecognizerUnavailable, "credentials"),
    ],
)
def test_the_services_errors_are_ours(
    cloud: Cloud, known: RekognitionRecognizer, code: str, kind: type[RecognizerError], told: str
) -> None:
    """Each says what it is and, where trying again does not help, what to do."""
    cloud.service.faults.error("SearchFacesByImage", code)
    with pytest.raises(kind, match=told):
        known.examine(cloud.question(scene("obama-neutral")))


def test_a_face_that_cannot_be_detected_is_a_failure(cloud: Cloud, known: RekognitionRecognizer) -> None:
    """DetectFaces refusing the picture is no empty doorway either."""
    cloud.service.faults.error("DetectFaces", "InvalidParameterException")
    with pytest.raises(RecognizerFailed):
        known.examine(cloud.question(scene("obama-smiling"), Purpose.EXPRESSION))


@pytest.mark.parametrize("kind", ["body", "truncated", "http"])
def test_an_answer_that_is_none(cloud: Cloud, known: RekognitionRecognizer, kind: str) -> None:
    """What is no JSON, no whole body or no HTTP is a service that is gone, after one more try."""
    cloud.service.faults.garbage("DetectFaces", kind=kind)
    with pytest.raises(RecognizerUnavailable) as caught:
        known.examine(cloud.question(scene("obama-smiling"), Purpose.EXPRESSION))

    assert caught.value.calls == 2


@pytest.mark.parametrize("fault", ["hang", "drip headers", "drip body"])
def test_the_time_is_kept_whatever_the_service_does(cloud: Cloud, known: RekognitionRecognizer, fault: str) -> None:
    """A service that hangs or drips is given up at the deadline; what it held is free for the next question."""
    faults = cloud.service.faults
    {
        "hang": lambda: faults.hang("*"),
        "drip headers": lambda: faults.drip("*", interval_s=0.05, where="headers"),
        "drip body": lambda: faults.drip("*", interval_s=0.05, where="body"),
    }[fault]()
    known.get_ready()
    with pytest.raises(RecognizerTimedOut, match=r"1\.00 s") as caught:
        known.examine(cloud.question(scene("obama-neutral"), timeout_s=1.0))
    assert caught.value.calls == 2

    faults.clear()
    assert names(known.examine(cloud.question(scene("obama-neutral")))) == ["m_ann"]


def test_the_recognizers_own_time_bounds_the_questions(cloud: Cloud) -> None:
    """What the settings allow the service is never exceeded, however much a question would."""
    cloud.service.faults.hang("*")
    with pytest.raises(RecognizerTimedOut, match=r"0\.30 s"):
        cloud.recognizer(timeout_s=0.3).examine(cloud.question(scene("obama-neutral")))


def test_a_question_without_time_is_not_asked(cloud: Cloud, known: RekognitionRecognizer) -> None:
    """No call is made that could not be answered in time."""
    with pytest.raises(RecognizerTimedOut):
        known.examine(cloud.question(scene("obama-neutral"), timeout_s=0.0))

    assert counted(cloud) == {"DetectFaces": 0, "SearchFacesByImage": 0}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"profile": "nobody"}, "nobody"),
        ({"credentials_file": "/nowhere", "profile": "door"}, "credentials"),
        ({"endpoint": "https://127.0.0.1:1"}, "unavailable"),
    ],
    ids=["profile", "credentials", "address"],
)
def test_wrong_settings_are_told(cloud: Cloud, changes: dict[str, str], told: str) -> None:
    """A profile, a file or an address that leads nowhere says which it is."""
    purse = Purse()
    recognizer = cloud.recognizer(purse, place=cloud.place(**changes))
    with pytest.raises(RecognizerUnavailable, match=told) as caught:
        recognizer.examine(cloud.question(scene("obama-neutral")))
    assert caught.value.calls == len(purse.paid)
    assert not purse.paid or "endpoint" in changes


@pytest.mark.parametrize("program", ["/nowhere/credentials", "/bin/echo no-json"])
def test_a_program_of_credentials_that_fails(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    """What it fails with is told as the credentials' fault, and nothing is paid for."""
    config = tmp_path / "config"
    config.write_text(f"[profile made]\ncredential_process = {program}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    purse = Purse()
    recognizer = cloud.recognizer(purse, place=cloud.place(profile="made", credentials_file=""))
    with pytest.raises(RecognizerUnavailable, match="credentials"):
        recognizer.examine(cloud.question(scene("obama-neutral")))
    assert purse.paid == []


def test_the_services_words_hold_no_request_and_no_key() -> None:
    """A refusal may quote what was sent: that stays out of log and record, and what is left is one short line."""
    quoted = "Bad signature for AKIAABCDEFGHIJKLWXYZ.\n\nThe Canonical String for this request was\n'POST\ntoken:abc'"
    assert harmless(quoted) == "Bad signature for ...WXYZ."
    assert harmless("no\x0aline  breaks") == "no line breaks"
    assert len(harmless("x" * 10_000)) < 310


def test_a_certificate_that_is_not_trusted(cloud: Cloud) -> None:
    """Nobody else's service is asked: without our CA the stand-in is not believed."""
    recognizer = cloud.recognizer(place=cloud.place(ca_file=""))
    with pytest.raises(RecognizerUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        recognizer.examine(cloud.question(scene("obama-neutral")))
    assert counted(cloud) == {"DetectFaces": 0, "SearchFacesByImage": 0}


def test_a_profile_that_stands_in_the_settings_file_of_credentials_only(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked for there, also for the certificates, which the environment need not name."""
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    cloud.recognizer(place=cloud.place(ca_file=""))
    with pytest.raises(RecognizerUnavailable, match="nobody"):
        cloud.recognizer(place=cloud.place(ca_file="", profile="nobody"))


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "other"])
def test_a_file_of_certificates_that_is_none(cloud: Cloud, tmp_path: Path, content: str | None) -> None:
    """The setting is named when the recognizer is made, not at the first press."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RecognizerUnavailable, match=r"ca_bundle"):
        cloud.recognizer(place=cloud.place(ca_file=str(path)))


def test_a_closed_recognizer_is_unavailable(cloud: Cloud, known: RekognitionRecognizer) -> None:
    """It may be closed more than once."""
    known.close()
    known.close()
    known.prepare()
    with pytest.raises(RecognizerUnavailable):
        known.examine(cloud.question(scene("obama-neutral")))


def test_closing_ends_what_hangs(cloud: Cloud, known: RekognitionRecognizer) -> None:
    """Whoever waits for a service that hangs is let go."""
    cloud.service.faults.hang("*")
    caught: list[Exception] = []

    def ask() -> None:
        try:
            known.examine(question)
        except RecognizerError as error:
            caught.append(error)

    question = cloud.question(scene("obama-neutral"), timeout_s=PATIENCE_S)
    thread = threading.Thread(target=ask)
    thread.start()
    eventually(lambda: sum(counted(cloud).values()) == 2)
    known.close()
    thread.join(PATIENCE_S)

    assert len(caught) == 1
