"""Native models read each clip with its own streams and times, in the checkpoint's own words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.questions import MIXED, SILENT, SOUND, A, B, ask, ask_in_words, clip

from avemo_harness import media
from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Request
from avemo_harness.errors import GenerationError, ModelError
from avemo_harness.models.inputs import ClipDecoder

if TYPE_CHECKING:
    from avemo_harness.models.hf_inputs import InputBuilder, Inputs


def builder_of(processor: Any, fps: float = 2.0, system: str = "") -> InputBuilder:
    from avemo_harness.models.hf_inputs import InputBuilder

    return InputBuilder(processor, "tiny", ClipDecoder(fps), system)


@pytest.fixture(scope="session")
def qwen3(_quiet: None) -> InputBuilder:
    from support.tiny_qwen3_omni import build_processor

    return builder_of(build_processor())


@pytest.fixture(scope="session")
def gemma4(_quiet: None) -> InputBuilder:
    from support.tiny_gemma4 import build_processor

    return builder_of(build_processor())


@pytest.fixture(scope="session", params=["qwen3", "gemma4"])
def builder(request: pytest.FixtureRequest) -> InputBuilder:
    found: InputBuilder = request.getfixturevalue(request.param)
    return found


def read(builder: InputBuilder, request: Request) -> str:
    """The prompt, each run of media tokens as one."""
    ids = builder.inputs(request.messages).tensors["input_ids"][0]
    return re.sub(r"(<\|(?:video|audio|video_pad|audio_pad)\|>)\1*", r"\1", builder.processor.tokenizer.decode(ids))


def test_sound_lies_among_the_frames_where_the_model_takes_it_so(qwen3: InputBuilder) -> None:
    second = "<|video_pad|><|audio_pad|>"
    assert read(qwen3, ask(A, "I see.", SOUND)) == (
        f"<|im_start|>user\n<|vision_start|><|audio_start|>{2 * second}<|audio_end|><|vision_end|><|im_end|>\n"
        "<|im_start|>assistant\nI see.<|im_end|>\n"
        "<|im_start|>user\n<|audio_start|><|audio_pad|><|audio_end|>Which emotion does the speaker express?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_one_video_without_sound_keeps_all_sound_apart(qwen3: InputBuilder) -> None:
    # The published positions are wrong where some videos have sound among their frames and some have none.
    inputs = qwen3.inputs(MIXED.messages)
    assert inputs.streams == (True, True)
    assert not inputs.interleaved
    apart = "<|vision_start|><|video_pad|><|vision_end|><|audio_start|><|audio_pad|><|audio_end|>"
    assert read(qwen3, MIXED).startswith(f"<|im_start|>user\n{apart}<|im_end|>")
    assert inputs.layout != qwen3.inputs(ask(A).messages).layout


def test_frames_and_sound_follow_each_other_with_their_times(gemma4: InputBuilder) -> None:
    # Without frame times the published processor takes any video for one of 24 frames a second.
    frames = " ".join(f"00:0{second} <|image><|video|><image|>" for second in (0, 0, 1, 1, 2, 2))
    assert read(gemma4, ask(clip(3.0, 3), "I see.", SOUND)) == (
        f"<bos><|turn>user\n{frames}<|audio><|audio|><audio|><turn|>\n<|turn>model\nI see.<turn|>\n"
        "<|turn>user\n<|audio><|audio|><audio|>Which emotion does the speaker express?<turn|>\n<|turn>model\n"
    )


@pytest.mark.parametrize("fps", [1.0, 2.0, 4.0])
def test_the_step_between_frames_is_told(fps: float, qwen3: InputBuilder) -> None:
    # Untold, the published processor counts one frame a second.
    inputs = builder_of(qwen3.processor, fps).inputs(ask(A, "x", B).messages)
    assert inputs.tensors["video_second_per_grid"].tolist() == [2 / fps, 2 / fps]


@pytest.mark.parametrize("fps", [1.0, 4.0])
def test_frames_are_taken_at_the_rate_given(fps: float, gemma4: InputBuilder) -> None:
    inputs = builder_of(gemma4.processor, fps).inputs(ask(A).messages)
    assert inputs.tensors["num_frames_per_video"].tolist() == [2 * fps]


@pytest.mark.parametrize(
    ("family", "special"),
    [
        *(("qwen3", special) for special in ("<|video_pad|>", "<|audio_pad|>", "<|im_end|>")),
        *(("gemma4", special) for special in ("<|video|>", "<|audio|>", "<turn|>")),
    ],
)
def test_words_of_a_release_cannot_name_media_or_close_a_turn(
    family: str, special: str, request: pytest.FixtureRequest
) -> None:
    builder: InputBuilder = request.getfixturevalue(family)
    token = builder.processor.tokenizer.convert_tokens_to_ids(special)
    plain, spoilt = rows(builder, ask(A), ask(A, question=f"Which {special} emotion?"))
    assert plain.tensors["input_ids"].eq(token).sum() == spoilt.tensors["input_ids"].eq(token).sum() > 0


def test_the_system_message_comes_first(builder: InputBuilder) -> None:
    told = read(builder_of(builder.processor, system="You are kind."), ask_in_words("How are you?"))
    assert re.match(r"(<bos>)?<\|(im_start\||turn)>system\nYou are kind\.<", told)


def test_the_turn_end_is_that_of_the_template(builder: InputBuilder) -> None:
    end = builder.turn_end()
    assert end is not None
    assert builder.processor.tokenizer.decode([end]) in ("<|im_end|>", "<turn|>")


def test_sound_that_the_processor_would_cut_is_an_error(gemma4: InputBuilder, qwen3: InputBuilder) -> None:
    long = Clip.from_bytes(media.encode_sound(np.zeros(31 * 16_000, np.float32)), "long.m4a")
    with pytest.raises(GenerationError, match=r"long\.m4a: its sound is longer than the 30 s that the model hears"):
        gemma4.inputs(ask(long).messages)
    assert qwen3.inputs(ask(long).messages).length > 31 * 12


def rows(builder: InputBuilder, *requests: Request) -> list[Inputs]:
    return [builder.inputs(request.messages) for request in requests]


def test_rows_are_padded_on_the_left_whatever_the_tokenizer_says(builder: InputBuilder) -> None:
    from avemo_harness.models.hf_inputs import collated

    short, long = rows(builder, ask(A), ask(A, "I see.", B))
    batch = collated([short, long], pad=7)
    gap = long.length - short.length
    assert batch["input_ids"].shape == (2, long.length)
    assert batch["input_ids"][0, :gap].eq(7).all()
    assert batch["input_ids"][0, gap:].equal(short.tensors["input_ids"][0])
    assert batch["attention_mask"].sum(dim=1).tolist() == [short.length, long.length]
    assert batch["input_features"].shape[0] == 3
    for name in ("pixel_values_videos", "video_grid_thw", "num_frames_per_video"):
        if name in batch:
            assert len(batch[name]) == len(short.tensors[name]) + len(long.tensors[name])


def test_sound_is_padded_where_its_mask_says_so(builder: InputBuilder) -> None:
    from avemo_harness.models.hf_inputs import SOUND_INPUTS, collated

    short, long = rows(builder, ask(clip(0.7, 8)), ask(B))
    batch = collated([short, long], pad=0)
    mask = next(batch[name] for name in SOUND_INPUTS[1:] if name in batch)
    own = next(short.tensors[name] for name in SOUND_INPUTS[1:] if name in short.tensors)
    assert mask[0].sum() == own.sum() < mask[1].sum()
    assert not mask[0, own.shape[1] :].any()


def test_a_begun_answer_is_text(builder: InputBuilder) -> None:
    plain = builder.inputs(ask(SILENT).messages)
    begun = plain.followed_by([5, 6])
    assert begun.length == plain.length + 2
    assert begun.tensors["input_ids"][0, -2:].tolist() == [5, 6]
    assert begun.tensors["attention_mask"].all()
    assert begun.layout == plain.layout


@pytest.mark.parametrize("part", ["video_processor", "feature_extractor"])
@pytest.mark.usefixtures("_quiet")
def test_a_processor_that_does_not_see_or_hear_is_refused(part: str) -> None:
    from support.tiny_qwen3_omni import build_processor

    processor = build_processor()
    setattr(processor, part, None)
    with pytest.raises(ModelError, match=r"takes no (video|sound); hf-omni is for models of transformers that see and"):
        builder_of(processor)


@pytest.mark.usefixtures("_quiet")
def test_another_sampling_rate_is_refused() -> None:
    from support.tiny_qwen3_omni import build_processor

    processor = build_processor()
    processor.feature_extractor.sampling_rate = 48_000
    with pytest.raises(ModelError, match="wants sound at 48000 Hz"):
        builder_of(processor)
