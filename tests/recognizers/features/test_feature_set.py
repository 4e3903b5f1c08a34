"""Features of several extractors side by side, and their cache."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.planted_features import WIDTH, PlantedFace, PlantedSound, planted_features, planted_recording

from avemo_harness.errors import RecognitionError
from avemo_harness.recognizers.features.base import Features
from avemo_harness.recognizers.features.feature_set import FeatureCache, FeatureSet
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
        assert np.all(rows[:, ~features.column_mask(view)] == 0)
        assert np.any(rows[:, features.column_mask(view)] != 0)


def test_an_extractor_of_both_streams_is_asked_anew_for_each_view_and_is_always_shown() -> None:
    features = FeatureSet((PlantedSound(), Together()))
    views = features.views(STREAMS, COUNT)
    assert {view: rows[0, WIDTH] for view, rows in views.items()} == {"both": 1, "audio": 2, "video": 3}
    assert features.column_mask("audio")[WIDTH:-2].all()


def test_a_recording_has_the_views_of_its_streams() -> None:
    features = planted_features()
    assert set(features.views(STREAMS, COUNT)) == {"both", "audio", "video"}
    assert set(features.views(replace(STREAMS, face=None), COUNT)) == {"audio"}
    for view, rows in features.views(STREAMS, COUNT).items():
        np.testing.assert_array_equal(rows, features.rows(STREAMS, COUNT, view))


class Counting(PlantedSound):
    """Counts how often it is asked, and adds what it was shown where it looks at both."""

    def __init__(self, version: str = "1", modality: Modality = "audio", scale: float = 1.0) -> None:
        super().__init__(self.Arguments(version))
        self.modality, self.scale, self.asked = modality, scale, 0

    def identity(self) -> Mapping[str, str]:
        return {**super().identity(), "kind": self.modality}

    def extract(self, streams: Recording, count: int, view: Modality) -> Features:
        self.asked += 1
        clip = streams.sound or streams.face
        assert clip is not None
        rows = np.frombuffer(clip.read(), dtype=np.float32).reshape(-1, self.width)[:count]
        return rows * np.float32(self.scale) + np.float32(view == "audio" and self.modality == "both")


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    return FeatureCache(tmp_path / "features")


def test_a_hit_is_what_the_miss_was_and_asks_nobody(cache: FeatureCache) -> None:
    extractor = Counting()
    first, again = (cache.features(extractor, STREAMS, 12, "both") for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (extractor.asked, first.dtype) == (1, np.float32)
    np.testing.assert_allclose(first, PlantedSound().extract(STREAMS, 12, "both"), rtol=1e-3)


def test_another_version_clip_or_count_is_another_entry(cache: FeatureCache) -> None:
    extractor = Counting()
    cache.features(extractor, STREAMS, 12, "both")
    cache.features(extractor, STREAMS, 11, "both")
    cache.features(extractor, planted_recording("other", "ann", seed=2).streams, 12, "both")
    newer = Counting(version="2")
    cache.features(newer, STREAMS, 12, "both")
    assert (extractor.asked, newer.asked) == (3, 1)


def test_sound_is_the_same_entry_whatever_face_stands_beside_it_or_is_shown(cache: FeatureCache) -> None:
    extractor = Counting()
    cache.features(extractor, STREAMS, 12, "both")
    cache.features(extractor, STREAMS, 12, "audio")
    cache.features(extractor, Recording(STREAMS.sound, None, STREAMS.duration_s), 12, "audio")
    assert extractor.asked == 1


def test_of_an_extractor_of_both_each_view_is_kept_apart(cache: FeatureCache) -> None:
    extractor = Counting(modality="both")
    both, heard = (cache.features(extractor, STREAMS, 12, view) for view in ("both", "audio"))
    assert extractor.asked == 2
    np.testing.assert_allclose(heard, both + 1, atol=0.01)


@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 300])
def test_a_damaged_entry_is_made_again(cache: FeatureCache, content: bytes) -> None:
    extractor = Counting()
    first = cache.features(extractor, STREAMS, 12, "both")
    (entry,) = cache.folder.glob("*/*.safetensors")
    entry.write_bytes(content)
    np.testing.assert_array_equal(cache.features(extractor, STREAMS, 12, "both"), first)
    assert extractor.asked == 2
    np.testing.assert_array_equal(cache.features(extractor, STREAMS, 12, "both"), first)
    assert extractor.asked == 2


def test_values_that_cannot_be_kept_are_an_error_and_leave_nothing(cache: FeatureCache) -> None:
    with pytest.raises(RecognitionError, match=": extractor planted-audio: a feature is no number or beyond what"):
        cache.features(Counting(scale=1e6), STREAMS, 12, "both")
    assert not list(cache.folder.glob("*/*"))


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "features", max_bytes=500)
    recordings = [planted_recording(f"r{i}", "ann", seed=i) for i in range(4)]
    for age, recording in enumerate(recordings):
        before = set(cache.folder.glob("*/*"))
        cache.features(PlantedFace(), recording.streams, 12, "both")
        (entry,) = set(cache.folder.glob("*/*")) - before
        os.utime(entry, (1_000_000 + age, 1_000_000 + age))
    cache.features(PlantedFace(), recordings[0].streams, 12, "both")
    assert cache.prune() == 2
    kept = [p.stat().st_mtime for p in cache.folder.glob("*/*")]
    assert len(kept) == 2
    assert max(kept) > 1_000_003
