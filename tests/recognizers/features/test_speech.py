"""Speech encoders of transformers, with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.clips import melody
from support.tiny_extractors import (
    RATE,
    WIDTH,
    dimensional_model,
    face,
    moving_face,
    require_rows,
    speech_encoder,
    voice,
)

from avemo_harness.errors import MediaError, UsageError
from avemo_harness.recognizers.features import make_extractor, speech
from avemo_harness.recognizers.features.base import Features
from avemo_harness.recognizers.recordings import Recording
from avemo_harness.torch_setup import import_transformers

KINDS = ("WavLM", "Wav2Vec2", "Hubert")


@pytest.fixture(scope="module")
def wavlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speech_encoder(tmp_path_factory.mktemp("wavlm"), "WavLM")


@pytest.fixture(scope="module")
def dimensional(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dimensional_model(tmp_path_factory.mktemp("dimensional"))


def rows_of(spec: str, streams: Recording, count: int) -> Features:
    return make_extractor(spec).extract(streams, count, "audio")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_encoder_gives_two_rows_a_second(kind: str, tmp_path: Path) -> None:
    require_rows(f"wavlm:pretrained={speech_encoder(tmp_path, kind)}", voice(melody(2.0)), "audio")


@pytest.mark.parametrize("kind", ["wavlm", "dimensional"])
def test_a_recording_is_described_alike_alone_and_after_others(kind: str, request: pytest.FixtureRequest) -> None:
    name = "wavlm" if kind == "wavlm" else "wav2vec2-dim"
    spec = f"{name}:pretrained={request.getfixturevalue(kind)}"
    alone = rows_of(spec, voice(melody(2.3)), 5)
    used = make_extractor(spec)
    used.extract(voice(melody(3.0, seed=1)), 6, "audio")
    assert np.array_equal(used.extract(voice(melody(2.3)), 5, "audio"), alone)


def test_a_row_is_the_mean_of_the_hidden_states_in_its_half_second(wavlm: Path) -> None:
    import torch

    transformers = import_transformers()
    model = transformers.AutoModel.from_pretrained(wavlm).eval()
    sound = speech.recording_sound(voice(melody(1.5)), "")
    values = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    with torch.inference_mode():
        states = model(torch.from_numpy(values)[None]).last_hidden_state[0].numpy()
    # A frame sees 400 samples and begins 320 after the one before.
    middles = (np.arange(len(states)) * 320 + 200) / RATE
    expected = [states[(middles >= row / 2) & (middles < (row + 1) / 2)].mean(axis=0) for row in range(3)]
    assert np.allclose(rows_of(f"wavlm:pretrained={wavlm}", voice(melody(1.5)), 3), expected, atol=1e-5)


def test_layers_are_chosen_by_number_or_averaged(wavlm: Path) -> None:
    streams = voice(melody(1.0))
    layers = [rows_of(f"wavlm:pretrained={wavlm},layer={layer}", streams, 2) for layer in range(3)]
    assert np.array_equal(rows_of(f"wavlm:pretrained={wavlm}", streams, 2), layers[2])
    mean = rows_of(f"wavlm:pretrained={wavlm},layer=mean", streams, 2)
    assert np.allclose(mean, np.mean(layers, axis=0), atol=1e-5)
    with pytest.raises(UsageError, match=r"layer=3: .* has the layers 0 to 2"):
        make_extractor(f"wavlm:pretrained={wavlm},layer=3")


def test_a_long_sound_in_windows_is_like_the_whole(wavlm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, streams, count = f"wavlm:pretrained={wavlm}", voice(melody(12.0)), 24
    whole = rows_of(spec, streams, count)
    monkeypatch.setattr(speech, "WINDOW_ROWS", 8)
    monkeypatch.setattr(speech, "CONTEXT_ROWS", 4)
    windowed = rows_of(spec, streams, count)
    spread = np.abs(whole - whole.mean(axis=0)).mean()
    # Attention reaches beyond a window, so that it is not the same.
    assert np.abs(windowed - whole).mean() < 0.1 * spread
    shifted = np.roll(whole, 1, axis=0)
    assert np.abs(windowed - whole).mean() < 0.1 * np.abs(windowed - shifted).mean()


@pytest.mark.parametrize("sound", [melody(0.1), melody(0.01), np.zeros(16_000, dtype=np.float32)])
def test_short_and_silent_sounds_have_rows_too(sound: np.ndarray, wavlm: Path, dimensional: Path) -> None:
    for spec in (f"wavlm:pretrained={wavlm}", f"wav2vec2-dim:pretrained={dimensional}"):
        rows = rows_of(spec, voice(sound), 1)
        assert rows.shape[0] == 1
        assert np.isfinite(rows).all()


def test_a_sound_that_ends_before_the_face_is_continued_with_its_last_row(wavlm: Path) -> None:
    rows = rows_of(f"wavlm:pretrained={wavlm}", voice(melody(1.0)), 4)
    assert np.array_equal(rows[2:], rows[[1, 1]])


def test_the_dimensional_model_gives_its_pooled_state_and_three_outputs(dimensional: Path) -> None:
    from safetensors.numpy import load_file

    extractor = make_extractor(f"wav2vec2-dim:pretrained={dimensional}")
    rows = extractor.extract(voice(melody(5.0)), 10, "audio")
    assert rows.shape == (10, extractor.width) == (10, WIDTH + 3)
    weights = load_file(dimensional / "model.safetensors")
    dense = rows[:, :WIDTH] @ weights["classifier.dense.weight"].T + weights["classifier.dense.bias"]
    outputs = np.tanh(dense) @ weights["classifier.out_proj.weight"].T + weights["classifier.out_proj.bias"]
    assert np.allclose(rows[:, WIDTH:], outputs, atol=1e-4)


def test_rows_of_the_dimensional_model_are_of_the_three_seconds_around_them(dimensional: Path) -> None:
    spec, sound = f"wav2vec2-dim:pretrained={dimensional}", melody(8.0)
    rows = rows_of(spec, voice(sound), 16)
    # Row 7 is at 3.75 s: from 2.25 to 5.25 s.
    around = rows_of(spec, voice(sound[36_000:84_000]), 1)
    assert np.allclose(rows[7], around[0], atol=1e-5)
    assert np.array_equal(rows[0], rows[2])
    assert not np.array_equal(rows[2], rows[3])


def test_a_face_without_sound_is_an_error_that_says_so(wavlm: Path, dimensional: Path) -> None:
    streams = face(moving_face(0.5))
    for spec in (f"wavlm:pretrained={wavlm}", f"wav2vec2-dim:pretrained={dimensional}"):
        with pytest.raises(MediaError, match="the recording has no sound"):
            rows_of(spec, streams, 1)


def test_weights_without_the_regression_head_are_refused(tmp_path: Path) -> None:
    extractor = make_extractor(f"wav2vec2-dim:pretrained={speech_encoder(tmp_path, 'Wav2Vec2')}")
    with pytest.raises(UsageError, match=r"are missing or of another shape, such as classifier\."):
        extractor.extract(voice(melody(0.5)), 1, "audio")


def test_something_else_than_a_speech_encoder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert", "hidden_size": 8}')
    with pytest.raises(UsageError, match=r"not WavLM, wav2vec 2\.0 or HuBERT"):
        make_extractor(f"wavlm:pretrained={tmp_path}")


def test_pickled_weights_with_older_names_are_read_as_tensors(wavlm: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    old = {}
    for name, value in load_file(wavlm / "model.safetensors").items():
        for new, older in names.items():
            name = name.replace(new, older)
        old[name] = value
    assert any(name.endswith("weight_g") for name in old)
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((wavlm / name).read_bytes())
    torch.save(old, tmp_path / "pytorch_model.bin")
    streams = voice(melody(1.0))
    expected = rows_of(f"wavlm:pretrained={wavlm}", streams, 2)
    assert np.allclose(rows_of(f"wavlm:pretrained={tmp_path}", streams, 2), expected, atol=1e-6)


def test_pickled_code_is_not_run(wavlm: Path, tmp_path: Path) -> None:
    import torch

    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((wavlm / name).read_bytes())
    torch.save({"encoder": Path("/")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UsageError, match="cannot be loaded"):
        rows_of(f"wavlm:pretrained={tmp_path}", voice(melody(0.5)), 1)
