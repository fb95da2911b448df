"""Tests of the folder that something else fills with pictures: real files, and the real reader of pictures."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Condition

import cv2
import numpy as np
import pytest
from structlog.testing import capture_logs

from smileaccess.cameras.folder import FolderCamera, FolderSource
from smileaccess.errors import CameraError, CameraTimedOut, CameraUnavailable
from smileaccess.vision.pictures import load_picture
from tests.fakes_devices import PATIENCE_S, FakeClock, picture


class Bell:
    """What a new picture rings; a test waits for it."""

    def __init__(self) -> None:
        self.rung = 0
        self.changed = Condition()

    def __call__(self) -> None:
        with self.changed:
            self.rung += 1
            self.changed.notify_all()

    def await_rung(self, number: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.rung >= number, PATIENCE_S)


class Never:
    """An Event that is never set and never waits, so that a look follows a look at once."""

    def wait(self, _: float) -> bool:
        return False

    def is_set(self) -> bool:
        return False


def png(shade: int) -> bytes:
    return bytes(cv2.imencode(".png", picture(shade, (64, 48)))[1])


def put(path: Path, shade: int) -> Path:
    path.write_bytes(png(shade))
    return path


def source(path: Path, bell: Bell | None = None) -> FolderSource:
    return FolderSource(path, load_picture, FakeClock(), bell or Bell(), 0.0)


def looks(made: FolderSource, times: int) -> list[int]:
    """Return the shades of the pictures that so many looks find."""
    shots = [made.next(Never()) for _ in range(times)]  # type: ignore[arg-type]
    return [int(shot.pixels[0, 0, 0]) for shot in shots if shot is not None]


class TestNewPictures:
    def test_a_new_picture_is_seen_when_two_looks_found_it_the_same(self, tmp_path: Path) -> None:
        """The first look may find it half written."""
        made = source(tmp_path)
        put(tmp_path / "one.png", 7)
        assert looks(made, 1) == []
        assert looks(made, 1) == [7]
        assert looks(made, 3) == []

    def test_a_picture_that_is_still_written_is_waited_for(self, tmp_path: Path) -> None:
        """As long as it grows from look to look, nobody reads it."""
        made = source(tmp_path)
        content = png(9)
        for length in (20, 40, 60, len(content)):
            (tmp_path / "slow.png").write_bytes(content[:length])
            assert looks(made, 1) == []
        assert looks(made, 1) == [9]

    def test_a_picture_that_was_there_at_the_start_is_no_news(self, tmp_path: Path) -> None:
        """A restart of the door must not start attempts for the pictures of last week."""
        put(tmp_path / "old.png", 5)
        bell = Bell()
        assert looks(source(tmp_path, bell), 4) == []
        assert bell.rung == 0

    def test_a_picture_renamed_into_place_is_seen(self, tmp_path: Path) -> None:
        """As careful programs put files down, under a hidden name first."""
        made = source(tmp_path)
        hidden = put(tmp_path / ".one.png", 7)
        assert looks(made, 3) == []
        hidden.rename(tmp_path / "one.png")
        assert looks(made, 2) == [7]

    def test_a_picture_that_is_written_over_is_a_new_one(self, tmp_path: Path) -> None:
        """Some cameras keep one name for the latest picture."""
        put(tmp_path / "latest.png", 5)
        made = source(tmp_path)
        os.utime(put(tmp_path / "latest.png", 6), ns=(1, 1))
        assert looks(made, 2) == [6]

    def test_pictures_are_seen_in_the_order_of_their_times(self, tmp_path: Path) -> None:
        """Not of their names."""
        made = source(tmp_path)
        for name, at in (("c", 1), ("a", 2), ("b", 3)):
            os.utime(put(tmp_path / f"{name}.png", at), ns=(at, at))
        assert looks(made, 5) == [1, 2, 3]

    def test_of_many_at_once_the_newest_few_are_read(self, tmp_path: Path) -> None:
        """A hundred pictures copied into the folder do not keep the door busy for minutes."""
        made = source(tmp_path)
        for at in range(1, 10):
            os.utime(put(tmp_path / f"{at}.png", at), ns=(at, at))
        assert looks(made, 20) == [5, 6, 7, 8, 9]

    def test_what_is_no_picture_file_is_passed_over(self, tmp_path: Path) -> None:
        """By its name, or because it is a folder."""
        made = source(tmp_path)
        (tmp_path / "notes.txt").write_text("hello")
        (tmp_path / "sub.png").mkdir()
        with capture_logs() as logs:
            assert looks(made, 3) == []
        assert logs == []

    def test_a_broken_picture_is_passed_over_and_told_once(self, tmp_path: Path) -> None:
        """Half a file, or none at all; the next one is seen, and nothing is deleted."""
        made = source(tmp_path)
        (tmp_path / "broken.png").write_bytes(png(7)[:30])
        with capture_logs() as logs:
            assert looks(made, 4) == []
            put(tmp_path / "whole.png", 8)
            assert looks(made, 4) == [8]
        assert [(line["log_level"], str(tmp_path / "broken.png") in line["error"]) for line in logs] == [
            ("warning", True)
        ]
        assert (tmp_path / "broken.png").exists()

    def test_a_broken_picture_that_is_mended_is_seen(self, tmp_path: Path) -> None:
        """A transfer that paused and went on."""
        made = source(tmp_path)
        (tmp_path / "one.png").write_bytes(png(7)[:30])
        with capture_logs():
            assert looks(made, 3) == []
        put(tmp_path / "one.png", 7)
        assert looks(made, 2) == [7]

    def test_a_picture_that_vanishes_is_no_trouble(self, tmp_path: Path) -> None:
        """Whoever fills the folder may empty it, at any moment; the same name may come again."""
        made = source(tmp_path)
        one = put(tmp_path / "one.png", 7)
        looks(made, 1)
        one.unlink()
        assert looks(made, 2) == []
        put(one, 8)
        assert looks(made, 2) == [8]

    def test_a_folder_with_too_many_pictures_is_refused(self, tmp_path: Path) -> None:
        """Before its looks take all the time there is; just as many are no trouble."""
        made = FolderSource(tmp_path, load_picture, FakeClock(), Bell(), 0.0, most_files=3)
        for number in range(3):
            (tmp_path / f"{number}.png").touch()
        looks(made, 1)
        (tmp_path / "3.png").touch()
        with pytest.raises(CameraUnavailable, match="holds more than 3 pictures: move old ones"):
            looks(made, 1)


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def camera(tmp_path: Path, bell: Bell, clock: FakeClock) -> Iterator[FolderCamera]:
    made = FolderCamera(
        tmp_path / "in", load_picture, clock, on_picture=bell, poll_s=0.01, stall_s=10.0**9, retry_s=(0.01,)
    )
    (tmp_path / "in").mkdir()
    yield made
    made.close()


class TestCamera:
    def test_a_new_picture_is_a_frame_and_a_trigger(self, tmp_path: Path, camera: FolderCamera, bell: Bell) -> None:
        """One of each."""
        camera.start()
        put(tmp_path / "in" / "one.png", 7)
        bell.await_rung(1)
        frame = camera.read(0, 0.0)
        assert (int(frame.pixels[0, 0, 0]), frame.pixels.shape) == (7, (48, 64, 3))
        put(tmp_path / "in" / "two.png", 8)
        bell.await_rung(2)
        assert int(camera.read(frame.sequence, 0.0).pixels[0, 0, 0]) == 8
        assert bell.rung == 2

    def test_a_picture_is_seen_again_while_it_is_fresh(self, tmp_path: Path, camera: FolderCamera, bell: Bell) -> None:
        """A recognizer that wants two frames gets them of one picture; it rings once."""
        camera.start()
        put(tmp_path / "in" / "one.png", 1)
        first = camera.read(0, PATIENCE_S)
        again = camera.read(first.sequence, PATIENCE_S)
        assert again.sequence > first.sequence
        assert (again.pixels == first.pixels).all()
        bell.await_rung(1)
        assert bell.rung == 1

    def test_whoever_is_told_of_a_picture_finds_it(self, tmp_path: Path, clock: FakeClock) -> None:
        """An attempt must not begin with the picture before."""
        found: list[int] = []
        bell = Bell()

        def look() -> None:
            found.append(int(made.read(0, 0.0).pixels[0, 0, 0]))
            bell()

        made = FolderCamera(tmp_path, load_picture, clock, on_picture=look, poll_s=0.01)
        made.start()
        for shade in (7, 8):
            put(tmp_path / f"{shade}.png", shade)
            bell.await_rung(shade - 6)
        made.close()
        assert found == [7, 8]

    def test_a_start_without_pictures_is_no_failure(self, camera: FolderCamera) -> None:
        """Nobody need stand before the door."""
        camera.start()
        with pytest.raises(CameraTimedOut):
            camera.read(0, 0.0)

    def test_an_old_picture_is_not_what_is_before_the_door(
        self, tmp_path: Path, camera: FolderCamera, bell: Bell, clock: FakeClock
    ) -> None:
        """A press long after the last picture waits for a new one."""
        camera.start()
        put(tmp_path / "in" / "one.png", 7)
        bell.await_rung(1)
        clock.advance(4.9)
        assert camera.read(0, 0.0).sequence == 1
        clock.advance(0.2)
        with pytest.raises(CameraTimedOut):
            camera.read(0, 0.0)

    def test_a_missing_folder_fails_at_the_start(self, tmp_path: Path, camera: FolderCamera) -> None:
        """With the setting to look at."""
        (tmp_path / "in").rmdir()
        with pytest.raises(CameraUnavailable, match=r"in: No such file or directory: \[camera\] path must be a folder"):
            camera.start()

    def test_a_folder_that_goes_away_and_comes_back(self, tmp_path: Path, camera: FolderCamera, bell: Bell) -> None:
        """Unavailable meanwhile; what lies in it when it is back is no news, what comes later is."""
        camera.start()
        (tmp_path / "in").rename(tmp_path / "away")
        assert told(camera, CameraUnavailable)
        put(tmp_path / "away" / "meanwhile.png", 5)
        (tmp_path / "away").rename(tmp_path / "in")
        assert told(camera, CameraTimedOut)
        put(tmp_path / "in" / "later.png", 6)
        bell.await_rung(1)
        assert int(camera.read(0, 0.0).pixels[0, 0, 0]) == 6

    def test_pictures_are_turned_and_cut(self, tmp_path: Path, bell: Bell, clock: FakeClock) -> None:
        """As with any other camera."""
        scene = np.zeros((40, 60, 3), np.uint8)
        scene[:20, :30] = 200
        made = FolderCamera(
            tmp_path, load_picture, clock, on_picture=bell, rotation=90, region=(0.5, 0.0, 0.5, 0.5), poll_s=0.01
        )
        made.start()
        cv2.imwrite(str(tmp_path / "one.png"), scene)
        bell.await_rung(1)
        frame = made.read(0, 0.0)
        made.close()
        assert (frame.pixels.shape, int(frame.pixels.min())) == ((30, 20, 3), 200)

    def test_nothing_is_seen_after_close(self, camera: FolderCamera) -> None:
        """And the thread is gone."""
        camera.start()
        camera.close()
        with pytest.raises(CameraUnavailable, match="not running"):
            camera.read(0, 0.0)


def told(camera: FolderCamera, wanted: type[CameraError]) -> bool:
    """Read until that is what a reader is told."""
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        try:
            camera.read(0, 0.01)
        except CameraError as error:
            if isinstance(error, wanted):
                return True
    return False
