"""The wheel that the rigs install: built of the checkout as it stands."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.rig.debian import run, say

PROJECT = Path(__file__).parent.parent.parent
PARTS = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "smileaccess", "config", "sql", "systemd")


def make_wheel(scratch: Path) -> Path:
    """Build it of a copy, since building leaves files behind, and return where it is."""
    say("building the wheel")
    source = scratch / "source"
    source.mkdir()
    for part in PARTS:
        place = PROJECT / part
        if place.is_dir():
            shutil.copytree(place, source / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(place, source / part)
    run(sys.executable, "-m", "build", "--wheel", "--outdir", scratch / "wheel", source)
    return next((scratch / "wheel").glob("*.whl"))
