"""Conditions and decoding of a clip of 5 s against what PyAV alone needs for the same packets and frames."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from typing import Any

import av
import numpy as np
from performance.table import Row, median_cpu_s
from support.clips import melody, pattern

from avemo_harness import media
from avemo_harness.benchmark.conditions import joined

SECONDS = 5.0
TAKEN = f"CPU, median of 5, in turn; {SECONDS:g} s of 320 x 240"


def _clip(seed: int = 0) -> bytes:
    frames = (pattern((position + seed) % 100, 320, 240) for position in range(round(25 * SECONDS)))
    return media.encode_clip(frames, melody(SECONDS, seed=seed))


def _copied(*sources: tuple[bytes, str]) -> bytes:
    """Streams of files in a new MP4, packet by packet: sources are files with the kind of stream that is copied."""
    written = io.BytesIO()
    packets: list[Any] = []
    with ExitStack() as opened, av.open(written, "w", format="mp4") as out:
        for data, kind in sources:
            source = opened.enter_context(av.open(io.BytesIO(data)))
            packets += _packets(out, source, next(stream for stream in source.streams if stream.type == kind))
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            out.mux(packet)
    return written.getvalue()


def _packets(out: Any, source: Any, stream: Any) -> list[Any]:
    """A stream's packets, to be copied into another file."""
    copy = out.add_stream_from_template(stream, opaque=True)
    packets = [packet for packet in source.demux(stream) if packet.dts is not None]
    for packet in packets:
        packet.stream = copy
    return packets


def _frozen(data: bytes) -> bytes:
    """The first frame, encoded as often as the clip has frames, with the sound's packets."""
    written = io.BytesIO()
    with av.open(io.BytesIO(data)) as source, av.open(written, "w", format="mp4") as out:
        video = source.streams.video[0]
        frame = next(source.decode(video)).reformat(format="yuv420p")
        held = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        held.width, held.height, held.pix_fmt = frame.width, frame.height, "yuv420p"
        source.seek(0)
        sound = _packets(out, source, source.streams.audio[0])
        for index in range(video.frames):
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(held.encode(frame))
        out.mux(held.encode(None))
        for packet in sound:
            out.mux(packet)
    return written.getvalue()


def condition_rows() -> Iterator[Row]:
    """The three conditions that change a clip."""
    data, other = _clip(), _clip(7)
    noise = np.random.default_rng(1).normal(0, 0.1, round(16_000 * SECONDS)).astype(np.float32)

    def noisy() -> None:
        encoded = media.encode_sound(noise)
        _copied((data, "video"), (encoded, "audio"))

    def ours_noisy() -> None:
        from avemo_harness.benchmark.conditions import _with_noise
        from avemo_harness.benchmark.release import Clip

        _with_noise(Clip.from_bytes(data), "speech_shaped")

    for name, ours, floor, against in (
        ("conflict", lambda: joined(data, other), lambda: _copied((data, "video"), (other, "audio")), "packets copied"),
        ("audio_only", lambda: media.freeze_video(data), lambda: _frozen(data), "frame encoded, packets copied"),
        ("video_only", ours_noisy, noisy, "noise encoded, packets copied"),
    ):
        taken = median_cpu_s(ours, floor)
        yield Row(f"condition {name}", 1e3 * taken[0], "ms", 1e3 * taken[1], f"PyAV: {against}", TAKEN)


def decode_rows() -> Iterator[Row]:
    """All frames as RGB at their own size, and the sound at 16 kHz."""
    data = _clip()

    def frames() -> None:
        with av.open(io.BytesIO(data)) as source:
            np.stack([frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)])

    def sound() -> None:
        with av.open(io.BytesIO(data)) as source:
            np.concatenate([frame.to_ndarray() for frame in source.decode(audio=0)], axis=1)

    for name, ours, floor in (
        ("decoding frames", lambda: media.decode_frames(data), frames),
        ("decoding sound", lambda: media.decode_sound(data), sound),
    ):
        taken = median_cpu_s(ours, floor)
        yield Row(name, 1e3 * taken[0], "ms", 1e3 * taken[1], "PyAV alone, unchecked", TAKEN)
