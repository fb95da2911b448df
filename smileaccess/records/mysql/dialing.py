"""Makes one connection to a database server, encrypted where it must be, within a bound; the password never goes first.

Whatever fails is told in our exceptions, and nothing is left open.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from smileaccess.errors import RecordsError, RecordsUnavailable, ShutOut
from smileaccess.records.mysql import faults

SESSION = (
    "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', "
    "innodb_lock_wait_timeout = {wait_s}, lock_wait_timeout = {wait_s}"
)
"""UTC, no value that is cut to fit, and no wait for a lock beyond our own bound, whatever the server's settings are."""

LEAST_S = 0.001

Resolve = Callable[..., Sequence[tuple[Any, ...]]]
"""Looks up a name as `socket.getaddrinfo` does."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: a host and a port, or a socket's path."""

    host: str
    port: int = 3306
    socket: str | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address that a text names: `/path/of/socket`, `host`, `host:port` or `[ipv6]:port`."""
        if text.startswith("/"):
            return cls("localhost", socket=text)
        host, _, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
        if not host:
            host, port = port, ""
        return cls(host.strip("[]"), int(port) if port else 3306)

    @property
    def local(self) -> bool:
        """Whether what goes there stays on this machine."""
        if self.socket is not None or self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:  # a name, wherever it leads
            return False

    def __str__(self) -> str:
        return self.socket or (f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}")


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks, for which database, and how the way there is protected.

    `tls` is "auto" (everywhere but on loopback and sockets), "on" or "off"; `ca` a file of certificates to trust, empty
    for the system's.
    """

    user: str
    password: str = field(repr=False)
    database: str
    tls: str = "auto"
    ca: str = ""

    def encrypts(self, address: Address) -> bool:
        """Say whether nothing may go to an address but over TLS."""
        return self.tls == "on" or (self.tls == "auto" and not address.local)


class Wire:
    """A connection's socket, held a second time: any thread may end what goes on over it, whoever reads or writes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self.why = ""
        """Why it was cut, empty while it was not."""

    def hold(self, sock: socket.socket) -> None:
        """Take a socket in place of the one before; OSError where the wire was cut already."""
        with self._lock:
            if self.why:
                raise ConnectionAbortedError(self.why)
            if self._handle is not None:
                self._handle.close()
            self._handle = sock.dup()

    def cut(self, why: str) -> None:
        """End what goes on, for good; the first reason stays."""
        with self._lock:
            self.why = self.why or why
            if self._handle is not None:
                with suppress(OSError):  # it is not connected, or no longer
                    self._handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the socket; more than once does no harm."""
        with self._lock:
            if self._handle is not None:
                self._handle.close()
                self._handle = None

    @contextmanager
    def bounded(self, seconds: float, why: str) -> Iterator[None]:
        """Cut it unless what is done within is done in time."""
        timer = threading.Timer(seconds, self.cut, [why])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


