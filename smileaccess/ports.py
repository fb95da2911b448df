"""What the controller, the enrollment and the operator's socket need of the world; adapters fulfil it.

A method raises only the errors that its docstring names (or their children); nothing returns None for a failure.
`close` may be called more than once, from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from smileaccess.delivery import Outgoing, Refused
    from smileaccess.model import (
        Attempt,
        Bill,
        ChainHead,
        DoorEvent,
        DoorInput,
        Examination,
        Face,
        FaceMatch,
        Frame,
        Health,
        IndexedFace,
        KnownDoor,
        Member,
        Question,
        Sight,
        Signal,
        SignedMember,
        Vector,
    )


class Clock(Protocol):
    """Time: one clock that never jumps, one that people read."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back."""
        ...

    def now(self) -> datetime:
        """Return the wall time as an aware UTC datetime."""
        ...

    def synchronized(self) -> bool:
        """Say whether wall time comes from a clock chip or was set from the network since the boot."""
        ...


class Worker(Protocol):
    """Somewhere to have work done, one job after the other."""

    def submit(self, job: Callable[[], object]) -> None:
        """Take a job and return at once; any thread."""
        ...


class Camera(Protocol):
    """A camera that runs by itself and keeps its recent frames."""

    def start(self) -> None:
        """Open the camera and let it run; CameraUnavailable where that fails."""
        ...

    def read(self, after: int, timeout_s: float) -> Frame:
        """Return the newest frame whose sequence is greater than `after`, waiting at most `timeout_s` for it.

        Any thread. CameraTimedOut when none came, CameraUnavailable when the camera is gone.
        """
        ...

    def prepare(self) -> None:
        """Get ready, since somebody is near: a camera that sleeps wakes up; returns at once; any thread."""
        ...

    def trouble(self) -> str:
        """Return why there are no pictures, empty where there are, or where nobody asked for any; any thread."""
        ...

    def close(self) -> None:
        """Release the camera; a `read` under way ends with CameraUnavailable."""
        ...


class Vision(Protocol):
    """The local eyes. `look` belongs to one thread at a time, `embed` may run beside it on another."""

    model: str
    """The id of the embedding network, stored with every template."""

    def look(self, frame: Frame) -> Sight:
        """Find, track and judge the faces of a frame, in the order of capture; VisionFailed."""
        ...

    def embed(self, frame: Frame, face: Face) -> Vector:
        """Return the face's embedding, float32, of length 1 (L2); any one thread; VisionFailed."""
        ...

    def reset(self) -> None:
        """Forget all tracks: the next frame belongs to another sequence."""
        ...

    def close(self) -> None:
        """Let go of the networks."""
        ...


class Recognizer(Protocol):
    """Who is it, and what does the face show?"""

    name: str
    """As it stands on record: embedded, rekognition."""

    def prepare(self) -> None:
        """Get ready, since somebody is near; costs nothing, returns at once; any thread."""
        ...

    def examine(self, question: Question) -> Examination:
        """Answer a question within its time and its number of billed calls.

        Runs on a worker thread. RecognizerUnavailable (SpendingCapReached among them), RecognizerTimedOut,
        RecognizerFailed.
        """
        ...

    def health(self) -> Health:
        """Say who would answer now; any thread."""
        ...

    def use(self, members: Sequence[Member]) -> None:
        """Take this list of members for all later searches, at once and whole; any thread."""
        ...

    def close(self) -> None:
        """Let go of connections and networks."""
        ...


class Purse(Protocol):
    """What is paid from for billed calls."""

    def pay(self, attempt: str) -> None:
        """Count one billed call of this attempt before it is made; any thread.

        SpendingCapReached where it may not be made.
        """
        ...


class Collection(Protocol):
    """A collection of faces that people are enrolled into and searched in; one thread at a time.

    CollectionUnavailable, CollectionFailed.
    """

    name: str
    """The collection's id, as it stands with every indexed face."""

    def index(self, frame: Frame, face: Face, member_id: str) -> IndexedFace:
        """Take a face in, under the member's id; FaceNotIndexed where the service finds it no use."""
        ...

    def search(self, frame: Frame, face: Face) -> tuple[FaceMatch, ...]:
        """Return the indexed faces that look like this one, best first, also below the threshold."""
        ...

    def remove(self, face_ids: Sequence[str]) -> None:
        """Take faces out; one that is gone already is no error."""
        ...

    def faces(self) -> Iterator[tuple[str, str]]:
        """Yield every face's FaceId and the member id it was indexed under, which nobody vouches for."""
        ...


