"""Stand-ins compute what the packages compute that they stand in for, or refuse."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avemo_harness.models.environments.stand_ins import deepspeed
from avemo_harness.models.environments.stand_ins.flash_attn import flash_attn_func, flash_attn_varlen_func


def attended(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool, scale: float | None) -> torch.Tensor:
    """Attention by its formula, position by position: [n_q, heads, size]."""
    n_q, heads, size = q.shape
    n_k, groups = k.shape[0], heads // k.shape[1]
    out = torch.zeros_like(q)
    for head in range(heads):
        for i in range(n_q):
            seen = n_k if not causal else max(0, n_k - n_q + i + 1)
            if seen:
                keys, values = k[:seen, head // groups], v[:seen, head // groups]
                weights = ((keys @ q[i, head]) * (scale or 1 / math.sqrt(size))).softmax(dim=0)
                out[i, head] = weights @ values
    return out


LENGTHS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=3)


@given(LENGTHS, st.sampled_from([(4, 4), (4, 2), (2, 1)]), st.booleans(), st.sampled_from([None, 0.3]))
@settings(max_examples=60)
def test_attention_within_sequences_is_that_of_each_alone(
    lengths: list[tuple[int, int]], heads: tuple[int, int], causal: bool, scale: float | None
) -> None:
    torch.manual_seed(0)
    of_q, of_k = zip(*lengths, strict=True)
    q = torch.randn(sum(of_q), heads[0], 8)
    k, v = torch.randn(2, sum(of_k), heads[1], 8)
    edges = [torch.tensor([0, *part]).cumsum(0).int() for part in (of_q, of_k)]
    found = flash_attn_varlen_func(q, k, v, *edges, max(of_q), max(of_k), softmax_scale=scale, causal=causal)
    parts = zip(q.split(of_q), k.split(of_k), v.split(of_k), strict=True)
    expected = torch.cat([attended(*part, causal, scale) for part in parts])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_a_batch_is_attended_row_by_row(causal: bool) -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 5, 4, 8), torch.randn(2, 7, 2, 8), torch.randn(2, 7, 2, 8)
    found = flash_attn_func(q, k, v, causal=causal)
    expected = torch.stack([attended(q[i], k[i], v[i], causal, None) for i in range(2)])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_what_would_change_the_outcome_is_refused_and_what_is_at_its_default_is_not() -> None:
    one = torch.randn(1, 3, 2, 8)
    assert (
        flash_attn_func(one, one, one, window_size=(-1, -1), deterministic=True, alibi_slopes=None).shape == one.shape
    )
    for more in ({"window_size": (4, 4)}, {"softcap": 30.0}, {"alibi_slopes": torch.ones(2)}, {"dropout_p": 0.1}):
        with pytest.raises(NotImplementedError, match="install flash-attn in the environment"):
            flash_attn_func(one, one, one, **more)


def test_a_parameter_that_is_whole_needs_no_gathering() -> None:
    layer = torch.nn.Linear(2, 2)
    assert deepspeed.zero.register_external_parameter(layer, layer.weight) is None
