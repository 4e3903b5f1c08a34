"""Native models under test: tiny checkpoints, what they are asked, and how their library drives them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo_harness.benchmark.request import Request, Text
from avemo_harness.models.base import ModelSetup
from avemo_harness.models.inputs import ClipDecoder

if TYPE_CHECKING:
    from avemo_harness.models.hf_omni import HfOmni


@dataclass(frozen=True)
class Tiny:
    """A tiny checkpoint of one class.

    Args:
        interleaves: the class reads the sound of a video among its frames.
        end: token that ends a turn.
    """

    folder: Path
    interleaves: bool
    end: str

    def make(self, setup: ModelSetup | None = None, **arguments: Any) -> HfOmni:
        """The model class on the checkpoint, with short greedy speech where it speaks."""
        from avemo_harness.models.hf_omni import HfOmni

        given = {"pretrained": str(self.folder), "talker_do_sample": False, "talker_max_new_tokens": 30, **arguments}
        return HfOmni(HfOmni.Arguments(**given), setup or ModelSetup())


class NativeOmni:
    """The processor for one conversation and one full forward pass for every score, without batches or caches.

    Args:
        interleaves, end: as in `Tiny`.
    """

    def __init__(self, folder: Path, interleaves: bool, end: str) -> None:
        import torch
        from transformers import AutoModelForMultimodalLM, AutoProcessor

        self.processor = AutoProcessor.from_pretrained(folder)
        model = AutoModelForMultimodalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.model = getattr(model, "thinker", model)
        tokenizer = self.processor.tokenizer
        self.interleaves, self.ends = interleaves, (tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(end))
        self.decoder = ClipDecoder(2.0)

    def logits(self, request: Request, answer: str = "") -> Any:
        """Scores of the next token after each token of prompt and answer, [n, vocabulary]."""
        import torch

        with torch.inference_mode():
            return self.model(**self.inputs(request, answer)).logits[0]

    def greedy_text(self, request: Request, tokens: int) -> list[int]:
        """The likeliest next token again and again, each from a reading of the whole; without the end token."""
        inputs, said = self.inputs(request), list[int]()
        import torch

        while len(said) < tokens:
            with torch.inference_mode():
                chosen = int(self.model(**inputs, use_cache=False).logits[0, -1].argmax())
            if chosen in self.ends:
                break
            said.append(chosen)
            for name, more in (("input_ids", chosen), ("attention_mask", 1), ("mm_token_type_ids", 0)):
                if name in inputs:
                    inputs[name] = torch.cat([inputs[name], torch.tensor([[more]])], dim=1)
        return said

    def inputs(self, request: Request, answer: str = "") -> dict[str, Any]:
        """The processor's output for a conversation whose clips all have the same streams, its answer begun."""
        conversation, videos, sounds = [], [], []
        for message in request.messages:
            parts = []
            for block in message.content:
                if isinstance(block, Text):
                    parts.append({"type": "text", "text": block.text})
                    continue
                view = self.decoder.look(block)
                if view.frames is not None:
                    parts.append({"type": "video"})
                    videos.append(view.frames)
                if view.sound is not None:
                    if view.frames is None or not self.interleaves:
                        parts.append({"type": "audio"})
                    sounds.append(view.sound)
            conversation.append({"role": message.role, "content": parts})
        text = self.processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False) + answer
        both = self.interleaves and bool(videos) and bool(sounds)
        how: dict[str, Any] = {}
        if both:
            how = {"load_audio_from_video": True, "audio_from_video_indices": list(range(len(videos)))}
        inputs = self.processor(
            text=[text],
            videos=videos or None,
            audio=sounds or None,
            text_kwargs={"add_special_tokens": False},
            videos_kwargs={
                "do_sample_frames": False,
                "fps": 2.0,
                "video_metadata": [
                    {"total_num_frames": len(one), "fps": 2.0, "frames_indices": list(range(len(one)))}
                    for one in videos
                ],
            },
            audio_kwargs={"sampling_rate": 16_000},
            return_tensors="pt",
            **how,
        )
        return {**inputs, **({"use_audio_in_video": True} if both else {})}
