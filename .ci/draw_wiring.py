"""Draws docs/wiring.svg, the wiring that docs/wiring.md recommends: run it as `python .ci/draw_wiring.py`.

The lines are in one place, LINES; tests/test_wiring_page.py holds the page, the drawing and the rules of
smileaccess/pins.py to them. Only the standard library is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

SVG = Path(__file__).resolve().parent.parent / "docs" / "wiring.svg"

LINES = {
    "strike": 17,
    "entry": 5,
    "contact": 6,
    "rex": 13,
    "approach": 19,
    "tamper": 26,
    "green": 22,
    "amber": 23,
    "red": 24,
    "buzzer": 25,
}
"""Which line of the chip (GPIO, BCM) each part hangs on."""

HEADER = {2: 3, 3: 5, 4: 7, 5: 29, 6: 31, 7: 26, 8: 24, 9: 21, 10: 19, 11: 23, 12: 32, 13: 33, 14: 8, 15: 10,
          16: 36, 17: 11, 18: 12, 19: 35, 20: 38, 21: 40, 22: 15, 23: 16, 24: 18, 25: 22, 26: 37, 27: 13}  # fmt: skip
"""The header's pin of each GPIO (Raspberry Pi documentation, 40-pin header)."""

WIDTH, HEIGHT = 1000, 850
TOP = 105
"""Where the rows of parts beside the board begin; each takes ROW."""

ROW = 62

STYLE = """
  svg { font-family: system-ui, "DejaVu Sans", sans-serif; font-size: 14px }
  .paper { fill: #ffffff } .box { fill: #f6f8fa; stroke: #57606a; stroke-width: 1.5 }
  .board { fill: #dff3e4; stroke: #1a7f37; stroke-width: 2 }
  .area { fill: none; stroke: #8c959f; stroke-width: 1; stroke-dasharray: 6 5 }
  text { fill: #1f2328 } .small { font-size: 12.5px } .quiet { fill: #57606a } .title { font-weight: 600 }
  .wire { fill: none; stroke-width: 2 } .symbol { fill: none; stroke: #1f2328; stroke-width: 2 }
  .solid { fill: #1f2328 }
  .signal { stroke: #0969da } .ground { stroke: #6e7781 } .five { stroke: #bf6a02 } .twelve { stroke: #cf222e }
  .link { stroke: #57606a; stroke-dasharray: 3 4; stroke-width: 1.5 }
  .dot.signal { fill: #0969da } .dot.ground { fill: #6e7781 } .dot.five { fill: #bf6a02 } .dot.twelve { fill: #cf222e }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } .box { fill: #161b22; stroke: #8b949e } .board { fill: #12261a; stroke: #3fb950 }
    .area { stroke: #6e7681 } text { fill: #e6edf3 } .quiet { fill: #9aa4af }
    .symbol { stroke: #e6edf3 } .solid { fill: #e6edf3 }
    .signal { stroke: #58a6ff } .ground { stroke: #9aa4af } .five { stroke: #e3a23c } .twelve { stroke: #ff7b72 }
    .link { stroke: #9aa4af }
    .dot.signal { fill: #58a6ff } .dot.ground { fill: #9aa4af } .dot.five { fill: #e3a23c }
    .dot.twelve { fill: #ff7b72 }
  }
"""

INPUTS = (
    ("entry", "Entry button", "outside; closes to ground"),
    ("contact", "Door contact (reed)", "closed with the door"),
    ("rex", "Request to exit", "inside; closes to ground"),
    ("approach", "Approach sensor (PIR)", "drives 3.3 V high"),
    ("tamper", "Tamper switch of the box", "closed with its lid"),
)
LAMPS = (
    ("green", "Green LED", "with 330 \u03a9"),
    ("amber", "Amber LED", "with 330 \u03a9"),
    ("red", "Red LED", "with 330 \u03a9"),
    ("buzzer", "Buzzer", "active, at most 8 mA"),
)


