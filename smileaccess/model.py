"""The values that every room shares; they never do I/O and know nothing of each other's adapters."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from smileaccess.schedules import Schedule

    Pixels = NDArray[np.uint8]
    Vector = NDArray[np.float32]

_NOTHING: Mapping[Any, Any] = {}
_SAME_PLACE = 0.3


def uuid7(unix_ms: int | None = None) -> str:
    """Return a new UUID of version 7 as text: 48 bits of milliseconds, then 74 random bits (RFC 9562, 5.7)."""
    ms = time.time_ns() // 1_000_000 if unix_ms is None else unix_ms
    value = (ms & (1 << 48) - 1) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


class Outcome(StrEnum):
    """What became of an attempt."""

    GRANTED = "granted"
    DENIED = "denied"


class Reason(StrEnum):
    """Why an attempt was denied: a closed set, in order of precedence where several hold."""

    INTERNAL_ERROR = "internal_error"
    CAMERA_UNAVAILABLE = "camera_unavailable"
    RECOGNIZER_UNAVAILABLE = "recognizer_unavailable"
    RECORDS_UNAVAILABLE = "records_unavailable"
    SPENDING_CAP = "spending_cap"
    OPERATOR_LOCKED = "operator_locked"
    LOCKED_OUT = "locked_out"
    NO_FACE = "no_face"
    TOO_DARK = "too_dark"
    TOO_FAR = "too_far"
    TOO_BLURRED = "too_blurred"
    FACE_OCCLUDED = "face_occluded"
    MULTIPLE_FACES = "multiple_faces"
    TRACK_LOST = "track_lost"
    NOT_RECOGNIZED = "not_recognized"
    AMBIGUOUS_MATCH = "ambiguous_match"
    MEMBERS_STALE = "members_stale"
    MEMBER_DISABLED = "member_disabled"
    MEMBER_EXPIRED = "member_expired"
    DOOR_NOT_ALLOWED = "door_not_allowed"
    OUTSIDE_SCHEDULE = "outside_schedule"
    CLOCK_UNTRUSTED = "clock_untrusted"
    NO_EXPRESSION_CHANGE = "no_expression_change"
    NO_SMILE = "no_smile"
    EMOTION_MISMATCH = "emotion_mismatch"
    TIMEOUT = "timeout"

    @property
    def precedence(self) -> int:
        """The place in the order, 0 first; the reason with the smallest one is the attempt's."""
        return _PRECEDENCE[self]


_PRECEDENCE = {reason: place for place, reason in enumerate(Reason)}

FAULTS = frozenset(
    {
        Reason.INTERNAL_ERROR,
        Reason.CAMERA_UNAVAILABLE,
        Reason.RECOGNIZER_UNAVAILABLE,
        Reason.RECORDS_UNAVAILABLE,
        Reason.SPENDING_CAP,
        Reason.MEMBERS_STALE,
        Reason.CLOCK_UNTRUSTED,
    }
)
"""Denials that are the system's fault, not the person's."""

PRESENTATION = frozenset(
    {
        Reason.NO_FACE,
        Reason.TOO_DARK,
        Reason.TOO_FAR,
        Reason.TOO_BLURRED,
        Reason.FACE_OCCLUDED,
        Reason.MULTIPLE_FACES,
        Reason.TIMEOUT,
    }
)
"""Denials that the person can mend by standing differently."""

REAL_DENIALS = frozenset(
    {
        Reason.TRACK_LOST,
        Reason.NOT_RECOGNIZED,
        Reason.AMBIGUOUS_MATCH,
        Reason.MEMBER_DISABLED,
        Reason.MEMBER_EXPIRED,
        Reason.DOOR_NOT_ALLOWED,
        Reason.NO_EXPRESSION_CHANGE,
        Reason.NO_SMILE,
    }
)
"""Denials that count toward a lock-out: somebody was seen and was refused as who or what they are."""


class Trigger(StrEnum):
    """What opened an attempt."""

    BUTTON = "button"
    APPROACH = "approach"
    PICTURE = "picture"
    OPERATOR = "operator"
    TRIAL = "trial"


class Emotion(StrEnum):
    """The emotions, in Rekognition's words in lower case (its `CALM` is the embedded model's neutral)."""

    HAPPY = "happy"
    SAD = "sad"
    ANGRY = "angry"
    CONFUSED = "confused"
    DISGUSTED = "disgusted"
    SURPRISED = "surprised"
    CALM = "calm"
    FEAR = "fear"
    UNKNOWN = "unknown"


