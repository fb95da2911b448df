"""`smileaccess camera`: what the camera gives and how well faces are seen in it; it decides and records nothing."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smileaccess.cli.common import App, console, emit, json_option, number, pass_app, row, say, table
from smileaccess.errors import CameraTimedOut, CameraUnavailable, ControlUnavailable, SmileAccessError
from smileaccess.model import Reason

if TYPE_CHECKING:
    from smileaccess.gates import Limits
    from smileaccess.model import Face, Frame, Sight
    from smileaccess.ports import Camera, Clock, Vision
    from smileaccess.settings import Settings

SECONDS = 5.0
"""How long the camera is watched unless it is told otherwise."""

MARGIN = 1.3
"""A face or a light that is less than this over the limit is seen, but not reliably."""

FEWEST_FPS = 8.0
"""Below it a face that moves is taken for a cut between two pictures (vision.tracking)."""

GLARE = 85.0
"""Brightness of a face, 0..100, from which on the light washes it out."""

BACKLIT = 0.5
"""A face of less than this share of the whole picture's brightness has the light behind it."""

OFTEN = 0.1
"""A reason that held for a smaller share of the frames is no cause for advice."""

SUFFIXES = (".jpg", ".jpeg", ".png")

EDGE = 0.25
"""A face's middle nearer than this share to the picture's upper or lower edge leaves no room for other heights."""

ADVICE = {
    Reason.NO_FACE: "nobody was seen: stand before the camera, facing it; check where it points, and [camera] rotation",
    Reason.TOO_DARK: "light: too dark; put a lamp where it shines on the face, not into the camera",
    Reason.TOO_FAR: "distance: the face is too small; come closer, move the camera nearer, raise [camera] width and "
    "height (picamera: detect_width), or cut the picture to where people stand ([camera] region)",
    Reason.TOO_BLURRED: "focus: the face is blurred; clean the lens, turn it until what is an arm's length away is "
    "sharp, or give more light, which makes the exposure shorter",
    Reason.FACE_OCCLUDED: "the face was covered, or turned away: uncover eyes, nose and mouth, and look at the camera",
    Reason.MULTIPLE_FACES: "two faces of like size: one person at a time; posters and screens count, so turn the "
    "camera away from them, or leave them out with [camera] region",
}
"""What to do about each reason for which a frame would be refused."""


@click.group(short_help="See what the camera sees, and what to improve.")
def camera() -> None:
    """See what the camera of the settings sees, and what to improve.

    \b
    Example:
      smileaccess camera test
      smileaccess camera test --photo seen.jpg
    """


@camera.command("test")
@click.option(
    "--photo", type=click.Path(path_type=Path), metavar="FILE", help="Write a picture with what was seen drawn in."
)
@click.option(
    "--seconds", type=click.FloatRange(0.1, 600), default=SECONDS, show_default=True, help="How long to look."
)
@json_option
@pass_app
def look(app: App, photo: Path | None, seconds: float, as_json: bool) -> int:
    """Look through the camera for some seconds, with somebody before it, and say what to improve.

    \b
    Example:
      smileaccess camera test
      smileaccess camera test --seconds 20 --photo seen.jpg

    It needs the camera for itself: stop a running door first. Nothing is kept but the picture of --photo, which shows
    people: delete it when it has been looked at.

    Exit codes: 0 a face was seen well enough, 1 none was, or the camera cannot be opened.
    """
    from smileaccess import wiring  # noqa: PLC0415
    from smileaccess.clock import SystemClock  # noqa: PLC0415

    settings = app.settings()
    if photo is not None:
        _check_name(photo)
    _need_free(settings)
    clock = SystemClock()
    with (
        contextlib.closing(wiring.make_camera(settings, clock, on_picture=lambda: None)) as opened,
        contextlib.closing(wiring.make_eyes(settings)) as eyes,
    ):
        opened.start()
        seen = watched(opened, eyes, clock, settings, seconds)
    if photo is not None:
        _save(photo, seen)
    _tell(seen, settings, photo, as_json=as_json)
    return 0 if seen.fine else 1


