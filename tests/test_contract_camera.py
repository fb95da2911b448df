"""One suite over the fake and every adapter of ports.Camera."""

from threading import Thread

import numpy as np
import pytest

from smileaccess.cameras.reel import ReelCamera, StillsCamera
from smileaccess.cameras.webcam import WebcamCamera
from smileaccess.errors import CameraTimedOut, CameraUnavailable
from smileaccess.model import Frame
from tests.fakes_devices import PATIENCE_S, FakeCamera, FakeCapture, FakeClock, FakeOpener, picture

FAR = 10**9
"""A sequence that no camera reaches within a test."""


class OneShade:
    """A clip that never changes."""

    def picture(self, elapsed_s, since_cue_s):  # noqa: ARG002 -- it never changes
        return picture(9)


def fake():
    return FakeCamera([Frame(picture(number), number, 1000.0 + number) for number in range(1, 50)])


def reel():
    return ReelCamera(OneShade(), FakeClock(tick_s=0.01), fps=100.0)


def stills():
    clock = FakeClock()
    return StillsCamera([picture(9)], clock, clock.advance)


def webcam():
    opener = FakeOpener(FakeCapture(FAR))
    return WebcamCamera("/dev/video9", (640, 480), FakeClock(), opener=opener)


CAMERAS = [fake, reel, stills, webcam]
WAITING = [reel, webcam]
"""Those whose read waits for real; the others answer at once."""


@pytest.fixture(params=CAMERAS)
def camera(request):
    """Return a camera that was not started; it is closed afterward."""
    made = request.param()
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


@pytest.mark.parametrize("make", WAITING)
def test_close_ends_a_read_under_way(make):
    """Whoever waits is told that the camera is gone."""
    camera = make()
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
