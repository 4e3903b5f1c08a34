"""`avemo-eval grade`, and `run` of a task with a rubric: what they print, their exit codes, and their grader."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.answering_server import MODEL, answering
from support.graded_runs import FaultyGrader, grading, run_graded, says, write_graded_task
from support.releases import write_text_release, write_text_task

from avemo_harness.cli import EXIT_USAGE, main
from avemo_harness.report.scored_run import read_scored_run

NOBODY = "http://127.0.0.1:9/v1"


def tale(payload: dict[str, Any]) -> tuple[int, Mapping[str, Any]]:
    """A server that tells a tale, and grades those that others tell."""
    return grading(payload) if "Answer: " in payload["messages"][-1]["content"] else says("It feels sad.")


def test_one_command_asks_grades_and_prints_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(tale) as server:
        task = write_graded_task(tmp_path / "told.yaml", write_text_release(tmp_path / "data", 6), NOBODY)
        given = f"base_url={server.url},model={MODEL},probe=false,choices=false"
        words = [
            "--model",
            "openai",
            "--model_args",
            given,
            "--tasks",
            str(task),
            "--output_path",
            str(tmp_path / "run"),
        ]
        assert main([*words, "--grader_args", f"base_url={server.url}", "--num_concurrent", "2"]) == 0
        assert server.posts == 12
        table = capsys.readouterr().out
        assert "told  rubric_mean" in table
        assert f"told: graded by openai {MODEL} (" in table
        assert main([*words, "--grader_args", f"base_url={server.url}"]) == 0
        assert server.posts == 12


def test_a_run_whose_grader_is_not_reached_ends_well_and_the_command_that_it_names_fills_the_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    with answering(tale) as server:
        task = write_graded_task(tmp_path / "told.yaml", write_text_release(tmp_path / "data", 6), NOBODY)
        given = f"base_url={server.url},model={MODEL},probe=false,choices=false"
        words = ["--model", "openai", "--model_args", given, "--tasks", str(task), "--output_path", str(run)]
        assert main([*words, "--grader_args", "total_s=0.1"]) == 0
        told = capsys.readouterr()
        assert "told  rubric_mean      —" in told.out
        assert f"`avemo-eval grade {run}` grades them later" in told.err
        assert main(["grade", str(run), "--grader_args", "total_s=0.1"]) == EXIT_USAGE
        assert main(["grade", str(run), "--grader_args", f"base_url={server.url}"]) == 0
        assert "told: 6 answers graded, by openai" in capsys.readouterr().out
        assert main(["score", str(run)]) == 0
        assert "—" not in capsys.readouterr().out


def test_answers_that_could_not_be_graded_are_counted_and_are_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    with answering(FaultyGrader(0.9)) as server:
        run_graded(tmp_path, server.url)
        assert main(["grade", str(run)]) == 1
        assert " without a grade, by openai" in capsys.readouterr().out
        assert main(["grade", str(run), "--max_errors", "12"]) == 0
    assert read_scored_run(run).result.n_errors == 0


def test_a_run_without_a_rubric_has_nothing_to_grade(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = write_text_task(tmp_path / "text.yaml", write_text_release(tmp_path / "data", 4))
    assert main(["--model", "random", "--tasks", str(task), "--output_path", str(tmp_path / "run")]) == 0
    assert main(["grade", str(tmp_path / "run")]) == 0
    assert "nothing to grade: no task of the run has the scorer `rubric`" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--num_concurrent", "0"], "--num_concurrent must be a whole number from 1 on; found 0"),
        (["--grader", "opnai"], "unknown model 'opnai'; nearest: 'openai'"),
        (["--grader", "openai"], "openai needs base_url=…"),
        (["--grader_args", "modell=x"], "openai takes no argument 'modell'; nearest: 'model'"),
        (["--grader", "random"], "--grader: random gives no text to a question"),
    ],
)
def test_what_cannot_grade_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    with answering(grading) as server:
        run_graded(tmp_path, server.url)
        assert main(["grade", str(tmp_path / "run"), *words]) == EXIT_USAGE
        assert message in capsys.readouterr().err
        assert server.posts == 12
