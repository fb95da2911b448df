"""Makes, reads and names the keys of an installation; it never shows a secret and never overwrites a key.

A key is one line of text, `smileaccess-KIND-1 BASE64 CHECK`, in a file named after its kind. The check (32 bits of
SHA-256 over kind and key) tells a damaged or mistaken file from a key; it protects from accidents only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from smileaccess.durable import write_new
from smileaccess.errors import KeysError

KEY_BYTES = 32
"""The length of every key: AES-256, HMAC-SHA256 (RFC 2104: as long as the hash), both halves of Ed25519 (RFC 8032)."""

_LONGEST_FILE = 4096


class KeyKind(StrEnum):
    """What a key is for; the value is its file's name, and with `smileaccess.` before it its credential's."""

    ENROLLER = "enroller"
    """Signs members (Ed25519, private): only where people are enrolled."""

    ENROLLER_PUBLIC = "enroller.pub"
    """Checks those signatures: at every door."""

    TEMPLATES = "templates"
    """Encrypts templates: where people are enrolled, and at every door that compares faces itself."""

    CHAIN = "chain"
    """Links this door's record: one for each door."""


_ANEW = "with another key everybody has to be enrolled anew"
_PRICES = {
    KeyKind.ENROLLER: _ANEW,
    KeyKind.TEMPLATES: _ANEW,
    KeyKind.CHAIN: "a record begun under another key does not open",
}
"""What a new key in the place of a lost one costs."""

DOOR_KEYS = frozenset({KeyKind.ENROLLER_PUBLIC, KeyKind.TEMPLATES, KeyKind.CHAIN})
"""What a door needs to run."""

DESK_KEYS = frozenset({KeyKind.ENROLLER, KeyKind.ENROLLER_PUBLIC, KeyKind.TEMPLATES})
"""What a machine needs at which people are enrolled, for whatever door."""

ALL_KEYS = frozenset(KeyKind)
"""What a machine needs at which people are enrolled for its own door."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys that were asked for, as raw bytes of length 32; asking for another one is a KeysError.

    Neither `repr` nor an error shows a secret. Any thread.
    """

    _keys: Mapping[KeyKind, bytes] = field(repr=False)

    @classmethod
    def load(
        cls, directory: Path, credentials: Path | None = None, *, need: Collection[KeyKind] = DOOR_KEYS
    ) -> KeyRing:
        """Read the keys in `need`; a credential (systemd's `$CREDENTIALS_DIRECTORY`) wins over the directory.

        KeysError names the file, what is wrong with it and the fix, a line for every key that cannot be used.
        """
        keys: dict[KeyKind, bytes] = {}
        errors: list[KeysError] = []
        for kind in sorted(need):
            try:
                keys[kind] = _read(kind, directory, credentials)
            except KeysError as error:
                errors.append(error)
        if errors:
            raise _together(errors)
        if {KeyKind.ENROLLER, KeyKind.ENROLLER_PUBLIC} <= keys.keys():
            _check_halves(directory, keys)
        return cls(keys)

    def __getitem__(self, kind: KeyKind) -> bytes:
        """Return the raw key of a kind."""
        try:
            return self._keys[kind]
        except KeyError:
            raise KeysError(f"keys: {kind} was not loaded: this command must ask for it") from None

    @property
    def enroller(self) -> bytes:
        """The private half of the enroller's key."""
        return self[KeyKind.ENROLLER]

    @property
    def enroller_public(self) -> bytes:
        """The public half of the enroller's key."""
        return self[KeyKind.ENROLLER_PUBLIC]

    @property
    def templates(self) -> bytes:
        """The key that templates are encrypted with."""
        return self[KeyKind.TEMPLATES]

    @property
    def chain(self) -> bytes:
        """The key of this door's record."""
        return self[KeyKind.CHAIN]

    def fingerprints(self) -> dict[KeyKind, str]:
        """Return, for each key held, a short name that may be shown: equal names, equal keys.

        16 hex digits of SHA-256; both halves of the enroller's key have that of the public half.
        """
        return {kind: _fingerprint(kind, key) for kind, key in self._keys.items()}


def make_keys(directory: Path, kinds: Collection[KeyKind] = ALL_KEYS) -> tuple[KeyKind, ...]:
    """Make the keys of `kinds` that are missing, durably, and return which were made; an existing one stays.

    The directory is made with mode 0700, private keys with 0600, the public half with 0644. Where the public half
    lies alone (a door whose people are enrolled elsewhere) no enroller is made. KeysError where a file cannot be
    written or an existing enroller is damaged.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = [kind for kind in KeyKind if kind in kinds and _make(kind, directory)]
    except OSError as error:
        raise KeysError(f"keys: {directory}: {error.strerror}: make it a directory that you may write") from error
    return tuple(made)


def public_half(private: bytes) -> bytes:
    """Return the public half of an Ed25519 private key, raw."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - heavy

    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _make(kind: KeyKind, directory: Path) -> bool:
    path = directory / kind
    if path.exists():
        return False
    if kind is KeyKind.ENROLLER and (directory / KeyKind.ENROLLER_PUBLIC).exists():
        return False
    if kind is KeyKind.ENROLLER_PUBLIC:
        if not (directory / KeyKind.ENROLLER).exists():
            return False
        return _write(path, kind, public_half(_read(KeyKind.ENROLLER, directory, None)), 0o644)
    return _write(path, kind, secrets.token_bytes(KEY_BYTES), 0o600)


