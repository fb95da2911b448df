"""Holds the delivery to its promises at full size: `make bench-records`, or `python -m tests.bench_records --help`.

It starts servers of its own and ends with 1 where a promise is broken.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from smileaccess.clock import SystemClock
from smileaccess.delivery import Outgoing
from smileaccess.records.forwarder import BATCH, Forwarder
from smileaccess.records.mysql.archive import TIMES, Archive, spelled
from smileaccess.records.rows import FORWARDED
from smileaccess.records.spool import Spool
from tests.central import Central, prepared
from tests.doors import building, make_reel
from tests.mariadb import MariaDB, running
from tests.outage import Door, Plan, run, some_attempt, some_door
from tests.test_killed import check, killed

RATIO = 0.8
"""The forwarder's speed against plain executemany of the same rows, at the least."""

ENDS = ("no row", "open", "granted")
"""What a kill may leave."""

ROUNDS = 9
ROWS = 10_000
_NAMES = ("record", *FORWARDED["attempts"])
PLAIN = f"INSERT INTO plain ({', '.join(_NAMES)}) VALUES ({', '.join(['%s'] * len(_NAMES))})"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def told(line: str) -> None:
    """Show progress to whoever sits there."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{line}")
        sys.stderr.flush()


def outages(plan: Plan) -> bool:
    """Show that all attempts arrive once, whatever the network and the server do; say whether they did."""
    say(
        f"{plan.doors} doors write {plan.attempts} attempts each; the server is killed and started {plan.kills} times; "
        f"{plan.lost:.0%} of the commits lose their answer; seed {plan.seed}"
    )
    with running("--max-connections=500") as server, tempfile.TemporaryDirectory() as folder:
        found = run(plan, server, prepared(server), Path(folder), processes=True, say=told)
    told("")
    say(f"  attempts written      {found.written:>8}")
    say(f"  attempts arrived      {found.arrived:>8}")
    say(f"  whole chains          {found.chains:>8} of {plan.doors}")
    say(f"  kills                 {found.kills:>8}")
    say(f"  answers lost          {found.lost_answers:>8}")
    say(f"  deliveries that failed{found.failures:>8}")
    say(f"  all written after     {found.wrote_s:>8.0f} s")
    say(f"  all delivered after   {found.delivered_s:>8.0f} s")
    say(f"  compared in           {found.judged_s:>8.0f} s")
    faults = list(found.faults)
    if found.arrived != plan.total:
        faults.append(f"{plan.total} attempts were to arrive")
    if found.kills < plan.kills:
        faults.append(f"the server was killed {found.kills} times only: it was over too soon")
    for fault in faults:
        say(f"  BROKEN: {fault}")
    return not faults


def throughput() -> bool:
    """Compare the forwarder with plain executemany of the same rows on the same server; say whether it is fast enough.

    Both take the same batches, a commit each, in turn, so that a busy machine slows both; the forwarder also reads the
    rows from the door's record, and notes there how far it came.
    """
    say(f"{ROWS} attempts in batches of {BATCH}: the forwarder against plain executemany of the same rows")
    ratios = []
    with running() as server, tempfile.TemporaryDirectory() as folder:
        for turn in range(ROUNDS):
            central = prepared(server)
            server.run("CREATE TABLE plain LIKE attempts", database=central.database)
            ours_s, plain_s = _round(server, central, Path(folder), turn)
            ratios.append(plain_s / ours_s)
            speeds = f"forwarder {ROWS / ours_s:>7.0f} rows/s   executemany {ROWS / plain_s:>7.0f} rows/s"
            say(f"  round {turn + 1}: {speeds}   ratio {ratios[-1]:.2f}")
    ratio = statistics.median(ratios)
    fast = ratio >= RATIO
    say(f"  median ratio {ratio:.2f}, at least {RATIO}: {'ok' if fast else 'BROKEN'}")
    return fast


def _round(server: MariaDB, central: Central, folder: Path, turn: int) -> tuple[float, float]:
    """Return the seconds that the forwarder and executemany took; who goes first changes with each batch."""
    door = _written(central, folder / str(turn), server, turn)
    ours_s = plain_s = 0.0
    with ExitStack() as stack:
        spool = stack.enter_context(closing(Spool.open(door.path, door.name, door.key)))
        outbox, link = spool.outbox(), stack.enter_context(closing(door.link()))
        forwarder = Forwarder(outbox, Archive(link, door.name, outbox.record), SystemClock(), lambda *_: None)
        plain = stack.enter_context(closing(_plain_connection(server, central)))
        cursor = stack.enter_context(plain.cursor())
        for start in range(0, ROWS, BATCH):
            batch = _values(outbox.waiting(BATCH), outbox.record)
            for ours in (True, False) if start // BATCH % 2 else (False, True):
                began = time.perf_counter()
                if ours:
                    forwarder.turn()
                    ours_s += time.perf_counter() - began
                else:
                    cursor.executemany(PLAIN, batch)
                    plain.commit()
                    plain_s += time.perf_counter() - began
    for table in ("attempts", "plain"):
        assert server.run(f"SELECT COUNT(*) FROM {table}", database=central.database) == [(ROWS,)]
    return ours_s, plain_s


def _written(central: Central, folder: Path, server: MariaDB, turn: int) -> Door:
    """Return a door with attempts that wait to be delivered."""
    folder.mkdir()
    door, luck = some_door(0, Plan(1, ROWS, 0, 0.0), central, folder, server.address), Random(turn)
    with closing(Spool.open(door.path, door.name, door.key)) as spool:
        for number in range(ROWS):
            attempt = some_attempt(door.name, number, luck)
            spool.open_attempt(attempt)
            spool.close_attempt(attempt)
    return door


def _plain_connection(server: MariaDB, central: Central) -> Any:
    import pymysql  # noqa: PLC0415

    return pymysql.connect(
        host="127.0.0.1", port=server.port, user="root", database=central.database, charset="utf8mb4"
    )


def _values(batch: Sequence[Outgoing], record: str) -> list[tuple[Any, ...]]:
    return [
        (record, *(spelled(value) if name in TIMES else value for name, value in row.columns.items())) for row in batch
    ]


def kills() -> bool:
    """Kill a door at every step of an attempt; say whether each left what it may leave."""
    with tempfile.TemporaryDirectory() as folder:
        made = 0

        def new_folder(name: str) -> Path:
            nonlocal made
            made += 1
            path = Path(folder) / f"{name}{made}"
            path.mkdir()
            return path

        reel = make_reel(new_folder("reel"))
        with building(new_folder) as build:
            house = build(reel.still_smiling)
            house.enroll(reel)
            steps = killed(house, 0).steps
            say(f"a door is killed at each of the {steps} steps of an attempt")
            left, broken = Counter[str](), []
            for step in range(1, steps):
                house = build(reel.still_smiling)
                house.enroll(reel)
                death = killed(house, step)
                if death.code != -signal.SIGKILL:  # this time there were fewer steps
                    left["ended before"] += 1
                    continue
                try:
                    left[check(death)] += 1
                except AssertionError as error:
                    broken.append(f"step {step}: {error}")
                told(f"step {step} of {steps}: {dict(left)}")
    told("")
    for what in ENDS:
        say(f"  {what:<22}{left[what]:>8}")
    if left["ended before"]:
        say(f"  ended before the kill {left['ended before']:>8}")
    broken += [f"no kill left this: {what}" for what in ENDS if not left[what]]
    for fault in broken:
        say(f"  BROKEN: {fault}")
    return not broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.bench_records")
    parser.add_argument("--doors", type=int, default=20)
    parser.add_argument("--attempts", type=int, default=5000, help="of each door")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=datetime.now(UTC).timetuple().tm_yday)
    parser.add_argument("--only", choices=["outages", "throughput", "kills"])
    asked = parser.parse_args()
    plan = Plan(asked.doors, asked.attempts, asked.kills, 0.1, asked.seed, longest_s=1800.0)
    parts = {"outages": lambda: outages(plan), "throughput": throughput, "kills": kills}
    kept = [part() for name, part in parts.items() if asked.only in {None, name}]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
