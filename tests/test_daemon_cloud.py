"""The daemon on Amazon Rekognition: what it calls, what it counts across restarts, and when the service is gone."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smileaccess.demo.scenes import MEMBER_PHOTOGRAPH
from smileaccess.model import Attempt, IndexedFace, Reason
from tests.doors import GRANTED, House, Reel, building, denied, ended, eventually, make_reel
from tests.standin import CREDENTIALS, StandIn

COLLECTION = "smileaccess"
ATTEMPT_S = 8.0
CLOUD = """
[recognition]
recognizers = {recognizers}
timeout_s = 3.0

[rekognition]
region = "{region}"
endpoint = "{url}"
ca_bundle = "{ca_file}"
credentials = "{credentials}"
profile = "door"
timeout_s = {timeout_s}

[spending]
calls_per_day = {calls_per_day}
"""
ALONE, BOTH = '["rekognition"]', '["rekognition", "embedded"]'


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Reel:
    return make_reel(tmp_path_factory.mktemp("reel"))


@pytest.fixture
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., House]]:
    with building(tmp_path_factory.mktemp) as make:
        yield make


@pytest.fixture
def door(build: Callable[..., House], reel: Reel, service: StandIn, tmp_path: Path) -> Callable[..., House]:
    """Return what starts a door whose member smiles before it, enrolled here and in the service."""
    service.client("admin").create_collection(CollectionId=COLLECTION)

    def started(recognizers: str = ALONE, *, calls_per_day: int = 3000, timeout_s: float = 2.5) -> House:
        told: dict[str, Any] = {"recognizers": recognizers, "calls_per_day": calls_per_day, "timeout_s": timeout_s}
        place = {"region": service.region, "url": service.url, "ca_file": service.ca_file}
        more = CLOUD.format(**told, **place, credentials=service.write_credentials(tmp_path / "credentials"))
        house = build(reel.smiling, attempt_s=ATTEMPT_S, more=more)
        house.enroll(reel, indexed(service))
        house.start()
        return house

    return started


def indexed(service: StandIn) -> IndexedFace:
    told = service.client("admin").index_faces(
        CollectionId=COLLECTION, Image={"Bytes": MEMBER_PHOTOGRAPH.read_bytes()}, ExternalImageId="m", MaxFaces=1
    )
    face = told["FaceRecords"][0]["Face"]
    return IndexedFace(face["FaceId"], COLLECTION, told["FaceModelVersion"], datetime.now(UTC))


def operations(service: StandIn) -> list[str]:
    """Return what was called with the door's key."""
    return sorted(call.operation for call in service.calls if call.access_key == CREDENTIALS["door"].access_key_id)


def in_time(attempt: Attempt) -> bool:
    assert attempt.closed_at is not None
    return attempt.closed_at - attempt.opened_at <= timedelta(seconds=ATTEMPT_S + 1)


def stop(house: House) -> None:
    house.processes[-1].send_signal(signal.SIGTERM)
    assert house.processes[-1].wait(30) == 0


def test_the_connections_are_open_before_anybody_comes(door: Callable[..., House], service: StandIn) -> None:
    """Two of them, and no call."""
    before = service.connections
    door()
    eventually(lambda: service.connections >= before + 2)

    assert operations(service) == []


def test_nothing_but_two_operations_is_ever_called(door: Callable[..., House], service: StandIn) -> None:
    """A start, a grant and a stop: the service refuses this key everything else, and nothing else was tried."""
    house = door()
    attempt = house.attempted()
    stop(house)

    assert (ended(attempt), attempt.recognizer, attempt.calls) == (GRANTED, "rekognition", 3)
    assert operations(service) == ["DetectFaces", "DetectFaces", "SearchFacesByImage"]


def test_what_was_spent_is_known_after_a_restart(door: Callable[..., House]) -> None:
    """The calls of an attempt are on record, told by the status, and counted on by the next start."""
    house = door()
    house.attempted()
    spent = {"calls": 3, "money": 0.003}
    assert (house.status()["spending"]["today"], house.status()["spending"]["this_month"]) == (spent, spent)
    stop(house)
    house.start()

    assert house.status()["spending"]["today"] == spent


def test_what_a_crash_cut_off_counts_as_all_that_it_may_have_cost(door: Callable[..., House]) -> None:
    """Nobody can crash the door to spend beyond its cap."""
    house = door()
    attempt_id = house.begin()
    house.processes[-1].kill()
    house.processes[-1].wait(30)
    with house.spool() as spool:
        assert spool.attempt(attempt_id).closed_at is None
    house.start()

    assert house.status()["spending"]["today"]["calls"] >= 6


def test_a_reached_cap_denies_and_is_on_record(door: Callable[..., House], service: StandIn) -> None:
    """The second attempt would not fit: no call is made for it, and an event says which cap it was."""
    house = door(calls_per_day=8)
    assert ended(house.attempted()) == GRANTED
    assert ended(house.attempted()) == denied(Reason.SPENDING_CAP)

    assert len(operations(service)) == 3
    eventually(lambda: [event for event in house.events() if event.kind == "spending_cap"])
    assert [event.detail["setting"] for event in house.events() if event.kind == "spending_cap"] == ["calls_per_day"]
    lines = [json.loads(line) for line in house.log_text().splitlines()]
    told = [line["kind"] for line in lines if line.get("level") in {"warning", "error"} and "kind" in line]
    assert told == ["spending_cap", "attempt_failed"]


def test_a_hung_service_ends_every_attempt_in_time(door: Callable[..., House], service: StandIn) -> None:
    """As a fault, not as a person who was not recognized, and the operator still gets in."""
    house = door()
    service.faults.hang("*")
    attempts = [house.attempted() for _ in range(2)]
    with house.client() as client:
        client.unlock("the network is gone")
    service.faults.clear()

    assert [ended(attempt) for attempt in attempts] == [denied(Reason.RECOGNIZER_UNAVAILABLE)] * 2
    assert all(map(in_time, attempts))
    assert ended(house.attempted()) == GRANTED


def test_the_fallback_takes_over_and_is_told(door: Callable[..., House], service: StandIn) -> None:
    """Within the same attempts; the record and the status say who decides, and since when."""
    house = door(BOTH)
    service.faults.hang("*")
    attempts = [house.attempted() for _ in range(3)]

    assert [(ended(attempt), attempt.recognizer) for attempt in attempts] == [(GRANTED, "embedded")] * 3
    assert all(map(in_time, attempts))
    assert [attempt.calls > 0 for attempt in attempts] == [True, True, False]
    assert house.status()["recognizer"]["active"] == "embedded"
    eventually(lambda: [event for event in house.events() if event.kind == "recognizer_moved"])
    (line,) = house.logged("the fallback is asked from now on")
    assert (line["kind"], line["recognizer"], line["active"]) == ("recognizer_moved", "rekognition", "embedded")


def test_a_change_of_the_service_waits_for_the_next_start(door: Callable[..., House]) -> None:
    """The caps hold at once; who is asked, and where, does not change under an attempt."""
    house = door()
    assert ended(house.attempted()) == GRANTED
    text = house.config.read_text(encoding="utf-8")
    text = text.replace('profile = "door"', 'profile = "admin"').replace("calls_per_day = 3000", "calls_per_day = 8")
    house.config.write_text(text, encoding="utf-8")
    house.processes[-1].send_signal(signal.SIGHUP)
    (told,) = eventually(lambda: house.logged("a change of these takes effect at the next start"))

    assert told["settings"] == ["rekognition"]
    eventually(lambda: house.logged("settings reloaded"))
    assert ended(house.attempted()) == denied(Reason.SPENDING_CAP)
