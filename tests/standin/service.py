"""Takes a request through AWS's order: who, may they, is it well formed, then the work; it knows no sockets."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.standin import contract, signing
from tests.standin.backend import backends
from tests.standin.errors import AwsError
from tests.standin.faults import Fault, Faults
from tests.standin.keyring import CREDENTIALS
from tests.standin.policies import Policies
from tests.standin.responses import StandInResponse
from tests.standin.signing import Signed

OK = "OK"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its access key is None where none was claimed; `at` is its arrival on the monotonic clock.

    `outcome` is "OK", an error's code, or the kind of the fault by which nothing whole was answered.
    """

    operation: str
    access_key: str | None
    at: float
    outcome: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send, when (on the monotonic clock, at the earliest), and what is to go wrong with it.

    `released` is set when nothing is to be waited for any longer.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    due: float = 0.0
    fault: Fault | None = None
    released: threading.Event = field(default_factory=threading.Event)


class Service:
    """Rekognition without its network, for any thread."""

    def __init__(self, policies: Mapping[str, Mapping[str, Any]], consistency_s: float) -> None:
        self.faults = Faults()
        self.consistency_s = consistency_s
        self._policies = Policies(policies)
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._backends = backends(lambda: self.consistency_s)

    @property
    def calls(self) -> list[Call]:
        """Every call since the last reset, in the order of serving: before its answer is sent."""
        with self._lock:
            return list(self._calls)

    def reset(self) -> None:
        """Forget collections, faults and calls."""
        self.faults.clear()
        with self._lock:
            self._calls.clear()
            self._backends = backends(lambda: self.consistency_s)

    def answer(self, request: Signed, arrived: float) -> Answer:
        """Return the answer to a request that arrived then on the monotonic clock; it never raises."""
        target = request.headers.get("x-amz-target")
        if target is None:
            return Answer(404, (("Content-Type", "text/plain"),), b"no operation\n")
        operation = target.removeprefix(contract.PREFIX)
        fault, latency, released = self.faults.take(operation)
        status, body, outcome = self._served(request, operation, fault)
        if fault is not None and fault.kind != "error":
            outcome = fault.kind
        with self._lock:
            self._calls.append(Call(operation, signing.access_key(request), arrived, outcome))
        return Answer(status, _headers(), body, arrived + latency, fault, released)

    def _served(self, request: Signed, operation: str, fault: Fault | None) -> tuple[int, bytes, str]:
        if fault is not None and fault.kind != "error" and not fault.worked:
            return 200, b"{}", OK
        try:
            return 200, self._work(request, operation, fault), OK
        except AwsError as error:
            return error.status, error.body(), error.code
        except Exception:  # noqa: BLE001 (a service answers; its log tells a test what happened)
            _LOG.exception("%s failed", operation)
            failed = AwsError("InternalServerError", "Internal server error")
            return failed.status, failed.body(), failed.code

    def _work(self, request: Signed, operation: str, fault: Fault | None) -> bytes:
        caller = signing.verify(request, CREDENTIALS, datetime.now(UTC))
        if operation not in contract.model().operation_names:
            raise AwsError("UnknownOperationException", "")
        asked = contract.parameters(request.body)
        self._policies.check(caller.name, operation, caller.region, (asked or {}).get("CollectionId"))
        if fault is not None and fault.kind == "error":
            raise AwsError(fault.code, _MESSAGES.get(fault.code, "Injected"), status=fault.status)
        contract.check(operation, asked)
        return StandInResponse(self._backends, caller.region).answer(request)


_MESSAGES = {
    "InternalServerError": "Internal server error",
    "ProvisionedThroughputExceededException": "Provisioned rate exceeded",
    "ThrottlingException": "Rate exceeded",
}


def _headers() -> tuple[tuple[str, str], ...]:
    return (("x-amzn-RequestId", str(uuid.uuid4())), ("Content-Type", "application/x-amz-json-1.1"))
