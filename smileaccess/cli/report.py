"""`smileaccess attempts report`: one page of HTML with plots of the record; it alters nothing, and shows no member."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smileaccess.cli.common import App, console, counted, moment_option, pass_app, say
from smileaccess.cli.files import Place
from smileaccess.cli.sources import Source, source_options

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
    place = Place(html, "report", force=force)
    place.check()
    tally = Tally(app.settings().thresholds())
    with source(app) as opened:
        tally.add_all(read_with_progress(opened.records.attempts(since=since, until=until)))
    place.write(page.page(tally, page.Heading(SystemClock().now(), title, since, until)))
    total = tally.total
    say(f"wrote a report on {counted(total.ended + total.open, 'attempt')} to {html}")


def read_with_progress(attempts: Iterable[Attempt]) -> Iterator[Attempt]:
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