class LivenessMode(StrEnum):
    """How the door asks for a sign of life; what each mode stops stands in docs/liveness.md."""

    OFF = "off"
    SMILE = "smile"
    NEUTRAL_THEN_SMILE = "neutral-then-smile"
    FOLLOW_THE_LIGHT = "follow-the-light"


DOOR_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""How a door may be called."""


class Gesture(StrEnum):
    """What a member shows on the cue: a smile, or what a person who cannot smile does in its place."""

    SMILE = "smile"
    TURN = "turn"
    OPEN_MOUTH = "open-mouth"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of the camera.

    `pixels` is (height, width, 3), uint8, BGR, and is never written to; `sequence` counts from the camera's
    start; `captured_at` is seconds on the monotonic clock. `full` is the same view in more pixels, where the camera
    gives both: faces are found in `pixels` and recognized in `best`.
    """

    pixels: Pixels
    sequence: int
    captured_at: float
    full: Pixels | None = None

    @property
    def best(self) -> Pixels:
        """The view in the most pixels that there are."""
        return self.pixels if self.full is None else self.full


@dataclass(frozen=True, slots=True)
class Box:
    """A face's place as fractions of the frame's width and height (as in Rekognition); it may overhang the edge."""

    left: float
    top: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """The share of the frame, 0..1."""
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def center(self) -> tuple[float, float]:
        """The middle, x and y, as fractions."""
        return self.left + self.width / 2, self.top + self.height / 2

    def overlap(self, other: Box) -> float:
        """Return the intersection over the union with `other`, 0..1."""
        wide = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        high = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        if wide <= 0 or high <= 0:
            return 0.0
        shared = wide * high
        return shared / (self.area + other.area - shared)

    def same_place(self, other: Box) -> bool:
        """Say whether two detectors may mean the same face by these boxes: they overlap by 0.3 at least.

        What of forehead and chin they take in differs from one to the next.
        """
        return self.overlap(other) >= _SAME_PLACE


@dataclass(frozen=True, slots=True)
class Pose:
    """The head's turn in degrees: yaw to the viewer's right, pitch up and roll clockwise are positive."""

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a face can be seen.

    `brightness` and `sharpness` are 0..100; `size_px` is the shorter side of the box in pixels of the frame;
    `presence` is the belief, 0..1, that eyes, nose and mouth are all to be seen: low when covered, 0 where not
    measured.
    """

    brightness: float
    sharpness: float
    size_px: float
    presence: float


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face as the local eyes see it.

    `landmarks` are right eye, left eye, nose tip, right and left corner of the mouth (the person's right), x and y
    as fractions of the frame; `score` is the detector's, 0..1; `track` is equal from frame to frame for one
    unbroken track and never used again; `smile`, `eyes_open`, `mouth_open` and the emotions' values are 0..100.
    `mesh` is (478, 2) in fractions of the frame. What was not measured (a face too small or not the two largest) is
    None or empty.
    """

    box: Box
    score: float
    track: int
    landmarks: tuple[tuple[float, float], ...]
    quality: Quality
    pose: Pose | None = None
    smile: float | None = None
    eyes_open: float | None = None
    mouth_open: float | None = None
    emotions: Mapping[Emotion, float] = field(default_factory=lambda: _NOTHING)
    mesh: Vector | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What the local eyes see in one frame: its faces, largest first, and the whole picture's brightness, 0..100."""

    frame: Frame
    faces: tuple[Face, ...]
    brightness: float


class Purpose(StrEnum):
    """Why a frame is examined: who is it (a neutral frame), or what does the face show (a smiling one)."""

    IDENTITY = "identity"
    EXPRESSION = "expression"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member who may be the face in question; similarity is 0..100."""

    member_id: str
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What a recognizer is asked about one face of one frame.

    `attempt` is the attempt's id, empty where nobody stands at a door. The answer is wanted within `timeout_s`, and for
    `calls` billed calls at the most, those tried again included.
    """

    frame: Frame
    face: Face
    purpose: Purpose
    attempt: str
    timeout_s: float
    calls: int


