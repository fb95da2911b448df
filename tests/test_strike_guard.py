"""The strike's guard as real processes: it de-energizes whatever happens to it, to its daemon or to its pipe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from queue import Queue

import pytest

from smileaccess.errors import PanelUnavailable
from smileaccess.panels import guarding, strike_guard
from smileaccess.panels.guarding import GUARD, Guard
from smileaccess.pins import Pins
from tests.fakes_devices import PATIENCE_S
from tests.lgpio_standin import HERE, GuardProcess, Lines, await_end

LINE = 17
PINS = Pins(strike=LINE, strike_cap_s=30.0)
LONG = "energize 25000"


@pytest.fixture(params=["keeps", "drops"])
def lines(request, tmp_path):
    """Return lines that keep their level once nobody owns them, and lines that fall."""
    return Lines(tmp_path, drops=request.param == "drops")


@pytest.fixture
def guards(lines):
    """Return a function that starts a guard by hand; all are ended afterward."""
    started = []

    def start(cap_s="30", active="high"):
        guard = GuardProcess(lines, "0", str(LINE), active, cap_s)
        started.append(guard)
        return guard

    yield start
    for guard in started:
        guard.end()


@pytest.fixture
def guard(guards):
    """Return a guard that holds its line."""
    made = guards()
    assert made.answer() == "locked"
    return made


def await_locked(guard):
    """Ask until the strike is locked."""
    give_up = time.monotonic() + PATIENCE_S
    while guard.ask("ping") != "locked":
        assert time.monotonic() < give_up, "the strike stays energized"


class TestCommands:
    def test_it_begins_with_the_line_claimed_and_locked(self, guard, lines):
        """Also where a predecessor had left it energized."""
        assert (lines.owned(LINE), lines.level(LINE)) == (True, 0)
        assert guard.ask("ping") == "locked"

    def test_what_a_predecessor_left_is_driven_inactive(self, guards, lines):
        (lines.folder / f"level.{LINE}").write_text("1")
        assert guards().answer() == "locked"
        assert lines.level(LINE) == 0

    def test_energize_and_de_energize_answer_what_the_line_reads(self, guard, lines):
        assert (guard.ask(LONG), lines.level(LINE)) == ("energized", 1)
        assert guard.ask("ping") == "energized"
        assert (guard.ask("de-energize"), lines.level(LINE)) == ("locked", 0)
        assert guard.ask("ping") == "locked"

    def test_a_line_that_is_active_low_is_driven_the_other_way(self, guards, lines):
        guard = guards(active="low")
        assert (guard.answer(), lines.level(LINE)) == ("locked", 1)
        assert (guard.ask(LONG), lines.level(LINE)) == ("energized", 0)
        guard.close()
        assert (guard.wait(), lines.history(LINE)[-1]) == (0, "1")

    def test_the_time_of_a_command_ends_it(self, guard):
        assert guard.ask("energize 50") == "energized"
        await_locked(guard)

    def test_the_cap_ends_a_longer_command(self, guards):
        """25 seconds are asked for, and a fraction is given."""
        guard = guards(cap_s="0.05")
        guard.answer()
        assert guard.ask(LONG) == "energized"
        await_locked(guard)

    def test_the_cap_ends_it_while_commands_stream_in(self, guards):
        """Pings do not extend, however fast they come."""
        guard = guards(cap_s="0.05")
        guard.answer()
        guard.ask(LONG)
        guard.send(b"ping\n" * 500)
        answers = [guard.answer() for _ in range(500)]
        await_locked(guard)
        assert "".join(answers).replace("energized", "e").replace("locked", "l").count("le") == 0

    def test_a_second_command_replaces_the_time_of_the_first(self, guard, lines):
        """The line is not released in between, and once after the second."""
        guard.ask("energize 50")
        guard.ask(LONG)
        guard.ask("energize 60")
        await_locked(guard)
        assert lines.history(LINE).lstrip("0").count("10") == 1

    def test_the_parts_of_a_command_may_come_apart(self, guard):
        guard.send(b"energ")
        guard.send(b"ize 20000\npi")
        assert guard.answer() == "energized"
        assert guard.ask("ng") == "energized"


class TestEnds:
    def test_the_end_of_its_pipe_locks(self, guard, lines):
        guard.ask(LONG)
        guard.close()
        assert guard.wait() == 0
        assert (lines.level(LINE), lines.history(LINE)[-1], lines.owned(LINE)) == (0, "0", False)

    @pytest.mark.parametrize(
        "garbage", [b"open sesame\n", b"energize\n", b"energize -1\n", b"energize 1e3\n", b"\n", b"\xff\n", b"x" * 1000]
    )
    def test_garbage_locks(self, guard, lines, garbage):
        guard.ask(LONG)
        guard.send(garbage)
        assert guard.answer().startswith("fault: ")
        assert (guard.wait(), lines.history(LINE)[-1]) == (1, "0")

    def test_nobody_hearing_its_answers_locks(self, guard, lines):
        guard.ask(LONG)
        guard.process.stdout.close()
        guard.send(b"ping\n")
        assert (guard.wait(), lines.history(LINE)[-1]) == (0, "0")

    @pytest.mark.parametrize("number", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGABRT"])
    def test_signals_to_the_group_do_not_end_it(self, guard, lines, number):
        """It still answers, and still locks at the end of its pipe."""
        guard.ask(LONG)
        guard.process.send_signal(signal.Signals[number])
        assert guard.ask("ping") == "energized"
        guard.close()
        assert (guard.wait(), lines.level(LINE)) == (0, 0)

    def test_a_line_that_refuses_a_write_is_a_fault(self, guard, lines):
        lines.refuse(LINE)
        assert guard.ask(LONG) == f"fault: gpiochip0 line {LINE}: bad GPIO write"
        assert guard.wait() == 1

    def test_a_line_that_stays_energized_is_a_fault(self, guard, lines):
        guard.ask(LONG)
        lines.stick(LINE, 1)
        assert "reads energized although" in guard.ask("de-energize")
        assert guard.wait() == 1

    def test_a_line_that_does_not_rise_is_not_called_energized(self, guard, lines):
        """It is not driven on either."""
        lines.stick(LINE, 0)
        assert guard.ask(LONG) == "locked"
        assert lines.history(LINE)[-2:] == "10"


class TestBeginning:
    def test_a_busy_line_is_refused_with_its_name(self, guard, guards):
        second = guards()
        assert second.answer().startswith(f"fault: gpiochip0 line {LINE}: GPIO busy: stop what else holds it")
        assert second.wait() == 1
        assert guard.ask(LONG) == "energized"

    def test_a_missing_chip_is_refused_with_its_name(self, guards, lines):
        (lines.folder / "gpiochip0").unlink()
        guard = guards()
        assert guard.answer().startswith(f"fault: gpiochip0 line {LINE}: can not open gpiochip: check /dev/gpiochip0")
        assert guard.wait() == 1

    @pytest.mark.parametrize(("active", "cap_s"), [("up", "10"), ("high", "0"), ("high", "nan"), ("high", "inf")])
    def test_wrong_arguments_are_refused_before_the_line_is_touched(self, guards, lines, active, cap_s):
        guard = guards(cap_s, active)
        assert (guard.answer(), guard.wait()) == ("", 2)
        assert not lines.owned(LINE)

    def test_it_imports_little(self):
        """Neither the package nor anything heavy: it starts fast and nothing of ours can break it."""
        program = f"import runpy, sys; runpy.run_path({strike_guard.__file__!r}); print(*sys.modules)"
        done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
        known = {name.partition(".")[0] for name in done.stdout.split()}
        assert known & {"smileaccess", "cv2", "numpy", "boto3", "gpiozero", "pydantic", "structlog", "lgpio"} == set()


class TestLock:
    """`lock`, as `panel lock` calls it; in a process, since lgpio is imported."""

    def lock(self, lines, active="high"):
        program = f"from smileaccess.panels.strike_guard import lock; print(lock(0, {LINE}, {active!r}))"
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=lines.environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.strip(), done.stderr.strip().rpartition("\n")[2]

    def test_it_drives_the_line_inactive_and_lets_go(self, lines):
        (lines.folder / f"level.{LINE}").write_text("1")
        assert self.lock(lines) == (0, "locked", "")
        assert (lines.level(LINE), lines.owned(LINE)) == (0, False)

    def test_it_refuses_a_line_that_reads_energized(self, lines):
        lines.stick(LINE, 1)
        code, out, err = self.lock(lines)
        assert (code, out) == (1, "")
        assert err.endswith("reads energized although it is driven the other way: look for a short")
        assert not lines.owned(LINE)

    def test_it_refuses_a_busy_line_and_leaves_its_owner_alone(self, lines, guard):
        guard.ask(LONG)
        code, _, err = self.lock(lines)
        assert code == 1
        assert "GPIO busy" in err
        assert guard.ask("ping") == "energized"


class Driver:
    """A Guard whose callbacks are put down."""

    def __init__(self, lines, pins=PINS):
        self.heard = Queue()
        self.guard = Guard(pins, command=lines.command)

    def start(self):
        self.guard.start(lambda: self.heard.put("lost"), lambda: self.heard.put("back"))
        return self.guard

    def await_words(self, *words):
        assert [self.heard.get(timeout=PATIENCE_S) for _ in words] == list(words)


@pytest.fixture
def driver(lines):
    made = Driver(lines)
    yield made
    made.guard.close()


class TestGuard:
    def test_it_energizes_and_de_energizes(self, driver, lines):
        guard = driver.start()
        guard.energize(20.0)
        assert (lines.level(LINE), guard.energized) == (1, True)
        guard.de_energize()
        assert (lines.level(LINE), guard.energized) == (0, False)

    def test_line_level_and_cap_of_the_settings_are_given_to_the_process(self, lines):
        """As `ps` shows them."""
        guard = Driver(lines, Pins(chip=0, strike=22, strike_active="low", strike_cap_s=2.5)).start()
        try:
            told = Path(f"/proc/{guard.pid}/cmdline").read_bytes().split(b"\0")
            assert told[-5:-1] == [b"0", b"22", b"low", b"2.5"]
            assert lines.level(22) == 1
        finally:
            guard.close()

    def test_close_locks_and_ends_the_process(self, driver, lines):
        guard = driver.start()
        guard.energize(20.0)
        pid = guard.pid
        guard.close()
        guard.close()
        await_end(pid)
        assert (lines.level(LINE), guard.pid, guard.running, guard.energized) == (0, None, False, False)

    def test_it_does_nothing_before_its_start_and_after_its_end(self, driver):
        for call in (lambda: driver.guard.energize(1.0), driver.guard.de_energize):
            with pytest.raises(PanelUnavailable, match="its guard was not started"):
                call()
        driver.start()
        driver.guard.close()
        with pytest.raises(PanelUnavailable, match="its guard was closed"):
            driver.guard.energize(1.0)

    def test_it_may_be_started_again(self, driver, lines):
        driver.start().energize(20.0)
        driver.guard.close()
        driver.start()
        assert lines.level(LINE) == 0
        driver.guard.energize(20.0)
        assert lines.level(LINE) == 1

    def test_a_start_that_fails_says_why(self, driver, guards):
        guards().answer()
        with pytest.raises(PanelUnavailable, match=f"its guard did not start: gpiochip0 line {LINE}: GPIO busy"):
            driver.start()
        assert not driver.guard.running

    def test_a_program_that_is_not_there_says_so(self, tmp_path):
        with pytest.raises(PanelUnavailable, match="No such file"):
            Guard(PINS, command=[str(tmp_path / "nothing")]).start()

    def test_a_killed_guard_is_replaced_and_the_strike_locked(self, driver, lines):
        guard = driver.start()
        guard.energize(20.0)
        before = guard.pid
        os.kill(before, signal.SIGKILL)
        driver.await_words("lost", "back")
        assert (lines.level(LINE), guard.energized) == (0, False)
        assert guard.pid != before
        guard.energize(20.0)
        assert lines.level(LINE) == 1

    def test_a_stopped_guard_is_killed_and_the_strike_locked(self, driver, lines):
        guard = driver.start()
        guard.energize(20.0)
        before = guard.pid
        os.kill(before, signal.SIGSTOP)
        assert lines.level(LINE) == 1
        driver.await_words("lost", "back")
        await_end(before)
        assert lines.level(LINE) == 0
        guard.de_energize()

    def test_a_relock_that_is_not_answered_is_no_relock(self, driver, lines):
        guard = driver.start()
        guard.energize(20.0)
        os.kill(guard.pid, signal.SIGSTOP)
        with pytest.raises(PanelUnavailable, match="it does not answer"):
            guard.de_energize()
        driver.await_words("lost", "back")
        guard.de_energize()
        assert lines.level(LINE) == 0

    def test_a_stopped_guard_is_locked_by_another_at_the_end(self, driver, lines):
        guard = driver.start()
        guard.energize(20.0)
        before = guard.pid
        os.kill(before, signal.SIGSTOP)
        guard.close()
        await_end(before)
        assert (lines.level(LINE), lines.history(LINE)[-1]) == (0, "0")

    def test_it_refuses_while_it_is_lost_and_returns_when_the_line_is_mended(self, driver, lines):
        guard = driver.start()
        lines.refuse(LINE)
        with pytest.raises(PanelUnavailable, match="bad GPIO write"):
            guard.energize(5.0)
        driver.await_words("lost")
        with pytest.raises(PanelUnavailable, match="its guard is lost"):
            guard.energize(5.0)
        lines.mend(LINE)
        driver.await_words("back")
        guard.energize(5.0)
        assert lines.level(LINE) == 1

    def test_a_command_that_is_late_moves_nothing(self, lines):
        """Whoever gave it has been told that it failed; with no time at all every command is late."""
        guard = Guard(PINS, command=lines.command, answer_s=0.0)
        guard.start()
        try:
            with pytest.raises(PanelUnavailable, match="its guard was busy"):
                guard.energize(5.0)
        finally:
            guard.close()
        assert "1" not in lines.history(LINE)

    def test_a_line_that_does_not_rise_is_refused(self, driver, lines):
        guard = driver.start()
        lines.stick(LINE, 0)
        with pytest.raises(PanelUnavailable, match=f"line {LINE} reads locked although it is driven"):
            guard.energize(5.0)
        assert lines.history(LINE)[-1] == "0"

    def test_a_line_that_stays_energized_is_no_relock(self, driver, lines):
        guard = driver.start()
        guard.energize(20.0)
        lines.stick(LINE, 1)
        with pytest.raises(PanelUnavailable, match="reads energized although it is driven the other way"):
            guard.de_energize()

    def test_the_daemon_being_killed_locks(self, lines):
        """Nothing of the daemon runs any more; its pipe's end is enough."""
        program = (
            "import sys\nfrom smileaccess.panels.guarding import Guard\nfrom smileaccess.pins import Pins\n"
            f"guard = Guard(Pins(strike={LINE}, strike_cap_s=30.0), command={lines.command!r})\n"
            "guard.start()\nguard.energize(25.0)\nprint(guard.pid, flush=True)\nsys.stdin.read()\n"
        )
        pipe = subprocess.PIPE
        with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True) as daemon:
            pid = int(daemon.stdout.readline())
            assert lines.level(LINE) == 1
            daemon.kill()
            await_end(pid)
        assert (lines.level(LINE), lines.history(LINE)[-1]) == (0, "0")


