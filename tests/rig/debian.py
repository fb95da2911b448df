"""Debian roots for the rigs: made once with mmdebstrap, kept outside the checkout, named by what they are made of."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

CACHE = Path(os.environ.get("SMILEACCESS_RIG", Path.home() / ".cache" / "smileaccess-rig"))
SUITE = "trixie"

HOST_PACKAGES = {"mmdebstrap": "mmdebstrap", "zstd": "zstd"}
"""Commands that this machine needs, and the packages that bring them."""

_LEAN = (
    'APT::Install-Recommends "false"',
    'Acquire::Languages "none"',
)
_LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*")


class Impossible(Exception):
    """This machine cannot do what a rig needs; the message says what is missing."""


def say(text: str) -> None:
    """Tell whoever waits what is going on."""
    print(text, flush=True)  # noqa: T201 -- a program of its own


def need_root() -> None:
    """Impossible for anybody but root."""
    if os.geteuid() != 0:
        raise Impossible("the rigs mount folders and start machines: run this as root")


@contextmanager
def alone() -> Iterator[None]:
    """Keep the cache to one rig at a time, which waits for the one before, and sweep out what a killed one has left."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another rig that uses {CACHE}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        _sweep()
        yield


def _sweep() -> None:
    # Spaces stand there as \040. No folder may be removed while something of this machine is mounted in it.
    lines = Path("/proc/self/mounts").read_bytes().splitlines()
    mounts = [line.split()[1].decode("unicode_escape") for line in lines]
    for mount in reversed(mounts):
        if Path(mount).is_relative_to(CACHE):
            run("umount", "--lazy", mount)
    for left in CACHE.glob("run-*"):
        shutil.rmtree(left)


def install(packages: dict[str, str]) -> None:
    """Install the packages of those commands that are missing here."""
    missing = sorted({package for command, package in packages.items() if shutil.which(command) is None})
    if not missing:
        return
    say(f"installing on this machine: {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
        done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Impossible(f"apt-get {command[0]}: {done.stderr.strip()[-400:]}")


def run(*command: str | Path, log: Path | None = None, **more: object) -> str:
    """Run a command and return its output; Impossible where it fails, with its last words."""
    done = subprocess.run(
        [str(each) for each in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **more,  # type: ignore[call-overload]
    )
    if log is not None:
        log.write_text(done.stdout, encoding="utf-8")
    if done.returncode:
        raise Impossible(f"{' '.join(map(str, command))}: exit code {done.returncode}: {done.stdout[-1500:]}")
    return str(done.stdout)


def mirror() -> str:
    """Return the archive that this machine's own apt is set to use."""
    for source in sorted(Path("/etc/apt").glob("sources.list.d/*.sources")):
        text = source.read_text(encoding="utf-8")
        if "debian-archive" in text and (found := re.search(r"^URIs:\s*(\S+)", text, re.MULTILINE)):
            return found[1]
    for source in (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt").glob("sources.list.d/*.list"))):
        if source.exists():
            found = re.search(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+debian\S*)\s+\w", source.read_text(), re.MULTILINE)
            if found:
                return found[1]
    raise Impossible("/etc/apt: names no archive of Debian: this rig is made for machines that run Debian")


def root(name: str, packages: Sequence[str], architecture: str = "") -> Path:
    """Return a root of Debian with these packages, of this machine's architecture unless another one is named.

    It is made where the cache has none.
    """
    made_of = (SUITE, *sorted(packages), *_LEAN, *_LEFT_OUT, *([architecture] if architecture else []))
    print_of = hashlib.sha256(" ".join(made_of).encode()).hexdigest()[:12]
    place = CACHE / f"{name}-{print_of}"
    if (place / ".whole").exists():
        return place
    install(HOST_PACKAGES)
    say(f"making the root {name} ({SUITE}, {len(packages)} packages); some minutes")
    began = time.monotonic()
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    run(
        *("mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(packages)}"),
        *((f"--architectures={architecture}",) if architecture else ()),
        *(f"--aptopt={option}" for option in _LEAN),
        *(f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT),
        *(SUITE, place, mirror()),
    )
    (place / ".whole").touch()
    say(f"made in {time.monotonic() - began:.0f} s")
    return place


@contextmanager
def mounted(*mounts: tuple[Sequence[str | Path], Path]) -> Iterator[None]:
    """Mount each (arguments of mount, place) while this lasts, and let go of them in reverse order."""
    with ExitStack() as stack:
        for arguments, place in mounts:
            place.mkdir(parents=True, exist_ok=True)
            run("mount", *arguments, place)
            stack.callback(subprocess.run, ["umount", "--lazy", place], capture_output=True, check=False)
        yield


@contextmanager
def over(lower: Path, scratch: Path) -> Iterator[Path]:
    """Give a root to be written to, while the one below it stays as it is."""
    upper, work, merged = scratch / "upper", scratch / "work", scratch / "merged"
    for each in (upper, work, merged):
        each.mkdir(parents=True, exist_ok=True)
    layers = f"lowerdir={lower},upperdir={upper},workdir={work}"
    with mounted((("-t", "overlay", "overlay", "-o", layers), merged)):
        yield merged


@contextmanager
def lived_in(place: Path) -> Iterator[None]:
    """Give a root what programs in it need: /proc, /dev, names of hosts, and this machine's ways to packages."""
    pip = CACHE / "pip"
    pip.mkdir(parents=True, exist_ok=True)
    local = [folder for folder in pip_folders() if folder.is_dir()]
    shutil.copyfile("/etc/resolv.conf", place / "etc/resolv.conf")
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    if certificates.exists():
        (place / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(certificates, place / "etc/ssl/certs/ca-certificates.crt")
    with mounted(
        (("-t", "proc", "proc"), place / "proc"),
        (("--bind", "/dev"), place / "dev"),
        (("--bind", pip), place / "root/.cache/pip"),
        *((("--bind", "-o", "ro", folder), place / folder.relative_to("/")) for folder in local),
    ):
        yield


def pip_environment() -> dict[str, str]:
    """Return pip's settings on this machine as environment variables, for the roots."""
    found = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    for line in _pip_settings():
        key, _, value = line.partition("=")
        name = "PIP_" + key.rpartition(".")[2].upper().replace("-", "_")
        found.setdefault(name, value.strip("'\""))
    return found


def _pip_settings() -> list[str]:
    done = subprocess.run(["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if "=" in line and not line.startswith(":env:")]


def pip_folders() -> Iterator[Path]:
    """Yield the folders of this machine that pip's settings name."""
    words = " ".join((*_pip_settings(), *(value for name, value in os.environ.items() if name.startswith("PIP_"))))
    seen = set()
    for found in re.finditer(r"(?:file://)?(/[\w./-]+)", words):
        place = Path(found[1].removesuffix("/simple"))
        if place.is_dir() and place not in seen:
            seen.add(place)
            yield place
