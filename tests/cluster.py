"""Doors that know all nodes of a Galera cluster, while the nodes fail one after the other: `python -m tests.cluster`.

It starts three nodes of its own, and ends with 1 where a row was lost or doubled, or another rule was broken.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymysql
import structlog

from smileaccess.clock import SystemClock
from smileaccess.errors import ChainBroken, RecordsError, RecordsFailed, ShutOut
from smileaccess.fleet import Fleet
from smileaccess.keys import ALL_KEYS, KeyRing, make_keys
from smileaccess.membership import new_member_id, sign
from smileaccess.model import Attempt, Consent, DoorEvent, Member, MemberStatus, Outcome, Reason, Trigger, uuid7
from smileaccess.records.mysql import doors, migrations
from smileaccess.records.mysql.archive import Archive
from smileaccess.records.mysql.ledger import Ledger
from smileaccess.records.mysql.link import Address, Link, Login
from smileaccess.records.mysql.people import CentralMembers
from smileaccess.settings import Settings, parse
from smileaccess.wiring import open_spool
from tests.doors import eventually
from tests.galera import Cluster, Node, clustered

PROGRAMS = Path.home() / ".cache" / "smileaccess-galera"
DOORS = ("front", "side", "yard", "roof")
LOST = "lost"
DATABASES = ("sa_1", "sa_2", "sa_3")
"""In each of them the tables are made from two nodes at once; the doors use the last one."""
PACE_S = 0.04
"""Between two attempts of a door."""
STEADY = 40
"""Attempts that each door delivers after something has happened, before the next thing does."""
CONNECT_S, TIMEOUT_S = 2.0, 3.0
LONGEST_S = 15.0
"""How long an attempt may wait to be delivered while one node is out: to time out, to try the next, and to wait."""
ROUNDS = 20
NOT_READY = 1047
TABLES = ("attempts", "door_events", "chain_heads", "members", "faces", "confirmations", "contacts", "doors")

SETTINGS = """\
[door]
name = "{name}"
[records]
database = "{folder}/{name}.db"
[keys]
directory = "{folder}/keys"
[mysql]
addresses = [{addresses}]
database = "{database}"
user = "d_{name}"
password_file = "{folder}/{name}.pw"
connect_s = {connect_s}
timeout_s = {timeout_s}
sync_s = 0.5
"""


def say(line: str = "") -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@dataclass
class Notes:
    """What was seen: faults in words, and the doors' log."""

    faults: list[str] = field(default_factory=list)
    logged: Counter[str] = field(default_factory=Counter)
    names: Mapping[str, str] = field(default_factory=dict)
    scene: str = ""

    def check(self, rule: str, kept: object) -> None:
        say(f"  {'ok   ' if kept else 'BROKEN'} {rule}")
        if not kept:
            self.faults.append(rule)

    def log(self, _logger: object, _method: str, event: Mapping[str, Any]) -> Any:
        """Count what the doors log, and print nothing of it."""
        text = f"{event['event']}: {event['error']}" if "error" in event else str(event["event"])
        if "exc_info" in event:
            self.faults.append(f"{text}: {sys.exc_info()[1]!r}")
        for address, name in self.names.items():
            text = text.replace(address, name)
        self.logged[text] += 1
        raise structlog.DropEvent


class Door:
    """A door as the daemon wires it, and somebody who rings at it without an end."""

    def __init__(self, settings: Settings, keys: KeyRing, notes: Notes) -> None:
        self.settings, self.keys, self.notes = settings, keys, notes
        self.name = settings.door.name
        self.written = 0
        self.delivered = 0  # attempts and events of which the database has said that it has them
        self.waited: dict[str, float] = {}
        self.told: list[str] = []
        self._ended = threading.Event()
        with closing(self.spool()):
            pass
        self.fleet = Fleet(settings, keys, SystemClock(), self._tell, lambda: self.told.append("crashed"))
        self._thread = threading.Thread(target=self._ring, name=self.name, daemon=True)

    def spool(self) -> Any:
        return open_spool(self.settings, self.keys)

    def start(self) -> None:
        self.fleet.start()
        self._thread.start()

    def rest(self) -> None:
        """Let nobody ring any more."""
        self._ended.set()
        self._thread.join()

    def _tell(self, kind: str, why: str, _detail: Mapping[str, Any]) -> None:
        self.told.append(f"{kind}: {why}")

    def _ring(self) -> None:
        with closing(self.spool()) as spool:
            outbox = spool.outbox()
            while not self._ended.wait(PACE_S):
                self._attempt(spool)
                backlog = outbox.backlog()
                self.delivered = backlog.through
                if backlog.oldest is not None:
                    waited = (datetime.now(UTC) - backlog.oldest).total_seconds()
                    scene = self.notes.scene
                    self.waited[scene] = max(waited, self.waited.get(scene, 0.0))

    def _attempt(self, spool: Any) -> None:
        now = datetime.now(UTC)
        opened = Attempt(uuid7(), self.name, Trigger.BUTTON, now)
        spool.open_attempt(opened)
        spool.close_attempt(replace(opened, closed_at=datetime.now(UTC), outcome=Outcome.DENIED, reason=Reason.NO_FACE))
        self.written += 1


