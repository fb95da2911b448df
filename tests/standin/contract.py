"""Checks what is asked against botocore's model of Rekognition, which is the contract; it never does the work."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from tests.standin.errors import AwsError

PREFIX = "RekognitionService."
"""What stands before the operation in the header X-Amz-Target."""

_NUMBER = (int, float)
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "blob": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": _NUMBER,
    "double": _NUMBER,
    "timestamp": _NUMBER,
    "list": (list,),
    "map": (dict,),
    "structure": (dict,),
}


@cache
def model() -> ServiceModel:
    """Return botocore's model of the service."""
    return ServiceModel(Loader().load_service_model("rekognition", "service-2"), "rekognition")


@cache
def regions() -> frozenset[str]:
    """Return the regions in which botocore knows the service, without its special endpoints."""
    aws = Loader().load_data("endpoints")["partitions"][0]
    return frozenset(aws["services"]["rekognition"]["endpoints"]) & frozenset(aws["regions"])


def parameters(body: bytes) -> dict[str, Any] | None:
    """Return the request's JSON object, or None where the body is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def check(operation: str, asked: dict[str, Any] | None) -> None:
    """Refuse a request that the model forbids: SerializationException, or ValidationException with every problem.

    Members that the model does not know are passed over, as AWS passes over them.
    """
    if asked is None:
        raise AwsError("SerializationException", "The request body is not a JSON object")
    shape = model().operation_model(operation).input_shape
    found = list(problems(shape, asked, ""))
    if found:
        errors = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: "
        raise AwsError("ValidationException", errors + "; ".join(found))


def problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Yield what is wrong with a value, each with its place in AWS's words."""
    if not _is(shape.type_name, value):
        yield _problem(value, path, f"Member must be of type {shape.type_name}")
    elif isinstance(shape, StructureShape):
        yield from _structure(shape, value, path)
    elif isinstance(shape, ListShape):
        yield from _size(shape, len(value), value, path)
        for place, one in enumerate(value, 1):
            yield from problems(shape.member, one, f"{path}.{place}.member")
    elif isinstance(shape, MapShape):
        yield from _size(shape, len(value), value, path)
        for key, one in value.items():
            yield from problems(shape.key, key, path)
            yield from problems(shape.value, one, f"{path}.{key}")
    else:
        yield from _plain(shape, value, path)


def _is(type_name: str, value: object) -> bool:
    expected = _TYPES[type_name]
    return isinstance(value, expected) and (bool in expected or not isinstance(value, bool))


def _structure(shape: StructureShape, value: dict[str, Any], path: str) -> Iterator[str]:
    given = {name: one for name, one in value.items() if one is not None}
    for name, member in shape.members.items():
        place = f"{path}.{name[0].lower()}{name[1:]}".removeprefix(".")
        if name in given:
            yield from problems(member, given[name], place)
        elif name in shape.required_members:
            yield f"Value null at '{place}' failed to satisfy constraint: Member must not be null"


def _plain(shape: Shape, value: Any, path: str) -> Iterator[str]:
    limits = shape.metadata
    if shape.type_name == "blob":
        yield from _blob(value, path)
    elif shape.type_name == "string":
        yield from _size(shape, len(value), value, path)
        if "pattern" in limits and not re.fullmatch(_pattern(limits["pattern"]), value):
            yield _problem(value, path, f"Member must satisfy regular expression pattern: {limits['pattern']}")
        if "enum" in limits and value not in limits["enum"]:
            yield _problem(value, path, f"Member must satisfy enum value set: [{', '.join(limits['enum'])}]")
    else:
        yield from _range(limits, value, path)


def _pattern(java: str) -> str:
    """Return a pattern of the model for Python, whose expressions know no classes of Unicode."""
    return java.replace(r"\p{L}\p{Z}\p{N}", r"\w\s")


def _blob(value: str, path: str) -> Iterator[str]:
    # Only the lower limit: what is too large is the service's to refuse, as an image and not as a shape.
    try:
        size = len(base64.b64decode(value, validate=True))
    except binascii.Error:
        yield _problem("...", path, "Member must be base64")
        return
    if size < 1:
        yield _problem("", path, "Member must have length greater than or equal to 1")


def _size(shape: Shape, size: int, value: Any, path: str) -> Iterator[str]:
    if size < shape.metadata.get("min", 0):
        yield _problem(value, path, f"Member must have length greater than or equal to {shape.metadata['min']}")
    if size > shape.metadata.get("max", size):
        yield _problem(value, path, f"Member must have length less than or equal to {shape.metadata['max']}")


def _range(limits: dict[str, Any], value: float, path: str) -> Iterator[str]:
    if value < limits.get("min", value):
        yield _problem(value, path, f"Member must have value greater than or equal to {limits['min']}")
    if value > limits.get("max", value):
        yield _problem(value, path, f"Member must have value less than or equal to {limits['max']}")


def _problem(value: Any, path: str, constraint: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"