@dataclass(frozen=True, slots=True)
class Examination:
    """A recognizer's answer about one face of one frame.

    `candidates` are best first and hold those worth showing, also below the threshold; None says that nobody was
    searched for. `smile` and emotions are 0..100. `calls` counts billed calls. `hindrance` says why there is no answer:
    the recognizer saw no such face (no_face), or what it found belongs to another face (multiple_faces) or cannot be
    told to belong to this one (ambiguous_match).
    """

    recognizer: str
    model: str
    purpose: Purpose
    sequence: int
    track: int
    box: Box
    candidates: tuple[Candidate, ...] | None
    smile: float | None
    emotions: Mapping[Emotion, float]
    duration_ms: float
    calls: int = 0
    hindrance: Reason | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How a recognizer stands.

    `active` is the name of the one that would answer now; `since` (monotonic seconds) says since when that is not the
    first choice, None where it is, and `cause` why.
    """

    active: str
    since: float | None = None
    cause: str = ""


class Payer(StrEnum):
    """Who made billed calls: the door itself, or somebody's command."""

    DOOR = "door"
    DESK = "desk"


@dataclass(frozen=True, slots=True)
class Bill:
    """Billed calls of one day (UTC, as the service bills) and their price in millionths of the account's currency."""

    day: date
    payer: Payer
    calls: int
    micros: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an attempt has shown, as policy judges it.

    `fault` is a fault of the system or an operator's lock; `members_stale` says that the members' list is too old to go
    on with; `hindrance` the presentation problem that lasted;
    `unrecognized` says that enough frames were searched and too few named a member; `identified` is the member that
    enough frames agreed on, with the best similarity, and `recognizer` who named it; `fallback` that not the first
    choice of recognizer was needed; `ambiguous` that frames named two members, or one frame two
    of nearly equal similarity; `liveness` the challenge's failure; `live` that it was passed, and `gesture` with
    what; `smile` (0..100) and `emotions` are those of the frame that counts.
    """

    fault: Reason | None = None
    locked_out: bool = False
    members_stale: bool = False
    hindrance: Reason | None = None
    track_lost: bool = False
    unrecognized: bool = False
    ambiguous: bool = False
    identified: Candidate | None = None
    recognizer: str | None = None
    fallback: bool = False
    liveness: Reason | None = None
    live: bool = False
    gesture: Gesture | None = None
    smile: float | None = None
    emotions: Mapping[Emotion, float] = field(default_factory=lambda: _NOTHING)

    @property
    def emotion(self) -> Emotion | None:
        """The strongest emotion, or None where none was judged."""
        return max(self.emotions, key=lambda emotion: self.emotions[emotion]) if self.emotions else None


class MemberStatus(StrEnum):
    """Whether a member may come in at all; a forgotten one is nobody, kept only so that the id stays retired."""

    ACTIVE = "active"
    DISABLED = "disabled"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class Consent:
    """When the person agreed to be enrolled, and to which version of the text."""

    given_at: datetime
    text_version: str


@dataclass(frozen=True, slots=True)
class Template:
    """One enrolled face of a member.

    `sealed` is the encrypted embedding and `model` the id of the network that made it (templates of another model
    are never compared); `added_at` is UTC.
    """

    id: str
    model: str
    sealed: bytes
    added_at: datetime


@dataclass(frozen=True, slots=True)
class IndexedFace:
    """One face of a member in a collection of Amazon Rekognition.

    `id` is the service's FaceId, `model` its FaceModelVersion; `added_at` is UTC.
    """

    id: str
    collection: str
    model: str
    added_at: datetime


@dataclass(frozen=True, slots=True)
class FaceMatch:
    """A face of a collection, by its FaceId, that looks like the one searched for; similarity is 0..100."""

    face_id: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Member:
    """A person who may open doors, as the enroller signed it; `version` grows by one with every change.

    `valid_from` and `valid_until` are UTC or None for no limit. `templates` serve the embedded recognizer, `faces`
    Rekognition: a face of a collection that is not among them is nobody's. `gesture` is what the member shows on
    the cue. The member may come in when the own `schedule` or that of one of the `groups` covers the moment, always
    where there is neither; at the `doors` of these names, None for all; and, where `least_similarity` (0..100) asks for
    more than the door's threshold, only when that is reached.
    """

    id: str
    version: int
    name: str
    status: MemberStatus
    created_at: datetime
    consent: Consent | None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    templates: tuple[Template, ...] = ()
    faces: tuple[IndexedFace, ...] = ()
    gesture: Gesture = Gesture.SMILE
    schedule: Schedule | None = None
    groups: tuple[str, ...] = ()
    doors: tuple[str, ...] | None = None
    least_similarity: float | None = None

    @property
    def searchable(self) -> bool:
        """Whether the member is searched for: a disabled one is, so that the policy can say why it denies."""
        return self.status is not MemberStatus.FORGOTTEN

    def faces_in(self, collection: str) -> dict[str, IndexedFace]:
        """Return the signed faces of a collection by their FaceId."""
        return {face.id: face for face in self.faces if face.collection == collection}

    @property
    def limited(self) -> bool:
        """Whether wall time matters to this member."""
        return self.spanned or self.schedule is not None or bool(self.groups)

    @property
    def spanned(self) -> bool:
        """Whether the member may come in only from or until a day."""
        return self.valid_from is not None or self.valid_until is not None


@dataclass(frozen=True, slots=True)
class SignedMember:
    """A member as stored: the canonical document, its Ed25519 signature, and the templates' bytes beside it.

    The document holds each template's digest, so that the signature covers the templates as well.
    """

    id: str
    version: int
    document: bytes
    signature: bytes
    sealed: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Decision:
    """What policy says: granted, with no reason, or denied, with exactly one; `member_id` is whom it concerns."""

    outcome: Outcome
    reason: Reason | None
    member_id: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt as it stands on record.

    Times are UTC; `cost` is the price of its billed calls, None for none; `stages_ms` maps a stage's name to its
    milliseconds since the attempt was opened; `detail` holds the rest of the evidence in plain JSON values (never an
    image, never a name). While the attempt is open, all from `closed_at` on is empty.
    """

    id: str
    door: str
    trigger: Trigger
    opened_at: datetime
    closed_at: datetime | None = None
    outcome: Outcome | None = None
    reason: Reason | None = None
    member_id: str | None = None
    similarity: float | None = None
    smile: float | None = None
    emotion: Emotion | None = None
    liveness: str | None = None
    recognizer: str | None = None
    model: str | None = None
    calls: int = 0
    cost: float | None = None
    stages_ms: Mapping[str, float] = field(default_factory=lambda: _NOTHING)
    detail: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True)
