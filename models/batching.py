"""Which requests a neural model answers together, and what to do when they do not fit into its memory."""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import GenerationError, SampleError, describe


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


class Asked(Protocol):
    """A request made ready for a model."""

    @property
    def request(self) -> Request: ...

    @property
    def bucket(self) -> Bucket: ...

    @property
    def length(self) -> int:
        """Tokens that are to be read."""
        ...


One = TypeVar("One", bound=Asked)


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
        prepare: Callable[[Request], One],
        answer: Callable[[Sequence[One]], Sequence[Response]],
    ) -> list[Response]:
        """Make requests ready and answer them in batches; one that cannot be made ready is an error of its own.

        Args:
            prepare: raises a SampleError where the request cannot be asked.
        """
        responses: dict[int, Response] = {}
        asked: list[One] = []
        for i, request in enumerate(requests):
            try:
                asked.append(prepare(request))
            except SampleError as error:
                responses[i] = Response(error=describe(error))
        answers = iter(self.answer(asked, answer))
        return [responses[i] if i in responses else next(answers) for i in range(len(requests))]

    def answer(self, asked: Sequence[One], answer: Callable[[Sequence[One]], Sequence[Response]]) -> list[Response]:
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
        self, batch: Sequence[One], answer: Callable[[Sequence[One]], Sequence[Response]]
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
