"""A tiny Gemma 4 checkpoint with random weights, through the real classes: it sees, hears and writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.tiny_tokenizer import build_tokenizer

SPECIALS = (
    *("<pad>", "<eos>", "<bos>", "<|turn>", "<turn|>", "<|image>", "<|image|>", "<image|>"),
    *("<|audio>", "<|audio|>", "<audio|>", "<|video|>"),
)
TEMPLATE = """\
{{- bos_token -}}
{%- for message in messages -%}
{{ '<|turn>' + ('model' if message.role == 'assistant' else message.role) + '\n' }}
{%- for part in message.content -%}
{{ part.text if part.type == 'text' else '<|' + part.type + '|>' }}
{%- endfor -%}
{{ '<turn|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|turn>model\n' }}{%- endif -%}"""

WIDTH, MELS, PATCH, POOLED = 64, 16, 4, 3
LAYERS = ("sliding_attention", "full_attention") * 2
SPREAD = 0.5
"""Of the random weights; wide enough for what is seen and heard to matter."""
ENDING = 2.1


def build(folder: Path, **text: Any) -> Path:
    """Write the checkpoint: float32, seeded, about two megabytes.

    Args:
        text: settings of the language model that differ.
    """
    import torch
    from transformers import Gemma4Config, Gemma4ForConditionalGeneration, GenerationConfig

    processor = build_processor()
    ids = {token: processor.tokenizer.convert_tokens_to_ids(token) for token in SPECIALS}
    torch.manual_seed(0)
    config = Gemma4Config(**_config(ids, len(processor.tokenizer), text))
    model = Gemma4ForConditionalGeneration(config).eval()
    with torch.no_grad():
        # Random weights hardly ever end; so some answers are short, some long, some empty.
        model.lm_head.weight[ids["<turn|>"]] *= ENDING
    # What a published checkpoint may hold, and what must not decide anything.
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=0.7, top_k=20, repetition_penalty=1.3, eos_token_id=[ids["<eos>"], ids["<turn|>"]]
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def build_processor() -> Any:
    """The real processor with a tiny tokenizer and small patches; it pads on the right and begins every text itself."""
    from tokenizers.processors import TemplateProcessing
    from transformers import (
        Gemma4AudioFeatureExtractor,
        Gemma4ImageProcessor,
        Gemma4Processor,
        Gemma4VideoProcessor,
    )

    tokenizer = build_tokenizer(
        SPECIALS,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        extra_special_tokens={
            "boi_token": "<|image>",
            "image_token": "<|image|>",
            "eoi_token": "<image|>",
            "boa_token": "<|audio>",
            "audio_token": "<|audio|>",
            "eoa_token": "<audio|>",
        },
    )
    tokenizer.padding_side = "right"
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", tokenizer.bos_token_id)]
    )
    frames = {"patch_size": PATCH, "pooling_kernel_size": POOLED, "max_soft_tokens": 70}
    return Gemma4Processor(
        feature_extractor=Gemma4AudioFeatureExtractor(feature_size=MELS),
        image_processor=Gemma4ImageProcessor(**frames),
        video_processor=Gemma4VideoProcessor(**frames),
        tokenizer=tokenizer,
        chat_template=TEMPLATE,
    )


def _config(ids: dict[str, int], vocabulary: int, text: dict[str, Any]) -> dict[str, Any]:
    return {
        "text_config": {
            "vocab_size": vocabulary,
            "vocab_size_per_layer_input": vocabulary,
            "hidden_size": WIDTH,
            "hidden_size_per_layer_input": 8,
            "intermediate_size": 96,
            "num_hidden_layers": len(LAYERS),
            "num_kv_shared_layers": 2,
            "layer_types": list(LAYERS),
            "sliding_window": 64,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "global_head_dim": 32,
            "final_logit_softcapping": 30.0,
            "initializer_range": SPREAD,
            "tie_word_embeddings": False,
            "pad_token_id": ids["<pad>"],
            "bos_token_id": ids["<bos>"],
            "eos_token_id": ids["<eos>"],
            **text,
        },
        "vision_config": {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "patch_size": PATCH,
            "pooling_kernel_size": POOLED,
            "position_embedding_size": 128,
            "initializer_range": SPREAD,
        },
        "audio_config": {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            # The encoder takes the first of them for the number of mel bins.
            "subsampling_conv_channels": [MELS, 4],
            "output_proj_dims": WIDTH,
            "initializer_range": SPREAD,
        },
        **{f"{name}_token_id": ids[token] for name, token in _MEDIA.items()},
        "eoa_token_index": ids["<audio|>"],
        "initializer_range": SPREAD,
        "tie_word_embeddings": False,
    }


_MEDIA = {
    "boi": "<|image>",
    "image": "<|image|>",
    "eoi": "<image|>",
    "boa": "<|audio>",
    "audio": "<|audio|>",
    "video": "<|video|>",
}
