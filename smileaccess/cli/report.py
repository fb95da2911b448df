"""`smileaccess attempts report`: one page of HTML with plots of the record; it alters nothing, and shows no member."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smileaccess.cli.common import App, console, counted, moment_option, pass_app, say
from smileaccess.cli.sources import Source, source_options
from smileaccess.errors import SmileAccessError

if TYPE_CHECKING:
    from smileaccess.model import Attempt

_EVERY = 500
"""Attempts between two steps of the progress that is shown."""


@click.command(short_help="Make a page with plots of attempts.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", required=True, help="The page: a new file.")
@moment_option("--since", help="From this time on: 2026-01-31, 2026-01-31T18:30, or 2h, 7d ago.")
@moment_option("--until", help="Before this time.")
@click.option("--title", default="", metavar="TEXT", help="Of the page.")
@click.option("--force", is_flag=True, help="Replace the file where there is one.")
@source_options
@pass_app
def report(
    app: App,
    html: Path,
    since: datetime | None,
    until: datetime | None,
    title: str,
    force: bool,
    source: Callable[[App], contextlib.AbstractContextManager[Source]],
) -> None:
    """Make one page of HTML with plots: attempts, denials, similarity, latency and cost.

    The page needs nothing else: it can be sent, printed, and read on a phone.
    It holds sums only: no member's name, no id, no picture. Thresholds are those of
    the present settings.

    \b
    Examples:
      smileaccess attempts report --html week.html --since 7d
      smileaccess attempts report --html all.html --central
    """
    from smileaccess.cli import page  # noqa: PLC0415
    from smileaccess.clock import SystemClock  # noqa: PLC0415
    from smileaccess.drawing import need_matplotlib  # noqa: PLC0415
    from smileaccess.reporting import Tally  # noqa: PLC0415

    need_matplotlib()
    check_place(html, force=force)
    tally = Tally(app.settings().thresholds())
    with source(app) as opened:
        tally.add_all(_shown(opened.records.attempts(since=since, until=until)))
    write(html, page.page(tally, page.Heading(SystemClock().now(), title, since, until)), force=force)
    total = tally.total
    say(f"wrote a report on {counted(total.ended + total.open, 'attempt')} to {html}")


def check_place(path: Path, *, force: bool) -> None:
    """See early whether a page can be written there; SmileAccessError as for `write`."""
    with _telling(path):
        _taken(path, force=force)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def write(path: Path, text: str, *, force: bool) -> None:
    """Write a file whole or not at all, durably (mode 0600).

    SmileAccessError where there is one already and `force` does not allow to replace it, where the name is not a plain
    file's, and where it cannot be written.
    """
    from smileaccess.durable import put_in_place  # noqa: PLC0415

    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with _telling(path):
        try:
            _write(temporary, text)
            if _taken(path, force=force):
                temporary.replace(path)
            else:
                put_in_place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)


def _taken(path: Path, *, force: bool) -> bool:
    """Say whether there is a file to be replaced; FileExistsError where it must not be."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not force:
        raise FileExistsError
    if not stat.S_ISREG(mode):
        raise SmileAccessError(f"report: {path}: is no plain file: give another name")
    return True


@contextlib.contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file into our error."""
    try:
        yield
    except FileExistsError as error:
        raise SmileAccessError(f"report: {path}: exists: give another name, or --force to replace it") from error
    except OSError as error:
        raise SmileAccessError(f"report: {path}: {error.strerror}: give a place that you may write") from error


def _shown(attempts: Iterable[Attempt]) -> Iterator[Attempt]:
    """Pass attempts on, and show on a terminal how many there were so far."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    shown = console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.completed:,} attempts read"), TimeElapsedColumn())
    with Progress(*columns, console=shown, disable=not shown.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=None)
        for count, attempt in enumerate(attempts, 1):
            if count % _EVERY == 0:
                progress.update(task, completed=count)
            yield attempt
