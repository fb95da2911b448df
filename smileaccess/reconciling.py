"""Compares the signed members with the faces of a collection, both ways, and mends what differs; nobody gets in by it.

A face of the collection that the enroller has not signed means nobody, whatever its label: it is removed, never signed.
A use case: it knows ports, membership, registry, model and errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from smileaccess.errors import RecordsFailed
from smileaccess.model import DoorEvent, Member, MemberStatus, uuid7

if TYPE_CHECKING:
    from smileaccess.membership import Roster
    from smileaccess.ports import Collection, EventWriter
    from smileaccess.registry import Registry


class Label(StrEnum):
    """Whom the label of an unsigned face names; anybody who may index faces may write any label."""

    MEMBER = "a member"
    FORGOTTEN = "a forgotten member"
    UNKNOWN = "nobody known here"


@dataclass(frozen=True, slots=True)
class Orphan:
    """A face of the collection that is in no living member's signed list; `label` is what it was indexed under."""

    face_id: str
    label: str
    names: Label


@dataclass(frozen=True, slots=True)
class Missing:
    """A living member's signed faces that the collection lacks."""

    member: Member
    face_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Differences:
    """What a comparison found; `unverified` counts stored members that do not verify, whose faces nobody can tell.

    `without` are living members who have no face in the collection. `listed` counts the collection's faces, `signed`
    those of it that are signed.
    """

    collection: str
    listed: int
    signed: int
    orphans: tuple[Orphan, ...] = ()
    missing: tuple[Missing, ...] = ()
    without: tuple[Member, ...] = ()
    unverified: int = 0

    @property
    def agree(self) -> bool:
        """Whether both sides say the same."""
        return not (self.orphans or self.missing or self.without or self.unverified)


@dataclass(frozen=True, slots=True)
class Repair:
    """What was mended: how many faces were removed, the members signed anew, and those to be enrolled again."""

    removed: int
    resigned: tuple[Member, ...]
    enroll_again: tuple[Member, ...]


def compare(
    before: Sequence[Member], listed: Iterable[tuple[str, str]], after: Sequence[Member], collection: str
) -> Differences:
    """Compare a collection's faces (FaceId and label) with the members signed before and after they were listed.

    A face that was signed while the listing went on is neither an orphan nor missing.
    """
    found = dict(listed)
    early = {face_id for member in before for face_id in member.faces_in(collection)}
    late = {face_id: member for member in after for face_id in member.faces_in(collection)}
    gone = {face_id for face_id in late if face_id in early and face_id not in found}
    living = [member for member in after if member.status is not MemberStatus.FORGOTTEN]
    kinds = {each.id: Label.FORGOTTEN if each.status is MemberStatus.FORGOTTEN else Label.MEMBER for each in after}
    return Differences(
        collection,
        len(found),
        len(late),
        tuple(
            Orphan(face_id, label, kinds.get(label, Label.UNKNOWN))
            for face_id, label in found.items()
            if face_id not in late
        ),
        tuple(
            Missing(member, lost)
            for member in living
            if (lost := tuple(each for each in member.faces_in(collection) if each in gone))
        ),
        tuple(member for member in living if not set(member.faces_in(collection)) - gone),
    )


def examine(registry: Registry, name: str, listed: Iterable[tuple[str, str]]) -> Differences:
    """Compare the stored members with what is listed of the collection of this name, while it is being listed.

    CollectionUnavailable, CollectionFailed, RecordsUnavailable, RecordsFailed.
    """
    before = registry.roster()
    found = list(listed)
    after = registry.roster()
    differences = compare(before.members, found, after.members, name)
    return replace(differences, unverified=len(after.refused))


def repair(
    registry: Registry, events: EventWriter, collection: Collection, found: Differences, why: str = ""
) -> Repair:
    """Sign members without the faces that are missing, and remove the faces that nobody has signed, as found before.

    What has changed since is looked at again. RecordsFailed, with nothing changed, where stored members do not verify;
    CollectionUnavailable, CollectionFailed, RecordsUnavailable, RecordsFailed.
    """
    roster = registry.roster()
    _need_verified(roster)
    resigned = tuple(_resign(registry, member, lost, why) for member, lost in _still_missing(roster, found))
    signed = {face_id for member in roster.members for face_id in member.faces_in(collection.name)}
    orphans = [each.face_id for each in found.orphans if each.face_id not in signed]
    if orphans:
        collection.remove(orphans)
        detail = {"collection": collection.name, "removed": len(orphans)}
        kind, now = "collection_reconciled", registry.clock.now()
        events.add_event(DoorEvent(uuid7(), registry.door, now, kind, registry.who, why=why, detail=detail))
    newest = {member.id: member for member in (*roster.members, *resigned)}
    again = (newest[member.id] for member in found.without if member.id in newest)
    lacking = tuple(each for each in again if each.status is not MemberStatus.FORGOTTEN)
    return Repair(len(orphans), resigned, tuple(each for each in lacking if not each.faces_in(collection.name)))


def _need_verified(roster: Roster) -> None:
    if roster.refused:
        raise RecordsFailed(
            f"{len(roster.refused)} stored members do not verify, and their faces look like nobody's: nothing was "
            "changed: see `smileaccess members list`, and restore a backup or forget them by id first"
        )


def _still_missing(roster: Roster, found: Differences) -> Iterable[tuple[Member, set[str]]]:
    members = {member.id: member for member in roster.members}
    for each in found.missing:
        member = members.get(each.member.id)
        lost = set(each.face_ids)
        if member is not None and lost & set(member.faces_in(found.collection)):
            yield member, lost


def _resign(registry: Registry, member: Member, lost: set[str], why: str) -> Member:
    kept = tuple(face for face in member.faces if face.id not in lost)
    newer = replace(member, version=member.version + 1, faces=kept)
    registry.put(newer, "member_reconciled", why, {"missing_faces": len(member.faces) - len(kept)})
    return newer
