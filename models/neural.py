"""The base of neural models: batches that fit into memory, labels ranked by log-probability, texts, replies."""

from __future__ import annotations

import gc
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar, get_args

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Message, Request, Response, Speech, Text
from avemo_harness.benchmark.task import LabelOutput, SpokenOutput
from avemo_harness.errors import GenerationError, SampleError, describe
from avemo_harness.lru_cache import LruCache
from avemo_harness.models import installed_version
from avemo_harness.models.base import Capabilities, ModelSetup, Output
from avemo_harness.models.decoding import (
    NO_NUMBERS,
    GeneratedText,
    Prefill,
    Sampling,
    complete,
    flags_of,
    label_logprobs,
)
from avemo_harness.models.inputs import ClipDecoder
from avemo_harness.models.weights import Attention, Checkpoint, Placement, resolve
from avemo_harness.phases import phase


@dataclass(frozen=True, slots=True)
class Bucket:
    """Properties that requests of one batch share.

    Args:
        streams: (has video, has sound) of the whole conversation.
        settings: of the inputs' layout, the output and the generation.
    """

    streams: tuple[bool, bool]
    settings: Hashable


def length_class(tokens: int) -> int:
    """Lengths of one class differ by less than a factor of two.

    >>> [length_class(n) for n in (1, 2, 3, 4, 1023, 1024)]
    [1, 2, 2, 3, 10, 11]
    """
    return tokens.bit_length()


class ModelInputs(Protocol):
    """One conversation up to the model's answer, as a network takes it in.

    `length` is its number of tokens, `streams` (has video, has sound). Inputs of fixed shapes also have a `layout`.
    """

    @property
    def length(self) -> int: ...

    @property
    def streams(self) -> tuple[bool, bool]: ...

    @property
    def nbytes(self) -> int: ...


InputsT = TypeVar("InputsT", bound=ModelInputs)


@dataclass(frozen=True, slots=True)
class PreparedRequest(Generic[InputsT]):
    """A request that is ready to be answered.

    Args:
        streams: of its inputs.
        layout: equal for inputs that fit into one batch.
        length: number of tokens.
        inputs: gives the inputs; they are made again where they were given up.
    """

    request: Request
    streams: tuple[bool, bool]
    layout: Hashable
    length: int
    inputs: Callable[[], InputsT]

    @property
    def bucket(self) -> Bucket:
        settings = (self.layout, self.request.output.model_dump_json(), self.request.generation)
        return Bucket(self.streams, settings)


AnswerBatch: TypeAlias = Callable[[Sequence[PreparedRequest[InputsT]]], Sequence[Response]]
"""Answers requests of one bucket."""


class Batcher:
    """Splits requests into batches of one bucket and of lengths within a factor of two.

    Out-of-memory backoff: where memory runs out, batches of that bucket and length are halved, from then on.

    Args:
        free: gives back the memory that the model can spare; called before a smaller batch is tried.
    """

    def __init__(self, free: Callable[[], None] = lambda: None) -> None:
        self._free = free
        self.fits: dict[tuple[Bucket, int], int] = {}

    def generate(
        self,
        requests: Sequence[Request],
        prepare: Callable[[Request], PreparedRequest[InputsT]],
        answer: AnswerBatch[InputsT],
    ) -> list[Response]:
        """Make requests ready and answer them in batches; one that cannot be made ready is an error of its own.

        Args:
            prepare: raises a SampleError where the request cannot be asked.
        """
        responses: dict[int, Response] = {}
        prepared: list[PreparedRequest[InputsT]] = []
        for i, request in enumerate(requests):
            try:
                prepared.append(prepare(request))
            except SampleError as error:
                responses[i] = Response(error=describe(error))
        answers = iter(self.answer(prepared, answer))
        return [responses[i] if i in responses else next(answers) for i in range(len(requests))]

    def answer(self, prepared: Sequence[PreparedRequest[InputsT]], answer: AnswerBatch[InputsT]) -> list[Response]:
        """Answer requests in batches; responses come in the order of the requests.

        Args:
            answer: takes requests of one bucket, the longest first.
        """
        responses: dict[int, Response] = {}
        buckets: dict[Bucket, list[int]] = {}
        for i, one in enumerate(prepared):
            buckets.setdefault(one.bucket, []).append(i)
        for bucket, members in buckets.items():
            waiting = sorted(members, key=lambda i: -prepared[i].length)
            while waiting:
                longest = prepared[waiting[0]].length
                fitting = [i for i in waiting if 2 * prepared[i].length >= longest]
                size_key = (bucket, length_class(longest))
                now = fitting[: self.fits.get(size_key, len(fitting))]
                done = self._try([prepared[i] for i in now], answer)
                if done is None and len(now) > 1:
                    self.fits[size_key] = len(now) // 2
                    continue
                responses.update(zip(now, done or [Response(error=_TOO_LARGE)], strict=True))
                waiting = waiting[len(now) :]
        return [responses[i] for i in range(len(prepared))]

    def _try(
        self, batch: Sequence[PreparedRequest[InputsT]], answer: AnswerBatch[InputsT]
    ) -> Sequence[Response] | None:
        """The answers of a batch; None where memory ran out."""
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


