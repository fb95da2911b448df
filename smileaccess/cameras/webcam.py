"""A camera that Linux knows as /dev/video*, a network camera's stream, or a video file, all through OpenCV."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from smileaccess.cameras.framing import WHOLE, Framing
from smileaccess.cameras.reading import CLOSE_S, RETRY_S, STALL_S, Shot, ThreadedCamera, Timing
from smileaccess.errors import CameraError, CameraUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Event

    from smileaccess.ports import Clock

OPEN_S = 8.0
"""How long `start` waits for the first frame: slow USB cameras take 2 to 5 s, OpenCV's own V4L2 bound is 10 s."""

STREAM_OPEN_MS = 6000
"""How long the connection to a network camera may take; OpenCV's own bound is 30 s."""

STREAM_READ_MS = 4000
"""How long a network camera may take for a frame before the connection counts as lost."""

_FILE_PERIOD_S = 1 / 25  # a file is decoded as fast as one reads; nobody looks at more than 25 pictures a second

_STREAM = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Capture(Protocol):
    """What is used of cv2.VideoCapture; one thread."""

    def read(self) -> tuple[bool, Any]:
        """Return True and the next BGR picture, or False and anything when there is none."""
        ...

    def release(self) -> None:
        """Let go of the device."""
        ...


def shown(device: str) -> str:
    """Return a device as messages may name it: of a stream only its scheme and host, since the rest may hold secrets.

    Passwords stand before the host, and with many cameras in the path or in the query.
    """
    if not (scheme := _STREAM.match(device)):
        return device
    rest = device[scheme.end() :]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in rest and "@" not in authority:  # a password with a slash in it: nobody can tell where the host begins
        return f"{scheme[0]}..."
    return f"{scheme[0]}{authority.rpartition('@')[2]}"


def open_capture(
    device: str,
    size: tuple[int, int],
    fps: int = 0,
    *,
    open_ms: int = STREAM_OPEN_MS,
    read_ms: int = STREAM_READ_MS,
) -> Capture:
    """Open a device (`/dev/video0`, `0`), a stream (`rtsp://...`, `http://...`) or a video file; it may block.

    A device is asked for MJPG, which USB cameras deliver at full rate, for `size` (width, height), for `fps` unless
    that is 0, and for a queue of one picture. A stream decides those itself; it must be there within `open_ms`, and
    each of its pictures within `read_ms`. OpenCV prefers TCP for RTSP. CameraUnavailable where that fails.
    """
    import cv2  # noqa: PLC0415 -- heavy, and not needed with another camera

    # what OpenCV would print about a missing device is said by the exception
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    if _STREAM.match(device):
        bounds = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, open_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, read_ms]
        capture = cv2.VideoCapture(device, cv2.CAP_FFMPEG, bounds)
        advice = "is the address right (user, password, path), and the camera there?"
    else:
        capture = cv2.VideoCapture(int(device) if device.isdecimal() else device)
        advice = "is it there, free, and may this user read it?"
    if not capture.isOpened():
        capture.release()
        raise CameraUnavailable(f"webcam {shown(device)}: cannot be opened; {advice}")
    if not (_STREAM.match(device) or Path(device).is_file()):
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        if fps:
            capture.set(cv2.CAP_PROP_FPS, fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


class _CaptureSource:
    """Fulfils reading.Source over OpenCV's capture."""

    told = ""

    def __init__(self, name: str, capture: Capture, period_s: float) -> None:
        self._name = name
        self._capture = capture
        self._period_s = period_s

    def next(self, stop: Event) -> Shot:
        """Return the next picture; CameraUnavailable when there is none."""
        import cv2  # noqa: PLC0415 -- heavy, and loaded by the opener already

        try:
            there, pixels = self._capture.read()
        except (cv2.error, OSError):
            there = False
        if not there:
            raise CameraUnavailable(f"{self._name}: went away; it is opened again until it comes back")
        self.told = "{1}x{0}".format(*pixels.shape[:2])
        stop.wait(self._period_s)
        return Shot(pixels)

    def release(self) -> None:
        """Let go of the device."""
        self._capture.release()


class WebcamCamera(ThreadedCamera):
    """A webcam, a network camera or a video file; see ThreadedCamera for its threads."""

    def __init__(
        self,
        device: str,
        size: tuple[int, int],
        clock: Clock,
        *,
        fps: int = 0,
        rotation: int = 0,
        region: tuple[float, float, float, float] = WHOLE,
        sleep_after_s: float = 0.0,
        settle_s: float = 0.0,
        opener: Callable[[str, tuple[int, int]], Capture] | None = None,
        open_s: float = OPEN_S,
        stall_s: float = STALL_S,
        retry_s: Sequence[float] = RETRY_S,
        close_s: float = CLOSE_S,
    ) -> None:
        """Take the device, and the size (width, height) and rate to ask it for; Framing and Timing tell the rest."""
        name = f"webcam {shown(device)}"
        period_s = _FILE_PERIOD_S if Path(device).is_file() else 0.0
        capture_of = opener or partial(open_capture, fps=fps)
        super().__init__(
            name,
            lambda: _CaptureSource(name, capture_of(device, size), period_s),
            clock,
            Timing(
                open_s,
                stall_s=stall_s,
                retry_s=retry_s,
                close_s=close_s,
                sleep_after_s=sleep_after_s,
                settle_s=settle_s,
            ),
            Framing(rotation, region),
        )


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
