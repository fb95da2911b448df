"""What the log looks like in the journal, on a terminal and in a pipe, and what it leaves out."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from smileaccess.canonical import journal_fields, sentence
from smileaccess.errors import Unavailable
from smileaccess.messages import message_id
from smileaccess.model import Attempt, Outcome, Reason
from smileaccess.supervision import journal
from tests.builders import ANN, NOON, make_attempt

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


# In systemd's journal


def sent(write: Callable[[], None], level: str = "info", door: str = "") -> list[dict[str, str]]:
    """Have lines written to the journal, and return the fields of each."""
    lines: list[Mapping[str, str]] = []
    outlet = journal.configure(level, "journal", door=door, send=lines.append)
    write()
    assert outlet.drain(PATIENCE_S)
    return [dict(line) for line in lines]


def ended(reason: Reason | None) -> Attempt:
    outcome = Outcome.DENIED if reason else Outcome.GRANTED
    closed_at = NOON + timedelta(seconds=2.34)
    told: dict[str, Any] = {"member_id": ANN, "similarity": 99.51, "recognizer": "embedded"}
    return make_attempt(closed_at=closed_at, outcome=outcome, reason=reason, **told)


def tell(attempt: Attempt) -> None:
    """Log an attempt as the controller does."""
    log = structlog.get_logger().bind(attempt_id=attempt.id, door=attempt.door)
    log.info(sentence(attempt), **journal_fields(attempt), chain="7:ab")


def test_an_attempt_is_one_sentence_with_its_fields() -> None:
    """People read the sentence, and filter by the fields; nothing is said twice."""
    attempt = ended(Reason.NO_SMILE)
    assert sent(lambda: tell(attempt)) == [
        {
            "MESSAGE": "denied at front by button in 2.3 s: no smile (m_ann, similarity 99.5)",
            "MESSAGE_ID": message_id("denied_no_smile"),
            "PRIORITY": "5",
            "SYSLOG_IDENTIFIER": "smileaccess",
            "OUTCOME": "denied",
            "REASON": "no_smile",
            "MEMBER_ID": ANN,
            "ATTEMPT_ID": attempt.id,
            "SIMILARITY": "99.51",
            "DURATION_MS": "2340.0",
            "DOOR": "front",
            "RECOGNIZER": "embedded",
            "CHAIN": "7:ab",
            "KIND": "denied_no_smile",
        }
    ]


@pytest.mark.parametrize(
    ("reason", "priority"), [(None, "6"), (Reason.NO_SMILE, "5"), (Reason.LOCKED_OUT, "5"), (Reason.SPENDING_CAP, "3")]
)
def test_an_attempt_is_as_grave_as_its_reason(reason: Reason | None, priority: str) -> None:
    """A grant is information, a refusal a notice, a fault of the system an error."""
    assert [line["PRIORITY"] for line in sent(lambda: tell(ended(reason)))] == [priority]


def test_what_a_line_carries_is_said_and_stands_in_fields() -> None:
    """Why it failed follows a colon, the rest in parentheses; other names than ours cannot be mistaken for ours."""

    def write() -> None:
        structlog.get_logger().error("no camera; it is tried again", error="camera 0: cannot be opened", in_s=2.0)

    [line] = sent(write)
    assert line == {
        "MESSAGE": "no camera; it is tried again: camera 0: cannot be opened (in_s=2.0)",
        "PRIORITY": "3",
        "SYSLOG_IDENTIFIER": "smileaccess",
        "SMILEACCESS_ERROR": "camera 0: cannot be opened",
        "SMILEACCESS_IN_S": "2.0",
    }


def test_a_kind_brings_its_message_id_and_priority() -> None:
    """The table of messages knows better than the level how grave a kind is."""
    [line] = sent(lambda: structlog.get_logger().error("the strike may still be energized", kind="strike_stuck"))
    assert (line["KIND"], line["PRIORITY"]) == ("strike_stuck", "2")
    assert line["MESSAGE_ID"] == message_id("strike_stuck")


def test_an_unknown_kind_is_told_all_the_same() -> None:
    """A kind that the table does not hold costs the explanation, not the line."""
    [line] = sent(lambda: structlog.get_logger().warning("odd", kind="never_heard_of"))
    assert (line["MESSAGE"], line["KIND"], line["PRIORITY"]) == ("odd", "never_heard_of", "4")
    assert "MESSAGE_ID" not in line


@pytest.mark.parametrize(
    ("value", "said"),
    [(True, "true"), (3, "3"), (["camera", "log"], "camera, log"), ((), "none"), ("two\nlines", "two\nlines")],
)
def test_values_are_text(value: object, said: str) -> None:
    """The journal holds text, as a person would write it."""
    [line] = sent(lambda: structlog.get_logger().info("told", what=value))
    assert (line["SMILEACCESS_WHAT"], line["MESSAGE"]) == (said, f"told (what={said})")


def test_what_is_not_there_is_left_out() -> None:
    """A None is no value."""
    [line] = sent(lambda: structlog.get_logger().info("told", what=None))
    assert set(line) == {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER"}


def test_a_name_that_journald_refuses_is_mended() -> None:
    """Names hold capitals, digits and underscores, 64 characters at most; journald drops a field with another one."""
    [line] = sent(lambda: structlog.get_logger().info("told", **{"höhe.mm": 1, "x" * 80: 2}))
    assert (line["SMILEACCESS_H_HE_MM"], line["SMILEACCESS_" + "X" * 52]) == ("1", "2")


def test_every_line_names_the_door() -> None:
    """Where the journals of many doors are gathered, a line still says of which it is."""
    [line] = sent(lambda: structlog.get_logger().info("stopping"), door="front")
    assert (line["MESSAGE"], line["DOOR"]) == ("stopping", "front")


def test_the_journal_too_has_the_least_level() -> None:
    """The settings' level holds wherever the log goes."""
    assert sent(lambda: structlog.get_logger().info("ready"), level="warning") == []


