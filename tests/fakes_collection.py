"""A hand-written Collection for painted faces; it is told what goes wrong."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from smileaccess.errors import CollectionError, CollectionUnavailable, FaceNotIndexed
from smileaccess.model import Face, FaceMatch, Frame, IndexedFace
from tests.fakes_vision import FakeVision

if TYPE_CHECKING:
    from smileaccess.model import Vector

SMALLEST_PX = 60.0
THEN = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Stored:
    label: str
    vector: Vector
    digest: str
    found_from: int


class FakeCollection:
    """Fulfils ports.Collection; a face of the same person has a similarity of 99.8, of the same picture 100.

    `errors` are raised by the methods of those names; `late` is how many searches pass before a face that was just
    indexed is found; `log` holds what was asked, in order.
    """

    def __init__(self, name: str = "people") -> None:
        self.name = name
        self.stored: dict[str, Stored] = {}
        self.errors: dict[str, CollectionError] = {}
        self.late = 0
        self.searches = 0
        self.log: list[str] = []
        self._vision = FakeVision()

    def index(self, frame: Frame, face: Face, member_id: str) -> IndexedFace:
        self._begin("index")
        seen = [each for each in self._vision.look(frame).faces if each.box.same_place(face.box)]
        if not seen:
            raise FaceNotIndexed("no face: look straight at the camera")
        if seen[0].quality.size_px < SMALLEST_PX:
            raise FaceNotIndexed("face too small: come closer")
        return self._indexed(self._keep(frame, face, member_id))

    def search(self, frame: Frame, face: Face) -> tuple[FaceMatch, ...]:
        self._begin("search")
        self.searches += 1
        if not any(each.box.same_place(face.box) for each in self._vision.look(frame).faces):
            return ()
        vector, digest = self._vision.embed(frame, face), digest_of(frame)
        matches = [
            FaceMatch(face_id, 100.0 if one.digest == digest else 99.8)
            for face_id, one in self.stored.items()
            if float(one.vector @ vector) > 0.5 and one.found_from < self.searches
        ]
        return tuple(sorted(matches, key=lambda match: -match.similarity))

    def remove(self, face_ids: Sequence[str]) -> None:
        self._begin("remove")
        for face_id in face_ids:
            self.stored.pop(face_id, None)

    def faces(self) -> Iterator[tuple[str, str]]:
        self._begin("faces")
        for face_id, one in self.stored.items():
            yield face_id, one.label

    def fail(self, *methods: str) -> None:
        """Let these methods fail until told otherwise."""
        self.errors = {method: CollectionUnavailable("told to fail") for method in methods}

    def labels(self) -> list[str]:
        return [one.label for one in self.stored.values()]

    def _begin(self, method: str) -> None:
        self.log.append(method)
        if method in self.errors:
            raise self.errors[method]

    def _keep(self, frame: Frame, face: Face, label: str) -> str:
        digest = digest_of(frame)
        for face_id, one in self.stored.items():
            if (one.digest, one.label) == (digest, label):
                return face_id
        face_id = str(uuid.uuid4())
        self.stored[face_id] = Stored(label, self._vision.embed(frame, face), digest, self.searches + self.late)
        return face_id

    def _indexed(self, face_id: str) -> IndexedFace:
        return IndexedFace(face_id, self.name, "7.0", THEN)


def digest_of(frame: Frame) -> str:
    return hashlib.sha256(frame.pixels.tobytes()).hexdigest()
