"""Values as text, their digits and intervals, and marks, none of which is without its sentence."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.planted_runs import Planted, TextBench, write_condition_tasks

from avemo_harness import evaluate
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.benchmark.task_library import TaskLibrary
from avemo_harness.report.results import TaskResult
from avemo_harness.report.values import SENTENCES, figure, sentences_of, shown_interval, shown_value, span, with_marks
from avemo_harness.scorers import METRICS
from avemo_harness.scorers.base import MetricValue

MEAN = MetricValue(0.78888, 0.61, 0.9, n=9, n_invalid=0, n_errors=0)


@pytest.mark.parametrize(("n", "value", "interval"), [(9, "0.79", "0.61-0.90"), (10, "0.789", "0.610-0.900")])
def test_a_value_of_fewer_than_ten_items_has_two_digits_and_so_has_its_interval(
    n: int, value: str, interval: str
) -> None:
    metric = replace(MEAN, n=n)
    assert (shown_value(metric), shown_interval(metric)) == (value, interval)


@given(st.floats(-2, 2), st.sampled_from([2, 3]), st.booleans())
def test_no_figure_is_a_negative_zero_and_each_is_the_number_that_it_shows(
    value: float, digits: int, signed: bool
) -> None:
    text = figure(value, digits, signed)
    assert not re.fullmatch(r"-0\.0+", text)
    assert float(text) == pytest.approx(value, abs=0.5 * 10**-digits + 1e-12)


def test_an_interval_with_a_sign_has_no_dash_between_its_ends() -> None:
    assert span(-0.05, -0.0001) == "-0.050 to 0.000"
    assert span(0.05, 0.1, dash="–") == "0.050–0.100"
    assert shown_interval(replace(MEAN, n=99), signed=True) == "+0.610 to +0.900"


def test_where_there_is_no_interval_its_note_says_why() -> None:
    alone = replace(MEAN, ci_low=None, ci_high=None)
    assert shown_interval(alone) == "—"
    assert shown_interval(replace(alone, note="too few dialogues")) == "too few dialogues"
    assert shown_interval(replace(alone, value=None, note="too few dialogues")) == "—"


VALUE = MetricValue(0.5, 0.4, 0.6, n=30, n_invalid=0, n_errors=0)


@pytest.fixture(scope="module")
def reply() -> TaskSpec:
    (task,) = TaskLibrary(METRICS).load(["multiturn_real_reply"])
    return task.spec


def scored(task: TaskSpec, **changes: object) -> TaskResult:
    """A result in which every metric has the same value."""
    names = [name for scorer in task.scorers for name in scorer.metrics]
    metrics = dict.fromkeys(names, VALUE)
    result = TaskResult(task.task, 1, "0" * 64, "full_av", "complete", None, None, metrics=metrics)
    return replace(result, rows={"copy": {"ct_ecs": VALUE}}, **changes)


def marks(result: TaskResult) -> dict[str, str]:
    return {name: "".join(metric.marks) for name, metric in result.metrics.items()}


def test_a_whole_run_by_a_judge_of_people_has_no_mark(reply: TaskSpec) -> None:
    assert set(marks(with_marks(scored(reply), reply, partial=False)).values()) == {""}


def test_whatever_the_demo_s_judge_scored_is_marked_and_coverage_is_not(reply: TaskSpec) -> None:
    result = with_marks(scored(reply, comparable=False), reply, partial=False)
    found = marks(result)
    assert found.pop("coverage") == ""
    assert set(found.values()) == {"D"}
    assert result.rows["copy"]["ct_ecs"].marks == ("D",)


def test_what_is_partial_or_unfinished_is_marked_in_every_value(reply: TaskSpec) -> None:
    assert set(marks(with_marks(scored(reply), reply, partial=True)).values()) == {"P"}
    assert set(marks(with_marks(scored(reply, status="incomplete"), reply, partial=True)).values()) == {"PU"}


def test_users_judged_by_unlike_streams_mark_the_metrics_that_depend_on_the_user_s_face(reply: TaskSpec) -> None:
    found = marks(with_marks(scored(reply, details={"reasoning": {"mixed_user_views": True}}), reply, partial=False))
    unmarked = {name for name, mark in found.items() if not mark}
    assert unmarked == {"ct_ess", "ess_rate", "ecs_audio", "coverage"}
    assert {mark for mark in found.values() if mark} == {"V"}


@pytest.mark.parametrize(
    ("note", "mark"),
    [
        ("too few dialogues", "F"),
        ("too few independent groups", "G"),
        ("too few dialogues or raters", "F"),
        ("approximate", "A"),
        ("the same in every dialogue", "C"),
        ("of my own making", "N"),
    ],
)
def test_the_note_of_an_interval_becomes_a_mark_of_its_value_alone(reply: TaskSpec, note: str, mark: str) -> None:
    metrics = {"ct_ecs": replace(VALUE, note=note), "ct_ebs": replace(VALUE, value=None, note=note), "ct_ess": VALUE}
    found = marks(with_marks(scored(reply, metrics=metrics), reply, partial=False))
    assert found == {"ct_ecs": mark, "ct_ebs": "", "ct_ess": ""}


def test_only_the_sentences_of_marks_that_occur_are_kept() -> None:
    assert sentences_of([VALUE, None, replace(VALUE, marks=("P",))]) == {"P": SENTENCES["P"]}


def test_results_hold_the_marks_of_every_cell_with_their_sentences(tmp_path: Path) -> None:
    bench = TextBench.of(tmp_path, dialogues=4)
    tasks = write_condition_tasks(tmp_path / "tasks", bench.release)
    names = ["full_av", "audio_only", "video_only"]
    model = Planted("mine", failing=[(1, 0)])
    evaluate(model, names, output_path=tmp_path / "run", include_path=(str(tasks),), limit=2)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    group = results["groups"]["mine"]
    assert {tuple(cell["marks"]) for cell in group["columns"].values()} == {("P", "U", "F")}
    for name in ("fusion_gain", "av_minus_a", "av_minus_v"):
        assert group[name]["marks"] == ["P", "U", "F"]
    assert results["marks"] == {mark: SENTENCES[mark] for mark in "PUF"}


def test_what_a_judge_that_learned_labels_can_hardly_tell_is_marked(reply: TaskSpec) -> None:
    result = with_marks(scored(reply), reply, partial=False, learned_labels=True)
    found = marks(result)
    assert found["ess_rate"] == "L"
    assert {name for name, mark in found.items() if mark} <= {"ess", "ess_rate", "ers"}
    (single,) = TaskLibrary(METRICS).load(["singleturn_synthetic_reply"])
    of_turns = marks(with_marks(scored(single.spec), single.spec, partial=False, learned_labels=True))
    assert {name for name, mark in of_turns.items() if mark == "L"} == {"ess", "ess_rate", "ers"}
