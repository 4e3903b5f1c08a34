"""From the stored log-probabilities of labels to the scores that rank them."""

from __future__ import annotations

import math

from avemo_harness.benchmark.task import RankBy
from avemo_harness.scorers.base import Answer


class RankingError(ValueError):
    """The answer lacks what the way of ranking needs; the message says what."""


def label_scores(answer: Answer, labels: tuple[str, ...], rank_by: RankBy) -> list[float]:
    """The score of each label, in nats: log-probability, that per token, or that less the one without media.

    Raises:
        RankingError: log-probabilities, token counts or priors of a label are missing, or a score is not a number.
    """
    logprobs, tokens, priors = answer.label_logprobs, answer.label_tokens, answer.label_priors
    if logprobs is None or set(logprobs) != set(labels):
        raise RankingError("labels not ranked")
    if rank_by == "raw":
        scores = [logprobs[label] for label in labels]
    elif rank_by == "length_normalised":
        if tokens is None or any(tokens.get(label, 0) < 1 for label in labels):
            raise RankingError("the model gave no number of tokens for each label (rank_by: length_normalised)")
        scores = [logprobs[label] / tokens[label] for label in labels]
    else:
        if priors is None or not set(labels) <= set(priors):
            raise RankingError("the model gave no scores of the labels without media (rank_by: prior_corrected)")
        scores = [logprobs[label] - priors[label] for label in labels]
    if any(math.isnan(score) for score in scores) or not math.isfinite(max(scores)):
        raise RankingError("scores of the labels are not numbers")
    return scores
