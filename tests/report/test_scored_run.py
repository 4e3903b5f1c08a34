"""Reading a scored run back: equal to what was written, in its order, or an error that says what to do."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import cast

import pytest
from support.planted_runs import Planted, TextBench, write_condition_tasks

from avemo_harness import evaluate
from avemo_harness.errors import StoreError, UsageError
from avemo_harness.report.results import RESULTS_SCHEMA
from avemo_harness.report.scored_run import finished_at, read_scored_run
from avemo_harness.run.json_files import SEAL, WorkerTiming, write_timing

NAMES = ("video_only", "full_av", "audio_only")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    bench = TextBench.of(tmp_path, dialogues=4)
    tasks = write_condition_tasks(tmp_path / "tasks", bench.release)
    evaluate(Planted("a"), NAMES, output_path=tmp_path / "run", include_path=(str(tasks),))
    return tmp_path / "run"


def edit(path: Path, **changes: object) -> None:
    """Change a file as a version that does not seal it would have written it."""
    values = {name: value for name, value in json.loads(path.read_text()).items() if name != SEAL}
    path.write_text(json.dumps({**values, **changes}))


def people(**columns: float) -> dict[str, object]:
    return {
        "task": "mine_reply",
        "group": "mine",
        "scales": "av-emo-2",
        "complete": True,
        "raters": 5,
        "excluded": 1,
        "columns": {
            name: {"value": value, "ci_low": None, "ci_high": None, "n": 4, "n_invalid": 0, "n_errors": 0}
            for name, value in columns.items()
        },
    }


def test_what_was_written_comes_back_in_the_order_of_the_run(run: Path) -> None:
    finished = read_scored_run(run)
    assert finished.result.to_json() == (run / "results.json").read_text()
    assert tuple(finished.result.tasks) == NAMES
    assert list(finished.result.groups["mine"].columns) == ["Acc_AV", "F1_AV", "Acc_A", "Acc_V"]
    assert finished.people == ()


def test_what_people_rated_comes_with_it(run: Path) -> None:
    (run / "human").mkdir()
    scores = people(ER=0.5, EN=0.25, RR=0.75, ERS=0.5)
    columns = cast(dict[str, object], scores["columns"])
    (run / "human" / "mine_reply.json").write_text(json.dumps(scores))
    (run / "human" / "other.json").write_text(json.dumps({**scores, "task": "other", "group": None}))
    finished = read_scored_run(run)
    assert [(one.task, one.group) for one in finished.people] == [("mine_reply", "mine"), ("other", None)]
    rated = finished.people_of("mine")
    assert rated is not None
    assert rated.columns["EN"].value == 0.25
    assert finished.people_of("another") is None
    (run / "human" / "mine_reply.lab.json").write_text(
        json.dumps({**scores, "scales": "lab", "columns": {f"{name} (lab)": one for name, one in columns.items()}})
    )
    of_lab = next(one for one in read_scored_run(run).people if one.scales == "lab")
    assert of_lab.columns["EN (lab)"].value == 0.25
    assert read_scored_run(run).people_of("mine") == rated, "ratings on other scales are not the benchmark's"
    (run / "human" / "other.json").write_text(json.dumps(people(ER=0.5)))
    with pytest.raises(StoreError, match=r"other.json: damaged .*'EN'.* avemo-eval human analyze"):
        read_scored_run(run)


def test_what_people_rated_before_scales_had_a_version_is_not_taken_for_the_benchmarks(run: Path) -> None:
    (run / "human").mkdir()
    scores = people(ER=0.5, EN=0.25, RR=0.75, ERS=0.5)
    del scores["scales"]
    (run / "human" / "mine_reply.json").write_text(json.dumps(scores))
    finished = read_scored_run(run)
    assert finished.people_of("mine") is None
    assert {name: metric.value for name, metric in finished.people[0].columns.items()} == {
        "emotional response (v1)": 0.5,
        "emotional naturalness (v1)": 0.25,
        "relevance (v1)": 0.75,
        "mean (v1)": 0.5,
    }


def test_what_cannot_be_read_says_what_to_do(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run directory"):
        read_scored_run(tmp_path)
    edit(run / "results.json", schema_version=1)
    with pytest.raises(UsageError, match=r"schema version 1, expected 3; score the run: avemo-eval score"):
        read_scored_run(run)
    edit(run / "results.json", schema_version=RESULTS_SCHEMA, tasks={"full_av": {}})
    with pytest.raises(StoreError, match=r"results.json: damaged at tasks.full_av"):
        read_scored_run(run)
    edit(run / "results.json", **{SEAL: "0" * 64})
    with pytest.raises(StoreError, match=r"results.json: cannot be read \(its digest does not fit"):
        read_scored_run(run)
    (run / "results.json").write_text("{")
    with pytest.raises(StoreError, match=r"results.json: cannot be read"):
        read_scored_run(run)
    (run / "results.json").unlink()
    with pytest.raises(UsageError, match=r"there is no such file; score the run"):
        read_scored_run(run)


def test_a_run_ends_with_its_last_worker(run: Path) -> None:
    write_timing(run, [WorkerTiming("one", 100.0, 20.5, 3), WorkerTiming("other", 90.0, 1_000.0, 4)])
    assert finished_at(run) == datetime(1970, 1, 1, 0, 18, 10, tzinfo=timezone.utc)
    (run / "timing.json").unlink()
    assert finished_at(run) is None
