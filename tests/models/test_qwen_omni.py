"""Qwen2.5-Omni gives what its authors' code gives, in batches as alone, with shared context as without."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.published_qwen import PublishedQwen
from support.questions import (
    SILENT,
    SOUND,
    A,
    B,
    C,
    ask,
    ask_in_words,
    clip,
    conversations,
    mixed_streams,
    outcome,
    shuffled,
    silent_clip,
    sound_clip,
)
from support.sound_files import SOUND_FORMATS

from avemo_harness.benchmark.release import EMOTIONS, Clip
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import ModelError
from avemo_harness.models.base import ModelSetup, Prefetching

if TYPE_CHECKING:
    from avemo_harness.models.neural import PreparedRequest
    from avemo_harness.models.qwen_omni import QwenOmni
    from avemo_harness.models.qwen_prompt import Piece, Prompt
    from avemo_harness.models.qwen_thinker import Context, PrefillState

Make = Callable[..., "QwenOmni"]

ONE_KIND = [
    *conversations("label"),
    ask(SOUND, "Hm.", A),
    ask(A, "Hm.", SOUND),
    ask(SOUND, "Hm.", SILENT),
    *(ask(sound_clip(1.5, 9, kind)) for kind in SOUND_FORMATS),
]
"""Conversations whose videos all have sound or all have none: the published code cannot be right about others."""


@pytest.mark.parametrize("request_", ONE_KIND, ids=range(len(ONE_KIND)))
def test_text_is_that_of_the_published_code(request_: Request, qwen: QwenOmni, published: PublishedQwen) -> None:
    ids, text = published.label_text(request_)
    answer = qwen.generate([request_])[0]
    assert answer.error is None
    assert answer.text == text
    assert answer.new_tokens in (len(ids), len(ids) + 1)
    assert answer.prompt_tokens == published.inputs(request_)["input_ids"].shape[1]


@pytest.mark.parametrize("request_", conversations("reply", max_new_tokens=24)[:4])
def test_speech_is_that_of_the_published_code(request_: Request, qwen: QwenOmni, published: PublishedQwen) -> None:
    answer = qwen.generate([request_])[0]
    assert answer.error is None
    if answer.speech is None:
        with pytest.raises(RuntimeError):
            published.speech(request_, 60)
        assert "no_speech" in answer.flags
    else:
        assert answer.speech.rate_hz == 24_000
        np.testing.assert_allclose(answer.speech.samples, published.speech(request_, 60).numpy(), atol=1e-5)


@pytest.mark.parametrize("output", ["label", "reply"])
def test_a_shuffled_batch_answers_like_single_requests(output: str, qwen: QwenOmni, make_qwen: Make) -> None:
    requests = [*conversations(output, max_new_tokens=20), *mixed_streams(output)]
    singles = {request.key: qwen.generate([request])[0] for request in requests}
    batch = shuffled(requests)
    for request, answer in zip(batch, make_qwen().generate(batch), strict=True):
        alone = singles[request.key]
        assert outcome(answer) == outcome(alone)
        assert (answer.speech is None) == (alone.speech is None)
        if answer.speech is not None and alone.speech is not None:
            np.testing.assert_allclose(answer.speech.samples, alone.speech.samples, atol=1e-5)
    assert len({answer.text for answer in singles.values()}) > len(singles) / 2, "the checkpoint says the same to all"


def test_ranking_in_a_shuffled_batch_is_that_of_single_requests(qwen: QwenOmni, make_qwen: Make) -> None:
    requests = [*conversations("rank"), *mixed_streams("rank")]
    singles = {request.key: qwen.generate([request])[0] for request in requests}
    batch = shuffled(requests)
    for request, answer in zip(batch, make_qwen().generate(batch), strict=True):
        assert answer.label_logprobs == pytest.approx(singles[request.key].label_logprobs, abs=1e-4)


@pytest.mark.parametrize("request_", [conversations("rank")[i] for i in (1, 3, 4, 6)])
def test_ranking_from_one_reading_equals_four_full_readings(
    request_: Request, qwen: QwenOmni, unshared_qwen: QwenOmni, published: PublishedQwen
) -> None:
    import torch

    tokenizer = published.processor.tokenizer
    for model in (qwen, unshared_qwen):
        answer = model.generate([request_])[0]
        assert answer.label_logprobs is not None
        for label in EMOTIONS:
            ids = tokenizer(label, add_special_tokens=False).input_ids
            logprobs = torch.log_softmax(published.logits(request_, label).float(), dim=-1)[-len(ids) - 1 : -1]
            expected = logprobs.gather(1, torch.tensor(ids)[:, None]).sum().item()
            assert answer.label_logprobs[label] == pytest.approx(expected, abs=1e-4)
            assert answer.label_tokens is not None
            assert answer.label_tokens[label] == len(ids)


def test_priors_are_the_scores_of_the_question_alone(qwen: QwenOmni) -> None:
    with_clips = qwen.generate([ask(A, "I see.", B, output="rank")])[0]
    alone = qwen.generate([ask_in_words("Which emotion does the speaker express?", output="rank")])[0]
    assert with_clips.label_priors == alone.label_logprobs
    assert with_clips.label_priors != with_clips.label_logprobs


def dialogue(turns: int) -> list[Request]:
    """Every question of a dialogue: about each user turn its label, its ranking and a reply."""
    before: list[Clip | str] = []
    requests = []
    for turn in range(turns):
        before.append(clip(1.0 + 0.3 * turn, 10 + turn))
        requests += [ask(*before, output=output) for output in ("label", "rank")]
        requests.append(ask(*before, output="reply", question="Reply to the speaker.", max_new_tokens=24))
        before.append(f"reply {turn}")
    return requests


def test_shared_context_gives_the_same_answers(qwen: QwenOmni, unshared_qwen: QwenOmni) -> None:
    for request in dialogue(5):
        shared, unshared = qwen.generate([request])[0], unshared_qwen.generate([request])[0]
        assert outcome(shared) == outcome(unshared)
        if shared.label_logprobs is not None:
            assert shared.label_logprobs == pytest.approx(unshared.label_logprobs, abs=1e-4)
        if shared.speech is not None and unshared.speech is not None:
            np.testing.assert_allclose(shared.speech.samples, unshared.speech.samples, atol=1e-5)


def test_shared_context_encodes_each_clip_once(make_qwen: Make) -> None:
    shared, unshared = make_qwen(), make_qwen(shared_context=False)
    for request in dialogue(5):
        shared.generate([request])
        unshared.generate([request])
    streams = 2  # video and sound
    assert shared._network.encoder.streams_encoded == streams * 5
    assert unshared._network.encoder.streams_encoded == streams * 3 * (1 + 2 + 3 + 4 + 5)
    assert shared._network.tokens_read < unshared._network.tokens_read / 3


def test_conditions_share_what_their_common_streams_were_encoded_to(make_qwen: Make, tmp_path: Path) -> None:
    from avemo_harness.benchmark.conditions import ConditionCache

    cache, model = ConditionCache(tmp_path), make_qwen()
    alone = (cache.full_av(A), cache.audio_only(A), cache.video_only(A))
    for made in (*alone, cache.conflict(A, B), cache.conflict(B, A)):
        model.generate([ask(made)])
    # Sound and video of A, A's frozen face, noise, and B's streams cut to the length of A where they are.
    assert model._network.encoder.streams_encoded <= 2 + 1 + 1 + 4


def test_contexts_do_not_pile_up(make_qwen: Make) -> None:
    model = make_qwen()
    for request in dialogue(4):
        model.generate([request])
    assert model._network.contexts_kept == 1
    for seed in range(30, 36):
        model.generate([ask(clip(1.0, seed)), ask(clip(1.0, seed), "x", A)])
    assert model._network.contexts_kept <= 4


def test_without_room_for_contexts_answers_are_the_same(make_qwen: Make, unshared_qwen: QwenOmni) -> None:
    model = make_qwen()
    model.generate([ask(A)])
    model._network.context_bytes = 1
    for request in dialogue(3):
        assert outcome(model.generate([request])[0]) == outcome(unshared_qwen.generate([request])[0])
    assert model._network.contexts_kept == 0


def test_a_dialogue_begun_elsewhere_gives_the_same_to_the_last_bit(make_qwen: Make) -> None:
    through, later = make_qwen(), make_qwen()
    third = ask(A, "I see.", B, "Go on.", C, output="rank")
    for request in (ask(A), ask(A, "I see.", B, output="reply"), ask(A, "I see.", B, output="rank")):
        through.generate([request])
    assert through.generate([third])[0] == later.generate([third])[0]
    later.forget()
    assert through.generate([third])[0] == later.generate([third])[0]


def test_a_batch_with_and_without_sound_is_split(make_qwen: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_qwen()
    seen: list[list[tuple[bool, bool]]] = []
    answer = model._answer

    def watch(batch: Sequence[PreparedRequest[Prompt]]) -> Sequence[Response]:
        seen.append([one.streams for one in batch])
        return answer(batch)

    monkeypatch.setattr(model, "_answer", watch)
    model.generate([ask(A), ask(SILENT), ask(A, question="And?"), ask(SOUND), ask(silent_clip(2.5, 8))])
    assert all(len(set(batch)) == 1 for batch in seen)
    assert {batch[0] for batch in seen} == {(True, True), (True, False), (False, True)}
    assert [(True, True)] * 2 in seen
    assert [(True, False)] * 2 in seen


def test_a_batch_that_does_not_fit_into_memory_is_asked_in_halves(
    make_qwen: Make, qwen: QwenOmni, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    model = make_qwen()
    thinker = model._network
    feed, sizes = thinker._feed, list[int]()

    def cramped(contexts: Sequence[Context | None], pieces: Sequence[Sequence[Piece]]) -> PrefillState:
        sizes.append(len(pieces))
        if len(pieces) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return feed(contexts, pieces)

    monkeypatch.setattr(thinker, "_feed", cramped)
    requests = [ask(A, question=f"{word}?") for word in ("Who", "How", "Why", "Now", "And")]
    assert [outcome(a) for a in model.generate(requests)] == [outcome(a) for a in qwen.generate(requests)]
    assert max(sizes) == 5
    sizes.clear()
    model.generate(requests)
    assert max(sizes) == 2, "the size that fits is remembered"


def test_history_changes_the_answer(qwen: QwenOmni) -> None:
    assert qwen.generate([ask(B)])[0].text != qwen.generate([ask(A, "I see.", B)])[0].text


def test_sampled_text_and_speech_belong_to_the_request(make_qwen: Make) -> None:
    model = make_qwen(talker_do_sample=True)
    sampled = {"do_sample": True, "temperature": 1.5, "top_p": 0.95, "max_new_tokens": 16}
    requests = [ask(one, output="reply", **sampled) for one in (A, B, C)]
    alone = [model.generate([request])[0] for request in requests]
    together = model.generate(requests)
    assert [outcome(one) for one in alone] == [outcome(one) for one in together]
    for one, other in zip(alone, together, strict=True):
        if one.speech is not None and other.speech is not None:
            np.testing.assert_allclose(one.speech.samples, other.speech.samples, atol=1e-5)
    assert alone[0].text != model.generate([ask(A, output="reply", max_new_tokens=16)])[0].text


def test_a_reply_without_speech_codes_is_kept_and_says_so(qwen: QwenOmni) -> None:
    answers = qwen.generate(conversations("reply", max_new_tokens=24))
    silent = [answer for answer in answers if answer.speech is None]
    assert silent, "the checkpoint always speaks"
    assert all("no_speech" in answer.flags and answer.text is not None and answer.error is None for answer in silent)


def test_a_text_that_reaches_its_limit_is_kept_and_says_so(qwen: QwenOmni) -> None:
    answer = next(a for a in qwen.generate(conversations("label", max_new_tokens=2)) if a.new_tokens == 2)
    assert "truncated" in answer.flags


def test_scores_that_are_no_numbers_are_an_error(make_qwen: Make) -> None:
    import torch

    model = make_qwen()
    model.generate([ask(A)])
    with torch.no_grad():
        model._network.model.lm_head.weight[:] = float("nan")
    for output in ("label", "rank", "reply"):
        answer = model.generate([ask(B, output=output)])[0]
        assert answer.error is not None
        assert "not numbers" in answer.error
        assert answer.text is None


def test_a_damaged_clip_fails_alone(qwen: QwenOmni) -> None:
    damaged = Clip.from_bytes(b"no clip at all", "broken.mp4")
    answers = qwen.generate([ask(A), ask(damaged), ask(B)])
    assert [answer.error is None for answer in answers] == [True, False, True]
    assert "broken.mp4" in (answers[1].error or "")
    assert outcome(answers[0]) == outcome(qwen.generate([ask(A)])[0])


def test_a_dialogue_longer_than_the_model_reads_is_an_error(make_qwen: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_qwen()
    short = model.generate([ask(A)])[0]
    assert short.prompt_tokens is not None
    monkeypatch.setattr(model._builder.config.text_config, "max_position_embeddings", short.prompt_tokens + 12)
    answers = model.generate([ask(A), ask(A, "I see.", B)])
    assert answers[0] == short
    assert "lower max_pixels" in (answers[1].error or "")


def test_clips_are_decoded_ahead(make_qwen: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_qwen()
    assert isinstance(model, Prefetching)
    model.prefetch(ask(A, "I see.", Clip.from_bytes(b"broken")))
    monkeypatch.setattr("avemo_harness.media.decode_frames", None)
    monkeypatch.setattr("avemo_harness.media.decode_sound", None)
    assert model.generate([ask(A)])[0].error is None


def test_labels_need_the_network_alone(make_qwen: Make, qwen: QwenOmni) -> None:
    labels_only = make_qwen(ModelSetup(outputs=frozenset({"label_text"})))
    assert outcome(labels_only.generate([ask(A)])[0]) == outcome(qwen.generate([ask(A)])[0])
    assert not hasattr(labels_only._loaded, "talker")


def test_one_model_over_several_devices(make_qwen: Make, qwen: QwenOmni) -> None:
    spread = make_qwen(device_map="auto")
    requests = conversations("label")
    assert [outcome(a) for a in spread.generate(requests)] == [outcome(a) for a in qwen.generate(requests)]


def test_eager_attention_gives_the_same_text(make_qwen: Make, qwen: QwenOmni) -> None:
    requests = conversations("label")
    eager = make_qwen(attn="eager").generate(requests)
    assert [outcome(a) for a in eager] == [outcome(a) for a in qwen.generate(requests)]


def test_bfloat16_answers_and_speaks(make_qwen: Make) -> None:
    answers = make_qwen(dtype="bfloat16").generate(conversations("reply", max_new_tokens=24))
    assert all(answer.error is None for answer in answers)
    assert any(answer.speech is not None for answer in answers)


@pytest.mark.parametrize("output", ["label", "rank", "reply"])
def test_nothing_that_is_used_will_soon_be_gone(output: str, make_qwen: Make) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        answers = make_qwen().generate(conversations(output, max_new_tokens=8))
    assert all(answer.error is None for answer in answers)
    going = (FutureWarning, DeprecationWarning, PendingDeprecationWarning)
    assert [str(one.message) for one in said if issubclass(one.category, going)] == []


def test_a_checkpoint_that_lacks_weights_is_refused(make_qwen: Make, qwen_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    partly = Path(shutil.copytree(qwen_folder, tmp_path / "partly"))
    weights = load_file(partly / "model.safetensors")
    del weights["thinker.lm_head.weight"]
    save_file(weights, partly / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"1 weights are missing.*lm_head"):
        make_qwen(pretrained=str(partly)).generate([ask(A)])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"speaker": "Nobody"}, "no speaker 'Nobody'; known: Chelsie, Ethan"),
        ({"min_pixels": 9, "max_pixels": 8}, "min_pixels"),
        ({"fps": 0.0}, "fps"),
        ({"attn": "flash_attention_2"}, "flash-attn"),
    ],
)
def test_wrong_arguments_are_said(make_qwen: Make, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        make_qwen(**arguments).generate([ask(A, output="reply")])
