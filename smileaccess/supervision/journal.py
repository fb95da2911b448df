"""What is logged, and how it looks: fields in systemd's journal, text on a terminal, JSON in a pipe.

A log that cannot be written, or that nobody reads, never holds up or ends the door: lines are dropped, and counted.
It never shows an image, a template, a secret, or the values that a function held when it failed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path
from queue import Full, Queue
from typing import Any, Generic, TextIO, TypeVar

import structlog

from smileaccess.errors import Unavailable
from smileaccess.messages import MESSAGES, kind_of, message_id
from smileaccess.supervision.receivers import wait_for_room

MOST_WAITING = 2000
"""Lines that may wait to be written; a door at work logs a few a second."""

LAST_WORDS_S = 2.0
"""How long the end of the process waits for what is not written yet, in seconds."""

PLAIN = frozenset(
    {"outcome", "reason", "member_id", "attempt_id", "similarity", "duration_ms", "door", "recognizer", "chain", "kind"}
)
"""What stands in the journal under its own name, in capitals; all else has SMILEACCESS_ before it."""

UNSAID = frozenset({"door", "attempt_id", "chain", "kind"})
"""What the journal's sentence leaves to the fields; an attempt's own sentence says all else of PLAIN."""

PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""syslog's numbers (RFC 5424, 6.2.1) for the levels; 5, notice, is a refusal's by the table of messages."""

JOURNAL = "/run/systemd/journal/socket"
"""Where journald listens; systemd's library has the same path built in."""

_LONGEST_NAME = 64  # of a field: journald drops longer ones

_LISTENERS: list[Callable[[Mapping[str, Any]], object]] = []

Line = TypeVar("Line")
Fields = dict[str, str]


class Outlet(Generic[Line]):
    """Takes lines at once, from any thread, and hands them on by a thread of its own."""

    def __init__(self, write: Callable[[Line], object], loss: Callable[[int], Line]) -> None:
        """Take what writes a line for good, and what to write of lines that were lost, and start the thread."""
        self._write = write
        self._loss = loss
        self._lines: Queue[Line] = Queue(MOST_WAITING)
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def take(self, line: Line) -> None:
        """Take a line to be written; one that finds no room is dropped and counted."""
        try:
            self._lines.put_nowait(line)
        except Full:
            self._lost += 1

    def drain(self, within_s: float = LAST_WORDS_S) -> bool:
        """Wait until everything has been written, but no longer; say whether it has."""
        deadline = time.monotonic() + within_s
        with self._lines.all_tasks_done:
            while self._lines.unfinished_tasks:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                self._lines.all_tasks_done.wait(left_s)
        return True

    def _run(self) -> None:
        while True:
            self._hand_on(self._lines.get())
            self._lines.task_done()

    def _hand_on(self, line: Line) -> None:
        try:
            self._write(line)
        except (OSError, ValueError):
            self._lost += 1  # a full disk, a reader that went away, a stream that was closed
            return
        lost = self._lost
        if lost:
            with contextlib.suppress(OSError, ValueError):
                self._write(self._loss(lost))
                self._lost -= lost


class _Mouth:
    """What structlog hands a finished line to, under the name of its level."""

    def __init__(self, take: Callable[[Any], None]) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = take


@contextlib.contextmanager
def writing(level: str, form: str, stream: TextIO | None = None, *, door: str = "") -> Iterator[None]:
    """Log as `configure` says while this context lasts, and let what waits at its end be written."""
    outlet = configure(level, form, stream, door=door)
    try:
        yield
    finally:
        outlet.drain()


def configure(
    level: str,
    form: str,
    stream: TextIO | None = None,
    *,
    door: str = "",
    send: Callable[[Mapping[str, str]], object] | None = None,
) -> Outlet[Any]:
    """Send every log line of the process to where `form` says, from `level` on.

    `form` is journal, text, json (both to `stream`, else to standard error), or auto: the journal where standard error
    is connected to it, text on a terminal, json in a pipe. In the journal each line carries the `door`, and goes there
    by `send`: systemd's library where none is given, and Unavailable where that is not installed. Call it before any
    other thread starts; `drain` the outlet before the process, or the stream, ends.
    """
    if form == "journal" or (form == "auto" and stream is None and connected(os.environ, sys.stderr)):
        told = Outlet(send or _journald(), _loss_as_fields)
        _configure(level, [structlog.processors.format_exc_info, _AsFields(door)], told)
        return told
    # Where standard error was closed there is nobody to tell.
    stream = stream or sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 -- lives as long as we
    text = form == "text" or (form == "auto" and stream.isatty())
    outlet = Outlet(_written_to(stream), _loss_as_text if text else _loss_as_json)
    # Rich's tracebacks would show the values of local variables: keys, names, embeddings.
    as_text = structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)
    as_json = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    stamped = structlog.processors.TimeStamper(fmt="iso", utc=True)
    _configure(level, [stamped, *([as_text] if text else as_json)], outlet)
    return outlet


