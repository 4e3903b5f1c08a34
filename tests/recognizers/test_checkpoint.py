"""A trained recogniser as a folder: what is read back says the same to the last bit, and damage is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.planted_features import NAMES, planted_corpus, planted_features
from support.planted_labels import QUICK, labelled, labelled_corpus

from avemo_harness.errors import UsageError
from avemo_harness.recognizers.checkpoint import (
    load_label_recognizer,
    load_trajectory_recognizer,
    require_new_folder,
    save_recognizer,
)
from avemo_harness.recognizers.heads import label_evaluation, trajectory_evaluation
from avemo_harness.recognizers.heads.labels import pooled_features
from avemo_harness.recognizers.heads.training import Method
from avemo_harness.recognizers.heads.trajectory import TrajectorySettings
from avemo_harness.recognizers.judging import JudgeSetup, open_judge
from avemo_harness.recognizers.recordings import Corpus, Part

PARTS: tuple[Part, ...] = ("train", "train", "validation", "test")
LOADERS: dict[str, Callable[..., Any]] = {
    "labels": load_label_recognizer,
    "trajectories": load_trajectory_recognizer,
}


@pytest.fixture(scope="module")
def recognizers() -> dict[str, Any]:
    """A recogniser of labels and one of trajectories, trained a little."""
    labels = Method(planted_features(), replace(QUICK, most_epochs=3))
    settings = TrajectorySettings(hidden=16, most_epochs=3)
    trajectories = Method(planted_features(), settings)
    return {
        "labels": label_evaluation.train_categorical(
            Corpus("planted", (), tuple(labelled_corpus(8, parts=PARTS))), labels
        ),
        "trajectories": trajectory_evaluation.train_on(
            Corpus("planted", tuple(planted_corpus(8, parts=PARTS))), trajectories
        ),
    }


@pytest.fixture(scope="module")
def folders(recognizers: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the folders of both."""
    folder = tmp_path_factory.mktemp("recognizers")
    for kind, recognizer in recognizers.items():
        save_recognizer(recognizer, list(NAMES), folder / kind)
    return folder


@pytest.fixture(params=LOADERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def load(folders: Path, kind: str, tmp_path: Path) -> Callable[[], Any]:
    """Loads the recogniser from the folder `copy`, in which tests may change what they like."""
    shutil.copytree(folders / kind, tmp_path / "copy")
    return partial(LOADERS[kind], tmp_path / "copy", tmp_path / "cache", "cpu")


def change_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def test_what_is_read_back_says_the_same_to_the_last_bit(
    recognizers: dict[str, Any], kind: str, load: Callable[[], Any]
) -> None:
    trained, again = recognizers[kind], load()
    streams = labelled("new", "angry", "zoe").streams
    # The same rows for both: what is read back keeps features in a cache, which rounds them.
    if kind == "labels":
        for view, row in pooled_features(streams, trained.features).items():
            np.testing.assert_array_equal(again.predict([row], view), trained.predict([row], view))
    else:
        for view, rows in trained.features.views(streams, 8).items():
            np.testing.assert_array_equal(again.predict(rows, view).values, trained.predict(rows, view).values)
    assert again.identity() == trained.identity()
    for name in ("card", "calibration", "labels"):
        assert getattr(again, name, None) == getattr(trained, name, None)


def test_a_folder_names_a_judge(folders: Path, tmp_path: Path, recognizers: dict[str, Any]) -> None:
    judge = open_judge(str(folders / "trajectories"), JudgeSetup(pytest.fail, tmp_path))
    assert judge.identity() == recognizers["trajectories"].identity()
    assert set(judge.errors) == {"valence", "arousal"}
    assert "trained on planted" in judge.card_values["lines"][0]


@pytest.mark.parametrize(("kind", "score"), [("labels", "weighted F1"), ("trajectories", "CCC")])
def test_the_folder_says_in_words_what_it_is(folders: Path, kind: str, score: str) -> None:
    text = (folders / kind / "README.md").read_text()
    assert "trained on planted: " in text
    assert f"{score} test, sound alone" in text


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "card.json"])
def test_a_missing_file_is_told(load: Callable[[], Any], name: str, tmp_path: Path) -> None:
    (tmp_path / "copy" / name).unlink()
    with pytest.raises(UsageError, match=f"not a trained recogniser .*{name}"):
        load()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def other_values(path: Path) -> None:
    path.write_text('{"some": "thing"}')


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((kind, name) for kind in LOADERS for name in ("model.safetensors", "config.json", "card.json")),
        ("trajectories", "calibration.json"),
    ],
)
@pytest.mark.parametrize("damage", [cut, noise, other_values])
def test_a_damaged_file_is_told(
    load: Callable[[], Any], name: str, damage: Callable[[Path], None], tmp_path: Path
) -> None:
    damage(tmp_path / "copy" / name)
    with pytest.raises(UsageError, match=r"is damaged .* train it again"):
        load()


@pytest.mark.parametrize(
    ("kind", "settings", "problem"),
    [
        ("labels", {"labels": ["sad", "happy"]}, "tells 4 labels, its settings name 2"),
        ("labels", {"members": 2}, "is damaged"),
        ("labels", {"width": 12}, "its input has 26 columns"),
        ("trajectories", {"width": 12}, "its input has 14 columns"),
        ("labels", {"format": "avemo-continuous-recognizer-1"}, "found avemo-continuous-recognizer-1; train it again"),
        ("trajectories", {"format": "old"}, "found old; train it again"),
    ],
)
def test_settings_that_do_not_fit_the_weights_are_told(
    load: Callable[[], Any], settings: dict[str, object], problem: str, tmp_path: Path
) -> None:
    change_config(tmp_path / "copy", lambda config: config.update(settings))
    with pytest.raises(UsageError, match=problem):
        load()


def test_weights_of_another_width_are_told(load: Callable[[], Any], tmp_path: Path) -> None:
    change_config(tmp_path / "copy", lambda config: config.update(extractors=config["extractors"][:1]))
    with pytest.raises(UsageError, match=r"its input has \d\d columns, its extractors give \d"):
        load()


def test_features_that_are_made_otherwise_now_are_refused(load: Callable[[], Any], tmp_path: Path) -> None:
    change_config(tmp_path / "copy", lambda config: config["extractors"][0]["identity"].update(version="0"))
    with pytest.raises(UsageError, match=r"trained on planted-sound with version = '0', here it is '1'"):
        load()


def test_another_version_of_a_library_is_no_reason_to_refuse(load: Callable[[], Any], tmp_path: Path) -> None:
    change_config(tmp_path / "copy", lambda config: config["extractors"][0]["identity"].update(transformers="0.1"))
    assert load().card.training.corpus == "planted"


def test_nothing_is_written_over(folders: Path, kind: str, recognizers: dict[str, Any], tmp_path: Path) -> None:
    folder = folders / kind
    for taken in (folder, folder / "config.json"):
        with pytest.raises(UsageError, match="name a new folder"):
            require_new_folder(taken)
    with pytest.raises(UsageError, match="name a new folder"):
        save_recognizer(recognizers[kind], list(NAMES), folder)
    (tmp_path / "empty").mkdir()
    save_recognizer(recognizers[kind], list(NAMES), tmp_path / "empty")
