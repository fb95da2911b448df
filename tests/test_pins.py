"""The wiring: what would energize the strike by itself, or cannot work, is refused by name; what is sound is taken."""

from __future__ import annotations

import pytest

from smileaccess.errors import SettingsError
from smileaccess.pins import NONE, PARTS, Pins, problems
from smileaccess.settings import Settings, parse

WHOLE = Pins(
    strike=17, entry=22, approach=23, rex=24, contact=25, tamper=16, fire=26, green=5, amber=6, red=13, buzzer=12
)  # fmt: skip
"""A door with every part."""


def test_a_whole_door_is_sound() -> None:
    """Every part on a line of its own, and the strike on one that is pulled down at boot."""
    assert problems(WHOLE) == []
    assert len(WHOLE.connected()) == len(PARTS) - 1  # three LEDs have no blue


@pytest.mark.parametrize("line", [line for line in range(9, 28) if line != 14])
def test_a_strike_that_is_off_at_boot(line: int) -> None:
    """These are pulled down at power-up: a strike that is energized by a high level stays locked."""
    assert problems(Pins(strike=line)) == []


@pytest.mark.parametrize("line", range(2, 9))
def test_a_strike_that_the_boot_would_energize(line: int) -> None:
    """These are pulled up at power-up."""
    (problem,) = problems(Pins(strike=line))

    assert problem.startswith(f"[gpio] strike = {line}: must be one of 9 to 27: ")
    assert "pulled high at boot" in problem


@pytest.mark.parametrize("line", range(2, 9))
def test_a_strike_that_a_low_level_energizes(line: int) -> None:
    """It is locked at boot only on a line that is pulled up."""
    assert problems(Pins(strike=line, strike_active="low")) == []


@pytest.mark.parametrize("line", [9, 17, 27])
def test_a_strike_that_a_low_level_would_energize_at_boot(line: int) -> None:
    """Where the line is pulled down at boot."""
    (problem,) = problems(Pins(strike=line, strike_active="low"))

    assert "pulled low at boot" in problem


def test_the_serial_consoles_line_is_no_strikes() -> None:
    """The boot loader drives it high, whatever pulls at it."""
    for level in ("high", "low"):
        (problem,) = problems(Pins(strike=14, strike_active=level))
        assert "serial console" in problem


def test_a_door_without_a_strike_is_none() -> None:
    """Everything else is optional."""
    assert problems(Pins()) == ["[gpio] strike = -1: must name the line of the strike's relay"]


def test_two_parts_on_one_line() -> None:
    """Each one too many is named, with who has the line."""
    assert problems(Pins(strike=17, entry=17, rex=22, red=22)) == [
        "[gpio] entry = 17: must be another line: strike has this one",
        "[gpio] red = 22: must be another line: rex has this one",
    ]


@pytest.mark.parametrize("line", [0, 1])
@pytest.mark.parametrize("part", ["strike", "entry", "red"])
def test_the_lines_of_add_on_boards(part: str, line: int) -> None:
    """They belong to nobody else."""
    wired = {"strike": 17, part: line}

    assert problems(Pins(**wired)) == [f"[gpio] {part} = {line}: must be 2 to 27: GPIO 0 and 1 identify add-on boards"]


def test_one_led_of_three_colors() -> None:
    """It needs red and green, of which amber is made; blue may be missing."""
    assert problems(Pins(strike=17, lamps="rgb", red=5, green=6)) == []
    assert problems(Pins(strike=17, lamps="rgb", red=5, green=6, blue=13)) == []
    assert problems(Pins(strike=17, lamps="rgb", amber=5)) == [
        '[gpio] amber = 5: must be -1 with lamps = "rgb", where it is red and green',
        '[gpio] red = -1: must name its line with lamps = "rgb"',
        '[gpio] green = -1: must name its line with lamps = "rgb"',
    ]


def test_three_leds_have_no_blue() -> None:
    """It would never light."""
    (problem,) = problems(Pins(strike=17, blue=5))

    assert problem.startswith("[gpio] blue = 5: must be -1 ")


@pytest.mark.parametrize("line", [2, 3])
def test_an_input_that_the_board_holds_up(line: int) -> None:
    """It cannot be pulled down for a sensor that says yes by a high level; for a low one it is a line like others."""
    (problem,) = problems(Pins(strike=17, approach=line))

    assert problem.startswith(f'[gpio] approach = {line}: must be another line with approach_active = "high"')
    assert problems(Pins(strike=17, approach=line, approach_active="low")) == []
    assert problems(Pins(strike=17, entry=line)) == []


@pytest.mark.parametrize(("part", "level"), [("contact", "contact_open"), ("tamper", "tamper_active")])
def test_a_loop_on_a_line_that_the_board_holds_up(part: str, level: str) -> None:
    """A cut wire has to read open or tampered: with a low level for that, the line has to be pulled down."""
    assert problems(Pins(**{"strike": 17, part: 2})) == []
    (problem,) = problems(Pins(**{"strike": 17, part: 2, level: "low"}))

    assert problem.startswith(f'[gpio] {part} = 2: must be another line with {level} = "low"')


# --- as settings


def test_the_settings_hold_the_wiring() -> None:
    """Names and defaults of both are the same."""
    assert Settings().pins() == Pins()
    text = '[panel]\nkind = "gpio"\n[gpio]\nchip = 4\nstrike = 17\nentry = 22\nentry_active = "high"\ndebounce_s = 0.05'

    assert parse(text).pins() == Pins(chip=4, strike=17, entry=22, entry_active="high", debounce_s=0.05)


def test_everything_wrong_with_a_wiring_is_said_at_once() -> None:
    """A line a problem, the cap among them."""
    with pytest.raises(SettingsError) as caught:
        parse('[panel]\nkind = "gpio"\n[door]\nunlock_s = 12\n[gpio]\nstrike = 4\nentry = 4')

    assert [problem.split(": ")[1] for problem in caught.value.problems] == [
        "[gpio] strike = 4",
        "[gpio] entry = 4",
        "[gpio] strike_cap_s = 10",
    ]


def test_the_guards_cap_may_be_just_the_unlocks_length() -> None:
    """No shorter, since then the guard would relock before its time."""
    both = '[panel]\nkind = "gpio"\n[gpio]\nstrike = 17\nstrike_cap_s = {}\n[door]\nunlock_s = 8'
    parse(both.format(8))
    with pytest.raises(SettingsError, match=r"must be at least \[door\] unlock_s = 8"):
        parse(both.format(7.9))


def test_a_door_without_gpio_needs_no_wiring() -> None:
    """What is not driven is not checked."""
    assert parse("[gpio]\nstrike = 4").pins().strike == 4
    assert parse("").pins().connected() == {}
    assert NONE == -1
