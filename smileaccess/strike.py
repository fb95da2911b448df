"""The strike as the controller drives it: what failed is known, and a relock that failed is tried again.

It decides nothing about when the strike moves; the panel's own bound holds whatever happens here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from smileaccess.errors import PanelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from smileaccess.ports import Clock, Panel

RETRY_S = 1.0
"""Seconds between two tries to de-energize a strike that would not."""

log = structlog.get_logger(__name__)


class Strike:
    """Drives the panel's strike; the controller's thread."""

    def __init__(self, panel: Panel, clock: Clock, note: Callable[[str, str], None]) -> None:
        """Take the panel, the clock, and who puts a failure (its cause, its message) on record."""
        self._panel = panel
        self._clock = clock
        self._note = note
        self.retry_at: float | None = None
        self.lost = False
        """Whether the panel says that it has nothing to drive the strike with."""

    @property
    def stuck(self) -> bool:
        """Whether the strike may still be energized although it should not be."""
        return self.retry_at is not None

    def energize(self, for_s: float, cause: str) -> bool:
        """Energize for at most `for_s` seconds; say whether it moved."""
        try:
            self._panel.energize(for_s)
        except PanelError as error:
            log.error("the strike did not move", kind="strike_failed", error=str(error), cause=cause)
            self._note(cause, str(error))
            return False
        self.retry_at = None
        return True

    def de_energize(self) -> bool:
        """De-energize, or take note to try again; say whether it is known to be locked."""
        try:
            self._panel.de_energize()
        except PanelError as error:
            log.error(
                "the strike may still be energized; it is tried again",
                kind="strike_stuck",
                error=str(error),
                in_s=RETRY_S,
            )
            if not self.stuck:
                self._note("relock", str(error))
            self.retry_at = self._clock.monotonic() + RETRY_S
            return False
        self.retry_at = None
        return True
