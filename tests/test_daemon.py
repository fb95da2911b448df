"""The daemon as a real process: its socket, its signals, its record, and what a kill leaves behind."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import cv2
import pytest

from smileaccess.control import ControlClient
from smileaccess.demo.scenes import FACES, MEMBER_PHOTOGRAPH, build_scenes
from smileaccess.errors import ControlError, ControlUnavailable
from smileaccess.keys import ALL_KEYS, KeyRing, make_keys
from smileaccess.membership import new_member_id, new_template_id, seal_template, sign
from smileaccess.model import (
    Attempt,
    Consent,
    DoorEvent,
    Member,
    MemberStatus,
    Outcome,
    Reason,
    Template,
    Trigger,
    uuid7,
)
from smileaccess.records.spool import Spool
from smileaccess.vision.eyes import LocalEyes
from tests.fakes_vision import framed, photograph

PATIENCE_S = 30.0
"""How long anything may take before a test fails: machines that run tests are busy."""

TICK_S = 0.05

Found = TypeVar("Found")


def eventually(look: Callable[[], Found | None]) -> Found:
    """Return what `look` finds, looking again and again until there is something."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / TICK_S)):
        if found := look():
            return found
        pause.wait(TICK_S)
    raise AssertionError(f"nothing came of {look} within {PATIENCE_S} s")


# What stands before the door, made once


@dataclass(frozen=True)
class Reel:
    """Folders of pictures as the camera would see them, and the member's embedding."""

    smiling: Path
    neutral: Path
    embedding: Any
    model: str


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Reel:
    folders = {True: tmp_path_factory.mktemp("smiling"), False: tmp_path_factory.mktemp("neutral")}
    with closing(LocalEyes()) as eyes:
        clip = build_scenes(eyes)[0].clip
        for smiling, folder in folders.items():
            for number in range(8):
                pixels = clip.picture(1.0 + number / 15, 2.0 if smiling else None)
                assert cv2.imwrite(str(folder / f"{number}.png"), pixels)
        frame = framed(photograph(MEMBER_PHOTOGRAPH.stem))
        embedding = eyes.embed(frame, eyes.look(frame).faces[0])
    return Reel(folders[True], folders[False], embedding, eyes.model)


SETTINGS = """\
[door]
name = "side"
unlock_s = 1.0
cool_down_s = 0.0
attempt_s = {attempt_s}

[camera]
kind = "reel"
path = "{camera}"

[panel]
kind = "silent"

[liveness]
mode = "{mode}"
answer_s = {answer_s}

[lockout]
free = 100

[records]
database = "{folder}/door.db"

[keys]
directory = "{folder}/keys"

[control]
socket = "{socket}"
"""


