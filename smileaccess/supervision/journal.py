"""What is logged, and how it looks: readable on a terminal, JSON in a pipe; never an image, a template or a secret."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send every log line of the process to `stream` (standard error), from `level` on, as `form` says.

    `form` is text, json, or auto: text on a terminal, json in a pipe. Call once, before any thread starts.
    """
    stream = stream or sys.stderr
    text = form == "text" or (form == "auto" and stream.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty()) if text else structlog.processors.JSONRenderer()
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
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
