"""Carries a door's record to the central database, in order and in batches; it never blocks the door and loses nothing.

What could not be delivered stays in the outbox and is tried again. A row that the database refuses for what it holds is
set aside, so that the rest goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from smileaccess.delivery import Refused
    from smileaccess.ports import Archive, Clock, Outbox

BATCH = 1000
"""Rows in one transaction: few enough to be sent again cheaply, enough that the commit costs little."""

Tell = Callable[[str, str, Mapping[str, Any]], None]

log = structlog.get_logger(__name__)


class Forwarder:
    """One door's delivery; one thread."""

    def __init__(self, outbox: Outbox, archive: Archive, clock: Clock, tell: Tell, *, batch: int = BATCH) -> None:
        """Take what waits, where it goes, and what puts on record what nobody should miss (kind, why, detail)."""
        self._outbox = outbox
        self._archive = archive
        self._clock = clock
        self._tell = tell
        self._batch = batch
        self._told_put_back = False

    def greet(self) -> None:
        """See after each new connection whether the record that was delivered is this one; RecordsError."""
        head = self._archive.head()
        if head is None or self._outbox.holds(head):
            return
        if not self._told_put_back:
            self._told_put_back = True
            why = "this door's record is not, or is an older copy of, the one that was delivered before"
            log.error(why, kind="record_put_back", delivered=str(head))
            self._tell("record_put_back", why, {"delivered": str(head)})

    def turn(self) -> bool:
        """Deliver one batch and say whether more waits; RecordsError leaves it where it is."""
        rows = self._outbox.waiting(self._batch)
        if not rows:
            return False
        now = self._clock.now()
        refused = self._archive.deliver(rows, now)
        self._outbox.delivered(rows[-1].sequence, tuple(refused), now)
        for each in refused:
            self._alarm(each)
        return len(rows) == self._batch

    def offer_again(self) -> int:
        """Offer once more what was set aside, and return how many of it were taken; RecordsError."""
        rows = self._outbox.set_aside()
        if not rows:
            return 0
        now = self._clock.now()
        refused = self._archive.deliver(rows, now)
        kept = {each.row.sequence for each in refused}
        taken = [row for row in rows if row.sequence not in kept]
        self._outbox.taken_back(taken)
        return len(taken)

    def _alarm(self, refused: Refused) -> None:
        row = refused.row
        detail = {"table": row.table, "row": row.id, "link": row.sequence}
        log.error(
            "the central database refused a row; it is set aside", kind="row_set_aside", error=refused.error, **detail
        )
        self._tell("row_set_aside", refused.error[:500], detail)
