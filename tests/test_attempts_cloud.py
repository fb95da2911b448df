"""Whole attempts on Amazon Rekognition, over TLS against the stand-in: what they cost, and whom they let in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import pytest

from smileaccess import settings as configuration
from smileaccess import wiring
from smileaccess.demo.scenes import MEMBER_PHOTOGRAPH, Scene, doorway
from smileaccess.keys import ALL_KEYS, make_keys
from smileaccess.membership import seal_template
from smileaccess.model import Attempt, Bill, IndexedFace, Member, MemberStatus, Outcome, Reason, Template
from smileaccess.rehearsal import FPS, rehearse
from smileaccess.spending import Spending
from smileaccess.vision.eyes import LocalEyes
from tests.acting import FRAME_S, Actors
from tests.fakes_devices import FakeClock
from tests.fakes_vision import beside, framed, photograph, scene
from tests.standin import StandIn

if TYPE_CHECKING:
    from smileaccess.model import Pixels
    from smileaccess.ports import Recognizer

COLLECTION = "smileaccess"
ANN = "m_ann"
THEN = datetime(2026, 1, 1, tzinfo=UTC)
GRANTED = (Outcome.GRANTED, None)
SETTINGS = """\
[door]
name = "side"
[keys]
directory = "{folder}/keys"
[liveness]
mode = "{mode}"
cue_after_s = [0.4, 0.6]
answer_s = 1.5
patience_s = 1.5
[recognition]
recognizers = {recognizers}
fallback_opens = {fallback_opens}
timeout_s = {timeout_s}
[rekognition]
region = "{region}"
endpoint = "{url}"
ca_bundle = "{ca_file}"
credentials = "{folder}/credentials"
profile = "door"
timeout_s = {cloud_timeout_s}
[spending]
attempts_per_minute = 0
"""
PATIENT: dict[str, Any] = {
    "mode": "neutral-then-smile",
    "recognizers": '["rekognition"]',
    "fallback_opens": "true",
    "timeout_s": 10.0,
    "cloud_timeout_s": 9.0,
}
"""Times that a busy machine keeps to."""


def denied(reason: Reason) -> tuple[Outcome, Reason]:
    return Outcome.DENIED, reason


class Door:
    """A door whose members are enrolled in both galleries, and attempts at it in virtual time."""

    def __init__(self, folder: Path, service: StandIn, eyes: LocalEyes, actors: Actors) -> None:
        self.folder, self.service, self.eyes, self.actors = folder, service, eyes, actors
        make_keys(folder / "keys")
        service.write_credentials(folder / "credentials")
        service.client("admin").create_collection(CollectionId=COLLECTION)
        self.settings = self.configured()
        self.keys = wiring.load_keys(self.settings, ALL_KEYS)
        self.bills: list[Bill] = []
        self.clock = FakeClock()
        self.member = self.enrolled()

    def configured(self, **changes: Any) -> configuration.Settings:
        service = self.service
        told = {**PATIENT, **changes, "folder": self.folder, "region": service.region, "url": service.url}
        return configuration.parse(SETTINGS.format(**told, ca_file=service.ca_file))

    def enrolled(self) -> Member:
        """Return the member of the scenes as the enroller would sign him."""
        self.eyes.reset()
        frame = framed(photograph(MEMBER_PHOTOGRAPH.stem))
        embedding = self.eyes.embed(frame, self.eyes.look(frame).faces[0])
        sealed = seal_template(embedding, ANN, "t_1", self.eyes.model, self.keys.templates)
        template = Template("t_1", self.eyes.model, sealed, THEN)
        face = self.indexed(MEMBER_PHOTOGRAPH.read_bytes(), ANN)
        return Member(ANN, 1, "Ann", MemberStatus.ACTIVE, THEN, None, templates=(template,), faces=(face,))

    def indexed(self, picture: bytes, label: str) -> IndexedFace:
        told = self.service.client("admin").index_faces(
            CollectionId=COLLECTION, Image={"Bytes": picture}, ExternalImageId=label, MaxFaces=1
        )
        return IndexedFace(told["FaceRecords"][0]["Face"]["FaceId"], COLLECTION, told["FaceModelVersion"], THEN)

    def recognizer(self, settings: configuration.Settings) -> closing[Recognizer]:
        spending = Spending(settings.spending_rules(), [], self.clock, self.bills.append, lambda *_: None)
        made = wiring.make_recognizer(settings, self.eyes, self.keys, spending, ready=True)
        made.use([self.member])
        return closing(made)

    def attempts(
        self, *plays: list[tuple[str, Pixels]], settings: configuration.Settings | None = None
    ) -> list[Attempt]:
        """Make one attempt after the other at one running recognizer."""
        rules = settings or self.settings
        with self.recognizer(rules) as recognizer:
            before = len(self.service.calls)
            ended = [
                rehearse(rules, pictures, FRAME_S, self.eyes, recognizer, [self.member]).attempt for pictures in plays
            ]
            self.calls = [call.operation for call in self.service.calls[before:]]
        return ended

    def attempt(self, pictures: list[tuple[str, Pixels]], **changes: Any) -> Attempt:
        settings = self.configured(**changes) if changes else None
        return self.attempts(pictures, settings=settings)[0]


@pytest.fixture(scope="module")
def actors(scenes: dict[int, Scene]) -> Actors:
    return Actors(scenes)


@pytest.fixture
def door(tmp_path: Path, service: StandIn, eyes: LocalEyes, actors: Actors) -> Door:
    service.reset()
    return Door(tmp_path, service, eyes, actors)


def ended(attempt: Attempt) -> tuple[Outcome | None, Reason | None]:
    return attempt.outcome, attempt.reason


def still(pixels: Pixels) -> list[tuple[str, Pixels]]:
    return [("still", pixels)]


# What an attempt is, and costs


def test_a_member_is_granted_for_three_calls(door: Door) -> None:
    """One neutral frame to both operations, one smiling frame to DetectFaces; calls and cost go on record."""
    attempt = door.attempt(door.actors.changing(1.0))

    assert (ended(attempt), attempt.member_id, attempt.recognizer) == (GRANTED, ANN, "rekognition")
    assert sorted(door.calls) == ["DetectFaces", "DetectFaces", "SearchFacesByImage"]
    assert (attempt.calls, attempt.cost, attempt.model) == (3, 0.003, "7.0")
    assert sum(bill.calls for bill in door.bills) == 3


def test_twenty_attempts_cost_sixty_calls_on_two_connections(door: Door) -> None:
    """No attempt opens a connection of its own, and none asks more than it must."""
    before = door.service.connections
    attempts = door.attempts(*[door.actors.changing(1.0)] * 20)

    assert {ended(attempt) for attempt in attempts} == {GRANTED}
    assert len(door.calls) <= 60
    assert door.service.connections - before <= 2


@pytest.mark.parametrize("doorstep", ["empty", "dark", "crowded"])
def test_what_the_local_eyes_refuse_costs_nothing(door: Door, doorstep: str) -> None:
    """An empty doorway, a dark one, and two people at once are told without a single call."""
    pixels = {"empty": doorway(), "dark": door.actors.frame(7), "crowded": door.actors.frame(6)}[doorstep]
    reason = {"empty": Reason.NO_FACE, "dark": Reason.TOO_DARK, "crowded": Reason.MULTIPLE_FACES}[doorstep]
    attempt = door.attempt(still(pixels))

    assert (ended(attempt), door.calls) == (denied(reason), [])
    assert (attempt.calls, attempt.cost) == (0, None)


def test_a_stranger_costs_no_more_than_two_searches(door: Door) -> None:
    """Nobody is asked to smile before it is known who it is, and nothing is asked of a stranger's smile."""
    attempt = door.attempt(still(scene("biden-neutral", 180)))

    assert ended(attempt) == denied(Reason.NOT_RECOGNIZED)
    assert (door.calls.count("SearchFacesByImage"), attempt.calls) == (2, 4)


