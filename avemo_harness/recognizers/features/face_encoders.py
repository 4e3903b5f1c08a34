"""Features of the face from VideoMAE, CLIP, SigLIP, DINOv2, ViT and the package emotiefflib."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.errors import MediaError, UsageError, first_line
from avemo_harness.recognizers.features.base import RATE_HZ, Features
from avemo_harness.recognizers.features.pretrained import PretrainedExtractor
from avemo_harness.recognizers.recordings import Modality, Recording
from avemo_harness.torch_setup import DType, Weights, file_digest, import_transformers, required_version

Crop = Literal["centre", "whole"]
"""Part of the picture taken for the face: the largest square in its middle, or all of it, pressed into a square.

There is no face detector without weights: a recording should show the face large and in the middle.
"""

VIDEO_FPS = 8.0
"""Of the frames that VideoMAE sees: 16 of them are 2 seconds, about what it was trained on."""
IMAGE_FPS = 4.0

_WINDOW_BATCH = 4
_IMAGE_BATCH = 32
_VISION_CLASSES = {"clip": "CLIPVisionModel", "siglip": "SiglipVisionModel"}
"""Of checkpoints that hold a text encoder besides."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class VideoArguments:
    """
    Args:
        pretrained: Hub id or folder of a VideoMAE.
        revision: branch, tag or commit of a Hub id.
        crop: ``centre`` or ``whole``.
        dtype: that it computes in.
        device: where it runs; None takes the GPU of this process, else the CPU.
    """

    pretrained: str = "MCG-NJU/videomae-base"
    revision: str | None = None
    crop: Crop = "centre"
    dtype: DType = "float32"
    device: str | None = None


@dataclass(frozen=True, slots=True)
class ImageArguments(VideoArguments):
    """As of VideoMAE; ``pretrained`` is CLIP, SigLIP, DINOv2 or ViT."""

    pretrained: str = "facebook/dinov2-base"


class _FaceExtractor(PretrainedExtractor):
    modality: Modality = "video"
    decisive = ("crop",)

    @property
    def width(self) -> int:
        size = self._config.get("hidden_size")
        if not isinstance(size, int):
            raise UsageError(
                f"{self._weights.path}: not a vision transformer (no hidden_size); give another `pretrained`"
            )
        return size

    @cached_property
    def _normalization(self) -> ImageNormalization:
        return image_normalization(self._weights)

    def _frames(self, streams: Recording, fps: float) -> Pixels:
        return face_frames(streams, self.name, fps, self._normalization.side, self._arguments.crop)


class VideoEncoder(_FaceExtractor):
    """Mean of VideoMAE's last hidden states over the frames around each row, those at the edges repeated."""

    Arguments = VideoArguments
    name = "videomae"

    def __init__(self, arguments: VideoArguments) -> None:
        super().__init__(arguments)
        if self._config.get("model_type") != "videomae":
            raise UsageError(f"{arguments.pretrained}: not a VideoMAE; give another `pretrained`")

    def extract(self, streams: Recording, count: int, view: Modality) -> Features:
        del view
        import torch

        frames, model = self._frames(streams, VIDEO_FPS), self._model
        windows = frame_windows(len(frames), VIDEO_FPS, self._config.get("num_frames", 16), count)
        parts = []
        with torch.inference_mode():
            for at in range(0, len(windows), _WINDOW_BATCH):
                pixels = self._normalization.normalised(frames[windows[at : at + _WINDOW_BATCH]])
                states = model(torch.from_numpy(pixels).to(model.device, model.dtype)).last_hidden_state
                parts.append(states.float().mean(dim=1).cpu().numpy())
        return repeat_last_row(np.concatenate(parts), count)

    def _model_class(self) -> Any:
        return import_transformers().VideoMAEModel


