"""One kept-alive connection to the service, opened ahead of its use and cut at a deadline; it knows no face.

boto3 signs requests and reads answers; how they travel is settled here, by its `before-send` event, since its own
connections can neither be opened ahead nor be ended while a server drips.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import urllib3
from botocore.awsrequest import AWSResponse
from urllib3.connection import HTTPConnection, HTTPSConnection

LARGEST_ANSWER = 4 << 20
"""Bytes: a bound on memory, far above the matches that we ask for at once."""

FRESH_S, OLD_S = 20.0, 240.0
"""A connection that was used within the first number of seconds is taken to be alive; one beyond the second is opened
anew, since a router on the way may have forgotten it without a word; one between them is tried."""

TRY_S = 1.0
"""Seconds that trying a connection may take before another one is opened."""

_PIECE = 1 << 16


class TransportError(Exception):
    """A request was not answered; `timed_out` says that its time ran out."""

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


class Transport:
    """One connection, for one thread at a time; `cut` and `close` may come from any other."""

    def __init__(self, trust: ssl.SSLContext, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Take whom to trust, which other connections may share."""
        self._context = trust
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._cut = self._closed = False
        self._number = 0
        self._used_at: float | None = None
        self._opened = 0
        self._pool: urllib3.HTTPConnectionPool | None = None

    @property
    def opened(self) -> int:
        """How many connections were opened so far."""
        return self._opened

    def open(self, url: str, timeout_s: float) -> None:
        """See to it that the connection is open, by a question that names no operation and costs nothing.

        TransportError where that fails within `timeout_s`.
        """
        now = self._monotonic()
        idle_s = math.inf if self._used_at is None else now - self._used_at
        if idle_s < FRESH_S:
            return
        if idle_s < OLD_S:
            with contextlib.suppress(TransportError):
                self._exchange("GET", url, {}, b"", now + TRY_S)
                return
        self._drop()
        self._exchange("GET", url, {}, b"", now + timeout_s)

    def send(self, request: Any, deadline: float) -> AWSResponse:
        """Send a request as botocore prepared it; return the whole answer, or raise TransportError by `deadline`."""
        headers = {name: _text(value) for name, value in request.headers.items()}
        status, told, body = self._exchange(request.method, request.url, headers, request.body, deadline)
        return AWSResponse(request.url, status, told, _Read(body))

    def cut(self) -> None:
        """End the exchange under way, whatever the other end does; any thread."""
        with self._lock:
            self._cut = True
            _shut(self._socket)

    def _cut_late(self, number: int) -> None:
        """End the exchange of this number, unless it has ended by itself: the next one has its own time."""
        with self._lock:
            if self._number == number:
                self._cut = True
                _shut(self._socket)

    def close(self) -> None:
        """End what is under way, and the connection, for good; any thread, more than once."""
        self._closed = True
        self.cut()
        self._drop()

    def _drop(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _exchange(
        self, method: str, url: str, headers: dict[str, str], body: bytes, deadline: float
    ) -> tuple[int, dict[str, str], bytes]:
        left_s = deadline - self._monotonic()
        if left_s <= 0:
            raise TransportError("no time was left to ask", timed_out=True)
        if self._closed:
            raise TransportError("the connection was closed")
        with self._lock:
            self._cut, self._socket = False, None
            number = self._number
        timer = threading.Timer(left_s, self._cut_late, (number,))
        timer.daemon = True
        timer.start()
        try:
            found = self._ask(method, url, headers, body, left_s)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            self._used_at = None
            raise TransportError(_told(error), timed_out=self._cut or _late(error)) from error
        finally:
            timer.cancel()
            with self._lock:
                cut, self._socket = self._cut, None
                self._number += 1
        if cut:  # amid its headers: what came of them reads like a whole answer without a body
            self._used_at = None
            raise TransportError("cut before the answer was whole", timed_out=True)
        self._used_at = self._monotonic()
        return found

    def _ask(
        self, method: str, url: str, headers: dict[str, str], body: bytes, left_s: float
    ) -> tuple[int, dict[str, str], bytes]:
        pool = self._pool = self._pool or _pool(url, self._context, self._hold)
        answer = pool.urlopen(
            method,
            urlsplit(url).path or "/",
            body=body or None,
            headers={"Host": urlsplit(url).netloc, **headers},
            retries=False,
            redirect=False,
            timeout=urllib3.Timeout(connect=left_s, read=left_s),
            preload_content=False,
            decode_content=False,
        )
        try:
            return answer.status, dict(answer.headers), _whole(answer)
        except BaseException:
            answer.close()  # what was not read to its end must not be taken for the next answer
            raise
        finally:
            answer.release_conn()

    def _hold(self, sock: socket.socket, new: bool) -> None:
        """Take note of the socket that is about to be used, so that it can be cut."""
        with self._lock:
            self._opened += new
            self._socket = sock
            if self._cut:
                _shut(sock)


def _whole(answer: urllib3.BaseHTTPResponse) -> bytes:
    pieces = bytearray()
    for piece in answer.stream(_PIECE):
        pieces += piece
        if len(pieces) > LARGEST_ANSWER:
            raise urllib3.exceptions.ProtocolError(f"an answer of more than {LARGEST_ANSWER} bytes")
    return bytes(pieces)


def _told(error: Exception) -> str:
    """Return what went wrong without urllib3's inner names."""
    return re.sub(r"^\w+\(host=.*?\): ", "", str(error)) or type(error).__name__


def _late(error: Exception) -> bool:
    """Say whether it is time that ran out: urllib3 takes a refused connection for one of its timeouts."""
    refused = isinstance(error, urllib3.exceptions.NewConnectionError)
    return not refused and isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError)


def _shut(sock: socket.socket | None) -> None:
    if sock is not None:
        try:
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # also below TLS: the other end is not asked
        except OSError:
            return  # it has ended by itself


class _Read(io.BytesIO):
    """A body that was read to its end, in the form that botocore asks for."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        """Yield the body."""
        yield self.read()


Hold = Callable[[socket.socket, bool], None]


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _pool(url: str, context: ssl.SSLContext, hold: Hold) -> urllib3.HTTPConnectionPool:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "http":
        plain = urllib3.HTTPConnectionPool(host, port, maxsize=1, block=False)
        plain.ConnectionCls = _held(HTTPConnection, hold)
        return plain
    safe = urllib3.HTTPSConnectionPool(host, port, maxsize=1, block=False, ssl_context=context)
    safe.ConnectionCls = _held(HTTPSConnection, hold)
    return safe


def _held(kind: type[HTTPConnection], hold: Hold) -> Any:
    """Return a connection class that shows its socket whenever it is opened or used again."""

    class Held(kind):  # type: ignore[misc, valid-type]
        def connect(self) -> None:
            super().connect()
            hold(self.sock, True)

        def request(self, *args: Any, **kwargs: Any) -> None:
            if self.sock is not None:
                hold(self.sock, False)
            super().request(*args, **kwargs)

    return Held
