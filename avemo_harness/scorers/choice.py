"""The scorer `choice`: accuracy of letters, position bias, and consistency over rotations of the options."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from avemo_harness.benchmark.planning import rotated_turn
from avemo_harness.benchmark.task import LETTERS, ChoiceOutput, TaskSpec
from avemo_harness.metrics.bootstrap import (
    APPROXIMATE,
    ClusterBootstrap,
    Estimate,
    bounded_at_edges,
    interval_of_inflated,
    percentile_interval,
)
from avemo_harness.metrics.choices import position_bias
from avemo_harness.metrics.shares import share_estimate
from avemo_harness.scorers.answer_choices import CHOICE_RULE, read_option
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
from avemo_harness.scorers.metric import BUILT_IN, OPTION, OPTIONS, Metric


class ChoiceScorer:
    """Share of right letters, preference for one letter, and turns answered alike under every rotation of the options.

    Invalid answers are wrong, and no option; errors are not scored. Consistency is undefined where options are not
    rotated (`output.order`).
    """

    metrics = BUILT_IN["choice"]

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        assert isinstance(task.output, ChoiceOutput)
        output = task.output
        lines = tuple(_line(answer, output) for answer in answers)
        metrics = {metric.name: _value(metric, lines) for metric in ChoiceScorer.metrics}
        return TaskScores(metrics, lines, _details(lines, output))


def _line(answer: Answer, output: ChoiceOutput) -> ScoreLine:
    if (response := answer.scorable) is None:
        return ScoreLine.unscored(answer)
    item = answer.item
    parsed = read_option(response, output, item)
    verdict = "right" if parsed.label == item.gold else "wrong"
    values: dict[str, float | None] = {OPTIONS: float(len(item.order))}
    if parsed.label is not None:
        values[OPTION] = float(item.order[LETTERS.index(parsed.label)])
    return ScoreLine.of(answer, parsed.label, verdict, parsed.why, values)


def _value(metric: Metric, lines: Sequence[ScoreLine]) -> MetricValue:
    assert metric.counts is not None
    count = metric.counts
    tally = Tally.of(lines)
    counts = by_cluster(lines, lambda group: count(group, ()))
    if metric.name == "position_bias":
        named = sum(line.scored and line.label is not None for line in lines)
        undefined = tally.n - named
        return metric_value(bias_estimate(counts), named, tally.n_invalid, tally.n_errors, undefined)
    estimate = share_estimate(counts[:, 0], counts[:, 1])
    return metric_value(estimate, int(counts[:, 1].sum()), tally.n_invalid, tally.n_errors)


def bias_estimate(counts: Floats) -> Estimate:
    """Position bias with an interval over resampled clusters; noise raises it, as it does every largest of several.

    Args:
        counts: true and answered letters of each cluster, shape (D, 52).
    """
    estimate = ClusterBootstrap(counts).estimate(_bias, _interval)
    return bounded_at_edges(estimate, note=APPROXIMATE)


def _interval(value: float, drawn: Floats) -> tuple[float, float]:
    """The ends that reach further: where one letter is ahead, its share is as skewed as the resamples are."""
    ends = interval_of_inflated(value, drawn), percentile_interval(value, drawn)
    return min(low for low, _ in ends), max(high for _, high in ends)


def _bias(sums: Floats) -> Floats:
    return position_bias(sums.reshape(-1, 2, len(LETTERS)))


def _details(lines: Sequence[ScoreLine], output: ChoiceOutput) -> Mapping[str, Any]:
    """True and answered letters of the scored lines, how options were ordered, and the steps that decided."""
    scored = [line for line in lines if line.scored]
    letters = {
        "true": dict(sorted(Counter(line.gold or "" for line in scored).items())),
        "answered": dict(sorted(Counter(line.label or "invalid" for line in scored).items())),
    }
    details: dict[str, Any] = {"order": output.order, "letters": letters}
    if output.order == "rotations":
        details["n_rotated"] = len({rotated_turn(line.item) for line in scored})
    if output.method == "generate":
        steps = Counter(line.why for line in scored)
        details["parsing"] = {"rule": f"choice {CHOICE_RULE}", "steps": dict(sorted(steps.items()))}
    return details
