"""Emotion from real voices of actors never met, without any normalisation by speaker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from avemo_harness import media
from avemo_harness.recognizers.features.builtin import ClipFeatures
from avemo_harness.recognizers.features.sound import sound_features
from avemo_harness.recognizers.heads.late_fusion import FusionRecognizer

EMOTION_CODES = {"01": "neutral", "03": "happy", "04": "sad", "05": "angry"}
FLOOR = 0.65


@dataclass(frozen=True)
class Recording:
    clip: ClipFeatures
    emotion: str
    actor: str


@pytest.fixture(scope="module")
def recordings(real_media: Path) -> list[Recording]:
    found = []
    for path in sorted(real_media.glob("ravdess_speech/*/*.flac")):
        samples, rate = media.read_sound_file(path)
        assert rate == 16_000
        _, _, emotion, _, _, _, actor = path.stem.split("-")
        found.append(Recording(ClipFeatures(sound_features(samples), None), EMOTION_CODES[emotion], actor))
    return found


def fit(recordings: list[Recording]) -> FusionRecognizer:
    clips = [one.clip for one in recordings]
    return FusionRecognizer.fit(clips, [one.emotion for one in recordings], [one.actor for one in recordings], seed=0)


@pytest.mark.slow
def test_emotion_is_recognised_when_each_actor_in_turn_is_left_out(recordings: list[Recording]) -> None:
    assert len(recordings) == 336
    hits = []
    for actor in sorted({one.actor for one in recordings}):
        recognizer = fit([one for one in recordings if one.actor != actor])
        for one in (one for one in recordings if one.actor == actor):
            answer = recognizer.labels[recognizer.log_probabilities(one.clip.sound, None).argmax()]
            hits.append(answer == one.emotion)
    assert np.mean(hits) > FLOOR


@pytest.mark.slow
def test_with_shuffled_labels_nothing_is_recognised(recordings: list[Recording]) -> None:
    emotions = np.random.default_rng(0).permutation([one.emotion for one in recordings]).tolist()
    shuffled = [Recording(one.clip, emotion, one.actor) for one, emotion in zip(recordings, emotions, strict=True)]
    recognizer = fit([one for one in shuffled if int(one.actor) <= 8])
    tested = [one for one in shuffled if int(one.actor) > 8]
    answers = [recognizer.labels[recognizer.log_probabilities(one.clip.sound, None).argmax()] for one in tested]
    assert np.mean([answer == one.emotion for answer, one in zip(answers, tested, strict=True)]) < 0.4
