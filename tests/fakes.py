"""A door in a rig: scripted eyes and recognizer, workers that wait to be told, and one journal of what was done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from smileaccess.ballot import Standard
from smileaccess.conduct import Conduct
from smileaccess.controller import Controller
from smileaccess.door import DoorRules
from smileaccess.errors import RecordsUnavailable
from smileaccess.events import (
    Event,
    HoldAsked,
    LockAsked,
    MembersChanged,
    Pressed,
    ReleaseAsked,
    StatusAsked,
    UnlockAsked,
)
from smileaccess.examining import ExaminingRules
from smileaccess.jobs import Ports
from smileaccess.liveness import LivenessRules
from smileaccess.model import (
    Attempt,
    Candidate,
    ChainHead,
    DoorEvent,
    DoorInput,
    Examination,
    Face,
    Frame,
    Health,
    Member,
    Outcome,
    Question,
    Sight,
    Signal,
)
from smileaccess.orders import Lock
from smileaccess.policy import LockOut, LockOutRules, Rules
from smileaccess.recorder import Recorder
from tests.builders import ANN, make_event, make_examination, make_face, make_member, make_sight
from tests.fakes_devices import FakeClock, FakePanel, FakeSupervisor
from tests.fakes_records import FakeRecords

if TYPE_CHECKING:
    from smileaccess.model import Vector

FRAME_S = 0.1
"""The time between two frames of the rig's camera."""

CONDUCT = Conduct(
    door=DoorRules(unlock_s=5.0, attempt_s=10.0, cool_down_s=1.0),
    examining=ExaminingRules(
        standards=(Standard("fake"),),
        liveness=LivenessRules(cue_after_s=(0.4, 1.6), earliest_s=0.2, answer_s=4.0, patience_s=3.0),
        patience_s=3.0,
    ),
    policy=Rules(thresholds={"fake": 99.0}),
    lock_out=LockOutRules(free=3, first_s=30.0, limit_s=900.0, reset_s=900.0),
)

Entry = tuple[str, str]
"""One thing that was done: by whom, and what."""


class HeldWorker:
    """A worker that keeps its jobs until it is told to do them."""

    def __init__(self) -> None:
        self.jobs: deque[Callable[[], object]] = deque()

    def submit(self, job: Callable[[], object]) -> None:
        self.jobs.append(job)

    def work(self) -> bool:
        """Do the oldest job; say whether there was one."""
        if not self.jobs:
            return False
        self.jobs.popleft()()
        return True


class JournaledPanel(FakePanel):
    """A panel that also writes into the shared journal, and knows whether it was told to hold the strike."""

    def __init__(self, clock: FakeClock, journal: list[Entry]) -> None:
        super().__init__(clock)
        self.journal = journal
        self.held = False
        self.cued_at: float | None = None
        self.shown: list[tuple[float, Signal]] = []

    def energize(self, for_s: float) -> None:
        super().energize(for_s)
        self.held = True
        self.journal.append(("panel", "energize"))

    def de_energize(self) -> None:
        super().de_energize()
        self.held = False
        self.journal.append(("panel", "de_energize"))

    def signal(self, signal: Signal) -> None:
        super().signal(signal)
        self.cued_at = self.clock.time if signal is Signal.SMILE_NOW else self.cued_at
        self.shown.append((self.clock.time, signal))
        self.journal.append(("panel", signal.value))

    def shown_at(self, at: float) -> Signal:
        """Return the signal that was shown at this moment."""
        return next((signal for since, signal in reversed(self.shown) if since <= at), Signal.LOCKED)


class JournaledRecords(FakeRecords):
    """A record that also writes into the shared journal; what is named in `broken` raises `error`."""

    def __init__(self, journal: list[Entry]) -> None:
        super().__init__(door="front")
        self.journal = journal
        self.broken: set[str] = set()
        self.error: Exception = RecordsUnavailable("told to fail")

    def open_attempt(self, attempt: Attempt) -> ChainHead:
        return self._write("open", attempt.id, super().open_attempt, attempt)

    def close_attempt(self, attempt: Attempt) -> ChainHead:
        outcome = attempt.outcome.value if attempt.outcome is not None else ""
        return self._write("close", outcome, super().close_attempt, attempt)

    def add_event(self, event: DoorEvent) -> ChainHead:
        return self._write("event", event.kind, super().add_event, event)

    def _write(self, method: str, what: str, write: Callable[[Any], ChainHead], value: Any) -> ChainHead:
        if method in self.broken:
            raise self.error
        head = write(value)
        self.journal.append(("records", f"{method} {what}"))
        return head


