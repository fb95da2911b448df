"""The checks of board and system: each is fine where all is well, and speaks up for its reason and no other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from smileaccess import doctor
from smileaccess.control import ControlServer, Groups
from smileaccess.doctor import machine
from smileaccess.doctor.board import TOGETHER, Answer, Board, run
from smileaccess.doctor.findings import Remark
from smileaccess.doctor.site import Site
from smileaccess.panels.strike_guard import StrikeFault
from tests.fakes_devices import FakeCamera
from tests.house import House
from tests.lgpio_standin import HERE, Lines
from tests.test_doctor import GOOD, site_of

REPOSITORY = Path(__file__).resolve().parent.parent
GPIO = '[panel]\nkind = "gpio"\n[gpio]\nstrike = 17\n'
PI_CAMERA = '[camera]\nkind = "picamera"\n'
ON_GPIO = {"GPIO chip", "strict_gpiod", "strike", "folder", "commissioning"}
HARDWARE = {
    *ON_GPIO, "media devices", "picamera2", "time sources",
    "systemd", "watchdog", "journal",
}  # fmt: skip


class Machine:
    """Files below a folder, and what programs answer: by the words that a command holds, `SECTION=value` lines."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.answers: dict[str, Answer] = {}
        self.locked: list[tuple[int, int, str]] = []
        self.trouble: StrikeFault | None = None
        self.shut: set[str] = set()

    def write(self, path: str, text: str = "") -> Path:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)
        return self.root / path

    def ask(self, command: Sequence[str]) -> Answer:
        whole = " ".join(command)
        return next((answer for words, answer in self.answers.items() if words in whole), Answer(127, ""))

    def lock(self, chip: int, line: int, active: str) -> str:
        if self.trouble:
            raise self.trouble
        self.locked.append((chip, line, active))
        return "locked"

    @property
    def board(self) -> Board:
        return Board(self.root, self.ask, self.lock, lambda path: path.name not in self.shut)


@pytest.fixture
def pi(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "house").mkdir()
    return site_of(House(tmp_path / "house"), GPIO)


def told(check: Callable[[Site], Iterable[Remark]], site: Site) -> list[tuple[str, str]]:
    """Run a check and return level and words of what it found, after seeing that all but the fine say what to do."""
    found = list(check(site))
    assert [bool(each.advice) for each in found] == [each.level != "fine" for each in found]
    return [(each.level.value, each.found) for each in found]


def levels(check: Callable[[Site], Iterable[Remark]], site: Site) -> list[str]:
    return [level for level, _ in told(check, site)]


class TestApplicable:
    @pytest.mark.parametrize(
        ("toml", "made"),
        [
            (GOOD, set()),
            (GPIO, HARDWARE - {"media devices", "picamera2"}),
            (PI_CAMERA, HARDWARE - ON_GPIO),
            (GPIO + PI_CAMERA, HARDWARE),
        ],
        ids=["neither", "panel", "camera", "both"],
    )
    def test_they_are_made_only_for_the_hardware_of_the_settings(
        self, tmp_path: Path, toml: str, made: set[str]
    ) -> None:
        names = {check.name for check in doctor.applicable(site_of(House(tmp_path), toml))}
        assert names & HARDWARE == made

    def test_their_names_fit_the_column(self) -> None:
        assert {name for name in HARDWARE if len(name) > 13} == set()

    def test_each_is_a_check_of_the_board(self) -> None:
        of_board = {check.name for check in doctor.CHECKS if getattr(check.look, "__self__", None) is doctor.BOARD}
        assert of_board == HARDWARE - {"commissioning"}


