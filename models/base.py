"""The interface of a model under test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args, runtime_checkable

from avemo_harness.benchmark.release import Release
from avemo_harness.benchmark.request import Item, Request, Response
from avemo_harness.benchmark.task import ModelOutput
from avemo_harness.errors import GenerationError, ModelError, UsageError
from avemo_harness.torch_setup import device_is_lost

Output = Literal["label_text", "label_ranking", "spoken_response", "text"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Outputs and batch sizes of a model.

    Args:
        outputs: kinds of answers it gives; a task that wants another kind is not asked.
        largest_batch: requests that one call of `generate` takes at most.
        usual_batch: requests given at once where the user names no number; None for `largest_batch`.
        needs_reference: it answers from the release itself, so only turns that have a reply there are asked.
        chooses: it can name an option by its letter; False for one that knows labels of clips alone.
    """

    outputs: frozenset[Output]
    largest_batch: int = 1
    usual_batch: int | None = None
    needs_reference: bool = False
    chooses: bool = True


BatchSize = int | Literal["auto"] | None
"""Requests given to a model at once: ``auto`` for as many as fit, None for what the model declares as usual."""
LARGEST_BATCH = 64


def batch_size_of(asked: BatchSize, capabilities: Capabilities) -> int:
    """The number of requests to give a model at once."""
    if isinstance(asked, int):
        return min(asked, capabilities.largest_batch)
    usual = None if asked == "auto" else capabilities.usual_batch
    return usual or min(LARGEST_BATCH, capabilities.largest_batch)


def generate_each(model: OmniModel, requests: Sequence[Request]) -> list[Response | Exception]:
    """Answer a batch; one that fails is asked one by one, so that a bad sample voids no other.

    Returns:
        For each request what the model gave, or what it raised for this request alone.

    Raises:
        UsageError: the model itself cannot answer, whatever it is asked.
    """
    try:
        responses = list(model.generate(requests))
        if len(responses) != len(requests):
            raise GenerationError(f"{len(responses)} responses came back for {len(requests)} requests")
    except UsageError:
        raise
    except Exception as error:  # whatever the model's class raises
        # Without its device the model cannot answer the others either.
        if len(requests) > 1 and not device_is_lost(error):
            return [answered for request in requests for answered in generate_each(model, [request])]
        return [error] * len(requests)
    return [*responses]


def _no_training(which: str) -> tuple[Release, ...]:
    raise ModelError(f"no training part {which!r} is at hand")


@dataclass(frozen=True, slots=True)
class ModelSetup:
    """Parts of a run that every model may use.

    Args:
        releases: the releases that the run asks about.
        training: gives labelled releases to learn from: the train parts of `releases` and else the built-in demo's for
            ``auto``, the demo's for ``demo``, or those of a path.
        say: takes a sentence for the user before something slow.
        device: where a neural model should run, such as ``cpu`` or ``cuda:0``; None lets it choose.
        demo_digest: gives the digest of the plan of the built-in demo's train part where `training` would give that and
            nothing else; it makes nothing, so that a model that comes trained on it need not wait for it.
        outputs: the kinds of answers that the run will ask for, so that a model can leave the rest of itself unloaded.
    """

    releases: tuple[Release, ...] = ()
    training: Callable[[str], tuple[Release, ...]] = _no_training
    say: Callable[[str], None] = lambda sentence: None
    device: str | None = None
    demo_digest: Callable[[str], str | None] = lambda which: None
    outputs: frozenset[Output] = frozenset(get_args(Output))


class OmniModel(Protocol):
    """A model under test. Construction is cheap; weights are loaded by the first `generate`.

    A class also has a frozen dataclass `Arguments` with its typed arguments; it is made as ``Class(arguments, setup)``.
    It may have `requires`, version ranges by package such as ``{"transformers": ">=5.18,<5.25"}``: where they are not
    met, it is refused before it is made.
    """

    capabilities: Capabilities

    def identity(self) -> Mapping[str, str]:
        """Everything about the model that may change an answer; part of every request's key."""
        ...

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        """Answer each request from its own messages alone, in order.

        The answers of a batch equal those of its requests asked one by one. A request that fails gives a Response with
        an error; an exception is taken for the failure of the whole batch, which is then asked one by one.
        """
        ...


@runtime_checkable
class Prefetching(Protocol):
    """A model that can decode clips before they are asked about, while another batch is being answered."""

    def prefetch(self, request: Request) -> None:
        """Make ready what `generate` will need for a request. Called from other threads; raises nothing."""
        ...


@runtime_checkable
class Concurrent(Protocol):
    """A model that answers many requests side by side, each as soon as it can."""

    def submit(self, request: Request) -> Future[Response]:
        """Begin to answer a request. The future raises only what ends the run (a UsageError)."""
        ...


@runtime_checkable
class AnswersByItem(Protocol):
    """A model whose answers were given elsewhere and are kept by item. Its requests name their item, without labels."""

    def has_answer(self, item: Item, output: ModelOutput) -> bool:
        """True where an answer of the kind that is asked for is kept; a task without any is not asked."""
        ...

    def expect(self, items: Sequence[tuple[Item, ModelOutput]]) -> None:
        """Compare what is kept with what is about to be asked, and tell the user what does not fit.

        Raises:
            UsageError: no answer is to anything that is asked.
        """
        ...


@runtime_checkable
class Logging(Protocol):
    """A model with processes of its own, whose output is kept with the run."""

    def log_to(self, path: Path) -> None:
        """Append what they write to a file, from now on.

        Raises:
            StoreError: the file cannot be written.
        """
        ...


@runtime_checkable
class Closeable(Protocol):
    """A model with processes or devices that are of no use once everything is answered."""

    def close(self) -> None:
        """Let go of them; the model answers nothing more."""
        ...


@dataclass(frozen=True, slots=True)
class NoArguments:
    """For models that take no arguments."""
