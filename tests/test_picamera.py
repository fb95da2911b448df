"""Tests of the Raspberry Pi's camera over a stand-in for picamera2 that adjusts, refuses, stalls and hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent
from typing import Any

import cv2
import numpy as np
import pytest

from smileaccess.cameras.picamera import PicameraCamera, open_picamera
from smileaccess.cameras.reading import MOST_LEFT
from smileaccess.errors import CameraTimedOut, CameraUnavailable
from smileaccess.model import Frame
from tests.fakes_cameras import Blocker, FakeCameras, FakePicamera2, FakeTransform
from tests.fakes_devices import PATIENCE_S, FakeClock, picture

FULL, SMALL = (1280, 960), (640, 480)
FORMATS = [
    *("RGB888", "BGR888", "XRGB8888", "XBGR8888"),
    *("YUV420", "YVU420", "NV12", "NV21"),
    *("YUYV", "YVYU", "UYVY", "MJPEG"),
]
TURNED = {0: "bgrw", 90: "rbwg", 180: "wrgb", 270: "gwbr"}
"""The quarters of `quarters` by their colors, in reading order, after a turn clockwise."""


def quarters() -> np.ndarray[Any, Any]:
    """Return a picture whose quarters are blue, green, red and white, so that a wrong order or turn shows."""
    scene = np.full((960, 1280, 3), 240, np.uint8)
    scene[:480, :640] = (200, 20, 20)
    scene[:480, 640:] = (20, 200, 20)
    scene[480:, :640] = (20, 20, 200)
    return scene


def corners(pixels: Any) -> list[list[int]]:
    """Return the colors in the middle of the four quarters, in reading order."""
    height, width = pixels.shape[:2]
    return [pixels[y, x].tolist() for y in (height // 4, -height // 4) for x in (width // 4, -width // 4)]


def started(*cameras: Any, size: tuple[int, int] = FULL, clock: FakeClock | None = None, **options: Any) -> Any:
    """Return a camera that runs, over these stand-ins."""
    made = PicameraCamera(
        0,
        size,
        clock or FakeClock(),
        opener=FakeCameras(*cameras),
        **{"settle_s": 0.0, "retry_s": (0.01,), "fps": 60, "open_s": PATIENCE_S, **options},
    )
    made.start()
    return made


def gives(**streams: Any) -> Any:
    """Return a driver's answer to whatever it is asked for."""
    return lambda config: config.update(
        {name: {"size": size, "format": form, "stride": stride} for name, (form, size, stride) in streams.items()}
    )


def until(camera: Any, after: int) -> Frame:
    """Return the next frame of a camera that comes back, whatever it says before."""
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        try:
            return camera.read(after, PATIENCE_S)
        except CameraUnavailable as error:
            told = error
    raise told


def trouble(camera: Any, words: str) -> str:
    """Return what a camera that goes away says, once it says these words."""
    told = ""
    ends = time.monotonic() + PATIENCE_S
    while words not in told and time.monotonic() < ends:
        try:
            camera.read(0, 0.01)
        except (CameraUnavailable, CameraTimedOut) as error:
            told = str(error)
    return told


def near(one: list[list[int]], other: list[list[int]]) -> bool:
    return bool(np.abs(np.array(one) - np.array(other)).max() <= 8)


