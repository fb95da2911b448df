"""The stand-in on its sockets: keep-alive, TLS, and everything that can be made to go wrong with an answer."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError, HTTPClientError, ParamValidationError

from tests.fakes_vision import FACES
from tests.standin import CREDENTIALS, StandIn
from tests.standin.policies import DEFAULT
from tests.standin.raw import ask, line, post, read

PHOTOGRAPH = (FACES / "obama-neutral.jpg").read_bytes()
PERSON = {"Image": {"Bytes": base64.b64encode(PHOTOGRAPH).decode()}}


@pytest.fixture(scope="module", params=[True, False], ids=["tls", "plain"])
def running(request: pytest.FixtureRequest) -> Iterator[StandIn]:
    with StandIn(tls=request.param, policies=DEFAULT) as service:
        yield service


@pytest.fixture
def service(running: StandIn) -> StandIn:
    running.reset()
    return running


@pytest.fixture(scope="module")
def secure() -> Iterator[StandIn]:
    with StandIn(policies=DEFAULT) as service:
        yield service


def took(call: Callable[[], Any]) -> float:
    start = time.monotonic()
    call()
    return time.monotonic() - start


def outcomes(service: StandIn) -> list[str]:
    return [call.outcome for call in service.calls]


# Connections.


def test_one_connection_serves_many_calls(service: StandIn) -> None:
    """A client's connection stays open from call to call, whatever the answers are."""
    client = service.client("door")
    for _ in range(3):
        client.detect_faces(Image={"Bytes": PHOTOGRAPH})
    with pytest.raises(ClientError):
        client.create_collection(CollectionId="house")

    assert (service.connections, service.count()) == (1, 4)


def test_a_connection_can_be_opened_ahead_of_need(service: StandIn) -> None:
    """GET / is a short 404 that keeps the connection and is no call."""
    with line(service) as connection:
        connection.request("GET", "/")
        opening = read(connection)
        connection.request("HEAD", "/")
        head = read(connection)
        post(connection, "DetectFaces", PERSON)
        answer = read(connection)

    assert (opening.status, head.status, answer.status) == (404, 404, 200)
    assert "connection" not in opening.headers
    assert (len(opening.body) < 100, head.body) == (True, b"")
    assert (service.connections, service.count()) == (1, 1)


def test_a_client_may_ask_to_close(service: StandIn) -> None:
    """Connection: close is honored and announced."""
    reply = ask(service, "DetectFaces", PERSON, over={"Connection": "close"})

    assert (reply.status, reply.headers["connection"]) == (200, "close")


def test_an_idle_connection_is_closed_after_a_while() -> None:
    """After `idle_s` without a request the server closes, and a client has to connect anew."""
    with StandIn(tls=False, idle_s=0.3, policies=DEFAULT) as service:
        client = service.client("door")
        with line(service) as connection:
            connection.request("GET", "/")
            read(connection)
            client.detect_faces(Image={"Bytes": PHOTOGRAPH})

            assert connection.sock.recv(1) == b""

        assert service.connections == 2
        client.detect_faces(Image={"Bytes": PHOTOGRAPH})

        assert service.count() == 2


def test_only_this_machine_can_connect(service: StandIn) -> None:
    """The server listens on 127.0.0.1 and nowhere else."""
    port = urlsplit(service.url).port

    assert service.url.startswith(f"{'https' if service.ca_file else 'http'}://127.0.0.1:")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", port), timeout=5)


def test_the_certificate_is_checked_against_the_ca(secure: StandIn) -> None:
    """With the CA's file the server is trusted, by address and by name; without it no client connects."""
    port = urlsplit(secure.url).port
    trusting = ssl.create_default_context(cafile=str(secure.ca_file))
    for name in ("127.0.0.1", "localhost"):
        with socket.create_connection(("127.0.0.1", port)) as plain, trusting.wrap_socket(plain, server_hostname=name):
            pass
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost"),
    ):
        pass


