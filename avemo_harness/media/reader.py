"""Opening a clip: nothing is decoded or allocated before its header has passed the limits."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

from avemo_harness.errors import MediaError
from avemo_harness.media.clock import (
    TIME_SLACK_S,
    Clock,
    CountedStream,
    count_packets,
    ends_as_stated,
    read_clock,
    says_too_little,
    stated_duration,
)
from avemo_harness.media.formats import MP4, codec_name, formats_of
from avemo_harness.media.mp4_header import Mp4Header, read_mp4_header
from avemo_harness.media.types import MediaInfo, MediaLimits, SoundInfo, Source, VideoInfo
from avemo_harness.media.wave import is_wave, with_known_sizes

if TYPE_CHECKING:
    from av import AudioStream, Packet, VideoStream
    from av.container import InputContainer
    from av.stream import Stream

_AAC_FRAME = 1024


@dataclass(frozen=True, slots=True)
class OpenMedia:
    """A clip whose header has passed the limits, with its first video and its first sound stream.

    Args:
        clock_zero: the clip's beginning in seconds of the container.
    """

    name: str
    container: InputContainer
    video: VideoStream | None
    sound: AudioStream | None
    info: MediaInfo
    limits: MediaLimits
    clock_zero: Fraction

    @property
    def is_mp4(self) -> bool:
        """True for an MP4 or QuickTime file, whose header times every packet."""
        return bool(self.container.format.name.startswith("mov"))

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height of the frames before they are turned."""
        _, info = self.require_video()
        return (info.height, info.width) if info.quarter_turns % 2 else (info.width, info.height)

    def require_video(self) -> tuple[VideoStream, VideoInfo]:
        """The video stream and its facts; MediaError where there is none."""
        if self.video is None or self.info.video is None:
            raise MediaError(f"{self.name}: it has no video; a clip with video is needed here")
        return self.video, self.info.video

    def require_sound(self) -> tuple[AudioStream, SoundInfo]:
        """The sound stream and its facts; MediaError where there is none."""
        if self.sound is None or self.info.sound is None:
            raise MediaError(f"{self.name}: it has no sound; a clip with sound is needed here")
        return self.sound, self.info.sound


@dataclass(frozen=True, slots=True)
class StreamPackets:
    """The compressed packets of a clip in decode order; empty where it has no such stream."""

    video: Sequence[Packet[Stream]]
    sound: Sequence[Packet[Stream]]


def describe(source: Source) -> str:
    """Name of a clip in errors: its path, or the beginning of its digest.

    >>> describe(b"x")
    'clip sha256:2d711642…'
    """
    if isinstance(source, bytes):
        return f"clip sha256:{hashlib.sha256(source).hexdigest()[:8]}…"
    return str(source)


@contextmanager
def media_errors(name: str) -> Iterator[None]:
    """Turn what a damaged or unreadable file causes inside into a MediaError that begins with `name`.

    PyAV answers with FFmpeg's errors but also with Python's own, among them IndexError, ValueError and MemoryError.
    """
    from av import FFmpegError

    try:
        yield
    except MediaError as error:
        if str(error).startswith(name):
            raise
        raise MediaError(f"{name}: {error}") from error
    except (
        FFmpegError,
        OSError,
        EOFError,
        ValueError,
        LookupError,
        ArithmeticError,
        MemoryError,
        RuntimeError,
    ) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise MediaError(f"{name}: the media cannot be read or written ({reason}); restore or re-encode it") from error


@contextmanager
def open_media(source: Source, limits: MediaLimits) -> Iterator[OpenMedia]:
    """Open a clip, check its header against `limits`, and close it at the end.

    Errors inside the `with` block pass as they are: what reads on goes into `media_errors`.

    Raises:
        MediaError: the clip cannot be opened or its header exceeds a limit; the message names the source.
    """
    name = describe(source)
    with ExitStack() as stack:
        with media_errors(name):
            handle = stack.enter_context(_open_bytes(source, limits))
            header, container = _open_container(handle, limits)
            stack.enter_context(container)
            counted: dict[int, CountedStream] = {}
            if says_too_little(container):
                counted = count_packets(container, limits)
                container.close()
                container = stack.enter_context(_open_container(handle, limits)[1])
            media = _checked(name, container, limits, counted, header)
        yield media


def demux_packets(media: OpenMedia) -> StreamPackets:
    """All packets of a clip's video and of its sound, whatever its format.

    Raises:
        MediaError: a packet is damaged, or there are more than the limit.
    """
    with media_errors(media.name):
        streams = [stream for stream in (media.video, media.sound) if stream is not None]
        found: dict[int, list[Packet[Stream]]] = {stream.index: [] for stream in streams}
        for packet in media.container.demux(streams):
            if packet.size == 0:
                continue
            packets = found[packet.stream.index]
            if packet.is_corrupt:
                raise MediaError(f"packet {len(packets)} of its {packet.stream.type} is damaged; restore the clip")
            packets.append(packet)
            if len(packets) > media.limits.max_packets:
                raise MediaError(f"its {packet.stream.type} has over {media.limits.max_packets} packets; cut the clip")
        return StreamPackets(
            video=() if media.video is None else found[media.video.index],
            sound=() if media.sound is None else found[media.sound.index],
        )