class TestStreams:
    def test_faces_are_found_in_the_small_picture_and_recognized_in_the_full_one(self) -> None:
        """Both come of one capture, show the same, and the configuration asked for them."""
        driver = FakePicamera2(quarters())
        camera = started(driver)
        frame = camera.read(0, PATIENCE_S)
        camera.close()
        assert (frame.pixels.shape, frame.full.shape) == ((480, 640, 3), (960, 1280, 3))
        assert near(corners(frame.pixels), corners(quarters()))
        assert corners(frame.full) == corners(quarters())
        asked = driver.asked[0]
        assert (asked["main"]["size"], asked["lores"]["size"], asked["lores"]["format"]) == (FULL, SMALL, "YUV420")
        assert asked["controls"] == {"FrameDurationLimits": (16667, 16667)}
        assert camera.told == "main RGB888 1280x960, lores YUV420 640x480"

    @pytest.mark.parametrize("stride", [640, 704])
    @pytest.mark.parametrize("form", FORMATS)
    def test_every_format_that_a_camera_may_answer_with_is_read(self, form: str, stride: int) -> None:
        """Whatever was asked for, what the camera gives becomes BGR, without the padding of its rows."""
        driver = FakePicamera2(quarters(), gives=gives(main=(form, SMALL, stride)))
        camera = started(driver, size=SMALL, detect_width=0)
        frame = camera.read(0, PATIENCE_S)
        camera.close()
        assert frame.pixels.shape == (480, 640, 3)
        assert frame.full is None
        assert near(corners(frame.pixels), corners(quarters()))

    def test_a_gray_camera_is_read(self) -> None:
        """A sensor without color gives gray in three channels."""
        camera = started(FakePicamera2(quarters(), gives=gives(main=("R8", SMALL, 704))), size=SMALL)
        frame = camera.read(0, PATIENCE_S)
        camera.close()
        assert frame.pixels.shape == (480, 640, 3)
        assert np.ptp(frame.pixels, axis=2).max() == 0

    def test_a_format_that_cannot_be_read_is_named(self) -> None:
        """Nobody is shown to the door through bytes that are taken for something else."""
        driver = FakePicamera2(quarters(), gives=gives(main=("SRGGB10_CSI2P", FULL, 1600)))
        with pytest.raises(CameraUnavailable, match="picamera 0: gives its main pictures as SRGGB10_CSI2P"):
            started(driver)
        assert driver.closed.is_set()

    def test_a_second_stream_as_large_as_the_first_is_not_used(self) -> None:
        """As libcamera's virtual camera answers: one size for both."""
        driver = FakePicamera2(quarters(), gives=gives(main=("NV12", SMALL, 640), lores=("NV12", SMALL, 640)))
        camera = started(driver)
        frame = camera.read(0, PATIENCE_S)
        camera.close()
        assert (frame.pixels.shape, frame.full) == ((480, 640, 3), None)

    def test_a_second_stream_of_another_view_is_not_used(self) -> None:
        """A box found in one would miss the face in the other."""
        driver = FakePicamera2(quarters(), gives=gives(lores=("YUV420", (640, 360), 640)))
        camera = started(driver)
        frame = camera.read(0, PATIENCE_S)
        camera.close()
        assert (frame.pixels.shape, frame.full) == ((960, 1280, 3), None)

    def test_a_camera_without_a_second_stream_is_used_as_it_is(self) -> None:
        """A USB camera refuses two streams: it is asked for one."""
        driver = FakePicamera2(quarters(), refuses=frozenset({"lores"}))
        camera = started(driver)
        frame = camera.read(0, PATIENCE_S)
        camera.close()
        assert (frame.pixels.shape, frame.full) == ((960, 1280, 3), None)
        assert [asked["lores"] is None for asked in driver.asked] == [False, True]

    def test_a_camera_that_takes_no_rate_is_not_asked_for_one(self) -> None:
        """An unknown control would be an error."""
        driver = FakePicamera2(quarters(), controls=frozenset())
        started(driver).close()
        assert driver.asked[0]["controls"] == {}

    def test_every_request_is_given_back(self) -> None:
        """Else the driver runs out of buffers after a few pictures."""
        driver = FakePicamera2(quarters(), pictures=20)
        camera = started(driver)
        driver.await_waits(21)
        camera.close()
        assert (driver.captured, driver.held) == (20, 0)

    def test_an_array_that_is_not_what_was_said_is_refused(self) -> None:
        """A driver that says one thing and gives another makes no frame."""

        def smaller(config: dict[str, Any]) -> None:
            config["main"]["format"] = "NV12"

        driver = FakePicamera2(quarters(), gives=smaller)
        driver.scene = lambda _: driver.config["main"].update(format="RGB888", size=SMALL) or quarters()
        with pytest.raises(CameraUnavailable, match="picamera 0: main NV12 1280x960 came as an array of"):
            started(driver, detect_width=0)


