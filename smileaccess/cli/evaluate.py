"""`smileaccess evaluate`: error rates on pictures and captures of the owner; it enrolls nobody and drives no door."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smileaccess.cli.common import CONFIG_VARIABLE, App, Variadic, console, emit, json_option, pass_app, quiet, warn
from smileaccess.cli.files import Place
from smileaccess.errors import SmileAccessError
from smileaccess.model import LivenessMode

if TYPE_CHECKING:
    from smileaccess.cli.curves import Draw
    from smileaccess.evaluation.looking import Seen
    from smileaccess.settings import Settings

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group()
def evaluate() -> None:
    """Measure error rates on pictures and captures of your own.

    Pictures go through the same eyes, gates, recognizer and policy as at the
    door; nobody is enrolled, no door is driven, nothing leaves this machine.
    Without a settings file the settings are those that come with the program.

    Example:    smileaccess evaluate identification faces --plot rates.svg
    """


# What the commands share


def shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of all of them: how it works, and where its results go."""
    decorated = command
    for option in (
        json_option,
        click.option("--force", is_flag=True, help="Replace the files where there are such."),
        click.option(
            "--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw curves: .svg, .png or .html."
        ),
        click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Processes; else one for each core."),
        click.option("--seed", type=click.IntRange(min=0), help="Repeat what was drawn by chance; else a new one."),
    ):
        decorated = option(decorated)
    return decorated


