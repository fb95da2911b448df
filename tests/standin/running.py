"""The stand-in as a whole: a service behind a server, its certificates, and clients for tests."""

from __future__ import annotations

import os
import ssl
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import trustme
from botocore.config import Config
from botocore.session import Session as BotocoreSession

from tests.standin import contract, keyring, policies
from tests.standin.faults import Faults
from tests.standin.pictures import looking
from tests.standin.server import HOST, Server
from tests.standin.service import Call, Service

REGION = "eu-central-1"


_PATIENCE: dict[str, Any] = {
    "retries": {"total_max_attempts": 1},
    "connect_timeout": 5,
    "read_timeout": 20,
    "proxies": {},
}
_NO_FILES = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
"""Of botocore's session variables: neither a profile nor a file of this machine's user plays a part."""


class StandIn:
    """Amazon Rekognition on this machine, served from construction or `start` until `stop`.

    `policies` are IAM policies by user (door, enroller, admin), over the project's own; `idle_s` is how long an
    unused connection stays open; `port` 0 is any free one; `folder` is where the CA's certificate is put, a temporary
    one by default. The first one of a process loads the networks, about a second. OSError where the port is taken.
    """

    region = REGION

    def __init__(
        self,
        *,
        tls: bool = True,
        idle_s: float = 60.0,
        policies: Mapping[str, Mapping[str, Any]] | None = None,
        consistency_s: float = 0.0,
        port: int = 0,
        folder: Path | None = None,
    ) -> None:
        self._service = Service({**_shipped(), **(policies or {})}, consistency_s)
        self._own = None if folder else tempfile.TemporaryDirectory(prefix="standin-")
        self._folder = folder or Path(self._own.name if self._own else "")
        self.ca_file: Path | None = None
        self._clients: list[Any] = []
        self._lock = threading.Lock()
        context = self._certify() if tls else None
        self._server = Server(self._service.answer, port=port, idle_s=idle_s, context=context)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Load the networks and serve."""
        contract.model()
        looking()
        self._server.serve_in_thread()

    def stop(self) -> None:
        """Close every connection, whatever it waits for, and the clients; idempotent, takes less than 2 s."""
        self._service.faults.clear()
        self._server.stop()
        with self._lock:
            clients, self._clients = self._clients, []
        for client in clients:
            client.close()
        if self._own is not None:
            self._own.cleanup()

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"{'https' if self.ca_file else 'http'}://{HOST}:{self._server.port}"

    @property
    def faults(self) -> Faults:
        """What goes wrong, to be set at any time."""
        return self._service.faults

    @property
    def consistency_s(self) -> float:
        """For how long SearchFacesByImage does not find a face that was just indexed; may be set at any time."""
        return self._service.consistency_s

    @consistency_s.setter
    def consistency_s(self, seconds: float) -> None:
        self._service.consistency_s = seconds

    @property
    def calls(self) -> list[Call]:
        """Every call since the last reset, in the order of serving: before its answer is sent."""
        return self._service.calls

    def count(self, operation: str | None = None) -> int:
        """Return how many calls there were, of one operation or in all."""
        return sum(operation in (None, call.operation) for call in self.calls)

    @property
    def connections(self) -> int:
        """How many TCP connections were accepted since the last reset."""
        return self._server.accepted

    def reset(self) -> None:
        """Forget collections, faults, calls and counts; connections stay open."""
        self._service.reset()
        self._server.recount()

    def client(self, name: str, *, region: str = REGION, **options: Any) -> Any:
        """Return a boto3 client on the stand-in with a user's key; it retries nothing, and `stop` closes it.

        `options` go into botocore's Config.
        """
        key = keyring.CREDENTIALS[name]
        config = Config(**{**_PATIENCE, **options})
        with self._lock:  # a session is for one thread at a time
            client = _session().client(
                "rekognition",
                region_name=region,
                endpoint_url=self.url,
                verify=str(self.ca_file) if self.ca_file else False,
                aws_access_key_id=key.access_key_id,
                aws_secret_access_key=key.secret_access_key,
                config=config,
            )
            self._clients.append(client)
        return client

    def write_credentials(self, path: Path) -> Path:
        """Write an AWS shared credentials file with the profiles door, enroller and admin; return its path."""
        return keyring.write_credentials(path)

    def _certify(self) -> ssl.SSLContext:
        authority = trustme.CA()
        self.ca_file = self._folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(HOST, "localhost").configure_cert(context)
        return context


def _shipped() -> dict[str, Mapping[str, Any]]:
    return policies.shipped()


_sessions = threading.local()


def _session() -> boto3.session.Session:
    """Return this thread's session: it keeps the service's model, which takes long to read."""
    if not hasattr(_sessions, "one"):
        _sessions.one = boto3.session.Session(botocore_session=BotocoreSession(_NO_FILES))
    return _sessions.one
