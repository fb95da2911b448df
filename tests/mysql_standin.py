"""A stand-in for a MySQL server, for what no server here does: caching_sha2_password, and servers that misbehave.

It speaks the protocol as MySQL's manual of its source publishes it (page_protocol_connection_phase,
page_caching_sha2_authentication_exchanges), and MariaDB's for ed25519; it knows no SQL but what it is told to answer.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

# Flags of the protocol's capabilities.
CONNECT_WITH_DB = 0x8
PROTOCOL_41 = 0x200
SSL = 0x800
TRANSACTIONS = 0x2000
SECURE_CONNECTION = 0x8000
PLUGIN_AUTH = 0x80000
CONNECT_ATTRS = 0x100000
LENENC = 0x200000
ALL = PROTOCOL_41 | CONNECT_WITH_DB | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH | CONNECT_ATTRS | LENENC

OK = b"\x00\x00\x00\x02\x00\x00\x00"
EOF = b"\xfe\x00\x00\x02\x00"
DENIED = b"\xff\x15\x04#28000Access denied"
JOIN_S = 30.0

SHA2, NATIVE, CLEAR, ED25519 = (
    "caching_sha2_password",
    "mysql_native_password",
    "mysql_clear_password",
    "client_ed25519",
)

ED25519_PASSWORD = "secret"
ED25519_KEY = "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY="
"""The public key of the password "secret", as MariaDB's documentation of its plugin prints it."""


def packet(number: int, payload: bytes) -> bytes:
    """Return a packet with its header."""
    return len(payload).to_bytes(3, "little") + bytes([number % 256]) + payload


def error(code: int, text: str = "as told") -> bytes:
    """Return what a server answers in order to say no."""
    return packet(1, b"\xff" + code.to_bytes(2, "little") + b"#HY000" + text.encode())


def rows(name: str, *values: str) -> bytes:
    """Return an answer of one column of text."""
    column = b"".join(_text(each) for each in ("def", "", "", "", name, ""))
    column += b"\x0c" + (255).to_bytes(2, "little") + (1024).to_bytes(4, "little") + b"\xfd\x00\x00\x00\x00\x00"
    answer = [b"\x01", column, EOF, *(_text(value) for value in values), EOF]
    return b"".join(packet(number, payload) for number, payload in enumerate(answer, 1))


def _text(value: str) -> bytes:
    return bytes([len(value)]) + value.encode()


@dataclass
class Manners:
    """How a stand-in behaves."""

    plugin: str = SHA2
    """What the account logs in by."""
    greeting: str = ""
    """What the first packet names; empty: the account's."""
    password: str = "hunter2"
    cached: bool = False
    """Whether the server knows the password since an earlier login (the fast path)."""
    tls: ssl.SSLContext | None = None
    silent: bool = False
    """It takes connections, and says nothing."""
    deaf: bool = False
    """It reads nothing after the login."""
    read_only: str = "0"
    raw: bytes | None = None
    """What it says in place of a greeting, before it hangs up."""
    answers: Mapping[str, bytes] = field(default_factory=dict)
    """Answers by a statement's beginning; an empty one is none at all."""


class _Denied(Exception):
    """The login is refused."""


class StandIn:
    """Serves connections on loopback, or on a socket's path, as `manners` say."""

    def __init__(self, manners: Manners, path: Path | None = None) -> None:
        self.manners = manners
        self.heard: list[tuple[bool, bytes]] = []
        """What clients sent: whether it was encrypted, and a packet's payload."""
        self.statements: list[str] = []
        self.connections = 0
        self.key = _key()
        self._ended = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._path = path
        self._listener = _listener(path)
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def port(self) -> int:
        return 0 if self._path else int(self._listener.getsockname()[1])

    @property
    def address(self) -> str:
        """The server as the settings name it."""
        return str(self._path) if self._path else f"127.0.0.1:{self.port}"

    def told(self, secret: bytes) -> bool:
        """Say whether anybody on the way could have read this."""
        return any(secret in payload for encrypted, payload in self.heard if not encrypted)

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(JOIN_S)
        self._listener.close()
        for client in self._open:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            client.close()
        for thread in self._threads:
            thread.join(JOIN_S)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # the listener was shut down
                return
            self.connections += 1
            self._open.append(client.dup())
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        session = _Session(self, client)
        try:
            if self.manners.raw is not None:
                client.sendall(self.manners.raw)
            elif self.manners.silent:
                self._ended.wait()
            else:
                self._converse(session)
        except (OSError, EOFError):  # the client went away, or this ends
            pass
        finally:
            with suppress(OSError):
                session.sock.shutdown(socket.SHUT_RDWR)  # closing does not: `_open` holds it too
            session.sock.close()

    def _converse(self, session: _Session) -> None:
        try:
            session.log_in()
        except _Denied:
            session.say(DENIED)
            return
        while (command := session.listen(first=True))[:1] == b"\x03":
            sql = command[1:].decode()
            self.statements.append(sql)
            session.answer(sql)
            if self.manners.deaf and "read_only" in sql:
                self._ended.wait()

    def wait(self) -> None:
        self._ended.wait()


