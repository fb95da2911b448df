"""Spells the questions about what is on record so that an index answers each; it asks none of them itself.

Marks are %s. Names of tables and columns are ours; values never stand in the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

EQUAL = ("member_id", "reason", "door", "outcome")
"""Columns that rows may be asked for by, each of which leads an index; that which leaves the fewest rows first."""

BOUNDS: Mapping[str, str] = {"since": ">=", "until": "<"}
"""Times are inclusive from and exclusive to."""


@dataclass(frozen=True, slots=True)
class Question:
    """A SELECT and what stands for its marks."""

    sql: str
    values: tuple[str, ...]


def newest_first(
    table: str,
    filters: Mapping[str, str | None],
    after: tuple[str, str] | None,
    limit: int,
    *,
    time: str = "opened_at",
    columns: str = "*",
) -> Question:
    """Return the question for rows that fit all filters (of EQUAL and BOUNDS; None: any), newest first by `time`.

    A page begins after the last row (time, id) of the one before. MariaDB would walk there from the newest row: it
    enters an index at that time where the first column is held by two bounds, not as an equality, and where a plain
    bound on the time stands beside the exact one.
    """
    lead, *others = [name for name in EQUAL if filters.get(name) is not None] or [""]
    bounds = [name for name in BOUNDS if filters.get(name) is not None]
    tests = [f"{lead} >= %s", f"{lead} <= %s"] if lead else []
    tests += [*(f"{name} = %s" for name in others), *(f"{time} {BOUNDS[name]} %s" for name in bounds)]
    values = [filters[name] for name in (*([lead] * 2 if lead else []), *others, *bounds)]
    if after is not None:
        tests += [f"{time} <= %s", f"({time} < %s OR id < %s)"]
        values += [after[0], *after]
    order = ", ".join(f"{name} DESC" for name in (lead, time, "id") if name)
    sql = (
        f"SELECT {columns} FROM {table} WHERE {' AND '.join(tests) or 'TRUE'} "  # noqa: S608 -- our own names
        f"ORDER BY {order} LIMIT {int(limit)}"
    )
    return Question(sql, tuple(str(value) for value in values))
