"""Clips of one's own are imported by a table, alone or in dialogues."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.corpus_trees import write_clip
from support.imports import import_corpus, left_out

from avemo_harness.errors import ReleaseError, UsageError


def write_folder(folder: Path, rows: str, table: str = "clips.csv") -> Path:
    for seed in range(4):
        write_clip(folder / f"{seed}.mp4", 0.4, seed)
    (folder / table).write_text(rows, encoding="utf-8")
    return folder


def test_clips_that_stand_alone_are_single_turns(tmp_path: Path) -> None:
    rows = "path,emotion,speaker,text,part\n0.mp4,Anger,Ann,Go away.,train\n1.mp4,sad,Bob,,\n2.mp4,Bored,Bob,,\n"
    folder = write_folder(tmp_path / "clips", rows)
    imported = import_corpus("folder", folder, tmp_path / "out", label_map="anger=angry", licence="CC0-1.0")
    assert imported.config == "singleturn_synthetic"
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
    assert imported.config == "multiturn_real"
    assert [(turn.role, turn.emotion) for turn in dialogue.turns] == [
        ("user", "neutral"),
        ("assistant", None),
        ("user", "happy"),
    ]
    assert left_out(imported) == {"label bored": 1}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("9.mp4,sad,Ann,,,", r"clips\.csv:2: '9\.mp4' is no file"),
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
