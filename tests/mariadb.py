"""A real MariaDB of the tests' own: private files, a private socket and port on loopback, ended by process id."""

from __future__ import annotations

import getpass
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql

from tests.doors import eventually

START_S = 60.0
"""Seconds that a server may take to end: machines that run tests are busy."""


def program(name: str) -> str:
    """Return where a program of MariaDB's is; it stands in sbin, which not everybody's path has."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    assert found, f"{name} is missing: `make test` installs it (Debian's mariadb-server-core)"
    return found


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class MariaDB:
    """A server on the files in `folder`; it can be killed and started again on them."""

    folder: Path
    port: int
    options: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None
    made: int = field(default=0, init=False)

    @property
    def socket(self) -> Path:
        return self.folder / "s.sock"

    @property
    def address(self) -> str:
        """The server as the settings name it."""
        return f"127.0.0.1:{self.port}"

    def install(self) -> None:
        """Make the server's own tables; the user root has no password."""
        made = subprocess.run(
            [
                program("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={self.folder / 'data'}",
                f"--user={getpass.getuser()}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        assert made.returncode == 0, made.stdout + made.stderr

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    program("mariadbd"),
                    "--no-defaults",
                    f"--datadir={self.folder / 'data'}",
                    f"--user={getpass.getuser()}",
                    f"--socket={self.socket}",
                    f"--port={self.port}",
                    "--bind-address=127.0.0.1",
                    f"--pid-file={self.folder / 'pid'}",
                    f"--tmpdir={self.folder / 'data'}",  # a server clears others' files in a shared one as it starts
                    "--skip-name-resolve",
                    "--innodb-buffer-pool-size=64M",
                    "--innodb-log-file-size=32M",
                    "--max-connections=200",
                    *self.options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        process = self.process

        def answers() -> bool:
            assert process.poll() is None, (self.folder / "log").read_text(errors="replace")[-3000:]
            with closing(socket.socket(socket.AF_UNIX)) as probe:
                return probe.connect_ex(str(self.socket)) == 0

        eventually(answers)

    def kill(self) -> None:
        """End it as a power cut would end the process."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(START_S)
            self.process = None

    def connect(self, database: str | None = None, *, user: str = "root", password: str = "") -> Any:
        """Return a connection of PyMySQL's, over the socket, each statement a transaction of its own."""
        return pymysql.connect(
            unix_socket=str(self.socket), user=user, password=password, database=database, autocommit=True
        )

    def run(self, sql: str, *values: Any, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run one statement as root and return all rows of its answer."""
        with closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

    def new_database(self) -> str:
        """Make an empty database with a name of its own, and return the name."""
        self.made += 1
        name = f"smileaccess_{self.made}"
        self.run(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        return name


@contextmanager
def running(*options: str, prefix: str = "sa-db-") -> Iterator[MariaDB]:
    """Give a running server, which ends with this context."""
    with tempfile.TemporaryDirectory(prefix=prefix) as folder:  # short: a socket's path must be
        server = MariaDB(Path(folder), free_port(), options)
        server.install()
        server.start()
        try:
            yield server
        finally:
            server.kill()