@dataclass(slots=True)
class Seen:
    """What was seen in some seconds; `best` is the frame worth looking at, `reason` why it would be refused."""

    gives: str = ""
    count: int = 0
    took_s: float = 0.0
    fine: int = 0
    reasons: Counter[Reason] = field(default_factory=Counter)
    brightness: float = 0.0
    best: Sight | None = None
    reason: Reason | None = None

    @property
    def fps(self) -> float:
        """Frames a second that came."""
        return (self.count - 1) / self.took_s if self.took_s > 0 and self.count > 1 else 0.0

    @property
    def face(self) -> Face | None:
        """The largest face of the best frame."""
        return self.best.faces[0] if self.best is not None and self.best.faces else None

    def add(self, sight: Sight, reason: Reason | None) -> None:
        """Take a frame into account; a later one as good as the best one takes its place."""
        self.brightness += (sight.brightness - self.brightness) / (self.fine + sum(self.reasons.values()) + 1)
        if reason is None:
            self.fine += 1
        else:
            self.reasons[reason] += 1
        if self.best is None or _worth(sight, reason) >= _worth(self.best, self.reason):
            self.best, self.reason = sight, reason


def _worth(sight: Sight, reason: Reason | None) -> int:
    return 2 if reason is None else 1 if sight.faces else 0


def watched(opened: Camera, eyes: Vision, clock: Clock, settings: Settings, seconds: float) -> Seen:
    """Look at the camera's frames for so long; CameraUnavailable where not one comes, VisionFailed."""
    from smileaccess.gates import hindrance  # noqa: PLC0415

    seen, limits = Seen(), settings.limits()
    ends = clock.monotonic() + seconds
    first: Frame | None = None
    for frame in _frames(opened, settings.camera.timeout_s, lambda: ends - clock.monotonic()):
        first = first or frame
        # by its numbers: the eyes may be slower than the camera, whose rate this is
        seen.count = frame.sequence - first.sequence + 1
        seen.took_s = frame.captured_at - first.captured_at
        sight = eyes.look(frame)
        seen.add(sight, hindrance(sight, limits))
    if first is None:
        more = ": put a new picture into the folder meanwhile" if settings.camera.kind == "folder" else ""
        raise CameraUnavailable(f"camera: no frame came within {seconds:g} s{more}")
    seen.gives = getattr(opened, "told", "")
    return seen


def _frames(opened: Camera, timeout_s: float, left_s: Callable[[], float]) -> Iterator[Frame]:
    sequence = 0
    while (left := left_s()) > 0:
        try:
            frame = opened.read(sequence, min(left, timeout_s))
        except CameraTimedOut:
            continue
        sequence = frame.sequence
        yield frame


def advice(seen: Seen, settings: Settings) -> list[str]:
    """Return what to improve, the most pressing first; nothing where all is well."""
    looked = seen.fine + sum(seen.reasons.values())
    found = [ADVICE[reason] for reason, count in seen.reasons.most_common() if count >= OFTEN * looked]
    if 0 < seen.fps < FEWEST_FPS and settings.camera.kind != "folder":
        found.append(
            f"rate: {seen.fps:.1f} frames a second are too few to follow a face; give more light, raise [camera] fps, "
            "or lower [camera] width and height"
        )
    if seen.best is not None and seen.face is not None:
        found += _of_the_face(seen.face, seen.best.brightness, settings.limits())
    return found


def _of_the_face(face: Face, scene: float, limits: Limits) -> Iterator[str]:
    """Yield what is near a limit, or placed badly, of a face that was seen."""
    quality, middle = face.quality, face.box.center[1]
    if limits.face_px <= quality.size_px < MARGIN * limits.face_px:
        yield (
            f"distance: the face has {quality.size_px:.0f} pixels, little more than the {limits.face_px:g} needed; "
            "come closer, or move the camera nearer"
        )
    if limits.face_brightness <= quality.brightness < MARGIN * limits.face_brightness:
        yield "light: the face is nearly too dark; at night it will be: add a lamp in front of the person"
    if quality.brightness > GLARE:
        yield "light: the face is washed out; shade the lamp, or turn it aside"
    elif quality.brightness < BACKLIT * scene:
        yield "light: it comes from behind the person; turn the camera from the window, or light the face"
    if limits.sharpness <= quality.sharpness < MARGIN * limits.sharpness:
        yield "focus: the face is nearly too blurred; clean the lens and set its focus to where people stand"
    if middle < EDGE:
        yield "height: the face is at the upper edge; mount the camera higher, or tilt it up, for taller people"
    elif middle > 1 - EDGE:
        yield "height: the face is at the lower edge; mount the camera lower, or tilt it down, for shorter people"


