"""Tests of network cameras: OpenCV's real decoder, on a server that delivers, refuses, stalls and hangs."""

from __future__ import annotations

import base64
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread, current_thread

import cv2
import numpy as np
import pytest

from smileaccess.cameras.webcam import WebcamCamera, open_capture, shown
from smileaccess.errors import CameraUnavailable
from tests.fakes_devices import PATIENCE_S, FakeCapture, FakeClock, FakeOpener, picture

SECRET = "hunter2"
SIZE = (640, 480)


class Stream(BaseHTTPRequestHandler):
    """An MJPEG stream as network cameras give it, for one user; the first one stalls or ends after `pictures`."""

    pictures = 10**9
    stalls = True
    let_go = Event()
    before: list[object]

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != "Basic " + base64.b64encode(f"door:{SECRET}".encode()).decode():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        pictures = 10**9 if self.before else self.pictures
        self.before.append(self)
        try:
            for number in range(pictures):
                self._part(number)
                if self.let_go.wait(0.02):
                    return
            if self.stalls:
                self.let_go.wait(PATIENCE_S)
        except OSError:
            return

    def _part(self, number: int) -> None:
        jpeg = cv2.imencode(".jpg", picture(40 + number % 100, (160, 120)))[1].tobytes()
        self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg))
        self.wfile.write(jpeg + b"\r\n")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(pictures: int = 10**9, *, stalls: bool = True) -> Iterator[str]:
    """Run a camera's server and return its address, without the password."""
    handler = type("Handler", (Stream,), {"pictures": pictures, "stalls": stalls, "let_go": Event(), "before": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        handler.let_go.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("device", "told"),
    [
        ("/dev/video0", "/dev/video0"),
        ("0", "0"),
        ("rtsp://door:hunter2@cam.example:554/live", "rtsp://cam.example:554"),
        ("rtsp://cam.example/user=door&password=hunter2&channel=1", "rtsp://cam.example"),
        ("http://cam.example:8080?pwd=hunter2", "http://cam.example:8080"),
        ("rtsp://door:hunter/2@cam.example/live", "rtsp://..."),
        ("rtsp://door:hun@ter2@cam.example/live", "rtsp://cam.example"),
        ("rtsp://[fe80::1]:554/live", "rtsp://[fe80::1]:554"),
    ],
)
def test_a_stream_is_named_without_what_may_be_secret(device: str, told: str) -> None:
    """A device is named as it is."""
    assert shown(device) == told


def test_a_network_camera_is_a_camera() -> None:
    """Its frames come through OpenCV's real decoder, with the password of the address."""
    with serving() as host:
        camera = WebcamCamera(f"http://door:{SECRET}@{host}/video.mjpg", SIZE, FakeClock())
        camera.start()
        first = camera.read(0, PATIENCE_S)
        second = camera.read(first.sequence, PATIENCE_S)
        camera.close()
    assert first.pixels.shape == (120, 160, 3)
    assert second.sequence > first.sequence
    assert camera.told == "160x120"


def test_a_wrong_password_is_told_without_it(capfd: pytest.CaptureFixture[str]) -> None:
    """Neither the error nor what the decoder prints holds it."""
    with serving() as host, pytest.raises(CameraUnavailable, match="cannot be opened; is the address right") as caught:
        open_capture(f"http://door:wrong-{SECRET}@{host}/video.mjpg", SIZE)
    printed = "".join(capfd.readouterr())
    assert SECRET not in str(caught.value) + printed
    assert str(caught.value).startswith(f"webcam http://{host}: ")


def test_a_stream_that_ends_is_opened_again() -> None:
    """A camera that restarts comes back, and frames go on counting."""
    with serving(pictures=3, stalls=False) as host:
        camera = WebcamCamera(f"http://door:{SECRET}@{host}/", SIZE, FakeClock(), retry_s=(0.1,))
        camera.start()
        after, told = 0, ""
        ends = time.monotonic() + PATIENCE_S
        while after < 6 and time.monotonic() < ends:
            try:
                after = camera.read(after, PATIENCE_S).sequence
            except CameraUnavailable as error:
                told = str(error)
        camera.close()
    assert after >= 6
    assert told.endswith("went away; it is opened again until it comes back")
    assert SECRET not in told


def test_a_stream_that_stalls_is_given_up() -> None:
    """OpenCV's own bound is 30 s; no picture is there after the shortened one."""
    with serving(pictures=10) as host:
        capture = open_capture(f"http://door:{SECRET}@{host}/", SIZE, read_ms=300)
        began = time.monotonic()
        seen = 0
        while capture.read()[0]:
            seen += 1
        capture.release()
    assert 0 < seen <= 10
    assert time.monotonic() - began < PATIENCE_S


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_camera_that_accepts_and_says_nothing_is_given_up(scheme: str) -> None:
    """OpenCV's own bound is 30 s; here a process of its own gives up after the shortened one."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"{scheme}://door:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/live"
        program = (
            "from smileaccess.cameras import webcam\n"
            "from smileaccess.errors import CameraUnavailable\n"
            "try:\n"
            f"    webcam.open_capture({address!r}, (640, 480), open_ms=200)\n"
            "except CameraUnavailable as error:\n"
            "    print(error)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=25)
    assert done.stdout.startswith(f"webcam {scheme}://127.0.0.1:")
    assert SECRET not in done.stdout + done.stderr


def test_a_device_is_asked_for_its_rate_and_a_stream_for_nothing() -> None:
    """A missing device still fails in the way that it does without a rate."""
    with pytest.raises(CameraUnavailable, match="cannot be opened; is it there"):
        open_capture("/dev/no-such-video", SIZE, 15)


class TestFraming:
    def test_pictures_are_turned_and_cut(self) -> None:
        """Turned by 90 degrees clockwise, the lower left quarter of a picture is the upper left one."""
        scene = np.zeros((48, 64, 3), np.uint8)
        scene[24:, :32] = 200
        capture = FakeCapture(0, lambda: (True, scene))
        camera = WebcamCamera(
            "/dev/video9",
            SIZE,
            FakeClock(),
            opener=FakeOpener(capture),
            rotation=90,
            region=(0.0, 0.0, 0.5, 0.5),
        )
        camera.start()
        frame = camera.read(0, PATIENCE_S)
        camera.close()
        assert (frame.pixels.shape, int(frame.pixels.min())) == ((32, 24, 3), 200)
        assert frame.pixels.flags.c_contiguous

    def test_an_unused_webcam_sleeps_and_wakes(self) -> None:
        """The device is released, and opened again for somebody near."""
        clock = FakeClock()
        first, second = FakeCapture(10**9), FakeCapture(10**9)
        opener = FakeOpener(first, second)
        camera = WebcamCamera(
            "/dev/video9", SIZE, clock, opener=opener, sleep_after_s=10.0, retry_s=(0.0,), stall_s=10.0**9
        )
        camera.start()
        clock.advance(9.9)
        camera.prepare()
        clock.advance(9.9)
        assert camera.read(0, PATIENCE_S)
        assert not first.released.is_set()
        clock.advance(10.1)
        assert first.released.wait(PATIENCE_S)
        assert len(opener.opened) == 1
        camera.prepare()
        second.await_reads(2)
        camera.close()
        assert len(opener.opened) == 2


class ReadersClock(FakeClock):
    """A clock that tells when the thread "reader" has looked at it, as it does when it begins to read."""

    def __init__(self) -> None:
        super().__init__()
        self.looked = Event()

    def monotonic(self) -> float:
        if current_thread().name == "reader":
            self.looked.set()
        return super().monotonic()


def test_a_camera_does_not_sleep_while_somebody_waits_for_a_frame() -> None:
    """However long that takes."""
    clock = ReadersClock()
    moved = Event()

    def later() -> tuple[bool, object]:
        assert clock.looked.wait(PATIENCE_S)
        if not moved.is_set():
            moved.set()
            clock.advance(60.0)
        return True, picture(1, (64, 48))

    opener = FakeOpener(FakeCapture(1, later))
    camera = WebcamCamera(
        "/dev/video9", SIZE, clock, opener=opener, sleep_after_s=10.0, retry_s=(0.0,), stall_s=10.0**9
    )
    camera.start()
    frames = []
    reader = Thread(target=lambda: frames.append(camera.read(500, PATIENCE_S)), name="reader")
    reader.start()
    reader.join(PATIENCE_S)
    assert [frame.sequence > 500 for frame in frames] == [True]
    assert opener.opened == ["/dev/video9"]
    camera.close()


def test_a_camera_that_is_slow_to_wake_gives_a_frame_before_it_sleeps_again() -> None:
    """Else it would never wake where opening takes longer than the time to sleep."""
    clock = FakeClock()
    captures = [FakeCapture(10**9) for _ in range(3)]
    opened: list[str] = []

    def opener(device: str, _: tuple[int, int]) -> FakeCapture:
        opened.append(device)
        clock.advance(60.0)
        return captures[len(opened) - 1]

    camera = WebcamCamera(
        "/dev/video9", SIZE, clock, opener=opener, sleep_after_s=10.0, retry_s=(0.0,), stall_s=10.0**9
    )
    camera.start()
    assert captures[0].released.wait(PATIENCE_S)
    camera.prepare()
    assert captures[1].released.wait(PATIENCE_S)
    assert camera.read(0, PATIENCE_S).captured_at >= 1120.0
    camera.close()
