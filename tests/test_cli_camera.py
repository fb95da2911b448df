"""`smileaccess camera test` on folders of real photographs: what it says, what it writes, and its exit codes."""

from __future__ import annotations

import socket
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from smileaccess.cli.camera import ADVICE, Seen, advice, watched
from smileaccess.cli.sketch import FINE, POOR, sketched
from smileaccess.errors import CameraTimedOut, CameraUnavailable
from smileaccess.model import Box, Frame, Reason, Sight
from smileaccess.settings import Settings, parse
from smileaccess.vision.eyes import LocalEyes
from tests.builders import make_face, make_quality
from tests.fakes_devices import FakeCamera, FakeClock, picture
from tests.fakes_vision import FakeVision, Painted, painting
from tests.house import House, Result
from tests.portraits import portrait


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def looked(house: House, *pictures: Any, kind: str = "reel", arguments: tuple[str | Path, ...] = ()) -> Result:
    """Run `camera test` over a folder of these pictures."""
    folder = house.folder / "pictures"
    folder.mkdir()
    for number, pixels in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
    more = f'[camera]\nkind = "{kind}"\npath = "{folder}"\n[liveness]\nmode = "smile"\n'
    house.config.write_text(house.config.read_text() + more)
    return house.run("camera", "test", "--seconds", "0.3", *arguments)


class TestCommand:
    def test_a_face_that_is_seen_well_is_success(self, house: House) -> None:
        """It says what the camera gives, and how well the face is seen."""
        result = looked(house, portrait("obama-neutral"))
        assert result.code == 0, result.out
        assert "640x480" in result.out
        assert "largest face" in result.out
        assert "nothing to improve" in result.out

    def test_a_face_too_far_away_is_told_with_the_fix(self, house: House) -> None:
        """Nobody at the door would be let in."""
        result = looked(house, portrait("obama-neutral", scale=0.3))
        assert result.code == 1
        assert "too_far" in result.out
        assert ADVICE[Reason.TOO_FAR] in result.out

    @pytest.mark.parametrize(("shade", "reason"), [(90, Reason.NO_FACE), (3, Reason.TOO_DARK)])
    def test_a_view_without_a_face_is_told(self, house: House, shade: int, reason: Reason) -> None:
        """Whether it is empty or dark."""
        result = looked(house, picture(shade), arguments=("--json",))
        told = result.json()
        assert result.code == 1
        assert list(told["frames_refused"]) == [reason]
        assert told["advice"] == [ADVICE[reason]]
        assert (told["faces"], told["face"]) == (0, None)

    def test_json_holds_the_measures(self, house: House) -> None:
        """For programs, nothing else on standard output."""
        result = looked(house, portrait("obama-neutral"), arguments=("--json",))
        told = result.json()
        assert (told["kind"], told["width"], told["height"], told["faces"]) == ("reel", 640, 480, 1)
        assert told["frames_seen_well"] >= 1
        assert told["frames_refused"] == {}
        assert told["face"]["size_px"] > 60
        assert told["fps"] <= 16

    def test_a_photo_is_written_for_its_owner_alone(self, house: House) -> None:
        """With the face's frame drawn in, and a word on what it is."""
        photo = house.folder / "seen.png"
        result = looked(house, portrait("obama-neutral"), arguments=("--photo", photo))
        assert result.code == 0
        assert stat.S_IMODE(photo.stat().st_mode) == 0o600
        assert "shows people" in result.out
        seen = cv2.imread(str(photo))
        assert (seen == FINE).all(axis=2).sum() > 100

    def test_a_photo_that_lay_open_is_closed_to_others(self, house: House) -> None:
        """Writing over a file that others may read must not show them people."""
        photo = house.folder / "seen.jpg"
        photo.write_bytes(b"before")
        photo.chmod(0o644)
        looked(house, picture(90), arguments=("--photo", photo))
        assert stat.S_IMODE(photo.stat().st_mode) == 0o600
        assert photo.read_bytes()[:2] == b"\xff\xd8"

    def test_no_photo_is_written_unless_it_is_asked_for(self, house: House) -> None:
        """Pictures of people are not left behind."""
        before = {"pictures", *(each.name for each in house.folder.iterdir())}
        looked(house, portrait("obama-neutral"))
        assert {each.name for each in house.folder.iterdir()} == before

    def test_a_photo_in_another_form_is_wrong_usage(self, house: House) -> None:
        """Before the camera is opened."""
        result = looked(house, arguments=("--photo", "seen.gif"))
        assert result.code == 2
        assert ".jpg, .jpeg, .png" in result.err

    def test_a_photo_that_cannot_be_written_is_told(self, house: House) -> None:
        """With its name."""
        result = looked(house, picture(90), arguments=("--photo", house.folder / "none" / "seen.jpg"))
        assert result.code == 1
        assert "seen.jpg: No such file or directory" in result.err

    def test_a_camera_that_cannot_be_opened_is_told(self, house: House) -> None:
        """As one line."""
        result = looked(house)
        assert result.code == 1
        assert "no picture" in result.err

    def test_a_folder_that_nobody_fills_is_told(self, house: House) -> None:
        """What lay in it before does not count."""
        result = looked(house, portrait("obama-neutral"), kind="folder")
        assert result.code == 1
        assert "put a new picture into the folder" in result.err

    def test_a_running_door_keeps_its_camera(self, house: House) -> None:
        """Two programs cannot have one camera: it says who has it, and what else there is."""
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(house.folder / "control.sock"))
            listening.listen()
            result = looked(house, picture(90))
        assert result.code == 1
        assert "the running door has it: stop that first" in result.err
        assert "smileaccess doctor" in result.err


