"""Makes a member of a person's photographs, or says why not; it never keeps a picture and leaves nothing half done.

Photographs pass the quality gates, then a search for the same face under another name, then each other's company (one
person in all of them), then a search-back with the list as it would be; with a collection, its own duplicate search,
indexing and search-back follow. Only what passed all is signed and stored, and it is searched for once more in what was
stored. A use case: it knows ports, membership, gates, model and errors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from smileaccess.errors import EnrollmentRefused, KeysError, MemberNotFound
from smileaccess.gates import picture_faults
from smileaccess.intake import Intake, intake_of, take_in
from smileaccess.membership import clean_name, forgotten, new_member_id, new_template_id, seal_template, unseal_template
from smileaccess.model import (
    Candidate,
    Frame,
    Gesture,
    Member,
    MemberStatus,
    Purpose,
    Question,
    Template,
)
from smileaccess.registry import check_doors, check_groups, check_validity, named
from smileaccess.sitting import AGAIN, MOST, Conflict, Desk, Look, Picture, Report, Request, Sitting, Verdict

if TYPE_CHECKING:
    from smileaccess.model import Vector

ENOUGH = 3
"""Pictures of a person below which the threshold's measured miss rate does not hold (docs/recognition.md)."""

_SAME_PICTURE = 0.9995
"""The cosine of two embeddings from which on they are of one picture, at most saved anew."""


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
    check_groups(request.groups)
    check_doors(request.doors)
    sitting = Sitting(desk, request, _living(desk))
    _gate(sitting, pictures)
    member = _addressee(sitting)
    sitting.put_aside(_strangers(sitting, member))
    sitting.put_aside(_known_already(sitting, member))
    sitting.put_aside(_odd_ones(sitting))
    base = member or _nobody_yet(desk, request.name)
    grown = _searched_back(sitting, base)
    with intake_of(desk, base) as intake:
        if intake is not None:
            grown = _taken_in(sitting, intake, base, grown)
        _store(sitting, member, grown)
        if intake is not None:
            intake.settled = True
        _search_stored(sitting, member, grown, intake)
    return Report(grown, member is None, tuple(sitting.verdicts), _warnings(sitting, grown))


# The steps, in order


def _gate(sitting: Sitting, pictures: Iterable[Picture]) -> None:
    seen: set[bytes] = set()
    for place, picture in enumerate(pictures):
        verdict, frame = judge(sitting.desk, picture, place)
        content = hashlib.sha256(picture.pixels.tobytes()).digest()
        if verdict.passed:
            verdict = replace(verdict, remark=_superfluous(sitting, again=content in seen))
        if verdict.passed and verdict.face is not None:
            sitting.looks.append(Look(place, frame, verdict.face))
        seen.add(content)
        sitting.verdicts.append(verdict)
    sitting.need_some()


def _superfluous(sitting: Sitting, *, again: bool) -> str:
    if again:
        return AGAIN
    return f"not needed: {MOST} pictures are enough" if len(sitting.looks) >= MOST else ""


def _addressee(sitting: Sitting) -> Member | None:
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


def _refuse_enrolled(sitting: Sitting, others: list[Member]) -> None:
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


def _strangers(sitting: Sitting, member: Member | None) -> dict[int, str]:
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


def _known_already(sitting: Sitting, member: Member | None) -> dict[int, str]:
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
    return dict.fromkeys(again, AGAIN)


def _lacks_faces(desk: Desk, member: Member) -> bool:
    return desk.collection is not None and len(member.faces_in(desk.collection.name)) < len(member.templates)


def _embeddings(desk: Desk, member: Member) -> list[Vector]:
    found = []
    for each in member.templates:
        if each.model == desk.vision.model:
            with suppress(KeysError):
                found.append(unseal_template(each.sealed, member.id, each.id, each.model, desk.template_key))
    return found


def _odd_ones(sitting: Sitting) -> dict[int, str]:
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


def _searched_back(sitting: Sitting, member: Member) -> Member:
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


def _search(sitting: Sitting, member: Member) -> dict[int, str]:
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


