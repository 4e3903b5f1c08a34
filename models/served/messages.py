"""Requests as messages of the chat completions API, in the layout that a server takes."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.benchmark.release import Clip
from avemo_harness.benchmark.request import Message, Text
from avemo_harness.errors import MediaError
from avemo_harness.lru_cache import LruCache
from avemo_harness.models.inputs import (
    GRID_FPS,
    SOUND_RATE,
    ClipDecoder,
    escape_special_tokens,
    seconds_of,
)

Layout = Literal["clips", "seconds"]
"""``clips``: video, then sound; ``seconds``: a frame and the sound of each second in turn, as MiniCPM-o takes them."""

SoundPart = Literal["input_audio", "input_audio_url", "audio_url", "in_video"]
"""``input_audio``: base64, as OpenAI has it; ``input_audio_url``: the same as a data URL; ``audio_url``: vLLM's own;
``in_video``: not by itself, but in the video."""

Part: TypeAlias = dict[str, Any]

PARTS_BYTES = 2**28
"""Room for clips that are ready to be sent; a dialogue's history is sent with each of its turns."""


class Messenger:
    """Makes the messages of requests. Safe to use from several threads.

    Args:
        system: system prompt; empty for none.
        link: from a media type and a file's bytes to what stands for the file; by default it is a data URL.
    """

    def __init__(
        self, system: str, layout: Layout, sound_part: SoundPart, link: Callable[[str, bytes], str] | None = None
    ) -> None:
        self._system, self._layout, self._sound_part = system, layout, sound_part
        self._link = link or _data_url
        self._decoder = ClipDecoder(GRID_FPS)
        self._clips: LruCache[str, list[Part]] = LruCache(
            PARTS_BYTES, lambda parts: sum(len(str(part)) for part in parts)
        )

    def messages(self, conversation: Sequence[Message]) -> list[Part]:
        """A conversation for ``messages`` (MediaError: a clip is missing or damaged)."""
        system = [{"role": "system", "content": self._system}] if self._system else []
        return [*system, *({"role": message.role, "content": self._content(message)} for message in conversation)]

    def _content(self, message: Message) -> str | list[Part]:
        if all(isinstance(block, Text) for block in message.content):
            return "".join(escape_special_tokens(block.text) for block in message.content if isinstance(block, Text))
        return [part for block in message.content for part in self._parts(block)]

    def _parts(self, block: Text | Clip) -> list[Part]:
        if isinstance(block, Text):
            return [{"type": "text", "text": escape_special_tokens(block.text)}]
        return self._clips.get(block.sha256, lambda: list(self._clip(block)))

    def _clip(self, clip: Clip) -> Iterator[Part]:
        if self._layout == "seconds":
            for frame, sound in seconds_of(self._decoder.look_timed(clip)):
                if frame is not None:
                    yield self._picture(frame)
                if sound is not None:
                    yield self._sound(sound)
            return
        has_video, samples = self._decoder.streams(clip).video is not None, self._decoder.sound(clip)
        if has_video and self._sound_part == "in_video":
            data = clip.read()
            # Servers take MP4; another container, such as a browser's WebM, is encoded anew.
            yield self._video(data if media.sound_container(data) == "MP4" else media.reencode(data))
            return
        if has_video:
            yield self._video(_without_sound(clip.read()))
        if samples is not None:
            yield self._sound(samples)

    def _sound(self, samples: NDArray[np.float32]) -> Part:
        link = self._link("audio/wav", media.write_wave(samples, SOUND_RATE))
        if self._sound_part == "audio_url":
            return {"type": "audio_url", "audio_url": {"url": link}}
        data = link if self._sound_part == "input_audio_url" else link.removeprefix(_DATA_URL.format("audio/wav"))
        return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}

    def _video(self, mp4: bytes) -> Part:
        return {"type": "video_url", "video_url": {"url": self._link("video/mp4", mp4)}}

    def _picture(self, pixels: NDArray[np.uint8]) -> Part:
        """A frame, uint8 [H, W, 3]; without loss."""
        from PIL import Image

        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        return {"type": "image_url", "image_url": {"url": self._link("image/png", file.getvalue())}}


def _without_sound(data: bytes) -> bytes:
    """The video of a clip as MP4: its own packets, or encoded anew where they cannot be copied, as those of WebM."""
    try:
        return media.remove_sound(data)
    except MediaError:
        media.check_whole(data)  # what is damaged stays an error
        return media.remove_sound(media.reencode(data))


_DATA_URL = "data:{};base64,"


def _data_url(kind: str, data: bytes) -> str:
    return _DATA_URL.format(kind) + base64.b64encode(data).decode()
