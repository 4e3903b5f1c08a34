"""Draws follow the distribution, belong to the row, and odd outcomes are named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.benchmark.request import FLAGS
from avemo_harness.models.decoding import Chooser, Sampling, flags_of


def test_greedy_choice_is_the_highest_score() -> None:
    import torch

    chooser = Chooser(Sampling(do_sample=False), [1, 2])
    scores = torch.tensor([[0.0, 3.0, 1.0], [5.0, 3.0, 1.0]])
    assert chooser.choose(torch.zeros(2, 0, dtype=torch.long), scores).tolist() == [1, 0]


def test_suppressed_tokens_never_come() -> None:
    import torch

    chooser = Chooser(Sampling(do_sample=False), [1], suppressed=[1])
    assert chooser.choose(torch.zeros(1, 0, dtype=torch.long), torch.tensor([[0.0, 3.0, 1.0]])).tolist() == [2]


def test_draws_follow_the_softmax_of_the_scores() -> None:
    import torch

    scores = torch.tensor([0.0, 1.0, 2.0, -1.0])
    count = 4000
    chooser = Chooser(Sampling(do_sample=True, temperature=2.0), range(count))
    drawn = chooser.choose(torch.zeros(count, 0, dtype=torch.long), scores.expand(count, -1))
    shares = torch.bincount(drawn, minlength=4) / count
    assert shares.tolist() == pytest.approx(torch.softmax(scores / 2, dim=0).tolist(), abs=0.03)


def test_top_p_and_top_k_cut_the_tail() -> None:
    import torch

    scores = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05])).expand(500, -1)
    nothing = torch.zeros(500, 0, dtype=torch.long)
    assert set(Chooser(Sampling(True, top_p=0.7), range(500)).choose(nothing, scores).tolist()) == {0, 1}
    assert set(Chooser(Sampling(True, top_k=3), range(500)).choose(nothing, scores).tolist()) == {0, 1, 2}


def test_a_row_draws_the_same_alone_and_in_any_batch() -> None:
    import torch

    scores = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    together = Chooser(Sampling(True), [7, 8, 9])
    alone = Chooser(Sampling(True), [8])
    nothing = torch.zeros(3, 0, dtype=torch.long)
    for _ in range(5):
        assert together.choose(nothing, scores)[1] == alone.choose(nothing[:1], scores[1:2])[0]


def test_repetition_is_penalised_as_the_library_does() -> None:
    import torch

    chooser = Chooser(Sampling(do_sample=False, repetition_penalty=2.0), [1])
    assert chooser.choose(torch.tensor([[1]]), torch.tensor([[1.0, 1.5, 0.5]])).tolist() == [0]


@pytest.mark.parametrize(
    ("ids", "ended", "flags"),
    [
        ([0] * 16, False, {"truncated", "repeating"}),
        ([1, 2, 3, 4] * 4, True, {"repeating"}),
        ([9, 8, *([5, 6] * 4)], True, {"repeating"}),
        ([7] * 7, True, set()),
        ([1, 2, 3, 1, 2, 3, 1, 2], True, set()),
        ([], True, {"empty_text"}),
        ([1, 2, 3], False, {"truncated"}),
    ],
)
def test_odd_texts_are_named(ids: list[int], ended: bool, flags: set[str]) -> None:
    assert set(flags_of(ids, ended)) == flags
    assert flags <= set(FLAGS)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.lists(st.integers(10, 20), max_size=6))
def test_any_loop_at_the_end_is_found(loop: list[int], before: list[int]) -> None:
    assert "repeating" in flags_of([*before, *(loop * 8)], True)
    assert "repeating" not in flags_of([*range(100, 130), *loop], True)