class LiveCamera:
    """A camera whose newest frame is always of this moment; it fails when `error` is set."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._pixels = np.zeros((48, 64, 3), np.uint8)
        self._sequence = 0
        self.error: Exception | None = None
        self.prepared = 0

    def start(self) -> None:
        """Nothing has to be opened."""

    def prepare(self) -> None:
        self.prepared += 1

    def trouble(self) -> str:
        return ""

    def read(self, after: int, timeout_s: float) -> Frame:  # noqa: ARG002 -- there is always a newer frame
        if self.error is not None:
            raise self.error
        self._sequence = max(self._sequence, after) + 1
        return Frame(self._pixels, self._sequence, self._clock.time)

    def close(self) -> None:
        """Nothing was opened."""


class ScriptedVision:
    """Eyes that see what `scene` makes of the frame's time; they fail when `error` is set."""

    model = "fake-1"

    def __init__(self, scene: Callable[[float], Sight]) -> None:
        self.scene = scene
        self.error: Exception | None = None
        self.resets = 0

    def look(self, frame: Frame) -> Sight:
        if self.error is not None:
            raise self.error
        return replace(self.scene(frame.captured_at), frame=frame)

    def embed(self, frame: Frame, face: Face) -> Vector:
        raise NotImplementedError

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        """Nothing was loaded."""


class ScriptedRecognizer:
    """A recognizer that knows `who` in every face; it fails when `error` is set."""

    name = "fake"

    def __init__(self) -> None:
        self.prepared = 0
        self.standing = Health(self.name)
        self.who: tuple[Candidate, ...] = (Candidate(ANN, 99.5),)
        self.error: Exception | None = None
        self.answer: Callable[[Examination], Examination] = lambda examination: examination
        self.timeouts: list[float] = []

    def prepare(self) -> None:
        self.prepared += 1

    def health(self) -> Health:
        return self.standing

    def examine(self, question: Question) -> Examination:
        self.timeouts.append(question.timeout_s)
        if self.error is not None:
            raise self.error
        face = question.face
        return self.answer(
            make_examination(
                *self.who,
                purpose=question.purpose,
                sequence=question.frame.sequence,
                track=face.track,
                box=face.box,
                smile=face.smile,
            )
        )

    def use(self, members: Sequence[Member]) -> None:
        """The script knows already."""

    def close(self) -> None:
        """Nothing was opened."""


