"""Answers of Qwen2.5-Omni's thinker to prompts that it has read: generated text, and log-probabilities of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from avemo_harness.models.qwen_thinker import Reading, Thinker
from avemo_harness.models.sampling import Chooser, Sampling

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Continuation:
    """Generated text of one row.

    Args:
        ids: tokens without the end token.
        ended: the end token came.
        spoken: as in `Told`, of each token but one that reached the limit, [n, hidden]; None without a talker.
        finite: False where the scores were not numbers, so that nothing was chosen from them.
    """

    ids: tuple[int, ...]
    ended: bool
    spoken: Tensor | None
    finite: bool


def complete(
    thinker: Thinker, reading: Reading, sampling: Sampling, seeds: Sequence[int], limit: int
) -> list[Continuation]:
    """Continue each row until its end token, at most `limit` tokens.

    Args:
        seeds: of each row's draws.
    """
    import torch

    rows = len(seeds)
    chooser = Chooser(sampling, seeds)
    ids = torch.empty(rows, 0, dtype=torch.long, device=thinker.device)
    begins = torch.tensor(reading.beyond, device=thinker.device)
    done = torch.zeros(rows, dtype=torch.bool, device=thinker.device)
    finite = torch.ones(rows, dtype=torch.bool, device=thinker.device)
    hidden, mask, spoken = reading.hidden, reading.mask, []
    while True:
        scores = thinker.scores(hidden)
        usable = torch.isfinite(scores).all(dim=1)
        finite &= usable | done
        chosen = chooser.choose(ids, scores.masked_fill(~usable[:, None], 0.0))
        chosen = torch.where(done | ~finite, thinker.end, chosen)
        ids = torch.cat([ids, chosen[:, None]], dim=1)
        done |= (chosen == thinker.end) | ~finite
        if bool(done.all()) or ids.shape[1] == limit:
            break
        embedded = thinker.embed(chosen[:, None])
        positions = (begins + ids.shape[1] - 1).expand(3, 1, rows).transpose(1, 2)
        mask = torch.cat([mask, mask.new_ones(rows, 1)], dim=1)
        states = thinker.step(embedded, positions, mask, reading.cache)
        if thinker.speaking:
            spoken.append(states[:, 0] + embedded[:, 0])
        hidden = states[:, 0]
    steps = torch.stack(spoken, dim=1) if spoken else None
    return [
        _continuation(thinker.end, ids[i].tolist(), bool(finite[i]), None if steps is None else steps[i])
        for i in range(rows)
    ]


def _continuation(end: int, ids: list[int], finite: bool, spoken: Tensor | None) -> Continuation:
    ended = end in ids
    kept = ids[: ids.index(end)] if ended else ids
    return Continuation(tuple(kept), ended, None if spoken is None else spoken[: len(kept)], finite)


def label_logprobs(thinker: Thinker, reading: Reading, labels: Sequence[Sequence[int]]) -> list[list[float]]:
    """Log-probability of each label after each row, summed over the label's tokens.

    The prompts are read once; their cache is repeated over the labels. Equal to reading prompt and label anew for
    each label.

    Args:
        labels: token ids of each label.

    Returns:
        [rows][labels], natural logarithm; nan where the scores are not numbers.
    """
    import torch

    rows, count, longest = len(reading.beyond), len(labels), max(len(label) for label in labels)
    padded = torch.full((count, longest), thinker.end, dtype=torch.long)
    real = torch.zeros(count, longest, dtype=torch.long)
    for i, label in enumerate(labels):
        padded[i, : len(label)] = torch.tensor(label)
        real[i, : len(label)] = 1
    padded, real = padded.repeat(rows, 1).to(thinker.device), real.repeat(rows, 1).to(thinker.device)
    hidden = reading.hidden.repeat_interleave(count, dim=0)[:, None]
    if longest > 1:
        cache = reading.cache
        cache.batch_repeat_interleave(count)
        begins = torch.tensor(reading.beyond, device=thinker.device).repeat_interleave(count)
        positions = (begins[:, None] + torch.arange(longest - 1, device=thinker.device)).expand(3, -1, -1)
        mask = torch.cat([reading.mask.repeat_interleave(count, dim=0), real[:, :-1]], dim=1)
        hidden = torch.cat([hidden, thinker.step(thinker.embed(padded[:, :-1]), positions, mask, cache)], dim=1)
    logprobs = torch.log_softmax(thinker.scores(hidden), dim=-1)
    taken = logprobs.gather(2, padded[:, :, None]).squeeze(2)
    sums = torch.where(real == 1, taken, 0.0).sum(dim=1)
    return [[float(value) for value in row] for row in sums.view(rows, count)]
