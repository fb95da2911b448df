"""The door contact in a running door: what is told, what sounds, and what locks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog

from smileaccess.contact import REPEAT_S
from smileaccess.doorway import GRACE_S, DoorwayRules
from smileaccess.events import StopAsked
from smileaccess.model import DoorInput, Signal
from tests.fakes import CONDUCT, Rig, granted

OPENED, CLOSED, REX = DoorInput.DOOR_OPENED, DoorInput.DOOR_CLOSED, DoorInput.REX
RULES = DoorwayRules(contact=True, held_open_s=30.0, forced=True)
WITH_CONTACT = replace(CONDUCT, doorway=RULES, inputs=frozenset({"contact", "rex"}))


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[Any]]:
    """Catch what is logged."""
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture
def rig() -> Rig:
    made = Rig(WITH_CONTACT)
    made.wait(60.0)
    return made


def kinds(rig: Rig) -> list[str]:
    rig.settle()
    return [event.kind for event in rig.records.put_down]


def test_an_entry_is_on_record_with_its_attempt(rig: Rig, lines: list[Any]) -> None:
    """Who was let in, and that they came; the strike locks as soon as the door is closed."""
    attempt = rig.attempt()
    rig.press(OPENED)
    rig.wait(1.0)
    assert (granted(attempt), rig.panel.held) == (True, True)
    rig.press(CLOSED)

    assert (rig.panel.held, rig.panel.signals[-1]) == (False, Signal.LOCKED)
    assert kinds(rig) == ["door_opened", "entered", "door_closed"]
    detail = {"cause": "granted", "attempt": attempt.id, "stood_open": False}
    assert rig.records.put_down[1].detail == detail
    assert [line for line in lines if line.get("kind") == "entered"] == [
        {"event": "who was let in has opened the door", "log_level": "info", "kind": "entered", **detail}
    ]


@pytest.mark.parametrize(("begun", "told"), [(True, ["door_opened"]), (False, ["door_opened", "forced_open"])])
def test_a_door_that_is_found_open_was_open_before(begun: bool, told: list[str]) -> None:
    """However long the start took before the contact was listened to."""
    rig = Rig(WITH_CONTACT)
    rig.wait(60.0)
    if begun:
        rig.tell(StopAsked())
        rig.controller.run()
    rig.press(OPENED)
    assert kinds(rig) == told


def test_a_grant_that_nobody_used_is_on_record(rig: Rig) -> None:
    """Granted, but not entered."""
    attempt = rig.attempt()
    rig.wait(5.0 + GRACE_S)
    assert kinds(rig) == ["not_entered"]
    assert rig.records.put_down[0].detail == {"cause": "granted", "attempt": attempt.id}


def test_a_forced_door_sounds_until_it_is_closed(rig: Rig) -> None:
    """The alarm is shown at once, again every few seconds, and ends with the door."""
    rig.press(OPENED)
    assert (kinds(rig), rig.panel.signals[-1]) == (["door_opened", "forced_open"], Signal.ALARM)
    rig.wait(REPEAT_S * 2.5)
    assert rig.panel.signals.count(Signal.ALARM) == 3
    assert rig.status()["door_alarm"] is True

    rig.press(CLOSED)
    assert (rig.panel.signals[-1], rig.status()["door_alarm"]) == (Signal.LOCKED, False)
    rig.wait(60.0)
    assert rig.panel.signals.count(Signal.ALARM) == 3


def test_a_door_left_open_sounds(rig: Rig) -> None:
    """After its time, and both ends of it are on record."""
    rig.press(REX)
    rig.press(OPENED)
    rig.wait(29.0)
    assert Signal.ALARM not in rig.panel.signals
    rig.wait(2.0)
    assert rig.panel.signals[-1] is Signal.ALARM
    rig.press(CLOSED)
    assert kinds(rig) == ["rex", "door_opened", "held_open", "door_closed", "held_open_over"]


@pytest.mark.parametrize("scene", ["forced", "held open"])
def test_rex_opens_while_the_alarm_sounds(rig: Rig, scene: str) -> None:
    """Nobody is locked in, whatever has been opened."""
    if scene == "held open":
        rig.press(REX)
    rig.press(OPENED)
    rig.wait(35.0)
    assert (rig.panel.signals[-1], rig.panel.held) == (Signal.ALARM, False)
    rig.press(REX)
    assert rig.panel.energized


def test_an_attempt_goes_on_while_the_alarm_sounds(rig: Rig) -> None:
    """An open door is no reason to let nobody in, and the alarm does not hide the cue."""
    rig.press(OPENED)
    rig.wait(5.0)
    assert granted(rig.attempt())


def test_closing_the_door_in_an_attempt_moves_nothing(rig: Rig) -> None:
    """The strike was not energized: nothing is relocked, and the attempt goes on."""
    rig.press(REX)
    rig.press(OPENED)
    rig.wait(6.0)
    before = rig.journal.count(("panel", "de_energize"))
    rig.press()
    rig.watch(0.5)
    rig.press(CLOSED)
    assert (rig.journal.count(("panel", "de_energize")), rig.status()["phase"]) == (before, "examining")


@pytest.mark.parametrize(("inputs", "told"), [(frozenset({"contact"}), "open"), (frozenset(), None)])
def test_the_status_tells_of_the_inputs_that_are_there(inputs: frozenset[str], told: str | None) -> None:
    """What is not wired is null, not closed."""
    rig = Rig(replace(WITH_CONTACT, inputs=inputs))
    rig.press(OPENED)
    status = rig.status()
    assert (status["contact"], status["fire"], status["tamper"]) == (told, None, None)


def test_a_fire_is_recorded_only() -> None:
    """It moves no strike, neither way; the status and the record tell of it."""
    rig = Rig(replace(WITH_CONTACT, inputs=frozenset({"fire", "tamper"})))
    rig.press(DoorInput.FIRE)
    assert (kinds(rig), rig.journal.count(("panel", "energize"))) == (["fire"], 0)
    assert (rig.status()["fire"], rig.status()["tamper"]) == (True, False)
    assert granted(rig.attempt())
    rig.press(DoorInput.FIRE_CLEARED)
    assert rig.status()["fire"] is False
