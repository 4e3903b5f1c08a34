"""Training on planted recordings, whose face shows the label plainly and whose sound shows it fairly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from support.planted_features import planted_features
from support.planted_labels import QUICK, labelled, labelled_corpus

from avemo_harness.errors import UsageError
from avemo_harness.recognizers.heads.label_evaluation import Method, evaluate_categorical, train_categorical
from avemo_harness.recognizers.heads.labels import Fitted, LabelSettings, fit, make_examples
from avemo_harness.recognizers.recordings import Corpus, LabelledRecording, Modality, Part

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
