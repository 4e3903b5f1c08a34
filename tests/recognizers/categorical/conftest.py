"""A recogniser trained on planted recordings, and the extractors that read them, under names."""

from __future__ import annotations

import pytest
from support.planted_features import planted_features
from support.planted_labels import QUICK, labelled_corpus

from avemo_harness.recognizers.heads.label_evaluation import train_categorical
from avemo_harness.recognizers.heads.labels import CategoricalRecognizer, LabelSettings
from avemo_harness.recognizers.heads.training import Method
from avemo_harness.recognizers.recordings import Corpus


@pytest.fixture(scope="session")
def method() -> Method[LabelSettings]:
    return Method(planted_features(), QUICK)


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return Corpus("planted", (), tuple(labelled_corpus(16, parts=("train", "train", "validation", "test"))))


@pytest.fixture(scope="session")
def recognizer(corpus: Corpus, method: Method[LabelSettings]) -> CategoricalRecognizer:
    return train_categorical(corpus, method)
