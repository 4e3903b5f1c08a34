"""The code is formatted, linted and typed, and its imports go one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.sources import EXAMPLES, FILES, PRODUCT, ROOT, module_of

LAYERS = {
    "metrics": set(),
    "media": set(),
    "benchmark": {"media"},
    "recognizers": {"benchmark", "media", "metrics"},
    "data": {"benchmark", "media", "metrics", "recognizers"},
    "models": {"benchmark", "data", "media", "metrics", "recognizers"},
    "scorers": {"benchmark", "metrics"},
    "run": {"data", "benchmark", "media", "metrics", "models", "recognizers", "scorers"},
    "report": {"data", "benchmark", "media", "metrics", "run", "scorers"},
    "human": {"benchmark", "data", "media", "metrics", "report", "run", "scorers"},
    "hf_evaluate": {"benchmark", "metrics", "models", "scorers"},
    "tasks": set(),
}
"""Packages that each may import."""
SHARED = frozenset(
    {
        *("errors", "files", "garbage", "http", "http_answers", "lru_cache", "options", "phases", "registry", "text"),
        "torch_setup",
    }
)
"""Modules that every package may import."""
HEAVY = {
    "accelerate",
    "av",
    "datasets",
    "evaluate",
    "jinja2",
    "matplotlib",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "soundfile",
    "torch",
    "transformers",
}
"""Packages that take long to import."""


@pytest.mark.parametrize("command", [["ruff", "check", "."], ["ruff", "format", "--check", "."]])
def test_ruff_is_content(command: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_mypy_is_content_in_strict_mode() -> None:
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_hold_one_idea(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450


def test_no_folder_of_the_checkout_is_passed_over() -> None:
    folders = {path.relative_to(ROOT).parts[0] for path in FILES}
    assert folders == {"avemo_harness", "models", "tasks", "tests"}
    served = {path.relative_to(ROOT).as_posix() for path in PRODUCT}
    assert {"models/served/client.py", "models/worker/child.py", "models/environments/creation.py"} <= served
    assert set(LAYERS) == {path.parent.name for path in (ROOT / "avemo_harness").glob("*/__init__.py")} - {"cli"}


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_go_one_way(layer: str) -> None:
    allowed = LAYERS[layer] | {layer, *SHARED}
    for path in PRODUCT:
        if module_of(path).split(".")[1:2] == [layer]:
            unfit = set(imported_parts(path)) - allowed
            assert not unfit, f"{path.relative_to(ROOT)} imports {unfit}"


def imported_parts(path: Path) -> Iterator[str]:
    """Names of what is directly below ``avemo_harness`` and imported by a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("avemo_harness."))


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_packages_are_imported_where_they_are_needed(path: Path) -> None:
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
    # `evaluate` loads its scripts by path, when it is imported already.
    is_script = path.stem == path.parent.name and "hf_evaluate" in path.parts
    assert is_script or not names & HEAVY


def test_only_the_command_prints() -> None:
    for path in [*PRODUCT, *EXAMPLES]:
        if "cli" not in path.parts:
            calls = (
                node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
            )
            assert not any(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls), path