class Panel(Protocol):
    """Lights, buzzer, inputs and the strike of one door."""

    def secure(self) -> None:
        """See that the strike is de-energized, before anything else of the door is there; PanelUnavailable."""
        ...

    def start(self, on_input: Callable[[DoorInput], None]) -> None:
        """Open the panel with the strike de-energized; `on_input` is called from any thread and only enqueues.

        PanelUnavailable where that fails.
        """
        ...

    def energize(self, for_s: float) -> None:
        """Energize the strike for at most `for_s` seconds from now, replacing an earlier bound; PanelUnavailable."""
        ...

    def de_energize(self) -> None:
        """De-energize the strike; PanelUnavailable when that cannot be shown to have happened."""
        ...

    def signal(self, signal: Signal) -> None:
        """Show a signal until the next one; returns at once and never raises for a lamp that is broken."""
        ...

    def close(self) -> None:
        """De-energize the strike, then release everything."""
        ...


class Supervisor(Protocol):
    """Who started the process and restarts it when it hangs; every method returns at once; any thread."""

    @property
    def beat_s(self) -> float | None:
        """By how many seconds two signs of life may be apart, None where nobody waits for one."""
        ...

    def ready(self) -> None:
        """Tell that the start, or a reload, is done."""
        ...

    def alive(self) -> None:
        """Give a sign of life; the controller's loop, and nothing else, calls it."""
        ...

    def status(self, text: str) -> None:
        """Tell in a line how things stand; the same as before is not told again."""
        ...

    def reloading(self) -> None:
        """Tell that a reload has begun; `ready` ends it."""
        ...

    def stopping(self) -> None:
        """Tell that the stop has begun."""
        ...


class EventWriter(Protocol):
    """What takes down what was done; RecordsUnavailable, RecordsFailed."""

    def add_event(self, event: DoorEvent) -> object:
        """Put down a door event; what is returned differs."""
        ...


class RecordWriter(Protocol):
    """What the door itself needs of its record; see Records."""

    def open_attempt(self, attempt: Attempt) -> ChainHead:
        """Put down that an attempt began."""
        ...

    def close_attempt(self, attempt: Attempt) -> ChainHead:
        """Complete an attempt that is open; RecordsFailed if it is not (closed already, or never opened)."""
        ...

    def add_event(self, event: DoorEvent) -> ChainHead:
        """Put down a door event."""
        ...

    def add_bill(self, bill: Bill) -> None:
        """Add billed calls to those of their day and payer; no link of the chain."""
        ...

    def close(self) -> None:
        """Close the database."""
        ...


class RecordReader(Protocol):
    """A record to be read: one door's own, or the central one of all doors. RecordsUnavailable, RecordsFailed."""

    def attempts(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        outcome: str | None = None,
        reason: str | None = None,
        member_id: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Attempt]:
        """Yield attempts, newest first, that fit every given filter (`since` inclusive, `until` exclusive)."""
        ...

    def attempt(self, attempt_id: str) -> Attempt:
        """Return one attempt by its id or an unambiguous beginning of it; RecordsFailed if there is none."""
        ...

    def events(self, *, since: datetime | None = None, limit: int | None = None) -> Iterator[DoorEvent]:
        """Yield door events, newest first."""
        ...

    def newest(self) -> datetime | None:
        """Return the latest time on record, or None for an empty record."""
        ...

    def mentions(self, member_id: str) -> tuple[int, int]:
        """Return on how many attempts (as the member or as a candidate), and on how many events, a member's id stands.

        Everything on record is looked through.
        """
        ...


class Records(RecordWriter, RecordReader, Protocol):
    """The door's record. Every method is durable when it returns, and raises RecordsUnavailable or RecordsFailed.

    One thread at a time uses an instance; several processes may use one database.
    """

    def close_open_attempts(self, door: str, closed_at: datetime) -> list[Attempt]:
        """Close what a crash left open as denied with internal_error, and return those."""
        ...

    def bills(self, since: date) -> list[Bill]:
        """Return the billed calls from a day on, one bill a day and payer, in order."""
        ...

    def head(self) -> ChainHead:
        """Return the chain's head."""
        ...

    def verify(self, head: ChainHead | None = None) -> int:
        """Check the whole chain (that it holds `head` too, where one is given) and return the number of links.

        ChainBroken names the first bad link; RecordsFailed where `head` is older than what was pruned.
        """
        ...

    def prune(self, before: datetime, who: str, why: str) -> int:
        """Delete whole attempts and events older than `before` from the chain's beginning, leave a checkpoint.

        Return how many were deleted; where any were, an event `records_pruned` says who and why. ChainBroken where
        what would go does not verify: it stays.
        """
        ...