def connected(environ: Mapping[str, str], stream: TextIO | None) -> bool:
    """Say whether a stream goes to the journal: $JOURNAL_STREAM names its device and inode (systemd.exec(5))."""
    try:
        status = os.fstat(stream.fileno()) if stream is not None else None
    except (OSError, ValueError):
        return False
    return status is not None and environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _configure(level: str, last: list[structlog.typing.Processor], outlet: Outlet[Any]) -> None:
    mouth = _Mouth(outlet.take)
    structlog.configure(
        processors=[structlog.processors.add_log_level, _told, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: mouth,
        cache_logger_on_first_use=False,
    )


@contextlib.contextmanager
def heard_by(listener: Callable[[Mapping[str, Any]], object]) -> Iterator[None]:
    """Let somebody hear every line that is logged while this context lasts; on any thread, and at once."""
    _LISTENERS.append(listener)
    try:
        yield
    finally:
        _LISTENERS.remove(listener)


def _told(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hand, as a processor of structlog's, a line to whoever listens."""
    for listener in _LISTENERS:
        listener(line)
    return line


# Text and JSON


def _written_to(stream: TextIO) -> Callable[[str], None]:
    def write(line: str) -> None:
        stream.write(f"{line}\n")
        stream.flush()

    return write


def _loss_as_text(lines: int) -> str:
    return f"(the log lost {lines} lines)"


def _loss_as_json(lines: int) -> str:
    return json.dumps({"event": "the log lost lines", "kind": "log_lost", "lines": lines, "level": "warning"})


# The journal


class _AsFields:
    """structlog's last processor: turns a line into the journal's fields."""

    def __init__(self, door: str) -> None:
        self._door = {"door": door} if door else {}

    def __call__(self, _: Any, __: str, line: MutableMapping[str, Any]) -> tuple[tuple[Fields], dict[str, Any]]:
        return (journal_line({**self._door, **line}),), {}


def journal_line(line: Mapping[str, Any]) -> Fields:
    """Return the journal's fields for a line of the log: a sentence, its priority, its kind's id, and all values."""
    told = {name: value for name, value in line.items() if value is not None}
    event, level, traceback = told.pop("event"), told.pop("level"), told.pop("exception", "")
    kind = kind_of(told)
    if kind:
        told["kind"] = kind
    fields = {
        "MESSAGE": _sentence(str(event), told) + (f"\n{traceback}" if traceback else ""),
        "PRIORITY": str(MESSAGES[kind].priority if kind in MESSAGES else PRIORITIES[level]),
        "SYSLOG_IDENTIFIER": "smileaccess",
    }
    if kind in MESSAGES:
        fields["MESSAGE_ID"] = message_id(kind)
    return fields | {_name(name): _text(value) for name, value in told.items()}


def _sentence(event: str, told: Mapping[str, Any]) -> str:
    """Return what people read: the event, why, and the values that it does not say itself."""
    said = PLAIN if "outcome" in told else UNSAID
    why = f": {told['error']}" if "error" in told else ""
    more = ", ".join(f"{name}={_text(value)}" for name, value in told.items() if name not in said | {"error"})
    return event + why + (f" ({more})" if more else "")


def _name(name: str) -> str:
    plain = re.sub("[^A-Z0-9_]", "_", name.upper())
    return (plain if name in PLAIN else f"SMILEACCESS_{plain}")[:_LONGEST_NAME]


def _text(value: Any) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(str(each) for each in value) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _loss_as_fields(lines: int) -> Fields:
    return journal_line({"event": "the log lost lines", "level": "warning", "kind": "log_lost", "lines": lines})


def _journald() -> Callable[[Mapping[str, str]], object]:
    try:
        from systemd.journal import sendv  # noqa: PLC0415 -- only where the journal is written to
    except ImportError as error:
        raise Unavailable(
            "log: the library that writes systemd's journal is not installed: run `apt install python3-systemd`, or "
            "`pip install 'smileaccess[systemd]'`, or set [log] format to text or json"
        ) from error

    def send(fields: Mapping[str, str]) -> None:
        wait_for_room(JOURNAL)
        # A file's name may hold bytes that are no UTF-8: they are shown as escapes.
        sendv(*(f"{name}={value}".encode("utf-8", "backslashreplace") for name, value in fields.items()))

    return send
