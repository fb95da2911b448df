"""The daemon's side of the strike's guard: starts it, asks it, and replaces one that is dead or does not answer.

It never drives the strike's line itself, and never leaves a guard that does not answer alive: the next one
de-energizes the line before anything else.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event
from typing import IO, TYPE_CHECKING, cast

import structlog

from smileaccess.errors import PanelUnavailable
from smileaccess.panels import strike_guard
from smileaccess.panels.strike_guard import ENERGIZED, FAULT
from smileaccess.workers import ThreadWorker

if TYPE_CHECKING:
    from smileaccess.pins import Pins

GUARD = (sys.executable, "-I", strike_guard.__file__)
"""The guard's program; -I keeps the user's environment and the working directory out of what it imports."""

HEARTBEAT_S = 0.5
ANSWER_S = 0.9
"""Seconds until a guard that does not answer is killed; a call returns within a second."""

START_S = 5.0
"""Seconds until a guard must hold its line: Python and lgpio load within one on the slowest Raspberry Pi."""

RETRY_S = 1.0
"""Seconds between two tries to start a guard anew."""

CLOSE_S = START_S + 5.0
"""Seconds that the end may take, where the guard hangs and another one has to lock the strike."""

NOTE = "strike"
"""The file in $RUNTIME_DIRECTORY that names the strike's line."""

_MARGIN_S = 0.1
_LONGEST_ANSWER = 4096

log = structlog.get_logger(__name__)


def _nobody() -> None:
    """Tell nobody."""


class _Lost(Exception):
    """The guard is dead, does not answer, or says that it cannot do its work."""


class _Process:
    """One guard's process, from its start to its end; one thread."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start it and wait until it holds the line, de-energized; _Lost where it does not."""
        environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(  # noqa: S603 -- our own program; its arguments are checked settings
                command, stdin=pipe, stdout=pipe, env=environment, bufsize=0
            )
        except OSError as error:
            raise _Lost(f"{command[0]}: {error.strerror}") from error
        self._commands = cast("IO[bytes]", self._process.stdin)
        self._answers = cast("IO[bytes]", self._process.stdout)
        self._unread = b""
        try:
            self._answer(time.monotonic() + START_S)
        except _Lost:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, command: str, until: float) -> str:
        """Give a command and return its answer; _Lost when there is none by `until`, on the monotonic clock."""
        with suppress(BrokenPipeError):  # it has ended, and what it said of that is still to be read
            self._commands.write(f"{command}\n".encode())
        return self._answer(until)

    def end(self) -> bool:
        """Close its pipe, upon which it de-energizes and ends; say whether it did."""
        with suppress(OSError):
            self._commands.close()
        try:
            return self._process.wait(ANSWER_S) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill it, whatever it is doing, and wait until the kernel has taken the line from it."""
        self._process.kill()
        self._process.wait()
        with suppress(OSError):
            self._commands.close()
        self._answers.close()

    def _answer(self, until: float) -> str:
        while b"\n" not in self._unread:
            left_s = max(0.0, until - time.monotonic())
            if not select.select([self._answers], [], [], left_s)[0]:
                raise _Lost("it does not answer")
            read = self._answers.read(_LONGEST_ANSWER)
            if not read:
                raise _Lost(self._ending())
            self._unread += read
        line, self._unread = self._unread.split(b"\n", 1)
        answer = line.decode("utf-8", "replace")
        if answer.startswith(FAULT):
            raise _Lost(answer.removeprefix(FAULT))
        return answer

    def _ending(self) -> str:
        """Say how it ended, which it has or is about to."""
        try:
            code = self._process.wait(_MARGIN_S)
        except subprocess.TimeoutExpired:
            return "it closed its pipe"
        return f"it was killed by signal {-code}" if code < 0 else f"it ended with exit code {code}"


class _Request:
    """A command, by when it must have been answered, and the answer once it came."""

    def __init__(self, command: str, answer_s: float) -> None:
        self.command = command
        self.until = time.monotonic() + answer_s
        self._answered = Event()
        self._answer = ""
        self._error = ""

    def answer(self, text: str) -> None:
        self._answer = text
        self._answered.set()

    def fail(self, why: str) -> None:
        self._error = why
        self._answered.set()

    def result(self) -> str:
        """Wait for the answer, on the caller's thread; PanelUnavailable."""
        in_time = self._answered.wait(max(0.0, self.until + _MARGIN_S - time.monotonic()))
        if not in_time or self._error:
            raise PanelUnavailable(f"strike: {self.command}: {self._error or 'its guard is being started anew'}")
        return self._answer


