"""Signs and checks members, seals and opens their templates; it never trusts a stored member that does not verify.

The canonical document of a member, with the digest of each sealed template and the FaceIds in a collection, is what
the enroller signs (Ed25519, RFC 8032). A template is encrypted with AES-256-GCM (NIST SP 800-38D) under a random nonce
and bound to its member, its id and its model. Everything here may run on any thread.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from smileaccess.encoding import canonical, moment, stamp
from smileaccess.errors import EnrollmentRefused, KeysError, SignatureInvalid
from smileaccess.model import Consent, Gesture, IndexedFace, Member, MemberStatus, SignedMember, Template
from smileaccess.schedules import Schedule

if TYPE_CHECKING:
    from smileaccess.model import Vector
    from smileaccess.ports import Members

FORMAT = 3
"""The version of the document; a door refuses one that it does not know, since it may hold a limit unknown to it."""

LONGEST_NAME = 200
"""In code points, after normalization."""

_CONTEXT = b"smileaccess member 1\0"
_SEALED = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16
_WHO = {"id", "version", "name", "status", "created_at", "consent"}
_FIELDS_1 = _WHO | {"format", "valid_from", "valid_until", "templates"}
_FIELDS_2 = _FIELDS_1 | {"faces"}
_FIELDS_3 = _FIELDS_2 | {"schedule", "groups", "doors", "least_similarity", "gesture"}
_FIELDS = {1: _FIELDS_1, 2: _FIELDS_2, 3: _FIELDS_3}
_LIKE_AN_ID = re.compile(r"m_[0-9a-f]*", re.IGNORECASE)
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A stored member that does not count, and why."""

    member_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Roster:
    """The members that count, those that do not, and the store's revision they were read at."""

    members: tuple[Member, ...]
    refused: tuple[Refusal, ...]
    revision: int


def new_member_id() -> str:
    """Return a new random member id: `m_` and 80 bits in hex."""
    return f"m_{secrets.token_hex(10)}"


def new_template_id() -> str:
    """Return a new random template id: `t_` and 80 bits in hex."""
    return f"t_{secrets.token_hex(10)}"


def clean_name(name: str) -> str:
    """Return a person's name as we keep it: NFC, without space around it, 1 to 200 characters of any script.

    EnrollmentRefused for an empty or longer one, and for control characters (line breaks, terminal escapes,
    reversals of the writing direction), which could make a list show what is not there, or for the looks of an id,
    which would then mean another member.
    """
    cleaned = _tidy(name)
    if _LIKE_AN_ID.fullmatch(cleaned):
        raise EnrollmentRefused(f"name {name!r}: looks like a member's id: give another name")
    return cleaned


def _tidy(name: str) -> str:
    cleaned = unicodedata.normalize("NFC", name).strip()
    if not any(unicodedata.category(character)[0] not in "CZ" for character in cleaned):
        raise EnrollmentRefused(f"name {name!r}: empty: give at least one visible character")
    if len(cleaned) > LONGEST_NAME:
        raise EnrollmentRefused(f"name of {len(cleaned)} characters: at most {LONGEST_NAME}")
    for character in cleaned:
        if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in _BIDI_CONTROLS:
            raise EnrollmentRefused(f"name {name!r}: holds the control character U+{ord(character):04X}: leave it out")
    return cleaned


def forgotten(member: Member) -> Member:
    """Return the tombstone of a member: the id stays retired, and everything that says who it was is gone."""
    return replace(
        member,
        version=member.version + 1,
        name="",
        status=MemberStatus.FORGOTTEN,
        consent=None,
        valid_from=None,
        valid_until=None,
        templates=(),
        faces=(),
        gesture=Gesture.SMILE,
        schedule=None,
        groups=(),
        doors=None,
        least_similarity=None,
    )


def document(member: Member) -> bytes:
    """Return the canonical document of a member; ValueError for a time without a zone or text that is not UTF-8."""
    consent = member.consent
    return canonical(
        {
            "format": FORMAT,
            "id": member.id,
            "version": member.version,
            "name": member.name,
            "status": member.status,
            "created_at": stamp(member.created_at),
            "consent": consent and {"given_at": stamp(consent.given_at), "text_version": consent.text_version},
            "valid_from": member.valid_from and stamp(member.valid_from),
            "valid_until": member.valid_until and stamp(member.valid_until),
            "templates": [_entry(template) for template in member.templates],
            "faces": [_face_entry(face) for face in member.faces],
            "schedule": member.schedule and {"text": member.schedule.text, "zone": member.schedule.zone},
            "groups": list(member.groups),
            "doors": None if member.doors is None else list(member.doors),
            "least_similarity": member.least_similarity,
            "gesture": member.gesture,
        }
    )


