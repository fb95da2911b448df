"""The rig under systemd-nspawn: a Debian of its own that boots beside this machine's, with the door installed in it.

Real are the installation, systemd, the journal, MariaDB, libcamera and picamera2. The camera is libcamera's virtual
one, which plays pictures made of the demonstration's photographs. There is no GPIO here, so the panel is silent, and
there are no limits of memory where this machine's control groups are old.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.rig.debian import CACHE, Impossible, install, lived_in, over, pip_environment, pip_folders, root, run, say
from tests.rig.watching import Report, watch
from tests.rig.wheel import PROJECT, make_wheel

if TYPE_CHECKING:
    from smileaccess.model import Pixels

HERE = Path(__file__).parent

HOST_PACKAGES = {"systemd-nspawn": "systemd-container"}

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "udev", "procps", "ca-certificates", "mariadb-server"),
    *("python3", "python3-venv", "python3-pip", "python3-systemd", "python3-numpy", "python3-pil"),
    *("python3-libcamera", "libcamera-ipa", "gcc", "libc6-dev", "python3-dev", "libcap-dev"),
)

CAMERA = ("picamera2==0.3.38",)
"""What Raspberry Pi OS has as the package python3-picamera2, of PyPI here."""

FRAME_S = 1 / 15
"""Seconds between two pictures, as camera/pykms.py plays them."""

NEUTRAL_S, SMILING_S = 2.0, 1.6
"""How long the member in the pictures, which know nothing of the cue, is neutral and smiles before it begins anew."""

SETTINGS = """\
[door]
name = "rig"
unlock_s = 1.0
attempt_s = 20.0
cool_down_s = 0.0
[camera]
kind = "picamera"
device = "0"
detect_width = 0
[panel]
kind = "silent"
[liveness]
mode = "smile"
patience_s = 10.0
[lockout]
free = 100
"""

_UNIT = """\
[Unit]
Description=The rig's scenes
After=multi-user.target

[Service]
EnvironmentFile=/rig/environment
ExecStart=/usr/bin/python3 /rig/host_scenes.py
ExecStopPost=/bin/sh -c 'journalctl --no-pager -b -o short-precise >/rig/journal.txt'
ExecStopPost=/usr/bin/systemctl poweroff --no-block
StandardOutput=file:/rig/play.log
StandardError=file:/rig/play.log

