"""The eyes and ears of Qwen2.5-Omni: what its encoders give for a clip, each stream encoded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from avemo_harness.benchmark.release import Clip
from avemo_harness.errors import GenerationError
from avemo_harness.models.perception import Recent
from avemo_harness.models.qwen_prompt import Piece, PromptBuilder

if TYPE_CHECKING:
    from torch import Tensor

ENCODED_BYTES = 2**30
SILENCE_AFTER = 400
"""Zero samples after the sound, so that no window of the last mel frames is cut; more of them change nothing."""


class ClipEncoder:
    """Encodes one clip at a time, so that no clip's features depend on another's.

    Args:
        model: a `Qwen2_5OmniThinkerForConditionalGeneration`.
        builder: made the prompts whose clips are encoded.
        remembered_bytes: room for features; conditions that share a stream share them. 0 encodes every time.

    Attributes:
        streams_encoded: how many streams went through an encoder.
    """

    def __init__(self, model: Any, builder: PromptBuilder, remembered_bytes: int = ENCODED_BYTES) -> None:
        self.model, self.builder = model, builder
        self.streams_encoded = 0
        self._keep = remembered_bytes > 0
        self._encoded: Recent[str, Tensor] = Recent(remembered_bytes, lambda tensor: tensor.nbytes)

    def forget(self) -> None:
        """Give back the memory of features."""
        self._encoded.clear()

    def knows(self, stream: str) -> bool:
        """Whether a stream needs no encoding any more."""
        return stream in self._encoded

    def features(self, piece: Piece) -> list[tuple[int, Tensor]]:
        """What the encoders give for a clip's video and sound: (media token, [its count, hidden]).

        Raises:
            MediaError: the clip is missing or damaged.
            GenerationError: an encoder gives another number of features than the clip has places.
        """
        assert piece.clip is not None
        assert piece.streams is not None
        config, clip, found = self.model.config, piece.clip, []
        if piece.streams.video is not None:
            found.append((config.video_token_id, self._once(piece.streams.video, lambda: self._seen(clip))))
        if piece.streams.sound is not None:
            found.append((config.audio_token_id, self._once(piece.streams.sound, lambda: self._heard(clip))))
        for token, features in found:
            if len(features) != (places := int((piece.ids == token).sum())):
                raise GenerationError(f"{clip.name}: {len(features)} features for {places} places in the prompt")
        return found

    def _once(self, stream: str, encode: Callable[[], Tensor]) -> Tensor:
        return self._encoded.get(stream, encode) if self._keep else encode()

    def _seen(self, clip: Clip) -> Tensor:
        import torch

        video = self.builder.processor.video_processor(
            videos=[self.builder.perception.frames(clip)],
            size={"shortest_edge": self.builder.size.least, "longest_edge": self.builder.size.most},
            do_sample_frames=False,
            cap_pixels_per_frame=False,
            return_tensors="pt",
        )
        self.streams_encoded += 1
        features = self.model.get_video_features(
            video["pixel_values_videos"].to(self.model.device, self.model.dtype),
            video["video_grid_thw"].to(self.model.device),
        )
        return torch.cat(list(features.pooler_output))

    def _heard(self, clip: Clip) -> Tensor:
        sound = self.builder.perception.sound(clip)
        assert sound is not None
        extractor = self.builder.processor.feature_extractor
        mels = -(-len(sound) // extractor.hop_length)
        # Padding to the 300 s of the published processor costs a hundred times as much and gives the same.
        heard = extractor(
            sound,
            sampling_rate=extractor.sampling_rate,
            padding="max_length",
            max_length=mels * extractor.hop_length + SILENCE_AFTER,
            return_attention_mask=True,
            return_tensors="pt",
        )
        self.streams_encoded += 1
        features: Tensor = self.model.get_audio_features(
            heard["input_features"][:, :, :mels].to(self.model.device, self.model.dtype),
            heard["attention_mask"][:, :mels].to(self.model.device),
        ).last_hidden_state
        return features
