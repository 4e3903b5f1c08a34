"""Opening a clip: nothing is decoded or allocated before its header has passed the limits."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from avemo_harness.errors import MediaError
from avemo_harness.media.mp4_header import check_mp4_header
from avemo_harness.media.types import MediaInfo, MediaLimits, SoundInfo, Source, VideoInfo

if TYPE_CHECKING:
    from av import AudioStream, Packet, VideoStream
    from av.container import InputContainer
    from av.stream import Stream

# Only formats that hold their own media: playlists could name other files.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,wav,flac,ogg,mp3"


@dataclass(frozen=True, slots=True)
class OpenMedia:
    """A clip whose header has passed the limits, with its first video and its first sound stream."""

    name: str
    container: InputContainer
    video: VideoStream | None
    sound: AudioStream | None
    info: MediaInfo
    limits: MediaLimits

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
    """How errors call a clip: its path, or the beginning of its digest.

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

    Raises:
        MediaError: for every failure, inside the `with` block too; the message names the source.
    """
    import av

    name = describe(source)
    with media_errors(name), _open_bytes(source, limits) as handle:
        check_mp4_header(handle, limits)
        options = {
            "err_detect": "explode",
            "format_whitelist": _FORMATS,
            "max_pixels": str(limits.max_pixels),
            "max_streams": str(limits.max_streams),
        }
        with av.open(handle, options=options, metadata_errors="replace") as container:
            if len(container.streams) > limits.max_streams:
                raise MediaError(f"it has {len(container.streams)} streams, the limit is {limits.max_streams}")
            video = next((s for s in container.streams.video if not _is_picture(s)), None)
            sound = next(iter(container.streams.audio), None)
            if video is None and sound is None:
                raise MediaError("it has neither video nor sound; restore the clip")
            info = MediaInfo(
                video=_video_info(container, video, limits) if video is not None else None,
                sound=_sound_info(container, sound, limits) if sound is not None else None,
            )
            for stream in (video, sound):
                if stream is not None:
                    # One thread: workers run side by side, and more threads only compete. Errors are errors.
                    stream.codec_context.thread_count = 1
                    stream.codec_context.options = {
                        "err_detect": "explode",
                        "max_pixels": str(limits.max_pixels),
                    }
            yield OpenMedia(name, container, video, sound, info, limits)


def read_packets(media: OpenMedia) -> StreamPackets:
    """All packets of the clip's video and of its sound; an incomplete or a missing packet is an error."""
    streams = [stream for stream in (media.video, media.sound) if stream is not None]
    found: dict[int, list[Packet[Stream]]] = {stream.index: [] for stream in streams}
    for packet in media.container.demux(streams):
        if packet.size == 0:
            continue
        packets = found[packet.stream.index]
        if packet.is_corrupt or packet.pts is None or packet.dts is None:
            raise MediaError(f"packet {len(packets)} of its {packet.stream.type} is damaged; restore the clip")
        packets.append(packet)
        if len(packets) > media.limits.max_packets:
            raise MediaError(f"its {packet.stream.type} has more than {media.limits.max_packets} packets; cut the clip")
    for stream in streams:
        if len(found[stream.index]) < max(1, stream.frames):
            raise MediaError(
                f"it holds {len(found[stream.index])} of the {stream.frames} {stream.type} packets that its header "
                "announces; restore the clip"
            )
    return StreamPackets(*(found[stream.index] if stream is not None else () for stream in (media.video, media.sound)))


@contextmanager
def _open_bytes(source: Source, limits: MediaLimits) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        size = len(source)
    elif not source.is_file():
        raise MediaError("no such file; check the path, which must be that of a regular file")
    else:
        size = source.stat().st_size
    if size > limits.max_bytes:
        raise MediaError(f"it has {size} bytes, the limit is {limits.max_bytes}; cut or compress the clip")
    with io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb") as handle:
        yield handle


def _is_picture(stream: VideoStream) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def _video_info(container: InputContainer, stream: VideoStream, limits: MediaLimits) -> VideoInfo:
    codec = _codec_name(stream)
    width, height = stream.codec_context.width, stream.codec_context.height
    if width <= 0 or height <= 0:
        raise MediaError("its video has no size; re-encode the clip")
    if width * height > limits.max_pixels:
        raise MediaError(f"its frames have {width}x{height} pixels, the limit is {limits.max_pixels} in all")
    duration = _duration(container, stream, limits)
    rate = stream.average_rate or stream.guessed_rate
    frames = stream.frames or (round(duration * rate) if rate else 0)
    if frames <= 0:
        raise MediaError("its header announces no video frames; re-encode the clip as mp4")
    fps = float(rate) if rate else frames / duration
    if max(fps, frames / duration) > limits.max_fps:
        raise MediaError(f"it has {max(fps, frames / duration):.6g} frames a second, the limit is {limits.max_fps:g}")
    return VideoInfo(width, height, fps, frames, duration, codec)


def _sound_info(container: InputContainer, stream: AudioStream, limits: MediaLimits) -> SoundInfo:
    codec = _codec_name(stream)
    rate, channels = stream.codec_context.sample_rate, stream.codec_context.channels
    if not 0 < rate <= limits.max_rate:
        raise MediaError(f"its sound has {rate} samples a second, the limit is {limits.max_rate}")
    if not 0 < channels <= limits.max_channels:
        raise MediaError(f"its sound has {channels} channels, the limit is {limits.max_channels}")
    return SoundInfo(rate, channels, _duration(container, stream, limits), codec)


def _codec_name(stream: Stream) -> str:
    # PyAV gives no codec context where FFmpeg knows no decoder.
    if stream.codec_context is None:
        raise MediaError(f"its {stream.type} is in a format that cannot be decoded; re-encode it as h264 or aac")
    return stream.codec_context.codec.canonical_name


def _duration(container: InputContainer, stream: Stream, limits: MediaLimits) -> float:
    """Seconds that the header gives for a stream; Matroska gives them as a tag or for the whole file only."""
    tag = re.fullmatch(r"(\d{1,3}):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if stream.duration is not None and stream.time_base is not None:
        seconds = float(stream.duration * stream.time_base)
    elif tag:
        seconds = 3600.0 * int(tag[1]) + 60.0 * int(tag[2]) + float(tag[3])
    elif container.duration is not None:
        seconds = container.duration / 1e6
    else:
        raise MediaError(f"its header gives no duration for the {stream.type}; re-encode the clip as mp4")
    if not 0 < seconds <= limits.max_seconds:
        raise MediaError(
            f"its {stream.type} lasts {seconds:.6g} s; it must be above 0 and at most {limits.max_seconds:g} s"
        )
    return seconds