def read_packets(media: OpenMedia) -> StreamPackets:
    """All packets of an MP4's video and of its sound, fit to be copied, timed by the clip's clock.

    Raises:
        MediaError: the clip is no MP4 (other formats time their packets too coarsely to copy them), or a packet is
            incomplete or missing.
    """
    with media_errors(media.name):
        if not media.is_mp4:
            raise MediaError("packets can be copied from MP4 files only; re-encode the clip as mp4")
        packets = demux_packets(media)
        for number, packet in (*enumerate(packets.video), *enumerate(packets.sound)):
            if packet.pts is None or packet.dts is None:
                raise MediaError(f"packet {number} of its {packet.stream.type} is damaged; restore the clip")
        if media.info.video is not None:
            _check_video(packets.video, media.info.video)
        if media.sound is not None and media.info.sound is not None:
            _check_sound(packets.sound, media.info.sound.duration_s, sound_tolerance_s(media.sound))
        if media.clock_zero:
            for packet in (*packets.video, *packets.sound):
                earlier = round(media.clock_zero / packet.time_base)
                packet.pts, packet.dts = (packet.pts or 0) - earlier, (packet.dts or 0) - earlier
        return packets


def sound_tolerance_s(stream: AudioStream) -> float:
    """Tolerance between decoded sound and the length in its header: one and a half codec frames, in seconds."""
    context = stream.codec_context
    return 1.5 * max(_AAC_FRAME, context.frame_size) / context.sample_rate


@contextmanager
def _open_bytes(source: Source, limits: MediaLimits) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        size = len(source)
    elif not source.is_file():
        raise MediaError("no such file; check the path, which must be that of a regular file")
    else:
        size = source.stat().st_size
    if size == 0:
        raise MediaError("it is empty; restore the clip")
    if size > limits.max_bytes:
        raise MediaError(f"it has {size} bytes, the limit is {limits.max_bytes}; cut or compress the clip")
    with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as handle:
        if is_wave(handle.read(12)):
            handle.seek(0)
            yield io.BytesIO(with_known_sizes(handle.read()))
        else:
            yield handle


def _open_container(handle: BinaryIO, limits: MediaLimits) -> tuple[Mp4Header, InputContainer]:
    """A container, and what its header says of its tracks, which is nothing where it is no MP4."""
    import av

    handle.seek(0)
    formats = formats_of(handle.read(4))
    handle.seek(0)
    header = read_mp4_header(handle, limits) if formats == MP4 else Mp4Header(0, frozenset(), {})
    options = {
        "err_detect": "explode",
        "format_whitelist": formats,
        "max_pixels": str(limits.max_pixels),
        "max_streams": str(limits.max_streams + 1),
    }
    # Tags that are no UTF-8 must not make a clip unreadable; since PyAV 19 they never do, and the argument is gone.
    lenient: dict[str, Any] = (
        {"metadata_errors": "replace"} if hasattr(av.container.InputContainer, "metadata_errors") else {}
    )
    return header, av.open(handle, "r", options=options, **lenient)


def _checked(
    name: str, container: InputContainer, limits: MediaLimits, counted: Mapping[int, CountedStream], header: Mp4Header
) -> OpenMedia:
    if len(container.streams) > limits.max_streams:
        raise MediaError(f"it has {len(container.streams)} streams, the limit is {limits.max_streams}")
    video = next((stream for stream in container.streams.video if not _is_picture(stream)), None)
    sound = next(iter(container.streams.audio), None)
    for stream, what in ((video, "video"), (sound, "sound")):
        if stream is None and what in header.streams:
            raise MediaError(f"its header names {what} that cannot be found; restore the clip")
    if video is None and sound is None:
        raise MediaError("it has neither video nor sound; restore the clip")
    clock = read_clock(video, sound)
    facts = _HeaderFacts(container, limits, counted, clock, header)
    info = MediaInfo(
        video=facts.of_video(video) if video is not None else None,
        sound=facts.of_sound(sound) if sound is not None else None,
    )
    for stream in (video, sound):
        if stream is not None:
            # One thread: workers run side by side, and more threads only compete. Errors are errors.
            stream.codec_context.thread_count = 1
            stream.codec_context.options = {"err_detect": "explode", "max_pixels": str(limits.max_pixels)}
    return OpenMedia(name, container, video, sound, info, limits, clock.zero)


