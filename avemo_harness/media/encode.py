"""Writing clips and sound: MP4 from frames and samples, sound files. Equal input gives equal bytes."""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avemo_harness.errors import MediaError
from avemo_harness.media.mp4_writer import Mp4Writer, checked_sound
from avemo_harness.media.reader import media_errors
from avemo_harness.media.types import FINE, Quality, Samples, Source

if TYPE_CHECKING:
    from av import VideoFrame


def encode_clip(
    frames: Iterable[NDArray[np.uint8]],
    sound: NDArray[np.float32],
    *,
    fps: int = 25,
    rate: int = 16_000,
    quality: Quality = FINE,
) -> bytes:
    """Encode a clip: MP4 with h264 (mpeg4 where x264 is missing) in yuv420p, and mono AAC.

    Args:
        frames: RGB, uint8 [H, W, 3] each, even H and W, all alike; read one at a time.
        sound: mono, float [n], full scale at 1.
        fps: frames a second.
        rate: samples a second, one that AAC knows (8000 to 96000).

    Raises:
        MediaError: the frames or the sound are not as described above.
    """
    with Mp4Writer() as writer:
        stream = writer.new_video(fps, _picture_options(quality))
        shape = None
        for position, pixels in enumerate(frames):
            shape = shape or np.shape(pixels)
            frame = _picture(pixels, shape)
            if position == 0:
                stream.width, stream.height = frame.width, frame.height
            frame.pts, frame.time_base = position, Fraction(1, fps)
            writer.add(stream.encode(frame))
        if shape is None:
            raise MediaError("a clip needs at least one frame")
        writer.add(stream.encode(None))
        writer.add_sound(sound, rate, quality.sound_bits)
        return writer.finish()


def encode_sound(sound: NDArray[np.float32], rate: int = 16_000, quality: Quality = FINE) -> bytes:
    """Encode a clip without video: MP4 with mono AAC. Arguments and errors as in `encode_clip`."""
    with Mp4Writer() as writer:
        writer.add_sound(sound, rate, quality.sound_bits)
        return writer.finish()


def read_sound_file(source: Source) -> tuple[Samples, int]:
    """Read a WAV, FLAC or other sound file, or its bytes.

    Returns:
        float32 [n] mono (the mean of the channels), and samples a second.

    Raises:
        MediaError: the file is missing or is no sound file.
    """
    import soundfile

    with media_errors("sound in memory" if isinstance(source, bytes) else str(source)):
        if isinstance(source, Path) and not source.is_file():
            raise MediaError("no such file; check the path, which must be that of a regular file")
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        return samples.mean(axis=1, dtype=np.float32), int(rate)


def encode_flac(samples: NDArray[np.float32], rate: int) -> bytes:
    """Encode mono sound, float [n] with full scale at 1, as 16-bit FLAC; louder samples are clipped.

    It is made in memory: libsndfile loses the error of its last write to a full disk.

    Raises:
        MediaError: the samples are not finite, or the encoder cannot take them.
    """
    import soundfile

    with media_errors("speech"):
        made = io.BytesIO()
        soundfile.write(made, np.clip(checked_sound(samples), -1.0, 1.0), rate, format="FLAC", subtype="PCM_16")
        return made.getvalue()


def _picture_options(quality: Quality) -> dict[str, dict[str, str]]:
    # x264's macroblock tree reads memory that it has not written: with it, equal frames give unequal bytes at times.
    x264 = {"preset": "veryfast", "crf": str(quality.crf), "x264-params": "mbtree=0"}
    return {"libx264": x264, "mpeg4": {"qscale": str(quality.qscale)}}


def _picture(pixels: NDArray[np.uint8], shape: tuple[int, ...]) -> VideoFrame:
    from av import VideoFrame

    array = np.asarray(pixels)
    if (
        array.dtype != np.uint8
        or array.ndim != 3
        or array.shape[2] != 3
        or array.size == 0
        or any(np.array(array.shape[:2]) % 2)
    ):
        raise MediaError(
            f"a frame must be uint8 [H, W, 3] with even H and W; here is {array.dtype} of shape {array.shape}"
        )
    if array.shape != shape:
        raise MediaError(f"all frames must have the shape of the first, {shape}; here is {array.shape}")
    return VideoFrame.from_ndarray(np.ascontiguousarray(array), "rgb24")
