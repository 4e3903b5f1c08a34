"""Image and video encoders of transformers, and emotiefflib."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from support.clips import melody
from support.packages import write_package
from support.tiny_extractors import SIDE, WIDTH, face, image_encoder, moving_face, require_rows, video_encoder, voice

from avemo_harness import media
from avemo_harness.errors import MediaError, UsageError
from avemo_harness.recognizers.features import make_extractor
from avemo_harness.recognizers.features.base import Features
from avemo_harness.recognizers.features.face_encoders import face_frames, frame_windows, image_normalization
from avemo_harness.recognizers.recordings import Recording
from avemo_harness.torch_setup import find_weights, import_transformers

KINDS = ("CLIP", "CLIPVision", "Siglip", "SiglipVision", "Dinov2", "ViT")


@pytest.fixture(scope="module")
def videomae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return video_encoder(tmp_path_factory.mktemp("videomae"))


@pytest.fixture(scope="module")
def dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image_encoder(tmp_path_factory.mktemp("dino"), "Dinov2")


def rows_of(spec: str, streams: Recording, count: int) -> Features:
    return make_extractor(spec).extract(streams, count, "video")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_encoder_gives_two_rows_a_second(kind: str, tmp_path: Path) -> None:
    require_rows(f"face-encoder:pretrained={image_encoder(tmp_path, kind)}", face(moving_face(2.0)), "video")


def test_a_row_of_the_image_encoder_is_the_mean_of_two_frames(dino: Path) -> None:
    import torch

    streams = face(moving_face(1.0))
    assert streams.face is not None
    pixels = media.decode_frames(streams.face.read(), fps=4, size=(SIDE, SIDE)).pixels
    values = (pixels / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]
    model = import_transformers().AutoModel.from_pretrained(dino).eval()
    with torch.inference_mode():
        found = model(torch.from_numpy(values.transpose(0, 3, 1, 2)).float()).pooler_output.numpy()
    expected = found.reshape(2, 2, WIDTH).mean(axis=1)
    assert np.allclose(rows_of(f"face-encoder:pretrained={dino}", streams, 2), expected, atol=1e-4)


def test_a_row_of_videomae_is_the_mean_over_the_two_seconds_around_it(videomae: Path) -> None:
    import torch

    streams = face(moving_face(4.0))
    assert streams.face is not None
    pixels = media.decode_frames(streams.face.read(), fps=8, size=(SIDE, SIDE)).pixels
    values = (pixels / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]
    model = import_transformers().VideoMAEModel.from_pretrained(videomae).eval()
    with torch.inference_mode():
        # Row 3 is at 1.75 s: from 0.75 s.
        found = model(torch.from_numpy(values[6:22].transpose(0, 3, 1, 2))[None].float()).last_hidden_state
    rows = rows_of(f"videomae:pretrained={videomae}", streams, 8)
    assert rows.shape == (8, WIDTH)
    assert np.allclose(rows[3], found[0].mean(dim=0).numpy(), atol=1e-4)


def test_windows_of_frames_repeat_the_edges_and_end_with_the_video() -> None:
    windows = frame_windows(frames=20, fps=8.0, length=16, count=9)
    assert windows.shape == (5, 16)
    assert windows[0].tolist() == [0] * 6 + list(range(10))
    assert windows[4].tolist() == list(range(10, 20)) + [19] * 6


@pytest.mark.parametrize("name", ["videomae", "face-encoder"])
def test_a_recording_is_described_alike_alone_and_after_others(name: str, videomae: Path, dino: Path) -> None:
    spec = f"{name}:pretrained={videomae if name == 'videomae' else dino}"
    alone = rows_of(spec, face(moving_face(1.4)), 3)
    used = make_extractor(spec)
    used.extract(face(moving_face(3.0, seed=1)), 6, "video")
    assert np.array_equal(used.extract(face(moving_face(1.4)), 3, "video"), alone)


def test_a_video_that_ends_before_the_sound_is_continued_with_its_last_row(videomae: Path, dino: Path) -> None:
    for spec in (f"videomae:pretrained={videomae}", f"face-encoder:pretrained={dino}"):
        rows = rows_of(spec, face(moving_face(1.0)), 4)
        assert np.array_equal(rows[2:], rows[[1, 1]])


def test_a_single_frame_is_enough(videomae: Path, dino: Path) -> None:
    for spec in (f"videomae:pretrained={videomae}", f"face-encoder:pretrained={dino}"):
        assert np.isfinite(rows_of(spec, face(moving_face(0.04)), 1)).all()


def test_the_face_is_the_middle_of_the_picture_or_all_of_it() -> None:
    wide = np.zeros((5, 48, 96, 3), dtype=np.uint8)
    wide[:, :, :24] = wide[:, :, 72:] = 255
    assert face_frames(face(wide), "", 4.0, SIDE, "centre")[:, 2:-2, 2:-2].max() < 40
    whole = face_frames(face(wide), "", 4.0, SIDE, "whole")
    assert whole.shape[1:] == (SIDE, SIDE, 3)
    assert whole[0, 16, 2].min() > 200 > 40 > whole[0, 16, 16].max()


def test_the_crop_belongs_to_the_identity(dino: Path) -> None:
    crops = [make_extractor(f"face-encoder:pretrained={dino},crop={crop}").identity() for crop in ("centre", "whole")]
    assert crops[0] != crops[1]


def test_a_voice_without_video_is_an_error_that_says_so(videomae: Path, dino: Path) -> None:
    for spec in (f"videomae:pretrained={videomae}", f"face-encoder:pretrained={dino}"):
        with pytest.raises(MediaError, match="the recording has no video"):
            rows_of(spec, voice(melody(0.5)), 1)


def test_pictures_are_taken_in_as_published(tmp_path: Path) -> None:
    transformers = import_transformers()
    transformers.CLIPImageProcessor().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    eye = image_normalization(find_weights(str(tmp_path), None))
    assert eye.side == 224
    assert eye.mean == pytest.approx((0.4815, 0.4578, 0.4082), abs=1e-4)
    (tmp_path / "preprocessor_config.json").write_text("{}")
    with pytest.raises(UsageError, match="does not tell how it takes pictures in"):
        image_normalization(find_weights(str(tmp_path), None))


def test_something_else_than_videomae_is_refused(dino: Path) -> None:
    with pytest.raises(UsageError, match="not a VideoMAE"):
        make_extractor(f"videomae:pretrained={dino}")


STAND_IN = """
import numpy as np