def sign(member: Member, private: bytes) -> SignedMember:
    """Sign a member with the enroller's private key (raw, 32 bytes).

    EnrollmentRefused for a member that could not be kept so: a name that `clean_name` would change, a version below
    1, a template id or FaceId used twice, a tombstone that still says something.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - heavy

    _check_signable(member)
    text = document(member)
    signature = Ed25519PrivateKey.from_private_bytes(private).sign(_CONTEXT + text)
    return SignedMember(member.id, member.version, text, signature, {each.id: each.sealed for each in member.templates})


def verify(signed: SignedMember, public: bytes) -> Member:
    """Return the member that the enroller signed.

    SignatureInvalid, naming the id and the cause, where the signature is not by `public` (raw, 32 bytes), the row
    is not the document's, or a template is missing, altered or not listed.
    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - heavy
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - heavy

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signed.signature, _CONTEXT + signed.document)
    except InvalidSignature as error:
        raise _invalid(signed.id, "not signed by this door's enroller") from error
    member = _member(signed)
    if (member.id, member.version) != (signed.id, signed.version):
        told = f"the row says {signed.id} version {signed.version}, the signed document {member.id} {member.version}"
        raise _invalid(signed.id, told)
    return member


def seal_template(embedding: Vector, member_id: str, template_id: str, model: str, key: bytes) -> bytes:
    """Encrypt an embedding, float32 of shape (n,), for one member, template and model; a new nonce each time.

    EnrollmentRefused for an embedding that is empty, of another shape, or not finite.
    """
    import numpy as np  # noqa: PLC0415 - heavy
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - heavy

    plain = np.asarray(embedding, dtype="<f4")
    if plain.ndim != 1 or not plain.size or not np.isfinite(plain).all():
        raise EnrollmentRefused(
            f"template {template_id}: an embedding is a row of finite numbers: take another picture"
        )
    nonce = secrets.token_bytes(_NONCE_BYTES)
    bound = canonical([member_id, template_id, model])
    return _SEALED + nonce + AESGCM(key).encrypt(nonce, plain.tobytes(), _SEALED + bound)


def unseal_template(sealed: bytes, member_id: str, template_id: str, model: str, key: bytes) -> Vector:
    """Decrypt what `seal_template` made, float32 of shape (n,).

    KeysError where it does not open: the signature has shown already that these bytes are the enroller's, so that
    most likely the templates' key is another one.
    """
    import numpy as np  # noqa: PLC0415 - heavy
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - heavy
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - heavy

    nonce, secret = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    if sealed[:1] != _SEALED or len(secret) < _TAG_BYTES:
        raise _unopened(member_id, template_id, "not a template as this version seals it")
    try:
        plain = AESGCM(key).decrypt(nonce, secret, _SEALED + canonical([member_id, template_id, model]))
    except InvalidTag as error:
        raise _unopened(member_id, template_id, "sealed with another templates key, or altered") from error
    return np.frombuffer(plain, dtype="<f4").astype(np.float32)


def load_roster(members: Members, public: bytes) -> Roster:
    """Read the stored members and keep those that verify and are no older than this door has seen.

    Whoever does not verify, or is gone although once held, is reported and is nobody. RecordsUnavailable,
    RecordsFailed (the floors were tampered with).
    """
    revision = members.revision()
    floors = members.floors()
    stored = members.signed_members()
    kept: list[Member] = []
    refused: list[Refusal] = []
    for signed in sorted(stored, key=lambda each: each.id):
        try:
            kept.append(_not_older(verify(signed, public), floors))
        except SignatureInvalid as error:
            refused.append(Refusal(signed.id, str(error)))
    gone = sorted(floors.keys() - {signed.id for signed in stored})
    refused += [Refusal(each, f"member {each}: deleted from the database past the enroller") for each in gone]
    return Roster(tuple(kept), tuple(refused), revision)


def _not_older(member: Member, floors: Mapping[str, int]) -> Member:
    floor = floors.get(member.id, 0)
    if member.version < floor:
        raise _invalid(member.id, f"version {member.version} is older than version {floor}, which this door has seen")
    return member


