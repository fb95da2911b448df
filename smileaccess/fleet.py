"""Puts together what keeps a door in step with the central database, as the settings say; it decides nothing.

Nothing of it is loaded where the settings name no such database.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from smileaccess import wiring
from smileaccess.following import Follower, Freshness
from smileaccess.liaison import Liaison, LiaisonThread

if TYPE_CHECKING:
    from smileaccess.keys import KeyRing
    from smileaccess.ports import Clock
    from smileaccess.records.spool import Spool
    from smileaccess.settings import Settings

HOUR_S = 3600.0

Tell = Callable[[str, str, Mapping[str, Any]], None]


class Fleet:
    """A door as one of many: its liaison, and how fresh its copy of the members' list is."""

    def __init__(
        self, settings: Settings, keys: KeyRing, clock: Clock, tell: Tell, on_crash: Callable[[], None]
    ) -> None:
        """Open the record for the liaison's thread; RecordsError, KeysError."""
        from smileaccess.records.forwarder import Forwarder  # noqa: PLC0415
        from smileaccess.records.mysql.archive import Archive  # noqa: PLC0415
        from smileaccess.records.mysql.people import CentralMembers  # noqa: PLC0415

        door, mysql = settings.door.name, settings.mysql
        with ExitStack() as stack:
            link = wiring.open_link(settings)
            stack.callback(link.close)
            spool = wiring.open_spool(settings, keys, must_exist=True)
            stack.callback(spool.close)
            self.freshness = _freshness(spool, clock, mysql.max_stale_h * HOUR_S)
            outbox = spool.outbox()
            archive = Archive(link, door, outbox.record)
            self._liaison = Liaison(
                archive,
                Forwarder(outbox, archive, clock, tell),
                Follower(door, CentralMembers(link, door), spool, keys.enroller_public, clock, tell),
                self.freshness,
                spool,
                clock,
                tell,
                random.SystemRandom().random,
                sync_s=mysql.sync_s,
                keep_days=settings.records.keep_days,
                backlog=outbox.backlog,
            )
            self._thread = LiaisonThread(self._liaison, stack.pop_all().close, on_crash)
        self._clock = clock

    def start(self) -> None:
        """Begin to keep in step."""
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """End it within `timeout_s`; say whether it has ended."""
        return self._thread.close(timeout_s)

    def summary(self) -> dict[str, Any]:
        """Say how it goes, in plain values; any thread."""
        standing = self._liaison.standing
        backlog = standing.backlog
        return {
            "connected": standing.connected,
            "for_s": round(self._clock.monotonic() - standing.since),
            "cause": standing.cause,
            "waiting": None if backlog is None else backlog.rows,
            "set_aside": None if backlog is None else len(backlog.set_aside),
            "members_age_s": round(self.freshness.age_s()),
            "members_stale": self.freshness.stale(),
        }


def _freshness(spool: Spool, clock: Clock, max_stale_s: float) -> Freshness:
    """Reckon from when the list was last the central one; from now for a door that never followed before."""
    synced_at = spool.synced_at()
    if synced_at is None:
        synced_at = clock.now()
        spool.synced(synced_at)
    return Freshness(clock, max_stale_s, synced_at, spool.newest())
