"""A comparison as one HTML page: no script, no request, nothing but text, tables and drawn intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from avemo_harness.report.compare.records import Comparison, Contrast, MetricDifference
from avemo_harness.report.compare.text import HEADER, described, difference_row, explanation, flips_by_kind, shared
from avemo_harness.report.document import Page, escaped, table

_STYLE = """
body { max-width: 76rem; }
svg { width: 9rem; height: 1.2rem; vertical-align: middle; }
.axis { stroke: var(--faint); } .interval { stroke: var(--mark); stroke-width: 2; } .value { fill: var(--mark); }
"""

_HALF_WIDTH, _HEIGHT, _MARGIN = 90, 16, 6


def comparison_page(comparison: Comparison) -> str:
    """The page as text. Every name and id is escaped; the page's own style is the only thing that its policy allows."""
    title = " and ".join(comparison.sides)
    ends = [abs(end) for contrast in comparison.contrasts for one in contrast.differences for end in _interval(one)]
    scale = max(ends, default=0.0) or 1.0
    sides = "".join(
        f"<li>{escaped(label)} <span class='faint'>{escaped(folder)}</span></li>"
        for label, folder in comparison.sides.items()
    )
    body = f"""<h1>Comparison</h1>
<ul>{sides}</ul>
{_paragraphs(comparison.notes)}
{"".join(_section(contrast, scale) for contrast in comparison.contrasts)}
<h2>How to read this</h2>
{_paragraphs(explanation(comparison).splitlines())}"""
    return Page(f"Comparison: {title}", body, _STYLE).html()


def _section(contrast: Contrast, scale: float) -> str:
    alone = ((contrast.first, contrast.only_first), (contrast.second, contrast.only_second))
    lists = [
        *(_list(f"{len(items)} scored for {label} alone", items) for label, items in alone if items),
        *(
            _list(f"{len(flips)} {kind}", [described(flip) for flip in flips])
            for kind, flips in flips_by_kind(contrast.flips).items()
        ),
    ]
    return f"""<h2>{escaped(contrast.title)}</h2>
<p>first: {escaped(contrast.first)}; second: {escaped(contrast.second)}
<span class="faint">({escaped(shared(contrast))})</span></p>
{_table(contrast.differences, scale) if contrast.differences else ""}
{_paragraphs(contrast.notes)}
{"".join(lists)}
"""


def _table(differences: Sequence[MetricDifference], scale: float) -> str:
    head = [*map(escaped, HEADER), f"{-scale:+.2f} to {scale:+.2f}"]
    return table(head, [[*map(escaped, difference_row(one)), _drawing(one, scale)] for one in differences])


def _drawing(one: MetricDifference, scale: float) -> str:
    """The interval on an axis with no difference in the middle; the table has its figures as text."""
    middle, level = _HALF_WIDTH, _HEIGHT / 2
    reach = (middle - _MARGIN) / scale
    shapes = f"<line class='axis' x1='{middle}' x2='{middle}' y1='0' y2='{_HEIGHT}'/>"
    if interval := _interval(one):
        low, high = (middle + end * reach for end in interval)
        shapes += f"<line class='interval' x1='{low:.1f}' x2='{high:.1f}' y1='{level}' y2='{level}'/>"
    if one.difference.value is not None:
        place = middle + one.difference.value * reach
        shapes += f"<circle class='value' cx='{place:.1f}' cy='{level}' r='3'/>"
    return f"<svg viewBox='0 0 {2 * middle} {_HEIGHT}' aria-hidden='true'>{shapes}</svg>"


def _interval(one: MetricDifference) -> tuple[float, ...]:
    ends = (one.difference.ci_low, one.difference.ci_high)
    return tuple(end for end in ends if end is not None)


def _list(title: str, lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escaped(line)}</li>" for line in lines)
    return f"<details><summary>{escaped(title)}</summary><ul>{items}</ul></details>"


def _paragraphs(texts: Iterable[str]) -> str:
    return "".join(f"<p>{escaped(text)}</p>" for text in texts)
