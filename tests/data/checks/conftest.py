"""Acted releases, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.acted_release import acted_dialogues, surveyed, write_acted

from avemo_harness.benchmark.release import Dialogue
from avemo_harness.data.checks.survey import SurveyedConfig


@pytest.fixture(scope="session")
def acted() -> list[Dialogue]:
    return acted_dialogues(8)


@pytest.fixture(scope="session")
def acted_folder(acted: list[Dialogue], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_acted(tmp_path_factory.mktemp("acted") / "release", acted)


@pytest.fixture(scope="session")
def conditions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("conditions")


@pytest.fixture(scope="session")
def material(acted_folder: Path, conditions: Path) -> SurveyedConfig:
    return surveyed(acted_folder, conditions)
