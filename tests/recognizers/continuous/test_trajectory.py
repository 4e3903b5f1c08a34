"""The trajectory head: network and loss, training on planted recordings, calibration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.planted_features import NAMES, planted_corpus, planted_features, planted_recording, rated

from avemo_harness.errors import UsageError
from avemo_harness.metrics.agreement import concordance, series_moments
from avemo_harness.metrics.profiles import calibrate
from avemo_harness.recognizers.card import TrajectoryCard
from avemo_harness.recognizers.checkpoint import load_trajectory_recognizer, save_recognizer
from avemo_harness.recognizers.features.feature_set import MASK_BITS, Scaling, fit_scaling
from avemo_harness.recognizers.heads.training import Method
from avemo_harness.recognizers.heads.trajectory import (
    ContinuousRecognizer,
    TrajectorySettings,
    are_labels,
    concordance_loss,
    fingerprint,
    make_examples,
    make_network,
    padded,
    train_recognizer,
    with_calibration,
)
from avemo_harness.recognizers.heads.trajectory_evaluation import agreements, predict, train_on
from avemo_harness.recognizers.judging import JudgeSetup, judge_modalities, open_judge
from avemo_harness.recognizers.recordings import Corpus, RatedRecording


def rows(length: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(length, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return make_network(5, hidden=8).eval()


def test_a_recording_is_followed_the_same_alone_and_beside_longer_ones(network: torch.nn.Module) -> None:
    recordings = [rows(length, seed=length) for length in (3, 1, 9, 4)]
    with torch.inference_mode():
        together = network(padded(recordings), [len(one) for one in recordings])
        for one, found in zip(recordings, together, strict=True):
            alone = network(padded([one]), [len(one)])[0]
            torch.testing.assert_close(found[: len(one)], alone, rtol=0, atol=1e-6)


def test_what_is_predicted_is_valence_and_arousal_on_the_unit_scale(network: torch.nn.Module) -> None:
    with torch.inference_mode():
        found = network(padded([100 * rows(7, seed=1)]), [7])
    assert found.shape == (1, 7, 2)
    assert bool(((found >= 0) & (found <= 1)).all())


def test_nothing_is_dropped_when_it_is_not_training() -> None:
    torch.manual_seed(0)
    dropping = make_network(5, hidden=8, dropout=0.5).eval()
    with torch.inference_mode():
        first, again = (dropping(padded([rows(6, seed=2)]), [6]) for _ in range(2))
    assert torch.equal(first, again)


@settings(max_examples=30)
@given(st.integers(2, 40), st.integers(0, 1000))
def test_the_loss_is_one_minus_the_concordance_that_is_reported(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    predicted, truth = rng.random((2, count, 2))
    ccc = [float(concordance(series_moments(predicted[:, i], truth[:, i]))) for i in range(2)]
    loss = concordance_loss(torch.from_numpy(predicted), torch.from_numpy(truth))
    assert float(loss) == pytest.approx(1 - np.mean(ccc), abs=1e-9)


def test_a_constant_prediction_has_a_finite_gradient() -> None:
    predicted = torch.full((6, 2), 0.5, requires_grad=True)
    concordance_loss(predicted, torch.full((6, 2), 0.5)).backward()
    assert predicted.grad is not None
    assert bool(torch.isfinite(predicted.grad).all())


QUICK = TrajectorySettings(hidden=16, most_epochs=25, learning_rate=5e-3, dropout=0.1)


def silent(sentence: str) -> None:
    del sentence


@pytest.fixture(scope="module")
def recordings() -> list[RatedRecording]:
    return planted_corpus(speakers=12)


def train(recordings: list[RatedRecording], settings: TrajectorySettings = QUICK) -> ContinuousRecognizer:
    training = [one for one in recordings if int(one.speaker[1:]) < 7]
    validation = [one for one in recordings if 7 <= int(one.speaker[1:]) < 9]
    return train_recognizer(training, validation, planted_features(), "planted", settings, silent)


def unseen(recordings: list[RatedRecording]) -> list[RatedRecording]:
    return [one for one in recordings if int(one.speaker[1:]) >= 9]


@pytest.fixture(scope="module")
def trained(recordings: list[RatedRecording]) -> ContinuousRecognizer:
    return train(recordings)


def test_speakers_that_it_has_not_met_are_followed_under_every_view(
    trained: ContinuousRecognizer, recordings: list[RatedRecording]
) -> None:
    test = unseen(recordings)
    ccc = {(one.view, one.dimension): one.ccc or 0.0 for one in agreements(test, predict(trained, test), "test")}
    assert len(ccc) == 6
    assert min(ccc.values()) > 0.5
    for dimension in ("valence", "arousal"):
        assert ccc["both", dimension] >= max(ccc["audio", dimension], ccc["video", dimension]) - 0.02


def test_one_that_never_was_shown_sound_alone_is_worse_at_it(
    trained: ContinuousRecognizer, recordings: list[RatedRecording]
) -> None:
    whole = train(recordings, replace(QUICK, shares=(1.0, 0.0, 0.0)))
    test = unseen(recordings)

    def heard(one: ContinuousRecognizer) -> float:
        found = agreements(test, predict(one, test), "test")
        return float(np.mean([each.ccc for each in found if each.view == "audio"]))

    assert heard(trained) > heard(whole) + 0.02


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    trained: ContinuousRecognizer, recordings: list[RatedRecording]
) -> None:
    again, other = train(recordings), train(recordings, replace(QUICK, seed=1))
    for name, values in trained.weights.items():
        np.testing.assert_array_equal(again.weights[name], values)
    assert trained.identity() == again.identity() != other.identity()


def test_it_does_not_matter_how_many_processors_there_are(
    trained: ContinuousRecognizer, recordings: list[RatedRecording]
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(3 - min(threads, 2))
    try:
        assert train(recordings).identity() == trained.identity()
        assert torch.get_num_threads() == 3 - min(threads, 2)
    finally:
        torch.set_num_threads(threads)


def test_nothing_is_learned_from_ratings_that_belong_to_others(recordings: list[RatedRecording]) -> None:
    turned = [
        replace(one, trajectory=rated(np.resize(other.trajectory.values, one.trajectory.values.shape)))
        for one, other in zip(recordings, [*recordings[17:], *recordings[:17]], strict=True)
    ]
    test = unseen(turned)
    found = agreements(test, predict(train(turned), test), "test")
    assert max(abs(one.ccc or 0.0) for one in found) < 0.35


def test_a_recording_without_a_face_is_learned_from_by_its_sound(recordings: list[RatedRecording]) -> None:
    heard = [replace(one, streams=replace(one.streams, face=None)) for one in recordings]
    test = unseen(heard)
    found = agreements(test, predict(train(heard), test), "test")
    assert {one.view for one in found} == {"audio"}
    assert min(one.ccc or 0.0 for one in found) > 0.5


def test_a_group_on_both_sides_is_refused() -> None:
    one = planted_recording("a", "ann", seed=1)
    with pytest.raises(UsageError, match="'ann' is in the training and in the validation part"):
        train_recognizer([one], [replace(one, recording_id="b")], planted_features(), "planted", QUICK)
    with pytest.raises(UsageError, match="found 1 and 0"):
        train_recognizer([one], [], planted_features(), "planted", QUICK)


def test_the_card_says_what_was_learned_from(trained: ContinuousRecognizer) -> None:
    training = trained.card.training
    assert (training.corpus, training.n_recordings, training.n_speakers) == ("planted", 36, 9)
    assert training.split == "validated on 2 other speakers"
    assert trained.card.extractors == ("planted-audio", "planted-video")
    assert trained.calibration is not None


def test_the_fingerprint_depends_on_ratings_recordings_and_order(recordings: list[RatedRecording]) -> None:
    first = recordings[0]
    moved = replace(first, trajectory=rated(first.trajectory.values * 0.9))
    found = {
        fingerprint(of)
        for of in (recordings[:2], recordings[1::-1], [moved, recordings[1]], [recordings[0], recordings[2]])
    }
    assert len(found) == 4
    assert fingerprint(recordings[:2]) == fingerprint(list(recordings[:2]))


def test_rows_are_standardised_by_what_is_shown_and_mask_bits_stay(recordings: list[RatedRecording]) -> None:
    features = planted_features()
    some = [*recordings[:6], replace(recordings[6], streams=replace(recordings[6].streams, face=None))]
    examples = make_examples(some, features, silent)
    scaling = fit_scaling([one.rows for one in examples], features.column_mask)
    sound = np.concatenate([one.rows["audio"][:, :6] for one in examples]).astype(np.float64)
    np.testing.assert_allclose(scaling.mean[:6], sound.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scaling.deviation[:6], sound.std(axis=0), rtol=1e-4)
    assert scaling.mean[-MASK_BITS:].tolist() == [0, 0]
    heard = scaling.apply(examples[0].rows["audio"], features.column_mask("audio"))
    assert np.all(heard[:, 6:12] == 0)
    assert np.all(heard[:, -MASK_BITS:] == [1, 0])


def test_what_lies_beyond_the_training_range_is_cut() -> None:
    scaling = Scaling(np.zeros(2, dtype=np.float32), np.ones(2, dtype=np.float32))
    scaled = scaling.apply(np.array([[50.0, -50.0]], dtype=np.float32), np.array([True, True]))
    assert scaled.tolist() == [[3.0, -3.0]]


def test_the_reported_agreement_is_that_of_all_values_together(
    trained: ContinuousRecognizer, recordings: list[RatedRecording]
) -> None:
    test = unseen(recordings)
    predicted = predict(trained, test)
    found = next(one for one in agreements(test, predicted, "test") if (one.view, one.dimension) == ("both", "valence"))
    said = np.concatenate([one["both"][:, 0] for one in predicted])
    truth = np.concatenate([one.trajectory.column("valence") for one in test])
    assert found.ccc == pytest.approx(float(concordance(series_moments(said, truth))), abs=1e-9)
    assert found.n_values == len(truth)
    assert found.rmse == pytest.approx(float(np.sqrt(np.mean((said - truth) ** 2))), abs=1e-9)
    own = [
        float(concordance(series_moments(one["both"][:, 0], each.trajectory.column("valence"))))
        for one, each in zip(predicted, test, strict=True)
    ]
    assert found.ccc_of_recordings == pytest.approx(np.mean(own), abs=1e-9)


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


def test_training_says_that_there_is_no_calibration(corpus: Corpus, method: Method[TrajectorySettings]) -> None:
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
