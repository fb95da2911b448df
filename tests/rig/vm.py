"""The rig in a virtual machine: Debian's own kernel, the kernel's GPIO simulator, and a door installed on them.

The machine is emulated (TCG), since hardware acceleration is not there for stock kernels on every machine that runs
tests. Its clock counts its own instructions, a nanosecond each, and skips what it sleeps: whatever else the host has to
do, the door meets a processor of a small Raspberry Pi's speed, and times measured inside mean something. Its power is
cut by killing the emulator.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.rig.debian import CACHE, Impossible, lived_in, mounted, over, pip_environment, root, run, say
from tests.rig.watching import Report, watch
from tests.rig.wheel import make_wheel

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent

TOOLS = (
    *("qemu-system-x86", "gcc", "make", "linux-headers-amd64", "linux-source-6.12", "xz-utils"),
    *("busybox-static", "cpio", "e2fsprogs", "kmod"),
)
GUEST = (
    *("systemd", "systemd-sysv", "dbus", "udev", "kmod", "linux-image-amd64", "ca-certificates", "procps"),
    *("python3", "python3-venv", "python3-systemd", "gpiod"),
)
DISK = "4G"
MODULES = ("virtio_pci", "virtio_blk", "ext4", "9p", "9pnet_virtio")
"""What the kernel needs to find its disk and the shared folder; they are modules in Debian's."""

_INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
while read module; do /bin/busybox insmod "/modules/$module"; done </order
/bin/busybox mount -t ext4 -o rw /dev/vda /new || /bin/busybox poweroff -f
/bin/busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 rig /new/rig
/bin/busybox umount /proc /sys
/bin/busybox mount --move /dev /new/dev
exec /bin/busybox switch_root /new /lib/systemd/systemd
"""

_PLAY = """\
[Unit]
Description=The rig's scenes
After=multi-user.target

[Service]
Type=simple
ExecStart=/bin/sh /rig/play
StandardOutput=file:/rig/play.log
StandardError=file:/rig/play.log

[Install]
WantedBy=multi-user.target
"""

_SCRIPT = """\
set -x
mount --bind /rig/cpuinfo /proc/cpuinfo
modprobe configfs
insmod /rig/gpio_sim_rig.ko
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
python3 /rig/gpio_scenes.py {part}
journalctl --no-pager --boot >/rig/journal.txt
sync
systemctl poweroff --force --force
"""

_CPUINFO = """\
processor\t: 0
Hardware\t: BCM2835
Revision\t: c03114
Model\t\t: Raspberry Pi 4 Model B Rev 1.4
"""
"""gpiozero asks which board it is on; c03114 is a Raspberry Pi 4 (Raspberry Pi: revision codes)."""

_DROP_IN = """\
[Service]
BindReadOnlyPaths=/rig/cpuinfo:/proc/cpuinfo
"""

_UDEV = 'SUBSYSTEM=="gpio", KERNEL=="gpiochip*", GROUP="gpio", MODE="0660"\n'
"""As Raspberry Pi OS has it in its own rules."""

_SETTINGS = """\
[door]
name = "rig"
unlock_s = 4.0
cool_down_s = 0.0
[camera]
kind = "reel"
path = "/opt/rig/member"
[panel]
kind = "gpio"
[gpio]
strike = 17
strike_cap_s = 6.0
entry = 5
contact = 6
rex = 13
approach = 19
tamper = 26
green = 22
amber = 23
red = 24
buzzer = 25
stuck_s = 5.0
[liveness]
mode = "off"
[lockout]
free = 100
[records]
[keys]
"""


def play() -> list[Report]:
    """Make everything that is missing, play both parts, and return what each scene reported; Impossible."""
    tools, guest = root("tools", TOOLS), root("guest", GUEST)
    kernel = _kernel(tools, guest)
    module = _module(tools, kernel)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        scratch = Path(folder)
        share = scratch / "share"
        share.mkdir()
        for each in (*HERE.glob("guest/*.py"), module):
            shutil.copyfile(each, share / each.name)
        (share / "cpuinfo").write_text(_CPUINFO)
        initrd = _initrd(tools, guest, kernel, scratch)
        disk = _disk(tools, guest, scratch)
        machine = Machine(tools, guest, kernel, disk, initrd, share)
        results: list[Report] = []
        for part in ("first", "second"):
            say(f"the machine boots ({part} part)")
            results += machine.boot(part)
        return results


def _kernel(tools: Path, guest: Path) -> str:
    """Return the kernel's version, which image and headers must share."""
    (image,) = (each.name for each in (guest / "lib/modules").iterdir())
    headers = [each.name.removeprefix("linux-headers-") for each in (tools / "usr/src").glob("linux-headers-*amd64")]
    if image not in headers:
        raise Impossible(
            f"the kernel is {image}, the headers are {headers}: the archive changed in between: "
            f"remove {tools} and {guest}, and try again"
        )
    return image


