"""Results in a terminal: the row in the benchmark's order, intervals, counts, and every reason for doubt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avemo_harness.benchmark.published import PEOPLE
from avemo_harness.report.results import GroupResult, RunResult, TaskResult
from avemo_harness.report.scored_run import PeopleScores
from avemo_harness.report.summary import format_results
from avemo_harness.scorers.base import Judge, MetricValue

ACCURACY = MetricValue(0.7654, 0.7, 0.83, n=160, n_invalid=2, n_errors=0)


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
    group = GroupResult("demo", "Demo", "baseline", {"Acc_AV": ACCURACY, "Acc_A": None}, trivial={}, fusion_gain=None)
    run = RunResult(
        schema_version=1,
        model="baseline",
        identity={},
        releases=(),
        bootstrap={},
        judge=None,
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
    metrics = {"accuracy": replace(ACCURACY, n=153)}
    text = format_results(result(n_invalid=2, n_errors=3, n_missing=4, n_answered=153, metrics=metrics))
    row = next(line for line in text.splitlines() if line.startswith("demo_full_av"))
    assert row.split()[-5:] == ["153", "100", "2", "3", "4"]
    assert "(provisional)" in text
    assert "3 items failed and are not scored" in text
    assert "4 items are not answered yet" in text


def test_what_is_odd_about_answers_stands_below_the_task_most_frequent_first() -> None:
    lines = format_results(result(flags={"no_speech": 1, "truncated": 3})).splitlines()
    row = next(i for i, line in enumerate(lines) if line.startswith("demo_full_av"))
    assert lines[row + 1] == "  3 truncated, 1 no_speech"
    assert "truncated" not in format_results(result())


def test_flags_stand_below_the_last_metric_of_their_task() -> None:
    whole = result(flags={"truncated": 2}, metrics={"accuracy": ACCURACY, "macro_f1": ACCURACY})
    tasks = {**whole.tasks, "demo_conflict": replace(result().tasks["demo_full_av"], task="demo_conflict")}
    lines = format_results(replace(whole, tasks=tasks)).splitlines()
    names = [line.split()[0] for line in lines if line.startswith(("demo_", " "))]
    assert names == ["demo_full_av", "macro_f1", "2", "demo_conflict"]


@pytest.mark.parametrize(
    ("condition", "lacking", "said"),
    [
        ("full_av", {"no face": 12}, "not asked: 12 turns have no face"),
        ("full_av", {"no face": 1, "no sound": 2}, "not asked: 1 turn has no face, 2 turns have no sound"),
        ("conflict", {"no sound": 3}, "not asked: 3 pairs have no sound"),
    ],
)
def test_turns_that_lack_a_stream_are_counted_below_their_task(
    condition: str, lacking: dict[str, int], said: str
) -> None:
    lines = format_results(result(not_asked=lacking, flags={"truncated": 3}, condition=condition)).splitlines()
    row = next(i for i, line in enumerate(lines) if line.startswith("demo_full_av"))
    assert lines[row + 1 : row + 3] == ["  3 truncated", f"  {said}"]
    assert "not asked" not in format_results(result())


def test_labels_that_no_item_has_are_named_below_their_task() -> None:
    details = {"labels": ["calm", "happy", "sad"], "labels_without_gold": ["calm"]}
    lines = format_results(result(details=details)).splitlines()
    row = next(i for i, line in enumerate(lines) if line.startswith("demo_full_av"))
    assert lines[row + 1] == "  no item is labelled calm; means over labels (uar, macro_f1) are of the other 2"


def test_a_task_whose_speakers_are_resampled_says_so_in_its_head_its_notes_and_below() -> None:
    whole = result(details={"clusters": "speaker"}, n_clusters=24)
    task = whole.tasks["demo_full_av"]
    few = replace(next(iter(task.metrics.values())), ci_low=None, ci_high=None, note="too few dialogues")
    text = format_results(replace(whole, tasks={task.task: replace(task, metrics={"accuracy": few})}))
    table = text[text.index("task  ") :]
    assert "speakers" in table.splitlines()[0]
    assert "too few speakers" in table
    assert "dialogues" not in table
    lines = format_results(whole).splitlines()
    row = next(i for i, line in enumerate(lines) if line.startswith("demo_full_av"))
    assert lines[row + 1] == "  intervals resample 24 speakers, each with all of its items"
    assert "resample 1 speaker, each" in format_results(result(details={"clusters": "speaker"}, n_clusters=1))


def test_what_both_add_to_either_stands_beside_the_gain_with_signs() -> None:
    whole = result()
    gain = MetricValue(-0.00004, -0.05, 0.06, n=150, n_invalid=0, n_errors=0)
    group = replace(
        whole.groups["demo"], fusion_gain=gain, av_minus_a=replace(gain, value=0.2, marks=("A",)), av_minus_v=None
    )
    lines = format_results(replace(whole, groups={"demo": group})).splitlines()
    assert "Acc_AV - max(Acc_A, Acc_V): +0.000  -0.050 to +0.060  paired, 150 turns" in lines
    assert "Acc_AV - Acc_A: +0.200A  -0.050 to +0.060  paired, 150 turns" in lines
    assert not any(line.startswith("Acc_AV - Acc_V") for line in lines)


def test_too_few_dialogues_stand_in_the_place_of_the_interval() -> None:
    few = MetricValue(
        1.0, None, None, n=2, n_invalid=0, n_errors=0, n_clusters=2, note="too few dialogues", marks=("F",)
    )
    whole = result(metrics={"accuracy": few})
    group = replace(whole.groups["demo"], columns={"Acc_AV": few, "Acc_A": ACCURACY})
    text = format_results(replace(whole, groups={"demo": group}, marks={"F": "too few dialogues for an interval"}))
    lines = text.splitlines()
    assert lines[3].split() == ["baseline", "1.00F", "0.765"]
    assert lines[4].split()[-3:] == ["too", "few", "0.700-0.830"]
    assert next(line for line in lines if line.startswith("demo_full_av")).split()[2:6] == [
        "1.00F",
        "too",
        "few",
        "dialogues",
    ]
    assert "  F  too few dialogues for an interval" in lines


def test_a_row_that_is_wider_than_80_columns_is_broken_into_blocks_of_like_size() -> None:
    whole = result()
    names = ("Acc_AV", "F1_AV", "Acc_A", "Acc_V", "AAR", "VAR", "OLR")
    group = replace(whole.groups["demo"], columns=dict.fromkeys(names, ACCURACY))
    text = format_results(replace(whole, groups={"demo": group}))
    heads = [line.split() for line in text.splitlines() if line.startswith("model")]
    assert heads == [["model", *names[:4]], ["model", *names[4:]]]
    assert max(len(line) for line in text.partition("\ntask ")[0].splitlines()) <= 80


def test_a_task_without_scorers_shows_how_many_replies_were_spoken() -> None:
    text = format_results(result(metrics={}, n_spoken=158, n_invalid=0))
    row = next(line for line in text.splitlines() if line.startswith("demo_full_av"))
    assert row.split() == ["demo_full_av", "spoken", "158/160", "—", "160", "100", "0", "0", "0"]
    unscored = format_results(result(metrics={}))
    assert "demo_full_av  (no scorer)" in unscored


def test_a_skipped_task_says_why() -> None:
    text = format_results(result(status="skipped", reason="the model gives no label text", metrics={}))
    assert "demo_full_av: not asked, the model gives no label text" in text


def test_a_partial_run_says_so() -> None:
    assert "partial: only some" in format_results(replace(result(), partial=True))


def test_results_are_written_the_same_for_the_same_content() -> None:
    assert result().to_json() == result().to_json()


def judged(**changes: object) -> RunResult:
    """A run whose replies were judged."""
    scores = {name: replace(ACCURACY, value=value) for name, value in (("ecs", 0.61), ("coverage", 1.0))}
    whole = result(task="demo_reply", metrics=scores, n_spoken=158, **changes)
    trivial = {"copy": {"ECS": replace(ACCURACY, value=1.0)}, "shuffled": {"ECS": replace(ACCURACY, value=0.52)}}
    group = GroupResult("demo", "Demo", "Synthetic", {"ECS": scores["ecs"], "Acc_AV": None}, trivial, None)
    judge = Judge("mine", "f" * 64, card={"lines": ["trained on RECOLA, 18 recordings"]})
    return replace(whole, groups={"demo": group}, judge=judge)


def test_replies_that_take_no_understanding_stand_below_the_judged_columns_alone() -> None:
    lines = [line.split() for line in format_results(judged()).splitlines()]
    assert lines[1] == ["model", "ECS"]
    assert lines[3] == ["Synthetic", "0.610"]
    assert lines[5:9] == [["n", "160"], ["copy", "1.000"], ["shuffled", "0.520"], []]
    assert lines[9] == ["model", "Acc_AV"]
    assert lines[11] == ["Synthetic", "—"]


def test_the_judge_is_named_with_its_card_and_coverage_stands_for_the_number_of_spoken_replies() -> None:
    text = format_results(judged())
    assert "replies judged by: mine (ffffffffffff)\n  trained on RECOLA, 18 recordings" in text
    assert "spoken" not in text
    assert "not comparable" not in text


def test_scores_that_mean_nothing_to_others_say_so() -> None:
    assert "demo_reply: not comparable: the judge mine knows" in format_results(judged(comparable=False)).replace(
        "demo_full_av", "demo_reply"
    )
    refused = judged(details={"reasoning": {"profile_refused": "the recogniser has no calibration"}})
    assert "replies are not scored: the recogniser has no calibration" in format_results(refused)


def test_replies_that_are_not_judged_yet_are_counted() -> None:
    text = format_results(result(n_unjudged=5))
    assert "provisional: 5 replies are not judged yet; avemo-eval judge RUN" in text


def test_what_people_rated_stands_below_the_row_of_its_group() -> None:
    rated = PeopleScores(
        "demo_reply", "demo", complete=True, raters=12, excluded=2, columns=dict.fromkeys(PEOPLE, ACCURACY)
    )
    lines = format_results(result(), [rated]).splitlines()
    at = lines.index("demo_reply, rated by 12 people, 2 left out")
    assert lines[at + 1].split() == ["model", "ER", "EN", "RR", "ERS"]
    assert lines[at + 3].split() == ["baseline", *["0.765"] * 4]
    assert at < next(i for i, line in enumerate(lines) if line.startswith("demo_full_av"))
    short = format_results(result(), [replace(rated, complete=False, excluded=0, group=None)])
    assert "demo_reply, rated by 12 people  (provisional: some items have fewer raters than planned)" in short