@dataclass
class House:
    """A door's folder, and the processes that run on it."""

    folder: Path
    socket: Path
    camera: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / "smileaccess.toml"

    def write_settings(self, mode: str = "smile", *, attempt_s: float = 10.0, answer_s: float = 4.0) -> None:
        told = SETTINGS.format(
            camera=self.camera,
            mode=mode,
            folder=self.folder,
            socket=self.socket,
            attempt_s=attempt_s,
            answer_s=answer_s,
        )
        self.config.write_text(told, encoding="utf-8")

    @property
    def keys(self) -> KeyRing:
        return KeyRing.load(self.folder / "keys", need=ALL_KEYS)

    def spool(self) -> closing[Spool]:
        return closing(Spool.open(self.folder / "door.db", "side", self.keys.chain, must_exist=False))

    def enroll(self, reel: Reel) -> str:
        """Put the member of the pictures on the list, as the enroller signs him; return the id."""
        keys, now = self.keys, datetime.now(UTC)
        member_id, template_id = new_member_id(), new_template_id()
        sealed = seal_template(reel.embedding, member_id, template_id, reel.model, keys.templates)
        template = Template(template_id, reel.model, sealed, now)
        member = Member(member_id, 1, "Ann", MemberStatus.ACTIVE, now, Consent(now, "1"), templates=(template,))
        with self.spool() as spool:
            spool.put_member(
                sign(member, keys.enroller), DoorEvent(uuid7(), "side", now, "member_enrolled", "test", "")
            )
        return member_id

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "smileaccess", "--config", str(self.config), *map(str, arguments)]

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command of the program to its end."""
        return subprocess.run(
            self.command(*arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S * 2,
            check=False,
        )

    def start(self) -> subprocess.Popen[bytes]:
        """Start the daemon and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(self.command("run"), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes.append(process)

        def answers() -> bool:
            assert process.poll() is None, self.log_text()
            with suppress(ControlUnavailable):
                return bool(self.status())
            return False

        eventually(answers)
        return process

    def client(self) -> ControlClient:
        return ControlClient(self.socket)

    def status(self) -> dict[str, Any]:
        with self.client() as client:
            return client.status("test")

    def begin(self) -> str:
        """Start an attempt, once the door is free; return its id when it is on record."""

        def begun() -> str | None:
            with self.client() as client, suppress(ControlError):
                return client.attempt("test")
            return None

        attempt_id = eventually(begun)
        eventually(lambda: self.rows("SELECT id FROM attempts WHERE id = ?", attempt_id))
        return attempt_id

    def attempted(self) -> Attempt:
        """Make one attempt and return it as it stands on record once it has ended."""
        attempt_id = self.begin()
        eventually(lambda: self.rows("SELECT id FROM attempts WHERE id = ? AND closed_at > ''", attempt_id))
        with self.spool() as spool:
            return spool.attempt(attempt_id)

    def log_text(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the log's whole lines of one event."""
        lines = [json.loads(line) for line in self.log_text().splitlines(keepends=True) if line.endswith("}\n")]
        return [line for line in lines if line["event"] == event]

    def events(self) -> list[DoorEvent]:
        """Return what is on record beside the attempts, oldest first, without those of the tests' own questions."""
        with self.spool() as spool:
            return [event for event in reversed(list(spool.events())) if event.kind != "control_status"]

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "door.db")) as db:
            return db.execute(sql, values).fetchall()

    def outsider(self, sql: str, *values: Any) -> None:
        """Write past the program."""
        with closing(sqlite3.connect(self.folder / "door.db")) as db, db:
            db.execute(sql, values)

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., House]]:
    """Return what makes a house with keys and settings; its processes end with the module at the latest."""
    houses: list[House] = []
    with tempfile.TemporaryDirectory(prefix="smileaccess-") as sockets:  # short: a socket's path must be

        def make(camera: Path, **settings: Any) -> House:
            house = House(tmp_path_factory.mktemp("house"), Path(sockets) / f"{len(houses)}.sock", camera)
            houses.append(house)
            make_keys(house.folder / "keys")
            house.write_settings(**settings)
            return house

        yield make
        for house in houses:
            house.end()


def ended(attempt: Attempt) -> tuple[Outcome | None, Reason | None]:
    return attempt.outcome, attempt.reason


GRANTED = (Outcome.GRANTED, None)


def denied(reason: Reason) -> tuple[Outcome, Reason]:
    return Outcome.DENIED, reason


# A door that runs, before it a member who smiles


@pytest.fixture(scope="module")
def door(build: Callable[..., House], reel: Reel) -> House:
    """Return a running door whose one member stands before it, smiling; what a test changes it puts back."""
    house = build(reel.smiling)
    house.enroll(reel)
    house.start()
    return house


def test_a_member_is_granted_and_the_grant_is_on_record(door: House) -> None:
    """An attempt over the socket goes the whole way: camera, eyes, recognizer, policy, record, strike."""
    attempt = door.attempted()
    eventually(lambda: door.status()["strike"] == "energized")
    assert ended(attempt) == GRANTED
    assert (attempt.trigger, attempt.door, attempt.liveness) == (Trigger.OPERATOR, "side", "smile")
    told = [json.loads(line) for line in door.log_text().splitlines() if attempt.id in line]
    assert [(line["outcome"], line["member_id"]) for line in told] == [("granted", attempt.member_id)]
    eventually(lambda: door.status()["strike"] == "locked")


