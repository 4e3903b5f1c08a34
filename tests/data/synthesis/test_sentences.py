"""Sentences tell no emotion, and words that do are found."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.data.synthesis.sentences import LEAK_WORDS, Situation, find_leaks


def test_sentences_are_many() -> None:
    rng = np.random.default_rng(0)
    assert len({Situation.draw(rng).opening(rng) for _ in range(200)}) > 150


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("I'm so HAPPY for you.", "happy"),
        ("They were happier before.", "happy"),
        ("She said it angrily, twice.", "angry"),
        ("What an ‘infuriating’ map.", "angry"),
        ("Such sadness on the shelf.", "sad"),
        ("I was crying over the letter.", "sad"),
        ("That made me unhappy.", "sad"),
        ("A neutral answer, I think.", "neutral"),
        ("My emotional sister called.", "any"),
        ("ｈａｐｐｙ in wide letters", "happy"),
    ],
)
def test_a_word_that_tells_an_emotion_is_found(text: str, emotion: str) -> None:
    assert [told for told, _ in find_leaks(text)] == [emotion]


@pytest.mark.parametrize(
    "text",
    [
        "It happened on Monday, and I made a note.",
        "The saddle is in the cinema, by the exit.",
        "Please take the parcel to the madam at the desk.",
        "The hatch, the average, the storage.",
        "A comrade resembles my uncle; the crystal glass is on the gladiolus.",
    ],
)
def test_a_word_that_only_looks_like_one_is_not(text: str) -> None:
    assert find_leaks(text) == ()


def test_every_emotion_has_words() -> None:
    assert set(EMOTIONS) < set(LEAK_WORDS)
    for emotion in EMOTIONS:
        assert {told for told, _ in find_leaks(f"This is {emotion}.")} == {emotion}


def test_words_of_another_language_can_be_added() -> None:
    more = {"happy": ("glücklich*", "froh"), "angry": ()}
    assert [word for _, word in find_leaks("Die Glücklichen waren FROH, nicht frohgemut.", more)] == [
        "glücklichen",
        "froh",
    ]


TELLING_AT_TIMES = re.compile(
    r"\b(feel|feeling|love|great|awful|terrible|bad|good|sorry|lucky|unfortunately|lost|broken|died|death|party|gift"
    r"|present)\b",
    re.IGNORECASE,
)


@given(st.integers(0, 2**32))
def test_the_built_in_sentences_tell_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    situation = Situation.draw(rng)
    for sentence in (situation.opening(rng), situation.sequel(rng), situation.reply(rng)):
        assert find_leaks(sentence) == ()
        assert not TELLING_AT_TIMES.search(sentence)
        assert "{" not in sentence
        assert sentence[0].isupper()
        assert sentence[-1] in ".?"
