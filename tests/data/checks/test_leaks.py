"""The leak checks are quiet on clips that do not leak, fire on those that do, and say so where they cannot tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.acted_release import changed, loud_by_emotion, opened_in_emotion, surveyed, write_acted

from avemo_harness.benchmark.release import Dialogue
from avemo_harness.data.checks.shortcuts import (
    check_durations,
    check_first_frame,
    check_loudness,
    check_noise,
)
from avemo_harness.data.checks.survey import SurveyedConfig


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


def test_what_few_speakers_seem_to_leak_is_no_failure(acted: list[Dialogue], conditions: Path, tmp_path: Path) -> None:
    folder = write_acted(tmp_path / "release", changed(acted[:32], loud_by_emotion))
    finding = check_noise(surveyed(folder, conditions, "rms_matched"))
    assert finding.verdict == "cannot tell"
    assert finding.summary.startswith("32 clips of 4 speakers are too few: it takes 5 speakers")


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
