"""Splits: what is evaluated was neither heard nor seen in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from support.planted_labels import QUICK, labelled_corpus

from avemo_harness.benchmark.release import Clip
from avemo_harness.errors import UsageError
from avemo_harness.recognizers.features.feature_set import FeatureSet
from avemo_harness.recognizers.heads import label_evaluation
from avemo_harness.recognizers.heads.label_evaluation import (
    Method,
    evaluate_official,
    leave_one_speaker_out,
    train_categorical,
)
from avemo_harness.recognizers.heads.labels import Fitted, LabelExample, LabelSettings, fit, within_speakers
from avemo_harness.recognizers.recordings import Corpus, LabelledRecording


def corpus_of(recordings: Sequence[LabelledRecording]) -> Corpus:
    return Corpus("planted", (), tuple(recordings))


@pytest.fixture
def quick(method: Method) -> Method:
    return replace(method, settings=replace(QUICK, most_epochs=3))


def test_nobody_who_is_heard_or_seen_in_training_is_evaluated(quick: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    people: list[set[str]] = []

    def watched(examples: Sequence[LabelExample], features: FeatureSet, settings: LabelSettings) -> Fitted:
        people.append({name for one in examples for name in (one.recording.speaker, one.recording.face)})
        return fit(examples, features, settings)

    monkeypatch.setattr(label_evaluation, "fit", watched)
    # Two voices on each face.
    dubbed = [replace(one, face=f"face {int(one.speaker[1:]) // 2}") for one in labelled_corpus(6)]
    found = leave_one_speaker_out(corpus_of(dubbed), quick)
    assert len(people) == 6 * 3
    for place, trained_on in enumerate(people):
        left_out, face = f"s{place // 3:02}", f"face {place // 6}"
        assert trained_on == {one.speaker for one in dubbed if one.face != face} | {f"face {i}" for i in range(3)} - {
            face
        }
        assert left_out not in trained_on
    assert all(one.n_recordings == len(dubbed) for one in found)


def test_one_recogniser_and_one_of_each_stream_are_evaluated_side_by_side(corpus: Corpus, method: Method) -> None:
    found = evaluate_official(corpus, method)
    assert [(one.trained_on, one.view) for one in found] == [
        (("both", "audio", "video"), "both"),
        (("both", "audio", "video"), "audio"),
        (("both", "audio", "video"), "video"),
        (("audio",), "audio"),
        (("video",), "video"),
    ]
    assert {one.n_recordings for one in found} == {32}
    weighted = [one.weighted_f1.value or 0 for one in found]
    assert min(weighted[0], weighted[2], weighted[4]) > 0.9
    assert min(weighted[1], weighted[3]) > 0.55


def test_of_sound_alone_there_is_one_recogniser(quick: Method) -> None:
    heard = [replace(one, streams=replace(one.streams, face=None)) for one in labelled_corpus(4)]
    (found,) = leave_one_speaker_out(corpus_of(heard), quick)
    assert (found.trained_on, found.view, found.part) == (("audio",), "audio", "speakers left out")


def test_parts_do_not_count_when_a_speaker_is_left_out(quick: Method) -> None:
    plain, parted = labelled_corpus(3), labelled_corpus(3, parts=("train", "test", "validation"))
    assert leave_one_speaker_out(corpus_of(parted), quick) == leave_one_speaker_out(corpus_of(plain), quick)


def test_normalising_within_speakers_undoes_how_they_differ(method: Method) -> None:
    settings = replace(QUICK, most_epochs=25)
    plain = replace(method, settings=settings)
    normalised = replace(plain, normalise=within_speakers)
    shifted = corpus_of([shifted_voice(one) for one in labelled_corpus(6, each=4)])
    accuracies = [
        next(one.accuracy.value or 0 for one in leave_one_speaker_out(shifted, how) if one.view == "audio")
        for how in (plain, normalised)
    ]
    assert accuracies[1] > accuracies[0] + 0.1


def shifted_voice(one: LabelledRecording) -> LabelledRecording:
    """The recording with a sound that is moved far by who speaks, and without a face."""
    assert one.streams.sound is not None
    rows = np.frombuffer(one.streams.sound.read(), dtype=np.float32).reshape(-1, 6)
    moved = rows + np.random.default_rng([*one.speaker.encode()]).normal(0, 5, 6)
    sound = Clip.from_bytes(moved.astype(np.float32).tobytes(), one.recording_id)
    return replace(one, streams=replace(one.streams, sound=sound, face=None))


def test_faces_of_one_person_are_warned_of(quick: Method) -> None:
    said: list[str] = []
    dubbed = [replace(one, face="ann") for one in labelled_corpus(4, parts=("train", "train", "train", "test"))]
    evaluate_official(corpus_of(dubbed), replace(quick, say=said.append))
    train_categorical(corpus_of(dubbed), replace(quick, say=said.append))
    assert sum("every face that was learned from is ann's" in sentence for sentence in said) == 2


def test_what_cannot_be_split_is_told(quick: Method) -> None:
    with pytest.raises(UsageError, match="at least three speakers"):
        leave_one_speaker_out(corpus_of(labelled_corpus(2)), quick)
    with pytest.raises(UsageError, match="shares a face with 's00'"):
        leave_one_speaker_out(corpus_of([replace(one, face="x") for one in labelled_corpus(3)]), quick)
    with pytest.raises(UsageError, match="no labelled train and test part"):
        evaluate_official(corpus_of(labelled_corpus(3)), quick)
    with pytest.raises(UsageError, match="normalised within speakers"):
        train_categorical(corpus_of(labelled_corpus(3)), replace(quick, normalise=within_speakers))
