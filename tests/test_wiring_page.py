"""Page, drawing, settings and the rules of the lines agree on one recommended wiring."""

from __future__ import annotations

import importlib.util
import re
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from smileaccess.pins import INPUTS, LAMPS, PARTS, PULLED_UP, Pins, problems
from smileaccess.settings import DoorSettings, load
from tests.house import House

REPOSITORY = Path(__file__).resolve().parent.parent
WIRING = (REPOSITORY / "docs" / "wiring.md").read_text(encoding="utf-8")
INSTALLING = (REPOSITORY / "docs" / "installing.md").read_text(encoding="utf-8")
SVG = (REPOSITORY / "docs" / "wiring.svg").read_text(encoding="utf-8")


def drawer() -> ModuleType:
    """The program that draws it, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("draw_wiring", REPOSITORY / ".ci" / "draw_wiring.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DRAWER = drawer()
LINES: dict[str, int] = DRAWER.LINES


def settings_of(page: str) -> dict[str, Any]:
    """The settings that a page shows."""
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    return tomllib.loads(block)


def rows(page: str) -> list[list[str]]:
    table = page.partition("<!-- lines -->")[2].partition("<!-- /lines -->")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]


def test_the_wiring_has_a_line_for_every_part_of_a_panel_with_three_lamps() -> None:
    """The fire input is in no drawing: not every house has an alarm with a second contact for it."""
    assert set(LINES) == set(PARTS) - {"blue", "fire"}
    assert set(LINES) == {"strike", *INPUTS, *LAMPS, "buzzer"} - {"blue", "fire"}


def test_the_wiring_is_one_that_the_rules_allow() -> None:
    assert problems(Pins(**LINES)) == []


def test_the_strike_rests_at_power_up() -> None:
    """With the defaults it is energized by a high level: its line is pulled down then, and is not the console's."""
    assert (Pins().strike_active, LINES["strike"] in PULLED_UP, LINES["strike"]) == ("high", False, 17)


@pytest.mark.parametrize("page", [WIRING, INSTALLING], ids=["wiring", "installing"])
def test_the_settings_of_both_pages_are_the_wiring(page: str) -> None:
    assert settings_of(page)["gpio"] == LINES


def test_the_settings_of_the_tutorial_pass_the_check(tmp_path: Path) -> None:
    """As `smileaccess run --check` sees them, with keys and a record of their own."""
    house = House(tmp_path)
    (block,) = re.findall(r"```toml\n(.*?)```", INSTALLING, re.DOTALL)
    with house.config.open("a") as file:
        file.write(block)
    done = house.run("run", "--check")
    assert (done.code, done.err) == (0, "")
    assert load(house.config).pins().connected() == LINES


def test_the_table_is_the_wiring_with_its_pins() -> None:
    told = [(row[1].strip("`"), int(row[2]), int(row[3])) for row in rows(WIRING)]
    assert told == [(part, line, DRAWER.HEADER[line]) for part, line in LINES.items()]


def test_the_header_names_each_pin_once_and_no_ground_or_supply() -> None:
    """The forty pins less eight of ground, four of supply, and the two of GPIO 0 and 1."""
    pins = list(DRAWER.HEADER.values())
    others = {1, 2, 4, 6, 9, 14, 17, 20, 25, 30, 34, 39} | {27, 28}
    assert sorted([*pins, *others]) == list(range(1, 41))


def test_the_drawing_is_as_its_program_draws_it() -> None:
    assert DRAWER.draw() == SVG


def test_the_drawing_names_every_line_with_its_pin_inside_its_frame() -> None:
    root = ET.fromstring(SVG)
    texts = [text for text in root.iter() if text.tag.endswith("text")]
    words = " ".join(text.text or "" for text in texts)
    assert {part for part in LINES if DRAWER.told(part) not in words} == set()
    assert all(0 < float(text.attrib["x"]) < DRAWER.WIDTH for text in texts)
    assert all(0 < float(text.attrib["y"]) < DRAWER.HEIGHT for text in texts)


def test_the_drawing_has_colors_for_light_and_dark() -> None:
    light, _, dark = SVG.partition("prefers-color-scheme: dark")
    classes = set(re.findall(r"\.([a-z]+)(?= |,|\.|{)", light.partition("<style>")[2]))
    for name in classes & {"paper", "box", "board", "signal", "ground", "five", "twelve", "quiet"}:
        assert f".{name}" in dark.partition("</style>")[0], name


def test_each_bound_of_the_strike_is_longer_than_the_one_before_it() -> None:
    """The page's numbers: [door] unlock_s, the guard's cap, and the timer relay behind both."""
    unlock_s, cap_s = DoorSettings().unlock_s, Pins().strike_cap_s
    (timer_s,) = {float(told) for told in re.findall(r"(?:after|set to|for) (\d+) s\b(?! and)", WIRING)}
    assert (unlock_s, cap_s, timer_s) == (5.0, 10.0, 12.0)
    assert f"`strike_cap_s` ({cap_s:g} s)" in WIRING
    assert f"`[door] unlock_s` ({unlock_s:g} s)" in WIRING
    assert f"after {timer_s:g} s" in SVG
