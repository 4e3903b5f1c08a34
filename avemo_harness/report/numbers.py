"""Figures as text, alike in every table: their digits, no minus before a zero, and an interval or why there is none."""

from __future__ import annotations

from avemo_harness.metrics.bootstrap import CONSTANT
from avemo_harness.scorers.base import Metric
from avemo_harness.text import fixed

UNDEFINED = "—"
DIGITS = 3
FEW_ITEMS = 10
"""Values of fewer items are shown to two digits: the third is below what one item adds."""


def digits_of(n: int) -> int:
    """Decimals of a value that is made of n items.

    >>> digits_of(9), digits_of(10)
    (2, 3)
    """
    return DIGITS if n >= FEW_ITEMS else 2


def figure(value: float | None, digits: int = DIGITS, signed: bool = False) -> str:
    """A number with a fixed number of decimals; "—" for None.

    >>> figure(-0.0001), figure(0.25, digits=2, signed=True), figure(None)
    ('0.000', '+0.25', '—')
    """
    return UNDEFINED if value is None else fixed(value, digits, "+" if signed else "-")


def span(low: float, high: float, digits: int = DIGITS, signed: bool = False, dash: str = "-") -> str:
    """An interval from end to end; a dash would be taken for a minus where an end has a sign.

    >>> span(0.1, 0.9), span(-0.1, 0.9), span(0.1, 0.2, digits=2, signed=True)
    ('0.100-0.900', '-0.100 to 0.900', '+0.10 to +0.20')
    """
    ends = figure(low, digits, signed), figure(high, digits, signed)
    return (" to " if signed or ends[0].startswith("-") else dash).join(ends)


def shown_value(metric: Metric | None, signed: bool = False) -> str:
    """The value of a metric without its marks; "—" where it is undefined or was not asked."""
    return UNDEFINED if metric is None else figure(metric.value, digits_of(metric.n), signed)


def shown_interval(metric: Metric | None, signed: bool = False, dash: str = "-") -> str:
    """The interval of a metric, or the note that says why it has none; "—" where nothing is known of it."""
    if metric is None or metric.value is None:
        return UNDEFINED
    if metric.ci_low is None or metric.ci_high is None:
        return metric.note or UNDEFINED
    return span(metric.ci_low, metric.ci_high, digits_of(metric.n), signed, dash)


def shortened(interval: str) -> str:
    """An interval, or what stands for it, for narrow columns; the cell's mark has the whole sentence.

    >>> shortened("too few dialogues"), shortened("the same in every dialogue"), shortened("0.10-0.20")
    ('too few', 'constant', '0.10-0.20')
    """
    return "too few" if interval.startswith("too few") else "constant" if interval == CONSTANT else interval
