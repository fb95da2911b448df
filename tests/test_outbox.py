"""What waits to be delivered: in order, whole rows only, each until it was delivered or set aside."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from smileaccess.delivery import Refused, Room
from smileaccess.errors import RecordsFailed, RecordsUnavailable
from smileaccess.model import ChainHead
from smileaccess.records.outbox import Outbox, record_id
from smileaccess.records.spool import Limits, Spool
from tests.test_spool import DOOR, KEY, NOON, attempt, denied, enroll, event, granted, member, put


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "door.db"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    with contextlib.closing(Spool.create(path, DOOR, KEY, now=lambda: NOON)) as made:
        yield made


@pytest.fixture
def outbox(spool: Spool) -> Outbox:
    return spool.outbox()


def test_an_empty_record_has_nothing_to_deliver(outbox: Outbox) -> None:
    assert outbox.waiting(10) == []
    assert (outbox.backlog().rows, outbox.backlog().oldest) == (0, None)


def test_rows_wait_in_the_order_of_their_last_link(spool: Spool, outbox: Outbox) -> None:
    """An attempt waits once it is closed, behind an event that came while it was open."""
    first, second, told = denied(0), granted(1), event(0)
    spool.open_attempt(first)
    spool.add_event(told)
    put(spool, second)
    spool.close_attempt(first)
    spool.open_attempt(attempt(5))

    waiting = outbox.waiting(10)
    assert [(row.id, row.table, row.sequence) for row in waiting] == [
        (told.id, "door_events", 2),
        (second.id, "attempts", 4),
        (first.id, "attempts", 5),
    ]
    assert waiting[-1].columns["open_seq"] == 1
    assert waiting[-1].hash == waiting[-1].columns["hash"] != waiting[-1].columns["open_hash"]


def test_a_row_tells_all_that_its_links_cover(spool: Spool, outbox: Outbox) -> None:
    put(spool, granted())
    columns = outbox.waiting(1)[0].columns
    told = (columns["similarity"], columns["cost"], columns["detail"], columns["closed_at"])
    assert told == (99.5, 0.001, '{"frames":[1,2]}', "2026-11-22T12:00:03.000000Z")


def test_what_was_delivered_waits_no_more(spool: Spool, outbox: Outbox) -> None:
    put(spool, denied(0), denied(1), denied(2))
    first = outbox.waiting(2)
    outbox.delivered(first[-1].sequence, (), NOON)
    assert [row.sequence for row in first] == [2, 4]
    assert [row.sequence for row in outbox.waiting(5)] == [6]
    assert (outbox.backlog().rows, outbox.backlog().through) == (1, 4)


def test_the_bookmark_never_goes_back(spool: Spool, outbox: Outbox) -> None:
    put(spool, denied(0), denied(1))
    outbox.delivered(4, (), NOON)
    outbox.delivered(2, (), NOON)
    assert outbox.waiting(5) == []


def test_the_bookmark_survives_the_program(spool: Spool, outbox: Outbox, path: Path) -> None:
    put(spool, denied(0), denied(1))
    outbox.delivered(2, (), NOON)
    spool.close()
    with contextlib.closing(Spool.open(path, DOOR, KEY)) as again:
        assert [row.sequence for row in again.outbox().waiting(5)] == [4]


def test_the_backlog_tells_since_when_rows_wait(spool: Spool, outbox: Outbox) -> None:
    put(spool, denied(3))
    spool.add_event(event(1))
    assert outbox.backlog().oldest == NOON + timedelta(minutes=1)


def test_a_refused_row_is_set_aside_and_offered_again(spool: Spool, outbox: Outbox) -> None:
    put(spool, denied(0), denied(1))
    spool.add_event(event())
    bad, _, worse = outbox.waiting(3)
    outbox.delivered(worse.sequence, (Refused(bad, "too long"), Refused(worse, "odd")), NOON)

    aside = outbox.backlog().set_aside
    assert [(one.sequence, one.table, one.row_id, one.error) for one in aside] == [
        (2, "attempts", bad.id, "too long"),
        (5, "door_events", worse.id, "odd"),
    ]
    assert (outbox.waiting(5), outbox.set_aside()) == ([], [bad, worse])
    outbox.taken_back([bad])
    assert outbox.set_aside() == [worse]


def test_a_record_is_told_from_the_next_one_of_its_door(spool: Spool, outbox: Outbox, tmp_path: Path) -> None:
    with contextlib.closing(Spool.create(tmp_path / "new.db", DOOR, b"n" * 32)) as other:
        assert other.outbox().record != outbox.record
    assert outbox.record == record_id(spool.begun())
    assert len(outbox.record) == 16


def test_the_record_holds_its_own_links_and_no_others(spool: Spool, outbox: Outbox) -> None:
    put(spool, denied(0))
    head = spool.add_event(event())
    assert outbox.holds(head)
    assert not outbox.holds(ChainHead(head.sequence, "0" * 64))
    assert not outbox.holds(ChainHead(head.sequence + 1, head.hash))


# Kept small


def test_pruning_keeps_what_was_not_delivered(spool: Spool, outbox: Outbox) -> None:
    put(spool, denied(-90), denied(-80), denied(-70), denied(0))
    outbox.delivered(4, (), NOON)
    assert spool.prune(NOON, "test", "", delivered=True) == 2
    assert [row.sequence for row in outbox.waiting(9)] == [6, 8, 9]
    assert spool.verify() > 0


def test_pruning_keeps_what_was_set_aside(spool: Spool, outbox: Outbox) -> None:
    put(spool, denied(-90), denied(-80), denied(-70), denied(0))
    refused = outbox.waiting(2)[1]
    outbox.delivered(8, (Refused(refused, "odd"),), NOON)
    assert spool.prune(NOON, "test", "", delivered=True) == 1
    assert outbox.set_aside() == [refused]


def test_a_person_may_prune_what_was_not_delivered(spool: Spool, outbox: Outbox) -> None:
    put(spool, denied(-90), denied(-80), denied(0))
    assert spool.prune(NOON - timedelta(hours=1), "root", "asked for") == 2
    assert len(outbox.waiting(9)) == 2


def limited(path: Path, limits: Limits) -> contextlib.closing[Spool]:
    return contextlib.closing(Spool.open(path, DOOR, KEY, limits=limits))


@pytest.mark.usefixtures("spool")
def test_a_full_record_begins_no_attempt_and_finishes_what_is_under_way(path: Path) -> None:
    with limited(path, Limits()) as roomy:
        begun = denied(0)
        roomy.open_attempt(begun)
    with limited(path, Limits(bytes=1 << 14)) as full:
        assert full.room().full
        with pytest.raises(RecordsUnavailable, match="limit_mb"):
            full.open_attempt(attempt(1))
        full.close_attempt(begun)
        full.add_event(event())
        assert full.verify() == 3


@pytest.mark.usefixtures("spool")
def test_a_disk_at_its_reserve_begins_no_attempt(path: Path) -> None:
    with limited(path, Limits(reserve=1 << 60)) as full, pytest.raises(RecordsUnavailable, match="disk"):
        full.open_attempt(attempt(1))


def test_a_record_with_room_begins_attempts(spool: Spool) -> None:
    assert not spool.room().full
    spool.open_attempt(attempt())


def test_pruning_makes_room(path: Path, spool: Spool) -> None:
    put(spool, *(denied(-200 + minute) for minute in range(150)))
    spool.outbox().delivered(spool.head().sequence, (), NOON)
    before = spool.room().used
    spool.prune(NOON, "test", "", delivered=True)
    assert spool.room().used < before * 0.7
    with limited(path, Limits(bytes=before)) as again:
        again.open_attempt(attempt(1))


@pytest.mark.parametrize(
    ("used", "free", "filling", "full"),
    [
        (0, 1000, False, False),
        (79, 1000, False, False),
        (80, 1000, True, False),
        (100, 1000, True, True),
        (0, 41, False, False),
        (0, 40, True, False),
        (0, 20, True, True),
    ],
)
def test_it_warns_before_it_denies(used: int, free: int, filling: bool, full: bool) -> None:
    room = Room(used, 100, free, 20)
    assert (room.filling, room.full) == (filling, full)


def test_without_a_limit_only_the_disk_counts() -> None:
    assert not Room(1 << 50, 0, 1000, 20).filling
    assert Room(0, 0, 20, 20).full


# The copy of a members' list


def test_the_copy_takes_what_is_no_older_than_it_has_held(spool: Spool) -> None:
    from smileaccess.membership import sign  # noqa: PLC0415
    from tests.test_spool import PRIVATE  # noqa: PLC0415

    signed = [sign(member("m_1", version), PRIVATE) for version in (1, 2, 3)]
    spool.take_member(signed[1], event())
    with pytest.raises(RecordsFailed, match="older than 2"):
        spool.take_member(signed[0], event())
    spool.take_member(signed[2], event())
    assert (spool.signed_members(), spool.floors()) == ([signed[2]], {"m_1": 3})
    assert spool.verify() == 2


def test_a_dropped_member_is_gone_and_may_come_back_no_older(spool: Spool) -> None:
    from smileaccess.membership import sign  # noqa: PLC0415
    from tests.test_spool import PRIVATE  # noqa: PLC0415

    enroll(spool, member("m_1", 4))
    spool.drop_member("m_1", event(kind="member_dropped"))
    assert (spool.signed_members(), spool.floors()) == ([], {"m_1": 4})
    with pytest.raises(RecordsFailed):
        spool.take_member(sign(member("m_1", 3), PRIVATE), event())
    spool.take_member(sign(member("m_1", 4), PRIVATE), event())
    assert [each.version for each in spool.signed_members()] == [4]


def test_a_dropped_member_leaves_no_template_in_the_file(spool: Spool, path: Path) -> None:
    enroll(spool, member("m_1"))
    spool.drop_member("m_1", event())
    assert bytes([1]) * 64 not in path.read_bytes()


def test_the_time_of_the_last_look_is_kept_and_sealed(spool: Spool, path: Path) -> None:
    assert spool.synced_at() is None
    spool.synced(NOON)
    spool.synced(NOON + timedelta(hours=1))
    assert spool.synced_at() == NOON + timedelta(hours=1)
    with contextlib.closing(sqlite3.connect(path)) as outsider, outsider:
        outsider.execute("UPDATE following SET synced_at = '2036-01-01T00:00:00.000000Z'")
    with pytest.raises(RecordsFailed, match="altered"):
        spool.synced_at()