def test_no_attempt_makes_more_calls_than_it_may(door: Door) -> None:
    """However often the service throttles."""
    door.service.faults.error("*", "ThrottlingException")
    attempt = door.attempt(door.actors.changing(1.0))

    assert ended(attempt) == denied(Reason.RECOGNIZER_UNAVAILABLE)
    assert len(door.calls) <= attempt.calls <= 6
    assert attempt.cost == pytest.approx(0.001 * attempt.calls)


def test_a_reached_cap_is_a_reason_of_its_own(door: Door) -> None:
    """No call is made beyond it, and with a fallback the fallback decides."""
    capped = door.configured()
    capped = capped.model_copy(update={"spending": capped.spending.model_copy(update={"calls_per_day": 5})})
    (attempt,) = door.attempts(door.actors.changing(1.0), settings=capped)
    assert (ended(attempt), door.calls) == (denied(Reason.SPENDING_CAP), [])

    kept = capped.recognition.model_copy(update={"recognizers": ("rekognition", "embedded")})
    (attempt,) = door.attempts(door.actors.changing(1.0), settings=capped.model_copy(update={"recognition": kept}))
    assert (ended(attempt), attempt.recognizer, door.calls) == (GRANTED, "embedded", [])


# Who it is, and whose smile it is


def test_a_smiling_stranger_beside_a_larger_unsmiling_member_is_denied(door: Door) -> None:
    """The smile beside does not count for the member."""
    attempt = door.attempt(still(beside("obama-neutral", "collins-smiling", 240, 130)), mode="smile")

    assert (ended(attempt), attempt.member_id) == (denied(Reason.NO_SMILE), ANN)


