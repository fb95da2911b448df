"""The demonstration: a fresh door on this machine, a member enrolled, and a reel or a webcam before it.

Controller, policy, recognizer and records are those of production; only the camera and the panel are other adapters.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from smileaccess import settings as configuration
from smileaccess import wiring
from smileaccess.cameras.reel import ReelCamera
from smileaccess.daemon import Daemon
from smileaccess.enrollment import enroll
from smileaccess.errors import SmileAccessError
from smileaccess.keys import ALL_KEYS, KeyRing, make_keys
from smileaccess.model import Attempt, Consent, DoorInput, LivenessMode, Outcome, Signal
from smileaccess.panels.silent import SilentPanel
from smileaccess.sitting import Desk, Picture, Report, Request
from smileaccess.spending import Tab

if TYPE_CHECKING:
    from smileaccess.demo.scenes import Scene
    from smileaccess.ports import Camera, Clock, Panel, Vision
    from smileaccess.settings import Settings

KEPT = 5
"""Demonstrations whose folders stay; older ones are removed when a new one begins."""

PATIENCE_S = 20.0
"""How long the director waits for anything, in seconds: longer than the longest attempt and its end."""

_HEAD = """\
# The door of a demonstration.
[door]
name = "demo"
"""
"""How the settings of a demonstration begin, and nobody else's."""

_RECOGNITION = ("recognition", "rekognition", "spending")
"""The sections that say who recognizes, and what that may cost."""

_FOLDER = re.compile(r"\d{8}-\d{6}-\d+")

_SETTINGS = (
    _HEAD
    + """\
unlock_s = {unlock_s}
cool_down_s = 0.5
approach = "wake"
attempt_s = {attempt_s}

[camera]
{camera}

[panel]
kind = "terminal"

[liveness]
mode = "{liveness}"
answer_s = 3.0

[lockout]
free = 20

[records]
database = {database}

[keys]
directory = {keys}

[control]
socket = {socket}

[log]
level = "info"
"""
)


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a demonstration lives: its folder, settings (as a file too) and keys."""

    folder: Path
    settings_file: Path
    settings: Settings
    keys: KeyRing


def state_folder() -> Path:
    """Return where demonstrations are kept: `$XDG_STATE_HOME/smileaccess/demo` (the XDG base directory default)."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "smileaccess" / "demo"


def set_up(
    parent: Path,
    *,
    unlock_s: float,
    webcam: str | None,
    recognition: Settings | None = None,
    liveness: LivenessMode = LivenessMode.NEUTRAL_THEN_SMILE,
) -> Stage:
    """Make a new folder below `parent` with settings and keys; SmileAccessError where it cannot be written.

    Who recognizes, and what that may cost, is as in `recognition`, where given.
    """
    folder = parent.absolute() / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}"
    try:
        folder.mkdir(parents=True, mode=0o700)
        _remove_older(parent)
        text = _SETTINGS.format(
            database=_quoted(folder / "door.db"),
            keys=_quoted(folder / "keys"),
            unlock_s=unlock_s,
            attempt_s=15 if liveness is LivenessMode.FOLLOW_THE_LIGHT else 10,
            liveness=liveness.value,
            socket=_quoted(_socket_path(folder)),
            camera=f'kind = "webcam"\ndevice = {_quoted(webcam)}'
            if webcam
            else f'kind = "reel"\npath = {_quoted(folder)}',
        )
        if recognition is not None:
            text += "\n" + configuration.as_toml(recognition, _RECOGNITION)
        settings_file = folder / "smileaccess.toml"
        settings_file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SmileAccessError(f"demo: {folder}: {error.strerror}: choose another folder with --state") from error
    make_keys(folder / "keys")
    settings = configuration.load(settings_file)
    return Stage(folder, settings_file, settings, wiring.load_keys(settings, ALL_KEYS))


def enroll_member(stage: Stage, eyes: Vision, clock: Clock, name: str, take: Callable[[Desk], list[Picture]]) -> Report:
    """Enroll a person, by the use case that `smileaccess enroll` runs, from the pictures that `take` returns."""
    settings = stage.settings
    tab = Tab(clock, settings.spending_rules().price_micros)
    with ExitStack() as stack:
        spool = stack.enter_context(closing(wiring.open_spool(settings, stage.keys)))
        collection = wiring.make_collection(settings, tab) if settings.recognition.cloud else None
        if collection is not None:
            stack.callback(collection.close)
        registry = wiring.make_registry(settings, stage.keys, spool, clock, "demo")
        desk = wiring.make_desk(settings, stage.keys, registry, eyes, collection)
        consent = Consent(clock.now(), settings.consent_version)
        report = enroll(desk, take(desk), Request(name, consent, why="demonstration"))
        if bill := tab.bill():
            spool.add_bill(bill)
    return report


class Listened:
    """A panel whose signals are also heard by somebody: the person in the reel, the director."""

    def __init__(self, panel: Panel, hear: Callable[[Signal], None]) -> None:
        """Take the panel to drive; `hear` is called on the controller's thread and only enqueues."""
        self._panel = panel
        self._hear = hear
        self.secure = panel.secure
        self.start = panel.start
        self.energize = panel.energize
        self.de_energize = panel.de_energize
        self.close = panel.close

    def signal(self, signal: Signal) -> None:
        """Show a signal, and let it be heard."""
        self._panel.signal(signal)
        self._hear(signal)


@dataclass(frozen=True, slots=True)
class Played:
    """A scene that was played, and the attempt that came of it; None for none at all."""

    scene: Scene
    attempt: Attempt | None

    @property
    def as_it_should(self) -> bool:
        """Whether the attempt ended with the scene's outcome and reason."""
        attempt = self.attempt
        return attempt is not None and (attempt.outcome, attempt.reason) == (self.scene.outcome, self.scene.reason)


