"""`smileaccess doctor` as people and programs meet it: lines, JSON, exit codes, and what it loads."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from smileaccess.cli.doctor import Report
from smileaccess.doctor.findings import Finding, Level
from tests.house import House, run
from tests.test_doctor import BOTH, GOOD, enroll, without_enroller


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path)
    with made.config.open("a") as file:
        file.write(GOOD)
    return made


def add(house: House, toml: str) -> None:
    with house.config.open("a") as file:
        file.write(toml)


def python(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, after some code."""
    program = f"import sys\n{code}\nfrom smileaccess.cli import main\nmain(sys.argv[1:])\n"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


class TestOutput:
    def test_json_holds_every_finding_and_the_counts(self, house: House) -> None:
        enroll(house)
        result = house.run("doctor", "--json")
        told = result.json()
        assert set(told) == {"findings", "faults", "warnings"}
        assert {tuple(each) for each in told["findings"]} == {("check", "level", "found", "advice")}
        for level in ("fault", "warning"):
            assert told[f"{level}s"] == sum(each["level"] == level for each in told["findings"])
        assert all(bool(each["advice"]) is (each["level"] != "fine") for each in told["findings"])
        assert (result.code, result.err) == (0, "")

    def test_a_fault_is_code_1_and_the_others_are_looked_at(self, house: House) -> None:
        (house.keys / "chain").unlink()
        result = house.run("doctor", "--json")
        told = result.json()
        assert (result.code, told["faults"]) == (1, 1)
        assert {"keys", "camera", "disk"} <= {each["check"] for each in told["findings"]}

    def test_lines_fit_the_terminal_and_end_with_a_sum(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        result = house.run("doctor")
        lines = result.out.splitlines()
        assert [line for line in lines if len(line) > 80] == []
        assert lines[-1].startswith("0 faults, ")
        assert lines[0].startswith("fine     settings       ")
        assert any(line.startswith(f"{'':24}-> ") for line in lines)

    @pytest.mark.parametrize("options", [[], ["--json"]])
    def test_settings_that_cannot_be_read_are_code_2_with_every_problem(
        self, tmp_path: Path, options: list[str]
    ) -> None:
        bad = tmp_path / "bad.toml"
        bad.write_text("[door]\nunlock_s = 0\nnmae = 'x'\n")
        result = run("--config", bad, "doctor", *options)
        assert (result.code, result.err) == (2, "")
        if options:
            assert [each["check"] for each in result.json()["findings"]] == ["settings", "settings"]
        assert ("unlock_s" in result.out, "nmae" in result.out, "2 faults" in result.out) == (True, True, not options)

    def test_missing_settings_are_code_2(self, tmp_path: Path) -> None:
        assert run("--config", tmp_path / "none", "doctor").code == 2

    def test_no_control_character_reaches_the_terminal(self, capsys: pytest.CaptureFixture[str]) -> None:
        report = Report(as_json=False)
        report.add(Finding("settings", Level.WARNING, "a\x1b[2Jb", "c\u202ed"))
        assert ("\x1b" in (shown := capsys.readouterr().out), "\u202e" in shown, "\\x1b[2Jb" in shown) == (
            False,
            False,
            True,
        )

    def test_on_a_terminal_it_says_what_takes_its_time(self, house: House) -> None:
        master, slave = pty.openpty()
        command = [sys.executable, "-m", "smileaccess", "--config", str(house.config), "doctor"]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
        with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment) as process:
            os.close(slave)
            shown = b""
            while True:
                try:
                    part = os.read(master, 65536)
                except OSError:  # Linux's answer when the other end of a pseudo-terminal has gone
                    break
                shown += part
        os.close(master)
        assert process.returncode == 0
        assert b"opening the camera" in shown
        assert shown.index(b"brightness") < shown.index(b"0 faults")


class TestCloud:
    def test_without_the_cloud_boto3_is_never_loaded(self, house: House) -> None:
        enroll(house)
        code = "import atexit\natexit.register(lambda: print('boto3' in sys.modules, 'botocore' in sys.modules))"
        for options in ([], ["--no-cloud"]):
            done = python(code, "--config", house.config, "doctor", *options)
            assert (done.returncode, done.stdout.splitlines()[-1], done.stderr) == (0, "False False", "")
            if not options:
                add(house, BOTH)

    def test_no_cloud_says_that_it_was_not_asked(self, house: House) -> None:
        add(house, BOTH)
        assert house.run("doctor", "--no-cloud").out.endswith("; Amazon Rekognition was not asked\n")

    def test_a_missing_boto3_is_one_fault_that_says_what_to_install(self, house: House) -> None:
        without_enroller(house)
        add(house, BOTH)
        done = python("sys.modules['boto3'] = None", "--config", house.config, "doctor")
        assert (done.returncode, done.stderr) == (1, "")
        assert done.stdout.count("fault    ") == 1
        assert "smileaccess[rekognition]" in done.stdout


def test_debug_shows_the_traceback_of_the_unforeseen(house: House) -> None:
    """A check that fails in a way nobody foresaw is a fault, and --debug tells where."""
    code = "import os\ndef bad(*a):\n    raise ZeroDivisionError('by zero')\nos.statvfs = bad"
    done = python(code, "--config", house.config, "doctor", "--debug")
    assert (done.returncode, "ZeroDivisionError: by zero" in done.stdout, "Traceback" in done.stderr) == (1, True, True)
    assert python(code, "--config", house.config, "doctor").stderr == ""
