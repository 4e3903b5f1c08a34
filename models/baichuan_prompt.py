"""What Baichuan-Omni-1.5 is asked: one string with tags for turns, and for media tags around the paths of files.

Its video carries no sound, so the sound of a clip follows as a segment of its own. Nothing here needs the model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Message, Text
from avemo_harness.models.harmless import harmless

SYSTEM, USER, ASSISTANT = "<B_SYS>", "<C_Q>", "<C_A>"
SPOKEN = "<audiotext_start_baichuan>"
"""Stands before every turn of the assistant where its answer is to be spoken."""


@dataclass(frozen=True, slots=True)
class ClipFiles:
    """Where the streams of a clip were written for the processor to read; None for a stream that it lacks."""

    video: Path | None
    sound: Path | None


def clip_segments(files: ClipFiles) -> str:
    """A clip in a prompt: its video, and after it its sound.

    >>> clip_segments(ClipFiles(Path("/s/0.mp4"), Path("/s/0.wav"))).count("baichuan>")
    4
    """
    video, sound = "", ""
    if files.video is not None:
        video = f"<video_start_baichuan>{json.dumps({'local': str(files.video)})}<video_end_baichuan>"
    if files.sound is not None:
        sound = f"<audio_start_baichuan>{json.dumps({'path': str(files.sound)})}<audio_end_baichuan>"
    return video + sound


def prompt(system: str, messages: Sequence[Message], files: Callable[[Clip], ClipFiles], spoken: bool) -> str:
    """A dialogue that the model is to continue.

    Args:
        system: empty for none.
        files: writes the streams of a clip.
        spoken: the answer is to be spoken.

    >>> hello, hi = Message("user", (Text("Hello."),)), Message("assistant", (Text("Hi."),))
    >>> prompt("Be kind.", [hello, hi, hello], lambda clip: ClipFiles(None, None), spoken=False)
    '<B_SYS>Be kind.<C_Q>Hello.<C_A>Hi.<C_Q>Hello.<C_A>'
    """
    answers = f"{SPOKEN}{ASSISTANT}" if spoken else ASSISTANT
    parts = [f"{SYSTEM}{system}"] if system else []
    for message in messages:
        parts.append(USER if message.role == "user" else answers)
        for block in message.content:
            parts.append(harmless(block.text) if isinstance(block, Text) else clip_segments(files(block)))
    return "".join([*parts, answers])


@dataclass(frozen=True, slots=True)
class Hearing:
    """How many tokens the encoder makes of sound.

    Args:
        window, hop: of the spectrum, in samples.
        kernel, stride: of the two convolutions; the first has stride 1.
        pool: states that make a token.
    """

    window: int
    hop: int
    kernel: int
    stride: int
    pool: int

    def tokens(self, samples: int) -> int:
        """Sound tokens for as many samples, of at most the longest piece that is encoded at once; 0 if too few.

        >>> Hearing(window=400, hop=160, kernel=3, stride=2, pool=4).tokens(16_000)
        12
        """
        if samples < self.window:
            return 0
        frames = samples // self.hop + 1
        states = (frames + 2 * (self.kernel // 2) - self.kernel) // self.stride + 1
        return states // self.pool
