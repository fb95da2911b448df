"""`smileaccess doctor`: shows what the checks find as they find it; it decides nothing and changes nothing."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smileaccess.cli.common import (
    App,
    console,
    counted,
    emit,
    json_option,
    pass_app,
    row,
    say,
    stdin_is_terminal,
    table,
)
from smileaccess.errors import SettingsError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

    from smileaccess.doctor.findings import Check, Finding
    from smileaccess.doctor.site import Site
    from smileaccess.settings import Settings

STYLES = {"fine": "green", "warning": "yellow", "fault": "bold red"}


@click.command(short_help="Look at the whole installation, and say what to mend.")
@click.option("--no-cloud", is_flag=True, help="Do not ask Amazon Rekognition, which costs two billed calls.")
@click.option("--commission", is_flag=True, help="Go through the checklist before the door is trusted, item by item.")
@click.option("--by", default="", metavar="NAME", help="With --commission: who does it; else it is asked for.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --commission: the new file for the sealed result; else one beside the record.",
)
@click.option(
    "--verify",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --commission: check the seal of a result, and whether it still holds.",
)
@json_option
@pass_app
def doctor(
    app: App, no_cloud: bool, commission: bool, by: str, output: Path | None, file: Path | None, as_json: bool
) -> int:
    """Look at settings, keys, camera, record, members and the cloud, and say what to mend.

    \b
    Example:
      smileaccess doctor
      smileaccess doctor --no-cloud --json
      sudo smileaccess doctor --commission
      sudo smileaccess doctor --commission --verify front.json

    Each line is fine, a warning or a fault; docs/doctor.md explains every check.
    It changes nothing, but for bringing an older record up to date. With Amazon Rekognition two calls are billed.

    --commission goes through what only a person can see, such as that the strike stays locked when the power comes
    back; docs/commissioning.md. The result is sealed and goes on record.

    Exit codes: 0 no fault (warnings are allowed), or commissioned; 1 a fault, or not commissioned; 2 the settings
    cannot be read.
    """
    if commission:
        from smileaccess.cli import commission as conversation  # noqa: PLC0415

        if file is not None:
            return conversation.verify(app, file, as_json=as_json)
        return conversation.run(app, by, output, as_json=as_json)
    if file is not None or output is not None or by:
        raise click.UsageError("--by, --output and --verify go with --commission")
    from smileaccess.doctor.findings import settings_findings  # noqa: PLC0415

    report = Report(as_json=as_json)
    try:
        settings = app.settings()
    except SettingsError as error:
        for finding in settings_findings(error, app.path):
            report.add(finding)
        report.end("")
        return error.exit_code
    with _without_a_log():
        return _examined(app, settings, report, cloud=not no_cloud)


def _examined(app: App, settings: Settings, report: Report, *, cloud: bool) -> int:
    from smileaccess.doctor import applicable  # noqa: PLC0415
    from smileaccess.doctor.findings import findings_of  # noqa: PLC0415
    from smileaccess.doctor.site import Site  # noqa: PLC0415

    site = Site(settings=settings, path=app.path, cloud=cloud, interactive=stdin_is_terminal())

    def on_crash(error: Exception) -> None:
        if app.debug:
            traceback.print_exception(error)

    with contextlib.closing(site), report.waiting():
        for check in applicable(site):
            report.begin(check)
            for finding in findings_of(check, site, on_crash):
                report.add(finding)
    report.end(_left_out(site))
    return 1 if report.count("fault") else 0


def _left_out(site: Site) -> str:
    return "; Amazon Rekognition was not asked" if site.settings.recognition.cloud and not site.asks_cloud else ""


class Report:
    """The findings so far, as lines for people or as one JSON value at the end."""

    def __init__(self, *, as_json: bool) -> None:
        self._findings: list[Finding] = []
        self._as_json = as_json
        self._console: Console | None = None if as_json else console()
        self._status: Status | None = None

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Tell on a terminal, while this lasts, what takes its time."""
        if self._console is None or not self._console.is_terminal:
            yield
            return
        with self._console.status("") as self._status:
            yield

    def begin(self, check: Check) -> None:
        """Tell which check begins."""
        if self._status is not None:
            self._status.update(f"{check.name}: {check.wait}" if check.wait else check.name)

    def add(self, finding: Finding) -> None:
        """Show a finding."""
        self._findings.append(finding)
        if self._console is not None:
            _show(self._console, finding)

    def count(self, level: str) -> int:
        """Return how many findings are of a level."""
        return sum(finding.level == level for finding in self._findings)

    def end(self, rest: str) -> None:
        """Show the sum, or all of it as JSON."""
        faults, warnings = self.count("fault"), self.count("warning")
        if self._as_json:
            emit({"findings": [_plain(each) for each in self._findings], "faults": faults, "warnings": warnings})
        else:
            say()
            say(f"{counted(faults, 'fault')}, {counted(warnings, 'warning')}, {self.count('fine')} fine{rest}")


def _show(shown: Console, finding: Finding) -> None:
    made = table("level", "check", "found", fold=("found",), least={"level": 7, "check": 13})
    made.show_header = False
    made.columns[0].style = STYLES[finding.level]
    row(made, finding.level, finding.check, finding.found)
    if finding.advice:
        row(made, "", "", f"-> {finding.advice}")
    shown.print(made)


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "level": finding.level.value,
        "found": finding.found,
        "advice": finding.advice,
    }


@contextlib.contextmanager
def _without_a_log() -> Iterator[None]:
    """Keep what the parts log off standard output: what matters of it is a finding."""
    import structlog  # noqa: PLC0415

    def drop(*_: Any) -> Any:
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[drop])
    try:
        yield
    finally:
        structlog.configure(**before)
