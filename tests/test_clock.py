"""The clocks: one that only moves when told, and the machine's."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smileaccess.clock import SystemClock, VirtualClock
from tests.builders import NOON


def test_virtual_time_stands_still() -> None:
    """Nobody moves it but `advance`."""
    clock = VirtualClock(NOON)

    assert [(clock.monotonic(), clock.now()) for _ in range(3)] == [(0.0, NOON)] * 3
    assert clock.synchronized()


@given(st.lists(st.floats(-10, 10), max_size=20))
def test_virtual_time_moves_as_told(steps: list[float]) -> None:
    """Both clocks move together and never back."""
    clock = VirtualClock(NOON)
    seen = [clock.monotonic()]
    for step in steps:
        clock.advance(step)
        seen.append(clock.monotonic())

    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(sum(max(0.0, step) for step in steps))
    assert clock.now() == NOON + timedelta(seconds=seen[-1])


def test_wall_time_is_aware_and_utc() -> None:
    """The machine's wall time names its zone."""
    assert SystemClock().now().tzinfo is UTC


def test_the_machines_monotonic_clock_never_goes_back() -> None:
    """Each look at it is no earlier than the one before."""
    clock = SystemClock()
    seen = [clock.monotonic() for _ in range(1000)]

    assert seen == sorted(seen)


def test_whether_the_clock_is_set_is_known() -> None:
    """The kernel's answer is a plain yes or no, whatever the machine."""
    assert SystemClock().synchronized() in {True, False}
