"""A Raspberry Pi's camera through picamera2, whose captures may block for ever; here none does."""

from __future__ import annotations

import atexit
import os
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smileaccess.cameras.arrays import Stream
from smileaccess.cameras.framing import WHOLE, Framing
from smileaccess.cameras.reading import CLOSE_S, RETRY_S, STALL_S, Shot, ThreadedCamera, Timing
from smileaccess.errors import CameraUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from threading import Event

    from smileaccess.model import Pixels
    from smileaccess.ports import Clock

OPEN_S = 10.0
"""How long `start` waits for the first frame: importing picamera2 alone takes 2 to 3 s on a small Raspberry Pi."""

BUFFERS = 4
"""Pictures that the driver fills in turn; picamera2's own 6 of the full size may be more memory than there is."""

_TROUBLES = (RuntimeError, OSError, ValueError, TypeError, LookupError, AttributeError, AssertionError, CancelledError)
"""What picamera2, libcamera's bindings and futures are known to raise (TimeoutError is an OSError)."""

_SEARCHING = 1
"""libcamera's AeStateSearching: the exposure has not settled."""

_WAIT_S = 0.5
"""For so long a capture is waited for in one go, so that `close` need not wait longer."""

_HALF_TURN = 180
"""Degrees of the one turn that a camera can do by itself, at no cost."""

_SAME_SHAPE = 0.02
"""By what share the shapes of two streams may differ and still show the same view."""


def open_picamera(number: int) -> Any:
    """Open a camera with picamera2 and return the Picamera2; it may block. CameraUnavailable where that fails."""
    name = f"picamera {number}"
    try:
        from picamera2 import Picamera2  # noqa: PLC0415 -- there only with this camera
    except (ImportError, OSError, ValueError, AttributeError) as error:
        raise CameraUnavailable(
            f"{name}: picamera2 cannot be imported ({error}): install python3-picamera2, and let the program's Python "
            'see the system\'s packages; or set [camera] kind = "webcam"'
        ) from error
    try:
        found = Picamera2.global_camera_info()
    except _TROUBLES as error:
        raise CameraUnavailable(f"{name}: libcamera cannot list the cameras: {error}") from error
    if number >= len(found):
        there = f"only {len(found)} are there" if found else "no camera is there"
        raise CameraUnavailable(
            f"{name}: {there}: check the ribbon cable and its contacts, then `rpicam-hello --list-cameras`"
        )
    camera = Picamera2.__new__(Picamera2)
    try:
        camera.__init__(number)
    except _TROUBLES as error:
        _drop(camera)
        raise CameraUnavailable(f"{name}: {_cause(error)}") from error
    # picamera2 would close it when the process ends, and wait for a driver that hangs for ever: `close` has done it
    atexit.unregister(camera.close)
    return camera


def _drop(camera: Any) -> None:
    """Close the pipe that a Picamera2 whose constructor failed would leave open, at each retry another one."""
    handle = getattr(camera, "notifyme_w", None)
    if handle is not None:
        os.close(handle)


def _cause(error: BaseException) -> str:
    """Return the first cause's words, with the fix where that is known."""
    while error.__cause__ is not None:
        error = error.__cause__
    words = _words(error)
    if "acquire" in words or "busy" in words.lower():
        return f"another process has it ({words}): stop that one (`fuser -v /dev/media* /dev/video*` names it)"
    return f"cannot be opened: {words}"