def cached(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --cache and --no-cache, as its argument `cache`: the folder, or None for none."""

    @wraps(command)
    def gathered(*args: Any, cache: Path | None, no_cache: bool, **options: Any) -> Any:
        if cache is not None and no_cache:
            raise click.UsageError("give either --cache DIR or --no-cache, and not both")
        return command(*args, cache=None if no_cache else cache or _default_cache(), **options)

    told = "What was seen before, each entry readable with its picture only (default ~/.cache/smileaccess/evaluation)."
    decorated = click.option("--no-cache", is_flag=True, help="Keep nothing, and read nothing kept.")(gathered)
    return click.option("--cache", type=FOLDER, metavar="DIR", help=told)(decorated)


def _default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "smileaccess" / "evaluation"


def settings_of(app: App) -> Settings:
    """Return the settings; those that come with the program where no file was asked for and none is installed."""
    from smileaccess.settings import Settings  # noqa: PLC0415 -- pydantic

    asked = app.config is not None or os.environ.get(CONFIG_VARIABLE)
    return app.settings() if asked or app.path.exists() else Settings()


def plot_place(plot: Path | None, *, force: bool) -> Place | None:
    """Return where to draw, None for nowhere; SmileAccessError, early, where that is not possible."""
    from smileaccess.cli.curves import KINDS  # noqa: PLC0415
    from smileaccess.drawing import need_matplotlib  # noqa: PLC0415

    if plot is None:
        return None
    if plot.suffix.lower() not in KINDS:
        raise click.BadParameter(f"{plot}: must end in {', '.join(KINDS)}", param_hint="--plot")
    need_matplotlib()
    place = Place(plot, "plot", force=force)
    place.check()
    return place


def draw_at(place: Place | None, title: str, told: str, draw: Draw, body: str) -> None:
    """Draw a plot where one is wanted."""
    from smileaccess.cli import curves  # noqa: PLC0415

    if place is not None:
        place.write(curves.file(place.path.suffix.lower(), title, told, draw, body))


@contextlib.contextmanager
def progress(told: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a progress bar on a terminal; give what moves it on by one."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    shown = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=shown, disable=not shown.is_terminal, transient=True) as made:
        task = made.add_task(told, total=total)
        yield lambda: made.advance(task)


def look(settings: Settings, paths: Sequence[Path], cache: Path | None, jobs: int | None) -> list[Seen]:
    """Return what is seen in pictures, with a progress bar; what cannot be read is warned of."""
    from smileaccess.evaluation.cores import cores  # noqa: PLC0415
    from smileaccess.evaluation.looking import look_at  # noqa: PLC0415 -- OpenCV
    from smileaccess.policy import EmotionRule  # noqa: PLC0415

    emotions = settings.rules.emotions is not EmotionRule.OFF
    with quiet(), progress("looking at pictures", len(paths)) as looked:
        found = look_at(paths, emotions=emotions, cache=cache, jobs=jobs or cores(), looked=looked)
    for seen in found:
        if seen.error:
            warn(seen.error)
    return found


def _seed(given: int | None) -> int:
    return secrets.randbelow(1 << 32) if given is None else given


# The commands


@evaluate.command(short_help="FPIR and FNIR by threshold, from a folder a person.")
@click.argument("directory", type=FOLDER, metavar="DIR")
@click.option("--enrolled", type=click.IntRange(1, 20), default=3, show_default=True, help="Pictures a member.")
@click.option("--gallery", type=click.IntRange(min=1), metavar="N", help="Members; else half of those who can be.")
@click.option("--splits", type=click.IntRange(1, 1000), default=10, show_default=True, help="How often to divide anew.")
@click.option("--fpir", type=click.FloatRange(0, 1), default=0.001, show_default=True, help="The FPIR wished for.")
@click.option("--searches", type=click.Path(path_type=Path), metavar="FILE", help="Write every search as CSV.")
@cached
@shared
@pass_app
def identification(
    app: App,
    directory: Path,
    enrolled: int,
    gallery: int | None,
    splits: int,
    fpir: float,
    searches: Path | None,
    cache: Path | None,
    seed: int | None,
    jobs: int | None,
    plot: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Measure how often strangers are named and members are not found, by threshold.

    DIR holds a folder of pictures for each person. In each split some people
    are enrolled, and all their other pictures and those of everybody else are
    searched for. Only the embedded recognizer is measured: no picture leaves
    this machine.

    \b
    Examples:
      smileaccess evaluate identification faces
      smileaccess evaluate identification faces --gallery 50 --fpir 0.0001 --plot rates.svg
    """
    from smileaccess.cli import curves, evaluated  # noqa: PLC0415
    from smileaccess.evaluation import folders  # noqa: PLC0415
    from smileaccess.evaluation import identification as measuring  # noqa: PLC0415 -- OpenCV

    settings = settings_of(app)
    drawn = plot_place(plot, force=force)
    listed = None if searches is None else Place(searches, "searches", force=force)
    if listed is not None:
        listed.check()
    people = folders.people(directory)
    seen = iter(look(settings, [path for paths in people.values() for path in paths], cache, jobs))
    by_person = {name: [next(seen) for _ in paths] for name, paths in people.items()}
    pictures = measuring.sort_pictures(by_person, settings.limits(), settings.enrollment_limits())
    plan = measuring.Plan(enrolled, gallery, splits, _seed(seed))
    try:
        size = measuring.gallery_size(pictures.people, plan)
    except SmileAccessError:
        warn(f"evaluate: pictures: {evaluated.pictures_told(pictures)}")
        raise
    standing = measuring.Standing(fpir, settings.recognition.threshold, settings.recognition.margin)
    with quiet(), progress("searching", splits) as done:
        found = [search for split in _each(measuring.searches(pictures.people, plan), done) for search in split]
    measured = measuring.measure(found, size, plan, standing)
    if listed is not None:
        listed.write(evaluated.searches_as_csv(found, directory))
    told = evaluated.identification_told(measured, pictures)
    draw_at(
        drawn,
        "Identification",
        told,
        curves.identification(measured),
        evaluated.identification_tables(measured),
    )
    if as_json:
        emit(evaluated.identification_to_plain(measured, pictures, fpir))
    else:
        evaluated.print_identification(measured, pictures, fpir)


def _each(splits: Iterator[Any], done: Callable[[], None]) -> Iterator[Any]:
    for split in splits:
        done()
        yield split


@evaluate.command(short_help="ROC, area and accuracy of the smile, from two folders.")
@click.option("--smiling", type=FOLDER, required=True, metavar="DIR", help="Pictures of people who smile.")
@click.option("--neutral", type=FOLDER, required=True, metavar="DIR", help="Pictures of people who do not.")
@cached
@shared
@pass_app
def smile(
    app: App,
    smiling: Path,
    neutral: Path,
    cache: Path | None,
    seed: int | None,
    jobs: int | None,
    plot: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Measure how well smiles are told from neutral faces, and what smile_at and neutral_below make of them.

    Example:    smileaccess evaluate smile --smiling smiling --neutral neutral
    """
    from smileaccess.cli import curves, evaluated  # noqa: PLC0415
    from smileaccess.evaluation import folders, smiles  # noqa: PLC0415 -- OpenCV

    settings = settings_of(app)
    drawn = plot_place(plot, force=force)
    kinds = {"smiling": folders.pictures(smiling), "neutral": folders.pictures(neutral)}
    seen = iter(look(settings, [path for paths in kinds.values() for path in paths], cache, jobs))
    scored = {name: smiles.score([next(seen) for _ in paths], settings.limits()) for name, paths in kinds.items()}
    chance = _seed(seed)
    marks = settings.liveness.smile_at, settings.liveness.neutral_below
    measured = smiles.measure(scored["smiling"].scores, scored["neutral"].scores, *marks, chance)
    told = evaluated.smiles_told(measured)
    draw_at(drawn, "Smiles", told, curves.smiles(measured), evaluated.smiles_tables(measured))
    if as_json:
        emit(evaluated.smiles_to_plain(measured, scored, chance))
    else:
        evaluated.print_smiles(measured, scored)


class Attacks(Variadic):
    """A command whose --attack takes one kind or more."""

    variadic = "--attack"


@evaluate.command(cls=Attacks, short_help="APCER by kind of attack and BPCER, from captures.")
@click.option("--genuine", type=FOLDER, metavar="DIR", help="Captures of people who are there.")
@click.option("--attack", "attacks", multiple=True, metavar="NAME=DIR...", help="Captures of one kind of attack.")
@click.option("--mode", type=click.Choice([each.value for each in LivenessMode]), help="Instead of the settings'.")
@click.option("--fps", type=click.FloatRange(1, 240), default=15.0, show_default=True, help="Of folders of frames.")
@shared
@pass_app
def liveness(
    app: App,
    genuine: Path | None,
    attacks: tuple[str, ...],
    mode: str | None,
    fps: float,
    seed: int | None,
    jobs: int | None,
    plot: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Measure which share of attacks would open the door (APCER), and of genuine attempts would not (BPCER).

    A capture is a folder of frames or a video file, and is played as one
    attempt in virtual time. Where a file of its name and .cue beside it tells
    after how many seconds the person in it was asked to smile, the recording
    waits there for the door's cue.

    \b
    Example:
      smileaccess evaluate liveness --genuine people --attack print=prints screen=screens
    """
    from smileaccess.cli import curves, evaluated  # noqa: PLC0415
    from smileaccess.cli.trial import with_liveness  # noqa: PLC0415
    from smileaccess.evaluation import captures, folders  # noqa: PLC0415 -- OpenCV
    from smileaccess.evaluation.cores import cores  # noqa: PLC0415

    settings = with_liveness(settings_of(app), mode)
    drawn = plot_place(plot, force=force)
    kinds = {name: folders.captures(directory) for name, directory in _kinds(genuine, attacks).items()}
    chance = _seed(seed)
    paths = [path for each in kinds.values() for path in each]
    with quiet(), progress("playing captures", len(paths)) as judged:
        found = captures.judge(paths, settings, fps=fps, seed=chance, jobs=jobs or cores(), judged=judged)
    for one in found:
        if one.error:
            warn(one.error)
    left = iter(found)
    species = [
        captures.species(name, [next(left) for _ in own], genuine=name == GENUINE) for name, own in kinds.items()
    ]
    if all(one.error for one in found):
        raise SmileAccessError("evaluate: no capture can be played: give folders of frames, or video files")
    told = evaluated.liveness_told(species, settings.liveness.mode)
    draw_at(drawn, "Liveness", told, curves.liveness(species), evaluated.liveness_tables(species))
    if as_json:
        emit(evaluated.liveness_to_plain(species, settings.liveness.mode, chance))
    else:
        evaluated.print_liveness(species, settings.liveness.mode, chance)


GENUINE = "genuine"
"""The name of the captures that are no attack."""


def _kinds(genuine: Path | None, attacks: Sequence[str]) -> Mapping[str, Path]:
    """Return the folder of each kind of capture; UsageError where the options name none, or one twice."""
    kinds = {} if genuine is None else {GENUINE: genuine}
    for attack in attacks:
        name, found, directory = attack.partition("=")
        if not (name and found and directory) or name in kinds or name == GENUINE:
            told = f"{attack}: must be NAME=DIR, each NAME once, and none of them {GENUINE}"
            raise click.BadParameter(told, param_hint="--attack")
        kinds[name] = Path(directory)
    if not kinds:
        raise click.UsageError("give --genuine DIR, --attack NAME=DIR, or both")
    return kinds
