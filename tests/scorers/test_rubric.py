"""The scorer `rubric`: means on the rubric's own scale, answers without a grade, parameters, agreement with people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from support.planned import make_task

from avemo_harness.benchmark.request import Item, StoredResponse
from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.errors import UsageError
from avemo_harness.scorers import load_scorer, reported_metrics
from avemo_harness.scorers.base import Answer, Grader, Grading, TaskScores
from avemo_harness.scorers.rubric import Rubric

GRADER = Grader("openai", {"model": "tiny"}, "r" * 64, "d" * 64)


def task(**parameters: Any) -> TaskSpec:
    given = {"grader": "openai", "rubric": "How good is {{ answer }}?", **parameters}
    scorers = [{"name": "rubric", "metrics": ["rubric_mean", "rubric_pass"], "parameters": given}]
    return make_task(output={"type": "text"}, scorers=scorers)


def graded(grades: Sequence[float | None], ratings: Sequence[float | None] = (), turns: int = 1) -> list[Answer]:
    """Answers with these grades, `turns` of a dialogue; None has none."""
    answers = []
    for number, grade in enumerate(grades):
        dialogue = f"d{number // turns:03}"
        item = Item("feeling", f"{dialogue}/{number}", dialogue, dialogue, dialogue, number, "full_av")
        grading = None if grade is None else Grading(GRADER, grade, "since")
        response = StoredResponse(task="feeling", item=item.item_id, text="hm")
        answers.append(Answer(item, response, graded=grading, rated=ratings[number] if ratings else None))
    return answers


def score(answers: Sequence[Answer], **parameters: Any) -> TaskScores:
    asked = task(**parameters)
    return load_scorer("rubric", asked.scorers[0].parameters).score(asked, answers)


def test_the_mean_stands_on_the_rubrics_scale_and_its_interval_within_it() -> None:
    scores = score(graded([10.0] * 19 + [0.0]), scale=[0, 10])
    mean, passed = scores.metrics["rubric_mean"], scores.metrics["rubric_pass"]
    assert (mean.value, mean.ci_high, mean.n, mean.n_invalid) == (9.5, 10.0, 20, 0)
    assert mean.ci_low is not None
    assert mean.ci_low < 9.0
    assert passed.value == 0.95
    metrics = {metric.name: (metric.low, metric.high) for metric in reported_metrics(task(scale=[0, 10]).scorers[0])}
    assert metrics == {"rubric_mean": (0, 10), "rubric_pass": (0.0, 1.0)}


def test_where_all_grades_are_the_best_the_interval_says_how_little_that_tells() -> None:
    mean = score(graded([5.0] * 10)).metrics["rubric_mean"]
    assert (mean.value, mean.ci_high) == (5.0, 5.0)
    assert mean.ci_low == pytest.approx(5 - 4 * (1 - 0.025 ** (1 / 10)))


def test_an_answer_passes_from_the_middle_of_the_scale_on_or_from_where_the_task_says() -> None:
    answers = graded([1, 2, 3, 4, 5])
    assert score(answers).metrics["rubric_pass"].value == 0.6
    assert score(answers, pass_at=5).metrics["rubric_pass"].value == 0.2


def test_what_has_no_grade_is_not_scored_and_says_why() -> None:
    first, second, third, fourth = graded([4, None, None, None])
    second = replace(second, graded=Grading(GRADER, None, error="no grade"))
    fourth = replace(fourth, response=StoredResponse(task="feeling", item=fourth.item.item_id, error="broken"))
    scores = score([first, second, third, fourth])
    told = [(line.verdict, line.label, line.why, line.values.get("rubric_mean")) for line in scores.lines]
    assert told == [
        ("graded", "4", "since", 4),
        ("ungraded", None, "not graded: no grade", None),
        ("ungraded", None, "not graded", None),
        ("error", None, "broken", None),
    ]
    assert (scores.metrics["rubric_mean"].value, scores.metrics["rubric_mean"].n) == (4.0, 1)
    details = scores.details["rubric"]
    assert (details["n_graded"], details["n_ungraded"], details["grader"]["digest"]) == (1, 2, GRADER.digest)


WRONG = {
    "rubric": ({"rubric": " "}, "rubric is empty"),
    "template": ({"rubric": "{{ reply }}"}, "unknown name 'reply'; known: answer, history, question, reference, row"),
    "scale": ({"scale": [5, 1]}, r"the lower one first, found \[5, 1\]"),
    "samples": ({"samples": 0}, "samples must be 1 or more"),
    "alike": ({"samples": 3}, "3 samples at temperature 0 are one and the same"),
    "pass": ({"pass_at": 6}, "pass_at must be on the scale from 1 to 5"),
    "key": ({"grades": 1}, "takes no argument 'grades'"),
    "type": ({"scale": "wide"}, "scale='wide'"),
}


@pytest.mark.parametrize("problem", WRONG)
def test_parameters_that_cannot_be_meant_are_refused(problem: str) -> None:
    parameters, message = WRONG[problem]
    with pytest.raises(UsageError, match=message):
        score([], **parameters)


def test_the_digest_names_everything_that_decides_a_grade_but_the_grader() -> None:
    rubric = Rubric("openai", "How good is {{ answer }}?")
    assert rubric.digest == replace(rubric, grader="other", grader_args={"model": "x"}, pass_at=4.0).digest
    others = [
        replace(rubric, rubric="How bad is {{ answer }}?"),
        replace(rubric, scale=(0.0, 5.0)),
        replace(rubric, temperature=0.5),
        replace(rubric, temperature=0.5, samples=2),
        replace(rubric, max_new_tokens=9),
    ]
    assert len({rubric.digest, *(other.digest for other in others)}) == 6


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.9])
def test_a_grader_is_held_against_a_hundred_made_ratings_of_a_known_correlation(correlation: float) -> None:
    rng = np.random.default_rng(7)
    rated, noise = rng.normal(size=(2, 100))
    told = correlation * rated + math.sqrt(1 - correlation**2) * noise
    ratings, grades = (np.clip(3 + 0.8 * values, 1, 5) for values in (rated, told))
    people = score(graded(grades.tolist(), ratings.tolist(), turns=2)).details["rubric"]["people"]
    assert people["n"] == 100
    assert people["spearman"]["value"] == pytest.approx(spearmanr(grades, ratings).statistic)
    means, covariance = (grades.mean(), ratings.mean()), np.cov(grades, ratings, bias=True)
    concordance = 2 * covariance[0, 1] / (covariance[0, 0] + covariance[1, 1] + (means[0] - means[1]) ** 2)
    assert people["ccc"]["value"] == pytest.approx(concordance)
    assert people["mae"]["value"] == pytest.approx(np.abs(grades - ratings).mean())
    planted = 6 / math.pi * math.asin(correlation / 2)
    assert people["spearman"]["ci_low"] <= planted <= people["spearman"]["ci_high"]
    assert people["mae"]["ci_low"] < people["mae"]["value"] < people["mae"]["ci_high"] <= 4


def test_answers_without_a_grade_or_a_rating_tell_nothing_of_agreement() -> None:
    assert score(graded([4, None], [None, 3])).details["rubric"]["people"] is None
    assert score(graded([4, None, 2], [4, 3, None])).details["rubric"]["people"]["n"] == 1
