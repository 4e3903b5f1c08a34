"""Choose tokens greedily or by draws seeded per request, and flag odd outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from torch import Tensor

NO_NUMBERS = "the model's scores are not numbers (overflow?); another dtype may help, such as bfloat16"

LOOPS = 4
LOOPED_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn; None for temperature, top_k or top_p leaves the distribution as it is.

    Args:
        repetition_penalty: above 1 makes tokens that occurred less likely (Keskar et al., 2019, equation 1).
    """

    do_sample: bool
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0


class Chooser:
    """Chooses the next token of each row of a batch.

    Every row draws from a generator of its own, so that a request gets the same tokens alone and in any batch.

    Args:
        seeds: one for each row.
        suppressed: tokens that never come.
    """

    def __init__(self, sampling: Sampling, seeds: Sequence[int], suppressed: Sequence[int] = ()) -> None:
        import torch
        from transformers import (
            LogitsProcessorList,
            RepetitionPenaltyLogitsProcessor,
            TemperatureLogitsWarper,
            TopKLogitsWarper,
            TopPLogitsWarper,
        )

        self._sampling, self._suppressed = sampling, list(suppressed)
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._processors = LogitsProcessorList()
        if sampling.repetition_penalty != 1.0:
            self._processors.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
        self._warpers = LogitsProcessorList()
        if sampling.do_sample:
            if sampling.temperature is not None:
                self._warpers.append(TemperatureLogitsWarper(sampling.temperature))
            if sampling.top_k is not None:
                self._warpers.append(TopKLogitsWarper(sampling.top_k))
            if sampling.top_p is not None:
                self._warpers.append(TopPLogitsWarper(sampling.top_p))

    def choose(self, ids: Tensor, logits: Tensor) -> Tensor:
        """The next token of each row.

        Args:
            ids: [B, n] what the row holds so far, for the repetition penalty.
            logits: [B, vocabulary].

        Returns:
            [B], int64.
        """
        # The library's annotations ask for types that tensors do not have.
        seen: Any = ids
        scores: Any = self._processors(seen, cast("Any", logits.float()))
        if self._suppressed:
            scores[:, self._suppressed] = float("-inf")
        if self._sampling.do_sample:
            scores = self._warpers(seen, scores) + self._gumbel(scores)
        chosen: Tensor = scores.argmax(dim=-1)
        return chosen

    def _gumbel(self, scores: Tensor) -> Tensor:
        """Gumbel noise: the highest of the noisy scores is a draw from their softmax."""
        import torch

        drawn = [torch.rand(scores.shape[1], generator=one, dtype=torch.float64) for one in self._generators]
        return -torch.log(-torch.log(torch.stack(drawn).clamp_min(1e-300))).to(scores.device, scores.dtype)


def flags_of(ids: Sequence[int], ended: bool) -> tuple[str, ...]:
    """What is odd about generated text, as in `Response.flags`.

    Args:
        ids: its tokens without the end token.
        ended: the end token came.

    >>> flags_of([7, 7, 7, 7, 7, 7, 7, 7], ended=False)
    ('truncated', 'repeating')
    >>> flags_of([], ended=True)
    ('empty_text',)
    >>> flags_of([5, 6, 7], ended=True)
    ()
    """
    odd = [
        *(["truncated"] if not ended else []),
        *(["repeating"] if _ends_in_a_loop(ids) else []),
        *(["empty_text"] if not ids else []),
    ]
    return tuple(odd)


def _ends_in_a_loop(ids: Sequence[int]) -> bool:
    """The last tokens are one sequence again and again: at least four times and eight tokens in all."""
    ids = list(ids)
    for period in range(1, len(ids) // LOOPS + 1):
        length = period * max(LOOPS, -(-LOOPED_TOKENS // period))
        if length <= len(ids) and ids[-length:-period] == ids[len(ids) - length + period :]:
            return True
    return False
