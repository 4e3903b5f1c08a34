"""Reading clips: header facts, frames and sound. A clip that decodes short is an error."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import MediaError
from avemo_harness.media.clock import TIME_SLACK_S, ends_as_stated, missing_samples
from avemo_harness.media.orientation import upright_pixels
from avemo_harness.media.rate import resample
from avemo_harness.media.reader import OpenMedia, media_errors, open_media, sound_tolerance_s
from avemo_harness.media.types import DEFAULT_LIMITS, Frames, MediaInfo, MediaLimits, Samples, Source

if TYPE_CHECKING:
    from av import AudioFrame, VideoFrame

MAX_PRIMING_S = 0.25
"""Longest gap behind the first frame of sound: encoders begin with up to 2,112 samples of silence, and where
a container lacks edit lists, that silence is stretched to where the video begins."""


def probe(source: Source, limits: MediaLimits = DEFAULT_LIMITS) -> MediaInfo:
    """Read what the header says; nothing is decoded.

    Raises:
        MediaError: the clip cannot be read or exceeds a limit.
    """
    with open_media(source, limits) as media:
        return media.info


def decode_frames(
    source: Source,
    *,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
    limits: MediaLimits = DEFAULT_LIMITS,
) -> Frames:
    """Decode the whole video and keep the frames asked for.

    Args:
        fps: None keeps every frame. A number samples the video evenly: frame k is the one on show k / fps seconds
            after the clip's beginning, the last one held, and there are max(1, round(end * fps)) of them.
        size: (width, height) in pixels to scale to; None keeps the clip's.

    Returns:
        uint8 [T, H, W, 3] RGB, and the frames a second. A video that begins after the clip's sound is preceded by its
        first frame, held.

    Raises:
        MediaError: the clip cannot be read, has no video, exceeds a limit, or decodes to another length than its
            header says (more than one frame off).
    """
    with open_media(source, limits) as media, media_errors(media.name):
        _, info = media.require_video()
        shown = size or (info.width, info.height)
        frames = _video_frames(media)
        if fps is None:
            held = round(info.start_s * info.fps)
            pixels = _empty(held + info.frames + 1, shown, limits)
            count = held
            for count, (_, frame) in enumerate(frames, held + 1):
                pixels[count - 1] = upright_pixels(frame, info.quarter_turns, shown)
            pixels[:held] = pixels[held]
            return Frames(pixels[:count], info.fps)
        if not 0 < fps <= limits.max_fps:
            raise MediaError(f"{fps:g} frames a second were asked for, allowed are more than 0 to {limits.max_fps:g}")
        pixels = _empty(max(1, round(info.end_s * fps)), shown, limits)
        _sample(frames, fps, pixels, info.quarter_turns)
        return Frames(pixels, float(fps))


def decode_sound(source: Source, *, rate: int = 16_000, limits: MediaLimits = DEFAULT_LIMITS) -> Samples:
    """Decode the whole sound track, mixed to the mean of its channels.

    Encoder padding at the end is cut: a clip of n samples gives n samples at its own rate. Sound that begins after the
    clip's video is preceded by silence, and so is what follows a gap that the container's times tell of.

    Args:
        rate: samples a second to resample to.

    Returns:
        float32 [n] in [-1, 1].

    Raises:
        MediaError: the clip cannot be read, has no sound, exceeds a limit, or decodes to another length than its
            header says (more than one and a half codec frames off).
    """
    from av import AudioResampler

    with open_media(source, limits) as media, media_errors(media.name):
        _, info = media.require_sound()
        if not 0 < rate <= limits.max_rate:
            raise MediaError(f"{rate} samples a second were asked for, allowed are 1 to {limits.max_rate}")
        if info.end_s * rate * 4 > limits.max_decoded_bytes:
            raise MediaError(f"its sound decodes to more than {limits.max_decoded_bytes} bytes; cut the clip")
        floats = AudioResampler(format="fltp")
        parts: list[Samples] = []
        for silent, frame in _sound_frames(media):
            parts.append(np.zeros(silent, np.float32))
            parts += [part.to_ndarray().mean(axis=0) for part in floats.resample(frame)]
        track = np.concatenate(parts)[: max(1, round(info.duration_s * info.rate))]
        mono = np.concatenate([np.zeros(round(info.start_s * info.rate), np.float32), track])
        return np.clip(resample(mono, info.rate, rate), -1.0, 1.0)


def check_whole(source: Source, limits: MediaLimits = DEFAULT_LIMITS) -> MediaInfo:
    """Decode both streams of a clip to the end and keep nothing.

    Returns:
        What the header says.

    Raises:
        MediaError: the clip cannot be read, exceeds a limit, or decodes to another length than its header says.
    """
    with open_media(source, limits) as media, media_errors(media.name):
        info = media.info
        if info.video is not None:
            deque(_video_frames(media), maxlen=0)
    # Packets of the other stream were passed over: it is read from the beginning.
    if info.sound is not None:
        with open_media(source, limits) as media, media_errors(media.name):
            deque(_sound_frames(media), maxlen=0)
    return info


def _video_frames(media: OpenMedia) -> Iterator[tuple[float, VideoFrame]]:
    """Every frame with its time in seconds on the clip's clock; ends with an error where frames are missing."""
    stream, info = media.require_video()
    count = hidden = 0
    first = last = longest = 0.0
    for packet in media.container.demux(stream):
        if packet.is_corrupt:
            raise MediaError("a packet of its video is damaged; restore the clip")
        hidden += packet.is_discard
        longest = max(longest, float((packet.duration or 0) * packet.time_base))
        for frame in packet.decode():
            if frame.is_corrupt or frame.pts is None:
                raise MediaError(f"video frame {count} is damaged; restore the clip")
            if (frame.width, frame.height) != media.stored_size:
                raise MediaError(f"video frame {count} has another size than its header says; re-encode the clip")
            first = frame.time if count == 0 else first
            longest = max(longest, frame.time - first - last)
            last = max(last, frame.time - first)
            count += 1
            if count > info.frames + 1:
                raise MediaError(f"its video has more frames than the {info.frames} of its header; re-encode the clip")
            yield frame.time - first + info.start_s, frame
    expected = info.frames - hidden
    if count == 0 or abs(count - expected) > 1 or not ends_as_stated(info, last, longest):
        raise MediaError(
            f"its video decodes to {count} frames, the last at {last:.3f} s; its header says {expected} and "
            f"{info.duration_s:.3f} s; restore the clip"
        )


