"""HiCMAE against a stand-in of its code, and Kaldi's filter bank."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.clips import melody
from support.tiny_extractors import face, moving_face

from avemo_harness.errors import MediaError, UsageError
from avemo_harness.recognizers.features import make_extractor
from avemo_harness.recognizers.features.base import Features
from avemo_harness.recognizers.features.hicmae import kaldi_fbank
from avemo_harness.recognizers.features.speech import recording_sound
from avemo_harness.recognizers.recordings import Modality, Recording
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


STAND_IN = '''
import sys

import torch


class Network(torch.nn.Module):
    """Its features begin with what it was given: the mean of each frame's red, and the mean of each frame of sound."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.zeros(1))
        self.fc_norm = torch.nn.LayerNorm(2048)

    def forward(self, x, x_audio, save_feature=False):
        assert save_feature and x.shape[1:] == (3, 16, 160, 160) and x_audio.shape[1:] == (1, 256, 128)
        given = torch.cat([x[:, 0].mean(dim=(2, 3)), x_audio[:, 0].mean(dim=2)], dim=1)
        features = torch.nn.functional.pad(given * self.scale, (0, 2048 - given.shape[1]))
        return features, features


def register_model(function):
    """As timm does."""
    assert hasattr(sys.modules[function.__module__], "Network")
    return function


@register_model
def avit_dim512_patch16_160_a256(pretrained=False, num_classes=1000, all_frames=0, **options):
    print("it talks")
    assert (num_classes, all_frames) == (0, 16)
    assert (options["depth"], options["depth_audio"], options["fusion_depth"]) == (10, 10, 2)
    return Network()
'''


@pytest.fixture
def spec(tmp_path: Path) -> str:
    import torch

    (tmp_path / "modeling_finetune_av.py").write_text(STAND_IN)
    checkpoint = {"model": {"scale": torch.ones(1), "decoder": torch.ones(2)}, "args": argparse.Namespace(lr=1)}
    torch.save(checkpoint, tmp_path / "checkpoint.pth")
    return f"hicmae:checkout={tmp_path},checkpoint={tmp_path / 'checkpoint.pth'}"


@pytest.fixture(scope="module")
def clip() -> Recording:
    return face(moving_face(4.0), melody(4.0))


def given_to(spec: str, streams: Recording, count: int, view: Modality) -> tuple[Features, Features]:
    """Inputs of the stand-in for each row: (rows, 16) of video and (rows, 256) of sound."""
    rows = make_extractor(spec).extract(streams, count, view)
    assert rows.shape == (count, 2048)
    return rows[:, :16], rows[:, 16:272]


def test_a_row_is_of_the_sound_around_it(spec: str, clip: Recording) -> None:
    _, sound = given_to(spec, clip, 8, "both")
    bands = (kaldi_fbank(recording_sound(clip, ""), 128) + 4.2677393) / (2 * 4.5689974)
    # Row 3 is at 1.75 s: from 0.47 s to 3.03 s.
    assert np.allclose(sound[3], bands[47:303].mean(axis=1), atol=1e-4)
    # Row 0 is at 0.25 s: 1.03 s lie before the sound.
    padding = 4.2677393 / (2 * 4.5689974)
    assert np.allclose(sound[0, :103], padding, atol=1e-4)
    assert np.allclose(sound[0, 103:], bands[:153].mean(axis=1), atol=1e-4)


def test_a_row_is_of_the_sixteen_frames_around_it(spec: str, clip: Recording) -> None:
    from avemo_harness import media

    video, _ = given_to(spec, clip, 8, "both")
    assert clip.face is not None
    pixels = media.decode_frames(clip.face.read(), fps=25 / 3, size=(160, 160)).pixels
    red = (pixels[..., 0].mean(axis=(1, 2)) / 255 - 0.485) / 0.229
    # Row 3 is at 1.75 s, near frame 15 of 8 1/3 a second; row 0 begins before the video.
    assert np.allclose(video[3], red[7:23], atol=1e-3)
    assert np.allclose(video[0, :6], red[0], atol=1e-3)


def test_what_a_view_hides_is_zero(spec: str, clip: Recording) -> None:
    both_video, both_sound = given_to(spec, clip, 4, "both")
    video, sound = given_to(spec, clip, 4, "audio")
    assert np.all(video == 0)
    assert np.array_equal(sound, both_sound)
    video, sound = given_to(spec, clip, 4, "video")
    assert np.array_equal(video, both_video)
    assert np.all(sound == 0)


def test_a_recording_is_described_alike_alone_and_after_others(spec: str, clip: Recording) -> None:
    alone = make_extractor(spec).extract(clip, 8, "both")
    used = make_extractor(spec)
    used.extract(face(moving_face(1.0, seed=1), melody(1.0)), 2, "both")
    assert np.array_equal(used.extract(clip, 8, "both"), alone)


def test_a_recording_that_is_a_little_short_is_continued_with_its_last_row(spec: str) -> None:
    rows = make_extractor(spec).extract(face(moving_face(1.0), melody(1.0)), 4, "both")
    assert np.array_equal(rows[2:], rows[[1, 1]])


def test_a_view_of_what_is_not_there_is_an_error(spec: str) -> None:
    with pytest.raises(MediaError, match="hicmae: the recording has no sound"):
        make_extractor(spec).extract(face(moving_face(0.5)), 1, "both")


def test_the_identity_holds_code_and_weights(spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    first = make_extractor(spec).identity()
    torch.save({"model": {"scale": torch.zeros(1)}}, tmp_path / "checkpoint.pth")
    second = make_extractor(spec).identity()
    (tmp_path / "modeling_finetune_av.py").write_text(STAND_IN + "\n")
    third = make_extractor(spec).identity()
    assert len({first["weights"], second["weights"]}) == len({second["code"], third["code"]}) == 2
    assert str(tmp_path) not in str(third)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("modeling_finetune_av.py", b"import no_such_timm", r"cannot be imported .* pip install einops timm"),
        ("modeling_finetune_av.py", b"x = 1", "has no avit_dim512_patch16_160_a256"),
        ("checkpoint.pth", b"damaged", "cannot be read as weights"),
    ],
)
def test_what_cannot_be_loaded_is_an_error_that_says_what_to_do(
    file: str, content: bytes, message: str, spec: str, clip: Recording, tmp_path: Path
) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        make_extractor(spec).extract(clip, 1, "both")


def test_weights_of_another_network_are_an_error(spec: str, clip: Recording, tmp_path: Path) -> None:
    import torch

    torch.save({"model": {"other": torch.zeros(1)}}, tmp_path / "checkpoint.pth")
    with pytest.raises(UsageError, match="1 are missing, such as scale"):
        make_extractor(spec).extract(clip, 1, "both")


def test_a_folder_that_is_no_checkout_and_a_missing_file_are_errors(spec: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a clone of https://github"):
        make_extractor(f"hicmae:checkout={tmp_path / 'nowhere'},checkpoint={tmp_path}")
    with pytest.raises(UsageError, match="no such file"):
        make_extractor(f"hicmae:checkout={tmp_path},checkpoint={tmp_path / 'none.pth'}")
