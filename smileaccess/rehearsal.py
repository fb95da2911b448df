"""One attempt on given pictures in virtual time: the door's own code, with no door, no record and no waiting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import SystemRandom
from typing import TYPE_CHECKING

from smileaccess.cameras.reel import StillsCamera
from smileaccess.clock import VirtualClock
from smileaccess.conduct import Conduct
from smileaccess.controller import Controller
from smileaccess.events import MembersChanged, Summoned
from smileaccess.gates import hindrance
from smileaccess.jobs import Ports
from smileaccess.model import (
    Attempt,
    Bill,
    ChainHead,
    DoorEvent,
    Examination,
    Face,
    Frame,
    Health,
    Member,
    Question,
    Reason,
    Sight,
    Signal,
    Trigger,
)
from smileaccess.panels.silent import SilentPanel
from smileaccess.recorder import Recorder

if TYPE_CHECKING:
    from smileaccess.model import Pixels, Vector
    from smileaccess.ports import Camera, Recognizer, Vision
    from smileaccess.settings import Settings

FPS = 10.0
"""Frames a second of virtual time: about what the local eyes see of a camera on a small machine."""


_RANDOM = SystemRandom()


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What was seen in one frame: of which picture, when (seconds since the start), and what the recognizer said."""

    label: str
    at_s: float
    sight: Sight
    hindrance: Reason | None
    examination: Examination | None


@dataclass(frozen=True, slots=True, eq=False)
class Rehearsal:
    """How the attempt would have ended, and all that was seen on the way."""

    attempt: Attempt
    looks: tuple[Look, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """How one attempt at a camera ended, what each frame showed, and the answers, by the sequence of their frame."""

    attempt: Attempt
    sights: tuple[Sight, ...]
    answers: Mapping[int, Examination]


def rehearse(
    settings: Settings,
    pictures: Sequence[tuple[str, Pixels]],
    seconds: float,
    vision: Vision,
    recognizer: Recognizer,
    members: Sequence[Member],
) -> Rehearsal:
    """Run one attempt on labeled BGR pictures, each before the camera for `seconds`, the last one for ever.

    Raises what the caller's vision raises only as the attempt's internal_error, as at the door.
    """
    clock = VirtualClock(datetime.now(UTC))
    pixels = [picture for _, picture in pictures]
    camera = StillsCamera(pixels, clock, clock.advance, hold_s=seconds, fps=FPS)
    played = play(settings, camera, clock, vision, recognizer, members)
    looks = tuple(_look(sight, pictures, seconds, settings, played.answers) for sight in played.sights)
    return Rehearsal(played.attempt, looks)


def play(
    settings: Settings,
    camera: Camera,
    clock: VirtualClock,
    vision: Vision,
    recognizer: Recognizer,
    members: Sequence[Member],
    *,
    on_signal: Callable[[Signal], None] = lambda _signal: None,
    luck: Callable[[], float] = _RANDOM.random,
) -> Played:
    """Run one attempt at a camera that moves the clock on; `on_signal` hears what the panel shows.

    `luck` draws from 0..1, as for the controller. Raises what the camera raises when it is started.
    """
    eyes, asked = _WatchedEyes(vision), _WatchedRecognizer(recognizer)
    panel, inline, ended = _ToldPanel(clock, on_signal), InlineWorker(), list[Attempt]()
    recorder = Recorder(_NoRecords())
    ports = Ports(camera, eyes, asked, panel, recorder, clock, inline, inline, inline)
    conduct = Conduct.of(settings)
    controller = Controller(
        settings.door.name, ports, conduct, on_attempt=lambda attempt, _who: ended.append(attempt), luck=luck
    )
    camera.start()
    panel.start(controller.put_input)
    controller.put(MembersChanged(tuple(members)))
    controller.put(Summoned(Trigger.TRIAL, lambda _id: None))
    while not ended:
        _turn(controller, clock)
    return Played(ended[0], tuple(eyes.sights), asked.answers)


def _turn(controller: Controller, clock: VirtualClock) -> None:
    deadline = controller.next_deadline
    if not controller.turn(0) and deadline is not None:
        clock.advance(deadline - clock.monotonic())


def _look(
    sight: Sight,
    pictures: Sequence[tuple[str, Pixels]],
    seconds: float,
    settings: Settings,
    answers: Mapping[int, Examination],
) -> Look:
    # A frame's time is a whole number of frame times; a tenth of one keeps rounding from moving it to the next picture.
    place = min(int((sight.frame.captured_at + 0.1 / FPS) / seconds), len(pictures) - 1)
    view = hindrance(sight, settings.limits())
    return Look(pictures[place][0], sight.frame.captured_at, sight, view, answers.get(sight.frame.sequence))


class InlineWorker:
    """A worker that does each job at once, in the caller's thread."""

    def submit(self, job: Callable[[], object]) -> None:
        """Do the job."""
        job()


class _ToldPanel(SilentPanel):
    """A panel that passes on what it shows."""

    def __init__(self, clock: VirtualClock, on_signal: Callable[[Signal], None]) -> None:
        super().__init__(clock)
        self._on_signal = on_signal

    def signal(self, signal: Signal) -> None:
        super().signal(signal)
        self._on_signal(signal)


class _WatchedEyes:
    """The eyes, and a note of everything they saw."""

    def __init__(self, vision: Vision) -> None:
        self._vision = vision
        self.model = vision.model
        self.sights: list[Sight] = []

    def look(self, frame: Frame) -> Sight:
        sight = self._vision.look(frame)
        self.sights.append(sight)
        return sight

    def embed(self, frame: Frame, face: Face) -> Vector:
        return self._vision.embed(frame, face)

    def reset(self) -> None:
        self._vision.reset()

    def close(self) -> None:
        """Leave the eyes to their owner."""


class _WatchedRecognizer:
    """The recognizer, and a note of its answers by the frame's sequence."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self.name = recognizer.name
        self.answers: dict[int, Examination] = {}

    def prepare(self) -> None:
        self._recognizer.prepare()

    def examine(self, question: Question) -> Examination:
        answer = self._recognizer.examine(question)
        self.answers[question.frame.sequence] = answer
        return answer

    def health(self) -> Health:
        return self._recognizer.health()

    def use(self, members: Sequence[Member]) -> None:
        self._recognizer.use(members)

    def close(self) -> None:
        """Leave the recognizer to its owner."""


class _NoRecords:
    """A record that keeps nothing: a rehearsal is no attempt at a door."""

    def open_attempt(self, attempt: Attempt) -> ChainHead:  # noqa: ARG002
        return ChainHead(0, "")

    def close_attempt(self, attempt: Attempt) -> ChainHead:  # noqa: ARG002
        return ChainHead(0, "")

    def add_event(self, event: DoorEvent) -> ChainHead:  # noqa: ARG002
        return ChainHead(0, "")

    def add_bill(self, bill: Bill) -> None:
        """Keep nothing."""

    def close(self) -> None:
        """Keep nothing open."""
