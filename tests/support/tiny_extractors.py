"""Encoders of transformers with a few random weights, saved to folders as they are published."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from avemo_harness import media
from avemo_harness.benchmark.release import Clip
from avemo_harness.recognizers.features import make_extractor
from avemo_harness.recognizers.recordings import Modality, Recording
from avemo_harness.torch_setup import import_transformers

WIDTH = 16
RATE = 16_000
SIDE = 32
CONVOLUTIONS = {
    "conv_dim": [8, 8, 8, 8, 8, 8, 8],
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
LAYERS = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
_SENSEVOICE = """
model: SenseVoiceSmall
encoder: SenseVoiceEncoderSmall
encoder_conf:
    output_size: 16
    attention_heads: 2
    linear_units: 24
    num_blocks: 2
    tp_blocks: 1
    dropout_rate: 0.1
    kernel_size: 11
    sanm_shfit: 0
    normalize_before: true
frontend: WavFrontend
frontend_conf:
    fs: 16000
    window: hamming
    n_mels: 80
    frame_length: 25
    frame_shift: 10
    lfr_m: 7
    lfr_n: 6
tokenizer: CharTokenizer
tokenizer_conf:
    unk_symbol: <unk>
    split_with_space: true
"""


def speech_encoder(folder: Path, kind: str, seed: int = 0, normalise: bool = True) -> Path:
    """A WavLM, Wav2Vec2 or Hubert and its feature extractor."""
    transformers = seeded(seed)
    config = getattr(transformers, f"{kind}Config")(**LAYERS, **CONVOLUTIONS, feat_extract_norm="layer")
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=normalise).save_pretrained(folder)
    return folder


def dimensional_model(folder: Path, seed: int = 0) -> Path:
    """Wav2vec 2.0 with a regression head of three outputs, weights named as audEERING's are."""
    import torch
    from safetensors.torch import load_file, save_file

    speech_encoder(folder, "Wav2Vec2", seed)
    encoder = load_file(folder / "model.safetensors")
    shapes = {"dense.weight": (WIDTH, WIDTH), "dense.bias": (WIDTH,), "out_proj.weight": (3, WIDTH), "out_proj.bias": 3}
    head = {f"classifier.{name}": torch.randn(shape) for name, shape in shapes.items()}
    weights = {**{f"wav2vec2.{name}": value for name, value in encoder.items()}, **head}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def video_encoder(folder: Path, seed: int = 0) -> Path:
    """A VideoMAE of 16 frames of 32 pixels."""
    transformers = seeded(seed)
    config = transformers.VideoMAEConfig(**LAYERS, image_size=SIDE, patch_size=16)
    transformers.VideoMAEModel(config).save_pretrained(folder)
    return with_eye(folder)


def image_encoder(folder: Path, kind: str, seed: int = 0) -> Path:
    """A Dinov2 or ViT, a CLIPVision or SiglipVision, or a CLIP or Siglip with its text encoder."""
    transformers = seeded(seed)
    shape = {**LAYERS, "image_size": SIDE, "patch_size": 16}
    if kind in ("CLIP", "Siglip"):
        text = {**LAYERS, "vocab_size": 32, "max_position_embeddings": 8, "bos_token_id": 1, "eos_token_id": 2}
        config = getattr(transformers, f"{kind}Config")(text_config=text, vision_config=shape)
    else:
        config = getattr(transformers, f"{kind}Config")(**shape)
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    return with_eye(folder)


def sensevoice_settings(folder: Path) -> Path:
    """The settings of a SenseVoice of 16 numbers a frame, as funasr reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(_SENSEVOICE)
    (folder / "tokens.json").write_text(json.dumps(["<blank>", "<s>", "</s>", *"abcdefgh", "<unk>"]))
    return folder


def voice(sound: NDArray[np.float32]) -> Recording:
    """A recording of sound at 16 kHz alone."""
    file = BytesIO()
    soundfile.write(file, np.clip(sound, -1, 1), RATE, format="FLAC", subtype="PCM_16")
    return Recording(Clip.from_bytes(file.getvalue(), "a voice"), None, len(sound) / RATE)


def face(frames: NDArray[np.uint8], sound: NDArray[np.float32] | None = None) -> Recording:
    """A recording of 25 frames a second; without its sound where none is given."""
    seconds = len(frames) / 25
    silence = np.zeros(round(seconds * RATE), dtype=np.float32)
    clip = Clip.from_bytes(media.encode_clip(iter(frames), silence if sound is None else sound), "a face")
    return Recording(None if sound is None else clip, clip, seconds)


def moving_face(seconds: float, side: int = 48, seed: int = 0) -> NDArray[np.uint8]:
    """Coloured blobs that change from frame to frame, uint8 (frames, side, side, 3)."""
    random = np.random.default_rng(seed)
    start, end = random.uniform(30, 220, (2, side // 8, side // 8, 3))
    shares = np.linspace(0, 1, round(25 * seconds))[:, None, None, None]
    return ((1 - shares) * start + shares * end).astype(np.uint8).repeat(8, axis=1).repeat(8, axis=2)


def seeded(seed: int) -> Any:
    """The package transformers, whose next model has the weights of that seed."""
    import torch

    transformers = import_transformers()
    torch.manual_seed(seed)
    return transformers


def with_eye(folder: Path) -> Path:
    """The folder with the settings of an image processor."""
    size = {"height": SIDE, "width": SIDE}
    settings = {"size": size, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def require_rows(spec: str, recording: Recording, modality: Modality) -> None:
    """Hold an extractor to four finite rows, all different, for two seconds of one modality."""
    extractor = make_extractor(spec)
    rows = extractor.extract(recording, 4, modality)
    assert extractor.modality == modality
    assert rows.shape == (4, extractor.width) == (4, WIDTH)
    assert rows.dtype == np.float32
    assert np.isfinite(rows).all()
    assert len(np.unique(rows, axis=0)) == 4
