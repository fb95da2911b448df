"""Keeps a door in step with the central database: members come in, the record goes out, each failure is waited out.

It stands beside the door: what it cannot do now waits, and no attempt waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from smileaccess.errors import RecordsBusy, RecordsError

if TYPE_CHECKING:
    from smileaccess.delivery import Backlog, Room
    from smileaccess.following import Follower, Freshness
    from smileaccess.ports import Archive, Clock

FIRST_S, LONGEST_S = 0.5, 60.0
"""Seconds to wait after a failure, doubling from the first to the longest; each wait is a random share of that, so that
a thousand doors do not come back at the same moment."""

LEAST_SHARE = 0.1
"""The smallest random share: no failure is followed by no wait at all."""

IDLE_S = 0.5
"""Seconds between two looks for something to deliver."""

HOURLY_S = 3600.0
"""Seconds between two signs of life, and between two rounds of pruning."""

AWAY_S = 60.0
"""Seconds without the database after which it goes on record that it is away."""

Tell = Callable[[str, str, Mapping[str, Any]], None]

log = structlog.get_logger(__name__)


class Sender(Protocol):
    """What delivers: `records.forwarder.Forwarder`."""

    def greet(self) -> None:
        """See after each new connection whether the record that was delivered is this one."""
        ...

    def turn(self) -> bool:
        """Deliver one batch and say whether more waits."""
        ...


class Keeper(Protocol):
    """The door's own record, as far as it is kept small."""

    def room(self) -> Room:
        """Return how full it is."""
        ...

    def prune(self, before: Any, who: str, why: str, *, delivered: bool) -> int:
        """Delete what is older, as far as it was delivered."""
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """How it goes: whether the database answers, since when (monotonic seconds), why not, and what waits."""

    connected: bool
    since: float
    cause: str
    backlog: Backlog | None


class Liaison:
    """One door's; `turn` belongs to one thread, `standing` to any."""

    def __init__(
        self,
        archive: Archive,
        sender: Sender,
        follower: Follower,
        freshness: Freshness,
        keeper: Keeper,
        clock: Clock,
        tell: Tell,
        luck: Callable[[], float],
        *,
        sync_s: float,
        keep_days: int,
        backlog: Callable[[], Backlog] | None = None,
    ) -> None:
        """Take both directions, what puts on record what nobody should miss, and `luck` (0..1) for the waits."""
        self._archive = archive
        self._sender = sender
        self._follower = follower
        self._freshness = freshness
        self._keeper = keeper
        self._clock = clock
        self._tell = tell
        self._luck = luck
        self._sync_s = sync_s
        self._keep_days = keep_days
        self._backlog = backlog
        self._failures = 0
        self._greet_at = self._sync_at = self._prune_at = 0.0
        self._told = self._told_stale = False
        self._standing = Standing(False, clock.monotonic(), "not connected yet", None)

    @property
    def standing(self) -> Standing:
        """How it goes; any thread."""
        return self._standing

    def turn(self) -> float:
        """Do what is due, and return after how many seconds to come back."""
        try:
            more = self._work()
        except RecordsBusy as error:
            log.debug("the central database was busy", error=str(error))
            return self._wait_s(FIRST_S)
        except RecordsError as error:
            return self._failed(error)
        self._succeeded()
        return 0.0 if more else min(IDLE_S, self._sync_s)

    def close(self) -> None:
        """Let go of the connection, also in the middle of a turn; any thread."""
        self._archive.close()

    def _work(self) -> bool:
        now = self._clock.monotonic()
        if now >= self._greet_at:
            self._archive.check(self._clock.now())
            self._sender.greet()
            self._greet_at = now + HOURLY_S
        if now >= self._sync_at:
            if self._follower.look():
                self._freshness.synced()
            self._sync_at = now + self._sync_s
        if now >= self._prune_at:
            self._prune()
            self._prune_at = now + HOURLY_S
        return self._sender.turn()

    def _prune(self) -> None:
        """Delete what was delivered and is old, or, where the record is filling, whatever was delivered."""
        now = self._clock.now()
        if self._keeper.room().filling:
            self._keeper.prune(now, "smileaccess", "delivered, and the record is filling", delivered=True)
        else:
            before = now - timedelta(days=self._keep_days)
            self._keeper.prune(before, "smileaccess", f"delivered, and kept for {self._keep_days} days", delivered=True)

    def _succeeded(self) -> None:
        now = self._clock.monotonic()
        before, self._failures = self._standing, 0
        self._standing = Standing(True, before.since if before.connected else now, "", self._counted())
        if not before.connected:
            log.info("the central database answers", kind="database_answers")
        if self._told:
            self._told = False
            why = "the central database answers again"
            self._tell("database_back", why, {"after_s": round(now - before.since)})
        self._told_stale = False

    def _counted(self) -> Backlog | None:
        """Count what waits in the door's own record; where that does not answer, what was known before stands."""
        try:
            return self._backlog() if self._backlog is not None else None
        except RecordsError:
            return self._standing.backlog

    def _failed(self, error: RecordsError) -> float:
        now = self._clock.monotonic()
        self._failures += 1
        self._greet_at = self._sync_at = 0.0
        before = self._standing
        if before.connected or before.cause != str(error):
            log.warning(
                "the central database cannot be used; it is tried again", kind="database_unreachable", error=str(error)
            )
        self._standing = Standing(False, now if before.connected else before.since, str(error), self._counted())
        away_s = now - self._standing.since
        if away_s >= AWAY_S and not self._told:
            self._told = True
            log.error("the central database is away", kind="database_away", error=str(error), for_s=round(away_s))
            self._tell("database_away", str(error)[:500], {"for_s": round(away_s)})
        self._look_at_age()
        return self._wait_s(min(LONGEST_S, FIRST_S * 2.0 ** min(self._failures - 1, 20)))

    def _look_at_age(self) -> None:
        if self._freshness.stale() and not self._told_stale:
            self._told_stale = True
            age_s = round(self._freshness.age_s())
            why = "the members' list is too old to go on with: the door opens to nobody"
            log.error(why, kind="members_stale", for_s=age_s)
            self._tell("members_stale", why, {"for_s": age_s})

    def _wait_s(self, longest_s: float) -> float:
        return longest_s * max(LEAST_SHARE, self._luck())


class LiaisonThread:
    """The thread that has a liaison take its turns."""

    def __init__(self, liaison: Liaison, on_end: Callable[[], None], on_crash: Callable[[], None]) -> None:
        """Take whose turns; on this thread `on_end` lets go of what it used, `on_crash` hears of the unforeseen."""
        self._liaison = liaison
        self._on_end = on_end
        self._on_crash = on_crash
        self._ended = threading.Event()
        # A daemon thread: a network that hangs must not hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name="liaison", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """End it, a turn under way too, within `timeout_s`; say whether it has ended."""
        self._ended.set()
        self._thread.join(timeout_s / 2)
        self._liaison.close()
        self._thread.join(timeout_s / 2)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._ended.wait(self._liaison.turn()):
                pass
        # The thread's root: what nobody foresaw stops the process, and its supervisor starts it again.
        except Exception:
            self._on_crash()
            log.exception("the liaison failed; the daemon stops", kind="crashed")
        finally:
            self._liaison.close()
            self._on_end()
