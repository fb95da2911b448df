"""Tests of the cameras that show made pictures."""

from itertools import pairwise
from threading import Thread

import numpy as np
import pytest

from smileaccess.cameras.reel import CaptureCamera, FolderClip, ReelCamera, StillsCamera, letterbox
from smileaccess.errors import CameraTimedOut, CameraUnavailable, PictureError
from tests.fakes_devices import PATIENCE_S, FakeClock, picture


class NotedClip:
    """A clip that puts down for which moments it was asked."""

    def __init__(self) -> None:
        self.moments = []

        self.calmed = []

    def picture(self, elapsed_s, since_cue_s, since_calm_s=None):
        self.moments.append((round(elapsed_s, 6), None if since_cue_s is None else round(since_cue_s, 6)))
        self.calmed.append(None if since_calm_s is None else round(since_calm_s, 6))
        return picture(len(self.moments))


class GoneClip:
    """A clip whose pictures cannot be had."""

    def picture(self, elapsed_s, since_cue_s, since_calm_s=None):  # noqa: ARG002 -- there is none for any moment
        raise CameraUnavailable("reel: gone")


def started(clip=None, *, fps=10.0, tick_s=0.0):
    clock = FakeClock(tick_s=tick_s)
    camera = ReelCamera(clip or NotedClip(), clock, fps)
    camera.start()
    return camera, clock


def test_sequence_and_time_follow_the_clock():
    """At 10 frames a second the 26th frame is due, and was captured, 2.5 s after the start."""
    camera, clock = started()
    assert (camera.read(0, 1.0).sequence, camera.read(0, 1.0).captured_at) == (1, 1000.0)
    clock.advance(2.58)
    frame = camera.read(1, 1.0)
    assert (frame.sequence, frame.captured_at) == (26, 1002.5)


def test_every_exact_frame_time_gives_its_frame():
    """Rounding never gives a frame late: n / fps after the start the frame n + 1 is there."""
    camera, clock = started(fps=15.0)
    for number in range(400):
        clock.time = 1000.0 + number / 15.0
        assert camera.read(number, 0.0).sequence == number + 1


def test_the_clip_is_asked_for_the_frame_s_own_moment():
    """What is drawn is the moment of the frame, not of the call."""
    clip = NotedClip()
    camera, clock = started(clip)
    clock.advance(0.34)
    camera.read(1, 1.0)
    assert clip.moments == [(0.0, None), (0.3, None)]


def test_a_frame_is_drawn_once():
    """Reading the same frame again gives the same object, whoever asks."""
    clip = NotedClip()
    camera, _ = started(clip)
    assert camera.read(0, 1.0) is camera.read(0, 1.0)
    assert len(clip.moments) == 1


def test_a_cue_is_told_to_the_clip():
    """From the cue on, the clip is told how long ago it was."""
    clip = NotedClip()
    camera, clock = started(clip)
    clock.advance(1.0)
    camera.cue()
    clock.advance(0.5)
    camera.read(0, 1.0)
    assert clip.moments[-1] == (1.5, 0.5)


def test_the_clip_is_told_of_calm_after_a_smile():
    """Who has not been asked to smile cannot be asked to stop; being asked twice changes nothing."""
    clip = NotedClip()
    camera, clock = started(clip)
    camera.calm()
    for cue, after in ((camera.cue, 0.8), (camera.calm, 0.3), (camera.calm, 0.5), (camera.cue, 0.2)):
        cue()
        clock.advance(after)
        camera.read(0, 1.0)

    assert clip.calmed[1:] == [None, 0.3, 0.8, 1.0]
    assert [since for _, since in clip.moments][1:] == [0.8, 1.1, 1.6, 0.2]


def test_another_clip_begins_at_its_beginning_uncued():
    """After play, elapsed time and cue begin anew and frames go on counting."""
    first, second = NotedClip(), NotedClip()
    camera, clock = started(first)
    camera.cue()
    clock.advance(3.0)
    camera.play(second)
    clock.advance(0.2)
    assert camera.read(0, 1.0).sequence == 33
    assert second.moments == [(0.2, None)]


