"""A scorer of an installed package, whose failures are one error that names the package."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.plugins import Plugin
from avemo_harness.scorers.base import Answer, Metric, ScoreLine, Scorer, TaskScores


class PluginScorer:
    """Scores as the package's scorer does, and refuses what a run's results cannot hold."""

    def __init__(self, scorer: Scorer, plugin: Plugin) -> None:
        self._scorer, self._plugin = scorer, plugin
        self.metrics = frozenset(scorer.metrics)

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        """Score the answers of a task.

        Raises:
            UsageError: the package's scorer fails, or gives something else than scores.
        """
        with self._plugin.running("its score()"):
            scores = self._scorer.score(task, answers)
            problem = _problem(scores, answers)
        if problem:
            raise self._plugin.problem(f"its score() {problem}")
        return scores


def _problem(scores: Any, answers: Sequence[Answer]) -> str | None:
    """Why results cannot hold some scores; None where they can.

    Raises:
        TypeError, ValueError: the scores hold what is no JSON.
    """
    if not isinstance(scores, TaskScores):
        return f"gives {type(scores).__name__}, expected TaskScores"
    lines = scores.lines
    if not all(isinstance(line, ScoreLine) for line in lines) or len(lines) != len(answers):
        return f"gives {len(lines)} lines, expected a ScoreLine for each of {len(answers)} answers"
    if [line.item.item_id for line in lines] != [answer.item.item_id for answer in answers]:
        return "gives lines of other items, or in another order, than the answers"
    by_row = [scores.metrics, *scores.rows.values()]
    if not all(isinstance(metric, Metric) for metrics in by_row for metric in metrics.values()):
        return "gives a metric that is no Metric"
    shown = [[{name: asdict(metric) for name, metric in metrics.items()} for metrics in by_row], dict(scores.details)]
    json.dumps([shown, [dict(line.values) for line in lines]], allow_nan=False)
    return None
