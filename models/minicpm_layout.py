"""What MiniCPM-o 2.6 is shown of a dialogue: every second of a clip is a mark, a frame and that second's own sound.

Nothing here needs the model: contents are words, frames and sounds in order, as its published `chat` takes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from avemo_harness.benchmark.request import Message, Text
from avemo_harness.models.harmless import harmless
from avemo_harness.models.perception import SOUND_RATE, View

UNIT = "<unit>"
IMAGE_PLACE, AUDIO_PLACE = "(<image>./</image>)", "(<audio>./</audio>)"
GRID_FPS = 2.0
"""Frames a second that clips are decoded at: a unit's frame is at most half a second from where it should be."""
SHORTEST_SOUND = 2 * 160 + 1
"""Samples at 16 kHz below which a sound has no token."""

Part: TypeAlias = str | NDArray[Any]
"""Words, a frame (uint8 [H, W, 3]), or a sound (float32 [n] at 16 kHz)."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message; `role` is ``user`` or ``assistant``, the system prompt too being the user's."""

    role: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """A clip as it was decoded.

    Args:
        view: frames at `GRID_FPS` and sound at 16 kHz.
        seconds: length of its longer stream.
    """

    view: View
    seconds: float


def is_frame(part: Part) -> bool:
    """Whether a part is a frame."""
    return not isinstance(part, str) and part.ndim == 3


def clip_parts(seen: Seen) -> list[Part]:
    """A clip in units of a second; sound alone is one part, without units.

    The frame of second i is the one on show when that second ends, the last one where the clip ends before. A second
    without sound, or with less than makes a token, is a frame alone.

    >>> frames = np.zeros((4, 2, 2, 3), np.uint8)
    >>> [part if isinstance(part, str) else part.shape for part in clip_parts(Seen(View(frames, None), 2.0))]
    ['<unit>', (2, 2, 3), '<unit>', (2, 2, 3)]
    """
    frames, sound = seen.view.frames, seen.view.sound
    if frames is None:
        return [] if sound is None else [sound]
    parts: list[Part] = []
    # A length in floating point may be a hair above a whole number.
    for second in range(max(1, math.ceil(seen.seconds - 1e-3))):
        parts += [UNIT, frames[min(int((second + 1) * GRID_FPS), len(frames) - 1)]]
        slice_ = sound_of_second(sound, second)
        if len(slice_) >= SHORTEST_SOUND:
            parts.append(slice_)
    return parts


def sound_of_second(sound: NDArray[np.float32] | None, second: int) -> NDArray[np.float32]:
    """The sound of one second; the last one may be shorter.

    >>> sound = np.zeros(20_000, np.float32)
    >>> [len(sound_of_second(sound, second)) for second in range(3)]
    [16000, 4000, 0]
    """
    if sound is None:
        return np.zeros(0, np.float32)
    return sound[SOUND_RATE * second : SOUND_RATE * (second + 1)]


def conversation(system: Said, messages: Sequence[Message], look: Callable[[Any], Seen]) -> list[Said]:
    """The system prompt and a dialogue, clips laid out by seconds.

    Args:
        look: decodes a clip.
    """
    return [system, *(Said(message.role, tuple(_parts(message, look))) for message in messages)]


def _parts(message: Message, look: Callable[[Any], Seen]) -> Iterator[Part]:
    for block in message.content:
        if isinstance(block, Text):
            yield harmless(block.text)
        else:
            yield from clip_parts(look(block))


def with_places(said: Said) -> dict[str, str]:
    """A message as the chat template takes it: parts joined without anything between, places for media."""
    words = (part if isinstance(part, str) else IMAGE_PLACE if is_frame(part) else AUDIO_PLACE for part in said.parts)
    return {"role": said.role, "content": "".join(words)}


def frames_of(conversation: Sequence[Said]) -> list[NDArray[np.uint8]]:
    """Every frame, in order."""
    return [part for said in conversation for part in said.parts if not isinstance(part, str) and part.ndim == 3]


def sounds_of(conversation: Sequence[Said]) -> list[tuple[int, NDArray[np.float32]]]:
    """Every sound, in order, with the index of its message: the sounds of one message are heard as one."""
    return [
        (i, part)
        for i, said in enumerate(conversation)
        for part in said.parts
        if not isinstance(part, str) and part.ndim == 1
    ]
