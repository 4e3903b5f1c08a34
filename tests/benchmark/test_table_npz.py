"""Tables that NumPy keeps: records by name, of which a split is an array."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.small_tables import voice

from avemo_harness.benchmark.columns import ColumnsSpec, DatasetSpec
from avemo_harness.benchmark.table_loader import load_table
from avemo_harness.errors import ReleaseError

COLUMNS = ColumnsSpec(sound="audio/{{ row.name }}.wav", label="emo")


def table(path: Path, split: str, columns: ColumnsSpec = COLUMNS) -> DatasetSpec:
    return DatasetSpec(path=str(path), split=split, columns=columns, name="default")


def write(folder: Path, **arrays: Any) -> Path:
    (folder / "audio").mkdir(exist_ok=True)
    for number, name in enumerate("abc"):
        (folder / "audio" / f"{name}.wav").write_bytes(voice(number))
    np.savez_compressed(folder / "label.npz", **{key: np.array(one, dtype=object) for key, one in arrays.items()})
    return folder / "label.npz"


def test_a_split_is_an_array_of_records_by_name_with_numbers_of_numpy_as_plain_ones(tmp_path: Path) -> None:
    whole = {"a": {"emo": "sad", "val": np.float32(-0.5)}, "b": {"emo": "happy", "val": np.int64(1)}}
    path = write(tmp_path, train_corpus={"c": {"emo": "sad"}}, test_corpus=whole)
    release = load_table(table(path, "test_corpus"))
    assert [turn.emotion for dialogue in release.dialogues for turn in dialogue.turns] == ["sad", "happy"]
    sign = ColumnsSpec(sound="audio/{{ row.name }}.wav", label="{{ 'up' if row.val > 0 else 'down' }}")
    signs = load_table(table(path, "test_corpus", sign))
    assert [turn.emotion for dialogue in signs.dialogues for turn in dialogue.turns] == ["down", "up"]
    assert len(load_table(table(path, "train_corpus")).dialogues) == 1


class Danger:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("code ran",)


def test_an_array_that_would_run_code_is_refused_and_runs_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, test_corpus={"a": Danger()})
    with pytest.raises(ReleaseError, match=r"test_corpus cannot be read .*builtins\.print, expected plain values"):
        load_table(table(path, "test_corpus"))
    assert capsys.readouterr().out == ""


def test_a_wrong_name_another_array_and_another_file_are_told_apart(tmp_path: Path) -> None:
    path = write(tmp_path, test_corpus={"a": {"emo": "sad"}}, numbers=[1, 2])
    with pytest.raises(
        ReleaseError, match=r"there is no array 'test' \(arrays: .*test_corpus.*\); give one as `split`"
    ):
        load_table(table(path, "test"))
    with pytest.raises(ReleaseError, match="expected one dictionary, found an array of object with shape"):
        load_table(table(path, "numbers"))
    other = tmp_path / "other.npz"
    other.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ReleaseError, match=r"other\.npz: test_corpus cannot be read as records"):
        load_table(table(other, "test_corpus"))
