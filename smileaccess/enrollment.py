"""Makes a member of a person's photographs, or says why not; it never keeps a picture and leaves nothing half done.

Photographs pass the quality gates, then a search for the same face under another name, then each other's company (one
person in all of them), then a search-back with the list as it would be; with a collection, its own duplicate search,
indexing and search-back follow. Only what passed all is signed and stored, and it is searched for once more in what was
stored. A use case: it knows ports, membership, gates, model and errors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import combinations
from typing import TYPE_CHECKING

from smileaccess.errors import CollectionError, EnrollmentRefused, FaceNotIndexed, KeysError, MemberNotFound
from smileaccess.gates import EnrollmentLimits, Limits, PictureFault, picture_faults
from smileaccess.membership import clean_name, forgotten, new_member_id, new_template_id, seal_template, unseal_template
from smileaccess.model import (
    Candidate,
    Consent,
    Face,
    Frame,
    IndexedFace,
    Member,
    MemberStatus,
    Purpose,
    Question,
    Template,
)
from smileaccess.registry import Registry, check_validity, named

if TYPE_CHECKING:
    from smileaccess.model import Pixels, Vector
    from smileaccess.ports import Collection, Recognizer, Vision

ENOUGH = 3
"""Pictures of a person below which the threshold's measured miss rate does not hold (docs/recognition.md)."""

MOST = 20
"""Pictures a member may have: more hardly move their mean, and the list is read at every start."""

_SAME_PICTURE = 0.9995
"""The cosine of two embeddings from which on they are of one picture, at most saved anew."""

_AGAIN = "the same picture again"

PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Waits between the tries of finding a face in the collection: one just indexed may not be found at once."""


def _at_once(_seconds: float) -> None:
    """Wait for nothing: where there is no collection, nothing is waited for."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What enrolling needs besides the registry.

    `recognizer` is one that nobody else searches with, since its list of members is exchanged for trials. `threshold`
    is the least similarity (0..100) of a match; `same_face` that of two pictures of one person: 79.2 is cosine 0.40,
    missed by 5 in 1,000 pairs of one person (docs/recognition.md). With a `collection` people are enrolled into it as
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
    new member although the face, or the name, is enrolled already. The limits of validity are UTC; they and the
    consent replace those of a member who exists, where given.
    """

    name: str
    consent: Consent
    to: str | None = None
    allow_duplicate: bool = False
    valid_from: datetime | None = None
    valid_until: datetime | None = None
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
class _Look:
    """A picture that passed the gates."""

    place: int
    frame: Frame
    face: Face


@dataclass(slots=True, eq=False)
class _Sitting:
    """One enrollment while it lasts: who is enrolled already, and what is thought of each picture so far.

    `known` are the places of pictures whose template the member has and whose face the collection may lack.
    """

    desk: Desk
    request: Request
    members: list[Member]
    verdicts: list[Verdict] = field(default_factory=list)
    looks: list[_Look] = field(default_factory=list)
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


@dataclass(slots=True, eq=False)
class _Intake:
    """What one enrollment has put into the collection so far.

    `signed` are the member's faces from before, by id; `faces` those of this sitting's pictures, by place.
    """

    collection: Collection
    member_id: str
    signed: dict[str, IndexedFace]
    faces: dict[int, IndexedFace] = field(default_factory=dict)

    def take(self, look: _Look) -> IndexedFace:
        """Index a picture; FaceNotIndexed, CollectionError."""
        face = self.collection.index(look.frame, look.face, self.member_id)
        self.faces[look.place] = self.signed.get(face.id, face)
        return self.faces[look.place]

    def repeats(self, place: int) -> bool:
        """Say whether an earlier picture of this sitting is in the collection under the same id."""
        return any(face.id == self.faces[place].id for at, face in self.faces.items() if at < place)

    def new(self) -> tuple[IndexedFace, ...]:
        """Return the faces that are not signed yet, each once."""
        found = {face.id: face for face in self.faces.values() if face.id not in self.signed}
        return tuple(found.values())

    def keep(self, places: Iterable[int]) -> None:
        """Take all others out of the collection again; CollectionError."""
        kept = {place: self.faces[place] for place in places}
        own = {face.id for face in kept.values()}
        out = [face.id for face in self.new() if face.id not in own]
        if out:
            self.collection.remove(out)
        self.faces = kept


def judge(desk: Desk, picture: Picture, sequence: int = 0) -> tuple[Verdict, Frame]:
    """Look at one picture and say what is wrong with it; it belongs to the thread of `desk.vision`. VisionFailed."""
    frame = Frame(picture.pixels, sequence, float(sequence))
    desk.vision.reset()
    sight = desk.vision.look(frame)
    face = sight.faces[0] if sight.faces else None
    return Verdict(picture.label, picture_faults(sight, desk.limits, desk.enrollment), face=face), frame


def enroll(desk: Desk, pictures: Iterable[Picture], request: Request) -> Report:
    """Enroll a person, or add pictures to a member, and return what was done.

    With `request.to` the pictures go to that member, who must have the name given. Without, they go to the one
    member of that name if they show that member, and make a new member if nobody has the name.

    EnrollmentRefused, and then nothing is stored: no picture passed (NoGoodPicture); the face is another member's,
    whose name and similarity are told; the name belongs to another face; the pictures are not of one person.
    MemberNotFound for a wrong `to`. VisionFailed, RecognizerError, RecordsUnavailable, RecordsFailed. CollectionError,
    and then nothing is stored and nothing stays in the collection; where something had to, the error names it.
    """
    request = replace(request, name=clean_name(request.name))
    check_validity(request.valid_from, request.valid_until)
    sitting = _Sitting(desk, request, _living(desk))
    _gate(sitting, pictures)
    member = _addressee(sitting)
    sitting.put_aside(_strangers(sitting, member))
    sitting.put_aside(_known_already(sitting, member))
    sitting.put_aside(_odd_ones(sitting))
    base = member or _nobody_yet(desk, request.name)
    grown = _searched_back(sitting, base)
    with _intake(desk, base) as intake:
        if intake is not None:
            grown = _taken_in(sitting, intake, base, grown)
        _store(sitting, member, grown)
        _search_stored(sitting, member, grown)
    return Report(grown, member is None, tuple(sitting.verdicts), _warnings(sitting, grown))


# The steps, in order


def _gate(sitting: _Sitting, pictures: Iterable[Picture]) -> None:
    seen: set[bytes] = set()
    for place, picture in enumerate(pictures):
        verdict, frame = judge(sitting.desk, picture, place)
        content = hashlib.sha256(picture.pixels.tobytes()).digest()
        if verdict.passed:
            verdict = replace(verdict, remark=_superfluous(sitting, again=content in seen))
        if verdict.passed and verdict.face is not None:
            sitting.looks.append(_Look(place, frame, verdict.face))
        seen.add(content)
        sitting.verdicts.append(verdict)
    sitting.need_some()


def _superfluous(sitting: _Sitting, *, again: bool) -> str:
    if again:
        return _AGAIN
    return f"not needed: {MOST} pictures are enough" if len(sitting.looks) >= MOST else ""


def _addressee(sitting: _Sitting) -> Member | None:
    """Return the member who gets the pictures, None for a new one; refuse a face or a name that is taken."""
    request, members = sitting.request, sitting.members
    if request.to is None and request.allow_duplicate:
        return None
    to = request.to
    member = _namesake(members, request.name) if to is None else _told(members, to, request.name)
    if not request.allow_duplicate:
        _refuse_enrolled(sitting, [each for each in members if member is None or each.id != member.id])
    return member


def _told(members: list[Member], wanted: str, name: str) -> Member:
    found = [each for each in members if each.id == wanted]
    if not found:
        raise MemberNotFound(f"member {wanted!r}: there is none with this id: see `smileaccess members list`")
    if found[0].name != name:
        raise EnrollmentRefused(
            f"member {wanted}: is called {found[0].name}, not {name}: give that name, or rename the member first"
        )
    return found[0]


def _namesake(members: list[Member], name: str) -> Member | None:
    found = named(members, name)
    if len(found) > 1:
        ids = ", ".join(each.id for each in found)
        raise Conflict(f"{name}: {len(found)} members have this name", f"say which with --to ({ids})")
    return found[0] if found else None


def _refuse_enrolled(sitting: _Sitting, others: list[Member]) -> None:
    """Refuse a face that is enrolled as somebody else's; the picture that is most alike counts."""
    if not others:
        return
    sitting.desk.recognizer.use(others)
    found = [best for look in sitting.looks if (best := _best(sitting.desk, look)) is not None]
    alike = max(found, key=lambda candidate: candidate.similarity, default=None)
    if alike is None or alike.similarity < sitting.desk.threshold:
        return
    other = next(each for each in others if each.id == alike.member_id)
    raise Conflict(
        f"{sitting.request.name}: this face is enrolled already as {other.name} ({other.id}), similarity "
        f"{alike.similarity:.1f}",
        "add pictures under that name, or give --allow-duplicate",
    )


