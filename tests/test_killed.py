"""A door killed between two steps of an attempt: the row is whole or open, and no strike moved without its grant."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from smileaccess.model import Reason
from tests.doors import GRANTED, PATIENCE_S, House, Reel, building, denied, ended, make_reel

KILLED_AT = (2, 4, 6, 8)
"""Ninths of the way; the rest of the steps is killed at by `make bench-records`."""


@dataclass
class Death:
    """How a door ended that was to be killed at a step of its first attempt, and what it left."""

    house: House
    code: int
    steps: int
    journal: list[str]


@pytest.fixture(scope="module")
def reel(tmp_path_factory: pytest.TempPathFactory) -> Reel:
    return make_reel(tmp_path_factory.mktemp("reel"))


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., House]]:
    with building(tmp_path_factory.mktemp) as make:
        yield make


def killed(house: House, step: int) -> Death:
    """Run a door on which somebody rings at once, and kill it at a step; 0 lets it live."""
    journal = house.folder / "strike"
    program = [sys.executable, "-m", "tests.dying", str(house.config), str(step), str(journal)]
    run = subprocess.run(program, capture_output=True, text=True, timeout=PATIENCE_S * 2, check=False)
    lines = journal.read_text().split() if journal.exists() else []
    return Death(house, run.returncode, int(run.stdout.split()[-1]) if run.returncode == 0 else 0, lines)


def check(death: Death) -> str:
    """Hold what a killed door left to what must be true of it; return what became of the attempt."""
    house = death.house
    with house.spool() as spool:
        spool.verify()
        rows = list(spool.attempts())
        was_open = [row.id for row in rows if row.closed_at is None]
    if "energize" in death.journal:
        assert [ended(row) for row in rows] == [GRANTED], "the strike moved without a durable grant"
    if not rows:
        return "no row"
    house.start()
    with house.spool() as spool:
        spool.verify()
        (after,) = spool.attempts()
    house.end()
    if was_open:
        assert ended(after) == denied(Reason.INTERNAL_ERROR)
        return "open"
    assert after == rows[0]
    return "granted"


@pytest.fixture(scope="module")
def steps(build: Callable[..., House], reel: Reel) -> int:
    """Return how many steps an attempt has that nobody disturbs."""
    house = build(reel.still_smiling)
    house.enroll(reel)
    death = killed(house, 0)
    assert (death.code, death.journal[0]) == (0, "energize")
    assert check(death) == "granted"
    return death.steps


@pytest.mark.parametrize("ninths", KILLED_AT)
def test_a_kill_leaves_a_whole_row_or_an_open_one(
    build: Callable[..., House], reel: Reel, steps: int, ninths: int
) -> None:
    house = build(reel.still_smiling)
    house.enroll(reel)
    death = killed(house, max(1, steps * ninths // 9 - 2))
    assert death.code == -signal.SIGKILL
    assert check(death) in {"no row", "open", "granted"}


def test_the_kills_of_a_whole_attempt_meet_each_end(build: Callable[..., House], reel: Reel, steps: int) -> None:
    """At the first step there is no row yet, and at the last the grant stands."""
    found = []
    for step in (1, steps - 1):
        house = build(reel.still_smiling)
        house.enroll(reel)
        found.append(check(killed(house, step)))
    assert found == ["no row", "granted"]


def test_the_check_sees_a_strike_that_moved_without_a_grant(build: Callable[..., House], reel: Reel) -> None:
    """The check itself is held to a strike that moves too early."""
    house = build(reel.still_smiling)
    house.enroll(reel)
    death = killed(house, 1)
    with pytest.raises(AssertionError, match="without a durable grant"):
        check(Death(death.house, death.code, death.steps, ["energize"]))
