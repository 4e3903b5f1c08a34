"""Inputs of native audio-video models of transformers, made by their own processors."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Message, Text
from avemo_harness.errors import GenerationError, ModelError
from avemo_harness.models.inputs import SOUND_RATE, ClipDecoder, DecodedClip

if TYPE_CHECKING:
    from torch import Tensor

TEXT_INPUTS = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids")
"""Inputs with a column for each token; every other one belongs to the clips."""
SOUND_INPUTS = ("input_features", "input_features_mask", "feature_attention_mask")
"""Inputs that come with a mask, so that clips of different lengths can be padded to one."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """One conversation up to the model's answer.

    Args:
        tensors: as the model takes them, for a batch of one.
        streams: (any clip has video, any clip has sound).
        interleaved: the sound of videos lies among their frames, not after them.
    """

    tensors: Mapping[str, Tensor]
    streams: tuple[bool, bool]
    interleaved: bool

    @property
    def length(self) -> int:
        return int(self.tensors["input_ids"].shape[1])

    @property
    def layout(self) -> Hashable:
        """Shapes that conversations of one batch share, their lengths aside."""
        rigid = ((name, tensor) for name, tensor in self.tensors.items() if name not in (*TEXT_INPUTS, *SOUND_INPUTS))
        return self.interleaved, tuple(sorted((name, tuple(tensor.shape[1:])) for name, tensor in rigid))

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def followed_by(self, ids: Sequence[int]) -> Inputs:
        """The same conversation with the beginning of the answer."""
        import torch

        longer = dict(self.tensors)
        for name in set(TEXT_INPUTS) & set(longer):
            tensor = longer[name]
            more = {"input_ids": list(ids), "attention_mask": [1] * len(ids)}.get(name, [0] * len(ids))
            longer[name] = torch.cat([tensor, torch.tensor([more], dtype=tensor.dtype)], dim=1)
        return Inputs(longer, self.streams, self.interleaved)


def collated(rows: Sequence[Inputs], pad: int) -> dict[str, Tensor]:
    """One batch of conversations of one layout, padded on the left; what belongs to clips lies one after the other.

    Args:
        pad: token that fills up shorter rows.
    """
    import torch
    from torch.nn.functional import pad as padded

    longest = max(row.length for row in rows)
    batch: dict[str, Tensor] = {}
    for name in rows[0].tensors:
        tensors = [row.tensors[name] for row in rows]
        if name in TEXT_INPUTS:
            filler = pad if name == "input_ids" else 0
            tensors = [padded(one, (longest - one.shape[1], 0), value=filler) for one in tensors]
        else:
            sizes = [max(dimension) for dimension in zip(*(one.shape[1:] for one in tensors), strict=True)]
            tensors = [
                padded(
                    one, [n for have, want in zip(one.shape[:0:-1], sizes[::-1], strict=True) for n in (0, want - have)]
                )
                for one in tensors
            ]
        batch[name] = torch.cat(tensors)
    return batch


class InputBuilder:
    """Turns messages into inputs. Safe to use from several threads, which the processor serves one at a time.

    Args:
        processor: the checkpoint's processor.
        name: of the checkpoint, for messages.
        system: text of the system message; empty for none.

    Raises:
        ModelError: the processor takes no video or no sound, or has no chat template.
    """

    def __init__(self, processor: Any, name: str, decoder: ClipDecoder, system: str) -> None:
        self.processor, self.name, self.decoder, self.system = processor, name, decoder, system
        for part, what in (("tokenizer", "text"), ("video_processor", "video"), ("feature_extractor", "sound")):
            if getattr(processor, part, None) is None:
                raise ModelError(
                    f"{name}: its processor ({type(processor).__name__}) takes no {what}; hf-omni is for models of "
                    "transformers that see and hear"
                )
        if processor.chat_template is None:
            raise ModelError(
                f"{name}: the checkpoint has no chat template, so no dialogue can be written for it; take the "
                "instruction-tuned one, or put its chat_template.jinja into the folder"
            )
        if (rate := processor.feature_extractor.sampling_rate) != SOUND_RATE:
            raise ModelError(f"{name}: its processor wants sound at {rate} Hz; hf-omni gives {SOUND_RATE} Hz")
        # Processors of models with interleaved sound and frames have this attribute as the call's default.
        self.interleaves = hasattr(processor, "load_audio_from_video")
        self._specials = _special_tokens(processor)
        self._processing = Lock()

    def inputs(self, messages: Sequence[Message]) -> Inputs:
        """The inputs of a conversation that the model is to continue.

        Raises:
            MediaError: a clip is missing or damaged.
            GenerationError: a clip's sound is longer than the model hears.
            ModelError: the chat template leaves clips out.
        """
        views = {
            block: self._look(block) for message in messages for block in message.content if isinstance(block, Clip)
        }
        shown = [views[block] for message in messages for block in message.content if isinstance(block, Clip)]
        with_video = [view for view in shown if view.frames is not None]
        # The published models take one flag for all videos, so that one without sound keeps them all apart from theirs.
        interleaved = self.interleaves and bool(with_video) and all(view.sound is not None for view in with_video)
        videos = [view.frames for view in with_video]
        sounds = [view.sound for view in shown if view.sound is not None]
        text = self._text(messages, views, interleaved)
        standalone = len(sounds) - len(videos) if interleaved else len(sounds)
        self._check_placeholders(text, len(videos), standalone)
        how: dict[str, Any] = {"return_tensors": "pt"}
        if interleaved:
            order = iter(range(len(videos)))
            slots = [None if view.frames is None else next(order) for view in shown if view.sound is not None]
            how |= {"load_audio_from_video": True, "audio_from_video_indices": slots}
        begins = not self._begins_itself(text)
        with self._processing:
            tensors = self.processor(
                text=[text],
                videos=videos or None,
                audio=sounds or None,
                text_kwargs={"add_special_tokens": begins, "padding": False, "truncation": False},
                videos_kwargs=self._video_settings(videos),
                audio_kwargs={"sampling_rate": SOUND_RATE, "padding": True, "truncation": False},
                **how,
            )
        return Inputs(dict(tensors), (bool(videos), bool(sounds)), interleaved)

    def turn_end(self) -> int | None:
        """The token by which the chat template closes the assistant's turn; None where no special token does."""
        said = "hf-omni"
        turns = [{"role": role, "content": [{"type": "text", "text": said}]} for role in ("user", "assistant")]
        _, _, closing = self.processor.apply_chat_template(turns, tokenize=False).rpartition(said)
        ids = self.processor.tokenizer(closing, add_special_tokens=False).input_ids
        return int(ids[0]) if ids and ids[0] in self.processor.tokenizer.added_tokens_decoder else None

    def _look(self, clip: Clip) -> DecodedClip:
        view = self.decoder.look(clip)
        longest = _longest_sound_s(self.processor)
        if view.sound is not None and len(view.sound) > longest * SOUND_RATE:
            raise GenerationError(f"{clip.name}: its sound is longer than the {longest:g} s that the model hears")
        return view

    def _text(self, messages: Sequence[Message], views: Mapping[Clip, DecodedClip], interleaved: bool) -> str:
        conversation: list[dict[str, Any]] = []
        if self.system:
            conversation.append({"role": "system", "content": [{"type": "text", "text": self.system}]})
        for message in messages:
            parts: list[dict[str, str]] = []
            for block in message.content:
                if isinstance(block, Text):
                    parts.append({"type": "text", "text": self._escaped(block.text)})
                    continue
                view = views[block]
                if view.frames is not None:
                    parts.append({"type": "video"})
                if view.sound is not None and not (interleaved and view.frames is not None):
                    parts.append({"type": "audio"})
            conversation.append({"role": message.role, "content": parts})
        return self.processor.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)

    def _escaped(self, text: str) -> str:
        """Text of a release must not be able to close a turn or to name media."""
        for special in self._specials:
            text = text.replace(special, f"{special[0]} {special[1:]}")
        return text

    def _check_placeholders(self, text: str, videos: int, sounds: int) -> None:
        for what, wanted in (("video", videos), ("audio", sounds)):
            if (found := text.count(getattr(self.processor, f"{what}_token"))) != wanted:
                raise ModelError(
                    f"{self.name}: the chat template gives {found} places for {wanted} {what} parts of a conversation; "
                    "hf-omni is for checkpoints whose template takes video and audio parts"
                )

    def _begins_itself(self, text: str) -> bool:
        """The template wrote the token that begins a text, which the tokenizer would add a second time."""
        bos = self.processor.tokenizer.bos_token
        return bos is not None and text.startswith(bos)

    def _video_settings(self, videos: Sequence[Any]) -> dict[str, Any]:
        """Frames are taken as they are; processors learn their times from either of two settings."""
        from transformers.video_utils import VideoMetadata

        fps = self.decoder.fps
        return {
            "do_sample_frames": False,
            "fps": fps,
            "input_data_format": "channels_last",
            "video_metadata": [
                VideoMetadata(
                    total_num_frames=len(frames),
                    fps=fps,
                    duration=len(frames) / fps,
                    frames_indices=list(range(len(frames))),
                )
                for frames in videos
            ],
        }


def _longest_sound_s(processor: Any) -> float:
    """Some processors name the most sound tokens of a clip; what is longer they would cut without a word."""
    tokens = getattr(processor, "audio_seq_length", None)
    return math.inf if tokens is None else tokens * processor.audio_ms_per_token / 1000


def _special_tokens(processor: Any) -> list[str]:
    """Control tokens by text, the longest first."""
    added = processor.tokenizer.added_tokens_decoder.values()
    media = [getattr(processor, f"{what}_token", None) for what in ("image", "video", "audio")]
    tokens = {token.content for token in added if token.special} | set(processor.tokenizer.all_special_tokens)
    return sorted((tokens | set(filter(None, media))), key=len, reverse=True)
