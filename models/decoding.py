"""Decode token by token: choose tokens, continue prompts, and score labels by their log-probability."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from avemo_harness.errors import GenerationError

if TYPE_CHECKING:
    from torch import Tensor

NO_NUMBERS = "the model's scores are not numbers (overflow?); another dtype may help, such as bfloat16"

LOOPS = 4
LOOPED_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Sampling:
    """Settings of sampling; None for temperature, top_k or top_p leaves the distribution as it is.

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
        # Any: the library's annotations ask for types that tensors do not have.
        self._processors: Any = LogitsProcessorList()
        if sampling.repetition_penalty != 1.0:
            self._processors.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
        self._warpers: Any = LogitsProcessorList()
        if sampling.do_sample:
            if sampling.temperature is not None:
                self._warpers.append(TemperatureLogitsWarper(sampling.temperature))
            if sampling.top_k is not None:
                self._warpers.append(TopKLogitsWarper(sampling.top_k))
            if sampling.top_p is not None:
                self._warpers.append(TopPLogitsWarper(sampling.top_p))

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows of the batch alone; their draws stay their own."""
        self._generators = [self._generators[row] for row in rows]

    def choose(self, ids: Tensor, logits: Tensor) -> Tensor:
        """The next token of each row.

        Args:
            ids: [B, n] tokens of the row so far, for the repetition penalty.
            logits: [B, vocabulary].

        Returns:
            [B], int64.
        """
        scores = self._processors(ids, logits.float())
        if self._suppressed:
            scores[:, self._suppressed] = float("-inf")
        if self._sampling.do_sample:
            scores = self._warpers(ids, scores) + self._gumbel(scores)
        return scores.argmax(dim=-1)

    def _gumbel(self, scores: Tensor) -> Tensor:
        """Gumbel noise: the highest of the noisy scores is a draw from their softmax."""
        import torch

        drawn = [torch.rand(scores.shape[1], generator=one, dtype=torch.float64) for one in self._generators]
        return -torch.log(-torch.log(torch.stack(drawn).clamp_min(1e-300))).to(scores.device, scores.dtype)


def flags_of(ids: Sequence[int], ended: bool) -> tuple[str, ...]:
    """Flags of generated text, as in `Response.flags`.

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
    found = {"truncated": not ended, "repeating": _ends_in_a_loop(ids), "empty_text": not ids}
    return tuple(flag for flag, raised in found.items() if raised)


