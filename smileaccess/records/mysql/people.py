"""Stores the members' list that all doors follow, and which of them have taken what over; it verifies nobody.

Signed documents are opaque, but that the columns for people are filled from them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from smileaccess.encoding import stamp
from smileaccess.errors import RecordsFailed, RecordsUnavailable, RowRefused, ShutOut
from smileaccess.model import DoorEvent, KnownDoor, SignedMember
from smileaccess.records import rows
from smileaccess.records.mysql import faults
from smileaccess.records.mysql.archive import TIMES, spelled
from smileaccess.records.mysql.link import Link
from smileaccess.records.mysql.reach import readable

TRIES = 3
"""How often a change is begun at most where a deadlock, a node of a cluster or a lost connection ends it."""

ASKED = 200
"""Ids that one statement asks for at most."""

READABLE = (
    *("version", "name", "status", "created_at", "consent_given_at", "consent_text", "valid_from", "valid_until"),
    *("doors", "schedule", "document", "signature", "changed_at"),
)
"""Columns of a member beside its id, in the order of `_columns`."""


class CentralMembers:
    """Members and CentralList on MySQL or MariaDB, for one thread at a time.

    It holds no floors but the versions stored: whoever deletes rows past us is found by the doors, which hold theirs.
    """

    def __init__(self, link: Link, door: str = "") -> None:
        """Take the connection; with a `door` its account is that door's, and reads through the doors' views."""
        self._link = link
        self._own = bool(door)
        self._names: dict[str, str] = {}

    def revision(self) -> int:
        """Return a number that differs after any change of the list: how many members, and all their versions.

        Versions only rise, so that the sum shows a change whatever the order in which changes are committed. Reads an
        index only.
        """
        found = self._link.all(f"SELECT COUNT(*) AS members, SUM(version) AS versions FROM {self._table('members')}")  # noqa: S608
        return (int(found[0]["members"]) << 48) + int(found[0]["versions"] or 0)

    def signed_members(self) -> list[SignedMember]:
        """Return every stored member as stored, in one statement and so in one snapshot: nothing is verified here."""
        return self._stored("", ())

    def fetch(self, ids: Sequence[str]) -> list[SignedMember]:
        """Return these members as stored, those that are there."""
        return [each for part in _parts(ids) for each in self._stored(f"{{}} IN ({_marks(part)})", part)]

    def versions(self) -> dict[str, int]:
        """Return every member's id and version."""
        found = self._link.all(f"SELECT id, version FROM {self._table('members')}")  # noqa: S608 -- our own names
        return {row["id"]: row["version"] for row in found}

    def floors(self) -> dict[str, int]:
        """Return the versions stored: no member is ever deleted here."""
        return self.versions()

    def erase(self) -> bool:
        """Say that nothing is left: what was replaced is gone from the tables, and the server's files are its own."""
        return True

    def put_member(self, member: SignedMember, event: DoorEvent) -> None:
        """Insert or replace a member with its faces and put the event on record, all or nothing.

        Also exactly once where a commit's answer is lost: then it is looked whether the change is there.
        RecordsFailed unless the version is greater than the stored one's, and for a document that is no member's;
        RecordsUnavailable.
        """
        columns, faces = _rows(member, event.at)
        told = _values(rows.event_columns(event))
        for left in reversed(range(TRIES)):
            try:
                self._put(member, columns, faces, told, again=left < TRIES - 1)
            except RecordsUnavailable as error:
                if not left or isinstance(error, ShutOut):
                    raise
            else:
                return

    def add_event(self, event: DoorEvent) -> None:
        """Put down an event that is no door's, or is of no door's chain; RecordsUnavailable, RecordsFailed."""
        told = _values(rows.event_columns(event))
        self._link.change(_insert("door_events", told), *told.values())

    def confirm(self, door: str, versions: Mapping[str, int], now: datetime) -> None:
        """Put down which versions this door holds; what was put down before is no error."""
        table, at = self._table("confirmations"), spelled(stamp(now))
        new = [(member_id, version, door, at) for member_id, version in self._unconfirmed(table, door, versions)]
        sql = f"INSERT INTO {table} (member_id, version, door, at) VALUES (%s, %s, %s, %s)"  # noqa: S608 -- our names
        try:
            if new:
                self._link.many(sql, new)
        except RowRefused as error:
            if error.code != faults.DUPLICATE:
                raise
            for row in new:  # another process of this door was first with some
                self._insert_unless_there(sql, row)

    def confirmed(self, member_id: str, version: int) -> dict[str, datetime]:
        """Return the doors that hold this version of a member or a newer one, and since when (UTC)."""
        found = self._link.all(
            f"SELECT door, MIN(at) AS since FROM {self._table('confirmations')} "  # noqa: S608 -- our own names
            "WHERE member_id = %s AND version >= %s GROUP BY door",
            member_id,
            version,
        )
        return {row["door"]: row["since"].replace(tzinfo=UTC) for row in found}

    def doors(self) -> list[KnownDoor]:
        """Return every door that was ever registered, by name, with when it was last heard of."""
        found = self._link.all(
            "SELECT name, revoked_at, (SELECT MAX(at) FROM contacts WHERE door = name) AS heard_at "
            "FROM doors ORDER BY name"
        )
        return [KnownDoor(row["name"], _aware(row["heard_at"]), _aware(row["revoked_at"])) for row in found]

    def _table(self, name: str) -> str:
        if name not in self._names:
            self._names[name] = f"own_{name}" if self._own else readable(self._link, name)
        return self._names[name]

    def _stored(self, test: str, ids: Sequence[str]) -> list[SignedMember]:
        """Return members whose id fits the test, which has {} for the column's name."""
        found = self._link.all(
            "SELECT id AS member_id, version, '' AS face_id, document AS content, signature "  # noqa: S608 -- our names
            f"FROM {self._table('members')} WHERE {test.format('id') or 'TRUE'} "
            "UNION ALL SELECT member_id, 0, id, sealed, '' "
            f"FROM {self._table('faces')} WHERE sealed IS NOT NULL AND {test.format('member_id') or 'TRUE'}",
            *ids,
            *ids,
        )
        sealed: dict[str, dict[str, bytes]] = {}
        for row in found:
            if row["face_id"]:
                sealed.setdefault(row["member_id"], {})[row["face_id"]] = row["content"]
        return [
            SignedMember(
                row["member_id"], row["version"], row["content"], row["signature"], sealed.get(row["member_id"], {})
            )
            for row in found
            if not row["face_id"]
        ]

    def _put(
        self,
        member: SignedMember,
        columns: Mapping[str, Any],
        faces: Sequence[Sequence[Any]],
        told: Mapping[str, Any],
        *,
        again: bool,
    ) -> None:
        with self._link.transaction():
            if not self._replace(member, columns):
                self._check_ours(member, again=again)
                return
            self._link.change("DELETE FROM faces WHERE member_id = %s", member.id)
            if faces:
                self._link.many(
                    "INSERT INTO faces (id, member_id, collection, model, added_at, sealed) "
                    "VALUES (%s, %s, %s, %s, %s, %s)",
                    faces,
                )
            self._link.change(_insert("door_events", told), *told.values())

    def _replace(self, member: SignedMember, columns: Mapping[str, Any]) -> bool:
        """Say whether the row is now this member's; not where its version is no newer than the stored one's."""
        settings = ", ".join(f"{name} = %s" for name in columns)
        sql = f"UPDATE members SET {settings} WHERE id = %s AND version < %s"  # noqa: S608 -- our own names
        if self._link.change(sql, *columns.values(), member.id, member.version):
            return True
        try:
            self._link.change(_insert("members", {"id": member.id, **columns}), member.id, *columns.values())
        except RowRefused as error:
            if error.code != faults.DUPLICATE:
                raise
            return False
        return True

    def _check_ours(self, member: SignedMember, *, again: bool) -> None:
        """Refuse a version that is not newer, unless an earlier try has stored just this one."""
        stored = self._link.all("SELECT version, document, signature FROM members WHERE id = %s", member.id)[0]
        ours = (stored["version"], stored["document"], stored["signature"])
        if not again or ours != (member.version, member.document, member.signature):
            raise RecordsFailed(
                f"member {member.id}: version {member.version} is not newer than {stored['version']}: "
                "somebody else changed the member; look again and repeat the change"
            )

    def _unconfirmed(self, table: str, door: str, versions: Mapping[str, int]) -> Iterator[tuple[str, int]]:
        for part in _parts(list(versions)):
            found = self._link.all(
                f"SELECT member_id, version FROM {table} WHERE door = %s AND member_id IN ({_marks(part)})",  # noqa: S608
                door,
                *part,
            )
            held = {(row["member_id"], row["version"]) for row in found}
            yield from ((each, versions[each]) for each in part if (each, versions[each]) not in held)

    def _insert_unless_there(self, sql: str, row: Sequence[Any]) -> None:
        try:
            self._link.change(sql, *row)
        except RowRefused as error:
            if error.code != faults.DUPLICATE:
                raise


