"""The scorer `rubric`: means of the grades that a model gave by a rubric, and their agreement with people."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from avemo_harness.benchmark.task import GenerationSpec, TaskSpec
from avemo_harness.benchmark.template import RUBRIC_NAMES, template_problem
from avemo_harness.errors import UsageError
from avemo_harness.metrics.agreement import concordance, series_moments
from avemo_harness.metrics.bootstrap import ClusterBootstrap, Estimate, bounded_at_edges
from avemo_harness.metrics.rank_correlation import spearman_estimate
from avemo_harness.metrics.shares import share_estimate
from avemo_harness.scorers.base import Answer, ScoreLine, Tally, TaskScores
from avemo_harness.scorers.metric import BUILT_IN, RUBRIC, RUBRIC_SCALE, Metric, on_scale
from avemo_harness.scorers.reasoning_columns import Column, column_sums, mean_statistic

RULE = "1"
"""Raised when what a grader is told beside the rubric, or the reading of its grades, changes."""


@dataclass(frozen=True, slots=True)
class Rubric:
    """The parameters of the scorer `rubric`.

    Args:
        grader: a registered model that gives text.
        rubric: what it is told: a template over ``question``, ``answer``, ``reference`` (the true answer; empty where
            there is none), ``history`` (what was said before, a line a turn) and ``row``.
        grader_args: the model's own arguments.
        scale: the lowest and the highest grade.
        samples: how often each answer is graded; its grade is the mean.
        temperature: of the grader's draws; 0 for none.
        max_new_tokens: of a grader's answer.
        pass_at: the grade from which on an answer passes; the middle of the scale by default.
    """

    grader: str
    rubric: str
    grader_args: Mapping[str, Any] = field(default_factory=dict)
    scale: tuple[float, float] = RUBRIC_SCALE
    samples: int = 1
    temperature: float = 0.0
    max_new_tokens: int = 1024
    pass_at: float | None = None

    def __post_init__(self) -> None:
        if problem := self._problem():
            raise UsageError(f"{RUBRIC}: {problem}")

    def _problem(self) -> str | None:
        low, high = self.scale
        if not self.rubric.strip():
            return "rubric is empty; say what is graded, and which grade means what"
        if wrong := template_problem(self.rubric, RUBRIC_NAMES):
            return wrong
        if not -np.inf < low < high < np.inf:
            return f"scale must be two numbers, the lower one first, found [{low:g}, {high:g}]"
        if self.samples < 1:
            return f"samples must be 1 or more, found {self.samples}"
        if self.temperature < 0:
            return f"temperature must be 0 or more, found {self.temperature:g}"
        if self.samples > 1 and self.temperature == 0:
            return f"{self.samples} samples at temperature 0 are one and the same; give a temperature above 0"
        if not 1 <= self.max_new_tokens <= 32_768:
            return f"max_new_tokens must be from 1 to 32768, found {self.max_new_tokens}"
        if self.pass_at is not None and not low <= self.pass_at <= high:
            return f"pass_at must be on the scale from {low:g} to {high:g}, found {self.pass_at:g}"
        return None

    @property
    def passing(self) -> float:
        return sum(self.scale) / 2 if self.pass_at is None else self.pass_at

    @property
    def digest(self) -> str:
        """Of everything but the grader that decides a grade; the grade that passes does not."""
        decided = {"rule": RULE, "rubric": self.rubric, "scale": list(self.scale), "samples": self.samples}
        decided |= {"temperature": self.temperature, "max_new_tokens": self.max_new_tokens}
        return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()

    @property
    def generation(self) -> GenerationSpec:
        drawn = self.temperature or None
        return GenerationSpec(max_new_tokens=self.max_new_tokens, do_sample=drawn is not None, temperature=drawn)

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON schema of a grader's answer: the reason first, so that it is not made up for the grade."""
        return {
            "type": "object",
            "properties": {"reason": {"type": "string"}, "grade": {"type": "number"}},
            "required": ["reason", "grade"],
            "additionalProperties": False,
        }

    @property
    def demand(self) -> str:
        """Form of the answer, which stands below the rubric."""
        low, high = self.scale
        return (
            'Answer with one JSON object and nothing else: {"reason": "...", "grade": N}, where the reason is at most '
            f"three sentences and N is a number from {low:g} to {high:g}."
        )


