"""`smileaccess enroll` and `smileaccess members` on a real record and real photographs."""

from __future__ import annotations

import os
import pty
import shutil
import sqlite3
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from smileaccess import wiring
from smileaccess.cli import consent
from smileaccess.cli.capture import PATIENCE, STEPS, Collector, collect, frames_of
from smileaccess.cli.common import caller
from smileaccess.cli.members import threshold_advice
from smileaccess.control import ControlServer, Groups
from smileaccess.events import Event, Noted
from smileaccess.keys import ALL_KEYS, public_half
from smileaccess.membership import load_roster
from smileaccess.model import Frame, Gesture, Member
from smileaccess.registry import Registry
from smileaccess.settings import load
from smileaccess.sitting import Desk, NoGoodPicture
from tests.fakes_devices import FakeCamera, FakeClock
from tests.fakes_records import FakeMembers
from tests.fakes_vision import FakeRecognizer, FakeVision, Painted, opened, painting, scene
from tests.house import FACES, House, attempt

SPEAKING, SMILING, NEUTRAL = (FACES / f"obama-{name}.jpg" for name in ("speaking", "smiling", "neutral"))
BIDEN = FACES / "biden-neutral.jpg"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A house in which one man is enrolled, to be copied."""
    made = House(tmp_path_factory.mktemp("template"))
    result = made.run("enroll", "Barack Obama", "--photo", SPEAKING, "--consent", "--why", "the first one")
    assert result.code == 0, result.err
    return made


@pytest.fixture
def enrolled(template: House, house: House) -> House:
    """One man is enrolled."""
    shutil.copytree(template.keys, house.keys, dirs_exist_ok=True)
    with closing(sqlite3.connect(template.database)) as old, closing(sqlite3.connect(house.database)) as new:
        old.backup(new)
    return house


def members(house: House, *options: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = house.run("members", "list", "--json", *options).json()["members"]
    return listed


def stored(house: House) -> tuple[Member, ...]:
    public = wiring.load_keys(load(house.config), ALL_KEYS).enroller_public
    with closing(house.spool()) as spool:
        return load_roster(spool, public).members


def events(house: House) -> list[tuple[str, str]]:
    with closing(house.spool()) as spool:
        return [(each.kind, each.why) for each in spool.events()]


def png(width: int, height: int) -> bytes:
    """A PNG whose header claims this size and that holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


