"""The table of performance: every part can be found, and a missed aim is marked. Nothing is measured here."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from performance.__main__ import PARTS
from performance.table import Row

FOLDER = Path(__file__).parent / "performance"


@pytest.mark.parametrize("part", [about[0] for about in PARTS.values() if ":" in about[0]])
def test_a_part_is_a_function_of_a_module(part: str) -> None:
    module, _, function = part.partition(":")
    assert callable(getattr(importlib.import_module(f"performance.{module}"), function))


def test_the_list_names_what_is_there() -> None:
    command = [sys.executable, "-m", "tests.performance", "--list"]
    said = subprocess.run(command, cwd=FOLDER.parents[1], capture_output=True, text=True, check=True).stdout
    there = {name for name, (path, _) in PARTS.items() if (FOLDER / f"{path.partition(':')[0]}.py").exists()}
    assert {line.split()[0] for line in said.splitlines()} == there
    assert {"store", "memory", "peers"} <= there


@pytest.mark.parametrize(("ours", "of_ratio", "missed"), [(3.0, False, True), (1.0, False, False), (3.0, True, False)])
def test_an_aim_is_of_the_figure_or_of_its_ratio(ours: float, of_ratio: bool, missed: bool) -> None:
    row = Row("opening", ours, "s", 2.0, "bare", "once", aim=2.0, of_ratio=of_ratio)
    assert row.is_missed is missed
    assert any("MISSED" in cell for cell in row.cells()) is missed
    assert row.ratio == ours / 2
