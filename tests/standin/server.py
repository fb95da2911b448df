"""Serves the stand-in over HTTP/1.1 with keep-alive, on this machine only; what is answered is not decided here.

moto's own server closes every connection and listens on all interfaces; cheroot does neither.
"""

from __future__ import annotations

import logging
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

from cheroot.makefile import MakeFile
from cheroot.server import Gateway, HTTPConnection, HTTPRequest, HTTPServer
from cheroot.ssl import Adapter

from tests.standin import wire
from tests.standin.service import Answer
from tests.standin.signing import Signed

HOST = "127.0.0.1"
WORKERS = 32
"""How many requests may be under way, hang or drip at once."""

_LOG = logging.getLogger(__name__)
_GIVE_UP_S = 1.0
"""How long a worker may still go on when the server stops."""


class Server(HTTPServer):
    """cheroot with our answers; `serve_in_thread` starts it and `stop` ends it, whatever it is doing."""

    request_queue_size = 128
    keep_alive_conn_limit = None
    shutdown_timeout = _GIVE_UP_S
    expiration_interval = 0.1  # how late an idle connection is closed, and how long `stop` takes

    def __init__(
        self,
        answer: Callable[[Signed, float], Answer],
        *,
        port: int,
        idle_s: float,
        context: ssl.SSLContext | None,
    ) -> None:
        super().__init__((HOST, port), _Gateway, minthreads=WORKERS)
        self.ConnectionClass = _Connection
        self.answer = answer
        self.timeout = idle_s
        self.ssl_adapter = None if context is None else _Tls(context)
        self._open: set[_Connection] = set()
        self._accepted = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port in use."""
        return int(self.bind_addr[1])

    @property
    def accepted(self) -> int:
        """How many connections were accepted since `recount`."""
        with self._lock:
            return self._accepted

    def recount(self) -> None:
        """Count connections from 0 again."""
        with self._lock:
            self._accepted = 0

    def serve_in_thread(self) -> None:
        """Listen, then serve in a thread of its own."""
        self.prepare()
        self._thread = threading.Thread(target=self.serve, name="stand-in", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close every connection, also those in the middle of something, and end all threads; more than once."""
        self._hang_up()
        super().stop()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            left = list(self._open)
        for one in left:
            one.close()

    @staticmethod
    def bind_socket(socket_: socket.socket, bind_addr: Any) -> socket.socket:
        """Bind the socket, which cheroot would leave open where that fails."""
        try:
            socket_.bind(bind_addr)
        except OSError:
            socket_.close()
            raise
        return socket_

    def opened(self, connection: _Connection) -> None:
        """Take note of a connection that was accepted."""
        with self._lock:
            self._accepted += 1
            self._open.add(connection)

    def closed(self, connection: _Connection) -> None:
        """Take note of a connection that was closed."""
        with self._lock:
            self._open.discard(connection)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        """Keep cheroot's remarks (mostly on clients that left) out of standard error."""
        _LOG.log(min(level, logging.DEBUG if not traceback else level), "%s", msg, exc_info=traceback)

    def _hang_up(self) -> None:
        with self._lock:
            for one in self._open:
                one.interrupt()


class _Request(HTTPRequest):
    """A request that knows when its first line had come."""

    arrived = 0.0

    def read_request_line(self) -> bool:
        """Read the first line; until then the connection was merely open."""
        read = super().read_request_line()
        self.arrived = time.monotonic()
        return bool(read)


class _Connection(HTTPConnection):
    """A connection that shakes hands on a worker, so that a silent client blocks nobody, and that can be reset."""

    RequestHandlerClass = _Request

    def __init__(self, server: Server, sock: socket.socket, makefile: Any = MakeFile) -> None:
        super().__init__(server, sock, makefile)
        self._greeted = not isinstance(sock, ssl.SSLSocket)
        self._resetting = False
        self._over = False
        self._closing = threading.Lock()
        server.opened(self)

    def communicate(self) -> bool:
        """Serve one request and return whether there may be another."""
        return self._greet() and bool(super().communicate())

    def close(self) -> None:
        """Close the connection, once; after `reset` with an RST instead of a FIN."""
        with self._closing:
            if self._over:
                return
            self._over = True
        try:
            super().close()
        except OSError:
            self.socket.close()
        finally:
            self.server.closed(self)

    def reset(self) -> None:
        """Let `close` reset the connection."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._resetting = True

    def interrupt(self) -> None:
        """Let whoever reads from the connection or writes to it find it over."""
        try:
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)  # not SSLSocket's, which is for one thread only
        except OSError:
            _LOG.debug("a connection was over already")

    def write(self, data: bytes) -> None:
        """Write to the client at once."""
        self.wfile.write(data)

    def fileno(self) -> int:
        """Return the socket's number."""
        return int(self.socket.fileno())

    def _greet(self) -> bool:
        if not self._greeted:
            try:
                self.socket.do_handshake()
            except OSError as error:
                _LOG.debug("no TLS: %s", error)
                return False
            self._greeted = True
        return True

    def _close_kernel_socket(self) -> None:
        if not self._resetting:  # shutdown would send a FIN first
            super()._close_kernel_socket()


class _Gateway(Gateway):
    """Takes a request off cheroot and answers it on the connection itself, past cheroot's own writing."""

    def respond(self) -> None:
        """Answer one request, on the worker's thread."""
        req = self.req
        headers = {name.decode("latin-1").lower(): one.decode("latin-1") for name, one in req.inheaders.items()}
        url = f"{req.scheme.decode()}://{headers.get('host', HOST)}{req.uri.decode('latin-1')}"
        request = Signed(req.method.decode(), url, headers, req.rfile.read())
        req.sent_headers = True
        answer = req.server.answer(request, req.arrived)
        keep, head_only = not req.close_connection and req.server.ready, req.method == b"HEAD"
        try:
            kept = wire.send(req.conn, answer, keep=keep, head_only=head_only)
        except OSError as error:
            _LOG.debug("the client has gone: %s", error)
            kept = False
        req.close_connection = not kept


class _Tls(Adapter):
    """TLS for cheroot from a ready context; the handshake is the connection's."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__("", "")
        self.context = context

    def bind(self, sock: socket.socket) -> socket.socket:
        """Leave the listening socket as it is."""
        return sock

    def wrap(self, sock: socket.socket) -> tuple[ssl.SSLSocket, dict[str, str]]:
        """Return an accepted socket under TLS, before its handshake."""
        wrapped = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return wrapped, self.get_environ()

    def get_environ(self) -> dict[str, str]:
        """Return what every connection's requests are told."""
        return {"wsgi.url_scheme": "https", "HTTPS": "on"}

    def makefile(self, sock: socket.socket, mode: str = "r", bufsize: int = -1) -> Any:
        """Return a file on the socket."""
        return MakeFile(sock, mode, bufsize)
