"""`--labels all` keeps every label in the corpus' own words; by default releases hold the benchmark's four."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.corpus_trees import write_clip, write_crema_d, write_crema_d_summary, write_meld, write_multidialog
from support.corpus_trees import write_ravdess as write_ravdess_tree
from support.imports import import_corpus, left_out

from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.cli import main
from avemo_harness.data.importers.base import ImportedCorpus


def labels(imported: ImportedCorpus) -> set[str | None]:
    turns = (turn for dialogues in imported.dialogues.values() for dialogue in dialogues for turn in dialogue.turns)
    return {turn.emotion for turn in turns if turn.role == "user"}


def write_ravdess(folder: Path) -> Path:
    return write_ravdess_tree(folder, [f"01-01-0{emotion}-01-01-01-01.mp4" for emotion in range(1, 9)])


def write_own_clips(folder: Path) -> Path:
    for seed in range(3):
        write_clip(folder / f"{seed}.mp4", 0.4, seed)
    (folder / "clips.csv").write_text("path,emotion,speaker\n0.mp4,Bored,Ann\n1.mp4,sad,Ann\n2.mp4,wrath,Bob\n")
    return folder


def test_every_take_of_ravdess_keeps_its_label(tmp_path: Path) -> None:
    imported = import_corpus("ravdess", write_ravdess(tmp_path / "corpus"), tmp_path / "out", labels="all")
    spoken = {"neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"}
    assert (labels(imported), left_out(imported)) == (spoken, {})
    release = load_release(str(tmp_path / "out"), "singleturn_synthetic")
    assert {dialogue.turns[0].emotion for dialogue in release.dialogues} == spoken


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ("all", {"anger", "disgust", "fear"}),
        ("all-votes", {"anger", "fear"}),
        ("intended", {"angry"}),
        ("votes", {"angry"}),
    ],
)
def test_crema_d_has_six_labels_as_intended_and_by_votes(choice: str, found: set[str], tmp_path: Path) -> None:
    stems = ["1001_DFA_ANG_XX", "1001_IEO_DIS_LO", "1002_IEO_FEA_MD"]
    folder = write_crema_d(tmp_path / "corpus", stems)
    write_crema_d_summary(folder, dict(zip(stems, "AFF", strict=True)))
    assert labels(import_corpus("crema-d", folder, tmp_path / "out", labels=choice)) == found


def test_utterances_of_meld_with_other_labels_are_askable(tmp_path: Path) -> None:
    rows = [(0, 0, "Ross", "joy", "Hi."), (0, 1, "Rachel", "surprise", "Oh!"), (0, 2, "Ross", "fear", "What?")]
    corpus = write_meld(tmp_path / "corpus", {"test": rows})
    assert labels(import_corpus("meld", corpus, tmp_path / "out", labels="all")) == {"joy", "fear"}


def test_multidialog_keeps_its_own_words(tmp_path: Path) -> None:
    rows = [(0, number, "ab"[number % 2], ("Surprised", "Happy")[number % 2]) for number in range(3)]
    corpus = write_multidialog(tmp_path / "corpus", {"test_freq": rows})
    assert labels(import_corpus("multidialog", corpus, tmp_path / "out", labels="all")) == {"surprised"}


def test_own_clips_keep_labels_that_the_label_map_does_not_name(tmp_path: Path) -> None:
    folder = write_own_clips(tmp_path / "clips")
    imported = import_corpus("folder", folder, tmp_path / "out", labels="all", label_map="wrath=anger")
    assert (labels(imported), left_out(imported)) == ({"bored", "sad", "anger"}, {})


def test_the_record_of_an_import_names_the_option_only_where_it_is_used(tmp_path: Path) -> None:
    folder = write_own_clips(tmp_path / "clips")
    for name, option in (("four", []), ("all", ["--labels", "all"])):
        assert main(["data", "import", "folder", str(folder), "--out", str(tmp_path / name), *option]) == 0
    options = [json.loads((tmp_path / name / "import.json").read_text())["options"] for name in ("four", "all")]
    assert ("labels" in options[0], options[1]["labels"]) == (False, "all")


@pytest.mark.slow
def test_the_shipped_tasks_leave_other_labels_out_and_count_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_corpus("ravdess", write_ravdess(tmp_path / "corpus"), tmp_path / "out", clips="inside", labels="all")
    asked = ["--tasks", "singleturn_synthetic_full_av", "--dataset", str(tmp_path / "out")]
    assert main(["--model", "random", *asked, "--output_path", str(tmp_path / "run")]) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    task = results["tasks"]["singleturn_synthetic_full_av"]
    assert (task["n_items"], sum(task["not_asked"].values())) == (4, 4)
    assert "1 turn has the label 'calm', which the task leaves out" in capsys.readouterr().out