from emotiefflib.utils import get_model_path_onnx


def get_model_list():
    return ["enet_b0_8_best_vgaf", "mbf_va_mtl"]


class EmotiEffLibRecognizer:
    img_size = 64

    def __init__(self, engine, model_name):
        assert engine == "onnx"
        self.classifier_weights = np.zeros((8, 3))

    def extract_features(self, faces):
        assert isinstance(faces, list)
        return np.stack([face.mean(axis=(0, 1)) for face in faces])
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The stand-in, which shadows emotiefflib; its weights."""
    weights = tmp_path / "weights.onnx"
    weights.write_bytes(b"first")
    utilities = f'def get_model_path_onnx(name):\n    print("it talks")\n    return {str(weights)!r}\n'
    modules = {"__init__": "", "facial_analysis": STAND_IN, "utils": utilities}
    write_package(
        tmp_path / "site", "emotiefflib", {}, {f"emotiefflib/{name}.py": text for name, text in modules.items()}
    )
    _forget()
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield weights
    _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "emotiefflib"]:
        del sys.modules[name]


def test_a_row_is_the_mean_of_two_frames(package: Path) -> None:
    streams = face(moving_face(2.0))
    assert streams.face is not None
    extractor = make_extractor("emotiefflib")
    rows = extractor.extract(streams, 5, "video")
    assert rows.shape == (5, extractor.width) == (5, 3)
    colours = media.decode_frames(streams.face.read(), fps=4, size=(64, 64)).pixels.mean(axis=(1, 2))
    expected = colours.reshape(4, 2, 3).mean(axis=1)
    assert np.allclose(rows, expected[[0, 1, 2, 3, 3]], atol=1e-3)


def test_the_identity_holds_what_was_downloaded(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = make_extractor("emotiefflib").identity()
    package.write_bytes(b"other")
    assert make_extractor("emotiefflib").identity() != before
    assert capsys.readouterr().out == ""


def test_an_unknown_model_is_an_error(package: Path) -> None:
    with pytest.raises(UsageError, match="known: enet_b0_8_best_vgaf, mbf_va_mtl"):
        make_extractor("emotiefflib:model=enet").identity()


def test_a_voice_without_video_is_an_error_that_says_so_of_emotiefflib(package: Path) -> None:
    with pytest.raises(MediaError, match="emotiefflib: the recording has no video"):
        make_extractor("emotiefflib").extract(voice(melody(0.5)), 1, "video")


@pytest.mark.skipif(find_spec("emotiefflib") is not None, reason="emotiefflib is installed")
def test_without_the_package_the_error_says_what_to_install() -> None:
    with pytest.raises(UsageError, match="pip install emotiefflib"):
        make_extractor("emotiefflib").identity()


@pytest.mark.skipif(find_spec("emotiefflib") is None, reason="emotiefflib is not installed")
def test_the_real_package_gives_two_rows_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    monkeypatch.setenv("HOME", str(tmp_path))
    weight = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weight", "bias"], ["output"], transB=1),
        ],
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [None, 3, 224, 224])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [None, 8])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(np.zeros(8, np.float32), "bias")],
    )
    (tmp_path / ".emotiefflib").mkdir()
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    onnx.save(model, str(tmp_path / ".emotiefflib" / "enet_b0_8_best_vgaf.onnx"))
    rows = make_extractor("emotiefflib").extract(face(moving_face(2.0)), 4, "video")
    assert rows.shape == (4, 3)
    assert len(np.unique(rows, axis=0)) == 4