def test_a_frame_that_is_not_due_is_waited_for():
    """A read for the next frame returns when the clock has come to it."""
    camera, _ = started(tick_s=0.05)
    first = camera.read(0, 1.0)
    assert camera.read(first.sequence, 5.0).sequence > first.sequence


def test_waiting_ends_at_the_bound():
    """No frame of that number within the time: CameraTimedOut."""
    camera, _ = started(tick_s=0.05)
    with pytest.raises(CameraTimedOut, match="after number 1000 within"):
        camera.read(1000, 0.2)


def test_close_ends_a_read_under_way():
    """A thread that waits for a frame is told that the camera is gone."""
    camera, _ = started()
    errors = []

    def wait():
        try:
            camera.read(1000, 3600.0)
        except CameraUnavailable as error:
            errors.append(error)

    thread = Thread(target=wait)
    thread.start()
    camera.close()
    thread.join(PATIENCE_S)
    assert len(errors) == 1


def test_a_clip_without_pictures_fails_at_the_start():
    """Start raises, and the camera is not running afterward."""
    camera = ReelCamera(GoneClip(), FakeClock())
    with pytest.raises(CameraUnavailable, match="gone"):
        camera.start()
    with pytest.raises(CameraUnavailable, match="not running"):
        camera.read(0, 0.0)


def folder(tmp_path, *names):
    for name in names:
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def shade_by_name(path):
    """Stand in for the loader: 640 x 480 in the shade that the file's name says."""
    return picture(int(path.stem))


def test_a_folder_plays_in_the_order_of_names_and_over_again(tmp_path):
    """Three pictures at two a second: 1, 2, 3, 1; what is no picture is left out."""
    clip = FolderClip(folder(tmp_path, "2.png", "1.jpg", "3.JPEG", "notes.txt"), shade_by_name, fps=2.0)
    assert [int(clip.picture(at, None)[0, 0, 0]) for at in (0.0, 0.5, 1.0, 1.5)] == [1, 2, 3, 1]


def test_a_folder_s_picture_is_loaded_once_while_it_is_shown(tmp_path):
    """Frames within one picture's time do not read the file again."""
    loads = []
    clip = FolderClip(folder(tmp_path, "1.png"), lambda path: loads.append(path) or picture(1), fps=1.0)
    clip.picture(0.1, None)
    clip.picture(0.9, None)
    assert len(loads) == 1


@pytest.mark.parametrize("names", [(), ("notes.txt",)])
def test_a_folder_without_pictures_is_no_camera(tmp_path, names):
    """An empty folder is named in the error."""
    with pytest.raises(CameraUnavailable, match=f"{tmp_path}: no picture"):
        FolderClip(folder(tmp_path, *names), shade_by_name).picture(0.0, None)


def test_a_missing_folder_is_no_camera(tmp_path):
    """A folder that is not there is named in the error."""
    with pytest.raises(CameraUnavailable, match="No such file"):
        FolderClip(tmp_path / "none", shade_by_name).picture(0.0, None)


def test_a_broken_picture_is_no_camera(tmp_path):
    """What the loader says about the file is passed on as the camera's error."""

    def refuse(path):
        raise PictureError(f"{path.name}: truncated")

    with pytest.raises(CameraUnavailable, match=r"1\.png: truncated"):
        FolderClip(folder(tmp_path, "1.png"), refuse).picture(0.0, None)


def test_letterbox_keeps_the_shape_of_what_is_shown():
    """A square picture fills the height of 480 and leaves 80 columns black on either side."""
    boxed = letterbox(picture(200, (100, 100)))
    assert boxed.shape == (480, 640, 3)
    assert boxed[:, :80].max() == boxed[:, 560:].max() == 0
    assert boxed[:, 80:560].min() == 200


def test_letterbox_leaves_a_fitting_picture_alone():
    """A picture of the right size is not copied."""
    fitting = picture(7)
    assert letterbox(fitting) is fitting


def stills(*shades, hold_s=1.0, fps=4.0):
    clock = FakeClock()
    camera = StillsCamera([picture(shade) for shade in shades], clock, clock.advance, hold_s=hold_s, fps=fps)
    camera.start()
    return camera, clock


