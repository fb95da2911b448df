"""`smileaccess database`: makes, upgrades, describes, copies and restores what is kept, at a door or in the middle."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smileaccess.cli.common import (
    App,
    console,
    counted,
    emit,
    json_option,
    local,
    pass_app,
    plain,
    row,
    say,
    table,
)
from smileaccess.errors import RecordsError, RecordsFailed, SettingsError, SmileAccessError

if TYPE_CHECKING:
    from smileaccess.records.mysql.doors import Door
    from smileaccess.records.mysql.link import Link
    from smileaccess.settings import Settings

NOWHERE = "information_schema"
"""A database that every server has: what to connect to before ours is made."""


PATIENCE_S = 3600.0
"""Seconds that the server may take for one statement of an administrator's: a large table takes a while to change."""

SECRET_BYTES = 24
"""Random bytes of a password that we make: 192 bits."""


@click.group(short_help="Make, upgrade, describe, back up and restore the databases.")
def database() -> None:
    """Make, upgrade, describe, back up and restore the databases.

    With [mysql] addresses set this means the central database, else, or with
    --local, the record of this door.
    """


local_option = click.option("--local", "here", is_flag=True, help="The record of this door, not the central database.")


def admin_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the account that administers the central database."""
    for option in (
        click.option(
            "--password-file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="File with that account's password, which nobody else may read.",
        ),
        click.option("--user", default="", metavar="NAME", help="Account to use instead of [mysql] user."),
    ):
        command = option(command)
    return command


host_option = click.option(
    "--host",
    default="%",
    metavar="HOST",
    help="From where the account may log in: an address, or a pattern such as 10.1.%. Default: anywhere.",
)
secret_option = click.option(
    "--secret",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="New file for the password that is made (mode 0600); it is shown nowhere else.",
)


@contextlib.contextmanager
def secret_for(path: Path) -> Iterator[str]:
    """Make a password and write it to a new file that nobody else may read; where its account is not made, it goes."""
    from smileaccess.durable import write_new  # noqa: PLC0415

    password = secrets.token_urlsafe(SECRET_BYTES)
    try:
        write_new(path, f"{password}\n", 0o600)
    except FileExistsError as error:
        raise SmileAccessError(f"--secret {path}: exists: give another name") from error
    except OSError as error:
        raise SmileAccessError(f"--secret {path}: {error.strerror}: give a place that you may write") from error
    try:
        yield password
    except BaseException:
        path.unlink()
        raise


@contextlib.contextmanager
def admin_link(app: App, user: str, password_file: Path | None, *, database: str = "") -> Iterator[Link]:
    """Connect as whoever administers the central database; SettingsError, RecordsUnavailable, RecordsFailed."""
    from smileaccess import wiring  # noqa: PLC0415

    settings = app.settings()
    changes: dict[str, Any] = {"timeout_s": PATIENCE_S, **({"database": database} if database else {})}
    if user or password_file:
        changes["password_file"] = str(password_file or "")
    told = settings.model_copy(update={"mysql": settings.mysql.model_copy(update=changes)})
    with contextlib.closing(wiring.open_link(told, user=user)) as link:
        yield link


def is_central(app: App, here: bool) -> bool:
    """Say which of both is meant; SettingsError where there is neither."""
    settings = app.settings()
    if settings.mysql.addresses and not here:
        return True
    if not settings.records.database:
        raise SettingsError(
            ['settings: [records] database = "": names no record of a door here, and [mysql] addresses no server']
        )
    return False


@database.command(short_help="Make the database and its tables.")
@admin_options
@local_option
@pass_app
def init(app: App, user: str, password_file: Path | None, here: bool) -> None:
    """Make the database and its tables; where they are there, nothing happens.

    The account must be one that may make databases, tables and views.

    \b
    Example:
      smileaccess database init --user root --password-file root.pw
    """
    if not is_central(app, here):
        _init_here(app)
        return
    name = app.settings().mysql.database
    with admin_link(app, user, password_file, database=NOWHERE) as link:
        link.change(f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    _migrate(app, user, password_file)


def _init_here(app: App) -> None:
    from smileaccess.keys import KeyKind  # noqa: PLC0415

    with app.spool(app.keys(KeyKind.CHAIN), must_exist=False) as spool:
        head = spool.head()
    say(f"{app.settings().records.database}: the record of {app.settings().door.name}, {head.sequence} links")


@database.command(short_help="Bring the tables up to this program's version.")
@admin_options
@local_option
@pass_app
def migrate(app: App, user: str, password_file: Path | None, here: bool) -> None:
    """Bring the tables up to this program's version; where they are, nothing happens.

    It may be run twice, from two machines at once, and again after it was cut
    off. There is no way back: make a backup first.

    Example:    smileaccess database migrate --user root --password-file root.pw
    """
    if is_central(app, here):
        _migrate(app, user, password_file)
    else:
        from smileaccess.keys import KeyKind  # noqa: PLC0415
        from smileaccess.records import schema  # noqa: PLC0415

        with app.spool(app.keys(KeyKind.CHAIN)):  # opening it brings it up to date
            say(f"{app.settings().records.database}: version {schema.VERSION}")


def _migrate(app: App, user: str, password_file: Path | None) -> None:
    from smileaccess.records.mysql import migrations  # noqa: PLC0415

    name = app.settings().mysql.database
    with admin_link(app, user, password_file) as link:
        taken = migrations.migrate(link, lambda step: say(f"step {step.number:>3}  {step.name}"))
        known = migrations.standing(link).known
    done = f"{counted(taken, 'step')} taken, all {known} are in place" if taken else f"up to date, at step {known}"
    say(f"database {name}: {done}")


@database.command(short_help="Tell how the databases stand.")
@local_option
@json_option
@pass_app
def status(app: App, here: bool, as_json: bool) -> None:
    """Tell how the databases stand: versions, doors, what waits to be delivered, what was refused.

    Exits with 1 where something needs somebody.

    Example:    smileaccess database status
    """
    settings = app.settings()
    found: dict[str, Any] = {"door": None, "central": None}
    if settings.records.database and (here or Path(settings.records.database).exists()):
        found["door"] = _status_here(app)
    if settings.mysql.addresses and not here:
        found["central"] = _status_there(app)
    if found["door"] is None and found["central"] is None:
        is_central(app, here)
        raise RecordsFailed(
            f"records: {settings.records.database}: there is no such file: the first `smileaccess run` makes it"
        )
    if as_json:
        emit(found)
    else:
        _print_status(settings, found)
    problems = [*(found["door"] or {}).get("problems", ()), *(found["central"] or {}).get("problems", ())]
    if problems:
        raise SmileAccessError("\n".join(problems))


def _status_here(app: App) -> dict[str, Any]:
    from smileaccess.encoding import stamp  # noqa: PLC0415
    from smileaccess.keys import KeyKind  # noqa: PLC0415
    from smileaccess.records import schema  # noqa: PLC0415

    settings = app.settings()
    with app.spool(app.keys(KeyKind.CHAIN)) as spool:
        head, room, backlog, synced_at = spool.head(), spool.room(), spool.outbox().backlog(), spool.synced_at()
    followed = bool(settings.mysql.addresses)
    aside = [
        {"link": each.sequence, "table": each.table, "row": each.row_id, "at": stamp(each.at), "error": each.error}
        for each in backlog.set_aside
    ]
    problems = []
    if aside:
        problems.append(
            f"{counted(len(aside), 'row')} refused by the central database: mend the cause, then run "
            "`smileaccess database resend`"
        )
    if room.full or room.filling:
        told = "full: the door opens to nobody" if room.full else "filling"
        problems.append(f"the record is {told}: see [records] limit_mb, and what waits to be delivered")
    return {
        "database": settings.records.database,
        "version": schema.VERSION,
        "head": str(head),
        "used_mb": room.used >> 20,
        "limit_mb": room.limit >> 20,
        "free_mb": room.free >> 20,
        "waiting": backlog.rows if followed else None,
        "waiting_since": stamp(backlog.oldest) if followed and backlog.oldest else None,
        "members_compared_at": stamp(synced_at) if synced_at else None,
        "set_aside": aside,
        "problems": problems,
    }


def _status_there(app: App) -> dict[str, Any]:
    from smileaccess import wiring  # noqa: PLC0415

    told = app.settings().mysql
    found: dict[str, Any] = {
        "address": ", ".join(told.addresses),
        "database": told.database,
        "server": None,
        "steps": None,
        "known_steps": None,
        "doors": None,
        "members": None,
        "problems": [],
    }
    try:
        with contextlib.closing(wiring.open_link(app.settings())) as link:
            found |= _asked(link)
    except RecordsError as error:
        found["problems"] = [str(error)]
    return found


def _asked(link: Link) -> dict[str, Any]:
    from smileaccess.records.mysql import doors, migrations  # noqa: PLC0415
    from smileaccess.records.mysql.reach import readable  # noqa: PLC0415

    standing = migrations.standing(link)
    found: dict[str, Any] = {
        "address": str(link.address),
        "server": link.one("SELECT VERSION()"),
        "steps": standing.taken,
        "known_steps": standing.known,
    }
    if standing.taken < standing.known or standing.unfinished:
        found["problems"] = ["the central database is older than this program: run `smileaccess database migrate`"]
        return found
    found["members"] = link.one(f"SELECT COUNT(*) FROM {readable(link, 'members')}")  # noqa: S608 -- our own names
    if readable(link, "doors") == "doors":
        found["doors"] = [door_to_plain(each) for each in doors.doors(link)]
    return found


def door_to_plain(door: Door) -> dict[str, Any]:
    """Return a registered door for JSON."""
    from smileaccess.encoding import stamp  # noqa: PLC0415

    return {
        "name": door.name,
        "account": door.account,
        "registered_at": stamp(door.registered_at),
        "revoked_at": door.revoked_at and stamp(door.revoked_at),
        "heard_at": door.heard_at and stamp(door.heard_at),
        "head": str(door.head) if door.head else None,
        "note": door.note,
    }


def _print_status(settings: Settings, found: dict[str, Any]) -> None:
    here, there = found["door"], found["central"]
    if here is not None:
        say(f"this door     {settings.door.name}")
        say(f"  record      {here['database']}, version {here['version']}")
        say(f"  chain       {here['head'].partition(':')[0]} links, head {here['head']}")
        limit = f" of at most {here['limit_mb']} MB" if here["limit_mb"] else ""
        say(f"  room        {here['used_mb']} MB used{limit}, {here['free_mb']} MB free on the disk")
        if here["waiting"] is not None:
            since = f" since {_when(here['waiting_since'])}" if here["waiting_since"] else ""
            say(f"  to deliver  {counted(here['waiting'], 'row')}{since}")
            say(f"  members     compared {_when(here['members_compared_at'])}")
        for each in here["set_aside"]:
            say(f"  refused     {each['table']} {each['row']} (link {each['link']}): {each['error']}")
    if there is not None:
        say(f"central       {there['database']} at {there['address']}")
        if there["server"]:
            say(f"  server      {there['server']}")
            say(f"  tables      step {there['steps']} of {there['known_steps']}")
        if there["members"] is not None:
            say(f"  members     {there['members']}")
        if there["doors"]:
            print_doors(there["doors"])


def print_doors(doors: list[dict[str, Any]]) -> None:
    """Print the registered doors as a table."""
    made = table("door", "account", "heard of", "links", "state", right=("links",), fold=("door",))
    for each in doors:
        state = f"revoked {_when(each['revoked_at'])}" if each["revoked_at"] else "registered"
        links = each["head"].partition(":")[0] if each["head"] else "-"
        row(made, each["name"], each["account"] or "-", _when(each["heard_at"]), links, state)
    console().print(made)


def _when(text: str | None) -> str:
    from smileaccess.encoding import moment  # noqa: PLC0415

    return "never" if text is None else local(moment(text))


@database.command(short_help="Write a backup into one file.")
@click.argument("file", type=click.Path(path_type=Path))
@admin_options
@local_option
@pass_app
def backup(app: App, file: Path, user: str, password_file: Path | None, here: bool) -> None:
    """Write a backup into a new FILE (mode 0600), while everything goes on.

    It holds what the database holds: names, and encrypted templates. Keep it
    as closed as the database, and keep the keys elsewhere.

    Example:    smileaccess database backup central-2026-11-22.jsonl.gz
    """
    if is_central(app, here):
        count = _new_file(file, lambda path: _backup_there(app, path, user, password_file))
        say(f"wrote {counted(count, 'row')} to {file}")
    else:
        count = _new_file(file, lambda path: _backup_here(app, path))
        say(f"wrote a record of {counted(count, 'link')} to {file}")


def _backup_there(app: App, path: Path, user: str, password_file: Path | None) -> int:
    from smileaccess.clock import SystemClock  # noqa: PLC0415
    from smileaccess.records.mysql import copying  # noqa: PLC0415

    with admin_link(app, user, password_file) as link, path.open("r+b") as out, _progress("reading") as tell:
        count = copying.write(link, out, SystemClock().now(), tell)
        out.flush()
        os.fsync(out.fileno())
    return count


def _backup_here(app: App, path: Path) -> int:
    from smileaccess.keys import KeyKind  # noqa: PLC0415

    with app.spool(app.keys(KeyKind.CHAIN)) as spool:
        return spool.copy_to(path)


def _new_file(file: Path, write: Callable[[Path], int]) -> int:
    """Have a new file written whole or not at all; SmileAccessError where it exists or cannot be written."""
    from smileaccess.durable import put_in_place  # noqa: PLC0415

    exists = f"backup: {file}: exists: give another name"
    if file.exists():
        raise SmileAccessError(exists)
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        count = write(temporary)
        put_in_place(temporary, file)
    except FileExistsError as error:
        raise SmileAccessError(exists) from error
    except OSError as error:
        raise SmileAccessError(f"backup: {file}: {error.strerror}: give a place that you may write") from error
    finally:
        temporary.unlink(missing_ok=True)
    return count


@database.command(short_help="Put a backup back.")
@click.argument("file", type=click.Path(path_type=Path))
@admin_options
@local_option
@pass_app
def restore(app: App, file: Path, user: str, password_file: Path | None, here: bool) -> None:
    """Put a backup back: FILE is looked through before anything is taken from it.

    The central database must have been made (`database init`). A row that is
    there already is compared, never overwritten, so that it may be run again
    after it was cut off. Accounts are not in it: see `smileaccess door register`.

    A door's record goes to [records] database, where there must be none.

    Example:    smileaccess database restore central-2026-11-22.jsonl.gz
    """
    if not is_central(app, here):
        _restore_here(app, file)
        return
    from smileaccess.records.mysql import copying  # noqa: PLC0415

    with admin_link(app, user, password_file) as link, _progress("restoring") as tell:
        rows, there = copying.read(link, file, tell)
    say(f"{counted(rows, 'row')} in {file}: {rows - there} restored, {there} were there already")


def _restore_here(app: App, file: Path) -> None:
    from smileaccess.keys import KeyKind  # noqa: PLC0415
    from smileaccess.records.spool import Spool  # noqa: PLC0415

    settings = app.settings()
    keys, target = app.keys(KeyKind.CHAIN), Path(settings.records.database)
    Spool.restore(file, target, settings.door.name, keys.chain)
    with app.spool(keys) as spool:
        links = spool.verify()
    say(f"{target}: restored, {counted(links, 'link')} verified")


@contextlib.contextmanager
def _progress(verb: str) -> Iterator[Callable[[str, int], None]]:
    """Show how many rows of which table were done, on a terminal."""
    with console(stderr=True).status(f"{verb} ...") as shown:
        done: dict[str, int] = {}

        def tell(name: str, rows: int) -> None:
            done[name] = rows if verb == "reading" else done.get(name, 0) + rows
            shown.update(plain(f"{verb} {name}: {done[name]} rows"))

        yield tell


@database.command(short_help="Make an account for enrolling or for reading.")
@click.argument("kind", type=click.Choice(["enroller", "reader"]))
@click.argument("name")
@host_option
@secret_option
@admin_options
@pass_app
def account(app: App, kind: str, name: str, host: str, secret: Path, user: str, password_file: Path | None) -> None:
    """Make the account NAME at the central database, and give it what its KIND may do (sql/grants.sql).

    \b
    enroller  changes members and faces, and reads the rest
    reader    reads all but templates and signed documents

    A door's account is made by `smileaccess door register`.

    \b
    Example:
      smileaccess database account enroller desk --secret desk.pw --user root
    """
    from smileaccess.records.mysql import doors  # noqa: PLC0415

    with admin_link(app, user, password_file) as link, secret_for(secret) as password:
        doors.admit(link, kind, name, password, host)
    say(f"account {name} ({kind}): made; its password is in {secret}")


@database.command(short_help="Offer again what the central database refused.")
@json_option
@pass_app
def resend(app: App, as_json: bool) -> None:
    """Offer the central database once more what it refused; `status` lists it with the errors.

    Example:    smileaccess database resend
    """
    from smileaccess.clock import SystemClock  # noqa: PLC0415
    from smileaccess.keys import KeyKind  # noqa: PLC0415
    from smileaccess.records.forwarder import Forwarder  # noqa: PLC0415
    from smileaccess.records.mysql.archive import Archive  # noqa: PLC0415

    settings = app.settings()
    with app.spool(app.keys(KeyKind.CHAIN)) as spool, app.link() as link:
        outbox = spool.outbox()
        archive = Archive(link, settings.door.name, outbox.record)
        forwarder = Forwarder(outbox, archive, SystemClock(), lambda _kind, _why, _detail: None)
        taken = 0
        while (more := forwarder.offer_again()) > 0:
            taken += more
        left = len(outbox.backlog().set_aside)
    if as_json:
        emit({"taken": taken, "refused": left})
    else:
        say(f"{counted(taken, 'row')} taken, {left} still refused")
    if left:
        raise SmileAccessError("some rows are still refused: see `smileaccess database status`")
