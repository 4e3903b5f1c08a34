"""Figures of others stand beside the row of a run, and never among what was measured."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path

import pytest
from support.corpus_tasks import write_benchmark, write_collection, write_corpus

from avemo_harness import evaluate
from avemo_harness.benchmark.group import GroupSpec
from avemo_harness.cli import main
from avemo_harness.report.board import boards, format_board
from avemo_harness.report.others import OTHERS, rows_of_others
from avemo_harness.report.scored_run import ScoredRun, read_scored_run
from avemo_harness.scorers.chance import MOST_FREQUENT, UNIFORM

SOURCE = "paper, Table 3; all clips"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ScoredRun:
    folder = tmp_path_factory.mktemp("others")
    write_benchmark(folder / "tasks", "voices")
    data = {"voices": str(write_corpus(folder / "data"))}
    options = {"include_path": [str(folder / "tasks")], "dataset": data, "model_args": {"label": "sad"}}
    evaluate("constant", ["voices"], output_path=folder / "run", **options)
    return read_scored_run(folder / "run")


def shown_everywhere(run: ScoredRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The text of every place that has the table of a run."""
    assert main(["score", str(run.folder)]) == 0
    texts = {"terminal": capsys.readouterr().out}
    for name in ("md", "latex"):
        assert main(["export", str(run.folder), "--format", name, "--out", str(tmp_path / name)]) == 0
        texts[name] = "".join(file.read_text(encoding="utf-8") for file in (tmp_path / name).iterdir())
    assert main(["report", str(run.folder), "--out", str(tmp_path / "page.html")]) == 0
    texts["page"] = unescape((tmp_path / "page.html").read_text(encoding="utf-8"))
    (board,) = (board for board in boards([run], ["me"]) if board.group == "voices")
    texts["leaderboard"] = format_board(board)
    return texts


def test_figures_of_others_stand_below_the_measured_rows_with_their_sources(
    run: ScoredRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for where, text in shown_everywhere(run, tmp_path, capsys).items():
        measured, heading, others = text.partition(OTHERS)
        assert heading, where
        assert "human raters" not in measured, where
        assert "0.62" not in measured, where
        assert others.index("human raters") < others.index("0.62") < others.index("all clips"), where
        assert SOURCE in others, where
        assert UNIFORM in measured, where
        assert MOST_FREQUENT in measured, where


def test_figures_of_others_are_in_no_result(run: ScoredRun) -> None:
    results = (run.folder / "results.json").read_text(encoding="utf-8")
    assert "human raters" not in results
    assert "0.62" not in results
    rows = json.loads(results)["tasks"]["voices_audio"]["rows"]
    assert {name: round(row["accuracy"]["value"], 3) for name, row in rows.items()} == {
        UNIFORM: 0.333,
        MOST_FREQUENT: 0.333,
    }


def test_a_second_figure_of_a_column_is_a_row_of_its_own_and_one_of_no_column_has_its_own(run: ScoredRun) -> None:
    (group,) = run.record.groups
    first = group.published[0].model_dump()
    more = [first, {**first, "note": "song", "value": 0.5}, {**first, "metric": "macro_f1"}]
    spec = GroupSpec.model_validate({**group.model_dump(), "published": more})
    rows = rows_of_others(spec, run.record.tasks)
    assert [(name, {column: figure.value for column, figure in cells.items()}) for name, cells in rows] == [
        ("human raters", {"Acc_A": 0.62, "voices_audio macro_f1": 0.62}),
        ("human raters", {"Acc_A": 0.5}),
    ]


def test_an_empty_part_of_a_collection_leaves_the_row_of_the_other_and_is_named_on_the_page(tmp_path: Path) -> None:
    folder = write_collection(tmp_path / "tasks", "everything", ("voices", "faces"))
    data = {"voices": str(write_corpus(tmp_path / "data"))}
    options = {"include_path": [str(folder)], "dataset": data, "model_args": {"label": "sad"}}
    result = evaluate("constant", ["everything"], output_path=tmp_path / "run", **options)
    assert list(result.groups) == ["voices"]
    assert main(["report", str(tmp_path / "run")]) == 0
    page = unescape((tmp_path / "run/report.html").read_text(encoding="utf-8"))
    assert "not here: faces: avemo-eval data import faces DIR --labels all" in page
