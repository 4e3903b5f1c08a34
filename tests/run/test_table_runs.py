"""Runs on tables: found from any working directory, begun again by their own record, shown, asked elsewhere, judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonlines
import pytest
from support.table_files import (
    EMOTIONS,
    embedded,
    utterances,
    video,
    write_clips,
    write_lines,
    write_parquet,
    write_text,
)
from support.whole_runs import responses_of, results_of

from avemo_harness import evaluate
from avemo_harness.cli import main
from avemo_harness.errors import ReleaseError, RunConflictError, UsageError
from avemo_harness.report.results import score_run
from avemo_harness.run.config import RunConfig, read_run
from avemo_harness.run.prepare import load_task
from avemo_harness.run.releases import RunReleases

TASK = """task: feel
version: 1
dataset: {path: data/t.csv, columns: {video: clip, label: emotion, text: said, speaker: who}}
messages:
- {role: user, content: [{type: clip}, {type: text, text: "Who feels what, {{ row.who }}?"}]}
output: {type: label, labels: [happy, angry, sad]}
label_map: {joy: happy, anger: angry, sadness: sad}
scorers: [{name: understanding, metrics: [accuracy]}]
headline: accuracy
"""


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """A task beside the folder of its table of nine utterances."""
    folder = write_clips(tmp_path / "task" / "data", 9)
    write_text(folder / "t.csv", utterances(9))
    (tmp_path / "task" / "feel.yaml").write_text(TASK)
    return tmp_path / "task" / "feel.yaml"


def run(task: Path, folder: Path, **options: Any) -> dict[str, Any]:
    evaluate("constant", [str(task)], output_path=folder, model_args={"label": "sad"}, **options)
    return results_of(folder)


def test_a_task_finds_its_table_from_any_working_directory(
    task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(task.parent)
    results = run(Path("feel.yaml"), tmp_path / "run")
    assert results["tasks"]["feel"]["n_items"] == 9
    assert results["tasks"]["feel"]["metrics"]["accuracy"]["value"] == pytest.approx(1 / 3)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    record = read_run(tmp_path / "run")
    assert record.tasks[0].dataset.path == str(task.parent / "data" / "t.csv")
    release = RunReleases(record.config, print).load(record.tasks[0])
    assert release.fingerprint == record.releases[0].fingerprint
    assert json.loads(score_run(tmp_path / "run").to_json()) == results


def test_the_digest_of_a_task_is_that_of_its_text_wherever_its_folder_lies(task: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "feel.yaml").write_text(TASK)
    here, there = load_task(str(task)), load_task(str(copy / "feel.yaml"))
    assert here.digest == there.digest
    assert here.spec.dataset.path != there.spec.dataset.path


def test_a_parents_path_is_relative_to_the_parent(task: Path, tmp_path: Path) -> None:
    child = tmp_path / "child.yaml"
    child.write_text(f"extends: {task}\ntask: child\n")
    assert load_task(str(child)).spec.dataset.path == str(task.parent / "data" / "t.csv")


def test_a_named_data_set_takes_the_place_of_the_table(task: Path, tmp_path: Path) -> None:
    other = write_parquet(tmp_path / "other.parquet", embedded(utterances(3)))
    results = run(task, tmp_path / "run", dataset=str(other))
    assert results["tasks"]["feel"]["n_items"] == 3


def test_columns_without_a_table_are_refused(task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVEMO_DATASET", str(tmp_path))
    task.write_text(TASK.replace("path: data/t.csv, ", ""))
    with pytest.raises(ReleaseError, match=r"feel: its dataset has columns and no path; .* --dataset"):
        run(task, tmp_path / "run")


def test_the_record_of_a_run_begins_it_again(task: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(task, tmp_path / "run")
    again = ["--config", str(tmp_path / "run" / "run.json"), "--output_path", str(tmp_path / "again")]
    assert main(again) == 0
    capsys.readouterr()
    assert results_of(tmp_path / "again")["tasks"] == results_of(tmp_path / "run")["tasks"]
    keys = [{line["key"] for line in responses_of(tmp_path / name)} for name in ("run", "again")]
    assert keys[0] == keys[1]


def test_a_changed_table_is_another_run(task: Path, tmp_path: Path) -> None:
    run(task, tmp_path / "run")
    write_text(task.parent / "data" / "t.csv", [{**row, "said": "other"} for row in utterances(9)])
    with pytest.raises(RunConflictError, match="fingerprint"):
        run(task, tmp_path / "run")


def test_a_task_on_a_table_is_shown_and_its_run_has_a_page(
    task: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(task), "--n", "1"]) == 0
    assert "Who feels what, s" in capsys.readouterr().out
    run(task, tmp_path / "run")
    assert main(["report", str(tmp_path / "run")]) == 0
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "line 4" in page
    assert str(tmp_path) not in page


def test_questions_about_a_table_are_answered_elsewhere(
    task: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = tmp_path / "asked"
    assert main(["requests", "--tasks", str(task), "--out", str(asked)]) == 0
    with jsonlines.open(asked / "requests.jsonl") as lines:
        answers = [{"item": line["item"], "task": line["task"], "label": "sad"} for line in lines]
    assert len(answers) == 9
    (asked / "answers.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    command = ["--model", "replies", "--model_args", f"path={asked}", "--tasks", str(task)]
    assert main([*command, "--output_path", str(tmp_path / "run")]) == 0
    assert results_of(tmp_path / "run")["tasks"]["feel"]["n_items"] == 9
    capsys.readouterr()


def test_a_recogniser_learns_from_the_train_part_of_the_table_that_it_is_asked_about(tmp_path: Path) -> None:
    rows = [{**row, "emotion": ("happy", "angry", "sad")[number % 3]} for number, row in enumerate(utterances(9))]
    for part in ("train", "test"):
        write_parquet(tmp_path / "data" / f"{part}-00000-of-00001.parquet", embedded(rows[part == "test" :]))
    (tmp_path / "feel.yaml").write_text(TASK.replace("data/t.csv", "."))
    spec = load_task(str(tmp_path / "feel.yaml")).spec
    releases = RunReleases(RunConfig("baseline", ("feel",)), print)
    (part,) = releases.training("auto", [releases.load(spec)])
    assert (part.split, len(part.dialogues)) == ("train", 9)


def test_nothing_is_learned_from_the_file_that_is_asked_about(task: Path) -> None:
    releases = RunReleases(RunConfig("baseline", ("feel",)), lambda sentence: None)
    (part,) = releases.training("auto", [releases.load(load_task(str(task)).spec)])
    assert part.name == "demo"


REPLY = """task: reply
version: 1
dataset: {path: data/t.jsonl, columns: {sound: voice, text: said, dialogue: talk, reply: back}}
messages: [{role: user, content: [{type: clip}]}]
output: {type: spoken_response}
scorers: [{name: reasoning, metrics: [ecs]}]
headline: ecs
"""


@pytest.mark.slow
def test_spoken_replies_to_a_table_are_judged_again_by_the_record_of_their_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"voice": f"{number}.wav", "said": "hi", "talk": number % 2, "back": "hello" if number < 2 else None}
        for number in range(4)
    ]
    write_lines(write_clips(tmp_path / "data", 4) / "t.jsonl", rows)
    (tmp_path / "reply.yaml").write_text(REPLY)
    command = ["--model", "baseline", "--model_args", "train=demo", "--tasks", str(tmp_path / "reply.yaml")]
    assert main([*command, "--output_path", str(tmp_path / "run")]) == 0
    assert main(["judge", str(tmp_path / "run"), "--recognizer", "embedded"]) == 0
    assert main(["score", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    results = results_of(tmp_path / "run")["tasks"]["reply"]
    assert (results["n_items"], results["n_spoken"], results["n_unjudged"]) == (4, 4, 0)


def stream_task(folder: Path, rows: list[dict[str, Any]]) -> Path:
    write_parquet(folder / "data" / "t.parquet", rows, group=500)
    task = folder / "feel.yaml"
    task.write_text(TASK.replace("t.csv", "t.parquet"))
    return task


def test_a_limit_of_a_streamed_table_grows_within_its_first_rows_and_never_into_the_whole(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips")
    rows = [{**utterances()[number % 3], "who": f"s{number}"} for number in range(1_200)]
    task = stream_task(tmp_path, rows)
    options = {"media_root": str(clips), "streaming": True}
    few = run(task, tmp_path / "run", limit=3, **options)
    assert few["tasks"]["feel"]["n_items"] == 3
    first = {line["item"] for line in responses_of(tmp_path / "run")}
    more = run(task, tmp_path / "run", limit=9, **options)
    assert more["tasks"]["feel"]["n_items"] == 9
    assert first < {line["item"] for line in responses_of(tmp_path / "run")}
    (release,) = read_run(tmp_path / "run").releases
    assert (release.split, release.dialogues) == ("test[:1000]", 1_000)
    with pytest.raises(RunConflictError, match="fingerprint"):
        run(task, tmp_path / "run", limit=9, media_root=str(clips))


def test_streaming_a_table_without_a_limit_is_refused_with_what_to_do(task: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"feel: --streaming reads the first 1,000 rows .* --limit N .* leave --strea"):
        run(task, tmp_path / "run", streaming=True)
    assert not (tmp_path / "run").exists()


def test_recordings_of_a_streamed_table_are_read_for_the_questions_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from avemo_harness.benchmark import table_media

    read: list[Path] = []
    whole = table_media.read_file
    monkeypatch.setattr(table_media, "read_file", lambda path: read.append(path) or whole(path))
    clips = tmp_path / "clips"
    clips.mkdir()
    for number in range(40):
        (clips / f"{number}.mp4").write_bytes(video(number % 3))
    rows = [{**utterances()[number % 3], "clip": f"{number}.mp4"} for number in range(40)]
    run(stream_task(tmp_path, rows), tmp_path / "run", limit=2, media_root=str(clips), streaming=True)
    assert len(set(read)) == 2


MILLION = """
import json, re, sys, time
from pathlib import Path
from avemo_harness import evaluate
begun = time.perf_counter()
evaluate("constant", [sys.argv[1]], output_path=sys.argv[2], model_args={"label": "sad"}, limit=5,
         media_root=sys.argv[3], streaming=True)
