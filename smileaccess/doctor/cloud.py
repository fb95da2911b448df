"""Checks of Amazon Rekognition: key, way, clock, collection and rights; two calls are billed, none changes anything.

What a key may do beyond its policy is found by calls that are refused for another reason where they are permitted. The
module loads boto3; what escapes a check is a ServiceError, which `trouble` turns into a remark.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from smileaccess.doctor.findings import Remark, fault, fine, warning
from smileaccess.errors import KeysError, RecordsError
from smileaccess.recognizers.answers import detected_of
from smileaccess.recognizers.cloud import ServiceError, Trouble, well_formed
from smileaccess.settings import SHIPPED
from smileaccess.spending import MILLION, Tab

if TYPE_CHECKING:
    from smileaccess.doctor.asking import Asker
    from smileaccess.doctor.site import Site

PHOTOGRAPH = "collins-smiling.jpg"
"""The smallest of the shipped photographs (smileaccess/demo/faces); it shows one face."""

OFF_S, FAR_OFF_S = 60.0, 240.0
"""Seconds between this machine's clock and the service's that are worth a word, and that are nearly too many: beyond
five minutes it refuses every signature (AWS, Signature Version 4)."""

NO_PICTURE = b"\0"
"""One byte that is no picture: who may ask is told so, and nobody is billed."""

MANY = 5
"""Rights beyond a policy from which on the key is called an administrator's."""

SILENT = frozenset({Trouble.CREDENTIALS, Trouble.CLOCK, Trouble.TIMED_OUT, Trouble.UNAVAILABLE, Trouble.MALFORMED})
"""After one of these the service would answer no other question of this door's either."""

TOLD_BY_CAUSE = frozenset({Trouble.CREDENTIALS, Trouble.NOT_PERMITTED, Trouble.CLOCK, Trouble.NO_COLLECTION})
"""The error itself ends with an advice for these, which is given apart here."""

_RIGHT = "not permitted, and that is right"
_WAY = "check the network, [rekognition] region, endpoint and ca_bundle, and that port 443 is open to the outside"
_ADVICE: Mapping[Trouble, str] = {
    Trouble.THROTTLED: "look again in a minute; where it goes on, have the account's quota raised",
    Trouble.UNAVAILABLE: _WAY,
    Trouble.TIMED_OUT: _WAY,
    Trouble.MALFORMED: "check [rekognition] endpoint: what answers there is not the service",
    Trouble.CREDENTIALS: "check [rekognition] region, credentials and profile, or the environment that boto3 reads",
    Trouble.NOT_PERMITTED: "give the door's key the policy config/iam/door.json, with this collection's name in it",
    Trouble.CLOCK: "set this machine's clock: `timedatectl set-ntp true`",
    Trouble.NO_COLLECTION: "check [rekognition] collection and region, or run `smileaccess collection create`",
}


def trouble(error: ServiceError) -> Remark:
    """Return what the service answered, or that it did not, as a remark."""
    advice = _ADVICE.get(error.trouble, "please report it")
    found = str(error)
    if error.__cause__ is not None and error.trouble in TOLD_BY_CAUSE:
        cause = re.sub(
            r"^An error occurred \((\w+)\) when calling the (\w+) operation", r"\2: \1", str(error.__cause__)
        )
        found = f"{error.trouble}: {cause}"
    return warning(found, advice) if error.trouble is Trouble.THROTTLED else fault(found, advice)


def credentials(site: Site) -> Iterator[Remark]:
    """Say which key the door asks with, by its last four characters, and from where."""
    profile = site.settings.rekognition.profile
    asker = site.asker(profile)
    named = f"profile {profile}" if profile else "no profile"
    yield fine(f"{named}: key {asker.key.shown} from {asker.key.source}, region {asker.service.region}")


