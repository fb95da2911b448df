"""Many doors that deliver to one real server while it is killed and answers are lost, and a verdict on what arrived.

The doors are threads, or processes where there are many: the engine of `tests.test_outage` and `tests.bench_records`.
"""

from __future__ import annotations

import multiprocessing
import random
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from smileaccess.clock import SystemClock
from smileaccess.errors import ChainBroken, RecordsError
from smileaccess.model import Attempt, Emotion, Outcome, Reason, Trigger, uuid7
from smileaccess.records.forwarder import Forwarder, Tell
from smileaccess.records.mysql.archive import Archive
from smileaccess.records.mysql.ledger import Ledger
from smileaccess.records.mysql.link import Address, Link, Login
from smileaccess.records.spool import Spool
from tests.central import Central, account_of
from tests.mariadb import MariaDB
from tests.proxy import Proxy

LONGEST_S = 1200.0
"""Seconds after which a run is given up."""

RETRY_S = 0.05
"""Seconds that a door waits after a failure, at the most: a test's outages are shorter than a real one's."""


@dataclass(frozen=True)
class Plan:
    """How many doors write how many attempts each, how often the server is killed, and the share of lost answers."""

    doors: int
    attempts: int
    kills: int
    lost: float
    seed: int = 1
    batch: int = 25

    @property
    def total(self) -> int:
        return self.doors * self.attempts


@dataclass(frozen=True)
class Door:
    """One writer: its record's file and key, and the way to the server."""

    name: str
    path: Path
    key: bytes
    address: str
    login: Login
    attempts: int
    seed: int
    batch: int

    def link(self, timeout_s: float = 5.0) -> Link:
        return Link([Address.parse(self.address)], self.login, connect_s=5.0, timeout_s=timeout_s)


@dataclass
class Verdict:
    """What came of a run: faults in words, none where all is well."""

    written: int = 0
    arrived: int = 0
    chains: int = 0
    kills: int = 0
    lost_answers: int = 0
    failures: int = 0
    took_s: float = 0.0
    faults: list[str] = field(default_factory=list)


def some_attempt(door: str, number: int, luck: random.Random) -> Attempt:
    """Return an attempt that has ended, as a door writes it."""
    opened = datetime.now(UTC)
    granted = luck.random() < 0.7
    return Attempt(
        uuid7(),
        door,
        Trigger.BUTTON,
        opened,
        closed_at=opened + timedelta(milliseconds=luck.randrange(800, 9000)),
        outcome=Outcome.GRANTED if granted else Outcome.DENIED,
        reason=None if granted else luck.choice([Reason.NO_SMILE, Reason.NOT_RECOGNIZED, Reason.NO_FACE]),
        member_id=f"m_{number % 97:04x}",
        similarity=luck.uniform(90, 100),
        smile=luck.uniform(0, 100),
        emotion=Emotion.HAPPY,
        liveness="neutral-then-smile",
        recognizer="embedded",
        model="sface-2021dec",
        calls=number % 4,
        cost=0.001 * (number % 4),
        stages_ms={"first_face": luck.uniform(100, 900), "identified": luck.uniform(900, 1500)},
        detail={"frames": {"clear": number % 40}, "challenge": "passed"},
    )


def live(door: Door) -> tuple[list[str], int]:
    """Write a door's attempts and deliver them beside that; return their ids, and how often a delivery failed."""
    ids: list[str] = []
    done = threading.Event()
    failures: list[str] = []
    errors: list[BaseException] = []

    def write() -> None:
        luck = random.Random(door.seed)
        try:
            with closing(Spool.open(door.path, door.name, door.key)) as spool:
                for number in range(door.attempts):
                    attempt = some_attempt(door.name, number, luck)
                    spool.open_attempt(Attempt(attempt.id, door.name, attempt.trigger, attempt.opened_at))
                    spool.close_attempt(attempt)
                    ids.append(attempt.id)
        except BaseException as error:  # noqa: BLE001 -- told by the thread that waits for this one
            errors.append(error)
        finally:
            done.set()

    writer = threading.Thread(target=write, name=f"writer {door.name}")
    writer.start()
    try:
        deliver(door, done, failures)
    finally:
        writer.join(LONGEST_S)
    if errors:
        raise errors[0]
    return ids, len(failures)