class Office:
    """Who administers the cluster and enrolls people, over whichever node is named."""

    def __init__(self, cluster: Cluster, keys: KeyRing, database: str) -> None:
        self.cluster, self.keys, self.database = cluster, keys, database

    def link(self, node: Node, user: str = "root", password: str = "") -> Link:
        login = Login(user, password, self.database)
        return Link([Address.parse(node.address)], login, connect_s=CONNECT_S, timeout_s=TIMEOUT_S)

    @contextmanager
    def at(self, node: Node) -> Iterator[Link]:
        with closing(self.link(node)) as link:
            yield link

    def put(self, node: Node, member: Member, kind: str) -> None:
        event = DoorEvent(uuid7(), "office", datetime.now(UTC), kind, "office", "", {"member": member.id})
        with self.at(node) as link:
            CentralMembers(link).put_member(sign(member, self.keys.enroller), event)


def somebody() -> Member:
    now = datetime.now(UTC)
    return Member(new_member_id(), 1, "Ann", MemberStatus.ACTIVE, now, Consent(now, "1"))


# What happens to the nodes


@dataclass
class Show:
    """The cluster, its doors, and what is done to them."""

    cluster: Cluster
    office: Office
    doors: list[Door]
    notes: Notes

    def carry_on(self) -> None:
        """Wait until every door has delivered so many attempts from now on."""
        goal = {door.name: door.delivered + 2 * STEADY for door in self.doors}
        eventually(lambda: all(door.delivered >= goal[door.name] for door in self.doors))

    @contextmanager
    def scene(self, name: str, rule: str = "every door went on") -> Iterator[None]:
        say(f"\n{name}")
        self.notes.scene = name
        try:
            yield
            self.carry_on()
        except (AssertionError, RecordsError, pymysql.Error) as error:
            say(f"  {error}")
            self.notes.check(rule, kept=False)
        else:
            longest = max(door.waited.get(name, 0.0) for door in self.doors)
            self.notes.check(f"{rule}; no attempt waited longer than {longest:.1f} s", longest < LONGEST_S)

    def on(self, node: Node) -> list[str]:
        """Return which doors are connected to a node."""
        users = {row[1] for row in node.run("SHOW PROCESSLIST")}
        return [door.name for door in self.doors if f"d_{door.name}" in users]

    def busiest(self) -> Node:
        return max(self.cluster.nodes, key=lambda node: len(self.on(node)))

    def hit(self, node: Node, how: str) -> None:
        here = self.on(node)
        say(f"  node{node.number}, with {', '.join(here) or 'no door'}, {how}")
        self.notes.check("it had a door at least", here)

    def killed(self, node: Node, *, emptied: bool) -> None:
        with self.scene(f"node{node.number} is killed" + (" and its disk lost" if emptied else "")):
            self.hit(node, "is killed")
            node.kill()
            self.carry_on()
            began, sizes = time.monotonic(), self.cluster.logged()
            node.join(nothing_left=emptied)
            eventually(self.cluster.whole)
            way = self.cluster.came_back(sizes)
            say(f"  it is back after {time.monotonic() - began:.1f} s, by {way}")
            self.notes.check("it came back as it should", way == ("SST" if emptied else "IST"))

    def read_only(self) -> None:
        node = self.busiest()
        with self.scene(f"node{node.number} is made read-only"):
            self.hit(node, "is made read-only")
            node.run("SET GLOBAL read_only = ON")
            self.carry_on()
            eventually(lambda: not self.on(node))
            node.run("SET GLOBAL read_only = OFF")

    def frozen(self) -> None:
        node = self.busiest()
        with self.scene(f"node{node.number} stands still (SIGSTOP)"):
            self.hit(node, "stands still")
            node.freeze()
            try:
                self.carry_on()
            finally:
                node.thaw()
            eventually(self.cluster.whole)

    def cut_off(self) -> None:
        node = self.busiest()
        with self.scene(f"node{node.number} is cut off from the majority"):
            self.hit(node, "is cut off")
            node.isolate(on=True)
            try:
                eventually(lambda: node.status("wsrep_cluster_status") != "Primary")
                self.notes.check("it answers nobody (error 1047)", self._refusal(node) == NOT_READY)
                self.carry_on()
            finally:
                node.isolate(on=False)
            eventually(self.cluster.whole)

    def _refusal(self, node: Node) -> int:
        """Return the number with which a node refuses to be asked, 0 where it answers."""
        with self.office.at(node) as link:
            try:
                link.one("SELECT 1")
            except RecordsError as error:
                return error.code
        return 0

    def followed(self, node: Node, member: Member, kind: str) -> None:
        """Change a member through one node; every door must take it over and say so at another."""
        say(f"\n{kind} through node{node.number}")
        began = time.monotonic()
        self.office.put(node, member, kind)
        other = self.cluster.nodes[node.number % len(self.cluster.nodes)]
        with self.office.at(other) as link:
            central, all_doors = CentralMembers(link), {door.name for door in self.doors}
            try:
                eventually(lambda: central.confirmed(member.id, member.version).keys() == all_doors)
            except AssertionError:
                self.notes.check(f"{kind} reached every door", kept=False)
                return
        took = time.monotonic() - began
        held = [self._held(door, member.id) for door in self.doors]
        self.notes.check(f"{kind} reached every door, within {took:.1f} s", held == [member.version] * len(held))

    def _held(self, door: Door, member_id: str) -> int:
        with closing(door.spool()) as spool:
            return next((each.version for each in spool.signed_members() if each.id == member_id), 0)


