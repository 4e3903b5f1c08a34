"""A folder holds a recogniser whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.planted_features import NAMES
from support.planted_labels import labelled

from avemo_harness.errors import UsageError
from avemo_harness.recognizers.checkpoint import load_label_recognizer, save_recognizer
from avemo_harness.recognizers.heads.labels import CategoricalRecognizer, pooled_features


@pytest.fixture(scope="module")
def folder(recognizer: CategoricalRecognizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recognizers") / "mine"
    save_recognizer(recognizer, list(NAMES), folder)
    return folder


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_what_is_read_back_says_the_same_to_the_last_bit(
    recognizer: CategoricalRecognizer, folder: Path, tmp_path: Path
) -> None:
    again = load_label_recognizer(folder, tmp_path, "cpu")
    # The same rows for both: what is read back keeps features in a cache, which rounds them.
    for view, row in pooled_features(labelled("new", "angry", "zoe").streams, recognizer.features).items():
        np.testing.assert_array_equal(again.predict([row], view), recognizer.predict([row], view))
    assert again.identity() == recognizer.identity()
    assert (again.card, again.labels) == (recognizer.card, recognizer.labels)


def test_the_folder_says_in_words_what_it_is(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    assert "trained on planted: " in text
    assert "weighted F1 test, sound alone" in text


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "card.json"])
def test_a_missing_file_is_told(copy: Path, name: str, tmp_path: Path) -> None:
    (copy / name).unlink()
    with pytest.raises(UsageError, match=f"not a trained recogniser .*{name}"):
        load_label_recognizer(copy, tmp_path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def other_values(path: Path) -> None:
    path.write_text('{"some": "thing"}')


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "card.json"])
@pytest.mark.parametrize("damage", [cut, noise, other_values])
def test_a_damaged_file_is_told(copy: Path, name: str, damage: Callable[[Path], None], tmp_path: Path) -> None:
    damage(copy / name)
    with pytest.raises(UsageError, match=r"is damaged .* train it again"):
        load_label_recognizer(copy, tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("labels", ["sad", "happy"], "tells 4 labels, its settings name 2"),
        ("members", 2, "is damaged"),
        ("width", 12, "its input has 26 columns"),
        ("format", "avemo-continuous-recognizer-1", "found avemo-continuous-recognizer-1; train it again"),
    ],
)
def test_settings_that_do_not_fit_the_weights_are_told(
    copy: Path, key: str, value: object, problem: str, tmp_path: Path
) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, key: value}))
    with pytest.raises(UsageError, match=problem):
        load_label_recognizer(copy, tmp_path)
