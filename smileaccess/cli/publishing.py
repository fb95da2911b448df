"""`smileaccess members publish`: puts a door's own members into the central list, which begins with them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from smileaccess.cli.common import App, caller, counted, emit, json_option, pass_app, say, warn, why_option
from smileaccess.cli.database import admin_link, admin_options


@click.command(short_help="Put this door's own members into the central list.")
@why_option
@admin_options
@json_option
@pass_app
def publish(app: App, why: str, user: str, password_file: Path | None, as_json: bool) -> None:
    """Put this door's own members into the central list, as they were signed; run it once, when [mysql] is new.

    A member whom the central list holds in the same or a newer version is left
    as it is there. The account must be the enroller's, or the admin's.

    Example:    smileaccess members publish --user enroller --password-file enroller.pw
    """
    from smileaccess.clock import SystemClock  # noqa: PLC0415
    from smileaccess.keys import KeyKind  # noqa: PLC0415
    from smileaccess.membership import load_roster  # noqa: PLC0415
    from smileaccess.model import DoorEvent, uuid7  # noqa: PLC0415
    from smileaccess.records.mysql import migrations  # noqa: PLC0415
    from smileaccess.records.mysql.people import CentralMembers  # noqa: PLC0415

    keys = app.keys(KeyKind.ENROLLER_PUBLIC, KeyKind.CHAIN)
    with contextlib.ExitStack() as stack:
        spool = stack.enter_context(app.spool(keys))
        link = stack.enter_context(admin_link(app, user, password_file))
        migrations.check(link)
        central = CentralMembers(link)
        roster = load_roster(spool, keys.enroller_public)
        there = central.floors()
        counts = {each.id: each.version for each in roster.members}
        newer = [each for each in spool.signed_members() if counts.get(each.id) == each.version]
        newer = [each for each in newer if each.version > there.get(each.id, 0)]
        for signed in newer:
            told = {"member": signed.id, "version": signed.version}
            event = DoorEvent(
                uuid7(), app.settings().door.name, SystemClock().now(), "member_published", caller(), why, told
            )
            central.put_member(signed, event)
    for refusal in roster.refused:
        warn(f"{refusal.why}: not published")
    left = len(roster.members) - len(newer)
    if as_json:
        emit({"published": [each.id for each in newer], "left": left, "refused": len(roster.refused)})
    else:
        say(f"{counted(len(newer), 'member')} published, {left} left as the central list has them")
