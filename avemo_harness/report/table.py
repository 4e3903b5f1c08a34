"""Results of a run, and the benchmark's table, as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from avemo_harness.metrics.bootstrap import TOO_FEW
from avemo_harness.report.board import CAVEATS, LABELS, Board, BoardBlock, BoardCell, BoardSection, rated_columns
from avemo_harness.report.published import OTHER_TABLES, PublishedTable
from avemo_harness.report.results import GroupResult, RunResult, TaskResult
from avemo_harness.report.scored_run import BENCHMARK_SCALES, PEOPLE, PeopleScores
from avemo_harness.report.values import UNDEFINED, figure, mark_of, sentences_of, shortened, shown_interval, shown_value
from avemo_harness.scorers.base import MetricValue
from avemo_harness.text import aligned

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
    """That many runs of positions, the first ones longer by one where they cannot be equal."""
    size, rest = divmod(number, max(count, 1))
    starts = [i * size + min(i, rest) for i in range(count + 1)]
    return [range(starts[i], starts[i + 1]) for i in range(count)]


EXPLANATION = ("from, to: 95 % interval over resampled dialogues; n: items or dialogues", *CAVEATS)


def format_board(board: Board) -> str:
    """Lay out one split for a terminal. Names are given as they are; the caller makes them printable."""
    remarks = [f"  {row.name}: {row.remark}" for row in board.rows if row.remark]
    parts = [_section(section, remarks if section.heading is None else []) for section in board.sections()]
    return "\n".join([board.title, "\n\n".join(parts)])


def _section(section: BoardSection, remarks: Sequence[str]) -> str:
    heading = "" if section.heading is None else f"{section.heading}\n"
    below = "\n".join([*mark_lines(section.notes), *remarks])
    blocks = ["\n".join(_block(block)) for block in section.blocks]
    return heading + "\n\n".join([*blocks, *([below] if below else [])])


def mark_lines(sentences: Mapping[str, str]) -> list[str]:
    """The sentences behind the marks of a table's cells, a line each."""
    return [f"  {mark}  {sentence}" for mark, sentence in sentences.items()]


def format_other_tables() -> str:
    """The paper's Tables 1, 3 and 4, which are about its recognisers."""
    return "\n\n".join(_format_table(table) for table in OTHER_TABLES)


def _block(block: BoardBlock) -> list[str]:
    names = [block.title]
    for row, cells in block.rows:
        measured = any(cell.n is not None for cell in cells.values())
        names += [row.name, *(["  from", "  to", "  n"] if measured else [])]
    columns = [[name, *on_the_point(list(_board_figures(block, name)))] for name in block.names]
    return column_blocks(names, columns)


def _board_figures(block: BoardBlock, column: str) -> Iterator[Figure]:
    """The cells below a column's head."""
    for _, cells in block.rows:
        cell = cells.get(column)
        yield (UNDEFINED, "") if cell is None else (cell.shown, cell.mark)
        if any(one.n is not None for one in cells.values()):
            yield from _interval_figures(cell)


def _interval_figures(cell: BoardCell | None) -> Iterator[Figure]:
    low, high = ("", "") if cell is None else cell.shown_ends
    yield from ((low, ""), (high, ""), ("" if cell is None or cell.n is None else str(cell.n), ""))


def _format_table(table: PublishedTable) -> str:
    rows = [[name, *(figure(value, table.decimals) for value in values)] for name, values in table.rows.items()]
    lines = [f"Table {table.number}: {table.title}", *aligned([["", *table.columns], *rows])]
    return "\n".join([*lines, *([f"  {table.note}"] if table.note else [])])


def format_results(result: RunResult, people: Sequence[PeopleScores] = ()) -> str:
    """Lay out a run's results for a terminal of 80 columns or more.

    Args:
        people: what people gave the replies, by task and wording of the scales; each joins the rows of its group.
    """
    parts = [part for group in result.groups.values() for part in _group_tables(group, result, people)]
    parts += [_format_people(one, result.model) for one in people if one.group not in result.groups]
    parts.append(_format_tasks(list(result.tasks.values())))
    marks = dict(result.marks) | sentences_of(x for one in people for x in rated_columns(one).values())
    parts += ["\n".join(mark_lines(marks))] if marks else []
    notes = result_notes(result)
    return "\n\n".join([*parts, "\n".join(notes)] if notes else parts)