def migrated(cluster: Cluster, keys: KeyRing, notes: Notes) -> None:
    """Make the tables from two nodes at once, in one database after the other."""
    say("\ntables are made from two nodes at once")
    for database in DATABASES:
        cluster.nodes[0].run(f"CREATE DATABASE {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        eventually(lambda name=database: all(_has(node, name) for node in cluster.nodes))  # type: ignore[misc]
        office, start = Office(cluster, keys, database), threading.Barrier(2)

        def take(node: Node, office: Office = office, start: threading.Barrier = start) -> int:
            with office.at(node) as link:
                link.one("SELECT 1")
                start.wait()
                return migrations.migrate(link)

        with ThreadPoolExecutor(2) as pool:
            taken = list(pool.map(take, cluster.nodes[:2]))
        for node in cluster.nodes:
            with office.at(node) as link:
                eventually(lambda link=link: _checked(link))  # type: ignore[misc]
        known = len(migrations.steps())
        notes.check(f"{database}: {known} steps; node1 took {taken[0]}, node2 {taken[1]}", sum(taken) >= known)


def _has(node: Node, database: str) -> bool:
    return bool(node.run("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", database))


def _checked(link: Link) -> bool:
    with suppress(RecordsError):
        migrations.check(link)
        return True
    return False


def raced(show: Show, member: Member) -> Member:
    """Change one member from two nodes at once, again and again: one of both wins, at all nodes."""
    say("\none member is changed from two nodes at once")
    won: Counter[int] = Counter()
    lost: Counter[str] = Counter()
    whole, agreed = 0, 0
    for _ in range(ROUNDS):
        start = threading.Barrier(2)
        versions = [replace(member, version=member.version + 1, name=f"Ann {n}") for n in (1, 2)]

        def change(number: int, start: threading.Barrier = start, versions: Sequence[Member] = versions) -> str:
            start.wait()
            try:
                show.office.put(show.cluster.nodes[number], versions[number], "member_changed")
            except RecordsError as error:
                return f"{type(error).__name__} {error.code}"
            return ""

        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(change, range(2)))
        winners = [number for number, told in enumerate(results) if not told]
        whole += len(winners) == 1
        lost.update(told for told in results if told)
        member = versions[winners[0]] if winners else member
        won.update(winners)
        agreed += eventually(lambda wanted=member: _agreed(show, wanted))  # type: ignore[misc]
    told = ", ".join(f"{what}: {count}" for what, count in lost.items())
    say(f"  node1 won {won[0]}, node2 {won[1]}; the others were told {told}")
    show.notes.check(f"{ROUNDS} times just one won", whole == ROUNDS)
    show.notes.check("all nodes hold what the winner wrote", agreed == ROUNDS)
    return member


