"""Tests of the webcam, over captures that behave, block, give nothing and raise."""

from threading import Event, Thread

import cv2
import pytest

from smileaccess.cameras.webcam import WebcamCamera, find_webcam, open_capture
from smileaccess.errors import CameraTimedOut, CameraUnavailable
from tests.fakes_devices import PATIENCE_S, FakeCapture, FakeClock, FakeOpener, picture

SIZE = (640, 480)
MANY = 10**9


def webcam(*captures, open_s=PATIENCE_S, retry_s=(0.0,), close_s=PATIENCE_S):
    opener = FakeOpener(*captures)
    camera = WebcamCamera(
        "/dev/video9", SIZE, FakeClock(), opener=opener, open_s=open_s, retry_s=retry_s, close_s=close_s
    )
    return camera, opener


class Block:
    """A read that returns only when the test lets it."""

    def __init__(self) -> None:
        self.let_go = Event()

    def __call__(self):
        assert self.let_go.wait(PATIENCE_S)
        return False, None


def test_frames_are_numbered_and_stamped():
    """Frames come with growing numbers and the injected clock's time."""
    capture = FakeCapture(MANY)
    camera, opener = webcam(capture)
    camera.start()
    first = camera.read(0, PATIENCE_S)
    second = camera.read(first.sequence, PATIENCE_S)
    camera.close()
    assert second.sequence > first.sequence >= 1
    assert first.captured_at == 1000.0
    assert opener.opened == ["/dev/video9"]


def test_the_newest_frame_is_given():
    """Of three frames nobody asked for, the third is read."""
    block = Block()
    capture = FakeCapture(3, block)
    camera, _ = webcam(capture)
    camera.start()
    capture.await_reads(4)
    frame = camera.read(0, PATIENCE_S)
    block.let_go.set()
    camera.close()
    assert (frame.sequence, int(frame.pixels[0, 0, 0])) == (3, 3)


def test_close_releases_the_camera_and_may_be_repeated():
    """After close the device is free for others."""
    capture = FakeCapture(MANY)
    camera, _ = webcam(capture)
    camera.start()
    camera.close()
    camera.close()
    assert capture.released.is_set()


def test_a_camera_that_cannot_be_opened_fails_at_the_start():
    """The opener's words are the error's."""
    camera, _ = webcam(CameraUnavailable("webcam /dev/video9: busy"))
    with pytest.raises(CameraUnavailable, match="busy"):
        camera.start()


def test_a_camera_that_gives_nothing_fails_at_the_start():
    """Opened, but not one picture: unavailable, and released."""
    capture = FakeCapture(0)
    camera, _ = webcam(capture)
    with pytest.raises(CameraUnavailable, match="went away"):
        camera.start()
    assert capture.released.is_set()


def test_a_camera_that_raises_fails_at_the_start():
    """OpenCV's own exception never comes out."""

    def explode():
        raise cv2.error("VIDIOC_DQBUF")

    camera, _ = webcam(FakeCapture(0, explode))
    with pytest.raises(CameraUnavailable, match="went away"):
        camera.start()


def test_a_driver_that_blocks_does_not_hold_the_start():
    """No first frame within the bound: unavailable; the stuck thread lets go of the device when it can."""
    block = Block()
    capture = FakeCapture(0, block)
    camera, _ = webcam(capture, open_s=0.01, close_s=0.01)
    with pytest.raises(CameraUnavailable, match=r"no frame within 0\.01 s"):
        camera.start()
    block.let_go.set()
    assert capture.released.wait(PATIENCE_S)


def test_a_stall_times_out():
    """A camera that is there but silent is not the same as one that is gone."""
    block = Block()
    camera, _ = webcam(FakeCapture(1, block))
    camera.start()
    with pytest.raises(CameraTimedOut, match="after number 1"):
        camera.read(1, 0.01)
    block.let_go.set()
    camera.close()


def test_close_ends_a_read_of_a_silent_camera():
    """A reader that waits on a stalled driver is told at once that the camera is closed."""
    block = Block()
    camera, _ = webcam(FakeCapture(1, block), close_s=0.01)
    camera.start()
    errors = []

    def wait():
        try:
            camera.read(1, 3600.0)
        except CameraUnavailable as error:
            errors.append(error)

    thread = Thread(target=wait, daemon=True)
    thread.start()
    camera.close()
    thread.join(PATIENCE_S)
    block.let_go.set()
    assert len(errors) == 1


def test_a_camera_that_vanished_is_unavailable():
    """While it cannot be opened again, a read says so at once."""
    camera, _ = webcam(FakeCapture(1), CameraUnavailable("webcam: unplugged"))
    camera.start()
    with pytest.raises(CameraUnavailable, match=r"went away|unplugged"):
        camera.read(1, PATIENCE_S)
    camera.close()


def test_a_camera_that_vanished_is_opened_again():
    """After two frames and a failed opening it comes back, and frames go on counting."""
    block = Block()
    back = FakeCapture(1, block)
    camera, opener = webcam(FakeCapture(2), CameraUnavailable("webcam: unplugged"), back)
    camera.start()
    back.await_reads(2)
    frame = camera.read(2, PATIENCE_S)
    assert frame.sequence == 3
    with pytest.raises(CameraTimedOut):
        camera.read(3, 0.01)
    block.let_go.set()
    camera.close()
    assert len(opener.opened) >= 3


def test_a_closed_camera_may_be_started_again():
    """Start after close opens the device anew."""
    camera, opener = webcam(FakeCapture(MANY), FakeCapture(MANY))
    camera.start()
    camera.close()
    camera.start()
    assert camera.read(0, PATIENCE_S).sequence >= 1
    camera.close()
    assert len(opener.opened) == 2


def movie(path, frames=5):
    """Write a small MJPG film."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15.0, (64, 48))
    for number in range(frames):
        writer.write(picture(40 * number, (64, 48)))
    writer.release()
    return str(path)


def test_a_video_file_is_a_camera(tmp_path):
    """OpenCV's real decoder gives pictures of the film, in its size."""
    camera = WebcamCamera(movie(tmp_path / "film.avi"), SIZE, FakeClock())
    camera.start()
    frame = camera.read(camera.read(0, PATIENCE_S).sequence, PATIENCE_S)
    camera.close()
    assert frame.pixels.shape == (48, 64, 3)
    assert frame.sequence >= 2


def test_a_missing_device_is_refused_without_noise(tmp_path, capfd):
    """The error names the device; OpenCV prints nothing of its own."""
    with pytest.raises(CameraUnavailable, match=r"none\.avi: cannot be opened"):
        open_capture(str(tmp_path / "none.avi"), SIZE)
    assert capfd.readouterr() == ("", "")


def test_no_webcam_is_found_where_there_is_none(tmp_path):
    """An empty folder of devices has no webcam."""
    assert find_webcam(FakeClock(), folder=tmp_path, opener=FakeOpener(FakeCapture(MANY))) is None


def test_the_first_webcam_that_delivers_is_found(tmp_path):
    """A device that cannot be opened is passed over, and what was tried is released."""
    for name in ("video0", "video1", "audio0"):
        (tmp_path / name).touch()
    capture = FakeCapture(MANY)
    found = find_webcam(
        FakeClock(), folder=tmp_path, opener=FakeOpener(CameraUnavailable("webcam: metadata only"), capture)
    )
    assert found == str(tmp_path / "video1")
    assert capture.released.is_set()
