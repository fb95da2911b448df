"""What the local eyes see in picture files, once a picture: the same networks and gates as at enrollment and the door.

A picture is taken as it is, scaled down only as for enrollment. Nothing that shows a face goes on from here: what is
kept of a picture is what was measured of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from smileaccess.errors import PictureError
from smileaccess.evaluation.cache import NOTHING, Cache
from smileaccess.evaluation.cores import each
from smileaccess.model import Frame, Sight
from smileaccess.vision.eyes import LocalEyes
from smileaccess.vision.pictures import MOST_BYTES, load_picture

if TYPE_CHECKING:
    from smileaccess.model import Vector


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is known of one picture file.

    `sight` is without pixels and meshes, and None where the file could not be read, of which `error` tells;
    `embedding` is that of the largest face, where there is one.
    """

    path: str
    sight: Sight | None
    embedding: Vector | None = None
    error: str = ""


def look_at(
    paths: Sequence[Path], *, emotions: bool, cache: Path | None, jobs: int, looked: Callable[[], None] = lambda: None
) -> list[Seen]:
    """Return what is seen in each file, in order; `looked` is called after each. VisionFailed.

    `emotions` as for LocalEyes; `cache` is the folder of what was seen before, None for none.
    """
    return list(_told(each(partial(Looker, emotions, cache), [str(path) for path in paths], jobs), looked))


def _told(found: Iterator[Seen], looked: Callable[[], None]) -> Iterator[Seen]:
    for seen in found:
        looked()
        yield seen


class Looker:
    """Looks at one picture file after the other; one thread. The networks are loaded when they are first needed."""

    def __init__(self, emotions: bool, cache: Path | None) -> None:
        self._emotions = emotions
        self._cache = None if cache is None else Cache(cache, emotions=emotions)
        self._eyes: LocalEyes | None = None

    def __call__(self, path: str) -> Seen:
        """Return what is seen in a file; VisionFailed."""
        content = b"" if self._cache is None else _content(path)
        known = None if self._cache is None else self._cache.get(content)
        if known is None:
            try:
                known = self._looked(Frame(load_picture(path), 1, 0.0))
            except PictureError as error:
                return Seen(path, None, error=str(error))
            if self._cache is not None:
                self._cache.put(content, *known)
        return Seen(path, *known)

    def _looked(self, frame: Frame) -> tuple[Sight, Vector | None]:
        self._eyes = self._eyes or LocalEyes(emotions=self._emotions)
        self._eyes.reset()
        sight = self._eyes.look(frame)
        embedding = self._eyes.embed(frame, sight.faces[0]) if sight.faces else None
        faces = tuple(replace(face, mesh=None) for face in sight.faces)
        return Sight(NOTHING, faces, sight.brightness), embedding


def _content(path: str) -> bytes:
    """Return a file's bytes, none where reading the picture will tell what is wrong with it."""
    try:
        return Path(path).read_bytes() if Path(path).stat().st_size <= MOST_BYTES else b""
    except OSError:
        return b""
