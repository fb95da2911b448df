"""What a page of ours is made of: the document, sections with a plot and tables, text that nobody can make markup of.

A page loads nothing from anywhere and runs no script.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from smileaccess.cli.common import plain
from smileaccess.drawing import DARK, LIGHT, css_variables

FEW_ROWS = 30
"""Of a table that is shown at once: a longer one unfolds."""


def document(title: str, body: str) -> str:
    """Return a whole page; `body` is markup, `title` is not."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{text(title)}</h1>\n"
        f"{body}</main>\n</body>\n</html>\n"
    )


def facts(told: dict[str, str]) -> str:
    """Return a list of what there is to know, by name; what is empty is left out."""
    listed = "".join(f"<div><dt>{name}</dt><dd>{text(value)}</dd></div>\n" for name, value in told.items() if value)
    return f"<dl>\n{listed}</dl>\n"


def section(title: str, told: str, plot: str, tables: str) -> str:
    """Return a section: a plot, what it shows in words, and its numbers."""
    return (
        f'<section>\n<h2>{text(title)}</h2>\n<figure>\n<div class="wide">{plot}</div>\n'
        f"<figcaption>{text(told)}</figcaption>\n</figure>\n{tables}</section>\n"
    )


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, unfolded: bool = True) -> str:
    """Return a table that unfolds: a short one lies open, unless told not to."""
    head = "".join(f'<th scope="col">{text(each)}</th>' for each in columns)
    body = "".join(f"<tr>{_cells(row)}</tr>\n" for row in rows)
    shown = " open" if unfolded and len(rows) <= FEW_ROWS else ""
    return (
        f'<details{shown}><summary>The numbers by {text(columns[0])}</summary>\n<div class="wide"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div></details>\n"
    )


def _cells(row: Iterable[str]) -> str:
    first, *others = row
    return f'<th scope="row">{text(first)}</th>' + "".join(f"<td>{text(each)}</td>" for each in others)


def text(text: str) -> str:
    """Return untrusted text as it may stand in a page."""
    return escape(plain(text))


_STYLE = f"""\
:root {{ color-scheme: light dark; --page: #ffffff; --quiet: #595959; {css_variables(LIGHT)} }}
@media screen and (prefers-color-scheme: dark) {{
:root {{ --page: #161616; --quiet: #b0b0b0; {css_variables(DARK)} }}
}}
body {{ margin: 0; background: var(--page); color: var(--ink); font: 16px/1.45 system-ui, sans-serif; }}
main {{ max-width: 60rem; margin: 0 auto; padding: 1rem; }}
h1 {{ font-size: 1.6rem; line-height: 1.2; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.2rem; margin: 2.2rem 0 0.6rem; overflow-wrap: anywhere; }}
dl {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 0.8rem; margin: 0; }}
dt, figcaption, summary, footer {{ color: var(--quiet); font-size: 0.85rem; }}
dd {{ margin: 0; overflow-wrap: anywhere; }}
figure {{ margin: 0 0 0.6rem; }}
figcaption {{ overflow-wrap: anywhere; }}
.wide {{ overflow-x: auto; }}
svg {{ display: block; width: 100%; min-width: 34rem; font-family: system-ui, sans-serif; }}
svg * {{ stroke-linejoin: round; stroke-linecap: butt; }}
summary {{ cursor: pointer; }}
table {{ border-collapse: collapse; font-size: 0.85rem; margin: 0.4rem 0; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 0.2rem 0.6rem; border-bottom: 1px solid var(--faint); text-align: right; white-space: nowrap; }}
th {{ font-weight: 600; }}
th:first-child {{ text-align: left; }}
tbody th {{ font-weight: 400; }}
footer {{ margin-top: 2.5rem; }}
@media print {{
:root {{ color-scheme: light; }}
body {{ font-size: 10pt; }}
main {{ max-width: none; padding: 0; }}
.wide {{ overflow: visible; }}
svg {{ min-width: 0; }}
th, td {{ padding: 0.1rem 0.3rem; font-size: 7.5pt; }}
figure, tr {{ break-inside: avoid; }}
h2 {{ break-after: avoid; }}
}}
"""
