"""A MariaDB Galera cluster of the tests' own: private files, own ports on loopback, ended by process id.

Of Debian's packages for it only the files are needed, unpacked in a folder (`make galera`): no service is set up.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pymysql

from tests.doors import eventually
from tests.mariadb import MariaDB, free_port, program

PROVIDER = "usr/lib/libgalera_smm.so"
MISSED_S = 1.5
"""Seconds of silence after which the others suspect a node; they go on without it after twice that at the latest."""

_TIMING = (
    f"evs.keepalive_period=PT0.3S;evs.inactive_check_period=PT0.3S;evs.suspect_timeout=PT{MISSED_S}S;"
    f"evs.inactive_timeout=PT{2 * MISSED_S}S;evs.install_timeout=PT{2 * MISSED_S}S;"
    "gcache.size=64M;gcache.recover=yes"
)
_RECOVERED = re.compile(r"Recovered position:? ([0-9a-f-]{36}:-?\d+)")
_DONOR = re.compile(r"Running: 'wsrep_sst_\w+ --role 'donor'[^\n]*")
_AS_ROOT = """\
#!/bin/sh
case " $* " in *" --daemon "*) set -- --dparam=uid=0 --dparam=gid=0 "$@" ;; esac
exec {rsync} "$@"
"""
"""A server that root started copies files that are root's; rsync's daemon would become `nobody`, who may not."""


@dataclass
class Node(MariaDB):
    """A server of a cluster, numbered from 1; the first to start makes the cluster."""

    number: int = 0
    ports: tuple[int, int, int] = (0, 0, 0)
    """For the group, for what was missed, and for a whole copy."""
    group: Sequence[int] = ()
    provider: Path = Path()

    def join(self, *, alone: bool = False, nothing_left: bool = False) -> None:
        """Start it and wait until it is one of the cluster; `alone` makes the cluster.

        With `nothing_left` its files are made anew, so that it needs a whole copy.
        """
        if nothing_left:
            shutil.rmtree(self.folder / "data", ignore_errors=True)
            self.install()
        others = "" if alone else ",".join(f"127.0.0.1:{port}" for port in self.group)
        start = [] if nothing_left else self._position()
        self.options = [*self._options(others), *start]
        self.start()
        eventually(self.synced)

    def synced(self) -> bool:
        """Say whether it is with the majority, has all rows, and answers."""
        with suppress(pymysql.Error):
            return self.status("wsrep_local_state_comment") == "Synced" and self.status("wsrep_ready") == "ON"
        return False

    def status(self, name: str) -> str:
        return str(self.run("SHOW GLOBAL STATUS LIKE %s", name)[0][1])

    def freeze(self) -> None:
        """Let the process stand still: it answers nothing, and its connections stay open."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def isolate(self, *, on: bool) -> None:
        """Cut it from the others, or not: it goes on by itself, without the majority."""
        self.run(f"SET GLOBAL wsrep_provider_options = 'gmcast.isolate={int(on)}'")

    def _position(self) -> list[str]:
        """Return the option that says how far its files are after it was killed, as Debian's start does."""
        done = subprocess.run(
            [
                program("mariadbd"),
                "--no-defaults",
                f"--datadir={self.folder / 'data'}",
                f"--user={getpass.getuser()}",
                f"--socket={self.folder / 'r.sock'}",
                "--skip-networking",
                "--wsrep-recover",
                *self._options(""),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found = _RECOVERED.findall(done.stderr)
        return [f"--wsrep-start-position={found[-1]}"] if found else []

    def _options(self, others: str) -> list[str]:
        group, missed, copy = self.ports
        return [
            "--wsrep-on=ON",
            f"--wsrep-provider={self.provider}",
            "--wsrep-cluster-name=smileaccess",
            f"--wsrep-cluster-address=gcomm://{others}",
            f"--wsrep-node-name=node{self.number}",
            f"--wsrep-node-address=127.0.0.1:{group}",
            f"--wsrep-sst-receive-address=127.0.0.1:{copy}",
            "--wsrep-sst-method=rsync",
            f"--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{group};"
            f"ist.recv_addr=127.0.0.1:{missed};ist.recv_bind=127.0.0.1:{missed};{_TIMING}",
            "--binlog-format=ROW",
            "--default-storage-engine=InnoDB",
            "--innodb-autoinc-lock-mode=2",
        ]


@dataclass
class Cluster:
    """Three nodes or more."""

    nodes: list[Node] = field(default_factory=list)

    @property
    def addresses(self) -> list[str]:
        return [node.address for node in self.nodes]

    def whole(self) -> bool:
        """Say whether all nodes are one cluster and have all rows."""
        count = str(len(self.nodes))
        return all(node.synced() and node.status("wsrep_cluster_size") == count for node in self.nodes)

    def logged(self) -> list[int]:
        """Return how long the nodes' logs are."""
        return [(node.folder / "log").stat().st_size for node in self.nodes]

    def came_back(self, since: Sequence[int]) -> str:
        """Return how a node came back since the logs were so long: IST (what it missed) or SST (a whole copy)."""
        logs = [(node.folder / "log").read_bytes()[size:] for node, size in zip(self.nodes, since, strict=True)]
        ways = {
            "IST" if "--bypass" in line else "SST"
            for log in logs
            for line in _DONOR.findall(log.decode(errors="replace"))
        }
        return " and ".join(sorted(ways)) or "nothing that a donor gave"


def use(programs: Path, folder: Path) -> Path:
    """Let servers find the programs that they copy themselves with; return where Galera is."""
    provider = programs / PROVIDER
    assert provider.exists(), f"{provider} is missing: `make galera` gets it"
    if os.geteuid() == 0:
        rsync = folder / "rsync"
        rsync.write_text(_AS_ROOT.format(rsync=programs / "usr/bin/rsync"))
        rsync.chmod(0o700)
    os.environ["PATH"] = f"{folder}:{programs / 'usr/bin'}:{os.environ['PATH']}:/usr/sbin"
    libraries = [str(path) for path in (programs / "usr/lib").glob("*-linux-gnu*")]
    os.environ["LD_LIBRARY_PATH"] = ":".join([*libraries, os.environ.get("LD_LIBRARY_PATH", "")]).rstrip(":")
    return provider


@contextmanager
def clustered(programs: Path, count: int = 3) -> Iterator[Cluster]:
    """Give a running cluster, which ends with this context."""
    with tempfile.TemporaryDirectory(prefix="sa-g-") as folder:
        provider = use(programs, Path(folder))
        ports = [(free_port(), free_port(), free_port()) for _ in range(count)]
        cluster = Cluster()
        try:
            for number, own in enumerate(ports, 1):
                place = Path(folder) / str(number)
                place.mkdir()
                node = Node(place, free_port(), number=number, ports=own, provider=provider)
                node.group = [each[0] for each in ports]
                cluster.nodes.append(node)
                node.join(alone=number == 1, nothing_left=True)
            eventually(cluster.whole)
            yield cluster
        finally:
            for node in cluster.nodes:
                with suppress(AssertionError):
                    node.thaw()
                node.kill()
