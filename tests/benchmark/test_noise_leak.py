"""The noise of video_only tells nothing of the emotion, though what is measured of it tells much of a voice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from avemo_harness import files, media
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Clip, Turn
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.data.synthesis.demo import demo_release

pytestmark = pytest.mark.slow

CHANCE_BAND = (0.16, 0.34)
"""Holds 99 % of the accuracies of guessing 160 times among four."""


def describe(samples: np.ndarray) -> np.ndarray:
    """Level, and the energy in eight bands, in decibels."""
    power = np.abs(np.fft.rfft(samples)) ** 2 / len(samples)
    bands = [band.mean() for band in np.array_split(power, 8)]
    return 10 * np.log10(np.array([np.mean(samples**2), *bands]) + 1e-12)


@pytest.fixture(scope="module")
def parts() -> tuple[list[Turn], list[Turn]]:
    """The user turns of the demo's train part and of its test part."""
    releases = [load_release(str(demo_release(files.cache_dir())), "demo", split) for split in ("train", "test")]
    train, test = ([t for d in release.dialogues for t in d.turns if t.role == "user"] for release in releases)
    return train, test


def accuracy_from_sound(parts: tuple[list[Turn], list[Turn]], condition: Callable[[Clip], Clip]) -> float:
    """Of logistic regression that hears the clips after a condition, trained on the one part, on the other."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, test = (
        np.stack([describe(media.decode_sound(condition(turn.clip).read())) for turn in turns]) for turns in parts
    )
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=3000))
    classifier.fit(train, [turn.emotion for turn in parts[0]])
    return float(classifier.score(test, [turn.emotion for turn in parts[1]]))


def test_the_noise_tells_nothing(parts: tuple[list[Turn], list[Turn]], tmp_path: Path) -> None:
    accuracy = accuracy_from_sound(parts, ConditionCache(tmp_path).video_only)
    assert CHANCE_BAND[0] < accuracy < CHANCE_BAND[1]


def test_the_voice_in_its_place_is_told_by_the_same_few_numbers(
    parts: tuple[list[Turn], list[Turn]], tmp_path: Path
) -> None:
    assert accuracy_from_sound(parts, ConditionCache(tmp_path).full_av) > CHANCE_BAND[1]
