"""Figures that others report of a benchmark: rows beside the measured ones, each cell with its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from avemo_harness.benchmark.group import GroupSpec, PublishedFigure
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.report.results import task_of_column

OTHERS = "As others report it, and nobody measured here"
"""Heading of the rows that a group's YAML gives."""
OTHERS_CAVEATS = ("these figures are their authors': systems, settings and items may be others than those above",)
"""Warnings for readers who hold a run against them."""

FigureRow = tuple[str, Mapping[str, PublishedFigure]]
"""A system, or people, and their figures by the columns of the group."""


def rows_of_others(group: GroupSpec, tasks: Sequence[TaskSpec]) -> list[FigureRow]:
    """The figures of a group by whose they are; a second one for the same column begins another row.

    Args:
        tasks: those of the group that were asked, which say of which task a column is. A figure of no column, or of a
            task that was not asked, has a column of its own.
    """
    rows: list[tuple[str, dict[str, PublishedFigure]]] = []
    for figure in group.published:
        column = _column_of(group, tasks, figure)
        for name, cells in rows:
            if name == figure.of and column not in cells:
                cells[column] = figure
                break
        else:
            rows.append((figure.of, {column: figure}))
    return list(rows)


def _column_of(group: GroupSpec, tasks: Sequence[TaskSpec], figure: PublishedFigure) -> str:
    for column in group.columns:
        task = task_of_column(tasks, column)
        if task is not None and (task.task, column.metric) == (figure.task, figure.metric):
            return column.name
    return f"{figure.task} {figure.metric}"


def source_of(figure: PublishedFigure) -> str:
    """The sentence behind the mark of a figure.

    >>> source_of(PublishedFigure(of="people", task="a", metric="uar", value=0.6, source="paper, Table 3", note="song"))
    'paper, Table 3; song'
    """
    return "; ".join([figure.source, *([figure.note] if figure.note else [])])