class TestChip:
    def test_one_that_may_be_used_is_fine(self, pi: Machine, site: Site) -> None:
        pi.write("dev/gpiochip0")
        assert levels(pi.board.gpio_chip, site) == ["fine"]

    def test_another_ones_number_is_told_of(self, pi: Machine, site: Site) -> None:
        pi.write("dev/gpiochip4")
        ((level, found),) = told(pi.board.gpio_chip, site)
        assert (level, "/dev/gpiochip0: not here" in found, "/dev/gpiochip4" in found) == ("fault", True, True)

    def test_one_that_is_shut_is_a_fault(self, pi: Machine, site: Site) -> None:
        pi.shut.add(pi.write("dev/gpiochip0").name)
        assert levels(pi.board.gpio_chip, site) == ["fault"]


class TestReleasedLines:
    KEEPS = "sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs"

    def test_released_is_fine(self, pi: Machine, site: Site) -> None:
        pi.write(self.KEEPS, "N\n")
        assert levels(pi.board.released_lines, site) == ["fine"]

    def test_kept_is_a_fault(self, pi: Machine, site: Site) -> None:
        pi.write(self.KEEPS, "Y\n")
        assert levels(pi.board.released_lines, site) == ["fault"]

    @pytest.mark.parametrize(
        ("config", "level"),
        [
            ("dtparam=audio=on,strict_gpiod\n", "warning"),
            ("[cm4]\ndtparam=audio=on\n[all]\ndtparam=strict_gpiod=on # ours\n", "warning"),
            ("[cm4]\ndtparam=strict_gpiod\n", "fault"),
            ("#dtparam=strict_gpiod\n", "fault"),
        ],
    )
    def test_set_and_not_yet_booted_is_a_warning(self, pi: Machine, site: Site, config: str, level: str) -> None:
        pi.write(self.KEEPS, "Y\n")
        pi.write("boot/firmware/config.txt", config)
        assert levels(pi.board.released_lines, site) == [level]

    def test_of_a_raspberry_pi_5_the_headers_chip_counts(self, pi: Machine, site: Site) -> None:
        pi.write(self.KEEPS, "Y\n")
        pi.write("sys/module/pinctrl_rp1/parameters/persist_gpio_outputs", "N\n")
        assert levels(pi.board.released_lines, site) == ["fine"]

    def test_a_kernel_that_does_not_say_is_a_warning_on_a_raspberry_pi_only(self, pi: Machine, site: Site) -> None:
        assert levels(pi.board.released_lines, site) == ["fine"]
        pi.write("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
        assert levels(pi.board.released_lines, site) == ["warning"]


class TestStrike:
    def test_a_free_line_is_locked_and_told_of(self, pi: Machine, site: Site) -> None:
        found = told(pi.board.strike, site)
        assert found[0] == ("fine", 'GPIO 17, energized by "high"; pulled low at boot')
        assert (found[1][0], pi.locked) == ("fine", [(0, 17, "high")])

    def test_while_a_door_runs_its_line_is_left_alone(self, pi: Machine, site: Site) -> None:
        server = ControlServer(
            Path(site.settings.control.socket),
            groups=Groups("a", "b", "c"),
            door="front",
            clock=site.clock,
            camera=FakeCamera([]),
            put=lambda _: None,
            on_crash=lambda: None,
        )
        with closing(server):
            server.claim()
            server.start()
            assert levels(pi.board.strike, site) == ["fine", "fine"]
        assert pi.locked == []

    def test_a_line_that_cannot_be_driven_is_a_fault_with_what_to_do(self, pi: Machine, site: Site) -> None:
        pi.trouble = StrikeFault("gpiochip0 line 17: GPIO busy: stop what else holds it")
        assert told(pi.board.strike, site)[1] == ("fault", "gpiochip0 line 17: GPIO busy")

    @pytest.mark.parametrize(
        ("config", "faults"),
        [
            ("gpio=17=op,dh\n", 1),
            ("gpio=4,16-18=pu\n", 1),
            ("gpio=17=op,dh\ngpio=17=op,dl\n", 0),
            ("gpio=17=op,dl\n", 0),
            ("gpio=18=op,dh\n", 0),
            ("[cm4]\ngpio=17=op,dh\n", 0),
            ("#gpio=17=op,dh\n", 0),
        ],
    )
    def test_a_config_txt_that_opens_the_door_is_a_fault(
        self, pi: Machine, site: Site, config: str, faults: int
    ) -> None:
        pi.write("boot/config.txt", config)
        assert levels(pi.board.strike, site).count("fault") == faults

    def test_the_strikes_own_lock_leaves_no_pipe_behind(self, tmp_path: Path) -> None:
        """By the lock of the strike's guard, on lines in a folder."""
        (tmp_path / "lines").mkdir()
        lines = Lines(tmp_path / "lines")
        program = "from smileaccess.doctor.board import Board; print(Board().lock(0, 17, 'low'))"
        command = [sys.executable, "-c", program]
        environment = {**lines.environment, "PYTHONPATH": f"{HERE}:{REPOSITORY}"}
        before = sorted(tmp_path.iterdir())
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        assert (done.stdout, lines.level(17), sorted(tmp_path.iterdir())) == ("locked\n", 1, before)


class TestFolder:
    @pytest.mark.parametrize(("folder", "level"), [("/run/smileaccess", "fine"), ("", "fault")])
    def test_an_installed_unit_needs_one(self, pi: Machine, site: Site, folder: str, level: str) -> None:
        pi.answers["systemctl show"] = Answer(0, f"WorkingDirectory={folder}\nLoadState=loaded\n")
        assert levels(pi.board.folder, site) == [level]

    def test_without_a_unit_it_is_this_one(
        self, pi: Machine, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert told(pi.board.folder, site) == [("fine", f"{tmp_path}: lgpio can leave its pipes here")]

    def test_one_that_cannot_be_written_is_a_fault(
        self, pi: Machine, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        pi.shut.add(tmp_path.name)
        assert levels(pi.board.folder, site) == ["fault"]

    def test_another_library_leaves_no_pipes(self, pi: Machine, tmp_path: Path) -> None:
        site = site_of(House(tmp_path), GPIO.replace("[gpio]", 'pin_factory = "pigpio"\n[gpio]'))
        assert levels(pi.board.folder, site) == []


class TestCamera:
    def test_devices_that_may_be_used_are_fine(self, pi: Machine, site: Site) -> None:
        pi.write("dev/media0")
        assert levels(pi.board.camera_devices, site) == ["fine"]

    def test_one_that_is_shut_is_a_fault(self, pi: Machine, site: Site) -> None:
        pi.write("dev/media0")
        pi.shut.add(pi.write("dev/media1").name)
        assert told(pi.board.camera_devices, site) == [("fault", "/dev/media1: this user may not use them")]

    def test_none_is_a_fault(self, pi: Machine, site: Site) -> None:
        assert levels(pi.board.camera_devices, site) == ["fault"]

    @pytest.mark.parametrize(
        ("answer", "level", "word"),
        [
            (Answer(0, ""), "fine", "one process"),
            (Answer(1, "", "Traceback\nValueError: numpy.dtype size changed\n"), "fault", "numpy.dtype size changed"),
            (Answer(1, "", "ModuleNotFoundError: No module named 'picamera2'\n"), "fault", "picamera2"),
            (Answer(-6, "", ""), "fault", "no reason given"),
        ],
    )
    def test_libraries_that_do_not_go_together_are_a_fault(
        self, pi: Machine, site: Site, answer: Answer, level: str, word: str
    ) -> None:
        pi.answers[TOGETHER] = answer
        ((seen, found),) = told(pi.board.libraries_together, site)
        assert (seen, word in found) == (level, True)

    def test_a_missing_picamera2_and_a_wrong_pair_have_different_advice(self, pi: Machine, site: Site) -> None:
        pi.answers[TOGETHER] = Answer(1, "", "ModuleNotFoundError: No module named 'picamera2'")
        (missing,) = pi.board.libraries_together(site)
        pi.answers[TOGETHER] = Answer(1, "", "numpy.core.multiarray failed to import")
        (wrong,) = pi.board.libraries_together(site)
        assert ("apt install" in missing.advice, "numpy<2" in wrong.advice) == (True, True)


class TestSystem:
    @pytest.mark.parametrize(
        ("answer", "level"),
        [
            (Answer(0, "LoadState=loaded\nUnitFileState=enabled\nActiveState=active\n"), "fine"),
            (Answer(0, "LoadState=loaded\nUnitFileState=enabled\nActiveState=failed\n"), "warning"),
            (Answer(0, "LoadState=loaded\nUnitFileState=disabled\nActiveState=active\n"), "fault"),
            (Answer(0, "LoadState=not-found\nUnitFileState=\nActiveState=inactive\n"), "warning"),
            (Answer(1, "", "System has not been booted with systemd"), "warning"),
            (Answer(127, ""), "warning"),
        ],
    )
    def test_a_door_that_does_not_come_back_after_a_power_cut_is_told_of(
        self, pi: Machine, site: Site, answer: Answer, level: str
    ) -> None:
        pi.answers["systemctl show"] = answer
        assert levels(pi.board.service, site) == [level]

    @pytest.mark.parametrize(
        ("device", "shown", "level"),
        [(True, "15s", "fine"), (True, "0", "warning"), (True, "infinity", "warning"), (False, "15s", "warning")],
    )
    def test_a_board_that_nobody_resets_is_told_of(
        self, pi: Machine, site: Site, device: bool, shown: str, level: str
    ) -> None:
        if device:
            pi.write("dev/watchdog0")
        pi.answers["RuntimeWatchdogUSec"] = Answer(0, f"RuntimeWatchdogUSec={shown}\n")
        assert levels(pi.board.watchdog, site) == [level]

    def test_a_journal_on_the_card_is_fine_and_one_in_memory_is_told_of(self, pi: Machine, site: Site) -> None:
        pi.write("etc/machine-id", "abc\n")
        assert levels(pi.board.journal, site) == ["warning"]
        pi.write("var/log/journal/other/system.journal")
        assert levels(pi.board.journal, site) == ["warning"]
        pi.write("var/log/journal/abc/system.journal")
        assert levels(pi.board.journal, site) == ["fine"]

    @pytest.mark.parametrize(
        ("network", "chip", "level"), [("yes", True, "fine"), ("yes", False, "warning"), ("no", True, "warning")]
    )
    def test_a_clock_without_a_source_is_told_of(
        self, pi: Machine, site: Site, network: str, chip: bool, level: str
    ) -> None:
        pi.answers["timedatectl"] = Answer(0, f"Timezone=UTC\nNTP={network}\n")
        if chip:
            pi.write("sys/class/rtc/rtc0")
        assert levels(pi.board.time_sources, site) == [level]


class TestPrograms:
    def test_an_answer_is_code_output_and_errors(self) -> None:
        code = "import sys; print('NTP=yes'); print('no', file=sys.stderr); sys.exit(3)"
        answer = run((sys.executable, "-c", code))
        assert (answer, answer.value("NTP"), answer.value("None")) == (Answer(3, "NTP=yes\n", "no\n"), "yes", "")

    def test_a_missing_program_is_an_answer(self) -> None:
        assert run(("/no/such/program",)).code == 127


@pytest.mark.parametrize(("installed", "level"), [(True, "fine"), (False, "warning")])
def test_root_is_fine_where_the_unit_runs_the_door_as_another_user(
    site: Site, tmp_path: Path, installed: bool, level: str
) -> None:
    unit = tmp_path / "smileaccess.service"
    if installed:
        unit.touch()
    site.user_id = 0

    def check(asked: Site) -> Any:
        return machine.user(asked, unit)

    assert levels(check, site) == [level]
