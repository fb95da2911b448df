"""A door and the central database: what is done when, how failures are waited out, and what is told of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog

from smileaccess.delivery import Backlog, Room
from smileaccess.errors import RecordsBusy, RecordsUnavailable, ShutOut
from smileaccess.following import Freshness
from smileaccess.liaison import AWAY_S, FIRST_S, HOURLY_S, IDLE_S, LEAST_SHARE, LONGEST_S, Liaison, LiaisonThread
from tests.doors import PATIENCE_S, eventually
from tests.fakes_central import FakeArchive
from tests.fakes_devices import FakeClock

DAY_S = 86_400.0


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[Any]]:
    """Catch what is logged."""
    with structlog.testing.capture_logs() as captured:
        yield captured


@dataclass
class Scene:
    """A liaison whose both directions are counted, and fail when told."""

    clock: FakeClock = field(default_factory=FakeClock)
    archive: FakeArchive = field(default_factory=FakeArchive)
    done: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    batches: int = 0
    in_step: bool = True
    error: Exception | None = None
    used: int = 0
    luck: float = 1.0
    waiting: int = 0
    uncounted: Exception | None = None

    def __post_init__(self) -> None:
        self.freshness = Freshness(self.clock, DAY_S, self.clock.now(), None)
        self.liaison = Liaison(
            self.archive,
            self,
            self,  # type: ignore[arg-type] -- it looks, which is all that is asked of a follower
            self.freshness,
            self,
            self.clock,
            lambda kind, _why, _detail: self.told.append(kind),
            lambda: self.luck,
            sync_s=2.0,
            keep_days=30,
            backlog=self.count,
        )

    def count(self) -> Backlog:
        if self.uncounted is not None:
            raise self.uncounted
        return Backlog(0, self.waiting, None, ())

    def greet(self) -> None:
        if self.error is not None:
            raise self.error
        self.done.append("greet")

    def look(self) -> bool:
        self.done.append("look")
        return self.in_step

    def turn(self) -> bool:
        if self.error is not None:
            raise self.error
        self.done.append("deliver")
        self.batches = max(0, self.batches - 1)
        return self.batches > 0

    def room(self) -> Room:
        return Room(self.used, 100, 1 << 40, 0)

    def prune(self, before: datetime, who: str, why: str, *, delivered: bool) -> int:
        assert delivered
        age = self.clock.now() - before
        self.done.append(f"prune {age.days}")
        assert (who, bool(why)) == ("smileaccess", True)
        return 0

    def play(self) -> list[str]:
        """Take a turn and return what was done in it."""
        self.done.clear()
        self.liaison.turn()
        return list(self.done)

    def fail(self, for_s: float) -> None:
        """Fail for so long."""
        self.error = RecordsUnavailable("mysql: away")
        end = self.clock.monotonic() + for_s
        while self.clock.monotonic() <= end:
            self.clock.advance(max(self.liaison.turn(), 0.05))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_turn_does_what_is_due(scene: Scene) -> None:
    assert scene.play() == ["greet", "look", "prune 30", "deliver"]
    scene.clock.advance(1.0)
    assert scene.play() == ["deliver"]
    scene.clock.advance(1.0)
    assert scene.play() == ["look", "deliver"]
    scene.clock.advance(HOURLY_S)
    assert scene.play() == ["greet", "look", "prune 30", "deliver"]
    assert scene.archive.checks == 2


def test_a_backlog_is_delivered_without_a_pause(scene: Scene) -> None:
    scene.batches = 3
    assert [scene.liaison.turn() for _ in range(4)] == [0.0, 0.0, IDLE_S, IDLE_S]


def test_members_come_in_between_the_batches_of_a_long_backlog(scene: Scene) -> None:
    scene.batches = 100
    looks = 0
    for _ in range(10):
        looks += scene.play().count("look")
        scene.clock.advance(1.0)
    assert looks == 5


def test_a_filling_record_is_pruned_of_all_that_was_delivered(scene: Scene) -> None:
    scene.used = 80
    assert "prune 0" in scene.play()


def test_each_failure_is_waited_out_longer_up_to_a_bound(scene: Scene) -> None:
    scene.error = RecordsUnavailable("mysql: away")
    waits = [scene.liaison.turn() for _ in range(10)]
    assert waits == [min(FIRST_S * 2**n, LONGEST_S) for n in range(10)]


def test_no_two_doors_come_back_at_the_same_moment(scene: Scene) -> None:
    """The wait is a random share of the length, and never none."""
    scene.error = RecordsUnavailable("mysql: away")
    waits = []
    for scene.luck in (0.5, 0.0, 0.25):
        waits.append(scene.liaison.turn())
    assert waits == [FIRST_S * 0.5, FIRST_S * 2 * LEAST_SHARE, FIRST_S * 4 * 0.25]


def test_after_a_failure_it_begins_with_the_greeting(scene: Scene) -> None:
    scene.play()
    scene.error = RecordsUnavailable("mysql: away")
    scene.play()
    scene.error = None
    assert scene.play()[:2] == ["greet", "look"]
    scene.error = RecordsUnavailable("mysql: away")
    assert scene.liaison.turn() == FIRST_S


def test_a_busy_database_is_no_outage(scene: Scene) -> None:
    """A deadlock is tried again at once, and nobody is told."""
    scene.play()
    scene.error = RecordsBusy("deadlock")
    for _ in range(200):
        assert scene.liaison.turn() <= FIRST_S
        scene.clock.advance(FIRST_S)
    assert (scene.told, scene.liaison.standing.connected) == ([], True)


def test_a_short_outage_is_not_put_on_record(scene: Scene) -> None:
    scene.play()
    scene.fail(AWAY_S / 3)
    scene.error = None
    scene.play()
    assert scene.told == []


def test_a_long_outage_and_its_end_are_put_on_record_once(scene: Scene) -> None:
    scene.play()
    scene.fail(AWAY_S * 10)
    assert scene.told == ["database_away"]
    scene.error = None
    scene.play()
    scene.play()
    assert scene.told == ["database_away", "database_back"]


def test_the_standing_tells_since_when_and_why(scene: Scene) -> None:
    assert not scene.liaison.standing.connected
    began = scene.clock.monotonic()
    scene.play()
    assert (scene.liaison.standing.connected, scene.liaison.standing.since) == (True, began)
    scene.clock.advance(10)
    scene.error = ShutOut("mysql: door 'front' was revoked")
    scene.play()
    scene.clock.advance(10)
    scene.play()
    standing = scene.liaison.standing
    assert (standing.connected, standing.since, standing.cause) == (
        False,
        began + 10,
        "mysql: door 'front' was revoked",
    )


def test_a_list_that_grew_too_old_is_put_on_record(scene: Scene) -> None:
    scene.play()
    scene.fail(DAY_S - AWAY_S)
    assert "members_stale" not in scene.told
    scene.fail(2 * AWAY_S)
    assert scene.told == ["database_away", "members_stale"]
    scene.error = None
    scene.play()
    assert not scene.freshness.stale()


def test_a_list_that_is_not_in_step_grows_old(scene: Scene) -> None:
    """A central list that was emptied answers, and keeps nobody's door going."""
    scene.in_step = False
    scene.play()
    scene.clock.advance(DAY_S + 1)
    scene.play()
    assert scene.freshness.stale()


