"""Looks at a whole installation and says what is fine, what to know and what to mend; it changes nothing.

But an older record is brought up to date, as by every command that opens it. Two calls of Amazon Rekognition are
billed, and put on record as such. Nothing that it tells holds a key or a name.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from smileaccess.doctor import central, door, machine, records
from smileaccess.doctor.board import Board, commissioning
from smileaccess.doctor.findings import Check, Look, Remark, fault, warning

if TYPE_CHECKING:
    from smileaccess.doctor.site import Site

UNANSWERED = warning("not looked at: the service does not answer this door", "see the findings above")


def asking(name: str, *, anyway: bool = False) -> Look:
    """Return a check of `smileaccess.doctor.cloud` by name, which loads boto3 only when it looks.

    After the service did not answer a check, the others are left out, but for those that look `anyway`.
    """

    def look(site: Site) -> Iterator[Remark]:
        if site.unanswered and not anyway:
            yield UNANSWERED
            return
        try:
            cloud = importlib.import_module("smileaccess.doctor.cloud")
        except ModuleNotFoundError as error:
            advice = "install smileaccess with its extra: pip install 'smileaccess[rekognition]'"
            yield UNANSWERED if site.unanswered else fault(f"{error.name} is not installed", advice)
            site.unanswered = True
            return
        try:
            yield from getattr(cloud, name)(site)
        except cloud.ServiceError as error:
            again = site.unanswered
            site.unanswered = again or error.trouble in cloud.SILENT
            yield UNANSWERED if again else cloud.trouble(error)

    return look


BOARD = Board()

CHECKS = (
    Check("settings", door.settings),
    Check("place", door.place),
    Check("emotions", door.emotions),
    Check("keys", records.keys),
    Check("user", machine.user),
    Check("groups", machine.groups),
    Check("panel", door.panel),
    Check("GPIO chip", BOARD.gpio_chip),
    Check("strict_gpiod", BOARD.released_lines),
    Check("strike", BOARD.strike),
    Check("folder", BOARD.folder, bound_s=30.0),
    Check("contact", door.contact),
    Check("commissioning", commissioning, bound_s=30.0),
    Check("libraries", machine.libraries, bound_s=30.0, wait="loading OpenCV"),
    Check("networks", machine.networks, bound_s=60.0, wait="loading and running every network"),
    Check("media devices", BOARD.camera_devices),
    Check("picamera2", BOARD.libraries_together, bound_s=30.0, wait="loading OpenCV and picamera2 in one process"),
    Check("camera", door.camera, bound_s=30.0, wait="opening the camera, up to 10 s, and watching it for one"),
    Check("database", records.database, bound_s=20.0, wait="looking through the file, up to 5 s"),
    Check("central", central.server, bound_s=60.0, wait="asking the central database"),
    Check("delivery", central.delivery, bound_s=20.0),
    Check("disk", machine.disk),
    Check("clock", machine.clock),
    Check("time sources", BOARD.time_sources, bound_s=30.0),
    Check("systemd", BOARD.service, bound_s=30.0),
    Check("watchdog", BOARD.watchdog, bound_s=30.0),
    Check("journal", BOARD.journal),
    Check("members", records.members, bound_s=30.0, wait="checking every signature"),
    Check("faces", records.faces, bound_s=30.0),
    Check("fallback", records.fallback, bound_s=30.0),
    Check("spending", records.spending),
    Check("alerts", door.alerts),
    Check("credentials", asking("credentials"), bound_s=30.0, cloud=True, wait="loading boto3, looking for a key"),
    Check("service", asking("service"), bound_s=30.0, cloud=True, wait="asking Amazon Rekognition, up to 10 s"),
    Check("service clock", asking("service_clock", anyway=True), cloud=True),
    Check("collection", asking("collection"), bound_s=30.0, cloud=True, wait="asking Amazon Rekognition"),
    Check("rights", asking("rights"), bound_s=120.0, cloud=True, wait="trying up to 16 harmless calls"),
)
"""Every check, in the order in which they are made; docs/doctor.md explains each."""

DESK = frozenset({"settings", "libraries", "networks", "central", "credentials", "collection", "rights"})
"""Those that are made as well where people are enrolled and no door is."""

ON_GPIO = frozenset({"GPIO chip", "strict_gpiod", "strike", "folder", "contact", "commissioning"})
"""Those of a panel on GPIO."""

AT_CAMERA = frozenset({"media devices", "picamera2"})
"""Those of a Raspberry Pi's camera."""

ON_BOARD = frozenset({"time sources", "systemd", "watchdog", "journal"})
"""Those of a machine that has the one or the other, and so is a door's."""


def applicable(site: Site) -> tuple[Check, ...]:
    """Return the checks that concern this installation.

    Those of the cloud are left out where it may not be asked, those of a door where the settings say that none is here,
    those of hardware where the settings name none.
    """
    asked = (check for check in CHECKS if site.asks_cloud or not check.cloud)
    left_out = _without(site)
    return tuple(
        check
        for check in asked
        if check.name not in left_out and (check.name in DESK or site.settings.records.database)
    )


def _without(site: Site) -> frozenset[str]:
    """Return the checks of hardware that the settings do not name."""
    gpio, camera = site.settings.panel.kind == "gpio", site.settings.camera.kind == "picamera"
    return (
        (frozenset() if gpio else ON_GPIO)
        | (frozenset() if camera else AT_CAMERA)
        | (frozenset() if gpio or camera else ON_BOARD)
    )
