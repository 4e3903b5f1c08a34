"""The benchmark's table of one split: measured rows, published rows, and marks for cells that differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.report.published import PAPER, Cell, PublishedRow, published_rows
from avemo_harness.report.results import GroupResult, task_of_column
from avemo_harness.report.scored_run import BENCHMARK_SCALES, PEOPLE, FinishedRun, PeopleScores
from avemo_harness.report.values import (
    DIGITS,
    FEW_RATERS,
    SENTENCES,
    digits_of,
    figure,
    judged_metrics,
    marked_metric,
    shortened,
)
from avemo_harness.scorers.base import MetricValue
from avemo_harness.text import publishable

Fact = tuple[str, str, str]
"""What must be equal in the cells of a column, its content in one of them, and how a reader is told of it."""


class Notes:
    """Letters for sentences, in the order in which they come up, and the marks that have their letters already."""

    def __init__(self) -> None:
        self._standing: dict[str, str] = {}
        self._letters: dict[str, str] = {}

    def letter(self, sentence: str) -> str:
        """The letter of a sentence, the same for the same sentence: a to z, then aa, bb and so on."""
        number = len(self._letters)
        letter = ascii_lowercase[number % len(ascii_lowercase)] * (number // len(ascii_lowercase) + 1)
        return self._letters.setdefault(sentence, letter)

    def standing(self, marks: Iterable[str], sentences: Mapping[str, str]) -> tuple[str, ...]:
        """Marks that mean the same everywhere, by the sentences of the run that they are from."""
        found = tuple(marks)
        for mark in found:
            self._standing.setdefault(mark, sentences[mark])
        return found

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Marks with their sentences."""
        yield from sorted(self._standing.items())
        yield from ((letter, sentence) for sentence, letter in self._letters.items())


def differing_cells(runs: Sequence[FinishedRun], group: str) -> list[dict[str, list[str]]]:
    """For each run and column of its row, in sentences, what its value was measured by where not all rows' were.

    Only cells that carry the same of these sentences compare with each other.
    """
    facts = [_facts_of_row(run, group) for run in runs]
    contents: dict[tuple[str, str], set[str]] = {}
    for row in facts:
        for column, of_cell in row.items():
            for what, content, _ in of_cell:
                contents.setdefault((column, what), set()).add(content)
    return [
        {
            column: [f"{told}, not that of every row" for what, _, told in of_cell if len(contents[column, what]) > 1]
            for column, of_cell in row.items()
        }
        for row in facts
    ]


def _facts_of_row(run: FinishedRun, group: str) -> dict[str, list[Fact]]:
    """By column, only those that have a value."""
    tasks = [task for task in run.record.tasks if task.group == group]
    layout = next((one for one in run.record.groups if one.group == group), None)
    values = run.result.groups[group].columns
    found = {}
    for column in layout.columns if layout else ():
        task, metric = task_of_column(tasks, column), values.get(column.name)
        if task is not None and metric is not None and metric.value is not None:
            found[column.name] = list(_facts(run, task, column.metric))
    return found


def _facts(run: FinishedRun, task: TaskSpec, metric: str) -> Iterator[Fact]:
    release, digest = run.record.release_of(task), run.record.task_digests[task.task]
    content = str(release["fingerprint"])
    yield "release", content, f"release {publishable(str(release['source']))} ({content[:12]})"
    yield "task", digest, f"{task.task} version {task.version} ({digest[:12]})"
    judge = run.result.judge
    if judge is not None and any(one.name == metric for one in judged_metrics(task)):
        yield "judge", judge.digest, f"replies judged by {publishable(judge.name)} ({judge.digest[:12]})"
    if (parsing := run.result.tasks[task.task].details.get("parsing")) is not None:
        yield "rule", str(parsing["rule"]), f"answers read by rule {parsing['rule']}"


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
    asked = [_GroupOfRun(name, run, run.result.groups[group]) for name, run in runs if group in run.result.groups]
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
class _GroupOfRun:
    """A run that was asked a group, and what it is called."""

    name: str
    run: FinishedRun
    group: GroupResult

    def cells(self, metrics: Mapping[str, MetricValue | None], notes: Notes) -> dict[str, BoardCell]:
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


def _cell(metric: MetricValue, value: float, marks: tuple[str, ...]) -> BoardCell:
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
    asked: Sequence[_GroupOfRun], differing: Sequence[Mapping[str, Sequence[str]]], notes: Notes
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


def _measured(one: _GroupOfRun, differences: Mapping[str, Sequence[str]], notes: Notes) -> BoardRow:
    people = one.run.people_of(one.group.group)
    name = one.name if one.group.row == one.run.result.model else f"{one.group.row} ({one.name})"
    cells = _differing(one.cells(one.group.columns, notes), differences, notes)
    rated = {} if people is None else one.cells(rated_columns(people), notes)
    remarks = [*_judged_by(one.run, one.group), *_other_scales(one.run, one.group)]
    return BoardRow(name, cells, rated, "; ".join(remarks) or None)


def rated_columns(people: PeopleScores) -> dict[str, MetricValue]:
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