def _group_tables(group: GroupResult, result: RunResult, people: Sequence[PeopleScores]) -> Iterator[str]:
    yield _format_group(group, result)
    yield from (_format_people(one, group.row) for one in people if one.group == group.group)


def _format_group(group: GroupResult, result: RunResult) -> str:
    labelled = [name for name in group.columns if name in LABELS]
    scored_by_judge = [name for name in group.columns if name not in LABELS]
    lines = [group.title + _state(result)]
    if scored_by_judge:
        lines += _model_block(group.row, group.columns, scored_by_judge, group.trivial)
    if labelled:
        lines += [*([""] if scored_by_judge else []), *_model_block(group.row, group.columns, labelled, {})]
    for name, contrast in group.contrasts.items():
        if contrast is not None and contrast.value is not None:
            value = shown_value(contrast, signed=True) + mark_of(contrast)
            lines.append(f"{name}: {value}  {shown_interval(contrast, signed=True)}  paired, {contrast.n} turns")
    return "\n".join(lines)


def _model_block(
    row: str,
    columns: Mapping[str, MetricValue | None],
    names: Sequence[str],
    trivial: Mapping[str, Mapping[str, MetricValue | None]],
) -> list[str]:
    """A model's values with intervals and n; below them, values alone of replies that take no understanding."""
    return column_blocks(
        ["model", row, "95 % interval", "n", *trivial],
        [_model_column(name, columns.get(name), [one.get(name) for one in trivial.values()]) for name in names],
    )


def _model_column(name: str, metric: MetricValue | None, trivial: Sequence[MetricValue | None]) -> list[str]:
    first, *others = on_the_point([_marked_value(one) for one in (metric, *trivial)])
    n = UNDEFINED if metric is None or metric.value is None else str(metric.n)
    return [name, first, shortened(shown_interval(metric)), n, *others]


def _marked_value(metric: MetricValue | None) -> Figure:
    return shown_value(metric), mark_of(metric)


def rated_by(people: PeopleScores) -> str:
    """Which replies how many people rated, and whether more ratings are to come."""
    left_out = f", {people.excluded} left out" if people.excluded else ""
    mark = "" if people.complete else "  (provisional: some items have fewer raters than planned)"
    scales = "" if people.scales == BENCHMARK_SCALES else f" on other scales ({people.scales}), no {', '.join(PEOPLE)}"
    return f"{people.task}, rated by {people.raters} people{left_out}{scales}{mark}"


def _format_people(people: PeopleScores, model: str) -> str:
    columns = rated_columns(people)
    return "\n".join([rated_by(people), *_model_block(model, columns, list(columns), {})])


def _format_tasks(tasks: Sequence[TaskResult]) -> str:
    header = ["task", "metric", "value", "95 % interval", "n", "dialogues", "invalid", "errors", "missing"]
    rows = [_task_rows(task) for task in tasks]
    values = on_the_point([figure for of_task in rows for figure in of_task.figures])
    texts = iter(values)
    cells = [[*row[:2], next(texts), *row[2:]] for of_task in rows for row in of_task.rows]
    table = iter(aligned([header, *cells]))
    lines = list(islice(table, 2))
    for task, of_task in zip(tasks, rows, strict=True):
        lines += [*islice(table, len(of_task.rows)), *(f"  {line}" for line in _below(task))]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _TaskRows:
    """The rows of a task without their values, and these."""

    rows: list[list[str]]
    figures: list[Figure]


