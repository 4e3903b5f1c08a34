"""RAVDESS, told by the names of its files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from support.tiny_corpora import write_clip, write_silent_clip, write_wav

from avemo_harness.data.importers.ravdess import RavdessArguments, read_ravdess
from avemo_harness.errors import ReleaseError


def test_names_tell_label_and_speaker(tmp_path: Path) -> None:
    write_wav(tmp_path / "Actor_12" / "03-01-04-01-01-01-12.wav", 0.2)
    write_wav(tmp_path / "Actor_02" / "03-01-05-02-01-01-02.wav", 0.2, seed=1)
    write_wav(tmp_path / "Actor_02" / "notes.wav", 0.2)
    corpus = read_ravdess(RavdessArguments(tmp_path))
    assert [(one.recording_id, one.speaker, one.face, one.label, one.part) for one in corpus.labelled] == [
        ("03-01-05-02-01-01-02", "actor-02", "actor-02", "angry", None),
        ("03-01-04-01-01-01-12", "actor-12", "actor-12", "sad", None),
    ]
    assert corpus.dropped == ()
    assert corpus.labelled[0].dialogue == corpus.labelled[0].recording_id


def test_other_emotions_and_songs_are_left_out_and_counted(tmp_path: Path) -> None:
    for name in ("03-01-03", "03-01-02", "03-01-06", "03-01-07", "03-01-08", "03-02-03"):
        write_wav(tmp_path / f"{name}-01-01-01-01.wav", 0.2)
    corpus = read_ravdess(RavdessArguments(tmp_path))
    assert [one.label for one in corpus.labelled] == ["happy"]
    assert {one.reason: one.count for one in corpus.dropped} == {
        "label calm": 1,
        "label fearful": 1,
        "label disgust": 1,
        "label surprised": 1,
        "songs": 1,
    }


def test_a_take_is_read_once_from_the_file_that_has_most(tmp_path: Path) -> None:
    write_clip(tmp_path / "01-01-03-01-01-01-01.mp4", 0.4)
    write_silent_clip(tmp_path / "02-01-03-01-01-01-01.mp4", 0.4)
    write_wav(tmp_path / "03-01-03-01-01-01-01.wav", 0.4)
    write_silent_clip(tmp_path / "02-01-04-01-01-01-01.mp4", 0.4)
    corpus = read_ravdess(RavdessArguments(tmp_path))
    assert {one.recording_id: one.streams.views[0] for one in corpus.labelled} == {
        "01-01-03-01-01-01-01": "both",
        "02-01-04-01-01-01-01": "video",
    }
    assert [(one.reason, one.count) for one in corpus.dropped] == [("takes that another file has too", 2)]


def test_a_folder_without_such_files_is_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "03-02-03-01-01-01-01.wav", 0.2)
    with pytest.raises(ReleaseError, match="found 1 others; give the folder"):
        read_ravdess(RavdessArguments(tmp_path))


def test_real_voices_are_labelled(real_media: Path) -> None:
    corpus = read_ravdess(RavdessArguments(real_media / "ravdess_speech"))
    assert Counter(one.label for one in corpus.labelled) == {"neutral": 48, "happy": 96, "sad": 96, "angry": 96}
    assert len({one.speaker for one in corpus.labelled}) == 12
    assert all(one.streams.views == ("audio",) and 2 < one.streams.duration_s < 7 for one in corpus.labelled)
