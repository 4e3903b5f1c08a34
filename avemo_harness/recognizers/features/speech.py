"""Features of the voice from speech encoders of transformers (WavLM, wav2vec 2.0, HuBERT), by window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.errors import UsageError, first_line
from avemo_harness.metrics.trajectory import step_times
from avemo_harness.recognizers.features.base import RATE_HZ, Features
from avemo_harness.recognizers.features.pretrained import PretrainedExtractor
from avemo_harness.recognizers.recordings import Modality, Recording
from avemo_harness.torch_setup import DType, Weights, import_transformers, quiet_loading

RATE = 16_000
ROW_SAMPLES = int(RATE / RATE_HZ)

WINDOW_ROWS = 40
"""A longer sound is encoded 20 seconds at a time, which bounds memory."""
CONTEXT_ROWS = 8
"""Context that is encoded before and after such a window besides: 4 seconds."""

_SHORTEST = 1_600
"""A shorter sound is filled up with silence: encoders need 25 ms for their first frame."""

Samples = NDArray[np.float32]


def recording_sound(streams: Recording, extractor: str) -> Samples:
    """The sound of a recording at 16 kHz, at least a tenth of a second of it.

    Raises:
        MediaError: it has no sound, or cannot be read.
    """
    sound = media.decode_sound(streams.require_sound(extractor).read(), rate=RATE)
    return np.pad(sound, (0, max(0, _SHORTEST - len(sound))))


def windowed_rows(
    sound: Samples,
    count: int,
    encode: Callable[[Samples], NDArray[np.float32]],
    frame_middles: Callable[[int], NDArray[np.int64]],
) -> Features:
    """The mean of an encoder's frames over each half second of a sound.

    Args:
        sound: at 16 kHz, long enough for one frame.
        count: rows to give; those after the sound repeat the last one.
        encode: gives the frames of a stretch of sound, (frames, width).
        frame_middles: the sample in the middle of each of that many frames.
    """
    sums: NDArray[np.float64] | None = None
    frames = np.zeros(count)
    for start, samples in _windows(len(sound), count):
        states = encode(sound[samples])
        rows = (samples.start + frame_middles(len(states))) // ROW_SAMPLES
        own = (rows >= start) & (rows < min(start + WINDOW_ROWS, count))
        if sums is None:
            sums = np.zeros((count, states.shape[1]))
        np.add.at(sums, rows[own], states[own])
        np.add.at(frames, rows[own], 1)
    assert sums is not None
    filled = np.flatnonzero(frames)
    nearest = filled[np.maximum(np.searchsorted(filled, np.arange(count), side="right") - 1, 0)]
    means: NDArray[np.float64] = sums[nearest] / frames[nearest, None]
    return means.astype(np.float32)


def _windows(length: int, count: int) -> Iterator[tuple[int, slice]]:
    """First row of each window, and the samples that are encoded for it with their context."""
    for start in range(0, min(count, -(-length // ROW_SAMPLES)), WINDOW_ROWS):
        first = max(0, start - CONTEXT_ROWS) * ROW_SAMPLES
        yield start, slice(first, min(length, (start + WINDOW_ROWS + CONTEXT_ROWS) * ROW_SAMPLES))


_DIMENSIONS = 3
_SPAN_ROWS = 6
SPAN_BATCH = 16
"""Spans of 3 seconds that a network is given at once."""


def spans_around_rows(sound: Samples, count: int) -> tuple[list[Samples], NDArray[np.intp]]:
    """The 3 seconds around each half second of a sound, or all of a shorter sound.

    Args:
        sound: at 16 kHz.
        count: rows to give.

    Returns:
        Different spans, all of one length, and the number of the span of each row, (count,): rows near the edges share
        one.
    """
    length = min(_SPAN_ROWS * ROW_SAMPLES, len(sound))
    starts = (np.round(step_times(count, RATE_HZ) * RATE) - length // 2).clip(0, len(sound) - length).astype(int)
    different, span_of = np.unique(starts, return_inverse=True)
    return [sound[start : start + length] for start in different], span_of


def published_processor(weights: Weights) -> Any:
    """The published feature extractor of a speech network, for sound at 16 kHz.

    Raises:
        UsageError: there is none, or it is for another rate.
    """
    try:
        with quiet_loading():
            processor = import_transformers().AutoFeatureExtractor.from_pretrained(
                weights.path, revision=weights.revision, trust_remote_code=False
            )
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{weights.path}: its preprocessor_config.json cannot be used ({first_line(error)}); restore it"
        ) from error
    if getattr(processor, "sampling_rate", RATE) != RATE:
        raise UsageError(
            f"{weights.path}: it hears {processor.sampling_rate} Hz, not {RATE}; give another `pretrained`"
        )
    return processor


def normalised_sounds(processor: Any, sounds: Sequence[Samples]) -> list[Samples]:
    """Sounds as an encoder of waveforms takes them, each by itself; their lengths stay."""
    values = (processor(sound, sampling_rate=RATE, return_tensors="np").input_values[0] for sound in sounds)
    return [np.asarray(one, dtype=np.float32) for one in values]


@dataclass(frozen=True, slots=True)
class SpeechArguments:
    """
    Args:
        pretrained: Hub id or folder of WavLM, wav2vec 2.0 or HuBERT.
        revision: branch, tag or commit of a Hub id.
        layer: which of its layers, 0 the first one's input, -1 the last one's output; ``mean`` of all of them.
        dtype: that it computes in.
        device: where it runs; None takes the GPU of this process, else the CPU.
    """

    pretrained: str = "microsoft/wavlm-base-plus"
    revision: str | None = None
    layer: int | Literal["mean"] = -1
    dtype: DType = "float32"
    device: str | None = None


@dataclass(frozen=True, slots=True)
class SpeechDimensionsArguments:
    """
    Args:
        pretrained: Hub id or folder of wav2vec 2.0 with a regression head.
        revision: branch, tag or commit of a Hub id.
        dtype: that it computes in.
        device: where it runs; None takes the GPU of this process, else the CPU.
    """

    pretrained: str = "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim"
    revision: str | None = None
    dtype: DType = "float32"
    device: str | None = None


class _SpeechExtractor(PretrainedExtractor):
    modality: Modality = "audio"

    def _size(self, name: str) -> int:
        size = self._config.get(name)
        if not isinstance(size, int) or "conv_kernel" not in self._config:
            raise UsageError(f"{self._weights.path}: not WavLM, wav2vec 2.0 or HuBERT; give another `pretrained`")
        return size

    @cached_property
    def _processor(self) -> Any:
        return published_processor(self._weights)


class SpeechEncoder(_SpeechExtractor):
    """Hidden states of a speech encoder, the mean over each half second."""

    Arguments = SpeechArguments
    name = "wavlm"
    decisive = ("layer",)
    may_lack = ("masked_spec_embed",)

    def __init__(self, arguments: SpeechArguments) -> None:
        super().__init__(arguments)
        layer, layers = arguments.layer, self._size("num_hidden_layers")
        if layer != "mean" and not -layers - 1 <= layer <= layers:
            raise UsageError(f"wavlm: layer={layer}: {arguments.pretrained} has the layers 0 to {layers}")

    @property
    def width(self) -> int:
        return self._size("hidden_size")

    def extract(self, streams: Recording, count: int, view: Modality) -> Features:
        del view
        (sound,) = normalised_sounds(self._processor, [recording_sound(streams, self.name)])
        return windowed_rows(sound, count, self._states, self._frame_middles)

    def _states(self, sound: Samples) -> NDArray[np.float32]:
        """Hidden states of a stretch of sound, (frames, width)."""
        import torch

        with torch.inference_mode():
            values = torch.from_numpy(sound)[None].to(self._model.device, self._model.dtype)
            states = self._model(values, output_hidden_states=True).hidden_states
            layer = self._arguments.layer
            chosen = torch.stack(states).float().mean(dim=0) if layer == "mean" else states[layer].float()
            return chosen[0].cpu().numpy()

    def _frame_middles(self, count: int) -> NDArray[np.int64]:
        """The sample in the middle of what each frame's convolutions see."""
        field, hop = 1, 1
        for kernel, stride in zip(self._config["conv_kernel"], self._config["conv_stride"], strict=True):
            field, hop = field + (kernel - 1) * hop, hop * stride
        return np.arange(count, dtype=np.int64) * hop + field // 2

    def _model_class(self) -> Any:
        return import_transformers().AutoModel


