"""Emotion from real voices of actors never met: accuracy leaving each of twelve out, chance being a quarter."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo_harness.data.importers.ravdess import RavdessArguments, read_ravdess
from avemo_harness.recognizers.features import make_extractor
from avemo_harness.recognizers.features.feature_set import FeatureCache, FeatureSet
from avemo_harness.recognizers.heads.label_evaluation import leave_one_speaker_out
from avemo_harness.recognizers.heads.labels import LabelSettings, Normalisation, as_they_are, within_speakers
from avemo_harness.recognizers.heads.training import Method
from avemo_harness.recognizers.recordings import Corpus


@pytest.fixture(scope="module")
def voices(real_media: Path) -> Corpus:
    return read_ravdess(RavdessArguments(real_media / "ravdess_speech"))


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> FeatureSet:
    return FeatureSet((make_extractor("clip-sound"),), FeatureCache(tmp_path_factory.mktemp("features")))


@pytest.mark.slow
@pytest.mark.parametrize(("normalise", "floor"), [(as_they_are, 0.65), (within_speakers, 0.78)])
def test_the_built_in_features_reach_what_is_known_to_be_possible(
    voices: Corpus, features: FeatureSet, normalise: Normalisation, floor: float
) -> None:
    (found,) = leave_one_speaker_out(voices, Method(features, LabelSettings()), normalise)
    assert found.n_recordings == 336
    assert (found.accuracy.value or 0.0) >= floor
