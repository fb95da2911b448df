"""`attempts report`: one page that needs nothing else, tells the truth about the record, and overwrites nothing."""

from __future__ import annotations

import re
import stat
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from smileaccess.model import Reason
from tests.house import House, Result, attempt

ALONE = "<link|src=|@import|http[s]?://(?!www\\.w3\\.org/)|<script"
"""What would have a page ask for something else."""


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path)
    made.put(
        *(attempt(None if day % 3 else Reason.NOT_RECOGNIZED, day=day, cost=0.001, calls=1) for day in range(12)),
        attempt(day=13, closed_at=None),
    )
    return made


def report(house: House, *more: str, name: str = "page.html") -> tuple[Result, str]:
    file = house.folder / name
    told = house.run("attempts", "report", "--html", file, *more)
    return told, file.read_text("utf-8") if file.exists() else ""


class Balanced(HTMLParser):
    """Notes the elements that were opened and not closed."""

    VOID = frozenset({"meta", "br", "hr", "img", "input", "path", "use", "rect", "line", "circle"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 -- the library's
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_stands_alone_and_is_whole(house: House) -> None:
    told, page = report(house)
    assert (told.code, told.err) == (0, "")
    assert "13 attempts" in told.out
    assert re.search(ALONE, page) is None
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []


def test_every_plot_is_a_drawing_with_words_beside_it(house: House) -> None:
    _, page = report(house)
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) >= 4
    for drawing in drawings:
        ET.fromstring(drawing)
        assert "<title" in drawing or "aria-label" in drawing
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_page_tells_what_is_on_record(house: House) -> None:
    _, page = report(house)
    text = re.sub(r"<[^>]+>", " ", page)
    assert "not_recognized" in text or "not recognized" in text
    assert "front" in text
    assert "m_ada" not in page


def test_times_choose_what_is_shown(house: House) -> None:
    told, _ = report(house, "--since", "2026-03-03", "--until", "2026-03-06")
    assert "3 attempts" in told.out


def test_an_empty_record_has_a_page_too(tmp_path: Path) -> None:
    told, page = report(House(tmp_path))
    assert (told.code, "<html" in page) == (0, True)


def test_what_a_person_writes_is_only_text(house: House) -> None:
    _, page = report(house, "--title", "<script>alert(1)</script>")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_page_is_replaced_only_if_told_so(house: House) -> None:
    report(house)
    again, _ = report(house)
    assert (again.code, "--force" in again.err) == (1, True)
    forced, page = report(house, "--force")
    assert (forced.code, bool(page)) == (0, True)
    assert stat.S_IMODE((house.folder / "page.html").stat().st_mode) == 0o600


def test_a_folder_is_never_replaced(house: House) -> None:
    (house.folder / "there").mkdir()
    told = house.run("attempts", "report", "--html", house.folder / "there", "--force")
    assert (told.code, "no plain file" in told.err) == (1, True)


def test_the_same_record_gives_the_same_drawings(house: House) -> None:
    pages = [report(house, name=f"{number}.html")[1] for number in range(2)]
    drawings = [re.findall(r"<svg.*?</svg>", page, re.DOTALL) for page in pages]
    assert drawings[0] == drawings[1]


def test_many_attempts_make_no_large_page(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.put(*(attempt(None if day % 5 else Reason.NO_FACE, day=day) for day in range(400)))
    _, page = report(house)
    assert len(page) < 500_000