def deliver(door: Door, done: threading.Event, failures: list[str]) -> None:
    """Deliver until everything was written and nothing waits; each failure is tried again."""
    luck, end = random.Random(-door.seed), time.monotonic() + LONGEST_S
    pause = threading.Event()
    with closing(Spool.open(door.path, door.name, door.key)) as spool, closing(door.link()) as link:
        outbox = spool.outbox()
        archive = Archive(link, door.name, outbox.record)
        tell: Tell = lambda kind, why, _: failures.append(f"{kind}: {why}")  # noqa: E731
        forwarder = Forwarder(outbox, archive, SystemClock(), tell, batch=door.batch)
        greeted = False
        while time.monotonic() < end:
            last = done.is_set()
            try:
                if not greeted:
                    archive.check(datetime.now(UTC))
                    forwarder.greet()
                    greeted = True
                if not forwarder.turn() and last and not outbox.backlog().rows:
                    return
            except RecordsError as error:
                failures.append(str(error))
                greeted = False
                pause.wait(RETRY_S * luck.random())
    raise AssertionError(f"{door.name}: not delivered within {LONGEST_S} s; the last failure was {failures[-1:]}")


def run(
    plan: Plan, server: MariaDB, central: Central, folder: Path, *, processes: bool = False, say: Callable[[str], None]
) -> Verdict:
    """Let all doors write and deliver while the server is killed, and hold what arrived to what was written."""
    verdict, began = Verdict(), time.monotonic()
    with Proxy(server.port) as proxy, _pool(plan, processes) as pool:
        doors = [some_door(number, plan, central, folder, proxy.address) for number in range(plan.doors)]
        proxy.swallow_commit_answers(plan.lost, random.Random(plan.seed))
        lives = [pool.submit(live, door) for door in doors]
        verdict.kills = _kill_now_and_then(plan, server, central, lives, say)
        written = [life.result(LONGEST_S) for life in lives]
        verdict.lost_answers = proxy.swallowed
    verdict.failures = sum(failures for _, failures in written)
    verdict.took_s = time.monotonic() - began
    judge(doors, [ids for ids, _ in written], server, central, verdict)
    return verdict


def judge(
    doors: Sequence[Door], written: Sequence[Sequence[str]], server: MariaDB, central: Central, verdict: Verdict
) -> None:
    """Compare what is in the central database with what each door wrote, and walk each chain over both ends."""
    rows = server.run("SELECT id, door FROM attempts", database=central.database)
    held = {door.name: {row[0] for row in rows if row[1] == door.name} for door in doors}
    verdict.written = sum(len(ids) for ids in written)
    verdict.arrived = len(rows)
    for door, ids in zip(doors, written, strict=True):
        missing, strange = set(ids) - held[door.name], held[door.name] - set(ids)
        if missing or strange:
            verdict.faults.append(f"{door.name}: {len(missing)} attempts missing, {len(strange)} that it never wrote")
        direct = replace(door, address=server.address)
        with closing(Spool.open(door.path, door.name, door.key)) as spool, closing(direct.link(60.0)) as link:
            outbox = spool.outbox()
            if aside := outbox.backlog().set_aside:
                verdict.faults.append(f"{door.name}: {len(aside)} rows set aside, such as: {aside[0].error}")
            try:
                spool.compare(Ledger(link, door.name, outbox.record).links)
            except ChainBroken as error:
                verdict.faults.append(f"{door.name}: {error}")
            else:
                verdict.chains += 1


def _pool(plan: Plan, processes: bool) -> Executor:
    if processes:
        return ProcessPoolExecutor(plan.doors, mp_context=multiprocessing.get_context("spawn"))
    return ThreadPoolExecutor(plan.doors)


def some_door(number: int, plan: Plan, central: Central, folder: Path, address: str) -> Door:
    """Register a door and make its record."""
    name = f"door{number:02}"
    central.door(name).close()
    path, key = folder / f"{name}.db", secrets.token_bytes(32)
    Spool.create(path, name, key).close()
    login = Login(account_of(name, central.database), f"secret of {name}", central.database)
    return Door(name, path, key, address, login, plan.attempts, plan.seed * 1000 + number, plan.batch)


def _kill_now_and_then(
    plan: Plan, server: MariaDB, central: Central, lives: Sequence[Future[object]], say: Callable[[str], None]
) -> int:
    """Kill and start the server at random moments while the doors live; return how often it was killed.

    The moments follow what has arrived, so that a fast machine sees as many kills as a slow one.
    """
    luck, pause = random.Random(plan.seed), threading.Event()
    moments = sorted(luck.uniform(0.02, 0.95) * plan.total for _ in range(plan.kills))
    killed = 0
    while not all(life.done() for life in lives) and killed < plan.kills:
        pause.wait(0.05)
        arrived = _arrived(server, central)
        if arrived >= moments[killed]:
            pause.wait(luck.uniform(0, 0.05))
            server.kill()
            killed += 1
            say(f"kill {killed} of {plan.kills}, at {arrived} of {plan.total} attempts")
            pause.wait(luck.uniform(0.05, 0.5))
            server.start()
        if any(life.done() and life.exception() for life in lives):
            break
    return killed


def _arrived(server: MariaDB, central: Central) -> int:
    return int(server.run("SELECT COUNT(*) FROM attempts", database=central.database)[0][0])
