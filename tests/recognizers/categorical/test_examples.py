"""Rows of labelled recordings: pooling over time, modalities, normalisation within speakers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from support.planted_features import WIDTH, PlantedFace, PlantedSound, planted_features
from support.planted_labels import labelled, labelled_corpus

from avemo_harness.recognizers.features.base import Features
from avemo_harness.recognizers.features.feature_set import FeatureSet, Scaling
from avemo_harness.recognizers.heads.labels import (
    make_examples,
    pooled_features,
    row_width,
    shown_columns,
    within_speakers,
)
from avemo_harness.recognizers.recordings import Modality, Recording

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
    heard, seen = (plain.apply(rows[view], shown_columns(FEATURES, view))[0] for view in ("audio", "video"))
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