def _module(tools: Path, kernel: str) -> Path:
    """Return gpio-sim for this kernel, with one parameter more: whether lines keep their level on release."""
    patch = (HERE / "gpio_sim.py").read_bytes()
    place = CACHE / f"gpio-sim-{kernel}-{hashlib.sha256(patch).hexdigest()[:12]}" / "gpio_sim_rig.ko"
    if place.exists():
        return place
    say(f"building gpio-sim for {kernel}")
    build = tools / "build"
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir()
    run("python3", HERE / "gpio_sim.py", next((tools / "usr/src").glob("linux-source-*.tar.xz")), build)
    with mounted((("-t", "proc", "proc"), tools / "proc")):
        run("chroot", tools, "make", "-s", "-C", f"/lib/modules/{kernel}/build", "M=/build", "modules")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(build / "gpio_sim_rig.ko", place)
    return place


def _initrd(tools: Path, guest: Path, kernel: str, scratch: Path) -> Path:
    """Make the smallest system that finds the disk and goes on from it."""
    folder = tools / "initrd"
    shutil.rmtree(folder, ignore_errors=True)
    for each in ("bin", "modules", "proc", "sys", "dev", "new"):
        (folder / each).mkdir(parents=True)
    shutil.copy(tools / "bin/busybox", folder / "bin/busybox")
    order = []
    for module in MODULES:
        needed = run("chroot", guest, "modprobe", "-S", kernel, "--show-depends", module)
        order += [line.split()[1] for line in needed.splitlines() if line.startswith("insmod")]
    for path in dict.fromkeys(order):
        name = Path(path).name.removesuffix(".xz")
        with (folder / "modules" / name).open("wb") as out:
            subprocess.run(["xz", "-dc", str(guest) + path], stdout=out, check=True)
        with (folder / "order").open("a") as out:
            out.write(f"{name}\n")
    (folder / "init").write_text(_INIT)
    (folder / "init").chmod(0o755)
    run("chroot", tools, "sh", "-c", "cd /initrd && find . | cpio -o -H newc 2>/dev/null | gzip -1 >/initrd.gz")
    shutil.move(tools / "initrd.gz", scratch / "initrd.gz")
    return scratch / "initrd.gz"


def _disk(tools: Path, guest: Path, scratch: Path) -> Path:
    """Install the door with its own installation script, and make a disk of all that."""
    with over(guest, scratch / "layers") as place:
        wheel = make_wheel(scratch)
        (place / "rig").mkdir()
        member = place / "opt/rig/member"
        member.mkdir(parents=True)
        shutil.copyfile(PROJECT / "smileaccess/demo/faces/obama-smiling.jpg", member / "0.jpg")
        shutil.copyfile(wheel, place / "root" / wheel.name)
        (place / "root/settings.toml").write_text(_SETTINGS)
        script = place / "root/install"
        shutil.copyfile(PROJECT / "systemd/install", script)
        say("installing the door with systemd/install")
        with lived_in(place):
            environment = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", **pip_environment()}
            run(
                *("chroot", place, "sh", "/root/install", "--wheel", f"/root/{wheel.name}"),
                *("--settings", "/root/settings.toml", "--with", "none", "--name", "rig", "--no-doctor"),
                env=environment,
                log=CACHE / "install.log",
            )
            run(
                *("chroot", place, "smileaccess", "enroll", "Ann", "--photo", "/opt/rig/member/0.jpg", "--consent"),
                env=environment,
            )
            run("chroot", place, "chown", "-R", "smileaccess:smileaccess", "/var/lib/smileaccess")
        _furnish(place)
        say("making the disk")
        disk = tools / "disk.img"
        disk.unlink(missing_ok=True)
        with mounted((("--bind", place), tools / "mnt")):
            run("chroot", tools, "truncate", "-s", DISK, "/disk.img")
            run("chroot", tools, "mkfs.ext4", "-q", "-F", "-d", "/mnt", "/disk.img")
    shutil.move(disk, scratch / "disk.img")
    return scratch / "disk.img"


