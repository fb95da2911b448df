"""Opens what commands work on: a door's own record, or the central one, and the members' list; it decides which.

The central members' list is the truth for all doors, so that no command changes a door's own copy of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from smileaccess.cli.common import App
from smileaccess.errors import KeysError, RecordsFailed, SettingsError, ShutOut, SmileAccessError

if TYPE_CHECKING:
    from smileaccess.keys import KeyKind, KeyRing
    from smileaccess.model import Member
    from smileaccess.ports import Confirmations, EventWriter, Members, RecordReader
    from smileaccess.records.mysql.central import CentralRecords
    from smileaccess.records.mysql.people import CentralMembers


@dataclass(frozen=True, slots=True)
class Source:
    """A record to be read, and the members' list beside it, which has the names."""

    records: RecordReader
    members: Members
    central: bool = False


@dataclass(frozen=True, slots=True)
class MembersList:
    """The members' list to work on, the record beside it, and what says which doors have followed, where any do."""

    members: Members
    records: RecordReader
    events: EventWriter
    confirmations: Confirmations | None
    keys: KeyRing

    @property
    def place(self) -> str:
        """Where the list is kept, for people."""
        return "the database's file" if self.confirmations is None else "the central database"


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say whose record is read, as its argument `source`: a function of the app's."""

    @wraps(command)
    def gathered(*args: Any, central: bool, door: str | None, **options: Any) -> Any:
        def source(app: App) -> contextlib.AbstractContextManager[Source]:
            return reading(app, central=central, door=door)

        return command(*args, source=source, **options)

    told = "Of this door only, of those in the central record."
    decorated = click.option("--door", metavar="NAME", help=told)(gathered)
    return central_option(decorated)


central_option = click.option(
    "--central", is_flag=True, help="Read the central record, which is read anyhow where no door's own is."
)


@contextlib.contextmanager
def reading(app: App, *, central: bool = False, door: str | None = None) -> Iterator[Source]:
    """Open the record that is to be read: this door's own where there is one, else, or if told so, the central one.

    SettingsError where the settings name neither; KeysError, RecordsUnavailable, RecordsFailed.
    """
    from smileaccess import wiring  # noqa: PLC0415
    from smileaccess.keys import KeyKind  # noqa: PLC0415

    settings = app.settings()
    if central or (app.central and not wiring.has_record(settings)):
        with _central(app, door) as (people, records):
            yield Source(records, people, central=True)
        return
    _need_one(app)
    if door not in {None, settings.door.name}:
        raise SmileAccessError(f"--door {door}: this is the record of the door {settings.door.name}: give --central")
    with app.spool(app.keys(KeyKind.CHAIN)) as spool:
        yield Source(spool, spool)


def _need_one(app: App) -> None:
    """Refuse settings that name neither record; SettingsError."""
    if not app.central and not app.settings().records.database:
        raise SettingsError(
            [
                'settings: [records] database = "" and [mysql] addresses = []: there is no record and no members\' '
                "list: name a door's own file, or the central database's server"
            ]
        )


@contextlib.contextmanager
def _central(
    app: App, door: str | None = None, *, writes: bool = False
) -> Iterator[tuple[CentralMembers, CentralRecords]]:
    from smileaccess.records.mysql.central import CentralRecords  # noqa: PLC0415
    from smileaccess.records.mysql.people import CentralMembers  # noqa: PLC0415

    with app.link(writes=writes) as link:
        yield CentralMembers(link), CentralRecords(link, door)


@contextlib.contextmanager
def members_list(
    app: App, *need: KeyKind, local: bool = False, must_exist: bool = True, writes: bool = True
) -> Iterator[MembersList]:
    """Open the members' list: the central one where the settings name its server, unless the door's copy is wanted.

    `need` says which keys there must be; the chain's only for a door's own. SettingsError, KeysError,
    RecordsUnavailable, RecordsFailed.
    """
    from smileaccess import wiring  # noqa: PLC0415
    from smileaccess.keys import KeyKind  # noqa: PLC0415

    if app.central and not local:
        keys = app.keys(*need)
        with _central(app, writes=writes) as (people, records):
            yield MembersList(people, records, people, people, keys)
        return
    _need_one(app)
    wiring.need_record(app.settings())
    keys = app.keys(*need, KeyKind.CHAIN)
    with app.spool(keys, must_exist=must_exist) as spool:
        yield MembersList(spool, spool, spool, None, keys)


def names(app: App, source: Source) -> dict[str, str]:
    """Return the members' names by id as far as they can be read here and were signed; none without enroller.pub."""
    return {each.id: each.name for each in signed_members(app, source)}


def signed_members(app: App, source: Source) -> tuple[Member, ...]:
    """Return the members as far as they can be read here and were signed; none without enroller.pub."""
    from smileaccess.keys import KeyKind  # noqa: PLC0415
    from smileaccess.membership import load_roster  # noqa: PLC0415

    try:
        public = app.keys(KeyKind.ENROLLER_PUBLIC).enroller_public
        return load_roster(source.members, public).members
    except KeysError:
        return ()
    except (RecordsFailed, ShutOut):
        if not source.central:
            raise
        return ()  # a reader's account may not read the signed documents
