"""GPIO lines in a folder for processes under test, and the guard's program on them; see lgpio.py beside this."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
from pathlib import Path

from smileaccess.panels import strike_guard
from tests.fakes_devices import PATIENCE_S

HERE = Path(__file__).parent

PROGRAM = """
import os, runpy, sys
os.environ["LGPIO_STANDIN"] = sys.argv.pop(1)
sys.path.insert(0, {here!r})
sys.argv[0] = {guard!r}
runpy.run_path({guard!r}, run_name="__main__")
"""


class Lines:
    """The lines of gpiochip0; once nobody owns a line it keeps its level, or with `drops` falls to low."""

    def __init__(self, folder: Path, *, drops: bool = False) -> None:
        self.folder = folder
        self.drops = drops
        (folder / "gpiochip0").touch()

    @property
    def command(self) -> tuple[str, ...]:
        """The guard's program on these lines, to which chip, line, level and cap are given."""
        program = PROGRAM.format(here=str(HERE), guard=strike_guard.__file__)
        return (sys.executable, "-c", program, str(self.folder))

    @property
    def environment(self) -> dict[str, str]:
        """What makes another program of ours use these lines."""
        return {**os.environ, "LGPIO_STANDIN": str(self.folder), "PYTHONPATH": str(HERE)}

    def owned(self, line: int) -> bool:
        owner = self.folder / f"owner.{line}"
        if not owner.exists():
            return False
        with owner.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def level(self, line: int) -> int:
        """What is to be measured at the line."""
        if self.drops and not self.owned(line):
            return 0
        return int((self.folder / f"level.{line}").read_text())

    def history(self, line: int) -> str:
        """Every level that was written, from the first."""
        return (self.folder / f"history.{line}").read_text()

    def stick(self, line: int, level: int) -> None:
        """Let the line read this whatever is driven, as with a short."""
        (self.folder / f"stuck.{line}").write_text(str(level))

    def refuse(self, line: int) -> None:
        """Let every further write fail."""
        (self.folder / f"refuses.{line}").touch()

    def mend(self, line: int) -> None:
        for kind in ("stuck", "refuses"):
            (self.folder / f"{kind}.{line}").unlink(missing_ok=True)


class GuardProcess:
    """A guard as a process, spoken to by hand."""

    def __init__(self, lines: Lines, *arguments: str) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([*lines.command, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)
        self.unread = b""

    def send(self, text: bytes) -> None:
        self.process.stdin.write(text)

    def answer(self) -> str:
        """Return the next line it writes, empty when it has closed its pipe."""
        while b"\n" not in self.unread:
            assert select.select([self.process.stdout], [], [], PATIENCE_S)[0], "the guard does not answer"
            read = self.process.stdout.read(4096)
            if not read:
                return ""
            self.unread += read
        line, self.unread = self.unread.split(b"\n", 1)
        return line.decode()

    def ask(self, command: str) -> str:
        self.send(f"{command}\n".encode())
        return self.answer()

    def close(self) -> None:
        self.process.stdin.close()

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)

    def end(self) -> None:
        """Kill it where it still runs, and close everything."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


def await_end(pid: int) -> None:
    """Wait until a process, whoever its parent is, has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], PATIENCE_S)[0], f"process {pid} does not end"
    finally:
        os.close(handle)
