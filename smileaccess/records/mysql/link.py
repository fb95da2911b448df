"""One connection to the central database, over whichever of its addresses answers; no exception of PyMySQL's leaves it.

What was begun in a transaction is never repeated here: whoever began it knows what may be repeated.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from smileaccess.errors import RecordsUnavailable
from smileaccess.records.mysql import faults

SESSION = "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"
"""UTC, and no value that is cut to fit, whatever the server's own settings are."""


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


class Link:
    """A connection that is made when it is first needed, and anew after it was lost; one thread at a time."""

    def __init__(
        self, addresses: Sequence[Address], login: Login, *, connect_s: float = 5.0, timeout_s: float = 10.0
    ) -> None:
        """Take the addresses in the order of their preference, and bounds in seconds: to connect, to read or write."""
        self._addresses = tuple(addresses)
        self._login = login
        self._connect_s = connect_s
        self._timeout_s = timeout_s
        self._connection: Any = None
        self.address: Address | None = None

    @property
    def database(self) -> str:
        """The name of the database."""
        return self._login.database

    def all(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Run a statement (marks are %s) and return all rows of its answer; the errors of `faults`."""
        with self._cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

    def one(self, sql: str, *values: Any) -> Any:
        """Return the first column of the first row, None without a row."""
        with self._cursor() as cursor:
            cursor.execute(sql, values or None)
            row = cursor.fetchone()
            return None if row is None else next(iter(row.values()))

    def change(self, sql: str, *values: Any) -> int:
        """Run a statement and return the number of rows that it changed."""
        with self._cursor() as cursor:
            return int(cursor.execute(sql, values or None))

    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run an `INSERT ... VALUES (%s, ...)` for all rows, as few statements as possible."""
        with self._cursor() as cursor:
            cursor.executemany(sql, rows)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all that is done within, or nothing; a lost connection leaves it open which."""
        self.change("START TRANSACTION")
        try:
            yield
            self.change("COMMIT")
        except BaseException:
            with contextlib.suppress(RecordsUnavailable):
                if self._connection is not None:
                    self.change("ROLLBACK")
            raise

    def close(self) -> None:
        """Let go of the connection; any thread, more than once. The next use makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):  # whatever a connection that is given up still has to say
                connection.close()

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Any]:
        import pymysql  # noqa: PLC0415 -- only where there is a central database

        connection = self._connected()
        try:
            with connection.cursor() as cursor:
                yield cursor
        except (pymysql.MySQLError, OSError) as error:
            ours = faults.ours(error, str(self.address))
            if isinstance(ours, RecordsUnavailable):
                self.close()
            raise ours from error

    def _connected(self) -> Any:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> Any:
        import pymysql  # noqa: PLC0415 -- only where there is a central database
        import pymysql.cursors  # noqa: PLC0415

        address = self.address = self._addresses[0]
        try:
            connection = pymysql.connect(
                host=address.host,
                port=address.port,
                unix_socket=address.socket,
                user=self._login.user,
                password=self._login.password,
                database=self._login.database,
                charset="utf8mb4",
                connect_timeout=self._connect_s,
                read_timeout=self._timeout_s,
                write_timeout=self._timeout_s,
                autocommit=True,
                ssl_disabled=True,
                cursorclass=pymysql.cursors.DictCursor,
                init_command=SESSION,
            )
        except (pymysql.MySQLError, OSError) as error:
            raise faults.ours(error, str(address)) from error
        return connection
