"""Checks of the board and of the system around the door: lines, strike, camera, service, watchdog, journal, time.

They are made only where the settings name a panel on GPIO or a Raspberry Pi's camera. None energizes anything: the
strike's line is only ever driven to de-energized, and only while no door runs.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smileaccess.doctor.findings import Remark, fault, fine, warning
from smileaccess.errors import ControlError, ControlUnavailable

if TYPE_CHECKING:
    from smileaccess.doctor.site import Site

UNIT = "smileaccess.service"

PERSISTING = ("pinctrl_bcm2835", "pinctrl_rp1")
"""The kernel's modules for the header's lines, the second on a Raspberry Pi 5.

Their parameter `persist_gpio_outputs` says whether a released output keeps its level; `dtparam=strict_gpiod` switches
it off (raspberrypi/linux, pull requests 6117 and 6150).
"""

BOOT_FILES = ("boot/firmware/config.txt", "boot/config.txt")

TOGETHER = "import cv2, picamera2"

PROGRAM_S = 25.0
"""Seconds that a program which is asked may take; both libraries load within ten on the slowest Raspberry Pi."""

_DRIVEN = re.compile(r"gpio=([\d,-]+)=([a-z,]+)")
"""A line of config.txt that sets lines before the kernel starts."""

Program = Callable[[Sequence[str]], "Answer"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program answered: its exit code (127 where there is none of this name), and what it wrote."""

    code: int
    out: str
    err: str = ""

    def value(self, name: str) -> str:
        """Return one value of `systemctl show` or `timedatectl show`, empty where it is not told."""
        found = re.search(rf"^{name}=(.*)$", self.out, re.MULTILINE)
        return found[1].strip() if found else ""


