"""How well a recogniser tells emotions: F1 by label and view, with intervals over dialogues or speakers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.errors import UsageError
from avemo_harness.metrics.bootstrap import ClusterBootstrap, Estimate
from avemo_harness.metrics.classification import (
    Floats,
    balanced_accuracy,
    weighted_f1,
)
from avemo_harness.metrics.shares import accuracy_estimate, score_estimate
from avemo_harness.recognizers.categorical.card import LabelScore, Recognition
from avemo_harness.recognizers.categorical.examples import VIEWS, Example, make_examples
from avemo_harness.recognizers.categorical.recognizer import CategoricalRecognizer
from avemo_harness.recognizers.corpora.base import LabelledRecording
from avemo_harness.recognizers.streams import View


@dataclass(frozen=True, slots=True)
class Told:
    """The emotion that was told of a recording from a view, by a recogniser that learned from some views."""

    recording: LabelledRecording
    view: View
    trained_on: tuple[View, ...]
    label: str


def evaluate_categorical(
    recognizer: CategoricalRecognizer, recordings: Sequence[LabelledRecording]
) -> tuple[Recognition, ...]:
    """Evaluate a recogniser on a corpus' test part, or all of it where it has none, under every view that is there.

    Whether it learned from these recordings cannot be told: its card says what it learned from.

    Raises:
        UsageError: there are no recordings.
        MediaError: a recording cannot be read.
    """
    if not recordings:
        raise UsageError("expected labelled recordings to evaluate, found none")
    test = [one for one in recordings if one.part == "test"]
    examples = make_examples(test or recordings, recognizer.features, lambda sentence: None)
    return recognitions(tell(recognizer, examples, VIEWS), "test" if test else "all recordings")


def tell(recognizer: CategoricalRecognizer, examples: Sequence[Example], trained_on: tuple[View, ...]) -> list[Told]:
    """What a recogniser tells of examples under each of their views that it was trained on."""
    found = []
    for view in trained_on:
        shown = [one for one in examples if view in one.rows]
        if shown:
            places = recognizer.judge([one.rows[view] for one in shown], view).argmax(axis=1)
            found += [
                Told(one.recording, view, trained_on, recognizer.labels[place])
                for one, place in zip(shown, places, strict=True)
            ]
    return found


def recognitions(told: Sequence[Told], part: str) -> tuple[Recognition, ...]:
    """Figures of what was told, for each set of views that was trained on, by view.

    Args:
        part: what the recordings are called.
    """
    found = []
    for trained_on in dict.fromkeys(one.trained_on for one in told):
        for view in VIEWS:
            shown = [one for one in told if (one.trained_on, one.view) == (trained_on, view)]
            if shown:
                found.append(_recognition(shown, part))
    return tuple(found)


def _recognition(told: Sequence[Told], part: str) -> Recognition:
    recordings = [one.recording for one in told]
    clusters = _kind_of_cluster(recordings)
    names, of_name = np.unique(
        [one.dialogue if clusters == "dialogues" else one.speaker for one in recordings], return_inverse=True
    )
    gold = [EMOTIONS.index(one.label) for one in recordings]
    table = np.zeros((len(names), len(EMOTIONS), len(EMOTIONS) + 1))
    for cluster, truth, one in zip(of_name, gold, told, strict=True):
        table[cluster, truth, EMOTIONS.index(one.label)] += 1
    bootstrap = ClusterBootstrap(table.reshape(len(table), -1))

    def estimate(metric: Callable[[Floats], Floats]) -> Estimate:
        return score_estimate(bootstrap, lambda sums: metric(sums.reshape(-1, *table.shape[1:])))

    return Recognition(
        part=part,
        view=told[0].view,
        trained_on=told[0].trained_on,
        labels=tuple(
            LabelScore(label, _f1_estimate(table, place), gold.count(place)) for place, label in enumerate(EMOTIONS)
        ),
        weighted_f1=estimate(weighted_f1),
        accuracy=accuracy_estimate(table),
        balanced_accuracy=estimate(balanced_accuracy),
        n_recordings=len(told),
        n_clusters=len(names),
        clusters=clusters,
        confusion=tuple(tuple(map(int, row)) for row in table.sum(axis=0)[:, :-1]),
    )


def _f1_estimate(table: Floats, label: int) -> Estimate:
    """F1 of one label, from the clusters in which it is gold or predicted."""
    sides = np.stack([table[:, label, label], table[:, label].sum(axis=1), table[:, :, label].sum(axis=1)], axis=1)
    return score_estimate(ClusterBootstrap(sides), lambda sums: 2 * sums[:, 0] / (sums[:, 1] + sums[:, 2]))


def _kind_of_cluster(recordings: Sequence[LabelledRecording]) -> str:
    """Dialogues, unless each is a single recording: then speakers."""
    return "dialogues" if len({one.dialogue for one in recordings}) < len(recordings) else "speakers"