def _sound_frames(media: OpenMedia) -> Iterator[tuple[int, AudioFrame]]:
    """Every frame of the sound after the number of silent samples before it; ends with an error where some are missing.

    Behind the first frame, which is the encoder's priming, a container may leave a longer gap than elsewhere.
    """
    stream, info = media.require_sound()
    expected = info.duration_s * info.rate
    tolerance = sound_tolerance_s(stream) * info.rate
    count = frames = gaps = 0
    first_s = 0.0
    for packet in media.container.demux(stream):
        if packet.is_corrupt:
            raise MediaError("a packet of its sound is damaged; restore the clip")
        for frame in packet.decode():
            first_s = first_s if frames else frame.time or 0.0
            silent = missing_samples(frame, first_s, count) if media.video else 0
            gaps += silent if frames > 1 else max(0, silent - round(MAX_PRIMING_S * info.rate))
            frames += 1
            count += silent + frame.samples
            if frame.is_corrupt or frame.sample_rate != info.rate or count > expected + tolerance or gaps > tolerance:
                raise MediaError(f"its sound is damaged before {count / info.rate:.3f} s; restore the clip")
            yield silent, frame
    if count == 0 or count < expected - tolerance:
        raise MediaError(
            f"its sound decodes to {count / info.rate:.3f} s, its header says {info.duration_s:.3f} s; restore the clip"
        )


def _sample(
    frames: Iterable[tuple[float, VideoFrame]], fps: float, pixels: NDArray[np.uint8], quarter_turns: int
) -> None:
    """Fill `pixels` with the frame on show at 0, 1 / fps, 2 / fps … seconds."""
    _, height, width, _ = pixels.shape
    slot = 0
    shown: VideoFrame | None = None
    for time, frame in frames:
        end = slot
        while end < len(pixels) and end / fps < time - TIME_SLACK_S:
            end += 1
        if shown is not None and end > slot:
            pixels[slot:end] = upright_pixels(shown, quarter_turns, (width, height))
            slot = end
        shown = frame
    if shown is not None and slot < len(pixels):
        pixels[slot:] = upright_pixels(shown, quarter_turns, (width, height))


def _empty(count: int, size: tuple[int, int], limits: MediaLimits) -> NDArray[np.uint8]:
    width, height = size
    if min(width, height) < 1 or width * height > limits.max_pixels:
        raise MediaError(
            f"frames of {width}x{height} were asked for, allowed are 1 to {limits.max_pixels} pixels in all"
        )
    if count * width * height * 3 > limits.max_decoded_bytes:
        raise MediaError(
            f"{count} frames of {width}x{height} take more than {limits.max_decoded_bytes} bytes; "
            "ask for fewer or smaller frames"
        )
    return np.empty((count, height, width, 3), dtype=np.uint8)
