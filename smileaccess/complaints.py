"""What pydantic finds wrong with settings, told in the words of a settings file: pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

Sections = Mapping[str, FieldInfo]
"""The fields of the settings: a model a section."""


def as_written(value: Any) -> str:
    """Return a value as it stands in a settings file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(as_written(item) for item in value)}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)


_WANTED = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list in brackets",
    # Of a list whose length is fixed, an item is missing, or one is too many.
    "missing": "two numbers",
    "too_long": "two numbers",
}
"""What a setting must be, by pydantic's name for what is wrong with it."""


def complaints(error: ValidationError, sections: Sections) -> list[str]:
    """Return all that is wrong, a line each, by the names that stand in the file."""
    return [line for detail in error.errors(include_url=False) for line in _lines(detail, sections)]


def _lines(detail: ErrorDetails, sections: Sections) -> list[str]:
    if not detail["loc"]:  # of several sections together: a line each
        return [f"settings: {line}" for line in _cause(detail).splitlines()]
    return [_line(detail, sections)]


def _line(detail: ErrorDetails, sections: Sections) -> str:
    section, *rest = [str(part) for part in detail["loc"]]
    if detail["type"] == "extra_forbidden":
        return _unknown(section, rest, sections)
    if detail["type"] == "model_type":
        return f"settings: [{section}]: must be a section: a line [{section}], and its settings below it"
    if not rest:
        return f"settings: [{section}] {_cause(detail)}"
    return f"settings: [{section}] {rest[0]} = {_shown(detail['input'])}: {_demand(detail, sections)}"


def _unknown(section: str, rest: list[str], sections: Sections) -> str:
    name = rest[0] if rest else section
    known = list(sections)
    if rest:
        model = sections[section].annotation
        known = list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
    near = difflib.get_close_matches(name, known, n=1)
    guess = f": did you mean {near[0]}?" if near else f": known are {', '.join(known)}"
    return (
        f"settings: [{section}] {name}: no such setting{guess}"
        if rest
        else f"settings: [{name}]: no such section{guess}"
    )


def _demand(detail: ErrorDetails, sections: Sections) -> str:
    field = _field(detail, sections)
    bounds = {type(m).__name__: m for m in field.metadata} if field is not None else {}
    if detail["type"] in {"greater_than_equal", "less_than_equal"} and {"Ge", "Le"} <= set(bounds):
        return f"must be between {bounds['Ge'].ge:g} and {bounds['Le'].le:g}"
    if detail["type"] in _WANTED:
        return f"must be {_WANTED[detail['type']]}"
    return _cause(detail)


def _field(detail: ErrorDetails, sections: Sections) -> Any:
    section, name = str(detail["loc"][0]), str(detail["loc"][1])
    model = sections[section].annotation
    return model.model_fields.get(name) if isinstance(model, type) and issubclass(model, BaseModel) else None


def _cause(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    for pydantic, ours in (("Input should be", "must be"), ("Tuple should", "must"), ("String should", "must")):
        message = message.replace(pydantic, ours)
    return message


def _shown(value: Any) -> str:
    shown = as_written(value) if isinstance(value, str | int | float | list) else repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
