"""The benchmark's table of one split: measured rows, published rows, and marks for cells that differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase

from avemo_harness.benchmark.group import GroupSpec
from avemo_harness.benchmark.published import (
    OTHER_TABLES,
    PAPER,
    PEOPLE,
    PublishedRow,
    PublishedTable,
    marks_of_people,
    marks_of_reasoning,
    published_rows,
)
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.report.others import OTHERS, OTHERS_CAVEATS, rows_of_others, source_of
from avemo_harness.report.results import GroupResult, task_of_column
from avemo_harness.report.scored_run import BENCHMARK_SCALES, PeopleScores, ScoredRun
from avemo_harness.report.table import Cell, Cells, Table, as_text, mark_lines, metric_cell
from avemo_harness.report.values import FEW_RATERS, SENTENCES, figure, judged_metrics, marked_metric, shortened
from avemo_harness.scorers import metrics_of
from avemo_harness.scorers.base import MetricValue
from avemo_harness.scorers.metric import RUBRIC
from avemo_harness.text import aligned, publishable

Provenance = tuple[str, str, str]
"""A thing that a value was measured by, its content, and a phrase for readers; cells compare if contents are equal."""


class MarkLetters:
    """Letters for sentences, in the order in which they come up, and the marks that have their letters already."""

    def __init__(self) -> None:
        self._standing: dict[str, str] = {}
        self._letters: dict[str, str] = {}

    def letter(self, sentence: str) -> str:
        """The letter of a sentence, the same for the same sentence: a to z, then aa, bb and so on."""
        number = len(self._letters)
        letter = ascii_lowercase[number % len(ascii_lowercase)] * (number // len(ascii_lowercase) + 1)
        return self._letters.setdefault(sentence, letter)

    def keep(self, marks: Iterable[str], sentences: Mapping[str, str]) -> None:
        """Note marks that mean the same everywhere, by the sentences of the run that they are from."""
        for mark in marks:
            self._standing.setdefault(mark, sentences[mark])

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Marks with their sentences."""
        yield from sorted(self._standing.items())
        yield from ((letter, sentence) for sentence, letter in self._letters.items())


def differing_cells(runs: Sequence[ScoredRun], group: str) -> list[dict[str, list[str]]]:
    """For each run and column of its row, in sentences, what its value was measured by where not all rows' were.

    Only cells that carry the same of these sentences compare with each other.
    """
    provenances = [_provenance_of_row(run, group) for run in runs]
    contents: dict[tuple[str, str], set[str]] = {}
    for row in provenances:
        for column, of_cell in row.items():
            for what, content, _ in of_cell:
                contents.setdefault((column, what), set()).add(content)
    return [
        {
            column: [
                f"{phrase}, not that of every row" for what, _, phrase in of_cell if len(contents[column, what]) > 1
            ]
            for column, of_cell in row.items()
        }
        for row in provenances
    ]


def _provenance_of_row(run: ScoredRun, group: str) -> dict[str, list[Provenance]]:
    """By column, only those that have a value."""
    tasks = [task for task in run.record.tasks if task.group == group]
    layout = next((of_group for of_group in run.record.groups if of_group.group == group), None)
    values = run.result.groups[group].columns
    found = {}
    for column in layout.columns if layout else ():
        task, metric = task_of_column(tasks, column), values.get(column.name)
        if task is not None and metric is not None and metric.value is not None:
            found[column.name] = list(_provenance(run, task, column.metric))
    return found


