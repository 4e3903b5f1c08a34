"""The frame of an HTML page that needs no server and may ask nobody for anything."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from avemo_harness.text import printable

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #5d656e; --rule: #d5d9de; --paper: #fff; --raised: #f5f6f8;
  --mark: #0b62a8; --bad: #a8320b; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --faint: #9aa3ad; --rule: #3a4048; --paper: #16191d; --raised: #1f242a; --mark: #6cb6f5;
    --bad: #f2946b; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 64rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
p, li, dd { max-width: 48rem; }
.faint { color: var(--faint); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; overflow-wrap: normal; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } tbody th { font-weight: inherit; }
summary { cursor: pointer; padding: .2rem 0; }
@media (max-width: 40rem) { th, td { padding: .3rem .35rem; } th { white-space: normal; } }
@media print {
  body { max-width: none; padding: 0; font-size: 11px; }
  .wide { overflow: visible; }
  th, td { white-space: normal; padding: .2rem .35rem; }
  tr, svg { break-inside: avoid; } h2, h3, figcaption { break-after: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
"""
"""What all pages look like: readable on a phone, in the dark and on paper."""


@dataclass(frozen=True, slots=True)
class Page:
    """What goes into the frame.

    Args:
        title: as text.
        body: as HTML, in which everything that a run or a release says is escaped.
        style: CSS of this page, after that of all pages.
        scripts: JavaScript, at the end of the body in this order.
        media: where pictures and recordings may come from, as sources of a Content-Security-Policy.
        facts: what programs read of the page, by name.
    """

    title: str
    body: str
    style: str = ""
    scripts: Sequence[str] = ()
    media: str = "'none'"
    facts: Mapping[str, str] = field(default_factory=dict)

    def html(self) -> str:
        """The page as text. Its policy allows its own style and scripts, by their digests, and `media`."""
        style = STYLE + self.style
        facts = "".join(f'<meta name="{name}" content="{escaped(fact)}">\n' for name, fact in self.facts.items())
        policy = [
            "default-src 'none'",
            f"style-src {_digest(style)}",
            "script-src " + (" ".join(map(_digest, self.scripts)) or "'none'"),
            f"media-src {self.media}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
        scripts = "".join(f"<script>{script}</script>\n" for script in self.scripts)
        return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape("; ".join(policy), quote=False)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
{facts}<link rel="icon" href="data:,">
<title>{escaped(self.title)}</title>
<style>{style}</style>
</head>
<body>
{self.body}
{scripts}</body>
</html>
"""


def escaped(text: str) -> str:
    """Text for a page: nothing of it is markup, and no control character or half of a pair is left.

    >>> escaped("<b>\\x1b[1m")
    '&lt;b&gt;[1m'
    """
    return escape(printable(" ".join(text.split("\n"))))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already; the first of a row names it. It scrolls where the screen is narrower."""
    columns = "".join(f"<th scope='col'>{cell}</th>" for cell in head)
    lines = "".join(
        f"<tr><th scope='row'>{row[0]}</th>{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>" for row in rows
    )
    return f"<div class='wide'><table><thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table></div>"


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
