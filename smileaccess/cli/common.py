"""What the commands share: the settings, who calls, times and durations, and output that a terminal can trust.

It loads nothing heavy at import, and lets no control character of a name or a file through to the terminal.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pwd
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smileaccess.errors import KeysError, RecordsError, SettingsError, SmileAccessError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from smileaccess.keys import KeyKind, KeyRing
    from smileaccess.model import Bill
    from smileaccess.records.mysql.link import Link
    from smileaccess.records.spool import Spool
    from smileaccess.settings import Settings
    from smileaccess.spending import Tab

CONFIG_VARIABLE = "SMILEACCESS_CONFIG"

PIPE_WIDTH = 200
"""Characters of a line in a pipe, where no terminal's edge makes a table cut anything."""

_UNSET_LOGIN = 2**32 - 1
"""What /proc/self/loginuid holds where nobody logged in, as for a service (audit's AUDIT_UID_UNSET)."""

_JOINERS = frozenset("\u200c\u200d")
"""The two invisible characters that names in Persian, Hindi and others need."""

_DURATION = re.compile(r"(\d{1,6})(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(slots=True)
class App:
    """One call of the command line: which settings, and whether to show tracebacks."""

    config: Path | None = None
    debug: bool = False
    _settings: Settings | None = field(default=None, repr=False)

    def settings(self) -> Settings:
        """Read the settings, once; SettingsError."""
        from smileaccess import settings as configuration  # noqa: PLC0415 -- pydantic

        if self._settings is None:
            self._settings = configuration.load(self.path)
        return self._settings

    @property
    def path(self) -> Path:
        """The settings file: as asked for, else as the environment says, else the system's."""
        from smileaccess.settings import DEFAULT_PATH  # noqa: PLC0415 -- pydantic

        told = os.environ.get(CONFIG_VARIABLE)
        return self.config or (Path(told) if told else DEFAULT_PATH)

    def keys(self, *need: KeyKind) -> KeyRing:
        """Read the keys that are needed; KeysError."""
        from smileaccess import wiring  # noqa: PLC0415

        return wiring.load_keys(self.settings(), need)

    @contextlib.contextmanager
    def spool(self, keys: KeyRing, *, must_exist: bool = True) -> Iterator[Spool]:
        """Open the door's record for a while; RecordsUnavailable, RecordsFailed."""
        from smileaccess import wiring  # noqa: PLC0415

        with (
            logging_as_warnings(),
            contextlib.closing(wiring.open_spool(self.settings(), keys, must_exist=must_exist)) as spool,
        ):
            yield spool

    @property
    def central(self) -> bool:
        """Whether the settings name a central database."""
        return bool(self.settings().mysql.addresses)

    @contextlib.contextmanager
    def link(self, *, writes: bool = False) -> Iterator[Link]:
        """Connect to the central database for a while; SettingsError, RecordsUnavailable, RecordsFailed."""
        from smileaccess import wiring  # noqa: PLC0415
        from smileaccess.records.mysql import migrations  # noqa: PLC0415

        with logging_as_warnings(), contextlib.closing(wiring.open_link(self.settings(), writes=writes)) as link:
            migrations.check(link)
            yield link

    def add_bill(self, bill: Bill) -> None:
        """Put billed calls on this machine's own record; a warning says where that cannot be."""
        from smileaccess import wiring  # noqa: PLC0415
        from smileaccess.keys import KeyKind  # noqa: PLC0415

        try:
            wiring.need_record(self.settings())
            with self.spool(self.keys(KeyKind.CHAIN)) as spool:
                spool.add_bill(bill)
        except (KeysError, RecordsError, SettingsError) as error:
            warn(f"these calls are not on record: {error}")

    @contextlib.contextmanager
    def paying(self) -> Iterator[Tab]:
        """Give what billed calls are counted with, and put them on record at the end, also of a failure."""
        from smileaccess.clock import SystemClock  # noqa: PLC0415
        from smileaccess.spending import Tab  # noqa: PLC0415

        tab = Tab(SystemClock(), self.settings().spending_rules().price_micros)
        try:
            yield tab
        finally:
            bill = tab.bill()
            if bill is not None:
                self.add_bill(bill)


@contextlib.contextmanager
def logging_as_warnings() -> Iterator[None]:
    """Show what the parts log, from a warning on, as a command's warnings: standard output is for results."""
    import structlog  # noqa: PLC0415

    before = structlog.get_config()
    structlog.configure(processors=[structlog.processors.add_log_level, _warn_of])
    try:
        yield
    finally:
        structlog.configure(**before)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the door's log to itself: what there is to say is said by the command."""
    import structlog  # noqa: PLC0415

    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def _warn_of(_: Any, __: str, line: MutableMapping[str, Any]) -> Any:
    import structlog  # noqa: PLC0415

    event, level = line.pop("event"), line.pop("level")
    if level not in {"debug", "info"}:
        warn(f"{event} ({', '.join(f'{name}: {value}' for name, value in line.items())})" if line else event)
    raise structlog.DropEvent


pass_app = click.make_pass_decorator(App, ensure=True)


def add_common_options(command: click.Command) -> None:
    """Give a command, and all within it, --config and --debug, so that they may stand before or after its name."""
    own = {name for parameter in command.params for name in parameter.opts}
    if "--config" not in own:
        command.params.append(_config_option())
    if "--debug" not in own:
        command.params.append(_debug_option())
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            add_common_options(inner)


def _config_option() -> click.Option:
    def remember(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
        if value is not None:
            ctx.ensure_object(App).config = value

    kind = click.Path(path_type=Path)
    told = f"Settings file; else ${CONFIG_VARIABLE}, else /etc/smileaccess/smileaccess.toml."
    return click.Option(
        ["--config"], type=kind, metavar="FILE", expose_value=False, callback=remember, is_eager=True, help=told
    )


def _debug_option() -> click.Option:
    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            ctx.ensure_object(App).debug = True

    told = "Show the traceback of an error."
    return click.Option(["--debug"], is_flag=True, expose_value=False, callback=remember, is_eager=True, help=told)


class Variadic(click.Command):
    """A command whose --photo takes one file or more: `--photo a.jpg b.jpg` as well as `--photo` before each."""

    variadic = "--photo"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each value that follows it, up to the next option."""
        return super().parse_args(ctx, spread(args, self.variadic))


def spread(arguments: Sequence[str], option: str) -> list[str]:
    """Return the arguments with `option` repeated before each value after its first one, up to the next option."""
    result: list[str] = []
    taken = -1
    for argument in arguments:
        if argument == option:
            taken = 0
        elif argument.startswith("-") and argument != "-":
            taken = -1
        elif taken >= 0:
            result += [option] if taken else []
            taken += 1
        result.append(argument)
    return result


def photo_option(*, required: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the decorator for --photo FILE..."""
    return click.option(
        "--photo",
        "photos",
        multiple=True,
        required=required,
        type=click.Path(path_type=Path),
        metavar="FILE...",
        help="Picture files: JPEG, PNG, WebP or BMP.",
    )


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
why_option = click.option("--why", default="", metavar="TEXT", help="Why, for the record (no names, please).")


# Who and when


def caller() -> str:
    """Return the system user who calls, as the kernel says: who logged in, where that is not who runs this."""
    user = _user(os.geteuid())
    try:
        login = int(Path("/proc/self/loginuid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return user
    return user if login in {_UNSET_LOGIN, os.geteuid()} else f"{_user(login)} as {user}"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def moment_option(*names: str, help: str, ahead: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the decorator for an option that takes a time, as `moment_of` reads it, and gives it in UTC."""

    def convert(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
        try:
            return None if value is None else moment_of(value, datetime.now(UTC), ahead=ahead)
        except (ValueError, OverflowError) as error:
            told = f"{plain(value or '')!r} is no time: give 2026-01-31, 2026-01-31T18:30, or 2h, 7d"
            raise click.BadParameter(told, ctx, param) from error

    return click.option(*names, callback=convert, metavar="TIME", help=help)


def seconds_of(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """Return the seconds of an option that takes a length of time: 90s, 30m, 2h."""
    told = _DURATION.fullmatch(value)
    if told is None or int(told[1]) == 0:
        raise click.BadParameter(f"{plain(value)!r} is no length of time: give 90s, 30m or 2h", ctx, param)
    return timedelta(**{_UNITS[told[2]]: int(told[1])}).total_seconds()


def moment_of(text: str, now: datetime, *, ahead: bool = False) -> datetime:
    """Return the UTC time that a text says; ValueError or OverflowError for any other text.

    An ISO date or time, local unless it says otherwise, or a duration before `now` (after it, if `ahead`): 90s,
    30m, 2h, 7d, 4w.
    """
    told = _DURATION.fullmatch(text)
    if told:
        away = timedelta(**{_UNITS[told[2]]: int(told[1])})
        return now + away if ahead else now - away
    return datetime.fromisoformat(text).astimezone(UTC)


def local(when: datetime | None) -> str:
    """Return a time for people: local, to the second."""
    return "-" if when is None else when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


# Output


def plain(text: str) -> str:
    """Return a text with every control character, reversal of direction and undecodable byte shown as an escape."""
    return "".join(_escaped(character) if _harmful(character) else character for character in text)


def _harmful(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character not in _JOINERS


def _escaped(character: str) -> str:
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"


def fail(message: str) -> None:
    """Print an error to stderr, each of its lines under our name."""
    for line in message.split("\n"):
        click.echo(f"smileaccess: {plain(line)}", err=True)


def warn(message: str) -> None:
    """Print a warning to stderr."""
    fail(f"warning: {message}")


def say(message: str = "") -> None:
    """Print a line for people."""
    click.echo(plain(message))


def emit(value: Any) -> None:
    """Print a value as JSON; everything beyond ASCII is escaped, so that no terminal acts on it."""
    click.echo(json.dumps(value, indent=2))


def console(*, stderr: bool = False) -> Console:
    """Return rich's console on the present stream, without markup, so that a name is only text."""
    from rich.console import Console  # noqa: PLC0415

    shown = Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=False)
    if not shown.is_terminal and "COLUMNS" not in os.environ:
        shown.width = PIPE_WIDTH
    return shown


def table(
    *columns: str, right: Iterable[str] = (), fold: Iterable[str] = (), least: Mapping[str, int] | None = None
) -> Table:
    """Return an empty table.

    `right` are set to the right, `fold` go on in the next line where others are cut; `least` says how many characters a
    column keeps when the terminal is narrow.
    """
    from rich.table import Table  # noqa: PLC0415

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        made.add_column(
            name,
            justify="right" if name in set(right) else "left",
            overflow="fold" if name in set(fold) else "ellipsis",
            no_wrap=name not in set(fold),
            min_width=(least or {}).get(name),
        )
    return made


def row(made: Table, *cells: str) -> None:
    """Add a row of untrusted text."""
    from rich.text import Text  # noqa: PLC0415

    made.add_row(*(Text(plain(cell)) for cell in cells))


def number(value: float | None, digits: int = 1) -> str:
    """Return a number for people, a dash for none."""
    return "-" if value is None else f"{value:.{digits}f}"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural where there is not just one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def on_terminal() -> bool:
    """Say whether a person sits at both ends."""
    return stdin_is_terminal() and sys.stdout.isatty()


def stdin_is_terminal() -> bool:
    """Say whether somebody can be asked; nobody can where standard input was closed."""
    return sys.stdin is not None and sys.stdin.isatty()


def need_yes(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone; without a terminal --yes is needed."""
    if not yes:
        need_terminal(question)
        click.confirm(plain(question), abort=True)


def need_terminal(question: str) -> None:
    """Refuse to go on where nobody can be asked."""
    if not on_terminal():
        raise SmileAccessError(f"{question} Without a terminal to ask on, say so with --yes.")