@dataclass(frozen=True, slots=True)
class SpokenReply:
    """Speech of a reply; None where nothing was said. `complete` is False where the speech was cut off."""

    speech: Speech | None
    complete: bool = True


def with_speech(response: Response, spoken: SpokenReply) -> Response:
    """A reply with its speech, and flags where that is missing or cut off; an error stays an error."""
    if response.error is not None:
        return response
    flags = {"no_speech": spoken.speech is None, "speech_truncated": not spoken.complete}
    return replace(
        response,
        speech=spoken.speech,
        flags=(*response.flags, *(flag for flag, raised in flags.items() if raised)),
    )


RowT = TypeVar("RowT")


def one_by_one(reply: Callable[[RowT], Response], rows: Iterable[RowT]) -> list[Response]:
    """Replies made one at a time; a GenerationError is the error of its request alone."""
    responses = []
    for row in rows:
        try:
            responses.append(reply(row))
        except GenerationError as error:
            responses.append(Response(error=describe(error)))
    return responses


PREPARED_BYTES = 2**31
"""Room for inputs between being measured and being answered; what does not fit is made again."""


class NeuralModel(ABC, Generic[InputsT]):
    """A network on this machine, asked about the whole audio-visual dialogue.

    A family says what its checkpoint is, makes inputs of conversations and prefills them. Ranking, texts, batches and
    identity are made of these here.

    Args:
        arguments: of the class's `Arguments`; they have `pretrained`, `revision`, `dtype` and `device_map`.
        decoder: decodes clips at the model's frame rate.
    """

    name: ClassVar[str]
    version: ClassVar[str] = "1"
    """Counted up where the class gives other answers to the same requests."""
    room_advice: ClassVar[str]
    """The mend for a dialogue of more tokens than the model reads."""
    packages: ClassVar[tuple[str, ...]] = ("transformers", "torch", "av")
    """Packages whose versions may change an answer."""
    capabilities = Capabilities(outputs=frozenset(get_args(Output)), largest_batch=64, usual_batch=1)

    def __init__(self, arguments: Any, setup: ModelSetup, decoder: ClipDecoder) -> None:
        self._arguments, self._setup, self._decoder = arguments, setup, decoder
        self._speaks = "spoken_response" in setup.outputs
        self._batcher = Batcher(free=self.forget)
        self._prepared: LruCache[str, InputsT] = LruCache(PREPARED_BYTES, lambda inputs: inputs.nbytes)
        self._priors: dict[tuple[tuple[Text, ...], tuple[str, ...]], dict[str, float]] = {}

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        return resolve(self._arguments.pretrained, self._arguments.revision, self._setup.say)

    @property
    @abstractmethod
    def _network(self) -> Any:
        """A `decoding.Network` with `room`, `tokenizer` and `prefill`, loaded when it is first needed."""

    @abstractmethod
    def identity_parts(self) -> Mapping[str, str]:
        """Identity of the weights and of what the family adds, between the version and those of packages."""

    @abstractmethod
    def inputs(self, messages: Sequence[Message], spoken: bool) -> InputsT:
        """Inputs of a conversation that the model is to continue.

        Args:
            spoken: the answer is to be spoken.

        Raises:
            MediaError: a clip is missing or damaged.
            GenerationError: the model cannot take a clip in.
        """

    @abstractmethod
    def reply(self, batch: Sequence[PreparedRequest[InputsT]]) -> list[Response]:
        """Answer requests of one bucket in text and speech."""

    def write(self, batch: Sequence[PreparedRequest[InputsT]]) -> list[GeneratedText]:
        """Continue conversations of one bucket with text."""
        return self._complete(batch, self._prefill([one.inputs() for one in batch]))

    def rank(self, rows: Sequence[InputsT], labels: Sequence[Sequence[int]]) -> list[list[float]]:
        """Log-probability of each label after each conversation, [rows][labels]; nan where undefined.

        Args:
            labels: token ids of each label.
        """
        return label_logprobs(self._network, self._prefill(rows), labels)

    def forget(self) -> None:
        """Give back memory that can be made again; called where it runs out."""

    def identity(self) -> Mapping[str, str]:
        packages = {package: installed_version(package) or "not installed" for package in self.packages}
        return {"model": self.name, "version": self.version, **self.identity_parts(), **packages}

    def prefetch(self, request: Request) -> None:
        """Decode a request's clips. A family whose inputs can be made beside an earlier batch makes them too."""
        for message in request.messages:
            for block in message.content:
                if isinstance(block, Clip):
                    self.prefetch_clip(block)

    def prefetch_clip(self, clip: Clip) -> None:
        """Decode a clip ahead; raises nothing."""
        self._decoder.prefetch(clip)

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        answers = self._batcher.generate(requests, self._prepare, self._answer)
        for request in requests:
            self._prepared.discard(request.key)
        return answers

    def _prefill(self, rows: Sequence[InputsT]) -> Any:
        """The network's `Prefill` of conversations of one bucket."""
        network = self._network
        with phase("prefill"):
            return network.prefill(rows)

    def _prepare(self, request: Request) -> PreparedRequest[InputsT]:
        made = self._made(request)
        check_room(made.length, request, self._network.room, self.room_advice)
        inputs = partial(self._made, request)
        return PreparedRequest(request, made.streams, getattr(made, "layout", ()), made.length, inputs)

    @phase("prepare")
    def _made(self, request: Request) -> InputsT:
        """The inputs of a request, made once by whichever thread needs them first."""
        spoken = isinstance(request.output, SpokenOutput)
        return self._prepared.get(request.key, lambda: self.inputs(request.messages, spoken))

    def _answer(self, batch: Sequence[PreparedRequest[InputsT]]) -> Sequence[Response]:
        output = batch[0].request.output
        if isinstance(output, SpokenOutput):
            return self.reply(batch)
        if isinstance(output, LabelOutput) and output.method == "rank":
            return self._rank_labels(batch, output.labels)
        return self._responses(batch, self.write(batch))

    def _rank_labels(self, batch: Sequence[PreparedRequest[InputsT]], labels: Sequence[str]) -> list[Response]:
        # A label is tokenised by itself, since the prompt ends before it.
        ids = {label: list(self._network.tokenizer(label, add_special_tokens=False).input_ids) for label in labels}
        responses = []
        ranked = self.rank([one.inputs() for one in batch], list(ids.values()))
        for prepared, logprobs in zip(batch, ranked, strict=True):
            if any(math.isnan(value) for value in logprobs):
                responses.append(Response(error=describe(GenerationError(NO_NUMBERS))))
                continue
            ranking = Response(
                label_logprobs=dict(zip(labels, logprobs, strict=True)),
                label_tokens={label: len(tokens) for label, tokens in ids.items()},
                label_priors=self._label_priors(prepared.request, ids),
                prompt_tokens=prepared.length,
            )
            responses.append(ranking)
        return responses

    def _label_priors(self, request: Request, ids: Mapping[str, Sequence[int]]) -> dict[str, float]:
        """Log-probabilities of labels after the question without its clips and history.

        They calibrate rankings (contextual calibration, Zhao et al., 2021), and are computed once for each question.
        """
        question = tuple(block for block in request.messages[-1].content if isinstance(block, Text))
        key = (question, tuple(ids))
        if key not in self._priors:
            row = self.inputs([Message("user", question)], spoken=False)
            (logprobs,) = self.rank([row], list(ids.values()))
            self._priors[key] = dict(zip(ids, logprobs, strict=True))
        return self._priors[key]

    def _complete(self, batch: Sequence[PreparedRequest[InputsT]], prefill: Prefill) -> list[GeneratedText]:
        generation = batch[0].request.generation
        sampling = Sampling(generation.do_sample, generation.temperature, None, generation.top_p)
        seeds = [one.request.seed for one in batch]
        return complete(self._network, prefill, sampling, seeds, generation.max_new_tokens)

    def _responses(self, batch: Sequence[PreparedRequest[InputsT]], texts: Sequence[GeneratedText]) -> list[Response]:
        return [self._response(*row) for row in zip(batch, texts, strict=True)]

    def _response(self, prepared: PreparedRequest[InputsT], text: GeneratedText) -> Response:
        if not text.finite:
            return Response(error=describe(GenerationError(NO_NUMBERS)))
        return Response(
            text=self._network.tokenizer.decode(text.ids, skip_special_tokens=True),
            prompt_tokens=prepared.length,
            new_tokens=len(text.ids) + text.ended,
            flags=flags_of(text.ids, text.ended),
        )

    def _given(self, *names: str) -> dict[str, str]:
        """Arguments as the identity holds them."""
        return {name: str(getattr(self._arguments, name)) for name in names}

    @property
    def _dtype(self) -> str:
        return self._checkpoint.dtype(self._arguments.dtype)

    def _placement(self, attn: Attention | None) -> Placement:
        return Placement(self._dtype, attn, self._arguments.device_map, self._setup.device)
