"""What the log looks like on a terminal and in a pipe, and what it leaves out."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator

import pytest
import structlog

from smileaccess.supervision import journal

PATIENCE_S = 20.0


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Put the process's log back to what it was."""
    yield
    structlog.reset_defaults()


def configured(level: str, form: str, stream: io.StringIO, write: Callable[[], None]) -> str:
    """Have lines written under a configuration, and return what the stream holds in the end."""
    outlet = journal.configure(level, form, stream)
    write()
    assert outlet.drain(PATIENCE_S)
    return stream.getvalue()


def test_in_a_pipe_each_line_is_json_with_time_and_level() -> None:
    """A program reads the fields as they were given."""
    fields = {"outcome": "granted", "similarity": 99.5, "why": None}
    told = configured("info", "auto", io.StringIO(), lambda: structlog.get_logger().info("granted to m_1", **fields))
    [line] = [json.loads(line) for line in told.splitlines()]
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "granted to m_1", "level": "info", "outcome": "granted", "similarity": 99.5, "why": None}


def test_on_a_terminal_a_line_is_text() -> None:
    """People get text in colors, no JSON."""
    shown = configured("info", "auto", Terminal(), lambda: structlog.get_logger().warning("no camera", in_s=2.0))
    assert "no camera" in shown
    assert "\x1b[" in shown
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(shown)


def test_text_in_a_pipe_has_no_colors() -> None:
    """Whoever asks for text gets it anywhere, without a terminal's escapes in a file."""
    shown = configured("info", "text", io.StringIO(), lambda: structlog.get_logger().info("ready", door="front"))
    assert "ready" in shown
    assert "door=front" in shown
    assert "\x1b" not in shown


def test_json_is_json_on_a_terminal_too() -> None:
    """Whoever asks for JSON gets it anywhere."""
    shown = configured("info", "json", Terminal(), lambda: structlog.get_logger().info("ready"))
    assert json.loads(shown)["event"] == "ready"


LEVELS = ("debug", "info", "warning", "error")


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("level", LEVELS)
def test_only_what_reaches_the_level_is_logged(level: str, form: str) -> None:
    """The level is the least one that shows."""

    def write() -> None:
        for each in LEVELS:
            getattr(structlog.get_logger(), each)(f"a line of {each}")

    told = configured(level, form, io.StringIO(), write)
    shown = [each for each in LEVELS if f"a line of {each}" in told]
    assert shown == list(LEVELS[LEVELS.index(level) :])


def test_a_traceback_stays_within_its_json_line() -> None:
    """An unforeseen error is one line for a program, its traceback in a field."""
    [line] = configured("info", "json", io.StringIO(), fail).splitlines()
    assert "ZeroDivisionError" in json.loads(line)["exception"]


def fail() -> None:
    """Log an error that nobody foresaw, in the presence of a secret."""
    secret = "k" + "k" * 31  # noqa: F841 -- what must not be shown
    try:
        divmod(1, 0)
    except ZeroDivisionError:
        structlog.get_logger().exception("a worker failed")


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_traceback_shows_no_values(form: str, stream: type[io.StringIO]) -> None:
    """What a function held when it failed, a key or a name, is not in the log."""
    told = configured("info", form, stream(), fail)
    assert "ZeroDivisionError" in told
    assert "kkkk" not in told


class Deaf(io.StringIO):
    """A stream that takes nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.heard = threading.Event()

    def write(self, text: str) -> int:
        self.asked.set()
        self.heard.wait(PATIENCE_S)
        return super().write(text)


def test_a_log_that_nobody_reads_holds_up_nobody() -> None:
    """Lines beyond what may wait are dropped and counted, and the writer goes on at once."""
    stream = Deaf()
    outlet = journal.configure("info", "json", stream)
    structlog.get_logger().info("the first one")
    assert stream.asked.wait(PATIENCE_S)  # and from here on nothing is taken out of the queue
    for number in range(journal.MOST_WAITING + 500):
        structlog.get_logger().info("line", number=number)
    stream.heard.set()
    assert outlet.drain(PATIENCE_S)
    structlog.get_logger().info("the last one")
    assert outlet.drain(PATIENCE_S)
    told = stream.getvalue()
    assert "the last one" in told
    assert sum('"line"' in line for line in told.splitlines()) == journal.MOST_WAITING
    assert [json.loads(line)["lines"] for line in told.splitlines() if "lost" in line] == [500]


class Full(io.StringIO):
    """A stream on a disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(28, f"No space left on device for {len(text)} characters")


def test_a_log_that_cannot_be_written_ends_nothing() -> None:
    """A full disk costs the line, not the door."""
    outlet = journal.configure("info", "json", Full())
    structlog.get_logger().info("ready")
    assert outlet.drain(PATIENCE_S)
    structlog.get_logger().info("still here")
    assert outlet.drain(PATIENCE_S)


def test_without_a_stream_the_log_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output belongs to what a command prints."""
    outlet = journal.configure("info", "json")
    structlog.get_logger().info("ready")
    assert outlet.drain(PATIENCE_S)
    printed = capsys.readouterr()
    assert (printed.out, json.loads(printed.err)["event"]) == ("", "ready")


def test_a_logger_made_before_follows_the_configuration() -> None:
    """A module's logger exists before the settings are read, and changes with them."""
    early = structlog.get_logger("early")
    pipe = io.StringIO()
    journal.configure("error", "json", pipe)
    early.info("not shown")
    outlet = journal.configure("info", "json", pipe)
    early.info("shown")
    assert outlet.drain(PATIENCE_S)
    assert [json.loads(line)["event"] for line in pipe.getvalue().splitlines()] == ["shown"]
