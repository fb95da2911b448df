"""The demonstration as a process of its own, and what people can do to the record that it leaves."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import pytest

from smileaccess import settings as configuration
from smileaccess.clock import SystemClock
from smileaccess.demo import show
from smileaccess.demo.scenes import MEMBER_NAME, Living, Scene, doorway
from smileaccess.errors import SmileAccessError
from smileaccess.keys import ALL_KEYS, KeyRing
from smileaccess.liveness import needs_s
from smileaccess.membership import load_roster, sign
from smileaccess.model import LivenessMode, Outcome, Reason
from smileaccess.records.spool import Spool
from tests.fakes_vision import photograph

SCENES = [
    (1, "granted", None),
    (2, "denied", "no_smile"),
    (3, "denied", "not_recognized"),
    (4, "denied", "no_expression_change"),
    (5, "denied", "no_face"),
    (6, "denied", "multiple_faces"),
    (7, "denied", "too_dark"),
    (8, "granted", None),
]
"""How each scene has to end."""

UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def smileaccess(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the program as a script does: nothing to type on, pipes to write to."""
    return subprocess.run(
        [sys.executable, "-m", "smileaccess", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@dataclass(frozen=True)
class Left:
    """A demonstration's folder, and the program on it."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "door.db"

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return smileaccess("--config", self.folder / "smileaccess.toml", *arguments)

    def json(self, *arguments: str | Path) -> Any:
        done = self.run(*arguments, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    def outsider(self, *statements: str) -> None:
        """Write past the program, as whoever holds the file may."""
        with closing(sqlite3.connect(self.database)) as db, db:
            for statement in statements:
                db.execute(statement)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self.database)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(sql)]

    @property
    def keys(self) -> KeyRing:
        return KeyRing.load(self.folder / "keys", need=ALL_KEYS)


@dataclass(frozen=True)
class Played:
    """A demonstration that was played: the process's end, and what it left."""

    done: subprocess.CompletedProcess[str]
    state: Path

    @property
    def left(self) -> Left:
        [folder] = self.state.iterdir()
        return Left(folder)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Play all eight scenes, once for all tests here."""
    state = tmp_path_factory.mktemp("demo") / "state"
    return Played(smileaccess("demo", "--state", state), state)


@pytest.fixture
def copy(played: Played, tmp_path: Path) -> Left:
    """Return a copy of what the demonstration left, for somebody to tamper with."""
    folder = tmp_path / "copy"
    shutil.copytree(played.left.folder, folder)
    settings = folder / "smileaccess.toml"
    text = settings.read_text(encoding="utf-8").replace(str(played.left.folder), str(folder))
    settings.write_text(text, encoding="utf-8")
    return Left(folder)


# The eight scenes


def test_without_a_terminal_eight_scenes_play_and_end_as_they_should(played: Played) -> None:
    """A line a scene with outcome and reason, and exit code 0."""
    assert (played.done.returncode, played.done.stderr) == (0, "")
    told = re.findall(r"^(\d)  .{30} (\w+)(?: \((\w+)\))? +as it should$", played.done.stdout, re.MULTILINE)
    assert told == [(str(number), outcome, reason or "") for number, outcome, reason in SCENES]
    assert re.search(r"^8 of 8 scenes ended as they should, in \d+ s$", played.done.stdout, re.MULTILINE)


def test_the_path_of_the_database_is_printed_and_the_database_kept(played: Played) -> None:
    """Whoever reads the output finds the record, and the command that shows it."""
    [printed] = re.findall(r"^database: (.*)$", played.done.stdout, re.MULTILINE)
    assert Path(printed) == played.left.database
    assert played.left.database.is_file()
    assert f"--config {played.left.folder}/smileaccess.toml attempts list" in played.done.stdout


def test_the_record_tells_the_same(played: Played) -> None:
    """`attempts list --json` has the eight attempts, newest first, with the outcomes and reasons that were printed."""
    listed = played.left.json("attempts", "list")
    assert [(each["outcome"], each["reason"]) for each in listed] == [
        (outcome, reason) for _, outcome, reason in reversed(SCENES)
    ]


def test_the_record_verifies(played: Played) -> None:
    """Nobody touched it: every link is in order."""
    told = played.left.json("attempts", "verify")
    links = played.left.rows("SELECT sequence FROM chain")[0]["sequence"]
    # An attempt has two links, an event one.
    assert (told["ok"], told["links"]) == (True, links)
    assert links == 2 * len(SCENES) + len(played.left.rows("SELECT id FROM door_events"))


def test_start_stop_enrollment_and_rex_are_on_record(played: Played) -> None:
    """All that happened beside the attempts is there, in order; REX came before the last attempt."""
    events = played.left.rows("SELECT kind, at FROM door_events ORDER BY seq")
    assert [event["kind"] for event in events] == ["member_enrolled", "start", "rex", "stop"]
    opened = [row["opened_at"] for row in played.left.rows("SELECT opened_at FROM attempts ORDER BY open_seq")]
    assert opened[-2] < events[2]["at"] < opened[-1]


def test_no_picture_and_no_name_is_on_record(played: Played) -> None:
    """Attempts and events hold short text and numbers; the member's name stands in no row and no line of the log."""
    values = [
        value
        for table in ("attempts", "door_events")
        for row in played.left.rows(f"SELECT * FROM {table}")
        for value in row.values()
    ]
    assert {type(value) for value in values} == {str, int, float, type(None)}
    assert max(len(value) for value in values if isinstance(value, str)) < 5000
    told = " ".join(value for value in values if isinstance(value, str))
    told += (played.left.folder / "smileaccess.log").read_text(encoding="utf-8")
    assert [word for word in MEMBER_NAME.split() if word in told] == []
    kept = {path.name for path in played.left.folder.rglob("*") if path.is_file()}
    assert kept == {
        "record.demo",
        "door.db",
        "door.db.lock",
        "smileaccess.log",
        "smileaccess.toml",
        "enroller",
        "enroller.pub",
        "templates",
        "chain",
    }


# Whoever writes past the program


def refused(left: Left, *arguments: str) -> str:
    """Run `attempts verify`, which has to fail; return what it says."""
    done = left.run("attempts", "verify", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


@pytest.mark.parametrize("number", [0, 3, 7])
def test_one_changed_byte_of_a_row_is_found_and_the_row_named(copy: Left, number: int) -> None:
    """A single byte of an attempt in the file itself, changed without any database program."""
    content = bytearray(copy.database.read_bytes())
    places = [match.start() for match in re.finditer(b"neutral-then-smile", content)]
    place = places[number]
    row = UUID.findall(content, 0, place)[-1].decode()
    content[place] ^= 1
    copy.database.write_bytes(content)
    assert len(places) == len(SCENES)
    assert f"attempt closed {row}" in refused(copy)


@pytest.mark.parametrize(
    "cut",
    [
        "DELETE FROM door_events WHERE seq = (SELECT max(seq) FROM door_events)",
        "DELETE FROM attempts WHERE seq = (SELECT max(seq) FROM attempts)",
    ],
)
def test_the_last_row_cut_off_is_found(copy: Left, cut: str) -> None:
    """The newest row leaves no gap behind it, and is missed all the same."""
    copy.outsider(cut)
    assert re.search(r"link \d+", refused(copy))


def test_a_denial_rewritten_as_a_grant_is_found(copy: Left) -> None:
    """Whoever cannot write the chain cannot turn an outcome around."""
    [row] = copy.rows("SELECT id FROM attempts WHERE reason = 'not_recognized'")
    copy.outsider(f"UPDATE attempts SET outcome = 'granted', reason = NULL WHERE id = '{row['id']}'")
    assert f"attempt closed {row['id']}" in refused(copy)


def foreign_signature(left: Left) -> None:
    """Sign the member's own document anew with a key that is not the enroller's."""
    with closing(Spool.open(left.database, "demo", left.keys.chain)) as spool:
        [member] = load_roster(spool, left.keys.enroller_public).members
    forged = sign(replace(member, version=member.version + 1), b"f" * 32)
    with closing(sqlite3.connect(left.database)) as db, db:
        values = (forged.version, forged.document, forged.signature)
        db.execute("UPDATE members SET version = ?, document = ?, signature = ?", values)


def longer_validity(left: Left) -> None:
    """Change a word of the signed document and keep the signature."""
    [row] = left.rows("SELECT document FROM members")
    assert b'"valid_until":null' in row["document"]
    altered = row["document"].replace(b'"valid_until":null', b'"valid_until":"2099-01-01T00:00:00.000000Z"')
    with closing(sqlite3.connect(left.database)) as db, db:
        db.execute("UPDATE members SET document = ?", (altered,))


def enabled_again(left: Left) -> None:
    """Turn a member whom the enroller has disabled back to active."""
    assert left.run("members", "disable", MEMBER_NAME).returncode == 0
    [row] = left.rows("SELECT document FROM members")
    assert b'"status":"disabled"' in row["document"]
    with closing(sqlite3.connect(left.database)) as db, db:
        db.execute("UPDATE members SET document = ?", (row["document"].replace(b'"disabled"', b'"active"'),))


def another_row(left: Left) -> None:
    """Copy the signed row under another id, and drop the first."""
    left.outsider(
        "INSERT INTO members SELECT 'm_00000000000000000000', version, document, signature FROM members",
        "UPDATE templates SET member_id = 'm_00000000000000000000'",
        "DELETE FROM members WHERE id != 'm_00000000000000000000'",
    )


@pytest.fixture(scope="module")
def member_picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a picture of the member as a camera would see him."""
    path = tmp_path_factory.mktemp("pictures") / "member.png"
    assert cv2.imwrite(str(path), photograph("obama-smiling")[:600, 300:700])
    return path


def tried(left: Left, picture: Path) -> tuple[str, str | None]:
    """Try an attempt with the member's picture, by the door's rules, without asking for a smile."""
    told = left.json("attempts", "try", "--photo", picture, "--liveness", "off")["attempt"]
    return told["outcome"], told["reason"]


def test_the_member_as_the_enroller_signed_him_is_let_in(copy: Left, member_picture: Path) -> None:
    """What the next test refuses is granted as long as nobody writes past the enroller."""
    assert tried(copy, member_picture) == ("granted", None)


@pytest.mark.parametrize("tamper", [foreign_signature, longer_validity, enabled_again, another_row])
def test_a_member_written_past_the_enroller_opens_nothing(
    copy: Left, member_picture: Path, tamper: Callable[[Left], None]
) -> None:
    """A row without the enroller's signature is nobody, whatever it says."""
    tamper(copy)
    with closing(Spool.open(copy.database, "demo", copy.keys.chain)) as spool:
        roster = load_roster(spool, copy.keys.enroller_public)
    assert roster.members == ()
    assert roster.refused != ()
    assert tried(copy, member_picture) == ("denied", "not_recognized")


# One scene, in this process


NOBODY = Scene(5, "nobody", Living([doorway()], 5, sway=0.0), Outcome.DENIED, Reason.NO_FACE)


@pytest.mark.parametrize(
    ("scene", "well"),
    [
        (NOBODY, True),
        (replace(NOBODY, reason=Reason.TOO_DARK), False),
    ],
)
def test_a_scene_that_ends_otherwise_is_no_success(tmp_path: Path, scene: Scene, well: bool) -> None:
    """The demonstration succeeds only where outcome and reason are the expected ones."""
    stage = show.set_up(tmp_path, unlock_s=1.0, webcam=None)
    told: list[show.Played] = []
    assert show.play_alone(stage, [scene], SystemClock(), told.append) is well
    assert [(each.scene, each.as_it_should) for each in told] == [(scene, well)]
    attempt = told[0].attempt
    assert attempt is not None
    assert (attempt.outcome, attempt.reason) == (Outcome.DENIED, Reason.NO_FACE)


def test_a_demonstration_that_follows_the_light(tmp_path: Path) -> None:
    """Its door has the time for both sequences, and its reel the cue for each."""
    stage = show.set_up(tmp_path, unlock_s=1.0, webcam=None, liveness=LivenessMode.FOLLOW_THE_LIGHT)

    assert stage.settings.liveness.mode is LivenessMode.FOLLOW_THE_LIGHT
    assert stage.settings.door.attempt_s >= needs_s(stage.settings.liveness.rules())


def test_a_scene_without_an_attempt_did_not_end_as_it_should() -> None:
    """Where nothing came of a scene it has failed, whatever was expected."""
    assert not show.Played(NOBODY, None).as_it_should


# Where it is kept


def test_a_stage_holds_its_settings_and_keys(tmp_path: Path) -> None:
    """The settings file alone is enough to look at the demonstration later on."""
    stage = show.set_up(tmp_path / "deep" / "er", unlock_s=2.0, webcam="/dev/video7")
    settings = configuration.load(stage.settings_file)
    assert settings.camera.device == "/dev/video7"
    assert stage.folder.stat().st_mode & 0o077 == 0
    assert Path(settings.records.database) == stage.folder / "door.db"


@pytest.mark.parametrize("name", ['say "cheese"', "back\\slash", "Übung 日本", "tab\there"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    """Characters that mean something in TOML are escaped in the settings."""
    stage = show.set_up(tmp_path / name, unlock_s=1.0, webcam=None)
    assert Path(stage.settings.records.database).parent == stage.folder
    assert Path(stage.settings.keys.directory).is_dir()


def test_a_relative_folder_is_kept_as_an_absolute_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings still fit when they are used from somewhere else."""
    monkeypatch.chdir(tmp_path)
    stage = show.set_up(Path("state"), unlock_s=1.0, webcam=None)
    assert Path(stage.settings.records.database) == tmp_path / "state" / stage.folder.name / "door.db"


def test_a_deep_folder_has_its_socket_elsewhere() -> None:
    """A Unix socket's path is short; a folder that is too deep gets one that fits."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:  # the tests' own folders may be too deep already
        shallow = show.set_up(Path(place), unlock_s=1.0, webcam=None)
        deep = show.set_up(Path(place, "x" * 100), unlock_s=1.0, webcam=None)
    assert Path(shallow.settings.control.socket).parent == shallow.folder
    assert len(deep.settings.control.socket.encode()) <= 107


def test_only_the_latest_demonstrations_are_kept(tmp_path: Path) -> None:
    """The sixth oldest goes when a new one begins; folders that are not ours stay."""
    for number in range(7):
        old = tmp_path / f"20200101-00000{number}-1"
        (old / "keys").mkdir(parents=True)
        (old / "smileaccess.toml").write_text(show._HEAD)
    (tmp_path / "notes").mkdir()
    stage = show.set_up(tmp_path, unlock_s=1.0, webcam=None)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == [*(f"20200101-00000{number}-1" for number in range(2, 7)), stage.folder.name, "notes"]


def test_nothing_but_a_demonstration_is_ever_removed(tmp_path: Path) -> None:
    """A door's installation stays, also where it is called like a demonstration, or like nothing of ours."""
    beside = tmp_path / "beside"
    state = tmp_path / "state"
    for folder, text in {
        beside / "20190101-000000-1": show._HEAD,
        state / "front": show._HEAD,
        state / "20190101-000000-1x": show._HEAD,
        state / "20190101-000000-2": show._HEAD.replace('"demo"', '"front"'),
        state / "20190101-000000-3": '[door]\nname = "demo"\n',
        state / "20190101-000000-4" / "20190101-000000-5": show._HEAD,
    }.items():
        (folder / "keys").mkdir(parents=True)
        (folder / "smileaccess.toml").write_text(text)
    (state / "20190101-000000-6").symlink_to(beside / "20190101-000000-1")
    before = sorted(tmp_path.rglob("*"))
    stages = [state / f"20200101-00000{number}-1" for number in range(7)]
    for stage in stages:
        (stage / "keys").mkdir(parents=True)
        (stage / "smileaccess.toml").write_text(show._HEAD)
    show.set_up(state, unlock_s=1.0, webcam=None)
    assert [path for path in before if not path.exists()] == []
    assert [stage.exists() for stage in stages] == [False] * 2 + [True] * 5


def test_a_folder_that_cannot_be_made_is_named_with_the_fix(tmp_path: Path) -> None:
    """A file in the folder's place is said, and what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(SmileAccessError, match=r"Not a directory: choose another folder with --state"):
        show.set_up(tmp_path / "file", unlock_s=1.0, webcam=None)


def test_the_state_is_kept_where_the_xdg_base_directories_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """`$XDG_STATE_HOME` where it is set, else below the home."""
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert show.state_folder() == Path("/somewhere/smileaccess/demo")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/ann")
    assert show.state_folder() == Path("/home/ann/.local/state/smileaccess/demo")
