"""Train and evaluate label recognisers under a split: the paper's Table 1, and leave-one-speaker-out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from avemo_harness.benchmark.release import order_labels
from avemo_harness.errors import UsageError
from avemo_harness.metrics.bootstrap import ClusterBootstrap, Estimate
from avemo_harness.metrics.classification import Floats, balanced_accuracy, weighted_f1
from avemo_harness.metrics.shares import accuracy_estimate, score_estimate
from avemo_harness.recognizers.card import LabelCard, LabelEvaluation, LabelScore
from avemo_harness.recognizers.features.feature_set import FeatureSet
from avemo_harness.recognizers.heads.labels import (
    CategoricalRecognizer,
    Fitted,
    LabelExample,
    LabelSettings,
    Normalisation,
    as_they_are,
    fit,
    make_examples,
)
from avemo_harness.recognizers.heads.training import Method, provenance, training_record
from avemo_harness.recognizers.recordings import MODALITIES, Corpus, LabelledRecording, Modality
from avemo_harness.text import Notify


@dataclass(frozen=True, slots=True)
class Prediction:
    """The label predicted for a recording from one modality, by a recogniser that was trained on some modalities."""

    recording: LabelledRecording
    view: Modality
    trained_on: tuple[Modality, ...]
    label: str


def evaluate_categorical(
    recognizer: CategoricalRecognizer, recordings: Sequence[LabelledRecording]
) -> tuple[LabelEvaluation, ...]:
    """Evaluate a recogniser on a corpus' test part, or all of it where it has none, under every view that is there.

    Whether it was trained on these recordings is not known here; its card names its training data.

    Raises:
        UsageError: there are no recordings.
        MediaError: a recording cannot be read.
    """
    if not recordings:
        raise UsageError("expected labelled recordings to evaluate, found none")
    test = [one for one in recordings if one.part == "test"]
    examples = make_examples(test or recordings, recognizer.features, lambda sentence: None)
    return evaluate_predictions(predict_labels(recognizer, examples, MODALITIES), "test" if test else "all recordings")


def predict_labels(
    recognizer: CategoricalRecognizer, examples: Sequence[LabelExample], trained_on: tuple[Modality, ...]
) -> list[Prediction]:
    """Predict the labels of examples under each of their views that it was trained on."""
    found = []
    for view in trained_on:
        selected = [one for one in examples if view in one.rows]
        if selected:
            label_indices = recognizer.predict([one.rows[view] for one in selected], view).argmax(axis=1)
            found += [
                Prediction(one.recording, view, trained_on, recognizer.labels[label_index])
                for one, label_index in zip(selected, label_indices, strict=True)
            ]
    return found


def evaluate_predictions(predictions: Sequence[Prediction], part: str) -> tuple[LabelEvaluation, ...]:
    """F1, accuracy and confusion for each set of modalities that was trained on, by modality.

    Args:
        part: what the recordings are called.
    """
    found = []
    for trained_on in dict.fromkeys(one.trained_on for one in predictions):
        for view in MODALITIES:
            selected = [one for one in predictions if (one.trained_on, one.view) == (trained_on, view)]
            if selected:
                found.append(_recognition(selected, part))
    return tuple(found)


def _recognition(predictions: Sequence[Prediction], part: str) -> LabelEvaluation:
    recordings = [one.recording for one in predictions]
    clusters = _cluster_unit(recordings)
    names, of_name = np.unique(
        [one.dialogue if clusters == "dialogues" else one.speaker for one in recordings], return_inverse=True
    )
    labels = order_labels([*(one.label for one in recordings), *(one.label for one in predictions)])
    gold = [labels.index(one.label) for one in recordings]
    table = np.zeros((len(names), len(labels), len(labels) + 1))
    for cluster, truth, one in zip(of_name, gold, predictions, strict=True):
        table[cluster, truth, labels.index(one.label)] += 1
    bootstrap = ClusterBootstrap(table.reshape(len(table), -1))

    def estimate(metric: Callable[[Floats], Floats]) -> Estimate:
        return score_estimate(bootstrap, lambda sums: metric(sums.reshape(-1, *table.shape[1:])))

    return LabelEvaluation(
        part=part,
        view=predictions[0].view,
        trained_on=predictions[0].trained_on,
        labels=tuple(
            LabelScore(label, _f1_estimate(table, index), gold.count(index)) for index, label in enumerate(labels)
        ),
        weighted_f1=estimate(weighted_f1),
        accuracy=accuracy_estimate(table),
        balanced_accuracy=estimate(balanced_accuracy),
        n_recordings=len(predictions),
        n_clusters=len(names),
        clusters=clusters,
        confusion=tuple(tuple(map(int, row)) for row in table.sum(axis=0)[:, :-1]),
    )


def _f1_estimate(table: Floats, label: int) -> Estimate:
    """F1 of one label, from the clusters in which it is gold or predicted."""
    sides = np.stack([table[:, label, label], table[:, label].sum(axis=1), table[:, :, label].sum(axis=1)], axis=1)
    return score_estimate(ClusterBootstrap(sides), lambda sums: 2 * sums[:, 0] / (sums[:, 1] + sums[:, 2]))


def _cluster_unit(recordings: Sequence[LabelledRecording]) -> str:
    """Dialogues, unless each is a single recording: then speakers."""
    return "dialogues" if len({one.dialogue for one in recordings}) < len(recordings) else "speakers"


def train_categorical(corpus: Corpus, method: Method[LabelSettings]) -> CategoricalRecognizer:
    """Train one recogniser on a corpus, on its train part where it has one.

    Its card tells how it does in validation, each member on what stopped it, and on the test part if there is one.

    Raises:
        UsageError: there are too few labels or speakers.
        MediaError: a recording cannot be read.
    """
    method.say(f"extracting features of {len(corpus.labelled)} recordings")
    examples = make_examples(corpus.labelled, method.features, method.say)
    recognizer, fitted = _train(examples, corpus.name, method.features, method.settings)
    _warn_of_one_face(fitted.examples, method.say)
    predictions: list[Prediction] = []
    for member, held_out in zip(fitted.members, fitted.validation, strict=True):
        predictions += predict_labels(replace(recognizer, members=(member,)), held_out, MODALITIES)
    known = evaluate_predictions(predictions, "validation")
    used = {one.recording.recording_id for one in fitted.examples}
    if test := [one for one in examples if one.recording.part == "test" and one.recording.recording_id not in used]:
        known += evaluate_predictions(predict_labels(recognizer, test, MODALITIES), "test")
    return replace(recognizer, card=replace(recognizer.card, recognitions=known))


def evaluate_official(
    corpus: Corpus, method: Method[LabelSettings], normalise: Normalisation = as_they_are
) -> tuple[LabelEvaluation, ...]:
    """Train on a corpus' train part, evaluate on its test part: one recogniser of all views, one of each stream alone.

    An official split may have the same speakers in both parts, as that of MultiDialog has; for one that has not, see
    `avemo_harness.recognizers.corpora.actor_split`.

    Raises:
        UsageError: the corpus lacks such a part, or there are too few labels or speakers.
        MediaError: a recording cannot be read.
    """
    parts = {one.part for one in corpus.labelled}
    if not {"train", "test"} <= parts:
        raise UsageError(f"{corpus.name}: it has no labelled train and test part; leave one speaker out instead")
    examples = normalise(make_examples(corpus.labelled, method.features, method.say))
    test = [one for one in examples if one.recording.part == "test"]
    predictions: list[Prediction] = []
    for views, settings in _systems(examples, method.settings):
        recognizer, fitted = _train(examples, corpus.name, method.features, settings)
        if views == MODALITIES:
            _warn_of_one_face(fitted.examples, method.say)
        predictions += predict_labels(recognizer, test, views)
    return evaluate_predictions(predictions, "test")


def leave_one_speaker_out(
    corpus: Corpus, method: Method[LabelSettings], normalise: Normalisation = as_they_are
) -> tuple[LabelEvaluation, ...]:
    """Leave-one-speaker-out: predict each speaker's recordings by recognisers trained on other voices and other faces.

    The corpus' parts do not count. All speakers' recordings are evaluated together.

    Raises:
        UsageError: fewer than three speakers, or nothing is left to train on, or too few labels.
        MediaError: a recording cannot be read.
    """
    without_parts = [replace(one, part=None) for one in corpus.labelled]
    examples = normalise(make_examples(without_parts, method.features, method.say))
    speakers = sorted({one.recording.speaker for one in examples})
    if len(speakers) < 3:
        raise UsageError(f"{corpus.name}: expected at least three speakers to leave one out, found {len(speakers)}")
    predictions: list[Prediction] = []
    for number, speaker in enumerate(speakers, 1):
        test = [one for one in examples if one.recording.speaker == speaker]
        rest = _without_people(examples, test)
        if not rest:
            raise UsageError(f"{corpus.name}: everybody shares a face with {speaker!r}; nothing is left to train on")
        for views, settings in _systems(examples, method.settings):
            recognizer, _ = _train(rest, corpus.name, method.features, settings)
            predictions += predict_labels(recognizer, test, views)
        method.say(f"speaker {number} of {len(speakers)}")
    return evaluate_predictions(predictions, "speakers left out")


def _without_people(examples: Sequence[LabelExample], test: Sequence[LabelExample]) -> list[LabelExample]:
    """The examples that share neither a voice nor a face with some others."""
    people = {name for one in test for name in (one.recording.speaker, one.recording.face)}
    return [one for one in examples if not people & {one.recording.speaker, one.recording.face}]


def _systems(
    examples: Sequence[LabelExample], settings: LabelSettings
) -> list[tuple[tuple[Modality, ...], LabelSettings]]:
    """The recogniser of all views; beside it those of one stream each, where some recordings have both."""
    found = [view for view in MODALITIES if any(view in one.rows for one in examples)]
    if "both" not in found:
        return [(tuple(found), settings)]
    return [
        (MODALITIES, settings),
        (("audio",), replace(settings, shares=(0.0, 1.0, 0.0))),
        (("video",), replace(settings, shares=(0.0, 0.0, 1.0))),
    ]


def _train(
    examples: Sequence[LabelExample], corpus: str, features: FeatureSet, settings: LabelSettings
) -> tuple[CategoricalRecognizer, Fitted]:
    fitted = fit(examples, features, settings)
    recordings = [one.recording for one in fitted.examples]
    seconds = float(sum(recording.streams.duration_s for recording in recordings))
    record = training_record(corpus, recordings, _fingerprint(recordings), seconds, fitted.split, settings.seed)
    card = LabelCard(training=record, **provenance(features))
    return CategoricalRecognizer(fitted.labels, features, fitted.scaling, fitted.members, card), fitted


def _warn_of_one_face(examples: Sequence[LabelExample], say: Notify) -> None:
    faces = {one.recording.face for one in examples if "video" in one.rows}
    if len(faces) == 1:
        say(f"every face that was learned from is {min(faces)}'s: expect nothing of other faces, nor of both streams")


def _fingerprint(recordings: Sequence[LabelledRecording]) -> str:
    """Digest (hex) of recordings and labels, in order."""
    lines = [" ".join([one.recording_id, one.label, *one.streams.digests]) for one in recordings]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
