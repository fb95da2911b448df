"""Puts work out to the workers, for the controller: every result, a failure too, comes back as an event.

Nothing here waits, decides, or touches the door's state; what a job needs is taken along when it is put out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from smileaccess.errors import RecordsError
from smileaccess.events import Answered, Broken, Closed, Event, Opened, Order, Ordered, Seen
from smileaccess.model import Question, Reason
from smileaccess.supervisor import NOBODY

if TYPE_CHECKING:
    from collections.abc import Callable

    from smileaccess.examining import Ask
    from smileaccess.model import Attempt, DoorEvent
    from smileaccess.ports import Camera, Clock, Panel, Recognizer, Supervisor, Vision, Worker
    from smileaccess.recorder import Recorder
    from smileaccess.running import Running


@dataclass(frozen=True, slots=True)
class Ports:
    """What the controller drives; `eyes`, `asking` and `writing` are its workers, one thread each.

    `spending` says, on any thread, what billed calls have cost, in plain values; None where none are made. `paid` says
    how many of them an attempt has made so far.
    `stale` says whether the members' list is too old to go on with, `central` how it goes with the central database, in
    plain values; None where there is none. `supervisor` is told that the controller's loop goes round.
    """

    camera: Camera
    vision: Vision
    recognizer: Recognizer
    panel: Panel
    recorder: Recorder
    clock: Clock
    eyes: Worker
    asking: Worker
    writing: Worker
    spending: Callable[[], dict[str, Any] | None] = lambda: None
    paid: Callable[[str], int] = lambda _attempt: 0
    stale: Callable[[], bool] = lambda: False
    central: Callable[[], dict[str, Any] | None] = lambda: None
    supervisor: Supervisor = NOBODY


class Jobs:
    """The jobs of one door; every method belongs to the controller's thread and returns at once."""

    def __init__(self, ports: Ports, put: Callable[[Event], None]) -> None:
        """Take the workers and what they work with, and the controller's queue for their results."""
        self._ports = ports
        self._put = put

    def open_row(self, running: Running) -> None:
        """Have the attempt's row opened: Opened, or Broken."""
        attempt, recorder = running.attempt, self._ports.recorder

        def job() -> Event:
            recorder.open_attempt(attempt)
            return Opened(attempt.id)

        self._work(self._ports.writing, running, job)

    def look(self, running: Running, *, first: bool = False) -> None:
        """Have the newest frame looked at: Seen, or Broken; the `first` time with no memory of earlier faces."""
        camera, vision, attempt_id, after = self._ports.camera, self._ports.vision, running.attempt.id, running.seen
        timeout_s = running.conduct.camera_timeout_s
        running.expect(Reason.CAMERA_UNAVAILABLE, self._ports.clock.monotonic() + timeout_s)

        def job() -> Event:
            if first:
                vision.reset()
            return Seen(attempt_id, vision.look(camera.read(after, timeout_s)))

        self._work(self._ports.eyes, running, job)

    def ask(self, running: Running, ask: Ask) -> None:
        """Have a face examined within what is left of the attempt: Answered, or Broken."""
        recognizer, attempt_id = self._ports.recognizer, running.attempt.id
        now = self._ports.clock.monotonic()
        timeout_s = max(0.0, min(running.conduct.examine_timeout_s, running.deadline - now))
        question = Question(ask.frame, ask.face, ask.purpose, attempt_id, timeout_s, ask.calls)
        clock = self._ports.clock
        running.expect(Reason.RECOGNIZER_UNAVAILABLE, now + timeout_s)

        def job() -> Event:
            left_s = max(0.0, now + timeout_s - clock.monotonic())  # it may have waited for the one before it
            return Answered(attempt_id, recognizer.examine(replace(question, timeout_s=left_s)))

        self._work(self._ports.asking, running, job)

    def close_row(self, running: Running, attempt: Attempt) -> None:
        """Have the attempt's row completed: Closed, or Broken while closing."""
        recorder = self._ports.recorder

        def job() -> Event:
            # A grant whose time has run out before it could be written is written as what became of it.
            row = running.lapsed or attempt
            return Closed(row, recorder.close_attempt(row))

        self._work(self._ports.writing, running, job, closing=True)

    def finish_row_later(self, attempt: Attempt) -> None:
        """Have a row completed as soon as that can be done; nothing comes back."""
        self._ports.writing.submit(lambda: self._ports.recorder.finish_later(attempt))

    def put_down(self, event: DoorEvent) -> None:
        """Have an event put on record as soon as that can be done; nothing comes back."""
        self._ports.writing.submit(lambda: self._ports.recorder.event_later(event))

    def put_down_order(self, asked: Order) -> None:
        """Have an order put on record: Ordered, with the error where that failed."""

        def job() -> None:
            try:
                self._ports.recorder.event_now(asked.event)
            except RecordsError as error:
                self._put(Ordered(asked, error))
            else:
                self._put(Ordered(asked))

        self._ports.writing.submit(job)

    def _work(self, worker: Worker, running: Running, job: Callable[[], Event], *, closing: bool = False) -> None:
        def run() -> None:
            try:
                event: Event = job()
            # The attempt's own wall, on a worker's side: what is not foreseen is internal_error, never silence.
            except Exception as error:  # noqa: BLE001
                event = Broken(running.attempt.id, error, closing)
            self._put(event)

        worker.submit(run)
