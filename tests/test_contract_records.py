"""What every adapter of the Records port promises, over the fake and the spool; to be read, the central one too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from smileaccess.errors import ChainBroken, RecordsFailed, RecordsUnavailable
from smileaccess.model import Attempt, Bill, ChainHead, DoorEvent, Emotion, Outcome, Payer, Reason, Trigger, uuid7
from smileaccess.ports import RecordReader, Records
from smileaccess.records.mysql.central import CentralRecords
from smileaccess.records.spool import Spool
from tests.fakes_records import FakeRecords
from tests.office import new_center

DOOR = "test"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TODAY = date(2026, 11, 22)


@pytest.fixture(params=["fake", "spool"])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Records]:
    made: Records = FakeRecords(DOOR) if request.param == "fake" else spool_in(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["fake", "spool", "central"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    """A record to be read, to which attempts that have ended and events come by whatever way."""
    if request.param == "central":
        center = new_center(request.getfixturevalue("mariadb"))
        with closing(center.link()) as link:
            yield Kept(CentralRecords(link), center.put, center.add_event)
        return
    with closing(FakeRecords(DOOR) if request.param == "fake" else spool_in(tmp_path)) as made:
        yield Kept(made, partial(put, made), made.add_event)


@dataclass(frozen=True)
class Kept:
    records: RecordReader
    put: Callable[..., object]
    add_event: Callable[[DoorEvent], object]


def spool_in(folder: Path) -> Spool:
    return Spool.create(folder / "records.db", DOOR, b"c" * 32, now=lambda: NOON + timedelta(days=9))


def opened(minute: int = 0) -> Attempt:
    at = NOON + timedelta(minutes=minute)
    return Attempt(uuid7(int(at.timestamp() * 1000)), DOOR, Trigger.BUTTON, at)


def granted(attempt: Attempt, member_id: str = "m_1") -> Attempt:
    return replace(
        attempt,
        closed_at=attempt.opened_at + timedelta(seconds=3, microseconds=7),
        outcome=Outcome.GRANTED,
        member_id=member_id,
        similarity=99.25,
        smile=88,
        emotion=Emotion.HAPPY,
        liveness="neutral-then-smile",
        recognizer="embedded",
        model="sface-2021dec",
        calls=2,
        cost=0.002,
        stages_ms={"seen": 120.5, "decided": 3000},
        detail={"frames": [1, 2], "quality": {"brightness": 50.0}, "ok": True, "note": None},
    )


def denied(attempt: Attempt, reason: Reason = Reason.NO_SMILE) -> Attempt:
    closed_at = attempt.opened_at + timedelta(seconds=8)
    return replace(attempt, closed_at=closed_at, outcome=Outcome.DENIED, reason=reason)


def event(minute: int = 0, kind: str = "rex") -> DoorEvent:
    return DoorEvent(uuid7(), DOOR, NOON + timedelta(minutes=minute), kind, "panel", "inside", {"n": 1})


def put(records: Records, *attempts: Attempt) -> None:
    for attempt in attempts:
        records.open_attempt(attempt)
        records.close_attempt(attempt)


def test_an_empty_record_has_head_zero_and_no_time(records: Records) -> None:
    assert (records.head().sequence, records.newest(), records.verify()) == (0, None, 0)
    assert list(records.attempts()) == []
    assert list(records.events()) == []


def test_an_open_attempt_is_kept_with_nothing_of_its_end(records: Records) -> None:
    attempt = opened()
    records.open_attempt(granted(attempt))
    assert records.attempt(attempt.id) == attempt


@pytest.mark.parametrize("end", [granted, denied], ids=["granted", "denied"])
def test_a_closed_attempt_comes_back_equal(kept: Kept, end: Callable[[Attempt], Attempt]) -> None:
    attempt = end(opened())
    kept.put(attempt)
    assert kept.records.attempt(attempt.id) == attempt
    assert list(kept.records.attempts()) == [attempt]


def test_an_event_comes_back_equal(kept: Kept) -> None:
    one = event()
    kept.add_event(one)
    assert list(kept.records.events()) == [one]


def test_an_empty_record_has_nothing_to_read(kept: Kept) -> None:
    assert list(kept.records.attempts()) == list(kept.records.events()) == []
    assert (kept.records.newest(), kept.records.mentions("m_1")) == (None, (0, 0))


def test_mentions_count_an_id_as_member_as_candidate_and_in_events(kept: Kept) -> None:
    """Each row once; other ids, and the name of something else, are not counted."""
    examined = {"examinations": [{"candidates": [{"member": "m_1", "similarity": 99.0}]}, {"candidates": None}]}
    attempts = [granted(opened(number), member) for number, member in enumerate(["m_1", "m_2", "m_11"])]
    attempts.append(replace(denied(opened(3)), detail=examined))
    attempts.append(replace(granted(opened(4)), detail=examined))
    kept.put(*attempts)
    for number, member in enumerate(["m_1", "m_1", "m_2", "m_12"]):
        kept.add_event(replace(event(number), detail={"member": member}))
    kept.add_event(event(9))
    assert kept.records.mentions("m_1") == (3, 2)
    assert kept.records.mentions("m_3") == (0, 0)


def test_each_write_is_one_link_and_returns_the_head(records: Records) -> None:
    attempt = opened()
    heads = [records.open_attempt(attempt), records.add_event(event()), records.close_attempt(denied(attempt))]
    assert [head.sequence for head in heads] == [1, 2, 3]
    assert len({head.hash for head in heads}) == 3
    assert records.head() == heads[-1]
    assert records.verify() == 3


def test_an_attempt_opens_once(records: Records) -> None:
    attempt = opened()
    records.open_attempt(attempt)
    with pytest.raises(RecordsFailed):
        records.open_attempt(attempt)
    assert records.verify() == 1


def test_an_attempt_closes_once_and_the_first_stays(records: Records) -> None:
    attempt = opened()
    put(records, denied(attempt))
    with pytest.raises(RecordsFailed, match=attempt.id):
        records.close_attempt(granted(attempt))
    assert records.attempt(attempt.id).outcome is Outcome.DENIED


def test_what_was_never_opened_cannot_be_closed(records: Records) -> None:
    with pytest.raises(RecordsFailed):
        records.close_attempt(denied(opened()))
    assert records.head().sequence == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"closed_at": None},
        {"outcome": None},
        {"reason": Reason.NO_SMILE},
        {"outcome": Outcome.DENIED},
        {"cost": -0.001},
        {"trigger": Trigger.OPERATOR},
        {"opened_at": NOON - timedelta(days=1)},
        {"door": "another"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_close_that_contradicts_itself_or_its_opening_is_refused(records: Records, wrong: dict[str, object]) -> None:
    attempt = opened()
    records.open_attempt(attempt)
    with pytest.raises(RecordsFailed):
        records.close_attempt(replace(granted(attempt), **wrong))
    assert records.attempt(attempt.id) == attempt
    assert records.verify() == 1


def test_another_doors_rows_are_refused(records: Records) -> None:
    with pytest.raises(RecordsFailed):
        records.open_attempt(replace(opened(), door="another"))
    with pytest.raises(RecordsFailed):
        records.add_event(replace(event(), door="another"))
    assert records.head().sequence == 0


def test_what_a_crash_left_open_is_closed_as_internal_error(records: Records) -> None:
    whole, first, second = granted(opened()), opened(1), opened(2)
    put(records, whole)
    records.open_attempt(first)
    records.open_attempt(second)
    closed = records.close_open_attempts(DOOR, NOON + timedelta(hours=1))
    assert [attempt.id for attempt in closed] == [first.id, second.id]
    assert {(attempt.outcome, attempt.reason) for attempt in closed} == {(Outcome.DENIED, Reason.INTERNAL_ERROR)}
    assert all(attempt.detail and attempt.closed_at == NOON + timedelta(hours=1) for attempt in closed)
    assert list(records.attempts()) == [closed[1], closed[0], whole]
    assert records.verify() == 6
    assert records.close_open_attempts(DOOR, NOON) == []


def test_attempts_and_events_come_newest_first(kept: Kept) -> None:
    attempts = [denied(opened(minute)) for minute in (3, 1, 2)]
    kept.put(*attempts)
    events = [event(minute) for minute in (5, 9, 7)]
    for one in events:
        kept.add_event(one)
    assert list(kept.records.attempts()) == [attempts[0], attempts[2], attempts[1]]
    assert list(kept.records.events()) == [events[1], events[2], events[0]]


@pytest.mark.parametrize(
    ("given", "minutes"),
    [
        ({}, [3, 2, 1, 0]),
        ({"since": NOON + timedelta(minutes=2)}, [3, 2]),
        ({"until": NOON + timedelta(minutes=2)}, [1, 0]),
        ({"outcome": "granted"}, [2, 0]),
        ({"outcome": "denied"}, [3, 1]),
        ({"reason": "no_smile"}, [3]),
        ({"member_id": "m_2"}, [2]),
        ({"limit": 3}, [3, 2, 1]),
        ({"limit": 0}, []),
        ({"outcome": "granted", "limit": 1, "until": NOON + timedelta(minutes=1)}, [0]),
    ],
)
def test_filters_hold_together(kept: Kept, given: dict[str, Any], minutes: list[int]) -> None:
    kept.put(granted(opened(0)), denied(opened(1), Reason.TIMEOUT), granted(opened(2), "m_2"), denied(opened(3)))
    found = [(attempt.opened_at - NOON).seconds // 60 for attempt in kept.records.attempts(**given)]
    assert found == minutes


def test_events_are_filtered_by_time_and_number(kept: Kept) -> None:
    events = [event(minute) for minute in range(3)]
    for one in events:
        kept.add_event(one)
    assert list(kept.records.events(since=NOON + timedelta(minutes=1))) == [events[2], events[1]]
    assert list(kept.records.events(limit=1)) == [events[2]]


def test_bills_are_summed_up_by_day_and_payer(records: Records) -> None:
    tomorrow = TODAY + timedelta(days=1)
    for day, payer in ((TODAY, Payer.DOOR), (tomorrow, Payer.DOOR), (TODAY, Payer.DESK), (TODAY, Payer.DOOR)):
        records.add_bill(Bill(day, payer, 3, 3000))
    records.add_bill(Bill(tomorrow, Payer.DESK, 1, 500))
    assert records.bills(TODAY) == [
        Bill(TODAY, Payer.DESK, 3, 3000),
        Bill(TODAY, Payer.DOOR, 6, 6000),
        Bill(tomorrow, Payer.DESK, 1, 500),
        Bill(tomorrow, Payer.DOOR, 3, 3000),
    ]


def test_bills_are_given_from_a_day_on(records: Records) -> None:
    made = [Bill(TODAY + timedelta(days=days), Payer.DOOR, days, 0) for days in range(4)]
    for bill in reversed(made):
        records.add_bill(bill)
    assert records.bills(made[2].day) == made[2:]
    assert records.bills(made[3].day + timedelta(days=1)) == []


@pytest.mark.parametrize("wrong", [Bill(TODAY, Payer.DOOR, -1, 1000), Bill(TODAY, Payer.DOOR, 1, -1000)])
def test_a_negative_bill_is_refused(records: Records, wrong: Bill) -> None:
    records.add_bill(Bill(TODAY, Payer.DOOR, 5, 5000))
    with pytest.raises(RecordsFailed, match="2026-11-22"):
        records.add_bill(wrong)
    assert records.bills(TODAY) == [Bill(TODAY, Payer.DOOR, 5, 5000)]


def test_a_bill_is_no_link_and_pruning_leaves_it(records: Records) -> None:
    """Bills move no head, and stay when the attempts that they paid for go."""
    put(records, denied(opened()))
    head, bill = records.add_event(event(60)), Bill(TODAY, Payer.DOOR, 1, 1000)
    records.add_bill(bill)
    assert (records.head(), records.verify(head)) == (head, 3)
    assert records.prune(NOON + timedelta(minutes=30), "root", "old") == 1
    assert records.bills(TODAY) == [bill]


def test_an_attempt_is_found_by_a_beginning_that_fits_one_only(kept: Kept) -> None:
    one, other = opened(0), opened(1000)
    kept.put(denied(one), denied(other))
    assert kept.records.attempt(one.id.upper()[:20]).id == one.id
    for wanted in ("", one.id[:3], "ffff", "%", "0_"):
        with pytest.raises(RecordsFailed):
            kept.records.attempt(wanted)


def test_newest_is_the_latest_time_of_any_row(kept: Kept) -> None:
    attempt = denied(opened())
    kept.put(attempt)
    assert kept.records.newest() == attempt.closed_at
    late = event(60)
    kept.add_event(late)
    kept.add_event(event(30))
    assert kept.records.newest() == late.at


def test_verify_holds_a_record_against_a_head(records: Records) -> None:
    head = records.add_event(event())
    records.add_event(event())
    assert records.verify(head) == 2
    assert records.verify(records.head()) == 2
    for wrong in (ChainHead(1, "0" * 64), ChainHead(2, head.hash), ChainHead(3, head.hash)):
        with pytest.raises(ChainBroken) as caught:
            records.verify(wrong)
        assert caught.value.sequence == wrong.sequence


def test_prune_takes_whole_old_rows_from_the_beginning_and_leaves_a_checkpoint(records: Records) -> None:
    old, young = [denied(opened(minute)) for minute in range(3)], denied(opened(100))
    put(records, *old)
    first = records.head()
    records.add_event(event(3))
    put(records, young)
    last = records.head()
    assert records.prune(NOON + timedelta(minutes=50), "root", "old") == 4
    assert list(records.attempts()) == [young]
    assert [(one.kind, one.who, one.why) for one in records.events()] == [("records_pruned", "root", "old")]
    assert records.verify(last) == 3
    with pytest.raises(RecordsFailed, match="pruned"):
        records.verify(first)


def test_prune_stops_at_an_open_attempt_and_splits_none(records: Records) -> None:
    records.add_event(event(0))
    long = opened(1)
    records.open_attempt(long)
    records.add_event(event(2))
    assert records.prune(NOON + timedelta(days=1), "root", "old") == 1
    records.close_attempt(denied(long))
    assert records.prune(NOON + timedelta(minutes=1, seconds=5), "root", "old") == 0
    assert records.attempt(long.id) == denied(long)
    records.verify()


def test_prune_never_takes_the_newest_link(records: Records) -> None:
    records.add_event(event(0))
    assert records.prune(NOON + timedelta(days=1), "root", "old") == 0
    assert records.verify(records.head()) == 1


def test_prune_with_nothing_old_changes_nothing(records: Records) -> None:
    put(records, denied(opened(10)))
    head = records.head()
    assert records.prune(NOON, "root", "old") == 0
    assert records.head() == head


def test_a_listing_under_way_bears_writes_in_between(records: Records) -> None:
    put(records, *(denied(opened(minute)) for minute in range(4)))
    listing = records.attempts()
    first = next(listing)
    put(records, denied(opened(50)))
    assert (first.opened_at - NOON).seconds == 180
    assert len(list(listing)) == 3


def test_a_closed_record_is_unavailable_and_closes_again(records: Records) -> None:
    records.close()
    records.close()
    with pytest.raises(RecordsUnavailable):
        records.open_attempt(opened())
    with pytest.raises(RecordsUnavailable):
        records.add_bill(Bill(TODAY, Payer.DOOR, 1, 1000))


def test_the_fake_fails_as_often_as_told() -> None:
    records = FakeRecords(DOOR)
    records.fail(2)
    for _ in range(2):
        with pytest.raises(RecordsUnavailable):
            records.open_attempt(opened())
    assert records.open_attempt(opened()).sequence == 1
