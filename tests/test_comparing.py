"""A record and what was delivered of it, held against each other: what is right passes, everything else is named."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from smileaccess.delivery import Refused
from smileaccess.errors import ChainBroken
from smileaccess.records import audit
from smileaccess.records.chain import Link
from smileaccess.records.spool import Spool
from tests.test_spool import DOOR, KEY, NOON, attempt, denied, event, granted, outsider, put


class Scene:
    """A record of links 1 to 9, the sixth an attempt's opening that is closed by the ninth, all of them delivered."""

    def __init__(self, path: Path, spool: Spool) -> None:
        self.path = path
        self.spool = spool
        late = denied(-50)
        put(spool, denied(-90), granted(-80))
        spool.add_event(event(-70))
        spool.open_attempt(late)
        put(spool, denied(-49))
        spool.close_attempt(late)
        self.outbox = spool.outbox()
        self.outbox.delivered(9, (), NOON)
        self.there = self.links()

    def links(self) -> list[Link]:
        with contextlib.closing(Spool.open(self.path, DOOR, KEY)) as reader:
            return list(audit.links(reader._db))

    def compare(self) -> tuple[int, int, int, int]:
        found = self.spool.compare(lambda upto: iter([link for link in self.there if link.sequence <= upto]))
        return found.links, found.both, found.only_here, found.only_there

    def broken(self) -> int:
        """Return the link at which the comparison stops."""
        with pytest.raises(ChainBroken) as caught:
            self.compare()
        return caught.value.sequence


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    path = tmp_path / "door.db"
    with contextlib.closing(Spool.create(path, DOOR, KEY, now=lambda: NOON)) as spool:
        yield Scene(path, spool)


def test_a_record_that_was_delivered_whole_agrees(scene: Scene) -> None:
    assert scene.compare() == (9, 9, 0, 0)


def test_what_waits_is_owed(scene: Scene) -> None:
    """Rows that came after the delivery, an attempt that is open, and the opening of one that was not delivered."""
    put(scene.spool, denied(1))
    scene.spool.open_attempt(attempt(2))
    scene.spool.add_event(event(3))
    assert scene.compare() == (13, 9, 4, 0)


def test_what_was_delivered_and_not_yet_noted_agrees(scene: Scene) -> None:
    put(scene.spool, denied(1))
    scene.there = scene.links()
    assert scene.compare() == (11, 11, 0, 0)


def test_what_was_pruned_here_is_checked_there(scene: Scene) -> None:
    scene.spool.prune(NOON - timedelta(minutes=75), "test", "", delivered=True)
    assert scene.compare() == (10, 5, 1, 4)


def test_a_row_that_was_refused_there_is_owed(scene: Scene) -> None:
    refused = scene.spool.outbox()
    put(scene.spool, denied(1), denied(2))
    scene.there = scene.links()
    row = refused.waiting(9)[0]
    scene.there = [link for link in scene.there if link.row_id != row.id]
    refused.delivered(13, (Refused(row, "odd"),), NOON)
    assert scene.compare() == (13, 11, 2, 0)
    refused.taken_back([row])
    assert scene.broken() == 10


@pytest.mark.parametrize("sequence", range(1, 10))
def test_a_link_that_is_gone_there_is_named(scene: Scene, sequence: int) -> None:
    scene.there = [link for link in scene.there if link.sequence != sequence]
    assert scene.broken() == sequence


@pytest.mark.parametrize("sequence", range(1, 10))
@pytest.mark.parametrize(
    "alter",
    [
        lambda link: replace(link, hash="0" * 64),
        lambda link: replace(link, columns={**link.columns, "door": "x"}),
        lambda link: replace(link, row_id="other"),
    ],
)
def test_a_link_that_was_altered_there_is_named(scene: Scene, sequence: int, alter: Callable[[Link], Link]) -> None:
    scene.there = [alter(link) if link.sequence == sequence else link for link in scene.there]
    assert scene.broken() == sequence


@pytest.mark.parametrize("sequence", range(1, 5))
def test_a_link_that_was_altered_there_and_pruned_here_is_named(scene: Scene, sequence: int) -> None:
    """Nothing here contradicts it: the chain does."""
    scene.spool.prune(NOON - timedelta(minutes=75), "test", "", delivered=True)
    scene.there = [
        replace(link, columns={**link.columns, "id": "x"}) if link.sequence == sequence else link
        for link in scene.there
    ]
    assert scene.broken() == sequence


@pytest.mark.parametrize("sequence", range(1, 5))
def test_a_link_that_is_gone_there_and_pruned_here_is_named(scene: Scene, sequence: int) -> None:
    scene.spool.prune(NOON - timedelta(minutes=75), "test", "", delivered=True)
    scene.there = [link for link in scene.there if link.sequence != sequence]
    if sequence == 1:  # nothing is left to begin with: the first link that follows has no place
        assert scene.broken() == 2
    else:
        assert scene.broken() == sequence


def test_all_that_was_pruned_may_be_gone_there(scene: Scene) -> None:
    """A central database that begins later, such as one that was made anew, is held to what is left here."""
    scene.spool.prune(NOON - timedelta(minutes=75), "test", "", delivered=True)
    scene.there = [link for link in scene.there if link.sequence > 4]
    assert scene.compare() == (6, 5, 1, 0)


def test_a_link_of_another_record_is_named(scene: Scene) -> None:
    outsider(scene.path, "DELETE FROM door_events WHERE seq = 5")
    assert scene.broken() == 5


def test_a_record_put_back_to_an_older_copy_is_found(scene: Scene, tmp_path: Path) -> None:
    """The central database holds what the copy never saw: its next row has the number of another one there."""
    copy = tmp_path / "copy.db"
    copy.write_bytes(b"")
    copy.unlink()
    outsider(scene.path, f"VACUUM INTO '{copy}'")
    put(scene.spool, denied(1))
    delivered = scene.links()
    with contextlib.closing(Spool.open(copy, DOOR, KEY, now=lambda: NOON)) as old:
        put(old, denied(5))
        with pytest.raises(ChainBroken) as caught:
            old.compare(lambda upto: iter([link for link in delivered if link.sequence <= upto]))
        assert caught.value.sequence == 10


def test_a_chain_that_is_broken_here_is_named(scene: Scene) -> None:
    outsider(scene.path, "UPDATE attempts SET smile = 99 WHERE seq = 4")
    assert scene.broken() == 4


def test_an_empty_record_agrees_with_nothing(tmp_path: Path) -> None:
    with contextlib.closing(Spool.create(tmp_path / "new.db", DOOR, KEY)) as spool:
        found = spool.compare(lambda _upto: iter(()))
        assert (found.links, found.both) == (0, 0)
