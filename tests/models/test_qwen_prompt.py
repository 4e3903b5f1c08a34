"""Tokens and positions are those of the published processor and model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.published_qwen import PublishedQwen
from support.questions import QUESTION, ask, ask_in_words, clip, silent_clip, sound_clip
from support.sound_files import SOUND_FORMATS

from avemo_harness import media
from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Request
from avemo_harness.errors import GenerationError, ModelError
from avemo_harness.models.qwen_prompt import Pace, Prompt, PromptBuilder, Tokens, clip_layout

if TYPE_CHECKING:
    from avemo_harness.models.qwen_omni import QwenOmni

Make = Callable[..., "QwenOmni"]
A, B = clip(2.0, 0), clip(3.7, 1)
TOKENS = Tokens(video=1, audio=2, vision_bos=3, vision_eos=4, audio_bos=5, audio_eos=6)


@pytest.fixture(scope="session")
def builder(qwen: QwenOmni) -> PromptBuilder:
    return qwen._builder


def whole(prompt: Prompt) -> tuple[np.ndarray, np.ndarray]:
    """Tokens [n] and positions [3, n] of a prompt."""
    following, positions = 0, []
    for piece in prompt.pieces:
        positions.append(piece.positions + following)
        following = int(positions[-1][0, -1]) + 1
    return np.concatenate([piece.ids for piece in prompt.pieces]), np.concatenate(positions, axis=1)


ASKED = {
    "one clip": ask(A),
    "short clip": ask(clip(0.5, 3)),
    "odd length": ask(clip(1.3, 2)),
    "history": ask(A, "I see.", B, "Really? Tell me more.", clip(1.0, 4)),
    "without sound": ask(silent_clip(2.5, 5), "Hm.", silent_clip(1.2, 6)),
    "without video": ask(sound_clip(2.5, 7), "Hm.", sound_clip(0.4, 8)),
    **{f"sound as {kind}": ask(sound_clip(1.5, 9, kind)) for kind in SOUND_FORMATS},
    "sound before video": ask(sound_clip(1.5, 10, "wav"), "Hm.", A),
    "video before sound": ask(A, "Hm.", sound_clip(1.5, 10, "flac")),
    "sound before silent video": ask(sound_clip(1.5, 10, "wav"), "Hm.", silent_clip(1.2, 6)),
    "words": ask_in_words("How are you?"),
}


@pytest.mark.parametrize("request_", ASKED.values(), ids=ASKED)
def test_a_prompt_is_laid_out_as_published(request_: Request, builder: PromptBuilder, published: PublishedQwen) -> None:
    inputs = published.inputs(request_)
    heard = inputs.get("feature_attention_mask")
    positions, _ = published.model.thinker.get_rope_index(
        inputs["input_ids"],
        video_grid_thw=inputs.get("video_grid_thw"),
        attention_mask=inputs["attention_mask"],
        use_audio_in_video=published.hears_video(request_),
        audio_seqlens=None if heard is None else heard.sum(-1),
        second_per_grids=inputs.get("video_second_per_grid"),
    )
    ids, ours = whole(builder.prompt(request_.messages))
    np.testing.assert_array_equal(ids, inputs["input_ids"][0].numpy())
    np.testing.assert_array_equal(ours, positions[:, 0].numpy())


def test_video_and_sound_take_turns_every_two_seconds() -> None:
    ids, positions = clip_layout(TOKENS, (3, 1, 2), 70, Pace(grid_s=1.0, per_s=25, chunk_s=2))
    runs = [(int(ids[i]), int(n)) for i, n in _runs(ids)]
    assert runs == [(3, 1), (5, 1), (1, 4), (2, 50), (1, 2), (2, 20), (6, 1), (4, 1)]
    assert positions[:, :2].tolist() == [[0, 0]] * 3
    assert positions[:, 2:6].T.tolist() == [[1, 1, 1], [1, 1, 2], [26, 1, 1], [26, 1, 2]]
    assert positions[:, -2:].tolist() == [[71, 71]] * 3


def _runs(ids: np.ndarray) -> list[tuple[int, int]]:
    starts = [0, *(np.flatnonzero(np.diff(ids)) + 1).tolist()]
    return list(zip(starts, np.diff([*starts, len(ids)]).tolist(), strict=True))


def test_questions_about_one_turn_share_all_but_the_question(builder: PromptBuilder) -> None:
    label = builder.prompt(ask(A, "I see.", B).messages)
    reply = builder.prompt(ask(A, "I see.", B, question="Reply.").messages)
    following = builder.prompt(ask(A, "I see.", B, "Oh.", A).messages)
    shared = label.shared
    assert label.prefixes[shared - 1] == reply.prefixes[shared - 1] == following.prefixes[shared - 1]
    assert label.prefixes[-1] != reply.prefixes[-1]
    assert following.shared > shared


def test_what_came_before_tells_prompts_apart(builder: PromptBuilder) -> None:
    other_words = builder.prompt(ask(A, "I hear.", B).messages)
    other_clip = builder.prompt(ask(clip(2.0, 9), "I see.", B).messages)
    same = builder.prompt(ask(A, "I see.", B).messages)
    keys = {prompt.prefixes[prompt.shared - 1] for prompt in (other_words, other_clip, same)}
    assert len(keys) == 3


def test_the_models_own_system_prompt_comes_first(builder: PromptBuilder, qwen: QwenOmni) -> None:
    text = qwen._processor.tokenizer.decode(whole(builder.prompt(ask(A).messages))[0])
    assert text.startswith(
        "<|im_start|>system\nYou are Qwen, a virtual human developed by the Qwen Team, Alibaba Group"
    )
    assert text.endswith(f"<|vision_eos|>{QUESTION}<|im_end|>\n<|im_start|>assistant\n")


def test_sound_too_short_to_hear_is_an_error(builder: PromptBuilder) -> None:
    blip = Clip.from_bytes(media.encode_sound(np.full(300, 0.1, np.float32)), "blip.m4a")
    with pytest.raises(GenerationError, match=r"blip.m4a: its sound of 300 samples is too short"):
        builder.prompt(ask(blip).messages)


def test_a_template_of_another_model_is_refused(make_qwen: Make) -> None:
    model = make_qwen()
    model._processor.chat_template = "{% for message in messages %}{{ message.role }}{% endfor %}"
    with pytest.raises(ModelError, match=r"gives 0 places for 1 clips.*hf-omni"):
        model.generate([ask(A)])
