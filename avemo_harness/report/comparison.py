"""A comparison of two sides: its records, and their rendering as plain text and as one HTML page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from markupsafe import Markup

from avemo_harness.metrics.bootstrap import Estimate
from avemo_harness.report.html.document import html_page, render
from avemo_harness.report.values import UNDEFINED, digits_of, figure, of_resampled, span
from avemo_harness.text import aligned

COMPARISON_SCHEMA = 1

Test = Literal["sign-flip", "McNemar"]
Family = Literal["table", "other"]


@dataclass(frozen=True, slots=True)
class MetricDifference:
    """One metric on both sides, on the same items.

    Args:
        column: how the benchmark's table calls it; the metric's own name where it fills no column.
        first, second: the two values on the shared items.
        difference: with its 95 % interval.
        test: what `p_value` comes from: sign flips of dialogues or speakers, or McNemar's exact test where every item
            has one of its own.
        p_holm: adjusted for every test of its family in the comparison.
        detectable: the smallest true difference that 80 of 100 such runs would show at the 5 % level.
        n: items, or dialogues, with a value on both sides.
        n_undefined: those without one on at least one side.
        family: the metrics whose tests are adjusted together: the table's columns, or all others.
    """

    column: str
    metric: str
    first: float | None
    second: float | None
    difference: Estimate
    test: Test
    p_value: float | None
    p_holm: float | None
    detectable: float | None
    n: int
    n_undefined: int
    family: Family = "table"


Flip = Mapping[str, str | None]
"""An item that changes its verdict from side to side: ``item``, ``gold``, ``first_label``, ``second_label``,
``first_verdict``, ``second_verdict``."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two sides on one task, or on two conditions of one group.

    Args:
        title: the task, or the two conditions.
        n_shared: items scored on both sides.
        n_clusters: dialogues, or speakers, of those.
        only_first, only_second: items that only one side was asked or answered, in order.
        differences: by metric; none where replies cannot be scored.
        notes: what a reader must know beside them.
        clusters: what is resampled and flipped as a whole: ``dialogue`` or ``speaker``.
        restriction: why names and labels of single items stand on no page that people send around; None where they may.
    """

    title: str
    first: str
    second: str
    n_shared: int
    n_clusters: int
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    differences: tuple[MetricDifference, ...]
    flips: tuple[Flip, ...]
    notes: tuple[str, ...] = ()
    clusters: str = "dialogue"
    restriction: str | None = None

    @property
    def in_words(self) -> tuple[MetricDifference, ...]:
        """The differences, whose notes name what was resampled."""
        return tuple(
            replace(x, difference=replace(x.difference, note=of_resampled(x.difference.note, self.clusters)))
            if x.difference.note
            else x
            for x in self.differences
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that `compare` says.

    Args:
        sides: the run directory of each label.
        notes: what differs although it was compared, and what was left out.
        tests: how many p-values those of the table's columns are adjusted for.
        other_tests: how many those of the other metrics are adjusted for.
    """

    sides: Mapping[str, str]
    contrasts: tuple[Contrast, ...]
    notes: tuple[str, ...]
    tests: int
    other_tests: int = 0

    def to_json(self) -> str:
        """The text of a JSON file, equal for equal runs."""
        content = {"schema_version": COMPARISON_SCHEMA, **asdict(self)}
        return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


SHOWN_ITEMS = 5
"""Items named in each list; all of them are in the JSON file."""


def format_comparison(comparison: Comparison) -> str:
    """Lay out a comparison for a terminal. Names and ids are given as they are; the caller makes them printable."""
    parts = ["\n".join(f"{label}: {folder}" for label, folder in comparison.sides.items())]
    if comparison.notes:
        parts.append("\n".join(comparison.notes))
    parts += [_format_contrast(contrast) for contrast in comparison.contrasts]
    parts.append(explanation(comparison))
    return "\n\n".join(parts)


def explanation(comparison: Comparison) -> str:
    """The meaning of the columns, in lines."""
    units = dict.fromkeys(contrast.clusters for contrast in comparison.contrasts) or {"dialogue": None}
    many, one = " or ".join(f"{unit}s" for unit in units), " or ".join(units)
    return (
        f"difference: second less first, with a 95 % interval over resampled {many}\n"
        f"p: of no difference, by sign flips of whole {many}; *: McNemar's exact test, an item a {one}\n"
        f"{_adjustment(comparison)}\n"
        "detectable: the smallest true difference that 80 of 100 such runs would show at the 5 % level"
    )


def _adjustment(comparison: Comparison) -> str:
    if not comparison.other_tests:
        return f"Holm: p adjusted for the number of tests above, {comparison.tests}"
    return (
        f"Holm: p adjusted for the {comparison.tests} tests of the table's columns, which stand first, "
        f"or for the {comparison.other_tests} of the other metrics"
    )


LONGEST_LABEL = 60
"""Characters of a label or text in a list of flips."""

HEADER = ("metric", "first", "second", "difference", "95 % interval", "p", "Holm", "detectable", "n")


def difference_row(metric: MetricDifference) -> tuple[str, ...]:
    """The cells below `HEADER`."""
    digits = digits_of(metric.n)
    return (
        metric.column,
        figure(metric.first, digits),
        figure(metric.second, digits),
        figure(metric.difference.value, digits, signed=True),
        _interval(metric, digits),
        _p_value(metric.p_value) + ("*" if metric.test == "McNemar" and metric.p_value is not None else ""),
        _p_value(metric.p_holm),
        figure(metric.detectable, digits),
        str(metric.n),
    )


