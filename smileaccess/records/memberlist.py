"""Stores members as signed documents with the highest version held of each; it never looks into a document.

The digest of those versions (the floors) is part of the chain's sealed state, so that neither can be put back alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from smileaccess.errors import RecordsFailed
from smileaccess.model import SignedMember
from smileaccess.records import chain
from smileaccess.records.chain import State
from smileaccess.records.database import Database


def stored(db: Database) -> list[SignedMember]:
    """Return every stored member as stored, in one snapshot."""
    with db.snapshot():
        members = db.all("SELECT id, version, document, signature FROM members")
        templates = db.all("SELECT id, member_id, sealed FROM templates")
    sealed: dict[str, dict[str, bytes]] = {}
    for row in templates:
        sealed.setdefault(row["member_id"], {})[row["id"]] = row["sealed"]
    return [SignedMember(**row, sealed=sealed.get(row["id"], {})) for row in members]


def fingerprint(db: Database) -> int:
    """Return a number made of everything that the list holds: 60 bits of a hash, so that any change shows."""
    with db.snapshot():
        rows = [
            [repr(sorted(row.items())) for row in db.all(f"SELECT * FROM {table} ORDER BY 1")]  # noqa: S608 -- ours
            for table in ("members", "templates", "member_floors")
        ]
    return int(hashlib.sha256(repr(rows).encode()).hexdigest()[:15], 16)


def floors(db: Database, state: State) -> dict[str, int]:
    """Return the highest version held of each member; RecordsFailed where they are not what was sealed."""
    found = {row["member_id"]: row["version"] for row in db.all("SELECT member_id, version FROM member_floors")}
    if _digest(db.key, found) != state.floors:
        raise RecordsFailed(f"records: {db.path}: the members' versions were altered: restore a backup")
    return found


def take(db: Database, state: State, member: SignedMember) -> State:
    """Insert or replace a member with what the list that this one follows holds; return the state to be kept.

    RecordsFailed for a version lower than the floor: what was deleted may come back, what is older may not.
    """
    held = floors(db, state)
    floor = held.get(member.id, 0)
    if member.version < floor:
        raise RecordsFailed(f"member {member.id}: version {member.version} is older than {floor}, which was held here")
    _replace(db, member)
    return replace(state, floors=_digest(db.key, {**held, member.id: member.version}))


def drop(db: Database, member_id: str) -> None:
    """Delete a member; its floor stays."""
    db.all("DELETE FROM templates WHERE member_id = ?", member_id)
    db.all("DELETE FROM members WHERE id = ?", member_id)


def note_synced(db: Database, at: str) -> None:
    """Keep, sealed, when the list was last found to be the one that it follows."""
    db.all("DELETE FROM following")
    db.insert("following", {"synced_at": at, "mac": chain.seal(db.key, "synced", at)})


def synced(db: Database) -> str | None:
    """Return when that was, None for never; RecordsFailed where it is not what was sealed."""
    found = db.all("SELECT synced_at, mac FROM following")
    if not found:
        return None
    at = str(found[0]["synced_at"])
    if len(found) > 1 or chain.seal(db.key, "synced", at) != found[0]["mac"]:
        raise RecordsFailed(f"records: {db.path}: the time of the last look at the members was altered")
    return at


def put(db: Database, state: State, member: SignedMember) -> State:
    """Insert or replace a member and raise its floor; return the state with the new floors, to be kept by the caller.

    RecordsFailed unless its version is greater than the stored one's and the floor's.
    """
    held = floors(db, state)
    _check_newer(db, member, held)
    _replace(db, member)
    return replace(state, floors=_digest(db.key, {**held, member.id: member.version}))


def _check_newer(db: Database, member: SignedMember, held: Mapping[str, int]) -> None:
    versions = [row["version"] for row in db.all("SELECT version FROM members WHERE id = ?", member.id)]
    newest = max([held.get(member.id, 0), *versions])
    if member.version <= newest:
        raise RecordsFailed(
            f"member {member.id}: version {member.version} is not newer than {newest}: "
            "somebody else changed the member; look again and repeat the change"
        )


def _replace(db: Database, member: SignedMember) -> None:
    db.all("DELETE FROM templates WHERE member_id = ?", member.id)
    db.all(
        "INSERT INTO members (id, version, document, signature) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
        "SET version = excluded.version, document = excluded.document, signature = excluded.signature",
        member.id,
        member.version,
        member.document,
        member.signature,
    )
    for template_id, sealed in member.sealed.items():
        db.insert("templates", {"id": template_id, "member_id": member.id, "sealed": sealed})
    db.all(
        "INSERT INTO member_floors (member_id, version) VALUES (?, ?) "
        "ON CONFLICT (member_id) DO UPDATE SET version = excluded.version",
        member.id,
        member.version,
    )


def _digest(key: bytes, versions: Mapping[str, int]) -> str:
    """Return the sealed digest, or nothing for an id that is no text and cannot have been sealed."""
    try:
        return chain.seal(key, "floors", dict(versions))
    except ValueError:
        return ""
