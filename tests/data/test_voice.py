"""The voice: its length, its level, and how emotion changes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avemo_harness.data.synthesis.affect import AffectPath, Speaker
from avemo_harness.data.synthesis.voice import Speech, VoiceVariation, control_times, speak
from avemo_harness.recognizers.features.sound import sound_features

TEXT = "The blue box is on the kitchen table."
HABITS = VoiceVariation(level_db=0, pitch_semitones=0, brightness_db=0, tempo=1, liveliness=1, noise_db=-60)


def say(emotion: str, speaker: Speaker, habits: VoiceVariation = HABITS, seed: int = 3) -> Speech:
    path = AffectPath.draw(emotion, np.random.default_rng(seed))
    return speak(TEXT, speaker, path.at(control_times(2.4)), habits, np.random.default_rng(seed))


def level_db(speech: Speech) -> float:
    return float(10 * np.log10(np.mean(speech.samples**2)))


@pytest.fixture(scope="module", params=range(4))
def speaker(request: pytest.FixtureRequest) -> Speaker:
    return Speaker.draw("someone", request.param)


def test_sound_and_mouth_are_as_long_as_asked(speaker: Speaker) -> None:
    speech = say("neutral", speaker)
    assert speech.samples.shape == (38_400,)
    assert speech.opening.shape == (481,)


def test_samples_are_whole_16_bit_steps_within_full_scale(speaker: Speaker) -> None:
    steps = say("angry", speaker, replace(HABITS, level_db=12)).samples * np.float32(32767)
    assert np.abs(steps - steps.round()).max() < 0.01
    assert np.abs(steps).max() <= 32767


def test_the_mouth_is_closed_before_the_first_sound_and_opens_later(speaker: Speaker) -> None:
    opening = say("happy", speaker).opening
    assert (opening[:20] == 0).all()
    assert 0.4 < opening.max() <= 1


def test_speech_is_heard(speaker: Speaker) -> None:
    assert sound_features(say("neutral", speaker).samples).has_speech


def test_sadness_is_quieter_and_anger_louder(speaker: Speaker) -> None:
    levels = {emotion: level_db(say(emotion, speaker)) for emotion in ("sad", "neutral", "angry")}
    assert levels["sad"] < levels["neutral"] - 2
    assert levels["angry"] > levels["neutral"] + 2


def test_level_differs_between_recordings(speaker: Speaker) -> None:
    louder = say("neutral", speaker, replace(HABITS, level_db=6))
    assert level_db(louder) - level_db(say("neutral", speaker)) == pytest.approx(6, abs=1)


def test_a_text_without_vowels_is_still_spoken() -> None:
    path = AffectPath.draw("neutral", np.random.default_rng(0))
    affect = path.at(control_times(1.0))
    speech = speak("...", Speaker.draw("someone", 0), affect, HABITS, np.random.default_rng(0))
    assert speech.opening.max() > 0
