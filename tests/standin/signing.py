"""Verifies who signed a request (AWS's Signature Version 4), by signing it again; it knows nothing of what is asked."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Signer

from tests.standin import contract
from tests.standin.errors import AwsError
from tests.standin.keyring import Credentials

SKEW = timedelta(minutes=5)
"""How far the request's clock may be off, as at AWS."""

_HEADER = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request"
    r",\s*SignedHeaders=(?P<headers>[^,\s]+),\s*Signature=(?P<signature>[0-9a-f]+)"
)
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


@dataclass(frozen=True, slots=True)
class Signed:
    """A request as it came: the path as on the wire, headers by their names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed: the user's name, the access key, and the region that the signature is for."""

    name: str
    access_key_id: str
    region: str


def access_key(request: Signed) -> str | None:
    """Return the access key that a request claims, not verified, or None where it claims none."""
    match = _HEADER.fullmatch(request.headers.get("authorization", ""))
    return match["key"] if match else None


def verify(request: Signed, known: Mapping[str, Credentials], now: datetime) -> Caller:
    """Return who signed a request at `now` (UTC), among `known` by user name; AwsError, in AWS's order and words."""
    header = request.headers.get("authorization")
    if header is None:
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
    match = _HEADER.fullmatch(header)
    if match is None:
        raise AwsError("IncompleteSignatureException", f"Authorization header is malformed: {header[:40]!r}")
    caller = _caller(match, known, request)
    _check_scope(match)
    _check_date(match, request.headers.get("x-amz-date", ""), now)
    _check_signature(match, request, known[caller.name])
    return caller


def _caller(match: re.Match[str], known: Mapping[str, Credentials], request: Signed) -> Caller:
    names = [name for name, one in known.items() if one.access_key_id == match["key"]]
    if not names or "x-amz-security-token" in request.headers:  # the stand-in's keys are a user's, never a session's
        raise AwsError("UnrecognizedClientException", "The security token included in the request is invalid.")
    return Caller(names[0], match["key"], match["region"])


def _check_scope(match: re.Match[str]) -> None:
    if match["region"] not in contract.regions():
        raise AwsError("InvalidSignatureException", "Credential should be scoped to a valid region.")
    if match["service"] != "rekognition":
        raise AwsError("InvalidSignatureException", "Credential should be scoped to correct service: 'rekognition'.")
    if not {"host", "x-amz-date"} <= set(match["headers"].split(";")):
        raise AwsError("InvalidSignatureException", "'Host' and 'X-Amz-Date' must be signed headers.")


def _check_date(match: re.Match[str], stamp: str, now: datetime) -> None:
    try:
        signed_at = datetime.strptime(stamp, SIGV4_TIMESTAMP).replace(tzinfo=UTC)
    except ValueError as error:
        raise AwsError("IncompleteSignatureException", f"X-Amz-Date must be a date, not {stamp!r}") from error
    if match["date"] != stamp[:8]:
        raise AwsError("InvalidSignatureException", "Date in Credential scope does not match X-Amz-Date.")
    at, edges = f"{now:{SIGV4_TIMESTAMP}}", [f"{edge:{SIGV4_TIMESTAMP}}" for edge in (now - SKEW, now + SKEW)]
    if signed_at < now - SKEW:
        expired = f"Signature expired: {stamp} is now earlier than {edges[0]} ({at} - 5 min.)"
        raise AwsError("InvalidSignatureException", expired)
    if signed_at > now + SKEW:
        early = f"Signature not yet current: {stamp} is still later than {edges[1]} ({at} + 5 min.)"
        raise AwsError("InvalidSignatureException", early)


def _check_signature(match: re.Match[str], request: Signed, secret: Credentials) -> None:
    digest = request.headers.get("x-amz-content-sha256")
    if digest not in (None, "UNSIGNED-PAYLOAD", hashlib.sha256(request.body).hexdigest()):
        raise AwsError("InvalidSignatureException", _MISMATCH)
    expected = _signature(match, request, secret)
    if not hmac.compare_digest(expected, match["signature"]):
        raise AwsError("InvalidSignatureException", _MISMATCH)


def _signature(match: re.Match[str], request: Signed, secret: Credentials) -> str:
    names = match["headers"].split(";")
    headers = {name: request.headers.get(name, "") for name in names}
    if "x-amz-content-sha256" in request.headers:
        headers["x-amz-content-sha256"] = request.headers["x-amz-content-sha256"]
    again = AWSRequest(request.method, request.url, headers, request.body)
    again.context["timestamp"] = request.headers["x-amz-date"]
    signer = SigV4Auth(Signer(secret.access_key_id, secret.secret_access_key), match["service"], match["region"])
    return str(signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again))
