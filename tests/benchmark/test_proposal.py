"""From the columns of a table a task is proposed: what each column holds, what to ask, and the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from datasets import Audio, ClassLabel, Features, List, Value
from hypothesis import given
from support.any_table import FEATURES, ROWS

from avemo_harness.benchmark.proposal import Proposal, propose
from avemo_harness.benchmark.seen_columns import see_columns

EMOTIONS = ClassLabel(names=["anger", "joy"])


def of_features(features: dict[str, Any], rows: Sequence[dict[str, Any]] = ()) -> Proposal:
    return propose(Features(features).to_dict(), rows)


def columns(proposal: Proposal) -> dict[str, str]:
    return {column.role: column.column for column in proposal.columns}


def rows(**values: list[Any]) -> list[dict[str, Any]]:
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def test_recordings_and_class_labels_are_known_by_their_features_whatever_their_names() -> None:
    found = of_features({"x": Audio(), "y": EMOTIONS, "z": Value("string")})
    assert columns(found) == {"sound": "x", "label": "y"}
    assert (found.question, found.labels) == ("label", ("anger", "joy"))


def test_columns_of_a_table_like_that_of_meld_are_known_by_their_names() -> None:
    table = rows(
        **{"Sr No.": [1, 2], "Utterance": ["Oh!", "Well."], "Speaker": ["Joey", "Ross"]},
        Emotion=["joy", "neutral"],
        Sentiment=["positive", "neutral"],
        Dialogue_ID=[0, 0],
        Utterance_ID=[0, 1],
        file=["d0u0.mp4", "d0u1.mp4"],
    )
    found = propose({}, table)
    assert columns(found) == {
        "video": "file",
        "text": "Utterance",
        "label": "Emotion",
        "speaker": "Speaker",
        "dialogue": "Dialogue_ID",
        "turn": "Utterance_ID",
    }
    assert found.labels == ("neutral", "joy")
    assert [column.others for column in found.columns if column.role == "label"] == [("Sentiment",)]


@pytest.mark.parametrize(
    ("role", "name", "value"),
    [
        ("speaker", "spkId", "Ann"),
        ("speaker", "ActorID", 7),
        ("dialogue", "convId", "c1"),
        ("dialogue", "dialog_id", 3),
        ("reply", "response", "I see."),
        ("language", "lang", "en"),
        ("text", "transcription", "Hello."),
        ("licence", "license", "CC0-1.0"),
        ("id", "id", "x1"),
    ],
)
def test_a_column_is_known_by_its_name_in_any_spelling(role: str, name: str, value: Any) -> None:
    found = propose({}, [{"wav": "a.wav", "emotion": "joy", name: value}])
    assert columns(found) == {"sound": "wav", "label": "emotion", role: name}


@pytest.mark.parametrize("name", ["text_id", "emotion_id_of_rater", "label index", "row"])
def test_a_name_that_numbers_things_is_no_text_and_no_label(name: str) -> None:
    assert columns(propose({}, [{"wav": "a.wav", name: "a1"}])).keys() <= {"sound", "id"}


def test_the_order_of_turns_is_used_with_a_dialogue_alone() -> None:
    table = rows(wav=["a.wav"], emotion=["joy"], idx=[0])
    assert "turn" not in columns(propose({}, table))
    assert columns(propose({}, [{**row, "conv_id": "c"} for row in table]))["turn"] == "idx"


def test_a_role_is_proposed_where_its_values_are_those_of_a_dialogue() -> None:
    assert columns(propose({}, [{"wav": "a.wav", "emotion": "joy", "role": "user"}]))["role"] == "role"
    assert "role" not in columns(propose({}, [{"wav": "a.wav", "emotion": "joy", "role": "doctor"}]))


def test_options_and_an_answer_make_a_choice() -> None:
    found = of_features({"audio": Audio(), "options": List(Value("string")), "gold": Value("int64")})
    assert columns(found) == {"sound": "audio", "answer": "gold", "choices": "options"}
    assert (found.question, found.clips_as_choices) == ("choice", False)


def test_a_list_of_recordings_with_a_label_is_a_choice_between_them() -> None:
    found = of_features({"a_or_b": List(Audio()), "label": ClassLabel(names=["A", "B"])})
    assert columns(found) == {"answer": "label", "choices": "a_or_b"}
    assert (found.question, found.clips_as_choices) == ("choice", True)


def test_options_without_an_answer_are_left_out() -> None:
    assert columns(of_features({"audio": Audio(), "options": List(Value("string"))})) == {"sound": "audio"}


@pytest.mark.parametrize(
    ("values", "bounds"),
    [
        ([0.2, 1], (0, 1)),
        (["1", "4.5"], (1, 5)),
        ([-0.5], (-1, 1)),
        ([7], (1, 7)),
        ([-40.5, 3], (-41, 3)),
        ([101], (101, 102)),
    ],
)
def test_a_column_of_numbers_is_a_rating_on_the_usual_scale_that_holds_them(
    values: list[Any], bounds: tuple[float, float]
) -> None:
    found = propose({}, rows(wav=["a.wav"] * len(values), valence=values))
    assert (found.question, found.bounds, found.noun) == ("number", bounds, "valence")


def test_an_answer_in_words_is_free_text_and_the_tables_own_question_is_asked() -> None:
    found = propose({}, [{"wav": "a.wav", "question": "Why is she sad?", "answer": "She lost her keys."}])
    assert (found.question, found.question_column) == ("text", "question")
    assert columns(found) == {"sound": "wav", "answer": "answer"}


def test_a_list_of_records_holds_the_turns_of_a_dialogue() -> None:
    turn = {"audio": Audio(), "emotion": EMOTIONS, "spk": Value("string")}
    found = of_features({"conv": Value("string"), "id": Value("string"), "lang": Value("string"), "turns": List(turn)})
    assert columns(found) == {
        "sound": "audio",
        "label": "emotion",
        "speaker": "spk",
        "id": "id",
        "language": "lang",
        "turns": "turns",
    }


def test_labels_that_differ_in_case_alone_are_mapped_to_the_first_of_them() -> None:
    found = propose({}, rows(wav=["a.wav", "b.wav", "c.wav"], emotion=["Joy", "joy", "fear"]))
    assert (found.labels, found.label_map) == (("Joy", "fear"), {"joy": "Joy"})
    assert found.seen == {"Joy": 1, "joy": 1, "fear": 1}


def test_class_numbers_are_counted_by_the_names_of_the_classes() -> None:
    found = of_features({"audio": Audio(), "label": EMOTIONS}, [{"label": 1}, {"label": 1}, {"label": 0}])
    assert found.seen == {"joy": 2, "anger": 1}


def test_numbers_beyond_any_scale_are_no_ratings() -> None:
    assert "answer" not in columns(propose({}, [{"wav": "a.wav", "answer": 2.0**53}]))


def test_long_texts_are_no_labels() -> None:
    assert "label" not in columns(propose({}, [{"wav": "a.wav", "emotion": "She sounds as if " * 9}]))


@given(FEATURES, ROWS)
def test_whatever_a_table_holds_only_columns_that_it_has_are_proposed_and_each_once(
    features: dict[str, Any], rows: list[dict[str, Any]]
) -> None:
    found = propose(features, rows)
    seen = see_columns(features, rows)
    turns = next((column.column for column in found.columns if column.role == "turns"), None)
    paths = {leaf.path for column in seen for leaf in column.leaves()}
    for column in seen:
        if column.path == turns and column.entries is not None:
            inside = {leaf.path for field in column.entries.fields for leaf in field.leaves()}
            paths |= {path.removeprefix(f"{turns}.") for path in inside}
    proposed = [column.column for column in found.columns]
    assert set(proposed) <= paths
    assert turns is not None or len(set(proposed)) == len(proposed)
    assert len({label.casefold() for label in found.labels}) == len(found.labels)
    assert all(found.labels)
    assert found.bounds[0] < found.bounds[1] or found.question != "number"
