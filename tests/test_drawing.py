"""Plots as SVG: the same bytes each time, ids of their own, texts and colors that a page can change."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from smileaccess import drawing
from smileaccess.drawing import DARK, LIGHT, Color, css_variables, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def bars(figure: Figure, title: str = "three & more") -> None:
    axes = figure.subplots()
    axes.stairs([1, 2, 3], [0, 1, 2, 3], fill=True, color=Color.GRANTED)
    axes.set_title(title)


def drawn(name: str = "bars", title: str = "three & more") -> str:
    return drawing.svg(name, (4, 2), "Three <bars>.", lambda figure: bars(figure, title))


def test_the_same_plot_is_the_same_bytes() -> None:
    assert drawn() == drawn()


def test_it_is_one_element_with_a_text_alternative() -> None:
    root = ET.fromstring(drawn())
    assert root.attrib == {"viewBox": "0 0 288 144", "role": "img", "aria-label": "Three <bars>."}
    tags = {element.tag for element in root.iter()}
    assert (tags >= {"svg", "g", "path", "text"}, {"metadata", "style"} & tags) == (True, set())


def test_texts_are_texts_in_the_page_s_font() -> None:
    svg = drawn()
    assert ">three &amp; more</text>" in svg
    assert "font-family" not in svg


def test_no_two_plots_of_a_page_share_an_id_and_every_reference_is_met() -> None:
    one, other = drawn("one"), drawn("other")
    ids = [re.findall(r'\bid="([^"]+)"', svg) for svg in (one, other)]
    assert ids[0]
    assert len({*ids[0], *ids[1]}) == len(ids[0]) + len(ids[1])
    assert set(re.findall(r'(?:href="|url\()#([\w-]+)', one)) == set(ids[0])


def test_colors_are_the_page_s() -> None:
    svg = drawn()
    assert f"fill: var(--granted, {LIGHT[Color.GRANTED]})" in svg
    assert [color for color in Color if color.value in svg] == []
    assert re.findall(r"(?:fill|stroke): (#\w+)", svg) == []


@pytest.mark.parametrize("colors", [LIGHT, DARK])
def test_a_page_gives_every_color(colors: dict[Color, str]) -> None:
    given = re.findall(r"--(\w+): (#[0-9a-f]{6});", css_variables(colors))
    assert given == [(color.name.lower(), colors[color]) for color in Color]


@pytest.mark.parametrize("title", ["a$b$", "$x", "東京", "{x}\\", "a" * 40])
def test_any_text_can_be_drawn(title: str) -> None:
    """No dollar is a formula, and a character that matplotlib's font lacks is no warning."""
    assert title in drawn(title=title)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("front", "front"), ("a\x00b\ud800\ufffe\u202ec", "a?b???c"), ("x" * 24, "x" * 24), ("x" * 25, f"{'x' * 23}…")],
)
def test_a_label_can_stand_in_a_plot(text: str, shown: str) -> None:
    assert label(text) == shown


def python(program: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder, as somebody else's process would."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


_DRAW = (
    "from smileaccess import drawing\n"
    "print(drawing.svg('bars', (4, 2), 'told', lambda figure: figure.subplots().set_title('title')))"
)


def test_a_machine_s_own_settings_of_matplotlib_change_nothing(tmp_path: Path) -> None:
    plain = python(_DRAW, tmp_path)
    (tmp_path / "matplotlibrc").write_text("svg.fonttype: path\naxes.linewidth: 9\nnonsense\n", encoding="ascii")
    assert python(_DRAW, tmp_path).stdout == plain.stdout != ""


def test_without_a_home_to_write_to_nothing_is_said(tmp_path: Path) -> None:
    """As for a service's user: matplotlib's caches go to a folder that is gone afterwards."""
    done = python(_DRAW, tmp_path, HOME="/dev/null", XDG_CACHE_HOME="/dev/null", XDG_CONFIG_HOME="/dev/null")
    assert (done.returncode, done.stderr, "<svg" in done.stdout) == (0, "", True)


def test_no_window_is_ever_needed(tmp_path: Path) -> None:
    program = f"{_DRAW}\nimport sys\nprint('matplotlib.pyplot' in sys.modules)"
    assert python(program, tmp_path, DISPLAY="", MPLBACKEND="qtagg").stdout.splitlines()[-1] == "False"


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from smileaccess import drawing, errors\n"
        "try:\n    drawing.need_matplotlib()\nexcept errors.Unavailable as error:\n    print(error)"
    )
    done = python(program, tmp_path)
    assert (done.stderr, done.stdout) == (
        "",
        "plots: matplotlib is not installed: install smileaccess with its extra: pip install 'smileaccess[plots]'\n",
    )
