"""Cameras that show made pictures: a clip in real time, or stills in virtual time; they never touch a device."""

from __future__ import annotations

from math import floor
from threading import Condition
from typing import TYPE_CHECKING, Protocol

import numpy as np

from smileaccess.errors import CameraTimedOut, CameraUnavailable, PictureError
from smileaccess.model import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from smileaccess.model import Pixels
    from smileaccess.ports import Clock

SIZE = (640, 480)
"""Width and height of the pictures, as a small camera at a door gives them."""

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
_ROUNDING = 1e-6  # of a frame: n / fps * fps may come out a little below n


class Clip(Protocol):
    """Something to be seen: a picture for every moment."""

    def picture(self, elapsed_s: float, since_cue_s: float | None, since_calm_s: float | None = None) -> Pixels:
        """Return what is seen `elapsed_s` seconds after the clip began, (height, width, 3) uint8 BGR.

        `since_cue_s` is how long ago the person in it last saw the cue to smile, None before it, and `since_calm_s` the
        cue to be calm again, None before any. The picture is never written to later on. CameraUnavailable where it
        cannot be had.
        """
        ...


def letterbox(pixels: Pixels, size: tuple[int, int] = SIZE) -> Pixels:
    """Scale a BGR picture to fit `size` (width, height) and center it on black; its shape stays undistorted."""
    import cv2  # noqa: PLC0415 -- heavy, and not needed by a reel of the right size

    height, width = pixels.shape[:2]
    if (width, height) == size:
        return pixels
    scale = min(size[0] / width, size[1] / height)
    wide, high = max(1, round(width * scale)), max(1, round(height * scale))
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - wide) // 2, (size[1] - high) // 2
    canvas[top : top + high, left : left + wide] = cv2.resize(pixels, (wide, high), interpolation=smooth)
    return canvas


class FolderClip:
    """The pictures of a folder, in the order of their names, `fps` a second, over and over."""

    def __init__(self, directory: Path, load: Callable[[Path], Pixels], fps: float = 15.0) -> None:
        """Take a folder and the function that reads one picture file as BGR (PictureError where it cannot).

        Nothing is read before the first picture is asked for.
        """
        self._directory = directory
        self._load = load
        self._fps = fps
        self._paths: list[Path] = []
        self._loaded: tuple[Path, Pixels] | None = None

    def picture(
        self,
        elapsed_s: float,
        since_cue_s: float | None,  # noqa: ARG002 -- these pictures do not react
        since_calm_s: float | None = None,  # noqa: ARG002
    ) -> Pixels:
        """Return the picture of this moment, 640 x 480; CameraUnavailable for a bad folder or file."""
        self._paths = self._paths or self._listed()
        path = self._paths[floor(elapsed_s * self._fps + _ROUNDING) % len(self._paths)]
        if self._loaded is None or self._loaded[0] != path:
            self._loaded = path, self._read(path)
        return self._loaded[1]

    def _listed(self) -> list[Path]:
        try:
            paths = sorted(path for path in self._directory.iterdir() if path.suffix.lower() in _SUFFIXES)
        except OSError as error:
            raise CameraUnavailable(f"reel: {self._directory}: {error.strerror}: give a folder of pictures") from error
        if not paths:
            raise CameraUnavailable(f"reel: {self._directory}: no picture (jpg, png, bmp, webp) in this folder")
        return paths

    def _read(self, path: Path) -> Pixels:
        try:
            return letterbox(self._load(path))
        except PictureError as error:
            raise CameraUnavailable(f"reel: {error}") from error


class ReelCamera:
    """A camera that shows a clip in real time; any thread may read, play and cue.

    A frame is drawn when it is asked for, in the reader's thread: nothing runs while nobody looks.
    """

    def __init__(self, clip: Clip, clock: Clock, fps: float = 15.0) -> None:
        self._clip = clip
        self._clock = clock
        self._fps = fps
        self._changed = Condition()
        self._running = False
        self._started_at = 0.0
        self._clip_at = 0.0
        self._cued_at: float | None = None
        self._calmed_at: float | None = None
        self._latest: Frame | None = None

    def start(self) -> None:
        """Begin with the clip's first picture; CameraUnavailable where it has none."""
        with self._changed:
            self._started_at = self._clip_at = self._clock.monotonic()
            self._cued_at = self._calmed_at = self._latest = None
            self._drawn(1)
            self._running = True

    def play(self, clip: Clip) -> None:
        """Show another clip from its beginning, uncued; frames go on counting."""
        with self._changed:
            self._clip = clip
            self._clip_at = self._clock.monotonic()
            self._cued_at = self._calmed_at = None

    def cue(self) -> None:
        """Tell the clip that the person in it has now been asked to smile."""
        with self._changed:
            self._cued_at = self._clock.monotonic()

    def calm(self) -> None:
        """Tell the clip that the person in it need no longer smile; nothing to one who was not asked to."""
        with self._changed:
            if self._cued_at is not None and (self._calmed_at is None or self._calmed_at < self._cued_at):
                self._calmed_at = self._clock.monotonic()

    def read(self, after: int, timeout_s: float) -> Frame:
        """Return the newest frame whose sequence is greater than `after`; see ports.Camera."""
        deadline = self._clock.monotonic() + timeout_s
        with self._changed:
            while True:
                if not self._running:
                    raise CameraUnavailable("reel: the camera is not running: start it first")
                now = self._clock.monotonic()
                newest = floor((now - self._started_at) * self._fps + _ROUNDING) + 1
                if newest > after:
                    return self._drawn(newest)
                if now >= deadline:
                    raise CameraTimedOut(f"reel: no frame after number {after} within {timeout_s:g} s")
                self._changed.wait(min(1 / self._fps, deadline - now))

    def prepare(self) -> None:
        """Do nothing: a picture is drawn when it is asked for."""

    def trouble(self) -> str:
        """Return that it does not run where it does not."""
        return "" if self._running else "reel: is not running: start it first"

    def close(self) -> None:
        """Stop; a read under way ends with CameraUnavailable."""
        with self._changed:
            self._running = False
            self._latest = None
            self._changed.notify_all()

    def _drawn(self, sequence: int) -> Frame:
        if self._latest is None or self._latest.sequence != sequence:
            at = self._started_at + (sequence - 1) / self._fps
            since = [None if told is None else max(0.0, at - told) for told in (self._cued_at, self._calmed_at)]
            self._latest = Frame(self._clip.picture(max(0.0, at - self._clip_at), *since), sequence, at)
        return self._latest


