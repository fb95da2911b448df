"""The common questions on a real server, judged by its own counters; `tests.bench_queries` asks a million rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime

import pytest

from smileaccess.records.mysql.link import Link
from smileaccess.records.mysql.questions import newest_first
from tests.central import COMMON, DAY_TEXT, MANY, REGISTERED_AT, Central, Common, fill, per_hour, prepared, reads
from tests.mariadb import MariaDB

PARTS = 2
NOW = "2026-01-07 12:00:00"


@pytest.fixture(scope="module")
def filled(mariadb: MariaDB) -> Central:
    central = prepared(mariadb)
    with closing(central.link()) as link:
        fill(link, PARTS)
    return central


@pytest.fixture(scope="module")
def door(filled: Central) -> Iterator[Link]:
    with closing(filled.door("door_3")) as link:
        yield link


@pytest.fixture
def link(filled: Central) -> Iterator[Link]:
    with closing(filled.link()) as made:
        yield made


@pytest.mark.parametrize("question", COMMON, ids=lambda each: each.name)
def test_a_common_question_reads_no_more_than_ten_times_what_it_returns(
    question: Common, link: Link, door: Link
) -> None:
    asker = door if question.as_door else link
    question.ask(asker)  # what is asked once, such as what the account may read, is not of the question

    found = reads(asker, lambda: question.ask(asker))

    assert found.returned > 0
    assert found.returned <= found.rows <= MANY * found.returned


def test_the_counters_tell_a_question_that_no_index_answers(link: Link) -> None:
    found = reads(link, lambda: len(link.all("SELECT id FROM attempts WHERE smile = 0.5 OR id = %s", "0")))

    assert found.rows > 10_000


def test_counts_per_hour_read_the_index_only_and_no_row_outside_the_range(link: Link) -> None:
    question = per_hour(DAY_TEXT["since"], DAY_TEXT["until"])
    plan = link.all(f"EXPLAIN {question.sql}", *question.values)

    found = reads(link, lambda: len(link.all(question.sql, *question.values)))

    assert [row["key"] for row in plan] == ["attempts_by_time"]
    assert "Using index" in plan[0]["Extra"].split("; ")
    assert 2880 <= found.along <= 2881


def test_counts_per_hour_are_those_of_the_rows(link: Link) -> None:
    question = per_hour(DAY_TEXT["since"], "2026-01-03 02:00:00")
    counted = link.all(question.sql, *question.values)
    rows = link.all(
        "SELECT opened_at, door, outcome, reason FROM attempts WHERE opened_at >= '2026-01-03' "
        "AND opened_at < '2026-01-03 02:00:00'"
    )

    assert sum(row["attempts"] for row in counted) == len(rows) == 240
    assert {tuple(row.values())[:4] for row in counted} == {
        (f"{row['opened_at']:%Y-%m-%d %H}", row["door"], row["outcome"], row["reason"]) for row in rows
    }


def test_pages_hold_every_attempt_once_and_in_order_also_where_many_opened_at_the_same_moment(mariadb: MariaDB) -> None:
    central = prepared(mariadb)
    with closing(central.link()) as link:
        fill(link, 1)
        link.change("UPDATE attempts SET opened_at = '2026-01-01 00:00:00' WHERE seq <= 50")
        link.change("DELETE FROM attempts WHERE seq > 200")
        found: list[tuple[datetime, str]] = []
        after = None
        for _ in range(20):  # 15 would do
            question = newest_first("attempts", {}, after, 7, columns="opened_at, id")
            page = [(row["opened_at"], row["id"]) for row in link.all(question.sql, *question.values)]
            found += page
            after = (str(found[-1][0]), found[-1][1])

        assert found == sorted(set(found), reverse=True)
        assert len(found) == 100


def test_filters_hold_together(link: Link) -> None:
    given = {"door": "door_7", "outcome": "denied", "reason": "no_smile", "member_id": None, **DAY_TEXT}
    question = newest_first("attempts", given, None, 1000)
    found = link.all(question.sql, *question.values)
    counted = link.one(
        "SELECT COUNT(*) FROM attempts WHERE door = 'door_7' AND reason = 'no_smile' AND opened_at >= '2026-01-03' "
        "AND opened_at < '2026-01-04'"
    )

    assert len(found) == counted > 0
    assert {(row["door"], row["reason"], f"{row['opened_at']:%d}") for row in found} == {("door_7", "no_smile", "03")}


def test_times_are_inclusive_from_and_exclusive_to(link: Link) -> None:
    given = {"since": "2026-01-03 00:00:00", "until": "2026-01-03 00:01:00"}
    question = newest_first("attempts", given, None, 10, columns="opened_at")

    found = [str(row["opened_at"]) for row in link.all(question.sql, *question.values)]

    assert found == ["2026-01-03 00:00:30", "2026-01-03 00:00:00"]


# Views for people


@pytest.fixture
def later(filled: Central) -> Iterator[Link]:
    """A connection for which it is noon of a day on record."""
    with closing(filled.link()) as link:
        link.change(f"SET timestamp = UNIX_TIMESTAMP('{NOW}')")
        yield link


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM recent_attempts LIMIT 20",
        "SELECT * FROM recent_attempts WHERE door = 'door_3' LIMIT 20",
        "SELECT * FROM denials_today LIMIT 20",
    ],
)
def test_a_view_for_people_reads_what_it_shows(sql: str, later: Link) -> None:
    found = reads(later, lambda: len(later.all(sql)))

    assert found.returned == 20
    assert found.rows <= MANY * found.returned


def test_recent_attempts_are_the_last_seven_days_newest_first_with_names(later: Link) -> None:
    add_member(later, "m_42", "Ada")

    rows = later.all("SELECT opened_at, member_id, member FROM recent_attempts")

    assert [row["opened_at"] for row in rows] == sorted((row["opened_at"] for row in rows), reverse=True)
    assert str(rows[-1]["opened_at"]) == "2026-01-01 00:00:00"
    assert {row["member"] for row in rows if row["member_id"] == "m_42"} == {"Ada"}
    assert {row["member"] for row in rows if row["member_id"] != "m_42"} == {None}


def test_denials_today_are_those_since_midnight(later: Link) -> None:
    rows = later.all("SELECT opened_at FROM denials_today")

    assert min(str(row["opened_at"]) for row in rows) >= "2026-01-07"
    assert len(rows) == later.one("SELECT COUNT(*) FROM attempts WHERE reason <> '' AND opened_at >= '2026-01-07'") > 0


def test_attempts_per_hour_add_up(later: Link) -> None:
    rows = later.all("SELECT * FROM attempts_per_hour")

    assert sum(row["attempts"] for row in rows) == later.one("SELECT COUNT(*) FROM attempts")
    assert all(row["attempts"] == row["granted"] + row["denied"] for row in rows)
    assert rows[0]["hour"] == "2026-01-07 22:00"
    assert rows[-1]["hour"] == "2026-01-01 00:00"


def test_members_now_leave_out_who_was_forgotten(mariadb: MariaDB) -> None:
    central = prepared(mariadb)
    with closing(central.link()) as link:
        add_member(link, "m_1", "Ada")
        add_member(link, "m_2", "", status="forgotten")
        link.change(
            "INSERT INTO faces (id, member_id, model, added_at) VALUES ('t_1', 'm_1', 'sface', UTC_TIMESTAMP(6))"
        )

        assert [(row["id"], row["name"], row["faces"]) for row in link.all("SELECT * FROM members_now")] == [
            ("m_1", "Ada", 1)
        ]


def test_doors_now_tell_when_each_was_heard_of_and_its_newest_head(mariadb: MariaDB) -> None:
    central = prepared(mariadb)
    with closing(central.door("front")), closing(central.door("back")), closing(central.link()) as link:
        for hour, record, sequence in ((1, "a", 8), (2, "b", 2), (2, "b", 3), (1, "c", 9)):
            link.change(
                "INSERT INTO chain_heads (door, record, sequence, hash, at) VALUES ('front', %s, %s, %s, %s)",
                record * 16,
                sequence,
                f"{sequence}" * 64,
                f"2026-11-02 0{hour}:00:00",
            )
        link.change("INSERT INTO contacts (door, at, program) VALUES ('front', '2026-11-02 03:00:00', '1.0')")
        link.change("INSERT INTO contacts (door, at, program) VALUES ('front', '2026-11-02 04:00:00', '1.0')")

        back, front = link.all("SELECT * FROM doors_now")

    assert (back["name"], back["heard_at"], back["delivered_at"], back["sequence"]) == ("back", None, None, None)
    assert (front["name"], str(front["heard_at"])) == ("front", "2026-11-02 04:00:00")
    assert str(front["delivered_at"]) == "2026-11-02 02:00:00"
    assert (front["record"], front["sequence"], front["hash"]) == ("b" * 16, 3, "3" * 64)
    assert front["registered_at"] == REGISTERED_AT.replace(tzinfo=None)


def add_member(link: Link, member_id: str, name: str, status: str = "active") -> None:
    link.change(
        "INSERT INTO members (id, version, name, status, created_at, document, signature, changed_at) "
        "VALUES (%s, 1, %s, %s, UTC_TIMESTAMP(6), '{}', '', UTC_TIMESTAMP(6))",
        member_id,
        name,
        status,
    )
