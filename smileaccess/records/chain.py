"""Links what is put on record by a keyed hash, and checks such a chain; it does no I/O and knows no database.

link = HMAC-SHA256(key, previous link's 32 bytes || canonical [what, sequence, columns]) (RFC 2104). Whoever lacks the
key can neither alter, insert nor remove a link unseen; the end of the chain is held by `State`, which is sealed by
the same key.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

from smileaccess.encoding import canonical
from smileaccess.errors import ChainBroken
from smileaccess.model import ChainHead

Value = str | int | float | None
"""What a column of a linked row may hold."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it was found: what kind, which row, the columns it covers, its number and its hash in hex."""

    sequence: int
    what: str
    row_id: str
    columns: Mapping[str, Value]
    hash: str | None


@dataclass(frozen=True, slots=True)
class State:
    """Where a door's chain stands: its last link, the checkpoint that pruning left, and the digest of the floors.

    `checkpoint_sequence` is the last link that was pruned (0: none) and `pruned_before` the age it was pruned by;
    `floors` is the sealed digest of the members' highest versions; `key_id` names the chain's key.
    """

    door: str
    key_id: str
    created_at: str
    sequence: int
    hash: str
    checkpoint_sequence: int
    checkpoint_hash: str
    pruned_before: str | None
    floors: str

    @property
    def head(self) -> ChainHead:
        """The last link."""
        return ChainHead(self.sequence, self.hash)

    @property
    def checkpoint(self) -> ChainHead:
        """The last link that was pruned; the first link left follows it."""
        return ChainHead(self.checkpoint_sequence, self.checkpoint_hash)

    def mac(self, key: bytes) -> str:
        """Return the seal of all of this."""
        return seal(key, "state", asdict(self))


def key_id(key: bytes) -> str:
    """Return a short name of a chain key, which says nothing about the key."""
    return seal(key, "key id", None)[:16]


def seal(key: bytes, purpose: str, value: object) -> str:
    """Return a keyed hash of a value under a key of its own for each purpose, in hex."""
    return _keyed(_keyed(key, purpose.encode("utf-8")), canonical(value)).hex()


def genesis(key: bytes, door: str) -> ChainHead:
    """Return number 0 of a door's chain, which the first link follows."""
    return ChainHead(0, seal(key, "genesis", door))


def follow(key: bytes, previous: ChainHead, what: str, columns: Mapping[str, Value]) -> ChainHead:
    """Return the link after `previous`; TypeError or ValueError for columns that cannot be canonical."""
    sequence = previous.sequence + 1
    content = canonical([what, sequence, dict(columns)])
    return ChainHead(sequence, _keyed(key, bytes.fromhex(previous.hash) + content).hex())


def checked(key: bytes, start: ChainHead, links: Iterable[Link]) -> Iterator[ChainHead]:
    """Yield each link after `start` once it has been checked; ChainBroken names the first that is wrong.

    `links` come in the order of their numbers and are not held in memory.
    """
    previous = start
    for link in links:
        _check_place(previous, link)
        previous = _checked(key, previous, link)
        yield previous


def ending(links: Iterable[ChainHead], start: ChainHead, end: ChainHead) -> Iterator[ChainHead]:
    """Yield `links`, which follow `start`, and see to it that they end at `end`; ChainBroken where they do not."""
    last = start
    for last in links:
        yield last
    if last.sequence < end.sequence:
        missing = last.sequence + 1
        raise ChainBroken(f"record: cut off: link {missing} and all to {end.sequence} are missing", missing)
    if last != end:
        raise ChainBroken(f"record: ends at {last}, not at {end} as was kept", last.sequence)


def containing(links: Iterable[ChainHead], start: ChainHead, head: ChainHead) -> Iterator[ChainHead]:
    """Yield `links`, which follow `start`, and see to it that `head` is `start` or among them.

    ChainBroken where another link has its number or the chain ends before it: the record is not the one, or an
    older copy of the one, that `head` was taken from.
    """
    last, met = start, start == head
    for last in links:
        if last.sequence == head.sequence and last != head:
            raise ChainBroken(f"record: link {last.sequence} is {last.hash}, not {head.hash} as given", last.sequence)
        met = met or last == head
        yield last
    if not met:
        raise ChainBroken(f"record: does not hold {head} as given: it ends at {last}", head.sequence)


def _keyed(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _check_place(previous: ChainHead, link: Link) -> None:
    expected = previous.sequence + 1
    if link.sequence > expected:
        raise ChainBroken(f"record: link {expected} is missing, before {_named(link)}", expected)
    if link.sequence < expected:
        raise ChainBroken(
            f"record: {_named(link)} was inserted: that link is another row's or was pruned", link.sequence
        )


def _checked(key: bytes, previous: ChainHead, link: Link) -> ChainHead:
    try:
        expected = follow(key, previous, link.what, link.columns)
    except (TypeError, ValueError) as error:
        raise ChainBroken(f"record: {_named(link)} holds what was never written: {error}", link.sequence) from error
    if expected.hash != link.hash:
        raise ChainBroken(f"record: {_named(link)} was altered", link.sequence)
    return expected


def _named(link: Link) -> str:
    return f"{link.what} {link.row_id} (link {link.sequence})"
