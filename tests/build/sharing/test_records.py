"""What builders and importers wrote down is published, without what is about the machine that they ran on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from avemo_harness.build.sharing.records import publishable, read_records
from avemo_harness.errors import ReleaseError


@pytest.mark.parametrize(
    ("value", "published"),
    [
        ("/home/ann/corpora/ravdess", "…/ravdess"),
        ("~/corpora/ravdess/", "…/ravdess"),
        ("C:\\Users\\ann\\clips.csv", "…/clips.csv"),
        ("python /opt/tools/talk.py --portrait=/data/faces/a.png", "python …/talk.py --portrait=…/a.png"),
        ('{"a": "/home/ann/a.wav"}', '{"a": "…/a.wav"}'),
        ("Actor_01/01-01-03.mp4", "Actor_01/01-01-03.mp4"),
        ("https://zenodo.org/records/1188976", "https://zenodo.org/records/1188976"),
        ("http://ann:secret@host:8000/v1", "http://host:8000/v1"),
        ("angry / sad", "angry / sad"),
        ("IVLLab/MultiDialog", "IVLLab/MultiDialog"),
    ],
)
def test_local_folders_and_logins_are_cut_and_nothing_else(value: str, published: str) -> None:
    assert publishable({"here": [value]}) == {"here": [published]}


def test_secrets_are_left_out_and_names_of_variables_stay() -> None:
    given = {"speech": {"api_key": "abc", "api_key_env": "SPEECH_KEY", "Authorization": "Bearer abc", "token": ""}}
    kept = {"api_key": "(left out)", "api_key_env": "SPEECH_KEY", "Authorization": "(left out)", "token": ""}
    assert publishable(given) == {"speech": kept}


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
