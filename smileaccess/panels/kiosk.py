"""The picture of a door on a terminal of 80 by 24 or more; it draws what it is given and reads no clock and no key."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.align import Align
from rich.console import Console, Group
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from smileaccess.model import Outcome, Signal
from smileaccess.signals import HINTS, LOOKS, Color

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderableType, RenderResult

    from smileaccess.model import Attempt

WIDTH, HEIGHT = 80, 24
SHOWN_ATTEMPTS = 7
"""As many as fit 24 lines."""

_WIDTH_FOR_NUMBERS = 70

_LAMP_STYLES = {Color.GREEN: "bold green", Color.AMBER: "bold yellow", Color.RED: "bold red"}
_KEYS = (("SPACE", "entry"), ("P", "approach"), ("X", "exit"), ("Q", "leave"))
_SCENE_KEYS = (("1-8", "scene"),)


@dataclass(frozen=True, slots=True)
class AttemptLine:
    """An attempt as the table shows it: when (UTC, already as text), who, and what became of it."""

    at: str
    who: str
    granted: bool
    why: str
    numbers: str


@dataclass(frozen=True, slots=True)
class KioskView:
    """All that the picture shows.

    `since_s` is how long the signal has been shown (LEDs blink and the buzzer sounds by it); `open_s` is what is
    left of the strike's time, 0 when locked; `attempts` are newest first; `scenes` says
    whether the keys 1 to 8 do anything.
    """

    door: str
    signal: Signal
    since_s: float
    open_s: float
    attempts: tuple[AttemptLine, ...] = ()
    status: str = ""
    hint: str = ""
    scenes: bool = False


def attempt_line(attempt: Attempt, who: str) -> AttemptLine:
    """Turn a closed attempt into its line; `who` is the name to be shown, never taken from the record."""
    measured = attempt.similarity is not None or attempt.smile is not None
    return AttemptLine(
        at=attempt.opened_at.strftime("%H:%M:%S"),
        who=who,
        granted=attempt.outcome is Outcome.GRANTED,
        why=attempt.reason.value if attempt.reason else "granted",
        numbers=f"{_number(attempt.similarity, 1)} / {_number(attempt.smile, 0)}" if measured else "",
    )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def hint_for(attempt: Attempt) -> str:
    """Return the sentence that tells what to do after this attempt; empty after a grant."""
    return HINTS[attempt.reason] if attempt.reason else ""


def draw(view: KioskView) -> RenderableType:
    """Draw the door: lamps and strike, the prompt, the last attempts, status and keys."""
    layout = Layout()
    layout.split_column(Layout(name="door", size=9), Layout(name="attempts"), Layout(name="foot", size=2))
    layout["door"].split_row(Layout(_hardware(view), size=30), Layout(_prompt(view)))
    layout["attempts"].update(_Attempts(view.attempts))
    layout["foot"].update(Group(Text(view.status or " ", style="dim", no_wrap=True, overflow="ellipsis"), _help(view)))
    return layout


_ELSEWHERE = re.compile(r"<!--.*?-->|@font-face \{.*?\}\s*", re.DOTALL)
"""What rich puts into a picture to have its font fetched from elsewhere; the viewer's own one does."""


def kiosk_svg(view: KioskView) -> str:
    """Return the picture as SVG, 80 by 24; the same view gives the same text."""
    console = Console(
        record=True,
        file=io.StringIO(),
        width=WIDTH,
        height=HEIGHT,
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
        _environ={},
    )
    console.print(draw(view), height=HEIGHT)
    return _ELSEWHERE.sub("", console.export_svg(title="smileaccess", unique_id="smileaccess"))


def _hardware(view: KioskView) -> Panel:
    look = LOOKS[view.signal]
    grid = Table.grid(padding=(0, 2))
    for color in Color:
        lit = look.lit(color, view.since_s)
        grid.add_row(Text("●" if lit else "○", style=_LAMP_STYLES[color] if lit else "dim"), color.value)
    sounding = look.sounding(view.since_s)
    grid.add_row(Text("♪" if sounding else "·", style="bold magenta" if sounding else "dim"), "buzzer")
    strike = (f" OPEN {view.open_s:.1f} s ", "reverse green") if view.open_s > 0 else (" LOCKED ", "reverse red")
    grid.add_row("", "")
    grid.add_row("", Text.assemble("strike  ", strike))
    return Panel(grid, title=view.door, padding=(0, 2))


def _prompt(view: KioskView) -> Panel:
    look = LOOKS[view.signal]
    words = Group(
        Align.center(Text(look.prompt.upper(), style="bold")),
        Text(""),
        Align.center(Text(view.hint, style="italic", justify="center")),
    )
    return Panel(Align.center(words, vertical="middle"), border_style=_accent(look.lamps))


def _accent(lamps: frozenset[Color]) -> str:
    return next(style for color, style in _LAMP_STYLES.items() if color in lamps)


@dataclass(frozen=True, slots=True)
class _Attempts:
    """The table of attempts, which leaves out what was measured where that would leave little room for names."""

    lines: Sequence[AttemptLine]

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        table = _table(self.lines, measured=options.max_width >= _WIDTH_FOR_NUMBERS)
        yield Panel(table, title="last attempts", title_align="left")


def _table(lines: Sequence[AttemptLine], *, measured: bool) -> Table:
    table = Table(box=None, expand=True, pad_edge=False, header_style="dim")
    table.add_column("time", min_width=8, no_wrap=True)
    table.add_column("who", ratio=1, min_width=8, no_wrap=True, overflow="ellipsis")
    table.add_column("outcome", max_width=22, no_wrap=True, overflow="ellipsis")
    if measured:
        table.add_column("similar / smile", min_width=15, no_wrap=True)
    for line in lines[:SHOWN_ATTEMPTS]:
        why = Text(line.why, style="bold green" if line.granted else "red")
        numbers = [Text(line.numbers, style="dim")] if measured else []
        table.add_row(line.at, Text(line.who), why, *numbers)
    return table


def _help(view: KioskView) -> Text:
    words = Text(no_wrap=True, overflow="ellipsis")
    for key, meaning in _KEYS + (_SCENE_KEYS if view.scenes else ()):
        words.append(f" {key} ", style="reverse").append(f" {meaning}   ")
    return words