def _provenance(run: ScoredRun, task: TaskSpec, metric: str) -> Iterator[Provenance]:
    release, digest = run.record.release_of(task), run.record.task_digests[task.task]
    content = release.fingerprint
    yield "release", content, f"release {publishable(release.source)} ({content[:12]})"
    yield "task", digest, f"{task.task} version {task.version} ({digest[:12]})"
    judge = run.result.judge
    if judge is not None and any(judged.name == metric for judged in judged_metrics(task)):
        yield "judge", judge.digest, f"replies judged by {publishable(judge.name)} ({judge.digest[:12]})"
    grader = run.result.tasks[task.task].grader
    if grader is not None and metric in {one.name for one in metrics_of(RUBRIC)}:
        yield "grader", grader["digest"], f"answers graded by {publishable(grader['shown'])}"
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
"""Warnings for readers who hold a run against the paper."""


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One system.

    Args:
        columns, people: by name, only those that have a value.
        remark: what is worth knowing of the row as a whole.
    """

    name: str
    columns: Cells
    people: Cells
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class Board:
    """The rows of one group of tasks.

    Args:
        reasoning: names of the columns that a judge scores.
        rows: measured here.
        trivial: what replies that take no understanding score on the first run's turns.
        published: as printed in the paper, or as others report of a benchmark.
        notes: marks of the cells with their sentences.
        labels: names of the columns of a table beside that of `reasoning`; none where one table has all columns.
        heading, caveats: of the published rows.
    """

    group: str
    title: str
    reasoning: tuple[str, ...]
    rows: tuple[BoardRow, ...]
    trivial: tuple[BoardRow, ...]
    published: tuple[BoardRow, ...]
    notes: tuple[tuple[str, str], ...]
    labels: tuple[str, ...] = LABELS
    heading: str = PUBLISHED
    caveats: tuple[str, ...] = CAVEATS

    def sections(self) -> Iterator[tuple[str | None, tuple[Table, ...], Mapping[str, str]]]:
        """The measured rows, then the published ones: heading, tables, and sentences by the marks of their cells.

        No section is without a row; the heading of the first is the board's title.
        """
        for heading, rows in ((None, (*self.rows, *self.trivial)), (self.heading, self.published)):
            if tables := tuple(self._tables(rows)):
                cells = (cell for row in rows for of_row in (row.columns, row.people) for cell in of_row.values())
                carried = {mark for cell in cells for mark in cell.marks}
                yield heading, tables, {mark: sentence for mark, sentence in self.notes if mark in carried}

    def _tables(self, rows: Sequence[BoardRow]) -> Iterator[Table]:
        """Tables of judged columns, of columns without a judge, and of ratings by people; none without a row."""
        measured, rated = [(row.name, row.columns) for row in rows], [(row.name, row.people) for row in rows]
        people = tuple(dict.fromkeys([*PEOPLE, *(name for row in rows for name in row.people)]))
        for corner, names, named_cells in (
            ("system", self.reasoning, measured),
            ("system", self.labels, measured),
            ("rated by people", people, rated),
        ):
            shown = tuple((row, cells) for row, cells in named_cells if any(name in cells for name in names))
            if shown:
                # Others may report what the benchmark's row has no column for.
                kept = names if self.labels else tuple(name for name in names if any(name in row for _, row in shown))
                yield Table(corner, kept, shown)

    @property
    def remarks(self) -> list[str]:
        return [f"{row.name}: {row.remark}" for row in self.rows if row.remark]


TITLES = {
    "singleturn_synthetic": "Single-turn, synthetic",
    "multiturn_synthetic": "Multi-turn, synthetic",
    "multiturn_real": "Multi-turn, real",
}


def boards(runs: Sequence[ScoredRun], names: Sequence[str]) -> tuple[Board, ...]:
    """The three splits of the paper, then the groups of the runs that it does not have.

    Args:
        names: what to call each run.
    """
    groups = dict.fromkeys([*TITLES, *(group for run in runs for group in run.result.groups)])
    return tuple(_board(group, list(zip(names, runs, strict=True))) for group in groups)


_RunOfGroup = tuple[str, ScoredRun, GroupResult, Mapping[str, Sequence[str]]]
"""A run's name, the run, its results of the group, and by column how its cells differ from others."""


def _board(group: str, runs: Sequence[tuple[str, ScoredRun]]) -> Board:
    asked = [(name, run) for name, run in runs if group in run.result.groups]
    differing = differing_cells([run for _, run in asked], group)
    rows: list[_RunOfGroup] = [
        (name, run, run.result.groups[group], differences)
        for (name, run), differences in zip(asked, differing, strict=True)
    ]
    layout = next((of for _, run in asked for of in run.record.groups if of.group == group), None)
    if layout is not None and layout.benchmark is not None:
        return _board_of_benchmark(layout, rows)
    published = published_rows(group)
    notes = MarkLetters()
    measured = [_measured(*row, notes) for row in rows]
    trivial = _trivial(rows, notes)
    printed = [_printed(row, notes) for row in published]
    columns = [*(result.columns for _, _, result, _ in rows), *(row.columns for row in published)]
    return Board(
        group=group,
        title=TITLES.get(group) or rows[0][2].title,
        reasoning=tuple(_with_directions(name for row in columns for name in row if name not in LABELS)),
        rows=tuple(measured),
        trivial=tuple(trivial),
        published=tuple(printed),
        notes=tuple(notes),
    )


def _board_of_benchmark(layout: GroupSpec, rows: Sequence[_RunOfGroup]) -> Board:
    """One table of a benchmark's own columns, and below it what others report."""
    notes = MarkLetters()
    measured = [_measured(*row, notes) for row in rows]
    trivial = _trivial(rows, notes)
    tasks = {task.task: task for _, run, _, _ in rows for task in run.record.tasks if task.group == layout.group}
    others = [
        (name, {column: Cell(f"{x.value:g}", (notes.letter(source_of(x)),)) for column, x in figures.items()})
        for name, figures in rows_of_others(layout, list(tasks.values()))
    ]
    names = [column.name for column in layout.columns]
    return Board(
        group=layout.group,
        title=layout.title,
        reasoning=tuple(dict.fromkeys([*names, *(column for _, cells in others for column in cells)])),
        rows=tuple(measured),
        trivial=tuple(trivial),
        published=tuple(BoardRow(name, cells, {}) for name, cells in others),
        notes=tuple(notes),
        labels=(),
        heading=OTHERS,
        caveats=OTHERS_CAVEATS,
    )