class Ticking(FakeClock):
    """A clock on which every look takes a moment, so that watching ends."""

    def __init__(self) -> None:
        super().__init__(tick_s=0.1)


class TestWatching:
    def test_the_rate_is_the_cameras_own(self) -> None:
        """Eyes that are slower than the camera skip frames; their numbers tell."""
        frames = [Frame(painting(), number, 1000.0 + number / 10) for number in (1, 4, 7, 10)]
        camera = FakeCamera(frames)
        camera.start()
        seen = watched(camera, FakeVision(), Ticking(), Settings(), 3.0)
        assert (seen.count, round(seen.fps, 6)) == (10, 10.0)

    def test_a_camera_that_gives_nothing_is_unavailable(self) -> None:
        """Rather than a report about nothing."""
        camera = FakeCamera()
        camera.start()
        with pytest.raises(CameraUnavailable, match="no frame came within 1 s"):
            watched(camera, FakeVision(), Ticking(), Settings(), 1.0)

    def test_a_camera_that_goes_away_is_told(self) -> None:
        """In its own words."""
        camera = FakeCamera()
        camera.start()
        camera.error = CameraUnavailable("webcam: unplugged")
        with pytest.raises(CameraUnavailable, match="unplugged"):
            watched(camera, FakeVision(), Ticking(), Settings(), 1.0)

    def test_a_pause_is_waited_out(self) -> None:
        """A frame that comes late is still a frame."""

        class Slow(FakeCamera):
            def read(self, after: int, timeout_s: float) -> Frame:
                self.waits = getattr(self, "waits", 0) + 1
                if self.waits < 3:
                    raise CameraTimedOut("slow")
                return super().read(after, timeout_s)

        camera = Slow([Frame(painting(Painted(1)), 1, 1000.0)])
        camera.start()
        assert watched(camera, FakeVision(), Ticking(), Settings(), 3.0).count == 1

    def test_the_frame_worth_looking_at_is_kept(self) -> None:
        """A clear one before one with a hindrance, that before an empty one; the newest of equals."""
        seen = Seen()
        sights = [
            Sight(Frame(painting(), number, 0.0), (make_face(),) if number < 4 else (), 50.0) for number in range(1, 6)
        ]
        for sight, reason in zip(sights, [Reason.TOO_FAR, None, None, Reason.NO_FACE, Reason.NO_FACE], strict=True):
            seen.add(sight, reason)
        assert seen.best is sights[2]
        assert (seen.fine, seen.reasons) == (2, Counter({Reason.NO_FACE: 2, Reason.TOO_FAR: 1}))


