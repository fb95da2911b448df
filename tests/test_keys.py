"""Keys: made once, read strictly, never shown."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest

from smileaccess import keys
from smileaccess.errors import KeysError
from smileaccess.keys import ALL_KEYS, DOOR_KEYS, KeyKind, KeyRing, make_keys

PRIVATE = [KeyKind.ENROLLER, KeyKind.TEMPLATES, KeyKind.CHAIN]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    make_keys(made)
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_make_keys_makes_every_kind_with_its_mode_and_nothing_else(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "keys"
    assert set(make_keys(directory)) == ALL_KEYS
    assert {path.name: mode(path) for path in directory.iterdir()} == {
        "enroller": 0o600,
        "enroller.pub": 0o644,
        "templates": 0o600,
        "chain": 0o600,
    }
    assert mode(directory) == 0o700


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_keys(tmp_path / "open")
        os.umask(0o077)
        make_keys(tmp_path / "strict")
    finally:
        os.umask(before)
    assert mode(tmp_path / "open" / "chain") == 0o600
    assert mode(tmp_path / "strict" / "enroller.pub") == 0o644


def test_make_keys_never_overwrites(directory: Path) -> None:
    before = contents(directory)
    assert make_keys(directory) == ()
    assert contents(directory) == before


@pytest.mark.parametrize("kind", [KeyKind.CHAIN, KeyKind.TEMPLATES, KeyKind.ENROLLER_PUBLIC])
def test_make_keys_makes_what_is_missing(directory: Path, kind: KeyKind) -> None:
    before = contents(directory)
    (directory / kind).unlink()
    assert make_keys(directory) == (kind,)
    after = contents(directory)
    assert {name: after[name] for name in before if name != kind} == {
        name: before[name] for name in before if name != kind
    }


def test_the_public_half_is_made_anew_from_the_private_one(directory: Path) -> None:
    before = contents(directory)
    (directory / KeyKind.ENROLLER_PUBLIC).unlink()
    make_keys(directory)
    assert contents(directory) == before


def test_a_door_with_the_public_half_alone_gets_no_enroller(directory: Path) -> None:
    (directory / KeyKind.ENROLLER).unlink()
    assert make_keys(directory) == ()
    assert not (directory / KeyKind.ENROLLER).exists()


def test_no_two_keys_are_equal(directory: Path, tmp_path: Path) -> None:
    make_keys(tmp_path / "other")
    rings = [KeyRing.load(each, need=ALL_KEYS) for each in (directory, tmp_path / "other")]
    assert len({ring[kind] for ring in rings for kind in KeyKind}) == 8


def test_make_keys_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeysError, match="file"):
        make_keys(tmp_path / "file")


def test_a_ring_gives_what_was_asked_for_and_nothing_else(directory: Path) -> None:
    ring = KeyRing.load(directory, need={KeyKind.CHAIN})
    assert len(ring.chain) == 32
    with pytest.raises(KeysError, match=r"enroller\.pub"):
        _ = ring.enroller_public


def test_a_door_needs_no_enroller(directory: Path) -> None:
    (directory / KeyKind.ENROLLER).unlink()
    ring = KeyRing.load(directory, need=DOOR_KEYS)
    assert len({ring.enroller_public, ring.templates, ring.chain}) == 3
    with pytest.raises(KeysError):
        _ = ring.enroller


def test_neither_repr_nor_fingerprints_show_a_secret(directory: Path) -> None:
    ring = KeyRing.load(directory, need=ALL_KEYS)
    shown = repr(ring) + str(ring) + repr(ring.fingerprints())
    for kind in KeyKind:
        assert ring[kind].hex() not in shown
        assert base64.b64encode(ring[kind]).decode() not in shown
        assert repr(ring[kind])[2:-1] not in shown


def test_fingerprints_tell_keys_apart_and_join_the_two_halves(directory: Path, tmp_path: Path) -> None:
    ring = KeyRing.load(directory, need=ALL_KEYS)
    shown = ring.fingerprints()
    assert shown[KeyKind.ENROLLER] == shown[KeyKind.ENROLLER_PUBLIC]
    assert len(set(shown.values())) == 3
    assert all(len(name) == 16 for name in shown.values())
    assert KeyRing.load(directory, need=ALL_KEYS).fingerprints() == shown
    make_keys(tmp_path / "other")
    assert not set(KeyRing.load(tmp_path / "other", need=ALL_KEYS).fingerprints().values()) & set(shown.values())


def test_a_credential_wins_over_the_directory_whatever_its_mode(directory: Path, tmp_path: Path) -> None:
    make_keys(tmp_path / "other")
    credentials = tmp_path / "credentials"
    credentials.mkdir(mode=0o755)
    given = credentials / "smileaccess.chain"
    given.write_bytes((tmp_path / "other" / "chain").read_bytes())
    given.chmod(0o440)
    ring = KeyRing.load(directory, credentials)
    assert ring.chain == KeyRing.load(tmp_path / "other").chain
    assert ring.templates == KeyRing.load(directory).templates


@pytest.mark.parametrize(("kind", "bits"), [*((kind, 0o640) for kind in PRIVATE), (KeyKind.CHAIN, 0o604)])
def test_a_private_key_open_to_others_is_refused(directory: Path, kind: KeyKind, bits: int) -> None:
    (directory / kind).chmod(bits)
    with pytest.raises(KeysError, match=rf"{directory / kind}: may be read by others: run `chmod go-rwx"):
        KeyRing.load(directory, need=ALL_KEYS)


def test_a_public_half_that_others_may_write_is_refused(directory: Path) -> None:
    (directory / KeyKind.ENROLLER_PUBLIC).chmod(0o664)
    with pytest.raises(KeysError, match=r"enroller\.pub: may be written by others"):
        KeyRing.load(directory)


def test_a_directory_that_others_may_write_is_refused(directory: Path) -> None:
    directory.chmod(0o777)
    with pytest.raises(KeysError, match=f"{directory}: may be written by others"):
        KeyRing.load(directory)
    directory.chmod(0o755)
    KeyRing.load(directory)


ANEW = "with another key everybody has to be enrolled anew"
LOST = "make new keys and enroll everybody anew"


@pytest.mark.parametrize(
    ("gone", "fix"),
    [
        ("chain", "restore its copy; .*keys make.*a record begun under another key does not open"),
        ("templates", f"restore its copy; .*keys make.*{ANEW}"),
        ("enroller", f"copy it from where people are enrolled; .*remove enroller.pub too, {LOST}"),
        ("enroller.pub", "`smileaccess keys make` makes it anew from enroller"),
        ("enroller enroller.pub", f"restore its copy; .*keys make.*{ANEW}"),
    ],
)
def test_a_missing_key_is_named_with_the_fix_and_its_price(directory: Path, gone: str, fix: str) -> None:
    for kind in gone.split():
        (directory / kind).unlink()
    with pytest.raises(KeysError, match=f"{directory / gone.split(maxsplit=1)[0]}: No such file.*{fix}"):
        KeyRing.load(directory, need=ALL_KEYS)


@pytest.mark.parametrize("kind", list(KeyKind))
def test_no_advice_about_a_bad_key_destroys_it(directory: Path, kind: KeyKind) -> None:
    (directory / kind).write_text("garbled\n")
    with pytest.raises(KeysError, match=r"restore its copy|copy it from|move it away, and") as caught:
        KeyRing.load(directory, need=ALL_KEYS)
    assert "remove" not in str(caught.value)


def test_a_door_without_both_halves_is_told_to_copy_the_public_one(directory: Path) -> None:
    (directory / KeyKind.ENROLLER).unlink()
    (directory / KeyKind.ENROLLER_PUBLIC).unlink()
    with pytest.raises(KeysError, match=r"enroller\.pub: .*: copy it from where people are enrolled"):
        KeyRing.load(directory)


def test_everything_that_is_wrong_is_said_at_once(directory: Path) -> None:
    (directory / KeyKind.CHAIN).unlink()
    (directory / KeyKind.TEMPLATES).write_text("nonsense\n")
    with pytest.raises(KeysError) as caught:
        KeyRing.load(directory, need=ALL_KEYS)
    named = [line.split(": ")[1] for line in str(caught.value).split("\n")]
    assert named == [str(directory / "chain"), str(directory / "templates")]


def test_what_is_wrong_with_the_directory_is_said_once(directory: Path) -> None:
    directory.chmod(0o777)
    with pytest.raises(KeysError) as caught:
        KeyRing.load(directory)
    assert str(caught.value).count("\n") == 0


GOOD = base64.b64encode(b"k" * 32)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"\xff" * 1000, "no chain key"),
        (b"k" * 32, "no chain key"),
        (b"smileaccess-templates-1 " + GOOD + b" 00000000\n", "no chain key"),
        (b"smileaccess-chain-2 " + GOOD + b" 00000000\n", "no chain key"),
        (b"smileaccess-chain-1", "garbled"),
        (b"smileaccess-chain-1 ???? 00000000", "garbled"),
        (b"smileaccess-chain-1 " + base64.b64encode(b"k" * 31) + b" 00000000", "31 bytes long"),
        (b"smileaccess-chain-1 " + GOOD + b" 00000000", "its check does not fit"),
        (b"smileaccess-chain-1 " + GOOD, "its check does not fit"),
        (b"A" * 1_000_000, "no chain key"),
    ],
)
def test_a_file_that_is_no_such_key_is_refused(directory: Path, content: bytes, wrong: str) -> None:
    (directory / KeyKind.CHAIN).write_bytes(content)
    with pytest.raises(KeysError, match=wrong) as caught:
        KeyRing.load(directory)
    assert str(directory / KeyKind.CHAIN) in str(caught.value)
    assert "smileaccess keys make" in str(caught.value)
    assert GOOD.decode() not in str(caught.value)


def test_any_flipped_bit_of_a_key_is_noticed(directory: Path) -> None:
    path = directory / KeyKind.CHAIN
    whole = path.read_bytes().rstrip()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(KeysError):
            KeyRing.load(directory)


def test_what_is_no_file_is_refused_at_once(directory: Path) -> None:
    (directory / KeyKind.CHAIN).unlink()
    os.mkfifo(directory / KeyKind.CHAIN, 0o600)
    with pytest.raises(KeysError, match="not a file"):
        KeyRing.load(directory)


def test_halves_that_do_not_belong_together_are_refused(directory: Path, tmp_path: Path) -> None:
    make_keys(tmp_path / "other")
    (directory / "enroller.pub").write_bytes((tmp_path / "other" / "enroller.pub").read_bytes())
    with pytest.raises(KeysError, match="not the public half"):
        KeyRing.load(directory, need=ALL_KEYS)


def test_the_public_half_checks_what_the_private_one_signs(directory: Path) -> None:
    ring = KeyRing.load(directory, need=ALL_KEYS)
    assert keys.public_half(ring.enroller) == ring.enroller_public
