"""A door as a real process in a folder of its own: its settings, its record, its socket, and who stands before it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from smileaccess.control import ControlClient
from smileaccess.demo.scenes import MEMBER_PHOTOGRAPH, build_scenes
from smileaccess.errors import ControlError, ControlUnavailable
from smileaccess.keys import ALL_KEYS, KeyRing, make_keys
from smileaccess.membership import new_member_id, new_template_id, seal_template, sign
from smileaccess.model import (
    Attempt,
    Consent,
    DoorEvent,
    IndexedFace,
    Member,
    MemberStatus,
    Outcome,
    Reason,
    Template,
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
    """Folders of pictures as the camera would see them, and the member's embedding.

    In `still` and `still_smiling` is a single picture: of the others a machine that is busy sees so few that a movement
    looks like a cut. In `empty` nobody is to be seen: however busy the machine is, no track is lost there.
    """

    smiling: Path
    neutral: Path
    still: Path
    still_smiling: Path
    empty: Path
    embedding: Any
    model: str


def make_reel(folder: Path) -> Reel:
    """Draw the pictures below a folder."""
    folders = {True: folder / "smiling", False: folder / "neutral"}
    with closing(LocalEyes()) as eyes:
        clip = build_scenes(eyes)[0].clip
        for smiling, place in folders.items():
            place.mkdir()
            for number in range(8):
                pixels = clip.picture(1.0 + number / 15, 2.0 if smiling else None)
                assert cv2.imwrite(str(place / f"{number}.png"), pixels)
        stills = {smiling: folder / f"still-{place.name}" for smiling, place in folders.items()}
        for smiling, place in stills.items():
            place.mkdir()
            (place / "0.png").write_bytes((folders[smiling] / "0.png").read_bytes())
        frame = framed(photograph(MEMBER_PHOTOGRAPH.stem))
        embedding = eyes.embed(frame, eyes.look(frame).faces[0])
    empty = folder / "empty"
    empty.mkdir()
    cv2.imwrite(str(empty / "0.png"), np.full_like(frame.pixels, 128))
    return Reel(folders[True], folders[False], stills[False], stills[True], empty, embedding, eyes.model)


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
patience_s = {patience_s}

[lockout]
free = 100

[records]
database = "{folder}/door.db"

[keys]
directory = "{folder}/keys"

[control]
socket = "{socket}"
{more}"""


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

    def write_settings(
        self,
        mode: str = "smile",
        *,
        attempt_s: float = 10.0,
        answer_s: float = 4.0,
        patience_s: float = 3.0,
        more: str = "",
    ) -> None:
        told = SETTINGS.format(
            camera=self.camera,
            mode=mode,
            folder=self.folder,
            socket=self.socket,
            attempt_s=attempt_s,
            answer_s=answer_s,
            patience_s=patience_s,
            more=more,
        )
        self.config.write_text(told, encoding="utf-8")

    @property
    def keys(self) -> KeyRing:
        return KeyRing.load(self.folder / "keys", need=ALL_KEYS)

    def spool(self) -> closing[Spool]:
        return closing(Spool.open(self.folder / "door.db", "side", self.keys.chain, must_exist=False))

    def enroll(self, reel: Reel, *faces: IndexedFace) -> str:
        """Put the member of the pictures on the list, as the enroller signs him; return the id."""
        keys, now = self.keys, datetime.now(UTC)
        member_id, template_id = new_member_id(), new_template_id()
        sealed = seal_template(reel.embedding, member_id, template_id, reel.model, keys.templates)
        template = Template(template_id, reel.model, sealed, now)
        member = Member(
            member_id, 1, "Ann", MemberStatus.ACTIVE, now, Consent(now, "1"), templates=(template,), faces=faces
        )
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
        """Make one attempt and return it as it stands on record once it has ended.

        A machine too busy to look once a second loses the track: then it is made again, twice at most.
        """
        attempt = self._attempted()
        for _ in range(2):
            if attempt.reason is Reason.TRACK_LOST:
                attempt = self._attempted()
        return attempt

    def _attempted(self) -> Attempt:
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


@contextmanager
def building(folder_of: Callable[[str], Path]) -> Iterator[Callable[..., House]]:
    """Give what makes a house with keys and settings; its processes end with this context at the latest."""
    houses: list[House] = []
    with tempfile.TemporaryDirectory(prefix="smileaccess-") as sockets:  # short: a socket's path must be

        def make(camera: Path, **settings: Any) -> House:
            house = House(folder_of("house"), Path(sockets) / f"{len(houses)}.sock", camera)
            houses.append(house)
            make_keys(house.folder / "keys")
            house.write_settings(**settings)
            return house

        try:
            yield make
        finally:
            for house in houses:
                house.end()


def ended(attempt: Attempt) -> tuple[Outcome | None, Reason | None]:
    return attempt.outcome, attempt.reason


GRANTED = (Outcome.GRANTED, None)


def denied(reason: Reason) -> tuple[Outcome, Reason]:
    return Outcome.DENIED, reason
