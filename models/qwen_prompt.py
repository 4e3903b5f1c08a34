"""Prompts of Qwen2.5-Omni: token ids and positions of text and clips."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Message, Text
from avemo_harness.errors import GenerationError, ModelError
from avemo_harness.lru_cache import LruCache
from avemo_harness.media import StreamDigests
from avemo_harness.models.inputs import ClipDecoder

SYSTEM = (
    "You are Qwen, a virtual human developed by the Qwen Team, Alibaba Group, capable of perceiving auditory and "
    "visual inputs, as well as generating text and speech."
)
"""The system prompt that the model was trained to speak under; its authors require it word for word."""

LONGEST_SOUND_S = 300
"""The published processor cuts longer sound without a word."""

LAYOUT_BYTES = 2**28

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of the media that a clip is made of, and the marks around them."""

    video: int
    audio: int
    vision_bos: int
    vision_eos: int
    audio_bos: int
    audio_eos: int

    @classmethod
    def of(cls, processor: Any) -> Tokens:
        """As the checkpoint's processor names them."""
        names = (field.name for field in fields(cls))
        known = {name: getattr(processor, f"{name}_token") for name in names}
        return cls(**{name: processor.tokenizer.convert_tokens_to_ids(token) for name, token in known.items()})


@dataclass(frozen=True, slots=True)
class Pace:
    """Layout of time.

    Args:
        grid_s: seconds that one step of a video's grid takes.
        per_s: positions of time a second; a sound token takes one.
        chunk_s: seconds after which video and sound take turns.
    """

    grid_s: float
    per_s: float
    chunk_s: float


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the sequence.

    Args:
        ids: tokens [n].
        positions: rotary positions [3, n] (time, height, width), from 0; the next piece begins one after the last.
        clip: what the media tokens stand for; None for text.
    """

    ids: Ids
    positions: Ids
    clip: Clip | None = None
    streams: StreamDigests | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation up to the model's answer.

    Args:
        pieces: in order.
        prefixes: for each piece, a digest of everything up to its end.
    """

    pieces: tuple[Piece, ...]
    prefixes: tuple[str, ...]

    @property
    def length(self) -> int:
        return sum(len(piece.ids) for piece in self.pieces)

    @property
    def nbytes(self) -> int:
        return sum(piece.ids.nbytes + piece.positions.nbytes for piece in self.pieces)

    @property
    def shared(self) -> int:
        """Number of pieces up to the end of the last clip: what other questions about the same turn begin with."""
        clips = [i for i, piece in enumerate(self.pieces) if piece.clip is not None]
        return clips[-1] + 1 if clips else 0

    def next_clip(self, start: int) -> int:
        """Number of pieces up to the end of the first clip at or after a piece."""
        return next(i for i in range(start, len(self.pieces)) if self.pieces[i].clip is not None) + 1

    @property
    def streams(self) -> tuple[bool, bool]:
        """(Any clip has video, any clip has sound.)"""
        known = [piece.streams for piece in self.pieces if piece.streams is not None]
        return any(one.video is not None for one in known), any(one.sound is not None for one in known)


def text_piece(ids: Sequence[int]) -> Piece:
    """Text: positions count up."""
    return Piece(np.array(ids, dtype=np.int64), np.tile(np.arange(len(ids)), (3, 1)))


def clip_layout(tokens: Tokens, grid: tuple[int, int, int] | None, sounds: int | None, pace: Pace) -> tuple[Ids, Ids]:
    """Tokens and positions of a clip with its marks, as the published processor and model lay them out.

    Video and sound are interleaved in chunks, video first; their time positions run in parallel. A clip
    begins with its marks at one position and ends with them at the position after its last token.

    Args:
        grid: (time, height, width) of the video in merged patches; None without video.
        sounds: number of sound tokens; None without sound.
    """
    parts: list[tuple[int, Ids]] = []
    if grid is not None:
        steps, height, width = grid
        cells = np.indices((steps, height, width)).reshape(3, -1)
        # In single precision and this order, as the published model counts.
        begins = np.arange(steps, dtype=np.float32) * np.float32(pace.grid_s) * np.float32(pace.per_s)
        video = np.stack([begins.astype(np.int64)[cells[0]], cells[1], cells[2]])
        parts.append((tokens.video, video))
    if sounds is not None:
        parts.append((tokens.audio, np.tile(np.arange(sounds), (3, 1))))
    chunk = int(pace.per_s * pace.chunk_s)
    ordered: list[tuple[int, Ids]] = []
    longest = max(len(_chunks(positions[0], chunk)) for _, positions in parts)
    for k in range(longest):
        for token, positions in parts:
            chunks = _chunks(positions[0], chunk)
            if k < len(chunks):
                ordered.append((token, positions[:, chunks[k]]))
    begin = [*([tokens.vision_bos] if grid is not None else []), *([tokens.audio_bos] if sounds is not None else [])]
    end = [*([tokens.audio_eos] if sounds is not None else []), *([tokens.vision_eos] if grid is not None else [])]
    inner = [np.full(positions.shape[1], token) for token, positions in ordered]
    # One after the last chunk alone: so the published model counts on.
    last = int(ordered[-1][1].max()) + 2
    ids = np.concatenate([begin, *inner, end]).astype(np.int64)
    positions = np.concatenate(
        [np.zeros((3, len(begin))), *(part + 1 for _, part in ordered), np.full((3, len(end)), last)], axis=1
    )
    return ids, positions.astype(np.int64)


