"""The frame of an HTML page that needs no server, its tables, and small drawings as SVG."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from avemo_harness.report.values import shown_value
from avemo_harness.scorers.base import MetricValue
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


_PLACES = {"full_av": (70, "voice and face"), "audio_only": (190, "voice"), "video_only": (300, "face")}
_TOP, _BOTTOM, _LEFT, _RIGHT = 20, 150, 40, 340
_BAR = 160


def slopes(accuracies: Mapping[str, MetricValue]) -> str:
    """Accuracy with voice and face, voice alone, face alone, with 95 % intervals; nothing where only one is known."""
    found = {name: metric for name, metric in accuracies.items() if name in _PLACES and metric.value is not None}
    if len(found) < 2:
        return ""
    shapes = [_gridline(share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    order = [name for name in _PLACES if name in found]
    points = [(_PLACES[name][0], _level(found[name].value or 0.0)) for name in order]
    shapes.append("<polyline class='slope' points='" + " ".join(f"{x},{y:.1f}" for x, y in points) + "'/>")
    for name, (x, y) in zip(order, points, strict=True):
        metric = found[name]
        if metric.ci_low is not None and metric.ci_high is not None:
            low, high = _level(metric.ci_low), _level(metric.ci_high)
            shapes.append(f"<line class='interval' x1='{x}' x2='{x}' y1='{low:.1f}' y2='{high:.1f}'/>")
        shapes.append(f"<circle class='value' cx='{x}' cy='{y:.1f}' r='4'/>")
        shapes.append(f"<text x='{x + 8}' y='{y - 6:.1f}'>{shown_value(metric)}</text>")
        shapes.append(f"<text class='faint' text-anchor='middle' x='{x}' y='{_BOTTOM + 18}'>{_PLACES[name][1]}</text>")
    told = ", ".join(f"{_PLACES[name][1]} {shown_value(found[name])}" for name in order)
    return (
        f"<figure><figcaption>Accuracy</figcaption><svg class='slopes' viewBox='0 0 380 175' role='img' "
        f"aria-label='Accuracy: {told}'>{''.join(shapes)}</svg></figure>"
    )


def share_bar(shares: Sequence[float]) -> str:
    """Shares of a whole side by side, in the order given."""
    shapes, start = [], 0.0
    for number, share in enumerate(shares):
        shapes.append(f"<rect class='part{number}' x='{start:.2f}' width='{_BAR * share:.2f}' height='12'/>")
        start += _BAR * share
    return f"<svg class='shares' viewBox='0 0 {_BAR} 12' aria-hidden='true'>{''.join(shapes)}</svg>"


def _gridline(share: float) -> str:
    y = _level(share)
    return (
        f"<line class='axis' x1='{_LEFT}' x2='{_RIGHT}' y1='{y}' y2='{y}'/>"
        f"<text class='faint' text-anchor='end' x='{_LEFT - 6}' y='{y + 4}'>{share:g}</text>"
    )


def _level(share: float) -> float:
    return _BOTTOM - share * (_BOTTOM - _TOP)
