"""Schedules: what people write, when it holds, when it ends, and what summer time does to it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smileaccess.schedules import DAYS, Schedule

VIENNA = "Europe/Vienna"
WORK = Schedule.parse("mon-fri 08:00-18:00; sat 09:00-13:00; hol 10:00-12:00", VIENNA)
HOLIDAYS = {date(2026, 12, 25)}  # a Friday


def at(text: str, zone: str = VIENNA) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "covered"),
    [
        ("2026-11-23T08:00", True),
        ("2026-11-23T07:59", False),
        ("2026-11-23T17:59", True),
        ("2026-11-23T18:00", False),
        ("2026-11-28T12:59", True),
        ("2026-11-28T13:00", False),
        ("2026-11-29T10:30", False),
        ("2026-12-25T10:30", True),
        ("2026-12-25T09:30", False),
        ("2026-12-25T17:00", False),
    ],
)
def test_a_week_of_work(moment: str, covered: bool) -> None:
    """From the first minute to the one before the last; on a holiday only what is said for holidays."""
    assert WORK.covers(at(moment), HOLIDAYS) is covered


def test_a_span_over_midnight_belongs_to_the_day_it_begins_on() -> None:
    """The night from Friday to Saturday, not the one before."""
    night = Schedule.parse("fri 22:00-02:00", VIENNA)
    told = [night.covers(at(f"2026-11-{day}T{hour}")) for day, hour in ((27, "01:00"), (27, "22:00"), (28, "01:59"))]
    assert told == [False, True, True]
    assert not night.covers(at("2026-11-28T02:00"))
    assert night.ends_at(at("2026-11-27T23:00")) == at("2026-11-28T02:00")


@pytest.mark.parametrize(
    ("text", "moment", "end"),
    [
        ("mon-fri 08:00-18:00", "2026-11-23T09:00", "2026-11-23T18:00"),
        ("mon-fri 08:00-18:00", "2026-11-23T19:00", None),
        ("mon-sun 00:00-24:00", "2026-11-23T09:00", None),
        ("always", "2026-11-23T09:00", None),
        ("mon 08:00-12:00,12:00-17:00", "2026-11-23T09:00", "2026-11-23T17:00"),
        ("mon 20:00-24:00; tue 00:00-04:00", "2026-11-23T21:00", "2026-11-24T04:00"),
        ("mon 20:00-08:00; tue 06:00-10:00", "2026-11-23T21:00", "2026-11-24T10:00"),
    ],
)
def test_the_end_of_what_holds(text: str, moment: str, end: str | None) -> None:
    """Spans that follow without a gap are one; what has no end has none."""
    found = Schedule.parse(text, VIENNA).ends_at(at(moment) + timedelta(seconds=30))
    assert found == (None if end is None else at(end))


def test_summer_time_moves_nothing_for_people() -> None:
    """Eight o'clock is eight o'clock in summer and in winter."""
    assert WORK.covers(datetime(2026, 7, 6, 6, 0, tzinfo=UTC))
    assert not WORK.covers(datetime(2026, 12, 7, 6, 0, tzinfo=UTC))
    assert WORK.covers(datetime(2026, 12, 7, 7, 0, tzinfo=UTC))


def test_the_hour_that_is_not_there() -> None:
    """On 2026-03-29 the clock goes from 02:00 to 03:00: a span that ends in between is over at the jump."""
    night = Schedule.parse("sun 01:00-02:30", VIENNA)
    before = at("2026-03-29T01:30")
    assert night.ends_at(before) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert night.covers(datetime(2026, 3, 29, 0, 59, tzinfo=UTC))
    assert not night.covers(datetime(2026, 3, 29, 1, 0, tzinfo=UTC))


def test_the_hour_that_is_there_twice() -> None:
    """On 2026-10-25 03:00 becomes 02:00 again: 02:15 is covered both times, 02:45 never."""
    night = Schedule.parse("sun 01:00-02:30", VIENNA)
    told = [night.covers(datetime(2026, 10, 25, hour, minute, tzinfo=UTC)) for hour in (0, 1) for minute in (15, 45)]
    assert told == [True, False, True, False]
    assert night.ends_at(datetime(2026, 10, 25, 0, 15, tzinfo=UTC)) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert night.ends_at(datetime(2026, 10, 25, 1, 15, tzinfo=UTC)) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("MON-FRI 8:00-18:00", "mon-fri 08:00-18:00"),
        (" sat,sun  9:00-10:00 ;", "sat,sun 09:00-10:00"),
        ("fri-mon 09:00-10:00", "mon,fri-sun 09:00-10:00"),
        ("mon 08:00-12:00, 13:00-17:00", "mon 08:00-12:00; mon 13:00-17:00"),
        ("mon, wed - fri 08:00 - 12:00 , 13:00-17:00", "mon,wed-fri 08:00-12:00; mon,wed-fri 13:00-17:00"),
        ("hol 00:00-24:00", "hol 00:00-24:00"),
        ("Always", "always"),
    ],
)
def test_a_schedule_reads_as_it_was_meant(text: str, canonical: str) -> None:
    """And its own text parses to the same."""
    schedule = Schedule.parse(text, "UTC")
    assert schedule.text == canonical
    assert Schedule.parse(canonical, "UTC") == schedule


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must hold days and times"),
        (";", "must hold days and times"),
        ("mon", "'mon': must be days and times"),
        ("mo 08:00-10:00", "'mo': must be days, of mon, "),
        ("mon-hol 08:00-10:00", "'mon-hol': must be days"),
        ("mon 8-10", "'8-10': must be a span, such as 08:00-18:00"),
        ("mon 08:00-25:00", "25:00: must be a time from 00:00 to 24:00"),
        ("mon 08:60-10:00", "08:60: must be a time"),
        ("mon 24:00-02:00", "must begin before 24:00"),
        ("mon 08:00-08:00", "at another time than it ends"),
    ],
)
def test_what_is_no_schedule(text: str, problem: str) -> None:
    """The part that is wrong, and what it must be."""
    with pytest.raises(ValueError, match=problem):
        Schedule.parse(text, "UTC")


@pytest.mark.parametrize("zone", ["", "Vienna", "../etc/passwd", "Europe"])
def test_what_is_no_time_zone(zone: str) -> None:
    """It is named, with one that is."""
    with pytest.raises(ValueError, match="no time zone: must be a name such as"):
        Schedule.parse("always", zone)


SPANS = st.builds(
    lambda days, start, length: (
        f"{','.join(sorted(days))} {start // 60:02}:{start % 60:02}-"
        f"{(start + length) % 1440 // 60:02}:{(start + length) % 1440 % 60:02}"
    ),
    st.sets(st.sampled_from([*DAYS, "hol"]), min_size=1, max_size=4),
    st.integers(0, 95).map(lambda quarter: quarter * 15),
    st.integers(1, 94).map(lambda quarter: quarter * 15),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(SPANS, min_size=1, max_size=4),
    st.sampled_from([VIENNA, "America/New_York", "Australia/Lord_Howe", "UTC"]),
    st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 15)),  # noqa: DTZ001 -- made UTC below
)
def test_the_end_is_where_a_walk_minute_by_minute_finds_it(entries: list[str], zone: str, start: datetime) -> None:
    """Whatever the spans, the zone and the season: the first minute that is not covered."""
    schedule = Schedule.parse("; ".join(entries), zone)
    moment = start.replace(second=0, microsecond=0, tzinfo=UTC)
    holidays = {moment.astimezone(ZoneInfo(zone)).date() + timedelta(days=1)}
    end = schedule.ends_at(moment, holidays)
    if not schedule.covers(moment, holidays):
        assert end is None
        return
    for _ in range(3 * 1440):
        moment += timedelta(minutes=1)
        if not schedule.covers(moment, holidays):
            assert end == moment
            return
    assert end is None or end > moment