def _write(path: Path, kind: KeyKind, key: bytes, mode: int) -> bool:
    """Say whether the key was written: not where another process was first."""
    try:
        write_new(path, _line(kind, key), mode)
    except FileExistsError:
        return False
    return True


def _read(kind: KeyKind, directory: Path, credentials: Path | None) -> bytes:
    credential = credentials / f"smileaccess.{kind}" if credentials else None
    if credential is not None and credential.exists():
        # No look at its mode: systemd grants access by an ACL, whose mask shows as the group's bits.
        return _parse(kind, credential, _bytes_of(kind, credential, forbidden=0))
    path = directory / kind
    if kind is not KeyKind.ENROLLER_PUBLIC:
        return _parse(kind, path, _bytes_of(kind, path, forbidden=0o077))
    return _parse(kind, path, _bytes_of(kind, path, forbidden=0o022))


def _bytes_of(kind: KeyKind, path: Path, *, forbidden: int) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        fix = "run this as the user that owns it" if isinstance(error, PermissionError) else _fix(kind, path)
        raise KeysError(f"keys: {path}: {error.strerror}: {fix}") from error
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise KeysError(f"keys: {path}: not a file: {_fix(kind, path, bad=True)}")
        _check_mode(path, mode & forbidden)
        _check_mode(path.parent, path.parent.stat().st_mode & forbidden & 0o022)
        return os.read(handle, _LONGEST_FILE)
    except OSError as error:
        raise KeysError(f"keys: {path}: {error.strerror}: restore it from a copy") from error
    finally:
        os.close(handle)


def _together(errors: list[KeysError]) -> KeysError:
    """Return one error that says all of them; what is wrong with the directory is said once."""
    if len(errors) == 1:
        return errors[0]
    return KeysError("\n".join(dict.fromkeys(str(error) for error in errors)))


def _fix(kind: KeyKind, path: Path, *, bad: bool = False) -> str:
    """Say what to do about a key that is missing, or here and `bad`; never what would lose one that can be restored."""
    away = "move it away, and " if bad else ""
    if kind is KeyKind.ENROLLER_PUBLIC:
        if (path.parent / KeyKind.ENROLLER).exists():
            return f"{away}`smileaccess keys make` makes it anew from enroller"
        return f"copy it from where people are enrolled; for a new door {away}`smileaccess keys make` makes both halves"
    if kind is KeyKind.ENROLLER and (path.parent / KeyKind.ENROLLER_PUBLIC).exists():
        both = "move both halves away" if bad else "remove enroller.pub too"
        return (
            f"copy it from where people are enrolled; if it is lost for good, {both}, make new keys and enroll "
            "everybody anew"
        )
    return f"restore its copy; for a new door {away}`smileaccess keys make` makes one ({_PRICES[kind]})"


def _check_mode(path: Path, excess: int) -> None:
    if not excess:
        return
    what, fix = ("written", "go-w") if not excess & 0o055 else ("read", "go-rwx")
    raise KeysError(
        f"keys: {path}: may be {what} by others: run `chmod {fix} {path}`, or make new keys if others had it"
    )


def _line(kind: KeyKind, key: bytes) -> str:
    return f"smileaccess-{kind}-1 {base64.b64encode(key).decode('ascii')} {_check(kind, key)}\n"


def _check(kind: KeyKind, key: bytes) -> str:
    return hashlib.sha256(b"smileaccess key check\0" + kind.encode("ascii") + b"\0" + key).hexdigest()[:8]


def _parse(kind: KeyKind, path: Path, raw: bytes) -> bytes:
    wrong = f"keys: {path}: %s: {_fix(kind, path, bad=True)}"
    words = raw.decode("ascii", "replace").split()
    if not words:
        raise KeysError(wrong % "empty")
    if words[0] != f"smileaccess-{kind}-1":
        raise KeysError(wrong % f"no {kind} key (it must begin with smileaccess-{kind}-1)")
    try:
        key = base64.b64decode(words[1], validate=True)
    except (IndexError, ValueError, binascii.Error) as error:
        raise KeysError(wrong % "garbled") from error
    if len(key) != KEY_BYTES:
        raise KeysError(wrong % f"{len(key)} bytes long instead of {KEY_BYTES}")
    if words != _line(kind, key).split():
        raise KeysError(wrong % "garbled (its check does not fit)")
    return key


def _check_halves(directory: Path, keys: Mapping[KeyKind, bytes]) -> None:
    if public_half(keys[KeyKind.ENROLLER]) != keys[KeyKind.ENROLLER_PUBLIC]:
        raise KeysError(
            f"keys: {directory / KeyKind.ENROLLER_PUBLIC}: not the public half of {KeyKind.ENROLLER}: "
            f"restore the one that is wrong; if that is {KeyKind.ENROLLER_PUBLIC}, remove it and "
            "`smileaccess keys make` makes it anew"
        )


def _fingerprint(kind: KeyKind, key: bytes) -> str:
    if kind is KeyKind.ENROLLER:
        kind, key = KeyKind.ENROLLER_PUBLIC, public_half(key)
    return hashlib.sha256(b"smileaccess fingerprint\0" + kind.encode("ascii") + b"\0" + key).hexdigest()[:16]
