"""The command line: finds the command, turns errors into a line and an exit code; it loads nothing it does not need.

Exit codes: 0 done; 1 an error of ours; 2 wrong usage or settings; 70 something unforeseen (EX_SOFTWARE of
sysexits.h); 130 stopped by the user (128 and SIGINT's number).
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Any, NoReturn

import click

from smileaccess import __version__
from smileaccess.cli.common import App, add_common_options, fail
from smileaccess.errors import SmileAccessError

EXIT_UNFORESEEN = 70
EXIT_STOPPED = 130

_UNWRITABLE = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.EPIPE}
"""What a write of the output fails with where the other end has no room for it, or is gone."""


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command that is imported when it is used, and its line in the list of commands."""

    target: str
    help: str


COMMANDS: Mapping[str, Lazy] = {
    "run": Lazy("smileaccess.cli.run:run", "Run the door as a daemon."),
    "demo": Lazy("smileaccess.cli.demo:demo", "Show the whole door on this terminal, with nothing else."),
    "enroll": Lazy("smileaccess.cli.enroll:enroll", "Enroll a person from photographs or at the camera."),
    "members": Lazy("smileaccess.cli.members:members", "List, change, import and forget members."),
    "collection": Lazy("smileaccess.cli.collection:collection", "Make and look at collections of Amazon Rekognition."),
    "attempts": Lazy("smileaccess.cli.attempts:attempts", "Read, check, export and try attempts."),
    "database": Lazy("smileaccess.cli.database:database", "Make, back up and describe the databases."),
    "door": Lazy("smileaccess.cli.door:door", "Ask the running door; register and revoke doors."),
    "alerts": Lazy("smileaccess.cli.alerts:alerts", "Try the channels that alerts leave by."),
    "keys": Lazy("smileaccess.cli.keys:keys", "Make and show the keys of this installation."),
    "panel": Lazy("smileaccess.cli.panel:panel", "Try lamps, buzzer and inputs; drive the strike to locked."),
    "camera": Lazy("smileaccess.cli.camera:camera", "See what the camera sees, and what to improve."),
    "evaluate": Lazy("smileaccess.cli.evaluate:evaluate", "Measure error rates on pictures and captures of your own."),
    "tune": Lazy("smileaccess.cli.tune:tune", "Show what other settings would have made of past attempts."),
    "config": Lazy("smileaccess.cli.config:config", "Show and check the settings."),
    "doctor": Lazy("smileaccess.cli.doctor:doctor", "Look at the whole installation, and say what to mend."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's interface
        """Return the commands in the order in which they are needed."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command, None where there is none of this name."""
        lazy = COMMANDS.get(cmd_name)
        if lazy is None:
            return None
        module, attribute = lazy.target.split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        add_common_options(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="smileaccess", message="%(prog)s %(version)s")
def cli() -> None:
    """Open a door to a face and a smile.

    Try it at once:    smileaccess demo

    \b
    A door of your own:
      smileaccess config example > smileaccess.toml    then edit it
      smileaccess --config smileaccess.toml keys make
      smileaccess --config smileaccess.toml enroll "Ada Lovelace" --photo ada*.jpg
      smileaccess --config smileaccess.toml run

    Every command has a --help with an example.
    """


add_common_options(cli)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and leave the process with its exit code; the entry point."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no reason to stop
    app = App()
    sys.exit(_run(app, arguments))


def _run(app: App, arguments: Sequence[str] | None) -> int:
    try:
        code = _code(cli.main(arguments, prog_name="smileaccess", standalone_mode=False, obj=app))
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.Abort:
        fail("stopped")
        return EXIT_STOPPED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SmileAccessError as error:
        return _ours(app, error)
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is not None:
            return _unforeseen(app, error)
        return _unwritable(error)
    # The process's root: whatever nobody foresaw becomes a line and an exit code.
    except Exception as error:  # noqa: BLE001
        return _unforeseen(app, error)
    return code


def _unwritable(error: OSError) -> int:
    if error.errno != errno.EPIPE:  # a reader who left knows
        fail(f"the output cannot be written: {error.strerror}: make room, or write it elsewhere")
    # Else Python tries to write what is left once more at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _code(result: Any) -> int:
    return result if isinstance(result, int) else 0


def _ours(app: App, error: SmileAccessError) -> int:
    if app.debug:
        traceback.print_exception(error)
    fail(str(error))
    return error.exit_code


def _unforeseen(app: App, error: Exception) -> int:
    if app.debug:
        traceback.print_exception(error)
    hint = "" if app.debug else ": please report it with what --debug shows"
    fail(f"unforeseen: {type(error).__name__}: {error}{hint}")
    return EXIT_UNFORESEEN