@dataclass(frozen=True, slots=True)
class Dialer:
    """How connections are made: bounds in seconds, to connect and to read or write; and whether they are to write."""

    login: Login
    connect_s: float
    timeout_s: float
    writes: bool
    resolve: Resolve = socket.getaddrinfo

    def dial(self, address: Address, wire: Wire) -> Any:
        """Return a connection of PyMySQL's over `wire`; blocks for at most `connect_s`.

        ShutOut where the login is refused, RecordsUnavailable for everything else that keeps us out.
        """
        import pymysql  # noqa: PLC0415 -- only where there is a central database

        deadline = time.monotonic() + self.connect_s
        try:
            context = self._context(address)
            sock = self._reach(address, deadline, wire)
            with wire.bounded(_left(deadline), f"no connection within {self.connect_s:g} s"):
                return self._introduce(sock, address, context)
        except (pymysql.MySQLError, OSError, *faults.GARBAGE) as error:
            wire.close()
            raise self._told(error, address, wire) from error
        except BaseException:
            wire.close()
            raise

    def _told(self, error: Exception, address: Address, wire: Wire) -> RecordsError:
        if wire.why:
            return RecordsUnavailable(f"mysql: {address}: {wire.why}")
        original = getattr(error, "original_exception", error)  # PyMySQL's, of the operating system's
        if isinstance(original, ssl.SSLError):
            return faults.untrusted(original, str(address), self.login.ca)
        return faults.ours(error, str(address))

    def _context(self, address: Address) -> ssl.SSLContext | None:
        """Return what must be shown to us before anything is said, None where the way needs no protection."""
        if not self.login.encrypts(address):
            return None
        try:
            context = ssl.create_default_context(cafile=self.login.ca or None)
        except OSError as error:
            raise RecordsUnavailable(
                f'mysql: settings: [mysql] ca = "{self.login.ca}": {error.strerror or error}: '
                "must be a file of certificates (PEM), or empty for the system's"
            ) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Python 3.13 began to refuse certificates as the servers' manuals make them (no key identifiers).
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context

    def _reach(self, address: Address, deadline: float, wire: Wire) -> socket.socket:
        """Return a connected socket, of the first of a name's addresses that takes us; OSError."""
        failure: OSError = OSError(f"{address.host} has no address")
        found = self._looked_up(address, deadline)
        for number, (family, where) in enumerate(found):
            try:
                return _connected(family, where, _left(deadline) / (len(found) - number), wire)
            except OSError as error:
                failure = error
        raise failure

    def _looked_up(self, address: Address, deadline: float) -> list[tuple[int, Any]]:
        """Return families and addresses, within the bound: the system's own look-up knows none, so a thread waits."""
        if address.socket is not None:
            return [(socket.AF_UNIX, address.socket)]
        answers: queue.SimpleQueue[Sequence[tuple[Any, ...]] | Exception] = queue.SimpleQueue()

        def look() -> None:
            try:
                answers.put(self.resolve(address.host, address.port, type=socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                answers.put(error)

        threading.Thread(target=look, name="look-up", daemon=True).start()
        try:
            answer = answers.get(timeout=_left(deadline))
        except queue.Empty:
            raise TimeoutError(f"the name {address.host} was not found within {self.connect_s:g} s") from None
        if isinstance(answer, Exception):
            raise OSError(f"the name {address.host} was not found ({answer})") from answer
        return [(each[0], each[4]) for each in answer]

    def _introduce(self, sock: socket.socket, address: Address, context: ssl.SSLContext | None) -> Any:
        """Log in over a connected socket, which is closed if that fails."""
        import pymysql.connections  # noqa: PLC0415
        import pymysql.cursors  # noqa: PLC0415

        connection = pymysql.connections.Connection(
            host=address.host,
            user=self.login.user,
            password=self.login.password.encode(),  # PyMySQL's own would be latin-1
            database=self.login.database,
            charset="utf8mb4",
            read_timeout=self.timeout_s,
            write_timeout=self.timeout_s,
            autocommit=True,
            local_infile=False,
            ssl=context,
            ssl_disabled=context is None,
            auth_plugin_map=_forbidden(encrypted=context is not None),
            cursorclass=pymysql.cursors.DictCursor,
            program_name="smileaccess",
            init_command=SESSION.format(wait_s=max(1, int(self.timeout_s / 2))),
            defer_connect=True,
        )
        # Like the server, take a socket for protected; PyMySQL does so only where it opens it.
        connection._secure = address.socket is not None
        connection.connect(sock)
        try:
            self._see_what_it_is(connection, address)
        except BaseException:
            connection.close()
            raise
        return connection

    def _see_what_it_is(self, connection: Any, address: Address) -> None:
        """Refuse a node that is not ready, and, in order to write, a replica.

        One of Galera's without the majority still answers what needs no table (seen with MariaDB 10.11); DO it refuses.
        """
        with connection.cursor() as cursor:
            cursor.execute("DO 1")
            cursor.execute("SELECT @@read_only AS standing")
            standing = cursor.fetchone()["standing"]
        if self.writes and str(standing) not in {"0", "OFF"}:
            raise faults.read_only(str(address))


def _left(deadline: float) -> float:
    return max(LEAST_S, deadline - time.monotonic())


def _connected(family: int, where: Any, most_s: float, wire: Wire) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        wire.hold(sock)
        sock.settimeout(most_s)
        sock.connect(where)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except BaseException:
        sock.close()
        raise
    return sock


class _Forbidden:
    """A way to log in that shows the password to whoever asks."""

    def __init__(self, connection: Any) -> None:
        self._host = connection.host

    def authenticate(self, _packet: Any) -> Any:
        raise ShutOut(
            f"mysql: {self._host}: the server asks for the password as it is, which goes over TLS only: "
            'set [mysql] tls = "on", or give the account another way to log in'
        )


def _forbidden(*, encrypted: bool) -> dict[str, type[_Forbidden]]:
    """Return what a server may not switch us to, by the names of the protocol's plugins."""
    always = {"mysql_old_password": _Forbidden}
    return always if encrypted else {**always, "mysql_clear_password": _Forbidden, "dialog": _Forbidden}
