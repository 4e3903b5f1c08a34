"""Requests are given to a model as it takes them, concurrently or in batches; each has a future of its own."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import GenerationError, UsageError
from avemo_harness.inference import device_is_lost
from avemo_harness.models.base import Concurrent, OmniModel


def submit(model: OmniModel, requests: Sequence[Request]) -> list[Future[Response]]:
    """Give requests to a model. One that answers in batches has answered, or failed, when this returns.

    Returns:
        Futures in the order of the requests; one raises what the model raised for its request.

    Raises:
        UsageError: the model itself cannot answer, whatever it is asked.
    """
    if isinstance(model, Concurrent):
        return [_submit_one(model, request) for request in requests]
    return _generate(model, requests) if requests else []


def _submit_one(model: Concurrent, request: Request) -> Future[Response]:
    try:
        submitted: object = model.submit(request)
        if isinstance(submitted, Future):
            return submitted
        raise GenerationError(f"the model's submit gave {type(submitted).__name__}, expected a Future")
    except Exception as error:
        return _failed(error)


def _generate(model: OmniModel, requests: Sequence[Request]) -> list[Future[Response]]:
    """Answer a batch. One bad sample must not void the others, so a batch that fails is asked one by one."""
    try:
        responses = model.generate(requests)
        if len(responses) != len(requests):
            raise GenerationError(f"{len(responses)} responses came back for {len(requests)} requests")
        return [_done(response) for response in responses]
    except UsageError:
        raise
    except Exception as error:
        # Without its device the model cannot answer the others either.
        if len(requests) > 1 and not device_is_lost(error):
            return [answered for request in requests for answered in _generate(model, [request])]
        return [_failed(error) for _ in requests]


def _done(response: Response) -> Future[Response]:
    answered: Future[Response] = Future()
    answered.set_result(response)
    return answered


def _failed(error: Exception) -> Future[Response]:
    answered: Future[Response] = Future()
    answered.set_exception(error)
    return answered