class TestTurning:
    @staticmethod
    def letters(pixels: Any) -> str:
        names = {(200, 20, 20): "b", (20, 200, 20): "g", (20, 20, 200): "r", (240, 240, 240): "w"}
        return "".join(names[tuple(each)] for each in corners(pixels))

    @pytest.mark.parametrize("rotation", [0, 90, 180, 270])
    def test_pictures_are_turned_clockwise(self, rotation: int) -> None:
        """The full picture and the small one alike."""
        camera = started(FakePicamera2(quarters()), rotation=rotation)
        frame = camera.read(0, PATIENCE_S)
        camera.close()
        assert self.letters(frame.full) == TURNED[rotation]
        assert frame.full.shape == ((960, 1280, 3) if rotation % 180 == 0 else (1280, 960, 3))
        assert frame.pixels.shape == ((480, 640, 3) if rotation % 180 == 0 else (640, 480, 3))

    def test_half_a_turn_is_done_by_the_camera_itself(self) -> None:
        """It costs nothing there."""
        driver = FakePicamera2(quarters())
        started(driver, rotation=180).close()
        assert driver.asked[0]["transform"] == FakeTransform(1, 1)

    def test_half_a_turn_that_the_camera_does_not_do_is_done_here(self) -> None:
        """What the camera says that it does decides, not what it was asked."""
        driver = FakePicamera2(quarters(), gives=lambda config: config.update(transform=FakeTransform()))
        camera = started(driver, rotation=180)
        frame = camera.read(0, PATIENCE_S)
        camera.close()
        assert self.letters(frame.full) == "wrgb"

    def test_only_a_sensor_is_asked_to_turn_its_pictures(self) -> None:
        """The virtual camera of libcamera says that it does, and does not."""

        def claims(config: dict[str, Any]) -> None:
            assert config["transform"] == FakeTransform()

        driver = FakePicamera2(quarters(), gives=claims, properties=frozenset())
        camera = started(driver, rotation=180)
        frame = camera.read(0, PATIENCE_S)
        camera.close()
        assert self.letters(frame.full) == "wrgb"

    def test_the_region_is_cut_from_the_turned_picture(self) -> None:
        """The upper right quarter of a picture turned by 90 degrees is the blue one, in either size."""
        camera = started(FakePicamera2(quarters()), rotation=90, region=(0.5, 0.0, 0.5, 0.5))
        frame = camera.read(0, PATIENCE_S)
        camera.close()
        assert (frame.full.shape, frame.pixels.shape) == ((640, 480, 3), (320, 240, 3))
        assert frame.full.reshape(-1, 3).min(axis=0).tolist() == [200, 20, 20]


class TestExposure:
    @pytest.mark.parametrize("searching", [{"AeState": 1}, {"AeLocked": False}], ids=["AeState", "AeLocked"])
    @pytest.mark.parametrize("settled", [{"AeState": 2}, {"AeState": 0}, {"AeLocked": True}])
    def test_frames_count_once_the_camera_says_that_its_exposure_has_settled(
        self, searching: dict[str, Any], settled: dict[str, Any]
    ) -> None:
        """The first four are searched with, the fifth is the first frame."""
        driver = FakePicamera2(
            lambda number: picture(number, FULL), pictures=5, metadata=lambda n: settled if n > 4 else searching
        )
        camera = started(driver, settle_s=1.5)
        frame = camera.read(0, PATIENCE_S)
        camera.close()
        assert (frame.sequence, int(frame.full[0, 0, 0])) == (1, 5)

    def test_without_a_word_of_the_camera_the_brightness_must_stand_still(self) -> None:
        """A ramp is waited out: the third frame of nearly one brightness is the first that counts."""
        shades = [20, 60, 90, 110, 120, 121, 121]
        driver = FakePicamera2(lambda number: picture(shades[number - 1], FULL), pictures=len(shades))
        camera = started(driver, settle_s=1.5)
        frame = camera.read(0, PATIENCE_S)
        camera.close()
        assert (frame.sequence, int(frame.full[0, 0, 0])) == (1, 121)
        assert driver.captured == 7

    def test_a_black_picture_is_not_taken_for_a_settled_one(self) -> None:
        """A camera that has not begun to see gives nothing but black."""
        shades = [0, 0, 0, 0, 0, 90, 90, 90]
        driver = FakePicamera2(lambda number: picture(shades[number - 1], FULL), pictures=len(shades))
        camera = started(driver, settle_s=1.5)
        frame = camera.read(0, PATIENCE_S)
        camera.close()
        assert int(frame.full[0, 0, 0]) == 90

    def test_an_exposure_that_never_settles_is_not_waited_for_longer_than_that(self) -> None:
        """A flickering lamp must not keep the door shut."""
        driver = FakePicamera2(quarters(), metadata=lambda _: {"AeState": 1})
        camera = started(driver, settle_s=1.5, clock=FakeClock(tick_s=0.05), stall_s=1000.0)
        assert camera.read(0, PATIENCE_S).sequence >= 1
        camera.close()
        assert driver.captured > 3


