"""systemd/install and uninstall below a folder, with stand-ins for the programs that they call.

What they write, what they keep, and that a run which was cut off is made good by the next one.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest

from smileaccess.keys import KeyKind, KeyRing, make_keys
from smileaccess.settings import load

REPOSITORY = Path(__file__).resolve().parent.parent
SCRIPTS = REPOSITORY / "systemd"
PYTHON = REPOSITORY / ".venv" / "bin" / "python"

SYSTEM_COMMANDS = (
    "apt-cache",
    "apt-get",
    "systemctl",
    "systemd-sysusers",
    "systemd-tmpfiles",
    "systemd-analyze",
    "journalctl",
    "userdel",
    "groupdel",
    "chown",
    "dpkg",
    "udevadm",
)

STAND_IN = r"""#!/bin/sh
name=$(basename "$0")
echo "$name $*" >>"$CALLS"
case $name in
    dpkg) echo "${ARCHITECTURE:-amd64}" ;;
    apt-cache) case " ${OFFERED:-} " in *" $3 "*) ;; *) exit 100 ;; esac ;;
    systemd-analyze) [ -z "${CONFIGURED:-}" ] || echo "$CONFIGURED" ;;
esac
case " ${FAILING:-} " in *" $name:$1 "*) echo "$name is not willing" >&2; exit 3 ;; esac
exit 0
"""

# The system's Python: makes a folder with a pip that installs nothing, and a smileaccess that is this checkout's.
SYSTEM_PYTHON = r"""#!/bin/sh
echo "python $*" >>"$CALLS"
case "$*" in
    "-c import sys"*) exit 0 ;;
    "-c import numpy"*) [ -z "${NUMPY:-}" ] || echo "$NUMPY"; exit 0 ;;
    "-c import "*) case " ${HAS:-} " in *" ${2#import } "*) exit 0 ;; *) exit 1 ;; esac ;;
    "-m venv --system-site-packages "*) mkdir -p "$4/bin"; cp "$STAND_INS/venv-python" "$4/bin/python"
        cp "$STAND_INS/smileaccess" "$4/bin/smileaccess" ;;
esac
"""

VENV_PYTHON = r"""#!/bin/sh
echo "venv-python $*" >>"$CALLS"
case "$*" in
    "-m pip "*) case " ${FAILING:-} " in *" pip "*) echo "no matching distribution" >&2; exit 1 ;; esac; exit 0 ;;
    "-c import cv2, smileaccess"*) case " ${FAILING:-} " in *" ${2##* } "*) echo "no ${2##* }" >&2; exit 1 ;; esac
        exit 0 ;;
    "-c import cv2, picamera2") case " ${FAILING:-} " in *" pair "*) echo "numpy.dtype size changed" >&2; exit 1 ;; esac
        exit 0 ;;
    "-c import picamera2") case " ${HAS:-} " in *" picamera2 "*) exit 0 ;; *) exit 1 ;; esac ;;
esac
exec "$REAL_PYTHON" "$@"
"""

# Quick answers of our command line; with REAL it is this checkout's own.
PROGRAM = r"""#!/bin/sh
echo "smileaccess $*" >>"$CALLS"
case " ${FAILING:-} " in *" $1 "*) echo "smileaccess: $1: not today" >&2; exit 1 ;; esac
[ "$1" != doctor ] || exit 1
[ -z "${REAL:-}" ] || exec "$REAL_PYTHON" -m smileaccess "$@"
case "$*" in
    "config example") cat "$EXAMPLE" ;;
    "config show"*) cat "$STAND_INS/settings.json" ;;
    "keys make"*)
        folder=$(sed -n 's/^directory = "\(.*\)"/\1/p' "$4")
        for kind in enroller enroller.pub templates chain; do
            [ -e "$folder/$kind" ] || cp "$STAND_INS/keys/$kind" "$folder/"
        done ;;
    "database init"*) touch "$DATABASE" ;;