class TestEnroll:
    def test_photographs_pass_one_by_one_and_make_a_member(self, house: House) -> None:
        result = house.run("enroll", "Barack Obama", "--photo", SPEAKING, NEUTRAL, SMILING, "--consent", "--json")
        told = result.json()
        assert (result.code, told["enrolled"], told["new"], told["warnings"]) == (0, True, True, [])
        assert [each["passed"] for each in told["pictures"]] == [True, True, True]
        assert told["member"] == members(house)[0]

    @pytest.mark.parametrize(
        ("mode", "warned"), [("neutral-then-smile", True), ("follow-the-light", True), ("smile", False)]
    )
    def test_who_was_only_seen_smiling_is_warned_of(self, house: House, mode: str, *, warned: bool) -> None:
        """Where the door asks for a calm face first."""
        with house.config.open("a") as file:
            file.write(f'[door]\nattempt_s = 15\n[liveness]\nmode = "{mode}"\n')
        told = house.run("enroll", "Barack Obama", "--photo", SMILING, "--consent", "--json").json()
        assert (
            told["enrolled"],
            ["no picture shows a calm face" in each for each in told["warnings"]].count(True),
        ) == (
            True,
            int(warned),
        )

    def test_people_are_shown_a_table_that_fits(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        result = house.run("enroll", "Barack Obama", "--photo", SPEAKING, BIDEN, NEUTRAL, "--consent")
        assert result.code == 0
        assert "enrolled Barack Obama as m_" in result.out
        assert "not the face of the oth" in result.out
        assert [line for line in result.out.splitlines() if len(line) > 80] == []

    def test_consent_is_on_file_with_date_and_version(self, enrolled: House) -> None:
        consent = members(enrolled)[0]["consent"]
        assert consent["text_version"] == "1"
        assert consent["given_at"] <= members(enrolled)[0]["templates"][0]["added_at"]

    def test_without_consent_and_without_a_terminal_it_is_refused(self, house: House) -> None:
        result = house.run("enroll", "Barack Obama", "--photo", SPEAKING)
        assert (result.code, "--consent" in result.err, members(house)) == (1, True, [])

    def test_a_duplicate_is_refused_with_the_other_name(self, enrolled: House) -> None:
        result = enrolled.run("enroll", "Joe", "--photo", SMILING, "--consent")
        assert (result.code, "as Barack Obama" in result.err) == (1, True)
        assert len(members(enrolled)) == 1

    def test_a_duplicate_may_be_allowed(self, enrolled: House) -> None:
        assert enrolled.run("enroll", "Joe", "--photo", SMILING, "--consent", "--allow-duplicate").code == 0
        assert len(members(enrolled)) == 2

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"GIF89a" + b"\0" * 50,
            b"%PDF-1.7",
            SPEAKING.read_bytes()[:20000],
            png(50_000, 50_000),
            b"\xff" * 1000,
        ],
        ids=["empty", "gif", "pdf", "truncated", "huge", "noise"],
    )
    def test_a_picture_that_cannot_be_used_is_told_and_the_others_count(self, house: House, content: bytes) -> None:
        bad = house.folder / "bad.jpg"
        bad.write_bytes(content)
        result = house.run("enroll", "Ada", "--photo", bad, "--consent", "--json")
        assert (result.code, "Traceback" in result.err, members(house)) == (1, False, [])
        assert result.json()["pictures"][0]["picture"] == "bad.jpg"
        assert result.json()["pictures"][0]["remark"]
        result = house.run("enroll", "Ada", "--photo", bad, SPEAKING, "--consent", "--json")
        assert [each["passed"] for each in result.json()["pictures"]] == [True, False]

    def test_a_missing_file_and_a_folder_are_told(self, house: House) -> None:
        result = house.run("enroll", "Ada", "--photo", house.folder / "none.jpg", house.folder, "--consent", "--json")
        assert [bool(each["remark"]) for each in result.json()["pictures"]] == [True, True]

    @pytest.mark.parametrize("options", [[], ["--photo", SPEAKING, "--camera"]])
    def test_photographs_or_the_camera_not_both_nor_neither(self, house: House, options: list[str]) -> None:
        assert house.run("enroll", "Ada", "--consent", *options).code == 2

    @pytest.mark.parametrize("name", ["", "a\x1b[2Jb"])
    def test_a_name_with_control_characters_is_refused_and_not_repeated_raw(self, house: House, name: str) -> None:
        result = house.run("enroll", name, "--photo", SPEAKING, "--consent")
        assert (result.code, "\x1b" in result.err) == (1, False)

    def test_any_script_may_be_a_name(self, enrolled: House) -> None:
        for name in ("孫悟空", "שרה", "Ünsal 🙂", "=SUM(A1)"):
            assert enrolled.run("members", "rename", stored(enrolled)[0].id, name).code == 0
            assert enrolled.run("members", "show", name, "--json").json()["name"] == name
            assert name in enrolled.run("members", "list").out

    def test_who_and_why_are_on_record(self, enrolled: House) -> None:
        with closing(enrolled.spool()) as spool:
            (event,) = spool.events()
        assert (event.kind, event.why, event.who) == ("member_enrolled", "the first one", caller())

    def test_the_stored_file_holds_neither_picture_nor_embedding(self, enrolled: House) -> None:
        settings = load(enrolled.config)
        keys = wiring.load_keys(settings, ALL_KEYS)
        content = enrolled.database.read_bytes()
        eyes = wiring.make_eyes(settings)
        from smileaccess.membership import unseal_template  # noqa: PLC0415

        (member,) = stored(enrolled)
        (one,) = member.templates
        plain = unseal_template(one.sealed, member.id, one.id, one.model, keys.templates)
        eyes.close()
        assert one.sealed in content
        assert plain.tobytes()[:64] not in content

    def test_a_person_at_a_terminal_is_asked(self, house: House) -> None:
        for answer, code in (("n", 1), ("y", 0)):
            leader, follower = pty.openpty()
            command = [
                sys.executable,
                "-m",
                "smileaccess",
                "--config",
                house.config,
                "enroll",
                "Ada",
                "--photo",
                SPEAKING,
            ]
            os.write(leader, f"{answer}\n".encode())
            done = subprocess.run(command, stdin=follower, capture_output=True, text=True, check=False)
            os.close(leader)
            os.close(follower)
            assert (done.returncode, "withdraw at any" in done.stderr) == (code, True), done.stderr
        assert [each["name"] for each in members(house)] == ["Ada"]

    def test_somebody_whose_template_cannot_be_opened_holds_up_nobody_else(self, enrolled: House) -> None:
        (enrolled.keys / "templates").unlink()
        assert enrolled.run("keys", "make").code == 0
        result = enrolled.run("enroll", "Joe", "--photo", BIDEN, "--consent", "--json")
        assert (result.code, result.json()["member"]["name"]) == (0, "Joe"), result.err
        (other,) = [each for each in stored(enrolled) if each.name != "Joe"]
        assert result.err.count("\n") == 1  # told once, however often the list is loaded
        assert f"member_id: {other.id}, template_id: {other.templates[0].id}" in result.err
        assert other.name not in result.err

    def test_damaged_exif_keeps_nobody_out(self, house: House) -> None:
        turned, width = b"\x01\x12\0\x03\0\0\0\x01\0\x03\0\0", b"\x01\0\0\x09\0\0\0\x01\xff\xff\xff\xff"
        exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + turned + width + bytes(4)
        damaged = house.folder / "damaged.jpg"
        Image.open(SPEAKING).transpose(Image.Transpose.ROTATE_180).save(damaged, exif=exif, quality=95)
        assert house.run("enroll", "Ada", "--photo", damaged, "--consent").code == 0


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_text_of_consent_breaks_between_words(width: int) -> None:
    text = consent.TEXTS["1"]
    lines = consent.wrapped(text, width).split("\n")
    assert max(map(len, lines)) < width
    assert " ".join(lines) == text


