"""A table of labelled clips is read alike whether it is learned from or imported."""

from __future__ import annotations

import json
from pathlib import Path
from unicodedata import normalize

import pytest
from support.imports import import_corpus, left_out
from support.tiny_corpora import write_clip, write_wav

from avemo_harness.data.importers.folder import LabelledClipsArguments, read_labelled_clips
from avemo_harness.errors import MediaError, ReleaseError
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


def test_the_intensity_of_a_label_is_read_where_it_is_given(folder: Path) -> None:
    corpus = read(folder, "path,label,speaker,intensity\nvoices/a.wav,sad,ann,High\nb.mp4,sad,bob,\n")
    assert [one.intensity for one in corpus.labelled] == ["high", None]


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
        ("path,mood,speaker\nb.mp4,sad,bob\n", "expected a column 'label' or 'emotion', found path, mood, speaker"),
        ("path,label,speaker\n", r"clips\.csv: expected a row for each clip below the names of the columns; add"),
        (
            "path,label,speaker\nb.mp4,joy,bob\nb.mp4,,bob\nb.mp4,joy,bob\n",
            "in column 'label', found none among 3 rows, but joy, nothing; translate the labels",
        ),
        ("path,label,speaker\nc.mp4,sad,bob\n", r"clips\.csv:2: .*c\.mp4' is no file; correct the path, which begins"),
        ("path,label,speaker\nb.mp4,sad,bob\nb.mp4,sad,ann\n", r"clips\.csv:3: .*b\.mp4' is there twice"),
        ("path,label,speaker\nb.mp4,sad,\n", r"clips\.csv:2: expected a speaker"),
        ("path,label,speaker,part\nb.mp4,sad,bob,holdout\n", r"clips\.csv:2: expected one of the parts"),
        (
            "path,label,speaker,intensity\nb.mp4,sad,bob,strong\n",
            r"clips\.csv:2: expected the intensity low, medium, high, or nothing, found 'strong'; correct it",
        ),
    ],
)
def test_what_is_wrong_with_a_table_is_told(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ReleaseError, match=message):
        read(folder, text)


def test_a_clip_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "b.mp4").write_bytes(b"no clip")
    with pytest.raises(MediaError, match=r"b\.mp4"):
        read(folder, "path,label,speaker\nb.mp4,sad,bob\n")


def test_a_table_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"none\.csv: cannot be read .*; put the file there"):
        read_labelled_clips(LabelledClipsArguments(tmp_path / "none.csv"))


def test_rows_of_other_labels_may_lack_everything_else(folder: Path) -> None:
    corpus = read(folder, "path,label,speaker,part,intensity\nb.mp4,sad,bob,,\nb.mp4,fear,,holdout,strong\n")
    assert len(corpus.labelled) == 1


TABLE = """path,{label},speaker,face,text,part,dialogue,turn,role,intensity
b.mp4,Sad,bob,ann,Hello.,test,d,1,user,high
voices/a.wav,happy,ann,,Hi.,test,d,2,assistant,
"""


@pytest.mark.parametrize("label", ["label", "emotion"])
def test_one_table_can_be_imported_and_learned_from(label: str, folder: Path, tmp_path: Path) -> None:
    corpus = read(folder, TABLE.format(label=label))
    assert [(one.label, one.speaker, one.face, one.part, one.dialogue, one.intensity) for one in corpus.labelled] == [
        ("sad", "bob", "ann", "test", "d", "high"),
        ("happy", "ann", "ann", "test", "d", None),
    ]
    (dialogue,) = import_corpus("folder", folder, tmp_path / "out").dialogues["test"]
    assert [(turn.role, turn.speaker_id, turn.emotion, turn.text) for turn in dialogue.turns] == [
        ("user", "bob", "sad", "Hello."),
        ("assistant", "ann", "happy", "Hi."),
    ]


def test_lines_of_json_can_be_learned_from_and_may_say_label_or_emotion(folder: Path, tmp_path: Path) -> None:
    rows = [
        {"path": "b.mp4", "label": "sad", "speaker": "bob", "intensity": float("nan")},
        {"path": "voices/a.wav", "emotion": "happy", "speaker": "ann", "part": None},
    ]
    path = folder / "clips.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert [one.label for one in read_labelled_clips(LabelledClipsArguments(path)).labelled] == ["sad", "happy"]
    assert len(import_corpus("folder", folder, tmp_path / "out").dialogues["test"]) == 2
    path.write_text('{"path": "b.mp4", "mood": "sad", "speaker": "bob"}')
    with pytest.raises(ReleaseError, match=r"jsonl:1: expected an object with path, label or emotion, and speaker"):
        read_labelled_clips(LabelledClipsArguments(path))


def test_where_a_table_has_both_names_learning_takes_the_label_and_importing_the_emotion(
    folder: Path, tmp_path: Path
) -> None:
    corpus = read(folder, "path,label,emotion,speaker\nb.mp4,sad,0,bob\nvoices/a.wav,1,happy,ann\n")
    assert [one.label for one in corpus.labelled] == ["sad"]
    imported = import_corpus("folder", folder, tmp_path / "out")
    assert [one.turns[0].emotion for one in imported.dialogues["test"]] == ["happy"]
    assert left_out(imported) == {"label 0": 1}


def test_columns_that_are_not_read_may_hold_anything(folder: Path, tmp_path: Path) -> None:
    table = "path,label,speaker,role,turn,intensity,dialogue\nb.mp4,sad,bob,{role},{turn},{intensity},{dialogue}\n"
    corpus = read(folder, table.format(role="listener", turn="first", intensity="", dialogue="d"))
    assert [one.dialogue for one in corpus.labelled] == ["d"]
    read_by_import = table.format(role="user", turn=1, intensity=0.7, dialogue="d")
    (folder / "clips.csv").write_text(read_by_import)
    assert len(import_corpus("folder", folder, tmp_path / "out").dialogues["test"]) == 1


def test_class_numbers_are_counted_as_whole_ones(folder: Path) -> None:
    corpus = read(folder, "path,label,speaker\nb.mp4,sad,bob\nx.wav,2.0,bob\ny.wav,2,ann\n")
    assert [(one.reason, one.count) for one in corpus.dropped] == [("label 2", 2)]
