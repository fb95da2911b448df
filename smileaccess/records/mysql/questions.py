"""Spells the questions about attempts so that an index answers each; it asks none of them itself.

Marks are %s. Names of tables and columns are ours; values never stand in the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TESTS: Mapping[str, str] = {
    "since": "opened_at >= %s",
    "until": "opened_at < %s",
    "door": "door = %s",
    "member_id": "member_id = %s",
    "outcome": "outcome = %s",
    "reason": "reason = %s",
}
"""What attempts may be asked for by: times are inclusive from and exclusive to."""


@dataclass(frozen=True, slots=True)
class Question:
    """A SELECT and what stands for its marks."""

    sql: str
    values: tuple[str, ...]


def attempts_query(
    filters: Mapping[str, str | None],
    after: tuple[str, str] | None,
    limit: int,
    *,
    columns: str = "*",
    table: str = "attempts",
) -> Question:
    """Return the question for attempts that fit all filters (see TESTS; None: any), newest first.

    A page begins after the last row (opened_at, id) of the one before. The plain bound on the time beside the exact one
    is what the servers use an index for.
    """
    given = {name: value for name, value in filters.items() if value is not None}
    tests, values = [TESTS[name] for name in given], list(given.values())
    if after is not None:
        tests += ["opened_at <= %s", "(opened_at < %s OR id < %s)"]
        values += [after[0], *after]
    sql = (
        f"SELECT {columns} FROM {table} WHERE {' AND '.join(tests) or 'TRUE'} "  # noqa: S608 -- our own names
        f"ORDER BY opened_at DESC, id DESC LIMIT {int(limit)}"
    )
    return Question(sql, tuple(values))


def per_hour(since: str, until: str, *, table: str = "attempts") -> Question:
    """Return the question for counts by hour (UTC, `2026-11-22 13`), door, outcome and reason, in the hours' order.

    Everything it reads is in the index attempts_by_time.
    """
    sql = (
        "SELECT LEFT(opened_at, 13) AS hour, door, outcome, reason, COUNT(*) AS attempts "  # noqa: S608 -- our own names
        f"FROM {table} WHERE opened_at >= %s AND opened_at < %s "
        "GROUP BY LEFT(opened_at, 13), door, outcome, reason ORDER BY hour, door, outcome, reason"
    )
    return Question(sql, (since, until))
