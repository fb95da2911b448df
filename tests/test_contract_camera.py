"""One suite over the fake and every adapter of ports.Camera."""

from threading import Thread

import cv2
import numpy as np
import pytest

from smileaccess.cameras.folder import FolderCamera
from smileaccess.cameras.picamera import PicameraCamera
from smileaccess.cameras.reel import ReelCamera, StillsCamera
from smileaccess.cameras.webcam import WebcamCamera
from smileaccess.errors import CameraTimedOut, CameraUnavailable
from smileaccess.model import Frame
from smileaccess.vision.pictures import load_picture
from tests.fakes_cameras import FakeCameras, FakePicamera2
from tests.fakes_devices import PATIENCE_S, FakeCamera, FakeCapture, FakeClock, FakeOpener, picture

FAR = 10**9
"""A sequence that no camera reaches within a test."""


class OneShade:
    """A clip that never changes."""

    def picture(self, elapsed_s, since_cue_s, since_calm_s=None):  # noqa: ARG002 -- it never changes
        return picture(9)


def fake(_):
    return FakeCamera([Frame(picture(number), number, 1000.0 + number) for number in range(1, 50)])


def reel(_):
    return ReelCamera(OneShade(), FakeClock(tick_s=0.01), fps=100.0)


def stills(_):
    clock = FakeClock()
    return StillsCamera([picture(9)], clock, clock.advance)


def webcam(_):
    opener = FakeOpener(FakeCapture(FAR))
    return WebcamCamera("/dev/video9", (640, 480), FakeClock(), opener=opener)


def picamera(_):
    return PicameraCamera(0, (640, 480), FakeClock(), opener=FakeCameras(FakePicamera2(picture(9))), settle_s=0.0)


def sleepy(_):
    """Return a camera that falls asleep at once whenever nobody looks."""
    clock, opener = FakeClock(tick_s=0.001), FakeOpener(FakeCapture(FAR))
    return WebcamCamera("/dev/video9", (640, 480), clock, opener=opener, sleep_after_s=0.02, retry_s=(0.0,))


class Filled(FolderCamera):
    """A folder that somebody fills with pictures as long as it is watched."""

    def __init__(self, folder):
        self._folder = folder
        self._filled = 0
        clock = FakeClock()
        super().__init__(folder, load_picture, clock, on_picture=self._fill, poll_s=0.001)

    def start(self):
        super().start()
        self._fill()

    def close(self):
        super().close()
        for path in self._folder.iterdir():
            path.unlink()

    def _fill(self):
        self._filled += 1
        cv2.imwrite(str(self._folder / f"{self._filled}.png"), picture(9))


def folder(path):
    return Filled(path)


CAMERAS = [fake, reel, stills, webcam, sleepy, picamera, folder]
WAITING = [reel, webcam, sleepy, picamera, folder]
"""Those whose read waits for real; the others answer at once."""


@pytest.fixture(params=CAMERAS)
def camera(request, tmp_path):
    """Return a camera that was not started; it is closed afterward."""
    made = request.param(tmp_path)
    yield made
    made.close()


def test_a_camera_that_was_not_started_is_unavailable(camera):
    """Reading before start raises."""
    with pytest.raises(CameraUnavailable):
        camera.read(0, 0.0)


def test_frames_are_pictures_with_growing_numbers_and_times(camera):
    """Every frame is newer than the one before, and a BGR picture."""
    camera.start()
    before = camera.read(0, PATIENCE_S)
    for _ in range(4):
        frame = camera.read(before.sequence, PATIENCE_S)
        assert frame.sequence > before.sequence
        assert frame.captured_at >= before.captured_at
        assert frame.pixels.dtype == np.uint8
        assert frame.pixels.shape == (480, 640, 3)
        before = frame


def test_a_frame_that_does_not_come_times_out(camera):
    """The bound holds, and it is a timeout, not an outage."""
    camera.start()
    with pytest.raises(CameraTimedOut):
        camera.read(FAR, 0.01)


def test_after_a_timeout_the_camera_goes_on(camera):
    """A timeout leaves the camera as it was."""
    camera.start()
    with pytest.raises(CameraTimedOut):
        camera.read(FAR, 0.01)
    assert camera.read(0, PATIENCE_S).sequence >= 1


def test_a_closed_camera_is_unavailable_and_closes_again(camera):
    """Close may be repeated; nothing is read afterward."""
    camera.start()
    camera.close()
    camera.close()
    with pytest.raises(CameraUnavailable):
        camera.read(0, 0.0)


def test_a_closed_camera_starts_again(camera):
    """Start after close gives frames."""
    camera.start()
    camera.close()
    camera.start()
    assert camera.read(0, PATIENCE_S).sequence >= 1


def test_a_camera_that_somebody_is_near_to_goes_on(camera):
    """Getting ready returns at once, whether the camera runs or not, and changes no frame."""
    camera.prepare()
    camera.start()
    first = camera.read(0, PATIENCE_S)
    camera.prepare()
    second = camera.read(first.sequence, PATIENCE_S)
    assert second.sequence > first.sequence
    assert np.array_equal(second.best, second.pixels if second.full is None else second.full)
    camera.close()
    camera.prepare()
    with pytest.raises(CameraUnavailable):
        camera.read(0, 0.0)


@pytest.mark.parametrize("make", [make for make in CAMERAS if make is not fake])
def test_a_camera_tells_its_trouble(make, tmp_path):
    """One that does not run says so, one that runs has none."""
    camera = make(tmp_path)
    assert "is not running" in camera.trouble()
    camera.start()
    assert camera.trouble() == ""
    camera.close()
    assert "is not running" in camera.trouble()


@pytest.mark.parametrize("make", WAITING)
def test_close_ends_a_read_under_way(make, tmp_path):
    """Whoever waits is told that the camera is gone."""
    camera = make(tmp_path)
    camera.start()
    errors = []

    def wait():
        try:
            camera.read(FAR, 3600.0)
        except CameraUnavailable as error:
            errors.append(error)

    thread = Thread(target=wait)
    thread.start()
    camera.close()
    thread.join(PATIENCE_S)
    assert len(errors) == 1
