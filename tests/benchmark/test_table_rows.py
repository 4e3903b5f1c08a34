"""Rows become dialogues: a row an item, a row a turn, or a row a dialogue; options and answers of choices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from support.table_files import load, sound, video, write_clips, write_lines, write_parquet, write_text

from avemo_harness.benchmark.columns import ColumnsSpec
from avemo_harness.benchmark.release import Clip, Dialogue, Turn
from avemo_harness.errors import ReleaseError

SAID = ColumnsSpec(text="said", dialogue="talk", turn="n", role="who", speaker="who")


def told(dialogue: Dialogue) -> list[tuple[int, str, str]]:
    return [(turn.turn_index, turn.role, turn.text) for turn in dialogue.turns]


def only(rows: list[dict[str, Any]], columns: ColumnsSpec, folder: Path) -> Turn:
    (dialogue,) = load(write_lines(folder / "t.jsonl", rows), columns).dialogues
    return dialogue.turns[0]


def test_each_row_is_a_dialogue_named_by_its_number_or_its_id(tmp_path: Path) -> None:
    table = write_text(tmp_path / "t.csv", [{"said": "a", "key": "x"}, {"said": "b", "key": "y"}])
    numbered = load(table, ColumnsSpec(text="said")).dialogues
    assert [(d.dialogue_id, told(d)) for d in numbered] == [("0", [(0, "user", "a")]), ("1", [(0, "user", "b")])]
    named = load(table, ColumnsSpec(text="said", id="set-{{ row.key }}")).dialogues
    assert [d.dialogue_id for d in named] == ["set-x", "set-y"]


def test_rows_of_a_dialogue_are_its_turns_in_their_order(tmp_path: Path) -> None:
    rows = [
        {"talk": "d1", "n": 10, "who": "user", "said": "third"},
        {"talk": "d2", "n": 1, "who": "user", "said": "other"},
        {"talk": "d1", "n": 2, "who": "user", "said": "first"},
        {"talk": "d1", "n": 3.0, "who": "assistant", "said": "second"},
    ]
    first, second = load(write_lines(tmp_path / "t.jsonl", rows), SAID).dialogues
    assert told(first) == [(0, "user", "first"), (1, "assistant", "second"), (2, "user", "third")]
    assert (second.dialogue_id, told(second)) == ("d2", [(0, "user", "other")])


def test_a_reply_is_the_turn_behind_its_rows(tmp_path: Path) -> None:
    rows = [{"talk": 1, "said": "hi", "back": "hello"}, {"talk": 1, "said": "bye", "back": None}]
    columns = ColumnsSpec(text="said", dialogue="talk", reply="back")
    (dialogue,) = load(write_lines(tmp_path / "t.jsonl", rows), columns).dialogues
    assert told(dialogue) == [(0, "user", "hi"), (1, "assistant", "hello"), (2, "user", "bye")]
    assert [dialogue.is_answered(turn) for turn in (0, 2)] == [True, False]


@pytest.mark.parametrize("layout", ["list of records", "record of lists"])
def test_a_row_with_a_list_of_turns_is_a_dialogue(layout: str, tmp_path: Path) -> None:
    turns: Any = [{"said": "a", "feel": "joy", "clip": "0.wav"}, {"said": "b", "feel": "fear", "clip": "1.wav"}]
    if layout == "record of lists":
        turns = {key: [turn[key] for turn in turns] for key in turns[0]}
    table = write_parquet(write_clips(tmp_path) / "t.parquet", [{"key": "d", "lang": "en", "talk": turns}])
    columns = ColumnsSpec(turns="talk", text="said", label="feel", sound="clip", id="key", language="lang")
    (dialogue,) = load(table, columns).dialogues
    assert (dialogue.dialogue_id, dialogue.language) == ("d", "en")
    assert [(turn.text, turn.emotion, turn.clip and turn.clip.read()) for turn in dialogue.turns] == [
        ("a", "joy", sound(0)),
        ("b", "fear", sound(1)),
    ]


def test_numbers_are_labels_and_answers_in_digits(tmp_path: Path) -> None:
    turn = only([{"level": 3, "score": 2.5, "flag": True}], ColumnsSpec(label="level", answer="score"), tmp_path)
    assert (turn.emotion, turn.answer) == ("3", "2.5")


@pytest.mark.parametrize("options", [["no", "yes"], '["no", "yes"]', "no\nyes\n", {"A": "no", "B": "yes"}])
@pytest.mark.parametrize("answer", ["yes", "B", "b", "(B)", "1", 1, 1.0])
def test_the_answer_of_a_choice_is_its_text_letter_or_number(options: Any, answer: Any, tmp_path: Path) -> None:
    columns = ColumnsSpec(text="said", choices="options", answer="gold")
    turn = only([{"said": "?", "options": options, "gold": answer}], columns, tmp_path)
    assert (turn.choices, turn.answer) == (("no", "yes"), "1")


def test_the_text_of_an_option_goes_before_its_number(tmp_path: Path) -> None:
    columns = ColumnsSpec(choices="options", answer="gold")
    assert only([{"options": ["1", "2", "0"], "gold": "1"}], columns, tmp_path).answer == "0"


@pytest.mark.parametrize("kind", ["paths", "bytes"])
def test_options_may_be_recordings(kind: str, tmp_path: Path) -> None:
    paths = ["0.wav", "1.mp4"]
    options = paths if kind == "paths" else [{"bytes": sound(0), "path": None}, {"bytes": video(1), "path": None}]
    table = write_parquet(write_clips(tmp_path) / "t.parquet", [{"options": options, "gold": "B"}])
    (dialogue,) = load(table, ColumnsSpec(choices="options", answer="gold")).dialogues
    (turn,) = dialogue.turns
    assert [option.read() for option in turn.choices if isinstance(option, Clip)] == [sound(0), video(1)]
    assert turn.answer == "1"


def test_nulls_are_turns_without_what_they_lack(tmp_path: Path) -> None:
    rows = [{"clip": None, "emotion": None, "said": None}, {"clip": "0.mp4", "emotion": "joy", "said": "a"}]
    table = write_lines(write_clips(tmp_path) / "t.jsonl", rows)
    first, second = load(table, ColumnsSpec(video="clip", label="emotion", text="said")).dialogues
    assert (first.turns[0].clip, first.turns[0].emotion, first.turns[0].text) == (None, None, "")
    assert second.turns[0].clip is not None


def test_paths_lead_into_records_and_a_name_with_dots_is_a_name(tmp_path: Path) -> None:
    rows = [{"meta": {"feel": {"name": "joy"}}, "x.y": "said", "who": None}]
    turn = only(rows, ColumnsSpec(label="meta.feel.name", text="x.y", speaker="who"), tmp_path)
    assert (turn.emotion, turn.text, turn.speaker_id) == ("joy", "said", "user")


def test_questions_see_what_columns_show_of_records_and_by_templates(tmp_path: Path) -> None:
    rows = [{"scene": {"place": "bus", "hour": 7, "mood": "tense"}, "emotion": "joy"}]
    shown = {"place": "scene.place", "hour": "scene.hour", "both": "{{ row.scene.place }} at {{ row.scene.hour }}"}
    turn = only(rows, ColumnsSpec(label="emotion", shown=shown), tmp_path)
    assert turn.row == {"place": "bus", "hour": "7", "both": "bus at 7"}


@pytest.mark.parametrize("shown", ["scene.mood", "scene", "{{ row.scene.mood }}", "clip"])
def test_columns_that_tell_the_answer_or_hold_recordings_cannot_be_shown(shown: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ColumnsSpec(video="clip", label="scene.mood", shown={"told": shown})
    ((path, sentence),) = refused.value.errors()[0]["ctx"]["problems"]
    assert (path, sentence.endswith("tells the answer or holds a recording")) == (("shown", "told"), True)


def test_a_shown_value_that_no_row_has_is_named_with_the_columns(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"no column 'scene.plase' \(columns.shown.place\).*'scene.place'"):
        only([{"scene": {"place": "bus"}}], ColumnsSpec(text="scene.place", shown={"place": "scene.plase"}), tmp_path)
