"""The scorer `numbers`: concordance, error and correlation of answered numbers with true ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from avemo_harness.benchmark.task import NumberOutput, TaskSpec
from avemo_harness.metrics.bootstrap import ClusterBootstrap, Estimate, Statistic, interval_of_biased
from avemo_harness.metrics.shares import share_estimate
from avemo_harness.scorers.answer_texts import NUMBER_RULE, read_number
from avemo_harness.scorers.base import (
    Answer,
    Floats,
    MetricValue,
    ScoreLine,
    Tally,
    TaskScores,
    by_cluster,
    metric_value,
)
from avemo_harness.scorers.metric import BUILT_IN, NUMBER, Metric


class NumberScorer:
    """CCC, mean absolute error and Pearson's correlation of the answers that hold a number; their share is `answered`.

    CCC and correlation are undefined where the truth is constant, the correlation also where the answers are.
    """

    metrics = BUILT_IN["numbers"]

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        assert isinstance(task.output, NumberOutput)
        output = task.output
        lines = tuple(_line(answer, output) for answer in answers)
        metrics = {metric.name: _value(metric, lines, output) for metric in self.metrics}
        steps = Counter(line.why for line in lines if line.scored)
        parsing = {"rule": f"number {NUMBER_RULE}", "steps": dict(sorted(steps.items()))}
        return TaskScores(metrics, lines, {"range": [output.low, output.high], "parsing": parsing})


def _line(answer: Answer, output: NumberOutput) -> ScoreLine:
    if (response := answer.scorable) is None:
        return ScoreLine.unscored(answer)
    parsed = read_number(response.text or "", output.low, output.high)
    if parsed.value is None:
        return ScoreLine.of(answer, None, "no number", parsed.why)
    values = {NUMBER: parsed.value, "mae": abs(parsed.value - float(answer.item.gold or ""))}
    return ScoreLine.of(answer, f"{parsed.value:g}", "number", parsed.why, values)


def _value(metric: Metric, lines: Sequence[ScoreLine], output: NumberOutput) -> MetricValue:
    assert metric.counts is not None
    count = metric.counts
    tally = Tally.of(lines)
    counts = by_cluster(lines, lambda group: count(group, ()))
    if metric.name == "answered":
        return tally.metric(share_estimate(counts[:, 0], counts[:, 1]))
    if metric.name != "mae":
        estimate = agreement_estimate(counts, metric.of_sample(count((), ())))
    else:
        estimate = ClusterBootstrap(counts).estimate(metric.of_sample(count((), ())), high=output.high - output.low)
    of_numbers = replace(tally, n=tally.n - tally.n_invalid)
    return metric_value(estimate, of_numbers.n, tally.n_invalid, tally.n_errors, tally.n_invalid)


def agreement_estimate(moments: Floats, statistic: Statistic) -> Estimate:
    """CCC or correlation with an interval over resampled clusters.

    Args:
        moments: sums of each cluster, shape (D, 6); a cluster without a number has no value.
    """
    return ClusterBootstrap(moments).estimate(statistic, interval_of_biased, low=-1.0)
