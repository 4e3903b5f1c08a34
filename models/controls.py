"""Control models: chance, majority, oracles of one stream, and the release's own replies."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from avemo_harness import media
from avemo_harness.benchmark.release import Dialogue, Release, Turn
from avemo_harness.benchmark.request import Request, Response, Speech
from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.errors import GenerationError, MediaError, ModelError
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
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Response:
        if self.label not in (labels := labels_of(request)):
            raise GenerationError(
                f"constant: {self.label!r} is none of {', '.join(labels)}; name one by --model_args label=…"
            )
        return _certain(self.label, request)


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


def _fingerprints(releases: Iterable[Release]) -> str:
    return " ".join(sorted(release.fingerprint for release in releases))


Fingerprint = tuple[bytes, ...]
"""A digest of each block of a decoded stream, in order."""

FIRST_BLOCKS = 5
SOUND_BLOCK = 1_600
"""Samples at 16 kHz: a tenth of a second."""


class _StreamOracle:
    """Answers the label of the clip whose stream this is."""

    Arguments = NoArguments
    capabilities = Capabilities(outputs=frozenset({"label_text"}), largest_batch=16, chooses=False)
    name: str
    fingerprint: Callable[[bytes], Fingerprint]

    def __init__(self, arguments: NoArguments, setup: ModelSetup) -> None:
        del arguments
        self._releases = setup.releases

    def identity(self) -> Mapping[str, str]:
        return {"model": self.name, "version": "1", "releases": _fingerprints(self._releases)}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Response:
        if request.asked_clip is None:
            raise GenerationError(f"{self.name}: the question has no clip")
        stream = type(self).fingerprint(request.asked_clip.read())
        found = {label for known, label in self._index.get(stream[:FIRST_BLOCKS], ()) if _same_start(known, stream)}
        if len(found) == 1:
            return Response(text=found.pop())
        return Response(text=random.Random(request.seed).choice(labels_of(request)))

    @cached_property
    def _index(self) -> dict[Fingerprint, list[tuple[Fingerprint, str]]]:
        """The labelled clips of the release by the first blocks of their stream."""
        index: dict[Fingerprint, list[tuple[Fingerprint, str]]] = {}
        turns = (turn for release in self._releases for one in release.dialogues for turn in one.turns)
        for turn in turns:
            if turn.role != "user" or turn.clip is None or turn.emotion is None:
                continue
            try:
                stream = type(self).fingerprint(turn.clip.read())
            except MediaError:
                continue  # a damaged clip is reported where it is asked about; nothing can match it
            index.setdefault(stream[:FIRST_BLOCKS], []).append((stream, turn.emotion))
        return index


class AudioOracle(_StreamOracle):
    """Answers the label of the clip that the sound comes from."""

    name = "audio-oracle"

    @staticmethod
    def fingerprint(clip: bytes) -> Fingerprint:
        if media.probe(clip).sound is None:
            return ()
        samples = media.decode_sound(clip, rate=16_000)
        # Whole blocks only, less the last two: where a stream was cut, resampler and decoder end differently.
        ends = range(SOUND_BLOCK, len(samples) + 1 - 2 * SOUND_BLOCK, SOUND_BLOCK)
        return _digests(np.round(samples[end - SOUND_BLOCK : end] * 32_767).astype("<i2") for end in ends)


class VideoOracle(_StreamOracle):
    """Answers the label of the clip that the face comes from."""

    name = "video-oracle"

    @staticmethod
    def fingerprint(clip: bytes) -> Fingerprint:
        return () if media.probe(clip).video is None else _digests(media.decode_frames(clip).pixels)


def _digests(blocks: Iterable[np.ndarray]) -> Fingerprint:
    return tuple(hashlib.sha256(np.ascontiguousarray(block).tobytes()).digest()[:16] for block in blocks)


def _same_start(one: Fingerprint, other: Fingerprint) -> bool:
    """True if the longer stream begins with the shorter one, which is not empty."""
    shared = min(len(one), len(other))
    return shared > 0 and one[:shared] == other[:shared]


SPEECH_RATE_HZ = 24_000


class Reference:
    """Replies as the release's assistant did, in text and sound, and names no emotions."""

    Arguments = NoArguments
    capabilities = Capabilities(outputs=frozenset({"spoken_response"}), largest_batch=16, needs_reference=True)

    def __init__(self, arguments: NoArguments, setup: ModelSetup) -> None:
        del arguments
        self._fingerprints = _fingerprints(setup.releases)
        self._dialogues: dict[str, Dialogue] = {}
        for dialogue in (dialogue for release in setup.releases for dialogue in release.dialogues):
            # A request says which dialogue it is about, and not of which release.
            if self._dialogues.setdefault(dialogue.dialogue_id, dialogue) != dialogue:
                raise ModelError(
                    f"reference: two of the tasks' releases have a dialogue {dialogue.dialogue_id!r}, and they differ; "
                    "make a run for each release"
                )

    def identity(self) -> Mapping[str, str]:
        return {"model": "reference", "version": "1", "releases": self._fingerprints}

    def generate(self, requests: Sequence[Request]) -> Sequence[Response]:
        return [_reply_of_turn(self._next_turn(request)) for request in requests]

    def _next_turn(self, request: Request) -> Turn:
        return self._dialogues[request.dialogue_id].turns[request.turn_index + 1]


def _reply_of_turn(turn: Turn) -> Response:
    """The turn as a reply; in words alone where nothing of it was recorded, or no sound."""
    data = turn.clip.read() if turn.clip is not None else b""
    if not data or media.probe(data).sound is None:
        return Response(text=turn.text)
    samples = media.decode_sound(data, rate=SPEECH_RATE_HZ)
    return Response(text=turn.text, speech=Speech(samples, SPEECH_RATE_HZ))
