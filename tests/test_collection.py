"""Every file of tests is collected by the README's command, whatever its folder is called."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PASSED_OVER = ("build", "dist", "node_modules", "venv", "CVS", "_darcs", "{arch}", "python.egg")
"""Folders that pytest does not enter unless it is told to."""


def collected(folder: Path, *arguments: str) -> dict[str, int]:
    """Number of tests that each file contributes where ``pytest`` is called in a folder without naming a file."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "--collect-only", "-qq", "-p", "no:cacheprovider", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path: int(count) for path, count in re.findall(r"^(\S+\.py): (\d+)$", done.stdout, re.MULTILINE)}


@pytest.mark.slow
def test_no_file_of_tests_is_passed_over() -> None:
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
    counts = collected(ROOT)
    assert files - {path for path, count in counts.items() if count} == set()


def test_no_name_of_a_folder_hides_its_tests(tmp_path: Path) -> None:
    files = {f"tests/{name}/test_{number}.py" for number, name in enumerate(PASSED_OVER)}
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("def test_one() -> None: ...\n", encoding="utf-8")
    counts = collected(tmp_path, "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), "tests")
    assert counts == dict.fromkeys(files, 1)


def test_every_file_with_tests_is_named_as_one() -> None:
    misnamed = [
        path
        for path in (ROOT / "tests").rglob("*.py")
        if not path.name.startswith("test_")
        and re.search(r"^\s*(async )?def test_", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert misnamed == []