def _with_directions(names: Iterable[str]) -> dict[str, None]:
    """Each name once, and EBS_dir beside EBS also where no row has it: EBS must not be read alone."""
    return dict.fromkeys(
        beside for name in names for beside in ((name, f"{name}_dir") if name.endswith("EBS") else (name,))
    )


def _cells(
    run: ScoredRun,
    metrics: Mapping[str, MetricValue | None],
    notes: MarkLetters,
    differences: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Cell]:
    """The metrics that have a value, with letters for what sets them apart from others of their columns."""
    found = {}
    for name, metric in metrics.items():
        if metric is not None and metric.value is not None:
            notes.keep(metric.marks, {**SENTENCES, **run.result.marks})
            letters = map(notes.letter, (differences or {}).get(name, ()))
            found[name] = replace(metric_cell(metric), marks=(*metric.marks, *letters))
    return found


def _measured(
    name: str, run: ScoredRun, result: GroupResult, differences: Mapping[str, Sequence[str]], notes: MarkLetters
) -> BoardRow:
    people = run.people_of(result.group)
    cells = _cells(run, result.columns, notes, differences)
    rated = {} if people is None else _cells(run, rated_columns(people), notes)
    shown = name if result.row == run.result.model else f"{result.row} ({name})"
    return BoardRow(shown, cells, rated, "; ".join(_remarks(run, result.group)) or None)


def _remarks(run: ScoredRun, group: str) -> Iterator[str]:
    judge = run.result.judge
    if judge is not None and any(run.result.tasks[x.task].n_spoken for x in run.record.tasks if x.group == group):
        yield f"replies judged by {publishable(judge.name)} ({judge.digest[:12]})"
    for other in sorted({people.scales for people in run.people if people.group == group} - {BENCHMARK_SCALES}):
        yield f"rated by people on other scales ({other}), which are no {', '.join(PEOPLE)}: see its own report"


def _trivial(rows: Sequence[_RunOfGroup], notes: MarkLetters) -> list[BoardRow]:
    """Values alone, of the first run that has any; where there are several runs, the rows say whose they are."""
    shown: list[BoardRow] = []
    for name, run, result, differences in rows:
        if result.trivial and not shown:
            suffix = f" ({name})" if len(rows) > 1 else ""
            for row, metrics in result.trivial.items():
                cells = _cells(run, metrics, notes, differences)
                alone = {column: replace(cell, interval=(), n=None) for column, cell in cells.items()}
                shown.append(BoardRow(row + suffix, alone, {}))
    return shown


def _printed(row: PublishedRow, notes: MarkLetters) -> BoardRow:
    def cells(values: Mapping[str, float], reasons: Iterator[tuple[str, str]]) -> Cells:
        marks = {name: (notes.letter(reason),) for name, reason in reasons}
        return {name: Cell(figure(value), marks.get(name, ())) for name, value in values.items()}

    return BoardRow(
        row.system,
        cells(row.columns, marks_of_reasoning(row.columns)),
        cells(row.people, marks_of_people(row.people)),
    )


def rated_columns(people: PeopleScores) -> dict[str, MetricValue]:
    """Scores by people, marked where more ratings are to come."""
    marks = [] if people.complete else [FEW_RATERS]
    return {name: marked_metric(metric, marks) for name, metric in people.columns.items()}


EXPLANATION = ("from, to: 95 % interval over resampled dialogues or speakers; n: items or dialogues", *CAVEATS)


def format_board(board: Board) -> str:
    """Lay out one split for a terminal. Names are given as they are; the caller makes them printable."""
    parts = []
    for heading, tables, notes in board.sections():
        remarks = [] if heading else [f"  {remark}" for remark in board.remarks]
        blocks = ["\n".join(as_text(table, _DETAILS)) for table in tables]
        below = "\n".join([*mark_lines(notes), *remarks])
        parts.append((f"{heading}\n" if heading else "") + "\n\n".join([*blocks, *([below] if below else [])]))
    return "\n".join([board.title, "\n\n".join(parts)])


def _interval_end(cell: Cell, index: int) -> tuple[str, str]:
    return (shortened(cell.interval[index]) if index < len(cell.interval) else ""), ""


_DETAILS = {
    "  from": lambda cell: _interval_end(cell, 0),
    "  to": lambda cell: _interval_end(cell, 1),
    "  n": lambda cell: ("" if cell.n is None else str(cell.n), ""),
}
"""Rows below each measured one."""


def format_other_tables() -> str:
    """The paper's Tables 1, 3 and 4, which are about its recognisers."""
    return "\n\n".join(map(_format_published, OTHER_TABLES))


def _format_published(table: PublishedTable) -> str:
    rows = [[name, *(figure(value, table.decimals) for value in values)] for name, values in table.rows.items()]
    lines = [f"Table {table.number}: {table.title}", *aligned([["", *table.columns], *rows])]
    return "\n".join([*lines, *([f"  {table.note}"] if table.note else [])])
