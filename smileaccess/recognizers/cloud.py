"""Where Amazon Rekognition is and who asks, as a boto3 client, and its errors in our words; it asks nothing itself."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import boto3
import botocore.exceptions
import botocore.parsers
import botocore.session
from botocore.config import Config
from botocore.httpsession import get_cert_path

from smileaccess.errors import SmileAccessError


@dataclass(frozen=True, slots=True)
class Service:
    """Where the service is, and with which credentials it is asked.

    `endpoint`, `ca_file`, `credentials_file` and `profile` are empty for what boto3 finds by itself.
    """

    region: str
    endpoint: str = ""
    ca_file: str = ""
    credentials_file: str = ""
    profile: str = ""

    @property
    def host(self) -> str:
        """How the service is called in messages."""
        return f"rekognition in {self.region}"


class Trouble(StrEnum):
    """What may be wrong with the service or with a question."""

    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    TIMED_OUT = "timed out"
    REFUSED = "refused"
    CREDENTIALS = "credentials"
    NOT_PERMITTED = "not permitted"
    CLOCK = "clock"
    NO_COLLECTION = "no such collection"
    EXISTS = "exists already"
    REJECTED = "rejected"
    MALFORMED = "malformed answer"


WORTH_A_RETRY = frozenset({Trouble.THROTTLED, Trouble.UNAVAILABLE, Trouble.MALFORMED})
"""Another try may help at once; it never helps against wrong credentials, a missing collection or a bad picture."""

_CODES: Mapping[str, Trouble] = {
    "ThrottlingException": Trouble.THROTTLED,
    "Throttling": Trouble.THROTTLED,
    "ProvisionedThroughputExceededException": Trouble.THROTTLED,
    "ThrottledException": Trouble.THROTTLED,
    "TooManyRequestsException": Trouble.THROTTLED,
    "RequestLimitExceeded": Trouble.THROTTLED,
    "LimitExceededException": Trouble.REJECTED,
    "InternalServerError": Trouble.UNAVAILABLE,
    "InternalFailure": Trouble.UNAVAILABLE,
    "ServiceUnavailable": Trouble.UNAVAILABLE,
    "AccessDeniedException": Trouble.NOT_PERMITTED,
    "AccessDenied": Trouble.NOT_PERMITTED,
    "UnrecognizedClientException": Trouble.CREDENTIALS,
    "InvalidClientTokenId": Trouble.CREDENTIALS,
    "InvalidSignatureException": Trouble.CREDENTIALS,
    "IncompleteSignature": Trouble.CREDENTIALS,
    "MissingAuthenticationTokenException": Trouble.CREDENTIALS,
    "ExpiredTokenException": Trouble.CREDENTIALS,
    "ExpiredToken": Trouble.CREDENTIALS,
    "SignatureDoesNotMatch": Trouble.CREDENTIALS,
    "SubscriptionRequiredException": Trouble.CREDENTIALS,
    "OptInRequired": Trouble.CREDENTIALS,
    "RequestExpired": Trouble.CLOCK,
    "RequestTimeTooSkewed": Trouble.CLOCK,
    "ResourceNotFoundException": Trouble.NO_COLLECTION,
    "ResourceAlreadyExistsException": Trouble.EXISTS,
    "ImageTooLargeException": Trouble.REJECTED,
    "InvalidImageFormatException": Trouble.REJECTED,
    "InvalidParameterException": Trouble.REJECTED,
    "InvalidPaginationTokenException": Trouble.REJECTED,
    "ValidationException": Trouble.REJECTED,
}
"""The service's error codes (botocore's model of it, and the errors common to all of AWS's services).

Only what is named here as rejected is the picture's fault: whatever is not known may be a proxy's or the service's.
"""

_LONGEST = 300
"""Characters of the service's own words that are worth keeping; a refusal may quote the whole request."""

_SECRET = re.compile(r"(?i)\s*(the canonical string|authorization\s*[:=]|x-amz-security-token).*", re.DOTALL)
_KEY_ID = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{8,}([A-Z0-9]{4})\b")

_ADVICE: Mapping[Trouble, str] = {
    Trouble.CREDENTIALS: "check [rekognition] region, credentials and profile, or the environment that boto3 reads",
    Trouble.NOT_PERMITTED: "give this key its policy of config/iam/, with this collection's name in it",
    Trouble.CLOCK: "set this machine's clock",
    Trouble.NO_COLLECTION: "check [rekognition] collection and region, or run `smileaccess collection create`",
}
"""What to do where trying again does not help."""