def _interval(metric: MetricDifference, digits: int) -> str:
    low, high = metric.difference.ci_low, metric.difference.ci_high
    if low is not None and high is not None:
        return span(low, high, digits, signed=True)
    return metric.difference.note or UNDEFINED


def shared(contrast: Contrast) -> str:
    """The numbers of items, and of the dialogues or speakers that they are of, that are compared."""
    return f"{contrast.n_shared} items of {contrast.n_clusters} {contrast.clusters}s scored on both sides"


def _alone(contrast: Contrast) -> Iterator[tuple[str, Sequence[str]]]:
    """Items that only one side has, below a title each."""
    for label, items in ((contrast.first, contrast.only_first), (contrast.second, contrast.only_second)):
        if items:
            yield f"{len(items)} scored for {label} alone", items


def _flipped(contrast: Contrast) -> Iterator[tuple[str, Sequence[str]]]:
    """Flipped items with what either side said, by what they were and became, the largest kind first."""
    kinds: dict[str, list[str]] = {}
    for flip in contrast.flips:
        said = f"{_beginning(flip['first_label'] or 'none')} -> {_beginning(flip['second_label'] or 'none')}"
        item = f"{flip['item']} ({_beginning(flip['gold'])}: {said})" if flip["gold"] else f"{flip['item']}"
        kinds.setdefault(f"{flip['first_verdict']} -> {flip['second_verdict']}", []).append(item)
    for kind, items in sorted(kinds.items(), key=lambda kind: (-len(kind[1]), kind[0])):
        yield f"{len(items)} {kind}", items


def _beginning(label: str) -> str:
    """A label as a line shows it; the texts of answers may be long."""
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"


def _format_contrast(contrast: Contrast) -> str:
    lines = [f"{contrast.title}   first: {contrast.first}   second: {contrast.second}", shared(contrast)]
    lines += [f"{title}: {_named(items)}" for title, items in _alone(contrast)]
    if contrast.differences:
        lines += aligned([HEADER, *(difference_row(metric) for metric in contrast.in_words)])
    lines += contrast.notes
    lines += [f"{title}: {_named(items)}" for title, items in _flipped(contrast)]
    return "\n".join(lines)


def _named(items: Sequence[str]) -> str:
    rest = len(items) - SHOWN_ITEMS
    return ", ".join(items[:SHOWN_ITEMS]) + (f", and {rest} more" if rest > 0 else "")


def _p_value(value: float | None) -> str:
    if value is None:
        return UNDEFINED
    return "<.001" if value < 0.001 else figure(value)


_STYLE = """
body { max-width: 76rem; }
svg { width: 9rem; height: 1.2rem; vertical-align: middle; }
.axis { stroke: var(--faint); } .interval { stroke: var(--mark); stroke-width: 2; } .value { fill: var(--mark); }
"""

_HALF_WIDTH, _HEIGHT, _MARGIN = 90, 16, 6


def comparison_page(comparison: Comparison) -> str:
    """The page as text. Every name and id is escaped; the page's own style is the only thing that its policy allows."""
    ends = [
        abs(end)
        for contrast in comparison.contrasts
        for metric in contrast.differences
        for end in _interval_ends(metric)
    ]
    scale = max(ends, default=0.0) or 1.0
    body = render(
        "comparison.html.j2",
        comparison=comparison,
        head=(*HEADER, f"{-scale:+.2f} to {scale:+.2f}"),
        rows=lambda contrast: [(*difference_row(metric), _drawing(metric, scale)) for metric in contrast.in_words],
        shared=shared,
        lists=_shown_lists,
        explanation=explanation(comparison),
    )
    return html_page(f"Comparison: {' and '.join(comparison.sides)}", body, _STYLE)


def _shown_lists(contrast: Contrast) -> Iterator[tuple[str, Sequence[str]]]:
    """The lists of items by their titles; of what is not passed on, no items but the reason."""
    for title, items in (*_alone(contrast), *_flipped(contrast)):
        yield title, items if contrast.restriction is None else [f"without names of items: {contrast.restriction}"]


def _drawing(metric: MetricDifference, scale: float) -> Markup:
    """The interval on an axis with no difference in the middle; the table has its figures as text."""
    middle, level = _HALF_WIDTH, _HEIGHT / 2
    reach = (middle - _MARGIN) / scale
    shapes = f"<line class='axis' x1='{middle}' x2='{middle}' y1='0' y2='{_HEIGHT}'/>"
    if interval := _interval_ends(metric):
        low, high = (middle + end * reach for end in interval)
        shapes += f"<line class='interval' x1='{low:.1f}' x2='{high:.1f}' y1='{level}' y2='{level}'/>"
    if metric.difference.value is not None:
        x = middle + metric.difference.value * reach
        shapes += f"<circle class='value' cx='{x:.1f}' cy='{level}' r='3'/>"
    return Markup(f"<svg viewBox='0 0 {2 * middle} {_HEIGHT}' aria-hidden='true'>{shapes}</svg>")


def _interval_ends(metric: MetricDifference) -> tuple[float, ...]:
    ends = (metric.difference.ci_low, metric.difference.ci_high)
    return tuple(end for end in ends if end is not None)