def test_an_unlock_moves_the_strike_and_is_on_record_with_who_and_why(door: House) -> None:
    """The strike is energized by an operator only with the record of it, and locks again by itself."""
    with door.client() as client:
        client.unlock("a parcel, seen at the window")
    assert door.status()["strike"] == "energized"
    unlocks = [(event.why, event.detail["uid"]) for event in door.events() if event.kind == "control_unlock"]
    assert unlocks == [("a parcel, seen at the window", os.geteuid())]
    eventually(lambda: door.status()["strike"] == "locked")


def test_a_change_by_the_command_line_is_seen_by_the_running_daemon(door: House) -> None:
    """Who is enrolled, disabled and enabled again by other processes counts at the door soon after."""
    assert door.status()["members"] == 1
    enrolled = door.run("enroll", "Bob", "--photo", FACES / "biden-neutral.jpg", "--consent")
    assert (enrolled.returncode, enrolled.stdout.count("enrolled Bob")) == (0, 1)
    eventually(lambda: door.status()["members"] == 2)
    assert door.run("members", "disable", "Ann").returncode == 0
    eventually(lambda: door.status()["members"] == 1)
    assert ended(door.attempted()) == denied(Reason.MEMBER_DISABLED)
    assert door.run("members", "enable", "Ann").returncode == 0
    eventually(lambda: door.status()["members"] == 2)
    assert ended(door.attempted()) == GRANTED


def test_attempts_do_not_load_the_members_anew(door: House) -> None:
    """The list is loaded when it has changed, not whenever something is put on record."""
    before = len(door.logged("members loaded"))
    for _ in range(2):
        assert ended(door.attempted()) == GRANTED
    assert door.run("members", "rename", "Ann", "Anna").returncode == 0
    eventually(lambda: len(door.logged("members loaded")) > before)
    assert door.run("members", "rename", "Anna", "Ann").returncode == 0
    eventually(lambda: len(door.logged("members loaded")) > before + 1)
    assert len(door.logged("members loaded")) == before + 2


def test_a_member_written_past_the_enroller_raises_an_alarm_and_is_nobody(door: House) -> None:
    """A row with a foreign signature is refused by the running door, once, and on record."""
    before = door.status()["members"]
    [(document,)] = door.rows("SELECT document FROM members ORDER BY id LIMIT 1")
    door.outsider("INSERT INTO members VALUES ('m_forged', 1, ?, ?)", document, b"\0" * 64)
    refusals = eventually(lambda: [event for event in door.events() if event.kind == "member_refused"])
    assert [event.detail["member"] for event in refusals] == ["m_forged"]
    assert door.status()["members"] == before
    door.outsider("DELETE FROM members WHERE id = 'm_forged'")


def test_hup_puts_changed_rules_in_force(door: House) -> None:
    """A good file counts from the next attempt on: here a smile must answer a cue."""
    reloads = len(door.logged("settings reloaded"))
    door.write_settings("neutral-then-smile")
    door.processes[-1].send_signal(signal.SIGHUP)
    eventually(lambda: len(door.logged("settings reloaded")) == reloads + 1)
    assert door.status()["liveness"] == "neutral-then-smile"
    assert ended(door.attempted()) == denied(Reason.NO_EXPRESSION_CHANGE)
    door.write_settings("smile")
    door.processes[-1].send_signal(signal.SIGHUP)
    eventually(lambda: door.status()["liveness"] == "smile")


def test_hup_with_a_bad_file_keeps_the_rules_and_says_what_is_wrong(door: House) -> None:
    """All problems are logged, and the door goes on as before."""
    door.config.write_text('[door]\nunlock_s = 0\n[liveness]\nmode = "none"\nmood = 1\n', encoding="utf-8")
    door.processes[-1].send_signal(signal.SIGHUP)
    told = eventually(lambda: door.logged("the settings were not reloaded; the old ones stay in force"))
    problems = told[-1]["problems"]
    assert len(problems) == 3
    assert problems[0] == "settings: [door] unlock_s = 0: must be between 1 and 30"
    assert ended(door.attempted()) == GRANTED
    door.write_settings("smile")


