"""`smileaccess demo`: the whole door on this machine, for somebody who sees it for the first time."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smileaccess.cli.common import console, on_terminal, say

if TYPE_CHECKING:
    from smileaccess.cameras.reel import ReelCamera
    from smileaccess.demo.scenes import Scene
    from smileaccess.demo.show import Played, Stage
    from smileaccess.panels.terminal import TerminalPanel
    from smileaccess.ports import Clock, Vision
    from smileaccess.sitting import Desk, Picture

ALONE_UNLOCK_S, KIOSK_UNLOCK_S = 1.0, 3.0
"""How long the strike is energized: short where nobody watches, long enough to see where somebody does."""


@click.command(short_help="Show the whole door on this terminal, with nothing else.")
@click.option("--reel", is_flag=True, help="Use the reel of photographs, also where there is a webcam.")
@click.option("--webcam", metavar="DEVICE", help="Use this camera (a device file or a stream), not the first found.")
@click.option("--alone", is_flag=True, help="Play the eight scenes by itself, also on a terminal.")
@click.option(
    "--recognition",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Recognize as this settings file says: its [recognition], [rekognition] and [spending].",
)
@click.option(
    "--follow-the-light", is_flag=True, help="Ask for smile and calm as a random light goes, not for one smile."
)
@click.option("--state", type=click.Path(path_type=Path), metavar="DIR", help="Where to keep the demonstration.")
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE", help="Also draw the kiosk into an SVG.")
def demo(
    reel: bool,
    webcam: str | None,
    alone: bool,
    recognition: Path | None,
    follow_the_light: bool,
    state: Path | None,
    picture: Path | None,
) -> int:
    """Show the whole door on this terminal: no Pi, no account, no server.

    With a webcam it enrolls whoever sits in front of it and lets them in on a smile; without one it plays a reel made
    from photographs, and the keys choose among eight scenes. Without a terminal it plays them by itself and exits 0
    only if every scene ended as it should.

    It recognizes on this machine, unless a settings file says otherwise; with Amazon Rekognition the member of the
    demonstration is enrolled into its collection, and calls are billed.

    \b
    Example:
      smileaccess demo
      smileaccess demo --alone | cat
      smileaccess demo --follow-the-light
      smileaccess demo --recognition smileaccess.toml
    """
    from smileaccess import settings as configuration  # noqa: PLC0415 -- pydantic
    from smileaccess.clock import SystemClock  # noqa: PLC0415
    from smileaccess.demo import show  # noqa: PLC0415 -- OpenCV and the models
    from smileaccess.model import LivenessMode  # noqa: PLC0415

    _check_picture(picture)
    asked = None if recognition is None else configuration.load(recognition)
    if webcam is not None and (alone or reel or picture is not None):
        raise click.UsageError("--webcam goes with none of --alone, --reel and --picture, which use no camera")
    clock = SystemClock()
    alone = alone or picture is not None or not on_terminal()
    webcam = None if alone or reel else webcam or _webcam(clock)
    unlock_s = ALONE_UNLOCK_S if alone else KIOSK_UNLOCK_S
    mode = LivenessMode.FOLLOW_THE_LIGHT if follow_the_light else LivenessMode.NEUTRAL_THEN_SMILE
    place = state or show.state_folder()
    stage = show.set_up(place, unlock_s=unlock_s, webcam=webcam, recognition=asked, liveness=mode)
    if asked is not None:
        say(f"recognizers: {', '.join(asked.recognition.recognizers)}")
    say(f"database: {stage.settings.records.database}")
    code = _alone(stage, clock, picture) if alone else _kiosk(stage, clock, webcam)
    say(f"look at it with: {_program()} --config {stage.settings_file} attempts list")
    return code


def _check_picture(path: Path | None) -> None:
    """Refuse a place for the picture that cannot be written, before eight scenes are played for it."""
    if path is None:
        return
    folder = path.absolute().parent
    if not folder.is_dir():
        raise click.BadParameter(f"{folder}: no such folder: make it first", param_hint="--picture")
    if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise click.BadParameter(f"{path}: cannot be written: give a file that you may write", param_hint="--picture")


def _program() -> str:
    """Return how this program was called, in a form that works again from here."""
    called = Path(sys.argv[0])
    return f"{sys.executable} -m smileaccess" if called.name == "__main__.py" else str(called)


def _webcam(clock: Clock) -> str | None:
    from smileaccess.cameras.webcam import find_webcam  # noqa: PLC0415

    return find_webcam(clock)


@contextlib.contextmanager
def _log_of(stage: Stage) -> Iterator[None]:
    from smileaccess.supervision import journal  # noqa: PLC0415

    with (
        (stage.folder / "smileaccess.log").open("a", encoding="utf-8") as stream,
        journal.writing("info", "json", stream),
    ):
        yield


def _person_at_the_webcam(stage: Stage, eyes: Vision, clock: Clock) -> bool:
    """Enroll whoever sits before the webcam, if they agree; say whether somebody was enrolled."""
    from smileaccess.cli import capture  # noqa: PLC0415
    from smileaccess.demo import show  # noqa: PLC0415
    from smileaccess.errors import CameraError, EnrollmentRefused  # noqa: PLC0415

    say("There is a webcam. It can enroll you, and let you in on a smile.")
    say("No picture is kept; your face only as encrypted numbers, in the folder above.")
    if not click.confirm("Do you agree?", default=True):
        return False

    def take(desk: Desk) -> list[Picture]:
        with capture.frames_of(stage.settings, clock, "demonstration") as frames:
            return capture.collect(desk, frames)

    try:
        report = show.enroll_member(stage, eyes, clock, "You", take)
    except (CameraError, EnrollmentRefused) as error:
        say(str(error))
        return False
    say(f"enrolled: {report.member.name} ({report.member.id})")
    return True


def _member_of_the_reel(stage: Stage, eyes: Vision, clock: Clock) -> list[Scene]:
    from smileaccess.demo import scenes, show  # noqa: PLC0415
    from smileaccess.sitting import Picture  # noqa: PLC0415
    from smileaccess.vision.pictures import load_picture  # noqa: PLC0415

    photograph = Picture(scenes.MEMBER_PHOTOGRAPH.name, load_picture(scenes.MEMBER_PHOTOGRAPH))
    report = show.enroll_member(stage, eyes, clock, scenes.MEMBER_NAME, lambda _desk: [photograph])
    say(f"enrolled: {report.member.name} ({report.member.id}) from {photograph.label}")
    return scenes.build_scenes(eyes)


def _alone(stage: Stage, clock: Clock, picture: Path | None) -> int:
    from smileaccess import wiring  # noqa: PLC0415
    from smileaccess.demo import show  # noqa: PLC0415

    began = time.monotonic()
    eyes = wiring.make_eyes(stage.settings)
    scenes = _member_of_the_reel(stage, eyes, clock)
    eyes.close()
    shown: list[Played] = []

    def tell(played: Played) -> None:
        shown.append(played)
        say(_line(played))

    with _log_of(stage):
        well = show.play_alone(stage, scenes, clock, tell)
    right = sum(played.as_it_should for played in shown)
    say(f"{right} of {len(scenes)} scenes ended as they should, in {time.monotonic() - began:.0f} s")
    if picture is not None:
        _draw(picture, shown)
    return 0 if well else 1


def _line(played: Played) -> str:
    scene, attempt = played.scene, played.attempt
    expected = f"{scene.outcome.value}{f' ({scene.reason.value})' if scene.reason else ''}"
    if attempt is None:
        return f"{scene.number}  {scene.title:<30} no attempt             WRONG: expected {expected}"
    outcome = attempt.outcome.value if attempt.outcome else "open"
    told = f"{outcome}{f' ({attempt.reason.value})' if attempt.reason else ''}"
    verdict = "as it should" if played.as_it_should else f"WRONG: expected {expected}"
    return f"{scene.number}  {scene.title:<30} {told:<30} {verdict}"


def _draw(path: Path, shown: list[Played]) -> None:
    """Draw the kiosk as it stands after the scenes: the last one has just opened the door."""
    from smileaccess.demo.scenes import MEMBER_NAME  # noqa: PLC0415
    from smileaccess.model import Signal  # noqa: PLC0415
    from smileaccess.panels.kiosk import KioskView, attempt_line, hint_for, kiosk_svg  # noqa: PLC0415

    attempts = [played.attempt for played in reversed(shown) if played.attempt is not None]
    lines = tuple(attempt_line(each, MEMBER_NAME if each.member_id else "") for each in attempts)
    view = KioskView(
        "demo",
        Signal.OPEN,
        0.0,
        KIOSK_UNLOCK_S,
        attempts=lines[:5],
        status=f"scene {shown[-1].scene.number}: {shown[-1].scene.title}",
        hint=hint_for(attempts[0]),
        scenes=True,
    )
    path.write_text(kiosk_svg(view), encoding="utf-8")
    say(f"picture: {path}")


def _kiosk(stage: Stage, clock: Clock, webcam: str | None) -> int:
    from smileaccess import wiring  # noqa: PLC0415
    from smileaccess.cameras.reel import ReelCamera  # noqa: PLC0415
    from smileaccess.demo import show  # noqa: PLC0415

    eyes = wiring.make_eyes(stage.settings)
    if webcam is not None and _person_at_the_webcam(stage, eyes, clock):
        eyes.close()
        panel = _panel(stage, clock, None)
        with _log_of(stage):
            return show.show(stage, wiring.make_camera(stage.settings, clock), panel, panel.show_attempt)
    scenes = _member_of_the_reel(stage, eyes, clock)
    eyes.close()
    camera = ReelCamera(scenes[0].clip, clock)
    chosen: list[TerminalPanel] = []
    choose = _chooser(camera, scenes, chosen)
    panel = _panel(stage, clock, choose)
    chosen.append(panel)
    choose("1")
    with _log_of(stage):
        return show.show_reel(stage, camera, panel, panel.show_attempt)


def _panel(stage: Stage, clock: Clock, on_key: Callable[[str], None] | None) -> TerminalPanel:
    from smileaccess.panels.terminal import TerminalPanel  # noqa: PLC0415

    return TerminalPanel(clock, console(), sys.stdin.fileno(), door=stage.settings.door.name, on_key=on_key)


def _chooser(camera: ReelCamera, scenes: list[Scene], panels: list[TerminalPanel]) -> Callable[[str], None]:
    """Return what a digit key does: put a scene before the camera, and say which."""
    by_key = {str(scene.number): scene for scene in scenes}

    def choose(key: str) -> None:
        scene = by_key[key]
        camera.play(scene.clip)
        for panel in panels:
            panel.show_status(
                f"scene {scene.number}: {scene.title}{': press X, then SPACE' if scene.rex_first else ': press SPACE'}"
            )

    return choose