class RubricScorer:
    """The mean grade on the rubric's scale, and the share of answers that pass; what has no grade is not scored."""

    Arguments = Rubric
    metrics = BUILT_IN[RUBRIC]

    def __init__(self, arguments: Rubric) -> None:
        self.arguments = arguments

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        del task
        rubric = self.arguments
        lines = tuple(_line(answer, rubric) for answer in answers)
        columns = {metric.name: _column(on_scale(metric, rubric.scale), lines) for metric in self.metrics}
        tally = Tally.of(lines)
        grader = next((answer.graded.grader for answer in answers if answer.graded), None)
        details = {
            "grader": grader and grader.told(),
            "rubric": rubric.digest,
            "scale": list(rubric.scale),
            "samples": rubric.samples,
            "pass_at": rubric.passing,
            "n_graded": sum(line.verdict == "graded" for line in lines),
            "n_ungraded": sum(line.verdict == "ungraded" for line in lines),
            "people": agreement_with_people(answers, rubric.scale),
        }
        metrics = {name: tally.metric(mean_of_grades(column)) for name, column in columns.items()}
        return TaskScores(metrics, lines, {RUBRIC: details})


def _line(answer: Answer, rubric: Rubric) -> ScoreLine:
    if answer.scorable is None:
        return ScoreLine.unscored(answer)
    grading = answer.graded
    if grading is None or grading.grade is None:
        why = "not graded" if grading is None else f"not graded: {grading.error}"
        return ScoreLine.of(answer, None, "ungraded", why)
    values = {"rubric_mean": grading.grade, "rubric_pass": float(grading.grade >= rubric.passing)}
    return ScoreLine.of(answer, f"{grading.grade:g}", "graded", grading.reason, values)


def _column(metric: Metric, lines: Sequence[ScoreLine]) -> Column:
    graded = [line for line in lines if line.verdict == "graded"]
    values = np.array([line.values[metric.name] for line in graded], dtype=np.float64)
    return Column(values, [line.cluster for line in graded], low=metric.low, high=metric.high)


def mean_of_grades(column: Column) -> Estimate:
    """The mean of a column, with an interval within its range also where every grade is at an end of it."""
    sums = column_sums(column, {name: i for i, name in enumerate(sorted(set(column.clusters)))})
    low, high = column.low, column.high
    if (low, high) == (0.0, 1.0) and column.is_share:
        return share_estimate(sums[:, 1], sums[:, 0])
    return bounded_at_edges(ClusterBootstrap(sums).estimate(mean_statistic(0), low=low, high=high), low, high)


def agreement_with_people(answers: Sequence[Answer], scale: tuple[float, float]) -> dict[str, Any] | None:
    """Spearman's rho, CCC and mean absolute error of grades against people's mean ratings, over clusters; JSON-ready.

    Args:
        scale: of grades and ratings.

    Returns:
        None where no graded answer was rated.
    """
    both = [
        (grading.grade, answer.rated, answer.item.cluster)
        for answer in answers
        if (grading := answer.graded) and grading.grade is not None and answer.rated is not None
    ]
    if not both:
        return None
    grades, ratings = (np.array([pair[side] for pair in both], dtype=np.float64) for side in (0, 1))
    names, clusters = np.unique(np.array([pair[2] for pair in both], dtype=np.str_), return_inverse=True)
    low, high = scale
    units = [(values - low) / (high - low) for values in (grades, ratings)]
    moments = np.stack([series_moments(*(unit[clusters == i] for unit in units)) for i in range(len(names))])
    errors = np.stack([np.bincount(clusters), np.bincount(clusters, weights=np.abs(grades - ratings))], axis=1)
    found = {
        "spearman": spearman_estimate(grades, ratings, clusters.astype(np.int64)),
        "ccc": ClusterBootstrap(moments).estimate(concordance, low=-1.0),
        "mae": ClusterBootstrap(errors.astype(np.float64)).estimate(
            lambda sums: sums[:, 1] / sums[:, 0], high=high - low
        ),
    }
    return {"n": len(both), **{name: _interval(estimate) for name, estimate in found.items()}}


def _interval(estimate: Estimate) -> dict[str, Any]:
    return {name: value for name, value in asdict(estimate).items() if name != "n_clusters"}