class TestChanges:
    def test_a_member_is_named_by_id_prefix_or_name(self, enrolled: House) -> None:
        (member,) = stored(enrolled)
        for wanted in (member.id, member.id[:6], "Barack Obama"):
            assert enrolled.run("members", "show", wanted, "--json").json()["id"] == member.id
        assert enrolled.run("members", "show", "nobody").code == 1

    def test_disable_and_enable_are_signed_and_on_record(self, enrolled: House) -> None:
        assert enrolled.run("members", "disable", "Barack Obama", "--why", "on leave").code == 0
        assert [(each.status.value, each.version) for each in stored(enrolled)] == [("disabled", 2)]
        assert enrolled.run("members", "disable", "Barack Obama").code == 1
        assert enrolled.run("members", "enable", "Barack Obama").code == 0
        assert [(each.status.value, each.version) for each in stored(enrolled)] == [("active", 3)]
        assert events(enrolled)[:2] == [("member_enabled", ""), ("member_disabled", "on leave")]

    def test_rename_keeps_the_id_and_the_templates(self, enrolled: House) -> None:
        (before,) = stored(enrolled)
        assert enrolled.run("members", "rename", "Barack Obama", "Barry").code == 0
        (after,) = stored(enrolled)
        assert (after.name, after.id, after.templates) == ("Barry", before.id, before.templates)

    def test_rename_to_a_name_that_is_taken_must_be_allowed(self, enrolled: House) -> None:
        assert enrolled.run("enroll", "Joe", "--photo", BIDEN, "--consent").code == 0
        refused = enrolled.run("members", "rename", "Joe", "Barack Obama")
        assert (refused.code, "--allow-duplicate" in refused.err) == (1, True)
        assert enrolled.run("members", "rename", "Joe", "Barack Obama", "--allow-duplicate").code == 0
        assert [each["name"] for each in members(enrolled)] == ["Barack Obama", "Barack Obama"]

    def test_validity_is_set_and_lifted(self, enrolled: House) -> None:
        assert enrolled.run("members", "validity", "Barack Obama", "--until", "2030-01-01T00:00+00:00").code == 0
        assert members(enrolled)[0]["valid_until"] == "2030-01-01T00:00:00.000000Z"
        assert enrolled.run("members", "validity", "Barack Obama", "--from", "2029-01-01T00:00+00:00").code == 0
        assert members(enrolled)[0]["valid_until"] == "2030-01-01T00:00:00.000000Z"
        for options in ((), ("--always", "--until", "7d")):
            result = enrolled.run("members", "validity", "Barack Obama", *options)
            assert (result.code, "or --always" in result.err) == (2, True)
        assert stored(enrolled)[0].limited is True
        assert enrolled.run("members", "validity", "Barack Obama", "--always").code == 0
        assert stored(enrolled)[0].limited is False

    def test_who_is_within_the_hours_and_kept_out_is_told_so(self, enrolled: House) -> None:
        """The hours alone tell nobody who may come in."""
        assert "now       may come in\n" in enrolled.run("members", "schedule", "Barack Obama").out
        past = enrolled.run("members", "validity", "Barack Obama", "--until", "2020-01-01")
        assert (past.code, "that end is past" in past.err) == (0, True)
        assert enrolled.run("members", "doors", "Barack Obama", "back").code == 0
        assert enrolled.run("members", "disable", "Barack Obama").code == 0
        told = enrolled.run("members", "schedule", "Barack Obama").out
        assert "now       within these hours, but disabled and not valid now and not let in at front\n" in told

    def test_a_duration_ends_in_the_future(self, enrolled: House) -> None:
        assert enrolled.run("members", "validity", "Barack Obama", "--until", "7d").code == 0
        (member,) = stored(enrolled)
        assert member.valid_until is not None
        assert member.valid_until > member.created_at

    def test_a_schedule_is_set_shown_as_a_week_and_lifted(self, enrolled: House) -> None:
        text = "mon-fri 08:00-18:30; sat 22:00-02:00; hol 10:00-12:00"
        result = enrolled.run("members", "schedule", "Barack Obama", text, "--zone", "Europe/Vienna")
        assert (result.code, text in result.out) == (0, True)
        week = enrolled.run("members", "schedule", "Barack Obama", "--json").json()
        assert week["schedule"] == {"text": text, "zone": "Europe/Vienna"}
        assert [week["weeks"]["Europe/Vienna"][day] for day in ("mon", "sat", "sun", "hol")] == [
            [["08:00", "18:30"]],
            [["22:00", "24:00"]],
            [["00:00", "02:00"]],
            [["10:00", "12:00"]],
        ]
        shown = enrolled.run("members", "schedule", "Barack Obama").out
        assert "········██████████▒·····" in shown
        assert text in enrolled.run("members", "show", "Barack Obama").out
        assert enrolled.run("members", "schedule", "Barack Obama", "--always").code == 0
        assert stored(enrolled)[0].schedule is None
        assert "always" in enrolled.run("members", "schedule", "Barack Obama").out

    def test_hours_of_two_time_zones_are_two_weeks(self, enrolled: House) -> None:
        """Eight in the morning is not one time of the day in both."""
        with enrolled.config.open("a") as file:
            file.write('[rules]\ntime_zone = "Europe/Vienna"\n[groups]\ncleaners = "mon-fri 06:00-08:00"\n')
        enrolled.run("members", "groups", "Barack Obama", "cleaners")
        enrolled.run("members", "schedule", "Barack Obama", "mon 08:00-18:00", "--zone", "America/New_York")
        told = enrolled.run("members", "schedule", "Barack Obama", "--json").json()["weeks"]
        assert {zone: week["mon"] for zone, week in told.items()} == {
            "America/New_York": [["08:00", "18:00"]],
            "Europe/Vienna": [["06:00", "08:00"]],
        }
        shown = enrolled.run("members", "schedule", "Barack Obama").out
        assert shown.index("In America/New_York:") < shown.rindex("08:00-18:00") < shown.index("In Europe/Vienna:")

    def test_whether_the_schedule_lets_in_now_is_told(self, enrolled: House) -> None:
        for text, opens in (("always", True), ("mon 00:00-00:01; hol 00:00-00:01", False)):
            assert enrolled.run("members", "schedule", "Barack Obama", text, "--zone", "Etc/GMT+12").code == 0
            week = enrolled.run("members", "schedule", "Barack Obama", "--json").json()
            assert week["now"] is opens

    @pytest.mark.parametrize(
        ("options", "code", "told"),
        [
            (["schedule", "Barack Obama", "someday", "--zone", "UTC"], 2, "'someday': must be days and times"),
            (["schedule", "Barack Obama", "always", "--zone", "Mars"], 2, "'Mars': no time zone"),
            (["schedule", "Barack Obama", "mon 08:00-18:00"], 2, "--zone"),
            (["groups", "Barack Obama", "The Bosses"], 1, "'The Bosses'"),
            (["groups", "Barack Obama"], 2, "--none"),
            (["doors", "Barack Obama"], 2, "--all"),
            (["doors", "Barack Obama", "fr ont"], 1, "'fr ont': a door's name is 1 to 64 letters"),
            (["schedule", "Barack Obama", "--zone", "UTC"], 2, "give a SCHEDULE with --zone"),
            (["similarity", "Barack Obama", "101"], 2, "101"),
            (["gesture", "Barack Obama", "wink"], 2, "wink"),
            (["gesture", "Barack Obama", "smile"], 1, "so already"),
        ],
    )
    def test_limits_that_cannot_be_change_nobody(
        self, enrolled: House, options: list[str], code: int, told: str
    ) -> None:
        result = enrolled.run("members", *options)
        assert (result.code, told in result.err) == (code, True)
        assert [each.version for each in stored(enrolled)] == [1]

    def test_groups_doors_gesture_and_similarity(self, enrolled: House) -> None:
        groups = enrolled.run("members", "groups", "Barack Obama", "cleaners")
        assert (groups.code, "group cleaners: not in these settings" in groups.err) == (0, True)
        doors = enrolled.run("members", "doors", "Barack Obama", "yard", "front")
        assert (doors.code, [line.split(":")[2] for line in doors.err.splitlines()]) == (0, [" door yard"])
        assert enrolled.run("members", "gesture", "Barack Obama", "turn").code == 0
        assert enrolled.run("members", "similarity", "Barack Obama", "99.6").code == 0
        (member,) = stored(enrolled)
        assert (member.groups, member.doors, member.gesture) == (("cleaners",), ("front", "yard"), Gesture.TURN)
        assert member.least_similarity == 99.6
        listed = members(enrolled)[0]
        assert (listed["groups"], listed["doors"]) == (["cleaners"], ["front", "yard"])
        for lifting in (["groups", "--none"], ["doors", "--all"], ["similarity", "--none"]):
            assert enrolled.run("members", lifting[0], "Barack Obama", lifting[1]).code == 0
        (member,) = stored(enrolled)
        assert (member.groups, member.doors, member.least_similarity) == ((), None, None)

    def test_limits_may_be_there_from_the_beginning(self, house: House) -> None:
        limits = ("--schedule", "sat 08:00-12:00", "--zone", "UTC", "--group", "guests", "--door", "front")
        result = house.run("enroll", "Guest", "--photo", SPEAKING, "--consent", *limits, "--gesture", "open-mouth")
        assert result.code == 0, result.err
        (member,) = stored(house)
        assert (member.version, member.schedule and member.schedule.text) == (1, "sat 08:00-12:00")
        assert (member.groups, member.doors, member.gesture) == (("guests",), ("front",), Gesture.OPEN_MOUTH)

    def test_an_empty_span_is_refused(self, enrolled: House) -> None:
        options = ("--from", "2030-01-02", "--until", "2030-01-01")
        assert enrolled.run("members", "validity", "Barack Obama", *options).code == 1

    def test_a_door_without_the_enrollers_key_changes_nobody(self, enrolled: House) -> None:
        (enrolled.keys / "enroller").unlink()
        assert enrolled.run("members", "disable", "Barack Obama").code == 1
        assert members(enrolled)[0]["status"] == "active"

    def test_a_row_written_past_the_enroller_is_warned_of_and_is_nobody(self, enrolled: House) -> None:
        with closing(sqlite3.connect(enrolled.database)) as db, db:
            db.execute("UPDATE members SET document = CAST(replace(document, 'Barack', 'Malory') AS BLOB)")
        result = enrolled.run("members", "list", "--json")
        assert (result.json()["members"], len(result.json()["refused"])) == ([], 1)
        assert "let in nowhere" in result.err