def _store(sitting: Sitting, before: Member | None, member: Member) -> None:
    request = sitting.request
    kind = "member_enrolled" if before is None else "member_pictures_added"
    added = len(member.templates) - (len(before.templates) if before else 0)
    faces = len(member.faces) - (len(before.faces) if before else 0)
    told = {"consent": request.consent.text_version, "duplicate_allowed": request.allow_duplicate}
    detail = {"pictures": added, **({"faces": faces} if sitting.desk.collection else {}), **told}
    sitting.desk.registry.put(member, kind, request.why, detail)


def _search_stored(sitting: Sitting, before: Member | None, member: Member, intake: Intake | None) -> None:
    """Search again in what was stored; what is not found there is taken back, and out of the collection."""
    stored = _living(sitting.desk)
    sitting.desk.recognizer.use(stored)
    if member in stored and not _search(sitting, member):
        return
    restored = forgotten(member) if before is None else replace(before, version=member.version + 1)
    sitting.desk.registry.put(restored, "member_taken_back", "the search-back in the stored list failed")
    if intake is not None:
        intake.settled = False
    raise EnrollmentRefused(
        f"{member.name}: was stored and not found back: taken back; look for the cause with `smileaccess members list`"
    )


def _taken_in(sitting: Sitting, intake: Intake, member: Member, grown: Member) -> Member:
    """Return the member as it shall be stored, with the faces that were indexed and found.

    A picture that is not good enough for the collection is put aside, and its template goes with it.
    """
    before = len(sitting.looks)
    take_in(sitting, intake)
    if len(sitting.looks) < before:
        grown = _searched_back(sitting, member)
    intake.keep([look.place for look in sitting.looks])
    return replace(grown, faces=(*member.faces, *intake.new()))


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
        schedule=request.schedule or member.schedule,
        groups=tuple(sorted(set(request.groups))) or member.groups,
        doors=tuple(sorted(set(request.doors))) or member.doors,
        gesture=request.gesture or member.gesture,
        templates=(*member.templates, *templates),
    )


def _trial(desk: Desk, look: Look) -> Member:
    trial = _nobody_yet(desk, "trial")
    return replace(trial, templates=(_template(desk, trial.id, look),))


def _template(desk: Desk, member_id: str, look: Look) -> Template:
    template_id, model = new_template_id(), desk.vision.model
    sealed = seal_template(desk.vision.embed(look.frame, look.face), member_id, template_id, model, desk.template_key)
    return Template(template_id, model, sealed, desk.registry.clock.now())


def _alone(desk: Desk, member: Member, look: Look) -> float:
    """Return the similarity of a picture with one member, 0 where there is nothing to compare with."""
    desk.recognizer.use([member])
    best = _best(desk, look)
    return 0.0 if best is None else best.similarity


def _best(desk: Desk, look: Look) -> Candidate | None:
    question = Question(look.frame, look.face, Purpose.IDENTITY, "", desk.timeout_s, 0)
    examination = desk.recognizer.examine(question)
    return next(iter(examination.candidates or ()), None)


def _warnings(sitting: Sitting, member: Member) -> tuple[str, ...]:
    warnings = []
    model = sitting.desk.vision.model
    count = sum(template.model == model for template in member.templates)
    if count < ENOUGH:
        pictures = f"{count} picture{'s' if count > 1 else ''}"
        warnings.append(f"only {pictures}: {ENOUGH} to 5 different ones are recognized more surely")
    others = sum(all(template.model != model for template in each.templates) for each in sitting.members)
    if others:
        warnings.append(f"{others} enrolled by another model could not be searched for the same face")
    return (*warnings, *_unrested(sitting, member), *sitting.warnings)


def _unrested(sitting: Sitting, member: Member) -> tuple[str, ...]:
    """Warn of somebody new whose calm face nobody has seen: the door would never ask that face to smile.

    What the earlier pictures of a member showed is not kept.
    """
    below = sitting.desk.calm_below
    smiles = [look.face.smile for look in sitting.looks if look.face.smile is not None]
    if below is None or member.version > 1 or (member.gesture or Gesture.SMILE) is not Gesture.SMILE:
        return ()
    if not smiles or min(smiles) < below:
        return ()
    return (
        f"no picture shows a calm face: the calmest measures {min(smiles):.0f}, and the door asks for a smile after "
        f"one below {below:g}: add a calm picture; who never rests so low needs another --gesture",
    )
