"""Prompt layout by seconds and the language model of MiniCPM-o 2.6, prefilled and stepped by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.request import Message, Text
from avemo_harness.errors import ModelError
from avemo_harness.models.decoding import Prefill, Step, left_padded
from avemo_harness.models.inputs import TimedClip, escape_special_tokens, seconds_of

if TYPE_CHECKING:
    from torch import Tensor

UNIT = "<unit>"
IMAGE_PLACEHOLDER, AUDIO_PLACEHOLDER = "(<image>./</image>)", "(<audio>./</audio>)"

Part: TypeAlias = str | NDArray[Any]
"""Words, a frame (uint8 [H, W, 3]), or a sound (float32 [n] at 16 kHz)."""


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message; `role` is ``user`` or ``assistant``, the system prompt too being the user's."""

    role: str
    parts: tuple[Part, ...]


def is_frame(part: Part) -> bool:
    return not isinstance(part, str) and part.ndim == 3


def clip_parts(clip: TimedClip) -> list[Part]:
    """A clip in units of a second, a mark before each; sound alone is one part, without units."""
    parts: list[Part] = []
    for frame, sound in seconds_of(clip):
        parts += [] if frame is None else [UNIT, frame]
        parts += [] if sound is None else [sound]
    return parts


def conversation(
    system: PromptMessage, messages: Sequence[Message], look: Callable[[Any], TimedClip]
) -> list[PromptMessage]:
    """The system prompt and a dialogue, clips laid out by seconds.

    Args:
        look: decodes a clip.
    """
    return [system, *(PromptMessage(message.role, tuple(_parts(message, look))) for message in messages)]


def _parts(message: Message, look: Callable[[Any], TimedClip]) -> Iterator[Part]:
    for block in message.content:
        if isinstance(block, Text):
            yield escape_special_tokens(block.text)
        else:
            yield from clip_parts(look(block))


def with_placeholders(said: PromptMessage) -> dict[str, str]:
    """A message as the chat template takes it: parts joined without anything between, placeholders for media."""
    words = (
        part if isinstance(part, str) else IMAGE_PLACEHOLDER if is_frame(part) else AUDIO_PLACEHOLDER
        for part in said.parts
    )
    return {"role": said.role, "content": "".join(words)}


def frames_of(conversation: Sequence[PromptMessage]) -> list[NDArray[np.uint8]]:
    """Every frame, in order."""
    return [part for said in conversation for part in said.parts if not isinstance(part, str) and part.ndim == 3]


def sounds_of(conversation: Sequence[PromptMessage]) -> list[tuple[int, NDArray[np.float32]]]:
    """Every sound, in order, with the index of its message: the sounds of one message are heard as one."""
    return [
        (i, part)
        for i, said in enumerate(conversation)
        for part in said.parts
        if not isinstance(part, str) and part.ndim == 1
    ]


