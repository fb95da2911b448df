"""Every rule that a reload of the settings may change, in one value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from smileaccess.door import DoorRules
from smileaccess.examining import ExaminingRules
from smileaccess.policy import LockOutRules, Rules

if TYPE_CHECKING:
    from smileaccess.settings import Settings


@dataclass(frozen=True, slots=True)
class Conduct:
    """Every rule that a reload may change, and the waits for the workers in seconds."""

    door: DoorRules = field(default_factory=DoorRules)
    examining: ExaminingRules = field(default_factory=ExaminingRules)
    policy: Rules = field(default_factory=Rules)
    lock_out: LockOutRules = field(default_factory=LockOutRules)
    approach: str = "wake"
    camera_timeout_s: float = 2.0
    examine_timeout_s: float = 3.0

    @classmethod
    def of(cls, settings: Settings, agreeing: int) -> Conduct:
        """Return what the settings say; `agreeing` is the recognizer's."""
        return cls(
            settings.door_rules(),
            settings.examining_rules(agreeing),
            settings.policy_rules(),
            settings.lock_out_rules(),
            settings.door.approach,
            settings.camera.timeout_s,
            settings.recognition.timeout_s,
        )
