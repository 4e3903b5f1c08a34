"""The scorer `raters`: labels held against votes of people who were shown the same, and these against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.request import OTHER_VOTES
from avemo_harness.benchmark.task import LabelOutput, TaskSpec
from avemo_harness.metrics import calibration, votes
from avemo_harness.scorers.answers import RankingError, label_scores, read_answer
from avemo_harness.scorers.base import Answer, ScoreLine, Tally, TaskScores
from avemo_harness.scorers.metric import BUILT_IN
from avemo_harness.scorers.reasoning_columns import Column, mean_metrics

Floats = NDArray[np.float64]


class RaterScorer:
    """Agreement of the answers with the raters of the same recordings, beside that of the raters with each other.

    Raters count who were shown what the model is: the voice under audio_only, the face under video_only, both under
    full_av. An item without votes has no value; in an accuracy, nor has one whose votes are tied. `rater_accuracy` and
    `rater_share` are of the same items and of no model: what a typical rater reaches, each left out in turn. Votes for
    what is no label of the task count as raters who agree with each other and with no answer; the probabilities of
    labels are held against the votes for labels alone.
    """

    metrics = BUILT_IN["raters"]

    def score(self, task: TaskSpec, answers: Sequence[Answer]) -> TaskScores:
        assert isinstance(task.output, LabelOutput)
        output = task.output
        lines = tuple(_line(answer, output) for answer in answers)
        scored = [line for line in lines if line.scored]
        tally = Tally.of(lines)
        columns = {metric.name: _column(metric.name, metric.high, scored) for metric in self.metrics}
        means = mean_metrics(columns, tally.n_errors)
        metrics = {name: replace(value, n_invalid=tally.n_invalid) for name, value in means.items()}
        return TaskScores(metrics, lines, {"raters": _details(answers, output)})


def _line(answer: Answer, output: LabelOutput) -> ScoreLine:
    if (response := answer.scorable) is None:
        return ScoreLine.unscored(answer)
    parsed = read_answer(response, output)
    if not answer.item.votes:
        return ScoreLine.of(answer, parsed.label, "no truth", "no votes")
    return ScoreLine.of(answer, parsed.label, "compared", parsed.why, rater_values(answer, output))


def rater_values(answer: Answer, output: LabelOutput) -> Mapping[str, float | None]:
    """The metrics of one answer by their names; None where one is undefined."""
    counts = _counts([answer], output)
    parsed = None if answer.scorable is None else read_answer(answer.scorable, output).label
    index = np.array([-1 if parsed is None else output.labels.index(parsed)])
    values = {
        "vote_accuracy": votes.vote_hit(counts, index),
        "vote_share": votes.vote_share(counts, index),
        "rater_accuracy": votes.rater_hit(counts),
        "rater_share": votes.rater_share(counts),
    }
    if votes.majority(counts)[0] == len(output.labels):
        # No answer can be what most raters chose, as where the label is none of the task's.
        values["vote_accuracy"] = values["rater_accuracy"] = np.array([np.nan])
    counts = counts[:, :-1]
    if (probabilities := _probabilities(answer, output)) is not None:
        values["vote_cross_entropy"] = votes.vote_cross_entropy(counts, probabilities)
        values["vote_kl"] = votes.vote_divergence(counts, probabilities)
    return {name: None if np.isnan(value[0]) else float(value[0]) for name, value in values.items()}


def _counts(answers: Sequence[Answer], output: LabelOutput) -> Floats:
    """Votes for each of the task's labels and, last, for anything else, shape (N, L + 1)."""
    given = [dict(answer.item.votes) for answer in answers]
    columns = (*output.labels, OTHER_VOTES)
    counts = [[of_item.get(label, 0) for label in columns] for of_item in given]
    return np.array(counts, dtype=np.float64).reshape(-1, len(columns))


def _probabilities(answer: Answer, output: LabelOutput) -> Floats | None:
    """Of the labels that an answer ranks, shape (1, L); None where it ranks none."""
    if output.method != "rank" or answer.scorable is None:
        return None
    try:
        scores = label_scores(answer.scorable, output.labels, output.rank_by)
    except RankingError:
        return None
    return calibration.label_probabilities(np.array([scores], dtype=np.float64))


def _column(name: str, high: float, lines: Sequence[ScoreLine]) -> Column:
    values = [np.nan if (value := line.values.get(name)) is None else value for line in lines]
    return Column(np.array(values, dtype=np.float64), [line.cluster for line in lines], high=high)


def _details(answers: Sequence[Answer], output: LabelOutput) -> dict[str, Any]:
    """Counts of items that were voted on, raters on average, and ties. JSON-ready."""
    counts = _counts([answer for answer in answers if answer.item.votes], output)
    return {
        "n_voted": len(counts),
        "n_without_votes": len(answers) - len(counts),
        "n_tied": int((votes.majority(counts) < 0).sum()) if len(counts) else 0,
        "raters_an_item": float(counts.sum() / len(counts)) if len(counts) else None,
    }
