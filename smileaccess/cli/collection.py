"""`smileaccess collection`: makes, describes, lists and deletes collections; also what enrolling into one costs.

It never deletes a collection that was not named by whoever asks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from smileaccess.cli.common import (
    App,
    caller,
    counted,
    emit,
    json_option,
    local,
    need_terminal,
    pass_app,
    plain,
    say,
    warn,
    why_option,
)
from smileaccess.cli.sources import members_list
from smileaccess.errors import KeysError, RecordsError, SettingsError, SmileAccessError

if TYPE_CHECKING:
    from smileaccess.membership import Roster
    from smileaccess.model import Bill
    from smileaccess.ports import EventWriter
    from smileaccess.recognizers.collection import Description, RekognitionCollection
    from smileaccess.spending import Tab

MILLION = 1_000_000


@click.group()
def collection() -> None:
    """Make, describe, list and delete collections of Amazon Rekognition.

    The collection of the settings ([rekognition] collection) is what people
    are enrolled into.
    """


def _profile_option() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    told = "AWS profile to ask with, instead of [rekognition] enroller_profile."
    return click.option("--profile", default="", metavar="NAME", help=told)


@collection.command()
@_profile_option()
@why_option
@json_option
@pass_app
def create(app: App, profile: str, why: str, as_json: bool) -> None:
    """Make the collection of the settings.

    One that is there already is left as it is.

    Example:    smileaccess collection create
    """
    with _record(app) as record, _opened(app, profile) as cloud:
        made = cloud.create()
        if made:
            record.put("collection_created", why, {"collection": cloud.name})
        told = cloud.describe() if as_json else None
    if told is not None:
        emit({"created": made, **description_to_plain(told)})
    else:
        say(f"made collection {cloud.name}" if made else f"collection {cloud.name}: is there already")


@collection.command()
@_profile_option()
@json_option
@pass_app
def describe(app: App, profile: str, as_json: bool) -> None:
    """Show the settings' collection: ARN, faces, age.

    Example:    smileaccess collection describe
    """
    with _opened(app, profile) as cloud:
        told = cloud.describe()
    if as_json:
        emit(description_to_plain(told))
        return
    say(f"name     {told.name}")
    say(f"ARN      {told.arn}")
    say(f"faces    {told.faces}")
    say(f"model    {told.model}")
    say(f"created  {local(told.created_at)}")


@collection.command("list")
@_profile_option()
@json_option
@pass_app
def list_(app: App, profile: str, as_json: bool) -> None:
    """List all collections in the region.

    It needs an administrator's profile: config/iam/enroller.json does not
    allow it.

    Example:    smileaccess collection list --profile admin
    """
    own = app.settings().rekognition.collection
    with _opened(app, profile) as cloud:
        found = cloud.list_ids()
    if as_json:
        emit({"collections": found, "own": own})
        return
    for name in found:
        say(f"{name}  (of the settings)" if name == own else name)
    if not found:
        say("no collections")


@collection.command()
@click.argument("name")
@_profile_option()
@click.option("--yes", is_flag=True, help="Do not ask.")
@why_option
@json_option
@pass_app
def delete(app: App, name: str, profile: str, yes: bool, why: str, as_json: bool) -> None:
    """Delete the collection NAME with all of its faces.

    It needs an administrator's profile: config/iam/enroller.json does not
    allow it. On a terminal the name has to be typed; without one --yes is
    needed.

    Example:    smileaccess collection delete smileaccess --profile admin
    """
    with _record(app) as record, _opened(app, profile, name) as cloud:
        told, losing = cloud.describe(), record.members_in(name)
        loss = _loss(told.faces, losing)
        _confirm(name, loss, yes=yes)
        cloud.delete()
        record.put("collection_deleted", why, {"collection": name, "faces": told.faces})
    if as_json:
        emit({"deleted": name, "faces": told.faces, "members": losing})
        return
    say(f"deleted collection {name}: {loss}")
    if losing:
        say("Enroll them again, or leave rekognition out of [recognition] recognizers.")


def _loss(faces: int, members: int | None) -> str:
    who = "of members who are not known here" if members is None else f"of {counted(members, 'signed member')}"
    return f"{counted(faces, 'face')}, {who}"


def _confirm(name: str, loss: str, *, yes: bool) -> None:
    if yes:
        return
    need_terminal(f"Delete collection {name} ({loss}) for good?")
    question = plain(f"Collection {name} holds {loss}. Type its name to delete it for good")
    if click.prompt(question, default="", show_default=False).strip() != name:
        raise SmileAccessError(f"collection {name}: another name was typed: nothing was deleted")


def description_to_plain(told: Description) -> dict[str, Any]:
    """Return a collection's description for JSON."""
    from smileaccess.encoding import stamp  # noqa: PLC0415

    return {
        "collection": told.name,
        "arn": told.arn,
        "faces": told.faces,
        "model": told.model,
        "created_at": stamp(told.created_at),
    }