class Outbox(Protocol):
    """What of a door's record waits to be delivered; RecordsUnavailable, RecordsFailed. One thread at a time."""

    def waiting(self, limit: int) -> list[Outgoing]:
        """Return the next rows, at most `limit`, in the order of their links."""
        ...

    def delivered(self, through: int, refused: tuple[Refused, ...], at: datetime) -> None:
        """Put down, durably, that all up to link `through` was delivered, but for the rows `refused`."""
        ...

    def set_aside(self) -> list[Outgoing]:
        """Return rows that were refused before, some at a time, to be offered once more."""
        ...

    def taken_back(self, rows: list[Outgoing]) -> None:
        """Forget that these were set aside."""
        ...

    def holds(self, head: ChainHead) -> bool:
        """Say whether the record holds this link, as far as it was not pruned."""
        ...


class Archive(Protocol):
    """The central record as one door writes it; one thread at a time.

    RecordsUnavailable (ShutOut among them), RecordsFailed.
    """

    def check(self, now: datetime) -> None:
        """See that the database is ours and lets this door in, and say there that it was heard of."""
        ...

    def head(self) -> ChainHead | None:
        """Return where this record's chain stood when it last delivered, None if it never did."""
        ...

    def deliver(self, batch: Sequence[Outgoing], now: datetime) -> list[Refused]:
        """Take all rows of a batch and return those refused for what they hold.

        A row that is there already, and is the same, is no error: after RecordsUnavailable it is open what was taken.
        """
        ...

    def close(self) -> None:
        """Let go of the connection; any thread."""
        ...


class CentralList(Protocol):
    """The members' list that all doors follow, as one door reads it: signed documents, opaque here.

    RecordsUnavailable (ShutOut among them), RecordsFailed. One thread at a time.
    """

    def revision(self) -> int:
        """Return a number that differs after any change of the list; cheap enough to ask every second."""
        ...

    def versions(self) -> dict[str, int]:
        """Return every member's id and version."""
        ...

    def fetch(self, ids: Sequence[str]) -> list[SignedMember]:
        """Return these members as stored, those that are there: nothing is verified here."""
        ...

    def confirm(self, door: str, versions: Mapping[str, int], now: datetime) -> None:
        """Put down which versions this door holds; what was put down before is no error."""
        ...


class Confirmations(Protocol):
    """Which doors follow the central members' list, and what each has taken over; RecordsUnavailable, RecordsFailed."""

    def doors(self) -> list[KnownDoor]:
        """Return every door that was ever registered, by name."""
        ...

    def confirmed(self, member_id: str, version: int) -> dict[str, datetime]:
        """Return the doors that have taken over this version of a member or a newer one, and since when (UTC)."""
        ...


class Members(Protocol):
    """The members' list as stored: signed documents, opaque here. RecordsUnavailable, RecordsFailed."""

    def revision(self) -> int:
        """Return a number that differs after any change of the list by any process, and only then.

        Cheap enough to ask twice a second.
        """
        ...

    def signed_members(self) -> list[SignedMember]:
        """Return every stored member, in no promised order, as stored: nothing is verified here."""
        ...

    def put_member(self, member: SignedMember, event: DoorEvent) -> None:
        """Insert or replace a member and put the event on record, both or neither.

        RecordsFailed unless the version is greater than the stored one's and the floor's.
        """
        ...

    def erase(self) -> bool:
        """Overwrite what was replaced so far; say whether nothing of it is left in the store.

        False where somebody still reads it: try again later.
        """
        ...

    def floors(self) -> dict[str, int]:
        """Return, a member id, the highest version that this database has held; RecordsFailed if tampered with."""
        ...


class MembersCopy(Members, Protocol):
    """A door's own copy of a members' list that it follows."""

    def take_member(self, member: SignedMember, event: DoorEvent) -> None:
        """Insert or replace a member with what the central list holds, and put the event on record, both or neither.

        RecordsFailed for a version lower than the floor.
        """
        ...

    def drop_member(self, member_id: str, event: DoorEvent) -> None:
        """Delete a member that the central list holds no more; its floor stays."""
        ...

    def synced(self, at: datetime) -> None:
        """Put down that the copy was found to be the central list at this time (UTC)."""
        ...

    def synced_at(self) -> datetime | None:
        """Return when that was last, None for never; RecordsFailed if tampered with."""
        ...
