"""Checks of the central database: whether it can be reached, is ours, lets this door in, and has what it should."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from smileaccess import wiring
from smileaccess.doctor.findings import Remark, fault, fine, told, warning
from smileaccess.errors import KeysError, RecordsError, SettingsError, ShutOut

if TYPE_CHECKING:
    from smileaccess.delivery import Backlog
    from smileaccess.doctor.site import Site
    from smileaccess.records.mysql.link import Link

APART = timedelta(seconds=60)
"""By how much the server's clock may differ: records of both are read side by side."""

WAITING = timedelta(hours=1)
"""A row that waits for longer than this is not just about to be delivered."""


def server(site: Site) -> Iterator[Remark]:
    """Connect as the door does, and see that the tables are this program's and the door is welcome."""
    if not site.settings.mysql.addresses:
        return
    try:
        with contextlib.closing(wiring.open_link(site.settings)) as link:
            yield from _connected(site, link)
    except (RecordsError, SettingsError) as error:
        yield told(error)


def _connected(site: Site, link: Link) -> Iterator[Remark]:
    from smileaccess.records.mysql import migrations  # noqa: PLC0415
    from smileaccess.records.mysql.reach import readable  # noqa: PLC0415

    version = link.one("SELECT VERSION()")
    migrations.check(link)
    yield fine(f"{link.database} at {link.address} answers: server {version}, tables as this program knows them")
    yield _clock(site, link)
    if not site.settings.records.database:
        return  # people are enrolled here, and no door is
    yield _welcome(site, link)
    if readable(link, "doors") == "doors":
        yield warning(
            f"the account {site.settings.mysql.user} may more than a door needs: whoever takes this door has that",
            f"run `smileaccess door register {site.settings.door.name}`, and name the account that it makes",
        )


def _clock(site: Site, link: Link) -> Remark:
    there = link.one("SELECT UTC_TIMESTAMP(6)").replace(tzinfo=UTC)
    apart = abs(there - site.clock.now())
    if apart > APART:
        return fault(
            f"the server's clock and this one are {apart.total_seconds():.0f} s apart",
            "let both be set from the network: what both put on record is read side by side",
        )
    return fine(f"the server's clock and this one agree (to {max(1, round(apart.total_seconds()))} s)")


def _welcome(site: Site, link: Link) -> Remark:
    door = site.settings.door.name
    found = {row["name"]: row["revoked_at"] for row in link.all("SELECT name, revoked_at FROM own_door")}
    if door not in found:
        return fault(
            f"the door {door} is not registered for the account {site.settings.mysql.user}",
            f"run `smileaccess door register {door}` where the database is administered",
        )
    if found[door] is not None:
        return told(ShutOut(f"the door {door} was revoked: register it again if that was a mistake"))
    return fine(f"the door {door} is registered for the account {site.settings.mysql.user}")


def delivery(site: Site) -> Iterator[Remark]:
    """Say what waits to be delivered, what was refused, and how old the copy of the members' list is."""
    if not site.settings.mysql.addresses:
        return
    try:
        with site.records() as spool:
            backlog, synced_at = spool.outbox().backlog(), spool.synced_at()
    except (KeysError, RecordsError):
        yield warning("not looked at: the record cannot be read", "see the checks keys and database")
        return
    yield from _backlog(site, backlog)
    most = timedelta(hours=site.settings.mysql.max_stale_h)
    if synced_at is None:
        yield warning("the members' list was never compared with the central one", "start the door: `smileaccess run`")
    elif site.clock.now() - synced_at > most:
        yield fault(
            f"the members' list was last compared with the central one on {synced_at:%Y-%m-%d %H:%M} UTC: "
            "the door opens to nobody",
            "let the door reach the central database",
        )
    else:
        yield fine(f"the members' list was compared with the central one on {synced_at:%Y-%m-%d %H:%M} UTC")


def _backlog(site: Site, backlog: Backlog) -> Iterator[Remark]:
    if backlog.set_aside:
        yield fault(
            f"the central database refused {len(backlog.set_aside)} rows",
            "see `smileaccess database status`, mend the cause, then run `smileaccess database resend`",
        )
    waits = site.clock.now() - backlog.oldest if backlog.oldest else timedelta()
    if waits > WAITING:
        yield warning(
            f"{backlog.rows} rows wait to be delivered, the oldest for {waits.total_seconds() / 3600:.0f} hours",
            "is the door running, and does it reach the central database?",
        )
    else:
        yield fine(f"{backlog.rows} rows wait to be delivered")
