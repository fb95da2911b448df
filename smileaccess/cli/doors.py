"""`smileaccess door register | revoke | list`: which doors the central database lets in; it asks no running door."""

from __future__ import annotations

from pathlib import Path

import click

from smileaccess.cli.common import App, caller, emit, json_option, need_yes, pass_app, say, why_option
from smileaccess.cli.database import (
    admin_link,
    admin_options,
    door_to_plain,
    host_option,
    print_doors,
    secret_for,
    secret_option,
)


@click.command(short_help="Let a door into the central database.")
@click.argument("name")
@click.option("--account", default="", metavar="ACCOUNT", help="The door's own account; default: door_NAME.")
@host_option
@secret_option
@admin_options
@pass_app
def register(app: App, name: str, account: str, host: str, secret: Path, user: str, password_file: Path | None) -> None:
    """Let the door NAME into the central database, with an account of its own that may do what a door needs.

    Copy the file of its password to the door, and name account and file in
    [mysql] there. A door that was revoked comes back, with a new password.

    \b
    Example:
      smileaccess door register front --secret front.pw --user root
    """
    from smileaccess.clock import SystemClock  # noqa: PLC0415
    from smileaccess.records.mysql import doors  # noqa: PLC0415

    account = account or f"door_{name}"
    with admin_link(app, user, password_file) as link, secret_for(secret) as password:
        doors.register(link, name, account, password, SystemClock().now(), host)
    say(f"door {name}: registered, account {account}; its password is in {secret}")


@click.command(short_help="Shut a lost or stolen door out of database and members.")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@why_option
@admin_options
@json_option
@pass_app
def revoke(app: App, name: str, yes: bool, why: str, user: str, password_file: Path | None, as_json: bool) -> None:
    """Shut the door NAME out of the central database, at once: a door that was lost, stolen or taken down.

    It can read no members and add no rows any more, also on a connection that
    is open. What it holds by itself it keeps: it goes on with the members that
    it has for [mysql] max_stale_h at the longest, and its templates are as safe
    as its keys. `door register` lets it in again.

    \b
    Example:
      smileaccess door revoke garage --why "stolen on Friday" --user root
    """
    from smileaccess.clock import SystemClock  # noqa: PLC0415
    from smileaccess.records.mysql import doors  # noqa: PLC0415

    need_yes(f"Shut the door {name} out of database and members?", yes=yes)
    told = f"{caller()}: {why}" if why else caller()
    with admin_link(app, user, password_file) as link:
        done = doors.revoke(link, name, SystemClock().now(), told)
    if as_json:
        emit({"door": name, "done": done})
        return
    for line in done:
        say(line)


@click.command("list", short_help="List the doors that the central database knows.")
@admin_options
@json_option
@pass_app
def list_(app: App, user: str, password_file: Path | None, as_json: bool) -> None:
    """List the doors that the central database knows: when each was last heard of, and which were revoked.

    Example:    smileaccess door list
    """
    from smileaccess.records.mysql import doors, migrations  # noqa: PLC0415

    with admin_link(app, user, password_file) as link:
        migrations.check(link)
        found = [door_to_plain(each) for each in doors.doors(link)]
    if as_json:
        emit(found)
    else:
        print_doors(found)
