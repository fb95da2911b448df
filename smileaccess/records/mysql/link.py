"""One connection to the central database, over whichever of its addresses answers; no exception of PyMySQL's leaves it.

What was begun in a transaction is never repeated here: whoever began it knows what may be repeated.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from smileaccess.errors import RecordsBusy, RecordsError, RecordsFailed, RecordsUnavailable, ShutOut
from smileaccess.records.mysql import faults
from smileaccess.records.mysql.dialing import Address, Dialer, Login, Resolve, Wire

__all__ = ["Address", "Link", "Login"]

TOO_LONG = 1153
"""The server ends the connection with this one."""

CLOSED = "closed meanwhile"

_OVER = object()
"""In place of the connection that a transaction began on: the server has ended the transaction."""

Found = TypeVar("Found")


class Link:
    """A connection that is made when it is first needed, and anew after it was lost; one thread at a time.

    Every call ends: within `connect_s` for each address where it has to connect, and `timeout_s` for each time that
    the server is waited for. RecordsUnavailable where it cannot be reached or went away, of which RecordsBusy may be
    tried again at once and ShutOut needs a person; RowRefused for what a row holds; RecordsFailed for the rest. All
    carry the server's number as `code`.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        login: Login,
        *,
        connect_s: float = 5.0,
        timeout_s: float = 10.0,
        writes: bool = False,
        resolve: Resolve = socket.getaddrinfo,
    ) -> None:
        """Take the addresses in the order of their preference, and bounds in seconds: to connect, to read or write.

        One that `writes` passes over servers that are read-only; `resolve` looks up names as `socket.getaddrinfo` does.
        """
        self._addresses = tuple(addresses)
        self._dialer = Dialer(login, connect_s, timeout_s, writes, resolve)
        self._first = 0  # the address to begin with
        self._lock = threading.Lock()  # over the four that `close` looks at
        self._connection: Any = None
        self._wire = Wire()
        self._busy = self._closing = False
        self._began: Any = None  # the connection on which a transaction was begun
        self.address: Address | None = None

    @property
    def database(self) -> str:
        """The name of the database."""
        return self._dialer.login.database

    def all(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Run a statement that only reads (marks are %s) and return all rows of its answer."""

        def ask(cursor: Any) -> list[dict[str, Any]]:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

        return self._do(ask, again=True)

    def one(self, sql: str, *values: Any) -> Any:
        """Run a statement that only reads and return the first column of the first row, None without a row."""
        found = self.all(sql, *values)
        return next(iter(found[0].values())) if found else None

    def change(self, sql: str, *values: Any) -> int:
        """Run a statement and return the number of rows that it changed."""
        return self._do(lambda cursor: int(cursor.execute(sql, values or None)))

    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run an `INSERT ... VALUES (%s, ...)` for all rows, in as few statements as possible."""
        self._do(lambda cursor: cursor.executemany(sql, rows))

    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """Do all that is done within, or nothing; RecordsUnavailable, but for RecordsBusy, leaves it open which."""
        return self._within("START TRANSACTION")

    def snapshot(self) -> contextlib.AbstractContextManager[None]:
        """See one state of all tables, however long it takes, and change none."""
        return self._within(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        )

    def close(self) -> None:
        """Let go of the connection, and end what is under way over it; any thread, more than once.

        A call that is under way ends with RecordsUnavailable. The next one makes a new connection.
        """
        with self._lock:
            if self._busy:
                self._closing = True
                self._wire.cut(CLOSED)
                return
            connection, wire = self._taken()
        _hang_up(connection, wire)

    @contextlib.contextmanager
    def _within(self, *statements: str) -> Iterator[None]:
        if self._began is not None:
            raise RecordsFailed("mysql: a transaction is under way: end it before the next is begun")

        def begin(cursor: Any) -> None:
            for statement in statements:
                cursor.execute(statement)
            self._began = self._connection

        self._do(begin, again=True)
        try:
            yield
            self.change("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._began = None

    def _roll_back(self) -> None:
        self._began = None
        if self._connection is not None:
            try:
                self.change("ROLLBACK")
            except RecordsError:  # the server does it when the connection is gone
                self._drop()

    def _do(self, work: Callable[[Any], Found], *, again: bool = False) -> Found:
        """Do something with a cursor; `again`, once, where a connection that was there is found broken.

        Only what changes nothing may be done again, and nothing within a transaction.
        """
        with self._in_use():
            stale = again and self._connection is not None and self._began is None
            try:
                return self._once(work)
            except RecordsUnavailable as error:
                if not stale or self._closing or not faults.broken_off(error):
                    raise
            return self._once(work)

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        with self._lock:
            self._busy, self._closing = True, False
        try:
            yield
        finally:
            with self._lock:
                self._busy = False
            if self._closing or self._wire.why:
                self._drop()

    def _once(self, work: Callable[[Any], Found]) -> Found:
        import pymysql  # noqa: PLC0415 -- only where there is a central database

        connection = self._connected()
        try:
            with connection.cursor() as cursor:
                return work(cursor)
        except (pymysql.MySQLError, OSError, *faults.GARBAGE) as error:
            raise self._failed(error) from error
        except BaseException:  # half an answer may be on its way
            self._drop()
            raise

    def _failed(self, error: Exception) -> RecordsError:
        """Return our exception, with the connection dropped if it is of no more use."""
        ours = faults.ours(error, str(self.address))
        if self._wire.why:
            ours = RecordsUnavailable(f"mysql: {self.address}: {self._wire.why}")
        if isinstance(ours, RecordsBusy):
            self._began = _OVER if self._began is not None else None
        elif isinstance(ours, RecordsUnavailable) or ours.code == TOO_LONG:
            self._drop()
            self._first = (self._first + 1) % len(self._addresses)
        return ours

    def _connected(self) -> Any:
        if self._began is not None and self._began is not self._connection:
            raise RecordsUnavailable("mysql: the transaction is over: begin it again")
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> Any:
        """Return a connection to the first address that lets us in, beginning with the one that did so last."""
        causes: list[RecordsError] = []
        for step in range(len(self._addresses)):
            number = (self._first + step) % len(self._addresses)
            try:
                connection = self._dialer.dial(self._addresses[number], self._new_wire())
            except RecordsError as error:
                causes.append(error)
            else:
                self._first, self.address = number, self._addresses[number]
                return connection
        raise _together(causes)

    def _new_wire(self) -> Wire:
        with self._lock:
            if self._closing:
                raise RecordsUnavailable(f"mysql: {CLOSED}")
            self._wire = Wire()
            return self._wire

    def _taken(self) -> tuple[Any, Wire]:
        """Take connection and wire away; under the lock."""
        connection, self._connection = self._connection, None
        return connection, self._wire

    def _drop(self) -> None:
        with self._lock:
            connection, wire = self._taken()
        wire.cut("dropped")  # so that nothing is said any more
        _hang_up(connection, wire)


def _hang_up(connection: Any, wire: Wire) -> None:
    import pymysql  # noqa: PLC0415 -- only where there is a central database

    if connection is not None:
        with contextlib.suppress(pymysql.Error):  # it was closed already
            connection.close()
    wire.close()


def _together(causes: Sequence[RecordsError]) -> RecordsError:
    """Return one exception for all addresses: that we are shut out tells more than that the others are away."""
    if len(causes) == 1:
        return causes[0]
    kind = next(
        kind for kind in (ShutOut, RecordsUnavailable, RecordsFailed) if any(isinstance(c, kind) for c in causes)
    )
    made = kind("mysql: no address lets us in: " + "; ".join(str(cause).removeprefix("mysql: ") for cause in causes))
    made.code = next((cause.code for cause in causes if isinstance(cause, kind)), 0)
    return made
