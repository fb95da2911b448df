"""The kernel's simulated GPIO chip: its lines are pulled like a person's hand, and read like a lamp or a relay."""

from __future__ import annotations

import time
from pathlib import Path

CONFIGFS = Path("/sys/kernel/config/gpio-sim/rig")
KEEP = Path("/sys/module/gpio_sim_rig/parameters/keep")

STRIKE, ENTRY, CONTACT, REX, APPROACH, TAMPER = 17, 5, 6, 13, 19, 26
GREEN, AMBER, RED, BUZZER = 22, 23, 24, 25
"""As docs/wiring.md recommends."""

SPARE = (20, 21)
"""Lines that no part of the door hangs on: a button and an LED of the rig's own."""

RESTING = {ENTRY: True, APPROACH: False, REX: True, CONTACT: False, TAMPER: False}
"""The level of each input where nobody does anything: buttons open, sensor still, loops closed."""


class Chip:
    """One chip of as many lines as a Raspberry Pi's."""

    def __init__(self) -> None:
        bank = CONFIGFS / "bank0"
        if not bank.exists():
            bank.mkdir(parents=True)
            (bank / "num_lines").write_text("54")
            (bank / "label").write_text("pinctrl-bcm2711")
            (CONFIGFS / "live").write_text("1")
        device = (CONFIGFS / "dev_name").read_text().strip()
        self._folder = Path("/sys/devices/platform") / device / (bank / "chip_name").read_text().strip()
        self.rest()

    def pull(self, line: int, *, high: bool) -> None:
        """Pull at an input, from outside."""
        (self._folder / f"sim_gpio{line}" / "pull").write_text("pull-up" if high else "pull-down")

    def high(self, line: int) -> bool:
        """Return a line's level as the kernel has it."""
        return (self._folder / f"sim_gpio{line}" / "value").read_text().strip() == "1"

    def rest(self) -> None:
        """Let go of everything; whoever claims an input pulls at it too, and so undoes this."""
        for line, high in RESTING.items():
            self.pull(line, high=high)

    def press(self, line: int, for_s: float = 0.1) -> float:
        """Press a button for a while; return when it began, in monotonic seconds."""
        began = time.monotonic()
        self.pull(line, high=not RESTING[line])
        time.sleep(for_s)
        self.pull(line, high=RESTING[line])
        return began

    @staticmethod
    def keep(keep: bool) -> None:
        """Let lines keep their level when whoever held them lets go, as a Raspberry Pi's kernel does, or drop it."""
        KEEP.write_text("1" if keep else "0")
