"""Requests made by hand, for tests of models: dialogues of clips and words with a question at the end."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from support.clips import make_clip, melody
from support.sound_files import sound_file

from avemo_harness.benchmark.release import EMOTIONS, Clip
from avemo_harness.benchmark.request import Message, Request, Response, Text
from avemo_harness.benchmark.task import GenerationSpec, LabelOutput, SpokenOutput
from avemo_harness.media.mp4_writer import Mp4Writer

QUESTION = "Which emotion does the speaker express?"
REPLY = "Reply to the speaker."


def clip(seconds: float, seed: int = 0) -> Clip:
    """A clip with video and sound."""
    return Clip.from_bytes(make_clip(seconds, seed), f"clip{seed}.mp4")


def silent_clip(seconds: float, seed: int = 0) -> Clip:
    """A clip without a sound track."""
    import av

    with av.open(io.BytesIO(make_clip(seconds, seed))) as whole, Mp4Writer() as writer:
        video = whole.streams.video[0]
        writer.copy(video, (packet for packet in whole.demux(video) if packet.size))
        return Clip.from_bytes(writer.finish(), f"silent{seed}.mp4")


def sound_clip(seconds: float, seed: int = 0, kind: str = "m4a") -> Clip:
    """A clip without video, in one of `SOUND_FORMATS`."""
    return Clip.from_bytes(sound_file(kind, melody(seconds, seed=seed)), f"sound{seed}.{kind}")


def ask(*before: Clip | str, question: str = QUESTION, **how: Any) -> Request:
    """A question about the last clip of a dialogue: clips are the user's turns, words the assistant's.

    Args:
        how: ``output`` ("label", "rank" or "reply") and fields of `GenerationSpec`.
    """
    history = [
        Message("assistant", (Text(one),)) if isinstance(one, str) else Message("user", (one,)) for one in before[:-1]
    ]
    asked = before[-1]
    assert isinstance(asked, Clip)
    return _request((*history, Message("user", (asked, Text(question)))), **how)


def ask_in_words(question: str, **how: Any) -> Request:
    """A question without any clip."""
    return _request((Message("user", (Text(question),)),), **how)


def _request(messages: Sequence[Message], output: str = "label", **generation: Any) -> Request:
    wanted: LabelOutput | SpokenOutput
    if output == "reply":
        wanted = SpokenOutput(type="spoken_response")
    else:
        wanted = LabelOutput(type="label", labels=EMOTIONS, method="rank" if output == "rank" else "generate")
    spec = GenerationSpec(**{"max_new_tokens": 12, **generation})
    said = [[b.text if isinstance(b, Text) else b.sha256 for b in message.content] for message in messages]
    key = hashlib.sha256(f"{said} {output} {spec}".encode()).hexdigest()
    return Request(key, "d1", len(messages) - 1, tuple(messages), wanted, spec)


def shuffled(requests: Sequence[Request], seed: int = 0) -> list[Request]:
    """The same requests in another order."""
    return [requests[i] for i in np.random.default_rng(seed).permutation(len(requests))]


A, B, C, D = clip(2.0, 0), clip(3.2, 1), clip(1.3, 2), clip(4.4, 3)
SILENT, SOUND = silent_clip(2.5, 4), sound_clip(2.5, 5, "wav")
MIXED = ask(A, "x", SILENT, "y", SOUND)
"""A conversation whose clips do not have the same streams."""


def conversations(output: str, **how: object) -> list[Request]:
    """Mixed lengths, histories and streams."""
    return [
        ask(A, output=output, **how),
        ask(A, "I see.", B, output=output, **how),
        ask(C, "Well.", D, "Tell me more about it.", A, output=output, **how),
        ask(D, "Oh!", C, output=output, question="And now?", **how),
        ask(SILENT, output=output, **how),
        ask(SILENT, "Hm.", silent_clip(1.0, 6), output=output, **how),
        ask(SOUND, output=output, **how),
        ask(B, output=output, **how),
        ask_in_words("How are you?", output=output, **how),
        ask(clip(0.4, 9), output=output, **how),
    ]


def mixed_streams(output: str, **how: object) -> list[Request]:
    """Conversations whose clips do not have the same streams, in several orders and formats."""
    flac = sound_clip(1.5, 7, "flac")
    return [
        ask(A, "x", SILENT, "y", SOUND, output=output, **how),
        ask(SOUND, "Hm.", A, output=output, **how),
        ask(SILENT, "Hm.", flac, output=output, **how),
        ask(flac, "Well.", SILENT, "Hm.", C, output=output, **how),
    ]


def outcome(response: Response) -> tuple[object, ...]:
    """Fields that must be equal exactly."""
    return (response.text, response.new_tokens, response.prompt_tokens, response.flags, response.error)
