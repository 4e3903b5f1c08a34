"""What builders and importers wrote down is published, without what is about the machine that they ran on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from avemo_harness.data.sharing.records import read_records
from avemo_harness.errors import ReleaseError


def test_records_that_are_there_are_published(tmp_path: Path) -> None:
    (tmp_path / "import.json").write_text(json.dumps({"source": "/home/ann/meld", "splits": {"test": 3}}))
    (tmp_path / "provenance.jsonl").write_text('{"turn": 0}\n{"turn": 1, "portrait": "face"}\n')
    files = read_records(tmp_path).published()
    assert set(files) == {"import.json", "provenance.jsonl"}
    assert json.loads(files["import.json"]) == {"source": "…/meld", "splits": {"test": 3}}
    assert [json.loads(line)["turn"] for line in files["provenance.jsonl"].splitlines()] == [0, 1]


def test_a_folder_without_records_publishes_none(tmp_path: Path) -> None:
    assert read_records(tmp_path).published() == {}


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_a_damaged_record_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "build.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ReleaseError, match=r"build\.json: .*make the release again"):
        read_records(tmp_path)
