"""`smileaccess members import`: a folder of folders, each a person's; it goes on past those that fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smileaccess.cli.collection import enrolling
from smileaccess.cli.common import App, caller, console, emit, json_option, pass_app, row, say, table, why_option
from smileaccess.cli.enroll import load_pictures, said
from smileaccess.cli.sources import members_list
from smileaccess.errors import EnrollmentRefused, SmileAccessError

if TYPE_CHECKING:
    from smileaccess.sitting import Desk, Verdict

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one folder, or of what lies where nobody looks.

    `outcome` is enrolled, skipped or failed; `why` holds all that was refused.
    """

    name: str
    outcome: str
    why: tuple[str, ...] = ()
    member_id: str | None = None


@click.command("import")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--consent", "consented", is_flag=True, help="Everybody in it has read the text and agrees.")
@click.option("--add", is_flag=True, help="Add pictures to those who are enrolled, instead of skipping them.")
@why_option
@json_option
@pass_app
def import_(app: App, directory: Path, consented: bool, add: bool, why: str, as_json: bool) -> None:
    """Enroll everybody in DIRECTORY: a folder a person, named as the person.

    Those who are enrolled already are skipped, so that an import may be
    repeated. Exits with 1 if anybody failed; all others are enrolled.

    Example:    smileaccess members import people/ --consent
    """
    if not consented:
        raise EnrollmentRefused("import: no consent: let everybody in it read the text, then give --consent")
    folders = _folders(directory)
    people = _import(app, folders, add=add, why=why, as_json=as_json)
    results = people + _out_of_place(directory, folders)
    failed = sum(result.outcome == "failed" for result in people)
    if as_json:
        emit([result_to_plain(result) for result in results])
    else:
        _print(results)
    if failed:
        raise SmileAccessError(f"import: {failed} of {len(people)} failed: mend their pictures and import again")


def result_to_plain(result: Result) -> dict[str, Any]:
    """Return a result for JSON."""
    return {"name": result.name, "outcome": result.outcome, "member": result.member_id, "why": list(result.why)}


def _folders(directory: Path) -> list[Path]:
    try:
        found = sorted(each for each in directory.iterdir() if each.is_dir() and not each.name.startswith("."))
    except OSError as error:
        raise SmileAccessError(
            f"import: {directory}: {error.strerror}: give a folder with a folder a person"
        ) from error
    if not found:
        raise SmileAccessError(f"import: {directory}: holds no folder: make one for each person, with pictures in it")
    return found


def _out_of_place(directory: Path, folders: Sequence[Path]) -> list[Result]:
    """Return the pictures beside the folders and the folders inside them, which nobody looks at."""
    loose = [each.name for each in _listed(directory) if each.suffix.lower() in SUFFIXES and not each.is_dir()]
    nested = [f"{folder.name}/{each.name}" for folder in folders for each in _listed(folder) if each.is_dir()]
    return [
        *(Result(name, "skipped", ("lies beside the folders: put it into the person's folder",)) for name in loose),
        *(Result(name, "skipped", ("a folder inside a person's: put its pictures there",)) for name in nested),
    ]


def _listed(folder: Path) -> list[Path]:
    """Return what lies in a folder; nothing for one that cannot be read, whose own result says so."""
    try:
        return sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    except OSError:
        return []


def _import(app: App, folders: Sequence[Path], *, add: bool, why: str, as_json: bool) -> list[Result]:
    from smileaccess import wiring  # noqa: PLC0415
    from smileaccess.clock import SystemClock  # noqa: PLC0415
    from smileaccess.keys import DESK_KEYS  # noqa: PLC0415
    from smileaccess.model import Consent  # noqa: PLC0415
    from smileaccess.sitting import Request  # noqa: PLC0415

    settings, clock = app.settings(), SystemClock()
    with (
        members_list(app, *DESK_KEYS, must_exist=False) as people,
        closing(wiring.make_eyes(settings)) as eyes,
        enrolling(app, as_json=as_json) as (collection, _),
    ):
        registry = wiring.make_registry(settings, people.keys, people.members, clock, caller())
        desk = wiring.make_desk(settings, people.keys, registry, eyes, collection)
        consent = Consent(clock.now(), settings.consent_version)
        return _each(folders, lambda folder: _person(desk, folder, Request(folder.name, consent, why=why), add=add))


def _each(folders: Sequence[Path], enroll: Callable[[Path], Result]) -> list[Result]:
    """Enroll each, with a progress bar on a terminal."""
    from rich.progress import Progress  # noqa: PLC0415

    shown = console(stderr=True)
    with Progress(console=shown, disable=not shown.is_terminal, transient=True) as progress:
        return [enroll(folder) for folder in progress.track(folders, description="enrolling")]


def _person(desk: Desk, folder: Path, request: Any, *, add: bool) -> Result:
    from smileaccess import enrollment  # noqa: PLC0415
    from smileaccess.registry import named  # noqa: PLC0415
    from smileaccess.sitting import Conflict, NoGoodPicture  # noqa: PLC0415

    try:
        if not add and (known := named(desk.registry.roster().members, folder.name)):
            return Result(folder.name, "skipped", ("is enrolled already",), known[0].id)
        pictures, bad = load_pictures(_files(folder))
        report = enrollment.enroll(desk, pictures, request)
    except NoGoodPicture as error:
        told = _refused(error.verdicts) + _refused(bad)
        return Result(folder.name, "failed", told or ("holds no picture",))
    except Conflict as error:
        alone = "enroll this one by itself: `smileaccess enroll` takes --to and --allow-duplicate"
        return Result(folder.name, "failed", (f"{error.problem}: {alone}",))
    except SmileAccessError as error:
        return Result(folder.name, "failed", (str(error),))
    return Result(
        folder.name, "enrolled", _refused(report.verdicts) + _refused(bad) + report.warnings, report.member.id
    )


def _files(folder: Path) -> list[Path]:
    try:
        found = sorted(each for each in folder.iterdir() if each.suffix.lower() in SUFFIXES)
        return [each for each in found if not each.is_dir()]
    except OSError as error:
        raise EnrollmentRefused(f"{folder}: {error.strerror}: cannot be read") from error


def _refused(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    return tuple(f"{each.label}: {said(each)}" for each in verdicts if not each.passed)


def _print(results: Sequence[Result]) -> None:
    made = table("name", "result", "why", fold=("name", "why"))
    for result in results:
        row(made, result.name, result.outcome, "\n".join(result.why))
    console().print(made)
    counts = {
        outcome: sum(each.outcome == outcome for each in results) for outcome in ("enrolled", "skipped", "failed")
    }
    say(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
