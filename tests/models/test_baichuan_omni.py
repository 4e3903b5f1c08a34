"""Baichuan-Omni-1.5 under transformers 4.45.0, on a tiny checkpoint whose code has the published interfaces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.legacy import run_there

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seen(legacy_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the model answered there, by what was asked."""
    scratch = tmp_path_factory.mktemp("baichuan")
    answers: dict[str, Any] = run_there(legacy_python, "support.tiny_baichuan:observe", scratch, str(scratch))
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
        assert together[key]["speech"] == answer["speech"]
        for name in ("labels", "priors"):
            assert together[key][name] == pytest.approx(answer[name], abs=1e-3)


def test_texts_are_those_of_the_published_way(seen: dict[str, Any]) -> None:
    assert [answer["text"] for answer in seen["texts"]] == seen["published"]
    assert any("truncated" not in answer["flags"] and answer["text"] for answer in seen["texts"])


def test_labels_are_ranked_as_by_whole_passes(seen: dict[str, Any]) -> None:
    assert list(seen["ranking"]["labels"].values()) == pytest.approx(seen["naive ranking"], abs=1e-3)
    assert seen["ranking"]["priors"] != seen["ranking"]["labels"]


def test_history_and_streams_change_the_answer(seen: dict[str, Any]) -> None:
    ranked = [answer["labels"]["happy"] for answer in seen["rank alone"].values()]
    assert len({round(value, 3) for value in ranked}) == len(ranked)


def test_words_and_codes_are_those_of_reading_everything_anew(seen: dict[str, Any]) -> None:
    replies = seen["reference reply"]
    for reply in replies:
        assert reply["words"] == reply["anew"]["words"]
        assert reply["stretches"] == reply["anew"]["stretches"]
    assert any(len(reply["stretches"]) > 2 for reply in replies)


def test_replies_are_spoken_at_24_khz(seen: dict[str, Any]) -> None:
    for answer in [*seen["reply alone"].values(), seen["bfloat16"]]:
        assert answer["rate"] == 24_000
        assert max(abs(sample) for sample in answer["speech"]) > 0.1


def test_codes_can_be_drawn_or_not(seen: dict[str, Any]) -> None:
    drawn = next(iter(seen["reply alone"].values()))
    assert seen["greedy codes"]["speech"] is not None
    assert seen["greedy codes"]["speech"] != drawn["speech"]


def test_draws_belong_to_the_request(seen: dict[str, Any]) -> None:
    assert [exactly(one) for one in seen["drawn"]] == [exactly(one) for one in seen["drawn together"]]


def test_fewer_and_smaller_frames_make_shorter_prompts(seen: dict[str, Any]) -> None:
    tokens = {name: seen[f"{name} frames"]["prompt_tokens"] for name in ("fewer", "smaller", "larger")}
    assert max(tokens["fewer"], tokens["smaller"]) < tokens["larger"]


def test_a_dialogue_longer_than_the_model_reads_is_an_error(seen: dict[str, Any]) -> None:
    assert "GenerationError: the dialogue takes" in seen["too long"]["error"]
    assert "a lower max_pixels or max_frames makes clips shorter" in seen["too long"]["error"]


def test_a_damaged_clip_fails_alone(seen: dict[str, Any]) -> None:
    whole, damaged = seen["damaged"]
    assert whole["error"] is None
    assert "broken.mp4" in damaged["error"]


def test_a_file_that_the_processor_cannot_read_is_an_error(seen: dict[str, Any]) -> None:
    assert "the model's processor cannot read a clip: **** get media error" in seen["unreadable"]["error"]
    assert seen["unreadable"]["text"] is None


def test_scores_that_are_no_numbers_are_an_error(seen: dict[str, Any]) -> None:
    for answer in seen["no numbers"]:
        assert "GenerationError: the model's scores are not numbers" in answer["error"]
        assert (answer["text"], answer["labels"], answer["speech"]) == (None, None, None)


def test_the_identity_names_the_code_and_the_vocoder_and_loading_changes_neither(seen: dict[str, Any]) -> None:
    identity = seen["identity"]
    assert identity["remote_code"] == identity["weights"]
    assert identity["vocoder"].startswith("sha256:")
    assert identity["transformers"] == "4.45.0"
    assert seen["identity afterwards"] == identity


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ("without_weight", "not a whole checkpoint of OmniForCausalLM: 1 weights are missing"),
        ("with_broken_code", "its code does not run with transformers 4.45.0"),
    ],
)
def test_an_unfit_checkpoint_is_refused(seen: dict[str, Any], spoiled: str, said: str) -> None:
    assert seen["refused"][spoiled].startswith("ModelError: ")
    assert said in seen["refused"][spoiled]
