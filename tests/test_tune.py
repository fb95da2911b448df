"""`smileaccess tune` on real records: which attempts other settings would have changed, listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smileaccess.model import Outcome, Reason
from tests.house import House
from tests.test_replaying import granted, recorded


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Return a door with four attempts: granted by much, granted by little, no smile, nobody there."""
    made = House(tmp_path)
    little = {"m_ada": 99.05}
    made.put(
        granted(99.6, day=1),
        recorded(little, little, little, little, smiling=little, day=2, similarity=99.05),
        recorded({"m_ada": 99.4}, {"m_ada": 99.4}, reason=Reason.NO_SMILE, day=3),
        recorded(reason=Reason.NO_FACE, day=4),
    )
    return made


class TestTune:
    def test_the_attempts_that_change_are_listed(self, house: House) -> None:
        told = house.run("tune", "--threshold", "99.2")
        assert (told.code, told.err) == (0, "")
        head, counts, _, title, columns, line = told.out.splitlines()
        assert head == "[recognition] threshold 99 -> 99.2"
        assert counts == "4 attempts: 3 the same, 1 would be denied, 0 would be granted, 0 cannot be told"
        assert (title, columns.split()[0]) == ("Would be denied:", "when")
        assert line.split()[2:7] == ["front", "m_ada", "granted", "99.05", "88"]
        assert line.rstrip().endswith("not_recognized")

    def test_those_who_would_be_let_in_are_listed_too(self, house: House) -> None:
        told = house.run("tune", "--mode", "off").out
        assert "4 attempts: 3 the same, 0 would be denied, 1 would be granted, 0 cannot be told" in told
        assert "Would be granted:" in told

    def test_programs_get_the_same(self, house: House) -> None:
        told = house.run("tune", "--threshold", "99.2", "--json").json()
        assert told["changes"] == ["[recognition] threshold 99 -> 99.2"]
        assert (told["attempts"], told["counts"]) == (4, {"same": 3, "now_denied": 1, "now_granted": 0, "untold": 0})
        (changed,) = told["now_denied"]
        expected = {"outcome": "granted", "reason": None, "reason_now": "not_recognized", "why": "", "door": "front"}
        assert {name: changed[name] for name in expected} == expected
        assert told["now_granted"] == told["untold"] == []

    def test_what_cannot_be_told_is_counted_by_why(self, house: House) -> None:
        told = house.run("tune", "--mode", "smile").out
        assert "3 cannot be told" in told
        assert "Cannot be told:\n        3  what smile asks for was not asked for\n" in told

    def test_only_the_time_that_is_asked_for_counts(self, house: House) -> None:
        told = house.run("tune", "--threshold", "99.2", "--since", "2026-03-03T00:00:00+00:00", "--json").json()
        assert told["attempts"] == 3
        told = house.run("tune", "--threshold", "99.2", "--until", "2026-03-03T00:00:00+00:00", "--json").json()
        assert (told["attempts"], told["counts"]["now_denied"]) == (1, 0)

    def test_an_attempt_that_is_open_is_left_out(self, house: House) -> None:
        house.put(granted(day=9, closed_at=None, outcome=None))
        assert house.run("tune", "--threshold", "99.2", "--json").json()["attempts"] == 4

    def test_several_changes_are_tried_at_once(self, house: House) -> None:
        told = house.run("tune", "--emotions", "require", "--require", "surprised", "--margin", "0.2", "--json").json()
        assert told["changes"] == [
            "[recognition] margin 0.1 -> 0.2",
            "[rules] emotions record -> require",
            "[rules] required_emotions happy -> surprised",
        ]
        assert {each["reason_now"] for each in told["now_denied"]} == {"emotion_mismatch"}
        assert told["counts"]["now_denied"] == 2

    def test_what_goes_by_the_calendar_is_tried_too(self, house: House) -> None:
        hours = ("--group", "day=mon-fri 08:00-18:00", "--holiday", "2026-03-02", "--time-zone", "Europe/Vienna")
        told = house.run("tune", *hours, "--forbid", "happy", "--json")
        assert (told.code, told.json()["changes"]) == (
            0,
            [
                "[rules] forbidden_emotions none -> happy",
                "[rules] holidays none -> 2026-03-02",
                "[rules] time_zone none -> Europe/Vienna",
                "[groups] day none -> mon-fri 08:00-18:00",
            ],
        )
        assert {each["reason_now"] for each in told.json()["now_denied"]} == {"emotion_mismatch"}

    def test_nothing_is_changed_by_asking(self, house: House) -> None:
        before = house.run("attempts", "verify", "--json").json()["head"], house.config.read_bytes()
        house.run("tune", "--threshold", "99.5")
        assert (house.run("attempts", "verify", "--json").json()["head"], house.config.read_bytes()) == before

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ((), "give what to try, such as --threshold 99.2"),
            (("--threshold", "0.99"), "0.99 is not in the range 90<=x<=100"),
            (("--group", "day"), "'day': must be NAME=SCHEDULE, such as 'office=mon-fri 07:00-18:00'"),
            (("--group", "day=always late", "--time-zone", "UTC"), "[groups] day"),
            (("--group", "day=always"), '[rules] time_zone = "": must name the zone of [groups]'),
            (("--smile-at", "30"), "neutral_below = 30: must be below smile_at = 30"),
        ],
    )
    def test_settings_that_would_be_refused_are_not_tried(
        self, house: House, options: tuple[Any, ...], expected: str
    ) -> None:
        told = house.run("tune", *options)
        assert (told.code, told.out, expected in told.err) == (2, "", True)

    def test_an_empty_record_is_no_error(self, tmp_path: Path) -> None:
        told = House(tmp_path).run("tune", "--threshold", "99.5")
        assert (told.code, "0 attempts" in told.out) == (0, True)


def test_the_house_holds_what_it_says(house: House) -> None:
    """One attempt that was denied is there to be granted, and one grant to be denied."""
    outcomes = [each["outcome"] for each in house.run("attempts", "list", "--json").json()]
    assert outcomes == [Outcome.DENIED, Outcome.DENIED, Outcome.GRANTED, Outcome.GRANTED]