class TestNote:
    def test_the_line_is_noted_while_it_is_driven(self, driver, tmp_path, monkeypatch):
        monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path}:/elsewhere")
        assert guarding.noted() is None
        driver.start()
        assert guarding.noted() == (0, LINE, "high")
        driver.guard.close()
        assert guarding.noted() is None

    def test_without_a_runtime_folder_nothing_is_noted(self, driver, monkeypatch):
        monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
        driver.start()
        assert guarding.noted() is None

    @pytest.mark.parametrize("text", ["", "0 17", "zero 17 high", "\xff"])
    def test_a_note_that_names_no_line_is_an_error(self, tmp_path, monkeypatch, text):
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
        (tmp_path / "strike").write_text(text)
        with pytest.raises(PanelUnavailable, match="does not name the strike's line"):
            guarding.noted()


def test_the_stand_in_is_as_the_real_lgpio(tmp_path):
    """What the guard calls has the same parameters there, and its error the same value and text."""
    program = (
        "import inspect, json, lgpio\n"
        "try:\n    lgpio.gpiochip_open(9)\nexcept lgpio.error as error:\n    told = [error.value, str(error)]\n"
        "names = 'gpiochip_open gpiochip_close gpio_claim_output gpio_free gpio_read gpio_write'.split()\n"
        "print(json.dumps([told, {name: str(inspect.signature(getattr(lgpio, name))) for name in names}]))\n"
    )

    def told(environment):
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        if "No module named 'lgpio'" in done.stderr:
            pytest.skip("lgpio is not installed")
        return json.loads(done.stdout)

    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    assert told({**plain, "PYTHONPATH": str(HERE), "LGPIO_STANDIN": str(tmp_path)}) == told(plain)


def test_the_guard_as_the_daemon_starts_it_finds_its_program(tmp_path):
    """Isolated from environment and working directory; without the chip it says so."""
    command = [*GUARD, "99", str(LINE), "high", "10"]
    done = subprocess.run(command, cwd=tmp_path, env={}, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert (done.returncode, done.stdout.startswith(b"fault: gpiochip99 line 17: ")) == (1, True)


def test_the_guard_in_a_folder_where_lgpio_cannot_write_says_so():
    """Its import writes a pipe there; in /proc not even root may."""
    arguments = ["0", str(LINE), "high", "10"]
    done = subprocess.run([*GUARD, *arguments], cwd="/proc", stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if b"lgpio is not installed" in done.stdout:
        pytest.skip("lgpio is not installed")
    assert done.stdout.endswith(b"cannot write its pipe .lgd-nfy* into /proc: start this in a writable folder\n")
