"""Base of the feature extractors whose network is a checkpoint of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import version
from typing import Any, ClassVar

from avemo_harness.torch_setup import find_weights, load_model


class PretrainedExtractor:
    """An extractor with the arguments ``pretrained``, ``revision``, ``dtype``, ``device``; weights are loaded late.

    Attributes:
        name: in its identity and in messages.
        decisive: its other arguments that change features.
        may_lack: prefixes of the names of weights that nothing depends on.
    """

    name: ClassVar[str]
    decisive: ClassVar[tuple[str, ...]] = ()
    may_lack: ClassVar[tuple[str, ...]] = ()

    def __init__(self, arguments: Any) -> None:
        self._arguments = arguments
        self._weights = find_weights(arguments.pretrained, arguments.revision)
        self._config = self._weights.settings("config.json")

    def identity(self) -> Mapping[str, str]:
        return {
            "extractor": self.name,
            "version": "1",
            "weights": self._weights.content,
            **{name: str(getattr(self._arguments, name)) for name in self.decisive},
            "dtype": self._arguments.dtype,
            "transformers": version("transformers"),
        }

    def _model_class(self) -> Any:
        raise NotImplementedError

    @cached_property
    def _model(self) -> Any:
        dtype, device = self._arguments.dtype, self._arguments.device
        return load_model(self._model_class(), self._weights, dtype, device, may_lack=self.may_lack)