def test_stills_are_held_each_and_the_last_for_ever():
    """Two pictures a second each at four frames a second: 4 frames of the first, then the second without end."""
    camera, _ = stills(1, 2)
    shades, after = [], 0
    for _ in range(11):
        frame = camera.read(after, 1.0)
        after = frame.sequence
        shades.append(int(frame.pixels[0, 0, 0]))
    assert shades == [1] * 4 + [2] * 7


def test_stills_move_the_clock_to_the_next_frame():
    """A read costs exactly the time to the next frame, in virtual time only."""
    camera, clock = stills(1)
    camera.read(0, 1.0)
    assert clock.time == 1000.0
    frame = camera.read(1, 1.0)
    assert (clock.time, frame.sequence, frame.captured_at) == (1000.25, 2, 1000.25)


def test_stills_skip_what_is_over():
    """When the clock was moved by others, the newest frame is given."""
    camera, clock = stills(1)
    clock.advance(1.3)
    assert camera.read(1, 1.0).sequence == 6
    assert clock.time == 1001.3


def test_stills_time_out_in_virtual_time():
    """A frame that is due too late costs the whole timeout."""
    camera, clock = stills(1)
    with pytest.raises(CameraTimedOut):
        camera.read(5, 0.5)
    assert clock.time == 1000.5


def test_no_stills_are_no_camera():
    """Start needs a picture."""
    clock = FakeClock()
    with pytest.raises(CameraUnavailable, match="no picture"):
        StillsCamera([], clock, clock.advance).start()


def test_stills_of_any_size_come_as_the_camera_s():
    """A larger picture is scaled to 640 x 480."""
    clock = FakeClock()
    camera = StillsCamera([np.zeros((960, 1280, 3), np.uint8)], clock, clock.advance)
    camera.start()
    assert camera.read(0, 1.0).pixels.shape == (480, 640, 3)


def capture(frames, cue_at_s, cued_after, reads):
    """Return the shades that a capture of so many frames, ten a second, shows; the door cues after so many reads."""
    clock = FakeClock()
    pictures = [picture(shade) for shade in range(frames)]
    camera = CaptureCamera(pictures, clock, clock.advance, fps=10.0, cue_at_s=cue_at_s)
    camera.start()
    shades, after = [], 0
    for number in range(reads):
        if number == cued_after:
            camera.cue()
        frame = camera.read(after, 1.0)
        after = frame.sequence
        shades.append(int(frame.pixels[0, 0, 0]))
    return shades


def test_a_capture_without_its_cue_is_played_as_it_is():
    """Frame by frame, the last one for ever, whatever the door does."""
    assert capture(4, None, 2, 6) == [0, 1, 2, 3, 3, 3]


def test_a_capture_waits_to_and_fro_for_the_cue_of_the_door():
    """Its cue came after 0.3 s: the frames before it are played on until the door cues; the next one is 0.1 s later."""
    assert capture(7, 0.3, 9, 12) == [0, 1, 2, 1, 0, 1, 2, 1, 0, 4, 5, 6]


def test_a_cue_that_comes_sooner_than_the_captures_own_goes_on_from_there():
    """The frames between are left out."""
    assert capture(7, 0.4, 2, 5) == [0, 1, 5, 6, 6]


def test_a_capture_sways_over_its_last_second_only():
    """What was before it is never seen: whoever walks up would be cut off where the door's cue comes sooner."""
    shades = capture(25, 2.0, 99, 45)
    assert (shades[:11], min(shades), max(shades)) == (list(range(9, 20)), 9, 19)
    assert max(abs(b - a) for a, b in pairwise(shades)) == 1


def test_a_second_cue_changes_nothing():
    """Whoever did not answer the first does not begin anew."""
    clock = FakeClock()
    camera = CaptureCamera([picture(shade) for shade in range(9)], clock, clock.advance, fps=10.0, cue_at_s=0.2)
    camera.start()
    camera.cue()
    first = [int(camera.read(number, 1.0).pixels[0, 0, 0]) for number in range(3)]
    camera.cue()
    assert [*first, int(camera.read(3, 1.0).pixels[0, 0, 0])] == [2, 3, 4, 5]
