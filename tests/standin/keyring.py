"""The stand-in's account and the three keys that it knows; none of them opens anything else."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import NamedTuple

ACCOUNT = "123456789012"


class Credentials(NamedTuple):
    """An access key as AWS hands it out."""

    access_key_id: str
    secret_access_key: str


CREDENTIALS = {
    "door": Credentials("AKIASTANDIN00000DOOR", "door/of/the/standin/opens/nothing/else00"),
    "enroller": Credentials("AKIASTANDIN0ENROLLER", "enroller/of/the/standin/opens/nothing000"),
    "admin": Credentials("AKIASTANDIN0000ADMIN", "admin/of/the/standin/opens/nothing/else0"),
}
"""By the user's name, which is also the name of the profile."""


def write_credentials(path: Path) -> Path:
    """Write an AWS shared credentials file with a profile for each key, for its owner's eyes; return its path."""
    profiles = configparser.ConfigParser()
    for name, one in CREDENTIALS.items():
        profiles[name] = {"aws_access_key_id": one.access_key_id, "aws_secret_access_key": one.secret_access_key}
    path.touch(mode=0o600)
    with path.open("w", encoding="utf-8") as file:
        profiles.write(file)
    return path
