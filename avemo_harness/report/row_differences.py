"""Rows of one table that are no measurements of the same thing: of another release, or by another task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from avemo_harness.report.results_file import FinishedRun


@dataclass(frozen=True, slots=True)
class _Fact:
    """What must be equal in two rows.

    Args:
        what: names it.
        content: digest of it in this row.
        told: how a reader is told of it.
    """

    what: str
    content: str
    told: str


def row_differences(runs: Sequence[FinishedRun], group: str) -> list[list[str]]:
    """For each run, in sentences, the release and the tasks of its row that are not those of every row."""
    facts = [list(_facts(run, group)) for run in runs]
    contents: dict[str, set[str]] = {}
    for fact in (fact for of_run in facts for fact in of_run):
        contents.setdefault(fact.what, set()).add(fact.content)
    differing = [[fact.told for fact in of_run if len(contents[fact.what]) > 1] for of_run in facts]
    return [[f"{told}, not that of every row" for told in dict.fromkeys(of_run)] for of_run in differing]


def _facts(run: FinishedRun, group: str) -> Iterator[_Fact]:
    for task in run.record.tasks:
        if task.group == group and task.task not in run.record.skipped:
            release = run.record.release_of(task)
            content, digest = str(release["fingerprint"]), run.record.task_digests[task.task]
            yield _Fact(f"release of {task.task}", content, f"release {release['source']} ({content[:12]})")
            yield _Fact(task.task, digest, f"{task.task} version {task.version} ({digest[:12]})")
