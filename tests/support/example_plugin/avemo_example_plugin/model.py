"""A model that tells emotions by loudness: what a model class needs, with as little as possible in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from avemo_harness import media
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import GenerationError, SampleError
from avemo_harness.models.base import Capabilities, ModelSetup


class Loudness:
    """Names one emotion for loud clips and another one for the rest."""

    @dataclass(frozen=True, slots=True)
    class Arguments:
        """Given by users as ``--model_args loud=happy,above_dbfs=-30``; values are converted to the types here.

        Args:
            loud, quiet: the labels that it answers with.
            above_dbfs: level, in dB of full scale, above which a clip is loud.
        """

        loud: str = "angry"
        quiet: str = "sad"
        above_dbfs: float = -20.0

    capabilities = Capabilities(outputs=frozenset({"label_text"}), largest_batch=16)

    def __init__(self, arguments: Arguments, setup: ModelSetup) -> None:
        # A model with weights loads them in its first `generate`, onto `setup.device`.
        del setup
        self._arguments = arguments

    def identity(self) -> Mapping[str, str]:
        """Everything that may change an answer, so that answers of another version are never taken for this one's."""
        return {
            "model": "example",
            "version": version("avemo-example-plugin"),
            "loud": self._arguments.loud,
            "quiet": self._arguments.quiet,
            "above_dbfs": str(self._arguments.above_dbfs),
        }

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        """Answer each request for itself; one that fails must not take the others with it."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Response:
        try:
            is_loud = _level_dbfs(request) > self._arguments.above_dbfs
        except SampleError as error:
            return Response(error=f"{type(error).__name__}: {error}")
        return Response(text=self._arguments.loud if is_loud else self._arguments.quiet)


def _level_dbfs(request: Request) -> float:
    clip = request.asked_clip
    if clip is None:
        raise GenerationError("example: the question has no clip")
    samples = media.decode_sound(clip.read(), rate=16_000)
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))
