"""The door contact as the controller listens to it: what it means goes on record and into the journal, an alarm sounds.

It moves no strike: that who was let through has closed the door is told to the controller, which locks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from smileaccess import doorway as doorways
from smileaccess.doorway import Doorway

if TYPE_CHECKING:
    from smileaccess.doorway import DoorwayRules
    from smileaccess.ports import Clock

REPEAT_S = 10.0
"""Seconds between two soundings of the alarm."""

log = structlog.get_logger(__name__)


class Contact:
    """The contact of one door; the controller's thread."""

    def __init__(
        self,
        clock: Clock,
        note: Callable[[str, str, Mapping[str, Any]], None],
        *,
        on_shut: Callable[[], None],
        on_entered: Callable[[str], None],
        on_alarm: Callable[[], None],
    ) -> None:
        """Take the clock, and what puts on record (kind, why, detail).

        `on_shut` hears that who was let through has closed the door, `on_entered` what somebody came in by, `on_alarm`
        that the alarm is to be shown, again, or is over.
        """
        self._clock = clock
        self._note = note
        self._on_shut = on_shut
        self._on_entered = on_entered
        self._on_alarm = on_alarm
        self._doorway = Doorway.at(clock.monotonic())
        self._sound_at: float | None = None

    @property
    def in_alarm(self) -> bool:
        """Whether the door was forced, or has been open for too long, and still is open."""
        return self._doorway.in_alarm

    @property
    def open(self) -> bool:
        """Whether the door is open, as far as is known."""
        return self._doorway.opened_at is not None

    @property
    def next_deadline(self) -> float | None:
        """When time alone will next change something (monotonic seconds)."""
        times = (doorways.next_deadline(self._doorway), self._sound_at)
        return min((t for t in times if t is not None), default=None)

    def begin(self) -> None:
        """Take a door that is found open from now on as one that was open before: the panel reports it at once."""
        self._doorway = replace(self._doorway, settles_at=Doorway.at(self._clock.monotonic()).settles_at)

    def hear(self, event: doorways.DoorwayEvent, rules: DoorwayRules) -> None:
        """Take what happened, and tell of what it means."""
        now = self._clock.monotonic()
        before = self._doorway.in_alarm
        self._doorway, remarks, _ = doorways.step(self._doorway, event, now, rules)
        for remark in remarks:
            self._tell(remark)
        due = self._sound_at is not None and now >= self._sound_at
        if self._doorway.in_alarm is not before or due:
            self._sound_at = now + REPEAT_S if self._doorway.in_alarm else None
            self._on_alarm()

    def _tell(self, remark: doorways.Remark) -> None:
        match remark:
            case doorways.Entered():
                detail = {"cause": remark.cause, "attempt": remark.attempt, "stood_open": remark.stood_open}
                log.info("who was let in has opened the door", kind="entered", **detail)
                self._note("entered", "the door was opened", detail)
                self._on_entered(remark.cause)
            case doorways.NotEntered():
                detail = {"cause": remark.cause, "attempt": remark.attempt}
                log.warning("who was let in has not opened the door", kind="not_entered", **detail)
                self._note("not_entered", "the door was not opened", detail)
            case doorways.ForcedOpen():
                log.error("the door was forced open", kind="forced_open")
                self._note("forced_open", "the door was opened, and nothing had unlocked it", {})
            case doorways.HeldOpen():
                log.error("the door is held open", kind="held_open", for_s=round(remark.for_s))
                self._note("held_open", "the door has been open for too long", {"for_s": round(remark.for_s)})
            case doorways.HeldOpenOver():
                log.warning("the door that was held open is closed", kind="held_open_over", for_s=round(remark.for_s))
                self._note("held_open_over", "the door was closed", {"for_s": round(remark.for_s)})
            case doorways.RelockNow():
                self._on_shut()
