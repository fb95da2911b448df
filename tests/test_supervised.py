"""The daemon as systemd sees it: a real process that tells a real datagram socket how it stands."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.doors import GRANTED, PATIENCE_S, House, building, ended, make_reel

MOST_LINES = 500
"""Lines within which anything is heard; at this watchdog's period they come in half a minute."""


class Systemd:
    """The socket that $NOTIFY_SOCKET names, and everything that came in."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(PATIENCE_S)
        self.heard: list[str] = []

    def hear(self, wanted: str) -> None:
        """Wait for another line that begins so; all that came is in `heard`."""
        self.hear_all(lambda _: self.heard[-1].startswith(wanted))

    def hear_all(self, enough: Callable[[list[str]], bool]) -> None:
        """Take in line by line until it is enough."""
        for _ in range(MOST_LINES):
            self.heard.append(self.socket.recv(4096).decode())
            if enough(self.heard):
                return
        raise AssertionError(self.heard[-20:])


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., House]]:
    with building(tmp_path_factory.mktemp) as make:
        yield make


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    path = tmp_path / "notify"
    made = Systemd(path)
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    yield made
    made.socket.close()


def test_systemd_hears_how_the_door_stands(
    build: Callable[..., House], systemd: Systemd, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Ready once the camera was tried, signs of life all the time, the last attempt, a reload, and the stop."""
    reel = make_reel(tmp_path_factory.mktemp("reel"))
    house = build(reel.still_smiling)
    house.enroll(reel)
    process = house.start()

    systemd.hear("READY=1")
    assert not [line for line in systemd.heard if line.startswith(("STOPPING", "RELOADING"))]
    for _ in range(3):
        systemd.hear("WATCHDOG=1")
    assert "STATUS=idle; strike locked; members 1" in systemd.heard

    assert ended(house.attempted()) == GRANTED
    told = "STATUS=cooling; strike energized; members 1; last: granted"
    systemd.hear_all(lambda heard: any(line.startswith(told) for line in heard))

    process.send_signal(signal.SIGHUP)
    systemd.hear("RELOADING=1")
    systemd.hear("READY=1")

    process.send_signal(signal.SIGTERM)
    systemd.hear("STOPPING=1")
    assert process.wait(PATIENCE_S) == 0


def test_a_settings_error_at_a_reload_leaves_the_door_ready(
    build: Callable[..., House], systemd: Systemd, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The old settings stay in force, and systemd does not wait for a reload that never ends."""
    reel = make_reel(tmp_path_factory.mktemp("reel"))
    house = build(reel.still_smiling)
    process = house.start()
    systemd.hear("READY=1")

    house.config.write_text("[door]\nunlock_s = 0\n", encoding="utf-8")
    process.send_signal(signal.SIGHUP)
    systemd.hear("RELOADING=1")
    systemd.hear("READY=1")
    assert house.status()["strike"] == "locked"
