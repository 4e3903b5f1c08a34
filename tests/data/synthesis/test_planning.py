"""The course of a dialogue and its ids, as the demo and builds plan them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from avemo_harness.data.synthesis.face import FPS
from avemo_harness.data.synthesis.planning import draw_frames, draw_sentence_length, shuffle_and_name
from avemo_harness.data.synthesis.sentences import Situation


def test_every_draft_gets_one_id_and_a_seed_decides_which() -> None:
    drafts = [f"story {number // 4}, take {number % 4}" for number in range(200)]
    named, again, other = (
        dict(shuffle_and_name(drafts, "single", 5, np.random.default_rng(seed))) for seed in (1, 1, 2)
    )
    assert list(named) == [f"single-{number:05}" for number in range(200)]
    assert sorted(named.values()) == sorted(drafts)
    assert named == again != other


def test_neighbours_by_id_are_rarely_of_one_story() -> None:
    stories = [number // 4 for number in range(400)]
    shuffled = [story for _, story in shuffle_and_name(stories, "x", 3, np.random.default_rng(3))]
    assert sum(a == b for a, b in pairwise(shuffled)) < 20
    assert sum(a == b for a, b in pairwise(stories)) == 300


def test_words_of_a_talk_are_drawn_turn_by_turn() -> None:
    """What is drawn between two turns, such as a recording's seed, does not change the turn before."""
    rng, alone = np.random.default_rng(5), np.random.default_rng(5)
    talk, situation = Situation.draw(rng).talk(5, rng), Situation.draw(alone)
    assert next(talk) == situation.opening(alone)
    assert rng.random() == alone.random()
    assert next(talk) == situation.reply(alone)
    assert next(talk) == situation.sequel(alone)
    assert len(list(talk)) == 2


def test_recordings_of_a_sentence_differ_by_less_than_a_pair_may() -> None:
    rng = np.random.default_rng(7)
    for _ in range(200):
        length_s = draw_sentence_length(rng)
        lengths_s = [draw_frames(length_s, rng) / FPS for _ in range(4)]
        assert max(abs(one - length_s) for one in lengths_s) <= 0.4 + 0.5 / FPS
        assert max(lengths_s) - min(lengths_s) < 1