def _agreed(show: Show, wanted: Member) -> bool:
    sql = "SELECT version, name FROM members WHERE id = %s"
    found = [node.run(sql, wanted.id, database=show.office.database) for node in show.cluster.nodes]
    return found == [[(wanted.version, wanted.name)]] * len(found)


def revoked(show: Show) -> None:
    """Revoke a door at one node: it must be shut out at all, over old and new connections."""
    say(f"\ndoor {LOST} is revoked through node2")
    with ExitStack() as stack:
        opened, fresh = (
            [
                Archive(stack.enter_context(closing(show.office.link(node, f"d_{LOST}", "pw"))), LOST, "0" * 16)
                for node in show.cluster.nodes
            ]
            for _ in range(2)
        )
        now = datetime.now(UTC)
        before = [_shut_out(archive, now) for archive in opened]
        show.notes.check("before, every node let it in", not any(before))
        with show.office.at(show.cluster.nodes[1]) as link:
            doors.revoke(link, LOST, now, "lost")
        began = time.monotonic()
        ends: list[Callable[[], bool]] = [
            lambda: all(_shut_out(archive, datetime.now(UTC)) for archive in opened),
            lambda: all(_shut_out(archive, datetime.now(UTC)) for archive in fresh),
        ]
        kept = [bool(eventually(end)) for end in ends]
        took = time.monotonic() - began
        show.notes.check(f"within {took:.1f} s no node let it in, over old and new connections", all(kept))


def _shut_out(archive: Archive, now: datetime) -> bool:
    try:
        archive.check(now)
    except ShutOut:
        return True
    except RecordsFailed:  # the account is there, its rights not yet
        return False
    return False


# What is found at the end


def compared(show: Show) -> int:
    """Hold everything against everything; return how many attempts arrived."""
    say("\nat the end")
    check, office = show.notes.check, show.office
    eventually(lambda: len({_digest(node, office.database) for node in show.cluster.nodes}) == 1)
    check("all nodes hold the same rows", kept=True)
    arrived = 0
    for door in show.doors:
        with closing(door.spool()) as spool:
            backlog = spool.outbox().backlog()
            check(f"{door.name}: nothing waits, nothing is set aside", (backlog.rows, backlog.set_aside) == (0, ()))
            check(f"{door.name}: nothing went on record as an alarm ({', '.join(door.told)})", not door.told)
            check(f"{door.name}: its own chain is whole", spool.verify() > 0)
            here = {attempt.id for attempt in spool.attempts()}
            for node in show.cluster.nodes:
                sql = "SELECT id FROM attempts WHERE door = %s"
                there = [row[0] for row in node.run(sql, door.name, database=office.database)]
                same = len(there) == len(here) == door.written and set(there) == here
                check(f"{door.name}: {len(there)} attempts on node{node.number}, none lost, none twice", same)
                check(f"{door.name}: the chain is whole on node{node.number}", _whole(spool, office, node, door.name))
            arrived += len(here)
    return arrived


def _digest(node: Node, database: str) -> str:
    rows = {table: sorted(map(repr, node.run(f"SELECT * FROM {table}", database=database))) for table in TABLES}
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def _whole(spool: Any, office: Office, node: Node, name: str) -> bool:
    with office.at(node) as link:
        try:
            found = spool.compare(Ledger(link, name, spool.outbox().record).links)
        except ChainBroken as error:
            say(f"  {error}")
            return False
    return bool(found.both == found.links and not found.only_here and not found.only_there)


def table(show: Show) -> None:
    """Print how long each door was without a server, scene by scene."""
    say("\nlongest wait of an attempt to be delivered, in seconds")
    scenes = [name for name in dict.fromkeys(name for door in show.doors for name in door.waited) if name]
    say(f"  {'':40}" + "".join(f"{door.name:>8}" for door in show.doors))
    for scene in scenes:
        say(f"  {scene:40}" + "".join(f"{door.waited.get(scene, 0.0):8.1f}" for door in show.doors))