_SKEWED = ("signature expired", "signature not yet current", "not yet valid")


class ServiceError(Exception):
    """The service did not answer, or answered with an error."""

    def __init__(self, trouble: Trouble, what: str, told: str, code: str = "") -> None:
        """Take what was asked (`what`) and what came back."""
        advice = f": {_ADVICE[trouble]}" if trouble in _ADVICE else ""
        super().__init__(f"{what}: {trouble.value}: {told.rstrip('.')}{advice}")
        self.trouble = trouble
        self.code = code


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn every exception that a boto3 call of ours may raise into a ServiceError that names `what` was asked."""
    try:
        yield
    except SmileAccessError:
        raise
    except botocore.exceptions.ClientError as error:
        raise _refusal(what, error) from error
    except (botocore.exceptions.ConnectTimeoutError, botocore.exceptions.ReadTimeoutError) as error:
        raise ServiceError(Trouble.TIMED_OUT, what, str(error)) from error
    except (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError) as error:
        raise ServiceError(Trouble.UNAVAILABLE, what, str(error)) from error
    except botocore.exceptions.ParamValidationError as error:
        raise ServiceError(Trouble.REJECTED, what, str(error)) from error
    except botocore.exceptions.BotoCoreError as error:  # credentials, profiles, configuration: all of one kind
        raise ServiceError(Trouble.CREDENTIALS, what, str(error)) from error
    except botocore.parsers.ResponseParserError as error:
        raise ServiceError(Trouble.MALFORMED, what, str(error)) from error
    except (OSError, ValueError) as error:  # of a program or a file that the credentials come from
        raise ServiceError(Trouble.CREDENTIALS, what, f"{type(error).__name__}: {error}") from error


@contextlib.contextmanager
def well_formed(what: str) -> Iterator[None]:
    """Turn the exceptions of reading an answer that has not the form of the service's model into a ServiceError."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ServiceError(Trouble.MALFORMED, what, f"{type(error).__name__}: {error}") from error


def make_client(service: Service, *, timeout_s: float, attempts: int) -> Any:
    """Make a boto3 client, which takes about a second and connects to nothing; ServiceError.

    `timeout_s` bounds each wait on its own connections, `attempts` is the number of tries of each call.
    """
    with translated(service.host):
        config = Config(
            connect_timeout=timeout_s,
            read_timeout=timeout_s,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            user_agent_extra="smileaccess",
        )
        return boto3.Session(botocore_session=session_of(service)).client(
            "rekognition",
            region_name=service.region,
            endpoint_url=service.endpoint or None,
            verify=service.ca_file or None,
            config=config,
        )


def session_of(service: Service) -> botocore.session.Session:
    """Return botocore's session of these credentials and this profile, which reads their files when it is asked."""
    session = botocore.session.Session(profile=service.profile or None)
    if service.credentials_file:
        session.set_config_variable("credentials_file", service.credentials_file)
    return session


def trusted(service: Service) -> str:
    """Return the file of the certificates that the service is held to; ServiceError for a profile that is not there."""
    if service.ca_file:
        return service.ca_file
    with translated(service.host):
        return str(session_of(service).get_config_variable("ca_bundle") or get_cert_path(True))


def _refusal(what: str, error: botocore.exceptions.ClientError) -> ServiceError:
    told = error.response.get("Error", {})
    code, message = str(told.get("Code", "")), str(told.get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    trouble = _CODES.get(code) or _by_status(status)
    if trouble is Trouble.CREDENTIALS and any(sign in message.lower() for sign in _SKEWED):
        trouble = Trouble.CLOCK
    return ServiceError(trouble, what, f"{code}: {harmless(message)}", code)


def _by_status(status: int) -> Trouble:
    """Return what an error is whose code nobody knows."""
    if status == 429:
        return Trouble.THROTTLED
    return Trouble.UNAVAILABLE if status >= 500 else Trouble.REFUSED


def harmless(message: str) -> str:
    """Return the service's words in one line, without what they may quote of the request, and without whole key ids."""
    told = " ".join(_KEY_ID.sub(r"...\1", _SECRET.sub("", message)).split())
    return told if len(told) <= _LONGEST else told[:_LONGEST] + " ..."