def service(site: Site) -> Iterator[Remark]:
    """Connect, and have one photograph looked at as the door does, for one billed call."""
    asker = site.asker(site.settings.rekognition.profile)
    if asker.url.startswith("http:"):
        yield warning(
            f"{asker.url}: without TLS: whoever listens sees every face", "name an https [rekognition] endpoint"
        )
    opened_ms = asker.open()
    yield fine(f"{asker.url}: connected in {opened_ms:.0f} ms")
    yield from _looked_at(site, asker)


def _looked_at(site: Site, asker: Asker) -> Iterator[Remark]:
    began = time.monotonic()
    answer, billed = _paid(site, asker, "DetectFaces")
    took_s = time.monotonic() - began
    with well_formed("DetectFaces"):
        count = len(detected_of(answer))
    limit_s = site.settings.rekognition.timeout_s
    shown = f"DetectFaces took {1000 * took_s:.0f} ms and cost {billed}"
    if count != 1:
        yield warning(f"{shown}; it saw {count} faces in a photograph of one", "check [rekognition] endpoint")
    elif took_s > limit_s:
        yield warning(f"{shown}: longer than the door waits ([rekognition] timeout_s = {limit_s:g})",
                      "see what slows the line, or name a region that is nearer")  # fmt: skip
    else:
        yield fine(shown)


def _paid(site: Site, asker: Asker, operation: str, **asked: Any) -> tuple[Mapping[str, Any], str]:
    """Make a billed call about the photograph; return its answer and what it cost."""
    picture = files("smileaccess.demo").joinpath("faces", PHOTOGRAPH).read_bytes()
    tab = Tab(site.clock, site.settings.spending_rules().price_micros)
    billed = ""
    try:
        tab.pay("doctor")
        answer = asker.ask(operation, Image={"Bytes": picture}, **asked)
    finally:
        billed = _put_on_record(site, tab)
    return answer, billed


def _put_on_record(site: Site, tab: Tab) -> str:
    """Add what was paid to the record's bills, and say what it was."""
    bill = tab.bill()
    if bill is None:
        return "nothing"
    cost = f"{bill.micros / MILLION:g}"
    try:
        with site.records() as spool:
            spool.add_bill(bill)
    except (KeysError, RecordsError):
        return f"{cost}, which is not on record, since that cannot be opened"
    return f"{cost}, which is on record"


def service_clock(site: Site) -> Iterator[Remark]:
    """Compare this machine's clock with the service's, by the date of its answers."""
    asker = site.asker(site.settings.rekognition.profile)
    if asker.ahead_s is None and not site.unanswered:
        with contextlib.suppress(ServiceError):  # an error has a date as well
            asker.ask("DescribeCollection", CollectionId=site.settings.rekognition.collection)
    if asker.ahead_s is None:
        yield warning("not compared: there is no answer of the service's with a date", "see the check service")
        return
    off_s = abs(asker.ahead_s)
    shown = f"this machine's clock is {off_s:.0f} s {'ahead of' if asker.ahead_s > 0 else 'behind'} the service's"
    refused = f"{shown}: beyond 300 s it refuses everything"
    if off_s > FAR_OFF_S:
        yield fault(refused, _ADVICE[Trouble.CLOCK])
    elif off_s > OFF_S:
        yield warning(refused, _ADVICE[Trouble.CLOCK])
    else:
        yield fine(shown)


def collection(site: Site) -> Iterator[Remark]:
    """Say whether the collection is there, how many faces it has, and by which model they were indexed.

    Only a search with a face, for one billed call, shows that the door's key finds the collection: whether the service
    looks for it before it looks at a picture that is none is not documented.
    """
    name = site.settings.rekognition.collection
    asker = site.asker(site.settings.rekognition.profile)
    described, told = _described(site, asker, name)
    found, billed = _paid(site, asker, "SearchFacesByImage", CollectionId=name, MaxFaces=1)
    asker.found_collection = True
    with well_formed("SearchFacesByImage"):
        model = str(found["FaceModelVersion"])
    counted = "its faces were not counted"
    if described is not None:
        with well_formed("DescribeCollection"):
            counted = f"{int(described['FaceCount'])} faces"
    shown = f"{name}: there, of face model {model}, {counted}"
    yield fine(f"{shown}; {told}; the search with the door's key cost {billed}")
    yield from _model_compared(site, name, model)