def _strangers(sitting: _Sitting, member: Member | None) -> dict[int, str]:
    """Return which pictures do not show the member of this name; refuse where none does.

    With `to` the operator has said that it is the same person, however changed.
    """
    if member is None or sitting.request.to is not None:
        return {}
    alike = {look.place: _alone(sitting.desk, member, look) for look in sitting.looks}
    if max(alike.values()) < sitting.desk.same_face:
        raise Conflict(
            f"{member.name}: this name is enrolled already ({member.id}) with another face, similarity "
            f"{max(alike.values()):.1f}",
            f"give another name, or --to {member.id} if it is the same person, or --allow-duplicate if it is not",
        )
    return {
        place: f"not the face of {member.name}: similarity {value:.1f}"
        for place, value in alike.items()
        if value < sitting.desk.same_face
    }


def _known_already(sitting: _Sitting, member: Member | None) -> dict[int, str]:
    """Return which pictures the member has already; a template that does not open is none to compare with.

    They go on where the collection lacks some of the member's: only its answer will tell which.
    """
    if member is None or not (own := _embeddings(sitting.desk, member)):
        return {}
    found = {look.place: sitting.desk.vision.embed(look.frame, look.face) for look in sitting.looks}
    again = [place for place, one in found.items() if max(float(one @ each) for each in own) >= _SAME_PICTURE]
    if _lacks_faces(sitting.desk, member):
        sitting.known = frozenset(again)
        return {}
    return dict.fromkeys(again, _AGAIN)


def _lacks_faces(desk: Desk, member: Member) -> bool:
    return desk.collection is not None and len(_faces_in(desk.collection, member)) < len(member.templates)


def _embeddings(desk: Desk, member: Member) -> list[Vector]:
    found = []
    for each in member.templates:
        if each.model == desk.vision.model:
            with suppress(KeysError):
                found.append(unseal_template(each.sealed, member.id, each.id, each.model, desk.template_key))
    return found


def _odd_ones(sitting: _Sitting) -> dict[int, str]:
    """Return which pictures are alike to less than half of the others, each compared with each."""
    desk, looks = sitting.desk, sitting.looks
    singles = [_trial(desk, look) for look in looks]
    alike = dict.fromkeys((look.place for look in looks), 0)
    for (one, single), (other, _) in combinations(zip(looks, singles, strict=True), 2):
        if _alone(desk, single, other) >= desk.same_face:
            alike[one.place] += 1
            alike[other.place] += 1
    remark = "not the face of the other pictures"
    return {place: remark for place, count in alike.items() if 2 * count < len(looks) - 1}


def _searched_back(sitting: _Sitting, member: Member) -> Member:
    """Return the member as it shall be stored, whom each picture left finds among all members.

    A picture that does not is put aside, and the search is made again without it.
    """
    templates = {look.place: _template(sitting.desk, member.id, look) for look in sitting.looks}
    while True:
        added = (templates[look.place] for look in sitting.looks if look.place not in sitting.known)
        grown = _grown(member, tuple(added), sitting.request)
        sitting.desk.recognizer.use([*(each for each in sitting.members if each.id != member.id), grown])
        remarks = _search(sitting, grown)
        if not remarks:
            return grown
        sitting.put_aside(remarks)


def _search(sitting: _Sitting, member: Member) -> dict[int, str]:
    """Note each picture's similarity, and return which ones do not find the member."""
    remarks = {}
    for look in sitting.looks:
        best = _best(sitting.desk, look)
        value = best.similarity if best is not None else 0.0
        sitting.verdicts[look.place] = replace(sitting.verdicts[look.place], similarity=value)
        if best is None or value < sitting.desk.threshold:
            remarks[look.place] = f"not found back: similarity {value:.1f}"
        elif best.member_id != member.id and not sitting.request.allow_duplicate:
            remarks[look.place] = f"finds {best.member_id} instead"
    return remarks


