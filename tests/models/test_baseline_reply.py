"""The rules by which the embedded default replies, and what known policies score on known trajectories."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from avemo_harness import media
from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.data.synthesis.affect import EMOTION_TARGETS, AffectPath
from avemo_harness.metrics.dialogues import TurnScores, score_turns
from avemo_harness.metrics.profiles import AV_EMO
from avemo_harness.metrics.trajectory import Trajectory
from avemo_harness.models.baseline import LENGTH_S, Rule, mean_affect, reply_affect, reply_path, spoken_reply

RULES: tuple[Rule, ...] = ("mirror", "balance", "neutral")


def trajectory(path: AffectPath, duration_s: float) -> Trajectory:
    rated = path.rated(duration_s)
    return Trajectory(np.column_stack([rated.valence, rated.arousal]), ("valence", "arousal"), "unit", 2.0)


def jittery(reply: Trajectory) -> Trajectory:
    """The same place, but up and down with every value."""
    shake = 0.12 * (-1.0) ** np.arange(len(reply))
    return replace(reply, values=np.clip(reply.values + shake[:, None], 0, 1))


@pytest.fixture(scope="module")
def scores() -> dict[str, TurnScores]:
    """Each policy's scores for 80 turns whose emotion it knows exactly."""
    rng = np.random.default_rng(3)
    paths = [AffectPath.draw(emotion, rng) for emotion in EMOTIONS for _ in range(20)]
    users = [trajectory(path, LENGTH_S) for path in paths]
    replies = {
        rule: [trajectory(reply_path(rule, (path.valence, path.arousal)), LENGTH_S) for path in paths] for rule in RULES
    }
    said = {**replies, "jittery": [jittery(reply) for reply in replies["mirror"]]}
    return {name: score_turns(users, of_name, AV_EMO) for name, of_name in said.items()}


def test_who_mirrors_follows_most_who_balances_balances_most_and_who_shakes_is_least_stable(
    scores: dict[str, TurnScores],
) -> None:
    ecs = {name: np.nanmean(one.ecs.value) for name, one in scores.items()}
    ebs = {name: np.nanmean(one.ebs.value) for name, one in scores.items()}
    ess = {name: np.nanmean(one.ess.value) for name, one in scores.items()}
    for ranking, by_policy in ((("mirror", "balance", "neutral"), ecs), (("balance", "mirror", "neutral"), ebs)):
        assert all(by_policy[better] > by_policy[worse] + 0.05 for better, worse in pairwise(ranking))
    assert max(ecs, key=lambda name: ecs[name]) == "mirror"
    assert max(ebs, key=lambda name: ebs[name]) == "balance"
    assert min(ess, key=lambda name: ess[name]) == "jittery"
    assert (np.sum(~np.isnan(scores["mirror"].ebs.value)), ess["neutral"]) == (64, 1.0)


def test_the_beginning_is_left_out_of_what_is_heard_where_there_is_more() -> None:
    values = np.array([[0.5, 0.5], [0.2, 0.7], [0.2, 0.9]])
    assert mean_affect(Trajectory(values, ("valence", "arousal"), "unit", 2.0)) == pytest.approx((0.2, 0.8))
    assert mean_affect(Trajectory(values[:1], ("valence", "arousal"), "unit", 2.0)) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("rule", "heard", "expected"),
    [
        ("mirror", (0.2, 0.8), (0.2, 0.8)),
        ("balance", (0.2, 0.8), (0.37, 0.71)),
        ("balance", (0.2, 0.2), (0.37, 0.2)),
        ("balance", (0.8, 0.6), (0.8, 0.6)),
        ("neutral", (0.2, 0.8), (0.5, 0.5)),
    ],
)
def test_each_rule_does_what_it_says(rule: Rule, heard: tuple[float, float], expected: tuple[float, float]) -> None:
    assert reply_affect(rule, heard) == pytest.approx(expected)


def test_a_reply_is_the_same_words_in_a_voice_that_differs_with_the_rule() -> None:
    said = {rule: spoken_reply(reply_path(rule, EMOTION_TARGETS["angry"]), seed=1) for rule in ("mirror", "neutral")}
    again = spoken_reply(reply_path("mirror", EMOTION_TARGETS["angry"]), seed=1)
    assert said["mirror"].text == said["neutral"].text
    speech, quieter, repeated = (one.speech for one in (said["mirror"], said["neutral"], again))
    assert speech is not None
    assert quieter is not None
    assert repeated is not None
    assert np.array_equal(speech.samples, repeated.samples)
    assert len(speech.samples) == round(LENGTH_S * speech.rate_hz)
    levels = [media.active_level(one.samples, one.rate_hz) for one in (speech, quieter)]
    assert levels[0] > 1.5 * levels[1]
