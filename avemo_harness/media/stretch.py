"""Stretches of a recording, frame by frame: for long ones and for containers with poor headers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import MediaError
from avemo_harness.media.clock import missing_samples
from avemo_harness.media.orientation import upright_pixels
from avemo_harness.media.rate import resample
from avemo_harness.media.reader import OpenMedia, media_errors, open_media
from avemo_harness.media.types import DEFAULT_LIMITS, MediaLimits, Samples, Source

if TYPE_CHECKING:
    from av import VideoFrame

MAX_MISSING_S = 0.5
"""Time by which a stream may end before it should by request or header; the last frame is held, silence is added."""

_SEEK_FROM_S = 1.0


def stretch_frames(
    source: Source,
    start_s: float = 0.0,
    end_s: float | None = None,
    *,
    fps: int = 25,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames on show at start_s, start_s + 1 / fps, … before end_s, each RGB, uint8 [H, W, 3].

    Args:
        end_s: None means where the video ends.

    Raises:
        MediaError: the clip cannot be read, has no video, exceeds a limit, is damaged, or ends much earlier.
    """
    with open_media(source, limits) as media, media_errors(media.name):
        _, info = media.require_video()
        wanted = math.inf if end_s is None else max(1, round((end_s - start_s) * fps))
        shown: VideoFrame | None = None
        count, last_s = 0, start_s
        for time_s, frame in _timed_frames(media, start_s):
            while shown is not None and count < wanted and start_s + count / fps < time_s - 0.5 / fps:
                yield upright_pixels(shown, info.quarter_turns)
                count += 1
            if count >= wanted:
                return
            shown, last_s = frame, time_s
        expected_s = info.end_s if end_s is None else end_s
        if shown is None or last_s + info.frame_s < expected_s - MAX_MISSING_S:
            raise MediaError(f"its video ends at {last_s:.2f} s, expected were {expected_s:.2f} s; restore the clip")
        for _ in range(1 if math.isinf(wanted) else int(wanted) - count):
            yield upright_pixels(shown, info.quarter_turns)


def stretch_sound(
    source: Source,
    start_s: float = 0.0,
    end_s: float | None = None,
    *,
    rate: int = 16_000,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> Samples:
    """The sound from start_s to end_s, mixed to the mean of its channels: float32 [n] in [-1, 1].

    Args:
        end_s: None means where the sound ends.

    Raises:
        MediaError: the clip cannot be read, has no sound, exceeds a limit, is damaged, or ends much earlier.
    """
    from av import AudioResampler

    with open_media(source, limits) as media, media_errors(media.name):
        stream, info = media.require_sound()
        _require_room(info.end_s * info.rate * 4, limits)
        floats = AudioResampler(format="fltp")
        parts: list[Samples] = []
        first_s, samples, silence = 0.0, 0, 0
        for packet in media.container.demux(stream):
            if packet.is_corrupt:
                raise MediaError("a packet of its sound is damaged; restore the clip")
            for frame in packet.decode():
                first_s = first_s if parts else frame.time or 0.0
                silent = missing_samples(frame, first_s, samples) if media.video else 0
                silence += silent
                if silence > MAX_MISSING_S * info.rate:
                    raise MediaError(f"its sound has gaps of more than {MAX_MISSING_S} s; restore the clip")
                samples += silent + frame.samples
                parts.append(np.zeros(silent, np.float32))
                parts += [part.to_ndarray().mean(axis=0) for part in floats.resample(frame)]
        if not parts:
            raise MediaError("its sound holds nothing; restore the clip")
        mono = resample(np.concatenate(parts), info.rate, rate)
        placed = np.concatenate([np.zeros(max(0, round(_since_start(media, first_s) * rate)), np.float32), mono])
        stop = len(placed) if end_s is None else round(end_s * rate)
        expected_s = info.end_s if end_s is None else end_s
        if len(placed) / rate < expected_s - MAX_MISSING_S:
            raise MediaError(
                f"its sound ends at {len(placed) / rate:.2f} s, expected were {expected_s:.2f} s; restore the clip"
            )
        cut = placed[round(start_s * rate) : stop]
        missing = max(0, stop - round(start_s * rate) - len(cut))
        whole: Samples = np.concatenate([cut, np.zeros(missing, np.float32)])
        return np.clip(whole, -1.0, 1.0)


def _require_room(size: float, limits: MediaLimits) -> None:
    if size > limits.max_decoded_bytes:
        raise MediaError(f"its sound decodes to more than {limits.max_decoded_bytes} bytes; cut the clip")


def _timed_frames(media: OpenMedia, start_s: float) -> Iterator[tuple[float, VideoFrame]]:
    """Frames in order of time, from the last key frame before `start_s` on, with seconds from the clip's beginning."""
    stream, _ = media.require_video()
    if start_s > _SEEK_FROM_S:
        media.container.seek(round((start_s + float(media.clock_zero)) * 1_000_000))
    for packet in media.container.demux(stream):
        if packet.is_corrupt:
            raise MediaError("a packet of its video is damaged; restore the clip")
        for frame in packet.decode():
            if frame.is_corrupt or frame.pts is None:
                raise MediaError("a frame of its video is damaged; restore the clip")
            if (frame.width, frame.height) != media.stored_size:
                raise MediaError("a frame of its video has another size than its header says; re-encode the clip")
            yield _since_start(media, frame.time), frame


def _since_start(media: OpenMedia, time_s: float | None) -> float:
    return (time_s or 0.0) - float(media.clock_zero)
