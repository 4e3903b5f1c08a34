"""New clips from the packets of old ones: copied ones stay bit-identical, replaced ones are encoded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import MediaError
from avemo_harness.media.clock import last_frame_end, shown_durations
from avemo_harness.media.mp4_writer import Mp4Writer
from avemo_harness.media.orientation import upright_frame
from avemo_harness.media.reader import OpenMedia, demux_packets, media_errors, open_media, read_packets
from avemo_harness.media.types import DEFAULT_LIMITS, PacketDigests, Source, StreamDigests

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.stream import Stream

# The first frame at quantiser 2, within one level of the source; at 20 no residual of a copy of it survives, so that
# every other frame is skipped blocks and decodes to the very same pixels.
_STILL = {
    "libx264": {"preset": "veryfast", "qp": "20", "bf": "0", "g": "100000", "x264-params": "ipratio=8"},
    "mpeg4": {"qscale": "1", "bf": "0", "g": "600"},
}


def replace_sound(source: Source, samples: NDArray[np.float32], *, rate: int = 16_000) -> bytes:
    """Give a clip another sound track: the video's packets are copied, the sound is encoded as mono AAC.

    Args:
        samples: mono, float [n], full scale at 1; used whole, whatever the video's length.
        rate: samples a second, one that AAC knows.

    Returns:
        The bytes of an MP4.

    Raises:
        MediaError: the clip cannot be read or has no video, or the samples are unfit.
    """
    with open_media(source, DEFAULT_LIMITS) as media, media_errors(media.name), Mp4Writer() as writer:
        stream, _ = media.require_video()
        writer.copy(stream, read_packets(media).video)
        writer.add_sound(samples, rate)
        return writer.finish()


def remove_sound(source: Source) -> bytes:
    """A clip's video alone; its packets are copied.

    Returns:
        The bytes of an MP4.

    Raises:
        MediaError: the clip cannot be read or has no video.
    """
    with open_media(source, DEFAULT_LIMITS) as media, media_errors(media.name), Mp4Writer() as writer:
        stream, _ = media.require_video()
        writer.copy(stream, read_packets(media).video)
        return writer.finish()


def copy_streams(source: Source) -> bytes:
    """A clip's video and sound, whichever it has, in a new file; every packet is copied.

    Returns:
        The bytes of an MP4.

    Raises:
        MediaError: the clip cannot be read, or packets of its kind cannot be copied.
    """
    with open_media(source, DEFAULT_LIMITS) as media, media_errors(media.name), Mp4Writer() as writer:
        packets = read_packets(media)
        if media.video is not None:
            writer.copy(media.video, packets.video)
        if media.sound is not None:
            writer.copy(media.sound, packets.sound)
        return writer.finish()


def freeze_video(source: Source) -> bytes:
    """Replace every video frame by the clip's first; frame count, timestamps and sound packets stay.

    The frames decode to identical pixels, within one level of the source's first frame in each of Y, U and V (x264).
    A last row or column of an odd number is cut off. Frames that are stored turned become upright.

    Returns:
        The bytes of an MP4, without sound where the clip has none.

    Raises:
        MediaError: the clip cannot be read or has no video.
    """
    with open_media(source, DEFAULT_LIMITS) as media, media_errors(media.name), Mp4Writer() as writer:
        _, info = media.require_video()
        first = upright_frame(_first_frame(source), info.quarter_turns)
        packets = read_packets(media)
        _add_still(writer, media, packets.video, first)
        if media.sound is not None:
            writer.copy(media.sound, packets.sound)
        return writer.finish()


def join_streams(video_from: Source, sound_from: Source) -> bytes:
    """Join the video of one clip with the sound of another; no packet is changed.

    Each begins when it does on its own clip's clock, and both are cut to the shorter. The video ends at a frame behind
    which no earlier frame is stored, so that every frame that is left decodes as in its source; the sound ends with the
    packet that is heard at the video's end.

    Returns:
        The bytes of an MP4. Its streams end within one video frame and one AAC frame of each other.

    Raises:
        MediaError: a clip cannot be read or lacks the stream asked of it, or not even the first frame fits.
    """
    with open_media(video_from, DEFAULT_LIMITS) as pictures, open_media(sound_from, DEFAULT_LIMITS) as voice:
        video_stream, facts = pictures.require_video()
        sound_stream, _ = voice.require_sound()
        sound = read_packets(voice).sound
        packets = read_packets(pictures).video
        video, end = _closed_prefix(packets, last_frame_end(packets, facts), max(map(_end, sound)))
        if not video:
            raise MediaError(f"not one frame of {pictures.name} fits the sound of {voice.name}; choose another pair")
        with media_errors(f"{pictures.name} with the sound of {voice.name}"), Mp4Writer() as writer:
            heard = [packet for packet in sound if _start(packet) < end]
            if not heard:
                raise MediaError("the sound begins after the video's end; choose another pair")
            writer.copy(video_stream, video)
            writer.copy(sound_stream, heard)
            return writer.finish()


def packet_digests(source: Source) -> PacketDigests:
    """SHA-256 of every compressed packet of a clip in any format that is read here: what its streams are known by.

    Raises:
        MediaError: the clip cannot be read, or a packet is damaged.
    """
    with open_media(source, DEFAULT_LIMITS) as media:
        packets = demux_packets(media)
        return PacketDigests(tuple(map(_digest, packets.video)), tuple(map(_digest, packets.sound)))


def stream_digests(source: Source) -> StreamDigests:
    """Digests by which the streams of a clip are known, whatever the container and the other streams.

    Raises:
        MediaError: the clip cannot be read, or a packet is damaged.
    """
    with open_media(source, DEFAULT_LIMITS) as media:
        packets, info = demux_packets(media), media.info
        return StreamDigests(
            video=_content(info.video, packets.video) if info.video else None,
            sound=_content(info.sound, packets.sound) if info.sound else None,
        )


def _content(facts: object, packets: Sequence[Packet[Stream]]) -> str:
    # The header's facts tell apart streams of equal packets that are played at another speed.
    return hashlib.sha256(f"{facts} {' '.join(map(_digest, packets))}".encode()).hexdigest()


def _closed_prefix(
    packets: Sequence[Packet[Stream]], whole_end: Fraction, limit: Fraction
) -> tuple[Sequence[Packet[Stream]], Fraction]:
    """The longest beginning, in decode order, that is also a beginning in display order and ends by `limit`.

    Args:
        whole_end: when all of the packets end, in seconds.

    Returns:
        The packets and the time at which they end, in seconds.
    """
    starts = sorted(map(_start, packets))
    latest = Fraction(-1)
    best, best_end = 0, Fraction(0)
    for count, packet in enumerate(packets, 1):
        latest = max(latest, _start(packet))
        if latest != starts[count - 1]:
            continue
        end = starts[count] if count < len(packets) else whole_end
        if end <= limit:
            best, best_end = count, end
    return packets[:best], best_end


def _first_frame(source: Source) -> VideoFrame:
    with open_media(source, DEFAULT_LIMITS) as media:
        stream, _ = media.require_video()
        first = next(media.container.decode(stream), None)
        if first is None or first.is_corrupt:
            raise MediaError("its first video frame cannot be decoded; restore the clip")
        return _even(first)


def _even(frame: VideoFrame) -> VideoFrame:
    """The frame without the last column or row where their number is odd, which yuv420p cannot have."""
    if frame.width % 2 == frame.height % 2 == 0:
        return frame
    from av import VideoFrame

    pixels = frame.to_ndarray(format="rgb24")[: frame.height & ~1, : frame.width & ~1]
    return VideoFrame.from_ndarray(np.ascontiguousarray(pixels, dtype=np.uint8), "rgb24")


def _add_still(writer: Mp4Writer, media: OpenMedia, packets: Sequence[Packet[Stream]], first: VideoFrame) -> None:
    """Encode `first` once for every frame that `packets` show, at the same times."""
    source, info = media.require_video()
    durations = shown_durations(packets, info)
    time_base = packets[0].time_base
    stream = writer.new_video(Fraction(info.fps).limit_denominator(1001), _STILL)
    context, given = stream.codec_context, source.codec_context
    context.time_base = stream.time_base = time_base
    context.width, context.height = first.width, first.height
    aspect = given.sample_aspect_ratio or Fraction(1)
    context.sample_aspect_ratio = 1 / aspect if info.quarter_turns % 2 else aspect
    context.color_range, context.colorspace = given.color_range, given.colorspace
    context.color_primaries, context.color_trc = given.color_primaries, given.color_trc
    still = first.reformat(format="yuv420p")
    still.pict_type = 0  # the encoder's own choice; it was that of a key frame
    encoded = []
    for pts in sorted(durations):
        still.pts, still.time_base = pts, time_base
        encoded += stream.encode(still)
    encoded += stream.encode(None)
    for packet in encoded:
        packet.duration = durations[packet.pts or 0]
    writer.add(encoded)


def _start(packet: Packet[Stream]) -> Fraction:
    """When the packet is shown or heard, in seconds."""
    return (packet.pts or 0) * packet.time_base


def _end(packet: Packet[Stream]) -> Fraction:
    return _start(packet) + (packet.duration or 0) * packet.time_base


def _digest(packet: Packet[Stream]) -> str:
    return hashlib.sha256(bytes(packet)).hexdigest()
