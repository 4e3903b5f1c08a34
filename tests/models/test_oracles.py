"""Oracles that know one stream prove that each condition lets exactly that stream through."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from scipy import stats

from avemo_harness import evaluate
from avemo_harness.benchmark.conditions import ConditionCache
from avemo_harness.benchmark.release import Clip
from avemo_harness.report.results import RunResult

pytestmark = pytest.mark.slow


def value(result: RunResult, column: str) -> float:
    metric = result.groups["demo"].columns[column]
    assert metric is not None
    assert metric.value is not None
    return metric.value


def in_chance_band(result: RunResult, column: str, chance: float = 0.25) -> bool:
    """True if a rate lies in the binomial 99 % band of guessing among four labels."""
    metric = result.groups["demo"].columns[column]
    low, high = stats.binom.interval(0.99, metric.n, chance)
    return bool(low <= round(metric.value * metric.n) <= high)


def check_oracle(result: RunResult, known: str, unknown: str) -> None:
    """An oracle of one stream is right wherever that stream is, believes it in a conflict, and guesses without it."""
    assert value(result, "Acc_AV") == 1.0
    assert value(result, f"Acc_{known}") == 1.0
    assert value(result, f"{known}AR") == 1.0
    assert value(result, f"{unknown}AR") == 0.0
    assert in_chance_band(result, f"Acc_{unknown}")


def test_the_audio_oracle_hears_the_voice_wherever_it_is(tmp_path: Path) -> None:
    check_oracle(evaluate("audio-oracle", "demo", output_path=tmp_path / "run"), known="A", unknown="V")


def test_the_video_oracle_sees_the_face_wherever_it_is(tmp_path: Path) -> None:
    check_oracle(evaluate("video-oracle", "demo", output_path=tmp_path / "run"), known="V", unknown="A")


def test_planted_swap_of_the_streams_of_a_conflict_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = ConditionCache.conflict

    def swapped(self: ConditionCache, audio: Clip, video: Clip) -> Clip:
        return straight(self, video, audio)

    monkeypatch.setattr(ConditionCache, "conflict", swapped)
    result = evaluate("audio-oracle", "demo", output_path=tmp_path / "run")
    with pytest.raises(AssertionError):
        check_oracle(result, known="A", unknown="V")
    assert value(result, "VAR") == 1.0


def test_a_condition_that_lets_the_face_through_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ConditionCache, "audio_only", ConditionCache.full_av)
    result = evaluate("video-oracle", "demo_audio_only", output_path=tmp_path / "run")
    assert value(result, "Acc_A") == 1.0
    assert not in_chance_band(result, "Acc_A")


def test_random_answers_lie_in_the_chance_band(tmp_path: Path) -> None:
    result = evaluate("random", "demo", output_path=tmp_path / "run")
    assert all(in_chance_band(result, column) for column in ("Acc_AV", "Acc_A", "Acc_V", "AAR", "VAR"))
    assert in_chance_band(result, "OLR", chance=0.5)
    assert math.isclose(sum(value(result, column) for column in ("AAR", "VAR", "OLR")), 1.0)


def test_a_constant_answer_gets_a_quarter_of_the_balanced_turns(tmp_path: Path) -> None:
    result = evaluate("constant", "demo", output_path=tmp_path / "run", model_args={"label": "sad"})
    assert value(result, "Acc_AV") == pytest.approx(0.25)
