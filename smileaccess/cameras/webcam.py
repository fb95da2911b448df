"""A camera that Linux knows as /dev/video*, or a video file; it never lets a driver hang whoever reads."""

from __future__ import annotations

from pathlib import Path
from threading import Condition, Event, Thread
from typing import TYPE_CHECKING, Any, Protocol

from smileaccess.errors import CameraError, CameraTimedOut, CameraUnavailable
from smileaccess.model import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from smileaccess.model import Pixels
    from smileaccess.ports import Clock

OPEN_S = 8.0
"""How long `start` waits for the first frame: slow USB cameras take 2 to 5 s, OpenCV's own V4L2 bound is 10 s."""

RETRY_S = (0.5, 1.0, 2.0, 5.0)
"""Pauses before a camera that went away is opened again; the last one goes on."""

CLOSE_S = 2.0
"""How long `close` waits for a driver that blocks."""

_FILE_PERIOD_S = 1 / 25  # a file is decoded as fast as one reads; nobody looks at more than 25 pictures a second


class Capture(Protocol):
    """What is used of cv2.VideoCapture; one thread."""

    def read(self) -> tuple[bool, Any]:
        """Return True and the next BGR picture, or False and anything when there is none."""
        ...

    def release(self) -> None:
        """Let go of the device."""
        ...


def open_capture(device: str, size: tuple[int, int]) -> Capture:
    """Open a device (`/dev/video0`, `0`) or a video file with OpenCV; it may block.

    A device is asked for MJPG, which USB cameras deliver at full rate, for `size` (width, height), and for a queue of
    one picture. CameraUnavailable where that fails.
    """
    import cv2  # noqa: PLC0415 -- heavy, and not needed with another camera

    # what OpenCV would print about a missing device is said by the exception
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    capture = cv2.VideoCapture(int(device) if device.isdecimal() else device)
    if not capture.isOpened():
        capture.release()
        raise CameraUnavailable(f"webcam {device}: cannot be opened; is it there, free, and may this user read it?")
    if not Path(device).is_file():
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


class WebcamCamera:
    """A webcam read by a thread of its own, which opens, reads and releases it and keeps the newest frame only.

    A camera that goes away is opened again, with growing pauses, until `close`; meanwhile `read` raises
    CameraUnavailable. A thread that a driver never lets go of is left behind as a daemon thread.
    """

    def __init__(
        self,
        device: str,
        size: tuple[int, int],
        clock: Clock,
        *,
        opener: Callable[[str, tuple[int, int]], Capture] = open_capture,
        open_s: float = OPEN_S,
        retry_s: Sequence[float] = RETRY_S,
        close_s: float = CLOSE_S,
    ) -> None:
        self._device = device
        self._size = size
        self._clock = clock
        self._opener = opener
        self._open_s = open_s
        self._retry_s = retry_s
        self._close_s = close_s
        self._period_s = _FILE_PERIOD_S if Path(device).is_file() else 0.0
        self._changed = Condition()
        self._stop = Event()
        self._stop.set()
        self._thread: Thread | None = None
        self._sequence = 0
        self._latest: Frame | None = None
        self._trouble: str | None = None

    def start(self) -> None:
        """Open the camera and wait for its first frame; CameraUnavailable when none came within the bound."""
        self.close()
        self._stop, self._trouble = Event(), None
        self._thread = Thread(target=self._run, args=(self._stop,), name=f"webcam {self._device}", daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._latest or self._trouble or self._stop.is_set(), self._open_s)
            if self._latest:
                return
            trouble = self._trouble or f"webcam {self._device}: delivered no frame within {self._open_s:g} s"
        self.close()
        raise CameraUnavailable(trouble)

    def read(self, after: int, timeout_s: float) -> Frame:
        """Return the newest frame whose sequence is greater than `after`; see ports.Camera."""
        with self._changed:
            self._changed.wait_for(lambda: self._newer(after) or self._trouble or self._stop.is_set(), timeout_s)
            if self._stop.is_set():
                raise CameraUnavailable(f"webcam {self._device}: is not running: start it first")
            if frame := self._newer(after):
                return frame
            if self._trouble:
                raise CameraUnavailable(self._trouble)
        raise CameraTimedOut(f"webcam {self._device}: no frame after number {after} within {timeout_s:g} s")

    def close(self) -> None:
        """Stop the thread and release the camera, waiting at most `CLOSE_S` for a driver that blocks."""
        with self._changed:
            self._stop.set()
            self._latest = None
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(self._close_s)

    def _newer(self, after: int) -> Frame | None:
        return self._latest if self._latest and self._latest.sequence > after else None

    def _run(self, stop: Event) -> None:
        failures = 0
        try:
            while not stop.is_set():
                failures = 0 if self._watched(stop) else failures + 1
                stop.wait(self._retry_s[min(failures, len(self._retry_s) - 1)])
        finally:
            self._report(stop, f"webcam {self._device}: its reader has stopped")

    def _watched(self, stop: Event) -> bool:
        """Open the camera and keep its frames until it goes away; say whether there was any."""
        try:
            capture = self._opener(self._device, self._size)
        except CameraUnavailable as error:
            self._report(stop, str(error))
            return False
        try:
            return self._drained(capture, stop)
        finally:
            capture.release()

    def _drained(self, capture: Capture, stop: Event) -> bool:
        any_frame = False
        while not stop.is_set():
            pixels = self._next(capture)
            if pixels is None:
                self._report(stop, f"webcam {self._device}: went away; it is opened again until it comes back")
                break
            any_frame = True
            self._keep(stop, pixels)
            stop.wait(self._period_s)
        return any_frame

    def _next(self, capture: Capture) -> Pixels | None:
        import cv2  # noqa: PLC0415 -- heavy, and loaded by the opener already

        try:
            there, pixels = capture.read()
        except (cv2.error, OSError):
            return None
        return pixels if there else None

    def _keep(self, stop: Event, pixels: Pixels) -> None:
        with self._changed:
            if not stop.is_set():
                self._sequence += 1
                self._latest = Frame(pixels, self._sequence, self._clock.monotonic())
                self._trouble = None
                self._changed.notify_all()

    def _report(self, stop: Event, trouble: str) -> None:
        with self._changed:
            if stop is self._stop:
                self._trouble = trouble
                self._changed.notify_all()


def find_webcam(
    clock: Clock,
    *,
    folder: Path = Path("/dev"),
    opener: Callable[[str, tuple[int, int]], Capture] = open_capture,
    size: tuple[int, int] = (640, 480),
) -> str | None:
    """Return the first of `folder`'s video* that delivers a frame, or None when there is no such camera.

    Prints nothing; takes at most `OPEN_S` seconds a device.
    """
    for device in sorted(folder.glob("video*")):
        camera = WebcamCamera(str(device), size, clock, opener=opener)
        try:
            camera.start()
        except CameraError:
            continue
        finally:
            camera.close()
        return str(device)
    return None
