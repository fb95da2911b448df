"""Puts a finished file in its place so that it survives a power cut; it never overwrites."""

from __future__ import annotations

import os
from pathlib import Path


def put_in_place(temporary: Path, path: Path) -> None:
    """Give a file that was written and synced its name, durably, and drop its temporary one (same directory).

    FileExistsError where something has that name already; OSError. The temporary name is gone either way.
    """
    try:
        os.link(temporary, path)
    finally:
        temporary.unlink()
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
