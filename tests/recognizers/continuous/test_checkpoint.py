"""A trained recogniser as a folder: what is read back says the same to the last bit, and damage is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.planted_features import NAMES, planted_recording

from avemo_harness.errors import UsageError
from avemo_harness.recognizers.checkpoint import load_trajectory_recognizer, require_new_folder, save_recognizer
from avemo_harness.recognizers.heads.trajectory import ContinuousRecognizer
from avemo_harness.recognizers.judging import JudgeSetup, open_judge


def nothing() -> None:
    raise AssertionError("the demo is not needed")


@pytest.fixture(scope="module")
def folder(recognizer: ContinuousRecognizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judge") / "mine"
    save_recognizer(recognizer, list(NAMES), folder)
    return folder


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_what_is_read_back_says_the_same_to_the_last_bit(
    recognizer: ContinuousRecognizer, folder: Path, tmp_path: Path
) -> None:
    again = load_trajectory_recognizer(folder, tmp_path)
    streams = planted_recording("new", "zoe", seed=7).streams
    for view in streams.views:
        said, repeated = (one.trajectory(streams, view).values for one in (recognizer, again))
        np.testing.assert_array_equal(repeated, said)
    assert again.identity() == recognizer.identity()
    assert (again.card, again.calibration) == (recognizer.card, recognizer.calibration)


def test_a_folder_names_a_judge(folder: Path, tmp_path: Path, recognizer: ContinuousRecognizer) -> None:
    judge = open_judge(str(folder), JudgeSetup(nothing, tmp_path))
    assert judge.identity() == recognizer.identity()
    assert set(judge.errors) == {"valence", "arousal"}
    assert "trained on planted" in judge.card_values["lines"][0]


def test_the_folder_says_in_words_what_it_is(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    assert "trained on planted: " in text
    assert "CCC test, sound alone" in text


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "card.json"])
def test_a_missing_file_is_told(copy: Path, name: str, tmp_path: Path) -> None:
    (copy / name).unlink()
    with pytest.raises(UsageError, match=f"not a trained recogniser .*{name}"):
        load_trajectory_recognizer(copy, tmp_path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def other_values(path: Path) -> None:
    path.write_text('{"some": "thing"}')


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "card.json", "calibration.json"])
@pytest.mark.parametrize("damage", [cut, noise, other_values])
def test_a_damaged_file_is_told(copy: Path, name: str, damage: Callable[[Path], None], tmp_path: Path) -> None:
    damage(copy / name)
    with pytest.raises(UsageError, match=r"is damaged .* train it again"):
        load_trajectory_recognizer(copy, tmp_path)


def test_weights_of_another_width_are_told(copy: Path, tmp_path: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["extractors"] = config["extractors"][:1]
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match=r"its input has 14 columns, its extractors give 8"):
        load_trajectory_recognizer(copy, tmp_path)


def test_features_that_are_made_otherwise_now_are_refused(copy: Path, tmp_path: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["extractors"][0]["identity"]["version"] = "0"
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match=r"trained on planted-sound with version = '0', here it is '1'"):
        load_trajectory_recognizer(copy, tmp_path)


def test_another_version_of_a_library_is_no_reason_to_refuse(copy: Path, tmp_path: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["extractors"][0]["identity"]["transformers"] = "0.1"
    (copy / "config.json").write_text(json.dumps(config))
    assert load_trajectory_recognizer(copy, tmp_path).card.training.corpus == "planted"


def test_an_older_format_is_refused(copy: Path, tmp_path: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "format": "old"}))
    with pytest.raises(UsageError, match="found old; train it again"):
        load_trajectory_recognizer(copy, tmp_path)


def test_nothing_is_written_over(folder: Path, recognizer: ContinuousRecognizer, tmp_path: Path) -> None:
    for taken in (folder, folder / "config.json"):
        with pytest.raises(UsageError, match="name a new folder"):
            require_new_folder(taken)
    with pytest.raises(UsageError, match="name a new folder"):
        save_recognizer(recognizer, list(NAMES), folder)
    (tmp_path / "empty").mkdir()
    save_recognizer(recognizer, list(NAMES), tmp_path / "empty")
    assert not list(tmp_path.glob(".*"))