def _check_signable(member: Member) -> None:
    ids = [template.id for template in member.templates]
    face_ids = [face.id for face in member.faces]
    if member.version < 1:
        raise EnrollmentRefused(f"member {member.id}: version {member.version}: versions count from 1")
    if len(set(ids)) != len(ids):
        raise EnrollmentRefused(f"member {member.id}: a template id is used twice: {', '.join(ids)}")
    if len(set(face_ids)) != len(face_ids):
        raise EnrollmentRefused(f"member {member.id}: a FaceId is used twice: {', '.join(face_ids)}")
    if member.status is MemberStatus.FORGOTTEN:
        if replace(forgotten(member), version=member.version) != member:
            raise EnrollmentRefused(f"member {member.id}: a forgotten member keeps nothing: use `forgotten`")
    elif _tidy(member.name) != member.name:  # one that looks like an id may have been kept by an earlier version
        raise EnrollmentRefused(f"member {member.id}: name {member.name!r}: pass it through `clean_name` first")


def _entry(template: Template) -> dict[str, str]:
    return {
        "id": template.id,
        "model": template.model,
        "sha256": hashlib.sha256(template.sealed).hexdigest(),
        "added_at": stamp(template.added_at),
    }


def _face_entry(face: IndexedFace) -> dict[str, str]:
    return {
        "id": face.id,
        "collection": face.collection,
        "model": face.model,
        "added_at": stamp(face.added_at),
    }


def _member(signed: SignedMember) -> Member:
    """Read a document whose signature is good; anything unknown in it is refused, since it may be a limit."""
    try:
        told = json.loads(signed.document)
        if told.keys() != _FIELDS.get(told["format"]):
            raise _invalid(signed.id, "signed by another version of smileaccess: use the same version on both machines")
        return Member(
            id=told["id"],
            version=told["version"],
            name=told["name"],
            status=MemberStatus(told["status"]),
            created_at=moment(told["created_at"]),
            consent=_consent(told["consent"]),
            valid_from=_limit(told["valid_from"]),
            valid_until=_limit(told["valid_until"]),
            templates=_templates(signed, told["templates"]),
            faces=tuple(_indexed_face(entry) for entry in told.get("faces", ())),
            gesture=Gesture(told.get("gesture", Gesture.SMILE)),
            schedule=_schedule(told.get("schedule")),
            groups=_names(told.get("groups", [])),
            doors=None if told.get("doors") is None else _names(told["doors"]),
            least_similarity=_number(told.get("least_similarity")),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _invalid(signed.id, f"the signed document cannot be read ({error})") from error


def _consent(told: Mapping[str, str] | None) -> Consent | None:
    return None if told is None else Consent(moment(told["given_at"]), told["text_version"])


def _limit(told: str | None) -> datetime | None:
    return None if told is None else moment(told)


def _schedule(told: Mapping[str, str] | None) -> Schedule | None:
    return None if told is None else Schedule.parse(told["text"], told["zone"])


def _names(told: object) -> tuple[str, ...]:
    if not isinstance(told, list) or not all(isinstance(name, str) for name in told):
        raise TypeError(f"{told!r} is no list of names")
    return tuple(told)


def _number(told: object) -> float | None:
    if told is not None and (isinstance(told, bool) or not isinstance(told, int | float)):
        raise TypeError(f"{told!r} is no number")
    return told


def _templates(signed: SignedMember, told: list[dict[str, Any]]) -> tuple[Template, ...]:
    listed = {entry["id"] for entry in told}
    for extra in sorted(signed.sealed.keys() - listed):
        raise _invalid(signed.id, f"template {extra} is stored and was not signed")
    return tuple(_template(signed, entry) for entry in told)


def _template(signed: SignedMember, entry: dict[str, Any]) -> Template:
    sealed = signed.sealed.get(entry["id"])
    if sealed is None:
        raise _invalid(signed.id, f"template {entry['id']} is signed and missing")
    if hashlib.sha256(sealed).hexdigest() != entry["sha256"]:
        raise _invalid(signed.id, f"template {entry['id']} was altered")
    return Template(entry["id"], entry["model"], sealed, moment(entry["added_at"]))


def _indexed_face(entry: Mapping[str, Any]) -> IndexedFace:
    return IndexedFace(entry["id"], entry["collection"], entry["model"], moment(entry["added_at"]))


def _invalid(member_id: str, cause: str) -> SignatureInvalid:
    return SignatureInvalid(f"member {member_id}: {cause}")


def _unopened(member_id: str, template_id: str, cause: str) -> KeysError:
    return KeysError(
        f"template {template_id} of member {member_id}: {cause}: "
        "copy the templates key from where the person was enrolled, or enroll the person again"
    )
