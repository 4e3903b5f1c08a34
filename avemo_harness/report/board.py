"""The benchmark's table of one split: the rows of runs, and apart from them the published ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from avemo_harness.publishing import publishable
from avemo_harness.report.board_marks import Notes, differing_cells
from avemo_harness.report.marks import FEW_RATERS, SENTENCES, marked_metric
from avemo_harness.report.numbers import DIGITS, digits_of, figure, shortened
from avemo_harness.report.published import PAPER, Cell, PublishedRow, published_rows
from avemo_harness.report.results import GroupResult
from avemo_harness.report.results_file import BENCHMARK_SCALES, PEOPLE, FinishedRun, PeopleScores
from avemo_harness.scorers.base import Metric

LABELS = ("Acc_AV", "F1_AV", "Acc_A", "Acc_V", "AAR", "VAR", "OLR")
"""The columns that need no judge."""

PUBLISHED = f"Published: {PAPER}, Table 2, as printed"
"""Heading of the rows that were not measured here."""

CAVEATS = (
    "a letter marks a published cell that cannot be right by its own definition",
    "published rows compare with no measured one: the paper's judge and its release are not public",
)
"""What a reader must know before holding a run against the paper."""


@dataclass(frozen=True, slots=True)
class BoardCell:
    """A value of a row, with what must not be read without it.

    Args:
        digits: decimals that are shown.
        ends: its 95 % interval, where it has one.
        note: why it has none, where that is known.
        n: items or dialogues that it is made of; None where that was not published.
        marks: letters of the board's `notes`.
    """

    value: float
    digits: int = DIGITS
    ends: tuple[float, float] | None = None
    note: str | None = None
    n: int | None = None
    marks: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The value alone."""
        return figure(self.value, self.digits)

    @property
    def mark(self) -> str:
        """All marks in one word."""
        return "".join(self.marks)

    @property
    def shown_ends(self) -> tuple[str, str]:
        """The ends of the interval, or instead of the first why there is none."""
        if self.ends is None:
            return shortened(self.note or ""), ""
        return figure(self.ends[0], self.digits), figure(self.ends[1], self.digits)


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One system.

    Args:
        columns, people: by name, only those that have a value.
        remark: what is worth knowing of the row as a whole.
    """

    name: str
    columns: Mapping[str, BoardCell]
    people: Mapping[str, BoardCell]
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class BoardBlock:
    """Columns that stand together, and the rows that have any of them.

    Args:
        title: what the rows are.
        names: of the columns.
        rows: each with its cells by column, only those that have a value.
    """

    title: str
    names: tuple[str, ...]
    rows: tuple[tuple[BoardRow, Mapping[str, BoardCell]], ...]


@dataclass(frozen=True, slots=True)
class BoardSection:
    """Blocks under a heading of their own; rows of different sections never stand in one table.

    Args:
        heading: None of the first, whose heading is the board's title.
        notes: the marks that its cells carry, with their sentences.
    """

    heading: str | None
    blocks: tuple[BoardBlock, ...]
    notes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Board:
    """The rows of one group of tasks.

    Args:
        reasoning: names of the columns that a judge scores.
        rows: measured here.
        trivial: what replies that take no understanding score on the first run's turns.
        published: as printed in the paper.
        notes: marks of the cells with their sentences.
    """

    group: str
    title: str
    reasoning: tuple[str, ...]
    rows: tuple[BoardRow, ...]
    trivial: tuple[BoardRow, ...]
    published: tuple[BoardRow, ...]
    notes: tuple[tuple[str, str], ...]

    def sections(self) -> tuple[BoardSection, ...]:
        """What was measured here, then what was published; none without a row."""
        sections = (self._section(None, (*self.rows, *self.trivial)), self._section(PUBLISHED, self.published))
        return tuple(section for section in sections if section.blocks)

    def _section(self, heading: str | None, rows: Sequence[BoardRow]) -> BoardSection:
        cells = (cell for row in rows for of_row in (row.columns, row.people) for cell in of_row.values())
        carried = {mark for cell in cells for mark in cell.marks}
        notes = {mark: sentence for mark, sentence in self.notes if mark in carried}
        return BoardSection(heading, tuple(self._blocks(rows)), notes)

    def _blocks(self, rows: Sequence[BoardRow]) -> Iterator[BoardBlock]:
        """What a judge scores, what needs none, and what people rate; none without a row."""
        measured, rated = [(row, row.columns) for row in rows], [(row, row.people) for row in rows]
        people = tuple(dict.fromkeys([*PEOPLE, *(name for row in rows for name in row.people)]))
        for title, names, cells_of in (
            ("system", self.reasoning, measured),
            ("system", LABELS, measured),
            ("rated by people", people, rated),
        ):
            shown = tuple((row, cells) for row, cells in cells_of if any(name in cells for name in names))
            if shown:
                yield BoardBlock(title, names, shown)


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
    asked = [_Asked(name, run, run.result.groups[group]) for name, run in runs if group in run.result.groups]
    published = published_rows(group)
    notes = Notes()
    differing = differing_cells([one.run for one in asked], group)
    measured = [_measured(one, of_cells, notes) for one, of_cells in zip(asked, differing, strict=True)]
    trivial = _trivial(asked, differing, notes)
    printed = [_printed(row, notes) for row in published]
    columns = [*(one.group.columns for one in asked), *(row.columns for row in published)]
    return Board(
        group=group,
        title=TITLES.get(group) or asked[0].group.title,
        reasoning=tuple(_with_directions(name for row in columns for name in row if name not in LABELS)),
        rows=tuple(measured),
        trivial=tuple(trivial),
        published=tuple(printed),
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A run that was asked a group, and what it is called."""

    name: str
    run: FinishedRun
    group: GroupResult

    def cells(self, metrics: Mapping[str, Metric | None], notes: Notes) -> dict[str, BoardCell]:
        """The metrics that have a value."""
        return {
            name: _cell(metric, metric.value, notes.standing(metric.marks, {**SENTENCES, **self.run.result.marks}))
            for name, metric in metrics.items()
            if metric is not None and metric.value is not None
        }