def counters(show: Show) -> None:
    say("\nwhat the doors' log said")
    for text, count in sorted(_shortened(show.notes.logged).items()):
        say(f"  {count:>4} {text}")
    for node in show.cluster.nodes:
        conflicts = node.status("wsrep_local_cert_failures"), node.status("wsrep_local_bf_aborts")
        say(f"  node{node.number} since its last start: {conflicts[0]} certification conflicts, {conflicts[1]} aborts")


def _shortened(logged: Mapping[str, int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for text, count in logged.items():
        found[re.sub(r"[0-9a-f-]{36}|\d+\.\d+ s", "...", text)[:230]] += count
    return found


# The whole


def build(cluster: Cluster, keys: KeyRing, folder: Path, stack: ExitStack, notes: Notes) -> Show:
    """Register the doors through node1 and start them, each of which begins with another node."""
    office = Office(cluster, keys, DATABASES[-1])
    with office.at(cluster.nodes[0]) as admin:
        for name in (*DOORS, LOST):
            doors.register(admin, name, f"d_{name}", "pw", datetime.now(UTC))
    made = []
    for number, name in enumerate(DOORS):
        (folder / f"{name}.pw").write_text("pw")
        (folder / f"{name}.pw").chmod(0o600)
        first = number % len(cluster.nodes)
        rotated = [*cluster.addresses[first:], *cluster.addresses[:first]]
        told = ", ".join(f'"{each}"' for each in rotated)
        text = SETTINGS.format(
            name=name, folder=folder, addresses=told, database=office.database, connect_s=CONNECT_S, timeout_s=TIMEOUT_S
        )
        door = Door(parse(text), keys, notes)
        stack.callback(door.fleet.close, 10.0)
        stack.callback(door.rest)
        made.append(door)
    for door in made:
        door.start()
    return Show(cluster, office, made, notes)


def play(show: Show) -> None:
    """Let happen, one after the other, what a cluster is for."""
    nodes = show.cluster.nodes
    with show.scene("all is well"):
        pass
    member = somebody()
    show.followed(nodes[1], member, "member_enrolled")
    for node in nodes:
        show.killed(node, emptied=node.number == 2)
    show.read_only()
    show.frozen()
    show.cut_off()
    member = raced(show, member)
    member = replace(member, version=member.version + 1, status=MemberStatus.DISABLED)
    show.followed(nodes[2], member, "member_disabled")
    revoked(show)


def finish(show: Show) -> int:
    """Let everything be delivered, end the doors, and return how many attempts arrived."""
    for door in show.doors:
        door.rest()
    eventually(lambda: all(door.fleet.summary()["waiting"] == 0 for door in show.doors))
    for door in show.doors:
        show.notes.check(f"{door.name}: its liaison ends in time", door.fleet.close(10.0))
    arrived = compared(show)
    table(show)
    counters(show)
    return arrived


def run(programs: Path) -> int:
    """Show it all; return the exit code."""
    notes, began = Notes(), time.monotonic()
    structlog.configure(processors=[notes.log])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sa-c-")))
        make_keys(folder / "keys")
        keys = KeyRing.load(folder / "keys", need=ALL_KEYS)
        say("three nodes are started")
        cluster = stack.enter_context(clustered(programs))
        notes.names = {node.address: f"node{node.number}" for node in cluster.nodes}
        say(f"  they are one cluster after {time.monotonic() - began:.0f} s")
        try:
            migrated(cluster, keys, notes)
            show = build(cluster, keys, folder, stack, notes)
            play(show)
            arrived = finish(show)
            say(f"\n{arrived} attempts of {len(DOORS)} doors in {time.monotonic() - began:.0f} s")
        except (AssertionError, RecordsError, pymysql.Error) as error:
            notes.check(f"all is shown: {error}", kept=False)
    for fault in notes.faults:
        say(f"BROKEN: {fault}")
    say("every rule was kept" if not notes.faults else f"{len(notes.faults)} rules were broken")
    return 1 if notes.faults else 0


def _terminated(_number: int, _frame: object) -> None:
    sys.exit("ended before the end")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)  # so that the servers end too
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="?", type=Path, default=PROGRAMS, help="where `make galera` put Galera")
    sys.exit(run(parser.parse_args().programs))
