"""Holds the strike's line as a process of its own; it never energizes longer than its cap, whatever the daemon does.

    python -I strike_guard.py CHIP LINE ACTIVE CAP_S

Commands come in on standard input and each is answered on standard output, a line each: `energize MILLISECONDS`,
`de-energize` and `ping`; the answer is what the line reads afterward, `energized` or `locked`. It begins with
`locked` once the line is held. The line is de-energized at the start, on the command, when the time of the last
command or the cap is over, when standard input ends, and on anything unforeseen; then, and where the line cannot be
driven, the last answer is `fault: ` and why. Exit codes: 0 standard input ended, 1 a fault, 2 wrong usage.

It stands alone: the standard library and lgpio, nothing of ours, so that it starts fast and can be read in a minute.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

ENERGIZED, LOCKED, FAULT = "energized", "locked", "fault: "

_LONGEST_COMMAND = 64
_READS = 20
"""How often a line is read until it shows what was written: a filter on it may need some microseconds."""

_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGABRT)
"""What a supervisor or a terminal sends to the whole group; the end of standard input is what ends the guard."""


class StrikeFault(Exception):
    """The line cannot be driven, or what came in was no command; the message says which, and what to do."""


class Line:
    """A line of a GPIO chip, claimed as an output that is inactive; StrikeFault from everything."""

    def __init__(self, chip: int, line: int, active: str) -> None:
        self._name = f"gpiochip{chip} line {line}"
        self._line = line
        self._on = int(active == "high")
        self._lgpio = self._load()
        try:
            self._handle = self._lgpio.gpiochip_open(chip)
        except self._lgpio.error as error:
            raise StrikeFault(
                f"{self._name}: {error.value}: check /dev/gpiochip{chip}, and that this user is in group gpio"
            ) from error
        try:
            self._lgpio.gpio_claim_output(self._handle, line, 1 - self._on)
        except self._lgpio.error as error:
            self._lgpio.gpiochip_close(self._handle)
            raise StrikeFault(
                f"{self._name}: {error.value}: stop what else holds it (a running smileaccess, another program)"
            ) from error

    def set(self, energized: bool) -> bool:
        """Drive the line and return whether it then reads energized; StrikeFault where it cannot be de-energized."""
        level = self._on if energized else 1 - self._on
        try:
            self._lgpio.gpio_write(self._handle, self._line, level)
            shown = any(self._lgpio.gpio_read(self._handle, self._line) == level for _ in range(_READS))
        except self._lgpio.error as error:
            raise StrikeFault(f"{self._name}: {error.value}") from error
        if not energized and not shown:
            raise StrikeFault(f"{self._name}: reads energized although it is driven the other way: look for a short")
        return energized and shown

    def read(self) -> bool:
        """Return whether the line reads energized."""
        try:
            return bool(self._lgpio.gpio_read(self._handle, self._line) == self._on)
        except self._lgpio.error as error:
            raise StrikeFault(f"{self._name}: {error.value}") from error

    def close(self) -> None:
        """Let go of the line; what its level is from then on is the kernel's choice."""
        with suppress(self._lgpio.error):
            self._lgpio.gpiochip_close(self._handle)

    def _load(self) -> Any:
        try:
            import lgpio  # noqa: PLC0415 -- its import starts a thread and writes a pipe
        except ModuleNotFoundError as error:
            raise StrikeFault(f"{self._name}: lgpio is not installed: apt install python3-lgpio") from error
        except OSError as error:
            here = Path("/proc/self/cwd").readlink()
            raise StrikeFault(
                f"{self._name}: lgpio cannot write its pipe .lgd-nfy* into {here}: start this in a writable folder"
            ) from error
        return lgpio


def lock(chip: int, line: int, active: str) -> str:
    """Claim the line as an inactive output, read it back, and let go of it; return what it read.

    StrikeFault where the line is busy, cannot be driven, or reads energized all the same.
    """
    claimed = Line(chip, line, active)
    try:
        claimed.set(energized=False)
    finally:
        claimed.close()
    return LOCKED


def hold(line: Line, commands: int, answers: int, cap_s: float) -> None:
    """Do what is commanded until `commands` ends; both are file descriptors. StrikeFault for what is no command."""
    until: float | None = None
    unread = b""
    line.set(energized=False)
    _answer(answers, LOCKED)
    while True:
        left_s = None if until is None else until - time.monotonic()
        if left_s is not None and left_s <= 0:
            until = None
            line.set(energized=False)
        elif b"\n" in unread:
            command, unread = unread.split(b"\n", 1)
            until = _obey(line, command, answers, until, cap_s)
        elif select.select([commands], [], [], left_s)[0]:
            read = os.read(commands, _LONGEST_COMMAND)
            if not read:
                return
            unread += read
            if len(unread) > 2 * _LONGEST_COMMAND:
                raise StrikeFault(f"a command of {len(unread)} bytes")


def _obey(line: Line, command: bytes, answers: int, until: float | None, cap_s: float) -> float | None:
    """Do one command and answer it; return until when the strike is energized now."""
    match command.split():
        case [b"energize", milliseconds] if milliseconds.isdigit():
            for_s = min(int(milliseconds) / 1000, cap_s)
            energized = line.set(energized=True)
            if not energized:
                line.set(energized=False)
            until = time.monotonic() + for_s if energized else None
        case [b"de-energize"]:
            energized, until = line.set(energized=False), None
        case [b"ping"]:
            energized = line.read()
        case _:
            raise StrikeFault(f"{command!r} is no command")
    _answer(answers, ENERGIZED if energized else LOCKED)
    return until


def _answer(answers: int, text: str) -> None:
    os.write(answers, f"{text}\n".encode())


def _survive() -> None:
    """Outlive the signals that end a whole group, and be the last to go where memory runs out."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):  # only root may; for others the unit's OOMScoreAdjust holds
        Path("/proc/self/oom_score_adj").write_text("-1000", encoding="ascii")


def _parsed(arguments: list[str]) -> tuple[int, int, str, float]:
    chip, line, active, cap_s = arguments
    if active not in {"high", "low"} or not 0 < float(cap_s) < float("inf"):
        raise ValueError(arguments)
    return int(chip), int(line), active, float(cap_s)


def main(arguments: list[str]) -> int:
    """Guard the line until standard input ends; return the exit code."""
    _survive()
    try:
        chip, number, active, cap_s = _parsed(arguments)
    except ValueError:
        sys.stderr.write("usage: strike_guard CHIP LINE high|low CAP_S\n")
        return 2
    try:
        line = Line(chip, number, active)
        try:
            hold(line, sys.stdin.fileno(), sys.stdout.fileno(), cap_s)
        finally:
            line.set(energized=False)
    except StrikeFault as error:
        with suppress(BrokenPipeError):
            _answer(sys.stdout.fileno(), f"{FAULT}{error}")
        return 1
    except BrokenPipeError:
        pass  # nobody hears the answers any more, which is as good as an end of the commands
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
