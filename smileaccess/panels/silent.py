"""A panel with no outside at all, for rehearsals and for a demo without a terminal; it never prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smileaccess.errors import PanelUnavailable
from smileaccess.model import Signal
from smileaccess.panels.soft_strike import SoftStrike

if TYPE_CHECKING:
    from collections.abc import Callable

    from smileaccess.model import DoorInput
    from smileaccess.ports import Clock


class SilentPanel:
    """A full panel whose strike is held in software and whose buttons are pressed by `press`; any thread."""

    def __init__(self, clock: Clock) -> None:
        self._strike = SoftStrike(clock)
        self._on_input: Callable[[DoorInput], None] | None = None
        self._shown = Signal.LOCKED

    def secure(self) -> None:
        """De-energize the strike."""
        self._strike.de_energize()

    def start(self, on_input: Callable[[DoorInput], None]) -> None:
        """Take the listener; the strike is de-energized."""
        self._strike.de_energize()
        self._on_input = on_input

    def press(self, door_input: DoorInput) -> None:
        """Report an input as a person at the panel would cause it; PanelUnavailable when the panel is not open."""
        if self._on_input is None:
            raise PanelUnavailable(f"panel: {door_input} was pressed on a panel that is not open")
        self._on_input(door_input)

    def energize(self, for_s: float) -> None:
        """Energize the strike for at most `for_s` seconds from now; PanelUnavailable when the panel is not open."""
        if self._on_input is None:
            raise PanelUnavailable("panel: the strike cannot be energized: the panel is not open; start it first")
        self._strike.energize(for_s)

    def de_energize(self) -> None:
        """De-energize the strike."""
        self._strike.de_energize()

    def signal(self, signal: Signal) -> None:
        """Remember the signal as the one shown."""
        self._shown = signal

    def close(self) -> None:
        """De-energize the strike and let go of the listener."""
        self._strike.de_energize()
        self._on_input = None

    @property
    def energized(self) -> bool:
        """Whether the strike is energized now."""
        return self._strike.energized

    @property
    def shown(self) -> Signal:
        """The last signal; LOCKED before any."""
        return self._shown