class TestForget:
    def test_everything_about_the_person_goes_and_the_receipt_tells(self, enrolled: House) -> None:
        (member,) = stored(enrolled)
        enrolled.put(attempt(member_id=member.id), attempt(day=1, member_id=None))
        told = enrolled.run("members", "forget", "Barack Obama", "--yes", "--why", "asked for it", "--json").json()
        assert told["erased"]["name"] == "Barack Obama"
        assert (told["erased"]["templates"], told["kept"]) == (1, {"attempts": 1, "events": 2})
        assert members(enrolled) == []
        assert [(each["id"], each["name"]) for each in members(enrolled, "--all")] == [(member.id, "")]

    def test_the_file_holds_the_name_and_the_template_no_more(self, enrolled: House) -> None:
        (member,) = stored(enrolled)
        enrolled.run("members", "forget", "Barack Obama", "--yes")
        left = b"".join(each.read_bytes() for each in enrolled.folder.glob("door.db*"))
        assert (b"Barack" in left, member.templates[0].sealed in left) == (False, False)
        assert enrolled.run("attempts", "verify").code == 0

    @pytest.mark.parametrize("as_json", [False, True])
    def test_while_another_program_reads_nothing_is_said_to_be_erased(self, enrolled: House, *, as_json: bool) -> None:
        (member,) = stored(enrolled)
        sealed, options = member.templates[0].sealed, ["--json"] if as_json else []
        with closing(sqlite3.connect(enrolled.database, isolation_level=None)) as other:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM members").fetchone()
            first = enrolled.run("members", "forget", "Barack Obama", "--yes", *options)
            again = enrolled.run("members", "forget", member.id)
            left = b"".join(each.read_bytes() for each in enrolled.folder.glob("door.db*"))
        assert (first.code, again.code, sealed in left) == (0, 1, True)
        if as_json:
            assert first.json()["erased_from_file"] is False
        else:
            assert "not yet    erased from the database's file" in first.out
            assert f"smileaccess members forget {member.id}" in first.out
            assert "  erased  " not in first.out
            assert [line for line in first.out.splitlines() if len(line) > 80] == []
        assert "still being read" in again.err
        last = enrolled.run("members", "forget", member.id, "--json")
        left = b"".join(each.read_bytes() for each in enrolled.folder.glob("door.db*"))
        assert (last.json()["erased_from_file"], sealed in left) == (True, False)

    def test_without_a_terminal_it_must_be_confirmed(self, enrolled: House) -> None:
        result = enrolled.run("members", "forget", "Barack Obama")
        assert (result.code, "--yes" in result.err, len(members(enrolled))) == (1, True, 1)

    def test_one_that_does_not_verify_can_be_forgotten_by_id(self, enrolled: House) -> None:
        (member,) = stored(enrolled)
        with closing(sqlite3.connect(enrolled.database)) as db, db:
            db.execute("UPDATE members SET document = CAST(replace(document, 'Barack', 'Malory') AS BLOB)")
        assert enrolled.run("members", "forget", member.id, "--yes").code == 0
        listed = enrolled.run("members", "list", "--json")
        assert (listed.json()["members"], listed.json()["refused"]) == ([], [])

    def test_the_receipt_for_people_fits_80_columns(self, enrolled: House) -> None:
        shown = enrolled.run("members", "forget", "Barack Obama", "--yes").out
        assert "Receipt for Barack Obama" in shown
        assert [line for line in shown.splitlines() if len(line) > 80] == []

    def test_at_a_terminal_only_the_name_typed_forgets(self, enrolled: House) -> None:
        for answer, code in (("Barack", 1), ("Barack Obama", 0)):
            leader, follower = pty.openpty()
            command = [
                sys.executable,
                "-m",
                "smileaccess",
                "--config",
                enrolled.config,
                "members",
                "forget",
                "Barack Obama",
            ]
            os.write(leader, f"{answer}\n".encode())
            done = subprocess.run(command, stdin=follower, stdout=follower, stderr=follower, check=False)
            os.close(leader)
            os.close(follower)
            assert done.returncode == code
            assert len(members(enrolled)) == code


