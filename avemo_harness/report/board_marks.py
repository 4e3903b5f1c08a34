"""Marks that cells of a board get beside their neighbours: measured on another release, by another task or judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from string import ascii_lowercase

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.publishing import publishable
from avemo_harness.report.marks import judged_metrics
from avemo_harness.report.results import task_of_column
from avemo_harness.report.results_file import FinishedRun

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
    if judge is not None and metric in judged_metrics(task):
        yield "judge", judge.digest, f"replies judged by {publishable(judge.name)} ({judge.digest[:12]})"
    if (parsing := run.result.tasks[task.task].details.get("parsing")) is not None:
        yield "rule", str(parsing["rule"]), f"answers read by rule {parsing['rule']}"
