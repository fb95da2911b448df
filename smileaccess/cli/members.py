"""`smileaccess members`: lists, changes, imports and forgets members; every change is signed and on record."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from smileaccess.cli.common import (
    App,
    console,
    counted,
    emit,
    json_option,
    local,
    moment_option,
    need_terminal,
    pass_app,
    plain,
    row,
    say,
    table,
    warn,
    why_option,
)
from smileaccess.cli.importing import import_
from smileaccess.cli.limits import COMMANDS as LIMITS
from smileaccess.cli.office import Office, limits, member_to_plain, office, reading, span, tell_change
from smileaccess.cli.publishing import publish
from smileaccess.cli.reconcile import reconcile
from smileaccess.errors import CollectionUnavailable, MemberNotFound, RecordsUnavailable, SmileAccessError

if TYPE_CHECKING:
    from smileaccess.model import Member
    from smileaccess.recognizers.collection import RekognitionCollection
    from smileaccess.settings import Settings


@click.group()
def members() -> None:
    """List, change, import and forget members.

    A MEMBER is named by id, by the beginning of an id, or by the whole name.
    """


members.add_command(import_)
members.add_command(reconcile)
members.add_command(publish)
for each in LIMITS:
    members.add_command(each)


@members.command("list")
@click.option("--all", "everybody", is_flag=True, help="Forgotten ones too, of whom only the id is left.")
@click.option("--local", "own", is_flag=True, help="This door's own copy, though there is a central list.")
@json_option
@pass_app
def list_(app: App, everybody: bool, own: bool, as_json: bool) -> None:
    """List the members by name.

    Example:    smileaccess members list --json
    """
    from smileaccess.model import MemberStatus  # noqa: PLC0415

    with reading(app, local=own) as roster:
        shown = [each for each in roster.members if everybody or each.status is not MemberStatus.FORGOTTEN]
    shown.sort(key=lambda each: (each.name.casefold(), each.id))
    gallery = sum(each.searchable and bool(each.templates) for each in roster.members)
    if as_json:
        refused = [{"id": each.member_id, "why": each.why} for each in roster.refused]
        mark = threshold_to_plain(gallery, app.settings())
        emit({"members": [member_to_plain(each) for each in shown], "refused": refused, "threshold": mark})
        return
    _print_members(app, shown)
    _print_threshold(gallery, app.settings())


def _print_threshold(people: int, settings: Settings) -> None:
    """Say which threshold is recommended for so many, where the embedded recognizer is asked at all."""
    if not people or not settings.recognition.local:
        return
    told = threshold_to_plain(people, settings)
    say()
    say(
        f"[recognition] threshold = {told['present']:g}; recommended for {counted(people, 'member')}: "
        f"{told['recommended']:.1f}"
    )
    if advice := threshold_advice(people, settings.recognition.threshold):
        warn(advice)


def threshold_to_plain(people: int, settings: Settings) -> dict[str, Any]:
    """Return the embedded recognizer's threshold in the settings, and the mark for so many members."""
    from smileaccess.recognizers.similarity import recommended_threshold  # noqa: PLC0415

    present = settings.recognition.threshold
    return {"present": present, "people": people, "recommended": round(recommended_threshold(people), 6)}


def _print_members(app: App, shown: Sequence[Member]) -> None:
    settings = app.settings()
    faces = ["faces"] if settings.recognition.cloud or any(each.faces for each in shown) else []
    counts = ["pictures", *faces]
    limited = ["limits"] if any(limits(each) for each in shown) else []
    fold = ("name", "valid", *limited)
    made = table("name", "status", *counts, "since", "valid", *limited, "id", right=counts, fold=fold)
    for each in shown:
        indexed = len(each.faces_in(settings.rekognition.collection))
        numbers = [str(len(each.templates)), *([str(indexed)] if faces else [])]
        more = [limits(each) or "-"] if limited else []
        since = local(each.created_at)[:10]
        row(made, each.name or "-", each.status.value, *numbers, since, span(each), *more, each.id[:10])
    console().print(made)


def threshold_advice(people: int, threshold: float) -> str:
    """Return what to say where the threshold is too low for so many members; empty where it is not."""
    from smileaccess.recognizers.similarity import recommended_threshold  # noqa: PLC0415

    wanted = recommended_threshold(people)
    # The marks are made of cosines: what differs in the ninth digit is the same mark.
    if threshold >= wanted - 1e-9:
        return ""
    return (
        f"{people} members and [recognition] threshold = {threshold:g}: set it to {wanted:.1f}, since a stranger is "
        "the sooner taken for somebody the more there are (docs/recognition.md)"
    )


