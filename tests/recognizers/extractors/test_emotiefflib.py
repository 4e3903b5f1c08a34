"""Networks of emotiefflib, by a package that is called as it is, and by itself where it is installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from support.clips import melody
from support.packages import write_package
from support.tiny_extractors import face, moving_face, voice

from avemo_harness import media
from avemo_harness.errors import MediaError, UsageError
from avemo_harness.recognizers.features import make_extractor

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


def test_a_voice_without_video_is_an_error_that_says_so(package: Path) -> None:
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