def _described(site: Site, asker: Asker, name: str) -> tuple[Mapping[str, Any] | None, str]:
    """Describe the collection with the door's key, else with the enroller's; say how."""
    try:
        return asker.ask("DescribeCollection", CollectionId=name), "DescribeCollection: permitted, see rights"
    except ServiceError as error:
        if error.trouble is not Trouble.NOT_PERMITTED:
            raise
    told = f"DescribeCollection: {_RIGHT}"
    enroller = _enroller(site)
    if isinstance(enroller, str):
        return None, told
    try:
        return enroller.ask("DescribeCollection", CollectionId=name), f"{told}: the enroller's key was asked"
    except ServiceError as other:
        if other.trouble is Trouble.NO_COLLECTION:
            raise
        return None, told  # what is wrong with that key, the check of the rights tells


def _model_compared(site: Site, name: str, model: str) -> Iterator[Remark]:
    """Hold the collection's face model against that of the members' signed faces."""
    try:
        roster = site.roster()
    except (KeysError, RecordsError):
        return  # the checks of keys and database tell of it
    others = [
        member for member in roster.members if any(face.model != model for face in member.faces_in(name).values())
    ]
    if others:
        yield warning(
            f"{len(others)} of the members were enrolled with another face model than {model}: a search misses them",
            "enroll them again, from pictures",
        )


# --- rights


NO_PICTURE_CODES = frozenset({"InvalidImageFormatException"})
_MISSING = frozenset({"ResourceNotFoundException"})


@dataclass(frozen=True, slots=True)
class Probe:
    """A call that changes nothing and costs nothing, whatever the key may do.

    `asked` makes its parameters of the collection's name; `codes` are the errors that only who may ask is told.
    """

    operation: str
    asked: Callable[[str], Mapping[str, Any]]
    codes: frozenset[str] = frozenset()


PROBES = (
    Probe("ListCollections", lambda _: {"MaxResults": 1}),
    Probe("DescribeCollection", lambda name: {"CollectionId": name}, _MISSING),
    Probe("ListFaces", lambda name: {"CollectionId": name, "MaxResults": 1}, _MISSING),
    Probe(
        "IndexFaces",
        lambda name: {"CollectionId": name, "Image": {"Bytes": NO_PICTURE}, "MaxFaces": 1},
        NO_PICTURE_CODES | _MISSING,
    ),
    Probe("DetectLabels", lambda _: {"Image": {"Bytes": NO_PICTURE}, "MaxLabels": 1}, NO_PICTURE_CODES),
    Probe("DeleteFaces", lambda name: {"CollectionId": name, "FaceIds": [str(uuid4())]}, _MISSING),
    Probe("DeleteCollection", lambda _: {"CollectionId": f"smileaccess-doctor-{uuid4().hex}"}, _MISSING),
)
"""What is tried of every key."""

CREATION = Probe("CreateCollection", lambda name: {"CollectionId": name}, frozenset({"ResourceAlreadyExistsException"}))
"""Tried only where this very key has found the collection to exist: else it would be made."""

PROOFS = frozenset({"DescribeCollection", "ListFaces"})
"""Who is answered by these knows that the collection exists."""


@dataclass(slots=True)
class _Tried:
    """What a key may do, what it may not, and whether it knows the collection to exist."""

    permitted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    exists: bool = False