@members.command()
@click.argument("member")
@json_option
@pass_app
def show(app: App, member: str, as_json: bool) -> None:
    """Show one MEMBER: status, consent, validity, limits, pictures and faces.

    Example:    smileaccess members show "Ada Lovelace"
    """
    from smileaccess.registry import find  # noqa: PLC0415

    with reading(app) as roster:
        found = find(roster.members, member)
    if as_json:
        emit(member_to_plain(found))
        return
    consent = found.consent
    agreed = f"{local(consent.given_at)}, text version {consent.text_version}" if consent else "-"
    say(f"name      {found.name or '-'}")
    say(f"id        {found.id}")
    say(f"status    {found.status.value}")
    say(f"version   {found.version}")
    say(f"enrolled  {local(found.created_at)}")
    say(f"consent   {agreed}")
    say(f"valid     {span(found)}")
    say(f"limits    {limits(found) or '-'}")
    say(f"gesture   {found.gesture.value}")
    say(f"pictures  {len(found.templates)}")
    for template in found.templates:
        say(f"          {template.id}  {local(template.added_at)}  {template.model}")
    names = dict.fromkeys([app.settings().rekognition.collection, *(face.collection for face in found.faces)])
    for name in names if found.faces else ():
        indexed = list(found.faces_in(name).values())
        say(f"faces     {len(indexed)} in {name}")
        for face in indexed:
            say(f"          {face.id}  {local(face.added_at)}  {face.model}")


@members.command()
@click.argument("member")
@click.argument("name")
@click.option("--allow-duplicate", is_flag=True, help="Although another member has that name.")
@why_option
@json_option
@pass_app
def rename(app: App, member: str, name: str, allow_duplicate: bool, why: str, as_json: bool) -> None:
    """Give MEMBER another NAME.

    Example:    smileaccess members rename "Ada Byron" "Ada Lovelace"
    """
    from smileaccess import registry  # noqa: PLC0415

    with office(app) as desk:
        found = desk.find(member)
        changed = registry.rename(desk.registry, found, name, why, allow_duplicate=allow_duplicate)
        tell_change(changed, "renamed", as_json=as_json)


@members.command()
@click.argument("member")
@why_option
@json_option
@pass_app
def disable(app: App, member: str, why: str, as_json: bool) -> None:
    """Keep MEMBER out until enabled again.

    Example:    smileaccess members disable m_3f2a --why "on leave"
    """
    from smileaccess import registry  # noqa: PLC0415

    with office(app) as desk:
        tell_change(registry.disable(desk.registry, desk.find(member), why), "disabled", as_json=as_json)


@members.command()
@click.argument("member")
@why_option
@json_option
@pass_app
def enable(app: App, member: str, why: str, as_json: bool) -> None:
    """Let a disabled MEMBER in again.

    Example:    smileaccess members enable m_3f2a
    """
    from smileaccess import registry  # noqa: PLC0415

    with office(app) as desk:
        tell_change(registry.enable(desk.registry, desk.find(member), why), "enabled", as_json=as_json)


@members.command()
@click.argument("member")
@moment_option("--from", "valid_from", ahead=True, help="Not let in before; without it as it was.")
@moment_option("--until", "valid_until", ahead=True, help="Not let in from then on; without it as it was.")
@click.option("--always", is_flag=True, help="Lift both limits.")
@why_option
@json_option
@pass_app
def validity(
    app: App,
    member: str,
    valid_from: datetime | None,
    valid_until: datetime | None,
    always: bool,
    why: str,
    as_json: bool,
) -> None:
    """Set from when until when MEMBER may come in.

    \b
    Examples:
      smileaccess members validity Guest --until 2026-12-24
      smileaccess members validity Guest --always
    """
    from smileaccess import registry  # noqa: PLC0415

    if bool(valid_from or valid_until) == always:
        raise click.UsageError("give --from TIME, --until TIME or both, or --always")
    with office(app) as desk:
        found = desk.find(member)
        if not always:
            valid_from, valid_until = valid_from or found.valid_from, valid_until or found.valid_until
        changed = registry.set_validity(desk.registry, found, valid_from, valid_until, why)
    tell_change(changed, f"valid {span(changed)}:", as_json=as_json)
    if changed.valid_until is not None and changed.valid_until <= datetime.now(UTC):
        warn(f"{changed.name}: that end is past: this member is let in no more")


_WAIT = "So long for all doors of a central database to take it over; 0: not at all (default 10)."