def test_hup_says_what_needs_a_restart(door: House) -> None:
    """A changed database is not taken over under way, nor emotions that no network was loaded for, which is said."""
    text = door.config.read_text(encoding="utf-8")
    assert "[rules]" not in text
    changed = text.replace("/door.db", "/other.db") + '\n[rules]\nemotions = "off"\n'
    door.config.write_text(changed, encoding="utf-8")
    door.processes[-1].send_signal(signal.SIGHUP)
    told = eventually(lambda: door.logged("a change of these takes effect at the next start"))
    assert told[-1]["settings"] == ["records", "rules emotions"]
    door.config.write_text(text, encoding="utf-8")
    assert not (door.folder / "other.db").exists()


def test_the_record_of_a_running_door_verifies(door: House) -> None:
    """Another process checks the chain while the daemon writes it."""
    done = door.run("attempts", "verify", "--json")
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True)


# Start and stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_in_order_also_in_the_middle_of_an_attempt(
    build: Callable[..., House], reel: Reel, number: signal.Signals
) -> None:
    """Exit code 0, the socket gone, the attempt closed and the stop on record last."""
    house = build(reel.neutral, answer_s=15.0, attempt_s=60.0)
    house.enroll(reel)
    process = house.start()
    attempt_id = house.begin()
    process.send_signal(number)
    assert process.wait(PATIENCE_S) == 0
    assert not house.socket.exists()
    with house.spool() as spool:
        attempt = spool.attempt(attempt_id)
        assert spool.verify() > 0
    assert ended(attempt) == denied(Reason.INTERNAL_ERROR)
    assert [event.kind for event in house.events()] == ["member_enrolled", "start", "control_attempt", "stop"]


def test_a_second_term_does_not_cut_the_stop_short(build: Callable[..., House], reel: Reel) -> None:
    """A supervisor that insists gets the same orderly end."""
    house = build(reel.neutral)
    house.enroll(reel)
    process = house.start()
    process.send_signal(signal.SIGTERM)
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    assert house.events()[-1].kind == "stop"


@pytest.mark.parametrize("own", ["socket", "database"])
def test_a_second_daemon_is_refused_and_leaves_the_first_alone(
    build: Callable[..., House], reel: Reel, own: str
) -> None:
    """One door's database, or its socket, has one daemon; the first one's open attempt stays open."""
    house = build(reel.neutral, answer_s=15.0, attempt_s=60.0)
    house.enroll(reel)
    house.start()
    attempt_id = house.begin()
    text = house.config.read_text(encoding="utf-8")
    shared = "/control.sock" if own == "socket" else "/door.db"
    house.config.write_text(text.replace(shared, f"{shared}2"), encoding="utf-8")
    second = house.run("run")
    house.config.write_text(text, encoding="utf-8")
    refusals = {
        "socket": f"smileaccess: records: {house.folder}/door.db: another daemon runs on it: stop that one first",
        "database": f"smileaccess: control: {house.socket}: another daemon listens there: stop it first",
    }
    assert (second.returncode, second.stderr.strip().splitlines()[-1]) == (1, refusals[own])
    assert house.rows("SELECT id, outcome FROM attempts") == [(attempt_id, None)]
    assert house.status()["attempt"] == attempt_id
    assert [event.kind for event in house.events()] == ["member_enrolled", "start", "control_attempt"]


def test_a_missing_camera_stops_neither_the_daemon_nor_the_way_by_unlock(
    build: Callable[..., House], reel: Reel, tmp_path: Path
) -> None:
    """Attempts are denied for the camera's sake, an unlock works, and a camera that appears is used."""
    house = build(tmp_path / "camera")
    house.enroll(reel)
    house.start()
    assert ended(house.attempted()) == denied(Reason.CAMERA_UNAVAILABLE)
    with house.client() as client:
        client.unlock("the camera is broken")
    assert house.status()["strike"] == "energized"
    assert house.logged("no camera; it is tried again") != []
    (tmp_path / "camera").symlink_to(reel.smiling)
    eventually(lambda: ended(house.attempted()) == GRANTED)