esac
"""


class Machine:
    """A folder as a machine's root, and stand-ins that note how they were called."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.bin = folder / "bin"
        self.calls = folder / "calls"
        self.bin.mkdir()
        (self.root / "etc").mkdir(parents=True)
        self.write("etc/os-release", "ID=debian\nVERSION_CODENAME=trixie\n")
        for name in SYSTEM_COMMANDS:
            self._program(name, STAND_IN)
        self._program("python3", SYSTEM_PYTHON)
        self._program("venv-python", VENV_PYTHON)
        self._program("smileaccess", PROGRAM)
        self.wheel = folder / "smileaccess-0.0-py3-none-any.whl"
        self.wheel.touch()
        self.settings = folder / "settings.toml"
        self.settings.write_text(
            f'[door]\nname = "porch"\n[panel]\nkind = "silent"\n[records]\ndatabase = "{self.root}/var/door.db"\n'
            f'[keys]\ndirectory = "{self.root}/var/keys"\n'
        )
        (self.root / "var" / "keys").mkdir(parents=True)
        shown = load(self.settings).model_dump(mode="json")
        (self.bin / "settings.json").write_text(json.dumps(shown))
        make_keys(self.bin / "keys")

    def _program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def write(self, path: str, text: str) -> Path:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)
        return self.root / path

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def world(self, **env: str) -> dict[str, str]:
        """The environment of a script."""
        return {
            **os.environ,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "PYTHON": str(self.bin / "python3"),
            "REAL_PYTHON": str(PYTHON),
            "STAND_INS": str(self.bin),
            "CALLS": str(self.calls),
            "DATABASE": f"{self.root}/var/door.db",
            "EXAMPLE": str(REPOSITORY / "config" / "smileaccess.toml"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **env,
        }

    def run(self, script: str, *options: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        return self.sh([str(SCRIPTS / script), "--root", str(self.root), *map(str, options)], self.world(**env))

    @staticmethod
    def sh(arguments: list[str], env: dict[str, str], read: str = "") -> subprocess.CompletedProcess[str]:
        """Run the shell on arguments, with something to read."""
        command = ["sh", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=120, input=read)

    def install(self, *options: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run("install", "--wheel", self.wheel, "--settings", self.settings, *options, **env)

    def called(self, what: str) -> list[str]:
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line for line in lines if line.startswith(what)]

    def files(self) -> dict[str, bytes]:
        """Everything below the root with what it holds, but for the program's own folder."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and not path.is_relative_to(self.root / "opt")
        }

    def board(self, config: str = "arm_64bit=1\n[cm4]\notg_mode=1\n") -> Path:
        return self.write("boot/firmware/config.txt", config)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine on which this checkout's own program was installed, to be looked at only."""
    made = Machine(tmp_path_factory.mktemp("installed"))
    ok(made.install(REAL="yes"))
    return made


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class TestScripts:
    @pytest.mark.parametrize("name", ["install", "uninstall"])
    def test_they_are_programs_of_a_plain_shell(self, name: str) -> None:
        script = SCRIPTS / name
        assert script.read_text().startswith("#!/bin/sh\n")
        assert script.stat().st_mode & stat.S_IXUSR
        subprocess.run(["sh", "-n", str(script)], check=True)

    @pytest.mark.parametrize("name", ["install", "uninstall"])
    def test_shellcheck_finds_nothing(self, name: str) -> None:
        if shutil.which("shellcheck") is None:
            pytest.skip("shellcheck is not installed")
        done = subprocess.run(["shellcheck", str(SCRIPTS / name)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "")

    @pytest.mark.parametrize("name", ["install", "uninstall"])
    def test_help_needs_no_root_and_names_every_option(self, machine: Machine, name: str) -> None:
        shown = ok(machine.run(name, "--help"))
        cases = (SCRIPTS / name).read_text().partition("while [ $# -gt 0 ]")[2].partition("esac\n        shift")[0]
        options = {word.strip(")|") for word in cases.split() if word.startswith("--") and word.strip(")|").islower()}
        assert options == {word for word in options if word in shown}
        assert len(options) > 4

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            (["--colour"], "--colour"),
            (["--name", "front door"], "front door"),
            (["--name", "d" * 65], "64"),
            (["--wheel"], "needs a value"),
            (["--wheel", "/no/such.whl"], "/no/such.whl"),
            (["--with", "mysql;reboot"], "mysql;reboot"),
            (["--keys", "/no/such"], "enroller.pub"),
        ],
    )
    def test_wrong_usage_is_code_2_and_changes_nothing(self, machine: Machine, options: list[str], told: str) -> None:
        before = machine.files()
        done = machine.run("install", *options)
        assert (done.returncode, told in done.stderr, machine.files()) == (2, True, before)
        assert machine.called("") == []


class TestFirst:
    def test_everything_lies_where_the_unit_expects_it(self, machine: Machine) -> None:
        ok(machine.install())
        for installed, shipped in (
            ("systemd/system/smileaccess.service", "smileaccess.service"),
            ("systemd/catalog/smileaccess.catalog", "smileaccess.catalog"),
            ("sysusers.d/smileaccess.conf", "smileaccess.sysusers"),
            ("tmpfiles.d/smileaccess.conf", "smileaccess.tmpfiles"),
            ("udev/rules.d/60-smileaccess.rules", "smileaccess.rules"),
        ):
            assert machine.read(f"usr/local/lib/{installed}") == (SCRIPTS / shipped).read_text()
        unit = machine.read("usr/local/lib/systemd/system/smileaccess.service")
        assert "ExecStart=/opt/smileaccess/venv/bin/smileaccess run" in unit
        assert (machine.root / "opt/smileaccess/venv/bin/smileaccess").exists()
        assert machine.read("opt/smileaccess/uninstall") == (SCRIPTS / "uninstall").read_text()

    def test_the_system_is_told(self, machine: Machine) -> None:
        ok(machine.install())
        assert [line.split()[-1] for line in machine.called("systemd-sysusers")] == ["smileaccess.conf"]
        assert [line.split()[-1] for line in machine.called("systemd-tmpfiles")] == ["smileaccess.conf"]
        assert "--update-catalog" in machine.called("journalctl")[0]
        assert [line for line in machine.called("systemctl") if "enable" in line] != []
        assert machine.called("smileaccess doctor") != []

    def test_the_doors_keys_are_credentials_that_only_root_may_read(self, installed: Machine) -> None:
        store = installed.root / "etc/credstore"
        assert sorted(path.name for path in store.iterdir()) == [f"smileaccess.{kind}" for kind in sorted(KeyKind)]
        assert {stat.S_IMODE(path.stat().st_mode) for path in store.iterdir()} == {0o600}
        assert stat.S_IMODE(store.stat().st_mode) == 0o700
        KeyRing.load(installed.root / "none", store, need=frozenset(KeyKind))

    def test_the_command_reads_them_there(self, installed: Machine) -> None:
        wrapper = installed.root / "usr/local/bin/smileaccess"
        config = installed.root / "etc/smileaccess/smileaccess.toml"
        shown = installed.sh([str(wrapper), "keys", "show", "--config", str(config)], installed.world(REAL="yes"))
        assert ("not here" in shown.stdout) is (os.geteuid() != 0)

    def test_given_settings_are_taken_and_the_record_is_begun(self, installed: Machine) -> None:
        assert installed.read("etc/smileaccess/smileaccess.toml") == installed.settings.read_text()
        assert (installed.root / "var/door.db").exists()
        if os.geteuid() == 0:
            assert "smileaccess:smileaccess" in installed.called("chown")[0]

    def test_settings_of_its_own_are_the_example_with_the_doors_name(self, machine: Machine) -> None:
        """They pass, are silent until somebody names the lines, and differ from the example in nothing else."""
        machine.run("install", "--wheel", machine.wheel, "--name", "porch", FAILING="keys")
        settings = load(machine.root / "etc/smileaccess/smileaccess.toml")
        assert (settings.door.name, settings.panel.kind, settings.camera.kind) == ("porch", "silent", "webcam")
        example = (REPOSITORY / "config" / "smileaccess.toml").read_text().splitlines()
        made = machine.read("etc/smileaccess/smileaccess.toml").splitlines()
        differing = [(a.split()[0], b.split()[0]) for a, b in zip(example, made, strict=True) if a != b]
        assert differing == [("name", "name"), ("kind", "kind")]

    def test_with_picamera2_the_camera_of_new_settings_is_the_boards(self, machine: Machine) -> None:
        world = {"FAILING": "keys", "HAS": "picamera2", "NUMPY": "2"}
        machine.run("install", "--wheel", machine.wheel, "--name", "porch", **world)
        camera = load(machine.root / "etc/smileaccess/smileaccess.toml").camera
        assert (camera.kind, camera.width, camera.height) == ("picamera", 1280, 960)

    def test_keys_of_the_place_of_enrolling_are_taken_over(self, machine: Machine, tmp_path: Path) -> None:
        """And no enroller is made: people are enrolled elsewhere."""
        desk = tmp_path / "desk"
        make_keys(desk)
        for kind in (KeyKind.ENROLLER, KeyKind.CHAIN):
            (desk / kind).unlink()
        ok(machine.install("--keys", desk, REAL="yes"))
        store = machine.root / "etc/credstore"
        assert not (store / "smileaccess.enroller").exists()
        for kind in (KeyKind.ENROLLER_PUBLIC, KeyKind.TEMPLATES):
            assert (store / f"smileaccess.{kind}").read_text() == (desk / kind).read_text()
        assert (store / "smileaccess.chain").exists()


class TestPackages:
    def test_only_what_the_archive_has_is_asked_for(self, machine: Machine) -> None:
        ok(machine.install(OFFERED="python3-picamera2 python3-lgpio"))
        (asked,) = machine.called("apt-get install")
        assert ("python3-picamera2" in asked, "python3-lgpio" in asked, "python3-libcamera" in asked) == (
            True,
            True,
            False,
        )

    def pip(self, machine: Machine) -> str:
        (asked,) = machine.called("venv-python -m pip install")
        return asked

    def test_beside_a_picamera2_of_numpy_1_it_is_the_older_pair(self, machine: Machine) -> None:
        ok(machine.install(HAS="picamera2", NUMPY="1"))
        assert self.pip(machine).endswith(" numpy<2 opencv-python-headless==4.11.*")

    def test_beside_a_picamera2_of_numpy_2_it_is_not(self, machine: Machine) -> None:
        ok(machine.install(HAS="picamera2", NUMPY="2"))
        assert "numpy" not in self.pip(machine)

    def test_a_board_gets_gpiozero_and_builds_lgpio_where_no_package_has_it(self, machine: Machine) -> None:
        machine.board()
        ok(machine.install())
        assert self.pip(machine).endswith(" gpiozero>=2.0 lgpio>=0.2.2")
        assert "swig" in machine.called("apt-get install")[1]

    def test_a_board_with_the_package_builds_nothing(self, machine: Machine) -> None:
        machine.board()
        ok(machine.install(HAS="lgpio"))
        assert self.pip(machine).endswith(" gpiozero>=2.0")
        assert len(machine.called("apt-get install")) == 1

    def test_another_machine_gets_neither(self, machine: Machine) -> None:
        ok(machine.install())
        assert "gpio" not in self.pip(machine)

    @pytest.mark.parametrize(
        ("given", "extras"), [([], "[mysql,rekognition]"), (["--with", "plots"], "[plots]"), (["--with", "none"], "")]
    )
    def test_extras_are_as_asked(self, machine: Machine, given: list[str], extras: str) -> None:
        ok(machine.install(*given))
        assert self.pip(machine).endswith(f" {machine.wheel}{extras}")


class TestRefusing:
    @pytest.mark.parametrize(
        ("system", "architecture", "told"),
        [
            ("ID=fedora\nVERSION_CODENAME=''\n", "amd64", "fedora"),
            ("ID=raspbian\nVERSION_CODENAME=bookworm\n", "armhf", "64 bit"),
        ],
    )
    def test_another_system_is_refused_before_anything_happens(
        self, machine: Machine, system: str, architecture: str, told: str
    ) -> None:
        machine.write("etc/os-release", system)
        before = machine.files()
        done = machine.install(ARCHITECTURE=architecture)
        assert (done.returncode, told in done.stderr, machine.files()) == (1, True, before)
        assert machine.called("apt-get") == []

    @pytest.mark.parametrize(
        ("failing", "step", "told"),
        [
            ("apt-get:update", "packages of the system", "network"),
            ("pip", "the program", "pip.conf"),
            ("systemd-sysusers:--root", "users, folders", ""),
        ],
    )
    def test_a_failure_names_the_step_the_command_and_the_fix(
        self, machine: Machine, failing: str, step: str, told: str
    ) -> None:
        if failing.startswith("systemd-sysusers"):
            failing = f"systemd-sysusers:--root={machine.root}"
        done = machine.install(FAILING=failing)
        last = done.stderr.splitlines()[-1]
        assert (done.returncode, last.startswith(f"install: {step}"), told in last) == (1, True, True)

    def test_cv2_and_picamera2_that_do_not_go_together_are_explained(self, machine: Machine) -> None:
        done = machine.install(HAS="picamera2", NUMPY="1", FAILING="pair")
        assert done.returncode == 1
        assert "numpy.dtype size changed" in done.stderr
        assert "built for numpy 1" in done.stderr

    def test_a_board_whose_lines_cannot_be_driven_is_told_of(self, machine: Machine) -> None:
        """Elsewhere nothing asks for the library."""
        ok(machine.install(FAILING="lgpio"))
        machine.board()
        done = machine.install(FAILING="lgpio")
        assert (done.returncode, "no lgpio" in done.stderr, "unchanged" in done.stderr) == (1, True, True)

    def test_wrong_settings_are_not_taken(self, machine: Machine) -> None:
        machine.settings.write_text("[door]\nunlock_s = 0\n")
        done = machine.install(REAL="yes")
        assert (done.returncode, "unlock_s" in done.stderr) == (1, True)
        assert not (machine.root / "etc/smileaccess/smileaccess.toml").exists()


class TestAgain:
    def test_a_second_run_keeps_settings_keys_and_record(self, machine: Machine) -> None:
        machine.board()
        ok(machine.install())
        kept = machine.files()
        machine.settings.write_text('[door]\nname = "other"\n')
        ok(machine.install())
        assert machine.files() == kept

    def test_a_second_run_is_another_program_and_the_first_is_gone(self, machine: Machine) -> None:
        ok(machine.install())
        first = (machine.root / "opt/smileaccess/venv").resolve()
        ok(machine.install())
        second = (machine.root / "opt/smileaccess/venv").resolve()
        assert (first == second, first.exists(), second.exists()) == (False, False, True)

    @pytest.mark.parametrize("failing", ["pip", "pair", "config"])
    def test_a_new_program_that_does_not_do_leaves_the_old_one(self, machine: Machine, failing: str) -> None:
        ok(machine.install())
        old = (machine.root / "opt/smileaccess/venv").resolve()
        kept = machine.files()
        done = machine.install(FAILING=failing, HAS="picamera2", NUMPY="2")
        assert done.returncode == 1
        assert (machine.root / "opt/smileaccess/venv").resolve() == old
        assert list((machine.root / "opt/smileaccess/venvs").iterdir()) == [old]
        assert machine.files() == kept

    def test_without_a_start_the_old_programs_files_stay(self, machine: Machine) -> None:
        """The service that still runs needs them."""
        ok(machine.install())
        ok(machine.install("--no-start"))
        assert len(list((machine.root / "opt/smileaccess/venvs").iterdir())) == 2

    def test_keys_that_were_half_placed_are_completed_with_their_own_half(self, machine: Machine) -> None:
        """Cut off after the private half had its name: the public half is made of that one."""
        store = machine.root / "etc/credstore"
        machine.install(FAILING="database")
        for kind in (KeyKind.ENROLLER_PUBLIC, KeyKind.CHAIN):
            (store / f"smileaccess.{kind}").unlink()
        ok(machine.install(REAL="yes"))
        KeyRing.load(machine.root / "none", store, need=frozenset(KeyKind))

    def test_a_lost_key_of_a_record_is_asked_for_and_not_made_anew(self, machine: Machine) -> None:
        ok(machine.install())
        lost = machine.root / "etc/credstore/smileaccess.chain"
        lost.unlink()
        done = machine.install()
        assert (done.returncode, "put its copy back" in done.stderr, lost.exists()) == (1, True, False)

    def test_keys_elsewhere_are_enough(self, machine: Machine) -> None:
        """In [keys] directory, or encrypted: a credential beside them would win over them."""
        make_keys(machine.root / "var/keys")
        (machine.root / "var/keys/templates").unlink()
        machine.write("etc/credstore.encrypted/smileaccess.templates", "sealed")
        done = machine.install(FAILING="database")
        assert "all here: kept" in done.stdout
        assert not (machine.root / "etc/credstore").exists()


class TestBoard:
    def lines(self, machine: Machine) -> list[str]:
        return machine.read("boot/firmware/config.txt").splitlines()

    def test_config_txt_gets_both_lines_for_every_board_and_a_backup(self, machine: Machine) -> None:
        config = machine.board()
        before = config.read_text()
        told = ok(machine.install())
        added = self.lines(machine)[len(before.splitlines()) :]
        assert added[1:-1] == ["[all]", "dtoverlay=", "dtparam=strict_gpiod", "dtparam=watchdog=on"]
        assert machine.read("boot/firmware/config.txt.before-smileaccess") == before
        assert "Reboot" in told

    @pytest.mark.parametrize(
        ("there", "added"),
        [
            ("dtparam=strict_gpiod\ndtparam=watchdog=on\n", []),
            ("dtparam=i2c_arm=on,strict_gpiod # as it should be\n", ["dtparam=watchdog=on"]),
            (
                "#dtparam=strict_gpiod\n[cm4]\ndtparam=strict_gpiod\n[all]\ndtparam=watchdog=on\n",
                ["dtparam=strict_gpiod"],
            ),
        ],
    )
    def test_what_is_set_already_is_not_set_again(self, machine: Machine, there: str, added: list[str]) -> None:
        machine.board(there)
        ok(machine.install())
        new = self.lines(machine)[len(there.splitlines()) :]
        assert [line for line in new if line.startswith("dtparam")] == added

    def test_the_older_place_of_config_txt_is_found(self, machine: Machine) -> None:
        machine.write("boot/config.txt", "arm_64bit=1\n")
        ok(machine.install())
        assert "dtparam=strict_gpiod" in machine.read("boot/config.txt")

    def test_the_watchdog_is_switched_on_unless_somebody_set_it(self, machine: Machine) -> None:
        machine.board()
        ok(machine.install(CONFIGURED="RuntimeWatchdogSec=1min"))
        assert not (machine.root / "etc/systemd").exists()
        ok(machine.install())
        assert machine.read("etc/systemd/system.conf.d/50-smileaccess.conf") == "[Manager]\nRuntimeWatchdogSec=15\n"

    def test_another_machine_is_left_as_it_is(self, machine: Machine) -> None:
        told = ok(machine.install())
        assert not (machine.root / "boot").exists()
        assert not (machine.root / "etc/systemd").exists()
        assert "Reboot" not in told


class TestDryRun:
    def test_it_changes_nothing_and_says_what_it_would_do(self, machine: Machine) -> None:
        machine.board()
        before = machine.files()
        told = ok(machine.install("--dry-run"))
        assert (machine.files(), (machine.root / "opt").exists()) == (before, False)
        assert machine.called("apt-get") == machine.called("systemctl") == machine.called("venv-python") == []
        assert ("would write" in told, "config.txt" in told, told.endswith("Nothing was changed.\n")) == (
            True,
            True,
            True,
        )

    def test_so_does_that_of_uninstall(self, machine: Machine) -> None:
        machine.board()
        ok(machine.install())
        before, calls = machine.files(), len(machine.called(""))
        told = ok(machine.run("uninstall", "--purge", "--dry-run"))
        assert (machine.files(), len(machine.called(""))) == (before, calls)
        assert "/etc/smileaccess" in told


class TestUninstall:
    STATE = ("etc/smileaccess/", "etc/credstore/", "var/")

    def test_it_takes_what_install_brought_and_keeps_the_doors_own(self, machine: Machine) -> None:
        config = machine.board()
        before, boot = machine.files(), config.read_text()
        ok(machine.install())
        kept = {path: text for path, text in machine.files().items() if path.startswith(self.STATE)}
        ok(machine.run("uninstall"))
        after = machine.files()
        assert after.pop("boot/firmware/config.txt.before-smileaccess") == boot.encode()
        assert after == {**before, **kept}
        assert not (machine.root / "opt/smileaccess").exists()

    def test_lines_that_were_there_before_stay(self, machine: Machine) -> None:
        config = machine.board("dtparam=strict_gpiod\ndtparam=watchdog=on\n")
        ok(machine.install())
        ok(machine.run("uninstall"))
        assert config.read_text() == "dtparam=strict_gpiod\ndtparam=watchdog=on\n"

    def test_purge_takes_everything(self, machine: Machine) -> None:
        machine.write("etc/passwd", "root:x:0\nsmileaccess:x:999\n")
        machine.write("etc/group", "gpio:x:1\nsmileaccess-look:x:2\n")
        machine.board()
        before = machine.files()
        ok(machine.install())
        machine.write("var/lib/smileaccess/smileaccess.db", "rows")
        ok(machine.run("uninstall", "--purge", "--yes"))
        left = {path for path in machine.files() if not path.startswith("var/")}
        assert left == {path for path in before if not path.startswith("var/")}
        assert not (machine.root / "var/lib/smileaccess").exists()
        assert [line.split()[-1] for line in machine.called("userdel")] == ["smileaccess"]
        assert [line.split()[-1] for line in machine.called("groupdel")] == ["smileaccess-look"]

    def test_purge_without_a_terminal_asks_for_a_yes(self, machine: Machine) -> None:
        ok(machine.install())
        before = machine.files()
        done = machine.run("uninstall", "--purge")
        assert (done.returncode, "--yes" in done.stderr, machine.files()) == (2, True, before)

    def test_twice_is_no_failure(self, machine: Machine) -> None:
        ok(machine.install())
        ok(machine.run("uninstall"))
        ok(machine.run("uninstall"))


def test_the_script_works_out_of_the_wheel_alone(machine: Machine, tmp_path: Path) -> None:
    """As the docs have it: read from the wheel, given to sh, with the wheel named."""
    with zipfile.ZipFile(machine.wheel, "w") as wheel:
        wheel.write(SCRIPTS / "install", "smileaccess/_systemd/install")
    read = f'import zipfile; print(zipfile.ZipFile("{machine.wheel}").read("smileaccess/_systemd/install").decode())'
    script = subprocess.run([PYTHON, "-c", read], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    options = ["--wheel", machine.wheel, "--settings", machine.settings, "--root", machine.root]
    ok(machine.sh(["-s", "--", *map(str, options)], machine.world(), script))
