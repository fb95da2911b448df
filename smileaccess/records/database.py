"""Gives the spool its transactions and the chain's head; it never lets one of SQLite's exceptions through.

What belongs inside a transaction takes the `State` that the transaction gave.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from smileaccess.errors import RecordsFailed
from smileaccess.model import ChainHead
from smileaccess.records import chain, schema
from smileaccess.records.chain import State, Value

_LAST_NUMBER = (
    "SELECT max(number) FROM (SELECT max(open_seq) AS number FROM attempts "
    "UNION ALL SELECT max(seq) FROM attempts UNION ALL SELECT max(seq) FROM door_events)"
)
_STATE = tuple(field.name for field in fields(State))


class Database:
    """One connection to the record of one door; one thread at a time."""

    def __init__(self, path: Path, door: str, key: bytes) -> None:
        self.path = path
        self.door = door
        self.key = key
        self._connection = schema.connect(path)
        try:
            self._check_owner()
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def create(cls, path: Path, door: str, key: bytes, created_at: str) -> None:
        """Make the file, with an empty chain."""
        start = chain.genesis(key, door)
        state = State(
            door=door,
            key_id=chain.key_id(key),
            created_at=created_at,
            sequence=start.sequence,
            hash=start.hash,
            checkpoint_sequence=start.sequence,
            checkpoint_hash=start.hash,
            pruned_before=None,
            floors=chain.seal(key, "floors", {}),
        )
        row = _state_row(key, state)
        schema.create(path, lambda connection: _insert(connection, "chain", row))

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """See one state of the file throughout."""
        with self._transaction("BEGIN"):
            yield

    @contextlib.contextmanager
    def reading(self) -> Iterator[State]:
        """See one state of the file throughout, whose head is sound."""
        with self._transaction("BEGIN"):
            yield self.state()

    @contextlib.contextmanager
    def writing(self) -> Iterator[State]:
        """Hold the one writer's place from the start, so that the head that is read is the head that is followed."""
        with self._transaction("BEGIN IMMEDIATE"):
            yield self.state()

    def moved(self) -> tuple[int, int]:
        """Return what differs once anybody has written: others (SQLite's data_version), or this connection."""
        return int(self.one("PRAGMA data_version")), self._connection.total_changes

    def all(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Run a statement and return all rows of its answer, columns in order."""
        with schema.translated(self.path):
            return [dict(row) for row in self._connection.execute(sql, values)]

    def tuples(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement and return all rows of its answer as plain tuples, for those that are many.

        RecordsFailed for a text that is no UTF-8.
        """
        with schema.translated(self.path), schema.plain_text(self._connection):
            cursor = self._connection.cursor()
            cursor.row_factory = None
            return cursor.execute(sql, values).fetchall()

    def one(self, sql: str, *values: Any) -> Any:
        """Return the first column of the first row."""
        with schema.translated(self.path):
            return self._connection.execute(sql, values).fetchone()[0]

    def stream(self, sql: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a query as they are read; inside a transaction only."""
        return map(dict, self._connection.execute(sql))

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        """Insert one row."""
        _insert(self._connection, table, row)

    def state(self) -> State:
        """Return the chain's state; RecordsFailed where it is gone or its seal does not fit."""
        found = self.all("SELECT * FROM chain")
        if len(found) != 1:
            raise RecordsFailed(f"records: {self.path}: the chain's head was removed or doubled: restore a backup")
        state = State(**{name: found[0][name] for name in _STATE})
        if _mac(self.key, state) != found[0]["mac"]:
            raise RecordsFailed(f"records: {self.path}: the chain's head or checkpoint was altered: restore a backup")
        return state

    def link(self, state: State, what: str, columns: Mapping[str, Value]) -> ChainHead:
        """Follow the head with one more link and keep the new head."""
        if (self.one(_LAST_NUMBER) or 0) > state.sequence:
            raise RecordsFailed(f"records: {self.path}: holds links after its head {state.head}: restore a backup")
        try:
            head = chain.follow(self.key, state.head, what, columns)
        except (TypeError, ValueError) as error:
            raise RecordsFailed(f"{what} {columns['id']!r}: cannot be put on record: {error}") from error
        self.keep(replace(state, sequence=head.sequence, hash=head.hash))
        return head

    def keep(self, state: State) -> None:
        """Seal a state and put it in the last one's place."""
        row = _state_row(self.key, state)
        self.all(f"UPDATE chain SET {', '.join(f'{name} = ?' for name in row)}", *row.values())  # noqa: S608

    def check_door(self, door: str) -> None:
        """Raise RecordsFailed for what belongs to another door."""
        if door != self.door:
            raise RecordsFailed(f"records: {self.path}: of door {self.door!r}: holds nothing of door {door!r}")

    def close(self) -> None:
        """Close the connection; any thread, more than once."""
        with schema.translated(self.path):
            self._connection.close()

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with schema.translated(self.path):
            self._connection.execute(begin)
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # a full disk has rolled back already
                    self._connection.execute("ROLLBACK")
                raise

    def _check_owner(self) -> None:
        for row in self.all("SELECT door, key_id FROM chain LIMIT 1"):
            if row["door"] != self.door:
                raise RecordsFailed(
                    f"records: {self.path}: of door {row['door']!r}, not {self.door!r}: check the settings' path"
                )
            if row["key_id"] != chain.key_id(self.key):
                raise RecordsFailed(f"records: {self.path}: written under another chain key: restore that key")


def _insert(connection: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> None:
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))  # noqa: S608


def _state_row(key: bytes, state: State) -> dict[str, Any]:
    return {**{name: getattr(state, name) for name in _STATE}, "mac": state.mac(key)}


def _mac(key: bytes, state: State) -> str | None:
    """Return the seal, or None for what cannot have been sealed."""
    try:
        return state.mac(key)
    except (TypeError, ValueError):
        return None
