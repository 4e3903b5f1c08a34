"""Prompt, inputs and language model of Baichuan-Omni-1.5, prefilled and stepped by hand."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Message, Text
from avemo_harness.errors import GenerationError
from avemo_harness.models.decoding import Prefill, Step, last_scores, left_padded
from avemo_harness.models.inputs import SOUND_RATE, ClipDecoder, escape_special_tokens

if TYPE_CHECKING:
    from torch import Tensor

SYSTEM, USER, ASSISTANT = "<B_SYS>", "<C_Q>", "<C_A>"
SPOKEN = "<audiotext_start_baichuan>"
"""Stands before every turn of the assistant where its answer is to be spoken."""


@dataclass(frozen=True, slots=True)
class ClipFiles:
    """Files of a clip's streams, for the processor to read; None for a stream that it lacks."""

    video: Path | None
    sound: Path | None


def clip_segments(files: ClipFiles) -> str:
    """A clip in a prompt: its video, and after it its sound.

    >>> clip_segments(ClipFiles(Path("/s/0.mp4"), Path("/s/0.wav"))).count("baichuan>")
    4
    """
    video, sound = "", ""
    if files.video is not None:
        video = f"<video_start_baichuan>{json.dumps({'local': str(files.video)})}<video_end_baichuan>"
    if files.sound is not None:
        sound = f"<audio_start_baichuan>{json.dumps({'path': str(files.sound)})}<audio_end_baichuan>"
    return video + sound


def prompt(system: str, messages: Sequence[Message], files: Callable[[Clip], ClipFiles], spoken: bool) -> str:
    """A dialogue that the model is to continue.

    Args:
        system: empty for none.
        files: writes the streams of a clip.
        spoken: the answer is to be spoken.

    >>> hello, hi = Message("user", (Text("Hello."),)), Message("assistant", (Text("Hi."),))
    >>> prompt("Be kind.", [hello, hi, hello], lambda clip: ClipFiles(None, None), spoken=False)
    '<B_SYS>Be kind.<C_Q>Hello.<C_A>Hi.<C_Q>Hello.<C_A>'
    """
    answers = f"{SPOKEN}{ASSISTANT}" if spoken else ASSISTANT
    parts = [f"{SYSTEM}{system}"] if system else []
    for message in messages:
        parts.append(USER if message.role == "user" else answers)
        for block in message.content:
            parts.append(escape_special_tokens(block.text) if isinstance(block, Text) else clip_segments(files(block)))
    return "".join([*parts, answers])


