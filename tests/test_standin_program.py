"""The stand-in as a program: what it prints and writes is enough to use it."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.fakes_vision import FACES

ROOT = Path(__file__).resolve().parent.parent
PHOTOGRAPH = (FACES / "obama-neutral.jpg").read_bytes()


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "tests.standin", *map(str, arguments)]


@contextmanager
def served(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run the program until what it prints is complete; yield the process and the lines."""
    with subprocess.Popen(command("serve", *arguments), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines: list[str] = []
            for one in process.stdout:
                lines.append(one.rstrip("\n"))
                if one.startswith("enroller_profile"):
                    break
            yield process, lines
        finally:
            process.kill()


def client(folder: Path, profile: str) -> Any:
    """Return a client made from what the program wrote, and from nothing else."""
    settings = tomllib.loads((folder / "settings.toml").read_text())["rekognition"]
    keys = credentials(Path(settings["credentials"]), profile)
    return boto3.client(
        "rekognition",
        region_name=settings["region"],
        endpoint_url=settings["endpoint"],
        verify=settings.get("ca_bundle", False),
        config=Config(retries={"total_max_attempts": 1}),
        **keys,
    )


def credentials(file: Path, profile: str) -> dict[str, str]:
    section = file.read_text().partition(f"[{profile}]\n")[2].split("\n\n")[0]
    return dict(one.split(" = ") for one in section.strip().splitlines())


def test_what_is_written_is_enough_to_use_it(tmp_path: Path) -> None:
    """Address, CA, keys and settings; faults as asked for; and TERM ends it with 0."""
    folder = tmp_path / "new"
    with served("--folder", folder, "--latency", "DetectFaces=0.1", "--throttle", "SearchFacesByImage") as (
        process,
        lines,
    ):
        with closing(client(folder, "door")) as door:
            assert len(door.detect_faces(Image={"Bytes": PHOTOGRAPH})["FaceDetails"]) == 1
            with pytest.raises(ClientError, match="ThrottlingException"):
                door.search_faces_by_image(CollectionId="smileaccess", Image={"Bytes": PHOTOGRAPH})
        with closing(client(folder, "admin")) as admin:
            assert admin.create_collection(CollectionId="smileaccess")["StatusCode"] == 200
        process.send_signal(signal.SIGTERM)

        assert process.wait(10) == 0

    url = (folder / "url").read_text().strip()
    assert lines[:3] == [
        f"url          {url}",
        f"CA           {folder / 'ca.pem'}",
        f"credentials  {folder / 'credentials'}",
    ]
    assert "\n".join(lines[lines.index("[recognition]") :]) + "\n" == (folder / "settings.toml").read_text()
    assert stat.S_IMODE((folder / "credentials").stat().st_mode) == 0o600


def test_the_settings_are_those_of_a_door(tmp_path: Path) -> None:
    """The snippet is TOML with the door's own names; without TLS there is no CA."""
    with served("--no-tls", "--folder", tmp_path) as (process, lines):
        url = (tmp_path / "url").read_text().strip()
        process.send_signal(signal.SIGINT)

        assert process.wait(10) == 0

    assert tomllib.loads("\n".join(lines[lines.index("[recognition]") :])) == {
        "recognition": {"recognizers": ["rekognition", "embedded"]},
        "rekognition": {
            "region": "eu-central-1",
            "collection": "smileaccess",
            "endpoint": url,
            "credentials": str(tmp_path / "credentials"),
            "profile": "door",
            "enroller_profile": "enroller",
        },
    }
    assert url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--help"], 0, "serve"),
        (["serve", "--help"], 0, "--throttle OP"),
        (["serve", "--latency", "DetectFaces"], 2, "must be OP=SECONDS"),
        (["serve", "--throttle", "DetectFace"], 2, "no operation of Rekognition"),
        ([], 2, "usage"),
    ],
)
def test_what_it_says_of_itself(arguments: list[str], code: int, told: str) -> None:
    """Help is 0; what cannot be served is 2, with a sentence and no traceback."""
    ended = subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert (ended.returncode, told in ended.stdout + ended.stderr) == (code, True)
    assert "Traceback" not in ended.stderr
