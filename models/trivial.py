"""Models that look at nothing: the chance level and the majority answer."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from avemo_harness.benchmark.request import Request, Response
from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.models.base import Capabilities, ModelSetup, NoArguments

_LABELS = Capabilities(outputs=frozenset({"label_text", "label_ranking"}), largest_batch=64)


class RandomAnswers:
    """Draws a label uniformly, seeded by the request: the same question always gets the same answer."""

    Arguments = NoArguments
    capabilities = _LABELS

    def __init__(self, arguments: NoArguments, setup: ModelSetup) -> None:
        del arguments, setup

    def identity(self) -> Mapping[str, str]:
        return {"model": "random", "version": "1"}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        return [_certain(random.Random(request.seed).choice(labels_of(request)), request) for request in requests]


class ConstantAnswer:
    """Always gives the same label."""

    @dataclass(frozen=True, slots=True)
    class Arguments:
        label: str = "neutral"

    capabilities = _LABELS

    def __init__(self, arguments: Arguments, setup: ModelSetup) -> None:
        del setup
        self.label = arguments.label

    def identity(self) -> Mapping[str, str]:
        return {"model": "constant", "version": "1", "label": self.label}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        return [_certain(self.label, request) for request in requests]


def labels_of(request: Request) -> tuple[str, ...]:
    """The labels that a request offers; such models are asked for labels only."""
    assert isinstance(request.output, LabelOutput)
    return request.output.labels


def _certain(label: str, request: Request) -> Response:
    """A response that names a label or, where labels are ranked, gives it nearly all of the probability."""
    labels = labels_of(request)
    if isinstance(request.output, LabelOutput) and request.output.method == "generate":
        return Response(text=label)
    rest = math.log(0.01 / max(1, len(labels) - 1))
    return Response(label_logprobs={one: math.log(0.99) if one == label else rest for one in labels})
