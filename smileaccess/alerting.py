"""Which of what the door tells is an alert, and how often: pure, so that nobody has to wait for it.

It sends nothing. What is held back is never lost without a word: it is summed up when its time comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from smileaccess.messages import ERROR, MESSAGES

TOPICS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "forced": ("forced_open",),
        "held": ("held_open", "held_open_over"),
        "tamper": ("tampered", "tamper_cleared"),
        "fire": ("fire", "fire_cleared"),
        "lockout": ("lock_out",),
        "offline": (
            *("database_away", "database_back", "members_stale", "denied_members_stale"),
            *("recognizer_alarm", "recognizer_back", "service_unreachable", "denied_recognizer_unavailable"),
        ),
        "camera": ("camera_missing", "camera_lost", "camera_back", "denied_camera_unavailable"),
        "records": (
            *("record_filling", "record_full", "record_unwritable", "rows_lost", "record_put_back"),
            *("row_set_aside", "denied_records_unavailable"),
        ),
        "spending": ("spending_warning", "spending_cap", "denied_spending_cap"),
        "signature": ("member_refused", "face_refused", "members_unusable"),
        "strike": ("strike_failed", "strike_stuck", "strike_lost", "strike_back", "guard_failed"),
        "crash": ("crashed", "attempt_cut_off", "denied_internal_error"),
        "orders": ("control_lock", "control_hold", "control_release", "hold_over", "office_hours_began"),
    }
)
"""What an owner may want to hear of, and the kinds of the journal that belong to it."""

DEFAULT_TOPICS = tuple(topic for topic in TOPICS if topic != "orders")

OVER: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "held_open_over": ("held_open",),
        "tamper_cleared": ("tampered",),
        "fire_cleared": ("fire",),
        "database_back": ("database_away",),
        "recognizer_back": ("recognizer_alarm",),
        "camera_back": ("camera_lost",),
        "strike_back": ("strike_lost",),
        "hold_over": ("control_hold", "office_hours_began"),
    }
)
"""What ends what."""

HOUR_S = 3600.0

_TOPIC_OF = {kind: topic for topic, kinds in TOPICS.items() for kind in kinds}


@dataclass(frozen=True, slots=True)
class AlertRules:
    """What is told: the `topics`, at most `per_hour` alerts, and the same kind again only after `repeat_s`."""

    topics: frozenset[str] = frozenset(DEFAULT_TOPICS)
    per_hour: int = 20
    repeat_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to be told, when it was (UTC), and what else is known about it."""

    kind: str
    at: datetime
    detail: str = ""
    more: int = 0
    since: datetime | None = None

    @property
    def grave(self) -> bool:
        """Whether somebody has to go and look."""
        return MESSAGES[self.kind].priority <= ERROR

    @property
    def subject(self) -> str:
        """What it is, in a line."""
        return MESSAGES[self.kind].subject.replace(" at @DOOR@", "")

    def text(self) -> str:
        """Return it for people, in a few lines; times are local."""
        lines = [f"{_local(self.at)} {self.subject}"]
        if self.more:
            since = "" if self.since is None else f" since {_local(self.since)}"
            lines[0] += f": {self.more} more{since}"
        elif self.since is not None:
            lines[0] += f": it had lasted since {_local(self.since)}"
        return "\n".join([*lines, *([self.detail] if self.detail else []), _without_fields(MESSAGES[self.kind].remedy)])


def _local(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _without_fields(remedy: str) -> str:
    """Return the lines of a remedy that need no field of the journal's line."""
    return "\n".join(line for line in remedy.splitlines() if "@" not in line)


def topic_of(kind: str) -> str | None:
    """Return what a kind belongs to, None for what is no alert."""
    return _TOPIC_OF.get(kind)


@dataclass(frozen=True, slots=True)
class _Held:
    """What is held back of a kind: until when (monotonic seconds), how many, the last one, and the first one's time."""

    until: float
    count: int = 0
    last: Alert | None = None
    since: datetime | None = None


class Limiter:
    """Lets the first of a kind through and sums up those that follow; one thread. Times are monotonic seconds."""

    def __init__(self, rules: AlertRules) -> None:
        self._rules = rules
        self._sent: list[float] = []
        self._held: dict[str, _Held] = {}
        self._began: dict[str, datetime] = {}

    def take(self, alert: Alert, now: float) -> list[Alert]:
        """Take what happened; return what is to be sent now."""
        if topic_of(alert.kind) not in self._rules.topics:
            return []
        alert = self._with_beginning(alert)
        held = self._held.get(alert.kind)
        if held is None and (alert.grave or self._free(now)):
            return [self._send(alert, now)]
        held = held or _Held(now)
        self._held[alert.kind] = replace(
            held, count=held.count + 1, last=alert, since=alert.at if held.since is None else held.since
        )
        return []

    def due(self, now: float) -> list[Alert]:
        """Return the sums of what was held back whose time has come."""
        told = []
        for kind, held in sorted(self._held.items(), key=lambda item: item[1].until):
            if now < held.until:
                continue
            if held.last is None:
                del self._held[kind]
            elif held.last.grave or self._free(now):
                told.append(self._send(self._summed(held.last, held), now))
        return told

    @property
    def next_deadline(self) -> float | None:
        """When `due` has something to say or to forget, None where nothing is held back."""
        free_at = self._sent[0] + HOUR_S if len(self._sent) >= self._rules.per_hour else 0.0
        waits = ((held.until, held.last is not None and not held.last.grave) for held in self._held.values())
        return min((max(until, free_at) if bound else until for until, bound in waits), default=None)

    def _send(self, alert: Alert, now: float) -> Alert:
        self._sent.append(now)
        self._held[alert.kind] = _Held(now + self._rules.repeat_s)
        return alert

    def _free(self, now: float) -> bool:
        """Say whether the hour has room for another one."""
        self._sent = [at for at in self._sent if at > now - HOUR_S]
        return len(self._sent) < self._rules.per_hour

    def _summed(self, last: Alert, held: _Held) -> Alert:
        return last if held.count == 1 else replace(last, more=held.count, since=held.since)

    def _with_beginning(self, alert: Alert) -> Alert:
        """Remember when a trouble began, and tell that of its end."""
        troubles = OVER.get(alert.kind)
        if troubles is None:
            self._began.setdefault(alert.kind, alert.at)
            return alert
        began = [self._began.pop(trouble) for trouble in troubles if trouble in self._began]
        # Of two holds the one that lasts goes on: what began first is what is over.
        return replace(alert, since=min(began, default=None))
