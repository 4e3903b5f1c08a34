"""The collector is paused inside a block alone, and free memory goes back."""

from __future__ import annotations

import gc

import pytest

from avemo_harness.garbage import collection_paused, give_back_memory


def test_the_collector_runs_again_after_the_block_however_it_ends() -> None:
    assert not _state_inside()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="could not convert"), collection_paused():
        float("planted")
    assert gc.isenabled()


@collection_paused()
def _state_inside() -> bool:
    return gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with collection_paused(), collection_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_memory_is_given_back_without_harm() -> None:
    kept = [bytes(1_000) for _ in range(1_000)]
    give_back_memory()
    assert all(block == bytes(1_000) for block in kept)
