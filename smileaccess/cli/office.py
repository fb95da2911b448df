"""The members' list as the commands open it, and how a member is shown."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smileaccess.cli.common import App, caller, emit, local, say, warn
from smileaccess.cli.sources import MembersList, members_list

if TYPE_CHECKING:
    from smileaccess.membership import Roster
    from smileaccess.model import Member
    from smileaccess.registry import Registry


@dataclass(frozen=True, slots=True)
class Office:
    """The members' list, opened for changes."""

    registry: Registry
    people: MembersList

    def find(self, wanted: str) -> Member:
        """Return a member; MemberNotFound."""
        from smileaccess.registry import find  # noqa: PLC0415

        return find(self.registry.roster().members, wanted)


@contextlib.contextmanager
def office(app: App) -> Iterator[Office]:
    """Open the members' list for changes; KeysError, RecordsUnavailable, RecordsFailed."""
    from smileaccess import wiring  # noqa: PLC0415
    from smileaccess.clock import SystemClock  # noqa: PLC0415
    from smileaccess.keys import KeyKind  # noqa: PLC0415

    with members_list(app, KeyKind.ENROLLER, KeyKind.ENROLLER_PUBLIC) as people:
        yield Office(wiring.make_registry(app.settings(), people.keys, people.members, SystemClock(), caller()), people)


@contextlib.contextmanager
def reading(app: App, *, local: bool = False) -> Iterator[Roster]:
    """Give the members' list, or the door's own copy of it, for reading, and warn of those that do not verify."""
    from smileaccess.keys import KeyKind  # noqa: PLC0415
    from smileaccess.membership import load_roster  # noqa: PLC0415

    with members_list(app, KeyKind.ENROLLER_PUBLIC, local=local, writes=False) as people:
        roster = load_roster(people.members, people.keys.enroller_public)
    for refusal in roster.refused:
        warn(f"{refusal.why}: let in nowhere")
    yield roster


def tell_change(member: Member, what: str, *, as_json: bool) -> None:
    """Say what became of a member."""
    if as_json:
        emit(member_to_plain(member))
    else:
        say(f"{what} {member.name} ({member.id}), version {member.version}")


def span(member: Member) -> str:
    """Say from when until when a member may come in."""
    if not member.spanned:
        return "always"
    begin = f"from {local(member.valid_from)[:16]}" if member.valid_from else ""
    end = f"until {local(member.valid_until)[:16]}" if member.valid_until else ""
    return " ".join(part for part in (begin, end) if part)


def limits(member: Member) -> str:
    """Say in a few words what else than its validity keeps a member from coming in; empty for nothing."""
    parts = [member.schedule.text] if member.schedule else []
    parts += [f"group {name}" for name in member.groups]
    parts += [f"at {', '.join(member.doors)}"] if member.doors is not None else []
    parts += [f"similarity {member.least_similarity:g}"] if member.least_similarity is not None else []
    return "; ".join(parts)


def member_to_plain(member: Member) -> dict[str, Any]:
    """Return a member for JSON, without the templates' bytes."""
    from smileaccess.encoding import stamp  # noqa: PLC0415

    consent = member.consent
    return {
        "id": member.id,
        "version": member.version,
        "name": member.name,
        "status": member.status.value,
        "created_at": stamp(member.created_at),
        "consent": consent and {"given_at": stamp(consent.given_at), "text_version": consent.text_version},
        "valid_from": member.valid_from and stamp(member.valid_from),
        "valid_until": member.valid_until and stamp(member.valid_until),
        "templates": [
            {"id": each.id, "model": each.model, "added_at": stamp(each.added_at)} for each in member.templates
        ],
        "faces": [
            {"id": each.id, "collection": each.collection, "model": each.model, "added_at": stamp(each.added_at)}
            for each in member.faces
        ],
        "schedule": member.schedule and {"text": member.schedule.text, "zone": member.schedule.zone},
        "groups": list(member.groups),
        "doors": None if member.doors is None else list(member.doors),
        "least_similarity": member.least_similarity,
        "gesture": member.gesture.value,
    }
