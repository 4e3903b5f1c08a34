"""What keeps two runs from being compared, and what a reader must know though they are."""

from __future__ import annotations

from collections.abc import Iterator

from avemo_harness.report.scored_run import ScoredRun
from avemo_harness.run.config import RunRecord
from avemo_harness.scorers import is_judged


def differences_that_matter(first: ScoredRun, second: ScoredRun, tasks: tuple[str, ...]) -> Iterator[str]:
    """What makes answers to the shared tasks, or their scores, two different measurements: a sentence each."""
    for name in tasks:
        one, other = (run.record.task_digests[name] for run in (first, second))
        if one != other:
            yield f"task {name} differs: {_version(first, name)} and {_version(second, name)}"
    asked = {(dataset.name, dataset.split): task for task in map(first.task, tasks) for dataset in [task.dataset]}
    for (name, split), task in sorted(asked.items()):
        one_release, other_release = (run.record.release_of(task) for run in (first, second))
        if one_release["fingerprint"] != other_release["fingerprint"]:
            where = f"{one_release['source']} and {other_release['source']}"
            yield f"release {name}, split {split} differs: {where} have different fingerprints"
    if any(is_judged(first.task(name)) for name in tasks):
        judges = [run.judge for run in (first, second)]
        if (judges[0] and judges[0].digest) != (judges[1] and judges[1].digest):
            named = [f"{judge.name} ({judge.digest[:12]})" if judge else "nobody" for judge in judges]
            yield f"replies were judged by {named[0]} and by {named[1]}; avemo-eval judge RUN --recognizer NAME"


def differences_to_know(first: RunRecord, second: RunRecord) -> Iterator[str]:
    """Settings of the run that differ and may be what is compared: a sentence each."""
    for name in ("generation", "seed"):
        one, other = getattr(first.config, name), getattr(second.config, name)
        if one != other:
            yield f"{name} differs: {one!r} and {other!r}"


def _version(run: ScoredRun, task: str) -> str:
    return f"version {run.task(task).version} (digest {run.record.task_digests[task][:12]})"
