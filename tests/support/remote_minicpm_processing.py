"""The processor of the tiny checkpoint with the interfaces of MiniCPM-o 2.6; as published, a file of its own."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import torch
from transformers import ProcessorMixin

from .image_processing_minicpmv import pixels_of

MELS, QUERIES, HOP = 8, 4, 160


class MiniCPMOProcessor(ProcessorMixin):
    attributes = ["tokenizer"]  # noqa: RUF012  (as the library reads it)
    tokenizer_class = "AutoTokenizer"

    def __call__(
        self,
        text,
        images,
        audios,
        audio_parts,
        max_length=None,
        max_slice_nums=None,
        use_image_id=True,
        chunk_input=False,
        return_tensors="pt",
    ):
        rows = [
            self._row(one, images[i], audios[i], max_slice_nums, use_image_id, chunk_input)
            for i, one in enumerate(text)
        ]
        longest = max(len(row) for row in rows)
        ids = torch.zeros(len(rows), longest, dtype=torch.int32)
        mask = torch.zeros(len(rows), longest, dtype=torch.bool)
        marks = {"image_bound": ("<image>", "</image>"), "spk_bounds": ("<|spk_bos|>", "<|spk_eos|>")}
        marks["audio_bounds"] = ("<|audio_start|>", "<|audio_end|>")
        data: dict[str, Any] = {name: [] for name in marks}
        for i, row in enumerate(rows):
            ids[i, longest - len(row) :], mask[i, longest - len(row) :] = row, True
            for name, (start, end) in marks.items():
                data[name].append(self.tokenizer.bounds(row, start, end) + longest - len(row))
        heard = [self._heard(*one) for one in zip(audios, audio_parts, strict=True)]
        features = [feature for row in heard for feature in row]
        data["pixel_values"] = [[pixels_of(image) for image in row] for row in images]
        data["tgt_sizes"] = [torch.ones(len(row), 2, dtype=torch.int32) for row in images]
        data["image_sizes"] = [[image.size for image in row] for row in images]
        data["audio_features"] = (
            torch.nn.utils.rnn.pad_sequence([one.T for one in features], batch_first=True).permute(0, 2, 1)
            if features
            else []
        )
        data["audio_feature_lens"] = [torch.tensor([one.shape[1] for one in row]) if row else [] for row in heard]
        return {"input_ids": ids, "attention_mask": mask, **data}

    def _row(self, text, images, audios, max_slice_nums, use_image_id, chunk_input):
        for number, _ in enumerate(images):
            name = f"<image_id>{number}</image_id>" if use_image_id else ""
            slices = "" if max_slice_nums == 1 else "<slice></slice>"
            text = text.replace("(<image>./</image>)", f"{name}<image>{'<unk>' * QUERIES}</image>{slices}", 1)
        for audio in audios:
            text = text.replace("(<audio>./</audio>)", self._audio_place(len(audio), chunk_input), 1)
        assert not re.search(r"\(<(image|audio)>\./", text)
        return torch.tensor(self.tokenizer.encode(text), dtype=torch.int32)

    def _audio_place(self, samples, chunk_input):
        tokens = (((math.ceil(samples / HOP) - 1) // 2 + 1) - 2) // 2 + 1
        size = 25 if chunk_input else tokens
        sizes = [min(size, tokens - begun) for begun in range(0, tokens, size)]
        return "".join(f"<|audio_start|>{'<unk>' * one}<|audio_end|>" for one in sizes)

    def _heard(self, audios, parts):
        """Sounds of one message as one."""
        merged: dict[int, list[np.ndarray]] = {}
        for audio, part in zip(audios, parts, strict=True):
            merged.setdefault(part, []).append(audio)
        return [self._mels(np.hstack(part)) for part in merged.values()]

    def _mels(self, sound):
        frames = np.pad(sound, (0, -len(sound) % HOP)).reshape(-1, HOP)
        angles = np.outer(np.arange(HOP), np.arange(1, MELS + 1)) * math.pi / HOP
        return torch.tensor(frames @ np.cos(angles) / 4, dtype=torch.float32).T