def seen_with(*, top: float = 0.35, brightness: float = 60.0, sharpness: float = 60.0, size_px: float = 120.0) -> Seen:
    """Return what was seen where every frame was good enough, and the last one had this face."""
    quality = make_quality(brightness=brightness, sharpness=sharpness, size_px=size_px)
    face = make_face(box=Box(0.4, top, 0.2, 0.3), quality=quality)
    seen = Seen(count=10, took_s=0.6)
    seen.add(Sight(Frame(painting(), 1, 0.0), (face,), 50.0), None)
    return seen


class TestAdvice:
    def test_where_all_is_well_there_is_none(self) -> None:
        """A good face in the middle."""
        assert advice(seen_with(), Settings()) == []

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"size_px": 70.0}, "distance: the face has 70 pixels, little more than the 60 needed"),
            ({"brightness": 17.0}, "light: the face is nearly too dark"),
            ({"brightness": 22.0}, "light: it comes from behind the person"),
            ({"brightness": 90.0}, "light: the face is washed out"),
            ({"sharpness": 22.0}, "focus: the face is nearly too blurred"),
            ({"top": 0.02}, "height: the face is at the upper edge"),
            ({"top": 0.68}, "height: the face is at the lower edge"),
        ],
    )
    def test_what_is_near_a_limit_is_told(self, changes: dict[str, float], words: str) -> None:
        """Before it becomes a refusal."""
        assert any(each.startswith(words) for each in advice(seen_with(**changes), Settings()))

    def test_too_few_frames_are_told(self) -> None:
        """But not of a folder, whose pictures come when they come."""
        seen = seen_with()
        seen.took_s = 9.0
        assert advice(seen, Settings())[0].startswith("rate: 1.0 frames a second")
        assert advice(seen, parse('[camera]\nkind = "folder"\npath = "x"\n[liveness]\nmode = "off"')) == []

    def test_the_most_frequent_reason_goes_first_and_a_rare_one_is_none(self) -> None:
        """Of a hundred frames two without a face mean somebody came late."""
        seen = seen_with()
        seen.reasons.update({Reason.TOO_DARK: 20, Reason.TOO_FAR: 77, Reason.NO_FACE: 2})
        assert advice(seen, Settings()) == [ADVICE[Reason.TOO_FAR], ADVICE[Reason.TOO_DARK]]


class TestSketch:
    def test_every_face_is_framed_and_the_frame_itself_left_as_it_was(self, eyes: LocalEyes) -> None:
        """In the full view, in the color of the verdict."""
        full = cv2.resize(portrait("obama-neutral"), (1280, 960))
        before = full.copy()
        eyes.reset()
        sight = eyes.look(Frame(portrait("obama-neutral"), 1, 0.0, full))
        eyes.reset()
        drawn = sketched(sight, "would be refused: too_far", fine=False)
        assert drawn.shape == (960, 1280, 3)
        assert np.array_equal(full, before)
        box = sight.faces[0].box
        x, y = round(box.left * 1280), round(box.center[1] * 960)
        assert drawn[y, x].tolist() == list(POOR)

    @pytest.mark.parametrize("box", [Box(-0.1, -0.1, 0.5, 0.5), Box(0.8, 0.8, 0.5, 0.5), Box(0.0, 0.0, 1.0, 1.0)])
    def test_a_face_beyond_the_edge_is_drawn_as_far_as_it_goes(self, box: Box) -> None:
        """Also where its measures would stand outside of the picture, or the picture is tiny."""
        for size in ((480, 640, 3), (48, 64, 3)):
            sight = Sight(Frame(np.zeros(size, np.uint8), 1, 0.0), (make_face(box=box),), 10.0)
            assert sketched(sight, "seen well", fine=True).any()
