"""A task names a corpus, and its users say where it is; a collection asks what is there and names the rest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.corpus_tasks import write_benchmark, write_collection, write_corpus
from support.hub_server import serve
from support.small_tables import acted_voices
from support.waiting import PATIENCE_S
from support.whole_runs import responses_of, results_of

from avemo_harness.benchmark.corpora import corpora_home
from avemo_harness.cli import main
from avemo_harness.run.config import read_run


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVEMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    write_collection(tmp_path / "tasks", "everything", ("voices", "faces"))
    return tmp_path / "tasks"


def ask(tasks: Path, wanted: str, *more: str) -> int:
    words = ["--model", "constant", "--model_args", "label=sad", "--tasks", wanted, "--include_path", str(tasks)]
    return main([*words, *more])


def keys(run: Path) -> set[str]:
    return {line["key"] for line in responses_of(run)}


def the_run() -> Path:
    (run,) = Path("runs").iterdir()
    return run


def test_a_corpus_is_found_where_it_is_given_then_where_it_is_remembered_then_in_the_home(
    tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = [tmp_path / "given", tmp_path / "remembered", corpora_home() / "voices"]
    for count, folder in zip((3, 4, 5), moved, strict=True):
        write_corpus(folder, count)
    asked: dict[str, Any] = {}
    for name, words in (
        ("home", []),
        ("remembered", []),
        ("given", ["--dataset", f"voices={moved[0]}"]),
        ("plain", ["--dataset", str(moved[0])]),
    ):
        if name == "remembered":
            assert main(["data", "use", f"voices={moved[1]}"]) == 0
        assert ask(tasks, "voices_audio", "--output_path", name, *words) == 0
        asked[name] = results_of(Path(name))["tasks"]["voices_audio"]["n_items"]
    assert asked == {"home": 5, "remembered": 4, "given": 3, "plain": 3}
    capsys.readouterr()
    assert main(["data", "use"]) == 0
    assert f"voices={moved[1]}\n" in capsys.readouterr().out
    assert main(["data", "use", "voices="]) == 0
    assert ask(tasks, "voices_audio", "--output_path", "home", "--limit", "99") == 0


def test_where_a_corpus_is_found_is_part_of_no_request_and_of_no_run(tasks: Path, tmp_path: Path) -> None:
    first = write_corpus(tmp_path / "first")
    assert ask(tasks, "voices", "--dataset", f"voices={first}") == 0
    run = the_run()
    before, answered = read_run(run), keys(run)
    second = corpora_home() / "voices"
    shutil.move(first, second)
    assert ask(tasks, "voices") == 0
    assert the_run() == run
    assert keys(run) == answered
    after = read_run(run)
    assert [release.fingerprint for release in after.releases] == [release.fingerprint for release in before.releases]
    assert after.releases[0].source == str(second / "labels/test.csv")
    assert main(["report", str(run)]) == 0
    assert len(responses_of(run)) == 6


def test_a_changed_corpus_is_another_run(tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for count in (3, 4):
        write_corpus(tmp_path / str(count), count)
    assert ask(tasks, "voices", "--dataset", f"voices={tmp_path / '3'}", "--output_path", "run") == 0
    assert ask(tasks, "voices", "--dataset", f"voices={tmp_path / '4'}", "--output_path", "run") == 2
    assert "holds a run of another configuration" in capsys.readouterr().err


def test_a_task_or_group_without_its_data_ends_with_2_and_the_command(
    tasks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wanted in ("voices_audio", "voices", "everything,voices"):
        assert ask(tasks, wanted) == 2
        said = capsys.readouterr().err
        assert "the corpus voices is not here: avemo-eval data import voices DIR --labels all; where you have" in said
        assert "`avemo-eval data use voices=DIR`" in said
        assert "faces" not in said
    assert not Path("runs").exists()


def test_a_collection_of_which_nothing_is_here_ends_with_2_and_all_commands(
    tasks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(tasks, "everything") == 2
    said = capsys.readouterr().err
    assert "none of the data of everything are here" in said
    assert all(f"avemo-eval data import {name} DIR --labels all" in said for name in ("voices", "faces"))


def test_a_collection_asks_what_is_here_names_the_rest_and_goes_on_when_it_comes(
    tasks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(corpora_home() / "voices")
    assert ask(tasks, "everything") == 0
    told = capsys.readouterr()
    command = "faces: avemo-eval data import faces DIR --labels all"
    assert f"asked are voices; the data of the others are not here:\n  {command}\n" in told.err
    assert f"not here: {command}\n" in told.out
    run = the_run()
    assert results_of(run)["absent"] == {"faces": "avemo-eval data import faces DIR --labels all"}
    assert set(results_of(run)["tasks"]) == {"voices_audio"}
    answered = keys(run)

    write_corpus(corpora_home() / "faces", 3, first=6)
    assert ask(tasks, "everything") == 0
    assert "not here" not in "".join(capsys.readouterr())
    assert the_run() == run
    whole = results_of(run)
    assert "absent" not in whole
    assert {name: task["n_items"] for name, task in whole["tasks"].items()} == {"voices_audio": 6, "faces_audio": 3}
    assert [task.task for task in read_run(run).tasks] == ["voices_audio", "faces_audio"]
    assert answered < keys(run)
    assert len(responses_of(run)) == 9

    # What is gone again stays answered, and is named.
    shutil.rmtree(corpora_home() / "faces")
    assert ask(tasks, "everything") == 0
    assert results_of(run) == whole


def test_a_run_of_a_collection_does_not_depend_on_what_was_here_first(tasks: Path, tmp_path: Path) -> None:
    write_corpus(corpora_home() / "faces")
    assert ask(tasks, "everything", "--output_path", "grown") == 0
    write_corpus(corpora_home() / "voices")
    assert ask(tasks, "everything", "--output_path", "grown") == 0
    assert ask(tasks, "everything", "--output_path", "at_once") == 0
    grown, at_once = results_of(Path("grown")), results_of(Path("at_once"))
    for results in (grown, at_once):
        results["releases"].sort(key=lambda release: str(release["tasks"]))
        results.pop("sha256", None)
    assert grown["tasks"] == at_once["tasks"]
    assert grown["releases"] == at_once["releases"]


def test_what_was_given_for_one_corpus_is_kept_when_another_is_given(tasks: Path, tmp_path: Path) -> None:
    given = {name: write_corpus(tmp_path / name, first=n) for n, name in enumerate(("voices", "faces"))}
    for name, folder in given.items():
        assert ask(tasks, "everything", "--dataset", f"{name}={folder}", "--output_path", "run") == 0
    assert read_run(Path("run")).config.corpora == {name: str(folder) for name, folder in given.items()}
    assert set(results_of(Path("run"))["tasks"]) == {"voices_audio", "faces_audio"}
    assert main(["report", "run"]) == 0
    assert "not at hand" not in Path("run/report.html").read_text(encoding="utf-8")


def test_a_plain_dataset_is_refused_where_it_might_be_any_of_several_corpora(
    tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_corpus(tmp_path / "data")
    assert ask(tasks, "everything", "--dataset", str(folder)) == 2
    assert f"say which: --dataset voices={folder} or --dataset faces={folder}" in capsys.readouterr().err
    assert ask(tasks, "everything", "--dataset", str(folder), "--dataset", f"faces={folder}", "--limit", "2") == 0
    assert set(results_of(the_run())["tasks"]) == {"voices_audio", "faces_audio"}


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ("vioces=DATA", "--dataset vioces=…: the tasks are asked of voices; nearest: 'voices'"),
        ("voices=nowhere/at/all", "--dataset voices=nowhere/at/all: no such folder, and not a Hub id"),
        ("voices=", "--dataset voices=: name the folder of the corpus"),
        ("voices=EMPTY", "holds no labels/test.csv; give the corpus' own folder: voices=DIR"),
    ],
)
def test_what_is_no_folder_of_an_asked_corpus_is_refused(
    dataset: str, said: str, tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path / "DATA")
    (tmp_path / "EMPTY").mkdir()
    assert ask(tasks, "voices", "--dataset", dataset) == 2
    assert said in capsys.readouterr().err


def test_a_config_names_corpora_by_a_mapping_and_a_saved_run_begins_again(tasks: Path, tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "data")
    config = {
        "model": "constant",
        "model_args": {"label": "sad"},
        "tasks": ["voices"],
        "include_path": [str(tasks)],
        "dataset": {"voices": str(folder)},
    }
    Path("config.json").write_text(json.dumps(config), encoding="utf-8")
    assert main(["--config", "config.json"]) == 0
    run = the_run()
    assert main(["--config", str(run / "run.json")]) == 0
    assert the_run() == run


def test_a_glob_asks_what_is_here_of_corpora(tasks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_corpus(corpora_home() / "voices")
    assert ask(tasks, "*_audio*", "--output_path", "run") == 2
    assert "needs a release of the benchmark" in capsys.readouterr().err
    assert ask(tasks, "[fv]*s_audio", "--output_path", "run") == 0
    assert results_of(Path("run"))["absent"].keys() == {"faces"}


def test_a_table_of_a_corpus_is_validated_and_shown_where_it_is(
    tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_corpus(tmp_path / "data")
    words = ["voices_audio", "--include_path", str(tasks), "--dataset", str(folder)]
    assert main(["validate", *words, "--data"]) == 0
    assert "6 questions (angry 2, happy 2, sad 2)" in capsys.readouterr().out
    assert main(["show", *words, "--n", "1"]) == 0
    assert "happy or angry or sad?" in capsys.readouterr().out


def test_a_collection_of_a_group_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_benchmark(tmp_path / "tasks", "voices")
    (tmp_path / "tasks/all.yaml").write_text("group: all\ntitle: All\ngroups: [voices, fases]\n", encoding="utf-8")
    assert ask(tmp_path / "tasks", "all") == 2
    assert "groups: no task is of the group 'fases'" in capsys.readouterr().err


def test_a_collection_may_have_collections_but_not_itself(
    tasks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_benchmark(tasks, "songs")
    outer = tasks / "outer.yaml"
    outer.write_text("group: outer\ntitle: Outer\ngroups: [songs, everything]\n", encoding="utf-8")
    write_corpus(corpora_home() / "faces")
    assert ask(tasks, "outer", "--limit", "3") == 0
    assert results_of(the_run())["absent"].keys() == {"songs", "voices"}
    capsys.readouterr()
    assert main(["ls", "--include_path", str(tasks)]) == 0
    assert (
        "outer  (Outer)\n  songs  (songs: acted voices)\n    songs_audio\n  everything  (All of them)\n    voices  ("
        in (capsys.readouterr().out)
    )
    outer.write_text("group: outer\ntitle: Outer\ngroups: [songs, outer]\n", encoding="utf-8")
    assert ask(tasks, "outer") == 2
    assert "groups: 'outer' leads back to itself" in capsys.readouterr().err


HUB_TASK = """task: acted_voices
version: 1
group: acted
dataset: {path: lab/acted-voices, split: test, columns: {sound: audio, label: label}}
messages: [{role: user, content: [{type: clip}, {type: text, text: "{{ labels | join(' or ') }}?"}]}]
output: {type: label, labels: [angry, sad]}
label_map: {ANG: angry, SAD: sad, "*": null}
scorers: [{name: understanding, metrics: [accuracy]}]
headline: accuracy
"""


@pytest.mark.slow
def test_a_data_set_of_the_hub_is_here_where_it_can_be_reached(tasks: Path, tmp_path: Path) -> None:
    (tasks / "acted.yaml").write_text(HUB_TASK, encoding="utf-8")
    collection = "group: both\ntitle: Both\ngroups: [voices, acted]\n"
    (tasks / "both.yaml").write_text(collection, encoding="utf-8")
    write_corpus(corpora_home() / "voices")
    words = ["--model", "random", "--tasks", "both", "--include_path", str(tasks), "--output_path", "run"]

    def asked(**environment: str) -> subprocess.CompletedProcess[str]:
        every = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1", **environment}
        command = [sys.executable, "-m", "avemo_harness", *words]
        return subprocess.run(command, env=every, capture_output=True, text=True, check=False, timeout=PATIENCE_S)

    with serve(acted_voices("lab/acted-voices")) as hub:
        offline = asked(HF_ENDPOINT=hub.url, HF_HUB_OFFLINE="1")
        assert offline.returncode == 0, offline.stderr
        assert "asked are voices; the data of the others are not here:\n  acted: lab/acted-voices: " in offline.stderr
        assert set(results_of(Path("run"))["tasks"]) == {"voices_audio"}
        reached = asked(HF_ENDPOINT=hub.url)
        assert reached.returncode == 0, reached.stderr
    assert "not here" not in reached.stderr
    assert set(results_of(Path("run"))["tasks"]) == {"voices_audio", "acted_voices"}
    gone = asked(HF_ENDPOINT="http://127.0.0.1:9")
    assert gone.returncode == 0, gone.stderr
    assert "  acted: lab/acted-voices: " in gone.stderr
