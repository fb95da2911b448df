"""Asks the common questions of a central record of a million attempts: `python -m tests.bench_queries [ATTEMPTS]`.

It starts a server of its own, and ends with 1 where the server's counters break a rule.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing

from smileaccess.records.mysql.link import Link
from tests.central import COMMON, DAY_TEXT, MANY, PART, Reads, fill, per_hour, prepared, reads
from tests.mariadb import running

FAST = ("--innodb-buffer-pool-size=1G", "--innodb-log-file-size=256M", "--innodb-flush-log-at-trx-commit=0")
ATTEMPTS = 1_000_000
HOURS = per_hour(DAY_TEXT["since"], DAY_TEXT["until"])
IN_RANGE = "SELECT COUNT(*) FROM attempts WHERE opened_at >= %s AND opened_at < %s"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def timed(link: Link, ask: Callable[[], int]) -> tuple[Reads, float]:
    """Return what is read for a question, and its milliseconds when it is asked once more."""
    found = reads(link, ask)
    began = time.perf_counter()
    ask()
    return found, 1000 * (time.perf_counter() - began)


def show(name: str, found: Reads, took_ms: float, fault: str) -> bool:
    """Print a line and say whether the rule was kept."""
    say(f"{name:34}{found.returned:>10}{found.rows:>12}{took_ms:>10.1f}  {fault or 'ok'}")
    return not fault


def lists(link: Link, door: Link) -> list[bool]:
    """Ask for attempts, newest first: not many more rows may be read than are returned."""
    kept = []
    for each in COMMON:
        asker = door if each.as_door else link
        each.ask(asker)  # what is asked once, such as what the account may read, is not of the question
        found, took_ms = timed(asker, lambda each=each, asker=asker: each.ask(asker))  # type: ignore[misc]
        fault = "" if 0 < found.rows <= MANY * found.returned else "reads too many rows"
        kept.append(show(each.name, found, took_ms, fault))
    return kept


def counts(link: Link) -> list[bool]:
    """Count by hour: from the index alone, and nothing outside the range."""
    found, took_ms = timed(link, lambda: len(link.all(HOURS.sql, *HOURS.values)))
    extra = link.all(f"EXPLAIN {HOURS.sql}", *HOURS.values)[0]["Extra"]
    in_range = link.one(IN_RANGE, *HOURS.values)
    fault = "" if "Using index" in extra and found.along <= in_range + 1 else f"{extra}; {found.along} of {in_range}"
    return [show(f"counts per hour ({in_range} in a day)", found, took_ms, fault)]


def main(attempts: int) -> int:
    """Run it and return the exit code."""
    with running(*FAST) as server:
        central = prepared(server)
        with closing(central.link(timeout_s=600)) as link, closing(central.door("door_3")) as door:
            fill(link, max(1, attempts // PART))
            say(f"{link.one('SELECT COUNT(*) FROM attempts')} attempts")
            say(f"{'question':34}{'returned':>10}{'rows read':>12}{'ms':>10}")
            return 0 if all([*lists(link, door), *counts(link)]) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ATTEMPTS))