class DoorEvent:
    """Something else that is on record: a REX, an operator's unlock, a start, a member's change.

    `who` is a system user or a part of the machine, `why` what they said; `detail` holds plain JSON values.
    """

    id: str
    door: str
    at: datetime
    kind: str
    who: str
    why: str = ""
    detail: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True)
class KnownDoor:
    """A door that was registered at the central database.

    `heard_at` is when it was last heard of there; a door with `revoked_at` is shut out.
    """

    name: str
    heard_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last link of a door's record: its number from 1 and its keyed hash in hex; number 0 is the empty record."""

    sequence: int
    hash: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"


class DoorInput(StrEnum):
    """What a panel reports, and a camera that is fed with pictures by another.

    The first five are people's; the others tell how the door, its panel and its strike stand.
    """

    ENTRY = "entry"
    APPROACH = "approach"
    REX = "rex"
    PICTURE = "picture"
    QUIT = "quit"
    DOOR_OPENED = "door_opened"
    DOOR_CLOSED = "door_closed"
    TAMPERED = "tampered"
    TAMPER_CLEARED = "tamper_cleared"
    ENTRY_STUCK = "entry_stuck"
    ENTRY_FREED = "entry_freed"
    APPROACH_STUCK = "approach_stuck"
    APPROACH_FREED = "approach_freed"
    REX_STUCK = "rex_stuck"
    REX_FREED = "rex_freed"
    FIRE = "fire"
    FIRE_CLEARED = "fire_cleared"
    STRIKE_LOST = "strike_lost"
    STRIKE_BACK = "strike_back"


class Signal(StrEnum):
    """What the panel shows; smileaccess/signals.py says with which light and sound."""

    LOCKED = "locked"
    AWAKE = "awake"
    LOOKING = "looking"
    SMILE_NOW = "smile_now"
    RELAX = "relax"
    WELCOME = "welcome"
    OPEN = "open"
    TRY_AGAIN = "try_again"
    REFUSED = "refused"
    LOCKED_OUT = "locked_out"
    FAULT = "fault"
    ALARM = "alarm"
