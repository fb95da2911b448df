"""Whether recorded captures would be let in: each is one attempt in virtual time, by the door's own code.

Only the sign of life is asked for: whoever is seen in a capture is taken for a member, enrolled from its own first
clear frame, so that a capture is denied for what it does and not for whom it shows.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING

from smileaccess.cameras.reel import CaptureCamera, letterbox
from smileaccess.clock import VirtualClock
from smileaccess.errors import PictureError, SmileAccessError
from smileaccess.evaluation import folders
from smileaccess.evaluation.cores import each
from smileaccess.evaluation.identification import as_member, unsealed
from smileaccess.evaluation.measuring import Rate, wilson
from smileaccess.gates import hindrance
from smileaccess.model import PRESENTATION, Frame, LivenessMode, Outcome, Reason, Signal
from smileaccess.recognizers.embedded import EmbeddedRecognizer
from smileaccess.rehearsal import FPS, play
from smileaccess.vision.opencv import opencv
from smileaccess.vision.pictures import load_picture

if TYPE_CHECKING:
    from smileaccess.model import Member, Pixels
    from smileaccess.ports import Vision
    from smileaccess.settings import Settings

ANSWERABLE = frozenset({LivenessMode.OFF, LivenessMode.SMILE, LivenessMode.NEUTRAL_THEN_SMILE})
"""The modes whose challenge a recording can hold an answer to; what another one asks for is not in any recording."""

FAULTS = frozenset(
    {
        Reason.INTERNAL_ERROR,
        Reason.CAMERA_UNAVAILABLE,
        Reason.RECOGNIZER_UNAVAILABLE,
        Reason.RECORDS_UNAVAILABLE,
        Reason.SPENDING_CAP,
    }
)
"""Ends of an attempt that say nothing of what was before the camera."""

_THEN = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one capture: `reason` is None where it was granted; `error` says why it could not be played.

    `cue_told` says whether the capture tells when the person in it was asked to smile.
    """

    path: str
    granted: bool = False
    reason: Reason | None = None
    error: str = ""
    cue_told: bool = False

    @property
    def answered(self) -> bool:
        """Whether the door judged what it saw, and not only how badly it saw (ISO's non-response)."""
        return self.granted or self.reason not in PRESENTATION


@dataclass(frozen=True, slots=True, eq=False)
class Species:
    """One kind of capture: `rate` is APCER of an attack (granted), BPCER of genuine ones (denied)."""

    name: str
    genuine: bool
    judged: Sequence[Judged]
    rate: Rate
    unanswered: int
    reasons: Counter[str]

    @property
    def unplayed(self) -> list[Judged]:
        """The captures that could not be played, which are in no rate."""
        return [each for each in self.judged if each.error]


def judge(
    paths: Sequence[Path], settings: Settings, *, fps: float, seed: int, jobs: int, judged: Callable[[], None]
) -> list[Judged]:
    """Play each capture, in order; `judged` is called after each. VisionFailed.

    `fps` is that of folders, and of videos that do not say theirs; `seed` makes the moments of the cues.
    """
    items = [(str(path), f"{seed}:{place}") for place, path in enumerate(paths)]
    return list(_told(each(partial(Judge, embedded_only(settings), fps), items, jobs, worth=2), judged))


def species(name: str, judged: Sequence[Judged], *, genuine: bool) -> Species:
    """Return what was judged of one kind; captures that could not be played are in no rate."""
    played = [each for each in judged if not each.error]
    wrong = sum(each.granted is not genuine for each in played)
    reasons = Counter(each.reason.value for each in played if each.reason is not None)
    unanswered = sum(not each.answered for each in played)
    return Species(name, genuine, judged, wilson(wrong, len(played)), unanswered, reasons)


def embedded_only(settings: Settings) -> Settings:
    """Return the settings with the embedded recognizer alone: no capture goes to a paid service."""
    recognition = settings.recognition.model_copy(update={"recognizers": ("embedded",)})
    return settings.model_copy(update={"recognition": recognition})


def _told(found: Iterator[Judged], judged: Callable[[], None]) -> Iterator[Judged]:
    for one in found:
        judged()
        yield one


