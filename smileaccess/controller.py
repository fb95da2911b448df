"""One thread, one queue: events in; door, examining and policy consulted; ports driven by their workers.

This thread waits for nothing but its queue: pictures are taken and looked at, faces examined and rows written on
worker threads, whose results come back as events. It holds no rule of its own.
"""

from __future__ import annotations

import queue
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog

from smileaccess import door as doors
from smileaccess import doorway
from smileaccess.approach import Rest, next_rest
from smileaccess.barring import OperatorLock, Refusals
from smileaccess.canonical import journal_fields, level, sentence
from smileaccess.contact import Contact
from smileaccess.door import Door, Phase
from smileaccess.encoding import stamp
from smileaccess.errors import PanelUnavailable, RecognizerError, SmileAccessError
from smileaccess.events import (
    Answered,
    Broken,
    Closed,
    ConductChanged,
    Event,
    HoldAsked,
    LockAsked,
    MembersChanged,
    Noted,
    Opened,
    Ordered,
    Pressed,
    ReleaseAsked,
    Seen,
    StatusAsked,
    StopAsked,
    Summoned,
    UnlockAsked,
)
from smileaccess.examining import Ask, Examining
from smileaccess.jobs import Jobs, Ports
from smileaccess.model import (
    Attempt,
    Decision,
    DoorEvent,
    DoorInput,
    Gesture,
    Member,
    MemberStatus,
    Outcome,
    Reason,
    Sight,
    Signal,
    Trigger,
    uuid7,
)
from smileaccess.office import CAUSE as OFFICE_HOURS
from smileaccess.office import OfficeHours
from smileaccess.orders import Lock
from smileaccess.policy import LockOut, decide
from smileaccess.reports import REPORTS
from smileaccess.running import Running, fault_of
from smileaccess.signals import signal_for
from smileaccess.strike import Strike

if TYPE_CHECKING:
    from smileaccess.conduct import Conduct
    from smileaccess.errors import RecordsError

CUES = 8
"""Draws for the moments of later cues; each attempt to smile before the cue uses up one."""

_STATES = {
    DoorInput.TAMPERED: {"tamper": True},
    DoorInput.TAMPER_CLEARED: {"tamper": False},
    DoorInput.FIRE: {"fire": True},
    DoorInput.FIRE_CLEARED: {"fire": False},
}
"""What a report says of an input that stays as it is until another one says otherwise."""

RECORDED_S = 2.0
"""Office hours that are not on record within so many seconds do not begin; the next member tries anew."""

LOCKED = "an operator has locked the door: `smileaccess door release` takes that back"

AWAKE_S = 10.0
"""How long the approach sensor keeps the panel showing that the door is awake."""

_RANDOM = secrets.SystemRandom()

log = structlog.get_logger(__name__)


