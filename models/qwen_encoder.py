"""Features of clips for Qwen2.5-Omni: frames scaled and mel spectra made ahead, several clips encoded in a pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from avemo_harness.benchmark.release import Clip
from avemo_harness.errors import GenerationError, MediaError
from avemo_harness.lru_cache import LruCache
from avemo_harness.models.decoding import left_padded
from avemo_harness.models.qwen_prompt import Piece, PromptBuilder, tokens_of_mels
from avemo_harness.phases import phase

if TYPE_CHECKING:
    from torch import Tensor

ENCODED_BYTES = 2**30
"""Room for features."""
PREPARED_BYTES = 2**31
"""Room for what encoders take in, between being prepared and being encoded; what does not fit is made again."""
PATCHES_AT_ONCE, MELS_AT_ONCE = 2**15, 30_000
"""Most patches and mel frames of one pass, but for a single clip: 20 s of 640 x 480 pixels, and five minutes."""
SILENCE_AFTER = 400
"""Zero samples after the sound, so that no window of the last mel frames is cut; more of them change nothing."""


@dataclass(frozen=True, slots=True)
class EncoderInput:
    """A stream as its encoder takes it in, on the CPU and in the model's dtype.

    Args:
        values: of a video its patches, [patches, values]; of a sound its log-mel spectrum, [mel bins, frames].
        grid: (time, height, width) of a video in patches; None for sound.
    """

    values: Tensor
    grid: tuple[int, int, int] | None

    @property
    def size(self) -> int:
        """Patches or mel frames."""
        return len(self.values) if self.grid is not None else int(self.values.shape[1])


class ClipEncoder:
    """Encodes the streams of clips. `prepare` may be called from other threads, while others are encoded.

    A clip's features do not depend, in float32, on what it is encoded with.

    Args:
        model: a `Qwen2_5OmniThinkerForConditionalGeneration`.
        builder: made the prompts whose clips are encoded.
        remembered_bytes: room for features; conditions that share a stream share them. 0 encodes every time.

    Attributes:
        streams_encoded: how many streams went through an encoder.
        passes: how many times an encoder ran.
    """

    def __init__(self, model: Any, builder: PromptBuilder, remembered_bytes: int = ENCODED_BYTES) -> None:
        self.model, self.builder = model, builder
        self.streams_encoded = self.passes = 0
        self.remembers = remembered_bytes > 0
        self._encoded: LruCache[str, Tensor] = LruCache(remembered_bytes, lambda tensor: tensor.nbytes)
        self._inputs: LruCache[str, EncoderInput] = LruCache(PREPARED_BYTES, lambda made: made.values.nbytes)

    def forget(self) -> None:
        """Give back the memory of features."""
        self._encoded.clear()

    def knows(self, stream: str) -> bool:
        """True for a stream that is encoded already."""
        return stream in self._encoded

    def prepare(self, piece: Piece) -> None:
        """Scale frames and compute mel spectra of a clip ahead; what fails is left to whoever encodes it."""
        for stream, clip, is_video in _streams(piece):
            if not (self.remembers and self.knows(stream)):
                with suppress(MediaError, GenerationError):
                    self._input(stream, clip, is_video)

    def encode(self, pieces: Sequence[Piece]) -> dict[str, Tensor]:
        """Features of every clip of some pieces, [its tokens, hidden] by stream; several clips go through at once.

        Raises:
            MediaError: a clip is missing or damaged.
            GenerationError: an encoder gives another number of features than a clip has placeholders.
        """
        wanted = {stream: (clip, is_video) for piece in pieces for stream, clip, is_video in _streams(piece)}
        found = {
            stream: self._encoded.get(stream, partial(self._encode_alone, stream, *of_clip))
            for stream, of_clip in wanted.items()
            if self.remembers and self.knows(stream)
        }
        for is_video, most in ((True, PATCHES_AT_ONCE), (False, MELS_AT_ONCE)):
            new = [(s, clip) for s, (clip, of_video) in wanted.items() if of_video == is_video and s not in found]
            for streams, inputs in self._batches(new, is_video, most):
                for stream, features in zip(streams, self._encode(inputs), strict=True):
                    found[stream] = self._kept(stream, features)
        for piece in pieces:
            self._check(piece, found)
        return found

    def features(self, piece: Piece, found: Mapping[str, Tensor]) -> Iterator[tuple[int, Tensor]]:
        """The media tokens of a clip with their features, of those that `encode` found."""
        config = self.model.config
        for stream, _, is_video in _streams(piece):
            yield config.video_token_id if is_video else config.audio_token_id, found[stream]

    def _check(self, piece: Piece, found: Mapping[str, Tensor]) -> None:
        for token, features in self.features(piece, found):
            assert piece.clip is not None
            if len(features) != (places := int((piece.ids == token).sum())):
                raise GenerationError(f"{piece.clip.name}: {len(features)} features for {places} places in the prompt")

    def _batches(
        self, new: Sequence[tuple[str, Clip]], is_video: bool, most: int
    ) -> Iterator[tuple[list[str], list[EncoderInput]]]:
        """Streams that go through an encoder at once, with what it takes in."""
        streams: list[str] = []
        inputs: list[EncoderInput] = []
        for stream, clip in new:
            made = self._input(stream, clip, is_video)
            if not is_video and made.size <= self._chunk:
                # A convolution over one chunk is computed otherwise than one over several: other last bits.
                yield [stream], [made]
                continue
            if inputs and sum(one.size for one in inputs) + made.size > most:
                yield streams, inputs
                streams, inputs = [], []
            streams.append(stream)
            inputs.append(made)
        if inputs:
            yield streams, inputs

    @property
    def _chunk(self) -> int:
        """Mel frames that the encoder of sound takes in at once."""
        return 2 * int(self.model.config.audio_config.n_window)

    def _input(self, stream: str, clip: Clip, is_video: bool) -> EncoderInput:
        with phase("prepare"):
            return self._inputs.get(stream, lambda: self._patches(clip) if is_video else self._spectrum(clip))

    def _kept(self, stream: str, features: Tensor) -> Tensor:
        if not self.remembers:
            return features
        self._inputs.discard(stream)
        return self._encoded.get(stream, lambda: features)

    def _encode_alone(self, stream: str, clip: Clip, is_video: bool) -> Tensor:
        (features,) = self._encode([self._input(stream, clip, is_video)])
        return features

    @phase("encode")
    def _encode(self, inputs: Sequence[EncoderInput]) -> list[Tensor]:
        """Features of streams of one kind, in one pass."""
        import torch

        device = self.model.device
        # From pinned memory, copies run beside what the GPU computes.
        values = [one.values.to(device, non_blocking=True) for one in inputs]
        self.streams_encoded += len(inputs)
        self.passes += 1
        grids = [one.grid for one in inputs if one.grid is not None]
        if grids:
            features = self.model.get_video_features(torch.cat(values), torch.tensor(grids, device=device))
            return list(features.pooler_output)
        padded, mask = left_padded([one.T for one in values], 0.0)
        features = self.model.get_audio_features(padded.transpose(1, 2), mask).last_hidden_state
        return list(features.split([tokens_of_mels(one.size) for one in inputs]))

    def _patches(self, clip: Clip) -> EncoderInput:
        video = self.builder.processor.video_processor(
            videos=[self.builder.decoder.frames(clip)],
            size={"shortest_edge": self.builder.min_pixels, "longest_edge": self.builder.max_pixels},
            do_sample_frames=False,
            cap_pixels_per_frame=False,
            return_tensors="pt",
        )
        time, height, width = video["video_grid_thw"][0].tolist()
        return EncoderInput(self._ready(video["pixel_values_videos"]), (time, height, width))

    def _spectrum(self, clip: Clip) -> EncoderInput:
        sound = self.builder.decoder.sound(clip)
        assert sound is not None
        extractor = self.builder.processor.feature_extractor
        mels = -(-len(sound) // extractor.hop_length)
        # Padding to the 300 s of the published processor costs a hundred times as much and gives the same.
        mel = extractor(
            sound,
            sampling_rate=extractor.sampling_rate,
            padding="max_length",
            max_length=mels * extractor.hop_length + SILENCE_AFTER,
            return_attention_mask=True,
            return_tensors="pt",
        )
        heard = mel["attention_mask"][0, :mels].bool()
        return EncoderInput(self._ready(mel["input_features"][0, :, :mels][:, heard]), None)

    def _ready(self, values: Tensor) -> Tensor:
        """Values as they go to the encoder: in its dtype, and where a GPU fetches them without waiting."""
        made = values.to(self.model.dtype).contiguous()
        return made.pin_memory() if self.model.device.type == "cuda" else made


def _streams(piece: Piece) -> Iterator[tuple[str, Clip, bool]]:
    """The digest of each stream of a piece that is a clip, the clip, and True for video."""
    if piece.clip is not None and piece.streams is not None:
        for stream, is_video in ((piece.streams.video, True), (piece.streams.sound, False)):
            if stream is not None:
                yield stream, piece.clip, is_video
