"""Judges whose network itself gives valence and arousal: published layouts, order of outputs, spans, the scale."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.clips import melody
from support.tiny_extractors import RATE, face, moving_face, speech_encoder, voice
from support.tiny_judges import (
    AVD,
    DEVIATION,
    MEAN,
    audeering_layout,
    baseline_layout,
    baseline_settings,
    change_config,
    native_layout,
)

from avemo_harness.errors import MediaError, RecognitionError, UsageError
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.recognizers.features import speech
from avemo_harness.recognizers.judges.wavlm_baseline import baseline_class
from avemo_harness.recognizers.judging import JudgeSetup, TrajectoryJudge, judge_modalities, open_judge
from avemo_harness.recognizers.recordings import Recording
from avemo_harness.torch_setup import import_transformers

LAYOUTS = {
    "audeering": ("wav2vec2-dim", audeering_layout),
    "native": ("wav2vec2-dim", native_layout),
    "baseline": ("msp-podcast", baseline_layout),
}


def judge_of(spec: str, tmp_path: Path) -> TrajectoryJudge:
    return open_judge(spec, JudgeSetup(lambda: pytest.fail("the demo is not needed"), tmp_path))


def follow(spec: str, streams: Recording, tmp_path: Path) -> Trajectory:
    return judge_of(spec, tmp_path).trajectory(streams, "audio")


def sound_of(streams: Recording) -> NDArray[np.float32]:
    return speech.recording_sound(streams, "")


def in_order(trajectory: Trajectory, names: Sequence[str] = AVD) -> NDArray[np.float64]:
    """The columns in the order of their names, (T, names)."""
    return np.column_stack([trajectory.column(name) for name in names])


def utterance_by_audeering(folder: Path, sound: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    """The outputs for one utterance, as the model card computes them."""
    import torch
    from safetensors.torch import load_file

    transformers = import_transformers()
    weights = load_file(folder / "model.safetensors")
    prefix = f"{kind.lower()}."
    encoder = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config").from_pretrained(folder))
    encoder.load_state_dict({n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)})
    inputs = transformers.AutoFeatureExtractor.from_pretrained(folder)(sound, sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        state = encoder.eval()(inputs.input_values).last_hidden_state.mean(dim=1)
        state = torch.tanh(state @ weights["classifier.dense.weight"].T + weights["classifier.dense.bias"])
        outputs = state @ weights["classifier.out_proj.weight"].T + weights["classifier.out_proj.bias"]
    return outputs[0].numpy()


def utterance_by_baseline(folder: Path, sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """The outputs for one utterance, as the model card normalises it and the paper of its pooling computes them."""
    import torch
    from safetensors.torch import load_file

    transformers = import_transformers()
    weights = load_file(folder / "model.safetensors")
    settings = json.loads((folder / "config.json").read_text())
    sizes = {name: value for name, value in settings.items() if name in transformers.WavLMConfig().to_dict()}
    sizes = {**sizes, "model_type": "wavlm", "feat_extract_norm": "layer", "do_stable_layer_norm": True}
    encoder = transformers.WavLMModel(transformers.WavLMConfig.from_dict(sizes))
    new = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    own = {name.removeprefix("ssl_model."): value for name, value in weights.items() if name.startswith("ssl_model.")}
    for old, name in new.items():
        own = {key.replace(old, name): value for key, value in own.items()}
    encoder.load_state_dict(own)
    values = torch.from_numpy((sound - MEAN) / (DEVIATION + 0.000001)).float()
    with torch.inference_mode():
        states = encoder.eval()(values[None]).last_hidden_state[0]
        linear = states @ weights["pool_model.sap_linear.weight"].T + weights["pool_model.sap_linear.bias"]
        shares = torch.softmax((torch.tanh(linear) @ weights["pool_model.attention"])[:, 0], dim=0)
        mean = sum(share * state for share, state in zip(shares, states, strict=True))
        square = sum(share * state**2 for share, state in zip(shares, states, strict=True))
        pooled = torch.cat([mean, torch.sqrt((square - mean**2).clamp(min=1e-5))])
        pooled = weights["ser_model.fc.0.0.weight"] @ pooled + weights["ser_model.fc.0.0.bias"]
        pooled = (pooled - pooled.mean()) / torch.sqrt(pooled.var(correction=0) + 1e-5)
        pooled = torch.relu(pooled * weights["ser_model.fc.0.1.weight"] + weights["ser_model.fc.0.1.bias"])
        outputs = weights["ser_model.out.0.weight"] @ pooled + weights["ser_model.out.0.bias"]
    return outputs.numpy()


@pytest.mark.parametrize("kind", ["Wav2Vec2", "WavLM", "Hubert"])
def test_outputs_are_those_of_the_model_card_for_an_utterance(kind: str, tmp_path: Path) -> None:
    folder = audeering_layout(tmp_path / "model", kind)
    streams = voice(melody(2.0))
    found = in_order(follow(f"wav2vec2-dim:pretrained={folder}", streams, tmp_path))
    expected = utterance_by_audeering(folder, sound_of(streams), kind)
    assert found.shape == (4, 3)
    # A sound of less than three seconds is heard whole by every row.
    np.testing.assert_allclose(found, np.tile(expected, (4, 1)), atol=1e-5)
    assert np.ptp(expected) > 0.01


def test_outputs_of_the_baseline_are_those_of_its_model_card_for_an_utterance(tmp_path: Path) -> None:
    folder = baseline_layout(tmp_path / "model")
    streams = voice(0.3 * melody(2.0))
    found = in_order(follow(f"msp-podcast:pretrained={folder}", streams, tmp_path))
    np.testing.assert_allclose(found, np.tile(utterance_by_baseline(folder, sound_of(streams)), (4, 1)), atol=1e-5)


@pytest.mark.parametrize("kind", ["Wav2Vec2", "WavLM"])
def test_a_regression_model_of_transformers_own_classes_is_read_too(kind: str, tmp_path: Path) -> None:
    import torch

    folder = native_layout(tmp_path / "model", kind)
    streams = voice(melody(1.0))
    model = getattr(import_transformers(), f"{kind}ForSequenceClassification").from_pretrained(folder).eval()
    sound = sound_of(streams)
    values = torch.from_numpy((sound - sound.mean()) / np.sqrt(sound.var() + 1e-7))[None]
    with torch.inference_mode():
        expected = model(values).logits[0].numpy()
    found = in_order(follow(f"wav2vec2-dim:pretrained={folder}", streams, tmp_path))
    np.testing.assert_allclose(found, np.tile(expected, (2, 1)), atol=1e-5)


def test_the_baseline_as_published_is_the_size_of_its_file() -> None:
    import torch

    with torch.device("meta"):
        settings = baseline_settings()
        network = baseline_class(settings)
        model = network(network.published_config)
    gigabytes = sum(weight.numel() * weight.element_size() for weight in model.parameters()) / 1e9
    assert gigabytes == pytest.approx(1.27, abs=0.005)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_another_order_of_the_outputs_is_obeyed(layout: str, tmp_path: Path) -> None:
    name, write = LAYOUTS[layout]
    usual = write(tmp_path / "usual")
    other = change_config(write(tmp_path / "other"), id2label={"2": "dominance", "0": "Valence", "1": "activation"})
    streams = voice(melody(1.5))
    found = [follow(f"{name}:pretrained={folder}", streams, tmp_path) for folder in (usual, other)]
    assert np.ptp(in_order(found[0]), axis=1).min() > 1e-3
    assert np.array_equal(in_order(found[1], ("valence", "arousal", "dominance")), in_order(found[0]))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("id2label", "stated"),
    [
        (None, "nothing"),
        ({"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}, "0: LABEL_0, 1: LABEL_1, 2: LABEL_2"),
        ({"0": "arousal", "1": "dominance", "2": "liking"}, "0: arousal, 1: dominance, 2: liking"),
        ({"0": "arousal", "1": "activation", "2": "valence"}, "0: arousal, 1: activation, 2: valence"),
        ({"0": "arousal", "1": "dominance", "3": "valence"}, "0: arousal, 1: dominance, 3: valence"),
    ],
)
def test_a_checkpoint_that_does_not_say_its_order_is_refused_in_one_sentence(
    layout: str, id2label: dict[str, str] | None, stated: str, tmp_path: Path
) -> None:
    name, write = LAYOUTS[layout]
    folder = change_config(write(tmp_path / "model"), id2label=id2label)
    with pytest.raises(UsageError) as refusal:
        judge_of(f"{name}:pretrained={folder}", tmp_path)
    assert f"{folder}: its config.json does not say which output is valence" in str(refusal.value)
    assert f"(id2label: {stated})" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_long_sound_is_followed_by_the_three_seconds_around_each_half_second(layout: str, tmp_path: Path) -> None:
    name, write = LAYOUTS[layout]
    spec, sound = f"{name}:pretrained={write(tmp_path / 'model')}", melody(40.0)
    found = follow(spec, voice(sound), tmp_path)
    assert (len(found), found.rate_hz, found.scale) == (80, 2.0, "unit")
    # Row 41 is at 20.75 s: from 19.25 to 22.25 s.
    around = follow(spec, voice(sound[308_000:356_000]), tmp_path)
    np.testing.assert_allclose(found.values[41], around.values[2], atol=1e-5)
    assert len(np.unique(found.values, axis=0)) == 76


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_recording_is_heard_alike_alone_and_after_others(layout: str, tmp_path: Path) -> None:
    name, write = LAYOUTS[layout]
    spec = f"{name}:pretrained={write(tmp_path / 'model')}"
    alone = follow(spec, voice(melody(4.3)), tmp_path)
    used = judge_of(spec, tmp_path)
    used.trajectory(voice(melody(11.0, seed=1)), "audio")
    assert np.array_equal(used.trajectory(voice(melody(4.3)), "audio").values, alone.values)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seconds", [0.01, 0.3])
def test_short_sounds_are_followed_and_an_empty_one_has_no_values(layout: str, seconds: float, tmp_path: Path) -> None:
    name, write = LAYOUTS[layout]
    judge = judge_of(f"{name}:pretrained={write(tmp_path / 'model')}", tmp_path)
    assert len(judge.trajectory(voice(melody(seconds)), "audio")) == 1
    assert len(judge.trajectory(Recording(None, None, 0.0), "audio")) == 0


def test_values_a_little_off_the_scale_are_clipped_and_counted(tmp_path: Path) -> None:
    folder = audeering_layout(tmp_path / "model")
    streams = voice(melody(2.0))
    inside = in_order(follow(f"wav2vec2-dim:pretrained={folder}", streams, tmp_path))[0]
    raised = audeering_layout(tmp_path / "raised", bias=0.5 + (1.02 - float(inside.max())))
    found = follow(f"wav2vec2-dim:pretrained={raised}", streams, tmp_path)
    over = inside - inside.max() + 1.02 > 1
    assert found.n_clipped == 4 * int(over.sum()) > 0
    assert found.values.max() == 1.0


@pytest.mark.parametrize("layout", ["audeering", "native"])
def test_values_further_off_the_scale_and_no_numbers_are_errors_of_the_recording(layout: str, tmp_path: Path) -> None:
    _, write = LAYOUTS[layout]
    for bias, said in ((1.5, r"expected values in \[0, 1\]"), (float("nan"), "found .* = nan at step 0")):
        folder = write(tmp_path / str(bias), bias=bias)
        with pytest.raises(RecognitionError, match=f"judge wav2vec2-dim: .*{said}" if bias == 1.5 else said):
            follow(f"wav2vec2-dim:pretrained={folder}", voice(melody(1.0)), tmp_path)


def test_a_judge_of_voices_says_that_users_are_heard_alone(tmp_path: Path) -> None:
    judge = judge_of(f"wav2vec2-dim:pretrained={audeering_layout(tmp_path / 'model')}", tmp_path)
    assert judge_modalities(judge) == {"audio"}
    card = "\n".join(judge.card_values["lines"])
    assert "users are heard by voice alone" in card
    assert "outputs in the order arousal, dominance, valence" in card
    assert "ESS says little" in card
    both = face(moving_face(2.0), melody(2.0))
    views = [judge.trajectory(both, view).values for view in ("both", "audio")]
    assert np.array_equal(*views)
    with pytest.raises(MediaError, match="wav2vec2-dim: the recording has no sound"):
        judge.trajectory(face(moving_face(1.0)), "audio")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_identity_is_the_content_wherever_it_lies(layout: str, tmp_path: Path) -> None:
    name, write = LAYOUTS[layout]
    first, copy = (judge_of(f"{name}:pretrained={write(tmp_path / one)}", tmp_path) for one in ("first", "copy"))
    other = judge_of(f"{name}:pretrained={write(tmp_path / 'other', seed=1)}", tmp_path)
    assert first.identity() == copy.identity() != other.identity()
    assert first.identity()["judge"] == name
    assert first.identity()["weights"].startswith("sha256:")
    assert str(tmp_path) not in json.dumps([dict(first.identity()), first.card_values])


def test_code_in_the_repository_of_the_baseline_is_not_run(tmp_path: Path) -> None:
    folder = baseline_layout(tmp_path / "model")
    assert "SystemExit" in (folder / "pipeline_utils.py").read_text()
    assert len(follow(f"msp-podcast:pretrained={folder}", voice(melody(1.0)), tmp_path)) == 2


REFUSED = {
    "an encoder without a head": (
        "wav2vec2-dim",
        {"architectures": None},
        r"missing or of another shape.* classifier\.",
    ),
    "another network": ("wav2vec2-dim", {"model_type": "bert"}, r"not wav2vec 2\.0, WavLM or HuBERT"),
    "the baseline by another name": ("wav2vec2-dim", {"model_type": "ser"}, "the judge msp-podcast"),
    "no baseline": ("msp-podcast", {}, "not the MSP-Podcast baseline"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_checkpoint_of_something_else_is_refused(case: str, tmp_path: Path) -> None:
    name, settings, said = REFUSED[case]
    folder = speech_encoder(tmp_path / "model", "Wav2Vec2")
    change_config(folder, id2label={"0": "arousal", "1": "valence"}, **settings)
    with pytest.raises(UsageError, match=said):
        follow(f"{name}:pretrained={folder}", voice(melody(0.5)), tmp_path)


def test_a_baseline_whose_settings_are_no_numbers_is_refused(tmp_path: Path) -> None:
    folder = change_config(baseline_layout(tmp_path / "model"), std="0.085 V")
    with pytest.raises(UsageError, match=r"lacks .* numbers for mean, std and hidden_size"):
        judge_of(f"msp-podcast:pretrained={folder}", tmp_path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_that_are_cut_off_end_the_judging_in_one_sentence(layout: str, tmp_path: Path) -> None:
    name, write = LAYOUTS[layout]
    path = write(tmp_path / "model") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UsageError, match=r"model: cannot be loaded \("):
        follow(f"{name}:pretrained={path.parent}", voice(melody(0.5)), tmp_path)


def test_a_baseline_that_hears_another_rate_is_refused(tmp_path: Path) -> None:
    folder = change_config(baseline_layout(tmp_path / "model"), sampling_rate=8000)
    with pytest.raises(UsageError, match="it hears 8000 Hz, not 16000"):
        judge_of(f"msp-podcast:pretrained={folder}", tmp_path)


def test_a_checkpoint_without_its_preprocessing_is_refused_with_the_file(tmp_path: Path) -> None:
    folder = audeering_layout(tmp_path / "model")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(UsageError, match=r"its preprocessor_config\.json cannot be used"):
        follow(f"wav2vec2-dim:pretrained={folder}", voice(melody(0.5)), tmp_path)


def test_a_device_that_there_is_not_ends_the_judging_in_one_sentence(tmp_path: Path) -> None:
    folder = audeering_layout(tmp_path / "model")
    with pytest.raises(UsageError, match=r"cannot be put on cuda:99 \(.*; choose another device"):
        follow(f"wav2vec2-dim:pretrained={folder},device=cuda:99", voice(melody(0.5)), tmp_path)
