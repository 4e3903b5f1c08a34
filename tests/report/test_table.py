"""What a terminal shows: the row in the benchmark's order, intervals, counts, and every reason for doubt."""

from __future__ import annotations

from dataclasses import replace

from avemo_harness.report.results import GroupResult, RunResult, TaskResult
from avemo_harness.report.table import format_results
from avemo_harness.scorers.base import Metric

ACCURACY = Metric(0.7654, 0.7, 0.83, n=160, n_invalid=2, n_errors=0)


def result(**changes: object) -> RunResult:
    task = TaskResult(
        task="demo_full_av",
        version=1,
        digest="0" * 64,
        condition="full_av",
        status="complete",
        reason=None,
        headline="accuracy",
        n_items=160,
        n_answered=160,
        n_invalid=2,
        n_errors=0,
        n_missing=0,
        n_clusters=100,
        metrics={"accuracy": ACCURACY},
        details={},
    )
    group = GroupResult("demo", "Demo", {"Acc_AV": ACCURACY, "Acc_A": None}, fusion_gain=None)
    run = RunResult(
        schema_version=1,
        model="baseline",
        identity={},
        releases=(),
        bootstrap={},
        partial=False,
        provisional=False,
        tasks={"demo_full_av": replace(task, **changes)},
        groups={"demo": group},
    )
    return replace(run, provisional=run.n_errors + run.n_missing > 0)


def test_the_row_shows_values_with_intervals_and_a_dash_for_what_was_not_asked() -> None:
    lines = format_results(result()).splitlines()
    assert lines[0] == "Demo"
    assert lines[1].split() == ["model", "Acc_AV", "Acc_A"]
    assert lines[3].split() == ["baseline", "0.765", "—"]
    assert lines[4].split()[-2:] == ["0.700-0.830", "—"]


def test_each_task_shows_its_counts_apart() -> None:
    text = format_results(result(n_invalid=2, n_errors=3, n_missing=4, n_answered=153))
    row = next(line for line in text.splitlines() if line.startswith("demo_full_av"))
    assert row.split()[-5:] == ["153", "100", "2", "3", "4"]
    assert "(provisional)" in text
    assert "3 items failed and are not scored" in text
    assert "4 items are not answered yet" in text


def test_a_skipped_task_says_why() -> None:
    text = format_results(result(status="skipped", reason="the model gives no label text", metrics={}))
    assert "demo_full_av: not asked, the model gives no label text" in text


def test_a_partial_run_says_so() -> None:
    assert "partial: only some" in format_results(replace(result(), partial=True))


def test_results_are_written_the_same_for_the_same_content() -> None:
    assert result().to_json() == result().to_json()