def _furnish(place: Path) -> None:
    """Add what makes the scenes begin by themselves, and what a Raspberry Pi would have."""
    units = place / "etc/systemd/system"
    for unit in ("serial-getty@ttyS0.service", "getty@tty1.service"):
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    (units / "rig.service").write_text(_PLAY)
    wants = units / "multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "rig.service").symlink_to("../rig.service")
    # The lines are there only once the scenes have made them.
    (wants / "smileaccess.service").unlink(missing_ok=True)
    drop_in = units / "smileaccess.service.d"
    drop_in.mkdir(exist_ok=True)
    (drop_in / "rig.conf").write_text(_DROP_IN)
    (place / "etc/udev/rules.d").mkdir(parents=True, exist_ok=True)
    (place / "etc/udev/rules.d/60-rig.rules").write_text(_UDEV)
    (place / "etc/fstab").write_text("")
    (place / "etc/hostname").write_text("rig\n")


class Machine:
    """One virtual machine with a disk of its own, which outlives a cut of its power."""

    def __init__(self, tools: Path, guest: Path, kernel: str, disk: Path, initrd: Path, share: Path) -> None:
        self._tools = tools
        self._share = share
        for source, name in (
            (guest / "boot" / f"vmlinuz-{kernel}", "vmlinuz"),
            (initrd, "initrd.gz"),
            (disk, "disk.img"),
        ):
            target = tools / name
            target.unlink(missing_ok=True)
            shutil.move(source, target) if source == disk else shutil.copyfile(source, target)

    def boot(self, part: str) -> list[Report]:
        """Play one part, until the machine is off or its power is cut; return what was reported."""
        for name in ("results.jsonl", "cut"):
            (self._share / name).unlink(missing_ok=True)
        (self._share / "play").write_text(_SCRIPT.format(part=part))
        with (
            mounted((("-t", "proc", "proc"), self._tools / "proc"), (("--bind", self._share), self._tools / "share")),
            (CACHE / f"console-{part}.log").open("wb") as out,
        ):
            command = [*("chroot", str(self._tools)), *self._command()]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
            try:
                return watch(process, self._share)
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                process.wait()
                for name in ("play.log", "journal.txt"):
                    if (self._share / name).exists():
                        shutil.copyfile(self._share / name, CACHE / f"{part}-{name}")

    def _command(self) -> list[str]:
        options = "console=ttyS0 quiet mitigations=off nokaslr audit=0 tsc=reliable no_timer_check panic=-1"
        return [
            *("qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=single,tb-size=512", "-cpu", "max", "-smp", "1"),
            *("-icount", "shift=0,sleep=off", "-rtc", "clock=vm"),
            *("-m", "2048", "-nodefaults", "-vga", "none", "-display", "none", "-serial", "stdio", "-no-reboot"),
            *("-device", "virtio-rng-pci", "-nic", "none", "-kernel", "/vmlinuz", "-initrd", "/initrd.gz"),
            *("-append", f"{options} random.trust_cpu=on systemd.show_status=0"),
            *("-drive", "file=/disk.img,format=raw,if=virtio"),
            *("-virtfs", "local,path=/share,mount_tag=rig,security_model=none"),
        ]
