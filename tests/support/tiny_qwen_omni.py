"""A tiny Qwen2.5-Omni checkpoint with random weights, through the real classes: thinker, talker, vocoder, processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.tiny_tokenizer import build_tokenizer

SPECIALS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>", "<|vision_bos|>"),
    *("<|vision_eos|>", "<|IMAGE|>", "<|VIDEO|>", "<tts_pad>", "<tts_text_bos>", "<tts_text_eos>"),
)
TEMPLATE = """\
{%- set media = {'image': '<|vision_bos|><|IMAGE|><|vision_eos|>', 'audio': '<|audio_bos|><|AUDIO|><|audio_eos|>',
                 'video': '<|vision_bos|><|VIDEO|><|vision_eos|>'} -%}
{%- if messages[0].role != 'system' -%}{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{%- endif -%}
{%- for message in messages -%}
{{ '<|im_start|>' + message.role + '\n' }}
{%- for part in message.content -%}{{ part.text if part.type == 'text' else media[part.type] }}{%- endfor -%}
{{ '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"""

WIDTH, TALKER_WIDTH, CODES = 64, 32, 64
MELS = 16
ENDING, LOUDNESS = 1.6, 3e6
PIXELS = {"shortest_edge": 4 * 28 * 28, "longest_edge": 16 * 28 * 28}


def build(folder: Path) -> Path:
    """Write the checkpoint: float32, seeded, about two megabytes."""
    import torch
    from transformers import GenerationConfig, Qwen2_5OmniConfig, Qwen2_5OmniForConditionalGeneration

    processor = build_processor()
    ids = {token: processor.tokenizer.convert_tokens_to_ids(token) for token in (*SPECIALS, "user")}
    torch.manual_seed(0)
    model = Qwen2_5OmniForConditionalGeneration(Qwen2_5OmniConfig(**_config(ids, len(processor.tokenizer)))).eval()
    with torch.no_grad():
        # Random weights hardly ever end; so some answers are short, some long, some empty.
        model.thinker.lm_head.weight[ids["<|im_end|>"]] *= ENDING
        model.talker.codec_head.weight[CODES - 2] *= ENDING
        # And hardly make a sound.
        model.token2wav.code2wav_bigvgan_model.conv_post.weight *= LOUDNESS
    model.generation_config = GenerationConfig(pad_token_id=ids["<|endoftext|>"], eos_token_id=ids["<|im_end|>"])
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    speakers = {
        name: {"bos_token": ids["<tts_text_bos>"], "cond": torch.randn(1, 24), "ref_mel": torch.randn(1, 40, 80)}
        for name in ("Chelsie", "Ethan")
    }
    torch.save(speakers, folder / "spk_dict.pt")
    return folder


def answer_with_labels(folder: Path) -> Path:
    """Change a checkpoint that `build` wrote so that every answer is ``happy`` or ``angry``, by what is asked.

    The embedding of the line break, at which prompts end, has an axis of its own, and so have those of the labels:
    after the first axis only labels are likely, a random direction decides between them, and after the second one
    only the end is.
    """
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    line, happy, angry, end = tokenizer.convert_tokens_to_ids(["\u010a", "happy", "angry", "<|im_end|>"])
    weights = load_file(folder / "model.safetensors")
    embeddings, head = weights["thinker.model.embed_tokens.weight"], weights["thinker.lm_head.weight"]
    direction = torch.randn(WIDTH, generator=torch.Generator().manual_seed(0))
    direction[:2] = 0.0
    embeddings[[line, happy, angry]] = 0.0
    embeddings[line, 0] = embeddings[happy, 1] = embeddings[angry, 1] = 100.0
    head.zero_()
    head[[happy, angry], 0] = head[end, 1] = 10.0
    head[happy] += direction
    head[angry] -= direction
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def full_size(folder: Path) -> Any:
    """The 7B architecture with random weights in bfloat16, on the GPU where there is one; good for measuring speed.

    Args:
        folder: where its processor and config are written.
    """
    import torch
    from transformers import Qwen2_5OmniConfig, Qwen2_5OmniForConditionalGeneration

    processor = build_processor(mels=128)
    processor.save_pretrained(folder)
    ids = {token: processor.tokenizer.convert_tokens_to_ids(token) for token in (*SPECIALS, "user")}
    config = Qwen2_5OmniConfig(
        thinker_config={
            **_media_tokens(ids),
            "user_token_id": ids["user"],
            "vision_config": {"hidden_size": 1280},
            "text_config": {"intermediate_size": 18944, "rope_parameters": _rope([16, 24, 24])},
        },
        talker_config={
            **_media_tokens(ids),
            "hidden_size": 896,
            "embedding_size": 3584,
            "intermediate_size": 18944,
            "num_hidden_layers": 24,
            "num_attention_heads": 12,
            "num_key_value_heads": 4,
            "head_dim": 128,
            "rope_parameters": _rope([16, 24, 24]),
            "tts_text_start_token_id": ids["<tts_text_bos>"],
            "tts_text_end_token_id": ids["<tts_text_eos>"],
            "tts_text_pad_token_id": ids["<tts_pad>"],
        },
        # Random weights may speak any code of the talker, control codes included.
        token2wav_config={"dit_config": {"num_embeds": 8448}},
        dtype="bfloat16",
    )
    config.save_pretrained(folder)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = Qwen2_5OmniForConditionalGeneration._from_config(config, dtype=torch.bfloat16)
        dit = config.token2wav_config.dit_config
        voice = {"cond": torch.randn(1, dit.enc_emb_dim), "ref_mel": torch.randn(1, 200, dit.mel_dim)}
    torch.save({"Chelsie": {"bos_token": ids["<tts_text_bos>"], **voice}}, folder / "spk_dict.pt")
    # As a checkpoint that is loaded has it: voices at hand, and a vocoder in float32.
    model.load_speakers(folder / "spk_dict.pt")
    model.token2wav.float()
    return model.eval().requires_grad_(False)


def build_processor(mels: int = MELS) -> Any:
    """The real processor with a tiny tokenizer and small frames."""
    from transformers import (
        Qwen2_5OmniProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
        WhisperFeatureExtractor,
    )

    return Qwen2_5OmniProcessor(
        image_processor=Qwen2VLImageProcessor(size=PIXELS),
        video_processor=Qwen2VLVideoProcessor(size=PIXELS, cap_pixels_per_frame=False),
        feature_extractor=WhisperFeatureExtractor(
            feature_size=mels, sampling_rate=16000, hop_length=160, chunk_length=300, return_attention_mask=True
        ),
        tokenizer=build_tokenizer(
            SPECIALS,
            eos_token="<|im_end|>",
            pad_token="<|endoftext|>",
            extra_special_tokens={
                **{f"{kind}_token": f"<|{kind.upper()}|>" for kind in ("image", "audio", "video")},
                **{f"{name}_token": f"<|{name}|>" for name in ("vision_bos", "vision_eos", "audio_bos", "audio_eos")},
            },
        ),
        chat_template=TEMPLATE,
    )


def _media_tokens(ids: dict[str, int]) -> dict[str, int]:
    return {
        **{f"{kind}_token_index": ids[f"<|{kind.upper()}|>"] for kind in ("audio", "image", "video")},
        "audio_start_token_id": ids["<|audio_bos|>"],
        "audio_end_token_id": ids["<|audio_eos|>"],
        "vision_start_token_id": ids["<|vision_bos|>"],
        "vision_end_token_id": ids["<|vision_eos|>"],
        "position_id_per_seconds": 25,
        "seconds_per_chunk": 2,
    }


def _config(ids: dict[str, int], vocabulary: int) -> dict[str, Any]:
    media = _media_tokens(ids)
    ends = {"pad_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"]}
    thinker = {
        "text_config": {
            "vocab_size": vocabulary,
            "hidden_size": WIDTH,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 32768,
            "rope_parameters": _rope([2, 3, 3]),
            "tie_word_embeddings": False,
            "initializer_range": 0.5,
            **ends,
        },
        "vision_config": {
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 112,
            "out_hidden_size": WIDTH,
            "fullatt_block_indexes": [1],
        },
        "audio_config": {
            "num_mel_bins": MELS,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 48,
            "d_model": 32,
            "max_source_positions": 1500,
            "n_window": 100,
            "output_dim": WIDTH,
        },
        "user_token_id": ids["user"],
        **ends,
        **media,
    }
    talker = {
        "vocab_size": CODES,
        "tts_text_start_token_id": ids["<tts_text_bos>"],
        "tts_text_end_token_id": ids["<tts_text_eos>"],
        "tts_text_pad_token_id": ids["<tts_pad>"],
        "tts_codec_pad_token_id": CODES - 4,
        "tts_codec_start_token_id": CODES - 3,
        "tts_codec_end_token_id": CODES - 2,
        "tts_codec_mask_token_id": CODES - 1,
        "embedding_size": WIDTH,
        "hidden_size": TALKER_WIDTH,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "rope_parameters": _rope([2, 3, 3]),
        "pad_token_id": CODES - 4,
        "initializer_range": 0.3,
        **media,
    }
    vocoder = {
        "dit_config": {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "head_dim": 16,
            "ff_mult": 2,
            "emb_dim": 16,
            "block_size": 24,
            "look_ahead_layers": [1],
            "look_backward_layers": [0],
            # Random weights may speak any code, control codes included.
            "num_embeds": CODES + 1,
            "mel_dim": 80,
            "enc_emb_dim": 24,
            "enc_dim": 16,
            "enc_channels": [16, 16, 16, 16, 48],
            "enc_attention_channels": 8,
            "enc_res2net_scale": 2,
            "enc_se_channels": 8,
        },
        "bigvgan_config": {"mel_dim": 80, "upsample_initial_channel": 64},
    }
    return {
        "thinker_config": thinker,
        "talker_config": talker,
        "token2wav_config": vocoder,
        "enable_audio_output": True,
    }


def _rope(sections: list[int]) -> dict[str, Any]:
    """Rotary settings; the three sections add up to half the width of a head."""
    return {"rope_type": "default", "rope_theta": 1e6, "mrope_section": sections}
