"""The filter bank against that of transformers, which follows Kaldi too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.clips import melody

from avemo_harness.recognizers.features.hicmae import kaldi_fbank
from avemo_harness.torch_setup import import_transformers


def reference(sound: NDArray[np.float32], bands: int) -> NDArray[np.float32]:
    import_transformers()
    from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

    bank = mel_filter_bank(
        num_frequency_bins=257,
        num_mel_filters=bands,
        min_frequency=20,
        max_frequency=8000,
        sampling_rate=16_000,
        norm=None,
        mel_scale="kaldi",
        triangularize_in_mel_space=True,
    )
    return spectrogram(
        sound,
        window_function(400, "hann", periodic=False),
        frame_length=400,
        hop_length=160,
        fft_length=512,
        power=2.0,
        center=False,
        preemphasis=0.97,
        mel_filters=bank,
        log_mel="log",
        mel_floor=1.192092955078125e-07,
        remove_dc_offset=True,
    ).T


@pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")
@pytest.mark.parametrize("bands", [80, 128])
def test_it_is_that_of_another_implementation(bands: int) -> None:
    sound = melody(1.0) + np.float32(0.05)
    assert np.allclose(kaldi_fbank(sound, bands), reference(sound, bands), atol=2e-3)


@given(length=st.integers(0, 3000))
@settings(max_examples=30)
def test_only_whole_frames_are_given(length: int) -> None:
    assert kaldi_fbank(melody(0.2)[:length], 16).shape == (
        max(0, 1 + (length - 400) // 160) if length >= 400 else 0,
        16,
    )


def test_a_constant_is_as_quiet_as_silence() -> None:
    silence = kaldi_fbank(np.zeros(800, dtype=np.float32), 128)
    assert np.allclose(silence, np.log(np.finfo(np.float32).eps))
    assert np.array_equal(kaldi_fbank(np.full(800, 0.5, dtype=np.float32), 128), silence)


def test_a_long_sound_is_like_its_parts() -> None:
    sound = melody(70.0)
    assert np.array_equal(kaldi_fbank(sound, 32)[6900:], kaldi_fbank(sound[6900 * 160 :], 32))
