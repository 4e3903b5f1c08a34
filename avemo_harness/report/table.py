"""Tables of metric values: cells with their marks, intervals and counts, laid out for a terminal or in Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from avemo_harness.report.values import UNDEFINED, interval_of, shortened, shown_value, span_of
from avemo_harness.scorers.base import MetricValue
from avemo_harness.text import aligned, markdown_table, printable

TERMINAL_WIDTH = 80
_GAP = 2

Figure = tuple[str, str | None]
"""A number and the letters that mark it; None of a text that stands as it is."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as it is shown.

    Args:
        marks: letters that qualify it, explained below the table.
        interval: the ends of its 95 % interval, or why it has none.
        n: items or dialogues that it is made of; None of a value that stands alone.
    """

    text: str = UNDEFINED
    marks: tuple[str, ...] = ()
    interval: tuple[str, ...] = ()
    n: int | None = None

    @property
    def mark(self) -> str:
        """All marks in one word."""
        return "".join(self.marks)

    @property
    def figure(self) -> Figure:
        return self.text, self.mark

    def shown_interval(self, dash: str = "-") -> str:
        """The interval, or in few letters why there is none."""
        return shortened(span_of(self.interval, dash)) or UNDEFINED


Cells = Mapping[str, Cell]
"""Of a row, by column; a column without a value may be left out."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells.

    Args:
        corner: the head of the first column, which names the rows.
        rows: names and cells.
    """

    corner: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, Cells], ...]


def metric_cell(metric: MetricValue | None) -> Cell:
    """The cell of a measured value; of none, one that says that it was not asked."""
    if metric is None:
        return Cell(n=0)
    return Cell(shown_value(metric), metric.marks, interval_of(metric), metric.n)


def is_measured(cells: Cells) -> bool:
    return any(cell.n is not None for cell in cells.values())


Details = Mapping[str, Callable[[Cell], Figure]]
"""Rows below each measured row, by their names."""

INTERVAL_AND_COUNT: Details = {
    "95 % interval": lambda cell: (cell.shown_interval(), None),
    "n": lambda cell: (UNDEFINED if cell.text == UNDEFINED else str(cell.n), None),
}


def as_text(table: Table, details: Details) -> list[str]:
    """Lines of a table for a terminal, in blocks of columns where it is too wide."""
    rows = list(_figures(table, details))
    columns = [[table.columns[i], *on_the_point([row[i] for _, row in rows])] for i in range(len(table.columns))]
    return column_blocks([table.corner, *(name for name, _ in rows)], columns)


def as_markdown(table: Table, details: Details) -> str:
    """A table in Markdown, marks raised."""
    rows = [
        [escaped_markdown(name), *(f"{text}<sup>{mark}</sup>" if mark else text for text, mark in row)]
        for name, row in _figures(table, details)
    ]
    head = list(map(escaped_markdown, (table.corner, *table.columns)))
    return markdown_table(head, rows, numbers=range(1, len(head)))


def _figures(table: Table, details: Details) -> Iterator[tuple[str, list[Figure]]]:
    """The rows of a table with those of their details, by their names."""
    for name, cells in table.rows:
        row = [cells.get(column, Cell()) for column in table.columns]
        yield name, [cell.figure for cell in row]
        if is_measured(cells):
            yield from ((detail, list(map(shown, row))) for detail, shown in details.items())


_MARKDOWN = re.compile(r"[\\`*_~$&#<>\[\]]")
"""Characters that begin or end something within a line; the bars of cells are left to `markdown_table`."""


def escaped_markdown(text: str) -> str:
    """Text that Markdown shows as it is, in a cell or within a line.

    >>> print(escaped_markdown("EBS_dir <b> & *x*"))
    EBS\\_dir \\<b\\> \\& \\*x\\*
    """
    return _MARKDOWN.sub(r"\\\g<0>", printable(" ".join(text.split())))


def on_the_point(figures: Sequence[Figure]) -> list[str]:
    """The numbers of a column as cells of equal endings, so that right alignment puts their points in line.

    >>> on_the_point([("0.731", "e"), ("0.79", "DP"), ("—", ""), ("9", ""), ("0.1-0.2", None)])
    ['0.731e ', '0.79 DP', '—  ', '9  ', '0.1-0.2']
    """
    numbers = [(number, mark) for number, mark in figures if mark is not None]
    decimals = max((len(number.partition(".")[2]) for number, _ in numbers), default=0)
    marks = max((len(mark) for _, mark in numbers), default=0)

    def padded(number: str, mark: str) -> str:
        point = number.ljust(len(number.partition(".")[0]) + 1 + decimals) if "." in number else number
        return point + mark.ljust(marks)

    return [number if mark is None else padded(number, mark) for number, mark in figures]


def column_blocks(names: Sequence[str], columns: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, broken into several with an empty line between, of like numbers of columns, if it is too wide.

    Args:
        names: the first column, which every block repeats.
        columns: the others, with their heads, each as long as `names`.
    """
    widths = [max(map(len, column)) + _GAP for column in columns]
    room = TERMINAL_WIDTH - max(map(len, names))
    count = 1
    while (
        count < len(columns)
        and max(sum(widths[i] for i in part) for part in _column_ranges(len(columns), count)) > room
    ):
        count += 1
    lines: list[str] = []
    for part in _column_ranges(len(columns), count):
        rows = list(zip(names, *(columns[i] for i in part), strict=True))
        lines += [*([""] if lines else []), *aligned(rows)]
    return lines


def _column_ranges(number: int, count: int) -> list[range]:
    """Split columns into so many runs, the first ones longer by one where they cannot be equal."""
    size, rest = divmod(number, max(count, 1))
    starts = [i * size + min(i, rest) for i in range(count + 1)]
    return [range(starts[i], starts[i + 1]) for i in range(count)]


def mark_lines(sentences: Mapping[str, str]) -> list[str]:
    """The sentences behind the marks of a table's cells, a line each."""
    return [f"  {mark}  {sentence}" for mark, sentence in sentences.items()]
