"""Ranking labels by log-probability: what is the same for every neural model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from avemo_harness.benchmark.request import Message, Request, Response, Text
from avemo_harness.errors import GenerationError, describe
from avemo_harness.models.sampling import NO_NUMBERS

Score = Callable[[Sequence[Message], Sequence[Sequence[int]]], Sequence[float]]
"""Log-probability of each label, given by its tokens, after a conversation."""


class Ranker:
    """Makes responses that rank labels.

    Args:
        tokenizer: the checkpoint's; a label is tokenised by itself, since the prompt ends before it.
        score: scores labels after a conversation; asked once for each question's priors.
    """

    def __init__(self, tokenizer: Any, score: Score) -> None:
        self._tokenizer, self._score = tokenizer, score
        self._priors: dict[tuple[tuple[Text, ...], tuple[str, ...]], dict[str, float]] = {}

    def ids(self, labels: Sequence[str]) -> list[list[int]]:
        """Tokens of each label."""
        return [list(self._tokenizer(label, add_special_tokens=False).input_ids) for label in labels]

    def response(
        self, request: Request, labels: tuple[str, ...], logprobs: Sequence[float], prompt_tokens: int
    ) -> Response:
        """The response to a request whose labels have these log-probabilities; an error where one is not a number."""
        if any(math.isnan(value) for value in logprobs):
            return Response(error=describe(GenerationError(NO_NUMBERS)))
        return Response(
            label_logprobs=dict(zip(labels, logprobs, strict=True)),
            label_tokens={label: len(ids) for label, ids in zip(labels, self.ids(labels), strict=True)},
            label_priors=self._prior(request, labels),
            prompt_tokens=prompt_tokens,
        )

    def _prior(self, request: Request, labels: tuple[str, ...]) -> dict[str, float]:
        """Log-probabilities of labels when the question is asked without any clip or history."""
        question = tuple(block for block in request.messages[-1].content if isinstance(block, Text))
        if (question, labels) not in self._priors:
            scores = self._score([Message("user", question)], self.ids(labels))
            self._priors[question, labels] = dict(zip(labels, scores, strict=True))
        return self._priors[question, labels]
