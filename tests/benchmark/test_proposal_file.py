"""A proposed task is written as a YAML that the loader takes, with a comment for each guess."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Audio, ClassLabel, Features, Value, Video
from hypothesis import example, given
from hypothesis import strategies as st
from support.any_table import FEATURES, ROWS

from avemo_harness.benchmark.proposal import propose
from avemo_harness.benchmark.proposal_file import scalar, task_yaml
from avemo_harness.benchmark.task import LabelOutput, TextTemplate
from avemo_harness.benchmark.task_file import Task, load_task_file
from avemo_harness.benchmark.yaml_file import read_yaml
from avemo_harness.scorers import METRICS


def write(folder: Path, features: dict[str, Any], *rows: dict[str, Any], **dataset: str) -> tuple[Task, str]:
    text = task_yaml("mine", {"path": "lab/voices", **dataset}, propose(features, rows), "lab/voices and 3 rows")
    file = folder / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    return load_task_file(file, METRICS), text


VOICES = Features({"audio": Audio(), "sentence": Value("string"), "emotion": ClassLabel(names=["joy", "no"])}).to_dict()


def test_a_data_set_of_voices_with_class_labels_is_a_task_of_fifteen_lines_without_comments(tmp_path: Path) -> None:
    task, text = write(tmp_path, VOICES, revision="0" * 40)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(lines) <= 15
    assert isinstance(task.spec.output, LabelOutput)
    assert task.spec.output.labels == ("joy", "no")
    assert task.spec.dataset.columns is not None
    assert task.spec.dataset.columns.model_dump(exclude_none=True) == {
        "sound": "audio",
        "text": "sentence",
        "label": "emotion",
    }
    assert task.spec.condition.name == "audio_only"
    assert task.spec.headline == "accuracy"


def test_comments_say_what_each_guess_is_from_and_what_else_would_do(tmp_path: Path) -> None:
    row = {"clip": "a.mp4", "emotion": "joy", "sentiment": "positive"}
    _, text = write(tmp_path, {}, row, {**row, "emotion": "fear"})
    assert "    video: clip  # its recordings are .mp4\n" in text
    assert "    label: emotion  # its name; or sentiment\n" in text
    assert "# labels of the rows that were read: joy (1), fear (1)\n" in text
    assert "# condition: audio_only" in text


def test_a_commented_alternative_is_valid_where_its_mark_is_taken_away(tmp_path: Path) -> None:
    features = Features({"clip": Video(), "emotion": ClassLabel(names=["joy", "no"])}).to_dict()
    _, text = write(tmp_path, features)
    file = tmp_path / "open.yaml"
    file.write_text(text.replace("# label_map", "label_map").replace("# condition", "condition"))
    spec = load_task_file(file, METRICS).spec
    assert spec.label_map == {"joy": "joy", "*": None}
    assert spec.condition.name == "audio_only"


def test_labels_that_differ_in_case_are_mapped(tmp_path: Path) -> None:
    rows = [{"wav": "a.wav", "emotion": label} for label in ("Joy", "joy", "Fear")]
    task, _ = write(tmp_path, {}, *rows)
    assert task.spec.label_map == {"joy": "Joy"}


def test_a_single_label_is_completed_and_the_comment_asks_for_the_others(tmp_path: Path) -> None:
    task, text = write(tmp_path, {}, {"wav": "a.wav", "emotion": "joy"})
    assert isinstance(task.spec.output, LabelOutput)
    assert task.spec.output.labels == ("joy", "neutral")
    assert "name all labels here" in text


def test_a_turn_of_a_dialogue_is_asked_about_as_the_last_clip(tmp_path: Path) -> None:
    row = {"wav": "a.wav", "emotion": "joy", "conv_id": "c"}
    _, text = write(tmp_path, {}, row, {**row, "emotion": "fear"})
    assert "Which emotion does the speaker of this last clip express?" in text


def test_a_table_of_words_alone_shows_them_in_the_question(tmp_path: Path) -> None:
    task, _ = write(tmp_path, {}, {"text": "Oh!", "emotion": "joy"}, {"text": "Ah.", "emotion": "fear"})
    shown = [block.text for block in task.spec.messages[0].content if isinstance(block, TextTemplate)]
    assert shown[0] == 'The speaker says: "{{ turn.text }}"'


@pytest.mark.parametrize("hostile", ["a\nb: c", "x # y", "\x1b[31m", "{{ 1 }}", "- a", "é\u2028", "a" * 500])
def test_text_of_a_table_ends_no_comment_and_no_value(hostile: str, tmp_path: Path) -> None:
    rows = [{"wav": "a.wav", "emotion": hostile[:50], hostile: "a"}, {"wav": "a.wav", "emotion": "joy"}]
    text = task_yaml("mine", {"path": hostile}, propose({}, rows), hostile)
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    load_task_file(file, METRICS)
    assert read_yaml(file).values["dataset"]["path"] == hostile


@given(st.text())
def test_any_text_is_the_same_after_it_was_written_and_read(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "scalar.yaml"
    file.write_text(f"key: {scalar(text)}\n", encoding="utf-8")
    document = read_yaml(file)
    assert document.problems or document.values == {"key": text}
    assert not document.problems


@example({"": {"0": {"_type": "Audio"}}}, [])
@example({"emotion": {"feature": {"_type": "Audio"}, "_type": "List"}}, [{"emotion": False}])
@given(FEATURES, ROWS)
def test_whatever_a_table_holds_the_task_that_is_written_is_valid(
    tmp_path_factory: pytest.TempPathFactory, features: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    proposal = propose(features, rows)
    task, _ = write(tmp_path_factory.getbasetemp(), features, *rows)
    assert task.spec.dataset.columns is not None
    found = task.spec.dataset.columns.model_dump(exclude_none=True)
    if proposal.columns:
        assert found == {column.role: column.column for column in proposal.columns}
