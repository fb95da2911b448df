"""What is logged, and how it looks: readable on a terminal, JSON in a pipe; never an image, a template or a secret.

A log that cannot be written, or that nobody reads, never holds up or ends the door: lines are dropped, and counted.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, Full, Queue
from typing import TextIO

import structlog

MOST_WAITING = 2000
"""Lines that may wait to be written; a door at work logs a few a second."""

LAST_WORDS_S = 2.0
"""How long the end of the process waits for what is not written yet, in seconds."""


class Outlet:
    """A stream that is written to by a thread of its own; `write` and `flush` return at once, from any thread."""

    def __init__(self, stream: TextIO, loss: Callable[[int], str]) -> None:
        """Take the stream to write to and what to write of lines that were lost, and start the thread."""
        self._stream = stream
        self._loss = loss
        self._lines: Queue[str] = Queue(MOST_WAITING)
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Take a text to be written; one that finds no room is dropped and counted."""
        try:
            self._lines.put_nowait(text)
        except Full:
            self._lost += 1
        return len(text)

    def flush(self) -> None:
        """Do nothing: the thread flushes what it writes."""

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
            text = self._lines.get()
            try:
                self._stream.write(text + self._all_that_waits())
                self._stream.flush()
            except (OSError, ValueError):
                self._lost += 1  # a full disk, a reader that went away, a stream that was closed
            finally:
                self._lines.task_done()

    def _all_that_waits(self) -> str:
        texts = []
        if self._lost:
            lost, self._lost = self._lost, 0
            texts.append(self._loss(lost))
        while True:
            try:
                texts.append(self._lines.get_nowait())
            except Empty:
                return "".join(texts)
            self._lines.task_done()


@contextlib.contextmanager
def writing(level: str, form: str, stream: TextIO | None = None) -> Iterator[None]:
    """Log as `configure` says while this context lasts, and let what waits at its end be written."""
    outlet = configure(level, form, stream)
    try:
        yield
    finally:
        outlet.drain()


def configure(level: str, form: str, stream: TextIO | None = None) -> Outlet:
    """Send every log line of the process to `stream` (standard error), from `level` on, as `form` says.

    `form` is text, json, or auto: text on a terminal, json in a pipe. Call it before any thread starts; `drain` the
    outlet before the process, or the stream, ends.
    """
    # Where standard error was closed there is nobody to tell.
    stream = stream or sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 -- lives as long as we
    text = form == "text" or (form == "auto" and stream.isatty())
    outlet = Outlet(stream, _loss_as_text if text else _loss_as_json)
    # Rich's tracebacks would show the values of local variables: keys, names, embeddings.
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)
        if text
        else structlog.processors.JSONRenderer()
    )
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not text:
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(outlet),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    return outlet


def _loss_as_text(lines: int) -> str:
    return f"(the log lost {lines} lines)\n"


def _loss_as_json(lines: int) -> str:
    return json.dumps({"event": "the log lost lines", "lines": lines, "level": "warning"}) + "\n"
