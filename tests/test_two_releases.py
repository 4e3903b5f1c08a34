"""A run that asks about two releases whose configs, splits and dialogues are called alike keeps them apart."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.releases import write_text_release, write_text_task

from avemo_harness import evaluate
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.cli import main
from avemo_harness.errors import StoreError, UsageError
from avemo_harness.models.base import Capabilities
from avemo_harness.report.compare import compare_runs
from avemo_harness.report.exports import Publication
from avemo_harness.report.exports.formats import spreadsheet
from avemo_harness.report.html.turns import dataset_of, list_entries
from avemo_harness.report.scored_run import read_scored_run


class Sad:
    """Says that everybody is sad."""

    capabilities = Capabilities(frozenset({"label_text"}), largest_batch=8)

    def identity(self) -> Mapping[str, str]:
        return {"model": "sad"}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        return [Response(text="sad") for _ in requests]


@dataclass(frozen=True)
class Two:
    """Two releases, a task on each, and a run of both tasks."""

    releases: Mapping[str, Path]
    tasks: Mapping[str, Path]
    run: Path


@pytest.fixture
def two(tmp_path: Path) -> Two:
    releases = {
        "one": write_text_release(tmp_path / "first", dialogues=2),
        "two": write_text_release(tmp_path / "second", dialogues=3, turns=2),
    }
    tasks = {
        name: write_text_task(tmp_path / f"{name}.yaml", release, f"task_{name}") for name, release in releases.items()
    }
    evaluate(Sad(), [str(task) for task in tasks.values()], output_path=tmp_path / "run")
    return Two(releases, tasks, tmp_path / "run")


def test_every_task_is_known_by_the_release_that_it_was_asked_of(two: Two) -> None:
    run = read_scored_run(two.run)
    sources = {task.task: run.record.release_of(task).source for task in run.record.tasks}
    assert sources == {f"task_{name}": str(release) for name, release in two.releases.items()}
    (text,) = spreadsheet(run, Publication()).values()
    named = {row["task"]: row["release"] for row in csv.DictReader(io.StringIO(text))}
    assert named == {"task_one": "…/first", "task_two": "…/second"}


def test_its_page_has_the_turns_of_both(two: Two) -> None:
    assert main(["report", str(two.run)]) == 0
    record = read_scored_run(two.run).record
    loaded = [load_release(str(release), "text", "test") for release in two.releases.values()]
    known = {dataset_of(one): release for one, release in zip(record.releases, loaded, strict=True)}
    entries = list_entries(read_scored_run(two.run), known)
    assert len({one.key for one in entries}) == len(entries) == 2 + 3 * 2
    first = [one for one in entries if one.dataset[2] == loaded[0].fingerprint]
    assert [one.key for one in first] == [f"text/test/{loaded[0].fingerprint[:12]}/d0000{n}/0" for n in range(2)]
    assert [len(one.shown["answers"]) for one in first] == [1, 1]


def test_two_of_its_kind_are_compared_task_by_task(two: Two, tmp_path: Path) -> None:
    names = [str(task) for task in two.tasks.values()]
    evaluate(Sad(), names, output_path=tmp_path / "again", seed=1)
    assert len(compare_runs([two.run, tmp_path / "again"], force=False).contrasts) == 2
    write_text_release(two.releases["two"], dialogues=4, turns=2)
    evaluate(Sad(), names, output_path=tmp_path / "changed")
    with pytest.raises(UsageError, match="release text, split test differs") as refused:
        compare_runs([two.run, tmp_path / "changed"], force=False)
    assert str(refused.value).count("have different fingerprints") == 1


def test_a_record_that_names_no_release_of_a_task_says_so(two: Two) -> None:
    record = read_scored_run(two.run).record
    task = record.tasks[0]
    with pytest.raises(StoreError, match=r"run\.json names no release for task_one; run it anew"):
        replace(record, releases=record.releases[1:]).release_of(task)
