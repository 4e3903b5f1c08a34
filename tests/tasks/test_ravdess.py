"""RAVDESS from the archives of its page to scores: eight spoken emotions and six sung ones, under three conditions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.acted_corpora import import_by_command, write_ravdess_archives
from support.benchmark_walk import Expected, run, tiny_qwen, walk
from support.whole_runs import responses_of, results_of

from avemo_harness.cli import main

pytestmark = pytest.mark.slow


def test_speech_and_song_are_asked_of_every_kind_of_model_and_takes_without_faces_counted(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    archives = write_ravdess_archives(tmp_path / "archives")
    speech = import_by_command("ravdess", archives, tmp_path / "speech")
    song = import_by_command("ravdess-song", archives, tmp_path / "song")
    left_out = {one["reason"]: one["count"] for one in json.loads((speech / "import.json").read_text())["dropped"]}
    assert left_out == {"songs": 18, "takes that another file has too": 16}
    faceless = {"no face": 8}
    tasks = {
        "ravdess_full_av": Expected(8, faceless),
        "ravdess_audio_only": Expected(16),
        "ravdess_video_only": Expected(8, faceless),
        "ravdess_song_full_av": Expected(6),
        "ravdess_song_audio_only": Expected(6),
        "ravdess_song_video_only": Expected(6),
    }
    data = [f"ravdess={speech}", f"ravdess_song={song}"]
    walked = walk(tmp_path / "walk", tasks, data, tiny_qwen(tmp_path_factory))
    rows = results_of(walked.oracle)["groups"]
    assert {name: value["value"] for name, value in rows["ravdess_song"]["columns"].items()} == dict.fromkeys(
        ("UAR_AV", "UAR_A", "UAR_V", "Acc_AV", "Acc_A", "Acc_V", "F1_AV"), 1.0
    )


def answer_by(run: Path, task: str, folder: Path) -> Path:
    """The answers of a run to another task, as a folder of answers to this one."""
    folder.mkdir()
    lines = [{"item": line["item"], "task": task, "text": line["text"]} for line in responses_of(run)]
    (folder / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_real_voices_of_four_emotions_have_a_recall_of_these_four_and_the_run_says_so(
    real_media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voices = real_media / "ravdess_speech"
    release = import_by_command("ravdess", voices, tmp_path / "release", "--test_speakers", "actor-11,actor-12")
    # A recogniser that learned four labels refuses a question of eight, so it answers the one that it learned.
    four = ["--model", "baseline", "--tasks", "singleturn_synthetic_audio_only", "--dataset", str(release)]
    assert main([*four, "--output_path", str(tmp_path / "four")]) == 0
    answers = answer_by(tmp_path / "four", "ravdess_audio_only", tmp_path / "answers")
    eight = ["--tasks", "ravdess_audio_only", "--dataset", f"ravdess={release}"]
    capsys.readouterr()
    run("--model", "replies", "--model_args", f"path={answers}", *eight, "--output_path", str(tmp_path / "eight"))
    absent = "no item is labelled calm or fearful or disgusted or surprised; means over labels (uar, macro_f1) are of"
    assert f"{absent} the other 4" in capsys.readouterr().out
    found = results_of(tmp_path / "eight")["tasks"]["ravdess_audio_only"]
    learned = results_of(tmp_path / "four")["tasks"]["singleturn_synthetic_audio_only"]
    assert (found["status"], found["n_items"], found["n_invalid"]) == ("complete", 56, 0)
    assert found["metrics"]["uar"]["value"] == learned["metrics"]["balanced_accuracy"]["value"]
    assert found["metrics"]["uar"]["value"] > 0.4, "a voice that is not heard gives 0.25"
    assert main(["report", str(tmp_path / "eight")]) == 0
    assert "no item is labelled calm" in (tmp_path / "eight" / "report.html").read_text()
