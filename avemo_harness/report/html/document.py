"""HTML pages that need no server: templates, the frame of a page, tables, and small drawings as SVG."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from avemo_harness.report.table import Cell, Table, is_measured
from avemo_harness.report.values import shown_value
from avemo_harness.scorers.base import MetricValue
from avemo_harness.text import printable, publishable

if TYPE_CHECKING:
    from jinja2 import Environment

_ASSETS = resources.files("avemo_harness.report.html") / "assets"


def asset(name: str) -> str:
    """The text of a file that pages are made of."""
    return (_ASSETS / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        # What is no markup yet is escaped here: control characters must go too, which jinja2 would let pass.
        finalize=lambda value: value if isinstance(value, Markup) else escaped(str(value)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(table=table, value_table=value_table)
    environment.filters.update(thousands=lambda count: f"{count:,}", publishable=publishable)
    return environment


def render(template: str, **values: Any) -> Markup:
    """Fill a template of the assets; everything is escaped but `Markup`."""
    return Markup(_environment().get_template(template).render(**values))


def html_page(
    title: str,
    body: str,
    style: str = "",
    scripts: Sequence[str] = (),
    media: str = "'none'",
    facts: Mapping[str, str] | None = None,
) -> str:
    """A page as text, whose policy allows its own style and scripts, by their digests, and `media`.

    Args:
        title: as text.
        body: as HTML, in which everything that a run or a release says is escaped.
        style: CSS of this page, after that of all pages.
        scripts: JavaScript, at the end of the body in this order.
        media: where pictures and recordings may come from, as sources of a Content-Security-Policy.
        facts: what programs read of the page, by name.
    """
    style = asset("page.css") + style
    policy = [
        "default-src 'none'",
        f"style-src {_digest(style)}",
        "script-src " + (" ".join(map(_digest, scripts)) or "'none'"),
        f"media-src {media}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    page = render(
        "page.html.j2",
        title=title,
        policy=Markup(escape("; ".join(policy), quote=False)),
        body=Markup(body),
        style=Markup(style),
        scripts=list(map(Markup, scripts)),
        facts=facts or {},
    )
    return f"{page}\n"


def escaped(text: str) -> Markup:
    """Text for a page: nothing of it is markup, and no control character or half of a pair is left.

    >>> str(escaped("<b>\\x1b[1m"))
    '&lt;b&gt;[1m'
    """
    return Markup(escape(printable(" ".join(text.split("\n")))))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """A table of text and of `Markup`; the first cell of a row names it. It scrolls where the screen is narrower."""

    def html(cell: str) -> Markup:
        return cell if isinstance(cell, Markup) else escaped(cell)

    columns = "".join(f"<th scope='col'>{html(cell)}</th>" for cell in head)
    lines = "".join(
        f"<tr><th scope='row'>{html(row[0])}</th>{''.join(f'<td>{html(cell)}</td>' for cell in row[1:])}</tr>"
        for row in rows
    )
    return Markup(f"<div class='wide'><table><thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table></div>")


def value_table(shown: Table) -> Markup:
    """A table of values with their marks raised, and below them intervals and counts; rows without these are faint."""
    rows = []
    for name, cells in shown.rows:
        title = escaped(name) if is_measured(cells) else Markup(f"<span class='faint'>{escaped(name)}</span>")
        rows.append([title, *(_value(cells.get(column, Cell())) for column in shown.columns)])
    return table([shown.corner, *shown.columns], rows)


def _value(cell: Cell) -> Markup:
    value = marked(cell.text, cell.mark)
    if cell.n is None:
        return value
    return Markup(f"{value}<br><small>{escaped(cell.shown_interval('–'))}<br>n {cell.n:,}</small>")


def marked(text: str, mark: str) -> Markup:
    """A text with its marks raised."""
    return escaped(text) + Markup(f"<sup>{escaped(mark)}</sup>" if mark else "")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_CONDITIONS = {"full_av": (70, "voice and face"), "audio_only": (190, "voice"), "video_only": (300, "face")}
_TOP, _BOTTOM, _LEFT, _RIGHT = 20, 150, 40, 340
_BAR = 160


def slopes(accuracies: Mapping[str, MetricValue]) -> Markup:
    """Accuracy with voice and face, voice alone, face alone, with 95 % intervals; nothing where only one is known."""
    found = {name: metric for name, metric in accuracies.items() if name in _CONDITIONS and metric.value is not None}
    if len(found) < 2:
        return Markup()
    shapes = [_gridline(share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    order = [name for name in _CONDITIONS if name in found]
    points = [(_CONDITIONS[name][0], _level(found[name].value or 0.0)) for name in order]
    shapes.append("<polyline class='slope' points='" + " ".join(f"{x},{y:.1f}" for x, y in points) + "'/>")
    for name, (x, y) in zip(order, points, strict=True):
        metric, label = found[name], _CONDITIONS[name][1]
        if metric.ci_low is not None and metric.ci_high is not None:
            low, high = _level(metric.ci_low), _level(metric.ci_high)
            shapes.append(f"<line class='interval' x1='{x}' x2='{x}' y1='{low:.1f}' y2='{high:.1f}'/>")
        shapes.append(f"<circle class='value' cx='{x}' cy='{y:.1f}' r='4'/>")
        shapes.append(f"<text x='{x + 8}' y='{y - 6:.1f}'>{shown_value(metric)}</text>")
        shapes.append(f"<text class='faint' text-anchor='middle' x='{x}' y='{_BOTTOM + 18}'>{label}</text>")
    text = ", ".join(f"{_CONDITIONS[name][1]} {shown_value(found[name])}" for name in order)
    return Markup(
        f"<figure><figcaption>Accuracy</figcaption><svg class='slopes' viewBox='0 0 380 175' role='img' "
        f"aria-label='Accuracy: {text}'>{''.join(shapes)}</svg></figure>"
    )


def share_bar(shares: Sequence[float]) -> Markup:
    """Shares of a whole side by side, in the order given."""
    shapes, start = [], 0.0
    for number, share in enumerate(shares):
        shapes.append(f"<rect class='part{number}' x='{start:.2f}' width='{_BAR * share:.2f}' height='12'/>")
        start += _BAR * share
    return Markup(f"<svg class='shares' viewBox='0 0 {_BAR} 12' aria-hidden='true'>{''.join(shapes)}</svg>")


def _gridline(share: float) -> str:
    y = _level(share)
    return (
        f"<line class='axis' x1='{_LEFT}' x2='{_RIGHT}' y1='{y}' y2='{y}'/>"
        f"<text class='faint' text-anchor='end' x='{_LEFT - 6}' y='{y + 4}'>{share:g}</text>"
    )


def _level(share: float) -> float:
    return _BOTTOM - share * (_BOTTOM - _TOP)