class TestTrouble:
    def test_a_camera_that_stalls_is_closed_and_opened_again(self) -> None:
        """No picture within the bound: the reader is told, and the camera opened anew gives the next frame."""
        clock = FakeClock()
        stuck = FakePicamera2(quarters(), pictures=1)
        camera = started(stuck, CameraUnavailable("unplugged"), FakePicamera2(quarters()), clock=clock, retry_s=(0.05,))
        first = camera.read(0, PATIENCE_S).sequence
        stuck.await_waits(3)
        assert not stuck.closed.is_set()
        clock.advance(5.1)
        assert stuck.closed.wait(PATIENCE_S)
        assert until(camera, first).sequence > first
        camera.close()

    def test_a_stall_is_told_with_the_fix(self) -> None:
        """Most often a cable is loose."""
        clock = FakeClock()
        stuck = FakePicamera2(quarters(), pictures=1)
        camera = started(stuck, clock=clock, retry_s=(PATIENCE_S,))
        stuck.await_waits(3)
        clock.advance(5.1)
        assert "gave no picture for 5 s: check the ribbon cable" in trouble(camera, "ribbon")
        camera.close()

    def test_a_frame_of_before_the_trouble_is_nobodys(self) -> None:
        """Who was seen last must not be seen again when the camera is gone."""

        def unplugged(_: float | None) -> None:
            raise RuntimeError("Camera frontend has timed out")

        camera = started(FakePicamera2(quarters(), pictures=1, then=unplugged), retry_s=(PATIENCE_S,))
        assert "went away (Camera frontend has timed out)" in trouble(camera, "went away")
        with pytest.raises(CameraUnavailable):
            camera.read(0, 0.0)
        camera.close()

    def test_a_frame_that_has_grown_old_is_nobodys(self) -> None:
        """A camera that is about to stall gives what it saw for two seconds, no longer."""
        clock = FakeClock()
        stuck = FakePicamera2(quarters(), pictures=1)
        camera = started(stuck, clock=clock)
        clock.advance(1.9)
        assert camera.read(0, 0.0).sequence == 1
        clock.advance(0.2)
        with pytest.raises(CameraTimedOut):
            camera.read(0, 0.0)
        camera.close()

    def test_a_thread_that_never_comes_back_is_left_behind(self) -> None:
        """The driver hangs in a capture: another thread opens the camera again and goes on."""
        clock = FakeClock()
        hangs = Blocker()
        stuck = FakePicamera2(quarters(), pictures=1, then=hangs)
        camera = started(stuck, FakePicamera2(quarters()), clock=clock, stall_s=5.0)
        first = camera.read(0, PATIENCE_S).sequence
        hangs.await_begin()
        clock.advance(10.1)
        camera.prepare()
        assert until(camera, first).sequence > first
        hangs.let_go.set()
        assert stuck.closed.wait(PATIENCE_S)
        camera.close()

    def test_only_so_many_threads_are_left_behind(self) -> None:
        """A driver that hangs each time is not asked for ever, and the reader is told what to do."""
        clock = FakeClock()
        hangs = Blocker()
        opener = FakeCameras(FakePicamera2(quarters(), pictures=1, then=hangs), hangs)
        camera = PicameraCamera(
            0, FULL, clock, opener=opener, settle_s=0.0, retry_s=(0.01,), open_s=PATIENCE_S, close_s=0.01
        )
        camera.start()
        for _ in range(MOST_LEFT):
            hangs.await_begin()
            clock.advance(PATIENCE_S + 0.1)
            camera.prepare()
        assert "its driver hangs" in trouble(camera, "driver hangs")
        assert len(opener.opened) == MOST_LEFT
        camera.close()
        hangs.let_go.set()

    def test_close_does_not_wait_for_a_capture_that_nothing_comes_of(self) -> None:
        """Closing ends the reader, and the driver is let go of, though it gave no picture."""
        stuck = FakePicamera2(quarters(), pictures=1)
        camera = started(stuck)
        stuck.await_waits(2)
        camera.close()
        camera.close()
        assert stuck.closed.is_set()
        with pytest.raises(CameraUnavailable, match="not running"):
            camera.read(0, 0.0)

    def test_a_missing_camera_fails_at_the_start(self) -> None:
        """The opener's words are the error's."""
        with pytest.raises(CameraUnavailable, match="no camera is there"):
            started(CameraUnavailable("picamera 0: no camera is there"))

    def test_a_configuration_that_is_refused_is_told_and_the_camera_released(self) -> None:
        """Neither two streams nor one."""
        driver = FakePicamera2(quarters(), refuses=frozenset({"main"}))
        with pytest.raises(CameraUnavailable, match="cannot be configured: Invalid camera configuration"):
            started(driver)
        assert driver.closed.is_set()


