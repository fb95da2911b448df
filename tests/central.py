"""A central database for tests: all migrations taken, doors registered, connections as any account."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from smileaccess.records.mysql import doors, migrations
from smileaccess.records.mysql.central import CentralRecords
from smileaccess.records.mysql.link import Address, Link, Login
from smileaccess.records.mysql.questions import Question, newest_first
from tests.mariadb import MariaDB

REGISTERED_AT = datetime(2026, 11, 1, tzinfo=UTC)


def account_of(door: str, database: str) -> str:
    """Return a door's account; accounts are the server's, which all tests share."""
    return f"d{database.removeprefix('smileaccess_')}_{door}"[:32]


@dataclass(frozen=True)
class Central:
    """A database on a server, and the ways in."""

    server: MariaDB
    database: str

    def link(self, user: str = "root", password: str = "", timeout_s: float = 10.0) -> Link:
        """Return a connection, made when it is first used; who asks closes it."""
        return Link([Address.parse(self.server.address)], Login(user, password, self.database), timeout_s=timeout_s)

    def door(self, name: str) -> Link:
        """Register a door and return a connection as its account; who asks closes it."""
        account = account_of(name, self.database)
        with closing(self.link()) as admin:
            doors.register(admin, name, account, f"secret of {name}", REGISTERED_AT)
        return self.link(account, f"secret of {name}")


def empty(server: MariaDB) -> Central:
    """Return a database with nothing in it."""
    return Central(server, server.new_database())


def prepared(server: MariaDB) -> Central:
    """Return a database with all migrations taken."""
    made = empty(server)
    with closing(made.link()) as admin:
        migrations.migrate(admin, lambda _: None)
    return made


def reader(central: Central) -> Link:
    """Make an account that only looks, and return a connection as it; who asks closes it."""
    return _admitted(central, "reader")


def enroller(central: Central) -> Link:
    """Make an account of where people are enrolled, and return a connection as it; who asks closes it."""
    return _admitted(central, "enroller")


def _admitted(central: Central, kind: str) -> Link:
    account = account_of(kind, central.database)
    with closing(central.link()) as admin:
        doors.admit(admin, kind, account, f"secret of {kind}")
    return central.link(account, f"secret of {kind}")


# Many attempts, made by the server itself

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
STEP_S = 30
DOORS, MEMBERS = 20, 500
REASONS = ("not_recognized", "no_smile", "timeout", "too_dark", "no_face")

_DIGITS = " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10))
_NUMBERS = (
    "SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + %s AS n "
    f"FROM ({_DIGITS}) AS a, ({_DIGITS}) AS b, ({_DIGITS}) AS c, ({_DIGITS}) AS e"
)
_FILL = (
    "INSERT INTO attempts (id, door, record, opened_by, opened_at, open_seq, open_hash, closed_at, outcome, reason, "
    "member_id, similarity, smile, calls, stages_ms, detail, seq, hash) "
    "SELECT CONCAT('00000000-0000-7000-8000-', LPAD(n, 12, '0')), CONCAT('door_', n %% %s), REPEAT('0', 16), 'button', "
    "%s + INTERVAL n * %s SECOND, 2 * n + 1, REPEAT('a', 64), %s + INTERVAL n * %s + 3 SECOND, "
    "IF(n %% 23, 'granted', 'denied'), IF(n %% 23, NULL, ELT(1 + n DIV 460 %% 5, %s, %s, %s, %s, %s)), "
    "IF(n %% 23 = 0 AND n DIV 460 %% 5 = 0, NULL, CONCAT('m_', n * 7919 %% %s)), 99.5, 80, 3, '{}', "
    "CONCAT('{\"filler\":\"', REPEAT('x', 200), '\"}'), 2 * n + 2, REPEAT('b', 64) "
    f"FROM ({_NUMBERS}) AS numbers ORDER BY n"
)
PART = 10_000
"""Attempts that one statement makes."""


def fill(link: Link, parts: int) -> None:
    """Make PART attempts `parts` times, one every STEP_S seconds from FIRST on, of all doors and members in turn."""
    first = f"{FIRST:%Y-%m-%d}"
    for part in range(parts):
        link.change(_FILL, DOORS, first, STEP_S, first, STEP_S, *REASONS, MEMBERS, part * PART)
    link.all("ANALYZE TABLE attempts")


# The server's own counters


@dataclass(frozen=True)
class Reads:
    """What a question returned, how many rows the server read for it, and how many of those by going along an index."""

    returned: int
    rows: int
    along: int


def reads(link: Link, ask: Callable[[], int]) -> Reads:
    """Return what `ask`, which returns a number of rows, makes the server read in this connection."""
    idle, before = _counters(link), _counters(link)
    returned = ask()
    after = _counters(link)
    grown = {name: after[name] - 2 * before[name] + idle[name] for name in after}
    return Reads(returned, sum(grown.values()), grown["Handler_read_next"] + grown["Handler_read_prev"])


def _counters(link: Link) -> dict[str, int]:
    return {row["Variable_name"]: int(row["Value"]) for row in link.all("SHOW SESSION STATUS LIKE 'Handler_read%'")}


# The common questions


MANY = 10
"""Rows read for each that is returned, at most."""

Asking = Callable[[Link], int]


@dataclass(frozen=True)
class Common:
    """A question that people ask of a central record, and who asks it."""

    name: str
    ask: Asking
    as_door: bool = False


def _page(limit: int, table: str = "attempts", after: tuple[str, str] | None = None, **filters: str) -> Asking:
    def ask(link: Link) -> int:
        question = newest_first(table, filters, after, limit)
        return len(link.all(question.sql, *question.values))

    return ask


def _listed(limit: int, door: str | None = None, **filters: Any) -> Asking:
    return lambda link: len(list(CentralRecords(link, door).attempts(limit=limit, **filters)))


DAY = (datetime(2026, 1, 3, tzinfo=UTC), datetime(2026, 1, 4, tzinfo=UTC))
DAY_TEXT = {"since": "2026-01-03 00:00:00", "until": "2026-01-04 00:00:00"}
FAR = ("2026-01-03 00:00:00", "00000000-0000-7000-8000-000000005760")
COMMON = (
    Common("last 50 of a door", _page(50, door="door_3")),
    Common("last 30 of a member", _page(30, member_id="m_42")),
    Common("denials of a day", _page(300, outcome="denied", since=DAY_TEXT["since"], until=DAY_TEXT["until"])),
    Common("last 50 of a reason", _page(50, reason="too_dark")),
    Common("last 50 of all", _page(50)),
    Common("50 of a door, far back", _page(50, after=FAR, door="door_3")),
    Common("30 of a reason, far back", _page(30, after=FAR, reason="too_dark")),
    Common("50 of all, far back", _page(50, after=FAR)),
    Common("last 50 of the door that asks", _page(50, "own_attempts"), as_door=True),
    Common("attempts list", _listed(50)),
    Common("attempts list, 3 pages", _listed(1500)),
    Common("attempts list --door", _listed(50, "door_3")),
    Common("attempts list --member", _listed(30, member_id="m_42")),
    Common("attempts list --reason", _listed(50, reason="too_dark")),
    Common("attempts list, denials of a day", _listed(300, outcome="denied", since=DAY[0], until=DAY[1])),
    Common("attempts list, at a door", _listed(50, "door_3"), as_door=True),
)
"""As the statements that `questions` spells, and as the program asks."""


def per_hour(since: str, until: str) -> Question:
    """Return the counts by hour (UTC, `2026-11-22 13`), door, outcome and reason that a person asks for."""
    sql = (
        "SELECT LEFT(opened_at, 13) AS hour, door, outcome, reason, COUNT(*) AS attempts "
        "FROM attempts WHERE opened_at >= %s AND opened_at < %s "
        "GROUP BY LEFT(opened_at, 13), door, outcome, reason ORDER BY hour, door, outcome, reason"
    )
    return Question(sql, (since, until))
