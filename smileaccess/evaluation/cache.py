"""Keeps what was seen in a picture, for the next evaluation; each entry opens with its picture only.

What it keeps holds a template. So an entry is encrypted (AES-256-GCM, NIST SP 800-38D) with a key that is a digest of
the picture file itself: nobody without the picture can read it, and once the picture is deleted nobody ever can.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smileaccess import __version__
from smileaccess.encoding import canonical
from smileaccess.errors import SmileAccessError
from smileaccess.model import Box, Emotion, Face, Frame, Pose, Quality, Sight
from smileaccess.vision.opencv import opencv
from smileaccess.vision.weights import DIGESTS

if TYPE_CHECKING:
    from smileaccess.model import Vector

_NONCE_BYTES = 12

NOTHING = Frame(np.zeros((1, 1, 3), np.uint8), 0, 0.0)
"""Stands for a frame whose pixels have been let go of."""


class Cache:
    """A folder of entries, each a file of mode 0600; any process. SmileAccessError where it cannot be written."""

    def __init__(self, directory: Path, *, emotions: bool) -> None:
        """Take the folder, made if missing (mode 0700); entries of other networks, or another OpenCV, are others."""
        self._directory = directory
        self._networks = canonical([__version__, opencv().__version__, DIGESTS, emotions])
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from error

    def get(self, content: bytes) -> tuple[Sight, Vector | None] | None:
        """Return what was seen in the picture of this content, None where there is no entry that opens."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 -- heavy
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 -- heavy

        path, key = self._path(content), self._digest(b"key", content)
        try:
            sealed = path.read_bytes()
            told = AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        except (FileNotFoundError, InvalidTag, ValueError):  # a torn one is made anew
            return None
        except OSError as error:
            raise self._unusable(error) from error
        return _of_plain(json.loads(told))

    def put(self, content: bytes, sight: Sight, embedding: Vector | None) -> None:
        """Keep what was seen in the picture of this content."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 -- heavy

        path, nonce = self._path(content), secrets.token_bytes(_NONCE_BYTES)
        told = json.dumps(_to_plain(sight, embedding)).encode("ascii")
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(nonce + AESGCM(self._digest(b"key", content)).encrypt(nonce, told, None))
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise self._unusable(error) from error

    def _path(self, content: bytes) -> Path:
        return self._directory / self._digest(b"name", content).hex()

    def _digest(self, purpose: bytes, content: bytes) -> bytes:
        said = b"smileaccess evaluation 1\0" + purpose + b"\0" + self._networks + b"\0"
        return hashlib.sha256(said + content).digest()

    def _unusable(self, error: OSError) -> SmileAccessError:
        return SmileAccessError(
            f"evaluate: cache {self._directory}: {error.strerror}: give a folder that you may write with --cache, or "
            "--no-cache"
        )


def _to_plain(sight: Sight, embedding: Vector | None) -> dict[str, Any]:
    shown = None if embedding is None else base64.b64encode(embedding.astype("<f4").tobytes()).decode("ascii")
    return {"brightness": sight.brightness, "faces": [_face(each) for each in sight.faces], "embedding": shown}


def _face(face: Face) -> dict[str, Any]:
    box, quality, pose = face.box, face.quality, face.pose
    return {
        "box": [box.left, box.top, box.width, box.height],
        "score": face.score,
        "landmarks": face.landmarks,
        "quality": [quality.brightness, quality.sharpness, quality.size_px, quality.presence],
        "pose": pose and [pose.yaw, pose.pitch, pose.roll],
        "measured": [face.smile, face.eyes_open, face.mouth_open],
        "emotions": {emotion.value: value for emotion, value in face.emotions.items()},
    }


def _of_plain(told: Mapping[str, Any]) -> tuple[Sight, Vector | None]:
    faces = tuple(_of_plain_face(each) for each in told["faces"])
    shown = told["embedding"]
    embedding = None if shown is None else np.frombuffer(base64.b64decode(shown), "<f4").astype(np.float32)
    return Sight(NOTHING, faces, told["brightness"]), embedding


def _of_plain_face(told: Mapping[str, Any]) -> Face:
    smile, eyes_open, mouth_open = told["measured"]
    return Face(
        Box(*told["box"]),
        told["score"],
        0,
        tuple((x, y) for x, y in told["landmarks"]),
        Quality(*told["quality"]),
        pose=Pose(*told["pose"]) if told["pose"] else None,
        smile=smile,
        eyes_open=eyes_open,
        mouth_open=mouth_open,
        emotions={Emotion(name): value for name, value in told["emotions"].items()},
    )