class ImageEncoder(_FaceExtractor):
    """Pooled features of an image encoder, the mean of two frames in each half second."""

    Arguments = ImageArguments
    name = "face-encoder"
    may_lack = ("pooler.",)

    def __init__(self, arguments: ImageArguments) -> None:
        super().__init__(arguments)
        self._kind = str(self._config.get("model_type"))
        self._config = self._config.get("vision_config", self._config)

    def extract(self, streams: Recording, count: int, view: Modality) -> Features:
        del view
        frames = self._frames(streams, IMAGE_FPS)
        batches = (frames[at : at + _IMAGE_BATCH] for at in range(0, len(frames), _IMAGE_BATCH))
        return row_means(np.concatenate([self._describe(batch) for batch in batches]), IMAGE_FPS, count)

    def _describe(self, frames: Pixels) -> NDArray[np.float32]:
        """Pooled features of frames, (frames, width)."""
        import torch

        model = self._model
        with torch.inference_mode():
            found = model(torch.from_numpy(self._normalization.normalised(frames)).to(model.device, model.dtype))
            # Those without text are trained on their class token; their pooler is often untrained.
            contrastive = self._kind.startswith(tuple(_VISION_CLASSES))
            pooled = found.pooler_output if contrastive else found.last_hidden_state[:, 0]
            features: NDArray[np.float32] = pooled.float().cpu().numpy()
            return features

    def _model_class(self) -> Any:
        return getattr(import_transformers(), _VISION_CLASSES.get(self._kind, "AutoModel"))


@dataclass(frozen=True, slots=True)
class ImageNormalization:
    """Input size and colour normalisation of an image encoder.

    Args:
        side: of its square pictures, in pixels.
        mean, deviation: of red, green and blue on the scale 0 to 1, which it expects to be normalised away.
    """

    side: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def normalised(self, frames: Pixels) -> NDArray[np.float32]:
        """Frames, uint8 (…, H, W, 3), as float32 (…, 3, H, W)."""
        scaled = frames.astype(np.float32) / 255
        values = (scaled - np.array(self.mean, np.float32)) / np.array(self.deviation, np.float32)
        return np.ascontiguousarray(np.moveaxis(values, -1, -3))