class TestImport:
    @pytest.fixture
    def people(self, tmp_path: Path) -> Path:
        folder = tmp_path / "people"
        for name, photos in {"Barack Obama": [SPEAKING, NEUTRAL], "Joe Biden": [BIDEN], "Nobody": []}.items():
            (folder / name).mkdir(parents=True)
            for photo in photos:
                shutil.copy(photo, folder / name)
        (folder / "Broken").mkdir()
        (folder / "Broken" / "a.jpg").write_bytes(b"\xff\xd8\xff")
        return folder

    def test_all_good_ones_are_enrolled_and_each_failure_is_told(self, house: House, people: Path) -> None:
        result = house.run("members", "import", people, "--consent", "--json")
        assert result.code == 1
        outcomes = {each["name"]: each["outcome"] for each in result.json()}
        assert outcomes == {"Barack Obama": "enrolled", "Broken": "failed", "Joe Biden": "enrolled", "Nobody": "failed"}
        assert all(each["why"] for each in result.json() if each["outcome"] == "failed")
        assert [each["name"] for each in members(house)] == ["Barack Obama", "Joe Biden"]

    def test_repeated_it_skips_those_who_are_enrolled(self, enrolled: House, people: Path) -> None:
        shutil.rmtree(people / "Broken")
        shutil.rmtree(people / "Nobody")
        result = enrolled.run("members", "import", people, "--consent")
        assert (result.code, "1 enrolled, 1 skipped, 0 failed" in result.out) == (0, True)
        assert len(stored(enrolled)[0].templates) + len(stored(enrolled)[1].templates) == 2

    def test_what_lies_in_the_wrong_place_is_told_and_fails_nothing(self, enrolled: House, people: Path) -> None:
        for name in ("Broken", "Nobody", "Joe Biden"):
            shutil.rmtree(people / name)
        shutil.copy(BIDEN, people / "loose.jpg")
        (people / "Barack Obama" / "old").mkdir()
        result = enrolled.run("members", "import", people, "--consent", "--json")
        told = {each["name"]: (each["outcome"], each["why"][0].split(":")[0]) for each in result.json()}
        assert (result.code, told) == (
            0,
            {
                "Barack Obama": ("skipped", "is enrolled already"),
                "loose.jpg": ("skipped", "lies beside the folders"),
                "Barack Obama/old": ("skipped", "a folder inside a person's"),
            },
        )

    def test_somebody_enrolled_under_another_name_is_told_what_import_can_do(
        self, enrolled: House, people: Path
    ) -> None:
        (people / "Barack Obama").rename(people / "Barry")
        result = enrolled.run("members", "import", people, "--consent", "--json")
        (why,) = [each["why"] for each in result.json() if each["name"] == "Barry"]
        assert "enrolled already as Barack Obama" in why[0]
        assert "enroll this one by itself: `smileaccess enroll`" in why[0]

    def test_it_needs_consent_for_all(self, house: House, people: Path) -> None:
        assert house.run("members", "import", people).code == 1
        assert members(house) == []

    @pytest.mark.parametrize("make", [False, True])
    def test_a_folder_that_is_missing_or_empty_is_told(self, house: House, *, make: bool) -> None:
        folder = house.folder / "none"
        if make:
            folder.mkdir()
        result = house.run("members", "import", folder, "--consent")
        assert (result.code, "Traceback" in result.err) == (1, False)