class _Session:
    """One client's connection."""

    def __init__(self, server: StandIn, sock: socket.socket) -> None:
        self._server = server
        self._manners = server.manners
        self.sock = sock
        self._number = 0
        self._nonce = _nonce(20)

    @property
    def _encrypted(self) -> bool:
        return isinstance(self.sock, ssl.SSLSocket)

    def say(self, payload: bytes) -> None:
        self.sock.sendall(packet(self._number, payload))
        self._number += 1

    def listen(self, *, first: bool = False) -> bytes:
        header = self._exactly(4)
        assert first or header[3] == self._number % 256, "a packet out of turn"
        self._number = header[3] + 1
        payload = self._exactly(int.from_bytes(header[:3], "little"))
        self._server.heard.append((self._encrypted, payload))
        return payload

    def answer(self, sql: str) -> None:
        for beginning, answer in self._manners.answers.items():
            if sql.startswith(beginning):
                if not answer:
                    self._server.wait()
                self.sock.sendall(answer)
                return
        if sql.startswith("SELECT @@read_only"):
            self.sock.sendall(rows("standing", self._manners.read_only))
        else:
            self.say(OK)

    def log_in(self) -> None:
        manners = self._manners
        greeting = manners.greeting or manners.plugin
        self.say(self._greeting(greeting))
        response = self.listen()
        if int.from_bytes(response[:4], "little") & SSL:
            assert manners.tls is not None
            assert len(response) == 32, "more than the request for TLS was said in the open"
            self.sock = manners.tls.wrap_socket(self.sock, server_side=True)
            response = self.listen()
        proof, plugin = _proof(response)
        if plugin != manners.plugin:
            if manners.plugin == ED25519:
                self._nonce = _nonce(32)
            end = b"" if manners.plugin == ED25519 else b"\x00"
            self.say(b"\xfe" + manners.plugin.encode() + b"\x00" + self._nonce + end)
            proof = self.listen()
        self._check(proof)
        self.say(OK)

    def _greeting(self, plugin: str) -> bytes:
        flags = ALL | (SSL if self._manners.tls else 0)
        return (
            b"\x0a8.0.36-standin\x00"
            + (7).to_bytes(4, "little")
            + self._nonce[:8]
            + b"\x00"
            + (flags & 0xFFFF).to_bytes(2, "little")
            + b"\xff\x02\x00"
            + (flags >> 16).to_bytes(2, "little")
            + b"\x15"
            + bytes(10)
            + self._nonce[8:]
            + b"\x00"
            + plugin.encode()
            + b"\x00"
        )

    def _check(self, proof: bytes) -> None:
        checks = {SHA2: self._check_sha2, NATIVE: self._check_native, ED25519: self._check_ed25519}
        checks.get(self._manners.plugin, self._check_clear)(proof)

    def _check_native(self, proof: bytes) -> None:
        stored = hashlib.sha1(hashlib.sha1(self._manners.password.encode()).digest()).digest()
        stage = _xor(proof, hashlib.sha1(self._nonce + stored).digest())
        if hashlib.sha1(stage).digest() != stored:
            raise _Denied

    def _check_ed25519(self, proof: bytes) -> None:
        try:
            Ed25519PublicKey.from_public_bytes(base64.b64decode(ED25519_KEY)).verify(proof, self._nonce)
        except InvalidSignature:
            raise _Denied from None

    def _check_clear(self, proof: bytes) -> None:
        if proof != self._manners.password.encode() + b"\x00":
            raise _Denied

    def _check_sha2(self, proof: bytes) -> None:
        if self._manners.cached:
            stored = hashlib.sha256(hashlib.sha256(self._manners.password.encode()).digest()).digest()
            first = _xor(proof, hashlib.sha256(stored + self._nonce).digest())
            if hashlib.sha256(first).digest() != stored:
                raise _Denied
            self.say(b"\x01\x03")
            return
        self.say(b"\x01\x04")
        protected = self._encrypted or self.sock.family == socket.AF_UNIX
        self._check_clear(self.listen() if protected else self._unlocked())
        self._manners.cached = True

    def _unlocked(self) -> bytes:
        """Hand out the public key and return the password that was encrypted with it."""
        if self.listen() != b"\x02":
            raise _Denied
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        self.say(b"\x01" + self._server.key.public_key().public_bytes(serialization.Encoding.PEM, form))
        oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
        return _xor(self._server.key.decrypt(self.listen(), oaep), self._nonce)

    def _exactly(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            if not (chunk := self.sock.recv(size - len(found))):
                raise EOFError
            found += chunk
        return bytes(found)


@functools.cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _listener(path: Path | None) -> socket.socket:
    if path is None:
        return socket.create_server(("127.0.0.1", 0))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    return listener


def _nonce(size: int) -> bytes:
    """Return random bytes without a zero, which ends texts in the protocol."""
    return bytes(byte or 1 for byte in os.urandom(size))


def _proof(response: bytes) -> tuple[bytes, str]:
    """Return what a client's first answer proves, and by which plugin."""
    rest = response[32:]
    _user, _, rest = rest.partition(b"\x00")
    size, rest = rest[0], rest[1:]
    proof, rest = rest[:size], rest[size:]
    _database, _, rest = rest.partition(b"\x00")
    plugin, _, _ = rest.partition(b"\x00")
    return proof, plugin.decode()


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(byte ^ right[at % len(right)] for at, byte in enumerate(left))
