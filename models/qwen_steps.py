"""Steps of Qwen2.5-Omni's talker: with a cache that grows and rows that leave, or compiled for fixed shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from avemo_harness.models.kv_cache import growing_cache
from avemo_harness.models.qwen_thinker import with_cache

if TYPE_CHECKING:
    from torch import Tensor

CAPACITY = 512
"""Tokens by which the capacity of fixed shapes grows, so that few shapes are compiled."""


class Steps(Protocol):
    """The language model of a talker, and the cache of one batch after the other."""

    def first(self, embedded: Tensor, positions: Tensor, mask: Tensor, limit: int) -> Tensor:
        """Begin a batch: read its prompts.

        Args:
            embedded: [B, n, width], padded on the left.
            positions: [3, B, n].
            mask: 1 where a row has a token, [B, n].
            limit: most tokens that follow.

        Returns:
            the last hidden state of each row, [B, hidden].
        """
        ...

    def next(self, embedded: Tensor, positions: Tensor) -> Tensor:
        """Read one more token of each row, [B, 1, width] at [3, B, 1]; returns its hidden states, [B, hidden]."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows alone."""
        ...


class GrowingSteps:
    """Rows that leave cost nothing any more.

    Args:
        talker: a `Qwen2_5OmniTalkerForConditionalGeneration`.
    """

    def __init__(self, talker: Any) -> None:
        self._talker = talker
        self._cache: Any = None
        self._mask: Any = None

    def first(self, embedded: Tensor, positions: Tensor, mask: Tensor, limit: int) -> Tensor:
        self._cache, self._mask = growing_cache(), mask
        return self._forward(embedded, positions)

    def next(self, embedded: Tensor, positions: Tensor) -> Tensor:
        import torch

        self._mask = torch.cat([self._mask, self._mask.new_ones(len(embedded), 1)], dim=1)
        return self._forward(embedded, positions)

    def keep(self, rows: Tensor) -> None:
        self._mask = self._mask[rows]
        self._cache.batch_select_indices(rows)

    def _forward(self, embedded: Tensor, positions: Tensor) -> Tensor:
        return hidden_states(self._talker, embedded, positions, self._mask, self._cache)[:, -1]


class CompiledSteps:
    """One compiled step over one static cache, captured as a CUDA graph on a GPU.

    A row that leaves is computed on and not looked at. Masked places are added up with the others, so that the last
    bits differ from those of `GrowingSteps`.

    Args:
        talker: a `Qwen2_5OmniTalkerForConditionalGeneration`.
    """

    def __init__(self, talker: Any) -> None:
        import torch

        self._talker = talker
        compiled: Any = torch.compile
        mode = "reduce-overhead" if talker.device.type == "cuda" else None
        self._step = compiled(hidden_states, mode=mode, dynamic=False)
        self._shape = (0, 0)
        self._cache: Any = None
        self._slots: Any = None
        self._embedded: Any = None
        self._positions: Any = None
        self._mask: Any = None

    def first(self, embedded: Tensor, positions: Tensor, mask: Tensor, limit: int) -> Tensor:
        import torch
        from torch.nn.functional import pad

        rows, length = mask.shape
        shape = (1 << (rows - 1).bit_length(), -(-(length + limit) // CAPACITY) * CAPACITY)
        if shape == self._shape:
            self._cache.reset()
        else:
            self._begin(shape, embedded)
        # Rows that only fill up the shape repeat the last one.
        slots = torch.arange(shape[0], device=mask.device).clamp(max=rows - 1)
        self._slots = torch.arange(rows, device=mask.device)
        self._mask.copy_(pad(mask, (0, shape[1] - length), value=1)[slots])
        with torch.no_grad():
            read = hidden_states(self._talker, embedded[slots], positions[:, slots], self._mask, self._cache)
        return read[self._slots, -1]

    def next(self, embedded: Tensor, positions: Tensor) -> Tensor:
        import torch

        self._embedded[self._slots] = embedded
        self._positions[:, self._slots] = positions
        with torch.no_grad():
            hidden = self._step(self._talker, self._embedded, self._positions, self._mask, self._cache)
        # A choice of rows is a copy, which the next step does not write over.
        return hidden[self._slots, -1]

    def keep(self, rows: Tensor) -> None:
        self._slots = self._slots[rows]

    def _begin(self, shape: tuple[int, int], like: Tensor) -> None:
        """Lay out a cache, and the places from which the compiled step reads."""
        import torch
        from transformers import StaticCache

        rows, capacity = shape
        self._shape, self._cache = shape, StaticCache(config=self._talker.config, max_cache_len=capacity)
        self._embedded = like.new_zeros(rows, 1, like.shape[2])
        self._positions = torch.zeros(3, rows, 1, dtype=torch.long, device=like.device)
        self._mask = torch.ones(rows, capacity, dtype=torch.long, device=like.device)


def hidden_states(talker: Any, embedded: Tensor, positions: Tensor, mask: Tensor, cache: Any) -> Tensor:
    """One pass of a talker's language model; the cache grows. Returns hidden states, [B, n, hidden]."""
    hidden: Tensor = talker.model(
        inputs_embeds=talker.thinker_to_talker_proj(embedded),
        position_ids=positions,
        attention_mask=mask,
        **with_cache(talker.model, cache),
    ).last_hidden_state
    return hidden