def test_an_unsmiling_member_beside_a_larger_smiling_stranger_is_denied(door: Door) -> None:
    """The member beside lends the smile no name."""
    attempt = door.attempt(still(beside("collins-smiling", "obama-neutral", 240, 130)), mode="smile")

    assert (ended(attempt), attempt.member_id) == (denied(Reason.NOT_RECOGNIZED), None)


def test_a_stranger_indexed_behind_the_enrollers_back_opens_nothing(door: Door) -> None:
    """Under the member's own label, and found by the service with full similarity."""
    pixels = door.actors.frame(3)
    done, data = cv2.imencode(".jpg", pixels)
    assert done
    door.indexed(data.tobytes(), ANN)
    attempt = door.attempt(still(pixels), mode="smile")

    assert (ended(attempt), attempt.member_id) == (denied(Reason.NOT_RECOGNIZED), None)


def test_the_same_face_signed_opens(door: Door) -> None:
    """The test above fails for nothing but the signature."""
    pixels = door.actors.frame(3)
    done, data = cv2.imencode(".jpg", pixels)
    assert done
    smuggled = door.indexed(data.tobytes(), ANN)
    door.member = replace(door.member, faces=(*door.member.faces, smuggled))

    assert ended(door.attempt(still(pixels), mode="smile")) == GRANTED


def test_a_picture_of_another_person_after_the_search_is_no_smile_of_the_members(door: Door) -> None:
    """Whoever is named by the neutral frame must be the one who smiles: the track breaks."""
    pictures = [*(("calm", door.actors.frame(1)) for _ in range(round(1.5 * FPS))), ("other", door.actors.frame(3))]

    assert ended(door.attempt(pictures)) == denied(Reason.TRACK_LOST)


# What goes wrong


BOTH = '["rekognition", "embedded"]'


@pytest.mark.parametrize("mode", ["neutral-then-smile", "smile", "off"])
@pytest.mark.parametrize("fault", ["hang", "drip", "reset", "throttled", "denied", "garbage", "unheard of"])
def test_the_fallback_lets_the_member_in(door: Door, fault: str, mode: str) -> None:
    """Whatever is wrong with the service; who decided is on record, and what was called in vain is counted."""
    break_service(door, fault)
    attempt = door.attempt(door.actors.changing(1.0), recognizers=BOTH, cloud_timeout_s=0.5, mode=mode)

    assert (ended(attempt), attempt.recognizer) == (GRANTED, "embedded")
    assert attempt.calls >= len(door.calls)