class Judge:
    """Plays one capture after the other; one thread, with eyes of its own."""

    def __init__(self, settings: Settings, fps: float) -> None:
        from smileaccess.wiring import make_eyes  # noqa: PLC0415 -- OpenCV

        self._settings = settings
        self._fps = fps
        self._eyes: Vision = make_eyes(settings)

    def __call__(self, item: tuple[str, str]) -> Judged:
        """Play a capture with this seed; VisionFailed."""
        path, seed = Path(item[0]), item[1]
        try:
            capture = read(path, self._fps, self._settings.door.attempt_s)
        except SmileAccessError as error:
            return Judged(item[0], error=str(error))
        return self._played(capture, item[0], random.Random(seed))  # noqa: S311 -- to be repeated

    def _played(self, capture: Capture, path: str, chance: random.Random) -> Judged:
        member = self._enrolled(capture.frames)
        members = () if member is None else (member,)
        clock = VirtualClock(_THEN)
        recognizer = EmbeddedRecognizer(self._eyes, unsealed, monotonic=clock.monotonic)
        recognizer.use(members)
        camera = CaptureCamera(capture.frames, clock, clock.advance, fps=capture.fps, cue_at_s=capture.cue_at_s)

        def heard(signal: Signal) -> None:
            if signal is Signal.SMILE_NOW:
                camera.cue()

        attempt = play(
            self._settings, camera, clock, self._eyes, recognizer, members, on_signal=heard, luck=chance.random
        ).attempt
        if attempt.reason in FAULTS:
            return Judged(path, error=f"evaluate: {path}: the attempt ended as {attempt.reason.value}: play it again")
        cue_told = capture.cue_at_s is not None
        return Judged(path, attempt.outcome is Outcome.GRANTED, attempt.reason, cue_told=cue_told)

    def _enrolled(self, frames: Sequence[Pixels]) -> Member | None:
        """Return the person of the first clear frame as a member, None where no frame is clear."""
        limits = self._settings.limits()
        for pixels in frames:
            self._eyes.reset()
            frame = Frame(pixels, 1, 0.0)
            sight = self._eyes.look(frame)
            if hindrance(sight, limits) is None:
                return as_member("whoever is seen", [self._eyes.embed(frame, sight.faces[0])])
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Capture:
    """The frames of a recording as a camera at the door gives them, and when the person in it saw the cue."""

    frames: Sequence[Pixels]
    fps: float
    cue_at_s: float | None = None


def read(path: Path, fps: float, longest_s: float) -> Capture:
    """Return a capture: a folder of frames, `fps` a second, or a video file; SmileAccessError.

    No more frames a second are kept than the eyes look at, and of what follows the cue (the beginning, where no
    cue is told) no more than `longest_s`.
    """
    cue_at_s = _cue_of(path)
    most_s = longest_s + (cue_at_s or 0.0)
    frames, rate = _read_folder(path, fps, most_s) if path.is_dir() else _read_video(path, fps, most_s)
    if not frames:
        raise SmileAccessError(f"evaluate: {path}: holds no frame: record it again")
    if cue_at_s is not None and not 0 < cue_at_s < len(frames) / rate:
        raise SmileAccessError(
            f"evaluate: {_cue_file(path)}: {cue_at_s:g}: must be within the capture, which is {len(frames) / rate:.1f} "
            "s long: give the seconds from its first frame to the cue"
        )
    return Capture(frames, rate, cue_at_s)


def _cue_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.cue") if path.is_dir() else path.with_suffix(".cue")


def _cue_of(path: Path) -> float | None:
    """Return the seconds after which the person of a capture saw the cue, from the file beside it, None for no file."""
    file = _cue_file(path)
    try:
        cue_at_s = float(file.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SmileAccessError(
            f"evaluate: {file}: {error}: must hold one number, the seconds from the first frame to the cue"
        ) from error
    return cue_at_s if math.isfinite(cue_at_s) else -1.0


def _read_folder(path: Path, fps: float, most_s: float) -> tuple[list[Pixels], float]:
    files = folders.frames(path)
    rate = min(fps, FPS)
    chosen = [files[place] for place in _places(fps, rate, most_s, len(files))]
    try:
        return [letterbox(load_picture(file)) for file in chosen], rate
    except PictureError as error:
        raise SmileAccessError(f"evaluate: {error}") from error


def _read_video(path: Path, fps: float, most_s: float) -> tuple[list[Pixels], float]:
    cv2 = opencv()
    video = cv2.VideoCapture(str(path))
    try:
        if not video.isOpened():
            raise SmileAccessError(f"evaluate: {path}: OpenCV cannot read this video: save it as MP4 or AVI")
        told = video.get(cv2.CAP_PROP_FPS)
        own = told if math.isfinite(told) and 0 < told <= 1000 else fps
        rate = min(own, FPS)
        frames: list[Pixels] = []
        wanted = _places(own, rate, most_s, None)
        number, place = 0, next(wanted, None)
        while place is not None and video.grab():
            if number == place:
                found, pixels = video.retrieve()
                if not found:
                    break
                frames.append(letterbox(pixels))
                place = next(wanted, None)
            number += 1
    finally:
        video.release()
    return frames, rate


def _places(fps: float, rate: float, most_s: float, count: int | None) -> Iterator[int]:
    """Yield which of `count` frames, `fps` a second, are looked at, `rate` a second; None for an unknown count."""
    for step in range(max(1, floor(most_s * rate))):
        place = floor(step * fps / rate + 1e-6)
        if count is not None and place >= count:
            return
        yield place
