"""Signed members and sealed templates."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from smileaccess import membership
from smileaccess.errors import EnrollmentRefused, KeysError, SignatureInvalid
from smileaccess.keys import public_half
from smileaccess.membership import forgotten, load_roster, seal_template, sign, unseal_template, verify
from smileaccess.model import (
    Consent,
    DoorEvent,
    Gesture,
    IndexedFace,
    Member,
    MemberStatus,
    SignedMember,
    Template,
    uuid7,
)
from smileaccess.schedules import Schedule
from tests.fakes_records import FakeMembers

PRIVATE, FOREIGN, TEMPLATES = b"e" * 32, b"f" * 32, b"t" * 32
PUBLIC = public_half(PRIVATE)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
UTC_TIMES = st.datetimes(timezones=st.just(UTC))


def template(number: int = 1) -> Template:
    return Template(f"t_{number}", "sface-2021dec", bytes([number]) * 40, NOON)


def member(member_id: str = "m_1", version: int = 1, **changes: object) -> Member:
    whole = Member(
        member_id,
        version,
        "Zoë O’Neill 孫",
        MemberStatus.ACTIVE,
        NOON,
        Consent(NOON, "2026-1"),
        None,
        NOON.replace(year=2027),
        (template(1), template(2)),
        (indexed(1), indexed(2)),
        Gesture.TURN,
        Schedule.parse("mon-fri 08:00-18:00; hol 10:00-12:00", "Europe/Vienna"),
        ("cleaners", "evening"),
        ("front", "yard"),
        99.25,
    )
    return replace(whole, **changes)


def indexed(number: int = 1) -> IndexedFace:
    return IndexedFace(f"face-{number}", "people", "7.0", NOON)


def resigned(changes: dict[str, object], private: bytes = PRIVATE) -> SignedMember:
    """A member whose document the enroller signed with `changes` in it."""
    good = sign(member(), PRIVATE)
    document = json.dumps({**json.loads(good.document), **changes}).encode()
    signature = Ed25519PrivateKey.from_private_bytes(private).sign(b"smileaccess member 1\0" + document)
    return replace(good, document=document, signature=signature)


def stored(*members: SignedMember) -> FakeMembers:
    """A store that was written past the enroller where need be."""
    made = FakeMembers()
    made.stored = {each.id: each for each in members}
    return made


def test_a_signed_member_verifies_and_comes_back_equal() -> None:
    assert verify(sign(member(), PRIVATE), PUBLIC) == member()


def test_the_document_is_canonical() -> None:
    signed = sign(member(), PRIVATE)
    told = json.loads(signed.document)
    assert signed.document == json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    assert told["templates"][0].keys() == {"id", "model", "sha256", "added_at"}
    assert told["faces"] == [
        {"id": f"face-{number}", "collection": "people", "model": "7.0", "added_at": "2026-11-22T12:00:00.000000Z"}
        for number in (1, 2)
    ]
    assert told["created_at"] == "2026-11-22T12:00:00.000000Z"


@given(
    name=st.text(min_size=1, max_size=300),
    status=st.sampled_from([MemberStatus.ACTIVE, MemberStatus.DISABLED]),
    times=st.tuples(UTC_TIMES, st.none() | UTC_TIMES, st.none() | UTC_TIMES),
    consent=st.none() | st.builds(Consent, UTC_TIMES, st.text()),
    version=st.integers(1, 2**53),
    sealed=st.lists(st.binary(max_size=50), max_size=3),
    faces=st.lists(st.tuples(st.uuids(), st.text(), st.text()), max_size=3, unique_by=lambda face: face[0]),
)
def test_any_member_with_a_clean_name_comes_back_equal(name, status, times, consent, version, sealed, faces) -> None:
    try:
        cleaned = membership.clean_name(name)
    except EnrollmentRefused:
        return
    templates = tuple(Template(f"t{n}", "model", each, times[0]) for n, each in enumerate(sealed))
    found = tuple(IndexedFace(str(face_id), where, model, times[0]) for face_id, where, model in faces)
    whole = Member("m_1", version, cleaned, status, times[0], consent, times[1], times[2], templates, found)
    assert verify(sign(whole, PRIVATE), PUBLIC) == whole


def test_another_enrollers_signature_is_refused() -> None:
    with pytest.raises(SignatureInvalid, match=r"m_1: not signed by this door's enroller"):
        verify(sign(member(), FOREIGN), PUBLIC)


def test_no_signature_is_refused() -> None:
    for signature in (b"", b"\0" * 64, b"\0" * 63):
        with pytest.raises(SignatureInvalid, match="m_1"):
            verify(replace(sign(member(), PRIVATE), signature=signature), PUBLIC)


def test_every_flipped_bit_of_document_and_signature_is_refused() -> None:
    signed = sign(member(), PRIVATE)
    for name in ("document", "signature"):
        whole = getattr(signed, name)
        for place in range(len(whole)):
            altered = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
            with pytest.raises(SignatureInvalid):
                verify(replace(signed, **{name: altered}), PUBLIC)


def test_a_signature_for_another_purpose_is_refused() -> None:
    signed = sign(member(), PRIVATE)
    bare = Ed25519PrivateKey.from_private_bytes(PRIVATE).sign(signed.document)
    with pytest.raises(SignatureInvalid):
        verify(replace(signed, signature=bare), PUBLIC)


@pytest.mark.parametrize(
    ("sealed", "cause"),
    [
        ({"t_1": b"\x01" * 40}, "t_2 is signed and missing"),
        ({"t_1": b"\x01" * 40, "t_2": b"\x02" * 39 + b"\x03"}, "t_2 was altered"),
        ({"t_1": b"\x02" * 40, "t_2": b"\x01" * 40}, "t_1 was altered"),
        ({"t_1": b"\x01" * 40, "t_2": b"\x02" * 40, "t_3": b""}, "t_3 is stored and was not signed"),
        ({"t_1": b"\x01" * 40, "t_9": b"\x02" * 40}, "t_9 is stored and was not signed"),
    ],
)
def test_templates_must_be_those_that_were_signed(sealed: dict[str, bytes], cause: str) -> None:
    with pytest.raises(SignatureInvalid, match=f"m_1: template {cause}"):
        verify(replace(sign(member(), PRIVATE), sealed=sealed), PUBLIC)


@pytest.mark.parametrize("wrong", [{"id": "m_2"}, {"version": 2}])
def test_the_row_must_be_the_documents(wrong: dict[str, object]) -> None:
    with pytest.raises(SignatureInvalid, match="the row says"):
        verify(replace(sign(member(), PRIVATE), **wrong), PUBLIC)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 1},
        {"format": 2},
        {"format": 4},
        {"floors": ["second"]},
        {"doors": "back"},
        {"doors": [1]},
        {"groups": None},
        {"groups": "cleaners"},
        {"schedule": "mon 08:00-18:00"},
        {"schedule": {"text": "someday", "zone": "UTC"}},
        {"schedule": {"text": "always", "zone": "Mars"}},
        {"least_similarity": "99"},
        {"least_similarity": True},
        {"gesture": "wink"},
        {"status": "boss"},
        {"created_at": "today"},
        {"templates": None},
        {"templates": [{"id": "t_1"}]},
        {"consent": {}},
        {"faces": None},
        {"faces": [{"id": "face-1"}]},
        {"faces": [{"id": "face-1", "collection": "people", "model": "7.0", "added_at": "today"}]},
    ],
)
def test_a_document_that_says_what_we_cannot_read_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(SignatureInvalid, match="m_1"):
        verify(resigned(changes), PUBLIC)


@pytest.mark.parametrize(
    "told",
    [
        [],
        [{"id": "face-9", "collection": "people", "model": "7.0", "added_at": "2026-11-22T12:00:00.000000Z"}],
    ],
    ids=["taken out", "put in"],
)
def test_a_face_put_in_or_taken_out_past_the_enroller_is_refused(told: list[object]) -> None:
    with pytest.raises(SignatureInvalid, match="not signed by this door's enroller"):
        verify(resigned({"faces": told}, FOREIGN), PUBLIC)
    signed = sign(member(), PRIVATE)
    document = json.dumps({**json.loads(signed.document), "faces": told}).encode()
    with pytest.raises(SignatureInvalid, match="not signed by this door's enroller"):
        verify(replace(signed, document=document), PUBLIC)


def test_a_document_of_a_version_without_faces_is_refused() -> None:
    good = json.loads(sign(member(), PRIVATE).document)
    del good["faces"]
    document = json.dumps(good).encode()
    signature = Ed25519PrivateKey.from_private_bytes(PRIVATE).sign(b"smileaccess member 1\0" + document)
    with pytest.raises(SignatureInvalid, match="another version of smileaccess"):
        verify(replace(sign(member(), PRIVATE), document=document, signature=signature), PUBLIC)


def test_a_resigned_document_without_changes_is_taken() -> None:
    assert verify(resigned({}), PUBLIC) == member()


def test_a_tombstone_says_only_that_the_id_is_retired() -> None:
    gone = membership.forgotten(member(version=4))
    signed = sign(gone, PRIVATE)
    assert verify(signed, PUBLIC) == gone
    assert gone == Member("m_1", 5, "", MemberStatus.FORGOTTEN, NOON, None)
    assert signed.sealed == {}
    assert "Zoë" not in signed.document.decode()
    assert "face-1" not in signed.document.decode()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": " padded "},
        {"name": ""},
        {"name": unicodedata.normalize("NFD", "Zoë")},
        {"version": 0},
        {"templates": (template(1), template(1))},
        {"faces": (indexed(1), indexed(1))},
        {"faces": (indexed(1), replace(indexed(1), collection="others"))},
        {"status": MemberStatus.FORGOTTEN},
        {"status": MemberStatus.FORGOTTEN, "name": "", "templates": (), "valid_until": None, "faces": ()},
        {"status": MemberStatus.FORGOTTEN, "name": "", "templates": (), "valid_until": None, "consent": None},
    ],
)
def test_a_member_that_breaks_the_rules_is_not_signed(changes: dict[str, object]) -> None:
    with pytest.raises(EnrollmentRefused):
        sign(member(**changes), PRIVATE)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("Ada", "Ada"),
        ("  Ada \t", "Ada"),
        (unicodedata.normalize("NFD", "Zoë"), "Zoë"),
        ("محمد\u200cرضا", "محمد\u200cرضا"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("孫" * 200, "孫" * 200),
        ("O'Neill; DROP TABLE members--", "O'Neill; DROP TABLE members--"),
    ],
)
def test_names_hold_any_script(name: str, cleaned: str) -> None:
    assert membership.clean_name(name) == cleaned


@pytest.mark.parametrize(
    "name", ["", "   ", "\u200b", "a\nb", "a\x1b[31mb", "a\x00b", "a\u202eb", "a\u2028b", "a\ud800b", "x" * 201]
)
def test_names_that_deceive_or_are_none_are_refused(name: str) -> None:
    with pytest.raises(EnrollmentRefused):
        membership.clean_name(name)


@pytest.mark.parametrize("name", ["m_a034", "M_A034", " m_a ", "m_"])
def test_a_name_that_looks_like_an_id_is_refused(name: str) -> None:
    with pytest.raises(EnrollmentRefused, match="looks like a member's id: give another name"):
        membership.clean_name(name)


def test_a_name_that_only_begins_like_an_id_is_a_name() -> None:
    assert membership.clean_name("m_ada lovelace") == "m_ada lovelace"


def test_who_got_such_a_name_earlier_can_still_be_disabled() -> None:
    assert membership.sign(member(name="m_a034", status=MemberStatus.DISABLED), PRIVATE)


@given(st.text())
def test_cleaning_twice_changes_nothing(name: str) -> None:
    try:
        cleaned = membership.clean_name(name)
    except EnrollmentRefused:
        return
    assert membership.clean_name(cleaned) == cleaned


def test_ids_are_ours_and_new() -> None:
    ids = {membership.new_member_id() for _ in range(100)} | {membership.new_template_id() for _ in range(100)}
    assert len(ids) == 200
    assert {each[:2] for each in ids} == {"m_", "t_"}


def embedding(length: int = 128) -> np.ndarray:
    return np.random.default_rng(7).normal(size=length).astype(np.float32)


def test_a_template_opens_to_the_same_numbers() -> None:
    sealed = seal_template(embedding(), "m_1", "t_1", "sface", TEMPLATES)
    opened = unseal_template(sealed, "m_1", "t_1", "sface", TEMPLATES)
    assert opened.dtype == np.float32
    np.testing.assert_array_equal(opened, embedding())


def test_a_sealed_template_hides_its_numbers_and_differs_each_time() -> None:
    sealed = [seal_template(embedding(), "m_1", "t_1", "sface", TEMPLATES) for _ in range(2)]
    assert sealed[0] != sealed[1]
    assert embedding().tobytes()[:8] not in sealed[0]


@pytest.mark.parametrize(
    "other",
    [
        ("m_2", "t_1", "sface", TEMPLATES),
        ("m_1", "t_2", "sface", TEMPLATES),
        ("m_1", "t_1", "arcface", TEMPLATES),
        ("m_1", "t_1", "sface", FOREIGN),
        ("m_1t_1", "", "sface", TEMPLATES),
    ],
)
def test_a_template_opens_only_for_its_member_id_model_and_key(other: tuple[str, str, str, bytes]) -> None:
    sealed = seal_template(embedding(), "m_1", "t_1", "sface", TEMPLATES)
    with pytest.raises(KeysError, match=f"template {other[1]} of member {other[0]}"):
        unseal_template(sealed, *other)


def test_every_altered_or_missing_byte_of_a_template_is_noticed() -> None:
    sealed = seal_template(embedding(3), "m_1", "t_1", "sface", TEMPLATES)
    for place in range(len(sealed)):
        for altered in (sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :], sealed[:place]):
            with pytest.raises(KeysError):
                unseal_template(altered, "m_1", "t_1", "sface", TEMPLATES)


@pytest.mark.parametrize("wrong", [[], [[1.0]], [float("nan")], [float("inf")]])
def test_what_is_no_embedding_is_not_sealed(wrong: list[object]) -> None:
    with pytest.raises(EnrollmentRefused, match="t_1"):
        seal_template(np.asarray(wrong, np.float32), "m_1", "t_1", "sface", TEMPLATES)


def test_the_roster_holds_who_verifies_and_reports_the_rest() -> None:
    good, foreign = sign(member("m_good"), PRIVATE), sign(member("m_foreign"), FOREIGN)
    posing = replace(sign(member("m_good"), PRIVATE), id="m_posing")
    unsigned = replace(sign(member("m_unsigned"), PRIVATE), signature=b"")
    roster = load_roster(stored(foreign, good, posing, unsigned), PUBLIC)
    assert roster.members == (member("m_good"),)
    assert [refusal.member_id for refusal in roster.refused] == ["m_foreign", "m_posing", "m_unsigned"]
    assert all(refusal.member_id in refusal.why for refusal in roster.refused)


def test_the_roster_refuses_versions_below_the_floor_only() -> None:
    members = stored(sign(member("m_1", 3), PRIVATE), sign(member("m_2", 4), PRIVATE), sign(member("m_3"), PRIVATE))
    members.seen = {"m_1": 4, "m_2": 4}
    roster = load_roster(members, PUBLIC)
    assert [each.id for each in roster.members] == ["m_2", "m_3"]
    assert [refusal.member_id for refusal in roster.refused] == ["m_1"]
    assert "older than version 4" in roster.refused[0].why


def test_the_roster_reports_a_member_that_was_deleted() -> None:
    members = stored()
    members.seen = {"m_1": 1}
    roster = load_roster(members, PUBLIC)
    assert roster.members == ()
    assert [refusal.member_id for refusal in roster.refused] == ["m_1"]


def test_the_roster_tells_the_revision_it_was_read_at() -> None:
    members = FakeMembers()
    event = DoorEvent(uuid7(), "test", NOON, "member.enrolled", "root")
    members.put_member(sign(member(), PRIVATE), event)
    assert load_roster(members, PUBLIC).revision == members.revision()


LATER = {2: {"gesture", "schedule", "groups", "doors", "least_similarity"}}
LATER[1] = LATER[2] | {"faces"}
"""What documents of an earlier form do not say."""


@pytest.mark.parametrize("form", LATER)
def test_a_member_of_an_earlier_form_is_read(form: int) -> None:
    """Documents from before there were limits, or faces, are the enroller's word still: such a member has none."""
    plain = replace(member(), gesture=Gesture.SMILE, schedule=None, groups=(), doors=None, least_similarity=None)
    plain = plain if form > 1 else replace(plain, faces=())
    good = sign(plain, PRIVATE)
    told = {name: value for name, value in json.loads(good.document).items() if name not in LATER[form]}
    document = json.dumps({**told, "format": form}).encode()
    signature = Ed25519PrivateKey.from_private_bytes(PRIVATE).sign(b"smileaccess member 1\0" + document)

    assert verify(replace(good, document=document, signature=signature), PUBLIC) == plain


@pytest.mark.parametrize(
    "kept",
    [
        {"gesture": Gesture.TURN},
        {"schedule": Schedule.parse("always", "UTC")},
        {"groups": ("cleaners",)},
        {"doors": ()},
        {"least_similarity": 0.0},
    ],
)
def test_a_tombstone_keeps_no_limit(kept: dict[str, object]) -> None:
    assert verify(sign(forgotten(member()), PRIVATE), PUBLIC) == forgotten(member())
    with pytest.raises(EnrollmentRefused, match="keeps nothing"):
        sign(replace(forgotten(member()), **kept), PRIVATE)
