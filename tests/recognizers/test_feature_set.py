"""Extractors side by side, and what of them a view fills."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from support.planted_features import WIDTH, PlantedFace, PlantedSound, planted_features, planted_recording

from avemo_harness.recognizers.features.base import Features
from avemo_harness.recognizers.features.feature_set import FeatureSet
from avemo_harness.recognizers.recordings import Modality, Recording

STREAMS = planted_recording("r", "ann", seed=1).streams
COUNT = 12


class Together(PlantedSound):
    """Looks at both streams, and is told what it may look at."""

    modality: Modality = "both"

    def extract(self, streams: Recording, count: int, view: Modality) -> Features:
        return np.full((count, self.width), ("both", "audio", "video").index(view) + 1, dtype=np.float32)


def test_rows_are_joined_in_order_and_end_with_a_bit_for_each_stream_shown() -> None:
    features = planted_features()
    rows = features.rows(STREAMS, COUNT, "both")
    assert rows.shape == (COUNT, features.width) == (COUNT, 2 * WIDTH + 2)
    np.testing.assert_array_equal(rows[:, :WIDTH], PlantedSound().extract(STREAMS, COUNT, "both"))
    np.testing.assert_array_equal(rows[:, WIDTH:-2], PlantedFace().extract(STREAMS, COUNT, "both"))
    assert rows[:, -2:].tolist() == [[1.0, 1.0]] * COUNT


def test_what_a_view_hides_is_zero_and_so_is_its_bit() -> None:
    features = planted_features()
    heard, seen = (features.rows(STREAMS, COUNT, view) for view in ("audio", "video"))
    assert np.all(heard[:, WIDTH:-2] == 0)
    assert heard[0, -2:].tolist() == [1, 0]
    assert np.all(seen[:, :WIDTH] == 0)
    assert seen[0, -2:].tolist() == [0, 1]
    for view, rows in (("audio", heard), ("video", seen)):
        assert np.all(rows[:, ~features.shown(view)] == 0)
        assert np.any(rows[:, features.shown(view)] != 0)


def test_an_extractor_of_both_streams_is_asked_anew_for_each_view_and_is_always_shown() -> None:
    features = FeatureSet((PlantedSound(), Together()))
    views = features.views(STREAMS, COUNT)
    assert {view: rows[0, WIDTH] for view, rows in views.items()} == {"both": 1, "audio": 2, "video": 3}
    assert features.shown("audio")[WIDTH:-2].all()


def test_a_recording_has_the_views_of_its_streams() -> None:
    features = planted_features()
    assert set(features.views(STREAMS, COUNT)) == {"both", "audio", "video"}
    assert set(features.views(replace(STREAMS, face=None), COUNT)) == {"audio"}
    for view, rows in features.views(STREAMS, COUNT).items():
        np.testing.assert_array_equal(rows, features.rows(STREAMS, COUNT, view))
