"""Holds a door's record and what the central database has of it against each other; it changes neither.

Both are one chain: what is missing at the one end is only right where it was pruned there, at the other where it was
not delivered yet. What neither explains is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from smileaccess.errors import ChainBroken
from smileaccess.records import audit, chain, rows
from smileaccess.records.chain import Link
from smileaccess.records.database import Database


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many links the chain has from its first one on, in how many of them both agree, and how many only one has."""

    links: int
    both: int
    only_here: int
    only_there: int


def compare(db: Database, there: Callable[[int], Iterator[Link]]) -> Comparison:
    """Check the whole chain from its first link on, over both, in one snapshot of the local record.

    `there` gives the central links up to a number. ChainBroken names the first link that is altered, missing or too
    many at either end.
    """
    with db.snapshot():
        state = db.state()
        counted = _Counted(db, state.checkpoint_sequence)
        links = counted.union(audit.links(db), there(state.sequence))
        start = chain.genesis(db.key, db.door)
        if not counted.begins_with_the_first(links):
            start = state.checkpoint
        heads = chain.ending(chain.checked(db.key, start, counted.rest()), start, state.head)
        total = sum(1 for _ in heads)
    return Comparison(total, counted.both, counted.only_here, counted.only_there)


class _Counted:
    """The union of both chains, counted on the way."""

    def __init__(self, db: Database, pruned: int) -> None:
        self._db = db
        self._pruned = pruned
        self._through = int(db.one("SELECT through FROM forwarding"))
        self._rest: Iterator[Link] = iter(())
        self._first: list[Link] = []
        self.both = self.only_here = self.only_there = 0

    def union(self, here: Iterator[Link], there: Iterator[Link]) -> Iterator[Link]:
        """Yield every link once, in order; ChainBroken where the two contradict each other."""
        mine, theirs = next(here, None), next(there, None)
        while mine is not None or theirs is not None:
            if theirs is None or (mine is not None and mine.sequence < theirs.sequence):
                assert mine is not None  # noqa: S101 -- one of both is there
                self._check_owed(mine)
                yield mine
                mine = next(here, None)
            elif mine is None or theirs.sequence < mine.sequence:
                self._check_pruned(theirs)
                yield theirs
                theirs = next(there, None)
            else:
                self._check_same(mine, theirs)
                yield mine
                mine, theirs = next(here, None), next(there, None)

    def begins_with_the_first(self, links: Iterator[Link]) -> bool:
        """Say whether the union begins with link 1, so that it can be checked from the beginning of the record."""
        self._rest = links
        self._first = [link for link in (next(links, None),) if link is not None]
        return not self._first or self._first[0].sequence == 1

    def rest(self) -> Iterator[Link]:
        """Yield the union, that first link included."""
        yield from self._first
        yield from self._rest

    def _check_owed(self, link: Link) -> None:
        self.only_here += 1
        if not self._is_owed(link):
            raise ChainBroken(
                f"record: {link.what} {link.row_id} (link {link.sequence}) was delivered, and the central database "
                "holds it no more",
                link.sequence,
            )

    def _is_owed(self, link: Link) -> bool:
        """Say whether the link's row was not delivered yet, or was refused there."""
        if link.what != rows.ATTEMPT_OPENED:
            last = link.sequence
        else:
            found = self._db.one("SELECT coalesce(seq, 0) FROM attempts WHERE id = ?", link.row_id)
            last = int(found) or self._through + 1
        return last > self._through or bool(self._db.one("SELECT count(*) FROM set_aside WHERE seq = ?", last))

    def _check_pruned(self, link: Link) -> None:
        self.only_there += 1
        if link.sequence > self._pruned:
            raise ChainBroken(
                f"record: {link.what} {link.row_id} (link {link.sequence}) is in the central database and not here, "
                "and was not pruned",
                link.sequence,
            )

    def _check_same(self, mine: Link, theirs: Link) -> None:
        self.both += 1
        if mine == theirs:
            return
        differing = [name for name in ("what", "row_id", "hash") if getattr(mine, name) != getattr(theirs, name)]
        differing += sorted(
            name
            for name in mine.columns.keys() | theirs.columns.keys()
            if mine.columns.get(name) != theirs.columns.get(name)
        )
        raise ChainBroken(
            f"record: {mine.what} {mine.row_id} (link {mine.sequence}) differs in the central database "
            f"({', '.join(differing)})",
            mine.sequence,
        )