def test_another_stand_ins_ca_is_not_trusted(secure: StandIn) -> None:
    """Each one has a CA of its own."""
    with StandIn(policies=DEFAULT) as other:
        client = other.client("door")
        stranger = ssl.create_default_context(cafile=str(secure.ca_file))
        address = urlsplit(other.url)
        with socket.create_connection((address.hostname, address.port)) as plain, pytest.raises(ssl.SSLError):
            stranger.wrap_socket(plain, server_hostname="127.0.0.1")
        client.detect_faces(Image={"Bytes": PHOTOGRAPH})

        assert other.count() == 1


def test_a_silent_client_blocks_nobody(service: StandIn) -> None:
    """Somebody who connects and says nothing, not even hello, keeps no other client waiting."""
    address = ("127.0.0.1", urlsplit(service.url).port)
    with socket.create_connection(address), socket.create_connection(address):
        assert ask(service, "DetectFaces", PERSON).status == 200


def test_calls_are_answered_side_by_side(service: StandIn) -> None:
    """Ten slow answers at once take no longer than a few, and each is whole."""
    service.faults.latency("DetectFaces", 0.3)

    def burst() -> None:
        with ThreadPoolExecutor(10) as pool:
            replies = list(pool.map(lambda _: ask(service, "DetectFaces", PERSON), range(10)))
        assert [reply.status for reply in replies] == [200] * 10

    assert took(burst) < 10 * 0.3


# Latency.


def test_an_answer_takes_at_least_its_latency(service: StandIn) -> None:
    """The whole of it, inference included; another operation's latency is its own."""
    service.faults.latency("DetectFaces", 0.3)
    service.faults.latency("*", 0.1)

    assert took(lambda: ask(service, "DetectFaces", PERSON)) >= 0.3
    assert took(lambda: ask(service, "ListCollections", {})) >= 0.1


def test_an_error_takes_its_latency_too(service: StandIn) -> None:
    """A refusal is as slow as an answer."""
    service.faults.latency("DetectFaces", 0.2)
    service.faults.error("DetectFaces", "ThrottlingException")

    assert took(lambda: ask(service, "DetectFaces", PERSON)) >= 0.2


# Errors.


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ThrottlingException", 400),
        ("ProvisionedThroughputExceededException", 400),
        ("InternalServerError", 500),
        ("ServiceUnavailableException", 503),
    ],
)
def test_an_error_holds_for_so_many_calls(service: StandIn, code: str, status: int) -> None:
    """`times` calls of that operation fail, others do not, and then it is well again."""
    service.faults.error("DetectFaces", code, times=2)
    ask(service, "ListCollections", {})
    replies = [ask(service, "DetectFaces", PERSON) for _ in range(3)]

    assert [reply.status for reply in replies] == [status, status, 200]
    assert outcomes(service) == ["OK", code, code, "OK"]


def test_an_errors_status_may_be_chosen(service: StandIn) -> None:
    """AWS has told throttling as a 400 and as a 500."""
    service.faults.error("DetectFaces", "ThrottlingException", status=500)

    assert ask(service, "DetectFaces", PERSON).status == 500


def test_faults_come_in_the_order_in_which_they_were_set(service: StandIn) -> None:
    """One after the other, those for every operation among them, until cleared."""
    service.faults.error("DetectFaces", "ThrottlingException", times=1)
    service.faults.error("*", "InternalServerError")
    first = [ask(service, "DetectFaces", PERSON).json["__type"] for _ in range(3)]
    service.faults.clear()

    assert first == ["ThrottlingException", "InternalServerError", "InternalServerError"]
    assert ask(service, "DetectFaces", PERSON).status == 200


def test_throttling_is_only_for_those_who_may_call(service: StandIn) -> None:
    """Who is not known is told so, throttled or not."""
    service.faults.error("*", "ThrottlingException")
    reply = ask(service, "CreateCollection", {"CollectionId": "house"}, key=CREDENTIALS["door"])

    assert reply.json["__type"] == "AccessDeniedException"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda faults: faults.error("DetectFace", "ThrottlingException"),
        lambda faults: faults.latency("detect_faces", 1),
        lambda faults: faults.reset("DetectFaces", times=0),
        lambda faults: faults.drip("DetectFaces", where="feet"),
        lambda faults: faults.garbage("DetectFaces", kind="soup"),
    ],
)
def test_a_fault_that_would_never_happen_is_refused(service: StandIn, wrong: Callable[[Any], None]) -> None:
    """A misspelled operation or kind is an error in the test, not a fault that stays away."""
    with pytest.raises(ValueError, match=r"must be|no operation"):
        wrong(service.faults)


