"""`avemo-eval data import`: the command that it says comes next."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus_trees import write_ravdess

from avemo_harness.cli import main


def test_an_import_of_all_labels_into_a_folder_names_the_tasks_that_know_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = write_ravdess(tmp_path / "corpus", [f"03-01-0{e}-01-01-01-0{a}.wav" for e in (2, 4) for a in (1, 2)])
    out = tmp_path / "out"
    assert main(["data", "import", "ravdess", str(corpus), "--labels", "all", "--out", str(out)]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last == f"  avemo-eval --model MODEL --tasks ravdess --dataset ravdess={out}"
