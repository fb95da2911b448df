"""`smileaccess panel` as people and the systemd unit meet it; `lock` runs as a process on lines of files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smileaccess.cli.panel import play, tell, try_strike, watched
from smileaccess.control import ControlServer, Groups
from smileaccess.errors import PanelUnavailable
from smileaccess.model import DoorInput, Signal
from smileaccess.settings import load
from tests.fakes_devices import FakeCamera, FakeClock, FakePanel
from tests.house import House
from tests.lgpio_standin import GuardProcess, Lines

GPIO = '[panel]\nkind = "gpio"\n[gpio]\nstrike = 17\nentry = 5\nrex = 13\n'


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


@pytest.fixture
def gpio_house(house):
    add(house, GPIO)
    return house


@pytest.fixture
def lines(tmp_path):
    folder = tmp_path / "lines"
    folder.mkdir()
    return Lines(folder)


def add(house, toml):
    with house.config.open("a") as file:
        file.write(toml)


class TestPlaying:
    def test_every_signal_is_shown_and_said_with_its_meaning(self, capsys):
        panel, pauses = FakePanel(FakeClock()), []
        play(panel, list(Signal), 2.5, pauses.append)
        assert panel.signals == list(Signal)
        assert pauses == [2.5] * len(Signal)
        told = capsys.readouterr().out
        assert "smile_now   amber, blinking (0.15 s on, 0.15 s off); buzzer: 0.08 s + 0.08 s\n" in told
        assert "            Refused; the door stays locked\n" in told

    def test_playing_leaves_the_strike_alone(self, capsys):
        panel = FakePanel(FakeClock())
        play(panel, list(Signal), 1.0, lambda _s: None)
        capsys.readouterr()
        assert panel.log == []

    def test_the_strike_is_energized_and_locked_again(self, capsys):
        panel, energized = FakePanel(FakeClock()), []
        panel.start(lambda _report: None)
        try_strike(panel, 5.0, lambda _s: energized.append(panel.energized))
        assert panel.log == [("energize", 5.0), ("de_energize", 0.0)]
        assert (energized, panel.energized) == ([True], False)
        assert "energized for 5 s" in capsys.readouterr().out

    def test_a_strike_that_does_not_move_is_an_error(self):
        panel = FakePanel(FakeClock())
        with pytest.raises(PanelUnavailable):
            try_strike(panel, 5.0, lambda _s: None)

    def test_a_report_is_a_line_for_people_or_for_programs(self, capsys):
        when = datetime(2026, 3, 1, 12, 30, 1, 250000, UTC)
        tell(DoorInput.REX, when, as_json=False)
        tell(DoorInput.REX, when, as_json=True)
        for_people, for_programs = capsys.readouterr().out.splitlines()
        assert for_people.endswith(":01.250  rex")
        assert json.loads(for_programs) == {"at": "2026-03-01T12:30:01.250000Z", "input": "rex"}

    def test_what_is_watched_is_named_with_its_line(self, gpio_house):
        assert watched(load(gpio_house.config)) == "watching entry (GPIO 5), rex (GPIO 13); Ctrl-C ends"

    def test_watching_nothing_is_said(self, house):
        add(house, '[panel]\nkind = "gpio"\n[gpio]\nstrike = 17\n')
        assert watched(load(house.config)).startswith("watching no input")


class TestRefusals:
    @pytest.mark.parametrize("command", ["test", "watch"])
    def test_a_panel_without_lines_is_refused(self, house, command):
        add(house, '[panel]\nkind = "silent"\n')
        result = house.run("panel", command)
        assert (result.code, result.out) == (1, "")
        assert 'kind = "silent": has no lines to try' in result.err

    @pytest.mark.parametrize("command", ["test", "watch"])
    def test_a_running_door_keeps_its_lines(self, gpio_house, command):
        socket = Path(load(gpio_house.config).control.socket)
        server = ControlServer(
            socket,
            groups=Groups("look", "operate", "enroll"),
            door="front",
            clock=FakeClock(),
            camera=FakeCamera(),
            put=lambda _event: None,
            on_crash=lambda: None,
        )
        server.claim()
        server.start()
        try:
            result = gpio_house.run("panel", command)
        finally:
            server.close()
        assert (result.code, result.out) == (1, "")
        assert "the door runs and holds its lines: stop it first" in result.err

    def test_the_strike_is_not_tried_unasked(self, gpio_house):
        """Nobody is there to be asked, and --yes was not given."""
        result = gpio_house.run("panel", "test", "--strike")
        assert (result.code, result.out) == (1, "")
        assert "say so with --yes" in result.err

    def test_an_unknown_signal_is_wrong_usage(self, gpio_house):
        assert gpio_house.run("panel", "test", "--signal", "hello").code == 2


def lock(house, lines, **environment):
    """Run `panel lock` as the systemd unit does, in a process."""
    command = [sys.executable, "-m", "smileaccess", "--config", str(house.config), "panel", "lock"]
    told = {name: value for name, value in lines.environment.items() if name != "RUNTIME_DIRECTORY"} | environment
    done = subprocess.run(command, env=told, cwd=house.folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


class TestLock:
    def test_the_line_of_the_settings_is_locked(self, gpio_house, lines):
        (lines.folder / "level.17").write_text("1")
        assert lock(gpio_house, lines) == (0, "strike: gpiochip0 line 17: locked\n", "")
        assert (lines.level(17), lines.owned(17)) == (0, False)

    def test_another_panel_has_nothing_to_lock(self, house, lines):
        add(house, '[panel]\nkind = "silent"\n')
        code, out, err = lock(house, lines)
        assert (code, err) == (0, "")
        assert "no strike on a line" in out
        assert sorted(path.name for path in lines.folder.iterdir()) == ["gpiochip0"]

    def test_a_line_that_reads_energized_is_code_1(self, gpio_house, lines):
        lines.stick(17, 1)
        code, out, err = lock(gpio_house, lines)
        assert (code, out) == (1, "")
        assert err.startswith("smileaccess: strike: gpiochip0 line 17: reads energized")

    def test_a_line_that_a_guard_holds_is_code_1_and_left_alone(self, gpio_house, lines):
        guard = GuardProcess(lines, "0", "17", "high", "30")
        try:
            guard.answer()
            guard.ask("energize 20000")
            code, _, err = lock(gpio_house, lines)
            assert (code, guard.ask("ping")) == (1, "energized")
            assert "GPIO busy: stop what else holds it" in err
        finally:
            guard.end()

    def test_the_line_that_was_driven_is_locked_as_well(self, gpio_house, lines, tmp_path):
        """The settings named another one meanwhile; the note goes once both are locked."""
        (tmp_path / "strike").write_text("0 22 low\n")
        (lines.folder / "level.22").write_text("0")
        code, out, err = lock(gpio_house, lines, RUNTIME_DIRECTORY=str(tmp_path))
        assert (code, err) == (0, "")
        assert out == "strike: gpiochip0 line 22: locked\nstrike: gpiochip0 line 17: locked\n"
        assert (lines.level(17), lines.level(22)) == (0, 1)
        assert not (tmp_path / "strike").exists()

    def test_the_line_that_was_driven_is_locked_without_usable_settings(self, gpio_house, lines, tmp_path):
        (tmp_path / "strike").write_text("0 22 high\n")
        gpio_house.config.write_text("this is [no TOML")
        code, out, err = lock(gpio_house, lines, RUNTIME_DIRECTORY=str(tmp_path))
        assert (code, out) == (0, "strike: gpiochip0 line 22: locked\n")
        assert "warning: the settings are wrong" in err

    def test_a_note_that_cannot_be_read_leaves_no_line_unlocked(self, gpio_house, lines, tmp_path):
        (tmp_path / "strike").write_text("nonsense\n")
        (lines.folder / "level.17").write_text("1")
        code, out, err = lock(gpio_house, lines, RUNTIME_DIRECTORY=str(tmp_path))
        assert (code, out) == (1, "strike: gpiochip0 line 17: locked\n")
        assert f"{tmp_path / 'strike'}: does not name the strike's line" in err
        assert lines.level(17) == 0

    def test_without_settings_and_note_nobody_knows_the_line(self, gpio_house, lines):
        gpio_house.config.write_text("this is [no TOML")
        code, out, _ = lock(gpio_house, lines)
        assert (code, out) == (2, "")

    def test_a_daemon_that_was_killed_is_locked_by_what_it_noted(self, gpio_house, lines, tmp_path):
        """The whole way: its guard drives the line, both are killed at once, and the line keeps its level."""
        program = (
            "import sys\nfrom smileaccess.panels.guarding import Guard\nfrom smileaccess.pins import Pins\n"
            f"guard = Guard(Pins(strike=22, strike_cap_s=30.0), command={lines.command!r})\n"
            "guard.start()\nguard.energize(25.0)\nprint(guard.pid, flush=True)\nsys.stdin.read()\n"
        )
        environment = {**os.environ, "RUNTIME_DIRECTORY": str(tmp_path)}
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", program]
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True) as daemon:
            guard = int(daemon.stdout.readline())
            daemon.send_signal(signal.SIGSTOP)  # it must not replace its guard meanwhile
            os.kill(guard, signal.SIGKILL)
            daemon.kill()
        assert lines.level(22) == 1
        code, out, _ = lock(gpio_house, lines, RUNTIME_DIRECTORY=str(tmp_path))
        assert (code, out.splitlines()[0]) == (0, "strike: gpiochip0 line 22: locked")
        assert lines.level(22) == 0

    def test_it_leaves_nothing_in_the_folder_it_is_called_in(self, gpio_house, lines):
        before = set(gpio_house.folder.iterdir())
        lock(gpio_house, lines)
        assert set(gpio_house.folder.iterdir()) == before
