"""Features of the face from the package emotiefflib: small networks trained to tell emotions in pictures of faces."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from avemo_harness.errors import UsageError, first_line
from avemo_harness.recognizers.extractors.base import Features
from avemo_harness.recognizers.extractors.faces import IMAGE_FPS, Crop, faces, row_means
from avemo_harness.recognizers.streams import Streams, View
from avemo_harness.weights import file_digest

_BATCH = 32


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
    """What a network of emotiefflib knows of a face before it decides, the mean of two frames in each half second.

    The package downloads its weights from GitHub when they are first used, into ``~/.emotiefflib``, and checks no
    digest; the identity holds that of what it found. Its ONNX engine is used: the other one runs code of the download.
    """

    Arguments = EmotiEffLibArguments
    modality: View = "video"

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
            "emotiefflib": _package_version(),
        }

    def extract(self, streams: Streams, count: int, view: View) -> Features:
        del view
        frames = faces(streams, "emotiefflib", IMAGE_FPS, self._recognizer.img_size, self._arguments.crop)
        batches = (list(frames[at : at + _BATCH]) for at in range(0, len(frames), _BATCH))
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

    def _module(self, name: str) -> Any:
        """A module of the package.

        Raises:
            UsageError: the package is not installed, or knows no such model.
        """
        _package_version()
        try:
            known = import_module("emotiefflib.facial_analysis").get_model_list()
            module = import_module(name)
        except ImportError as error:
            raise UsageError(f"emotiefflib cannot be imported ({first_line(error)}); install what it needs") from error
        if self._arguments.model not in known:
            raise UsageError(f"emotiefflib has no model {self._arguments.model!r}; known: {', '.join(known)}")
        return module


def _package_version() -> str:
    try:
        return version("emotiefflib")
    except PackageNotFoundError:
        raise UsageError("the extractor emotiefflib needs that package; install it: pip install emotiefflib") from None
