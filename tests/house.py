"""A door's installation in a temporary folder, and the command line run on it in this process."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import smileaccess
from smileaccess import wiring
from smileaccess.cli import main
from smileaccess.keys import ALL_KEYS, make_keys
from smileaccess.model import Attempt, Emotion, Outcome, Reason, Trigger, uuid7
from smileaccess.records.spool import Spool
from smileaccess.settings import load

FACES = Path(smileaccess.__file__).resolve().parent / "demo" / "faces"
THEN = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Result:
    code: object
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def run(*arguments: str | Path) -> Result:
    """Run the command line as a process would, with no terminal at either end."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stopped:
            code = stopped.code
    return Result(code, out.getvalue(), err.getvalue())


class House:
    """Settings, keys and an empty record in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "door.toml"
        self.database = folder / "door.db"
        self.keys = folder / "keys"
        self.config.write_text(
            f'[records]\ndatabase = "{self.database}"\n[keys]\ndirectory = "{self.keys}"\n'
            f'[control]\nsocket = "{folder / "control.sock"}"\n'
        )
        make_keys(self.keys)
        self.spool().close()

    def run(self, *arguments: str | Path) -> Result:
        return run("--config", self.config, *arguments)

    def spool(self) -> Spool:
        settings = load(self.config)
        return wiring.open_spool(settings, wiring.load_keys(settings, ALL_KEYS))

    def put(self, *attempts: Attempt) -> None:
        with contextlib.closing(self.spool()) as spool:
            for attempt in attempts:
                spool.open_attempt(Attempt(attempt.id, attempt.door, attempt.trigger, attempt.opened_at))
                if attempt.closed_at is not None:
                    spool.close_attempt(attempt)


def attempt(reason: Reason | None = Reason.NO_SMILE, *, day: int = 0, **changes: Any) -> Attempt:
    """An attempt that ended, `day` days after THEN."""
    opened = THEN + timedelta(days=day)
    known: dict[str, Any] = {
        "closed_at": opened + timedelta(seconds=4),
        "outcome": Outcome.GRANTED if reason is None else Outcome.DENIED,
        "reason": reason,
        "member_id": "m_ada",
        "similarity": 99.4,
        "smile": 12.5,
        "emotion": Emotion.CALM,
        "liveness": "neutral-then-smile",
        "recognizer": "embedded",
        "model": "sface",
        "stages_ms": {"first_face": 310.0, "identified": 1250.5, "cued": 1500.0},
        "detail": {
            "frames": {"clear": 30, "too_blurred": 2},
            "challenge": "failed",
            "examinations": [
                {
                    "purpose": "identity",
                    "frame": 7,
                    "candidates": [{"member": "m_ada", "similarity": 99.4}],
                    "smile": 12.5,
                    "emotions": {"calm": 90.0},
                    "ms": 21.0,
                }
            ],
        },
        **changes,
    }
    return Attempt(uuid7(int(opened.timestamp() * 1000)), "front", Trigger.BUTTON, opened, **known)
