"""Growth of a run that was begun before all of its data were here, by the tasks whose data came since."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from avemo_harness.files import exclusive_lock, write_atomically
from avemo_harness.run.config import ReleaseRecord, RunRecord, read_run
from avemo_harness.run.json_files import read_sealed_json, sealed_json


def compared_with(record: RunRecord, other: RunRecord) -> dict[str, Any]:
    """`RunRecord.compared`; of two runs that grow only the parts that are of tasks of both."""
    values = record.compared()
    if record.absent is None or other.absent is None:
        return values
    shared = record.task_digests.keys() & other.task_digests.keys()
    values["task_digests"] = {name: values["task_digests"][name] for name in shared}
    parts = ({**release, "tasks": sorted(shared.intersection(release["tasks"]))} for release in values["releases"])
    values["releases"] = sorted((part for part in parts if part["tasks"]), key=lambda part: part["tasks"])
    return values


def joined(record: RunRecord, other: RunRecord) -> RunRecord:
    """The record of a run with what another record of it adds; where they say where data are, the other counts."""
    specs = {task.task: task for task in (*record.tasks, *other.tasks)}

    def content(release: ReleaseRecord) -> tuple[str | None, ...]:
        # Two corpora of equal content are two releases.
        corpus = next((specs[name].dataset.corpus for name in release.tasks), None)
        return corpus, release.name, release.split, release.fingerprint

    releases = {content(release): release for release in record.releases}
    for release in other.releases:
        known = releases.get(content(release), release)
        tasks = tuple(dict.fromkeys((*known.tasks, *release.tasks)))
        releases[content(release)] = replace(release, tasks=tasks)
    groups = {group.group: group for group in (*record.groups, *other.groups)}
    given = {**record.config.corpora, **other.config.corpora}
    plain = {} if other.config.release is None else {"": other.config.release}
    here = {*specs, *(task.group for task in specs.values())}
    return replace(
        record,
        # What was given for a corpus that nobody names now is still where its answers came from.
        config=replace(other.config, dataset={**plain, **given}) if given else other.config,
        tasks=tuple(specs.values()),
        task_digests={**other.task_digests, **record.task_digests},
        groups=tuple(groups.values()),
        releases=tuple(releases.values()),
        skipped={**other.skipped, **record.skipped},
        builtin=tuple(dict.fromkeys((*record.builtin, *other.builtin))),
        absent=other.absent and {name: how for name, how in other.absent.items() if name not in here},
    )


def extend_run(folder: Path, record: RunRecord) -> None:
    """Add to a run what the record has that came since: tasks whose data are here now, and where a corpus has moved to.

    Raises:
        StoreError: `run.json` is damaged or cannot be written.
    """
    if record.absent is None and not record.of_corpus(record.task_digests):
        return
    with exclusive_lock(folder / "claims" / ".run", before_waiting=lambda: None):
        kept = read_sealed_json(folder / "run.json")
        values = {**joined(read_run(folder), record).to_json(), "environment": kept["environment"]}
        if values != kept:
            write_atomically(folder / "run.json", sealed_json(values))
