"""Registers doors at the central database and shuts them out again, by the statements of sql/grants.sql only.

It needs an account that may create others; no door's own account ever gets this far.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from smileaccess.encoding import stamp
from smileaccess.errors import RecordsFailed, ShutOut
from smileaccess.model import ChainHead
from smileaccess.records.mysql import faults
from smileaccess.records.mysql.link import Link
from smileaccess.records.mysql.migrations import SQL

KINDS = ("door", "enroller", "reader")
"""Kinds of accounts that `grants` knows."""

ACCOUNT_EXISTS, NO_SUCH_CONNECTION = 1396, 1094
"""What CREATE USER says to a name that is taken, KILL to a connection that has ended (error reference)."""

_SEES_ALL = (
    "SELECT COUNT(*) FROM information_schema.user_privileges WHERE privilege_type = 'PROCESS' "
    "AND REPLACE(grantee, '''', '') = CURRENT_USER()"
)
"""Without this right an account sees only its own connections, and is not told so (both manuals)."""

_NAMES = {
    "door": r"[A-Za-z0-9._-]{1,64}",
    "account": r"[A-Za-z0-9._-]{1,32}",
    "host": r"[A-Za-z0-9._:/%-]{1,255}",
    "database": r"[A-Za-z0-9_]{1,64}",
}


@dataclass(frozen=True, slots=True)
class Door:
    """A door that is or was registered; times are UTC, `head` is where its chain stood when it last delivered."""

    name: str
    account: str | None
    registered_at: datetime
    revoked_at: datetime | None = None
    note: str = ""
    heard_at: datetime | None = None
    head: ChainHead | None = None


def doors(link: Link) -> list[Door]:
    """Return all doors by name; for accounts that may read `doors_now`."""
    found = link.all(
        "SELECT name, account, registered_at, revoked_at, note, heard_at, sequence, hash FROM doors_now ORDER BY name"
    )
    return [
        Door(
            row["name"],
            row["account"],
            row["registered_at"].replace(tzinfo=UTC),
            _aware(row["revoked_at"]),
            row["note"],
            _aware(row["heard_at"]),
            None if row["hash"] is None else ChainHead(row["sequence"], row["hash"]),
        )
        for row in found
    ]


def register(link: Link, name: str, account: str, password: str, now: datetime, host: str = "%") -> None:
    """Let a door in with an account of its own, which is made, or given this password if it is this door's already.

    A revoked door comes back, after what is still connected with its old password was ended. RecordsFailed for an
    account that is another door's or nobody's here, and where the admin may not do this: again is safe.
    """
    _check(door=name, account=account, host=host)
    held = _row(link, name)
    if held is None:
        _insert(link, name, account, host, now)
        _make_account(link, name, account, host, password)
    else:
        _change_account(link, name, held, (account, host))
        _renew_account(link, account, host, password)
        if held.revoked and held.account == account:
            _expel(link, name, account)
    for sql in grants("door", account, host, link.database):
        link.change(sql)
    link.change(
        "UPDATE doors SET revoked_at = NULL, note = '', registered_at = %s WHERE name = %s AND revoked_at IS NOT NULL",
        _time(now),
        name,
    )


def revoke(link: Link, name: str, now: datetime, why: str) -> list[str]:
    """Shut a door out at once, and return what was done, and what could not be, a line each.

    The row is what counts: the views show nothing to a revoked door, also on a connection that is open. The account is
    locked and its connections to this server are ended where the admin may. RecordsFailed for an unknown door.
    """
    held = _row(link, name)
    if held is None:
        known = ", ".join(door.name for door in doors(link)) or "none"
        raise RecordsFailed(f"door {name!r}: is not registered (known: {known})")
    link.change(
        "UPDATE doors SET revoked_at = %s, note = %s WHERE name = %s AND revoked_at IS NULL",
        _time(now),
        why[:200],
        name,
    )
    done = [f"door {name}: revoked: its account reads and writes nothing any more"]
    if held.account is None:
        return done
    return [*done, _lock(link, held.account, held.host), *_endings(link, held.account)]


def admit(link: Link, kind: str, account: str, password: str, host: str = "%") -> None:
    """Make an account of one kind, and give it what that may do; RecordsFailed where the account is there already."""
    _check(account=account, host=host)
    for sql in _statements("account", account, host, link.database):
        _with_password(link, sql, password)
    for sql in grants(kind, account, host, link.database):
        link.change(sql)


def grants(kind: str, account: str, host: str, database: str) -> list[str]:
    """Return the statements of sql/grants.sql for a kind (door, enroller, reader); RecordsFailed for names unfit."""
    if kind not in KINDS:
        raise RecordsFailed(f"kind {kind!r}: must be one of {', '.join(KINDS)}")
    return _statements(kind, account, host, database)


@dataclass(frozen=True, slots=True)
class _Row:
    account: str | None
    host: str
    revoked: bool


def _row(link: Link, name: str) -> _Row | None:
    found = link.all("SELECT account, host, revoked_at FROM doors WHERE name = %s", name)
    return _Row(found[0]["account"], found[0]["host"], found[0]["revoked_at"] is not None) if found else None


def _insert(link: Link, name: str, account: str, host: str, now: datetime) -> None:
    try:
        link.change(
            "INSERT INTO doors (name, account, host, registered_at) VALUES (%s, %s, %s, %s)",
            name,
            account,
            host,
            _time(now),
        )
    except RecordsFailed as error:
        raise _taken(error, name, account) from error


def _change_account(link: Link, name: str, held: _Row, account: tuple[str, str]) -> None:
    """Give a door another account, and drop the one it had."""
    if account == (held.account, held.host):
        return
    try:
        link.change("UPDATE doors SET account = %s, host = %s WHERE name = %s", *account, name)
    except RecordsFailed as error:
        raise _taken(error, name, account[0]) from error
    for sql in _statements("drop", held.account, held.host, link.database) if held.account else ():
        link.change(sql)


def _taken(error: RecordsFailed, name: str, account: str) -> RecordsFailed:
    if error.code != faults.DUPLICATE:
        return error
    return RecordsFailed(f"door {name!r}: account {account!r} is another door's: give each door one of its own")


def _make_account(link: Link, name: str, account: str, host: str, password: str) -> None:
    """Make a new door's account; where it exists and so is somebody's, the door is not registered."""
    try:
        for sql in _statements("account", account, host, link.database):
            _with_password(link, sql, password)
    except RecordsFailed as error:
        link.change("DELETE FROM doors WHERE name = %s", name)
        if error.code != ACCOUNT_EXISTS:
            raise
        raise RecordsFailed(
            f"door {name!r}: account {account!r} exists and is no door's: choose another, or drop it first"
        ) from error


def _renew_account(link: Link, account: str, host: str, password: str) -> None:
    try:
        for sql in _statements("account", account, host, link.database):
            _with_password(link, sql, password)
    except RecordsFailed as error:
        if error.code != ACCOUNT_EXISTS:
            raise
        for sql in _statements("password", account, host, link.database):
            _with_password(link, sql, password)


def _expel(link: Link, name: str, account: str) -> None:
    """End what a revoked door left connected: once the row is good again, it would be let in with the old password."""
    _, left = _end_connections(link, account)
    if left:
        raise RecordsFailed(
            f"door {name!r}: was not let in again: {'; '.join(left)}: end these first, or give it another account"
        )


def _lock(link: Link, account: str, host: str) -> str:
    try:
        for sql in _statements("lock", account, host, link.database):
            link.change(sql)
    except (RecordsFailed, ShutOut) as error:
        return f"account {account}: could not be locked, so it may still log in and see nothing ({error})"
    return f"account {account}: locked"


def _endings(link: Link, account: str) -> list[str]:
    ended, left = _end_connections(link, account)
    return [f"account {account}: connections ended on this server: {ended}", *left]


def _end_connections(link: Link, account: str) -> tuple[int, list[str]]:
    """End an account's connections to this server; return how many were, and a line for each hindrance."""
    ended, left = 0, []
    for row in link.all("SHOW PROCESSLIST"):
        if row["User"] != account:
            continue
        try:
            link.change(f"KILL {int(row['Id'])}")
            ended += 1
        except (RecordsFailed, ShutOut) as error:
            if error.code != NO_SUCH_CONNECTION:
                left.append(f"account {account}: connection {row['Id']} could not be ended ({error})")
    if not link.one(_SEES_ALL):
        left.append(f"account {account}: its connections cannot be seen without the right PROCESS, nor ended")
    return ended, left


