"""A comparison as plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from avemo_harness.report.compare.records import Comparison, Contrast, Flip, MetricDifference
from avemo_harness.text_table import aligned

UNDEFINED = "—"
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
        f"Holm: p adjusted for the number of tests above, {comparison.tests}\n"
        "detectable: the smallest true difference that 80 of 100 such runs would show at the 5 % level"
    )


HEADER = ("metric", "first", "second", "difference", "95 % interval", "p", "Holm", "detectable", "n")


def difference_row(one: MetricDifference) -> tuple[str, ...]:
    """The cells below `HEADER`."""
    low, high = one.difference.ci_low, one.difference.ci_high
    return (
        one.column,
        _number(one.first),
        _number(one.second),
        _number(one.difference.value, "+.3f"),
        UNDEFINED if low is None or high is None else f"{low:+.3f} to {high:+.3f}",
        _p_value(one.p_value) + ("*" if one.test == "McNemar" and one.p_value is not None else ""),
        _p_value(one.p_holm),
        _number(one.detectable),
        str(one.n),
    )


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


def _number(value: float | None, form: str = ".3f") -> str:
    return UNDEFINED if value is None else format(value, form)


def _p_value(value: float | None) -> str:
    if value is None:
        return UNDEFINED
    return "<.001" if value < 0.001 else f"{value:.3f}"