class SpeechDimensions(_SpeechExtractor):
    """The pooled hidden state of a dimensional emotion model, and its arousal, dominance and valence, about 0 to 1.

    Each row is of the 3 seconds around it, or of the whole sound where that is shorter. See "Dawn of the transformer
    era in speech emotion recognition", arXiv 2203.07378.
    """

    Arguments = SpeechDimensionsArguments
    name = "wav2vec2-dim"
    may_lack = ("wav2vec2.masked_spec_embed",)

    @property
    def width(self) -> int:
        return self._size("hidden_size") + _DIMENSIONS

    def extract(self, streams: Recording, count: int, view: Modality) -> Features:
        del view
        spans, span_of = spans_around_rows(recording_sound(streams, self.name), count)
        parts = [self._describe(spans[at : at + SPAN_BATCH]) for at in range(0, len(spans), SPAN_BATCH)]
        return np.concatenate(parts)[span_of].astype(np.float32)

    def _describe(self, spans: list[Samples]) -> NDArray[np.float32]:
        """Pooled hidden states and dimensions of spans of one length, (spans, width)."""
        import torch

        with torch.inference_mode():
            values = torch.from_numpy(np.stack(normalised_sounds(self._processor, spans)))
            found = self._model(values.to(self._model.device, self._model.dtype))
            rows: NDArray[np.float32] = found.float().cpu().numpy()
            return rows

    def _model_class(self) -> Any:
        return regression_class("wav2vec2", _DIMENSIONS)


SPEECH_FAMILIES = {"wav2vec2": "Wav2Vec2", "wavlm": "WavLM", "hubert": "Hubert"}
"""Model types whose encoders can have a regression head, with the names of their classes in transformers."""


def regression_class(model_type: str, outputs: int) -> Any:
    """A speech encoder whose pooled output goes through a dense layer, tanh and a linear layer, named as published.

    Its instances give the pooled output and the outputs of the head side by side, (B, width + outputs).

    Args:
        model_type: one of `SPEECH_FAMILIES`.
    """
    import torch

    transformers = import_transformers()
    family = SPEECH_FAMILIES[model_type]
    base: Any = getattr(transformers, f"{family}PreTrainedModel")

    class Head(torch.nn.Module):
        def __init__(self, config: Any) -> None:
            super().__init__()
            self.dense = torch.nn.Linear(config.hidden_size, config.hidden_size)
            self.out_proj = torch.nn.Linear(config.hidden_size, outputs)

        def forward(self, pooled: torch.Tensor) -> Any:
            return self.out_proj(torch.tanh(self.dense(pooled)))

    class SpeechRegression(base):  # type: ignore[misc]  # (the base is only known when transformers is imported)
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            setattr(self, model_type, getattr(transformers, f"{family}Model")(config))
            self.classifier = Head(config)
            self.post_init()

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            pooled = getattr(self, model_type)(values).last_hidden_state.mean(dim=1)
            return torch.cat([pooled, self.classifier(pooled)], dim=1)

    return SpeechRegression
