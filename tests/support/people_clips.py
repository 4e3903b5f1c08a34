"""Clips as people's devices write them: streams that begin apart, uneven frames, no edit list, no duration, turned."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.clips import melody, pattern

FLASH_S = 1.0
"""Seconds at which the flash is seen and the click is heard, after the beginning of what was recorded."""


def flash_pictures(count: int = 50, fps: int = 25) -> list[NDArray[np.uint8]]:
    """Black but for one white frame."""
    return [np.full((64, 96, 3), 255 * (index == FLASH_S * fps), dtype=np.uint8) for index in range(count)]


def click_sound(seconds: float = 2.0, rate: int = 16_000) -> NDArray[np.float32]:
    """Silence but for one click of two milliseconds."""
    sound = np.zeros(round(seconds * rate), dtype=np.float32)
    sound[round(FLASH_S * rate) :][: rate // 500] = 0.9
    return sound


def recorded(
    pictures: Sequence[NDArray[np.uint8]] | None = None,
    sound: NDArray[np.float32] | None = None,
    *,
    from_s: tuple[float, float] = (0.0, 0.0),
    ticks: Sequence[int] | None = None,
    rate: int = 16_000,
    codecs: tuple[str, str] = ("libx264", "aac"),
    container: str = "mp4",
    options: Mapping[str, str] | None = None,
    turned: int = 0,
) -> bytes:
    """A clip of pictures at 25 a second and of sound.

    Args:
        from_s: what of the video and of the sound is left away at the beginning: they then begin that much later.
        ticks: when each frame is shown, in 25ths of a second; None for one after the other.
        options: of the container's writer.
        turned: degrees, counterclockwise, by which a player is to turn the frames.
    """
    import av

    if missing := {codec for codec in codecs if codec not in av.codecs_available}:
        pytest.skip(f"this FFmpeg has no {missing}")
    file = io.BytesIO()
    packets = []
    with av.open(file, "w", format=container, container_options=dict(options or {})) as writer:
        video = _video_stream(writer, codecs[0], pictures[0].shape, turned) if pictures is not None else None
        heard: Any = None
        if sound is not None:
            heard = writer.add_stream(codecs[1], rate=rate, layout="mono")
        if video is not None and pictures is not None:
            shown = [(tick, pixels) for tick, pixels in zip(ticks or range(10**6), pictures, strict=False)]
            for tick, pixels in shown:
                if tick >= round(25 * from_s[0]):
                    frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
                    frame.pts, frame.time_base = tick, Fraction(1, 25)
                    packets += video.encode(frame)
            packets += video.encode(None)
        if heard is not None and sound is not None:
            packets += _encoded_sound(heard, sound, rate, round(from_s[1] * rate))
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            writer.mux(packet)
    return file.getvalue()


def _video_stream(writer: Any, codec: str, shape: Sequence[int], turned: int) -> Any:
    stream = writer.add_stream(codec, rate=25)
    stream.height, stream.width = shape[:2]
    stream.pix_fmt = "yuv422p10le" if codec == "prores_ks" else "yuv420p"
    stream.codec_context.time_base = Fraction(1, 25)
    stream.codec_context.thread_count = 1
    if turned:
        if not hasattr(stream, "set_display_rotation"):
            pytest.skip("this PyAV cannot write a turned video")
        stream.set_display_rotation(turned)
    return stream


def _encoded_sound(stream: Any, sound: NDArray[np.float32], rate: int, start: int) -> list[Any]:
    import av

    whole = av.AudioFrame.from_ndarray(sound[None, start:], "fltp", "mono")
    whole.sample_rate, whole.pts, whole.time_base = rate, start, Fraction(1, rate)
    blocks = av.AudioResampler(
        format=stream.codec_context.format.name, layout="mono", rate=rate, frame_size=stream.codec_context.frame_size
    )
    packets = []
    for block in (*blocks.resample(whole), *blocks.resample(None)):
        packets += stream.encode(block)
    return [*packets, *stream.encode(None)]


def flash_and_click(late_video_s: float = 0.0, late_sound_s: float = 0.0) -> bytes:
    """A clip whose flash and click are at `FLASH_S`, one of its streams beginning late."""
    return recorded(flash_pictures(), click_sound(), from_s=(late_video_s, late_sound_s))


def odd_clip() -> bytes:
    """Of odd width and height, 0.4 seconds."""
    return recorded([pattern(index, 63, 65) for index in range(10)], melody(0.4), codecs=("mpeg4", "aac"))


def turned_clip(degrees: int) -> bytes:
    """A clip whose upper half is white when it is shown as stored."""
    half = np.zeros((64, 96, 3), dtype=np.uint8)
    half[:32] = 255
    return recorded([half] * 10, melody(0.4), turned=degrees)


def uneven_clip() -> bytes:
    """2 s at a variable rate, with B-frames: 50 places, of which some are left out."""
    ticks = [tick for tick in range(50) if tick % 7 not in (1, 2)]
    return recorded([pattern(tick) for tick in ticks], melody(2.0), ticks=ticks)


def clip_without_edit_list() -> bytes:
    """2 s whose B-frames and priming are not cut off by an edit list, as older writers leave them; 48 kHz."""
    pictures = [pattern(index) for index in range(50)]
    return recorded(pictures, melody(2.0, 48_000), rate=48_000, options={"use_editlist": "0"})


def browser_recording(seconds: float = 2.0) -> bytes:
    """A recording as browsers stream it: WebM without any duration."""
    pictures = [pattern(index) for index in range(round(25 * seconds))]
    codecs = ("libvpx", "libopus")
    sound = melody(seconds, 48_000)
    return recorded(pictures, sound, rate=48_000, codecs=codecs, container="webm", options={"live": "1"})


def prores_clip(seconds: float = 0.4) -> bytes:
    """A clip of a codec that MP4 cannot hold, in QuickTime's container."""
    pictures = [pattern(index) for index in range(round(25 * seconds))]
    return recorded(pictures, melody(seconds), codecs=("prores_ks", "aac"), container="mov")


def piped_wave(sound: bytes, riff_size: int, data_size: int) -> bytes:
    """A WAV file with the sizes that its writer left in the header."""
    at = sound.index(b"data") + 4
    sizes = [size.to_bytes(4, "little") for size in (riff_size, data_size)]
    return sound[:4] + sizes[0] + sound[8:at] + sizes[1] + sound[at + 4 :]
