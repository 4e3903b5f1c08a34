"""Spoken replies of native models: the same in a batch as alone, and never silence without a word."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.native_omni import Tiny
from support.questions import A, C, D, ask, conversations, outcome, shuffled

from avemo_harness.errors import ModelError
from avemo_harness.models.base import ModelSetup

if TYPE_CHECKING:
    from avemo_harness.models.hf_omni import HfOmni


@pytest.fixture(scope="session")
def qwen3(_quiet: None, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    from support.tiny_qwen3_omni import build

    return Tiny(build(tmp_path_factory.mktemp("checkpoints") / "qwen3"), interleaves=True, end="<|im_end|>")


@pytest.fixture(scope="session")
def speaking(qwen3: Tiny) -> HfOmni:
    """A model that tests share; its answers do not depend on what it was asked before."""
    return qwen3.make()


def test_only_a_checkpoint_with_a_talker_offers_replies(qwen3: Tiny, tmp_path: Path) -> None:
    assert "spoken_response" in qwen3.make().capabilities.outputs
    mute = Path(shutil.copytree(qwen3.folder, tmp_path / "mute"))
    config = json.loads((mute / "config.json").read_text())
    (mute / "config.json").write_text(json.dumps({**config, "enable_audio_output": False}))
    silent = Tiny(mute, True, "").make()
    assert silent.capabilities.outputs == {"label_text", "label_ranking", "text"}
    answer = silent.generate([ask(D, output="reply")])[0]
    assert answer.text
    assert answer.speech is None
    assert "no_speech" in answer.flags


def test_labels_need_no_talker(qwen3: Tiny, speaking: HfOmni) -> None:
    labels_only = qwen3.make(ModelSetup(outputs=frozenset({"label_text"})))
    assert outcome(labels_only.generate([ask(A)])[0]) == outcome(speaking.generate([ask(A)])[0])
    assert not hasattr(labels_only._network.model, "talker")


def test_speech_in_a_batch_is_that_of_single_requests(qwen3: Tiny, speaking: HfOmni) -> None:
    requests = conversations("reply", max_new_tokens=12)
    singles = {request.key: speaking.generate([request])[0] for request in requests}
    batch = shuffled(requests)
    for request, answer in zip(batch, qwen3.make().generate(batch), strict=True):
        alone = singles[request.key]
        assert outcome(answer) == outcome(alone)
        assert (answer.speech is None) == (alone.speech is None) == ("no_speech" in answer.flags)
        if answer.speech is not None and alone.speech is not None:
            assert answer.speech.rate_hz == 24_000
            assert answer.speech.samples.ndim == 1
            assert 0.001 < np.abs(answer.speech.samples).max() <= 1
            np.testing.assert_array_equal(answer.speech.samples, alone.speech.samples)
    waves = {answer.speech.samples.tobytes() for answer in singles.values() if answer.speech is not None}
    assert len(waves) > len(requests) / 2, "the checkpoint speaks the same to all"
    cut_off = [answer for answer in singles.values() if "speech_truncated" in answer.flags]
    assert 0 < len(cut_off) < len(waves), "no speech ends, or all does"


def test_the_text_of_a_reply_is_that_without_speech(speaking: HfOmni) -> None:
    replies = speaking.generate(conversations("reply", max_new_tokens=12)[:4])
    labels = speaking.generate(conversations("label", max_new_tokens=12)[:4])
    assert [reply.text for reply in replies] == [label.text for label in labels]


def test_sampled_speech_belongs_to_the_request(qwen3: Tiny) -> None:
    import torch

    model = qwen3.make(talker_do_sample=True)
    waves = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        answer = model.generate([ask(A, output="reply", max_new_tokens=6)])[0]
        assert answer.speech is not None
        waves.append(answer.speech.samples)
    np.testing.assert_array_equal(*waves)
    state = torch.random.get_rng_state()
    model.generate([ask(C, output="reply", max_new_tokens=6)])
    assert torch.equal(state, torch.random.get_rng_state()), "draws of others would depend on what is asked here"


def test_another_speaker_sounds_otherwise(qwen3: Tiny, speaking: HfOmni) -> None:
    requests = conversations("reply", max_new_tokens=12)[:5]
    ethan, chelsie = (
        [answer.speech.samples.tobytes() for answer in model.generate(requests) if answer.speech is not None]
        for model in (speaking, qwen3.make(speaker="Chelsie"))
    )
    assert ethan != chelsie
    with pytest.raises(ModelError, match=r"no speaker 'Nobody'; it has chelsie, ethan"):
        qwen3.make(speaker="Nobody").generate(requests)


@pytest.mark.parametrize("what", ["nothing to say", "no codes"])
def test_a_reply_without_sound_is_kept_and_says_so(what: str, qwen3: Tiny) -> None:
    import torch

    model = qwen3.make()
    network = model._network
    if what == "nothing to say":
        network.ends, network.pad = tuple(range(network.writer.config.text_config.vocab_size)), 0
    else:
        with torch.no_grad():
            network.model.talker.codec_head.weight.zero_()
        network.model.config.talker_config.codec_eos_token_id = 0
    answer = model.generate([ask(A, output="reply")])[0]
    assert answer.error is None
    assert answer.speech is None
    assert "no_speech" in answer.flags
    assert ("empty_text" in answer.flags) == (what == "nothing to say")


@pytest.mark.parametrize("part", ["codec_head", "code2wav"])
def test_speech_that_is_no_numbers_is_an_error(part: str, qwen3: Tiny) -> None:
    import torch

    model = qwen3.make()
    whole = model._network.model
    with torch.no_grad():
        weights = whole.talker.codec_head.weight if part == "codec_head" else whole.code2wav.decoder[0].conv.weight
        weights.fill_(float("nan"))
    answer = model.generate([ask(A, output="reply")])[0]
    assert "GenerationError: the model's scores are not numbers" in (answer.error or "")
    assert answer.speech is None


def test_speech_that_breaks_otherwise_is_an_exception(qwen3: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    model = qwen3.make()

    def broken(codes: Any, **how: Any) -> Any:
        raise RuntimeError("kernel failed")

    monkeypatch.setattr(model._network.model.code2wav, "chunked_decode", broken)
    with pytest.raises(RuntimeError, match="kernel failed"):
        model.generate([ask(A, output="reply")])
