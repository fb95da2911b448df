"""The values of one enrollment: what it needs, who is asked for, what became of each picture; it does nothing itself.

It knows ports, gates and model; `enrollment` goes through the steps, `intake` through those in a collection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from smileaccess.errors import EnrollmentRefused
from smileaccess.gates import EnrollmentLimits, Limits, PictureFault
from smileaccess.model import Consent, Face, Frame, Gesture, IndexedFace, Member
from smileaccess.registry import Registry

if TYPE_CHECKING:
    from smileaccess.model import Pixels
    from smileaccess.ports import Collection, Recognizer, Vision
    from smileaccess.schedules import Schedule

MOST = 20
"""Pictures a member may have: more hardly move their mean, and the list is read at every start."""

AGAIN = "the same picture again"


def _at_once(_seconds: float) -> None:
    """Wait for nothing: where there is no collection, nothing is waited for."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What enrolling needs besides the registry.

    `recognizer` is one that nobody else searches with, since its list of members is exchanged for trials. `threshold`
    is the least similarity (0..100) of a match; `same_face` that of two pictures of one person: 79.2 is cosine 0.40,
    missed by 5 in 1,000 pairs of one person (docs/recognition.md). `calm_below` is the smile (0..100) below which the
    door takes a face for a calm one, None where it asks for none. With a `collection` people are enrolled into it as
    well: `cloud_threshold` is the least similarity of a match there, and `wait` lets seconds pass.
    """

    registry: Registry
    vision: Vision
    recognizer: Recognizer
    template_key: bytes = field(repr=False)
    limits: Limits = field(default_factory=Limits)
    enrollment: EnrollmentLimits = field(default_factory=EnrollmentLimits)
    threshold: float = 99.0
    same_face: float = 79.2
    timeout_s: float = 3.0
    calm_below: float | None = None
    collection: Collection | None = None
    cloud_threshold: float = 99.0
    wait: Callable[[float], None] = _at_once


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A photograph, (height, width, 3) uint8 BGR, and what to call it in the report."""

    label: str
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class Request:
    """Who is to be enrolled, and how.

    `to` is the id of the member who gets the pictures, whatever they looked like before. `allow_duplicate` makes a
    new member although the face, or the name, is enrolled already. The limits of validity are UTC. They, the schedule,
    groups, doors, gesture and the consent replace those of a member who exists, where given.
    """

    name: str
    consent: Consent
    to: str | None = None
    allow_duplicate: bool = False
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    schedule: Schedule | None = None
    groups: tuple[str, ...] = ()
    doors: tuple[str, ...] = ()
    gesture: Gesture | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What became of one picture: it passed, or `faults` and `remark` say why not.

    `face` is the largest one, where one was found; `similarity` (0..100) is the search-back's, where it got so far.
    `indexed` is the face as it is in the collection, `cloud_similarity` the search-back's there.
    """

    label: str
    faults: tuple[PictureFault, ...] = ()
    remark: str = ""
    face: Face | None = None
    similarity: float | None = None
    indexed: IndexedFace | None = None
    cloud_similarity: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the picture was good for enrollment."""
        return not self.faults and not self.remark


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """A person who was enrolled: the member as stored, whether new, every picture's verdict, and warnings."""

    member: Member
    new: bool
    verdicts: tuple[Verdict, ...]
    warnings: tuple[str, ...] = ()


class NoGoodPicture(EnrollmentRefused):
    """No picture passed, and nothing was stored; `verdicts` say why, a picture each."""

    def __init__(self, message: str, verdicts: tuple[Verdict, ...]) -> None:
        super().__init__(message)
        self.verdicts = verdicts


class Conflict(EnrollmentRefused):
    """A face or a name is enrolled already, and nothing was stored; `problem` is the message without the advice."""

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(f"{problem}: {advice}")
        self.problem = problem


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A picture that passed the gates."""

    place: int
    frame: Frame
    face: Face


@dataclass(slots=True, eq=False)
class Sitting:
    """One enrollment while it lasts: who is enrolled already, and what is thought of each picture so far.

    `known` are the places of pictures whose template the member has and whose face the collection may lack.
    """

    desk: Desk
    request: Request
    members: list[Member]
    verdicts: list[Verdict] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    known: frozenset[int] = frozenset()
    warnings: list[str] = field(default_factory=list)

    def put_aside(self, remarks: dict[int, str]) -> None:
        """Take these pictures out, each with its remark; NoGoodPicture when none is left."""
        for place, remark in remarks.items():
            self.verdicts[place] = replace(self.verdicts[place], remark=remark, indexed=None)
        self.looks = [look for look in self.looks if look.place not in remarks]
        self.need_some()

    def need_some(self) -> None:
        """Refuse to go on without a picture."""
        if not self.looks:
            text = f"{self.request.name}: no picture is good for enrollment: nothing was stored"
            raise NoGoodPicture(text, tuple(self.verdicts))