def _ends_in_a_loop(ids: Sequence[int]) -> bool:
    """The last tokens are one sequence again and again: at least four times and eight tokens in all."""
    ids = list(ids)
    for period in range(1, len(ids) // LOOPS + 1):
        length = period * max(LOOPS, -(-LOOPED_TOKENS // period))
        if length <= len(ids) and ids[-length:-period] == ids[len(ids) - length + period :]:
            return True
    return False


def only_numbers(input_ids: Tensor, scores: Tensor) -> Tensor:
    """Return scores as they are; raise a GenerationError where they are not numbers.

    A token that cannot come has minus infinity.
    """
    if (scores.isnan() | scores.isposinf()).any():
        raise GenerationError(NO_NUMBERS)
    return scores


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Draw from generators of this block alone; without a seed nothing is drawn in it."""
    import torch

    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


@contextmanager
def last_scores(head: Any, count: int) -> Iterator[None]:
    """Let an output layer score the last `count` positions alone; the scores of a long prompt would fill the memory."""
    hook = head.register_forward_pre_hook(lambda module, given: (given[0][:, -count:], *given[1:]))
    try:
        yield
    finally:
        hook.remove()


@dataclass(frozen=True, slots=True)
class GeneratedText:
    """A generated text.

    Args:
        ids: tokens without the end token.
        ended: an end token came.
        finite: False where the scores were not numbers, so that nothing was chosen from them.
        states: as in `Step`, of each token but one that reached the limit, [n, hidden].
    """

    ids: tuple[int, ...]
    ended: bool
    finite: bool = True
    states: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Prefill:
    """Prompts after their prefill as one batch, with left padding.

    Args:
        scores: of the next token, [B, vocabulary].
        mask: 1 where a row has a token, 0 where it is padded, [B, n].
        next_position: of the next token, [B].
        cache: the model's KV cache of them.
    """

    scores: Tensor
    mask: Tensor
    next_position: Tensor
    cache: Any


class Step(NamedTuple):
    """Tokens that were decoded.

    Args:
        scores: of the token after each, [B, k, vocabulary].
        cache: the KV cache with these tokens.
        states: what a talker gets of them, [B, k, hidden]; None for a network that does not speak.
    """

    scores: Tensor
    cache: Any
    states: Tensor | None = None


class Network(Protocol):
    """A language model that is stepped by hand."""

    @property
    def ends(self) -> tuple[int, ...]:
        """Tokens that end an answer."""
        ...

    @property
    def suppressed(self) -> tuple[int, ...]:
        """Placeholder tokens of media, which are never generated."""
        ...

    def step(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> Step:
        """Decode further tokens.

        Args:
            ids, positions: [B, k].
            mask: of all tokens in the cache and of these, [B, n + k].
        """
        ...

    def repeat_cache(self, cache: Any, count: int) -> Any:
        """The cache with every row `count` times, one after the other."""
        ...


def left_padded(rows: Sequence[Tensor], value: float) -> tuple[Tensor, Tensor]:
    """Stack rows of different lengths into one batch with left padding.

    Args:
        rows: each [n] or [n, d].

    Returns:
        [B, longest] or [B, longest, d], and the mask, int64 [B, longest].
    """
    import torch

    longest = max(len(row) for row in rows)
    batch = rows[0].new_full((len(rows), longest, *rows[0].shape[1:]), value)
    mask = torch.zeros(len(rows), longest, dtype=torch.long, device=rows[0].device)
    for i, row in enumerate(rows):
        batch[i, longest - len(row) :] = row
        mask[i, longest - len(row) :] = 1
    return batch, mask


def complete(
    network: Network, prefill: Prefill, sampling: Sampling, seeds: Sequence[int], limit: int
) -> list[GeneratedText]:
    """Continue each row until an end token, at most `limit` tokens.

    Args:
        seeds: of each row's draws.
    """
    import torch

    with torch.inference_mode():
        return _complete(network, prefill, Chooser(sampling, seeds, network.suppressed), limit)


def _complete(network: Network, prefill: Prefill, chooser: Chooser, limit: int) -> list[GeneratedText]:
    import torch

    rows, device = len(prefill.scores), prefill.scores.device
    ends = torch.tensor(network.ends, device=device)
    ids = torch.empty(rows, 0, dtype=torch.long, device=device)
    done = torch.zeros(rows, dtype=torch.bool, device=device)
    finite = torch.ones(rows, dtype=torch.bool, device=device)
    states: list[Tensor] = []
    scores, mask, position, cache = prefill.scores, prefill.mask, prefill.next_position, prefill.cache
    while True:
        usable = torch.isfinite(scores).all(dim=1)
        finite &= usable | done
        chosen = chooser.choose(ids, scores.masked_fill(~usable[:, None], 0.0))
        chosen = torch.where(done | ~finite, ends[0], chosen)
        ids = torch.cat([ids, chosen[:, None]], dim=1)
        done |= torch.isin(chosen, ends) | ~finite
        if bool(done.all()) or ids.shape[1] == limit:
            break
        mask = torch.cat([mask, mask.new_ones(rows, 1)], dim=1)
        step = network.step(chosen[:, None], mask, position[:, None], cache)
        scores, cache, position = step.scores[:, -1], step.cache, position + 1
        if step.states is not None:
            states.append(step.states[:, 0])
    texts = [until_end(ids[i].tolist(), network.ends, bool(finite[i])) for i in range(rows)]
    if not states:
        return texts
    stacked = torch.stack(states, dim=1)
    return [replace(text, states=stacked[i, : len(text.ids)]) for i, text in enumerate(texts)]


def until_end(ids: Sequence[int], ends: Sequence[int], finite: bool = True) -> GeneratedText:
    """Generated tokens up to the first one that ends an answer."""
    end = next((i for i, token in enumerate(ids) if token in ends), None)
    return GeneratedText(tuple(ids[:end]), end is not None, finite)


def label_logprobs(network: Network, prefill: Prefill, labels: Sequence[Sequence[int]]) -> list[list[float]]:
    """Log-probability of each label after each row, summed over the label's tokens.

    The cache of the prompts is repeated over the labels.

    Args:
        labels: token ids of each label.

    Returns:
        [rows][labels], natural logarithm; nan where the scores are not numbers.
    """
    import torch

    rows, device = len(prefill.scores), prefill.scores.device
    count, longest = len(labels), max(len(label) for label in labels)
    padded = torch.full((count, longest), network.ends[0], dtype=torch.long)
    real = torch.zeros(count, longest, dtype=torch.long)
    for i, label in enumerate(labels):
        padded[i, : len(label)] = torch.tensor(label)
        real[i, : len(label)] = 1
    padded, real = padded.repeat(rows, 1).to(device), real.repeat(rows, 1).to(device)
    scores = prefill.scores.repeat_interleave(count, dim=0)[:, None]
    if longest > 1:
        cache = network.repeat_cache(prefill.cache, count)
        mask = torch.cat([prefill.mask.repeat_interleave(count, dim=0), real[:, :-1]], dim=1)
        begins = prefill.next_position.repeat_interleave(count)[:, None]
        positions = begins + torch.arange(longest - 1, device=device)
        scores = torch.cat([scores, network.step(padded[:, :-1], mask, positions, cache).scores], dim=1)
    usable = torch.isfinite(scores).all(dim=2)
    taken = torch.log_softmax(scores.float(), dim=-1).gather(2, padded[:, :, None]).squeeze(2)
    taken = taken.masked_fill(~usable, float("nan"))
    sums = torch.where(real == 1, taken, 0.0).sum(dim=1)
    return [[float(value) for value in row] for row in sums.view(rows, count)]
