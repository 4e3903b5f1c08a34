"""The code of a tiny checkpoint with the interfaces of Baichuan-Omni-1.5, copied into it and run by transformers 4.45.

It has the parts that the published code has, under their names, and its habits that matter: it needs packages that only
machines with CUDA tools can install, frames of a video are left beside it and taken again, what cannot be read is
printed and then an assertion, a cache is a tuple, positions count from one, and there is no speech in a place for media
without codes.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import deepspeed
import numpy as np
import soundfile
import torch
from flash_attn import flash_attn_varlen_func
from PIL import Image
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_attn_mask_utils import _prepare_4d_causal_attention_mask
from transformers.modeling_outputs import ModelOutput

MELS = 8


class OmniConfig(PretrainedConfig):
    model_type = "omni"

    def __init__(self, audio_config=None, video_config=None, **how):
        super().__init__(**how)
        if audio_config is not None:
            self.audio_config = PretrainedConfig(**audio_config)
            self.audio_config.vq_config = PretrainedConfig(**audio_config["vq_config"])
            self.video_config = PretrainedConfig(**video_config)


@dataclass
class Output(ModelOutput):
    logits: Any = None
    past_key_values: Any = None
    audios_emb_for_infer: Any = None


class OmniMMProcessor:
    def __init__(self, tokenizer, config, training, relative_path=None):
        self.tokenizer, self.config, self.training, self.relative_path = tokenizer, config, training, relative_path

    def __call__(self, prompts):
        rows = [self._row(prompt) for prompt in prompts]
        assert all(row is not None for row in rows)
        self.tokenizer.padding_side = "left"
        padded = self.tokenizer.pad({"input_ids": [row["ids"] for row in rows]}, return_tensors="pt")
        mels = [mel for row in rows for mel in row["mels"]]
        frames = [frame for row in rows for frame in row["frames"]]
        longest = max((mel.shape[1] for mel in mels), default=0)
        return SimpleNamespace(
            input_ids=padded["input_ids"],
            attention_mask=padded["attention_mask"],
            audios=torch.stack([nn.functional.pad(mel, (0, longest - mel.shape[1])) for mel in mels]) if mels else None,
            encoder_length=torch.tensor([self._lengths(mel)[0] for mel in mels]) if mels else None,
            bridge_length=torch.tensor([self._lengths(mel)[1] for mel in mels]) if mels else None,
            videos=[frame[0] for frame in frames] or None,
            videos_patch_nums=torch.tensor([math.prod(frame[1]) // 4 for frame in frames]) if frames else None,
            videos_grid=[frame[1] for frame in frames] or None,
        )

    def _row(self, prompt):
        audio, video = self.config.audio_config, self.config.video_config
        row: dict[str, list[Any]] = {"ids": [], "mels": [], "frames": []}
        tags = r"(<audio_start_baichuan>.*?<audio_end_baichuan>|<video_start_baichuan>.*?<video_end_baichuan>)"
        for part in re.split(tags, prompt):
            media = re.sub(r"<(audio|video)_(start|end)_baichuan>", "", part)
            try:
                if part.startswith("<audio_start"):
                    mel = self._mel(json.loads(media)["path"])
                    row["mels"].append(mel)
                    inner = [audio.audio_pad_token_id] * self._lengths(mel)[1]
                    row["ids"] += [audio.audio_start_token_id, *inner, audio.audio_end_token_id]
                elif part.startswith("<video_start"):
                    frames = self._frames(json.loads(media)["local"])
                    row["frames"] += frames
                    row["ids"].append(video.video_start_token_id)
                    for _, grid in frames:
                        places = [video.video_place_token_id] * (math.prod(grid) // 4)
                        row["ids"] += [video.image_start_token_id, *places, video.image_end_token_id]
                    row["ids"].append(video.video_end_token_id)
                else:
                    row["ids"] += self.tokenizer.encode(part, add_special_tokens=False)
            except Exception as error:
                print(f"**** get media error: {error} *****")
                return None
        return row

    def _mel(self, path):
        sound, rate = soundfile.read(path, dtype="float32")
        assert rate == self.config.audio_config.sampling_rate
        hop = self.config.audio_config.hop_length
        frames = np.pad(sound, (0, hop - len(sound) % hop)).reshape(-1, hop)
        angles = np.outer(np.arange(hop), np.arange(1, MELS + 1)) * math.pi / hop
        return torch.tensor(frames @ np.cos(angles) / 4, dtype=torch.float32).T

    def _lengths(self, mel):
        states = (mel.shape[1] - 1) // 2 + 1
        return states, states // self.config.audio_config.avg_pooler

    def _frames(self, path):
        folder = Path(path[: path.rfind(".")] + "_frames")
        if not folder.exists():
            folder.mkdir()
            with av.open(path) as container:
                images = [frame.to_image() for frame in container.decode(video=0)]
                rate = round(float(container.streams.video[0].average_rate))
            for second, image in enumerate(images[::rate]):
                image.save(folder / f"{second}.jpg")
        files = sorted(folder.iterdir(), key=lambda file: int(file.stem))
        kept = np.linspace(0, len(files) - 1, min(len(files), self.config.video_config.max_frame_num), dtype=int)
        return [self._patches(Image.open(files[number])) for number in kept]

    def _patches(self, image):
        scale = min(1.0, math.sqrt(self.config.video_config.max_pixels / (image.width * image.height)))
        width, height = (max(1, int(side * scale / 28)) for side in image.size)
        pixels = torch.tensor(np.asarray(image.resize((width * 28, height * 28)), dtype=np.float32) / 127.5 - 1)
        pooled = pixels.reshape(height * 2, 14, width * 2, 14, 3).mean(dim=(1, 3))
        merged = pooled.reshape(height, 2, width, 2, 3).permute(0, 2, 1, 3, 4).reshape(-1, 3)
        return merged, (1, height * 2, width * 2)


class Layer(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.heads, self.norm = heads, nn.LayerNorm(size)
        self.pack, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.mlp = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, 2 * size), nn.GELU(), nn.Linear(2 * size, size))

    def forward(self, states, mask, past):
        rows, length, size = states.shape
        packed = self.pack(self.norm(states)).reshape(rows, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = packed
        if past is not None:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        seen = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        states = states + self.out(seen.transpose(1, 2).reshape(rows, length, size))
        return states + self.mlp(states), (key, value)


class OmniModel(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config, size = config, config.hidden_size
        self.embed_tokens = nn.Embedding(config.vocab_size, size)
        self.positions = nn.Embedding(config.max_position_embeddings + 600, size)
        self.layers = nn.ModuleList([Layer(size, 4) for _ in range(2)])
        self.norm = nn.LayerNorm(size)
        self.visual_model = nn.Linear(12, size)
        sizes = config.audio_config.vq_config.codebook_sizes
        self.audio_embed_layers = nn.ModuleList([nn.Embedding(count + 1, size) for count in sizes])

    def fill(self, ids, embedded, token, media):
        places = ids == token
        assert int(places.sum()) == (0 if media is None else len(media))
        if media is not None:
            embedded = embedded.masked_scatter(places[:, :, None], media.to(embedded.dtype))
        return embedded


class OmniAudioHead(nn.Module):
    def __init__(self, config):
        super().__init__()
        sizes = config.audio_config.vq_config.codebook_sizes
        self.heads = nn.ModuleList([nn.Linear(config.hidden_size, count + 1) for count in sizes])

    def forward(self, states, audios_tokens, embed_layers):
        scores = []
        for book, head in enumerate(self.heads):
            scores.append(head(torch.tanh(states)))
            states = states + embed_layers[book](audios_tokens[..., book])
        return scores


class OmniAudioTokenizer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.sizes = config.audio_config.vq_config.codebook_sizes
        self.pool = 2 * config.audio_config.avg_pooler
        self.encoder = nn.ModuleList([nn.Linear(MELS, count) for count in self.sizes])
        self.decoder = nn.ModuleList([nn.Embedding(count, 80) for count in self.sizes])

    def forward(self, audios, encoder_length, bridge_length):
        sounds = zip(audios.to(self.encoder[0].weight.dtype), bridge_length.tolist(), strict=True)
        # The last token may be of fewer frames than the others.
        padded = [(nn.functional.pad(mel, (0, self.pool))[:, : n * self.pool], n) for mel, n in sounds]
        pooled = [mel.reshape(MELS, n, self.pool).mean(dim=2).T for mel, n in padded]
        states = torch.cat(pooled)[:, None]
        edges = nn.functional.pad(bridge_length.cumsum(0), (1, 0)).int()
        longest = int(bridge_length.max())
        states = states + flash_attn_varlen_func(states, states, states, edges, edges, longest, longest)
        return torch.stack([book(states[:, 0]).argmax(dim=1) for book in self.encoder], dim=1)

    def decode(self, codes, bridge_length):
        assert len(codes) == int(bridge_length.sum())
        mel = sum(book(codes[:, i]) for i, book in enumerate(self.decoder)).repeat_interleave(4, dim=0)[None]
        noisy = torch.tanh(mel) + 0.01 * torch.randn_like(mel)
        return SimpleNamespace(flow_matching_mel=noisy, flow_matching_mel_lengths=bridge_length * 4)


class OmniForCausalLM(PreTrainedModel):
    config_class = OmniConfig

    def __init__(self, config):
        super().__init__(config)
        self.model = OmniModel(config)
        self.audio_tokenizer = OmniAudioTokenizer(config)
        self.audio_head = OmniAudioHead(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        deepspeed.zero.register_external_parameter(self, self.lm_head.weight)

    def bind_processor(self, tokenizer, **how):
        self.processor = OmniMMProcessor(tokenizer=tokenizer, config=self.config, **how)
        return self.processor

    def get_input_embeddings(self):
        return self.model.embed_tokens

    def get_output_embeddings(self):
        return self.lm_head

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        position_ids=None,
        past_key_values=None,
        audios=None,
        audios_tokens=None,
        encoder_length=None,
        bridge_length=None,
        videos=None,
        videos_patch_nums=None,
        videos_grid=None,
        use_cache=None,
        return_dict=None,
        **unused,
    ):
        model, config = self.model, self.config
        if audios_tokens is None and audios is not None:
            audios_tokens = self.audio_tokenizer(audios, encoder_length, bridge_length)
        spoken = None
        if audios_tokens is not None:
            spoken = sum(layer(audios_tokens[..., book]) for book, layer in enumerate(model.audio_embed_layers))
        looked = None
        if videos is not None:
            assert [math.prod(grid) // 4 for grid in videos_grid] == list(videos_patch_nums)
            looked = model.visual_model(torch.cat(videos).reshape(-1, 12).to(self.lm_head.weight.dtype))
        states = model.embed_tokens(input_ids)
        states = model.fill(input_ids, states, config.audio_config.audio_pad_token_id, spoken)
        states = model.fill(input_ids, states, config.video_config.video_place_token_id, looked)
        states = states + model.positions(position_ids)
        read = 0 if past_key_values is None else past_key_values[0][0].shape[2]
        mask = _prepare_4d_causal_attention_mask(attention_mask, input_ids.shape, states, read)
        cache = []
        for number, layer in enumerate(model.layers):
            states, kept = layer(states, mask, None if past_key_values is None else past_key_values[number])
            cache.append(kept)
        states = model.norm(states)
        return Output(self.lm_head(states), tuple(cache) if use_cache else None, states[:, -1])

    def prepare_inputs_for_generation(self, input_ids, past_key_values=None, attention_mask=None, **kwargs):
        positions = attention_mask.long().cumsum(-1)
        if past_key_values:
            read = past_key_values[0][0].shape[2]
            return {
                "input_ids": input_ids[:, read:],
                "position_ids": positions[:, read:],
                "attention_mask": attention_mask,
                "past_key_values": past_key_values,
                "use_cache": True,
            }
        names = ("audios", "encoder_length", "bridge_length", "videos", "videos_patch_nums", "videos_grid")
        return {
            "input_ids": input_ids,
            "position_ids": positions,
            "attention_mask": attention_mask,
            "use_cache": True,
            **{name: kwargs.get(name) for name in names},
        }

    def _supports_default_dynamic_cache(self):
        return False
