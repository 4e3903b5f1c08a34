"""A demo small enough to be made in a second or two."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo_harness.data.synthesis.demo import DemoSize, build_demo


@pytest.fixture(scope="session")
def small_size() -> DemoSize:
    return DemoSize(train_speakers=2, test_speakers=1, train_sentences=1, test_sentences=1, talks=0)


@pytest.fixture(scope="session")
def small_demo(small_size: DemoSize, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "release"
    build_demo(folder, workers=1, size=small_size)
    return folder
