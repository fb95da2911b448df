"""What a check finds, and the running of checks, each by itself and for a bounded time; it looks at nothing itself.

No key ever passes: whatever looks like an AWS key's id is cut to its last four characters.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from smileaccess.errors import SettingsError, SmileAccessError

if TYPE_CHECKING:
    from pathlib import Path

    from smileaccess.doctor.site import Site

LONGEST = 400
"""Characters of what is found: an answer of the service's may quote a whole request."""

_KEY_ID = re.compile(r"\bA[A-Z]{3}[A-Z0-9]{8,}([A-Z0-9]{4})\b")
"""An AWS access key's id: four letters that say what it is (AKIA, ASIA), and 16 more characters or so."""


class Level(StrEnum):
    """How it stands: nothing to do, something to know, or something to mend."""

    FINE = "fine"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a check found; `advice` says what to do, empty where there is nothing."""

    level: Level
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A remark, and whose it is."""

    check: str
    level: Level
    found: str
    advice: str


Look = Callable[["Site"], Iterable[Remark]]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at; a `cloud` one asks Amazon Rekognition, and `wait` tells people what takes its time."""

    name: str
    look: Look
    bound_s: float = 15.0
    cloud: bool = False
    wait: str = ""


def fine(found: str) -> Remark:
    """Say that something is as it should be."""
    return Remark(Level.FINE, found)


def warning(found: str, advice: str) -> Remark:
    """Say what the owner should know, and what to do about it."""
    return Remark(Level.WARNING, found, advice)


def fault(found: str, advice: str) -> Remark:
    """Say what keeps the door from working, and how to mend it."""
    return Remark(Level.FAULT, found, advice)


def told(error: SmileAccessError, prefix: str = "") -> Remark:
    """Return an error of ours as a fault: what it names last is what to do."""
    found, _, advice = str(error).removeprefix(prefix).rpartition(": ")
    return fault(found or advice, advice)


def findings_of(
    check: Check, site: Site, on_crash: Callable[[Exception], None] = lambda _error: None
) -> Iterator[Finding]:
    """Run one check and yield what it finds as it finds it; it never raises, and ends within the check's bound.

    One that takes longer is left behind on its thread. `on_crash` hears what nobody foresaw.
    """
    found: SimpleQueue[Remark | None] = SimpleQueue()
    args = (check, site, found.put, on_crash)
    threading.Thread(target=_look, args=args, name=f"doctor {check.name}", daemon=True).start()
    deadline = time.monotonic() + check.bound_s
    while True:
        try:
            remark = found.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            remark = fault(f"not done within {check.bound_s:g} s", "look at the load of this machine, and try again")
            yield _finding(check.name, remark)
            return
        if remark is None:
            return
        yield _finding(check.name, remark)


def settings_findings(error: SettingsError, path: Path) -> list[Finding]:
    """Return settings that cannot be read as findings, one for each problem."""
    advice = f"correct {path}; every setting is explained by `smileaccess config example`"
    problems = [problem.removeprefix("settings: ") for problem in error.problems]
    return [_finding("settings", fault(problem, advice)) for problem in problems]


def _look(
    check: Check, site: Site, put: Callable[[Remark | None], None], on_crash: Callable[[Exception], None]
) -> None:
    try:
        for remark in check.look(site):
            put(remark)
    except SmileAccessError as error:
        put(told(error))
    # The thread's root, and the wall between checks: what nobody foresaw in one must not keep the others from looking.
    except Exception as error:  # noqa: BLE001
        on_crash(error)
        advice = "please report it with what --debug shows"
        put(fault(f"unforeseen: {type(error).__name__}: {error}", advice))
    finally:
        put(None)


def _finding(name: str, remark: Remark) -> Finding:
    return Finding(name, remark.level, _shown(remark.found), _shown(remark.advice))


def _shown(text: str) -> str:
    """Return a text in one line of bounded length, without the id of any key."""
    line = _KEY_ID.sub(r"...\1", " ".join(text.split()))
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
