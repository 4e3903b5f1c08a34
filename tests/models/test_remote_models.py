"""MiniCPM-o 2.6 and Baichuan-Omni-1.5 under transformers 4.45.0, on tiny checkpoints with the published interfaces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.legacy import run_there

pytestmark = pytest.mark.slow

Seen = dict[str, Any]
"""Answers of a model there, by the question."""

TOLERANCE = {"minicpm": 1e-4, "baichuan": 1e-3}


@pytest.fixture(scope="module")
def minicpm(legacy_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return _observe("minicpm", legacy_python, tmp_path_factory.mktemp("minicpm"))


@pytest.fixture(scope="module")
def baichuan(legacy_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return _observe("baichuan", legacy_python, tmp_path_factory.mktemp("baichuan"))


def _observe(name: str, python: Path, scratch: Path) -> Seen:
    seen: Seen = run_there(python, f"support.tiny_{name}:observe", scratch, str(scratch))
    return {**seen, "tolerance": TOLERANCE[name]}


@pytest.fixture(params=TOLERANCE)
def seen(request: pytest.FixtureRequest) -> Seen:
    """Either model's."""
    found: Seen = request.getfixturevalue(request.param)
    return found


def exactly(answer: dict[str, Any]) -> dict[str, Any]:
    """The parts that are equal to the last bit."""
    return {name: answer[name] for name in ("text", "prompt_tokens", "new_tokens", "flags", "rate", "error")}


@pytest.mark.parametrize("output", ["label", "rank", "reply"])
def test_answers_of_a_batch_are_those_of_single_requests(seen: Seen, output: str) -> None:
    alone, together = seen[f"{output} alone"], seen[f"{output} together"]
    assert len(alone) == len(together) == 14
    for key, answer in alone.items():
        assert answer["error"] is None
        assert exactly(together[key]) == exactly(answer)
        assert together[key]["speech"] == pytest.approx(answer["speech"], abs=1e-4)
        for name in ("labels", "priors"):
            assert together[key][name] == pytest.approx(answer[name], abs=seen["tolerance"])


def test_speech_of_a_batch_is_that_of_single_requests_where_words_and_codes_take_turns(baichuan: Seen) -> None:
    alone, together = baichuan["reply alone"], baichuan["reply together"]
    assert {key: answer["speech"] for key, answer in together.items()} == {
        key: answer["speech"] for key, answer in alone.items()
    }


def test_answers_are_those_of_the_published_chat(minicpm: Seen) -> None:
    for answer, published in zip(minicpm["texts"], minicpm["published"], strict=True):
        # The published code keeps special tokens that a text has by chance.
        for mark in ("<|spk_bos|>", "<|spk|>", "<|spk_eos|>", "<|tts_bos|>", "</slice>"):
            published = published.replace(mark, "")
        # The published code drops every exclamation mark that is a token of its own.
        assert answer["text"].replace("!", "") == published
    assert any("!" in answer["text"] for answer in minicpm["texts"])


def test_texts_are_those_of_the_published_way(baichuan: Seen) -> None:
    assert [answer["text"] for answer in baichuan["texts"]] == baichuan["published"]


def test_some_texts_end_before_their_limit(seen: Seen) -> None:
    assert any("truncated" not in answer["flags"] and answer["text"] for answer in seen["texts"])


def test_labels_are_ranked_as_by_whole_passes(seen: Seen) -> None:
    ranked = list(seen["ranking"]["labels"].values())
    assert ranked == pytest.approx(seen["naive ranking"], abs=seen["tolerance"])
    assert seen["ranking"]["priors"] != seen["ranking"]["labels"]


def test_history_and_streams_change_the_answer(seen: Seen) -> None:
    ranked = [answer["labels"]["happy"] for answer in seen["rank alone"].values()]
    assert len({round(value, 3) for value in ranked}) == len(ranked)


def test_words_and_codes_are_those_of_reading_everything_anew(baichuan: Seen) -> None:
    replies = baichuan["reference reply"]
    for reply in replies:
        assert reply["words"] == reply["anew"]["words"]
        assert reply["stretches"] == reply["anew"]["stretches"]
    assert any(len(reply["stretches"]) > 2 for reply in replies)


