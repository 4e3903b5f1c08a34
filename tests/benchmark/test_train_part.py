"""What a table is learned from is never what is asked: its train part, where that has files of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.small_tables import write_jsonl

from avemo_harness.benchmark.columns import DatasetSpec
from avemo_harness.benchmark.release_loader import ReleaseOptions
from avemo_harness.benchmark.table_sources import train_part
from avemo_harness.errors import ReleaseError


def part_of(path: Path, split: str = "test") -> DatasetSpec | None:
    dataset = DatasetSpec.model_validate({"path": str(path), "split": split, "columns": {"text": "words"}})
    return train_part(dataset, ReleaseOptions())


def write(folder: Path, *names: str) -> Path:
    for name in names:
        write_jsonl(folder / name, [{"words": name}])
    return folder


def test_a_train_part_has_files_of_its_own(tmp_path: Path) -> None:
    part = part_of(write(tmp_path / "table", "test.jsonl", "train.jsonl"))
    assert part is not None
    assert (part.split, part.columns is not None) == ("train", True)


@pytest.mark.parametrize("names", [("test.jsonl",), ("a.jsonl", "b.jsonl")])
def test_without_files_of_that_name_there_is_none(names: tuple[str, ...], tmp_path: Path) -> None:
    assert part_of(write(tmp_path / "table", *names)) is None


def test_a_single_file_and_the_train_part_itself_have_none(tmp_path: Path) -> None:
    folder = write(tmp_path / "table", "test.jsonl", "train.jsonl")
    assert part_of(folder / "train.jsonl") is None
    assert part_of(folder, "train") is None


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="no such file or folder"):
        part_of(tmp_path / "table")
