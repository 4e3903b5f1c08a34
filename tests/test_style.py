"""The code is formatted, linted and typed, its doctests hold, and its imports go one way."""

from __future__ import annotations

import ast
import doctest
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import avemo_harness

ROOT = Path(__file__).parents[1]
SOURCES = [*ROOT.glob("avemo_harness/**/*.py"), *ROOT.glob("models/*.py")]
MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(avemo_harness.__path__, "avemo_harness.")
    if not name.endswith("__main__")
]
LAYERS = {
    "metrics": set(),
    "media": set(),
    "benchmark": {"media"},
    "recognizers": {"benchmark", "media", "metrics"},
    "build": {"benchmark", "media", "metrics", "recognizers"},
    "models": {"benchmark", "build", "media", "metrics", "recognizers"},
    "scorers": {"benchmark", "metrics"},
    "run": {"benchmark", "media", "metrics", "models", "recognizers", "scorers"},
    "report": {"benchmark", "media", "metrics", "run", "scorers"},
    "human": {"benchmark", "build", "media", "metrics", "report", "run", "scorers"},
}
"""What each package may import of the others."""
SHARED = frozenset(
    {
        "arguments",
        "errors",
        "file_cache",
        "inference",
        "locks",
        "names",
        "paths",
        "plugins",
        "publishing",
        "server_words",
        "text",
        "text_table",
        "weights",
        "worker_pool",
    }
)
"""What every package may import."""


@pytest.mark.parametrize("command", [["ruff", "check", "."], ["ruff", "format", "--check", "."]])
def test_ruff_is_content(command: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_mypy_is_content_in_strict_mode() -> None:
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", MODULES)
def test_doctests_hold(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


@pytest.mark.parametrize("path", [*SOURCES, *ROOT.glob("tests/**/*.py")], ids=lambda path: str(path.relative_to(ROOT)))
def test_files_hold_one_idea(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_go_one_way(layer: str) -> None:
    allowed = LAYERS[layer] | {layer, *SHARED}
    for path in (ROOT / "avemo_harness" / layer).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("avemo_harness"):
                parts = (node.module or "").split(".")
                imported = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
                assert set(imported) <= allowed, f"{path.name} imports {imported}"


def test_only_the_command_prints() -> None:
    for path in SOURCES:
        if "cli" not in path.parts:
            calls = (
                node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)
            )
            assert not any(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls), path