def _store(sitting: _Sitting, before: Member | None, member: Member) -> None:
    request = sitting.request
    kind = "member_enrolled" if before is None else "member_pictures_added"
    added = len(member.templates) - (len(before.templates) if before else 0)
    faces = len(member.faces) - (len(before.faces) if before else 0)
    told = {"consent": request.consent.text_version, "duplicate_allowed": request.allow_duplicate}
    detail = {"pictures": added, **({"faces": faces} if sitting.desk.collection else {}), **told}
    sitting.desk.registry.put(member, kind, request.why, detail)


def _search_stored(sitting: _Sitting, before: Member | None, member: Member) -> None:
    """Search again in what was stored; what is not found there is taken back."""
    stored = _living(sitting.desk)
    sitting.desk.recognizer.use(stored)
    if member in stored and not _search(sitting, member):
        return
    restored = forgotten(member) if before is None else replace(before, version=member.version + 1)
    sitting.desk.registry.put(restored, "member_taken_back", "the search-back in the stored list failed")
    raise EnrollmentRefused(
        f"{member.name}: was stored and not found back: taken back; look for the cause with `smileaccess members list`"
    )


# The steps in the collection


@contextmanager
def _intake(desk: Desk, member: Member) -> Iterator[_Intake | None]:
    """Give what puts faces into the collection, None without one; whatever goes wrong takes them out again."""
    if desk.collection is None:
        yield None
        return
    intake = _Intake(desk.collection, member.id, _faces_in(desk.collection, member))
    try:
        yield intake
    except BaseException as error:
        _undo(intake, error)
        raise


def _undo(intake: _Intake, cause: BaseException) -> None:
    try:
        intake.keep(())
    except CollectionError as error:
        left = ", ".join(face.id for face in intake.new())
        told = (
            f"{str(cause) or type(cause).__name__}; left in collection {intake.collection.name}: {left} ({error}): "
            "remove these faces with `smileaccess members reconcile --repair`"
        )
        if isinstance(cause, NoGoodPicture):
            raise NoGoodPicture(told, cause.verdicts) from error
        raise EnrollmentRefused(told) from error


def _taken_in(sitting: _Sitting, intake: _Intake, member: Member, grown: Member) -> Member:
    """Return the member as it shall be stored, with the faces that were indexed and found.

    A picture that is not good enough for the collection is put aside, and its template goes with it.
    """
    if not sitting.request.allow_duplicate:
        _refuse_indexed(sitting, intake)
    before = len(sitting.looks)
    sitting.put_aside(_index(sitting, intake))
    sitting.put_aside(_not_found_again(sitting, intake))
    if len(sitting.looks) < before:
        grown = _searched_back(sitting, member)
    intake.keep([look.place for look in sitting.looks])
    return replace(grown, faces=(*member.faces, *intake.new()))


def _refuse_indexed(sitting: _Sitting, intake: _Intake) -> None:
    """Refuse a face that is in the collection as somebody else's; one that nobody has signed is only warned of."""
    collection = intake.collection
    owners = {face_id: each for each in sitting.members for face_id in _faces_in(collection, each)}
    found = [match for look in sitting.looks for match in collection.search(look.frame, look.face)]
    alike = sorted(found, key=lambda match: -match.similarity)
    alike = [match for match in alike if match.similarity >= sitting.desk.cloud_threshold]
    others = [match for match in alike if match.face_id in owners and owners[match.face_id].id != intake.member_id]
    if others:
        other = owners[others[0].face_id]
        raise Conflict(
            f"{sitting.request.name}: this face is in collection {collection.name} already as {other.name} "
            f"({other.id}), similarity {others[0].similarity:.1f}",
            "add pictures under that name, or give --allow-duplicate",
        )
    if unsigned := {match.face_id for match in alike} - owners.keys():
        sitting.warnings.append(
            f"collection {collection.name} holds faces like this one that nobody has signed, and that let nobody in "
            f"({', '.join(sorted(unsigned))}): see `smileaccess members reconcile`"
        )


def _index(sitting: _Sitting, intake: _Intake) -> dict[int, str]:
    """Index each picture, and return which ones the service does not take, or has already."""
    remarks = {}
    for look in sitting.looks:
        try:
            face = intake.take(look)
        except FaceNotIndexed as error:
            remarks[look.place] = f"not indexed: {error}"
            continue
        if intake.repeats(look.place) or (look.place in sitting.known and face.id in intake.signed):
            remarks[look.place] = _AGAIN
        sitting.verdicts[look.place] = replace(sitting.verdicts[look.place], indexed=face)
    return remarks