# The thread


def test_the_thread_takes_turns_until_it_is_closed(scene: Scene) -> None:
    ended, crashed = threading.Event(), threading.Event()
    thread = LiaisonThread(scene.liaison, ended.set, crashed.set)
    thread.start()
    eventually(lambda: "deliver" in scene.done)
    assert thread.close(PATIENCE_S)
    assert (ended.is_set(), crashed.is_set(), scene.archive.closes >= 1) == (True, False, True)


def test_the_unforeseen_stops_the_process(scene: Scene) -> None:
    """It ends the daemon, whose supervisor starts it again; nothing goes on half way."""
    ended, crashed = threading.Event(), threading.Event()
    scene.error = ZeroDivisionError("unforeseen")
    thread = LiaisonThread(scene.liaison, ended.set, crashed.set)
    thread.start()
    assert crashed.wait(PATIENCE_S)
    assert ended.wait(PATIENCE_S)
    assert thread.close(PATIENCE_S)


def test_the_time_that_the_list_may_be_old_is_the_settings() -> None:
    clock = FakeClock()
    short = Freshness(clock, 10.0, clock.now() - timedelta(seconds=11), None)
    assert short.stale()


def test_what_waits_is_counted_during_an_outage_too(scene: Scene) -> None:
    """Rows that come in meanwhile show at once, and not only when the database is back."""
    scene.play()
    scene.error, scene.waiting = RecordsUnavailable("mysql: away"), 7
    scene.liaison.turn()

    backlog = scene.liaison.standing.backlog
    assert (scene.liaison.standing.connected, backlog and backlog.rows) == (False, 7)


def test_a_record_that_cannot_be_counted_leaves_the_last_count(scene: Scene) -> None:
    """The cause that stands is the outage, not the counting."""
    scene.waiting = 3
    scene.play()
    scene.error = scene.uncounted = RecordsUnavailable("mysql: away")
    scene.waiting = 9
    scene.liaison.turn()

    backlog = scene.liaison.standing.backlog
    assert (scene.liaison.standing.cause, backlog and backlog.rows) == ("mysql: away", 3)