class TestCamera:
    @pytest.fixture
    def desk(self) -> Desk:
        vision = FakeVision()
        registry = Registry(FakeMembers(), b"e" * 32, public_half(b"e" * 32), "test", FakeClock(), "erin")
        return Desk(registry, vision, FakeRecognizer(vision, opened), b"t" * 32)

    def test_a_step_waits_for_its_pose_but_not_for_ever(self, desk: Desk) -> None:
        collector = Collector(desk)
        straight = painting(Painted(7))
        assert collector.offer(straight) is True
        assert collector.prompt == STEPS[1][0]
        taken = [collector.offer(straight) for _ in range(PATIENCE + 1)]
        assert taken == [False] * PATIENCE + [True]

    def test_a_bad_frame_is_not_taken_and_the_advice_is_given(self, desk: Desk) -> None:
        collector = Collector(desk)
        assert collector.offer(painting(Painted(7, 200), Painted(8, 440))) is False
        assert collector.prompt == "Look straight at the camera (one person at a time)"

    def test_a_picture_for_every_step_ends_it(self, desk: Desk) -> None:
        def frames() -> Iterator[Any]:
            while True:
                yield painting(Painted(7))

        assert len(collect(desk, frames())) == len(STEPS)

    def test_a_camera_that_never_shows_a_face_ends_as_well(self, desk: Desk) -> None:
        with pytest.raises(NoGoodPicture):
            collect(desk, iter([np.zeros((480, 640, 3), np.uint8)] * 300))

    def test_without_a_daemon_the_settings_camera_is_used(self, house: House) -> None:
        reel = house.folder / "reel"
        reel.mkdir()
        for name in ("obama-smiling", "obama-neutral", "obama-speaking"):  # looks straight, to his left, to his right
            cv2.imwrite(str(reel / f"{name}.png"), scene(name, 260))
        with house.config.open("a") as file:
            file.write(f'[camera]\nkind = "reel"\npath = "{reel}"\nfps = 60\n')
        result = house.run("enroll", "Barack Obama", "--camera", "--consent", "--json")
        assert (result.code, len(result.json()["member"]["templates"])) == (0, 3), result.err

    def test_a_running_daemons_camera_is_used(self, house: House) -> None:
        noted: list[Event] = []
        camera = FakeCamera([Frame(painting(Painted(7)), 1, 0.0)])
        camera.start()
        settings, groups = load(house.config), Groups("a", "b", "c")
        path = Path(settings.control.socket)
        server = ControlServer(
            path, groups=groups, door="front", clock=FakeClock(), camera=camera, put=noted.append, on_crash=lambda: None
        )
        server.start()
        with closing(server), frames_of(settings, FakeClock(), "new here") as frames:
            assert np.array_equal(next(frames), painting(Painted(7)))
        assert [each.event.why for each in noted if isinstance(each, Noted)] == ["new here"]

    def test_a_camera_that_is_not_there_is_code_1(self, house: House) -> None:
        with house.config.open("a") as file:
            file.write('[camera]\ndevice = "/dev/video-none"\n')
        result = house.run("enroll", "Ada", "--camera", "--consent")
        assert (result.code, "Traceback" in result.err, members(house)) == (1, False, [])