class Drawing:
    """Collects shapes, the later over the earlier."""

    def __init__(self) -> None:
        self._shapes: list[str] = []

    def add(self, shape: str) -> None:
        """Take a shape as SVG."""
        self._shapes.append(f"  {shape}")

    def box(self, x: int, y: int, width: int, height: int, kind: str = "box") -> None:
        """Draw a box with round corners."""
        self.add(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>')

    def text(self, x: int, y: int, words: str, kind: str = "", anchor: str = "start") -> None:
        """Write a line of text; `anchor` is start, middle or end."""
        self.add(f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>')

    def wire(self, kind: str, *points: tuple[int, int]) -> None:
        """Draw a wire through points."""
        way = " ".join(f"{x},{y}" for x, y in points)
        self.add(f'<polyline class="wire {kind}" points="{way}"/>')

    def dot(self, kind: str, x: int, y: int) -> None:
        """Draw where wires are joined."""
        self.add(f'<circle class="dot {kind}" cx="{x}" cy="{y}" r="4"/>')

    def labeled(self, x: int, y: int, width: int, height: int, title: str, lines: Iterable[str]) -> None:
        """Draw a box with a title and small lines below it."""
        self.box(x, y, width, height)
        self.text(x + 10, y + 19, title, "title")
        for number, line in enumerate(lines):
            self.text(x + 10, y + 37 + 17 * number, line, "small quiet")

    def contact(self, x: int, y: int, *, closed: bool) -> None:
        """Draw a switch of 60 units between (x, y) and (x + 60, y)."""
        lift = 0 if closed else 14
        self.add(f'<circle class="symbol" cx="{x + 8}" cy="{y}" r="3.5"/>')
        self.add(f'<circle class="symbol" cx="{x + 52}" cy="{y}" r="3.5"/>')
        self.add(f'<path class="symbol" d="M{x + 11} {y - 2} L{x + 52} {y - 4 - lift}"/>')

    def diode_up(self, x: int, y: int) -> None:
        """Draw a diode around (x, y) with its cathode up."""
        self.add(f'<path class="symbol solid" d="M{x - 9} {y + 8} L{x + 9} {y + 8} L{x} {y - 8} Z"/>')
        self.add(f'<path class="symbol" d="M{x - 9} {y - 8} L{x + 9} {y - 8}"/>')

    def page(self) -> str:
        """Return the whole file."""
        title = "Wiring of a door: inputs, lamps and buzzer at a Raspberry Pi; the strike on a circuit of its own"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">\n'
            f"  <title>{title}</title>\n  <style>{STYLE}  </style>\n"
            f'  <rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>\n' + "\n".join(self._shapes) + "\n</svg>\n"
        )


def told(part: str) -> str:
    """Return a part's line and pin."""
    return f"GPIO {LINES[part]} (pin {HEADER[LINES[part]]})"


def draw() -> str:
    """Return the whole drawing."""
    drawing = Drawing()
    board(drawing)
    inputs(drawing)
    lamps(drawing)
    relay(drawing)
    strike(drawing)
    legend(drawing)
    return drawing.page()


def board(drawing: Drawing) -> None:
    """Draw the Raspberry Pi, its supply, its camera."""
    drawing.box(350, 75, 330, 390, "board")
    drawing.text(515, 100, "Raspberry Pi", "title", "middle")
    drawing.labeled(365, 10, 142, 48, "Supply 5 V", ("or PoE; with UPS",))
    drawing.wire("five", (437, 58), (437, 75))
    drawing.labeled(523, 10, 142, 48, "Camera", ("ribbon cable, USB",))
    drawing.wire("signal", (592, 58), (592, 75))


def inputs(drawing: Drawing) -> None:
    """Draw on the left what the door is told; every input's other wire is ground."""
    for number, (part, title, line) in enumerate(INPUTS):
        y = TOP + ROW * number
        drawing.labeled(20, y, 215, 48, title, (line,))
        drawing.wire("signal", (235, y + 16), (350, y + 16))
        drawing.text(360, y + 21, told(part), "small")
        drawing.wire("ground", (235, y + 36), (300, y + 36))
        drawing.dot("ground", 300, y + 36)
    drawing.wire("ground", (300, TOP + 36), (300, 424), (350, 424))
    drawing.text(360, 429, "ground (pin 39)", "small")
    top = TOP + ROW * [part for part, *_ in INPUTS].index("approach")
    drawing.wire("five", (120, top + 48), (120, top + 55), (265, top + 55), (265, 400), (350, 400))
    drawing.text(360, 405, "5 V (pin 2), for the PIR", "small")


def lamps(drawing: Drawing) -> None:
    """Draw on the right what people see and hear."""
    for number, (part, title, line) in enumerate(LAMPS):
        y = TOP + ROW * number
        drawing.labeled(790, y, 190, 48, title, (line,))
        drawing.wire("signal", (680, y + 16), (790, y + 16))
        drawing.text(670, y + 21, told(part), "small", "end")
        drawing.wire("ground", (790, y + 36), (725, y + 36))
        drawing.dot("ground", 725, y + 36)
    drawing.wire("ground", (725, TOP + 36), (725, 369), (680, 369))
    drawing.text(670, 374, "ground (pin 20)", "small", "end")


def relay(drawing: Drawing) -> None:
    """Draw the only thing that the strike's line drives: a relay behind an optocoupler."""
    for x, kind, words in (
        (398, "five", "5 V (pin 4)"),
        (512, "signal", told("strike")),
        (627, "ground", "ground (pin 9)"),
    ):
        drawing.text(x, 457, words, "small", "middle")
        drawing.wire(kind, (x, 465), (x, 500))
    drawing.labeled(390, 500, 245, 60, "K1: relay board", ("opto-isolated, 3.3 V input,", "energized by a high level"))


def strike(drawing: Drawing) -> None:
    """Draw below the strike's own circuit, which shares nothing with the Raspberry Pi."""
    drawing.box(20, 580, 960, 215, "area")
    drawing.text(32, 601, "The strike's own circuit", "title")
    drawing.text(32, 619, "shares no wire with the Raspberry Pi", "small quiet")
    drawing.labeled(32, 675, 150, 60, "Supply 12 V", ("with battery;", "strike and relays only"))
    drawing.wire("twelve", (182, 690), (200, 690))
    drawing.box(200, 677, 52, 26)
    drawing.text(226, 695, "fuse", "small", "middle")
    drawing.wire("twelve", (252, 690), (280, 690))
    drawing.contact(280, 690, closed=True)
    drawing.text(310, 717, "fire alarm:", "small", "middle")
    drawing.text(310, 733, "cuts the power", "small quiet", "middle")
    drawing.wire("twelve", (335, 690), (400, 690), (400, 635), (485, 635))
    drawing.dot("twelve", 400, 690)
    drawing.contact(485, 635, closed=False)
    drawing.wire("link", (512, 560), (512, 623))
    drawing.text(530, 611, "K1", "small")
    drawing.wire("twelve", (540, 635), (630, 635))
    drawing.labeled(630, 607, 185, 52, "K2: timer relay", ("lets go by itself after 12 s",))
    drawing.wire("ground", (815, 635), (940, 635), (940, 767))
    drawing.wire("twelve", (400, 690), (690, 690))
    drawing.contact(690, 690, closed=False)
    drawing.wire("link", (720, 659), (720, 676))
    drawing.text(712, 676, "K2", "small", "end")
    drawing.wire("twelve", (745, 690), (800, 690))
    drawing.wire("twelve", (775, 690), (775, 721))
    drawing.dot("twelve", 775, 690)
    drawing.diode_up(775, 731)
    drawing.wire("ground", (775, 740), (775, 767))
    drawing.text(760, 736, "diode", "small", "end")
    drawing.labeled(800, 673, 128, 60, "Strike", ("fail-secure: no", "power = locked"))
    drawing.wire("ground", (862, 733), (862, 767))
    drawing.wire("ground", (940, 767), (107, 767), (107, 735))
    for x in (775, 862):
        drawing.dot("ground", x, 767)
    drawing.text(400, 786, "0 V", "small quiet")


def legend(drawing: Drawing) -> None:
    """Tell what the colors mean."""
    x = 32
    for kind, words, width in (
        ("signal", "signal, 3.3 V", 150),
        ("five", "5 V", 90),
        ("ground", "ground, 0 V", 140),
        ("twelve", "12 V", 100),
        ("link", "moves the contact", 190),
    ):
        drawing.wire(kind, (x, 825), (x + 34, 825))
        drawing.text(x + 42, 830, words, "small")
        x += width


if __name__ == "__main__":
    SVG.write_text(draw(), encoding="utf-8")
    print(f"drew {SVG}")
