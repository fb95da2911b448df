"""What a rig's scenes share, inside the machine: commands, the simulated lines, waiting, and what is reported.

It runs on the machine's own Python, with its standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

SHARE = Path("/rig")
RESULTS = SHARE / "results.jsonl"
UNIT = "smileaccess.service"
CONFIG = Path("/etc/smileaccess/smileaccess.toml")
DATABASE = Path("/var/lib/smileaccess/smileaccess.db")

PATIENCE_S = 60.0
"""How long anything may take: an emulated machine is slow, and has moments in which it is slower."""

Found = TypeVar("Found")


class Failed(Exception):
    """A scene did not go as it should."""


def check(right: object, *seen: object) -> None:
    """Fail the scene, with what was seen, unless something is right."""
    if not right:
        raise Failed(" ".join(str(each) for each in seen) or "not as it should be")


def until(look: Callable[[], Found], what: str = "", *, within_s: float = PATIENCE_S, pause_s: float = 0.002) -> Found:
    """Return the first true thing that `look` finds; Failed, with `what` was waited for, when there is none in time."""
    deadline = time.monotonic() + within_s
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise Failed(f"{what or look.__name__}: not within {within_s:g} s")
        time.sleep(pause_s)


def run(*command: str | Path, right: Sequence[int] = (0,), env: dict[str, str] | None = None) -> str:
    """Run a command to its end and return its output; Failed where its exit code is not right."""
    done = subprocess.run(
        [str(each) for each in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE_S,
        check=False,
        env={**os.environ, **(env or {})},
    )
    if done.returncode not in right:
        words = " ".join(map(str, command))
        raise Failed(f"{words}: exit code {done.returncode}: {(done.stdout + done.stderr)[-800:]}")
    return done.stdout


def told(name: str) -> str:
    """Return one property of the door's unit."""
    return run("systemctl", "show", UNIT, f"--property={name}", "--value").strip()


def main_pid() -> int:
    return int(told("MainPID"))


def children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def guard_pid() -> int | None:
    """Return the process of the strike's guard; None while there is none."""
    for pid in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"strike_guard.py" in (pid / "cmdline").read_bytes():
                return int(pid.name)
    return None


def journal(*matches: str, since: str = "") -> list[dict[str, Any]]:
    """Return the journal's entries that fit, oldest first."""
    run("journalctl", "--sync")
    more = [f"--after-cursor={since}"] if since else []
    out = run("journalctl", "--no-pager", "--output=json", "--unit=smileaccess", *more, *matches, right=(0, 1))
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def cursor() -> str:
    """Return where the journal ends now."""
    out = run("journalctl", "--no-pager", "--output=json", "--lines=1")
    return str(json.loads(out)["__CURSOR"])


def rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Read the door's own record."""
    with closing(sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True)) as db:
        return db.execute(sql, values).fetchall()


def attempts() -> list[tuple[Any, ...]]:
    """Return id, outcome and reason of every attempt, oldest first."""
    return rows("SELECT id, outcome, reason FROM attempts ORDER BY opened_at, id")


def wait_for_end(before: int) -> tuple[str, str | None]:
    """Wait until there is one attempt more than `before`, and it has ended; return its outcome and reason."""

    def ended() -> tuple[Any, ...] | None:
        found = attempts()
        return found[-1] if len(found) > before and found[-1][1] else None

    _, outcome, reason = until(ended, pause_s=0.1)
    return outcome, reason


@contextmanager
def settings(**changes: str) -> Iterator[None]:
    """Let the door run with other settings while this lasts: lines of TOML, by the section they stand in."""
    before = CONFIG.read_text(encoding="utf-8")
    CONFIG.write_text(changed(before, changes), encoding="utf-8")
    try:
        run("systemctl", "restart", UNIT)
        yield
    finally:
        CONFIG.write_text(before, encoding="utf-8")
        run("systemctl", "restart", UNIT)


def changed(text: str, changes: dict[str, str]) -> str:
    """Return the settings with lines put after their sections' heads, in the place of those of the same names."""
    for section, lines in changes.items():
        names = {line.split(" = ")[0] for line in lines.splitlines()}
        kept, inside = [], ""
        for line in text.splitlines():
            if line.startswith("["):
                inside = line.strip("[]")
            if inside == section and line.split(" = ")[0] in names:
                continue
            kept.append(line)
            if line == f"[{section}]":
                kept += lines.splitlines()
        text = "\n".join(kept) + "\n"
    return text


def milliseconds(times: Sequence[float]) -> str:
    """Say how long something took: median, 99 of 100, and the longest."""
    ordered = sorted(times)
    late = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return f"median {statistics.median(ordered) * 1000:.1f} ms, p99 {late * 1000:.1f}, max {ordered[-1] * 1000:.1f}"


class Show:
    """Runs scenes one after the other and reports each, so that the host hears of it at once."""

    def __init__(self) -> None:
        self.failed = 0

    def scene(self, act: Callable[[], object]) -> None:
        """Play a scene; what its docstring says is its claim, what it returns is what was seen."""
        began = time.monotonic()
        name = (act.__doc__ or act.__name__).strip()
        try:
            seen, right = act(), True
        except (Failed, OSError, subprocess.SubprocessError, sqlite3.Error, ValueError, KeyError, IndexError) as error:
            seen, right = f"{type(error).__name__}: {error}\n{last_words()}", False
            self.failed += 1
        report(name, right=right, seen="" if seen is None else str(seen), took_s=round(time.monotonic() - began, 1))


def last_words() -> str:
    """Return the last lines of the door's journal."""
    with suppress(Failed):
        return run("journalctl", "--no-pager", "--unit=smileaccess", "--lines=16", "--output=short-monotonic")
    return ""


def report(name: str, *, right: bool, seen: str, took_s: float = 0.0) -> None:
    line = {"name": name, "right": right, "seen": seen, "took_s": took_s}
    with RESULTS.open("a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")
        out.flush()
        os.fsync(out.fileno())


def kill(pid: int, number: signal.Signals) -> None:
    os.kill(pid, number)
