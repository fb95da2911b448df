"""The recorder: written in order, tried again first, and nothing lost without a word."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import structlog

from smileaccess.errors import RecordsFailed, RecordsUnavailable
from smileaccess.model import Attempt, Bill, Outcome, Payer, Reason
from smileaccess.recorder import MOST_WAITING, Recorder
from tests.builders import NOON, make_attempt, make_event
from tests.fakes import Entry, JournaledRecords

TODAY = date(2031, 5, 17)


class Ledger(JournaledRecords):
    """A record whose bills are journaled too, and fail where "bill" is broken."""

    def add_bill(self, bill: Bill) -> None:
        if "bill" in self.broken:
            raise self.error
        super().add_bill(bill)
        self.journal.append(("records", f"bill {bill.calls}"))


@pytest.fixture
def journal() -> list[Entry]:
    return []


@pytest.fixture
def records(journal: list[Entry]) -> Ledger:
    return Ledger(journal)


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[Any]]:
    """Catch what is logged."""
    with structlog.testing.capture_logs() as captured:
        yield captured


def ended(attempt_id: str = "a") -> Attempt:
    return make_attempt(attempt_id, closed_at=NOON, outcome=Outcome.DENIED, reason=Reason.NO_SMILE)


def bill(calls: int = 1, day: date = TODAY, payer: Payer = Payer.DOOR) -> Bill:
    return Bill(day, payer, calls, 1000 * calls)


def written(journal: list[Entry]) -> list[str]:
    return [what for _, what in journal]


def test_an_attempt_is_written_through(records: JournaledRecords, journal: list[Entry]) -> None:
    """Opening and closing return the head of a row that is durable."""
    recorder = Recorder(records)
    opened = recorder.open_attempt(make_attempt("a"))
    closed = recorder.close_attempt(ended())

    assert (opened.sequence, closed) == (1, records.head())
    assert written(journal) == ["open a", "close denied"]


def test_what_waits_goes_first(records: JournaledRecords, journal: list[Entry]) -> None:
    """Rows that could not be written come before those that follow, in their order."""
    recorder = Recorder(records)
    records.broken = {"event"}
    recorder.event_later(make_event("e1", "rex"))
    recorder.event_later(make_event("e2", "unlock"))
    records.broken = set()
    recorder.open_attempt(make_attempt("a"))

    assert written(journal) == ["event rex", "event unlock", "open a"]


def test_an_attempt_does_not_begin_before_the_record_has_caught_up(records: JournaledRecords) -> None:
    """While rows still wait no attempt is opened, and nothing of it is kept."""
    recorder = Recorder(records)
    records.broken = {"event"}
    recorder.event_later(make_event())

    with pytest.raises(RecordsUnavailable):
        recorder.open_attempt(make_attempt("a"))
    records.broken = set()
    recorder.event_later(make_event("e2"))
    assert (records.rows, len(records.put_down)) == ({}, 2)


@pytest.mark.parametrize("method", ["open", "close", "event"])
def test_what_must_be_durable_now_says_when_it_is_not(records: JournaledRecords, method: str) -> None:
    """Opening, closing and an operator's event raise, and are not tried again."""
    recorder = Recorder(records)
    if method == "close":
        recorder.open_attempt(make_attempt("a"))
    records.broken = {method}
    act = {
        "open": lambda: recorder.open_attempt(make_attempt("a")),
        "close": lambda: recorder.close_attempt(ended()),
        "event": lambda: recorder.event_now(make_event()),
    }[method]

    with pytest.raises(RecordsUnavailable):
        act()
    before = len(records.heads)
    records.broken = set()
    recorder.event_later(make_event("e2", "start"))
    assert (len(records.heads), records.put_down[-1].kind) == (before + 1, "start")


def test_finishing_an_open_row(records: JournaledRecords, journal: list[Entry]) -> None:
    """A row that is open is completed."""
    recorder = Recorder(records)
    recorder.open_attempt(make_attempt("a"))
    recorder.finish_later(ended())

    assert written(journal) == ["open a", "close denied"]


def test_finishing_a_row_that_is_missing(records: JournaledRecords, journal: list[Entry]) -> None:
    """A row that was never opened is opened and completed."""
    Recorder(records).finish_later(ended())

    assert written(journal) == ["open a", "close denied"]
    assert records.rows["a"] == ended()


def test_finishing_a_row_that_is_complete_leaves_it(records: JournaledRecords, lines: list[Any]) -> None:
    """A commit that came late after all stands as it is, the record goes on, and the journal says so."""
    recorder = Recorder(records)
    recorder.open_attempt(make_attempt("a"))
    recorder.close_attempt(ended())
    recorder.finish_later(make_attempt("a", closed_at=NOON, outcome=Outcome.DENIED, reason=Reason.RECORDS_UNAVAILABLE))
    recorder.event_now(make_event())

    assert records.rows["a"] == ended()
    assert [line["event"] for line in lines] == ["a row that waited was not written"]


