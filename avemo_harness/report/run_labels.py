"""What to call runs that stand beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path


def run_labels(runs: Sequence[tuple[str, Path]]) -> list[str]:
    """A distinct name for each model and folder: the model, with its folder where models share a name.

    >>> run_labels([("random", Path("/a")), ("mine", Path("/x/b")), ("mine", Path("/x/c"))])
    ['random', 'mine (b)', 'mine (c)']
    """
    models = Counter(model for model, _ in runs)
    folders = Counter((model, folder.resolve().name) for model, folder in runs)
    labels = []
    for model, folder in runs:
        place = folder.resolve()
        if models[model] == 1:
            labels.append(model)
        else:
            labels.append(f"{model} ({place.name if folders[model, place.name] == 1 else place})")
    return labels
