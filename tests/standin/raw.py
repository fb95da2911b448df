"""Signs and sends single requests by hand, for tests of what a well-behaved client would never send."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Signer

from tests.standin.contract import PREFIX
from tests.standin.keyring import CREDENTIALS, Credentials
from tests.standin.running import REGION, StandIn


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; `json` is the body as far as it is JSON."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@contextlib.contextmanager
def line(service: StandIn, timeout_s: float = 10.0) -> Iterator[http.client.HTTPConnection]:
    """Open one connection, to be used for as many requests as it lives."""
    address = urlsplit(service.url).netloc
    if service.ca_file is None:
        connection = http.client.HTTPConnection(address, timeout=timeout_s)
    else:
        trusting = ssl.create_default_context(cafile=str(service.ca_file))
        connection = http.client.HTTPSConnection(address, timeout=timeout_s, context=trusting)
    try:
        yield connection
    finally:
        connection.close()


def post(
    connection: http.client.HTTPConnection,
    operation: str,
    asked: Mapping[str, Any] | bytes,
    *,
    key: Credentials = CREDENTIALS["admin"],
    at: datetime | None = None,
    region: str = REGION,
    signed_for: str = "rekognition",
    signed: Mapping[str, str] | None = None,
    over: Mapping[str, str] | None = None,
) -> None:
    """Send a signed request; `at` is the signature's time.

    `signed` are headers beside the usual ones, and `over` are set after signing (empty ones are left out).
    """
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    scheme = "https" if isinstance(connection, http.client.HTTPSConnection) else "http"
    headers = {"X-Amz-Target": PREFIX + operation, "Content-Type": "application/x-amz-json-1.1"}
    headers |= signed or {}
    request = AWSRequest("POST", f"{scheme}://{connection.host}:{connection.port}/", headers, body)
    _sign(request, SigV4Auth(Signer(*key), signed_for, region), at or datetime.now(UTC))
    sent = {**dict(request.headers.items()), **(over or {})}
    connection.request("POST", "/", body, {name: value for name, value in sent.items() if value})


def read(connection: http.client.HTTPConnection) -> Reply:
    """Read one answer to its end."""
    answer = connection.getresponse()
    return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


def ask(service: StandIn, operation: str, asked: Mapping[str, Any] | bytes, **options: Any) -> Reply:
    """Send one request on a connection of its own and return the answer; `options` are those of `post`."""
    with line(service) as connection:
        post(connection, operation, asked, **options)
        return read(connection)


def _sign(request: AWSRequest, signer: SigV4Auth, at: datetime) -> None:
    """Sign as of a time of our choosing, which the signer's own entry does not allow."""
    request.context["timestamp"] = at.strftime(SIGV4_TIMESTAMP)
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    text = signer.string_to_sign(request, signer.canonical_request(request))
    headers = signer.signed_headers(signer.headers_to_sign(request))
    signature = signer.signature(text, request)
    scope = f"Credential={signer.scope(request)}, SignedHeaders={headers}, Signature={signature}"
    request.headers["Authorization"] = f"AWS4-HMAC-SHA256 {scope}"
