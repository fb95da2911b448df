"""Puts a finished file in its place so that it survives a power cut; it never overwrites."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_new(path: Path, text: str, mode: int) -> None:
    """Write a new ASCII file whole or not at all, durably, with this mode whatever the umask.

    FileExistsError where something has that name already; OSError.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            os.fchmod(handle, mode)
            file.write(text)
            file.flush()
            os.fsync(handle)
    except BaseException:
        temporary.unlink()
        raise
    put_in_place(temporary, path)


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
