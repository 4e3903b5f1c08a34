"""Claims of an answer: its labels but for those that it denies, reports, asks about or lists."""

from __future__ import annotations

import pytest

from avemo_harness.benchmark.task import LabelOutput
from avemo_harness.scorers.answer_claims import Claims, find_announcement, find_claims
from avemo_harness.scorers.answer_words import Vocabulary, spell
from avemo_harness.scorers.answers import clean_answer

LABELS = LabelOutput(type="label", labels=("red", "blue", "green"), synonyms={"zh": {"red": ["红色", "红"]}})


def claims(text: str) -> Claims:
    return find_claims(Vocabulary.of(LABELS).tokens(clean_answer(text) or ""), len(LABELS.labels))


@pytest.mark.parametrize(
    ("text", "claimed"),
    [
        ("red and blue", {"red", "blue"}),
        ("not red, blue", {"blue"}),
        ("not red, blue or green", set()),
        ("not red, blue, nor green", set()),
        ("not red; blue", {"blue"}),
        ("not so red", set()),
        ("nothing but red", {"red"}),
        ("not only red but blue", {"red", "blue"}),
        ("blue rather than red", {"blue"}),
        ("red would be wrong", set()),
        ("red is what I see", {"red"}),
        ("he says it is red: blue", {"blue"}),
        ("although red, it is blue", {"blue"}),
        ("it is blue, although red", {"blue", "red"}),
        ("if it were red, I would know", set()),
        ("is it red? blue!", {"blue"}),
        ("blue. Or red?", {"blue", "red"}),
        ("red: no, blue: yes", {"blue"}),
        ("blue. Red? No.", {"blue"}),
        ("red, blue or green", set()),
        ("red blue green", set()),
        ("red, blue or green: red", {"red"}),
        ("blue because it is not red", {"blue"}),
        ("blue because the sky is red", {"blue"}),
        ("because it is red", {"red"}),
        ("blue, reason: red light", {"blue"}),
        ("a red film in blue", {"blue"}),
        ("it could be red, but it is blue", {"blue"}),
        ("it could be red, but it may be blue", {"red", "blue"}),
        ("it could be red, but not blue", set()),
        ("it could be red, but not now", {"red"}),
        ("it is red, but it could be blue", {"red", "blue"}),
        ("not red and looks blue", {"blue"}),
        ("not said, that it is red", set()),
        ("surprise. red light", set()),
        ("surprise. red.", {"red"}),
        ("surprise at red", {"red"}),
        ("surprise. red light. answer: blue", {"blue"}),
        ("红的", {"red"}),
        ("不红", set()),
        ("非常红", {"red"}),
    ],
)
def test_an_answer_claims_what_it_says_and_not_what_it_denies(text: str, claimed: set[str]) -> None:
    assert claims(text).labels() == claimed


@pytest.mark.parametrize(
    ("text", "dropped"),
    [("red", None), ("not red", "negated label"), ("red, green, blue", "list of all labels"), ("hm", None)],
)
def test_why_labels_were_dropped_is_told(text: str, dropped: str | None) -> None:
    assert claims(text).dropped == dropped


@pytest.mark.parametrize(
    ("text", "announced"),
    [
        ("red or blue? The answer is blue.", {"blue"}),
        ("red, hm, emotion expressed: blue", {"blue"}),
        ("not green -> blue", {"blue"}),
        ("red, overall blue", {"blue"}),
        ("red. Actually, blue.", {"blue"}),
        ("answer: red. answer: blue", {"blue"}),
        ("red -> blue", None),
        ("voice -> blue", None),
        ("roof -> red, door -> blue", {"red", "blue"}),
        ("red or blue, i'd go with blue", {"blue"}),
        ("red or blue: blue", {"blue"}),
        ("red and blue are near. my guess: rather blue", {"blue"}),
        ("voice: red, face: blue", None),
        ("red: hat, blue: scarf", None),
        ("red: 0.2, blue: 0.8", None),
        ("red or blue: hard to tell from the scarf that is blue", None),
        ("the facial emotion is blue", None),
        ("the emotion of the face is blue", None),
        ("the emotion changes. blue", None),
        ("red: the blue light", None),
        ("the face is actually blue", None),
    ],
)
def test_the_last_marker_announces_the_label_behind_it(text: str, announced: set[str] | None) -> None:
    found = claims(text)
    start = find_announcement(found)
    assert (None if start is None else found.labels(start)) == announced


def test_the_longest_word_at_a_place_wins_and_no_word_is_found_within_another() -> None:
    vocabulary = Vocabulary(
        {"sad": "sad", "sad eyed": "tired", "不": "no", "不高兴": "sad", "화나": "angry", "화나다": "cross"}
    )

    def labels(text: str) -> list[str | None]:
        return [token.label for token in vocabulary.tokens(text) if token.label]

    assert labels("sad sad eyed sadness") == ["sad", "tired"]
    assert labels("他不高兴不") == ["sad", "no"]
    assert labels("화나요 화나다 안화나") == ["angry", "cross"]


def test_words_are_spelled_as_they_are_looked_up() -> None:
    assert [spell(word) for word in ("Don't know", "high-arousal", "（乐）", "😊", "N'importe")] == [
        "do not know",
        "high arousal",
        "乐",
        "",
        "ne importe",
    ]
