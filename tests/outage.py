"""Many doors that deliver to one real server while it is killed and answers are lost, and a verdict on what arrived.

The doors are threads, or processes where there are many: the engine of `tests.test_outage` and `tests.bench_records`.
"""

from __future__ import annotations

import multiprocessing
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
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

RETRY_S = 0.05
"""Seconds that a door waits after a failure, at the most: a test's outages are shorter than a real one's."""

IDLE_S = 0.02
"""Seconds that a door waits where nothing is to be delivered: the writers need the processors."""

LOOK_S = 0.2
"""Seconds between two looks at how much has arrived, since to count the rows takes time of its own."""


@dataclass(frozen=True)
class Plan:
    """How many doors write how many attempts each, how often the server is killed, and the share of lost answers."""

    doors: int
    attempts: int
    kills: int
    lost: float
    seed: int = 1
    batch: int = 25
    longest_s: float = 60.0
    """Seconds after which the run is given up."""

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
    longest_s: float

    def link(self, timeout_s: float = 5.0) -> Link:
        return Link([Address.parse(self.address)], self.login, connect_s=5.0, timeout_s=timeout_s)


@dataclass
class Life:
    """What a door has done: the ids it wrote, what went wrong on the way, what it was alarmed by, and its times."""

    ids: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    wrote_s: float = 0.0


@dataclass
class Verdict:
    """What came of a run: faults in words, none where all is well."""

    written: int = 0
    arrived: int = 0
    chains: int = 0
    kills: int = 0
    lost_answers: int = 0
    failures: int = 0
    wrote_s: float = 0.0
    delivered_s: float = 0.0
    judged_s: float = 0.0
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


def live(door: Door) -> Life:
    """Write a door's attempts and deliver them beside that, and tell how it went."""
    life, done = Life(), threading.Event()
    errors: list[BaseException] = []

    def write() -> None:
        try:
            _write(door, life)
        except BaseException as error:  # noqa: BLE001 -- told by the thread that waits for this one
            errors.append(error)
        finally:
            done.set()

    writer = threading.Thread(target=write, name=f"writer {door.name}")
    writer.start()
    try:
        _deliver(door, done, life)
    finally:
        writer.join()  # it waits for nobody
    if errors:
        raise errors[0]
    return life


def _write(door: Door, life: Life) -> None:
    luck, began = random.Random(door.seed), time.monotonic()
    with closing(Spool.open(door.path, door.name, door.key)) as spool:
        for number in range(door.attempts):
            attempt = some_attempt(door.name, number, luck)
            spool.open_attempt(Attempt(attempt.id, door.name, attempt.trigger, attempt.opened_at))
            spool.close_attempt(attempt)
            life.ids.append(attempt.id)
    life.wrote_s = time.monotonic() - began


def _deliver(door: Door, done: threading.Event, life: Life) -> None:
    """Deliver until everything was written and nothing waits; each failure is tried again."""
    luck, end = random.Random(-door.seed), time.monotonic() + door.longest_s
    pause, greeted = threading.Event(), False
    with closing(Spool.open(door.path, door.name, door.key)) as spool, closing(door.link()) as link:
        outbox = spool.outbox()
        archive = Archive(link, door.name, outbox.record)
        tell: Tell = lambda kind, why, _: life.alarms.append(f"{kind}: {why}")  # noqa: E731
        forwarder = Forwarder(outbox, archive, SystemClock(), tell, batch=door.batch)
        while time.monotonic() < end:
            last = done.is_set()
            try:
                if not greeted:
                    archive.check(datetime.now(UTC))
                    forwarder.greet()
                    greeted = True
                if forwarder.turn():
                    continue
            except RecordsError as error:
                life.failures.append(str(error))
                greeted = False
                pause.wait(RETRY_S * luck.random())
                continue
            if last and not outbox.backlog().rows:
                return
            pause.wait(IDLE_S)
    raise AssertionError(
        f"{door.name}: not delivered within {door.longest_s} s; the last failure: {life.failures[-1:]}"
    )


def run(
    plan: Plan, server: MariaDB, central: Central, folder: Path, *, processes: bool = False, say: Callable[[str], None]
) -> Verdict:
    """Let all doors write and deliver while the server is killed, and hold what arrived to what was written."""
    with Proxy(server.port) as proxy, _pool(plan, processes) as pool:
        doors = [some_door(number, plan, central, folder, proxy.address) for number in range(plan.doors)]
        proxy.swallow_commit_answers(plan.lost, random.Random(plan.seed))
        began = time.monotonic()
        running = [pool.submit(live, door) for door in doors]
        kills = _kill_now_and_then(plan, server, central, running, say)
        lives = [each.result(plan.longest_s) for each in running]
        verdict = Verdict(kills=kills, lost_answers=proxy.swallowed, delivered_s=time.monotonic() - began)
    verdict.failures = sum(len(life.failures) for life in lives)
    verdict.wrote_s = max(life.wrote_s for life in lives)
    judge(doors, lives, server, central, verdict)
    return verdict


def judge(doors: Sequence[Door], lives: Sequence[Life], server: MariaDB, central: Central, verdict: Verdict) -> None:
    """Compare what is in the central database with what each door wrote, and walk each chain over both ends."""
    began = time.monotonic()
    held: dict[str, set[str]] = {door.name: set() for door in doors}
    for row_id, name in server.run("SELECT id, door FROM attempts", database=central.database):
        held.setdefault(name, set()).add(row_id)
        verdict.arrived += 1
    verdict.written = sum(len(life.ids) for life in lives)
    verdict.faults += [f"{name}: no door of ours" for name in held.keys() - {door.name for door in doors}]
    for door, life in zip(doors, lives, strict=True):
        verdict.faults += [f"{door.name}: {fault}" for fault in _faults(door, life, held[door.name], server)]
    verdict.chains = len(doors) - len({fault.partition(":")[0] for fault in verdict.faults if ": chain: " in fault})
    verdict.judged_s = time.monotonic() - began


def _faults(door: Door, life: Life, held: set[str], server: MariaDB) -> Iterator[str]:
    """Yield what is wrong with a door, in words."""
    missing, strange = set(life.ids) - held, held - set(life.ids)
    if missing or strange:
        yield f"{len(missing)} attempts missing, {len(strange)} that it never wrote"
    yield from life.alarms
    direct = replace(door, address=server.address)
    with closing(Spool.open(door.path, door.name, door.key)) as spool, closing(direct.link(60.0)) as link:
        outbox = spool.outbox()
        if aside := outbox.backlog().set_aside:
            yield f"{len(aside)} rows set aside, such as: {aside[0].error}"
        try:
            spool.compare(Ledger(link, door.name, outbox.record).links)
        except ChainBroken as error:
            yield f"chain: {error}"


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
    seed = plan.seed * 1000 + number
    return Door(name, path, key, address, login, plan.attempts, seed, plan.batch, plan.longest_s)


def _kill_now_and_then(
    plan: Plan, server: MariaDB, central: Central, lives: Sequence[Future[Life]], say: Callable[[str], None]
) -> int:
    """Kill and start the server at random moments while the doors live; return how often it was killed.

    The moments follow what has arrived, so that a fast machine sees as many kills as a slow one.
    """
    luck, pause, end = random.Random(plan.seed), threading.Event(), time.monotonic() + plan.longest_s
    look_s = min(LOOK_S, plan.total / 50_000)
    moments = sorted(luck.uniform(0.02, 0.95) * plan.total for _ in range(plan.kills))
    killed = 0
    while not all(life.done() for life in lives) and killed < plan.kills and time.monotonic() < end:
        pause.wait(look_s)
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
