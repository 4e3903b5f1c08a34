"""What a judge tells apart: AUC of ECS, extreme turns and movement, against plain loops and by properties."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avemo_harness.metrics.bootstrap import TOO_FEW, ItemBootstrap
from avemo_harness.metrics.discrimination import (
    ecs_auc,
    ecs_auc_estimate,
    extreme_share,
    mean_movement,
    score_pairs,
)
from avemo_harness.metrics.profiles import AV_EMO
from avemo_harness.metrics.trajectory import Floats, Trajectory

LABELS = ("neutral", "happy", "angry", "sad")


def trajectory(values: np.ndarray) -> Trajectory:
    return Trajectory(values, ("valence", "arousal"), "unit", 2.0)


def steady(valence: float, arousal: float, steps: int = 4) -> Trajectory:
    return trajectory(np.tile([valence, arousal], (steps, 1)))


def drawn(count: int, speakers: int, seed: int, apart: float = 0.0) -> tuple[list[Trajectory], list[str], list[str]]:
    """Recordings of some emotions and speakers; their means lie `apart` by emotion."""
    rng = np.random.default_rng(seed)
    names = [f"s{i % speakers}" for i in range(count)]
    labels = [str(rng.choice(LABELS)) for _ in range(count)]
    centres = np.array([LABELS.index(label) / 3 - 0.5 for label in labels])
    walks = [
        np.clip(0.5 + apart * centre + np.cumsum(rng.normal(0, 0.05, (rng.integers(1, 9), 2)), axis=0), 0, 1)
        for centre in centres
    ]
    return [trajectory(walk) for walk in walks], labels, names


def slow_dtw(x: Sequence[float], y: Sequence[float]) -> float:
    reached = np.full((len(x) + 1, len(y) + 1), np.inf)
    reached[0, 0] = 0.0
    for i, a in enumerate(x):
        for j, b in enumerate(y):
            reached[i + 1, j + 1] = abs(a - b) + min(reached[i, j], reached[i, j + 1], reached[i + 1, j])
    return float(reached[-1, -1])


def slow_auc(trajectories: Sequence[Trajectory], labels: Sequence[str], speakers: Sequence[str]) -> float:
    """Every pair of one emotion against every pair of two."""
    same, other = [], []
    for i, j in combinations(range(len(labels)), 2):
        if speakers[i] == speakers[j]:
            continue
        x, y = trajectories[i].values, trajectories[j].values
        distance = sum(slow_dtw(x[:, d].tolist(), y[:, d].tolist()) for d in (0, 1))
        ecs = min(1.0, max(0.0, 1 - 5 * distance / (2 * 2 * max(len(x), len(y)))))
        (same if labels[i] == labels[j] else other).append(round(ecs, 9))
    if not same or not other:
        return float("nan")
    return sum((a > b) + 0.5 * (a == b) for a in same for b in other) / (len(same) * len(other))


@pytest.mark.parametrize(("apart", "seed"), [(0.0, 1), (0.3, 2), (0.8, 3)])
def test_the_area_is_that_of_a_plain_double_loop_over_pairs(apart: float, seed: int) -> None:
    recordings = drawn(24, 5, seed, apart)
    assert ecs_auc(*recordings, AV_EMO) == pytest.approx(slow_auc(*recordings), abs=1e-12)


def test_what_is_heard_alike_is_told_apart_by_chance_and_ties_are_half_won() -> None:
    alike = [steady(0.4, 0.6)] * 6
    labels, speakers = ["sad", "sad", "happy", "happy", "sad", "angry"], list("abcdef")
    assert ecs_auc(alike, labels, speakers, AV_EMO) == 0.5
    # ECS of the pairs of one emotion: 1 and 0; of the others: 1, 0, 0 and 0. Won: 3 + 1/2 and 3/2 of 8.
    low, high = steady(0.0, 0.0), steady(1.0, 1.0)
    assert ecs_auc([low, low, high, low], ["x", "x", "x", "y"], ["a", "b", "c", "d"], AV_EMO) == slow_auc(
        [low, low, high, low], ["x", "x", "x", "y"], ["a", "b", "c", "d"]
    )


def test_a_judge_that_hears_each_emotion_in_its_own_place_tells_all_apart() -> None:
    places = {label: steady(0.1 + 0.25 * i, 0.9 - 0.25 * i) for i, label in enumerate(LABELS)}
    labels = list(LABELS) * 3
    speakers = [f"s{i // 4}" for i in range(12)]
    assert ecs_auc([places[label] for label in labels], labels, speakers, AV_EMO) == 1.0


def test_recordings_of_one_speaker_make_no_pair() -> None:
    recordings, labels, _ = drawn(6, 1, seed=1)
    assert np.isnan(ecs_auc(recordings, labels, ["only"] * 6, AV_EMO))
    pairs = score_pairs(recordings, labels, ["a", "a", "b", "b", "b", "c"], AV_EMO)
    assert len(pairs) == 15 - 1 - 3


@pytest.mark.parametrize(
    "labels",
    [["sad"] * 4, ["neutral", "happy", "angry", "sad"]],
    ids=["no pair of two emotions", "no pair of one emotion"],
)
def test_without_both_kinds_of_pairs_it_is_undefined(labels: list[str]) -> None:
    recordings, _, speakers = drawn(4, 4, seed=2)
    assert np.isnan(ecs_auc(recordings, labels, speakers, AV_EMO))
    estimate, _ = ecs_auc_estimate(recordings, labels, speakers, AV_EMO)
    assert (estimate.value, estimate.ci_low) == (None, None)


def test_there_may_be_nothing_and_empty_recordings_are_left_out() -> None:
    assert np.isnan(ecs_auc([], [], [], AV_EMO))
    assert ecs_auc_estimate([], [], [], AV_EMO)[0].value is None
    recordings, labels, speakers = drawn(12, 4, seed=3)
    silent = trajectory(np.zeros((0, 2)))
    assert ecs_auc([*recordings, silent], [*labels, "sad"], [*speakers, "z"], AV_EMO) == ecs_auc(
        recordings, labels, speakers, AV_EMO
    )


def test_a_label_and_a_speaker_are_asked_of_every_recording() -> None:
    with pytest.raises(ValueError, match="found 1 labels and 2 speakers"):
        score_pairs([steady(0.5, 0.5)] * 2, ["sad"], ["a", "b"], AV_EMO)


recordings_of_speakers = st.integers(2, 16).flatmap(
    lambda count: st.tuples(st.just(count), st.integers(1, 5), st.integers(0, 10_000), st.sampled_from([0.0, 0.5]))
)


@settings(max_examples=60, deadline=None)
@given(recordings_of_speakers)
def test_neither_the_order_of_recordings_nor_the_names_of_emotions_and_speakers_matter(
    size: tuple[int, int, int, float],
) -> None:
    recordings, labels, speakers = drawn(*size)
    order = np.random.default_rng(size[2]).permutation(size[0])
    renamed = dict(zip(LABELS, "dbca", strict=True))
    again = ecs_auc(
        [recordings[i] for i in order],
        [renamed[labels[i]] for i in order],
        [speakers[i] + "x" for i in order],
        AV_EMO,
    )
    first = ecs_auc(recordings, labels, speakers, AV_EMO)
    assert np.isnan(first) or 0 <= first <= 1
    np.testing.assert_allclose(again, first, rtol=0, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(recordings_of_speakers)
def test_a_recording_that_counts_twice_is_the_recording_twice(size: tuple[int, int, int, float]) -> None:
    recordings, labels, speakers = drawn(*size)
    weights = np.random.default_rng(size[2]).integers(0, 3, size[0])
    repeated = [i for i, weight in enumerate(weights) for _ in range(weight)]
    wins = score_pairs(recordings, labels, speakers, AV_EMO).wins(weights.astype(float))
    expected = slow_wins(
        [recordings[i] for i in repeated], [labels[i] for i in repeated], [speakers[i] for i in repeated]
    )
    np.testing.assert_array_equal(wins, expected)


def slow_wins(recordings: list[Trajectory], labels: list[str], speakers: list[str]) -> np.ndarray:
    return score_pairs(recordings, labels, speakers, AV_EMO).wins(np.ones(len(recordings)))


def test_pairs_are_made_and_compared_within_each_judge_of_a_cross_validation() -> None:
    """The second judge hears everything far from the first one; across judges nothing would be told apart."""
    recordings, labels, speakers = drawn(24, 6, seed=4, apart=0.3)
    judges = [int(speaker in ("s3", "s4", "s5")) for speaker in speakers]
    moved = [trajectory(one.values * 0.2 + 0.8 * judge) for one, judge in zip(recordings, judges, strict=True)]
    value, n_pairs = ecs_auc_estimate(moved, labels, speakers, AV_EMO, judges)
    wins = np.zeros(2)
    for judge in (0, 1):
        own = [i for i, one in enumerate(judges) if one == judge]
        wins += slow_wins([moved[i] for i in own], [labels[i] for i in own], [speakers[i] for i in own])
    assert value.value == pytest.approx(wins[0] / wins[1], abs=1e-12)
    assert n_pairs == 2 * 3 * 16


def test_the_interval_resamples_speakers_and_needs_five() -> None:
    few, _ = ecs_auc_estimate(*drawn(40, 4, seed=5, apart=0.3), AV_EMO)
    assert (few.ci_low, few.note, few.n_clusters) == (None, TOO_FEW, 4)
    estimate, _ = ecs_auc_estimate(*drawn(60, 12, seed=5, apart=0.3), AV_EMO)
    assert estimate.ci_low is not None
    assert estimate.ci_high is not None
    assert 0.5 < estimate.ci_low < (estimate.value or 0) < estimate.ci_high < 1
    # A speaker whose emotions sound like others' widens it, however many recordings the others have.
    recordings, labels, speakers = drawn(60, 12, seed=5, apart=0.3)
    shuffled = [
        LABELS[(LABELS.index(label) + 1) % 4] if speaker == "s0" else label
        for label, speaker in zip(labels, speakers, strict=True)
    ]
    other, _ = ecs_auc_estimate(recordings, shuffled, speakers, AV_EMO)
    assert other.ci_low is not None
    assert other.ci_high is not None
    assert other.ci_high - other.ci_low > estimate.ci_high - estimate.ci_low


def test_the_interval_is_longer_where_few_speakers_have_most_recordings() -> None:
    rng = np.random.default_rng(5)

    def width(sizes: list[int]) -> float:
        speakers = [f"s{i}" for i, size in enumerate(sizes) for _ in range(size)]
        emotions = [str(one) for one in rng.integers(0, 2, len(speakers))]
        places = [float(one == "1") if rng.random() < 0.8 else rng.random() for one in emotions]
        heard = [Trajectory(np.full((1, 2), one), ("valence", "arousal"), "unit", 2.0) for one in places]
        numbers = np.unique(np.array(speakers), return_inverse=True)[1]
        found, _ = ecs_auc_estimate(heard, emotions, speakers, AV_EMO)
        pairs = score_pairs(heard, emotions, speakers, AV_EMO)

        def statistic(weights: Floats) -> Floats:
            won, compared = np.moveaxis(pairs.wins(weights), -1, 0)
            return np.where(compared > 0, won / np.maximum(compared, 1.0), np.nan)

        plain = ItemBootstrap(numbers).estimate(statistic)
        assert found.ci_low is not None
        assert found.ci_high is not None
        assert plain.ci_low is not None
        assert plain.ci_high is not None
        return (found.ci_high - found.ci_low) / (plain.ci_high - plain.ci_low)

    assert width([8] * 6) == pytest.approx(1.0)
    assert width([18, 18, 3, 3, 3, 3]) > 1.05


def test_of_very_many_pairs_some_are_drawn_and_the_same_ones_each_time() -> None:
    recordings, labels, speakers = drawn(120, 12, seed=6, apart=0.5)
    whole = ecs_auc(recordings, labels, speakers, AV_EMO)
    pairs = score_pairs(recordings, labels, speakers, AV_EMO, most=3_000)
    assert 2_500 < len(pairs) <= 3_000
    assert len({*zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)}) == len(pairs)
    first, _ = ecs_auc_estimate(recordings, labels, speakers, AV_EMO, most=3_000)
    again, _ = ecs_auc_estimate(recordings, labels, speakers, AV_EMO, most=3_000)
    assert first == again
    assert first.value == pytest.approx(whole, abs=0.03)


def test_the_share_of_extreme_turns_is_that_of_ebs() -> None:
    turns = [steady(0.2, 0.5), steady(0.5, 0.8), steady(0.5, 0.5), steady(0.5, 0.5)] * 5
    speakers = [f"s{i // 4}" for i in range(20)]
    estimate = extreme_share([*turns, trajectory(np.zeros((0, 2)))], [*speakers, "silent"], AV_EMO)
    assert (estimate.value, estimate.n_clusters) == (0.5, 5)
    every = extreme_share([steady(0.1, 0.9)] * 10, [f"s{i}" for i in range(10)], AV_EMO)
    assert every.value == 1.0
    assert every.ci_low == pytest.approx(0.691, abs=1e-3)
    assert extreme_share([], [], AV_EMO).value is None


def test_movement_is_the_mean_deviation_within_recordings_and_knows_no_level() -> None:
    swinging = trajectory(np.array([[0.2, 0.5], [0.4, 0.5]]))
    recordings = [swinging, steady(0.9, 0.1), steady(0.9, 0.1, steps=1)] * 6
    speakers = [f"s{i // 3}" for i in range(18)]
    assert mean_movement(recordings, speakers, "valence").value == pytest.approx(0.05)
    still = mean_movement(recordings, speakers, "arousal")
    assert (still.value, still.ci_low) == (0.0, 0.0)
    assert mean_movement([steady(0.5, 0.5, steps=1)], ["a"], "valence").value is None
    signed = Trajectory(2 * swinging.values - 1, swinging.columns, "signed", 2.0)
    assert mean_movement([signed], ["a"], "valence").value == pytest.approx(0.1)
