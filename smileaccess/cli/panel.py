"""`smileaccess panel`: tries lamps, buzzer, inputs and strike while no door runs, and drives the strike to locked."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

import click

from smileaccess.cli.common import App, fail, json_option, logging_as_warnings, need_yes, pass_app, plain, say, warn
from smileaccess.encoding import stamp
from smileaccess.errors import ControlUnavailable, PanelUnavailable, SettingsError
from smileaccess.model import Signal
from smileaccess.signals import LOOKS, light_in_words, sound_in_words

if TYPE_CHECKING:
    from smileaccess.model import DoorInput
    from smileaccess.panels.gpio import GpioPanel
    from smileaccess.ports import Panel
    from smileaccess.settings import Settings

PATIENCE_S = 1.0
"""Seconds that a line may stay busy: the guard of a daemon that was just killed takes a moment to end."""

_AGAIN_S = 0.1

Pause = Callable[[float], object]
"""Lets so many seconds pass."""

StrikeLine = tuple[int, int, str]
"""Chip, line and active level of a strike."""


@click.group()
def panel() -> None:
    """Try lamps, buzzer and inputs; drive the strike to locked.

    `test` and `watch` take the panel's lines for themselves, so the door must not run meanwhile.

    \b
    Example:
      sudo systemctl stop smileaccess
      sudo smileaccess panel test
      sudo smileaccess panel watch
      sudo systemctl start smileaccess
    """


@panel.command(short_help="Play every signal on lamps and buzzer.")
@click.option("--signal", "name", type=click.Choice([signal.value for signal in Signal]), help="Only this signal.")
@click.option("--seconds", default=3.0, type=click.FloatRange(0.1, 60), show_default=True, help="Time for each signal.")
@click.option("--strike", is_flag=True, help="Then energize the strike for [door] unlock_s: the door can be opened.")
@click.option("--yes", is_flag=True, help="Do not ask before the strike.")
@pass_app
def test(app: App, name: str | None, seconds: float, strike: bool, yes: bool) -> None:
    """Play every signal on lamps and buzzer, with its name and what it means.

    The strike stays de-energized unless --strike is given and confirmed.

    \b
    Example:
      sudo smileaccess panel test
      sudo smileaccess panel test --signal refused --seconds 10
    """
    settings = _settings_for_lines(app)
    if strike:
        need_yes("Energize the strike, so that the door can be opened?", yes=yes)
    with _opened(settings, lambda _report: None) as opened:
        play(opened, [Signal(name)] if name else list(Signal), seconds, Event().wait)
        if strike:
            try_strike(opened, settings.door.unlock_s, Event().wait)


@panel.command(short_help="Show what the inputs report, live.")
@json_option
@pass_app
def watch(app: App, as_json: bool) -> None:
    """Show what the inputs report, a line each as it comes, until Ctrl-C.

    With --json each line is an object.

    \b
    Example:
      sudo smileaccess panel watch
    """
    settings = _settings_for_lines(app)
    reports: SimpleQueue[DoorInput] = SimpleQueue()
    with _opened(settings, reports.put):
        if not as_json:
            say(watched(settings))
        with suppress(KeyboardInterrupt):
            while True:
                tell(reports.get(), datetime.now(UTC), as_json=as_json)


@panel.command()
@pass_app
def lock(app: App) -> int:
    """Drive the strike's line to de-energized, and read it back.

    The systemd unit calls this before the door starts and after it has ended.
    It locks the line that a door here has driven, before it reads anything else,
    and the one of the settings, should that be another one. With another panel
    than "gpio" there is nothing to do.

    Exits with 1 where a line is held by a running door, cannot be driven, or
    reads energized all the same.

    Example:    sudo smileaccess panel lock
    """
    from smileaccess.panels import guarding  # noqa: PLC0415

    with _writable_folder():
        locked = lock_noted()
        for line in set_line(app, locked=any(locked.values())):
            if line not in locked:
                locked[line] = lock_line(line)
    if not locked:
        say(f'panel: [panel] kind = "{app.settings().panel.kind}": it has no strike on a line')
    if not all(locked.values()):
        return 1
    guarding.forget()
    return 0


def play(opened: Panel, signals: Sequence[Signal], seconds: float, pause: Pause) -> None:
    """Show signals one after the other, and say what each looks, sounds and means like."""
    for signal in signals:
        look = LOOKS[signal]
        say(f"{signal.value:<12}{light_in_words(look)}; buzzer: {sound_in_words(look)}")
        say(f"{'':<12}{look.meaning}")
        opened.signal(signal)
        pause(seconds)


def try_strike(opened: Panel, seconds: float, pause: Pause) -> None:
    """Energize the strike for a while and de-energize it, read back each time; PanelUnavailable."""
    opened.energize(seconds)
    say(f"strike      energized for {seconds:g} s, and read back so")
    pause(seconds)
    opened.de_energize()
    say("strike      de-energized, and read back so")


def tell(report: DoorInput, when: datetime, *, as_json: bool) -> None:
    """Print one report of an input."""
    if as_json:
        click.echo(json.dumps({"at": stamp(when), "input": report.value}))
    else:
        say(f"{when.astimezone().strftime('%H:%M:%S.%f')[:-3]}  {report.value}")


def watched(settings: Settings) -> str:
    """Return which inputs are watched, on which lines."""
    from smileaccess.pins import INPUTS  # noqa: PLC0415

    connected = settings.pins().connected()
    lines = ", ".join(f"{name} (GPIO {connected[name]})" for name in INPUTS if name in connected)
    return f"watching {lines or 'no input: none has a line in [gpio]'}; Ctrl-C ends"


def lock_noted() -> dict[StrikeLine | None, bool]:
    """Lock the line that a door here has driven, if one is noted; return it and whether it is locked.

    A note that cannot be read counts as a line, None, that is not locked; that of the settings is locked all the same.
    """
    from smileaccess.panels import guarding  # noqa: PLC0415

    try:
        line = guarding.noted()
    except PanelUnavailable as error:
        fail(str(error))
        return {None: False}
    return {} if line is None else {line: lock_line(line)}


def set_line(app: App, *, locked: bool) -> list[StrikeLine]:
    """Return the line of the settings, if the panel has one; SettingsError where no other one was locked either."""
    try:
        settings = app.settings()
    except SettingsError as error:
        if not locked:
            raise
        warn(f"the settings are wrong; the line that was driven here is locked: {error}")
        return []
    pins = settings.pins()
    return [(pins.chip, pins.strike, pins.strike_active)] if settings.panel.kind == "gpio" else []


def lock_line(line: StrikeLine) -> bool:
    """Lock one line and say what it reads, once it is free; say whether it is locked."""
    from smileaccess.panels.strike_guard import StrikeFault, lock  # noqa: PLC0415

    until = monotonic() + PATIENCE_S
    while True:
        try:
            read = lock(*line)
        except StrikeFault as error:
            if monotonic() < until:
                Event().wait(_AGAIN_S)
                continue
            fail(f"strike: {error}")
            return False
        say(f"strike: gpiochip{line[0]} line {line[1]}: {read}")
        return True


def _settings_for_lines(app: App) -> Settings:
    """Return the settings of a panel that has lines which nobody holds; PanelUnavailable for others."""
    from smileaccess.control import ControlClient  # noqa: PLC0415

    settings = app.settings()
    if settings.panel.kind != "gpio":
        raise PanelUnavailable(
            f'settings: [panel] kind = "{plain(settings.panel.kind)}": has no lines to try: set it to "gpio"'
        )
    try:
        with ControlClient(Path(settings.control.socket)):
            pass
    except ControlUnavailable:
        return settings
    raise PanelUnavailable("panel: the door runs and holds its lines: stop it first: sudo systemctl stop smileaccess")


@contextmanager
def _opened(settings: Settings, on_input: Callable[[DoorInput], None]) -> Iterator[GpioPanel]:
    """Open the panel for a while, with the strike de-energized; PanelUnavailable."""
    from smileaccess.clock import SystemClock  # noqa: PLC0415
    from smileaccess.panels.gpio import GpioPanel  # noqa: PLC0415

    made = GpioPanel(settings.pins(), SystemClock(), pin_factory=settings.panel.pin_factory)
    with logging_as_warnings(), _writable_folder(), closing(made):
        made.start(on_input)
        yield made


@contextmanager
def _writable_folder() -> Iterator[None]:
    """Work in a folder of our own for a while, since lgpio leaves a pipe in the one that it is started in."""
    before = Path.cwd()
    with ExitStack() as stack:
        with suppress(OSError):  # then the one that we are in has to do
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="smileaccess-"))
            stack.callback(os.chdir, before)
            os.chdir(folder)
        yield
