"""The Python files of the checkout, and the names under which those of the product are imported."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_OURS = ("build", "dist", "runs")
"""Folders beside the product that tools make."""


def python_files() -> list[Path]:
    """Every Python file of the checkout; links to folders, as the package's to ``models/``, are not followed."""
    found = []
    for folder, below, names in os.walk(ROOT):
        made = NOT_OURS if Path(folder) == ROOT else ()
        below[:] = sorted(name for name in below if not name.startswith((".", "__pycache__")) and name not in made)
        found += [Path(folder, name) for name in sorted(names) if name.endswith(".py")]
    return found


def module_of(path: Path) -> str:
    """The name under which a file of the product is imported: ``models/`` and ``tasks/`` are links in the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    inside = parts if parts[0] == "avemo_harness" else ("avemo_harness", *parts)
    return ".".join(inside[:-1] if inside[-1] == "__init__" else inside)


FILES = python_files()
PRODUCT = [path for path in FILES if path.relative_to(ROOT).parts[0] in ("avemo_harness", "models", "tasks")]
EXAMPLES = [path for path in FILES if path.relative_to(ROOT).parts[:3] == ("tests", "support", "example_plugin")]