def _with_password(link: Link, sql: str, password: str) -> None:
    """Run a statement with the password in it, quoted by the driver."""
    link.change(sql.replace("%", "%%").replace("'PASSWORD'", "%s"), password)


def _statements(kind: str, account: str | None, host: str, database: str) -> list[str]:
    _check(account=account or "", host=host, database=database)
    return [
        sql.replace("'ACCOUNT'@'HOST'", f"'{account}'@'{host}'").replace("`DATABASE`", f"`{database}`")
        for sql in _blocks()[kind]
    ]


@cache
def _blocks() -> dict[str, Sequence[str]]:
    """Return the statements of each marked block of the script."""
    parts = re.split(r"^-- kind: (\w+)\n", (SQL / "grants.sql").read_text("utf-8"), flags=re.MULTILINE)
    return {kind: _split(block) for kind, block in zip(parts[1::2], parts[2::2], strict=True)}


def _split(block: str) -> tuple[str, ...]:
    lines = [line for line in block.splitlines() if not line.startswith("--")]
    return tuple(sql.strip() for sql in "\n".join(lines).split(";") if sql.strip())


def _check(**names: str) -> None:
    """Refuse names that would have to be quoted in a statement."""
    for what, name in names.items():
        if not re.fullmatch(_NAMES[what], name):
            raise RecordsFailed(f"{what} {name!r}: must fit {_NAMES[what]}")


def _time(when: datetime) -> str:
    return stamp(when)[:-1].replace("T", " ")


def _aware(when: datetime | None) -> datetime | None:
    return None if when is None else when.replace(tzinfo=UTC)
