"""When something holds in a week, as people write it: `mon-fri 08:00-18:00; sat 09:00-13:00; hol 10:00-12:00`.

Times are those of a wall clock in a time zone, so that summer time moves nothing for people. It knows no clock: every
moment is given.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOLIDAY = "hol"
"""The day of holidays: on one of them nothing else of a schedule counts."""

ALWAYS = "always"

DAY_MINUTES = 24 * 60

LONGEST_HOLIDAY = 366
"""Days that one entry of a list of holidays may stand for."""

_AHEAD = 9
"""Days that the end of a span is looked for: what has none in a week has none."""

GROUP_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
"""How a group of members that share a schedule may be called."""

_SPACED = re.compile(r"\s*([,-])\s*")
"""A comma or a dash as people may space it."""

_EXAMPLE = '"mon-fri 08:00-18:00; sat 09:00-13:00"'


@dataclass(frozen=True, slots=True)
class Span:
    """From a minute of some days to another one, which is on the next day where it is not later."""

    days: frozenset[str]
    start: int
    end: int

    @property
    def over_midnight(self) -> bool:
        """Whether it ends on the day after."""
        return self.end <= self.start

    @property
    def text(self) -> str:
        """The span as it is parsed."""
        return f"{_days_text(self.days)} {minute_text(self.start)}-{minute_text(self.end)}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something holds; `spans` is None for always."""

    spans: tuple[Span, ...] | None
    zone: str

    @classmethod
    def parse(cls, text: str, zone: str) -> Schedule:
        """Read a schedule; ValueError says what of it is wrong, and what it must be.

        Entries stand between semicolons: days (`mon`, `mon-fri`, `mon,wed,fri`, `hol`), then spans with commas between.
        """
        zone_named(zone)
        if text.strip().lower() == ALWAYS:
            return cls(None, zone)
        entries = [_SPACED.sub(r"\1", entry.strip().lower()) for entry in text.split(";") if entry.strip()]
        if not entries:
            raise ValueError(f"must hold days and times, such as {_EXAMPLE}, or {ALWAYS}")
        return cls(tuple(span for entry in entries for span in _spans(entry)), zone)

    @property
    def text(self) -> str:
        """The schedule as text that parses to the same one."""
        return ALWAYS if self.spans is None else "; ".join(span.text for span in self.spans)

    def covers(self, at: datetime, holidays: Collection[date] = ()) -> bool:
        """Say whether it holds at a moment (UTC)."""
        if self.spans is None:
            return True
        local = at.astimezone(zone_named(self.zone))
        today, minute = local.date(), local.hour * 60 + local.minute
        yesterday = today - timedelta(days=1)
        return any(
            (_day(today, holidays) in span.days and span.start <= minute and (span.over_midnight or minute < span.end))
            or (_day(yesterday, holidays) in span.days and span.over_midnight and minute < span.end)
            for span in self.spans
        )

    def on(self, day: str) -> list[tuple[int, int]]:
        """Return from which to which minutes it holds on a day of the week, or of holidays, as people read it.

        What goes on over midnight is told on both days, but for holidays, whose neighbors are not known.
        """
        if self.spans is None:
            return [(0, DAY_MINUTES)]
        before = DAYS[DAYS.index(day) - 1] if day in DAYS else None
        ours = [
            (span.start, DAY_MINUTES if span.over_midnight else span.end) for span in self.spans if day in span.days
        ]
        rest = [(0, span.end) for span in self.spans if span.over_midnight and before in span.days and span.end]
        return together([*ours, *rest])

    def ends_at(self, at: datetime, holidays: Collection[date] = ()) -> datetime | None:
        """Return when it holds no more (UTC), spans that follow without a gap taken together.

        None where it does not hold at that moment, and where no end of it is in sight.
        """
        if self.spans is None or not self.covers(at, holidays):
            return None
        covered = at
        for end in sorted({moment for moment in self._ends(at) if moment > at}):
            if not self.covers(end, holidays):
                return self._first_without(covered, end, holidays)
            covered = end
        return None

    def _ends(self, at: datetime) -> Iterator[datetime]:
        """Yield every moment from which on a span may have ended; an end within the hour that is twice has two."""
        zone = zone_named(self.zone)
        today = at.astimezone(zone).date()
        for span in self.spans or ():
            for ahead in range(-1, _AHEAD):
                day = datetime.combine(today + timedelta(days=ahead), time())
                wall = day + timedelta(minutes=span.end + (DAY_MINUTES if span.over_midnight else 0))
                for fold in (0, 1):
                    yield wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)

    def _first_without(self, covered: datetime, end: datetime, holidays: Collection[date]) -> datetime:
        """Return the first whole minute after `covered` in which it does not hold.

        Where the clock jumps past an end, that is the jump.
        """
        first = covered.replace(second=0, microsecond=0)
        minutes = int((end - first).total_seconds() // 60)
        low, high = 0, minutes
        while high - low > 1:
            middle = (low + high) // 2
            if self.covers(first + timedelta(minutes=middle), holidays):
                low = middle
            else:
                high = middle
        return first + timedelta(minutes=high)


def together(spans: Collection[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return minutes of a day from and to, in order, those that touch each other as one."""
    made: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if made and start <= made[-1][1]:
            made[-1] = (made[-1][0], max(end, made[-1][1]))
        else:
            made.append((start, end))
    return made


def days(text: str) -> Iterator[date]:
    """Yield the days that a text means, `2026-12-25` or `2026-12-24..2026-12-26`; ValueError for any other."""
    first, _, last = text.partition("..")
    try:
        day, end = date.fromisoformat(first.strip()), date.fromisoformat((last or first).strip())
    except ValueError as error:
        raise ValueError(f"{text!r}: must be a day or two, such as 2026-12-25 or 2026-12-24..2026-12-26") from error
    if not 0 <= (end - day).days <= LONGEST_HOLIDAY:
        raise ValueError(f"{text!r}: must end after it begins, and within {LONGEST_HOLIDAY} days")
    for number in range(day.toordinal(), end.toordinal() + 1):
        yield date.fromordinal(number)


def zone_named(name: str) -> ZoneInfo:
    """Return a time zone by its name; ValueError where the system knows none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f'{name!r}: no time zone: must be a name such as "Europe/Vienna" or "UTC"') from error


def _day(day: date, holidays: Collection[date]) -> str:
    return HOLIDAY if day in holidays else DAYS[day.weekday()]


def _spans(entry: str) -> Iterator[Span]:
    days, _, times = entry.partition(" ")
    if not times.strip():
        raise ValueError(f"{entry!r}: must be days and times, such as {_EXAMPLE}")
    chosen = frozenset(day for part in days.split(",") for day in _days(part))
    for told in times.split(","):
        found = re.fullmatch(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})", told.strip())
        if found is None:
            raise ValueError(f"{told.strip()!r}: must be a span, such as 08:00-18:00")
        start, end = _minute(found[1], found[2]), _minute(found[3], found[4])
        if start in {DAY_MINUTES, end}:
            raise ValueError(f"{told.strip()!r}: must begin before 24:00, and at another time than it ends")
        yield Span(chosen, start, end)


def _minute(hours: str, minutes: str) -> int:
    minute = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or minute > DAY_MINUTES:
        raise ValueError(f"{hours}:{minutes}: must be a time from 00:00 to 24:00")
    return minute


def _days(part: str) -> Iterator[str]:
    first, dash, last = part.partition("-")
    known = (*DAYS, HOLIDAY)
    for name in (first, last) if dash else (first,):
        if name not in known or (dash and name == HOLIDAY):
            raise ValueError(f"{part!r}: must be days, of {', '.join(known)}, or a range such as mon-fri")
    if not dash:
        yield first
        return
    begin, end = DAYS.index(first), DAYS.index(last)
    for ahead in range((end - begin) % 7 + 1):
        yield DAYS[(begin + ahead) % 7]


def _days_text(days: frozenset[str]) -> str:
    """Return days in the week's order, three or more in a row as a range."""
    places = [place for place, day in enumerate(DAYS) if day in days]
    parts: list[str] = []
    while places:
        run = 1
        while run < len(places) and places[run] == places[0] + run:
            run += 1
        names = [DAYS[place] for place in places[:run]]
        parts += [f"{names[0]}-{names[-1]}"] if run > 2 else names
        places = places[run:]
    return ",".join([*parts, *([HOLIDAY] if HOLIDAY in days else [])])


def minute_text(minute: int) -> str:
    """Return a minute of a day as people write it, 24:00 for its end."""
    return f"{minute // 60:02}:{minute % 60:02}"