class Guard:
    """The strike of one panel, driven by a process that one thread here talks to; any thread may call."""

    def __init__(
        self,
        pins: Pins,
        *,
        command: Sequence[str] = GUARD,
        answer_s: float = ANSWER_S,
        on_crash: Callable[[], None] = _nobody,
    ) -> None:
        """Take the wiring, and the program to start, to which the line and the cap are given as arguments.

        A guard that has not answered after `answer_s` is killed. `on_crash` is called when the thread fails in a way
        that nobody foresaw, and stops the process.
        """
        self._pins = pins
        self._command = (*command, str(pins.chip), str(pins.strike), pins.strike_active, str(pins.strike_cap_s))
        self._process: _Process | None = None
        self._answer_s = answer_s
        self._on_crash = on_crash
        self._worker: ThreadWorker | None = None
        self._requests: SimpleQueue[_Request | None] = SimpleQueue()
        self._on_lost: Callable[[], None] = _nobody
        self._on_back: Callable[[], None] = _nobody
        self._why = "its guard was not started"
        self._energized = False

    @property
    def running(self) -> bool:
        """Whether it was started and not closed."""
        return self._worker is not None

    @property
    def energized(self) -> bool:
        """Whether the line read energized when it was last asked for, a heartbeat ago at the most."""
        return self._energized

    @property
    def pid(self) -> int | None:
        """The guard's process, None while there is none."""
        process = self._process
        return process.pid if process is not None else None

    def start(self, on_lost: Callable[[], None] = _nobody, on_back: Callable[[], None] = _nobody) -> None:
        """Start the guard, which de-energizes the strike; PanelUnavailable where it cannot hold the line.

        `on_lost` is called when the guard is dead or does not answer, `on_back` when another has taken over; both on
        this guard's thread, and they only enqueue.
        """
        self.close()
        note(self._pins)
        try:
            self._process = _Process(self._command)
        except _Lost as error:
            forget()
            raise PanelUnavailable(f"strike: its guard did not start: {error}") from error
        self._on_lost, self._on_back = on_lost, on_back
        self._requests = SimpleQueue()
        self._worker = ThreadWorker("strike guard", self._on_crash)
        self._worker.submit(self._run)

    def energize(self, for_s: float) -> None:
        """Energize for `for_s` seconds, the cap at the most, in place of an earlier time; within a second.

        PanelUnavailable while the guard is lost, and where the line does not read energized.
        """
        if self._ask(f"energize {max(1, round(for_s * 1000))}") != ENERGIZED:
            raise PanelUnavailable(
                f"strike: gpiochip{self._pins.chip} line {self._pins.strike} reads locked although it is driven: "
                "look for a short"
            )

    def de_energize(self) -> None:
        """De-energize; within a second. PanelUnavailable where the line was not shown to read so."""
        self._ask("de-energize")

    def close(self) -> None:
        """De-energize and end the guard; a guard that does not end is killed, and its line locked by another."""
        worker, self._worker = self._worker, None
        if worker is None:
            return
        self._requests.put(None)
        if not worker.close(CLOSE_S):
            log.error("the strike's guard did not end in time", kind="guard_failed", waited_s=CLOSE_S)
        self._why = "its guard was closed"

    def _ask(self, command: str) -> str:
        if self._worker is None:
            raise PanelUnavailable(f"strike: {command}: {self._why}: start the panel first")
        request = _Request(command, self._answer_s)
        self._requests.put(request)
        return request.result()

    def _run(self) -> None:
        requests, next_try = self._requests, 0.0
        while True:
            try:
                request = requests.get(timeout=HEARTBEAT_S)
            except Empty:
                request = _Request("ping", self._answer_s)
            if request is None:
                self._end()
                return
            if self._process is not None:
                self._put_to(self._process, request)
            else:
                request.fail(f"its guard is lost: {self._why}")
            if self._process is None and time.monotonic() >= next_try:
                self._replace()
                next_try = time.monotonic() + RETRY_S

    def _put_to(self, process: _Process, request: _Request) -> None:
        """Have a request answered, unless it is late: nobody waits any more for a strike that then moves."""
        if time.monotonic() >= request.until:
            request.fail("its guard was busy")
            return
        try:
            answer = process.ask(request.command, request.until)
        except _Lost as error:
            process.kill()
            self._process, self._energized, self._why = None, False, str(error)
            request.fail(f"its guard is lost: {error}")
            log.error(
                "the strike's guard is lost; another is started", kind="guard_failed", error=str(error), pid=process.pid
            )
            self._on_lost()
            return
        self._energized = answer == ENERGIZED
        request.answer(answer)

    def _replace(self) -> None:
        """Start another guard in the place of one that was lost."""
        try:
            self._process = _Process(self._command)
        except _Lost as error:
            if str(error) != self._why:
                log.error(
                    "the strike's guard cannot be started anew; it is tried again",
                    kind="guard_failed",
                    error=str(error),
                )
            self._why = str(error)
            return
        log.warning("the strike's guard is back, and the strike locked", kind="guard_restarted", pid=self._process.pid)
        self._on_back()

    def _end(self) -> None:
        process, self._process, self._energized = self._process, None, False
        if process is None or process.end():
            forget()
            return
        log.error(
            "the strike's guard did not end in order; another one locks the strike",
            kind="guard_failed",
            pid=process.pid,
        )
        try:
            ended = _Process(self._command).end()
        except _Lost as error:
            log.error("the strike may still be energized", kind="strike_stuck", error=str(error))
            return
        if ended:
            forget()


def note(pins: Pins) -> None:
    """Put down in systemd's runtime folder which line the strike hangs on, for a lock without usable settings."""
    place = _place()
    if place is None:
        return
    try:
        place.write_text(f"{pins.chip} {pins.strike} {pins.strike_active}\n", encoding="ascii")
    except OSError as error:
        log.warning("the strike's line cannot be noted", kind="strike_unnoted", file=str(place), error=error.strerror)


def noted() -> tuple[int, int, str] | None:
    """Return chip, line and active level of the strike that a daemon here has driven and not been seen to lock."""
    place = _place()
    if place is None or not place.exists():
        return None
    try:
        chip, line, active = place.read_text(encoding="ascii").split()
        return int(chip), int(line), active
    except (OSError, ValueError) as error:
        raise PanelUnavailable(f"{place}: does not name the strike's line ({error}): remove it") from error


def forget() -> None:
    """Take the note away, since the strike is locked and nobody drives it any more."""
    place = _place()
    if place is not None:
        with suppress(OSError):
            place.unlink()


def _place() -> Path | None:
    """Return the note's file; None where no supervisor gave us a folder (systemd: RuntimeDirectory=)."""
    folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(folder) / NOTE if folder else None