def image_normalization(weights: Weights) -> ImageNormalization:
    """Read the published image preprocessing of a checkpoint of transformers.

    Raises:
        UsageError: it does not say.
    """
    name = "preprocessor_config.json"
    settings = weights.settings(name) or weights.settings("processor_config.json").get("image_processor", {})
    try:
        size = settings["crop_size"] if settings.get("do_center_crop") else settings["size"]
        if isinstance(size, Mapping):
            size = size["height"] if "height" in size else size["shortest_edge"]
        return ImageNormalization(
            int(size), tuple(map(float, settings["image_mean"])), tuple(map(float, settings["image_std"]))
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{weights.path}: its {name} does not tell how it takes pictures in; restore it") from error


def face_frames(streams: Recording, extractor: str, fps: float, side: int, crop: Crop) -> Pixels:
    """The face of a recording, square, uint8 (frames, side, side, 3).

    Raises:
        MediaError: it has no video, or cannot be read.
    """
    clip = streams.require_face(extractor)
    source = clip.read()
    if crop == "whole":
        return media.decode_frames(source, fps=fps, size=(side, side)).pixels
    info = media.probe(source).video
    if info is None:
        raise MediaError(f"{clip.name}: it has no video")
    scale = side / min(info.width, info.height)
    width, height = max(side, round(info.width * scale)), max(side, round(info.height * scale))
    pixels = media.decode_frames(source, fps=fps, size=(width, height)).pixels
    left, top = (width - side) // 2, (height - side) // 2
    return pixels[:, top : top + side, left : left + side]


def frame_windows(frames: int, fps: float, length: int, count: int) -> NDArray[np.int64]:
    """Indices of the frames around each row that the video reaches, (rows, length); those at the edges are repeated.

    >>> frame_windows(8, 8.0, 4, 2)
    array([[0, 1, 2, 3],
           [4, 5, 6, 7]])
    """
    rows = np.arange(min(count, _rows(frames, fps)))
    starts = np.round((rows + 0.5) / RATE_HZ * fps).astype(np.int64) - length // 2
    return (starts[:, None] + np.arange(length)).clip(0, frames - 1)


def row_means(features: NDArray[np.float32], fps: float, count: int) -> Features:
    """Features of frames, (frames, width), averaged over each half second; the last row is held."""
    each = round(fps / RATE_HZ)
    rows = min(count, _rows(len(features), fps))
    means = [features[row * each : (row + 1) * each].mean(axis=0) for row in range(rows)]
    return repeat_last_row(np.stack(means), count)


def repeat_last_row(rows: NDArray[np.float32], count: int) -> Features:
    """As many rows as asked for; the last one is repeated."""
    return rows[np.minimum(np.arange(count), len(rows) - 1)].astype(np.float32, copy=False)


def _rows(frames: int, fps: float) -> int:
    return int(np.ceil(frames * RATE_HZ / fps))


_EMOTIEFFLIB_BATCH = 32


@dataclass(frozen=True, slots=True)
class EmotiEffLibArguments:
    """
    Args:
        model: one of those that emotiefflib names.
        crop: ``centre`` or ``whole``.
    """

    model: str = "enet_b0_8_best_vgaf"
    crop: Crop = "centre"


class EmotiEffLib:
    """Penultimate features of a network of emotiefflib, the mean of two frames in each half second.

    The package downloads its weights from GitHub when they are first used, into ``~/.emotiefflib``, and checks no
    digest; the identity holds that of what it found. Its ONNX engine is used: the other one runs code of the download.
    """

    Arguments = EmotiEffLibArguments
    modality: Modality = "video"

    def __init__(self, arguments: EmotiEffLibArguments) -> None:
        self._arguments = arguments

    @property
    def width(self) -> int:
        return int(self._recognizer.classifier_weights.shape[1])

    def identity(self) -> Mapping[str, str]:
        return {
            "extractor": "emotiefflib",
            "version": "1",
            "model": self._arguments.model,
            "weights": f"sha256:{self._digest}",
            "crop": self._arguments.crop,
            "emotiefflib": self._version(),
        }

    def extract(self, streams: Recording, count: int, view: Modality) -> Features:
        del view
        frames = face_frames(streams, "emotiefflib", IMAGE_FPS, self._recognizer.img_size, self._arguments.crop)
        batches = (list(frames[at : at + _EMOTIEFFLIB_BATCH]) for at in range(0, len(frames), _EMOTIEFFLIB_BATCH))
        features = [np.asarray(self._recognizer.extract_features(batch), dtype=np.float32) for batch in batches]
        return row_means(np.concatenate(features), IMAGE_FPS, count)

    @cached_property
    def _digest(self) -> str:
        utilities = self._module("emotiefflib.utils")
        with redirect_stdout(sys.stderr):
            try:
                return file_digest(Path(utilities.get_model_path_onnx(self._arguments.model)))
            except OSError as error:
                raise UsageError(
                    f"emotiefflib: the weights of {self._arguments.model} cannot be downloaded ({first_line(error)}); "
                    "put them into ~/.emotiefflib"
                ) from error

    @cached_property
    def _recognizer(self) -> Any:
        module = self._module("emotiefflib.facial_analysis")
        assert self._digest  # (the weights are there)
        return module.EmotiEffLibRecognizer(engine="onnx", model_name=self._arguments.model)

    def _version(self) -> str:
        return required_version(
            "emotiefflib", "the extractor emotiefflib needs that package; install it: pip install emotiefflib"
        )

    def _module(self, name: str) -> Any:
        """A module of the package.

        Raises:
            UsageError: the package is not installed, or knows no such model.
        """
        self._version()
        try:
            known = import_module("emotiefflib.facial_analysis").get_model_list()
            module = import_module(name)
        except ImportError as error:
            raise UsageError(f"emotiefflib cannot be imported ({first_line(error)}); install what it needs") from error
        if self._arguments.model not in known:
            raise UsageError(f"emotiefflib has no model {self._arguments.model!r}; known: {', '.join(known)}")
        return module