@pytest.mark.parametrize("fault", ["hang", "reset", "throttled", "denied"])
def test_without_a_fallback_the_fault_is_told(door: Door, fault: str) -> None:
    """Never as a person who was not recognized."""
    break_service(door, fault)
    attempt = door.attempt(door.actors.changing(1.0), cloud_timeout_s=0.5)

    assert ended(attempt) == denied(Reason.RECOGNIZER_UNAVAILABLE)


def test_a_fallback_that_may_not_open_does_not(door: Door) -> None:
    """The member is told that the recognizer is gone."""
    break_service(door, "reset")
    attempt = door.attempt(door.actors.changing(1.0), recognizers=BOTH, fallback_opens="false")

    assert (ended(attempt), attempt.recognizer) == (denied(Reason.RECOGNIZER_UNAVAILABLE), "embedded")
    assert "fallback_opens" in attempt.detail["cause"]


def test_a_fallback_that_may_not_open_denies_nobody_while_it_is_not_needed(door: Door) -> None:
    """The rule is about attempts that needed it."""
    attempt = door.attempt(door.actors.changing(1.0), recognizers=BOTH, fallback_opens="false")

    assert (ended(attempt), attempt.recognizer) == (GRANTED, "rekognition")


def test_a_stranger_is_no_member_to_the_fallback_either(door: Door) -> None:
    """A cut line is no way in."""
    break_service(door, "reset")

    attempt = door.attempt(still(door.actors.frame(3)), recognizers=BOTH, mode="smile")
    assert (ended(attempt), attempt.recognizer) == (denied(Reason.NOT_RECOGNIZED), "embedded")


def test_the_cloud_is_left_alone_while_it_is_gone(door: Door) -> None:
    """After two attempts in vain the third makes no call, and waits for nothing."""
    settings = door.configured(recognizers=BOTH, cloud_timeout_s=2.0)
    break_service(door, "throttled")
    attempts = door.attempts(*[door.actors.changing(1.0)] * 3, settings=settings)

    assert [ended(attempt) for attempt in attempts] == [GRANTED] * 3
    assert [attempt.calls > 0 for attempt in attempts] == [True, True, False]


def test_a_cloud_that_goes_away_at_the_smile(door: Door) -> None:
    """The member was named by it, the smile is judged by the fallback, and the record tells both."""
    door.service.faults.error("DetectFaces", "AccessDeniedException")
    with door.recognizer(door.configured(recognizers=BOTH)) as recognizer:
        named_first = _FaultsAfterTheFirst(recognizer, door.service)
        settings = door.configured(recognizers=BOTH)
        attempt = rehearse(settings, door.actors.changing(1.0), FRAME_S, door.eyes, named_first, [door.member]).attempt

    assert (ended(attempt), attempt.recognizer) == (GRANTED, "rekognition")
    assert [each["recognizer"] for each in attempt.detail["examinations"]] == ["rekognition", "embedded"]


class _FaultsAfterTheFirst:
    """A recognizer whose service is well for the first question only."""

    def __init__(self, recognizer: Recognizer, service: StandIn) -> None:
        self._service = service
        self._examine = recognizer.examine
        self.name = recognizer.name
        self.prepare, self.health = recognizer.prepare, recognizer.health
        self.use, self.close = recognizer.use, recognizer.close
        self._asked = 0

    def examine(self, question: Any) -> Any:
        self._service.faults.clear()
        if self._asked:
            self._service.faults.reset("*")
        self._asked += 1
        return self._examine(question)


def break_service(door: Door, fault: str) -> None:
    faults = door.service.faults
    broken: dict[str, Callable[[], None]] = {
        "hang": lambda: faults.hang("*"),
        "drip": lambda: faults.drip("*", interval_s=0.05, where="body"),
        "reset": lambda: faults.reset("*"),
        "throttled": lambda: faults.error("*", "ThrottlingException"),
        "denied": lambda: faults.error("*", "AccessDeniedException"),
        "garbage": lambda: faults.garbage("*", kind="body"),
        "unheard of": lambda: faults.error("*", "SomethingNewException"),
    }
    broken[fault]()
