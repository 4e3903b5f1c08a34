"""Sound in whatever container it comes: known by its content, decoded whole, or refused by its name."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sound_containers import ADTS, BARE, FILES, RATE, TONE

from avemo_harness import media
from avemo_harness.errors import MediaError


@pytest.mark.parametrize("name", FILES)
def test_every_container_is_known_and_decoded_to_the_same_sound(name: str) -> None:
    container, data = FILES[name]
    assert media.sound_container(data) == container
    samples, rate = media.read_sound(data)
    assert (rate, len(samples), samples.dtype) == (RATE, len(TONE), np.float32)
    # Codecs change the samples, Opus most of all at the end.
    assert np.sqrt(np.mean((samples - TONE) ** 2)) < 0.15 * np.sqrt(np.mean(TONE**2))


@pytest.mark.parametrize("left", [0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_off_is_known_to_be(name: str, left: float) -> None:
    with pytest.raises(media.IncompleteSoundError):
        media.read_sound(FILES[name][1][: int(len(FILES[name][1]) * left)])


def test_a_wav_file_of_unknown_length_is_read_to_its_end() -> None:
    data = bytearray(FILES["wav of 24 bits"][1])
    struct.pack_into("<I", data, data.index(b"data") + 4, 0xFFFFFFFF)
    assert len(media.read_sound(bytes(data))[0]) == len(TONE)


def test_what_follows_the_sound_in_a_wav_file_is_not_heard() -> None:
    assert len(media.read_sound(FILES["wav"][1] + b"LIST" + struct.pack("<I", 4) + b"abcd")[0]) == len(TONE)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (ADTS, "AAC"),
        (b"#!AMR\n" + bytes(64), "AMR"),
        (b"caff" + bytes(64), "CAF"),
        (TONE.tobytes(), "no sound file"),
        (BARE, "no sound file"),
        (b"", "no sound file"),
    ],
)
def test_what_is_not_read_is_refused_by_name(data: bytes, named: str) -> None:
    with pytest.raises(MediaError, match=f"^{named}, which begins with"):
        media.read_sound(data)


@given(st.binary(max_size=400), st.sampled_from([data[:60] for _, data in FILES.values()]))
def test_no_bytes_break_the_reader(data: bytes, beginning: bytes) -> None:
    for one in (data, beginning + data):
        try:
            samples, rate = media.read_sound(one)
        except MediaError:
            continue
        assert samples.ndim == 1
        assert rate > 0


@given(st.integers(0, 2**32), st.sampled_from([10, 1_000, 32_767]))
def test_bare_samples_are_no_frames_of_a_codec(seed: int, loudness: int) -> None:
    samples = np.random.default_rng(seed).integers(-loudness, loudness, 600)
    assert media.sound_container(samples.astype("<i2").tobytes()) is None


def test_more_samples_go_on_in_the_format_of_their_file() -> None:
    data = FILES["wav of 24 bits"][1]
    sound = data[data.index(b"data") + 8 :]
    samples, _ = media.read_sound(media.with_more_samples(data, sound))
    assert np.abs(samples - np.concatenate([TONE, TONE])).max() < 1e-4
