"""Corpora of which a user has some parts: collections ask those, and name how the others come."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus_tasks import write_benchmark, write_corpus
from support.whole_runs import results_of

from avemo_harness.cli import main

COMMAND = "avemo-eval data import acted DIR --labels all"


def write_parts(folder: Path, *parts: str) -> Path:
    """A collection of benchmarks that are parts of one corpus, each with its list and a folder of recordings."""
    for part in parts:
        write_benchmark(folder, part)
        task, group = folder / f"{part}.yaml", folder / f"{part}_group.yaml"
        needs = f"corpus: acted, path: {part}/labels/test.csv, recordings: {part}/wav"
        columns = f'sound: "{part}/{{{{ row.file }}}}"'
        text = task.read_text().replace(f"corpus: {part}, path: labels/test.csv", needs)
        task.write_text(text.replace("sound: file", columns))
        group.write_text(group.read_text().replace(f"data import {part}", "data import acted"))
    names = ", ".join(parts)
    (folder / "all.yaml").write_text(f"group: whole\ntitle: Whole\ngroups: [{names}]\n")
    return folder


def test_a_collection_asks_the_parts_that_are_here_and_names_how_the_others_come(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = write_parts(tmp_path / "tasks", "first", "second", "third")
    for part in ("first", "second"):
        write_corpus(tmp_path / "acted" / part)
    (tmp_path / "acted/second/wav").rename(tmp_path / "elsewhere")
    asked = ["--model", "random", "--include_path", str(tasks), "--dataset", f"acted={tmp_path / 'acted'}"]
    assert main([*asked, "--tasks", "whole", "--output_path", str(tmp_path / "run")]) == 0
    assert list(results_of(tmp_path / "run")["tasks"]) == ["first_audio"]
    said = capsys.readouterr().out
    assert f"not here: second: {COMMAND}" in said
    assert f"not here: third: {COMMAND}" in said
    assert main([*asked, "--tasks", "second_audio", "--output_path", str(tmp_path / "other")]) == 2
    assert (
        f"acted: holds no second/wav; give the corpus' own folder: acted=DIR, or get it: {COMMAND}"
        in capsys.readouterr().err
    )
    (tmp_path / "elsewhere").rename(tmp_path / "acted/second/wav")
    assert main([*asked, "--tasks", "second_audio", "--output_path", str(tmp_path / "other")]) == 0