[Install]
WantedBy=multi-user.target
"""

_DROP_IN = """\
# The virtual camera's memory. libcamera 0.4.0 leaves the status of its frames as the heap had it, so it has to be zero.
[Service]
Environment=LD_PRELOAD=/opt/rig/dma.so
Environment=GLIBC_TUNABLES=glibc.malloc.perturb=255:glibc.malloc.tcache_count=0
Environment=LIBCAMERA_LOG_LEVELS=*:WARN
"""


def play() -> list[Report]:
    """Make everything that is missing, play the scenes, and return what each reported; Impossible."""
    install(HOST_PACKAGES)
    base = _with_camera(root("host", PACKAGES))
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        scratch = Path(folder)
        share = scratch / "share"
        share.mkdir()
        for source in (*HERE.glob("guest/*.py"), make_wheel(scratch), PROJECT / "systemd/install"):
            shutil.copyfile(source, share / source.name)
        (share / "settings.toml").write_text(SETTINGS)
        (share / "environment").write_text("".join(f'{name}="{value}"\n' for name, value in _environment().items()))
        with over(base, scratch / "layers") as place:
            _furnish(place)
            say("booting")
            try:
                return _booted(place, share)
            finally:
                for name in ("play.log", "journal.txt", "console.log"):
                    with suppress(FileNotFoundError):
                        shutil.copyfile(share / name, CACHE / f"host-{name}")


def _with_camera(base: Path) -> Path:
    """Give the root picamera2 and what the virtual camera needs, where it has not got them yet."""
    parts = [HERE / "camera" / name for name in ("pykms.py", "dma.c", "virtual.yaml")]
    print_of = hashlib.sha256(b"".join((" ".join(CAMERA).encode(), *(each.read_bytes() for each in parts))))
    mark = base / f".camera-{print_of.hexdigest()[:12]}"
    if mark.exists():
        return base
    say("installing picamera2 beside libcamera's virtual camera")
    stub, shim, cameras = parts
    for source, target in (
        (stub, next((base / "usr/local/lib").glob("python3.*")) / "dist-packages"),
        (shim, base / "opt/rig"),
        (cameras, base / "usr/share/libcamera/pipeline/virtual"),
    ):
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / source.name)
    with lived_in(base):
        run("chroot", base, "gcc", "-shared", "-fPIC", "-O2", "-Wall", "-o", "/opt/rig/dma.so", "/opt/rig/dma.c")
        pip = ("python3", "-m", "pip", "install", "--quiet", "--root-user-action=ignore", "--break-system-packages")
        run("chroot", base, *pip, *CAMERA, env=_environment(), log=CACHE / "picamera2.log")
    mark.touch()
    return base


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", **pip_environment()}


def _furnish(place: Path) -> None:
    """Add what makes the scenes begin by themselves, and what the camera sees and needs."""
    say("drawing the pictures")
    draw(place / "opt/rig")
    units = place / "etc/systemd/system"
    wanted = units / "multi-user.target.wants"
    wanted.mkdir(exist_ok=True)
    (units / "rig.service").write_text(_UNIT)
    (wanted / "rig.service").symlink_to("../rig.service")
    (wanted / "mariadb.service").unlink(missing_ok=True)  # a scene starts it
    (units / "console-getty.service").symlink_to("/dev/null")
    drop_in = units / "smileaccess.service.d"
    drop_in.mkdir()
    (drop_in / "rig.conf").write_text(_DROP_IN)
    # The network is this machine's, which may have a server of its own.
    (place / "etc/mysql/mariadb.conf.d/99-rig.cnf").write_text("[mariadbd]\nskip-networking\n")
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    if certificates.exists():
        shutil.copyfile(certificates, place / certificates.relative_to("/"))


def draw(place: Path) -> None:
    """Draw what stands before the camera: `member`, who smiles every few seconds, `stranger` and `nobody`."""
    from smileaccess.demo.scenes import (  # noqa: PLC0415 -- with OpenCV
        MEMBER_PHOTOGRAPH,
        MORPH_S,
        REACTION_S,
        SMILE_S,
        build_scenes,
    )
    from smileaccess.vision.eyes import LocalEyes  # noqa: PLC0415

    eyes = LocalEyes(emotions=False)
    member, _, stranger, _, nobody, *_ = (scene.clip for scene in build_scenes(eyes))
    rises = REACTION_S + MORPH_S
    falls = rises + SMILE_S
    cued = [
        *([None] * len(_times(0, NEUTRAL_S))),
        *_times(REACTION_S, rises + SMILING_S),
        *_times(falls, falls + MORPH_S),
    ]
    _save(place / "member", [member.picture(number * FRAME_S, since_s) for number, since_s in enumerate(cued)])
    _save(place / "stranger", [stranger.picture(at_s, None) for at_s in _times(0, 1)])
    _save(place / "nobody", [nobody.picture(at_s, None) for at_s in _times(0, 0.5)])
    eyes.close()
    shutil.copyfile(MEMBER_PHOTOGRAPH, place / "member.jpg")
    (place / "frames").symlink_to("member")


def _times(first_s: float, last_s: float) -> list[float]:
    """Return the moments of the pictures from one time to another."""
    return [first_s + number * FRAME_S for number in range(round((last_s - first_s) / FRAME_S))]


def _save(folder: Path, pictures: list[Pixels]) -> None:
    import cv2  # noqa: PLC0415 -- takes half a second

    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures):
        if not cv2.imwrite(str(folder / f"{number:03}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 92]):
            raise Impossible(f"{folder}: no picture can be written there: make room")


def _booted(place: Path, share: Path) -> list[Report]:
    """Boot it, and return what its scenes reported until it is off."""
    command = [
        *("systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--machine=rig"),
        *("--resolv-conf=copy-host", f"--directory={place}", f"--bind={share}:/rig"),
        *(f"--bind={CACHE / 'pip'}:/root/.cache/pip", *(f"--bind-ro={folder}" for folder in pip_folders())),
    ]
    with (share / "console.log").open("wb") as console:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
        )
        try:
            reports = watch(process, share)
        finally:
            _end(process)
    if not reports:
        raise Impossible(f"systemd-nspawn: {(share / 'console.log').read_text(errors='replace')[-800:]}")
    return reports


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is still there: asked first, so that nspawn takes its mounts away."""
    deadline = time.monotonic() + 15
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
