"""What the panel reports beside people's wishes, and how it is told; it decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from smileaccess.model import DoorInput

REPORTS: Mapping[DoorInput, tuple[str, str]] = MappingProxyType(
    {
        DoorInput.DOOR_OPENED: ("info", "the door was opened"),
        DoorInput.DOOR_CLOSED: ("info", "the door was closed"),
        DoorInput.TAMPERED: ("error", "the box was opened, or its tamper loop was cut"),
        DoorInput.TAMPER_CLEARED: ("warning", "the tamper loop is closed again"),
        DoorInput.FIRE: ("error", "the fire alarm says that there is a fire; the way out is the handle"),
        DoorInput.FIRE_CLEARED: ("warning", "the fire alarm is over"),
        DoorInput.ENTRY_STUCK: ("warning", "the entry button is stuck: it counts for nothing until it is released"),
        DoorInput.ENTRY_FREED: ("info", "the entry button is released again"),
        DoorInput.APPROACH_STUCK: ("warning", "the approach sensor is stuck: it counts for nothing until it rests"),
        DoorInput.APPROACH_FREED: ("info", "the approach sensor rests again"),
        DoorInput.REX_STUCK: ("warning", "the request to exit is stuck: it opens again only after it was released"),
        DoorInput.REX_FREED: ("info", "the request to exit is released again"),
        DoorInput.STRIKE_LOST: ("error", "the strike's guard is gone: nobody is let in until it is back"),
        DoorInput.STRIKE_BACK: ("warning", "the strike's guard is back, and the strike was driven to locked"),
    }
)
"""The level of the log line, and what it says; the input's own name is the kind of the event on record."""
