"""Checks of the door itself: settings against place and law, panel and camera; it opens no strike."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smileaccess.doctor.findings import Remark, fault, fine, warning
from smileaccess.errors import (
    CameraError,
    ControlError,
    ControlUnavailable,
    NotPermitted,
    SettingsError,
    VisionError,
)

if TYPE_CHECKING:
    from smileaccess.control import ControlClient
    from smileaccess.doctor.site import Site
    from smileaccess.model import Pixels
    from smileaccess.ports import Camera

FEWEST_FRAMES = 3
"""Frames a second from which on a cut from one picture to another is seen as one (docs/liveness.md)."""

WHY = "smileaccess doctor"
"""What the record says where the daemon is asked for pictures."""


def settings(site: Site) -> Iterator[Remark]:
    """Say which settings these are, and who may write them."""
    try:
        mode = site.path.stat().st_mode
    except OSError:
        mode = 0  # they were read a moment ago
    if mode & 0o022:
        yield warning(f"{site.path}: may be written by others: who can do that can open the door",
                      f"run `chmod go-w {site.path}`")  # fmt: skip
    else:
        yield fine(f"{site.path}: read")


def place(site: Site) -> Iterator[Remark]:
    """Hold the sign of life that is asked for, and the fallback, against where the door is."""
    from smileaccess.liveness import replay_passes  # noqa: PLC0415
    from smileaccess.model import LivenessMode  # noqa: PLC0415

    outer, mode = site.settings.door.place == "outer", site.settings.liveness.mode
    told = f'[door] place = "{site.settings.door.place}", [liveness] mode = "{mode}"'
    if mode is LivenessMode.FOLLOW_THE_LIGHT:
        chance = replay_passes(site.settings.liveness.rules())
        yield fine(f"{told}: a recorded video passes in {100 * chance:.1f} of 100 attempts at the most")
    elif outer and mode is not LivenessMode.NEUTRAL_THEN_SMILE:
        yield warning(
            f"{told}: from the street, anybody with a printed photograph of a member comes in",
            'set mode = "follow-the-light" and [door] attempt_s = 15, and use a second lock (docs/liveness.md)',
        )
    elif outer:
        yield warning(
            f"{told}: a video of a member that smiles in time with the cue passes",
            'set mode = "follow-the-light" and [door] attempt_s = 15, or have the door watched (docs/liveness.md)',
        )
    elif mode is LivenessMode.OFF:
        yield warning(f"{told}: a photograph of a member passes", 'set mode = "neutral-then-smile"')
    else:
        yield fine(told)
    if outer and site.settings.recognition.falls_back and site.settings.recognition.fallback_opens:
        yield warning(
            "[recognition] fallback_opens = true at an outer door: whoever cuts its line chooses the recognizer",
            "set fallback_opens = false, or lay the line out of reach",
        )


def contact(site: Site) -> Iterator[Remark]:
    """Say what is made of the door contact: an alarm that cannot be, and one that would be for nothing."""
    rules, wired = site.settings.doorway_rules(), site.settings.inputs()
    told = f'[door] forced_open = "{site.settings.door.forced_open}"'
    if not rules.contact and site.settings.door.forced_open == "on":
        yield warning(f"{told}: no contact is wired, so that nobody knows of an opening", "set [gpio] contact")
    elif not rules.contact:
        yield fine("none: nobody knows whether the door was opened, or stands open")
    elif rules.forced and "rex" not in wired:
        yield warning(
            f"{told} without a rex: whoever goes out by the handle is an alarm",
            'wire an input for the way out ([gpio] rex), or set forced_open = "auto" (docs/door.md)',
        )
    elif not rules.forced:
        yield warning(
            f"{told}: a door that is forced open is no alarm",
            'have every way out reported by [gpio] rex, and set forced_open = "auto" (docs/door.md)',
        )
    else:
        yield fine(f"{told}: right only where every way out is reported by the rex")


def alerts(site: Site) -> Iterator[Remark]:
    """Say whether alerts could leave; nothing is sent."""
    from smileaccess import wiring  # noqa: PLC0415
    from smileaccess.supervision.alerts import available  # noqa: PLC0415 -- structlog

    try:
        channels = wiring.alert_channels(site.settings)
    except SettingsError as error:
        yield fault(str(error), "see docs/alerts.md; the door runs without")
        return
    if not channels:
        yield fine("no channel: alarms are told in the journal only")
    elif (level := site.settings.log.level) in {"warning", "error"}:
        yield fault(f'[log] level = "{level}" hides what alerts are made of', 'set it to "info"')
    elif not available():
        yield fault("Apprise is not installed: no alert leaves", "`pip install 'smileaccess[alerts]'`")
    else:
        yield fine(f"channels: {len(channels)}; `smileaccess alerts test` tries them")


def emotions(site: Site) -> Iterator[Remark]:
    """Say where the law forbids what the settings do with emotions."""
    from smileaccess.policy import EmotionRule  # noqa: PLC0415

    rule = site.settings.rules.emotions
    told = f'[rules] emotions = "{rule}"'
    if rule is EmotionRule.OFF:
        yield fine(f"{told}: a smile is read as a gesture, and nothing else")
    elif rule is EmotionRule.REQUIRE:
        yield warning(
            f"{told}: the door opens by emotions. Art. 5(1)(f) of the EU AI Act (Regulation (EU) 2024/1689) forbids "
            "to infer them at work and in education, but for medical or safety reasons, since 2025-02-02",
            'set emotions = "off" there: the smile is asked for all the same',
        )
    else:
        yield warning(
            f"{told}: emotions go on record; at work and in education Art. 5(1)(f) of the EU AI Act forbids that, too",
            'set emotions = "off" there; elsewhere there is nothing to do',
        )


def panel(site: Site) -> Iterator[Remark]:
    """Say whether the panel of the settings can be one here."""
    kind = site.settings.panel.kind
    if kind == "terminal" and not site.interactive:
        yield warning(
            '[panel] kind = "terminal": there is no terminal here, as for a service',
            'start the door on a terminal, or set kind = "silent"',
        )
    elif kind == "silent" and site.settings.camera.kind != "reel":
        yield warning(
            '[panel] kind = "silent": no button, no lights and no strike: a grant is on record and opens nothing',
            "fine for a trial; a real door needs a panel that drives its strike",
        )
    else:
        yield fine(f'[panel] kind = "{kind}"')


def camera(site: Site) -> Iterator[Remark]:
    """Take frames for about a second, from the running daemon where there is one, and look at the last."""
    from smileaccess.control import ControlClient  # noqa: PLC0415

    with ExitStack() as stack:
        daemon: ControlClient | None = None
        with suppress(ControlUnavailable):  # no daemon runs: the camera is free
            daemon = stack.enter_context(ControlClient(Path(site.settings.control.socket)))
        yield from _own_camera(site) if daemon is None else _daemons_camera(site, daemon)


@dataclass(frozen=True, slots=True, eq=False)
class _Watched:
    """How many frames came in how many seconds, and the last one."""

    count: int
    took_s: float
    pixels: Pixels

    @property
    def told(self) -> str:
        height, width = self.pixels.shape[:2]
        frames = "1 frame" if self.count == 1 else f"{self.count} frames"
        return f"{frames} of {width}x{height} in {self.took_s:.1f} s"


def _own_camera(site: Site) -> Iterator[Remark]:
    with closing(site.make_camera(site.settings, site.clock)) as opened:
        try:
            opened.start()
            watched = _watched(site, _frames(opened, site.settings.camera.timeout_s))
        except CameraError as error:
            yield fault(str(error), "check [camera], the cable, and that this user may read it (group video)")
            return
    if watched.count < FEWEST_FRAMES * watched.took_s:
        yield warning(
            f"{watched.told}: too few to tell a cut between two pictures from a face that moves",
            "give the camera more light, another port, or fewer pixels ([camera] width, height)",
        )
    else:
        yield fine(watched.told)
    yield _view(site, watched.pixels)


def _daemons_camera(site: Site, daemon: ControlClient) -> Iterator[Remark]:
    try:
        watched = _watched(site, daemon.pictures(WHY))
    except NotPermitted:
        group = site.settings.control.enroll_group
        yield warning(
            "a daemon runs and has the camera, and this user may not have its pictures",
            f"run this as a member of the group {group}",
        )
        return
    except ControlError as error:
        yield fault(str(error), "see the daemon's journal")
        return
    yield fine(f"{watched.told}, from the running daemon")
    yield _view(site, watched.pixels)


def _watched(site: Site, frames: Iterable[Pixels]) -> _Watched:
    began = site.clock.monotonic()
    for count, pixels in enumerate(frames, 1):
        took_s = site.clock.monotonic() - began
        if took_s >= site.watch_s:
            return _Watched(count, took_s, pixels)
    raise CameraError("camera: it stopped giving frames")


def _frames(opened: Camera, timeout_s: float) -> Iterator[Pixels]:
    sequence = 0
    for _ in itertools.count():
        frame = opened.read(sequence, timeout_s)
        sequence = frame.sequence
        yield frame.pixels


def _view(site: Site, pixels: Pixels) -> Remark:
    from smileaccess.model import Frame  # noqa: PLC0415

    limits = site.settings.limits()
    try:
        sight = site.eyes().look(Frame(pixels, 1, 0.0))
    except VisionError:
        return warning("what it sees was not looked at: the eyes do not work", "see the check networks")
    if not sight.faces:
        told = f"no face in the picture, brightness {sight.brightness:.0f}"
        dark = sight.brightness < limits.scene_brightness
    else:
        bright = sight.faces[0].quality.brightness
        told = f"{_faces(len(sight.faces))} in the picture, the largest with brightness {bright:.0f}"
        dark = bright < limits.face_brightness
    return warning(f"{told}: too dark", "light the face from the front, or take the cap off") if dark else fine(told)


def _faces(count: int) -> str:
    return "1 face" if count == 1 else f"{count} faces"