def _check_video(packets: Sequence[Packet[Stream]], stated: VideoInfo) -> None:
    """Refuse a video whose packets on show are too few, share a time or do not end where its header says."""
    if len(packets) < stated.frames:
        raise MediaError(f"it holds {len(packets)} of the {stated.frames} video packets of its header")
    shown = _with_own_times(packets, "video")
    starts = sorted(packet.pts * packet.time_base for packet in shown if packet.pts is not None)
    longest = float(max((packet.duration or 0) * packet.time_base for packet in shown))
    last = float(starts[-1] - starts[0])
    if not ends_as_stated(stated, last, longest):
        raise MediaError(
            f"the last packet of its video begins at {last:.3f} s, its header says that it lasts "
            f"{stated.duration_s:.3f} s; restore the clip"
        )


def _check_sound(packets: Sequence[Packet[Stream]], stated_s: float, tolerance_s: float) -> None:
    """Refuse sound whose packets on show share a time or do not last as long as its header says.

    They may last longer by the padding of encoders, which MP3 has at both ends and every decoder cuts off.
    """
    shown = _with_own_times(packets, "sound")
    start = min((packet.pts or 0) * packet.time_base for packet in shown)
    end = max(((packet.pts or 0) + (packet.duration or 0)) * packet.time_base for packet in shown)
    if not -tolerance_s - TIME_SLACK_S <= float(end - start) - stated_s <= 2 * tolerance_s + TIME_SLACK_S:
        raise MediaError(
            f"its sound has packets for {float(end - start):.3f} s, its header says {stated_s:.3f} s; restore the clip"
        )


def _with_own_times(packets: Sequence[Packet[Stream]], what: str) -> Sequence[Packet[Stream]]:
    """The packets on show; MediaError where there is none, or where two share a time."""
    shown = [packet for packet in packets if not packet.is_discard]
    if not shown or len({packet.pts for packet in shown}) < len(shown):
        raise MediaError(f"the {len(shown)} packets of its {what} have no time each of their own; restore the clip")
    return shown


def _is_picture(stream: VideoStream) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


@dataclass(frozen=True, slots=True)
class _HeaderFacts:
    """A header's facts within the limits; what it does not say is taken from what was counted."""

    container: InputContainer
    limits: MediaLimits
    counted: Mapping[int, CountedStream]
    clock: Clock
    header: Mp4Header

    def of_video(self, stream: VideoStream) -> VideoInfo:
        codec, limits = self._codec(stream), self.limits
        width, height = stream.codec_context.width, stream.codec_context.height
        if width <= 0 or height <= 0:
            raise MediaError("its video has no size; re-encode the clip")
        if width * height > limits.max_pixels:
            raise MediaError(f"its frames have {width}x{height} pixels, the limit is {limits.max_pixels} in all")
        duration = self._duration(stream)
        frames = stream.frames or (self.counted[stream.index].packets if stream.index in self.counted else 0)
        if frames <= 0:
            raise MediaError("it holds no video frames; re-encode the clip as mp4")
        rate = stream.average_rate or stream.guessed_rate
        # Live recordings are written before their rate is known: what their header says is a guess.
        guessed = not stream.frames and rate is not None and abs(float(rate) * duration - frames) > 1
        fps = float(rate) if rate and not guessed else frames / duration
        if max(fps, frames / duration) > limits.max_fps:
            raise MediaError(
                f"it has {max(fps, frames / duration):.6g} frames a second, the limit is {limits.max_fps:g}"
            )
        turns = self.header.quarter_turns
        if turns % 2:
            width, height = height, width
        return VideoInfo(width, height, fps, frames, duration, codec, self.clock.video_s, turns)

    def of_sound(self, stream: AudioStream) -> SoundInfo:
        codec, limits = self._codec(stream), self.limits
        rate, channels = stream.codec_context.sample_rate, stream.codec_context.channels
        if not 0 < rate <= limits.max_rate:
            raise MediaError(f"its sound has {rate} samples a second, the limit is {limits.max_rate}")
        if not 0 < channels <= limits.max_channels:
            raise MediaError(f"its sound has {channels} channels, the limit is {limits.max_channels}")
        return SoundInfo(rate, channels, self._duration(stream), codec, self.clock.sound_s)

    def _codec(self, stream: VideoStream | AudioStream) -> str:
        return codec_name(stream, self.header.formats.get("video" if stream.type == "video" else "sound"))

    def _duration(self, stream: VideoStream | AudioStream) -> float:
        seconds = stated_duration(self.container, stream)
        if seconds is None:
            if stream.index not in self.counted:
                raise MediaError(f"its {stream.type} has no packets; restore the clip")
            seconds = self.counted[stream.index].duration_s
        if not 0 < seconds <= self.limits.max_seconds:
            raise MediaError(
                f"its {stream.type} lasts {seconds:.6g} s; it must be above 0 and at most {self.limits.max_seconds:g} s"
            )
        return seconds
