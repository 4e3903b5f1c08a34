"""The clock that the streams of a clip share, and what is counted where its header says too little."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from avemo_harness.errors import MediaError
from avemo_harness.media.types import MediaLimits, VideoInfo

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream, Packet, VideoStream
    from av.container import InputContainer
    from av.stream import Stream

TOGETHER_S = 0.025
"""Streams that begin less apart begin together: encoders' priming is told no better by many containers, and it is
within what is noticed (45 ms, ITU-R BT.1359)."""

TIME_SLACK_S = 1e-6
"""Rounding of times in seconds."""

_JITTER_S = 0.005  # containers that count milliseconds round, and so do encoders


@dataclass(frozen=True, slots=True)
class Clock:
    """Zero of a clip in its container's seconds, and how long after it each stream begins."""

    zero: Fraction
    video_s: float
    sound_s: float


@dataclass(frozen=True, slots=True)
class CountedStream:
    """Sums over the packets of a stream: seconds, and packets."""

    duration_s: float
    packets: int


def read_clock(video: VideoStream | None, sound: AudioStream | None) -> Clock:
    """The clock of a clip with at least one of the two streams."""
    starts = [stream_start(stream) for stream in (video, sound) if stream is not None]
    zero = min(starts)
    if max(starts) - zero < TOGETHER_S:
        return Clock(zero, 0.0, 0.0)
    video_s, sound_s = (float(start - zero) for start in starts)
    return Clock(zero, video_s, sound_s)


def stream_start(stream: Stream) -> Fraction:
    """When a stream begins, in its container's seconds."""
    return Fraction((stream.start_time or 0) * (stream.time_base or 0))


def stated_duration(container: InputContainer, stream: Stream) -> float | None:
    """Seconds that the header gives for a stream; None where it gives none.

    Matroska gives a tag or the length of the whole file, and both are times at which something ends.
    """
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    start = float(stream_start(stream))
    tag = re.fullmatch(r"(\d{1,3}):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag:
        return 3600.0 * int(tag[1]) + 60.0 * int(tag[2]) + float(tag[3]) - start
    if container.duration is not None:
        return container.duration / 1e6 - (start - (container.start_time or 0) / 1e6)
    return None


def says_too_little(container: InputContainer) -> bool:
    """Check that packets must be counted, for a length or for a number of frames that the header does not give."""
    return any(stated_duration(container, stream) is None for stream in _timed_streams(container)) or any(
        not stream.frames for stream in container.streams.video
    )


def count_packets(container: InputContainer, limits: MediaLimits) -> dict[int, CountedStream]:
    """Go through all packets of a clip; nothing is decoded.

    Returns:
        By the index of a stream; those without packets are missing.

    Raises:
        MediaError: there are more packets, or they last longer, than the limits allow.
    """
    times: dict[int, list[Fraction]] = {}
    longest: dict[int, Fraction] = {}
    for packet in container.demux(_timed_streams(container)):
        if packet.size == 0 or packet.pts is None:
            continue
        found = times.setdefault(packet.stream.index, [])
        found.append(packet.pts * packet.time_base)
        end = found[-1] + (packet.duration or 0) * packet.time_base
        longest[packet.stream.index] = max(end, longest.get(packet.stream.index, end))
        if len(found) > limits.max_packets:
            raise MediaError(f"its {packet.stream.type} has over {limits.max_packets} packets; cut the clip")
        if end - found[0] > limits.max_seconds:
            raise MediaError(f"its {packet.stream.type} lasts over {limits.max_seconds:g} s; cut the clip")
    return {index: _counted(found, longest[index]) for index, found in times.items()}


def ends_as_stated(video: VideoInfo, last_s: float, longest_s: float) -> bool:
    """Check that frames end where their header says, within a frame.

    How long the last one is on show is not known: a packet's duration is the step to the next in order of decoding.

    Args:
        last_s: when the last frame on show begins, in seconds after the first.
        longest_s: how long any frame is on show at most, in seconds.
    """
    left = video.duration_s - last_s
    return -video.frame_s <= left <= longest_s + video.frame_s + TIME_SLACK_S


def shown_durations(packets: Sequence[Packet[Stream]], video: VideoInfo) -> dict[int, int]:
    """Duration of each frame of a video, by the time it begins at; both in the stream's own units."""
    starts = sorted(packet.pts or 0 for packet in packets if not packet.is_discard)
    end = round(last_frame_end(packets, video) / packets[0].time_base)
    return {start: max(1, after - start) for start, after in zip(starts, [*starts[1:], end], strict=True)}


def last_frame_end(packets: Sequence[Packet[Stream]], video: VideoInfo) -> Fraction:
    """When the last frame on show ends, in seconds.

    It is by its own duration, unless durations, which are those of the order of decoding, lead beyond the header's end.
    """
    shown = [packet for packet in packets if not packet.is_discard]
    stated = min(map(_start, shown)) + Fraction(video.duration_s)
    fits = abs(float(max(map(_end, shown)) - stated)) <= video.frame_s + TIME_SLACK_S
    return _end(max(shown, key=_start)) if fits else stated


def missing_samples(frame: AudioFrame, first_s: float, count: int) -> int:
    """Number of samples between a frame of sound and the `count` that came before it; 0 where they touch.

    Only for clips with a video, whose times they keep: Ogg's, for one, are guesses between its pages.

    Args:
        first_s: the time of the stream's first frame.
    """
    if frame.time is None:
        return 0
    gap = round((frame.time - first_s) * frame.sample_rate) - count
    return gap if gap > _JITTER_S * frame.sample_rate else 0


def _start(packet: Packet[Stream]) -> Fraction:
    return (packet.pts or 0) * packet.time_base


def _end(packet: Packet[Stream]) -> Fraction:
    return _start(packet) + (packet.duration or 0) * packet.time_base


def _timed_streams(container: InputContainer) -> list[Stream]:
    return [*container.streams.video, *container.streams.audio]


def _counted(times: Sequence[Fraction], end: Fraction) -> CountedStream:
    start, last = min(times), max(times)
    if end == last and len(times) > 1:
        end = last + (last - start) / (len(times) - 1)
    return CountedStream(float(end - start), len(times))