def run(command: Sequence[str]) -> Answer:
    """Run a program without input and return its answer; one that hangs or is missing is an answer, too."""
    try:
        done = subprocess.run(  # noqa: S603 -- ours, with arguments of ours
            command, capture_output=True, text=True, check=False, timeout=PROGRAM_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return Answer(124, "", f"no answer within {PROGRAM_S:g} s")
    except OSError as error:
        return Answer(127, "", error.strerror or "")
    return Answer(done.returncode, done.stdout, done.stderr)


def lock_strike(chip: int, line: int, active: str) -> str:
    """Drive a strike's line to de-energized and return what it reads; StrikeFault."""
    from smileaccess.panels.strike_guard import lock  # noqa: PLC0415 -- lgpio's side of the house

    # lgpio leaves a pipe in the folder that it is started in.
    with tempfile.TemporaryDirectory(prefix="smileaccess-") as folder, chdir(folder):
        return lock(chip, line, active)


def may_use(path: Path) -> bool:
    """Say whether this user may read and write a file or a folder."""
    return os.access(path, os.R_OK | os.W_OK)


@dataclass(frozen=True, slots=True)
class Board:
    """The machine as these checks reach it: its files below `root`, its programs, and the strike's line."""

    root: Path = Path("/")
    ask: Program = run
    lock: Callable[[int, int, str], str] = lock_strike
    may_use: Callable[[Path], bool] = may_use

    def gpio_chip(self, site: Site) -> Iterator[Remark]:
        """Say whether the chip of the settings is there, and may be used."""
        path = f"/dev/gpiochip{site.settings.gpio.chip}"
        if not self._at(path).exists():
            there = ", ".join(sorted(f"/dev/{each.name}" for each in self._at("dev").glob("gpiochip*"))) or "none"
            yield fault(f"{path}: not here (here: {there})", "set [gpio] chip to the header's: `gpiodetect` shows it")
        elif not self.may_use(self._at(path)):
            yield fault(
                f"{path}: this user may not use it", "put the user into the group gpio: `usermod -aG gpio USER`"
            )
        else:
            yield fine(f"{path}: here, and may be used")

    def released_lines(self, site: Site) -> Iterator[Remark]:  # noqa: ARG002 -- a check takes the site
        """Say what the kernel does with a line that nobody holds any more."""
        told = "a line that nobody holds any more keeps its level"
        kept = self._persisting()
        if kept is None and not self._is_raspberry():
            yield fine("not a Raspberry Pi: what its kernel does with released lines is not known here")
        elif kept is None:
            yield warning(
                f"this kernel does not say whether {told}",
                "bring the system up to date, `apt full-upgrade`, and set dtparam=strict_gpiod in config.txt",
            )
        elif not kept:
            yield fine("a line that nobody holds any more is released (strict_gpiod)")
        elif self._in_boot_file("dtparam", "strict_gpiod"):
            yield warning(f"until the next boot {told}; strict_gpiod is set in config.txt", "reboot this machine")
        else:
            yield fault(
                f"{told}: where daemon and guard die at once the strike may stay energized",
                "set dtparam=strict_gpiod in /boot/firmware/config.txt, and reboot",
            )

    def strike(self, site: Site) -> Iterator[Remark]:
        """Say which line and level energize the strike, what they are at boot, and drive it to locked where it is free.

        A wiring that energizes by itself is a settings error already; what config.txt does to the line is not.
        """
        from smileaccess.panels.strike_guard import StrikeFault  # noqa: PLC0415
        from smileaccess.pins import PULLED_UP  # noqa: PLC0415

        pins = site.settings.pins()
        line, active = pins.strike, pins.strike_active
        at_boot = "high" if line in PULLED_UP else "low"
        told = f'GPIO {line}, energized by "{active}"'
        drive = self._driven_at_boot(line)
        if drive == active:
            yield fault(
                f"{told}: config.txt drives it {drive} at boot, which opens the door",
                f"remove the gpio={line} line from config.txt, and reboot",
            )
        yield fine(f"{told}; pulled {at_boot} at boot")
        if _runs(site):
            yield fine("its guard is the running door's")
            return
        try:
            read = self.lock(pins.chip, line, active)
        except StrikeFault as error:
            found, _, advice = str(error).rpartition(": ")
            yield fault(found or advice, advice)
        else:
            yield fine(f"no door runs: claimed, driven to de-energized, and read back: {read}")

    def folder(self, site: Site) -> Iterator[Remark]:
        """Say whether lgpio, which leaves pipes in the working directory, can do so where the service runs."""
        if site.settings.panel.pin_factory != "lgpio":
            return
        shown = self.ask(("systemctl", "show", "--property=WorkingDirectory,LoadState", UNIT))
        if shown.value("LoadState") != "loaded":
            here = Path.cwd()
            if self.may_use(here):
                yield fine(f"{here}: lgpio can leave its pipes here")
            else:
                yield fault(f"{here}: lgpio leaves pipes in the working directory", "start the door in a writable one")
        elif folder := shown.value("WorkingDirectory"):
            yield fine(f"{folder}: where lgpio leaves its pipes ({UNIT})")
        else:
            yield fault(
                f"{UNIT} has no WorkingDirectory, so lgpio cannot leave its pipes",
                "install the unit again, or set WorkingDirectory=%t/smileaccess in a drop-in",
            )

    def camera_devices(self, site: Site) -> Iterator[Remark]:  # noqa: ARG002 -- a check takes the site
        """Say whether a camera's devices are there, and may be used."""
        found = sorted(self._at("dev").glob("media*"))
        if not found:
            yield fault("no /dev/media*: the kernel sees no camera", "check the ribbon cable, both ends, and reboot")
        elif shut := [f"/dev/{each.name}" for each in found if not self.may_use(each)]:
            yield fault(
                f"{', '.join(shut)}: this user may not use them",
                "put the user into the group video: `usermod -aG video USER`",
            )
        else:
            yield fine(f"{len(found)} media devices: here, and may be used")

    def libraries_together(self, site: Site) -> Iterator[Remark]:  # noqa: ARG002 -- a check takes the site
        """Import OpenCV and picamera2 in one process, since each brings its own idea of numpy."""
        done = self.ask((sys.executable, "-c", TOGETHER))
        if done.code == 0:
            yield fine("cv2 and picamera2 import in one process")
            return
        last = (done.err.strip().splitlines() or ["no reason given"])[-1]
        missing = "picamera2" in last and "No module" in last
        yield fault(
            f"cv2 and picamera2 do not import in one process: {last}",
            "`apt install python3-picamera2`, in an environment that sees the system's packages"
            if missing
            else 'beside a picamera2 of numpy 1 install "opencv-python-headless==4.11.*" and "numpy<2"',
        )

    def service(self, site: Site) -> Iterator[Remark]:  # noqa: ARG002 -- a check takes the site
        """Say whether systemd starts the door at boot."""
        shown = self.ask(("systemctl", "show", "--property=LoadState,UnitFileState,ActiveState", UNIT))
        if shown.code == 127 or not shown.value("LoadState"):
            yield warning("no systemd runs here: nothing starts the door anew", "install it with systemd/install")
        elif shown.value("LoadState") != "loaded":
            yield warning(f"{UNIT}: not installed: after a power cut nobody starts the door", "run systemd/install")
        elif shown.value("UnitFileState") != "enabled":
            yield fault(
                f"{UNIT}: {shown.value('UnitFileState') or 'not enabled'}: it does not start at boot",
                "run `systemctl enable smileaccess`",
            )
        elif shown.value("ActiveState") != "active":
            yield warning(
                f"{UNIT}: enabled, but {shown.value('ActiveState')}",
                "run `systemctl start smileaccess`; `systemctl status smileaccess` says why it ended",
            )
        else:
            yield fine(f"{UNIT}: enabled and active")

    def watchdog(self, site: Site) -> Iterator[Remark]:  # noqa: ARG002 -- a check takes the site
        """Say whether a machine that hangs is reset."""
        if not list(self._at("dev").glob("watchdog*")):
            yield warning("no /dev/watchdog: a machine that hangs stays so", "set dtparam=watchdog=on in config.txt")
            return
        set_to = self.ask(("systemctl", "show", "--property=RuntimeWatchdogUSec")).value("RuntimeWatchdogUSec")
        if set_to in {"", "0", "infinity"}:
            yield warning(
                "the board's watchdog is here, but systemd does not use it",
                "set RuntimeWatchdogSec=15 in /etc/systemd/system.conf.d/50-smileaccess.conf, and reboot",
            )
        else:
            yield fine(f"a machine that hangs is reset after {set_to}")

    def journal(self, site: Site) -> Iterator[Remark]:  # noqa: ARG002 -- a check takes the site
        """Say whether the journal outlives a boot."""
        with suppress(OSError):
            name = self._at("etc/machine-id").read_text(encoding="ascii").strip()
            if name and self._at(f"var/log/journal/{name}").is_dir():
                yield fine("/var/log/journal: it outlives a boot")
                return
        yield warning("the journal is in memory only, so a boot empties it", "keep it: docs/journal.md says how")

    def time_sources(self, site: Site) -> Iterator[Remark]:  # noqa: ARG002 -- a check takes the site
        """Say where the time comes from after a power cut."""
        shown = self.ask(("timedatectl", "show"))
        chip = any(self._at("sys/class/rtc").glob("rtc*"))
        if shown.value("NTP") != "yes":
            yield warning("the clock is not set from the network", "run `timedatectl set-ntp true`")
        elif not chip:
            yield warning(
                "no clock chip: after a power cut members with time limits stay out until the network gives the time",
                "fine where the network is as safe as the power; else add a clock chip (RTC)",
            )
        else:
            yield fine("a clock chip, and the network's time")

    def _at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _is_raspberry(self) -> bool:
        with suppress(OSError):
            return "Raspberry Pi" in self._at("proc/device-tree/model").read_text(encoding="ascii", errors="replace")
        return False

    def _persisting(self) -> bool | None:
        """Say whether released outputs keep their level; None where the kernel does not say."""
        for module in reversed(PERSISTING):  # a Raspberry Pi 5 has both, and its header is the second one's
            with suppress(OSError):
                told = self._at(f"sys/module/{module}/parameters/persist_gpio_outputs").read_text(encoding="ascii")
                return told.strip().upper() in {"Y", "1"}
        return None

    def _boot_lines(self) -> Iterator[str]:
        """Yield the lines of config.txt that are for every board, without comments."""
        for name in BOOT_FILES:
            with suppress(OSError):
                section = "all"
                for line in self._at(name).read_text(encoding="utf-8", errors="replace").splitlines():
                    told = line.partition("#")[0].strip()
                    section = told.strip("[]") if told.startswith("[") else section
                    if section == "all" and told:
                        yield told
                return

    def _in_boot_file(self, kind: str, parameter: str) -> bool:
        wanted = {parameter, f"{parameter}=on"}
        return any(wanted & set(line.removeprefix(f"{kind}=").split(",")) for line in self._boot_lines())

    def _driven_at_boot(self, line: int) -> str:
        """Return the level that config.txt drives or pulls a line to, empty where it leaves it alone; the last wins."""
        level = ""
        for told in self._boot_lines():
            found = _DRIVEN.fullmatch(told)
            if found and line in _lines_of(found[1]):
                words = set(found[2].split(","))
                level = "high" if words & {"dh", "pu"} else "low" if words & {"dl", "pd"} else level
        return level


def commissioning(site: Site) -> Iterator[Remark]:
    """Say whether somebody has tried this door out by the checklist, with the lines that it has now."""
    from smileaccess.doctor import commission  # noqa: PLC0415 -- the record

    advice = "go through the checklist: `sudo smileaccess doctor --commission` (docs/commissioning.md)"
    with site.records() as spool:
        event = next(commission.on_record(spool), None)
    if event is None:
        yield warning("never commissioned: nobody has seen that the strike stays locked when it should", advice)
    elif not event.detail.get("passed"):
        yield warning(f"{event.at:%Y-%m-%d}, {event.who}: {event.why}", advice)
    elif differing := commission.changed(event.detail.get("gpio", {}), site.settings):
        yield warning(f"since it was commissioned [gpio] has changed: {', '.join(differing)}", advice)
    else:
        yield fine(f"commissioned on {event.at:%Y-%m-%d} by {event.who}")


def _lines_of(told: str) -> set[int]:
    """Return the lines that `4,7-9` names."""
    lines: set[int] = set()
    for part in told.split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            lines |= set(range(int(first), int(last or first) + 1))
    return lines


def _runs(site: Site) -> bool:
    """Say whether a door runs here."""
    from smileaccess.control import ControlClient  # noqa: PLC0415

    try:
        with ControlClient(Path(site.settings.control.socket)):
            return True
    except ControlUnavailable:
        return False
    except ControlError:
        return True
