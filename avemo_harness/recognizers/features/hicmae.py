"""Features of voice and face together from HiCMAE (arXiv 2401.05698), and Kaldi's filter bank for it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import UsageError, first_line
from avemo_harness.metrics.classification import Floats
from avemo_harness.recognizers.features.base import RATE_HZ, Features
from avemo_harness.recognizers.features.face_encoders import (
    Crop,
    ImageNormalization,
    face_frames,
    frame_windows,
    repeat_last_row,
)
from avemo_harness.recognizers.features.speech import ROW_SAMPLES, recording_sound
from avemo_harness.recognizers.recordings import Modality, Recording
from avemo_harness.torch_setup import file_digest, own_device, repair_torchvision

FBANK_RATE = 16_000
FBANK_FRAMES_PER_SECOND = 100
_LENGTH, _SHIFT, _FFT = 400, 160, 512
_PREEMPHASIS = 0.97
_LOWEST_HZ = 20.0
_FLOOR = float(np.finfo(np.float32).eps)
_BLOCK = 6_000
"""Frames that are worked on at once: a minute."""


def kaldi_fbank(sound: NDArray[np.float32], bands: int) -> NDArray[np.float32]:
    """Energies in bands of the mel scale, in natural logarithms.

    Frames of 25 ms every 10 ms, without their mean, with pre-emphasis .97 and a Hann window that ends in zeros; only
    whole frames (``snip_edges``). As `compute-fbank-feats` of Kaldi does with ``--window-type=hanning --dither=0``.

    Args:
        sound: mono at 16 kHz, (n,), on any scale.
        bands: from 20 Hz to 8 kHz.

    Returns:
        float32 (frames, bands), ``max(0, 1 + (n - 400) // 160)`` frames; at least ln 1.19e-7.
    """
    if len(sound) < _LENGTH:
        return np.empty((0, bands), dtype=np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(sound, _LENGTH)[::_SHIFT]
    parts = [_energies(frames[at : at + _BLOCK], bands) for at in range(0, len(frames), _BLOCK)]
    return np.log(np.maximum(np.concatenate(parts), _FLOOR)).astype(np.float32)


def _energies(frames: NDArray[np.float32], bands: int) -> Floats:
    centred = frames.astype(np.float64)
    centred -= centred.mean(axis=1, keepdims=True)
    before = np.concatenate([centred[:, :1], centred[:, :-1]], axis=1)
    spectrum = np.fft.rfft((centred - _PREEMPHASIS * before) * np.hanning(_LENGTH), _FFT)
    energies: Floats = (np.abs(spectrum) ** 2) @ _bank(bands).T
    return energies


@lru_cache(maxsize=4)
def _bank(bands: int) -> Floats:
    """Triangles that overlap by half and are straight on the mel scale, (bands, bins); none reaches 8 kHz itself."""
    edges = np.linspace(_mel(np.array(_LOWEST_HZ)), _mel(np.array(FBANK_RATE / 2)), bands + 2)
    left, middle, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = _mel(np.arange(_FFT // 2 + 1) * FBANK_RATE / _FFT)
    rising, falling = (bins - left) / (middle - left), (right - bins) / (right - middle)
    bank: Floats = np.maximum(0.0, np.minimum(rising, falling))
    bank[:, -1] = 0.0
    return bank


def _mel(hz: Floats) -> Floats:
    return 1127.0 * np.log1p(hz / 700.0)


MODEL = "avit_dim512_patch16_160_a256"
_CODE = "modeling_finetune_av.py"
_DEPTHS = {"depth": 10, "depth_audio": 10, "fusion_depth": 2}
_ONLY_FINE_TUNED = ("fc_norm.", "head.", "video_layer_weights", "audio_layer_weights")
"""Weights that a pre-trained checkpoint lacks: a norm that is neutral then, and equal shares of the layers."""

WIDTH = 4 * 512
FRAMES, FPS = 16, 25 / 3
"""Of video: 16 frames 120 ms apart, as in the authors' regression (every third of 25 a second)."""
SOUND_FRAMES, BANDS = 256, 128
"""Of sound: 2.56 seconds of Kaldi's filter bank."""
_EYE = ImageNormalization(side=160, mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))
_SOUND_MEAN, _SOUND_DEVIATION = -4.2677393, 4.5689974
"""Of filter banks of AudioSet, which the authors normalise with."""
_BATCH = 4

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class HiCMAEArguments:
    """
    Args:
        checkout: folder of the authors' code.
        checkpoint: file of weights of HiCMAE-B, pre-trained or fine-tuned.
        crop: ``centre`` or ``whole``.
        device: where it runs; None takes the GPU of this process, else the CPU.
    """

    checkout: Path
    checkpoint: Path
    crop: Crop = "centre"
    device: str | None = None


