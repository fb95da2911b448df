"""The daemon as a real process: its socket, its signals, its record, and what a kill leaves behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from smileaccess.demo.scenes import FACES
from smileaccess.errors import ControlError, ControlUnavailable
from smileaccess.model import Reason, Trigger
from tests.doors import GRANTED, PATIENCE_S, House, Reel, building, denied, ended, eventually, make_reel


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Reel:
    return make_reel(tmp_path_factory.mktemp("reel"))


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., House]]:
    with building(tmp_path_factory.mktemp) as make:
        yield make


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
    house = build(reel.empty, patience_s=15.0, attempt_s=60.0)
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
    house = build(reel.empty, patience_s=15.0, attempt_s=60.0)
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
    assert house.rows("SELECT id, outcome, reason FROM attempts") == [(attempt_id, None, None)]
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


def test_an_operators_lock_outlives_a_restart_and_a_hold_does_not(build: Callable[..., House], reel: Reel) -> None:
    """The command line orders, the record remembers: locked stays locked, held unlocked does not stay so."""
    house = build(reel.smiling)
    house.enroll(reel)
    process = house.start()

    def order(*words: str) -> str:
        done = house.run("door", *words, "--why", "a test")
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    assert order("hold", "--for", "2h").startswith("held unlocked until ")
    assert (house.status()["held"]["cause"], house.status()["strike"]) == ("hold", "energized")
    process.kill()
    process.wait(PATIENCE_S)
    process = house.start()
    assert (house.status()["held"], house.status()["strike"]) == (None, "locked")

    assert order("lock").startswith("locked: ")
    process.kill()
    process.wait(PATIENCE_S)
    house.start()
    assert ended(house.attempted()) == denied(Reason.OPERATOR_LOCKED)
    assert "since" in house.run("door", "status").stdout
    assert order("release") == "released: lock\n"
    assert ended(house.attempted()) == GRANTED


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


BROKEN = """
import sys
from smileaccess import controller
from smileaccess.cli import main

def failing(self):
    raise RuntimeError("nobody foresaw this")

controller.Controller._status = failing
main(sys.argv[1:])
"""


def test_what_nobody_foresaw_stands_in_the_log_before_the_daemon_stops(build: Callable[..., House], reel: Reel) -> None:
    """With its traceback and as `crashed`, while there is still somebody who tells of it."""
    house = build(reel.still)
    _, _, _, *arguments = house.command("run")
    with (house.folder / "log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-c", BROKEN, *arguments], stdout=log, stderr=log)
    house.processes.append(process)

    def asked() -> bool:
        with suppress(ControlUnavailable, ControlError):
            house.status()
        return process.poll() is not None

    eventually(asked)
    assert process.returncode == 70
    [line] = house.logged("the controller failed; the daemon stops")
    assert (line["kind"], "nobody foresaw this" in line["exception"]) == ("crashed", True)
