"""Columns are known by their features where `datasets` tells them, and else by their first values."""

from __future__ import annotations

from typing import Any

import pytest
from datasets import Audio, ClassLabel, Features, List, Value, Video
from support.clips import make_clip
from support.sound_files import SOUND_FORMATS, sound_file

from avemo_harness.benchmark.seen_columns import see_columns


def kinds(features: Features | None, *rows: dict[str, Any]) -> dict[str, str]:
    columns = see_columns(features.to_dict() if features else {}, rows)
    return {leaf.path: leaf.kind for column in columns for leaf in column.leaves()}


def test_features_tell_the_kind_of_a_column_without_any_row() -> None:
    features = Features(
        {
            "wav": Audio(16_000),
            "clip": Video(),
            "emotion": ClassLabel(names=["joy", "fear"]),
            "words": Value("large_string"),
            "score": Value("float32"),
            "options": List(Value("string")),
            "replies": List(Audio()),
            "who": {"name": Value("string"), "age": Value("int8")},
        }
    )
    expected = {"wav": "sound", "clip": "video", "emotion": "class", "words": "text", "score": "number"}
    assert kinds(features) == {
        **expected,
        "options": "list",
        "replies": "list",
        "who.name": "text",
        "who.age": "number",
    }


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a.wav", None, "deep/B.FLAC"], "sound"),
        (["archive.zip::a.mp3"], "sound"),
        (["a.wav", "b.mp4"], "video"),
        ([{"bytes": None, "path": "a.wav"}], "sound"),
        (["a.wav", "hello"], "text"),
        (["3", "4.5"], "number"),
        ([3, 4.5], "number"),
        ([True, False], "other"),
        ([["a", "b"]], "list"),
        ([None, None], "other"),
        (["inf"], "text"),
    ],
)
def test_values_tell_the_kind_where_there_is_no_feature(values: list[Any], kind: str) -> None:
    assert kinds(None, *({"column": value} for value in values)) == {"column": kind}


@pytest.mark.parametrize("form", SOUND_FORMATS)
def test_bytes_of_every_sound_format_are_sound(form: str) -> None:
    import numpy as np

    data = sound_file(form, np.zeros(4_000, np.float32))
    assert kinds(None, {"a": data, "b": {"bytes": data, "path": None}}) == {"a": "sound", "b": "sound"}


def test_bytes_of_an_mp4_are_video() -> None:
    assert kinds(None, {"a": make_clip(0.2)}) == {"a": "video"}


def test_fields_of_records_and_of_lists_of_records_are_columns_with_dots() -> None:
    row = {"context": {"audio": "a.wav", "place": "home"}, "turns": [{"audio": "b.wav"}, {"text": "Hi"}]}
    context, turns = see_columns({}, [row])
    assert [leaf.path for leaf in context.leaves()] == ["context.audio", "context.place"]
    assert turns.entries is not None
    found = {leaf.path: leaf.kind for field in turns.entries.fields for leaf in field.leaves()}
    assert found == {"turns.audio": "sound", "turns.text": "text"}
