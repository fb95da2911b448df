"""Draws plots as SVG that stands within a page of HTML and takes its colors from it, or as files that stand alone.

The same plot gives the same bytes: no date, no random id. Within a page its texts stay texts, so that they are small
and can be searched, and its colors are CSS variables, so that they fit a dark page as well. It opens no window and
writes no file.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from smileaccess.errors import Unavailable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Color(StrEnum):
    """The colors of a plot, as matplotlib is told them: each stands for the CSS variable of its name.

    As texts they are not seen but looked for: no other color of ours or of matplotlib's is among them.
    """

    INK = "#010101"
    FAINT = "#010102"
    GRANTED = "#010103"
    DENIED = "#010104"
    OTHER = "#010105"


LIGHT = {
    Color.INK: "#222222",
    Color.FAINT: "#d4d4d4",
    Color.GRANTED: "#0072b2",
    Color.DENIED: "#d55e00",
    Color.OTHER: "#e0a83c",
}
DARK = {
    Color.INK: "#e8e8e8",
    Color.FAINT: "#4a4a4a",
    Color.GRANTED: "#56b4e9",
    Color.DENIED: "#e8743b",
    Color.OTHER: "#f0d58c",
}
"""What the variables are on a light and on a dark page.

After the palette of Okabe and Ito, which people with any of the common kinds of color blindness tell apart.
"""

IN_PAGE = {color: color.value for color in Color}
"""What a plot within a page is drawn with: colors that are looked for afterwards."""

PIXELS = 160
"""Of a PNG in an inch: sharp on paper and on a screen."""

POINTS = 72
"""Units of an SVG's own scale in an inch, in which sizes are given."""

_COLORED = {
    "axes.edgecolor": Color.FAINT,
    "axes.labelcolor": Color.INK,
    "grid.color": Color.FAINT,
    "text.color": Color.INK,
    "xtick.color": Color.FAINT,
    "xtick.labelcolor": Color.INK,
    "ytick.color": Color.FAINT,
    "ytick.labelcolor": Color.INK,
}

_SETTINGS: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.sans-serif": "DejaVu Sans",
    "font.size": 9,
    "grid.linewidth": 0.6,
    "legend.edgecolor": "none",
    "legend.facecolor": "none",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name may hold a dollar sign
    "timezone": "UTC",  # times are drawn as they are given
}

_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_LONG_NUMBER = re.compile(r"-?\d+\.\d{2,}(?:e-?\d+)?")
_NO_TURN = re.compile(r" ?rotate\(-?0(\.0+)? [^)]*\)")
_NAMED = re.compile(r"#([\w.-]+)")


def need_matplotlib() -> None:
    """See that plots can be drawn; Unavailable, with the way to install it, where matplotlib is missing."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of its caches, which are its own affair
    try:
        import matplotlib  # noqa: F401, PLC0415 -- heavy
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"plots: {error.name} is not installed: "
            "install smileaccess with its extra: pip install 'smileaccess[plots]'"
        ) from error


def svg(name: str, size: tuple[float, float], told: str, draw: Callable[[Figure], None]) -> str:
    """Return what `draw` puts on an empty figure as an <svg> element for a page of HTML.

    `name` is unlike those of the page's other plots, `size` in inches, and `told` says in words what is to be seen.
    Unavailable where matplotlib is missing.
    """
    need_matplotlib()
    from matplotlib.figure import Figure  # noqa: PLC0415 -- heavy

    with _settings(name, IN_PAGE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata=_NO_METADATA)
    return _inline(file.getvalue(), name, size, told)


def alone(kind: str, size: tuple[float, float], told: str, draw: Callable[[Figure], None]) -> bytes:
    """Return what `draw` puts on an empty figure as a file of its own, "svg" or "png", on white.

    `size` is in inches, and `told` says in words what is to be seen. Unavailable where matplotlib is missing.
    """
    need_matplotlib()
    from matplotlib.figure import Figure  # noqa: PLC0415 -- heavy

    metadata = {**_NO_METADATA, "Title": told} if kind == "svg" else {"Title": told, "Software": None}
    with _settings("smileaccess", LIGHT):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        file = io.BytesIO()
        figure.savefig(file, format=kind, dpi=PIXELS, facecolor="white", metadata=metadata)
    return file.getvalue()


def label(text: str, most: int = 24) -> str:
    """Return untrusted text as it may stand in a plot: what cannot be printed is shown as ?, and it is not too long."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def css_variables(colors: dict[Color, str]) -> str:
    """Return the declarations that give the plots' variables these colors."""
    return " ".join(f"--{color.name.lower()}: {value};" for color, value in colors.items())


@contextlib.contextmanager
def _settings(salt: str, colors: Mapping[Color, str]) -> Iterator[None]:
    """Draw with our settings, whatever file of settings lies on this machine."""
    import matplotlib as mpl  # noqa: PLC0415 -- heavy

    colored = {name: colors[color] for name, color in _COLORED.items()}
    chosen: Any = {**_SETTINGS, **colored, "svg.hashsalt": salt}
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(chosen)
        # The text is drawn by whoever shows the page, with a font that has the character.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        yield


def _inline(written: bytes, name: str, size: tuple[float, float], told: str) -> str:
    root = ET.fromstring(written)  # noqa: S314 -- matplotlib's own
    used = set(_NAMED.findall(" ".join(value for element in root.iter() for value in element.attrib.values())))
    for parent in list(root.iter()):
        for child in [each for each in parent if each.tag.endswith("}style")]:
            parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = _attributes(element.attrib, name, used)
        element.tail = None
        if element.tag != "text":
            element.text = None
    box = f"0 0 {size[0] * POINTS:g} {size[1] * POINTS:g}"
    root.attrib = {"viewBox": box, "role": "img", "aria-label": told}
    return ET.tostring(root, encoding="unicode")


def _attributes(attributes: dict[str, str], name: str, used: set[str]) -> dict[str, str]:
    """Return an element's attributes, shorter; an id stays where it is used, and is the page's only one of its name."""
    kept = {key.rpartition("}")[2]: _value(key, value, name, used) for key, value in attributes.items()}
    if kept.get("id") not in {f"{name}-{each}" for each in used}:
        kept.pop("id", None)
    return {key: value for key, value in kept.items() if value}


def _value(key: str, value: str, name: str, used: set[str]) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == "style":
        return _style(value)
    value = _NO_TURN.sub("", value)
    value = _NAMED.sub(lambda found: f"#{name}-{found[1]}" if found[1] in used else found[0], value)
    return " ".join(_LONG_NUMBER.sub(lambda found: f"{float(found[0]):.1f}", value).split())


def _style(value: str) -> str:
    """Return a style without fonts, which are the page's, and with variables for our colors."""
    parts = (part.strip() for part in value.split(";"))
    kept = "; ".join(part for part in parts if part and not part.startswith(("font-family", "font:")))
    for color in Color:
        kept = kept.replace(color.value, f"var(--{color.name.lower()}, {LIGHT[color]})")
    return kept
