"""Labels are ranked by scores in float32 where that is asked for, and by one pass where their first token decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from support.questions import A, B, ask

from avemo_harness.models.decoding import label_logprobs

if TYPE_CHECKING:
    from avemo_harness.models.qwen_omni import QwenOmni

Make = Callable[..., "QwenOmni"]
REQUESTS = [ask(A, output="rank"), ask(A, "I see.", B, output="rank")]


def test_scores_of_a_bfloat16_model_in_float32(make_qwen: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr("avemo_harness.models.qwen_thinker.VOCABULARY_AT_ONCE", 100)
    model = make_qwen(dtype="bfloat16", float32_scores=True)
    thinker = model._network
    hidden = torch.randn(2, 3, thinker.model.lm_head.weight.shape[1], dtype=torch.bfloat16)
    rounded = thinker._scores(hidden)
    with thinker.float32_scores():
        exact = thinker._scores(hidden)
    expected = hidden.double() @ thinker.model.lm_head.weight.double().T
    assert exact.dtype == rounded.dtype == torch.float32
    torch.testing.assert_close(exact.double(), expected, rtol=0, atol=1e-4)
    assert (rounded - expected).abs().max() > 100 * (exact - expected).abs().max()
    ranked = [answer.label_logprobs for answer in model.generate(REQUESTS)]
    assert ranked != [answer.label_logprobs for answer in make_qwen(dtype="bfloat16").generate(REQUESTS)]
    assert thinker._scores(hidden).equal(rounded), "texts are generated as published"


def test_of_a_float32_model_they_are_the_same_to_the_last_bit(make_qwen: Make) -> None:
    plain, asked = make_qwen().generate(REQUESTS), make_qwen(float32_scores=True).generate(REQUESTS)
    assert [answer.label_logprobs for answer in asked] == [answer.label_logprobs for answer in plain]


def test_labels_of_one_token_need_no_pass_but_the_prompts(qwen: QwenOmni, monkeypatch: pytest.MonkeyPatch) -> None:
    network, prompts = qwen._network, [qwen._builder.prompt(request.messages) for request in REQUESTS]
    scores = network.prefill(prompts).scores.log_softmax(dim=-1)
    monkeypatch.setattr(type(network), "step", None)
    monkeypatch.setattr(type(network), "repeat_cache", None)
    found: list[list[Any]] = label_logprobs(network, network.prefill(prompts), [[5], [9], [7]])
    assert found == [[float(row[token]) for token in (5, 9, 7)] for row in scores]
