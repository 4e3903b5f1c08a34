"""A comparison as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from avemo_harness.report.compare.records import Comparison, Contrast, Flip, MetricDifference
from avemo_harness.report.numbers import UNDEFINED, digits_of, figure, span
from avemo_harness.text_table import aligned

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
    """What the columns mean."""
    return (
        "difference: second less first, with a 95 % interval over resampled dialogues\n"
        "p: of no difference, by sign flips of whole dialogues; *: McNemar's exact test, an item a dialogue\n"
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


HEADER = ("metric", "first", "second", "difference", "95 % interval", "p", "Holm", "detectable", "n")


def difference_row(one: MetricDifference) -> tuple[str, ...]:
    """The cells below `HEADER`."""
    digits = digits_of(one.n)
    return (
        one.column,
        figure(one.first, digits),
        figure(one.second, digits),
        figure(one.difference.value, digits, signed=True),
        _interval(one, digits),
        _p_value(one.p_value) + ("*" if one.test == "McNemar" and one.p_value is not None else ""),
        _p_value(one.p_holm),
        figure(one.detectable, digits),
        str(one.n),
    )


def _interval(one: MetricDifference, digits: int) -> str:
    low, high = one.difference.ci_low, one.difference.ci_high
    if low is not None and high is not None:
        return span(low, high, digits, signed=True)
    return one.difference.note or UNDEFINED


def shared(contrast: Contrast) -> str:
    """How much is compared."""
    return f"{contrast.n_shared} items of {contrast.n_clusters} dialogues scored on both sides"


def flips_by_kind(flips: Iterable[Flip]) -> dict[str, list[Flip]]:
    """Flipped items by what they were and became, the largest kind first."""
    kinds: dict[str, list[Flip]] = {}
    for flip in flips:
        kinds.setdefault(f"{flip.first_verdict} -> {flip.second_verdict}", []).append(flip)
    return dict(sorted(kinds.items(), key=lambda kind: (-len(kind[1]), kind[0])))


def described(flip: Flip) -> str:
    """A flipped item with what it was and what either side said."""
    said = f"{flip.first_label or 'none'} -> {flip.second_label or 'none'}"
    return f"{flip.item} ({flip.gold}: {said})" if flip.gold else flip.item


def _format_contrast(contrast: Contrast) -> str:
    lines = [f"{contrast.title}   first: {contrast.first}   second: {contrast.second}", shared(contrast)]
    for label, items in ((contrast.first, contrast.only_first), (contrast.second, contrast.only_second)):
        if items:
            lines.append(f"{len(items)} scored for {label} alone: {_named(items)}")
    if contrast.differences:
        lines += aligned([HEADER, *(difference_row(one) for one in contrast.differences)])
    lines += contrast.notes
    for kind, flips in flips_by_kind(contrast.flips).items():
        lines.append(f"{len(flips)} {kind}: {_named([described(flip) for flip in flips])}")
    return "\n".join(lines)


def _named(items: Sequence[str]) -> str:
    rest = len(items) - SHOWN_ITEMS
    return ", ".join(items[:SHOWN_ITEMS]) + (f", and {rest} more" if rest > 0 else "")


def _p_value(value: float | None) -> str:
    if value is None:
        return UNDEFINED
    return "<.001" if value < 0.001 else figure(value)
