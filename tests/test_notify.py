"""What systemd hears of the daemon, over a real datagram socket, and what nobody hears without systemd."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from smileaccess.errors import Unavailable
from smileaccess.ports import Supervisor
from smileaccess.supervision.notify import BEATS, MOST_WAITING, Notifier
from smileaccess.supervision.receivers import wait_for_room
from tests.fakes_devices import PATIENCE_S, FakeClock

pytest.importorskip("systemd.daemon", reason="systemd-python is not installed: pip install 'smileaccess[systemd]'")

SIX_S = {"WATCHDOG_USEC": "6000000"}


class Manager:
    """systemd's end: a datagram socket, and the environment that names it."""

    def __init__(self, folder: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE_S)
        self._socket.bind(str(folder / "notify"))
        self.environ = {"NOTIFY_SOCKET": str(folder / "notify")}

    def heard(self) -> str:
        return self._socket.recv(4096).decode()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """Return a manager that this process was started by; libsystemd itself reads the environment."""
    made = Manager(tmp_path)
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    yield made
    made.close()


def started(manager: Manager, clock: FakeClock | None = None, **environ: str) -> Notifier:
    return Notifier({**manager.environ, **environ}, (clock or FakeClock()).monotonic)


def test_it_is_a_supervisor(manager: Manager) -> None:
    """The daemon drives it by the port alone."""
    supervisor: Supervisor = started(manager)
    supervisor.ready()
    assert manager.heard() == "READY=1"


def test_a_life_as_systemd_hears_it(manager: Manager) -> None:
    """All that the daemon tells arrives, in its order."""
    notifier = started(manager, **SIX_S)
    notifier.status("idle")
    notifier.ready()
    notifier.alive()
    notifier.stopping()
    assert [manager.heard() for _ in range(4)] == ["STATUS=idle", "READY=1", "WATCHDOG=1", "STOPPING=1"]


def test_a_reload_tells_when_it_began(manager: Manager) -> None:
    """A manager ties the next READY=1 to it by the monotonic time, in microseconds."""
    notifier = started(manager)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading()
    first, _, second = manager.heard().partition("\n")
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_the_same_status_is_told_once(manager: Manager) -> None:
    """The loop tells it in every turn; only a change is news."""
    notifier = started(manager)
    for text in ("idle", "idle", "busy", "idle"):
        notifier.status(text)
    assert [manager.heard() for _ in range(3)] == ["STATUS=idle", "STATUS=busy", "STATUS=idle"]


def test_a_status_is_one_line(manager: Manager) -> None:
    """What stands in a status can tell systemd nothing else."""
    started(manager).status("idle\nREADY=1\n  now")
    assert manager.heard() == "STATUS=idle READY=1 now"


def test_a_status_that_is_no_utf8_is_told_with_escapes(manager: Manager) -> None:
    """A byte of a file's name that means nothing ends no thread that the door's life hangs on."""
    notifier = started(manager)
    notifier.status("a\udcff.jpg")
    notifier.ready()
    assert [manager.heard() for _ in range(2)] == ["STATUS=a\\udcff.jpg", "READY=1"]


def test_a_beat_is_a_third_of_the_watchdog(manager: Manager) -> None:
    """So that one that comes late ends no door."""
    assert started(manager, **SIX_S).beat_s == 6.0 / BEATS == 2.0


def test_signs_of_life_are_half_a_beat_apart(manager: Manager) -> None:
    """A loop that turns thirty times a second does not write thirty times a second."""
    clock = FakeClock()
    notifier = started(manager, clock, **SIX_S)
    for _ in range(30):
        notifier.alive()
        clock.advance(0.1)
    notifier.stopping()
    assert [manager.heard() for _ in range(4)] == ["WATCHDOG=1"] * 3 + ["STOPPING=1"]


@pytest.mark.parametrize(
    "environ",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {**SIX_S, "WATCHDOG_PID": "1"}],
    ids=["none", "switched off", "no number", "another process's"],
)
def test_without_a_watchdog_there_is_no_beat(manager: Manager, environ: dict[str, str]) -> None:
    """Where systemd waits for no sign of this process, none is given."""
    notifier = started(manager, **environ)
    notifier.alive()
    notifier.ready()
    assert (notifier.beat_s, manager.heard()) == (None, "READY=1")


def test_the_watchdog_of_this_process_counts(manager: Manager) -> None:
    """The watchdog is ours where systemd says our number."""
    assert started(manager, **SIX_S, WATCHDOG_PID=str(os.getpid())).beat_s == 2.0


def test_without_systemd_nothing_is_told(manager: Manager) -> None:
    """A door that was started by hand is silent, and needs no library."""
    notifier = Notifier(SIX_S)
    notifier.ready()
    notifier.alive()
    notifier.status("idle")
    notifier.reloading()
    notifier.stopping()
    started(manager).status("somebody else")
    assert (notifier.beat_s, manager.heard()) == (None, "STATUS=somebody else")


def test_without_its_library_the_fix_is_named(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manager would wait for a READY=1 that never comes: the start fails, and says what to install."""
    monkeypatch.setitem(sys.modules, "systemd.daemon", None)
    with pytest.raises(Unavailable, match="apt install python3-systemd"):
        started(manager)


def test_a_full_queue_is_waited_for_at_an_abstract_address_too() -> None:
    """A manager in a container may listen at an address that begins with @."""
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filling,
    ):
        receiver.bind("")  # autobind: the kernel picks an abstract one (unix(7))
        name = receiver.getsockname()
        filling.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                filling.sendto(b"x", name)
        waiter = threading.Thread(target=wait_for_room, args=(f"@{name[1:].decode()}",), daemon=True)
        waiter.start()
        waiter.join(0.2)
        assert waiter.is_alive()
        receiver.recv(1)
        waiter.join(PATIENCE_S)
        assert not waiter.is_alive()


def test_a_manager_that_went_away_ends_nothing(manager: Manager, tmp_path: Path) -> None:
    """What cannot be told is not told, and what comes after it is again."""
    notifier = started(manager)
    manager.close()
    (tmp_path / "notify").unlink()
    notifier.ready()
    again = Manager(tmp_path)
    # The first one may still be on its way to nobody when this one is there.
    notifier.stopping()
    if (heard := again.heard()) == "READY=1":
        heard = again.heard()
    assert heard == "STOPPING=1"
    again.close()


def test_a_manager_that_hangs_holds_up_nobody(manager: Manager) -> None:
    """A socket that nobody reads fills up; the controller, which must hear the way out, goes on."""
    notifier = started(manager)
    for number in range(MOST_WAITING * 10):
        notifier.status(str(number))
    assert manager.heard() == "STATUS=0"
