"""`avemo-eval data import`: the command that it says comes next."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus_trees import write_ravdess
from support.dyadic_trees import write_iemocap

from avemo_harness.cli import main


def test_an_import_of_all_labels_into_a_folder_names_the_tasks_that_know_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = write_ravdess(tmp_path / "corpus", [f"03-01-0{e}-01-01-01-0{a}.wav" for e in (2, 4) for a in (1, 2)])
    out = tmp_path / "out"
    assert main(["data", "import", "ravdess", str(corpus), "--labels", "all", "--out", str(out)]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last == f"  avemo-eval --model MODEL --tasks ravdess --dataset ravdess={out}"


def test_a_part_of_a_corpus_that_has_no_clip_of_a_label_is_asked_and_the_label_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("Ses01F_impro01_F000", 1.0, "neu", "Yes."), ("Ses01F_impro01_M000", 3.0, "ang", "No.")]
    corpus, out = write_iemocap(tmp_path / "Session1", rows), tmp_path / "out"
    assert main(["data", "import", "iemocap", str(corpus), "--labels", "all", "--embed", "--out", str(out)]) == 0
    asked = ["--model", "constant", "--model_args", "label=angry", "--tasks", "iemocap_four"]
    assert main([*asked, "--dataset", f"iemocap={out}", "--output_path", str(tmp_path / "run")]) == 0
    assert "no item is labelled happy or sad" in capsys.readouterr().out
