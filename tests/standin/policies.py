"""Says whether a user may call an operation, by IAM policies; what it cannot judge it refuses to load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.standin.errors import AwsError
from tests.standin.keyring import ACCOUNT

SHIPPED = Path(__file__).resolve().parent.parent.parent / "config" / "iam"

WITHOUT_RESOURCE = frozenset({"DetectFaces", "ListCollections"})
"""Operations that know no resource: only a statement for "*" allows them (AWS's service authorization reference)."""

SERVED = (
    "CreateCollection",
    "DescribeCollection",
    "ListCollections",
    "DeleteCollection",
    "IndexFaces",
    "ListFaces",
    "DeleteFaces",
    "DetectFaces",
    "SearchFacesByImage",
)
"""The operations that the stand-in knows; nobody may call another one."""

_COLLECTIONS = "arn:aws:rekognition:*:*:collection/*"
_ENROLLING = ("CreateCollection", "DescribeCollection", "IndexFaces", "ListFaces", "DeleteFaces", "SearchFacesByImage")
_MEMBERS = {"Sid", "Effect", "Action", "Resource"}


def _policy(*statements: tuple[tuple[str, ...], str]) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": [f"rekognition:{one}" for one in operations], "Resource": resource}
            for operations, resource in statements
        ],
    }


DEFAULT: Mapping[str, Mapping[str, Any]] = {
    "door": _policy((("DetectFaces",), "*"), (("SearchFacesByImage",), _COLLECTIONS)),
    "enroller": _policy((_ENROLLING, _COLLECTIONS)),
    "admin": _policy((SERVED, "*")),
}
"""Used for a user who has no policy among the project's files."""


def shipped(folder: Path = SHIPPED) -> dict[str, Mapping[str, Any]]:
    """Return every user's policy: the project's own file (door.json, enroller.json) where there is one."""
    files = {name: folder / f"{name}.json" for name in ("door", "enroller")}
    found = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in files.items() if path.exists()}
    return {**DEFAULT, **found}


class Policies:
    """The policies by the user's name; the constructor raises ValueError on what it does not understand."""

    def __init__(self, policies: Mapping[str, Mapping[str, Any]]) -> None:
        self._statements = {name: [_statement(one) for one in _listed(p["Statement"])] for name, p in policies.items()}

    def check(self, user: str, operation: str, region: str, collection: object) -> None:
        """Raise AwsError where `user` may not call `operation` on a collection, in AWS's words."""
        resource = _resource(operation, region, collection)
        action = f"rekognition:{operation}"
        effects = {
            effect
            for effect, actions, resources in self._statements.get(user, [])
            if _matches(actions, action.lower()) and _matches(resources, resource)
        }
        if operation in SERVED and effects == {"Allow"}:
            return
        why = f"no identity-based policy allows the {action} action"
        because = "with an explicit deny in an identity-based policy" if "Deny" in effects else f"because {why}"
        arn = f"arn:aws:iam::{ACCOUNT}:user/{user}"
        message = f"User: {arn} is not authorized to perform: {action} on resource: {resource} {because}"
        raise AwsError("AccessDeniedException", message)


def arn(region: str, collection: str) -> str:
    """Return a collection's name in full."""
    return f"arn:aws:rekognition:{region}:{ACCOUNT}:collection/{collection}"


def _resource(operation: str, region: str, collection: object) -> str:
    if operation in WITHOUT_RESOURCE or operation not in SERVED:
        return "*"
    return arn(region, collection if isinstance(collection, str) else "")


def _statement(one: Mapping[str, Any]) -> tuple[str, list[str], list[str]]:
    unknown = set(one) - _MEMBERS
    if unknown or one.get("Effect") not in ("Allow", "Deny"):
        raise ValueError(
            f"policy: {', '.join(sorted(unknown)) or one.get('Effect')}: not understood here: use {_MEMBERS}"
        )
    return one["Effect"], [action.lower() for action in _listed(one["Action"])], _listed(one["Resource"])


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches(patterns: list[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
