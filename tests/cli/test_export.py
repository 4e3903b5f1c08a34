"""`export`: where files go, and which runs are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from support.planted_runs import Planted, TextBench, write_condition_tasks

from avemo_harness import evaluate
from avemo_harness.cli import main


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> TextBench:
    return TextBench.of(tmp_path_factory.mktemp("bench"), dialogues=6)


@pytest.fixture(scope="module")
def run(bench: TextBench) -> Path:
    return bench.run(Planted("mine"))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("eval-results", ".eval_results/avemo_text_only.yaml"),
        ("csv", "results.csv"),
    ],
)
def test_each_format_is_written_and_named_and_the_same_every_time(
    name: str, file: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", str(run), "--format", name, "--dataset_id", "me/data", "-o"]
    assert main([*arguments, str(tmp_path / "one")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'one' / file}\n"
    assert main([*arguments, str(tmp_path / "two")]) == 0
    assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_table_for_papers_needs_a_row(
    bench: TextBench, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = write_condition_tasks(tmp_path / "tasks", bench.release)
    evaluate(Planted("mine"), "full_av", output_path=tmp_path / "run", include_path=(str(tasks),))
    assert main(["export", str(tmp_path / "run"), "--format", "latex"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'run' / 'export' / 'table.tex'}\n"
    assert main(["export", str(run), "--format", "latex"]) == 2
    assert "none of its tasks belongs to a group" in capsys.readouterr().err


def test_files_go_into_the_run_by_default(run: Path) -> None:
    assert main(["export", str(run), "--format", "csv"]) == 0
    assert (run / "export" / "results.csv").exists()


@pytest.mark.parametrize(
    ("model", "options", "why"),
    [
        (Planted("partial"), {"limit": 3}, "only some of the items were asked for"),
        (Planted("failing", failing=[(1, 0)]), {}, "1 items failed"),
    ],
)
def test_a_run_that_is_not_complete_is_refused_unless_told_and_then_says_so(
    bench: TextBench,
    tmp_path: Path,
    model: Planted,
    options: dict[str, object],
    why: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = bench.run(model, **options)
    arguments = ["export", str(folder), "--format", "eval-results", "--dataset-id", "me/data", "-o", str(tmp_path)]
    assert main(arguments) == 2
    assert f"not exported, since {why}" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.yaml"))
    assert main([*arguments, "--allow-partial"]) == 0
    (entry,) = yaml.safe_load((tmp_path / ".eval_results" / "avemo_text_only.yaml").read_text())
    assert (
        "n = 3; partial: only some of the items were asked for"
        if options
        else "n = 5; unfinished, provisional: items failed, or are not answered or not judged yet"
    ) in entry["notes"]


def test_nothing_asked_for_and_no_run_are_one_sentence_each(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run)]) == 2
    assert main(["export", str(tmp_path), "--format", "csv"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert "say what to export: --format eval-results|" in errors[0]
    assert "not a run directory" in errors[1]