def test_replies_are_spoken_at_24_khz(seen: Seen) -> None:
    for answer in [*seen["reply alone"].values(), seen["bfloat16"]]:
        assert answer["rate"] == 24_000
        assert max(abs(sample) for sample in answer["speech"]) > 0.1


def test_a_text_longer_than_is_spoken_is_flagged(minicpm: Seen) -> None:
    flags = {tuple(answer["flags"]) for answer in minicpm["reply alone"].values()}
    assert () in flags
    assert any("speech_truncated" in one for one in flags)


def test_codes_can_be_drawn_or_not(baichuan: Seen) -> None:
    drawn = next(iter(baichuan["reply alone"].values()))
    assert baichuan["greedy codes"]["speech"] is not None
    assert baichuan["greedy codes"]["speech"] != drawn["speech"]


def test_draws_belong_to_the_request(seen: Seen) -> None:
    assert [exactly(one) for one in seen["drawn"]] == [exactly(one) for one in seen["drawn together"]]


def test_drawn_texts_are_not_the_likeliest(minicpm: Seen) -> None:
    drawn, likeliest = minicpm["drawn"][0]["text"], minicpm["texts"][0]["text"]
    assert drawn != likeliest[: len(drawn)]


def test_labels_need_no_speech_part(minicpm: Seen) -> None:
    assert not minicpm["labels only"]["has tts"]
    assert exactly(minicpm["labels only"]["answer"]) == exactly(next(iter(minicpm["label alone"].values())))


def test_fewer_and_smaller_frames_make_shorter_prompts(baichuan: Seen) -> None:
    tokens = {name: baichuan[f"{name} frames"]["prompt_tokens"] for name in ("fewer", "smaller", "larger")}
    assert max(tokens["fewer"], tokens["smaller"]) < tokens["larger"]


def test_a_damaged_clip_and_a_long_dialogue_fail_alone(seen: Seen) -> None:
    whole, damaged = seen["damaged"]
    assert whole["error"] is None
    assert "broken.mp4" in damaged["error"]
    assert "GenerationError: the dialogue takes" in seen["too long"]["error"]


def test_the_mend_for_a_long_dialogue_is_said(baichuan: Seen) -> None:
    assert "a lower max_pixels or max_frames makes clips shorter" in baichuan["too long"]["error"]


def test_a_file_that_the_processor_cannot_read_is_an_error(baichuan: Seen) -> None:
    assert "the model's processor cannot read a clip: **** get media error" in baichuan["unreadable"]["error"]
    assert baichuan["unreadable"]["text"] is None


def test_scores_that_are_no_numbers_are_an_error(seen: Seen) -> None:
    for answer in seen["no numbers"]:
        assert "GenerationError: the model's scores are not numbers" in answer["error"]
        assert (answer["text"], answer["labels"], answer["speech"]) == (None, None, None)


def test_the_identity_names_the_code(seen: Seen) -> None:
    identity = seen["identity"]
    assert identity["remote_code"] == identity["weights"]
    assert identity["weights"].startswith("sha256:")
    assert identity["transformers"] == "4.45.0"


def test_loading_changes_neither_code_nor_vocoder(baichuan: Seen) -> None:
    assert baichuan["identity afterwards"] == baichuan["identity"]


@pytest.mark.parametrize(
    ("model", "spoiled", "said"),
    [
        ("minicpm", "without_weight", "not a whole checkpoint of MiniCPMO: 1 weights are missing"),
        ("minicpm", "without_vocoder", "it cannot speak without Vocos.pt"),
        ("minicpm", "with_gpu_vocoder", "Torch not compiled with CUDA enabled (its published vocoder runs on a GPU"),
        ("minicpm", "without_voice", "the voice of replies cannot be read"),
        ("minicpm", "with_broken_code", "code does not run with transformers 4.45.0 (ImportError: cannot import name"),
        ("baichuan", "without_weight", "not a whole checkpoint of OmniForCausalLM: 1 weights are missing"),
        ("baichuan", "with_broken_code", "its code does not run with transformers 4.45.0"),
    ],
)
def test_an_unfit_checkpoint_is_refused(request: pytest.FixtureRequest, model: str, spoiled: str, said: str) -> None:
    refused = request.getfixturevalue(model)["refused"][spoiled]
    assert refused.startswith("ModelError: ")
    assert said in refused
