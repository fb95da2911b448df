"""Which line of the GPIO chip is what, and which wirings are refused; it touches no line.

Numbers are those of the GPIO (BCM), not of the header's pins; `NONE` is a part that is not there.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

Level = Literal["high", "low"]

NONE = -1

EEPROM = (0, 1)
"""They belong to the identification of add-on boards (Raspberry Pi: HAT design guide)."""

I2C = (2, 3)
"""The board pulls these up by 1.8 kilohms, whatever the chip is told (Raspberry Pi: schematics)."""

PULLED_UP = range(9)
"""At power-up these are pulled up, and those from 9 on down (BCM2711 ARM Peripherals, table 94; RP1 alike)."""

CONSOLE = 14
"""The serial console's transmit line, which idles high from the boot loader on where the console is enabled."""

INPUTS = ("entry", "approach", "rex", "contact", "tamper", "fire")
LOOPS = ("contact", "tamper", "fire")
"""Inputs whose wire is closed at rest."""

LAMPS = ("green", "amber", "red", "blue")
PARTS = ("strike", *INPUTS, *LAMPS, "buzzer")
"""Every part that may have a line, by its name in the settings."""

_ACTIVE = {
    "entry": "entry_active",
    "approach": "approach_active",
    "rex": "rex_active",
    "contact": "contact_open",
    "tamper": "tamper_active",
    "fire": "fire_active",
}


@dataclass(frozen=True, slots=True)
class Pins:
    """What hangs on which line of /dev/gpiochip`chip`; times are seconds.

    `strike_active` is the level that energizes the strike; an input's level is the one that says yes, and the line is
    pulled to the other one, but for `contact`, `tamper` and `fire`, which are pulled to it, so that a cut wire reads
    open, tampered or on fire. `strike_cap_s` is the longest that the strike's guard energizes for one command.
    """

    chip: int = 0
    strike: int = NONE
    strike_active: Level = "high"
    strike_cap_s: float = 10.0
    entry: int = NONE
    entry_active: Level = "low"
    approach: int = NONE
    approach_active: Level = "high"
    rex: int = NONE
    rex_active: Level = "low"
    contact: int = NONE
    contact_open: Level = "high"
    tamper: int = NONE
    tamper_active: Level = "high"
    fire: int = NONE
    fire_active: Level = "high"
    lamps: Literal["three", "rgb"] = "three"
    green: int = NONE
    amber: int = NONE
    red: int = NONE
    blue: int = NONE
    lamps_active: Level = "high"
    buzzer: int = NONE
    buzzer_kind: Literal["active", "tonal"] = "active"
    buzzer_active: Level = "high"
    debounce_s: float = 0.03
    stuck_s: float = 30.0
    approach_stuck_s: float = 600.0

    def connected(self) -> dict[str, int]:
        """Return the line of every part that is there, by the part's name."""
        return {part: line for part in PARTS if (line := getattr(self, part)) != NONE}

    def active(self, part: str) -> Level:
        """Return the level at which an input says yes."""
        level: Level = getattr(self, _ACTIVE[part])
        return level

    def pulled(self, part: str) -> Level:
        """Return the level that an input's line is pulled to."""
        if part in LOOPS:
            return self.active(part)
        return "low" if self.active(part) == "high" else "high"


def problems(pins: Pins) -> list[str]:
    """Return everything that is wrong with a wiring, each as `[gpio] name = value: what it must be`."""
    return [*_strike(pins), *_reserved(pins), *_shared(pins), *_lamps(pins), *_inputs(pins)]


def _strike(pins: Pins) -> list[str]:
    line = pins.strike
    if line == NONE:
        return ["[gpio] strike = -1: must name the line of the strike's relay"]
    if line == CONSOLE:
        return [f"[gpio] strike = {line}: must be another line: the serial console drives this one high at boot"]
    at_boot: Level = "high" if line in PULLED_UP else "low"
    if at_boot == pins.strike_active and line not in EEPROM:
        lines = "9 to 27" if pins.strike_active == "high" else "4 to 8"
        return [
            f"[gpio] strike = {line}: must be one of {lines}: this one is pulled {at_boot} at boot, which "
            f'with strike_active = "{pins.strike_active}" energizes the strike'
        ]
    return []


def _reserved(pins: Pins) -> list[str]:
    return [
        f"[gpio] {part} = {line}: must be 2 to 27: GPIO 0 and 1 identify add-on boards"
        for part, line in pins.connected().items()
        if line in EEPROM
    ]


def _shared(pins: Pins) -> list[str]:
    parts = defaultdict(list)
    for part, line in pins.connected().items():
        parts[line].append(part)
    return [
        f"[gpio] {part} = {line}: must be another line: {first} has this one"
        for line, (first, *others) in parts.items()
        for part in others
    ]


def _lamps(pins: Pins) -> list[str]:
    found = []
    if pins.lamps == "three" and pins.blue != NONE:
        found.append(f'[gpio] blue = {pins.blue}: must be -1 with lamps = "three", which are green, amber and red')
    if pins.lamps == "rgb":
        if pins.amber != NONE:
            found.append(f'[gpio] amber = {pins.amber}: must be -1 with lamps = "rgb", where it is red and green')
        found += [
            f'[gpio] {part} = -1: must name its line with lamps = "rgb"'
            for part in ("red", "green")
            if getattr(pins, part) == NONE
        ]
    return found


def _inputs(pins: Pins) -> list[str]:
    return [
        f'[gpio] {part} = {line}: must be another line with {_ACTIVE[part]} = "{pins.active(part)}": '
        "it has to be pulled down, and the board pulls this one up"
        for part in INPUTS
        if (line := getattr(pins, part)) in I2C and pins.pulled(part) == "low"
    ]
