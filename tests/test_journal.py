"""What the log looks like on a terminal and in a pipe, and what it leaves out."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from smileaccess.supervision import journal


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Put the process's log back to what it was."""
    yield
    structlog.reset_defaults()


def test_in_a_pipe_each_line_is_json_with_time_and_level() -> None:
    """A program reads the fields as they were given."""
    pipe = io.StringIO()
    journal.configure("info", "auto", pipe)
    structlog.get_logger().info("granted to m_1", outcome="granted", similarity=99.5, why=None)
    [line] = [json.loads(line) for line in pipe.getvalue().splitlines()]
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "granted to m_1", "level": "info", "outcome": "granted", "similarity": 99.5, "why": None}


def test_on_a_terminal_a_line_is_text() -> None:
    """People get text in colors, no JSON."""
    terminal = Terminal()
    journal.configure("info", "auto", terminal)
    structlog.get_logger().warning("no camera", in_s=2.0)
    shown = terminal.getvalue()
    assert "no camera" in shown
    assert "\x1b[" in shown
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(shown)


def test_text_in_a_pipe_has_no_colors() -> None:
    """Whoever asks for text gets it anywhere, without a terminal's escapes in a file."""
    pipe = io.StringIO()
    journal.configure("info", "text", pipe)
    structlog.get_logger().info("ready", door="front")
    assert "ready" in pipe.getvalue()
    assert "door=front" in pipe.getvalue()
    assert "\x1b" not in pipe.getvalue()


def test_json_is_json_on_a_terminal_too() -> None:
    """Whoever asks for JSON gets it anywhere."""
    terminal = Terminal()
    journal.configure("info", "json", terminal)
    structlog.get_logger().info("ready")
    assert json.loads(terminal.getvalue())["event"] == "ready"


LEVELS = ("debug", "info", "warning", "error")


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("level", LEVELS)
def test_only_what_reaches_the_level_is_logged(level: str, form: str) -> None:
    """The level is the least one that shows."""
    pipe = io.StringIO()
    journal.configure(level, form, pipe)
    for each in LEVELS:
        getattr(structlog.get_logger(), each)(f"a line of {each}")
    shown = [each for each in LEVELS if f"a line of {each}" in pipe.getvalue()]
    assert shown == list(LEVELS[LEVELS.index(level) :])


def test_a_traceback_stays_within_its_json_line() -> None:
    """An unforeseen error is one line for a program, its traceback in a field."""
    pipe = io.StringIO()
    journal.configure("info", "json", pipe)
    try:
        divmod(1, 0)
    except ZeroDivisionError:
        structlog.get_logger().exception("a worker failed")
    [line] = pipe.getvalue().splitlines()
    assert "ZeroDivisionError" in json.loads(line)["exception"]


def test_without_a_stream_the_log_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output belongs to what a command prints."""
    journal.configure("info", "json")
    structlog.get_logger().info("ready")
    printed = capsys.readouterr()
    assert (printed.out, json.loads(printed.err)["event"]) == ("", "ready")


def test_a_logger_made_before_follows_the_configuration() -> None:
    """A module's logger exists before the settings are read, and changes with them."""
    early = structlog.get_logger("early")
    pipe = io.StringIO()
    journal.configure("error", "json", pipe)
    early.info("not shown")
    journal.configure("info", "json", pipe)
    early.info("shown")
    assert [json.loads(line)["event"] for line in pipe.getvalue().splitlines()] == ["shown"]
