"""A TCP proxy on loopback before a database server, for outages at chosen moments; it cannot read into TLS.

Each connection has two threads, which end with it; `close` ends them all.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from contextlib import closing, suppress
from dataclasses import dataclass, field
from types import TracebackType

COMMIT = b"\x03COMMIT"
"""A COM_QUERY of one word, as PyMySQL sends it (page_protocol_com_query in MySQL's manual of its source)."""

CHUNK = 65536
JOIN_S = 30.0
CONNECT_S = 10.0


@dataclass(eq=False)
class _Pair:
    """A client's connection and the one to the server that belongs to it."""

    client: socket.socket
    server: socket.socket
    threads: list[threading.Thread] = field(default_factory=list)
    swallowing: bool = False

    def cut(self) -> None:
        """End both ways at once; the threads see it and close the sockets."""
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Proxy:
    """Passes bytes on between clients and the server at `host`:`port`, until it is told otherwise; any thread."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._target = (host, port)
        self._lock = threading.Lock()
        self._pairs: set[_Pair] = set()
        self._flowing = threading.Event()
        self._flowing.set()
        self._refusing = self._closed = False
        self._swallow: set[int] = set()
        self._chance, self._random = 0.0, random.Random(0)
        self.commits = 0
        """COMMIT statements seen so far."""
        self.swallowed = 0
        """COMMIT statements whose answers were swallowed."""
        self.connections = 0
        """Connections taken so far."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._accepting = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._accepting.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def address(self) -> str:
        """The proxy as the settings name a server."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def cut(self) -> None:
        """End all connections now; new ones are taken."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.cut()

    def swallow_commit_answer(self, number: int = 1) -> None:
        """Let the `number`-th COMMIT from now on through, and end its connection before the server's answer is back."""
        with self._lock:
            self._swallow.add(self.commits + number)

    def swallow_commit_answers(self, chance: float, seed: random.Random) -> None:
        """From now on do so for each COMMIT with this chance, 0 for never; `seed` makes it repeatable."""
        with self._lock:
            self._chance, self._random = chance, seed

    def hold(self) -> None:
        """Pass nothing on, either way, and keep the connections."""
        self._flowing.clear()

    def release(self) -> None:
        """Pass on what was held, and what comes."""
        self._flowing.set()

    def refuse(self) -> None:
        """End each new connection at once; those that are there go on."""
        self._refusing = True

    def admit(self) -> None:
        """Take new connections again."""
        self._refusing = False

    def close(self) -> None:
        """End all, and wait for the threads."""
        self._closed = True
        self._flowing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(JOIN_S)
        self._listener.close()
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.cut()
            for thread in pair.threads:
                thread.join(JOIN_S)
                assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # the listener was shut down
                return
            if self._closed or self._refusing or not self._join(client):
                _reset(client)

    def _join(self, client: socket.socket) -> bool:
        """Connect a client with the server; False where the server is not there."""
        try:
            server = socket.create_connection(self._target, CONNECT_S)
        except OSError:
            return False
        for end in (client, server):
            end.settimeout(None)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = _Pair(client, server)
        pair.threads = [threading.Thread(target=run, args=(pair,), daemon=True) for run in (self._asks, self._answers)]
        with self._lock:
            self.connections += 1
            self._pairs.add(pair)
        for thread in pair.threads:
            thread.start()
        return True

    def _asks(self, pair: _Pair) -> None:
        """Carry a client's packets; runs until either end is closed, and closes both."""
        with closing(pair.server), closing(pair.client):
            with suppress(OSError):
                while packet := _packet(pair.client):
                    self._flowing.wait()
                    if packet[4:] == COMMIT and self._to_swallow():
                        pair.swallowing = True
                    pair.server.sendall(packet)
            pair.cut()
            pair.threads[1].join(JOIN_S)
        with self._lock:
            self._pairs.discard(pair)

    def _answers(self, pair: _Pair) -> None:
        """Carry the server's bytes; runs until either end is closed."""
        with suppress(OSError):
            while chunk := pair.server.recv(CHUNK):
                self._flowing.wait()
                if pair.swallowing:
                    with self._lock:
                        self.swallowed += 1
                    break
                pair.client.sendall(chunk)
        pair.cut()

    def _to_swallow(self) -> bool:
        with self._lock:
            self.commits += 1
            chosen = self._chance > 0 and self._random.random() < self._chance
            return chosen or self.commits in self._swallow


def _packet(client: socket.socket) -> bytes:
    """Return the client's next packet with its header, empty at the end."""
    header = _exactly(client, 4)
    return header + _exactly(client, int.from_bytes(header[:3], "little")) if header else b""


def _exactly(client: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        if not (chunk := client.recv(min(CHUNK, size - len(found)))):
            return b""
        found += chunk
    return bytes(found)


def _reset(client: socket.socket) -> None:
    """Close so that the other end sees a reset (SO_LINGER with 0 s)."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