def rights(site: Site) -> Iterator[Remark]:
    """Say what the door's key, and the enroller's where it is here, may do beyond their policies."""
    name = site.settings.rekognition.collection
    door = site.asker(site.settings.rekognition.profile)
    tried = {"door": _tried(door, name)}
    enroller = _enroller(site)
    if isinstance(enroller, str):
        yield from _absent(site, enroller)
    else:
        try:
            tried["enroller"] = _tried(enroller, name)
        except ServiceError as error:
            yield trouble(error)
    askers = {"door": door} if isinstance(enroller, str) else {"door": door, "enroller": enroller}
    for whose, each in tried.items():
        yield from _creation(whose, askers[whose], name, each)
        yield from _judged(whose, each)


def _creation(whose: str, asker: Asker, name: str, tried: _Tried) -> Iterator[Remark]:
    """Try to make the collection with a key that has just found it: another key's may be another account's."""
    if tried.exists or asker.found_collection:
        _try(asker, CREATION, name, tried)
    else:
        yield fine(f"the {whose}'s key: CreateCollection: not tried, since it has not found the collection to exist")


def _enroller(site: Site) -> Asker | str:
    """Return what asks with the enroller's key, or why there is none."""
    cloud = site.settings.rekognition
    if cloud.enroller_profile in {"", cloud.profile}:
        return ""
    try:
        asker = site.asker(cloud.enroller_profile)
    except ServiceError:
        return "absent"
    return "same" if asker.key == site.asker(cloud.profile).key else asker


def _absent(site: Site, why: str) -> Iterator[Remark]:
    profile = site.settings.rekognition.enroller_profile
    if why == "absent":
        yield fine(f"profile {profile}: its key is not here, as where people are enrolled elsewhere")
    elif why == "same":
        yield warning(f"profile {profile}: has the door's own key", "make it a key of its own, with enroller.json")


def _tried(asker: Asker, name: str) -> _Tried:
    tried = _Tried()
    for probe in PROBES:
        _try(asker, probe, name, tried)
    return tried


def _try(asker: Asker, probe: Probe, name: str, tried: _Tried) -> None:
    """Make one harmless call, and put down what it shows; ServiceError where no answer tells anything."""
    try:
        asker.ask(probe.operation, **probe.asked(name))
    except ServiceError as error:
        if error.trouble is Trouble.THROTTLED or error.trouble in SILENT:
            raise
        if error.trouble is Trouble.NOT_PERMITTED:
            tried.refused.append(probe.operation)
        else:
            (tried.permitted if error.code in probe.codes else tried.untold).append(probe.operation)
    else:
        tried.permitted.append(probe.operation)
        tried.exists |= probe.operation in PROOFS


def _judged(whose: str, tried: _Tried) -> Iterator[Remark]:
    """Hold what a key may do against its policy."""
    allowed, policy = policy_of(whose), f"config/iam/{whose}.json"
    beyond = [each for each in tried.permitted if each not in allowed]
    lacking = [each for each in tried.refused if each in allowed]
    rightly = [each for each in tried.refused if each not in allowed]
    if beyond:
        much = ", as an administrator's or the account's own key" if len(beyond) >= MANY else ""
        yield warning(
            f"the {whose}'s key may do more than {policy}{much}: {', '.join(beyond)}",
            f"make a key that has {policy} and nothing else, and delete this one",
        )
    if lacking:
        yield warning(f"the {whose}'s key may not do what it is for: {', '.join(lacking)}", f"give it {policy}")
    if tried.untold:
        yield warning(
            f"the {whose}'s key: could not be told: {', '.join(tried.untold)}", "compare its policies by hand"
        )
    if rightly:
        yield fine(f"the {whose}'s key: {', '.join(rightly)}: {_RIGHT}")


def policy_of(whose: str) -> frozenset[str]:
    """Return the operations that a shipped policy permits."""
    document = json.loads((SHIPPED.parent / "iam" / f"{whose}.json").read_text(encoding="utf-8"))
    told: list[str] = []
    for statement in document["Statement"]:
        action = statement["Action"]
        told += [action] if isinstance(action, str) else action
    return frozenset(action.removeprefix("rekognition:") for action in told)
