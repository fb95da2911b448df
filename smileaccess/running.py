"""The attempt under way as the controller holds it: what is awaited of the workers, the evidence, the row it becomes.

It puts no work out and writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from smileaccess.errors import CameraError, RecognizerError, RecordsError, SpendingCapReached
from smileaccess.model import Attempt, Decision, Evidence, Reason, Signal
from smileaccess.policy import EmotionRule, prevailing

if TYPE_CHECKING:
    from datetime import datetime

    from smileaccess.conduct import Conduct
    from smileaccess.examining import Examining

LATE_S = 0.5
"""How much longer than its bound a worker may take before it counts as hanging, in seconds: for looking at a frame and
for a busy machine."""

_FAULTS: tuple[tuple[type[Exception], Reason], ...] = (
    (SpendingCapReached, Reason.SPENDING_CAP),
    (CameraError, Reason.CAMERA_UNAVAILABLE),
    (RecognizerError, Reason.RECOGNIZER_UNAVAILABLE),
    (RecordsError, Reason.RECORDS_UNAVAILABLE),
)


_MAY_NOT_OPEN = "only the fallback answered, which may not open: [recognition] fallback_opens = false"


def fault_of(error: Exception) -> Reason:
    """Return the reason that a worker's error is for an attempt: internal_error for whatever is not foreseen."""
    return next((reason for kind, reason in _FAULTS if isinstance(error, kind)), Reason.INTERNAL_ERROR)


@dataclass(slots=True)
class Running:
    """One attempt from its beginning to its end; times are monotonic seconds.

    `seen` is the last frame's sequence; `shown` what the panel shows of the challenge; `wasted` counts billed calls of
    a question that was not answered; `lapsed` is the row that it became for not being on record in time; `due` says by
    when a worker must have answered, a fault each.
    """

    attempt: Attempt
    examining: Examining
    conduct: Conduct
    log: Any
    deadline: float
    locked_out: bool = False
    operator_locked: bool = False
    seen: int = 0
    shown: Signal = Signal.LOOKING
    fault: Reason | None = None
    evidence: Evidence | None = None
    lapsed: Attempt | None = None
    due: dict[Reason, float] = field(default_factory=dict)
    wasted: int = 0
    summary: dict[str, Any] = field(default_factory=dict)

    def expect(self, fault: Reason, by: float) -> None:
        """Take note that a worker was given something to do; where nothing comes back in time, it is `fault`."""
        self.due[fault] = by + LATE_S

    def came(self, fault: Reason) -> None:
        """Take note that the worker has answered."""
        self.due.pop(fault, None)

    def weigh(self, now: float) -> Evidence:
        """Return the evidence as it stands, with a worker that hangs as the fault that it is."""
        if self.fault is Reason.INTERNAL_ERROR:
            # What is broken is not asked for its opinion.
            self.evidence = Evidence(fault=self.fault)
        else:
            hanging = [fault for fault, by in self.due.items() if now >= by]
            told = [self.fault] if self.fault is not None else hanging
            faults = [*told, *([Reason.OPERATOR_LOCKED] if self.operator_locked else [])]
            fault = prevailing(faults) if faults else None
            self.evidence = replace(self.examining.evidence(fault), locked_out=self.locked_out)
            self.summary = self.examining.summary()
        return self.evidence

    def completed(self, decision: Decision, closed_at: datetime, paid: int = 0) -> Attempt:
        """Return the row as it stands at the end, from what was weighed last.

        `paid` are the billed calls so far, also of a question that is still out.
        """
        evidence = self.evidence or Evidence()
        summary = {**self.summary, "calls": max(self.summary.get("calls", 0) + self.wasted, paid)}
        if evidence.fallback and not self.conduct.policy.fallback_opens:
            summary["detail"] = {**summary["detail"], "cause": _MAY_NOT_OPEN}
        return replace(
            self.attempt,
            closed_at=closed_at,
            outcome=decision.outcome,
            reason=decision.reason,
            member_id=decision.member_id,
            smile=None if evidence.smile is None else round(evidence.smile, 1),
            emotion=None if self.conduct.policy.emotions is EmotionRule.OFF else evidence.emotion,
            liveness=self.conduct.policy.liveness.value,
            cost=round(summary["calls"] * self.conduct.price, 6) if summary["calls"] else None,
            **summary,
        )