@dataclass(frozen=True, slots=True)
class SoundEncoderSizes:
    """Sizes that decide how many tokens the encoder makes of sound.

    Args:
        window, hop: of the spectrum, in samples.
        kernel, stride: of the two convolutions; the first has stride 1.
        pool: states that make a token.
    """

    window: int
    hop: int
    kernel: int
    stride: int
    pool: int

    def tokens(self, samples: int) -> int:
        """Sound tokens for as many samples, of at most the longest piece that is encoded at once; 0 if too few.

        >>> SoundEncoderSizes(window=400, hop=160, kernel=3, stride=2, pool=4).tokens(16_000)
        12
        """
        if samples < self.window:
            return 0
        frames = samples // self.hop + 1
        states = (frames + 2 * (self.kernel // 2) - self.kernel) // self.stride + 1
        return states // self.pool


@dataclass(frozen=True, slots=True)
class Sounds:
    """Sounds of a conversation as the encoder takes them: [k, mels, frames], and lengths [k] after its two stages."""

    features: Tensor
    states: Tensor
    tokens: Tensor


@dataclass(frozen=True, slots=True)
class Inputs:
    """One conversation up to the model's answer, as tensors.

    Args:
        ids: tokens [n].
        frames: patches of each frame, [patches, values].
        frame_tokens: tokens of each frame.
        frame_grids: patches (time, height, width) of each frame.
        streams: (any clip has video, any clip has sound).
    """

    ids: Tensor
    sounds: Sounds | None
    frames: tuple[Tensor, ...]
    frame_tokens: tuple[int, ...]
    frame_grids: tuple[tuple[int, int, int], ...]
    streams: tuple[bool, bool]

    @property
    def length(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        sounds = 0 if self.sounds is None else self.sounds.features.nbytes
        return int(self.ids.nbytes + sounds + sum(frame.nbytes for frame in self.frames))


class InputBuilder:
    """Makes inputs of conversations.

    Args:
        processor: as the published code binds it to the model.
        sound_sizes: decide how long a sound must be.
    """

    def __init__(self, processor: Any, decoder: ClipDecoder, sound_sizes: SoundEncoderSizes) -> None:
        self._processor, self._decoder, self._sound_sizes = processor, decoder, sound_sizes

    def inputs(self, system: str, messages: Sequence[Message], spoken: bool) -> Inputs:
        """The inputs of a conversation that the model is to continue.

        Raises:
            MediaError: a clip is missing or damaged.
            GenerationError: a sound is too short to be heard, or the processor cannot read a clip.
        """
        with TemporaryDirectory(prefix="avemo-") as scratch:
            # Frames are left beside their video and taken again if they are there, so no two clips share a name.
            written: list[ClipFiles] = []

            def files(clip: Clip) -> ClipFiles:
                written.append(self._write(clip, Path(scratch) / str(len(written))))
                return written[-1]

            made = self._processed(prompt(system, messages, files, spoken))
        return Inputs(
            ids=made.input_ids[0],
            sounds=None if made.audios is None else Sounds(made.audios, made.encoder_length, made.bridge_length),
            frames=tuple(made.videos or ()),
            frame_tokens=tuple(int(count) for count in (() if made.videos is None else made.videos_patch_nums)),
            frame_grids=tuple(made.videos_grid or ()),
            streams=(any(clip.video for clip in written), any(clip.sound for clip in written)),
        )

    def _write(self, clip: Clip, path: Path) -> ClipFiles:
        streams = self._decoder.streams(clip)
        video = sound = None
        if streams.video is not None:
            video = path.with_suffix(".mp4")
            video.write_bytes(clip.read())
        samples = self._decoder.sound(clip)
        if samples is not None:
            if not self._sound_sizes.tokens(len(samples)):
                raise GenerationError(f"{clip.name}: its sound of {len(samples)} samples is too short to be heard")
            sound = path.with_suffix(".wav")
            write_wav(sound, samples)
        return ClipFiles(video, sound)

    def _processed(self, text: str) -> Any:
        """The processor's output; its last words before it fails become the error."""
        printed = io.StringIO()
        try:
            with redirect_stdout(printed):
                return self._processor([text])
        except AssertionError as error:
            why = printed.getvalue().strip().splitlines()
            raise GenerationError(
                f"the model's processor cannot read a clip: {why[0] if why else 'it does not say why'}"
            ) from error


def write_wav(path: Path, sound: NDArray[np.float32]) -> None:
    """Write mono sound at 16 kHz, float [n] with full scale at 1, as 16-bit WAV."""
    # Full scale is 32767 here and 32768 in `media.write_wave`: the model hears the difference.
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SOUND_RATE)
        file.writeframes((np.clip(sound, -1.0, 1.0) * 32767).round().astype("<i2").tobytes())


class BaichuanNetwork:
    """The model.

    Args:
        model: as its published code loads it.
        tokenizer: the checkpoint's.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        config = model.config
        self.ends: tuple[int, ...] = (int(model.generation_config.eos_token_id),)
        # Placeholders without media: the published code breaks where one is generated.
        self.placeholder_ids = (
            int(config.audio_config.audio_pad_token_id),
            int(config.video_config.image_pad_token_id),
            int(config.video_config.video_place_token_id),
        )
        self.speaking = int(config.audio_config.audiogen_start_token_id)
        self.spoken = int(config.audio_config.audiogen_end_token_id)

    @property
    def room(self) -> int:
        """Tokens that the model reads and writes at most."""
        return int(self.model.config.max_position_embeddings)

    @property
    def suppressed(self) -> tuple[int, ...]:
        """As in `Network`; in an answer that is text alone nothing is spoken either."""
        return (*self.placeholder_ids, self.speaking)

    def prefill(self, rows: Sequence[Inputs]) -> Prefill:
        """Prefill conversations as one batch."""
        import torch

        device = self.model.get_input_embeddings().weight.device
        with torch.inference_mode():
            ids, mask = left_padded([row.ids.to(device) for row in rows], self._padding)
            sounds = [self._sound_codes(row, device) for row in rows if row.sounds is not None]
            videos = [frame.to(device) for row in rows for frame in row.frames]
            with last_scores(self.model.get_output_embeddings(), 1):
                out = self.model(
                    input_ids=ids,
                    attention_mask=mask,
                    # The published code counts positions from one.
                    position_ids=mask.cumsum(dim=1),
                    audios_tokens=torch.cat(sounds) if sounds else None,
                    videos=videos or None,
                    videos_patch_nums=[count for row in rows for count in row.frame_tokens] or None,
                    videos_grid=[grid for row in rows for grid in row.frame_grids] or None,
                    use_cache=True,
                    return_dict=True,
                )
        return Prefill(out.logits[:, -1].float(), mask, mask.sum(dim=1) + 1, out.past_key_values)

    def step(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> Step:
        """As in `Network`."""
        out = self.forward(ids, mask, positions, cache, None)
        return Step(out.logits.float(), out.past_key_values)

    def forward(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any, codes: Tensor | None) -> Any:
        """The published output after further tokens.

        Args:
            ids, mask, positions, cache: as in `step`.
            codes: of the speech that the tokens stand for, [tokens, codebooks].
        """
        import torch

        with torch.inference_mode():
            return self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                audios_tokens=codes,
                use_cache=True,
                return_dict=True,
            )

    def repeat_cache(self, cache: Any, count: int) -> Any:
        """As in `Network`."""
        return tuple(tuple(part.repeat_interleave(count, dim=0) for part in layer) for layer in cache)

    @property
    def _padding(self) -> int:
        pad = self.tokenizer.pad_token_id
        return self.ends[0] if pad is None or pad in self.placeholder_ids else int(pad)

    def _sound_codes(self, row: Inputs, device: Any) -> Tensor:
        """Codes of a conversation's sounds, [tokens, codebooks]."""
        assert row.sounds is not None
        sounds = row.sounds
        return self.model.audio_tokenizer(
            sounds.features.to(device), sounds.states.to(device), sounds.tokens.to(device)
        )
