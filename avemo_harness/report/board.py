"""The benchmark's table of one split: the published rows, and below them the rows of runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase

from avemo_harness.publishing import publishable
from avemo_harness.report.published import PAPER, PublishedRow, published_rows
from avemo_harness.report.results import GroupResult
from avemo_harness.report.results_file import BENCHMARK_SCALES, PEOPLE, FinishedRun, PeopleScores
from avemo_harness.report.row_differences import row_differences
from avemo_harness.scorers.base import Metric

LABELS = ("Acc_AV", "F1_AV", "Acc_A", "Acc_V", "AAR", "VAR", "OLR")
"""The columns that need no judge."""

CAVEATS = (
    f"published: {PAPER}, Table 2, as printed; a letter marks a cell that cannot be right by its own definition",
    "ECS to ERS and CT-ECS to CT-ERS of two rows compare only if one judge scored both; the paper's is not public",
    "the other columns compare only on the same release; the paper's is not public",
)
"""What a reader must know before holding a run against the paper."""


@dataclass(frozen=True, slots=True)
class BoardCell:
    """A value of a row, with its interval where it was measured here.

    Args:
        note: why a published value cannot be right by its own definition.
    """

    value: float
    ci_low: float | None = None
    ci_high: float | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One system.

    Args:
        published: as printed in the paper; else measured here.
        columns, people: by name, only those that have a value.
        remark: what makes a measured row provisional, partial or incomparable, and how it differs from the other rows.
    """

    name: str
    published: bool
    columns: Mapping[str, BoardCell]
    people: Mapping[str, BoardCell]
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class BoardBlock:
    """Columns that stand together, and the rows that have any of them, the published ones first.

    Args:
        title: what the rows are.
        names: of the columns.
        rows: each with its cells by column, only those that have a value.
    """

    title: str
    names: tuple[str, ...]
    rows: tuple[tuple[BoardRow, Mapping[str, BoardCell]], ...]


@dataclass(frozen=True, slots=True)
class Board:
    """The rows of one group of tasks.

    Args:
        reasoning: names of the columns that a judge scores.
        trivial: what replies that take no understanding score on the first run's turns.
    """

    group: str
    title: str
    reasoning: tuple[str, ...]
    rows: tuple[BoardRow, ...]
    trivial: tuple[BoardRow, ...] = ()

    def blocks(self) -> Iterator[BoardBlock]:
        """What a judge scores, what needs none, and what people rate; none without a row."""
        rows = (*self.rows, *self.trivial)
        measured, rated = [(row, row.columns) for row in rows], [(row, row.people) for row in rows]
        for title, names, cells_of in (
            ("system", self.reasoning, measured),
            ("system", LABELS, measured),
            ("rated by people", PEOPLE, rated),
        ):
            shown = tuple((row, cells) for row, cells in cells_of if any(name in cells for name in names))
            if shown:
                yield BoardBlock(title, names, shown)


class Notes:
    """Letters for notes, in the order in which they come up; the same note has one letter."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def letter(self, note: str | None) -> str:
        if note is None:
            return ""
        return self._letters.setdefault(note, ascii_lowercase[len(self._letters)])

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Letters with their notes."""
        return ((letter, note) for note, letter in self._letters.items())


TITLES = {
    "singleturn_synthetic": "Single-turn, synthetic",
    "multiturn_synthetic": "Multi-turn, synthetic",
    "multiturn_real": "Multi-turn, real",
}


def boards(runs: Sequence[FinishedRun], names: Sequence[str]) -> tuple[Board, ...]:
    """The three splits of the paper, then the groups of the runs that it does not have.

    Args:
        names: what to call each run.
    """
    groups = dict.fromkeys([*TITLES, *(group for run in runs for group in run.result.groups)])
    return tuple(_board(group, list(zip(names, runs, strict=True))) for group in groups)


def _board(group: str, runs: Sequence[tuple[str, FinishedRun]]) -> Board:
    asked = [(name, run, run.result.groups[group]) for name, run in runs if group in run.result.groups]
    published = published_rows(group)
    differences = row_differences([run for _, run, _ in asked], group)
    measured = [_measured(*row, told) for row, told in zip(asked, differences, strict=True)]
    columns = [*(row.columns for row in published), *(of_group.columns for _, _, of_group in asked)]
    reasoning = dict.fromkeys(name for of_row in columns for name in of_row if name not in LABELS)
    return Board(
        group=group,
        title=TITLES.get(group) or asked[0][2].title,
        reasoning=tuple(reasoning),
        rows=(*(_printed(row) for row in published), *measured),
        trivial=_trivial(asked),
    )


def _trivial(asked: Sequence[tuple[str, FinishedRun, GroupResult]]) -> tuple[BoardRow, ...]:
    """Those of the first run that has any; where there are several runs, they say whose they are."""
    name, rows = next(((name, group.trivial) for name, _, group in asked if group.trivial), ("", {}))
    whose = f" ({name})" if len(asked) > 1 else ""
    return tuple(BoardRow(row + whose, False, _values(metrics), {}) for row, metrics in rows.items())


def _printed(row: PublishedRow) -> BoardRow:
    columns, people = (
        {name: BoardCell(cell.value, note=cell.mark) for name, cell in cells.items()}
        for cells in (row.columns, row.people)
    )
    return BoardRow(row.system, True, columns, people)


def _measured(name: str, run: FinishedRun, group: GroupResult, differences: Sequence[str]) -> BoardRow:
    people = run.people_of(group.group)
    row = name if group.row == run.result.model else f"{group.row} ({name})"
    columns = {} if people is None else _cells(people.columns)
    remarks = [*_remarks(run, group, people), *differences]
    return BoardRow(row, False, _cells(group.columns), columns, "; ".join(remarks) or None)


def _remarks(run: FinishedRun, group: GroupResult, people: PeopleScores | None) -> Iterable[str]:
    if run.result.partial:
        yield "partial: only some of the items were asked"
    if run.result.provisional:
        yield "provisional: some items failed or are missing"
    if people is not None and not people.complete:
        yield f"{', '.join(PEOPLE)} are provisional: some items have fewer raters than planned"
    for other in sorted({one.scales for one in run.people if one.group == group.group} - {BENCHMARK_SCALES}):
        yield f"rated by people on other scales ({other}), which are no {', '.join(PEOPLE)}: see its own report"
    tasks = [run.result.tasks[task.task] for task in run.record.tasks if task.group == group.group]
    if any(not task.comparable for task in tasks):
        yield "replies judged by the embedded judge, which knows the demo's voices only"
    elif run.result.judge is not None and any(task.n_spoken for task in tasks):
        yield f"replies judged by {publishable(run.result.judge.name)} ({run.result.judge.digest[:12]})"


def _cells(metrics: Mapping[str, Metric | None]) -> dict[str, BoardCell]:
    return {
        name: BoardCell(metric.value, metric.ci_low, metric.ci_high)
        for name, metric in metrics.items()
        if metric is not None and metric.value is not None
    }


def _values(metrics: Mapping[str, Metric | None]) -> dict[str, BoardCell]:
    return {name: BoardCell(cell.value) for name, cell in _cells(metrics).items()}
