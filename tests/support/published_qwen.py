"""Qwen2.5-Omni as its authors publish it, one conversation at a time: what our own driving of it is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from avemo_harness.benchmark.request import Request, Text
from avemo_harness.models.inputs import ClipDecoder
from avemo_harness.models.qwen_prompt import SYSTEM

SMALL = {"min_pixels": 4 * 28 * 28, "max_pixels": 16 * 28 * 28}
"""Frames of few tokens, so that tests are quick."""


class PublishedQwen:
    """The processor and `generate` of transformers, with every argument that a right call needs.

    Args:
        folder: of the checkpoint.
        model: loaded already; by default the checkpoint's, in float32.
        pixels: bounds of a frame after scaling, ``min_pixels`` and ``max_pixels``.
    """

    def __init__(self, folder: Path, model: Any = None, pixels: Mapping[str, int] = SMALL) -> None:
        import torch
        from transformers import Qwen2_5OmniForConditionalGeneration, Qwen2_5OmniProcessor

        self.processor = Qwen2_5OmniProcessor.from_pretrained(folder)
        if model is None:
            model = Qwen2_5OmniForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self.model, self.pixels = model, pixels
        self.decoder = ClipDecoder(2.0)

    def inputs(self, *requests: Request, answer: str = "") -> dict[str, Any]:
        """The processor's output for requests of equal streams, their answers begun with some words."""
        videos: list[Any] = []
        sounds: list[Any] = []
        slots: list[int | None] = []
        texts = [self._text(request, videos, sounds, slots) + answer for request in requests]
        made = self.processor(
            text=texts,
            videos=videos or None,
            audio=sounds or None,
            audio_from_video_indices=slots if sounds else None,
            load_audio_from_video=self.hears_video(requests[0]),
            fps=2.0,
            size={"shortest_edge": self.pixels["min_pixels"], "longest_edge": self.pixels["max_pixels"]},
            cap_pixels_per_frame=False,
            do_sample_frames=False,
            padding=True,
            return_tensors="pt",
        )
        features = ("pixel_values", "pixel_values_videos", "input_features")
        device, dtype = self.model.device, self.model.dtype
        return {name: one.to(device, dtype if name in features else one.dtype) for name, one in made.items()}

    def _text(self, request: Request, videos: list[Any], sounds: list[Any], slots: list[int | None]) -> str:
        """The words of a conversation; its media are added to the lists."""
        conversation: list[dict[str, Any]] = [{"role": "system", "content": [{"type": "text", "text": SYSTEM}]}]
        for message in request.messages:
            parts = []
            for block in message.content:
                if isinstance(block, Text):
                    parts.append({"type": "text", "text": block.text})
                    continue
                view = self.decoder.look(block)
                parts.append({"type": "audio" if view.frames is None else "video"})
                if view.sound is not None:
                    sounds.append(view.sound)
                    slots.append(None if view.frames is None else len(videos))
                if view.frames is not None:
                    videos.append(view.frames)
            conversation.append({"role": message.role, "content": parts})
        text: str = self.processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
        return text

    def hears_video(self, request: Request) -> bool:
        """True where the conversation's videos carry sound; the published code needs the same of all of them."""
        views = [
            self.decoder.look(block)
            for message in request.messages
            for block in message.content
            if not isinstance(block, Text)
        ]
        return any(view.frames is not None and view.sound is not None for view in views)

    def label_text(self, request: Request) -> tuple[list[int], str]:
        """Greedy text: new tokens without the end, and their text."""
        (found,) = self.label_texts([request])
        return found

    def label_texts(self, requests: Sequence[Request]) -> list[tuple[list[int], str]]:
        """Greedy texts of requests of equal streams, as one batch."""
        request = requests[0]
        inputs = self.inputs(*requests)
        ids = self.model.generate(
            **inputs,
            generation_mode="text",
            use_audio_in_video=self.hears_video(request),
            thinker_do_sample=False,
            thinker_max_new_tokens=request.generation.max_new_tokens,
            **self._ends(),
        )
        end = self._ends()["thinker_eos_token_id"]
        kept = [new[: new.index(end)] if end in new else new for new in ids[:, inputs["input_ids"].shape[1] :].tolist()]
        return [(row, self.processor.tokenizer.decode(row, skip_special_tokens=True)) for row in kept]

    def logits(self, request: Request, answer: str = "") -> Any:
        """Scores of the next token after each token of prompt and answer, [n, vocabulary]."""
        import torch

        with torch.inference_mode():
            return self.model.thinker(
                **self.inputs(request, answer=answer), use_audio_in_video=self.hears_video(request)
            ).logits[0]

    def speech(self, request: Request, codes: int) -> Any:
        """Greedy speech of a request, 24 kHz float tensor; seeded as the request is.

        The prompt is padded by one token: without any padding `generate` drops the mask, and the talker then leaves out
        the codes that begin its speech and the rotary positions of the prompt.
        """
        import torch
        from torch.nn.functional import pad

        inputs = self.inputs(request)
        inputs["input_ids"] = pad(inputs["input_ids"], (1, 0), value=self.processor.tokenizer.pad_token_id)
        inputs["attention_mask"] = pad(inputs["attention_mask"], (1, 0))
        for name in ("pixel_values", "pixel_values_videos"):
            if name in inputs:
                inputs[f"thinker_{name}"] = inputs.pop(name)
        talker = self.model.config.talker_config
        torch.manual_seed(request.seed)
        _, wave = self.model.generate(
            **inputs,
            speaker="Chelsie",
            use_audio_in_video=self.hears_video(request),
            thinker_do_sample=False,
            thinker_max_new_tokens=request.generation.max_new_tokens,
            talker_do_sample=False,
            talker_max_new_tokens=codes,
            talker_eos_token_id=[talker.tts_codec_end_token_id, talker.tts_codec_pad_token_id],
            **self._ends(),
        )
        return wave

    def codes(self, request: Request, codes: int) -> list[int]:
        """Greedy speech codes of a request, without the end code."""
        talker, kept = self.model.talker, list[list[int]]()
        generate = talker.generate

        def keep(**inputs: Any) -> Any:
            ids = generate(**inputs)
            kept.append(ids[0, inputs["input_ids"].shape[1] :].tolist())
            return ids

        talker.generate = keep
        try:
            self.speech(request, codes)
        finally:
            del talker.generate
        ends = (talker.codec_eos_token, talker.codec_pad_token)
        return list(takewhile(lambda code: code not in ends, kept[0]))

    def _ends(self) -> dict[str, int]:
        tokenizer = self.processor.tokenizer
        return {
            "thinker_eos_token_id": tokenizer.convert_tokens_to_ids("<|im_end|>"),
            "thinker_pad_token_id": tokenizer.pad_token_id,
        }