# Connections that break.


def ending(connection: http.client.HTTPConnection) -> type[Exception] | None:
    """Return what a connection ends with, below TLS, where Python tells a reset from an orderly end."""
    try:
        while socket.socket.recv(connection.sock, 4096):  # TLS has had tickets to hand out
            pass
    except OSError as error:
        return type(error)
    return None


@pytest.mark.parametrize(("fault", "end"), [("reset", ConnectionResetError), ("close", None)])
def test_a_connection_ends_without_an_answer(service: StandIn, fault: str, end: type[Exception] | None) -> None:
    """By an RST or by an orderly end, and the client is served on its next connection."""
    getattr(service.faults, fault)("DetectFaces", times=1)
    with line(service) as connection:
        post(connection, "DetectFaces", PERSON)

        assert ending(connection) is end

    assert ask(service, "DetectFaces", PERSON).status == 200
    assert outcomes(service) == [fault, "OK"]


@pytest.mark.parametrize("fault", ["reset", "close"])
def test_not_one_byte_is_answered(service: StandIn, fault: str) -> None:
    """The client finds the end where the answer's first line should be."""
    getattr(service.faults, fault)("DetectFaces", times=1)

    with pytest.raises(ConnectionResetError):  # of which http.client's RemoteDisconnected is one
        ask(service, "DetectFaces", PERSON)


def test_nothing_is_answered_until_cleared(service: StandIn) -> None:
    """A hanging call gets no byte while others are served, and its connection is closed when it is let go."""
    service.faults.hang("DetectFaces", times=1)
    with line(service, timeout_s=0.3) as connection:
        post(connection, "DetectFaces", PERSON)
        with pytest.raises(TimeoutError):
            connection.sock.recv(1)
        assert ask(service, "DetectFaces", PERSON).status == 200
        service.faults.clear()
        connection.sock.settimeout(10)

        assert connection.sock.recv(1) == b""

    assert outcomes(service) == ["hang", "OK"]


def test_more_clients_may_give_up_than_there_are_workers(service: StandIn) -> None:
    """A hanging call ends when its client goes away: forty of them leave room for the next."""
    service.faults.hang("DetectFaces")
    for _ in range(40):
        with line(service) as connection:
            post(connection, "DetectFaces", PERSON)

    assert ask(service, "ListCollections", {}).status == 200


def test_the_work_may_be_done_and_only_its_answer_lost(service: StandIn) -> None:
    """With `worked` the request is served and then the connection breaks: a retry finds it done."""
    service.faults.reset("CreateCollection", times=1, worked=True)
    with line(service) as connection:
        post(connection, "CreateCollection", {"CollectionId": "house"})
        with pytest.raises(ConnectionResetError):
            read(connection)

    assert ask(service, "ListCollections", {}).json["CollectionIds"] == ["house"]


# Answers that break.


def test_an_answer_drips_from_its_first_byte(service: StandIn) -> None:
    """Status line and headers come a byte at a time, and the answer is whole in the end."""
    service.faults.drip("ListCollections", interval_s=0.002, where="headers")
    with line(service) as connection:
        post(connection, "ListCollections", {})
        start = time.monotonic()
        received = [connection.sock.recv(1) for _ in b"HTTP/1.1 200 OK\r\n"]
        elapsed = time.monotonic() - start

    assert b"".join(received) == b"HTTP/1.1 200 OK\r\n"
    assert elapsed >= 0.002 * 10


def test_a_dripping_answer_is_whole_in_the_end(service: StandIn) -> None:
    """A patient client gets all of it, and keeps its connection."""
    service.faults.drip("ListCollections", interval_s=0.001, where="headers", times=1)
    service.faults.drip("ListCollections", interval_s=0.001, where="body", times=1)
    with line(service) as connection:
        for _ in range(2):
            post(connection, "ListCollections", {})

            assert read(connection).json == {"CollectionIds": [], "FaceModelVersions": []}

    assert service.connections == 1


