"""Open-set identification on a folder a person: some are enrolled, all the others are strangers, again and again.

The gallery, the search and the similarity are the embedded recognizer's own, the gates those of enrollment and door;
nothing is scored here.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from smileaccess.errors import SmileAccessError
from smileaccess.evaluation.cache import NOTHING
from smileaccess.evaluation.measuring import Rate, Row, Search, rank_1, rows, threshold_for, too_alike
from smileaccess.gates import EnrollmentLimits, Limits, hindrance, picture_faults
from smileaccess.model import Face, Frame, Member, MemberStatus, Purpose, Question, Sight, Template
from smileaccess.recognizers.embedded import EmbeddedRecognizer
from smileaccess.recognizers.similarity import similarity
from smileaccess.vision.embedding import MODEL

if TYPE_CHECKING:
    from smileaccess.evaluation.looking import Seen
    from smileaccess.model import Vector

_THEN = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Plan:
    """How the people are divided: `gallery` of them enrolled with `enrolled` pictures each, anew for each split.

    `gallery` None takes half of those who have pictures enough. The same `seed` makes the same splits.
    """

    enrolled: int = 3
    gallery: int | None = None
    splits: int = 10
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Usable:
    """A picture whose face would be searched for at the door; `enrollable` says whether it would be enrolled, too."""

    path: str
    face: Face
    embedding: Vector
    enrollable: bool


@dataclass(frozen=True, slots=True, eq=False)
class Sorted:
    """The usable pictures of each person, and why the others are not: at the door, at enrollment, as a file."""

    people: Mapping[str, Sequence[Usable]]
    refused_at_door: Counter[str]
    refused_at_enrollment: Counter[str]
    unreadable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the rates are looked at for: the FPIR that is wished for, and the settings' threshold and margin."""

    fpir: float
    threshold: float
    margin: float


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What was measured.

    `rows` are the rates by threshold; `present` is the row of the settings' threshold, `wished` that of the lowest
    threshold with the FPIR wished for, None where there is none. `ambiguous` counts the searches that the door's
    ballot would not decide at the present threshold. `strangers` counts people who were searched for and not enrolled.
    """

    plan: Plan
    gallery: int
    searches: Sequence[Search]
    rows: Sequence[Row]
    rank_1: Rate
    present: Row
    wished: Row | None
    ambiguous: int
    strangers: int


TABLE = (79.2, 90.0, 95.0, 98.0, 99.0, 99.1, 99.2, 99.3, 99.4, 99.5)
"""Thresholds that are always looked at: cosines 0.40 to 0.75, the marks among them."""

_CURVE = tuple(round(similarity(place / 100), 6) for place in range(30, 91))
"""Those between which a curve is drawn."""


def measure(found: Sequence[Search], gallery: int, plan: Plan, standing: Standing) -> Measured:
    """Return the rates of these searches."""
    wished = threshold_for(found, standing.fpir)
    marks = {*TABLE, *_CURVE, standing.threshold, *([] if wished is None else [wished])}
    counted = rows(found, marks, plan.seed)
    at = {row.threshold: row for row in counted}
    return Measured(
        plan,
        gallery,
        found,
        counted,
        rank_1(found, plan.seed),
        at[standing.threshold],
        None if wished is None else at[wished],
        too_alike(found, standing.threshold, standing.margin),
        len({each.person for each in found if not each.mated}),
    )


def sort_pictures(people: Mapping[str, Sequence[Seen]], limits: Limits, enrollment: EnrollmentLimits) -> Sorted:
    """Pass every picture through the gates of door and enrollment."""
    usable: dict[str, list[Usable]] = {name: [] for name in people}
    at_door, at_enrollment, unreadable = Counter[str](), Counter[str](), list[str]()
    for name, pictures in people.items():
        for seen in pictures:
            if seen.sight is None:
                unreadable.append(seen.error)
                continue
            view = hindrance(seen.sight, limits)
            faults = picture_faults(seen.sight, limits, enrollment)
            at_door.update([view.value] if view is not None else [])
            at_enrollment.update(fault.value for fault in faults[:1])
            if view is None and seen.embedding is not None:
                usable[name].append(Usable(seen.path, seen.sight.faces[0], seen.embedding, not faults))
    return Sorted(usable, at_door, at_enrollment, tuple(unreadable))


def enrollable(people: Mapping[str, Sequence[Usable]], enrolled: int) -> list[str]:
    """Return who has so many pictures to enroll, and another one to be searched for."""
    return [
        name
        for name, pictures in people.items()
        if len(pictures) > enrolled and sum(each.enrollable for each in pictures) >= enrolled
    ]


def gallery_size(people: Mapping[str, Sequence[Usable]], plan: Plan) -> int:
    """Return how many are enrolled in each split; SmileAccessError where the pictures do not suffice."""
    able, seen = len(enrollable(people, plan.enrolled)), sum(bool(pictures) for pictures in people.values())
    if not able:
        raise SmileAccessError(
            f"evaluate: nobody has {plan.enrolled + 1} usable pictures, {plan.enrolled} to enroll and one to search "
            "for: add pictures, or give a smaller --enrolled"
        )
    size = math.ceil(able / 2) if plan.gallery is None else plan.gallery
    if size > able:
        raise SmileAccessError(
            f"evaluate: --gallery {size}: people with {plan.enrolled + 1} usable pictures: {able}: add people, or "
            "give a smaller --gallery or --enrolled"
        )
    if size >= seen:
        raise SmileAccessError(
            f"evaluate: --gallery {size}: everybody with usable pictures would be enrolled, and an open set needs "
            "strangers, too: add people, or give a smaller --gallery"
        )
    return size


def searches(people: Mapping[str, Sequence[Usable]], plan: Plan) -> Iterator[list[Search]]:
    """Yield every search of each split: a picture that was not enrolled, in the gallery of the split.

    SmileAccessError where the pictures do not suffice.
    """
    size = gallery_size(people, plan)
    able = enrollable(people, plan.enrolled)
    for split in range(plan.splits):
        chance = random.Random(f"{plan.seed}:{split}")  # noqa: S311 -- to be repeated, not to be secret
        chosen = set(chance.sample(able, size))
        taken = {name: _taken(people[name], plan.enrolled, chance) for name in people if name in chosen}
        yield list(_split(people, taken, split))


def _taken(pictures: Sequence[Usable], count: int, chance: random.Random) -> list[Usable]:
    return chance.sample([each for each in pictures if each.enrollable], count)


def _split(
    people: Mapping[str, Sequence[Usable]], enrolled: Mapping[str, Sequence[Usable]], split: int
) -> Iterator[Search]:
    recalled = _Recalled([each for pictures in people.values() for each in pictures])
    recognizer = EmbeddedRecognizer(recalled, unsealed)
    recognizer.use([as_member(name, (each.embedding for each in pictures)) for name, pictures in enrolled.items()])
    held = {each.path for pictures in enrolled.values() for each in pictures}
    for name, pictures in people.items():
        for picture in pictures:
            if picture.path not in held:
                answer = recognizer.examine(recalled.question(picture))
                yield Search(split, name, picture.path, name in enrolled, answer.candidates or ())


def as_member(name: str, embeddings: Iterable[Vector]) -> Member:
    """Return a person as a member whose templates are kept in memory only, and so not sealed; `unsealed` opens them."""
    templates = tuple(Template(str(n), MODEL, each.tobytes(), _THEN) for n, each in enumerate(embeddings))
    return Member(name, 1, name, MemberStatus.ACTIVE, _THEN, None, templates=templates)


def unsealed(_: Member, template: Template) -> Vector:
    """Return the embedding of a template of `as_member`."""
    return np.frombuffer(template.sealed, np.float32)


class _Recalled:
    """Fulfils ports.Vision with what was seen before: the embedding of each picture, by its number."""

    model = MODEL

    def __init__(self, pictures: Sequence[Usable]) -> None:
        self._pictures = pictures
        self._numbers = {picture.path: number for number, picture in enumerate(pictures)}

    def question(self, picture: Usable) -> Question:
        """Return the question of whom this picture shows."""
        frame = Frame(NOTHING.pixels, self._numbers[picture.path], 0.0)
        return Question(frame, picture.face, Purpose.IDENTITY, "", math.inf, 0)

    def look(self, frame: Frame) -> Sight:
        return Sight(frame, (self._pictures[frame.sequence].face,), 0.0)

    def embed(self, frame: Frame, face: Face) -> Vector:  # noqa: ARG002 -- of the one face that is known
        return self._pictures[frame.sequence].embedding

    def reset(self) -> None:
        """Forget nothing: there are no tracks."""

    def close(self) -> None:
        """Hold nothing open."""