class HiCMAE:
    """Voice, face, and both after fusion: four blocks of 512 numbers, after their common normalisation.

    Each row is of 2.56 s of sound and 1.92 s of video around it. The network takes both streams: one that is hidden is
    shown as zeros, which is the mean picture or the mean spectrum of its training.
    """

    Arguments = HiCMAEArguments
    modality: Modality = "both"
    width = WIDTH

    def __init__(self, arguments: HiCMAEArguments) -> None:
        self._arguments = arguments
        self._code = arguments.checkout.expanduser() / _CODE
        self._checkpoint = arguments.checkpoint.expanduser()
        if not self._code.is_file():
            raise UsageError(
                f"hicmae: {arguments.checkout} has no {_CODE}; give checkout=FOLDER, a clone of "
                "https://github.com/sunlicai/HiCMAE"
            )
        if not self._checkpoint.is_file():
            raise UsageError(f"hicmae: {arguments.checkpoint}: no such file; download it as the authors' README says")

    def identity(self) -> Mapping[str, str]:
        return {
            "extractor": "hicmae",
            "version": "1",
            "code": f"sha256:{file_digest(self._code)}",
            "weights": f"sha256:{file_digest(self._checkpoint)}",
            "crop": self._arguments.crop,
        }

    def extract(self, streams: Recording, count: int, view: Modality) -> Features:
        import torch

        sound = _sound_windows(streams, count) if view != "video" else None
        video = self._video_windows(streams, count) if view != "audio" else None
        parts = []
        with torch.inference_mode():
            for at in range(0, count, _BATCH):
                rows = np.arange(at, min(at + _BATCH, count))
                frames = torch.from_numpy(_video_input(video, rows)).to(self._device)
                bands = torch.from_numpy(_sound_input(sound, rows)).to(self._device)
                _, features = self._model(frames, bands, save_feature=True)
                parts.append(features.float().cpu().numpy())
        return np.concatenate(parts)

    def _video_windows(self, streams: Recording, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Frames of the recording, and which of them each row shows."""
        frames = face_frames(streams, "hicmae", FPS, _EYE.side, self._arguments.crop)
        windows = frame_windows(len(frames), FPS, FRAMES, count)
        return frames, windows[np.minimum(np.arange(count), len(windows) - 1)]

    @cached_property
    def _device(self) -> str:
        return self._arguments.device or own_device()

    @cached_property
    def _model(self) -> Any:
        code, weights = _import_code(self._code), _read_weights(self._checkpoint)
        with redirect_stdout(sys.stderr):
            model = getattr(code, MODEL)(num_classes=0, all_frames=FRAMES, tubelet_size=2, init_values=0.0, **_DEPTHS)
        try:
            missing = model.load_state_dict(weights, strict=False).missing_keys
        except RuntimeError as error:
            raise UsageError(f"hicmae: {self._checkpoint}: not weights of {MODEL} ({first_line(error)})") from error
        if lacking := [name for name in missing if not name.startswith(_ONLY_FINE_TUNED)]:
            raise UsageError(
                f"hicmae: {self._checkpoint}: not weights of {MODEL}: {len(lacking)} are missing, such as {lacking[0]}"
            )
        return model.eval().requires_grad_(False).to(self._device)


def _sound_windows(streams: Recording, count: int) -> Values:
    """Normalised filter banks around each row, (rows, 256, 128); what lies beyond the sound is as the authors pad it.

    They subtract the mean of the sound first; a frame of the filter bank is without its mean anyway.
    """
    sound = recording_sound(streams, "hicmae")
    rows = min(count, -(-len(sound) // ROW_SAMPLES))
    half = SOUND_FRAMES // 2
    bands = np.pad(kaldi_fbank(sound, BANDS), ((half, SOUND_FRAMES), (0, 0)))
    bands = (bands - np.float32(_SOUND_MEAN)) / np.float32(2 * _SOUND_DEVIATION)
    starts = [int((row + 0.5) / RATE_HZ * FBANK_FRAMES_PER_SECOND) for row in range(rows)]
    return repeat_last_row(np.stack([bands[start : start + SOUND_FRAMES] for start in starts]), count)


def _sound_input(windows: Values | None, rows: NDArray[np.int64]) -> Values:
    """Spectrograms for some rows, the network's audio input, (rows, 1, 256, 128)."""
    if windows is None:
        return np.zeros((len(rows), 1, SOUND_FRAMES, BANDS), dtype=np.float32)
    return windows[rows][:, None]


def _video_input(video: tuple[NDArray[np.uint8], NDArray[np.int64]] | None, rows: NDArray[np.int64]) -> Values:
    """Frames for some rows, the network's video input, (rows, 3, 16, 160, 160)."""
    if video is None:
        return np.zeros((len(rows), 3, FRAMES, _EYE.side, _EYE.side), dtype=np.float32)
    frames, windows = video
    return np.ascontiguousarray(_EYE.normalised(frames[windows[rows]]).swapaxes(1, 2))


def _import_code(path: Path) -> Any:
    spec = spec_from_file_location("hicmae_checkout", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    repair_torchvision()
    sys.modules[spec.name] = module  # (timm looks up where a network that registers itself was defined)
    try:
        with redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except Exception as error:  # importing runs the checkout's own code, which may raise anything
        raise UsageError(
            f"hicmae: {path} cannot be imported ({type(error).__name__}: {first_line(error)}); it needs the packages "
            "einops and timm: pip install einops timm"
        ) from error
    if not hasattr(module, MODEL):
        raise UsageError(f"hicmae: {path} has no {MODEL}; give a clone of https://github.com/sunlicai/HiCMAE")
    return module


def _read_weights(path: Path) -> dict[str, Any]:
    import torch

    try:
        # The authors' files also hold their command line's arguments.
        with torch.serialization.safe_globals([argparse.Namespace]):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, UnpicklingError) as error:
        raise UsageError(f"hicmae: {path}: cannot be read as weights ({first_line(error)})") from error
    weights: dict[str, Any] = found.get("model", found.get("module", found))
    return weights
