"""Checks of the machine: user, groups, libraries, networks, disk and clock; it changes nothing of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from smileaccess.doctor.findings import Remark, fault, fine, warning
from smileaccess.errors import KeysError, RecordsError, VisionError

if TYPE_CHECKING:
    from smileaccess.doctor.site import Site

MEGA = 1_000_000

LOW_BYTES = 500 * MEGA
"""An attempt takes about 2 kB: this is room for a quarter of a million, or for fewer and the system's own logs."""

LEAST_BYTES = 50 * MEGA
"""Below this a write-ahead log that grows (4 MB and more), a log and a core dump may fill the disk within a day."""

LOW_INODES, LEAST_INODES = 1000, 50
"""A record is three files at a time, but the programs beside it make some hundred of their own."""

UNIT = Path("/usr/local/lib/systemd/system/smileaccess.service")
"""Where systemd/install puts the unit."""

_KEPT_OUT = "members with time limits stay out"

FLEETING = frozenset({"tmpfs", "ramfs"})
"""File systems that a power cut empties."""


def user(site: Site, unit: Path = UNIT) -> Iterator[Remark]:
    """Say whether this runs with more power than a door needs; an installed unit runs the door as a user of its own."""
    if site.user_id == 0 and unit.exists():
        yield fine(f"root, who may read the door's keys; the door itself runs as {unit.stem}")
    elif site.user_id == 0:
        yield warning(
            "root: what goes wrong in the door goes wrong with all of this machine",
            "run the daemon, and this, as a user of its own",
        )
    else:
        yield fine(f"user id {site.user_id}, not root")


def groups(site: Site) -> Iterator[Remark]:
    """Say which of the groups exist that may ask the daemon for something."""
    control = site.settings.control
    wanted = dict.fromkeys((control.look_group, control.operate_group, control.enroll_group))
    there = [name for name in wanted if site.has_group(name)]
    if not there:
        yield warning(
            "none of the groups of [control] exists: only root and the daemon's own user may use its socket",
            f"make those that somebody needs: `groupadd --system {control.operate_group}`",
        )
        return
    missing = [name for name in wanted if name not in there]
    rest = f"; not here: {', '.join(missing)}" if missing else ""
    yield fine(f"here: {', '.join(there)}{rest}")


def libraries(site: Site) -> Iterator[Remark]:  # noqa: ARG001 -- a check takes the site
    """Say whether OpenCV and numpy go together."""
    try:
        import cv2  # noqa: PLC0415
        import numpy as np  # noqa: PLC0415
    except ImportError as error:
        yield fault(f"{error.name}: cannot be imported: {error}", "install smileaccess again, with its dependencies")
        return
    yield pair(str(cv2.__version__), str(np.__version__))


def pair(opencv: str, numpy: str) -> Remark:
    """Judge two versions: OpenCV 4.10 to 5 is what the networks are tested with, and 5 is built for numpy 2."""
    told = f"OpenCV {opencv} with numpy {numpy}"
    seeing, counting = _numbers(opencv), _numbers(numpy)
    if not (4, 10) <= seeing < (6, 0):
        return fault(f"{told}: the networks need OpenCV 4.10 to 5", "install opencv-python-headless of such a version")
    if seeing >= (5, 0) and counting < (2, 0):
        return fault(f"{told}: OpenCV 5 needs numpy 2", 'install "opencv-python-headless==4.11.*", or numpy 2')
    return fine(told)


def _numbers(version: str) -> tuple[int, int]:
    major, minor, *_ = [*(int(number) for number in re.findall(r"\d+", version)), 0, 0]
    return major, minor


def networks(site: Site) -> Iterator[Remark]:
    """Compare the weights with their digests, and run every network once."""
    from smileaccess import wiring  # noqa: PLC0415
    from smileaccess.vision import weights  # noqa: PLC0415

    sizes = [weights.path(name, verify=True).stat().st_size for name in weights.DIGESTS]
    told = f"{len(sizes)} files of weights, {sum(sizes) / MEGA:.1f} MB, as shipped"
    try:
        began = site.clock.monotonic()
        wiring.warm_up(site.eyes())
    except VisionError as error:
        yield fault(f"{told}, but a network does not run: {error}", "install smileaccess again")
        return
    yield fine(f"{told}; each has run once, {site.clock.monotonic() - began:.1f} s in all")


def disk(site: Site) -> Iterator[Remark]:
    """Say whether the record's folder lasts, and has room."""
    folder = Path(site.settings.records.database).absolute().parent
    try:
        volume = site.volume(folder)
    except OSError as error:
        yield fault(f"{folder}: {error.strerror}", f"make the folder of [records] database: `mkdir -p {folder}`")
        return
    inodes = volume.free_inodes
    files = "" if inodes is None else f", room for {inodes} files"
    told = f"{folder}: {volume.free_bytes / MEGA:.0f} MB free{files}"
    few, scarce = (inodes is not None and inodes < least for least in (LEAST_INODES, LOW_INODES))
    advice = "make room, or prune the record with `smileaccess attempts prune`"
    if volume.kind in FLEETING:
        yield warning(
            f"{folder}: on a {volume.kind}, which a power cut empties, and the record with it",
            "put [records] database on a disk",
        )
    if volume.free_bytes < LEAST_BYTES or few:
        yield fault(f"{told}: without room there is no record, and without a record no entry", advice)
    elif volume.free_bytes < LOW_BYTES or scarce:
        yield warning(f"{told}: little", advice)
    else:
        yield fine(told)


def clock(site: Site) -> Iterator[Remark]:
    """Say whether the wall time may be trusted, by where it comes from and by the newest record."""
    now = site.clock.now()
    shown = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    newest = None
    # Where it cannot be read the checks of keys and database tell of it.
    with suppress(KeysError, RecordsError), site.records() as spool:
        newest = spool.newest()
    if newest is not None and now < newest:
        yield fault(
            f"{shown}: earlier than the newest record ({newest:%Y-%m-%d %H:%M:%S}): {_KEPT_OUT}",
            "set the clock, or have it set from the network: `timedatectl set-ntp true`",
        )
    elif not site.clock.synchronized():
        yield warning(
            f"{shown}: no clock chip, and not set from the network since the boot: {_KEPT_OUT}",
            "have it set from the network: `timedatectl set-ntp true`",
        )
    else:
        yield fine(shown)
