"""Asks Amazon Rekognition with one profile's key, every call bounded and made once; it decides what nothing means.

It goes by the connection that the door itself uses, so that what works here works there.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import botocore.exceptions
from botocore import xform_name

from smileaccess.recognizers.cloud import Service, ServiceError, Trouble, make_client, session_of, translated, trusted
from smileaccess.recognizers.transport import Transport, TransportError

if TYPE_CHECKING:
    from smileaccess.ports import Clock


@dataclass(frozen=True, slots=True)
class Key:
    """Who asks: the whole id of the access key, which is not to be shown, and where it was found."""

    id: str
    source: str

    @property
    def shown(self) -> str:
        """What may be shown of it: the last four characters."""
        return f"...{self.id[-4:]}"


class Asker:
    """One profile's way to the service; one thread at a time.

    ServiceError from the constructor and every method. `ahead_s` is by how many seconds this machine's clock was ahead
    of the service's at the last answer, None before the first one; `found_collection` says that a search with this key
    found the collection.
    """

    def __init__(self, service: Service, clock: Clock, call_s: float) -> None:
        self.service = service
        self.ahead_s: float | None = None
        self.found_collection = False
        self._clock = clock
        self._call_s = call_s
        self._deadline = 0.0
        self.key = _key(service)
        self._client = make_client(service, timeout_s=call_s, attempts=1)
        self._transport = _transport(service)
        self._client.meta.events.register("before-send.rekognition", self._carry)
        self._client.meta.events.register("after-call.rekognition", self._note_date)

    @property
    def url(self) -> str:
        """The service's address."""
        return str(self._client.meta.endpoint_url)

    def open(self) -> float:
        """Connect, with TLS where the address says so, and return the milliseconds it took; it costs nothing."""
        began = time.monotonic()
        with self._sent("connecting"):
            self._transport.open(self.url, self._call_s)
        return 1000 * (time.monotonic() - began)

    def ask(self, operation: str, **asked: Any) -> Mapping[str, Any]:
        """Make one call and return its answer."""
        self._deadline = time.monotonic() + self._call_s
        what = f"{self.service.host}: {operation}"
        with self._sent(operation), translated(what):
            answer: Mapping[str, Any] = getattr(self._client, xform_name(operation))(**asked)
        return answer

    def close(self) -> None:
        """End what is under way, and the connection."""
        self._transport.close()
        self._client.close()

    @contextlib.contextmanager
    def _sent(self, what: str) -> Iterator[None]:
        try:
            yield
        except TransportError as error:
            trouble = Trouble.TIMED_OUT if error.timed_out else Trouble.UNAVAILABLE
            told = f"no answer within {self._call_s:g} s" if error.timed_out else str(error)
            raise ServiceError(trouble, f"{self.service.host}: {what}", told) from error

    def _carry(self, request: Any, **_: Any) -> Any:
        """Send a request of boto3's on our connection."""
        return self._transport.send(request, self._deadline)

    def _note_date(self, http_response: Any, **_: Any) -> None:
        """Compare the clocks by the answer's Date (RFC 9110, 6.6.1), also where the answer is an error."""
        with contextlib.suppress(TypeError, ValueError):  # an answer without a date, or with none that can be read
            date = parsedate_to_datetime(http_response.headers.get("Date"))
            self.ahead_s = (self._clock.now() - date).total_seconds()


def _key(service: Service) -> Key:
    """Find the credentials as the door's client does."""
    what = f"{service.host}: the credentials"
    with translated(what):
        found = session_of(service).get_credentials()
        if found is None:
            raise botocore.exceptions.NoCredentialsError
        return Key(str(found.get_frozen_credentials().access_key), str(found.method))


def _transport(service: Service) -> Transport:
    what, trusts = f"{service.host}: the certificates", trusted(service)
    try:
        return Transport(ssl.create_default_context(cafile=trusts))
    except (OSError, ValueError) as error:
        told = f"[rekognition] ca_bundle = {service.ca_file!r}: {error}"
        raise ServiceError(Trouble.UNAVAILABLE, what, told) from error
