"""What neural models share: batches that fit into memory, and labels ranked by log-probability."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from avemo_harness.benchmark.request import Message, Request, Response, Text
from avemo_harness.errors import GenerationError, SampleError, describe
from avemo_harness.models.decoding import NO_NUMBERS


@dataclass(frozen=True, slots=True)
class Bucket:
    """What must be equal for requests to share a batch.

    Args:
        streams: (has video, has sound) of the whole conversation.
        settings: how the answer is made.
    """

    streams: tuple[bool, bool]
    settings: Hashable


def length_class(tokens: int) -> int:
    """Lengths of one class differ by less than a factor of two.

    >>> [length_class(n) for n in (1, 2, 3, 4, 1023, 1024)]
    [1, 2, 2, 3, 10, 11]
    """
    return tokens.bit_length()


class PreparedRequest(Protocol):
    """A request made ready for a model."""

    @property
    def request(self) -> Request: ...

    @property
    def bucket(self) -> Bucket: ...

    @property
    def length(self) -> int:
        """Tokens that are to be read."""
        ...


Prepared = TypeVar("Prepared", bound=PreparedRequest)


class Batcher:
    """Splits requests into batches of one bucket and of lengths within a factor of two.

    Where memory runs out, batches of that bucket and length are halved, from then on.

    Args:
        free: gives back what memory the model can spare; called before a smaller batch is tried.
    """

    def __init__(self, free: Callable[[], None] = lambda: None) -> None:
        self._free = free
        self.fits: dict[tuple[Bucket, int], int] = {}

    def generate(
        self,
        requests: Sequence[Request],
        prepare: Callable[[Request], Prepared],
        answer: Callable[[Sequence[Prepared]], Sequence[Response]],
    ) -> list[Response]:
        """Make requests ready and answer them in batches; one that cannot be made ready is an error of its own.

        Args:
            prepare: raises a SampleError where the request cannot be asked.
        """
        responses: dict[int, Response] = {}
        asked: list[Prepared] = []
        for i, request in enumerate(requests):
            try:
                asked.append(prepare(request))
            except SampleError as error:
                responses[i] = Response(error=describe(error))
        answers = iter(self.answer(asked, answer))
        return [responses[i] if i in responses else next(answers) for i in range(len(requests))]

    def answer(
        self, asked: Sequence[Prepared], answer: Callable[[Sequence[Prepared]], Sequence[Response]]
    ) -> list[Response]:
        """Answer requests in batches; responses come in the order of the requests.

        Args:
            answer: takes requests of one bucket, the longest first.
        """
        responses: dict[int, Response] = {}
        buckets: dict[Bucket, list[int]] = {}
        for i, one in enumerate(asked):
            buckets.setdefault(one.bucket, []).append(i)
        for bucket, members in buckets.items():
            waiting = sorted(members, key=lambda i: -asked[i].length)
            while waiting:
                longest = asked[waiting[0]].length
                fitting = [i for i in waiting if 2 * asked[i].length >= longest]
                place = (bucket, length_class(longest))
                now = fitting[: self.fits.get(place, len(fitting))]
                done = self._try([asked[i] for i in now], answer)
                if done is None and len(now) > 1:
                    self.fits[place] = len(now) // 2
                    continue
                responses.update(zip(now, done or [Response(error=_TOO_LARGE)], strict=True))
                waiting = waiting[len(now) :]
        return [responses[i] for i in range(len(asked))]

    def _try(
        self, batch: Sequence[Prepared], answer: Callable[[Sequence[Prepared]], Sequence[Response]]
    ) -> Sequence[Response] | None:
        """Answer a batch; None where memory ran out."""
        from accelerate.utils.memory import should_reduce_batch_size

        try:
            return answer(batch)
        except Exception as error:
            if not should_reduce_batch_size(error):
                raise
        # Only outside the handler are the tensors gone that the error's traceback holds.
        self._free()
        gc.collect()
        _empty_device_cache()
        return None


def check_room(tokens: int, request: Request, room: int, remedy: str) -> None:
    """Refuse a dialogue of more tokens than the model reads, its answer included (GenerationError)."""
    limit = request.generation.max_new_tokens
    if tokens + limit > room:
        raise GenerationError(
            f"the dialogue takes {tokens} tokens and the answer up to {limit}, the model reads {room}; {remedy}"
        )


_TOO_LARGE = (
    "OutOfMemoryError: a single request does not fit into the device's memory; use more devices (device_map=auto), "
    "a smaller dtype, or fewer pixels"
)


def _empty_device_cache() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


ScoreLabels = Callable[[Sequence[Message], Sequence[Sequence[int]]], Sequence[float]]
"""Log-probability of each label, given by its tokens, after a conversation."""


class LabelRanker:
    """Makes responses that rank labels.

    Args:
        tokenizer: the checkpoint's; a label is tokenised by itself, since the prompt ends before it.
        score: scores labels after a conversation; asked once for each question's priors.
    """

    def __init__(self, tokenizer: Any, score: ScoreLabels) -> None:
        self._tokenizer, self._score = tokenizer, score
        self._priors: dict[tuple[tuple[Text, ...], tuple[str, ...]], dict[str, float]] = {}

    def ids(self, labels: Sequence[str]) -> list[list[int]]:
        """Tokens of each label."""
        return [list(self._tokenizer(label, add_special_tokens=False).input_ids) for label in labels]

    def response(
        self, request: Request, labels: tuple[str, ...], logprobs: Sequence[float], prompt_tokens: int
    ) -> Response:
        """The response to a request whose labels have these log-probabilities; an error where one is not a number."""
        if any(math.isnan(value) for value in logprobs):
            return Response(error=describe(GenerationError(NO_NUMBERS)))
        return Response(
            label_logprobs=dict(zip(labels, logprobs, strict=True)),
            label_tokens={label: len(ids) for label, ids in zip(labels, self.ids(labels), strict=True)},
            label_priors=self._prior(request, labels),
            prompt_tokens=prompt_tokens,
        )

    def _prior(self, request: Request, labels: tuple[str, ...]) -> dict[str, float]:
        """Log-probabilities of labels when the question is asked without any clip or history."""
        question = tuple(block for block in request.messages[-1].content if isinstance(block, Text))
        if (question, labels) not in self._priors:
            scores = self._score([Message("user", question)], self.ids(labels))
            self._priors[question, labels] = dict(zip(labels, scores, strict=True))
        return self._priors[question, labels]
