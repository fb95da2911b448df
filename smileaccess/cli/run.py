"""`smileaccess run`: the daemon in the foreground, as a supervisor or a terminal starts it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smileaccess.cli.common import App, pass_app, say
from smileaccess.errors import KeysError, PanelUnavailable, RecordsUnavailable, SettingsError

if TYPE_CHECKING:
    from smileaccess.model import Attempt
    from smileaccess.ports import Clock, Panel
    from smileaccess.settings import Settings


@click.command(short_help="Run the door as a daemon.")
@click.option("--check", is_flag=True, help="Only check settings and keys, and report everything that is wrong.")
@pass_app
def run(app: App, check: bool) -> int:
    """Run the door until TERM, INT or Q; HUP reads the settings again.

    \b
    Example:
      smileaccess run --config /etc/smileaccess/smileaccess.toml --check
      smileaccess run --config /etc/smileaccess/smileaccess.toml

    The log goes to systemd's journal where that started the door, else to standard error: text on a terminal, JSON in
    a pipe. While the panel is drawn on that same
    terminal it goes to smileaccess.log beside the database.

    Exit codes: 0 stopped as told, 1 failed, 2 wrong settings.
    """
    if check:
        return _check(app)
    from smileaccess import settings as configuration  # noqa: PLC0415 -- pydantic
    from smileaccess import wiring  # noqa: PLC0415
    from smileaccess.clock import SystemClock  # noqa: PLC0415
    from smileaccess.daemon import Daemon  # noqa: PLC0415
    from smileaccess.model import DoorInput  # noqa: PLC0415
    from smileaccess.supervision.notify import Notifier  # noqa: PLC0415

    settings, clock = app.settings(), SystemClock()
    wiring.need_record(settings)
    keys = wiring.load_keys(settings)
    supervisor = Notifier()
    panel, show_attempt = make_panel(settings, clock, on_crash=lambda: daemon.crash())  # noqa: PLW0108 -- made below
    camera = wiring.make_camera(settings, clock, on_picture=lambda: daemon.press(DoorInput.PICTURE))
    daemon = Daemon(
        settings,
        keys=keys,
        camera=camera,
        panel=panel,
        reload=lambda: configuration.load(app.path),
        on_attempt=show_attempt,
        supervisor=supervisor,
        last=True,
    )
    with logging_to(settings):
        return daemon.run()


def _check(app: App) -> int:
    from smileaccess import wiring  # noqa: PLC0415

    settings = app.settings()  # where these are wrong nobody knows which keys are meant
    wiring.need_record(settings)
    try:
        wiring.load_keys(settings)
    except KeysError as error:
        raise SettingsError(str(error).split("\n")) from error
    say(f"{app.path}: settings and keys are fine")
    return 0


def make_panel(
    settings: Settings,
    clock: Clock,
    on_key: Callable[[str], None] | None = None,
    on_crash: Callable[[], None] = lambda: None,
) -> tuple[Panel, Callable[[Attempt, str], None]]:
    """Make the panel of the settings, and what shows an attempt on it with the member's name; PanelUnavailable.

    `on_crash` is called when a thread of the panel's own fails in a way that nobody foresaw.
    """
    if settings.panel.kind == "gpio":
        from smileaccess.panels.gpio import GpioPanel  # noqa: PLC0415

        hardware = GpioPanel(settings.pins(), clock, pin_factory=settings.panel.pin_factory, on_crash=on_crash)
        return hardware, lambda _attempt, _who: None
    if settings.panel.kind == "silent":
        from smileaccess.panels.silent import SilentPanel  # noqa: PLC0415

        return SilentPanel(clock), lambda _attempt, _who: None
    from smileaccess.cli.common import console  # noqa: PLC0415
    from smileaccess.panels.terminal import TerminalPanel  # noqa: PLC0415

    panel = TerminalPanel(clock, console(), _keyboard(), door=settings.door.name, on_key=on_key)
    return panel, panel.show_attempt


def _keyboard() -> int:
    """Return standard input's descriptor; PanelUnavailable where it was closed."""
    if sys.stdin is None:
        raise PanelUnavailable(
            'panel terminal: standard input is closed: start the door on a terminal, or set [panel] kind = "silent"'
        )
    return sys.stdin.fileno()


@contextlib.contextmanager
def logging_to(settings: Settings) -> Iterator[None]:
    """Send the log to standard error, or to a file where the panel is drawn on that same terminal."""
    from smileaccess.supervision import journal  # noqa: PLC0415 -- structlog

    if settings.panel.kind != "terminal" or sys.stderr is None or not sys.stderr.isatty():
        with journal.writing(settings.log.level, settings.log.format, door=settings.door.name):
            yield
        return
    path = Path(settings.records.database).parent / "smileaccess.log"
    try:
        stream = path.open("a", encoding="utf-8")
    except OSError as error:
        raise RecordsUnavailable(
            f"log: {path}: {error.strerror}: make the folder of [records] database, or send the log elsewhere: 2> FILE"
        ) from error
    with stream, journal.writing(settings.log.level, settings.log.format, stream):
        yield
