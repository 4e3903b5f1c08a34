"""Cells of a terminal's table: decimal points below each other with marks behind, and tables that are not too wide."""

from __future__ import annotations

from collections.abc import Sequence

from avemo_harness.text_table import aligned

WIDEST = 80
"""Characters of a terminal that every table has to fit; wider ones are broken into blocks of columns."""
_GAP = 2

Figure = tuple[str, str]
"""A number, and the letters that mark it."""


def on_the_point(figures: Sequence[Figure]) -> list[str]:
    """The numbers of a column as cells of equal endings, so that right alignment puts their points in line.

    >>> on_the_point([("0.731", "e"), ("0.79", "DP"), ("—", ""), ("9", "")])
    ['0.731e ', '0.79 DP', '—  ', '9  ']
    """
    decimals = max((len(number.partition(".")[2]) for number, _ in figures), default=0)
    marks = max((len(mark) for _, mark in figures), default=0)
    return [
        (number + " " * (decimals - len(number.partition(".")[2])) if "." in number else number) + mark.ljust(marks)
        for number, mark in figures
    ]


def column_blocks(names: Sequence[str], columns: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, broken into several with an empty line between, of like numbers of columns, if it is too wide.

    Args:
        names: the first column, which every block repeats.
        columns: the others, with their heads, each as long as `names`.
    """
    widths = [max(map(len, column)) + _GAP for column in columns]
    room = WIDEST - max(map(len, names))
    count = 1
    while count < len(columns) and max(sum(widths[i] for i in part) for part in _parts(len(columns), count)) > room:
        count += 1
    lines: list[str] = []
    for part in _parts(len(columns), count):
        rows = list(zip(names, *(columns[i] for i in part), strict=True))
        lines += [*([""] if lines else []), *aligned(rows)]
    return lines


def _parts(number: int, count: int) -> list[range]:
    """That many runs of positions, the first ones longer by one where they cannot be equal."""
    size, rest = divmod(number, max(count, 1))
    starts = [i * size + min(i, rest) for i in range(count + 1)]
    return [range(starts[i], starts[i + 1]) for i in range(count)]
