"""A door's copy of the members' list: what it takes, what it refuses, what it confirms, and for how long it goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from smileaccess import membership
from smileaccess.errors import RecordsUnavailable
from smileaccess.following import FETCHED, NOTED_S, Follower, Freshness
from smileaccess.keys import public_half
from smileaccess.model import MemberStatus, SignedMember
from smileaccess.records.spool import Spool
from tests.fakes_central import FakeCentralList
from tests.fakes_devices import FakeClock
from tests.test_spool import DOOR, KEY, NOON, PRIVATE, enroll, member


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[Any]]:
    """Catch what is logged."""
    with structlog.testing.capture_logs() as captured:
        yield captured


class Scene:
    """A door, the list that it follows, and what it raised alarms about."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.central = FakeCentralList()
        self.clock = FakeClock()
        self.alarms: list[tuple[str, str]] = []
        self.follower = self.another()

    def another(self) -> Follower:
        """Return a follower that has seen nothing, as after a start."""

        def tell(kind: str, _why: str, detail: Any) -> None:
            self.alarms.append((kind, detail.get("member", "")))

        return Follower(DOOR, self.central, self.spool, public_half(PRIVATE), self.clock, tell)

    @property
    def versions(self) -> dict[str, int]:
        return {each.id: each.version for each in self.spool.signed_members()}

    @property
    def events(self) -> list[str]:
        return [f"{each.kind} {each.detail['member']}" for each in reversed(list(self.spool.events()))]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with contextlib.closing(Spool.create(tmp_path / "door.db", DOOR, KEY, now=lambda: NOON)) as spool:
        yield Scene(spool)


def signed(member_id: str = "m_1", version: int = 1, private: bytes = PRIVATE) -> SignedMember:
    return membership.sign(member(member_id, version), private)


def test_whoever_is_enrolled_anywhere_is_known_here_at_the_next_look(scene: Scene) -> None:
    scene.central.put(signed("m_1"), signed("m_2", 3))
    assert scene.follower.look()
    assert scene.spool.signed_members() == [signed("m_1"), signed("m_2", 3)]
    assert scene.events == ["member_taken m_1", "member_taken m_2"]
    assert scene.central.confirmed == {(DOOR, "m_1"): 1, (DOOR, "m_2"): 3}
    assert scene.spool.verify() == 2


def test_only_what_changed_is_fetched(scene: Scene) -> None:
    scene.central.put(*(signed(f"m_{number}") for number in range(FETCHED + 5)))
    scene.follower.look()
    scene.central.fetched.clear()
    scene.central.put(signed("m_3", 2))
    scene.follower.look()
    assert (scene.central.fetched, scene.versions["m_3"]) == (["m_3"], 2)


def test_a_look_at_an_unchanged_list_asks_for_nobody(scene: Scene) -> None:
    scene.central.put(signed())
    scene.follower.look()
    scene.central.fetched.clear()
    assert scene.follower.look()
    assert scene.central.fetched == []


def test_a_start_fetches_nothing_that_the_door_has(scene: Scene) -> None:
    scene.central.put(signed())
    scene.follower.look()
    scene.central.fetched.clear()
    assert scene.another().look()
    assert scene.central.fetched == []


def test_a_disabled_and_a_forgotten_member_are_gone_at_the_next_look(scene: Scene) -> None:
    scene.central.put(signed("m_1"), signed("m_2"))
    scene.follower.look()
    disabled = replace(member("m_1", 2), status=MemberStatus.DISABLED)
    scene.central.put(membership.sign(disabled, PRIVATE), membership.sign(membership.forgotten(member("m_2")), PRIVATE))
    scene.follower.look()
    roster = membership.load_roster(scene.spool, public_half(PRIVATE))
    assert [each.status for each in roster.members] == [MemberStatus.DISABLED, MemberStatus.FORGOTTEN]
    assert scene.central.confirmed == {(DOOR, "m_1"): 2, (DOOR, "m_2"): 2}


def test_what_the_enroller_did_not_sign_is_not_taken(scene: Scene) -> None:
    """A hand at the database changes nothing at the door, and raises an alarm, once."""
    scene.central.put(signed())
    scene.follower.look()
    scene.central.put(signed("m_1", 2, private=b"x" * 32), signed("m_9", 1, private=b"x" * 32))
    scene.follower.look()
    scene.central.put()
    scene.follower.look()
    assert (scene.versions, scene.alarms) == ({"m_1": 1}, [("member_refused", "m_1"), ("member_refused", "m_9")])
    assert scene.central.confirmed == {(DOOR, "m_1"): 1}


