"""A door that is killed at a chosen step of its first attempt: `python -m tests.dying SETTINGS STEP JOURNAL`.

A step is a call of, or a return from, a function of the way from the press to the relock; the interpreter's own profile
hook counts them, so that the program runs as it is. With step 0 the attempt is played to its end, and the number of
steps is printed. JOURNAL gets a line, synced, before the strike moves.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from smileaccess import settings as configuration
from smileaccess import wiring
from smileaccess.clock import SystemClock
from smileaccess.daemon import Daemon
from smileaccess.model import DoorInput
from smileaccess.panels.silent import SilentPanel

STEPS = {
    "jobs.py": {"open_row", "look", "ask", "close_row"},
    "recorder.py": {"open_attempt", "close_attempt"},
    "spool.py": {"open_attempt", "close_attempt"},
    "database.py": {"writing", "link", "keep", "insert"},
    "controller.py": {"_begin", "_judge", "_record", "_closed", "_energize", "_ended"},
    "strike.py": {"energize", "de_energize"},
    "dying.py": {"energize", "de_energize"},
}
"""The functions, by their file."""


class Panel(SilentPanel):
    """A panel that says, durably, what the strike is about to do."""

    def __init__(self, journal: Path) -> None:
        super().__init__(SystemClock())
        self.journal = journal
        self.armed = False

    def write(self, line: str) -> None:
        handle = os.open(self.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(handle, f"{line}\n".encode())
        os.fsync(handle)
        os.close(handle)

    def energize(self, for_s: float) -> None:
        self.write("energize")
        super().energize(for_s)

    def de_energize(self) -> None:
        if self.armed:
            self.write("de_energize")
        super().de_energize()


class Counter:
    """Counts steps once it is armed, and kills this process at the one that was chosen."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.count = 0
        self.armed = False
        self.lock = threading.Lock()

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if not self.armed or event not in {"call", "return"}:
            return
        code = frame.f_code
        if code.co_name not in STEPS.get(os.path.basename(code.co_filename), ()):  # noqa: PTH119 -- called very often
            return
        with self.lock:
            self.count += 1
            if self.count == self.fatal:
                os.kill(os.getpid(), signal.SIGKILL)


def main(config: str, fatal: int, journal: str) -> int:
    counter = Counter(fatal)
    threading.setprofile(counter)
    sys.setprofile(counter)
    settings, clock = configuration.load(Path(config)), SystemClock()
    panel = Panel(Path(journal))

    def press(_: Any) -> None:
        panel.armed = counter.armed = True
        panel.press(DoorInput.ENTRY)

    def locked() -> None:
        """End once the strike has relocked, or was never energized."""
        while panel.energized or not ended.is_set():
            threading.Event().wait(0.05)
        counter.armed = False
        daemon.stop()

    ended = threading.Event()
    daemon = Daemon(
        settings,
        keys=wiring.load_keys(settings),
        camera=wiring.make_camera(settings, clock),
        panel=panel,
        on_attempt=lambda _attempt, _who: ended.set(),
        on_ready=press,
        last=True,
    )
    threading.Thread(target=locked, daemon=True).start()
    code = daemon.run()
    sys.stdout.write(f"{counter.count}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
