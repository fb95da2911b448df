"""The record as one worker thread writes it: in order, and what could not be written is tried again first.

It decides nothing, and never drops a row silently: what still waits when it closes is logged. Bills are not dropped
for others: those of one day and payer wait as one.
"""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from smileaccess.errors import RecordsError, RecordsFailed
from smileaccess.model import Attempt, Bill

if TYPE_CHECKING:
    from collections.abc import Callable

    from smileaccess.model import ChainHead, DoorEvent
    from smileaccess.ports import RecordWriter

MOST_WAITING = 1000
"""Rows that may wait in memory for the record to come back; beyond them the oldest event is lost, and logged."""

log = structlog.get_logger(__name__)


class Recorder:
    """Writes through to `records`; all methods on the one recorder thread."""

    def __init__(self, records: RecordWriter) -> None:
        self._records = records
        self._waiting: deque[Bill | Callable[[], object]] = deque()

    def open_attempt(self, attempt: Attempt) -> ChainHead:
        """Write what waits, then open the attempt; RecordsError, and then nothing of it is kept."""
        self._catch_up()
        return self._records.open_attempt(attempt)

    def close_attempt(self, attempt: Attempt) -> ChainHead:
        """Complete an attempt; RecordsError."""
        return self._records.close_attempt(attempt)

    def finish_later(self, attempt: Attempt) -> None:
        """Complete an attempt whose row may be open or missing, now or as soon as the record can be written again."""
        self._write_or_wait(lambda: self._finish(attempt))

    def event_now(self, event: DoorEvent) -> ChainHead:
        """Put an event on record; RecordsError, and then nothing of it is kept."""
        self._catch_up()
        return self._records.add_event(event)

    def event_later(self, event: DoorEvent) -> None:
        """Put an event on record, now or as soon as the record can be written again."""
        self._write_or_wait(lambda: self._records.add_event(event))

    def bill_later(self, bill: Bill) -> None:
        """Put billed calls down, now or as soon as the record can be written again."""
        for place, waits in enumerate(self._waiting):
            if isinstance(waits, Bill) and (waits.day, waits.payer) == (bill.day, bill.payer):
                self._waiting[place] = replace(waits, calls=waits.calls + bill.calls, micros=waits.micros + bill.micros)
                break
        else:
            self._waiting.append(bill)
        self._write_what_waits()

    @property
    def waiting(self) -> int:
        """How many rows wait for the record to come back; any thread."""
        return len(self._waiting)

    def try_again(self) -> None:
        """Write what waits, where that goes by now."""
        with contextlib.suppress(RecordsError):  # which was logged when the row began to wait
            self._catch_up()

    def close(self) -> None:
        """Write what waits, one last time, and close the record."""
        try:
            self._catch_up()
        except RecordsError as error:
            log.error(
                "rows lost at the stop: the record cannot be written",
                kind="rows_lost",
                rows=len(self._waiting),
                error=str(error),
            )
        self._records.close()

    def _finish(self, attempt: Attempt) -> ChainHead:
        try:
            return self._records.close_attempt(attempt)
        except RecordsFailed:
            self._records.open_attempt(Attempt(attempt.id, attempt.door, attempt.trigger, attempt.opened_at))
            return self._records.close_attempt(attempt)

    def _write_or_wait(self, write: Callable[[], object]) -> None:
        self._waiting.append(write)
        self._write_what_waits()

    def _write_what_waits(self) -> None:
        try:
            self._catch_up()
        except RecordsError as error:
            log.error(
                "the record cannot be written; the row waits",
                kind="record_unwritable",
                rows=len(self._waiting),
                error=str(error),
            )
            if len(self._waiting) > MOST_WAITING:
                self._drop_the_oldest()
                log.error("a row is lost: too many wait for the record", kind="rows_lost", most=MOST_WAITING)

    def _drop_the_oldest(self) -> None:
        """Forget the row that waits longest; bills are few, one a day and payer, and stay."""
        rows = (place for place, waits in enumerate(self._waiting) if not isinstance(waits, Bill))
        del self._waiting[next(rows, 0)]

    def _write(self, waits: Bill | Callable[[], object]) -> None:
        if isinstance(waits, Bill):
            self._records.add_bill(waits)
        else:
            waits()

    def _catch_up(self) -> None:
        while self._waiting:
            waits = self._waiting.popleft()
            try:
                self._write(waits)
            except RecordsFailed as error:
                # The same again would fail again: the row is there already (a commit that came late), or is refused.
                log.error("a row that waited was not written", kind="row_unwritten", error=str(error))
            except RecordsError:
                self._waiting.appendleft(waits)
                raise
