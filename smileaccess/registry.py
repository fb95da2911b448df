"""Changes members that are enrolled, each change signed anew and on record; it never touches a picture or a template.

Of a collection's faces it only removes those of a member who is forgotten.

A use case: it knows ports, membership, model and errors, and is used by the command line and by enrollment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from smileaccess.confirming import Confirmed, await_doors
from smileaccess.errors import (
    CollectionError,
    CollectionGone,
    EnrollmentRefused,
    MemberNotFound,
    RecordsError,
    RecordsFailed,
)
from smileaccess.membership import Roster, clean_name, forgotten, load_roster, sign
from smileaccess.model import DOOR_NAME, Consent, DoorEvent, Gesture, Member, MemberStatus, uuid7
from smileaccess.schedules import GROUP_NAME, Schedule

if TYPE_CHECKING:
    from smileaccess.ports import Clock, Collection, Confirmations, Members, RecordReader


@dataclass(frozen=True, slots=True)
class Registry:
    """The members' list and what is needed to change it.

    `private` and `public` are the halves of the enroller's key, raw; `who` is the system user on whose behalf.
    """

    members: Members
    private: bytes
    public: bytes
    door: str
    clock: Clock
    who: str

    def roster(self) -> Roster:
        """Read the stored members, keeping those that verify; RecordsUnavailable, RecordsFailed."""
        return load_roster(self.members, self.public)

    def put(self, member: Member, kind: str, why: str, detail: Mapping[str, Any] | None = None) -> DoorEvent:
        """Sign and store a member with the event `kind`, both or neither, and return the event.

        RecordsFailed where somebody else changed the member meanwhile.
        """
        told = {"member": member.id, "version": member.version, **(detail or {})}
        event = DoorEvent(uuid7(), self.door, self.clock.now(), kind, self.who, why=why, detail=told)
        self.members.put_member(sign(member, self.private), event)
        return event


@dataclass(frozen=True, slots=True)
class FacesLeft:
    """Faces of a forgotten member that are still in a collection, though they mean nobody there, and why."""

    collection: str
    count: int
    why: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What `forget` did: the person's data that were erased, when, by whom, and which rows keep the random id.

    `faces` were removed from the collection, `faces_left` were not. `attempts` counts the attempts on record in which
    the id stands (as the member, or as a candidate), `events` the door events; `event_id` is the one that put the
    forgetting itself on record. Where not `erased`, bytes of it are still in the database's file, since somebody reads
    it: `erase` again. `doors` says which doors have taken it over, None where no others follow this list or, with
    `doors_unknown`, where that could not be asked.
    """

    member_id: str
    name: str
    forgotten_at: datetime
    who: str
    event_id: str
    templates: int
    consent: Consent | None
    limited: bool
    attempts: int
    events: int
    erased: bool
    faces: int = 0
    faces_left: tuple[FacesLeft, ...] = ()
    doors: Confirmed | None = None
    doors_unknown: str = ""


def find(members: Iterable[Member], wanted: str) -> Member:
    """Return the member with this id, exact name, or unambiguous beginning of an id, in this order.

    Forgotten members are found by their whole id only. MemberNotFound names the choices where there are several.
    """
    known = list(members)
    for member in known:
        if member.id == wanted:
            return member
    living = [member for member in known if member.status is not MemberStatus.FORGOTTEN]
    for found in (named(living, wanted), [member for member in living if wanted and member.id.startswith(wanted)]):
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(member.id for member in found[:5])
            raise MemberNotFound(f"member {wanted!r}: {len(found)} fit ({ids}): give one of the ids")
    raise MemberNotFound(f"member {wanted!r}: there is none: see `smileaccess members list`")


def named(members: Iterable[Member], name: str) -> list[Member]:
    """Return the members with exactly this name, however it was typed in Unicode."""
    try:
        cleaned = clean_name(name)
    except EnrollmentRefused:
        return []
    return [member for member in members if member.name == cleaned]


def rename(registry: Registry, member: Member, name: str, why: str = "", *, allow_duplicate: bool = False) -> Member:
    """Give a member another name; EnrollmentRefused for one that cannot be kept, changes nothing, or is another's."""
    cleaned = clean_name(name)
    if cleaned == member.name:
        raise EnrollmentRefused(f"member {member.id}: has this name already")
    others = [each for each in named(registry.roster().members, cleaned) if each.id != member.id]
    if others and not allow_duplicate:
        raise EnrollmentRefused(
            f"{cleaned}: this is the name of {others[0].id} already: give another name, or --allow-duplicate if they "
            "are namesakes"
        )
    return _changed(registry, replace(_living(member), name=cleaned), "member_renamed", why)


