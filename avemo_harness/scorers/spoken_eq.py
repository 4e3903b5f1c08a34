"""The scorer `spoken_eq`: choices of a dialogue together, as SpeechEQ scores them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from avemo_harness.benchmark.task import TaskSpec
from avemo_harness.metrics.bootstrap import Estimate
from avemo_harness.metrics.shares import share_estimate
from avemo_harness.metrics.spoken_eq import spoken_eq
from avemo_harness.scorers.base import Answer, MetricValue, ScoreLine, Tally, TaskScores, by_cluster, metric_value
from avemo_harness.scorers.choice import ChoiceScorer
from avemo_harness.scorers.metric import BUILT_IN, OF_DIALOGUE, QUESTION


class SpokenEqScorer(ChoiceScorer):
    """Share of dialogues in which every choice is right, alone and as SEQ, and accuracy of first and last choices.

    A dialogue of which a question failed has no share in the former. One of which a single question was asked, as by
    --ids or --where, has none in either: by chance it is right more often than a whole one.
    """

    metrics = BUILT_IN["spoken_eq"]

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        of_choices = super().score(task, answers)
        asked = Counter(answer.item.dialogue_id for answer in answers)
        before: Counter[str] = Counter()
        lines = []
        for answer, line in zip(answers, of_choices.lines, strict=True):
            dialogue = answer.item.dialogue_id
            numbered = {OF_DIALOGUE: float(asked[dialogue]), QUESTION: float(before[dialogue])}
            before[dialogue] += 1
            several = line.scored and asked[dialogue] > 1
            lines.append(replace(line, values={**line.values, **numbered}) if several else line)
        shared = {metric.name for metric in ChoiceScorer.metrics}
        own = {metric.name: _shares(metric.name, lines) for metric in self.metrics if metric.name not in shared}
        named = {metric.name for metric in self.metrics}
        kept = {name: value for name, value in of_choices.metrics.items() if name in named}
        return TaskScores({**kept, **own}, tuple(lines), of_choices.details)


def _shares(name: str, lines: Sequence[ScoreLine]) -> MetricValue:
    metric = next(metric for metric in BUILT_IN["spoken_eq"] if metric.name == name)
    assert metric.counts is not None
    count = metric.counts
    counts = by_cluster(lines, lambda group: count(group, ()))
    estimate = share_estimate(counts[:, 0], counts[:, 1])
    if name == "seq":
        estimate = _on_scale(estimate)
    tally = Tally.of(lines)
    return metric_value(estimate, int(counts[:, 1].sum()), tally.n_invalid, tally.n_errors)


def _on_scale(estimate: Estimate) -> Estimate:
    """A share and the ends of its interval as SEQ, which rises with it."""

    def seq(share: float | None) -> float | None:
        return None if share is None else float(spoken_eq(np.array(share)))

    return replace(estimate, value=seq(estimate.value), ci_low=seq(estimate.ci_low), ci_high=seq(estimate.ci_high))
