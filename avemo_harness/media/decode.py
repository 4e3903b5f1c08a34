"""Reading clips: header facts, frames and sound. A clip that decodes short is an error, never a shorter clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import MediaError
from avemo_harness.media.rate import resample
from avemo_harness.media.reader import TIME_SLACK_S, OpenMedia, media_errors, open_media, sound_tolerance_s
from avemo_harness.media.types import DEFAULT_LIMITS, Frames, MediaInfo, MediaLimits, Samples, Source, VideoInfo

if TYPE_CHECKING:
    from av import AudioFrame, VideoFrame


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
            after the first, the last one held, and there are max(1, round(duration * fps)) of them.
        size: (width, height) in pixels to scale to; None keeps the clip's.

    Returns:
        uint8 [T, H, W, 3] RGB, and the frames a second.

    Raises:
        MediaError: the clip cannot be read, has no video, exceeds a limit, or decodes to another length than its
            header says (more than one frame off).
    """
    with open_media(source, limits) as media, media_errors(media.name):
        _, info = media.require_video()
        frames = _video_frames(media)
        if fps is None:
            pixels = _empty(info, info.frames + 1, size, limits)
            count = 0
            for count, (_, frame) in enumerate(frames, 1):
                pixels[count - 1] = _rgb(frame, pixels)
            return Frames(pixels[:count], info.fps)
        if not 0 < fps <= limits.max_fps:
            raise MediaError(f"{fps:g} frames a second were asked for, allowed are more than 0 to {limits.max_fps:g}")
        pixels = _empty(info, max(1, round(info.duration_s * fps)), size, limits)
        _sample(frames, fps, pixels)
        return Frames(pixels, float(fps))


def decode_sound(source: Source, *, rate: int = 16_000, limits: MediaLimits = DEFAULT_LIMITS) -> Samples:
    """Decode the whole sound track, mixed to the mean of its channels.

    Encoder padding at the end is cut: a clip of n samples gives n samples at its own rate.

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
        if info.duration_s * rate * 4 > limits.max_decoded_bytes:
            raise MediaError(f"its sound decodes to more than {limits.max_decoded_bytes} bytes; cut the clip")
        floats = AudioResampler(format="fltp")
        parts = [part.to_ndarray().mean(axis=0) for frame in _sound_frames(media) for part in floats.resample(frame)]
        mono = np.concatenate(parts)[: max(1, round(info.duration_s * info.rate))]
        return np.clip(resample(mono, info.rate, rate), -1.0, 1.0)


def _video_frames(media: OpenMedia) -> Iterator[tuple[float, VideoFrame]]:
    """Every frame with its time in seconds after the first; ends with an error where frames are missing."""
    stream, info = media.require_video()
    shown_for: dict[int, float] = {}
    count = hidden = 0
    first = end = 0.0
    for packet in media.container.demux(stream):
        if packet.is_corrupt:
            raise MediaError("a packet of its video is damaged; restore the clip")
        hidden += packet.is_discard
        if packet.pts is not None:
            shown_for[packet.pts] = float((packet.duration or 0) * packet.time_base)
        for frame in packet.decode():
            if frame.is_corrupt or frame.pts is None:
                raise MediaError(f"video frame {count} is damaged; restore the clip")
            if (frame.width, frame.height) != (info.width, info.height):
                raise MediaError(f"video frame {count} has another size than its header says; re-encode the clip")
            first = frame.time if count == 0 else first
            end = max(end, frame.time + shown_for.pop(frame.pts, 0.0))
            count += 1
            if count > info.frames + 1:
                raise MediaError(f"its video has more frames than the {info.frames} of its header; re-encode the clip")
            yield frame.time - first, frame
    expected, length = info.frames - hidden, end - first
    if count == 0 or abs(count - expected) > 1 or abs(length - info.duration_s) > info.frame_s + TIME_SLACK_S:
        raise MediaError(
            f"its video decodes to {count} frames and {length:.3f} s, its header says {expected} and "
            f"{info.duration_s:.3f} s; restore the clip"
        )


def _sound_frames(media: OpenMedia) -> Iterator[AudioFrame]:
    """Every frame of the sound; ends with an error where samples are missing."""
    stream, info = media.require_sound()
    expected = info.duration_s * info.rate
    tolerance = sound_tolerance_s(stream) * info.rate
    count = 0
    for packet in media.container.demux(stream):
        if packet.is_corrupt:
            raise MediaError("a packet of its sound is damaged; restore the clip")
        for frame in packet.decode():
            count += frame.samples
            if frame.is_corrupt or frame.sample_rate != info.rate or count > expected + tolerance:
                raise MediaError(f"its sound is damaged before {count / info.rate:.3f} s; restore the clip")
            yield frame
    if count == 0 or count < expected - tolerance:
        raise MediaError(
            f"its sound decodes to {count / info.rate:.3f} s, its header says {info.duration_s:.3f} s; restore the clip"
        )


def _sample(frames: Iterable[tuple[float, VideoFrame]], fps: float, pixels: NDArray[np.uint8]) -> None:
    """Fill `pixels` with the frame on show at 0, 1 / fps, 2 / fps … seconds."""
    slot = 0
    shown: VideoFrame | None = None
    for time, frame in frames:
        end = slot
        while end < len(pixels) and end / fps < time - TIME_SLACK_S:
            end += 1
        if shown is not None and end > slot:
            pixels[slot:end] = _rgb(shown, pixels)
            slot = end
        shown = frame
    if shown is not None and slot < len(pixels):
        pixels[slot:] = _rgb(shown, pixels)


def _empty(info: VideoInfo, count: int, size: tuple[int, int] | None, limits: MediaLimits) -> NDArray[np.uint8]:
    width, height = size or (info.width, info.height)
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


def _rgb(frame: VideoFrame, like: NDArray[np.uint8]) -> NDArray[np.uint8]:
    _, height, width, _ = like.shape
    return np.asarray(frame.to_ndarray(format="rgb24", width=width, height=height), dtype=np.uint8)