def _rows(member: SignedMember, changed_at: datetime) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    """Return a member's columns and the rows of its faces; RecordsFailed for a document that is no member's."""
    try:
        told = json.loads(member.document)
        listed = {each["id"] for each in told["templates"]}
        made = _columns(member, told, changed_at), [*_templates(member, told), *_indexed(member, told)]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecordsFailed(
            f"member {member.id}: the document is no member's ({error!r}): nothing was stored"
        ) from error
    if listed != member.sealed.keys():
        raise RecordsFailed(f"member {member.id}: its templates are not those that it lists: nothing was stored")
    return made


def _columns(member: SignedMember, told: Mapping[str, Any], changed_at: datetime) -> dict[str, Any]:
    """Return a member's columns, of which those for people are copied from the document."""
    consent = told["consent"] or {}
    values = (
        *(member.version, told["name"], told["status"], spelled(told["created_at"])),
        *(spelled(consent.get("given_at")), consent.get("text_version")),
        *(spelled(told["valid_from"]), spelled(told["valid_until"])),
        *(_doors(told), _schedule(told)),
        *(member.document, member.signature, spelled(stamp(changed_at))),
    )
    return dict(zip(READABLE, values, strict=True))


def _doors(told: Mapping[str, Any]) -> str | None:
    """Return at which doors a member may come in, for people to read; NULL is at all, as in documents of old."""
    doors = told.get("doors")
    return None if doors is None else ", ".join(doors)


