"""How long an approach sensor that fires without a face is not listened to: pure; it starts no attempt itself.

A curtain or a tree before the sensor would otherwise keep the camera, the record and the disk busy day and night. The
entry button is always heard.
"""

from __future__ import annotations

from dataclasses import dataclass

from smileaccess.model import Outcome, Reason, Trigger

_EMPTY = frozenset({Reason.NO_FACE, Reason.TOO_DARK})
"""What an attempt ends with when there was nobody, as far as could be seen."""


@dataclass(frozen=True, slots=True)
class ApproachRules:
    """After an attempt without a face the sensor rests `first_s` seconds, twice that after each further one.

    It never rests for longer than `limit_s`; 0 for either is no rest at all.
    """

    first_s: float = 5.0
    limit_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Rest:
    """How many attempts of the sensor in a row saw no face, and until when (monotonic seconds) it is not heard."""

    empty: int = 0
    until: float = 0.0

    def heard(self, now: float) -> bool:
        """Say whether the sensor may start an attempt now."""
        return now >= self.until


def next_rest(
    rest: Rest, trigger: Trigger, outcome: Outcome | None, reason: Reason | None, now: float, rules: ApproachRules
) -> Rest:
    """Return how the sensor rests after an attempt has ended; whoever shows a face, or presses, ends the rest."""
    if outcome is Outcome.GRANTED or reason not in _EMPTY:
        return rest if _says_nothing(reason) else Rest()
    if trigger is not Trigger.APPROACH:
        return rest
    empty = rest.empty + 1
    # 2**20 of the shortest rest is longer than any limit; the bound keeps the power small.
    return Rest(empty, now + min(rules.first_s * 2.0 ** min(empty - 1, 20), rules.limit_s))


def _says_nothing(reason: Reason | None) -> bool:
    """Say whether an attempt ended so that nobody can tell if there was a face."""
    return reason in {Reason.INTERNAL_ERROR, Reason.CAMERA_UNAVAILABLE, Reason.LOCKED_OUT, Reason.OPERATOR_LOCKED}
