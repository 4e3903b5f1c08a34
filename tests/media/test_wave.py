"""Sound as servers send it: WAV files, some of unknown length, and bare samples."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness import media
from avemo_harness.errors import MediaError

SAMPLES = (np.sin(np.arange(800) / 5) * 0.5).astype(np.float32)


def written(subtype: str, samples: np.ndarray = SAMPLES, rate: int = 24_000) -> bytes:
    """A WAV file as another library writes it."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_files_of_another_library_are_read(subtype: str) -> None:
    samples, rate = media.read_wave(written(subtype))
    assert rate == 24_000
    assert np.abs(samples - SAMPLES).max() < 1e-4
    assert samples.dtype == np.float32


def test_what_is_written_another_library_reads() -> None:
    import soundfile

    samples, rate = soundfile.read(io.BytesIO(media.write_wave(SAMPLES, 16_000)), dtype="float32")
    assert rate == 16_000
    assert np.abs(samples - SAMPLES).max() < 1e-4


def test_channels_become_their_mean() -> None:
    samples, _ = media.read_wave(written("PCM_16", np.stack([SAMPLES, -SAMPLES], axis=1)))
    assert np.abs(samples).max() < 1e-4


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_file_whose_writer_did_not_know_its_length_is_read_to_its_end(size: int) -> None:
    data = bytearray(media.write_wave(SAMPLES, 24_000))
    struct.pack_into("<I", data, 40, size)
    samples, _ = media.read_wave(bytes(data))
    assert len(samples) == len(SAMPLES)


def test_a_file_that_is_cut_off_is_an_error() -> None:
    with pytest.raises(MediaError, match="cut off: 1557 of 1600 bytes"):
        media.read_wave(media.write_wave(SAMPLES, 24_000)[:-43])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html>", "no WAV file"),
        (b"RIFF\0\0\0\0WAVE", "without samples"),
        (written("PCM_24"), "expected 16-bit PCM"),
        (media.write_wave(SAMPLES, 0), "a WAV file of 0 samples a second"),
    ],
)
def test_what_is_no_such_file_is_an_error(data: bytes, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        media.read_wave(data)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for start in (b"", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0"):
        try:
            samples, _ = media.read_wave(start + data)
        except MediaError:
            continue
        assert samples.ndim == 1


def test_half_a_sample_is_an_error() -> None:
    with pytest.raises(MediaError, match="half of one is missing"):
        media.read_pcm16(b"\0\0\0")


def test_louder_samples_are_clipped() -> None:
    samples, _ = media.read_wave(media.write_wave(np.float32([2.0, -2.0, 0.0]), 8000))
    assert samples.tolist() == pytest.approx([1.0, -1.0, 0.0], abs=1e-4)
