"""The side of a cluster's worker: host one model, and answer batches."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from avemo_harness.benchmark.release import Release
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import ModelError, UsageError, describe
from avemo_harness.models import load_model
from avemo_harness.models.base import Capabilities, ModelSetup, OmniModel, Output, generate_each
from avemo_harness.models.worker.child import LOST_DEVICE
from avemo_harness.models.worker.protocol import error_content, error_from, request_from, responses_content
from avemo_harness.torch_setup import device_is_lost


@dataclass(frozen=True, slots=True)
class ActorModel:
    """The model that each worker makes.

    Args:
        name, arguments: as in `avemo_harness.models.load_model`.
        device, outputs: as in `avemo_harness.models.base.ModelSetup`.
    """

    name: str
    arguments: Mapping[str, Any]
    device: str | None = None
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Introduction:
    """A worker's first words.

    Args:
        failed: the error with which the model could not be made, as in `error_content`; the rest is then missing.
        node: address of its machine.
    """

    node: str
    failed: Mapping[str, str] | None = None
    identity: Mapping[str, str] = field(default_factory=dict)
    capabilities: Capabilities | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to a batch.

    Args:
        failed: the error after which the model can answer nothing, as in `error_content`.
        responses, buffers: as in `responses_content`, one a request.
        said: sentences for the user.
    """

    said: tuple[str, ...] = ()
    failed: Mapping[str, str] | None = None
    responses: Sequence[Mapping[str, Any]] = ()
    buffers: Sequence[bytes] = ()


class ModelActor:
    """A model in a worker of the cluster; made by Ray from this class, which never raises what cannot be read there."""

    def __init__(self, wanted: ActorModel) -> None:
        self._wanted = wanted
        self._said: list[str] = []
        self._model: OmniModel | None = None

    def introduce(self) -> Introduction:
        """Make the model, which loads no weights yet, and tell of it."""
        import ray

        node, wanted = str(cast("Any", ray.util).get_node_ip_address()), self._wanted
        outputs = frozenset(cast("tuple[Output, ...]", wanted.outputs))
        setup = ModelSetup(
            releases=_NoReleases(), training=_no_training, say=self._said.append, device=wanted.device, outputs=outputs
        )
        try:
            model = self._model = load_model(wanted.name, wanted.arguments, setup)
            identity = dict(model.identity())
        except Exception as error:  # for the run to end with
            return Introduction(node, failed=error_content(error))
        return Introduction(node, None, identity, model.capabilities)

    def generate(self, requests: Sequence[Mapping[str, Any]], clips: Mapping[str, Any]) -> Answers:
        """Answer requests.

        Args:
            requests: as in `request_content`.
            clips: the object of each clip by digest, or the error with which it could not be read (`error_content`).
        """
        assert self._model is not None
        try:
            responses = _answer(self._model, [request_from(one, partial(_fetch, clips)) for one in requests])
        except UsageError as error:
            return Answers(self._take_said(), failed=error_content(error))
        described, buffers = responses_content(responses)
        return Answers(self._take_said(), None, described, [bytes(buffer) for buffer in buffers])

    def _take_said(self) -> tuple[str, ...]:
        said, self._said[:] = tuple(self._said), []
        return said


def _sendable(response: Response) -> Response:
    """The response, which whatever class made it can be sent; else what is wrong with it."""
    try:
        responses_content([response])
    except Exception as error:  # whatever looking at a foreign object raises
        return Response(error=describe(error))
    return response


class _NoReleases(tuple[Release, ...]):
    """Of a model that is away from the data, and is refused where it looks at them."""

    def __iter__(self) -> Iterator[Release]:
        raise ModelError(_NEEDS_DATA)


def _no_training(which: str) -> tuple[Release, ...]:
    raise ModelError(_NEEDS_DATA)


_NEEDS_DATA = "this model looks at the release itself, which is not on the workers of a cluster; leave --executor out"


def _answer(model: OmniModel, requests: Sequence[Request]) -> list[Response]:
    """Answer a batch by responses that can be sent; errors among them are those of single requests.

    Raises:
        UsageError: the model itself cannot answer.
    """
    answers = generate_each(model, requests)
    if any(isinstance(answer, Exception) and device_is_lost(answer) for answer in answers):
        os._exit(LOST_DEVICE)  # another worker gets the device anew
    return [
        Response(error=describe(answer)) if isinstance(answer, Exception) else _sendable(answer) for answer in answers
    ]


def _fetch(clips: Mapping[str, Any], digest: str) -> bytes:
    import ray

    found = clips[digest]
    if isinstance(found, Mapping):
        raise error_from(found)
    return cast("bytes", ray.get(found).tobytes())