@pytest.mark.parametrize(
    ("people", "threshold", "advised"),
    [(50, 99.0, ""), (51, 99.0, "99.1"), (51, 99.1, ""), (200, 99.1, ""), (201, 99.1, "99.2"), (201, 99.2, "")],
)
def test_a_threshold_too_low_for_the_gallery_is_warned_of(people: int, threshold: float, advised: str) -> None:
    """The list names the mark for so many members, and says nothing where it is kept."""
    advice = threshold_advice(people, threshold)
    assert (bool(advice), f"set it to {advised}" in advice) == (bool(advised), bool(advised))


@pytest.mark.parametrize(("threshold", "warned"), [(99.0, False), (98.0, True)])
def test_the_list_shows_the_threshold_that_is_recommended_for_so_many(
    enrolled: House, threshold: float, warned: bool
) -> None:
    """Beside the one that is set; a warning only where that is too low."""
    with enrolled.config.open("a") as file:
        file.write(f"[recognition]\nthreshold = {threshold}\n")
    told = enrolled.run("members", "list")
    assert told.out.splitlines()[-1] == f"[recognition] threshold = {threshold:g}; recommended for 1 member: 99.0"
    assert ("set it to 99.0" in told.err) is warned
    expected = {"present": threshold, "people": 1, "recommended": 99.0}
    assert enrolled.run("members", "list", "--json").json()["threshold"] == expected


def test_an_empty_list_recommends_nothing(house: House) -> None:
    assert "recommended" not in house.run("members", "list").out