took = time.perf_counter() - begun
# The peak that getrusage gives is at least that of the process which began this one.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(json.dumps({"took": took, "mb": int(peak[1]) / 1024}))
"""


def cost(task: Path, folder: Path, clips: Path) -> dict[str, float]:
    command = [sys.executable, "-c", MILLION, str(task), str(folder), str(clips)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_five_of_a_million_streamed_rows_cost_what_five_of_a_thousand_do(kind: str, tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips")
    costs = {}
    for count in (1_000, 1_000_000):
        folder = tmp_path / str(count)
        write_many(folder / "data" / f"t.{kind}", count)
        (folder / "feel.yaml").write_text(TASK.replace("t.csv", f"t.{kind}"))
        costs[count] = cost(folder / "feel.yaml", folder / "run", clips)
        assert results_of(folder / "run")["tasks"]["feel"]["n_items"] == 5
    few, many = costs[1_000], costs[1_000_000]
    assert many["mb"] < few["mb"] + 60
    assert many["took"] < 3 * few["took"] + 2


def write_many(file: Path, count: int) -> None:
    """A table of short rows that name three clips."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    file.parent.mkdir(parents=True)
    numbers = range(count)
    table = pa.table(
        {
            "clip": [f"{number % 3}.mp4" for number in numbers],
            "said": [f"line {number}" for number in numbers],
            "emotion": [EMOTIONS[number % 3] for number in numbers],
            "who": [f"s{number}" for number in numbers],
        }
    )
    if file.suffix == ".parquet":
        pq.write_table(table, file)
    elif file.suffix == ".csv":
        pyarrow.csv.write_csv(table, file)
    else:
        write_lines(file, table.to_pylist())
