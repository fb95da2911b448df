"""The shipped weights are whole, are what their digests say, and their licenses lie beside them."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

import pytest

from smileaccess.errors import VisionFailed
from smileaccess.vision import weights


@pytest.mark.parametrize("name", weights.DIGESTS)
def test_every_file_has_its_digest(name: str) -> None:
    assert weights.path(name, verify=True).is_file()


@pytest.mark.parametrize("name", weights.DIGESTS)
def test_the_notice_names_every_file(name: str) -> None:
    assert name in files(weights).joinpath("NOTICE").read_text(encoding="utf-8")


def test_no_other_weights_lie_there() -> None:
    lying = {entry.name for entry in files(weights).iterdir() if entry.name.endswith((".onnx", ".tflite", ".npz"))}
    assert lying == set(weights.DIGESTS)


def test_missing_weights_are_named() -> None:
    with pytest.raises(VisionFailed, match=r"absent\.onnx: the weights are missing"):
        weights.path("absent.onnx")


def test_one_altered_byte_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(b"weights")
    weights.check(file, hashlib.sha256(b"weights").hexdigest())
    file.write_bytes(b"weighty")
    with pytest.raises(VisionFailed, match=r"net\.onnx: the weights were altered"):
        weights.check(file, hashlib.sha256(b"weights").hexdigest())
