"""`smileaccess members reconcile`: compares the signed list and the collection; it changes nothing unless told to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from smileaccess.cli.common import (
    App,
    caller,
    console,
    counted,
    emit,
    json_option,
    need_yes,
    pass_app,
    row,
    say,
    table,
    why_option,
)
from smileaccess.cli.sources import members_list
from smileaccess.errors import SmileAccessError

if TYPE_CHECKING:
    from smileaccess.model import Member
    from smileaccess.recognizers.collection import RekognitionCollection
    from smileaccess.reconciling import Differences, Repair
    from smileaccess.registry import Registry


@click.command()
@click.option("--repair", is_flag=True, help="Remove unsigned faces, sign members without the missing ones.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@why_option
@json_option
@pass_app
def reconcile(app: App, repair: bool, yes: bool, why: str, as_json: bool) -> None:
    """Compare the signed list with the collection of the settings, both ways.

    Faces of the collection that nobody has signed let nobody in; signed faces
    that it lacks find nobody. Exits with 1 while the two differ. Nobody
    should be enrolled meanwhile, and a collection must have one list: faces
    signed in another one look unsigned here.

    \b
    Examples:
      smileaccess members reconcile
      smileaccess members reconcile --repair --why "monthly check"
    """
    from smileaccess import reconciling, wiring  # noqa: PLC0415
    from smileaccess.clock import SystemClock  # noqa: PLC0415
    from smileaccess.keys import KeyKind  # noqa: PLC0415
    from smileaccess.spending import Tab  # noqa: PLC0415

    settings, mended = app.settings(), None
    tab = Tab(SystemClock(), 0)  # listing and deleting faces costs nothing
    with (
        members_list(app, KeyKind.ENROLLER, KeyKind.ENROLLER_PUBLIC) as people,
        contextlib.closing(wiring.make_collection(settings, tab)) as collection,
    ):
        registry = wiring.make_registry(settings, people.keys, people.members, SystemClock(), caller())
        found = _examined(registry, collection)
        if not as_json:
            print_differences(found)
        if repair and (found.orphans or found.missing) and not found.unverified:
            need_yes(_question(found), yes=yes)
            mended = reconciling.repair(registry, people.events, collection, found, why)
    if as_json:
        emit({**differences_to_plain(found), "repaired": mended and repair_to_plain(mended)})
    elif mended is not None:
        _print_repair(mended)
    _conclude(found, mended)


def _examined(registry: Registry, collection: RekognitionCollection) -> Differences:
    from smileaccess import reconciling  # noqa: PLC0415

    total = collection.describe().faces
    with _progress(collection, total) as listed:
        return reconciling.examine(registry, collection.name, listed)


@contextlib.contextmanager
def _progress(collection: RekognitionCollection, total: int) -> Iterator[Iterator[tuple[str, str]]]:
    """Give the collection's faces, with a progress bar on a terminal."""
    from rich.progress import Progress  # noqa: PLC0415

    shown = console(stderr=True)
    with Progress(console=shown, disable=not shown.is_terminal, transient=True) as progress:
        yield iter(progress.track(collection.faces(), total=total, description=f"listing {collection.name}"))


def print_differences(found: Differences) -> None:
    """Print what differs, a table a kind."""
    say(f"collection {found.collection}: {counted(found.listed, 'face')}, {found.signed} signed for it")
    if found.orphans:
        say()
        say(f"{counted(len(found.orphans), 'face')} of the collection that nobody has signed; nobody gets in by it:")
        made = table("face", "label", "the label names", fold=("label",))
        for orphan in found.orphans:
            row(made, orphan.face_id, orphan.label or "-", orphan.names.value)
        console().print(made)
    if found.missing:
        say()
        say("signed faces that the collection lacks:")
        made = table("member", "id", "face", fold=("member",))
        for missing in found.missing:
            for face_id in missing.face_ids:
                row(made, missing.member.name, missing.member.id[:10], face_id)
        console().print(made)
    if found.without:
        say()
        say("members without a face in the collection, to be enrolled again:")
        _print_members(found.without)


def _print_members(members: tuple[Member, ...]) -> None:
    made = table("member", "id", fold=("member",))
    for member in members:
        row(made, member.name, member.id)
    console().print(made)


def _question(found: Differences) -> str:
    missing = sum(len(each.face_ids) for each in found.missing)
    return (
        f"Remove {counted(len(found.orphans), 'face')} from collection {found.collection} for good, and sign "
        f"{counted(len(found.missing), 'member')} without {counted(missing, 'face')}?"
    )


def _print_repair(mended: Repair) -> None:
    say()
    say(
        f"removed {counted(mended.removed, 'face')}, signed {counted(len(mended.resigned), 'member')} anew; "
        f"{counted(len(mended.enroll_again), 'member')} to be enrolled again"
    )


def _conclude(found: Differences, mended: Repair | None) -> None:
    """Say that both agree, or fail naming what is left to do."""
    if found.agree or (mended is not None and not mended.enroll_again):
        return
    if mended is not None:
        names = ", ".join(member.id for member in mended.enroll_again)
        raise SmileAccessError(f"collection {found.collection}: without a face: {names}: enroll them again")
    if found.unverified:
        raise SmileAccessError(
            f"members that do not verify: {found.unverified}, whose faces look unsigned: nothing was changed: "
            "see `smileaccess members list`, and restore a backup or forget them by id first"
        )
    fixes = ["mend it with --repair"] * bool(found.orphans or found.missing)
    fix = ", and ".join([*fixes, *["enroll those without a face again"] * bool(found.without)])
    raise SmileAccessError(f"collection {found.collection}: differs from the signed list: {fix}")


def differences_to_plain(found: Differences) -> dict[str, Any]:
    """Return a comparison for JSON."""
    return {
        "collection": found.collection,
        "agree": found.agree,
        "faces": found.listed,
        "signed": found.signed,
        "orphans": [
            {"face": each.face_id, "label": each.label, "label_names": each.names.value} for each in found.orphans
        ],
        "missing": [{"member": each.member.id, "faces": list(each.face_ids)} for each in found.missing],
        "without": [member.id for member in found.without],
        "unverified": found.unverified,
    }


def repair_to_plain(mended: Repair) -> dict[str, Any]:
    """Return what was mended for JSON."""
    return {
        "removed": mended.removed,
        "resigned": [{"member": member.id, "version": member.version} for member in mended.resigned],
        "enroll_again": [member.id for member in mended.enroll_again],
    }