class TestSleep:
    def test_an_unused_camera_sleeps_and_wakes_for_a_reader(self) -> None:
        """After the time without use it is closed; the next read opens it again."""
        clock = FakeClock()
        first, second = FakePicamera2(quarters()), FakePicamera2(quarters())
        camera = started(first, second, clock=clock, sleep_after_s=30.0)
        last = camera.read(0, PATIENCE_S).sequence
        clock.advance(30.1)
        assert first.closed.wait(PATIENCE_S)
        assert camera.read(last, PATIENCE_S).sequence > last
        assert second.started
        camera.close()

    def test_a_camera_in_use_stays_awake(self) -> None:
        """Someone near, or a reader, now and then is use enough."""
        clock = FakeClock()
        driver = FakePicamera2(quarters())
        camera = started(driver, clock=clock, sleep_after_s=30.0, stall_s=1000.0)
        for _ in range(4):
            camera.prepare()
            clock.advance(20.0)
            camera.read(camera.read(0, PATIENCE_S).sequence, PATIENCE_S)
        assert not driver.closed.is_set()
        camera.close()

    def test_someone_near_wakes_it_ahead_of_the_reader(self) -> None:
        """Opening takes a second or two: prepare begins it."""
        clock = FakeClock()
        first = FakePicamera2(quarters())
        opener = FakeCameras(first, FakePicamera2(quarters()))
        camera = PicameraCamera(0, FULL, clock, opener=opener, settle_s=0.0, sleep_after_s=5.0, retry_s=(0.01,))
        camera.start()
        clock.advance(5.1)
        assert first.closed.wait(PATIENCE_S)
        camera.prepare()
        opener.await_opened(2)
        camera.close()

    def test_an_old_frame_is_not_given_after_the_sleep(self) -> None:
        """Who stood there before the sleep is gone: a camera that does not wake up gives nobody."""
        clock = FakeClock()
        first = FakePicamera2(quarters())
        camera = started(first, FakePicamera2(quarters(), pictures=0), clock=clock, sleep_after_s=30.0)
        clock.advance(30.1)
        assert first.closed.wait(PATIENCE_S)
        clock.advance(2.1)
        with pytest.raises(CameraTimedOut):
            camera.read(0, 0.05)
        camera.close()

    def test_a_camera_that_may_not_sleep_never_does(self) -> None:
        """0 is the default: a press finds a camera that runs."""
        clock = FakeClock()
        driver = FakePicamera2(quarters())
        camera = started(driver, clock=clock, stall_s=10.0**9)
        clock.advance(10**6)
        camera.read(0, PATIENCE_S)
        assert not driver.closed.is_set()
        camera.close()


