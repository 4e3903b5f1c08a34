"""Runs that a model graded: their table, page, exports and comparison say by whom, and never mix graders."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.answering_server import MODEL, AnsweringServer, answering
from support.graded_runs import FaultyGrader, Telling, answer_in, grade_of, grading, run_graded, run_graded_group, says
from support.releases import write_text_task

from avemo_harness import evaluate, score_run
from avemo_harness.cli import EXIT_USAGE, main
from avemo_harness.errors import UsageError
from avemo_harness.report.board import boards, format_board
from avemo_harness.report.compare import compare_runs
from avemo_harness.report.exports.formats import refuse_unfinished, setup_notes
from avemo_harness.report.html.page import write_report
from avemo_harness.report.scored_run import read_scored_run
from avemo_harness.report.summary import format_results


def strictly(payload: dict[str, Any]) -> tuple[int, Mapping[str, Any]]:
    """Another server, which gives a point less."""
    return says(json.dumps({"reason": "strict", "grade": max(1, grade_of(answer_in(payload)) - 1)}))


@pytest.fixture
def server() -> Iterator[AnsweringServer]:
    with answering(grading) as one:
        yield one


def test_below_the_table_stand_the_grader_and_what_has_no_grade(tmp_path: Path, server: AnsweringServer) -> None:
    shown = format_results(run_graded(tmp_path, server.url))
    grader = read_scored_run(tmp_path / "run").result.tasks["told"].grader
    assert grader is not None
    assert f"told: graded by openai {MODEL} ({grader['digest'][:12]}), rubric {grader['rubric'][:12]}" in shown
    assert "have no grade" not in shown
    with answering(FaultyGrader(0.5)) as faulty:
        result = run_graded(tmp_path / "faulty", faulty.url)
    lacking = result.tasks["told"].n_ungraded
    assert lacking
    assert f"provisional: {lacking} answers have no grade" in format_results(result)
    with pytest.raises(UsageError, match=f"{lacking} answers are not graded yet"):
        refuse_unfinished(read_scored_run(tmp_path / "faulty/run"))


def test_the_page_shows_a_turns_grade_with_its_reason_and_who_graded(tmp_path: Path, server: AnsweringServer) -> None:
    run_graded(tmp_path, server.url)
    page = write_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "Grader of the answers" in page
    assert f"told: graded by openai {MODEL}" in page
    assert server.url not in page
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    answers = [answer for turn in data["turns"] for answer in turn["answers"]]
    assert len(answers) == 12
    for answer in answers:
        assert answer["why"] == f"it says {answer['text']}"
        assert answer["values"]["rubric_mean"] == grade_of(answer["text"]) == float(answer["label"])


def test_an_export_says_who_graded_and_names_no_address(tmp_path: Path, server: AnsweringServer) -> None:
    run_graded(tmp_path, server.url)
    run = read_scored_run(tmp_path / "run")
    assert f"grader=openai {MODEL} (" in setup_notes(run, run.task("told"))
    assert server.url not in setup_notes(run, run.task("told"))
    assert main(["export", str(tmp_path / "run"), "--format", "csv"]) == 0
    assert "rubric_mean" in next((tmp_path / "run/export").glob("*.csv")).read_text()


@pytest.fixture
def two_models(tmp_path: Path, server: AnsweringServer) -> tuple[Path, Path]:
    """Runs of two models that one grader graded."""
    run_graded(tmp_path, server.url, dialogues=40)
    evaluate(Telling(5), str(tmp_path / "told.yaml"), output_path=tmp_path / "other")
    return tmp_path / "run", tmp_path / "other"


def test_runs_of_one_grader_are_compared_on_the_rubrics_scale(two_models: tuple[Path, Path]) -> None:
    (contrast,) = compare_runs(two_models, False).contrasts
    mean, passed = contrast.differences
    values = [score_run(run).tasks["told"].metrics["rubric_mean"].value for run in two_models]
    assert [mean.first, mean.second] == pytest.approx(values)
    assert mean.n == 40
    low, high = mean.difference.ci_low, mean.difference.ci_high
    assert low is not None
    assert high is not None
    assert high - low > 0.8
    assert passed.metric == "rubric_pass"


def test_runs_of_two_graders_are_no_two_measurements_of_one_thing(
    two_models: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = two_models
    with answering(strictly) as strict:
        given = f"base_url={strict.url},model={MODEL},system=Be strict."
        assert main(["grade", str(second), "--grader", "openai", "--grader_args", given]) == 0
    with pytest.raises(
        UsageError, match="answers to told were graded again since the run was scored; avemo-eval score"
    ):
        compare_runs(two_models, False)
    score_run(second)
    assert main(["compare", str(first), str(second)]) == EXIT_USAGE
    assert "answers to told were graded by openai tiny-omni (" in capsys.readouterr().err
    assert main(["compare", str(first), str(second), "--force"]) == 0
    shown = capsys.readouterr().out
    assert "answers to told were graded by openai tiny-omni (" in shown
    assert "rubric_mean" in shown


def test_beside_other_tasks_those_of_two_graders_are_left_out_with_a_note(
    tmp_path: Path, server: AnsweringServer
) -> None:
    run_graded(tmp_path, server.url)
    tasks = [str(tmp_path / "told.yaml"), str(write_text_task(tmp_path / "text_only.yaml", tmp_path / "data"))]
    runs = [tmp_path / "one", tmp_path / "two"]
    for run, words in zip(runs, ("", "Be strict."), strict=True):
        system = {"base_url": server.url, "model": MODEL, "system": words}
        evaluate(Telling(), tasks, output_path=run, grader="openai", grader_args=system)
    comparison = compare_runs(runs, False)
    assert [contrast.title for contrast in comparison.contrasts] == ["text_only"]
    (note,) = (note for note in comparison.notes if "left out, told: answers to told were graded by" in note)
    assert note.endswith("avemo-eval grade RUN --grader NAME")


def test_a_run_that_nobody_graded_is_not_compared_with_one_that_is(two_models: tuple[Path, Path]) -> None:
    first, second = two_models
    (second / "grader.json").unlink()
    score_run(second)
    with pytest.raises(UsageError, match=r"graded by openai .* and by nobody; avemo-eval grade RUN"):
        compare_runs([first, second], False)


def test_cells_of_two_graders_are_told_apart_in_a_table(tmp_path: Path, server: AnsweringServer) -> None:
    runs = []
    for name, answer in (("mild", grading), ("strict", strictly)):
        with answering(answer) as one:
            system = {"base_url": one.url, "model": MODEL, "system": name}
            run_graded_group(tmp_path / name, one.url, grader_args=system)
        runs.append(read_scored_run(tmp_path / name / "run"))
    (board,) = (board for board in boards(runs, ["mild", "strict"]) if board.group == "tales")
    shown = format_board(board)
    assert shown.count("answers graded by openai tiny-omni (") == 2
    assert shown.count("not that of every row") >= 2
