"""Training: what is learned is there to be learned, the same each time, and from the streams that are shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.planted_features import planted_corpus, planted_features, planted_recording, rated

from avemo_harness.errors import UsageError
from avemo_harness.metrics.agreement import concordance, series_moments
from avemo_harness.recognizers.features.feature_set import MASK_BITS, Scaling, fit_scaling
from avemo_harness.recognizers.heads.trajectory import (
    ContinuousRecognizer,
    TrajectorySettings,
    fingerprint,
    make_examples,
    train_recognizer,
)
from avemo_harness.recognizers.heads.trajectory_evaluation import agreements, predict
from avemo_harness.recognizers.recordings import RatedRecording

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
    scaling = fit_scaling([one.rows for one in examples], features.shown)
    sound = np.concatenate([one.rows["audio"][:, :6] for one in examples]).astype(np.float64)
    np.testing.assert_allclose(scaling.mean[:6], sound.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scaling.deviation[:6], sound.std(axis=0), rtol=1e-4)
    assert scaling.mean[-MASK_BITS:].tolist() == [0, 0]
    heard = scaling.apply(examples[0].rows["audio"], features.shown("audio"))
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
