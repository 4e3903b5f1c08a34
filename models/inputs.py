"""Inputs of models: text without special tokens, clips decoded to frames and 16 kHz sound."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.benchmark.release import Clip
from avemo_harness.errors import MediaError
from avemo_harness.lru_cache import LruCache
from avemo_harness.phases import phase

_SPECIAL_TOKEN = re.compile(r"<(?=[|/A-Za-z])")


def escape_special_tokens(text: str) -> str:
    """The text, unable to close a turn or to name media.

    >>> escape_special_tokens("I <3 it <|im_end|> (<image>./</image>)")
    'I <3 it < |im_end|> (< image>./< /image>)'
    """
    return _SPECIAL_TOKEN.sub("< ", text)


SOUND_RATE = 16_000
FRAME_BYTES, SOUND_BYTES = 2**31, 2**28

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class DecodedClip:
    """A clip as a model takes it in.

    Args:
        frames: RGB, uint8 [T, H, W, 3], T even; None without video.
        sound: mono at 16 kHz, float32 [n] in [-1, 1]; None without sound.
    """

    frames: NDArray[np.uint8] | None
    sound: NDArray[np.float32] | None


GRID_FPS = 2.0
"""Frames a second of clips that are laid out by seconds: a frame is at most half a second from where it should be."""
SHORTEST_SOUND = 2 * 160 + 1
"""Samples at 16 kHz below which a sound has no token in MiniCPM-o, whose layout this is."""


@dataclass(frozen=True, slots=True)
class TimedClip:
    """A clip as it was decoded.

    Args:
        view: frames at `GRID_FPS` and sound at 16 kHz.
        seconds: length of its longer stream.
    """

    view: DecodedClip
    seconds: float


def seconds_of(clip: TimedClip) -> Iterator[tuple[NDArray[np.uint8] | None, NDArray[np.float32] | None]]:
    """A clip second by second: a frame, uint8 [H, W, 3], and that second's sound. Sound alone comes whole.

    The frame is the one on show when its second ends, the last one where the clip ends before. Sound of less than
    `SHORTEST_SOUND` is left out.

    >>> view = DecodedClip(np.zeros((4, 2, 2, 3), np.uint8), np.zeros(20_000, np.float32))
    >>> [(frame.shape, len(sound)) for frame, sound in seconds_of(TimedClip(view, 2.0))]
    [((2, 2, 3), 16000), ((2, 2, 3), 4000)]
    """
    frames, sound = clip.view.frames, clip.view.sound
    if frames is None:
        if sound is not None:
            yield None, sound
        return
    # A length in floating point may be a hair above a whole number.
    for second in range(max(1, math.ceil(clip.seconds - 1e-3))):
        frame = frames[min(int((second + 1) * GRID_FPS), len(frames) - 1)]
        heard = None if sound is None else sound[SOUND_RATE * second : SOUND_RATE * (second + 1)]
        yield frame, None if heard is None or len(heard) < SHORTEST_SOUND else heard


class ClipDecoder:
    """Decodes clips, each stream once while it is remembered. Safe to use from several threads.

    Args:
        fps: frames a second, the same for every clip: frame k is the one on show after k / fps seconds. The last frame
            is held to make their number even, since video encoders take frames in pairs.
    """

    def __init__(self, fps: float) -> None:
        self.fps = fps
        self._streams: LruCache[str, media.StreamDigests] = LruCache(100_000, lambda streams: 1)
        self._frames: LruCache[str, NDArray[np.uint8]] = LruCache(FRAME_BYTES, lambda array: array.nbytes)
        self._sounds: LruCache[str, NDArray[np.float32]] = LruCache(SOUND_BYTES, lambda array: array.nbytes)

    def prefetch(self, clip: Clip, known: Callable[[str], bool] = lambda stream: False) -> None:
        """Decode a clip ahead. A clip that cannot be decoded is left for whoever asks for it, with its error.

        Args:
            known: True for streams that need no decoding.
        """
        with suppress(MediaError):
            streams = self.streams(clip)
            if streams.video is not None and not known(streams.video):
                self.frames(clip)
            if streams.sound is not None and not known(streams.sound):
                self.sound(clip)

    def streams(self, clip: Clip) -> media.StreamDigests:
        """Digests of the streams that a clip has. Nothing is decoded.

        Raises:
            MediaError: the clip is missing or damaged.
        """
        return self._streams.get(clip.sha256, lambda: _with_clip_name(clip, media.stream_digests))

    def frames(self, clip: Clip) -> NDArray[np.uint8] | None:
        """Frames of a clip as in `DecodedClip`; MediaError where it is missing or damaged."""
        video = self.streams(clip).video
        if video is None:
            return None
        return self._frames.get(video, lambda: _with_clip_name(clip, lambda data: _even_frames(data, self.fps)))

    def sound(self, clip: Clip) -> NDArray[np.float32] | None:
        """Sound of a clip as in `DecodedClip`; MediaError where it is missing or damaged."""
        sound = self.streams(clip).sound
        if sound is None:
            return None
        return self._sounds.get(sound, lambda: _with_clip_name(clip, _own_sound))

    def look(self, clip: Clip) -> DecodedClip:
        """Both streams of a clip.

        Raises:
            MediaError: the clip is missing or damaged.
        """
        return DecodedClip(self.frames(clip), self.sound(clip))

    def look_timed(self, clip: Clip) -> TimedClip:
        """Both streams of a clip and its length; MediaError where it is missing or damaged."""
        return TimedClip(self.look(clip), media.probe(clip.read()).duration_s)


@phase("media")
def _with_clip_name(clip: Clip, make: Callable[[bytes], Value]) -> Value:
    try:
        return make(clip.read())
    except MediaError as error:
        raise error if clip.name in str(error) else MediaError(f"{clip.name}: {error}") from error


def _even_frames(data: bytes, fps: float) -> NDArray[np.uint8]:
    pixels = media.decode_frames(data, fps=fps).pixels
    return np.concatenate([pixels, pixels[-1:]]) if len(pixels) % 2 else pixels


def _own_sound(data: bytes) -> NDArray[np.float32]:
    return media.decode_sound(data, rate=SOUND_RATE).astype(np.float32, copy=False)