ENDS = ("<|im_end|>", "<|endoftext|>", "<|tts_eos|>")
"""Tokens that end an answer; the last one ends its spoken part."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """One conversation, as tensors for the published encoders.

    Args:
        tensors: the processor's output for a batch of one, on the CPU.
        streams: (any clip has video, any clip has sound).
    """

    tensors: Mapping[str, Any]
    streams: tuple[bool, bool]

    @property
    def length(self) -> int:
        return int(self.tensors["input_ids"].shape[1])

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for value in self.tensors.values() for tensor in _tensors(value))

    @property
    def speaker(self) -> slice | None:
        """Tokens whose states describe the voice of the answer; None where the answer is not to be spoken."""
        bounds = self.tensors["spk_bounds"][0]
        return slice(int(bounds[-1][0]), int(bounds[-1][1])) if len(bounds) else None


@dataclass(frozen=True, slots=True)
class VoicedPrefill(Prefill):
    """Conversations after their prefill as one batch.

    Args:
        voices: of each row, the states that describe its voice, [tokens, hidden]; None where it is not to be spoken.
    """

    voices: tuple[Tensor | None, ...]


class MiniCpmNetwork:
    """The model.

    Args:
        model: as its published code loads it.
        tokenizer: the checkpoint's.
    """

    suppressed = ()

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.llm = model.llm
        if model.processor is None:
            raise ModelError("the checkpoint's code made no processor; this class is for MiniCPM-o 2.6")
        known = (tokenizer.convert_tokens_to_ids(token) for token in ENDS)
        self.ends = tuple(token for token in known if token is not None and token != tokenizer.unk_token_id)

    @property
    def room(self) -> int:
        """Tokens that the model reads and writes at most."""
        return int(self.model.config.max_position_embeddings)

    def inputs(self, conversation: Sequence[PromptMessage], spoken: bool) -> Inputs:
        """Prompt and features of a conversation, by the checkpoint's processor.

        As in the published `chat`, the answer begins with the marks of speech as soon as any sound is heard.

        Args:
            spoken: the answer is to be spoken.
        """
        from PIL import Image

        frames, sounds = frames_of(conversation), sounds_of(conversation)
        prompt = self.tokenizer.apply_chat_template(
            [with_placeholders(said) for said in conversation],
            tokenize=False,
            add_generation_prompt=True,
            chat_template=self.model.default_tts_chat_template if spoken or sounds else None,
        )
        made = self.model.processor(
            [prompt],
            [[Image.fromarray(frame) for frame in frames]],
            [[sound for _, sound in sounds]],
            [[message for message, _ in sounds]],
            max_slice_nums=1,
            use_image_id=False,
            chunk_input=True,
            return_tensors="pt",
        )
        return Inputs({name: made[name] for name in made if name != "image_sizes"}, (bool(frames), bool(sounds)))

    def prefill(self, rows: Sequence[Inputs]) -> VoicedPrefill:
        """Prefill conversations as one batch."""
        import torch
        from transformers import DynamicCache

        with torch.inference_mode():
            embedded, mask = left_padded([self._embedded(row) for row in rows], 0.0)
            positions = (mask.cumsum(dim=1) - 1).clamp_min(0)
            hidden, cache = self._states(embedded, mask, positions, DynamicCache())
            voices = tuple(self._voice(row, hidden[i]) for i, row in enumerate(rows))
            return VoicedPrefill(self._scores(hidden[:, -1:])[:, 0], mask, mask.sum(dim=1), cache, voices)

    def step(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> Step:
        """As in `Network`."""
        import torch

        with torch.inference_mode():
            hidden, cache = self._states(self.llm.get_input_embeddings()(ids), mask, positions, cache)
            return Step(self._scores(hidden), cache)

    def repeat_cache(self, cache: Any, count: int) -> Any:
        """As in `Network`."""
        cache.batch_repeat_interleave(count)
        return cache

    def _embedded(self, row: Inputs) -> Tensor:
        """Embeddings of a conversation, those of frames and sounds instead of their placeholders, [n, hidden]."""
        model = self.model
        device = self.llm.get_input_embeddings().weight.device
        data = {name: _moved(value, device) for name, value in row.tensors.items()}
        embedded, _ = model.get_vllm_embedding(data)
        chunk = model.config.audio_chunk_length
        return model.get_omni_embedding(data, input_embeddings=embedded, chunk_length=chunk)[0]

    def _states(self, embedded: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> tuple[Tensor, Any]:
        out = self.llm.model(
            inputs_embeds=embedded,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            return_dict=True,
        )
        return out.last_hidden_state, out.past_key_values

    def _scores(self, hidden: Tensor) -> Tensor:
        return self.llm.get_output_embeddings()(hidden).float()

    def _voice(self, row: Inputs, hidden: Tensor) -> Tensor | None:
        speaker = row.speaker
        return None if speaker is None else hidden[len(hidden) - row.length :][speaker].clone()


def _tensors(value: Any) -> Iterator[Tensor]:
    """Tensors in lists of lists."""
    if isinstance(value, list):
        for one in value:
            yield from _tensors(one)
    else:
        yield value


def _moved(value: Any, device: Any) -> Any:
    return [_moved(one, device) for one in value] if isinstance(value, list) else value.to(device)
