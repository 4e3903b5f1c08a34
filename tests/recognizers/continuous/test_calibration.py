"""The thresholds of a trained recogniser: from ratings, from its own predictions, or none with the reason."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.planted_features import NAMES, planted_recording, rated

from avemo_harness.metrics.profiles import calibrate
from avemo_harness.recognizers.card import TrajectoryCard
from avemo_harness.recognizers.checkpoint import load_trajectory_recognizer, save_recognizer
from avemo_harness.recognizers.heads.trajectory import ContinuousRecognizer, are_labels, with_calibration
from avemo_harness.recognizers.heads.trajectory_evaluation import Method, train_on
from avemo_harness.recognizers.judging import JudgeSetup, judge_modalities, open_judge
from avemo_harness.recognizers.recordings import Corpus, RatedRecording

ANCHORS = ((0.5, 0.5), (0.85, 0.75), (0.2, 0.8), (0.25, 0.25))


def labelled(speakers: int) -> list[RatedRecording]:
    """Recordings that move, rated as a label is: one place for each."""
    found = []
    for number in range(4 * speakers):
        one = planted_recording(f"l{number}", f"s{number // 4}", seed=number)
        still = np.tile(ANCHORS[number % 4], (len(one.trajectory), 1))
        found.append(replace(one, trajectory=rated(still)))
    return found


def uncalibrated(recognizer: ContinuousRecognizer) -> ContinuousRecognizer:
    return replace(recognizer, calibration=None)


def test_ratings_that_move_calibrate_by_themselves(recognizer: ContinuousRecognizer, corpus: Corpus) -> None:
    found = with_calibration(uncalibrated(recognizer), corpus.rated, [])
    assert not are_labels(corpus.rated)
    assert found.calibration == calibrate([one.trajectory for one in corpus.rated], "planted")
    assert found.card.no_calibration is None


def test_long_ratings_are_cut_into_turns_of_six_seconds(recognizer: ContinuousRecognizer) -> None:
    long = [planted_recording("long", "ann", seed=1, length=60), planted_recording("short", "bea", seed=2, length=48)]
    found = with_calibration(uncalibrated(recognizer), long, []).calibration
    assert found is not None
    assert found.n_turns == 5 + 1


def test_one_that_learned_from_labels_is_calibrated_on_its_own_predictions_for_other_speakers(
    recognizer: ContinuousRecognizer,
) -> None:
    recordings = labelled(4)
    held_out = [recognizer.features.views(one.streams, len(one.trajectory)) for one in recordings[8:]]
    found = with_calibration(uncalibrated(recognizer), recordings, held_out)
    predicted = [recognizer.trajectory(one.streams, "both") for one in recordings[8:]]
    assert are_labels(recordings)
    assert found.calibration == calibrate(predicted, "planted", "predictions")
    assert found.calibration.source == "predictions"
    assert found.calibration.n_turns == 8
    assert found.calibration.theta > 0


def test_one_that_says_the_same_of_everybody_has_no_calibration_and_its_card_says_why(
    recognizer: ContinuousRecognizer, tmp_path: Path
) -> None:
    silent = replace(recognizer, weights={name: np.zeros_like(one) for name, one in recognizer.weights.items()})
    recordings = labelled(4)
    held_out = [recognizer.features.views(one.streams, len(one.trajectory)) for one in recordings[8:]]
    found = with_calibration(uncalibrated(silent), recordings, held_out)
    reason = "delta_v is 0: the turns of lowest valence are no lower than all of them"
    assert found.calibration is None
    assert found.card.no_calibration == reason
    assert f"no calibration: {reason}" in found.card.lines()
    save_recognizer(found, list(NAMES), tmp_path / "judge")
    assert not (tmp_path / "judge" / "calibration.json").exists()
    assert f"no calibration: {reason}" in (tmp_path / "judge" / "README.md").read_text()
    assert load_trajectory_recognizer(tmp_path / "judge", tmp_path).card.no_calibration == reason


def test_recordings_of_a_single_value_calibrate_nothing(recognizer: ContinuousRecognizer) -> None:
    short = [planted_recording(f"r{number}", "ann", seed=number, length=1) for number in range(3)]
    rows = [recognizer.features.views(one.streams, 1) for one in short]
    reason = with_calibration(uncalibrated(recognizer), short, rows).card.no_calibration
    assert reason == "expected turns of one rate, some of at least two values"


def test_training_says_that_there_is_no_calibration(corpus: Corpus, method: Method) -> None:
    """Here ratings jump once and then stand still: nine in ten steps are none."""
    jumping = []
    for one in corpus.rated:
        values = np.tile(one.trajectory.values[-1], (20, 1))
        values[0] = one.trajectory.values[0]
        recording = planted_recording(one.recording_id, one.speaker, seed=1, length=20, part=one.part)
        jumping.append(replace(recording, trajectory=rated(values)))
    said: list[str] = []
    settings = replace(method.settings, most_epochs=1)
    found = train_on(Corpus("jumps", tuple(jumping)), replace(method, settings=settings, say=said.append))
    reason = "theta is 0: at least nine in ten steps from value to value are 0"
    assert (found.calibration, found.card.no_calibration) == (None, reason)
    assert [one for one in said if reason in one] == [
        f"the recogniser has no calibration: {reason}; it judges under every profile but `calibrated`"
    ]


@pytest.mark.parametrize(("key", "number"), [("delta_v", 0.0), ("delta_a", 0.0), ("theta", 0.0)])
def test_a_stored_calibration_that_shifts_nothing_is_none_and_the_card_says_why(
    key: str, number: float, recognizer: ContinuousRecognizer, tmp_path: Path
) -> None:
    save_recognizer(recognizer, list(NAMES), tmp_path / "judge")
    path = tmp_path / "judge" / "calibration.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: number}))
    judge = open_judge(str(tmp_path / "judge"), JudgeSetup(lambda: pytest.fail("not needed"), tmp_path))
    assert judge.calibration is None
    assert judge.card_values["no_calibration"].startswith(f"{key} is 0: ")


def test_files_of_before_say_nothing_of_where_a_calibration_is_from_and_are_read(
    recognizer: ContinuousRecognizer, tmp_path: Path
) -> None:
    save_recognizer(recognizer, list(NAMES), tmp_path / "judge")
    for name, lacking in (("calibration.json", "source"), ("card.json", "no_calibration")):
        path = tmp_path / "judge" / name
        values = json.loads(path.read_text())
        del values[lacking]
        path.write_text(json.dumps(values))
    again = load_trajectory_recognizer(tmp_path / "judge", tmp_path)
    assert again.calibration == recognizer.calibration
    assert again.identity() == recognizer.identity()
    assert again.card == recognizer.card


def test_agreements_of_before_are_read(recognizer: ContinuousRecognizer) -> None:
    values = json.loads(json.dumps(recognizer.card.to_json()))
    for one in values["agreements"]:
        del one["n_constant"]
    assert TrajectoryCard.from_json(values) == recognizer.card


def test_a_recogniser_makes_use_of_what_its_features_are_made_of(recognizer: ContinuousRecognizer) -> None:
    sound, face = recognizer.features.extractors
    assert judge_modalities(recognizer) == {"audio", "video"}
    for extractor, modality in ((sound, "audio"), (face, "video")):
        features = replace(recognizer.features, extractors=(extractor,))
        assert judge_modalities(replace(recognizer, features=features)) == {modality}
