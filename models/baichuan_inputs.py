"""What Baichuan-Omni-1.5 reads: its own processor, given scratch copies of clips, since it writes beside them."""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Message
from avemo_harness.errors import GenerationError
from avemo_harness.models.baichuan_prompt import ClipFiles, Hearing, prompt
from avemo_harness.models.perception import SOUND_RATE, Perception

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Sounds:
    """Sounds of a conversation as the encoder takes them: [k, mels, frames], and lengths [k] after its two stages."""

    features: Tensor
    states: Tensor
    tokens: Tensor


@dataclass(frozen=True, slots=True)
class Inputs:
    """One conversation up to the model's answer.

    Args:
        ids: tokens [n].
        frames: patches of each frame, [patches, values].
        frame_tokens: tokens of each frame.
        frame_grids: patches (time, height, width) of each frame.
        streams: whether any clip has video, and any sound.
    """

    ids: Tensor
    sounds: Sounds | None
    frames: tuple[Tensor, ...]
    frame_tokens: tuple[int, ...]
    frame_grids: tuple[tuple[int, int, int], ...]
    streams: tuple[bool, bool]

    @property
    def length(self) -> int:
        """Tokens that are to be read."""
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        heard = 0 if self.sounds is None else self.sounds.features.nbytes
        return int(self.ids.nbytes + heard + sum(frame.nbytes for frame in self.frames))


class InputBuilder:
    """Makes inputs of conversations.

    Args:
        processor: as the published code binds it to the model.
        hearing: how long a sound must be.
    """

    def __init__(self, processor: Any, perception: Perception, hearing: Hearing) -> None:
        self._processor, self._perception, self._hearing = processor, perception, hearing

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
        videos = any(one.video is not None for one in written)
        return _inputs(made, (videos, any(one.sound is not None for one in written)))

    def _write(self, clip: Clip, place: Path) -> ClipFiles:
        streams = self._perception.streams(clip)
        video = sound = None
        if streams.video is not None:
            video = place.with_suffix(".mp4")
            video.write_bytes(clip.read())
        samples = self._perception.sound(clip)
        if samples is not None:
            if not self._hearing.tokens(len(samples)):
                raise GenerationError(f"{clip.name}: its sound of {len(samples)} samples is too short to be heard")
            sound = place.with_suffix(".wav")
            write_wav(sound, samples)
        return ClipFiles(video, sound)

    def _processed(self, text: str) -> Any:
        """The processor's output; what it prints before it fails becomes the error."""
        said = io.StringIO()
        try:
            with redirect_stdout(said):
                return self._processor([text])
        except AssertionError as error:
            why = said.getvalue().strip().splitlines()
            raise GenerationError(
                f"the model's processor cannot read a clip: {why[0] if why else 'it does not say why'}"
            ) from error


def write_wav(path: Path, sound: NDArray[np.float32]) -> None:
    """Write mono sound at 16 kHz, float [n] with full scale at 1, as 16-bit WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SOUND_RATE)
        file.writeframes((np.clip(sound, -1.0, 1.0) * 32767).round().astype("<i2").tobytes())


def _inputs(made: Any, streams: tuple[bool, bool]) -> Inputs:
    sounds = None if made.audios is None else Sounds(made.audios, made.encoder_length, made.bridge_length)
    return Inputs(
        ids=made.input_ids[0],
        sounds=sounds,
        frames=tuple(made.videos or ()),
        frame_tokens=tuple(int(count) for count in (() if made.videos is None else made.videos_patch_nums)),
        frame_grids=tuple(made.videos_grid or ()),
        streams=streams,
    )
