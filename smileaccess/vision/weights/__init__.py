"""The networks' weights as shipped: where each file lies and what its digest is; never fetches anything.

NOTICE beside the files says where each one comes from and under which licence; `.ci/rebuild_weights.py` makes them.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

from smileaccess.errors import VisionFailed

DETECTOR = "face_detection_yunet_2023mar.onnx"
EMBEDDING = "face_recognition_sface_2021dec_int8bq.onnx"
MESH = "face_landmarks_detector.tflite"
BLENDSHAPES = "face_blendshapes.npz"
EMOTIONS = "emotion_mini_xception.onnx"

DIGESTS = {
    DETECTOR: "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    EMBEDDING: "487a139eb85ccd5ff30aef7d0add7f12d2bb7abb90c5f08a7f481b452a660e00",
    MESH: "c7d54204ce0448474c7f3fa9af494787c0965cbdd6f20fc72867e43046bd43d5",
    BLENDSHAPES: "35586153b146996bd459b3f384ff67cc3f5ea726c3fe12fed3c71d526b4a3494",
    EMOTIONS: "b710bcde98c7d57a5829899f5cf4bf2cec560b3d73e747f2bf58e232e9beb985",
}
"""The SHA-256 of every shipped file, in hex."""


def path(name: str, *, verify: bool = False) -> Path:
    """Return where the weights called `name` lie; with `verify` read them and compare the digest too.

    Any thread. VisionFailed when the file is missing, or altered where that was asked for.
    """
    found = Path(str(files(__name__).joinpath(name)))
    if name not in DIGESTS or not found.is_file():
        raise VisionFailed(f"vision: {found}: the weights are missing: install smileaccess again")
    if verify:
        check(found, DIGESTS[name])
    return found


def check(file: Path, digest: str) -> None:
    """Raise VisionFailed unless the file's SHA-256 is `digest`."""
    if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
        raise VisionFailed(f"vision: {file}: the weights were altered: install smileaccess again")
