"""Shortcuts are found where duration, loudness, noise or first frame tell the emotion, and only there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.acted_release import changed, loud_by_emotion, opened_in_emotion, surveyed, write_acted

from avemo_harness.benchmark.release import EMOTIONS, Dialogue
from avemo_harness.data.checks.shortcuts import (
    LEAST_SPEAKERS,
    assess,
    check_durations,
    check_first_frame,
    check_loudness,
    check_noise,
    guess_emotions,
    planted,
)
from avemo_harness.data.checks.survey import SurveyedConfig

N = 96
SPEAKERS = [f"speaker{i % 8}" for i in range(N)]
LABELS = [EMOTIONS[i // 8 % 4] for i in range(N)]


def noise(seed: int, width: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((N, width))


def test_what_is_planted_is_found() -> None:
    guess = guess_emotions(planted(noise(0), LABELS), LABELS, SPEAKERS)
    assert guess is not None
    assert guess.tells
    assert guess.accuracy > 0.7
    assert (guess.chance, guess.n, guess.speakers) == (0.25, N, 8)


def test_numbers_that_are_the_same_for_every_clip_of_an_emotion_are_found() -> None:
    rows = np.array([[1.0 + EMOTIONS.index(label)] for label in LABELS])
    guess = guess_emotions(rows, LABELS, SPEAKERS)
    assert guess is not None
    assert guess.accuracy == pytest.approx(1)
    assert guess.tells


def test_blind_guesses_lie_above_the_band_about_once_in_a_hundred() -> None:
    guesses = [guess_emotions(noise(seed), LABELS, SPEAKERS) for seed in range(30)]
    assert sum(guess is not None and guess.tells for guess in guesses) <= 2


def test_what_differs_between_speakers_alone_does_not_tell() -> None:
    offsets = 5 * np.random.default_rng(1).standard_normal((8, 5))
    rows = noise(2) / 10 + offsets[np.arange(N) % 8]
    guess = guess_emotions(rows, LABELS, SPEAKERS)
    assert guess is not None
    assert not guess.tells


def test_numbers_that_never_differ_tell_nothing() -> None:
    guess = guess_emotions(np.ones((N, 3)), LABELS, SPEAKERS)
    assert guess is not None
    assert guess.accuracy == pytest.approx(guess.chance)


def test_a_frequent_emotion_is_no_safer_guess() -> None:
    labels = np.random.default_rng(6).choice(EMOTIONS, N, p=[0.1, 0.7, 0.1, 0.1]).tolist()
    guess = guess_emotions(noise(3), labels, SPEAKERS)
    assert guess is not None
    assert not guess.tells


@pytest.mark.parametrize(
    ("labels", "speakers"),
    [
        (["sad"] * N, SPEAKERS),
        (LABELS, ["Ann"] * N),
        (LABELS, [f"speaker{i % (LEAST_SPEAKERS - 1)}" for i in range(N)]),
        ([*EMOTIONS, *["sad"] * (N - 4)], SPEAKERS),
    ],
    ids=["one emotion", "one speaker", "few speakers", "emotions of one clip each"],
)
def test_too_little_is_no_guess(labels: list[str], speakers: list[str]) -> None:
    assert guess_emotions(noise(4), labels, speakers) is None


def test_a_band_is_wider_where_clips_of_a_speaker_are_alike() -> None:
    truth = np.arange(N) // 8 % 4
    together = np.array([i % 8 < 4 for i in range(N)])
    apart = np.random.default_rng(5).permutation(together)
    alike, unlike = (assess(right, truth, SPEAKERS, 0.25) for right in (together, apart))
    assert alike.chance_high > unlike.chance_high


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.booleans()), min_size=1, max_size=60))
@settings(max_examples=50)
def test_the_band_holds_chance_and_the_accuracy_is_a_share(clips: list[tuple[int, int, bool]]) -> None:
    names = sorted({label for label, _, _ in clips})
    truth = np.array([names.index(label) for label, _, _ in clips], dtype=np.intp)
    guess = assess(np.array([right for _, _, right in clips]), truth, [f"s{who}" for _, who, _ in clips], 0.25)
    assert 0.25 <= guess.chance_high <= 1
    assert 0 <= guess.accuracy <= 1 + 1e-9


def test_clips_that_do_not_leak_pass(material: SurveyedConfig) -> None:
    for check in (check_noise, check_first_frame):
        finding = check(material)
        assert finding.verdict == "pass", finding.summary
        assert finding.details["control"].tells


@pytest.fixture(scope="module")
def loud(acted: list[Dialogue], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_acted(tmp_path_factory.mktemp("loud") / "release", changed(acted[:40], loud_by_emotion))


def test_noise_at_the_level_of_the_speech_leaks_it(loud: Path, conditions: Path) -> None:
    finding = check_noise(surveyed(loud, conditions, "rms_matched"))
    assert finding.verdict == "fail"
    assert finding.summary.startswith("the emotion is guessed from it: ")


def test_noise_of_a_fixed_level_does_not_leak_it_and_the_loudness_itself_is_told(loud: Path, conditions: Path) -> None:
    material = surveyed(loud, conditions)
    assert check_noise(material).verdict == "pass"
    loudness = check_loudness(material)
    assert loudness.verdict == "warn"
    means = {row["emotion"]: row["mean"] for row in loudness.details["table"]}
    assert means["sad"] < means["neutral"] < means["happy"] < means["angry"]


@pytest.mark.slow
def test_clips_that_open_in_emotion_leak_it_in_their_first_frame(
    acted: list[Dialogue], conditions: Path, tmp_path: Path
) -> None:
    folder = write_acted(tmp_path / "release", changed(acted, opened_in_emotion))
    material = surveyed(folder, conditions)
    assert check_first_frame(material).verdict == "fail"
    assert check_noise(material).verdict == "pass"


def test_too_few_clips_are_no_pass(acted: list[Dialogue], conditions: Path, tmp_path: Path) -> None:
    material = surveyed(write_acted(tmp_path / "release", acted[:16]), conditions)
    for check in (check_first_frame, check_durations):
        assert check(material).verdict == "cannot tell"
    alone = surveyed(write_acted(tmp_path / "alone", acted[:8]), conditions)
    for check in (check_noise, check_first_frame, check_durations, check_loudness):
        assert check(alone).verdict == "cannot tell"
        assert "8 clips of 1 speakers are too few: it takes 5 speakers, and each emotion" in check(alone).summary


def test_durations_that_tell_the_emotion_are_told(material: SurveyedConfig) -> None:
    assert check_durations(material).verdict == "pass"
    seconds = {"neutral": 1.0, "happy": 1.5, "angry": 2.0, "sad": 2.5}
    clips = {
        one.clip.sha256: replace(one.facts, sound_s=seconds[one.emotion], video_s=seconds[one.emotion])
        for one in material.labelled()
    }
    finding = check_durations(replace(material, clips=clips))
    assert finding.verdict == "warn"
    assert "neutral 1.0, happy 1.5, angry 2.0, sad 2.5 s" in finding.summary
