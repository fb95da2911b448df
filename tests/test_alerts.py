"""Alerts on their way out of the box: a real process with Apprise, and a real receiver on this machine."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import structlog

from smileaccess import wiring
from smileaccess.alerting import Alert, AlertRules, Limiter
from smileaccess.errors import AlertsUnavailable, SettingsError
from smileaccess.settings import parse
from smileaccess.supervision import alerts as sending
from smileaccess.supervision.alerts import GIVE_UP_S, MOST_WAITING, RETRY_S, Alerts
from smileaccess.supervision.journal import configure, heard_by
from tests.builders import NOON
from tests.doors import building, eventually, make_reel
from tests.fakes_devices import PATIENCE_S, FakeClock
from tests.house import House

SECRET = "s3cret-t0ken"


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[Any]]:
    """Catch what is logged."""
    with structlog.testing.capture_logs() as captured:
        yield captured


class Post:
    """A channel that answers as it is told, and keeps what it got."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.status = 200
        post = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                post.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(post.status)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"json://user:{SECRET}@127.0.0.1:{self.server.server_address[1]}/"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def post() -> Iterator[Post]:
    with closing(Post()) as made:
        yield made


@contextmanager
def silence() -> Iterator[str]:
    """Give the address of a channel that takes a connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"json://127.0.0.1:{listener.getsockname()[1]}/?rto=600&cto=600"


class Wire:
    """Sends nothing: puts messages down, and says of each channel what it is told to."""

    def __init__(self) -> None:
        self.sent: list[list[Mapping[str, Any]]] = []
        self.broken: set[str] = set()
        self.missing = False

    def send(self, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        if self.missing:
            raise AlertsUnavailable("told to fail")
        self.sent.append(list(messages))
        return [{"service": "Fake", "sent": each["channel"] not in self.broken, "why": ""} for each in messages]

    @property
    def bodies(self) -> list[str]:
        return [each["body"] for messages in self.sent for each in messages]


class Bench:
    """Alerts in a time that moves when told."""

    def __init__(self, *channels: str, repeat_s: float = 600.0) -> None:
        self.clock = FakeClock()
        self.wire = Wire()
        limiter = Limiter(AlertRules(repeat_s=repeat_s))
        self.alerts = Alerts(
            "front", channels or ("one",), limiter, monotonic=self.clock.monotonic, send=self.wire.send
        )

    def tell(self, kind: str = "forced_open", **line: Any) -> None:
        self.alerts.hear({"event": "told", "kind": kind, **line})
        self.alerts.turn(0)

    def wait(self, for_s: float) -> None:
        until = self.clock.time + for_s
        while (wait_s := self.alerts.wait_s) is not None and self.clock.time + wait_s <= until:
            self.clock.advance(wait_s)
            self.alerts.turn(0)
        self.clock.time = until


# What is sent


def test_an_alert_goes_to_every_channel() -> None:
    """With the door's name above it, and what to do in it."""
    bench = Bench("one", "two")
    bench.tell(error="the latch")
    [[first, second]] = bench.wire.sent
    assert (first["channel"], second["channel"]) == ("one", "two")
    assert (first["title"], first["grave"]) == ("front: The door was forced open", True)
    assert "the latch" in first["body"]


@pytest.mark.parametrize(
    "line", [{"kind": "start"}, {"event": "told"}, {"outcome": "granted"}, {"kind": "alert_unsent"}]
)
def test_what_is_no_alert_is_passed_over(line: dict[str, Any]) -> None:
    """Nor is what the alerts say of themselves."""
    bench = Bench()
    bench.alerts.hear({"event": "told", **line})
    bench.alerts.turn(0)
    assert bench.wire.sent == []


def test_the_end_of_an_attempt_may_be_one() -> None:
    """A denial for a fault, by its reason."""
    bench = Bench()
    bench.alerts.hear({"event": "told", "outcome": "denied", "reason": "camera_unavailable"})
    bench.alerts.turn(0)
    assert len(bench.wire.sent) == 1


def test_what_is_held_back_is_sent_in_time() -> None:
    """As one message with its number."""
    bench = Bench()
    for _ in range(4):
        bench.tell()
    assert len(bench.wire.sent) == 1
    bench.wait(600.0)
    assert len(bench.wire.sent) == 2
    assert "3 more" in bench.wire.bodies[1]


# Channels that fail


def test_a_channel_that_fails_is_tried_again_with_back_off(lines: list[Any]) -> None:
    """Later and later, with all that came meanwhile; told once, by number, and again when it is over."""
    bench = Bench("one", "two")
    bench.wire.broken = {"one"}
    bench.tell()
    bench.tell("held_open")
    bench.wait(RETRY_S[0] * 7)
    to_one = [[each["channel"] for each in messages].count("one") for messages in bench.wire.sent]
    assert sum(to_one) == 4
    bench.wire.broken = set()
    bench.wait(RETRY_S[0] * 8)
    last = bench.wire.sent[-1]
    assert [each["channel"] for each in last] == ["one"]
    assert "forced open" in last[0]["body"]
    assert "held open" in last[0]["body"]
    assert last[0]["title"] == "front: The door was forced open, and 1 more"
    assert [(line["kind"], line["channel"]) for line in lines] == [("alert_unsent", 1), ("alert_channel_back", 1)]


