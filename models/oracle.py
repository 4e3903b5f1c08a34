"""Models that recognise one stream of a clip and answer its label: they prove that conditions reach a model as meant.

An oracle sees only the clip after its condition. It decodes the stream, looks for a clip of the release that has the
same one, and answers that clip's label; where none has (noise, a frozen face, no such stream), it guesses.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np

from avemo_harness import media
from avemo_harness.benchmark.request import Request, Response
from avemo_harness.errors import GenerationError, MediaError
from avemo_harness.models.base import Capabilities, ModelSetup, NoArguments
from avemo_harness.models.trivial import labels_of

Fingerprint = tuple[bytes, ...]
"""A digest of each block of a decoded stream, in order."""

FIRST_BLOCKS = 5
SOUND_BLOCK = 1_600
"""Samples at 16 kHz: a tenth of a second."""


class _StreamOracle:
    """Answers the label of the clip whose stream this is."""

    Arguments = NoArguments
    capabilities = Capabilities(outputs=frozenset({"label_text"}), largest_batch=16)
    name: str
    fingerprint: Callable[[bytes], Fingerprint]

    def __init__(self, arguments: NoArguments, setup: ModelSetup) -> None:
        del arguments
        self._releases = setup.releases

    def identity(self) -> Mapping[str, str]:
        releases = " ".join(sorted(release.fingerprint for release in self._releases))
        return {"model": self.name, "version": "1", "releases": releases}

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
    """Whether the shorter stream is the beginning of the longer one; an empty one is not."""
    shared = min(len(one), len(other))
    return shared > 0 and one[:shared] == other[:shared]