def _need_free(settings: Settings) -> None:
    """See that no daemon of this door has the camera; CameraUnavailable."""
    from smileaccess.control import ControlClient  # noqa: PLC0415 -- with the settings and structlog

    with contextlib.suppress(ControlUnavailable), ControlClient(Path(settings.control.socket)):
        raise CameraUnavailable(
            "camera: the running door has it: stop that first (`systemctl stop smileaccess`), or see "
            "`smileaccess doctor`, which asks the door for its frames"
        )


def _check_name(photo: Path) -> None:
    if photo.suffix.lower() not in SUFFIXES:
        raise click.BadParameter(f"{photo}: must end in {', '.join(SUFFIXES)}", param_hint="--photo")


def _save(photo: Path, seen: Seen) -> None:
    """Write the best frame with what was seen in it, for its owner's eyes only; SmileAccessError."""
    import cv2  # noqa: PLC0415 -- heavy, and loaded by the eyes already

    from smileaccess.cli.sketch import sketched  # noqa: PLC0415

    if seen.best is None:
        return
    told = "seen well" if seen.reason is None else f"would be refused: {seen.reason}"
    _, data = cv2.imencode(photo.suffix.lower(), sketched(seen.best, told, fine=seen.reason is None))
    try:
        handle = os.open(photo, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, 0o600)
            file.write(data.tobytes())
    except OSError as error:
        raise SmileAccessError(f"--photo {photo}: {error.strerror}: name a file that can be written") from error


def _tell(seen: Seen, settings: Settings, photo: Path | None, *, as_json: bool) -> None:
    found = advice(seen, settings)
    if as_json:
        emit(_plain(seen, settings, found, photo))
        return
    shown = table("part", "seen", fold=("seen",), least={"part": 12})
    shown.show_header = False
    for name, value in _lines(seen, settings):
        row(shown, name, value)
    console().print(shown)
    say()
    for each in found or ["nothing to improve"]:
        say(f"-> {each}")
    if photo is not None:
        say(f"wrote {photo}, for you alone to read: it shows people, so delete it when you have looked at it")


def _lines(seen: Seen, settings: Settings) -> Iterator[tuple[str, str]]:
    from smileaccess.cli.sketch import measures  # noqa: PLC0415

    looked = seen.fine + sum(seen.reasons.values())
    yield "camera", settings.camera.kind
    yield "pictures", ", ".join(filter(None, [_sizes(seen), seen.gives]))
    yield "rate", f"{number(seen.fps)} frames a second"
    yield "brightness", number(seen.brightness, 0)
    yield "seen well", f"{seen.fine} of {looked} frames"
    for reason, count in seen.reasons.most_common():
        yield str(reason), f"{count} of {looked} frames would be refused for it"
    if seen.best is not None:
        yield "faces", f"{len(seen.best.faces)} in the picture"
    if seen.face is not None:
        yield "largest face", ", ".join(measures(seen.face))


def _sizes(seen: Seen) -> str:
    if seen.best is None:
        return ""
    frame = seen.best.frame
    height, width = frame.pixels.shape[:2]
    if frame.full is None:
        return f"{width}x{height}"
    full_height, full_width = frame.full.shape[:2]
    return f"{width}x{height} to find faces in, {full_width}x{full_height} to recognize them in"


def _plain(seen: Seen, settings: Settings, found: list[str], photo: Path | None) -> dict[str, Any]:
    best, face = seen.best, seen.face
    height, width = best.frame.pixels.shape[:2] if best is not None else (0, 0)
    full = best.frame.best.shape[:2] if best is not None else (0, 0)
    return {
        "kind": settings.camera.kind,
        "gives": seen.gives,
        "width": width,
        "height": height,
        "full_width": full[1],
        "full_height": full[0],
        "fps": round(seen.fps, 2),
        "brightness": round(seen.brightness, 1),
        "frames_seen_well": seen.fine,
        "frames_refused": {str(reason): count for reason, count in seen.reasons.most_common()},
        "faces": len(best.faces) if best is not None else 0,
        "face": None
        if face is None
        else {
            "size_px": round(face.quality.size_px, 1),
            "brightness": round(face.quality.brightness, 1),
            "sharpness": round(face.quality.sharpness, 1),
            "presence": round(face.quality.presence, 2),
            "center": [round(each, 3) for each in face.box.center],
        },
        "advice": found,
        "photo": None if photo is None else str(photo),
    }
