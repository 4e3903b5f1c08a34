"""A trained recogniser: its probabilities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.planted_labels import labelled

from avemo_harness.benchmark.release import EMOTIONS
from avemo_harness.recognizers.heads.labels import CategoricalRecognizer, pooled_features
from avemo_harness.recognizers.recordings import MODALITIES, Modality


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
