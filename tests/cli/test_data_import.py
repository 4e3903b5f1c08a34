"""`avemo-eval data import`: a corpus becomes a release that tasks can be asked about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.corpus_trees import MeldRow, write_meld, write_ravdess

from avemo_harness.cli import main

ROWS: tuple[MeldRow, ...] = (
    (0, 0, "Ross", "joy", "Hi."),
    (0, 1, "Joey", "surprise", "Oh."),
    (0, 2, "Ross", "anger", "No."),
    (1, 0, "Ross", "fear", "No."),
)


def run(*arguments: str) -> int:
    return main(["data", "import", *arguments])


def test_an_import_says_what_was_left_out_and_how_to_ask_about_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, out = write_meld(tmp_path / "corpus", {"test": ROWS}), tmp_path / "out"
    assert run("meld", str(corpus), "--out", str(out)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "left out 1: label fear",
        "multiturn_real, test: 1 dialogues, 2 user turns, 2 conflict pairs",
        f"written to {out}; ask about it with --dataset {out} --media_root {corpus}",
    ]


def test_options_of_the_importer_reach_it_and_its_record(tmp_path: Path) -> None:
    corpus = write_ravdess(tmp_path / "corpus", [f"01-01-0{e}-01-01-01-0{a}.mp4" for e in (3, 4) for a in (1, 2)])
    arguments = ["--test-speakers", "actor-02", "--config", "multiturn_real"]
    assert run("ravdess", str(corpus), "--out", str(tmp_path / "out"), *arguments) == 0
    record = json.loads((tmp_path / "out" / "import.json").read_text())
    assert record["options"] == {"test_speakers": "actor-02"}
    assert record["config"] == "multiturn_real"
    assert set(record["splits"]) == {"train", "test"}
    assert sorted(path.name for path in (tmp_path / "out" / "multiturn_real").iterdir()) == [
        "test-00000.parquet",
        "train-00000.parquet",
    ]


@pytest.mark.slow
def test_an_import_can_be_asked_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, out = write_meld(tmp_path / "corpus", {"test": ROWS}), tmp_path / "out"
    assert run("meld", str(corpus), "--out", str(out)) == 0
    command = ["--model", "random", "--tasks", "multiturn_real_full_av,multiturn_real_conflict", "--dataset", str(out)]
    assert main([*command, "--media_root", str(corpus), "--output_path", str(tmp_path / "run")]) == 0
    assert "multiturn_real_conflict" in capsys.readouterr().out


def test_damaged_clips_end_with_their_names_or_are_left_out_with_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, out = write_ravdess(tmp_path / "corpus", ["01-01-03-01-01-01-01.mp4", "01-01-04-01-01-01-01.mp4"]), "out"
    (corpus / "Actor_01" / "01-01-03-01-01-01-01.mp4").write_bytes(b"no clip")
    assert run("ravdess", str(corpus), "--out", str(tmp_path / out)) == 2
    assert "Actor_01/01-01-03-01-01-01-01.mp4" in capsys.readouterr().err
    assert run("ravdess", str(corpus), "--out", str(tmp_path / out), "--skip_damaged") == 1
    assert "left out 1: dialogues with a damaged clip" in capsys.readouterr().out


def test_what_is_there_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").touch()
    assert run("meld", str(tmp_path), "--out", str(tmp_path / "out")) == 2
    assert "is there already and is not overwritten" in capsys.readouterr().err


def test_a_config_name_that_tasks_could_not_read_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("../up", "multiturn_real_conflict", "two words"):
        assert run("meld", str(tmp_path), "--out", str(tmp_path / "out"), "--config", name) == 2
        assert "config" in capsys.readouterr().err
