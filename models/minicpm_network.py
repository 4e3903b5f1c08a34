"""MiniCPM-o 2.6 driven part by part: its own processor and encoders for one conversation, its language model for many.

Every conversation is encoded alone, so that the padding of one cannot reach another; the published batches let a padded
sound be heard. The language model is stepped by hand, since the published `chat` drops every token 0 (an exclamation
mark) from what was said and cannot tell a finished answer from one that was cut off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from avemo_harness.errors import ModelError
from avemo_harness.models.decoding import Prefix, left_padded
from avemo_harness.models.minicpm_layout import Said, frames_of, sounds_of, with_places

if TYPE_CHECKING:
    from torch import Tensor

ENDS = ("<|im_end|>", "<|endoftext|>", "<|tts_eos|>")
"""What ends an answer; the last one ends what is spoken of it."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """One conversation as the published encoders take it.

    Args:
        tensors: the processor's output for a batch of one, on the CPU.
        streams: whether any clip has video, and any sound.
    """

    tensors: Mapping[str, Any]
    streams: tuple[bool, bool]

    @property
    def length(self) -> int:
        """Tokens that are to be read."""
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
class Reading:
    """Conversations that were read as one batch.

    Args:
        voices: of each row, the states that describe its voice, [tokens, hidden]; None where it is not to be spoken.
    """

    prefix: Prefix
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

    def inputs(self, conversation: Sequence[Said], spoken: bool) -> Inputs:
        """What the processor makes of a conversation.

        As in the published `chat`, the answer begins with the marks of speech as soon as any sound is heard.

        Args:
            spoken: the answer is to be spoken.
        """
        from PIL import Image

        frames, sounds = frames_of(conversation), sounds_of(conversation)
        prompt = self.tokenizer.apply_chat_template(
            [with_places(said) for said in conversation],
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

    def read(self, rows: Sequence[Inputs]) -> Reading:
        """Read conversations as one batch."""
        import torch

        with torch.inference_mode():
            embedded, mask = left_padded([self._embedded(row) for row in rows], 0.0)
            positions = (mask.cumsum(dim=1) - 1).clamp_min(0)
            hidden, cache = self._states(embedded, mask, positions, _empty_cache())
            prefix = Prefix(self._scores(hidden[:, -1:])[:, 0], mask, mask.sum(dim=1), cache)
            voices = [self._voice(row, hidden[i]) for i, row in enumerate(rows)]
        return Reading(prefix, tuple(voices))

    def step(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> tuple[Tensor, Any]:
        """As in `Network`."""
        import torch

        with torch.inference_mode():
            hidden, cache = self._states(self.llm.get_input_embeddings()(ids), mask, positions, cache)
            return self._scores(hidden), cache

    def repeated(self, cache: Any, count: int) -> Any:
        """As in `Network`."""
        cache.batch_repeat_interleave(count)
        return cache

    def _embedded(self, row: Inputs) -> Tensor:
        """A conversation with its frames and sounds in their places, [n, hidden]."""
        model = self.model
        device = self.llm.get_input_embeddings().weight.device
        data = {name: _moved(value, device) for name, value in row.tensors.items()}
        embedded, _ = model.get_vllm_embedding(data)
        chunk = model.config.audio_chunk_length
        embedded = model.get_omni_embedding(data, input_embeddings=embedded, chunk_length=chunk)
        whole: Tensor = embedded[0]
        return whole

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
        scores: Tensor = self.llm.get_output_embeddings()(hidden).float()
        return scores

    def _voice(self, row: Inputs, hidden: Tensor) -> Tensor | None:
        speaker = row.speaker
        return None if speaker is None else hidden[len(hidden) - row.length :][speaker].clone()


def _empty_cache() -> Any:
    from transformers import DynamicCache

    cache_class: Any = DynamicCache
    return cache_class()


def _tensors(value: Any) -> Iterator[Tensor]:
    """Tensors in lists of lists."""
    if isinstance(value, list):
        for one in value:
            yield from _tensors(one)
    else:
        yield value


def _moved(value: Any, device: Any) -> Any:
    return [_moved(one, device) for one in value] if isinstance(value, list) else value.to(device)
