"""The command line as a whole: exit codes, errors without tracebacks, and what it loads."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from smileaccess import __version__
from smileaccess.cli import COMMANDS, cli, door
from smileaccess.cli.common import console, local, moment_of, plain, spread
from smileaccess.settings import SHIPPED, as_toml, load
from tests.house import House, run

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


class TestWhole:
    def test_the_version_is_the_packages(self) -> None:
        assert (run("--version").code, run("--version").out) == (0, f"smileaccess {__version__}\n")

    @pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["members", "--help"], ["attempts", "--help"]])
    def test_help_loads_neither_eyes_nor_record(self, arguments: list[str]) -> None:
        code = (
            "import sys\nfrom smileaccess.cli import main\ntry:\n    main(sys.argv[1:])\nfinally:\n"
            "    heavy = {'cv2', 'numpy', 'sqlite3', 'PIL', 'pydantic', 'rich'}\n"
            "    print(sorted(heavy & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        assert done.stdout.endswith("[]\n")

    def test_it_runs_as_a_module(self) -> None:
        done = subprocess.run([sys.executable, "-m", "smileaccess", "--version"], capture_output=True, check=True)
        assert done.stdout.decode() == f"smileaccess {__version__}\n"

    @pytest.mark.parametrize("name", COMMANDS)
    def test_each_command_teaches_with_an_example(self, name: str) -> None:
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        leaves = getattr(command, "commands", {name: command}).values()
        assert [leaf.name for leaf in leaves if "xample" not in (leaf.help or "")] == []

    @pytest.mark.parametrize("name", ["attempts", "door", "config"])
    def test_a_group_teaches_with_an_example_and_cuts_no_line(self, name: str) -> None:
        shown = run(name, "--help").out
        assert "Example:" in shown
        assert [line for line in shown.splitlines()[1:] if line.endswith("...")] == []

    @pytest.mark.parametrize("name", COMMANDS)
    def test_help_fits_80_columns(self, name: str) -> None:
        shown = run(name, "--help")
        assert shown.code == 0
        assert [line for line in shown.out.splitlines() if len(line) > 80] == []

    def test_an_unknown_command_is_wrong_usage(self) -> None:
        result = run("opne")
        assert result.code == 2
        assert "opne" in result.err

    def test_a_pipe_that_closes_is_no_error_to_talk_about(self) -> None:
        reading = f"{sys.executable} -m smileaccess config example | true"
        done = subprocess.run(["sh", "-c", reading], capture_output=True, check=False)
        assert done.stderr == b""


class TestErrors:
    def test_missing_settings_are_code_2_and_one_line(self, tmp_path: Path) -> None:
        result = run("--config", tmp_path / "none.toml", "config", "check")
        assert result.code == 2
        assert result.err.startswith(f"smileaccess: settings: {tmp_path}/none.toml: No such file")
        assert result.err.count("\n") == 1

    def test_every_problem_of_the_settings_has_its_line(self, tmp_path: Path) -> None:
        bad = tmp_path / "bad.toml"
        bad.write_text("[door]\nunlock_s = 0\nnmae = 'x'\n")
        lines = run("--config", bad, "config", "check").err.splitlines()
        assert len(lines) == 2
        assert all(line.startswith("smileaccess: settings: [door]") for line in lines)

    @pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[door", b"\x00" * 100, b"a" * 2_000_000])
    def test_broken_settings_are_code_2_without_a_traceback(self, tmp_path: Path, content: bytes) -> None:
        bad = tmp_path / "bad.toml"
        bad.write_bytes(content)
        result = run("--config", bad, "config", "check")
        assert (result.code, "Traceback" in result.err) == (0 if content == b"" else 2, False)

    def test_the_environment_names_the_settings(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SMILEACCESS_CONFIG", str(house.config))
        assert run("config", "check").out == f"ok: {house.config}\n"

    def test_config_and_debug_may_stand_after_the_command(self, house: House) -> None:
        assert run("config", "check", "--config", house.config, "--debug").code == 0
        assert run("config", "--config", house.config, "check").code == 0

    def test_debug_shows_the_traceback(self, tmp_path: Path) -> None:
        assert "Traceback" in run("--debug", "--config", tmp_path / "none", "config", "check").err

    def test_a_missing_key_is_code_1_and_tells_the_fix(self, house: House) -> None:
        (house.keys / "chain").unlink()
        result = house.run("attempts", "list")
        assert result.code == 1
        assert "keys make" in result.err

    @pytest.mark.parametrize("content", [b"", b"no database" * 100, b"SQLite format 3\0" + b"\xff" * 4096, b"\x00"])
    def test_a_broken_database_is_code_1_and_left_as_it_is(self, house: House, content: bytes) -> None:
        for each in house.folder.glob("door.db*"):
            each.unlink()
        house.database.write_bytes(content)
        for command in (["members", "list"], ["attempts", "list"], ["attempts", "verify"]):
            result = house.run(*command)
            assert (result.code, "Traceback" in result.err) == (1, False)
            assert str(house.database) in result.err
        assert house.database.read_bytes() == content

    def test_something_unforeseen_is_code_70_and_one_line(self) -> None:
        code = (
            "from smileaccess import cli\n"
            "cli.COMMANDS['bad'] = cli.Lazy('smileaccess.no_such_module:bad', '')\n"
            "cli.main(['bad'])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 70
        assert done.stderr.startswith("smileaccess: unforeseen: ModuleNotFoundError")
        assert "--debug" in done.stderr
        assert done.stderr.count("\n") == 1

    def test_control_c_is_code_130(self) -> None:
        code = (
            # A shell starts what runs in the background with the signal ignored, and Python then leaves it so.
            "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\nfrom smileaccess import cli\n"
            "@cli.cli.command()\ndef hang():\n    signal.raise_signal(signal.SIGINT)\n"
            "cli.LazyGroup.get_command = lambda *a: hang\ncli.main(['hang'])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (130, False)


class TestRun:
    def test_check_reports_every_bad_key_at_once(self, house: House) -> None:
        (house.keys / "chain").unlink()
        (house.keys / "templates").write_text("nonsense\n")
        result = house.run("run", "--check")
        assert result.code == 2
        assert [line.split(": ")[2] for line in result.err.splitlines()] == [
            str(house.keys / "chain"),
            str(house.keys / "templates"),
        ]

    def test_check_says_nothing_of_keys_where_the_settings_are_wrong(self, house: House) -> None:
        (house.keys / "chain").unlink()
        with house.config.open("a") as file:
            file.write("[door]\nunlock_s = 0\nnmae = 'x'\n")
        result = house.run("run", "--check")
        assert (result.code, result.err.count("\n"), result.err.count("settings: [door]")) == (2, 2, 2)

    def test_a_closed_standard_input_is_no_panel(self, house: House) -> None:
        done = self.without_input(house, "run")
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "panel terminal: standard input is closed" in done.stderr

    def test_a_closed_standard_input_is_nobody_to_ask(self, house: House) -> None:
        for command in (["members", "forget", "m_1"], ["enroll", "Ada", "--photo", "none.jpg"]):
            done = self.without_input(house, *command)
            assert (done.returncode, "unforeseen" in done.stderr) == (1, False)

    def without_input(self, house: House, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "smileaccess", "--config", str(house.config), *arguments]
        return subprocess.run(
            ["sh", "-c", 'exec "$@" <&-', "sh", *command], capture_output=True, text=True, check=False, timeout=60
        )


class TestConfig:
    def test_example_is_the_shipped_file(self) -> None:
        assert run("config", "example").out == SHIPPED.read_text()

    def test_show_prints_what_is_in_force(self, house: House) -> None:
        assert house.run("config", "show").out == as_toml(load(house.config))
        assert house.run("config", "show", "--json").json()["records"]["database"] == str(house.database)


class TestKeys:
    def test_make_makes_what_is_missing_and_keeps_the_rest(self, house: House) -> None:
        before = (house.keys / "enroller").read_bytes()
        (house.keys / "templates").unlink()
        assert house.run("keys", "make").out == f"made {house.keys / 'templates'}\n"
        assert house.run("keys", "make").out == f"{house.keys}: no key was missing\n"
        assert (house.keys / "enroller").read_bytes() == before

    def test_make_says_why_it_made_no_enroller(self, house: House) -> None:
        (house.keys / "enroller").unlink()
        assert house.run("keys", "make").out == (
            f"made no enroller: {house.keys / 'enroller.pub'} lies alone, so people are enrolled elsewhere: to enroll "
            "here, copy enroller from there\n"
        )

    def test_show_tells_fingerprints_and_no_secret(self, house: House) -> None:
        (house.keys / "enroller").unlink()
        shown = house.run("keys", "show")
        assert shown.code == 0
        assert "not here" in shown.out
        secret = (house.keys / "chain").read_text().split()[1]
        assert secret not in shown.out
        assert set(house.run("keys", "show", "--json").json()) == {"enroller", "enroller.pub", "templates", "chain"}

    def test_a_damaged_key_is_code_1(self, house: House) -> None:
        (house.keys / "chain").write_text("nonsense\n")
        assert house.run("keys", "show").code == 1


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("Zoë 孫 \U0001f600", "Zoë 孫 \U0001f600"),
            ("a\x1b[2Jb", "a\\x1b[2Jb"),
            ("a\x9bb", "a\\x9bb"),
            ("a\u202eb", "a\\u202eb"),
            ("a\u2028b\nc", "a\\u2028b\\x0ac"),
            ("a\udcffb", "a\\udcffb"),
            ("می\u200cخواهم", "می\u200cخواهم"),
        ],
    )
    def test_plain_keeps_every_script_and_no_control_character(self, text: str, shown: str) -> None:
        assert plain(text) == shown

    def test_a_file_name_with_an_escape_reaches_no_terminal(self, tmp_path: Path) -> None:
        result = run("--config", tmp_path / "a\x1b[31mb", "config", "check")
        assert "\x1b" not in result.err

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2h", "2026-11-22T10:00:00+00:00"),
            ("7d", "2026-11-15T12:00:00+00:00"),
            ("2026-01-31T18:30:00+02:00", "2026-01-31T16:30:00+00:00"),
        ],
    )
    def test_a_time_is_iso_or_a_duration_before_now(self, text: str, expected: str) -> None:
        assert moment_of(text, NOW).isoformat() == expected

    def test_for_validity_a_duration_counts_from_now_on(self) -> None:
        assert moment_of("7d", NOW, ahead=True).isoformat() == "2026-11-29T12:00:00+00:00"

    def test_a_date_is_local_midnight(self) -> None:
        assert local(moment_of("2026-01-31", NOW)) == "2026-01-31 00:00:00"

    @pytest.mark.parametrize("text", ["", "yesterday", "3", "-1h", "999999w", "2026-13-01"])
    def test_what_is_no_time_is_wrong_usage(self, house: House, text: str) -> None:
        result = house.run("attempts", "list", "--since", text)
        assert (result.code, "Traceback" in result.err) == (2, False)

    def test_one_option_takes_all_files_that_follow(self) -> None:
        given = ["Ada", "--photo", "a", "b", "--json", "--photo", "c"]
        assert spread(given, "--photo") == ["Ada", "--photo", "a", "--photo", "b", "--json", "--photo", "c"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("demo", "--picture", "/nonexistent/kiosk.svg"), "/nonexistent: no such folder: make it first"),
        (("demo", "--webcam", "/dev/video0", "--alone"), "--webcam goes with none of --alone, --reel and --picture"),
        (("demo", "--picture", "/"), "/: cannot be written"),
        (("demo", "--webcam", "/dev/video0", "--picture", "kiosk.svg"), "--webcam goes with none of"),
        (("attempts", "verify", "--head", "abc"), "Invalid value for --head: 'abc': must be SEQ:HASH"),
        (("attempts", "prune", "--before", "2d", "--older-than", "2"), "not both"),
        (("door", "unlock", "--why", " "), "must say why, for the record"),
        (("door", "unlock"), "Missing option '--why'"),
    ],
    ids=["picture", "folder", "webcam", "webcam and picture", "head", "both limits", "empty why", "no why"],
)
def test_wrong_usage_is_told_before_anything_is_done(arguments: tuple[str, ...], told: str) -> None:
    """Code 2, with the thing, the value and the fix."""
    result = run(*arguments)
    assert (result.code, told in result.err) == (2, True)


class TestDoorStatus:
    TOLD: ClassVar[dict[str, Any]] = {
        "door": "front",
        "strike": "locked",
        "phase": "idle",
        "locked_out_s": 0.0,
        "operator_lock": None,
        "held": None,
        "office_hours": None,
        "contact": None,
        "door_alarm": False,
        "tamper": None,
        "fire": None,
        "members": 2,
        "recognizer": {
            "name": "embedded",
            "active": "embedded",
            "fallback_s": None,
            "cause": "",
            "fallback_opens": True,
        },
        "spending": None,
        "central": None,
        "sensor_rests_s": 0.0,
        "liveness": "neutral-then-smile",
        "started_at": "2026-11-22T12:00:00+00:00",
    }
    LAST: ClassVar[dict[str, Any]] = {"id": "019ac3f2-11d0-7000-8000-000000000000", "outcome": "denied"}

    def test_the_last_attempt_reads_as_a_sentence_without_what_is_not_known(self) -> None:
        measured = {**self.LAST, "reason": "no_smile", "duration_ms": 4210.0, "similarity": 99.42}
        see = f"see: smileaccess attempts show {self.LAST['id']}"
        assert self.lines(measured)["last attempt"] == f"no_smile after 4.2 s, similarity 99.4; {see}"
        assert self.lines({**self.LAST, "reason": "no_face"})["last attempt"] == f"no_face; {see}"
        assert self.lines({"id": self.LAST["id"], "outcome": "granted"})["last attempt"] == f"granted; {see}"

    def test_since_when_it_runs_is_local_time(self) -> None:
        assert self.lines(None)["running since"] == local(NOW)

    def test_on_a_narrow_terminal_labels_stay_whole_and_values_go_on_in_the_next_line(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "40")
        shown = door.table_of({**self.TOLD, "last": {**self.LAST, "reason": "no_smile"}})
        out = console()
        with out.capture() as captured:
            out.print(shown)
        lines = captured.get().splitlines()
        assert [line[:16].strip() for line in lines if line[0] != " "] == list(self.lines(None))
        assert "".join("".join(line[16:].split()) for line in lines).endswith(self.LAST["id"])
        assert "\u2026" not in captured.get()

    def test_what_an_operator_ordered_is_told(self) -> None:
        """Who has locked the door and since when, and until when it is held unlocked."""
        assert (self.lines(None)["locked by"], self.lines(None)["held unlocked"]) == ("nobody", "no")
        told = self.lines(None, operator_lock={"since": "2026-11-22T12:00:00Z", "who": "ann"})
        assert told["locked by"] == f"ann, since {local(NOW)}"
        held = {"cause": "hold", "for_s": 7300}
        assert self.lines(None, held=held)["held unlocked"] == "by an operator, for another 2 h"
        held["cause"] = "office_hours"
        assert self.lines(None, held=held)["held unlocked"] == "for office hours, for another 2 h"

    def test_office_hours_are_told_of_where_there_are_any(self) -> None:
        """Whether they hold now, and whether the door is unlocked for them."""
        assert "office hours" not in self.lines(None)
        told = {"on": False, "until": None, "ended_by_operator": False}
        assert self.lines(None, office_hours=told)["office hours"] == "not now"
        told["until"] = "2026-11-22T12:00:00Z"
        assert self.lines(None, office_hours=told)["office hours"].endswith(
            f"{local(NOW)}, from the first member in on"
        )
        assert self.lines(None, office_hours={**told, "on": True})["office hours"] == f"until {local(NOW)}"
        ended = self.lines(None, office_hours={**told, "ended_by_operator": True})
        assert ended["office hours"].startswith("ended by an operator, until")

    def test_the_inputs_are_told_of_that_are_there(self) -> None:
        """A door without a contact has no line about one."""
        assert not {"door contact", "tamper loop", "fire alarm"} & set(self.lines(None))
        told = self.lines(None, contact="open", door_alarm=True, tamper=False, fire=True)
        assert told["door contact"] == "open: in alarm, close it"
        assert (told["tamper loop"], told["fire alarm"]) == ("closed", "ALARM")

    def test_the_fallback_is_told_with_its_cause(self) -> None:
        """Who answers, since when the first choice does not, and why."""
        gone = {"name": "rekognition", "active": "embedded", "fallback_s": 90.2, "cause": "throttled"}
        told = self.lines(None, recognizer={**gone, "fallback_opens": True})
        assert told["recognizer"] == "embedded, since rekognition failed 90 s ago: throttled"
        shut = self.lines(None, recognizer={**gone, "fallback_opens": False})
        assert shut["recognizer"].startswith("embedded (may not open: [recognition] fallback_opens = false), since")

    def test_the_central_database_is_told_of_where_there_is_one(self) -> None:
        fine = {"connected": True, "for_s": 7300, "cause": "", "waiting": 0, "set_aside": 0}
        fresh = {"members_age_s": 2, "members_stale": False}
        told = self.lines(None, central={**fine, **fresh})
        assert told["central database"] == "connected for 2 h"
        assert (told["to be delivered"], told["members' list"]) == ("0 rows", "compared 2 s ago")
        assert "central database" not in self.lines(None)

    def test_a_central_database_that_is_away_is_told_of_with_its_cause(self) -> None:
        away = {"connected": False, "for_s": 200_000, "cause": "mysql: db: refused", "waiting": 1, "set_aside": 2}
        told = self.lines(None, central={**away, "members_age_s": 200_000, "members_stale": True})
        assert told["central database"] == "away for 2 d: mysql: db: refused"
        assert told["to be delivered"] == "1 row, 2 refused: see `smileaccess database status`"
        assert told["members' list"] == "compared 2 d ago: too old, the door opens to nobody"

    def test_what_billed_calls_have_cost_is_told_with_its_caps(self) -> None:
        """For the day and the month, and which cap lets nobody begin; nothing where no call is billed."""
        spending = {
            "today": {"calls": 12, "money": 0.012},
            "this_month": {"calls": 400, "money": 0.4},
            "caps": {"calls_per_day": 3000, "money_per_day": 3.0, "calls_per_month": 0, "money_per_month": 0},
            "reached": "calls_per_day",
        }
        told = self.lines(None, spending=spending)
        assert told["spent today"] == "0.012 for 12 billed calls (at most 3000 calls, 3.00)"
        assert told["this month"] == "0.400 for 400 billed calls (no cap)"
        assert told["cap reached"] == "[spending] calls_per_day: raise it, or wait"
        assert {"spent today", "this month", "cap reached"} & set(self.lines(None)) == set()

    def test_a_sensor_that_rests_is_told(self) -> None:
        """So that nobody looks for a broken cable."""
        assert self.lines(None, sensor_rests_s=40.0)["approach sensor"].startswith("rests for 40 s")
        assert "approach sensor" not in self.lines(None)

    def lines(self, last: dict[str, Any] | None, **changes: Any) -> dict[str, str]:
        return dict(door.lines({**self.TOLD, "last": last, **changes}))
