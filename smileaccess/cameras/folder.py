"""A folder that something else fills with pictures, each new one a frame and a trigger; it never writes nor deletes."""

from __future__ import annotations

import os
import stat
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from smileaccess.cameras.framing import WHOLE, Framing
from smileaccess.cameras.reading import CLOSE_S, RETRY_S, Shot, ThreadedCamera, Timing
from smileaccess.errors import CameraUnavailable, PictureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from threading import Event

    from smileaccess.model import Pixels
    from smileaccess.ports import Clock

log = structlog.get_logger(__name__)

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})

POLL_S = 0.2
"""Pause between two looks. Looks, and no notice by the kernel, since there is none of what a network share's other end
writes."""

OPEN_S = 5.0
"""How long `start` waits for the first look: a network share may sleep."""

STALL_S = 20.0
"""A look that takes longer is at a share that is gone."""

FRESH_S = 5.0
"""An older picture shows who stood there, not who stands there."""

MOST_FILES = 20_000
"""Pictures in one folder; a look at so many takes about a tenth of a second, and the pause grows with that."""

MOST_AT_ONCE = 5
"""Of pictures that come all at once the newest so many are read; the others are passed over."""

_REST = 10
"""A pause is at least so many times as long as the look before it."""

Print = tuple[int, int, int]
"""What changes when a file is written to or replaced: size, time of the last change in ns, inode."""


class FolderSource:
    """Fulfils reading.Source over a folder's listing.

    A picture counts when two looks in a row found it of the same size and time, and it can be read. What was there at
    the first look is not new.
    """

    def __init__(
        self,
        directory: Path,
        load: Callable[[Path], Pixels],
        clock: Clock,
        on_picture: Callable[[], None],
        poll_s: float,
        most_files: int = MOST_FILES,
        hold_s: float = 0.0,
    ) -> None:
        """Look at the folder for the first time; CameraUnavailable.

        A picture is given again with each look for `hold_s` seconds, unless a newer one has come.
        """
        self._directory = directory
        self._load = load
        self._clock = clock
        self._on_picture = on_picture
        self._poll_s = self._pause_s = poll_s
        self._most_files = most_files
        self._done = self._looked()
        self._before = self._done
        self._ready: list[Path] = []
        self._owed = False
        self._hold_s = hold_s
        self._held: Pixels | None = None
        self._held_until = 0.0
        self.told = f"{len(self._done)} pictures there before"

    def next(self, stop: Event) -> Shot | None:
        """Return the next new picture, None where there is none at this look; CameraUnavailable for a folder gone."""
        if self._owed:  # the picture before is a frame by now: whoever is told finds it
            self._owed = False
            self._on_picture()
        if not self._ready:
            stop.wait(self._pause_s)
            self._ready = self._found()
        while self._ready and not stop.is_set():
            path = self._ready.pop(0)
            try:
                pixels = self._load(path)
            except PictureError as error:
                log.warning(
                    "a picture is passed over", kind="picture_skipped", folder=str(self._directory), error=str(error)
                )
                continue
            self._owed = True
            self._held, self._held_until = pixels, self._clock.monotonic() + self._hold_s
            self.told = f"{path.suffix.lower()[1:]} of {pixels.shape[1]}x{pixels.shape[0]}"
            return Shot(pixels)
        if self._held is not None and self._clock.monotonic() < self._held_until:
            return Shot(self._held)
        self._held = None
        return None

    def release(self) -> None:
        """Do nothing: nothing is open between two looks."""

    def _found(self) -> list[Path]:
        """Return the pictures that are new and complete since the last look, the newest few, oldest first."""
        now = self._looked()
        new = {name: file for name, file in now.items() if self._done.get(name) != file == self._before.get(name)}
        self._before = now
        self._done = {name: file for name, file in self._done.items() if name in now} | new
        by_age = sorted(new, key=lambda name: (new[name][1], name))
        return [self._directory / name for name in by_age[-MOST_AT_ONCE:]]

    def _looked(self) -> dict[str, Print]:
        began = self._clock.monotonic()
        try:
            with os.scandir(self._directory) as entries:
                files = dict(islice(_prints(entries), self._most_files + 1))
        except OSError as error:
            raise CameraUnavailable(
                f"folder {self._directory}: {error.strerror}: [camera] path must be a folder that this user may read"
            ) from error
        if len(files) > self._most_files:
            raise CameraUnavailable(
                f"folder {self._directory}: holds more than {self._most_files} pictures: move old ones elsewhere"
            )
        self._pause_s = max(self._poll_s, _REST * (self._clock.monotonic() - began))
        return files


def _prints(entries: Iterator[os.DirEntry[str]]) -> Iterator[tuple[str, Print]]:
    """Yield what tells the state of each picture file; one that vanishes meanwhile is none."""
    for entry in entries:
        if Path(entry.name).suffix.lower() not in SUFFIXES or entry.name.startswith("."):
            continue
        try:
            status = entry.stat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(status.st_mode):
            yield entry.name, (status.st_size, status.st_mtime_ns, status.st_ino)


class FolderCamera(ThreadedCamera):
    """Pictures that something else puts into a folder; see ThreadedCamera for its threads.

    A picture is a frame again and again, as somebody who stands still would be, but for a few seconds only: `read` does
    not take an old picture for what is before the door now.
    """

    def __init__(
        self,
        path: Path,
        load: Callable[[Path], Pixels],
        clock: Clock,
        *,
        on_picture: Callable[[], None],
        rotation: int = 0,
        region: tuple[float, float, float, float] = WHOLE,
        poll_s: float = POLL_S,
        fresh_s: float = FRESH_S,
        open_s: float = OPEN_S,
        stall_s: float = STALL_S,
        retry_s: Sequence[float] = RETRY_S,
        close_s: float = CLOSE_S,
    ) -> None:
        """Take the folder, and what reads a picture file as BGR (PictureError where it cannot).

        `on_picture` is called on the camera's thread for each new picture, and only enqueues.
        """
        super().__init__(
            f"folder {path}",
            lambda: FolderSource(path, load, clock, on_picture, poll_s, hold_s=fresh_s),
            clock,
            Timing(open_s, stall_s=stall_s, retry_s=retry_s, close_s=close_s, fresh_s=fresh_s),
            Framing(rotation, region),
            waits_for_frame=False,
        )