def _chunks(times: Ids, chunk: int) -> list[slice]:
    """Slices of equal ``time // chunk``."""
    slices, start = [], 0
    for _, members in groupby(times // chunk):
        size = len(list(members))
        slices.append(slice(start, start + size))
        start += size
    return slices


def tokens_of_mels(mels: int) -> int:
    """Sound tokens for as many mel frames, of 10 ms: a convolution halves them, and then a mean of each two.

    >>> [tokens_of_mels(mels) for mels in (2, 3, 100, 101)]
    [0, 1, 25, 25]
    """
    return ((mels - 1) // 2 + 1 - 2) // 2 + 1


class PromptBuilder:
    """Turns messages into prompts. Safe to use from several threads.

    Args:
        processor: the checkpoint's `Qwen2_5OmniProcessor`.
        config: the thinker's config.
        min_pixels, max_pixels: bounds of a frame after scaling.
    """

    def __init__(self, processor: Any, config: Any, decoder: ClipDecoder, min_pixels: int, max_pixels: int) -> None:
        self.processor, self.config, self.decoder = processor, config, decoder
        self.min_pixels, self.max_pixels = min_pixels, max_pixels
        # A tokenizer that is set up and used at once by two threads raises an error.
        self._tokenizing = Lock()
        self._layouts: LruCache[StreamDigests, tuple[Ids, Ids]] = LruCache(
            LAYOUT_BYTES, lambda layout: 4 * layout[0].nbytes
        )

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """The prompt of a conversation that the model is to continue.

        Raises:
            MediaError: a clip is missing or damaged.
            GenerationError: a clip is longer than the model hears.
        """
        clips = [block for message in messages for block in message.content if isinstance(block, Clip)]
        text = self.processor.apply_chat_template(
            [_chat("system", [Text(SYSTEM)]), *(self._message(message) for message in messages)],
            tokenize=False,
            add_generation_prompt=True,
        )
        return _with_prefixes(list(self._pieces(text, clips)))

    def _message(self, message: Message) -> dict[str, Any]:
        return _chat(message.role, message.content, self.decoder)

    def _pieces(self, text: str, clips: Sequence[Clip]) -> Iterator[Piece]:
        processor = self.processor
        video = processor.vision_bos_token + processor.video_token + processor.vision_eos_token
        audio = processor.audio_bos_token + processor.audio_token + processor.audio_eos_token
        parts = re.split(f"(?:{re.escape(video)}|{re.escape(audio)})", text)
        if len(parts) != len(clips) + 1:
            raise ModelError(
                f"the checkpoint's chat template gives {len(parts) - 1} places for {len(clips)} clips; this class is "
                "for the templates of Qwen2.5-Omni (try `hf-omni`)"
            )
        for part, clip in zip(parts, [*clips, None], strict=True):
            if part:
                with self._tokenizing:
                    ids = processor.tokenizer(part, add_special_tokens=False).input_ids
                yield text_piece(ids)
            if clip is not None:
                yield self.clip_piece(clip)

    def clip_piece(self, clip: Clip) -> Piece:
        """Placeholder tokens of a clip, with their positions."""
        streams = self.decoder.streams(clip)
        return Piece(*self._layouts.get(streams, lambda: self._layout(clip)), clip, streams)

    def _layout(self, clip: Clip) -> tuple[Ids, Ids]:
        view = self.decoder.look(clip)
        frames, sound = view.frames, view.sound
        return clip_layout(
            Tokens.of(self.processor),
            None if frames is None else self.grid(*frames.shape[:3]),
            None if sound is None else self.sound_tokens(len(sound), clip.name),
            Pace(
                grid_s=self.processor.video_processor.temporal_patch_size / self.decoder.fps,
                per_s=self.config.position_id_per_seconds,
                chunk_s=self.config.seconds_per_chunk,
            ),
        )

    def grid(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Merged patches (time, height, width) of a video with as many frames of so many pixels."""
        from transformers.models.qwen2_vl.video_processing_qwen2_vl import smart_resize

        video = self.processor.video_processor
        merged = video.patch_size * video.merge_size
        high, wide = smart_resize(height, width, merged, self.min_pixels, self.max_pixels)
        return frames // video.temporal_patch_size, high // merged, wide // merged

    def sound_tokens(self, samples: int, name: str) -> int:
        """Sound tokens for as many samples at 16 kHz."""
        extractor = self.processor.feature_extractor
        if samples > LONGEST_SOUND_S * extractor.sampling_rate:
            raise GenerationError(f"{name}: its sound is longer than the {LONGEST_SOUND_S} s that the model hears")
        mels = -(-samples // int(extractor.hop_length))
        tokens = tokens_of_mels(mels)
        if tokens < 1:
            raise GenerationError(f"{name}: its sound of {samples} samples is too short for the model to hear")
        return tokens


def _chat(role: str, content: Sequence[Text | Clip], decoder: ClipDecoder | None = None) -> dict[str, Any]:
    """A message as chat templates take it. A clip without video is sound alone."""
    parts = []
    for block in content:
        if isinstance(block, Text):
            # Text of a release must not be able to close a turn or to name media. `escape_special_tokens` escapes more,
            # so that it would give other prompts, and other answers under the same version.
            parts.append({"type": "text", "text": block.text.replace("<|", "< |")})
        else:
            assert decoder is not None
            parts.append({"type": "video" if decoder.streams(block).video is not None else "audio"})
    return {"role": role, "content": parts}


def _with_prefixes(pieces: Sequence[Piece]) -> Prompt:
    digest = hashlib.sha256()
    prefixes = []
    for piece in pieces:
        digest.update(piece.ids.tobytes() + b"|" + repr(piece.streams).encode())
        prefixes.append(digest.hexdigest())
    return Prompt(tuple(pieces), tuple(prefixes))
