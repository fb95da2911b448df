"""An operator's lock as it is read back from the record."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from smileaccess.model import DoorEvent
from smileaccess.orders import Lock, standing_lock
from tests.builders import NOON, make_event

ANNS = Lock(NOON - timedelta(days=3), "ann")


def event(kind: str, **detail: Any) -> DoorEvent:
    return replace(make_event(kind=kind), detail=detail)


@pytest.mark.parametrize("kind", ["lock_kept", "start"])
def test_a_lock_that_is_told_of_again_holds(kind: str) -> None:
    """A lock outlives restarts, and the pruning of the event that began it."""
    assert standing_lock(event(kind, locked=ANNS.told())) == ANNS


def test_the_order_itself_holds() -> None:
    """Since when and whose is what the event says."""
    assert standing_lock(event("control_lock")) == Lock(NOON, "operator")


@pytest.mark.parametrize("last", [None, event("control_release"), event("start"), event("start", version="1")])
def test_without_an_order_nothing_is_locked(last: DoorEvent | None) -> None:
    """Nor after a release, or a start of an unlocked door."""
    assert standing_lock(last) is None


@pytest.mark.parametrize("told", ["yes", {}, {"since": "noon", "who": "ann"}, {"since": None}])
def test_a_lock_that_is_told_of_badly_holds_all_the_same(told: object) -> None:
    """In doubt it is locked."""
    assert standing_lock(event("start", locked=told)) == Lock(NOON, "operator")
