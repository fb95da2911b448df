"""Checks a door's whole record and prunes its beginning; it never deletes what does not verify."""

from __future__ import annotations

import heapq
import operator
from collections.abc import Iterator
from dataclasses import replace

from smileaccess.errors import ChainBroken, RecordsFailed
from smileaccess.model import ChainHead
from smileaccess.records import chain, memberlist, rows
from smileaccess.records.chain import Link, State
from smileaccess.records.database import Database

PRUNE_LINKS = 2000
"""Links deleted in one transaction, which keeps a writer waiting for well under its bound (`schema.BUSY_S`)."""

_CLOSED = (*rows.OPENING, *rows.CLOSING, "open_seq")


def verify(db: Database, head: ChainHead | None) -> int:
    """Check all of the record in one snapshot, streaming, and return the number of links; see `Records.verify`."""
    with db.snapshot():
        state = _sound_state(db)
        heads = chain.checked(db.key, state.checkpoint, links(db))
        heads = chain.ending(heads, state.checkpoint, state.head)
        if head is not None:
            _check_age(state, head)
            heads = chain.containing(heads, state.checkpoint, head)
        count = sum(1 for _ in heads)
        _check_open_rows(db)
        _check_file(db)
    return count


def prunable(db: Database, before: str, *, delivered: bool = False) -> tuple[int, int]:
    """Return the last link of the longest beginning older than `before`, and how many attempts and events it holds.

    It splits no attempt and leaves the newest link; with `delivered`, also all that waits to be delivered or was
    refused.
    """
    with db.reading() as state:
        young = db.one(
            "SELECT min(open_seq) FROM attempts WHERE seq IS NULL OR closed_at >= ?1 OR opened_at >= ?1", before
        )
        event = db.one("SELECT min(seq) FROM door_events WHERE at >= ?", before)
        due = [_undelivered(db)] if delivered else []
        kept = min(found for found in (young, event, state.sequence, *due) if found is not None)
        through = _whole(db, kept - 1)
        attempts = db.one("SELECT count(*) FROM attempts WHERE seq <= ?", through)
        events = db.one("SELECT count(*) FROM door_events WHERE seq <= ?", through)
    return through, attempts + events


def prune_batch(db: Database, through: int, before: str, links: int = PRUNE_LINKS) -> bool:
    """Verify and delete the next `links` up to `through`, move the checkpoint, and say whether more is left."""
    with db.writing() as state:
        done = state.checkpoint_sequence
        if done >= through:
            return False
        batch = _whole(db, min(through, done + links))
        end = batch if batch > done else through
        last = _verified(db, state, end)
        db.all("DELETE FROM attempts WHERE seq <= ?", end)
        db.all("DELETE FROM door_events WHERE seq <= ?", end)
        db.keep(replace(state, checkpoint_sequence=end, checkpoint_hash=last.hash, pruned_before=before))
    return end < through


def _undelivered(db: Database) -> int:
    """Return the first link that a central database does not hold."""
    refused = db.one("SELECT min(seq) FROM set_aside")
    waiting = int(db.one("SELECT through FROM forwarding")) + 1
    return waiting if refused is None else min(waiting, int(refused))


def _sound_state(db: Database) -> State:
    try:
        state = db.state()
        memberlist.floors(db, state)
        memberlist.synced(db)
    except RecordsFailed as error:
        raise ChainBroken(str(error), 0) from error
    return state


def _check_age(state: State, head: ChainHead) -> None:
    if head.sequence < state.checkpoint_sequence:
        raise RecordsFailed(
            f"record: link {head.sequence} was pruned (to link {state.checkpoint_sequence}): give a newer head"
        )


def _check_open_rows(db: Database) -> None:
    """An open attempt holds nothing yet: what stands there was not written by us."""
    empty = " AND ".join(f"{name} IS NULL" for name in (*rows.CLOSING, "hash"))
    sql = f"SELECT id, open_seq FROM attempts WHERE seq IS NULL AND NOT ({empty}) ORDER BY open_seq LIMIT 1"  # noqa: S608
    for row in db.all(sql):
        raise ChainBroken(
            f"record: attempt {row['id']} (link {row['open_seq']}) is open and was altered", row["open_seq"]
        )


def _check_file(db: Database) -> None:
    """A damaged or doctored index could hide a sound row from a listing."""
    found = db.one("PRAGMA integrity_check(1)")
    if found != "ok":
        raise RecordsFailed(
            f"records: {db.path}: the chain is whole, but the file is damaged ({found}): restore a backup"
        )


def links(db: Database, through: int | None = None) -> Iterator[Link]:
    """Yield the links of all rows (up to number `through`) in the order of their numbers."""
    streams = (
        _stream(db, rows.ATTEMPT_OPENED, rows.OPENING, through),
        _stream(db, rows.ATTEMPT_CLOSED, _CLOSED, through),
        _stream(db, rows.DOOR_EVENT, rows.EVENT, through),
    )
    return heapq.merge(*streams, key=operator.attrgetter("sequence"))


def _stream(db: Database, what: str, covered: tuple[str, ...], through: int | None) -> Iterator[Link]:
    table = "door_events" if what == rows.DOOR_EVENT else "attempts"
    number, found = ("open_seq", "open_hash") if what == rows.ATTEMPT_OPENED else ("seq", "hash")
    where = f"{number} IS NOT NULL" if through is None else f"{number} <= {int(through)}"
    sql = f"SELECT {', '.join(covered)}, {number}, {found} FROM {table} WHERE {where} ORDER BY {number}"  # noqa: S608
    for row in db.stream(sql):
        *values, sequence, hashed = row.values()
        yield Link(sequence, what, row["id"], rows.covered(dict(zip(covered, values, strict=True))), hashed)


def _whole(db: Database, through: int) -> int:
    """Return the greatest number up to `through` that lies between no attempt's two links."""
    split = "SELECT min(open_seq) FROM attempts WHERE open_seq <= ?1 AND (seq IS NULL OR seq > ?1)"
    while (start := db.one(split, through)) is not None:
        through = start - 1
    return through


def _verified(db: Database, state: State, end: int) -> ChainHead:
    """Return link `end` after checking all up to it; ChainBroken."""
    last = state.checkpoint
    for last in chain.checked(db.key, state.checkpoint, links(db, end)):
        if last.sequence == end:
            return last
    raise ChainBroken(f"record: link {last.sequence + 1} is missing: nothing more was pruned", last.sequence + 1)
