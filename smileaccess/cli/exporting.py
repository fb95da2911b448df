"""Writes attempts as CSV or JSON lines; it never overwrites a file, and no cell becomes a spreadsheet's formula."""

from __future__ import annotations

import csv
import json
import os
import secrets
import sys
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

from smileaccess.cli.common import plain
from smileaccess.durable import put_in_place
from smileaccess.errors import SmileAccessError
from smileaccess.model import Attempt
from smileaccess.records.plain import attempt_to_plain

_FORMULA = ("=", "+", "-", "@")


def write(attempts: Iterable[Attempt], kind: str, output: Path | None) -> int:
    """Write attempts to a new file, whole or not at all (mode 0600), or to standard output; return how many.

    `kind` is csv or jsonl. SmileAccessError where the file exists or cannot be written.
    """
    if output is None:
        return _write(attempts, kind, sys.stdout)
    temporary = output.with_name(f".{output.name}.{secrets.token_hex(4)}")
    try:
        count = _write_file(attempts, kind, temporary)
        put_in_place(temporary, output)
    except FileExistsError as error:
        raise SmileAccessError(f"export: {output}: exists: give another name") from error
    except OSError as error:
        raise SmileAccessError(f"export: {output}: {error.strerror}: give a place that you may write") from error
    finally:
        temporary.unlink(missing_ok=True)
    return count


def harmless(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula and no terminal for a command."""
    if not isinstance(value, str):
        return value
    text = plain(value)
    return "'" + text if text.startswith(_FORMULA) else text


def _write_file(attempts: Iterable[Attempt], kind: str, path: Path) -> int:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        count = _write(attempts, kind, file)
        file.flush()
        os.fsync(handle)
    return count


def _write(attempts: Iterable[Attempt], kind: str, file: IO[str]) -> int:
    return _write_csv(attempts, file) if kind == "csv" else _write_jsonl(attempts, file)


def _write_jsonl(attempts: Iterable[Attempt], file: IO[str]) -> int:
    count = 0
    for count, attempt in enumerate(attempts, 1):  # noqa: B007 -- the count is the result
        file.write(json.dumps(attempt_to_plain(attempt)) + "\n")
    return count


def _write_csv(attempts: Iterable[Attempt], file: IO[str]) -> int:
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    count = 0
    for count, attempt in enumerate(attempts, 1):  # noqa: B007 -- the count is the result
        cells = attempt_to_plain(attempt)
        writer.writerow([harmless(_cell(cells[name])) for name in COLUMNS])
    return count


COLUMNS = tuple(field.name for field in fields(Attempt))
"""The columns of a CSV file, in order; `stages_ms` and `detail` are JSON."""


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value