def test_what_waits_is_tried_once_more_at_the_end() -> None:
    """Also where a channel's time has not come again."""
    bench = Bench()
    bench.wire.broken = {"one"}
    bench.tell()
    bench.wire.broken = set()
    bench.alerts.start()
    assert bench.alerts.close(PATIENCE_S)
    assert len(bench.wire.sent) == 2


def test_a_channel_that_is_away_for_long_is_tried_now_and_then() -> None:
    """The back-off has a bound, and what is too old is dropped."""
    bench = Bench()
    bench.wire.broken = {"one"}
    bench.tell()
    bench.wait(RETRY_S[1] * 4)
    tries = len(bench.wire.sent)
    bench.wait(RETRY_S[1] * 4)
    assert 3 <= len(bench.wire.sent) - tries <= 5
    bench.wait(GIVE_UP_S)
    bench.wire.broken = set()
    bench.tell("held_open")
    bench.wait(RETRY_S[1])
    assert "forced open" not in bench.wire.bodies[-1]
    assert "1 alerts before these were lost" in bench.wire.bodies[-1]


def test_without_the_sender_nothing_is_lost() -> None:
    """It is as if every channel failed."""
    bench = Bench()
    bench.wire.missing = True
    bench.tell()
    bench.wire.missing = False
    bench.wait(RETRY_S[0])
    assert len(bench.wire.sent) == 1


def test_a_flood_costs_alerts_and_nothing_else() -> None:
    """Whoever tells something never waits; what found no room is counted in the next message."""
    bench = Bench()
    for _ in range(MOST_WAITING + 5):
        bench.alerts.take(Alert("forced_open", NOON))
    while bench.alerts.wait_s != 600.0 - 0.0 and not bench.wire.sent:
        bench.alerts.turn(0)
    assert "5 alerts before these were lost" in bench.wire.bodies[0]


# The real sender


def test_a_real_message_arrives(post: Post) -> None:
    """Apprise, in a process of its own, posts it."""
    [told] = sending.send([{"channel": post.address, "title": "front: a test", "body": "words", "grave": True}])
    assert told == {"service": "JSON", "sent": True, "why": ""}
    [got] = post.got
    assert (got["title"], got["message"], got["type"]) == ("front: a test", "words", "failure")


def test_what_went_wrong_is_told_for_each_channel(post: Post) -> None:
    """A refusal, an address that is none, and a channel that hangs: each by itself, within its time."""
    post.status = 500
    with silence() as hanging:
        channels = [post.address, "nonsense", hanging]
        told = sending.send([{"channel": each, "title": "t", "body": "b", "grave": False} for each in channels], 3.0)
    assert [(each["service"], each["sent"]) for each in told] == [("JSON", False), (None, False), ("JSON", False)]
    assert told[1]["why"] == "no address that Apprise knows"
    assert told[2]["why"] == "no answer within 3 s"


def test_a_channel_that_hangs_delays_nobody(post: Post) -> None:
    """Who tells something goes on at once, and the other channel has its message while this one hangs."""
    with silence() as hanging:
        alerts = Alerts("front", [hanging, post.address], Limiter(AlertRules()))
        alerts.start()
        for _ in range(MOST_WAITING * 3):
            alerts.hear({"event": "told", "kind": "forced_open"})
        eventually(lambda: post.got)
        assert alerts.close(0.0) is False


# From the log, from the settings


def test_every_line_of_the_log_is_heard(tmp_path: Path) -> None:
    """Whichever thread wrote it; and nothing is, once nobody listens any more."""
    heard: list[Any] = []
    before = structlog.get_config()
    with (tmp_path / "log").open("w") as stream:
        try:
            outlet = configure("info", "json", stream)
            with heard_by(lambda line: heard.append(line["kind"])):
                structlog.get_logger().error("told", kind="forced_open")
            structlog.get_logger().error("told", kind="held_open")
            assert outlet.drain(PATIENCE_S)
        finally:
            structlog.configure(**before)
    assert heard == ["forced_open"]


def channels_of(path: Path, text: str, mode: int = 0o600) -> tuple[str, ...]:
    path.write_text(text)
    path.chmod(mode)
    return wiring.alert_channels(parse(f'[alerts]\nchannels_file = "{path}"\n'))


