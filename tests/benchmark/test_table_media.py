"""Recordings that a table names by path: where they are sought, and where a missing one is said to belong."""

from __future__ import annotations

from pathlib import Path

from avemo_harness.benchmark.table_media import MediaFolder


def test_a_missing_recording_of_a_corpus_is_said_to_belong_where_its_folder_is(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "clips/new").mkdir(parents=True)
    folder = MediaFolder(tmp_path / "lists", tmp_path)
    assert folder.find("clips/new/a.wav") is None
    assert folder.missing("clips/new/a.wav").startswith(f"{tmp_path}/clips/new/a.wav: there is no such recording")
    assert folder.missing("a.wav").startswith(f"{tmp_path}/lists/a.wav: there is no such recording")
    alone = MediaFolder(tmp_path / "lists")
    assert alone.missing("clips/new/a.wav").startswith(f"{tmp_path}/lists/clips/new/a.wav: ")
