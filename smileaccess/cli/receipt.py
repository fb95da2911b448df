"""Prints what forgetting somebody did, and which doors have taken it over; it changes nothing."""

from __future__ import annotations

import contextlib
import textwrap
import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import TYPE_CHECKING, Any

from smileaccess.cli.common import console, counted, local, plain, say
from smileaccess.confirming import Confirmed

if TYPE_CHECKING:
    from smileaccess.registry import FacesLeft, Receipt

WIDTH = 66
"""Characters of a receipt's line beside its label, for a terminal of 80."""

POLL_S = 0.25
"""Seconds between two looks for what doors have confirmed."""


@contextlib.contextmanager
def patience(wait_s: float) -> Iterator[Callable[[Confirmed], bool]]:
    """Give what waits a little and says whether there is time left of `wait_s`; a terminal shows how far it is."""
    from rich.progress import MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    shown, ends = console(stderr=True), time.monotonic() + wait_s
    columns = (TextColumn("doors that have taken it over"), MofNCompleteColumn())
    with Progress(*columns, console=shown, disable=not shown.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=None)

        def again(found: Confirmed) -> bool:
            progress.update(task, completed=len(found.taken), total=len(found.taken) + len(found.waiting))
            left = ends - time.monotonic()
            return left > 0 and not Event().wait(min(POLL_S, left))

        yield again


def print_receipt(receipt: Receipt) -> None:
    """Print what was erased, what was kept, and what is left to do."""
    consent = receipt.consent
    agreed = f"consent of {local(consent.given_at)}" if consent else "no consent was on file"
    say(f"Receipt for {receipt.name or receipt.member_id}")
    say(f"  forgotten  {local(receipt.forgotten_at)} by {receipt.who}")
    done = "erased    " if receipt.erased else "replaced  "
    say(f"  {done} the name, {counted(receipt.templates, 'face template')}, {agreed}")
    if receipt.faces:
        say(f"  removed    {counted(receipt.faces, 'face')} from the collection")
    for left in receipt.faces_left:
        _print_left(left)
    if not receipt.erased:
        say("  not yet    erased from the database's file: another program is reading it.")
        say("             When that has ended, run")
        say(f"             smileaccess members forget {receipt.member_id}")
    say(f"  kept       the random id {receipt.member_id}, which now means nobody, on")
    say(f"             {counted(receipt.attempts, 'attempt')} and {counted(receipt.events, 'door event')}")
    say(f"  on record  event {receipt.event_id}")
    print_doors(receipt.member_id, receipt.doors, receipt.doors_unknown)
    say("  not here   backups and exports that were made before: erase those yourself")


def print_doors(member_id: str, doors: Confirmed | None, unknown: str) -> None:
    """Print which doors have taken it over, which not yet, and which never will."""
    look_again = f"to look again, run smileaccess members forget {member_id}"
    if doors is not None:
        _print_each("doors", [f"{name} has taken it over, {local(at)}" for name, at in doors.taken.items()])
        heard = {door.name: f"last heard of {local(door.heard_at)}" for door in doors.waiting if door.heard_at}
        waiting = [f"{door.name}, {heard.get(door.name, 'never heard of')}" for door in doors.waiting]
        _print_each("not yet", [*waiting, look_again] if waiting else [])
        _print_each("never", [f"{door.name}, revoked {local(door.revoked_at)}, keeps it" for door in doors.revoked])
    elif unknown:
        _print_each("doors", [*_wrapped(f"not known: {unknown};"), look_again])


def _print_each(label: str, lines: list[str]) -> None:
    for place, line in enumerate(lines):
        say(f"  {'' if place else label:<9}  {line}")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(plain(text), WIDTH, break_long_words=False, break_on_hyphens=False)


def _print_left(left: FacesLeft) -> None:
    verb = "is" if left.count == 1 else "are"
    told = (
        f"{counted(left.count, 'face')} {verb} still in collection {left.collection}, and {verb} nobody's: {left.why}. "
        f"To finish, with that region and collection in [rekognition], run"
    )
    _print_each("not yet", [*_wrapped(told), "smileaccess members reconcile --repair"])


def receipt_to_plain(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt for JSON."""
    from smileaccess.encoding import stamp  # noqa: PLC0415

    erased = {
        "name": receipt.name,
        "templates": receipt.templates,
        "faces": receipt.faces,
        "consent_given_at": receipt.consent and stamp(receipt.consent.given_at),
        "limits": receipt.limited,
    }
    return {
        "member": receipt.member_id,
        "forgotten_at": stamp(receipt.forgotten_at),
        "who": receipt.who,
        "event": receipt.event_id,
        "erased": erased,
        "erased_from_file": receipt.erased,
        "faces_left": [
            {"collection": each.collection, "faces": each.count, "why": each.why} for each in receipt.faces_left
        ],
        **doors_to_plain(receipt.doors, receipt.doors_unknown),
        "kept": {"attempts": receipt.attempts, "events": receipt.events},
    }


def doors_to_plain(doors: Confirmed | None, unknown: str) -> dict[str, Any]:
    """Return for JSON which doors have taken it over; None where no door follows, or nobody knows."""
    from smileaccess.encoding import stamp  # noqa: PLC0415

    told = doors and {
        "confirmed": [{"door": name, "at": stamp(at)} for name, at in doors.taken.items()],
        "waiting": [{"door": door.name, "heard_at": door.heard_at and stamp(door.heard_at)} for door in doors.waiting],
        "revoked": [
            {"door": door.name, "revoked_at": door.revoked_at and stamp(door.revoked_at)} for door in doors.revoked
        ],
    }
    return {"doors": told, "doors_unknown": unknown or None}