def test_an_older_version_is_not_taken(scene: Scene) -> None:
    """A backup that was put back brings nobody's old rights back."""
    scene.central.put(signed("m_1", 3))
    scene.follower.look()
    scene.central.put(signed("m_1", 2))
    scene.follower.look()
    assert (scene.versions, scene.alarms) == ({"m_1": 3}, [("member_refused", "m_1")])


def test_a_member_deleted_from_the_list_is_dropped_and_may_come_back(scene: Scene) -> None:
    scene.central.put(signed("m_1"), signed("m_2"))
    scene.follower.look()
    scene.central.delete("m_1")
    scene.follower.look()
    assert scene.versions == {"m_2": 1}
    scene.central.put(signed("m_1"))
    scene.follower.look()
    assert scene.versions == {"m_1": 1, "m_2": 1}
    assert scene.events[2:] == ["member_dropped m_1", "member_taken m_1"]


def test_an_empty_list_takes_nobody_away(scene: Scene) -> None:
    """A database that was just made, or was lost, is no reason to shut everybody out at once."""
    enroll(scene.spool, member("m_1"))
    assert not scene.follower.look()
    assert (scene.versions, scene.spool.synced_at()) == ({"m_1": 1}, None)
    assert scene.alarms == [("member_refused", "")]


def test_a_door_without_members_is_in_step_with_an_empty_list(scene: Scene) -> None:
    assert scene.follower.look()
    assert scene.alarms == []


def test_that_both_were_the_same_is_kept_now_and_then(scene: Scene) -> None:
    scene.follower.look()
    first = scene.spool.synced_at()
    scene.clock.advance(NOTED_S / 2)
    scene.follower.look()
    assert scene.spool.synced_at() == first == scene.clock.now() - timedelta(seconds=NOTED_S / 2)
    scene.clock.advance(NOTED_S / 2)
    scene.follower.look()
    assert scene.spool.synced_at() == scene.clock.now()


def test_an_outage_changes_nothing(scene: Scene) -> None:
    scene.central.put(signed())
    scene.follower.look()
    scene.central.away = True
    with pytest.raises(RecordsUnavailable):
        scene.follower.look()
    assert scene.versions == {"m_1": 1}


# For how long a door goes on

DAY_S = 86_400.0


def fresh(clock: FakeClock, synced_before_s: float, newest_after_s: float | None = None) -> Freshness:
    newest = None if newest_after_s is None else clock.now() + timedelta(seconds=newest_after_s)
    return Freshness(clock, DAY_S, clock.now() - timedelta(seconds=synced_before_s), newest)


def test_a_door_goes_on_for_its_time_and_no_longer() -> None:
    clock = FakeClock()
    freshness = fresh(clock, 0)
    clock.advance(DAY_S)
    assert not freshness.stale()
    clock.advance(1)
    assert freshness.stale()


def test_a_look_makes_it_fresh_again() -> None:
    clock = FakeClock()
    freshness = fresh(clock, 2 * DAY_S)
    assert freshness.stale()
    freshness.synced()
    assert (freshness.stale(), freshness.age_s()) == (False, 0.0)


def test_a_restart_does_not_begin_anew() -> None:
    clock = FakeClock()
    freshness = fresh(clock, DAY_S - 10)
    assert not freshness.stale()
    clock.advance(11)
    assert freshness.stale()


def test_a_clock_set_back_by_a_power_cut_does_not_begin_anew() -> None:
    """The newest row says how late it is at least."""
    clock = FakeClock(synchronized=False)
    assert fresh(clock, 0, newest_after_s=DAY_S + 5).stale()
    assert not fresh(clock, 0, newest_after_s=DAY_S - 5).stale()


def test_a_clock_that_is_set_right_tells_the_true_age() -> None:
    clock = FakeClock(synchronized=False)
    freshness = fresh(clock, 0)
    clock.epoch += timedelta(days=30)
    assert not freshness.stale()
    clock.is_synchronized = True
    assert freshness.stale()


def test_a_clock_set_back_while_running_makes_nothing_younger() -> None:
    clock = FakeClock()
    freshness = fresh(clock, 0)
    clock.advance(DAY_S + 1)
    clock.epoch -= timedelta(days=30)
    assert freshness.stale()
