"""Every rule that a reload of the settings may change, in one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from smileaccess.approach import ApproachRules
from smileaccess.door import DoorRules
from smileaccess.doorway import DoorwayRules
from smileaccess.examining import ExaminingRules
from smileaccess.policy import LockOutRules, Rules

if TYPE_CHECKING:
    from smileaccess.settings import Settings


@dataclass(frozen=True, slots=True)
class Conduct:
    """Every rule that a reload may change, the waits for the workers in seconds, and the price of a billed call.

    `inputs` are those that the panel has, by their names in the settings; `hold_limit_s` is the longest that an
    operator may hold the door unlocked for. `office_ends_at` returns when the office hours end that cover a moment
    (both UTC), None where none do.
    """

    door: DoorRules = field(default_factory=DoorRules)
    examining: ExaminingRules = field(default_factory=ExaminingRules)
    policy: Rules = field(default_factory=Rules)
    lock_out: LockOutRules = field(default_factory=LockOutRules)
    approach: str = "wake"
    approaching: ApproachRules = field(default_factory=ApproachRules)
    camera_timeout_s: float = 2.0
    examine_timeout_s: float = 3.0
    price: float = 0.001
    doorway: DoorwayRules = field(default_factory=DoorwayRules)
    inputs: frozenset[str] = frozenset()
    hold_limit_s: float = 28800.0
    office_ends_at: Callable[[datetime], datetime | None] | None = None

    @classmethod
    def of(cls, settings: Settings) -> Conduct:
        """Return what the settings say."""
        return cls(
            settings.door_rules(),
            settings.examining_rules(),
            settings.policy_rules(),
            settings.lock_out_rules(),
            settings.door.approach,
            settings.approach_rules(),
            settings.camera.timeout_s,
            settings.recognition.timeout_s,
            settings.spending.price_per_call,
            settings.doorway_rules(),
            settings.inputs(),
            settings.door.hold_limit_s,
            settings.office_ends_at(),
        )
