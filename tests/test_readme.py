"""What the README says is what the program does."""

from __future__ import annotations

import re
from pathlib import Path

from smileaccess.signals import signals_as_markdown

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_signals_is_that_of_the_program() -> None:
    """The README shows the one table of signals, word for word."""
    shown = README.partition("<!-- signals -->\n")[2].partition("<!-- /signals -->")[0]
    assert shown == signals_as_markdown()


def test_every_link_leads_to_a_file() -> None:
    """No link of the README or the docs leads nowhere."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8")
        targets = [t.partition("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in t]
        missing = [target for target in targets if target and not (page.parent / target).exists()]
        assert missing == [], page


def test_every_page_of_the_docs_is_reached_from_the_readme() -> None:
    """A newcomer finds every page from the README."""
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    assert pages == set(re.findall(r"\((docs/[^)]+\.md)\)", README))
