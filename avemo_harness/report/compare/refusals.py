"""What keeps two runs from being compared, and what a reader must know though they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.report.scored_run import ScoredRun
from avemo_harness.run.config import RunRecord
from avemo_harness.scorers import is_judged


def differences_that_matter(first: ScoredRun, second: ScoredRun, tasks: tuple[str, ...]) -> Iterator[str]:
    """What makes answers to the shared tasks, or their scores, two different measurements: a sentence each."""
    for name in tasks:
        one, other = (run.record.task_digests[name] for run in (first, second))
        if one != other:
            yield f"task {name} differs: {_version(first, name)} and {_version(second, name)}"
    yield from dict.fromkeys(_release_differences(first.record, second.record, map(first.task, tasks)))
    judges = different_judges(first, second)
    if judges and any(is_judged(first.task(name)) for name in tasks):
        yield judges


def _release_differences(first: RunRecord, second: RunRecord, tasks: Iterable[TaskSpec]) -> Iterator[str]:
    for task in tasks:
        one, other = first.release_of(task), second.release_of(task)
        if one["fingerprint"] != other["fingerprint"] and not _is_one_commit(one, other):
            where = f"{one['source']} and {other['source']}"
            yield f"release {one['name']}, split {one['split']} differs: {where} have different fingerprints"


def _is_one_commit(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both are one commit of the Hub, of which a run may have streamed but the first dialogues."""
    return one["commit"] is not None and (one["source"], one["commit"]) == (other["source"], other["commit"])


def different_judges(first: ScoredRun, second: ScoredRun) -> str | None:
    """Who judged the replies of either run, and how they get one judge; None where they have."""
    if (first.judge and first.judge.digest) == (second.judge and second.judge.digest):
        return None
    one, other = (f"{run.judge.name} ({run.judge.digest[:12]})" if run.judge else "nobody" for run in (first, second))
    return f"replies were judged by {one} and by {other}; avemo-eval judge RUN --recognizer NAME"


def differences_to_know(first: RunRecord, second: RunRecord) -> Iterator[str]:
    """Settings of the run that differ and may be what is compared: a sentence each."""
    for name in ("generation", "seed"):
        one, other = getattr(first.config, name), getattr(second.config, name)
        if one != other:
            yield f"{name} differs: {one!r} and {other!r}"


def _version(run: ScoredRun, task: str) -> str:
    return f"version {run.task(task).version} (digest {run.record.task_digests[task][:12]})"
