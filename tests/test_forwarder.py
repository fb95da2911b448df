"""The delivery: everything once and in order, whatever the network does to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smileaccess.errors import RecordsUnavailable
from smileaccess.model import ChainHead
from smileaccess.records.forwarder import Forwarder
from smileaccess.records.spool import Spool
from tests.fakes_central import FakeArchive
from tests.fakes_devices import FakeClock
from tests.test_spool import DOOR, KEY, NOON, denied, event, granted, put


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[Any]]:
    """Catch what is logged."""
    with structlog.testing.capture_logs() as captured:
        yield captured


class Scene:
    """A record, where it is delivered to, and what was told."""

    def __init__(self, spool: Spool, batch: int = 3) -> None:
        self.spool = spool
        self.archive = FakeArchive()
        self.told: list[tuple[str, str]] = []
        self.outbox = spool.outbox()
        self.forwarder = Forwarder(
            self.outbox, self.archive, FakeClock(), lambda kind, why, _: self.told.append((kind, why)), batch=batch
        )

    def deliver_all(self) -> None:
        while self.forwarder.turn():
            pass


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with contextlib.closing(Spool.create(tmp_path / "door.db", DOOR, KEY, now=lambda: NOON)) as spool:
        yield Scene(spool)


def away() -> None:
    raise RecordsUnavailable("mysql: away")


def test_rows_arrive_in_order_batch_by_batch(scene: Scene) -> None:
    attempts = [granted(0), denied(1), denied(2), granted(3)]
    put(scene.spool, *attempts)
    assert scene.forwarder.turn()
    assert scene.archive.order == [each.id for each in attempts[:3]]
    assert not scene.forwarder.turn()
    assert scene.archive.order == [each.id for each in attempts]
    assert scene.archive.head() == scene.spool.head()


def test_with_nothing_to_deliver_nobody_is_asked(scene: Scene) -> None:
    scene.archive.before = away
    assert not scene.forwarder.turn()


def test_an_outage_leaves_everything_where_it_is(scene: Scene) -> None:
    put(scene.spool, denied(0))
    scene.archive.before = away
    with pytest.raises(RecordsUnavailable):
        scene.forwarder.turn()
    assert (scene.outbox.backlog().rows, scene.archive.order) == (1, [])


def test_a_lost_answer_doubles_nothing(scene: Scene) -> None:
    """The commit went through and its answer did not: the same rows are offered again, and known."""
    put(scene.spool, denied(0), denied(1))
    scene.archive.after = away
    with pytest.raises(RecordsUnavailable):
        scene.forwarder.turn()
    scene.archive.after = lambda: None
    scene.deliver_all()
    assert len(scene.archive.order) == 2
    assert scene.outbox.backlog().rows == 0


def test_a_refused_row_is_set_aside_and_the_rest_goes_on(scene: Scene) -> None:
    first, bad, last = denied(0), denied(1), denied(2)
    put(scene.spool, first, bad, last)
    scene.archive.refuses = lambda row: "too long" if row.id == bad.id else ""
    scene.deliver_all()
    assert scene.archive.order == [first.id, last.id]
    assert [(one.row_id, one.error) for one in scene.outbox.backlog().set_aside] == [(bad.id, "too long")]
    assert scene.told == [("row_set_aside", "too long")]


def test_what_was_set_aside_is_taken_once_it_is_not_refused_any_more(scene: Scene) -> None:
    put(scene.spool, denied(0), denied(1))
    scene.archive.refuses = lambda _row: "too long"
    scene.deliver_all()
    assert scene.forwarder.offer_again() == 0
    scene.archive.refuses = lambda row: "too long" if row.sequence == 2 else ""
    assert scene.forwarder.offer_again() == 1
    assert [one.sequence for one in scene.outbox.backlog().set_aside] == [2]


def test_a_record_that_was_put_back_is_told_once(scene: Scene) -> None:
    put(scene.spool, denied(0))
    scene.archive.heads.append(ChainHead(40, "0" * 64))
    scene.forwarder.greet()
    scene.forwarder.greet()
    assert [kind for kind, _ in scene.told] == ["record_put_back"]


def test_the_record_that_was_delivered_is_greeted_without_a_word(scene: Scene) -> None:
    scene.forwarder.greet()
    put(scene.spool, denied(0))
    scene.deliver_all()
    put(scene.spool, denied(1))
    scene.forwarder.greet()
    assert scene.told == []


def test_a_pruned_record_is_no_record_that_was_put_back(scene: Scene) -> None:
    put(scene.spool, denied(-90), denied(-80))
    scene.deliver_all()
    put(scene.spool, denied(0))
    scene.spool.prune(NOON, "test", "", delivered=True)
    scene.forwarder.greet()
    assert scene.told == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["attempt", "event", "fine", "away", "lost"]), max_size=30), st.integers(1, 5))
def test_everything_arrives_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, played: list[str], batch: int
) -> None:
    """Whatever is put down and however the network fails, the archive holds the record: no gap, no double, no swap."""
    path = tmp_path_factory.mktemp("played") / "door.db"
    with contextlib.closing(Spool.create(path, DOOR, KEY, now=lambda: NOON)) as spool:
        scene = Scene(spool, batch)
        written: list[str] = []
        for minute, action in enumerate(played):
            if action == "attempt":
                one = denied(minute)
                put(spool, one)
                written.append(one.id)
            elif action == "event":
                told = event(minute)
                spool.add_event(told)
                written.append(told.id)
            else:
                scene.archive.before = away if action == "away" else lambda: None
                scene.archive.after = away if action == "lost" else lambda: None
                with contextlib.suppress(RecordsUnavailable):
                    scene.forwarder.turn()
        scene.archive.before = scene.archive.after = lambda: None
        scene.deliver_all()

        assert scene.archive.order == written
        assert scene.outbox.backlog().rows == 0