def test_a_traceback_in_the_journal_shows_no_values() -> None:
    """It stands below the sentence, as text, and what functions held does not."""
    [line] = sent(fail)
    first, _, rest = line["MESSAGE"].partition("\n")
    assert (first, line["PRIORITY"]) == ("a worker failed", "3")
    assert "ZeroDivisionError" in rest
    assert "kkkk" not in str(line)


def test_a_line_that_journald_refuses_is_counted() -> None:
    """After the next line that gets through it is said how many did not."""
    lines: list[str] = []

    def send(fields: Mapping[str, str]) -> None:
        if fields["MESSAGE"] == "refused":
            raise OSError(90, "Message too long")
        lines.append(fields["MESSAGE"])

    outlet = journal.configure("info", "journal", send=send)
    for event in ("refused", "refused", "taken"):
        structlog.get_logger().info(event)
    assert outlet.drain(PATIENCE_S)
    assert lines == ["taken", "the log lost lines (lines=2)"]


def test_standard_error_is_known_to_be_the_journal(tmp_path: Path) -> None:
    """A service is told the stream's device and inode; another stream, or none, is not it."""
    with (tmp_path / "stream").open("w") as stream, (tmp_path / "other").open("w") as other:
        status = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert journal.connected(environ, stream)
        assert not journal.connected(environ, other)
        assert not journal.connected({}, stream)
        assert not journal.connected(environ, io.StringIO())
        assert not journal.connected(environ, None)


def test_a_file_gets_the_log_though_standard_error_is_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever names a stream has the lines there."""
    with (tmp_path / "stderr").open("w") as stderr:
        status = os.fstat(stderr.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        monkeypatch.setattr(sys, "stderr", stderr)
        told = configured("info", "auto", io.StringIO(), lambda: structlog.get_logger().info("ready"))
    assert json.loads(told)["event"] == "ready"


def test_without_its_library_the_log_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever forces the journal where it cannot be written to is told how it can."""
    monkeypatch.setitem(sys.modules, "systemd.journal", None)
    with pytest.raises(Unavailable, match="apt install python3-systemd"):
        journal.configure("info", "journal")


WITH_A_JOURNALD = """
import os, pathlib, socket, subprocess, sys
import structlog
from smileaccess.supervision import journal
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
address = pathlib.Path("/run/systemd/journal/socket")
address.parent.mkdir(parents=True)
journald = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journald.bind(str(address))
journald.settimeout(20)
log = structlog.get_logger()
"""
"""A program with a journald of its own, in a place of its own: systemd's library has one path built in."""

ONE_LINE = """
with open("/run/stderr", "w") as stream:
    status = os.fstat(stream.fileno())
    os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
    sys.stderr = stream
    outlet = journal.configure("info", "auto", door="front")
    log.error("no camera\\nat all", kind="camera_lost", file="a\\udcff.jpg")
    assert outlet.drain(20)
sys.stdout.buffer.write(journald.recv(65536))
"""

A_HANG = """
outlet = journal.configure("info", "journal")
for number in range(1000):
    log.info(f"line {number}")
assert not outlet.drain(0.2), "a queue of 1000 datagrams"
for number in range(1000):
    assert f"line {number}\\n".encode() in journald.recv(65536)
assert outlet.drain(20)
"""


def with_a_journald(program: str) -> bytes:
    """Run a program beside a journald of its own, and return what it prints."""
    pytest.importorskip("systemd.journal", reason="systemd-python is not installed: pip install 'smileaccess[systemd]'")
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here")
    command = [*alone, sys.executable, "-c", WITH_A_JOURNALD + program]
    ran = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE_S * 3)
    assert (ran.returncode, ran.stderr) == (0, b"")
    return ran.stdout


def test_journald_gets_what_its_protocol_says() -> None:
    """The library of systemd writes the datagram, with a line break and a byte that is no UTF-8."""
    assert unpacked(with_a_journald(ONE_LINE)) == {
        "MESSAGE": "no camera\nat all (file=a\\udcff.jpg)",
        "MESSAGE_ID": message_id("camera_lost"),
        "PRIORITY": "3",
        "SYSLOG_IDENTIFIER": "smileaccess",
        "DOOR": "front",
        "KIND": "camera_lost",
        "SMILEACCESS_FILE": "a\\udcff.jpg",
    }


def test_a_journald_that_hangs_holds_up_nobody() -> None:
    """The library would stop every thread while it waits for room; all lines arrive once journald goes on."""
    assert with_a_journald(A_HANG) == b""


def unpacked(datagram: bytes) -> dict[str, str]:
    """Read journald's native protocol: `NAME=value` a line, or a name, the value's length in 8 bytes, and the value."""
    fields = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(datagram[:8], "little")
            value, datagram = datagram[8 : 8 + size], datagram[8 + size + 1 :]
        fields[name.decode()] = value.decode()
    return fields
