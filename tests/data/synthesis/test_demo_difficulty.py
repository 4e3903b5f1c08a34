"""The demo as it ships: neither trivial nor hopeless, and nothing but voice and face tells the emotion.

All figures are accuracies on the 160 user turns of the four unseen speakers; chance is 0.25.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from avemo_harness import files, media
from avemo_harness.benchmark.release import Turn
from avemo_harness.benchmark.release_loader import load_release
from avemo_harness.data.synthesis.demo import demo_release
from avemo_harness.recognizers.features.builtin import ClipFeatures, clip_features
from avemo_harness.recognizers.features.face import face_features
from avemo_harness.recognizers.heads.late_fusion import FusionRecognizer

pytestmark = pytest.mark.slow

CHANCE_BAND = (0.16, 0.34)
"""Holds 99 % of the accuracies of guessing 160 times."""
TOLD = 0.45

STILLS_PER_SECOND = 2

Floats = NDArray[np.float64]
Stills = list[NDArray[np.uint8]]


@dataclass(frozen=True)
class Parts:
    """The user turns of both parts."""

    train: list[Turn]
    test: list[Turn]


@pytest.fixture(scope="module")
def demo() -> Path:
    return demo_release(files.cache_dir())


@pytest.fixture(scope="module")
def parts(demo: Path) -> Parts:
    releases = [load_release(str(demo), "demo", split) for split in ("train", "test")]
    return Parts(*([t for d in release.dialogues for t in d.turns if t.role == "user"] for release in releases))


@pytest.fixture(scope="module")
def heard_and_seen(parts: Parts) -> tuple[list[ClipFeatures], list[ClipFeatures]]:
    train, test = ([clip_features(turn.clip.read()) for turn in turns] for turns in (parts.train, parts.test))
    return train, test


@pytest.fixture(scope="module")
def stills(parts: Parts) -> tuple[Stills, Stills]:
    """Two frames a second of every clip of both parts."""
    train, test = (
        [media.decode_frames(turn.clip.read(), fps=STILLS_PER_SECOND, size=(96, 96)).pixels for turn in turns]
        for turns in (parts.train, parts.test)
    )
    return train, test


@pytest.fixture(scope="module")
def accuracies(parts: Parts, heard_and_seen: tuple[list[ClipFeatures], list[ClipFeatures]]) -> dict[str, float]:
    """Of the fusion recogniser given the sound, the face, or both."""
    train, test = heard_and_seen
    recognizer = FusionRecognizer.fit(
        train, [turn.emotion for turn in parts.train], [turn.speaker_id for turn in parts.train], seed=0
    )
    given = {
        "A": [ClipFeatures(clip.sound, None) for clip in test],
        "V": [ClipFeatures(None, clip.face) for clip in test],
        "AV": test,
    }
    return {
        name: float(
            np.mean(
                [
                    recognizer.labels[recognizer.log_probabilities(clip.sound, clip.face).argmax()] == turn.emotion
                    for clip, turn in zip(clips, parts.test, strict=True)
                ]
            )
        )
        for name, clips in given.items()
    }


def accuracy_from(train: Floats, test: Floats, parts: Parts) -> float:
    """Of logistic regression on rows of numbers."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=3000))
    classifier.fit(train, [turn.emotion for turn in parts.train])
    return float(classifier.score(test, [turn.emotion for turn in parts.test]))


def test_the_release_is_small_and_there_at_once_the_second_time(demo: Path) -> None:
    assert demo_release(files.cache_dir()) == demo
    assert sum(path.stat().st_size for path in demo.rglob("*") if path.is_file()) < 25 * 10**6


def test_a_single_stream_tells_much_but_not_all(accuracies: dict[str, float]) -> None:
    assert 0.55 <= accuracies["A"] <= 0.82
    assert 0.55 <= accuracies["V"] <= 0.82


def test_both_streams_tell_more_than_one(accuracies: dict[str, float]) -> None:
    assert max(accuracies["A"], accuracies["V"]) <= accuracies["AV"]
    assert 0.75 <= accuracies["AV"] <= 0.92


@pytest.mark.parametrize(("time_s", "told"), [(0.0, False), (1.5, True)])
def test_the_first_frame_tells_nothing_and_one_after_a_second_and_a_half_does(
    parts: Parts, stills: tuple[Stills, Stills], time_s: float, told: bool
) -> None:
    train, test = (
        np.stack([face_features(clip[[round(time_s * STILLS_PER_SECOND)]]).values for clip in clips])
        for clips in stills
    )
    accuracy = accuracy_from(train, test, parts)
    assert accuracy > TOLD if told else CHANCE_BAND[0] < accuracy < CHANCE_BAND[1]


@pytest.mark.parametrize(("sad_longer_by_s", "told"), [(0.0, False), (1.0, True)])
def test_length_tells_nothing_and_would_if_it_differed(parts: Parts, sad_longer_by_s: float, told: bool) -> None:
    train, test = (
        np.array([[turn.duration_s + sad_longer_by_s * (turn.emotion == "sad")] for turn in turns])
        for turns in (parts.train, parts.test)
    )
    accuracy = accuracy_from(train, test, parts)
    assert accuracy > CHANCE_BAND[1] if told else CHANCE_BAND[0] < accuracy < CHANCE_BAND[1]
