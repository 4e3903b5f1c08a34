"""A recogniser trained on planted recordings, and the extractors that read them, under names."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.planted_features import planted_corpus, planted_features

from avemo_harness.recognizers.features.feature_set import FeatureCache
from avemo_harness.recognizers.heads.training import Method
from avemo_harness.recognizers.heads.trajectory import ContinuousRecognizer, TrajectorySettings
from avemo_harness.recognizers.heads.trajectory_evaluation import train_on
from avemo_harness.recognizers.recordings import Corpus

QUICK = TrajectorySettings(hidden=16, most_epochs=25, learning_rate=5e-3, dropout=0.1)


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return Corpus("planted", tuple(planted_corpus(12, parts=("train", "train", "validation", "test"))))


@pytest.fixture(scope="session")
def method(tmp_path_factory: pytest.TempPathFactory) -> Method[TrajectorySettings]:
    cache = FeatureCache(tmp_path_factory.mktemp("features"))
    return Method(replace(planted_features(), cache=cache), QUICK)


@pytest.fixture(scope="session")
def recognizer(corpus: Corpus, method: Method[TrajectorySettings]) -> ContinuousRecognizer:
    return train_on(corpus, method)
