"""`smileaccess attempts report` on real records: one page that needs nothing else, and names nobody."""

from __future__ import annotations

import os
import random
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from smileaccess.cli import plots
from smileaccess.cli.page import MOST_NAMED, Heading, page
from smileaccess.cli.paper import FEW_ROWS
from smileaccess.model import Attempt, Reason
from smileaccess.reporting import Tally
from tests.house import THEN, House, attempt

VOID = {"meta", "br", "hr", "img", "link"}
HEADING = Heading(datetime(2026, 5, 1, 8, 15, tzinfo=UTC))


class Parsed(HTMLParser):
    """A page's elements, texts, tables and ids; a tag that is not closed in its turn is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())
        if self.open and self.open[-1] in {"td", "th"}:
            self.rows[-1][-1] += data

    def all(self, name: str) -> list[str]:
        return [value for each, value in self.attributes if each == name]

    def headings(self, text: str) -> list[str]:
        return re.findall(r"<h2>(.*?)</h2>", text)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def made(*attempts: Attempt, heading: Heading = HEADING, thresholds: dict[str, float] | None = None) -> str:
    tally = Tally({"embedded": 99.0} if thresholds is None else thresholds, UTC)
    tally.add_all(attempts)
    return page(tally, heading)


def titles(text: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", text)


def many(count: int, days: int) -> Iterator[Attempt]:
    """Attempts as a door sees them over some days, always the same."""
    chance = random.Random(4)
    for _ in range(count):
        reason = chance.choice([None] * 5 + list(Reason))
        opened = THEN + timedelta(seconds=chance.uniform(0, days * 86400))
        stages = {"first_face": chance.uniform(100, 900), "smiled": chance.uniform(1000, 9000)}
        yield replace(
            attempt(reason, similarity=100 - 100 * chance.random() ** 4, stages_ms=stages, calls=3, cost=0.003),
            opened_at=opened,
            closed_at=opened + timedelta(seconds=chance.uniform(1, 10)),
            recognizer=chance.choice(["embedded", "rekognition"]),
        )


class TestCommand:
    def test_it_writes_one_page(self, house: House, tmp_path: Path) -> None:
        house.put(attempt(), attempt(None, day=1))
        told = house.run("attempts", "report", "--html", tmp_path / "page.html")
        assert (told.code, told.out, told.err) == (0, f"wrote a report on 2 attempts to {tmp_path / 'page.html'}\n", "")
        text = (tmp_path / "page.html").read_text("utf-8")
        assert "<title>Attempts at the door front</title>" in text
        assert titles(text)[:2] == ["Attempts per hour", "Denials by reason"]

    def test_only_who_runs_it_may_read_the_page(self, house: House, tmp_path: Path) -> None:
        house.run("attempts", "report", "--html", tmp_path / "page.html")
        assert stat.S_IMODE((tmp_path / "page.html").stat().st_mode) == 0o600

    @pytest.mark.parametrize(
        ("options", "count"),
        [
            ((), 3),
            (("--since", "2026-03-02T00:00:00+00:00"), 2),
            (("--until", "2026-03-02T00:00:00+00:00"), 1),
            (("--since", "2026-03-02T00:00:00+00:00", "--until", "2026-03-03T00:00:00+00:00"), 1),
        ],
    )
    def test_of_a_span(self, house: House, tmp_path: Path, options: tuple[str, ...], count: int) -> None:
        house.put(*(attempt(day=day) for day in range(3)))
        told = house.run("attempts", "report", "--html", tmp_path / "page.html", *options)
        assert f"report on {count} attempt" in told.out
        assert ("Asked for" in (tmp_path / "page.html").read_text("utf-8")) is bool(options)

    def test_the_threshold_is_the_settings(self, house: House, tmp_path: Path) -> None:
        house.config.write_text(house.config.read_text("ascii") + "[recognition]\nthreshold = 99.3\n", "ascii")
        house.put(attempt(None))
        house.run("attempts", "report", "--html", tmp_path / "page.html")
        assert ">threshold 99.3</text>" in (tmp_path / "page.html").read_text("utf-8")

    def test_a_page_of_its_own_title(self, house: House, tmp_path: Path) -> None:
        house.run("attempts", "report", "--html", tmp_path / "page.html", "--title", "March <1>\x1b[2J")
        text = (tmp_path / "page.html").read_text("utf-8")
        assert "<h1>March &lt;1&gt;\\x1b[2J</h1>" in text

    def test_a_file_is_never_overwritten(self, house: House, tmp_path: Path) -> None:
        (tmp_path / "page.html").write_text("mine", "ascii")
        told = house.run("attempts", "report", "--html", tmp_path / "page.html")
        assert (told.code, "exists: give another name, or --force" in told.err) == (1, True)
        assert (tmp_path / "page.html").read_text("ascii") == "mine"

    def test_unless_told_to(self, house: House, tmp_path: Path) -> None:
        (tmp_path / "page.html").write_text("mine", "ascii")
        assert house.run("attempts", "report", "--html", tmp_path / "page.html", "--force").code == 0
        assert (tmp_path / "page.html").read_text("ascii").startswith("<!DOCTYPE html>")

    @pytest.mark.parametrize("options", [(), ("--force",)])
    def test_a_folder_and_a_link_stay_what_they_are(
        self, house: House, tmp_path: Path, options: tuple[str, ...]
    ) -> None:
        """Nor is a device replaced by a page, though root could do it."""
        (tmp_path / "folder").mkdir()
        (tmp_path / "link").symlink_to(house.config)
        before = house.config.read_bytes()
        for name in ("folder", "link"):
            assert house.run("attempts", "report", "--html", tmp_path / name, *options).code == 1
        assert (tmp_path / "folder").is_dir()
        assert ((tmp_path / "link").is_symlink(), house.config.read_bytes()) == (True, before)

    def test_a_folder_that_is_not_there_is_told_before_the_record_is_read(self, house: House, tmp_path: Path) -> None:
        house.database.write_bytes(b"no database at all" * 100)
        told = house.run("attempts", "report", "--html", tmp_path / "no" / "page.html")
        assert (told.code, "give a place that you may write" in told.err) == (1, True)

    def test_what_fails_leaves_nothing_behind(self, house: House, tmp_path: Path) -> None:
        """A record that cannot be read is no page, and no half of one."""
        house.database.write_bytes(b"no database at all" * 100)
        before = set(tmp_path.iterdir())
        told = house.run("attempts", "report", "--html", tmp_path / "page.html")
        assert (told.code, told.out) == (1, "")
        assert {each for each in set(tmp_path.iterdir()) - before if not each.name.startswith("door.db")} == set()

    def test_without_matplotlib_it_says_what_to_install(self, house: House, tmp_path: Path) -> None:
        program = (
            "import sys; sys.modules['matplotlib'] = None\nfrom smileaccess.cli import main\n"
            f"main(['--config', {str(house.config)!r}, 'attempts', 'report', '--html', 'page.html'])"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, "pip install 'smileaccess[plots]'" in done.stderr) == (1, True)
        assert not (tmp_path / "page.html").exists()

    def test_a_terminal_shows_how_far_it_is(self, house: House, tmp_path: Path) -> None:
        house.put(*(attempt(day=day) for day in range(3)))
        shown, terminal = os.openpty()
        os.set_blocking(shown, False)
        program = (
            "from smileaccess.cli import main\n"
            f"main(['--config', {str(house.config)!r}, 'attempts', 'report', '--html', 'page.html'])"
        )
        environment = {**os.environ, "TERM": "xterm"}
        with os.fdopen(terminal, "wb") as stderr, os.fdopen(shown, "rb", buffering=0) as screen:
            done = subprocess.run(
                [sys.executable, "-c", program],
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment,
                check=False,
            )
            assert done.returncode == 0
            assert b"attempts read" in (screen.read(10_000) or b"")


class TestPage:
    def test_it_loads_nothing_and_runs_nothing(self) -> None:
        parsed = Parsed(made(*many(300, 3)))
        assert {"script", "link", "img", "iframe", "object", "image"} & set(parsed.tags) == set()
        assert [name for name, _ in parsed.attributes if name.startswith("on") or name in {"src", "srcset"}] == []
        assert [value for value in parsed.all("href") if not value.startswith("#")] == []
        text = made(*many(300, 3))
        assert re.findall(r"https?:|@import|@font-face|url\((?!#)", text) == []
        assert "default-src 'none'" in text

    def test_the_same_attempts_are_the_same_page(self) -> None:
        assert made(*many(50, 3)) == made(*many(50, 3))

    def test_every_plot_has_words_and_a_table(self) -> None:
        text = made(*many(300, 3))
        sections = text.split("<section>")[1:]
        assert len(sections) == len(titles(text)) == 6
        for section in sections:
            assert [section.count(part) > 0 for part in ('role="img" aria-label="', "<figcaption>", "<table>")] == [
                True
            ] * 3
        assert len(Parsed(text).all("id")) == len(set(Parsed(text).all("id")))

    def test_it_names_no_member(self) -> None:
        text = made(attempt(), attempt(None), attempt(Reason.NOT_RECOGNIZED, member_id="m_bob"))
        assert ("m_ada" in text, "m_bob" in text) == (False, False)
        assert "No names and no members' ids stand on this page." in text

    def test_what_comes_from_the_record_is_escaped(self) -> None:
        """The central record is as good as who can write to it."""
        odd = '<script>alert(1)</script>"\x00\u202e$x$'
        bad = replace(attempt(recognizer=odd, stages_ms={odd: 5.0}), door=odd)
        text = made(bad, attempt(), heading=replace(HEADING, title=odd))
        assert "script" not in Parsed(text).tags
        assert [character in text for character in "\x00\u202e"] == [False, False]
        assert "&lt;script&gt;" in text

    def test_an_empty_record_is_a_page_without_plots(self) -> None:
        text = made()
        assert ("There are no attempts on record." in text, "<svg" in text, titles(text)) == (True, False, [])
        assert "<title>Attempts</title>" in text
        Parsed(text)

    def test_an_empty_span_says_which(self) -> None:
        told = made(heading=replace(HEADING, since=THEN, until=THEN + timedelta(days=1)))
        assert "There are no attempts from 2026-03-01 12:00 until 2026-03-02 12:00 on record." in told

    def test_a_single_attempt(self) -> None:
        text = made(attempt(None))
        assert titles(text) == ["Attempts per hour", "Similarity and threshold (embedded)", "Latency by stage"]
        assert ["2026-03-01 12:00", "1", "0", "100.0 %"] in Parsed(text).rows
        assert "1 (100.0 %)" in Parsed(text).texts

    def test_an_attempt_without_an_end_has_no_plot(self) -> None:
        text = made(replace(attempt(), closed_at=None, outcome=None, reason=None))
        assert (titles(text), "1 (1 without an end: in no plot)" in Parsed(text).texts) == ([], True)

    def test_a_denial_without_similarity(self) -> None:
        text = made(attempt(Reason.TOO_DARK, similarity=None, recognizer=None, stages_ms={}))
        assert titles(text) == ["Attempts per hour", "Denials by reason", "Latency by stage"]

    def test_years_of_attempts_have_a_plot_of_weeks(self) -> None:
        text = made(*(attempt(day=day) for day in range(0, 1000, 3)))
        assert titles(text)[0] == "Attempts per week"
        assert "2026-02-23" in [row[0] for row in Parsed(text).rows]

    def test_denials_by_reason_and_hour(self) -> None:
        text = made(attempt(), attempt(), attempt(Reason.CAMERA_UNAVAILABLE), attempt(None))
        rows = {row[0]: row[1:] for row in Parsed(text).rows if len(row) == 27}
        assert rows["no_smile"] == ["2", "66.7 %", *[""] * 12, "2", *[""] * 11]
        assert rows["camera_unavailable"][:2] == ["1", "33.3 %"]
        assert "3 (1 by a fault of the system)" in Parsed(text).texts

    def test_similarity_against_each_recognizer_s_threshold(self) -> None:
        text = made(
            attempt(None, similarity=99.4),
            attempt(similarity=99.2),
            attempt(Reason.NOT_RECOGNIZED, similarity=98.9),
            attempt(None, recognizer="rekognition", similarity=99.95),
            thresholds={"embedded": 99.0},
        )
        rows = Parsed(text).rows
        assert ["granted", "1", "99.400", "99.400", "1"] in rows
        assert ["denied: not recognized", "1", "98.900", "98.900", "0"] in rows
        assert ["denied for another reason", "1", "99.200", "99.200", "1"] in rows
        assert ["granted", "1", "99.950", "99.950", "-"] in rows
        assert "The threshold in the settings is 99; 1 of those denied reached it." in text
        assert "The settings name no threshold for it." in text
        assert text.count(">threshold 99</text>") == 1

    @pytest.mark.parametrize("similarity", [0.0, 50.0, 98.0, 99.0, 99.99, 100.0])
    def test_every_similarity_has_its_place(self, similarity: float) -> None:
        text = made(attempt(None, similarity=similarity), thresholds={"embedded": 100.0})
        shown = next(row for row in Parsed(text).rows if " to " in row[0])
        low, high = (float(value) for value in shown[0].split(" to "))
        assert low - 0.0006 <= similarity <= high + 0.0006
        assert shown[1:] == ["1", "0", "0"]

    def test_latency_by_stage_in_the_order_of_an_attempt(self) -> None:
        attempts = [attempt(None, stages_ms={"smiled": 3000.0, "first_face": 10.0 * each}) for each in range(1, 101)]
        rows = Parsed(made(*attempts)).rows
        place = rows.index(["stage", "attempts", "median (s)", "90th (s)", "99th (s)"])
        assert rows[place + 1 : place + 4] == [
            ["a clear face", "100", "0.50", "0.90", "0.99"],
            ["smiled", "100", "3.00", "3.00", "3.00"],
            ["end: granted", "100", "4.00", "4.00", "4.00"],
        ]

    def test_cost_per_day_and_in_all(self) -> None:
        text = made(attempt(calls=3, cost=0.003), attempt(day=1, calls=1, cost=0.0012), attempt(day=2))
        rows = Parsed(text).rows
        place = rows.index(["day", "cost"])
        assert rows[place + 1 : place + 4] == [["2026-03-01", "0.003"], ["2026-03-02", "0.0012"], ["in all", "0.0042"]]
        assert "0.0042 in all; billed calls: 4." in text

    def test_without_billed_calls_nothing_is_said_of_cost(self) -> None:
        text = made(attempt())
        assert ("Cost" in "".join(titles(text)), "<dt>Cost</dt>" in text) == (False, False)

    def test_several_doors_have_a_plot_of_their_own(self) -> None:
        text = made(attempt(), attempt(None), replace(attempt(None, cost=0.5), door="back"))
        assert titles(text)[-1] == "Attempts by door"
        assert "<title>Attempts at 2 doors</title>" in text
        rows = Parsed(text).rows
        assert ["front", "2", "1", "1", "50.0 %", "0.000"] in rows
        assert ["back", "1", "1", "0", "100.0 %", "0.500"] in rows
        assert "back, front" in Parsed(text).texts

    @pytest.mark.parametrize("more", [0, 1])
    def test_of_many_doors_those_with_most_attempts_are_drawn(self, more: int) -> None:
        count = plots.MOST_DOORS + more
        attempts = [replace(attempt(), door=f"d{number:03}") for number in range(count) for _ in range(count - number)]
        text = made(*attempts)
        drawn = set(re.findall(r">(d\d{3})</text>", text))
        assert drawn == {f"d{number:03}" for number in range(plots.MOST_DOORS)}
        assert ("with most attempts" in text) is bool(more)
        assert len({row[0] for row in Parsed(text).rows if row[0].startswith("d0")}) == count

    @pytest.mark.parametrize(("count", "named"), [(MOST_NAMED, True), (MOST_NAMED + 1, False)])
    def test_the_head_names_a_few_doors(self, count: int, named: bool) -> None:
        text = made(*(replace(attempt(), door=f"d{number}") for number in range(count)))
        head = text[: text.index("</dl>")]
        assert ("d0, d1, d2" in head, f"<dt>Doors</dt><dd>{count}</dd>" in head) == (named, not named)

    @pytest.mark.parametrize(("rows", "opened"), [(FEW_ROWS, True), (FEW_ROWS + 1, False)])
    def test_a_long_table_unfolds(self, rows: int, opened: bool) -> None:
        text = made(*(attempt(day=day) for day in range(0, rows * 6, 6)))
        table = text[text.index("<details") : text.index("The numbers by day")]
        assert table.startswith("<details open>") is opened

    def test_ten_thousand_attempts_of_every_kind_are_a_small_page(self) -> None:
        """Sums are no larger for more attempts: bars, hours and bins are bounded."""
        text = made(*many(10_000, 190), thresholds={"embedded": 99.0, "rekognition": 99.0})
        assert len(text.encode()) < 500_000
        assert max(len(plot) for plot in re.findall(r"<svg.*?</svg>", text, re.DOTALL)) < 120_000