def test_a_kill_at_any_moment_leaves_a_sound_record_and_a_locked_door(build: Callable[..., House], reel: Reel) -> None:
    """Each time the chain verifies, the next start closes what was open as internal_error, and the strike is locked."""
    house = build(reel.smiling)
    house.enroll(reel)
    moments = random.Random(20)
    left_open = 0
    process = house.start()
    for turn in range(6):
        attempt_id = house.begin()
        if turn:  # the first one is killed with the row just opened
            with suppress(subprocess.TimeoutExpired):
                process.wait(moments.uniform(0.0, 1.6))
        process.kill()
        assert process.wait(PATIENCE_S) == -signal.SIGKILL
        with house.spool() as spool:
            spool.verify()
            was_open = spool.attempt(attempt_id).closed_at is None
        left_open += was_open
        process = house.start()
        status = house.status()
        assert (status["strike"], status["phase"], status["attempt"]) == ("locked", "idle", None)
        with house.spool() as spool:
            spool.verify()
            after = spool.attempt(attempt_id)
        assert ended(after) == (denied(Reason.INTERNAL_ERROR) if was_open else GRANTED)
    assert left_open >= 1
    assert house.rows("SELECT id FROM attempts WHERE closed_at IS NULL") == []
    house.begin()  # whose row comes after the last start's event
    assert [event.kind for event in house.events()].count("start") == 7


# What keeps it from starting


def test_check_lists_everything_that_is_wrong(build: Callable[..., House], tmp_path: Path) -> None:
    """Every problem of the file at once, with what to do, and exit code 2; `run` says the same."""
    house = build(tmp_path)
    house.config.write_text('[door]\nunlock_s = 99\nnam = "x"\n[camera]\nfps = "fast"\n[dor]\n', encoding="utf-8")
    for arguments in (["run", "--check"], ["run"]):
        done = house.run(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert sorted(done.stderr.splitlines()) == [
            'smileaccess: settings: [camera] fps = "fast": must be a whole number',
            "smileaccess: settings: [door] nam: no such setting: did you mean name?",
            "smileaccess: settings: [door] unlock_s = 99: must be between 1 and 30",
            "smileaccess: settings: [dor]: no such section: did you mean door?",
        ]


def test_check_of_a_good_file_says_so_and_starts_nothing(build: Callable[..., House], tmp_path: Path) -> None:
    """Exit code 0, and no database was made."""
    house = build(tmp_path)
    done = house.run("run", "--check")
    assert (done.returncode, done.stdout) == (0, f"{house.config}: settings and keys are fine\n")
    assert not (house.folder / "door.db").exists()


@pytest.mark.parametrize(("arguments", "code"), [(["run"], 1), (["run", "--check"], 2)])
def test_missing_keys_are_named_with_the_fix(
    build: Callable[..., House], tmp_path: Path, arguments: list[str], code: int
) -> None:
    """Without its keys the daemon does not start, and says how they are made."""
    house = build(tmp_path)
    (house.folder / "keys" / "chain").unlink()
    done = house.run(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == (
        f"smileaccess: keys: {house.folder}/keys/chain: No such file or directory: "
        "restore its copy; for a new door `smileaccess keys make` makes one (a record begun under another key does not "
        "open)\n"
    )


def test_a_database_that_cannot_be_made_is_named_with_the_fix(build: Callable[..., House], tmp_path: Path) -> None:
    """Where the record cannot be kept the daemon does not start, and leaves no socket behind."""
    house = build(tmp_path)
    text = house.config.read_text(encoding="utf-8").replace("/door.db", "/missing/door.db")
    house.config.write_text(text, encoding="utf-8")
    done = house.run("run")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"records: {house.folder}/missing/door.db: cannot be locked (No such file or directory)" in done.stderr
    assert not house.socket.exists()
