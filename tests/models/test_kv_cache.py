"""A cache with room holds what one without it holds, whatever is done to it."""

from __future__ import annotations

from typing import Any

import pytest

from avemo_harness.models.kv_cache import ROOM, growing_cache


def both() -> tuple[Any, Any]:
    from transformers import DynamicCache

    return growing_cache(), DynamicCache()


def fed(caches: tuple[Any, Any], rows: int, tokens: int, seed: int) -> None:
    """Give two layers of both caches the same keys and values; what they give back is equal."""
    import torch

    made = torch.Generator().manual_seed(seed)
    for layer in range(2):
        keys, values = (torch.randn(rows, 3, tokens, 8, generator=made) for _ in range(2))
        for one, other in zip(*(cache.update(keys.clone(), values.clone(), layer) for cache in caches), strict=True):
            assert one.equal(other)


def equal(caches: tuple[Any, Any]) -> bool:
    one, other = caches
    return one.get_seq_length() == other.get_seq_length() and all(
        a.keys.equal(b.keys) and a.values.equal(b.values) for a, b in zip(one.layers, other.layers, strict=True)
    )


def test_it_grows_past_its_room() -> None:
    caches = both()
    fed(caches, 2, 5, 0)
    for step in range(ROOM + 3):
        fed(caches, 2, 1, step)
    assert equal(caches)


def test_a_step_within_the_room_copies_nothing_that_is_there() -> None:
    cache, other = both()
    fed((cache, other), 2, 5, 0)
    before = cache.layers[0].keys.data_ptr()
    fed((cache, other), 2, 1, 1)
    assert cache.layers[0].keys.data_ptr() == before
    assert other.layers[0].keys.shape[2] == cache.layers[0].keys.shape[2] == 6


@pytest.mark.parametrize("change", ["select", "repeat"])
def test_rows_may_be_chosen_and_repeated(change: str) -> None:
    import torch

    caches = both()
    fed(caches, 3, 4, 0)
    fed(caches, 3, 1, 1)
    for cache in caches:
        if change == "select":
            cache.batch_select_indices(torch.tensor([2, 0]))
        else:
            cache.batch_repeat_interleave(2)
    rows = 2 if change == "select" else 6
    assert equal(caches)
    for step in range(2):
        fed(caches, rows, 1, 10 + step)
    assert equal(caches)
