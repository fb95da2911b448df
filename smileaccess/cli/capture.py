"""Collects good, different pictures of a person before a camera; it tells the person what to do, and stores nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from smileaccess.cli.common import console
from smileaccess.enrollment import judge
from smileaccess.errors import ControlUnavailable
from smileaccess.gates import ADVICE
from smileaccess.sitting import Desk, NoGoodPicture, Picture, Verdict

if TYPE_CHECKING:
    from smileaccess.model import Pixels
    from smileaccess.ports import Camera, Clock
    from smileaccess.settings import Settings

STEPS = (
    ("Look straight at the camera", (-8.0, 8.0)),
    ("Turn your head a little to your left", (8.0, 25.0)),
    ("Turn your head a little to your right", (-25.0, -8.0)),
    ("Straight again, chin a little up", (-8.0, 8.0)),
    ("Straight at the camera, and smile", (-8.0, 8.0)),
)
"""What the person is asked, and the head's yaw in degrees that fits it (a turn to one's own left is positive)."""

PERIOD_S = 0.2
"""Pause between two frames while a person follows the steps, so that there is time to move."""

PATIENCE = 20
"""Frames (4 s and more) after which any good picture will do for a step: people turn less, or more, than asked."""

MOST_FRAMES = 190
"""Frames looked at for one person, about a minute; the daemon gives at most 200 at a request."""

COUNTDOWN_S = 3


class Collector:
    """Takes frames one by one until there is a picture for every step."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._waited = 0
        self._seen = 0
        self.pictures: list[Picture] = []
        self.last: Verdict | None = None

    @property
    def done(self) -> bool:
        """Whether every step has its picture."""
        return len(self.pictures) == len(STEPS)

    @property
    def prompt(self) -> str:
        """What the person should do now."""
        if self.done:
            return "Thank you"
        if self.last is not None and self.last.faults:
            return f"{STEPS[len(self.pictures)][0]} ({ADVICE[self.last.faults[0]]})"
        return STEPS[len(self.pictures)][0]

    def offer(self, pixels: Pixels) -> bool:
        """Look at one frame, and say whether it was taken."""
        self._seen += 1
        self._waited += 1
        picture = Picture(f"camera {len(self.pictures) + 1}", pixels.copy())
        self.last, _ = judge(self._desk, picture, self._seen)
        if not self.last.passed or not (self._fits(self.last) or self._waited > PATIENCE):
            return False
        self.pictures.append(picture)
        self._waited = 0
        return True

    def _fits(self, verdict: Verdict) -> bool:
        low, high = STEPS[len(self.pictures)][1]
        pose = verdict.face.pose if verdict.face is not None else None
        return pose is None or low <= pose.yaw <= high


def collect(desk: Desk, frames: Iterable[Pixels]) -> list[Picture]:
    """Guide a person through the steps and return the pictures taken; NoGoodPicture when there is none."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    collector = Collector(desk)
    shown = console(stderr=True)
    columns = (BarColumn(20), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=shown) as progress:
        task = progress.add_task(_count_down(progress.console.is_terminal), total=len(STEPS))
        for _, pixels in zip(range(MOST_FRAMES), frames, strict=False):
            collector.offer(pixels)
            Event().wait(PERIOD_S if progress.console.is_terminal else 0)
            progress.update(task, completed=len(collector.pictures), description=collector.prompt)
            if collector.done:
                break
    if not collector.pictures:
        last = (collector.last,) if collector.last is not None else ()
        raise NoGoodPicture("no good picture was taken at the camera: nothing was stored", last)
    return collector.pictures


def _count_down(terminal: bool) -> str:
    """Let a person at a terminal get ready, and return the first thing to do."""
    if terminal:
        shown = console(stderr=True)
        for left in range(COUNTDOWN_S, 0, -1):
            shown.print(f"Stand before the camera: {left} ...")
            Event().wait(1.0)
    return STEPS[0][0]


@contextmanager
def frames_of(settings: Settings, clock: Clock, why: str) -> Iterator[Iterator[Pixels]]:
    """Give the frames of the running daemon's camera, or of the camera itself where no daemon runs.

    ControlError, NotPermitted from the daemon; CameraUnavailable, CameraTimedOut from the camera.
    """
    from smileaccess import wiring  # noqa: PLC0415
    from smileaccess.control import ControlClient  # noqa: PLC0415

    with ExitStack() as stack:
        try:
            daemon = stack.enter_context(ControlClient(Path(settings.control.socket)))
        except ControlUnavailable:
            camera = stack.enter_context(closing(wiring.make_camera(settings, clock)))
            camera.start()
            yield _frames(camera, settings.camera.timeout_s)
        else:
            yield daemon.pictures(why)


def _frames(camera: Camera, timeout_s: float) -> Iterator[Pixels]:
    sequence = 0
    while True:
        frame = camera.read(sequence, timeout_s)
        sequence = frame.sequence
        yield frame.best