def test_finishing_waits_for_the_record(records: JournaledRecords, journal: list[Entry]) -> None:
    """An open row that cannot be completed now is completed as soon as it can be, and not opened twice."""
    recorder = Recorder(records)
    recorder.open_attempt(make_attempt("a"))
    records.broken = {"close"}
    recorder.finish_later(ended())
    assert records.rows["a"].closed_at is None

    records.broken = set()
    recorder.event_later(make_event())
    assert written(journal) == ["open a", "close denied", "event unlock"]


def test_a_row_that_is_refused_does_not_block_the_others(records: JournaledRecords) -> None:
    """The same row would be refused again; what waits behind it is written."""
    recorder = Recorder(records)
    records.broken = {"event"}
    recorder.event_later(make_event("e1"))
    records.error = RecordsFailed("refused")
    recorder.event_later(make_event("e2"))
    records.broken = set()
    recorder.event_later(make_event("e3"))

    assert [event.id for event in records.put_down] == ["e3"]


def test_the_oldest_is_lost_when_too_many_wait(records: JournaledRecords, lines: list[Any]) -> None:
    """Memory is bounded, and the loss is said."""
    recorder = Recorder(records)
    records.broken = {"event"}
    for number in range(MOST_WAITING + 2):
        recorder.event_later(make_event(f"e{number}"))
    records.broken = set()
    recorder.close()

    assert [records.put_down[0].id, len(records.put_down)] == ["e2", MOST_WAITING]
    assert len([line for line in lines if line["event"].startswith("a row is lost")]) == 2


def test_a_bill_is_put_down_at_once(records: JournaledRecords, journal: list[Entry]) -> None:
    """While the record can be written nothing waits."""
    recorder = Recorder(records)
    recorder.bill_later(bill())
    recorder.bill_later(bill(2))

    assert (written(journal), recorder.waiting) == (["bill 1", "bill 2"], 0)
    assert records.bills(TODAY) == [bill(3)]


def test_a_bill_waits_in_order_with_the_rest(records: JournaledRecords, journal: list[Entry]) -> None:
    """What could not be written goes first, and each in its place."""
    recorder = Recorder(records)
    records.broken = {"event", "bill"}
    recorder.event_later(make_event("e1", "rex"))
    recorder.bill_later(bill())
    recorder.event_later(make_event("e2", "unlock"))
    records.broken = set()
    recorder.open_attempt(make_attempt("a"))

    assert written(journal) == ["event rex", "bill 1", "event unlock", "open a"]


def test_bills_that_wait_are_summed_up_by_day_and_payer(records: JournaledRecords, journal: list[Entry]) -> None:
    """However many calls are made meanwhile, one bill a day and payer waits."""
    tomorrow = TODAY + timedelta(days=1)
    recorder = Recorder(records)
    records.broken = {"bill"}
    for each in (bill(), bill(2), bill(4, tomorrow), bill(8, payer=Payer.DESK), bill(16, tomorrow)):
        recorder.bill_later(each)
    assert recorder.waiting == 3

    records.broken = set()
    recorder.try_again()
    assert written(journal) == ["bill 3", "bill 20", "bill 8"]
    assert records.bills(TODAY) == [bill(8, payer=Payer.DESK), bill(3), bill(20, tomorrow)]


def test_a_bill_is_not_lost_for_too_many_events(records: JournaledRecords) -> None:
    """Where memory is full the oldest event goes; a bill that is older stays, whoever comes."""
    recorder = Recorder(records)
    records.broken = {"bill", "event"}
    recorder.bill_later(bill())
    for number in range(MOST_WAITING):
        recorder.event_later(make_event(f"e{number}"))
    recorder.bill_later(bill(payer=Payer.DESK))
    records.broken = set()
    recorder.close()

    assert [records.put_down[0].id, len(records.put_down)] == ["e2", MOST_WAITING - 2]
    assert [each.calls for each in records.spent.values()] == [1, 1]


def test_a_bill_that_is_refused_does_not_block_the_others(records: JournaledRecords, lines: list[Any]) -> None:
    """The same bill would be refused again: it is told, and what waits behind it is written."""
    recorder = Recorder(records)
    recorder.bill_later(bill(-1))
    recorder.bill_later(bill(2))

    assert records.bills(TODAY) == [bill(2)]
    assert [line["event"] for line in lines] == ["a row that waited was not written"]


def test_closing_writes_what_waits(records: JournaledRecords) -> None:
    """The stop is the last chance, and the record is closed after it."""
    recorder = Recorder(records)
    records.broken = {"event"}
    recorder.event_later(make_event())
    records.broken = set()
    recorder.close()

    assert (len(records.put_down), records.closed) == (1, True)


def test_what_is_lost_at_the_stop_is_logged(records: JournaledRecords, lines: list[Any]) -> None:
    """A record that stays broken is closed all the same, and the journal holds how much was lost."""
    recorder = Recorder(records)
    records.broken = {"event"}
    recorder.event_later(make_event())
    recorder.close()

    assert (lines[-1]["event"].split(":")[0], lines[-1]["rows"], records.closed) == ("rows lost at the stop", 1, True)
