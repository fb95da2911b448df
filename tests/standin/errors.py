"""The errors that the stand-in answers with, spelled on the wire as Amazon Rekognition spells its own."""

from __future__ import annotations

import json
import uuid

_FRONT_DOOR = frozenset(
    {
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "SerializationException",
        "UnknownOperationException",
        "UnrecognizedClientException",
        "ValidationException",
    }
)
"""What AWS's common front answers before Rekognition itself is reached; these say `message` in lower case."""

_STATUS = {"InternalServerError": 500, "ServiceUnavailableException": 503, "UnknownOperationException": 404}
"""Every other error is a 400."""


class AwsError(Exception):
    """An answer that is an error; `status` is the HTTP status, by the code where it is not given."""

    def __init__(self, code: str, message: str, *, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = _STATUS.get(code, 400) if status is None else status

    def body(self) -> bytes:
        """Return the JSON body, in the form that AWS's developer guide shows ("Error handling")."""
        if self.code in _FRONT_DOOR:
            return json.dumps({"__type": self.code, "message": self.message}).encode()
        logref = str(uuid.uuid4())
        return json.dumps(
            {"__type": self.code, "Code": self.code, "Logref": logref, "Message": self.message},
        ).encode()
