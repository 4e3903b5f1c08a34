"""Published judges with a few random weights, saved to folders in the layouts that they are published in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support.tiny_extractors import CONVOLUTIONS, LAYERS, SIDE, WIDTH, seeded, speech_encoder, with_eye

AVD = ("arousal", "dominance", "valence")
"""The usual order of outputs."""
FOUR = ("neu", "hap", "ang", "sad")
MEAN, DEVIATION = -8.3e-05, 0.085
"""Of the waveforms that the baseline was trained on."""


def audeering_layout(
    folder: Path,
    kind: str = "Wav2Vec2",
    labels: Sequence[str] = AVD,
    bias: float = 0.5,
    spread: float = 0.03,
    seed: int = 0,
) -> Path:
    """An encoder with a dense layer, tanh and a linear layer on its mean state.

    Args:
        bias: about which its outputs lie.
        spread: deviation of the weights of its outputs, which are all equal to `bias` without any.
    """
    import torch

    speech_encoder(folder, kind, seed)
    torch.manual_seed(seed + 1)
    head = {
        "dense.weight": torch.randn(WIDTH, WIDTH),
        "dense.bias": torch.randn(WIDTH),
        "out_proj.weight": spread * torch.randn(len(labels), WIDTH),
        "out_proj.bias": torch.full((len(labels),), bias),
    }
    _rename_weights(folder, {"": f"{kind.lower()}."}, {f"classifier.{name}": value for name, value in head.items()})
    change_config(folder, id2label=numbered(labels), architectures=[f"{kind}ForSpeechClassification"])
    return folder


def native_layout(
    folder: Path, kind: str = "WavLM", labels: Sequence[str] = AVD, bias: float = 0.5, seed: int = 0
) -> Path:
    """A sequence classifier of transformers that was trained for regression."""
    import torch

    transformers = seeded(seed)
    config = getattr(transformers, f"{kind}Config")(
        **LAYERS,
        **CONVOLUTIONS,
        feat_extract_norm="layer",
        classifier_proj_size=8,
        id2label=dict(enumerate(labels)),
        problem_type="regression",
    )
    model = getattr(transformers, f"{kind}ForSequenceClassification")(config)
    with torch.no_grad():
        model.classifier.bias.fill_(bias)
    model.save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def baseline_settings(labels: Sequence[str] = AVD) -> dict[str, Any]:
    """The config of the MSP-Podcast baseline, as it is published, of which every size is read."""
    return {
        "architectures": ["SERModel"],
        "auto_map": {
            "AutoConfig": "pipeline_utils.SERConfig",
            "AutoModelForAudioClassification": "pipeline_utils.SERModel",
        },
        "classifier_dropout_prob": 0.5,
        "classifier_hidden_layers": 1,
        "hidden_size": 1024,
        "id2label": numbered(labels),
        "mean": MEAN,
        "model_type": "ser",
        "num_attention_heads": 16,
        "num_classes": len(labels),
        "num_hidden_layers": 24,
        "sampling_rate": 16_000,
        "ssl_type": "microsoft/wavlm-large",
        "std": DEVIATION,
        "torch_dtype": "float32",
        "transformers_version": "4.34.0.dev0",
    }


def baseline_layout(folder: Path, labels: Sequence[str] = AVD, seed: int = 0) -> Path:
    """The MSP-Podcast baseline, with its layers' names and those of weight normalisation of its time."""
    import torch

    transformers = seeded(seed)
    sizes = {**LAYERS, **CONVOLUTIONS}
    encoder = transformers.WavLMConfig(**sizes, feat_extract_norm="layer", do_stable_layer_norm=True)
    transformers.WavLMModel(encoder).save_pretrained(folder)
    head = {
        "pool_model.sap_linear.weight": torch.randn(WIDTH, WIDTH),
        "pool_model.sap_linear.bias": torch.randn(WIDTH),
        "pool_model.attention": torch.randn(WIDTH, 1),
        "ser_model.fc.0.0.weight": torch.randn(WIDTH, 2 * WIDTH),
        "ser_model.fc.0.0.bias": torch.randn(WIDTH),
        "ser_model.fc.0.1.weight": torch.rand(WIDTH),
        "ser_model.fc.0.1.bias": torch.randn(WIDTH),
        "ser_model.out.0.weight": 0.03 * torch.randn(len(labels), WIDTH),
        "ser_model.out.0.bias": torch.full((len(labels),), 0.5),
    }
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    _rename_weights(folder, {"": "ssl_model.", **old}, head)
    settings = {**baseline_settings(labels), **sizes}
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "pipeline_utils.py").write_text("raise SystemExit('code of the repository was run')\n")
    (folder / "preprocessor_config.json").write_text('{"mean": 10}')
    return folder


def audio_classifier(folder: Path, labels: Sequence[str] = FOUR, seed: int = 0, **settings: Any) -> Path:
    """Wav2vec 2.0 that tells emotions of voices apart, as superb's is published."""
    transformers = seeded(seed)
    config = transformers.Wav2Vec2Config(
        **LAYERS,
        **CONVOLUTIONS,
        feat_extract_norm="layer",
        use_weighted_layer_sum=True,
        classifier_proj_size=8,
        id2label=dict(enumerate(labels)),
        initializer_range=1.0,
        **settings,
    )
    transformers.Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def image_classifier(folder: Path, labels: Sequence[str], seed: int = 0) -> Path:
    """A ViT that tells facial expressions apart."""
    transformers = seeded(seed)
    config = transformers.ViTConfig(
        **LAYERS, image_size=SIDE, patch_size=16, id2label=dict(enumerate(labels)), initializer_range=1.0
    )
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    return with_eye(folder)


def numbered(labels: Sequence[str]) -> dict[str, str]:
    """Labels as ``id2label`` of a config.json."""
    return {str(number): label for number, label in enumerate(labels)}


def change_config(folder: Path, **settings: Any) -> Path:
    """Change a checkpoint's config.json; None takes a key away."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **settings}
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))
    return folder


def _rename_weights(folder: Path, names: Mapping[str, str], further: Mapping[str, Any]) -> None:
    """Rename parts of the names of weights, the empty part being a prefix, and add others."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = {}
    for name, value in load_file(path).items():
        for old, new in names.items():
            name = name.replace(old, new) if old else new + name
        weights[name] = value
    save_file({**weights, **further}, path, metadata={"format": "pt"})
