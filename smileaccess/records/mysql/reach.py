"""Says whether an account reads a table itself, or a door's view of it; it reads no row."""

from __future__ import annotations

from smileaccess.records.mysql.link import Link

_VISIBLE = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s AND table_name = %s"
"""The servers list only what an account has some right to (information_schema, in both manuals)."""


def readable(link: Link, table: str) -> str:
    """Return the table's name where the account has a right to it, else that of the view that doors read."""
    return table if link.one(_VISIBLE, link.database, table) else f"own_{table}"