class TestOpening:
    """The real opener, in a process of its own in which picamera2 is what the test writes."""

    def opened(self, tmp_path: Path, module: str) -> list[str]:
        (tmp_path / "picamera2.py").write_text(dedent(module), encoding="utf-8")
        program = dedent("""
            import os
            from smileaccess.cameras.picamera import open_picamera
            from smileaccess.errors import CameraUnavailable
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(3):
                try:
                    print(open_picamera(0).number)
                except CameraUnavailable as error:
                    print(error)
            print(len(os.listdir("/proc/self/fd")) - before)
        """)
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": f"{tmp_path}:{Path(__file__).parent.parent}"},
        )
        assert done.stderr == ""
        return done.stdout.splitlines()

    CAMERA = """
        import atexit, os
        class Picamera2:
            @staticmethod
            def global_camera_info():
                return [{{"Num": 0}}] * {there}
            def __init__(self, number):
                self.notifyme_r, self.notifyme_w = os.pipe2(os.O_NONBLOCK)
                self.file = os.fdopen(self.notifyme_r, "rb")
                {fails}
                self.number = number
                atexit.register(self.close)
            def close(self):
                print("closed at exit")
    """

    def test_a_camera_is_opened_and_not_waited_for_at_the_end_of_the_process(self, tmp_path: Path) -> None:
        """What picamera2 would do at exit may wait for ever."""
        lines = self.opened(tmp_path, self.CAMERA.format(there=1, fails="pass"))
        assert lines[:3] == ["0", "0", "0"]
        assert "closed at exit" not in lines

    def test_a_missing_package_is_told_with_the_fix(self, tmp_path: Path) -> None:
        """As on any machine that is no Raspberry Pi."""
        lines = self.opened(tmp_path, 'raise ModuleNotFoundError("No module named picamera2")')
        assert lines[0].startswith("picamera 0: picamera2 cannot be imported (No module named picamera2): install")

    def test_a_package_that_does_not_fit_numpy_is_told(self, tmp_path: Path) -> None:
        """As when another numpy hides the system's."""
        lines = self.opened(tmp_path, 'raise ValueError("numpy.dtype size changed")')
        assert "cannot be imported (numpy.dtype size changed)" in lines[0]

    def test_no_camera_is_told_with_the_fix(self, tmp_path: Path) -> None:
        """A loose cable is the usual cause."""
        lines = self.opened(tmp_path, self.CAMERA.format(there=0, fails="pass"))
        assert lines[0].startswith("picamera 0: no camera is there: check the ribbon cable and its contacts")

    def test_a_busy_camera_is_told_with_the_fix_and_leaves_nothing_open(self, tmp_path: Path) -> None:
        """A door that tries again every few seconds must not run out of files by it."""
        fails = (
            'raise RuntimeError("Camera __init__ sequence did not complete.") from RuntimeError("Failed to acquire")'
        )
        lines = self.opened(tmp_path, self.CAMERA.format(there=1, fails=fails))
        assert lines[0].startswith("picamera 0: another process has it (Failed to acquire): stop that one")
        assert lines[3] == "0"

    def test_this_machine_has_no_picamera2(self) -> None:
        """The tests' own environment: the real import fails, and says so."""
        with pytest.raises(CameraUnavailable, match=r"picamera2 cannot be imported"):
            open_picamera(0)


def test_the_pictures_of_a_real_encoder_are_read() -> None:
    """I420 of OpenCV's own conversion comes back within a shade."""
    scene = cv2.GaussianBlur(quarters(), (31, 31), 0)
    camera = started(FakePicamera2(scene, gives=gives(main=("YUV420", SMALL, 640))), size=SMALL, detect_width=0)
    frame = camera.read(0, PATIENCE_S)
    camera.close()
    small = cv2.resize(scene, SMALL, interpolation=cv2.INTER_AREA)
    assert np.abs(frame.pixels.astype(int) - small).mean() < 3
