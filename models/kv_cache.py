"""A KV cache with room for the tokens to come, so that a step copies its own tokens and not all before them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

ROOM = 256
"""Tokens that a cache grows by."""


def growing_cache() -> Any:
    """An empty `DynamicCache` of transformers with the same values, whose tensors grow by `ROOM` tokens at a time."""
    from transformers import DynamicCache
    from transformers.cache_utils import Cache

    cache = DynamicCache()
    Cache.__init__(cache, layer_class_to_replicate=_layer_class())
    return cache


@lru_cache(maxsize=1)
def _layer_class() -> Any:
    from transformers.cache_utils import DynamicLayer

    class GrowingLayer(DynamicLayer):  # type: ignore[no-untyped-call]  # (a decorator of the library is not annotated)
        """Keys and values are the filled beginning of larger tensors."""

        def update(self, key_states: Tensor, value_states: Tensor, *given: Any, **named: Any) -> tuple[Tensor, Tensor]:
            del given, named
            if not self.is_initialized:
                self.lazy_initialization(key_states, value_states)
                self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
            self.keys = self._extended("_held_keys", self.keys, key_states)
            self.values = self._extended("_held_values", self.values, value_states)
            return self.keys, self.values

        def _extended(self, name: str, filled: Tensor | None, new: Tensor) -> Tensor:
            assert filled is not None
            count, width = filled.shape[2], new.shape[2]
            held = getattr(self, name, None)
            # Rows that were chosen or repeated are another tensor, and so is what came from elsewhere.
            if held is None or held.data_ptr() != filled.data_ptr() or held.shape[2] < count + width:
                held = new.new_empty(new.shape[0], new.shape[1], count + width + ROOM, new.shape[3])
                held[:, :, :count] = filled
                setattr(self, name, held)
            held[:, :, count : count + width] = new
            return held[:, :, : count + width]

    return GrowingLayer
