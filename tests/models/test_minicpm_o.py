"""MiniCPM-o 2.6 under transformers 4.45.0, on a tiny checkpoint whose code has the published interfaces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.legacy import run_there

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seen(legacy_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the model answered there, by what was asked."""
    scratch = tmp_path_factory.mktemp("minicpm")
    answers: dict[str, Any] = run_there(legacy_python, "support.tiny_minicpm:observe", scratch, str(scratch))
    return answers


def exactly(answer: dict[str, Any]) -> dict[str, Any]:
    """What must be equal to the last bit."""
    return {name: answer[name] for name in ("text", "prompt_tokens", "new_tokens", "flags", "rate", "error")}


@pytest.mark.parametrize("output", ["label", "rank", "reply"])
def test_answers_of_a_batch_are_those_of_single_requests(seen: dict[str, Any], output: str) -> None:
    alone, together = seen[f"{output} alone"], seen[f"{output} together"]
    assert len(alone) == len(together) == 14
    for key, answer in alone.items():
        assert answer["error"] is None
        assert exactly(together[key]) == exactly(answer)
        for name in ("labels", "priors", "speech"):
            assert together[key][name] == pytest.approx(answer[name], abs=1e-4)


def test_answers_are_those_of_the_published_chat(seen: dict[str, Any]) -> None:
    for answer, published in zip(seen["texts"], seen["published"], strict=True):
        # The published code keeps special tokens that a text has by chance.
        for mark in ("<|spk_bos|>", "<|spk|>", "<|spk_eos|>", "<|tts_bos|>", "</slice>"):
            published = published.replace(mark, "")
        # The published code drops every exclamation mark that is a token of its own.
        assert answer["text"].replace("!", "") == published
    assert any("!" in answer["text"] for answer in seen["texts"])
    assert any("truncated" not in answer["flags"] and answer["text"] for answer in seen["texts"])


def test_labels_are_ranked_as_by_whole_passes(seen: dict[str, Any]) -> None:
    assert list(seen["ranking"]["labels"].values()) == pytest.approx(seen["naive ranking"], abs=1e-4)
    assert seen["ranking"]["priors"] != seen["ranking"]["labels"]


def test_history_and_streams_change_the_answer(seen: dict[str, Any]) -> None:
    ranked = [answer["labels"]["happy"] for answer in seen["rank alone"].values()]
    assert len({round(value, 3) for value in ranked}) == len(ranked)


def test_replies_are_spoken_at_24_khz(seen: dict[str, Any]) -> None:
    for answer in [*seen["reply alone"].values(), seen["bfloat16"]]:
        assert answer["rate"] == 24_000
        assert max(abs(sample) for sample in answer["speech"]) > 0.1


def test_a_text_longer_than_is_spoken_is_flagged(seen: dict[str, Any]) -> None:
    flags = {tuple(answer["flags"]) for answer in seen["reply alone"].values()}
    assert () in flags
    assert any("speech_truncated" in one for one in flags)


def test_draws_belong_to_the_request(seen: dict[str, Any]) -> None:
    assert [exactly(one) for one in seen["drawn"]] == [exactly(one) for one in seen["drawn together"]]
    assert seen["drawn"][0]["text"] != seen["texts"][0]["text"][: len(seen["drawn"][0]["text"])]


def test_labels_need_no_speech_part(seen: dict[str, Any]) -> None:
    assert not seen["labels only"]["has tts"]
    assert exactly(seen["labels only"]["answer"]) == exactly(next(iter(seen["label alone"].values())))


def test_a_damaged_clip_and_a_long_dialogue_fail_alone(seen: dict[str, Any]) -> None:
    whole, damaged = seen["damaged"]
    assert whole["error"] is None
    assert "broken.mp4" in damaged["error"]
    assert "GenerationError: the dialogue takes" in seen["too long"]["error"]


def test_scores_that_are_no_numbers_are_an_error(seen: dict[str, Any]) -> None:
    for answer in seen["no numbers"]:
        assert "GenerationError: the model's scores are not numbers" in answer["error"]
        assert (answer["text"], answer["labels"], answer["speech"]) == (None, None, None)


def test_the_identity_names_the_code_and_the_voice(seen: dict[str, Any]) -> None:
    identity = seen["identity"]
    assert identity["remote_code"] == identity["weights"]
    assert identity["weights"].startswith("sha256:")
    assert identity["voice"] == "assets/input_examples/assistant_female_voice.wav"
    assert identity["transformers"] == "4.45.0"


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ("without_weight", "not a whole checkpoint of MiniCPMO: 1 weights are missing"),
        ("without_vocoder", "it cannot speak without Vocos.pt"),
        ("with_gpu_vocoder", "Torch not compiled with CUDA enabled (its published vocoder runs on a GPU only)"),
        ("without_voice", "the voice of replies cannot be read"),
        ("with_broken_code", "its code does not run with transformers 4.45.0 (ImportError: cannot import name"),
    ],
)
def test_an_unfit_checkpoint_is_refused(seen: dict[str, Any], spoiled: str, said: str) -> None:
    assert seen["refused"][spoiled].startswith("ModelError: ")
    assert said in seen["refused"][spoiled]