class Stop(Protocol):
    """What ends a daemon."""

    def stop(self) -> None:
        """Ask it to stop."""
        ...


class Director:
    """Plays the scenes one after the other before a door that nobody watches: presses, waits, takes the outcome.

    `hear` and `ended` are called on the controller's thread; `direct` runs on a thread of its own.
    """

    def __init__(
        self, camera: ReelCamera, panel: SilentPanel, scenes: list[Scene], tell: Callable[[Played], None]
    ) -> None:
        """Take the reel, the buttons, the scenes, and whom to tell of each scene played."""
        self._camera = camera
        self._panel = panel
        self._scenes = scenes
        self._tell = tell
        self._heard: SimpleQueue[Signal] = SimpleQueue()
        self._attempts: SimpleQueue[Attempt] = SimpleQueue()
        self.all_well = False

    def hear(self, signal: Signal) -> None:
        """Take note of a signal of the panel."""
        self._heard.put(signal)

    def ended(self, attempt: Attempt, _who: str) -> None:
        """Take note of an attempt that has ended."""
        self._attempts.put(attempt)

    def direct(self, daemon: Stop) -> None:
        """Play every scene, then stop the daemon; `all_well` says how it went."""
        try:
            played = [self._play(scene) for scene in self._scenes]
            self.all_well = all(each.as_it_should for each in played)
        finally:
            daemon.stop()

    def _play(self, scene: Scene) -> Played:
        self._forget_signals()
        if scene.rex_first:
            self._panel.press(DoorInput.REX)
            self._await(Signal.OPEN, Signal.LOCKED)
        self._camera.play(scene.clip)
        self._panel.press(DoorInput.ENTRY)
        try:
            attempt = self._attempts.get(timeout=PATIENCE_S)
        except Empty:
            played = Played(scene, None)
        else:
            played = Played(scene, attempt)
            opened = attempt.outcome is Outcome.GRANTED
            # A door that has opened shows LOCKED when it is shut again, and once more when it has had its rest.
            self._await(*([Signal.OPEN, Signal.LOCKED] if opened else []), Signal.LOCKED)
        self._tell(played)
        return played

    def _forget_signals(self) -> None:
        while not self._heard.empty():
            self._heard.get()

    def _await(self, *signals: Signal) -> None:
        for signal in signals:
            while self._heard.get(timeout=PATIENCE_S) is not signal:
                pass


def play_alone(stage: Stage, scenes: list[Scene], clock: Clock, tell: Callable[[Played], None]) -> bool:
    """Play the scenes with nobody at the keys; return whether each ended as it should."""
    camera, panel = ReelCamera(scenes[0].clip, clock), SilentPanel(clock)
    director = Director(camera, panel, scenes, tell)
    hear = _both(_cueing(camera), director.hear)
    daemon = Daemon(
        stage.settings,
        keys=stage.keys,
        camera=camera,
        panel=Listened(panel, hear),
        on_attempt=director.ended,
        on_ready=lambda _controller: threading.Thread(
            target=director.direct, args=(daemon,), name="director", daemon=True
        ).start(),
    )
    return daemon.run() == 0 and director.all_well


def show_reel(stage: Stage, camera: ReelCamera, panel: Panel, on_attempt: Callable[[Attempt, str], None]) -> int:
    """Run the door before a reel whose scenes somebody chooses at the keys; return the exit code."""
    return show(stage, camera, Listened(panel, _cueing(camera)), on_attempt)


def show(stage: Stage, camera: Camera, panel: Panel, on_attempt: Callable[[Attempt, str], None]) -> int:
    """Run the door until somebody leaves; return the exit code."""
    return Daemon(stage.settings, keys=stage.keys, camera=camera, panel=panel, on_attempt=on_attempt).run()


def _cueing(camera: ReelCamera) -> Callable[[Signal], None]:
    """Let the person in the reel see the cues."""

    def hear(signal: Signal) -> None:
        if signal is Signal.SMILE_NOW:
            camera.cue()
        elif signal in {Signal.RELAX, Signal.LOOKING}:
            camera.calm()

    return hear


def _both(one: Callable[[Signal], None], other: Callable[[Signal], None]) -> Callable[[Signal], None]:
    def hear(signal: Signal) -> None:
        one(signal)
        other(signal)

    return hear


def _socket_path(folder: Path) -> str:
    """Return the folder's socket; a Unix socket's path has at most 107 bytes, so a deep folder gets one elsewhere."""
    path = str(folder / "control.sock")
    if len(path.encode()) <= 107:
        return path
    runtime = os.environ.get("XDG_RUNTIME_DIR") or "/tmp"  # noqa: S108 -- the name below is ours alone
    return f"{runtime}/smileaccess-demo-{os.getpid()}.sock"


def _quoted(path: Path | str) -> str:
    """Return a path as TOML text, whatever characters it has: JSON's escapes are among TOML's."""
    return json.dumps(str(path), ensure_ascii=False)


def _remove_older(parent: Path) -> None:
    """Remove the folders of older demonstrations directly below `parent`; nothing else, whatever lies there."""
    ours = sorted(each for each in parent.iterdir() if _is_demonstration(each))
    for old in ours[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def _is_demonstration(folder: Path) -> bool:
    """Say whether a folder is one that `set_up` made: by its name, and by how its settings begin."""
    if not _FOLDER.fullmatch(folder.name) or folder.is_symlink():
        return False
    try:
        return (folder / "smileaccess.toml").read_text(encoding="utf-8").startswith(_HEAD)
    except (OSError, ValueError):
        return False
