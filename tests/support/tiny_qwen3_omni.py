"""A tiny Qwen3-Omni checkpoint with random weights, through the real classes: thinker, talker, vocoder, processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.tiny_tokenizer import build_tokenizer

SPECIALS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|audio_start|>", "<|audio_end|>", "<|audio_pad|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>", "<tts_pad>", "<tts_bos>", "<tts_eos>"),
)
TEMPLATE = """\
{%- set media = {'image': '<|vision_start|><|image_pad|><|vision_end|>',
                 'audio': '<|audio_start|><|audio_pad|><|audio_end|>',
                 'video': '<|vision_start|><|video_pad|><|vision_end|>'} -%}
{%- for message in messages -%}
{{ '<|im_start|>' + message.role + '\n' }}
{%- for part in message.content -%}{{ part.text if part.type == 'text' else media[part.type] }}{%- endfor -%}
{{ '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"""

WIDTH, TALKER_WIDTH, GROUPS, CODES = 64, 32, 4, 32
CONTROL_CODES = 1024
"""The published code keeps the talker from as many codes at the end of its vocabulary."""
MELS = 16
SPREAD = 0.5
"""Of the random weights; wide enough for what is seen and heard to matter."""
ENDING, SPEECH_ENDING, DISTINCTION, LOUDNESS = 1.9, 1.9, 8.0, 1e7


def build(folder: Path) -> Path:
    """Write the checkpoint: float32, seeded, about three megabytes."""
    import torch
    from transformers import GenerationConfig, Qwen3OmniMoeConfig, Qwen3OmniMoeForConditionalGeneration

    processor = build_processor()
    ids = {token: processor.tokenizer.convert_tokens_to_ids(token) for token in (*SPECIALS, "user", "assistant")}
    torch.manual_seed(0)
    config = Qwen3OmniMoeConfig(**_config(ids, len(processor.tokenizer)))
    model = Qwen3OmniMoeForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, weights in model.talker.named_parameters():
            # The library leaves them as the memory was.
            if ".experts." in name:
                weights.normal_(std=SPREAD)
        # Random weights hardly ever end; so some answers are short, some long, some empty.
        model.thinker.lm_head.weight[ids["<|im_end|>"]] *= ENDING
        model.talker.codec_head.weight[CODES + CONTROL_CODES - 1] *= SPEECH_ENDING
        # And voices hardly differ, or make a sound.
        model.talker.model.codec_embedding.weight[CODES + 5 : CODES + 7] *= DISTINCTION
        model.code2wav.decoder[-1].conv.weight *= LOUDNESS
    # What a published checkpoint may hold, and what must not decide anything.
    model.generation_config = GenerationConfig(do_sample=True, temperature=0.7, top_k=20, repetition_penalty=1.3)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def build_processor() -> Any:
    """The real processor with a tiny tokenizer. Frames are scaled to its class's sizes, whatever a checkpoint says."""
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
        Qwen3OmniMoeProcessor,
        WhisperFeatureExtractor,
    )

    frames = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2}
    return Qwen3OmniMoeProcessor(
        image_processor=Qwen2VLImageProcessor(**frames),
        video_processor=Qwen2VLVideoProcessor(**frames, cap_pixels_per_frame=False),
        feature_extractor=WhisperFeatureExtractor(
            feature_size=MELS, sampling_rate=16000, hop_length=160, chunk_length=300, return_attention_mask=True
        ),
        tokenizer=build_tokenizer(
            SPECIALS,
            eos_token="<|im_end|>",
            pad_token="<|endoftext|>",
            extra_special_tokens={
                **{f"{kind}_token": f"<|{kind}_pad|>" for kind in ("image", "audio", "video")},
                "vision_bos_token": "<|vision_start|>",
                "vision_eos_token": "<|vision_end|>",
                "audio_bos_token": "<|audio_start|>",
                "audio_eos_token": "<|audio_end|>",
            },
        ),
        chat_template=TEMPLATE,
    )


def _config(ids: dict[str, int], vocabulary: int) -> dict[str, Any]:
    media = {
        **{f"{kind}_token_id": ids[f"<|{kind}_pad|>"] for kind in ("audio", "image", "video")},
        "audio_start_token_id": ids["<|audio_start|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "position_id_per_seconds": 13,
    }
    thinker = {
        "text_config": {
            **_decoder(WIDTH, layers=2),
            "vocab_size": vocabulary,
            "initializer_range": SPREAD,
            "norm_topk_prob": True,
        },
        "vision_config": {
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "patch_size": 16,
            "out_hidden_size": WIDTH,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
            "initializer_range": SPREAD / 4,
        },
        "audio_config": {
            "num_mel_bins": MELS,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 48,
            "d_model": 32,
            "output_dim": WIDTH,
            "downsample_hidden_size": 8,
            "initializer_range": SPREAD / 2,
        },
        "user_token_id": ids["user"],
        **media,
    }
    first_control = CODES
    talker = {
        "text_config": {
            **_decoder(TALKER_WIDTH, layers=2),
            "vocab_size": CODES + CONTROL_CODES,
            "initializer_range": SPREAD,
            "shared_expert_intermediate_size": 32,
        },
        "code_predictor_config": {
            **_decoder(TALKER_WIDTH, layers=1),
            "vocab_size": CODES,
            "num_code_groups": GROUPS,
            "initializer_range": SPREAD,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
        },
        "num_code_groups": GROUPS,
        "thinker_hidden_size": WIDTH,
        "accept_hidden_layer": 1,
        "codec_eos_token_id": CODES + CONTROL_CODES - 1,
        "codec_nothink_id": first_control,
        "codec_think_bos_id": first_control + 1,
        "codec_think_eos_id": first_control + 2,
        "codec_pad_id": first_control + 3,
        "codec_bos_id": first_control + 4,
        "speaker_id": {"ethan": first_control + 5, "chelsie": first_control + 6},
        "spatial_merge_size": 2,
        "initializer_range": SPREAD / 2,
        **media,
    }
    vocoder = {
        "codebook_size": CODES,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "num_hidden_layers": 1,
        "num_quantizers": GROUPS,
        "decoder_dim": 32,
    }
    return {
        "thinker_config": thinker,
        "talker_config": talker,
        "code2wav_config": vocoder,
        "im_start_token_id": ids["<|im_start|>"],
        "im_end_token_id": ids["<|im_end|>"],
        **{f"tts_{name}_token_id": ids[f"<tts_{name}>"] for name in ("pad", "bos", "eos")},
        "user_token_id": ids["user"],
        "assistant_token_id": ids["assistant"],
    }


def _decoder(width: int, layers: int) -> dict[str, Any]:
    """A language model of few layers and four experts."""
    return {
        "hidden_size": width,
        "intermediate_size": 96,
        "moe_intermediate_size": 32,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 32768,
        # The three sections add up to half the width of a head.
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e6,
            "mrope_section": [2, 3, 3],
            "mrope_interleaved": True,
        },
    }
