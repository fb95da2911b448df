"""The rig on another processor: the wheel, installed on an arm64 Debian that is emulated (qemu-user), and its tests.

It shows that everything that is needed can be had for arm64 and gives the same answers there; nothing is timed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rig.debian import CACHE, Impossible, lived_in, mounted, over, pip_environment, root, run, say
from tests.rig.watching import Report, as_text
from tests.rig.wheel import PROJECT, make_wheel

PACKAGES = (
    *("ca-certificates", "python3", "python3-venv", "python3-dev", "python3-systemd"),
    *("gcc", "libc6-dev", "make", "swig", "pkgconf", "libsystemd-dev"),
)
PROCESSOR = "cortex-a72"
"""A Raspberry Pi 4's. With all that the emulator offers by itself, numpy takes vector instructions with which numbers
came out wrong there."""

BINFMT = Path("/proc/sys/fs/binfmt_misc")
NAME = "smileaccess-aarch64"

MAGIC = (
    r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
    r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff",
)
"""How an arm64 program begins, and which bits of that count (QEMU: scripts/qemu-binfmt-conf.sh)."""

TESTS = (
    *("door", "policy", "liveness", "examining", "gates", "controller", "canonical", "messages"),
    *("pins", "inputs", "lamps", "gpio_panel", "strike_guard", "contract_panel"),
    *("settings", "membership", "keys", "chain", "spool", "contract_records"),
    *("vision_eyes", "vision_measures", "vision_weights", "contract_vision", "embedded", "picamera", "contract_camera"),
)
"""What needs no database server, no network and no second daemon; emulated, all of the tests would take hours."""


def play() -> list[Report]:
    """Install the wheel, load every library, run the tests, and return what came of each; Impossible."""
    emulator = root("emulator", ("qemu-user",)) / "usr/bin/qemu-aarch64"
    with _emulated(emulator):
        base = root("arm64", PACKAGES, architecture="arm64")
        with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
            scratch = Path(folder)
            wheel = make_wheel(scratch)
            with over(base, scratch / "layers") as place, lived_in(place):
                shutil.copyfile(wheel, place / "root" / wheel.name)
                _bring_tests(place / "root")
                return [_installed(place, wheel.name), _loaded(place), _tested(place)]


@contextmanager
def _emulated(emulator: Path) -> Iterator[None]:
    """Let this machine's kernel run arm64 programs while this lasts; Impossible where it cannot."""
    if not emulator.exists():
        raise Impossible(f"{emulator}: the package qemu-user of this suite holds no emulator for arm64")
    if (BINFMT / "register").exists():
        with _registered(emulator):
            yield
        return
    with mounted((("-t", "binfmt_misc", "binfmt_misc"), BINFMT)), _registered(emulator):
        yield


@contextmanager
def _registered(emulator: Path) -> Iterator[None]:
    # F: the kernel keeps the emulator open, so that it is found inside the root too.
    (BINFMT / "register").write_text(f":{NAME}:M::{MAGIC[0]}:{MAGIC[1]}:{emulator}:OCF")
    # mmdebstrap looks for it under this name, whatever the kernel was told.
    expected = Path("/usr/bin/qemu-aarch64-static")
    ours = not expected.exists()
    if ours:
        expected.symlink_to(emulator)
    try:
        yield
    finally:
        if ours:
            expected.unlink()
        (BINFMT / NAME).write_text("-1")


def _bring_tests(place: Path) -> None:
    """Copy the tests and what they read of the project, but not the package, which the wheel has to bring."""
    for name in ("tests", "config", "systemd", "sql", "docs"):
        shutil.copytree(PROJECT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copyfile(PROJECT / name, place / name)


def _installed(place: Path, wheel: str) -> Report:
    """Install the wheel and what its tests need, built under emulation where there is no wheel for arm64."""

    def act() -> str:
        _inside(place, "python3 -m venv --system-site-packages /root/venv")
        _inside(place, f"PYPI=1 /root/venv/bin/pip install --quiet '/root/{wheel}[gpio,mysql,rekognition]'")
        _inside(place, "/root/venv/bin/pip install --quiet pytest hypothesis 'moto>=5.1' cheroot trustme werkzeug")
        return _inside(place, "/root/venv/bin/smileaccess --version").strip()

    return _report("the wheel is installed on arm64", act)


def _loaded(place: Path) -> Report:
    """Load every library that a door may load, and say which they are."""
    names = (
        "cv2",
        "numpy",
        "cryptography",
        "pydantic",
        "structlog",
        "gpiozero",
        "lgpio",
        "pymysql",
        "boto3",
        "systemd",
    )
    script = f"import platform, {', '.join(names)}; print(platform.machine(), cv2.__version__, numpy.__version__)"
    return _report(
        "every library loads there", lambda: _inside(place, f"cd /tmp && /root/venv/bin/python -c '{script}'").strip()
    )


def _tested(place: Path) -> Report:
    """Run the tests that need neither hardware nor servers."""

    def act() -> str:
        files = " ".join(f"tests/test_{name}.py" for name in TESTS)
        out = _inside(place, f"cd /root && /root/venv/bin/python -m pytest -q -p no:cacheprovider {files}")
        found = re.findall(r"^\d+ passed.*$", out, re.MULTILINE)
        if not found:
            raise Impossible(out[-1500:])
        return str(found[-1])

    return _report("its tests that need no hardware pass there", act)


def _inside(place: Path, command: str) -> str:
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "QEMU_CPU": PROCESSOR,
        **pip_environment(),
    }
    return run("chroot", place, "sh", "-c", command, env=environment)


def _report(name: str, act: object) -> Report:
    began = time.monotonic()
    try:
        seen, right = act(), True  # type: ignore[operator]
    except (Impossible, OSError, subprocess.SubprocessError) as error:
        seen, right = str(error), False
    report: Report = {"name": name, "right": right, "seen": seen, "took_s": round(time.monotonic() - began, 1)}
    say(as_text(report))
    return report
