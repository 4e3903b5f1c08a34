"""Decode token by token: generated text, and log-probabilities of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from avemo_harness.models.hf_generation import GeneratedText
from avemo_harness.models.sampling import Chooser, Sampling

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Prefill:
    """Prompts that were read as one batch, padded on the left.

    Args:
        scores: of the next token, [B, vocabulary].
        mask: 1 where a row has a token, 0 where it is padded, [B, n].
        following: position of the next token, [B].
        cache: what the model keeps of them.
    """

    scores: Tensor
    mask: Tensor
    following: Tensor
    cache: Any


class Network(Protocol):
    """A language model whose every input is given by hand."""

    @property
    def ends(self) -> tuple[int, ...]:
        """Tokens that end an answer."""
        ...

    @property
    def suppressed(self) -> tuple[int, ...]:
        """Tokens that stand for media, so that they cannot be written."""
        ...

    def step(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> tuple[Tensor, Any]:
        """Read further tokens.

        Args:
            ids, positions: [B, k].
            mask: of everything read so far and of these, [B, n + k].

        Returns:
            scores of the token after each, [B, k, vocabulary], and the cache with these.
        """
        ...

    def repeated(self, cache: Any, count: int) -> Any:
        """The cache with every row `count` times, one after the other."""
        ...


def left_padded(rows: Sequence[Tensor], value: float) -> tuple[Tensor, Tensor]:
    """One batch of rows of different lengths.

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
    network: Network, prefix: Prefill, sampling: Sampling, seeds: Sequence[int], limit: int
) -> list[GeneratedText]:
    """Continue each row until an end token, at most `limit` tokens.

    Args:
        seeds: of each row's draws.
    """
    import torch

    with torch.inference_mode():
        return _complete(network, prefix, Chooser(sampling, seeds, network.suppressed), limit)


def _complete(network: Network, prefix: Prefill, chooser: Chooser, limit: int) -> list[GeneratedText]:
    import torch

    rows, device = len(prefix.scores), prefix.scores.device
    ends = torch.tensor(network.ends, device=device)
    ids = torch.empty(rows, 0, dtype=torch.long, device=device)
    done = torch.zeros(rows, dtype=torch.bool, device=device)
    finite = torch.ones(rows, dtype=torch.bool, device=device)
    scores, mask, following, cache = prefix.scores, prefix.mask, prefix.following, prefix.cache
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
        further, cache = network.step(chosen[:, None], mask, following[:, None], cache)
        scores, following = further[:, -1], following + 1
    return [until_end(network, ids[i].tolist(), bool(finite[i])) for i in range(rows)]


def until_end(network: Network, ids: Sequence[int], finite: bool = True) -> GeneratedText:
    """Generated tokens up to the first one that ends an answer."""
    end = next((i for i, token in enumerate(ids) if token in network.ends), None)
    return GeneratedText(tuple(ids[:end]), end is not None, finite)


def label_logprobs(network: Network, prefix: Prefill, labels: Sequence[Sequence[int]]) -> list[list[float]]:
    """Log-probability of each label after each row, summed over the label's tokens.

    The prompts are read once; what is kept of them is repeated over the labels.

    Args:
        labels: token ids of each label.

    Returns:
        [rows][labels], natural logarithm; nan where the scores are not numbers.
    """
    import torch

    rows, device = len(prefix.scores), prefix.scores.device
    count, longest = len(labels), max(len(label) for label in labels)
    padded = torch.full((count, longest), network.ends[0], dtype=torch.long)
    real = torch.zeros(count, longest, dtype=torch.long)
    for i, label in enumerate(labels):
        padded[i, : len(label)] = torch.tensor(label)
        real[i, : len(label)] = 1
    padded, real = padded.repeat(rows, 1).to(device), real.repeat(rows, 1).to(device)
    scores = prefix.scores.repeat_interleave(count, dim=0)[:, None]
    if longest > 1:
        cache = network.repeated(prefix.cache, count)
        following = prefix.following.repeat_interleave(count)[:, None]
        mask = torch.cat([prefix.mask.repeat_interleave(count, dim=0), real[:, :-1]], dim=1)
        positions = following + torch.arange(longest - 1, device=device)
        scores = torch.cat([scores, network.step(padded[:, :-1], mask, positions, cache)[0]], dim=1)
    usable = torch.isfinite(scores).all(dim=2)
    taken = torch.log_softmax(scores.float(), dim=-1).gather(2, padded[:, :, None]).squeeze(2)
    taken = taken.masked_fill(~usable, float("nan"))
    sums = torch.where(real == 1, taken, 0.0).sum(dim=1)
    return [[float(value) for value in row] for row in sums.view(rows, count)]
