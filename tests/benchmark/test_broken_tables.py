"""Tables and `columns` that cannot be read: one sentence for each problem, with its row and the nearest column."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.table_files import load, video, write_clips, write_lines, write_parquet, write_tar, write_text

from avemo_harness.benchmark.columns import ColumnsSpec
from avemo_harness.benchmark.table_rows import MAX_LISTED
from avemo_harness.benchmark.task_file import load_task_file
from avemo_harness.errors import ReleaseError, TaskError
from avemo_harness.scorers import METRICS

ROW: dict[str, Any] = {
    "clip": "0.mp4",
    "said": "a",
    "emotion": "joy",
    "talk": "d",
    "n": 1,
    "options": ["x", "y"],
    "gold": "A",
    "turns": [{"said": "a"}],
}


def rows(*changes: dict[str, Any]) -> Callable[[Path], Path]:
    """A table of JSON lines: a sound row, and one for each change of it."""
    return lambda folder: write_lines(folder / "t.jsonl", [ROW, *({**ROW, **change} for change in changes)])


def content(name: str, data: str | bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
        return folder / name

    return write


def at(path: str) -> Callable[[Path], Path]:
    return lambda folder: folder / path


@dataclass(frozen=True)
class Broken:
    """A table, the columns that are asked of it, and the sentences that say what is wrong."""

    table: Callable[[Path], Path]
    columns: dict[str, str]
    sentences: tuple[str, ...]
    split: str = "test"


CASES: dict[str, Broken] = {
    "misspelt column": Broken(
        rows(), {"label": "emotoin"}, (r"t\.jsonl: there is no column 'emotoin' \(columns\.label\).*'emotion'",)
    ),
    "misspelt column of a CSV": Broken(
        content("t.csv", "Utterance,Emotion\na,joy\n"),
        {"label": "emotions"},
        (r"t\.csv: there is no column 'emotions' \(columns\.label\).*columns: Utterance, Emotion",),
    ),
    "misspelt column of a Parquet": Broken(
        lambda folder: write_parquet(folder / "t.parquet", [ROW]),
        {"video": "clips"},
        (r"t\.parquet: there is no column 'clips' \(columns\.video\).*'clip'",),
    ),
    "misspelt column in a template": Broken(
        rows(), {"text": "{{ row.siad }}!"}, (r"there is no column 'siad' \(columns\.text\).*'said'",)
    ),
    "misspelt path": Broken(
        rows({"meta": {"feel": "joy"}}), {"label": "meta.fell"}, (r"no column 'meta\.fell'.*'meta\.feel'",)
    ),
    "two misspelt columns": Broken(
        rows(), {"label": "emo", "text": "sad"}, (r"'sad' \(columns\.text\)", r"'emo' \(columns\.label\)")
    ),
    "misspelt list of turns": Broken(rows(), {"turns": "turn", "text": "said"}, (r"no column 'turn'.*'turns'",)),
    "label is a list": Broken(
        rows({"emotion": ["joy", "fear"]}),
        {"label": "emotion"},
        (r"t\.jsonl:2: column 'emotion' \(columns\.label\) must hold a text or a number, found a list of 2",),
    ),
    "label is a record": Broken(
        rows({"emotion": {"a": 1}}),
        {"label": "emotion"},
        (r"t\.jsonl:2: .* must hold a text .*, found a record of 'a'",),
    ),
    "labels of two kinds": Broken(
        rows({"emotion": 3}, {"emotion": 4}),
        {"label": "emotion"},
        (r"t\.jsonl:2: column 'emotion' \(columns\.label\) holds a number, and text in .*t\.jsonl:1; write all",),
    ),
    "names of dialogues of two kinds": Broken(
        rows({"talk": 1}), {"dialogue": "talk"}, (r"t\.jsonl:2: column 'talk' \(columns\.dialogue\) holds a number",)
    ),
    "text is a list": Broken(
        rows({"said": ["a"]}), {"text": "said"}, (r"t\.jsonl:2: column 'said' \(columns\.text\) must hold a text",)
    ),
    "recording is a number": Broken(
        rows({"clip": 7}), {"video": "clip"}, (r"t\.jsonl:2: column 'clip' \(columns\.video\).*found a number",)
    ),
    "recording is a record of something else": Broken(
        rows({"clip": {"array": [0.1]}}), {"sound": "clip"}, (r"t\.jsonl:2: .*must hold a recording.*found a record",)
    ),
    "several recordings": Broken(
        rows({"clip": ["0.mp4", "1.mp4"]}), {"video": "clip"}, (r"t\.jsonl:2: .*must hold one recording, found 2",)
    ),
    "recording is an address": Broken(
        rows({"clip": "https://lab.org/a.wav"}), {"sound": "clip"}, (r"t\.jsonl:2: .*an address; download the files",)
    ),
    "every recording is missing": Broken(
        lambda folder: write_lines(folder / "t.jsonl", [{"clip": "no.mp4"}]),
        {"video": "clip"},
        (r"none of its 1 recordings can be read.*no\.mp4.*--media_root",),
    ),
    "dialogue is null": Broken(
        rows({"talk": None}), {"dialogue": "talk"}, (r"t\.jsonl:2: .*must name the dialogue, found nothing",)
    ),
    "id is null": Broken(rows({"said": None}), {"id": "said"}, (r"t\.jsonl:2: .*must name the dialogue",)),
    "id occurs twice": Broken(
        rows({}),
        {"id": "said"},
        (r"t\.jsonl:2: column 'said' \(columns\.id\) holds 'a', which is in .*t\.jsonl:1 too",),
    ),
    "turn occurs twice": Broken(
        rows({}),
        {"dialogue": "talk", "turn": "n"},
        (r"t\.jsonl:2: column 'n' \(columns\.turn\) holds 1, as .*t\.jsonl:1 of the same dialogue 'd' does",),
    ),
    "turn is no number": Broken(
        rows({"n": "x"}), {"dialogue": "talk", "turn": "n"}, (r"t\.jsonl:2: .*must hold the turn's number, found 'x'",)
    ),
    "turn is null": Broken(
        rows({"n": None}), {"dialogue": "talk", "turn": "n"}, (r"t\.jsonl:2: .*\(columns\.turn\) holds no number",)
    ),
    "unknown role": Broken(
        rows({"said": "system"}), {"role": "said"}, (r"t\.jsonl:1: .*user or assistant, found 'a'", r"found 'system'")
    ),
    "first turn of the assistant": Broken(
        rows({"said": "assistant"}),
        {"role": "{{ 'assistant' if row.said else '' }}", "dialogue": "talk"},
        (r"t\.jsonl:1: .*must hold user for the first turn",),
    ),
    "choices are a number": Broken(
        rows({"options": 4}),
        {"choices": "options"},
        (r"t\.jsonl:2: .*must hold a list of texts or recordings, found 4",),
    ),
    "choices are of two kinds": Broken(
        rows({"options": ["x", {"bytes": None, "path": "0.mp4"}, 3]}),
        {"choices": "options"},
        (r"t\.jsonl:2: .*must hold texts alone, or recordings alone",),
    ),
    "an option is empty": Broken(
        rows({"options": ["0.mp4", None]}), {"choices": "options"}, (r"t\.jsonl:2: .*holds an empty option",)
    ),
    "answer is none of the options": Broken(
        rows({"gold": "C"}),
        {"choices": "options", "answer": "gold"},
        (r"t\.jsonl:2: .*a letter from A to B, a number from 0 to 1 or one of 'x', 'y', found 'C'",),
    ),
    "answer is beyond the options": Broken(
        rows({"gold": "7"}), {"choices": "options", "answer": "gold"}, (r"t\.jsonl:2: .*found '7'",)
    ),
    "turns are text": Broken(
        rows({"turns": "a"}),
        {"turns": "turns", "text": "said"},
        (r"t\.jsonl:2: .*must hold a list of records, one a turn, found 'a'",),
    ),
    "turns are empty": Broken(
        rows({"turns": []}), {"turns": "turns", "text": "said"}, (r"t\.jsonl:2: .*found a list of 0",)
    ),
    "template fails": Broken(
        rows({"said": 3}), {"text": "{{ row.said | join('-') }}"}, (r"t\.jsonl:2: columns\.text: template .*iterable",)
    ),
    "line is no JSON": Broken(
        content("t.jsonl", '{"said": "a"}\n{"said": \n[1]\n'),
        {"text": "said"},
        (r"t\.jsonl:2: not JSON", r"t\.jsonl:3: expected an object with a value a column, found a list"),
    ),
    "row has too many cells": Broken(content("t.csv", "a,b\n1,2,3\n"), {"text": "a"}, (r"t\.csv:2: 1 cells more",)),
    "empty table": Broken(content("t.jsonl", ""), {"text": "said"}, (r"t\.jsonl: the table holds no rows",)),
    "header alone": Broken(content("t.csv", "said\n"), {"text": "said"}, (r"t\.csv: the table holds no rows",)),
    "empty file": Broken(content("t.csv", ""), {"text": "said"}, (r"t\.csv: expected the names of the columns",)),
    "not Parquet": Broken(content("t.parquet", "PAR1"), {"text": "said"}, (r"t\.parquet: not a readable Parquet",)),
    "workbook": Broken(content("t.csv", b"PK\x03\x04xx"), {"text": "said"}, (r"t\.csv: .*Excel workbook",)),
    "damaged tar": Broken(content("t.tar", b"x" * 2000), {"text": "txt"}, (r"t\.tar: the archive cannot be read",)),
    "class beyond the names": Broken(
        lambda folder: write_classes(folder, [0, 9]),
        {"label": "emotion"},
        (r"row 1: there is no class 9; the 2 classes",),
    ),
    "no such file": Broken(at("no.csv"), {"text": "said"}, (r"no\.csv: no such file or folder, and not a Hub id",)),
    "other kind of file": Broken(
        content("t.xlsx", "x"), {"text": "a"}, (r"t\.xlsx: not a table; known are \.parquet",)
    ),
    "empty folder": Broken(
        lambda folder: folder_of(folder, {"notes.md": b"x"}), {"text": "a"}, (r"expected tables .* or recordings",)
    ),
    "no such split": Broken(
        lambda folder: folder_of(folder, {"train.csv": b"a\n1\n", "dev.csv": b"a\n1\n"}),
        {"text": "a"},
        (r"there is no split 'test' \(splits: train, validation\)",),
    ),
    "metadata names no files": Broken(
        lambda folder: folder_of(folder, {"metadata.csv": b"a\n1\n", "x.wav": b"x"}),
        {"sound": "audio"},
        (r"metadata\.csv:2: expected a column 'file_name'",),
    ),
    "sample of a tar is no JSON": Broken(
        lambda folder: write_tar(folder / "t.tar", {"a.mp4": video(0), "a.json": b"{"}),
        {"video": "mp4"},
        (r"t\.tar: row 0, a: not JSON",),
    ),
}


def folder_of(folder: Path, files: dict[str, bytes]) -> Path:
    made = folder / "made"
    made.mkdir()
    for name, data in files.items():
        (made / name).write_bytes(data)
    return made


def write_classes(folder: Path, numbers: list[int]) -> Path:
    import datasets

    features = datasets.Features({"emotion": datasets.ClassLabel(names=["joy", "fear"])})
    return write_parquet(folder / "t.parquet", [{"emotion": number} for number in numbers], features)


@pytest.mark.parametrize("name", CASES)
def test_a_broken_table_is_named_in_one_sentence_a_problem(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    table = case.table(write_clips(tmp_path, 2))
    with pytest.raises(ReleaseError) as refused:
        load(table, ColumnsSpec(**case.columns), case.split)
    lines = str(refused.value).splitlines()
    assert len(lines) == len(case.sentences)
    for sentence, line in zip(case.sentences, lines, strict=True):
        assert re.search(sentence, line), line


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 40


def test_the_first_fifty_problems_are_listed_and_the_others_counted(tmp_path: Path) -> None:
    table = write_lines(tmp_path / "t.jsonl", [{"emotion": [number]} for number in range(MAX_LISTED + 1234)])
    with pytest.raises(ReleaseError) as refused:
        load(table, ColumnsSpec(label="emotion"))
    lines = str(refused.value).splitlines()
    assert len(lines) == MAX_LISTED + 1
    assert lines[-1] == "and 1,234 more"


BLOCKS = {
    "label: [a, b]": "must be text",
    "label: 3": "must be text, found 3",
    "lable: emotion": "unknown key.*'label'",
    'text: "{{ turn.text }}"': "template uses unknown name 'turn'",
    'text: "{{ row.text"': "template",
    'text: "{{ row.text | nope }}"': "unknown filter",
    'label: ""': "must not be empty",
}


@pytest.mark.parametrize("block", BLOCKS)
def test_a_broken_block_of_columns_is_named_with_its_line(block: str, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(f"""task: feel
version: 1
dataset:
  path: t.csv
  columns:
    {block}
messages: [{{role: user, content: [{{type: text, text: "?"}}]}}]
output: {{type: text}}
""")
    with pytest.raises(TaskError) as refused:
        load_task_file(file, METRICS)
    assert re.search(rf"t\.yaml:6: dataset\.columns\.?\w*: .*{BLOCKS[block]}", str(refused.value)), str(refused.value)


def test_a_csv_without_text_cells_says_so(tmp_path: Path) -> None:
    table = write_text(tmp_path / "t.csv", [{"said": "a", "talk": ""}])
    with pytest.raises(ReleaseError, match=r"t\.csv:2: .*must name the dialogue"):
        load(table, ColumnsSpec(text="said", dialogue="talk"))


def test_json_deeper_than_any_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(json.dumps({"a": 1}) + "\n" + "[" * 100_000 + "\n")
    with pytest.raises(ReleaseError, match=r"t\.jsonl:2: not JSON"):
        load(tmp_path / "t.jsonl", ColumnsSpec(text="a"))