@members.command()
@click.argument("member")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", type=click.FloatRange(0, 3600), default=10.0, metavar="SECONDS", help=_WAIT)
@why_option
@json_option
@pass_app
def forget(app: App, member: str, yes: bool, wait: float, why: str, as_json: bool) -> None:
    """Erase MEMBER's name, consent, templates and faces, and print a receipt.

    What is on record keeps the random id, which then means nobody. On a
    terminal the name has to be typed; without one --yes is needed.

    With a central database the receipt says which doors have taken it over.
    With the id of somebody forgotten it says that anew, and erases what was
    still being read. Exits with 1 where faces are left in a collection; the receipt says what to
    do about them.

    Example:    smileaccess members forget "Ada Lovelace" --why "asked for it"
    """
    from smileaccess import registry  # noqa: PLC0415
    from smileaccess.cli import receipt as receipts  # noqa: PLC0415
    from smileaccess.model import MemberStatus  # noqa: PLC0415

    with office(app) as desk:
        found = _to_forget(desk, member)
        if found.status is MemberStatus.FORGOTTEN:
            _erase_again(desk, found, wait, as_json=as_json)
            return
        _confirm_name(found, yes=yes)
        if not found.name and app.settings().rekognition.region:
            warn(f"member {found.id}: which faces it has is not known: see `smileaccess members reconcile` afterwards")
        with _collection(app) as (collection, why_not), receipts.patience(wait) as again:
            receipt = registry.forget(
                desk.registry,
                found,
                desk.people.records,
                why,
                collection=collection,
                no_collection=why_not,
                confirmations=desk.people.confirmations,
                again=again,
            )
    if as_json:
        emit(receipts.receipt_to_plain(receipt))
    else:
        receipts.print_receipt(receipt)
    if receipt.faces_left:
        left = sum(each.count for each in receipt.faces_left)
        raise SmileAccessError(
            f"member {receipt.member_id}: forgotten, and means nobody, but {counted(left, 'face')} of it could not be "
            "removed from the collection: the receipt says why"
        )


@contextlib.contextmanager
def _collection(app: App) -> Iterator[tuple[RekognitionCollection | None, str]]:
    """Give the collection of the settings, or None and why there is none: nobody is kept because of that."""
    from smileaccess import wiring  # noqa: PLC0415
    from smileaccess.clock import SystemClock  # noqa: PLC0415
    from smileaccess.spending import Tab  # noqa: PLC0415

    settings = app.settings()
    if not settings.rekognition.region:
        yield None, '[rekognition] region = "": the settings do not say where it is'
        return
    try:
        made = wiring.make_collection(settings, Tab(SystemClock(), 0))  # removing faces costs nothing
    except CollectionUnavailable as error:
        yield None, str(error)
        return
    with contextlib.closing(made):
        yield made, ""


def _erase_again(desk: Office, member: Member, wait_s: float, *, as_json: bool) -> None:
    """Erase from the file what could not be when the member was forgotten, and say which doors have taken it over.

    RecordsUnavailable where it still cannot be erased.
    """
    from smileaccess.cli import receipt  # noqa: PLC0415
    from smileaccess.registry import taken_over  # noqa: PLC0415

    if not desk.registry.members.erase():
        raise RecordsUnavailable(
            f"member {member.id}: was forgotten, but the database is still being read by another program, and until "
            "that ends holds the old bytes: end that program and run this again"
        )
    with receipt.patience(wait_s) as again:
        doors, unknown = taken_over(desk.people.confirmations, member, again)
    if as_json:
        emit({"member": member.id, "erased_from_file": True, **receipt.doors_to_plain(doors, unknown)})
    else:
        say(f"member {member.id}: was forgotten; nothing of it is left in {desk.people.place}")
        receipt.print_doors(member.id, doors, unknown)


def _to_forget(desk: Office, wanted: str) -> Member:
    """Return the member, also one that does not verify: its data are to go all the same."""
    from smileaccess.registry import unverified  # noqa: PLC0415

    roster = desk.registry.roster()
    if wanted in {refusal.member_id for refusal in roster.refused}:
        return unverified(desk.registry, wanted)
    return desk.find(wanted)


def _confirm_name(member: Member, *, yes: bool) -> None:
    if yes:
        return
    wanted = member.name or member.id
    need_terminal(f"Forget {wanted} ({member.id}) for good?")
    if click.prompt(f"Type {plain(wanted)} to forget for good", default="", show_default=False).strip() != wanted:
        raise SmileAccessError(f"member {member.id}: another name was typed: nothing was forgotten")


def id_of(known: dict[str, str], wanted: str) -> str:
    """Return the id that a filter means: a name, an id or its beginning; a whole id may be a forgotten one's."""
    if wanted in known:
        return wanted
    fits = [each for each, name in known.items() if name == wanted] or [
        each for each in known if each.startswith(wanted)
    ]
    if len(fits) == 1 and wanted:
        return fits[0]
    if fits:
        raise MemberNotFound(f"member {wanted!r}: {len(fits)} fit: give one of the ids ({', '.join(fits[:5])})")
    if not wanted.startswith("m_"):
        raise MemberNotFound(f"member {wanted!r}: there is none: see `smileaccess members list`")
    return wanted