def test_channels_are_lines_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comments and empty lines are none; a credential goes first; without either there is no channel."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert channels_of(tmp_path / "channels", "# mail\n\njson://one/\n  json://two/  \n") == (
        "json://one/",
        "json://two/",
    )
    assert wiring.alert_channels(parse("")) == ()
    (tmp_path / "smileaccess.alerts").write_text("json://three/\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert wiring.alert_channels(parse("")) == ("json://three/",)


@pytest.mark.parametrize(("level", "refused"), [("info", False), ("warning", True), ("error", True)])
def test_a_log_that_leaves_out_what_alerts_are_made_of_is_refused(
    level: str, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings' file cannot know of a credential."""
    (tmp_path / "smileaccess.alerts").write_text("json://three/\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    told = parse(f'[log]\nlevel = "{level}"')
    if refused:
        with pytest.raises(SettingsError, match=r"\[log\] level = .*: must be \"info\" or \"debug\""):
            wiring.make_alerts(told, lambda: None)
    else:
        assert wiring.make_alerts(told, lambda: None) is not None


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """Its addresses are secrets; the error shows none."""
    with pytest.raises(SettingsError, match=r"\[alerts\] channels_file = .* may be read by others") as caught:
        channels_of(tmp_path / "channels", f"json://{SECRET}/\n", 0o644)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ('[alerts]\nabout = ["forced", "fires"]', 'settings: [alerts] about = ["forced", "fires"]: must hold some of '),
        (
            '[alerts]\nchannels_file = "x"\n[log]\nlevel = "warning"',
            'settings: [log] level = "warning": must be "info"',
        ),
    ],
)
def test_settings_that_cannot_be(told: str, problem: str) -> None:
    """A topic that there is none of, and a log that alerts could not be made of."""
    with pytest.raises(SettingsError, match=problem.replace("[", r"\[")):
        parse(told)
    assert parse('[alerts]\nabout = ["forced", "fire"]\nchannels_file = "x"').alerts.about == ("forced", "fire")


# The commands


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def with_channels(house: House, *addresses: str) -> House:
    path = house.folder / "channels"
    path.write_text("".join(f"{each}\n" for each in addresses))
    path.chmod(0o600)
    with house.config.open("a") as file:
        file.write(f'[alerts]\nchannels_file = "{path}"\n')
    return house


def test_the_test_says_which_channel_took_it(house: House, post: Post) -> None:
    """And fails where one did not; no address is shown."""
    with_channels(house, post.address)
    done = house.run("alerts", "test")
    assert (done.code, done.out) == (0, "channel 1, JSON: took it\n")
    assert [got["title"] for got in post.got] == ["front: a test"]
    post.status = 500
    failed = house.run("alerts", "test")
    assert (failed.code, "channel 1, JSON: did not take it: " in failed.out) == (1, True)
    assert failed.err.startswith("smileaccess: alerts: 1 of 1 channels took no message")
    assert SECRET not in failed.out + failed.err + done.out


def test_the_test_as_json(house: House, post: Post) -> None:
    """For programs."""
    done = with_channels(house, post.address, "nonsense").run("alerts", "test", "--json")
    assert (done.code, [each["sent"] for each in done.json()["channels"]]) == (1, [True, False])


def test_the_test_without_a_channel_names_the_setting(house: House) -> None:
    """There is nothing to try."""
    done = house.run("alerts", "test")
    assert (done.code, "[alerts] channels_file" in done.err) == (2, True)


def test_the_list_shows_topics_and_services_only(house: House, post: Post) -> None:
    """Nothing is sent."""
    with_channels(house, post.address)
    told = house.run("alerts", "list", "--json").json()
    assert [topic["topic"] for topic in told["topics"] if not topic["told"]] == ["orders"]
    assert told["channels"] == [{"service": "JSON", "why": ""}]
    shown = house.run("alerts", "list")
    assert "channel 1: JSON" in shown.out
    assert SECRET not in shown.out
    assert post.got == []


# A whole door


def test_a_door_that_runs_tells_its_owner(tmp_path_factory: pytest.TempPathFactory, post: Post) -> None:
    """From the operator's socket to the receiver; the address stands in no log."""
    reel = make_reel(tmp_path_factory.mktemp("reel"))
    with building(tmp_path_factory.mktemp) as build:
        channels = tmp_path_factory.mktemp("channels") / "channels"
        channels.write_text(post.address)
        channels.chmod(0o600)
        door = build(reel.still, more=f'[alerts]\nchannels_file = "{channels}"\nabout = ["orders"]\n')
        door.start()
        with door.client() as client:
            client.lock("a test")
        eventually(lambda: post.got)
        assert post.got[0]["title"] == "side: Locked by an operator"
        assert SECRET not in door.log_text()
        shown = door.run("config", "show")
        assert (shown.returncode, SECRET in shown.stdout) == (0, False)


def test_a_door_without_its_channels_runs_all_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    """That nobody will be told stands in the journal."""
    reel = make_reel(tmp_path_factory.mktemp("reel"))
    with building(tmp_path_factory.mktemp) as build:
        door = build(reel.still, more='[alerts]\nchannels_file = "/nowhere"\n')
        door.start()
        [line] = door.logged("alerts cannot be sent")
        assert (line["kind"], "/nowhere" in line["error"]) == ("alerts_unusable", True)