class Controller:
    """The owner of the door's state; every method but `put` and `put_input` belongs to the one thread of `run`."""

    def __init__(
        self,
        name: str,
        ports: Ports,
        conduct: Conduct,
        *,
        lock_out: LockOut | None = None,
        lock: Lock | None = None,
        released: datetime | None = None,
        newest: datetime | None = None,
        on_attempt: Callable[[Attempt, str], None] = lambda _attempt, _who: None,
        luck: Callable[[], float] = _RANDOM.random,
    ) -> None:
        """Take the door's `name`, what to drive and how.

        `lock_out`, `lock` (an operator's), `released` (when one last released the door) and `newest` are what the
        record says at the start; `on_attempt` hears, on the controller's thread, of each attempt that has ended, with
        the member's name or ""; `luck` draws from 0..1.
        """
        self._name = name
        self._ports = ports
        self._conduct = conduct
        self._on_attempt = on_attempt
        self._luck = luck
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._jobs = Jobs(ports, self._queue.put)
        self._door = Door(locked=lock is not None)
        self._lock = OperatorLock(lock, ports.clock.monotonic())
        self._running: Running | None = None
        self._members: Mapping[str, Member] = {}
        self._active = 0
        self._gestures: Mapping[str, Gesture] = {}
        self._refusals = Refusals(lock_out or LockOut(), ports.clock.monotonic(), ports.clock.now(), conduct.lock_out)
        self._newest = newest
        self._rest = Rest()
        self._awake_until: float | None = None
        self._strike = Strike(
            ports.panel, ports.clock, lambda cause, error: self._note("strike_failed", error, {"cause": cause})
        )
        self._contact = Contact(
            ports.clock,
            self._note,
            on_shut=lambda: self._step(doors.Shut()),
            on_entered=self._somebody_came,
            on_alarm=self._show_rest,
        )
        self._office = OfficeHours(conduct.office_ends_at, released)
        self._states: dict[str, bool] = {"tamper": False, "fire": False}
        self._moved = False
        self._next_conduct: Conduct | None = None
        self._last: Attempt | None = None
        self._started_at = ports.clock.now()

    # --- from any thread

    def put(self, event: Event) -> None:
        """Enqueue an event; any thread."""
        self._queue.put(event)

    def put_input(self, pressed: DoorInput) -> None:
        """Enqueue an input of the panel; any thread."""
        self._queue.put(Pressed(pressed))

    # --- the loop

    def run(self) -> None:
        """Handle events until the door has stopped."""
        self._contact.begin()
        while self._door.phase is not Phase.STOPPED:
            self._ports.supervisor.alive()
            self._ports.supervisor.status(self.status_line)
            self.turn(self.wait_s)

    def turn(self, wait_s: float | None) -> bool:
        """Handle the next event, or what time alone brings when none comes within `wait_s`; say which it was."""
        try:
            event = self._queue.get(timeout=wait_s)
        except queue.Empty:
            self._guarded(self._pass_time)
            return False
        self.handle(event)
        return True

    def handle(self, event: Event) -> None:
        """Handle one event, after what was due before it."""
        self._guarded(self._pass_time)
        self._guarded(lambda: self._handle(event))
        self._guarded(self._pass_time)

    @property
    def idle(self) -> bool:
        """Whether no attempt is under way and the door has had its rest."""
        return self._door.phase is Phase.IDLE and self._door.relock_at is None

    @property
    def next_deadline(self) -> float | None:
        """When time alone will next change something (monotonic seconds)."""
        times = [doors.next_deadline(self._door), self._awake_until, self._strike.retry_at, self._contact.next_deadline]
        times.append(self._lock.next_deadline)
        if self._running is not None and self._door.phase is Phase.EXAMINING:
            times.append(self._running.examining.next_deadline())
        return min((t for t in times if t is not None), default=None)

    @property
    def wait_s(self) -> float | None:
        """How long the loop may wait for an event: until time alone changes something, or a sign of life is due."""
        deadline, beat_s = self.next_deadline, self._ports.supervisor.beat_s
        if deadline is None:
            return beat_s
        wait_s = max(0.0, deadline - self._ports.clock.monotonic())
        return wait_s if beat_s is None else min(wait_s, beat_s)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        # The attempt's own wall: whatever is unforeseen in it denies it, and the door goes on. Outside an attempt
        # the error goes to the thread's root.
        except Exception as error:
            if self._running is None or self._door.phase is not Phase.EXAMINING:
                raise
            self._fail(self._running, Reason.INTERNAL_ERROR, error)

    def _handle(self, event: Event) -> None:
        match event:
            case Pressed():
                self._pressed(event.input)
            case Summoned():
                event.answer(self._request(event.trigger))
            case Seen() | Answered() | Opened() | Closed() | Broken():
                self._worker_result(event)
            case MembersChanged():
                self._members = {member.id: member for member in event.members}
                self._active = sum(member.status is MemberStatus.ACTIVE for member in event.members)
                self._gestures = {m.id: m.gesture for m in event.members if m.gesture is not Gesture.SMILE}
            case ConductChanged():
                self._next_conduct = event.conduct
                self._take_over_conduct()
            case StatusAsked():
                event.answer(self._status())
            case LockAsked():
                self._lock_now(event)
            case UnlockAsked() | HoldAsked():
                self._opening_asked(event)
            case ReleaseAsked():
                self._lock.release_asked()
                self._jobs.put_down_order(event)
            case Ordered():
                self._ordered(event)
            case Noted():
                self._jobs.put_down(event.event)
            case StopAsked():
                self._step(doors.Stopped())

    def _worker_result(self, event: Seen | Answered | Opened | Closed | Broken) -> None:
        """Hand a worker's result to the attempt that it belongs to; of an attempt that is over it changes nothing."""
        running = self._running
        attempt_id = event.attempt.id if isinstance(event, Closed) else event.attempt
        if running is None or running.attempt.id != attempt_id:
            return
        match event:
            case Seen():
                running.came(Reason.CAMERA_UNAVAILABLE)
                self._seen(running, event.sight)
            case Answered():
                running.came(Reason.RECOGNIZER_UNAVAILABLE)
                self._go_on(running, running.examining.examined(event.examination, self._ports.clock.monotonic()))
            case Closed():
                self._closed(running, event)
            case Broken():
                self._broken(running, event)

    def _seen(self, running: Running, sight: Sight) -> None:
        running.seen = sight.frame.sequence
        self._go_on(running, running.examining.observe(sight, self._ports.clock.monotonic()))
        if self._door.phase is Phase.EXAMINING:
            self._jobs.look(running)

    # --- time

    def _pass_time(self) -> None:
        now = self._ports.clock.monotonic()
        if self._door.renew_at is not None and now >= self._door.renew_at:
            self._check_office_hours()
        self._step(doors.TimePassed())
        running = self._running
        if running is not None and self._door.phase is Phase.EXAMINING:
            running.examining.advance(now)
            self._go_on(running, None)
        if self._awake_until is not None and now >= self._awake_until:
            self._awake_until = None
            self._show_rest()
        if self._strike.retry_at is not None and now >= self._strike.retry_at:
            self._de_energize()
        self._contact.hear(doorway.TimePassed(), self._conduct.doorway)
        if self._lock.due(now):
            self._tell_of_the_lock("an operator's lock goes on")

    def _show_rest(self) -> None:
        """Show how the door stands when nobody is being looked at."""
        if self._door.phase is Phase.IDLE and (self.idle or self._door.hold is not None or self._contact.in_alarm):
            self._ports.panel.signal(self._resting)

    @property
    def _resting(self) -> Signal:
        if self._strike.stuck or self._strike.lost:
            return Signal.FAULT
        if self._contact.in_alarm:
            return Signal.ALARM
        return Signal.LOCKED if self._door.hold is None else Signal.OPEN

    # --- inputs

    def _pressed(self, pressed: DoorInput) -> None:
        match pressed:
            case DoorInput.REX:
                self._step(doors.RexPressed())
            case DoorInput.ENTRY:
                self._request(Trigger.BUTTON)
            case DoorInput.PICTURE:
                self._request(Trigger.PICTURE)
            case DoorInput.QUIT:
                self._step(doors.Stopped())
            case DoorInput.APPROACH:
                self._approached()
            case _:
                self._reported(pressed)

    def _approached(self) -> None:
        if self._conduct.approach == "attempt":
            if self._rest.heard(self._ports.clock.monotonic()):
                self._request(Trigger.APPROACH)
        elif self._conduct.approach == "wake" and self.idle and not self._contact.in_alarm:
            self._awake_until = self._ports.clock.monotonic() + AWAKE_S
            self._ports.panel.signal(Signal.AWAKE)
            self._ports.camera.prepare()
            self._ports.recognizer.prepare()

    def _reported(self, report: DoorInput) -> None:
        """Put on record what the panel tells of door, box, inputs and strike; without its guard nobody is let in."""
        severity, why = REPORTS[report]
        getattr(log, severity)(why, kind=report.value, door=self._name)
        self._note(report.value, why, {})
        self._states |= _STATES.get(report, {})
        if report in {DoorInput.DOOR_OPENED, DoorInput.DOOR_CLOSED}:
            opened = report is DoorInput.DOOR_OPENED
            self._contact.hear(doorway.Opened() if opened else doorway.Closed(), self._conduct.doorway)
        if report in {DoorInput.STRIKE_LOST, DoorInput.STRIKE_BACK}:
            self._strike.lost = report is DoorInput.STRIKE_LOST
            if self._strike.lost:
                self._ports.panel.signal(Signal.FAULT)
                if self._running is not None and self._door.phase is Phase.EXAMINING:
                    self._fail(self._running, Reason.INTERNAL_ERROR, PanelUnavailable(why))
            else:
                self._show_rest()

    def _request(self, trigger: Trigger) -> str | None:
        """Start an attempt; return its id, or None where the door is busy with another."""
        attempt_id = uuid7(int(self._ports.clock.now().timestamp() * 1000))
        began = self._door.phase is Phase.IDLE
        self._step(doors.Requested(attempt_id, trigger))
        return attempt_id if began else None

    # --- the door's commands

    def _step(self, event: doors.DoorEvent) -> None:
        now = self._ports.clock.monotonic()
        self._door, commands, _ = doors.step(self._door, event, now, self._conduct.door)
        for command in commands:
            self._obey(command)

    def _obey(self, command: doors.Command) -> None:
        match command:
            case doors.Begin():
                self._begin(command)
            case doors.Expire():
                self._judge()
            case doors.Record():
                self._record(command.decision)
            case doors.Lapse():
                self._lapse(command.decision, command.reason)
            case doors.Abandon():
                self._abandon()
            case doors.Energize():
                self._energize(command)
            case doors.DeEnergize():
                self._de_energize()
            case doors.Pause():
                self._strike.de_energize()
            case doors.HoldOver():
                self._hold_over(command)
            case doors.Announce():
                # What was granted is told by the strike itself, which may have failed.
                if command.decision.outcome is not Outcome.GRANTED:
                    self._ports.panel.signal(signal_for(command.decision))
            case doors.Rest():
                self._show_rest()

    def _energize(self, command: doors.Energize) -> None:
        """Move the strike first; whatever else there is to say about it comes after."""
        self._moved = self._strike.energize(command.for_s, command.cause)
        if not self._moved:
            self._ports.panel.signal(Signal.FAULT)
            self._step(doors.HoldEnded("the strike did not move"))
            return
        if command.cause != "renewed":
            self._ports.panel.signal(Signal.OPEN)
            self._tell_the_contact(command)
        if command.cause == "rex":
            self._note("rex", "request to exit", {"for_s": command.for_s})
            log.info("opened from inside", kind="rex", door=self._name)

    def _tell_the_contact(self, command: doors.Energize) -> None:
        """Let the contact know what an opening from now on belongs to."""
        if self._door.hold is not None and command.cause == self._door.hold.cause:
            self._contact.hear(doorway.HoldBegan(), self._conduct.doorway)
            return
        granted = self._running if command.cause == "granted" else None
        freed = doorway.Freed(command.cause, command.for_s, None if granted is None else granted.attempt.id)
        self._contact.hear(freed, self._conduct.doorway)
        if not self._conduct.doorway.contact:
            self._somebody_came(command.cause)

    def _de_energize(self) -> None:
        if not self._strike.de_energize():
            self._ports.panel.signal(Signal.FAULT)
        elif self._running is not None and self._door.phase is Phase.EXAMINING:
            self._ports.panel.signal(self._running.shown)
        else:
            self._ports.panel.signal(self._resting)
        self._contact.hear(doorway.Relocked(), self._conduct.doorway)

    def _hold_over(self, command: doors.HoldOver) -> None:
        """Put down that the door is held unlocked no longer."""
        detail = {"cause": command.cause}
        log.warning("the door is held unlocked no longer", kind="hold_over", why=command.why, **detail)
        self._note("hold_over", command.why, detail)
        self._contact.hear(doorway.HoldStopped(), self._conduct.doorway)
        self._show_rest()

    # --- office hours

    def _somebody_came(self, cause: str) -> None:
        """Have the door held unlocked from the first member in on, where it is office hours; on record first."""
        now = self._ports.clock.now()
        if cause != "granted" or self._door.hold is not None or self._door.locked or not self._clock_trusted():
            return
        end = self._office.begin(now)
        if end is None:
            return
        for_s = (end - now).total_seconds()
        detail = {"until": stamp(end)}
        event = DoorEvent(uuid7(), self._name, now, "office_hours_began", "smileaccess", "somebody is in", detail)
        expires = self._ports.clock.monotonic() + RECORDED_S
        self._jobs.put_down_order(HoldAsked(event, for_s, OFFICE_HOURS, expires, self._office_answered))

    def _office_answered(self, trouble: str) -> None:
        self._office.answered()
        if trouble:
            log.warning("office hours did not begin", kind="office_hours_failed", error=trouble)

    def _check_office_hours(self) -> None:
        """End office hours that the clock, or other settings, do not cover any more; no turn begins after that."""
        hold = self._door.hold
        if hold is None or hold.cause != OFFICE_HOURS:
            return
        if not self._clock_trusted():
            self._step(doors.HoldEnded("the clock cannot be trusted"))
        elif self._office.end(self._ports.clock.now()) is None:
            self._step(doors.HoldEnded("it is not office hours any more"))

    # --- an attempt

    def _begin(self, command: doors.Begin) -> None:
        """Feedback first, then the row and the eyes beside each other."""
        self._ports.panel.signal(Signal.LOOKING)
        self._awake_until = None
        now = self._ports.clock.monotonic()
        attempt = Attempt(command.attempt, self._name, command.trigger, self._ports.clock.now())
        luck = [self._luck() for _ in range(CUES)]
        examining = Examining(self._conduct.examining, now, luck, self._gestures)
        bound = log.bind(attempt_id=attempt.id, door=self._name)
        deadline = now + self._conduct.door.attempt_s
        locked_out = self._refusals.left_s(now) > 0
        running = Running(attempt, examining, self._conduct, bound, deadline, locked_out=locked_out)
        running.operator_locked = self._door.locked
        self._running = running
        self._jobs.open_row(running)
        if self._strike.lost:
            self._fail(running, Reason.INTERNAL_ERROR, PanelUnavailable(REPORTS[DoorInput.STRIKE_LOST][1]))
        elif running.locked_out or running.operator_locked:
            self._judge()
        else:
            self._ports.camera.prepare()
            self._jobs.look(running, first=True)
            self._ports.recognizer.prepare()

    def _go_on(self, running: Running, ask: Ask | None) -> None:
        """Show a cue that is due, put a question that is due to the recognizer; judge once enough is known."""
        if self._door.phase is not Phase.EXAMINING:
            return
        signal = running.examining.signal
        if signal is not None and signal is not running.shown:
            running.shown = signal
            self._ports.panel.signal(signal)
        if ask is not None:
            self._jobs.ask(running, ask)
        if running.examining.complete:
            self._judge()

    def _broken(self, running: Running, event: Broken) -> None:
        if event.closing:
            running.log.error("the decision is not on record", kind="decision_unrecorded", error=str(event.error))
            self._step(doors.NotRecorded(running.attempt.id))
        elif self._door.phase is Phase.EXAMINING:
            running.wasted += event.error.calls if isinstance(event.error, RecognizerError) else 0
            self._fail(running, fault_of(event.error), event.error)

    def _fail(self, running: Running, fault: Reason, error: Exception) -> None:
        unforeseen = None if isinstance(error, SmileAccessError) else error
        running.log.error(
            "the attempt failed", kind="attempt_failed", reason=fault.value, error=str(error), exc_info=unforeseen
        )
        running.fault = fault
        self._judge()

    def _judge(self) -> None:
        running = self._running
        if running is None:
            return
        evidence = replace(running.weigh(self._ports.clock.monotonic()), members_stale=self._ports.stale())
        member = self._members.get(evidence.identified.member_id) if evidence.identified is not None else None
        trusted = member is None or not member.limited or self._clock_trusted()
        decision = decide(evidence, member, self._ports.clock.now(), trusted, running.conduct.policy)
        self._step(doors.Decided(running.attempt.id, decision))

    def _clock_trusted(self) -> bool:
        """Wall time earlier than the newest record, or never set since the boot, is no wall time."""
        behind = self._newest is not None and self._ports.clock.now() < self._newest
        return not behind and self._ports.clock.synchronized()

    def _record(self, decision: Decision) -> None:
        running = self._running
        if running is None:
            return
        if decision.outcome is Outcome.GRANTED:
            self._ports.panel.signal(Signal.WELCOME)
        self._jobs.close_row(running, self._completed(running, decision))

    def _completed(self, running: Running, decision: Decision) -> Attempt:
        return running.completed(decision, self._ports.clock.now(), self._ports.paid(running.attempt.id))

    def _closed(self, running: Running, event: Closed) -> None:
        attempt = event.attempt
        self._step(doors.Recorded(attempt.id))
        if self._running is not running:  # its deadline passed at this very moment, and it has lapsed
            return
        self._running = None
        getattr(running.log, level(attempt))(sentence(attempt), **journal_fields(attempt), chain=str(event.head))
        self._ended(running, attempt)

    def _lapse(self, decision: Decision, reason: Reason) -> None:
        """The decision was not durable in time, or is not carried out: the strike stays, and the record is mended.

        A denial stays what it is, and only its row comes late; a grant becomes a denial for `reason`.
        """
        running, self._running = self._running, None
        if running is None:
            return
        if decision.outcome is Outcome.GRANTED:
            decision = Decision(Outcome.DENIED, reason, decision.member_id)
            why = LOCKED if reason is Reason.OPERATOR_LOCKED else "not on record in time; no entry"
            self._note("grant_lapsed", why, {"attempt": running.attempt.id})
        attempt = running.lapsed = self._completed(running, decision)
        self._jobs.finish_row_later(attempt)
        self._ports.panel.signal(signal_for(decision))
        running.log.error(f"{sentence(attempt)}; its record comes late", **journal_fields(attempt))
        self._ended(running, attempt)

    def _ended(self, running: Running, attempt: Attempt) -> None:
        """Count the attempt, let changed rules hold, and tell of it."""
        closed_at = attempt.closed_at or self._ports.clock.now()
        decision = Decision(attempt.outcome or Outcome.DENIED, attempt.reason, attempt.member_id)
        self._newest = max(self._newest or closed_at, closed_at)
        now = self._ports.clock.monotonic()
        if for_s := self._refusals.count(decision, closed_at, running.conduct.lock_out, now):
            log.warning("too many refusals in a row: nobody is let in for a while", kind="lock_out", for_s=round(for_s))
        rules = running.conduct.approaching
        self._rest = next_rest(self._rest, attempt.trigger, attempt.outcome, attempt.reason, now, rules)
        self._take_over_conduct()
        self._last = attempt
        member = self._members.get(attempt.member_id or "")
        self._on_attempt(attempt, member.name if member is not None else "")

    def _abandon(self) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        attempt = self._completed(running, Decision(Outcome.DENIED, Reason.INTERNAL_ERROR))
        self._jobs.finish_row_later(attempt)
        running.log.warning(
            "the attempt ends because the daemon stops", kind="attempt_abandoned", **journal_fields(attempt)
        )

    def _take_over_conduct(self) -> None:
        """Let changed rules hold, unless an attempt is under way: that one ends under those it began with."""
        if self._running is None and self._next_conduct is not None:
            self._conduct, self._next_conduct = self._next_conduct, None
            self._office.ends_at = self._conduct.office_ends_at

    # --- operators and the record

    def _lock_now(self, asked: LockAsked) -> None:
        """Lock at once, whatever becomes of the record; an attempt under way ends."""
        self._lock.order(Lock(asked.event.at, asked.event.who), self._ports.clock.monotonic())
        running = self._running
        self._step(doors.LockOrdered())
        self._jobs.put_down_order(asked)
        if running is not None and self._door.phase is Phase.EXAMINING:
            running.operator_locked = True
            self._judge()
        log.warning("locked by an operator", kind="control_lock", who=asked.event.who, why=asked.event.why)

    def _opening_asked(self, asked: UnlockAsked | HoldAsked) -> None:
        """Have it put on record first; what may not be done is on record as refused."""
        trouble = LOCKED if self._door.locked else ""
        limit_s = self._conduct.hold_limit_s
        if isinstance(asked, HoldAsked) and asked.cause == "hold" and not 0 < asked.for_s <= limit_s:
            trouble = f"{asked.for_s:g} s: must be more than 0, and at most [door] hold_limit_s = {limit_s:g}"
        if trouble:
            detail = {**asked.event.detail, "refused": trouble}
            self._jobs.put_down(replace(asked.event, detail=detail))
            asked.answer(trouble)
        else:
            self._jobs.put_down_order(asked)

    def _ordered(self, event: Ordered) -> None:
        """Carry out what is on record by now."""
        match event.asked:
            case UnlockAsked():
                self._unlock(event.asked, event.error)
            case HoldAsked():
                self._hold(event.asked, event.error)
            case ReleaseAsked():
                self._release(event.asked, event.error)
            case LockAsked():
                self._locked(event.asked, event.error)

    def _unlock(self, asked: UnlockAsked, error: RecordsError | None) -> None:
        if error is not None or self._ports.clock.monotonic() >= asked.expires:
            asked.answer("the unlock could not be put on record in time")
            return
        self._moved = False
        self._step(doors.UnlockRecorded(asked.expires))
        trouble = self._what_happened()
        asked.answer(trouble)
        if trouble:
            log.warning("an operator's order was not carried out", kind="order_failed", order="unlock", error=trouble)
        else:
            log.info("unlocked by an operator", kind="control_unlock", who=asked.event.who, why=asked.event.why)

    def _hold(self, asked: HoldAsked, error: RecordsError | None) -> None:
        now = self._ports.clock.monotonic()
        if error is not None or now >= asked.expires:
            if error is None:
                self._note("hold_over", "not on record in time", {"cause": asked.cause})
            asked.answer("the hold could not be put on record in time")
            return
        if asked.cause == OFFICE_HOURS and not self._office.may_hold(self._ports.clock.now()):
            self._note("hold_over", "an operator released the door", {"cause": asked.cause})
            asked.answer("an operator released the door")
            return
        self._moved = False
        self._step(doors.HoldRecorded(doors.Hold(now + asked.for_s, asked.cause), asked.expires))
        trouble = self._what_happened()
        asked.answer(trouble)
        if trouble:
            if asked.cause == "hold":  # whoever asked for office hours tells of it
                log.warning("an operator's order was not carried out", kind="order_failed", order="hold", error=trouble)
            if self._door.locked:  # what a strike that did not move ended is told of by the door
                self._note("hold_over", trouble, {"cause": asked.cause})
            return
        who, why = asked.event.who, asked.event.why
        held = self._held(now)  # which may be a longer one that stood already
        for_s = asked.for_s if held is None else held["for_s"]
        log.warning("the door is held unlocked", kind=asked.event.kind, who=who, why=why, for_s=round(for_s))

    def _what_happened(self) -> str:
        """Return why the strike did not move, empty where it did."""
        if self._moved:
            return ""
        return LOCKED if self._door.locked else "the strike did not move: see the journal"

    def _release(self, asked: ReleaseAsked, error: RecordsError | None) -> None:
        now = self._ports.clock.monotonic()
        self._lock.release_arrived()
        if error is not None or now >= asked.expires:
            # A restart reads the record, where the release may be: it did nothing, and the lock stands there, too.
            self._note("release_refused", "a release came too late", {})
            if self._lock.stands:
                self._tell_of_the_lock("a release came too late")
            asked.answer(("the release could not be put on record in time", ()))
            return
        stood = self._lock.stands
        lifted = self._lock.release()
        standing = {
            "lock": stood and lifted,
            "hold": self._door.hold is not None,
            "lock-out": self._refusals.left_s(now) > 0,
        }
        ended = tuple(name for name, told in standing.items() if told)
        if lifted:
            self._step(doors.LockReleased())
            if self._lock.overwritten():
                self._jobs.put_down(replace(asked.event, id=uuid7()))
        self._step(doors.HoldEnded("an operator released the door"))
        self._refusals.release(now)
        self._office.released(self._ports.clock.now())
        asked.answer(("", ended))
        log.warning(
            "released by an operator", kind="control_release", who=asked.event.who, why=asked.event.why, ended=ended
        )

    def _locked(self, asked: LockAsked, error: RecordsError | None) -> None:
        self._lock.arrived()
        if error is None:
            asked.answer("")
            return
        self._jobs.put_down(asked.event)
        self._lock.told_again()
        asked.answer("it is not on record yet, so that a restart would end it: see the journal")

    def _tell_of_the_lock(self, why: str) -> None:
        self._note("lock_kept", why, {"locked": self._lock.told})
        self._lock.told_again()

    def _note(self, kind: str, why: str, detail: Mapping[str, Any]) -> None:
        self._jobs.put_down(DoorEvent(uuid7(), self._name, self._ports.clock.now(), kind, "smileaccess", why, detail))

    def _strike_stands(self) -> str:
        if self._strike.lost:
            return "lost"
        return "stuck" if self._strike.stuck else "energized" if self._door.relock_at is not None else "locked"

    @property
    def status_line(self) -> str:
        """How the door stands in a line, for the supervisor."""
        said = f"{self._door.phase.value}; strike {self._strike_stands()}; members {self._active}"
        return said if self._last is None else f"{said}; last: {sentence(self._last)}"

    def _status(self) -> dict[str, Any]:
        now, wired = self._ports.clock.monotonic(), self._conduct.inputs
        return {
            "door": self._name,
            "phase": self._door.phase.value,
            "strike": self._strike_stands(),
            "attempt": self._door.attempt,
            "locked_out_s": round(self._refusals.left_s(now), 1),
            "failures": self._refusals.failures,
            "operator_lock": self._lock.told,
            "held": self._held(now),
            "contact": None if "contact" not in wired else "open" if self._contact.open else "closed",
            "door_alarm": self._contact.in_alarm,
            "office_hours": self._office.status(self._ports.clock.now(), on=self._held_for == OFFICE_HOURS),
            **{name: state if name in wired else None for name, state in self._states.items()},
            "members": self._active,
            "recognizer": self._recognizer_status(now),
            "spending": self._ports.spending(),
            "central": self._ports.central(),
            "sensor_rests_s": round(max(0.0, self._rest.until - now), 1),
            "liveness": self._conduct.policy.liveness.value,
            "started_at": stamp(self._started_at),
            "last": None if self._last is None else {"id": self._last.id, **journal_fields(self._last)},
        }

    def _held(self, now: float) -> dict[str, Any] | None:
        hold = self._door.hold
        return None if hold is None else {"cause": hold.cause, "for_s": round(hold.until - now)}

    @property
    def _held_for(self) -> str | None:
        return None if self._door.hold is None else self._door.hold.cause

    def _recognizer_status(self, now: float) -> dict[str, Any]:
        health = self._ports.recognizer.health()
        fallen_s = None if health.since is None else round(max(0.0, now - health.since), 1)
        return {
            "name": self._ports.recognizer.name,
            "active": health.active,
            "fallback_s": fallen_s,
            "cause": health.cause,
            "fallback_opens": self._conduct.policy.fallback_opens,
        }
