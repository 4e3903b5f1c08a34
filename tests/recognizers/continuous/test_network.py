"""The network and its loss: what is beside a recording in a batch does not change it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avemo_harness.metrics.agreement import concordance, series_moments
from avemo_harness.recognizers.heads.trajectory import concordance_loss, make_network, padded


def rows(length: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(length, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return make_network(5, hidden=8).eval()


def test_a_recording_is_followed_the_same_alone_and_beside_longer_ones(network: torch.nn.Module) -> None:
    recordings = [rows(length, seed=length) for length in (3, 1, 9, 4)]
    with torch.inference_mode():
        together = network(padded(recordings), [len(one) for one in recordings])
        for one, found in zip(recordings, together, strict=True):
            alone = network(padded([one]), [len(one)])[0]
            torch.testing.assert_close(found[: len(one)], alone, rtol=0, atol=1e-6)


def test_what_is_predicted_is_valence_and_arousal_on_the_unit_scale(network: torch.nn.Module) -> None:
    with torch.inference_mode():
        found = network(padded([100 * rows(7, seed=1)]), [7])
    assert found.shape == (1, 7, 2)
    assert bool(((found >= 0) & (found <= 1)).all())


def test_nothing_is_dropped_when_it_is_not_training() -> None:
    torch.manual_seed(0)
    dropping = make_network(5, hidden=8, dropout=0.5).eval()
    with torch.inference_mode():
        first, again = (dropping(padded([rows(6, seed=2)]), [6]) for _ in range(2))
    assert torch.equal(first, again)


@settings(max_examples=30)
@given(st.integers(2, 40), st.integers(0, 1000))
def test_the_loss_is_one_minus_the_concordance_that_is_reported(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    predicted, truth = rng.random((2, count, 2))
    ccc = [float(concordance(series_moments(predicted[:, i], truth[:, i]))) for i in range(2)]
    loss = concordance_loss(torch.from_numpy(predicted), torch.from_numpy(truth))
    assert float(loss) == pytest.approx(1 - np.mean(ccc), abs=1e-9)


def test_a_constant_prediction_has_a_finite_gradient() -> None:
    predicted = torch.full((6, 2), 0.5, requires_grad=True)
    concordance_loss(predicted, torch.full((6, 2), 0.5)).backward()
    assert predicted.grad is not None
    assert bool(torch.isfinite(predicted.grad).all())
