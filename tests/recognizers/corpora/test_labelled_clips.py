"""Clips that a user has labelled in a table."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest
from support.tiny_corpora import write_clip, write_wav

from avemo_harness.errors import MediaError, ReleaseError
from avemo_harness.recognizers.corpora.folders import LabelledClipsArguments, read_labelled_clips
from avemo_harness.recognizers.recordings import Corpus


def read(tmp_path: Path, text: str) -> Corpus:
    path = tmp_path / "clips.csv"
    path.write_text(text, encoding="utf-8")
    return read_labelled_clips(LabelledClipsArguments(path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_wav(tmp_path / "voices" / "a.wav", 0.2)
    write_clip(tmp_path / "b.mp4", 0.4)
    return tmp_path


def test_a_row_is_a_recording(folder: Path) -> None:
    corpus = read(folder, "Speaker,label,path\nann,Happy,voices/a.wav\nbob,sad,b.mp4\n")
    assert [
        (one.recording_id, one.speaker, one.face, one.label, one.part, one.dialogue) for one in corpus.labelled
    ] == [
        ("voices/a.wav", "ann", "ann", "happy", None, "voices/a.wav"),
        ("b.mp4", "bob", "bob", "sad", None, "b.mp4"),
    ]
    assert [one.streams.views[0] for one in corpus.labelled] == ["audio", "both"]
    assert (corpus.name, corpus.dropped) == ("clips", ())


def test_face_part_and_dialogue_are_read_where_they_are_given(folder: Path) -> None:
    corpus = read(
        folder,
        f"path,label,speaker,face,part,dialogue\n{folder / 'b.mp4'},sad,bob,ann,dev,d1\nvoices/a.wav,sad,bob,,,\n",
    )
    assert [(one.face, one.part, one.dialogue) for one in corpus.labelled] == [
        ("ann", "validation", "d1"),
        ("bob", None, "voices/a.wav"),
    ]


@pytest.mark.parametrize("path", ["voices\\a.wav", "./voices/a.wav"])
def test_paths_of_windows_are_found(path: str, folder: Path) -> None:
    assert len(read(folder, f"path;label;speaker\n{path};sad;bob\n").labelled) == 1


def test_accents_may_be_composed_in_the_table_and_not_in_the_file_system(folder: Path) -> None:
    (folder / "b.mp4").rename(folder / normalize("NFD", "fröhlich.mp4"))
    assert len(read(folder, normalize("NFC", "path,label,speaker\nfröhlich.mp4,sad,bob\n")).labelled) == 1


def test_other_labels_are_left_out_and_counted(folder: Path) -> None:
    corpus = read(folder, "path,label,speaker\nb.mp4,sad,bob\nx.wav,fear,bob\ny.wav,Fear,ann\n")
    assert len(corpus.labelled) == 1
    assert [(one.reason, one.count) for one in corpus.dropped] == [("label fear", 2)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,emotion,speaker\nb.mp4,sad,bob\n", "expected a column 'label', found path, emotion, speaker"),
        ("path,label,speaker\nb.mp4,joy,bob\n", "found none among 1 rows; translate the labels"),
        ("path,label,speaker\nc.mp4,sad,bob\n", r"clips\.csv:2: .*c\.mp4' is no file"),
        ("path,label,speaker\nb.mp4,sad,bob\nb.mp4,sad,ann\n", r"clips\.csv:3: .*b\.mp4' is there twice"),
        ("path,label,speaker\nb.mp4,sad,\n", r"clips\.csv:2: expected a speaker"),
        ("path,label,speaker,part\nb.mp4,sad,bob,holdout\n", r"clips\.csv:2: expected one of the parts"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ReleaseError, match=message):
        read(folder, text)


def test_a_clip_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "b.mp4").write_bytes(b"no clip")
    with pytest.raises(MediaError, match=r"b\.mp4"):
        read(folder, "path,label,speaker\nb.mp4,sad,bob\n")
