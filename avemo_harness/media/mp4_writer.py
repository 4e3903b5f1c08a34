"""Writing an MP4 in memory from encoded and copied packets, interleaved by time."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from contextlib import suppress
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import MediaError
from avemo_harness.media.types import FINE

if TYPE_CHECKING:
    from av import AudioStream, Packet, VideoStream
    from av.stream import Stream

AAC_FRAME = 1024
"""Samples in a packet of AAC-LC."""

_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_TIMESCALE = 48_000  # units a second of stream lengths; the usual millisecond would add samples to most sounds


class Mp4Writer:
    """Collects the packets of a clip and writes them in order of time; closed by leaving the `with` block.

    Equal packets give equal bytes: no date, no encoder's name. What FFmpeg refuses inside the block is a MediaError.
    """

    def __init__(self) -> None:
        import av

        self._file = io.BytesIO()
        self._packets: list[Packet[Stream]] = []
        options = {"fflags": "+bitexact", "movie_timescale": str(_TIMESCALE)}
        self.container = av.open(self._file, "w", format="mp4", options=options)

    def __enter__(self) -> Mp4Writer:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        from av import FFmpegError

        # Closing writes the trailer, which fails again after an error; the first error is the one to tell.
        with suppress(FFmpegError):
            self.container.close()
        if isinstance(error, FFmpegError):
            raise MediaError(f"the clip cannot be encoded ({error.strerror})") from error

    def add(self, packets: Iterable[Packet[Stream]]) -> None:
        """Take packets that one of this file's encoders made."""
        self._packets.extend(packets)

    def copy(self, stream: VideoStream | AudioStream, packets: Iterable[Packet[Stream]]) -> None:
        """Take packets of another file's stream as they are: payload, times and decoder setup."""
        # As it is: else an encoder of that name is asked for, which dav1d and others that only decode do not have.
        target = self.container.add_stream_from_template(stream, opaque=True)
        for packet in packets:
            packet.stream = target
            self._packets.append(packet)

    def new_video(self, fps: Fraction | int, options: Mapping[str, dict[str, str]]) -> VideoStream:
        """Add a yuv420p stream to encode: h264, or mpeg4 where FFmpeg was built without x264.

        Args:
            options: the encoder's options, by its name: ``libx264`` and ``mpeg4``.
        """
        import av

        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        stream = cast("VideoStream", self.container.add_stream(codec, rate=fps, options=options[codec]))
        stream.codec_context.thread_count = 1
        stream.codec_context.pix_fmt = "yuv420p"
        return stream

    def add_sound(self, samples: NDArray[np.float32], rate: int, bits: int = FINE.sound_bits) -> None:
        """Encode mono sound as AAC. MediaError where AAC has no such rate or the samples are unfit."""
        from av import AudioFrame
        from av.codec.context import Flags

        if rate not in _AAC_RATES:
            raise MediaError(f"AAC has no rate of {rate} samples a second; resample to one of {_AAC_RATES}")
        sound = checked_sound(samples)
        stream = self.container.add_stream("aac", rate=rate, layout="mono")
        stream.codec_context.bit_rate = bits
        stream.codec_context.flags |= Flags.bitexact  # else the encoder signs its first packet with its version
        for start in range(0, len(sound), AAC_FRAME):
            frame = AudioFrame.from_ndarray(sound[None, start : start + AAC_FRAME], "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            self.add(stream.encode(frame))
        self.add(stream.encode(None))

    def finish(self) -> bytes:
        """Write everything and return the file."""
        self._packets.sort(key=lambda packet: (packet.dts or 0) * packet.time_base)
        for packet in self._packets:
            self.container.mux(packet)
        self.container.close()
        return self._file.getvalue()


def checked_sound(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The samples as contiguous float32; MediaError unless they are one row of finite floats."""
    array = np.asarray(samples)
    if array.ndim != 1 or len(array) == 0 or array.dtype.kind != "f" or not np.isfinite(array).all():
        raise MediaError(
            f"sound must be a row of finite floats, full scale at 1; here are {array.dtype} of shape {array.shape}"
        )
    return np.ascontiguousarray(array, dtype=np.float32)
