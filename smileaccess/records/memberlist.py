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
