"""Choices of a dialogue are scored together: right in all of them or not."""

from __future__ import annotations

import pytest
from support.answers import answer_to
from support.planned import make_task

from avemo_harness.benchmark.request import Item
from avemo_harness.scorers import load_scorer
from avemo_harness.scorers.base import Answer, TaskScores
from avemo_harness.scorers.metric import BUILT_IN

TASK = make_task(
    output={"type": "choice"}, messages=[{"role": "user", "content": [{"type": "text", "text": "Which?"}]}]
)


def answered(dialogue: int, turn: int, text: str | None, **fields: object) -> Answer:
    name = f"d{dialogue}"
    item = Item("t", f"{name}/{turn}", name, name, name, turn, "full_av", gold="A", order=(0, 1), choices=("", ""))
    return answer_to(item, text, **fields)


def scored(*dialogues: str) -> TaskScores:
    """Scores of dialogues by their letters."""
    answers = [answered(d, t, letter) for d, letters in enumerate(dialogues) for t, letter in enumerate(letters)]
    return load_scorer("spoken_eq").score(TASK, answers)


def values(scores: TaskScores) -> dict[str, float | None]:
    return {name: metric.value for name, metric in scores.metrics.items() if name != "position_bias"}


def test_a_dialogue_is_right_where_every_choice_is() -> None:
    found = scored("AA", "AB", "BA", "BB", "AA")
    assert values(found) == {
        "accuracy": 0.6,
        "trajectory_accuracy": 0.4,
        "first_accuracy": 0.6,
        "last_accuracy": 0.6,
        "seq": pytest.approx(114.73, abs=0.01),
    }
    assert (found.metrics["trajectory_accuracy"].n, found.metrics["first_accuracy"].n) == (5, 5)
    low, high = found.metrics["seq"].ci_low, found.metrics["seq"].ci_high
    assert low is not None
    assert high is not None
    assert 40 <= low < 114 < high <= 160


def test_a_dialogue_with_a_failed_question_is_not_counted_and_its_other_choice_is() -> None:
    answers = [answered(0, 0, "A"), answered(0, 1, None, error="no answer"), answered(1, 0, "A"), answered(1, 1, "A")]
    found = load_scorer("spoken_eq").score(TASK, answers).metrics
    assert (found["trajectory_accuracy"].value, found["trajectory_accuracy"].n) == (1.0, 1)
    assert (found["first_accuracy"].n, found["last_accuracy"].n, found["seq"].n_errors) == (2, 1, 1)


def test_a_dialogue_of_which_a_single_question_was_asked_is_neither_whole_nor_has_a_first_and_a_last() -> None:
    found = scored("AA", "A", "B")
    own = ("first_accuracy", "last_accuracy", "trajectory_accuracy", "seq")
    assert [found.metrics[name].n for name in own] == [1, 1, 1, 1]
    assert found.metrics["accuracy"].n == 4
    alone = scored("A", "A").metrics
    assert [alone[name].value for name in own] == [None] * 4
    assert alone["accuracy"].value == 1.0


def test_first_and_last_choices_are_told_apart_whatever_their_turns_are_called() -> None:
    answers = [answered(d, turn, letter) for d in range(4) for turn, letter in ((3, "A"), (5, "B"))]
    found = values(load_scorer("spoken_eq").score(TASK, answers))
    assert (found["first_accuracy"], found["last_accuracy"], found["trajectory_accuracy"]) == (1.0, 0.0, 0.0)


def test_the_scores_of_a_sample_come_from_stored_lines_alone() -> None:
    found = scored("AA", "AB", "AA", "AA")
    for metric in BUILT_IN["spoken_eq"]:
        if metric.name != "position_bias":
            assert metric.counts is not None
            sample = metric.of_counts(metric.counts(found.lines, ()))
            assert sample == pytest.approx(found.metrics[metric.name].value), metric.name
