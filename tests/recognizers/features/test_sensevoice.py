"""SenseVoice's encoder, run by a package that is called as funasr is, and by funasr itself where it is installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from support.clips import melody
from support.packages import write_package
from support.tiny_extractors import RATE, WIDTH, face, moving_face, sensevoice_settings, voice

from avemo_harness.errors import MediaError, UsageError
from avemo_harness.recognizers.features import make_extractor, speech

STAND_IN = """
import torch


class Frontend:
    dither = 1.0

    def __call__(self, sound, lengths):
        count = -(-((sound.shape[1] - 400) // 160 + 1) // 6)
        loudness = torch.stack([sound[0, 960 * at : 960 * at + 400].abs().mean() for at in range(count)])
        if self.dither:
            loudness = loudness + self.dither * torch.rand(count)
        return loudness[None, :, None].repeat(1, 1, 560), torch.tensor([count])


class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(560, 16)

    def forward(self, speech, lengths):
        assert lengths.tolist() == [speech.shape[1]]
        return self.linear(speech), lengths


class SenseVoice(torch.nn.Module):
    lid_dict, textnorm_dict = {"auto": 0}, {"woitn": 15}

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(16, 560)
        self.encoder = Encoder()


class AutoModel:
    def __init__(self, model, device, **options):
        print("funasr talks")
        torch.manual_seed(0)
        self.model, self.kwargs = SenseVoice(), {"frontend": Frontend()}
        self.model.load_state_dict(torch.load(f"{model}/model.pt"), strict=False)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Settings and weights for the stand-in, which shadows funasr."""
    import torch

    write_package(tmp_path / "site", "funasr", {}, {"funasr/__init__.py": STAND_IN})
    for name in [name for name in sys.modules if name.split(".")[0] == "funasr"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path / "site")
    made = sensevoice_settings(tmp_path / "weights")
    torch.manual_seed(3)
    shapes = {"embed.weight": (16, 560), "encoder.linear.weight": (WIDTH, 560), "encoder.linear.bias": (WIDTH,)}
    torch.save({name: torch.randn(shape) for name, shape in shapes.items()}, made / "model.pt")
    yield made
    sys.modules.pop("funasr", None)


def test_rows_are_means_of_the_frames_after_the_four_queries(folder: Path) -> None:
    import torch

    extractor = make_extractor(f"sensevoice:pretrained={folder}")
    rows = extractor.extract(voice(melody(2.0)), 4, "audio")
    assert rows.shape == (4, extractor.width) == (4, WIDTH)
    weights = torch.load(folder / "model.pt")
    sound = speech.recording_sound(voice(melody(2.0)), "")
    # A frame is of 25 ms, and begins 60 ms after the one before.
    loudness = [np.abs(sound[start : start + 400]).mean() for start in range(0, len(sound) - 400, 960)]
    states = np.outer(loudness, weights["encoder.linear.weight"].sum(dim=1)) + weights["encoder.linear.bias"].numpy()
    middles = (np.arange(len(states)) * 960 + 200) / RATE
    expected = [states[(middles >= row / 2) & (middles < (row + 1) / 2)].mean(axis=0) for row in range(4)]
    assert np.allclose(rows, expected, atol=1e-4)


def test_the_same_sound_gives_the_same_rows_and_nothing_else_is_changed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    state = torch.get_rng_state()
    extractor = make_extractor(f"sensevoice:pretrained={folder}")
    first, second = (extractor.extract(voice(melody(1.0)), 2, "audio") for _ in range(2))
    assert np.array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    assert capsys.readouterr().out == ""


def test_weights_that_are_not_whole_are_an_error(folder: Path) -> None:
    import torch

    weights = torch.load(folder / "model.pt")
    del weights["encoder.linear.bias"]
    torch.save(weights, folder / "model.pt")
    extractor = make_extractor(f"sensevoice:pretrained={folder}")
    with pytest.raises(UsageError, match=r"1 weights are missing or of another shape, such as encoder\.linear\.bias"):
        extractor.extract(voice(melody(0.5)), 1, "audio")


def test_a_face_without_sound_is_an_error_that_says_so(folder: Path) -> None:
    with pytest.raises(MediaError, match="sensevoice: the recording has no sound"):
        make_extractor(f"sensevoice:pretrained={folder}").extract(face(moving_face(0.5)), 1, "audio")


@pytest.mark.skipif(find_spec("funasr") is not None, reason="funasr is installed")
def test_without_funasr_the_error_says_what_to_install(tmp_path: Path) -> None:
    extractor = make_extractor(f"sensevoice:pretrained={sensevoice_settings(tmp_path)}")
    with pytest.raises(UsageError, match=r"pip install 'funasr\[knf\]'"):
        extractor.identity()


def test_another_model_of_funasr_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model: Paraformer\n")
    with pytest.raises(UsageError, match="not SenseVoice"):
        make_extractor(f"sensevoice:pretrained={tmp_path}")


@pytest.mark.skipif(find_spec("funasr") is None, reason="funasr is not installed")
def test_a_real_encoder_of_funasr_gives_two_rows_a_second(tmp_path: Path) -> None:
    import torch

    folder = sensevoice_settings(tmp_path)
    torch.save({}, folder / "model.pt")
    from funasr import AutoModel

    torch.save(AutoModel(model=str(folder), device="cpu").model.state_dict(), folder / "model.pt")
    extractor = make_extractor(f"sensevoice:pretrained={folder}")
    first, second = (extractor.extract(voice(melody(3.0)), 6, "audio") for _ in range(2))
    assert first.shape == (6, WIDTH)
    assert len(np.unique(first, axis=0)) == 6
    assert np.array_equal(first, second)