def _task_rows(task: TaskResult) -> _TaskRows:
    """A row for each metric; the first has the task's name and counts."""
    if task.status == "skipped":
        return _TaskRows([[task.task, *[UNDEFINED] * 7]], [(UNDEFINED, "")])
    shown = [(name, _interval(metric), str(metric.n)) for name, metric in task.metrics.items()]
    figures = [_marked_value(metric) for metric in task.metrics.values()]
    if task.n_spoken is not None and "coverage" not in task.metrics:
        shown.append(("spoken", UNDEFINED, str(task.n_answered)))
        figures.append((f"{task.n_spoken}/{task.n_answered}", ""))
    if not shown:
        shown, figures = [("(no scorer)", UNDEFINED, str(task.n_answered))], [(UNDEFINED, "")]
    counts = [str(n) for n in (task.n_clusters, task.n_invalid, task.n_errors, task.n_missing)]
    before = [task.task, *[""] * (len(shown) - 1)]
    after = [counts, *[[""] * len(counts)] * (len(shown) - 1)]
    return _TaskRows([[one, *row, *rest] for one, row, rest in zip(before, shown, after, strict=True)], figures)


def _interval(metric: MetricValue) -> str:
    """The interval, or its note; a note that would make the widest table wider still is left to the value's mark."""
    interval = shown_interval(metric)
    return interval if interval == TOO_FEW else shortened(interval)


def _below(task: TaskResult) -> Iterator[str]:
    """What stands below a task's rows: oddities, the most frequent first, and what was not asked."""
    if task.flags:
        most_frequent_first = sorted(task.flags.items(), key=lambda flag: (-flag[1], flag[0]))
        yield ", ".join(f"{n} {flag}" for flag, n in most_frequent_first)
    if task.not_asked:
        yield not_asked(task)


def not_asked(task: TaskResult) -> str:
    """How many turns, or pairs, lack a stream that the condition needs: "12 turns have no face"."""
    one, many = ("pair", "pairs") if task.condition == "conflict" else ("turn", "turns")
    counts = (f"{n} {one} has {lack}" if n == 1 else f"{n} {many} have {lack}" for lack, n in task.not_asked.items())
    return f"not asked: {', '.join(counts)}"


def result_notes(result: RunResult) -> list[str]:
    """What a reader must know of a run before holding its figures against others, in sentences."""
    notes = [f"damage: {sentence}" for sentence in result.damage]
    if result.partial:
        notes.append("partial: only some of the tasks' items were asked for (--limit, --ids or --where)")
    if result.n_errors:
        notes.append(
            f"provisional: {result.n_errors} items failed and are not scored; the same command asks them again "
            "(reasons: responses/*.jsonl)"
        )
    if result.n_missing:
        notes.append(f"provisional: {result.n_missing} items are not answered yet; the same command continues")
    if unjudged := sum(task.n_unjudged for task in result.tasks.values()):
        notes.append(
            f"provisional: {unjudged} replies are not judged yet; avemo-eval judge RUN, then avemo-eval score RUN"
        )
    if result.judge is not None:
        notes += _judge_notes(result)
    for task in result.tasks.values():
        if task.status == "skipped":
            notes.append(f"{task.task}: not asked, {task.reason}")
    return notes


def _judge_notes(result: RunResult) -> list[str]:
    """Who judged the replies, what is known of that judge, and of which tasks it says nothing that can be compared."""
    judge = result.judge
    assert judge is not None
    notes = [f"replies judged by: {judge.name} ({judge.digest[:12]})"]
    notes += ["  " + line for line in judge.card.get("lines", ())]
    for task in result.tasks.values():
        if not task.comparable:
            notes.append(
                f"{task.task}: not comparable: the embedded judge knows the demo's voices only; train one on people "
                "(avemo-eval recognizer train), then avemo-eval judge RUN --recognizer DIR"
            )
        refused = task.details.get("reasoning", {}).get("profile_refused")
        if refused:
            notes.append(f"{task.task}: replies are not scored: {refused}")
    return notes


def _state(result: RunResult) -> str:
    states = [name for name, on in (("partial", result.partial), ("provisional", result.provisional)) if on]
    return f"  ({', '.join(states)})" if states else ""
