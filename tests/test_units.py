"""The unit and what is installed beside it: systemd takes them without a word, and they fit settings, keys and code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from smileaccess.errors import SettingsError
from smileaccess.keys import DOOR_KEYS, KeyKind
from smileaccess.settings import Settings
from smileaccess.supervision.notify import BEATS
from smileaccess.wiring import ALERTS_CREDENTIAL, AWS_CREDENTIAL, MYSQL_CREDENTIAL

FOLDER = Path(__file__).parent.parent / "systemd"
UNIT = FOLDER / "smileaccess.service"
PROGRAM = "/opt/smileaccess/venv/bin/smileaccess"

MOST_EXPOSED = 2.0
"""Of 10, as systemd-analyze reckons; what is left is the network, the devices and the operators' socket."""

SETTINGS = Settings()


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one of systemd's programs, in plain English; skip where it is not installed."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed: apt install systemd")
    environ = {**os.environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0"}
    return subprocess.run(list(command), capture_output=True, text=True, check=False, env=environ)


def values(key: str, path: Path = UNIT) -> list[str]:
    """Return what a unit assigns to a key, in order."""
    return re.findall(rf"^{key}=(.*)$", path.read_text("utf-8"), re.MULTILINE)


def lines(name: str) -> list[list[str]]:
    """Return the words of each line of a file, but for its comments."""
    text = (FOLDER / name).read_text("utf-8")
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


def placed(folder: Path) -> Path:
    """Return a copy of the unit whose program is on this machine."""
    copy = folder / UNIT.name
    copy.write_text(UNIT.read_text("utf-8").replace(PROGRAM, "/bin/true"), "utf-8")
    return copy


# As systemd sees them


def test_systemd_takes_the_unit_without_a_word(tmp_path: Path) -> None:
    """It says what it does not know and goes on, so that any word is a failure."""
    verified = run("systemd-analyze", "verify", "--man=no", placed(tmp_path))
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_systemd_would_say_a_word_of_a_wrong_unit(tmp_path: Path) -> None:
    """The test above can fail: a key that nobody knows is told."""
    unit = placed(tmp_path)
    unit.write_text(unit.read_text("utf-8").replace("NoNewPrivileges=", "NoNewPriviliges="), "utf-8")
    assert "NoNewPriviliges" in run("systemd-analyze", "verify", "--man=no", unit).stderr


def test_the_unit_is_shut(tmp_path: Path) -> None:
    """What the daemon does not need, it does not have."""
    reckoned = run("systemd-analyze", "security", "--no-pager", "--offline=true", placed(tmp_path))
    exposed = re.search(r"exposure level for smileaccess.service: ([\d.]+)", reckoned.stdout)
    assert exposed is not None, reckoned.stderr
    assert float(exposed[1]) <= MOST_EXPOSED


def test_systemd_makes_the_users_without_a_word(tmp_path: Path) -> None:
    """User and groups are what the settings name; nothing of it is in the way of the system's own."""
    made = run("systemd-sysusers", "--dry-run", f"--root={tmp_path}", FOLDER / "smileaccess.sysusers")
    told = [line for line in made.stderr.splitlines() if not line.startswith("Would write")]
    names = [re.fullmatch(r"Creating (user|group) '([a-z-]+)'.*\.", line) for line in told]
    groups = {"smileaccess", "smileaccess-look", "smileaccess-operate", "smileaccess-enroll", "gpio"}
    assert made.returncode == 0
    assert {(name[1], name[2]) if name else ("", "") for name in names} == {
        ("user", "smileaccess"),
        *(("group", group) for group in groups),
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders to others")
def test_systemd_makes_the_folders(tmp_path: Path) -> None:
    """They belong to whom the unit and the commands expect, and others see neither keys nor record."""
    (tmp_path / "etc").mkdir()
    assert run("systemd-sysusers", f"--root={tmp_path}", FOLDER / "smileaccess.sysusers").returncode == 0
    made = run("systemd-tmpfiles", "--create", f"--root={tmp_path}", FOLDER / "smileaccess.tmpfiles")
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    users = dict(re.findall(r"^([^:]+):[^:]*:(\d+)", (tmp_path / "etc/passwd").read_text(), re.MULTILINE))
    own = int(users["smileaccess"])
    found = {
        path: ((tmp_path / path).stat().st_uid, oct((tmp_path / path).stat().st_mode & 0o777))
        for path in ("etc/smileaccess", "var/lib/smileaccess", "var/lib/smileaccess/keys", "etc/credstore")
    }
    assert found == {
        "etc/smileaccess": (0, "0o755"),
        "var/lib/smileaccess": (own, "0o750"),
        "var/lib/smileaccess/keys": (own, "0o700"),
        "etc/credstore": (0, "0o700"),
    }


# As the rest of the project sees them


def test_every_secret_is_a_credential() -> None:
    """A door's keys and passwords come as credentials; what signs members never comes to a door."""
    wanted = {f"smileaccess.{kind}" for kind in DOOR_KEYS} | {MYSQL_CREDENTIAL, AWS_CREDENTIAL, ALERTS_CREDENTIAL}
    assert set(values("LoadCredential")) == wanted
    assert f"smileaccess.{KeyKind.ENROLLER}" not in wanted


def test_the_folders_are_those_of_the_settings() -> None:
    """Record, keys and socket lie where the unit lets the daemon write."""
    state = Path("/var/lib") / values("StateDirectory")[0]
    assert Path(SETTINGS.records.database).parent == state
    assert Path(SETTINGS.keys.directory).parent == state
    assert Path(SETTINGS.control.socket).parent == Path("/run") / values("RuntimeDirectory")[0]
    assert values("WorkingDirectory") == [f"%t/{values('RuntimeDirectory')[0]}"]


def test_the_groups_are_those_of_the_settings() -> None:
    """Whoever is put into a group that the installation made may do what the settings say."""
    control = SETTINGS.control
    made = {words[1] for words in lines("smileaccess.sysusers") if words[0] == "g"}
    assert {control.look_group, control.operate_group, control.enroll_group} <= made


def test_wrong_settings_are_not_tried_again() -> None:
    """Anything else is, for ten minutes of failed starts: whatever made the door fail may pass."""
    assert values("RestartPreventExitStatus") == [str(SettingsError.exit_code)]
    assert (values("Restart"), values("StartLimitIntervalSec")) == (["always"], ["10min"])


def test_the_strike_is_locked_before_and_after() -> None:
    """Whatever became of the daemon; before, a failure must not hide what `run` itself would say."""
    assert values("ExecStartPre") == [f"-{PROGRAM} panel lock"]
    assert values("ExecStart") == [f"{PROGRAM} run"]
    assert values("ExecStopPost") == [f"{PROGRAM} panel lock"]


def test_a_hang_ends_within_ten_seconds() -> None:
    """The watchdog, its abort and the rest before the start together; and a sign of life comes in time."""
    watchdog_s, abort_s, rest_s = (float(values(key)[0]) for key in ("WatchdogSec", "TimeoutAbortSec", "RestartSec"))
    assert watchdog_s + abort_s + rest_s <= 10.0
    assert watchdog_s / BEATS * 1.5 <= watchdog_s / 2


@pytest.mark.parametrize(
    "key", ["PrivateUsers", "ProtectClock", "ProcSubset", "PrivateDevices", "PrivateNetwork", "IPAddressDeny"]
)
def test_what_the_door_needs_is_open(key: str) -> None:
    """Callers' users, adjtimex(2), /proc/cpuinfo, GPIO and cameras, and the network; each would break it silently."""
    assert values(key) == []


def test_the_door_may_ask_whether_its_clock_was_set() -> None:
    """Without adjtimex(2), which glibc asks by clock_adjtime, members with time limits would be shut out."""
    allowed = {name for line in values("SystemCallFilter") if not line.startswith("~") for name in line.split()}
    assert {"adjtimex", "clock_adjtime", "@system-service"} <= allowed
    assert not values("SystemCallFilter")[-1].startswith("~")  # a later one would take it back


def test_the_daemon_has_the_devices_of_a_door() -> None:
    """GPIO chips, cameras and the memory for frames; everything else is closed."""
    assert values("DevicePolicy") == ["closed"]
    devices = {line.split()[0] for line in values("DeviceAllow")}
    assert devices == {
        *("char-gpiochip", "char-video4linux", "char-media", "char-dma_heap"),
        *("/dev/vcsm-cma", "/dev/gpiomem"),
    }
    assert values("SupplementaryGroups") == ["gpio video"]


def test_nothing_of_it_waits_for_the_network() -> None:
    """The door must start, and the way out work, without network, name service, database and time."""
    text = UNIT.read_text("utf-8")
    assert values("After") == ["network.target"]
    assert not re.search("^(Wants|Requires|BindsTo|Requisite)=|online|time-sync", text, re.MULTILINE)
