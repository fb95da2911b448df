"""A central database with doors, and a machine without a door that works on it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from smileaccess.keys import DESK_KEYS, make_keys
from smileaccess.model import Attempt, Consent, DoorEvent, IndexedFace, Member, MemberStatus, Template, uuid7
from smileaccess.records import rows
from smileaccess.records.mysql import doors, migrations
from smileaccess.records.mysql.archive import TIMES, spelled
from smileaccess.records.mysql.link import Address, Link, Login
from tests.house import Result, run
from tests.mariadb import MariaDB

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PRIVATE = b"e" * 32
PASSWORD = "secret"

Some = TypeVar("Some", bound=Link)


@dataclass
class Center:
    """A central database, seen with the eyes of whoever made it."""

    server: MariaDB
    database: str
    _links: int = field(default=0, init=False)

    def link(self, user: str = "root", password: str = "", kind: type[Some] = Link) -> Some:
        return kind([Address.parse(str(self.server.socket))], Login(user, password, self.database))

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.server.run(sql, *values, database=self.database)

    def add_door(self, name: str, *, revoked_at: datetime | None = None) -> str:
        """Register a door with an account of its own, and return the account."""
        account = f"{name}_{self.database}"
        with closing(self.link()) as link:
            doors.register(link, name, account, PASSWORD, NOON)
        self.run(
            "UPDATE doors SET revoked_at = %s WHERE name = %s", revoked_at and revoked_at.replace(tzinfo=None), name
        )
        return account

    def admit(self, kind: str) -> str:
        """Make the account of an enroller or a reader, and return it."""
        account = f"{kind}_{self.database}"
        with closing(self.link()) as link:
            doors.admit(link, kind, account, PASSWORD)
        return account

    def put(self, *attempts: Attempt) -> None:
        """Put attempts down as their doors would deliver them."""
        made = [{**rows.opening(each), **rows.closing(each)} for each in attempts]
        self._insert("attempts", [{**each, **self._links_of("open_seq", "open_hash")} for each in made])

    def add_event(self, *events: DoorEvent) -> None:
        self._insert("door_events", [rows.event_columns(each) for each in events])

    def _links_of(self, *names: str) -> dict[str, Any]:
        self._links += 1
        return {names[0]: -self._links, names[1]: "0" * 64}

    def _insert(self, table: str, made: Sequence[rows.Columns]) -> None:
        """Insert rows with links that no chain made."""
        told = [
            {
                **{name: spelled(str(value)) if name in TIMES else value for name, value in each.items()},
                **self._links_of("seq", "hash"),
                "record": "0" * 16,
            }
            for each in made
        ]
        marks = ", ".join(["%s"] * len(told[0]))
        sql = f"INSERT INTO {table} ({', '.join(told[0])}) VALUES ({marks})"
        with closing(self.server.connect(self.database)) as connection, connection.cursor() as cursor:
            cursor.executemany(sql, [tuple(each.values()) for each in told])


class Office:
    """Settings and keys of a machine where people are enrolled, without a door and without a record of its own."""

    def __init__(self, folder: Path, center: Center) -> None:
        self.center = center
        self.keys = folder / "keys"
        self.config = folder / "office.toml"
        self.config.write_text(
            f'[records]\ndatabase = ""\n[keys]\ndirectory = "{self.keys}"\n'
            f'[mysql]\naddresses = ["{center.server.socket}"]\ndatabase = "{center.database}"\nuser = "root"\n'
        )
        make_keys(self.keys, DESK_KEYS)

    def run(self, *arguments: str | Path) -> Result:
        return run("--config", self.config, *arguments)


def person(member_id: str = "m_ada", version: int = 1, name: str = "Ada", **changes: Any) -> Member:
    """A member with two templates, and faces in a collection."""
    known: dict[str, Any] = {
        "templates": tuple(Template(f"t_{number}", "sface", bytes([1, 255, number]), NOON) for number in range(2)),
        "faces": (IndexedFace("face-1", "smileaccess", "7", NOON),),
        "status": MemberStatus.ACTIVE,
        **changes,
    }
    return Member(member_id, version, name, created_at=NOON, consent=Consent(NOON, "1"), **known)


def told(member_id: str = "m_ada", kind: str = "member_changed", **changes: Any) -> DoorEvent:
    """An event of a change of a member."""
    known: dict[str, Any] = {"at": NOON, "who": "erin", "why": "test", "detail": {"member": member_id}, **changes}
    return DoorEvent(uuid7(), "", kind=kind, **known)


def new_center(server: MariaDB) -> Center:
    """Make a central database with all tables, and nothing in them."""
    center = Center(server, server.new_database())
    with closing(center.link()) as link:
        migrations.migrate(link, lambda _: None)
    return center