def test_a_body_drips_after_its_headers(service: StandIn) -> None:
    """The headers come at once, and the body takes its time."""
    service.faults.drip("ListCollections", interval_s=0.02, where="body")
    with line(service) as connection:
        post(connection, "ListCollections", {})
        answer = connection.getresponse()
        length = int(answer.headers["Content-Length"])
        elapsed = took(answer.read)

    assert answer.status == 200
    assert elapsed >= 0.02 * (length - 5)


def test_a_body_that_is_no_json(service: StandIn) -> None:
    """The answer is good HTTP, with a page where the JSON should be."""
    service.faults.garbage("DetectFaces", kind="body", times=1)
    reply = ask(service, "DetectFaces", PERSON)

    assert reply.status == 200
    with pytest.raises(json.JSONDecodeError):
        _ = reply.json


def test_a_body_that_ends_too_early(service: StandIn) -> None:
    """Content-Length promises more than comes."""
    service.faults.garbage("DetectFaces", kind="truncated", times=1)

    with pytest.raises(http.client.IncompleteRead):
        ask(service, "DetectFaces", PERSON)


def test_an_answer_that_is_no_http(service: StandIn) -> None:
    """What comes has no status line."""
    service.faults.garbage("DetectFaces", kind="http", times=1)

    with pytest.raises(http.client.BadStatusLine):
        ask(service, "DetectFaces", PERSON)


@pytest.mark.parametrize("kind", ["reset", "close", "garbage"])
def test_a_client_of_boto3_comes_to_grief_and_recovers(service: StandIn, kind: str) -> None:
    """What breaks raises in boto3's own terms, and the same client's next call is served."""
    client = service.client("door")
    getattr(service.faults, kind)("DetectFaces", times=1, **({"kind": "http"} if kind == "garbage" else {}))

    with pytest.raises(HTTPClientError):
        client.detect_faces(Image={"Bytes": PHOTOGRAPH})
    assert len(client.detect_faces(Image={"Bytes": PHOTOGRAPH})["FaceDetails"]) == 1


# The end.


@pytest.mark.parametrize("fault", ["hang", "drip", "latency"])
def test_stopping_ends_whatever_is_under_way(fault: str) -> None:
    """A call that hangs, drips or waits is over when the stand-in stops, in less than two seconds."""
    service = StandIn(policies=DEFAULT)
    with service:
        getattr(service.faults, fault)("ListCollections", *([60.0] if fault != "hang" else []))
        with line(service) as connection, line(service) as idle:
            post(connection, "ListCollections", {})
            idle.request("GET", "/")
            read(idle)
            wait_for(lambda: service.count() == 1)

            assert took(service.stop) < 2
            assert idle.sock.recv(1) == b""


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait for another thread's doing, at most ten seconds."""
    tick = threading.Event()
    for _ in range(2000):
        if condition():
            return
        tick.wait(0.005)
    raise AssertionError("it did not happen")


def test_stopping_leaves_nothing_behind() -> None:
    """Threads and the CA's folder are gone, and stopping again does nothing."""
    before = set(threading.enumerate())
    with StandIn(policies=DEFAULT) as service:
        service.client("door").detect_faces(Image={"Bytes": PHOTOGRAPH})
        file = service.ca_file
    service.stop()

    assert file is not None
    assert not file.exists()
    wait_for(lambda: set(threading.enumerate()) <= before)  # cheroot waits for all of its threads but one


def test_a_port_that_is_taken_is_told(service: StandIn) -> None:
    """Two cannot share a port: the second one says so, and leaves nothing open."""
    port = urlsplit(service.url).port
    assert port is not None

    with pytest.raises(OSError, match="in use"), StandIn(port=port):
        pass


def test_clients_check_what_they_send(service: StandIn) -> None:
    """A client made by the stand-in is an ordinary one: it refuses what the model forbids before anything is sent."""
    client = service.client("door")

    with pytest.raises(ParamValidationError):
        client.detect_faces(Picture={"Bytes": PHOTOGRAPH})
    assert service.calls == []