def _schedule(told: Mapping[str, Any]) -> str | None:
    """Return when a member may come in, for people to read; NULL is always."""
    own = told.get("schedule")
    parts = [f"{own['text']} ({own['zone']})"] if own else []
    parts += [f"as group {name}" for name in told.get("groups", ())]
    return "; ".join(parts) or None


def _templates(member: SignedMember, told: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for each in told["templates"]:
        yield each["id"], member.id, None, each["model"], spelled(each["added_at"]), member.sealed.get(each["id"])


def _indexed(member: SignedMember, told: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for each in told.get("faces", ()):
        yield each["id"], member.id, each["collection"], each["model"], spelled(each["added_at"]), None


def _aware(when: datetime | None) -> datetime | None:
    return None if when is None else when.replace(tzinfo=UTC)


def _values(event: rows.Columns) -> dict[str, Any]:
    """Return an event's columns as the server takes them; it has no link, since no door's chain holds it."""
    told = {name: spelled(str(value)) if name in TIMES else value for name, value in event.items()}
    return {**told, "record": ""}


def _insert(table: str, columns: Mapping[str, Any]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"  # noqa: S608


def _marks(values: Sequence[object]) -> str:
    return ", ".join(["%s"] * len(values))


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + ASKED] for start in range(0, len(ids), ASKED))