@contextlib.contextmanager
def _opened(app: App, profile: str, name: str = "") -> Iterator[RekognitionCollection]:
    """Give a collection of the settings' service; SettingsError without a region, CollectionUnavailable."""
    from smileaccess import wiring  # noqa: PLC0415

    with contextlib.closing(wiring.make_collection(app.settings(), _tab(app), profile, name)) as made:
        yield made


# On record


@dataclass(frozen=True, slots=True)
class _Record:
    """What takes down what is done, and the signed members, where they are at hand, else why not."""

    app: App
    events: EventWriter | None
    roster: Roster | None
    why_not: str = ""

    def put(self, kind: str, why: str, detail: dict[str, Any]) -> None:
        """Put down what was done; a warning says where that cannot be."""
        from smileaccess.clock import SystemClock  # noqa: PLC0415
        from smileaccess.model import DoorEvent, uuid7  # noqa: PLC0415
        from smileaccess.wiring import door_name  # noqa: PLC0415

        if self.events is None:
            warn(f"not on record: {self.why_not}")
            return
        door, now = door_name(self.app.settings()), SystemClock().now()
        try:
            self.events.add_event(DoorEvent(uuid7(), door, now, kind, caller(), why=why, detail=detail))
        except RecordsError as error:
            warn(f"not on record: {error}")

    def members_in(self, name: str) -> int | None:
        """Return how many signed members have faces in a collection, None where the list is not at hand."""
        if self.roster is None:
            return None
        return sum(bool(member.faces_in(name)) for member in self.roster.members)


@contextlib.contextmanager
def _record(app: App) -> Iterator[_Record]:
    """Give the record of this machine, or the central one, if there is one: collections may be made without any."""
    with contextlib.ExitStack() as stack:
        yield _record_at_hand(app, stack)


def _record_at_hand(app: App, stack: contextlib.ExitStack) -> _Record:
    from smileaccess.keys import KeyKind  # noqa: PLC0415
    from smileaccess.membership import load_roster  # noqa: PLC0415

    try:
        people = stack.enter_context(members_list(app))
    except (KeysError, RecordsError, SettingsError) as error:
        return _Record(app, None, None, str(error))
    try:
        roster = load_roster(people.members, app.keys(KeyKind.ENROLLER_PUBLIC).enroller_public)
    except (KeysError, RecordsError):
        return _Record(app, people.events, None)
    return _Record(app, people.events, roster)


# What it costs


@contextlib.contextmanager
def enrolling(app: App, *, as_json: bool) -> Iterator[tuple[RekognitionCollection | None, Tab]]:
    """Give the collection that people are enrolled into, None without Rekognition, and the tab that it pays from.

    At the end, a bad one too, the billed calls are put on record and told, on stderr where stdout is `as_json`.
    """
    from smileaccess import wiring  # noqa: PLC0415

    tab = _tab(app)
    if not app.settings().recognition.cloud:
        yield None, tab
        return
    try:
        with contextlib.closing(wiring.make_collection(app.settings(), tab)) as made:
            yield made, tab
    finally:
        _settle(app, tab, as_json=as_json)


def bill_to_plain(bill: Bill | None) -> dict[str, Any]:
    """Return billed calls for JSON."""
    return {"calls": bill.calls if bill else 0, "cost": bill.micros / MILLION if bill else 0.0}


def _tab(app: App) -> Tab:
    from smileaccess.clock import SystemClock  # noqa: PLC0415
    from smileaccess.spending import Tab  # noqa: PLC0415

    return Tab(SystemClock(), app.settings().spending_rules().price_micros)


def _settle(app: App, tab: Tab, *, as_json: bool) -> None:
    bill = tab.bill()
    if bill is None:
        return
    told = f"{counted(bill.calls, 'billed call')} to Amazon Rekognition, {_money(bill.micros)} in all"
    if as_json:
        click.echo(f"smileaccess: {told}", err=True)
    else:
        say(told)
    app.add_bill(bill)


def _money(micros: int) -> str:
    return f"{micros / MILLION:.6f}".rstrip("0").rstrip(".") or "0"
