"""A stand-in for picamera2's Picamera2, as far as its published interface is used, and what it photographs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Condition, Event
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from smileaccess.errors import CameraUnavailable
from tests.fakes_devices import PATIENCE_S

if TYPE_CHECKING:
    from smileaccess.model import Pixels

TO_FORMAT = {
    "BGR888": cv2.COLOR_BGR2RGB,
    "XRGB8888": cv2.COLOR_BGR2BGRA,
    "XBGR8888": cv2.COLOR_BGR2RGBA,
    "YUV420": cv2.COLOR_BGR2YUV_I420,
    "YVU420": cv2.COLOR_BGR2YUV_YV12,
    "R8": cv2.COLOR_BGR2GRAY,
    "MJPEG": cv2.COLOR_BGR2RGB,
}


def as_format(bgr: Pixels, form: str, stride_pixels: int) -> Any:
    """Return a BGR picture as picamera2's make_array gives that format, its rows padded where it leaves that in."""
    height, width = bgr.shape[:2]
    padded = np.pad(bgr, ((0, 0), (0, stride_pixels - width), (0, 0)), mode="edge")
    if form in {"YUV420", "YVU420"}:
        return cv2.cvtColor(padded, TO_FORMAT[form])
    if form in {"NV12", "NV21"}:
        planar = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
        chroma = planar[height:].reshape(2, height // 2, width // 2)
        pairs = np.stack(chroma if form == "NV12" else chroma[::-1], axis=2).reshape(height // 2, width)
        return np.vstack([planar[:height], pairs])
    if form in {"YUYV", "YVYU", "UYVY"}:
        return _packed(padded, form)
    return bgr.copy() if form == "RGB888" else cv2.cvtColor(padded if form == "R8" else bgr, TO_FORMAT[form])


def _packed(bgr: Pixels, form: str) -> Any:
    height, width = bgr.shape[:2]
    planar = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
    luma = planar[:height]
    blue, red = (np.repeat(each, 2, axis=0) for each in planar[height:].reshape(2, height // 2, width // 2))
    chroma = np.stack((red, blue) if form == "YVYU" else (blue, red), axis=2).reshape(height, width)
    return np.stack((chroma, luma) if form == "UYVY" else (luma, chroma), axis=2)


@dataclass(frozen=True)
class FakeTransform:
    """libcamera.Transform."""

    hflip: int = 0
    vflip: int = 0


class FakeRequest:
    """A completed request: what was captured, until it is released."""

    def __init__(self, camera: FakePicamera2, number: int) -> None:
        self.camera = camera
        self.number = number

    def make_array(self, name: str) -> Any:
        stream = self.camera.config[name]
        width, height = stream["size"]
        scene = self.camera.scene(self.number)
        if self.camera.config["transform"] == FakeTransform(1, 1):
            scene = scene[::-1, ::-1]
        bgr = cv2.resize(scene, (width, height), interpolation=cv2.INTER_AREA)
        return as_format(bgr, stream["format"], stream["stride"])

    def get_metadata(self) -> dict[str, Any]:
        return self.camera.metadata(self.number)

    def release(self) -> None:
        self.camera.held -= 1


class FakeJob:
    """A capture that is under way."""

    def __init__(self, camera: FakePicamera2) -> None:
        self.camera = camera

    def get_result(self, timeout: float | None = None) -> FakeRequest:
        camera = self.camera
        with camera.changed:
            camera.waits += 1
            camera.changed.notify_all()
        if camera.captured >= camera.pictures:
            camera.then(timeout)
        camera.captured += 1
        camera.held += 1
        return FakeRequest(camera, camera.captured)


def times_out(timeout: float | None) -> None:  # noqa: ARG001 -- a capture's interface
    """What a capture does that no picture comes for, with a shorter wait."""
    Event().wait(0.002)
    raise TimeoutError


class FakePicamera2:
    """A camera that gives `pictures` frames of `scene`, then forever does what `then` does.

    `gives` changes the configuration as a driver may; `refuses` names streams that it does not know.
    """

    def __init__(
        self,
        scene: Callable[[int], Pixels] | Pixels,
        *,
        pictures: int = 10**9,
        then: Callable[[float | None], None] = times_out,
        metadata: Callable[[int], dict[str, Any]] = lambda _: {},
        gives: Callable[[dict[str, Any]], None] = lambda _: None,
        refuses: frozenset[str] = frozenset(),
        controls: frozenset[str] = frozenset({"FrameDurationLimits"}),
        properties: frozenset[str] = frozenset({"ColorFilterArrangement"}),
    ) -> None:
        self.scene = scene if callable(scene) else lambda _: scene
        self.pictures = pictures
        self.then = then
        self.metadata = metadata
        self.gives = gives
        self.refuses = refuses
        self.camera_controls = dict.fromkeys(controls, (0, 1, 1))
        self.camera_properties = dict.fromkeys(properties, 0)
        self.config: dict[str, Any] = {}
        self.asked: list[dict[str, Any]] = []
        self.captured = self.held = self.waits = 0
        self.started = False
        self.closed = Event()
        self.changed = Condition()

    def create_video_configuration(self, **parts: Any) -> dict[str, Any]:
        return {"transform": FakeTransform(), "raw": None, **parts}

    def configure(self, config: dict[str, Any]) -> None:
        self.asked.append(config)
        if any(config.get(name) for name in self.refuses):
            raise RuntimeError("Invalid camera configuration")
        streams = {name: config[name] and {**config[name]} for name in ("main", "lores")}
        self.config = {**config, **streams}
        self.gives(self.config)
        for stream in filter(None, (self.config["main"], self.config["lores"])):
            stream.setdefault("stride", stream["size"][0])

    def camera_configuration(self) -> dict[str, Any]:
        return self.config

    def start(self) -> None:
        assert self.config, "Camera has not been configured"
        self.started = True

    def capture_request(self, *, wait: bool) -> FakeJob:
        assert not wait, "a capture that waits may wait for ever"
        assert self.started
        return FakeJob(self)

    def cancel_all_and_flush(self) -> None:
        pass

    def close(self) -> None:
        self.started = False
        self.closed.set()

    def await_waits(self, number: int) -> None:
        """Wait until this many captures were waited for."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.waits >= number, PATIENCE_S)


class Blocker:
    """Something that a driver does and never comes back from, until the test lets it."""

    def __init__(self) -> None:
        self.begun: SimpleQueue[bool] = SimpleQueue()
        self.let_go = Event()

    def __call__(self, *_: Any) -> None:
        self.begun.put(True)
        assert self.let_go.wait(PATIENCE_S)
        raise CameraUnavailable("let go")

    def await_begin(self) -> None:
        self.begun.get(timeout=PATIENCE_S)


class FakeCameras:
    """Opens the cameras of a list in turn, raising those that are errors, the last one again and again."""

    def __init__(self, *cameras: Any) -> None:
        self.cameras = cameras
        self.opened: list[int] = []
        self.changed = Condition()

    def __call__(self, number: int) -> Any:
        camera = self.cameras[min(len(self.opened), len(self.cameras) - 1)]
        with self.changed:
            self.opened.append(number)
            self.changed.notify_all()
        if isinstance(camera, Exception):
            raise camera
        if isinstance(camera, Blocker):
            camera()
        return camera

    def await_opened(self, number: int) -> None:
        """Wait until the camera was opened this often."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.opened) >= number, PATIENCE_S)