def _with_directions(names: Iterable[str]) -> dict[str, None]:
    """Each name once, and EBS_dir beside EBS also where no row has it: EBS must not be read alone."""
    return dict.fromkeys(
        beside for name in names for beside in ((name, f"{name}_dir") if name.endswith("EBS") else (name,))
    )


def _cell(metric: Metric, value: float, marks: tuple[str, ...]) -> BoardCell:
    low, high = metric.ci_low, metric.ci_high
    ends = None if low is None or high is None else (low, high)
    return BoardCell(value, digits_of(metric.n), ends, metric.note, metric.n, marks)


def _differing(
    cells: Mapping[str, BoardCell], differences: Mapping[str, Sequence[str]], notes: Notes
) -> dict[str, BoardCell]:
    """The cells with letters for what sets them apart from others of their columns."""
    return {
        name: replace(cell, marks=(*cell.marks, *map(notes.letter, differences.get(name, ()))))
        for name, cell in cells.items()
    }


def _trivial(
    asked: Sequence[_Asked], differing: Sequence[Mapping[str, Sequence[str]]], notes: Notes
) -> Iterator[BoardRow]:
    """Those of the first run that has any; where there are several runs, they say whose they are."""
    for one, differences in zip(asked, differing, strict=True):
        if one.group.trivial:
            whose = f" ({one.name})" if len(asked) > 1 else ""
            for row, metrics in one.group.trivial.items():
                values = {
                    name: replace(metric, ci_low=None, ci_high=None) for name, metric in metrics.items() if metric
                }
                cells = _differing(one.cells(values, notes), differences, notes)
                yield BoardRow(row + whose, {name: replace(cell, n=None) for name, cell in cells.items()}, {})
            return


def _printed(row: PublishedRow, notes: Notes) -> BoardRow:
    def cells(printed: Mapping[str, Cell]) -> dict[str, BoardCell]:
        return {
            name: BoardCell(one.value, marks=() if one.mark is None else (notes.letter(one.mark),))
            for name, one in printed.items()
        }

    return BoardRow(row.system, cells(row.columns), cells(row.people))


def _measured(one: _Asked, differences: Mapping[str, Sequence[str]], notes: Notes) -> BoardRow:
    people = one.run.people_of(one.group.group)
    name = one.name if one.group.row == one.run.result.model else f"{one.group.row} ({one.name})"
    cells = _differing(one.cells(one.group.columns, notes), differences, notes)
    rated = {} if people is None else one.cells(rated_columns(people), notes)
    remarks = [*_judged_by(one.run, one.group), *_other_scales(one.run, one.group)]
    return BoardRow(name, cells, rated, "; ".join(remarks) or None)


def rated_columns(people: PeopleScores) -> dict[str, Metric]:
    """What people gave, marked where more ratings are to come."""
    marks = [] if people.complete else [FEW_RATERS]
    return {name: marked_metric(metric, marks) for name, metric in people.columns.items()}


def _judged_by(run: FinishedRun, group: GroupResult) -> Iterator[str]:
    tasks = [run.result.tasks[task.task] for task in run.record.tasks if task.group == group.group]
    judge = run.result.judge
    if judge is not None and any(task.n_spoken for task in tasks):
        yield f"replies judged by {publishable(judge.name)} ({judge.digest[:12]})"


def _other_scales(run: FinishedRun, group: GroupResult) -> Iterator[str]:
    for other in sorted({one.scales for one in run.people if one.group == group.group} - {BENCHMARK_SCALES}):
        yield f"rated by people on other scales ({other}), which are no {', '.join(PEOPLE)}: see its own report"
