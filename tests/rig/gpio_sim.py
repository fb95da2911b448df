"""Takes gpio-sim out of the kernel's sources and gives it one parameter more.

`keep` says whether a line that is released keeps its level, as on a Raspberry Pi, or drops to what pulls at it, as the
kernel's own simulator does.

    python3 gpio_sim.py linux-source.tar.xz FOLDER
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCES = ("drivers/gpio/gpio-sim.c", "kernel/irq/irq_sim.c")

RELEASE = "__assign_bit(offset, chip->value_map,"
MAKEFILE = "obj-m := gpio_sim_rig.o\ngpio_sim_rig-y := gpio-sim.o irq_sim.o\n"


def replaced(text: str, old: str, new: str) -> str:
    """Replace what must stand there once."""
    if text.count(old) != 1:
        raise SystemExit(f"gpio-sim: {old!r} stands {text.count(old)} times in this kernel's source, not once")
    return text.replace(old, new)


def main(archive: Path, folder: Path) -> None:
    """Write the sources of the module into a folder."""
    top = archive.name.removesuffix(".tar.xz")
    names = [f"{top}/{each}" for each in SOURCES]
    subprocess.run(["tar", "xJf", archive, "-C", folder, "--strip-components=3", *names], check=True)
    simulator, interrupts = folder / "gpio-sim.c", folder / "irq_sim.c"
    before, after = simulator.read_text().split("static void gpio_sim_free(")
    free, rest = after.split("\n}\n", 1)
    free = replaced(free, RELEASE, f"if (!keep)\n\t\t\t{RELEASE}")
    parameter = "static bool keep;\nmodule_param(keep, bool, 0644);\n\n"
    simulator.write_text(f"{before}{parameter}static void gpio_sim_free({free}\n}}\n{rest}")
    # irq_to_desc() is not exported to modules; this does the same.
    text = replaced(interrupts.read_text(), "handle_simple_irq(irq_to_desc(irqnum));", "generic_handle_irq(irqnum);")
    interrupts.write_text(text)
    (folder / "Makefile").write_text(MAKEFILE)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