def disable(registry: Registry, member: Member, why: str = "") -> Member:
    """Keep a member out until enabled again; EnrollmentRefused where that is so already."""
    return _set_status(registry, member, MemberStatus.DISABLED, "member_disabled", why)


def enable(registry: Registry, member: Member, why: str = "") -> Member:
    """Let a disabled member in again; EnrollmentRefused where that is so already."""
    return _set_status(registry, member, MemberStatus.ACTIVE, "member_enabled", why)


def set_validity(
    registry: Registry, member: Member, valid_from: datetime | None, valid_until: datetime | None, why: str = ""
) -> Member:
    """Set from when until when (UTC, None for no limit) a member may come in; EnrollmentRefused for an empty span."""
    check_validity(valid_from, valid_until)
    changed = replace(_living(member), valid_from=valid_from, valid_until=valid_until)
    return _changed(registry, changed, "member_validity", why)


def set_schedule(registry: Registry, member: Member, schedule: Schedule | None, why: str = "") -> Member:
    """Set when in a week a member may come in, None for whenever; EnrollmentRefused where that is so already."""
    return _limited(registry, member, replace(_living(member), schedule=schedule), "member_schedule", why)


def set_groups(registry: Registry, member: Member, groups: Iterable[str], why: str = "") -> Member:
    """Set the groups, by their names, whose schedules hold for a member too; EnrollmentRefused for no such name."""
    names = tuple(sorted(set(groups)))
    check_groups(names)
    return _limited(registry, member, replace(_living(member), groups=names), "member_groups", why)


def check_groups(groups: Iterable[str]) -> None:
    """Refuse what cannot be a group's name; EnrollmentRefused."""
    for name in groups:
        if not GROUP_NAME.fullmatch(name):
            raise EnrollmentRefused(f"group {name!r}: must be called by 1 to 40 of a to z, 0 to 9, - and _")


def check_doors(doors: Iterable[str]) -> None:
    """Refuse what cannot be a door's name; EnrollmentRefused."""
    for name in doors:
        if not DOOR_NAME.fullmatch(name):
            raise EnrollmentRefused(f"door {name!r}: a door's name is 1 to 64 letters, digits, . _ or -")


def set_doors(registry: Registry, member: Member, doors: Iterable[str] | None, why: str = "") -> Member:
    """Set the doors, by their names, at which a member may come in, None for all; EnrollmentRefused for none."""
    names = None if doors is None else tuple(sorted(set(doors)))
    check_doors(names or ())
    if names == ():
        raise EnrollmentRefused(f"member {member.id}: no door is left: disable the member instead")
    return _limited(registry, member, replace(_living(member), doors=names), "member_doors", why)


def set_gesture(registry: Registry, member: Member, gesture: Gesture, why: str = "") -> Member:
    """Set what a member shows on the cue; EnrollmentRefused where that is so already."""
    return _limited(registry, member, replace(_living(member), gesture=gesture), "member_gesture", why)


def set_least_similarity(registry: Registry, member: Member, least: float | None, why: str = "") -> Member:
    """Set a member's own threshold (0..100), None for the door's; EnrollmentRefused for any other number."""
    if least is not None and not 0 <= least <= 100:
        raise EnrollmentRefused(f"similarity {least:g}: must be between 0 and 100")
    changed = replace(_living(member), least_similarity=None if least is None else float(least))
    return _limited(registry, member, changed, "member_similarity", why)


def check_validity(valid_from: datetime | None, valid_until: datetime | None) -> None:
    """Refuse a span that never holds; EnrollmentRefused."""
    if valid_from is not None and valid_until is not None and valid_from >= valid_until:
        raise EnrollmentRefused(
            f"validity: from {valid_from} until {valid_until}: the end must come after the beginning"
        )


