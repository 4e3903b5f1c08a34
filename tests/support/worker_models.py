"""Tiny models for tests of workers: each answers, or fails, in a way of its own."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Request, Response, Speech, Text
from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.errors import MediaError, ModelError, SampleError, describe
from avemo_harness.models.base import Capabilities, ModelSetup
from avemo_harness.phases import phase


class Echo:
    """Answers with what it was asked, clips by their content; words in a question make it fail.

    ``crash`` kills the process, ``crash once`` only if no file of the argument `mark` is there yet, ``hang`` stops it,
    ``wait`` waits for ever, ``lose`` fails as with a GPU that is lost, ``raise NAME`` raises an error, ``refuse``
    answers with one.
    """

    @dataclass(frozen=True, slots=True)
    class Arguments:
        mark: str = ""
        times: int = 1

    capabilities = Capabilities(frozenset({"label_text", "label_ranking", "spoken_response"}), largest_batch=8)

    def __init__(self, arguments: Arguments, setup: ModelSetup) -> None:
        if arguments.times < 1:
            raise ModelError("echo: times must be positive")
        self._arguments, self._setup = arguments, setup
        self._prefetched: list[str] = []

    def identity(self) -> Mapping[str, str]:
        return {"model": "echo", "times": str(self._arguments.times), "device": str(self._setup.device)}

    def prefetch(self, request: Request) -> None:
        for block in request.messages[-1].content:
            if isinstance(block, Clip):
                self._prefetched.append(block.read().hex())

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        self._setup.say(f"answering {len(requests)}")
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Response:
        blocks = [block for message in request.messages for block in message.content]
        words = " ".join(block.text for block in blocks if isinstance(block, Text))
        self._obey(words)
        try:
            clips = [block.read() for block in blocks if isinstance(block, Clip)]
        except MediaError as error:
            return Response(error=describe(error))
        said = f"{words} {[clip.hex() for clip in clips]} {len(self._prefetched)}" * self._arguments.times
        if isinstance(request.output, LabelOutput) and request.output.method == "rank":
            scores = {label: -1.0 / (i + 3) for i, label in enumerate(request.output.labels)}
            return Response(label_logprobs=scores, label_tokens=dict.fromkeys(scores, 1), prompt_tokens=len(words))
        sound = np.random.default_rng(request.seed).standard_normal(2_000).astype(np.float32)
        speech = Speech(sound, 24_000) if request.output.type == "spoken_response" else None
        return Response(text=said, speech=speech, new_tokens=3, flags=("truncated",))

    def _obey(self, words: str) -> None:
        order, _, name = words.partition(" ")
        if words == "crash once":
            if Path(self._arguments.mark).exists():
                return
            Path(self._arguments.mark).touch()
            print("about to crash", file=sys.stderr)
            os.kill(os.getpid(), signal.SIGKILL)
        if order == "crash":
            print("the allocator is out of its depth", file=sys.stderr)
            os._exit(3)
        if order == "lose":
            raise RuntimeError("CUDA error: device-side assert triggered")
        if order == "hang":
            os.kill(os.getpid(), signal.SIGSTOP)
        if order == "wait":
            time.sleep(3600)
        if order == "raise":
            raise {"MediaError": MediaError, "SampleError": SampleError, "KeyError": KeyError}[name](f"bad {name}")


class Unmakeable(Echo):
    """Cannot be made: its code needs a module that nobody has."""

    def __init__(self, arguments: Echo.Arguments, setup: ModelSetup) -> None:
        import no_such_module_anywhere  # type: ignore[import-not-found]  # noqa: F401  (meant to fail)

        super().__init__(arguments, setup)


class Drifting(Echo):
    """Is another model each time that it is made: its identity counts the makings, by the size of the file `mark`."""

    def __init__(self, arguments: Echo.Arguments, setup: ModelSetup) -> None:
        super().__init__(arguments, setup)
        with open(arguments.mark, "a", encoding="ascii") as mark:
            mark.write("x")
        self._made = Path(arguments.mark).stat().st_size

    def identity(self) -> Mapping[str, str]:
        return {"model": "drifting", "making": str(self._made)}


class Demanding(Echo):
    """Needs a package that its environment lacks."""

    requires: ClassVar[Mapping[str, str]] = {"no-such-package": "==1.0"}


class StandingIn(Echo):
    """Tells where its modules come from."""

    def identity(self) -> Mapping[str, str]:
        from importlib import import_module

        return {name: str(import_module(name).__file__) for name in ("flash_attn", "json")}


class Timed(Echo):
    """Takes some time in a phase before it answers."""

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        with phase("encode"):
            time.sleep(0.05)
        return super().generate(requests)
