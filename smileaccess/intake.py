"""Takes a person's pictures into a collection, searches for them there, and takes out again what must not stay.

A use case: it knows ports, the values of an enrollment, model and errors. It never signs anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from smileaccess.errors import CollectionError, EnrollmentRefused, FaceNotIndexed
from smileaccess.sitting import AGAIN, Conflict, Desk, Look, NoGoodPicture, Sitting

if TYPE_CHECKING:
    from smileaccess.model import IndexedFace, Member
    from smileaccess.ports import Collection

PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Waits between the tries of finding a face in the collection: one just indexed may not be found at once."""


@dataclass(slots=True, eq=False)
class Intake:
    """What one enrollment has put into the collection so far.

    `signed` are the member's faces from before, by id; `faces` those of this sitting's pictures, by place. Once it is
    `settled` they are signed and stored, and stay whatever happens after.
    """

    collection: Collection
    member_id: str
    signed: dict[str, IndexedFace]
    faces: dict[int, IndexedFace] = field(default_factory=dict)
    settled: bool = False

    def take(self, look: Look) -> IndexedFace:
        """Index a picture; FaceNotIndexed, CollectionError."""
        face = self.collection.index(look.frame, look.face, self.member_id)
        self.faces[look.place] = self.signed.get(face.id, face)
        return self.faces[look.place]

    def repeats(self, place: int) -> bool:
        """Say whether an earlier picture of this sitting is in the collection under the same id."""
        return any(face.id == self.faces[place].id for at, face in self.faces.items() if at < place)

    def new(self) -> tuple[IndexedFace, ...]:
        """Return the faces that are not signed yet, each once."""
        found = {face.id: face for face in self.faces.values() if face.id not in self.signed}
        return tuple(found.values())

    def keep(self, places: Iterable[int]) -> None:
        """Take all others out of the collection again; CollectionError."""
        kept = {place: self.faces[place] for place in places}
        own = {face.id for face in kept.values()}
        out = [face.id for face in self.new() if face.id not in own]
        if out:
            self.collection.remove(out)
        self.faces = kept


@contextmanager
def intake_of(desk: Desk, member: Member) -> Iterator[Intake | None]:
    """Give what puts faces into the collection, None without one; whatever goes wrong takes them out again."""
    if desk.collection is None:
        yield None
        return
    intake = Intake(desk.collection, member.id, member.faces_in(desk.collection.name))
    try:
        yield intake
    except BaseException as error:
        _undo(intake, error)
        raise


def _undo(intake: Intake, cause: BaseException) -> None:
    if intake.settled:
        return
    try:
        intake.keep(())
    except CollectionError as error:
        left = ", ".join(face.id for face in intake.new())
        told = (
            f"{str(cause) or type(cause).__name__}; left in collection {intake.collection.name}: {left} ({error}): "
            "remove these faces with `smileaccess members reconcile --repair`"
        )
        if isinstance(cause, NoGoodPicture):
            raise NoGoodPicture(told, cause.verdicts) from error
        raise EnrollmentRefused(told) from error


def take_in(sitting: Sitting, intake: Intake) -> None:
    """Index the pictures and find them again; one that is not good enough for the collection is put aside.

    EnrollmentRefused: the face is another member's (Conflict), no picture is left (NoGoodPicture). CollectionError.
    """
    if not sitting.request.allow_duplicate:
        _refuse_indexed(sitting, intake)
    sitting.put_aside(_index(sitting, intake))
    sitting.put_aside(_not_found_again(sitting, intake))


def _refuse_indexed(sitting: Sitting, intake: Intake) -> None:
    """Refuse a face that is in the collection as somebody else's; one that nobody has signed is only warned of."""
    collection = intake.collection
    owners = {face_id: each for each in sitting.members for face_id in each.faces_in(collection.name)}
    found = [match for look in sitting.looks for match in collection.search(look.frame, look.face)]
    alike = sorted(found, key=lambda match: -match.similarity)
    alike = [match for match in alike if match.similarity >= sitting.desk.cloud_threshold]
    others = [match for match in alike if match.face_id in owners and owners[match.face_id].id != intake.member_id]
    if others:
        other = owners[others[0].face_id]
        raise Conflict(
            f"{sitting.request.name}: this face is in collection {collection.name} already as {other.name} "
            f"({other.id}), similarity {others[0].similarity:.1f}",
            "add pictures under that name, or give --allow-duplicate",
        )
    if unsigned := {match.face_id for match in alike} - owners.keys():
        sitting.warnings.append(
            f"collection {collection.name} holds faces like this one that nobody has signed, and that let nobody in "
            f"({', '.join(sorted(unsigned))}): see `smileaccess members reconcile`"
        )


def _index(sitting: Sitting, intake: Intake) -> dict[int, str]:
    """Index each picture, and return which ones the service does not take, or has already."""
    remarks = {}
    for look in sitting.looks:
        try:
            face = intake.take(look)
        except FaceNotIndexed as error:
            remarks[look.place] = f"not indexed: {error}"
            continue
        if intake.repeats(look.place) or (look.place in sitting.known and face.id in intake.signed):
            remarks[look.place] = AGAIN
        sitting.verdicts[look.place] = replace(sitting.verdicts[look.place], indexed=face)
    return remarks


def _not_found_again(sitting: Sitting, intake: Intake) -> dict[int, str]:
    """Search with each picture until it finds a face of this sitting, for about 8 s; return which ones do not."""
    least, seen = sitting.desk.cloud_threshold, _seen_again(sitting, intake)
    kept = {look.place for look in sitting.looks}
    while True:
        own = {intake.faces[place].id for place in kept}
        values = {place: _most(seen[place], own) for place in seen}
        lost = {place for place in kept if values[place] < least}
        if not lost:
            break
        kept -= lost
    for place, value in values.items():
        sitting.verdicts[place] = replace(sitting.verdicts[place], cloud_similarity=value)
    name = intake.collection.name
    return {place: f"not found back in {name}: similarity {values[place]:.1f}" for place in seen.keys() - kept}


def _seen_again(sitting: Sitting, intake: Intake) -> dict[int, dict[str, float]]:
    """Return, a picture, the faces that it finds, with their similarity; what was just indexed may need a while."""
    desk, seen = sitting.desk, {}
    pending, own = list(sitting.looks), {intake.faces[look.place].id for look in sitting.looks}
    for pause in (0.0, *PAUSES_S):
        if pause:
            desk.wait(pause)
        for look in pending:
            found = intake.collection.search(look.frame, look.face)
            seen[look.place] = {match.face_id: match.similarity for match in found}
        pending = [look for look in pending if _most(seen[look.place], own) < desk.cloud_threshold]
        if not pending:
            break
    return seen


def _most(found: dict[str, float], own: set[str]) -> float:
    return max((value for face_id, value in found.items() if face_id in own), default=0.0)
