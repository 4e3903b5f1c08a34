"""Models that come trained with the package, on the built-in demo: the recogniser of `baseline` and the embedded judge.

Each is what a run that trains its own gets, and is used while the recipe that stands beside it is today's. What changes
a recipe makes runs train again until `tests/support/train_on_demo.py` has made the files anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from avemo_harness.errors import UsageError
from avemo_harness.files import read_json

FOLDER = Path(__file__).with_name("demo_trained")
RECIPES = "recipes.json"
TrainedName = Literal["baseline.safetensors", "judge"]
"""A file of `FusionRecognizer`, and a folder of `avemo_harness.recognizers.checkpoint.save_recognizer`."""


def find_trained(name: TrainedName, recipe: Mapping[str, Any], folder: Path = FOLDER) -> Path | None:
    """The path of what comes trained; None where it was made by another recipe than this one, or is not installed.

    Args:
        recipe: everything that decides it but for the versions of libraries, JSON-ready.

    Raises:
        UsageError: the recipes are damaged.
    """
    if not (folder / RECIPES).is_file() or not (folder / name).exists():
        return None
    made_by = _read_recipes(folder)["recipes"].get(name)
    return folder / name if made_by == json.loads(json.dumps(recipe)) else None


def trained_on(folder: Path = FOLDER) -> str:
    """Fingerprint of the train part of the demo release that the files were trained on."""
    return str(_read_recipes(folder)["fingerprint"])


def _read_recipes(folder: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = read_json(folder / RECIPES, dict)
        if not isinstance(content.get("recipes"), dict) or not isinstance(content.get("fingerprint"), str):
            raise ValueError("expected recipes and a fingerprint")
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder / RECIPES}: damaged ({error}); install avemo-harness anew") from error
    return content


def write_recipes(recipes: Mapping[TrainedName, Mapping[str, Any]], fingerprint: str, folder: Path) -> None:
    """Note beside the files what they were trained by and on."""
    content = {"fingerprint": fingerprint, "recipes": recipes}
    (folder / RECIPES).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