class Rig:
    """A controller with all its ports, in a time that moves only when told."""

    def __init__(
        self,
        conduct: Conduct = CONDUCT,
        *,
        lock_out: LockOut | None = None,
        lock: Lock | None = None,
        released_after_s: float | None = None,
        newest_after_s: float | None = None,
        paid: Callable[[str], int] = lambda _attempt: 0,
        luck: Callable[[], float] = lambda: 0.5,
    ) -> None:
        self.journal: list[Entry] = []
        self.clock = FakeClock()
        self.camera = LiveCamera(self.clock)
        self.panel = JournaledPanel(self.clock, self.journal)
        self.vision = ScriptedVision(self.on_cue)
        self.recognizer = ScriptedRecognizer()
        self.records = JournaledRecords(self.journal)
        self.recorder = Recorder(self.records)
        self.eyes, self.asking, self.writing = HeldWorker(), HeldWorker(), HeldWorker()
        self.ended: list[Attempt] = []
        self.ended_at: list[float] = []
        self.stale = False
        self.supervisor = FakeSupervisor()
        ports = Ports(
            self.camera,
            self.vision,
            self.recognizer,
            self.panel,
            self.recorder,
            self.clock,
            self.eyes,
            self.asking,
            self.writing,
            paid=paid,
            stale=lambda: self.stale,
            supervisor=self.supervisor,
        )
        newest = None if newest_after_s is None else self.at(newest_after_s)
        self.controller = Controller(
            "front",
            ports,
            conduct,
            lock_out=lock_out,
            lock=lock,
            released=None if released_after_s is None else self.at(released_after_s),
            newest=newest,
            on_attempt=self._ended,
            luck=luck,
        )
        self.panel.start(self.controller.put_input)
        self.tell(MembersChanged((make_member(),)))

    # --- scenes

    def on_cue(self, at: float) -> Sight:
        """Somebody who is neutral, and smiles half a second after the cue."""
        cued_at = self.panel.cued_at
        return make_sight(make_face(85.0 if cued_at is not None and at >= cued_at + 0.5 else 5.0))

    def following(self, face: Face, late_s: float = 0.5) -> Callable[[float], Sight]:
        """Return a scene of somebody who shows this face while a smile is asked for, so much later."""
        return lambda at: make_sight(face if self.panel.shown_at(at - late_s) is Signal.SMILE_NOW else make_face(5.0))

    def at(self, after_s: float) -> datetime:
        """Return the wall time so many seconds from now."""
        return self.clock.epoch.fromtimestamp(self.clock.now().timestamp() + after_s, self.clock.epoch.tzinfo)

    # --- driving

    def tell(self, event: Event) -> None:
        """Put an event, and let the controller handle it and all that is waiting."""
        self.controller.put(event)
        self.turn()

    def turn(self) -> None:
        """Let the controller handle everything in its queue, and what is due."""
        while self.controller.turn(0):
            pass

    def press(self, pressed: DoorInput = DoorInput.ENTRY) -> None:
        self.panel.cued_at = None if pressed is DoorInput.ENTRY else self.panel.cued_at
        self.tell(Pressed(pressed))

    def unlock(self, in_s: float = 3.0) -> list[bool]:
        """Ask for an unlock that is stale after `in_s`; what is returned gets the answer."""
        answers: list[bool] = []
        self.tell(UnlockAsked(replace(make_event(), at=self.clock.now()), self.clock.time + in_s, answers.append))
        return answers

    def hold(self, for_s: float, cause: str = "hold", in_s: float = 3.0) -> list[str]:
        """Ask for a hold; what is returned gets the answer."""
        answers: list[str] = []
        event = replace(make_event(kind="control_hold"), at=self.clock.now())
        self.tell(HoldAsked(event, for_s, cause, self.clock.time + in_s, answers.append))
        return answers

    def lock(self) -> list[str]:
        """Have an operator lock the door; what is returned gets the answer."""
        answers: list[str] = []
        self.tell(LockAsked(replace(make_event(kind="control_lock"), at=self.clock.now()), answers.append))
        return answers

    def release(self, in_s: float = 3.0) -> list[tuple[str, tuple[str, ...]]]:
        """Ask for a release; what is returned gets the answer."""
        answers: list[tuple[str, tuple[str, ...]]] = []
        event = replace(make_event(kind="control_release"), at=self.clock.now())
        self.tell(ReleaseAsked(event, self.clock.time + in_s, answers.append))
        return answers

    def status(self) -> dict[str, Any]:
        told: list[dict[str, Any]] = []
        self.tell(StatusAsked(told.append))
        return told[0]

    def work(self, worker: HeldWorker) -> bool:
        """Let a worker do one job, and the controller hear of it."""
        worked = worker.work()
        self.turn()
        return worked

    def settle(self) -> None:
        """Let recognizer and record do all that they have to."""
        while self.work(self.writing) or self.work(self.asking):
            pass

    def wait(self, for_s: float) -> None:
        """Let time pass, waking the controller at each of its deadlines."""
        until = self.clock.time + for_s
        while (deadline := self.controller.next_deadline) is not None and deadline <= until:
            self.clock.time = max(self.clock.time, deadline)
            self.turn()
            assert self.controller.next_deadline != deadline
        self.clock.time = max(self.clock.time, until)
        self.turn()

    def watch(self, for_s: float) -> None:
        """Let time pass with everybody at work: a frame is seen each tenth of a second."""
        self.settle()
        for _ in range(round(for_s / FRAME_S)):
            self.work(self.eyes)
            self.settle()
            self.wait(FRAME_S)
            self.settle()

    def attempt(self, for_s: float = 12.0) -> Attempt:
        """Press the button, play an attempt to its end, and return it as it stands on record."""
        before = len(self.ended)
        self.press()
        for _ in range(round(for_s / FRAME_S)):
            if len(self.ended) > before:
                break
            self.watch(FRAME_S)
        self.settle()
        assert len(self.ended) == before + 1
        return self.records.rows[self.ended[-1].id]

    def rest(self) -> None:
        """Let the strike relock and the door rest."""
        self.watch(7.0)

    def _ended(self, attempt: Attempt, _member: str) -> None:
        self.ended.append(attempt)
        self.ended_at.append(self.clock.time)


def energized(journal: Sequence[Entry]) -> int:
    """Return how often the strike was energized."""
    return journal.count(("panel", "energize"))


def granted(attempt: Attempt) -> bool:
    return attempt.outcome is Outcome.GRANTED
