"""`smileaccess enroll`: photographs or the camera in, a member out; it keeps no picture."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smileaccess.cli import consent
from smileaccess.cli.collection import bill_to_plain, enrolling
from smileaccess.cli.common import (
    App,
    Variadic,
    caller,
    console,
    counted,
    emit,
    json_option,
    moment_option,
    number,
    pass_app,
    photo_option,
    row,
    say,
    table,
    warn,
    why_option,
)
from smileaccess.cli.limits import schedule_of
from smileaccess.cli.sources import members_list
from smileaccess.errors import PictureError
from smileaccess.model import Gesture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smileaccess.ports import Clock
    from smileaccess.sitting import Desk, Picture, Report, Request, Verdict
    from smileaccess.spending import Tab


@click.command(cls=Variadic)
@click.argument("name")
@photo_option()
@click.option("--camera", is_flag=True, help="Take pictures at the door's camera, or at this machine's.")
@click.option("--consent", "consented", is_flag=True, help="The person has read the text and agrees.")
@click.option("--allow-duplicate", is_flag=True, help="Make a new member although face or name is enrolled.")
@click.option("--to", metavar="ID", help="Add to this member, however changed the face.")
@moment_option("--valid-from", ahead=True, help="Not let in before.")
@moment_option("--valid-until", ahead=True, help="Not let in from then on: a date, or 7d from now.")
@click.option("--schedule", metavar="SCHEDULE", help='When in a week: "mon-fri 08:00-18:00"; see `members schedule`.')
@click.option("--zone", metavar="ZONE", help="The schedule's time zone; default: [rules] time_zone.")
@click.option("--group", "groups", multiple=True, metavar="GROUP", help="Let in as this group of [groups]; repeatable.")
@click.option("--door", "doors", multiple=True, metavar="DOOR", help="Let in at this door only; repeatable.")
@click.option(
    "--gesture", type=click.Choice([each.value for each in Gesture]), help="Shown on the cue; default: smile."
)
@why_option
@json_option
@pass_app
def enroll(
    app: App,
    name: str,
    photos: tuple[Path, ...],
    camera: bool,
    consented: bool,
    as_json: bool,
    to: str | None,
    allow_duplicate: bool,
    valid_from: datetime | None,
    valid_until: datetime | None,
    schedule: str | None,
    zone: str | None,
    groups: tuple[str, ...],
    doors: tuple[str, ...],
    gesture: str | None,
    why: str,
) -> None:
    """Enroll NAME from photographs, or add photographs to the member of that name.

    Three to five different pictures are best: one face, well lit, at least 80
    pixels wide. Each one passes or is refused with its reason. Somebody who is
    enrolled under another name is refused. With rekognition among [recognition]
    recognizers the person is enrolled into the collection as well.

    \b
    Examples:
      smileaccess enroll "Ada Lovelace" --photo ada1.jpg ada2.jpg ada3.jpg
      smileaccess enroll "Ada Lovelace" --camera
      smileaccess enroll "Guest" --photo g.jpg --consent --valid-until 2026-12-24
    """
    if camera == bool(photos):
        raise click.UsageError("give --photo FILE... or --camera")
    told = {
        "to": to,
        "allow_duplicate": allow_duplicate,
        "valid_from": valid_from,
        "valid_until": valid_until,
        "schedule": None if schedule is None else schedule_of(app, schedule, zone),
        "groups": groups,
        "doors": doors,
        "gesture": None if gesture is None else Gesture(gesture),
        "why": why,
    }
    _enroll(app, name, photos or None, given=consented, as_json=as_json, told=told)


def _enroll(
    app: App, name: str, photos: Sequence[Path] | None, *, given: bool, as_json: bool, told: dict[str, Any]
) -> None:
    from smileaccess import wiring  # noqa: PLC0415
    from smileaccess.clock import SystemClock  # noqa: PLC0415
    from smileaccess.keys import DESK_KEYS  # noqa: PLC0415
    from smileaccess.membership import clean_name  # noqa: PLC0415
    from smileaccess.sitting import Request  # noqa: PLC0415

    settings, clock, name = app.settings(), SystemClock(), clean_name(name)
    app.keys(*DESK_KEYS)  # before anybody is asked
    request = Request(name, consent.ask(settings, clock, name, given=given), **told)
    with (
        members_list(app, *DESK_KEYS, must_exist=False) as people,
        closing(wiring.make_eyes(settings)) as eyes,
        enrolling(app, as_json=as_json) as (collection, tab),
    ):
        registry = wiring.make_registry(settings, people.keys, people.members, clock, caller())
        desk = wiring.make_desk(settings, people.keys, registry, eyes, collection)
        if photos is None:
            _work(desk, _taken(app, desk, clock, request.why), [], request, tab, as_json=as_json)
        else:
            _work(desk, *load_pictures(photos), request, tab, as_json=as_json)


def _taken(app: App, desk: Desk, clock: Clock, why: str) -> list[Picture]:
    from smileaccess.cli import capture  # noqa: PLC0415

    with capture.frames_of(app.settings(), clock, why) as frames:
        return capture.collect(desk, frames)


def load_pictures(paths: Sequence[Path]) -> tuple[list[Picture], list[Verdict]]:
    """Read picture files; those that cannot be used come back as verdicts."""
    from smileaccess.sitting import Picture, Verdict  # noqa: PLC0415
    from smileaccess.vision.pictures import load_picture  # noqa: PLC0415 -- Pillow

    pictures: list[Picture] = []
    bad: list[Verdict] = []
    for path in paths:
        try:
            pictures.append(Picture(path.name, load_picture(path)))
        except PictureError as error:
            bad.append(Verdict(path.name, remark=str(error).removeprefix(f"{path}: ")))
    return pictures, bad


def _work(
    desk: Desk, pictures: Sequence[Picture], bad: Sequence[Verdict], request: Request, tab: Tab, *, as_json: bool
) -> None:
    from smileaccess import enrollment  # noqa: PLC0415
    from smileaccess.sitting import NoGoodPicture  # noqa: PLC0415

    try:
        report = enrollment.enroll(desk, pictures, request)
    except NoGoodPicture as error:
        verdicts = [*error.verdicts, *bad]
        if as_json:
            plain = [verdict_to_plain(each) for each in verdicts]
            emit({"enrolled": False, "error": str(error), "pictures": plain, "billed": bill_to_plain(tab.bill())})
        else:
            print_verdicts(verdicts)
        raise
    if as_json:
        emit({**report_to_plain(report, bad), "billed": bill_to_plain(tab.bill())})
        return
    print_verdicts([*report.verdicts, *bad])
    _conclude(report)


def _conclude(report: Report) -> None:
    member = report.member
    done = "enrolled" if report.new else "added to"
    say(f"{done} {member.name} as {member.id}: {counted(len(member.templates), 'picture')}, version {member.version}")
    for name in sorted({each.indexed.collection for each in report.verdicts if each.indexed}):
        say(f"{counted(len(member.faces_in(name)), 'face')} in collection {name}")
    for warning in report.warnings:
        warn(warning)


def print_verdicts(verdicts: Sequence[Verdict]) -> None:
    """Print what became of each picture."""
    indexed = ["indexed"] if any(verdict.indexed for verdict in verdicts) else []
    columns = ("face px", "smile", "found back")
    made = table("picture", "result", *columns, *indexed, right=(*columns, *indexed), fold=("result",))
    for verdict in verdicts:
        face = verdict.face
        size = number(face.quality.size_px if face else None, 0)
        row(
            made,
            verdict.label,
            said(verdict),
            size,
            number(face.smile if face else None, 0),
            number(verdict.similarity),
            *([number(verdict.cloud_similarity)] if indexed else []),
        )
    console().print(made)


def said(verdict: Verdict) -> str:
    """Return what became of a picture, with what to do about it."""
    from smileaccess.gates import ADVICE  # noqa: PLC0415

    if verdict.faults:
        return "; ".join(f"{fault.value}: {ADVICE[fault]}" for fault in verdict.faults)
    return verdict.remark or "good"


def verdict_to_plain(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict for JSON; numbers are rounded to what they mean."""
    face = verdict.face
    quality = face and {
        "size_px": round(face.quality.size_px),
        "brightness": round(face.quality.brightness, 1),
        "sharpness": round(face.quality.sharpness, 1),
        "presence": round(face.quality.presence, 3),
    }
    return {
        "picture": verdict.label,
        "passed": verdict.passed,
        "faults": [fault.value for fault in verdict.faults],
        "remark": verdict.remark,
        "smile": None if face is None or face.smile is None else round(face.smile, 1),
        "quality": quality,
        "similarity": None if verdict.similarity is None else round(verdict.similarity, 3),
        "indexed": verdict.indexed and verdict.indexed.id,
        "cloud_similarity": None if verdict.cloud_similarity is None else round(verdict.cloud_similarity, 3),
    }


def report_to_plain(report: Report, bad: Sequence[Verdict] = ()) -> dict[str, Any]:
    """Return a report for JSON."""
    from smileaccess.cli.office import member_to_plain  # noqa: PLC0415

    return {
        "enrolled": True,
        "new": report.new,
        "member": member_to_plain(report.member),
        "pictures": [verdict_to_plain(each) for each in (*report.verdicts, *bad)],
        "warnings": list(report.warnings),
    }