def forget(
    registry: Registry,
    member: Member,
    records: RecordReader,
    why: str = "",
    *,
    collection: Collection | None = None,
    no_collection: str = "the settings name no collection",
    confirmations: Confirmations | None = None,
    again: Callable[[Confirmed], bool] = lambda _: False,
) -> Receipt:
    """Erase name, consent, limits, templates and faces of a member for good, and say what was erased.

    The id stays retired under a signed tombstone; from then on the faces mean nobody, and those of `collection` are
    removed. What cannot be is in the receipt, with `no_collection` where there is none to ask. Rows on record keep the
    id, and it then means nobody. With `confirmations` it is waited until all doors have taken it over, or `again`,
    which waits, says that it was long enough. RecordsUnavailable, RecordsFailed.
    """
    tombstone = forgotten(_living(member))
    counts = {"templates": len(member.templates), **({"faces": len(member.faces)} if member.faces else {})}
    event = registry.put(tombstone, "member_forgotten", why, counts)
    left = _removed(member, collection, no_collection)
    attempts, events = records.mentions(member.id)
    doors, unknown = taken_over(confirmations, tombstone, again)
    return Receipt(
        member_id=member.id,
        name=member.name,
        forgotten_at=event.at,
        who=event.who,
        event_id=event.id,
        templates=len(member.templates),
        consent=member.consent,
        limited=member.limited,
        attempts=attempts,
        events=events,
        erased=registry.members.erase(),
        faces=len(member.faces) - sum(each.count for each in left),
        faces_left=left,
        doors=doors,
        doors_unknown=unknown,
    )


def taken_over(
    confirmations: Confirmations | None, member: Member, again: Callable[[Confirmed], bool]
) -> tuple[Confirmed | None, str]:
    """Return which doors have taken this version of a member over, waiting as `again` says, or why that is unknown."""
    if confirmations is None:
        return None, ""
    try:
        return await_doors(confirmations, member.id, member.version, again), ""
    except RecordsError as error:  # the change itself was made: what is left is to look again later
        return None, str(error)


def _removed(member: Member, collection: Collection | None, no_collection: str) -> tuple[FacesLeft, ...]:
    """Remove a member's faces, and return those that could not be."""
    left = []
    for name in dict.fromkeys(face.collection for face in member.faces):
        ids = list(member.faces_in(name))
        if collection is None:
            left.append(FacesLeft(name, len(ids), no_collection))
        elif collection.name != name:
            left.append(FacesLeft(name, len(ids), f"the settings name another collection, {collection.name}"))
        else:
            try:
                collection.remove(ids)
            except CollectionGone:
                told = (
                    "it is not there, so that its faces went with it, unless [rekognition] region or endpoint is wrong"
                )
                left.append(FacesLeft(name, len(ids), told))
            except CollectionError as error:
                left.append(FacesLeft(name, len(ids), str(error)))
    return tuple(left)


def unverified(registry: Registry, member_id: str) -> Member:
    """Return a stand-in, with the newest version on record, for a stored member that does not verify.

    It serves to forget such a member; MemberNotFound where the database holds none of this whole id.
    """
    stored = {signed.id: signed for signed in registry.members.signed_members()}
    floor = registry.members.floors().get(member_id, 0)
    signed = stored.get(member_id)
    if signed is None and not floor:
        raise MemberNotFound(f"member {member_id!r}: there is none: see `smileaccess members list`")
    version = max(floor, signed.version if signed else 0)
    return Member(member_id, version, "", MemberStatus.DISABLED, registry.clock.now(), None)


def _set_status(registry: Registry, member: Member, status: MemberStatus, kind: str, why: str) -> Member:
    if _living(member).status is status:
        raise EnrollmentRefused(f"member {member.id}: is {status.value} already")
    return _changed(registry, replace(member, status=status), kind, why)


def _limited(registry: Registry, member: Member, changed: Member, kind: str, why: str) -> Member:
    if changed == member:
        raise EnrollmentRefused(f"member {member.id}: is so already: nothing was changed")
    return _changed(registry, changed, kind, why)


def _changed(registry: Registry, member: Member, kind: str, why: str) -> Member:
    newer = replace(member, version=member.version + 1)
    registry.put(newer, kind, why)
    return newer


def _living(member: Member) -> Member:
    if member.status is MemberStatus.FORGOTTEN:
        raise MemberNotFound(f"member {member.id}: was forgotten: nothing is left to change")
    if member.version < 1:
        raise RecordsFailed(f"member {member.id}: version {member.version}: restore a backup of the database")
    return member
