"""`smileaccess attempts` on a real record."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import cv2
import pytest

from smileaccess.cli.attempts import follow
from smileaccess.cli.exporting import harmless
from smileaccess.model import Attempt, DoorEvent, Outcome, Reason, uuid7
from smileaccess.signals import HINTS
from tests.house import FACES, THEN, House, attempt
from tests.portraits import portrait


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def filled(house: House) -> House:
    """Three attempts on three days: no smile, granted, a stranger."""
    stranger = attempt(Reason.NOT_RECOGNIZED, day=2, member_id=None, similarity=31.0)
    house.put(attempt(), attempt(None, day=1, smile=88.0), stranger)
    return house


class TestList:
    def test_an_empty_record_says_so(self, house: House) -> None:
        assert house.run("attempts", "list").out == "no attempts\n"
        assert house.run("attempts", "list", "--json").json() == []

    def test_the_table_is_newest_first_and_fits_80_columns(self, filled: House) -> None:
        lines = filled.run("attempts", "list").out.splitlines()
        assert ["not_recognized" in lines[1], "granted" in lines[2], "no_smile" in lines[3]] == [True] * 3
        assert [line for line in lines if len(line) > 80] == []

    @pytest.mark.parametrize(
        ("options", "results"),
        [
            ([], ["not_recognized", None, "no_smile"]),
            (["--outcome", "granted"], [None]),
            (["--reason", "no_smile"], ["no_smile"]),
            (["--member", "m_ada"], [None, "no_smile"]),
            (["--member", "m_nobody"], []),
            (["--since", "2026-03-02T00:00:00+00:00"], ["not_recognized", None]),
            (["--until", "2026-03-02T00:00:00+00:00"], ["no_smile"]),
            (["--limit", "1"], ["not_recognized"]),
            (["--limit", "0"], ["not_recognized", None, "no_smile"]),
        ],
    )
    def test_filters(self, filled: House, options: list[str], results: list[str | None]) -> None:
        assert [each["reason"] for each in filled.run("attempts", "list", "--json", *options).json()] == results

    def test_an_unknown_reason_is_wrong_usage(self, filled: House) -> None:
        assert filled.run("attempts", "list", "--reason", "because").code == 2

    def test_a_member_whom_nobody_knows_is_an_error(self, filled: House) -> None:
        result = filled.run("attempts", "list", "--member", "nobody")
        assert (result.code, "member 'nobody': there is none" in result.err) == (1, True)

    @pytest.mark.parametrize(("columns", "shown"), [("60", False), ("80", True)])
    def test_a_narrow_terminal_keeps_time_result_and_id(
        self, filled: House, monkeypatch: pytest.MonkeyPatch, columns: str, shown: bool
    ) -> None:
        monkeypatch.setenv("COLUMNS", columns)
        lines = filled.run("attempts", "list").out.splitlines()
        ids = [each["id"][:13] for each in filled.run("attempts", "list", "--json").json()]
        assert [line.split()[-1] for line in lines[1:]] == ids
        assert ("similar" in lines[0]) is shown
        assert {"granted", "not_recognized", "no_smile"} >= {line.split()[2] for line in lines[1:]}

    def test_a_cost_is_shown_where_one_of_the_attempts_had_one(
        self, filled: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "84")
        assert "cost" not in filled.run("attempts", "list").out
        filled.put(*(attempt(day=3 + place, calls=3, cost=cost) for place, cost in enumerate((0.003, 0.0012, 0.01))))
        lines = filled.run("attempts", "list").out.splitlines()
        assert lines[0].split() == ["when", "result", "member", "similar", "smile", "cost", "id"]
        assert [line.split()[-2] for line in lines[1:]] == ["0.010", "0.0012", "0.003", "-", "-", "-"]
        assert [line for line in lines if len(line) > 84] == []

    @pytest.mark.parametrize("columns", ["60", "83"])
    def test_a_narrow_terminal_keeps_no_room_for_a_cost(
        self, house: House, monkeypatch: pytest.MonkeyPatch, columns: str
    ) -> None:
        monkeypatch.setenv("COLUMNS", columns)
        house.put(attempt(calls=3, cost=0.003))
        told = house.run("attempts", "list").out
        assert ("cost" in told, "0.003" in told) == (False, False)

    def test_json_tells_the_cost(self, house: House) -> None:
        house.put(attempt(), attempt(day=1, calls=3, cost=0.003))
        assert [each["cost"] for each in house.run("attempts", "list", "--json").json()] == [0.003, None]


class TestEvents:
    def test_what_else_is_on_record_is_listed_newest_first(self, house: House) -> None:
        with closing(house.spool()) as spool:
            for minute, (kind, who, why) in enumerate(
                (("rex", "smileaccess", ""), ("control_unlock", "ann", "parcel"))
            ):
                at = THEN + timedelta(minutes=minute)
                spool.add_event(DoorEvent(uuid7(), "front", at, kind, who, why, {"uid": 7}))
        told = house.run("attempts", "events", "--json").json()
        assert [(each["kind"], each["who"], each["why"]) for each in told] == [
            ("control_unlock", "ann", "parcel"),
            ("rex", "smileaccess", ""),
        ]
        only = house.run("attempts", "events", "--kind", "rex").out
        assert ("rex" in only, "ann" in only) == (True, False)
        assert house.run("attempts", "events", "--since", "1d").out == "no events\n"

    @pytest.mark.parametrize("command", [("list",), ("export", "--format", "csv")])
    def test_an_output_without_room_is_told_plainly(self, filled: House, command: tuple[str, ...]) -> None:
        arguments = [sys.executable, "-m", "smileaccess", "--config", str(filled.config), "attempts", *command]
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        for env in (buffered, {**buffered, "PYTHONUNBUFFERED": "1"}):
            with Path("/dev/full").open("wb") as full:
                done = subprocess.run(
                    arguments, stdout=full, stderr=subprocess.PIPE, env=env, text=True, timeout=60, check=False
                )
            told = (
                "smileaccess: the output cannot be written: No space left on device: make room, or write it elsewhere"
            )
            assert (done.returncode, done.stderr) == (1, f"{told}\n")


class TestShow:
    def test_it_tells_the_steps_the_reason_and_what_to_do(self, house: House) -> None:
        known = attempt()
        house.put(known)
        told = house.run("attempts", "show", known.id[:13]).out
        for part in ("a clear face", "0.31 s", "asked to smile", "Denied: no_smile", HINTS[Reason.NO_SMILE], "m_ada"):
            assert part in told
        assert "32: 30 clear, 2 too blurred" in told

    def test_one_that_is_open_is_told_as_open(self, house: House) -> None:
        known = attempt()
        house.put(Attempt(known.id, known.door, known.trigger, known.opened_at))
        assert "Open: it is under way" in house.run("attempts", "show", known.id).out

    @pytest.mark.parametrize(
        ("liveness", "stage", "told"),
        [
            ("neutral-then-smile", "watching", "neutral-then-smile: the door was still waiting for a calm face"),
            ("neutral-then-smile", "cued", "neutral-then-smile: the door was still waiting for the smile"),
            ("smile", "watching", "smile: the door was still waiting for a clear face"),
            ("off", "passed", "off"),
            ("follow-the-light", "cued", "follow-the-light: the light was still to be followed"),
        ],
    )
    def test_how_the_challenge_ended_is_told_in_words(self, house: House, liveness: str, stage: str, told: str) -> None:
        known = attempt(liveness=liveness, detail={"challenge": stage})
        house.put(known)
        assert f"\nLiveness   {told}\n" in house.run("attempts", "show", known.id).out

    @pytest.mark.parametrize(
        ("missed", "told"),
        [([], "passed"), (["no_smile"], "passed, after 1 missed sequence")],
    )
    def test_the_sequences_that_were_missed_are_counted(self, house: House, missed: list[str], told: str) -> None:
        known = attempt(
            liveness="follow-the-light", detail={"challenge": "passed", "asked": "-+-+--", "missed": missed}
        )
        house.put(known)
        assert f"\nLiveness   follow-the-light: {told}\n" in house.run("attempts", "show", known.id).out

    def test_what_is_empty_is_left_out(self, house: House) -> None:
        empty = {"similarity": None, "smile": None, "emotion": None, "liveness": None, "recognizer": None}
        known = attempt(Reason.INTERNAL_ERROR, member_id=None, model=None, detail={}, **empty)
        house.put(known)
        told = house.run("attempts", "show", known.id).out
        assert "Denied: internal_error." in told
        assert [word for word in ("Liveness", "Measured", "Recognizer", "billed", " -") if word in told] == []

    def test_billed_calls_are_told_where_there_were_any(self, house: House) -> None:
        known = attempt(calls=2)
        house.put(known)
        assert "Recognizer embedded sface, 2 billed calls\n" in house.run("attempts", "show", known.id).out

    def test_what_the_calls_cost_is_told_where_it_is_on_record(self, house: House) -> None:
        known = attempt(calls=2, cost=0.002)
        house.put(known)
        assert "Recognizer embedded sface, 2 billed calls, cost 0.002\n" in house.run("attempts", "show", known.id).out

    def test_why_an_examination_gave_no_answer_is_told_in_the_place_of_nobody(self, house: House) -> None:
        known = attempt(detail={"examinations": [examination(hindrance="multiple_faces"), examination(1)]})
        house.put(known)
        rows = [line.split() for line in house.run("attempts", "show", known.id).out.splitlines()[-3:]]
        assert rows[0] == ["frame", "asked", "for", "candidates", "smile", "ms"]
        assert [row[2] for row in rows[1:]] == ["multiple_faces", "nobody"]

    def test_a_smile_that_was_looked_at_is_told_apart_from_nobody_found(self, house: House) -> None:
        looked_at = {**examination(), "candidates": None}
        known = attempt(detail={"examinations": [looked_at, examination()]})
        house.put(known)
        rows = [line.split() for line in house.run("attempts", "show", known.id).out.splitlines()[-2:]]
        assert [row[2:4] for row in rows] == [["not", "searched"], rows[1][2:4]]
        assert rows[1][2] == "nobody"

    def test_who_answered_is_told_where_more_than_one_recognizer_did(self, house: House) -> None:
        names = ("rekognition", "embedded", None)
        known = attempt(detail={"examinations": [examination(recognizer=name) for name in names]})
        house.put(known)
        rows = [line.split() for line in house.run("attempts", "show", known.id).out.splitlines()[-4:]]
        assert rows[0] == ["frame", "asked", "for", "recognizer", "candidates", "smile", "ms"]
        assert [row[2] for row in rows[1:]] == ["rekognition", "embedded", "-"]

    @pytest.mark.parametrize("given", [("rekognition", "rekognition"), ("rekognition", None), (None, None)])
    def test_one_recognizer_is_not_told_in_every_row(self, house: House, given: tuple[str | None, ...]) -> None:
        known = attempt(detail={"examinations": [examination(recognizer=name) for name in given]})
        house.put(known)
        assert "asked for  candidates" in house.run("attempts", "show", known.id).out

    def test_json_is_the_row(self, house: House) -> None:
        known = attempt()
        house.put(known)
        assert house.run("attempts", "show", known.id, "--json").json()["detail"] == known.detail

    def test_an_unknown_id_is_code_1(self, house: House) -> None:
        assert house.run("attempts", "show", "abc").code == 1


def examination(frame: int = 7, **told: str | None) -> dict[str, object]:
    """An examination that found nobody, as rows before `told` was told hold it."""
    known: dict[str, object] = {"purpose": "identity", "frame": frame, "candidates": [], "smile": 12.5, "ms": 21.0}
    return known | {name: value for name, value in told.items() if value is not None}


class Turns:
    """Does one thing after another, each time `follow` is about to look again."""

    def __init__(self, *turns: Callable[[], object]) -> None:
        self._turns = list(turns)

    def __call__(self) -> bool:
        if not self._turns:
            return False
        self._turns.pop(0)()
        return True


class TestTail:
    def test_each_new_attempt_comes_once_and_in_order_when_it_ends(self, house: House) -> None:
        old, late, soon = attempt(), attempt(None, day=1), attempt(day=2)
        house.put(old)
        with closing(house.spool()) as spool:
            again = Turns(
                lambda: [spool.open_attempt(Attempt(x.id, x.door, x.trigger, x.opened_at)) for x in (late, soon)],
                lambda: spool.close_attempt(soon),
                lambda: spool.close_attempt(late),
                lambda: None,
            )
            assert [each.id for each in follow(spool, 5, again)] == [old.id, soon.id, late.id]

    def test_none_of_the_past_when_none_is_asked_for(self, house: House) -> None:
        house.put(attempt())
        with closing(house.spool()) as spool:
            again = Turns(lambda: house.put(attempt(day=1)))
            assert [each.opened_at.day for each in follow(spool, 0, again)] == [2]

    def test_it_follows_a_record_that_is_empty_at_first(self, house: House) -> None:
        with closing(house.spool()) as spool:
            again = Turns(lambda: house.put(attempt(), attempt(day=1)))
            assert [each.opened_at.day for each in follow(spool, 5, again)] == [1, 2]


class TestExport:
    def test_csv_has_a_row_an_attempt_with_json_in_its_cells(self, filled: House) -> None:
        rows = list(csv.DictReader(io.StringIO(filled.run("attempts", "export", "--format", "csv").out)))
        assert [row["reason"] for row in rows] == ["not_recognized", "", "no_smile"]
        assert json.loads(rows[0]["detail"])["frames"] == {"clear": 30, "too_blurred": 2}

    def test_csv_carries_the_cost(self, house: House) -> None:
        house.put(attempt(), attempt(day=1, calls=3, cost=0.003))
        rows = list(csv.DictReader(io.StringIO(house.run("attempts", "export", "--format", "csv").out)))
        assert [(row["calls"], row["cost"]) for row in rows] == [("3", "0.003"), ("0", "")]

    def test_jsonl_is_what_list_gives(self, filled: House) -> None:
        lines = filled.run("attempts", "export", "--format", "jsonl").out.splitlines()
        assert [json.loads(line) for line in lines] == filled.run("attempts", "list", "--json").json()

    def test_a_file_is_new_whole_and_closed_to_others(self, filled: House) -> None:
        path = filled.folder / "out.csv"
        assert filled.run("attempts", "export", "--format", "csv", "--output", path).code == 0
        assert len(path.read_text().splitlines()) == 4
        assert path.stat().st_mode & 0o077 == 0
        before = path.read_bytes()
        again = filled.run("attempts", "export", "--format", "jsonl", "--output", path)
        assert (again.code, path.read_bytes()) == (1, before)
        assert sorted(each.name for each in filled.folder.glob("*out*")) == ["out.csv"]

    def test_a_place_that_cannot_be_written_is_code_1(self, filled: House) -> None:
        missing = filled.folder / "none" / "out.csv"
        assert filled.run("attempts", "export", "--format", "csv", "--output", missing).code == 1

    @pytest.mark.parametrize("start", ["=", "+", "-", "@"])
    def test_no_cell_is_a_formula(self, start: str) -> None:
        assert harmless(f"{start}1+1") == f"'{start}1+1"

    def test_numbers_stay_numbers_and_texts_texts(self) -> None:
        assert [harmless(-1.5), harmless("no_smile")] == [-1.5, "no_smile"]

    def test_a_formula_on_record_is_made_harmless(self, house: House) -> None:
        house.put(attempt(model="=cmd|'/C calc'!A0"))
        (row,) = csv.DictReader(io.StringIO(house.run("attempts", "export", "--format", "csv").out))
        assert row["model"] == "'=cmd|'/C calc'!A0"


class TestVerify:
    def test_a_whole_record_is_ok_with_its_links_and_head(self, filled: House) -> None:
        told = filled.run("attempts", "verify", "--json").json()
        assert (told["ok"], told["links"], told["head"].split(":")[0]) == (True, 6, "6")
        assert filled.run("attempts", "verify", "--head", told["head"]).out == f"ok: 6 links, head {told['head']}\n"

    def test_an_altered_row_is_named_and_code_1(self, filled: House) -> None:
        with closing(sqlite3.connect(filled.database)) as db, db:
            db.execute("UPDATE attempts SET similarity = 99.9 WHERE reason = 'no_smile'")
        result = filled.run("attempts", "verify", "--json")
        assert (result.code, result.json()["sequence"]) == (1, 2)
        assert "was altered" in result.err

    def test_a_row_that_was_cut_off_is_code_1(self, filled: House) -> None:
        with closing(sqlite3.connect(filled.database)) as db, db:
            db.execute("DELETE FROM attempts WHERE reason = 'not_recognized'")
        assert filled.run("attempts", "verify").code == 1

    def test_an_older_copy_does_not_hold_the_newer_head(self, filled: House) -> None:
        old = filled.folder / "copy.db"
        with closing(sqlite3.connect(filled.database)) as db, closing(sqlite3.connect(old)) as copy:
            db.backup(copy)
        filled.put(attempt(day=3))
        head = filled.run("attempts", "verify", "--json").json()["head"]
        for each in filled.folder.glob("door.db*"):
            each.unlink()
        old.rename(filled.database)
        assert filled.run("attempts", "verify").code == 0
        assert filled.run("attempts", "verify", "--head", head).code == 1

    @pytest.mark.parametrize("head", ["", "6", "6:zz", "x:" + "0" * 64])
    def test_what_is_no_head_is_wrong_usage(self, filled: House, head: str) -> None:
        assert filled.run("attempts", "verify", "--head", head).code == 2


class TestPrune:
    def test_what_is_older_goes_and_the_rest_verifies(self, filled: House) -> None:
        options = ("--before", "2026-03-02T00:00:00+00:00", "--yes", "--why", "kept long enough", "--json")
        assert filled.run("attempts", "prune", *options).json()["deleted"] == 1
        left = filled.run("attempts", "list", "--json").json()
        assert [each["reason"] for each in left] == ["not_recognized", None]
        assert filled.run("attempts", "verify").code == 0

    def test_who_asked_and_why_is_on_record(self, filled: House) -> None:
        filled.run("attempts", "prune", "--older-than", "1", "--yes", "--why", "kept long enough")
        with closing(filled.spool()) as spool:
            (asked,) = [each for each in spool.events() if each.kind == "records_pruned"]
        assert asked.why == "kept long enough"
        assert asked.who

    def test_without_a_terminal_it_must_be_confirmed(self, filled: House) -> None:
        result = filled.run("attempts", "prune", "--older-than", "1")
        assert (result.code, "--yes" in result.err) == (1, True)
        assert len(filled.run("attempts", "list", "--json").json()) == 3

    @pytest.mark.parametrize("options", [[], ["--before", "2d", "--older-than", "2"], ["--older-than", "0"]])
    def test_exactly_one_limit_is_needed(self, filled: House, options: list[str]) -> None:
        assert filled.run("attempts", "prune", "--yes", *options).code == 2


class TestTry:
    @pytest.fixture
    def enrolled(self, house: House) -> House:
        photo = FACES / "obama-speaking.jpg"
        assert house.run("enroll", "Barack Obama", "--photo", photo, "--consent").code == 0
        return house

    def test_a_smiling_stranger_is_not_recognized_and_nothing_is_put_on_record(self, enrolled: House) -> None:
        before = enrolled.run("attempts", "verify").out
        told = enrolled.run("attempts", "try", "--photo", FACES / "collins-smiling.jpg", "--json").json()
        assert (told["attempt"]["reason"], told["hint"]) == ("not_recognized", HINTS[Reason.NOT_RECOGNIZED])
        assert told["looks"][0]["faces"][0]["smile"] > 80
        assert enrolled.run("attempts", "verify").out == before

    def test_the_member_is_let_in_without_a_sign_of_life(self, enrolled: House) -> None:
        photo = FACES / "obama-smiling.jpg"
        told = enrolled.run("attempts", "try", "--photo", photo, "--liveness", "off")
        assert told.out.startswith("granted to Barack Obama\n")
        assert [line for line in told.out.splitlines() if len(line) > 80] == []
        assert "obama-smiling.jpg" in told.out

    def test_a_still_picture_follows_no_light(self, enrolled: House) -> None:
        photo = enrolled.folder / "calm.png"
        cv2.imwrite(str(photo), portrait("obama-neutral"))
        told = enrolled.run("attempts", "try", "--photo", photo, "--liveness", "follow-the-light", "--json").json()
        attempt = told["attempt"]
        assert (attempt["reason"], attempt["liveness"]) == ("no_smile", "follow-the-light")
        assert attempt["detail"]["missed"] == ["no_smile", "no_smile"]

    def test_a_picture_whose_face_is_always_too_far_is_told_why(self, enrolled: House) -> None:
        photo, small = FACES / "obama-smiling.jpg", enrolled.folder / "whole.png"
        picture = cv2.imread(str(photo))
        height, width = picture.shape[:2]
        wide = cv2.copyMakeBorder(picture, 0, 4 * height, 4 * width, 0, cv2.BORDER_CONSTANT, value=(90, 90, 90))
        cv2.imwrite(str(small), wide)
        told = enrolled.run("attempts", "try", "--photo", small).out
        assert "no frame of whole.png was usable: too far (face " in told
        assert "at least 60): pictures are scaled to 640x480 as the camera would give them; crop closer" in told
        assert "no frame of" not in enrolled.run("attempts", "try", "--photo", photo, "--liveness", "off").out

    def test_a_broken_picture_is_code_1(self, enrolled: House) -> None:
        broken = enrolled.folder / "broken.jpg"
        broken.write_bytes((FACES / "obama-smiling.jpg").read_bytes()[:3000])
        result = enrolled.run("attempts", "try", "--photo", broken)
        assert (result.code, "Traceback" in result.err) == (1, False)
        assert "broken.jpg" in result.err


def test_reading_needs_neither_eyes_nor_the_enroller(filled: House) -> None:
    """A door that holds the public half only can still read its record."""
    (filled.keys / "enroller").unlink()
    (filled.keys / "templates").unlink()
    assert filled.run("attempts", "list", "--outcome", Outcome.GRANTED.value).code == 0