class _PicameraSource:
    """Fulfils reading.Source over a Picamera2 that is configured and runs."""

    def __init__(self, name: str, camera: Any, wish: _Wish, clock: Clock) -> None:
        """Configure and start the camera, and release it again where that fails: CameraUnavailable."""
        self._name = name
        self._camera = camera
        self._clock = clock
        self._wish = wish
        self._job: Any = None
        try:
            told = self._configured()
            self._main = Stream.of("main", told["main"])
            self._lores = _lores_of(told, self._main)
            self._turns_here = wish.upside_down and not _upside_down(told["transform"])
            camera.start()
        except CameraUnavailable as error:
            self.release()
            raise CameraUnavailable(f"{name}: {error}") from error
        except _TROUBLES as error:
            self.release()
            raise CameraUnavailable(f"{name}: cannot be configured: {_words(error)}") from error
        self._seen_at = self._due = clock.monotonic()
        self.told = str(self._main) if self._lores is None else f"{self._main}, {self._lores}"

    def next(self, stop: Event) -> Shot | None:
        """Return the next picture, at the rate that was wished for; CameraUnavailable where none comes any more."""
        self._pace(stop)
        try:
            self._job = self._job or self._camera.capture_request(wait=False)
            try:
                request = self._job.get_result(timeout=_WAIT_S)
            except TimeoutError:
                self._check_stall()
                return None
            self._job = None
            try:
                return self._shot(request)
            finally:
                request.release()
        except CameraUnavailable as error:
            raise CameraUnavailable(f"{self._name}: {error}") from error
        except _TROUBLES as error:
            raise CameraUnavailable(f"{self._name}: went away ({_words(error)}); it is opened again") from error

    def release(self) -> None:
        """Close the camera, whatever it says to that; it may block."""
        with suppress(*_TROUBLES):
            self._camera.cancel_all_and_flush()
        with suppress(*_TROUBLES):
            self._camera.close()

    def _configured(self) -> Mapping[str, Any]:
        """Configure two streams, or one where the camera has no second one, and return what the camera made of it."""
        detect = self._wish.detect_size
        if detect is not None:
            with suppress(*_TROUBLES):
                return self._configured_with({"size": detect, "format": "YUV420"})
        return self._configured_with(None)

    def _configured_with(self, lores: Mapping[str, Any] | None) -> Mapping[str, Any]:
        camera, wish = self._camera, self._wish
        period_us = round(1e6 / wish.fps)
        paced = "FrameDurationLimits" in camera.camera_controls
        config = camera.create_video_configuration(
            main={"size": wish.size, "format": "RGB888"},
            lores=lores,
            buffer_count=BUFFERS,
            queue=False,  # else a capture may be given a picture from before it was asked for
            controls={"FrameDurationLimits": (period_us, period_us)} if paced else {},
        )
        # others than sensors that libcamera drives itself may claim to turn pictures, and not do so
        if wish.upside_down and "ColorFilterArrangement" in camera.camera_properties:
            config["transform"] = type(config["transform"])(hflip=1, vflip=1)
        camera.configure(config)
        told: Mapping[str, Any] = camera.camera_configuration()
        return told

    def _pace(self, stop: Event) -> None:
        """Wait until the next picture is due: some cameras deliver hundreds a second, whatever they were told."""
        now = self._clock.monotonic()
        period_s = 1 / self._wish.fps
        stop.wait(min(max(0.0, self._due - now), period_s))
        if self._job is None:
            self._due = max(self._due + period_s, now)

    def _check_stall(self) -> None:
        if self._clock.monotonic() - self._seen_at >= self._wish.stall_s:
            raise CameraUnavailable(
                f"gave no picture for {self._wish.stall_s:g} s: check the ribbon cable; it is opened again"
            )

    def _shot(self, request: Any) -> Shot:
        self._seen_at = self._clock.monotonic()
        main = self._upright(self._main.bgr(request.make_array("main")))
        settled = _settled(request.get_metadata())
        if self._lores is None:
            return Shot(main, settled=settled)
        return Shot(self._upright(self._lores.bgr(request.make_array("lores"))), main, settled)

    def _upright(self, pixels: Pixels) -> Pixels:
        return pixels[::-1, ::-1] if self._turns_here else pixels


class PicameraCamera(ThreadedCamera):
    """A Raspberry Pi's camera; see ThreadedCamera for its threads.

    Frames carry the full picture in `full`, and in `pixels` a small one of the same view, where the camera gives both.
    """

    def __init__(
        self,
        number: int,
        size: tuple[int, int],
        clock: Clock,
        *,
        detect_width: int = 640,
        fps: int = 15,
        rotation: int = 0,
        region: tuple[float, float, float, float] = WHOLE,
        sleep_after_s: float = 0.0,
        settle_s: float = 1.5,
        opener: Callable[[int], Any] = open_picamera,
        open_s: float = OPEN_S,
        stall_s: float = STALL_S,
        retry_s: Sequence[float] = RETRY_S,
        close_s: float = CLOSE_S,
    ) -> None:
        """Take the camera's number, as picamera2 counts them, and the size (width, height) of the full picture.

        `detect_width` is the width of the small pictures, 0 for none; Framing and Timing tell the rest. `opener`
        returns an open Picamera2.
        """
        name = f"picamera {number}"
        wish = _Wish(_even(size), _detect_size(size, detect_width), fps, rotation == _HALF_TURN, stall_s)
        super().__init__(
            name,
            lambda: _PicameraSource(name, opener(number), wish, clock),
            clock,
            # a thread that came back from a driver has `stall_s` of its own to find that out
            Timing(open_s, 2 * stall_s, retry_s, close_s, sleep_after_s=sleep_after_s, settle_s=settle_s),
            Framing(0 if wish.upside_down else rotation, region),
        )


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the camera is asked for; sizes are (width, height), `detect_size` None for one stream only."""

    size: tuple[int, int]
    detect_size: tuple[int, int] | None
    fps: int
    upside_down: bool
    stall_s: float


def _even(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] // 2 * 2, size[1] // 2 * 2


def _detect_size(size: tuple[int, int], width: int) -> tuple[int, int] | None:
    """Return the small pictures' size in the full ones' shape; None where they would not be smaller."""
    return _even((width, round(width * size[1] / size[0]))) if 0 < width < size[0] else None


def _lores_of(told: Mapping[str, Any], main: Stream) -> Stream | None:
    """Return the second stream where it can be used: readable, smaller than the first one, and of the same view."""
    if not told.get("lores"):
        return None
    try:
        lores = Stream.of("lores", told["lores"])
    except CameraUnavailable:
        return None
    (width, height), (full_width, full_height) = lores.size, main.size
    same_view = abs(width * full_height / (height * full_width) - 1) <= _SAME_SHAPE
    return lores if width < full_width and same_view else None


def _upside_down(transform: Any) -> bool:
    return bool(transform.hflip and transform.vflip)


def _settled(metadata: Mapping[str, Any]) -> bool | None:
    """Return whether the camera says that its exposure has settled: AeState, before libcamera 0.5 AeLocked."""
    if (state := metadata.get("AeState")) is not None:
        return int(state) != _SEARCHING
    locked = metadata.get("AeLocked")
    return None if locked is None else bool(locked)


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
