"""The command `env` makes, lists and removes environments."""

from __future__ import annotations

from pathlib import Path

import pytest

from avemo_harness.cli import main
from avemo_harness.models.environments import recipes
from avemo_harness.models.environments.recipes import Recipe


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments of no packages, in a cache of the test's own."""
    monkeypatch.setenv("AVEMO_CACHE", str(tmp_path))
    monkeypatch.setattr(recipes, "RECIPES", {"bare": lambda: Recipe("bare", modules=("json",))})


def listed(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["env", "list"]) == 0
    return capsys.readouterr().out


def test_an_environment_comes_and_goes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "missing" in listed(capsys)
    assert main(["env", "create", "bare"]) == 0
    told = capsys.readouterr().out
    assert "making a virtual environment" in told
    assert f"bare is ready in {tmp_path}" in told
    table = listed(capsys)
    assert "ready" in table
    assert "GiB" in table
    assert str(tmp_path / "environments" / "bare") in table
    assert main(["env", "remove", "bare"]) == 0
    assert "bare is removed" in capsys.readouterr().out
    assert main(["env", "remove", "bare"]) == 0
    assert "there is none" in capsys.readouterr().out


def test_an_unknown_name_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "create", "bear"]) == 2
    assert "unknown environment 'bear'" in capsys.readouterr().err