def _not_found_again(sitting: _Sitting, intake: _Intake) -> dict[int, str]:
    """Search with each picture until it finds a face of this sitting, for about 8 s; return which ones do not."""
    least, seen = sitting.desk.cloud_threshold, _seen_again(sitting, intake)
    kept = {look.place for look in sitting.looks}
    while True:
        own = {intake.faces[place].id for place in kept}
        values = {place: _most(seen[place], own) for place in seen}
        lost = {place for place in kept if values[place] < least}
        if not lost:
            break
        kept -= lost
    for place, value in values.items():
        sitting.verdicts[place] = replace(sitting.verdicts[place], cloud_similarity=value)
    name = intake.collection.name
    return {place: f"not found back in {name}: similarity {values[place]:.1f}" for place in seen.keys() - kept}


def _seen_again(sitting: _Sitting, intake: _Intake) -> dict[int, dict[str, float]]:
    """Return, a picture, the faces that it finds, with their similarity; what was just indexed may need a while."""
    desk, seen = sitting.desk, {}
    pending, own = list(sitting.looks), {intake.faces[look.place].id for look in sitting.looks}
    for pause in (0.0, *PAUSES_S):
        if pause:
            desk.wait(pause)
        for look in pending:
            found = intake.collection.search(look.frame, look.face)
            seen[look.place] = {match.face_id: match.similarity for match in found}
        pending = [look for look in pending if _most(seen[look.place], own) < desk.cloud_threshold]
        if not pending:
            break
    return seen


def _most(found: dict[str, float], own: set[str]) -> float:
    return max((value for face_id, value in found.items() if face_id in own), default=0.0)


def _faces_in(collection: Collection, member: Member) -> dict[str, IndexedFace]:
    return {face.id: face for face in member.faces if face.collection == collection.name}


# What the steps share


def _living(desk: Desk) -> list[Member]:
    return [each for each in desk.registry.roster().members if each.status is not MemberStatus.FORGOTTEN]


def _nobody_yet(desk: Desk, name: str) -> Member:
    return Member(new_member_id(), 0, name, MemberStatus.ACTIVE, desk.registry.clock.now(), None)


def _grown(member: Member, templates: tuple[Template, ...], request: Request) -> Member:
    if len(member.templates) + len(templates) > MOST:
        raise EnrollmentRefused(
            f"{member.name}: has {len(member.templates)} pictures, {len(templates)} more make more than {MOST}: "
            "give fewer, or forget the member and enroll anew"
        )
    return replace(
        member,
        version=member.version + 1,
        consent=request.consent,
        valid_from=request.valid_from or member.valid_from,
        valid_until=request.valid_until or member.valid_until,
        templates=(*member.templates, *templates),
    )


def _trial(desk: Desk, look: _Look) -> Member:
    trial = _nobody_yet(desk, "trial")
    return replace(trial, templates=(_template(desk, trial.id, look),))


def _template(desk: Desk, member_id: str, look: _Look) -> Template:
    template_id, model = new_template_id(), desk.vision.model
    sealed = seal_template(desk.vision.embed(look.frame, look.face), member_id, template_id, model, desk.template_key)
    return Template(template_id, model, sealed, desk.registry.clock.now())


def _alone(desk: Desk, member: Member, look: _Look) -> float:
    """Return the similarity of a picture with one member, 0 where there is nothing to compare with."""
    desk.recognizer.use([member])
    best = _best(desk, look)
    return 0.0 if best is None else best.similarity


def _best(desk: Desk, look: _Look) -> Candidate | None:
    question = Question(look.frame, look.face, Purpose.IDENTITY, "", desk.timeout_s, 0)
    examination = desk.recognizer.examine(question)
    return next(iter(examination.candidates or ()), None)


def _warnings(sitting: _Sitting, member: Member) -> tuple[str, ...]:
    warnings = []
    model = sitting.desk.vision.model
    count = sum(template.model == model for template in member.templates)
    if count < ENOUGH:
        pictures = f"{count} picture{'s' if count > 1 else ''}"
        warnings.append(f"only {pictures}: {ENOUGH} to 5 different ones are recognized more surely")
    others = sum(all(template.model != model for template in each.templates) for each in sitting.members)
    if others:
        warnings.append(f"{others} enrolled by another model could not be searched for the same face")
    return (*warnings, *sitting.warnings)