class StillsCamera:
    """A camera for rehearsals in virtual time: each picture is held for some seconds, the last one for ever.

    `read` waits for nothing: it moves the virtual clock on by calling `advance` with the seconds until the next
    frame is due.
    """

    def __init__(
        self,
        pictures: Sequence[Pixels],
        clock: Clock,
        advance: Callable[[float], None],
        *,
        hold_s: float = 1.0,
        fps: float = 15.0,
    ) -> None:
        """Take BGR pictures of any size, the virtual clock and the function that moves it on by seconds."""
        self._pictures = [letterbox(pixels) for pixels in pictures]
        self._clock = clock
        self._advance = advance
        self._hold_s = hold_s
        self._fps = fps
        self._started_at = 0.0
        self._running = False

    def start(self) -> None:
        """Begin with the first picture; CameraUnavailable when there is none."""
        if not self._pictures:
            raise CameraUnavailable("stills: no picture was given")
        self._started_at = self._clock.monotonic()
        self._running = True

    def read(self, after: int, timeout_s: float) -> Frame:
        """Return the newest frame whose sequence is greater than `after`; see ports.Camera."""
        if not self._running:
            raise CameraUnavailable("stills: the camera is not running: start it first")
        now = self._clock.monotonic()
        newest = floor((now - self._started_at) * self._fps + _ROUNDING) + 1
        wait_s = self._due(after + 1) - now if newest <= after else 0.0
        if wait_s > timeout_s:
            self._advance(timeout_s)
            raise CameraTimedOut(f"stills: no frame after number {after} within {timeout_s:g} s")
        if wait_s > 0:
            self._advance(wait_s)
        sequence = max(newest, after + 1)
        place = self._place((sequence - 1) / self._fps)
        return Frame(self._pictures[min(place, len(self._pictures) - 1)], sequence, self._due(sequence))

    def _place(self, elapsed_s: float) -> int:
        """Return which picture is seen so long after the start; a place beyond the last means the last."""
        return floor(elapsed_s / self._hold_s + _ROUNDING)

    def prepare(self) -> None:
        """Do nothing: the stills never sleep."""

    def trouble(self) -> str:
        """Return that it does not run where it does not."""
        return "" if self._running else "stills: is not running: start it first"

    def close(self) -> None:
        """Stop; later reads end with CameraUnavailable."""
        self._running = False

    def _due(self, sequence: int) -> float:
        return self._started_at + (sequence - 1) / self._fps


class CaptureCamera(StillsCamera):
    """A recorded capture in virtual time, frame by frame; with the moment of its cue it waits for the door's.

    A recording knows nothing of the door that judges it. Where it is known when the person in it saw the cue, the last
    `SWAY_S` before it are played on and on, to and fro, until the door cues; then come the frames after.
    """

    SWAY_S = 1.0

    def __init__(
        self,
        frames: Sequence[Pixels],
        clock: Clock,
        advance: Callable[[float], None],
        *,
        fps: float,
        cue_at_s: float | None = None,
    ) -> None:
        """Take the frames, `fps` a second, and when in them the person saw the cue, in seconds, where that is known."""
        super().__init__(frames, clock, advance, hold_s=1 / fps, fps=fps)
        self._cue_place = None if cue_at_s is None else max(1, round(cue_at_s * fps))
        self._sway = max(1, round(self.SWAY_S * fps))
        self._cued_s: float | None = None

    def cue(self) -> None:
        """Tell the person in the recording to smile; only the first time counts."""
        if self._cued_s is None:
            self._cued_s = self._clock.monotonic() - self._started_at

    def _place(self, elapsed_s: float) -> int:
        place, cue = super()._place(elapsed_s), self._cue_place
        if cue is None:
            return place
        if self._cued_s is not None and elapsed_s >= self._cued_s:
            return cue + super()._place(elapsed_s - self._cued_s)
        back = min(self._sway, cue - 1)
        return cue - 1 - _to_and_fro(back + place, back)


def _to_and_fro(step: int, length: int) -> int:
    """Return how far from its end somebody is after so many steps to and fro, 0..length."""
    if length == 0:
        return 0
    turned = step % (2 * length)
    return min(turned, 2 * length - turned)
