"""The installation that is looked at: its settings, and the ways to the world, which a test replaces.

It opens what a check asks for and changes none of it.
"""

from __future__ import annotations

import contextlib
import grp
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from smileaccess import wiring
from smileaccess.clock import SystemClock
from smileaccess.keys import KeyKind

if TYPE_CHECKING:
    from smileaccess.doctor.asking import Asker
    from smileaccess.membership import Roster
    from smileaccess.ports import Camera, Clock, Vision
    from smileaccess.recognizers.cloud import Service
    from smileaccess.records.spool import Spool
    from smileaccess.settings import Settings

CALL_S = 5.0
"""Seconds that one call of the service may take: longer than any door waits for it."""

WATCH_S = 1.0
"""Seconds for which the camera's frames are counted."""

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Volume:
    """The file system that a folder lies on; `free_inodes` is None where it has no fixed number of them."""

    kind: str
    free_bytes: int
    free_inodes: int | None


def group_exists(name: str) -> bool:
    """Say whether the system knows a group of this name."""
    try:
        grp.getgrnam(name)
    except (KeyError, ValueError):
        return False
    return True


def volume_of(folder: Path) -> Volume:
    """Return the file system of a folder that exists; OSError."""
    free = os.statvfs(folder)
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    inodes = free.f_favail if free.f_files else None
    return Volume(kind_of(folder.resolve(), mounts), free.f_bavail * free.f_frsize, inodes)


def kind_of(folder: Path, mounts: str) -> str:
    """Return the kind of file system that a folder lies on, by the lines of /proc/self/mountinfo (proc(5)).

    The longest mount point above it counts, and of several in one place the last.
    """
    best, kind = -1, "unknown"
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), before.split(" ")[4]))
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split(" ")[0]
    return kind


@dataclass(slots=True, kw_only=True)
class Site:
    """One installation, for one round of checks.

    `path` is the settings file, `cloud` says whether Amazon Rekognition may be asked, `interactive` whether somebody
    sits at standard input. The rest is the world as the checks reach it. What is costly is made once, and let go of by
    `close`.
    """

    settings: Settings
    path: Path
    cloud: bool = True
    interactive: bool = False
    clock: Clock = field(default_factory=SystemClock)
    user_id: int = field(default_factory=os.geteuid)
    has_group: Callable[[str], bool] = group_exists
    volume: Callable[[Path], Volume] = volume_of
    make_camera: Callable[[Settings, Clock], Camera] = wiring.make_camera
    make_eyes: Callable[[Settings], Vision] = wiring.make_eyes
    make_service: Callable[[Settings, str], Service] = wiring.cloud_service
    call_s: float = CALL_S
    watch_s: float = WATCH_S
    unanswered: bool = False
    """Whether a check has found that the service does not answer this door, so that no other one asks it again."""
    _eyes: Vision | None = None
    _askers: dict[str, Asker] = field(default_factory=dict)

    @property
    def asks_cloud(self) -> bool:
        """Whether Amazon Rekognition is to be asked."""
        return self.cloud and self.settings.recognition.cloud

    @contextlib.contextmanager
    def records(self) -> Iterator[Spool]:
        """Open the door's record, which must be there; KeysError, RecordsUnavailable, RecordsFailed."""
        keys = wiring.load_keys(self.settings, {KeyKind.CHAIN})
        with contextlib.closing(wiring.open_spool(self.settings, keys, must_exist=True)) as spool:
            yield spool

    def roster(self) -> Roster:
        """Read the members' list; KeysError, RecordsUnavailable, RecordsFailed."""
        from smileaccess.membership import load_roster  # noqa: PLC0415

        public = wiring.load_keys(self.settings, {KeyKind.ENROLLER_PUBLIC}).enroller_public
        with self.records() as spool:
            return load_roster(spool, public)

    def eyes(self) -> Vision:
        """Return the local eyes, loaded once; VisionFailed."""
        if self._eyes is None:
            self._eyes = self.make_eyes(self.settings)
        return self._eyes

    def asker(self, profile: str) -> Asker:
        """Return what asks the service with a profile's credentials, made once.

        RecognizerUnavailable without boto3, ServiceError where the credentials or certificates cannot be used.
        """
        from smileaccess.doctor.asking import Asker  # noqa: PLC0415 -- boto3

        if profile not in self._askers:
            self._askers[profile] = Asker(self.make_service(self.settings, profile), self.clock, self.call_s)
        return self._askers[profile]

    def close(self) -> None:
        """Let go of eyes and connections."""
        if self._eyes is not None:
            self._eyes.close()
        for asker in self._askers.values():
            asker.close()
