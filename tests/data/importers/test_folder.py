"""Clips of one's own are imported by a table, alone or in dialogues."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal
from unicodedata import normalize

import pytest
from support.clips import melody, pattern
from support.corpus_trees import write_clip
from support.imports import import_corpus, left_out
from support.people_clips import recorded

from avemo_harness.errors import ReleaseError, UsageError

Form = Literal["NFC", "NFD"]


def write_folder(folder: Path, rows: str, table: str = "clips.csv") -> Path:
    for seed in range(4):
        write_clip(folder / f"{seed}.mp4", 0.4, seed)
    (folder / table).write_text(rows, encoding="utf-8")
    return folder


def test_clips_that_stand_alone_are_single_turns(tmp_path: Path) -> None:
    rows = "path,emotion,speaker,text,part\n0.mp4,Anger,Ann,Go away.,train\n1.mp4,sad,Bob,,\n2.mp4,Bored,Bob,,\n"
    folder = write_folder(tmp_path / "clips", rows)
    imported = import_corpus("folder", folder, tmp_path / "out", label_map="anger=angry", licence="CC0-1.0")
    assert imported.found.config == "singleturn_synthetic"
    assert {
        part: [(one.dialogue_id, one.turns[0].emotion, one.turns[0].text) for one in dialogues]
        for part, dialogues in imported.dialogues.items()
    } == {"train": [("0", "angry", "Go away.")], "test": [("1", "sad", "")]}
    assert left_out(imported) == {"label bored": 1}
    assert imported.dialogues["test"][0].licence == "CC0-1.0"


def test_dialogues_follow_their_turns_and_whoever_begins_is_the_user(tmp_path: Path) -> None:
    rows = [
        {"path": "2.mp4", "emotion": "happy", "speaker": "Ann", "dialogue": "d", "turn": 3},
        {"path": "1.mp4", "emotion": "bored", "speaker": "Bob", "dialogue": "d", "turn": 2},
        {"path": "0.mp4", "emotion": "neutral", "speaker": "Ann", "dialogue": "d", "turn": 1},
        {"path": "3.mp4", "emotion": "bored", "speaker": "Ann", "dialogue": "e", "turn": 1},
    ]
    text = "\n".join(map(json.dumps, rows))
    imported = import_corpus("folder", write_folder(tmp_path / "clips", text, "clips.jsonl"), tmp_path / "out")
    (dialogue,) = imported.dialogues["test"]
    assert imported.found.config == "multiturn_real"
    assert [(turn.role, turn.emotion) for turn in dialogue.turns] == [
        ("user", "neutral"),
        ("assistant", None),
        ("user", "happy"),
    ]
    assert left_out(imported) == {"label bored": 1}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("9.mp4,sad,Ann,,,", r"clips\.csv:2: '9\.mp4' is no file, nor is any other of the table"),
        ("0.mp4,sad,,,,", r"clips\.csv:2: expected a speaker"),
        ("0.mp4,sad,Ann,d,,", "a turn of a dialogue needs both"),
        ("0.mp4,sad,Ann,d,one,", "turn as a number"),
        ("0.mp4,sad,Ann,d,1,assistant", "the first turn of 'd' must be the user's"),
        ("0.mp4,sad,Ann,d,1,chair", "expected the role user or assistant, found 'chair'"),
        ("0.mp4,sad,Ann,d,1,\n1.mp4,sad,Ann,d,1,", r"clips\.csv:3: turn 1 of 'd' is there twice"),
        ("0.mp4,sad,Ann,,,\n0.mp4,sad,Ann,,,", r"clips\.csv:3: '0\.mp4' is there twice"),
        (
            "0.mp4,sad,Ann,,,\n1.mp4,sad,Ann,0,1,",
            r"clips\.csv:3: '1\.mp4' would have the id '0' as '0\.mp4' of clips\.csv:2 has; rename the clip",
        ),
        ("1.mp4,sad,Ann,0,1,\n0.mp4,sad,Ann,,,", r"clips\.csv:3: '0\.mp4' would have the id '0'"),
        ("0.mp4,bored,Ann,,,", "none among 1 rows"),
    ],
)
def test_a_wrong_row_is_named(row: str, message: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", f"path,emotion,speaker,dialogue,turn,role\n{row}\n")
    with pytest.raises(ReleaseError, match=message):
        import_corpus("folder", folder, tmp_path / "out")


def test_clips_of_one_name_are_told_apart_by_their_users(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", "path,emotion,speaker\n0.mp4,sad,Ann\n0.mov,happy,Ann\n")
    write_clip(folder / "0.mov", 0.4, 1)
    with pytest.raises(ReleaseError, match=r"clips\.csv:3: '0\.mov' would have the id '0'"):
        import_corpus("folder", folder, tmp_path / "out")


def test_a_table_may_end_in_tsv(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", "path\temotion\tspeaker\n0.mp4\tsad\tAnn\n", "clips.tsv")
    assert len(import_corpus("folder", folder, tmp_path / "out").dialogues["test"]) == 1


@pytest.mark.parametrize("table", ["clips.csv", "clips.jsonl"])
def test_paths_of_windows_lead_to_the_same_ids_as_those_with_slashes(table: str, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    write_clip(folder / "sub" / "a.mp4", 0.4, 0)
    row = {"path": "sub\\a.mp4", "emotion": "sad", "speaker": "Ann"}
    text = json.dumps(row) if table.endswith("jsonl") else f"{','.join(row)}\n{','.join(row.values())}\n"
    (folder / table).write_text(text)
    imported = import_corpus("folder", folder, tmp_path / "out")
    assert [one.dialogue_id for one in imported.dialogues["test"]] == ["sub/a"]


@pytest.mark.parametrize(("of_file", "in_table"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_accents_may_be_composed_in_one_place_and_not_in_the_other(
    of_file: Form, in_table: Form, tmp_path: Path
) -> None:
    folder = tmp_path / "clips"
    write_clip(folder / normalize(of_file, "fröhlich.mp4"), 0.4, 0)
    (folder / "clips.csv").write_text(normalize(in_table, "path,emotion,speaker\nfröhlich.mp4,happy,Ann\n"), "utf-8")
    assert len(import_corpus("folder", folder, tmp_path / "out").dialogues["test"]) == 1


def test_turns_that_a_program_took_for_floats_are_whole(tmp_path: Path) -> None:
    head, others = "path,emotion,speaker,dialogue,turn", "1.mp4,sad,Ann,d,2.0\n2.mp4,sad,Bob,d,1.\n"
    folder = write_folder(tmp_path / "clips", f"{head}\n0.mp4,happy,Ann,d,0.0\n{others}")
    (dialogue,) = import_corpus("folder", folder, tmp_path / "out").dialogues["test"]
    assert [(turn.speaker_id, turn.role) for turn in dialogue.turns] == [
        ("Ann", "user"),
        ("Bob", "assistant"),
        ("Ann", "user"),
    ]


def test_empty_cells_of_pandas_are_empty(tmp_path: Path) -> None:
    row = '{"path": "0.mp4", "emotion": "sad", "speaker": "Ann", "dialogue": NaN, "turn": NaN, "part": null}'
    folder = write_folder(tmp_path / "clips", row, "clips.jsonl")
    assert [one.dialogue_id for one in import_corpus("folder", folder, tmp_path / "out").dialogues["test"]] == ["0"]


def test_class_numbers_are_named_with_their_column_and_can_be_mapped(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", "path,emotion,speaker\n0.mp4,2.0,Ann\n1.mp4,0.0,Ann\n2.mp4,2.0,Ann\n")
    with pytest.raises(ReleaseError, match=r"in column 'emotion', found none among 3 rows, but 2, 0; .*0=neutral"):
        import_corpus("folder", folder, tmp_path / "out")
    imported = import_corpus("folder", folder, tmp_path / "out", label_map="0=neutral,2=sad")
    assert [one.turns[0].emotion for one in imported.dialogues["test"]] == ["sad", "neutral", "sad"]


def test_the_table_must_be_clear(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", "path,emotion,speaker\n0.mp4,sad,Ann\n")
    (folder / "other.csv").write_text("path,emotion,speaker\n1.mp4,happy,Bob\n")
    with pytest.raises(ReleaseError, match=r"found 2: clips\.csv, other\.csv; name it with --table"):
        import_corpus("folder", folder, tmp_path / "out")
    imported = import_corpus("folder", folder, tmp_path / "out", table="other.csv")
    assert imported.dialogues["test"][0].turns[0].speaker_id == "Bob"


def test_the_label_map_leads_to_the_four_emotions(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", "path,emotion,speaker\n0.mp4,joy,Ann\n")
    with pytest.raises(UsageError, match="'happyness' is none of the emotions; nearest: 'happy'"):
        import_corpus("folder", folder, tmp_path / "out", label_map="joy=happyness")


def test_rows_whose_file_is_missing_or_no_clip_are_listed_with_the_bad_files(tmp_path: Path) -> None:
    rows = "0.mp4,sad,Ann\n9.mp4,sad,Ann\nnotes.txt,sad,Ann\n8.mp4,happy,Bob\n"
    folder = write_folder(tmp_path / "clips", f"path,emotion,speaker\n{rows}")
    (folder / "notes.txt").write_text("hello")
    imported = import_corpus("folder", folder, tmp_path / "out", on_damage="leave out")
    assert [one.dialogue_id for one in imported.dialogues["test"]] == ["0"]
    assert imported.bad_files["8.mp4"].startswith("is no file, and clips.csv:5 names it; correct the path")
    assert imported.bad_files["9.mp4"].startswith("is no file, and clips.csv:3 names it")
    assert imported.bad_files["notes.txt"].startswith("expected a clip that ends in one of")
    assert (imported.checked, left_out(imported)) == (4, {"dialogues with a damaged clip": 3})


def test_a_path_may_begin_at_the_root_of_this_machine(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", "")
    (folder / "clips.csv").write_text(f"path,emotion,speaker\n{folder}/0.mp4,sad,Ann\n{folder}/1.mp4,happy,Ann\n")
    imported = import_corpus("folder", folder, tmp_path / "out")
    assert [one.dialogue_id for one in imported.dialogues["test"]] == ["0", "1"]
    assert sorted(imported.paths.values()) == ["0.mp4", "1.mp4"]


def test_a_path_from_the_root_may_lead_out_of_the_tables_folder(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", "")
    (folder / "clips.csv").unlink()
    (folder / "labels").mkdir()
    write_clip(folder / "labels" / "4.mp4", 0.4, 4)
    rows = f"path,emotion,speaker\n{folder}/0.mp4,sad,Ann\n{folder}/labels/4.mp4,happy,Ann\n"
    (folder / "labels" / "clips.csv").write_text(rows, encoding="utf-8")
    imported = import_corpus("folder", folder, tmp_path / "out")
    assert [one.dialogue_id for one in imported.dialogues["test"]] == ["0", "4"]
    assert sorted(imported.paths.values()) == ["0.mp4", "labels/4.mp4"]


def test_the_case_of_a_path_may_differ_where_only_one_file_is_meant(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    for seed, name in enumerate(("A.MP4", "b.mp4", "B.mp4")):
        write_clip(folder / name, 0.4, seed)
    (folder / "clips.csv").write_text("path,emotion,speaker\na.mp4,sad,Ann\nb.mp4,happy,Ann\nB.MP4,happy,Bob\n")
    imported = import_corpus("folder", folder, tmp_path / "out", on_damage="leave out")
    assert sorted(imported.paths.values()) == ["A.MP4", "b.mp4"]
    assert list(imported.bad_files) == ["B.MP4"]


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", "path,emotion,speaker\n")
    with pytest.raises(ReleaseError, match=r"clips\.csv: expected a row for each clip"):
        import_corpus("folder", folder, tmp_path / "out")


def test_tables_of_other_programs_are_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "clips", "", "clips.xlsx")
    with pytest.raises(ReleaseError, match=r"found 0; save clips\.xlsx as CSV"):
        import_corpus("folder", folder, tmp_path / "out")


@pytest.mark.parametrize("ending", [".mp3", ".opus", ".3gp"])
def test_sounds_and_videos_of_phones_and_players_are_clips(ending: str, tmp_path: Path) -> None:
    data = {".mp3": ("mp3", "libmp3lame"), ".opus": ("ogg", "libopus"), ".3gp": ("3gp", "aac")}[ending]
    folder = tmp_path / "clips"
    folder.mkdir()
    pictures = [pattern(index) for index in range(25)] if ending == ".3gp" else None
    rate = 48_000 if ending == ".opus" else 16_000
    clip = recorded(pictures, melody(1.0, rate), rate=rate, codecs=("mpeg4", data[1]), container=data[0])
    (folder / f"a{ending}").write_bytes(clip)
    (folder / "clips.csv").write_text(f"path,emotion,speaker\na{ending},sad,Ann\n")
    (dialogue,) = import_corpus("folder", folder, tmp_path / "out").dialogues["test"]
    assert dialogue.turns[0].duration_s == pytest.approx(1.0, abs=0.1)
