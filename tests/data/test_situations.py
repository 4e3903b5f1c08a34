"""The words of generated speech say nothing of emotion."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from avemo_harness.data.synthesis.sentences import Situation

TELLING = re.compile(
    r"\b(angry|anger|mad|furious|rage|annoyed|happy|happiness|glad|joy|joyful|cheerful|sad|sadness|sorrow|unhappy|upset"
    r"|neutral|calm|emotion|feel|feeling|mood|love|hate|great|awful|terrible|wonderful|bad|good|sorry|lucky|unfortunately"
    r"|cry|crying|laugh|smile|lost|broken|died|death|party|gift|present)\b",
    re.IGNORECASE,
)


@given(st.integers(0, 2**32 - 1))
def test_no_sentence_holds_a_word_that_tells_an_emotion(seed: int) -> None:
    rng = np.random.default_rng(seed)
    situation = Situation.draw(rng)
    for sentence in (situation.opening(rng), situation.sequel(rng), situation.reply(rng)):
        assert not TELLING.search(sentence)
        assert "{" not in sentence
        assert sentence[0].isupper()
        assert sentence[-1] in ".?"


def test_sentences_are_many() -> None:
    rng = np.random.default_rng(0)
    assert len({Situation.draw(rng).opening(rng) for _ in range(200)}) > 150
