"""Trajectory recognisers under a split, and the delay of the raters."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from support.planted_features import planted_features, planted_recording, rated

from avemo_harness.recognizers.heads.training import Method
from avemo_harness.recognizers.heads.trajectory import ContinuousRecognizer, TrajectorySettings
from avemo_harness.recognizers.heads.trajectory_evaluation import (
    SplitResult,
    TrajectoryPrediction,
    agreements,
    as_json,
    estimate_annotation_delay,
    evaluate_split,
    evaluate_trained,
    shift_ratings,
)
from avemo_harness.recognizers.recordings import Corpus, RatedRecording
from avemo_harness.recognizers.tables import modalities_table, systems_table


@pytest.fixture(scope="module")
def subject_wise(corpus: Corpus, method: Method[TrajectorySettings]) -> SplitResult:
    return evaluate_split(corpus, "subject-wise", method, n_folds=3)


def ccc(result: SplitResult) -> dict[tuple[str, str], float]:
    return {(one.view, one.dimension): one.ccc or 0.0 for one in result.agreements}


def test_every_speaker_is_evaluated_once_and_followed_well(corpus: Corpus, subject_wise: SplitResult) -> None:
    assert sorted(one.recording.recording_id for one in subject_wise.predicted) == sorted(
        one.recording_id for one in corpus.rated
    )
    folds = {one.recording.speaker: one.fold for one in subject_wise.predicted}
    assert all(folds[one.recording.speaker] == one.fold for one in subject_wise.predicted)
    found = ccc(subject_wise)
    assert min(found.values()) > 0.5
    assert found["both", "arousal"] >= max(found["audio", "arousal"], found["video", "arousal"]) - 0.02


def test_the_official_split_evaluates_its_test_part_as_a_trained_recogniser_does(
    corpus: Corpus, method: Method[TrajectorySettings], recognizer: ContinuousRecognizer
) -> None:
    official = evaluate_split(corpus, "official", method)
    assert {one.recording.part for one in official.predicted} == {"test"}
    again = evaluate_trained(recognizer, corpus)
    assert again.split == "test part"
    assert ccc(again) == ccc(official)
    of_card = {(one.view, one.dimension): one.ccc for one in recognizer.card.agreements if one.part == "test"}
    assert of_card == ccc(official)


def test_a_corpus_that_was_rated_live_is_moved_before_it_is_learned_from(method: Method[TrajectorySettings]) -> None:
    recordings = []
    for number in range(8):
        one = planted_recording(f"r{number}", f"s{number}", seed=number, length=60)
        behind = np.concatenate([np.repeat(one.trajectory.values[:1], 4, axis=0), one.trajectory.values])[:-4]
        recordings.append(replace(one, trajectory=rated(behind)))
    corpus = Corpus("late", tuple(recordings), rated_live=True)
    found = evaluate_split(corpus, "subject-wise", method, delay_s=None, n_folds=2)
    assert found.delays_s == (2.0, 2.0)
    assert {len(one.recording.trajectory) for one in found.predicted} == {56}
    assert "2 folds; ratings moved earlier by 2, 2 s" in modalities_table([found])[-1]


def test_tables_3_and_4_stand_as_in_the_paper(subject_wise: SplitResult) -> None:
    by_modality = modalities_table([subject_wise, replace(subject_wise, split="official")])
    assert by_modality[0].split()[:4] == ["CCC", "arousal", "valence", "mean"]
    assert [line.split("  ")[0] for line in by_modality[2:8]] == [
        f"{split}: {view}"
        for split in ("subject-wise", "official")
        for view in ("sound alone", "face alone", "sound and face")
    ]
    found = ccc(subject_wise)
    mean = (found["both", "arousal"] + found["both", "valence"]) / 2
    systems = systems_table(subject_wise)
    assert systems[-1].split()[-3:] == [
        f"{found['both', 'arousal']:.3f}",
        f"{found['both', 'valence']:.3f}",
        f"{mean:.3f}",
    ]
    assert systems[-2].split()[-3:] == ["0.687", "0.690", "0.689"]


def test_what_is_written_names_the_fold_of_every_recording(corpus: Corpus, subject_wise: SplitResult) -> None:
    written = json.loads(json.dumps(as_json(corpus, [subject_wise]), allow_nan=False))
    assert written["corpus"] == "planted"
    assert len(written["splits"][0]["folds"]) == len(corpus.rated)
    assert {one["view"] for one in written["splits"][0]["agreements"]} == {"both", "audio", "video"}


def test_concordance_with_what_stands_still_is_zero_or_left_out_and_never_minus_zero() -> None:
    """Of four recordings one has ratings that stand still, one is predicted as standing still."""
    recordings = [planted_recording(f"r{number}", f"s{number}", seed=number) for number in range(4)]
    still = np.full((12, 2), 0.3)
    recordings[0] = replace(recordings[0], trajectory=rated(still))
    predicted = [{"audio": one.trajectory.values} for one in recordings]
    predicted[1] = {"audio": still}
    found = agreements(recordings, predicted, "subject-wise")
    assert {(one.n_constant, one.n_recordings) for one in found} == {(1, 4)}
    assert [one.ccc_of_recordings for one in found] == pytest.approx([2 / 3, 2 / 3])
    shown = [TrajectoryPrediction(one, 0, values) for one, values in zip(recordings, predicted, strict=True)]
    lines = modalities_table([SplitResult("subject-wise", found, tuple(shown), (0.0,))])
    assert "ratings of valence stand still in 1, left out of the mean of recordings" in lines[-1]


@pytest.mark.parametrize(
    ("ratings", "prediction", "printed"), [(0.3, None, "0.000"), (None, 0.3, "0.000"), (0.3, 0.4, "—")]
)
def test_a_constant_side_prints_zero_without_a_sign_and_two_print_nothing(
    ratings: float | None, prediction: float | None, printed: str
) -> None:
    recordings, values = [], []
    for number in range(7):
        one = planted_recording(f"r{number}", f"s{number}", seed=number)
        moving = one.trajectory.values
        values.append({"audio": moving if prediction is None else np.full_like(moving, prediction)})
        recordings.append(one if ratings is None else replace(one, trajectory=rated(np.full_like(moving, ratings))))
    found = agreements(recordings, values, "all")
    shown = [TrajectoryPrediction(one, 0, each) for one, each in zip(recordings, values, strict=True)]
    lines = modalities_table([SplitResult("all", found, tuple(shown), (0.0,))])
    assert lines[2].split()[3] == printed
    assert not any(re.search(r"(?<!\d)-0\.00", line) for line in lines)


def late(recording: RatedRecording, steps: int) -> RatedRecording:
    values = recording.trajectory.values
    return replace(recording, trajectory=rated(np.concatenate([np.repeat(values[:1], steps, axis=0), values])[:-steps]))


@pytest.mark.parametrize("steps", [1, 4, 9])
def test_a_planted_delay_is_found(steps: int) -> None:
    recordings = [late(planted_recording(f"r{i}", f"s{i}", seed=i, length=80), steps) for i in range(6)]
    assert estimate_annotation_delay(recordings, planted_features()) == steps / 2


def test_there_is_none_where_ratings_are_on_time_or_recordings_too_short_to_tell() -> None:
    recordings = [planted_recording(f"r{i}", f"s{i}", seed=i, length=80) for i in range(6)]
    assert estimate_annotation_delay(recordings, planted_features()) == 0.0
    short = [late(planted_recording(f"r{i}", f"s{i}", seed=i, length=20), 4) for i in range(6)]
    assert estimate_annotation_delay(short, planted_features()) == 0.0


def test_ratings_are_moved_earlier_and_lose_their_end() -> None:
    recording = planted_recording("r", "s", seed=1, length=10)
    moved = shift_ratings(late(recording, 3), 1.5)
    np.testing.assert_array_equal(moved.trajectory.values, recording.trajectory.values[:7])
    assert shift_ratings(recording, 0.0).trajectory.values.shape == (10, 2)
