"""The exceptions of smileaccess: one root, and a leaf for each thing that a caller can act on.

A message names the thing, the value and the fix. An adapter raises these from its library's own exceptions.
"""

from __future__ import annotations


class SmileAccessError(Exception):
    """The root of all of ours; the command line prints it without a traceback and exits with `exit_code`."""

    exit_code = 1


class SettingsError(SmileAccessError, ValueError):
    """The settings are wrong; `problems` holds every one found."""

    exit_code = 2

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Unavailable(SmileAccessError):
    """A part is not there: unplugged, busy, refused, not reachable. Trying again later may help."""


class Failed(SmileAccessError):
    """A part is there and answered with an error; the same question would get the same answer."""


class TimedOut(SmileAccessError, TimeoutError):
    """A part did not answer within its bound."""


class CameraError(SmileAccessError):
    """Anything about the camera."""


class CameraUnavailable(CameraError, Unavailable):
    """The camera cannot be opened or went away."""


class CameraTimedOut(CameraError, TimedOut):
    """No frame came within the bound."""


class VisionError(SmileAccessError):
    """Anything about the local eyes."""


class VisionFailed(VisionError, Failed):
    """A network could not be loaded or did not run."""


class RecognizerError(SmileAccessError):
    """Anything about who it is; `calls` counts the billed calls that were made in vain."""

    calls = 0


class RecognizerUnavailable(RecognizerError, Unavailable):
    """The recognizer cannot be asked now."""


class RecognizerFailed(RecognizerError, Failed):
    """The recognizer refused the question."""


class SpendingCapReached(RecognizerUnavailable):
    """A billed call would go beyond what the owner allows to be spent."""


class CollectionError(SmileAccessError):
    """Anything about the collection of faces that people are enrolled into."""


class CollectionUnavailable(CollectionError, Unavailable):
    """The collection cannot be reached now."""


class CollectionFailed(CollectionError, Failed):
    """The collection is not there, or refused what was asked of it."""


class CollectionGone(CollectionFailed):
    """There is no such collection."""


class FaceNotIndexed(CollectionError):
    """The service did not take a picture's face into the collection; the message says why."""


class RecognizerTimedOut(RecognizerError, TimedOut):
    """The recognizer did not answer in time."""


class RecordsError(SmileAccessError):
    """Anything about the record or the members' list; `code` is the database server's number for it, 0 without one."""

    code = 0


class RecordsUnavailable(RecordsError, Unavailable):
    """The database cannot be opened or written: missing, read-only, full, locked."""


class RecordsFailed(RecordsError, Failed):
    """The database is not ours, is damaged, is newer than the program, or does not hold what was asked for."""


class RowRefused(RecordsFailed):
    """The database refused what a row holds: the same row would be refused again, another one need not be."""


class RecordsBusy(RecordsUnavailable):
    """The database gave another transaction the way: nothing was done, and the same may be tried again at once."""


class ShutOut(RecordsUnavailable):
    """The database does not let this account in: a wrong password, a locked account, a door that was revoked."""


class ChainBroken(RecordsError):
    """The record does not verify; `sequence` is the first bad link."""

    def __init__(self, message: str, sequence: int) -> None:
        super().__init__(message)
        self.sequence = sequence


class PanelError(SmileAccessError):
    """Anything about LEDs, buzzer, inputs and strike."""


class PanelUnavailable(PanelError, Unavailable):
    """The panel cannot be opened or its strike cannot be driven."""


class KeysError(SmileAccessError):
    """A key is missing, unreadable, open to others, or of the wrong kind."""


class SignatureInvalid(SmileAccessError):
    """What claims to be a member was not signed by the enroller, or is older than what this door has seen."""


class PictureError(SmileAccessError, ValueError):
    """A file is no picture that can be used: unreadable, truncated, empty, huge, of another format."""


class EnrollmentRefused(SmileAccessError):
    """The person was not enrolled; the message says why and what to do."""


class MemberNotFound(SmileAccessError, LookupError):
    """No member has this id or name, or more than one does."""


class ControlError(SmileAccessError):
    """Anything about the operator's socket."""


class ControlUnavailable(ControlError, Unavailable):
    """No daemon listens on the socket."""


class NotPermitted(ControlError, PermissionError):
    """The caller is in none of the groups that may do this."""


class AlertsUnavailable(Unavailable):
    """Alerts cannot be sent: Apprise is not installed, or its process failed."""
