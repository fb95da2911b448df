"""Turns the levels of a panel's inputs into reports: debounced, with stuck ones found; it reads no line and no clock.

Times are seconds on the panel's monotonic clock and come with every level, so that a late thread judges edges by when
they were, not by when it got to them. A level that was read while no edge told of it is doubted for a moment: its edge
may be on its way, and says when it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smileaccess.model import DoorInput

if TYPE_CHECKING:
    from smileaccess.pins import Pins


LOST_S = 0.25
"""Seconds after which an edge that has not come is taken for lost; the library's thread is never so late by far."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What an input reports.

    `on` when it has become active, `off` when it is no more; an input with `off` is a state, reported at the start if
    it is active then. `stuck` when it has been active for `stuck_s`, `freed` when that ends. With `at_once` the first
    edge reports, and debouncing only swallows the repeats.
    """

    on: DoorInput
    off: DoorInput | None = None
    stuck: DoorInput | None = None
    freed: DoorInput | None = None
    stuck_s: float = float("inf")
    at_once: bool = False


def rules(pins: Pins) -> dict[str, Rule]:
    """Return the rule of every input that is connected, by its name in the settings; the way out comes first."""
    made = {
        "rex": Rule(
            DoorInput.REX, stuck=DoorInput.REX_STUCK, freed=DoorInput.REX_FREED, stuck_s=pins.stuck_s, at_once=True
        ),
        "entry": Rule(DoorInput.ENTRY, stuck=DoorInput.ENTRY_STUCK, freed=DoorInput.ENTRY_FREED, stuck_s=pins.stuck_s),
        "approach": Rule(
            DoorInput.APPROACH,
            stuck=DoorInput.APPROACH_STUCK,
            freed=DoorInput.APPROACH_FREED,
            stuck_s=pins.approach_stuck_s,
        ),
        "contact": Rule(DoorInput.DOOR_OPENED, off=DoorInput.DOOR_CLOSED),
        "tamper": Rule(DoorInput.TAMPERED, off=DoorInput.TAMPER_CLEARED),
        "fire": Rule(DoorInput.FIRE, off=DoorInput.FIRE_CLEARED),
    }
    connected = pins.connected()
    return {name: rule for name, rule in made.items() if name in connected}


class Input:
    """One input; whoever owns it calls from one thread."""

    def __init__(self, rule: Rule, debounce_s: float, *, active: bool, at: float) -> None:
        """Take the first level, which is no edge: an input that is active already triggers nothing."""
        self._rule = rule
        self._debounce_s = debounce_s
        self._level = self._settled = active
        self._level_at = self._settled_at = at
        self._stuck = False
        self._doubted_at: float | None = None
        self._first = [rule.on] if active and rule.off is not None else []

    def level(self, active: bool, at: float) -> list[DoorInput]:
        """Take the level at a moment as an edge tells it, and return what is to be reported by then."""
        self._doubted_at = None
        reports = self.pass_time(at)
        if active is not self._level:
            self._level, self._level_at = active, at
            if active and self._rule.at_once and not self._settled:
                reports += self._settle(at)
        return reports

    def read(self, active: bool, now: float) -> list[DoorInput]:
        """Take the level as it was read just now, and return what is to be reported."""
        if active is self._level:
            self._doubted_at = None
        elif self._doubted_at is None:
            self._doubted_at = now
        elif now >= self._doubted_at + LOST_S:
            return self.level(active, now)
        return self.pass_time(now)

    def pass_time(self, now: float) -> list[DoorInput]:
        """Return what is to be reported since time has passed."""
        reports, self._first = self._first, []
        if self._doubted_at is not None:
            return reports
        if self._level is not self._settled and now >= self._level_at + self._debounce_s:
            reports += self._settle(self._level_at + self._debounce_s)
        if self._rule.stuck is not None and self._settled and not self._stuck and now >= self._stuck_at:
            self._stuck = True
            reports.append(self._rule.stuck)
        return reports

    @property
    def due(self) -> float:
        """When `pass_time` has something to say, infinity where only another level will."""
        if self._first:
            return float("-inf")
        if self._doubted_at is not None:
            return self._doubted_at + LOST_S
        settles = self._level_at + self._debounce_s if self._level is not self._settled else float("inf")
        sticks = self._stuck_at if self._settled and not self._stuck else float("inf")
        return min(settles, sticks)

    @property
    def _stuck_at(self) -> float:
        return self._settled_at + self._rule.stuck_s

    def _settle(self, at: float) -> list[DoorInput]:
        """Take the level as the input's own from now on."""
        self._settled, self._settled_at = self._level, at
        if self._settled:
            return [self._rule.on]
        freed, self._stuck = self._stuck, False
        told = (self._rule.off, self._rule.freed if freed else None)
        return [report for report in told if report is not None]


class Inputs:
    """All inputs of a panel; whoever owns them calls from one thread."""

    def __init__(self, rules: Mapping[str, Rule], debounce_s: float, active: Mapping[str, bool], at: float) -> None:
        """Take the rule and the first level of each input, by name."""
        self._inputs = {name: Input(rule, debounce_s, active=active[name], at=at) for name, rule in rules.items()}

    def level(self, name: str, active: bool, at: float) -> list[DoorInput]:
        """Take an input's level at a moment as an edge tells it, and return what is to be reported."""
        return self._inputs[name].level(active, at)

    def read(self, name: str, active: bool, now: float) -> list[DoorInput]:
        """Take an input's level as it was read just now, and return what is to be reported."""
        return self._inputs[name].read(active, now)

    def pass_time(self, now: float) -> list[DoorInput]:
        """Return what is to be reported since time has passed."""
        return [report for each in self._inputs.values() for report in each.pass_time(now)]

    def wait_s(self, now: float) -> float:
        """Return how long nothing is to be reported unless a level changes, infinity for ever."""
        return max(0.0, min((each.due for each in self._inputs.values()), default=float("inf")) - now)
