"""The label head: pooled rows, training on planted recordings, and the probabilities of what was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from support.planted_features import WIDTH, PlantedFace, PlantedSound, planted_features
from support.planted_labels import QUICK, labelled, labelled_corpus

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.errors import UsageError
from avemo_harness.recognizers.features.base import Features
from avemo_harness.recognizers.features.feature_set import FeatureSet, Scaling
from avemo_harness.recognizers.heads.label_evaluation import evaluate_categorical, train_categorical
from avemo_harness.recognizers.heads.labels import (
    CategoricalRecognizer,
    Fitted,
    LabelSettings,
    fit,
    make_examples,
    pooled_features,
    row_mask,
    row_width,
    within_speakers,
)
from avemo_harness.recognizers.heads.training import Method
from avemo_harness.recognizers.recordings import MODALITIES, Corpus, LabelledRecording, Modality, Part, Recording

FEATURES = planted_features()


class PlantedPair(PlantedSound):
    """Looks at both streams at once: at their difference, or at what is there of them."""

    modality: Modality = "both"

    def extract(self, streams: Recording, count: int, view: Modality) -> Features:
        sound, face = (one().extract(streams, count, view) for one in (PlantedSound, PlantedFace))
        return sound - face if view == "both" else sound if view == "audio" else face


def test_a_row_is_mean_and_spread_of_every_feature_and_the_bits() -> None:
    one = labelled("a", "happy", "ann")
    row = pooled_features(one.streams, FEATURES)["both"]
    assert row.shape == (1, row_width(FEATURES)) == (1, 4 * WIDTH + 2)
    rows = FEATURES.rows(one.streams, 8, "both")[:, :-2]
    np.testing.assert_allclose(row[0, :-2], np.concatenate([rows.mean(axis=0), rows.std(axis=0)]), rtol=1e-5)
    assert row[0, -2:].tolist() == [1, 1]


def test_what_a_view_hides_is_zero_once_standardised_bits_among_it() -> None:
    rows = pooled_features(labelled("a", "happy", "ann").streams, FEATURES)
    plain = Scaling(np.zeros(26, dtype=np.float32), np.ones(26, dtype=np.float32))
    heard, seen = (plain.apply(rows[view], row_mask(FEATURES, view))[0] for view in ("audio", "video"))
    sound = np.r_[:6, 12:18]
    assert (heard[sound] != 0).all()
    assert not np.delete(heard[:24], sound).any()
    assert not seen[sound].any()
    assert (heard[-2:].tolist(), seen[-2:].tolist()) == ([1, 0], [0, 1])


def test_an_extractor_of_both_streams_describes_each_view_by_itself() -> None:
    rows = pooled_features(labelled("a", "happy", "ann").streams, FeatureSet((PlantedPair(),)))
    assert len({row.tobytes() for row in rows.values()}) == 3
    np.testing.assert_allclose((rows["audio"] - rows["video"])[0, :6], rows["both"][0, :6], atol=1e-6)


def test_a_recording_without_a_face_has_one_view() -> None:
    one = labelled("a", "happy", "ann").streams
    assert list(pooled_features(replace(one, face=None), FEATURES)) == ["audio"]


def test_within_speakers_everybody_is_on_average_the_same() -> None:
    recordings = [*labelled_corpus(3), labelled("alone", "sad", "zoe")]
    found = within_speakers(make_examples(recordings, FEATURES, print))
    assert [one.recording for one in found] == recordings
    for speaker in ("s00", "s02"):
        rows = np.concatenate([one.rows["audio"] for one in found if one.recording.speaker == speaker])
        np.testing.assert_allclose(rows[:, :-2].mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(rows[:, :-2].std(axis=0), 1, atol=1e-5)
        assert (rows[:, -2:] == 1).all()
    assert not found[-1].rows["both"][0, :-2].any()


TRAINING = labelled_corpus(8)


def fitted(recordings: Sequence[LabelledRecording], settings: LabelSettings = QUICK) -> Fitted:
    return fit(make_examples(recordings, planted_features(), print), planted_features(), settings)


def with_part(recordings: Sequence[LabelledRecording], part: Part | None) -> list[LabelledRecording]:
    return [replace(one, part=part) for one in recordings]


def accuracies(settings: LabelSettings) -> dict[Modality, float]:
    """By view, of speakers that were not trained on."""
    recordings = labelled_corpus(20, each=6)
    training = Corpus("planted", (), tuple(one for one in recordings if one.speaker < "s08"))
    recognizer = train_categorical(training, Method(planted_features(), settings))
    found = evaluate_categorical(recognizer, [one for one in recordings if one.speaker >= "s08"])
    return {one.view: one.accuracy.value or 0.0 for one in found}


def test_streams_hidden_in_training_make_sound_alone_usable() -> None:
    hidden, whole = accuracies(QUICK), accuracies(replace(QUICK, shares=(1.0, 0.0, 0.0)))
    assert hidden["both"] > 0.95
    assert whole["both"] > 0.95
    assert hidden["audio"] > 0.85
    assert hidden["audio"] > whole["audio"] + 0.03


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, again, other = (fitted(TRAINING, replace(QUICK, seed=seed, most_epochs=3)) for seed in (1, 1, 2))
    for one, repeated in zip(first.members, again.members, strict=True):
        for name, values in one.items():
            np.testing.assert_array_equal(values, repeated[name])
    different = [first.members[0], first.members[1], other.members[0]]
    assert len({one["1.weight"].tobytes() for one in different}) == 3


def test_without_a_validation_part_every_speaker_stops_one_network_that_never_heard_them() -> None:
    found = fitted(TRAINING, replace(QUICK, folds=3, most_epochs=2))
    assert len(found.members) == 3
    stopped_by = [{one.recording.speaker for one in held_out} for held_out in found.validation]
    assert sorted(name for names in stopped_by for name in names) == sorted({one.speaker for one in TRAINING})
    assert found.split == "3 networks, each validated on other speakers"


def test_of_a_corpus_with_parts_neither_the_test_part_nor_what_is_in_none_is_learned_from() -> None:
    kept = with_part(TRAINING[:32], "train") + with_part(TRAINING[32:48], "validation")
    others = with_part(TRAINING[48:56], "test") + with_part(TRAINING[56:], None)
    found, alone = (fitted(one, replace(QUICK, most_epochs=2)) for one in ([*kept, *others], kept))
    assert [one.recording for one in found.examples] == kept
    assert [one.recording for one in found.validation[0]] == kept[32:]
    np.testing.assert_array_equal(found.members[0]["1.weight"], alone.members[0]["1.weight"])
    train_only = fitted(kept[:32], replace(QUICK, most_epochs=2, folds=2))
    np.testing.assert_array_equal(found.scaling.mean, train_only.scaling.mean)


def test_a_network_of_one_stream_learns_from_recordings_that_have_it() -> None:
    faces = [replace(one, streams=replace(one.streams, sound=None)) for one in TRAINING[:16]]
    found = fitted([*faces, *TRAINING[16:]], replace(QUICK, most_epochs=2, shares=(0.0, 1.0, 0.0)))
    assert [one.recording for one in found.examples] == TRAINING[16:]


def heard(recordings: Sequence[LabelledRecording]) -> list[LabelledRecording]:
    return [replace(one, streams=replace(one.streams, face=None)) for one in recordings]


def test_a_rare_emotion_is_told_as_readily_as_a_common_one() -> None:
    planted = heard(labelled_corpus(20, each=6, sound_noise=1.2))
    recordings = [one for one in planted if one.label in ("neutral", "angry")]
    training = [one for one in recordings if one.speaker < "s08"]
    uneven = [one for one in training if one.label == "angry" or one.recording_id.endswith("0")]
    settings = replace(QUICK, most_epochs=10)
    recognizer = train_categorical(Corpus("planted", (), tuple(uneven)), Method(planted_features(), settings))
    new = [one for one in recordings if one.speaker >= "s08"]
    found = [recognizer.log_probabilities(one.streams, "audio") for one in new]
    assert np.exp(found).mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.08)


def test_of_all_epochs_the_one_that_does_best_in_validation_is_kept() -> None:
    kept = heard(with_part(TRAINING[:32], "train") + with_part(TRAINING[32:], "validation"))
    scores = []
    for epochs in (1, 2, 4, 8, 16, 32):
        settings = replace(QUICK, learning_rate=0.1, most_epochs=epochs, stop_after=epochs)
        recognizer = train_categorical(Corpus("planted", (), tuple(kept)), Method(planted_features(), settings))
        (found,) = recognizer.card.recognitions
        scores.append(np.mean([score.f1.value or 0.0 for score in found.labels]))
    assert scores == sorted(scores)


def test_a_recording_of_the_face_alone_is_learned_from_beside_those_of_sound() -> None:
    one_stream = [replace(one, streams=replace(one.streams, sound=None)) for one in TRAINING[32:]]
    mixed = Corpus("planted", (), (*heard(TRAINING[:32]), *one_stream))
    recognizer = train_categorical(mixed, Method(planted_features(), QUICK))
    found = {
        one.view: one.accuracy.value or 0.0 for one in evaluate_categorical(recognizer, labelled_corpus(4, each=5))
    }
    assert found["video"] > 0.9
    assert found["audio"] > 0.6
    validated = {one.view: one.n_recordings for one in recognizer.card.recognitions}
    assert validated == {"audio": 32, "video": 32}


def test_a_network_of_one_stream_does_not_depend_on_the_other_stream() -> None:
    settings = replace(QUICK, shares=(0.0, 1.0, 0.0), learning_rate=0.1)
    for with_face, without in zip(
        fitted(TRAINING, settings).members, fitted(heard(TRAINING), settings).members, strict=True
    ):
        for name, values in with_face.items():
            np.testing.assert_array_equal(values, without[name])


def test_validation_asks_each_network_about_speakers_that_it_never_heard() -> None:
    recognizer = train_categorical(Corpus("planted", (), tuple(heard(TRAINING))), Method(planted_features(), QUICK))
    found = fitted(heard(TRAINING))
    right = 0
    for member, held_out in zip(found.members, found.validation, strict=True):
        alone = replace(recognizer, members=(member,))
        for one in held_out:
            told = alone.log_probabilities(one.recording.streams, "audio")
            right += alone.labels[int(told.argmax())] == one.recording.label
    (validated,) = recognizer.card.recognitions
    assert validated.accuracy.value == pytest.approx(right / len(TRAINING))
    (of_all,) = evaluate_categorical(recognizer, heard(TRAINING))
    assert of_all.accuracy.value > validated.accuracy.value


def test_one_speaker_is_validated_by_dialogues() -> None:
    monologue = [replace(one, speaker="ann", dialogue=one.speaker) for one in TRAINING]
    assert fitted(monologue, replace(QUICK, most_epochs=1)).split == "2 networks, each validated on other dialogues"


@pytest.mark.parametrize(
    ("recordings", "problem"),
    [
        ([one for one in TRAINING if one.label == "sad"], "at least two emotions"),
        ([], "at least two emotions"),
        ([labelled("a", "sad", "ann", dialogue="x"), labelled("b", "happy", "ann", dialogue="x")], "found one"),
        ([labelled("a", "sad", "ann"), labelled("b", "happy", "bob")], "recordings of several speakers"),
    ],
)
def test_too_little_to_learn_from_is_told(recordings: list[LabelledRecording], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        fitted(recordings)


@pytest.mark.parametrize("view", MODALITIES)
def test_it_gives_a_probability_for_each_emotion(recognizer: CategoricalRecognizer, view: Modality) -> None:
    assert recognizer.labels == EMOTIONS
    found = recognizer.log_probabilities(labelled("new", "sad", "zoe").streams, view)
    assert (found.shape, found.dtype) == ((4,), np.float64)
    assert np.exp(found).sum() == pytest.approx(1)


def test_a_plain_face_is_recognised(recognizer: CategoricalRecognizer) -> None:
    for label in EMOTIONS:
        found = recognizer.log_probabilities(labelled(f"new {label}", label, "zoe").streams, "both")
        assert recognizer.labels[int(found.argmax())] == label


@pytest.mark.parametrize("view", MODALITIES)
def test_many_recordings_at_once_get_what_each_gets_alone(recognizer: CategoricalRecognizer, view: Modality) -> None:
    streams = [labelled(f"new {number}", "sad", "zoe").streams for number in range(5)]
    together = recognizer.predict([pooled_features(one, recognizer.features)[view] for one in streams], view)
    alone = [recognizer.log_probabilities(one, view) for one in streams]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_what_is_hidden_does_not_matter(recognizer: CategoricalRecognizer) -> None:
    one, other = (labelled(name, "sad", "zoe").streams for name in ("one", "other"))
    dubbed = type(one)(one.sound, other.face, one.duration_s)
    for view, same in (("audio", True), ("video", False)):
        found, expected = (recognizer.log_probabilities(streams, view) for streams in (dubbed, one))
        assert np.array_equal(found, expected) == same


def test_several_members_average_their_probabilities(recognizer: CategoricalRecognizer) -> None:
    row = pooled_features(labelled("new", "sad", "zoe").streams, recognizer.features)["audio"]
    one = recognizer.members[0]
    other = {name: -values for name, values in one.items()}
    alone = [np.exp(replace(recognizer, members=(member,)).predict([row], "audio")) for member in (one, other)]
    both = replace(recognizer, members=(one, other))
    np.testing.assert_allclose(np.exp(both.predict([row], "audio")), np.mean(alone, axis=0), atol=1e-12)
    assert both.identity() != recognizer.identity()
