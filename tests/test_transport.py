"""One connection to a service on this machine: opened ahead, kept, tried when it is old, and cut in time."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.httpsession import get_cert_path

from smileaccess.recognizers.transport import FRESH_S, LARGEST_ANSWER, OLD_S, Transport, TransportError
from tests.doors import eventually
from tests.fakes_devices import PATIENCE_S, FakeClock


@dataclass
class Server:
    """Answers each request with `answer`, or with nothing where that is None; plain HTTP, one thread a guest."""

    answer: bytes | None = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    requests: list[bytes] = field(default_factory=list)
    guests: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                guest, _ = self.socket.accept()
            except OSError:
                return
            self.guests.append(guest)
            self.threads.append(threading.Thread(target=self._serve, args=(guest,), daemon=True))
            self.threads[-1].start()

    def _serve(self, guest: socket.socket) -> None:
        try:
            while request := guest.recv(65536):
                self.requests.append(request)
                if self.answer is not None:
                    guest.sendall(self.answer)
        except OSError:
            return

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.drop()
        for thread in self.threads:
            thread.join(PATIENCE_S)

    def drop(self) -> None:
        """Close every connection, as a server does that has no patience with idle ones."""
        for guest in self.guests:
            with suppress(OSError):
                guest.shutdown(socket.SHUT_RDWR)
            guest.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with closing(Server()) as server:
        yield server


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def connection(clock: FakeClock) -> Iterator[Transport]:
    with closing(Transport(ssl.create_default_context(cafile=get_cert_path(True)), monotonic=clock.monotonic)) as made:
        yield made


def request(server: Server) -> AWSPreparedRequest:
    return AWSPreparedRequest("POST", f"{server.url}/", {"X-Amz-Target": b"Some.Operation"}, b"{}", False)


def test_it_is_opened_by_a_question_that_names_no_operation(server: Server, connection: Transport) -> None:
    """A plain GET of the root, once; while it is fresh nothing more is asked."""
    connection.open(server.url, PATIENCE_S)
    connection.open(server.url, PATIENCE_S)

    assert [each.split(b"\r\n")[0] for each in server.requests] == [b"GET / HTTP/1.1"]
    assert connection.opened == 1


def test_a_request_goes_over_the_open_connection(server: Server, connection: Transport, clock: FakeClock) -> None:
    """Its answer comes back whole, and the headers went as botocore wrote them."""
    connection.open(server.url, PATIENCE_S)
    answer = connection.send(request(server), clock.time + PATIENCE_S)

    assert (answer.status_code, answer.content, connection.opened) == (200, b"ok", 1)
    assert b"X-Amz-Target: Some.Operation\r\n" in server.requests[1]


@pytest.mark.parametrize(
    ("idle_s", "asked", "opened"),
    [(FRESH_S - 1, 1, 1), (FRESH_S, 2, 1), (OLD_S - 1, 2, 1), (OLD_S, 2, 2)],
    ids=["fresh", "idle", "nearly old", "old"],
)
def test_what_was_not_used_lately_is_tried_or_opened_anew(
    server: Server, connection: Transport, clock: FakeClock, idle_s: float, asked: int, opened: int
) -> None:
    """A fresh one is left alone, an idle one is tried, an old one replaced."""
    connection.open(server.url, PATIENCE_S)
    clock.advance(idle_s)
    connection.open(server.url, PATIENCE_S)

    assert (len(server.requests), connection.opened) == (asked, opened)


def test_one_that_the_server_has_closed_is_opened_again(
    server: Server, connection: Transport, clock: FakeClock
) -> None:
    """The next question does not meet a dead connection."""
    connection.open(server.url, PATIENCE_S)
    server.drop()
    clock.advance(FRESH_S)
    connection.open(server.url, PATIENCE_S)

    assert connection.send(request(server), clock.time + PATIENCE_S).content == b"ok"
    assert connection.opened == 2


def test_a_request_without_time_is_not_sent(server: Server, connection: Transport, clock: FakeClock) -> None:
    """Not even connected for."""
    with pytest.raises(TransportError) as caught:
        connection.send(request(server), clock.time)

    assert (caught.value.timed_out, server.requests, connection.opened) == (True, [], 0)


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 200 OK\r\nx-"], ids=["nothing yet", "half its headers"])
def test_what_is_cut_ends_at_once(
    server: Server, connection: Transport, clock: FakeClock, answer: bytes | None
) -> None:
    """From another thread, before the answer is whole; the connection is good for another request."""
    server.answer = answer
    ended: list[TransportError] = []

    def ask() -> None:
        try:
            connection.send(request(server), clock.time + 10 * PATIENCE_S)
        except TransportError as error:
            ended.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    eventually(lambda: server.requests)
    connection.cut()
    thread.join(PATIENCE_S)

    assert [error.timed_out for error in ended] == [True]
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert connection.send(request(server), clock.time + PATIENCE_S).content == b"ok"


def test_a_closed_connection_sends_nothing_more(server: Server, connection: Transport, clock: FakeClock) -> None:
    """A job that was waiting for its turn finds it closed for good."""
    connection.open(server.url, PATIENCE_S)
    connection.close()
    with pytest.raises(TransportError, match="closed"):
        connection.send(request(server), clock.time + PATIENCE_S)

    assert len(server.requests) == 1


def test_an_endless_answer_is_no_answer(server: Server, connection: Transport, clock: FakeClock) -> None:
    """No more is kept of it than the largest that the service gives."""
    body = b"x" * (LARGEST_ANSWER + 1)
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with pytest.raises(TransportError, match="more than"):
        connection.send(request(server), clock.time + PATIENCE_S)


def test_what_is_not_read_to_its_end_is_not_taken_for_the_next_answer(
    server: Server, connection: Transport, clock: FakeClock
) -> None:
    """After a broken answer the connection is another one."""
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    with pytest.raises(TransportError):
        connection.send(request(server), clock.time + PATIENCE_S)
    server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    assert connection.send(request(server), clock.time + PATIENCE_S).content == b"ok"
    assert connection.opened == 2


def test_an_address_where_nobody_listens(connection: Transport) -> None:
    """A refused connection is no timeout."""
    with pytest.raises(TransportError) as caught:
        connection.open("http://127.0.0.1:1", PATIENCE_S)

    assert not caught.value.timed_out
