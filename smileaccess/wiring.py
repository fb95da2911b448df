"""Puts adapters together as the settings say, for the daemon and the command line; it decides nothing.

Imports are made when they are needed, so that a command that sees nothing loads no OpenCV.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from smileaccess.durable import write_new
from smileaccess.errors import RecordsFailed
from smileaccess.keys import DOOR_KEYS, KeyKind, KeyRing

if TYPE_CHECKING:
    from smileaccess.enrollment import Desk
    from smileaccess.model import Member, Template, Vector
    from smileaccess.ports import Camera, Clock, Recognizer, Vision
    from smileaccess.records.spool import Spool
    from smileaccess.registry import Registry
    from smileaccess.settings import Settings

ENROLL_TIMEOUT_S = 30.0
"""Seconds for one comparison at enrollment, where nobody waits at a door and the network may still have to load."""

log = structlog.get_logger(__name__)


def load_keys(settings: Settings, need: Collection[KeyKind] = DOOR_KEYS) -> KeyRing:
    """Read the keys in `need` from systemd's credentials, where there are some, else from the directory; KeysError."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    return KeyRing.load(Path(settings.keys.directory), Path(credentials) if credentials else None, need=need)


def open_spool(settings: Settings, keys: KeyRing, *, must_exist: bool = False) -> Spool:
    """Open the door's record, made where it is missing unless it `must_exist`.

    A marker beside the keys says that the record was begun: whoever can delete the database, with the versions that
    this door has seen, cannot make the door begin anew, and so take members of old versions for new ones.

    RecordsUnavailable; RecordsFailed, also where the database is gone or is another than the one begun; KeysError
    without the chain's key in `keys`.
    """
    from smileaccess.records.spool import Spool  # noqa: PLC0415 -- sqlite3 only where a record is opened

    path, door = Path(settings.records.database), settings.door.name
    marker = Path(settings.keys.directory) / f"record.{door}"
    if _is_missing(path) and _is_there(marker):
        raise RecordsFailed(
            f"records: {path}: gone, although {marker} says that this record was begun: "
            f"restore a backup, or remove {marker} to begin a new record on purpose"
        )
    spool = Spool.open(path, door, keys.chain, must_exist=must_exist)
    if not must_exist:
        with contextlib.ExitStack() as stack:
            stack.callback(spool.close)
            _mark(marker, path, spool.begun())
            stack.pop_all()
    return spool


def _is_there(path: Path) -> bool:
    """Say whether we see something of this name."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def _is_missing(path: Path) -> bool:
    """Say whether there is nothing of this name, and not only nothing that we may look at."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _mark(marker: Path, path: Path, begun: str) -> None:
    """Put down which record was begun, where that was not done yet; RecordsFailed where it was another one."""
    line = f"smileaccess-record-1 {begun}\n"
    try:
        with contextlib.suppress(FileExistsError):  # another process was first
            if not _is_there(marker):
                write_new(marker, line, 0o644)
        found = marker.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        log.warning(
            "the record's marker cannot be kept: a database that is deleted will not be missed",
            marker=str(marker),
            error=error.strerror,
        )
        return
    if found.split() != line.split():
        raise RecordsFailed(
            f"records: {path}: not the record that {marker} says was begun: "
            f"restore its newest backup, or remove {marker} to go on with this one on purpose"
        )


def make_eyes(settings: Settings) -> Vision:
    """Load the local eyes; without the emotion network where the settings want no emotions. VisionFailed."""
    from smileaccess.policy import EmotionRule  # noqa: PLC0415
    from smileaccess.vision.eyes import LocalEyes  # noqa: PLC0415 -- OpenCV

    return LocalEyes(emotions=settings.rules.emotions is not EmotionRule.OFF)


def warm_up(eyes: Vision) -> None:
    """Run each network once on an empty picture: the first run takes several times as long. VisionFailed.

    It belongs to the thread that looks, before the first frame.
    """
    import numpy as np  # noqa: PLC0415

    from smileaccess.model import Box, Face, Frame, Quality  # noqa: PLC0415

    frame = Frame(np.zeros((480, 640, 3), np.uint8), 0, 0.0)
    eyes.look(frame)
    places = ((0.45, 0.45), (0.55, 0.45), (0.5, 0.5), (0.46, 0.56), (0.54, 0.56))
    eyes.embed(frame, Face(Box(0.4, 0.3, 0.2, 0.35), 1.0, 0, places, Quality(0, 0, 0, 0)))
    eyes.reset()


def make_recognizer(settings: Settings, eyes: Vision, keys: KeyRing) -> Recognizer:  # noqa: ARG001 -- one kind so far
    """Make the recognizer of the settings, which knows nobody before `use`; KeysError without the templates' key."""
    from smileaccess.membership import unseal_template  # noqa: PLC0415
    from smileaccess.recognizers.embedded import EmbeddedRecognizer  # noqa: PLC0415 -- numpy

    key = keys.templates

    def unseal(member: Member, template: Template) -> Vector:
        return unseal_template(template.sealed, member.id, template.id, template.model, key)

    return EmbeddedRecognizer(eyes, unseal)


def make_camera(settings: Settings, clock: Clock) -> Camera:
    """Make the camera of the settings; it is opened by `start`."""
    camera = settings.camera
    if camera.kind == "reel":
        from smileaccess.cameras.reel import FolderClip, ReelCamera  # noqa: PLC0415
        from smileaccess.vision.pictures import load_picture  # noqa: PLC0415

        return ReelCamera(FolderClip(Path(camera.path), load_picture, camera.fps), clock, camera.fps)
    from smileaccess.cameras.webcam import WebcamCamera  # noqa: PLC0415

    return WebcamCamera(camera.device, (camera.width, camera.height), clock)


def make_registry(settings: Settings, keys: KeyRing, spool: Spool, clock: Clock, who: str) -> Registry:
    """Make what changes members, on behalf of the system user `who`; KeysError without the enroller's two halves."""
    from smileaccess.registry import Registry  # noqa: PLC0415

    return Registry(spool, keys.enroller, keys.enroller_public, settings.door.name, clock, who)


def make_desk(settings: Settings, keys: KeyRing, registry: Registry, eyes: Vision) -> Desk:
    """Make what enrolls people, with a recognizer of its own; KeysError without the templates' key."""
    from smileaccess.enrollment import Desk  # noqa: PLC0415

    return Desk(
        registry,
        eyes,
        make_recognizer(settings, eyes, keys),
        keys.templates,
        settings.limits(),
        settings.enrollment_limits(),
        threshold=settings.recognition.threshold,
        timeout_s=ENROLL_TIMEOUT_S,
    )
